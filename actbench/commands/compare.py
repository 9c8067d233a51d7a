"""`actbench compare`: trains by the protocol, measures costs and writes the report."""

import contextlib
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from actbench.commands.outlook import fewest_and_most, outcome_of
from actbench.commands.planning import Data, make_request, make_runs, prepared_data
from actbench.commands.report import write_reports
from actbench.commands.session import Session, open_session
from actbench.commands.summaries import store_summaries
from actbench.errors import UsageError
from actbench.experiment.compose import Grid, compose_grid
from actbench.experiment.protocol import (
    FEWEST_SEEDS,
    Outcome,
    PlannedRun,
    TaskPlan,
    check_grid,
    equal_time_steps,
    learning_rates,
    plan_task,
    tasks_of,
)
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import Run
from actbench.report.formats.blocks import TERMINAL
from actbench.signals import deferred_signals
from actbench.store.files import COSTS, costs_frame, read_costs, runs_frame
from actbench.store.folder import existing_folder
from actbench.store.tables import write_table
from actbench.training.cost import measure_step_costs
from actbench.training.results import Mark, Result, missing_result


def compare(name: str, overrides: Sequence[str], config_dir: str | None, pairs: bool = False) -> int:
    """Trains, tests and reports the experiment `name`. pairs: also compare all pairs. Returns the exit code."""
    from actbench.analysis.check import check_hypotheses  # its libraries take half a second

    experiment = load_experiment(name)
    grid = compose_grid([*experiment.overrides, *overrides], config_dir)
    check_grid(grid)
    data = prepared_data(grid.runs)
    schedule = _Schedule(grid, data)
    first_runs = schedule.due(schedule.plans({}))
    protocol = grid.command.protocol
    planned = runs_frame([missing_result(run, "") for run in first_runs])
    check_hypotheses(experiment.hypotheses, planned, protocol.racing)
    if protocol.seeds < FEWEST_SEEDS:
        print(
            f"protocol.seeds={protocol.seeds}: too few for a verdict; take at least {FEWEST_SEEDS}, better 9 or more",
            flush=True,
        )
    request = make_request("compare", experiment, overrides, grid, first_runs)
    with open_session("compare", request, grid, first_runs, experiment.hypotheses) as session:
        if session.forecast is not None:
            session.forecast.remaining = lambda: fewest_and_most(grid, data, schedule.outcomes(session.results))
        plans = _train_stages(session, schedule)
        session.marks = schedule.marks(plans)
        session.costs = _costs(session, schedule, plans)
        if protocol.equal_time:
            _train_equal_time(session, schedule, plans)
        with deferred_signals():  # files and store first, the terminal last: a closed pipe loses nothing
            session.write_files()
            session.parent.mark_chosen({id for id, mark in session.marks.items() if mark.chosen})
            report = write_reports(session.folder, request, pairs=pairs)
            store_summaries(session.parent, report.compared, session.results)
            stored = session.end(report.note)
    answer, *tasks, conditions = map(TERMINAL, report.answers)
    lines = [answer, *(f"- {line}" for line in tasks), conditions]
    print("\n".join(["", *(textwrap.fill(line, 100, subsequent_indent="  ") for line in lines), ""]))
    print(f"report: {', '.join(map(str, report.paths))}")
    return session.exit_code(stored)


class _Schedule:
    """The runs of a grid by the protocol."""

    def __init__(self, grid: Grid, data: Data) -> None:
        self.grid, self._data = grid, data
        self._runs: dict[PlannedRun, Run] = {}

    def run(self, planned: PlannedRun) -> Run:
        """The run of a place in the plan; made once, as its id takes a millisecond."""
        if planned not in self._runs:
            settings = self.grid.runs[planned.point].at(planned.rate, planned.seed)
            (self._runs[planned],) = make_runs([settings], self._data, "compare")
        return self._runs[planned]

    def outcomes(self, results: Mapping[str, Result]) -> dict[PlannedRun, Outcome | None]:
        """What the protocol knows of the runs that have ended. results: by run id."""
        return {planned: outcome_of(results[run.id]) for planned, run in self._runs.items() if run.id in results}

    def plans(self, results: Mapping[str, Result]) -> list[TaskPlan]:
        """The plan of each task, from the results by run id."""
        protocol = self.grid.command.protocol
        outcomes = self.outcomes(results)
        plans = []
        for points in tasks_of(self.grid.runs):
            first = self.grid.runs[points[0]]
            validation = self._data[first.dataset].validation_size(first.dataset.validation)
            seeds = range(first.seed, first.seed + protocol.seeds)
            rates = learning_rates(first, protocol)
            plans.append(plan_task(points, rates, seeds, outcomes, protocol.racing, validation))
        return plans

    def due(self, plans: Iterable[TaskPlan]) -> list[Run]:
        """The runs that are due."""
        return [self.run(planned) for plan in plans for planned in plan.due]

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
        """The first run of each point whose runs have not all failed; costs are measured on it."""
        first: dict[int, Run] = {}
        for planned in plan.planned:
            if planned.point in plan.chosen:
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


def _train_stages(session: Session, schedule: _Schedule) -> list[TaskPlan]:
    """Trains what is due until nothing is; returns the complete plans. Runs that fail are tried twice."""
    number = 0
    while due := schedule.due(plans := schedule.plans(session.results)):
        number += 1
        seeds = [run.settings.seed for run in due]
        rates = {(place.point, place.rate) for plan in plans for place in plan.due}
        session.train(due, f"round {number}, seeds {min(seeds)} to {max(seeds)}, {len(rates)} rates")
        _train_failed(session, due)
    return plans


def _train_failed(session: Session, runs: Sequence[Run]) -> None:
    """Tries those of the runs that failed once more."""
    failed = [run for run in runs if session.results[run.id].error is not None]
    if failed:
        session.train(failed, "failed runs again")


def _costs(session: Session, schedule: _Schedule, plans: Iterable[TaskPlan]) -> pd.DataFrame:
    """Returns the costs of each activation, from the store or measured now, while nothing trains."""
    runs, measured = [], {}  # chosen runs by the id of the run that is measured
    for plan in plans:
        for point, run in schedule.representatives(plan).items():
            runs.append(run)
            measured[run.id] = schedule.chosen(plan, point)
    for read in (lambda: session.store.costs(set(measured)), lambda: read_costs(session.folder / COSTS)):
        with contextlib.suppress(UsageError):  # damaged: costs are measured again
            known = read()
            if known is not None and set(measured) <= set(known["run_id"]):
                return known[known["run_id"].isin(measured)].reset_index(drop=True)
    costs = costs_frame(_measured_costs(session, runs))
    if costs.empty:
        return costs
    folder = existing_folder(session.folder)
    write_table(folder / COSTS, costs)  # at once: a killed command that goes on keeps the ratios of costs
    medians = costs.drop(columns="round").groupby("run_id").median().to_dict("index")
    with deferred_signals():  # at a run whose score counts, so that views of those show the costs
        session.parent.add_metrics({
            measured[str(id)][0].id: {str(k): float(v) for k, v in row.items()}
            for id, row in medians.items()
            if measured[str(id)]
        })  # fmt: skip
    return costs


def _measured_costs(session: Session, runs: Sequence[Run]) -> list[tuple[str, int, float, float, float]]:
    """The rows of `measure_step_costs`; runs that fail in it are named, and the others measured without them."""
    pool = session.pool
    with contextlib.suppress(RuntimeError):
        return list(pool.call(measure_step_costs, runs, pool.device))
    rows, kept = [], []
    for run in runs:
        try:
            rows = pool.call(measure_step_costs, [run], pool.device)
            kept.append(run)
        except RuntimeError as error:
            name, place = run.settings.activation.label, run.settings.architecture.name
            print(f"costs of {name} in {place} could not be measured: {error}", flush=True)
    if len(kept) > 1:
        try:
            rows = pool.call(measure_step_costs, kept, pool.device)
        except RuntimeError as error:
            print(f"costs could not be measured: {error}", flush=True)
            return []
    return list(rows) if kept else []


def _train_equal_time(session: Session, schedule: _Schedule, plans: Iterable[TaskPlan]) -> None:
    """Retrains the chosen runs for the steps that take as long as the baseline's, where these are not the same."""
    step_ns = session.costs.groupby("run_id")["step_ns"].median()
    stands_for: dict[str, Run] = {}  # the run of the usual length, by run id
    retrained: list[Run] = []
    for plan in plans:
        runs = schedule.representatives(plan)
        costs = {point: float(step_ns[run.id]) for point, run in runs.items() if run.id in step_ns}
        baselines = [point for point in costs if _label(schedule, point) == schedule.grid.command.protocol.baseline]
        if not baselines:
            continue
        for point, cost in costs.items():
            for run in schedule.chosen(plan, point):
                steps = equal_time_steps(run.steps, costs[baselines[0]] / cost)
                if steps != run.steps:
                    changed = schedule.at_steps(run, steps)
                    retrained.append(changed)
                    stands_for[changed.id] = run
    session.train(retrained, "equal time")
    _train_failed(session, retrained)
    session.marks |= {id: Mark(equal_time_of=run) for id, run in stands_for.items()}


def _label(schedule: _Schedule, point: int) -> str:
    return schedule.grid.runs[point].activation.label
