"""`actbench compare`: tunes and confirms by the protocol, measures costs and writes the report."""

import textwrap
from collections.abc import Sequence

import pandas as pd

from actbench.commands.progress import print_runs
from actbench.commands.report import write_reports
from actbench.commands.session import Data, Session, make_request, make_runs, open_session, prepared_data
from actbench.experiment.compose import Grid, compose_grid
from actbench.experiment.protocol import (
    check_grid,
    choose_rate,
    confirming_settings,
    grown_rates,
    learning_rates,
    tuning_settings,
)
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import Run
from actbench.signals import deferred_signals
from actbench.store.files import costs_frame, runs_frame
from actbench.training.cost import measure_step_costs
from actbench.training.results import missing_result


def compare(name: str, overrides: Sequence[str], config_dir: str | None) -> int:
    """Tunes, confirms and reports the experiment `name`. Returns the exit code."""
    from actbench.analysis.hypotheses import check_hypotheses  # its libraries take half a second

    experiment = load_experiment(name)
    grid = compose_grid([*experiment.overrides, *overrides], config_dir)
    check_grid(grid)
    protocol, data = grid.command.protocol, prepared_data(grid.runs)
    tuning = _tuning_runs(grid, data, [learning_rates(settings, protocol) for settings in grid.runs])
    first_runs = [run for runs in tuning for run in runs]
    check_hypotheses(experiment.hypotheses, runs_frame([missing_result(run, "") for run in first_runs]))
    request = make_request("compare", experiment, overrides, grid, first_runs)
    with open_session("compare", request, grid, first_runs, experiment.hypotheses) as session:
        confirming = _confirming_runs(session, grid, data, tuning)
        session.train(confirming, "confirm")
        session.costs = _costs(session, confirming[:: protocol.seeds])
        with deferred_signals():  # files and store first, the terminal last: a closed pipe loses nothing
            session.write_files()
            report = write_reports(session.folder, request)
            stored = session.end(report.note)
    print_runs(report.runs[report.runs["phase"] == "confirm"])
    answers = [textwrap.fill(f"- {line}", 100, subsequent_indent="  ") for line in report.answers]
    print("\n".join(["", *answers, "", f"report: {', '.join(map(str, report.paths))}"]))
    return session.exit_code(stored)


def _tuning_runs(grid: Grid, data: Data, rates: Sequence[Sequence[float]]) -> list[list[Run]]:
    """The tuning runs of each point of the grid at its rates."""
    return [
        make_runs(tuning_settings(settings, grid.command.protocol, own_rates), data, "tune")
        for settings, own_rates in zip(grid.runs, rates, strict=True)
    ]


def _confirming_runs(session: Session, grid: Grid, data: Data, tuning: list[list[Run]]) -> list[Run]:
    """Tunes each point of the grid, again if its grid of rates grows; returns the confirming runs.

    tuning: the first tuning runs of each point.
    """
    protocol = grid.command.protocol
    rows: list[list[dict[str, object]]] = [[] for _ in grid.runs]  # of the tuning runs of each point

    def tune(planned: list[list[Run]], title: str) -> list[float]:
        session.train([run for runs in planned for run in runs], title)
        for rows_of_point, runs in zip(rows, planned, strict=True):
            rows_of_point += [dict(session.results[run.id].row) for run in runs]
        return [choose_rate(rows_of_point) for rows_of_point in rows]

    chosen = tune(tuning, "tune")
    more = grown_rates(grid.runs, protocol, chosen)
    if any(more):
        chosen = tune(_tuning_runs(grid, data, more), "tune beyond the grid's ends")
    return [
        run
        for settings, rate in zip(grid.runs, chosen, strict=True)
        for run in make_runs(confirming_settings(settings, protocol, rate), data, "confirm")
    ]


def _costs(session: Session, runs: Sequence[Run]) -> pd.DataFrame:
    """Returns the costs of each run's activation, from the store or measured now, while nothing trains."""
    stored = session.store.costs({run.id for run in runs})
    if stored is not None:
        return stored
    try:
        costs = costs_frame(session.pool.call(measure_step_costs, runs, session.pool.device))
    except RuntimeError as error:
        print(f"costs could not be measured: {error}", flush=True)
        return costs_frame([])
    medians = costs.drop(columns="round").groupby("run_id").median().to_dict("index")
    with deferred_signals():
        session.parent.add_metrics({str(id): {str(k): float(v) for k, v in row.items()} for id, row in medians.items()})
    return costs
