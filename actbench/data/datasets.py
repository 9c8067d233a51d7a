"""Data sets as uint8 images and labels, cached on disk as plain arrays that every process maps into memory.

`prepare_data` checks the source and fills the cache; `load_data` maps it. Both compare the arrays with the fingerprint.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from actbench.data.arrays import Array, fingerprint, open_arrays
from actbench.data.image_folder import image_files, read_image_folder
from actbench.data.torchvision import TORCHVISION_NAMES, read_torchvision, torchvision_files
from actbench.errors import UsageError, one_line

CACHE_FORMAT = 2  # part of every cache key: raise it when the arrays change
PARTS = ("train_images", "train_labels", "test_images", "test_labels")

Images = npt.NDArray[np.uint8]  # (images, height, width, channels)
Labels = npt.NDArray[np.int64]  # (images,)
Arrays = tuple[Images, Labels, Images, Labels]  # train, then test

_TEST_SHARE = 0.2  # of all images, where the data have no test set of their own: scikit-learn's usual fifth


@dataclass(frozen=True)
class PreparedData:
    """A data set that is cached in `folder`.

    fingerprint: digest of images and labels, not of paths. own_test: whether its test set is the same for all runs;
    else each run draws training, validation and test images by its seed.
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
    own_test: bool = True  # which files of weights from before this field do not say

    def validation_size(self, share: float) -> int:
        """Validation examples for a share of the training images: at least 1, and not all."""
        return min(self.train - 1, max(1, round(share * self.train)))


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    files(root, download): its files, checked for presence. read(root, image_size, max_pixels): (arrays, number of
    classes). own_test: as in PreparedData; without a test set of its own all images are in the arrays of training.
    """

    files: Callable[[Path, bool], list[Path]]
    read: Callable[[Path, int | None, int | None], tuple[Arrays, int]]
    own_test: bool = True


def _digits(root: Path, size: int | None, max_pixels: int | None) -> tuple[Arrays, int]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]  # 17 grey levels
    labels = bunch.target.astype(np.int64)
    return (images, labels, images[:0], labels[:0]), 10


def _torchvision(name: str) -> Source:
    return Source(
        lambda root, download: torchvision_files(name, root, download),
        lambda root, size, max_pixels: read_torchvision(name, root),
    )


SOURCES: dict[str, Source] = {
    "digits": Source(lambda root, download: [], _digits, own_test=False),
    **{name: _torchvision(name) for name in TORCHVISION_NAMES},
    "image_folder": Source(lambda root, download: image_files(root), read_image_folder),
}


def default_root() -> Path:
    """The folder of data sets where dataset.root names none: $ACTBENCH_DATA, else in the user's cache."""
    return Path(os.environ.get("ACTBENCH_DATA") or cache_home() / "data")


def cache_home() -> Path:
    """The folder below the user's cache, $XDG_CACHE_HOME or ~/.cache, in which actbench keeps what it can make anew."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "actbench"


def prepare_data(
    name: str, root: str | None, download: bool, image_size: int | None, max_pixels: int | None = None
) -> PreparedData:
    """Checks the source and caches it as arrays; the cache's key holds the names, sizes and times of its files.

    max_pixels: of an image of a user's folder; None: any number. A cache whose arrays are not those of its fingerprint
    is reported and built again from the source. Raises UsageError in one line that names the file, what is wrong and
    what to do.
    """
    source = SOURCES[name]
    _check_root(root)
    folder = Path(root).expanduser() if root else default_root()
    if name == "image_folder" and root is None:
        raise UsageError("dataset=image_folder: say where the images are: dataset.root=DIR, with train/ and test/")
    files = source.files(folder, download)
    key = _source_key(name, folder, files, image_size)
    cached = cache_home() / "arrays" / f"{name}-{key}"
    prepared = _cached(cached, report=True)
    if prepared is not None:
        return prepared
    arrays, classes = source.read(folder, image_size, max_pixels)
    if image_size is not None:
        arrays = (_resized(arrays[0], image_size), arrays[1], _resized(arrays[2], image_size), arrays[3])
    _check(name, folder, arrays, source.own_test)
    return _write(cached, name, arrays, classes, source.own_test)


def _check_root(root: str | None) -> None:
    """Raises UsageError for a name that no folder can have."""
    try:
        os.stat(root or ".")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # said with the name of the file that is missing
    except (OSError, ValueError) as error:  # too long, a loop of links, NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"dataset.root={str(root)[:80]!r}: {reason}; name another folder") from error


def _cached(folder: Path, report: bool) -> PreparedData | None:
    """The data set in a folder of the cache; None where it is missing or damaged. report: print that it is damaged."""
    if not folder.exists():
        return None
    try:
        prepared = PreparedData(folder=str(folder), **json.loads((folder / "meta.json").read_text()))
        _open(prepared, "r")
    except (OSError, ValueError, TypeError) as error:
        problem = f"data cache {folder} is damaged ({one_line(error)})"
        if report:
            print(f"actbench: {problem}; it is built again from the source", file=sys.stderr, flush=True)
        return None
    return prepared


def _open(prepared: PreparedData, mode: Literal["r", "c"]) -> list[Array]:
    """The arrays of a data set, in the order of PARTS. Raises OSError, or ValueError where they are damaged."""
    paths = [Path(prepared.folder) / f"{part}.npy" for part in PARTS]
    arrays = open_arrays(paths, prepared.fingerprint, mode)
    image = (prepared.height, prepared.width, prepared.channels)
    train, test = prepared.train, prepared.test
    if not prepared.own_test:
        train, test = train + test, 0
    if [array.shape for array in arrays] != [(train, *image), (train,), (test, *image), (test,)]:
        raise ValueError("its arrays have other shapes than meta.json says")
    return arrays


def _source_key(name: str, root: Path, files: list[Path], image_size: int | None) -> str:
    digest = hashlib.sha256(repr((CACHE_FORMAT, name, image_size)).encode())
    for file in files:
        status = file.stat()
        digest.update(os.fsencode(f"{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n"))
    if files:
        digest.update(str(root.resolve()).encode())
    return digest.hexdigest()[:16]


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


def _check(name: str, root: Path, arrays: Arrays, own_test: bool) -> None:
    height, width = arrays[0].shape[1:3]
    if min(height, width) < 8:
        raise UsageError(f"dataset={name}: images are {height}x{width}; set dataset.image_size to 8 or more")
    if len(np.unique(arrays[1])) < 2:
        raise UsageError(f"dataset={name}: {root} holds one class only; at least two are needed")
    if len(arrays[0]) < (2 if own_test else 3) or (own_test and not len(arrays[2])):
        raise UsageError(f"dataset={name}: {root} holds too few images for a training, a validation and a test set")


def _write(cached: Path, name: str, arrays: Arrays, classes: int, own_test: bool) -> PreparedData:
    height, width, channels = arrays[0].shape[1:]
    drawn = 0 if own_test else drawn_test(len(arrays[0]))
    prepared = PreparedData(
        name, str(cached), fingerprint(arrays), height, width, channels, classes, len(arrays[0]) - drawn,
        len(arrays[2]) + drawn, own_test,
    )  # fmt: skip
    meta = {key: value for key, value in asdict(prepared).items() if key != "folder"}
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as scratch:  # renamed when complete: never a partial cache
            folder = Path(scratch) / cached.name
            folder.mkdir(mode=0o755)
            for part, values in zip(PARTS, arrays, strict=True):
                np.save(folder / f"{part}.npy", np.asarray(values))
            (folder / "meta.json").write_text(json.dumps(meta))
            if _cached(cached, report=False) is None:  # no other process has built it meanwhile
                shutil.rmtree(cached, ignore_errors=True)
                folder.rename(cached)
    except OSError as error:
        raise UsageError(
            f"cannot write the data cache {cached.parent}: {error.strerror}; set XDG_CACHE_HOME to a writable folder"
        ) from error
    return prepared


@dataclass(frozen=True)
class ImageData:
    """Torch tensors mapped from the cache: images uint8 (images, height, width, channels), labels int64 (images,).

    Where the data have no test set of their own, those of `test` are empty, and runs draw test images from `train`.
    """

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any

    @property
    def drawn_test(self) -> int:
        """Test images that each run draws from `train_images`; 0 where the data have a test set of their own."""
        return 0 if len(self.test_labels) else drawn_test(len(self.train_labels))


def drawn_test(images: int) -> int:
    """Test images of a run among all images of data without a test set of their own."""
    return max(1, round(_TEST_SHARE * images))


def load_data(prepared: PreparedData) -> ImageData:
    """The cached arrays as tensors, mapped copy on write, so that processes share the pages.

    Raises UsageError where the cache is damaged: where its arrays are not those that were prepared.
    """
    import torch

    try:
        return ImageData(*map(torch.from_numpy, _open(prepared, "c")))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"data cache {prepared.folder} is damaged ({one_line(error)}); run the command again: it builds it anew"
        ) from error
