"""Makes the rounding and the random numbers of a run independent of the other runs of its stack."""

import contextlib
import hashlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

VECTOR = 64  # values; a multiple of every SIMD vector that torch unrolls over (4 x 16 floats of AVX-512)


def whole_vectors(z: Tensor) -> Tensor:
    """z (runs, batch, ...) with its last example repeated until each run's values fill whole SIMD vectors.

    torch computes the values left over at a tensor's end by scalar code, which rounds softplus, sigmoid and others
    differently: without this, a run's numbers would depend on its place in the stack.
    """
    if z.device.type != "cpu":
        return z
    rows = VECTOR // math.gcd(VECTOR, math.prod(z.shape[2:]))
    missing = -z.shape[1] % rows
    return torch.cat([z, z[:, -1:].expand(-1, missing, *z.shape[2:])], 1) if missing else z


def linear(bias: Tensor | None, x: Tensor, weight: Tensor) -> Tensor:
    """bias (runs, out) or (runs, batch, out), if any, + x (runs, batch, in) @ weight (runs, in, out).

    MKL computes a single product with a dimension of 1 by other code than a batch of products, and rounds it or its
    gradient differently. In that case the run is computed twice, and one copy is returned.
    """
    if bias is None:
        return product(x, weight)
    added = bias if bias.dim() == 3 else bias.unsqueeze(1)
    if len(x) == 1 and 1 in (x.shape[1], *weight.shape[1:]):
        added, x, weight = (values.expand(2, *values.shape[1:]) for values in (added, x, weight))
        return torch.baddbmm(added, x, weight)[:1]
    return torch.baddbmm(added, x, weight)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x (runs, batch, in) @ weight (runs, in, out), (runs, batch, out), as `linear` computes it."""
    if len(x) == 1 and 1 in (x.shape[1], *weight.shape[1:]):
        return torch.bmm(x.expand(2, -1, -1), weight.expand(2, -1, -1))[:1]
    return torch.bmm(x, weight)


def set_precision(precision: str) -> None:
    """Sets, for this process, how a training computes in float32; `float32_products` sets it for a block only.

    On a CPU values below 1e-38 become 0. A dead unit's gradient is 0, and Adam's moments of its weights decay until
    they are that small: an update then takes thirty times as long (results/benchmarks/step.md, subnormals).
    """
    torch.set_flush_denormal(True)  # in this thread, which also computes the gradients; returns False if unsupported
    for flags in _FLAGS:
        flags.fp32_precision = _kind(precision)


@contextlib.contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """Products and convolutions of a GPU in `precision` within the block; afterwards the caller's flags hold again."""
    before = [flags.fp32_precision for flags in _FLAGS]
    try:
        for flags in _FLAGS:
            flags.fp32_precision = _kind(precision)
        yield
    finally:
        for flags, kind in zip(_FLAGS, before, strict=True):
            flags.fp32_precision = kind


_FLAGS: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]


def _kind(precision: str) -> str:
    """fp32 is IEEE float32 on a GPU too, where torch computes convolutions in tf32 by default."""
    return "tf32" if precision == "tf32" else "ieee"


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Returns a context in which matrix products use bf16 if `precision` is bf16; weights stay float32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """Returns a generator for one purpose; its draws do not depend on how much another purpose has drawn."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))  # mt19937 takes 32 bits
