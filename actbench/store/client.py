"""The tracking service behind a URI: how it is reached, and what is said where it is not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from actbench.errors import UsageError
from actbench.store.sqlite import check_database, database_lock, make_database

NOBODY = "nobody answers"
_BEHIND = ("sqlalchemy", "boto3", "botocore", "google", "azure")  # whose own errors MLflow hands on
_DATABASES = ("postgresql", "mysql", "mssql")
_PAGE = 1000  # runs a page of search_runs


def connect(uri: str, create: bool = True) -> MlflowClient:
    """A client of the service at `uri`, its database made where there is none. Raises UsageError."""
    database = check_database(uri, create)
    with store_errors(uri), database_lock(database):  # two processes that make one new database break it
        if database is not None and not database.exists():
            make_database(database.resolve(), lambda new: MlflowClient(new).search_experiments(max_results=1))
        try:
            if uri.startswith(_DATABASES):
                _check_connection(uri)
            return MlflowClient(tracking_uri=absolute_uri(uri))
        except ValueError as error:
            raise UsageError(f"store.uri={uri} is no tracking URI: {error}") from error


def _check_connection(uri: str) -> None:
    """Raises where a database does not answer: MLflow would ask it for two minutes, in silence."""
    engine = sqlalchemy.create_engine(uri)
    engine.connect().close()
    engine.dispose()


def absolute_uri(uri: str) -> str:
    """The same, whatever the folder: MLflow keeps one engine a URI and process."""
    scheme = "sqlite:///"
    return f"{scheme}{Path(uri.removeprefix(scheme)).resolve()}" if uri.startswith(scheme) else uri.rstrip("/")


def experiment_id(client: MlflowClient, uri: str, experiment: str) -> str:
    """Of the experiment of that name, made where there is none. Raises UsageError where it is deleted."""
    found = client.get_experiment_by_name(experiment)
    if found is not None and found.lifecycle_stage == "deleted":
        raise UsageError(
            f"experiment {experiment!r} in {uri} is deleted; run `mlflow experiments restore "
            f"--experiment-id {found.experiment_id}` or `mlflow gc`"
        )
    if found is None:
        try:
            return str(client.create_experiment(experiment))
        except MlflowException:  # another command has just made it
            found = client.get_experiment_by_name(experiment)
            if found is None:
                raise
    return str(found.experiment_id)


def search_runs(client: MlflowClient, experiment: str, condition: str) -> Iterator[Any]:
    """All active runs of an experiment (by id) under a condition, by their start."""
    token = None
    while True:
        page = client.search_runs(
            [experiment], condition, ViewType.ACTIVE_ONLY, _PAGE, ["attributes.start_time ASC"], token
        )
        yield from page
        token = page.token
        if not token:
            return


def is_service_error(error: BaseException | None) -> bool:
    """Whether it is the service that failed: MLflow, its connection, the database or the artifacts' place behind it."""
    known = isinstance(error, MlflowException | OSError | ImportError)
    return known or type(error).__module__.split(".")[0] in _BEHIND


def reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    for sign, said in (("Connection refused", NOBODY), ("Connection aborted", "the connection broke"),
                       ("Connection broken", "the connection broke"), ("timed out", "no answer in time")):  # fmt: skip
        if sign in str(error):
            return said
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0][:300]


class store_errors:
    """Turns what MLflow raises into one line that names the store."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ImportError):
            raise UsageError(f"store.uri={self._uri}: {error}; install the driver of this database") from error
        if error is not None and is_service_error(error):
            said = reason(error)
            hint = "; start the server, or name another store.uri" if said == NOBODY else ""
            raise UsageError(f"store.uri={self._uri}: {said}{hint}") from error
