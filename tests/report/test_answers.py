"""answer.json, scores.csv and pairs.csv, against loops over the rows of runs.csv."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.pairs import Comparison, comparisons
from actbench.commands.report import write_reports
from actbench.experiment.questions import Hypothesis
from actbench.experiment.request import Request
from actbench.report.answers import answer_document, pairs_frame, scores_frame
from actbench.report.headline import full_answer
from actbench.report.sentences import task_sentence
from actbench.store.files import HYPOTHESES, RUNS, costs_frame, write_comparison, write_runs
from actbench.store.provenance import Spent, write_environment
from tests.analysis.frames import chosen_runs, scored

REQUEST = Request("mine", "Which?", "actbench compare", "", "relu", 0.01, versions={"actbench": "0.1"},
                  test_sizes={"digits": 359})  # fmt: skip
RATES, SEEDS = (0.01, 0.03, 0.1), 9
CLAIM = Hypothesis(claim="gelu is better", metric="test_accuracy", a={"activation": "gelu"}, b={"activation": "relu"},
                   direction="higher")  # fmt: skip


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """Three activations at three rates, all equally good but for noise; gelu's highest rate is raced out after three
    seeds. `chosen` is left False."""
    noise = np.random.default_rng(3)
    frames = []
    for place, activation in enumerate(("relu", "gelu", "tanh")):
        for lr in RATES:
            out = activation == "gelu" and lr == RATES[-1]
            frame = chosen_runs({activation: [0.9 - 0.02 * place] * (3 if out else SEEDS)}, lr=lr)
            for column in ("val_accuracy", "test_accuracy"):
                frame[column] += noise.integers(-6, 6, len(frame)) / 288
            frame = scored(frame).assign(val_loss=noise.random(len(frame)))
            frames.append(frame.assign(raced_out=out, chosen=False, run_id=f"{lr} " + frame["run_id"]))
    return pd.concat(frames, ignore_index=True)


def rates_by_hand(runs: pd.DataFrame, activation: str) -> list[float]:
    """For each seed, the surviving rate that is best by validation on the others; of equals, that of least loss."""
    own = runs[(runs["activation"] == activation) & ~runs["raced_out"]]
    chosen = []
    for seed in range(SEEDS):
        others = own[own["seed"] != seed].groupby("lr")
        best = min(others, key=lambda item: (-round(item[1]["val_accuracy"].mean(), 9), item[1]["val_loss"].mean()))
        chosen.append(float(str(best[0])))
    return chosen


@pytest.fixture(scope="module")
def marked(runs: pd.DataFrame) -> pd.DataFrame:
    frame = runs.copy()
    for activation in ("relu", "gelu", "tanh"):
        for seed, lr in enumerate(rates_by_hand(runs, activation)):
            frame.loc[frame["activation"].eq(activation) & frame["seed"].eq(seed) & frame["lr"].eq(lr), "chosen"] = True
    return frame


@pytest.fixture(scope="module")
def compared(marked: pd.DataFrame) -> Comparison:
    (comparison,) = comparisons(marked, costs_frame([]), REQUEST)
    return comparison


def test_scores_are_test_accuracies_at_the_rate_that_is_best_on_the_other_seeds(
    marked: pd.DataFrame, compared: Comparison
) -> None:
    scores = scores_frame([compared])
    assert list(scores) == ["task", "activation", "seed", "lr", "score"]
    assert len(scores) == 3 * SEEDS
    several = set()
    for activation, own in scores.groupby("activation"):
        rates = rates_by_hand(marked, str(activation))
        assert own["lr"].tolist() == rates
        several.add(len(set(rates)))
        for row in own.to_dict("records"):
            same = (marked["activation"] == activation) & (marked["seed"] == row["seed"]) & (marked["lr"] == row["lr"])
            assert row["score"] == marked.loc[same, "test_accuracy"].item()
            assert marked.loc[same, "chosen"].item()
    assert max(several) > 1  # else the choice would be none


def test_the_answer_for_machines_agrees_with_the_scores_and_the_sentences(
    marked: pd.DataFrame, compared: Comparison
) -> None:
    judged = judge_hypotheses([CLAIM], marked, costs_frame([]), REQUEST.margin)
    content = json.loads(json.dumps(answer_document([compared], judged, REQUEST, 12.5), allow_nan=False))
    assert set(content) == {"question", "answer", "version", "seconds", "tasks", "hypotheses"}
    assert (content["question"], content["version"], content["seconds"]) == ("Which?", "0.1", 12.5)
    assert content["answer"] == full_answer([compared], judged)
    assert content["hypotheses"] == [
        {"claim": "gelu is better", "task": "digits, mlp", "verdict": judged["verdict"].iloc[0]}
    ]
    (task,) = content["tasks"]
    assert {key: task[key] for key in ("task", "metric", "baseline", "margin", "n", "n_test")} == {
        "task": "digits, mlp", "metric": "test_accuracy", "baseline": "relu", "margin": 0.01, "n": 9, "n_test": 359,
    }  # fmt: skip
    assert task["sentence"] == task_sentence(compared)
    scores = scores_frame([compared]).pivot(index="seed", columns="activation", values="score")
    assert list(task["activations"]) == scores.mean().sort_values(ascending=False).index.tolist()
    assert sorted([*task["take"], *task["avoid"], *task["undecided"]]) == ["gelu", "relu", "tanh"]
    for name, own in task["activations"].items():
        assert own["score"] == pytest.approx(scores[name].mean())
        assert own["low"] <= own["score"] <= own["high"]
        assert own["lr"] == rates_by_hand(marked, name)
        assert own["raced_out"] == ([0.1] if name == "gelu" else [])
        assert own["difference"] == pytest.approx((scores[name] - scores["relu"]).mean())
        assert own["difference_low"] <= own["difference"] <= own["difference_high"]
        if name == "relu":
            assert (own["verdict"], own["p"], own["p_equal"]) == ("baseline", None, None)
        else:
            assert own["verdict"] == compared.differences[name].verdict
            assert own["p"] == compared.differences[name].p
            assert {"p_worse", "p_equal", "p_better"} <= set(own)


def test_numbers_that_are_not_known_are_null(marked: pd.DataFrame) -> None:
    (single,) = comparisons(marked[marked["seed"] == 0], costs_frame([]), Request("mine", "?", "", "", "relu", 0.01))
    content = answer_document([single], judge_hypotheses([], marked, costs_frame([]), 0.01), REQUEST, None)
    (task,) = json.loads(json.dumps(content, allow_nan=False))["tasks"]
    assert (task["n"], task["n_test"], content["seconds"]) == (1, None, None)
    gelu = task["activations"]["gelu"]
    assert [gelu[key] for key in ("low", "high", "difference_low", "p", "p_equal")] == [None] * 5
    assert gelu["verdict"] == "no verdict"
    assert (task["take"], task["avoid"], task["fastest"]) == ([], [], [])  # too few seeds recommend nothing
    assert sorted(task["undecided"]) == ["gelu", "relu", "tanh"]
    (alone,) = comparisons(marked[marked["activation"] == "gelu"], costs_frame([]), REQUEST)
    (task,) = answer_document([alone], judge_hypotheses([], marked, costs_frame([]), 0.01), REQUEST, None)["tasks"]
    assert task["take"] == ["gelu"]
    assert "difference" not in task["activations"]["gelu"]  # there is no baseline


def test_pairs_are_differences_of_the_scores_and_mirror_one_another(compared: Comparison) -> None:
    pairs = pairs_frame([compared])
    scores = scores_frame([compared]).pivot(index="seed", columns="activation", values="score")
    assert {frozenset(pair) for pair in zip(pairs["a"], pairs["b"], strict=True)} == {
        frozenset(pair) for pair in (("relu", "gelu"), ("relu", "tanh"), ("gelu", "tanh"))
    }
    for row in pairs.to_dict("records"):
        difference = scores[row["a"]] - scores[row["b"]]
        assert (row["difference"], row["n"]) == (pytest.approx(difference.mean()), SEEDS)
        assert row["difference"] >= 0  # the higher mean is a
        to_baseline = compared.differences.get(row["a"] if row["b"] == "relu" else row["b"])
        if "relu" in (row["a"], row["b"]) and to_baseline is not None:
            sign = 1 if row["b"] == "relu" else -1
            assert row["difference"] == pytest.approx(sign * to_baseline.mean)
            assert row["p"] >= to_baseline.p - 1e-12  # a larger family


def test_the_files_are_written_beside_the_report(marked: pd.DataFrame, compared: Comparison, tmp_path: Path) -> None:
    write_runs(tmp_path / RUNS, marked)
    write_comparison(tmp_path, costs_frame([]), [CLAIM])
    write_environment(tmp_path, "actbench compare", Spent(34.56))
    found = write_reports(tmp_path, REQUEST, ["md"])
    assert {path.name for path in tmp_path.iterdir()} == {
        RUNS, "costs.csv", HYPOTHESES, "environment.json", "report.md", "figures", "verdicts.csv", "answer.json",
        "scores.csv",
    }  # fmt: skip
    content = json.loads((tmp_path / "answer.json").read_text())
    assert content["seconds"] == 34.6
    assert content["tasks"][0]["activations"] == answer_document(
        [compared], judge_hypotheses([], marked, costs_frame([]), 0.01), REQUEST, None
    )["tasks"][0]["activations"]  # fmt: skip
    sentence = content["tasks"][0]["sentence"]
    headline, claim, task, conditions = found.answers
    assert (headline, task) == (content["answer"], f"**digits, MLP**: {sentence}")
    assert claim.startswith(f"“gelu is better”: **{content['hypotheses'][0]['verdict']}** (")
    assert conditions.startswith("9 seeds · 359 test examples drawn by each seed · margin 1 point · ")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "scores.csv"), scores_frame([compared]), check_dtype=False)
    assert pd.read_csv(tmp_path / "verdicts.csv")["verdict"].tolist() == [
        line["verdict"] for line in content["hypotheses"]
    ]
    write_reports(tmp_path, REQUEST, ["md"], pairs=True)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "pairs.csv"), pairs_frame([compared]), check_dtype=False)
