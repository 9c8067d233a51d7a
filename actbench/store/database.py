"""Reads and writes the tables of an MLflow store that is a database, many rows at once.

MLflow's client makes an object of each row and eight commits a run: 40 ms of processor time to write a run, 4 ms to
read it without its curves and 40 ms with them. The tables are taken from MLflow's own models, with the defaults of
their columns.
"""

import sys
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from mlflow import MlflowClient
from mlflow.store.tracking.dbmodels import models
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import Engine, NullPool, bindparam, create_engine, insert, or_, select, update
from sqlalchemy.exc import CompileError, IntegrityError

from actbench.metrics.names import HISTOGRAM
from actbench.store.client import DATABASES, absolute_uri
from actbench.store.entries import Entry, Point
from actbench.store.names import PARENT, WEIGHTS
from actbench.training.machine import MACHINE
from actbench.training.results import IDENTITY, MEASURED, TEST_CORRECT, TEST_SCORES

_TAGS = (
    "run_id_hash",
    "phase",
    "status",
    "device",
    *MACHINE,
    "curves",
    TEST_CORRECT,
    WEIGHTS,
)  # that a result is made from, as are
_NUMBERED_TAGS = (f"{HISTOGRAM}/", f"{TEST_SCORES}/")  # followed by a number
_LONGEST_TAG, _LONGEST_PARAM, _LONGEST_KEY = 8000, 6000, 250  # characters; MLflow's client refuses or cuts longer ones
_CHUNK = 500  # runs a query
_ENDED_STATUS = ("FINISHED", "FAILED")

History = dict[str, list[tuple[int, float]]]  # metric -> [(step, value)]


class Tables:
    """The tables of one experiment. Raises what SQLAlchemy raises."""

    def __init__(self, client: MlflowClient, uri: str, experiment_id: str) -> None:
        self._engine = _engine(absolute_uri(uri))
        self._experiment = int(experiment_id)
        self._artifacts = str(client.get_experiment(experiment_id).artifact_location)
        self._datasets: dict[tuple[str, str], str] = {}  # name and digest -> MLflow's id
        self._is_unknown = False  # whether the tables have refused a row

    def finished(self) -> Iterator[Any]:
        """Runs that have ended and not failed, oldest first, as MLflow's client returns them.

        Their tags, params and metrics are those alone that a result is made from.
        """
        run, tag = models.SqlRun.__table__.c, models.SqlTag.__table__.c
        ended = (run.experiment_id == self._experiment, run.status == "FINISHED", run.lifecycle_stage == "active")
        with self._engine.connect() as connection:
            order = select(run.run_uuid).where(*ended).order_by(run.start_time, run.run_uuid)
            runs = {id: SimpleNamespace(tags={}, params={}, metrics={}) for (id,) in connection.execute(order)}
            for name, model, wanted in (
                ("tags", models.SqlTag, or_(tag.key.in_(_TAGS), *map(tag.key.startswith, _NUMBERED_TAGS))),
                ("params", models.SqlParam, models.SqlParam.__table__.c.key.in_(IDENTITY)),
                ("metrics", models.SqlLatestMetric, models.SqlLatestMetric.__table__.c.key.in_(MEASURED)),
            ):
                row = model.__table__.c
                query = select(row.run_uuid, row.key, row.value).join(models.SqlRun).where(wanted, *ended)
                for id, key, value in connection.execute(query):
                    if id in runs:  # a run may have ended since
                        getattr(runs[id], name)[sys.intern(key)] = value
        for id, data in runs.items():
            if data.tags.get("status", "failed") != "failed":
                yield SimpleNamespace(info=SimpleNamespace(run_id=id), data=data)

    def histories(self, ids: Sequence[str]) -> dict[str, History]:
        """Every point of every metric of these runs. ids: MLflow's."""
        row = models.SqlMetric.__table__.c
        found: dict[str, History] = {id: {} for id in ids}
        with self._engine.connect() as connection:
            for start in range(0, len(ids), _CHUNK):
                query = select(row.run_uuid, row.key, row.step, row.value, row.is_nan)
                query = query.where(row.run_uuid.in_(ids[start : start + _CHUNK])).order_by(row.run_uuid, row.step)
                for id, key, step, value, is_nan in connection.execute(query):
                    found[id].setdefault(sys.intern(key), []).append((step, float("nan") if is_nan else value))
        return found

    def insert(self, entry: Entry, parent: str | None) -> bool:
        """Writes a run that has ended, in one transaction. parent: MLflow's id of its parent run.

        Returns False, and writes nothing, where the client must: a run with files, one that has not ended, values
        too long for MLflow, a data set that no run of the experiment has had, or tables that this module does not know.
        """
        if self._is_unknown or entry.files or entry.status not in _ENDED_STATUS or not _fits(entry):
            return False
        dataset = self._dataset(entry) if entry.dataset else None
        if entry.dataset and dataset is None:
            return False
        id = uuid.uuid4().hex
        tags = {**entry.tags, **({PARENT: parent} if parent else {}), "uid": entry.uid, "mlflow.runName": entry.name}
        try:
            self._insert(id, entry, tags, dataset)
        except (IntegrityError, CompileError):  # of another version of MLflow, with columns that have no default
            self._is_unknown = True
        return not self._is_unknown

    def _insert(self, id: str, entry: Entry, tags: Mapping[str, str], dataset: str | None) -> None:
        points = list(dict.fromkeys(entry.points))
        with self._engine.begin() as connection:
            connection.execute(insert(models.SqlRun), self._run(entry, id))
            connection.execute(insert(models.SqlTag), _texts(id, tags.items()))
            for model, rows in (
                (models.SqlParam, _texts(id, entry.params.items())),
                (models.SqlMetric, _metrics(id, points)),
                (models.SqlLatestMetric, _metrics(id, _latest(points))),
            ):
                if rows:
                    connection.execute(insert(model), rows)
            if dataset is not None:
                link = {"source_type": "DATASET", "source_id": dataset, "destination_type": "RUN", "destination_id": id}
                own = {"input_uuid": uuid.uuid4().hex}
                connection.execute(insert(models.SqlInput), {**own, **link})
                context = {"name": "mlflow.data.context", "value": "training"}
                connection.execute(insert(models.SqlInputTag), {**own, **context})

    def mark_chosen(self, ids: Collection[str]) -> None:
        """Sets the tag `chosen` of every run of the experiment, where it differs. ids: the run ids that are chosen."""
        run, own = models.SqlRun.__table__.c, models.SqlTag.__table__.c
        trained = (run.experiment_id == self._experiment, run.lifecycle_stage == "active")
        with self._engine.begin() as connection:
            known: dict[str, dict[str, str]] = {"run_id_hash": {}, "chosen": {}}
            query = select(own.run_uuid, own.key, own.value).join(models.SqlRun).where(own.key.in_(known), *trained)
            for id, key, value in connection.execute(query):
                known[key][id] = value
            wanted = {id: str(run_id in ids).lower() for id, run_id in known["run_id_hash"].items()}
            differing = {id: value for id, value in wanted.items() if known["chosen"].get(id, "false") != value}
            has_tag = own.run_uuid == bindparam("id")
            changed = [{"id": id, "new": value} for id, value in differing.items() if id in known["chosen"]]
            if changed:
                setting = update(models.SqlTag.__table__).where(has_tag, own.key == "chosen")
                connection.execute(setting.values(value=bindparam("new")), changed)
            missing = [
                _texts(id, [("chosen", value)])[0] for id, value in differing.items() if id not in known["chosen"]
            ]
            if missing:
                connection.execute(insert(models.SqlTag), missing)

    def _run(self, entry: Entry, id: str) -> dict[str, Any]:
        """The row of a run as MLflow's client writes it."""
        return {
            "run_uuid": id, "name": entry.name, "experiment_id": self._experiment, "status": entry.status,
            "start_time": entry.started, "end_time": int(time.time() * 1000), "lifecycle_stage": "active",
            "artifact_uri": append_to_uri_path(self._artifacts, id, "artifacts"), "user_id": "unknown",
            "source_type": "UNKNOWN", "source_name": "", "entry_point_name": "", "source_version": "",
        }  # fmt: skip

    def _dataset(self, entry: Entry) -> str | None:
        """MLflow's id of the entry's data set; None where the experiment has none of its name and digest."""
        name, digest = key = (entry.dataset.get("name", ""), entry.dataset.get("digest", ""))
        if key not in self._datasets:
            row = models.SqlDataset.__table__.c
            query = select(row.dataset_uuid).where(
                row.experiment_id == self._experiment, row.name == name, row.digest == digest
            )
            with self._engine.connect() as connection:
                found = connection.execute(query).scalar()
            if found is None:
                return None
            self._datasets[key] = str(found)
        return self._datasets[key]


def open_tables(client: MlflowClient, uri: str, experiment_id: str) -> Tables | None:
    """The tables of an experiment; None where the store is a server, whose tables are out of reach."""
    return Tables(client, uri, experiment_id) if uri.startswith(("sqlite:///", *DATABASES)) else None


@cache  # of a server, a process keeps its connections: a new one for each run would take longer than the run
def _engine(uri: str) -> Engine:
    scheme = "sqlite:///"
    if not uri.startswith(scheme):
        return create_engine(uri, pool_pre_ping=True)
    # A kept connection would write into a file that is gone, and SQLite would create it anew for another one.
    return create_engine(f"{scheme}file:{uri.removeprefix(scheme)}?mode=rw&uri=true", poolclass=NullPool)


def _fits(entry: Entry) -> bool:
    keys = [*entry.tags, *entry.params, *(point[0] for point in entry.points), entry.name]
    return (
        max(map(len, keys)) <= _LONGEST_KEY
        and max(map(len, entry.tags.values()), default=0) <= _LONGEST_TAG
        and max(map(len, entry.params.values()), default=0) <= _LONGEST_PARAM
        and all(abs(point[1]) <= sys.float_info.max for point in entry.points)  # finite
    )


def _texts(id: str, items: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"run_uuid": id, "key": key, "value": value} for key, value in items]


def _metrics(id: str, points: Iterable[Point]) -> list[dict[str, Any]]:
    return [
        {"run_uuid": id, "key": key, "value": value, "timestamp": ms, "step": step, "is_nan": False}
        for key, value, step, ms in points
    ]


def _latest(points: Iterable[Point]) -> list[Point]:
    """The last point of each metric: by step, then time, then value, as MLflow has it."""
    last: dict[str, Point] = {}
    for point in points:
        key, value, step, ms = point
        known = last.get(key)
        if known is None or (step, ms, value) > (known[2], known[3], known[1]):
            last[key] = point
    return list(last.values())
