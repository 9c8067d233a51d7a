"""Learning curves in small multiples."""

import numpy as np
import pandas as pd
import pytest

from actbench.report.figures.cells import above
from actbench.report.figures.curves import curves_figure, task_curves
from actbench.report.figures.style import NARROW, WIDTH
from tests.report.runs import compared, curves_of

STEPS = (0, 10, 20, 100)
LAST = {"relu": 0.96, "gelu": 0.97, "tanh": 0.3}
SCORES = {name: [last] * 9 for name, last in LAST.items()}


def rising(series: str, seed: int, step: int) -> float:
    return LAST[series] * (1 - 0.9 * 0.1 ** (step / 20)) + 0.001 * seed


def test_curves_are_the_mean_and_percentiles_over_seeds() -> None:
    comparison = compared({"relu": [0.9] * 11, "gelu": [0.9] * 10 + [None]})
    curves = curves_of(comparison, lambda series, seed, step: (seed + step) / 200, STEPS)
    lost = comparison.ended.loc[comparison.ended["status"] == "diverged", "run_id"].item()
    curves = curves[~((curves["run_id"] == lost) & (curves["step"] > 10))]
    found = task_curves(comparison, curves)
    assert found is not None
    relu, gelu = found.bands["relu"], found.bands["gelu"]
    assert relu.line[:, 0].tolist() == list(STEPS)
    assert relu.line[:, 1] == pytest.approx([(5 + step) / 200 for step in STEPS])
    assert (relu.low[0], relu.high[0]) == pytest.approx((1 / 200, 9 / 200))
    assert gelu.line[-1, 1] == pytest.approx(sum(seed + 100 for seed in range(10)) / 200 / 11)  # 0 from then on
    assert task_curves(comparison, curves[curves["metric"] == "none"]) is None


def test_the_panel_shows_the_last_values_and_failures_are_arrows() -> None:
    comparison = compared(SCORES)
    curves = curves_of(comparison, rising, STEPS)
    found = task_curves(comparison, curves)
    assert found is not None
    low, high = found.limits
    assert 0.7 < low < 0.96 < 0.975 < high < 1
    (axis,) = curves_figure([comparison], curves).axes
    texts = [text.get_text() for text in axis.texts]
    assert texts.count("30") == 1  # tanh's last value, beside its arrow
    assert [text for text in texts if text in LAST] == ["gelu", "relu", "tanh"]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("tasks", [1, 3, 6])
def test_rows_are_series_in_one_order_and_each_has_a_panel_in_each_task(tasks: int, narrow: bool) -> None:
    compared_tasks = [compared(SCORES, f"task{number}") for number in range(tasks)]
    frames = [curves_of(comparison, rising, STEPS) for comparison in compared_tasks]
    curves = pd.concat(frames)
    figure = curves_figure(compared_tasks, curves, NARROW if narrow else WIDTH)
    assert figure.get_size_inches()[0] == (NARROW if narrow else WIDTH)
    (axis,) = figure.axes
    names = [text.get_text() for text in axis.texts if text.get_text() in LAST]
    columns = tasks == 3 and not narrow
    assert names == ["gelu", "relu", "tanh"] * (1 if columns else tasks)
    bands = axis.collections[0]
    assert len(bands.get_paths()) == 3 * tasks
    height, places = axis.get_ylim()[0], [text.get_position() for text in axis.texts]
    assert all(0 <= x <= figure.get_size_inches()[0] and 0 <= y <= height for x, y in places)


def test_many_series_are_a_block_of_panels_per_task_that_fits_a_page() -> None:
    scores = {f"f{number}": [0.9 + number / 1000] * 6 for number in range(30)}
    tasks = [compared(scores, name) for name in ("mlp", "cnn", "transformer")]
    curves = pd.concat([curves_of(task, lambda *_: 0.9, STEPS) for task in tasks])
    assert curves_figure(tasks, curves).get_size_inches()[1] < 9.5


def test_lines_end_at_the_edge_of_their_panel() -> None:
    line = np.array([[0.0, 3.0], [1.0, 1.0], [2.0, 1.0], [3.0, 2.0], [4.0, 0.0]])  # y points down
    parts = [part.tolist() for part in above(line, 1.5)]
    assert parts == [[[0.75, 1.5], [1, 1], [2, 1], [2.5, 1.5]], [[3.25, 1.5], [4, 0]]]
    assert list(above(line, 0.0 - 1)) == []
