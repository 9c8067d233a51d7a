"""Every default is a value in a YAML file: what the file says is what a run gets, and nothing is filled in by code."""

import shutil
from functools import reduce
from pathlib import Path

import pytest
import yaml

from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.schema import RunSettings
from tests.support import ROOT

DEFAULTS = [  # file under conf/, key, another value than the file has, the override that chooses the file
    ("dataset/digits", "target", 0.5, "dataset=digits"),
    ("architecture/mlp", "width", 32, "architecture=mlp"),
    ("activation/leaky_relu", "slope", 0.3, "activation=leaky_relu"),
    ("initialization/matched", "name", "he", "initialization=matched"),
    ("optimizer/adam", "lr", 0.5, "optimizer=adam"),
    ("training/default", "batch_size", 17, "training=default"),
    ("protocol/default", "seeds", 7, "protocol=default"),
    ("execution/default", "workers", 3, "execution=default"),
    ("store/sqlite", "uri", "sqlite:///other.db", "store=sqlite"),
]


def value(override: str, key: str) -> object:
    """A setting by its dotted key, as a command uses it."""
    grid = compose_grid([override])
    (run,) = grid.runs
    settings: object = run if key.split(".")[0] in RunSettings.model_fields else grid.command
    return reduce(getattr, key.split("."), settings)


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of conf/ that is composed instead of the shipped one."""
    folder = Path(shutil.copytree(ROOT / "conf", tmp_path / "conf"))
    monkeypatch.setattr("actbench.experiment.compose.shipped", lambda name: tmp_path / name)
    return folder


def test_a_change_is_tested_in_every_group() -> None:
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    assert {file.split("/")[0] for file, *_ in DEFAULTS} == groups


@pytest.mark.parametrize(("file", "key", "changed", "choice"), DEFAULTS)
def test_a_changed_default_of_a_yaml_file_changes_the_settings(
    file: str, key: str, changed: object, choice: str, conf: Path
) -> None:
    dotted, path = f"{file.split('/')[0]}.{key}", conf / f"{file}.yaml"
    before = yaml.safe_load(path.read_text())
    assert value(choice, dotted) == before[key] != changed
    path.write_text(yaml.safe_dump(before | {key: changed}))
    assert value(choice, dotted) == changed


@pytest.mark.parametrize(("file", "key", "changed", "choice"), DEFAULTS)
def test_a_default_that_no_yaml_file_has_is_not_filled_in(
    file: str, key: str, changed: object, choice: str, conf: Path
) -> None:
    path = conf / f"{file}.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in yaml.safe_load(path.read_text()).items() if k != key}))
    with pytest.raises(UsageError):
        compose_grid([choice])


def test_a_changed_seed_of_the_main_file_changes_the_settings(conf: Path) -> None:
    path = conf / "config.yaml"
    path.write_text(path.read_text().replace("seed: 0", "seed: 5"))
    assert value("dataset=digits", "seed") == 5
