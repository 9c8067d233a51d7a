"""What a command plans: its data, its runs, and the description of what it was asked."""

from collections.abc import Iterable, Mapping, Sequence

from actbench.data.datasets import PreparedData
from actbench.errors import UsageError, printable
from actbench.experiment.compose import Grid
from actbench.experiment.dataset_settings import DatasetSettings
from actbench.experiment.kinds import prepare
from actbench.experiment.questions import Experiment
from actbench.experiment.request import Request
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import RunSettings
from actbench.experiment.scores import ACCURACY, worst
from actbench.report.formats.blocks import literal
from actbench.report.formats.languages import MARKS
from actbench.store.files import runs_frame
from actbench.store.provenance import command_line, revision, versions
from actbench.training.results import missing_result

Data = Mapping[DatasetSettings, PreparedData]


def prepared_data(runs: Iterable[RunSettings]) -> Data:
    """Checks and caches each distinct data set; returns them by their settings."""
    return {dataset: prepare(dataset) for dataset in dict.fromkeys(run.dataset for run in runs)}


def make_runs(runs: Iterable[RunSettings], data: Data, phase: str) -> list[Run]:
    """Returns the runs of these settings on their data."""
    return [make_run(run, data[run.dataset], phase) for run in runs]


def check_experiment(experiment: Experiment, runs: Sequence[Run], racing: bool) -> None:
    """Raises UsageError for what cannot be compared: runs without a test part, and a hypothesis that cannot be asked.

    runs: with which the comparison begins.
    """
    for run in runs:
        if not run.data.test:
            raise UsageError(
                f"dataset={run.data.name}: has no test part, on which compare scores; use `actbench sweep`"
            )
    if experiment.hypotheses:
        from actbench.analysis.check import check_hypotheses  # its libraries take half a second

        check_hypotheses(experiment.hypotheses, runs_frame([missing_result(run, "") for run in runs]), racing)


def make_request(
    command: str, experiment: Experiment | None, overrides: Sequence[str], grid: Grid, runs: Sequence[Run]
) -> Request:
    """Describes what the command was asked to do; without an experiment it is named after the command.

    runs: all that are planned, or those that the command begins with.
    """
    training = [run.settings.training for run in runs]
    protocol, data = grid.command.protocol, {run.data.name: run.data for run in runs}
    return Request(
        experiment=experiment.name if experiment else command,
        question=experiment.question if experiment else f"A {command} of the command line.",
        command=command_line(),
        overrides=printable(" ".join(overrides)),
        baseline=protocol.baseline,
        margin=protocol.margin,
        targets=tuple(dict.fromkeys(s.target for s in training if s.target is not None and s.target_loss is None)),
        batch_sizes=tuple(dict.fromkeys(settings.batch_size for settings in training)),
        revision=str(revision()),
        versions=versions(),
        test_sizes={name: own.test for name, own in data.items()},
        target_losses=tuple(dict.fromkeys(own.target_loss for own in training if own.target_loss is not None)),
        margins={own.metric: protocol.margin_of(own.metric) for own in data.values() if own.metric != ACCURACY.name},
        worst={name: low for name, own in data.items() if (low := worst(own.metric, own.classes))},
    )


def note_of(request: Request) -> str:
    """The question as Markdown, which MLflow shows beside a command that has no report."""
    return MARKS["md"].inline(literal(request.question))
