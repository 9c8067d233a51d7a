"""Examples for a stack: split, order, augmentation and normalisation, each drawn from the run's seed.

Images stay uint8 on the device; runs with one seed share each selection of images.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.data.buffers import fill
from actbench.data.prepared import ImageData
from actbench.determinism import stream

CROP_PADDING = 4  # pixels per side, He et al. 2016, arXiv:1512.03385


class Split(NamedTuple):
    """Indices of a run's examples among the images from which they are drawn; test is empty where none are drawn."""

    train: Tensor
    validation: Tensor
    test: Tensor


def split(seed: int, images: int, validation: int, test: int = 0) -> Split:
    """Draws `test` and `validation` examples among the images; training has the rest. Equal for equal seeds."""
    order = torch.randperm(images, generator=stream(seed, "split"))
    return Split(order[test + validation :], order[test : test + validation], order[:test])


def pixel_sums(images: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and sum of squares over images (n, height, width, channels), exact: int64 (height, width, channels)."""
    total = torch.zeros(images.shape[1:], dtype=torch.int64)
    squares = torch.zeros_like(total)
    for chunk in images.split(2048):  # 50 MB of int64 on 32x32x3
        wide = chunk.long()
        total += wide.sum(0)
        squares += wide.square().sum(0)
    return total, squares


@lru_cache(maxsize=4)
def _sums_of_all(data: ImageData) -> tuple[Tensor, Tensor]:
    return pixel_sums(data.train_images)


def normalization(data: ImageData, held_out: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """(scale, shift), float32 (height or 1, width or 1, channels): scale * pixel + shift is normalised.

    By mean and standard deviation of the training split: all of `data.train_images` less those that are held out for
    validation and test, by index. A pixel that never changes is only centred.
    """
    channels = data.train_images.shape[-1]
    if kind == "none":
        return torch.full((1, 1, channels), 1 / 255), torch.zeros(1, 1, channels)
    sums = zip(_sums_of_all(data), pixel_sums(data.train_images[held_out]), strict=True)
    total, squares = (of_all - of_held_out for of_all, of_held_out in sums)
    count = len(data.train_images) - len(held_out)
    if kind == "channel":
        count *= total.shape[0] * total.shape[1]
        total, squares = total.sum((0, 1), keepdim=True), squares.sum((0, 1), keepdim=True)
    mean = total.double() / count
    deviation = (squares.double() / count - mean.square()).clamp(min=0).sqrt()
    deviation = torch.where(deviation > 1e-6, deviation, 255.0)  # grey levels; below: constant
    return (1 / deviation).float(), (-mean / deviation).float()


class _Draws(NamedTuple):
    """What is drawn for a mini-batch, on the device: indices of examples (seeds, batch), crops (seeds, 3, batch)."""

    examples: Tensor
    crops: Tensor


class Batches:
    """Mini-batches and evaluation chunks for runs with the given seeds, (runs, batch, height, width, channels).

    Where all runs share one seed the run axis is expanded, not copied. What is drawn for a mini-batch lies in one pair
    of buffers for each batch size, so that a CUDA graph finds each step's draws at the same addresses.
    """

    def __init__(
        self, data: ImageData, seeds: Sequence[int], validation_size: int, batch_size: int, normalize: str,
        augment: bool, device: torch.device,
    ) -> None:  # fmt: skip
        self._device, self._batch_size, self._augment = device, batch_size, augment
        self._seeds = sorted(set(seeds))
        self._runs = len(seeds)
        seed_of_run = [self._seeds.index(seed) for seed in seeds]
        self._one_run_a_seed = seed_of_run == list(range(len(self._seeds)))
        self._seed_of_run = torch.tensor(seed_of_run, device=device)
        splits = [self._split(data, seed, validation_size) for seed in self._seeds]
        self._train = [own.train for own in splits]
        self._validation = torch.stack([own.validation for own in splits]).to(device)
        self._drawn_test = torch.stack([own.test for own in splits]).to(device)
        self._shape = data.train_images.shape[1:]
        self._set_inputs(data, splits, normalize)
        shape = len(self._seeds), len(self._train[0])
        self._epoch, self._order = -1, torch.empty(shape, dtype=torch.int64, device=device)
        self._step, self._draws = -1, dict[int, _Draws]()  # by batch size
        self.steps_per_epoch = -(-len(self._train[0]) // batch_size)

    def _split(self, data: ImageData, seed: int, validation_size: int) -> Split:
        return split(seed, len(data.train_images), validation_size, data.drawn_test)

    def _set_inputs(self, data: ImageData, splits: Sequence[Split], normalize: str) -> None:
        """Puts images and labels on the device, with what normalises the images of each seed."""
        device = self._device
        factors = [normalization(data, torch.cat([own.validation, own.test]), normalize) for own in splits]
        self._scale = torch.stack([scale for scale, _ in factors]).unsqueeze(1).to(device)
        self._shift = torch.stack([shift for _, shift in factors]).unsqueeze(1).to(device)
        self._rows, self._labels = data.train_images.flatten(1).to(device), data.train_labels.to(device)
        self._test_images, self._test_labels = data.test_images.to(device), data.test_labels.to(device)

    def size(self, step: int) -> int:
        """Examples of a step's mini-batch of one run. The last of an epoch may be smaller."""
        return min(self._batch_size, len(self._train[0]) - step % self.steps_per_epoch * self._batch_size)

    def prepare(self, step: int) -> None:
        """Draws the mini-batch of a step into its buffers; on CUDA without waiting for the device."""
        if step == self._step:
            return
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            order = [
                train[torch.randperm(len(train), generator=stream(seed, "order", epoch))]
                for seed, train in zip(self._seeds, self._train, strict=True)
            ]
            fill(self._order, order)
        size = self.size(step)
        if size not in self._draws:
            shapes = (len(self._seeds), size), (len(self._seeds), 3, size if self._augment else 0)
            self._draws[size] = _Draws(*(torch.empty(s, dtype=torch.int64, device=self._device) for s in shapes))
        examples, crops = self._draws[size]
        examples.copy_(self._order[:, position * self._batch_size : position * self._batch_size + size])
        if self._augment:
            fill(crops, [draw_crops(size, stream(seed, "augment", step)) for seed in self._seeds])
        self._step = step

    def buffers(self) -> list[Tensor]:
        """The buffers of what is drawn, which keep their addresses."""
        return [self._order, *(tensor for draws in self._draws.values() for tensor in draws)]

    def training(self, step: int) -> tuple[Tensor, Tensor]:
        """The mini-batch of a step: images, and labels (runs, batch). The last of an epoch may be smaller."""
        self.prepare(step)
        index, crops = self._draws[self.size(step)]
        images = self._gather(index)
        if self._augment:
            images = flip_and_crop(images.flatten(0, 1), crops.transpose(0, 1).flatten(1)).view_as(images)
        return self._for_runs(self._normalised(images)), self._for_runs(self._targets(index))

    def validation(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Validation examples start to stop of each run's split: images, and labels (runs, batch)."""
        index = self._validation[:, start:stop]
        return self._for_runs(self._normalised(self._gather(index))), self._for_runs(self._targets(index))

    def test(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Test examples start to stop, normalised by each run's training split: images, and labels (runs, batch).

        They are the same for all runs where the data have a test set of their own.
        """
        if not len(self._test_labels):
            index = self._drawn_test[:, start:stop]
            return self._for_runs(self._normalised(self._gather(index))), self._for_runs(self._targets(index))
        images = self._normalised(self._test_images[start:stop].expand(len(self._seeds), -1, -1, -1, -1))
        return self._for_runs(images), self._for_runs(self._own_test_targets(stop, start))

    def constants(self, run: int) -> dict[str, Tensor]:
        """What a run's images are normalised with, by name: scale and shift, (height or 1, width or 1, channels)."""
        place = int(self._seed_of_run[run])
        return {"input.scale": self._scale[place, 0], "input.shift": self._shift[place, 0]}

    def target_variance(self, part: str, size: int) -> Tensor:
        """Variance of the targets of the first `size` validation or test examples of each run, float64 (runs,)."""
        if part == "test" and len(self._test_labels):
            targets = self._own_test_targets(size)
        else:
            targets = self._targets((self._drawn_test if part == "test" else self._validation)[:, :size])
        # Row by row: a sum over several rows at once may round unlike that of one.
        return self._for_runs(torch.stack([row.double().var(correction=0) for row in targets]))

    @property
    def validation_size(self) -> int:
        """Validation examples of each run."""
        return self._validation.shape[1]

    @property
    def test_size(self) -> int:
        """Test examples of each run."""
        return len(self._test_labels) or self._drawn_test.shape[1]

    def _gather(self, index: Tensor) -> Tensor:
        """Images by index (seeds, batch). index_select copies entire rows and takes a sixth of the time of indexing."""
        return self._rows.index_select(0, index.flatten()).view(*index.shape, *self._shape)

    def _targets(self, index: Tensor) -> Tensor:
        """What networks are to answer for the examples of an index, (seeds, batch)."""
        return self._scaled(self._labels[index])

    def _own_test_targets(self, stop: int, start: int = 0) -> Tensor:
        """As `_targets`, of a test set that is the same for all seeds."""
        return self._scaled(self._test_labels[start:stop].expand(len(self._seeds), -1))

    def _scaled(self, labels: Tensor) -> Tensor:
        """Labels (seeds, batch) as networks answer them: as they are."""
        return labels

    def _normalised(self, images: Tensor) -> Tensor:
        return images.float().mul_(self._scale).add_(self._shift)

    def _for_runs(self, values: Tensor) -> Tensor:
        """(seeds, ...) -> (runs, ...)."""
        if len(self._seeds) == 1:
            return values.expand(self._runs, *values.shape[1:])
        return values if self._one_run_a_seed else values.index_select(0, self._seed_of_run)


def draw_crops(batch: int, generator: torch.Generator) -> Tensor:
    """Augmentation's choices (3, batch), int64: whether to flip, and the crop's top and left, on the CPU."""
    flip = torch.rand(batch, generator=generator) < 0.5
    return torch.cat(
        [flip.long().unsqueeze(0), torch.randint(0, 2 * CROP_PADDING + 1, (2, batch), generator=generator)]
    )


def flip_and_crop(images: Tensor, crops: Tensor) -> Tensor:
    """Each image flipped left to right or not, padded with 4 black pixels a side, and cropped.

    images: uint8 (batch, height, width, channels). crops: of `draw_crops`, (3, batch), on the images' device.
    """
    batch, height, width, _ = images.shape
    flip, top, left = crops.unsqueeze(2)
    columns = torch.arange(width, device=images.device)
    columns = torch.where(flip > 0, width - 1 - columns, columns) + left
    rows = torch.arange(height, device=images.device) + top
    padded = F.pad(images, (0, 0, *[CROP_PADDING] * 4))
    return padded[torch.arange(batch, device=images.device)[:, None, None], rows[:, :, None], columns[:, None, :]]
