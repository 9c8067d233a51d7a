"""The data set of some settings, and which architectures take which kinds of data."""

from collections.abc import Mapping
from dataclasses import fields

from actbench.data.datasets import Options, PreparedData, prepare_data
from actbench.errors import UsageError
from actbench.experiment.dataset_settings import DatasetSettings
from actbench.experiment.schema import RunSettings

KINDS: Mapping[str, tuple[str, ...]] = {
    "mlp": ("images", "table", "sequences"),
    "cnn": ("images",),
    "transformer": ("images",),
    "decoder": ("text",),
    "rnn": ("images", "sequences", "text"),
    "gru": ("images", "sequences", "text"),
    "lstm": ("images", "sequences", "text"),
}
_NAMES = {"images": "images", "table": "a table", "sequences": "sequences", "text": "text"}


def prepare(dataset: DatasetSettings, root: str | None = None, download: bool | None = None) -> PreparedData:
    """Checks and caches the data set of these settings. root, download: instead of theirs. Raises UsageError."""
    if dataset.name == "table" and dataset.label is None:
        raise UsageError("dataset=table: say which column to predict: dataset.label=COLUMN")
    options = Options(**{field.name: getattr(dataset, field.name) for field in fields(Options)})
    fetch = dataset.download if download is None else download
    return prepare_data(dataset.name, root or dataset.root, fetch, dataset.image_size, dataset.max_pixels, options)


def check_kind(settings: RunSettings, data: PreparedData) -> None:
    """Raises UsageError where the architecture does not take the kind of data, or a setting has no effect on them."""
    name, kind, training = settings.architecture.name, data.kind, settings.training
    if kind not in KINDS[name]:
        others = [other for other, kinds in KINDS.items() if kind in kinds]
        raise UsageError(
            f"architecture={name}: takes {' or '.join(_NAMES[own] for own in KINDS[name])}, and {data.name} is "
            f"{_NAMES[kind]}; take architecture={' or '.join(others)}"
        )
    if training.augment and kind != "images":
        raise UsageError(f"training.augment=true: flips and crops images, and {data.name} is {_NAMES[kind]}")
    if data.metric == "r2" and training.target is not None:
        raise UsageError(
            f"training.target={training.target:g}: is an accuracy, and {data.name} has amounts to predict; take "
            "training.target_loss"
        )
    if data.metric == "r2" and training.label_smoothing:
        raise UsageError(
            f"training.label_smoothing={training.label_smoothing:g}: is of classes, and {data.name} has amounts to "
            "predict; take 0"
        )
