"""The report of a comparison: reads only what the store holds, never trains."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from actbench.analysis.labels import ended_runs, labelled
from actbench.analysis.pairs import WORST, Comparison
from actbench.analysis.recommendation import SLOWER
from actbench.analysis.statistics import mean_ranks
from actbench.report.figures.accuracy import accuracy_figure
from actbench.report.figures.convergence import profile_figure, survival_figure
from actbench.report.figures.decisions import decisions_figure
from actbench.report.figures.ranks import ranks_figure
from actbench.report.figures.style import WIDTH, save_figure
from actbench.report.formats.blocks import FIGURES, Block, Figure, Heading, Items, Paragraph, Table
from actbench.report.formats.html import html_page
from actbench.report.formats.latex import latex
from actbench.report.formats.markdown import markdown
from actbench.report.formats.typst import pdf
from actbench.report.methods import methods_section
from actbench.report.numbers import NEVER, count, in_points, interval, p_value
from actbench.report.sentences import answer, decision_path, listed, ranks_sentence
from actbench.report.tables import EDGE, arrivals_table, hypotheses_table, runs_table, scores_table, training_table
from actbench.report.training import training_section

FORMATS = ("md", "html", "pdf", "tex")
DRAWN = ("svg", "pdf", "png")
_FEWEST_TASKS, _FEWEST_RANKED = 2, 3


def write_report(
    folder: Path, found: Sequence[Comparison], runs: pd.DataFrame, points: Mapping[str, pd.DataFrame],
    tags: Mapping[str, str], judged: pd.DataFrame, formats: Sequence[str] = FORMATS,
) -> list[Path]:  # fmt: skip
    """report.* and figures/ in `folder`; returns the paths of the former.

    found: of comparisons(); runs: rows of runs.csv, phases tune and confirm; points: curves, layers, histograms,
    costs, as the files of that name have them. tags: of the parent run. judged: verdicts on the hypotheses. The same
    input gives the same bytes.
    """
    blocks = list(document(folder, found, runs, points, tags, judged))
    paths = []
    for name in formats:
        path = folder / f"report.{name}"
        match name:
            case "md":
                path.write_text(markdown(blocks), encoding="utf-8")
            case "html":
                path.write_text(html_page(blocks, folder), encoding="utf-8")
            case "pdf":
                path.write_bytes(pdf(blocks, folder))
            case "tex":
                path.write_text(latex(blocks), encoding="utf-8")
        paths.append(path)
    return paths


def document(
    folder: Path, found: Sequence[Comparison], runs: pd.DataFrame, points: Mapping[str, pd.DataFrame],
    tags: Mapping[str, str], judged: pd.DataFrame,
) -> Iterator[Block]:  # fmt: skip
    drawn = folder / FIGURES
    drawn.mkdir(parents=True, exist_ok=True)
    for old in drawn.glob("*.*"):  # an earlier comparison may have had more
        if old.suffix.lstrip(".") in DRAWN:
            old.unlink()

    def draw(figure: Any, name: str, caption: str) -> Figure:
        for suffix in DRAWN:
            save_figure(figure, drawn / f"{name}.{suffix}")
        return Figure(f"{FIGURES}/{name}", caption, min(1.0, figure.get_size_inches()[0] / WIDTH))

    yield Heading(1, tags["experiment"])
    yield Paragraph(tags["question"])
    if tags.get("overrides"):  # the question is the experiment's; overrides may have narrowed it
        yield Paragraph(f"Asked with these overrides: `{tags['overrides']}`")
    yield from _gaps(found, runs)
    if found:
        yield Items(tuple(answer(comparison) for comparison in found))
    else:
        yield Paragraph("No run has confirmed a choice: the comparison ended while learning rates were tuned.")
    yield from _hypotheses(judged)
    confirmed = labelled(runs[runs["phase"] == "confirm"])
    ended = [comparison.ended for comparison in found if len(comparison.ended)]
    if ended:
        caption = (
            "Test accuracy of every confirming run, means as bars; runs that diverged count as 0. Arrowheads: further "
            "to the left."
        )
        scored = pd.concat(ended).fillna({"test_accuracy": WORST})
        yield draw(accuracy_figure(scored), "accuracy", caption)
    for comparison in found:
        yield from _results(comparison)
    yield from _recommendation(found, draw)
    yield from _ranks(found, draw)
    yield from _convergence(found, draw)
    yield from training_section(runs, points, draw)
    yield from methods_section(runs, found, tags)
    yield from _appendix(confirmed, tags)


_CENSORED = (
    " In brackets behind n: censored pairs, of which a run never reached its target; in the means it counts with its "
    "whole length, and earlier or later is said only where it holds whenever that run would have arrived."
)
_EDGE = f"{EDGE}: its learning rate lies at an end of the grid, and a better one may lie outside."


def _hypotheses(judged: pd.DataFrame) -> Iterator[Block]:
    if judged.empty:
        return
    counted = judged["verdict"].value_counts()
    yield Heading(2, "Hypotheses")
    yield Paragraph(
        f"Of {count(len(judged), 'verdict')}: "
        + ", ".join(f"{count} {verdict}" for verdict, count in counted.items())
        + ". Supported or refuted: interval and p agree, p by Holm over all lines that expect a difference, and over "
        "all that expect none; where equality is expected, the whole interval lies within the margin, or outside. "
        "Practically equal: it lies within, where a difference is expected. Not shown: none of these. A run that "
        "diverged has accuracy 0, and is left out where it has no value."
        + _CENSORED * bool(judged["censored"].any())
        + _EDGE * bool(judged["edges"].any())
    )
    yield Table(hypotheses_table(judged))


def _gaps(found: Iterable[Comparison], runs: pd.DataFrame) -> Iterator[Block]:
    """What is not there: runs that failed or were never made."""
    tuning = runs[runs["phase"] == "tune"]
    lacking = len(tuning) - len(ended_runs(tuning))
    if lacking:
        yield Paragraph(
            f"**{count(lacking, 'tuning run')} without a result**: a failed one counts as accuracy 0 where "
            "a rate was chosen; with one missing none was."
        )
    for comparison in found:
        if comparison.ended.empty:
            yield Paragraph(f"**{comparison.setting}: all {len(comparison.runs)} runs missing.**")
        elif comparison.missing:
            each = "; ".join(f"{name}: seeds {listed(seeds)}" for name, seeds in comparison.missing.items())
            yield Paragraph(
                f"**{comparison.setting}: runs missing** ({each}). Compared and ranked on the "
                f"{count(len(comparison.scores), 'seed')} that all activations have."
            )


def _results(comparison: Comparison) -> Iterator[Block]:
    yield Heading(2, comparison.setting)
    if comparison.scores.empty:
        return
    frame = scores_table(comparison.scores[comparison.ranking], comparison.runs)
    if comparison.differences:
        frame = frame.merge(_difference_columns(comparison), on="activation", how="left").fillna("")
    yield Table(frame, "Test accuracy.")
    yield Table(training_table(comparison.ended, comparison.ranking, comparison.costs), "Training.")


def _difference_columns(comparison: Comparison) -> pd.DataFrame:
    lines = []
    for series, found in comparison.differences.items():
        p, ends = comparison.adjusted[series], (found.low, found.high)
        lines.append({
            "activation": series,
            f"minus {comparison.baseline}, points [95 %]": interval(found.mean, *ends, signed=True),
            "p": p_value(p),
            "better in": f"{100 * found.improvement:.0f} %",
            "effect": "" if pd.isna(found.effect) else f"{found.effect:+.1f}",
            "verdict": comparison.verdict(series),
        })  # fmt: skip
    return pd.DataFrame(lines)


def _recommendation(found: Iterable[Comparison], draw: Any) -> Iterator[Block]:
    decided = {comparison.setting: comparison.decision for comparison in found if comparison.decision is not None}
    if not decided:
        return
    yield Heading(2, "Recommendation")
    yield Items(tuple(f"**{setting}**: {decision_path(decision)}" for setting, decision in decided.items()))
    margin = next(iter(found)).margin
    yield draw(
        decisions_figure(decided), "decisions",
        f"The way to each recommendation: accuracy within {in_points(margin)} of the highest, then steps to target "
        f"within {round(100 * (SLOWER - 1))} % or one evaluation of the fewest, then cost of the activation in a step "
        f"within {round(100 * (SLOWER - 1))} % of the lowest, then the highest accuracy.",
    )  # fmt: skip


def _ranks(found: Sequence[Comparison], draw: Any) -> Iterator[Block]:
    """Over several tasks, of the activations that all of them have."""
    scored = [comparison for comparison in found if not comparison.scores.empty]
    means = pd.DataFrame({comparison.setting: comparison.scores.mean() for comparison in scored}).dropna().T
    if len(means) < _FEWEST_TASKS or means.shape[1] < _FEWEST_RANKED:
        return
    ranks = mean_ranks(means)
    yield Heading(2, "Over all settings")
    yield Paragraph(ranks_sentence(ranks))
    yield draw(
        ranks_figure(ranks), "ranks",
        "Mean ranks, 1 the best; activations joined by a bar do not differ by more than the critical difference.",
    )  # fmt: skip


def _convergence(found: Iterable[Comparison], draw: Any) -> Iterator[Block]:
    shown = [comparison for comparison in found if comparison.ended["steps"].gt(0).any()]
    if not shown:
        return
    yield Heading(2, "Convergence")
    yield Paragraph(
        "Steps, samples and seconds of training until validation accuracy first reaches the target: Kaplan-Meier "
        "median, and mean up to a horizon, which is the length of a run (in seconds: of the longest run), each with "
        "its 95 % bootstrap interval. A run that never arrives or diverges is censored at the horizon, and none is "
        f"dropped; {NEVER}: less than half arrive. Runs that train together share their time equally: seconds "
        "say how long a sweep takes, not what an activation costs."
    )
    for comparison in shown:
        yield Table(arrivals_table(comparison.ended), f"{comparison.setting}: time to target.")
    if any(comparison.ended["reached_target"].eq(True).any() for comparison in shown):
        caption = "Share of runs that have not arrived at the target, by step (Kaplan-Meier), all seeds."
        yield draw(survival_figure(shown), "survival", caption)
    compared = [comparison for comparison in shown if not comparison.scores.empty]
    if any(comparison.ended["reached_target"].eq(True).any() for comparison in compared):
        caption = (
            "Performance profile of steps to target: share of settings and seeds on which an activation arrives within "
            "so many times the steps of the first."
        )
        yield draw(profile_figure(compared), "profile", caption)


def _appendix(confirmed: pd.DataFrame, tags: Mapping[str, str]) -> Iterator[Block]:
    if len(confirmed):
        yield Heading(2, "Runs")
        yield Table(runs_table(confirmed), "Every confirming run.")
    yield Heading(2, "Environment")
    versions = {key.removeprefix("version."): value for key, value in tags.items() if key.startswith("version.")}
    listed = ", ".join(f"{package} {number}" for package, number in sorted(versions.items()))
    yield Paragraph(f"{listed}; revision {tags['revision']}. The machine is in `environment.json`.")
    yield Paragraph(f"Reproduce with `{tags['command']}`; every run, those of tuning too, is in `runs.csv`.")
