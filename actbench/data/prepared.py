"""A prepared data set as plain data, the settings that its arrays depend on, and its arrays as tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from actbench.data.arrays import Array

TEST_SHARE = 0.2  # of all examples, where the data have no test set of their own: scikit-learn's usual fifth

# The arrays of each kind of data, by the name of their file in the cache.
_EXAMPLES = ("train_images", "train_labels", "test_images", "test_labels")
PARTS: Mapping[str, tuple[str, ...]] = {
    "images": _EXAMPLES,
    "sequences": _EXAMPLES,
    "table": (*_EXAMPLES, "groups", "numeric"),
    "text": ("train", "validation", "test"),
}


@dataclass(frozen=True)
class PreparedData:
    """A data set that is cached in `folder`.

    fingerprint: digest of images and labels, not of paths. own_test: whether its test set is the same for all runs;
    else each run draws training, validation and test images by its seed. metric: by which a run is scored; with r2
    labels are amounts and there is one output, the only one of `classes`. validation: number of validation
    examples where the data fix them; None: a share of the training examples, drawn by the seed.

    An example is an image; of `sequences` height is time and width the features; of a `table` width is the columns.
    Of `text` it is a window of `height` characters with the next ones as targets, and classes are the characters.
    """

    name: str
    folder: str
    fingerprint: str
    height: int
    width: int
    channels: int
    classes: int
    train: int  # images of a run, validation included
    test: int  # images of a run
    own_test: bool = True  # which files of weights from before this field do not say, nor the following ones
    kind: Literal["images", "sequences", "table", "text"] = "images"
    metric: Literal["accuracy", "r2", "bits_per_character"] = "accuracy"
    validation: int | None = None
    vocabulary: str = ""  # of text: its characters, by class

    def validation_size(self, share: float | None) -> int:
        """Validation examples: those that the data fix, else a share of the training images: at least 1, and not all.

        share: dataset.validation, which is None for a text alone.
        """
        if self.validation is not None:
            return self.validation
        assert share is not None
        return min(self.train - 1, max(1, round(share * self.train)))


@dataclass(frozen=True)
class Options:
    """Keys of conf/dataset that some data sets alone take; None for the others.

    context: characters of a window. split: of text `nanogpt`, of a table the column that says which part a row is of.
    length: time steps of a sequence. label, group: columns of a table. kind: classification or regression. missing:
    what becomes of missing values, median or error.
    """

    context: int | None = None
    length: int | None = None
    label: str | None = None
    kind: str | None = None
    group: str | None = None
    split: str | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Loaded:
    """What a source yields: the arrays by the names of PARTS, and fields of PreparedData beside their sizes."""

    arrays: Mapping[str, Array]
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class ImageData:
    """Torch tensors mapped from the cache: images uint8 (images, height, width, channels), labels int64 (images,).

    Of sequences the images are float32, as are labels that are amounts. Where the data have no test set of their own,
    those of `test` are empty, and runs draw test images from `train`.
    """

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any

    @property
    def drawn_test(self) -> int:
        """Test images that each run draws from `train_images`; 0 where the data have a test set of their own."""
        return 0 if len(self.test_labels) else drawn_test(len(self.train_labels))


@dataclass(frozen=True)
class TableData(ImageData):
    """A table: rows (rows, 1, columns, 1), in which NaN is a missing value; they and amounts to predict are float64.

    In float32 two times that differ by a minute would be one number. groups: int64 (rows,), of which none may be in two
    parts; empty without groups, and where no part is drawn. numeric: bool (columns,), those that are standardised.
    """

    groups: Any
    numeric: Any


@dataclass(frozen=True)
class TextData:
    """The parts of a text as classes of characters, uint8 or int32 (characters,) each; test may be empty."""

    train: Any
    validation: Any
    test: Any


Data = ImageData | TextData


def drawn_test(images: int) -> int:
    """Test images of a run among all images of data without a test set of their own."""
    return max(1, round(TEST_SHARE * images))
