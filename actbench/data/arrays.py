"""Arrays in the files of a folder, with a fingerprint by which damage is noticed.

A process compares the arrays with their fingerprint when it opens them first, and again when a file has changed since.
That notices any damage to the arrays, but no change to a file while it is mapped, and nobody who changes the arrays and
the fingerprint together.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def fingerprint(arrays: Sequence[Array]) -> str:
    """First 16 hex digits of the SHA-256 of shapes, types and values; takes about 1 s for 1 GB."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.shape, str(array.dtype))).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def open_arrays(paths: Sequence[Path], expected: str, mode: Literal["r", "c"]) -> list[Array]:
    """Maps arrays of .npy files into memory. expected: their fingerprint. mode: r to read, c for copy on write.

    Raises OSError, or ValueError where a file is no array or the fingerprint differs.
    """
    arrays = [_map(path, mode) for path in paths]
    if _fingerprint_of_files(tuple(paths), tuple(map(_state, paths))) != expected:
        raise ValueError("the checksum of its arrays differs")
    return arrays


def _map(path: Path, mode: Literal["r", "c"]) -> Array:
    try:
        return np.lib.format.open_memmap(path, mode)
    except OSError:
        raise
    except Exception as error:  # a damaged header raises errors of many types
        raise ValueError(f"{path.name} is no array") from error


def _state(path: Path) -> tuple[int, ...]:
    """What changes when a file is replaced or written."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=16)
def _fingerprint_of_files(paths: tuple[Path, ...], states: tuple[tuple[int, ...], ...]) -> str:
    """The fingerprint of arrays in files; computed once in a process for each of the files' states."""
    return fingerprint([_map(path, "r") for path in paths])
