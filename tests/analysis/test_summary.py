"""The summary of runs, and its table."""

import math

import pytest

from actbench.analysis.summary import summarize
from actbench.report.tables import summary_table
from tests.analysis.frames import runs_of


def test_summary_by_hand() -> None:
    frame = runs_of(
        test_accuracy=[0.5, 0.7, None], val_accuracy=[0.5, 0.7, None], status=["finished", "finished", "diverged"],
        steps_to_target=[10, None, None], reached_target=[True, False, False],
    )  # fmt: skip
    (line,) = summarize(frame).to_dict("records")
    assert (line["n"], line["unfinished"], line["score_n"], line["reached"]) == (3, 1, 2, 1)
    assert line["score_mean"] == pytest.approx(0.6)
    assert line["score_sd"] == pytest.approx(math.sqrt(0.02))
    assert line["steps_to_target"] == math.inf
    assert summary_table(summarize(frame))["to target"].tolist() == ["1 of 3"]


def test_learning_rates_are_lines_of_their_own_unless_they_are_left_out() -> None:
    frame = runs_of(lr=[0.1, 0.1, 0.2], test_accuracy=[0.5, 0.7, 0.9], chosen=[True, False, True], seed=[0, 1, 1])
    assert summarize(frame)[["lr", "n", "score_mean"]].values.tolist() == [[0.1, 2, 0.6], [0.2, 1, 0.9]]
    (line,) = summarize(frame[frame["chosen"]].assign(lr=float("nan"))).to_dict("records")  # a rate for each seed
    assert (line["n"], line["score_mean"]) == (2, pytest.approx(0.7))
    assert "lr" not in summary_table(summarize(frame[frame["chosen"]].assign(lr=float("nan"))))
