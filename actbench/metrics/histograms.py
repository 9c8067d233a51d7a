"""How the outputs of a layer's units are distributed: counts in fixed bins, alike for every activation."""

import torch
from torch import Tensor

LOW, HIGH, BINS = -4.125, 4.125, 33  # 0, 1 and -1 lie in the middle of bins; beyond the ends are two bins more
WIDTH = (HIGH - LOW) / BINS


def edges() -> list[float]:
    """Of all BINS + 2 bins: the first starts at minus, the last ends at plus infinity."""
    return [-float("inf"), *(LOW + WIDTH * number for number in range(BINS + 1)), float("inf")]


def counts(h: Tensor) -> Tensor:
    """h (runs, ...) -> int64 (runs, BINS + 2). A bin holds its lower edge; infinity is in an open one, NaN in none."""
    found = []
    for run in h.flatten(1):
        place = ((run - LOW) / WIDTH).floor_().clamp_(-1, BINS).nan_to_num_(BINS + 1) + 1
        found.append(torch.bincount(place.int(), minlength=BINS + 3)[:-1])
    return torch.stack(found)
