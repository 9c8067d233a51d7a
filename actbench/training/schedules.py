"""Learning-rate schedules: the factor of the learning rate at each step."""

import math


def multiplier(name: str, step: int, steps: int, warmup: float) -> float:
    """Linear rise over the first `warmup` share of `steps`, then constant, or down to 0 by a cosine or linearly.

    step counts from 0; cosine after Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts.
    """
    rise = round(warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    done = (step - rise) / max(1, steps - rise)
    if name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if name == "linear" else 1.0
