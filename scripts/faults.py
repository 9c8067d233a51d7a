"""The faults of `scripts/chaos.py`: what can happen to a sweep, at a random moment."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
SWEEP = (
    "sweep", "architecture=mlp_small", "seed=range(0,6)", "training.steps=800", "training.stack_size=2",
    "execution.workers=2", "execution.checkpoint_minutes=0.01",
)  # fmt: skip
LIMIT = 180.0  # seconds of a command
_KILLS = 34  # tries of each of the three ways to kill, 100 together
_TRIES = 3  # of each other fault

# A user's own activation that misbehaves once, in training; `once` is a file that says that it has.
OWN = """\
import ctypes, os, resource, time
from pathlib import Path

import torch

def f(z):
    once = Path(os.environ["ACTBENCH_CHAOS"])
    if z.shape[-1] > 7 and not once.exists():
        once.touch()
        {fault}
    return torch.relu(z)
"""


@dataclass
class Try:
    """A try in its folder. seconds: that the undisturbed sweep takes. blank: an empty store."""

    folder: Path
    draw: random.Random
    seconds: float
    blank: Path
    words: tuple[str, ...] = ("activation=relu,gelu",)
    environment: dict[str, str] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the command, as the leader of a process group; its output is appended to output.txt."""
        with (self.folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "actbench", *SWEEP, *self.words], cwd=self.folder, stdout=output, stderr=output,
                start_new_session=True, env=self._environment(),
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(ROOT), "ACTBENCH_CHAOS": str(self.folder / "once")}
        return {**os.environ, **own, **(self.environment or {})}

    def wait(self) -> None:
        """Until the random moment."""
        time.sleep(self.draw.uniform(0, self.seconds))

    def has_reported(self) -> bool:
        """Whether a command has said where its runs are, which it does when the store and the files have them all."""
        return b" runs in results" in (self.folder / "output.txt").read_bytes()


Fault = Callable[[Try, "subprocess.Popen[bytes]"], None]


def _send(number: signal.Signals) -> Fault:
    def act(one: Try, command: "subprocess.Popen[bytes]") -> None:
        one.wait()
        if command.poll() is None:
            os.kill(command.pid, number)

    return act


def _kill_group(one: Try, command: "subprocess.Popen[bytes]") -> None:
    one.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)


def _kill_worker(one: Try, command: "subprocess.Popen[bytes]") -> None:
    one.wait()
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(command.pid).children()
        servers = [child for child in children if "forkserver" in " ".join(child.cmdline())]
        workers = [worker for server in servers for worker in server.children()]
        if workers:
            one.draw.choice(workers + servers).kill()


def _pause(one: Try, command: "subprocess.Popen[bytes]") -> None:
    one.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGSTOP)
        time.sleep(3)
        os.killpg(command.pid, signal.SIGCONT)


def _lock_store(one: Try, command: "subprocess.Popen[bytes]") -> None:
    one.wait()
    with contextlib.closing(sqlite3.connect(one.folder / "mlflow.db", isolation_level=None)) as connection:
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("begin exclusive")
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(20)


def _delete_store(one: Try, command: "subprocess.Popen[bytes]") -> None:
    _deleted(one)


def _replace_store(one: Try, command: "subprocess.Popen[bytes]") -> None:
    if _deleted(one):
        shutil.copy(one.blank, one.folder / "mlflow.db")


def _deleted(one: Try) -> bool:
    """Deletes the store, but not after the command's last word: what is lost later is not the command's to keep."""
    one.wait()
    if one.has_reported():
        return False
    for suffix in ("", "-wal", "-shm"):
        (one.folder / f"mlflow.db{suffix}").unlink(missing_ok=True)
    return True


def _remove_results(one: Try, command: "subprocess.Popen[bytes]") -> None:
    """Removes the results, but not after the command's last word."""
    one.wait()
    if one.has_reported():
        return
    shutil.rmtree(one.folder / "results", ignore_errors=True)


def _fill_disk(one: Try, command: "subprocess.Popen[bytes]") -> None:
    """Fills the small file system of the folder to its end; it is free again when the command has ended."""
    one.wait()
    ballast = one.folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.wait(LIMIT)
    ballast.unlink()


def _second_command(one: Try, command: "subprocess.Popen[bytes]") -> None:
    one.wait()
    second = one.start()
    if (code := second.wait(LIMIT)) != 0:
        raise RuntimeError(f"the second command ended with {code}")


def _nothing(one: Try, command: "subprocess.Popen[bytes]") -> None:
    """The user's own activation is the fault."""


OWN_FAULTS = {
    "hang": "time.sleep(1000)", "exit": "os._exit(3)", "segfault": "ctypes.string_at(0)",
    "memory": "resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33)); torch.ones(2**33)",
}  # fmt: skip
FAULTS: dict[str, tuple[Fault, int]] = {  # and the tries
    "kill -9 parent": (_send(signal.SIGKILL), _KILLS),
    "kill -9 worker": (_kill_worker, _KILLS - 1),
    "kill -9 group": (_kill_group, _KILLS - 1),
    "SIGTERM": (_send(signal.SIGTERM), _TRIES),
    "SIGINT": (_send(signal.SIGINT), _TRIES),
    "SIGSTOP and SIGCONT": (_pause, _TRIES),
    "disk full": (_fill_disk, _TRIES),
    "store locked": (_lock_store, _TRIES),
    "store deleted": (_delete_store, _TRIES),
    "store replaced": (_replace_store, _TRIES),
    "results removed": (_remove_results, _TRIES),
    "two equal commands": (_second_command, _TRIES),
    **dict.fromkeys(OWN_FAULTS, (_nothing, _TRIES)),
}


def slurm_faults(cluster: Any) -> dict[str, tuple[Fault, int]]:
    """Faults of a Slurm of two nodes, `tests.execution.slurm_cluster`."""

    def act(disturb: Callable[[str, str], None]) -> Fault:
        def with_jobs(one: Try, command: "subprocess.Popen[bytes]") -> None:
            one.wait()
            jobs = sorted(cluster.jobs("running").items())
            if jobs:
                disturb(*one.draw.choice(jobs))
            with contextlib.suppress(subprocess.TimeoutExpired):
                command.wait(LIMIT)
            for node in ("n1", "n2"):
                cluster.resume(node)

        return with_jobs

    return {
        "Slurm: node down": (act(lambda job, node: cluster.set_down(node)), _TRIES),
        "Slurm: job cancelled": (act(lambda job, node: cluster.cancel(job)), _TRIES),
        "Slurm: job requeued": (act(lambda job, node: cluster.requeue(job)), _TRIES),
    }
