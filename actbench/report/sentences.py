"""The sentences of a report."""

from collections.abc import Sequence

from actbench.analysis.pairs import Comparison
from actbench.analysis.recommendation import CLEAR, RESAMPLES, Decision
from actbench.analysis.statistics import Ranks
from actbench.report.formats.blocks import FIGURES
from actbench.report.numbers import accuracy

_LONGEST_NOTE = 6000  # characters: MLflow keeps 8,000 of a tag


def listed(seeds: Sequence[int]) -> str:
    """Lists the first twelve seeds and counts the others."""
    return ", ".join(map(str, seeds[:12])) + (f" and {len(seeds) - 12} more" if len(seeds) > 12 else "")


def answer(comparison: Comparison) -> str:
    """One line of Markdown: the best mean, the runner-up, verdicts against the baseline, series that never arrive."""
    title, scores = f"**{comparison.task}**: ", comparison.scores
    if scores.empty:
        return title + "no seed that all activations have; nothing can be compared."
    means, best, others = scores.mean(), comparison.ranking[0], comparison.ranking[1:]
    spread = scores[best].std(ddof=1)
    text = (
        f"{title}highest mean test accuracy {best}, {accuracy(means[best], spread, len(scores))} % (n = {len(scores)})"
    )
    if others:
        lead = f"{100 * (means[best] - means[others[0]]):.2f}"
        text += f", level with {others[0]}" if lead == "0.00" else f", {lead} points above {others[0]}"
    return " ".join([text + ".", *_against_baseline(comparison), *_never(comparison)])


def comparison_note(question: str, comparisons: Sequence[Comparison]) -> str:
    """A comparison in short, in Markdown, as MLflow shows it beside the parent run (RUN_ID: MLflow's id of that)."""
    lines = [question, ""]
    for comparison in comparisons:
        lines.append(f"- {answer(comparison)}")
        if comparison.decision is not None:
            lines.append(f"  - Recommended: {decision_path(comparison.decision)}")
    while sum(map(len, lines)) > _LONGEST_NOTE:
        lines.pop()
    if any(len(comparison.ended) for comparison in comparisons):
        lines += ["", f"![Test accuracy](get-artifact?run_uuid=RUN_ID&path={FIGURES}/accuracy.png)"]
    return "\n".join([*lines, "", "Everything else is in `report.html`, among the artifacts."])


def _against_baseline(comparison: Comparison) -> list[str]:
    if comparison.baseline not in comparison.scores:
        return [f"The baseline {comparison.baseline} is not among them."]
    by_verdict: dict[str, list[str]] = {}
    for series in comparison.differences:
        by_verdict.setdefault(comparison.verdict(series), []).append(series)
    if not by_verdict:
        return []
    verdicts = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in by_verdict.items())
    return [f"Against {comparison.baseline}: {verdicts}."]


def _never(comparison: Comparison) -> list[str]:
    reached = comparison.ended["reached_target"].eq(True).groupby(comparison.ended["series"], sort=False).any()
    names = [str(series) for series in reached.index[~reached.to_numpy(dtype=bool)]]
    return [f"Never at the target in any run (censored, not left out): {', '.join(names)}."] if names else []


def decision_path(decision: Decision) -> str:
    """The recommendation, what each criterion left, and the agreement of the resamples. Markdown."""
    prefix = "take" if decision.agreement >= CLEAR else "no clear choice, narrowly"
    return (
        f"{prefix} **{decision.choice}**. Within the margin of the best accuracy: {', '.join(decision.accurate)} "
        f"({len(decision.accurate)} of {len(decision.series)}). Of these soonest at the target: "
        f"{', '.join(decision.fast)}. Of these cheapest: {', '.join(decision.cheap)}. "
        f"{100 * decision.agreement:.0f} % of {RESAMPLES:,} resamples of the seeds lead to the same choice."
    )


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
