"""Validation accuracy over the learning rate."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection

from actbench.analysis.rates import mean_scores
from actbench.report.figures.rates import arrows, rates_figure, zoomed
from actbench.report.figures.style import NARROW, VERDICTS, WIDTH
from tests.report.runs import ByRate, compared, compared_at_rates

NINE = [0.90, 0.92, 0.91, 0.93, 0.90, 0.94, 0.91, 0.92, 0.93]


def lowered(by: float, seeds: int = 9) -> list[float | None]:
    return [value - by for value in NINE[:seeds]]


BY_SERIES: dict[str, ByRate] = {
    "relu": {0.01 / 3: lowered(0.005, 3), 0.01: lowered(0), 0.03: lowered(0.01)},
    "gelu": {0.01 / 3: lowered(0.6, 3), 0.01: lowered(0.03, 3), 0.03: lowered(0)},
    "tanh": {0.01 / 3: [None] * 3, 0.01: lowered(0.7), 0.03: lowered(0.8, 3)},
}


def test_means_are_over_the_seeds_of_a_rate_and_a_run_that_diverged_counts_as_0() -> None:
    means = mean_scores(compared_at_rates({"relu": {0.1: [0.9, None, 0.6], 1.0: [0.5]}}))
    assert means["relu"].to_dict() == pytest.approx({0.1: 0.5, 1.0: 0.5})


def test_the_axis_is_not_stretched_to_failures() -> None:
    low, high = zoomed(pd.Series([0.98, 0.97, 0.95, 0.1]), margin=0.005)  # the unit is 0.98 - 0.97
    assert (low, high) == pytest.approx((0.95 - 2 * 0.01, 0.98 + 0.18 * 0.05))
    assert zoomed(pd.Series([0.98, 0.1]), margin=0.01)[0] == pytest.approx(0.96)
    assert zoomed(pd.Series([0.02, 0.01]), margin=0.1)[0] == 0


def test_rates_below_the_panel_are_arrows_with_their_values() -> None:
    means = pd.DataFrame({"relu": [0.9, 0.95], "gelu": [0.2, 0.94], "tanh": [0.1, 0.3]}, index=[0.01, 0.1])
    assert arrows(means, 0.9) == {0.01: ("10-20", ["gelu", "tanh"]), 0.1: ("30", ["tanh"])}
    assert arrows(means, 0.9, ["tanh"])[0.1] == ("tanh 30", ["tanh"])
    assert arrows(means, 0.1) == {}


@pytest.mark.parametrize("narrow", [False, True])
def test_chosen_rates_are_large_and_raced_out_rates_hollow(narrow: bool) -> None:
    (axis,) = rates_figure([compared_at_rates(BY_SERIES)], NARROW if narrow else WIDTH).axes
    (dots,) = [found for found in axis.collections if isinstance(found, PathCollection)]
    shown = {
        (round(float(10**x), 4), round(float(y), 1)): (size, tuple(face))
        for (x, y), size, face in zip(
            np.asarray(dots.get_offsets()), dots.get_sizes(), np.asarray(dots.get_facecolor()), strict=True
        )
    }
    white = (1, 1, 1, 1)
    assert {place for place, (size, _) in shown.items() if size > 9} == {(0.01, 91.8), (0.03, 91.8)}
    assert {place for place, (_, face) in shown.items() if face == white} == {(0.0033, 90.5)}
    assert axis.get_ylim()[0] == pytest.approx(89.8, abs=0.1)
    texts = [text.get_text() for text in axis.texts]
    assert texts[:3] == ["tanh 22", "0-31", "11"]
    assert texts[3:] == ["relu", "gelu"]  # of few series all
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.00333", "0.01", "0.03"]


def test_the_line_in_front_is_the_baselines_and_others_have_the_colour_of_their_verdict() -> None:
    (axis,) = rates_figure([compared_at_rates(BY_SERIES)]).axes
    (lines,) = [found for found in axis.collections if isinstance(found, LineCollection)]
    assert np.asarray(lines.get_color())[-1].tolist() == [0, 0, 0, 1]
    assert len(lines.get_segments()) == 3
    legend = [text.get_text() for text in axis.figure.legends[0].get_texts()]
    assert legend == ["chosen", "all seeds", "raced out", "equal", "worse"]
    assert VERDICTS["equal"] != VERDICTS["worse"]


def test_a_task_without_a_run_that_ended_has_no_panel() -> None:
    lost = compared({"relu": [0.9, 0.8]}, "cnn")
    lost.runs["status"] = "failed"
    assert len(rates_figure([compared({"relu": [0.9, 0.8]}), lost]).axes) == 1
