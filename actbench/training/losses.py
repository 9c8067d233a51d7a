"""Losses and scores of every example of every run, by the metric of the task."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.experiment.scores import worst


def example_losses(metric: str, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """The loss of each example, (runs, batch).

    accuracy: cross-entropy of outputs (runs, batch, classes) and targets (runs, batch). bits_per_character: the mean
    over characters of that of outputs (runs, batch, context, classes) and targets (runs, batch, context), in nats.
    r2: squared error of outputs (runs, batch, 1) and targets (runs, batch).
    """
    if metric == "r2":
        return (outputs.squeeze(-1) - targets).square()
    losses = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none", label_smoothing=smoothing)
    losses = losses.view(targets.shape)
    return losses if metric == "accuracy" else losses.mean(-1)


def example_hits(metric: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """Whether each example is classified correctly, bool (runs, batch); of text the share of characters, float32.

    Of regression all zeros.
    """
    if metric == "r2":
        return torch.zeros(targets.shape, dtype=torch.bool, device=targets.device)
    hits = outputs.argmax(-1) == targets
    return hits if metric == "accuracy" else hits.float().mean(-1)


def mean_score(metric: str, loss: Tensor, hits: Tensor, variance: Tensor | None, classes: int) -> Tensor:
    """The score of each run on some examples, float64 (runs,): higher is better, and never below the metric's worst.

    loss: mean loss, float64 (runs,). hits: of `example_hits`, (runs, examples). variance: of the targets, (runs,), for
    r2. A loss that is not finite is no score but NaN.
    """
    if metric == "accuracy":
        return hits.double().mean(1)
    score = 1 - loss / variance if metric == "r2" and variance is not None else -loss / math.log(2)
    return torch.where(loss.isfinite(), score.clamp(min=worst(metric, classes)), torch.nan)
