"""Mini-batches of sequences and tables, and what connects runs to the mini-batches of their data."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.data.arrays import Array
from actbench.data.batches import Batches, Split, split
from actbench.data.prepared import Data, ImageData, PreparedData, TableData, TextData
from actbench.data.text_batches import TextBatches
from actbench.determinism import stream

AnyBatches = Batches | TextBatches

_CONSTANT = 1e-12  # deviation over largest value, below which a column differs by rounding alone


class FloatBatches(Batches):
    """Mini-batches of sequences, as they are."""

    def _set_inputs(self, data: ImageData, splits: Sequence[Split], normalize: str) -> None:
        device = self._device
        self._rows, self._labels = data.train_images.flatten(1).to(device), data.train_labels.to(device)
        self._test_images, self._test_labels = data.test_images.to(device), data.test_labels.to(device)

    def _normalised(self, images: Tensor) -> Tensor:
        return images

    def constants(self, run: int) -> dict[str, Tensor]:
        """What a run's inputs are computed with, by name: nothing."""
        return {}


class TableBatches(FloatBatches):
    """Mini-batches of a table, float32 (runs, batch, 1, columns, 1).

    By each seed's training rows a missing number becomes the median of its column, and a column of numbers is centred
    and scaled to deviation 1, as are targets that are amounts. All is computed in float64, as numbers with a large mean
    would lose their digits.
    """

    def __init__(
        self, data: TableData, seeds: Sequence[int], prepared: PreparedData, validation_size: int, batch_size: int,
        normalize: str, device: torch.device,
    ) -> None:  # fmt: skip
        self._prepared = prepared
        super().__init__(data, seeds, validation_size, batch_size, normalize, False, device)

    def _split(self, data: ImageData, seed: int, validation_size: int) -> Split:
        return _table_split(data, self._prepared, seed, validation_size)

    def _set_inputs(self, data: ImageData, splits: Sequence[Split], normalize: str) -> None:
        assert isinstance(data, TableData)
        super()._set_inputs(data, splits, normalize)
        self._missing = any(bool(rows.isnan().any()) for rows in (data.train_images, data.test_images))
        found = [table_constants(data, own.train, normalize, self._prepared.metric == "r2") for own in splits]
        self._constants = {name: torch.stack([own[name] for own in found]).to(self._device) for name in found[0]}

    def _normalised(self, images: Tensor) -> Tensor:
        fill, scale, shift = (self._constants[f"input.{name}"][:, None, None, :, None] for name in _INPUT)
        known = torch.where(images.isnan(), fill, images) if self._missing else images  # half the time without it
        return (known * scale).add_(shift).float()

    def _scaled(self, labels: Tensor) -> Tensor:
        if "target.scale" not in self._constants:
            return labels
        scale, shift = (self._constants[f"target.{name}"].unsqueeze(1) for name in ("scale", "shift"))
        return (labels * scale + shift).float()

    def constants(self, run: int) -> dict[str, Tensor]:
        """What a run's rows and targets are computed with, by name, as `table_constants` has them."""
        place = int(self._seed_of_run[run])
        return {name: values[place] for name, values in self._constants.items()}


_INPUT = ("fill", "scale", "shift")


def table_constants(data: TableData, train: Tensor, normalize: str, regression: bool) -> dict[str, Tensor]:
    """What the training rows, by index, decide, by name, float64.

    input.fill (columns,): the median of each column of numbers, which a missing one becomes; 0 without any number.
    input.scale, input.shift (columns,): scale * number + shift has mean 0 and deviation 1, a constant 0; 1 and 0 for
    categories and flags, and for all columns where `normalize` is none. target.scale, target.shift (): the same of
    amounts.
    """
    numeric = data.numeric.numpy()
    rows = data.train_images.numpy()[train.numpy()][:, 0, :, 0]
    known = ~np.isnan(rows)
    fill = np.array([np.median(column[own]) if own.any() else 0.0 for column, own in zip(rows.T, known.T, strict=True)])
    fill *= numeric
    rows = np.where(known, rows, fill)
    scale, shift = _standardising(rows)
    standardised = numeric & (normalize != "none")
    found = {"input.fill": fill, "input.scale": np.where(standardised, scale, 1.0),
             "input.shift": np.where(standardised, shift, 0.0)}  # fmt: skip
    if regression:
        scale, shift = _standardising(data.train_labels.numpy()[train.numpy()][:, None])
        found |= {"target.scale": scale[0], "target.shift": shift[0]}
    return {name: torch.as_tensor(values) for name, values in found.items()}


def _standardising(rows: Array) -> tuple[Array, Array]:
    """Scale and shift (columns,) by which each column of rows (rows, columns) has mean 0 and deviation 1."""
    mean, deviation = rows.mean(0), rows.std(0)
    scale = 1 / np.where(deviation > _CONSTANT * np.abs(rows).max(0), deviation, 1.0)
    return scale, -mean * scale


def split_of(data: ImageData, prepared: PreparedData, seed: int, validation: float | None) -> Split:
    """The parts of a run with this seed. validation: share of its examples."""
    size = prepared.validation_size(validation)
    if isinstance(data, TableData):
        return _table_split(data, prepared, seed, size)
    return split(seed, len(data.train_images), size, data.drawn_test)


def _table_split(data: ImageData, prepared: PreparedData, seed: int, validation_size: int) -> Split:
    assert isinstance(data, TableData)
    rows = len(data.train_images)
    if prepared.validation is not None:  # the last rows, by a column of the table
        order = torch.arange(rows)
        return Split(order[: rows - validation_size], order[rows - validation_size :], order[:0])
    if not len(data.groups):
        return split(seed, rows, validation_size, data.drawn_test)
    return group_split(seed, data.groups, prepared.train - validation_size, validation_size, data.drawn_test)


def group_split(seed: int, groups: Tensor, train: int, validation: int, test: int) -> Split:
    """Draws the parts of a table so that no group is in two. groups: int64 (rows,). Sizes: of the parts.

    Groups in a drawn order fill the test part, then the validation part, then training. The rows of a part's last group
    that exceed its size are left out, as are training rows beyond `train`; `left_out` counts the most of them.
    """
    order = torch.randperm(int(groups.max()) + 1, generator=stream(seed, "split"))
    place = torch.argsort(order)[groups]  # of each row's group in the drawn order
    rows = torch.argsort(place, stable=True)
    ends = F.pad(torch.cumsum(torch.bincount(place), 0), (1, 0))  # rows before each group, and all
    after_test = int(ends[ends >= test][0])
    after_validation = int(ends[ends >= after_test + validation][0])
    return Split(
        rows[after_validation : after_validation + train], rows[after_test : after_test + validation], rows[:test]
    )


def make_batches(
    data: Data, prepared: PreparedData, seeds: Sequence[int], validation: float | None, batch_size: int,
    normalize: str, augment: bool, device: torch.device,
) -> AnyBatches:  # fmt: skip
    """The mini-batches of runs with these seeds, by the kind of their data. validation: share of a run's examples."""
    if isinstance(data, TextData):
        return TextBatches(data, seeds, prepared.height, batch_size, device)
    size = prepared.validation_size(validation)
    if isinstance(data, TableData):
        return TableBatches(data, seeds, prepared, size, batch_size, normalize, device)
    kind = FloatBatches if prepared.kind == "sequences" else Batches
    return kind(data, seeds, size, batch_size, normalize, augment, device)
