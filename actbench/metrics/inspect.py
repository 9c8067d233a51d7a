"""Units, activations and gradients of any torch.nn.Module, measured as in actbench's own runs."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actbench.metrics.gradients import gradient_ratio, sum_of_squares
from actbench.metrics.recording import Call, Function, recorded_calls
from actbench.metrics.units import LayerObservation, layer_metrics, network_metrics


def inspect(
    model: nn.Module,
    inputs: Tensor | tuple[Any, ...] | Mapping[str, Any],
    targets: Tensor | None = None,
    *,
    activations: tuple[type[nn.Module], ...] = (),
    functions: Mapping[str, Function] | None = None,
    loss: Callable[[Any, Tensor], Tensor] | None = None,
) -> pd.DataFrame:
    """Dead, silent and dormant units, sparsity and zero-centredness of each activation, and gradients there.

    inputs: (batch, ...), or a tuple or mapping of the model's arguments. targets: class indices (batch,), or whatever
    `loss(outputs, targets)` takes, which returns the loss of each example, (batch, ...); without targets no gradients
    are measured. activations: further classes of activation modules, elementwise ones or nn.Softmax. functions: layer
    name -> elementwise function, for activations that are no modules: it is taken to work on that layer's output.

    Units are the features of the newest layer with such an output: after a convolution dimension 1, after a linear
    layer the last; where there is none before, dimension 1 of images (batch, channels, height, width) and else the
    last. A function in the model's own code that `functions` does not name is not seen, and neither is anything inside
    compiled code. A module called more than once counts as several layers: `relu`, `relu#2`. The model runs once, in
    evaluation mode, and is left as it was: mode, buffers, gradients.

    Returns a tidy table (layer, activation, metric, value), layers in the order of their calls; layer `all` is all of
    them together. Metrics: dead_fraction, silent_fraction, dormant_fraction, zero_share, near_zero_share, unit_mean,
    abs_unit_mean, unit_std, dead_piece_fraction (gated units), dead_layers, gradient_rms (root mean square of the
    gradient of each example's loss at the pre-activations) and gradient_ratio.

    >>> import actbench, torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    >>> table = actbench.inspect(model, torch.randn(64, 8), torch.randint(0, 3, (64,)))
    >>> table[table["metric"] == "dead_fraction"]["layer"].tolist()
    ['all', '1']

    Raises ValueError for arguments of another kind, and where the model calls no activation, `functions` names no
    layer, an activation has no inputs, or the loss is not one of each example.
    """
    _check(model, targets, activations, functions or {})
    with _in_evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        with recorded_calls(model, activations, functions or {}) as calls:
            outputs = _called(model, inputs)
        if not calls:
            raise ValueError(
                "the model calls no activation module; name its layers in functions={'layer': torch.relu} or its "
                "classes in activations=(...); give a compiled or traced model as it was before"
            )
        for call in calls:
            if call.z.numel() == 0:
                raise ValueError(f"{call.layer} was given no values, {tuple(call.z.shape)}: inputs need an example")
        rms = None if targets is None else _gradients(outputs, targets, calls, loss)
        observed = [_observed(call) for call in calls]
    by_layer = [layer_metrics(layer) for layer in observed]
    common = [key for key in by_layer[0] if all(key in metrics for metrics in by_layer)]
    shared = [{key: metrics[key] for key in common} for metrics in by_layer]
    network = network_metrics(shared, [layer.units for layer in observed], [layer.outputs for layer in observed])
    if rms is not None:
        network["gradient_ratio"] = gradient_ratio(rms)
        by_layer = [{**metrics, "gradient_rms": values} for metrics, values in zip(by_layer, rms, strict=True)]
    rows = [("all", " ".join(dict.fromkeys(call.activation for call in calls)), network)]
    rows += [(call.layer, call.activation, metrics) for call, metrics in zip(calls, by_layer, strict=True)]
    return pd.DataFrame(
        [(*names, metric, value.item()) for *names, metrics in rows for metric, value in metrics.items()],
        columns=["layer", "activation", "metric", "value"],
    )


def _check(model: object, targets: object, activations: object, functions: object) -> None:
    wrong = {
        "model must be a torch.nn.Module": not isinstance(model, nn.Module),
        "targets must be a tensor": targets is not None and not isinstance(targets, Tensor),
        "activations must be a tuple of classes": not isinstance(activations, tuple),
        "functions must be a dict: layer name -> function": not isinstance(functions, Mapping)
        or not all(map(callable, functions.values())),
    }
    for message, applies in wrong.items():
        if applies:
            raise ValueError(message)


def _called(model: nn.Module, inputs: Tensor | tuple[Any, ...] | Mapping[str, Any]) -> Any:
    if isinstance(inputs, Mapping):
        return model(**{key: _usable(value) for key, value in inputs.items()})
    return model(*map(_usable, inputs if isinstance(inputs, tuple) else (inputs,)))


def _usable(value: Any) -> Any:
    """A copy of a tensor that was made in inference mode, which autograd cannot use."""
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value


def _cross_entropy(outputs: Any, targets: Tensor) -> Tensor:
    if not isinstance(outputs, Tensor):
        raise ValueError(
            f"the model returns a {type(outputs).__name__}; give loss=, a function of that and the targets"
        )
    if targets.is_floating_point():
        raise ValueError("targets are class indices, integers; for others give loss=, one value an example")
    return F.cross_entropy(outputs, targets, reduction="none")


@contextlib.contextmanager
def _in_evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Turns dropout off and keeps the statistics of batch norm; restores each module's mode and the random state."""
    modes = {module: module.training for module in model.modules()}
    devices = {parameter.device.index for parameter in model.parameters() if parameter.device.type == "cuda"}
    try:
        model.eval()
        with torch.random.fork_rng(list(devices)):
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _gradients(
    outputs: Any, targets: Tensor, calls: list[Call], loss: Callable[[Any, Tensor], Tensor] | None
) -> list[Tensor]:
    """Root mean square of the gradient at each call's input, (1,) each."""
    losses = (loss or _cross_entropy)(outputs, _usable(targets))
    if losses.dim() == 0 or len(losses) != len(targets):
        raise ValueError(
            f"the loss of {len(targets)} examples has shape {tuple(losses.shape)}; it must have one value for each: "
            "reduction='none'"
        )
    gradients = torch.autograd.grad(losses.sum(), [call.z for call in calls], materialize_grads=True)
    return [(sum_of_squares(gradient.unsqueeze(0)) / gradient.numel()).sqrt() for gradient in gradients]


def _observed(call: Call) -> LayerObservation:
    z = call.z.detach().clone().requires_grad_()
    h = call.function(z.clone())
    # A softmax adds up to 1, so the gradient of its sum vanishes; its derivative is that of each unit by its input.
    slope = h.detach() * (1 - h.detach()) if call.activation == "Softmax" else torch.autograd.grad(h.sum(), z)[0].abs()
    layer = LayerObservation(call.pieces)
    layer.add(*(values.movedim(call.units, -1).unsqueeze(0) for values in (slope, h.detach())))
    return layer
