"""What a command plans: its data, its runs, and the description of what it was asked."""

from collections.abc import Iterable, Mapping, Sequence

from actbench.data.datasets import PreparedData, prepare_data
from actbench.errors import printable
from actbench.experiment.compose import Grid
from actbench.experiment.questions import Experiment
from actbench.experiment.request import Request
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import DatasetSettings, RunSettings
from actbench.report.formats.blocks import literal
from actbench.report.formats.languages import MARKS
from actbench.store.files import runs_frame
from actbench.store.provenance import command_line, revision, versions
from actbench.training.results import missing_result

Data = Mapping[DatasetSettings, PreparedData]


def prepared_data(runs: Iterable[RunSettings]) -> Data:
    """Checks and caches each distinct data set; returns them by their settings."""
    return {
        dataset: prepare_data(dataset.name, dataset.root, dataset.download, dataset.image_size, dataset.max_pixels)
        for dataset in dict.fromkeys(run.dataset for run in runs)
    }


def make_runs(runs: Iterable[RunSettings], data: Data, phase: str) -> list[Run]:
    """Returns the runs of these settings on their data."""
    return [make_run(run, data[run.dataset], phase) for run in runs]


def check_experiment(experiment: Experiment, runs: Sequence[Run], racing: bool) -> None:
    """Raises UsageError for a hypothesis that cannot be asked of a comparison that begins with these runs."""
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
    return Request(
        experiment=experiment.name if experiment else command,
        question=experiment.question if experiment else f"A {command} of the command line.",
        command=command_line(),
        overrides=printable(" ".join(overrides)),
        baseline=grid.command.protocol.baseline,
        margin=grid.command.protocol.margin,
        targets=tuple(dict.fromkeys(settings.target for settings in training)),
        batch_sizes=tuple(dict.fromkeys(settings.batch_size for settings in training)),
        revision=str(revision()),
        versions=versions(),
        test_sizes={run.data.name: run.data.test for run in runs},
    )


def note_of(request: Request) -> str:
    """The question as Markdown, which MLflow shows beside a command that has no report."""
    return MARKS["md"].inline(literal(request.question))
