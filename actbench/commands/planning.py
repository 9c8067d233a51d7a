"""What a command plans: its data, its runs, and the description of what it was asked."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from actbench.data.datasets import PreparedData
from actbench.errors import UsageError, printable
from actbench.experiment.compose import Grid
from actbench.experiment.dataset_settings import DatasetSettings
from actbench.experiment.kinds import prepare
from actbench.experiment.plan import plan_digest
from actbench.experiment.questions import Experiment
from actbench.experiment.request import Caller, Request
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import RunSettings
from actbench.experiment.scores import ACCURACY, worst
from actbench.report.formats.blocks import literal
from actbench.report.formats.languages import MARKS
from actbench.report.sentences import joined
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
    if experiment.command == "sweep":
        raise UsageError(
            f"experiment {experiment.name} is a sweep, as its question is not about tuned learning rates; "
            f"run `actbench sweep {experiment.name}`"
        )
    for run in runs:
        if not run.data.test:
            raise UsageError(
                f"dataset={run.data.name}: has no test part, on which compare scores; use `actbench sweep`"
            )
    if experiment.hypotheses:
        from actbench.analysis.check import check_hypotheses  # its libraries take half a second

        check_hypotheses(experiment.hypotheses, runs_frame([missing_result(run, "") for run in runs]), racing)


def make_request(
    command: str, experiment: Experiment | None, overrides: Sequence[str], grid: Grid, runs: Sequence[Run],
    caller: Caller | None = None,
) -> Request:  # fmt: skip
    """Describes what the command was asked to do; without an experiment it is named after the command.

    runs: all that are planned, or those that the command begins with. caller: None is the command line.
    """
    training = [run.settings.training for run in runs]
    protocol, data = grid.command.protocol, {run.data.name: run.data for run in runs}
    return Request(
        experiment=experiment.name if experiment else command,
        question=_question(experiment, overrides, runs) if experiment else _title(command, runs),
        command=command_line() if caller is None else printable(caller.line),
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
        own_tests=tuple(name for name, own in data.items() if own.own_test),
        plan=plan_digest(command, runs, protocol),
        worst={name: low for name, own in data.items() if (low := worst(own.metric, own.classes))},
    )


_NETWORKS = {
    "mlp": "an MLP", "cnn": "a CNN", "transformer": "a Transformer", "decoder": "a decoder", "rnn": "an RNN",
    "gru": "a GRU", "lstm": "an LSTM",
}  # fmt: skip
_MOST_NAMED = 4  # activations in a title
_OF_USER = ("table", "text", "image_folder")  # data sets that are named by their file or folder


def _question(experiment: Experiment, overrides: Sequence[str], runs: Sequence[Run]) -> str:
    """The experiment's question; with other data or networks than its own, and without hypotheses, one that fits."""
    changed = {override.partition("=")[0] for override in overrides} & {"dataset", "architecture"}
    if not changed or experiment.hypotheses:
        return experiment.question
    data, networks = _data_and_networks(runs)
    return f"Which activation function should I use on {data}, in {networks}?"


def _title(command: str, runs: Sequence[Run]) -> str:
    """What a sweep or a single run is of, where no experiment asks a question."""
    data, networks = _data_and_networks(runs)
    names = list(dict.fromkeys(run.settings.activation.label for run in runs))
    what = joined(names, "and") if len(names) <= _MOST_NAMED else f"{len(names)} activations"
    return f"{'Sweep' if command == 'sweep' else 'Training'} of {what} on {data}, in {networks}"


def _data_and_networks(runs: Sequence[Run]) -> tuple[str, str]:
    """The data sets and the networks of runs in words."""
    datasets = dict.fromkeys(run.settings.dataset for run in runs)
    data = [Path(own.root or own.name).name if own.name in _OF_USER else own.name for own in datasets]
    networks = dict.fromkeys(_NETWORKS[run.settings.architecture.name] for run in runs)
    return joined(data, "and"), joined(list(networks), "and")


def note_of(request: Request) -> str:
    """The question as Markdown, which MLflow shows beside a command that has no report."""
    return MARKS["md"].inline(literal(request.question))
