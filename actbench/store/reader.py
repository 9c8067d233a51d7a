"""The runs of one experiment, as MLflow holds them."""

import contextlib
import json
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from actbench.errors import UsageError
from actbench.experiment.runs import Run
from actbench.metrics.names import HISTOGRAM, split_layer_key
from actbench.store.client import connect, experiment_id, is_service_error, reason, search_runs, store_errors
from actbench.store.entries import WEIGHTS
from actbench.store.files import COSTS, CURVES, ENVIRONMENT, LAYERS, RUNS, read_costs, read_curves
from actbench.store.journal import write_waiting
from actbench.store.runs import CHECKED, FILES, Parent, digest
from actbench.training.results import IDENTITY, MEASURED, Histograms, Result, Row

_AGAIN = 5.0  # seconds
_COMMANDS = "tags.kind != 'run' and tags.kind != 'phase'"
_INTEGERS = ("failed_step", "steps", "parameters", "steps_to_target", "samples_to_target", "dead_layers")


class Store:
    """The runs of one experiment at a tracking URI.

    Raises UsageError where the URI cannot be reached or written.
    """

    def __init__(self, uri: str, experiment: str, create: bool = True) -> None:
        self.uri, self.experiment = uri, experiment
        self._client = connect(uri, create)
        with store_errors(uri):
            self._experiment_id = experiment_id(self._client, uri, experiment)
            waited = write_waiting(self._client, uri)
        if waited:
            print(f"{waited} runs that an earlier command could not store are written to {uri}", flush=True)
        self._children: dict[str, list[Any]] | None = None  # by run id, as they were when first asked for

    def finished(self, runs: Sequence[Run], weights: str = "none") -> dict[str, Result]:
        """Results of those runs that the store already holds, by run id. A failed run is not held: it is tried again.

        Tuning runs never read the test set, so they stand in for no run of another phase; runs without the weights
        that are asked for stand in for none. A service that has answered before and is away now is waited for.
        """
        told = False
        while True:
            try:
                return self._finished(runs, weights)
            except Exception as error:
                if self._children is None or not is_service_error(error):
                    with store_errors(self.uri):
                        raise
                if not told:
                    said = f"store.uri={self.uri}: {reason(error)}; waiting for it, as it holds runs of this"
                    print(f"{said} phase (Ctrl-C ends; the same command goes on)", file=sys.stderr, flush=True)
                told = True
                time.sleep(_AGAIN)

    def _finished(self, runs: Sequence[Run], weights: str) -> dict[str, Result]:
        wanted = {run.id: run for run in runs}
        held: dict[str, Any] = {}
        for id, children in self._whole().items():
            for child in children:
                run, tags = wanted.get(id), child.data.tags
                if run is not None and not (run.reads_test and tags.get("phase") == "tune") and _has(tags, weights):
                    held[run.id] = child
        curves = self._held_curves(set(held))
        found = {}
        for id, child in held.items():
            with contextlib.suppress(KeyError, ValueError):  # damaged: it is trained again
                found[id] = self._result(wanted[id], child, curves.get(id))
        return found

    def _whole(self) -> dict[str, list[Any]]:
        """Runs that have ended and not failed."""
        if self._children is None:
            found: dict[str, list[Any]] = {}
            for child in self._search("tags.status != 'failed' and attributes.status = 'FINISHED'"):
                found.setdefault(child.data.tags.get("run_id_hash", ""), []).append(child)
            self._children = found
        return self._children

    def _search(self, condition: str) -> Iterator[Any]:
        return search_runs(self._client, self._experiment_id, condition)

    def _held_curves(self, ids: set[str]) -> dict[str, dict[str, list[tuple[int, float]]]]:
        """Curves from the newest commands' artifacts: one file, not a query a metric."""
        found: dict[str, dict[str, list[tuple[int, float]]]] = {}
        if not ids:
            return found
        for parent in reversed(list(self._search(_COMMANDS))):
            if ids <= set(found):
                break
            with contextlib.suppress(UsageError), _as_far_as_it_answers():  # else each metric is asked for
                if CURVES in (there := self._files(parent.info.run_id)):
                    with tempfile.TemporaryDirectory(prefix="actbench-") as folder:
                        self._fetch(parent, there & {CURVES, LAYERS}, folder)
                        found = read_curves(Path(folder)) | found
        return found

    def _fetch(self, parent: Any, names: Iterable[str], folder: str) -> None:
        """Downloads files of a command. Raises UsageError where one is not what the command has written."""
        written = json.loads(parent.data.tags.get(FILES, "{}"))
        for name in names:
            self._client.download_artifacts(parent.info.run_id, name, folder)
            if name in written and digest(Path(folder, name)) != written[name]:
                raise UsageError(
                    f"{name} of the run {parent.info.run_name!r} in {self.uri} is damaged; run the same command "
                    "again: it trains nothing anew and writes its files"
                )

    def costs(self, ids: set[str]) -> pd.DataFrame | None:
        """What the newest comparison of these confirming runs measured, as costs.csv has it; None where that is not
        known."""
        with _as_far_as_it_answers(), tempfile.TemporaryDirectory(prefix="actbench-") as folder:
            for parent in reversed(list(self._search("tags.kind = 'compare'"))):
                if COSTS in self._files(parent.info.run_id):
                    with contextlib.suppress(UsageError):
                        self._fetch(parent, [COSTS], folder)
                        found = read_costs(Path(folder, COSTS))
                        if ids <= set(found["run_id"]):
                            return found[found["run_id"].isin(ids)]
        return None

    def _files(self, run_id: str) -> set[str]:
        return {entry.path for entry in self._client.list_artifacts(run_id)}

    def _result(self, run: Run, child: Any, curves: dict[str, list[tuple[int, float]]] | None) -> Result:
        data = child.data
        row: Row = dict.fromkeys((*IDENTITY, *MEASURED, "device"))
        row |= {"run_id": run.id, "phase": data.tags["phase"], "status": data.tags["status"]}
        row |= {key: data.params[key] for key in IDENTITY if key in data.params}
        row |= {"lr": run.config.optimizer.lr, "seed": run.config.seed, "device": data.tags["device"]}
        if curves is None:
            curves = {
                key: [(m.step, m.value) for m in self._client.get_metric_history(child.info.run_id, key)]
                for key in curves_of(child)
            }
        diverged = row["status"] == "diverged"
        ends = {key: points[-1][0] for key, points in curves.items() if points}
        for key in MEASURED:  # MLflow has of a curve its last point: where the end had no value, an earlier one
            final = key not in curves_of(child) or (not diverged and ends.get(key, run.steps) == run.steps)
            if key in data.metrics and final:
                row[key] = int(data.metrics[key]) if key in _INTEGERS else data.metrics[key]
        row["steps"], row["reached_target"] = run.steps, bool(data.metrics["reached_target"])
        if diverged:  # a live run may have shown a point more
            curves = {
                key: kept
                for key, points in curves.items()
                if (kept := [point for point in points if point[0] < int(data.metrics["failed_step"])])
            }
        return Result(run, row, curves, histograms=_histograms(data.tags))

    def start(self, kind: str, tags: Mapping[str, str]) -> "Parent":
        """A parent run for one command (kind: train, sweep or compare)."""
        with _as_far_as_it_answers():
            self._end_abandoned()
        return Parent(self._client, self._experiment_id, self.uri, self.experiment, kind, tags)

    def _end_abandoned(self) -> None:
        """Commands of this machine that were killed outright left runs RUNNING: of these nothing can be told."""
        for run in list(self._search("attributes.status = 'RUNNING'")):
            tags = run.data.tags
            if tags.get("host") == socket.gethostname() and not psutil.pid_exists(int(tags.get("pid", "0"))):
                if tags.get("kind") == "run":
                    self._client.delete_run(run.info.run_id)
                else:
                    self._client.set_terminated(run.info.run_id, "KILLED")

    def restore(self, kind: str, folder: Path) -> dict[str, str]:
        """Copies the files of the newest ended command of that kind to `folder`; returns its tags.

        Raises UsageError where there is none.
        """
        with store_errors(self.uri):
            ended = list(self._search(f"tags.kind = '{kind}' and attributes.status != 'RUNNING'"))
            for parent in reversed(ended):
                there = self._files(parent.info.run_id)
                if RUNS not in there:
                    continue
                with tempfile.TemporaryDirectory(prefix="actbench-") as whole:  # nothing is replaced by half of it
                    self._fetch(parent, there & {*CHECKED, ENVIRONMENT}, whole)
                    shutil.copytree(whole, folder, dirs_exist_ok=True)
                return dict(parent.data.tags)
        raise UsageError(
            f"the files of {self.experiment!r} are gone from the artifacts of {self.uri}; run `actbench {kind} "
            f"{self.experiment}` again: it trains nothing anew and writes them"
            if ended
            else f"no ended {kind} of {self.experiment!r} in {self.uri}; run `actbench {kind} {self.experiment}` first"
        )


@contextlib.contextmanager
def _as_far_as_it_answers() -> Iterator[None]:
    """What can be done without stops nobody where the service is away."""
    try:
        yield
    except Exception as error:
        if not is_service_error(error):
            raise


def _has(tags: Mapping[str, str], weights: str) -> bool:
    """Whether a run was stored with its weights of that kind: last, best, or all. One that diverged needs none."""
    there = tags.get(WEIGHTS, "").split()
    every = weights == "all" and any(name.startswith("step-") for name in there)
    return weights in ("none", *there) or every or tags.get("status") == "diverged"


def curves_of(child: Any) -> list[str]:
    """Metrics that are curves: those that the tag names, and every layer's (too many for a tag)."""
    return str(child.data.tags.get("curves", "")).split() + [key for key in child.data.metrics if not _whole(key)]


def _histograms(tags: Mapping[str, str]) -> dict[int, Histograms]:
    found = {key.rpartition("/"): text for key, text in sorted(tags.items())}
    return {
        int(layer): {int(step): counts for step, counts in json.loads(text).items()}
        for (name, _, layer), text in found.items()
        if name == HISTOGRAM
    }


def _whole(metric: str) -> bool:
    return split_layer_key(metric) is None
