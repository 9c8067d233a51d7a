"""Where stacks run: this process, or one worker process a core with one thread each.

Workers live as long as the pool, so that imports and data are paid once. Whatever happens to one stack, the others go
on: a stack that runs out of memory is halved; one that raises, or whose worker dies, is tried again run by run, and
only the guilty run fails.
"""

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing.connection import Connection
from typing import Any

import torch

from actbench.data.datasets import ImageData, PreparedData, load_data
from actbench.errors import one_line
from actbench.execution.devices import device_name
from actbench.signals import sigint_blocked
from actbench.training.checkpoints import CheckpointWriter
from actbench.training.loop import train
from actbench.training.results import Record, Result, failed_result, results_of_stack
from actbench.training.stacks import Stack

OnRecords = Callable[[Stack, Sequence[Record]], None]

# glibc's malloc gives large blocks back to the system, and every step asks for them again: measured, this makes sweeps
# 2 % (Transformer), 4 % (MLP) and 14 % (CNN) faster. Who sets these variables keeps them.
MALLOC = {  # bytes
    "MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_TOP_PAD_": "200000000",
}  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """Why a stack did not train. memory: of too little of it. died: with its worker, perhaps not by its own fault."""

    message: str
    memory: bool = False
    died: bool = False


@dataclass(frozen=True)
class Interim:
    """What a stack that still trains has shown since it was last heard of."""

    records: Sequence[Record]


LIVE = 4.0  # seconds after which a stack that trains is heard of, and again

Outcome = tuple[Stack, list[Result], Failure | None]
Answers = queue.Queue[tuple[int, Stack, list[Result] | Interim, Failure | None]]


@lru_cache(maxsize=2)
def _data(prepared: PreparedData) -> ImageData:
    return load_data(prepared)


def _train(
    stack: Stack, device: str, save_weights: str, on_record: Callable[[Record], None], beat: Callable[[], None]
) -> list[Result]:
    kept = []
    writer = CheckpointWriter(stack.runs, save_weights)
    for record in train(stack, _data(stack.runs[0].data), torch.device(device), writer, beat):
        kept.append(record)
        on_record(record)
    return results_of_stack(stack.runs, kept, device_name(device))


def _settle() -> None:
    """One thread: two on a busy machine once fell to 3 % of the throughput; and no run may depend on their count."""
    torch.set_num_threads(1)


def _train_for(stack: Stack, device: str, save_weights: str, send: Callable[[Interim], None]) -> list[Result]:
    """send: to the parent, now and then, what an evaluation has shown."""
    new: list[Record] = []
    sent = time.monotonic()

    def on_record(record: Record) -> None:
        nonlocal sent
        new.append(record)
        if record.metric == "val_accuracy" and time.monotonic() - sent >= LIVE:
            send(Interim(tuple(new)))
            new.clear()
            sent = time.monotonic()

    return _train(stack, device, save_weights, on_record, _end_with_parent)


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to answer."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


def _worker(connection: Connection, device: str) -> None:
    """Answers each (function, arguments) that it is sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _settle()
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            if function is _train_for:
                arguments = (*arguments, lambda interim: connection.send((interim, None)))
            connection.send((function(*arguments), None))
        except (Exception, SystemExit) as error:  # a user's function may raise anything
            connection.send(([], _failure(error)))
        _free(device)


def _free(device: str) -> None:
    """A stack of other shapes may follow."""
    if device == "cuda":
        torch.cuda.empty_cache()


def _failure(error: BaseException) -> Failure:
    message = one_line(error)
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # of the CPU's allocator, CUDA, cuBLAS
    memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in message for sign in signs)
    return Failure(message, memory)


class Pool:
    """Trains stacks; use as a context manager. here: in this process, as a single worker does unless told not to."""

    def __init__(self, device: str, workers: int, here: bool | None = None, save_weights: str = "none") -> None:
        self._save_weights = save_weights
        self.device, self.workers, self.here = device, workers, workers == 1 if here is None else here
        self._context = multiprocessing.get_context("spawn")
        self._processes: list[Any] = []
        self._connections: list[Connection] = []

    def __enter__(self) -> "Pool":
        _settle()
        if not self.here:
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
        for key, value in MALLOC.items():
            os.environ.setdefault(key, value)
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_worker, args=(theirs, self.device), daemon=True)
        with sigint_blocked():
            process.start()
        theirs.close()
        self._processes.append(process)
        self._connections.append(ours)
        return len(self._connections) - 1

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """The function's answer, in a process that trains nothing now. Raises RuntimeError where there is none."""
        if self.here:
            try:
                return function(*arguments)
            except (Exception, SystemExit) as error:
                raise RuntimeError(one_line(error)) from error
        alive = [index for index, process in enumerate(self._processes) if process.is_alive()] or [self._start()]
        try:
            self._connections[alive[0]].send((function, arguments))
            answer, failure = self._connections[alive[0]].recv()
        except (EOFError, OSError) as error:
            raise RuntimeError("the worker process died") from error
        if failure is not None:
            raise RuntimeError(failure.message)
        return answer

    def run(
        self, stacks: Sequence[Stack], on_records: OnRecords = lambda stack, records: None
    ) -> Iterator[list[Result]]:
        """Results of each stack as it ends, in no fixed order; workers begin before the first is asked for.

        on_records: of stacks that still train, here each record, and none about once a second, of workers a few every
        LIVE seconds, or none at first.
        """
        waiting = deque(stacks)
        return self._results(waiting, (self._here if self.here else self._there)(waiting, on_records))

    def _results(self, waiting: deque[Stack], outcomes: Iterator[Outcome]) -> Iterator[list[Result]]:
        again = set[str]()
        for stack, results, failure in outcomes:
            if failure is None:
                yield results
            elif len(stack.runs) == 1 and failure.died and stack.runs[0].id not in again:
                again.add(stack.runs[0].id)
                waiting.append(stack)
            elif len(stack.runs) == 1:
                yield [failed_result(stack.runs[0], failure.message, device_name(self.device))]
            elif failure.memory:
                large = [stack, *(other for other in waiting if _as_large(other, stack))]
                kept = [other for other in waiting if not _as_large(other, stack)]
                waiting.clear()
                waiting.extend([*(half for each in large for half in _halves(each)), *kept])
            else:
                waiting.extend(Stack((run,)) for run in stack.runs)

    def _here(self, waiting: deque[Stack], on_records: OnRecords) -> Iterator[Outcome]:
        while waiting:
            stack = waiting.popleft()
            try:
                beat = partial(on_records, stack, ())
                trained = _train(stack, self.device, self._save_weights, partial(_one_record, on_records, stack), beat)
                outcome: Outcome = stack, trained, None
            except (Exception, SystemExit) as error:
                outcome = stack, [], _failure(error)
            _free(self.device)
            yield outcome

    def _there(self, waiting: deque[Stack], on_records: OnRecords) -> Iterator[Outcome]:
        """A thread a busy worker waits for its answer, so that no worker waits for the store."""
        done: Answers = queue.Queue()
        idle = [index for index, process in enumerate(self._processes) if process.is_alive()]
        idle += [self._start() for _ in range(self.workers - len(idle))]

        def begin() -> int:
            begun = 0
            while waiting and idle:
                threading.Thread(target=self._ask, args=(idle.pop(), waiting.popleft(), done), daemon=True).start()
                begun += 1
            return begun

        def outcomes(busy: int) -> Iterator[Outcome]:
            while busy:
                worker, stack, results, failure = done.get()
                if isinstance(results, Interim):
                    on_records(stack, results.records)
                    continue
                idle.append(worker if self._processes[worker].is_alive() else self._start())
                busy += begin() - 1
                yield stack, results, failure
                busy += begin()  # what was given back

        return outcomes(begin())

    def _ask(self, worker: int, stack: Stack, done: Answers) -> None:
        try:
            connection = self._connections[worker]
            connection.send((_train_for, (stack, self.device, self._save_weights)))
            if not connection.poll(LIVE):
                done.put((worker, stack, Interim(()), None))
            results, failure = connection.recv()
            while isinstance(results, Interim):
                done.put((worker, stack, results, None))
                results, failure = connection.recv()
        except (EOFError, OSError):
            self._processes[worker].join(timeout=5)
            code = self._processes[worker].exitcode
            killed = code == -signal.SIGKILL  # as the system does to a process that takes its last memory
            results, failure = [], Failure(f"its worker process died (exit code {code})", killed, died=True)
        except Exception as error:  # an answer that cannot be read
            results, failure = [], _failure(error)
        done.put((worker, stack, results, failure))


def _one_record(on_records: OnRecords, stack: Stack, record: Record) -> None:
    on_records(stack, [record])


def _as_large(stack: Stack, other: Stack) -> bool:
    """Whether a stack takes at least the memory of another, where that can be told: of equal configurations."""
    one, two = stack.runs[0].config, other.runs[0].config
    same = (one.architecture, one.training, one.dataset) == (two.architecture, two.training, two.dataset)
    return same and len(stack.runs) >= len(other.runs)


def _halves(stack: Stack) -> list[Stack]:
    middle = len(stack.runs) // 2
    return [Stack(stack.runs[:middle]), Stack(stack.runs[middle:])]
