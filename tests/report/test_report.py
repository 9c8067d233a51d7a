"""What a report says, looked at in its blocks and files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison, comparisons
from actbench.experiment.questions import Hypothesis
from actbench.experiment.request import Request
from actbench.report.draw import drawer
from actbench.report.formats.blocks import Heading, Items, Paragraph, Table
from actbench.report.methods import limits_section
from actbench.report.report import FORMATS, document, write_report
from actbench.report.tables import chosen_rates, scores_table
from actbench.store.files import costs_frame, curves_frame, histograms_frame, layers_frame, read_runs, write_runs
from actbench.training.results import MARKS
from tests.analysis.frames import chosen_runs
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
    folder: Path, frame: pd.DataFrame, formats: Sequence[str] = FORMATS, costs: pd.DataFrame | None = None,
    pairs: bool = False,
) -> list[Path]:  # fmt: skip
    costs = costs_frame([]) if costs is None else costs
    compared = list(comparisons(frame, costs, REQUEST))
    judged = judge_hypotheses([], frame, costs, REQUEST.margin)
    return write_report(folder, compared, frame, POINTS | {"costs": costs}, REQUEST, judged, {}, formats, pairs)


def test_the_report_names_missing_runs_and_runs_that_never_reach_the_target(tmp_path: Path) -> None:
    frame = chosen_runs({"relu": [0.9] * 8, "sigmoid": [0.2] * 8})
    never = frame["activation"] == "sigmoid"
    frame.loc[never, ["steps_to_target", "samples_to_target", "seconds_to_target"]] = np.nan
    frame.loc[never, "reached_target"] = False
    lose_runs(frame, frame["run_id"] == "relu3", "missing")
    text = written(tmp_path, frame, ["md"])[0].read_text()
    assert "**digits, mlp: runs missing** (relu: seeds 3). Compared on the 7 seeds" in text
    assert "under half of the runs arrive: sigmoid" in text
    assert "| sigmoid | 0 of 8 | never | 100 |" in text


def test_a_comparison_interrupted_before_its_end_or_without_a_complete_seed_is_reported(tmp_path: Path) -> None:
    unmarked = chosen_runs({"relu": [0.9, 0.8], "tanh": [0.9, 0.8]}, raced_out=None, chosen=None, equal_time=None)
    paths = written(tmp_path, unmarked)
    assert [path.suffix for path in paths] == [".md", ".html", ".pdf", ".tex"]
    assert "\nNo task has been compared.\n" in paths[0].read_text().replace("**", "")
    assert r"\begin{itemize}" not in paths[3].read_text()  # LaTeX refuses a list without items
    frame = chosen_runs({"relu": [0.9, 0.8], "tanh": [0.9, 0.8]})
    frame.loc[[1, 2], "status"] = "failed"
    frame.loc[[1, 2], ["test_accuracy", "val_accuracy", "steps_to_target"]] = np.nan
    frame.loc[[1, 2], "reached_target"] = False
    assert "No seed that all activations have" in written(tmp_path, frame)[0].read_text()
    frame = frame.assign(status="failed", chosen=False)
    assert "all 4 runs missing" in written(tmp_path, frame)[0].read_text()


def test_the_runs_of_an_older_version_are_compared_on_the_seeds_that_confirmed_a_choice(tmp_path: Path) -> None:
    """Its runs.csv has no columns of the protocol; rates were chosen on other seeds, in a phase of their own."""
    tuned = pd.concat([
        chosen_runs({"relu": [0.5] * 2, "tanh": [0.6] * 2}, phase="tune", lr=lr, test_accuracy=None)
        for lr in (0.01, 0.1, 1.0)
    ])  # fmt: skip
    confirmed = chosen_runs({"relu": [0.9] * 8, "tanh": [0.8] * 8}, phase="confirm", lr=0.1)
    confirmed["seed"] += 1000
    frame = pd.concat([tuned, confirmed], ignore_index=True).drop(columns=list(MARKS))
    frame["run_id"] = [f"run{number}" for number in frame.index]
    write_runs(tmp_path / "runs.csv", frame)
    old = read_runs(tmp_path / "runs.csv")
    (comparison,) = comparisons(old, costs_frame([]), REQUEST)
    assert comparison.seeds == list(range(1000, 1008))
    assert comparison.scores.mean().to_dict() == pytest.approx({"relu": 0.9, "tanh": 0.8})
    assert (comparison.rates == 0.1).all(axis=None)
    paths = written(tmp_path, old)
    assert [path.suffix for path in paths] == [".md", ".html", ".pdf", ".tex"]
    text = paths[0].read_text()
    assert "These runs follow an older protocol" in text
    assert "Every activation trained at every rate" not in text
    assert "Take relu (90.0 %). Avoid tanh (80.0 %)." in text
    assert "| tanh | worse | 80.00 [80.00, 80.00] | -10.00 [-10.00, -10.00] | 0.008 | 1.000 | 0.1 |" in text


def test_an_activation_that_always_fails_is_named(tmp_path: Path) -> None:
    frame = chosen_runs({"relu": [0.9, 0.8] * 3, "tanh": [0.8, 0.9] * 3, "mine:f": [0.5] * 6})
    frame.loc[frame["activation"] == "mine:f", "status"] = "failed"
    assert "mine:f: seeds 0, 1, 2, 3, 4, 5" in written(tmp_path, frame, ["md"])[0].read_text()


def test_too_few_seeds_for_a_verdict_are_reported(tmp_path: Path) -> None:
    frame = chosen_runs({"relu": [0.9, 0.8] * 5, "tanh": [0.6, 0.5] * 5})
    frame.loc[(frame["activation"] == "tanh") & (frame["seed"] > 4), "status"] = "failed"
    text = written(tmp_path, frame, ["md"])[0].read_text()
    assert "Too few seeds for an answer." in text
    assert "**digits, MLP**: 5 seeds: too few for a verdict. Highest mean: relu, 86.0 %." in text
    assert "| tanh | no verdict | " in text
    assert " | 0.062 | 1.000 | " in text  # the least p of 5 pairs is 2 / 2^5
    frame.loc[frame["seed"] == 5, "status"] = "finished"
    text = written(tmp_path, frame, ["md"])[0].read_text()
    assert "too few" not in text
    assert "| tanh | worse | " in text
    assert " | 0.031 | 1.000 | " in text


def test_costs_of_activations_are_in_the_table(tmp_path: Path) -> None:
    frame = chosen_runs({"relu": [0.9] * 6, "gelu": [0.9001] * 6})
    lines = [("relu0", round, 1.0, 100.0, 0.1) for round in range(3)]
    lines += [("gelu0", round, 5.0 + round, 110.0, 0.3) for round in range(3)]
    text = written(tmp_path, frame, ["md"], costs_frame(lines))[0].read_text()
    assert "| ns per output [range] | % of a step |" in text
    assert "| 6.00 [5.00, 7.00] | 30.0 |" in text
    assert "ns per output [range]" not in written(tmp_path, frame, ["md"])[0].read_text()


def test_all_pairs_are_a_table_where_they_are_asked_for(tmp_path: Path) -> None:
    frame = chosen_runs({"relu": [0.9] * 6, "gelu": [0.8] * 6, "tanh": [0.7] * 6})
    assert "all pairs" not in written(tmp_path, frame, ["md"])[0].read_text()
    text = written(tmp_path, frame, ["md"], pairs=True)[0].read_text()
    section = text.split("all pairs, one family of tests.")[1].split("##")[0]
    assert [line.split(" | ")[:2] for line in section.splitlines() if "+" in line] == [
        ["| relu", "gelu"], ["| relu", "tanh"], ["| gelu", "tanh"],
    ]  # fmt: skip
    assert "| gelu | tanh | better | +10.00 [+10.00, +10.00] | 0.031 | 1.000 |" in section


def test_activations_at_the_baselines_time_are_a_table_of_their_own(tmp_path: Path) -> None:
    """tanh takes twice as long a step: 50 steps instead of 100, in which its score is 0.7 instead of 0.8."""
    frame = chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6})
    again = chosen_runs({"tanh": [0.7] * 6}, steps=50, chosen=False, equal_time=True)
    again["run_id"] += " again"
    usual, both = (
        written(tmp_path, runs, ["md"])[0].read_text() for runs in (frame, pd.concat([frame, again], ignore_index=True))
    )
    caption = "where each activation trains for as long as the baseline."
    assert caption not in usual
    section = both.split(caption)[1].split("##")[0]
    assert "| tanh | worse | -20.00 [-20.00, -20.00] | 0.031 | 1.000 | 50 |" in section
    scores = [text.split("## Test accuracy")[1].split("\n\n")[:3] for text in (both, usual)]
    assert scores[0] == scores[1]  # the other tables are of the usual length


def test_the_request_is_in_the_text(tmp_path: Path) -> None:
    frame = chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6})
    request = Request(
        "mine", "Which?", "actbench compare mine", "seed=1", "relu", 0.005, (0.95, 0.9), (64, 128), "abc",
        {"torch": "2.10", "numpy": "2"},
    )  # fmt: skip
    judged = judge_hypotheses([], frame, costs_frame([]), request.margin)
    blocks = list(document([], labelled(frame), POINTS, request, judged, {}, drawer(tmp_path), False))
    text = "\n".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "With: `seed=1`." in text
    assert "Budget: 100 steps of 64, 128 examples. Target: validation accuracy 0.95, 0.9. " in text
    assert "two one-sided t tests against the margin of 0.5 points." in text
    assert "numpy 2, torch 2.10; revision abc." in text


def test_hypotheses_are_a_table_with_their_verdicts(tmp_path: Path) -> None:
    """tanh never reaches the target on two of eight seeds, and tried no rate above the one that is chosen."""
    frame = chosen_runs({"relu": [0.9] * 8, "tanh": [0.8] * 6 + [None] * 2})
    slow = chosen_runs({"tanh": [0.5] * 3}, lr=0.01, raced_out=True, chosen=False)
    frame = pd.concat([frame, slow.assign(run_id="slow" + slow["run_id"])], ignore_index=True)
    relu: dict[str, float | str] = {"activation": "relu"}
    tanh: dict[str, float | str] = {"activation": "tanh"}
    hypotheses = [
        Hypothesis(claim="relu scores", metric="test_accuracy", a=relu, b=tanh, direction="higher",
                   source="Nair & Hinton 2010, ICML", testable="in part", reason="the source trains longer"),
        Hypothesis(claim="relu is slow", metric="steps_to_target", a=relu, b=tanh, direction="higher",
                   source="Some One 2020; others", kind="definition"),
        Hypothesis(claim="relu at 0.9", metric="test_accuracy", a=relu, b=0.9, direction="equal"),
    ]  # fmt: skip
    judged = judge_hypotheses(hypotheses, frame, costs_frame([]), REQUEST.margin)
    blocks = list(document([], labelled(frame), POINTS, REQUEST, judged, {}, drawer(tmp_path), False))
    start = blocks.index(Heading(2, "Hypotheses"))
    sources, table, paragraph = blocks[start + 1 : start + 4]
    assert isinstance(sources, Table)
    assert sources.frame.to_dict("records") == [
        {"claim": "relu scores", "source": "Nair & Hinton 2010",
         "can this design test the source?": "in part: the source trains longer"},
        {"claim": "relu is slow", "source": "Some One 2020", "can this design test the source?": "true by definition"},
    ]  # fmt: skip
    lines = next(block.texts for block in blocks if isinstance(block, Items))
    assert lines[0].startswith("“relu scores” (Nair & Hinton 2010, testable in part): **supported** (")
    assert lines[1].startswith("“relu is slow” (Some One 2020): **inconclusive** (")
    assert lines[2].startswith("“relu at 0.9”: **supported** (")
    assert isinstance(paragraph, Paragraph)
    assert isinstance(table, Table)
    assert paragraph.text.startswith("Of 3 verdicts: 2 supported, 1 inconclusive. ")
    assert "In brackets behind n: censored pairs" in paragraph.text
    assert " †: its learning rate lies at an end of the grid" in paragraph.text
    rows = table.frame.set_index("claim").to_dict("index")
    assert rows["relu scores"] | {"A − B [95 %]": "", "p": ""} == {
        "task": "digits, mlp", "metric": "test_accuracy", "A": "relu: 0.9", "B": "tanh †: 0.6", "A − B [95 %]": "",
        "n": "8", "p": "", "margin": "0.01", "verdict": "supported",
    }  # fmt: skip
    assert rows["relu scores"]["A − B [95 %]"].startswith("0.3 [0.0862, ")  # 0.3 - sqrt(8 / 7) * 0.2
    assert (rows["relu is slow"]["n"], rows["relu is slow"]["verdict"]) == ("8 (2)", "inconclusive")
    assert (rows["relu at 0.9"]["B"], rows["relu at 0.9"]["A − B [95 %]"]) == ("0.9", "0 [0, 0]")


def test_the_table_of_scores_has_no_difference_of_the_baseline() -> None:
    frame = chosen_runs({"relu": [0.8] * 7, "tanh": [0.9] * 6 + [None]})
    table = scores_table(Comparison("digits, mlp", labelled(frame), "relu", 0.01)).set_index("activation")
    assert table.index.tolist() == ["relu", "tanh (1 diverged)"]
    relu = table.to_dict("index")["relu"]
    assert [relu[key] for key in ("verdict", "accuracy % [95 %]", "minus relu, points [95 %]", "p")] == [
        "baseline", "80.00 [80.00, 80.00]", "", "",
    ]  # fmt: skip
    difference = table.loc["tanh (1 diverged)", "minus relu, points [95 %]"]
    assert isinstance(difference, str)
    assert difference.startswith("-2.86 [-")
    assert table.loc["tanh (1 diverged)", "verdict"] == "inconclusive"
    assert table.loc["tanh (1 diverged)", "seeds to decide"] == "more than 1,000"


def test_rates_that_differ_by_seed_are_listed_by_how_often_they_are_chosen() -> None:
    assert chosen_rates(pd.Series([0.03, 0.01, 0.03])) == "0.03 (2), 0.01 (1)"
    assert chosen_rates(pd.Series([0.03, 0.03])) == "0.03"


def test_limits_name_what_the_answer_does_not_cover(tmp_path: Path) -> None:
    frame = chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6})
    other = chosen_runs({"relu": [0.5] * 6}, lr=0.01, chosen=False, raced_out=True)
    frame = pd.concat([frame, other.assign(run_id="low" + other["run_id"])], ignore_index=True)
    compared = list(comparisons(frame, costs_frame([]), REQUEST))
    judged, environment = judge_hypotheses([], frame, costs_frame([]), 0.01), {"processor": "Some CPU", "cores": 2}
    runs = labelled(frame)
    blocks = list(document(compared, runs, POINTS, REQUEST, judged, environment, drawer(tmp_path), False))
    items = blocks[blocks.index(Heading(2, "Limits")) + 1]
    assert isinstance(items, Items)
    text = "\n".join(items.texts)
    assert "not examples beyond this data set" in text
    assert "Runs have 100 steps; longer training may change the order." in text
    assert "Not varied: optimizer adam, initialisation matched, the sizes of the networks" in text
    assert "Chosen at an end of the grid, so a better rate may lie outside: digits, mlp (0.1): relu." in text
    assert "of this machine (Some CPU) and not of others" in text


def test_limits_name_the_machines_where_the_runs_of_a_comparison_come_from_several() -> None:
    frame = chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6}, device="cpu", torch="2.15.0")
    several = frame.assign(processor=["Some CPU", "Other CPU"] * 6)

    def limits(runs: pd.DataFrame) -> str:
        compared = list(comparisons(runs, costs_frame([]), REQUEST))
        (items,) = (block for block in limits_section(labelled(runs), compared, {}) if isinstance(block, Items))
        return "\n".join(items.texts)

    assert (
        "Runs of one comparison trained on different processors (Other CPU, Some CPU), whose numbers may differ: "
        "digits, mlp." in limits(several)
    )
    for same in (frame, frame.assign(processor="Some CPU")):  # of an older version; of one machine
        assert "whose numbers may differ" not in limits(same)


def test_aggregates_are_given_of_five_tasks_and_not_of_four(tmp_path: Path) -> None:
    scores: dict[str, list[float | None]] = {"relu": [0.9] * 6, "tanh": [0.8] * 6}
    frames = [chosen_runs(scores, initialization=name) for name in ("matched", "he", "glorot", "torch", "orthogonal")]
    frames = [frame.assign(run_id=frame["initialization"] + frame["run_id"]) for frame in frames]
    five, four = (
        written(tmp_path, pd.concat(own, ignore_index=True), ["md"])[0].read_text() for own in (frames, frames[:4])
    )
    assert "## Over all tasks" in five
    assert "| tanh | 80.00 [80.00, 80.00] | 0.00 [0.00, 0.00] |" in five
    assert "## Over all tasks" not in four
