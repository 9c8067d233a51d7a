"""Shared fixtures: a cache of its own, the digits, and configs by override."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("MKL_CBWR", "AUTO")  # as the command line sets it, before MKL's first call

import torch

from actbench.data.datasets import ImageData, PreparedData, load_data, prepare_data
from actbench.experiment.compose import compose_grid
from actbench.experiment.schema import RunSettings
from actbench.store.client import connect
from actbench.store.mlflow_settings import configure_mlflow
from actbench.store.sqlite import checkpoint_log

torch.set_num_threads(1)
configure_mlflow()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job, and then in what tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests neither read nor fill the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    os.environ.pop("XDG_CACHE_HOME")
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store: to make one takes MLflow seconds, to copy it none."""
    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    connect(f"sqlite:///{path}")
    checkpoint_log(f"sqlite:///{path}")
    return path


@pytest.fixture
def own_folder(tmp_path: Path, blank_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty but for a store without runs."""
    shutil.copy(blank_database, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def digits(own_cache: Path) -> PreparedData:
    return prepare_data("digits", None, False, None)


@pytest.fixture(scope="session")
def digits_data(digits: PreparedData) -> ImageData:
    return load_data(digits)


@pytest.fixture(scope="session")
def configs() -> Callable[..., list[RunSettings]]:
    """Overrides to the configs of their grid."""
    return lambda *overrides: list(compose_grid(overrides).runs)
