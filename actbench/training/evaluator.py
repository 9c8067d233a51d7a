"""Losses and scores of a stack's runs on validation or test examples."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from actbench.experiment.evaluation import chunk_of
from actbench.training.graphs import Capture, Graphed
from actbench.training.losses import example_hits, example_losses
from actbench.training.network import Network


class Scores(NamedTuple):
    """What an evaluation finds. loss: the mean, float64 (runs,). losses, hits: of each example, (runs, examples).

    hits: as `example_hits` has them.
    """

    loss: Tensor
    losses: Tensor
    hits: Tensor


class _Part(NamedTuple):
    """Of a chunk of examples: the sum of losses, float64 (runs,), and the loss and hits of each, (runs, examples)."""

    total: Tensor
    losses: Tensor
    hits: Tensor


class Evaluator:
    """Scores chunks of examples. capture: how that is captured, once for each size of chunk; None: not at all."""

    def __init__(self, network: Network, capture: Capture | None = None) -> None:
        self.network, self._capture = network, capture
        self._chunks: dict[int, _Chunk] = {}

    @torch.no_grad()
    def __call__(self, examples: Tensor, targets: Tensor) -> _Part:
        """Of a chunk: (runs, examples, ...) as Batches yields them. The result is overwritten by the next call."""
        if self._capture is None:
            return _scored(self.network, examples, targets)
        size = targets.shape[1]
        if size not in self._chunks:
            self._chunks[size] = _Chunk(self.network, examples, targets, self._capture)
        return self._chunks[size](examples, targets)


class _Chunk:
    """A chunk of one size, in buffers that keep their addresses."""

    def __init__(self, network: Network, examples: Tensor, targets: Tensor, capture: Capture) -> None:
        self._network = network
        self._examples, self._targets = torch.empty_like(examples), torch.empty_like(targets)
        self._found = _Part(*map(torch.empty_like, _scored(network, examples, targets)))
        self._graph = Graphed(self._compute, capture)

    def __call__(self, examples: Tensor, targets: Tensor) -> _Part:
        self._examples.copy_(examples)
        self._targets.copy_(targets)
        self._graph()
        return self._found

    def _compute(self) -> None:
        for buffer, values in zip(self._found, _scored(self._network, self._examples, self._targets), strict=True):
            buffer.copy_(values)


def _scored(network: Network, examples: Tensor, targets: Tensor) -> _Part:
    outputs = network.forward(examples)
    losses = example_losses(network.metric, outputs, targets)
    return _Part(losses.double().sum(1), losses, example_hits(network.metric, outputs, targets))


@torch.no_grad()
def evaluate(
    evaluator: Evaluator, examples: Callable[[int, int], tuple[Tensor, Tensor]], size: int,
    beat: Callable[[], None] = lambda: None,
) -> Scores:  # fmt: skip
    """The scores of examples 0 to size. beat: called before each chunk of them."""
    chunk = chunk_of(evaluator.network.runs[0].data)
    total: Tensor | float = 0.0
    losses, hits = [], []
    for start in range(0, size, chunk):
        beat()
        part = evaluator(*examples(start, min(start + chunk, size)))
        total = total + part.total
        losses.append(part.losses.clone())
        hits.append(part.hits.clone())
    return Scores(torch.as_tensor(total) / size, torch.cat(losses, 1), torch.cat(hits, 1))
