"""The functions are the commands: the same runs, to the same bits, and one object for their results."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.figure
import pandas as pd
import pytest

import actbench
from actbench.cli.main import main
from actbench.training.results import WALL_CLOCK
from tests.support import ENVIRONMENT, TINY

KEYWORDS: dict[str, Any] = {"architecture": "mlp_small", "training": {"steps": 4, "batch_size": 50}}
RATES: dict[str, Any] = {"protocol": {"learning_rates": [0.01], "seeds": 6, "racing": False}}


def bits(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.drop(columns=[*{*WALL_CLOCK} & {*runs.columns}]).sort_values("run_id", ignore_index=True)


def test_sweep_is_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python", "shell"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "python")
    found = actbench.sweep(activation=["relu", "gelu"], seed=range(2), **KEYWORDS)
    monkeypatch.chdir(tmp_path / "shell")
    assert main(["sweep", *TINY, "activation=relu,gelu", "seed=range(0,2)"]) == 0
    by_command = actbench.open("results/sweep")
    pd.testing.assert_frame_equal(bits(found.runs), bits(by_command.runs), check_exact=True)
    assert found.request.command == (
        "actbench sweep activation=relu,gelu seed=0,1 architecture=mlp_small training.steps=4 training.batch_size=50"
    )
    assert set(found.figures) == {"accuracy", "curves"}
    assert isinstance(found.figures["accuracy"], matplotlib.figure.Figure)
    assert "gelu" in found._repr_html_()
    assert "4 runs in" in repr(found)
    with pytest.raises(actbench.UsageError, match="use compare"):
        _ = found.answer


def test_train_is_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python", "shell"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "python")
    found = actbench.train("activation=tanh", **KEYWORDS)
    assert len(found.layers)
    monkeypatch.chdir(tmp_path / "shell")
    assert main(["train", *TINY, "activation=tanh"]) == 0
    pd.testing.assert_frame_equal(bits(found.runs), bits(actbench.open("results/train").runs), check_exact=True)


@pytest.mark.slow
def test_compare_is_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python", "shell"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "python")
    found = actbench.compare(activation=["relu", "gelu"], **KEYWORDS, **RATES)
    monkeypatch.chdir(tmp_path / "shell")
    words = [
        *TINY,
        "activation=relu,gelu",
        "protocol.learning_rates=[0.01]",
        "protocol.seeds=6",
        "protocol.racing=false",
    ]
    assert main(["compare", *words]) == 0
    by_command = actbench.open("results/quickstart")
    pd.testing.assert_frame_equal(bits(found.runs), bits(by_command.runs), check_exact=True)
    same = {"question", "answer", "version", "tasks", "hypotheses"}
    for key in same:
        if key != "tasks":
            assert found.document[key] == by_command.document[key]
    pd.testing.assert_frame_equal(found.verdicts, by_command.verdicts)
    assert set(found.verdicts["choice"]) <= {"take", "avoid", "undecided", ""}
    assert len(found.scores) == 12
    assert len(found.costs)
    assert found.hypotheses.empty
    assert isinstance(found.figures["differences"], matplotlib.figure.Figure)
    assert set(found.figures) == {path.stem for path in found.folder.glob("figures/*.png")}
    assert found.figures.at(3.25)["differences"].get_figwidth() == 3.25
    assert found.figures["differences"].get_figwidth() == 6.8
    assert main(["figure", "quickstart", "differences", "--activations", "gelu", "--width", "acl"]) == 0
    assert Path("quickstart-differences.pdf").is_file()
    assert found._repr_html_().startswith("<iframe srcdoc=")
    assert found.report("md").read_text() == (found.folder / "report.md").read_text()
    with pytest.raises(actbench.UsageError, match="format=doc"):
        found.report("doc")
    monkeypatch.chdir(tmp_path / "python")
    again = actbench.open(experiment="quickstart")
    pd.testing.assert_frame_equal(bits(found.runs), bits(again.runs), check_exact=True)
    assert again.report("md").is_file()


SCRIPT = """
import actbench

print("imported", __name__)

def squareplus(z):
    return (z + (z * z + 4).sqrt()) / 2

found = actbench.sweep(
    activation=["relu", squareplus], seed=[0, 1], architecture="mlp_small",
    training={"steps": 4, "batch_size": 50}, execution={"workers": 2},
)
print(sorted(found.runs["activation"].unique()))
"""


@pytest.mark.slow
def test_a_script_needs_no_guard_and_its_functions_are_activations(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("imported") == 1
    assert ":squareplus', 'relu']" in done.stdout


@pytest.mark.parametrize(
    ("words", "settings", "problem"),
    [
        (("nosuch",), {}, "no experiment 'nosuch'"),
        (("quickstart", "mnist"), {}, "not an override"),
        (("lr=0.1",), {}, "optimizer.lr"),
        ((), {"activation": lambda z: z}, "lambda"),
        ((3,), {}, "not a text"),
        (("activation=nosuch",), {}, "no such activation"),
    ],
)
def test_wrong_arguments_are_one_line(
    words: tuple[Any, ...], settings: dict[str, Any], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(actbench.UsageError, match=problem) as caught:
        actbench.compare(*words, **settings)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_open_needs_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(actbench.UsageError, match="holds no runs.csv"):
        actbench.open("results/quickstart")
    with pytest.raises(actbench.UsageError, match="not both"):
        actbench.open("results/quickstart", store="sqlite:///a.db")
    with pytest.raises(actbench.UsageError, match="name a results folder"):
        actbench.open()
    with pytest.raises(actbench.UsageError):
        actbench.open(experiment="quickstart")


def test_the_names_are_complete() -> None:
    assert {"compare", "sweep", "train", "open", "inspect", "load", "UsageError", "Results"} <= set(dir(actbench))
    for name in actbench.__all__:
        assert getattr(actbench, name).__doc__
    with pytest.raises(AttributeError, match="nosuch"):
        _ = actbench.nosuch
    assert (Path(actbench.__file__).parent / "py.typed").is_file()
