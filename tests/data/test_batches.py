"""Splits, order, normalisation and augmentation against their definitions."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from actbench.data.batches import CROP_PADDING, Batches, draw_crops, flip_and_crop, normalization, split
from actbench.data.datasets import ImageData
from actbench.determinism import stream

CPU = torch.device("cpu")


def batches(data: ImageData, seeds: list[int], size: int = 64, augment: bool = False) -> Batches:
    return Batches(data, seeds, 288, size, "channel", augment, CPU)


def test_splits_are_disjoint_whole_and_equal_for_equal_seeds() -> None:
    train, held, test = split(5, 1000, 100)
    assert len(test) == 0
    assert sorted(torch.cat([train, held]).tolist()) == list(range(1000))
    assert torch.equal(split(5, 1000, 100).validation, held)
    assert not torch.equal(split(6, 1000, 100).validation, held)


def test_three_parts_are_disjoint_whole_and_drawn_by_the_seed() -> None:
    drawn = [split(seed, 1000, 160, 200) for seed in (0, 1, 0)]
    for parts in drawn:
        assert [len(part) for part in parts] == [640, 160, 200]
        assert sorted(torch.cat(parts).tolist()) == list(range(1000))
    for first, second, again in zip(*drawn, strict=True):
        assert set(first.tolist()) != set(second.tolist())
        assert torch.equal(first, again)


def test_test_examples_are_those_of_each_runs_seed(digits_data: ImageData) -> None:
    source = Batches(digits_data, [4, 9, 4], 288, 64, "none", False, CPU)
    assert source.test_size == 359
    pixels = digits_data.train_images * torch.tensor(1 / 255)  # which rounds unlike a division by 255
    chunks = [source.test(start, min(start + 100, 359)) for start in range(0, 359, 100)]
    images, labels = (torch.cat(part, 1) for part in zip(*chunks, strict=True))
    for run, seed in enumerate((4, 9, 4)):
        index = split(seed, 1797, 288, 359).test
        assert torch.equal(images[run], pixels[index])
        assert torch.equal(labels[run], digits_data.train_labels[index])


def test_a_test_set_of_its_own_is_the_same_for_all_seeds(halves_data: ImageData) -> None:
    source = Batches(halves_data, [4, 9], 288, 64, "none", False, CPU)
    assert source.test_size == 359
    images, labels = source.test(0, 359)
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], halves_data.test_images * torch.tensor(1 / 255))
    assert torch.equal(labels[1], halves_data.test_labels)


def test_an_epoch_shows_every_training_example_once_and_no_validation_example(digits_data: ImageData) -> None:
    numbered = replace(digits_data, train_labels=torch.arange(1797))
    source = Batches(numbered, [0, 7], 288, 64, "none", False, CPU)
    assert source.steps_per_epoch == 18
    for epoch in (0, 1):
        seen = [source.training(epoch * 18 + step)[1] for step in range(18)]
        assert [labels.shape[1] for labels in seen] == [64] * 17 + [1150 - 17 * 64]  # the last is ragged
        for run, seed in enumerate((0, 7)):
            train = split(seed, 1797, 288, 359).train
            assert sorted(torch.cat([labels[run] for labels in seen]).tolist()) == sorted(train.tolist())


def test_order_differs_by_epoch_and_seed_only(digits_data: ImageData) -> None:
    one, other = batches(digits_data, [0, 1, 0]), batches(digits_data, [0])
    images, labels = one.training(3)
    assert torch.equal(images[0], images[2])
    assert not torch.equal(images[0], images[1])
    assert torch.equal(other.training(3)[0][0], images[0])
    assert not torch.equal(one.training(3 + 18)[1], labels)


@pytest.mark.parametrize("kind", ["channel", "pixel"])
def test_training_split_has_mean_0_and_deviation_1(kind: str, digits_data: ImageData) -> None:
    train, validation, test = split(2, 1797, 288, 359)
    scale, shift = normalization(digits_data, torch.cat([validation, test]), kind)
    pixels = (digits_data.train_images[train] * scale + shift).double()
    if kind == "channel":
        assert pixels.mean().item() == pytest.approx(0, abs=1e-5)
        assert pixels.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    else:
        assert pixels.mean(0).abs().max() < 1e-4
        deviation = pixels.std(0, correction=0)
        constant = digits_data.train_images[train].double().std(0) == 0
        assert ((deviation - 1).abs() < 1e-3)[~constant].all()
        assert (pixels.abs().amax(0) < 1e-4)[constant].all()
        assert constant.any()


def test_normalisation_none_maps_grey_levels_to_0_and_1(digits_data: ImageData) -> None:
    images, _ = Batches(digits_data, [0], 288, 500, "none", False, CPU).training(0)
    assert images.min() == 0
    assert images.max() == pytest.approx(1)


def test_flip_and_crop_cut_windows_out_of_the_padded_image() -> None:
    images = torch.randint(0, 256, (50, 9, 7, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    cut = flip_and_crop(images, draw_crops(50, stream(0, "test")))
    assert cut.shape == images.shape
    frame = F.pad(images, (0, 0, *[CROP_PADDING] * 4))
    flipped = F.pad(images.flip(2), (0, 0, *[CROP_PADDING] * 4))
    places = set()
    for index in range(50):
        found = [
            (flip, top, left)
            for flip, source in ((False, frame), (True, flipped))
            for top in range(9)
            for left in range(9)
            if torch.equal(source[index, top : top + 9, left : left + 7], cut[index])
        ]
        assert len(found) == 1
        places.add(found[0])
    assert {flip for flip, _, _ in places} == {False, True}
    assert len({top for _, top, _ in places}) > 4
    assert len({left for _, _, left in places}) > 4


def test_validation_and_test_are_never_augmented(digits_data: ImageData) -> None:
    plain, augmented = batches(digits_data, [0]), batches(digits_data, [0], augment=True)
    assert not torch.equal(plain.training(0)[0], augmented.training(0)[0])
    assert torch.equal(plain.validation(0, 50)[0], augmented.validation(0, 50)[0])
    assert torch.equal(plain.test(0, 50)[0], augmented.test(0, 50)[0])
