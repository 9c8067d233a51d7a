"""The report of a comparison: reads only the rows that the store holds; never trains."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from actbench import figures, tables

REPORT, FIGURE = "report.md", "accuracy.svg"


def write(folder: Path, runs: pd.DataFrame, tags: Mapping[str, str]) -> Path:
    """report.md and its figure. runs: rows of runs.csv, phases tune and confirm. tags: of the parent run."""
    confirmed = runs[runs["phase"] == "confirm"]
    scored = confirmed.dropna(subset=["test_accuracy"])
    text = [f"# {tags['experiment']}", "", tags["question"], "", *_answers(confirmed), ""]
    if len(scored):
        figures.save(figures.accuracy_dots(scored), folder / FIGURE)
        text += [f"![Test accuracy of every confirming run, means as bars]({FIGURE})", ""]
    table = tables.summary(confirmed).sort_values(
        ["dataset", "architecture", "test_accuracy_mean"], ascending=[True, True, False], kind="stable"
    )
    text += [tables.markdown(tables.formatted(table)), *_methods(runs, confirmed, tags)]
    path = folder / REPORT
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def _answers(confirmed: pd.DataFrame) -> list[str]:
    """One sentence a dataset and architecture: the best mean, and how far the runner-up is."""
    lines = []
    for (dataset, architecture), group in confirmed.groupby(["dataset", "architecture"], sort=False):
        means = tables.summary(group).dropna(subset=["test_accuracy_mean"])
        best = means.sort_values("test_accuracy_mean", ascending=False, kind="stable")
        title = f"- **{dataset}, {architecture}**: "
        if best.empty:
            lines.append(title + "no run finished.")
            continue
        names, scores, counts = (
            best["activation"].tolist(),
            best["test_accuracy_mean"].tolist(),
            best["test_accuracy_n"],
        )
        score = tables.accuracy(scores[0], best["test_accuracy_sd"].iloc[0], counts.iloc[0])
        line = f"{title}highest mean test accuracy {names[0]}, {score} % (n = {counts.iloc[0]})"
        if len(best) > 1:
            line += f", {100 * (scores[0] - scores[1]):.2f} points above {names[1]}"
        lines.append(line + ".")
    return [*lines, "", "Means and standard deviations over seeds; no test of significance is made here."]


def _methods(runs: pd.DataFrame, confirmed: pd.DataFrame, tags: Mapping[str, str]) -> list[str]:
    tuned = runs[runs["phase"] == "tune"]
    rates = sorted(tuned["lr"].unique())
    text = [
        "## Methods",
        "",
        "Each activation chose its learning rate by mean validation accuracy among "
        f"{', '.join(f'{rate:g}' for rate in rates)}, "
        f"{tuned['seed'].nunique()} tuning seeds each ({len(tuned)} runs); a diverged run counts as accuracy 0. "
        f"{confirmed['seed'].nunique()} fresh seeds then confirmed the choice ({len(confirmed)} runs); "
        "only these read the test set, once, after training. Equal seeds mean equal split, order and initial draws.",
        "",
    ]
    edges = _edges(tuned, confirmed)
    if edges:
        text += ["Chosen at the edge of the grid, so the best rate may lie outside: " + "; ".join(edges) + ".", ""]
    ended = confirmed[confirmed["status"] != "finished"]
    if len(ended):
        text += [f"{len(ended)} confirming runs diverged or failed; they are counted in the table as ended.", ""]
    return [
        *text,
        f"Reproduce with `{tags['command']}`; every run is in `runs.csv`, the machine in `environment.json`.",
        "",
    ]


def _edges(tuned: pd.DataFrame, confirmed: pd.DataFrame) -> list[str]:
    found = []
    for (dataset, architecture, activation), group in confirmed.groupby(
        ["dataset", "architecture", "activation"], sort=False
    ):
        same = (
            (tuned["dataset"] == dataset)
            & (tuned["architecture"] == architecture)
            & (tuned["activation"] == activation)
        )
        grid, chosen = tuned.loc[same, "lr"], group["lr"].iloc[0]
        if len(grid) and grid.nunique() > 1 and chosen in (grid.min(), grid.max()):
            found.append(f"{activation} in {architecture} on {dataset} ({chosen:g})")
    return found
