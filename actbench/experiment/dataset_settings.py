"""The settings of a data set: conf/dataset, one field per key, and which data set takes which of them."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from actbench.experiment.marks import OUTSIDE_ID
from actbench.experiment.validation import Settings, require

# Data sets that are no images, by name.
_KINDS = {
    "shakespeare": "text", "text": "text", "adding": "sequences",
    **dict.fromkeys(("table", "breast_cancer", "wine", "diabetes"), "table"),
}  # fmt: skip
_OWN_KEYS = ("image_size", "validation", "context", "length", "label", "kind", "group", "split", "missing")
# Of these keys, by kind of data: those that must have a value, and those that may have one. All others are null.
_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "images": (("validation",), ("image_size",)),
    "table": (("validation",), ()),
    "sequences": (("validation", "length"), ()),
    "text": (("context",), ("split",)),
}
_TABLE_KEYS = ("validation", "missing"), ("label", "kind", "group", "split")  # of a table of one's own
_TAKES = {"context": ("shakespeare", "text"), "length": ("adding",), "missing": ("table",)}
_NORMALIZE = {"images": ("channel", "pixel", "none"), "table": ("column", "none"), "text": ("none",),
              "sequences": ("none",)}  # fmt: skip


class DatasetSettings(Settings):
    """conf/dataset: which data, how they are normalised and split."""

    name: Literal[
        "digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "image_folder", "shakespeare", "text",
        "table", "breast_cancer", "wine", "diabetes", "adding",
    ]  # fmt: skip
    root: Annotated[
        str | None, Field(min_length=1, description="a folder or a file"), OUTSIDE_ID
    ]  # the data enter the id by their content
    download: Annotated[bool, OUTSIDE_ID]
    image_size: Annotated[int | None, Field(ge=8, le=1024)]
    max_pixels: Annotated[int | None, Field(gt=0), OUTSIDE_ID]
    normalize: Literal["channel", "pixel", "column", "none"]
    validation: Annotated[float | None, Field(gt=0, lt=1)]
    # training.target and target_loss follow these and are part of the id
    target: Annotated[float | None, OUTSIDE_ID]
    target_loss: Annotated[float | None, OUTSIDE_ID]
    context: Annotated[int | None, Field(ge=2, le=4096)]
    length: Annotated[int | None, Field(ge=4, le=1000)]
    label: Annotated[str | None, Field(min_length=1, description="a column of the table")]
    kind: Literal["classification", "regression"] | None
    group: Annotated[str | None, Field(min_length=1, description="a column of the table")]
    split: Annotated[str | None, Field(min_length=1, description="nanogpt, or a column of the table")]
    missing: Literal["median", "error"] | None

    @model_validator(mode="after")
    def _only_keys_that_it_takes(self) -> Self:
        kind = _KINDS.get(self.name, "images")
        needed, optional = _TABLE_KEYS if self.name == "table" else _KEYS[kind]
        for key in _OWN_KEYS:
            value = getattr(self, key)
            takes = "table" if key in _TABLE_KEYS[1] else ", ".join(_TAKES.get(key, ()))
            hint = f"; it goes with dataset={takes}" if takes else ""
            wanted = f"null: {self.name} takes none{hint}"
            require(value is None or key in needed + optional, f"dataset.{key}", value, wanted)
            require(value is not None or key not in needed, f"dataset.{key}", None, f"given: {self.name} needs it")
        require(self.normalize in _NORMALIZE[kind], "dataset.normalize", self.normalize,
                f"{' or '.join(_NORMALIZE[kind])} for {self.name}")  # fmt: skip
        if kind == "text":
            require(self.split in (None, "nanogpt"), "dataset.split", self.split, "nanogpt or null")
        return self
