"""What is kept for backward, in closed form; that times are there, of every direction; and what is refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from actbench.commands.cost import cost as cost_command
from actbench.data.datasets import ImageData, PreparedData
from actbench.errors import UsageError
from actbench.experiment.runs import make_run
from actbench.experiment.schema import RunSettings
from actbench.report.cost import cost_table
from actbench.training import cost
from actbench.training.cost import DIRECTIONS, Cost, cost_frame, measure_costs

Configs = Callable[..., list[RunSettings]]


@pytest.fixture
def costs(
    configs: Configs, digits: PreparedData, digits_data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> list[Cost]:
    monkeypatch.setattr(cost, "SIZES", {"small": 2**10, "large": 2**12})
    monkeypatch.setattr(cost, "ROUNDS", 3)
    points = configs("activation=relu,sigmoid,squared_relu,glu,prelu,dynamic_relu", "architecture=mlp_small")
    runs = [make_run(point, digits, "sweep") for point in points]
    return measure_costs([run.settings.activation.label for run in runs], runs, digits_data, torch.device("cpu"))


def test_activations_of_a_recurrent_network_are_timed_at_every_time_step(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    (point,) = configs("architecture=lstm_small", "activation=tanh")
    step = cost._Step(make_run(point, digits, "sweep"), digits_data, torch.device("cpu"))
    assert len(step._layers) == 2 * 8  # candidate and output, at 8 rows
    assert step.outputs == 2 * 8 * 64 * 32
    assert step()["activations"] > 0


def test_bytes_kept_are_those_of_the_output_and_of_what_backward_needs(costs: list[Cost]) -> None:
    kept = {own.label: own.kept for own in costs}
    # float32 values, 4 bytes each
    assert kept["relu"] == kept["sigmoid"] == 4  # the output itself
    assert kept["squared_relu"] == 8  # the output, and the relu that is squared
    assert kept["glu"] == 4 + 8  # the output, and an input of two pieces
    assert kept["prelu"] == 12  # the output, the input and its negative part


def test_peak_is_input_output_gradient_and_temporary_tensors(costs: list[Cost]) -> None:
    peak = {own.label: own.peak for own in costs}
    assert peak["relu"] == peak["sigmoid"] == 12
    assert peak["squared_relu"] >= 16  # and the relu that was squared
    assert peak["glu"] == 8 + 4 + 8  # input and its gradient have two pieces
    assert all(own.peak >= own.kept for own in costs if own.label != "copy")


def test_every_direction_is_timed_once_per_round(costs: list[Cost]) -> None:
    assert [own.label for own in costs] == ["copy", "relu", "sigmoid", "squared_relu", "glu", "prelu", "dynamic_relu"]
    for own in costs:
        directions = ("forward",) if own.label == "copy" else DIRECTIONS
        assert set(own.seconds) == {(size, direction) for size in cost.SIZES for direction in directions}
        for key, values in own.seconds.items():
            assert len(values) == 3
            low, middle, high = own.nanoseconds(*key)
            assert 0 < low <= middle <= high
        assert own.label == "copy" or own.share > 0
    table = cost_frame(costs)
    assert len(table) == 2 + 6 * 4
    assert cost_table(table, spread=False)["activation"].iloc[0] == "copy"


@pytest.mark.parametrize(
    ("body", "message"),
    [("os.kill(os.getpid(), 9)", "its worker process died"), ("raise RuntimeError('late')", "RuntimeError: late")],
)
def test_function_that_fails_while_it_is_measured_gives_one_line(
    body: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("late_failure.py").write_text(f"import os\ndef f(z):\n    if z.numel() > 2**15: {body}\n    return z\n")
    with pytest.raises(UsageError, match=f"costs could not be measured: {message}"):
        cost_command(["dataset=digits", "architecture=mlp_small", "activation=late_failure:f"])
    sys.modules.pop("late_failure", None)


def test_one_activation_is_measured_once() -> None:
    with pytest.raises(UsageError, match="each activation once"):
        cost_command(["activation=relu", "seed=0,1"])
    with pytest.raises(UsageError, match="each activation once"):
        cost_command(["activation=relu", "optimizer.lr=0.1,0.2"])
