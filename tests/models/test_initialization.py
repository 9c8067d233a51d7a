"""Scales, shared draws and orthogonality of the initial weights."""

import math
from typing import get_args

import pytest
import torch

from actbench.activations.bound import BoundActivation
from actbench.activations.load import load_activation
from actbench.experiment.schema import InitializationSettings
from actbench.models.initialization import initialize
from actbench.models.parameters import Parameter

RELU, GELU = load_activation("relu"), load_activation("gelu")
HIDDEN = {"w": Parameter((400, 300), "weight", 400, 300, activated=400)}
FIRST = {"w": Parameter((400, 300), "weight", 400, 300)}


def deviation(name: str, parameters: dict[str, Parameter], activation: BoundActivation = RELU) -> float:
    return float(initialize(name, parameters, activation, 0)["w"].std())


def test_standard_deviations_follow_the_table() -> None:
    assert deviation("matched", FIRST) == pytest.approx(1 / 20, rel=0.01)
    assert deviation("matched", HIDDEN) == pytest.approx(math.sqrt(2) / 20, rel=0.01)
    assert deviation("matched", HIDDEN, GELU) == pytest.approx(1.533530 / 20, rel=0.01)
    assert deviation("he", HIDDEN, GELU) == pytest.approx(math.sqrt(2 / 400), rel=0.01)
    assert deviation("glorot", HIDDEN) == pytest.approx(math.sqrt(2 / 700), rel=0.01)
    assert deviation("torch", HIDDEN) == pytest.approx(1 / math.sqrt(3 * 400), rel=0.01)
    assert deviation("orthogonal", HIDDEN) == pytest.approx(math.sqrt(2) / 20, rel=0.01)


def test_torch_is_what_torch_nn_linear_does() -> None:
    weights = initialize("torch", HIDDEN, RELU, 0)["w"]
    linear = torch.nn.Linear(400, 300).weight
    assert weights.abs().max().item() == pytest.approx(1 / 20, rel=0.01)
    assert weights.abs().max().item() == pytest.approx(linear.abs().max().item(), rel=0.01)


def test_equal_seeds_give_the_same_draws_scaled() -> None:
    reference = initialize("matched", HIDDEN, RELU, 3)["w"]
    for name in ("matched", "he", "glorot"):
        ratio = initialize(name, HIDDEN, GELU, 3)["w"] / reference
        assert torch.allclose(ratio, ratio[0, 0], rtol=1e-5)
    assert not torch.allclose(initialize("matched", HIDDEN, RELU, 4)["w"], reference)


@pytest.mark.parametrize("shape", [(400, 300), (300, 400)])
def test_orthogonal_weights_are_orthogonal(shape: tuple[int, int]) -> None:
    w = initialize("orthogonal", {"w": Parameter(shape, "weight", *shape)}, RELU, 0)["w"]
    small = w.T @ w if shape[0] > shape[1] else w @ w.T * shape[0] / shape[1]
    assert torch.allclose(small, torch.eye(300), atol=1e-5)
    assert w.square().sum(0).mean().item() == pytest.approx(1, rel=1e-4)


def test_orthogonal_convolutions_are_orthogonal_over_fan_in() -> None:
    w = initialize("orthogonal", {"w": Parameter((8, 4, 3, 3), "weight", 36, 72)}, RELU, 0)["w"].flatten(1)
    assert torch.allclose(w @ w.T, torch.eye(8), atol=1e-5)


@pytest.mark.parametrize("name", get_args(InitializationSettings.model_fields["name"].annotation))
def test_biases_start_at_zero_except_with_torch(name: str) -> None:
    bias = initialize(name, {"b": Parameter((50,), "bias", 25, constant=0.0)}, RELU, 0)["b"]
    assert bool((bias == 0).all()) == (name != "torch")
    assert bias.abs().max() <= 1 / 5
