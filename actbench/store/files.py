"""The files of `results/<experiment>/`: what a report reads, and what MLflow keeps a copy of."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from actbench.errors import UsageError
from actbench.experiment.questions import Hypothesis, hypotheses_from_json, hypotheses_to_json
from actbench.experiment.runs import variants
from actbench.experiment.scores import ACCURACY
from actbench.metrics.histograms import edges
from actbench.signals import replaced_file
from actbench.store.damage import check_known, read_whole_table, whole_file, with_columns
from actbench.store.examples import Examples, examples_frame, unpacked_examples
from actbench.store.folder import existing_folder
from actbench.store.provenance import Spent, write_environment
from actbench.store.tables import write_table
from actbench.training.results import (
    COLUMNS,
    COSTS_MEASURED,
    COUNTS,
    MARKS,
    MEASURED,
    Curves,
    Mark,
    Result,
)  # fmt: skip

RUNS = "runs.csv"
CURVES, LAYERS, HISTOGRAMS = "curves.parquet", "layers.parquet", "histograms.parquet"
EXAMPLES = "examples.parquet"
COSTS, HYPOTHESES, VERDICTS = "costs.csv", "hypotheses.json", "verdicts.csv"  # of a comparison, as are
REQUEST = "request.json"  # what the command was asked to do: Request.to_tags
ANSWER, SCORES, PAIRS = "answer.json", "scores.csv", "pairs.csv"

_TYPES = {
    **dict.fromkeys(("lr", *MEASURED), "float64"),
    **dict.fromkeys(("seed", *COUNTS), "Int64"),  # like boolean, it has missing values
    **dict.fromkeys(("reached_target", *MARKS), "boolean"),
}
_PHASE_MARKS = {  # of an older version, which chose rates on other seeds than those that it then compared
    "tune": Mark(raced_out=True), "confirm": Mark(chosen=True),
}  # fmt: skip


def runs_frame(results: Sequence[Result], marks: Mapping[str, Mark] = MappingProxyType({})) -> pd.DataFrame:
    """One row per run, COLUMNS in order; `variant` holds dicts {key: value}. marks: by run id, of a comparison.

    A run that repeats another at equal time has that one's variant.
    """
    compared = [(marks[r.run.id].equal_time_of if r.run.id in marks else None) or r.run for r in results]
    rows = [
        {**result.row, "variant": variant, **(marks[result.run.id].row() if result.run.id in marks else {})}
        for result, variant in zip(results, variants(compared), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(_TYPES)


def write_results(path: Path, results: Sequence[Result], command: str, spent: Spent, marks: Mapping[str, Mark]) -> None:
    """Writes runs.csv and the tables of curves, in the order of the plan, and environment.json.

    spent: as for `write_environment`. marks: as for `runs_frame`.

    Each file is replaced as a whole, and a folder that was removed is made again. Raises UsageError where it cannot be
    written.
    """
    try:
        existing_folder(path)
        write_runs(path / RUNS, runs_frame(results, marks))
        for file, frame_of in _FRAMES.items():
            with replaced_file(path / file) as scratch:
                frame_of(results).to_parquet(scratch, index=False)
        write_environment(path, command, spent)
    except OSError as error:
        raise UsageError(
            f"cannot write to {path.resolve()}: {error.strerror or error}; the runs are in the store"
        ) from error


def write_runs(path: Path, runs: pd.DataFrame) -> None:
    """A frame of `runs_frame` as runs.csv, in which a variant is the text `key=value key=value`."""
    texts = [" ".join(f"{key}={value}" for key, value in variant.items()) for variant in runs["variant"]]
    write_table(path, runs.assign(variant=texts))


def _points(curves: Curves) -> Iterator[tuple[int, str, float]]:
    """(step, metric, value), metrics by name, then steps."""
    for metric, points in sorted(curves.items()):
        for step, value in sorted(points):
            yield step, metric, value


def curves_frame(results: Sequence[Result]) -> pd.DataFrame:
    """(run_id, step, metric, value), runs in the order of the plan, metrics by name, then steps."""
    records = [(result.run.id, *point) for result in results for point in _points(result.curves)]
    frame = pd.DataFrame(records, columns=["run_id", "step", "metric", "value"])
    return frame.astype({"run_id": "str", "step": "int64", "metric": "str", "value": "float64"})


def layers_frame(results: Sequence[Result]) -> pd.DataFrame:
    """(run_id, step, layer, metric, value), hidden layers counted from 0 and sorted as text; else as curves_frame."""
    records = [
        (result.run.id, step, layer, metric, value)
        for result in results
        for layer, curves in sorted(result.layers.items(), key=lambda item: f"{item[0]:02d}")
        for step, metric, value in _points(curves)
    ]
    frame = pd.DataFrame(records, columns=["run_id", "step", "layer", "metric", "value"])
    return frame.astype({"run_id": "str", "step": "int64", "layer": "int64", "metric": "str", "value": "float64"})


def histograms_frame(results: Sequence[Result]) -> pd.DataFrame:
    """(run_id, step, layer, low, high, count): number of unit outputs in [low, high), at step 0 and the last step."""
    bins = np.array(edges())
    blocks = [
        (result.run.id, step, layer, counts)
        for result in results
        for layer, by_step in sorted(result.histograms.items())
        for step, counts in sorted(by_step.items())
    ]
    rows = len(bins) - 1  # of a block; whole columns, as a tuple for each row takes three times the memory
    frame = pd.DataFrame({
        "run_id": np.repeat(np.array([block[0] for block in blocks], dtype=object), rows),
        "step": np.repeat([block[1] for block in blocks], rows),
        "layer": np.repeat([block[2] for block in blocks], rows),
        "low": np.tile(bins[:-1], len(blocks)), "high": np.tile(bins[1:], len(blocks)),
        "count": np.array([block[3] for block in blocks], dtype=np.int64).reshape(-1),
    })  # fmt: skip
    numbers = {"step": "int64", "layer": "int64", "low": "float64", "high": "float64", "count": "int64"}
    return frame.astype({"run_id": "str", **numbers})


_FRAMES = {CURVES: curves_frame, LAYERS: layers_frame, HISTOGRAMS: histograms_frame, EXAMPLES: examples_frame}


def read_runs(path: Path) -> pd.DataFrame:
    """The inverse of `write_runs`; columns that an older version did not write are empty, but for metric and scores.

    pandas reads floats to the last bit from 3.1 on. Raises UsageError where the file is damaged.
    """
    with whole_file(path):
        frame = read_whole_table(
            path, ("run_id", "lr"), dtype={"run_id": "str", **_TYPES}, keep_default_na=False,
            na_values={key: [""] for key in _TYPES},
        )  # fmt: skip
        texts = frame["variant"] if "variant" in frame else [""] * len(frame)
        variant = pd.Series([dict(term.split("=", 1) for term in text.split()) for text in texts], dtype=object)
    frame = frame.reindex(columns=list(COLUMNS)).assign(variant=variant).astype(dict.fromkeys(MARKS, "boolean"))
    for phase, mark in _PHASE_MARKS.items():
        frame.loc[frame["phase"] == phase, list(MARKS)] = list(mark.row().values())
    return _with_scores(frame)


def _with_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs whose rows of an older version, which have no metric, are scored by accuracy."""
    old = runs["metric"].isna() | runs["metric"].eq("")
    return runs.assign(
        metric=runs["metric"].astype(object).mask(old, ACCURACY.name),
        score=runs["score"].mask(old, runs["test_accuracy"]),
        val_score=runs["val_score"].mask(old, runs["val_accuracy"]),
    )


def holds_comparison(folder: Path) -> bool:
    """Whether a results folder is of `compare`."""
    return any((folder / name).is_file() for name in (ANSWER, COSTS))


def read_series(folder: Path) -> dict[str, pd.DataFrame]:
    """The frames `curves`, `layers`, `histograms`, `examples` and `costs` by name.

    A frame is empty where an older version wrote no file. Raises UsageError where one is damaged.
    """
    frames = {Path(file).stem: _read_frame(folder / file) for file in _FRAMES}
    return {"costs": read_costs(folder / COSTS), **frames}


def _read_frame(path: Path) -> pd.DataFrame:
    empty = _FRAMES[path.name]([])
    if not path.exists():
        return empty
    with whole_file(path):
        frame = pd.read_parquet(path)
        if path.name == EXAMPLES and "scores" not in frame:  # an older version knew no text
            frame["scores"] = None
        return with_columns(frame, empty).astype(empty.dtypes.to_dict())


def read_curves(folder: Path) -> dict[str, tuple[Curves, dict[int, Curves]]]:
    """run id -> (curves of the network, curves of each layer), of curves.parquet and, if present, layers.parquet."""
    runs: dict[str, tuple[Curves, dict[int, Curves]]] = {}
    for run_id, step, metric, value in _read_frame(folder / CURVES).itertuples(index=False):
        curves = runs.setdefault(run_id, ({}, {}))[0]
        curves.setdefault(metric, []).append((int(step), float(value)))
    for run_id, step, layer, metric, value in _read_frame(folder / LAYERS).itertuples(index=False):
        curves = runs.setdefault(run_id, ({}, {}))[1].setdefault(int(layer), {})
        curves.setdefault(metric, []).append((int(step), float(value)))
    return runs


def read_examples(folder: Path) -> Examples:
    """By run id, as `unpacked_examples`; empty where no run has any."""
    return unpacked_examples(_read_frame(folder / EXAMPLES))


def costs_frame(measured: Sequence[tuple[str, int, float, float, float]]) -> pd.DataFrame:
    """What activations cost in training: a row for each run id and round of measurement.

    activation_ns: ns per output, over all layers, forward and backward. step_ns: ns of a training step. step_share:
    share of the activation in the step. The run id is that of one run of the activation.
    """
    frame = pd.DataFrame(measured, columns=["run_id", "round", *COSTS_MEASURED])
    numbers = dict.fromkeys(COSTS_MEASURED, "float64")
    return frame.astype({"run_id": "str", "round": "int64", **numbers})


def write_comparison(path: Path, costs: pd.DataFrame, hypotheses: Sequence[Hypothesis]) -> None:
    """Writes what a comparison has beside its runs: costs.csv and hypotheses.json."""
    write_table(path / COSTS, costs)
    with replaced_file(path / HYPOTHESES) as scratch:
        scratch.write_text(hypotheses_to_json(hypotheses), encoding="utf-8")


def read_hypotheses(folder: Path) -> tuple[Hypothesis, ...]:
    """The hypotheses of a comparison; empty where an older version wrote none. Raises UsageError: it is damaged."""
    path = folder / HYPOTHESES
    if not path.exists():
        return ()
    with whole_file(path):
        return hypotheses_from_json(path.read_text(encoding="utf-8"))


def read_costs(path: Path) -> pd.DataFrame:
    """Rows of a costs.csv; empty where there is no such file. Raises UsageError where it is damaged."""
    empty = costs_frame([])
    if not path.exists():
        return empty
    with whole_file(path):
        return check_known(read_whole_table(path, empty, dtype=empty.dtypes.to_dict()), empty)
