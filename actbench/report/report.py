"""The report of a comparison, written from the files of its results folder."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from actbench.analysis.aggregates import FEWEST_TASKS, aggregates, standardized
from actbench.analysis.labels import compared_runs, ended_runs, labelled
from actbench.analysis.pairs import Comparison
from actbench.experiment.request import Request
from actbench.experiment.scores import ACCURACY
from actbench.report.draw import Draw, drawer
from actbench.report.figures.flow import MOST_TASKS, flow_figure
from actbench.report.figures.style import VERDICTS
from actbench.report.formats.blocks import Block, Heading, Items, Paragraph, Table, literal
from actbench.report.formats.documents import write_documents
from actbench.report.front import front_page
from actbench.report.methods import limits_section, methods_section
from actbench.report.metrics import lost_score, only_metric, score_name
from actbench.report.numbers import capitalized, count
from actbench.report.saver import other_process
from actbench.report.sentences import answers, is_judged, listed, short_names
from actbench.report.suite import is_suite
from actbench.report.tables import (
    EDGE,
    aggregates_table,
    equal_time_table,
    hypotheses_table,
    pairs_table,
    scores_table,
    sources_table,
    standardized_table,
)
from actbench.report.training import training_section

FORMATS = ("md", "html", "pdf", "tex")
_COLOURS = {
    "supported": VERDICTS["better"], "refuted": VERDICTS["worse"], "equal": VERDICTS["equal"],
    "inconclusive": VERDICTS["inconclusive"],
}  # fmt: skip


def write_report(
    folder: Path, comparisons: Sequence[Comparison], runs: pd.DataFrame, points: Mapping[str, pd.DataFrame],
    request: Request, judged: pd.DataFrame, environment: Mapping[str, Any], formats: Sequence[str] = FORMATS,
    pairs: bool = False,
) -> list[Path]:  # fmt: skip
    """Writes report.* and figures/ in `folder`; returns the paths of the former. Only LaTeX needs figures beside SVG.

    runs: rows of runs.csv, and comparisons of them. points: curves, layers, histograms and costs, as the files of that
    name have them. judged: by judge_hypotheses. environment: the content of environment.json, or empty. pairs: adds the
    differences of all pairs. The same input gives the same bytes.
    """
    marked = labelled(compared_runs(runs))
    with other_process() if "tex" in formats else contextlib.nullcontext() as save:
        draw = drawer(folder, save)
        blocks = list(document(comparisons, marked, points, request, judged, environment, draw, pairs))
        return write_documents(folder, blocks, formats)


def document(
    comparisons: Sequence[Comparison], runs: pd.DataFrame, points: Mapping[str, pd.DataFrame], request: Request,
    judged: pd.DataFrame, environment: Mapping[str, Any], draw: Draw, pairs: bool,
) -> Iterator[Block]:  # fmt: skip
    """The blocks of the report, the answer first. runs: labelled, marked by a protocol. draw: saves a figure."""
    yield from front_page(comparisons, judged, request, environment, draw)
    suite = is_suite(comparisons)
    scored = [comparison for comparison in comparisons if not comparison.scores.empty]
    if suite:
        yield from _aggregates(scored)
        yield Heading(2, "Task by task")
        yield Items(tuple(answers(comparisons)))
    yield from _gaps(comparisons)
    yield from _hypotheses(judged, comparisons)
    names = short_names([comparison.task for comparison in comparisons])
    if scored:
        yield Heading(2, capitalized(score_name(scored)) + "s" * (only_metric(scored) is None))
    for comparison in scored:
        name = names[comparison.task]
        yield Table(scores_table(comparison), f"{name}, {count(len(comparison.scores), 'seed')}.", VERDICTS)
        at_equal_time = equal_time_table(comparison)
        if len(at_equal_time):
            caption = f"{name}: where each activation trains for as long as the baseline."
            yield Table(at_equal_time, caption, VERDICTS)
        if pairs and comparison.all_pairs:
            yield Table(pairs_table(comparison), f"{name}: all pairs, one family of tests.", VERDICTS)
    if not suite:
        yield from _aggregates(scored)
    yield from training_section(comparisons, points, draw)
    judged_tasks = [comparison for comparison in comparisons if is_judged(comparison)]
    if 0 < len(judged_tasks) <= MOST_TASKS:
        yield Heading(2, "Which to take")
        yield draw(
            lambda width: flow_figure(judged_tasks, width), "decision",
            f"From the task over what counts to an activation. Only {_decides(judged_tasks)} decides which may be "
            "taken.",
        )  # fmt: skip
    yield from limits_section(runs, comparisons, environment)
    yield from methods_section(runs, comparisons, request)
    if request.versions:
        versions = ", ".join(f"{package} {number}" for package, number in sorted(request.versions.items()))
        yield Paragraph(
            f"{literal(versions)}; revision {literal(request.revision)}. Reproduce with `{literal(request.command)}`; "
            "every run is in `runs.csv`, the first page in `answer.json`, the machine in `environment.json`.",
            "note",
        )


def _decides(comparisons: Sequence[Comparison]) -> str:
    return "accuracy" if only_metric(comparisons) is ACCURACY else "the test score"


def _hypotheses(judged: pd.DataFrame, comparisons: Sequence[Comparison]) -> Iterator[Block]:
    if judged.empty:
        return
    counts = judged["verdict"].value_counts()
    yield Heading(2, "Hypotheses")
    yield Table(sources_table(judged))
    yield Table(hypotheses_table(judged), "", _COLOURS)
    yield Paragraph(
        f"Of {count(len(judged), 'verdict')}: "
        + ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        + ". Supported, refuted: shown by sign flips at 0.05, corrected by Holm over the lines that expect a "
        "difference; where equality is expected: shown to lie within the margin, or to exceed it. Equal: shown to lie "
        "within the margin where a difference is expected. Inconclusive: none of these. A run that diverged has "
        f"{lost_score(comparisons)}, and is left out where it has no value. Intervals are one a line, not corrected; "
        "the first page tests each task alone, so it may show what is inconclusive among all claims."
        + _SCORE * bool(judged["scored_by"].eq("bits_per_character").any())
        + _CENSORED * bool(judged["censored"].any())
        + _EDGE * bool(judged["edges"].any()),
        "note",
    )


_SCORE = " Score: higher is better; of text minus bits per character."
_CENSORED = (
    " In brackets behind n: censored pairs, of which a run never reached its target; in the means it counts with its "
    "whole length, and earlier or later is said only where it holds whenever that run would have arrived."
)
_EDGE = f"{EDGE}: its learning rate lies at an end of the grid, and a better one may lie outside."


def _gaps(comparisons: Iterable[Comparison]) -> Iterator[Block]:
    """Paragraphs about runs that failed or were never trained."""
    for comparison in comparisons:
        if ended_runs(comparison.planned).empty:
            yield Paragraph(f"**{comparison.task}: all {len(comparison.runs)} runs missing.**")
        elif comparison.missing:
            by_series = "; ".join(f"{name}: seeds {listed(seeds)}" for name, seeds in comparison.missing.items())
            yield Paragraph(
                f"**{comparison.task}: runs missing** ({by_series}). Compared on the "
                f"{count(len(comparison.scores), 'seed')} that all activations have."
            )


def _aggregates(comparisons: Sequence[Comparison]) -> Iterator[Block]:
    """Aggregates over enough tasks, of the series that all of them have."""
    if len(comparisons) < FEWEST_TASKS:
        return
    yield Heading(2, "Over all tasks")
    baseline = comparisons[0].baseline
    if only_metric(comparisons) is not ACCURACY:
        yield Table(
            standardized_table(standardized(comparisons), baseline),
            f"Over {len(comparisons)} tasks: the rank by mean score on a task, 1 the best, averaged over tasks; the "
            f"interquartile mean of the differences to {baseline} over tasks and their seeds, each in margins of its "
            f"task, higher is better; and the probability that a seed's score is higher than one of {baseline}, "
            "averaged over tasks; 95 % intervals by resampling the seeds within each task (Agarwal et al. 2021). They "
            "cover other seeds, not other tasks.",
        )
        return
    yield Table(
        aggregates_table(aggregates(comparisons), baseline),
        f"Interquartile mean of the test accuracy over {len(comparisons)} tasks and their seeds, and the probability "
        f"that a seed's score is higher than one of {baseline}, averaged over tasks; 95 % intervals by resampling the "
        "seeds within each task (Agarwal et al. 2021).",
    )
