"""The stages of a comparison: which runs of each task are due, as results arrive."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from actbench.analysis.labels import labelled
from actbench.commands.planning import Data, make_runs
from actbench.experiment.compose import Grid
from actbench.experiment.protocol import Outcome, PlannedRun, TaskPlan, learning_rates, plan_task, tasks_of
from actbench.experiment.runs import Run
from actbench.experiment.schema import RunSettings
from actbench.experiment.scores import METRICS, worst
from actbench.report.numbers import rate
from actbench.store.files import runs_frame
from actbench.training.results import Mark, Result, missing_result

Stage = tuple[Sequence[Run], str]  # runs, and what is printed about them


class Schedule:
    """The runs of a grid by the protocol."""

    def __init__(self, grid: Grid, data: Data) -> None:
        self.grid, self._data = grid, data
        self.tasks = tasks_of(grid.runs)
        self._task_of = {point: task for task, points in enumerate(self.tasks) for point in points}
        self._runs: list[dict[PlannedRun, Run]] = [{} for _ in self.tasks]

    def run(self, planned: PlannedRun) -> Run:
        """The run of a place in the plan; made once, as its id takes a millisecond."""
        runs = self._runs[self._task_of[planned.point]]
        if planned not in runs:
            settings = self.grid.runs[planned.point].at(planned.rate, planned.seed)
            (runs[planned],) = make_runs([settings], self._data, "compare")
        return runs[planned]

    def plans(self, results: Mapping[str, Result]) -> list[TaskPlan]:
        """The plan of each task, from the results by run id."""
        return [self.plan(task, results) for task in range(len(self.tasks))]

    def plan(self, task: int, results: Mapping[str, Result]) -> TaskPlan:
        """The plan of a task, from the results by run id."""
        points, protocol = self.tasks[task], self.grid.command.protocol
        first = self.grid.runs[points[0]]
        validation = racing_examples(first, self._data)
        seeds = range(first.seed, first.seed + protocol.seeds)
        return plan_task(
            points, learning_rates(first, protocol), seeds, self._outcomes(task, results), protocol.racing, validation
        )

    def outcomes(self, results: Mapping[str, Result]) -> dict[PlannedRun, Outcome | None]:
        """What the protocol knows of the runs that have ended. results: by run id."""
        return {
            planned: outcome
            for task in range(len(self.tasks))
            for planned, outcome in self._outcomes(task, results).items()
        }

    def _outcomes(self, task: int, results: Mapping[str, Result]) -> dict[PlannedRun, Outcome | None]:
        runs = self._runs[task]
        return {planned: outcome_of(results[run.id]) for planned, run in runs.items() if run.id in results}

    def due(self, plan: TaskPlan) -> list[Run]:
        """The runs of a plan that are due."""
        return [self.run(planned) for planned in plan.due]

    def marks(self, plans: Iterable[TaskPlan]) -> dict[str, Mark]:
        """By run id, whether its rate was raced out and whether its seed's score is taken from it."""
        return {
            self.run(planned).id: Mark(
                raced_out=planned.rate not in plan.survivors[planned.point],
                chosen=plan.chosen.get(planned.point, {}).get(planned.seed) == planned.rate,
            )
            for plan in plans
            for planned in plan.planned
        }

    def representatives(self, plan: TaskPlan) -> dict[int, Run]:
        """The first run of each point; costs are measured on it."""
        first: dict[int, Run] = {}
        for planned in plan.planned:
            first.setdefault(planned.point, self.run(planned))
        return first

    def chosen(self, plan: TaskPlan, point: int) -> list[Run]:
        """The runs of a point from which its scores are taken, by seed."""
        return [self.run(PlannedRun(point, rate, seed)) for seed, rate in plan.chosen[point].items()]

    def at_steps(self, run: Run, steps: int) -> Run:
        """The run with another number of steps."""
        training = run.settings.training.model_copy(update={"steps": steps})
        (changed,) = make_runs([run.settings.model_copy(update={"training": training})], self._data, "compare")
        return changed


def racing_examples(settings: RunSettings, data: Data) -> int | None:
    """The number of validation examples, where the validation score of a run is the accuracy on them; else None."""
    prepared = data[settings.dataset]
    return prepared.validation_size(settings.dataset.validation) if prepared.metric == "accuracy" else None


def score_range(settings: RunSettings, data: Data) -> tuple[float, float]:
    """The worst and the best score of a run."""
    prepared = data[settings.dataset]
    return worst(prepared.metric, prepared.classes), METRICS[prepared.metric].best


def outcome_of(result: Result) -> Outcome | None:
    """What the protocol knows of a result; None for a run that failed."""
    if result.error is not None:
        return None
    score, loss = result.row["val_score"], result.row["val_loss"]
    if score is None or loss is None:  # diverged
        return Outcome(worst(result.run.data.metric, result.run.data.classes), float("inf"))
    return Outcome(float(score), float(loss))


class Stages:
    """Trains each task stage by stage; a task goes on as soon as its own runs have ended. Failed runs are tried twice.

    plans: of each task, at first without results, then as far as the results reach. results: by run id, as far as they
    have come; the caller adds to it.
    """

    def __init__(self, schedule: Schedule, plans: Sequence[TaskPlan], results: Mapping[str, Result]) -> None:
        self._schedule, self._results = schedule, results
        self.plans = list(plans)
        self._begun: list[list[list[Run]]] = [[schedule.due(plan)] for plan in self.plans]  # the stages of each task
        self._open = [{run.id for run in stage} for (stage,) in self._begun]  # ids of each task's runs without a result
        self._retried = [False] * len(self.plans)  # whether the failed runs of the stage have had their second try
        self._task_of = {id: task for task, ids in enumerate(self._open) for id in ids}
        self._names = list(labelled(runs_frame([missing_result(stage[0], "") for (stage,) in self._begun]))["task"])

    @property
    def planned(self) -> list[Run]:
        """The runs of all stages that have begun: the first stages of all tasks, then the second, and so on."""
        return [
            run for stages in zip_longest(*self._begun, fillvalue=()) for stage in stages for run in stage
        ]  # fmt: skip

    def follow(self, results: Iterable[Result]) -> list[Stage]:
        """What is due now that these results have come, for each task whose stage they complete."""
        tasks = dict.fromkeys(self._task_of[result.run.id] for result in results)
        for result in results:
            self._open[self._task_of[result.run.id]].discard(result.run.id)
        return [stage for task in tasks if not self._open[task] and (stage := self._next(task))]

    def _next(self, task: int) -> Stage | None:
        failed = [run for run in self._begun[task][-1] if self._results[run.id].error is not None]
        if failed and not self._retried[task]:
            self._retried[task] = True
            self._open[task] = {run.id for run in failed}
            return failed, f"{self._names[task]}: failed runs again"
        self._retried[task] = False
        plan = self.plans[task] = self._schedule.plan(task, self._results)
        if not plan.due:
            return None
        due = self._schedule.due(plan)
        self._begun[task].append(due)
        self._open[task] = {run.id for run in due}
        self._task_of |= dict.fromkeys(self._open[task], task)
        due_now = set(plan.due)
        tried = {planned.rate for planned in plan.planned if planned not in due_now}
        new = sorted({planned.rate for planned in plan.due} - tried)
        grown = f"learning rate {', '.join(map(rate, new))} added to the grid, " if new else ""
        return due, f"{self._names[task]}: {grown}{describe(plan.due)}"


def describe(planned: Iterable[PlannedRun]) -> str:
    """The seeds of a stage, in words."""
    seeds = sorted({run.seed for run in planned})
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
