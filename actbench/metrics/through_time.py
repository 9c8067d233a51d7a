"""Measurements of recurrent networks in time: gradients at single time steps, and saturated gates."""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actbench.metrics.gradients import gradient_ratio, sum_of_squares

MOST_STEPS = 33  # time steps whose gradients are recorded
LOW, HIGH = 0.05, 0.95  # a gate below or above is saturated


def recorded_steps(time: int) -> list[int]:
    """Time steps, counted from 0, whose gradients are recorded: all, or MOST_STEPS from the first to the last."""
    if time <= MOST_STEPS:
        return list(range(time))
    return [round(step * (time - 1) / (MOST_STEPS - 1)) for step in range(MOST_STEPS)]


class ThroughTime:
    """Squared gradients by time step and counts of saturated gates, over chunks of examples.

    positions: time steps of each hidden layer.
    """

    def __init__(self, positions: Sequence[int]) -> None:
        self._steps = [recorded_steps(time) for time in positions]
        self._squares: list[list[Tensor | float]] = [[0.0] * len(steps) for steps in self._steps]
        self._values = [0] * len(positions)  # gradients of a time step
        self._gates: list[_Saturation] = []  # of each recurrent layer

    def add(self, gradients: Sequence[Tensor], gates: Sequence[Tensor]) -> None:
        """Adds a chunk.

        gradients: of the loss with respect to the pre-activations of each hidden layer, (runs, batch, time, units).
        gates: their values in each recurrent layer, (runs, batch, time, gates * units); empty where there are none.
        """
        for layer, gradient in enumerate(gradients):
            for place, step in enumerate(self._steps[layer]):
                self._squares[layer][place] = self._squares[layer][place] + sum_of_squares(gradient[:, :, step])
            self._values[layer] += gradient[0, :, 0].numel()
        found = [_Saturation.of(values) for values in gates]
        self._gates = [old + new for old, new in zip(self._gates, found, strict=True)] if self._gates else found

    def _rms(self, layer: int) -> list[Tensor]:
        """Root mean square by recorded time step, (runs,) each."""
        return [torch.as_tensor(squares / self._values[layer]).sqrt() for squares in self._squares[layer]]

    def layer(self, layer: int) -> dict[str, Tensor]:
        """Metrics of a hidden layer, (runs,) each.

        `gradient_rms_t005` of step 5 and so on: root mean square over examples and units. For the first hidden layer of
        a recurrent layer with gates also the shares `saturated_low` and `saturated_high` of their values.
        """
        named = zip(self._steps[layer], self._rms(layer), strict=True)
        metrics = {f"gradient_rms_t{step:03d}": values for step, values in named}
        hidden = len(self._steps) // max(1, len(self._gates))  # layers of a recurrent layer
        if self._gates and layer % hidden == 0:
            own = self._gates[layer // hidden]
            metrics |= {"saturated_low": own.low / own.values, "saturated_high": own.high / own.values}
        return metrics

    def network(self) -> dict[str, Tensor]:
        """Metrics of the whole network, (runs,) each.

        `time_gradient_ratio`: log10 of the mean squared gradient at the first time step over that at the last, in the
        last hidden layer. `saturated_gates`: share of saturated values of all gates, where there are any.
        """
        metrics = {"time_gradient_ratio": gradient_ratio(self._rms(-1))}
        if self._gates:
            total = functools.reduce(operator.add, self._gates)
            metrics["saturated_gates"] = (total.low + total.high) / total.values
        return metrics


@dataclass(frozen=True)
class _Saturation:
    """Counts of values of gates below LOW and above HIGH, float64 (runs,), and of all values of a run.

    NaN for a run with values that are not finite.
    """

    low: Tensor
    high: Tensor
    values: int

    @staticmethod
    def of(gates: Tensor) -> "_Saturation":
        flat = gates.flatten(1)
        invalid = ~flat.isfinite().all(1)
        low, high = (chosen.sum(1).double().masked_fill(invalid, torch.nan) for chosen in (flat < LOW, flat > HIGH))
        return _Saturation(low, high, flat.shape[1])

    def __add__(self, other: "_Saturation") -> "_Saturation":
        return _Saturation(self.low + other.low, self.high + other.high, self.values + other.values)
