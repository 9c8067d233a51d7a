"""Shared fixtures: a private cache, an empty store, the digits data set, and configs composed from overrides."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

os.environ.setdefault("MKL_CBWR", "AUTO")  # as the command line sets it, before MKL's first call

import torch

from actbench.data.datasets import ImageData, PreparedData, prepare_data
from actbench.experiment.compose import compose_grid
from actbench.experiment.schema import RunSettings
from actbench.store.mlflow_settings import configure_mlflow
from tests.support import load_images

torch.set_num_threads(1)
configure_mlflow()

# A shell's background job ignores SIGINT, and so would the commands that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for the tests, so that they neither read nor fill the user's."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    os.environ.pop("XDG_CACHE_HOME")
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store to copy: MLflow takes seconds to create one."""
    from actbench.store.client import connect  # tests on a GPU need no store
    from actbench.store.sqlite import checkpoint_log

    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    connect(f"sqlite:///{path}")
    checkpoint_log(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The device of tests marked `device`: the CPU, unless $ACTBENCH_TEST_DEVICE names another."""
    return torch.device(os.environ.get("ACTBENCH_TEST_DEVICE", "cpu"))


@pytest.fixture
def own_folder(tmp_path: Path, blank_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary current folder that holds an empty store."""
    shutil.copy(blank_database, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command_line(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For commands that run in this process: an empty store, and arguments that a report can print."""
    monkeypatch.setattr(sys, "argv", ["actbench", "test"])


@pytest.fixture(scope="session")
def digits(own_cache: Path) -> PreparedData:
    return prepare_data("digits", None, False, None)


@pytest.fixture(scope="session")
def digits_data(digits: PreparedData) -> ImageData:
    return load_images(digits)


@pytest.fixture(scope="session")
def halves(digits: PreparedData) -> PreparedData:
    """Digits as data with a test set of their own: the last 359 images."""
    return replace(digits, name="halves", fingerprint="of halves", own_test=True)


@pytest.fixture(scope="session")
def halves_data(digits_data: ImageData) -> ImageData:
    images, labels = digits_data.train_images, digits_data.train_labels
    return ImageData(images[:-359], labels[:-359], images[-359:], labels[-359:])


@pytest.fixture(scope="session")
def configs() -> Callable[..., list[RunSettings]]:
    """A function from overrides to the run settings of their grid."""
    return lambda *overrides: list(compose_grid(overrides).runs)
