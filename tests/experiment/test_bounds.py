"""The fewest and the most runs of a comparison enclose what the protocol takes, whatever the outcomes."""

import random

import pytest

from actbench.experiment.bounds import bounds
from actbench.experiment.protocol import Outcome, PlannedRun, plan_task

RATES = (0.01, 0.03, 0.1)


def taken(points: list[int], rates: tuple[float, ...], seeds: int, racing: bool, spread: float, draw: int) -> int:
    """Runs that the protocol takes on random outcomes."""
    outcomes: dict[PlannedRun, Outcome | None] = {}
    while (plan := plan_task(points, rates, range(seeds), outcomes, racing, 288)).due:
        for run in plan.due:
            value = random.Random(f"{run} {draw}").gauss(0.9 - 0.01 * rates.index(min(rates)), spread)
            outcomes[run] = Outcome(min(1.0, value), 1 - value)
    return len(plan.planned)


def test_the_bounds_by_hand() -> None:
    fewest, most = bounds([0, 1], RATES, range(9), {}, True, 288)
    assert len(fewest.planned) == 2 * (3 * 3 + 6)  # all rates on the first three seeds, then one on six more
    assert [len(due) for due in fewest.rounds] == [18, 4, 4, 4]
    assert len(most.planned) == 2 * 5 * 9  # the grid grows at both ends, and no rate is raced out
    assert sum(len(due) for due in most.rounds) == 90


@pytest.mark.parametrize(("rates", "grown"), [((0.1,), (0, 0)), ((0.03, 0.1), (1, 2)), (RATES, (0, 2))])
def test_a_grid_of_one_rate_never_grows_and_one_of_two_always_does(
    rates: tuple[float, ...], grown: tuple[int, int]
) -> None:
    found = bounds([0, 1], rates, range(3), {}, True, 288)
    assert [len(course.planned) for course in found] == [2 * 3 * (len(rates) + more) for more in grown]


@pytest.mark.parametrize("racing", [True, False])
@pytest.mark.parametrize("seeds", [1, 2, 3, 6, 9])
def test_the_protocol_takes_no_fewer_and_no_more(seeds: int, racing: bool) -> None:
    fewest, most = bounds([4, 7, 9], RATES, range(seeds), {}, racing, 288)
    for draw in range(12):
        count = taken([4, 7, 9], RATES, seeds, racing, 0.003 * 3 ** (draw % 4), draw)
        assert len(fewest.planned) <= count <= len(most.planned)


def test_a_comparison_that_goes_on_takes_only_what_is_left() -> None:
    fewest, _ = bounds([0, 1], RATES, range(6), {}, True, 288)
    known = {run: Outcome(float(run.rate == 0.03), 1.0) for run in fewest.planned}
    for course in bounds([0, 1], RATES, range(6), known, True, 288):
        assert course.rounds == ()
        assert set(course.planned) == set(known)
