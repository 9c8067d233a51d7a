"""The bar and the lines of a log count runs that train by their steps, and tell the time left by the work."""

import threading
from dataclasses import replace

import pytest

from actbench.commands.progress import LINE_EVERY, RunProgress
from actbench.data.datasets import PreparedData
from actbench.experiment.runs import Run, make_run
from actbench.training.results import Result, identity
from actbench.training.stacks import Stack
from tests.support import Configs


@pytest.fixture
def runs(configs: Configs, digits: PreparedData) -> list[Run]:
    points = configs("architecture=mlp_small", "seed=range(0,4)", "training.steps=100")
    return [make_run(point, digits, "sweep") for point in points]


def ended(run: Run, accuracy: float) -> Result:
    return Result(run, {**identity(run, "finished"), "val_score": accuracy})


class Clock:
    """Seconds that pass only where a log waits; its wait ends the log after some lines."""

    def __init__(self, lines: int) -> None:
        self.seconds, self.lines, self.waits = 0.0, lines, list[float]()
        self.ended = threading.Event()

    def __call__(self) -> float:
        return self.seconds

    def wait(self, ended: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.seconds += seconds
        if len(self.waits) > self.lines:
            self.ended.set()
            return True
        return ended.is_set()


def test_a_log_has_a_line_every_half_a_minute(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(2)
    bar = RunProgress("sweep", runs, clock=clock, wait=clock.wait)
    bar.done(ended(runs[0], 0.5))
    bar.done(ended(runs[1], 0.25))
    with bar:
        assert clock.ended.wait(10)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "sweep: 2 of 4 runs, 50 %, 30 s, 30 s left, best run relu 50.00 %",
        "sweep: 2 of 4 runs, 50 %, 1 min 0 s, 1 min 0 s left, best run relu 50.00 %",
    ]
    assert set(clock.waits) == {LINE_EVERY}


def test_a_short_command_logs_nothing(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress("sweep", runs) as bar:
        for run in runs:
            bar.done(ended(run, 0.5))
    assert capsys.readouterr().err == ""


def test_a_stack_that_trains_counts_by_its_steps(runs: list[Run]) -> None:
    clock = Clock(0)
    bar = RunProgress("sweep", runs, clock=clock)
    clock.seconds = 10.0
    assert bar.line() == "sweep: 0 of 4 runs, 0 %, 10 s"  # too early to tell the time left
    bar.at(Stack(tuple(runs[:2])), 50)
    assert bar.line() == "sweep: 0 of 4 runs, 25 %, 10 s, 30 s left"
    bar.done(ended(runs[0], 0.5))
    bar.at(Stack(tuple(runs[:2])), 50)  # a late report
    assert bar.line() == "sweep: 1 of 4 runs, 38 %, 10 s, 17 s left, best run relu 50.00 %"
    bar.extend(runs[:0])
    assert "1 of 4 runs, 38 %" in bar.line()


def test_the_time_left_is_by_the_steps_and_sizes_of_runs(configs: Configs, digits: PreparedData) -> None:
    points = configs("architecture=mlp_small", "training.steps=100,299")
    short, long = (make_run(point, digits, "sweep") for point in points)
    clock = Clock(0)
    bar = RunProgress("sweep", [short], clock=clock)
    bar.extend([long])
    bar.done(ended(short, 0.5))
    clock.seconds = 101.0
    assert bar.line() == "sweep: 1 of 2 runs, 25 %, 1 min 41 s, 5 min 0 s left, best run relu 50.00 %"


def test_scores_of_several_metrics_are_shown_in_their_units(runs: list[Run]) -> None:
    data = (replace(runs[0].data, metric=metric) for metric in ("accuracy", "r2", "bits_per_character"))
    of_accuracy, of_r2, of_text = (replace(run, data=own) for run, own in zip(runs[:3], data, strict=True))
    bar = RunProgress("compare", [of_accuracy, of_r2, of_text, runs[3]], clock=Clock(0))
    notes = []
    for run, score in ((of_accuracy, 0.5), (of_r2, 0.453), (of_text, -2.7134)):
        bar.done(ended(run, score))
        notes.append(bar.line().rpartition(", ")[2])
    assert notes == ["best run relu 50.00 %", "best run relu R² 0.453", "best run relu 2.713 bits"]
    bar = RunProgress("train", [of_text], clock=Clock(0))
    bar.at(Stack((of_text,)), 50, -2.7134)
    assert bar.line().endswith("val. bits per character 2.713")


def test_a_single_run_shows_its_accuracy(runs: list[Run]) -> None:
    bar = RunProgress("train", runs[:1], clock=Clock(0))
    bar.at(Stack((runs[0],)), 50, 0.75)
    assert bar.line().startswith("train: 0 of 1 runs, 50 %")
    assert bar.line().endswith("val. accuracy 75.00 %")
