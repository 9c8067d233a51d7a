"""MLflow runs as plain data that can wait in a file, and the writer that turns them into runs of MLflow."""

import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from actbench.store.client import search_runs
from actbench.store.names import IS_SUMMARY, NOTE, PARENT, WEIGHTS
from actbench.store.sqlite import Watch, ended_uids

Point = tuple[str, float, int, int]  # metric, value, step, time (ms since 1970)

RUNNING = "RUNNING"
_MAX_TAG = 8000  # characters of a tag's value
_MAX_METRICS = 1000  # that MLflow takes in one log_batch


@dataclass(frozen=True)
class Entry:
    """One run of MLflow with all that is written to it.

    uid: a tag by which the run is found again where the answer to a request was lost. parent: uid of its parent run.
    dataset: the fields of MLflow's Dataset. files: (folder, folder among the run's artifacts): all content of the
    first is uploaded to the second, None for the root.
    """

    uid: str
    name: str
    tags: Mapping[str, str]
    parent: str | None = None
    status: str = RUNNING
    params: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    dataset: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, str | None]] = ()
    started: int = field(default_factory=lambda: int(time.time() * 1000))  # ms since 1970

    def to_json(self) -> str:
        """One line of JSON. Characters that are not in Unicode, as of undecodable arguments, become question marks."""
        return json.dumps(asdict(self), ensure_ascii=False).encode(errors="replace").decode()


def drop_weights(entry: Entry) -> None:
    """Deletes the local weights of an entry, once they are stored elsewhere."""
    for folder, artifact_folder in entry.files:
        if artifact_folder == WEIGHTS:
            shutil.rmtree(folder, ignore_errors=True)


class WritableTables(Protocol):
    """The tables of a store that is a database, as `store.database` has them."""

    def insert(self, entry: Entry, parent: str | None) -> bool:
        """Writes a run that has ended; returns False, and writes nothing, where the client must."""

    def mark_chosen(self, ids: Collection[str]) -> None:
        """Sets the tag `chosen` of every run of the experiment."""


class Writer:
    """Writes entries into one MLflow experiment. Raises what MLflow raises.

    tables: those of the store where it is a database; None: everything goes through the client.
    """

    def __init__(
        self, client: MlflowClient, experiment_id: str, watch: Watch, tables: WritableTables | None = None
    ) -> None:
        self.client, self._experiment_id, self.watch, self._tables = client, experiment_id, watch, tables
        self.ids: dict[str, str] = {}  # uid -> MLflow's run id
        self._artifacts: dict[str, str] = {}  # uid -> URI of the run's artifacts

    def create(self, entry: Entry) -> str:
        """Creates the run as RUNNING, with its tags and its data set; returns MLflow's run id."""
        parent = {PARENT: self.ids[entry.parent]} if entry.parent in self.ids else {}
        tags = {**entry.tags, **parent, "uid": entry.uid}
        info = self.client.create_run(self._experiment_id, entry.started, tags, entry.name).info
        run_id = self.ids[entry.uid] = str(info.run_id)
        self._artifacts[entry.uid] = str(info.artifact_uri)
        if entry.dataset:
            data = DatasetInput(Dataset(**entry.dataset), [InputTag("mlflow.data.context", "training")])
            self.client.log_inputs(run_id, [data])
        return run_id

    def add(self, entry: Entry) -> None:
        """Writes a run that has ended."""
        if self._tables is None or not self._tables.insert(entry, self.ids.get(entry.parent or "")):
            self.fill(self.create(entry), entry, {})

    def fill(self, run_id: str, entry: Entry, tags: Mapping[str, str]) -> None:
        """Writes params, points, `tags` and files of an entry; the status comes last, so an ended run is complete."""
        params = [Param(key, value) for key, value in entry.params.items()]
        values = dict(tags)
        if NOTE in values:
            values[NOTE] = values[NOTE].replace("RUN_ID", run_id)[:_MAX_TAG]
        self.log(run_id, entry.points, params, [RunTag(key, value) for key, value in values.items()])
        for folder, artifact_folder in entry.files:
            self.client.log_artifacts(run_id, folder, artifact_folder)
        if entry.status != RUNNING:
            self.client.set_terminated(run_id, entry.status)

    def log(
        self, run_id: str, points: Sequence[Point], params: Sequence[Param] = (), tags: Sequence[RunTag] = ()
    ) -> None:
        """Writes points, params and tags of a run, in as few requests as MLflow allows."""
        metrics = [Metric(key, value, ms, step) for key, value, step, ms in points]
        self.client.log_batch(run_id, metrics[:_MAX_METRICS], params, tags)
        for start in range(_MAX_METRICS, len(metrics), _MAX_METRICS):
            self.client.log_batch(run_id, metrics[start : start + _MAX_METRICS])

    def add_metrics(self, run_id_hash: str, values: Mapping[str, float]) -> None:
        """Adds final values to every finished run of that id that has none of them."""
        now = int(time.time() * 1000)
        condition = f"tags.run_id_hash = '{run_id_hash}' and attributes.status = 'FINISHED'"
        for run in self._search(condition):
            if not set(values) & set(run.data.metrics):
                self.log(run.info.run_id, [(key, value, 0, now) for key, value in values.items()])

    def mark_chosen(self, ids: Collection[str]) -> None:
        """Sets the tag `chosen` of every run of the experiment, where it differs. ids: the run ids that are chosen."""
        if self._tables is not None:
            self._tables.mark_chosen(ids)
            return
        for run in self._search("tags.kind = 'run'"):
            chosen = str(run.data.tags.get("run_id_hash") in ids).lower()
            if run.data.tags.get("chosen", "false") != chosen:
                self.client.set_tag(run.info.run_id, "chosen", chosen)

    def artifacts(self, uid: str, folder: str) -> Path | None:
        """A folder among the artifacts of a run that this writer has created, where they are files of this machine."""
        uri = urlsplit(self._artifacts.get(uid, "http:"))
        return Path(url2pathname(uri.path), folder) if uri.scheme in ("", "file") else None

    def held(self, parent: str) -> set[str]:
        """The uids of a parent run (its uid) and of its trainings, those that the store holds and that have ended.

        A SQLite database is opened anew, so that what only open connections still see does not count.
        """
        self.watch.check()
        if self.watch.database is not None:
            return ended_uids(self.watch.database, self._experiment_id)
        found = self.find(parent)
        children = self._search(f"tags.`{PARENT}` = '{self.ids.get(parent, '')}'") if found else ()
        return {run.data.tags["uid"] for run in (*found, *children) if run.info.status != RUNNING}

    def _search(self, condition: str) -> Iterator[Any]:
        return search_runs(self.client, self._experiment_id, condition)

    def find(self, uid: str) -> list[Any]:
        """The runs with a uid: more than one only where a request was repeated on its way."""
        return list(self._search(f"tags.uid = '{uid}'"))

    def delete(self, uid: str) -> None:
        """Deletes the runs with a uid."""
        for run in self.find(uid):
            self.client.delete_run(run.info.run_id)

    def delete_summaries(self) -> None:
        """Deletes the summaries of the experiment, which are those of earlier comparisons."""
        for run in self._search(IS_SUMMARY):
            self.client.delete_run(run.info.run_id)

    def ensure(self, entry: Entry) -> str:
        """MLflow's run id of a parent run, which is created where the store has none."""
        if entry.uid not in self.ids:
            existing = self.find(entry.uid)
            if existing:
                self.ids[entry.uid] = existing[0].info.run_id
            else:
                self.create(entry)
        return self.ids[entry.uid]

    def rewrite(self, entry: Entry) -> None:
        """Writes an entry that an earlier attempt may have written in part, or another command as a run of its own.

        Not again where the run is complete, or where the store has its results from an equal run.
        """
        if not any(run.info.status == entry.status for run in self.find(entry.uid)) and not self._has_equal(entry):
            self.delete(entry.uid)
            self.add(entry)

    def _has_equal(self, entry: Entry) -> bool:
        """Whether an equal run has ended, for an entry without weights."""
        condition = f"tags.run_id_hash = '{entry.tags.get('run_id_hash')}' and attributes.status = 'FINISHED'"
        return entry.tags["kind"] == "run" and not entry.files and any(self._search(condition))
