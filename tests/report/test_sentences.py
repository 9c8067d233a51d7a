"""The sentences of a report, for runs whose verdicts one knows."""

import numpy as np
import pandas as pd

from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison
from actbench.report.sentences import answer, comparison_note, coverage, overall_answer, task_sentence
from tests.analysis.frames import chosen_runs


def compared(scores: dict[str, list[float | None]], architecture: str = "mlp", baseline: str = "relu") -> Comparison:
    frame = labelled(chosen_runs(scores, architecture=architecture))
    return Comparison(f"digits, {architecture}", frame, baseline, 0.01)


WORSE = compared({"relu": [0.9] * 6, "gelu": [0.899] * 6, "tanh": [0.8] * 6})


def test_what_to_take_and_what_to_avoid_is_said_with_the_margin_and_the_distance() -> None:
    assert answer(WORSE) == (
        "**digits, mlp**: take relu, gelu (within 1 point of the best: relu, 90.00 %); avoid tanh (-10.0). "
        "Against relu: worse tanh. Nothing is shown to beat relu. Fastest to the target: relu, gelu, tanh."
    )
    assert overall_answer([WORSE]) == "Take any of relu, gelu. Avoid tanh. Nothing is shown to beat relu."


def test_a_choice_that_does_not_matter_is_said() -> None:
    alike = compared({"relu": [0.9] * 6, "gelu": [0.899] * 6})
    assert task_sentence(alike).startswith(
        "the choice does not matter: all are within 1 point of the best (relu, 90.00 %). Nothing is shown to beat relu."
    )
    assert overall_answer([alike]) == "Take any of relu, gelu. Nothing is shown to beat relu."


def test_what_beats_the_baseline_is_said_by_how_much_is_shown() -> None:
    noise = np.resize([0.004, -0.004], 8)
    scores = compared({
        "relu": [0.9] * 8, "gelu": [0.95] * 8, "silu": [*(0.912 + noise)], "noisy": [*(0.9 + 10 * noise)],
    })  # fmt: skip
    sentence = task_sentence(scores)
    assert sentence.startswith("take gelu (within 1 point of the best: gelu, 95.00 %); avoid ")
    assert "Against relu: better gelu; slightly better silu." in sentence
    assert "Nothing is shown" not in sentence
    assert overall_answer([scores]).endswith("Shown to beat relu: gelu; silu.")


def test_what_is_neither_shown_to_be_close_nor_worse_is_undecided() -> None:
    noise = np.resize([0.04, -0.04], 8)
    undecided = compared({"relu": [0.9] * 8, "noisy": [*(0.895 + noise)]})
    assert "; undecided: noisy. Nothing is shown to beat relu." in task_sentence(undecided)
    assert overall_answer([undecided]) == "Take relu. Nothing is shown to beat relu."


def test_an_answer_over_several_tasks_takes_what_is_taken_everywhere_and_names_the_tasks_of_the_rest() -> None:
    other = compared({"relu": [0.9] * 6, "gelu": [0.95] * 6, "tanh": [0.8] * 6}, "cnn")
    assert overall_answer([WORSE, other]) == (
        "Take gelu everywhere. Avoid tanh (digits, mlp; digits, cnn); relu (digits, cnn). "
        "Shown to beat relu: gelu (digits, cnn)."
    )
    opposite = compared({"relu": [0.9] * 6, "gelu": [0.8] * 6, "tanh": [0.95] * 6}, "cnn")
    assert overall_answer([WORSE, opposite]).startswith("No activation is shown to be a safe choice in every task.")


def test_too_few_seeds_a_single_activation_and_an_absent_baseline_are_said() -> None:
    few = compared({"relu": [0.9] * 5, "tanh": [0.8] * 5})
    assert task_sentence(few) == "5 seeds: too few for a verdict. Highest mean: relu, 90.00 %."
    assert overall_answer([few]) == "Too few seeds for an answer."
    assert overall_answer([]) == "No task has been compared."
    assert task_sentence(compared({"relu": [0.9] * 6})) == "only relu, 90.00 %; nothing to compare it with."
    absent = compared({"relu": [0.9] * 6, "tanh": [0.8] * 6}, baseline="gelu")
    assert "The baseline gelu is not among them." in task_sentence(absent)


def test_intervals_cover_test_examples_where_the_scores_of_each_are_kept() -> None:
    frame = labelled(chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6}))
    examples = {str(run_id): np.resize([True, False], 40) for run_id in frame["run_id"]}
    kept = Comparison("digits, mlp", frame, "relu", 0.01, examples=examples, n_test=40)
    assert coverage(kept) == "seeds, tuning on this grid and new test examples, estimated from the test set of 40"
    some = Comparison("digits, mlp", frame, "relu", 0.01, examples=dict([*examples.items()][1:]), n_test=40)
    assert coverage(some).endswith("; not examples beyond this data set (test parts of 40)")
    assert coverage(WORSE).endswith("; not examples beyond this data set")


def test_the_note_of_many_tasks_is_short_enough_for_a_tag() -> None:
    few = comparison_note("Which?", [WORSE])
    assert few.startswith("Which?\n\nTake any of relu, gelu.")
    assert answer(WORSE) in few
    assert "get-artifact?run_uuid=RUN_ID&path=figures/accuracy.png" in few
    many = comparison_note("Which?", [WORSE] * 100)
    assert len(many) < 8000
    assert overall_answer([WORSE]).split(".")[0] in many


def test_a_task_without_a_seed_that_all_have_is_said_to_be_not_comparable() -> None:
    frame = chosen_runs({"relu": [0.5, 0.6], "gelu": [0.9, 0.4]}).iloc[[0, 3]]
    nothing = Comparison("digits, mlp", labelled(pd.DataFrame(frame)), "relu", 0.01)
    assert answer(nothing).endswith("nothing can be compared.")
