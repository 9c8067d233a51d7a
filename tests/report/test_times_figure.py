"""Steps to the target at the fastest rate."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from actbench.report.figures.style import NARROW, WIDTH
from actbench.report.figures.times import times_figure
from tests.report.runs import compared, compared_at_rates

NINE = [0.9] * 9


def test_the_speed_is_at_the_fastest_rate_and_runs_that_never_arrive_count_with_their_full_length() -> None:
    comparison = compared_at_rates({"relu": {0.1: NINE, 1.0: NINE}, "tanh": {0.1: [*NINE[:6], None, None, None]}})
    slow = comparison.runs["lr"].eq(0.1) & comparison.runs["series"].eq("relu")
    comparison.runs.loc[slow, "steps_to_target"] += 5
    found = comparison.speeds  # seed s arrives after 10 (s + 1) steps of 100
    assert (found["relu"].mean, found["relu"].reached, found["relu"].runs) == (50, 9, 9)
    assert found["relu"].low < 50 < found["relu"].high
    assert found["tanh"].reached == 6
    assert found["tanh"].mean == pytest.approx((210 + 300) / 9)
    (single,) = compared({"relu": [0.9]}).speeds.values()
    assert np.isnan([single.low, single.high]).all()


@pytest.mark.parametrize("narrow", [False, True])
def test_rows_are_in_one_order_and_censored_means_are_triangles(narrow: bool) -> None:
    scores: dict[str, list[float | None]] = {"relu": [*NINE], "tanh": [0.95] * 5 + [None] * 4, "gelu": [0.95] * 9}
    tasks = [compared(scores), compared({name: scores[name] for name in ("relu", "tanh")}, "cnn")]
    figure = times_figure(tasks, NARROW if narrow else WIDTH)
    assert figure is not None
    first, second = figure.axes
    assert [text.get_text() for text in first.texts[:3]] == ["gelu", "relu", "tanh"]
    marks = {line.get_marker(): line.get_ydata() for line in second.lines if line.get_marker() != "None"}
    assert {marker: np.asarray(places).tolist() for marker, places in marks.items()} == {"o": [1], ">": [2]}
    assert [text.get_text() for text in second.texts if " of " in text.get_text()] == ["5 of 9"]
    _, intervals = [found for found in second.collections if isinstance(found, LineCollection)]
    assert len(intervals.get_segments()) == 2
    baseline = [line for line in second.lines if line.get_marker() == "None"]
    assert [np.asarray(line.get_xdata()).tolist() for line in baseline] == [[50, 50]]


def test_tasks_in_which_no_run_arrives_have_no_panel() -> None:
    never = compared({"relu": [0.9] * 3}, "cnn")
    never.runs.loc[:, "reached_target"] = False
    never.runs.loc[:, "steps_to_target"] = np.nan
    assert times_figure([never]) is None
    both = times_figure([never, compared({"relu": [0.9] * 3})])
    assert both is not None
    assert [axis.get_title() for axis in both.axes] == ["MLP"]
