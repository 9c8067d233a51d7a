"""Sets of activations to take, to avoid and to leave open; speed and cost order them and change none."""

import numpy as np
import pandas as pd

from actbench.analysis.differences import Difference
from actbench.analysis.recommendation import Recommendation, recommend

RANKING = ("gelu", "relu", "tanh", "sigmoid")
CLOSE = {"relu": 0.01, "tanh": 0.2, "sigmoid": 1.0}


def difference(mean: float, p: float, p_worse: float, n: int = 9) -> Difference:
    return Difference(mean, mean, mean, n, p, p_worse, 1.0, 1.0, 10)


TO_BEST = {
    "relu": difference(-0.001, 0.9, 1.0), "tanh": difference(-0.008, 0.04, 0.5),
    "sigmoid": difference(-0.1, 0.004, 0.004),
}  # fmt: skip


def steps(**columns: list[int]) -> pd.DataFrame:
    return pd.DataFrame(columns, dtype=float)


NINE = steps(gelu=[50] * 9, relu=[40, 50] * 4 + [40], tanh=[60] * 9, sigmoid=[120] * 9)
ARRIVE = ("gelu", "relu", "tanh")


def found(costs: dict[str, float], of_steps: pd.DataFrame = NINE) -> Recommendation:
    return recommend(RANKING, TO_BEST, CLOSE, of_steps, ARRIVE, costs)


def test_sets_follow_from_scores() -> None:
    sets = found({})
    assert sets.best == "gelu"
    assert set(sets.take) == {"gelu", "relu"}
    assert sets.avoid == ("sigmoid",)
    assert sets.undecided == ("tanh",)  # slightly worse, and not shown to be close


def test_costs_and_speed_order_what_to_take_and_change_no_set() -> None:
    generator = np.random.default_rng(0)
    reference = found({})
    for _ in range(20):
        costs = dict(zip(RANKING, generator.uniform(1, 100, 4), strict=True))
        sets = found(costs, NINE[[RANKING[place] for place in generator.permutation(4)]])
        assert (set(sets.take), sets.avoid, sets.undecided) == (
            set(reference.take), reference.avoid, reference.undecided,
        )  # fmt: skip
    level = steps(gelu=[50] * 9, relu=[50] * 9, tanh=[60] * 9, sigmoid=[120] * 9)
    assert found({"gelu": 2.0, "relu": 1.0, "tanh": 1.0, "sigmoid": 1.0}, level).take == ("relu", "gelu")
    assert found({"gelu": 1.0, "relu": 2.0, "tanh": 1.0, "sigmoid": 1.0}, level).take == ("gelu", "relu")


def test_the_baseline_is_named_first_among_what_to_take() -> None:
    assert recommend(RANKING, TO_BEST, CLOSE, NINE, ARRIVE, {}, "gelu").take == ("gelu", "relu")
    assert recommend(RANKING, TO_BEST, CLOSE, NINE, ARRIVE, {}, "tanh").take == ("relu", "gelu")


def test_fastest_are_those_not_shown_to_need_more_steps() -> None:
    assert found({}).fastest == ("relu",)  # gelu needs more on five seeds of nine, and never fewer
    level = steps(gelu=[50, 40] * 4 + [50], relu=[40, 50] * 4 + [40], tanh=[60] * 9, sigmoid=[120] * 9)
    assert set(found({}, level).fastest) == {"relu", "gelu"}
    nobody = recommend(RANKING, TO_BEST, CLOSE, NINE, (), {})
    assert nobody.fastest == ()


def test_too_few_seeds_decide_nothing() -> None:
    sets = recommend(RANKING, TO_BEST, CLOSE, NINE.head(5), ARRIVE, {})
    assert sets.take == ("gelu",)
    assert sets.avoid == ()
    assert sets.undecided == ("relu", "tanh", "sigmoid")
