"""What an estimate counts of a run is what its training does, and stacks are timed without being trained."""

from typing import Any

import pytest
import torch

from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import make_run
from actbench.training import evaluator, loop, timing
from actbench.training.loop import train
from actbench.training.stacks import Stack
from actbench.training.timing import StackTimes, evaluated_examples, measurements, shape_of, time_stack
from tests.support import RAGGED, TINY, Configs


@pytest.mark.parametrize(
    "words", [RAGGED, ("training.steps=40",), ("training.steps=0",), ("training.measure_every=0",)]
)
def test_evaluations_and_measurements_are_counted(
    words: tuple[str, ...], configs: Configs, digits: PreparedData, digits_data: ImageData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings = configs("architecture=mlp_small", "training.epochs=1", *words)[0]
    run = make_run(settings, digits, "sweep")
    examples: list[int] = []
    evaluate = evaluator.evaluate

    def counted(*arguments: Any) -> object:
        examples.append(arguments[2])
        return evaluate(*arguments)

    monkeypatch.setattr(loop, "evaluate", counted)
    records = list(train(Stack((run,)), digits_data, torch.device("cpu")))
    assert evaluated_examples(run) == sum(examples)
    assert measurements(run) == len([record for record in records if record.metric == "gradient_ratio"])


def test_the_seconds_of_a_stack_by_hand(configs: Configs, digits: PreparedData) -> None:
    words = ("training.steps=40", "training.evaluate_every=20", "training.measure_every=40", "training.probe_size=100")
    run = make_run(configs(*words)[0], digits, "sweep")
    times = StackTimes(step=0.5, step_run=0.1, evaluation=0.001, measurement=0.01, set_up=2.0)
    assert times.training(run, 3) == pytest.approx(40 * (0.5 + 3 * 0.1))
    examples = 3 * 288 + 359  # validation at the steps 0, 20 and 40, and the test set
    assert times.around(run, 3, 2) == pytest.approx(3 * (examples * 0.001 + 2 * 100 * 0.01) + 2 * 2.0)


def test_runs_of_one_shape_share_their_times(configs: Configs, digits: PreparedData) -> None:
    def shapes(*words: str) -> set[str]:
        return {shape_of(make_run(settings, digits, "sweep"), "cpu") for settings in configs(*words)}

    assert len(shapes("activation=relu,tanh,prelu", "optimizer.lr=0.1,0.2", "seed=0,1", "training.steps=4,5")) == 1
    assert len(shapes("activation=relu,maxout")) == 2
    assert len(shapes("training.batch_size=64,128")) == 2


@pytest.mark.parametrize("words", [(), ("dataset.validation=0.6", "training.batch_size=500")])
def test_a_stack_is_timed(words: tuple[str, ...], configs: Configs, digits: PreparedData) -> None:
    runs = [make_run(settings, digits, "sweep") for settings in configs("seed=0,1", *TINY, *words)]
    times = time_stack(Stack(tuple(runs)), "cpu")
    assert times.step >= 0
    assert min(times.step_run, times.evaluation, times.measurement, times.set_up) > 0


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([0.5, 0.01, 0.03, 0.02, 9.0], 0.02),
        ([0.5, 0.3, 9.0], 0.3),
        ([2.0, 9.0], 2.0),
        ([0.1, 0.001] + [0.002] * 9, 0.002),
    ],
)
def test_a_first_call_counts_only_where_it_is_very_long(
    calls: list[float], expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed, seconds = [0.0], iter(calls)

    def call() -> None:
        passed[0] += next(seconds)

    monkeypatch.setattr(timing, "clock", lambda device: passed[0])
    assert timing._typical(call, torch.device("cpu")) == pytest.approx(expected)
