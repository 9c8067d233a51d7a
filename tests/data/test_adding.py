"""The adding problem against its definition."""

import numpy as np
import pytest
import torch

from actbench.data.batches import split
from actbench.data.datasets import ImageData, Options, PreparedData, prepare_data
from actbench.data.float_batches import make_batches
from tests.support import load_images


@pytest.fixture(scope="module", params=[50, 7])
def adding(request: pytest.FixtureRequest) -> tuple[PreparedData, ImageData]:
    prepared = prepare_data("adding", None, False, None, options=Options(length=request.param))
    return prepared, load_images(prepared)


def test_targets_are_sums_of_two_marked_numbers_one_in_each_half(adding: tuple[PreparedData, ImageData]) -> None:
    prepared, data = adding
    assert (prepared.kind, prepared.metric, prepared.classes, prepared.own_test) == ("sequences", "r2", 1, False)
    assert (prepared.train, prepared.test, len(data.train_labels)) == (16_000, 4_000, 20_000)
    length = prepared.height
    assert data.train_images.shape == (20_000, length, 2, 1)
    assert data.train_images.dtype == data.train_labels.dtype == torch.float32
    numbers, marks = data.train_images[:, :, 0, 0].numpy(), data.train_images[:, :, 1, 0].numpy()
    assert set(np.unique(marks)) == {0, 1}
    half = length // 2
    assert (marks[:, :half].sum(1) == 1).all()
    assert (marks[:, half:].sum(1) == 1).all()
    assert np.array_equal((numbers * marks).sum(1, dtype=np.float32), data.train_labels.numpy())
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert numbers.mean() == pytest.approx(1 / 2, abs=5 * (1 / 12 / numbers.size) ** 0.5)
    for part in (marks[:, :half], marks[:, half:]):  # every place is marked equally often
        expected = 20_000 / part.shape[1]
        chi = ((part.sum(0) - expected) ** 2 / expected).sum()
        assert chi < part.shape[1] + 5 * (2 * part.shape[1]) ** 0.5


def test_always_guessing_1_has_a_mean_squared_error_of_one_sixth(adding: tuple[PreparedData, ImageData]) -> None:
    errors = (adding[1].train_labels.double() - 1).square()
    # The sum of two uniform numbers: E (s - 1)^4 = 1/15, so the mean of n errors deviates by sqrt((1/15 - 1/36) / n).
    assert errors.mean().item() == pytest.approx(1 / 6, abs=5 * ((1 / 15 - 1 / 36) / 20_000) ** 0.5)


def test_sequences_are_given_as_they_are_and_split_by_the_seed(adding: tuple[PreparedData, ImageData]) -> None:
    prepared, data = adding
    own = make_batches(data, prepared, [4, 9, 4], 0.1, 64, "none", False, torch.device("cpu"))
    assert (own.validation_size, own.test_size, own.steps_per_epoch) == (1600, 4000, 225)
    x, targets = own.test(10, 20)
    assert (x.shape, x.dtype, targets.dtype) == ((3, 10, prepared.height, 2, 1), torch.float32, torch.float32)
    for run, seed in enumerate((4, 9, 4)):
        parts = split(seed, 20_000, 1600, 4000)
        assert torch.equal(x[run], data.train_images[parts.test[10:20]])
        assert torch.equal(targets[run], data.train_labels[parts.test[10:20]])
        assert own.target_variance("validation", 100)[run].item() == pytest.approx(
            data.train_labels[parts.validation[:100]].double().var(correction=0).item()
        )
        assert own.target_variance("test", 4000)[run].item() == pytest.approx(
            np.var(data.train_labels[parts.test].numpy().astype(float))
        )
    seen = torch.cat([own.training(step)[1] for step in range(225)], 1)
    assert torch.equal(seen[0].sort().values, data.train_labels[split(4, 20_000, 1600, 4000).train].sort().values)


def test_the_sequences_do_not_change_from_one_version_to_the_next() -> None:
    assert prepare_data("adding", None, False, None, options=Options(length=50)).fingerprint == "31a40da234cb94d3"
