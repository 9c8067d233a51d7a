"""Aggregates over tasks, by hand and against loops."""

import numpy as np
import pytest

from actbench.analysis.aggregates import aggregates
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison
from tests.analysis.frames import chosen_runs


def tasks(scores: dict[str, list[list[float]]]) -> list[Comparison]:
    """scores: of each activation, a list of seeds for each task."""
    number = len(next(iter(scores.values())))
    frames = [chosen_runs({name: by_task[place] for name, by_task in scores.items()}) for place in range(number)]
    return [Comparison(f"task {place}", labelled(frame), "relu", 0.01) for place, frame in enumerate(frames)]


def test_the_interquartile_mean_leaves_out_the_lowest_and_the_highest_quarter() -> None:
    """Eight scores of two tasks: 0.1 and 0.2 are left out below, 0.9 and 1.0 above; the mean of the rest is 0.55."""
    found = aggregates(tasks({"relu": [[0.1, 0.9, 0.4, 0.5], [0.2, 1.0, 0.6, 0.7]]}))
    assert found.loc[0, "iqm"] == pytest.approx(0.55)
    assert found["improvement"].isna().all()


def test_the_probability_of_improvement_counts_pairs_of_seeds_and_halves_ties() -> None:
    scores = {"relu": [[0.5, 0.6], [0.5, 0.5]], "gelu": [[0.6, 0.7], [0.4, 0.5]]}
    found = aggregates(tasks(scores)).set_index("series")
    wins = [
        np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in of_a for b in of_b])
        for of_a, of_b in zip(scores["gelu"], scores["relu"], strict=True)
    ]
    assert found.loc["gelu", "improvement"] == pytest.approx(np.mean(wins)) == pytest.approx((0.875 + 0.25) / 2)


def test_intervals_resample_the_seeds_of_each_task_alone() -> None:
    """The tasks differ by far, and seeds hardly: an interval that mixed tasks would be wide."""
    noise = np.linspace(-0.001, 0.001, 9)
    scores = {"relu": [[*(level + noise)] for level in (0.1, 0.5, 0.9)], "gelu": [[*(level + 0.01 + noise)] for level in
              (0.1, 0.5, 0.9)]}  # fmt: skip
    found = aggregates(tasks(scores)).set_index("series").to_dict("index")
    assert list(found) == ["gelu", "relu"]
    for row in found.values():
        assert row["iqm_low"] < row["iqm"] < row["iqm_high"] < row["iqm_low"] + 0.01
    assert [found["gelu"][f"improvement{end}"] for end in ("_low", "", "_high")] == [1, 1, 1]


def test_a_series_that_a_task_lacks_is_left_out() -> None:
    first, second = tasks({"relu": [[0.5, 0.6]] * 2, "gelu": [[0.5, 0.6]] * 2})
    second = Comparison("task 1", second.runs[second.runs["activation"] == "relu"], "relu", 0.01)
    assert aggregates([first, second])["series"].tolist() == ["relu"]
