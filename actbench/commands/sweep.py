"""`actbench sweep`: a grid of runs."""

from collections.abc import Sequence
from pathlib import Path

from actbench.commands.planning import make_request, make_runs, note_of, prepared_data
from actbench.commands.progress import print_runs
from actbench.commands.session import Session, open_session
from actbench.experiment.compose import Grid, compose_experiment
from actbench.experiment.questions import Experiment, load_experiment
from actbench.experiment.request import Caller
from actbench.signals import deferred_signals
from actbench.store.files import RUNS, read_runs, read_series


def sweep(name: str | None, overrides: Sequence[str], config_dir: str | None, caller: Caller | None = None) -> int:
    """Trains the grid of the overrides, which follow those of the experiment `name`. Returns the exit code.

    caller: None is the command line.
    """
    experiment = None if name is None else load_experiment(name)
    grid = compose_experiment(experiment, overrides, config_dir)
    return train_grid("sweep", experiment, overrides, grid, caller=caller)[1]


def train_grid(
    command: str, experiment: Experiment | None, overrides: Sequence[str], grid: Grid, alone: bool = True,
    caller: Caller | None = None,
) -> tuple[Session, int]:  # fmt: skip
    """Trains the runs of a grid, writes results/<experiment>/ and prints a table; (session, exit code).

    command: sweep or train, which is also the phase of the runs. alone, caller: as for `open_session`.
    """
    runs = make_runs(grid.runs, prepared_data(grid.runs), command)
    request = make_request(command, experiment, overrides, grid, runs, caller)
    with open_session(command, request, grid, runs, alone=alone, caller=caller) as session:
        session.imports = ("actbench.report.sweep",)
        session.train(runs, command)
        with deferred_signals():  # files and store first, the terminal last: a closed pipe loses nothing
            session.write_files()
            drawn = _draw(session.folder) if len(runs) > 1 else []
            stored = session.end(note_of(request)) if session.trained else True
    print_runs(read_runs(session.folder / RUNS))
    if drawn:
        print(f"figures: {', '.join(f'{session.folder / name}.svg' for name in drawn)}")
    return session, session.exit_code(stored)


def _draw(folder: Path) -> list[str]:
    from actbench.report.sweep import draw_sweep  # these libraries take a second

    return draw_sweep(folder, read_runs(folder / RUNS), read_series(folder)["curves"])
