"""Data sets as arrays, cached on disk as plain files that every process maps into memory.

`prepare_data` checks the source and fills the cache; `load_data` maps it. Both compare the arrays with the fingerprint.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from actbench.data.arrays import Array, fingerprint
from actbench.data.cache import cache_home, cached_data, default_root, load_data, open_data, source_key, store
from actbench.data.image_folder import image_files, read_image_folder
from actbench.data.prepared import (
    PARTS,
    Data,
    ImageData,
    Loaded,
    Options,
    PreparedData,
    TableData,
    TextData,
    drawn_test,
)
from actbench.data.sequences import adding_problem
from actbench.data.table import SKLEARN_TABLES, left_out, read_own_table, sklearn_table
from actbench.data.table_file import table_files
from actbench.data.text import TEXT_NAMES, read_text, text_files, with_context
from actbench.data.torchvision import TORCHVISION_NAMES, read_torchvision, torchvision_files
from actbench.errors import UsageError

__all__ = [
    "PARTS", "Data", "ImageData", "Options", "PreparedData", "TableData", "TextData", "cache_home", "default_root",
    "drawn_test", "load_data", "prepare_data",
]  # fmt: skip
NO_OPTIONS = Options()

Images = npt.NDArray[np.uint8]  # (images, height, width, channels)
Labels = npt.NDArray[np.int64]  # (images,)
Arrays = tuple[Images, Labels, Images, Labels]  # train, then test


@dataclass(frozen=True)
class Place:
    """Where and how a source is read. files: of `Source.files`. max_pixels: of an image of a user's folder."""

    root: Path
    files: list[Path]
    image_size: int | None
    max_pixels: int | None
    options: Options


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    files(root, download): its files, checked for presence. read(place): its arrays. kind, own_test: as in PreparedData;
    without a test set of its own all examples are in the arrays of training. of_user: whether it is named by
    dataset.root alone. deciding: the options that its arrays depend on.
    """

    files: Callable[[Path, bool], list[Path]]
    read: Callable[[Place], Loaded]
    kind: Literal["images", "sequences", "table", "text"] = "images"
    own_test: bool = True
    of_user: bool = False
    deciding: tuple[str, ...] = ()


def _images(read: Callable[[Place], tuple[Arrays, int]]) -> Callable[[Place], Loaded]:
    """The source of images that `read` yields with the number of their classes."""

    def loaded(place: Place) -> Loaded:
        arrays, classes = read(place)
        if place.image_size is not None:
            size = place.image_size
            arrays = (_resized(arrays[0], size), arrays[1], _resized(arrays[2], size), arrays[3])
        return Loaded(dict(zip(PARTS["images"], arrays, strict=True)), {"classes": classes})

    return loaded


def _digits(place: Place) -> tuple[Arrays, int]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]  # 17 grey levels
    labels = bunch.target.astype(np.int64)
    return (images, labels, images[:0], labels[:0]), 10


def _torchvision(name: str) -> Source:
    return Source(
        lambda root, download: torchvision_files(name, root, download),
        _images(lambda place: read_torchvision(name, place.root)),
    )


def _text(name: str) -> Source:
    return Source(
        lambda root, download: text_files(name, root, download),
        lambda place: read_text(name, place.files[0], place.options.split),
        "text", of_user=name == "text", deciding=("split",),
    )  # fmt: skip


def _table_of_sklearn(name: str) -> Source:
    return Source(lambda root, download: [], lambda place: sklearn_table(name), "table", own_test=False)


SOURCES: dict[str, Source] = {
    "digits": Source(lambda root, download: [], _images(_digits), own_test=False),
    **{name: _torchvision(name) for name in TORCHVISION_NAMES},
    "image_folder": Source(
        lambda root, download: image_files(root),
        _images(lambda place: read_image_folder(place.root, place.image_size, place.max_pixels)), of_user=True,
    ),
    **{name: _text(name) for name in TEXT_NAMES},
    **{name: _table_of_sklearn(name) for name in SKLEARN_TABLES},
    "table": Source(
        lambda root, download: table_files(root), lambda place: read_own_table(place.files[0], place.options), "table",
        own_test=False, of_user=True, deciding=("label", "kind", "group", "split", "missing"),
    ),
    "adding": Source(
        lambda root, download: [], lambda place: adding_problem(place.options.length or 0), "sequences", own_test=False,
        deciding=("length",),
    ),
}  # fmt: skip


def prepare_data(
    name: str, root: str | None, download: bool, image_size: int | None, max_pixels: int | None = None,
    options: Options = NO_OPTIONS,
) -> PreparedData:  # fmt: skip
    """Checks the source and caches it as arrays; the cache's key holds the names, sizes and times of its files.

    max_pixels: of an image of a user's folder; None: any number. A cache whose arrays are not those of its fingerprint
    is reported and built again from the source. Raises UsageError in one line that names the file, what is wrong and
    what to do.
    """
    source = SOURCES[name]
    _check_root(root)
    folder = Path(root).expanduser() if root else default_root()
    if source.of_user and root is None:
        raise UsageError(f"dataset={name}: say where {_ROOTS[name]}")
    files = source.files(folder, download)
    key = source_key(name, folder, files, image_size, [getattr(options, option) for option in source.deciding])
    cached = cache_home() / "arrays" / f"{name}-{key}"
    prepared = cached_data(cached, report=True)
    if prepared is None:
        loaded = source.read(Place(folder, files, image_size, max_pixels, options))
        prepared = _write(cached, name, source, loaded, folder)
    if source.kind == "text":
        assert options.context is not None
        train, validation, test = (len(array) for array in open_data(prepared, "r"))
        return with_context(prepared, (train, validation, test), options.context, files[0])
    return prepared


_ROOTS = {
    "image_folder": "the images are: dataset.root=DIR, with train/ and test/",
    "text": "the text is: dataset.root=FILE, in UTF-8, or a folder that holds input.txt",
    "table": "the table is: dataset.root=FILE, a CSV or Parquet file",
}  # fmt: skip


def _check_root(root: str | None) -> None:
    """Raises UsageError for a name that no folder can have."""
    try:
        os.stat(root or ".")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # said with the name of the file that is missing
    except (OSError, ValueError) as error:  # too long, a loop of links, NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"dataset.root={str(root)[:80]!r}: {reason}; name another folder") from error


def _resized(images: Images, size: int) -> Images:
    """Images resized to size x size pixels, bilinearly with antialiasing."""
    if images.shape[1:3] == (size, size):
        return images
    import torch
    import torch.nn.functional as F

    stacked = []
    for chunk in torch.from_numpy(images).split(4096):
        pixels = chunk.permute(0, 3, 1, 2).float()
        pixels = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True, align_corners=False)
        stacked.append(pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1))
    return torch.cat(stacked).contiguous().numpy()


def _check(name: str, root: Path, arrays: Mapping[str, Array], own_test: bool) -> None:
    """Raises UsageError for images that are too small, and for too few examples or classes."""
    images, labels, test_images, _ = list(arrays.values())[:4]
    height, width = images.shape[1:3]
    if images.dtype == np.uint8 and min(height, width) < 8:
        raise UsageError(f"dataset={name}: images are {height}x{width}; set dataset.image_size to 8 or more")
    if len(np.unique(labels)) < 2:
        raise UsageError(f"dataset={name}: {root} holds one class only; at least two are needed")
    if len(images) < (2 if own_test else 3) or (own_test and not len(test_images)):
        what = "images" if images.dtype == np.uint8 else "rows"
        raise UsageError(f"dataset={name}: {root} holds too few {what} for a training, a validation and a test set")


def _sizes(name: str, kind: str, loaded: Loaded, own_test: bool) -> dict[str, Any]:
    """Fields of PreparedData: the shape of an example, and how many a run has. Those of text follow its context."""
    if kind == "text":
        return {"height": 0, "width": 1, "channels": 1, "train": 0, "test": 0}
    arrays = list(loaded.arrays.values())
    height, width, channels = arrays[0].shape[1:]
    drawn = 0 if own_test else drawn_test(len(arrays[0]))
    train = len(arrays[0]) - drawn
    if kind == "table" and len(groups := loaded.arrays["groups"]):
        train -= left_out(groups, parts=1 if own_test else 2)
        if train < 2:
            raise UsageError(
                f"dataset.group: the {groups.max() + 1} groups of {name} are too few for their sizes; a training, a "
                "validation and a test part need at least three of similar size"
            )
    return {"height": height, "width": width, "channels": channels, "train": train, "test": len(arrays[2]) + drawn}


def _write(cached: Path, name: str, source: Source, loaded: Loaded, root: Path) -> PreparedData:
    own_test = bool(loaded.fields.get("own_test", source.own_test))
    if source.kind != "text":
        _check(name, root, loaded.arrays, own_test)
    arrays = [loaded.arrays[part] for part in PARTS[source.kind]]
    sizes = _sizes(name, source.kind, loaded, own_test)
    fields = {"own_test": own_test, **loaded.fields, **sizes, "kind": source.kind}
    prepared = PreparedData(name=name, folder=str(cached), fingerprint=fingerprint(arrays), **fields)
    return store(prepared, arrays)
