"""The figures of a sweep."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.labels import labelled
from actbench.analysis.summary import summarize
from actbench.experiment.request import Request
from actbench.report.figures.sweep import MOST_ROWS, curves_figure, scores_figure
from actbench.report.sweep import best, write_sweep
from tests.analysis.frames import chosen_runs

NO_CURVES = pd.DataFrame(columns=["run_id", "step", "metric", "value"])
REQUEST = Request("mine", "Which?", "actbench sweep", "", "relu", 0.01)


def test_accuracies_are_means_in_their_order_and_arrows_with_values_far_below() -> None:
    runs = chosen_runs({"relu": [0.92, 0.94], "gelu": [0.95, 0.97], "tanh": [0.91, 0.93], "sigmoid": [0.1, None],
                        "selu": [None, None]})  # fmt: skip
    (axis,) = scores_figure(labelled(runs), "score").axes
    names = ["selu (2 diverged)", "sigmoid (1 diverged)", "tanh", "relu", "gelu"]
    assert [label.get_text() for label in axis.get_yticklabels()] == names
    means = [np.asarray(line.get_xdata())[0] for line in axis.lines if line.get_marker() == "|"]
    assert means == pytest.approx([92, 93, 96])
    assert [text.get_text() for text in axis.texts] == ["10"]  # the mean of the run that finished
    assert axis.get_xlim()[0] > 75


def test_lines_name_the_rate_where_there_are_several_and_are_not_too_many() -> None:
    runs = pd.concat([chosen_runs({f"mine:f{n}": [0.5 + n / 200] for n in range(30)}, lr=lr) for lr in (0.1, 1 / 30)])
    (axis,) = scores_figure(labelled(runs), "val_score").axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert len(names) == MOST_ROWS
    assert {name.split(", ")[1] for name in names} == {"0.1", "0.0333"}


def test_curves_have_a_panel_per_series_and_the_best_rate_in_black() -> None:
    runs = labelled(pd.concat([chosen_runs({"relu": [0.9], "tanh": [0.9]}, lr=lr).assign(run_id=[f"a{lr}", f"b{lr}"])
                               for lr in (0.1, 0.2)]))  # fmt: skip
    points = [(run_id, step, "val_accuracy", step / 20 + (0.1 if run_id in ("a0.2", "b0.1") else 0))
              for run_id in runs["run_id"] for step in (0, 10)]  # fmt: skip
    figure = curves_figure(runs, pd.DataFrame(points, columns=["run_id", "step", "metric", "value"]))
    assert [axis.get_title() for axis in figure.axes[:2]] == ["relu (0.2)", "tanh (0.1)"]
    for axis in figure.axes[:2]:
        assert axis.lines[-1].get_color() == "#000000"
        assert axis.lines[-1].get_ydata() == pytest.approx([10, 60])


def test_a_rate_at_which_runs_diverged_is_not_the_best() -> None:
    runs = labelled(pd.concat([chosen_runs({"relu": [0.9, last]}, lr=lr).assign(run_id=[f"a{lr}", f"b{lr}"])
                               for lr, last in ((0.1, 0.9), (0.2, None))]))  # fmt: skip
    points = [(run_id, step, "val_accuracy", 0.95 if run_id == "a0.2" else 0.9)
              for run_id in runs["run_id"] for step in (0, 10) if (run_id, step) != ("b0.2", 10)]  # fmt: skip
    figure = curves_figure(runs, pd.DataFrame(points, columns=["run_id", "step", "metric", "value"]))
    assert figure.axes[0].get_title() == "relu (0.1)"


def test_a_sweep_without_results_has_no_figures(tmp_path: Path) -> None:
    runs = chosen_runs({"relu": [None]}, val_score=None, score=None)
    assert write_sweep(tmp_path, runs, NO_CURVES, REQUEST, {}) == []
    assert not (tmp_path / "figures").exists()


def test_a_report_begins_with_the_best_of_each_task_and_says_that_nothing_is_tested(tmp_path: Path) -> None:
    mlp = chosen_runs({"relu": [0.92, 0.94], "gelu": [0.95, None]})
    runs = pd.concat([mlp, chosen_runs({"relu": [0.5, 0.7]}).assign(architecture="cnn")]).reset_index(drop=True)
    environment = {"processor": "Some CPU", "cores": 2, "seconds": 61}
    (page,) = write_sweep(tmp_path, runs, NO_CURVES, REQUEST, environment, ["md"])
    text = page.read_text()
    assert text.startswith("# Which?\n")
    assert "The best by validation on each task. A sweep tests no difference" in text
    assert "- MLP: **gelu** at learning rate 0.1 (accuracy 95.00 %, 1 seed)\n" in text
    assert "- CNN: **relu** at learning rate 0.1 (accuracy 60.00 ± 14.14 %, 2 seeds)\n" in text
    (one,) = best(summarize(mlp))
    assert one.startswith("The best by validation: **gelu** at learning rate 0.1 (accuracy 95.00 %, 1 seed). A sweep")
    assert "6 runs (1 diverged) · 2 seeds · 1 min 1 s on Some CPU, 2 cores." in text
    assert "figures/accuracy.svg" in text
    assert (tmp_path / "figures/accuracy.svg").is_file()


def test_a_sweep_of_which_no_run_finished_says_so() -> None:
    summary = summarize(chosen_runs({"relu": [None]}, val_score=None, score=None))
    assert best(summary) == ["No run finished."]
