"""The methods section of a report, written from what was done."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from actbench.analysis.labels import at_edge, labelled
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import CONFIDENCE, EXACT_PAIRS, FEWEST_PAIRS, LEVEL, RESAMPLES
from actbench.metrics.units import DEAD_SLOPE
from actbench.report.formats.blocks import Block, Heading, Items, Paragraph
from actbench.report.numbers import count, in_points


def methods_section(runs: pd.DataFrame, found: Sequence[Comparison], tags: Mapping[str, str]) -> Iterator[Block]:
    """runs: rows of runs.csv, phases tune and confirm; found: of its settings; tags: of the parent run."""
    named = labelled(runs[runs["status"] != "missing"])
    named["at_edge"] = at_edge(named)
    tuned, confirmed = (named[named["phase"] == phase] for phase in ("tune", "confirm"))
    seeds, diverged = confirmed["seed"].nunique(), (named["status"] == "diverged").sum()
    yield Heading(2, "Methods")
    yield Paragraph(
        "Each activation chose its learning rate by mean validation accuracy, of equals by mean loss, a diverged run "
        "counting as accuracy 0, on "
        f"{count(tuned['seed'].nunique(), 'tuning seed')} a rate ({len(tuned)} runs). "
        "A grid of which any activation had chosen an end grew there by one rate, once, for all activations of the "
        "setting alike:"
    )
    yield Items(tuple(_grid(str(setting), own) for setting, own in tuned.groupby("setting", sort=False)))
    if confirmed.empty:
        return
    yield Paragraph(
        f"{count(seeds, 'fresh seed')} then confirmed the choice ({len(confirmed)} runs); only these read the "
        "test set, once, after training. Equal seeds mean equal split, order of the data and initial draws. "
        f"{count(int(diverged), 'run')} of all diverged; in a comparison a diverged run has accuracy 0 and "
        "never reaches the target. " + _budget(confirmed, tags) + _sizes(confirmed)
    )
    baselines = ", ".join(dict.fromkeys(comparison.baseline for comparison in found))
    yield Paragraph(
        f"Differences to {baselines} are paired by seed. Their {100 * CONFIDENCE:g} % intervals are bias-corrected and "
        f"accelerated bootstrap intervals ({RESAMPLES:,} resamples), one a line and not corrected for their number"
        + (
            ", and of so few seeds cover the truth nine times in ten rather than 95 in a hundred"
            * (seeds <= EXACT_PAIRS)
        )
        + "; p "
        f"is that of the exact two-sided sign-flip test (above {EXACT_PAIRS} pairs: {RESAMPLES:,} random flips), "
        "corrected by Holm for the activations of a setting. Better in: share of seeds on which the activation is "
        "above the baseline, ties half. Effect: mean over standard deviation of the paired differences, with Hedges' "
        "correction. IQM: mean of the middle half. "
        "±: standard deviation over seeds. "
        f"Practically equal: the whole interval lies within {in_points(float(tags['margin']))}. Higher, lower: it "
        f"does not, and excludes 0, and p is at most {LEVEL}. Not shown: neither. Dead: units whose slope stays below "
        f"{DEAD_SLOPE:g} on the probe set. Zeros: share of outputs of hidden units that are exactly 0. Gradient ratio: "
        "log10 of the mean squared gradient at the first layer's pre-activations over the last hidden layer's. "
        + _costs(found)
    )
    yield from _too_few(found)
    edges = _edges(confirmed[confirmed["at_edge"]])
    if edges:
        yield Paragraph("Chosen at the edge of the grid, so the best rate may lie outside: " + "; ".join(edges) + ".")


def _costs(found: Iterable[Comparison]) -> str:
    if not any(comparison.costs for comparison in found):
        return ""
    return (
        "Nanoseconds an output, and per cent of a training step: of the activations of all layers, forward and "
        "backward, at the sizes that they have in a step; medians of rounds in which all take turns on one thread, "
        "measured after training. Small layers cost mostly their calls."
    )


def _too_few(found: Iterable[Comparison]) -> Iterator[Block]:
    """Where no test can show anything."""
    for comparison in found:
        pairs, others = len(comparison.scores), len(comparison.differences)
        if others and pairs < FEWEST_PAIRS:
            yield Paragraph(
                f"{comparison.setting}: with {count(pairs, 'pair')} no exact paired test can reach {LEVEL}: "
                "there are no p-values; confirm on more seeds for a verdict."
            )
        elif others and (least := others * 2.0 ** (1 - pairs)) <= LEVEL:
            yield Paragraph(
                f"{comparison.setting}: {count(pairs, 'pair')} and {others} to compare: no corrected p can be "
                f"below {least:.2g}, and none below 0.05 where too many pairs are tied."
            )
        elif others * 2.0 ** (1 - pairs) > LEVEL:
            yield Paragraph(
                f"{comparison.setting}: with {count(pairs, 'pair')} and {others} activations to compare no "
                f"corrected p can reach {LEVEL}: nothing can be shown higher or lower; confirm on more seeds."
            )


def _budget(confirmed: pd.DataFrame, tags: Mapping[str, str]) -> str:
    if "target" not in tags:  # of a version that did not note it
        return ""
    steps = ", ".join(f"{number}" for number in confirmed["steps"].dropna().unique())
    return f"Budget: {steps} steps of {tags['batch_size']} examples. Target: validation accuracy {tags['target']}. "


def _grid(setting: str, tuned: pd.DataFrame) -> str:
    """A grid may have grown, for all activations of a setting alike."""
    return f"{setting}: {', '.join(f'{rate:g}' for rate in sorted(tuned['lr'].unique()))}"


def _sizes(confirmed: pd.DataFrame) -> str:
    spread = confirmed.groupby("setting")["parameters"].agg(["min", "max"]).dropna()
    if spread.empty:
        return ""
    widest = (spread["max"] / spread["min"] - 1).max()
    return f"Parameter counts of the activations of a setting differ by at most {100 * widest:.1f} %."


def _edges(confirmed: pd.DataFrame) -> list[str]:
    """`setting (rate): series, ...` for each rate. confirmed: runs of those that chose one at an end of the grid."""
    found: dict[str, list[str]] = {}
    for (setting, series), group in confirmed.groupby(["setting", "series"], sort=False):
        found.setdefault(f"{setting} ({group['lr'].iloc[0]:g})", []).append(str(series))
    return [f"{where}: {', '.join(names)}" for where, names in found.items()]
