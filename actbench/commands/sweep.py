"""`actbench sweep`: a grid of runs."""

from collections.abc import Sequence

from actbench.commands.opening import open_session
from actbench.commands.planning import make_request, make_runs, note_of, prepared_data
from actbench.commands.report import write_sweep_report
from actbench.commands.session import Ended, Session
from actbench.commands.terminal import print_next, print_runs
from actbench.experiment.compose import Grid, compose_experiment
from actbench.experiment.questions import Experiment, load_experiment
from actbench.experiment.request import Caller
from actbench.signals import deferred_signals
from actbench.store.files import RUNS, read_runs


def sweep(name: str | None, overrides: Sequence[str], config_dir: str | None, caller: Caller | None = None) -> Ended:
    """Trains the grid of the overrides, which follow those of the experiment `name`. caller: as for `open_session`."""
    experiment = None if name is None else load_experiment(name)
    grid = compose_experiment(experiment, overrides, config_dir)
    return train_grid("sweep", experiment, overrides, grid, caller=caller)[1]


def train_grid(
    command: str, experiment: Experiment | None, overrides: Sequence[str], grid: Grid, alone: bool = True,
    caller: Caller | None = None,
) -> tuple[Session, Ended]:  # fmt: skip
    """Trains the runs of a grid, writes results/<experiment>/, prints a table; how it ended, with the session.

    command: sweep or train, which is also the phase of the runs. alone, caller: as for `open_session`.
    """
    runs = make_runs(grid.runs, prepared_data(grid.runs), command)
    request = make_request(command, experiment, overrides, grid, runs, caller)
    with open_session(command, request, grid, runs, alone=alone, caller=caller) as session:
        session.imports = ("actbench.report.sweep",)
        session.train(runs, command)
        with deferred_signals():  # files and store first, the terminal last: a closed pipe loses nothing
            session.write_files()
            reports = write_sweep_report(session.folder, session.request) if len(runs) > 1 else []
            stored = session.end(note_of(request)) if session.has_stored else True
    print_runs(read_runs(session.folder / RUNS))
    print_next(session.request.experiment, reports, grid.command.store.uri)
    return session, session.ended(stored)
