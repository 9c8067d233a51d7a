"""Workers: bad runs and dead processes cost themselves only."""

import os
import signal
from collections.abc import Callable

from actbench import plan
from actbench.config import Config
from actbench.datasets import Prepared
from actbench.execution import Pool
from actbench.plan import Run
from tests.test_training import numbers

Configs = Callable[..., list[Config]]
TINY = ("architecture=mlp_small", "training.steps=3", "training.batch_size=37")


def trained(runs: list[Run], workers: int) -> dict[str, object]:
    with Pool("cpu", workers) as pool:
        return {r.run.id: r for group in pool.run(plan.stacks(runs, "cpu", workers)) for r in group}


def test_results_do_not_depend_on_the_number_of_workers(configs: Configs, digits: Prepared) -> None:
    points = configs("activation=relu,gelu,maxout", "seed=range(0,3)", *TINY)
    runs = [plan.make_run(point, digits, "sweep") for point in points]
    here, there = trained(runs, 1), trained(runs, 2)
    assert set(here) == set(there) == {run.id for run in runs}
    for run in runs:
        assert numbers(here[run.id]) == numbers(there[run.id])  # type: ignore[arg-type]


def test_only_the_run_that_raises_fails(configs: Configs, digits: Prepared) -> None:
    points = configs("activation=relu,tests.own_activations:fails_while_training,gelu", *TINY)
    runs = [plan.make_run(point, digits, "sweep") for point in points]
    with Pool("cpu", 1) as pool:
        results = {r.run.id: r for group in pool.run([plan.Stack(tuple(runs))]) for r in group}
    assert [results[run.id].row["status"] for run in runs] == ["finished", "failed", "finished"]
    assert results[runs[1].id].error == "RuntimeError: too wide"


def test_killed_worker_is_replaced_and_its_runs_trained_again(configs: Configs, digits: Prepared) -> None:
    points = configs("seed=range(0,6)", "architecture=mlp_small", "training.steps=400")
    runs = [plan.make_run(point, digits, "sweep") for point in points]
    stacks = [plan.Stack(tuple(runs[start : start + 2])) for start in (0, 2, 4)]
    with Pool("cpu", 2) as pool:
        outcome = pool.run(stacks)
        first = next(outcome)
        victim = pool._processes[0].pid
        os.kill(victim, signal.SIGKILL)
        results = [*first, *(result for group in outcome for result in group)]
    assert sorted(result.run.id for result in results) == sorted(run.id for run in runs)
    assert {result.row["status"] for result in results} == {"finished"}
