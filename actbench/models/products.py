"""Linear maps and convolutions of all runs of a stack on a GPU, where the fastest way depends on the shapes.

All ways are the same function up to rounding. They are measured once in a process for each shape, which takes
milliseconds. Not tried: one large product for runs that share an input, whose weights would have to be transposed.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

Way = Callable[..., Tensor]
Clock = Callable[[Callable[[], object]], float]  # the seconds of a call

PARTS = (256, 32, 4)  # runs in one batched product; cuBLAS once took 14 times as long for 2,048 as for 4 at a time
MARGIN = 1.5  # another way than the first must be so much faster, as the choice changes the rounding
_REPEATS = 5

_chosen: dict[object, str] = {}  # names of ways by kind and shapes


def linear(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """bias (runs, out), or (runs, batch, out), + x (runs, batch, in) @ weight (runs, in, out): (runs, batch, out)."""
    return fastest_way("linear", linear_ways(len(x)), (bias, x, weight))(bias, x, weight)


def convolve(bias: Tensor, x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """x (runs, batch, height, width, channels) * weight (runs, features, channels, side, side) + bias (runs, features).

    Returns (runs, batch, height, width, features).
    """
    ways = convolution_ways(padding)
    return fastest_way("convolution", ways, (bias, x, weight))(bias, x, weight)


def linear_ways(runs: int) -> dict[str, Way]:
    """One batched product, or batched products of some runs each; by name."""
    parts = {"all": runs} | {f"{part} runs": part for part in PARTS if part < runs}
    return {name: partial(_linear, part=part) for name, part in parts.items()}


def _linear(bias: Tensor, x: Tensor, weight: Tensor, part: int) -> Tensor:
    added = bias if bias.dim() == 3 else bias.unsqueeze(1)
    groups = zip(added.split(part), x.split(part), weight.split(part), strict=True)
    products = [torch.baddbmm(*group) for group in groups]
    return products[0] if len(products) == 1 else torch.cat(products)


def convolution_ways(padding: int) -> dict[str, Way]:
    """A convolution for each run, or one with a group of channels for each run; by name."""
    ways = {"run by run": _convolve_run_by_run, "grouped": _convolve_grouped}
    return {name: partial(way, padding=padding) for name, way in ways.items()}


def _convolve_run_by_run(bias: Tensor, x: Tensor, weight: Tensor, padding: int) -> Tensor:
    runs = zip(x.unbind(), weight.unbind(), bias.unbind(), strict=True)
    return torch.stack(
        [F.conv2d(run.permute(0, 3, 1, 2), w, b, padding=padding).permute(0, 2, 3, 1) for run, w, b in runs]
    )


def _convolve_grouped(bias: Tensor, x: Tensor, weight: Tensor, padding: int) -> Tensor:
    runs = len(x)
    channels = x.permute(1, 0, 4, 2, 3).flatten(1, 2)  # (batch, runs * channels, height, width)
    z = F.conv2d(channels, weight.flatten(0, 1), bias.flatten(), padding=padding, groups=runs)
    return z.unflatten(1, (runs, -1)).permute(1, 0, 3, 4, 2).contiguous()


def fastest_way(kind: str, ways: Mapping[str, Way], tensors: Sequence[Tensor]) -> Way:
    """The way that was measured to be the fastest for such tensors; the first where nothing can be measured now."""
    first, device = next(iter(ways)), tensors[0].device
    needed = tuple(torch.is_grad_enabled() and tensor.requires_grad for tensor in tensors)
    key = (kind, device, needed, *((tensor.dtype, tensor.shape) for tensor in tensors))
    if key not in _chosen:
        if len(ways) == 1 or device.type != "cuda" or torch.cuda.is_current_stream_capturing():
            return ways[first]
        _chosen[key] = choose(ways, tensors, needed, _seconds)
    return ways[_chosen[key]]


def choose(ways: Mapping[str, Way], tensors: Sequence[Tensor], needed: Sequence[bool], clock: Clock) -> str:
    """The name of the fastest way, forward and backward; of the first, unless another is faster by MARGIN.

    needed: the tensors whose gradients are computed.
    """
    seconds = {name: clock(partial(_passes, way, tensors, needed)) for name, way in ways.items()}
    first, fastest = next(iter(ways)), min(seconds, key=seconds.__getitem__)
    return fastest if MARGIN * seconds[fastest] < seconds[first] else first


def _passes(way: Way, tensors: Sequence[Tensor], needed: Sequence[bool]) -> None:
    with torch.set_grad_enabled(any(needed)):
        leaves = [tensor.detach().requires_grad_(need) for tensor, need in zip(tensors, needed, strict=True)]
        out = way(*leaves)
    if any(needed):
        torch.autograd.grad(out, [leaf for leaf in leaves if leaf.requires_grad], out.detach())


def _seconds(call: Callable[[], object]) -> float:
    """Median seconds of a call on CUDA, after one that does not count."""
    taken = []
    for _ in range(_REPEATS + 1):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])
