"""The folder results/<experiment>/: made, made again where it was removed, and locked for one command at a time."""

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from actbench.errors import UsageError
from actbench.signals import write_json

_ASK_EVERY = 0.5  # seconds


def results_folder(experiment: str) -> Path:
    """Creates results/<experiment>/ in the current folder. Raises UsageError where it cannot be written."""
    path = Path("results") / experiment
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write to {path.resolve()}: {error.strerror or error}; free it or run in another folder"
        ) from error
    return path


def existing_folder(path: Path) -> Path:
    """A results folder; says that it is gone, and makes it again, where it was removed while the command ran."""
    if not path.is_dir():
        print(f"{path} was removed while the command ran; it is written again", file=sys.stderr, flush=True)
        path.mkdir(parents=True, exist_ok=True)
    return path


@dataclass(frozen=True)
class _Holder:
    """The command that holds a lock. since: seconds since 1970."""

    command: str
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    since: float = field(default_factory=time.time)

    def __str__(self) -> str:
        day = "%H:%M" if time.time() - self.since < 86400 else "%Y-%m-%d %H:%M"
        where = "" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid}{where} (actbench {self.command}, since {time.strftime(day, _local(self.since))})"


def _local(seconds: float) -> time.struct_time:
    return time.localtime(seconds)


@contextlib.contextmanager
def folder_lock(folder: Path, command: str, wait: bool = True) -> Iterator[None]:
    """Holds the lock of results/<experiment>/, which is results/.<experiment>.lock; it waits for a command that does.

    command: compare, sweep, train or report; written beside the lock, in .<experiment>.holder, for others to read.
    wait: False raises UsageError instead of waiting.

    The lock is the kernel's (flock), which frees it when the process ends, however it ends. On a network file system it
    holds between hosts where that passes locks on, as NFS does since Linux 2.6.12; where it keeps them to each host, as
    Lustre mounted with localflock, it holds among commands of one host; where there are none, a line says so and the
    command goes on.
    """
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), thread_local=False)
    holder = folder.with_name(f".{folder.name}.holder")
    try:
        _acquire(lock, holder, folder, wait)
        write_json(holder, asdict(_Holder(command)))
    except OSError as error:
        problem = f"{folder} cannot be locked ({error.strerror or error}); run no second command on it meanwhile"
        print(problem, file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if lock.is_locked:
            holder.unlink(missing_ok=True)
            lock.release()


def _acquire(lock: FileLock, holder: Path, folder: Path, wait: bool) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        problem = f"{folder} is in use by {_read(holder)}"
        if not wait:
            raise UsageError(f"{problem}; wait until it has ended") from error
        print(f"{problem}; waiting", flush=True)
        lock.acquire(poll_interval=_ASK_EVERY)


def _read(path: Path) -> str:
    """Who holds a lock, as far as the file says so: it is written just after the lock is taken."""
    try:
        return str(_Holder(**json.loads(path.read_text())))
    except (OSError, ValueError, TypeError, OverflowError):
        return "another process"
