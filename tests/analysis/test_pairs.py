"""Tasks compared on the seeds that all series have; what diverged, failed or is missing."""

import pandas as pd
import pytest

from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison, comparisons
from actbench.experiment.request import Request
from actbench.store.files import costs_frame
from tests.analysis.frames import confirming_runs
from tests.support import lose_runs


def compared(frame: pd.DataFrame, baseline: str = "relu") -> Comparison:
    return Comparison("digits, mlp", labelled(frame), baseline, 0.01)


def test_pairs_are_by_seed_and_a_diverged_run_counts_as_0() -> None:
    comparison = compared(confirming_runs({"relu": [0.5, 0.7], "gelu": [None, 0.8]}))
    assert set(comparison.differences) == {"gelu"}
    assert comparison.differences["gelu"].mean == pytest.approx(((0.0 - 0.5) + (0.8 - 0.7)) / 2)
    assert comparison.steps["gelu"].tolist() == [100, 20]  # a run that never arrives counts with its full length
    assert not comparison.missing
    assert compared(confirming_runs({"relu": [0.5]}), "tanh").differences == {}


def test_failed_and_missing_runs_are_named_and_all_series_are_ranked_on_common_seeds() -> None:
    frame = confirming_runs({"relu": [0.5, 0.6, 0.7], "gelu": [0.9, 0.4, 0.5], "tanh": [0.1, 0.7, 0.8]})
    lose_runs(frame, frame["run_id"] == "gelu0", "failed")
    frame = frame[frame["run_id"] != "tanh2"]
    comparison = compared(frame)
    assert comparison.missing == {"gelu": [0], "tanh": [2]}
    assert comparison.scores.index.tolist() == [1]
    assert comparison.ranking == ["tanh", "relu", "gelu"]  # by seed 1 alone, in which gelu's 0.9 does not count
    nothing = compared(frame[frame["seed"] != 1])
    assert nothing.scores.empty
    assert nothing.decision is None


def test_a_series_that_always_fails_excludes_no_other() -> None:
    frame = confirming_runs({"relu": [0.9, 0.8] * 3, "tanh": [0.8, 0.9] * 3, "mine:f": [0.5] * 6})
    frame.loc[frame["activation"] == "mine:f", "status"] = "failed"
    comparison = compared(frame)
    assert comparison.ranking == ["relu", "tanh"]
    assert comparison.missing == {"mine:f": [0, 1, 2, 3, 4, 5]}


def test_the_baseline_is_the_first_series_of_its_activation() -> None:
    slopes = [confirming_runs({"leaky_relu": [0.9]}, variant={"activation.slope": slope}) for slope in ("0.1", "0.2")]
    frame = pd.concat([confirming_runs({"relu": [0.9]}), *slopes], ignore_index=True)
    assert compared(frame, "leaky_relu").baseline == "leaky_relu slope=0.1"
    assert compared(frame, "tanh").baseline == "tanh"


def test_costs_decide_among_equally_accurate_and_fast_series() -> None:
    frame = confirming_runs({"relu": [0.9] * 6, "gelu": [0.9001] * 6})
    lines = [("relu0", round, 1.0, 100.0, 0.1) for round in range(3)]
    lines += [("gelu0", round, 5.0 + round, 110.0, 0.3) for round in range(3)]
    request = Request("mine", "Which?", "actbench compare mine", "", "relu", 0.01)
    (comparison,) = comparisons(frame, costs_frame(lines), request)
    assert comparison.costs["gelu"] == {"activation_ns": 6.0, "step_ns": 110.0, "step_share": 0.3}
    assert comparison.decision is not None
    assert (comparison.decision.cheap, comparison.decision.choice) == (("relu",), "relu")
    (unmeasured,) = comparisons(frame, costs_frame([]), request)
    assert unmeasured.decision is not None
    assert unmeasured.decision.choice == "gelu"
