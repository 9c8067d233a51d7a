"""Worker processes: forked from a server that has imported torch once, so that they start in milliseconds."""

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from actbench.execution.server import START_METHOD, start_server
from actbench.execution.worker import BEAT, EXIT_SECONDS, REPORT_EVERY, Failure, Progress, failure_of, serve
from actbench.signals import main_hidden, sigint_blocked

_START_SECONDS = 600.0  # for a worker to import torch, from a slow disk too


class WorkerProcess:
    """A worker process. gpu: the only one that it sees, as CUDA_VISIBLE_DEVICES names it; None: all."""

    def __init__(self, device: str, gpu: str | None = None) -> None:
        self._device, self._gpu = device, gpu
        context: Any = multiprocessing.get_context(START_METHOD)
        self._connection, connection = context.Pipe()
        environment = dict(os.environ) if gpu is None else {**os.environ, "CUDA_VISIBLE_DEVICES": gpu}
        self._process: Any = context.Process(target=serve, args=(connection, device, environment), daemon=True)
        start_server()
        with sigint_blocked(), main_hidden():
            self._process.start()
        connection.close()
        self._is_ready = False  # whether it has sent its first message

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self._process.pid)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return bool(self._process.is_alive())

    def again(self) -> "WorkerProcess":
        """Another worker process in the place of this one, which has died."""
        self._connection.close()
        return WorkerProcess(self._device, self._gpu)

    def ask(self, request: object, report: Callable[[Progress], None], timeout: float) -> Any:
        """The worker's answer, or a Failure. report: called with what it sends before. timeout: seconds of silence."""
        try:
            if not self._is_ready:
                if not self._connection.poll(_START_SECONDS):
                    return self._ended(f"its worker process did not start within {_START_SECONDS:.0f} s")
                self._connection.recv()
                self._is_ready = True
            self._connection.send(request)
            report_at = time.monotonic() + REPORT_EVERY  # with no records: that it trains for that long
            while self._connection.poll(timeout):
                content = self._connection.recv()
                if content is BEAT and time.monotonic() >= report_at:
                    content = Progress(())
                if isinstance(content, Progress):
                    report_at = math.inf
                    report(content)
                elif content is not BEAT:
                    return content
        except (EOFError, OSError):
            self._process.join(timeout=5)
            killed = self._process.exitcode == -signal.SIGKILL  # as by the kernel when memory runs out
            return Failure(f"its worker process died (exit code {self._process.exitcode})", killed, died=True)
        except Exception as error:  # an answer that cannot be unpickled
            return failure_of(error)
        return self._ended(f"no heartbeat for {timeout:g} s (execution.timeout)")

    def _ended(self, reason: str) -> Failure:
        """The failure of a worker process that is ended, because it is silent."""
        self._process.kill()
        self._process.join()
        return Failure(reason, died=True, silent=True)

    def terminate(self) -> None:
        """Asks the process to end."""
        self._connection.close()
        self._process.terminate()

    def join(self) -> None:
        """Waits until the process has ended, and ends one that hangs."""
        self._process.join(EXIT_SECONDS)
        self._process.kill()
        self._process.join()
