"""Tasks of Ray: a running cluster by its address, or one on this machine."""

import os
import signal
import socket
from collections.abc import Collection, Sequence
from typing import Any

from actbench.errors import UsageError
from actbench.execution.job_worker import Order, work
from actbench.execution.server import MALLOC
from actbench.experiment.command import RaySettings

_MISSING = "execution=ray needs Ray: pip install 'actbench[ray]'"
_INHERITED = ("PYTHONPATH", "XDG_CACHE_HOME", "ACTBENCH_DATA", "MKL_CBWR")  # as worker processes do


class Ray:
    """A cluster of Ray. Its tasks end with the command. Raises UsageError where it cannot be reached."""

    name, logs = "ray", "the logs of Ray"

    def __init__(self, settings: RaySettings, workers: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise UsageError(_MISSING) from error
        self._ray = ray
        _check_address(settings.address)
        variables = MALLOC | {key: os.environ[key] for key in _INHERITED if key in os.environ}
        local = {"num_cpus": workers, "include_dashboard": False} if settings.address is None else {}
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ray.init(
                address=settings.address or "local", runtime_env={"env_vars": variables}, log_to_driver=False,
                logging_level="ERROR", **local,
            )  # fmt: skip
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise UsageError(
                f"execution.ray.address={settings.address}: {str(error).strip().splitlines()[0]}"
            ) from error
        finally:
            for number, handler in handlers.items():  # Ray's own would end the command at once
                signal.signal(number, handler)
        # A lost task is submitted again by the command, which counts the retries of each stack.
        self._work = ray.remote(num_cpus=1, num_gpus=settings.gpus, max_retries=0, max_calls=1)(work)
        self._tasks: dict[str, Any] = {}  # by id

    def submit(self, order: Order, names: Sequence[str]) -> list[str]:
        """Submits tasks."""
        references = [self._work.remote(order, name) for name in names]
        submitted = {reference.hex(): reference for reference in references}
        self._tasks |= submitted
        return list(submitted)

    def alive(self, ids: Collection[str]) -> dict[str, bool]:
        """Those of this command that have not ended; Ray does not say which of them run."""
        known = [self._tasks[id] for id in ids if id in self._tasks]
        if not known:
            return {}
        waiting = self._ray.wait(known, num_returns=len(known), timeout=0)[1]
        return {reference.hex(): True for reference in waiting}

    def cancel(self, ids: Collection[str]) -> None:
        """Kills the tasks' processes."""
        for id in ids:
            if id in self._tasks:
                self._ray.cancel(self._tasks[id], force=True)

    def close(self) -> None:
        """Leaves the cluster; one of this command's own ends."""
        self._ray.shutdown()


def _check_address(address: str | None) -> None:
    """Raises UsageError where nothing listens at HOST:PORT; Ray itself tries for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal():  # auto, ray://..., or a cluster of this machine
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"execution.ray.address={address}: nothing answers there ({error}); see `ray status`"
        ) from error
