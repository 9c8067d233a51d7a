"""Each task of a comparison goes on as soon as its own runs have ended, and no order of arrival changes the plan."""

import random
from dataclasses import replace

import pytest

from actbench.commands.planning import prepared_data
from actbench.commands.stages import Schedule, Stages, outcome_of, racing_examples, score_range
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import Outcome
from actbench.experiment.runs import Run
from actbench.training.results import Result, failed_result, missing_result

WORDS = ["architecture=mlp_small,cnn_small", "activation=relu,tanh", "protocol.learning_rates=[0.01,0.1]",
         "protocol.seeds=7", "training.steps=4"]  # fmt: skip


@pytest.fixture
def schedule() -> Schedule:
    grid = compose_grid(WORDS)
    return Schedule(grid, prepared_data(grid.runs))


def ended(run: Run) -> Result:
    """A result that the run alone decides."""
    score = 0.9 - run.settings.optimizer.lr + 0.001 * run.settings.seed
    row = {**missing_result(run, "cpu").row, "status": "finished", "val_score": score, "val_loss": 1 - score}
    return replace(missing_result(run, "cpu"), row=row, error=None)


def test_a_run_that_diverged_has_the_worst_score_of_its_task(schedule: Schedule) -> None:
    run = first_runs(schedule)[0]
    lost = missing_result(run, "cpu")
    assert outcome_of(lost) == Outcome(0.0, float("inf"))
    assert outcome_of(ended(run)) == pytest.approx((0.89, 0.11))
    of_text = replace(run, data=replace(run.data, metric="bits_per_character", classes=64))
    assert outcome_of(replace(lost, run=of_text)) == Outcome(-6.0, float("inf"))
    assert outcome_of(failed_result(run, "no reason", "cpu")) is None


def test_racing_knows_the_number_of_validation_examples_of_accuracies_alone() -> None:
    (settings,) = compose_grid(["dataset=digits"]).runs
    data = prepared_data([settings])[settings.dataset]
    of_text = replace(data, metric="bits_per_character", classes=64)
    assert racing_examples(settings, {settings.dataset: data}) == data.validation_size(settings.dataset.validation)
    assert racing_examples(settings, {settings.dataset: of_text}) is None
    assert score_range(settings, {settings.dataset: data}) == (0.0, 1.0)
    assert score_range(settings, {settings.dataset: of_text}) == (-6.0, 0.0)


def first_runs(schedule: Schedule) -> list[Run]:
    return [run for plan in schedule.plans({}) for run in schedule.due(plan)]


def trained(schedule: Schedule, order: random.Random) -> Stages:
    """All stages, of whose waiting runs any may be the next to end."""
    results: dict[str, Result] = {}
    stages, waiting = Stages(schedule, schedule.plans({}), results), first_runs(schedule)
    while waiting:
        run = waiting.pop(order.randrange(len(waiting)))
        results[run.id] = ended(run)
        waiting += [run for runs, _ in stages.follow([results[run.id]]) for run in runs]
    return stages


def test_a_task_goes_on_while_another_trains(schedule: Schedule) -> None:
    results: dict[str, Result] = {}
    stages = Stages(schedule, schedule.plans({}), results)
    *others, last = [run for run in first_runs(schedule) if run.settings.architecture.name == "cnn"]
    results |= {run.id: ended(run) for run in others}
    assert stages.follow(list(results.values())) == []
    results[last.id] = ended(last)
    ((runs, title),) = stages.follow([results[last.id]])
    assert {run.settings.architecture.name for run in runs} == {"cnn"}
    assert title == "digits, cnn: learning rate 0.001 added to the grid, seeds 0 to 2"  # the grid grows


def test_no_order_of_arrival_changes_plans_or_their_order(schedule: Schedule) -> None:
    one, *others = [trained(schedule, random.Random(seed)) for seed in range(4)]
    assert all(plan.chosen and not plan.due for plan in one.plans)
    for other in others:
        assert other.plans == one.plans
        assert [run.id for run in other.planned] == [run.id for run in one.planned]


def test_failed_runs_are_tried_once_more_before_the_task_goes_on(schedule: Schedule) -> None:
    results: dict[str, Result] = {}
    stages = Stages(schedule, schedule.plans({}), results)
    mlp = [run for run in first_runs(schedule) if run.settings.architecture.name == "mlp"]
    results |= {run.id: ended(run) for run in mlp[1:]}
    results[mlp[0].id] = failed_result(mlp[0], "no reason", "cpu")
    ((again, title),) = stages.follow(list(results.values()))
    assert [run.id for run in again] == [mlp[0].id]
    assert title == "digits, mlp: failed runs again"
    ((runs, title),) = stages.follow([results[mlp[0].id]])  # it has failed again
    assert mlp[0].id not in {run.id for run in runs}
    assert "failed" not in title
