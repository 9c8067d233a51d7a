"""The protocol of a comparison: which runs are due, which learning rates go on, and which rate each score is taken at.

Pure functions of the outcomes so far: nothing depends on the order in which runs end, or on interruptions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from actbench.errors import UsageError
from actbench.experiment.choices import DIVERGED_LOSS, Array, all_seeds, choose, keeps_racing, other_seeds
from actbench.experiment.command import ProtocolSettings
from actbench.experiment.compose import Grid
from actbench.experiment.overrides import MOST_RUNS
from actbench.experiment.schema import LARGEST_SEED, RunSettings

FEWEST_SEEDS = 6  # with fewer no sign-flip test reaches 0.05: 2 * 2^-5 > 0.05
FIRST_STAGE, LATER_STAGE = 3, 2  # seeds of a stage

_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)  # of the optimizer's own learning rate, where the protocol names no rates
_LOST = (-1e6, DIVERGED_LOSS)  # score, far below any, and loss of a run that failed; no decision reads it


class Outcome(NamedTuple):
    """What the protocol knows of a run that has ended: validation score, higher is better, and loss.

    Diverged: the worst score of the task, and infinity.
    """

    score: float
    loss: float


class PlannedRun(NamedTuple):
    """One run of a task. point: which activation, as an index into the points of the grid."""

    point: int
    rate: float
    seed: int


Outcomes = Mapping[PlannedRun, Outcome | None]  # None: the run failed


@dataclass(frozen=True)
class TaskPlan:
    """The protocol's state for one task, as far as the outcomes reach.

    planned: runs in the order of the plan. due: those without an outcome. survivors: the rates of each point that were
    not raced out, ascending. chosen: the rate of each seed, by point; empty while runs are due.
    """

    planned: tuple[PlannedRun, ...]
    due: tuple[PlannedRun, ...]
    survivors: Mapping[int, tuple[float, ...]]
    chosen: Mapping[int, Mapping[int, float]] = field(default_factory=dict)


def check_grid(grid: Grid) -> None:
    """Raises UsageError for a grid over what the protocol itself varies, and for too many runs."""
    runs, protocol = grid.runs, grid.command.protocol
    if len({run.optimizer.lr for run in runs}) > 1 and len({run.optimizer.name for run in runs}) == 1:
        raise UsageError("optimizer.lr: compare tunes it; name the rates as protocol.learning_rates=[...]")
    if len({run.seed for run in runs}) > 1:
        raise UsageError("seed: compare draws its own; set protocol.seeds, or one seed to start from")
    if runs[0].seed + protocol.seeds - 1 > LARGEST_SEED:
        raise UsageError(f"seed={runs[0].seed}: {protocol.seeds} seeds from there end above {LARGEST_SEED}")
    names = [run.activation.label for run in runs]
    if protocol.equal_time and protocol.baseline not in names:
        raise UsageError(f"protocol.equal_time=true: the baseline {protocol.baseline} is not in the grid; add it")
    count = sum(len(learning_rates(run, protocol)) for run in runs) * protocol.seeds
    if count > MOST_RUNS:
        raise UsageError(
            f"protocol.seeds={protocol.seeds}: {count:,} runs of this grid, more than {MOST_RUNS:,}; take fewer"
        )


def learning_rates(settings: RunSettings, protocol: ProtocolSettings) -> tuple[float, ...]:
    """The grid of learning rates: the protocol's, or multiples of the optimizer's own rate."""
    if protocol.learning_rates is not None:
        return protocol.learning_rates
    return tuple(float(f"{settings.optimizer.lr * factor:.6g}") for factor in _FACTORS)


def tasks_of(runs: Sequence[RunSettings]) -> list[list[int]]:
    """The points of a grid by task, as indices: points of one task differ in the activation alone."""
    tasks: dict[RunSettings, list[int]] = {}
    for index, run in enumerate(runs):
        tasks.setdefault(run.model_copy(update={"activation": runs[0].activation}), []).append(index)
    return list(tasks.values())


def stages(seeds: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The seeds in stages, after each of which the protocol decides."""
    yield tuple(seeds[:FIRST_STAGE])
    for start in range(FIRST_STAGE, len(seeds), LATER_STAGE):
        yield tuple(seeds[start : start + LATER_STAGE])


def plan_task(
    points: Sequence[int], rates: Sequence[float], seeds: Sequence[int], outcomes: Outcomes, racing: bool,
    validation: int | None,
) -> TaskPlan:  # fmt: skip
    """Replays the protocol on the outcomes so far, up to the first stage that is not complete.

    validation: number of validation examples where scores are accuracies on them; None for other scores. A point, or a
    rate of a point, whose runs have all failed gets no further runs; otherwise a failed run takes its seed out of all
    decisions on the task.
    """
    return _Replay(points, outcomes, validation).plan(tuple(sorted(rates)), seeds, racing)


class _Replay:
    """The protocol on one task, replayed from its first stage."""

    def __init__(self, points: Sequence[int], outcomes: Outcomes, validation: int | None) -> None:
        self._live = tuple(points)
        self._outcomes, self._validation = outcomes, validation
        self._planned: list[PlannedRun] = []
        self._survivors: dict[int, tuple[float, ...]] = {}
        self._seeds_planned: tuple[int, ...] = ()
        self._ended: set[tuple[int, float]] = set()  # points and rates of which a run has not failed
        self._failed: list[PlannedRun] = []

    def plan(self, rates: tuple[float, ...], seeds: Sequence[int], racing: bool) -> TaskPlan:
        """The state after the last stage that is complete. rates: of the grid, ascending, before it grows."""
        self._survivors = dict.fromkeys(self._live, rates)
        for stage in stages(seeds):
            if not self._complete({point: self._survivors[point] for point in self._live}, stage):
                return self._state()
            if stage[0] == seeds[0]:
                grown = _beyond_ends(rates, {self._best(point) for point in self._live} if self._seeds() else set())
                if not self._complete(dict.fromkeys(self._live, grown), stage):
                    return self._state()
                self._survivors |= {
                    point: tuple(rate for rate in sorted(rates + grown) if (point, rate) in self._ended)
                    for point in self._live
                }
            if racing and stage[-1] != seeds[-1]:
                self._survivors |= {point: self._raced(point) for point in self._live}
        return self._state({point: self._choices(point) for point in self._live})

    def _complete(self, rates: Mapping[int, tuple[float, ...]], stage: tuple[int, ...]) -> bool:
        """Plans the stage's runs at the rates of each point; returns whether all of them have an outcome."""
        runs = [PlannedRun(point, rate, seed) for point, own in rates.items() for rate in own for seed in stage]
        self._planned += runs
        if any(run not in self._outcomes for run in runs):
            return False
        self._seeds_planned = tuple(dict.fromkeys((*self._seeds_planned, *(run.seed for run in runs))))
        failed = [run for run in runs if self._outcomes[run] is None]
        self._failed += failed
        self._ended |= {(run.point, run.rate) for run in set(runs).difference(failed)}
        live = {point for point, _ in self._ended}
        self._live = tuple(point for point in self._live if point in live)
        for point in self._live:
            self._survivors[point] = tuple(rate for rate in self._survivors[point] if (point, rate) in self._ended)
        return True

    def _state(self, chosen: Mapping[int, Mapping[int, float]] | None = None) -> TaskPlan:
        due = tuple(run for run in self._planned if run not in self._outcomes)
        return TaskPlan(tuple(self._planned), due, dict(self._survivors), chosen or {})

    def _seeds(self) -> list[int]:
        """Planned seeds of which no run has failed, but for rates at which every run of a point has."""
        tried = [run for run in self._failed if run.point in self._live and (run.point, run.rate) in self._ended]
        failed = {run.seed for run in tried}
        return [seed for seed in self._seeds_planned if seed not in failed]

    def _values(self, point: int) -> tuple[Array, Array]:
        """Validation score and loss of a point's surviving rates, (rates, seeds) each."""
        seeds = self._seeds()
        ended = [
            [self._outcomes[PlannedRun(point, rate, seed)] or Outcome(*_LOST) for seed in seeds]
            for rate in self._survivors[point]
        ]
        values = np.array(ended, dtype=float).reshape(len(ended), -1, 2)
        return values[..., 0], values[..., 1]

    def _best(self, point: int) -> float:
        score, loss = self._values(point)
        return self._survivors[point][int(choose(score, loss, all_seeds(score.shape[1]))[0])]

    def _raced(self, point: int) -> tuple[float, ...]:
        keep = keeps_racing(*self._values(point), self._validation)
        return tuple(rate for rate, kept in zip(self._survivors[point], keep, strict=True) if kept)

    def _choices(self, point: int) -> dict[int, float]:
        score, loss = self._values(point)
        seeds = self._seeds()
        if not seeds:
            return {}
        places = choose(score, loss, other_seeds(len(seeds)))
        return {seed: self._survivors[point][place] for seed, place in zip(seeds, places, strict=True)}


def equal_time_steps(steps: int, ratio: float) -> int:
    """Steps that take as long as `steps` of the baseline. ratio: the baseline's cost of a step over the activation's.

    The ratio is rounded to tenths, so that measurements of two machines of one make lead to the same steps.
    """
    return max(1, round(steps * max(0.1, round(ratio, 1)))) if steps else 0


def _beyond_ends(rates: Sequence[float], chosen: set[float]) -> tuple[float, ...]:
    """The rates by which a grid grows: one beyond each end that is among `chosen`. A single rate was requested."""
    grid = sorted(rates)
    if len(grid) < 2:
        return ()
    ends = ((grid[0], grid[1]), (grid[-1], grid[-2]))
    return tuple(float(f"{end * end / inner:.6g}") for end, inner in ends if end in chosen)
