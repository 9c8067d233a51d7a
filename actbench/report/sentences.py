"""The sentences of a report: what to take and what to avoid, for each task and over all of them."""

from collections.abc import Iterable, Mapping, Sequence

from actbench.analysis.differences import Difference
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import Ranks
from actbench.experiment.protocol import FEWEST_SEEDS
from actbench.report.formats.blocks import FIGURES
from actbench.report.numbers import count, in_points

ESTIMATED = (
    "Estimated is the test accuracy of an activation whose learning rate is tuned on this grid: each seed's score is "
    "taken at the rate that is best, by validation, on the other seeds."
)
ESTIMATED_BEFORE = (
    "These runs follow an older protocol, which chose each activation's learning rate on other seeds and then held it "
    "fixed: the luck of that choice is in no interval."
)
_LONGEST_NOTE = 6000  # characters: MLflow keeps 8,000 of a tag


def estimated(phases: Iterable[str]) -> str:
    """What the scores of runs of these phases estimate."""
    return ESTIMATED_BEFORE if "confirm" in set(phases) else ESTIMATED


def listed(seeds: Sequence[int]) -> str:
    """Lists the first twelve seeds and counts the others."""
    return ", ".join(map(str, seeds[:12])) + (f" and {len(seeds) - 12} more" if len(seeds) > 12 else "")


def task_sentence(comparison: Comparison) -> str:
    """What to take and what to avoid on one task, and what is shown against the baseline, as plain text."""
    scores, found = comparison.scores, comparison.recommendation
    if scores.empty:
        return "no seed that all activations have; nothing can be compared."
    best = comparison.ranking[0]
    top = f"{best}, {100 * scores[best].mean():.2f} %"
    if found is None:
        return f"only {top}; nothing to compare it with."
    if len(scores) < FEWEST_SEEDS:
        return f"{count(len(scores), 'seed')}: too few for a verdict. Highest mean: {top}."
    margin = in_points(comparison.margin)
    if len(found.take) == len(comparison.ranking):
        parts = [f"the choice does not matter: all are within {margin} of the best ({top})"]
    else:
        parts = [f"take {', '.join(found.take)} (within {margin} of the best: {top})"]
    if found.avoid:
        below = [f"{name} ({100 * comparison.to_best[name].mean:+.1f})" for name in found.avoid]
        parts.append(f"avoid {', '.join(below)}")
    if found.undecided:
        parts.append(f"undecided: {', '.join(found.undecided)}")
    more = [*_against_baseline(comparison), *_fastest(comparison), *_failed(comparison)]
    return f"{'; '.join(parts)}. {' '.join(more)}"


def answer(comparison: Comparison) -> str:
    """The sentence on one task as a line of Markdown."""
    return f"**{comparison.task}**: {task_sentence(comparison)}"


def overall_answer(comparisons: Sequence[Comparison]) -> str:
    """One or two sentences over all tasks, as plain text."""
    judged = [c for c in comparisons if c.recommendation is not None and len(c.scores) >= FEWEST_SEEDS]
    if not judged:
        return "Too few seeds for an answer." if comparisons else "No task has been compared."
    found = {comparison.task: comparison.recommendation for comparison in judged}
    taken = [name for name in judged[0].ranking if all(r is not None and name in r.take for r in found.values())]
    everywhere = " everywhere" if len(judged) > 1 else ""
    parts = [
        f"Take {_any_of(taken)}{everywhere}." if taken else "No activation is shown to be a safe choice in every task."
    ]
    avoided = _by_name({task: r.avoid for task, r in found.items() if r is not None}, len(judged))
    if avoided:
        parts.append(f"Avoid {'; '.join(avoided)}.")
    baseline = judged[0].baseline
    if not any(c.differences for c in judged):
        return " ".join([*parts, f"The baseline {baseline} is not among them."])
    better = _by_name(
        {c.task: _with_verdict(c.differences, ("better", "slightly better")) for c in judged}, len(judged)
    )
    parts.append(
        f"Shown to beat {baseline}: {'; '.join(better)}." if better else f"Nothing is shown to beat {baseline}."
    )
    return " ".join(parts)


def _any_of(names: Sequence[str]) -> str:
    return f"any of {', '.join(names)}" if len(names) > 1 else names[0]


def _by_name(names: Mapping[str, Iterable[str]], tasks: int) -> list[str]:
    """`name (task; task)` of each name, without the tasks where there is only one."""
    tasks_of: dict[str, list[str]] = {}
    for task, own in names.items():
        for name in own:
            tasks_of.setdefault(name, []).append(task)
    return [f"{name} ({'; '.join(where)})" if tasks > 1 else name for name, where in tasks_of.items()]


def _with_verdict(differences: Mapping[str, Difference], verdicts: Sequence[str]) -> list[str]:
    return [name for name, difference in differences.items() if difference.verdict in verdicts]


def _against_baseline(comparison: Comparison) -> list[str]:
    if comparison.baseline not in comparison.scores:
        return [f"The baseline {comparison.baseline} is not among them."]
    shown = [
        f"{verdict} {', '.join(names)}"
        for verdict in ("better", "slightly better", "slightly worse", "worse")
        if (names := _with_verdict(comparison.differences, (verdict,)))
    ]
    beats = any(text.startswith(("better", "slightly better")) for text in shown)
    nothing = [] if beats else [f"Nothing is shown to beat {comparison.baseline}."]
    return ([f"Against {comparison.baseline}: {'; '.join(shown)}."] if shown else []) + nothing


def _failed(comparison: Comparison) -> list[str]:
    return [f"No run of {', '.join(comparison.failed)} succeeded."] if comparison.failed else []


def _fastest(comparison: Comparison) -> list[str]:
    found = comparison.recommendation
    never = [name for name in comparison.ranking if name not in comparison.arrives]
    texts = [f"Fastest to the target: {', '.join(found.fastest)}."] if found and found.fastest else []
    return texts + ([f"In less than half of the runs at the target: {', '.join(never)}."] if never else [])


def comparison_note(question: str, comparisons: Sequence[Comparison]) -> str:
    """A comparison in short, in Markdown, as MLflow shows it beside the parent run (RUN_ID: MLflow's id of that)."""
    lines = [question, "", overall_answer(comparisons), "", *(f"- {answer(comparison)}" for comparison in comparisons)]
    while sum(map(len, lines)) > _LONGEST_NOTE:
        lines.pop()
    if any(len(comparison.ended) for comparison in comparisons):
        lines += ["", f"![Test accuracy](get-artifact?run_uuid=RUN_ID&path={FIGURES}/accuracy.png)"]
    return "\n".join([*lines, "", "Everything else is in `report.html`, among the artifacts."])


def coverage(comparison: Comparison) -> str:
    """What the intervals of a task cover."""
    size = comparison.n_test
    if comparison.covers_examples:
        tested = f" of {size}" if size else ""
        return f"seeds, tuning on this grid and new test examples, estimated from the test set{tested}"
    parts = f" (test parts of {size})" if size else ""
    return f"seeds, splits and tuning on this grid; not examples beyond this data set{parts}"


def ranks_sentence(ranks: Ranks) -> str:
    """Mean ranks, the best first, with Friedman's test and the critical difference."""
    means = ", ".join(
        f"{name} {ranks.mean[name]:.2f}" for name in sorted(ranks.mean, key=lambda name: ranks.mean[name])
    )
    few = " With so few tasks, only very large differences could be shown." if ranks.tasks < 10 else ""
    return (
        f"Mean rank over {ranks.tasks} tasks by mean test accuracy: {means}. Friedman's test: p = {ranks.p:.3f}; "
        f"critical difference of Nemenyi's test at 0.05: {ranks.critical:.2f}.{few}"
    )
