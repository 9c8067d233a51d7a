"""Training one stack, and the worker process that does so on request until its parent closes the connection."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection

import torch

from actbench.data.datasets import ImageData, PreparedData, load_data
from actbench.errors import one_line
from actbench.execution.devices import device_name
from actbench.training.checkpoints import CheckpointWriter
from actbench.training.loop import train
from actbench.training.results import Record, Result, results_of_stack
from actbench.training.stacks import Stack

REPORT_EVERY = 4.0  # seconds between two reports of a worker on a stack that trains

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # in messages of the CPU, CUDA and cuBLAS


@dataclass(frozen=True)
class Failure:
    """Why a request failed. out_of_memory: memory ran out. died: the worker died, whatever the cause."""

    message: str
    out_of_memory: bool = False
    died: bool = False


@dataclass(frozen=True)
class Progress:
    """The records that a stack in training has yielded since the last report."""

    records: Sequence[Record]


@lru_cache(maxsize=2)
def _load_data(prepared: PreparedData) -> ImageData:
    return load_data(prepared)


def train_stack(
    stack: Stack, device: str, save_weights: str, on_record: Callable[[Record], None], on_beat: Callable[[], None]
) -> list[Result]:
    """Trains a stack; returns the results of its runs.

    save_weights: of StoreSettings. on_beat: called about once a second between steps.
    """
    records = []
    data, checkpoints = _load_data(stack.runs[0].data), CheckpointWriter(stack.runs, save_weights)
    for record in train(stack, data, torch.device(device), checkpoints, on_beat):
        records.append(record)
        on_record(record)
    return results_of_stack(stack.runs, records, device_name(device))


def train_and_report(stack: Stack, device: str, save_weights: str, report: Callable[[Progress], None]) -> list[Result]:
    """As `train_stack`, in a worker; reports after an evaluation, at most every REPORT_EVERY seconds."""
    unreported: list[Record] = []
    reported_at = time.monotonic()

    def on_record(record: Record) -> None:
        nonlocal reported_at
        unreported.append(record)
        if record.metric == "val_accuracy" and time.monotonic() - reported_at >= REPORT_EVERY:
            report(Progress(tuple(unreported)))
            unreported.clear()
            reported_at = time.monotonic()

    return train_stack(stack, device, save_weights, on_record, _exit_without_parent)


def _exit_without_parent() -> None:
    """Ends a worker whose parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


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


def serve(connection: Connection, device: str) -> None:
    """The worker process: answers each request (function, arguments) with its value or a Failure.

    Ignores SIGINT, which the parent handles.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_one_thread()
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            if function is train_and_report:
                arguments = (*arguments, connection.send)
            connection.send(function(*arguments))
        except (Exception, SystemExit) as error:  # a user's function may raise anything
            connection.send(failure_of(error))
        release_memory(device)
