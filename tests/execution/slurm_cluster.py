"""A real Slurm of two nodes of one CPU each on this machine, for tests and measurements."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.support import until

NODES = ("n1", "n2")
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SlurmdTimeout=10
KillWait=5
SlurmctldPort={ports[0]}
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]},{ports[2]}] CPUs=1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
SlurmdParameters=config_overrides
"""


def unavailable() -> str | None:
    """Why no Slurm can be started here; None where one can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)}: not installed (apt-get install slurm-wlm munge)"
    if importlib.util.find_spec("submitit") is None:
        return "submitit: not installed (pip install '.[slurm]')"
    return None if os.getuid() == 0 else "a Slurm of the test's own must be started as root"


class SlurmCluster:
    """The running Slurm. environment: for commands that use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Starts an authentication service of its own, the controller and both nodes."""
        values = {"host": socket.gethostname().split(".")[0], "folder": self._folder}
        text = _CONFIGURATION.format(**values, ports=_free_ports(3))
        (self._folder / "slurm.conf").write_text(text)
        for name in ("state", *(f"spool.{node}" for node in NODES)):
            (self._folder / name).mkdir()
        self._start_munge()
        self._run("slurmctld")
        for node in NODES:
            self.start_node(node)
        until(lambda: self.states() == {"idle"}, 60, 0.5)

    def _start_munge(self) -> None:
        key = self._folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        names = {"socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed", "log-file": "munge.log"}
        files = [f"--{option}={self._folder / name}" for option, name in names.items()]
        # forced, as the folder belongs to one user and munged wants its socket within reach of all
        self._run("munged", "--force", "--num-threads=2", f"--key-file={key}", *files)

    def _run(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def start_node(self, node: str) -> None:
        """Starts a node's service."""
        self._run("slurmd", "-N", node)

    def states(self) -> set[str]:
        """The states of the nodes."""
        return {line.strip(" *\n") for line in self._run("sinfo", "--noheader", "--Node", "--format=%T").splitlines()}

    def set_down(self, node: str) -> None:
        """Sets a node down, as its administrator does."""
        self._run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def resume(self, node: str) -> None:
        """Waits until a node can be used again, and resumes it if it does not return by itself."""
        if "down" in self.states():
            with contextlib.suppress(AssertionError):  # it has returned meanwhile
                self._run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        until(lambda: self.states() <= {"idle", "mixed", "allocated", "completing"}, 60, 0.5)

    def jobs(self, state: str = "running,pending,completing") -> dict[str, str]:
        """The node of each job of a state."""
        lines = self._run("squeue", "--noheader", "--array", f"--states={state}", "--format=%i %N").splitlines()
        return {line.split()[0]: line.split()[-1] for line in lines}

    def cancel(self, job: str) -> None:
        """Cancels a job."""
        self._run("scancel", job)

    def requeue(self, job: str) -> None:
        """Puts a running job back into the queue, as preemption does."""
        self._run("scontrol", "requeue", job)

    def vanish(self, node: str) -> None:
        """Kills a node's service, its jobs and their processes, as where its power fails."""
        assert self._kill(node) > 1, f"no job runs on {node}"

    def _kill(self, node: str) -> int:
        """Kills a node's daemons, the service and one for each step, and what they have started; returns how many."""
        log = str(self._folder / f"slurmd.{node}.log")  # which these daemons hold open
        daemons = [process for process in psutil.process_iter() if log in _open_files(process)]
        below = [child for daemon in daemons for child in daemon.children(recursive=True)]
        for process in [*daemons, *below]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return len(daemons)

    def _process(self, file: str) -> psutil.Process | None:
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
            return psutil.Process(int((self._folder / file).read_text()))
        return None

    def stop(self) -> None:
        """Ends all jobs and what `start` has started."""
        with contextlib.suppress(AssertionError):
            self._run("scancel", "--user=root")
            until(lambda: not self.jobs("running"), 30, 0.5)
        files = [*(f"slurmd.{node}.pid" for node in NODES), "ctld.pid", "munge.pid"]
        processes = [self._process(file) for file in files]
        for process in processes:
            if process is not None:
                process.send_signal(signal.SIGTERM)
        psutil.wait_procs([process for process in processes if process is not None], timeout=20)
        for node in NODES:
            self._kill(node)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _open_files(process: psutil.Process) -> list[str]:
    try:
        return [file.path for file in process.open_files()]
    except psutil.Error:
        return []


@contextlib.contextmanager
def slurm_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """A Slurm that runs in the block."""
    cluster = SlurmCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        time.sleep(0.5)
