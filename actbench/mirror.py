"""results/<experiment>/: runs.csv, curves, layers and histograms.parquet, environment.json: mirrors of the store."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from actbench.errors import UsageError
from actbench.experiments import Hypothesis, from_json, to_json
from actbench.metrics.histograms import edges
from actbench.metrics.layers import apart, of_layer
from actbench.plan import variants
from actbench.records import COLUMNS, MEASURED, Result

Curves = dict[str, dict[str, list[tuple[int, float]]]]  # run id -> metric -> [(step, value)]

RUNS, ENVIRONMENT = "runs.csv", "environment.json"
CURVES, LAYERS, HISTOGRAMS = "curves.parquet", "layers.parquet", "histograms.parquet"
COSTS, HYPOTHESES, VERDICTS = "costs.csv", "hypotheses.json", "verdicts.csv"  # of a comparison

_INTEGERS = ("seed", "failed_step", "steps", "parameters", "steps_to_target", "samples_to_target", "dead_layers")
_TYPES = {
    **dict.fromkeys(("lr", *MEASURED), "float64"),
    **dict.fromkeys(_INTEGERS, "Int64"),  # knows missing values, and so does boolean
    "reached_target": "boolean",
}
_PACKAGES = ("actbench", "torch", "torchvision", "hydra-core", "mlflow", "numpy", "pandas")


def folder(experiment: str) -> Path:
    """results/<experiment>/ in the current folder, made and known to be writable. Raises UsageError."""
    path = Path("results") / experiment
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write to {path.resolve()}: {error.strerror}; free it or run in another folder"
        ) from error
    return path


def rows(results: Sequence[Result]) -> pd.DataFrame:
    """One row a run, COLUMNS in order."""
    frame = pd.DataFrame([result.row for result in results], columns=list(COLUMNS))
    frame["variant"] = variants([result.run for result in results])
    return frame.astype(_TYPES)


def write(path: Path, results: Sequence[Result], command: str) -> None:
    """runs.csv and the tables of curves in the order of the plan, and environment.json; each replaced as a whole."""
    try:
        write_table(path / RUNS, rows(results))
        _replace(path / CURVES, lambda file: curves(results).to_parquet(file, index=False))
        _replace(path / LAYERS, lambda file: layers(results).to_parquet(file, index=False))
        _replace(path / HISTOGRAMS, lambda file: histograms(results).to_parquet(file, index=False))
        text = json.dumps(environment(command), indent=2) + "\n"
        _replace(path / ENVIRONMENT, lambda file: file.write_text(text))
    except OSError as error:
        raise UsageError(f"cannot write to {path.resolve()}: {error.strerror}; the runs are in the store") from error


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """As CSV; replaced as a whole."""
    _replace(path, lambda file: frame.to_csv(file, index=False, lineterminator="\n"))


def _replace(path: Path, write: object) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    write(scratch)  # type: ignore[operator]
    scratch.replace(path)


def _points(results: Sequence[Result]) -> Iterator[tuple[str, int, str, float]]:
    for result in results:
        for metric, points in sorted(result.curves.items()):
            for step, value in sorted(points):
                yield result.run.id, step, metric, value


def curves(results: Sequence[Result]) -> pd.DataFrame:
    """(run_id, step, metric, value), runs in the order of the plan, metrics by name, then steps."""
    records = [point for point in _points(results) if apart(point[2]) is None]
    frame = pd.DataFrame(records, columns=["run_id", "step", "metric", "value"])
    return frame.astype({"run_id": "str", "step": "int64", "metric": "str", "value": "float64"})


def layers(results: Sequence[Result]) -> pd.DataFrame:
    """(run_id, step, layer, metric, value), hidden layers counted from 0; in the order of curves."""
    records = []
    for run_id, step, name, value in _points(results):
        if (layered := apart(name)) is not None:
            records.append((run_id, step, *layered, value))
    frame = pd.DataFrame(records, columns=["run_id", "step", "layer", "metric", "value"])
    return frame.astype({"run_id": "str", "step": "int64", "layer": "int64", "metric": "str", "value": "float64"})


def histograms(results: Sequence[Result]) -> pd.DataFrame:
    """(run_id, step, layer, low, high, count): outputs of units from low to below high, at step 0 and the last."""
    ends = edges()
    records = [
        (result.run.id, step, layer, low, high, count)
        for result in results
        for layer, by_step in sorted(result.histograms.items())
        for step, counts in sorted(by_step.items())
        for low, high, count in zip(ends, ends[1:], counts, strict=False)
    ]
    frame = pd.DataFrame(records, columns=["run_id", "step", "layer", "low", "high", "count"])
    numbers = {"step": "int64", "layer": "int64", "low": "float64", "high": "float64", "count": "int64"}
    return frame.astype({"run_id": "str", **numbers})


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a runs.csv; columns that its version did not have yet are empty."""
    frame = pd.read_csv(
        path, dtype={"run_id": "str", **_TYPES}, keep_default_na=False, na_values={key: [""] for key in _TYPES}
    )
    return frame.reindex(columns=list(COLUMNS))


def points(folder: Path) -> dict[str, pd.DataFrame]:
    """curves, layers, histograms and costs by name; empty where an older version wrote none."""
    empty = {CURVES: curves, LAYERS: layers, HISTOGRAMS: histograms}
    there = {name: (folder / name).exists() for name in empty}
    frames = {name: pd.read_parquet(folder / name) if there[name] else make([]) for name, make in empty.items()}
    return {name.removesuffix(".parquet"): f for name, f in frames.items()} | {"costs": read_costs(folder / COSTS)}


def read_curves(folder: Path) -> Curves:
    """run id -> metric -> [(step, value)], of curves.parquet and, where it is there, layers.parquet."""
    found: Curves = {}
    for run_id, step, metric, value in pd.read_parquet(folder / CURVES).itertuples(index=False):
        found.setdefault(run_id, {}).setdefault(metric, []).append((int(step), float(value)))
    if (folder / LAYERS).exists():
        for run_id, step, layer, metric, value in pd.read_parquet(folder / LAYERS).itertuples(index=False):
            found.setdefault(run_id, {}).setdefault(of_layer(layer, metric), []).append((int(step), float(value)))
    return found


def costs(measured: Sequence[tuple[str, int, float, float, float]]) -> pd.DataFrame:
    """What an activation costs in training, a line a round, under the id of one of its runs: nanoseconds an output of
    all layers, forward and backward; nanoseconds of a training step; share of the one in the other."""
    frame = pd.DataFrame(measured, columns=["run_id", "round", "activation_ns", "step_ns", "step_share"])
    numbers = dict.fromkeys(("activation_ns", "step_ns", "step_share"), "float64")
    return frame.astype({"run_id": "str", "round": "int64", **numbers})


def write_comparison(path: Path, costs: pd.DataFrame, hypotheses: Sequence[Hypothesis]) -> None:
    """What a comparison has beside its runs."""
    write_table(path / COSTS, costs)
    _replace(path / HYPOTHESES, lambda file: file.write_text(to_json(hypotheses), encoding="utf-8"))


def hypotheses(folder: Path) -> tuple[Hypothesis, ...]:
    """None where an older version wrote none."""
    path = folder / HYPOTHESES
    return from_json(path.read_text(encoding="utf-8")) if path.exists() else ()


def read_costs(path: Path) -> pd.DataFrame:
    """Empty where there is no such file."""
    return pd.read_csv(path, dtype={"run_id": "str"}) if path.exists() else costs([])


def environment(command: str) -> Mapping[str, object]:
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "versions": versions(),
        "revision": revision(),
    }


def versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] \
        if info.is_file() else []  # fmt: skip
    return names[0] if names else platform.processor()


def revision() -> str | None:
    """The git revision of a checkout of actbench, with + where code differs from it; None for an installed wheel."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno", "--", ".", ":!results"], cwd=root, capture_output=True, text=True
        )
    except OSError:
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "") if head.returncode == 0 else None


def command_line() -> str:
    return " ".join(["actbench", *sys.argv[1:]])
