"""Runs that could not be stored, kept in files until they can: nothing is lost, and nothing is stored twice."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout
from mlflow import MlflowClient

from actbench.errors import UsageError
from actbench.store.client import absolute_uri, experiment_id, is_service_error, reason
from actbench.store.entries import Entry, Writer, drop_weights

_LINES, _FILES, _LOCK = "entries.jsonl", "files", ".lock"


def journals_folder() -> Path:
    """Where the journals of commands in the current folder lie."""
    return Path("results").resolve() / ".journal"


class Journal:
    """What one command could not store, in order: a line an entry. `above`: the runs under which these are folded."""

    def __init__(self, uri: str, experiment: str, name: str) -> None:
        self.folder = journals_folder() / name
        self._head = {"uri": uri, "experiment": experiment}
        self._lock = FileLock(self.folder / _LOCK, timeout=0, thread_local=False)
        self._file: TextIO | None = None
        self.waiting: list[Entry] = []
        self._above: set[str] = set()

    def keep(self, entry: Entry, above: Sequence[Entry]) -> None:
        """Written through to the disk before it returns, with a copy of its files."""
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()  # held while the command lives, so that no other command takes its journal
            self._file = (self.folder / _LINES).open("a", encoding="utf-8")
            self._line(json.dumps(self._head))
        for each in above:
            if each.uid not in self._above:
                self._above.add(each.uid)
                self._line(json.dumps({"above": each.to_json()}))
        here = [(f"{_FILES}/{entry.uid}", place) for _, place in entry.files]
        for (folder, _), (name, _) in zip(entry.files, here, strict=True):
            shutil.copytree(folder, self.folder / name, dirs_exist_ok=True)
        self._line(json.dumps({"entry": replace(entry, files=here).to_json()}))
        os.fsync(self._file.fileno())
        self.waiting.append(_found(replace(entry, files=here), self.folder))
        drop_weights(entry)

    def _line(self, text: str) -> None:
        assert self._file is not None
        self._file.write(text + "\n")
        self._file.flush()

    def close(self) -> None:
        """What still waits is another command's."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._lock.release()

    def written(self) -> None:
        """Everything is stored: the journal is gone."""
        self.waiting.clear()
        self._above.clear()
        _remove(self.folder)  # before the lock is released, so that no other command reads it
        self.close()


def _found(entry: Entry, folder: Path) -> Entry:
    """Its files where they lie: named from the journal's folder, which may have been moved with the project."""
    return replace(entry, files=[(str(folder / name), place) for name, place in entry.files])


def _remove(folder: Path) -> None:
    """A journal, and the place of all with the last of them."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def write_waiting(client: MlflowClient, uri: str) -> int:
    """Stores what ended commands of this folder have left for this service; returns how many runs.

    Raises what MLflow raises; the journal is there then as before. Damaged lines are told, and kept in a file aside.
    """
    count = 0
    for path in sorted(journals_folder().glob(f"*/{_LINES}")):
        with contextlib.suppress(Timeout), FileLock(path.parent / _LOCK, timeout=0):
            if not path.exists():  # another command has written and removed it since the search
                _remove(path.parent)
                continue
            with path.open(encoding="utf-8", errors="replace") as file:
                head, above, entries, damaged = _read(file, path.parent)
            if head is None:
                _tell(path, "its first line is damaged, nobody knows whose runs it holds; move it away")
            elif absolute_uri(head["uri"]) == absolute_uri(uri):
                writer = Writer(client, _experiment(client, uri, path, head["experiment"]))
                with _waiting(path.parent, uri):
                    write_entries(writer, above, entries)
                count += count_runs(entries)
                _done(path, damaged)
    return count


@contextlib.contextmanager
def _waiting(folder: Path, uri: str) -> Iterator[None]:
    """Says where what cannot be written lies."""
    try:
        yield
    except Exception as error:
        if not is_service_error(error):
            raise
        told = f"store.uri={uri}: {reason(error)}, while runs that wait in {folder} were written"
        raise UsageError(f"{told}; move that away to go on without them") from error


def _read(file: TextIO, folder: Path) -> tuple[dict[str, str] | None, list[Entry], list[Entry], int]:
    """(head, above, entries, number of damaged lines). A last line that was cut by a kill is one, and one whose files
    are gone."""
    head, above, entries, damaged = None, list[Entry](), list[Entry](), 0
    for line in file:
        try:
            read = json.loads(line)
            if head is None:
                head = {"uri": str(read["uri"]), "experiment": str(read["experiment"])}
            elif "above" in read:
                above.append(Entry.from_json(read["above"]))
            else:
                entry = _found(Entry.from_json(read["entry"]), folder)
                if not all(Path(each).is_dir() for each, _ in entry.files):
                    raise ValueError("its files are gone")
                entries.append(entry)
        except (ValueError, KeyError, TypeError):
            damaged += 1
    return head, above, entries, damaged


def _experiment(client: MlflowClient, uri: str, path: Path, name: str) -> str:
    try:
        return experiment_id(client, uri, name)
    except UsageError as error:
        raise UsageError(f"{error}; runs of it wait in {path}: move that away to go on without them") from error


def _done(path: Path, damaged: int) -> None:
    if not damaged:
        _remove(path.parent)
        return
    kept = path.with_suffix(".damaged")
    path.rename(kept)
    _tell(kept, f"{damaged} damaged lines could not be written; the same command trains their runs again")


def _tell(path: Path, what: str) -> None:
    print(f"actbench: {path}: {what}", file=sys.stderr, flush=True)


def count_runs(entries: Sequence[Entry]) -> int:
    """How many of them are trainings."""
    return sum(entry.tags["kind"] == "run" for entry in entries)


def write_entries(writer: Writer, above: Sequence[Entry], entries: Sequence[Entry]) -> None:
    """above: parents before what is folded under them. An entry of an `above` is that run's end."""
    for entry in above:
        writer.ensure(entry)
    for entry in entries:
        if entry.uid in {each.uid for each in above}:
            writer.fill(writer.ids[entry.uid], entry, entry.tags)
        else:
            writer.write_again(entry)
