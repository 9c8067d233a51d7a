"""Trains stacks in this process, or in one single-threaded worker process per core.

Workers run as long as the pool, so that imports and data are loaded once. A failure of one stack does not stop the
others: a stack that runs out of memory is halved; one that raises, or whose worker dies, is tried again run by run, so
that only the run at fault fails.
"""

import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from actbench.errors import one_line
from actbench.execution.devices import device_name
from actbench.execution.worker import (
    REPORT_EVERY,
    Failure,
    Progress,
    failure_of,
    release_memory,
    serve,
    train_and_report,
    train_stack,
    use_one_thread,
)
from actbench.signals import sigint_blocked
from actbench.training.results import Record, Result, failed_result
from actbench.training.stacks import Stack

# glibc's malloc gives large blocks back to the system, and every step asks for them again: measured, this makes sweeps
# 2 % (Transformer), 4 % (MLP) and 14 % (CNN) faster. Values that the user has set are kept.
MALLOC = {  # bytes
    "MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_TOP_PAD_": "200000000",
}  # fmt: skip

OnRecords = Callable[[Stack, Sequence[Record]], None]

_Outcome = tuple[Stack, list[Result] | Failure]
_Messages = queue.Queue[tuple[int, Stack, list[Result] | Failure | Progress]]  # the first: index of the worker


class Pool:
    """Context manager that trains stacks. in_process: train in this process; by default for one worker."""

    def __init__(self, device: str, workers: int, in_process: bool | None = None, save_weights: str = "none") -> None:
        self.device, self.workers, self._save_weights = device, workers, save_weights
        self.in_process = workers == 1 if in_process is None else in_process
        self._context = multiprocessing.get_context("spawn")
        self._processes: list[Any] = []
        self._connections: list[Connection] = []

    @property
    def worker_ids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid for process in self._processes]

    def __enter__(self) -> "Pool":
        use_one_thread()
        if not self.in_process:
            for _ in range(self.workers):
                self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def _start(self) -> int:
        """Starts a worker process; returns its index."""
        for key, value in MALLOC.items():
            os.environ.setdefault(key, value)
        connection, worker_connection = self._context.Pipe()
        process = self._context.Process(target=serve, args=(worker_connection, self.device), daemon=True)
        with sigint_blocked():
            process.start()
        worker_connection.close()
        self._processes.append(process)
        self._connections.append(connection)
        return len(self._connections) - 1

    def _alive(self) -> list[int]:
        return [index for index, process in enumerate(self._processes) if process.is_alive()]

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Returns the value of a function, called in an idle process. Raises RuntimeError where it fails."""
        if self.in_process:
            try:
                return function(*arguments)
            except (Exception, SystemExit) as error:
                raise RuntimeError(one_line(error)) from error
        worker = (self._alive() or [self._start()])[0]
        try:
            self._connections[worker].send((function, arguments))
            answer = self._connections[worker].recv()
        except (EOFError, OSError) as error:
            raise RuntimeError("the worker process died") from error
        if isinstance(answer, Failure):
            raise RuntimeError(answer.message)
        return answer

    def run(
        self, stacks: Sequence[Stack], on_records: OnRecords = lambda stack, records: None
    ) -> Iterator[list[Result]]:
        """Results of each stack as it ends, in no fixed order; workers start before the first is asked for.

        on_records: called with new records of a stack that trains. In this process: with each record, and about once a
        second with none. In workers: every REPORT_EVERY seconds, at first with none.
        """
        waiting = deque(stacks)
        train = self._train_in_process if self.in_process else self._train_in_workers
        return self._results(waiting, train(waiting, on_records))

    def _results(self, waiting: deque[Stack], outcomes: Iterator[_Outcome]) -> Iterator[list[Result]]:
        """Results of stacks that ended, and of single runs that failed; other stacks go back to those waiting."""
        retried = set[str]()  # ids of single runs
        for stack, outcome in outcomes:
            run = stack.runs[0]
            if not isinstance(outcome, Failure):
                yield outcome
            elif len(stack.runs) == 1 and outcome.died and run.id not in retried:
                retried.add(run.id)
                waiting.append(stack)
            elif len(stack.runs) == 1:
                yield [failed_result(run, outcome.message, device_name(self.device))]
            elif outcome.out_of_memory:
                smaller = [other for other in waiting if not _is_as_large(other, stack)]
                halves = [half for other in (stack, *waiting) if _is_as_large(other, stack) for half in _halves(other)]
                waiting.clear()
                waiting.extend([*halves, *smaller])
            else:
                waiting.extend(Stack((run,)) for run in stack.runs)

    def _train_in_process(self, waiting: deque[Stack], on_records: OnRecords) -> Iterator[_Outcome]:
        while waiting:
            stack = waiting.popleft()

            def on_record(record: Record, stack: Stack = stack) -> None:
                on_records(stack, [record])

            outcome: list[Result] | Failure
            try:
                outcome = train_stack(stack, self.device, self._save_weights, on_record, partial(on_records, stack, ()))
            except (Exception, SystemExit) as error:
                outcome = failure_of(error)
            release_memory(self.device)
            yield stack, outcome

    def _train_in_workers(self, waiting: deque[Stack], on_records: OnRecords) -> Iterator[_Outcome]:
        """A thread for each busy worker receives what it sends, so that no worker waits for the store."""
        messages: _Messages = queue.Queue()
        idle = self._alive()
        idle += [self._start() for _ in range(self.workers - len(idle))]

        def assign() -> int:
            """Gives waiting stacks to idle workers; returns to how many."""
            assigned = 0
            while waiting and idle:
                arguments = idle.pop(), waiting.popleft(), messages
                threading.Thread(target=self._train_in_worker, args=arguments, daemon=True).start()
                assigned += 1
            return assigned

        def outcomes(busy: int) -> Iterator[_Outcome]:
            while busy:
                worker, stack, content = messages.get()
                if isinstance(content, Progress):
                    on_records(stack, content.records)
                    continue
                idle.append(worker if self._processes[worker].is_alive() else self._start())
                busy += assign() - 1
                yield stack, content
                busy += assign()  # stacks that went back to those waiting

        return outcomes(assign())

    def _train_in_worker(self, worker: int, stack: Stack, messages: _Messages) -> None:
        """Makes a worker train a stack; queues its reports and, at the end, its results or a failure."""
        content: list[Result] | Failure | Progress
        try:
            connection = self._connections[worker]
            connection.send((train_and_report, (stack, self.device, self._save_weights)))
            if not connection.poll(REPORT_EVERY):
                messages.put((worker, stack, Progress(())))
            while isinstance(content := connection.recv(), Progress):
                messages.put((worker, stack, content))
        except (EOFError, OSError):
            self._processes[worker].join(timeout=5)
            code = self._processes[worker].exitcode
            killed = code == -signal.SIGKILL  # as by the kernel when memory runs out
            content = Failure(f"its worker process died (exit code {code})", killed, died=True)
        except Exception as error:  # an answer that cannot be unpickled
            content = failure_of(error)
        messages.put((worker, stack, content))


def _is_as_large(stack: Stack, other: Stack) -> bool:
    """Whether a stack needs at least the memory of another, known only between equal configurations."""
    one, two = stack.runs[0].settings, other.runs[0].settings
    same = (one.architecture, one.training, one.dataset) == (two.architecture, two.training, two.dataset)
    return same and len(stack.runs) >= len(other.runs)


def _halves(stack: Stack) -> list[Stack]:
    middle = len(stack.runs) // 2
    return [Stack(stack.runs[:middle]), Stack(stack.runs[middle:])]
