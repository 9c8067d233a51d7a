"""Several plans of one experiment: nothing is replaced, and no run is trained twice."""

import json
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import actbench as api
from actbench.store.provenance import command_line
from tests.support import actbench

pytestmark = pytest.mark.usefixtures("command_line")

SMALL = ("architecture=mlp_small", "activation=relu,gelu", "training.steps=4", "execution.workers=1")


def kept(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (Path("results") / name).iterdir() if path.is_file()}


def test_another_plan_leaves_the_first_and_takes_its_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", *SMALL, "seed=0,1") == 0
    first = kept("sweep")
    capsys.readouterr()
    assert actbench("sweep", *SMALL, "seed=0,1,2") == 0
    (name,) = [path.name for path in Path("results").glob("sweep-*")]
    shown = capsys.readouterr().out
    assert f"results/{name} gets the results" in shown
    assert "sweep: 6 runs, 4 found finished (4 of another plan), 2 to train" in shown
    assert kept("sweep") == first
    runs, before = pd.read_csv(f"results/{name}/runs.csv"), pd.read_csv("results/sweep/runs.csv")
    shared = runs[runs["run_id"].isin(before["run_id"])].reset_index(drop=True)
    assert (
        shared.sort_values("run_id").reset_index(drop=True).equals(before.sort_values("run_id").reset_index(drop=True))
    )
    assert json.loads(Path(f"results/{name}/environment.json").read_text())["taken"] == 4
    assert "(4 more runs of another plan)" in Path(f"results/{name}/report.md").read_text()
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    sizes = {
        experiment.name: len(client.search_runs([experiment.experiment_id], "tags.kind = 'run'"))
        for experiment in client.search_experiments()
    }
    assert sizes == {"Default": 0, "sweep": 4, name: 6}
    assert actbench("sweep", *SMALL, "seed=0,1,2") == 0
    assert "6 runs, 6 found finished, 0 to train" in capsys.readouterr().out
    assert actbench("sweep", *SMALL, "seed=0,1") == 0
    assert "4 runs, 4 found finished, 0 to train" in capsys.readouterr().out


def test_the_order_of_a_grid_makes_no_other_plan() -> None:
    assert actbench("sweep", *SMALL, "seed=0,1") == 0
    assert actbench("sweep", *SMALL, "seed=1,0") == 0
    assert [path.name for path in Path("results").glob("[!.]*")] == ["sweep"]


def test_a_name_names_folder_and_experiment_and_later_commands_take_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", *SMALL, "name=mine") == 0
    assert kept("mine")
    assert actbench("sweep", *SMALL, "seed=3", "name=mine") == 2
    err = capsys.readouterr().err
    assert err.startswith("actbench: error: name=mine: results/mine belongs to another plan, `actbench ")
    assert err.count("\n") == 1
    for words in (("report", "mine", "--format", "pdf"), ("figure", "mine"), ("export", "mine"), ("list", "results")):
        assert actbench(*words) == 0
    assert Path("results/mine/report.pdf").read_bytes().startswith(b"%PDF")
    assert "accuracy" in capsys.readouterr().out
    assert actbench("report", "min") == 2
    assert actbench("figure", "min") == 2
    assert "near: mine" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../up", ".hidden", "a/b", "' x'"])
def test_a_name_that_is_no_folder_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", *SMALL, f"name={name}") == 2
    err = capsys.readouterr().err
    assert "must be the name of a folder" in err
    assert err.count("\n") == 1
    assert not Path("results").exists()


def test_dry_run_finds_runs_of_other_plans_and_claims_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", *SMALL) == 0
    capsys.readouterr()
    assert actbench("sweep", *SMALL, "seed=0,1", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "results/sweep-" in shown
    assert "2 found finished" in shown
    assert [path.name for path in Path("results").glob("[!.]*")] == ["sweep"]


def test_weights_are_not_taken_from_another_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", *SMALL) == 0
    capsys.readouterr()
    assert actbench("sweep", *SMALL, "seed=0,1", "store.save_weights=last") == 0
    assert "4 runs, 0 found finished, 4 to train" in capsys.readouterr().out


def test_the_python_function_returns_the_results_of_its_plan() -> None:
    first = api.sweep(architecture="mlp_small", training={"steps": 4}, seed=[0, 1])
    second = api.sweep(architecture="mlp_small", training={"steps": 4}, seed=[0, 1, 2], name="three")
    assert (first.folder.name, second.folder.name) == ("sweep", "three")
    assert (len(first.runs), len(second.runs)) == (2, 3)
    assert api.open("results/three").runs.equals(second.runs)
    assert len(api.open(experiment="three").runs) == 3


def test_an_experiment_that_is_a_sweep_is_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("compare", "lesson"), ("compare", "lesson", "--dry-run")):
        assert actbench(*words) == 2
        assert "run `actbench sweep lesson`" in capsys.readouterr().err


def test_a_report_of_dying_units_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", "lesson", "activation=relu,leaky_relu", "training.steps=60", "execution.workers=1") == 0
    assert "- Dead units at the end: relu 9" in capsys.readouterr().out
    assert Path("results/lesson/figures/dead.svg").is_file()
    assert "Reproduce with `" in Path("results/lesson/report.md").read_text()


def test_commands_are_kept_as_a_shell_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["actbench", "sweep", "seed=range(0,5)", "optimizer.lr=0.1,0.2"])
    assert command_line() == "actbench sweep 'seed=range(0,5)' optimizer.lr=0.1,0.2"
