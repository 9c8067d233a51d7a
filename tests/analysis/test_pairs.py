"""Tasks compared on the seeds that all series have, each at its own rate; what diverged, failed or is missing."""

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison, comparisons
from actbench.analysis.rates import equal_time_differences, tolerated_rates
from actbench.analysis.statistics import example_factor, resample_weights
from actbench.experiment.request import Request
from actbench.store.files import costs_frame
from tests.analysis.frames import chosen_runs, scored
from tests.support import lose_runs

NINE = [0.90, 0.92, 0.91, 0.93, 0.90, 0.94, 0.91, 0.92, 0.93]


def compared(frame: pd.DataFrame, baseline: str = "relu") -> Comparison:
    return Comparison("digits, mlp", labelled(frame), baseline, 0.01)


def at_rates(**accuracies: dict[float, list[float]]) -> pd.DataFrame:
    """Runs of each activation by rate: validation accuracies by seed; test accuracies are a hundredth higher."""
    frames = [
        chosen_runs({name: list(values)}, lr=rate, chosen=False, run_id=None)
        for name, by_rate in accuracies.items()
        for rate, values in by_rate.items()
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.assign(run_id=[f"run{number}" for number in frame.index], val_loss=1 - frame["val_accuracy"])
    return scored(frame.assign(test_accuracy=frame["val_accuracy"] + 0.01))


def test_pairs_are_by_seed_and_a_diverged_run_counts_as_0() -> None:
    comparison = compared(chosen_runs({"relu": [0.5, 0.7], "gelu": [None, 0.8]}))
    assert set(comparison.differences) == {"gelu"}
    assert comparison.differences["gelu"].mean == pytest.approx(((0.0 - 0.5) + (0.8 - 0.7)) / 2)
    assert comparison.steps["gelu"].tolist() == [100, 20]  # a run that never arrives counts with its full length
    assert not comparison.missing
    assert compared(chosen_runs({"relu": [0.5]}), "tanh").differences == {}


def test_scores_and_intervals_follow_the_rates_chosen_on_other_seeds() -> None:
    low, high = [0.9, 0.9, 0.6], [0.8, 0.8, 0.9]
    comparison = compared(at_rates(relu={0.01: low, 0.1: high}, gelu={0.01: [0.7] * 3, 0.1: [0.6] * 3}))
    assert comparison.rates["relu"].tolist() == [0.1, 0.1, 0.01]
    assert comparison.scores["relu"].tolist() == pytest.approx([0.81, 0.81, 0.61])
    assert comparison.scores["gelu"].tolist() == pytest.approx([0.71] * 3)
    weights = resample_weights(3)
    means = np.stack([weights @ low, weights @ high])
    resampled = means[means.round(12).argmax(0), np.arange(len(weights))] - 0.7
    found = -comparison.pair("gelu", "relu").resampled
    tied = np.isclose(means[0], means[1])  # decided by the loss
    assert found[~tied] == pytest.approx(resampled[~tied])
    assert comparison.interval("relu")[0] <= comparison.scores["relu"].mean()


def test_the_interval_of_an_accuracy_ends_at_0_and_at_1() -> None:
    comparison = compared(chosen_runs({"relu": [1.0] * 5 + [0.6], "gelu": [0.0] * 5 + [0.3]}))
    scores = comparison.scores.mean()
    assert comparison.interval("relu")[1] == 1.0 > scores["relu"]
    assert comparison.interval("gelu")[0] == 0.0 < scores["gelu"]
    alone = compared(chosen_runs({"relu": [1.0]})).interval("relu")
    assert np.isnan(alone).all()


def test_a_raced_out_rate_counts_for_tolerance_alone() -> None:
    frame = at_rates(relu={0.01: NINE, 0.03: [a - 0.005 for a in NINE], 0.1: [0.99] * 3}, gelu={0.01: NINE})
    frame.loc[frame["lr"] == 0.1, "raced_out"] = True
    comparison = compared(frame)
    assert set(comparison.rates["relu"]) == {0.01}
    assert comparison.raced_out == {"relu": [0.1]}
    assert len(comparison.seeds) == 9
    assert tolerated_rates(comparison, "relu") == (0.01, 0.1)  # all within a point of the best, or above
    frame.loc[frame["lr"] == 0.03, "val_accuracy"] -= 0.02
    assert tolerated_rates(compared(scored(frame)), "relu") == (0.01, 0.01)  # nothing beyond the first gap


def test_failed_and_missing_runs_are_named_and_all_series_are_ranked_on_common_seeds() -> None:
    frame = chosen_runs({"relu": [0.5, 0.6, 0.7], "gelu": [0.9, 0.4, 0.5], "tanh": [0.1, 0.7, 0.8]})
    lose_runs(frame, frame["run_id"] == "gelu0", "failed")
    lose_runs(frame, frame["run_id"] == "tanh2", "missing")
    comparison = compared(frame)
    assert comparison.missing == {"gelu": [0], "tanh": [2]}
    assert comparison.scores.index.tolist() == [1]
    assert comparison.ranking == ["tanh", "relu", "gelu"]  # by seed 1 alone, in which gelu's 0.9 does not count
    nothing = compared(frame[frame["seed"] != 1])
    assert nothing.scores.empty
    assert nothing.recommendation is None


def test_a_series_that_always_fails_excludes_no_other() -> None:
    frame = chosen_runs({"relu": [0.9, 0.8] * 3, "tanh": [0.8, 0.9] * 3, "mine:f": [0.5] * 6})
    frame.loc[frame["activation"] == "mine:f", "status"] = "failed"
    comparison = compared(frame)
    assert comparison.ranking == ["relu", "tanh"]
    assert comparison.missing == {"mine:f": [0, 1, 2, 3, 4, 5]}


def test_the_baseline_is_the_first_series_of_its_activation() -> None:
    slopes = [chosen_runs({"leaky_relu": [0.9]}, variant={"activation.slope": slope}) for slope in ("0.1", "0.2")]
    frame = pd.concat([chosen_runs({"relu": [0.9]}), *slopes], ignore_index=True)
    assert compared(frame, "leaky_relu").baseline == "leaky_relu slope=0.1"
    assert compared(frame, "tanh").baseline == "tanh"


def test_all_pairs_are_one_family() -> None:
    comparison = compared(chosen_runs({"relu": NINE, "gelu": [a + 0.03 for a in NINE], "tanh": NINE[::-1]}))
    assert set(comparison.all_pairs) == {("gelu", "relu"), ("gelu", "tanh"), ("relu", "tanh")}
    (of_two,) = compared(chosen_runs({"relu": NINE, "gelu": [a + 0.03 for a in NINE]})).all_pairs.values()
    assert comparison.all_pairs["gelu", "relu"].mean == pytest.approx(of_two.mean) == pytest.approx(0.03)
    assert comparison.all_pairs["gelu", "tanh"].p >= of_two.p


def test_rounds_of_costs_are_kept_by_series_and_change_no_recommended_set() -> None:
    frame = chosen_runs({"relu": NINE, "gelu": [a + 0.0001 for a in NINE], "tanh": [a - 0.2 for a in NINE]})
    sets = []
    for gelu in (5.0, 0.5):
        lines = [("relu0", number, 1.0, 100.0, 0.1) for number in range(3)]
        lines += [("gelu0", number, gelu + number, 110.0, 0.3) for number in range(3)]
        lines += [("tanh0", number, 1.0, 100.0, 0.1) for number in range(3)]
        request = Request("mine", "Which?", "actbench compare mine", "", "relu", 0.01)
        (comparison,) = comparisons(frame, costs_frame(lines), request)
        assert comparison.costs["gelu"]["activation_ns"].tolist() == [gelu, gelu + 1, gelu + 2]
        found = comparison.recommendation
        assert found is not None
        sets.append((set(found.take), set(found.avoid)))
    assert sets == [({"relu", "gelu"}, {"tanh"})] * 2


def test_a_fixed_test_set_widens_intervals_by_the_variance_between_its_examples() -> None:
    generator = np.random.default_rng(0)
    hard = generator.uniform(size=400)
    frame = chosen_runs({"relu": NINE, "gelu": NINE})
    correct = {run_id: generator.uniform(size=400) > hard for run_id in frame["run_id"]}
    frame = scored(frame.assign(test_accuracy=[correct[run_id].mean() for run_id in frame["run_id"]]))
    plain = compared(frame)
    wider = Comparison("digits, mlp", labelled(frame), "relu", 0.01, examples=correct, n_test=400)
    assert (plain.covers_examples, wider.covers_examples) == (False, True)
    scores = np.stack([correct[f"relu{seed}"] for seed in range(9)]).astype(float)
    narrow, wide = (comparison.interval("relu") for comparison in (plain, wider))
    ratio = (wide[1] - wide[0]) / (narrow[1] - narrow[0])
    assert ratio == pytest.approx(example_factor(scores))
    assert ratio > 1.5
    without = {run_id: values for run_id, values in correct.items() if run_id != "gelu3"}
    assert not Comparison("digits, mlp", labelled(frame), "relu", 0.01, examples=without).covers_examples
    lose_runs(frame, frame["run_id"] == "gelu3", "diverged")
    diverged = Comparison("digits, mlp", labelled(frame), "relu", 0.01, examples=without)
    assert diverged.covers_examples  # every example of a run that diverged is wrong
    assert diverged.scores.at[3, "gelu"] == 0


def test_equal_time_compares_with_the_baseline_of_the_usual_length() -> None:
    frame = chosen_runs({"relu": NINE, "gelu": [a + 0.03 for a in NINE], "silu": NINE})
    again = chosen_runs({"gelu": [a - 0.02 for a in NINE]}, steps=80, chosen=False, equal_time=True)
    again["run_id"] = [f"{run_id}-again" for run_id in again["run_id"]]
    comparison = compared(pd.concat([frame, again], ignore_index=True))
    assert comparison.differences["gelu"].mean == pytest.approx(0.03)
    found = equal_time_differences(comparison)
    assert found["gelu"].mean == pytest.approx(-0.02)
    assert found["silu"].mean == 0  # its steps did not change
    assert equal_time_differences(compared(frame)) == {}
