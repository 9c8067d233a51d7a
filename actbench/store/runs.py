"""What a command stores: its parent run, phases folded under it, a run of each training, live; files at the end."""

import hashlib
import json
import math
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlflow import MlflowClient
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from actbench.errors import UsageError
from actbench.experiment.runs import Run
from actbench.metrics.names import HISTOGRAM, layer_key
from actbench.store.client import absolute_uri, is_service_error, reason
from actbench.store.entries import NOTE, WEIGHTS, Entry, Point, Writer, drop_weights
from actbench.store.files import COSTS, CURVES, HISTOGRAMS, HYPOTHESES, LAYERS, RUNS
from actbench.store.journal import Journal, count_runs, write_entries
from actbench.training.results import MEASURED, CurvePoint, Result, run_params

CHECKED = (RUNS, CURVES, LAYERS, HISTOGRAMS, COSTS, HYPOTHESES)  # files that are read again
FILES = "files"  # tag of a parent run: what they were when they were written

_WATCHED_EVERY = 5  # seconds
_AGAIN = 5.0  # seconds until a service that was away is asked again, at least
_SELDOM = 20  # times what it took not to answer: a twentieth of the time is lost to it


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@dataclass
class _Live:
    """A run that has begun, with the points that are on their way or there, and those not sent yet."""

    entry: Entry
    known: set[tuple[str, int]] = field(default_factory=set)
    waiting: list[Point] = field(default_factory=list)


class Parent:
    """The parent run of one command: runs begin and are added, then files, then it ends.

    A service that is away stops nothing: what it has not taken is kept in a journal, and written when it is back.
    """

    def __init__(
        self, client: MlflowClient, experiment_id: str, uri: str, experiment: str, kind: str, tags: Mapping[str, str]
    ) -> None:
        self._writer, self._uri = Writer(client, experiment_id), uri
        self._tags = {**tags, "host": socket.gethostname(), "pid": str(os.getpid())}
        name = f"{kind} {time.strftime('%Y-%m-%d %H:%M:%S')}"
        self._parent = Entry(uuid.uuid4().hex, name, {**self._tags, "kind": kind})
        self._phases: dict[str, Entry] = {}
        self._folded = kind == "compare"  # into phases
        self._live: dict[str, _Live] = {}  # by run id
        self._lost: set[str] = set()  # uids of which nobody knows how far they came
        self._journal = Journal(uri, experiment, self._parent.uid)
        self._away_until: float | None = None
        self._told = False  # that it is away
        self._monitor: SystemMetricsMonitor | None = None
        self._try(lambda: self._writer.create(self._parent))

    def watch(self) -> None:
        """Memory, processor and GPU of this machine, from now to the end, as metrics of the parent run."""
        if self._monitor is None and self._parent.uid in self._writer.ids:
            run_id, uri = self._writer.ids[self._parent.uid], absolute_uri(self._uri)
            self._monitor = SystemMetricsMonitor(run_id, _WATCHED_EVERY, tracking_uri=uri)
            self._monitor.start()

    @property
    def is_stored(self) -> bool:
        """Whether the service has taken everything."""
        return not self._journal.waiting

    @property
    def kept(self) -> Path:
        """Where those are."""
        return self._journal.folder

    def begin(self, runs: Iterable[Run]) -> None:
        """Those runs appear as RUNNING."""
        for run in runs:
            if run.id not in self._live:
                self._try(lambda run=run: self._begin(run))  # type: ignore[misc]

    def _begin(self, run: Run) -> None:
        entry = self._entry(run, "running")
        self._above(run.phase)
        self._live[run.id] = _Live(entry)
        self._lost.add(entry.uid)
        self._writer.fill(self._writer.create(entry), entry, {})
        self._lost.discard(entry.uid)

    def log(self, run: Run, points: Iterable[CurvePoint]) -> None:
        """Points of a run that has begun; those that it has already are passed over."""
        if run.id in self._live:
            live = self._live[run.id]
            live.waiting += [point for point in _points(points) if (point[0], point[2]) not in live.known]
            live.known |= {(metric, step) for metric, _, step, _ in live.waiting}
            # Sent again where nobody knows whether it came: MLflow drops a point that it has, to the millisecond.
            ready = bool(live.waiting) and live.entry.uid not in self._lost
            if ready and self._try(lambda: self._writer.log(self._writer.ids[live.entry.uid], live.waiting)):
                live.waiting = []

    def add(self, result: Result, weights: Path | None = None) -> None:
        """One run, complete: params, curves, final values, tags, status; and the files of a folder of weights, if it is
        there."""
        live = self._live.pop(result.run.id, None)
        entry = self._ended(result, weights, live.entry if live else None)
        if live and entry.uid not in self._lost:
            rest = [point for point in entry.points if (point[0], point[2]) not in live.known]
            left = replace(entry, points=[*live.waiting, *rest], params={})  # the params it has
            whole = self._try(lambda: self._writer.fill(self._writer.ids[entry.uid], left, entry.tags))
        else:
            whole = not live and self._try(lambda: self._write(entry, result.run.phase))
        if not whole:
            self._keep(entry, result.run.phase)
        else:
            drop_weights(entry)

    def _write(self, entry: Entry, phase: str) -> None:
        self._above(phase)
        self._writer.fill(self._writer.create(entry), entry, {})

    def _above(self, phase: str) -> None:
        """The runs under which one of a phase is folded are there; an earlier phase has ended."""
        for entry in self._chain(phase):
            if entry.uid not in self._writer.ids:
                self._writer.ensure(entry)
                self._end_phases(but=phase)

    def _chain(self, phase: str) -> list[Entry]:
        if not self._folded:
            return [self._parent]
        if phase not in self._phases:
            tags = {**self._tags, "kind": "phase", "phase": phase}
            self._phases[phase] = Entry(uuid.uuid4().hex, phase, tags, self._parent.uid)
        return [self._parent, self._phases[phase]]

    def _end_phases(self, but: str | None) -> None:
        for phase, entry in self._phases.items():
            if phase != but and entry.uid in self._writer.ids:
                self._writer.client.set_terminated(self._writer.ids[entry.uid])

    def _entry(self, run: Run, status: str) -> Entry:
        config = run.config
        label, dataset = config.activation.label, run.data
        tags = {
            **self._tags, "kind": "run", "run_id_hash": run.id, "phase": run.phase, "status": status,
            "architecture": config.architecture.name, "activation": label,
        }  # fmt: skip
        size = {"train": dataset.train, "test": dataset.test}
        described = {
            "name": dataset.name, "digest": dataset.fingerprint, "source_type": "actbench",
            "source": json.dumps({"dataset": dataset.name}), "profile": json.dumps(size),
        }  # fmt: skip
        name = f"{label} lr={config.optimizer.lr:g} seed={config.seed}"
        params = {key: str(value) for key, value in run_params(run).items()}
        above = self._chain(run.phase)[-1].uid
        return Entry(uuid.uuid4().hex, name, tags, above, params=params, dataset=described)

    def _ended(self, result: Result, weights: Path | None, begun: Entry | None) -> Entry:
        entry = begun or self._entry(result.run, "")
        tags = {
            **entry.tags, "status": str(result.row["status"]), "device": str(result.row["device"]),
            "curves": " ".join(result.curves),
        }  # fmt: skip
        tags |= {f"{HISTOGRAM}/{layer:02d}": json.dumps(own) for layer, own in result.histograms.items()}
        if result.error is not None:
            tags["error"] = result.error
        if weights is not None and weights.is_dir():
            tags[WEIGHTS] = " ".join(sorted(file.stem for file in weights.glob("*.safetensors")))
        files = [(str(weights.resolve()), WEIGHTS)] if weights is not None and tags.get(WEIGHTS) else []
        status = "FAILED" if result.error is not None else "FINISHED"
        points = [*_points(result.points()), *_final(result)]
        return replace(entry, tags=tags, points=points, status=status, files=files)

    def measured(self, values: Mapping[str, Mapping[str, float]]) -> None:
        """More final values of runs that have ended, metric -> value by run id; shown where the service answers, as
        files of the command hold them anyway."""
        for run_id, own in values.items():
            self._try(lambda run_id=run_id, own=own: self._writer.add(run_id, own))  # type: ignore[misc]

    def end(self, status: str, note: str, folder: Path) -> None:
        """status: FINISHED, FAILED or KILLED. note: Markdown, shown as the run's description, RUN_ID in it by MLflow's
        id. folder: of results, every file of it and of folders in it becomes an artifact."""
        self._abandon_live()
        if self._monitor is not None:
            self._monitor.finish()
        digests = {name: digest(folder / name) for name in CHECKED if (folder / name).is_file()}
        tags = {**self._parent.tags, FILES: json.dumps(digests)}
        ended = replace(self._parent, tags=tags, status=status, files=[(str(folder), None)])

        def finish() -> None:
            created = self._writer.ensure(self._parent)
            self._writer.fill(created, ended, {FILES: tags[FILES], NOTE: note})
            self._end_phases(but=None)

        self._away_until = None  # it is asked once more
        if not self._try(finish):
            above = [self._parent, *self._phases.values()]
            for entry in self._phases.values():
                self._journal.keep(replace(entry, status="FINISHED"), above)
            self._journal.keep(replace(ended, tags={**tags, NOTE: note}), above)
        self._journal.close()

    def _abandon_live(self) -> None:
        """Runs that were interrupted will be trained from their start: what they have shown says nothing."""
        for live in self._live.values():
            self._try(lambda uid=live.entry.uid: self._writer.remove(uid))  # type: ignore[misc]
        self._live.clear()

    def _keep(self, entry: Entry, phase: str) -> None:
        try:
            self._journal.keep(entry, self._chain(phase))
        except OSError as error:
            raise UsageError(
                f"store.uri={self._uri} is away and {self._journal.folder} cannot be written: {error.strerror}"
            ) from error

    def _try(self, action: Callable[[], object]) -> bool:
        """Whether the service has taken it. One that is away is not asked for a while; what waits goes first."""
        if self._away_until is not None and time.monotonic() < self._away_until:
            return False
        began = time.monotonic()
        try:
            if self._away_until is not None or self._journal.waiting:
                self._catch_up()
            action()
        except Exception as error:
            if not is_service_error(error):
                raise
            if not self._told:
                self._told = True
                told = f"store.uri={self._uri}: {reason(error)}; runs are kept in {self._journal.folder.parent}"
                print(f"{told} and written when it is back", file=sys.stderr, flush=True)
            now = time.monotonic()
            self._away_until = now + max(_AGAIN, _SELDOM * (now - began))
            return False
        self._away_until = None
        return True

    def _catch_up(self) -> None:
        count = count_runs(self._journal.waiting)
        above = [self._parent, *self._phases.values()]
        write_entries(self._writer, above, self._journal.waiting)
        self._journal.written()
        self._away_until, self._told = None, False
        if count:
            print(f"store.uri={self._uri} is back: what was kept is written, {count} runs", file=sys.stderr, flush=True)


def _points(points: Iterable[CurvePoint]) -> list[Point]:
    now = int(time.time() * 1000)
    return [
        (point.metric if point.layer is None else layer_key(point.layer, point.metric), point.value, point.step, now)
        for point in points
    ]


def _final(result: Result) -> list[Point]:
    """Values of a run that are no curves, at its last step."""
    now, last = int(time.time() * 1000), result.run.steps
    found = []
    for key in MEASURED:
        value = None if key in result.curves else result.row[key]
        if value is not None and not isinstance(value, str) and math.isfinite(float(value)):
            found.append((key, float(value), last, now))
    return found
