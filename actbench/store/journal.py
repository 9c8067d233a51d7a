"""Keeps entries that the store could not accept in files until it can; none is lost or stored twice."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout
from mlflow import MlflowClient

from actbench.errors import UsageError
from actbench.store.client import absolute_uri, experiment_id, is_service_error, reason
from actbench.store.entries import Entry, Writer, drop_weights

_ENTRIES, _FILES, _LOCK = "entries.jsonl", "files", ".lock"


def journals_folder() -> Path:
    """The folder with the journals of commands that run in the current folder."""
    return Path("results").resolve() / ".journal"


class Journal:
    """The entries that one command could not store, in order, in a folder of its own.

    entries.jsonl: a line with the store's URI and the experiment, then one line for each parent run, under the key
    `above`, and for each entry, under the key `entry`. files/: copies of the entries' files. .lock: a lock that is
    held while the command lives, so that no other command takes its journal.
    """

    def __init__(self, uri: str, experiment: str, name: str) -> None:
        self.folder = journals_folder() / name
        self.entries: list[Entry] = []
        self._head = {"uri": uri, "experiment": experiment}
        self._lock = FileLock(self.folder / _LOCK, timeout=0, thread_local=False)
        self._file: TextIO | None = None
        self._parents: set[str] = set()  # uids of those that have a line

    def append(self, entry: Entry, parents: Sequence[Entry]) -> None:
        """Writes an entry and copies of its files through to the disk. Raises OSError."""
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._file = (self.folder / _ENTRIES).open("a", encoding="utf-8")
            self._write(self._file, json.dumps(self._head))
        for parent in parents:
            if parent.uid not in self._parents:
                self._parents.add(parent.uid)
                self._write(self._file, json.dumps({"above": parent.to_json()}))
        copies = [(f"{_FILES}/{entry.uid}", artifact_folder) for _, artifact_folder in entry.files]
        for (folder, _), (copy, _) in zip(entry.files, copies, strict=True):
            shutil.copytree(folder, self.folder / copy, dirs_exist_ok=True)
        self._write(self._file, json.dumps({"entry": replace(entry, files=copies).to_json()}))
        os.fsync(self._file.fileno())
        self.entries.append(_located(replace(entry, files=copies), self.folder))
        drop_weights(entry)

    def _write(self, file: TextIO, line: str) -> None:
        file.write(line + "\n")
        file.flush()

    def close(self) -> None:
        """Ends writing; the entries that are left are for the next command in this folder."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._lock.release()

    def clear(self) -> None:
        """Removes the journal, whose entries are stored."""
        self.entries.clear()
        self._parents.clear()
        _remove(self.folder)  # before the lock is released, so that no other command reads it
        self.close()


def _located(entry: Entry, folder: Path) -> Entry:
    """An entry with its files in a journal's folder, which may have been moved together with the project."""
    return replace(entry, files=[(str(folder / name), artifact_folder) for name, artifact_folder in entry.files])


def _remove(folder: Path) -> None:
    """Removes a journal, and the folder of all journals with the last of them."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def write_journals(client: MlflowClient, uri: str) -> int:
    """Stores the entries that ended commands in this folder kept for this store; returns how many are trainings.

    Raises UsageError where the store does not take it; the journal then stays as it is. Damaged lines are reported, and
    kept in a file with the suffix .damaged.
    """
    count = 0
    for path in sorted(journals_folder().glob(f"*/{_ENTRIES}")):
        with contextlib.suppress(Timeout), FileLock(path.parent / _LOCK, timeout=0):
            if not path.exists():  # another command has written and removed it since the search
                _remove(path.parent)
                continue
            contents = _read(path)
            if contents.head is None:
                _warn(path, "its first line is damaged, so its store is unknown; move it away")
            elif absolute_uri(contents.head["uri"]) == absolute_uri(uri):
                with _journal_errors(uri, path):
                    writer = Writer(client, experiment_id(client, uri, contents.head["experiment"]))
                    write_entries(writer, contents.parents, contents.entries)
                count += count_trainings(contents.entries)
                _discard(path, contents.damaged)
    return count


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


@dataclass
class _Contents:
    """head: the store's URI and the experiment. damaged: number of lines that could not be read."""

    head: dict[str, str] | None = None
    parents: list[Entry] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    damaged: int = 0


def _read(path: Path) -> _Contents:
    """Reads a journal. A line cut short by a kill counts as damaged, as does an entry whose files are gone."""
    contents = _Contents()
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                values = json.loads(line)
                if contents.head is None:
                    contents.head = {"uri": str(values["uri"]), "experiment": str(values["experiment"])}
                elif "above" in values:
                    contents.parents.append(Entry.from_json(values["above"]))
                else:
                    entry = _located(Entry.from_json(values["entry"]), path.parent)
                    if not all(Path(folder).is_dir() for folder, _ in entry.files):
                        raise ValueError("its files are gone")
                    contents.entries.append(entry)
            except (ValueError, KeyError, TypeError):
                contents.damaged += 1
    return contents


def _discard(path: Path, damaged: int) -> None:
    """Removes a journal that is stored, except for one with damaged lines."""
    if not damaged:
        _remove(path.parent)
        return
    renamed = path.with_suffix(".damaged")
    path.rename(renamed)
    _warn(renamed, f"{damaged} damaged lines could not be written; the same command trains their runs again")


def _warn(path: Path, problem: str) -> None:
    print(f"actbench: {path}: {problem}", file=sys.stderr, flush=True)


def count_trainings(entries: Sequence[Entry]) -> int:
    """How many of the entries are trainings, and not parent runs."""
    return sum(entry.tags["kind"] == "run" for entry in entries)


def write_entries(writer: Writer, parents: Sequence[Entry], entries: Sequence[Entry]) -> None:
    """Writes parent runs, then entries. parents: each after its own parent. An entry of a parent run ends that run."""
    for parent in parents:
        writer.ensure(parent)
    parent_uids = {parent.uid for parent in parents}
    for entry in entries:
        if entry.uid in parent_uids:
            writer.fill(writer.ids[entry.uid], entry, entry.tags)
        else:
            writer.rewrite(entry)
