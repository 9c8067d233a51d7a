"""MLflow: the only place results live. One parent run a command, one child a run; the only import of mlflow."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from actbench import sqlite
from actbench.errors import UsageError
from actbench.metrics.layers import HISTOGRAM, apart
from actbench.mirror import COSTS, CURVES, ENVIRONMENT, HISTOGRAMS, HYPOTHESES, LAYERS, RUNS, read_costs, read_curves
from actbench.plan import Run
from actbench.records import IDENTITY, MEASURED, Histograms, Result, Row, params_of

_INTEGERS = ("failed_step", "steps", "parameters", "steps_to_target", "samples_to_target", "dead_layers")
_BATCH = 1000  # metrics that MLflow takes in one log_batch
_CHECKED = (RUNS, CURVES, LAYERS, HISTOGRAMS, COSTS, HYPOTHESES)  # files that are read again
_FILES = "files"  # tag of a parent run: what they were when they were written
_PAGE = 1000  # runs a page of search_runs

# Migrations of a new database are told line by line; errors we tell ourselves.
for _name, _level in (("mlflow", logging.ERROR), ("alembic", logging.ERROR), ("mlflow.store.db", logging.CRITICAL)):
    logging.getLogger(_name).setLevel(_level)


class Store:
    """The runs of one experiment at a tracking URI.

    Raises UsageError where the URI cannot be reached or written.
    """

    def __init__(self, uri: str, experiment: str, create: bool = True) -> None:
        self.uri, self.experiment = uri, experiment
        database = sqlite.check(uri, create)
        with _explained(uri), sqlite.alone(database):  # two processes that make one new database break it
            if database is not None:  # absolute, as MLflow keeps one engine a URI and process, whatever the folder
                database = database.resolve()
                if not database.exists():
                    sqlite.make(database, lambda new: MlflowClient(new).search_experiments(max_results=1))
            self._client = MlflowClient(tracking_uri=f"sqlite:///{database}" if database else uri)
            found = self._client.get_experiment_by_name(experiment)
            if found is not None and found.lifecycle_stage == "deleted":
                raise UsageError(
                    f"experiment {experiment!r} in {uri} is deleted; run `mlflow experiments restore "
                    f"--experiment-id {found.experiment_id}` or `mlflow gc`"
                )
            self._experiment_id = found.experiment_id if found else self._client.create_experiment(experiment)

    def finished(self, runs: Sequence[Run]) -> dict[str, Result]:
        """Results of those runs that the store already holds, by run id. A failed run is not held: it is tried again.

        Tuning runs never read the test set, so they stand in for no run of another phase.
        """
        with _explained(self.uri):
            wanted = {run.id: run for run in runs}
            held: dict[str, Any] = {}
            for child in self._search("tags.status != 'failed' and attributes.status = 'FINISHED'"):
                run = wanted.get(child.data.tags.get("run_id_hash", ""))
                if run is not None and not (run.reads_test and child.data.tags.get("phase") == "tune"):
                    held[run.id] = child
            curves = self._held_curves(set(held))
            found = {}
            for id, child in held.items():
                with contextlib.suppress(KeyError, ValueError):  # damaged: it is trained again
                    found[id] = self._result(wanted[id], child, curves.get(id))
            return found

    def _search(self, condition: str) -> Iterable[Any]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], condition, ViewType.ACTIVE_ONLY, _PAGE, ["attributes.start_time ASC"], token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _held_curves(self, ids: set[str]) -> dict[str, dict[str, list[tuple[int, float]]]]:
        """Curves from the newest commands' artifacts: one file, not a query a metric."""
        found: dict[str, dict[str, list[tuple[int, float]]]] = {}
        if not ids:
            return found
        for parent in reversed(list(self._search("tags.kind != 'run'"))):
            if ids <= set(found):
                break
            if CURVES in (there := self._files(parent.info.run_id)):
                with tempfile.TemporaryDirectory(prefix="actbench-") as folder, contextlib.suppress(UsageError):
                    self._fetch(parent, there & {CURVES, LAYERS}, folder)
                    found = read_curves(Path(folder)) | found
        return found

    def _fetch(self, parent: Any, names: Iterable[str], folder: str) -> None:
        """Downloads files of a command. Raises UsageError where one is not what the command has written."""
        written = json.loads(parent.data.tags.get(_FILES, "{}"))
        for name in names:
            self._client.download_artifacts(parent.info.run_id, name, folder)
            if name in written and _digest(Path(folder, name)) != written[name]:
                raise UsageError(
                    f"{name} of the run {parent.info.run_name!r} in {self.uri} is damaged; run the same command "
                    "again: it trains nothing anew and writes its files"
                )

    def costs(self, ids: set[str]) -> pd.DataFrame | None:
        """What the newest comparison of these confirming runs measured, as costs.csv has it."""
        with _explained(self.uri), tempfile.TemporaryDirectory(prefix="actbench-") as folder:
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
        diverged = row["status"] == "diverged"
        for key in MEASURED:
            if key in data.metrics and not (diverged and key in curves_of(child)):
                row[key] = int(data.metrics[key]) if key in _INTEGERS else data.metrics[key]
        row["steps"], row["reached_target"] = run.steps, bool(data.metrics["reached_target"])
        if curves is None:
            curves = {
                key: [(m.step, m.value) for m in self._client.get_metric_history(child.info.run_id, key)]
                for key in curves_of(child)
            }
        return Result(run, row, curves, histograms=_histograms(data.tags))

    def start(self, kind: str, tags: Mapping[str, str]) -> "Parent":
        """A parent run for one command (kind: train, sweep or compare)."""
        with _explained(self.uri):
            self._end_abandoned()
            name = f"{kind} {time.strftime('%Y-%m-%d %H:%M:%S')}"
            own = {**tags, "kind": kind, "host": socket.gethostname(), "pid": str(os.getpid())}
            run = self._client.create_run(self._experiment_id, run_name=name, tags=own)
            return Parent(self._client, self._experiment_id, run.info.run_id, self.uri, dict(tags))

    def _end_abandoned(self) -> None:
        """Commands of this machine that were killed outright left their parent run RUNNING."""
        for parent in self._search("tags.kind != 'run' and attributes.status = 'RUNNING'"):
            tags = parent.data.tags
            if tags.get("host") == socket.gethostname() and not _alive(int(tags.get("pid", "0"))):
                self._client.set_terminated(parent.info.run_id, "KILLED")

    def restore(self, kind: str, folder: Path) -> dict[str, str]:
        """Copies the files of the newest ended command of that kind to `folder`; returns its tags.

        Raises UsageError where there is none.
        """
        with _explained(self.uri):
            ended = list(self._search(f"tags.kind = '{kind}' and attributes.status != 'RUNNING'"))
            for parent in reversed(ended):
                there = self._files(parent.info.run_id)
                if RUNS not in there:
                    continue
                with tempfile.TemporaryDirectory(prefix="actbench-") as whole:  # nothing is replaced by half of it
                    self._fetch(parent, there & {*_CHECKED, ENVIRONMENT}, whole)
                    shutil.copytree(whole, folder, dirs_exist_ok=True)
                return dict(parent.data.tags)
        raise UsageError(
            f"the files of {self.experiment!r} are gone from the artifacts of {self.uri}; run `actbench {kind} "
            f"{self.experiment}` again: it trains nothing anew and writes them"
            if ended
            else f"no ended {kind} of {self.experiment!r} in {self.uri}; run `actbench {kind} {self.experiment}` first"
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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
    return apart(metric) is None


class Parent:
    """The parent run of one command: children are added, then files, then it ends."""

    def __init__(self, client: MlflowClient, experiment_id: str, run_id: str, uri: str, tags: dict[str, str]) -> None:
        self._client, self._experiment_id, self._id, self._uri, self._tags = client, experiment_id, run_id, uri, tags

    def add(self, result: Result) -> None:
        """One child run, complete: params, curves, final values, tags, status."""
        with _explained(self._uri):
            row, run = result.row, result.run
            tags = {
                **self._tags, "kind": "run", "run_id_hash": run.id, "phase": run.phase, "status": str(row["status"]),
                "device": str(row["device"]), "architecture": run.config.architecture.name,
                "activation": run.config.activation.label, "curves": " ".join(filter(_whole, result.curves)),
                "mlflow.parentRunId": self._id,
            }  # fmt: skip
            tags |= {f"{HISTOGRAM}/{layer:02d}": json.dumps(own) for layer, own in result.histograms.items()}
            if result.error is not None:
                tags["error"] = result.error
            name = f"{run.config.activation.label} lr={run.config.optimizer.lr:g} seed={run.config.seed}"
            child = self._client.create_run(self._experiment_id, tags=tags, run_name=name).info.run_id
            try:
                self._fill(child, result)
            except BaseException:  # interrupted in between: half a run must not pass for a whole one
                self._client.set_terminated(child, "KILLED")
                raise

    def _fill(self, child: str, result: Result) -> None:
        metrics = _metrics(result)
        params = [Param(key, str(value)) for key, value in params_of(result.run).items()]
        self._client.log_batch(child, metrics[:_BATCH], params)
        for start in range(_BATCH, len(metrics), _BATCH):
            self._client.log_batch(child, metrics[start : start + _BATCH])
        self._client.set_terminated(child, "FAILED" if result.error is not None else "FINISHED")

    def add_files(self, folder: Path) -> None:
        """Every file of a results folder, and of folders in it, as an artifact."""
        with _explained(self._uri):
            self._client.log_artifacts(self._id, str(folder))
            digests = {name: _digest(folder / name) for name in _CHECKED if (folder / name).is_file()}
            self._client.set_tag(self._id, _FILES, json.dumps(digests))

    def end(self, status: str, note: str) -> None:
        """status: FINISHED, FAILED or KILLED. note: Markdown, shown as the run's description."""
        with _explained(self._uri):
            self._client.log_batch(self._id, tags=[RunTag("mlflow.note.content", note)])
            self._client.set_terminated(self._id, status)


def _metrics(result: Result) -> list[Metric]:
    now = int(time.time() * 1000)
    curves = [Metric(name, value, now, step) for name, points in result.curves.items() for step, value in points]
    last = result.run.steps
    final = [
        Metric(key, float(value), now, last)
        for key in MEASURED
        if key not in result.curves and (value := result.row[key]) is not None and not isinstance(value, str)
    ]
    return curves + final


class _explained:
    """Turns what MLflow raises into one line that names the store."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ImportError):
            raise UsageError(f"store.uri={self._uri}: {error}; install the driver of this database") from error
        if isinstance(error, MlflowException | OSError) or type(error).__module__.startswith("sqlalchemy"):
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise UsageError(f"store.uri={self._uri}: {lines[0][:300]}") from error
