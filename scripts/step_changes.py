"""Changes of a training step or a measurement, each against the present way, which its function returns first.

benchmark_step.py compares them by ratios of processor times in the same round.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from steps import CPU, Calls, runs_of, steps_of
from torch import Tensor

from actbench import determinism
from actbench.data.batches import Batches
from actbench.data.datasets import load_data
from actbench.experiment.runs import bound_activation
from actbench.training.loop import set_up
from actbench.training.network import Network
from actbench.training.probe import observe
from actbench.training.stacks import Stack

EIGHT = ["architecture=mlp", "activation=relu,gelu,mish,tanh", "optimizer.lr=0.001,0.002"]
TILES = (1, 2, 4, 8)  # of the 784 rows of a weight
AT_ONCE = (2, 8)  # mini-batches


def tiles(mnist: list[str]) -> Calls:
    """The first layer's gradient and Adam's update of 8 runs: at once, or by tiles of rows, each while in the cache."""
    x, dz = torch.randn(8, 64, 784), torch.randn(8, 64, 256)
    weights, means, squares = (torch.zeros(8, 784, 256) for _ in range(3))
    steps = [torch.ones(())]

    def update(w: Tensor, g: Tensor, m: Tensor, v: Tensor) -> None:
        torch._fused_adam_([w], [g], [m], [v], [], steps, lr=1e-3, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8,
                           amsgrad=False, maximize=False)  # fmt: skip

    def by_tiles(count: int) -> None:
        rows = 784 // count
        for run in range(8):
            for start in range(0, 784, rows):
                part = slice(start, start + rows)
                gradient = torch.mm(x[run, :, part].T, dz[run])
                update(weights[run, part], gradient, means[run, part], squares[run, part])

    return {
        "at once": lambda: update(weights, torch.bmm(x.transpose(1, 2), dz), means, squares),
        **{f"{count} tiles a run": partial(by_tiles, count) for count in TILES},
    }


def slopes(mnist: list[str]) -> Calls:
    """A measurement: f' by a second pass through the activation, or by the graph that the loss needs anyway."""
    runs = runs_of([*mnist, *EIGHT, "training.steps=100"])
    network, batches, _ = set_up(Stack(tuple(runs)), load_data(runs[0].data), CPU)
    found: deque[Tensor] = deque()  # abs f' of each layer, taken before the gradient of the loss frees the graph

    def activate(self: Network, layer: int, z: Tensor, step: int | None = None) -> Tensor:
        h = own(self, layer, z, step)
        found.append(torch.autograd.grad(h, z, torch.ones_like(h), retain_graph=True)[0].abs())
        return h

    def from_graph(self: Network, layer: int, z: Tensor) -> Tensor:
        return found.popleft()

    own = Network.activate

    def measure() -> None:
        for _ in observe(network, batches, min(1024, batches.validation_size)):
            pass

    def changed() -> None:
        with mock.patch.object(Network, "activate", activate), mock.patch.object(Network, "slopes", from_graph):
            measure()

    return {"a second pass": measure, "from the graph": changed}


def batches_at_once(mnist: list[str], keys: Sequence[str] = EIGHT) -> Calls:
    """Steps of 8 runs: each mini-batch gathered and normalised alone, or several in one call."""
    return {"one": _steps(8, [*mnist, *keys]), **{str(n): _steps(8, [*mnist, *keys], n) for n in AT_ONCE}}


def batches_at_once_on_digits(mnist: list[str]) -> Calls:
    """The same for 28 small networks, of which the gathering is a larger part."""
    return batches_at_once([], ["architecture=mlp_small", "activation=relu,gelu,mish,tanh", "seed=range(0,7)"])


def _steps(count: int, overrides: list[str], at_once: int = 1) -> Callable[[], None]:
    """So many training steps, with so many mini-batches gathered at once."""
    step, _ = steps_of(overrides)
    waiting: list[tuple[Tensor, Tensor]] = []

    def several(self: Batches, number: int) -> tuple[Tensor, Tensor]:
        if not waiting:
            size, self._batch_size, self.steps_per_epoch = self._batch_size, self._batch_size * at_once, 10**6
            images, labels = own(self, 0)
            self._batch_size = size
            waiting.extend(zip(images.split(size, 1), labels.split(size, 1), strict=True))
        return waiting.pop()

    own = Batches.training

    def steps() -> None:
        with mock.patch.object(Batches, "training", several) if at_once > 1 else mock.MagicMock():
            for _ in range(count):
                step()

    return steps


def compiled(label: str, mnist: list[str]) -> Calls:
    """Forward and backward of an activation of 8 runs, as it is and by torch.compile, which wants a C++ compiler."""
    (run,) = runs_of([f"activation={label}", "training.steps=1"])
    z, gradient, function = torch.randn(8, 64, 256, requires_grad=True), torch.randn(8, 64, 256), bound_activation(run)

    def through(call: Callable[[Tensor], Tensor]) -> None:
        torch.autograd.grad(call(z), z, gradient)

    def applied(x: Tensor) -> Tensor:
        return function.forward(x, {})

    calls, compiled_call = {label: partial(through, applied)}, torch.compile(applied)
    begun = time.perf_counter()
    through(compiled_call)
    return {**calls, f"compiled in {time.perf_counter() - begun:.0f} s": partial(through, compiled_call)}


class RunByRun(torch.autograd.Function):
    """bias + x @ weight with each run's product by oneDNN; shapes as in determinism.linear."""

    @staticmethod
    def forward(context: Any, bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """Logits or pre-activations (runs, batch, out)."""
        context.save_for_backward(x, weight)
        return _joined(
            [_onednn(a, w.t(), b) for a, w, b in zip(x.unbind(), weight.unbind(), bias.unbind(), strict=True)]
        )

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        """Gradients of bias, x and weight, those that are needed."""
        x, weight = context.saved_tensors
        runs = gradient.contiguous().unbind()
        by_bias, by_x, by_weight = context.needs_input_grad
        return (
            gradient.sum(1) if by_bias else None,
            _joined([_onednn(g, w) for g, w in zip(runs, weight.unbind(), strict=True)]) if by_x else None,
            _joined([_onednn(a.t(), g.t()) for a, g in zip(x.unbind(), runs, strict=True)]) if by_weight else None,
        )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (rows, in) by weight (out, in)."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _joined(runs: list[Tensor]) -> Tensor:
    return runs[0].unsqueeze(0) if len(runs) == 1 else torch.stack(runs)


def products(keys: Sequence[str], mnist: list[str]) -> Calls:
    """Training steps with products by MKL, or by oneDNN where a run's product has 2^22 multiplications or more."""
    mkl = determinism.linear

    def linear(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        large = x.shape[1] * weight[0].numel() >= 2**22
        return RunByRun.apply(bias, x, weight) if large else mkl(bias, x, weight)

    (present, _), (step, _) = steps_of([*mnist, *keys]), steps_of([*mnist, *keys])

    def changed() -> None:
        with mock.patch.object(determinism, "linear", linear):
            step()

    return {"MKL": present, "oneDNN": changed}


def attention(keys: Sequence[str], mnist: list[str]) -> Calls:
    """Training steps with torch's fused attention, or with a product, a softmax and a product."""

    def by_products(q: Tensor, k: Tensor, v: Tensor, is_causal: bool) -> Tensor:
        heads, (tokens, features) = q.shape[:2], q.shape[2:]
        flat = [part.reshape(-1, tokens, features) for part in (q, k, v)]
        scores = torch.bmm(flat[0], flat[1].transpose(1, 2)) * features**-0.5
        return torch.bmm(scores.softmax(-1), flat[2]).unflatten(0, heads)

    (present, _), (step, _) = steps_of([*mnist, *keys]), steps_of([*mnist, *keys])

    def changed() -> None:
        with mock.patch.object(F, "scaled_dot_product_attention", by_products):
            step()

    return {"fused": present, "by products": changed}


def attention_on_digits(mnist: list[str]) -> Calls:
    """The same for 8 small networks."""
    return attention(["architecture=transformer_small", "activation=relu,gelu", "seed=range(0,4)"], [])


CHANGES: dict[str, Callable[[list[str]], Calls]] = {
    "weight gradients with Adam by tiles": tiles,
    "slopes from the graph": slopes,
    "mini-batches at once, MLP": batches_at_once,
    "mini-batches at once, mlp_small on digits": batches_at_once_on_digits,
    **{f"torch.compile, {label}": partial(compiled, label) for label in ("relu", "gelu", "mish", "tanh", "softsign")},
    "attention by products, Transformer": partial(attention, ["architecture=transformer", "activation=gelu"]),
    "attention by products, transformer_small on digits": attention_on_digits,
    "products by oneDNN, MLP": partial(products, EIGHT),
    "products by oneDNN, MLP, batch 512": partial(
        products, ["architecture=mlp", "training.batch_size=512", "activation=gelu"]
    ),
    "products by oneDNN, Transformer": partial(products, ["architecture=transformer", "activation=gelu"]),
}  # fmt: skip
