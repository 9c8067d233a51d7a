"""Trained runs as entries for MLflow: their tags, params, curves and final values."""

import base64
import json
import math
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from actbench.activations.own import shown_name
from actbench.experiment.runs import Run
from actbench.metrics.names import HISTOGRAM, layer_key
from actbench.store.entries import Entry, Point
from actbench.store.names import WEIGHTS
from actbench.training.machine import MACHINE
from actbench.training.results import (
    MEASURED,
    TEST_CORRECT,
    TEST_SCORES,
    WINDOWS_OF_A_TAG,
    CurvePoint,
    Result,
    run_params,
)


def begun_entry(run: Run, status: str, tags: Mapping[str, str], parent: str) -> Entry:
    """A run that has begun. status: the tag. tags: of the command. parent: uid of the command's run."""
    settings = run.settings
    label, dataset = settings.activation.label, run.data
    own = {
        "kind": "run", "run_id_hash": run.id, "phase": run.phase, "status": status,
        "architecture": settings.architecture.name, "activation": label, "metric": dataset.metric,
    }  # fmt: skip
    size = {"train": dataset.train, "test": dataset.test}
    described = {
        "name": dataset.name, "digest": dataset.fingerprint, "source_type": "actbench",
        "source": json.dumps({"dataset": dataset.name}), "profile": json.dumps(size),
    }  # fmt: skip
    name = f"{shown_name(label)} lr={settings.optimizer.lr:g} seed={settings.seed}"
    params = {key: str(value) for key, value in run_params(run).items()}
    return Entry(uuid.uuid4().hex, name, {**tags, **own}, parent, params=params, dataset=described)


def ended_entry(begun: Entry, result: Result, weights: Path | None) -> Entry:
    """The entry of a run that has ended. weights: folder of its weight files, where it has any."""
    tags = {
        **begun.tags, "status": str(result.row["status"]), "device": str(result.row["device"]),
        "curves": " ".join(result.curves),
    }  # fmt: skip
    tags |= {key: str(result.row[key]) for key in MACHINE if result.row.get(key)}
    tags |= {f"{HISTOGRAM}/{layer:02d}": json.dumps(own) for layer, own in result.histograms.items()}
    if result.test_correct is not None:
        tags[TEST_CORRECT] = base64.b64encode(result.test_correct).decode()
    tags |= _score_tags(result.test_scores or b"")
    if result.error is not None:
        tags["error"] = result.error
    if weights is not None and weights.is_dir():
        tags[WEIGHTS] = " ".join(sorted(file.stem for file in weights.glob("*.safetensors")))
    files = [(str(weights.resolve()), WEIGHTS)] if weights is not None and tags.get(WEIGHTS) else []
    status = "FAILED" if result.error is not None else "FINISHED"
    return replace(begun, tags=tags, points=[*points_of(result.points()), *_final(result)], status=status, files=files)


def _score_tags(scores: bytes) -> dict[str, str]:
    """The scores of test windows as tags, a part of them in each. scores: Result.test_scores, or empty."""
    size = 4 * WINDOWS_OF_A_TAG
    parts = [scores[start : start + size] for start in range(0, len(scores), size)]
    return {f"{TEST_SCORES}/{place:02d}": base64.b64encode(part).decode() for place, part in enumerate(parts)}


def points_of(points: Iterable[CurvePoint]) -> list[Point]:
    """Points of curves as MLflow has them, at the current time."""
    now = int(time.time() * 1000)
    return [
        (point.metric if point.layer is None else layer_key(point.layer, point.metric), point.value, point.step, now)
        for point in points
    ]


def _final(result: Result) -> list[Point]:
    """Final values of a run that have no curve, as points at its last step."""
    now, last = int(time.time() * 1000), result.run.steps
    found = []
    for key in MEASURED:
        value = None if key in result.curves else result.row[key]
        if value is not None and not isinstance(value, str) and math.isfinite(float(value)):
            found.append((key, float(value), last, now))
    return found
