"""The random numbers of training steps: drawn on the host from each seed's stream, kept in buffers on the device."""

from collections.abc import Sequence

import torch
from torch import Tensor

from actbench.data.buffers import fill
from actbench.determinism import stream

_Key = tuple[int, tuple[int, ...], str, int, tuple[int, ...]]  # batch, seeds, purpose, layer, shape


class SeededRuns:
    """Neighbouring runs of a stack by their seeds. seeds: each once, in the order of the runs."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.seeds, self._runs = tuple(dict.fromkeys(seeds)), len(seeds)
        self._place = torch.tensor([self.seeds.index(seed) for seed in seeds], device=device)

    def expand(self, values: Tensor) -> Tensor:
        """(seeds, ...) -> (runs, ...)."""
        return values if len(self.seeds) == self._runs else values.index_select(0, self._place)


class Draws:
    """Draws from U(0, 1) for the steps of a training, in buffers that keep their addresses.

    The first step of a batch size makes the buffers; before a later step `prepare` fills them. Draws that are not
    prepared are made when they are asked for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers: dict[_Key, Tensor] = {}
        self._steps: dict[_Key, int] = {}  # of the draws in each buffer

    def __call__(
        self, seeds: tuple[int, ...], purpose: str, layer: int, step: int, batch: int, shape: Sequence[int]
    ) -> Tensor:
        """A step's draws for one purpose at one layer, (seeds, *shape). batch: examples of a run in the step."""
        key = (batch, seeds, purpose, layer, tuple(shape))
        if key not in self._buffers:
            self._buffers[key] = torch.empty(len(seeds), *shape, device=self._device)
        if self._steps.get(key) != step:
            self._fill(key, step)
        return self._buffers[key]

    def prepare(self, step: int, batch: int) -> None:
        """Makes a step's draws into the buffers that earlier steps of this batch size have used."""
        for key in self._buffers:
            if key[0] == batch:
                self._fill(key, step)

    def buffers(self) -> list[Tensor]:
        """All buffers, in the order in which they were made."""
        return list(self._buffers.values())

    def _fill(self, key: _Key, step: int) -> None:
        _, seeds, purpose, layer, shape = key
        fill(
            self._buffers[key],
            [torch.rand(shape, generator=stream(seed, purpose, layer, step)) for seed in seeds],
        )
        self._steps[key] = step
