"""What is measured, against what theory says it must be."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch

from actbench.activations.gain import gain
from actbench.activations.load import load_activation
from actbench.data.batches import Batches
from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import RunSettings
from actbench.training.loop import train
from actbench.training.results import Result, results_of_stack
from actbench.training.stacks import Stack

Configs = Callable[..., list[RunSettings]]


@pytest.fixture(scope="module")
def measured(configs: Configs, digits: PreparedData, digits_data: ImageData) -> Callable[..., list[Result]]:
    """Overrides to the results of their runs, trained in one stack an activation."""

    def measure(*overrides: str) -> list[Result]:
        runs = [make_run(point, digits, "sweep") for point in configs(*overrides)]
        found = []
        for label in dict.fromkeys(run.settings.activation.label for run in runs):
            found += stacked([run for run in runs if run.settings.activation.label == label], digits_data)
        return found

    return measure


def stacked(runs: Sequence[Run], data: ImageData) -> list[Result]:
    return results_of_stack(runs, train(Stack(tuple(runs)), data, torch.device("cpu")), "cpu")


Measured = Callable[..., list[Result]]


@pytest.mark.parametrize("architecture", ["mlp_small", "cnn_small", "transformer_small"])
def test_relu_leaky_relu_of_slope_0_and_a_prelu_frozen_at_0_are_the_same(architecture: str, measured: Measured) -> None:
    keys = (f"architecture={architecture}", "training.steps=30", "training.measure_every=10")
    (relu,) = measured(*keys, "activation=relu")
    (leaky,) = measured(*keys, "activation=leaky_relu", "activation.slope=0")
    (prelu,) = measured(*keys, "activation=custom", "activation.function=tests.own_activations:ZeroPReLU")
    assert {"dead_fraction", "gradient_ratio"} <= set(relu.curves)
    assert "unit_std" in relu.layers[0]
    assert "gradient_norm" in relu.layers[1]
    assert relu.curves == leaky.curves == prelu.curves
    assert relu.layers == leaky.layers == prelu.layers


def test_half_of_relus_outputs_are_zero_in_every_layer_of_an_initialised_network(measured: Measured) -> None:
    found = measured("architecture.depth=4", "architecture.width=256", "training.steps=0", "seed=range(0,20)")
    for layer in range(4):
        shares = torch.tensor([result.layers[layer]["zero_share"][0][1] for result in found])
        assert shares.mean().item() == pytest.approx(0.5, abs=3 * (shares.std() / len(shares) ** 0.5).item())


def test_scale_of_the_weights_changes_no_relu_units_sign(measured: Measured) -> None:
    he, glorot = measured("initialization=he,glorot", "architecture.depth=6", "architecture.width=32",
                          "training.steps=0", "training.probe_size=50")  # fmt: skip
    assert he.row["dead_fraction"] is not None
    assert float(he.row["dead_fraction"]) > 0
    for metric in ("dead_fraction", "silent_fraction", "zero_share"):
        pairs = [(he.curves, glorot.curves), *((he.layers[layer], glorot.layers[layer]) for layer in range(6))]
        for first, second in pairs:
            ((_, value),), ((_, other),) = first[metric], second[metric]
            assert value == pytest.approx(other, abs=1e-4)  # rounding may move a sign at 0
    assert he.layers[5]["unit_std"][0][1] > 2 * glorot.layers[5]["unit_std"][0][1]


def test_share_of_networks_initialised_with_a_dead_layer(measured: Measured) -> None:
    """1 - (1 - 2^-N)^L of N units in L layers with zero biases, seen through one example."""
    found = measured("architecture.width=3", "architecture.depth=10", "training.steps=0", "training.probe_size=1",
                     "seed=range(0,500)")  # fmt: skip
    share = sum(int(result.row["dead_layers"] or 0) > 0 for result in found) / 500
    expected = 1 - (1 - 2**-3) ** 10
    assert share == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / 500))


DEPTH = ("architecture.depth=30", "architecture.width=1000", "training.steps=0", "training.probe_size=128")


@pytest.mark.parametrize(("initialization", "chi"), [("he", 1), ("glorot", 1 / 2), ("torch", 1 / 6)])
def test_gradient_ratio_of_a_deep_relu_network_is_that_of_mean_field_theory(
    initialization: str, chi: float, measured: Measured
) -> None:
    """Poole et al. 2016; Schoenholz et al. 2017: each layer scales the mean squared gradient by chi."""
    (found,) = measured(f"initialization={initialization}", *DEPTH)
    expected = 29 * math.log10(chi)
    assert found.row["gradient_ratio"] == pytest.approx(expected, abs=max(0.3, 0.05 * abs(expected)))


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize("initialization", ["matched", "glorot"])
def test_gradient_ratio_of_deep_smooth_networks_is_the_product_of_chi_along_the_depth(
    activation: str, initialization: str, measured: Measured, digits: PreparedData, digits_data: ImageData
) -> None:
    """chi = sigma_w^2 E[f'(sqrt(q) z)^2] depends on the variance q of the pre-activations, which each layer maps on."""
    applied = load_activation(activation)
    weight_variance = gain(applied, 1000) ** 2 if initialization == "matched" else 1.0  # times fan_in
    z = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])

    def moments(function: Callable[..., torch.Tensor], variances: torch.Tensor) -> torch.Tensor:
        values = function((variances.sqrt().unsqueeze(1) * z).unsqueeze(0), {}).detach()
        return weight_variance * (values[0].square() * density).sum(1)

    batches = Batches(digits_data, [0], digits.validation_size(0.2), 64, "channel", False, torch.device("cpu"))
    variances = batches.validation(0, 128)[0].double().square().mean((0, 2, 3, 4))  # of the first layer, by example
    if initialization == "glorot":
        variances = variances * 2 * 64 / (64 + 1000)
    product = torch.ones_like(variances)
    for _ in range(29):
        product, variances = product * moments(applied.derivative, variances), moments(applied.forward, variances)
    expected = math.log10(product.mean())
    (found,) = measured(f"initialization={initialization}", f"activation={activation}", *DEPTH)
    assert found.row["gradient_ratio"] == pytest.approx(expected, abs=max(0.3, 0.05 * abs(expected)))
