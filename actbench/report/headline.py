"""The first sentences of a report: what is shown of the claims, and what to take and to avoid."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from actbench.analysis.pairs import Comparison
from actbench.experiment.request import Request
from actbench.experiment.scores import METRICS
from actbench.report.formats.blocks import literal
from actbench.report.formats.languages import MARKS
from actbench.report.metrics import score_name
from actbench.report.numbers import with_unit
from actbench.report.overall import overall_answer
from actbench.report.sentences import answers, short_names
from actbench.report.tables import short_source

_LONGEST_NOTE = 6000  # characters: MLflow keeps 8,000 of a tag
_NO_NUMBERS = ("dataset.root=", "dataset.download=", "dataset.max_pixels=", "execution.", "execution=", "store.")
_NEXT_OVERRIDE = re.compile(r" +(?=[~+]*[\w./@-]+=|~)")  # values, such as lists, may hold spaces


def full_answer(comparisons: Sequence[Comparison], judged: pd.DataFrame) -> str:
    """What is shown of the claims, and what to take and to avoid, as plain text. judged: by judge_hypotheses."""
    choice = overall_answer(comparisons)
    if judged.empty:
        return choice
    return f"{claims_answer(judged)} By {score_name(comparisons)}: {choice[0].lower()}{choice[1:]}"


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
    """A line of Markdown on each claim: its source, its verdicts, and the mean of each side in each task."""
    names = short_names(list(dict.fromkeys(judged["task"])))
    lines = []
    for claim, group in judged.groupby("claim", sort=False):
        by_verdict: dict[str, list[str]] = {}
        for row in group.to_dict("records"):
            task = f"{names[str(row['task'])]} " if len(names) > 1 else ""
            by_verdict.setdefault(str(row["verdict"]), []).append(task + _sides(row))
        texts = [f"**{verdict}** ({', '.join(sides)})" for verdict, sides in by_verdict.items()]
        lines.append(f"“{literal(str(claim))}”{_origin(group.iloc[0].to_dict())}: {'; '.join(texts)}")
    return lines


def _sides(row: Mapping[Any, Any]) -> str:
    """The means of both sides with their unit; of a multiple also of what: `41.2 steps against 6.94 (0.167 x tanh)`."""
    scored = METRICS[row["scored_by"]].value if row.get("scored_by") else partial(with_unit, str(row["metric"]))
    multiple = f" ({literal(str(row['b']))})" if " x " in str(row["b"]) else ""
    return f"{scored(row['mean_a'])} against {scored(row['mean_b'])}{multiple}"


def _origin(row: Mapping[Any, Any]) -> str:
    """The source of a claim and whether this design can test it, in brackets; empty where neither is known."""
    testable = {"yes": "testable here", "in part": "testable in part", "no": "not testable here"}
    parts = [part for part in (literal(short_source(row["source"])), testable.get(row["testable"], "")) if part]
    return f" ({', '.join(parts)})" if parts else ""


def overrides_line(overrides: str) -> str:
    """The overrides that narrow or change the question, in a line of Markdown; empty where there are none.

    Without those that decide no number: where data lie, how runs are executed and stored.
    """
    terms = [term for term in _NEXT_OVERRIDE.split(overrides.strip()) if term and not term.startswith(_NO_NUMBERS)]
    return f"With: {', '.join(f'`{literal(term)}`' for term in terms)}." if terms else ""


def comparison_note(
    request: Request, comparisons: Sequence[Comparison], judged: pd.DataFrame, figure: str
) -> str:  # fmt: skip
    """A comparison in short, in Markdown, as MLflow shows it beside the parent run; the answer is its first line.

    figure: path of the main figure among the run's artifacts (RUN_ID: MLflow's id of the run).
    """
    written = MARKS["md"].inline
    head = [f"**{full_answer(comparisons, judged)}**", literal(request.question), overrides_line(request.overrides)]
    text = "\n\n".join(map(written, filter(None, head)))
    for line in [*claim_lines(judged), *answers(comparisons)]:
        item = f"- {written(line)}"
        if len(text) + len(item) > _LONGEST_NOTE:
            break
        text += ("\n" if "\n- " in text else "\n\n") + item
    if any(comparison.differences for comparison in comparisons):
        text += f"\n\n![Differences to the baseline](get-artifact?run_uuid=RUN_ID&path={figure})"
    return text + "\n\nEverything else is in `report.html`, among the artifacts."
