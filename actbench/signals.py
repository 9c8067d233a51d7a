"""Ensures that writes are complete or absent: delays signals, and replaces files as a whole."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


_interrupted = threading.Event()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """In the block SIGINT and SIGTERM, which clusters and shells send, raise KeyboardInterrupt and are remembered.

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
    """Delays SIGINT and SIGTERM until the block has ended, then raises KeyboardInterrupt if one arrived."""
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
    if received:
        raise KeyboardInterrupt


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
