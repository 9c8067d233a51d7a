"""The power of a comparison by the formula, against the calibration of the whole procedure and against its tests."""

import math
from pathlib import Path

import numpy as np
import pytest

from actbench.analysis.differences import Pair, judge
from actbench.analysis.power import POWER, detectable, power

PAGE = Path(__file__).parents[2] / "results" / "reference" / "calibration.md"
DEVIATION = 0.0085  # of ReLU's differences to itself on digits, by the widths of its intervals


def calibrated() -> list[tuple[int, list[float]]]:
    """Seeds, and the shares of repetitions that find 0.5, 1 and 2 points, of each architecture."""
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().split("## Power")[1].split("## ")[0].splitlines()]
    return [
        (int(row[1]), [float(cell.removesuffix(" % ")) / 100 for cell in row[2:]])
        for row in rows
        if len(row) == 5 and row[1].strip().isdigit()
    ]


def test_the_formula_has_the_power_of_the_calibration() -> None:
    assert len(calibrated()) == 6
    for seeds, shares in calibrated():
        for points, share in zip((0.005, 0.01, 0.02), shares, strict=True):
            assert power(points, DEVIATION, seeds, 0.01) == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize(("seeds", "family"), [(9, 1), (9, 5), (7, 3)])
def test_the_formula_has_the_power_of_the_tests(seeds: int, family: int) -> None:
    difference, generator = 0.012, np.random.default_rng(0)
    found = 0
    for _ in range(200):
        baseline, *scores = generator.normal(0, DEVIATION / math.sqrt(2), (family + 1, seeds))
        differences = [own - baseline for own in scores]
        differences[0] = differences[0] + difference
        first = judge([Pair(own, np.full(10, own.mean())) for own in differences], 0.01)[0]
        found += first.verdict in ("better", "slightly better")
    assert power(difference, DEVIATION, seeds, 0.01, family) == pytest.approx(found / 200, abs=0.1)


def test_the_detectable_difference_is_found_with_the_power_that_is_claimed() -> None:
    least = detectable(DEVIATION, 9, 0.01, 3)
    assert power(least, DEVIATION, 9, 0.01, 3) == pytest.approx(POWER, abs=0.01)
    assert detectable(DEVIATION, 13, 0.01, 3) < least < detectable(2 * DEVIATION, 9, 0.01, 3)
    assert detectable(DEVIATION, 5, 0.01) == math.inf  # fewer than six seeds give no verdict
