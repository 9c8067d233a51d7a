"""Runs are packed into stacks that fit the cache or the memory, and divided among workers."""

from dataclasses import replace

from actbench.data.datasets import PreparedData
from actbench.experiment.runs import make_run
from actbench.training.stacks import CPU_STACK, pack_stacks
from tests.support import Configs


def test_stacks_keep_every_run_once_and_sort_by_activation(configs: Configs, digits: PreparedData) -> None:
    points = configs("architecture=mlp,cnn", "activation=relu,gelu,maxout", "seed=range(0,5)", "optimizer.lr=0.1,0.2")
    runs = [make_run(point, digits, "sweep") for point in points]
    stacks = pack_stacks(runs, "cpu", 2, 0)
    assert sorted(run.id for stack in stacks for run in stack.runs) == sorted(run.id for run in runs)
    for stack in stacks:
        assert len({run.settings.architecture.name for run in stack.runs}) == 1
        assert len(stack.runs) <= CPU_STACK
        names = [run.settings.activation.name for run in stack.runs]
        assert names == sorted(names)


def test_unstacked_runs_of_one_seed_train_one_after_the_other(configs: Configs, digits: PreparedData) -> None:
    points = configs("architecture=mlp", "activation=relu,gelu", "seed=range(0,3)", "training.stack_size=1")
    stacks = pack_stacks([make_run(point, digits, "sweep") for point in points], "cpu", 2, 0)
    assert [stack.runs[0].settings.seed for stack in stacks] == [0, 0, 1, 1, 2, 2]


def test_stacks_are_as_large_as_the_cache_allows(configs: Configs, digits: PreparedData) -> None:
    """Values of the widest layer: at most 2^19, one run where four would fill that; parameters beyond 8 runs: 2^18."""
    large = replace(digits, height=28, width=28)
    for data, architecture, size in (
        (digits, "mlp", 8), (digits, "cnn_small", 8), (large, "cnn", 1), (large, "transformer", 1),
    ):  # fmt: skip
        runs = [make_run(point, data, "sweep") for point in configs(f"architecture={architecture}", "seed=range(0,64)")]
        assert {len(stack.runs) for stack in pack_stacks(runs, "cpu", 2, 0)} == {size}


def test_few_runs_are_divided_among_the_workers(configs: Configs, digits: PreparedData) -> None:
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
    assert [(s.runs[0].settings.architecture.name, len(s.runs)) for s in stacks] == [
        ("cnn", 7), ("cnn", 7), ("cnn", 7), ("cnn", 6), ("mlp", 7), ("mlp", 7), ("mlp", 7), ("mlp", 6),
    ]  # fmt: skip
