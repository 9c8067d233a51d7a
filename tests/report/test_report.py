"""What a report says and draws, looked at in its blocks, files and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison, comparisons
from actbench.analysis.statistics import mean_ranks
from actbench.experiment.questions import Hypothesis
from actbench.experiment.request import Request
from actbench.report.figures.convergence import survival_figure
from actbench.report.figures.ranks import ranks_figure
from actbench.report.figures.training import layers_figure
from actbench.report.formats.blocks import Figure, Heading, Paragraph, Table
from actbench.report.report import FORMATS, document, write_report
from actbench.report.sentences import answer
from actbench.report.tables import scores_table
from actbench.report.training import training_section
from actbench.store.files import costs_frame, curves_frame, histograms_frame, layers_frame
from tests.analysis.frames import confirming_runs
from tests.support import lose_runs

REQUEST = Request(
    "mine",
    "Which?",
    "actbench compare mine",
    "",
    "relu",
    0.01,
    revision="abc",
    versions={"torch": "2.10", "numpy": "2"},
)
POINTS = {
    "curves": curves_frame([]), "layers": layers_frame([]), "histograms": histograms_frame([]),
    "costs": costs_frame([]),
}  # fmt: skip


def written(
    folder: Path, frame: pd.DataFrame, formats: Sequence[str] = FORMATS, costs: pd.DataFrame | None = None
) -> list[Path]:
    costs = costs_frame([]) if costs is None else costs
    compared = list(comparisons(frame, costs, REQUEST))
    judged = judge_hypotheses([], frame, costs)
    return write_report(folder, compared, frame, POINTS | {"costs": costs}, REQUEST, judged, formats)


def test_the_report_names_missing_runs_and_runs_that_never_reach_the_target(tmp_path: Path) -> None:
    frame = confirming_runs({"relu": [0.9] * 6, "sigmoid": [0.2] * 6})
    never = frame["activation"] == "sigmoid"
    frame.loc[never, ["steps_to_target", "samples_to_target", "seconds_to_target"]] = np.nan
    frame.loc[never, "reached_target"] = False
    lose_runs(frame, frame["run_id"] == "relu3", "missing")
    text = written(tmp_path, frame, ["md"])[0].read_text()
    assert "**digits, mlp: runs missing** (relu: seeds 3). Compared and ranked on the 5 seeds" in text
    assert "Never at the target in any run (censored, not left out): sigmoid." in text
    assert "| sigmoid | 0/6 | never" in text


def test_a_comparison_interrupted_while_tuning_or_before_any_seed_was_complete_is_reported(tmp_path: Path) -> None:
    tuned = confirming_runs({"relu": [0.9, 0.8], "tanh": [0.9, 0.8]}, phase="tune")
    paths = written(tmp_path, tuned)
    assert [path.suffix for path in paths] == [".md", ".html", ".pdf", ".tex"]
    assert "No run has confirmed a choice" in paths[0].read_text()
    confirmed = confirming_runs({"relu": [0.9, 0.8], "tanh": [0.9, 0.8]})
    confirmed.loc[[1, 2], "status"] = "missing"
    confirmed.loc[[1, 2], ["test_accuracy", "val_accuracy", "steps_to_target"]] = np.nan
    confirmed.loc[[1, 2], "reached_target"] = False
    text = written(tmp_path, pd.concat([tuned, confirmed]))[0].read_text()
    assert "no seed that all activations have" in text
    confirmed["status"] = "missing"
    text = written(tmp_path, pd.concat([tuned, confirmed]))[0].read_text()
    assert "all 4 runs missing" in text


def test_the_bars_of_equal_ranks_go_from_the_lowest_to_the_highest() -> None:
    names = [f"{letter}{number}" for letter in "abcd" for number in range(6)]
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(3, len(names))), columns=names)
    (axis,) = ranks_figure(mean_ranks(scores), {name: name for name in names}).axes
    lines = [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in axis.lines]
    bars = [x for x, y in lines if len(set(y)) == 1]
    assert max(map(len, bars)) > 12
    for bar in bars:
        assert list(bar) == sorted(bar)


def test_an_activation_that_always_fails_is_named(tmp_path: Path) -> None:
    frame = confirming_runs({"relu": [0.9, 0.8] * 3, "tanh": [0.8, 0.9] * 3, "mine:f": [0.5] * 6})
    frame.loc[frame["activation"] == "mine:f", "status"] = "failed"
    assert "mine:f: seeds 0, 1, 2, 3, 4, 5" in written(tmp_path, frame, ["md"])[0].read_text()


def test_too_few_pairs_for_a_significant_difference_are_reported(tmp_path: Path) -> None:
    frame = confirming_runs({"relu": [0.9, 0.8] * 5, "tanh": [0.8, 0.9] * 5})
    frame.loc[(frame["activation"] == "tanh") & (frame["seed"] > 3), "status"] = "failed"
    assert "digits, mlp: with 4 pairs no exact paired test can reach 0.05" in written(tmp_path, frame)[0].read_text()
    frame = confirming_runs({name: [0.9, 0.8, 0.7, 0.6, 0.5, 0.4] for name in ("relu", "tanh", "gelu")})
    assert "with 6 pairs and 2 activations to compare no corrected p" in written(tmp_path, frame)[0].read_text()


def test_costs_of_activations_are_in_the_table(tmp_path: Path) -> None:
    frame = confirming_runs({"relu": [0.9] * 6, "gelu": [0.9001] * 6})
    lines = [("relu0", round, 1.0, 100.0, 0.1) for round in range(3)]
    lines += [("gelu0", round, 5.0 + round, 110.0, 0.3) for round in range(3)]
    assert "| 6.00 | 30.0 |" in written(tmp_path, frame, ["md"], costs_frame(lines))[0].read_text()


def test_the_answer_reports_that_no_seed_is_common_to_all() -> None:
    frame = confirming_runs({"relu": [0.5, 0.6], "gelu": [0.9, 0.4]}).iloc[[0, 3]]
    assert "nothing can be compared" in answer(Comparison("digits, mlp", labelled(frame), "relu", 0.01))


def test_the_request_is_in_the_text(tmp_path: Path) -> None:
    frame = confirming_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6})
    request = Request(
        "mine", "Which?", "actbench compare mine", "seed=1", "relu", 0.005, (0.95, 0.9), (64, 128), "abc",
        {"torch": "2.10", "numpy": "2"},
    )  # fmt: skip
    blocks = list(
        document(tmp_path, [], labelled(frame), POINTS, request, judge_hypotheses([], frame, costs_frame([])))
    )
    text = "\n".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "Asked with these overrides: `seed=1`" in text
    assert "Budget: 100 steps of 64, 128 examples. Target: validation accuracy 0.95, 0.9. " in text
    assert "lies within 0.5 points." in text
    assert "numpy 2, torch 2.10; revision abc." in text


def test_hypotheses_are_a_table_with_their_verdicts(tmp_path: Path) -> None:
    """tanh never reaches the target on two of eight seeds, and tried no rate above the one that it chose."""
    frame = confirming_runs({"relu": [0.9] * 8, "tanh": [0.8] * 6 + [None] * 2})
    tuned = pd.concat(
        [confirming_runs({"tanh": [0.8]}, phase="tune", lr=lr, run_id=f"tuned{lr}") for lr in (0.01, 0.1)],
        ignore_index=True,
    )
    frame = pd.concat([tuned, frame], ignore_index=True)
    relu: dict[str, float | str] = {"activation": "relu"}
    tanh: dict[str, float | str] = {"activation": "tanh"}
    hypotheses = [
        Hypothesis(claim="relu scores", metric="test_accuracy", a=relu, b=tanh, direction="higher", margin=0.01),
        Hypothesis(claim="relu is slow", metric="steps_to_target", a=relu, b=tanh, direction="higher"),
        Hypothesis(claim="relu at 0.9", metric="test_accuracy", a=relu, b=0.9, direction="equal", margin=0.01),
    ]
    judged = judge_hypotheses(hypotheses, frame, costs_frame([]))
    blocks = list(document(tmp_path, [], labelled(frame), POINTS, REQUEST, judged))
    start = blocks.index(Heading(2, "Hypotheses"))
    paragraph, table = blocks[start + 1 : start + 3]
    assert isinstance(paragraph, Paragraph)
    assert isinstance(table, Table)
    assert paragraph.text.startswith("Of 3 verdicts: 2 supported, 1 not shown. ")
    assert "In brackets behind n: censored pairs" in paragraph.text
    assert " †: its learning rate lies at an end of the grid" in paragraph.text
    rows = table.frame.set_index("claim").to_dict("index")
    assert rows["relu scores"] | {"A − B [95 %]": "", "p": ""} == {
        "setting": "digits, mlp", "metric": "test_accuracy", "A": "relu: 0.9", "B": "tanh †: 0.6", "A − B [95 %]": "",
        "n": "8", "p": "", "margin": "0.01", "verdict": "supported",
    }  # fmt: skip
    assert rows["relu scores"]["A − B [95 %]"].startswith("0.3 [0.1, ")
    assert (rows["relu is slow"]["n"], rows["relu is slow"]["verdict"]) == ("8 (2)", "not shown")
    assert (rows["relu at 0.9"]["B"], rows["relu at 0.9"]["A − B [95 %]"]) == ("0.9", "0 [0, 0]")


def test_the_table_of_scores_has_no_difference_of_the_baseline() -> None:
    frame = confirming_runs({"relu": [0.8] * 7, "tanh": [0.9] * 6 + [None]})
    table = scores_table(Comparison("digits, mlp", labelled(frame), "relu", 0.01)).set_index("activation")
    assert table.index.tolist() == ["relu", "tanh"]
    assert table.loc[["relu"]].iloc[0].tolist()[1:] == ["80.00 [80.00, 80.00]", "80.00", "7", "", "", "", "", ""]
    difference = table.loc["tanh", "minus relu, points [95 %]"]
    assert isinstance(difference, str)
    assert difference.startswith("-2.86 [-")
    assert table.loc[["tanh"], ["n", "better in"]].iloc[0].tolist() == ["7, 1 diverged", "86 %"]


def by_layer(series: Sequence[str], depth: int, steps: Sequence[int]) -> pd.DataFrame:
    """Two seeds whose values are layer + step / 100 - 0.5 and + 0.5, and 10 more for each further series."""
    lines = [
        {"series": name, "run_id": f"{name}{seed}", "step": step, "layer": layer,
         "value": 10 * place + layer + step / 100 + seed - 0.5}
        for place, name in enumerate(series) for seed in (0, 1) for step in steps for layer in range(depth)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_the_heat_map_has_a_panel_a_series_and_the_means_as_colours() -> None:
    series, steps, depth = ["relu", "tanh", "gelu", "silu", "elu"], [0, 10, 30], 6
    figure = layers_figure(by_layer(series, depth, steps), "share of dead units")
    *axes, bar = figure.axes
    drawn = [axis for axis in axes if axis.collections]
    assert [axis.get_title() for axis in drawn] == series
    assert len(axes) == 8  # two rows of four
    assert [axis.axison for axis in axes] == [True] * 5 + [False] * 3
    for place, axis in enumerate(drawn):
        (mesh,) = axis.collections
        assert isinstance(mesh, QuadMesh)
        expected = 10 * place + np.arange(depth)[:, None] + np.array(steps) / 100
        assert np.asarray(mesh.get_array()).reshape(depth, len(steps)) == pytest.approx(expected)
        assert (mesh.norm.vmin, mesh.norm.vmax) == pytest.approx((0, 45.3))  # one scale for all panels
        assert np.asarray(mesh.get_coordinates())[0, :, 0].tolist() == [0, 5, 20, 30]  # between the steps
        edges = np.asarray(mesh.get_coordinates())[:, 0, 1].tolist()
        assert edges == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5]  # the first layer at the bottom
    assert bar.get_ylabel() == "share of dead units"
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("step", "hidden layer")


@pytest.mark.parametrize(("depth", "names"), [(4, []), (5, ["layers_dead_fraction_1", "layers_gradient_rms_1"])])
def test_heat_maps_are_drawn_of_deep_networks(depth: int, names: list[str]) -> None:
    frame = labelled(confirming_runs({"relu": [0.9, 0.9]}))
    layers = pd.concat(
        [by_layer(["relu"], depth, [0, 100]).assign(metric=metric) for metric in ("dead_fraction", "gradient_rms")]
    ).drop(columns="series")
    layers["value"] = layers["value"].clip(lower=0)  # a gradient of 0 has no logarithm and is not drawn
    figures: dict[str, Any] = {}

    def draw(figure: Any, name: str, caption: str) -> Figure:
        figures[name] = figure
        return Figure(name, caption)

    blocks = list(training_section(frame, POINTS | {"layers": layers}, draw))
    assert [block.name for block in blocks if isinstance(block, Figure)] == names
    if names:
        (mesh,) = figures["layers_gradient_rms_1"].axes[0].collections
        values = layers[layers["metric"].eq("gradient_rms") & layers["layer"].eq(1) & layers["step"].eq(0)]["value"]
        assert np.asarray(mesh.get_array()).reshape(depth, 2)[1, 0] == pytest.approx(np.log10(values).mean())


def test_the_survival_figure_is_the_share_that_has_not_arrived() -> None:
    frame = labelled(confirming_runs({"relu": [0.9] * 4, "tanh": [0.9, None, None, None]}))
    (axis,) = survival_figure([Comparison("digits, mlp", frame, "relu", 0.01)]).axes
    relu, tanh = axis.lines
    assert np.asarray(relu.get_xdata()).tolist() == [0, 10, 20, 30, 40, 100]
    assert relu.get_ydata() == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0])
    assert np.asarray(tanh.get_xdata()).tolist() == [0, 10, 100]
    assert tanh.get_ydata() == pytest.approx([1, 0.75, 0.75])
