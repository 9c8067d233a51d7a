"""The fewest and the most runs that a comparison may take: racing and the growth of the grid decide while it trains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from actbench.experiment.protocol import Outcome, PlannedRun, plan_task

Imagined = Callable[[PlannedRun], Outcome]


@dataclass(frozen=True)
class Course:
    """A possible course of the protocol on one task. planned: all its runs. rounds: those that fall due together."""

    planned: tuple[PlannedRun, ...]
    rounds: tuple[tuple[PlannedRun, ...], ...]


def bounds(
    points: Sequence[int], rates: Sequence[float], seeds: Sequence[int], outcomes: Mapping[PlannedRun, Outcome | None],
    racing: bool, validation: int | None, scores: tuple[float, float] = (0.0, 1.0),
) -> tuple[Course, Course]:  # fmt: skip
    """The courses with the fewest and with the most runs in which no run fails; arguments as for `plan_task`.

    Runs with an outcome keep it, and the others have extreme ones. In the first course one rate within the grid is far
    better than the others; in the second no rate is raced out, and activations differ in which end of the grid is best.
    scores: the worst and the best of the task.
    """
    low, high = scores
    grid = sorted(rates)
    middle = grid[len(grid) // 2]
    rising = set(points[1::2])

    def separated(run: PlannedRun) -> Outcome:
        return Outcome(high if run.rate == middle else low, 1.0)

    def tied(run: PlannedRun) -> Outcome:  # equal scores, so that the loss decides
        return Outcome((low + high) / 2, 1 / run.rate if run.point in rising else run.rate)

    def course(imagined: Imagined) -> Course:
        known, rounds = dict(outcomes), []
        while (plan := plan_task(points, rates, seeds, known, racing, validation)).due:
            rounds.append(plan.due)
            known |= {run: imagined(run) for run in plan.due}
        return Course(plan.planned, tuple(rounds))

    return course(separated), course(tied)
