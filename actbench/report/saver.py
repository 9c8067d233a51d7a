"""Saves figures in a process of its own while this one goes on: fonts make a PDF take as long as its drawing."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

from matplotlib.figure import Figure

from actbench.errors import UsageError, one_line
from actbench.report.figures.style import save_figure
from actbench.signals import main_hidden, sigint_blocked

Save = Callable[[Figure, Path], None]


@contextlib.contextmanager
def other_process() -> Iterator[Save]:
    """Yields a function that has a figure saved, as it is at the call; all files exist when the block has ended.

    Raises UsageError where a file cannot be written. The process ends with the block, and with this process.
    """
    own, others = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(others,), daemon=True)
    with sigint_blocked(), main_hidden():
        process.start()
    others.close()
    sender = ThreadPoolExecutor(1)  # the pipe holds less than a figure
    sent: list[Future[None]] = []

    def save(figure: Figure, path: Path) -> None:
        sent.append(sender.submit(own.send_bytes, ForkingPickler.dumps((figure, path))))

    try:
        yield save
        sent.append(sender.submit(own.send, None))
        _finish(sent, own)
    finally:
        process.kill()
        process.join()
        sender.shutdown(cancel_futures=True)
        own.close()


def _finish(sent: list["Future[None]"], own: Connection) -> None:
    """Waits until all figures are saved."""
    try:
        for future in sent:
            future.result()
        problem = own.recv()
    except (OSError, EOFError) as error:
        raise UsageError("the process that saves figures died; run `actbench report` again") from error
    if problem:
        raise UsageError(problem)


def _serve(connection: Connection) -> None:
    """Saves figures until None comes, then sends the first problem, or an empty text; ends with the parent."""
    problem = ""
    with contextlib.suppress(EOFError, OSError):
        while (message := connection.recv()) is not None:
            try:
                save_figure(*message)
            except Exception as error:  # told when all others are saved
                problem = problem or (str(error) if isinstance(error, UsageError) else one_line(error))
        connection.send(problem)
