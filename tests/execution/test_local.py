"""The pool: a run that fails and a worker that dies do not affect other runs."""

import os
import signal
from collections.abc import Callable

import psutil
import pytest
import torch

from actbench.data.datasets import PreparedData
from actbench.execution import worker
from actbench.execution.local import Pool
from actbench.execution.server import START_METHOD
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import RunSettings
from actbench.training import loop, progress
from actbench.training.results import STEP
from actbench.training.stacks import Stack, pack_stacks
from tests.support import numbers, until

Configs = Callable[..., list[RunSettings]]
TINY = ("architecture=mlp_small", "training.steps=3", "training.batch_size=37")


def trained(runs: list[Run], workers: int) -> dict[str, object]:
    with Pool("cpu", workers) as pool:
        return {r.run.id: r for group in pool.run(pack_stacks(runs, "cpu", workers, 0)) for r in group}


def test_results_do_not_depend_on_the_number_of_workers(configs: Configs, digits: PreparedData) -> None:
    points = configs("activation=relu,gelu,maxout", "seed=range(0,3)", *TINY)
    runs = [make_run(point, digits, "sweep") for point in points]
    here, there = trained(runs, 1), trained(runs, 2)
    assert set(here) == set(there) == {run.id for run in runs}
    for run in runs:
        assert numbers(here[run.id]) == numbers(there[run.id])  # type: ignore[arg-type]


def test_only_the_run_that_raises_fails(configs: Configs, digits: PreparedData) -> None:
    points = configs("activation=relu,tests.own_activations:fails_while_training,gelu", *TINY)
    runs = [make_run(point, digits, "sweep") for point in points]
    with Pool("cpu", 1) as pool:
        results = {r.run.id: r for group in pool.run([Stack(tuple(runs))]) for r in group}
    assert [results[run.id].row["status"] for run in runs] == ["finished", "failed", "finished"]
    assert results[runs[1].id].error == "RuntimeError: too wide"


def test_stack_out_of_memory_is_halved_and_so_are_those_like_it(
    configs: Configs, digits: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(point, digits, "sweep") for point in configs("seed=range(0,16)", *TINY)]
    tried: list[int] = []

    def train(stack: Stack, *rest: object) -> object:
        tried.append(len(stack.runs))
        if len(stack.runs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loop.train(stack, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "train", train)
    with Pool("cpu", 1) as pool:
        stacks = [Stack(tuple(runs[:8])), Stack(tuple(runs[8:]))]
        results = [result for group in pool.run(stacks) for result in group]
    assert sorted(result.run.id for result in results) == sorted(run.id for run in runs)
    assert {result.row["status"] for result in results} == {"finished"}
    assert tried == [8, 4, *[2] * 8]  # the second 8 and the other 4s were halved before they were tried


def test_single_run_whose_worker_is_killed_from_outside_is_tried_again(configs: Configs, digits: PreparedData) -> None:
    runs = [make_run(point, digits, "sweep") for point in configs("seed=range(0,3)", *TINY)]
    with Pool("cpu", 2) as pool:
        for worker in pool.worker_ids:  # idle, so that the next stacks are sent to dead workers
            os.kill(worker, signal.SIGKILL)
        results = [result for group in pool.run([Stack((run,)) for run in runs]) for result in group]
    assert sorted(result.run.id for result in results) == sorted(run.id for run in runs)
    assert {result.row["status"] for result in results} == {"finished"}


def test_training_in_this_process_calls_back_between_evaluations(
    configs: Configs, digits: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT", 0.0)
    (config,) = configs(*TINY, "training.evaluate_every=3", "training.measure_every=0")
    steps: list[int] = []
    with Pool("cpu", 1) as pool:
        run = make_run(config, digits, "sweep")
        list(
            pool.run([Stack((run,))], lambda stack, records: steps.extend(r.step for r in records if r.metric == STEP))
        )
    assert steps == [0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3]  # before each step, and each chunk of an evaluation


def test_killed_worker_is_replaced_and_its_runs_trained_again(configs: Configs, digits: PreparedData) -> None:
    points = configs("seed=range(0,6)", "architecture=mlp_small", "training.steps=400")
    runs = [make_run(point, digits, "sweep") for point in points]
    stacks = [Stack(tuple(runs[start : start + 2])) for start in (0, 2, 4)]
    with Pool("cpu", 2) as pool:
        outcome = pool.run(stacks)
        first = next(outcome)
        victim = pool.worker_ids[0]
        os.kill(victim, signal.SIGKILL)
        results = [*first, *(result for group in outcome for result in group)]
    assert sorted(result.run.id for result in results) == sorted(run.id for run in runs)
    assert {result.row["status"] for result in results} == {"finished"}


def test_calls_run_at_once_each_in_a_worker_of_its_own() -> None:
    with Pool("cpu", 2) as pool:
        assert sorted(pool.calls(os.getpid, [(), ()])) == sorted(pool.worker_ids)
    with Pool("cpu", 1) as pool:
        assert pool.at_once == 1
        assert pool.call(os.getpid) == os.getpid()


def test_workers_have_the_environment_of_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("ACTBENCH_TESTED", value)
        with Pool("cpu", 2) as pool:
            assert pool.call(os.getenv, "ACTBENCH_TESTED") == value


@pytest.mark.parametrize("workers", [1, 2])
def test_stacks_that_are_added_while_others_train_are_trained(
    configs: Configs, digits: PreparedData, workers: int
) -> None:
    runs = [make_run(point, digits, "sweep") for point in configs("activation=relu", "seed=range(0,6)", *TINY)]
    further, ended = [Stack((run,)) for run in runs[2:]], []
    with Pool("cpu", workers) as pool:
        for results in pool.run([Stack((run,)) for run in runs[:2]]):
            ended += [result.run.id for result in results]
            if further:
                pool.add([further.pop()])
    assert sorted(ended) == sorted(run.id for run in runs)


@pytest.mark.skipif(START_METHOD != "forkserver", reason="workers are not forked on this system")
def test_workers_outlive_the_process_that_forked_them(configs: Configs, digits: PreparedData) -> None:
    runs = [make_run(point, digits, "sweep") for point in configs("activation=relu", "seed=range(0,4)", *TINY)]
    with Pool("cpu", 2) as pool:
        server = psutil.Process(pool.worker_ids[0]).parent()
        assert server is not None
        server.kill()
        until(lambda: server.status() == psutil.STATUS_ZOMBIE)
        results = [result for group in pool.run([Stack((run,)) for run in runs]) for result in group]
    assert sorted(result.run.id for result in results) == sorted(run.id for run in runs)
    assert not any(result.error for result in results)
