"""Reports on tasks of several metrics: each number in the unit of its task, and an answer over tasks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison, comparisons
from actbench.commands.report import write_reports
from actbench.experiment.questions import Hypothesis
from actbench.report.answers import answer_document
from actbench.report.draw import Draw
from actbench.report.figures.curves import curves_figure
from actbench.report.figures.differences import differences_figure
from actbench.report.figures.rates import rates_figure
from actbench.report.figures.style import NARROW, WIDTH
from actbench.report.figures.time_steps import time_steps_figure
from actbench.report.formats.blocks import Block, Figure, Heading, Items, Paragraph, Table
from actbench.report.front import conditions, front_page, front_table
from actbench.report.headline import claim_lines, full_answer
from actbench.report.overall import overall_answer
from actbench.report.report import FORMATS, document, write_report
from actbench.report.sentences import coverage, task_sentence
from actbench.report.suite import is_suite
from actbench.report.tables import hypotheses_table, pairs_table, scores_table
from actbench.store.files import (
    ANSWER,
    RUNS,
    costs_frame,
    curves_frame,
    histograms_frame,
    layers_frame,
    read_runs,
    write_runs,
)
from tests.analysis.frames import chosen_runs, scored_by
from tests.report.suites import BITS, REQUEST, suite, suite_runs

NOTHING: dict[str, pd.DataFrame] = {
    "curves": curves_frame([]), "layers": layers_frame([]), "histograms": histograms_frame([]),
    "costs": costs_frame([]),
}  # fmt: skip
CLAIM = Hypothesis(claim="gelu is better", metric="score", a={"activation": "gelu"}, b={"activation": "relu"},
                   direction="higher")  # fmt: skip
NO_FIGURE: Draw = lambda make, name, caption: Figure(name, caption)  # noqa: E731


@pytest.fixture(scope="module")
def compared() -> list[Comparison]:
    return suite()


def judged(claims: list[Hypothesis], runs: pd.DataFrame) -> pd.DataFrame:
    return judge_hypotheses(claims, runs, costs_frame([]), REQUEST.margin, REQUEST.margins, REQUEST.worst)


NONE = judged([], suite_runs([("digits", "mlp")]))


def regression(scores: Mapping[str, Sequence[float]]) -> Comparison:
    frame = scored_by("r2", chosen_runs(scores, dataset="diabetes"))
    return Comparison("diabetes, mlp", labelled(frame), "relu", 0.02)


def text(scores: Mapping[str, Sequence[float]]) -> Comparison:
    frame = scored_by(BITS, chosen_runs(scores, dataset="text", architecture="decoder"))
    return Comparison("text, decoder", labelled(frame), "relu", 0.02, worst=-6.0)


WORSE = {"relu": [0.5] * 6, "gelu": [0.495] * 6, "tanh": [0.4] * 6}
BETTER = {"relu": [-2.0] * 6, "gelu": [-1.9] * 6}


def test_sentences_of_regression_speak_of_r2() -> None:
    one = regression(WORSE)
    assert task_sentence(one) == "Take relu or gelu (within 0.02 of the best: relu, R² 0.500). Avoid tanh (R² 0.400)."
    assert overall_answer([one]) == "Take relu or gelu. Avoid tanh. Nothing is shown to beat relu."
    ahead = regression({"relu": [0.5] * 6, "gelu": [0.6] * 6})
    assert task_sentence(ahead).endswith("Avoid relu (R² 0.500). Shown to beat relu: gelu (+0.100).")
    few = regression({"relu": [0.5] * 5, "gelu": [0.6] * 5})
    assert task_sentence(few) == "5 seeds: too few for a verdict. Highest mean: gelu, R² 0.600."


def test_sentences_of_language_speak_of_bits_and_fewer_are_better() -> None:
    assert task_sentence(text(BETTER)) == (
        "Take gelu (1.900 bits). Avoid relu (2.000 bits). Shown to beat relu: gelu (0.100 bits fewer)."
    )
    alike = text({"relu": [-2.0] * 6, "gelu": [-1.995] * 6, "silu": [-2.0] * 6})
    assert task_sentence(alike) == (
        "The choice hardly matters: all 3 are within 0.02 bits of the best (gelu, 1.995 bits)."
    )


def test_tables_have_the_unit_of_the_task_and_the_lower_number_of_an_interval_first() -> None:
    table = scores_table(text({"relu": [-2.0, -2.1] * 4, "gelu": [-1.8, -1.95] * 4})).set_index("activation")
    assert list(table)[:3] == ["verdict", "bits per character [95 %]", "bits fewer than relu [95 %]"]
    value, low, high = (
        float(part.strip("[],")) for part in str(table.loc["gelu", "bits per character [95 %]"]).split()
    )
    assert low < value == 1.875 < high
    assert str(table.loc["gelu", "bits fewer than relu [95 %]"]).startswith("+0.175 [+0.1")
    assert list(pairs_table(text(BETTER)))[:4] == ["A", "B", "verdict", "B − A, bits [95 %]"]
    of_r2 = scores_table(regression(WORSE)).set_index("activation")
    assert of_r2.loc["tanh", "R² [95 %]"] == "0.400 [0.400, 0.400]"
    assert of_r2.loc["tanh", "minus relu [95 %]"] == "-0.100 [-0.100, -0.100]"


def test_the_answer_of_a_suite_counts_tasks(compared: list[Comparison]) -> None:
    assert is_suite(compared)
    assert overall_answer(compared) == (
        "The choice hardly matters in 3 of 6 tasks: relu will do there. Most often to be taken: gelu and silu (in 5 of "
        "6 tasks), relu and tanh (in 4). Avoid sigmoid in 5 of 6 tasks; relu on adding and shakespeare; silu and gelu "
        "on adding; tanh on shakespeare. Shown to beat relu: gelu and silu on adding and shakespeare; tanh on adding."
    )
    assert full_answer(compared, judged([CLAIM], suite_runs())).startswith(
        "The claim is supported in part. By test score: the choice hardly matters in 3 of 6 tasks"
    )


def test_ten_tasks_are_answered_in_as_few_words(compared: list[Comparison]) -> None:
    twice = [replace(own, task=f"{own.task}, adamw") for own in compared[:4]]
    answer = overall_answer([*compared, *twice])
    assert answer.startswith("The choice hardly matters in 6 of 10 tasks: relu will do there.")
    assert "Avoid sigmoid in 8 of 10 tasks; " in answer
    assert len(answer) < 450


def test_a_suite_in_which_all_or_nothing_matters_says_so(compared: list[Comparison]) -> None:
    alike = compared[2]  # wine
    names = [*"abcde"]
    same = [replace(alike, task=f"{name}, mlp", runs=alike.runs.assign(dataset=name)) for name in names]
    assert overall_answer(same) == (
        "The choice hardly matters in any of the 5 tasks: relu will do. Nothing is shown to beat relu."
    )
    best_once = [regression({name: [0.9 if name == best else 0.1] * 6 for name in ("relu", *names)}) for best in names]
    different = [
        replace(own, runs=own.runs.assign(dataset=name), task=f"{name}, mlp")
        for own, name in zip(best_once, names, strict=True)
    ]
    assert overall_answer(different) == (
        "The choice matters in all 5 tasks. Nothing is to be taken in more than half of them; see the table. Avoid "
        "relu everywhere; b, c, d and 2 more in 4 of 5 tasks. Shown to beat relu: a on a; b on b; c on c; 2 more in "
        "fewer tasks."
    )
    too_few = replace(compared[0], runs=compared[0].runs[compared[0].runs["seed"] < 5])
    assert overall_answer([*compared[1:], too_few]).endswith("1 task of 6 had too few runs for a verdict.")


def test_several_settings_of_one_data_set_are_no_suite(compared: list[Comparison]) -> None:
    digits = [replace(compared[0], task=f"digits, mlp, {name}") for name in "abcdef"]
    assert not is_suite(digits)
    assert overall_answer(digits).startswith("The choice hardly matters, sigmoid aside: relu will do.")
    assert not is_suite(compared[:4])


def test_the_front_page_of_a_suite_has_a_table_with_a_row_per_task_and_no_line_for_each(
    compared: list[Comparison],
) -> None:
    blocks = list(front_page(compared, NONE, REQUEST, {}, NO_FIGURE))
    assert not any(isinstance(block, Items) for block in blocks)
    (table,) = (block for block in blocks if isinstance(block, Table))
    rows = table.frame.set_index(" ").to_dict("index")
    assert list(rows) == ["digits, MLP", "digits, CNN", "wine, MLP", "diabetes, MLP", "adding, LSTM",
                          "shakespeare, decoder"]  # fmt: skip
    assert rows["diabetes, MLP"]["**avoid**"] == "sigmoid (R² 0.301)"
    assert rows["shakespeare, decoder"]["**avoid**"].startswith("relu (2.711 bits), tanh (")
    assert "worse by less than the margin" in table.caption
    (figure,) = (block for block in blocks if isinstance(block, Figure))
    assert "in the unit of each task and positive where it is better" in figure.caption
    assert "margins 1 point, 0.02 of R², 0.02 bits · " in conditions(compared, REQUEST, {})


def test_the_sections_of_a_suite_begin_with_all_tasks_and_then_name_each(compared: list[Comparison]) -> None:
    runs = suite_runs()
    found = judged([CLAIM], runs)
    blocks: list[Block] = list(document(compared, labelled(runs), NOTHING, REQUEST, found, {}, NO_FIGURE, pairs=False))
    headings = [block.text for block in blocks if isinstance(block, Heading)]
    assert headings[1:5] == ["Over all tasks", "Task by task", "Hypotheses", "Test scores"]
    overall = blocks[blocks.index(Heading(2, "Over all tasks")) + 1]
    assert isinstance(overall, Table)
    assert list(overall.frame) == [
        "activation",
        "mean rank [95 %]",
        "minus relu, margins [95 %]",
        "above relu, % [95 %]",
    ]
    by_task = blocks[blocks.index(Heading(2, "Task by task")) + 1]
    assert isinstance(by_task, Items)
    assert len(by_task.texts) == 6
    said = "\n".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "Estimated is the test score of an activation" in said
    assert "has accuracy 0 or R² 0 or the bits of a uniform guess and never reaches the target." in said
    assert "(of text between blocks of consecutive windows, as neighbouring windows are alike)" in said
    assert "the margin of 1 point, 0.02 of R², 0.02 bits. Verdicts" in said
    assert "Target: validation accuracy 0.95; validation loss 2.0, 0.6. " in said
    assert "Score: higher is better; of text minus bits per character." in said
    assert "accurac" not in said.replace("validation accuracy 0.95", "").replace("has accuracy 0 or", "")


def test_claims_about_the_score_are_written_in_the_unit_of_each_task() -> None:
    found = judged([CLAIM], suite_runs([("digits", "mlp"), ("diabetes", "mlp"), ("shakespeare", "decoder")]))
    (line,) = claim_lines(found)
    for part in ("digits, MLP 97.3 % against 96.8 %", "diabetes, MLP R² 0.453 against R² 0.449",
                 "shakespeare, decoder 2.662 bits against 2.711 bits"):  # fmt: skip
        assert part in line
    table = hypotheses_table(found)
    assert table["margin"].tolist() == ["0.01", "0.02", "0.02"]


def test_one_metric_alone_is_named_throughout() -> None:
    runs = suite_runs([("shakespeare", "decoder")])
    (comparison,) = suite([("shakespeare", "decoder")])
    found = judged([CLAIM], runs)
    assert full_answer([comparison], found).startswith("The claim is supported. By test bits per character: take gelu")
    blocks = list(document([comparison], labelled(runs), NOTHING, REQUEST, found, {}, NO_FIGURE, pairs=False))
    assert Heading(2, "Test bits per character") in blocks
    said = "\n".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "a rate whose validation bits per character was more than" in said
    captions = [block.caption for block in blocks if isinstance(block, Figure)]
    assert captions[0].startswith("Test bits per character fewer than those of relu, with 95 % intervals; the band is "
                                  "the margin of 0.02 bits.")  # fmt: skip
    assert captions[1].startswith("Validation bits per character by learning rate")
    assert "Only the test score decides" in captions[-1]


def test_the_target_may_be_a_loss(compared: list[Comparison]) -> None:
    loss = replace(REQUEST, targets=(), target_losses=(2.0,))
    assert "fastest to validation loss 2.0" in front_table(compared[-1:], loss)[" "].tolist()
    assert "fastest to the target" in front_table(compared[-1:], REQUEST)[" "].tolist()
    assert "fastest to 95 %" in front_table(compared[:1], replace(REQUEST, target_losses=()))[" "].tolist()


def test_the_answer_for_machines_names_the_metric_and_its_margin(compared: list[Comparison]) -> None:
    content = json.loads(json.dumps(answer_document(compared, NONE, REQUEST, None), allow_nan=False))
    assert [(task["metric"], task["margin"]) for task in content["tasks"]] == [
        ("test_accuracy", 0.01), ("test_accuracy", 0.01), ("test_accuracy", 0.01), ("r2", 0.02), ("r2", 0.02),
        (BITS, 0.02),
    ]  # fmt: skip
    gelu = content["tasks"][-1]["activations"]["gelu"]
    assert gelu["low"] <= gelu["score"] <= gelu["high"] < 0 < gelu["difference"]


def test_what_an_interval_covers_is_said_of_text_with_the_scores_of_its_windows() -> None:
    runs = suite_runs([("shakespeare", "decoder")])
    windows = {str(run_id): np.full(60, -2.7, dtype=np.float32) for run_id in runs["run_id"]}
    (kept,) = comparisons(runs, costs_frame([]), REQUEST, windows)
    assert coverage(kept) == "seeds, tuning on this grid and new test examples, estimated from the test set of 1742"


@pytest.mark.parametrize("narrow", [False, True])
def test_each_panel_of_differences_has_its_own_unit_and_scale(compared: list[Comparison], narrow: bool) -> None:
    axes = differences_figure(compared, NARROW if narrow else WIDTH).axes
    labels = [axis.get_xlabel() for axis in axes]
    assert labels == ["test accuracy minus relu, points"] * 3 + ["test R² minus relu"] * 2 + [
        "bits per character fewer than relu"
    ]
    ends = [axis.get_xlim()[1] for axis in axes]
    assert ends[0] == ends[1] == ends[2] == pytest.approx(2.1)  # twice the margin, and a twentieth
    assert ends[3] == ends[4] == pytest.approx(0.042)
    assert axes[-1].get_title().endswith("2.711\N{NO-BREAK SPACE}bits")
    assert "-0.35" in [text.get_text() for text in axes[4].texts]


def test_rates_are_drawn_with_better_scores_higher_up(compared: list[Comparison]) -> None:
    axes = rates_figure(compared).axes
    assert [axis.get_ylabel() for axis in axes] == ["validation accuracy, %"] * 3 + ["validation R²"] * 2 + [
        "validation bits per character"
    ]
    low, high = axes[-1].get_ylim()
    assert low > high > 2.5  # fewer bits are at the top
    (lines,) = [found for found in axes[-1].collections if isinstance(found, LineCollection)]
    assert all(2.5 < y < 3.3 for segment in lines.get_segments() for y in np.asarray(segment)[:, 1])
    assert "sigmoid 3.10" in [text.get_text() for text in axes[-1].texts]


def test_curves_are_those_of_the_tasks_score(compared: list[Comparison]) -> None:
    lines = [
        (run["run_id"], step, metric, value)
        for comparison in compared for run in comparison.ended.to_dict("records") for step in (0, 10, 100)
        for metric, value in (
            (comparison.metric.curve, comparison.worst + (run["val_score"] - comparison.worst) * step / 100),
            ("val_loss", 9.0),
        )
    ]  # fmt: skip
    curves = pd.DataFrame(lines, columns=["run_id", "step", "metric", "value"])
    texts = [text.get_text() for text in curves_figure(compared, curves).axes[0].texts]
    assert "validation score" in texts
    for title in ("digits, MLP: accuracy", "diabetes, MLP: R²", "shakespeare, decoder: bits per character"):
        assert title in texts
    alone = curves_figure(compared[-1:], curves).axes[0]
    assert "validation bits per character" in [text.get_text() for text in alone.texts]
    numbers = [float(text) for text in (own.get_text() for own in alone.texts) if text[:1] in "23" and "." in text]
    assert all(2 < number < 6 for number in numbers)


def test_gradients_through_time_have_a_line_per_series_with_the_baseline_behind(compared: list[Comparison]) -> None:
    lstm = compared[4]
    lines = [
        (run["run_id"], step, layer, f"gradient_rms_t{time:03d}", 10.0 ** (time - 9 - step / 100 - layer))
        for run in lstm.ended.to_dict("records") for step in (0, 100) for layer in (0, 1) for time in range(4)
    ]  # fmt: skip
    layers = pd.DataFrame(lines, columns=["run_id", "step", "layer", "metric", "value"])
    assert time_steps_figure(compared, layers[:0]) is None
    figure = time_steps_figure(compared, layers)
    assert figure is not None
    (axis,) = figure.axes
    (drawn,) = (found for found in axis.collections if isinstance(found, LineCollection))
    first = np.asarray(drawn.get_segments()[0])
    assert first[:, 0].tolist() == [0, 1, 2, 3]
    assert first[:, 1] == pytest.approx([-10.5, -9.5, -8.5, -7.5])  # after training, mean of both layers
    assert [float(width) for width in np.atleast_1d(drawn.get_linewidth())] == [2.6, 1.0, 1.0, 1.0, 1.0]
    assert sorted(text.get_text() for text in axis.texts) == ["gelu", "relu", "sigmoid", "silu", "tanh"]


@pytest.mark.slow
def test_a_mixed_report_is_written_in_every_format(compared: list[Comparison], tmp_path: Path) -> None:
    runs = suite_runs()
    paths = write_report(tmp_path, compared, runs, NOTHING, REQUEST, judged([CLAIM], runs), {}, FORMATS, pairs=True)
    assert [path.suffix for path in paths] == [".md", ".html", ".pdf", ".tex"]
    text = paths[0].read_text()
    assert "| gelu | better | 2.66" in text
    assert "bits fewer than relu [95 %]" in text
    assert r"R\textsuperscript{2}" in paths[3].read_text() or "R²" in paths[3].read_text()


def test_tasks_of_two_metrics_that_are_no_suite_are_listed() -> None:
    tasks = [("digits", "mlp"), ("shakespeare", "decoder")]
    blocks = list(front_page(suite(tasks), NONE, REQUEST, {}, NO_FIGURE))
    (items,) = (block for block in blocks if isinstance(block, Items))
    assert items.texts[1].startswith(
        "**shakespeare, decoder**: Take gelu or silu (within 0.02 bits of the best: gelu, "
    )


@pytest.mark.slow
def test_the_files_of_a_mixed_comparison_and_of_one_before_there_were_scores_are_reported_alike(tmp_path: Path) -> None:
    """The columns of scores are taken from the file, as an older version would have written it."""
    for name, runs in (("mixed", suite_runs()), ("new", suite_runs([("digits", "mlp")]))):
        (tmp_path / name).mkdir()
        write_runs(tmp_path / name / RUNS, runs)
        pd.testing.assert_frame_equal(
            read_runs(tmp_path / name / RUNS)[["metric", "score", "val_score"]], runs[["metric", "score", "val_score"]],
            check_dtype=False,
        )  # fmt: skip
    (tmp_path / "old").mkdir()
    table = pd.read_csv(tmp_path / "new" / RUNS, dtype=str, keep_default_na=False)
    table.drop(columns=["metric", "score", "test_loss", "val_score"]).to_csv(tmp_path / "old" / RUNS, index=False)
    for name in ("mixed", "new", "old"):
        write_reports(tmp_path / name, REQUEST, ["md"], pairs=True)
    assert (tmp_path / "old" / "report.md").read_bytes() == (tmp_path / "new" / "report.md").read_bytes()
    assert (tmp_path / "old" / ANSWER).read_bytes() == (tmp_path / "new" / ANSWER).read_bytes()
    assert "## Task by task" in (tmp_path / "mixed" / "report.md").read_text()
