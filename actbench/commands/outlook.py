"""What a command will train, task by task: the runs that are found finished, and the stacks of the others."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from actbench.commands.planning import Data
from actbench.commands.stages import Schedule, outcome_of, racing_examples, score_range
from actbench.experiment.bounds import Course, bounds
from actbench.experiment.compose import Grid
from actbench.experiment.protocol import FIRST_STAGE, Outcome, PlannedRun, TaskPlan, learning_rates, plan_task, tasks_of
from actbench.experiment.runs import Run
from actbench.experiment.schema import RunSettings
from actbench.training.results import Result
from actbench.training.stacks import Stack

Find = Callable[[Sequence[Run]], Mapping[str, Result]]  # the results that are found finished, by run id
Pack = Callable[[Sequence[Run]], list[Stack]]


@dataclass(frozen=True)
class TaskOutlook:
    """What a command will train of one task.

    first: one of its runs. activations: how many. rates: of the grid, before it grows. found: runs that are finished.
    runs, stacks: all runs, and the stacks of those to train, where the protocol takes the fewest and where it takes the
    most; a sweep's are the same. deviations: of the paired differences of finished runs to the baseline, a value for
    each activation, over `pairs` seeds.
    """

    first: Run
    activations: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    found: int
    runs: tuple[int, int]
    stacks: tuple[list[Stack], list[Stack]]
    deviations: tuple[float, ...] = ()
    pairs: int = 0


def sweep_outlook(runs: Sequence[Run], find: Find, pack: Pack) -> list[TaskOutlook]:
    """The tasks of a grid of runs: those that differ in activation, learning rate and seed alone."""
    finished = find(runs)
    tasks: dict[RunSettings, list[Run]] = {}
    for run in runs:
        tasks.setdefault(_task_of(run.settings, runs[0].settings), []).append(run)
    due = {run.id: run for run in runs if run.id not in finished}
    stacks: dict[RunSettings, list[Stack]] = {task: [] for task in tasks}
    for stack in pack(list(due.values())):
        stacks[_task_of(stack.runs[0].settings, runs[0].settings)].append(stack)
    return [
        TaskOutlook(
            own[0], len({run.settings.activation for run in own}),
            tuple(dict.fromkeys(run.settings.optimizer.lr for run in own)),
            tuple(dict.fromkeys(run.settings.seed for run in own)),
            sum(run.id in finished for run in own), (len(own), len(own)), (stacks[task], stacks[task]),
        )
        for task, own in tasks.items()
    ]  # fmt: skip


def _task_of(settings: RunSettings, first: RunSettings) -> RunSettings:
    optimizer = settings.optimizer.model_copy(update={"lr": first.optimizer.lr})
    changes = {"activation": first.activation, "seed": first.seed, "optimizer": optimizer}
    return settings.model_copy(update=changes)


def comparison_outlook(grid: Grid, data: Data, find: Find, pack: Pack) -> list[TaskOutlook]:
    """The tasks of a comparison by the protocol, which goes on from the runs that are found finished."""
    schedule = Schedule(grid, data)
    return [_Task(schedule, data, points, find).outlook(pack) for points in schedule.tasks]


def fewest_and_most(grid: Grid, data: Data, outcomes: Mapping[PlannedRun, Outcome | None]) -> tuple[int, int]:
    """How many runs of a comparison are still to train, at least and at most. outcomes: of those that have ended."""
    begun = {place.point for place in outcomes}
    fresh: dict[object, tuple[Course, Course]] = {}  # tasks of which no run has ended are alike
    courses = []
    for points in tasks_of(grid.runs):
        alike = (len(points), learning_rates(grid.runs[points[0]], grid.command.protocol))
        if begun.isdisjoint(points) and alike in fresh:
            courses.append(fresh[alike])
            continue
        courses.append(_courses(grid, data, points, outcomes))
        if begun.isdisjoint(points):
            fresh[alike] = courses[-1]
    least, most = (sum(len(due) for own in courses for due in own[place].rounds) for place in (0, 1))
    return least, most


def _courses(
    grid: Grid, data: Data, points: Sequence[int], outcomes: Mapping[PlannedRun, Outcome | None]
) -> tuple[Course, Course]:
    first, protocol = grid.runs[points[0]], grid.command.protocol
    seeds = range(first.seed, first.seed + protocol.seeds)
    return bounds(
        points, learning_rates(first, protocol), seeds, outcomes, protocol.racing, racing_examples(first, data),
        score_range(first, data),
    )  # fmt: skip


class _Task:
    """One task of a comparison, with its runs that are found finished."""

    def __init__(self, schedule: Schedule, data: Data, points: Sequence[int], find: Find) -> None:
        self._run, self._grid, self._data, self._points = schedule.run, schedule.grid, data, points
        self._protocol, first = self._grid.command.protocol, self._grid.runs[points[0]]
        self._seeds = range(first.seed, first.seed + self._protocol.seeds)
        self._rates = learning_rates(first, self._protocol)
        self._validation, (self._worst, _) = racing_examples(first, data), score_range(first, data)
        self._results: dict[PlannedRun, Result] = {}
        asked: set[PlannedRun] = set()
        while due := [place for place in self._plan(len(self._seeds)).due if place not in asked]:
            asked.update(due)
            found = find([self._run(place) for place in due])
            self._results |= {place: found[id] for place in due if (id := self._run(place).id) in found}

    def _plan(self, seeds: int) -> TaskPlan:
        return plan_task(
            self._points, self._rates, self._seeds[:seeds], self._outcomes, self._protocol.racing, self._validation
        )

    @property
    def _outcomes(self) -> dict[PlannedRun, Outcome | None]:
        return {place: outcome_of(result) for place, result in self._results.items()}

    def outlook(self, pack: Pack) -> TaskOutlook:
        """The task's part of the command."""
        courses = _courses(self._grid, self._data, self._points, self._outcomes)
        stacks = [
            [stack for due in course.rounds for stack in pack([self._run(place) for place in due])]
            for course in courses
        ]
        again = self._at_equal_time() if self._protocol.equal_time else []
        found = sum(place in self._results for place in courses[1].planned)
        fewest, most = (len(course.planned) for course in courses)
        pairs, deviations = self._deviations()
        return TaskOutlook(
            self._run(courses[0].planned[0]), len(self._points), self._rates, tuple(self._seeds), found,
            (fewest, most + len(again)), (stacks[0], stacks[1] + pack(again)), deviations, pairs,
        )  # fmt: skip

    def _is_baseline(self, point: int) -> bool:
        return self._grid.runs[point].activation.label == self._protocol.baseline

    def _at_equal_time(self) -> list[Run]:
        """As many runs as equal time may add: their lengths are known after the measurement of costs."""
        others = [point for point in self._points if not self._is_baseline(point)]
        return [self._run(PlannedRun(point, self._rates[0], seed)) for point in others for seed in self._seeds]

    def _deviations(self) -> tuple[int, tuple[float, ...]]:
        """Number of seeds, and the deviation of each activation's paired differences, of the stages that have ended."""
        plans = (self._plan(seeds) for seeds in range(len(self._seeds), FIRST_STAGE - 1, -1))
        plan = next((plan for plan in plans if not plan.due), None)
        if plan is None:
            return 0, ()
        scores = {
            point: [self._score(PlannedRun(point, rate, seed)) for seed, rate in rates.items()]
            for point, rates in plan.chosen.items()
        }
        baseline = next((values for point, values in scores.items() if self._is_baseline(point)), [])
        differences = [
            [a - b for a, b in zip(values, baseline, strict=True)]
            for point, values in scores.items()
            if not self._is_baseline(point)
        ]
        if len(baseline) < FIRST_STAGE:
            return 0, ()
        return len(baseline), tuple(statistics.stdev(values) for values in differences)

    def _score(self, place: PlannedRun) -> float:
        score = self._results[place].row["score"]
        return self._worst if score is None else float(score)
