"""Measures units and gradients of a stack on the probe set, for the network and for each hidden layer."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from actbench.data.batches import Batches
from actbench.data.buffers import on_host
from actbench.experiment.evaluation import EVALUATION_CHUNK
from actbench.metrics.gradients import gradient_norms, gradient_ratio, sum_of_squares
from actbench.metrics.names import HISTOGRAM
from actbench.metrics.units import LayerObservation, layer_metrics, network_metrics
from actbench.training.losses import cross_entropy
from actbench.training.network import Network
from actbench.training.results import Record


def record(step: int, metric: str, values: Tensor, layer: int | None = None) -> Record:
    """values: (runs,), or (runs, bins), on any device."""
    return next(records(step, [(metric, layer, values)]))


def records(step: int, measured: Sequence[tuple[str, int | None, Tensor]]) -> Iterator[Record]:
    """Records of (metric, layer, values), in their order; all values are copied from the device at once.

    values: as `record` takes them.
    """
    flat = on_host(torch.cat([values.detach().double().flatten() for _, _, values in measured])).numpy()
    start = 0
    for metric, layer, values in measured:
        stop = start + values.numel()
        yield Record(step, metric, flat[start:stop].reshape(values.shape).copy(), layer)
        start = stop


def observe(network: Network, batches: Batches, size: int, step: int = 0, histograms: bool = False) -> Iterator[Record]:
    """Metrics of units, and of gradients at pre-activations, on the probe set: the first `size` validation examples."""
    pieces = network.segments[0].applied.pieces
    layers = [LayerObservation(pieces, histograms) for _ in network.architecture.units]
    squares: list[Tensor | float] = [0.0] * len(layers)
    pre_activations: list[Tensor] = []

    def observed(layer: int, z: Tensor) -> Tensor:
        h = network.activate(layer, z)
        layers[layer].add(network.slopes(layer, z.detach()), h.detach())
        pre_activations.append(z)
        return h

    for start in range(0, size, EVALUATION_CHUNK):
        images, labels = batches.validation(start, min(start + EVALUATION_CHUNK, size))
        pre_activations.clear()
        loss = cross_entropy(network.forward(images, activate=observed), labels).sum()
        for layer, gradient in enumerate(torch.autograd.grad(loss, pre_activations)):
            squares[layer] = squares[layer] + sum_of_squares(gradient) / gradient[0, 0].numel()
    metrics = [layer_metrics(layer) for layer in layers]
    rms = [torch.as_tensor(total / size).sqrt() for total in squares]
    shares = network_metrics(metrics, [layer.units for layer in layers], [layer.outputs for layer in layers])
    ratio = gradient_ratio(rms)
    measured: list[tuple[str, int | None, Tensor]] = [
        (name, None, values) for name, values in {**shares, "gradient_ratio": ratio}.items()
    ]
    for number, observation in enumerate(layers):
        named = {**metrics[number], "gradient_rms": rms[number]}
        measured += [(name, number, values) for name, values in named.items()]
        if observation.histogram is not None:
            measured.append((HISTOGRAM, number, observation.histogram))
    yield from records(step, measured)


def norms(network: Network, gradients: tuple[Tensor, ...], step: int) -> Iterator[Record]:
    """L2 norms of a mini-batch gradient, over all parameters and by layer. gradients: in the order of parameters."""
    total, layers = gradient_norms(gradients, network.owner_indices, network.layers, len(network.runs))
    by_layer = [("gradient_norm", layer, values) for layer, values in layers.items()]
    yield from records(step, [("gradient_norm", None, total), *by_layer])
