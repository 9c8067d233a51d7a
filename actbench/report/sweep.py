"""The figures and the short report of a sweep, made from the files of its results folder."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from actbench.analysis.labels import labelled
from actbench.analysis.summary import summarize
from actbench.experiment.request import Request
from actbench.experiment.scores import METRICS
from actbench.report.draw import Draw, Make, drawer
from actbench.report.figures.sweep import curves_figure, scores_figure
from actbench.report.formats.blocks import Block, Heading, Items, Paragraph, Table, literal
from actbench.report.formats.documents import write_documents
from actbench.report.headline import overrides_line
from actbench.report.numbers import count, machine_and_time, rate, with_deviation
from actbench.report.sentences import short_names
from actbench.report.tables import summary_table

FORMATS = ("md", "html")  # that a sweep writes by itself
_CAPTIONS = {
    "accuracy": "A point for each run and a bar at the mean over seeds, the highest on top. An arrow is a mean far "
    "below the others.",
    "curves": "Validation scores while training, at each activation's best learning rate in black.",
}
_TABLE = (
    "Means over n seeds ± standard deviation of the runs that finished; lost: runs that diverged, failed or are "
    "missing. To target: median steps (Kaplan-Meier), or how many arrived where fewer than half did."
)
_MOST_TASKS = 12  # named in the list of what is best


def write_sweep(
    folder: Path, runs: pd.DataFrame, curves: pd.DataFrame, request: Request, environment: Mapping[str, Any],
    formats: Sequence[str] = FORMATS,
) -> list[Path]:  # fmt: skip
    """Writes report.* and figures/ in `folder`; returns the paths of the former, or nothing without results.

    runs: rows of runs.csv; curves: of curves.parquet. environment: the content of environment.json, or empty.
    """
    makers = sweep_figures(runs, curves)
    if not makers:
        return []
    blocks = list(_document(runs, makers, request, environment, drawer(folder)))
    return write_documents(folder, blocks, formats)


def sweep_figures(runs: pd.DataFrame, curves: pd.DataFrame) -> dict[str, Make]:
    """What draws each figure, by name; arguments as for `write_sweep`."""
    shown = labelled(runs[runs["status"] != "missing"])
    column = _score_column(shown)
    if shown[column].isna().all():
        return {}
    makers: dict[str, Make] = {"accuracy": lambda width: scores_figure(shown, column, width)}
    if (curves["metric"].isin([metric.curve for metric in METRICS.values()]) & curves["step"].gt(0)).any():
        makers["curves"] = lambda width: curves_figure(shown, curves, width)
    return makers


def _score_column(runs: pd.DataFrame) -> str:
    return "score" if runs["score"].notna().any() else "val_score"


def _document(
    runs: pd.DataFrame, makers: Mapping[str, Make], request: Request, environment: Mapping[str, Any], draw: Draw
) -> Iterator[Block]:
    """The blocks of the report: what came out best, the table, the figures."""
    yield Heading(1, literal(request.question))
    if asked := overrides_line(request.overrides):
        yield Paragraph(asked, "note")
    summary = summarize(runs)
    lead, *tasks = best(summary)
    yield Paragraph(lead, "lead")
    if tasks:
        yield Items(tuple(tasks))
    yield Paragraph(_conditions(runs, request, environment), "note")
    yield Table(summary_table(summary), _TABLE)
    for name, make in makers.items():
        yield draw(make, name, _CAPTIONS[name])
    yield Paragraph(
        f"Revision {literal(request.revision)}. Reproduce with `{literal(request.command)}`; every run is in "
        "`runs.csv`, the machine in `environment.json`.",
        "note",
    )


def best(summary: pd.DataFrame) -> list[str]:
    """A sentence, and where there are several tasks a text for each: what has the highest mean validation score.

    summary: of `summarize`.
    """
    scored = summary[summary["val_score_n"] > 0]
    if scored.empty:
        return ["No run finished."]
    rows = scored.loc[scored.groupby("task", sort=False)["val_score_mean"].idxmax()].to_dict("records")
    names = short_names(list(dict.fromkeys(summary["task"])))
    tested = "A sweep tests no difference: `actbench compare` says whether one is real."
    if len(names) == 1:
        return [f"The best by validation: {_best(rows[0])}. {tested}"]
    more = [f"and {len(rows) - _MOST_TASKS} more tasks"] if len(rows) > _MOST_TASKS else []
    texts = [f"{names[str(row['task'])]}: {_best(row)}" for row in rows[:_MOST_TASKS]]
    return [f"The best by validation on each task. {tested}", *texts, *more]


def _best(row: Mapping[Any, Any]) -> str:
    metric = METRICS[row["metric"]]
    score = with_deviation(metric, row["val_score_mean"], row["val_score_sd"], row["val_score_n"])
    unit = " %" if metric.name == "accuracy" else ""
    at = f" at learning rate {rate(row['lr'])}" if pd.notna(row["lr"]) else ""
    value = f"{metric.noun} {score}{unit}, {count(row['val_score_n'], 'seed')}"
    return f"**{literal(str(row['series']))}**{at} ({value})"


def _conditions(runs: pd.DataFrame, request: Request, environment: Mapping[str, Any]) -> str:
    """Runs, seeds, date, version and machine in one line."""
    ended = runs["status"].value_counts()
    lost = ", ".join(f"{number} {status}" for status, number in ended.items() if status != "finished")
    parts = [
        f"{count(len(runs), 'run')}{f' ({lost})' if lost else ''}",
        count(runs["seed"].nunique(), "seed"),
        literal(str(environment.get("date", "")))[:10],
        f"actbench {literal(request.versions['actbench'])}" if "actbench" in request.versions else "",
        machine_and_time(environment),
    ]
    return " · ".join(part for part in parts if part) + "."
