"""Reads the journals that ended commands have left, and writes them into the store.

A journal comes with a folder of results, which may be of another user: it is checked as a whole before it is used.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from actbench.errors import UsageError
from actbench.store.client import absolute_uri, experiment_id, is_service_error, reason
from actbench.store.entries import Entry, Writer
from actbench.store.journal import (
    ENTRIES,
    FILES,
    LOCK,
    count_trainings,
    journals_folder,
    located,
    remove,
    write_entries,
)
from actbench.store.sqlite import Watch

_Uid = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
_Key = Annotated[str, Field(pattern=r"^[\w.\-/: ]+$", max_length=250)]  # that MLflow takes
_Integer = Annotated[int, Field(ge=0, lt=2**63)]  # that a database takes


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Head(_Strict):
    uri: str
    experiment: Annotated[str, Field(min_length=1)]


class _Above(_Strict):
    above: str


class _Line(_Strict):
    entry: str


class _Fields(_Strict):
    """The fields of an entry, with the values that they may have."""

    uid: _Uid
    name: str
    tags: dict[_Key, str]
    parent: _Uid | None
    status: Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
    params: dict[_Key, str]
    points: list[tuple[_Key, float, _Integer, _Integer]]
    dataset: dict[Literal["name", "digest", "source_type", "source", "schema", "profile"], str]
    files: list[tuple[str, Literal["weights"] | None]]
    started: _Integer


_LINE: TypeAdapter[_Above | _Line] = TypeAdapter(_Above | _Line)


class _Refused(ValueError):
    """A journal that is not as a command writes it."""


@dataclass
class _Contents:
    """head: None where no line of the journal is whole. lost: number of entries whose files are gone."""

    head: _Head | None = None
    parents: list[Entry] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    lost: int = 0


def write_journals(client: MlflowClient, uri: str) -> int:
    """Stores the entries that ended commands in this folder kept for this store; returns how many are trainings.

    Raises UsageError where the store does not take it; the journal then stays as it is. A journal that is empty is
    removed. One that is malformed, or names files outside itself, is reported and renamed to *.refused, so that it is
    not read again; one with lost entries to *.damaged.
    """
    count = 0
    for path in sorted(journals_folder().glob(f"*/{ENTRIES}")):
        try:
            _check_files(path.parent)
            with FileLock(path.parent / LOCK, timeout=0):
                count += _write_journal(client, uri, path)
        except Timeout:  # its command is running
            continue
        except _Refused as error:
            _set_aside(
                path, ".refused", f"{error}; nothing of it is written, and the same command trains its runs again"
            )
    return count


def _write_journal(client: MlflowClient, uri: str, path: Path) -> int:
    """Stores one journal, if it is for this store; returns how many of its entries are trainings."""
    if not path.exists():  # another command has written and removed it since the search
        remove(path.parent)
        return 0
    contents = _read(path)
    if contents.head is None or not (contents.entries or contents.lost):
        remove(path.parent)
        return 0
    if not _is_same(contents.head.uri, uri):
        return 0
    with _journal_errors(uri, path):
        watch = Watch(uri)
        writer = Writer(client, experiment_id(client, uri, contents.head.experiment), watch)
        write_entries(writer, contents.parents, contents.entries)
        watch.check()
    if contents.lost:
        problem = f"{contents.lost} runs whose files are gone are not written; the same command trains them again"
        _set_aside(path, ".damaged", problem)
    else:
        remove(path.parent)
    return count_trainings(contents.entries)


def _is_same(uri: str, other: str) -> bool:
    try:
        return absolute_uri(uri) == absolute_uri(other)
    except (OSError, ValueError, RuntimeError):  # no path at all
        return False


@contextlib.contextmanager
def _journal_errors(uri: str, path: Path) -> Iterator[None]:
    """Turns errors of the service into UsageError that names the journal."""
    hint = "move that away to go on without them"
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{error}; runs of it wait in {path}: {hint}") from error
    except Exception as error:
        if not is_service_error(error):
            raise
        problem = f"store.uri={uri}: {reason(error)}, while runs that wait in {path.parent} were written"
        raise UsageError(f"{problem}; {hint}") from error


def _check_files(journal: Path) -> None:
    """Raises _Refused for a journal with a link or a special file: its content would be written into the store."""
    for folder, folders, files in os.walk(journal):
        for path in [Path(folder), *(Path(folder, name) for name in (*folders, *files))]:
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise _Refused(f"{path.relative_to(journal.parent)} is neither a file nor a folder")


def _read(path: Path) -> _Contents:
    """Reads a journal. Raises _Refused where it is malformed.

    The last line may be cut short, by a kill: the same command trains its run again.
    """
    contents = _Contents()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                if contents.head is None:
                    contents.head = _Head.model_validate_json(line)
                else:
                    _take(contents, _LINE.validate_json(line), path.parent)
            except (ValidationError, ValueError) as error:
                if not line.endswith(b"\n"):
                    break
                problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
                raise _Refused(f"line {number} is malformed: {problem}") from error
    return contents


def _take(contents: _Contents, line: _Above | _Line, journal: Path) -> None:
    """Adds a line to the contents. Raises ValueError where it is not as a command writes it."""
    fields = _Fields.model_validate_json(line.entry if isinstance(line, _Line) else line.above)
    if "kind" not in fields.tags:
        raise ValueError("a run without a kind")
    entry = Entry(**dict(fields))
    if any(name != f"{FILES}/{entry.uid}" for name, _ in entry.files):
        raise ValueError("it names files outside the journal")
    if isinstance(line, _Above):
        contents.parents.append(entry)
    elif all((journal / name).is_dir() for name, _ in entry.files):
        contents.entries.append(located(entry, journal))
    else:
        contents.lost += 1


def _set_aside(path: Path, suffix: str, problem: str) -> None:
    """Renames a journal, so that no command reads it again, and says why; leaves what is behind a link alone."""
    renamed = path
    if not path.parent.is_symlink():
        renamed = path.rename(path.with_suffix(suffix))
    print(f"actbench: {' '.join(str(renamed).split())}: {problem}", file=sys.stderr, flush=True)
