"""The decoder against an independent causal Transformer, and what follows from its being causal."""

import itertools
import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.activations.load import load_activation
from actbench.activations.table import TABLE
from actbench.experiment.schema import InitializationSettings
from actbench.models.blocks import rotated
from actbench.models.decoder import decoder
from actbench.models.initialization import initialize
from actbench.models.matching import build_architecture, parameter_count
from actbench.models.parameters import Architecture, Shape
from actbench.training.network import layer_of
from tests.support import Configs

SHAPE = Shape((10, 1, 1), 7, kind="text")
KEYS = {"depth": 2, "width": 12, "heads": 3, "ffn": 2}
VARIANTS = [
    dict(zip(("norm", "position", "bias", "tie"), own, strict=True))
    for own in itertools.product(("layer", "rms", "none"), ("learned", "rope"), (True, False), (True, False))
]
BY_NAME = {"-".join(map(str, own.values())): own for own in VARIANTS}
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=list(BY_NAME))


def drawn(network: Architecture, runs: int) -> tuple[dict[str, Tensor], Tensor]:
    """Random parameters in float64, and characters (runs, batch, context)."""
    generator = torch.Generator().manual_seed(0)
    parameters = {
        name: torch.randn(runs, *own.shape, generator=generator, dtype=torch.float64).mul(0.3).requires_grad_()
        for name, own in network.parameters.items()
    }
    return parameters, torch.randint(7, (runs, 4, 10), generator=generator)


def normalised(p: dict[str, Tensor], name: str, h: Tensor, norm: str) -> Tensor:
    if norm == "none":
        return h
    if norm == "rms":
        return h / (h.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{name}.scale"]
    centred = h - h.mean(-1, keepdim=True)
    h = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{name}.scale"]
    return h + p.get(f"{name}.shift", torch.zeros(()))


def turned(x: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) by complex numbers. x: (batch, heads, tokens, features)."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2])[:, None] * 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    numbers = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([numbers.real, numbers.imag], -1)


def independent(p: dict[str, Tensor], x: Tensor, variant: dict[str, object]) -> Tensor:
    """Logits (batch, context, classes) by attention that is written out. p: of one run."""

    def linear(name: str, h: Tensor) -> Tensor:
        return h @ p[f"{name}.weight"] + p.get(f"{name}.bias", torch.zeros(()))

    norm, context = str(variant["norm"]), x.shape[1]
    h = p["embedding"][x] + (p["position"] if variant["position"] == "learned" else 0)
    mask = torch.full((context, context), -math.inf, dtype=torch.float64).triu(1)
    for block in range(2):
        name = f"block{block}"
        parts = linear(f"{name}.qkv", normalised(p, f"{name}.norm1", h, norm)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (3, 4)).transpose(1, 2) for part in parts)
        if variant["position"] == "rope":
            q, k = turned(q), turned(k)
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(4) + mask, -1)
        h = h + linear(f"{name}.attention", (weights @ v).transpose(1, 2).flatten(2))
        h = h + linear(f"{name}.down", F.gelu(linear(f"{name}.up", normalised(p, f"{name}.norm2", h, norm))))
    h = normalised(p, "norm", h, norm)
    return h @ p["embedding"].T if variant["tie"] else linear("output", h)


def gelu(layer: int, z: Tensor) -> Tensor:
    return F.gelu(z)


@every_variant
def test_decoder_equals_an_independent_one_in_value_and_gradient(variant: dict[str, object]) -> None:
    network = decoder(**KEYS, **variant, shape=SHAPE)  # type: ignore[arg-type]
    parameters, x = drawn(network, 2)
    logits = network.forward(parameters, {}, x, gelu, True)
    expected = torch.stack([
        independent({name: value[run] for name, value in parameters.items()}, x[run], variant) for run in range(2)
    ])  # fmt: skip
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    ours, theirs = (
        torch.autograd.grad(F.cross_entropy(found.flatten(0, 2), x.flatten()), list(parameters.values()))
        for found in (logits, expected)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def leaks(network: Architecture, parameters: dict[str, Tensor], x: Tensor) -> bool:
    """Whether a change of any character changes an earlier logit. It must change all logits from there on."""
    found = False
    for place in range(x.shape[2]):
        changed = x.clone()
        changed[:, :, place] = (changed[:, :, place] + 1) % 7
        before, after = (network.forward(parameters, {}, text, gelu, False) for text in (x, changed))
        assert (before[:, :, place:] != after[:, :, place:]).any(-1).all()
        found |= not torch.equal(before[:, :, :place], after[:, :, :place])
    return found


@every_variant
def test_a_later_character_changes_no_earlier_logit(variant: dict[str, object]) -> None:
    network = decoder(**KEYS, **variant, shape=SHAPE)  # type: ignore[arg-type]
    assert not leaks(network, *drawn(network, 1))


def test_a_causal_mask_that_leaks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    network = decoder(**KEYS, **VARIANTS[0], shape=SHAPE)  # type: ignore[arg-type]
    attend = F.scaled_dot_product_attention
    one_ahead = torch.ones(10, 10, dtype=torch.bool).tril(1)
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, k, v, is_causal: attend(q, k, v, one_ahead))
    assert leaks(network, *drawn(network, 1))


@every_variant
def test_a_shorter_text_has_the_logits_of_the_beginning(variant: dict[str, object]) -> None:
    network = decoder(**KEYS, **variant, shape=SHAPE)  # type: ignore[arg-type]
    parameters, x = drawn(network, 1)
    whole, part = (network.forward(parameters, {}, text, gelu, False) for text in (x, x[:, :, :4]))
    torch.testing.assert_close(part, whole[:, :, :4], rtol=0, atol=1e-12)


SIZES = [  # width, heads, context, batch: whole SIMD vectors, odd numbers, a single row
    (32, 4, 16, 12), (14, 7, 9, 5), (2, 1, 1, 1),
]  # fmt: skip


@pytest.mark.parametrize(("width", "heads", "context", "batch"), SIZES, ids=str)
@every_variant
def test_a_run_has_the_same_bits_alone_and_in_any_stack(
    variant: dict[str, object], width: int, heads: int, context: int, batch: int
) -> None:
    shape = Shape((context, 1, 1), 7, kind="text")
    network = decoder(2, width, heads, 3, **variant, shape=shape)  # type: ignore[arg-type]
    parameters, _ = drawn(network, 5)
    parameters = {name: own.detach().float() for name, own in parameters.items()}
    x = torch.randint(7, (5, batch, context), generator=torch.Generator().manual_seed(2))

    def results(runs: list[int]) -> list[Tensor]:
        own = {name: values[runs].requires_grad_() for name, values in parameters.items()}
        logits = network.forward(own, {}, x[runs], lambda layer, z: z.relu(), True)
        loss = logits.logsumexp(-1).square().mean((1, 2)).sum()
        return [logits.detach(), *torch.autograd.grad(loss, list(own.values()))]

    for runs in ([0, 1, 2, 3, 4], [3, 1]):
        together = results(runs)
        for place, run in enumerate(runs):
            for ours, alone in zip(together, results([run]), strict=True):
                assert torch.equal(ours[place], alone[0])


def test_rope_depends_on_distances_alone() -> None:
    q, k = torch.randn(2, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    placed = rotated(q.expand(9, -1)), rotated(k.expand(9, -1))
    scores = placed[0] @ placed[1].T
    for distance in range(8):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-12)


@pytest.mark.parametrize("architecture", ["decoder", "decoder_small"])
@pytest.mark.parametrize("name", ["swiglu", "geglu", "maxout", "dynamic_relu", "prelu"])
def test_matched_parameter_counts_agree_within_one_per_cent(architecture: str, name: str, configs: Configs) -> None:
    (settings,) = configs(f"architecture={architecture}", "architecture.bias=true", "architecture.tie=false")
    keys = settings.architecture.model_dump(exclude={"name", "match_parameters"})
    record = load_activation(name, **({"pieces": 3} if name == "maxout" else {})).record
    pieces = 3 if name == "maxout" else record.pieces
    found = parameter_count(
        build_architecture("decoder", keys, Shape((64, 1, 1), 65, pieces, "text"), record, True), record
    )
    relu = parameter_count(
        build_architecture("decoder", keys, Shape((64, 1, 1), 65, 1, "text"), TABLE["relu"], True), TABLE["relu"]
    )
    assert found == pytest.approx(relu, rel=0.01)


def test_the_default_has_the_parameters_of_nanogpt(configs: Configs) -> None:
    """4 blocks of width 128 without biases, tied, 64 positions: the 0.80 M that nanoGPT prints, and the positions."""
    (settings,) = configs("architecture=decoder")
    keys = settings.architecture.model_dump(exclude={"name", "match_parameters"})
    network = build_architecture("decoder", keys, Shape((64, 1, 1), 65, 1, "text"), TABLE["gelu"], True)
    blocks = 4 * (128 * (3 * 128 + 128 + 2 * 512) + 2 * 128)
    assert parameter_count(network, TABLE["gelu"]) == blocks + 65 * 128 + 64 * 128 + 128


def test_biases_are_all_there_or_not_at_all() -> None:
    for variant in VARIANTS:
        names = decoder(**KEYS, **variant, shape=SHAPE).parameters  # type: ignore[arg-type]
        assert any(name.endswith(("bias", "shift")) for name in names) == variant["bias"]
        assert ("output.bias" in names) == (variant["bias"] and not variant["tie"])


def test_parameters_belong_to_their_block_or_to_none() -> None:
    network = decoder(**KEYS, **BY_NAME["layer-learned-True-False"], shape=SHAPE)  # type: ignore[arg-type]
    rest = {name for name in network.parameters if layer_of(name) is None}
    assert rest == {"embedding", "position", "norm.scale", "norm.shift", "output.weight", "output.bias"}
    assert {layer_of(name) for name in network.parameters} - {None} == {0, 1}


@pytest.mark.parametrize("name", get_args(InitializationSettings.model_fields["name"].annotation))
def test_initial_scales_are_those_of_the_docstring(name: str) -> None:
    network = decoder(8, 256, 4, 4, "layer", "learned", False, False, Shape((200, 1, 1), 300, kind="text"))
    values = initialize(name, network.parameters, load_activation("relu"), 0)
    plain = {"he": math.sqrt(2 / 256), "glorot": math.sqrt(2 / 512), "torch": 1 / math.sqrt(3 * 256)}.get(name, 1 / 16)
    of_output = math.sqrt(2 / 556) if name == "glorot" else plain
    assert float(values["output.weight"].std()) == pytest.approx(of_output, rel=0.01)
    small = 1 if name == "torch" else 1 / 16 / math.sqrt(16)  # 16 branches, which add as much as an embedding
    assert float(values["block3.attention.weight"].std()) == pytest.approx(plain * small, rel=0.01)
    for embedding in ("embedding", "position"):
        assert float(values[embedding].std()) == pytest.approx(1 / 16, rel=0.01)


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("position", ["learned", "rope"])
@pytest.mark.parametrize("norm", ["layer", "rms", "none"])
def test_a_decoder_begins_with_logits_of_variance_1_but_for_the_last_character(
    norm: str, position: str, tie: bool
) -> None:
    network = decoder(2, 128, 4, 4, norm, position, False, tie, Shape((32, 1, 1), 65, kind="text"))
    parameters = initialize("matched", network.parameters, load_activation("gelu"), 0)
    x = torch.randint(65, (1, 16, 32), generator=torch.Generator().manual_seed(0))
    logits = network.forward({name: own.unsqueeze(0) for name, own in parameters.items()}, {}, x, gelu, False)
    own = F.one_hot(x, 65).bool()
    assert 0.95 <= float(logits[~own].std()) <= (2.05 if norm == "none" else 1.05)
    assert (float(logits[own].mean()) > 3) == tie
    assert float(logits[own].mean()) <= math.sqrt(128) + 0.5
