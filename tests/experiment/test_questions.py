"""Experiment files: each builds, can answer its hypotheses and trains for one step."""

from dataclasses import replace
from pathlib import Path

import pytest

from actbench.analysis.check import check_hypotheses
from actbench.data.datasets import PreparedData, load_data
from actbench.errors import UsageError
from actbench.experiment.compose import compose_experiment, compose_grid, compose_run
from actbench.experiment.dataset_settings import DatasetSettings
from actbench.experiment.kinds import prepare
from actbench.experiment.protocol import FIRST_STAGE, check_grid, learning_rates
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import make_run
from actbench.store.files import runs_frame
from actbench.training.results import missing_result
from actbench.training.stacks import Stack, pack_stacks
from tests.support import ROOT, results

EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))
FULL = [path for path in EXPERIMENTS if "\nfull:" in path.read_text()]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_trains_for_one_step(path: Path, tmp_path: Path) -> None:
    """Images that would have to be downloaded are digits here, and a text is a short one."""
    experiment = load_experiment(str(path))
    assert experiment.question.endswith("?")
    grid = compose_experiment(experiment, ["training.stack_size=100"])
    protocol = grid.command.protocol
    check_grid(grid)
    assert protocol.seeds >= 9
    text = tmp_path / "input.txt"
    text.write_text("To be, or not to be, that is the question.\n" * 40)
    settings = {run.dataset: stand_in(run.dataset, text) for run in grid.runs}
    grid = replace(grid, runs=tuple(run.model_copy(update={"dataset": settings[run.dataset]}) for run in grid.runs))
    data = {dataset: prepare(dataset) for dataset in settings.values()}
    planned = [
        make_run(point.at(rate, point.seed + place), data[point.dataset], "compare")
        for point in grid.runs
        for rate in learning_rates(point, protocol)
        for place in range(FIRST_STAGE)
    ]
    frame = runs_frame([missing_result(run, "cpu") for run in planned])
    check_hypotheses(experiment.hypotheses, frame, protocol.racing)
    one_step = [
        point.model_copy(update={"training": point.training.model_copy(update={"steps": 1})}) for point in grid.runs
    ]
    points = list({repr(point.in_id()): point for point in one_step}.values())
    for stack in pack_stacks([make_run(point, data[point.dataset], "compare") for point in points], "cpu", 1, 0):
        assert isinstance(stack, Stack)
        found = results(stack.runs, load_data(stack.runs[0].data))
        assert {result.row["status"] for result in found.values()} == {"finished"}


def stand_in(dataset: DatasetSettings, text: Path) -> DatasetSettings:
    """The settings of data that are at hand: digits instead of images elsewhere, `text` instead of Shakespeare."""
    if dataset.name == "shakespeare":
        return dataset.model_copy(update={"name": "text", "root": str(text)})
    if dataset.name in ("digits", "breast_cancer", "wine", "diabetes", "adding"):
        return dataset
    return compose_run(["dataset=digits"]).dataset


def test_experiment_with_unknown_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("question: Why?\noverride: []\n")
    with pytest.raises(UsageError, match=r"the keys question, source \(may be null\) and overrides"):
        load_experiment(str(path))
    with pytest.raises(UsageError, match=r"has no overrides under full"):
        load_experiment("quickstart_full")
    assert "dataset=mnist" in load_experiment("gelu_full").overrides
    with pytest.raises(UsageError, match="no experiment 'quickstrt'; near: quickstart"):
        load_experiment("quickstrt")


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_the_full_scale_of_an_experiment_composes_and_answers_its_hypotheses(path: Path, digits: PreparedData) -> None:
    experiment = load_experiment(str(path))
    lines = [line for line in load_experiment(f"{path.stem}_full").overrides if not line.startswith("dataset=")]
    grid = compose_grid(lines)
    check_grid(grid)
    protocol = grid.command.protocol
    points = [point.at(rate, 0) for point in grid.runs for rate in learning_rates(point, protocol)]
    frame = runs_frame([missing_result(make_run(point, digits, "compare"), "cpu") for point in points])
    check_hypotheses(experiment.hypotheses, frame, protocol.racing)


def test_a_key_or_a_phase_of_an_older_version_is_refused_with_what_to_write_instead(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"protocol\.tuning_seeds=3: every rate trains on all seeds now: drop it"):
        compose_grid(["protocol.tuning_seeds=3"])
    path = tmp_path / "mine.yaml"
    path.write_text(
        "question: Why?\nsource: null\noverrides: []\nhypotheses:\n"
        "  - {claim: c, metric: auc, a: relu, b: tanh, direction: higher, phase: tune}\n"
    )
    with pytest.raises(UsageError, match=r"write rates: every, with protocol\.racing=false") as caught:
        load_experiment(str(path))
    assert "\n" not in str(caught.value)
    assert "mine.yaml: hypothesis 1" in str(caught.value)
