"""What a training keeps beside its network: the clock, the mean loss and the first step that failed, of each run."""

import contextlib
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from actbench.training.probe import record
from actbench.training.results import Record

HEARTBEAT = 1.0  # seconds


class Progress:
    """The training clock, the mean training loss since the last evaluation, and each run's first failed step.

    seconds: of training, while the clock is stopped. losses: mini-batches in the mean. failed_step: (runs,), the first
    step at which the loss was not finite; NaN if there was none.
    """

    def __init__(self, runs: int, device: torch.device, heartbeat: Callable[[int], None]) -> None:
        self._device, self._heartbeat = device, heartbeat
        self.seconds, self._started = 0.0, time.perf_counter()
        self._is_paused, self._last_beat, self._last_step = False, self._started, 0
        self._loss, self.losses = torch.zeros(runs, dtype=torch.float64, device=device), 0
        self.failed_step = torch.full((runs,), torch.nan, dtype=torch.float64, device=device)
        self._step = torch.zeros((), dtype=torch.float64, device=device)

    def tensors(self) -> dict[str, Tensor]:
        """The sum of losses and the failed steps, by name."""
        return {"loss": self._loss, "failed_step": self.failed_step}

    def beat(self, step: int | None = None) -> None:
        """Calls the heartbeat with the current step where the last call was HEARTBEAT ago. step: None: as before."""
        self._last_step = self._last_step if step is None else step
        if time.perf_counter() - self._last_beat >= HEARTBEAT:
            with self.paused():
                self._heartbeat(self._last_step)
            self._last_beat = time.perf_counter()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the training clock during the block; within another such block it is stopped already."""
        if self._is_paused:
            yield
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.seconds += time.perf_counter() - self._started
        self._is_paused = True
        yield
        self._is_paused = False
        self._started = time.perf_counter()

    def prepare(self, step: int) -> None:
        """Sets the step that failures are noted for."""
        self._step.fill_(step)

    def add_loss(self, loss: Tensor) -> None:
        """Adds the mini-batch loss (runs,) of the step to the sum; `losses` is for the caller to count."""
        self.note_failures(loss)
        self._loss += loss

    def note_failures(self, loss: Tensor) -> None:
        """Notes the first step at which a run's loss (runs,) is not finite, without waiting for the device."""
        failed = self.failed_step.isnan() & ~loss.isfinite()
        torch.where(failed, self._step, self.failed_step, out=self.failed_step)

    def records(self, step: int) -> Iterator[Record]:
        """`train_loss` and `seconds`; the mean starts anew."""
        if self.losses:
            yield record(step, "train_loss", self._loss / self.losses)
            self._loss.zero_()
            self.losses = 0
        yield Record(step, "seconds", np.full(len(self._loss), self.seconds / len(self._loss)))
