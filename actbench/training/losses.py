"""The loss: cross-entropy of every example of every run."""

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """The loss of each example (runs, batch) of logits (runs, batch, classes) and labels (runs, batch)."""
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=smoothing)
    return losses.view(labels.shape)
