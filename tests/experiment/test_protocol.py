"""The protocol of a comparison: stages, growth, racing, the choice on the other seeds, failures, refused grids."""

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from actbench.errors import UsageError
from actbench.experiment.choices import choose, keeps_racing, other_seeds
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import (
    Outcome,
    PlannedRun,
    TaskPlan,
    check_grid,
    equal_time_steps,
    learning_rates,
    plan_task,
    stages,
    tasks_of,
)

RATES = (0.01, 0.03, 0.1)
Score = Callable[[PlannedRun], Outcome | None]


def complete(
    points: Sequence[int], score: Score, seeds: int = 9, racing: bool = True, rates: Sequence[float] = RATES
) -> tuple[TaskPlan, list[int]]:
    """The plan once every run that falls due has ended, and how many fell due at a time."""
    outcomes: dict[PlannedRun, Outcome | None] = {}
    rounds = []
    while (plan := plan_task(points, rates, range(seeds), outcomes, racing, 288)).due:
        rounds.append(len(plan.due))
        outcomes |= {run: score(run) for run in plan.due}
    return plan, rounds


def noisy(best: float, spread: float = 0.01) -> Score:
    """Accuracies that fall with the distance to the best rate, with noise by run."""

    def score(run: PlannedRun) -> Outcome:
        noise = random.Random(f"{run}").gauss(0, spread)
        accuracy = 0.95 - 0.1 * abs(math.log10(run.rate / best)) + noise
        return Outcome(round(accuracy * 288) / 288, 1 - accuracy)

    return score


def test_stages_are_of_three_seeds_then_two() -> None:
    assert list(stages(range(9))) == [(0, 1, 2), (3, 4), (5, 6), (7, 8)]
    assert list(stages(range(10)))[-1] == (9,)
    assert list(stages(range(2))) == [(0, 1)]


def test_a_task_has_the_points_that_differ_in_the_activation_alone() -> None:
    grid = compose_grid(["architecture=mlp,cnn", "activation=relu,tanh", "optimizer=sgd,adam"])
    names = [[(run.architecture.name, run.optimizer.name) for run in (grid.runs[i] for i in task)]
             for task in tasks_of(grid.runs)]  # fmt: skip
    assert names == [[pair] * 2 for pair in (("mlp", "sgd"), ("mlp", "adam"), ("cnn", "sgd"), ("cnn", "adam"))]


def test_without_racing_every_rate_has_every_seed() -> None:
    plan, rounds = complete([0, 1], noisy(0.03), racing=False)
    assert rounds == [18, 12, 12, 12]
    assert len(set(plan.planned)) == len(plan.planned) == 2 * 3 * 9
    assert plan.survivors == {0: RATES, 1: RATES}


def test_the_grid_grows_once_for_all_at_an_end_that_any_activation_chose() -> None:
    plan, rounds = complete([0, 1], lambda run: noisy(0.1 if run.point else 0.03, 0.001)(run), racing=False)
    assert {run.rate for run in plan.planned if run.point == 0} == {*RATES, 0.333333}  # 0.1 * 0.1 / 0.03
    assert rounds[:2] == [18, 6]  # the new rate first trains on the seeds of the first stage, for both alike
    both, _ = complete([0, 1], lambda run: noisy(1.0 if run.point else 0.0001)(run), racing=False)
    assert len({run.rate for run in both.planned}) == 5  # one beyond each end, and no further
    single, _ = complete([0], noisy(1.0), rates=(0.1,))
    assert {run.rate for run in single.planned} == {0.1}  # a single rate was asked for


def test_a_rate_that_is_far_behind_gets_no_further_seeds_and_survivors_have_all() -> None:
    plan, _ = complete([0], noisy(0.03, 0.003))
    seeds = {rate: sorted(run.seed for run in plan.planned if run.rate == rate) for rate in RATES}
    assert plan.survivors[0] == (0.03,)
    assert seeds == {0.01: [0, 1, 2], 0.03: list(range(9)), 0.1: [0, 1, 2]}


def test_racing_by_hand() -> None:
    accuracy = np.array([[0.90, 0.92, 0.94], [0.91, 0.90, 0.92], [0.80, 0.84, 0.83]])
    loss = np.zeros((3, 3))
    deficits = accuracy[0] - accuracy[1]
    assert deficits.mean() < 2 * deficits.std(ddof=1) / math.sqrt(3)
    assert keeps_racing(accuracy, loss, 10**9).tolist() == [True, True, False]
    close = np.array([[0.9, 0.9, 0.9], [0.89, 0.89, 0.89]])  # the deviation is 0 by chance
    floor = math.sqrt(0.9 * 0.1 / 288 / 3)
    assert 2 * floor > 0.01
    assert keeps_racing(close, loss[:2], 288).tolist() == [True, True]
    assert keeps_racing(close, loss[:2], 10**6).tolist() == [True, False]
    assert keeps_racing(accuracy[:, :1], loss[:, :1], 288).all()  # one seed has no error


def test_the_floor_of_other_scores_is_the_deviation_pooled_over_the_rates() -> None:
    """The second rate is never better by 0.01 or so: a deviation of 0 by chance must not give it up."""
    score = -np.array([[2.0, 2.0, 2.0], [2.01, 2.01, 2.01], [2.3, 2.32, 2.28], [2.4, 2.41, 2.45]])
    loss = -score
    others = (score[0] - score[1:]).std(1, ddof=1)
    floor = np.sqrt(np.median(np.square(others)))  # of the rates that are not the best
    assert others[0] == pytest.approx(0.0, abs=1e-12)
    assert 0.01 < 2 * floor / math.sqrt(3) < 0.3
    assert keeps_racing(score, loss, None).tolist() == [True, True, False, False]
    alone = score[:2]
    assert keeps_racing(alone, -alone, None).tolist() == [True, False]  # nothing to pool with


def test_a_rate_that_diverged_does_not_keep_the_others_in_the_race() -> None:
    score = np.array([[0.50, 0.51, 0.52], [0.40, 0.42, 0.41], [0.50, 0.51, 0.0]])
    loss = np.where(score > 0, 1 - score, math.inf)
    deviations = (score[0] - score[1:]).std(1, ddof=1)
    assert (score[0] - score[1]).mean() < 2 * np.sqrt(np.square(deviations).mean() / 3)  # a plain mean would keep it
    assert keeps_racing(score, loss, None).tolist() == [True, False, True]
    lost = np.where(np.arange(3) > 1, math.inf, loss)  # at every rate: the floor is 0
    assert keeps_racing(score, lost, None).tolist() == [True, False, True]


def test_scores_below_zero_are_planned_alike() -> None:
    """Bits per character: the same plan as of the same scores higher up."""

    def bits(run: PlannedRun, offset: float = -3.0) -> Outcome:
        outcome = noisy(0.03)(run)
        assert outcome is not None
        return Outcome(outcome.score + offset, outcome.loss)

    plans = []
    for offset in (-3.0, 0.0):
        outcomes: dict[PlannedRun, Outcome | None] = {}
        while (plan := plan_task([0, 1], RATES, range(9), outcomes, True, None)).due:
            outcomes |= {run: bits(run, offset) for run in plan.due}
        plans.append(plan)
    assert plans[0] == plans[1]
    assert plans[0].chosen[0]


def test_each_seed_has_the_rate_that_is_best_on_the_others() -> None:
    accuracy = np.array([[0.9, 0.9, 0.6], [0.8, 0.8, 0.9]])
    loss = np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]])
    by_hand = []
    for seed in range(3):
        means = np.delete(accuracy, seed, axis=1).mean(axis=1)
        by_hand.append(int(means.argmax()))
    assert choose(accuracy, loss, other_seeds(3)).tolist() == by_hand == [1, 1, 0]


def test_of_equal_rates_the_one_with_the_lower_loss_is_chosen_and_a_diverged_run_is_the_worst() -> None:
    plain = np.full((1, 2), 0.5)
    assert choose(np.full((2, 2), 0.9), np.array([[0.3, 0.3], [0.2, 0.2]]), plain).tolist() == [1]
    accuracy, loss = np.array([[1.0, 0.0], [0.6, 0.6]]), np.array([[0.1, math.inf], [9.0, 9.0]])
    assert choose(accuracy, loss, plain).tolist() == [1]
    assert choose(accuracy, loss, other_seeds(2)).tolist() == [1, 0]  # a loss of another seed counts for nothing
    diverged = np.zeros((2, 2))
    assert choose(diverged, np.full((2, 2), math.inf), plain).tolist() == [0]


def test_the_plan_depends_on_outcomes_and_not_on_their_order_or_on_interruptions() -> None:
    expected, _ = complete([0, 1, 2], noisy(0.03))
    for attempt in range(5):
        generator, outcomes = random.Random(attempt), dict[PlannedRun, Outcome | None]()
        while (plan := plan_task([0, 1, 2], RATES, range(9), outcomes, True, 288)).due:
            for run in generator.sample(plan.due, generator.randint(1, len(plan.due))):  # some, in any order
                outcomes[run] = noisy(0.03)(run)
        assert plan == expected


def test_more_seeds_and_another_activation_add_runs_and_change_none() -> None:
    fewer, _ = complete([0, 1], noisy(0.03), seeds=9)
    more, _ = complete([0, 1], noisy(0.03), seeds=13)
    assert set(fewer.planned) < set(more.planned)
    added, _ = complete([0, 1, 2], noisy(0.03), seeds=9)
    assert set(fewer.planned) < set(added.planned)
    assert {point: added.chosen[point] for point in (0, 1)} == fewer.chosen


def test_a_failed_run_takes_its_seed_out_for_all_activations() -> None:
    def score(run: PlannedRun) -> Outcome | None:
        return None if run == PlannedRun(1, 0.03, 4) else noisy(0.03)(run)

    plan, _ = complete([0, 1], score)
    assert sorted(plan.chosen[0]) == sorted(plan.chosen[1]) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_an_activation_that_always_fails_is_given_up_and_takes_no_seed_from_the_others() -> None:
    plan, _ = complete([0, 1], lambda run: None if run.point else noisy(0.03)(run))
    assert len([run for run in plan.planned if run.point == 1]) == 9  # of the first stage
    assert sorted(plan.chosen[0]) == list(range(9))
    assert 1 not in plan.chosen
    nothing, _ = complete([0], lambda run: None)
    assert nothing.chosen == {}


def test_a_rate_that_always_fails_is_given_up_and_takes_no_seed() -> None:
    plan, _ = complete([0, 1], lambda run: None if run.point and run.rate > 0.05 else noisy(0.03)(run), racing=False)
    assert plan.survivors == {0: RATES, 1: (0.01, 0.03)}
    assert len([run for run in plan.planned if run.point == 1 and run.rate == 0.1]) == 3
    assert sorted(plan.chosen[0]) == sorted(plan.chosen[1]) == list(range(9))


def test_rates_are_multiples_of_the_optimizers_own_unless_named() -> None:
    grid = compose_grid(["optimizer.lr=0.002"])
    assert learning_rates(grid.runs[0], grid.command.protocol) == (0.0002, 0.0006, 0.002, 0.006, 0.02)
    grid = compose_grid(["protocol.learning_rates=[0.5,1]"])
    assert learning_rates(grid.runs[0], grid.command.protocol) == (0.5, 1.0)


def test_steps_at_equal_time_follow_the_ratio_rounded_to_tenths() -> None:
    assert [equal_time_steps(120, ratio) for ratio in (1.04, 0.96, 0.83, 1.27, 0.01)] == [120, 120, 96, 156, 12]
    assert equal_time_steps(0, 0.5) == 0


@pytest.mark.parametrize(
    "line",
    [
        "optimizer.lr=0.1,0.2",
        "seed=0,1",
        "seed=2147483645",
        "protocol.seeds=100000",
        "protocol.learning_rates=[0.1,0.1]",
    ],
)
def test_a_grid_over_what_the_protocol_varies_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match=line.partition("=")[0]):
        check_grid(compose_grid([line]))
