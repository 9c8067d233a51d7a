"""MNIST, Fashion-MNIST, KMNIST, CIFAR-10 and CIFAR-100, downloaded and read by torchvision; every file is checked here.

torchvision does not check MNIST's extracted files, so a truncated one would pass for a complete data set.
"""

import contextlib
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from actbench.errors import UsageError

_CLASSES = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}
TORCHVISION_NAMES = tuple(_CLASSES)

_IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
IDX_SHAPES = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
IDX_MD5 = {  # of the extracted files; torchvision knows only the archives'
    "mnist": (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    )
}
_CIFAR_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_CIFAR_FILES = {
    "cifar10": (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"),
    "cifar100": ("train", "test", "meta"),
}


def _folder(name: str, root: Path) -> Path:
    return root / _CIFAR_FOLDERS[name] if name in _CIFAR_FOLDERS else root / _CLASSES[name] / "raw"


def torchvision_files(name: str, root: Path, download: bool) -> list[Path]:
    """The data set's files, downloaded where missing and allowed. Raises UsageError."""
    wanted = [_folder(name, root) / file for file in _CIFAR_FILES.get(name, _IDX_FILES)]
    missing = [file for file in wanted if not file.is_file()]
    if missing and download:
        _download(name, root, missing[0])
        missing = [file for file in wanted if not file.is_file()]
    if missing:
        raise UsageError(
            f"dataset={name}: {missing[0]} is missing; run `actbench data fetch {name}` on a connected machine, "
            "or set dataset.root to the folder that holds it"
        )
    return wanted


def _torchvision_class(name: str) -> Any:
    import torchvision

    return getattr(torchvision.datasets, _CLASSES[name])


def _download(name: str, root: Path, missing: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(io.StringIO()):
            _torchvision_class(name)(root, download=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(
            f"dataset={name}: {missing} is missing and the download failed ({reason}); connect this machine, "
            "or set dataset.root to a folder that holds the files"
        ) from error


def read_torchvision(name: str, root: Path) -> tuple[Any, int]:
    """((train images, train labels, test images, test labels), classes), every file checked. Raises UsageError."""
    cls = _torchvision_class(name)
    if name in _CIFAR_FOLDERS:
        _check_cifar(name, cls, root)
    else:
        _check_idx(name, root)
    parts: list[Any] = []
    for train in (True, False):
        source = cls(root, train=train, download=False)
        images = np.asarray(source.data, dtype=np.uint8)
        parts += [images if images.ndim == 4 else images[..., None], np.asarray(source.targets, dtype=np.int64)]
    classes = 100 if name == "cifar100" else 10
    for labels in (parts[1], parts[3]):
        if labels.min() < 0 or labels.max() >= classes:
            raise UsageError(f"dataset={name}: a label in {_folder(name, root)} is not from 0 to {classes - 1}")
    return tuple(parts), classes


def _refetch(name: str) -> str:
    return f"delete it and run `actbench data fetch {name}`"


def _check_idx(name: str, root: Path) -> None:
    """Header, size and, where known, MD5 of the four idx files (format: http://yann.lecun.com/exdb/mnist)."""
    for index, (file, shape) in enumerate(zip(_IDX_FILES, IDX_SHAPES, strict=True)):
        path = _folder(name, root) / file
        content = _read_bytes(name, path)
        header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        size = len(header) + int(np.prod(shape))
        if len(content) < size:
            raise UsageError(f"dataset={name}: {path} is truncated: {len(content)} of {size} bytes; {_refetch(name)}")
        if len(content) > size or not content.startswith(header):
            raise UsageError(f"dataset={name}: {path} is not the idx file it should be; {_refetch(name)}")
        known = IDX_MD5.get(name)
        if known and hashlib.md5(content, usedforsecurity=False).hexdigest() != known[index]:
            raise UsageError(f"dataset={name}: {path} is corrupt (its MD5 sum is wrong); {_refetch(name)}")


def _check_cifar(name: str, cls: Any, root: Path) -> None:
    sums = [*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"])]
    for file, known in sums:
        path = _folder(name, root) / file
        if hashlib.md5(_read_bytes(name, path), usedforsecurity=False).hexdigest() != known:
            raise UsageError(f"dataset={name}: {path} is truncated or corrupt (its MD5 sum is wrong); {_refetch(name)}")


def _read_bytes(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"dataset={name}: {path} cannot be read: {error.strerror}") from error
