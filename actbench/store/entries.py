"""MLflow runs as plain data, as they are to be stored; how they are written, and found again."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from actbench.store.client import search_runs

Point = tuple[str, float, int, int]  # metric, value, step, time (ms since 1970)

RUNNING = "RUNNING"
NOTE = "mlflow.note.content"  # Markdown, shown as a run's description
WEIGHTS = "weights"  # tag of a run, and its folder of artifacts
_LONGEST = 8000  # characters of a tag
_METRICS = 1000  # that MLflow takes in one log_batch


@dataclass(frozen=True)
class Entry:
    """uid: our own name of it, a tag, by which it is found again whatever came of a request. parent: uid of the run
    under which it is folded. files: folders whose content becomes artifacts, each with its place among them."""

    uid: str
    name: str
    tags: Mapping[str, str]
    parent: str | None = None
    status: str = RUNNING
    params: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    dataset: Mapping[str, str] = field(default_factory=dict)  # of mlflow's Dataset, by key
    files: Sequence[tuple[str, str | None]] = ()
    started: int = field(default_factory=lambda: int(time.time() * 1000))  # ms since 1970

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Entry":
        read = json.loads(text)
        return cls(**read | {key: [tuple(each) for each in read[key]] for key in ("points", "files")})


def drop_weights(entry: Entry) -> None:
    """Weights that are stored need no place of their own."""
    for folder, place in entry.files:
        if place == WEIGHTS:
            shutil.rmtree(folder, ignore_errors=True)


class Writer:
    """Writes entries into one experiment. Raises what MLflow raises."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self.client, self._experiment_id = client, experiment_id
        self.ids: dict[str, str] = {}  # uid -> MLflow's run id

    def create(self, entry: Entry) -> str:
        """The run as RUNNING, with its tags and, where it has one, its data set."""
        above = {"mlflow.parentRunId": self.ids[entry.parent]} if entry.parent in self.ids else {}
        tags = {**entry.tags, **above, "uid": entry.uid}
        created = self.client.create_run(self._experiment_id, entry.started, tags, entry.name).info.run_id
        self.ids[entry.uid] = created
        if entry.dataset:
            data = DatasetInput(Dataset(**entry.dataset), [InputTag("mlflow.data.context", "training")])
            self.client.log_inputs(created, [data])
        return str(created)

    def fill(self, run_id: str, entry: Entry, tags: Mapping[str, str]) -> None:
        """Its params, points, files and those tags, and its status at last: what has ended is whole."""
        params = [Param(key, value) for key, value in entry.params.items()]
        own = [RunTag(key, value) for key, value in tags.items() if key != NOTE]
        if NOTE in tags:
            own.append(RunTag(NOTE, tags[NOTE].replace("RUN_ID", run_id)[:_LONGEST]))
        self.log(run_id, entry.points, params, own)
        for folder, place in entry.files:
            self.client.log_artifacts(run_id, folder, place)
        if entry.status != RUNNING:
            self.client.set_terminated(run_id, entry.status)

    def log(
        self, run_id: str, points: Sequence[Point], params: Sequence[Param] = (), tags: Sequence[RunTag] = ()
    ) -> None:
        metrics = [Metric(key, value, ms, step) for key, value, step, ms in points]
        self.client.log_batch(run_id, metrics[:_METRICS], params, tags)
        for start in range(_METRICS, len(metrics), _METRICS):
            self.client.log_batch(run_id, metrics[start : start + _METRICS])

    def add(self, run_id_hash: str, values: Mapping[str, float]) -> None:
        """Final values of a run that has ended, or of several that are the same."""
        now = int(time.time() * 1000)
        condition = f"tags.run_id_hash = '{run_id_hash}' and attributes.status = 'FINISHED'"
        for found in search_runs(self.client, self._experiment_id, condition):
            if not set(values) & set(found.data.metrics):
                self.log(found.info.run_id, [(key, value, 0, now) for key, value in values.items()])

    def find(self, uid: str) -> list[Any]:
        """Runs that bear a uid: several only where a request was repeated on the way."""
        return list(search_runs(self.client, self._experiment_id, f"tags.uid = '{uid}'"))

    def remove(self, uid: str) -> None:
        for found in self.find(uid):
            self.client.delete_run(found.info.run_id)

    def ensure(self, entry: Entry) -> str:
        """A run under which others are folded: the one that there is, or a new one."""
        if entry.uid not in self.ids:
            found = self.find(entry.uid)
            if found:
                self.ids[entry.uid] = found[0].info.run_id
            else:
                self.create(entry)
        return self.ids[entry.uid]

    def write_again(self, entry: Entry) -> None:
        """An entry of which nobody knows how far it came: left alone if it is whole, else written anew."""
        if not any(found.info.status == entry.status for found in self.find(entry.uid)):
            self.remove(entry.uid)
            self.fill(self.create(entry), entry, {})
