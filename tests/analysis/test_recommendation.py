"""The path to a recommendation by hand."""

import numpy as np
import pandas as pd

from actbench.analysis.recommendation import decide


def test_the_criteria_of_a_recommendation_by_hand() -> None:
    accuracy = pd.DataFrame({"a": [0.90] * 6, "b": [0.895] * 6, "c": [0.899] * 6, "d": [0.80] * 6})
    steps = pd.DataFrame({"a": [100.0] * 6, "b": [50.0] * 6, "c": [54.0] * 6, "d": [10.0] * 6})
    decision = decide(accuracy, steps, {}, 0.01)
    assert decision.series == ("a", "c", "b", "d")
    assert decision.accurate == ("a", "c", "b")  # d is fast, and far less accurate
    assert decision.fast == ("b", "c")  # 54 is within a tenth of 50
    assert (decision.choice, decision.agreement) == ("c", 1.0)  # costs unknown: the more accurate of the two
    assert decide(accuracy, steps, {"b": 1.0, "c": 2.0}, 0.01).choice == "b"


def test_a_recommendation_that_depends_on_the_seeds_is_marked() -> None:
    accuracy = pd.DataFrame({"a": [0.90, 0.92] * 4, "b": [0.92, 0.899] * 4})
    steps = pd.DataFrame({name: np.full(8, 10.0) for name in "ab"})
    assert 0.3 < decide(accuracy, steps, {}, 0.0).agreement < 0.95
