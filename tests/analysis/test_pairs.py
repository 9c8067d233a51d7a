"""Settings compared on the seeds that all activations have; what diverged, failed or is missing; the recommendation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison, comparisons
from actbench.analysis.recommendation import decide
from actbench.analysis.statistics import mean_ranks
from actbench.report.figures.ranks import ranks_figure
from actbench.report.report import FORMATS, write_report
from actbench.report.sentences import answer
from actbench.store.files import costs_frame, curves_frame, histograms_frame, layers_frame
from tests.support import lose_runs, rows

TAGS = {
    "experiment": "mine", "question": "Which?", "baseline": "relu", "margin": "0.01",
    "command": "actbench compare mine", "revision": "abc", "version.torch": "2.10",
}  # fmt: skip


def compared(frame: pd.DataFrame, baseline: str = "relu") -> Comparison:
    return Comparison("digits, mlp", labelled(frame), baseline, 0.01)


def written(
    folder: Path, frame: pd.DataFrame, formats: Sequence[str] = FORMATS, costs: pd.DataFrame | None = None
) -> list[Path]:
    points = {"curves": curves_frame([]), "layers": layers_frame([]), "histograms": histograms_frame([]),
              "costs": costs_frame([]) if costs is None else costs}  # fmt: skip
    found = list(comparisons(frame, points["costs"], TAGS))
    return write_report(folder, found, frame, points, TAGS, judge_hypotheses([], frame, points["costs"]), formats)


def test_pairs_are_by_seed_and_a_diverged_run_counts_as_0() -> None:
    found = compared(rows({"relu": [0.5, 0.7], "gelu": [None, 0.8]}))
    assert set(found.differences) == {"gelu"}
    assert found.differences["gelu"].mean == pytest.approx(((0.0 - 0.5) + (0.8 - 0.7)) / 2)
    assert found.steps["gelu"].tolist() == [100, 20]  # a run that never arrives counts with its whole length
    assert not found.missing
    assert compared(rows({"relu": [0.5]}), "tanh").differences == {}


def test_what_failed_or_was_never_made_is_named_and_all_are_ranked_on_common_seeds() -> None:
    frame = rows({"relu": [0.5, 0.6, 0.7], "gelu": [0.9, 0.4, 0.5], "tanh": [0.1, 0.7, 0.8]})
    lose_runs(frame, frame["run_id"] == "gelu0", "failed")
    frame = frame[frame["run_id"] != "tanh2"]
    found = compared(frame)
    assert found.missing == {"gelu": [0], "tanh": [2]}
    assert found.scores.index.tolist() == [1]
    assert found.ranking == ["tanh", "relu", "gelu"]  # by seed 1 alone, in which gelu's 0.9 does not count
    nothing = compared(frame[frame["seed"] != 1])
    assert nothing.scores.empty
    assert nothing.decision is None
    assert "nothing can be compared" in answer(nothing)


def test_the_report_says_in_words_what_is_missing_and_what_never_arrives(tmp_path: Path) -> None:
    frame = rows({"relu": [0.9] * 6, "sigmoid": [0.2] * 6})
    never = frame["activation"] == "sigmoid"
    frame.loc[never, ["steps_to_target", "samples_to_target", "seconds_to_target"]] = np.nan
    frame.loc[never, "reached_target"] = False
    lose_runs(frame, frame["run_id"] == "relu3", "missing")
    text = written(tmp_path, frame, ["md"])[0].read_text()
    assert "**digits, mlp: runs missing** (relu: seeds 3). Compared and ranked on the 5 seeds" in text
    assert "Never at the target in any run (censored, not left out): sigmoid." in text
    assert "| sigmoid | 0/6 | never" in text


def test_the_way_to_a_recommendation_by_hand() -> None:
    accuracy = pd.DataFrame({"a": [0.90] * 6, "b": [0.895] * 6, "c": [0.899] * 6, "d": [0.80] * 6})
    steps = pd.DataFrame({"a": [100.0] * 6, "b": [50.0] * 6, "c": [54.0] * 6, "d": [10.0] * 6})
    found = decide(accuracy, steps, {}, 0.01)
    assert found.series == ("a", "c", "b", "d")
    assert found.accurate == ("a", "c", "b")  # d is soon, and far below
    assert found.soon == ("b", "c")  # 54 is within a tenth of 50
    assert (found.choice, found.sure) == ("c", 1.0)  # costs unknown: the more accurate of the two
    assert decide(accuracy, steps, {"b": 1.0, "c": 2.0}, 0.01).choice == "b"


def test_a_recommendation_that_hangs_on_the_seeds_says_so() -> None:
    accuracy = pd.DataFrame({"a": [0.90, 0.92] * 4, "b": [0.92, 0.899] * 4})
    steps = pd.DataFrame({name: np.full(8, 10.0) for name in "ab"})
    assert 0.3 < decide(accuracy, steps, {}, 0.0).sure < 0.95


def test_a_comparison_interrupted_while_tuning_or_before_any_seed_was_whole_is_reported(tmp_path: Path) -> None:
    tuned = rows({"relu": [0.9, 0.8], "tanh": [0.9, 0.8]}, phase="tune")
    paths = written(tmp_path, tuned)
    assert [path.suffix for path in paths] == [".md", ".html", ".pdf", ".tex"]
    assert "No run has confirmed a choice" in paths[0].read_text()
    confirmed = rows({"relu": [0.9, 0.8], "tanh": [0.9, 0.8]})
    confirmed.loc[[1, 2], "status"] = "missing"
    confirmed.loc[[1, 2], ["test_accuracy", "val_accuracy", "steps_to_target"]] = np.nan
    confirmed.loc[[1, 2], "reached_target"] = False
    text = written(tmp_path, pd.concat([tuned, confirmed]))[0].read_text()
    assert "no seed that all activations have" in text
    confirmed["status"] = "missing"
    text = written(tmp_path, pd.concat([tuned, confirmed]))[0].read_text()
    assert "all 4 runs missing" in text


def test_the_bars_of_equal_ranks_go_from_the_lowest_to_the_highest() -> None:
    names = [f"{letter}{number}" for letter in "abcd" for number in range(6)]
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(3, len(names))), columns=names)
    (axis,) = ranks_figure(mean_ranks(scores)).axes
    lines = [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in axis.lines]
    bars = [x for x, y in lines if len(set(y)) == 1]
    assert max(map(len, bars)) > 12
    for bar in bars:
        assert list(bar) == sorted(bar)


def test_an_activation_that_always_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    frame = rows({"relu": [0.9, 0.8] * 3, "tanh": [0.8, 0.9] * 3, "mine:f": [0.5] * 6})
    frame.loc[frame["activation"] == "mine:f", "status"] = "failed"
    found = compared(frame)
    assert found.ranking == ["relu", "tanh"]
    assert found.missing == {"mine:f": [0, 1, 2, 3, 4, 5]}
    assert "mine:f: seeds 0, 1, 2, 3, 4, 5" in written(tmp_path, frame, ["md"])[0].read_text()


def test_pairs_that_no_test_can_show_anything_with_are_counted_as_they_are(tmp_path: Path) -> None:
    frame = rows({"relu": [0.9, 0.8] * 5, "tanh": [0.8, 0.9] * 5})
    frame.loc[(frame["activation"] == "tanh") & (frame["seed"] > 3), "status"] = "failed"
    assert "digits, mlp: with 4 pairs no exact paired test can reach 0.05" in written(tmp_path, frame)[0].read_text()
    frame = rows({name: [0.9, 0.8, 0.7, 0.6, 0.5, 0.4] for name in ("relu", "tanh", "gelu")})
    assert "with 6 pairs and 2 activations to compare no corrected p" in written(tmp_path, frame)[0].read_text()


def test_costs_of_activations_decide_among_equals_and_are_in_the_table(tmp_path: Path) -> None:
    frame = rows({"relu": [0.9] * 6, "gelu": [0.9001] * 6})
    lines = [("relu0", round, 1.0, 100.0, 0.1) for round in range(3)]
    lines += [("gelu0", round, 5.0 + round, 110.0, 0.3) for round in range(3)]
    (found,) = comparisons(frame, costs_frame(lines), TAGS)
    assert found.costs["gelu"] == {"activation_ns": 6.0, "step_ns": 110.0, "step_share": 0.3}
    assert found.decision is not None
    assert (found.decision.cheap, found.decision.choice) == (("relu",), "relu")
    (unknown,) = comparisons(frame, costs_frame([]), TAGS)
    assert unknown.decision is not None
    assert unknown.decision.choice == "gelu"
    assert "| 6.00 | 30.0 |" in written(tmp_path, frame, ["md"], costs_frame(lines))[0].read_text()
