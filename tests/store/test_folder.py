"""One command at a time on a results folder; others wait and say for which."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from actbench.errors import UsageError
from actbench.store.folder import folder_lock
from tests.support import TINY, actbench, until


@pytest.fixture
def folder(own_folder: Path) -> Path:
    path = Path("results/quickstart")
    path.mkdir(parents=True)
    return path


def test_a_second_command_names_the_first_and_waits_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entered = threading.Event()

    def second() -> None:
        with folder_lock(folder, "sweep"):
            entered.set()

    thread = threading.Thread(target=second)
    with folder_lock(folder, "compare"):
        assert json.loads((folder.parent / ".quickstart.holder").read_text())["command"] == "compare"
        assert list(folder.iterdir()) == []  # whose content goes to the store
        thread.start()
        shown = until(lambda: capsys.readouterr().out)
        assert shown.startswith(f"results/quickstart is in use by process {os.getpid()} (actbench compare, since ")
        assert shown.endswith("); waiting\n")
        assert shown.count("\n") == 1
        assert not entered.is_set()
    thread.join(timeout=30)
    assert entered.is_set()
    assert not (folder.parent / ".quickstart.holder").exists()


def test_commands_on_other_folders_do_not_wait(folder: Path) -> None:
    with folder_lock(folder, "compare"), folder_lock(folder.with_name("other"), "sweep", wait=False):
        assert {path.name for path in folder.parent.glob(".*.holder")} == {".quickstart.holder", ".other.holder"}


def test_a_holder_that_was_killed_or_is_unreadable_blocks_nobody(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = folder.parent / ".quickstart.holder"
    holder.write_text('{"command": "compare", "pid": 1, "host": "elsewhere", "since": 0}')
    with folder_lock(folder, "compare"):
        for content in ('{"command": "sweep", "pid": 1, "host": "elsewhere", "since": 1}', "[]", "", '{"since": "x"}'):
            holder.write_text(content)
            with pytest.raises(UsageError, match="is in use by"), folder_lock(folder, "report", wait=False):
                pass
    assert capsys.readouterr().out == ""


def test_a_holder_on_another_host_is_named_with_its_host_and_day(folder: Path) -> None:
    with folder_lock(folder, "compare"):
        content = {"command": "sweep", "pid": 7, "host": "elsewhere", "since": 86400.0}
        (folder.parent / ".quickstart.holder").write_text(json.dumps(content))
        message = (
            r"is in use by process 7 on elsewhere \(actbench sweep, since 1970-01-0. ..:..\); wait until it has ended"
        )
        with pytest.raises(UsageError, match=message), folder_lock(folder, "report", wait=False):
            pass


def test_a_file_system_without_locks_stops_no_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*words: object) -> bool:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with folder_lock(folder, "compare"):
        pass
    assert "results/quickstart cannot be locked (Operation not supported)" in capsys.readouterr().err


@pytest.mark.usefixtures("command_line")
def test_report_is_refused_while_a_comparison_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with folder_lock(folder, "compare"):
        assert actbench("report", "quickstart") == 2
    error = capsys.readouterr().err
    assert f"in use by process {os.getpid()} (actbench compare" in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("command_line")
def test_a_second_command_takes_up_what_the_first_has_trained(
    own_folder: Path, capsys: pytest.CaptureFixture[str], blank_database: Path
) -> None:
    words = ["sweep", "seed=0,1", "execution.workers=1", *TINY]
    assert actbench(*words) == 0
    trained = Path("mlflow.db").read_bytes()
    shutil.copy(blank_database, own_folder)
    holds = threading.Event()

    def first() -> None:
        with folder_lock(Path("results/sweep"), "sweep"):
            holds.set()
            time.sleep(1)
            Path("mlflow.db").write_bytes(trained)

    threading.Thread(target=first).start()
    assert holds.wait(10)
    capsys.readouterr()
    assert actbench(*words) == 0
    waiting, found, *_ = capsys.readouterr().out.splitlines()
    assert waiting.endswith("waiting")
    assert found == "sweep: 2 runs, 2 found finished, 0 to train"
