"""Reads from MLflow: finished runs, so that a command can resume, and the copy of a command's files.

A report reads `results/<experiment>/`; `actbench report` restores that folder from the copy.
"""

import base64
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from actbench.errors import UsageError
from actbench.experiment.runs import Run
from actbench.metrics.names import HISTOGRAM, split_layer_key
from actbench.store.abandoned import end_abandoned
from actbench.store.client import connect, experiment_id, is_service_error, reason, search_runs, store_errors
from actbench.store.copies import CHECKED, digest
from actbench.store.database import History, open_tables
from actbench.store.entries import Writer
from actbench.store.files import COSTS, CURVES, LAYERS, RUNS, read_costs, read_curves
from actbench.store.journal_reader import write_journals
from actbench.store.names import FILES, HAS_ENDED, IS_COMMAND, IS_COMPARISON, WEIGHTS
from actbench.store.provenance import ENVIRONMENT
from actbench.store.sqlite import Watch
from actbench.store.writer import ParentRun
from actbench.training.machine import MACHINE
from actbench.training.results import (
    COUNTS,
    IDENTITY,
    MEASURED,
    TEST_CORRECT,
    TEST_SCORES,
    Curves,
    Histograms,
    Result,
    Row,
    cut_at_divergence,
)

_AllCurves = dict[str, tuple[Curves, dict[int, Curves]]]  # by run id: of the network, of each layer

_RETRY_EVERY = 5.0  # seconds
_SCORES = f"{TEST_SCORES}/"  # of tags


class Store:
    """The runs of one experiment at a tracking URI.

    journals: write the runs that an earlier command could not store. family: as for `experiment_id`.

    Raises UsageError where the URI cannot be reached or written.
    """

    def __init__(
        self, uri: str, experiment: str, create: bool = True, journals: bool = True, family: str | None = None
    ) -> None:
        self.uri, self.experiment = uri, experiment
        self._client = connect(uri, create)
        self._watch = Watch(uri)
        with store_errors(uri):
            self._experiment_id = experiment_id(self._client, uri, experiment, family)
            self._tables = open_tables(self._client, uri, self._experiment_id)
            written = write_journals(self._client, uri) if journals else 0
        if create:
            with _as_far_as_it_answers():
                end_abandoned(self._client, self._experiment_id)
        if written:
            print(f"{written} runs that an earlier command could not store are written to {uri}", flush=True)
        self._finished_children: dict[str, list[Any]] | None = None  # by run id, as of the first search
        self._curves: _AllCurves = {}  # of the commands that are among _curves_read
        self._curves_read: set[str] = set()

    def finished(self, runs: Sequence[Run], weights: str = "none") -> dict[str, Result]:
        """Results of those runs that the store already has, by run id; without failed runs, which are tried again.

        Runs without the weights that are asked for do not count. Waits for a store that has answered before and is
        unreachable now; of one that is gone there are none.
        """
        reported = False
        while True:
            try:
                return self._finished(runs, weights)
            except Exception as error:
                if self._finished_children is None or not is_service_error(error):
                    with store_errors(self.uri):
                        raise
                if self._watch.has_changed:
                    return {}
                if not reported:
                    problem = f"store.uri={self.uri}: {reason(error)}; waiting for it, as it holds runs of this command"
                    print(f"{problem} (Ctrl-C ends; the same command goes on)", file=sys.stderr, flush=True)
                reported = True
                time.sleep(_RETRY_EVERY)

    def _finished(self, runs: Sequence[Run], weights: str) -> dict[str, Result]:
        wanted = {run.id: run for run in runs}
        children_by_id = self._search_finished()
        children: dict[str, Any] = {}  # the newest that counts for a run
        for run in wanted.values():
            for child in children_by_id.get(run.id, ()):
                if _has_weights(child.data.tags, weights):
                    children[run.id] = child
        curves = self._stored_curves(set(children))
        lacking = [child.info.run_id for id, child in children.items() if id not in curves]
        histories = self._tables.histories(lacking) if self._tables is not None else {}
        results = {}
        for id, child in children.items():
            with contextlib.suppress(KeyError, ValueError):  # damaged: it is trained again
                stored = curves.get(id) or self._histories(child, histories.get(child.info.run_id))
                results[id] = _result(wanted[id], child, *stored)
        return results

    def _search_finished(self) -> dict[str, list[Any]]:
        """Runs that have ended and not failed, by run id, oldest first."""
        if self._finished_children is None:
            children: dict[str, list[Any]] = {}
            condition = "tags.status != 'failed' and attributes.status = 'FINISHED'"
            for child in self._search(condition) if self._tables is None else self._tables.finished():
                children.setdefault(child.data.tags.get("run_id_hash", ""), []).append(child)
            self._finished_children = children
        return self._finished_children

    def _search(self, condition: str) -> Iterator[Any]:
        return search_runs(self._client, self._experiment_id, condition)

    def _stored_curves(self, ids: set[str]) -> "_AllCurves":
        """Curves from the newest commands' artifacts, each of which is read once."""
        for parent in reversed(list(self._search(IS_COMMAND))) if ids else ():
            if ids <= set(self._curves):
                break
            run_id = parent.info.run_id
            with contextlib.suppress(UsageError), _as_far_as_it_answers():  # else each metric is queried
                if run_id not in self._curves_read and CURVES in (files := self._files(run_id)):
                    with tempfile.TemporaryDirectory(prefix="actbench-") as folder:
                        self._fetch(parent, files & {CURVES, LAYERS}, folder)
                        self._curves = read_curves(Path(folder)) | self._curves
            self._curves_read.add(run_id)
        return self._curves

    def _fetch(self, parent: Any, names: Iterable[str], folder: str) -> None:
        """Downloads files of a command. Raises UsageError where one differs from what the command has written."""
        written = json.loads(parent.data.tags.get(FILES, "{}"))
        for name in names:
            self._client.download_artifacts(parent.info.run_id, name, folder)
            if name in written and digest(Path(folder, name).read_bytes()) != written[name]:
                raise UsageError(
                    f"{name} of the run {parent.info.run_name!r} in {self.uri} is damaged; run the same command "
                    "again: it trains nothing anew and writes its files"
                )

    def costs(self, ids: set[str]) -> pd.DataFrame | None:
        """The costs that the newest comparison of these runs measured, as in costs.csv; None where there is none."""
        with _as_far_as_it_answers(), tempfile.TemporaryDirectory(prefix="actbench-") as folder:
            for parent in reversed(list(self._search(IS_COMPARISON))):
                if COSTS in self._files(parent.info.run_id):
                    with contextlib.suppress(UsageError):
                        self._fetch(parent, [COSTS], folder)
                        costs = read_costs(Path(folder, COSTS))
                        if ids <= set(costs["run_id"]):
                            return costs[costs["run_id"].isin(ids)]
        return None

    def _files(self, run_id: str) -> set[str]:
        """Names of a run's artifacts."""
        return {entry.path for entry in self._client.list_artifacts(run_id)}

    def _histories(self, child: Any, known: History | None) -> tuple[Curves, dict[int, Curves]]:
        """Curves of the network and of each layer. known: the points of all metrics; None: each is queried."""
        curves: Curves = {}
        layers: dict[int, Curves] = {}
        metrics = child.data.metrics if known is None else known
        for name in [*curves_of(child), *filter(split_layer_key, metrics)]:
            if known is None:
                points = [(m.step, m.value) for m in self._client.get_metric_history(child.info.run_id, name)]
            else:
                points = known.get(name, [])
            if (layered := split_layer_key(name)) is None:
                curves[name] = points
            else:
                layer, metric = layered
                layers.setdefault(layer, {})[metric] = points
        return curves, layers

    def start(self, kind: str, tags: Mapping[str, str]) -> ParentRun:
        """Starts the parent run of a command. kind: train, sweep or compare."""
        writer = Writer(self._client, self._experiment_id, self._watch, self._tables)
        return ParentRun(writer, self.uri, self.experiment, kind, tags)

    def has_ended(self, kind: str) -> bool:
        """Whether the experiment has an ended command of that kind."""
        with store_errors(self.uri):
            return any(True for _ in self._search(f"tags.kind = '{kind}' and {HAS_ENDED}"))

    def restore(self, kind: str, folder: Path) -> dict[str, str]:
        """Copies the files of the newest ended command of that kind to `folder`; returns its tags.

        Raises UsageError where there is none, or where a file is damaged; `folder`, which exists, is then unchanged.
        """
        with store_errors(self.uri):
            ended = list(self._search(f"tags.kind = '{kind}' and {HAS_ENDED}"))
            for parent in reversed(ended):
                available = self._files(parent.info.run_id)
                if RUNS in available:
                    with tempfile.TemporaryDirectory(prefix="actbench-") as download:
                        self._fetch(parent, available & {*CHECKED, ENVIRONMENT}, download)
                        for file in Path(download).iterdir():  # a copy of the folder itself would be private, as it is
                            shutil.copyfile(file, folder / file.name)
                    return dict(parent.data.tags)
        raise UsageError(
            f"the files of {self.experiment!r} are gone from the artifacts of {self.uri}; run `actbench {kind} "
            f"{self.experiment}` again: it trains nothing anew and writes them"
            if ended
            else f"no ended {kind} of {self.experiment!r} in {self.uri}; run `actbench {kind} {self.experiment}` first"
        )


def existing_store(uri: str, experiment: str) -> Store | None:
    """An experiment of a store that exists, to read from; None where it has none. Nothing is created or written."""
    with store_errors(uri):
        known = connect(uri, create=False).get_experiment_by_name(experiment)
    return None if known is None else Store(uri, experiment, create=False, journals=False)


@contextlib.contextmanager
def _as_far_as_it_answers() -> Iterator[None]:
    """Suppresses errors of the store in the block."""
    try:
        yield
    except Exception as error:
        if not is_service_error(error):
            raise


def _has_weights(tags: Mapping[str, str], weights: str) -> bool:
    """Whether a run was stored with the weights asked for (none, last, best or all). A diverged run needs none."""
    files = tags.get(WEIGHTS, "").split()
    has_all = weights == "all" and any(name.startswith("step-") for name in files)
    return weights in ("none", *files) or has_all or tags.get("status") == "diverged"


def _result(run: Run, child: Any, curves: Curves, layers: dict[int, Curves]) -> Result:
    """A run's result from what the store holds. curves, layers: of the network and of each layer."""
    data = child.data
    row: Row = dict.fromkeys((*IDENTITY, *MEASURED, "device"))
    row |= {"run_id": run.id, "phase": data.tags["phase"], "status": data.tags["status"]}
    row |= {key: data.params[key] for key in IDENTITY if key in data.params}
    row |= {"lr": run.settings.optimizer.lr, "seed": run.settings.seed, "device": data.tags["device"]}
    row |= {key: data.tags.get(key, "") for key in MACHINE} | {"metric": run.data.metric}
    diverged = row["status"] == "diverged"
    ends = {key: points[-1][0] for key, points in curves.items() if points}
    for key in MEASURED:  # MLflow's value of a curve is its last point, which may precede the end
        final = key not in curves_of(child) or (not diverged and ends.get(key, run.steps) == run.steps)
        if key in data.metrics and final:
            row[key] = int(data.metrics[key]) if key in COUNTS else data.metrics[key]
    if run.data.metric == "accuracy":  # older versions stored no scores
        row |= {"score": row["test_accuracy"], "val_score": row["val_accuracy"]}
    reached = data.metrics.get("reached_target")  # none of a run without a target
    row["steps"], row["reached_target"] = run.steps, None if reached is None else bool(reached)
    # A run that was shown while it trained may have a point more than its result.
    correct = base64.b64decode(data.tags[TEST_CORRECT]) if TEST_CORRECT in data.tags else None
    scores = b"".join(base64.b64decode(text) for key, text in sorted(data.tags.items()) if key.startswith(_SCORES))
    return cut_at_divergence(Result(run, row, curves, None, _histograms(data.tags), layers, correct, scores or None))


def curves_of(child: Any) -> list[str]:
    """Metrics of the network that are curves, as the tag names them."""
    return str(child.data.tags.get("curves", "")).split()


def _histograms(tags: Mapping[str, str]) -> dict[int, Histograms]:
    found = {key.rpartition("/"): text for key, text in sorted(tags.items())}
    return {
        int(layer): {int(step): counts for step, counts in json.loads(text).items()}
        for (name, _, layer), text in found.items()
        if name == HISTOGRAM
    }
