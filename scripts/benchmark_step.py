"""The choices inside a training step, each against its alternative, on one core; interleaved, medians.

usage: benchmark_step.py [--root MNIST_FOLDER] [--out FOLDER]. Prints and writes step.md: ways to do one thing, stack
sizes, precisions. results/benchmarks/NOTES.md draws on it.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.data.datasets import load_data, prepare_data
from actbench.execution.local import MALLOC
from actbench.experiment.compose import compose_grid
from actbench.experiment.runs import make_run
from actbench.metrics.gradients import sum_of_squares
from actbench.metrics.histograms import counts
from actbench.training.loop import set_up
from actbench.training.stacks import Stack
from actbench.training.step import step_gradients

CPU = torch.device("cpu")
Calls = Mapping[str, Callable[[], object]]


def medians(calls: Calls, rounds: int = 40) -> dict[str, float]:
    """Median milliseconds of each, all in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 3):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            if number >= 3:
                seconds[name].append(time.perf_counter() - begun)
    return {name: 1e3 * statistics.median(values) for name, values in seconds.items()}


def first_layer() -> Calls:
    """8 runs of one seed: a batched product over a shared input, or one large product."""
    x, weights, wide = torch.randn(64, 784), torch.randn(8, 784, 256), torch.randn(784, 8 * 256)
    shared = x.expand(8, -1, -1)
    return {"batched, input expanded": lambda: torch.bmm(shared, weights), "one large product": lambda: x @ wide}


def optimizer() -> Calls:
    shapes = [(784, 256), (256,), (256, 256), (256,), (256, 10), (10,)]
    views = [run for shape in shapes for run in torch.randn(8, *shape).unbind(0)]
    adam = torch.optim.Adam(views, fused=True)
    for view in views:
        view.grad = torch.randn_like(view)
    gradients = [view.grad for view in views if view.grad is not None]
    means, squares, step = [torch.zeros_like(v) for v in views], [torch.zeros_like(v) for v in views], torch.ones(())

    def direct() -> None:
        torch._fused_adam_(
            views, gradients, means, squares, [], [step] * len(views), lr=1e-3, beta1=0.9, beta2=0.999,
            weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    return {"torch.optim.Adam(fused=True)": adam.step, "its kernel": direct}


def weight_gradient() -> Calls:
    """The first layer's gradient and its update: for the stack, or run by run while it is in the cache."""
    x, dz = torch.randn(8, 64, 784), torch.randn(8, 64, 256)
    weights, means, squares = torch.randn(8, 784, 256), torch.zeros(8, 784, 256), torch.zeros(8, 784, 256)
    one, step = torch.empty(784, 256), torch.ones(())

    def update(w: Tensor, g: Tensor, m: Tensor, v: Tensor) -> None:
        torch._fused_adam_([w], [g], [m], [v], [], [step], lr=1e-3, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8,
                           amsgrad=False, maximize=False)  # fmt: skip

    def run_by_run() -> None:
        for run in range(8):
            torch.mm(x[run].T, dz[run], out=one)
            update(weights[run], one, means[run], squares[run])

    return {
        "stack": lambda: update(weights, torch.bmm(x.transpose(1, 2), dz), means, squares), "run by run": run_by_run
    }  # fmt: skip


def gather() -> Calls:
    images, index = torch.zeros(60_000, 28, 28, 1, dtype=torch.uint8), torch.randint(0, 60_000, (2, 64))
    rows = images.flatten(1)
    return {"images[index]": lambda: images[index], "rows.index_select": lambda: rows.index_select(0, index.flatten())}


def slices() -> Calls:
    """Forward and backward of four activations on their slices of 8 runs."""
    z = torch.randn(8, 64, 256, requires_grad=True)

    def through(parts: list[Tensor] | tuple[Tensor, ...]) -> None:
        h = torch.cat([F.relu(part) for part in parts])
        torch.autograd.grad(h, z, h.detach())

    return {
        "slices": lambda: through([z[start : start + 2] for start in range(0, 8, 2)]),
        "split": lambda: through(z.split([2, 2, 2, 2])),
    }


def prelu() -> Calls:
    z, slope = torch.randn(8, 64, 256, requires_grad=True), torch.rand(8, 1, 256, requires_grad=True)

    def through(h: Tensor) -> None:
        torch.autograd.grad(h, [z, slope], z.detach())

    def bent() -> Tensor:
        positive = F.relu(z)
        return torch.addcmul(positive, slope, z - positive)

    return {"torch.where": lambda: through(torch.where(z > 0, z, z * slope)), "addcmul": lambda: through(bent())}


def zeros() -> Calls:
    h = torch.randn(1, 128 * 784, 32).relu_()
    return {
        "(h != 0).any, (h == 0).sum": lambda: ((h != 0).any(1), (h == 0).sum((1, 2))),
        "h.sign().abs().sum": lambda: h.sign().abs_().sum(1),
    }


def sums() -> Calls:
    """Over the examples and positions of a CNN's chunk, for each unit."""
    h = torch.rand(1, 128 * 28 * 28, 32)
    return {"in float64": lambda: h.sum(1, dtype=torch.float64), "in float32": lambda: h.sum(1)}


def squares() -> Calls:
    """Of all outputs of a CNN's chunk, summed in float64."""
    h = torch.rand(128 * 28 * 28 * 32)
    return {
        "at once": lambda: torch.linalg.vector_norm(h, dtype=torch.float64),
        "by pieces": lambda: sum_of_squares(h.unsqueeze(0)),
    }


def bins() -> Calls:
    """A histogram of all outputs of a CNN's chunk."""
    h = torch.rand(1, 128 * 28 * 28 * 32)

    def wide() -> Tensor:
        return torch.bincount((h[0][h[0].isfinite()] * 4).floor_().clamp_(-1, 33).long() + 1)

    return {"finite values, int64": wide, "all, int32": lambda: counts(h)}


def subnormals() -> Calls:
    """Adam on a layer whose gradient is 0 and whose moments have decayed below 1e-38, as those of dead units do."""
    w, g = torch.randn(784, 256), torch.zeros(784, 256)

    def update(moment: float, flush: bool) -> None:
        torch.set_flush_denormal(flush)  # before the moments are made, or they would be 0
        mean, square = torch.full_like(w, moment), torch.full_like(w, moment)
        for _ in range(5):
            torch._fused_adam_([w], [g], [mean], [square], [], [torch.ones(())], lr=1e-3, beta1=0.9, beta2=0.999,
                               weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False)  # fmt: skip
        torch.set_flush_denormal(True)

    return {
        "moments of 1e-30": lambda: update(1e-30, False), "of 1e-39": lambda: update(1e-39, False),
        "of 1e-39, flushed to 0": lambda: update(1e-39, True),
    }  # fmt: skip


def layer_norm() -> Calls:
    """Forward and backward for two runs of a Transformer's tokens."""
    x, go = torch.randn(2, 64, 16, 64, requires_grad=True), torch.randn(2, 64, 16, 64)
    scale, shift = torch.ones(2, 64, requires_grad=True), torch.zeros(2, 64, requires_grad=True)

    def through(h: Tensor) -> None:
        torch.autograd.grad(h, [x, scale, shift], go)

    def at_once() -> Tensor:
        return F.layer_norm(x, (64,)) * scale.view(2, 1, 1, 64) + shift.view(2, 1, 1, 64)

    def run_by_run() -> Tensor:
        runs = zip(x.unbind(), scale.unbind(), shift.unbind(), strict=True)
        return torch.stack([F.layer_norm(run, (64,), own, shifted) for run, own, shifted in runs])

    return {"at once": lambda: through(at_once()), "run by run": lambda: through(run_by_run())}


def steps_of(overrides: list[str]) -> tuple[Callable[[], None], int]:
    """A training step of all runs of a grid in one stack, and the number of runs."""
    points = compose_grid([*overrides, "training.steps=100000"]).runs
    dataset = points[0].dataset
    data = prepare_data(dataset.name, dataset.root, False, dataset.image_size)
    runs = sorted((make_run(p, data, "sweep") for p in points), key=lambda run: run.settings.activation.label)
    network, batches, optimizer = set_up(Stack(tuple(runs)), load_data(data), CPU)
    count = iter(range(100_000))

    def step() -> None:
        optimizer.step(step_gradients(network, batches, next(count), 0.0)[1], 1.0)

    return step, len(runs)


def stack_sizes(mnist: list[str]) -> list[str]:
    lines = [
        "| a run's time in a stack, over alone | ms alone | 2 | 4 | 8 | 16 | 32 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, keys in {
        "MLP 10 x 3, digits": ["architecture=mlp", "architecture.width=3", "architecture.depth=10"],
        "mlp_small, digits": ["architecture=mlp_small"], "cnn_small, digits": ["architecture=cnn_small"],
        "transformer_small, digits": ["architecture=transformer_small"], "mlp, digits": ["architecture=mlp"],
        "mlp, MNIST": [*mnist, "architecture=mlp"],
        "mlp, MNIST, batch 512": [*mnist, "architecture=mlp", "training.batch_size=512"],
        "transformer, MNIST": [*mnist, "architecture=transformer"], "cnn, MNIST": [*mnist, "architecture=cnn"],
    }.items():  # fmt: skip
        sizes = (1, 2, 4, 8, 16, 32) if "MNIST" not in name else (1, 2, 4, 8)
        made = {}
        for size in sizes:
            rates = ",".join(str(0.001 * (rate + 1)) for rate in range(max(1, size // 2)))
            made[size] = steps_of([*keys, f"activation={'relu,gelu' if size > 1 else 'gelu'}", f"optimizer.lr={rates}"])
        times = medians({str(size): step for size, (step, _) in made.items()}, 5 if "MNIST" in name else 15)
        cells = [f"{times[str(size)] / made[size][1] / times['1']:.2f}" for size in sizes[1:]]
        lines.append(f"| {name} | {times['1']:.2f} | {' | '.join([*cells, '', ''][:5])} |")
    return lines


def precisions(mnist: list[str]) -> list[str]:
    lines = ["| ms a run and step, MNIST | fp32 | bf16 |", "|---|---:|---:|"]
    for name in ("mlp", "cnn", "transformer"):
        made = {
            kind: steps_of([*mnist, f"architecture={name}", "activation=relu,gelu", f"training.precision={kind}"])
            for kind in ("fp32", "bf16")
        }
        times = medians({kind: step for kind, (step, _) in made.items()}, 8)
        lines.append(f"| {name} | {times['fp32'] / 2:.2f} | {times['bf16'] / 2:.2f} |")
    return lines


def main() -> None:
    if not os.environ.keys() & {*MALLOC}:  # as the workers have it; read when the process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data"), help="torchvision's MNIST")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "results/benchmarks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as in training
    mnist = ["dataset=mnist", f"dataset.root={arguments.root.resolve()}"]
    lines = ["| what | ways, ms |", "|---|---|"]
    for part in (
        first_layer,
        optimizer,
        weight_gradient,
        gather,
        slices,
        prelu,
        zeros,
        sums,
        squares,
        bins,
        subnormals,
        layer_norm,
    ):
        ways = "; ".join(f"{name} {value:.3f}" for name, value in medians(part()).items())
        lines.append(f"| {part.__name__.replace('_', ' ')} | {ways} |")
    text = "\n".join([*lines, "", *stack_sizes(mnist), "", *precisions(mnist), ""])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "step.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
