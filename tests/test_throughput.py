"""The throughput benchmark compares equal work, and its table says what was measured."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from actbench.experiment.compose import compose_grid
from actbench.experiment.evaluation import evaluation_plan
from tests.support import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from peer_models import MODELS
from roofline import products
from step_changes import CHANGES
from sweeps import EVALUATING, SWEEPS
from throughput_table import Line, read, table, write


@pytest.mark.parametrize("part", SWEEPS)
def test_actbench_trains_as_many_runs_as_the_loops(part: str) -> None:
    sweep = SWEEPS[part]
    grid = compose_grid(sweep.overrides(Path("data")))
    assert len(grid.runs) == len(sweep.runs)
    assert {(run.training.steps, run.training.batch_size) for run in grid.runs} == {(sweep.steps, sweep.batch_size)}


def test_the_loop_with_our_evaluations_has_the_steps_and_sizes_of_our_plan() -> None:
    plan = evaluation_plan(None, 1688, 108_000, 6000)
    found = SWEEPS["MLP"].evaluations(EVALUATING)
    assert found == [*((step, plan.part) for step in plan.steps[:-1]), (1688, 6000)]
    assert SWEEPS["MLP"].evaluations("C") == [(844, 6000), (1688, 6000)]


@pytest.mark.parametrize("part", ["MLP", "CNN", "Transformer", "MLP on digits"])
def test_the_roofline_counts_the_products_that_torch_counts(part: str) -> None:
    sweep = SWEEPS[part]
    side = 8 if sweep.dataset == "digits" else 28
    model = MODELS[sweep.architecture](torch.nn.ReLU)
    with FlopCounterMode(display=False) as counter:
        logits = model(torch.zeros(sweep.batch_size, 1, side, side))
        F.cross_entropy(logits, torch.zeros(sweep.batch_size, dtype=torch.int64)).backward()
    assert sum(product.flops for product in products(sweep)) == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_a_row_has_the_median_and_the_range_over_rounds() -> None:
    lines = [
        Line("MLP", "ours over C", number, value, 1.1, "abc", "AMD") for number, value in enumerate((1.0, 1.3, 1.2))
    ]
    assert "| ours over C | 3 | 1.2 | 1 | 1.3 | at least 1.1 | yes |" in table(lines)


def test_parts_that_are_not_measured_stay_and_unknown_ones_go(tmp_path: Path) -> None:
    write(
        tmp_path,
        [Line(part, "seconds", 1, 2.0, None, "abc", "AMD") for part in ("old", "CNN", "MLP")],
        ["MLP", "CNN", "old"],
    )
    write(tmp_path, [Line("MLP", "seconds", 1, 3.0, None, "def", "AMD")], ["MLP", "CNN"])
    assert [(line.part, line.value) for line in read(tmp_path / "throughput.csv")] == [("MLP", 3.0), ("CNN", 2.0)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CHANGES if "torch.compile" not in name])  # which takes half a minute
def test_a_change_of_a_step_can_be_measured_beside_the_present_way(name: str) -> None:
    calls = CHANGES[name]([])  # on digits
    assert len(calls) > 1
    for call in calls.values():
        call()
