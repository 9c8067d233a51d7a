"""Ensures that writes are complete or absent: delays signals, and replaces files as a whole."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

# Ctrl-C; what clusters and shells send to end a process; what clusters send some time before they end it.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


_interrupted = threading.Event()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """In the block SIGINT, SIGTERM and SIGUSR1 raise KeyboardInterrupt and are remembered.

    An ignored SIGINT, as in a shell's background job, stays ignored.
    """
    _interrupted.clear()
    numbers = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    handlers = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def check_interruption() -> None:
    """Raises KeyboardInterrupt if a signal arrived in `interruptible`, and again if its exception was lost.

    Python drops an exception that is raised in a callback of the garbage collector, such as those of SQLAlchemy.
    """
    if _interrupted.is_set():
        raise KeyboardInterrupt


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Delays SIGINT, SIGTERM and SIGUSR1 until the block has ended; then their handlers are called."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    handlers = {number: signal.signal(number, lambda number, frame: received.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in dict.fromkeys(received):
        handler = handlers[number]
        if callable(handler):
            handler(number, None)
        elif handler is not signal.SIG_IGN:
            raise KeyboardInterrupt


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Yields an event that the first SIGINT, SIGTERM or SIGUSR1 in the block sets; a second one has its usual effect.

    For work that can save its state and end soon. Signals that are ignored stay ignored; outside the main thread, which
    alone receives signals, nothing sets the event.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested
        return
    numbers = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    handlers = {number: signal.getsignal(number) for number in numbers}

    def request(number: int, frame: object) -> None:
        requested.set()
        for each, handler in handlers.items():
            signal.signal(each, handler)

    for number in numbers:
        signal.signal(number, request)
    try:
        yield requested
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def sigint_blocked() -> Iterator[None]:
    """Child processes started in the block ignore SIGINT, which a terminal sends to all: the parent handles it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def main_hidden() -> Iterator[None]:
    """Child processes started in the block do not import the program's main module again.

    multiprocessing does so for functions that are defined there. A script without a guard would run anew in each.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yields a scratch path beside `path`, with its suffix, and renames it to `path` when the block ends.

    A block that raises leaves `path` as it was and removes the scratch file.
    """
    scratch = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Writes JSON; the file is replaced as a whole."""
    with replaced_file(path) as scratch:
        scratch.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
