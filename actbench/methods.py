"""The methods section of a report, written from what was done."""

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from actbench import tables
from actbench.comparison import Comparison
from actbench.documents.blocks import Block, Heading, Items, Paragraph
from actbench.statistics import FEWEST_PAIRS, LEVEL


def methods(runs: pd.DataFrame, found: Iterable[Comparison], tags: Mapping[str, str]) -> Iterator[Block]:
    """runs: rows of runs.csv, phases tune and confirm; found: of its settings; tags: of the parent run."""
    named = tables.labelled(runs)
    tuned, confirmed = (named[named["phase"] == phase] for phase in ("tune", "confirm"))
    seeds, trained = confirmed["seed"].nunique(), (named["status"] == "diverged").sum()
    yield Heading(2, "Methods")
    yield Paragraph(
        "Each activation chose its learning rate by mean validation accuracy, of equals by mean loss, a diverged run "
        "counting as accuracy 0, on "
        f"{tables.count(tuned['seed'].nunique(), 'tuning seed')} a rate ({len(tuned)} runs). "
        "A grid of which any activation had chosen an end grew there by one rate, once, for all activations of the "
        "setting alike:"
    )
    yield Items(tuple(_grid(str(setting), own) for setting, own in tuned.groupby("setting", sort=False)))
    if confirmed.empty:
        return
    yield Paragraph(
        f"{tables.count(seeds, 'fresh seed')} then confirmed the choice ({len(confirmed)} runs); only these read the "
        "test set, once, after training. Equal seeds mean equal split, order of the data and initial draws. "
        f"{tables.count(int(trained), 'run')} of all diverged; in a comparison a diverged run has accuracy 0 and never "
        "reaches the target. " + _budget(confirmed, tags) + _sizes(confirmed)
    )
    baseline = tags["baseline"]
    yield Paragraph(
        f"Differences to {baseline} are paired by seed. Their 95 % intervals are bias-corrected and accelerated "
        "bootstrap intervals (9,999 resamples), one a line and not corrected for their number; p is that of the exact "
        "two-sided sign-flip test (above 13 pairs: 9,999 random flips), corrected by Holm for the activations of a "
        "setting. Better in: share of seeds on which the activation is above the baseline, ties half. Effect: mean "
        "over standard deviation of the paired differences, with Hedges' correction. IQM: mean of the middle half. "
        f"Practically equal: the whole interval lies within {100 * float(tags['margin']):g} points. Higher, lower: it "
        "does not, and excludes 0, and p is at most 0.05. Not shown: neither. Dead: units whose slope stays below "
        "0.001 on the probe set. Zeros: share of outputs of hidden units that are exactly 0. Gradient ratio: "
        "log10 of the mean squared gradient at the first layer's pre-activations over the last hidden layer's."
    )
    if seeds < FEWEST_PAIRS:
        yield Paragraph(
            f"With {tables.count(seeds, 'pair')} no exact paired test can reach 0.05: there are no p-values; confirm "
            "on more seeds for a verdict."
        )
    most = max((len(comparison.differences) for comparison in found), default=0)
    if seeds >= FEWEST_PAIRS and most * 2.0 ** (1 - seeds) > LEVEL:
        yield Paragraph(
            f"With {tables.count(seeds, 'pair')} and {most} activations to compare no corrected p can reach 0.05: "
            "nothing can be shown higher or lower; confirm on more seeds."
        )
    edges = _edges(tuned, confirmed)
    if edges:
        yield Paragraph("Chosen at the edge of the grid, so the best rate may lie outside: " + "; ".join(edges) + ".")


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


def _edges(tuned: pd.DataFrame, confirmed: pd.DataFrame) -> list[str]:
    """`setting (rate): series, ...` for each rate at an end of a setting's grid that somebody chose."""
    found: dict[str, list[str]] = {}
    for (setting, series), group in confirmed.groupby(["setting", "series"], sort=False):
        grid = tuned.loc[(tuned["setting"] == setting) & (tuned["series"] == series), "lr"]
        chosen = group["lr"].iloc[0]
        if grid.nunique() > 1 and chosen in (grid.min(), grid.max()):
            found.setdefault(f"{setting} ({chosen:g})", []).append(str(series))
    return [f"{where}: {', '.join(names)}" for where, names in found.items()]
