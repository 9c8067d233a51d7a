"""MLflow's client of a tracking URI, and errors of the service in one line."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from actbench.errors import UsageError
from actbench.store.moved import follow_move
from actbench.store.names import FAMILY
from actbench.store.sqlite import check_database, create_database, database_lock, is_absent

_BACKENDS = ("sqlalchemy", "boto3", "botocore", "google", "azure", "sqlite3")  # packages whose errors MLflow passes on
DATABASES = ("postgresql", "mysql", "mssql")
_PAGE = 1000  # runs a page of search_runs

_REFUSED = "no server answers"
_REASONS = {  # part of a message -> what it means
    "Connection refused": _REFUSED,
    "Connection aborted": "the connection broke",
    "Connection broken": "the connection broke",
    "timed out": "no answer in time",
    "database is locked": "another process holds the database locked",
    "database or disk is full": "the disk is full",
}


def connect(uri: str, create: bool = True) -> MlflowClient:
    """A client of the store at `uri`; creates a SQLite database that does not exist, if asked. Raises UsageError."""
    database = check_database(uri, create)
    with store_errors(uri), database_lock(database):  # two processes that create one database break it
        if database is not None and is_absent(database):
            create_database(database.resolve(), lambda new: MlflowClient(new).search_experiments(max_results=1))
        elif database is not None:
            follow_move(database)
        try:
            if uri.startswith(DATABASES):
                _check_connection(uri)
            if database is not None:
                _close_idle_connections(absolute_uri(uri))
            return MlflowClient(tracking_uri=absolute_uri(uri))
        except ValueError as error:
            raise UsageError(f"store.uri={uri} is no tracking URI: {error}") from error


def _check_connection(uri: str) -> None:
    """Raises where a database does not answer: MLflow would retry for two minutes without a message."""
    engine = sqlalchemy.create_engine(uri)
    engine.connect().close()
    engine.dispose()


def _close_idle_connections(uri: str) -> None:
    """Closes what MLflow keeps open for the process: a connection may be to a SQLite file that is gone since."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # not for a store that is a server

    engine = SqlAlchemyStore._engine_map.get(uri)
    if engine is not None:
        engine.dispose()


def absolute_uri(uri: str) -> str:
    """A URI that does not depend on the current folder: MLflow keeps one database engine for each URI of a process."""
    scheme = "sqlite:///"
    return f"{scheme}{Path(uri.removeprefix(scheme)).resolve()}" if uri.startswith(scheme) else uri.rstrip("/")


def experiment_id(client: MlflowClient, uri: str, experiment: str, family: str | None = None) -> str:
    """MLflow's id of an experiment, which is created where there is none. Raises UsageError where it is deleted.

    family: a tag that it gets: the name that the plans of one experiment have in common; None: it is left as it is.
    """
    existing = client.get_experiment_by_name(experiment)
    if existing is not None and existing.lifecycle_stage == "deleted":
        raise UsageError(
            f"experiment {experiment!r} in {uri} is deleted; run `mlflow experiments restore "
            f"--experiment-id {existing.experiment_id}` or `mlflow gc`"
        )
    if existing is None:
        try:
            return str(client.create_experiment(experiment, tags={} if family is None else {FAMILY: family}))
        except MlflowException:  # another command has just created it
            existing = client.get_experiment_by_name(experiment)
            if existing is None:
                raise
    if family is not None and existing.tags.get(FAMILY) != family:
        client.set_experiment_tag(existing.experiment_id, FAMILY, family)
    return str(existing.experiment_id)


def family_names(client: MlflowClient, family: str) -> list[str]:
    """The active experiments that plans of one experiment have; older versions gave an experiment no tag."""
    found: list[Any] = []
    token: str | None = None
    while page := client.search_experiments(max_results=_PAGE, page_token=token):
        found, token = [*found, *page], page.token
        if not token:
            break
    return [one.name for one in found if one.tags.get(FAMILY, one.name) == family]


def newest_run(client: MlflowClient, uri: str, experiment: str, condition: str) -> Any | None:
    """The newest active run of an experiment, by name, that meets a condition; None where there is none."""
    with store_errors(uri):
        known = client.get_experiment_by_name(experiment)
        if known is None or known.lifecycle_stage == "deleted":
            return None
        newest = ["attributes.start_time DESC"]
        return next(iter(client.search_runs([known.experiment_id], condition, ViewType.ACTIVE_ONLY, 1, newest)), None)


def search_runs(client: MlflowClient, experiment: str, condition: str) -> Iterator[Any]:
    """All active runs of an experiment (its id) that meet a condition in MLflow's search grammar, oldest first."""
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
    """Whether the store failed, and not this program: MLflow, the connection, the database or the artifact store."""
    known = isinstance(error, MlflowException | OSError | ImportError)
    return known or type(error).__module__.split(".")[0] in _BACKENDS


def reason(error: BaseException) -> str:
    """Returns the cause of an error of the store, in one line."""
    for sign, meaning in _REASONS.items():
        if sign in str(error):
            return meaning
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return re.sub(r"^\((\w+\.)+\w+\) ", "", lines[0])[:300]  # without SQLAlchemy's type of the error


@contextlib.contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turns errors of the store into UsageError, one line that names the store."""
    try:
        yield
    except ImportError as error:
        raise UsageError(f"store.uri={uri}: {error}; install the driver of this database") from error
    except Exception as error:
        if not is_service_error(error):
            raise
        message = reason(error)
        hint = "; start the server, or name another store.uri" if message == _REFUSED else ""
        raise UsageError(f"store.uri={uri}: {message}{hint}") from error
