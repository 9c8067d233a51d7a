"""Experiment files: each builds, can answer its hypotheses and trains for one step."""

from pathlib import Path

import pytest

from actbench.analysis.hypotheses import check_hypotheses
from actbench.data.datasets import ImageData, PreparedData
from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import learning_rates, tuning_settings
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import make_run
from actbench.store.files import runs_frame
from actbench.training.results import missing_result
from actbench.training.stacks import Stack, pack_stacks
from tests.support import ROOT, results

EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_trains_for_one_step(path: Path, digits: PreparedData, digits_data: ImageData) -> None:
    experiment = load_experiment(str(path))
    assert experiment.question.endswith("?")
    grid = compose_grid([*experiment.overrides, "dataset=digits", "training.stack_size=100"])
    protocol = grid.command.protocol
    planned = [
        make_run(settings, digits, "tune")
        for point in grid.runs
        for settings in tuning_settings(point, protocol, learning_rates(point, protocol))
    ]
    check_hypotheses(experiment.hypotheses, runs_frame([missing_result(run, "cpu") for run in planned]))
    one_step = [
        point.model_copy(update={"training": point.training.model_copy(update={"steps": 1})}) for point in grid.runs
    ]
    points = list({repr(point.in_id()): point for point in one_step}.values())
    for stack in pack_stacks([make_run(point, digits, "sweep") for point in points], "cpu", 1, 0):
        assert isinstance(stack, Stack)
        assert {result.row["status"] for result in results(stack.runs, digits_data).values()} == {"finished"}


def test_experiment_with_unknown_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("question: Why?\noverride: []\n")
    with pytest.raises(UsageError, match="the keys question, source, overrides"):
        load_experiment(str(path))
    with pytest.raises(UsageError, match=r"has no overrides under full"):
        load_experiment("quickstart_full")
    assert "dataset=mnist" in load_experiment("gelu_full").overrides
    with pytest.raises(UsageError, match="no experiment 'quickstrt'; near: quickstart"):
        load_experiment("quickstrt")
