"""The report of a comparison: reads only the rows that the store holds; never trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actbench import curve_figures, figures, tables
from actbench.statistics import FEWEST_PAIRS, Difference, paired_difference

REPORT, FIGURE = "report.md", "accuracy.svg"
DEEP = 5  # hidden layers, from which on a picture by layer says more than the curves of all
LAYERED = {"dead_fraction": "share of dead units", "gradient_rms": "gradient at pre-activations, log10 of its RMS"}


def write(folder: Path, runs: pd.DataFrame, points: Mapping[str, pd.DataFrame], tags: Mapping[str, str]) -> Path:
    """report.md and its figures. runs: rows of runs.csv, phases tune and confirm; points: curves, layers, histograms,
    as the files of that name have them. tags: of the parent run."""
    confirmed = tables.labelled(runs[runs["phase"] == "confirm"])
    scored = confirmed.dropna(subset=["test_accuracy"])
    text = [f"# {tags['experiment']}", "", tags["question"], "", *_changes(tags), *answers(runs, tags), ""]
    if len(scored):
        figures.save(figures.accuracy_dots(scored), folder / FIGURE)
        text += [f"![Test accuracy of every confirming run, means as bars]({FIGURE})", ""]
    text += [tables.markdown(_table(confirmed, tags)), *_convergence(confirmed)]
    text += [*_training(folder, runs, points), *_methods(runs, confirmed, tags)]
    path = folder / REPORT
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def _changes(tags: Mapping[str, str]) -> list[str]:
    """The question is the experiment's; overrides may have narrowed it."""
    return [f"Asked with these overrides: `{tags['overrides']}`", ""] if tags.get("overrides") else []


def answers(runs: pd.DataFrame, tags: Mapping[str, str]) -> list[str]:
    """One line a setting: the best mean, the runner-up, and what differs from the baseline. Markdown."""
    confirmed = tables.labelled(runs[runs["phase"] == "confirm"])
    lines = []
    for setting, group in confirmed.groupby("setting", sort=False):
        means = tables.summary(group).dropna(subset=["test_accuracy_mean"])
        best = means.sort_values("test_accuracy_mean", ascending=False, kind="stable")
        title = f"- **{setting}**: "
        if best.empty:
            lines.append(title + "no run finished.")
            continue
        names, scores = best["series"].tolist(), best["test_accuracy_mean"].tolist()
        first = tables.accuracy(scores[0], best["test_accuracy_sd"].iloc[0], best["test_accuracy_n"].iloc[0])
        line = f"{title}highest mean test accuracy {names[0]}, {first} % (n = {best['test_accuracy_n'].iloc[0]})"
        if len(best) > 1:
            line += f", {100 * (scores[0] - scores[1]):.2f} points above {names[1]}"
        lines.append(line + ". " + _against_baseline(group, tags))
    return lines


def _against_baseline(group: pd.DataFrame, tags: Mapping[str, str]) -> str:
    baseline, margin = tags["baseline"], float(tags["margin"])
    found: dict[str, list[str]] = {}
    for series, difference in differences(group, baseline).items():
        found.setdefault(difference.verdict(margin), []).append(series)
    if not found:
        return f"The baseline {baseline} is not among them." if baseline not in set(group["series"]) else ""
    return (
        f"Against {baseline}: " + "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in found.items()) + "."
    )


def differences(group: pd.DataFrame, baseline: str) -> dict[str, Difference]:
    """Test accuracy of each series less the baseline's, paired by seed; a run that did not finish counts as 0."""
    scores = group.assign(score=group["test_accuracy"].fillna(0.0)).pivot_table("score", "seed", "series", sort=False)
    if baseline not in scores:
        return {}
    found = {}
    for series in scores:
        pairs = scores[[series, baseline]].dropna() if series != baseline else scores[[]]
        if series != baseline and len(pairs):
            found[str(series)] = paired_difference(pairs[series].to_numpy(), pairs[baseline].to_numpy())
    return found


def _table(confirmed: pd.DataFrame, tags: Mapping[str, str]) -> pd.DataFrame:
    """Best first within each setting, with the paired difference to the baseline in points."""
    parts = []
    for _, group in confirmed.groupby("setting", sort=False):
        lines = tables.summary(group).sort_values("test_accuracy_mean", ascending=False, kind="stable")
        found = differences(group, tags["baseline"])
        parts.append(lines.assign(difference=[_interval(found.get(series)) for series in lines["series"]]))
    table = pd.concat(parts, ignore_index=True)
    return tables.formatted(table).assign(**{f"less {tags['baseline']}, points [95 %]": table["difference"]})


def _convergence(confirmed: pd.DataFrame) -> list[str]:
    text = [
        "## Convergence",
        "",
        "Steps, samples and seconds of training until validation accuracy first reaches the target: Kaplan-Meier "
        "median, and mean up to a horizon, which is the length of a run (in seconds: of the shortest run), each with "
        "its 95 % bootstrap interval. A run that never arrives or diverges is censored at the horizon, and none is "
        f"dropped; {tables.NEVER}: less than half arrive.",
        "",
    ]
    for setting, group in confirmed.groupby("setting", sort=False):
        text += [f"**{setting}**", "", tables.markdown(tables.arrivals(group))]
    return text


def _training(folder: Path, runs: pd.DataFrame, points: Mapping[str, pd.DataFrame]) -> list[str]:
    """Figures of how the runs trained, each with a line of text."""
    named = tables.labelled(runs)
    tuned, confirmed = (named[named["phase"] == phase] for phase in ("tune", "confirm"))
    confirmed = confirmed[["run_id", "setting", "series"]]
    text = ["## Training", ""]

    def draw(figure: Any, name: str, caption: str) -> None:
        figures.save(figure, folder / name)
        text.extend([f"![{caption}]({name})", ""])

    curves = points["curves"]
    drawn = confirmed.merge(curves[curves["metric"].isin(curve_figures.CURVES)], on="run_id")
    if len(drawn):
        caption = "Confirming runs by step: mean over seeds, 10th to 90th percentile as a band"
        draw(curve_figures.curves(drawn), "curves.svg", caption)
    binned = confirmed.merge(points["histograms"], on="run_id")
    if len(binned):
        caption = "Outputs of the units of the first and the last hidden layer after training, all seeds"
        draw(curve_figures.histograms(binned), "outputs.svg", caption)
    for number, (setting, own) in enumerate(
        confirmed.merge(points["layers"], on="run_id").groupby("setting", sort=False)
    ):
        for metric, title in LAYERED.items():
            values = own.loc[own["metric"] == metric].copy()
            values["value"] = _shown(values["value"], metric)
            values = values[np.isfinite(values["value"])]
            if values["layer"].nunique() >= DEEP:
                figure, name = curve_figures.layers(values, metric, title), f"layers_{metric}_{number + 1}.svg"
                draw(figure, name, f"{setting}: {title}, by layer and step, mean over seeds")
    if tuned["lr"].nunique() > 1:
        caption = "Validation accuracy of the tuning runs by learning rate; diverged runs count as 0"
        draw(curve_figures.learning_rates(tuned), "learning_rates.svg", caption)
    return text


def _shown(values: pd.Series, metric: str) -> pd.Series:
    """Gradients by their logarithm."""
    with np.errstate(divide="ignore"):
        return np.log10(values) if metric == "gradient_rms" else values


def _interval(difference: Difference | None) -> str:
    if difference is None:
        return ""
    ends = "" if difference.pairs < 2 else f" [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"
    return f"{100 * difference.mean:+.2f}{ends}"


def _methods(runs: pd.DataFrame, confirmed: pd.DataFrame, tags: Mapping[str, str]) -> list[str]:
    tuned = tables.labelled(runs[runs["phase"] == "tune"])
    rates = sorted(tuned["lr"].unique())
    seeds = confirmed["seed"].nunique()
    text = [
        "## Methods",
        "",
        "Each activation chose its learning rate by mean validation accuracy among "
        f"{', '.join(f'{rate:g}' for rate in rates)}, {_count(tuned['seed'].nunique(), 'tuning seed')} each "
        f"({len(tuned)} runs); a diverged run counts as accuracy 0. {_count(seeds, 'fresh seed')} then confirmed the "
        f"choice ({len(confirmed)} runs); only these read the test set, once, after training. Equal seeds mean equal "
        "split, order and initial draws.",
        "",
        f"Differences to {tags['baseline']} are paired by seed, with 95 % bias-corrected bootstrap intervals, one a "
        "line and not corrected for their number. Practically equal: the whole interval lies within "
        f"{100 * float(tags['margin']):g} points. Not shown: it holds 0 and reaches further. n counts runs, lost "
        "those that diverged or failed. To target: median steps until validation accuracy first reaches the target; "
        "x/n do, where half or more never reach it. Dead: units whose slope stays below 0.001 on the probe set.",
        "",
    ]
    if seeds < FEWEST_PAIRS:
        few = f"With {_count(seeds, 'pair')} no exact paired test can reach 0.05: confirm on more seeds for a verdict."
        text += [few, ""]
    edges = _edges(tuned, confirmed)
    if edges:
        text += ["Chosen at the edge of the grid, so the best rate may lie outside: " + "; ".join(edges) + ".", ""]
    return [
        *text,
        f"Reproduce with `{tags['command']}`; every run is in `runs.csv`, the machine in `environment.json`.",
        "",
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _edges(tuned: pd.DataFrame, confirmed: pd.DataFrame) -> list[str]:
    found = []
    for (setting, series), group in confirmed.groupby(["setting", "series"], sort=False):
        grid = tuned.loc[(tuned["setting"] == setting) & (tuned["series"] == series), "lr"]
        chosen = group["lr"].iloc[0]
        if grid.nunique() > 1 and chosen in (grid.min(), grid.max()):
            found.append(f"{series} on {setting} ({chosen:g})")
    return found
