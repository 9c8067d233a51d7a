"""Trains stacks in this process, or in single-threaded worker processes: one per core, or one per GPU.

Workers run as long as the pool, so that imports and data are loaded once. A failure of one stack does not stop the
others: a stack that runs out of memory is halved; one that raises, whose worker dies or which sends no heartbeat is
tried again run by run, so that only the run at fault fails.
"""

import contextlib
import math
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from actbench.errors import one_line
from actbench.execution.devices import device_name, environment_variable, memory_per_worker, visible_gpus
from actbench.execution.retries import Retries
from actbench.execution.worker import (
    BEAT,
    EXIT_SECONDS,
    NOTHING,
    REPORT_EVERY,
    Failure,
    Progress,
    Saving,
    failure_of,
    release_memory,
    serve,
    train_and_report,
    train_stack,
    use_one_thread,
)
from actbench.signals import sigint_blocked, stop_requests
from actbench.training.results import Record, Result, position
from actbench.training.stacks import Stack

# glibc's malloc gives large blocks back to the system, and every step asks for them again: measured, this makes sweeps
# 2 % (Transformer), 4 % (MLP) and 14 % (CNN) faster. Values that the user has set are kept.
MALLOC = {  # bytes
    "MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_TOP_PAD_": "200000000",
}  # fmt: skip
TIMEOUT = 120.0  # seconds: execution.timeout
_START_SECONDS = 600.0  # for a worker to import torch, from a slow disk too
_CALL_TIMEOUTS = 10  # a call sends no heartbeats, and may take as many times the timeout

OnRecords = Callable[[Stack, Sequence[Record]], None]

_Outcome = tuple[Stack, list[Result] | Failure]
_Messages = queue.Queue[tuple[int, Stack, list[Result] | Failure | Progress]]  # the first: index of the worker


class Pool:
    """Context manager that trains stacks.

    in_process: train in this process; by default for one worker. timeout: seconds without a heartbeat after which a
    worker is ended.
    """

    def __init__(
        self, device: str, workers: int, in_process: bool | None = None, saving: Saving = NOTHING,
        timeout: float = TIMEOUT,
    ) -> None:  # fmt: skip
        self.device, self.workers, self._saving, self._timeout = device, workers, saving, timeout
        self.in_process = workers == 1 if in_process is None else in_process
        self._context = multiprocessing.get_context("spawn")
        self._gpus = visible_gpus() if device == "cuda" else []
        self._processes: list[Any] = []
        self._connections: list[Connection] = []
        self._ready: list[bool] = []  # whether a worker has sent its first message

    @property
    def memory(self) -> int:
        """Free bytes of the GPU for each worker, for `pack_stacks`."""
        return memory_per_worker(self.device, self.workers)

    @property
    def worker_ids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid for process in self._processes]

    def __enter__(self) -> "Pool":
        use_one_thread()
        if not self.in_process:
            for worker in range(self.workers):
                self._start(worker)
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(EXIT_SECONDS)
            process.kill()  # one that hangs
            process.join()

    def _start(self, worker: int) -> None:
        """Starts a worker process, the first or another of that index."""
        for key, value in MALLOC.items():
            os.environ.setdefault(key, value)
        connection, worker_connection = self._context.Pipe()
        process = self._context.Process(target=serve, args=(worker_connection, self.device), daemon=True)
        with sigint_blocked(), self._one_gpu(worker):
            process.start()
        worker_connection.close()
        if worker == len(self._processes):
            self._processes.append(process)
            self._connections.append(connection)
            self._ready.append(False)
        else:
            self._connections[worker].close()
            self._processes[worker], self._connections[worker], self._ready[worker] = process, connection, False

    def _one_gpu(self, worker: int) -> contextlib.AbstractContextManager[object]:
        """A process that is started in the block sees one GPU only; workers share the GPUs in turn."""
        if not self._gpus:
            return contextlib.nullcontext()
        return environment_variable("CUDA_VISIBLE_DEVICES", self._gpus[worker % len(self._gpus)])

    def _usable(self, worker: int) -> int:
        """The worker, which is started again where it has died."""
        if not self._processes[worker].is_alive():
            self._start(worker)
        return worker

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Returns the value of a function, called in an idle process. Raises RuntimeError where it fails."""
        if self.in_process:
            try:
                return function(*arguments)
            except (Exception, SystemExit) as error:
                raise RuntimeError(one_line(error)) from error
        answer = self._ask(
            self._usable(0), (function, arguments), lambda progress: None, _CALL_TIMEOUTS * self._timeout
        )
        if isinstance(answer, Failure):
            raise RuntimeError(answer.message)
        return answer

    def run(
        self, stacks: Sequence[Stack], on_records: OnRecords = lambda stack, records: None
    ) -> Iterator[list[Result]]:
        """Results of each stack as it ends, in no fixed order; workers start before the first is asked for.

        on_records: called with new records of a stack that trains. In this process: with each record, and about once a
        second with the `position`. In workers: with both every REPORT_EVERY seconds, at first maybe with none.
        """
        retries = Retries(deque(stacks), device_name(self.device))
        train = self._train_in_process if self.in_process else self._train_in_workers
        outcomes = train(retries.waiting, on_records)
        return (results for stack, outcome in outcomes if (results := retries.settle(stack, outcome)))

    def _train_in_process(self, waiting: deque[Stack], on_records: OnRecords) -> Iterator[_Outcome]:
        while waiting:
            stack = waiting.popleft()

            def on_record(record: Record, stack: Stack = stack) -> None:
                on_records(stack, [record])

            outcome: list[Result] | Failure

            def on_beat(step: int, stack: Stack = stack) -> None:
                on_records(stack, [position(step)])

            try:
                with stop_requests() as stop:
                    outcome = train_stack(stack, self.device, self._saving, on_record, on_beat, stop)
            except (Exception, SystemExit) as error:
                outcome = failure_of(error)
            release_memory(self.device)
            yield stack, outcome

    def _train_in_workers(self, waiting: deque[Stack], on_records: OnRecords) -> Iterator[_Outcome]:
        """A thread for each busy worker receives what it sends, so that no worker waits for the store."""
        messages: _Messages = queue.Queue()
        idle = list(range(self.workers))

        def assign() -> int:
            """Gives waiting stacks to idle workers; returns to how many."""
            assigned = 0
            while waiting and idle:
                arguments = self._usable(idle.pop()), waiting.popleft(), messages
                threading.Thread(target=self._train_in_worker, args=arguments, daemon=True).start()
                assigned += 1
            return assigned

        def outcomes(busy: int) -> Iterator[_Outcome]:
            while busy:
                worker, stack, content = messages.get()
                if isinstance(content, Progress):
                    on_records(stack, content.records)
                    continue
                idle.append(worker)
                busy += assign() - 1
                yield stack, content
                busy += assign()  # stacks that went back to those waiting

        return outcomes(assign())

    def _train_in_worker(self, worker: int, stack: Stack, messages: _Messages) -> None:
        """Makes a worker train a stack; queues its reports and, at the end, its results or a failure."""

        def report(progress: Progress) -> None:
            messages.put((worker, stack, progress))

        request = train_and_report, (stack, self.device, self._saving)
        messages.put((worker, stack, self._ask(worker, request, report, self._timeout)))

    def _ask(self, worker: int, request: object, report: Callable[[Progress], None], timeout: float) -> Any:
        """The answer of a worker, or a Failure. report: called with what it sends before."""
        connection, process = self._connections[worker], self._processes[worker]
        try:
            if not self._ready[worker]:
                if not connection.poll(_START_SECONDS):
                    return self._ended(process, f"its worker process did not start within {_START_SECONDS:.0f} s")
                connection.recv()
                self._ready[worker] = True
            connection.send(request)
            report_at = time.monotonic() + REPORT_EVERY  # with no records: that it trains for that long
            while connection.poll(timeout):
                content = connection.recv()
                if content is BEAT and time.monotonic() >= report_at:
                    content = Progress(())
                if isinstance(content, Progress):
                    report_at = math.inf
                    report(content)
                elif content is not BEAT:
                    return content
        except (EOFError, OSError):
            process.join(timeout=5)
            killed = process.exitcode == -signal.SIGKILL  # as by the kernel when memory runs out
            return Failure(f"its worker process died (exit code {process.exitcode})", killed, died=True)
        except Exception as error:  # an answer that cannot be unpickled
            return failure_of(error)
        return self._ended(process, f"no heartbeat for {timeout:g} s (execution.timeout)")

    def _ended(self, process: Any, reason: str) -> Failure:
        """The failure of a worker process that is ended, because it is silent."""
        process.kill()
        process.join()
        return Failure(reason, died=True, silent=True)
