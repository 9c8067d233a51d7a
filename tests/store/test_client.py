"""Stores other than a file: an MLflow server that is killed and restarted, and a PostgreSQL server."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from actbench.cli.main import main
from actbench.cli.ui import HOST, SERVER_ENVIRONMENT, wait_for_server
from actbench.store import outbox
from actbench.store.entries import Writer
from actbench.store.reader import Store
from actbench.store.writer import ParentRun

SWEEP = ("architecture=mlp_small", "training.steps=20", "training.measure_every=0", "execution.workers=1")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(folder: Path, port: int) -> Iterator[str]:
    """An MLflow server on the database of a folder; killed outright at the end."""
    words = [
        sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files"),
    ]  # fmt: skip
    process = subprocess.Popen(
        words, cwd=folder, env=os.environ | SERVER_ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with open(os.devnull, "rb") as nothing:
            wait_for_server(process, port, nothing)
        yield f"http://{HOST}:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def runs_of(uri: str, experiment: str) -> list[Any]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id], max_results=1000)) if found else []


def check_complete(uri: str, experiment: str, planned: pd.DataFrame) -> None:
    """Every run is there once, with every point once, and nothing is left running."""
    client, found = MlflowClient(uri), runs_of(uri, experiment)
    children = [run for run in found if run.data.tags["kind"] == "run"]
    assert Counter(run.data.tags["run_id_hash"] for run in children) == Counter(planned["run_id"])
    assert {run.info.status for run in found} == {"FINISHED"}
    values = planned.set_index("run_id")
    for run in children:
        row = values.loc[run.data.tags["run_id_hash"]]
        assert run.data.metrics["test_accuracy"] == row["test_accuracy"]
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "val_accuracy")]
        assert sorted(set(steps)) == sorted(steps)
        assert max(steps) == row["steps"]
        assert len(run.inputs.dataset_inputs) == 1
    (parent,) = (run for run in found if run.data.tags["kind"] == "sweep")
    assert "runs.csv" in {file.path for file in client.list_artifacts(parent.info.run_id)}


@pytest.fixture(scope="module")
def service_folder(tmp_path_factory: pytest.TempPathFactory, blank_database: Path) -> Path:
    return Path(shutil.copy(blank_database, tmp_path_factory.mktemp("service"))).parent


@pytest.mark.slow
def test_a_server_killed_and_restarted_during_a_sweep_loses_and_duplicates_no_run(
    service_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed while it takes the 4th run, which exists and is still empty; back before the 9th of 12."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outbox, "RETRY_AFTER", 0.0)
    monkeypatch.setattr(outbox, "RETRY_COST", 0.0)
    port, servers = free_port(), contextlib.ExitStack()
    add, fill = ParentRun.add, Writer.fill
    added: list[object] = []
    filled: list[object] = []
    journaled: list[str] = []

    def add_with_the_server_back(self: ParentRun, *arguments: Any) -> None:
        added.append(arguments)
        if len(added) == 9:
            (journal,) = (tmp_path / "results/.journal").rglob("entries.jsonl")
            journaled.extend(next(iter(json.loads(line))) for line in journal.read_text().splitlines())
            servers.enter_context(served(service_folder, port))
        add(self, *arguments)

    def fill_with_the_server_killed(self: Writer, *arguments: Any) -> None:
        filled.append(arguments)
        if len(filled) == 4:
            servers.close()
        fill(self, *arguments)

    with servers:
        uri = servers.enter_context(served(service_folder, port))
        monkeypatch.setattr(ParentRun, "add", add_with_the_server_back)
        monkeypatch.setattr(Writer, "fill", fill_with_the_server_killed)
        assert main(["sweep", "activation=relu,gelu", "seed=range(0,6)", *SWEEP, f"store.uri={uri}"]) == 0
        complaint = capsys.readouterr().err
        assert "runs are kept in" in complaint
        assert "is reachable again: 5 runs are written" in complaint
        assert journaled.count("entry") == 5
        assert not (tmp_path / "results/.journal").exists()
        check_complete(uri, "sweep", pd.read_csv(tmp_path / "results/sweep/runs.csv"))


@pytest.mark.slow
def test_entries_that_a_command_could_not_store_are_written_by_the_next(
    service_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server ends after the first run. A line that is cut short costs that line alone."""
    monkeypatch.chdir(tmp_path)
    port, add, stopped = free_port(), Store.start, contextlib.ExitStack()

    def start(self: Store, *words: Any) -> Any:
        parent = add(self, *words)
        stopped.close()
        return parent

    uri = stopped.enter_context(served(service_folder, port))
    words = ["sweep", "quickstart", "activation=relu", "seed=range(0,4)", *SWEEP, f"store.uri={uri}"]
    with monkeypatch.context() as patched:
        patched.setattr(Store, "start", start)
        assert main(words) == 1
    shown = capsys.readouterr()
    assert f"not in {uri} yet, as it is unreachable" in shown.out
    # a server that has just ended breaks an open connection and refuses a new one
    assert re.search("(no server answers|the connection broke); runs are kept in", shown.err)
    (journal,) = (tmp_path / "results/.journal").rglob("entries.jsonl")
    kinds = [next(iter(json.loads(line))) for line in journal.read_text().splitlines()]
    assert kinds == ["uri", "above", "entry", "entry", "entry", "entry", "entry"]
    with journal.open("a") as file:
        file.write('{"entry": "cut in t')
    assert main(words) == 2  # still unreachable
    assert "no server answers" in capsys.readouterr().err
    with served(service_folder, port):
        assert main(words) == 0
        shown = capsys.readouterr()
        assert "4 runs that an earlier command could not store are written" in shown.out
        assert "4 found finished, 0 to train" in shown.out
        check_complete(uri, "quickstart", pd.read_csv(tmp_path / "results/quickstart/runs.csv"))


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_a_server_that_comes_back_without_its_runs_is_not_said_to_hold_them(
    known: bool, tmp_path: Path, blank_database: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """After the 2nd of 4 runs, with an empty database. known: one in which another experiment has the same id."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outbox, "RETRY_AFTER", 0.0)
    monkeypatch.setattr(outbox, "RETRY_COST", 0.0)
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        shutil.copy(blank_database, tmp_path / name)
    if known:
        MlflowClient(f"sqlite:///{tmp_path}/after/mlflow.db").create_experiment("of another command")
    port, servers, add = free_port(), contextlib.ExitStack(), ParentRun.add
    added: list[object] = []

    def add_with_another_database(self: ParentRun, *arguments: Any) -> None:
        added.append(arguments)
        if len(added) == 3:
            servers.close()
            servers.enter_context(served(tmp_path / "after", port))
        add(self, *arguments)

    with servers:
        uri = servers.enter_context(served(tmp_path / "before", port))
        words = ["sweep", "activation=relu", "seed=range(0,4)", *SWEEP, f"store.uri={uri}"]
        with monkeypatch.context() as patched:
            patched.setattr(ParentRun, "add", add_with_another_database)
            assert main(words) == 1
        assert f"not in {uri} yet, as " in capsys.readouterr().out
        assert main(words) == 0
        assert "4 runs, 4 found finished, 0 to train" in capsys.readouterr().out
        check_complete(uri, "sweep", pd.read_csv(tmp_path / "results/sweep/runs.csv"))


POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # where Debian installs it


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[tuple[str, Callable[[str], None]]]:
    """A PostgreSQL server: its URI, and a function that starts or stops it."""
    if not POSTGRES:
        pytest.skip("no PostgreSQL server on this machine: apt-get install postgresql")
    programs, data, port = POSTGRES[-1].parent, tmp_path / "pg", free_port()
    data.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses root
        shutil.chown(data, "postgres")
        for above in (tmp_path, *tmp_path.parents):
            if above.owner() == "root" and above != Path("/") and above != Path("/tmp"):
                above.chmod(above.stat().st_mode | 0o011)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def call(*words: str | Path) -> None:
        done = subprocess.run([*as_user, *words], cwd=data, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def turn(how: str) -> None:
        options = f"-p {port} -c listen_addresses={HOST} -c unix_socket_directories={data}"
        call(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "-l", data / "log", "-o", options, how)

    call(programs / "initdb", "-D", data, "-A", "trust", "-U", "actbench", "-N")
    turn("start")
    yield f"postgresql://actbench@{HOST}:{port}/postgres", turn
    with contextlib.suppress(AssertionError):
        turn("stop")


@pytest.mark.slow
def test_postgresql_works_as_a_store_across_a_restart(
    postgres: tuple[str, Callable[[str], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    uri, turn = postgres
    monkeypatch.chdir(tmp_path)
    words = ["sweep", "architecture=mlp_small", "seed=range(0,3)", "training.steps=20", "execution.workers=1",
             f"store.uri={uri}"]  # fmt: skip
    assert main([*words, "activation=relu"]) == 0
    add = Store.start

    def start(self: Store, *given: Any) -> Any:
        parent = add(self, *given)
        turn("stop")
        return parent

    with monkeypatch.context() as patched:
        patched.setattr(Store, "start", start)
        assert main([*words, "activation=gelu"]) == 1
    assert "runs are kept in" in capsys.readouterr().err
    turn("start")
    assert main([*words, "activation=relu,gelu", "name=both"]) == 0
    assert "6 found finished (6 of another plan), 0 to train" in capsys.readouterr().out
    found = [run for run in runs_of(uri, "both") if run.data.tags["kind"] == "run"]
    assert len({run.data.tags["run_id_hash"] for run in found}) == len(found) == 6
