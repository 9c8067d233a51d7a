"""Views of each experiment's page, kept as tags of the experiment, where MLflow keeps those that are shared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import ViewType

from actbench.store.client import connect, is_service_error, search_runs, store_errors
from actbench.store.dashboard import TAG, View, packed_state
from actbench.store.journal import write_waiting

_PHASES = ("confirm", "sweep", "train", "tune")  # the most telling first
_NAMED = ("activation", "seed", "steps", "dataset", "architecture")  # short params that a view's title or bands say
_MOST = 3  # keys beside the activation by which a view tells runs apart


@dataclass(frozen=True)
class Arranged:
    """An experiment, and (view, its key) for each phase and setting; no key where it could not be kept."""

    id: str
    name: str
    page: str | None  # MLflow's id of the newest comparison, whose page has the answer
    views: tuple[tuple[View, str | None], ...]


class Views:
    """The experiments of a store. Raises UsageError where it cannot be reached."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client = connect(uri, create=False)
        with store_errors(uri):
            write_waiting(self._client, uri)

    def arranged(self) -> list[Arranged]:
        """Every experiment that holds runs of ours, the newest first."""
        with store_errors(self._uri):
            found = self._client.search_experiments(ViewType.ACTIVE_ONLY, order_by=["last_update_time DESC"])
            each = [self._arrange(experiment) for experiment in found]
        return [own for own in each if own.views]

    def _arrange(self, experiment: Any) -> Arranged:
        runs = list(self._search(experiment, "tags.kind = 'run'"))
        metrics = sorted({metric for run in runs for metric in run.data.metrics})
        views: list[tuple[View, str | None]] = []
        for view in views_of([(run.data.tags, run.data.params) for run in runs]):
            key, value = packed_state(view.state(metrics))
            try:
                if experiment.tags.get(TAG + key) != value:
                    self._client.set_experiment_tag(experiment.experiment_id, TAG + key, value)
            except Exception as error:  # a store that may only be read, or takes no tag as long
                if not is_service_error(error):
                    raise
                views.append((view, None))
            else:
                views.append((view, key))
        compared = [run.info.run_id for run in self._search(experiment, "tags.kind = 'compare'")]
        return Arranged(experiment.experiment_id, experiment.name, compared[-1] if compared else None, tuple(views))

    def _search(self, experiment: Any, condition: str) -> Iterator[Any]:
        return search_runs(self._client, experiment.experiment_id, condition)


def views_of(runs: Sequence[tuple[Mapping[str, str], Mapping[str, str]]]) -> Iterator[View]:
    """A view for each phase, data set and architecture. runs: (tags, params) of each."""
    settings: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for tags, params in runs:
        named = tags.get("phase", ""), params.get("dataset", ""), params.get("architecture", "")
        if named[0] in _PHASES and not any("'" in part for part in named):  # ours
            settings.setdefault(named, []).append(params)
    for phase, dataset, architecture in sorted(settings, key=lambda named: _PHASES.index(named[0])):
        condition = (
            f"tags.kind = 'run' and tags.phase = '{phase}' and params.dataset = '{dataset}' "
            f"and params.architecture = '{architecture}'"
        )
        own = settings[phase, dataset, architecture]
        groups = ("activation", *_telling_apart(own, phase))
        values = dict.fromkeys(tuple(params.get(key, "") for key in groups) for params in own)
        yield View(f"{phase}: {dataset}, {architecture}", condition, groups, tuple(values), len(own))


def _telling_apart(runs: Sequence[Mapping[str, str]], phase: str) -> tuple[str, ...]:
    """Keys that differ among runs of one activation, seeds apart: their curves must not be averaged."""
    values: dict[str, dict[str, set[str]]] = {}
    for params in runs:
        for key, value in params.items():
            values.setdefault(key, {}).setdefault(params.get("activation", ""), set()).add(value)
    differing = [key for key, own in values.items() if any(len(each) > 1 for each in own.values())]
    known = _NAMED if phase != "confirm" else (*_NAMED, "lr")  # there each activation has one
    return tuple([key for key in differing if key not in (*known, "optimizer.lr")][:_MOST])
