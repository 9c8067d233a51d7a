"""Measures units and gradients of a stack on the probe set, for the network and for each hidden layer."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from actbench.data.buffers import on_host
from actbench.data.float_batches import AnyBatches
from actbench.experiment.evaluation import chunk_of
from actbench.metrics.gradients import gradient_norms, gradient_ratio, sum_of_squares
from actbench.metrics.names import HISTOGRAM
from actbench.metrics.through_time import ThroughTime
from actbench.metrics.units import LayerObservation, layer_metrics, network_metrics
from actbench.training.losses import example_losses
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


def observe(
    network: Network, batches: AnyBatches, size: int, step: int = 0, histograms: bool = False
) -> Iterator[Record]:
    """Metrics of units, and of gradients at pre-activations, on the probe set: the first `size` validation examples.

    The pre-activation of an LSTM's output is its cell state, whose gradient includes what comes from later time steps.
    """
    pieces, architecture = network.segments[0].applied.pieces, network.architecture
    layers = [LayerObservation(pieces, histograms) for _ in architecture.units]
    squares: list[Tensor | float] = [0.0] * len(layers)
    in_time = ThroughTime(architecture.positions) if architecture.recurrent else None
    calls: list[list[tuple[Tensor, Tensor]]] = [[] for _ in layers]  # pre-activations and units of each layer

    def observed(layer: int, z: Tensor) -> Tensor:
        h = network.activate(layer, z)
        calls[layer].append((z, h))
        return h

    def together(values: Iterable[Tensor]) -> Tensor:
        """Values of all calls of a layer: of the only one, or (runs, batch, time, units)."""
        return torch.stack(list(values), 2) if in_time else next(iter(values))

    chunk = chunk_of(network.runs[0].data)
    for start in range(0, size, chunk):
        examples, targets = batches.validation(start, min(start + chunk, size))
        for own in calls:
            own.clear()
        loss = example_losses(network.metric, network.forward(examples, activate=observed), targets).sum()
        found = iter(torch.autograd.grad(loss, [z for own in calls for z, _ in own]))
        gradients = [together([next(found) for _ in own]) for own in calls]
        for layer, (own, gradient) in enumerate(zip(calls, gradients, strict=True)):
            z, h = (together(pair[part].detach() for pair in own) for part in (0, 1))
            layers[layer].add(network.slopes(layer, z), h)
            squares[layer] = squares[layer] + sum_of_squares(gradient) / gradient[0, 0].numel()
        if in_time:
            in_time.add(gradients, network.gates(examples))
    metrics = [layer_metrics(layer) for layer in layers]
    rms = [torch.as_tensor(total / size).sqrt() for total in squares]
    shares = network_metrics(metrics, [layer.units for layer in layers], [layer.outputs for layer in layers])
    whole = {**shares, "gradient_ratio": gradient_ratio(rms), **(in_time.network() if in_time else {})}
    measured: list[tuple[str, int | None, Tensor]] = [(name, None, values) for name, values in whole.items()]
    for number, observation in enumerate(layers):
        named = {**metrics[number], "gradient_rms": rms[number], **(in_time.layer(number) if in_time else {})}
        measured += [(name, number, values) for name, values in named.items()]
        if observation.histogram is not None:
            measured.append((HISTOGRAM, number, observation.histogram))
    yield from records(step, measured)


def norms(network: Network, gradients: tuple[Tensor, ...], step: int) -> Iterator[Record]:
    """L2 norms of a mini-batch gradient, over all parameters and by layer. gradients: in the order of parameters."""
    total, layers = gradient_norms(gradients, network.owner_indices, network.layers, len(network.runs))
    by_layer = [("gradient_norm", layer, values) for layer, values in layers.items()]
    yield from records(step, [("gradient_norm", None, total), *by_layer])
