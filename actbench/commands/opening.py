"""Opens the session of a command: checks, the folder of its plan, its workers; and closes it however it ends."""

import contextlib
import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from actbench.commands.estimate import Forecast, estimator_of
from actbench.commands.session import Session
from actbench.commands.terminal import print_text
from actbench.errors import Submitted
from actbench.execution.local import Pool
from actbench.execution.pools import AnyPool, check_pool, make_pool
from actbench.experiment.compose import Grid
from actbench.experiment.questions import Hypothesis
from actbench.experiment.request import Caller, Request
from actbench.experiment.runs import Run
from actbench.store.files import RUNS
from actbench.store.folder import results_folder
from actbench.store.places import claimed, refused_leaves_nothing
from actbench.store.provenance import spent_before
from actbench.training.resume import checkpoints_folder


@contextlib.contextmanager
def open_session(
    command: str,
    request: Request,
    grid: Grid,
    runs: Sequence[Run],
    hypotheses: Sequence[Hypothesis] | None = None,
    alone: bool = True,
    caller: Caller | None = None,
) -> Iterator[Session]:
    """A session for a command that begins with these runs; finished runs survive an interruption.

    alone: the command has the results folder of its plan to itself; else it is one of several that run at once, and
    their files are in results/multirun/<run id>. caller: None is the command line.

    Everything is checked before the first worker starts. Raises UsageError for a device that is not there, a precision
    that it does not have, a run that does not fit its memory and a folder that cannot be written.
    """
    check_pool(grid.command.execution, runs)
    family, settings = request.experiment, grid.command
    with contextlib.ExitStack() as stack:
        if alone:
            request = stack.enter_context(claimed(request, settings.store.uri, settings.name, command, print_text))
            folder, checkpoints = Path("results") / request.experiment, checkpoints_folder(request.experiment)
        else:  # others would remove checkpoints
            request = replace(request, experiment=settings.name or family)
            folder, checkpoints = Path("results") / "multirun" / runs[0].id, None
            stack.enter_context(refused_leaves_nothing(folder))
            results_folder(f"multirun/{runs[0].id}")
        apart = caller is not None and caller.apart
        pool: AnyPool = make_pool(settings, request.experiment, runs, checkpoints, apart)
        stack.enter_context(pool)
        before = spent_before(folder, RUNS)
        session = Session(
            command, request, settings, pool, folder, checkpoints, family, hypotheses=hypotheses, before=before
        )
        if isinstance(pool, Pool):
            session.forecast = Forecast(estimator_of(command, pool.device, pool.workers), len(grid.runs))
        try:
            yield session
            if session.forecast is not None:
                session.forecast.learn(session.results, time.monotonic() - session.started)
        except (KeyboardInterrupt, Submitted):
            session.interrupted()
            raise
        finally:
            gc.unfreeze()
