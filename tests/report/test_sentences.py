"""The sentences of a report, for runs whose verdicts one knows."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison
from actbench.experiment.request import Request
from actbench.report.headline import claim_lines, claims_answer, comparison_note, full_answer
from actbench.report.overall import overall_answer
from actbench.report.sentences import answer, coverage, short_names, task_sentence
from actbench.store.files import costs_frame
from tests.analysis.frames import chosen_runs


def compared(
    scores: Mapping[str, Sequence[float | None]], architecture: str = "mlp", baseline: str = "relu"
) -> Comparison:
    frame = labelled(chosen_runs(scores, architecture=architecture))
    return Comparison(f"digits, {architecture}", frame, baseline, 0.01)


NONE = judge_hypotheses([], chosen_runs({"relu": [0.9]}), costs_frame([]), 0.01)
JUDGED = pd.DataFrame([{
    "claim": "it *is* better", "task": "digits, mlp", "verdict": "supported", "mean_a": 0.9, "mean_b": 0.8,
    "source": "One 2020", "testable": "", "metric": "parameters", "b": "relu",
}])  # fmt: skip
WORSE = compared({"relu": [0.9] * 6, "gelu": [0.899] * 6, "tanh": [0.8] * 6})


def test_what_to_take_and_what_to_avoid_is_said_with_the_margin_and_the_scores() -> None:
    assert task_sentence(WORSE) == "Take relu or gelu (within 1 point of the best: relu, 90.0 %). Avoid tanh (80.0 %)."
    assert overall_answer([WORSE]) == "Take relu or gelu. Avoid tanh. Nothing is shown to beat relu."
    assert answer(WORSE, "MLP").startswith("**MLP**: Take relu or gelu")


def test_a_choice_that_does_not_or_hardly_matter_is_said() -> None:
    alike = {"relu": [0.9] * 6, "gelu": [0.899] * 6, "silu": [0.898] * 6}
    same = compared(dict(list(alike.items())[:2]))
    assert task_sentence(same) == "The choice hardly matters: all 2 are within 1 point of the best (relu, 90.0 %)."
    assert overall_answer([same]) == "The choice hardly matters: relu will do. Nothing is shown to beat relu."
    hardly = compared(alike | {"tanh": [0.8] * 6})
    assert task_sentence(hardly) == (
        "The choice hardly matters: 3 of 4, relu among them, are within 1 point of the best (relu, 90.0 %). "
        "Avoid tanh (80.0 %)."
    )
    assert overall_answer([hardly]) == (
        "The choice hardly matters, tanh aside: relu will do. Avoid tanh. Nothing is shown to beat relu."
    )
    two_avoided = compared(alike | {"tanh": [0.8] * 6, "elu": [0.7] * 6})  # three of five are fewer than two thirds
    assert task_sentence(two_avoided).startswith("Take relu, gelu or silu (within 1 point")


def test_the_choice_matters_where_the_baseline_is_not_among_the_best() -> None:
    scores = compared(
        {"relu": [0.8] * 6, "gelu": [0.9] * 6, "silu": [0.899] * 6, "elu": [0.898] * 6, "mish": [0.9] * 6}
    )
    assert task_sentence(scores).startswith("Take gelu, mish, silu or elu (within 1 point of the best: gelu, 90.0 %).")
    assert "Avoid relu (80.0 %)." in task_sentence(scores)


def test_what_beats_the_baseline_is_said_with_its_advantage() -> None:
    noise = np.resize([0.004, -0.004], 8)
    scores = compared({
        "relu": [0.9] * 8, "gelu": [0.95] * 8, "silu": [*(0.912 + noise)], "noisy": [*(0.9 + 10 * noise)],
    })  # fmt: skip
    sentence = task_sentence(scores)
    assert sentence.startswith("Take gelu (95.0 %). Avoid ")
    assert sentence.endswith("Shown to beat relu: gelu (+5.0), silu (+1.2).")
    assert overall_answer([scores]).endswith("Shown to beat relu: gelu and silu.")


def test_the_highest_mean_that_is_not_shown_to_beat_the_baseline_is_said_to_be_so() -> None:
    noise = np.resize([0.04, -0.04], 8)
    undecided = compared({"relu": [0.9] * 8, "noisy": [*(0.905 + noise)]})
    assert task_sentence(undecided) == (
        "Try noisy (90.5 %), the highest mean, but not shown to beat relu (90.0 %). "
        "Not shown to be within 1 point of it: relu."
    )
    assert overall_answer([undecided]) == (
        "Try noisy (the highest mean, though not shown to beat relu). Nothing is shown to beat relu."
    )


def test_where_all_but_what_to_take_is_to_be_avoided_only_a_few_are_listed() -> None:
    bad = {name: [0.5 + number / 100] * 6 for number, name in enumerate(("relu", "gelu", "silu", "elu"))}
    four = compared({"swiglu": [0.9] * 6} | bad)
    assert task_sentence(four).startswith("Take swiglu (90.0 %). Avoid the others. Shown to beat relu: ")
    assert overall_answer([four]).startswith("Take swiglu. Avoid the others. Shown to beat relu: ")
    other = compared({"relu": [0.9] * 6, "tanh": [0.5] * 6}, "cnn")
    assert "Avoid the others in the MLP; tanh in the CNN." in overall_answer([four, other])
    three = compared({"swiglu": [0.9] * 6} | dict(list(bad.items())[:3]))
    assert "Avoid silu (52.0 %), gelu (51.0 %) and relu (50.0 %)." in task_sentence(three)
    some = compared({"swiglu": [0.9] * 6, "noisy": [*np.resize([0.93, 0.86], 6)]} | bad)  # noisy is undecided
    assert "Avoid elu (53.0 %), silu (52.0 %), gelu (51.0 %) and relu (50.0 %)." in task_sentence(some)


def test_networks_that_were_never_trained_are_not_judged() -> None:
    frame = chosen_runs({"relu": [0.1] * 6, "gelu": [0.12] * 6}, steps=0)
    initial = Comparison("digits, mlp, training.steps=0", labelled(frame), "relu", 0.01)
    said = "The networks were not trained (0 steps); nothing is recommended."
    assert task_sentence(initial) == overall_answer([initial]) == said
    assert initial.recommendation is None
    assert overall_answer([initial, WORSE]) == overall_answer([WORSE])


def test_what_is_neither_shown_to_be_close_nor_worse_is_undecided() -> None:
    noise = np.resize([0.04, -0.04], 8)
    undecided = compared({"relu": [0.9] * 8, "noisy": [*(0.895 + noise)]})
    assert task_sentence(undecided) == "Take relu (90.0 %). Not shown to be within 1 point of it: noisy."
    assert overall_answer([undecided]) == "Take relu. Nothing is shown to beat relu."
    many = compared({"relu": [0.9] * 8} | {f"noisy{n}": [*(0.895 + noise)] for n in range(6)})
    assert task_sentence(many).endswith("The other 6 are not shown to be within 1 point of it.")


def test_an_answer_over_several_tasks_groups_them_by_what_to_take() -> None:
    other = compared({"relu": [0.9] * 6, "gelu": [0.95] * 6, "tanh": [0.8] * 6}, "cnn")
    assert overall_answer([WORSE, other]) == (
        "Take relu or gelu in the MLP. Take gelu in the CNN. Avoid tanh everywhere; relu in the CNN. "
        "Shown to beat relu: gelu in the CNN."
    )
    hardly = compared({"relu": [0.9] * 6, "gelu": [0.899] * 6, "tanh": [0.899] * 6}, "transformer")
    assert overall_answer([WORSE, hardly]).startswith(
        "In the Transformer the choice hardly matters: relu will do. Take relu or gelu in the MLP. "
        "Avoid tanh in the MLP."
    )


def test_the_claims_of_an_experiment_are_answered_first() -> None:
    verdicts = {
        ("it is better", "digits, mlp"): "supported", ("it is better", "digits, cnn"): "supported",
        ("it is faster", "digits, mlp"): "refuted", ("it is faster", "digits, cnn"): "inconclusive",
        ("it dies", "digits, mlp"): "inconclusive", ("it is deep", "digits, cnn"): "equal",
    }  # fmt: skip
    judged = pd.DataFrame(
        [{"claim": claim, "task": task, "verdict": verdict} for (claim, task), verdict in verdicts.items()]
    )
    judged = judged.assign(mean_a=0.5, mean_b=[0.25, 0.25, 10, 10, 1, 1], source="", testable="", b="relu")
    judged["metric"] = ["test_accuracy"] * 2 + ["steps_to_target"] * 2 + ["dead_fraction", "step_ns"]
    assert full_answer([WORSE], judged) == (
        "Of 4 claims 1 supported, 1 refuted in part, 1 shown to make no difference, 1 not decided. "
        "By test accuracy: take relu or gelu. Avoid tanh. Nothing is shown to beat relu."
    )
    assert claim_lines(judged)[:2] == [
        "“it is better”: **supported** (MLP 50 % against 25 %, CNN 50 % against 25 %)",
        "“it is faster”: **refuted** (MLP 0.5 steps against 10 steps); "
        "**inconclusive** (CNN 0.5 steps against 10 steps)",
    ]
    cost = judged[-1:].assign(mean_a=11607380.0, mean_b=23.2e6, b="2 x relu")
    assert claim_lines(cost) == ["“it is deep”: **equal** (11.6 ms against 23.2 ms (2 x relu))"]
    assert full_answer([WORSE], NONE) == overall_answer([WORSE])
    assert claims_answer(judged[:2]) == "The claim is supported."
    mixed = judged[:2].assign(verdict=["supported", "refuted"])
    assert claims_answer(mixed) == "The claim is supported and refuted in part."


def test_tasks_that_are_no_architectures_are_named_by_their_terms() -> None:
    deep = compared({"relu": [0.9] * 6, "tanh": [0.8] * 6})
    tasks = [
        Comparison(f"digits, mlp, {terms}", deep.runs, "relu", 0.01) for terms in ("he, sgd", "he, adam", "glorot, sgd")
    ]
    other = compared({"relu": [0.8] * 6, "tanh": [0.9] * 6})
    tasks[2] = Comparison("digits, mlp, glorot, sgd", other.runs, "relu", 0.01)
    assert overall_answer(tasks).startswith(
        "Take relu for he, sgd and for he, adam. Take tanh for glorot, sgd. Avoid tanh for he, sgd and for he, adam; "
        "relu for glorot, sgd."
    )


def test_tasks_are_named_by_what_distinguishes_them() -> None:
    assert short_names(["digits, mlp", "digits, cnn_small"]) == {"digits, mlp": "MLP", "digits, cnn_small": "cnn_small"}
    assert short_names(["digits, mlp"]) == {"digits, mlp": "digits, MLP"}
    deep = [f"digits, mlp, architecture.depth={depth}" for depth in (2, 10)]
    assert list(short_names(deep).values()) == ["depth=2", "depth=10"]
    tasks = ["digits, mlp, he", "digits, mlp, glorot", "mnist, mlp, he"]
    assert list(short_names(tasks).values()) == ["digits, he", "digits, glorot", "mnist, he"]


def test_too_few_seeds_a_single_activation_and_an_absent_baseline_are_said() -> None:
    few = compared({"relu": [0.9] * 5, "tanh": [0.8] * 5})
    assert task_sentence(few) == "5 seeds: too few for a verdict. Highest mean: relu, 90.0 %."
    assert overall_answer([few]) == "Too few seeds for an answer."
    assert overall_answer([]) == "No task has been compared."
    assert task_sentence(compared({"relu": [0.9] * 6})) == "Only relu, 90.0 %; nothing to compare it with."
    alone = compared({"relu": [0.9] * 6})
    assert overall_answer([alone]) == "Only one activation was trained; there is nothing to compare it with."
    diverged = compared({"relu": [None] * 6, "tanh": [None] * 6})
    assert task_sentence(diverged) == "All runs diverged at every rate that was tried; nothing can be recommended."
    assert overall_answer([diverged]) == "All runs diverged; nothing can be recommended."
    absent = compared({"relu": [0.9] * 6, "tanh": [0.8] * 6}, baseline="gelu")
    assert "The baseline gelu is not among them." in task_sentence(absent)
    assert overall_answer([absent]).endswith("The baseline gelu is not among them.")


def test_intervals_cover_test_examples_where_the_scores_of_each_are_kept() -> None:
    frame = labelled(chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6}))
    examples = {str(run_id): np.resize([True, False], 40) for run_id in frame["run_id"]}
    kept = Comparison("digits, mlp", frame, "relu", 0.01, examples=examples, n_test=40)
    assert coverage(kept) == "seeds, tuning on this grid and new test examples, estimated from the test set of 40"
    some = Comparison("digits, mlp", frame, "relu", 0.01, examples=dict([*examples.items()][1:]), n_test=40)
    assert coverage(some).endswith("; not examples beyond this data set (test parts of 40)")
    assert coverage(WORSE).endswith("; not examples beyond this data set")


def test_the_note_begins_with_the_answer_and_is_short_enough_for_a_tag() -> None:
    request = Request("mine", "Which [one](x)?", "actbench compare mine", "seed=1 store.uri=x", "relu", 0.01)
    few = comparison_note(request, [WORSE], JUDGED, "figures/differences.png")
    assert few.startswith(
        "**The claim is supported. By test accuracy: take relu or gelu. Avoid tanh. Nothing is shown to beat relu.**"
        "\n\nWhich [one\\](x)?\n\nWith: `seed=1`.\n\n- “it \\*is\\* better” (One 2020): **supported** "
    )
    assert f"\n- {answer(WORSE, 'digits, MLP')}\n" in few
    assert "get-artifact?run_uuid=RUN_ID&path=figures/differences.png" in few
    many = comparison_note(request, [WORSE] * 100, NONE, "figures/differences.png")
    assert len(many) < 8000
    assert overall_answer([WORSE]).split(".")[0] in many


def test_a_task_without_a_seed_that_all_have_is_said_to_be_not_comparable() -> None:
    frame = chosen_runs({"relu": [0.5, 0.6], "gelu": [0.9, 0.4]}).iloc[[0, 3]]
    nothing = Comparison("digits, mlp", labelled(pd.DataFrame(frame)), "relu", 0.01)
    assert task_sentence(nothing).endswith("nothing can be compared.")
