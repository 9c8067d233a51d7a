"""The device of a command is chosen once, before anything trains; a CUDA device that fails is left with a message."""

import pytest
import torch

from actbench.errors import UsageError
from actbench.execution import devices
from actbench.execution.devices import choose_device
from actbench.experiment.command import ExecutionSettings
from actbench.experiment.compose import compose_grid


def settings(device: str) -> ExecutionSettings:
    return compose_grid([f"execution.device={device}"]).command.execution


@pytest.mark.parametrize(("problem", "chosen"), [(None, "cuda"), ("CUDA error: out of memory", "cpu")])
def test_auto_leaves_a_cuda_device_that_fails_and_says_so_once(
    problem: str | None, chosen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "cuda_problem", lambda: problem)
    devices._tell.cache_clear()
    assert [choose_device(settings("auto")) for _ in range(2)] == [chosen] * 2
    assert capsys.readouterr().err.count("all runs train on the CPU: CUDA error: out of memory") == (
        problem is not None
    )
    assert choose_device(settings("cpu")) == "cpu"


def test_a_cuda_device_that_was_asked_for_and_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "cuda_problem", lambda: "no kernel image is available")
    with pytest.raises(UsageError, match="the device fails: no kernel image is available"):
        choose_device(settings("cuda"))


def test_a_device_that_raises_has_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **keywords: object) -> torch.Tensor:
        raise RuntimeError("CUDA driver version is insufficient")

    monkeypatch.setattr(torch, "ones", fails)
    devices.cuda_problem.cache_clear()
    assert devices.cuda_problem() == "RuntimeError: CUDA driver version is insufficient"
    devices.cuda_problem.cache_clear()
