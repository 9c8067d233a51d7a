"""Which learning rate a score is taken at, and which rates stay in the race: pure functions of scores and losses."""

import numpy as np
import numpy.typing as npt

RACING_ERRORS = 2.0  # standard errors of the paired deficit beyond which a rate gets no further seeds
DIVERGED_LOSS = 1e300  # finite, so that a weight of 0 takes it out of a mean

Array = npt.NDArray[np.float64]


def choose(score: Array, loss: Array, weights: Array) -> npt.NDArray[np.int64]:
    """The place of the rate with the highest mean score, of equals that with the lowest mean loss, (samples,).

    score, loss: (rates, seeds) of validation. weights: (samples, seeds) of the seeds in each mean.
    """
    means = (score @ weights.T).round(12)  # the same mean in another order differs in its last bit
    losses = np.minimum(loss, DIVERGED_LOSS) @ weights.T
    return np.where(means == means.max(0), losses, np.inf).argmin(0)


def all_seeds(seeds: int) -> Array:
    """Weights (1, seeds) for `choose`: the plain mean."""
    return np.full((1, seeds), 1 / seeds)


def other_seeds(seeds: int) -> Array:
    """Weights (seeds, seeds) for `choose`: each seed's mean is over the others; a single seed's over itself."""
    return np.ones((1, 1)) if seeds == 1 else (1 - np.eye(seeds)) / (seeds - 1)


def keeps_racing(score: Array, loss: Array, validation: int | None) -> npt.NDArray[np.bool_]:
    """Whether each rate gets further seeds, (rates,): its paired deficit to the best is at most two standard errors.

    score, loss: (rates, seeds). The deviation of the deficit has a floor, as that of three seeds may be small by
    chance: of accuracies that of one accuracy on `validation` examples; of other scores (validation is None) the
    deviation pooled over the rates, as `_pooled_deviation` has it. With fewer than two seeds every rate goes on.
    """
    rates, seeds = score.shape
    if seeds < 2:
        return np.ones(rates, dtype=bool)
    best = int(choose(score, loss, all_seeds(seeds))[0])
    deficits = score[best] - score
    deviations = deficits.std(1, ddof=1)
    if validation is None:
        floor = _pooled_deviation(np.delete(deviations, best), np.delete(loss, best, axis=0))
    else:
        share = score[best].mean()
        floor = float(np.sqrt(max(0.0, share * (1 - share)) / validation))
    return deficits.mean(1) <= RACING_ERRORS * np.maximum(deviations, floor) / np.sqrt(seeds)


def _pooled_deviation(deviations: Array, loss: Array) -> float:
    """The deviation of a deficit over the rates that are not the best: the root of the median of their variances.

    The median, and without the rates at which a run diverged: a single lost run of three makes a variance a hundred
    times that of the others, and in a mean it would keep every rate in the race. deviations: (rates,). loss: (rates,
    seeds). 0 where no rate is left.
    """
    steady = deviations[(loss < DIVERGED_LOSS).all(1)]
    return float(np.sqrt(np.median(np.square(steady)))) if len(steady) else 0.0
