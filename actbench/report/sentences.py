"""The sentences of a report."""

from collections.abc import Sequence

from actbench.analysis.pairs import Comparison
from actbench.analysis.recommendation import RESAMPLES, SURE, Decision
from actbench.analysis.statistics import Ranks
from actbench.report.formats.blocks import FIGURES
from actbench.report.numbers import accuracy

_NOTE = 6000  # characters: MLflow keeps 8,000 of a tag


def listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds[:12])) + (f" and {len(seeds) - 12} more" if len(seeds) > 12 else "")


def answer(comparison: Comparison) -> str:
    """One line: the best mean, the runner-up, what differs from the baseline, what never arrives. Markdown."""
    title, scores = f"**{comparison.setting}**: ", comparison.scores
    if scores.empty:
        return title + "no seed that all activations have; nothing can be compared."
    means, order, n = scores.mean(), comparison.ranking, len(scores)
    spread = scores[order[0]].std(ddof=1)
    text = f"{title}highest mean test accuracy {order[0]}, {accuracy(means[order[0]], spread, n)} % (n = {n})"
    if len(order) > 1:
        lead = f"{100 * (means[order[0]] - means[order[1]]):.2f}"
        text += f", level with {order[1]}" if lead == "0.00" else f", {lead} points above {order[1]}"
    return " ".join([text + ".", *_against_baseline(comparison), *_never(comparison)])


def comparison_note(question: str, found: Sequence[Comparison]) -> str:
    """A comparison in short, as MLflow shows it beside the parent run (RUN_ID: MLflow's id of that). Markdown."""
    lines = [question, ""]
    for comparison in found:
        lines.append(f"- {answer(comparison)}")
        if comparison.decision is not None:
            lines.append(f"  - Recommended: {decision_path(comparison.decision)}")
    while sum(map(len, lines)) > _NOTE:
        lines.pop()
    if any(len(comparison.ended) for comparison in found):
        lines += ["", f"![Test accuracy](get-artifact?run_uuid=RUN_ID&path={FIGURES}/accuracy.png)"]
    return "\n".join([*lines, "", "Everything else is in `report.html`, among the artifacts."])


def _against_baseline(comparison: Comparison) -> list[str]:
    if comparison.baseline not in comparison.scores:
        return [f"The baseline {comparison.baseline} is not among them."]
    verdicts: dict[str, list[str]] = {}
    for series in comparison.differences:
        verdicts.setdefault(comparison.verdict(series), []).append(series)
    if not verdicts:
        return []
    each = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in verdicts.items())
    return [f"Against {comparison.baseline}: {each}."]


def _never(comparison: Comparison) -> list[str]:
    reached = comparison.ended["reached_target"].eq(True).groupby(comparison.ended["series"], sort=False).sum()
    names = [str(series) for series, count in reached.items() if count == 0]
    return [f"Never at the target in any run (censored, not left out): {', '.join(names)}."] if names else []


def decision_path(decision: Decision) -> str:
    sure = f"{100 * decision.sure:.0f} % of {RESAMPLES:,} resamples of the seeds lead to the same choice"
    taken = (
        f"take **{decision.choice}**" if decision.sure >= SURE else f"no clear choice, narrowly **{decision.choice}**"
    )
    return (
        f"{taken}. Within the margin of the best accuracy: {', '.join(decision.accurate)} ({len(decision.accurate)} of "
        f"{len(decision.series)}). Of these soonest at the target: {', '.join(decision.soon)}. Of these cheapest: "
        f"{', '.join(decision.cheap)}. {sure}."
    )


def ranks_sentence(ranks: Ranks) -> str:
    order = sorted(ranks.mean, key=lambda name: ranks.mean[name])
    each = ", ".join(f"{name} {ranks.mean[name]:.2f}" for name in order)
    few = " With so few tasks, only very large differences could be shown." if ranks.tasks < 10 else ""
    return (
        f"Mean rank over {ranks.tasks} tasks by mean test accuracy: {each}. Friedman's test: p = {ranks.p:.3f}; "
        f"critical difference of Nemenyi's test at 0.05: {ranks.critical:.2f}.{few}"
    )
