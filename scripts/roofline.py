"""What bounds a training step on this processor: its measured peaks, the least time of a step, and where the time goes.

usage: roofline.py MNIST_FOLDER [FOLDER]. Prints and writes roofline.md, as benchmark_throughput.py --roofline does.
A process for each core measures at the same time as the others, as when sweeps train. The least time of a step is a
bound: each product at the peak rate (of products or of a convolution) or at the bandwidth for its operands, whichever
takes longer, and each activation and the optimizer at the bandwidth. Norms, pooling, attention's softmax, loss and
gathering are not in it.
"""

import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from commands import CORES, HERE, ROOT
from peers import bare_step, resident, split_of
from steps import medians, runs_of, step_of
from sweeps import SWEEPS, Sweep
from throughput_table import machine, revision

from actbench.execution.server import MALLOC
from actbench.training.stacks import pack_stacks

PARTS = [part for part in SWEEPS if part != "template"]
WORKING_SETS = {"0.4 MB": 2**15, "12 MB": 2**20, "400 MB": 2**25}  # values of each of three arrays
PROFILED_STEPS, BARE_STEPS = 20, 4
# torch's operations, by the name of a part of a step; the first that matches counts.
OPERATIONS = {
    "products": r"aten::(mm|bmm|baddbmm|addmm)$|convolution|scaled_dot_product|_linear_pointwise",
    "optimizer": r"_fused_adam",
    "loss": r"log_softmax|nll_loss",
    "activations": r"relu|threshold|elu|gelu|silu|mish|hardswish|tanh|sigmoid|softplus|addcmul|abs|div|sgn|where",
    "gather": r"aten::(index_select|index|copy_|mul_|add_)$",
    "the rest": r"",
}


@dataclass(frozen=True)
class Product:
    """A product (rows, inner) x (inner, columns) of a step; operand: values of its left side that are read.

    differentiated: its left side has a gradient too. activated: an activation follows.
    """

    rows: int
    inner: int
    columns: int
    operand: int
    differentiated: bool = True
    activated: bool = False
    weights: bool = True

    @property
    def flops(self) -> int:
        """Of forward and backward."""
        return (3 if self.differentiated else 2) * 2 * self.rows * self.inner * self.columns

    @property
    def operands(self) -> int:
        """Bytes of the operands and the result of one pass."""
        return 4 * (self.operand + self.inner * self.columns + self.rows * self.columns)

    def seconds(self, peak: float, bandwidth: float) -> float:
        """At least. peak: FLOP/s. bandwidth: bytes/s."""
        passes = 3 if self.differentiated else 2
        units = 5 * 4 * self.rows * self.columns if self.activated else 0  # z, h; gradient of h, z, gradient of z
        return passes * max(self.flops / passes / peak, self.operands / bandwidth) + units / bandwidth


def products(sweep: Sweep) -> list[Product]:
    """The products of a run's training step, batch x positions in their rows."""

    def linear(rows: int, *sizes: int, first: bool = False) -> list[Product]:
        pairs = list(itertools.pairwise(sizes))
        return [
            Product(rows, a, b, rows * a, differentiated=not first or layer > 0, activated=layer + 1 < len(pairs))
            for layer, (a, b) in enumerate(pairs)
        ]

    batch = sweep.batch_size
    if sweep.architecture == "mlp":
        return linear(batch, 784, 256, 256, 10, first=True)
    if sweep.architecture == "mlp_small":
        return linear(batch, 64, 64, 64, 10, first=True)
    if sweep.architecture == "cnn":
        convolutions = [
            Product(batch * side**2, 9 * a, b, batch * side**2 * a, a > 1, True)
            for side, a, b in ((28, 1, 32), (14, 32, 64), (7, 64, 128))
        ]
        return [*convolutions, *linear(batch, 128 * 9, 10)]
    tokens, heads = batch * 16, 4
    scores = Product(heads * tokens, 16, 16, heads * tokens * 16, weights=False)  # of 16 tokens, 16 features a head
    block = [*linear(tokens, 64, 192), scores, scores, *linear(tokens, 64, 64), *linear(tokens, 64, 256, 64)]
    return [*linear(tokens, 49, 64, first=True), *block, *block, *linear(batch, 64, 10)]


def parameters(sweep: Sweep) -> int:
    """Weights and biases; the Transformer's positions and norms are not counted."""
    return sum((product.inner + 1) * product.columns for product in products(sweep) if product.weights)


def product_rate() -> float:
    """FLOP/s of one thread at large float32 products: the best median of three sizes."""
    best = 0.0
    for n in (512, 1024, 2048):
        a, b, out = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
        best = max(best, 2 * n**3 / _median_seconds(partial(torch.mm, a, b, out=out)))
    return best


def convolution_rate() -> float:
    """FLOP/s of one thread at a large 3x3 convolution, which another library computes than products."""
    images, weight = torch.randn(16, 64, 28, 28), torch.randn(128, 64, 3, 3)
    images, weight = (values.to(memory_format=torch.channels_last) for values in (images, weight))
    flops = 2 * 16 * 28 * 28 * 9 * 64 * 128
    return flops / _median_seconds(partial(F.conv2d, images, weight, padding=1))


def bandwidth(values: int) -> float:
    """Bytes/s of one thread that adds two arrays of so many float32 values into a third."""
    a, b, out = torch.zeros(values), torch.zeros(values), torch.zeros(values)
    return 12 * values / _median_seconds(partial(torch.add, a, b, out=out))


def _median_seconds(call: Callable[[], object]) -> float:
    """Of processor time, in half a second of calls."""
    call()
    seconds, until = [], time.perf_counter() + 0.5
    while time.perf_counter() < until:
        begun = time.thread_time()
        call()
        seconds.append(time.thread_time() - begun)
    return statistics.median(seconds)


def profile(step: Callable[[], None]) -> dict[str, float]:
    """Shares of the processor time of a step, by OPERATIONS."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as measured:
        for _ in range(PROFILED_STEPS):
            step()
    shares: Counter[str] = Counter()
    for event in measured.key_averages():
        shares[next(name for name, pattern in OPERATIONS.items() if re.search(pattern, event.key))] += (
            event.self_cpu_time_total
        )
    return {name: shares[name] / shares.total() for name in OPERATIONS}


def measured_part(sweep: Sweep, root: Path) -> dict[str, float]:
    """Milliseconds a run and step of C's loop and of a stack as actbench packs it, in turn, and the stack's profile."""
    stacks = pack_stacks(runs_of(sweep.overrides(root)), "cpu", 1, 0)
    stack = next(stack for stack in stacks if "gelu" in {run.settings.activation.label for run in stack.runs})
    data, ours, job = resident(sweep.dataset, str(root)), step_of(stack), sweep.job("C", [], root)
    bare = []
    for own in (run.settings for run in stack.runs):
        run = {"activation": own.activation.label, "lr": own.optimizer.lr, "seed": own.seed}
        bare.append(bare_step(run, job, data, split_of(run, job, len(data.images))[0])[1])

    def one_after_the_other() -> None:  # each run keeps the cache for some steps, as in C
        for step in bare:
            for _ in range(BARE_STEPS):
                step()

    times = medians({"bare": one_after_the_other, "ours": ours}, 10)
    count = len(stack.runs)
    return {
        "runs": count, "bare": times["bare"] / count / BARE_STEPS, "ours": times["ours"] / count, **profile(ours)
    }  # fmt: skip


def worker(root: Path) -> None:
    """Prints what one core measures, as JSON."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found: dict[str, dict[str, float]] = {
        "peak": {"products": product_rate(), "convolution": convolution_rate()},
        "bandwidth": {name: bandwidth(values) for name, values in WORKING_SETS.items()}
    }  # fmt: skip
    for part in PARTS:
        found[part] = measured_part(SWEEPS[part], root)
    print(json.dumps(found))


def write(folder: Path, root: Path) -> str:
    """Measures on all cores at once and writes roofline.md; returns its text."""
    command = [sys.executable, str(HERE / "roofline.py"), "--worker", str(root)]
    environment = {**os.environ, **MALLOC, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(CORES)]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("a process of roofline.py failed")
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    cores = {
        part: {name: statistics.mean(core[part][name] for core in found) for name in found[0][part]}
        for part in found[0]
    }  # fmt: skip
    text = "\n".join(_text(cores))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roofline.md").write_text(text)
    return text


def _text(cores: dict[str, dict[str, float]]) -> list[str]:
    rates, bandwidths = cores["peak"], cores["bandwidth"]
    rate = max(rates.values())
    reached = ", ".join(f"{value / 1e9:.0f} GB/s in {name}" for name, value in bandwidths.items())
    lines = [
        f"{machine(('torch',))}; revision {revision()}. A core while all work, in float32:",
        f"{rates['products'] / 1e9:.0f} GFLOP/s at large products, {rates['convolution'] / 1e9:.0f} at a large",
        f"convolution (the larger is the peak); {reached} (two arrays added into a third).",
        "Milliseconds of processor time a run and step.", "",
        "| part | runs in a stack | MFLOP | least | C | actbench | over least | GFLOP/s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    shares = ["", f"| part | {' | '.join(OPERATIONS)} |", f"|---|{'---:|' * len(OPERATIONS)}"]
    for part in PARTS:
        steps, own = products(SWEEPS[part]), cores[part]
        state = 16 * parameters(SWEEPS[part])  # bytes of parameters, gradients and two moments of one run
        fitting = [name for name, values in WORKING_SETS.items() if state <= 12 * values]
        speed = bandwidths[fitting[0]]
        least = 1e3 * (sum(p.seconds(rate, speed) for p in steps) + 7 / 4 * state / speed)
        flops = sum(product.flops for product in steps)
        lines.append(
            f"| {part} | {own['runs']:.0f} | {flops / 1e6:.3g} | {least:.3g} | {own['bare']:.3g} | {own['ours']:.3g} | "
            f"{own['ours'] / least:.2f} | {flops / own['ours'] / 1e6:.3g} |"
        )
        cells = [f"{own['ours'] * own[name]:.3g}" for name in OPERATIONS]
        shares.append(f"| {part} | {' | '.join(cells)} |")
    return [*lines, *shares, ""]


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(Path(sys.argv[2]))
    else:
        out = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "results/benchmarks"
        print(write(out, Path(sys.argv[1]).resolve()))
