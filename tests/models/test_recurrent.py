"""Recurrent networks against torch's own cells and a plain loop, and what starts, stacks and suits them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actbench.activations.gates import load_gate
from actbench.activations.load import load_activation
from actbench.activations.table import GATES
from actbench.data.datasets import ImageData, PreparedData
from actbench.errors import UsageError
from actbench.experiment.runs import architecture_of, make_run
from actbench.models.initialization import initialize
from actbench.models.matching import BUILDERS
from actbench.models.parameters import Architecture, Shape
from actbench.training.network import Network, layer_of
from actbench.training.stacks import Stack, pack_stacks
from tests.support import RAGGED, Configs, assert_bits_are_those_alone, numbers, results

KEYS: dict[str, dict[str, Any]] = {
    "rnn": {"identity": False}, "gru": {"gate": "sigmoid"}, "lstm": {"gate": "sigmoid", "forget_bias": 0.0},
}  # fmt: skip
CELLS = list(KEYS)
TORCH: dict[str, Callable[..., nn.Module]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
UNITS = 6
ROWS = Shape((7, 5, 2), 3)


def built(name: str, depth: int = 1, shape: Shape = ROWS, **keys: Any) -> Architecture:
    return BUILDERS[name](depth=depth, width=UNITS, norm="none", shape=shape, **{**KEYS[name], **keys})


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parameters(network: Architecture, runs: int) -> dict[str, Tensor]:
    named = enumerate(network.parameters.items())
    return {name: draws(runs, *own.shape, seed=seed).mul(0.4).requires_grad_() for seed, (name, own) in named}


def tanh(layer: int, z: Tensor) -> Tensor:
    return torch.tanh(z)


def as_torch_has_them(name: str, columns: Tensor) -> Tensor:
    """torch's LSTM has the candidate before the output gate."""
    if name != "lstm":
        return columns
    write, keep, read, candidate = columns.chunk(4, -1)
    return torch.cat([write, keep, candidate, read], -1)


def by_torch(name: str, p: dict[str, Tensor], run: int, x: Tensor, depth: int) -> Tensor:
    """Logits at every time step, (batch, time, classes), of inputs x (batch, time, features)."""
    module = TORCH[name](x.shape[-1], UNITS, depth, batch_first=True, dtype=torch.float64)
    weights = {}
    for layer in range(depth):
        first = layer * (2 if name == "lstm" else 1)  # of its hidden layers
        for ours, theirs in (("input", "ih"), ("recurrent", "hh")):
            own = as_torch_has_them(name, p[f"hidden{first}.{ours}.weight"][run])
            weights[f"weight_{theirs}_l{layer}"] = own.T
            weights[f"bias_{theirs}_l{layer}"] = as_torch_has_them(name, p[f"hidden{first}.{ours}.bias"][run])
    states, _ = torch.func.functional_call(module, weights, (x,))
    return states @ p["output.weight"][run] + p["output.bias"][run]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("name", CELLS)
def test_logits_and_gradients_are_those_of_torchs_cells(name: str, depth: int) -> None:
    network = built(name, depth)
    p, x, weight = parameters(network, 3), draws(3, 4, 7, 5, 2), draws(3, 4, 3, seed=1)
    ours = network.forward(p, {}, x, tanh, True)
    theirs = torch.stack([by_torch(name, p, run, x[run].flatten(2), depth)[:, -1] for run in range(3)])
    assert torch.allclose(ours, theirs, atol=1e-10, rtol=0)
    gradients = [torch.autograd.grad((out * weight).sum(), list(p.values())) for out in (ours, theirs)]
    for own, other in zip(*gradients, strict=True):
        assert torch.allclose(own, other, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", CELLS)
def test_characters_have_logits_at_every_time_step(name: str) -> None:
    network = built(name, 2, Shape((9, 1, 1), 4, kind="text"))
    p = parameters(network, 2)
    x = torch.randint(4, (2, 5, 9), generator=torch.Generator().manual_seed(3))
    ours = network.forward(p, {}, x, tanh, True)
    theirs = torch.stack([by_torch(name, p, run, p["embedding"][run][x[run]], 2) for run in range(2)])
    assert ours.shape == (2, 5, 9, 4)
    assert torch.allclose(ours, theirs, atol=1e-10, rtol=0)
    gradients = [torch.autograd.grad(out.square().sum(), list(p.values())) for out in (ours, theirs)]
    for own, other in zip(*gradients, strict=True):
        assert torch.allclose(own, other, atol=1e-10, rtol=0)
    later = x.clone()
    later[:, :, 5:] = (later[:, :, 5:] + 1) % 4
    assert torch.equal(network.forward(p, {}, later, tanh, False)[:, :, :5], ours[:, :, :5])


def plain_loop(
    name: str, p: dict[str, Tensor], x: Tensor, f: Callable[[Tensor], Tensor], gate: Callable[[Tensor], Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """One layer of one run by the textbook: its last state, and the values of its gates by time step."""
    parts = ("input.weight", "input.bias", "recurrent.weight", "recurrent.bias")
    w, b, u, c = (p[f"hidden0.{part}"][0] for part in parts)
    h = cell = torch.zeros(len(x), UNITS, dtype=torch.float64)
    values = []
    for row in x.unbind(1):
        of_x, of_h = (row @ w + b).split(UNITS, -1), (h @ u + c).split(UNITS, -1)
        if name == "rnn":
            h = f(of_x[0] + of_h[0])
            continue
        gates = [gate(own + other) for own, other in zip(of_x[:-1], of_h[:-1], strict=True)]
        values.append(torch.cat(gates, -1))
        if name == "gru":
            h = (1 - gates[1]) * f(of_x[2] + gates[0] * of_h[2]) + gates[1] * h
        else:
            cell = gates[1] * cell + gates[0] * f(of_x[3] + of_h[3])
            h = gates[2] * f(cell)
    return h, values


def squashed(z: Tensor) -> Tensor:
    """A gate as a user would write it."""
    return (torch.atan(z) / torch.pi + 0.5).square()


OWN_GATE = "tests.models.test_recurrent:squashed"


@pytest.mark.parametrize("gate", [*GATES, OWN_GATE])
@pytest.mark.parametrize("name", CELLS)
def test_any_activation_and_any_gate_act_as_in_a_plain_loop(name: str, gate: str) -> None:
    keys: dict[str, Any] = {} if name == "rnn" else {"gate": gate}
    network = built(name, **keys)
    p, x = parameters(network, 1), draws(1, 4, 7, 5, 2)
    h, values = plain_loop(name, p, x[0].flatten(2), F.gelu, load_gate(gate))
    logits = network.forward(p, {}, x, lambda layer, z: F.gelu(z), True)
    assert torch.allclose(logits[0], h @ p["output.weight"][0] + p["output.bias"][0], atol=1e-10)
    if name == "rnn":
        assert network.gates is None
        return
    assert network.gates is not None
    (own,) = network.gates(p, {}, x, lambda layer, z: F.gelu(z))
    assert torch.allclose(own[0], torch.stack(values, 1), atol=1e-12)


def test_gates_are_what_they_are_called() -> None:
    z = torch.linspace(-8, 8, 161, dtype=torch.float64)
    assert torch.allclose(load_gate("sigmoid")(z), 1 / (1 + torch.exp(-z)))
    assert torch.allclose(load_gate("hard_sigmoid")(z), ((z + 3) / 6).clamp(0, 1))
    assert torch.allclose(load_gate("softsign")(z), (z / (1 + z.abs()) + 1) / 2)
    for name in GATES:
        values = load_gate(name)(z)
        assert ((values >= 0) & (values <= 1)).all()
        assert values[80] == pytest.approx(0.5)
        assert (values.diff() >= 0).all()


def test_layers_of_parameters_and_hidden_layers() -> None:
    for name, hidden in (("rnn", 1), ("gru", 1), ("lstm", 2)):
        network = built(name, 3)
        assert network.recurrent
        assert network.units == (UNITS,) * 3 * hidden
        assert network.positions == (7,) * 3 * hidden
        ends = {"output.weight", "output.bias"}
        assert {key for key in network.parameters if layer_of(key) is None} == ends
        assert {layer_of(key) for key in set(network.parameters) - ends} == {hidden * layer for layer in range(3)}
        seen: list[int] = []

        def activate(layer: int, z: Tensor, seen: list[int] = seen) -> Tensor:
            seen.append(layer)
            assert z.shape == (2, 4, UNITS)
            return torch.tanh(z)

        network.forward(parameters(network, 2), {}, draws(2, 4, 7, 5, 2), activate, True)
        assert sorted(seen) == sorted(list(range(3 * hidden)) * 7)


@pytest.mark.parametrize("name", CELLS)
def test_torchs_initialization_is_that_of_torchs_cells(name: str) -> None:
    """Uniform within 1 / sqrt(units), inputs included."""
    network = BUILDERS[name](depth=2, width=50, norm="none", shape=Shape((7, 30, 1), 3), **KEYS[name])
    drawn = initialize("torch", network.parameters, load_activation("tanh"), 0)
    theirs = dict(TORCH[name](30, 50, 2).named_parameters())
    assert sum(own.numel() for key, own in drawn.items() if "hidden" in key) == sum(t.numel() for t in theirs.values())
    for key, own in drawn.items():
        if own.numel() > 3:
            assert own.abs().max().item() == pytest.approx(50**-0.5, rel=0.15), key


def test_gates_and_candidate_are_drawn_each_as_a_matrix_of_its_own() -> None:
    network = built("lstm", 2)
    assert network.parameters["hidden2.input.weight"].activated == UNITS
    assert network.parameters["hidden0.input.weight"].activated == 0
    drawn = initialize("orthogonal", network.parameters, load_activation("relu"), 0)
    for block in drawn["hidden0.recurrent.weight"].chunk(4, 1):
        assert torch.allclose(block.T @ block, 2 * torch.eye(UNITS), atol=1e-5)
    wide = BUILDERS["gru"](depth=1, width=200, norm="none", shape=Shape((7, 30, 1), 3), **KEYS["gru"])
    drawn = initialize("matched", wide.parameters, load_activation("relu"), 0)
    assert drawn["hidden0.recurrent.weight"].std().item() == pytest.approx((2 / 200) ** 0.5, rel=0.01)
    assert drawn["hidden0.input.weight"].std().item() == pytest.approx((1 / 30) ** 0.5, rel=0.02)


@pytest.mark.parametrize("initialization", ["matched", "torch", "orthogonal"])
def test_identity_start_repeats_the_state(initialization: str) -> None:
    """With ReLU a positive state stays as it is where inputs are 0."""
    wide = BUILDERS["rnn"](depth=2, width=100, norm="none", identity=True, shape=Shape((7, 30, 1), 3))
    drawn = initialize(initialization, wide.parameters, load_activation("relu"), 0)
    for layer in range(2):
        assert torch.equal(drawn[f"hidden{layer}.recurrent.weight"], torch.eye(100))
        assert drawn[f"hidden{layer}.input.weight"].std().item() == pytest.approx(0.001, rel=0.05)
        assert not drawn[f"hidden{layer}.input.bias"].any()
        assert not drawn[f"hidden{layer}.recurrent.bias"].any()
    p = {key: own.unsqueeze(0) for key, own in drawn.items()}
    x = torch.zeros(1, 2, 7, 30, 1)
    x[:, :, 0] = torch.randn(1, 2, 30, 1, generator=torch.Generator().manual_seed(0))
    states: list[Tensor] = []

    def activate(layer: int, z: Tensor) -> Tensor:
        states.append(F.relu(z))
        return states[-1]

    wide.forward(p, {}, x, activate, False)
    assert states[0].any()
    assert all(torch.equal(state, states[0]) for state in states[1:7])


def test_forget_bias_is_added_to_the_bias_of_the_forget_gate_alone() -> None:
    wanted = torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(UNITS)
    for initialization in ("matched", "torch"):
        plain, kept = (
            initialize(initialization, built("lstm", forget_bias=bias).parameters, load_activation("tanh"), 0)
            for bias in (0.0, 1.0)
        )
        assert torch.allclose(kept["hidden0.input.bias"] - plain["hidden0.input.bias"], wanted)
        for key in set(plain) - {"hidden0.input.bias"}:
            assert torch.equal(plain[key], kept[key])


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("rnn", ("architecture.width=21", "training.clip_norm=1.0")),
        ("rnn", ("architecture.width=16", "architecture.identity=true", "architecture.depth=2")),
        ("gru", ("architecture.width=21", "architecture.gate=softsign")),
        ("gru", ("architecture.width=16", "architecture.depth=2", "training.dropout=0.2")),
        ("lstm", ("architecture.width=21", "architecture.gate=hard_sigmoid", "training.dropout=0.2")),
        ("lstm", ("architecture.width=16", "architecture.depth=2", "architecture.forget_bias=1")),
    ],
)
def test_run_is_bit_identical_in_any_stack(
    name: str, more: tuple[str, ...], configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    keys = ("activation=relu,tanh,prelu,rrelu,gelu", "seed=0,3", "optimizer.lr=0.001,0.02")
    points = configs(f"architecture={name}", *keys, "architecture.match_parameters=false", *more, *RAGGED)
    runs = [make_run(point, digits, "sweep") for point in points]
    assert_bits_are_those_alone(runs, digits_data)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("more", [("architecture.width=1",), ("architecture.width=5", "training.probe_size=1")])
def test_run_alone_is_bit_identical_where_a_product_has_one_row_or_column(
    name: str, more: tuple[str, ...], configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    keys = (f"architecture={name}", "activation=softplus,silu", "seed=0,1", "training.batch_size=50")
    runs = [make_run(point, digits, "sweep") for point in configs(*keys, "training.steps=30", *more)]
    together = results(runs, digits_data)
    for run in runs:
        assert numbers(results([run], digits_data)[run.id]) == numbers(together[run.id])


@pytest.mark.parametrize(
    ("activation", "problem"),
    [
        ("maxout", "a unit of it has 2 pre-activations"), ("swiglu", "a unit of it has 2 pre-activations"),
        ("softmax", "it couples the units of a layer"), ("dynamic_relu", "it couples the units of a layer"),
        ("tests.own_activations:centred_relu", "it couples the units of a layer"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", CELLS)
def test_activations_of_pieces_or_layers_are_refused_by_name(
    name: str, activation: str, problem: str, configs: Configs, digits: PreparedData
) -> None:
    (point,) = configs(f"architecture={name}", f"activation={activation}")
    with pytest.raises(UsageError) as caught:
        make_run(point, digits, "sweep")
    message = str(caught.value)
    assert message.startswith(f"activation={activation}: {problem}")
    assert f"architecture={name}" in message
    assert "\n" not in message


@pytest.mark.slow
def test_gates_that_are_none_are_refused_by_name(configs: Configs, digits: PreparedData) -> None:
    for gate, problem in (
        ("tests.own_activations:centred_relu", "couples the units of a layer"),
        ("tests.own_activations:ScaledTanh", "has parameters"),
        ("tests.own_activations:noise", "two calls on one input differ"),
        ("tests.own_activations:missing", "has no 'missing'"),
    ):
        (point,) = configs("architecture=gru", f"architecture.gate={gate}")
        with pytest.raises(UsageError) as caught:
            make_run(point, digits, "sweep")
        assert str(caught.value).startswith(f"architecture.gate={gate}: ")
        assert problem in str(caught.value)
    with pytest.raises(UsageError, match="architecture.gate=tanh: must be one of sigmoid, hard_sigmoid, softsign, or"):
        configs("architecture=lstm", "architecture.gate=tanh")


@pytest.mark.slow
def test_an_own_gate_trains_and_its_source_is_part_of_the_id(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    points = configs("architecture=gru_small", f"architecture.gate=sigmoid,{OWN_GATE}", *RAGGED)
    plain, own = (make_run(point, digits, "sweep") for point in points)
    assert plain.own_gate is None
    assert not plain.has_own_code
    assert own.own_gate is not None
    assert own.own_gate.digest
    assert own.has_own_code
    assert plain.id != own.id
    assert results([own], digits_data)[own.id].row["status"] == "finished"


def test_keys_at_their_absence_are_not_in_the_id(configs: Configs) -> None:
    (rnn,), (lstm,) = configs("architecture=rnn"), configs("architecture=lstm")
    assert "identity" not in rnn.in_id()["architecture"]
    assert "forget_bias" not in lstm.in_id()["architecture"]
    assert lstm.in_id()["architecture"]["gate"] == "sigmoid"


def test_a_step_loses_the_same_units_at_every_time_step(configs: Configs, digits: PreparedData) -> None:
    """Variational dropout, Gal & Ghahramani 2016."""
    (point,) = configs("architecture=rnn_small", "activation=identity", "training.dropout=0.5")
    network = Network(Stack((make_run(point, digits, "sweep"),)), torch.device("cpu"))
    lost: list[Tensor] = []

    def activate(layer: int, z: Tensor) -> Tensor:
        lost.append(network.activate(layer, torch.ones_like(z), 4) == 0)
        return network.activate(layer, z, 4)

    network.forward(torch.randn(1, 9, 8, 8, 1, generator=torch.Generator().manual_seed(0)), 4, activate)
    assert len(lost) == 8
    assert 0 < lost[0].double().mean() < 1
    assert all(torch.equal(own, lost[0]) for own in lost)


@pytest.mark.parametrize("name", CELLS)
def test_parameters_of_an_activation_leave_the_count_within_one_per_cent(
    name: str, configs: Configs, digits: PreparedData
) -> None:
    points = configs(f"architecture={name}_small", "activation=relu,prelu", "architecture.match_parameters=true")
    plain, learned = (architecture_of(make_run(point, digits, "sweep")) for point in points)
    assert plain.units == learned.units


def test_stacks_hold_a_time_step_in_the_cache_and_all_of_them_in_memory(configs: Configs, digits: PreparedData) -> None:
    """Beyond 8 runs 2^18 parameters, of a GRU of 32 units over 8 rows 4,362 each; at most 2^23 units of all steps."""
    for architecture, steps, size in (("gru_small", 8, 60), ("lstm", 8, 8), ("lstm", 512, 2), ("rnn", 2000, 1)):
        points = configs(f"architecture={architecture}", f"seed=range(0,{4 * size})")
        runs = [make_run(point, digits, "sweep") for point in points]
        longer = type(digits)(**{**vars(digits), "height": steps})
        runs = [type(run)(**{**vars(run), "data": longer}) for run in runs]
        assert {len(stack.runs) for stack in pack_stacks(runs, "cpu", 1, 0)} == {size}
