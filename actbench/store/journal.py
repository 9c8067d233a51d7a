"""Keeps entries that the store could not accept in files until it can; none is lost or stored twice."""

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from actbench.store.entries import Entry, Writer
from actbench.store.names import JOURNALS, WEIGHTS

ENTRIES, FILES, LOCK = "entries.jsonl", "files", ".lock"


def journals_folder() -> Path:
    """The folder with the journals of commands that run in the current folder."""
    return JOURNALS.resolve()


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
        self._lock = FileLock(self.folder / LOCK, timeout=0, thread_local=False)
        self._file: BinaryIO | None = None
        self._parents: list[Entry] = []  # those that have a line

    def append(self, entry: Entry, parents: Sequence[Entry]) -> None:
        """Writes an entry and copies of its files through to the disk. Raises OSError."""
        self._write_again_if_removed()
        file = self._file or self._create()
        new = [parent for parent in parents if parent.uid not in {written.uid for written in self._parents}]
        copies = [(f"{FILES}/{entry.uid}", artifact_folder) for _, artifact_folder in entry.files]
        for (folder, _), (copy, _) in zip(entry.files, copies, strict=True):
            shutil.copytree(folder, self.folder / copy, dirs_exist_ok=True)
        lines = [{"above": parent.to_json()} for parent in new]
        _write(file, [*lines, {"entry": replace(entry, files=copies).to_json()}])
        self._parents += new
        self.entries.append(located(replace(entry, files=copies), self.folder))

    def _create(self) -> BinaryIO:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        self._file = (self.folder / ENTRIES).open("ab", buffering=0)
        _write(self._file, [self._head])
        return self._file

    def _write_again_if_removed(self) -> None:
        """Writes all entries again where the folder was removed, without the files that went with it."""
        if self._file is None or os.fstat(self._file.fileno()).st_nlink:
            return
        entries, parents = list(self.entries), list(self._parents)
        self._release()
        self.entries.clear()
        self._parents.clear()
        for entry in entries:
            tags = {key: value for key, value in entry.tags.items() if key != WEIGHTS}
            self.append(replace(entry, tags=tags, files=[]), parents)

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._lock.release()

    def close(self) -> None:
        """Ends writing; the entries that are left are for the next command in this folder."""
        self._write_again_if_removed()
        self._release()

    def clear(self) -> None:
        """Removes the journal, whose entries are stored."""
        self.entries.clear()
        self._parents.clear()
        remove(self.folder)  # before the lock is released, so that no other command reads it
        self._release()


def _write(file: BinaryIO, lines: Sequence[object]) -> None:
    """Appends lines of JSON: all, or none where it raises OSError."""
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    before = file.seek(0, os.SEEK_END)
    try:
        while content:
            content = content[file.write(content) or 0 :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise


def located(entry: Entry, folder: Path) -> Entry:
    """An entry with its files in a journal's folder, which may have been moved together with the project."""
    return replace(entry, files=[(str(folder / name), artifact_folder) for name, artifact_folder in entry.files])


def remove(folder: Path) -> None:
    """Removes a journal, and the folder of all journals with the last of them."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


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
