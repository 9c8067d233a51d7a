"""The evaluations of a run stay in proportion to its training."""

import itertools

import pytest

from actbench.experiment.evaluation import EvaluationPlan, evaluation_plan, examples_seen, measurement_interval

SHAPES = list(itertools.product(
    (0, 1, 2, 3, 5, 10, 36, 120, 844, 9_380, 100_000),  # steps
    (1, 2, 15, 64, 1_000, 100_000),  # batch sizes
    ((2, 1), (60, 5), (1_150, 288), (48_000, 12_000), (1_000_000, 100)),  # training and validation examples
))  # fmt: skip


def test_evaluations_before_the_end_pass_at_most_a_tenth_of_what_training_does() -> None:
    for steps, batch_size, (examples, validation) in SHAPES:
        seen = examples_seen(steps, batch_size, examples)
        plan = evaluation_plan(None, steps, seen, validation)
        before = plan.steps[:-1]
        assert 10 * len(before) * plan.part <= 3 * seen
        assert len(before) <= 20
        assert plan.part <= min(validation, 1024)


def test_evaluations_begin_at_step_0_increase_and_end_with_the_run() -> None:
    for steps, batch_size, (examples, validation) in SHAPES:
        seen = examples_seen(steps, batch_size, examples)
        plan = evaluation_plan(None, steps, seen, validation)
        assert list(plan.steps) == sorted(set(plan.steps))
        assert plan.steps[-1] == steps
        assert plan.steps[0] == 0 or 3 * seen < 10  # not even one example is a tenth


def test_evaluations_are_dense_early_and_sparse_late() -> None:
    plan = evaluation_plan(None, 8_440, 8_440 * 64, 12_000)
    gaps = [b - a for a, b in itertools.pairwise(plan.steps)]
    assert plan.part == 1024
    assert len(gaps) == 20
    assert gaps == sorted(gaps)
    assert plan.steps[:4] == (0, 21, 84, 190)  # 8,440 * (k / 20)^2 = 21.1, 84.4, 189.9


def test_a_longer_run_has_more_evaluations_on_more_examples() -> None:
    assert evaluation_plan(None, 2, 128, 288) == EvaluationPlan((0, 2), 38)  # 0.3 * 128 examples
    assert evaluation_plan(None, 10, 1_000, 288) == EvaluationPlan((0, 10), 256)
    nine = (0, 1, 6, 13, 24, 37, 53, 73, 95)  # 2,304 // 256 of them; 120 * (k / 9)^2
    assert evaluation_plan(None, 120, 7_680, 288) == EvaluationPlan((*nine, 120), 256)
    assert evaluation_plan(None, 1_000, 64_000, 12_000).part == 1024


@pytest.mark.parametrize(("steps", "expected"), [(36, (0, 11, 22, 33, 36)), (22, (0, 11, 22)), (5, (0, 5)), (0, (0,))])
def test_an_explicit_interval_wins_and_takes_all_of_validation(steps: int, expected: tuple[int, ...]) -> None:
    assert evaluation_plan(11, steps, 64 * steps, 5_000) == EvaluationPlan(expected, 5_000)


def test_a_run_without_steps_is_evaluated_once() -> None:
    assert evaluation_plan(None, 0, 0, 288).steps == (0,)


def test_the_last_batch_of_an_epoch_counts_with_its_own_size() -> None:
    assert examples_seen(18, 64, 1_150) == 1_150
    assert examples_seen(19, 64, 1_150) == 1_150 + 64
    assert examples_seen(3, 10_000, 1_150) == 3 * 1_150


def test_units_are_measured_at_every_tenth_of_a_run_unless_said() -> None:
    assert [measurement_interval(None, steps) for steps in (0, 5, 10, 11, 100)] == [1, 1, 1, 2, 10]
    assert [measurement_interval(every, 100) for every in (0, 7)] == [0, 7]
