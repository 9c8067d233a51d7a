"""Paired differences against hand-made arrays and a second implementation of the bootstrap."""

import math

import numpy as np
import pandas as pd
import pytest

from actbench import plan, report, tables
from actbench.datasets import Prepared
from actbench.statistics import Difference, paired_difference


def test_mean_is_paired_and_the_interval_agrees_with_a_plain_bootstrap() -> None:
    generator = np.random.default_rng(1)
    shared = generator.normal(0.9, 0.05, 40)  # seeds differ much more than activations
    own, base = shared + generator.normal(0.01, 0.005, 40), shared
    found = paired_difference(own, base)
    assert found.mean == pytest.approx((own - base).mean())
    samples = generator.choice(own - base, (20_000, 40)).mean(1)
    assert [found.low, found.high] == pytest.approx(np.quantile(samples, [0.025, 0.975]), abs=3e-4)
    assert found.verdict(0.0) == "higher"
    assert found.verdict(0.02) == "practically equal"
    assert paired_difference(base, own).verdict(0.0) == "lower"


def test_degenerate_pairs() -> None:
    same = paired_difference(np.linspace(0.5, 0.6, 6), np.linspace(0.5, 0.6, 6))
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert same.verdict(0.01) == "practically equal"
    one = paired_difference(np.array([0.5]), np.array([0.4]))
    assert math.isnan(one.low)
    assert one.verdict(0.01) == "too few seeds to say"
    five = paired_difference(np.linspace(0.8, 0.9, 5), np.linspace(0.1, 0.2, 5))
    assert five.verdict(0.01) == "too few seeds to say"


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
    assert Difference((low + high) / 2, low, high, 10).verdict(0.01) == verdict


def rows(**columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    defaults: dict[str, object] = {
        "dataset": "digits", "architecture": "mlp", "initialization": "matched", "optimizer": "adam",
        "activation": "relu", "lr": 0.1, "variant": "", "status": "finished", "dead_fraction": 0.0,
        "reached_target": True, "val_accuracy": 0.5, "test_accuracy": 0.5, "steps_to_target": 10, "seed": 0,
        "phase": "confirm",
    }  # fmt: skip
    return pd.DataFrame({key: columns.get(key, [value] * n) for key, value in defaults.items()})


def test_differences_pair_by_seed_and_count_a_lost_run_as_0() -> None:
    frame = rows(
        activation=["relu", "relu", "gelu", "gelu"], seed=[1, 2, 2, 1], test_accuracy=[0.5, 0.7, 0.8, None],
        status=["finished", "finished", "finished", "diverged"],
    )  # fmt: skip
    found = report.differences(tables.labelled(frame), "relu")
    assert set(found) == {"gelu"}
    assert found["gelu"].mean == pytest.approx(((0.0 - 0.5) + (0.8 - 0.7)) / 2)
    assert report.differences(tables.labelled(frame), "tanh") == {}


def test_runs_that_differ_in_anything_but_the_seed_are_never_averaged(digits: Prepared) -> None:
    from actbench import compose

    points = compose.configs([
        "architecture=mlp_small,mlp", "architecture.norm=none,batch", "activation=leaky_relu,relu", "seed=0,1",
        "training.steps=2", "training.batch_size=32,64",
    ])  # fmt: skip
    runs = [plan.make_run(point, digits, "sweep") for point in points]
    found = plan.variants(runs)
    assert len(set(found)) == 8
    assert found[0] == "architecture.width=64 architecture.norm=none training.batch_size=32"
    frame = rows(activation=[run.config.activation.name for run in runs], variant=list(found))
    assert tables.summary(frame)["n"].tolist() == [2] * 16
    assert tables.labelled(frame)["setting"].nunique() == 8


def test_settings_of_an_activation_set_series_apart_not_settings(digits: Prepared) -> None:
    from actbench import compose

    points = compose.configs(["activation=leaky_relu", "activation.slope=0.01,0.2", "training.steps=2"])
    found = plan.variants([plan.make_run(point, digits, "sweep") for point in points])
    assert found == ["activation.slope=0.01", "activation.slope=0.2"]
    labelled = tables.labelled(rows(activation=["leaky_relu"] * 2, variant=list(found)))
    assert labelled["setting"].tolist() == ["digits, mlp"] * 2
    assert labelled["series"].tolist() == ["leaky_relu activation.slope=0.01", "leaky_relu activation.slope=0.2"]
