"""Tasks whose scores are no accuracies: what diverged, intervals, blocks of a text, aggregates, hypotheses."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.aggregates import aggregates, standardized
from actbench.analysis.check import check_hypotheses
from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison, comparisons
from actbench.analysis.rates import mean_scores
from actbench.analysis.statistics import block_means, example_factor
from actbench.errors import UsageError
from actbench.experiment.questions import Hypothesis
from actbench.experiment.request import Request
from actbench.store.files import costs_frame
from tests.analysis.frames import chosen_runs, scored_by

BITS = "bits_per_character"
NINE = [-2.70, -2.72, -2.71, -2.73, -2.70, -2.74, -2.71, -2.72, -2.73]
REQUEST = Request(
    "mine", "Which?", "actbench compare", "", "relu", 0.01, margins={"r2": 0.02, BITS: 0.03},
    worst={"shakespeare": -6.0}, test_sizes={"shakespeare": 1742},
)  # fmt: skip


def text_runs(scores: Mapping[str, Sequence[float | None]]) -> pd.DataFrame:
    frame = chosen_runs(scores, dataset="shakespeare", architecture="decoder")
    return scored_by(BITS, frame)


def text(scores: Mapping[str, Sequence[float | None]], **keywords: object) -> Comparison:
    (found,) = comparisons(text_runs(scores), costs_frame([]), REQUEST, **keywords)  # type: ignore[arg-type]
    return found


def test_a_task_has_the_margin_the_worst_score_and_the_metric_of_its_data() -> None:
    r2 = scored_by("r2", chosen_runs({"relu": [0.5] * 6}, dataset="diabetes"))
    of_accuracy = chosen_runs({"relu": [0.5] * 6})
    frame = pd.concat([of_accuracy, r2, text_runs({"relu": [-2.7] * 6})], ignore_index=True)
    found = list(comparisons(frame, costs_frame([]), REQUEST))
    assert [(own.metric.name, own.margin, own.worst, own.n_test) for own in found] == [
        ("accuracy", 0.01, 0.0, 0), ("r2", 0.02, 0.0, 0), (BITS, 0.03, -6.0, 1742),
    ]  # fmt: skip


def test_a_run_that_diverged_counts_as_a_uniform_guess_and_intervals_end_at_the_worst_and_the_best_score() -> None:
    comparison = text({"relu": NINE, "gelu": [*NINE[1:], None]})
    assert comparison.scores.loc[8, "gelu"] == -6.0
    assert mean_scores(comparison)["gelu"].item() == pytest.approx((sum(NINE[1:]) - 6.0) / 9)
    assert comparison.interval("gelu")[0] >= -6.0
    lost = text({"relu": [-0.01, *[-0.3] * 5], "gelu": [-5.99, *[None] * 5]})
    assert lost.interval("gelu")[0] == -6.0
    assert lost.interval("relu")[1] <= 0.0
    regression = scored_by("r2", chosen_runs({"relu": [1.0] * 5 + [0.6], "gelu": [0.0] * 5 + [0.3]}))
    comparison = Comparison("diabetes, mlp", labelled(regression), "relu", 0.02)
    assert (comparison.interval("gelu")[0], comparison.interval("relu")[1]) == (0.0, 1.0)


def test_fewer_bits_are_better() -> None:
    comparison = text({"relu": NINE, "gelu": [score + 0.1 for score in NINE], "tanh": [score - 0.1 for score in NINE]})
    assert comparison.ranking == ["gelu", "relu", "tanh"]
    assert [comparison.differences[name].verdict for name in ("gelu", "tanh")] == ["better", "worse"]
    assert comparison.differences["gelu"].mean == pytest.approx(0.1)
    assert comparison.recommendation is not None
    assert comparison.recommendation.take == ("gelu",)


def test_blocks_are_of_consecutive_windows_and_their_length_is_the_cube_root() -> None:
    scores = np.arange(64.0).reshape(1, 64)
    assert block_means(scores).tolist() == [[4 * block + 1.5 for block in range(16)]]
    assert block_means(np.ones((2, 1742))).shape == (2, 145)  # of about 12 windows
    assert block_means(np.array([[1.0], [2.0]])).tolist() == [[1.0], [2.0]]


def test_windows_that_resemble_their_neighbours_widen_the_interval_as_their_blocks_do() -> None:
    """Passages of 16 windows are alike: single windows would take them for sixteen times as much text."""
    generator = np.random.default_rng(0)
    passages = np.repeat(generator.normal(0, 0.3, 64), 16)
    seeds = generator.normal(0, 0.01, (9, 1))
    own = {
        f"{name}{seed}": (-2.7 + seeds[seed] + passages + generator.normal(0, 0.1, 1024)).astype(np.float32)
        for name in ("relu", "gelu") for seed in range(9)
    }  # fmt: skip
    scores = {name: [float(own[f"{name}{seed}"].mean()) for seed in range(9)] for name in ("relu", "gelu")}
    plain, wider = text({**scores}), text({**scores}, examples=own)
    assert wider.covers_examples
    stacked = np.stack([own[f"relu{seed}"] for seed in range(9)]).astype(float)
    narrow, wide = (comparison.interval("relu") for comparison in (plain, wider))
    ratio = (wide[1] - wide[0]) / (narrow[1] - narrow[0])
    assert ratio == pytest.approx(example_factor(block_means(stacked)))
    assert ratio > 2 * example_factor(stacked)


def test_every_run_of_a_task_may_have_diverged_while_another_has_examples() -> None:
    lost = text({"relu": [None] * 6, "gelu": [None] * 6}, examples={"of another task": np.ones(5, dtype=bool)})
    assert lost.interval("relu") == (-6.0, -6.0)


def task(metric: str, margin: float, scores: Mapping[str, Sequence[float]]) -> Comparison:
    return Comparison(metric, labelled(scored_by(metric, chosen_runs(scores))), "relu", margin, worst=-6.0)


def test_aggregates_of_several_metrics_are_ranks_and_differences_in_margins() -> None:
    tasks = [
        task("accuracy", 0.01, {"relu": [0.90, 0.92], "gelu": [0.91, 0.93], "tanh": [0.5, 0.5]}),
        task("r2", 0.02, {"relu": [0.5, 0.5], "gelu": [0.52, 0.56], "tanh": [0.5, 0.5]}),
        task(BITS, 0.05, {"relu": [-2.0, -2.0], "gelu": [-2.1, -2.1], "tanh": [-1.9, -1.9]}),
    ]
    found = standardized(tasks).set_index("series")
    assert found["rank"].to_dict() == pytest.approx(
        {"relu": (2 + 2.5 + 2) / 3, "gelu": 5 / 3, "tanh": (3 + 2.5 + 1) / 3}
    )
    assert list(found.index) == ["gelu", "relu", "tanh"]  # of equal ranks the first in the runs
    margins = sorted([1.0, 1.0, 1.0, 3.0, -2.0, -2.0])  # of gelu: one of six is left out at each end
    assert found.loc["gelu", "margins"] == pytest.approx(np.mean(margins[1:-1]))
    assert found.loc["gelu", "improvement"] == pytest.approx((0.75 + 1.0 + 0.0) / 3)
    assert found.loc["relu", ["margins", "improvement"]].isna().all()
    assert (found["rank_low"] <= found["rank"]).all()
    assert (found["rank"] <= found["rank_high"]).all()


def test_a_margin_of_0_leaves_the_ranks() -> None:
    tasks = [task(metric, 0.0, {"relu": [0.5, 0.6], "gelu": [0.6, 0.7]}) for metric in ("accuracy", "r2")]
    found = standardized(tasks).set_index("series")
    assert found["margins"].isna().all()
    assert found["rank"].to_dict() == {"gelu": 1.0, "relu": 2.0}
    assert list(aggregates(tasks)) == ["series", "iqm", "iqm_low", "iqm_high", "improvement", "improvement_low",
                                       "improvement_high"]  # fmt: skip


def claim(**given: object) -> Hypothesis:
    basis: dict[str, object] = {
        "claim": "it is so", "metric": "score", "a": {"activation": "gelu"}, "b": {"activation": "relu"},
        "direction": "higher",
    }  # fmt: skip
    return Hypothesis(**(basis | given))  # type: ignore[arg-type]


def test_a_hypothesis_about_the_score_has_the_margin_and_the_worst_score_of_each_task() -> None:
    of_text = text_runs({"relu": NINE, "gelu": [*(score + 0.025 for score in NINE[:8]), None]})
    of_accuracy = chosen_runs({"relu": [0.9] * 9, "gelu": [0.925] * 9})
    frame = pd.concat([of_accuracy, of_text.assign(run_id="t" + of_text["run_id"])], ignore_index=True)
    found = judge_hypotheses([claim()], frame, costs_frame([]), 0.01, REQUEST.margins, REQUEST.worst)
    assert found[["task", "margin", "scored_by"]].values.tolist() == [
        ["digits, mlp", 0.01, "accuracy"], ["shakespeare, decoder", 0.03, BITS],
    ]  # fmt: skip
    assert found["verdict"].iloc[0] == "supported"
    assert found["mean_a"].iloc[1] == pytest.approx((sum(NINE[:8]) + 8 * 0.025 - 6.0) / 9)
    alike = text_runs({"relu": NINE, "gelu": [score + 0.025 for score in NINE]})
    equal = judge_hypotheses([claim(direction="equal")], alike, costs_frame([]), 0.01, REQUEST.margins, REQUEST.worst)
    assert equal["verdict"].tolist() == ["supported"]  # within 0.03 bits


def test_the_margin_of_the_score_is_the_protocols() -> None:
    frame = chosen_runs({"relu": [0.9] * 3, "gelu": [0.9] * 3})
    check_hypotheses([claim(direction="equal")], frame, racing=True)
    with pytest.raises(UsageError, match=r"the margin of score is protocol.margin \(margin_r2 of R², margin_bits"):
        check_hypotheses([claim(margin=0.1)], frame, racing=True)
    with pytest.raises(UsageError, match="no metric 'metric'"):
        check_hypotheses([claim(metric="metric")], frame, racing=True)
