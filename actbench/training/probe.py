"""Units and gradients of a stack on the probe set, all layers together and layer by layer."""

from collections.abc import Iterator

import torch
from torch import Tensor

from actbench.data.batches import Batches
from actbench.experiment.evaluation import EVALUATION_CHUNK
from actbench.metrics.gradients import gradient_norms, gradient_ratio, sum_of_squares
from actbench.metrics.names import HISTOGRAM, layer_key
from actbench.metrics.units import LayerObservation, layer_metrics, network_metrics
from actbench.training.losses import cross_entropy
from actbench.training.network import Network

Metrics = Iterator[tuple[str, Tensor]]  # (name, (runs,)), and histograms (runs, bins)


def observe(network: Network, batches: Batches, size: int, histograms: bool = False) -> Metrics:
    """Metrics of units and of gradients at pre-activations on the probe set, the first `size` validation examples."""
    pieces = network.segments[0].applied.pieces
    layers = [LayerObservation(pieces, histograms) for _ in network.architecture.units]
    squares: list[Tensor | float] = [0.0] * len(layers)
    activate = network.activation(None)
    pre_activations: list[Tensor] = []

    def tapped(layer: int, z: Tensor) -> Tensor:
        h = activate(layer, z)
        layers[layer].add(network.slopes(layer, z.detach()), h.detach())
        pre_activations.append(z)
        return h

    for start in range(0, size, EVALUATION_CHUNK):
        images, labels = batches.validation(start, min(start + EVALUATION_CHUNK, size))
        pre_activations.clear()
        loss = cross_entropy(network.forward(images, tapped, False), labels).sum()
        for layer, gradient in enumerate(torch.autograd.grad(loss, pre_activations)):
            squares[layer] = squares[layer] + sum_of_squares(gradient) / gradient[0, 0].numel()
    each = [layer_metrics(layer) for layer in layers]
    rms = [torch.as_tensor(total / size).sqrt() for total in squares]
    yield from network_metrics(each, [layer.units for layer in layers], [layer.outputs for layer in layers]).items()
    yield "gradient_ratio", gradient_ratio(rms)
    for layer, metrics in enumerate(each):
        for name, values in {**metrics, "gradient_rms": rms[layer]}.items():
            yield layer_key(layer, name), values
    for layer, observed in enumerate(layers):
        if observed.histogram is not None:
            yield layer_key(layer, HISTOGRAM), observed.histogram


def norms(network: Network, gradients: tuple[Tensor, ...]) -> Metrics:
    """Norms of a mini-batch gradient, in the order of the network's parameters."""
    whole, layers = gradient_norms(gradients, network.owner_indices, network.layers, len(network.runs))
    yield "gradient_norm", whole
    for layer, values in layers.items():
        yield layer_key(layer, "gradient_norm"), values
