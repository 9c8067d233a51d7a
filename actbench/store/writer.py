"""Writing to MLflow: the parent run of a command, and each training, while it runs and when it ends."""

import json
import os
import socket
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from actbench.experiment.runs import Run
from actbench.store.client import absolute_uri, is_service_error
from actbench.store.copies import CHECKED, digest
from actbench.store.entries import Entry, Point, Writer, drop_weights
from actbench.store.names import FILES, NOTE, WEIGHTS
from actbench.store.outbox import Outbox
from actbench.store.runs import begun_entry, ended_entry, points_of
from actbench.store.summaries import Summary
from actbench.training.results import CurvePoint, Result

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

_MONITOR_EVERY = 5  # seconds
_OF_SUMMARIES = ("host", "pid", "margin")  # tags of the command that its summaries have too; each takes time to write


@dataclass
class _LiveRun:
    """A run that is in the store while it trains.

    is_created: whether the store has confirmed it. known: (metric, step) of its points, sent or unsent.
    """

    entry: Entry
    is_created: bool = False
    known: set[tuple[str, int]] = field(default_factory=set)
    unsent: list[Point] = field(default_factory=list)


@dataclass(frozen=True)
class _Ended:
    """What is needed to write a run again; an entry itself would take 10 KB."""

    uid: str
    started: int
    result: Result
    has_weights: bool = False


class ParentRun:
    """The parent run of one command in MLflow, under which its trainings are written.

    An unreachable store does not stop a command: a journal keeps the entries, which are written later. That holds for
    all entries of the command, those included that a store had taken which is then gone.
    """

    def __init__(self, writer: Writer, uri: str, experiment: str, kind: str, tags: Mapping[str, str]) -> None:
        self._writer, self._uri = writer, uri
        self._tags = {**tags, "host": socket.gethostname(), "pid": str(os.getpid())}
        name = f"{kind} {time.strftime('%Y-%m-%d %H:%M:%S')}"
        self._parent = Entry(uuid.uuid4().hex, name, {**self._tags, "kind": kind})
        self._live: dict[str, _LiveRun] = {}  # by run id
        self._ended: dict[str, _Ended] = {}  # by run id
        self.without_weights = 0  # runs whose weights were removed from the artifacts while the command ran
        self._monitor: SystemMetricsMonitor | None = None
        self.outbox = Outbox(self._writer, uri, experiment, self._parent, self._keep_all)
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
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            self._monitor = SystemMetricsMonitor(run_id, _MONITOR_EVERY, tracking_uri=uri)
            self._monitor.start()

    def begin(self, runs: Iterable[Run]) -> None:
        """Creates runs as RUNNING, those that are not created yet."""
        for run in runs:
            if run.id not in self._live:
                self.outbox.send(partial(self._begin, run))

    def _begin(self, run: Run) -> None:
        entry = begun_entry(run, "running", self._tags, self._parent.uid)
        self._writer.ensure(self._parent)
        live = self._live[run.id] = _LiveRun(entry)
        self._writer.fill(self._writer.create(entry), entry, {})
        live.is_created = True

    def log(self, run: Run, points: Iterable[CurvePoint]) -> None:
        """Writes points of a run that has begun, without those that it has already."""
        if run.id in self._live:
            live = self._live[run.id]
            live.unsent += [point for point in points_of(points) if (point[0], point[2]) not in live.known]
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
        begun = live.entry if live else begun_entry(result.run, "", self._tags, self._parent.uid)
        entry = ended_entry(begun, result, weights)
        if live is None:
            is_stored = self.outbox.send(partial(self._add, entry))
        else:
            is_stored = live.is_created and self.outbox.send(partial(self._complete, live, entry))
        if not is_stored:
            self.outbox.keep(entry)
        self._ended[result.run.id] = _Ended(entry.uid, entry.started, result, bool(entry.files))
        drop_weights(entry)

    def _keep(self, runs: Iterable[_Ended]) -> None:
        """Keeps runs in the journal that the store had taken; their weights where the artifacts still have them."""
        kept = {entry.uid for entry in self.outbox.journal.entries}
        for run in runs:
            if run.uid not in kept:
                begun = begun_entry(run.result.run, "", self._tags, self._parent.uid)
                begun = replace(begun, uid=run.uid, started=run.started)
                self.outbox.keep(ended_entry(begun, run.result, self._writer.artifacts(run.uid, WEIGHTS)))

    def _keep_all(self) -> None:
        self._keep(self._ended.values())

    def _add(self, entry: Entry) -> None:
        self._writer.ensure(self._parent)
        self._writer.add(entry)

    def _write(self, entry: Entry) -> None:
        self._writer.ensure(self._parent)
        self._writer.fill(self._writer.create(entry), entry, {})

    def _complete(self, live: _LiveRun, entry: Entry) -> None:
        """Writes what a live run lacks; it has its params."""
        missing = [point for point in entry.points if (point[0], point[2]) not in live.known]
        rest = replace(entry, points=[*live.unsent, *missing], params={})
        self._writer.fill(self._writer.ids[entry.uid], rest, entry.tags)

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

    def end(self, status: str, note: str, folder: Path, results: Iterable[Result] = ()) -> None:
        """Writes the command's files, ends its runs and looks whether the store holds what it has taken.

        status: FINISHED, FAILED or KILLED. note: Markdown, shown as the run's description, with RUN_ID for MLflow's id.
        folder: of results; all its content becomes artifacts. results: of all runs of the plan, those included that
        were found in the store.
        """
        self._delete_live()
        if self._monitor is not None:
            self._monitor.finish()
        digests = {name: digest((folder / name).read_bytes()) for name in CHECKED if (folder / name).is_file()}
        tags = {FILES: json.dumps(digests), NOTE: note}
        ended = replace(self._parent, status=status, files=[(str(folder), None)])
        sent = self.outbox.send(partial(self._finish, ended, tags), force=True)
        self._parent = replace(ended, tags={**ended.tags, **tags})
        if not self._has_everything(sent):
            self._keep_end(results)
        self.outbox.journal.close()

    def is_gone(self, results: Iterable[Result]) -> bool:
        """Whether the database was removed or replaced since `end`; then all runs and the command's own are kept.

        Asked before a command says where its runs are, as workers take a second to end. results: as of `end`.
        """
        if not self.is_stored or not self._writer.watch.has_changed:
            return False
        self.outbox.send(lambda: None, force=True)
        self._keep_end(results)
        self.outbox.journal.close()
        return True

    def _keep_end(self, results: Iterable[Result]) -> None:
        """Keeps the end of the command in the journal and, where the store has lost what it had, the runs it found."""
        if self.outbox.has_lost:
            found = [result for result in results if result.run.id not in self._ended and result.error is None]
            self._keep(_Ended(uuid.uuid4().hex, self._parent.started, result) for result in found)
        self.outbox.keep(self._parent)

    def _has_everything(self, sent: bool) -> bool:
        """Whether the store holds the command's run and all its trainings; keeps those that it lacks.

        sent: whether it has accepted the end of the command's run; else it may be away, with all that it had taken.
        """
        held: set[str] = set()
        try:
            held = self._writer.held(self._parent.uid)
        except Exception as error:
            if not is_service_error(error):
                raise
            if sent:
                self.outbox.report(error)
                self._keep_all()
            return False
        kept = {entry.uid for entry in self.outbox.journal.entries}
        lost = [run for run in self._ended.values() if run.uid not in held | kept]
        if lost or (sent and self._parent.uid not in held):
            self.outbox.report_lost(len(lost))
            self._keep(lost)
            return False
        self._check_weights()
        return sent

    def _check_weights(self) -> None:
        """Takes the tag from runs whose weights are gone, so that a command that asks for weights trains them again."""
        for run in self._ended.values():
            folder = self._writer.artifacts(run.uid, WEIGHTS) if run.has_weights else None
            if folder is not None and not any(folder.glob("*.safetensors")):
                self.without_weights += 1
                self.outbox.send(partial(self._writer.client.delete_tag, self._writer.ids[run.uid], WEIGHTS))

    def _finish(self, ended: Entry, tags: Mapping[str, str]) -> None:
        self._writer.fill(self._writer.ensure(self._parent), ended, tags)

    def _delete_live(self) -> None:
        """Deletes runs that were interrupted, as they will be trained from their start."""
        for live in self._live.values():
            self.outbox.send(partial(self._writer.delete, live.entry.uid))
        self._live.clear()
