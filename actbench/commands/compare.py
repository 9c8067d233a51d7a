"""`actbench compare`: trains by the protocol, measures costs and writes the report."""

from collections.abc import Iterable, Sequence

from actbench.commands.opening import open_session
from actbench.commands.outlook import fewest_and_most
from actbench.commands.planning import check_experiment, make_request, prepared_data
from actbench.commands.report import write_reports
from actbench.commands.session import Ended, Session
from actbench.commands.stages import Schedule, Stages, describe
from actbench.commands.step_costs import step_costs
from actbench.commands.terminal import print_answer, print_next, print_table, print_title
from actbench.experiment.compose import compose_experiment
from actbench.experiment.protocol import FEWEST_SEEDS, TaskPlan, check_grid, equal_time_steps
from actbench.experiment.questions import load_experiment
from actbench.experiment.request import Caller
from actbench.experiment.runs import Run
from actbench.report.formats.blocks import TERMINAL
from actbench.signals import deferred_signals
from actbench.training.results import Mark

# What the end of a comparison needs.
_IMPORTS = ("actbench.analysis.hypotheses", "actbench.report.report", "actbench.commands.summaries")


def compare(
    name: str, overrides: Sequence[str], config_dir: str | None, pairs: bool = False, caller: Caller | None = None
) -> Ended:
    """Trains, tests and reports the experiment `name`. pairs: compare all pairs too. caller: as for `open_session`."""
    experiment = load_experiment(name)
    grid = compose_experiment(experiment, overrides, config_dir)
    check_grid(grid)
    data = prepared_data(grid.runs)
    schedule = Schedule(grid, data)
    plans = schedule.plans({})
    first = [planned for plan in plans for planned in plan.due]
    first_runs = [schedule.run(planned) for planned in first]
    protocol = grid.command.protocol
    check_experiment(experiment, first_runs, protocol.racing)
    if protocol.seeds < FEWEST_SEEDS:
        print(
            f"protocol.seeds={protocol.seeds}: too few for a verdict; take at least {FEWEST_SEEDS}, better 9 or more",
            flush=True,
        )
    request = make_request("compare", experiment, overrides, grid, first_runs, caller)
    with open_session("compare", request, grid, first_runs, experiment.hypotheses, caller=caller) as session:
        if session.forecast is not None:
            session.forecast.remaining = lambda: fewest_and_most(grid, data, schedule.outcomes(session.results))
        session.costs = step_costs(session, [list(schedule.representatives(plan).values()) for plan in plans])
        stages = Stages(schedule, plans, session.results)
        session.imports = _IMPORTS
        session.train(first_runs, f"first stage, {describe(first)}", stages.follow)
        plans = stages.plans
        session.planned = {run.id: run for run in stages.planned}
        session.marks = schedule.marks(plans)
        _store_costs(session, schedule, plans)
        if protocol.equal_time:
            _train_equal_time(session, schedule, plans)
        with deferred_signals():  # files and store first, the terminal last: a closed pipe loses nothing
            session.write_files()
            session.parent.mark_chosen({id for id, mark in session.marks.items() if mark.chosen})
            report = write_reports(session.folder, session.request, pairs=pairs)
            from actbench.commands.summaries import store_summaries  # imports MLflow

            store_summaries(session.parent, report.compared, session.results)
            stored = session.end(report.note)
    answer, *tasks, conditions = map(TERMINAL, report.answers)
    print_answer(answer, tasks, conditions)
    if (verdicts := report.verdicts) is not None:
        print_title(f"Test scores, and verdicts against {protocol.baseline}")
        print_table(verdicts, verdicts=True)
    print_next(session.request.experiment, report.paths, grid.command.store.uri)
    return session.ended(stored)


def _store_costs(session: Session, schedule: Schedule, plans: Iterable[TaskPlan]) -> None:
    """Keeps the costs of activations that have a score, and stores their medians at a run whose score counts."""
    chosen = {
        run.id: schedule.chosen(plan, point)
        for plan in plans
        for point, run in schedule.representatives(plan).items()
        if point in plan.chosen
    }
    session.costs = session.costs[session.costs["run_id"].isin(chosen)].reset_index(drop=True)
    if not session.trained and not session.taken:
        return
    medians = session.costs.drop(columns="round").groupby("run_id").median().to_dict("index")
    with deferred_signals():  # so that views of those runs show the costs
        session.parent.add_metrics({
            chosen[str(id)][0].id: {str(key): float(value) for key, value in row.items()}
            for id, row in medians.items()
            if chosen[str(id)]
        })  # fmt: skip


def _train_failed(session: Session, runs: Sequence[Run]) -> None:
    """Tries those of the runs that failed once more."""
    failed = [run for run in runs if session.results[run.id].error is not None]
    if failed:
        session.train(failed, "failed runs again")


def _train_equal_time(session: Session, schedule: Schedule, plans: Iterable[TaskPlan]) -> None:
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


def _label(schedule: Schedule, point: int) -> str:
    return schedule.grid.runs[point].activation.label
