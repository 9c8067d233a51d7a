"""Views of each experiment's page in MLflow, kept as tags of the experiment, as MLflow keeps shared views."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import ViewType

from actbench.store.client import connect, is_service_error, search_runs, store_errors
from actbench.store.dashboard import TAG, View, packed_state
from actbench.store.journal import write_journals
from actbench.store.names import IS_COMPARISON, IS_RUN

CHOSEN, EVERY = "chosen rates", "every rate"  # views of a comparison
_CONDITIONS = {  # in the order of the views; confirm and tune are phases of an older version
    CHOSEN: "tags.chosen = 'true'",
    **{phase: f"tags.phase = '{phase}'" for phase in ("confirm", "sweep", "train")},
    EVERY: "tags.phase = 'compare'",
    "tune": "tags.phase = 'tune'",
}
_ONE_RATE = (CHOSEN, "confirm")  # views in which an activation has one rate a seed
_IN_TITLE = ("activation", "seed", "steps", "dataset", "architecture")  # params that a view's title or bands show
_MAX_KEYS = 3  # beside the activation, by which a view groups runs

Task = tuple[str, str, str]  # kind of view, data set, architecture


@dataclass(frozen=True)
class ExperimentViews:
    """An experiment with its views, each with its key; None where the store does not keep it.

    comparison: MLflow's id of the newest comparison, whose page shows the report.
    """

    id: str
    name: str
    comparison: str | None
    views: tuple[tuple[View, str | None], ...]


def experiment_views(uri: str) -> list[ExperimentViews]:
    """The experiments of a store that hold runs of actbench, the newest first, with their views stored.

    Raises UsageError where the store cannot be reached.
    """
    client = connect(uri, create=False)
    with store_errors(uri):
        write_journals(client, uri)
        experiments = client.search_experiments(ViewType.ACTIVE_ONLY, order_by=["last_update_time DESC"])
        arranged = [_store_views(client, experiment) for experiment in experiments]
    return [experiment for experiment in arranged if experiment.views]


def _store_views(client: Any, experiment: Any) -> ExperimentViews:
    """Stores the views of one experiment, those that have changed."""
    id = experiment.experiment_id
    runs = list(search_runs(client, id, IS_RUN))
    metrics = sorted({metric for run in runs for metric in run.data.metrics})
    views: list[tuple[View, str | None]] = []
    for view in views_of([(run.data.tags, run.data.params) for run in runs]):
        key, value = packed_state(view.state(metrics))
        try:
            if experiment.tags.get(TAG + key) != value:
                client.set_experiment_tag(id, TAG + key, value)
        except Exception as error:  # a read-only store, or one that refuses a tag of that length
            if not is_service_error(error):
                raise
            views.append((view, None))
        else:
            views.append((view, key))
    comparisons = [run.info.run_id for run in search_runs(client, id, IS_COMPARISON)]
    return ExperimentViews(id, experiment.name, comparisons[-1] if comparisons else None, tuple(views))


def views_of(runs: Sequence[tuple[Mapping[str, str], Mapping[str, str]]]) -> Iterator[View]:
    """A view for each data set and architecture of sweeps and trainings, two of comparisons: at the chosen rates, and
    at every rate. runs: (tags, params) of each."""
    params_by_task: dict[Task, list[Mapping[str, str]]] = {}
    for tags, params in runs:
        for kind in _kinds(tags):
            task = kind, params.get("dataset", ""), params.get("architecture", "")
            if not any("'" in part for part in task):  # no quote to escape
                params_by_task.setdefault(task, []).append(params)
    order = list(_CONDITIONS)
    for task in sorted(params_by_task, key=lambda task: order.index(task[0])):
        kind, dataset, architecture = task
        condition = (
            f"{IS_RUN} and {_CONDITIONS[kind]} and params.dataset = '{dataset}' "
            f"and params.architecture = '{architecture}'"
        )
        groups = ("activation", *_differing_keys(params_by_task[task], kind))
        values = dict.fromkeys(tuple(params.get(key, "") for key in groups) for params in params_by_task[task])
        title = f"{kind}: {dataset}, {architecture}"
        yield View(title, condition, groups, tuple(values), len(params_by_task[task]))


def _kinds(tags: Mapping[str, str]) -> list[str]:
    """The kinds of views that show a run; none for a run that is not of actbench."""
    phase = tags.get("phase", "")
    kind = EVERY if phase == "compare" else phase
    return [*([CHOSEN] if tags.get("chosen") == "true" else []), *([kind] if kind in _CONDITIONS else [])]


def _differing_keys(runs: Sequence[Mapping[str, str]], kind: str) -> tuple[str, ...]:
    """Params other than the seed that differ among runs of one activation: their curves must not be averaged."""
    values: dict[str, dict[str, set[str]]] = {}  # key -> activation -> values
    for params in runs:
        for key, value in params.items():
            values.setdefault(key, {}).setdefault(params.get("activation", ""), set()).add(value)
    differing = [key for key in values if any(len(seen) > 1 for seen in values[key].values())]
    ignored = {*_IN_TITLE, "optimizer.lr"} | ({"lr"} if kind in _ONE_RATE else set())
    return tuple([key for key in differing if key not in ignored][:_MAX_KEYS])
