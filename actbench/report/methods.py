"""The methods section of a report, written from what was done."""

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from actbench.analysis.labels import at_edge
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import CONFIDENCE, EXACT_PAIRS, FEWEST_PAIRS, LEVEL, RESAMPLES
from actbench.experiment.request import Request
from actbench.metrics.units import DEAD_SLOPE
from actbench.report.formats.blocks import Block, Heading, Items, Paragraph
from actbench.report.numbers import count, in_points


def methods_section(runs: pd.DataFrame, comparisons: Sequence[Comparison], request: Request) -> Iterator[Block]:
    """The blocks of the section. runs: labelled rows of runs.csv, phases tune and confirm."""
    made = runs[runs["status"] != "missing"]
    made = made.assign(at_edge=at_edge(made))
    tuned, confirmed = (made[made["phase"] == phase] for phase in ("tune", "confirm"))
    yield Heading(2, "Methods")
    yield Paragraph(
        "Each activation chose its learning rate by mean validation accuracy, of equals by mean loss, a diverged run "
        "counting as accuracy 0, on "
        f"{count(tuned['seed'].nunique(), 'tuning seed')} a rate ({len(tuned)} runs). "
        "A grid of which any activation had chosen an end grew there by one rate, once, for all activations of the "
        "setting alike:"
    )
    yield Items(
        tuple(
            f"{task}: {', '.join(f'{rate:g}' for rate in sorted(group['lr'].unique()))}"
            for task, group in tuned.groupby("task", sort=False)
        )
    )
    if confirmed.empty:
        return
    diverged = int((made["status"] == "diverged").sum())
    yield Paragraph(
        f"{count(confirmed['seed'].nunique(), 'fresh seed')} then confirmed the choice ({len(confirmed)} runs); only "
        "these read the "
        "test set, once, after training. Equal seeds mean equal split, order of the data and initial draws. "
        f"{count(diverged, 'run')} of all diverged; in a comparison a diverged run has accuracy 0 and "
        "never reaches the target. " + _budget(confirmed, request) + _sizes(confirmed)
    )
    yield Paragraph(_statistics(comparisons, confirmed["seed"].nunique(), request.margin) + _costs(comparisons))
    yield from _limits(comparisons)
    edges = _edges(confirmed[confirmed["at_edge"]])
    if edges:
        yield Paragraph("Chosen at the edge of the grid, so the best rate may lie outside: " + "; ".join(edges) + ".")


def _statistics(comparisons: Iterable[Comparison], seeds: int, margin: float) -> str:
    baselines = ", ".join(dict.fromkeys(comparison.baseline for comparison in comparisons))
    coverage = ", and of so few seeds cover the truth nine times in ten rather than 95 in a hundred"
    return (
        f"Differences to {baselines} are paired by seed. Their {100 * CONFIDENCE:g} % intervals are bias-corrected and "
        f"accelerated bootstrap intervals ({RESAMPLES:,} resamples), one a line and not corrected for their number"
        f"{coverage if seeds <= EXACT_PAIRS else ''}; p "
        f"is that of the exact two-sided sign-flip test (above {EXACT_PAIRS} pairs: {RESAMPLES:,} random flips), "
        "corrected by Holm for the activations of a setting. Better in: share of seeds on which the activation is "
        "above the baseline, ties half. Effect: mean over standard deviation of the paired differences, with Hedges' "
        "correction. IQM: mean of the middle half. "
        "±: standard deviation over seeds. "
        f"Practically equal: the whole interval lies within {in_points(margin)}. Higher, lower: it "
        f"does not, and excludes 0, and p is at most {LEVEL}. Not shown: neither. Dead: units whose slope stays below "
        f"{DEAD_SLOPE:g} on the probe set. Zeros: share of outputs of hidden units that are exactly 0. Gradient ratio: "
        "log10 of the mean squared gradient at the first layer's pre-activations over the last hidden layer's. "
    )


def _costs(comparisons: Iterable[Comparison]) -> str:
    if not any(comparison.costs for comparison in comparisons):
        return ""
    return (
        "Nanoseconds an output, and per cent of a training step: of the activations of all layers, forward and "
        "backward, at the sizes that they have in a step; medians of rounds in which all take turns on one thread, "
        "measured after training. Small layers cost mostly their calls."
    )


def _limits(comparisons: Iterable[Comparison]) -> Iterator[Block]:
    """What a task's tests cannot show with its number of pairs."""
    for comparison in comparisons:
        others = len(comparison.differences)
        if not others:
            continue
        pairs = count(len(comparison.scores), "pair")
        smallest = others * 2.0 ** (1 - len(comparison.scores))  # p by Holm where all pairs have one sign
        if len(comparison.scores) < FEWEST_PAIRS:
            text = (
                f"with {pairs} no exact paired test can reach {LEVEL}: there are no p-values; confirm on more seeds "
                "for a verdict."
            )
        elif smallest <= LEVEL:
            text = (
                f"{pairs} and {others} to compare: no corrected p can be below {smallest:.2g}, and none below 0.05 "
                "where too many pairs are tied."
            )
        else:
            text = (
                f"with {pairs} and {others} activations to compare no corrected p can reach {LEVEL}: nothing can be "
                "shown higher or lower; confirm on more seeds."
            )
        yield Paragraph(f"{comparison.task}: {text}")


def _budget(confirmed: pd.DataFrame, request: Request) -> str:
    if not request.targets:  # of a version that did not store it
        return ""
    steps, sizes, targets = (
        ", ".join(map(str, values))
        for values in (confirmed["steps"].dropna().unique(), request.batch_sizes, request.targets)
    )
    return f"Budget: {steps} steps of {sizes} examples. Target: validation accuracy {targets}. "


def _sizes(confirmed: pd.DataFrame) -> str:
    spread = confirmed.groupby("task")["parameters"].agg(["min", "max"]).dropna()
    if spread.empty:
        return ""
    widest = (spread["max"] / spread["min"] - 1).max()
    return f"Parameter counts of the activations of a setting differ by at most {100 * widest:.1f} %."


def _edges(confirmed: pd.DataFrame) -> list[str]:
    """`task (rate): series, ...` for each rate. confirmed: runs of series that chose a rate at an end of the grid."""
    by_rate: dict[str, list[str]] = {}
    for (task, series), group in confirmed.groupby(["task", "series"], sort=False):
        by_rate.setdefault(f"{task} ({group['lr'].iloc[0]:g})", []).append(str(series))
    return [f"{where}: {', '.join(names)}" for where, names in by_rate.items()]
