"""The report of a comparison, written from the files of its results folder."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Drawing

from actbench.analysis.labels import activation_by_series, compared_runs, ended_runs, labelled
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import mean_ranks
from actbench.analysis.tuned import WORST
from actbench.experiment.request import Request
from actbench.report.figures.accuracy import accuracy_figure
from actbench.report.figures.convergence import profile_figure, survival_figure
from actbench.report.figures.ranks import ranks_figure
from actbench.report.figures.style import WIDTH, save_figure
from actbench.report.formats.blocks import FIGURES, Block, Figure, Heading, Items, Paragraph, Table
from actbench.report.formats.html import html_page
from actbench.report.formats.latex import latex
from actbench.report.formats.markdown import markdown
from actbench.report.formats.typst import pdf
from actbench.report.methods import methods_section
from actbench.report.numbers import NEVER, count
from actbench.report.sentences import answer, estimated, listed, overall_answer, ranks_sentence
from actbench.report.tables import (
    EDGE,
    arrivals_table,
    equal_time_table,
    hypotheses_table,
    pairs_table,
    scores_table,
    training_table,
)
from actbench.report.training import Draw, training_section

FORMATS = ("md", "html", "pdf", "tex")
DRAWN = ("svg", "pdf", "png")  # formats of a figure

_FEWEST_TASKS, _FEWEST_RANKED = 2, 3


def write_report(
    folder: Path, comparisons: Sequence[Comparison], runs: pd.DataFrame, points: Mapping[str, pd.DataFrame],
    request: Request, judged: pd.DataFrame, formats: Sequence[str] = FORMATS, pairs: bool = False,
) -> list[Path]:  # fmt: skip
    """Writes report.* and figures/ in `folder`; returns the paths of the former.

    runs: rows of runs.csv, and comparisons of them. points: curves, layers, histograms and costs, as the files of that
    name have them. judged: by judge_hypotheses. pairs: adds the differences of all pairs. The same input gives the
    same bytes.
    """
    blocks = list(document(folder, comparisons, labelled(compared_runs(runs)), points, request, judged, pairs))
    write = {
        "md": lambda: markdown(blocks).encode(), "html": lambda: html_page(blocks, folder).encode(),
        "pdf": lambda: pdf(blocks, folder), "tex": lambda: latex(blocks).encode(),
    }  # fmt: skip
    paths = [folder / f"report.{name}" for name in formats]
    for path, name in zip(paths, formats, strict=True):
        path.write_bytes(write[name]())
    return paths


def document(
    folder: Path, comparisons: Sequence[Comparison], runs: pd.DataFrame, points: Mapping[str, pd.DataFrame],
    request: Request, judged: pd.DataFrame, pairs: bool,
) -> Iterator[Block]:  # fmt: skip
    """The blocks of the report, whose figures are drawn in `folder`/figures. runs: labelled, marked by a protocol."""
    draw = _draw_in(folder)
    yield Heading(1, request.experiment)
    yield Paragraph(request.question)
    if request.overrides:  # they may have narrowed the experiment's question
        yield Paragraph(f"Asked with these overrides: `{request.overrides}`")
    yield from _gaps(comparisons)
    yield Paragraph(f"**{overall_answer(comparisons)}**")
    if comparisons:
        yield Items(tuple(answer(comparison) for comparison in comparisons))
    yield Paragraph(estimated(runs["phase"]))
    yield from _hypotheses(judged)
    ended = [comparison.ended for comparison in comparisons if len(comparison.ended)]
    if ended:
        caption = (
            "Test accuracy of every seed at its chosen rate, means as bars; runs that diverged count as 0. Arrowheads: "
            "further to the left."
        )
        scored = pd.concat(ended).fillna({"test_accuracy": WORST})
        yield draw(accuracy_figure(scored), "accuracy", caption)
    for comparison in comparisons:
        yield Heading(2, comparison.task)
        if not comparison.scores.empty:
            yield Table(scores_table(comparison), "Test accuracy.")
            yield Table(training_table(comparison), "Training.")
        at_equal_time = equal_time_table(comparison)
        if len(at_equal_time):
            yield Table(at_equal_time, "Test accuracy where each activation trains for as long as the baseline.")
        if pairs and comparison.all_pairs:
            yield Table(pairs_table(comparison), "All pairs, one family of tests.")
    yield from _ranks(comparisons, draw)
    yield from _convergence(comparisons, draw)
    yield from training_section(runs, points, draw)
    yield from methods_section(runs, comparisons, request)
    yield from _appendix(request)


def _draw_in(folder: Path) -> Draw:
    """A function that saves a figure in `folder`/figures, after the figures of an earlier report are removed."""
    figures = folder / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    for path in figures.glob("*.*"):
        if path.suffix.lstrip(".") in DRAWN:
            path.unlink()

    def draw(drawing: Drawing, name: str, caption: str) -> Figure:
        for suffix in DRAWN:
            save_figure(drawing, figures / f"{name}.{suffix}")
        return Figure(f"{FIGURES}/{name}", caption, min(1.0, drawing.get_size_inches()[0] / WIDTH))

    return draw


_CENSORED = (
    " In brackets behind n: censored pairs, of which a run never reached its target; in the means it counts with its "
    "whole length, and earlier or later is said only where it holds whenever that run would have arrived."
)
_EDGE = f"{EDGE}: its learning rate lies at an end of the grid, and a better one may lie outside."


def _hypotheses(judged: pd.DataFrame) -> Iterator[Block]:
    if judged.empty:
        return
    counts = judged["verdict"].value_counts()
    yield Heading(2, "Hypotheses")
    yield Paragraph(
        f"Of {count(len(judged), 'verdict')}: "
        + ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        + ". Supported, refuted: shown by sign flips at 0.05, corrected by Holm over the lines that expect a "
        "difference; where equality is expected: shown to lie within the margin, or to exceed it. Equal: shown to lie "
        "within the margin where a difference is expected. Inconclusive: none of these. A run that diverged has "
        "accuracy 0, and is left out where it has no value."
        + _CENSORED * bool(judged["censored"].any())
        + _EDGE * bool(judged["edges"].any())
    )
    yield Table(hypotheses_table(judged))


def _gaps(comparisons: Iterable[Comparison]) -> Iterator[Block]:
    """Paragraphs about runs that failed or were never trained."""
    for comparison in comparisons:
        if ended_runs(comparison.planned).empty:
            yield Paragraph(f"**{comparison.task}: all {len(comparison.runs)} runs missing.**")
        elif comparison.missing:
            by_series = "; ".join(f"{name}: seeds {listed(seeds)}" for name, seeds in comparison.missing.items())
            yield Paragraph(
                f"**{comparison.task}: runs missing** ({by_series}). Compared and ranked on the "
                f"{count(len(comparison.scores), 'seed')} that all activations have."
            )


def _ranks(comparisons: Iterable[Comparison], draw: Draw) -> Iterator[Block]:
    """Mean ranks over several tasks, for the series that all of them have."""
    scored = [comparison for comparison in comparisons if not comparison.scores.empty]
    means = pd.DataFrame({comparison.task: comparison.scores.mean() for comparison in scored}).dropna().T
    if len(means) < _FEWEST_TASKS or means.shape[1] < _FEWEST_RANKED:
        return
    ranks = mean_ranks(means)
    yield Heading(2, "Over all tasks")
    yield Paragraph(ranks_sentence(ranks))
    yield draw(
        ranks_figure(ranks, activation_by_series(scored[0].runs)), "ranks",
        "Mean ranks, 1 the best; activations joined by a bar do not differ by more than the critical difference.",
    )  # fmt: skip


def _convergence(comparisons: Iterable[Comparison], draw: Draw) -> Iterator[Block]:
    trained = [comparison for comparison in comparisons if comparison.ended["steps"].gt(0).any()]
    if not trained:
        return
    yield Heading(2, "Convergence")
    yield Paragraph(
        "Steps, samples and seconds of training until validation accuracy first reaches the target: Kaplan-Meier "
        "median, and mean up to a horizon, which is the length of a run (in seconds: of the longest run), each with "
        "its 95 % bootstrap interval. A run that never arrives or diverges is censored at the horizon, and none is "
        f"dropped; {NEVER}: less than half arrive. Runs that train together share their time equally: seconds "
        "say how long a sweep takes, not what an activation costs."
    )
    for comparison in trained:
        yield Table(arrivals_table(comparison.ended), f"{comparison.task}: time to target.")
    if _any_reached(trained):
        caption = "Share of runs that have not arrived at the target, by step (Kaplan-Meier), all seeds."
        yield draw(survival_figure(trained), "survival", caption)
    compared = [comparison for comparison in trained if not comparison.scores.empty]
    if _any_reached(compared):
        caption = (
            "Performance profile of steps to target: share of tasks and seeds on which an activation arrives within "
            "so many times the steps of the first."
        )
        yield draw(profile_figure(compared), "profile", caption)


def _any_reached(comparisons: Iterable[Comparison]) -> bool:
    return any(comparison.ended["reached_target"].eq(True).any() for comparison in comparisons)


def _appendix(request: Request) -> Iterator[Block]:
    yield Heading(2, "Environment")
    versions = ", ".join(f"{package} {number}" for package, number in sorted(request.versions.items()))
    yield Paragraph(f"{versions}; revision {request.revision}. The machine is in `environment.json`.")
    yield Paragraph(f"Reproduce with `{request.command}`; every run is in `runs.csv`, page one in `answer.json`.")
