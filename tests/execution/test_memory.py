"""What cannot fit is refused by an estimate, before anything is allocated."""

import pytest
import torch

from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.execution import memory
from actbench.execution.memory import WORKER_MEMORY, check_memory, check_workers, least_memory, total_memory
from actbench.experiment.runs import Run, make_run
from tests.support import Configs


def run(configs: Configs, digits: PreparedData, *overrides: str) -> Run:
    (settings,) = configs(*overrides)
    return make_run(settings, digits, "train")


def test_the_least_memory_of_an_mlp_is_its_parameters_with_two_moments_and_its_hidden_layers(
    configs: Configs, digits: PreparedData
) -> None:
    parameters = (64 * 256 + 256) + (256 * 256 + 256) + (256 * 10 + 10)
    adam = run(configs, digits, "architecture=mlp", "training.batch_size=50")
    assert least_memory(adam) == 4 * (4 * parameters + 2 * 50 * 2 * 256)
    plain = run(configs, digits, "architecture=mlp", "training.batch_size=50", "optimizer=sgd")
    assert least_memory(plain) == least_memory(adam) - 4 * 2 * parameters
    whole = run(configs, digits, "architecture=mlp", "training.batch_size=1000000")
    assert least_memory(whole) < 4 * (4 * parameters + 2 * 1800 * 2 * 256)  # a batch holds no more than the data do


def test_a_run_that_cannot_fit_is_refused_with_the_reason(
    configs: Configs, digits: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = run(configs, digits), run(configs, digits, "architecture.width=4096", "architecture.depth=9")
    monkeypatch.setattr(memory, "total_memory", lambda device: 10**9)
    check_memory([small], "cpu")
    with pytest.raises(UsageError, match="a run of mlp with training.batch_size=64 needs at least 3 GB, more than the"):
        check_memory([small, large], "cpu")


def test_more_workers_than_the_machine_can_hold_are_refused() -> None:
    most = total_memory("cpu") // WORKER_MEMORY
    check_workers(most)
    with pytest.raises(UsageError, match=f"execution.workers={most + 1}: .* take at most {most}"):
        check_workers(most + 1)


def test_the_memory_of_a_gpu_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (5, 7))
    assert total_memory("cuda") == 7
