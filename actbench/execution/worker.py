"""Training one stack, and the worker process that does so on request until its parent closes the connection."""

import contextlib
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from actbench.data.datasets import Data, PreparedData, load_data
from actbench.errors import one_line
from actbench.execution.devices import device_name
from actbench.signals import stop_requests
from actbench.training.checkpoints import CheckpointWriter, lacks_weights
from actbench.training.loop import train
from actbench.training.results import Record, Result, position, results_of_stack, score_curve
from actbench.training.resume import StackCheckpoint
from actbench.training.stacks import Stack

REPORT_EVERY = 4.0  # seconds between two reports of a worker on a stack that trains
EXIT_SECONDS = 20.0  # for a worker to write its checkpoint and end
BEAT = None  # the message of a worker that works: at its start, and about once a second of training

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # in messages of the CPU, CUDA and cuBLAS


@dataclass(frozen=True)
class Failure:
    """Why a request failed. out_of_memory: memory ran out. died: the worker died, whatever the cause.

    silent: it was ended because no heartbeat came for too long; it counts as died too.
    """

    message: str
    out_of_memory: bool = False
    died: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Progress:
    """The records that a stack in training has yielded since the last report, and maybe its `position`."""

    records: Sequence[Record]


@dataclass(frozen=True)
class Saving:
    """What is saved while stacks train.

    weights: of StoreSettings. checkpoints: the folder of checkpoints of stacks, and the minutes of training after which
    one is written; None: no checkpoints.
    """

    weights: str = "none"
    checkpoints: Path | None = None
    minutes: float = math.inf


NOTHING = Saving()


@lru_cache(maxsize=2)
def _load_data(prepared: PreparedData) -> Data:
    return load_data(prepared)


def train_stack(
    stack: Stack, device: str, saving: Saving = NOTHING,
    on_record: Callable[[Record], None] = lambda record: None, on_beat: Callable[[int], None] = lambda step: None,
    stop: threading.Event | None = None,
) -> list[Result]:  # fmt: skip
    """Trains a stack, from its checkpoint where there is one; returns the results of its runs.

    on_beat: called with the step about once a second. stop: asks for an end at the next step. Raises KeyboardInterrupt
    then, after a checkpoint was written.
    """
    checkpoint = StackCheckpoint(stack.runs, saving.checkpoints, saving.minutes, stop or threading.Event())
    checkpoint.load()
    if lacks_weights(stack.runs, saving.weights, checkpoint.best):
        checkpoint.discard()
    writer = CheckpointWriter(stack.runs, saving.weights, checkpoint.best)
    for record in checkpoint.records:
        on_record(record)
    data = _load_data(stack.runs[0].data)
    for record in train(stack, data, torch.device(device), writer, on_beat, checkpoint):
        checkpoint.records.append(record)
        on_record(record)
    return results_of_stack(stack.runs, checkpoint.records, device_name(device))


def train_and_report(
    stack: Stack, device: str, saving: Saving, report: Callable[[Progress | None], None]
) -> list[Result]:
    """As `train_stack`, in a worker; reports its records and its step every REPORT_EVERY seconds.

    SIGTERM, SIGUSR1 and the death of the parent ask for the end of the training.
    """
    unreported: list[Record] = []
    reported_at = time.monotonic()

    def on_record(record: Record) -> None:
        unreported.append(record)
        if record.metric == score_curve(stack.runs[0]) and time.monotonic() - reported_at >= REPORT_EVERY:
            report_all()

    def on_beat(step: int) -> None:
        if time.monotonic() - reported_at >= REPORT_EVERY:
            unreported.append(position(step))
            report_all()
        else:
            send(BEAT)

    def report_all() -> None:
        nonlocal reported_at
        send(Progress(tuple(unreported)))
        unreported.clear()
        reported_at = time.monotonic()

    with stop_requests() as stop:

        def send(message: Progress | None) -> None:
            try:
                report(message)
            except OSError:  # the parent has gone
                stop.set()

        try:
            return train_stack(stack, device, saving, on_record, on_beat, stop)
        except BaseException:
            if stop.is_set():  # the checkpoint is written, and nobody waits for an answer
                os._exit(1)
            raise


def use_one_thread() -> None:
    """Makes torch use one thread: with two on a busy machine, throughput once fell to 3 %, and no run may depend on
    their number."""
    torch.set_num_threads(1)


def failure_of(error: BaseException) -> Failure:
    """An exception as a failure."""
    message = one_line(error)
    memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in message for sign in _OUT_OF_MEMORY)
    return Failure(message, memory)


def release_memory(device: str) -> None:
    """Returns cached memory to the device, as a stack of other shapes may follow."""
    if device == "cuda":
        torch.cuda.empty_cache()


def _exit_after_parent() -> None:
    """Ends a worker whose parent has died, and which does not notice it, as in a function that hangs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        time.sleep(EXIT_SECONDS)
        os._exit(1)


def serve(connection: Connection, device: str, environment: Mapping[str, str]) -> None:
    """The worker process: answers each request (function, arguments) with its value or a Failure.

    Sends BEAT once it is ready. Ignores SIGINT, which the parent handles. environment: of the process, as the server
    from which it was forked has an older one.
    """
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after_parent, daemon=True).start()
    use_one_thread()
    with contextlib.suppress(EOFError, OSError):  # the parent has closed the connection, or has died
        connection.send(BEAT)
        while True:
            function, arguments = connection.recv()
            if function is train_and_report:
                arguments = (*arguments, connection.send)
            connection.send(_answer(function, arguments))
            release_memory(device)


def _answer(function: Callable[..., object], arguments: Sequence[object]) -> object:
    try:
        return function(*arguments)
    except BaseException as error:  # a user's function may raise anything, KeyboardInterrupt and SystemExit included
        return failure_of(error)
