"""The promise that a run's numbers depend on its id alone, and what becomes of runs that diverge."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from actbench.data.batches import Batches
from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.evaluation import evaluation_plan, examples_seen
from actbench.experiment.runs import make_run
from actbench.experiment.schema import RunSettings
from actbench.training.loop import Evaluation, train
from actbench.training.network import Network
from actbench.training.optimizers import StackOptimizer
from actbench.training.probe import observe
from actbench.training.results import CurvePoint, LiveCurves, results_of_stack
from actbench.training.stacks import Stack, pack_stacks
from actbench.training.step import step_gradients
from tests.support import RAGGED, assert_bits_are_those_alone, numbers, results

Configs = Callable[..., list[RunSettings]]
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("mlp", ["architecture.width=21"]),
        ("mlp", ["architecture.width=16", "architecture.norm=batch"]),
        ("cnn", ["architecture.width=5", "architecture.norm=layer", "training.augment=true"]),
        ("transformer", ["architecture.width=12", "architecture.heads=3", "architecture.ffn=3"]),
    ],
)
def test_run_is_bit_identical_in_any_stack(
    architecture: str, more: list[str], configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    points = configs(
        f"architecture={architecture}", "activation=relu,softplus,prelu,rrelu,swish,gelu", "seed=0,3",
        "optimizer.lr=0.001,0.02", "training.clip_norm=1.0", "training.dropout=0.2",
        "architecture.match_parameters=false", *more, *RAGGED,
    )  # fmt: skip
    runs = [make_run(point, digits, "sweep") for point in points]
    assert len(pack_stacks([replace(run, settings=_any_size(run.settings)) for run in runs], "cpu", 1, 0)) == 1
    assert_bits_are_those_alone(runs, digits_data)


def _any_size(settings: RunSettings) -> RunSettings:
    return settings.model_copy(update={"training": settings.training.model_copy(update={"stack_size": 1000})})


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adamw", "rmsprop", "adagrad"])
def test_run_is_bit_identical_in_any_stack_with_every_optimizer(
    optimizer: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    points = configs(f"optimizer={optimizer}", "activation=prelu,tanh", "seed=0,1", "architecture.width=21",
        "architecture.match_parameters=false", *RAGGED)  # fmt: skip
    runs = [make_run(point, digits, "sweep") for point in points]
    together = results(runs, digits_data)
    assert numbers(results([runs[2]], digits_data)[runs[2].id]) == numbers(together[runs[2].id])


@pytest.mark.parametrize("architecture", ["mlp_small", "cnn_small", "transformer_small"])
def test_bf16_is_another_run_and_trains_alone_on_a_cpu(
    architecture: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    """oneDNN rounds a product of bf16 by its place in a batch, now and then."""
    keys = (f"architecture={architecture}", "activation=gelu,prelu", "training.stack_size=4", *RAGGED)
    runs = [make_run(point, digits, "sweep") for point in configs("training.precision=bf16", *keys)]
    full = [make_run(point, digits, "sweep") for point in configs(*keys)]
    assert not {run.id for run in runs} & {run.id for run in full}
    assert {len(stack.runs) for stack in pack_stacks(runs, "cpu", 1, 0)} == {1}
    half, reference = (results([run], digits_data)[run.id].row["train_loss"] for run in (runs[0], full[0]))
    assert half != reference
    assert half == pytest.approx(reference, rel=0.05)


@pytest.mark.parametrize(
    "keys",
    [
        ("architecture=mlp_small", "architecture.width=1", "activation=softsign,silu"),
        ("architecture=mlp_small", "architecture.width=3", "architecture.norm=layer", "activation=dynamic_relu"),
        ("architecture=transformer_small", "architecture.width=2", "architecture.ffn=1", "activation=dynamic_relu"),
        ("architecture=mlp", "activation=geglu", "training.probe_size=1"),
        ("architecture=cnn_small", "architecture.width=7", "activation=dynamic_relu"),
        ("architecture=mlp_small", "architecture.width=5", "activation=star_relu,snake"),
        ("architecture=transformer_small", "architecture.width=6", "architecture.ffn=3", "activation=star_relu"),
    ],
)
def test_run_alone_is_bit_identical_where_a_product_has_one_row_or_column_or_an_odd_width(
    keys: tuple[str, ...], configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    more = ("seed=0,1", "architecture.match_parameters=false", "training.batch_size=50", "training.steps=60")
    runs = [make_run(point, digits, "sweep") for point in configs(*keys, *more)]
    together = results(runs, digits_data)
    for run in runs:
        assert numbers(results([run], digits_data)[run.id]) == numbers(together[run.id])


class _Operations(TorchDispatchMode):
    """Counts the calls of torch's operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(function)] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("architecture", ["mlp", "transformer"])
def test_a_step_calls_the_same_operations_for_any_number_of_runs_and_never_synchronises(
    architecture: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    def asked(seeds: int) -> Counter[str]:
        points = configs(
            f"architecture={architecture}", "architecture.width=64", "activation=gelu,relu", f"seed=range(0,{seeds})",
            "training.augment=false",
        )  # fmt: skip
        stack = Stack(tuple(make_run(point, digits, "sweep") for point in points))
        network = Network(stack, CPU)
        batches = Batches(digits_data, network.seeds, 288, 15, "channel", False, CPU)  # layer norm of more: run by run
        rates = [run.settings.optimizer.lr for run in stack.runs]
        optimizer = StackOptimizer(
            stack.runs[0].settings.optimizer, network.parameters, network.owners, network.weights, rates
        )
        optimizer.step(step_gradients(network, batches, 0, 0.0)[1], 1.0)
        with _Operations() as operations:
            optimizer.step(step_gradients(network, batches, 1, 0.0)[1], 1.0)
        return operations.counts

    few = asked(2)
    assert asked(6) == few
    assert "aten._local_scalar_dense.default" not in few


def test_nothing_is_measured_where_measuring_is_off(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    on, off = configs("architecture=mlp_small", "training.measure_every=null,0", "training.steps=20")
    measured, plain = (results([make_run(p, digits, "sweep")], digits_data).popitem()[1] for p in (on, off))
    assert {"dead_fraction", "gradient_norm", "gradient_ratio"} <= set(measured.curves)
    assert set(plain.curves) == {"train_loss", "val_loss", "val_accuracy"}
    assert plain.row["dead_fraction"] is None
    assert plain.row["dead_layers"] is None
    assert plain.row["test_accuracy"] == measured.row["test_accuracy"]


def test_gated_units_share_a_stack_with_maxout_and_stay_bit_identical(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    points = configs("activation=maxout,geglu,swiglu", "architecture=mlp_small", *RAGGED)
    runs = [make_run(point, digits, "sweep") for point in points]
    together = results(runs, digits_data)
    assert numbers(results([runs[1]], digits_data)[runs[1].id]) == numbers(together[runs[1].id])


def test_diverging_run_is_marked_and_leaves_its_neighbours_untouched(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    points = configs(
        "activation=squared_relu,relu", "optimizer=sgd", "optimizer.lr=0.01,1e6", "architecture=mlp_small", *RAGGED
    )
    runs = [make_run(point, digits, "sweep") for point in points]
    together = results(runs, digits_data)
    calm, wild = together[runs[2].id], together[runs[1].id]
    assert wild.row["status"] == "diverged"
    assert 0 < int(str(wild.row["failed_step"])) < 36
    assert wild.row["test_accuracy"] is None
    assert wild.row["reached_target"] is False
    assert all(step < int(str(wild.row["failed_step"])) for _, _, step, _ in wild.points())
    assert wild.curves["val_accuracy"][0][0] == 0
    assert calm.row["status"] == "finished"
    assert numbers(results([runs[2]], digits_data)[runs[2].id]) == numbers(calm)


def test_zero_steps_measure_the_initialised_network(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    (point,) = configs("training.steps=0", "architecture.width=1000")
    result = results([make_run(point, digits, "sweep")], digits_data).popitem()[1]
    assert result.row["status"] == "finished"
    assert result.row["steps"] == 0
    assert result.row["train_loss"] is None
    assert result.row["auc"] == result.row["val_accuracy"]
    assert {point.step for point in result.points()} == {0}
    # Half of all pre-activations are negative at a symmetric init; inputs with a mean of their own move single units.
    assert result.row["zero_share"] == pytest.approx(0.5, abs=0.03)


def test_curves_hold_step_0_and_the_last_step(configs: Configs, digits: PreparedData, digits_data: ImageData) -> None:
    (point,) = configs("architecture=mlp_small", *RAGGED)
    result = results([make_run(point, digits, "sweep")], digits_data).popitem()[1]
    assert [step for step, _ in result.curves["val_accuracy"]] == [0, 11, 22, 33, 36]
    assert [step for step, _ in result.curves["train_loss"]] == [11, 22, 33, 36]
    assert [step for step, _ in result.curves["dead_fraction"]] == [0, 17, 34, 36]
    assert [step for step, _ in result.curves["gradient_norm"]] == [0, 17, 34, 36]


def test_a_run_is_evaluated_by_plan_and_at_the_end_on_all_validation_examples(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    (point,) = configs("architecture=mlp_small", "training.steps=60", "training.measure_every=0")
    run = make_run(point, digits, "sweep")
    seen: dict[int, Evaluation] = {}
    stack = Stack((run,))
    list(train(stack, digits_data, CPU, lambda step, evaluation, *_: seen.update({step: evaluation})))
    plan = evaluation_plan(None, 60, examples_seen(60, 64, 1150), 288)
    assert tuple(seen) == plan.steps == (0, 4, 15, 34, 60)  # 1,144 // 256 = 4 before the end
    assert plan.part == 256
    assert all(float(seen[step].score * 256).is_integer() for step in plan.steps[:-1])
    assert all(evaluation.comparable * 256 % 1 == 0 for evaluation in seen.values())
    result = results([run], digits_data)[run.id]
    assert [step for step, _ in result.curves["val_accuracy"]] == list(plan.steps)
    assert result.row["val_accuracy"] == seen[60].score.item()
    assert (seen[60].score * 288).item() == pytest.approx(round((seen[60].score * 288).item()), abs=1e-9)


def test_correctness_of_each_test_example_is_kept_where_the_test_set_is_fixed(
    configs: Configs, halves: PreparedData, halves_data: ImageData, digits: PreparedData, digits_data: ImageData
) -> None:
    points = configs("architecture=mlp_small", "activation=relu,tanh", "seed=0,1", "training.steps=20")
    runs = [make_run(point, halves, "sweep") for point in points]
    stack = Stack(tuple(runs))
    networks = []
    records = list(train(stack, halves_data, CPU, lambda step, evaluation, network, batches: networks.append(network)))
    batches = Batches(halves_data, networks[-1].seeds, 288, 64, "channel", False, CPU)
    images, labels = batches.test(0, 359)
    with torch.no_grad():
        right = (networks[-1].forward(images).argmax(-1) == labels).numpy()
    assert 0 < right.sum() < right.size
    for index, result in enumerate(results_of_stack(runs, records, "cpu")):
        assert result.test_correct is not None
        bits = np.unpackbits(np.frombuffer(result.test_correct, dtype=np.uint8), count=359)
        assert bits.tolist() == right[index].tolist()
        assert bits.mean() == result.row["test_accuracy"]
    assert results([make_run(points[0], digits, "sweep")], digits_data).popitem()[1].test_correct is None


def test_planted_dead_units_are_counted(configs: Configs, digits: PreparedData, digits_data: ImageData) -> None:
    """k of 64 units with bias -1e6 are dead for ReLU, alive for LeakyReLU; saturated tanh is dead but not dormant."""

    def fractions(activation: str, bias: float, k: int) -> dict[str, float]:
        (point,) = configs(f"activation={activation}", "architecture.depth=1", "architecture.width=64")
        network = Network(Stack((make_run(point, digits, "sweep"),)), CPU)
        with torch.no_grad():
            network.parameters["hidden0.bias"][0, :k] = bias
        batches = Batches(digits_data, [0], 288, 64, "channel", False, CPU)
        return {r.metric: r.values.item() for r in observe(network, batches, 288) if r.layer is None}

    before = fractions("relu", 0.0, 10)["dead_fraction"]
    assert fractions("relu", -1e6, 10)["dead_fraction"] == before + 10 / 64
    assert fractions("relu", -1e6, 10)["silent_fraction"] == before + 10 / 64
    assert fractions("relu", -1e6, 64)["dead_layers"] == 1
    assert fractions("leaky_relu", -1e6, 10)["dead_fraction"] == 0
    assert fractions("tanh", 50.0, 10)["dead_fraction"] == 10 / 64
    assert fractions("tanh", 50.0, 10)["dormant_fraction"] == 0
    assert np.isnan(fractions("relu", float("nan"), 10)["dead_fraction"])


def test_live_curves_are_the_final_ones_as_far_as_the_losses_were_finite(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    """Of a run that diverges nothing is shown that its result leaves out."""
    points = configs("activation=relu,squared_relu", "optimizer=sgd", "optimizer.lr=0.01,30", *RAGGED)
    stack = Stack(tuple(make_run(point, digits, "sweep") for point in points))
    live, shown = LiveCurves(stack.runs), [list[CurvePoint]() for _ in stack.runs]
    records = list(train(stack, digits_data, torch.device("cpu")))
    for place, record in enumerate(records):
        for points_of_run, new in zip(shown, live.certain([record]), strict=True):
            points_of_run += new
        if place == len(records) // 2:
            assert any(point.metric == "val_accuracy" for points_of_run in shown for point in points_of_run)
    statuses = set()
    for points_of_run, result in zip(shown, results_of_stack(stack.runs, records, "cpu"), strict=True):
        statuses.add(result.row["status"])
        last = max(step for step, _ in result.curves["val_accuracy"])  # what is measured at it is not sure yet
        at_it = ("val_loss", "val_accuracy", "train_loss")
        expected = [point for point in result.points() if point.step < last or point.metric in at_it]
        assert sorted(points_of_run, key=by_curve) == sorted(expected, key=by_curve)  # in order of steps
    assert statuses == {"finished", "diverged"}


def by_curve(point: CurvePoint) -> tuple[bool, int, str]:
    return point.layer is not None, point.layer or 0, point.metric
