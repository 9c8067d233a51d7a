"""The first sentences of a report: what is shown of the hypotheses, and what to take and to avoid."""

from collections.abc import Sequence

import pandas as pd

from actbench.analysis.pairs import Comparison
from actbench.report.sentences import MOST_NAMED, answers, in_places, overall_answer, short_names

_LONGEST_NOTE = 6000  # characters: MLflow keeps 8,000 of a tag


def full_answer(comparisons: Sequence[Comparison], judged: pd.DataFrame) -> str:
    """What is shown of the hypotheses, and what to take and to avoid, as plain text. judged: by judge_hypotheses."""
    choice = overall_answer(comparisons)
    return choice if judged.empty else f"{hypotheses_answer(judged)} By test accuracy: {choice[0].lower()}{choice[1:]}"


def hypotheses_answer(judged: pd.DataFrame) -> str:
    """The claims that are supported, refuted or shown to make no difference, with the tasks; the others are counted."""
    names = short_names(list(dict.fromkeys(judged["task"])))
    places: dict[str, dict[str, list[str]]] = {}  # verdict -> claim -> tasks
    for row in judged.to_dict("records"):
        places.setdefault(str(row["verdict"]), {}).setdefault(str(row["claim"]), []).append(names[str(row["task"])])
    tasks = judged["claim"].value_counts()
    parts = []
    for verdict, title in (("supported", "Supported"), ("refuted", "Refuted"), ("equal", "No difference")):
        claims = places.get(verdict, {})
        texts = [
            claim if len(own) == tasks[claim] else claim + in_places(own, len(names) + 1)
            for claim, own in claims.items()
        ]
        more = [f"{len(texts) - MOST_NAMED} more"] if len(texts) > MOST_NAMED else []
        if texts:
            parts.append(f"{title}: {'; '.join([*texts[:MOST_NAMED], *more])}.")
    shown = {claim for verdict in ("supported", "refuted", "equal") for claim in places.get(verdict, {})}
    open_claims = [claim for claim in tasks.index if claim not in shown]
    if open_claims:
        parts.append(f"Not decided: {open_claims[0] if len(open_claims) == 1 else f'{len(open_claims)} others'}.")
    return " ".join(parts)


def comparison_note(question: str, comparisons: Sequence[Comparison], judged: pd.DataFrame, figure: str) -> str:
    """A comparison in short, in Markdown, as MLflow shows it beside the parent run; the answer is its first line.

    figure: path of the main figure among the run's artifacts (RUN_ID: MLflow's id of the run).
    """
    lines = [
        f"**{full_answer(comparisons, judged)}**",
        "",
        question,
        "",
        *(f"- {line}" for line in answers(comparisons)),
    ]
    while sum(map(len, lines)) > _LONGEST_NOTE:
        lines.pop()
    if any(comparison.differences for comparison in comparisons):
        lines += ["", f"![Differences to the baseline](get-artifact?run_uuid=RUN_ID&path={figure})"]
    return "\n".join([*lines, "", "Everything else is in `report.html`, among the artifacts."])
