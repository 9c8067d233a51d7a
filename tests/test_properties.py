"""Properties of run ids, of the protocol and of files that hold for every input, tried on drawn ones."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actbench.data.datasets import PreparedData
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import Outcome, PlannedRun, plan_task
from actbench.experiment.questions import Hypothesis, hypotheses_from_json, hypotheses_to_json
from actbench.experiment.request import Request
from actbench.experiment.runs import make_run
from actbench.store.files import costs_frame, read_costs
from actbench.store.tables import write_table


@pytest.fixture(autouse=True)
def _subnormal_numbers() -> None:
    """A training in this process makes values below 1e-38 count as 0, which hypothesis refuses."""
    torch.set_flush_denormal(False)


# The same examples in each call, so that no run of the suite fails by chance.
FEW = settings(
    max_examples=8, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = settings(FEW, max_examples=30)

# Spellings by key and by what they mean; the first value of each key is its default.
DECIDING: dict[str, dict[str, tuple[str, ...]]] = {
    "activation": {"relu": ("relu", "'relu'"), "gelu": ("gelu",)},
    "architecture.width": {"256": ("256",), "64": ("64",)},
    "optimizer.lr": {"0.001": ("0.001", "1e-3", ".001", "0.0010"), "0.1": ("0.1", "1e-1", ".1", "1E-1", "0.10")},
    "optimizer.weight_decay": {"0": ("0.0", "0", "0e0", ".0"), "0.01": ("0.01", "1e-2", ".01")},
    "training.dropout": {"0": ("0.0", "0", ".0", "0e5"), "0.2": ("0.2", "2e-1", ".2")},
    "training.clip_norm": {"null": ("null", "Null", "NULL"), "1": ("1", "1.0", "1e0")},
    "training.evaluate_every": {"null": ("null",), "7": ("7",)},
    "training.warmup": {"null": ("null", "0.05", "5e-2"), "0": ("0", "0.0")},  # of schedule=cosine
    "training.augment": {"false": ("false", "False"), "true": ("true", "TRUE")},
    "dataset.normalize": {"channel": ("channel",), "pixel": ("pixel", '"pixel"')},
    "seed": {"0": ("0",), "1": ("1",)},
}
NOT_DECIDING = (
    "execution.workers=1", "execution.device=cpu", "store.uri=sqlite:///other.db", "store.save_weights=last",
    "store.system_metrics=true", "protocol.seeds=3", "protocol.margin=0.02", "protocol.racing=false",
    "protocol.learning_rates=[0.1,0.2]", "training.stack_size=3", "dataset.download=false", "dataset.root=/elsewhere",
)  # fmt: skip


@cache
def run_id(lines: tuple[str, ...], data: PreparedData) -> str:
    (point,) = compose_grid(["training.epochs=2", *lines]).runs
    return make_run(point, data, "sweep").id


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, str]:
    """What a run means: the keys that are not at their default, with their values."""
    keys = draw(st.sets(st.sampled_from(sorted(DECIDING)), max_size=4))
    return {key: list(DECIDING[key])[1] for key in keys}


@st.composite
def spelled(draw: st.DrawFn, configuration: dict[str, str]) -> tuple[str, ...]:
    """One of the command lines that mean a configuration."""
    defaults = draw(st.sets(st.sampled_from(sorted(DECIDING)), max_size=3)) - configuration.keys()
    meant = configuration | {key: next(iter(DECIDING[key])) for key in sorted(defaults)}
    lines = [f"{key}={draw(st.sampled_from(DECIDING[key][value]))}" for key, value in sorted(meant.items())]
    lines += draw(st.lists(st.sampled_from(NOT_DECIDING), max_size=3, unique=True))
    lines += draw(st.sampled_from([[], ["training.steps=36"]]))  # two epochs of 1,150 examples in batches of 64
    return tuple(draw(st.permutations(lines)))


@FEW
@given(data=st.data())
def test_equal_configurations_have_one_id_however_they_are_written(digits: PreparedData, data: st.DataObject) -> None:
    configuration = data.draw(configurations())
    first, second = data.draw(spelled(configuration)), data.draw(spelled(configuration))
    assert run_id(first, digits) == run_id(second, digits)


@FEW
@given(data=st.data())
def test_configurations_that_differ_in_a_deciding_value_have_different_ids(
    digits: PreparedData, data: st.DataObject
) -> None:
    one, other = data.draw(configurations()), data.draw(configurations())
    changed = data.draw(st.sampled_from(sorted(DECIDING)))
    if one == other:
        other = {key: value for key, value in one.items() if key != changed}
        one = one | {changed: list(DECIDING[changed])[1]}
    assert run_id(data.draw(spelled(one)), digits) != run_id(data.draw(spelled(other)), digits)


@pytest.mark.parametrize("key", sorted(DECIDING))
def test_each_deciding_value_moves_the_id(key: str, digits: PreparedData) -> None:
    default, changed = (run_id((f"{key}={spellings[0]}",), digits) for spellings in DECIDING[key].values())
    assert default == run_id((), digits)
    assert changed != default


def test_no_other_setting_moves_the_id(digits: PreparedData) -> None:
    assert run_id(NOT_DECIDING, digits) == run_id((), digits)


RATES = (0.01, 0.03, 0.1)


def outcome(world: int, run: PlannedRun) -> Outcome | None:
    """The outcome of a run in one of many worlds: some runs fail, some diverge, many accuracies are equal."""
    drawn = random.Random(f"{world} {run}")
    if drawn.random() < 0.08:
        return None
    if drawn.random() < 0.05:
        return Outcome(0.0, float("inf"))
    level = 0.9 - 0.1 * abs(RATES.index(run.rate) - run.point % 3) if run.rate in RATES else 0.5
    return Outcome(round(level + drawn.gauss(0, 0.03), 2), drawn.random())


@MANY
@given(
    world=st.integers(0, 10**6),
    order=st.randoms(use_true_random=False),
    points=st.integers(1, 4),
    seeds=st.integers(1, 9),
    racing=st.booleans(),
)
def test_the_plan_is_the_same_in_any_order_and_with_any_interruption(
    world: int, order: random.Random, points: int, seeds: int, racing: bool
) -> None:
    def ask(outcomes: dict[PlannedRun, Outcome | None]) -> Any:
        return plan_task(range(points), RATES, range(seeds), outcomes, racing, 288)

    at_once: dict[PlannedRun, Outcome | None] = {}
    while due := ask(at_once).due:
        at_once |= {run: outcome(world, run) for run in due}
    expected = ask(at_once)

    piecemeal: dict[PlannedRun, Outcome | None] = {}
    while (plan := ask(piecemeal)).due:
        assert ask(piecemeal) == plan
        assert set(plan.planned) <= set(expected.planned)  # nothing is trained that the plan would not have
        assert not plan.chosen
        arrived = order.sample(plan.due, order.randint(1, len(plan.due)))
        piecemeal = {
            run: outcome(world, run) for run in order.sample([*piecemeal, *arrived], len(piecemeal) + len(arrived))
        }
    assert plan == expected
    assert set(piecemeal) == set(expected.planned)
    assert all(rate in plan.survivors[point] for point, rates in plan.chosen.items() for rate in rates.values())


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(str.strip)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SELECTOR = st.dictionaries(TEXT, TEXT | NUMBER, min_size=1, max_size=3)


@MANY
@given(
    claim=TEXT, metric=TEXT, a=SELECTOR, b=NUMBER | SELECTOR, margin=st.floats(0, 1e9),
    direction=st.sampled_from(["higher", "lower", "equal"]),
)  # fmt: skip
def test_hypotheses_are_the_same_after_a_round_trip_through_json(**keys: Any) -> None:
    hypothesis = Hypothesis(**keys)
    assert hypotheses_from_json(hypotheses_to_json([hypothesis, hypothesis])) == (hypothesis, hypothesis)


@MANY
@given(
    texts=st.lists(TEXT, min_size=5, max_size=5),
    margin=st.floats(0, 1, exclude_max=True),
    targets=st.lists(st.floats(0, 1), max_size=4),
    sizes=st.dictionaries(st.sampled_from(["digits", "mnist", "image_folder"]), st.integers(1, 10**6)),
    losses=st.lists(st.floats(0, 1e9), max_size=4),
    margins=st.dictionaries(st.sampled_from(["r2", "bits_per_character"]), st.floats(0, 1)),
    worst=st.dictionaries(st.sampled_from(["shakespeare", "text"]), st.floats(-20, 0)),
)
def test_a_request_is_the_same_after_a_round_trip_through_tags(
    texts: list[str], margin: float, targets: list[float], sizes: dict[str, int], losses: list[float],
    margins: dict[str, float], worst: dict[str, float],
) -> None:  # fmt: skip
    experiment, question, command, overrides, baseline = texts
    request = Request(
        experiment,
        question,
        command,
        overrides,
        baseline,
        margin,
        targets=tuple(targets),
        versions={"torch": "2"},
        test_sizes=sizes,
        target_losses=tuple(losses),
        margins=margins,
        worst=worst,
    )
    assert Request.from_tags(request.to_tags()) == request


@MANY
@given(numbers=st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=5))
def test_numbers_are_the_same_to_the_last_bit_after_a_round_trip_through_csv(
    numbers: list[tuple[float, float, float]], tmp_path: Path
) -> None:
    costs = costs_frame([(f"{place:012x}", place, *row) for place, row in enumerate(numbers)])
    write_table(tmp_path / "costs.csv", costs)
    read = read_costs(tmp_path / "costs.csv")
    assert read is not None
    assert read.equals(costs)
