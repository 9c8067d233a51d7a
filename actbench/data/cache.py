"""Data sets on disk: a folder of plain arrays with what is known of them, compared with their fingerprint."""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from actbench.data.arrays import Array, open_arrays
from actbench.data.prepared import PARTS, Data, ImageData, PreparedData, TableData, TextData
from actbench.errors import UsageError, one_line

CACHE_FORMAT = 2  # part of every cache key: raise it when the arrays change


def default_root() -> Path:
    """The folder of data sets where dataset.root names none: $ACTBENCH_DATA, else in the user's cache."""
    return Path(os.environ.get("ACTBENCH_DATA") or cache_home() / "data")


def cache_home() -> Path:
    """The folder below the user's cache, $XDG_CACHE_HOME or ~/.cache, in which actbench keeps what it can make anew."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "actbench"


def cached_data(folder: Path, report: bool) -> PreparedData | None:
    """The data set in a folder of the cache; None where it is missing or damaged. report: print that it is damaged."""
    if not folder.exists():
        return None
    try:
        prepared = PreparedData(folder=str(folder), **json.loads((folder / "meta.json").read_text()))
        open_data(prepared, "r")
    except (OSError, ValueError, TypeError, KeyError) as error:  # of any content
        problem = f"data cache {folder} is damaged ({one_line(error)})"
        if report:
            print(f"actbench: {problem}; it is built again from the source", file=sys.stderr, flush=True)
        return None
    return prepared


def open_data(prepared: PreparedData, mode: Literal["r", "c"]) -> list[Array]:
    """The arrays of a data set, in the order of PARTS. Raises OSError, or ValueError where they are damaged."""
    paths = [Path(prepared.folder) / f"{part}.npy" for part in PARTS[prepared.kind]]
    arrays = open_arrays(paths, prepared.fingerprint, mode)
    if prepared.kind == "text":
        return arrays
    image = (prepared.height, prepared.width, prepared.channels)
    train, test = prepared.train, prepared.test
    if not prepared.own_test:
        train, test = train + test, 0
    if prepared.kind == "table" and len(arrays[4]):
        train = len(arrays[4])  # where groups stay together, some rows are left out of a run
    if [array.shape for array in arrays[:4]] != [(train, *image), (train,), (test, *image), (test,)]:
        raise ValueError("its arrays have other shapes than meta.json says")
    return arrays


def source_key(name: str, root: Path, files: Sequence[Path], image_size: int | None, options: Sequence[object]) -> str:
    """The part of a cache folder's name that says what is in it: the source, its files by name, size and time."""
    what = (CACHE_FORMAT, name, image_size, *options)
    digest = hashlib.sha256(repr(what).encode())
    for file in files:
        status = file.stat()
        path = "" if file == root else file.relative_to(root)
        digest.update(os.fsencode(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n"))
    if files:
        digest.update(str(root.resolve()).encode())
    return digest.hexdigest()[:16]


def store(prepared: PreparedData, arrays: Sequence[Array]) -> PreparedData:
    """Writes a data set into its folder, complete or not at all. Raises UsageError where that cannot be written."""
    cached = Path(prepared.folder)
    meta = {key: value for key, value in asdict(prepared).items() if key != "folder"}
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as scratch:  # renamed when complete: never a partial cache
            folder = Path(scratch) / cached.name
            folder.mkdir(mode=0o755)
            for part, values in zip(PARTS[prepared.kind], arrays, strict=True):
                np.save(folder / f"{part}.npy", np.asarray(values))
            (folder / "meta.json").write_text(json.dumps(meta))
            if cached_data(cached, report=False) is None:  # no other process has built it meanwhile
                shutil.rmtree(cached, ignore_errors=True)
                folder.rename(cached)
    except OSError as error:
        raise UsageError(
            f"cannot write the data cache {cached.parent}: {error.strerror}; set XDG_CACHE_HOME to a writable folder"
        ) from error
    return prepared


def load_data(prepared: PreparedData) -> Data:
    """The cached arrays as tensors, mapped copy on write, so that processes share the pages.

    Raises UsageError where the cache is damaged: where its arrays are not those that were prepared.
    """
    import torch

    try:
        return _DATA[prepared.kind](*map(torch.from_numpy, open_data(prepared, "c")))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"data cache {prepared.folder} is damaged ({one_line(error)}); run the command again: it builds it anew"
        ) from error


_DATA: Mapping[str, Callable[..., Data]] = {
    "images": ImageData, "sequences": ImageData, "table": TableData, "text": TextData,
}  # fmt: skip
