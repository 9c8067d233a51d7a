"""A signal waits until a write has ended; an interrupted command keeps finished runs and can be resumed."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from actbench.cli.main import main
from actbench.signals import check_interruption, deferred_signals, interruptible
from tests.support import COMMAND, TINY, until

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_waits_for_the_end_of_the_block(number: int) -> None:
    before = signal.getsignal(number)
    done = []

    def write() -> None:
        with deferred_signals():
            os.kill(os.getpid(), number)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert done == ["whole"]
    assert signal.getsignal(number) is before


def test_the_handler_is_restored_if_no_signal_arrives() -> None:
    before = signal.getsignal(signal.SIGINT)
    with deferred_signals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_exception_of_the_block_is_raised_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), deferred_signals():
        raise ZeroDivisionError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_callback_of_the_garbage_collector_is_not_lost(number: signal.Signals) -> None:
    class Interrupted:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            time.sleep(0.1)  # the handler raises here, and Python drops what it raises

    before = signal.getsignal(number)
    with interruptible():
        check_interruption()
        Interrupted()
        with pytest.raises(KeyboardInterrupt):
            check_interruption()
    assert signal.getsignal(number) is before
    with interruptible():
        check_interruption()  # another command is not interrupted by it


def test_an_ignored_interrupt_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_a_closed_output_pipe_stops_no_command() -> None:
    words = ["sweep", "seed=range(0,3)", "execution.workers=1", *TINY]
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()  # as `| head -0`
    _, errors = process.communicate(timeout=200)
    assert (process.returncode, errors) == (0, "")
    assert (pd.read_csv("results/sweep/runs.csv")["status"] == "finished").all()


@pytest.mark.slow
def test_an_interrupted_multirun_prints_one_line() -> None:
    words = ["train", "-m", "architecture=mlp_small", "training.steps=1000000", "training.evaluate_every=1000"]
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: _stored("RUNNING"), 200)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "actbench: interrupted"
    assert "Traceback" not in errors


@pytest.mark.slow
def test_an_interrupted_sweep_keeps_finished_runs_and_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "seed=range(0,12)", "architecture=mlp_small", "training.steps=800", "training.stack_size=2",
             "execution.workers=2"]  # fmt: skip
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until(lambda: _stored() >= 2, 200, pause=0.02)
    os.kill(process.pid, signal.SIGINT)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert "finished runs are kept" in shown
    planned = pd.read_csv("results/sweep/runs.csv", dtype=str)
    kept = planned[planned["status"] == "finished"]
    assert 2 <= len(kept) < 12
    assert (planned["status"] == "missing").sum() == 12 - len(kept)
    assert main(words) == 0
    assert f"{len(kept)} found finished, {12 - len(kept)} to train" in capsys.readouterr().out
    frame = pd.read_csv("results/sweep/runs.csv", dtype=str)
    assert len(frame) == 12
    again = frame[frame["run_id"].isin(kept["run_id"])].reset_index(drop=True)
    assert again.sort_values("run_id").reset_index(drop=True).equals(kept.sort_values("run_id").reset_index(drop=True))


def _stored(status: str = "FINISHED") -> int:
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect("file:mlflow.db?mode=ro", uri=True)) as connection:
            return int(connection.execute("select count(*) from runs where status = ?", [status]).fetchone()[0])
    except sqlite3.Error:
        return 0


def test_an_interruption_while_the_server_of_workers_starts_prints_one_traceback() -> None:
    start = "from actbench.execution.server import start_server; start_server()"
    code = f"import time; {start}; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        time.sleep(0.5)  # it imports torch
        os.killpg(process.pid, signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    assert err.count("Traceback") == 1, err  # of the process itself
