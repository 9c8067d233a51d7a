"""A training step of a stack: the host prepares what it needs, then the device computes it without the host."""

import torch
from torch import Tensor

from actbench.data.float_batches import AnyBatches
from actbench.experiment.schema import TrainingSettings
from actbench.metrics.gradients import gradient_norms
from actbench.training.graphs import Capture, Graphed
from actbench.training.losses import example_losses
from actbench.training.network import Network
from actbench.training.optimizers import StackOptimizer
from actbench.training.progress import Progress
from actbench.training.schedules import multiplier


class TrainingStep:
    """The training steps of a stack.

    capture: how the device's part is captured, once for each batch size; None: it is called. A step's number, its
    mini-batch, noise and learning rates reach that part through tensors only.
    """

    def __init__(
        self, network: Network, batches: AnyBatches, optimizer: StackOptimizer, progress: Progress,
        settings: TrainingSettings, steps: int, capture: Capture | None = None,
    ) -> None:  # fmt: skip
        self._network, self._batches, self._optimizer, self._progress = network, batches, optimizer, progress
        self._settings, self._steps, self._capture = settings, steps, capture
        self._graphs: dict[int, Graphed] = {}  # by batch size
        self._step = 0

    def __call__(self, step: int) -> None:
        """Trains for one step; on CUDA it returns before the device has computed it."""
        self.prepare(step)
        size = self._batches.size(step)
        if size not in self._graphs:
            self._graphs[size] = Graphed(self.compute, self._capture)
        self._graphs[size]()
        self._progress.losses += 1

    def prepare(self, step: int) -> None:
        """Writes into the device's buffers what the step depends on."""
        settings = self._settings
        self._batches.prepare(step)
        self._network.draws.prepare(step, self._batches.size(step))
        self._optimizer.prepare(multiplier(settings.schedule, step, self._steps, settings.warmup))
        self._progress.prepare(step)
        self._step = step

    def compute(self) -> None:
        """The device's part of the step that was prepared: no waiting, and nothing new that outlives it."""
        self._update(*self._gradients())

    def measured(self, step: int) -> tuple[Tensor, ...]:
        """Trains for one step, unless it is past the last, without a graph; returns the gradients of the parameters."""
        self.prepare(step)
        loss, gradients = self._gradients()
        if step < self._steps:
            self._update(loss, gradients)
            self._progress.losses += 1
        return gradients

    def _gradients(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        return step_gradients(self._network, self._batches, self._step, self._settings.label_smoothing)

    def _update(self, loss: Tensor, gradients: tuple[Tensor, ...]) -> None:
        self._progress.add_loss(loss)
        if self._settings.clip_norm is not None:
            gradients = _clipped(self._network, gradients, self._settings.clip_norm)
        self._optimizer.update(gradients)


def step_gradients(
    network: Network, batches: AnyBatches, step: int, smoothing: float
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Each run's mini-batch loss (runs,), and the gradients of its parameters, in their order."""
    examples, targets = batches.training(step)
    loss = example_losses(network.metric, network.forward(examples, step), targets, smoothing).mean(1)
    parameters = list(network.parameters.values())
    return loss.detach(), torch.autograd.grad(loss.sum(), parameters, materialize_grads=True)


def _clipped(network: Network, gradients: tuple[Tensor, ...], limit: float) -> tuple[Tensor, ...]:
    """Each run's gradient scaled down to norm `limit`, as torch.nn.utils.clip_grad_norm_ does for one run."""
    norm, _ = gradient_norms(gradients, network.owner_indices, network.layers, len(network.runs))
    scale = (limit / (norm + 1e-6)).clamp(max=1).float()
    return tuple(
        gradient * scale[owner].view(-1, *[1] * (gradient.dim() - 1))
        for gradient, owner in zip(gradients, network.owner_indices, strict=True)
    )
