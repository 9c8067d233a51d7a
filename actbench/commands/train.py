"""`actbench train`: one run with live progress; and one run for Hydra's own application."""

from collections.abc import Mapping, Sequence
from typing import Any

from actbench.commands.session import Ended
from actbench.commands.sweep import train_grid
from actbench.errors import UsageError
from actbench.experiment.command import CommandSettings
from actbench.experiment.compose import Grid, compose_grid
from actbench.experiment.request import Caller
from actbench.experiment.schema import RunSettings
from actbench.experiment.validation import groups_of


def train(overrides: Sequence[str], config_dir: str | None, caller: Caller | None = None) -> Ended:
    """Trains one run. caller: None is the command line. Raises UsageError for a grid."""
    grid = compose_grid(overrides, config_dir)
    if len(grid.runs) > 1:
        raise UsageError(f"train does one run, these overrides make {len(grid.runs)}; use `actbench sweep`")
    return train_grid("train", None, overrides, grid, caller=caller)[1]


def train_composed(composed: Mapping[str, Any]) -> float | None:
    """Trains one run of a composed configuration; returns its validation score, None where it diverged.

    The files of a job of Hydra's launchers, several of which run at once, are in results/multirun/<run id>.
    Raises UsageError, or RuntimeError where the run failed.
    """
    grid = Grid((groups_of(RunSettings, composed),), groups_of(CommandSettings, composed))
    session, ended = train_grid("train", None, [], grid, alone=False)
    if ended.exit_code:
        raise RuntimeError("the run did not finish")
    (result,) = session.results.values()
    score = result.row["val_score"]
    return None if score is None else float(score)
