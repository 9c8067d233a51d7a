"""The first page of a report: its line of conditions, its table and its figure."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison
from actbench.experiment.request import Request
from actbench.report.draw import Draw
from actbench.report.figures.differences import differences_figure
from actbench.report.figures.style import NARROW, VERDICTS
from actbench.report.formats.blocks import Figure, Heading, Paragraph
from actbench.report.front import conditions, front_page, front_table
from actbench.report.headline import overrides_line
from actbench.store.files import costs_frame
from tests.analysis.frames import chosen_runs

REQUEST = Request("mine", "Which?", "actbench compare", "", "relu", 0.01, (0.95,), versions={"actbench": "0.1"})
ENVIRONMENT = {"date": "2026-11-22T10:00:00+00:00", "processor": "Some CPU", "cores": 2, "seconds": 133.4}


def compared(scores: Mapping[str, Sequence[float | None]], architecture: str = "mlp", n_test: int = 359) -> Comparison:
    frame = labelled(chosen_runs(scores, architecture=architecture))
    return Comparison(f"digits, {architecture}", frame, "relu", 0.01, n_test=n_test)


SCORES = {"relu": [0.9] * 6, "gelu": [0.899] * 6, "tanh": [0.6] * 6}
NONE = judge_hypotheses([], chosen_runs({"relu": [0.9]}), costs_frame([]), 0.01)
MLP, CNN = compared(SCORES), compared({"relu": [0.9] * 6, "gelu": [0.93] * 6, "tanh": [0.9] * 6}, "cnn")


def test_the_conditions_are_one_line() -> None:
    assert conditions([MLP, CNN], REQUEST, ENVIRONMENT) == (
        "6 seeds · 359 test examples drawn by each seed · margin 1 point · 2026-11-22 · actbench 0.1 · 2 min 13 s on "
        "Some CPU, 2 cores."
    )
    slow = labelled(pd.concat([MLP.runs, chosen_runs({"relu": [0.5] * 6}, lr=1 / 30, chosen=False, raced_out=True)]))
    tuned = Comparison("digits, mlp", slow, "relu", 0.01)
    assert "learning rate tuned per activation (0.0333 to 0.1)" in conditions([tuned], REQUEST, {})


def test_the_time_of_a_comparison_is_that_of_all_commands_which_trained_it() -> None:
    assert " · 2 min 13 s in 3 commands on Some CPU" in conditions([MLP], REQUEST, ENVIRONMENT | {"commands": 3})


def test_overrides_that_change_the_question_stand_below_it() -> None:
    narrowed = "dataset.root=data activation=relu,gelu store.uri=x seed=range(0, 3) ~optimizer.momentum"
    assert overrides_line(narrowed) == "With: `activation=relu,gelu`, `seed=range(0, 3)`, `~optimizer.momentum`."
    assert overrides_line("execution.workers=2") == overrides_line("") == ""
    request = dataclasses.replace(REQUEST, overrides="seed=1")
    no_figure: Draw = lambda make, name, caption: Figure(name, caption)  # noqa: E731
    first, second, *_ = front_page([MLP], NONE, request, {}, no_figure)
    assert (first, second) == (Heading(1, "Which?"), Paragraph("With: `seed=1`.", "note"))


def test_the_table_has_a_column_per_task_or_with_many_tasks_a_row() -> None:
    table = front_table([MLP, CNN], REQUEST).set_index(" ").to_dict("index")
    assert table["**take**"] == {"MLP": "relu, gelu", "CNN": "gelu"}  # the baseline first
    assert table["**avoid**"] == {"MLP": "tanh (60.0 %)", "CNN": "relu (90.0 %), tanh (90.0 %)"}
    assert "undecided" not in table  # nothing is
    assert table["fastest to 95 %"]["MLP"] == "no difference shown (35 to 35 steps; relu 35)"
    many = [Comparison(f"digits, mlp, {name}", MLP.runs, "relu", 0.01) for name in "abcd"]
    assert front_table(many, REQUEST)[" "].tolist() == ["a", "b", "c", "d"]


def test_costs_and_dead_units_name_the_ends_and_the_baseline() -> None:
    rounds = {name: pd.DataFrame({"step_share": [share] * 3, "step_ns": [1.0] * 3, "activation_ns": [1.0] * 3})
              for name, share in {"relu": 0.1, "gelu": 0.3, "tanh": 0.05}.items()}  # fmt: skip
    runs = MLP.runs.assign(dead_fraction=MLP.runs["activation"].map({"relu": 0.131, "gelu": 0.001, "tanh": 0.02}))
    table = front_table([Comparison("digits, mlp", runs, "relu", 0.01, rounds)], REQUEST).set_index(" ")
    texts = table["digits, MLP"].to_dict()
    assert texts["cost, share of a step"] == "tanh 5 % to gelu 30 %; relu 10 %"
    assert texts["dead units"] == "relu 13 %, tanh 2 %"


def test_the_figure_draws_points_inside_its_axis_and_arrows_with_values_for_the_others() -> None:
    noise = np.linspace(-0.03, 0.03, 8)
    comparison = compared({"relu": [0.9] * 8, "gelu": [*(0.905 + noise)], "tanh": [0.6] * 8, "silu": [0.9001] * 8})
    (axis,) = differences_figure([comparison]).axes
    low, high = axis.get_xlim()
    assert -low == high <= 5.25  # margins of a point
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["gelu", "silu", "tanh", "-30"]  # the baseline is the line at 0
    points = {int(np.asarray(line.get_ydata())[0]): line for line in axis.lines if line.get_marker() in ("o", "<")}
    assert np.asarray(points[0].get_xdata())[0] == pytest.approx(100 * (0.905 - 0.9))
    assert points[0].get_markerfacecolor() == "white"  # inconclusive: hollow
    assert (points[1].get_markerfacecolor(), points[1].get_marker()) == (VERDICTS["equal"], "o")
    assert (points[2].get_marker(), points[2].get_color()) == ("<", VERDICTS["worse"])
    assert re.fullmatch(r"digits, MLP +relu\xa090.0\xa0%", axis.get_title())


def test_panels_have_one_order_and_one_scale_and_stand_one_above_the_other_in_a_column() -> None:
    wide, narrow = differences_figure([MLP, CNN]), differences_figure([MLP, CNN], NARROW)
    for figure in (wide, narrow):
        first, second = figure.axes
        assert first.get_xlim() == second.get_xlim()
        assert first.get_ylim() == second.get_ylim()
    assert {axis.get_position().x0 for axis in narrow.axes} != {axis.get_position().x0 for axis in wide.axes}
    assert narrow.get_size_inches()[0] < wide.get_size_inches()[0]
    labelled_panels = [{"gelu", "tanh"} <= {text.get_text() for text in axis.texts} for axis in wide.axes]
    assert labelled_panels == [True, False]  # names stand at the left of a row of panels
    assert all({"gelu", "tanh"} <= {text.get_text() for text in axis.texts} for axis in narrow.axes)
