"""Histograms of a layer's outputs: counts in fixed bins, the same for every activation."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LOW, HIGH, BINS = -4.125, 4.125, 33  # 0, 1 and -1 are the middle of bins; two open bins more lie beyond the ends
WIDTH = (HIGH - LOW) / BINS


def edges() -> list[float]:
    """Edges of all BINS + 2 bins, of which the first begins at minus infinity and the last ends at infinity."""
    return [-float("inf"), *(LOW + WIDTH * number for number in range(BINS + 1)), float("inf")]


def counts(h: "Tensor") -> "Tensor":
    """Counts (runs, BINS + 2), int64, of outputs h (runs, ...).

    A bin contains its lower edge; infinity counts in an open bin, NaN in none.
    """
    import torch  # takes seconds, and a report needs only the edges

    if h.device.type != "cpu":
        return counts_at_once(h)
    histograms = []
    for run in h.flatten(1):
        place = _places(run)
        histograms.append(torch.bincount(place.int(), minlength=BINS + 3)[:-1])
    return torch.stack(histograms)


def counts_at_once(h: "Tensor") -> "Tensor":
    """As `counts`, for all runs at once and without bincount, for which the host would wait."""
    places = _places(h.flatten(1)).long()
    empty = places.new_zeros(len(h), BINS + 3)
    return empty.scatter_add_(1, places, places.new_ones(()).expand_as(places))[:, :-1]


def _places(values: "Tensor") -> "Tensor":
    """The bin of each value; BINS + 2 for NaN."""
    return ((values - LOW) / WIDTH).floor_().clamp_(-1, BINS).nan_to_num_(BINS + 1) + 1
