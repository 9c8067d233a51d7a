"""Trains stacks in this process, or in single-threaded worker processes: one per core, or one per GPU.

Workers run as long as the pool, so that imports and data are loaded once. A failure of one stack does not stop the
others: a stack that runs out of memory is halved; one that raises, whose worker dies or which sends no heartbeat is
tried again run by run, so that only the run at fault fails.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from actbench.errors import one_line
from actbench.execution.devices import device_name, memory_per_worker, visible_gpus
from actbench.execution.processes import WorkerProcess
from actbench.execution.retries import Retries
from actbench.execution.waiting import Waiting
from actbench.execution.worker import (
    NOTHING,
    Failure,
    Progress,
    Saving,
    failure_of,
    release_memory,
    train_and_report,
    train_stack,
    use_one_thread,
)
from actbench.signals import stop_requests
from actbench.training.results import Record, Result, position
from actbench.training.stacks import Stack

TIMEOUT = 120.0  # seconds: execution.timeout
_CALL_TIMEOUTS = 10  # a call sends no heartbeats, and may take as many times the timeout

OnRecords = Callable[[Stack, Sequence[Record]], None]

_Outcome = tuple[Stack, list[Result] | Failure]
_Messages = queue.Queue[tuple[Stack, list[Result] | Failure | Progress | Exception]]


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
        self._waiting = Waiting([])
        self._processes: list[WorkerProcess] = []

    @property
    def memory(self) -> int:
        """Free bytes of the GPU for each worker, for `pack_stacks`."""
        return memory_per_worker(self.device, self.workers)

    @property
    def at_once(self) -> int:
        """How many calls run at once."""
        return 1 if self.in_process else self.workers

    @property
    def worker_ids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid for process in self._processes]

    def __enter__(self) -> "Pool":
        if self.in_process:
            use_one_thread()
        else:
            gpus: Sequence[str | None] = visible_gpus() if self.device == "cuda" else [None]
            self._processes = [WorkerProcess(self.device, gpus[w % len(gpus)]) for w in range(self.workers)]
        return self

    def __exit__(self, *exception: object) -> None:
        self._waiting.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def _usable(self, worker: int) -> int:
        """The worker, which is started again where it has died."""
        if not self._processes[worker].is_alive:
            self._processes[worker] = self._processes[worker].again()
        return worker

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Returns the value of a function, called in an idle process. Raises RuntimeError where it fails."""
        (value,) = self.calls(function, [arguments])
        return value

    def calls(self, function: Callable[..., Any], arguments: Sequence[Sequence[object]]) -> list[Any]:
        """Values of a function for several arguments, each in an idle process of its own, at once.

        There are at most `at_once`. Raises RuntimeError where a call fails.
        """
        if self.in_process:
            return [_called(function, own) for own in arguments]
        timeout = _CALL_TIMEOUTS * self._timeout
        with ThreadPoolExecutor(len(arguments)) as threads:
            asked = [
                threads.submit(
                    self._processes[self._usable(worker)].ask, (function, own), lambda progress: None, timeout
                )
                for worker, own in enumerate(arguments)
            ]
        answers = [future.result() for future in asked]
        for answer in answers:
            if isinstance(answer, Failure):
                raise RuntimeError(answer.message)
        return answers

    def run(
        self, stacks: Sequence[Stack], on_records: OnRecords = lambda stack, records: None
    ) -> Iterator[list[Result]]:
        """Results of each stack as it ends, in no fixed order; workers start before the first is asked for.

        The caller may `add` stacks while it iterates. on_records: called with new records of a stack that trains. In
        this process: with each record, and about once a second with the `position`. In workers: with both every
        REPORT_EVERY seconds, at first maybe with none.
        """
        self._waiting = waiting = Waiting(stacks)
        train = self._train_in_process if self.in_process else self._train_in_workers
        return self._settled(train(waiting, on_records), waiting)

    def _settled(self, outcomes: Iterator[_Outcome], waiting: Waiting) -> Iterator[list[Result]]:
        retries = Retries(waiting.stacks, device_name(self.device))
        for stack, outcome in outcomes:
            with waiting.changed:
                results = retries.settle(stack, outcome)
            if results:
                yield results

    def add(self, stacks: Iterable[Stack]) -> None:
        """Adds stacks to those that `run` trains; the longest of all that wait is the next."""
        self._waiting.add(stacks)

    def _train_in_process(self, waiting: Waiting, on_records: OnRecords) -> Iterator[_Outcome]:
        while not waiting.is_empty:
            stack = waiting.stacks.popleft()

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

    def _train_in_workers(self, waiting: Waiting, on_records: OnRecords) -> Iterator[_Outcome]:
        """A thread for each worker gives it stacks and receives what it sends, so that none waits for the store."""
        messages: _Messages = queue.Queue()
        for worker in range(self.workers):
            threading.Thread(target=self._serve, args=(worker, waiting, messages), daemon=True).start()

        def outcomes() -> Iterator[_Outcome]:
            try:
                while not waiting.is_empty:
                    stack, content = messages.get()
                    if isinstance(content, Progress):
                        on_records(stack, content.records)
                        continue
                    if isinstance(content, Exception):
                        raise content
                    yield stack, content
                    waiting.settle()
            finally:
                waiting.close()

        return outcomes()

    def _serve(self, worker: int, waiting: Waiting, messages: _Messages) -> None:
        """Makes a worker train the stacks that wait; queues its reports and the results, or a failure, of each."""
        while (stack := waiting.take()) is not None:

            def report(progress: Progress, stack: Stack = stack) -> None:
                messages.put((stack, progress))

            request = train_and_report, (stack, self.device, self._saving)
            try:
                outcome = self._processes[self._usable(worker)].ask(request, report, self._timeout)
            except Exception as error:  # no process can be started
                outcome = error
            messages.put((stack, outcome))


def _called(function: Callable[..., Any], arguments: Sequence[object]) -> Any:
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        raise RuntimeError(one_line(error)) from error
