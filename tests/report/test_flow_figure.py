"""The decision flow leads from each task to what may be taken, and says what to avoid."""

from itertools import pairwise

import pytest

from actbench.report.figures.flow import flow_figure
from actbench.report.figures.style import NARROW, WIDTH
from tests.report.runs import compared

SCORES = {"relu": [0.95, 0.96] * 4, "gelu": [0.952, 0.961] * 4, "tanh": [0.6, 0.61] * 4}


@pytest.mark.parametrize("narrow", [False, True])
def test_each_task_leads_to_what_may_be_taken_and_to_what_to_avoid(narrow: bool) -> None:
    figure = flow_figure(
        [compared(SCORES), compared({**SCORES, "tanh": [0.95, 0.961] * 4}, "cnn")], NARROW if narrow else WIDTH
    )
    (axis,) = figure.axes
    texts = {text.get_text(): text for text in axis.texts}
    assert [name for name in texts if name in ("MLP", "CNN")] == ["MLP", "CNN"]
    assert texts["MLP"].get_position()[1] > texts["CNN"].get_position()[1]
    assert {"relu (or 1 more)", "relu (or 2 more)"} <= set(texts)
    assert [text for text in texts if text.startswith("avoid")] == ["avoid tanh"]
    bottom = axis.get_ylim()[0]
    heights = sorted({text.get_position()[1] for text in axis.texts if text.get_position()[0] > 0.5})
    assert all(upper - lower > 0.1 for lower, upper in pairwise([bottom, *heights]))  # inches
