"""Checkpoints of a stack in training: a file with all that its future and its records depend on.

A stack that is resumed from one yields the records, to the bit, that it would have yielded without an interruption:
every random number is drawn from a stream that its seed, purpose and step determine, so none is in the file.
"""

import hashlib
import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from actbench.experiment.runs import ENGINE, Run
from actbench.signals import replaced_file
from actbench.training.results import Record

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class StackState:
    """A stack before its evaluation at `step`, after as many updates.

    tensors: by name. numbers: what else the training loop keeps, as JSON.
    """

    step: int
    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


@dataclass
class StackCheckpoint:
    """The checkpoint of one stack, which the training loop asks at each step.

    runs: of the stack, in its order. folder: of the file; None: nothing is written. minutes: of training after which a
    checkpoint is written at the next evaluation. stop: asks for a checkpoint at the next step, after which the training
    ends. state: with which the training begins; None: at its start. records: those that the loop has yielded. best:
    highest accuracy of each run so far, of which weights were written.
    """

    runs: Sequence[Run]
    folder: Path | None
    minutes: float = math.inf
    stop: threading.Event = field(default_factory=threading.Event)
    state: StackState | None = None
    records: list[Record] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    _saved_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.best = self.best or [-math.inf] * len(self.runs)

    def is_due(self, evaluating: bool) -> bool:
        """Whether the state is to be saved now. evaluating: whether an evaluation comes next."""
        return self.stop.is_set() or (evaluating and time.monotonic() - self._saved_at >= 60 * self.minutes)

    def save(self, state: StackState) -> None:
        """Writes the file, as a whole. Raises KeyboardInterrupt where the training is to stop."""
        if self.folder is not None:
            self._write(state)
        self._saved_at = time.monotonic()
        if self.stop.is_set():
            raise KeyboardInterrupt

    def _write(self, state: StackState) -> None:
        assert self.folder is not None
        head = {
            "ids": [run.id for run in self.runs], "engine": ENGINE, "torch": torch.__version__, "step": state.step,
            "numbers": state.numbers, "best": [None if math.isinf(best) else best for best in self.best],
            "records": [(r.step, r.metric, r.layer, r.values.shape) for r in self.records],
        }  # fmt: skip
        values = np.concatenate([np.zeros(0), *(record.values.ravel() for record in self.records)])
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.tensors.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        with replaced_file(checkpoint_path(self.folder, self.runs)) as scratch:
            save_file({**tensors, "records": torch.from_numpy(values)}, scratch, {"actbench": json.dumps(head)})

    def load(self) -> None:
        """Sets state, records and best to what the file holds; a file that cannot be used is removed."""
        if self.folder is None or not (path := checkpoint_path(self.folder, self.runs)).exists():
            return
        try:
            head = read_head(path)
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            records = _records(head["records"], tensors.pop("records").numpy())
            best = [-math.inf if value is None else float(value) for value in head["best"]]
            self.state = StackState(int(head["step"]), tensors, head["numbers"])
            self.records, self.best = records, best
        except (OSError, SafetensorError, LookupError, TypeError, ValueError):
            self.discard()

    def discard(self) -> None:
        """Removes the file; the training begins at its start."""
        self.state, self.records, self.best = None, [], [-math.inf] * len(self.runs)
        if self.folder is not None:
            checkpoint_path(self.folder, self.runs).unlink(missing_ok=True)


def checkpoints_folder(experiment: str) -> Path:
    """The folder of the checkpoints of an experiment's stacks, in the current folder."""
    return (Path("results") / ".checkpoints" / experiment).resolve()


def checkpoint_path(folder: Path, runs: Sequence[Run]) -> Path:
    """The file of a stack's checkpoint; its name follows from the ids of the runs in their order."""
    ids = " ".join(run.id for run in runs)
    return folder / f"{hashlib.sha256(ids.encode()).hexdigest()[:16]}{SUFFIX}"


def read_head(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself. Raises ValueError for one of another version of the engine or of torch."""
    with safe_open(path, "pt") as file:
        head: dict[str, Any] = json.loads((file.metadata() or {})["actbench"])
    if head["engine"] != ENGINE or head["torch"] != torch.__version__:
        raise ValueError(f"{path} is a checkpoint of another version")
    return head


def _records(heads: Sequence[tuple[int, str, int | None, Sequence[int]]], values: Any) -> list[Record]:
    records, start = [], 0
    for step, metric, layer, shape in heads:
        stop = start + math.prod(shape)
        records.append(Record(int(step), str(metric), values[start:stop].reshape(shape), layer))
        start = stop
    if start != len(values):
        raise ValueError("its records are incomplete")
    return records


def resumable_stacks(folder: Path, due: Mapping[str, Run]) -> list[tuple[Run, ...]]:
    """The runs of each stack with a checkpoint in `folder`, in its order; no run twice. due: runs to train, by id.

    Removes checkpoints that are of no use: damaged, of another version, or with a run that is not due.
    """
    found: list[tuple[Run, ...]] = []
    taken: set[str] = set()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            ids = [str(id) for id in read_head(path)["ids"]]
        except (OSError, SafetensorError, LookupError, TypeError, ValueError):
            ids = []
        runs = tuple(due[id] for id in ids if id in due)
        if not ids or len(runs) < len(ids) or taken & set(ids) or checkpoint_path(folder, runs) != path:
            path.unlink(missing_ok=True)
            continue
        taken |= set(ids)
        found.append(runs)
    return found
