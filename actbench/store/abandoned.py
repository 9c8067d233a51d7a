"""Runs that a killed command has left RUNNING in MLflow."""

import socket
import time
from collections.abc import Mapping

import psutil
from mlflow import MlflowClient

from actbench.store.client import search_runs
from actbench.store.names import IS_RUNNING, SUMMARY

_CLOCK_ERROR = 60.0  # seconds by which a process may seem to have started after its first run
_FOREIGN_AFTER = 7 * 86400.0  # seconds after which a command of another machine counts as killed


def end_abandoned(client: MlflowClient, experiment_id: str) -> None:
    """Ends what killed commands of this machine left RUNNING; incomplete trainings and summaries are deleted.

    Whether a command of another machine lives cannot be seen from here: its runs are left alone for seven days from
    their start, and then marked as KILLED. That deletes nothing, and a command that does live ends its runs as usual.
    """
    for run in list(search_runs(client, experiment_id, IS_RUNNING)):
        tags, started = run.data.tags, run.info.start_time / 1000
        if "kind" not in tags or "host" not in tags:  # of another program
            continue
        if tags["host"] != socket.gethostname():
            if time.time() - started > _FOREIGN_AFTER:
                client.set_terminated(run.info.run_id, "KILLED")
        elif not _is_alive(tags, started):
            if tags.get("kind") in ("run", SUMMARY):
                client.delete_run(run.info.run_id)
            else:
                client.set_terminated(run.info.run_id, "KILLED")


def _is_alive(tags: Mapping[str, str], started: float) -> bool:
    """Whether the process that started a run lives: a process with its id that is not younger than the run.

    started: of the run, in seconds since 1970.
    """
    try:
        process = psutil.Process(int(tags.get("pid", "")))
        return process.create_time() <= started + _CLOCK_ERROR and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False
