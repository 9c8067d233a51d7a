"""What activations cost in the training steps of a comparison: found, or measured while nothing trains."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from actbench.commands.session import Session
from actbench.data.datasets import cache_home
from actbench.errors import UsageError
from actbench.execution.pools import AnyPool
from actbench.experiment.runs import Run
from actbench.store.files import COSTS, costs_frame, read_costs
from actbench.store.folder import existing_folder
from actbench.store.tables import write_table
from actbench.training.cost import TRAINING_ROUNDS, measure_step_costs
from actbench.training.machine import machine

_STEP = ("batch_size", "precision", "dropout", "label_smoothing", "augment", "clip_norm")  # of training, in a step

Rows = list[tuple[str, int, float, float, float]]


def step_costs(session: Session, tasks: Sequence[Sequence[Run]]) -> pd.DataFrame:
    """Costs of one run of each activation of each task, as in costs.csv, without those that could not be measured.

    They are taken from the store or the results folder; or from the user's cache, where equal steps were measured on a
    processor of this make with this version of torch; or measured now, and put there.
    """
    ids = {run.id for runs in tasks for run in runs}
    sources: list[Callable[[], pd.DataFrame | None]] = [lambda: read_costs(session.folder / COSTS)]
    if not session.is_new:
        sources.insert(0, lambda: session.store.costs(ids))
    for read in sources:
        with contextlib.suppress(UsageError):  # damaged: costs are measured again
            known = read()
            if known is not None and ids <= set(known["run_id"]):
                return known[known["run_id"].isin(ids)].reset_index(drop=True)
    costs = pd.concat([_task_costs(session.pool, runs) for runs in tasks], ignore_index=True)
    if len(costs):
        # At once: a killed command that goes on keeps the ratios of costs.
        write_table(existing_folder(session.folder) / COSTS, costs)
    return costs


def _task_costs(pool: AnyPool, runs: Sequence[Run]) -> pd.DataFrame:
    """Costs of runs that take turns, from the user's cache or measured now."""
    keys = {run.id: _key(_step(run)) for run in runs}
    place = {**machine(), "device": pool.device, "at once": pool.at_once, "steps": sorted(keys.values())}
    path = cache_home() / "costs" / f"{_key(place)}.csv"
    with contextlib.suppress(UsageError, OSError):  # damaged, or not to be read: they are measured again
        kept = read_costs(path)
        if set(keys.values()) <= set(kept["run_id"]):
            return pd.concat([kept[kept["run_id"] == key].assign(run_id=id) for id, key in keys.items()])
    costs = costs_frame(_measured(pool, runs))
    if set(keys) <= set(costs["run_id"]):
        with contextlib.suppress(OSError):  # no folder of the user's can be written
            path.parent.mkdir(parents=True, exist_ok=True)
            write_table(path, costs.assign(run_id=costs["run_id"].map(keys)))
    return costs


def _step(run: Run) -> dict[str, Any]:
    """All that the time of a run's training step depends on, beside the machine."""
    settings, data = run.settings.in_id(), run.data
    optimizer = {key: value for key, value in settings["optimizer"].items() if key != "lr"}
    training = {key: settings["training"].get(key) for key in _STEP}
    return {
        "activation": settings["activation"], "architecture": settings["architecture"], "optimizer": optimizer,
        "training": training, "data": [data.height, data.width, data.channels, data.classes, data.train, data.kind],
    }  # fmt: skip


def _key(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _measured(pool: AnyPool, runs: Sequence[Run]) -> Rows:
    """The rows of `measure_step_costs`; runs that fail in it are named, and the others measured without them."""
    with contextlib.suppress(RuntimeError):
        return _rounds(pool, runs, TRAINING_ROUNDS)
    kept = []
    for run in runs:
        try:
            _rounds(pool, [run], 1)
            kept.append(run)
        except RuntimeError as error:
            name, place = run.settings.activation.label, run.settings.architecture.name
            print(f"costs of {name} in {place} could not be measured: {error}", flush=True)
    try:
        return _rounds(pool, kept, TRAINING_ROUNDS) if kept else []
    except RuntimeError as error:
        print(f"costs could not be measured: {error}", flush=True)
        return []


def _rounds(pool: AnyPool, runs: Sequence[Run], rounds: int) -> Rows:
    """Rounds of measurement, shared out over processes that measure at once: all cores are as busy as in training."""
    shares = min(pool.at_once, rounds)
    arguments = [(list(runs), pool.device, range(share, rounds, shares)) for share in range(shares)]
    return [row for rows in pool.calls(measure_step_costs, arguments) for row in rows]
