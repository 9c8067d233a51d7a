"""A store that is moved or copied with its artifacts finds them; any other is left alone."""

import shutil
from pathlib import Path

import pytest

from actbench.cli.main import main
from actbench.store.client import connect
from actbench.store.moved import follow_move
from tests.support import TINY

WORDS = [*TINY, "activation=relu", "seed=0,1"]


@pytest.mark.parametrize("is_copy", [False, True])
def test_artifacts_are_found_where_the_store_is_now(
    is_copy: bool, own_folder: Path, command_line: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before, after = Path("before"), Path("after").resolve()
    before.mkdir()
    shutil.move("mlflow.db", before)
    monkeypatch.chdir(before)
    assert main(["sweep", *WORDS]) == 0
    assert list(Path("mlruns").glob("*/*/artifacts/runs.csv"))
    monkeypatch.chdir("..")
    (shutil.copytree if is_copy else shutil.move)("before", after)
    monkeypatch.chdir(after)
    shutil.rmtree("results")
    capsys.readouterr()
    assert main(["sweep", *WORDS]) == 0  # reads curves from the artifacts
    out, err = capsys.readouterr()
    assert "2 found finished, 0 to train" in out
    assert "its artifacts are now those in" in err
    client = connect("sqlite:///mlflow.db")
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            assert Path(run.info.artifact_uri).is_relative_to(after)
    assert not capsys.readouterr().err  # once


def test_a_store_without_artifacts_beside_it_is_left_alone(own_folder: Path, command_line: None) -> None:
    Path("elsewhere").mkdir()
    assert main(["sweep", *WORDS]) == 0
    shutil.copy("mlflow.db", "elsewhere/mlflow.db")
    content = Path("elsewhere/mlflow.db").read_bytes()
    follow_move(Path("elsewhere/mlflow.db"))
    assert Path("elsewhere/mlflow.db").read_bytes() == content
