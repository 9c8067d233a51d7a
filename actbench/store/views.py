"""Views of each experiment's page in MLflow, kept as tags of the experiment, as MLflow keeps shared views."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import ViewType

from actbench.experiment.scores import ACCURACY, METRICS
from actbench.store.charts import run_sections, summary_sections
from actbench.store.client import connect, is_service_error, search_runs, store_errors
from actbench.store.dashboard import LOADED, TAG, View, packed_state, run_columns
from actbench.store.journal_reader import write_journals
from actbench.store.names import IS_COMPARISON, IS_RUN, IS_SUMMARY, PARENT
from actbench.store.summaries import DIFFERENCES, score_column

CHOSEN, EVERY = "chosen rates", "every rate"  # views of a comparison's runs
_CONDITIONS = {  # in the order of the views; confirm and tune are phases of an older version
    CHOSEN: "tags.chosen = 'true'",
    **{phase: f"tags.phase = '{phase}'" for phase in ("confirm", "sweep", "train")},
    EVERY: "tags.phase = 'compare'",
    "tune": "tags.phase = 'tune'",
}
_ONE_RATE = (CHOSEN, "confirm")  # views in which an activation has one rate a seed
_IN_TITLE = ("activation", "seed", "steps", "dataset", "architecture")  # params that a view's title or bands show
_MAX_EXCLUDED = 20  # seeds that a filter leaves out: each is a join of tables, of which SQLite allows 64
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
    runs, summaries = (list(search_runs(client, id, condition)) for condition in (IS_RUN, IS_SUMMARY))
    metrics = sorted({metric for run in (*runs, *summaries) for metric in run.data.metrics})
    comparisons = [run.info.run_id for run in search_runs(client, id, IS_COMPARISON)]
    is_summarized = any(run.data.tags.get(PARENT) == comparisons[-1] for run in summaries[-1:])
    views: list[tuple[View, str | None]] = []
    for view in (
        *summary_views(summaries),
        *views_of([(run.data.tags, run.data.params) for run in runs], is_summarized),
    ):
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
    return ExperimentViews(id, experiment.name, comparisons[-1] if comparisons else None, tuple(views))


def summary_views(summaries: Sequence[Any]) -> Iterator[View]:
    """A view for each task of the newest comparison that has summaries. summaries: runs of MLflow, oldest first."""
    tasks: dict[str, list[Any]] = {}
    for run in reversed(summaries):  # written in the reverse order of the report
        newest = run.data.tags.get(PARENT) == summaries[-1].data.tags.get(PARENT)
        if newest and "'" not in run.data.params["task"]:  # no quote to escape
            tasks.setdefault(run.data.params["task"], []).append(run.data)
    for task, found in tasks.items():
        condition = f"params.task = '{task}' and {IS_SUMMARY} and tags.`{PARENT}` = '{found[0].tags[PARENT]}'"
        metric = _metric_of(found[0].tags)
        sections = summary_sections([data.metrics for data in found], float(found[0].tags["margin"]), metric)
        difference, score = DIFFERENCES[metric], score_column(metric)
        best = difference if all(difference in data.metrics for data in found) else score
        columns = (
            "params.`lr`", "tags.`verdict`", f"metrics.`{score}`", f"metrics.`{difference}`",
            f"metrics.`{difference}: low`", f"metrics.`{difference}: high`", "metrics.`steps_to_target`",
            "metrics.`dead_fraction`", "metrics.`activation_ns`",
        )  # fmt: skip
        yield View(f"activations: {task}", condition, len(found), sections, best, columns)


def views_of(
    runs: Sequence[tuple[Mapping[str, str], Mapping[str, str]]], is_summarized: bool = False
) -> Iterator[View]:
    """A view for each data set and architecture of sweeps and trainings, two of comparisons: at the chosen rates, and
    at every rate.

    runs: (tags, params) of each. is_summarized: whether summaries show the newest comparison, so that its runs need no
    views: while one trains there are none.
    """
    params_by_task: dict[Task, list[Mapping[str, str]]] = {}
    metrics: dict[Task, str] = {}  # of the scores
    for tags, params in runs:
        for kind in _kinds(tags):
            task = kind, params.get("dataset", ""), params.get("architecture", "")
            if not any("'" in part for part in task) and not (is_summarized and kind in (CHOSEN, EVERY)):
                params_by_task.setdefault(task, []).append(params)
                metrics[task] = _metric_of(tags)
    order = list(_CONDITIONS)
    for task in sorted(params_by_task, key=lambda task: order.index(task[0])):
        yield _run_view(task, params_by_task[task], metrics[task])


def _run_view(task: Task, runs: Sequence[Mapping[str, str]], metric: str) -> View:
    """The view of one task. Of more runs than MLflow loads at once: those of the first seeds, whole.

    metric: of its scores.
    """
    kind, dataset, architecture = task
    title = f"{kind}: {dataset}, {architecture}"
    condition = (
        f"{IS_RUN} and {_CONDITIONS[kind]} and params.dataset = '{dataset}' and params.architecture = '{architecture}'"
    )
    seeds = list(dict.fromkeys(params.get("seed", "") for params in runs))
    shown = _first_seeds(runs)
    kept = list(dict.fromkeys(params.get("seed", "") for params in shown))
    if 0 < len(seeds) - len(kept) <= _MAX_EXCLUDED:
        condition += "".join(f" and params.seed != '{seed}'" for seed in seeds if seed not in kept)
        title += f", seeds {kept[0]} to {kept[-1]}" if len(kept) > 1 else f", seed {kept[0]}"
        runs = shown
    groups = ("activation", *_differing_keys(runs, kind))
    values = dict.fromkeys(tuple(params.get(key, "") for key in groups) for params in runs)
    score = score_column(metric)
    return View(
        title, condition, len(runs), run_sections(metric), score, run_columns(score, METRICS[metric].curve), groups,
        tuple(values),
    )  # fmt: skip


def _metric_of(tags: Mapping[str, str]) -> str:
    """The metric of a run's scores; those of an older version do not say it."""
    metric = tags.get("metric", "")
    return metric if metric in METRICS else ACCURACY.name


def _first_seeds(runs: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The runs of the first seeds that MLflow loads at once, so that all activations have the same; at least one."""
    by_seed: dict[int, list[Mapping[str, str]]] = {}
    for params in runs:
        by_seed.setdefault(int(params.get("seed") or 0), []).append(params)
    shown: list[Mapping[str, str]] = []
    for seed in sorted(by_seed):
        if shown and len(shown) + len(by_seed[seed]) > LOADED:
            break
        shown += by_seed[seed]
    return shown


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
