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
from actbench.report.figures.sweep import curves_figure, dead_figure, scores_figure
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
    "dead": "Share of hidden units that are dead (slope below 0.001 on the whole probe set) while training, mean over "
    "seeds; each learning rate.",
    "curves": "Validation scores while training, at each activation's best learning rate in black.",
}
_TABLE = (
    "Means over n seeds ± standard deviation. To target: median steps (Kaplan-Meier), or how many arrived where fewer "
    "than half did."
)
_LOST = " Lost: runs that diverged, failed or are missing; means are of those that finished."
_DEAD = 0.05  # share of dead units from which on they have a figure
_MOST_DEAD = 6  # named in a sentence
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
    dead = curves[curves["metric"].eq("dead_fraction")]
    if dead["step"].gt(0).any() and dead["value"].max() >= _DEAD:
        makers["dead"] = lambda width: dead_figure(shown, dead, width)
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
    yield Table(summary_table(summary), _TABLE + _LOST * bool(summary["unfinished"].any()))
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
    dead = _dead(summary)
    tested = "A sweep tests no difference: `actbench compare` says whether one is real."
    if len(names) == 1:
        return [f"The best by validation: {_best(rows[0])}. {tested}", *dead]
    more = [f"and {len(rows) - _MOST_TASKS} more tasks"] if len(rows) > _MOST_TASKS else []
    texts = [f"{names[str(row['task'])]}: {_best(row)}" for row in rows[:_MOST_TASKS]]
    return [f"The best by validation on each task. {tested}", *texts, *more, *dead]


def _dead(summary: pd.DataFrame) -> list[str]:
    """What lost units, where any line of the table did: `Dead units: relu 94.5 % (learning rate 0.3)`."""
    lost = summary[summary["dead_fraction"] >= _DEAD].sort_values("dead_fraction", ascending=False)
    several = {key: summary[key].nunique() > 1 for key in ("task", "lr")}
    names = short_names(list(dict.fromkeys(summary["task"])))
    texts = []
    for row in lost.head(_MOST_DEAD).to_dict("records"):
        where = [names[str(row["task"])]] * several["task"] + [f"learning rate {rate(row['lr'])}"] * several["lr"]
        place = f" ({', '.join(where)})" if where else ""
        texts.append(f"{literal(str(row['series']))} {100 * row['dead_fraction']:.1f} %{place}")
    more = [f"and {len(lost) - _MOST_DEAD} more lines of the table"] if len(lost) > _MOST_DEAD else []
    return [f"Dead units at the end: {', '.join([*texts, *more])}."] if texts else []


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
