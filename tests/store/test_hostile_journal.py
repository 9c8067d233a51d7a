"""A journal comes with a folder of results: one that no command has written is refused whole, in one line."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actbench.store.entries import Entry
from actbench.store.journal import Journal
from actbench.store.reader import Store

UID, PARENT = "b" * 32, "a" * 32


@pytest.fixture
def uri(own_folder: Path) -> str:
    return f"sqlite:///{own_folder}/mlflow.db"


@pytest.fixture
def journal(uri: str, own_folder: Path) -> Path:
    """The file of a journal with one run, which has weights."""
    weights = own_folder / "weights"
    weights.mkdir()
    (weights / "last.safetensors").write_text("as it was")
    (own_folder / "secret").mkdir()
    (own_folder / "secret/key").write_text("secret")
    kept = Journal(uri, "trial", PARENT)
    parent = Entry(PARENT, "sweep", {"kind": "sweep"})
    run = Entry(UID, "run", {"kind": "run"}, PARENT, "FINISHED", {"lr": "1"}, [("x", float("nan"), 1, 1)])
    kept.append(Entry(**{**vars(run), "files": [(str(weights), "weights")]}), [parent])
    kept.close()
    return kept.folder / "entries.jsonl"


def stored(folder: Path) -> int:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        return int(connection.execute("select count(*) from runs").fetchone()[0])


def changed(path: Path, **fields: Any) -> None:
    """Changes fields of the journal's entry."""
    head, above, line = path.read_text().splitlines()
    entry = json.loads(json.loads(line)["entry"]) | fields
    path.write_text("\n".join([head, above, json.dumps({"entry": json.dumps(entry)})]) + "\n")


def test_an_unchanged_journal_is_written(uri: str, journal: Path, own_folder: Path) -> None:
    Store(uri, "trial")
    assert stored(own_folder) == 2
    assert not journal.parent.parent.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"files": [["/etc", "weights"]]},
        {"files": [["../../../secret", "weights"]]},
        {"files": [[f"files/{UID}/../../../../../secret", "weights"]]},
        {"files": [["files", "weights"]]},
        {"files": [[f"files/{UID}", "../../elsewhere"]]},
        {"files": [f"files/{UID}"]},
        {"files": {"a": "b"}},
        {"uid": "x' or tags.uid != '"},
        {"uid": None},
        {"uid": ["b" * 32]},
        {"parent": "../" * 10},
        {"status": "RUNNING?"},
        {"started": "now"},
        {"started": 10**30},
        {"started": -1},
        {"started": 1.5},
        {"tags": {}},
        {"tags": {"kind": 1}},
        {"tags": ["kind"]},
        {"tags": {"kind": "run", "a\nb": "x"}},
        {"params": {"../../x?": "1"}},
        {"points": [["x", "1", 0, 0]]},
        {"points": [["x", 1.0, 10**40, 0]]},
        {"points": [["x", 1.0]]},
        {"dataset": {"path": "x"}},
        {"__class__": "os.system"},
    ],
    ids=str,
)
def test_an_entry_with_wrong_values_refuses_the_journal(
    fields: dict[str, Any], uri: str, journal: Path, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(journal, **fields)
    check_refused(uri, journal, own_folder, capsys)


def check_refused(uri: str, journal: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, nothing stored, and nothing more is said by the next command."""
    Store(uri, "trial")
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing of it is written, and the same command trains its runs again" in line
    assert stored(folder) == 0
    assert not journal.exists()
    assert journal.with_suffix(".refused").exists() or journal.with_suffix(".refused").is_symlink()
    assert (folder / "secret/key").read_text() == "secret"
    Store(uri, "trial")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"\x00" * 100,
        b"[" * 100_000,
        b'{"entry": 1}',
        b'{"entry": "{}"}',
        b'{"entry": "[1]", "above": "x"}',
        b'{"other": "x"}',
        b'{"entry": "\\ud800"}',
        b'{"entry": "' + b"[" * 50_000 + b'"}',
        b"9" * 5000,
        b'{"uri": "sqlite:///mlflow.db", "experiment": ""}',
        b"",
    ],
    ids=lambda line: repr(line[:30]),
)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_line_that_no_command_writes_refuses_the_journal(
    number: int, line: bytes, uri: str, journal: Path, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = journal.read_bytes().splitlines()
    journal.write_bytes(b"".join(each + b"\n" for each in [*lines[:number], line, *lines[number:]]))
    check_refused(uri, journal, own_folder, capsys)


def link_entries(path: Path, folder: Path) -> None:
    shutil.move(path, folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


def link_weights(path: Path, folder: Path) -> None:
    shutil.rmtree(path.parent / "files" / UID)
    (path.parent / "files" / UID).symlink_to(folder / "secret")


def link_file(path: Path, folder: Path) -> None:
    (path.parent / "files" / UID / "more").symlink_to(folder / "secret/key")


def link_lock(path: Path, folder: Path) -> None:
    (path.parent / ".lock").unlink(missing_ok=True)
    (path.parent / ".lock").symlink_to(folder / "secret/key")


def make_pipe(path: Path, folder: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [link_entries, link_weights, link_file, link_lock, make_pipe])
def test_links_and_special_files_refuse_the_journal(
    change: Callable[[Path, Path], None],
    uri: str,
    journal: Path,
    own_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(journal, own_folder)
    check_refused(uri, journal, own_folder, capsys)


def test_a_link_to_a_journal_is_refused_and_its_target_left_alone(
    uri: str, journal: Path, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(journal.parent, own_folder / "elsewhere")
    journal.parent.symlink_to(own_folder / "elsewhere")
    Store(uri, "trial")
    assert "is neither a file nor a folder" in capsys.readouterr().err
    assert stored(own_folder) == 0
    assert (own_folder / "elsewhere/entries.jsonl").exists()


@pytest.mark.parametrize("kept", [0, 10, 1])
def test_an_empty_or_cut_journal_is_removed(
    kept: int, uri: str, journal: Path, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing, a part of the first line, or the first line and a part of the next."""
    first = journal.read_bytes().splitlines(keepends=True)[0]
    journal.write_bytes(first + b'{"above": "' if kept == 1 else first[:kept])
    Store(uri, "trial")
    assert capsys.readouterr().err == ""
    assert not journal.parent.parent.exists()


def test_a_cut_last_line_costs_that_line_alone(uri: str, journal: Path, own_folder: Path) -> None:
    with journal.open("ab") as file:
        file.write(b'{"entry": "{cut')
    Store(uri, "trial")
    assert stored(own_folder) == 2
    assert not journal.parent.parent.exists()


def test_a_journal_of_another_store_is_left_alone(uri: str, journal: Path, own_folder: Path) -> None:
    lines = journal.read_text().splitlines(keepends=True)
    for other in ("sqlite:///other.db", "http://127.0.0.1:1", "sqlite:///\0", "x" * 5000):
        journal.write_text("".join([json.dumps({"uri": other, "experiment": "trial"}) + "\n", *lines[1:]]))
        Store(uri, "trial")
        assert journal.exists()
    assert stored(own_folder) == 0
