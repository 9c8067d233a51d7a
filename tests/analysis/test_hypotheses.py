"""Hypotheses of an experiment: how they are read, what is refused before training, verdicts by hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.check import check_hypotheses
from actbench.analysis.hypotheses import judge_hypotheses
from actbench.errors import UsageError
from actbench.experiment.questions import Hypothesis, hypotheses_from_json, hypotheses_to_json, load_experiment
from actbench.report.tables import hypotheses_table
from actbench.store.files import costs_frame, read_runs, write_runs
from actbench.training.results import MARKS
from tests.analysis.frames import chosen_runs
from tests.support import lose_runs

NO_COSTS = costs_frame([])
MARGIN = 0.01


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


def first_stage(*activations: str) -> pd.DataFrame:
    """The runs of three seeds that are planned at two rates, before any is trained."""
    rates = [
        chosen_runs(dict.fromkeys(activations, [None] * 3), lr=lr, raced_out=None, chosen=None, equal_time=None)
        for lr in (0.01, 0.1)
    ]
    return pd.concat(rates, ignore_index=True)


def with_variant(runs: pd.DataFrame, variant: dict[str, str]) -> pd.DataFrame:
    return runs.assign(variant=pd.Series([variant] * len(runs), index=runs.index, dtype=object))


def at_rates(
    activation: str, rates: Mapping[float, tuple[float, float]], raced_out: Sequence[float] = ()
) -> pd.DataFrame:
    """Eight runs at each rate, with the same accuracy and steps to the target; the most accurate rate is chosen."""
    best = max(set(rates) - set(raced_out), key=lambda lr: rates[lr][0])
    frames = []
    for lr, (accuracy, steps) in rates.items():
        frame = chosen_runs(
            {activation: [accuracy] * 8}, lr=lr, steps_to_target=steps, chosen=lr == best, raced_out=lr in raced_out
        )
        frames.append(frame.assign(run_id=[f"{activation}{lr:g} {seed}" for seed in frame["seed"]]))
    return pd.concat(frames, ignore_index=True)


def test_hypotheses_are_read_and_kept(tmp_path: Path) -> None:
    path = experiment(
        tmp_path,
        "\n  - {claim: c, metric: abs(unit_mean), a: elu, b: {activation: relu, lr: 0.1}, direction: lower,"
        " margin: 0.1, factor: 0.7, where: {architecture: mlp}, rates: every}"
        "\n  - {claim: d, metric: zero_share, a: relu, b: 0.5, direction: equal, margin: 0.1}",
    )
    first, second = load_experiment(str(path)).hypotheses
    assert first == Hypothesis(
        claim="c", metric="abs(unit_mean)", a={"activation": "elu"}, b={"activation": "relu", "lr": 0.1},
        direction="lower", margin=0.1, factor=0.7, where={"architecture": "mlp"}, rates="every",
    )  # fmt: skip
    assert second.b == 0.5
    assert second.rates == "chosen"
    assert hypotheses_from_json(hypotheses_to_json((first, second))) == (first, second)


@pytest.mark.parametrize(("phase", "rates"), [("tune", "every"), ("confirm", "chosen")])
def test_hypotheses_of_an_older_version_are_read_with_the_rates_that_their_phases_had(phase: str, rates: str) -> None:
    (entry,) = json.loads(hypotheses_to_json([hypothesis(metric="auc")]))
    del entry["rates"]
    (read,) = hypotheses_from_json(json.dumps([entry | {"phase": phase}]))
    assert read == hypothesis(metric="auc", rates=rates)


def test_hypotheses_without_the_keys_that_were_added_later_are_claims() -> None:
    (entry,) = json.loads(hypotheses_to_json([hypothesis()]))
    for key in ("source", "kind", "testable", "reason"):
        del entry[key]
    (read,) = hypotheses_from_json(json.dumps([entry]))
    assert read == hypothesis(source=None, kind="claim", testable=None, reason="")


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
        ("[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, margin: -1}]", "margin=-1"),
        ("[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, kind: fact}]", "kind=fact: must be one of"),
        (
            "[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, testable: in part}]",
            "testable: in part: say why in reason",
        ),
        ("[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, factor: .nan}]", "factor=nan"),
        ("[{claim: '', metric: auc, a: relu, b: tanh, direction: higher}]", "claim must not be blank"),
        ("[{claim: c, metric: auc, a: [relu], b: tanh, direction: higher}]", "a must name an activation"),
        (
            "[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, rates: some}]",
            "rates=some: must be one of chosen, fastest, every",
        ),
        (
            "[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, phase: tune}]",
            "phase: tune: there are no phases any more; write rates: every, with protocol.racing=false",
        ),
        (
            "[{claim: c, metric: auc, a: relu, b: tanh, direction: higher, phase: confirm}]",
            "phase: confirm: there are no phases any more; write rates: chosen, or nothing",
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
        ({"metric": "chosen"}, "no metric 'chosen'"),
        ({"metric": "auc", "direction": "equal"}, "give a margin, in the unit of auc, up to which it is equal"),
        ({"margin": 0.02}, "the margin of test_accuracy is protocol.margin; drop it here"),
        ({"rates": "every"}, "rates: every needs all seeds at every rate; set protocol.racing=false"),
        ({"a": {"activation": "gelu"}}, "no run of the grid has gelu"),
        ({"a": {"activation": "relu", "lr": 0.1}}, "do not differ by 'lr'; the protocol chooses it: take rates: every"),
        ({"a": {"depth": "3"}}, "do not differ by 'depth'"),
        ({"where": {"dataset": "cifar10"}}, "no run of the grid has cifar10"),
    ],
)
def test_what_the_grid_cannot_answer_is_refused_before_training(given: dict[str, Any], message: str) -> None:
    planned = first_stage("relu", "tanh")
    planned = pd.concat([planned, planned.assign(architecture="cnn")])
    planned = pd.concat(
        [with_variant(planned, {"architecture.depth": depth}) for depth in ("2", "4")], ignore_index=True
    )
    where = {"where": {"architecture.depth": 2.0}}
    check_hypotheses([hypothesis(**where)], planned, racing=True)
    check_hypotheses([hypothesis(**where, direction="equal")], planned, racing=True)  # by the report's margin
    with pytest.raises(UsageError, match=message):
        check_hypotheses([hypothesis(**(where | given))], planned, racing=True)


def test_rates_can_be_told_apart_where_every_one_has_all_seeds() -> None:
    planned = first_stage("relu", "tanh")
    two_rates = hypothesis(
        a={"activation": "relu", "lr": 0.1}, b={"activation": "relu", "lr": 0.01}, rates="every", metric="auc"
    )
    check_hypotheses([two_rates], planned, racing=False)
    with pytest.raises(UsageError, match=r"set protocol\.racing=false"):
        check_hypotheses([two_rates], planned, racing=True)
    with pytest.raises(UsageError, match="no run of the grid has relu lr=0.5"):
        check_hypotheses([two_rates.model_copy(update={"a": {"activation": "relu", "lr": 0.5}})], planned, racing=False)
    with pytest.raises(UsageError, match="activation_ns is measured once an activation; take rates: chosen"):
        check_hypotheses([hypothesis(metric="activation_ns", rates="every")], planned, racing=False)


def test_a_side_with_several_variants_of_an_activation_is_refused() -> None:
    variants: list[tuple[str, dict[str, str]]] = [
        ("relu", {}),
        ("tanh", {"activation.slope": "0.1"}),
        ("tanh", {"activation.slope": "0.3"}),
    ]
    planned = pd.concat([with_variant(first_stage(name), variant) for name, variant in variants], ignore_index=True)
    with pytest.raises(UsageError, match="several runs of one seed on a side"):
        check_hypotheses([hypothesis()], planned, racing=True)
    check_hypotheses([hypothesis(b={"activation": "tanh", "activation.slope": 0.3})], planned, racing=True)


def judged(hypotheses: Sequence[Hypothesis], runs: pd.DataFrame, margin: float = MARGIN) -> pd.DataFrame:
    return judge_hypotheses(hypotheses, runs, NO_COSTS, margin)


def test_verdicts_by_hand() -> None:
    better = np.linspace(0.90, 0.95, 12)
    frame = chosen_runs({
        "relu": [*better], "tanh": [*(better - 0.03)], "same": [*(better + np.resize([1e-4, -1e-4], 12))],
        "noisy": [*(better + np.resize([0.04, -0.04], 12))],
    })  # fmt: skip
    frame["zero_share"] = frame["activation"].map({"relu": 0.52, "tanh": 0.0, "same": 0.0, "noisy": 0.0})
    frame["unit_mean"] = frame["activation"].map({"relu": 0.4, "tanh": -0.1, "same": 0.1, "noisy": 0.0})
    found = judged(
        [
            hypothesis(),
            hypothesis(direction="lower"),
            hypothesis(b={"activation": "same"}),
            hypothesis(b={"activation": "same"}, direction="equal"),
            hypothesis(direction="equal"),
            hypothesis(b={"activation": "noisy"}),
            hypothesis(b={"activation": "noisy"}, direction="equal"),
            hypothesis(metric="zero_share", b=0.5, direction="equal", margin=0.1),
            hypothesis(metric="abs(unit_mean)", a={"activation": "tanh"}, b={"activation": "relu"}, direction="lower"),
            hypothesis(factor=1.1),
        ],
        frame,
    )
    assert found["verdict"].tolist() == [
        "supported", "refuted", "equal", "supported", "refuted", "inconclusive", "inconclusive", "supported",
        "supported", "refuted",
    ]  # fmt: skip
    first = found.iloc[0]
    assert (first["task"], first["n"], first["a"], first["b"]) == ("digits, mlp", 12, "relu", "tanh")
    assert first["difference"] == pytest.approx(0.03)
    assert first["p"] == pytest.approx(
        2 * 2.0**-12 * 6
    )  # the sign flips, by Holm over the six that expect a difference
    assert found["mean_b"].iloc[9] == pytest.approx(1.1 * (better.mean() - 0.03))
    assert found["margin"].tolist() == [0.01] * 7 + [0.1, 0.0, 0.01]  # that of the score is the report's


def test_p_values_are_corrected_by_holm_within_the_lines_of_each_kind() -> None:
    """Raw p of sign flips over six seeds: 2/64, 2/64, and where one difference is 0 and all others are alike 4/64."""
    frame = chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6, "gelu": [0.7] * 6, "elu": [0.8] * 5 + [0.9]})
    lines = [hypothesis(b={"activation": name}) for name in ("tanh", "gelu", "elu")]
    alone = [judged([line], frame).iloc[0] for line in lines]
    assert [line["p"] for line in alone] == pytest.approx([2 / 64, 2 / 64, 4 / 64])
    assert [line["verdict"] for line in alone] == ["supported", "supported", "inconclusive"]
    same = [hypothesis(b={"activation": "relu"}, direction="equal")] * 3
    for others in ([], same):  # lines that expect equality are a family of their own
        together = judged([*lines, *others], frame).iloc[:3]
        assert together["p"].tolist() == pytest.approx([6 / 64, 6 / 64, 6 / 64])
        assert together["verdict"].tolist() == ["inconclusive"] * 3
    named = [line.model_copy(update={"kind": kind}) for line, kind in zip(lines, ("cost", "definition"), strict=False)]
    by_kind = judged([*named, lines[0]], frame)  # so are definitions and costs
    assert by_kind["p"].tolist() == pytest.approx([2 / 64] * 3)
    noise = np.resize([0.004, -0.004, 0.0, 0.004, -0.001, -0.003], 6)
    close = chosen_runs({"relu": [0.9] * 6, "tanh": [*(0.9 + 1.4 * noise)], "gelu": [*(0.9 + noise)]})
    equal = [hypothesis(b={"activation": name}, direction="equal") for name in ("tanh", "gelu")]
    raw = [float(judged([line], close)["p"].iloc[0]) for line in equal]
    expected = [max(2 * min(raw), max(raw)) if p == max(raw) else 2 * p for p in raw]
    assert judged(equal, close)["p"].tolist() == pytest.approx(expected)


def test_a_hypothesis_is_asked_at_the_chosen_or_at_the_fastest_rate_that_was_not_raced_out() -> None:
    frame = pd.concat([
        at_rates("relu", {0.01: (0.80, 20), 0.1: (0.90, 50)}),
        at_rates("tanh", {0.01: (0.80, 30), 0.1: (0.90, 40), 1.0: (0.85, 5)}, raced_out=[1.0]),
    ], ignore_index=True)  # fmt: skip
    chosen, fastest, score, score_when_fast = judged(
        [
            hypothesis(metric="steps_to_target", direction="lower"),
            hypothesis(metric="steps_to_target", direction="lower", rates="fastest"),
            hypothesis(b=0.9, direction="equal"),
            hypothesis(b=0.8, direction="equal", rates="fastest"),
        ],
        frame,
    ).to_dict("records")
    assert (chosen["mean_a"], chosen["mean_b"], chosen["n"], chosen["verdict"]) == (50, 40, 8, "refuted")
    assert (fastest["mean_a"], fastest["mean_b"], fastest["n"], fastest["verdict"]) == (20, 30, 8, "supported")
    assert (score["mean_a"], score_when_fast["mean_a"]) == pytest.approx((0.9, 0.8))  # of any metric
    assert (score["verdict"], score_when_fast["verdict"]) == ("supported", "supported")


def test_the_rate_of_each_seed_is_chosen_on_the_other_seeds() -> None:
    """At rate 0.1 the last seed is worse: without it 0.1 is best, with it 0.01."""
    frame = at_rates("relu", {0.01: (0.90, 10), 0.1: (0.91, 20)})
    last = frame["lr"].eq(0.1) & frame["seed"].eq(7)
    frame.loc[last, ["val_score", "test_accuracy"]] = [0.80, 0.50]
    (line,) = judged([hypothesis(b=0.0)], frame).to_dict("records")
    assert line["mean_a"] == pytest.approx((7 * 0.90 + 0.50) / 8)


def test_every_rate_is_asked_by_itself() -> None:
    frame = pd.concat([
        at_rates("relu", {0.01: (0.80, 20), 0.1: (0.90, 50)}), at_rates("tanh", {0.01: (0.70, 30), 0.1: (0.95, 40)}),
    ], ignore_index=True)  # fmt: skip
    named = hypothesis(a={"activation": "relu", "lr": 0.01}, b={"activation": "relu", "lr": 0.1}, rates="every")
    lines = judged([hypothesis(rates="every"), named], frame)
    assert lines["task"].tolist() == ["digits, mlp, lr=0.01", "digits, mlp, lr=0.1", "digits, mlp"]
    assert lines["difference"].tolist() == pytest.approx([0.1, -0.05, -0.1])
    assert lines["verdict"].tolist() == ["supported", "refuted", "refuted"]
    assert (lines["edges"] == "").all()  # no rate is chosen


def test_every_rate_of_a_file_of_an_older_version_is_that_of_its_tuning_runs(tmp_path: Path) -> None:
    tuned = [chosen_runs({"relu": [0.5 + lr] * 6}, lr=lr, phase="tune") for lr in (0.1, 0.2)]
    confirmed = chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6}, lr=0.2, phase="confirm")
    frame = pd.concat([*tuned, confirmed], ignore_index=True)
    frame["run_id"] = [f"run{number}" for number in frame.index]
    frame = frame.drop(columns=list(MARKS))
    write_runs(tmp_path / "runs.csv", frame)
    old = read_runs(tmp_path / "runs.csv")
    rates = hypothesis(
        metric="val_accuracy", a={"activation": "relu", "lr": 0.2}, b={"activation": "relu", "lr": 0.1}, rates="every"
    )
    lines = judged([rates, hypothesis()], old)
    assert lines["difference"].tolist() == pytest.approx([0.1, 0.1])
    assert lines["n"].tolist() == [6, 6]
    assert lines["mean_a"].tolist() == pytest.approx([0.7, 0.9])


def test_shares_of_runs_have_exact_binomial_bounds() -> None:
    """None of 12 runs arrives: p and bounds are powers of the share that does not (Clopper and Pearson)."""
    frame = chosen_runs({"sigmoid": [0.2] * 12, "relu": [0.9] * 12})
    frame["reached_target"] = frame["activation"].eq("relu")

    def line(**given: Any) -> dict[str, Any]:
        basis: dict[str, Any] = {"metric": "reached_target", "a": {"activation": "sigmoid"}, "b": 0.0}
        return dict(judged([hypothesis(**(basis | given))], frame).iloc[0])

    upper = 1 - 0.025 ** (1 / 12)
    never = line(direction="equal", margin=0.3)
    assert (never["low"], never["high"]) == pytest.approx((0, upper))
    assert (never["p"], never["verdict"]) == (pytest.approx(0.7**12), "supported")
    few = line(direction="equal", margin=0.1)  # a share of 0.1 would show none in 12 with p = 0.28
    assert (few["p"], few["verdict"]) == (pytest.approx(0.9**12), "inconclusive")
    half = line(b=0.5, direction="lower")
    assert (half["p"], half["verdict"]) == (pytest.approx(2 * 0.5**12), "supported")
    assert (half["low"], half["high"]) == pytest.approx((-0.5, upper - 0.5))
    assert line(b=0.5, direction="equal", margin=0.1)["verdict"] == "refuted"
    others = line(b={"activation": "relu"}, direction="lower")
    assert (others["difference"], others["low"], others["high"]) == pytest.approx((-1, -1, 2 * upper - 1))
    assert (others["p"], others["verdict"]) == (pytest.approx(2 / 2**12), "supported")


def test_an_interrupted_round_does_not_carry_off_a_difference_of_costs() -> None:
    """13 rounds in which tanh costs 4 ns more, and relu's last is interrupted for a second."""
    relu = [1 + 0.01 * round for round in range(12)] + [1e9]
    tanh = [5 + 0.03 * round for round in range(13)]
    costs = costs_frame([
        (f"{name}0", round, ns, 9.0, 0.5) for name, own in (("relu", relu), ("tanh", tanh))
        for round, ns in enumerate(own)
    ])  # fmt: skip
    frame = chosen_runs({"relu": [0.9] * 3, "tanh": [0.8] * 3})
    cost = hypothesis(metric="activation_ns", direction="lower")
    (line,) = judge_hypotheses([cost], frame, costs, MARGIN).to_dict("records")
    assert (line["mean_a"], line["mean_b"]) == pytest.approx((1.06, 5.18))  # medians
    assert line["difference"] == pytest.approx(1.06 - 5.18)
    assert -5 < line["low"] < line["difference"] < line["high"] < -3
    assert line["n"] == 13
    # Of the 2^13 signs of the ranks 1 to 13, 88 have a sum of the one sign of at most 13, the rank of that round.
    assert line["p"] == pytest.approx(2 * 88 / 2**13)
    assert line["verdict"] == "supported"
    equal, within = judge_hypotheses(
        [cost.model_copy(update={"margin": 4.5}), cost.model_copy(update={"margin": 3.0})], frame, costs, MARGIN
    ).to_dict("records")
    assert (equal["verdict"], within["verdict"]) == ("equal", "supported")


def test_costs_are_those_of_the_run_on_which_they_were_measured_whatever_its_rate() -> None:
    """The first run of an activation may be of a rate that was raced out."""
    frame = pd.concat([
        at_rates("relu", {0.01: (0.80, 20), 0.1: (0.90, 50)}, raced_out=[0.01]), at_rates("tanh", {0.1: (0.90, 40)}),
    ], ignore_index=True)  # fmt: skip
    costs = costs_frame([(id, round, ns + round, 9.0, 0.5) for id, ns in (("relu0.01 0", 1.0), ("tanh0.1 0", 5.0))
                         for round in range(9)])  # fmt: skip
    cost = hypothesis(metric="activation_ns", direction="lower")
    (line,) = judge_hypotheses([cost], frame, costs, MARGIN).to_dict("records")
    assert (line["n"], line["difference"], line["verdict"]) == (9, -4.0, "supported")


def test_a_censored_run_counts_with_its_full_length_and_a_diverged_one_with_accuracy_0() -> None:
    frame = chosen_runs({"relu": [0.9] * 8, "tanh": [0.9] * 4 + [None] * 4})
    steps, accuracy = judged([hypothesis(metric="steps_to_target", direction="lower"), hypothesis()], frame).to_dict(
        "records"
    )
    assert steps["mean_b"] == pytest.approx((10 + 20 + 30 + 40 + 4 * 100) / 8)
    assert accuracy["mean_b"] == pytest.approx(0.45)


def test_a_censored_run_is_later_by_an_unknown_amount() -> None:
    """relu arrives at 90; of tanh one knows that it is later than 100, of elu one run does not arrive."""
    frame = chosen_runs({"relu": [0.9] * 8, "tanh": [None] * 8, "elu": [0.9] * 7 + [None]})
    slow = frame["activation"].eq("relu")
    frame.loc[slow, "steps_to_target"] = 90.0
    never = frame["activation"].eq("tanh")
    frame.loc[never, "status"] = "finished"

    def verdict_and_censored(**given: Any) -> tuple[str, int]:
        found = judged([hypothesis(metric="steps_to_target", **given)], frame)
        censored = int(found["censored"].iloc[0])
        assert hypotheses_table(found).loc[0, "n"] == (f"8 ({censored})" if censored else "8")
        return str(found["verdict"].iloc[0]), censored

    tanh_to_relu: dict[str, Any] = {"a": {"activation": "tanh"}, "b": {"activation": "relu"}}
    tanh_to_elu: dict[str, Any] = {"a": {"activation": "tanh"}, "b": {"activation": "elu"}}
    assert verdict_and_censored(direction="lower") == ("supported", 8)
    # 90 against 70: refuted, were it their arrival
    assert verdict_and_censored(direction="lower", factor=0.7) == ("inconclusive", 8)
    assert verdict_and_censored(direction="lower", factor=1.5) == ("supported", 8)  # 90 against 150 or more
    assert verdict_and_censored(direction="higher", **tanh_to_relu) == ("supported", 8)
    assert verdict_and_censored(direction="lower", factor=1.5, **tanh_to_relu) == ("inconclusive", 8)
    assert verdict_and_censored(direction="lower", **tanh_to_elu) == ("refuted", 8)
    # within 50, were 100 their arrival
    assert verdict_and_censored(direction="lower", margin=50) == ("inconclusive", 8)
    assert verdict_and_censored(direction="equal", margin=50) == ("inconclusive", 8)
    frame.loc[never, ["reached_target", "steps_to_target"]] = [True, 100.0]
    assert verdict_and_censored(direction="lower", margin=50) == ("equal", 0)
    assert verdict_and_censored(direction="equal", margin=50) == ("supported", 0)
    assert verdict_and_censored(direction="lower", factor=0.7) == ("refuted", 0)


def test_equality_is_refuted_only_where_the_difference_is_shown_to_exceed_the_margin() -> None:
    better = np.linspace(0.90, 0.95, 12)
    frame = chosen_runs({"relu": [*(better + np.resize([0.006, 0.0115], 12))], "tanh": [*better]})
    verdicts = [
        judged([hypothesis(direction="equal")], frame, margin)["verdict"].iloc[0] for margin in (0.02, 0.009, 0.005)
    ]
    assert verdicts == ["supported", "inconclusive", "refuted"]
    assert judged([hypothesis()], frame, 0.009)["verdict"].tolist() == ["supported"]  # the same difference is not 0


def test_rates_at_an_end_of_the_grid_are_marked() -> None:
    frame = pd.concat([
        at_rates("relu", {0.01: (0.8, 10), 0.1: (0.9, 10), 1.0: (0.7, 10)}),
        at_rates("tanh", {0.01: (0.6, 10), 0.1: (0.7, 10), 1.0: (0.8, 10)}),
    ], ignore_index=True)  # fmt: skip
    found = judged([hypothesis(), hypothesis(metric="steps_to_target", rates="fastest")], frame)
    assert found["edges"].tolist() == ["b", ""]
    assert hypotheses_table(found)[["A", "B", "n"]].iloc[0].tolist() == ["relu: 0.9", "tanh †: 0.8", "8"]


def test_a_diverged_run_takes_as_many_seconds_as_the_longest() -> None:
    frame = chosen_runs({"relu": [0.9] * 8, "tanh": [0.9] * 4 + [None] * 4})
    frame.loc[frame["status"] == "diverged", "seconds"] = np.nan
    frame.loc[0, "seconds"] = 3.0
    (line,) = judged([hypothesis(metric="seconds_to_target", direction="lower")], frame).to_dict("records")
    assert (line["n"], line["mean_b"]) == (8, pytest.approx((0.1 + 0.2 + 0.3 + 0.4 + 4 * 3) / 8))


def test_tasks_are_judged_apart_and_pairs_are_of_seeds_that_both_have() -> None:
    frame = chosen_runs({"relu": [0.9] * 8, "tanh": [0.8] * 8})
    other = frame.assign(architecture="cnn", run_id=frame["run_id"] + "c")
    lose_runs(other, (other["activation"] == "tanh") & (other["seed"] > 2), "failed")
    found = judged([hypothesis()], pd.concat([frame, other], ignore_index=True))
    assert found["task"].tolist() == ["digits, mlp", "digits, cnn"]
    assert found["n"].tolist() == [8, 3]
    assert found["verdict"].tolist() == ["supported", "too few seeds"]
    gone = other.assign(status="missing", test_accuracy=np.nan)
    assert judged([hypothesis()], gone)["verdict"].tolist() == ["no runs"]
