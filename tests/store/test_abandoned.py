"""What a killed command has left RUNNING is ended; what may live is left alone."""

import os
import socket
import time
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from actbench.store.abandoned import end_abandoned

NOW = time.time()
DAY = 86400.0
MINE = {"host": socket.gethostname(), "pid": str(os.getpid())}


def free_pid() -> str:
    return str(next(pid for pid in range(2, 2**22) if not psutil.pid_exists(pid)))


@pytest.mark.parametrize(
    ("tags", "age", "status"),
    [
        ({**MINE, "kind": "sweep"}, 0.0, "RUNNING"),
        ({**MINE, "kind": "sweep", "pid": free_pid()}, 0.0, "KILLED"),
        ({**MINE, "kind": "run", "pid": free_pid()}, 0.0, None),
        ({**MINE, "kind": "summary", "pid": free_pid()}, 0.0, None),
        ({**MINE, "kind": "sweep"}, 365 * DAY, "KILLED"),  # another process has this id since
        ({**MINE, "kind": "sweep", "pid": "none"}, 0.0, "KILLED"),
        ({"host": "elsewhere", "pid": "1", "kind": "sweep"}, 6 * DAY, "RUNNING"),
        ({"host": "elsewhere", "pid": "1", "kind": "sweep"}, 8 * DAY, "KILLED"),
        ({"host": "elsewhere", "pid": "1", "kind": "run"}, 8 * DAY, "KILLED"),  # kept: it may live
        ({"kind": "of another program"}, 365 * DAY, "RUNNING"),
        ({"host": socket.gethostname()}, 365 * DAY, "RUNNING"),
    ],
)
def test_runs_of_processes_that_are_gone_are_ended(
    tags: dict[str, str], age: float, status: str | None, own_folder: Path
) -> None:
    client = MlflowClient(f"sqlite:///{own_folder}/mlflow.db")
    experiment = client.create_experiment("trial")
    client.create_run(experiment, int(1000 * (NOW - age)), tags)
    end_abandoned(client, experiment)
    assert [run.info.status for run in client.search_runs([experiment])] == ([status] if status else [])
