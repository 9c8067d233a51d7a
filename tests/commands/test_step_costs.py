"""Costs are measured once for equal steps on one machine, and taken from the user's cache after that."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actbench.commands import step_costs
from actbench.commands.session import Session
from actbench.data.datasets import PreparedData
from actbench.execution.local import Pool
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import RunSettings

Configs = Callable[..., list[RunSettings]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The activations that were measured, one for each round; GELU fails where it is not alone."""
    labels: list[str] = []

    def measure(runs: list[Run], device: str, rounds: range) -> list[tuple[str, int, float, float, float]]:
        names = [run.settings.activation.label for run in runs]
        if "silu" in names:
            raise ValueError("silu does not run here")
        labels.extend(name for _ in rounds for name in names)
        return [(run.id, number, 1.0, 10.0 * len(name), 0.1) for number in rounds
                for run, name in zip(runs, names, strict=True)]  # fmt: skip

    monkeypatch.setattr(step_costs, "measure_step_costs", measure)
    monkeypatch.setattr(step_costs, "cache_home", lambda: tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    return labels


def costs_of(runs: list[Run]) -> Any:
    """Costs of a session with an empty store."""
    Path("results").mkdir(exist_ok=True)
    folder = Path("results/new")
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    with Pool("cpu", 1) as pool:
        session = SimpleNamespace(pool=pool, folder=folder, is_new=True)
        return step_costs.step_costs(cast(Session, session), [runs])


def runs_of(configs: Configs, data: PreparedData, *words: str) -> list[Run]:
    points = configs(*words, "architecture=mlp_small", "training.steps=3")
    return [make_run(point, data, "compare") for point in points]


def test_equal_steps_are_measured_once(configs: Configs, digits: PreparedData, measured: list[str]) -> None:
    words = "activation=relu,tanh"
    first = costs_of(runs_of(configs, digits, words))
    assert sorted(set(measured)) == ["relu", "tanh"]
    measured.clear()
    runs = runs_of(configs, digits, words, "seed=7", "optimizer.lr=0.3")  # which no step's time depends on
    again = costs_of(runs)
    assert measured == []
    assert set(again["run_id"]) == {run.id for run in runs}
    assert sorted(again["step_ns"]) == sorted(first["step_ns"])
    costs_of(runs_of(configs, digits, words, "training.batch_size=32"))
    assert set(measured) == {"relu", "tanh"}
    measured.clear()
    costs_of(runs_of(configs, digits, "activation=relu,gelu"))  # others take turns
    assert set(measured) == {"relu", "gelu"}


def test_a_damaged_file_is_measured_again(configs: Configs, digits: PreparedData, measured: list[str]) -> None:
    runs = runs_of(configs, digits, "activation=relu,tanh")
    costs_of(runs)
    (file,) = Path("cache/costs").iterdir()
    for content in ("", "run_id,round\n1,2\n", file.read_text()[:90]):
        file.write_text(content)
        measured.clear()
        assert set(costs_of(runs)["run_id"]) == {run.id for run in runs}
        assert set(measured) == {"relu", "tanh"}


def test_a_cache_that_cannot_be_written_is_done_without(
    configs: Configs, digits: PreparedData, measured: list[str]
) -> None:
    Path("cache").write_text("a file")
    runs = runs_of(configs, digits, "activation=relu,tanh")
    assert set(costs_of(runs)["run_id"]) == {run.id for run in runs}


def test_an_activation_that_fails_is_named_and_the_others_are_measured(
    configs: Configs, digits: PreparedData, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    relu, silu, tanh = runs_of(configs, digits, "activation=relu,silu,tanh")
    costs = costs_of([relu, silu, tanh])
    assert set(costs["run_id"]) == {relu.id, tanh.id}
    assert "costs of silu in mlp could not be measured: ValueError: silu does not run here" in capsys.readouterr().out
    assert not Path("cache").exists()  # it is tried again
