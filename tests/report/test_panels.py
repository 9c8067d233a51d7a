"""Titles, colours and names of panels."""

import numpy as np
import pytest

from actbench.report.figures.panels import colour, fixed_panels, highlighted, inches, write_names
from actbench.report.figures.style import NARROW, VERDICTS, WIDTH
from tests.report.runs import compared


@pytest.mark.parametrize("narrow", [False, True])
def test_panels_have_the_sizes_that_are_asked_for_and_room_for_titles_of_several_lines(narrow: bool) -> None:
    short, panels = fixed_panels(["a", "b"], 1.5, 1 if narrow else 2, NARROW if narrow else WIDTH)
    assert short.get_size_inches()[0] == (NARROW if narrow else WIDTH)
    assert [inches(panel)[1] for panel in panels] == pytest.approx([1.5, 1.5])
    long, (panel, _) = fixed_panels(["a", "many words " * 12], 1.5, 1 if narrow else 2, NARROW if narrow else WIDTH)
    assert inches(panel)[1] == pytest.approx(1.5)
    assert long.get_size_inches()[1] > short.get_size_inches()[1]


def test_colours_are_verdicts_and_three_series_are_named() -> None:
    up, down = np.linspace(0, 0.01, 9), np.linspace(0.01, 0, 9)
    comparison = compared({
        "tanh": list(0.5 + up), "relu": list(0.9 + up), "gelu": list(0.95 + down), "sigmoid": list(0.3 + up),
        "silu": list(0.9 + up),
    })  # fmt: skip
    shades = [colour(comparison, name) for name in ("relu", "gelu", "sigmoid", "silu")]
    assert shades == ["#000000", VERDICTS["better"], VERDICTS["worse"], VERDICTS["equal"]]
    assert highlighted(comparison) == ["relu", "gelu", "sigmoid"]
    few = compared({"relu": [0.9, 0.91], "gelu": [0.8, 0.7]})
    assert colour(few, "gelu") == VERDICTS["no verdict"]
    assert highlighted(few) == ["relu"]


def test_a_name_stands_where_it_is_not_taken_for_that_of_another_line() -> None:
    _, (axis,) = fixed_panels(["a"], 1.5, 1)
    axis.set(xlim=(0, 1), ylim=(0, 1))
    lines = {
        "relu": np.array([[0.0, 0.5], [1.0, 0.5]]), "close": np.array([[0.0, 0.51], [0.8, 0.51], [1.0, 0.9]]),
        "between": np.array([[0.0, 0.505], [0.7, 0.505]]),
    }  # fmt: skip
    write_names(axis, lines, dict.fromkeys(lines, "#000000"))
    texts = {text.get_text(): text.get_position() for text in axis.texts}
    assert set(texts) == {"relu", "close"}  # no place is nearest to `between`
    assert texts["relu"][1] < 0.5 or texts["relu"][0] > 0.85  # where the other one is far above
    assert texts["close"][1] > 0.51
