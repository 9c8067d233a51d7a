"""Rounding and random numbers that do not depend on a run's neighbours: streams, whole SIMD vectors, precision."""

import contextlib
import hashlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

VECTOR = 64  # values; a multiple of every SIMD vector that torch unrolls over (4 x 16 floats of AVX-512)


def whole_vectors(z: Tensor) -> Tensor:
    """z with its last example repeated until each run's values fill whole SIMD vectors.

    torch computes the values left over at a tensor's end by scalar code, which rounds softplus, sigmoid and others
    differently: without this, a run would depend on where in the stack it stands.
    """
    if z.device.type != "cpu":
        return z
    rows = VECTOR // math.gcd(VECTOR, z[0, 0].numel())
    missing = -z.shape[1] % rows
    return torch.cat([z, z[:, -1:].expand(-1, missing, *z.shape[2:])], 1) if missing else z


def linear(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """bias (runs, out) + x (runs, batch, in) @ weight (runs, in, out), (runs, batch, out).

    A single product with a dimension of 1 goes another way through MKL than one of a batch, and rounds differently,
    here or in its gradient: then the run is computed twice.
    """
    if len(x) == 1 and 1 in (x.shape[1], *weight.shape[1:]):
        bias, x, weight = (values.expand(2, *values.shape[1:]) for values in (bias, x, weight))
        return torch.baddbmm(bias.unsqueeze(1), x, weight)[:1]
    return torch.baddbmm(bias.unsqueeze(1), x, weight)


def set_precision(precision: str) -> None:
    """fp32 is fp32 on a GPU too: torch would compute convolutions in tf32 unless told not to.

    On a CPU values below 1e-38 become 0. A dead unit's gradient is 0, and Adam's moments of its weights decay until
    they are that small: an update then takes thirty times as long (results/benchmarks/step.md, subnormals).
    """
    torch.set_flush_denormal(True)  # of this thread, which computes the gradients too; False where it cannot
    kind = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = kind
    torch.backends.cudnn.conv.fp32_precision = kind  # type: ignore[attr-defined]


@contextlib.contextmanager
def restored_precision() -> Iterator[None]:
    """Restores on exit what `set_precision` changes: of this thread the treatment of subnormals, of torch its tf32."""
    smallest = torch.full((1,), torch.finfo(torch.float32).tiny)
    flushes = float(smallest / 2) == 0.0  # torch has no getter
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    kinds = matmul.fp32_precision, conv.fp32_precision
    try:
        yield
    finally:
        torch.set_flush_denormal(flushes)
        matmul.fp32_precision, conv.fp32_precision = kinds


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Inside, products take bf16 and give bf16, where the run's precision is that; weights stay float32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """A generator of its own for each purpose, so that no draw moves another."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))  # mt19937 takes 32 bits
