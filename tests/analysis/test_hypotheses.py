"""Hypotheses of an experiment: how they are read, what is refused before training, verdicts by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.hypotheses import check_hypotheses, judge_hypotheses
from actbench.errors import UsageError
from actbench.experiment.questions import Hypothesis, hypotheses_from_json, hypotheses_to_json, load_experiment
from actbench.report.tables import hypotheses_table
from actbench.store.files import costs_frame
from tests.analysis.frames import confirming_runs
from tests.support import lose_runs

NO_COSTS = costs_frame([])


def hypothesis(**given: Any) -> Hypothesis:
    basis: dict[str, Any] = {
        "claim": "it is so", "metric": "test_accuracy", "a": {"activation": "relu"}, "b": {"activation": "tanh"},
        "direction": "higher",
    }  # fmt: skip
    return Hypothesis(**(basis | given))


def experiment(folder: Path, hypotheses: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"question: Why?\nsource: null\noverrides: []\nhypotheses: {hypotheses}\n")
    return path


def test_hypotheses_are_read_and_kept(tmp_path: Path) -> None:
    path = experiment(
        tmp_path,
        "\n  - {claim: c, metric: abs(unit_mean), a: elu, b: {activation: relu, lr: 0.1}, direction: lower,"
        " margin: 0.1, factor: 0.7, where: {architecture: mlp}, phase: tune}"
        "\n  - {claim: d, metric: zero_share, a: relu, b: 0.5, direction: equal, margin: 0.1}",
    )
    first, second = load_experiment(str(path)).hypotheses
    assert first == Hypothesis(
        claim="c", metric="abs(unit_mean)", a={"activation": "elu"}, b={"activation": "relu", "lr": 0.1},
        direction="lower", margin=0.1, factor=0.7, where={"architecture": "mlp"}, phase="tune",
    )  # fmt: skip
    assert second.b == 0.5
    assert hypotheses_from_json(hypotheses_to_json((first, second))) == (first, second)


@pytest.mark.parametrize(
    ("hypotheses", "message"),
    [
        ("{}", "hypotheses must be a list"),
        ("[relu wins]", "hypothesis 1: relu wins must be a group of keys"),
        ("[{claim: c, metric: auc, a: relu, b: tanh}]", "hypothesis 1: missing key direction"),
        ("[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, power: 9}]", "hypothesis 1: unknown key power"),
        (
            "[{claim: c, metric: auc, a: relu, b: tanh, direction: up}]",
            "direction=up: must be one of higher, lower",
        ),
        ("[{claim: c, metric: auc, a: relu, b: tanh, direction: equal}]", "give a margin, in the unit of auc"),
        ("[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, margin: -1}]", "margin=-1"),
        ("[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, factor: .nan}]", "factor=nan"),
        ("[{claim: '', metric: auc, a: relu, b: tanh, direction: higher}]", "claim must not be blank"),
        ("[{claim: c, metric: auc, a: [relu], b: tanh, direction: higher}]", "a must name an activation"),
        (
            "[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, phase: test}]",
            "phase=test: must be one of",
        ),
    ],
)
def test_an_invalid_hypothesis_is_refused(hypotheses: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        load_experiment(str(experiment(tmp_path, hypotheses)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "acuracy"}, "no metric 'acuracy'; near: "),
        ({"metric": "test_accuracy", "phase": "tune"}, "not measured while tuning"),
        ({"a": {"activation": "gelu"}}, "no run of the grid has gelu"),
        ({"a": {"activation": "relu", "lr": 0.1}}, "take phase: tune"),
        ({"a": {"depth": "3"}}, "do not differ by 'depth'"),
        ({"where": {"dataset": "cifar10"}}, "no run of the grid has cifar10"),
    ],
)
def test_what_the_grid_cannot_answer_is_refused_before_training(given: dict[str, Any], message: str) -> None:
    planned = confirming_runs({"relu": [None] * 2, "tanh": [None] * 2}, phase="tune")
    planned = pd.concat([planned, planned.assign(architecture="cnn")])
    planned = pd.concat(
        [planned.assign(variant=pd.Series([{"architecture.depth": depth}] * len(planned))) for depth in ("2", "4")]
    )
    check_hypotheses([hypothesis(where={"architecture.depth": 2.0})], planned)
    with pytest.raises(UsageError, match=message):
        check_hypotheses(
            [hypothesis(**given, **({} if "where" in given else {"where": {"architecture.depth": 2.0}}))], planned
        )


def test_a_side_with_several_variants_of_an_activation_is_refused() -> None:
    variants = [("relu", {}), ("tanh", {"activation.slope": "0.1"}), ("tanh", {"activation.slope": "0.3"})]
    planned = pd.concat([confirming_runs({name: [None]}, phase="tune", variant=variant) for name, variant in variants])
    with pytest.raises(UsageError, match="several runs of one seed on a side"):
        check_hypotheses([hypothesis()], planned)
    check_hypotheses([hypothesis(b={"activation": "tanh", "activation.slope": 0.3})], planned)


def test_verdicts_by_hand() -> None:
    better = np.linspace(0.90, 0.95, 12)
    frame = confirming_runs(
        {"relu": [*better], "tanh": [*(better - 0.03)], "same": [*(better + np.resize([1e-4, -1e-4], 12))]}
    )
    frame["zero_share"] = frame["activation"].map({"relu": 0.52, "tanh": 0.0, "same": 0.0})
    frame["unit_mean"] = frame["activation"].map({"relu": 0.4, "tanh": -0.1, "same": 0.1})
    judged = judge_hypotheses(
        [
            hypothesis(),
            hypothesis(direction="lower"),
            hypothesis(b={"activation": "same"}, margin=0.01),
            hypothesis(b={"activation": "same"}, direction="equal", margin=0.01),
            hypothesis(direction="equal", margin=0.01),
            hypothesis(b={"activation": "same"}),
            hypothesis(metric="zero_share", b=0.5, direction="equal", margin=0.1),
            hypothesis(metric="abs(unit_mean)", a={"activation": "tanh"}, b={"activation": "relu"}, direction="lower"),
            hypothesis(factor=1.1),
        ],
        frame, NO_COSTS,
    )  # fmt: skip
    assert judged["verdict"].tolist() == [
        "supported", "refuted", "practically equal", "supported", "refuted", "not shown", "supported", "supported",
        "refuted",
    ]  # fmt: skip
    first = judged.iloc[0]
    assert (first["setting"], first["n"], first["a"], first["b"]) == ("digits, mlp", 12, "relu", "tanh")
    assert first["difference"] == pytest.approx(0.03)
    assert first["p"] == pytest.approx(2 * 2.0**-12 * 6)  # the sign flips, by Holm over the six of a direction
    assert judged["mean_b"].iloc[8] == pytest.approx(1.1 * (better.mean() - 0.03))


def test_a_censored_run_counts_with_its_full_length_and_a_diverged_one_with_accuracy_0() -> None:
    frame = confirming_runs({"relu": [0.9] * 8, "tanh": [0.9] * 4 + [None] * 4})
    steps, accuracy = judge_hypotheses([hypothesis(metric="steps_to_target", direction="lower"), hypothesis()], frame,
                            NO_COSTS).to_dict("records")  # fmt: skip
    assert steps["mean_b"] == pytest.approx((10 + 20 + 30 + 40 + 4 * 100) / 8)
    assert accuracy["mean_b"] == pytest.approx(0.45)


def test_a_censored_run_is_later_by_an_unknown_amount() -> None:
    """relu arrives at 10 to 80; of tanh one knows that it is later than 100, of elu one run does not."""
    frame = confirming_runs({"relu": [0.9] * 8, "tanh": [None] * 8, "elu": [0.9] * 7 + [None]})
    slow = frame["activation"].eq("relu")
    frame.loc[slow, "steps_to_target"] = 90.0
    never = frame["activation"].eq("tanh")
    frame.loc[never, "status"] = "finished"

    def verdict_and_censored(**given: Any) -> tuple[str, int]:
        judged = judge_hypotheses([hypothesis(metric="steps_to_target", **given)], frame, NO_COSTS)
        censored = int(judged["censored"].iloc[0])
        assert hypotheses_table(judged).loc[0, "n"] == (f"8 ({censored})" if censored else "8")
        return str(judged["verdict"].iloc[0]), censored

    assert verdict_and_censored(direction="lower") == ("supported", 8)
    assert verdict_and_censored(direction="lower", factor=0.7) == (
        "not shown",
        8,
    )  # 90 against 70: refuted, were it their arrival
    assert verdict_and_censored(direction="lower", factor=1.5) == ("supported", 8)  # 90 against 150 or more
    assert verdict_and_censored(direction="higher", a={"activation": "tanh"}, b={"activation": "relu"}) == (
        "supported",
        8,
    )
    assert verdict_and_censored(direction="lower", a={"activation": "tanh"}, b={"activation": "relu"}, factor=1.5) == (
        "not shown",
        8,
    )
    assert verdict_and_censored(direction="lower", a={"activation": "tanh"}, b={"activation": "elu"}) == ("refuted", 8)
    assert verdict_and_censored(direction="lower", margin=50) == ("not shown", 8)  # within 50, were 100 their arrival
    frame.loc[never, ["reached_target", "steps_to_target"]] = [True, 100.0]
    assert verdict_and_censored(direction="lower", margin=50) == ("practically equal", 0)
    assert verdict_and_censored(direction="lower", factor=0.7) == ("refuted", 0)


def test_a_difference_within_the_margin_does_not_refute_equality() -> None:
    better = np.linspace(0.90, 0.95, 12)
    frame = confirming_runs({"relu": [*(better + np.resize([0.006, 0.0115], 12))], "tanh": [*better]})
    judged = judge_hypotheses(
        [hypothesis(direction="equal", margin=margin) for margin in (0.02, 0.009, 0.005)], frame, NO_COSTS
    )
    assert judged["verdict"].tolist() == ["supported", "not shown", "refuted"]


def test_rates_at_an_end_of_the_grid_are_marked() -> None:
    tried = [confirming_runs({"relu": [0.9], "tanh": [0.9]}, phase="tune", lr=lr) for lr in (0.01, 0.1, 1.0)]
    confirmed = confirming_runs({"relu": [0.9] * 8, "tanh": [0.8] * 8}, lr=0.1)
    confirmed.loc[confirmed["activation"] == "tanh", "lr"] = 1.0
    tried = [frame.assign(run_id=frame["run_id"] + str(lr)) for frame, lr in zip(tried, (0.01, 0.1, 1.0), strict=True)]
    judged = judge_hypotheses([hypothesis()], pd.concat([*tried, confirmed], ignore_index=True), NO_COSTS)
    assert judged["edges"].tolist() == ["b"]
    assert hypotheses_table(judged)[["A", "B", "n"]].iloc[0].tolist() == ["relu: 0.9", "tanh †: 0.8", "8"]


def test_a_diverged_run_takes_as_many_seconds_as_the_longest() -> None:
    frame = confirming_runs({"relu": [0.9] * 8, "tanh": [0.9] * 4 + [None] * 4})
    frame.loc[frame["status"] == "diverged", "seconds"] = np.nan
    frame.loc[0, "seconds"] = 3.0
    (judged,) = judge_hypotheses([hypothesis(metric="seconds_to_target", direction="lower")], frame, NO_COSTS).to_dict(
        "records"
    )
    assert (judged["n"], judged["mean_b"]) == (8, pytest.approx((0.1 + 0.2 + 0.3 + 0.4 + 4 * 3) / 8))


def test_settings_are_judged_apart_and_pairs_are_of_seeds_that_both_have() -> None:
    frame = confirming_runs({"relu": [0.9] * 8, "tanh": [0.8] * 8})
    other = frame.assign(architecture="cnn", run_id=frame["run_id"] + "c")
    lose_runs(other, (other["activation"] == "tanh") & (other["seed"] > 2), "failed")
    judged = judge_hypotheses([hypothesis()], pd.concat([frame, other]), NO_COSTS)
    assert judged["setting"].tolist() == ["digits, mlp", "digits, cnn"]
    assert judged["n"].tolist() == [8, 3]
    assert judged["verdict"].tolist() == ["supported", "too few seeds to say"]
    gone = other.assign(status="missing", test_accuracy=np.nan)
    assert judge_hypotheses([hypothesis()], gone, NO_COSTS)["verdict"].tolist() == ["no runs"]


def test_tuned_rates_are_paired_by_seed_and_costs_by_round() -> None:
    tuned = confirming_runs({"relu": [0.9] * 8}, phase="tune", variant={})
    tuned = pd.concat([tuned.assign(lr=0.1, val_accuracy=0.5), tuned])
    tuned.loc[tuned["val_accuracy"] == 0.9, "lr"] = 0.01
    rate = hypothesis(
        metric="val_accuracy", a={"activation": "relu", "lr": 0.01}, b={"activation": "relu", "lr": 0.1}, phase="tune"
    )
    costs = costs_frame([(f"{name}0", round, cost + round, 9.0, 0.5) for name, cost in (("relu", 1), ("tanh", 5))
                          for round in range(9)])  # fmt: skip
    frame = pd.concat([tuned, confirming_runs({"relu": [0.9] * 3, "tanh": [0.8] * 3})])
    judged = judge_hypotheses([rate, hypothesis(metric="activation_ns", direction="lower")], frame, costs)
    assert judged["verdict"].tolist() == ["supported", "supported"]
    assert judged["n"].tolist() == [8, 9]
    assert judged["difference"].tolist() == pytest.approx([0.4, -4.0])
