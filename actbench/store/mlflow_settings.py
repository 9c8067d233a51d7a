"""MLflow's own settings, for the command line as long as its process lives, or around one call of the library."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping

# MLflow reads MLFLOW_DISABLE_TELEMETRY at its import (a client that would send is created then) and at each event, the
# others with each request, each transfer of artifacts and each end of a run. Values that the user has set are kept.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A request that MLflow repeats may be carried out twice. The journal repeats it instead, after checking the store.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # one line for each run that ends
}
# MLflow logs each migration of a new database, and errors that are raised as UsageError anyway.
_LOG_LEVELS = {"mlflow": logging.ERROR, "alembic": logging.ERROR, "mlflow.store.db": logging.CRITICAL}


def configure_mlflow() -> None:
    """Sets environment variables and log levels for the rest of the process; call it before MLflow is imported.

    For the command line. Does not import MLflow.
    """
    _set_environment()
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")  # MLflow resets its loggers to it at its import
    _set_log_levels(_LOG_LEVELS)


@contextlib.contextmanager
def configured_mlflow() -> Iterator[None]:
    """The settings of `configure_mlflow` while the block lasts; restores the environment and log levels on exit.

    Where MLflow is not imported yet, it is imported in the block, with telemetry off and its default log levels.
    """
    environment = dict(os.environ)
    try:
        _set_environment()
        import mlflow  # noqa: F401  # sets the levels of its loggers

        levels = {name: logging.getLogger(name).level for name in _LOG_LEVELS}
        try:
            _set_log_levels(_LOG_LEVELS)
            yield
        finally:
            _set_log_levels(levels)
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


def _set_environment() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def _set_log_levels(levels: Mapping[str, int]) -> None:
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
