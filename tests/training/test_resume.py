"""A stack that is interrupted and goes on from its checkpoint yields the same bits as one that is not."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import RunSettings
from actbench.training import resume
from actbench.training.loop import train
from actbench.training.results import Result, results_of_stack
from actbench.training.resume import StackCheckpoint, checkpoint_path, resumable_stacks
from actbench.training.stacks import Stack
from tests.support import RAGGED, numbers, results

Configs = Callable[..., list[RunSettings]]
CPU = torch.device("cpu")


def interrupted(runs: list[Run], data: ImageData, folder: Path, step: int) -> StackCheckpoint:
    """Trains until the first step after an evaluation at or after `step`, and saves the stack there."""
    checkpoint = StackCheckpoint(runs, folder, stop=threading.Event())
    checkpoint.load()

    def train_on() -> None:
        for record in train(Stack(tuple(runs)), data, CPU, checkpoint=checkpoint):
            checkpoint.records.append(record)
            if record.metric == "val_accuracy" and record.step >= step:
                checkpoint.stop.set()

    with pytest.raises(KeyboardInterrupt):
        train_on()
    return checkpoint


def resumed(runs: list[Run], data: ImageData, folder: Path) -> dict[str, Result]:
    checkpoint = StackCheckpoint(runs, folder)
    checkpoint.load()
    assert checkpoint.state is not None
    for record in train(Stack(tuple(runs)), data, CPU, checkpoint=checkpoint):
        checkpoint.records.append(record)
    return {result.run.id: result for result in results_of_stack(runs, checkpoint.records, "cpu")}


@pytest.mark.parametrize(
    "overrides",
    [
        ("architecture=mlp_small", "activation=relu,prelu,rrelu", "optimizer.lr=0.001,0.03"),
        ("architecture=mlp_small", "optimizer=sgd,nesterov", "training.dropout=0.2"),
        ("architecture=mlp_small", "optimizer=rmsprop,adagrad,adamw", "training.schedule=cosine"),
        ("architecture=mlp_small", "architecture.norm=batch", "training.clip_norm=1.0", "seed=0,1"),
        ("architecture=cnn_small", "activation=gelu", "training.augment=true"),
        ("architecture=transformer_small", "activation=swiglu", "seed=0,1"),
        ("architecture=mlp_small", "optimizer=sgd", "optimizer.lr=1e6,0.1"),
    ],
)
def test_a_resumed_stack_is_bit_identical(
    overrides: tuple[str, ...], configs: Configs, digits: PreparedData, digits_data: ImageData, tmp_path: Path
) -> None:
    points = configs(*overrides, *RAGGED)
    for optimizer in {point.optimizer.name for point in points}:
        runs = [make_run(point, digits, "sweep") for point in points if point.optimizer.name == optimizer]
        whole = results(runs, digits_data)
        for step in (0, 15):  # in turn: the second goes on from the first
            interrupted(runs, digits_data, tmp_path, step)
        again = resumed(runs, digits_data, tmp_path)
        for run in runs:
            assert numbers(again[run.id]) == numbers(whole[run.id])
            assert again[run.id].histograms == whole[run.id].histograms


@pytest.fixture
def saved(configs: Configs, digits: PreparedData, digits_data: ImageData, tmp_path: Path) -> tuple[list[Run], Path]:
    """Runs of a stack that was interrupted, and the folder of its checkpoint."""
    runs = [make_run(point, digits, "sweep") for point in configs("architecture=mlp_small", "seed=0,1", *RAGGED)]
    interrupted(runs, digits_data, tmp_path, 10)
    return runs, tmp_path


def test_a_checkpoint_is_written_at_an_evaluation_once_its_minutes_have_passed(
    configs: Configs, digits: PreparedData, digits_data: ImageData, tmp_path: Path
) -> None:
    (run,) = [make_run(point, digits, "sweep") for point in configs("architecture=mlp_small", *RAGGED)]
    for minutes, is_written in ((60.0, False), (0.0, True)):
        list(train(Stack((run,)), digits_data, CPU, checkpoint=StackCheckpoint([run], tmp_path, minutes)))
        assert checkpoint_path(tmp_path, [run]).exists() is is_written
    assert resume.read_head(checkpoint_path(tmp_path, [run]))["step"] == run.steps


@pytest.mark.parametrize("damage", ["cut", "empty", "no head", "fewer records", "other torch", "other engine"])
def test_a_checkpoint_that_cannot_be_used_is_removed(
    damage: str, saved: tuple[list[Run], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, folder = saved
    path = checkpoint_path(folder, runs)
    head = json.dumps(resume.read_head(path))
    tensors = load_file(path)
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-100])
        case "empty":
            path.write_bytes(b"")
        case "no head":
            save_file(tensors, path)
        case "fewer records":
            save_file(tensors | {"records": tensors["records"][:-1]}, path, {"actbench": head})
        case "other torch":
            monkeypatch.setattr(torch, "__version__", "1.0")
        case "other engine":
            monkeypatch.setattr(resume, "ENGINE", 0)
    checkpoint = StackCheckpoint(runs, folder)
    checkpoint.load()
    assert (checkpoint.state, checkpoint.records) == (None, [])
    assert not path.exists()


def test_stacks_are_resumed_as_they_were_and_only_where_all_runs_are_due(saved: tuple[list[Run], Path]) -> None:
    runs, folder = saved
    due = {run.id: run for run in reversed(runs)}
    assert resumable_stacks(folder, due) == [tuple(runs)]
    assert resumable_stacks(folder, {runs[0].id: runs[0]}) == []
    assert not list(folder.glob("*.safetensors"))  # of no use any more
