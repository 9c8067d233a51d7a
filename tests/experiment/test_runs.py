"""Run ids, and how runs are grouped."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import learning_rates, tuning_settings
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import make_run, training_steps
from actbench.training.stacks import CPU_STACK, pack_stacks
from tests.support import Configs


def ids(configs: Configs, data: PreparedData, *overrides: str) -> str:
    (config,) = configs(*overrides)
    return make_run(config, data, "sweep").id


def test_run_id_is_12_hex_digits_and_fixed(configs: Configs, digits: PreparedData) -> None:
    run = ids(configs, digits, "training.steps=5")
    assert len(run) == 12
    assert set(run) <= set("0123456789abcdef")
    assert run == ids(configs, digits, "training.steps=5")


def test_run_id_ignores_what_decides_no_number(configs: Configs, digits: PreparedData) -> None:
    reference = ids(configs, digits, "training.epochs=2")
    for line in (
        "training.steps=36", "training.stack_size=3", "execution.workers=1", "execution.device=cpu",
        "store.uri=sqlite:///x.db", "protocol.seeds=3", "dataset.root=/somewhere", "dataset.download=false",
    ):  # fmt: skip
        assert ids(configs, digits, "training.epochs=2", line) == reference, line
    moved = replace(digits, folder="/elsewhere")
    assert ids(configs, moved, "training.epochs=2") == reference


def test_run_id_sees_all_that_decides_a_number(configs: Configs, digits: PreparedData) -> None:
    lines = [
        "activation=gelu", "activation=leaky_relu", "architecture=cnn", "architecture.width=255", "seed=1",
        "initialization=he", "optimizer=sgd", "optimizer.lr=0.002", "optimizer.weight_decay=0.1", "training.steps=37",
        "training.batch_size=63", "training.schedule=linear", "training.warmup=0.1", "training.label_smoothing=0.1",
        "training.clip_norm=1", "training.target=0.5", "training.evaluate_every=7", "training.measure_every=7",
        "training.probe_size=100", "training.augment=true", "dataset.normalize=pixel", "dataset.validation=0.1",
        "training.precision=bf16",
        "architecture.norm=batch", "architecture.match_parameters=false", "activation=torch:tanh",
    ]  # fmt: skip
    seen = {ids(configs, digits, "training.epochs=2"), *(ids(configs, digits, "training.epochs=2", x) for x in lines)}
    assert len(seen) == len(lines) + 1
    other = replace(digits, fingerprint="another")
    assert ids(configs, other, "training.epochs=2") not in seen


def test_stacks_keep_every_run_once_and_sort_by_activation(configs: Configs, digits: PreparedData) -> None:
    points = configs("architecture=mlp,cnn", "activation=relu,gelu,maxout", "seed=range(0,5)", "optimizer.lr=0.1,0.2")
    runs = [make_run(point, digits, "sweep") for point in points]
    stacks = pack_stacks(runs, "cpu", 2, 0)
    assert sorted(run.id for stack in stacks for run in stack.runs) == sorted(run.id for run in runs)
    for stack in stacks:
        assert len({run.config.architecture.name for run in stack.runs}) == 1
        assert len(stack.runs) <= CPU_STACK
        names = [run.config.activation.name for run in stack.runs]
        assert names == sorted(names)


def test_single_runs_that_are_compared_train_one_after_the_other(configs: Configs, digits: PreparedData) -> None:
    points = configs("architecture=mlp", "activation=relu,gelu", "seed=range(0,3)", "training.stack_size=1")
    stacks = pack_stacks([make_run(point, digits, "sweep") for point in points], "cpu", 2, 0)
    assert [stack.runs[0].config.seed for stack in stacks] == [0, 0, 1, 1, 2, 2]


def test_stacks_are_as_large_as_the_cache_allows(configs: Configs, digits: PreparedData) -> None:
    """Values of the widest layer: at most 2^19, one run where four would fill that; parameters beyond 8 runs: 2^18."""
    large = replace(digits, height=28, width=28)
    for data, architecture, size in (
        (digits, "mlp", 8), (digits, "cnn_small", 8), (large, "cnn", 1), (large, "transformer", 1),
    ):  # fmt: skip
        runs = [make_run(point, data, "sweep") for point in configs(f"architecture={architecture}", "seed=range(0,64)")]
        assert {len(stack.runs) for stack in pack_stacks(runs, "cpu", 2, 0)} == {size}


def test_few_runs_are_shared_out_over_the_workers(configs: Configs, digits: PreparedData) -> None:
    runs = [make_run(point, digits, "sweep") for point in configs("seed=range(0,4)")]
    assert [len(stack.runs) for stack in pack_stacks(runs, "cpu", 2, 0)] == [2, 2]


def test_stacks_on_a_gpu_fill_half_of_its_free_memory(configs: Configs, digits: PreparedData) -> None:
    runs = [make_run(point, digits, "sweep") for point in configs("architecture=mlp", "seed=range(0,64)")]
    each = 4 * (
        4 * (64 * 256 + 256 * 256 + 256 * 10 + 2 * 256 + 10) + 8 * 128 * 2 * 256
    )  # 128 examples are evaluated at once
    assert {len(stack.runs) for stack in pack_stacks(runs, "cuda", 1, memory=2 * 16 * each)} == {16}
    assert {len(stack.runs) for stack in pack_stacks(runs, "cuda", 1, memory=1)} == {1}
    assert [len(stack.runs) for stack in pack_stacks(runs, "cuda", 1, memory=10**11)] == [64]


def test_workers_get_equal_shares_and_the_longest_work_first(configs: Configs, digits: PreparedData) -> None:
    points = configs("architecture=cnn_small,mlp", "seed=range(0,27)")
    stacks = pack_stacks([make_run(point, digits, "sweep") for point in points], "cpu", 2, 0)
    assert [(s.runs[0].config.architecture.name, len(s.runs)) for s in stacks] == [
        ("cnn", 7), ("cnn", 7), ("cnn", 7), ("cnn", 6), ("mlp", 7), ("mlp", 7), ("mlp", 7), ("mlp", 6),
    ]  # fmt: skip


def test_batch_norm_of_a_single_example_is_refused(configs: Configs, digits: PreparedData) -> None:
    (alone,) = configs("architecture.norm=batch", "training.batch_size=1")
    (ragged,) = configs("architecture.norm=batch", "training.batch_size=383")  # 1,150 = 3 * 383 + 1
    (never,) = configs("architecture.norm=batch", "training.batch_size=383", "training.steps=3")
    for config in (alone, ragged):
        with pytest.raises(UsageError, match="no variance"):
            make_run(config, digits, "sweep")
    assert make_run(never, digits, "sweep").steps == 3


def test_ragged_epochs_are_counted_whole(configs: Configs, digits: PreparedData) -> None:
    (config,) = configs("training.epochs=3", "training.batch_size=100")
    assert training_steps(config, digits) == 3 * 12  # 1,150 examples


def test_run_ids_are_those_of_the_committed_reference(digits: PreparedData) -> None:
    """A key that moves, a default that changes or another engine would orphan every run in users' stores."""
    folder = Path(__file__).parents[2] / "results" / "reference" / "quickstart"
    reference = pd.read_csv(folder / "runs.csv", dtype={"run_id": "str"})
    grid = compose_grid(load_experiment("quickstart").overrides)
    protocol = grid.command.protocol
    runs = [
        make_run(settings, digits, "tune")
        for point in grid.runs
        for settings in tuning_settings(point, protocol, learning_rates(point, protocol))
    ]
    tuned = reference[reference["phase"] == "tune"]
    columns = ["run_id", "architecture", "activation", "lr", "seed"]
    planned = [
        (run.id, run.config.architecture.name, run.config.activation.label, run.config.optimizer.lr, run.config.seed)
        for run in runs
    ]
    assert set(planned) <= set(tuned[columns].itertuples(index=False, name=None))
    assert len(planned) == 3 * 12 * 3 * 2
