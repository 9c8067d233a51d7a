"""The first sentences of a report: what is shown of the claims, and what to take and to avoid."""

from collections.abc import Sequence

import pandas as pd

from actbench.analysis.pairs import Comparison
from actbench.report.formats.blocks import literal
from actbench.report.formats.languages import MARKS
from actbench.report.numbers import short
from actbench.report.sentences import answers, overall_answer, short_names

_LONGEST_NOTE = 6000  # characters: MLflow keeps 8,000 of a tag


def full_answer(comparisons: Sequence[Comparison], judged: pd.DataFrame) -> str:
    """What is shown of the claims, and what to take and to avoid, as plain text. judged: by judge_hypotheses."""
    choice = overall_answer(comparisons)
    return choice if judged.empty else f"{claims_answer(judged)} By test accuracy: {choice[0].lower()}{choice[1:]}"


def claims_answer(judged: pd.DataFrame) -> str:
    """How many claims are supported, refuted or not decided, in a sentence. judged: by judge_hypotheses."""
    outcomes = [_outcome(set(group["verdict"])) for _, group in judged.groupby("claim", sort=False)]
    counts = {outcome: outcomes.count(outcome) for outcome in _OUTCOMES if outcome in outcomes}
    if len(outcomes) == 1:
        return f"The claim is {outcomes[0]}."
    return f"Of {len(outcomes)} claims {', '.join(f'{number} {outcome}' for outcome, number in counts.items())}."


_OUTCOMES = ("supported", "supported in part", "supported and refuted in part", "refuted in part", "refuted",
             "shown to make no difference", "not decided")  # fmt: skip


def _outcome(verdicts: set[str]) -> str:
    """The verdict on a claim from its verdicts on several tasks."""
    if verdicts == {"equal"}:
        return "shown to make no difference"
    for one, other in (("supported", "refuted"), ("refuted", "supported")):
        if verdicts == {one}:
            return one
        if one in verdicts and other not in verdicts:
            return f"{one} in part"
    return "supported and refuted in part" if "supported" in verdicts else "not decided"


def claim_lines(judged: pd.DataFrame) -> list[str]:
    """A line of Markdown on each claim: its verdicts, and the mean of each side in each task."""
    names = short_names(list(dict.fromkeys(judged["task"])))
    lines = []
    for claim, group in judged.groupby("claim", sort=False):
        by_verdict: dict[str, list[str]] = {}
        for row in group.to_dict("records"):
            sides = f"{short(row['mean_a'])} against {short(row['mean_b'])}"
            task = f"{names[str(row['task'])]} " if len(names) > 1 else ""
            by_verdict.setdefault(str(row["verdict"]), []).append(task + sides)
        texts = [f"**{verdict}** ({', '.join(sides)})" for verdict, sides in by_verdict.items()]
        lines.append(f"“{literal(str(claim))}”: {'; '.join(texts)}")
    return lines


def comparison_note(question: str, comparisons: Sequence[Comparison], judged: pd.DataFrame, figure: str) -> str:
    """A comparison in short, in Markdown, as MLflow shows it beside the parent run; the answer is its first line.

    figure: path of the main figure among the run's artifacts (RUN_ID: MLflow's id of the run).
    """
    written = MARKS["md"].inline
    lines = [
        written(f"**{full_answer(comparisons, judged)}**"),
        "",
        written(literal(question)),
        "",
        *(f"- {written(line)}" for line in answers(comparisons)),
    ]
    while sum(map(len, lines)) > _LONGEST_NOTE:
        lines.pop()
    if any(comparison.differences for comparison in comparisons):
        lines += ["", f"![Differences to the baseline](get-artifact?run_uuid=RUN_ID&path={figure})"]
    return "\n".join([*lines, "", "Everything else is in `report.html`, among the artifacts."])
