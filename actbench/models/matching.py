"""Architectures by name, at matched parameter counts."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from actbench.activations.table import TABLE, Activation
from actbench.models.cnn import cnn
from actbench.models.decoder import decoder
from actbench.models.mlp import mlp
from actbench.models.parameters import Architecture, Shape
from actbench.models.recurrent import gru, lstm, rnn
from actbench.models.transformer import transformer

BUILDERS: Mapping[str, Callable[..., Architecture]] = {
    "mlp": mlp, "cnn": cnn, "transformer": transformer, "decoder": decoder, "rnn": rnn, "gru": gru, "lstm": lstm,
}  # fmt: skip


def parameter_count(architecture: Architecture, activation: Activation) -> int:
    """Weights, biases and the activation's learned parameters of one run."""
    learned = [learned.shape(units) for units in architecture.units for learned in activation.learned.values()]
    return sum(math.prod(p.shape) for p in architecture.parameters.values()) + sum(math.prod(s) for s in learned)


def build_architecture(
    name: str, keys: Mapping[str, object], shape: Shape, activation: Activation, match_parameters: bool
) -> Architecture:
    """The architecture `name`; with match_parameters, with fewer units, so that the parameter count is that of ReLU.

    Activations within 1 % of ReLU's count keep their units; others come as close as integer numbers of units allow.
    """
    full = BUILDERS[name](**keys, shape=shape)
    goal = parameter_count(BUILDERS[name](**keys, shape=replace(shape, pieces=1)), TABLE["relu"])
    if not match_parameters or parameter_count(full, activation) <= 1.01 * goal:
        return full

    def shrunk(share: float) -> Architecture:
        units = tuple(max(1, round(share * count)) for count in full.units)
        return BUILDERS[name](**keys, shape=shape, units=units)

    low, high = 0.0, 1.0
    for _ in range(20):  # to 2^-20 of the full width
        middle = (low + high) / 2
        low, high = (middle, high) if parameter_count(shrunk(middle), activation) <= goal else (low, middle)

    def distance(architecture: Architecture) -> int:
        return abs(parameter_count(architecture, activation) - goal)

    best = min(shrunk(low), shrunk(high), key=distance)
    while (
        distance(best) > 0.002 * goal
    ):  # rounding moved all layers at once: one unit more or less in one layer may be closer
        tries = [_one_unit_off(best.units, layer, change) for layer in _layers(best.units) for change in (-1, 1)]
        nearest = min((BUILDERS[name](**keys, shape=shape, units=units) for units in tries), key=distance)
        if distance(nearest) >= distance(best):
            break
        best = nearest
    return best


def _layers(units: tuple[int, ...]) -> list[int]:
    """The first layer of each kind: a unit more or less changes the count alike where the neighbours are alike."""
    around = zip((0, *units), units, (*units[1:], 0), strict=False)
    return sorted({kind: layer for layer, kind in reversed(list(enumerate(around)))}.values())


def _one_unit_off(units: tuple[int, ...], layer: int, change: int) -> tuple[int, ...]:
    return (*units[:layer], max(1, units[layer] + change), *units[layer + 1 :])
