"""Mini-batches of text: windows of characters with the characters that follow them as targets."""

from collections.abc import Sequence

import torch
from torch import Tensor

from actbench.data.buffers import fill
from actbench.data.prepared import TextData
from actbench.determinism import stream

_GOLDEN = 0.6180339887498949  # (sqrt(5) - 1) / 2


def spread_order(count: int) -> Tensor:
    """An order of 0 to count - 1 of which the first k are spread evenly, for every k: multiples of the golden ratio."""
    places = (torch.arange(count, dtype=torch.float64) * _GOLDEN) % 1
    return torch.argsort(torch.argsort(places))


def text_windows(part: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Windows of a part (characters,) that do not overlap, in order, and their targets: int64 (windows, context)."""
    count = max(0, len(part) - 1) // context
    starts = torch.arange(count).unsqueeze(1) * context
    windows = part[starts + torch.arange(context + 1)].long()
    return windows[:, :-1], windows[:, 1:]


class TextBatches:
    """Mini-batches and evaluation chunks of text for runs with the given seeds, (runs, batch, context).

    Training windows begin at places that each seed draws, all equally likely; an epoch has as many windows as fit into
    the training part without overlap, rounded up to whole mini-batches. Validation has consecutive windows in a spread
    order, so that its first part is spread over the text; the test windows stand in the order of the text. As in
    `Batches` the places of a step lie in buffers that keep their addresses.
    """

    def __init__(
        self, data: TextData, seeds: Sequence[int], context: int, batch_size: int, device: torch.device
    ) -> None:
        self._device, self._batch_size, self._context, self._runs = device, batch_size, context, len(seeds)
        self._seeds = sorted(set(seeds))
        seed_of_run = [self._seeds.index(seed) for seed in seeds]
        self._one_run_a_seed = seed_of_run == list(range(len(self._seeds)))
        self._seed_of_run = torch.tensor(seed_of_run, device=device)
        self._train, self._validation, self._test = (
            part.to(device) for part in (data.train, data.validation, data.test)
        )
        self.steps_per_epoch = -(-((len(data.train) - 1) // context) // batch_size)
        self._offsets = torch.arange(context + 1, device=device)
        self._order = torch.empty(len(self._seeds), self.steps_per_epoch * batch_size, dtype=torch.int64, device=device)
        self._starts = torch.empty(len(self._seeds), batch_size, dtype=torch.int64, device=device)
        self._spread = spread_order(self.validation_size).to(device) * context
        self._epoch, self._step = -1, -1

    def size(self, step: int) -> int:
        """Examples of a step's mini-batch of one run, the same in each step."""
        return self._batch_size

    def prepare(self, step: int) -> None:
        """Draws the places of a step into its buffer; on CUDA without waiting for the device."""
        if step == self._step:
            return
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            last = len(self._train) - self._context - 1  # at which a window may begin
            count = self._order.shape[1]
            fill(self._order, [torch.randint(last + 1, (count,), generator=stream(seed, "order", epoch))
                               for seed in self._seeds])  # fmt: skip
        self._starts.copy_(self._order[:, position * self._batch_size : (position + 1) * self._batch_size])
        self._step = step

    def buffers(self) -> list[Tensor]:
        """The buffers of what is drawn, which keep their addresses."""
        return [self._order, self._starts]

    def training(self, step: int) -> tuple[Tensor, Tensor]:
        """The mini-batch of a step: characters and their next ones, int64 (runs, batch, context) each."""
        self.prepare(step)
        windows = self._windows(self._train, self._starts.flatten()).unflatten(0, self._starts.shape)
        if len(self._seeds) == 1:
            windows = windows.expand(self._runs, -1, -1)
        elif not self._one_run_a_seed:
            windows = windows.index_select(0, self._seed_of_run)
        return windows[..., :-1], windows[..., 1:]

    def validation(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Validation windows start to stop in the spread order, as `training`; the same for all runs."""
        return self._for_all_runs(self._validation, self._spread[start:stop])

    def test(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Test windows start to stop in the order of the text, as `training`; the same for all runs."""
        return self._for_all_runs(self._test, torch.arange(start, stop, device=self._device) * self._context)

    def constants(self, run: int) -> dict[str, Tensor]:
        """What a run's inputs are computed with, by name: nothing."""
        return {}

    def target_variance(self, part: str, size: int) -> Tensor:
        """There are no amounts to predict. Raises ValueError."""
        raise ValueError("text has classes as targets")

    @property
    def validation_size(self) -> int:
        """Validation windows."""
        return (len(self._validation) - 1) // self._context

    @property
    def test_size(self) -> int:
        """Test windows; 0 without a test part."""
        return max(0, len(self._test) - 1) // self._context

    def _windows(self, part: Tensor, starts: Tensor) -> Tensor:
        """context + 1 characters from each start on, int64 (starts, context + 1)."""
        places = starts.unsqueeze(1) + self._offsets
        return part.index_select(0, places.flatten()).view_as(places).long()

    def _for_all_runs(self, part: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        windows = self._windows(part, starts).expand(self._runs, -1, -1)
        return windows[..., :-1], windows[..., 1:]
