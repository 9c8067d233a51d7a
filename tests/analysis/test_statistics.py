"""Statistics against hand-made arrays and second implementations."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.labels import labelled
from actbench.analysis.statistics import (
    Difference,
    holm,
    interquartile_mean,
    mean_ranks,
    paired_difference,
    performance_profile,
    sign_flip,
)
from actbench.analysis.summary import summarize
from actbench.data.datasets import PreparedData
from actbench.experiment.runs import make_run, variants


def test_mean_is_paired_and_the_interval_agrees_with_a_plain_bootstrap() -> None:
    generator = np.random.default_rng(1)
    shared = generator.normal(0.9, 0.05, 40)  # seeds differ much more than activations
    own, base = shared + generator.normal(0.01, 0.005, 40), shared
    found = paired_difference(own, base)
    assert found.mean == pytest.approx((own - base).mean())
    samples = generator.choice(own - base, (20_000, 40)).mean(1)
    assert [found.low, found.high] == pytest.approx(np.quantile(samples, [0.025, 0.975]), abs=3e-4)
    assert found.verdict(0.0, found.p) == "higher"
    assert found.verdict(0.02, 1.0) == "practically equal"
    assert paired_difference(base, own).verdict(0.0, 0.01) == "lower"
    assert found.verdict(0.0, 0.06) == "not shown"


def test_degenerate_pairs() -> None:
    same = paired_difference(np.linspace(0.5, 0.6, 6), np.linspace(0.5, 0.6, 6))
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert same.verdict(0.01, 0.01) == "practically equal"
    one = paired_difference(np.array([0.5]), np.array([0.4]))
    assert math.isnan(one.low)
    assert one.verdict(0.01, 0.01) == "too few seeds to say"
    five = paired_difference(np.linspace(0.8, 0.9, 5), np.linspace(0.1, 0.2, 5))
    assert five.verdict(0.01, 0.01) == "too few seeds to say"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.005, 0.005, "practically equal"),
        (-0.005, 0.02, "not shown"),
        (0.001, 0.02, "higher"),
        (-0.03, -0.001, "lower"),
    ],
)
def test_verdicts_by_hand(low: float, high: float, verdict: str) -> None:
    assert Difference((low + high) / 2, low, high, 10).verdict(0.01, 0.01) == verdict


def flipped(differences: np.ndarray) -> float:
    """The sign-flip test by writing down every sign."""
    signs = np.array(list(itertools.product([-1, 1], repeat=len(differences))))
    means = np.abs((signs * differences).mean(1))
    return float(np.mean(means >= abs(differences.mean()) - 1e-12))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [6, 10, 13])
def test_sign_flip_is_exact_with_ties_and_zeros(n: int, seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-3, 6, n) / 360  # accuracies of 360 images: many ties
    assert sign_flip(differences) == pytest.approx(flipped(differences), abs=1e-12)


def test_sign_flip_by_hand() -> None:
    assert sign_flip(np.full(6, 0.01)) == pytest.approx(2 / 64)  # all one way: the least that six pairs can say
    assert sign_flip(np.zeros(8)) == 1
    large = np.random.default_rng(0).normal(0.3, 1, 40)  # too many to write down
    normal = math.erfc(abs(large.mean()) / (large.std() / math.sqrt(40)) / math.sqrt(2))
    assert sign_flip(large) == pytest.approx(normal, abs=0.02)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_nan = holm([0.01, math.nan, 0.04])
    assert [with_nan[0], with_nan[2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(with_nan[1])
    assert holm([]) == []


def test_improvement_and_effect_by_hand() -> None:
    found = paired_difference(np.array([0.5, 0.6, 0.7, 0.8]), np.array([0.4, 0.6, 0.6, 0.9]))
    assert found.improvement == (1 + 0.5 + 1 + 0) / 4
    differences = np.array([0.1, 0.0, 0.1, -0.1])
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1) * (1 - 3 / 11))
    assert math.isnan(found.p)  # four pairs cannot reach 0.05


def test_interquartile_mean_leaves_out_a_quarter_at_each_end() -> None:
    assert interquartile_mean(np.array([9.0, 1.0, 3.0, 2.0])) == 2.5
    assert interquartile_mean(np.array([0.7])) == 0.7
    assert interquartile_mean(np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0])) == 1


def test_mean_ranks_and_critical_difference_are_demsars() -> None:
    # Demšar 2006, section 3.2.3: 4 classifiers on 14 data sets, q = 2.569, CD = 1.25
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(14, 4)), columns=list("abcd"))
    found = mean_ranks(scores)
    assert found.critical == pytest.approx(1.25, abs=0.005)
    ranks = [sorted(-row).index(-value) + 1 for row in scores.to_numpy() for value in row]
    by_hand = np.array(ranks).reshape(14, 4).mean(0)
    assert list(found.mean.values()) == pytest.approx(list(by_hand))
    chi = 12 * 14 / (4 * 5) * ((by_hand**2).sum() - 4 * 25 / 4)
    assert found.p == pytest.approx(_chi_squared_tail_of_3(chi))


def _chi_squared_tail_of_3(chi: float) -> float:
    return math.erfc(math.sqrt(chi / 2)) + math.sqrt(2 * chi / math.pi) * math.exp(-chi / 2)


def test_ties_share_their_ranks() -> None:
    scores = pd.DataFrame({"a": [0.9, 0.9], "b": [0.9, 0.8], "c": [0.1, 0.9]})
    assert mean_ranks(scores).mean == {"a": 1.5, "b": (1.5 + 3) / 2, "c": (3 + 1.5) / 2}


def test_means_of_equal_sums_are_tied_though_their_last_bits_differ() -> None:
    """As of 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1."""
    seeds = np.array([0.1, 0.2, 0.3])
    means = {"a": [seeds.sum() / 3] * 2, "b": [seeds[::-1].sum() / 3] * 2, "c": [0.1, 0.1]}
    assert means["a"] != means["b"]
    assert mean_ranks(pd.DataFrame(means)).mean == {"a": 1.5, "b": 1.5, "c": 3.0}


def test_performance_profile_by_hand() -> None:
    inf = math.inf
    times = {"a": np.array([10.0, 20.0, inf, inf]), "b": np.array([20.0, 10.0, 30.0, inf])}
    found = performance_profile(times, np.array([1.0, 2.0, 100.0]))
    assert found["a"].tolist() == [0.25, 0.5, 0.5]
    assert found["b"].tolist() == [0.5, 0.75, 0.75]  # the fourth problem nobody solves


def rows(**columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    defaults: dict[str, object] = {
        "dataset": "digits", "architecture": "mlp", "initialization": "matched", "optimizer": "adam",
        "activation": "relu", "lr": 0.1, "variant": {}, "status": "finished", "dead_fraction": 0.0,
        "reached_target": True, "val_accuracy": 0.5, "test_accuracy": 0.5, "steps_to_target": 10, "seed": 0,
        "phase": "confirm",
    }  # fmt: skip
    return pd.DataFrame({key: columns.get(key, [value] * n) for key, value in defaults.items()})


def test_runs_that_differ_in_anything_but_the_seed_are_never_averaged(digits: PreparedData) -> None:
    from actbench.experiment.compose import compose_grid

    points = compose_grid([
        "architecture=mlp_small,mlp", "architecture.norm=none,batch", "activation=leaky_relu,relu", "seed=0,1",
        "training.steps=2", "training.batch_size=32,64",
    ])  # fmt: skip
    runs = [make_run(point, digits, "sweep") for point in points]
    found = variants(runs)
    assert len({str(variant) for variant in found}) == 8
    assert found[0] == {"architecture.width": "64", "architecture.norm": "none", "training.batch_size": "32"}
    frame = rows(activation=[run.config.activation.name for run in runs], variant=list(found))
    assert summarize(frame)["n"].tolist() == [2] * 16
    assert labelled(frame)["task"].nunique() == 8


def test_settings_of_an_activation_distinguish_series_not_tasks(digits: PreparedData) -> None:
    from actbench.experiment.compose import compose_grid

    points = compose_grid(["activation=leaky_relu", "activation.slope=0.01,0.2", "training.steps=2"])
    found = variants([make_run(point, digits, "sweep") for point in points])
    assert found == [{"activation.slope": "0.01"}, {"activation.slope": "0.2"}]
    named = labelled(rows(activation=["leaky_relu"] * 2, variant=list(found)))
    assert named["task"].tolist() == ["digits, mlp"] * 2
    assert named["series"].tolist() == ["leaky_relu slope=0.01", "leaky_relu slope=0.2"]
