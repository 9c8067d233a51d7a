"""Each architecture against an independent implementation with the same weights, and its parameter counts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor, nn

from actbench.activations.load import load_activation
from actbench.activations.table import TABLE
from actbench.experiment.compose import composed_yaml
from actbench.models.matching import BUILDERS, build_architecture, parameter_count
from actbench.models.mlp import mlp
from actbench.models.parameters import Architecture, Shape
from actbench.training.network import layer_of

KEYS = {
    "mlp": {"depth": 3, "width": 12, "norm": "none"},
    "cnn": {"depth": 4, "width": 6, "kernel": 3, "stages": 2, "norm": "none"},
    "transformer": {"depth": 2, "width": 12, "heads": 3, "ffn": 2, "patch": 4, "norm": "layer"},
}
SHAPE = Shape((18, 20, 3), 5)


def random_parameters(network: Architecture, runs: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(runs, *parameter.shape, generator=generator, dtype=torch.float64).mul(0.3).requires_grad_()
        for name, parameter in network.parameters.items()
    }


def independent_mlp(p: dict[str, Tensor], x: Tensor, norm: str) -> Tensor:
    """By torch.nn's own modules, called with these weights."""
    h, layers = x.flatten(1), 3
    for name in (*(f"hidden{layer}" for layer in range(layers)), "output"):
        weight, bias = p[f"{name}.weight"].T, p[f"{name}.bias"]
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        h = torch.func.functional_call(linear, {"weight": weight, "bias": bias}, (h,))
        if name == "output":
            return h
        if norm != "none":
            own = name.replace("hidden", "norm")
            module = (nn.BatchNorm1d if norm == "batch" else nn.LayerNorm)(h.shape[1], dtype=torch.float64)
            h = torch.func.functional_call(module, {"weight": p[f"{own}.scale"], "bias": p[f"{own}.shift"]}, (h,))
        h = nn.GELU()(h)
    raise AssertionError


def independent_cnn(p: dict[str, Tensor], x: Tensor, norm: str) -> Tensor:
    h = x.permute(0, 3, 1, 2).contiguous()  # torch's own layout
    for layer in range(4):
        h = F.conv2d(h, p[f"hidden{layer}.weight"], p[f"hidden{layer}.bias"], padding="same")
        if norm == "batch":
            h = F.batch_norm(h, None, None, p[f"norm{layer}.scale"], p[f"norm{layer}.shift"], training=True)
        h = F.gelu(h)
        if layer in (1, 3):
            h = F.max_pool2d(h, 2)
    return h.permute(0, 2, 3, 1).flatten(1) @ p["output.weight"] + p["output.bias"]


def independent_transformer(p: dict[str, Tensor], x: Tensor, norm: str) -> Tensor:
    """By torch's convolution, multi-head attention and layer norm."""
    x = F.pad(x.permute(0, 3, 1, 2), (0, 0, 0, 2))
    kernel = p["patch.weight"].view(4, 4, 3, 12).permute(3, 2, 0, 1)
    h = F.conv2d(x, kernel, p["patch.bias"], stride=4).flatten(2).transpose(1, 2) + p["position"]
    for block in range(2):
        name = f"block{block}"
        n = F.layer_norm(h, (12,), p[f"{name}.norm1.scale"], p[f"{name}.norm1.shift"])
        n = n.transpose(0, 1)
        attended, _ = F.multi_head_attention_forward(
            n, n, n, 12, 3, p[f"{name}.qkv.weight"].T, p[f"{name}.qkv.bias"], None, None, False, 0.0,
            p[f"{name}.attention.weight"].T, p[f"{name}.attention.bias"], need_weights=False,
        )  # fmt: skip
        h = h + attended.transpose(0, 1)
        n = F.layer_norm(h, (12,), p[f"{name}.norm2.scale"], p[f"{name}.norm2.shift"])
        h = (
            h
            + F.gelu(n @ p[f"{name}.up.weight"] + p[f"{name}.up.bias"]) @ p[f"{name}.down.weight"]
            + p[f"{name}.down.bias"]
        )
    h = F.layer_norm(h, (12,), p["norm.scale"], p["norm.shift"])
    return h.mean(1) @ p["output.weight"] + p["output.bias"]


@pytest.mark.parametrize(
    ("name", "norm", "independent"),
    [
        ("mlp", "none", independent_mlp), ("mlp", "batch", independent_mlp), ("mlp", "layer", independent_mlp),
        ("cnn", "none", independent_cnn), ("cnn", "batch", independent_cnn),
        ("transformer", "layer", independent_transformer),
    ],
)  # fmt: skip
def test_logits_equal_an_independent_implementation(name: str, norm: str, independent: Callable[..., Tensor]) -> None:
    network = BUILDERS[name](**{**KEYS[name], "norm": norm}, shape=SHAPE)
    p = random_parameters(network, 2)
    x = torch.randn(2, 7, *SHAPE.image, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    buffers = {
        key: torch.full((2, *b.shape), float(b.constant or 0), dtype=torch.float64)
        for key, b in network.buffers.items()
    }
    logits = network.forward(p, buffers, x, lambda layer, z: F.gelu(z), True)
    for run in range(2):
        own = {key: value[run].detach() for key, value in p.items()}
        assert torch.allclose(logits[run], independent(own, x[run], norm), atol=1e-10)


@pytest.mark.parametrize(
    ("name", "independent"),
    [("mlp", independent_mlp), ("cnn", independent_cnn), ("transformer", independent_transformer)],
)
def test_gradients_equal_an_independent_implementation(name: str, independent: Callable[..., Tensor]) -> None:
    network = BUILDERS[name](**KEYS[name], shape=SHAPE)
    p = random_parameters(network, 1)
    x = torch.randn(1, 4, *SHAPE.image, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weight = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    loss = (network.forward(p, {}, x, lambda layer, z: F.gelu(z), True)[0] * weight).sum()
    ours = torch.autograd.grad(loss, list(p.values()))
    theirs = torch.autograd.grad(
        (independent({k: v[0] for k, v in p.items()}, x[0], KEYS[name]["norm"]) * weight).sum(), list(p.values())
    )
    for own, other in zip(ours, theirs, strict=True):
        assert torch.allclose(own, other, atol=1e-10)


def test_every_parameter_is_assigned_to_its_hidden_layer_or_to_none() -> None:
    rest = {}
    for name, keys in KEYS.items():
        network = BUILDERS[name](**{**keys, "norm": "layer"}, shape=SHAPE)
        rest[name] = {key for key in network.parameters if layer_of(key) is None}
        layers = {layer_of(key) for key in network.parameters} - {None}
        assert layers == set(range(len(network.units)))
    ends = {"output.weight", "output.bias"}
    assert rest["mlp"] == rest["cnn"] == ends
    assert rest["transformer"] == ends | {"patch.weight", "patch.bias", "position", "norm.scale", "norm.shift"}
    assert layer_of("activation2.0.slope") == 2


def test_batch_norm_keeps_running_statistics_per_run() -> None:
    network = mlp(1, 4, "batch", Shape((8, 8, 1), 3))
    p = random_parameters(network, 2)
    zeros = torch.zeros(2, 4, dtype=torch.float64)
    buffers = {"norm0.mean": zeros, "norm0.variance": zeros + 1}
    x = torch.randn(2, 50, 8, 8, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    network.forward(p, buffers, x, lambda layer, z: z, True)
    z = x.flatten(2) @ p["hidden0.weight"] + p["hidden0.bias"].unsqueeze(1)
    assert torch.allclose(buffers["norm0.mean"], 0.1 * z.mean(1))
    assert torch.allclose(buffers["norm0.variance"], 0.9 + 0.1 * z.var(1))
    before = {key: value.clone() for key, value in buffers.items()}
    network.forward(p, buffers, x, lambda layer, z: z, False)
    assert all(torch.equal(before[key], buffers[key]) for key in buffers)


def test_mlp_parameter_count_in_closed_form() -> None:
    network = mlp(2, 256, "none", Shape((28, 28, 1), 10))
    assert parameter_count(network, TABLE["relu"]) == 784 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10


@pytest.mark.parametrize("architecture", ["mlp", "cnn", "transformer", "mlp_small", "cnn_small", "transformer_small"])
@pytest.mark.parametrize("activation", ["maxout", "glu", "swiglu", "dynamic_relu", "prelu"])
def test_matched_parameter_counts_agree_within_one_per_cent(architecture: str, activation: str) -> None:
    config: Any = OmegaConf.to_container(OmegaConf.create(composed_yaml([f"architecture={architecture}"])))
    keys = {key: v for key, v in config["architecture"].items() if key not in ("name", "match_parameters")}
    name, shape = config["architecture"]["name"], Shape((28, 28, 1), 10, TABLE[activation].pieces)
    record = load_activation(activation, **({"pieces": 2} if activation == "maxout" else {})).record
    goal = parameter_count(BUILDERS[name](**keys, shape=Shape((28, 28, 1), 10)), TABLE["relu"])
    matched = build_architecture(name, keys, shape, record, True)
    assert parameter_count(matched, record) == pytest.approx(goal, rel=0.01)
    free = build_architecture(name, keys, shape, record, False)
    assert free.units == BUILDERS[name](**keys, shape=shape).units


@pytest.mark.parametrize("name", list(KEYS))
@pytest.mark.parametrize("image", [(8, 8, 1), (9, 13, 3), (28, 28, 1), (33, 40, 3)])
def test_any_image_size_from_8_up(name: str, image: tuple[int, int, int]) -> None:
    network = BUILDERS[name](**{**KEYS[name], **({"patch": None} if name == "transformer" else {})},
                                           shape=Shape(image, 3))  # fmt: skip
    p = random_parameters(network, 1)
    x = torch.zeros(1, 2, *image, dtype=torch.float64)
    assert network.forward(p, {}, x, lambda layer, z: F.relu(z), True).shape == (1, 2, 3)
