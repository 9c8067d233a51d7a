"""Losses and correctness of a stack's runs on validation or test examples."""

from collections.abc import Callable

import torch
from torch import Tensor

from actbench.experiment.evaluation import EVALUATION_CHUNK
from actbench.training.graphs import Capture, Graphed
from actbench.training.losses import cross_entropy
from actbench.training.network import Network


class Classifier:
    """Classifies chunks of examples. capture: how that is captured, once for each size of chunk; None: not at all."""

    def __init__(self, network: Network, capture: Capture | None = None) -> None:
        self.network, self._capture = network, capture
        self._chunks: dict[int, _Chunk] = {}

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of losses, float64 (runs,), and whether each example is classified correctly, (runs, examples).

        images: (runs, examples, height, width, channels). labels: (runs, examples). Both results are overwritten by the
        next call.
        """
        if self._capture is None:
            return _classified(self.network, images, labels)
        size = labels.shape[1]
        if size not in self._chunks:
            self._chunks[size] = _Chunk(self.network, images, labels, self._capture)
        return self._chunks[size](images, labels)


class _Chunk:
    """A chunk of one size, in buffers that keep their addresses."""

    def __init__(self, network: Network, images: Tensor, labels: Tensor, capture: Capture) -> None:
        self._network = network
        self._images, self._labels = torch.empty_like(images), torch.empty_like(labels)
        self._loss = torch.empty(len(labels), dtype=torch.float64, device=labels.device)
        self._correct = torch.empty(labels.shape, dtype=torch.bool, device=labels.device)
        self._graph = Graphed(self._compute, capture)

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._graph()
        return self._loss, self._correct

    def _compute(self) -> None:
        loss, correct = _classified(self._network, self._images, self._labels)
        self._loss.copy_(loss)
        self._correct.copy_(correct)


def _classified(network: Network, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits = network.forward(images)
    return cross_entropy(logits, labels).double().sum(1), logits.argmax(-1) == labels


@torch.no_grad()
def evaluate(
    classifier: Classifier, examples: Callable[[int, int], tuple[Tensor, Tensor]], size: int,
    beat: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Mean loss, float64 (runs,), over examples 0 to size, and whether each is classified correctly, (runs, size).

    beat: called before each chunk.
    """
    network = classifier.network
    total = torch.zeros(len(network.runs), dtype=torch.float64, device=network.device)
    correct = torch.empty(len(network.runs), size, dtype=torch.bool, device=network.device)
    for start in range(0, size, EVALUATION_CHUNK):
        beat()
        stop = min(start + EVALUATION_CHUNK, size)
        loss, right = classifier(*examples(start, stop))
        total += loss
        correct[:, start:stop] = right
    return total / size, correct
