"""Steps to the target and the area under a curve, by hand."""

import numpy as np
import pytest

from actbench.metrics.convergence import area_under_curve, first_reached


def test_first_evaluation_at_target_and_never() -> None:
    accuracy = np.array([0.1, 0.5, 0.4, 0.5])
    assert first_reached(accuracy, 0.5) == 1
    assert first_reached(accuracy, 0.6) is None


def test_area_under_curve_weighs_uneven_steps() -> None:
    assert area_under_curve([0, 10, 40], np.array([0.0, 1.0, 1.0])) == pytest.approx((5 + 30) / 40)
    assert area_under_curve([0], np.array([0.25])) == 0.25
