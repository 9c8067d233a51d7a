"""Writing to MLflow: the parent run of a command, and each training, while it runs and when it ends."""

import base64
import hashlib
import json
import math
import os
import socket
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from actbench.experiment.runs import Run
from actbench.metrics.names import HISTOGRAM, layer_key
from actbench.store.client import absolute_uri
from actbench.store.entries import Entry, Point, Writer, drop_weights
from actbench.store.files import COSTS, CURVES, EXAMPLES, HISTOGRAMS, HYPOTHESES, LAYERS, RUNS
from actbench.store.names import FILES, NOTE, WEIGHTS
from actbench.store.outbox import Outbox
from actbench.store.summaries import Summary
from actbench.training.machine import MACHINE
from actbench.training.results import MEASURED, TEST_CORRECT, CurvePoint, Result, run_params

CHECKED = (RUNS, CURVES, LAYERS, HISTOGRAMS, EXAMPLES, COSTS, HYPOTHESES)  # that later commands read from artifacts
_MONITOR_EVERY = 5  # seconds
_OF_SUMMARIES = ("host", "pid", "margin")  # tags of the command that its summaries have too; each takes time to write


def digest(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@dataclass
class _LiveRun:
    """A run that is in the store while it trains.

    is_created: whether the store has confirmed it. known: (metric, step) of its points, sent or unsent.
    """

    entry: Entry
    is_created: bool = False
    known: set[tuple[str, int]] = field(default_factory=set)
    unsent: list[Point] = field(default_factory=list)


class ParentRun:
    """The parent run of one command in MLflow, under which its trainings are written.

    An unreachable store does not stop a command: a journal keeps the entries, which are written later.
    """

    def __init__(
        self, client: MlflowClient, experiment_id: str, uri: str, experiment: str, kind: str, tags: Mapping[str, str]
    ) -> None:
        self._writer, self._uri = Writer(client, experiment_id), uri
        self._tags = {**tags, "host": socket.gethostname(), "pid": str(os.getpid())}
        name = f"{kind} {time.strftime('%Y-%m-%d %H:%M:%S')}"
        self._parent = Entry(uuid.uuid4().hex, name, {**self._tags, "kind": kind})
        self._live: dict[str, _LiveRun] = {}  # by run id
        self._monitor: SystemMetricsMonitor | None = None
        self.outbox = Outbox(self._writer, uri, experiment, self._parent)
        self.outbox.send(partial(self._writer.create, self._parent))

    @property
    def is_stored(self) -> bool:
        """Whether the store has accepted everything."""
        return not self.outbox.journal.entries

    @property
    def journal_folder(self) -> Path:
        """The folder of the entries that the store has not accepted."""
        return self.outbox.journal.folder

    def monitor_system(self) -> None:
        """Records memory, processor and GPU of this machine as metrics of the parent run, from now until it ends."""
        if self._monitor is None and self._parent.uid in self._writer.ids:
            run_id, uri = self._writer.ids[self._parent.uid], absolute_uri(self._uri)
            self._monitor = SystemMetricsMonitor(run_id, _MONITOR_EVERY, tracking_uri=uri)
            self._monitor.start()

    def begin(self, runs: Iterable[Run]) -> None:
        """Creates runs as RUNNING, those that are not created yet."""
        for run in runs:
            if run.id not in self._live:
                self.outbox.send(partial(self._begin, run))

    def _begin(self, run: Run) -> None:
        entry = self._entry(run, "running")
        self._writer.ensure(self._parent)
        live = self._live[run.id] = _LiveRun(entry)
        self._writer.fill(self._writer.create(entry), entry, {})
        live.is_created = True

    def log(self, run: Run, points: Iterable[CurvePoint]) -> None:
        """Writes points of a run that has begun, without those that it has already."""
        if run.id in self._live:
            live = self._live[run.id]
            live.unsent += [point for point in _points(points) if (point[0], point[2]) not in live.known]
            live.known |= {(metric, step) for metric, _, step, _ in live.unsent}
            # Points whose arrival was not confirmed are sent again: MLflow ignores a point that it already has.
            send = partial(self._send_points, live)
            if live.unsent and live.is_created and self.outbox.send(send):
                live.unsent = []

    def _send_points(self, live: _LiveRun) -> None:
        self._writer.log(self._writer.ids[live.entry.uid], live.unsent)

    def add(self, result: Result, weights: Path | None = None) -> None:
        """Writes a run that has ended: params, curves, final values, tags, status and weights.

        weights: folder of its weight files, which is deleted once they are stored.
        """
        live = self._live.pop(result.run.id, None)
        entry = self._ended(result, weights, live.entry if live else None)
        if live is None:
            is_stored = self.outbox.send(partial(self._write, entry))
        else:
            is_stored = live.is_created and self.outbox.send(partial(self._complete, live, entry))
        if is_stored:
            drop_weights(entry)
        else:
            self.outbox.keep(entry)

    def _write(self, entry: Entry) -> None:
        self._writer.ensure(self._parent)
        self._writer.fill(self._writer.create(entry), entry, {})

    def _complete(self, live: _LiveRun, entry: Entry) -> None:
        """Writes what a live run lacks; it has its params."""
        missing = [point for point in entry.points if (point[0], point[2]) not in live.known]
        rest = replace(entry, points=[*live.unsent, *missing], params={})
        self._writer.fill(self._writer.ids[entry.uid], rest, entry.tags)

    def _entry(self, run: Run, status: str) -> Entry:
        settings = run.settings
        label, dataset = settings.activation.label, run.data
        tags = {
            **self._tags, "kind": "run", "run_id_hash": run.id, "phase": run.phase, "status": status,
            "architecture": settings.architecture.name, "activation": label,
        }  # fmt: skip
        size = {"train": dataset.train, "test": dataset.test}
        described = {
            "name": dataset.name, "digest": dataset.fingerprint, "source_type": "actbench",
            "source": json.dumps({"dataset": dataset.name}), "profile": json.dumps(size),
        }  # fmt: skip
        name = f"{label} lr={settings.optimizer.lr:g} seed={settings.seed}"
        params = {key: str(value) for key, value in run_params(run).items()}
        return Entry(uuid.uuid4().hex, name, tags, self._parent.uid, params=params, dataset=described)

    def _ended(self, result: Result, weights: Path | None, begun: Entry | None) -> Entry:
        entry = begun or self._entry(result.run, "")
        tags = {
            **entry.tags, "status": str(result.row["status"]), "device": str(result.row["device"]),
            "curves": " ".join(result.curves),
        }  # fmt: skip
        tags |= {key: str(result.row[key]) for key in MACHINE if result.row.get(key)}
        tags |= {f"{HISTOGRAM}/{layer:02d}": json.dumps(own) for layer, own in result.histograms.items()}
        if result.test_correct is not None:
            tags[TEST_CORRECT] = base64.b64encode(result.test_correct).decode()
        if result.error is not None:
            tags["error"] = result.error
        if weights is not None and weights.is_dir():
            tags[WEIGHTS] = " ".join(sorted(file.stem for file in weights.glob("*.safetensors")))
        files = [(str(weights.resolve()), WEIGHTS)] if weights is not None and tags.get(WEIGHTS) else []
        status = "FAILED" if result.error is not None else "FINISHED"
        points = [*_points(result.points()), *_final(result)]
        return replace(entry, tags=tags, points=points, status=status, files=files)

    def add_metrics(self, values: Mapping[str, Mapping[str, float]]) -> None:
        """Adds final values, metric -> value by run id, to runs that have ended.

        An unreachable store misses them, and no journal keeps them: the command's files hold them anyway.
        """
        for run_id, metrics in values.items():
            self.outbox.send(partial(self._writer.add_metrics, run_id, metrics))

    def mark_chosen(self, ids: Collection[str]) -> None:
        """Tags the experiment's runs by whether a score of this comparison is taken from them. ids: run ids.

        An unreachable store misses the tags; the command's files hold them anyway.
        """
        self.outbox.send(partial(self._writer.mark_chosen, ids))

    def describe(self, params: Mapping[str, str], values: Mapping[str, float]) -> None:
        """Gives the command's run params and final values, which are written when it ends."""
        points = [(key, value, 0, self._parent.started) for key, value in values.items()]
        self._parent = replace(self._parent, params=params, points=points)

    def add_summaries(self, summaries: Iterable[Summary]) -> None:
        """Writes the summaries of a comparison in place of those of earlier ones.

        An unreachable store keeps the earlier ones too; a view shows those of the newest comparison alone.
        """
        self.outbox.send(self._writer.delete_summaries)
        tags = {key: self._tags[key] for key in _OF_SUMMARIES if key in self._tags}
        for summary in summaries:
            entry = summary.entry(tags, self._parent.uid)
            if not self.outbox.send(partial(self._write, entry)):
                self.outbox.keep(entry)

    def end(self, status: str, note: str, folder: Path) -> None:
        """Writes the command's files and ends its runs.

        status: FINISHED, FAILED or KILLED. note: Markdown, shown as the run's description, with RUN_ID for MLflow's id.
        folder: of results; all its content becomes artifacts.
        """
        self._delete_live()
        if self._monitor is not None:
            self._monitor.finish()
        digests = {name: digest(folder / name) for name in CHECKED if (folder / name).is_file()}
        tags = {FILES: json.dumps(digests), NOTE: note}
        ended = replace(self._parent, status=status, files=[(str(folder), None)])
        if not self.outbox.send(partial(self._finish, ended, tags), force=True):
            self.outbox.keep(replace(ended, tags={**ended.tags, **tags}))
        self.outbox.journal.close()

    def _finish(self, ended: Entry, tags: Mapping[str, str]) -> None:
        self._writer.fill(self._writer.ensure(self._parent), ended, tags)

    def _delete_live(self) -> None:
        """Deletes runs that were interrupted, as they will be trained from their start."""
        for live in self._live.values():
            self.outbox.send(partial(self._writer.delete, live.entry.uid))
        self._live.clear()


def _points(points: Iterable[CurvePoint]) -> list[Point]:
    now = int(time.time() * 1000)
    return [
        (point.metric if point.layer is None else layer_key(point.layer, point.metric), point.value, point.step, now)
        for point in points
    ]


def _final(result: Result) -> list[Point]:
    """Final values of a run that have no curve, as points at its last step."""
    now, last = int(time.time() * 1000), result.run.steps
    found = []
    for key in MEASURED:
        value = None if key in result.curves else result.row[key]
        if value is not None and not isinstance(value, str) and math.isfinite(float(value)):
            found.append((key, float(value), last, now))
    return found
