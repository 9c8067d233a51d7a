"""MNIST, Fashion-MNIST, KMNIST, CIFAR-10 and CIFAR-100, downloaded by torchvision, checked and read here.

torchvision does not check MNIST's extracted files, prefers files of torch.save beside them, and reads CIFAR with an
unpickler that runs what the file says. Here what is read are the bytes that were checked.
"""

import contextlib
import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray

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
_LARGEST_CIFAR = 2**28  # bytes; the largest published file, the training set of CIFAR-100, has 155,249,918


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
            cls = _torchvision_class(name)
            source = cls.__new__(cls)  # its constructor would also load files
            source.root = str(root)
            source.download()
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("Tried")]
        reason = lines[-1][:200] if lines else type(error).__name__  # torchvision lists all mirrors
        raise UsageError(
            f"dataset={name}: {missing} is missing and the download failed ({reason}); connect this machine, "
            "or set dataset.root to a folder that holds the files"
        ) from error


def read_torchvision(name: str, root: Path) -> tuple[Any, int]:
    """((train images, train labels, test images, test labels), classes), every file checked. Raises UsageError."""
    parts = _read_cifar(name, root) if name in _CIFAR_FOLDERS else _read_idx(name, root)
    classes = 100 if name == "cifar100" else 10
    for labels in (parts[1], parts[3]):
        if labels.min() < 0 or labels.max() >= classes:
            raise UsageError(f"dataset={name}: a label in {_folder(name, root)} is not from 0 to {classes - 1}")
    return tuple(parts), classes


def _refetch(name: str) -> str:
    return f"delete it and run `actbench data fetch {name}`"


def _read_idx(name: str, root: Path) -> list[Any]:
    """The four idx files (format: http://yann.lecun.com/exdb/mnist): size, header and, where known, MD5 are checked.

    The size is checked before a byte is read: a file may be larger than the memory.
    """
    parts: list[Any] = []
    for index, (file, shape) in enumerate(zip(_IDX_FILES, IDX_SHAPES, strict=True)):
        path = _folder(name, root) / file
        header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        size = len(header) + int(np.prod(shape))
        content = _read_bytes(name, path, size)
        if len(content) < size:
            raise UsageError(f"dataset={name}: {path} is truncated: {len(content)} of {size} bytes; {_refetch(name)}")
        if len(content) > size or not content.startswith(header):
            raise UsageError(f"dataset={name}: {path} is not the idx file it should be; {_refetch(name)}")
        known = IDX_MD5.get(name)
        if known and hashlib.md5(content, usedforsecurity=False).hexdigest() != known[index]:
            raise UsageError(f"dataset={name}: {path} is corrupt (its MD5 sum is wrong); {_refetch(name)}")
        values = np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)
        parts.append(values[..., None] if len(shape) == 3 else values.astype(np.int64))
    return parts


def _read_cifar(name: str, root: Path) -> list[Any]:
    """The batches of CIFAR, of which each file's MD5 sum is checked."""
    cls, folder = _torchvision_class(name), _folder(name, root)
    contents = {
        file: _checked_bytes(name, folder / file, known)
        for file, known in (*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"]))
    }
    parts: list[Any] = []
    for files in (cls.train_list, cls.test_list):
        batches = [_batch(name, folder / file, contents[file]) for file, _ in files]
        images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = [label for batch in batches for label in batch["labels" if "labels" in batch else "fine_labels"]]
        parts += [np.ascontiguousarray(images, dtype=np.uint8), np.array(labels, dtype=np.int64)]
    return parts


def _batch(name: str, path: Path, content: bytes) -> dict[str, Any]:
    try:
        return dict(_Batch(io.BytesIO(content), encoding="latin1").load())
    except pickle.UnpicklingError as error:
        raise UsageError(f"dataset={name}: {path} is no batch of images: {error}; {_refetch(name)}") from error


class _Batch(pickle.Unpickler):
    """Reads a batch of CIFAR, which is published as a pickle of a dict: arrays and plain values, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a batch may name; anything else is refused, so that no code of a file runs."""
        key = (module.replace("numpy.core", "numpy._core"), name)
        if key not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of one")
        return _ALLOWED[key]


def _dtype(text: str, align: int, copy: int) -> np.dtype[Any]:
    return np.dtype(text, align=bool(align), copy=bool(copy))  # NumPy 2.4 warns of the integers of old pickles


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): _dtype,
    ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,
}  # fmt: skip


def _checked_bytes(name: str, path: Path, md5: str) -> bytes:
    content = _read_bytes(name, path, _LARGEST_CIFAR)
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise UsageError(f"dataset={name}: {path} is truncated or corrupt (its MD5 sum is wrong); {_refetch(name)}")
    return content


def _read_bytes(name: str, path: Path, most: int) -> bytes:
    """The content of a file, of which no more than one byte beyond `most` is read."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise UsageError(f"dataset={name}: {path} cannot be read: {error.strerror}") from error
