"""Estimates by injected timings: their arithmetic, their words, and what a finished command corrects."""

import math
from dataclasses import replace

import pytest

from actbench.commands import estimate, measure
from actbench.commands.estimate import Estimator, Forecast, time_text
from actbench.commands.measure import measure_shapes
from actbench.data.datasets import PreparedData
from actbench.execution.calibration import Calibration, read_calibration
from actbench.experiment.runs import Run, make_run
from actbench.training.results import Result, identity
from actbench.training.stacks import Stack
from actbench.training.timing import StackTimes
from tests.support import Configs

TIMES = StackTimes(step=0.0, step_run=0.01, evaluation=0.0, measurement=0.0, set_up=0.0)
WORDS = ("architecture=mlp_small", "training.steps=100")


@pytest.fixture
def runs(configs: Configs, digits: PreparedData) -> list[Run]:
    return [make_run(settings, digits, "sweep") for settings in configs(*WORDS, "seed=range(0,12)")]


def known(run: Run, workers: int = 2, times: StackTimes = TIMES) -> Estimator:
    estimator = Estimator("sweep", "cpu", workers, Calibration())
    estimator.calibration.shapes[estimator.shape(run)] = times
    return estimator


def thirds(runs: list[Run]) -> list[Stack]:
    return [Stack(tuple(runs[start : start + 4])) for start in (0, 4, 8)]


def test_workers_share_the_time_of_all_stacks_but_not_that_of_one(runs: list[Run]) -> None:
    estimator = known(runs[0])  # a run takes 1 s
    assert estimator.training(thirds(runs)) == pytest.approx(12 / 2)
    assert estimator.training([Stack(tuple(runs))]) == pytest.approx(12)
    assert estimator.training([]) == 0.0


def test_corrections_multiply_what_they_are_of(runs: list[Run]) -> None:
    times = replace(TIMES, set_up=1.0)
    estimator = known(runs[0], times=times)
    stacks = thirds(runs)
    estimator.calibration.corrections |= {f"steps {estimator.shape(runs[0])}": 2.0, "training sweep cpu 2": 1.5}
    assert estimator.training(stacks) == pytest.approx(1.5 * (2 * 12 + 12 * 1.0) / 2)
    assert estimator.whole(stacks, 1) > estimator.training(stacks) + estimator.rest(1)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.1, 0.1, "about 1 s"),
        (30, 40, "about 25 to 50 s"),
        (100, 120, "about 80 s to 2.5 minutes"),
        (110, 120, "about 1.5 to 2.5 minutes"),
        (100, 300, "about 80 s to 6 minutes"),
        (1500, 1500, "about 20 to 30 minutes"),
        (20000, 40000, "about 4.5 to 15 hours"),
        (10, 304, "about 8 s to 7 minutes"),
    ],
)
def test_the_time_is_given_as_a_range_of_few_digits(low: float, high: float, text: str) -> None:
    assert time_text(low, high) == text


def test_a_command_announces_its_time_once_and_only_where_it_is_known(
    runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    forecast = Forecast(known(runs[0]), 1, lambda: (12, 600), thirds(runs))
    forecast.announce()
    forecast.announce()
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert shown.startswith("about 8 s to 7 minutes on 2 cores (")  # 6 to 300 s of training, and 4 s around it
    Forecast(Estimator("sweep", "cpu", 2, Calibration()), 1, None, thirds(runs)).announce()
    assert capsys.readouterr().out == ""


def finished(runs: list[Run], seconds: float) -> dict[str, Result]:
    return {run.id: Result(run, {**identity(run, "finished"), "seconds": seconds}) for run in runs}


def test_a_finished_command_corrects_the_timings(
    runs: list[Run], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(estimate, "_BUSY", math.inf)
    forecast = Forecast(known(runs[0]), 1, None, thirds(runs), seconds=48.0)
    results = finished(runs, 4.0)  # four times the estimate
    forecast.learn(results, seconds=60.0)
    corrections = read_calibration().corrections
    assert corrections[f"steps {forecast.estimator.shape(runs[0])}"] == 2.0  # halfway, in logarithms
    assert corrections["training sweep cpu 2"] == 2.0  # with it 12 s were estimated, and it took 48 s
    before = forecast.line()
    monkeypatch.setattr(estimate, "_BUSY", 0.0)  # others use the machine
    forecast.learn(finished(runs, 100.0), seconds=1000.0)
    assert read_calibration().corrections == corrections
    assert forecast.line() == before


def test_shapes_are_timed_once_with_a_mix_of_their_runs(
    configs: Configs, digits: PreparedData, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    points = configs(*WORDS, "activation=relu,tanh,maxout", "seed=range(0,4)")
    runs = [make_run(settings, digits, "sweep") for settings in points]
    stacks = thirds(runs)
    timed: list[Stack] = []

    def timer(stack: Stack, device: str) -> StackTimes:
        timed.append(stack)
        return TIMES

    assert measure_shapes(Estimator("sweep", "cpu", 2, Calibration()), stacks, timer) == 2
    mixed, maxout = timed
    assert {run.settings.activation.label for run in mixed.runs} == {"relu", "tanh"}
    assert {run.settings.activation.label for run in maxout.runs} == {"maxout"}
    assert len(mixed.runs) == len(maxout.runs) == 4
    again = Estimator("sweep", "cpu", 2, read_calibration())
    assert measure_shapes(again, stacks, timer) == 0
    assert again.knows(stacks)


def test_shapes_that_cannot_be_timed_take_the_times_of_others_by_their_work(
    configs: Configs, digits: PreparedData, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    points = configs("architecture=mlp_small", "training.steps=100", "training.batch_size=32,64")
    half, full = (Stack((make_run(settings, digits, "sweep"),)) for settings in points)
    estimator = Estimator("sweep", "cpu", 2, Calibration())

    def timer(stack: Stack, device: str) -> StackTimes:
        if stack == half:
            raise RuntimeError("no memory")
        return TIMES

    assert measure_shapes(estimator, [half, full], timer) == 1
    assert estimator.stack(half) == pytest.approx(estimator.stack(full) / 2)
    assert set(read_calibration().shapes) == {estimator.shape(full.runs[0])}


def test_each_architecture_is_timed_even_where_no_time_is_left(
    configs: Configs, digits: PreparedData, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(measure, "_SECONDS", 0.0)
    points = configs("architecture=mlp_small,cnn_small", "training.steps=100", "training.batch_size=32,64")
    stacks = [Stack((make_run(settings, digits, "sweep"),)) for settings in points]
    timed: list[str] = []

    def timer(stack: Stack, device: str) -> StackTimes:
        timed.append(stack.runs[0].settings.architecture.name)
        return TIMES

    estimator = Estimator("sweep", "cpu", 2, Calibration())
    assert measure_shapes(estimator, stacks, timer) == 2
    assert sorted(timed) == ["cnn", "mlp"]
    assert estimator.knows(stacks)
