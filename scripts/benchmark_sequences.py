"""How fast stacks of sequence models train, beside the same loop by hand with torch's own modules.

usage: benchmark_sequences.py [--rounds N] [--seconds S] [--only MODEL ...] [--widths W ...] [--out FOLDER]

A process for each core trains on one thread: actbench a stack of the size that it chooses by itself, the loop one
network with torch.optim.Adam(fused=True). Both take turns, which all processes begin at the same moment. A ratio is
that of two neighbouring turns; the table has medians and quartiles over the rounds of all processes. Recurrent nets
read random images of 28 rows with 28 pixels in mini-batches of 64; decoders have four blocks with four heads and read
12 windows of 64 random characters, which is nanoGPT's setting for a CPU where the width is 128. Both ways have the
settings of malloc that actbench's workers have. Writes sequences.md, with the operations that take most of a step.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

from actbench.execution.server import MALLOC

if not MALLOC.keys() <= os.environ.keys():  # read by malloc at the start of a process
    os.execve(sys.executable, [sys.executable, *sys.argv], MALLOC | os.environ)

import torch
import torch.nn.functional as F
from commands import CORES, ROOT
from peer_models import Block
from throughput_table import machine, revision
from torch import Tensor, nn

from actbench.data.prepared import Data, ImageData, PreparedData, TextData
from actbench.determinism import set_precision
from actbench.experiment.compose import compose_grid
from actbench.experiment.runs import make_run
from actbench.training.loop import set_up
from actbench.training.stacks import pack_stacks
from actbench.training.step import step_gradients

BATCH, ROWS, PIXELS, CLASSES, EXAMPLES = 64, 28, 28, 10, 4096
WINDOWS, CONTEXT, CHARACTERS, BLOCKS, HEADS, LENGTH = 12, 64, 65, 4, 4, 100_000
RUNS = 64  # that are packed into stacks
WIDTHS = (16, 32, 128)
TARGETS = {16: 2.0, 32: 2.0, 128: 1.0}  # ratios, at least
PROFILED_STEPS, OPERATIONS = 10, 5  # of a profile: steps, and the operations that are named

together: Barrier  # of all processes; set by `begin`

Step = Callable[[], object]
Batch = Callable[[], tuple[Tensor, Tensor]]  # the next mini-batch


class Recurrent(nn.Module):
    """torch's own recurrent layer over the rows of an image, and a linear map of its last state."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.output = layer, nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """images: (batch, rows, pixels); logits (batch, classes)."""
        states, _ = self.layer(images)
        return self.output(states[:, -1])


class Decoder(nn.Module):
    """A causal Transformer over characters, with untied output and biases."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CHARACTERS, width)
        self.position = nn.Parameter(torch.randn(CONTEXT, width))
        self.blocks = nn.Sequential(*(Block(nn.GELU, width, HEADS, causal=True) for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CHARACTERS)

    def forward(self, characters: Tensor) -> Tensor:
        """characters: (batch, context); logits (batch * context, characters)."""
        return self.head(self.norm(self.blocks(self.embedding(characters) + self.position))).flatten(0, 1)


@dataclass(frozen=True)
class Model:
    """overrides: of the architecture, width aside. module: torch's, of a width. batch: of the loop by hand."""

    overrides: tuple[str, ...]
    module: Callable[[int], nn.Module]
    data: tuple[PreparedData, Data]
    batch: Batch
    samples: int  # of a mini-batch: images, or characters


def images() -> tuple[tuple[PreparedData, Data], Batch]:
    """Random images for actbench, and mini-batches of them, normalised, for the loop by hand."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (EXAMPLES, ROWS, PIXELS, 1), generator=generator, dtype=torch.uint8)
    labels = torch.randint(CLASSES, (EXAMPLES,), generator=generator)
    prepared = PreparedData("random", "", "random", ROWS, PIXELS, 1, CLASSES, EXAMPLES, BATCH)
    x = (pixels.squeeze(-1).float() / 255 - 0.5) / 0.29

    def batch() -> tuple[Tensor, Tensor]:
        index = torch.randint(EXAMPLES, (BATCH,), generator=generator)
        return x[index], labels[index]

    return (prepared, ImageData(pixels, labels, pixels[:BATCH], labels[:BATCH])), batch


def text() -> tuple[tuple[PreparedData, Data], Batch]:
    """Random characters for actbench, and windows of them with the next characters for the loop by hand."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(CHARACTERS, (LENGTH,), generator=generator)
    windows = LENGTH // CONTEXT - 1
    prepared = PreparedData(
        "random", "", "random", CONTEXT, 1, 1, CHARACTERS, 2 * windows, windows, kind="text",
        metric="bits_per_character", validation=windows, vocabulary="".join(map(chr, range(48, 48 + CHARACTERS))),
    )  # fmt: skip
    offsets, bytes_ = torch.arange(CONTEXT), tokens.to(torch.uint8)

    def batch() -> tuple[Tensor, Tensor]:
        places = torch.randint(LENGTH - CONTEXT, (WINDOWS, 1), generator=generator) + offsets
        return tokens[places], tokens[places + 1].flatten()

    return (prepared, TextData(bytes_, bytes_, bytes_)), batch


def models() -> dict[str, Model]:
    """By name; another sequence model is a line here."""
    pictures, rows = images()
    characters, windows = text()
    layers: dict[str, type[nn.Module]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

    def recurrent(name: str) -> Model:
        def module(width: int) -> nn.Module:
            return Recurrent(layers[name](PIXELS, width, batch_first=True), width)

        own = (f"architecture={name}", "activation=tanh", f"training.batch_size={BATCH}")
        return Model(own, module, pictures, rows, BATCH)

    keys = (
        "dataset=text", "dataset.root=random.txt", f"dataset.context={CONTEXT}", "architecture=decoder",
        f"architecture.depth={BLOCKS}", f"architecture.heads={HEADS}", "architecture.bias=true",
        "architecture.tie=false", "activation=gelu", f"training.batch_size={WINDOWS}",
    )  # fmt: skip
    decoder = Model(keys, Decoder, characters, windows, WINDOWS * CONTEXT)
    return {name: recurrent(name) for name in layers} | {"decoder": decoder}


def by_actbench(model: Model, width: int) -> tuple[Step, int]:
    """A training step of a stack, and its number of runs, which differ in seed and learning rate."""
    prepared, data = model.data
    keys = [*model.overrides, f"architecture.width={width}", f"seed=range(0,{RUNS // 4})"]
    grid = compose_grid([*keys, "optimizer.lr=0.001,0.002,0.004,0.008"])
    stack = pack_stacks([make_run(settings, prepared, "sweep") for settings in grid.runs], "cpu", 1, 0)[0]
    network, batches, optimizer = set_up(stack, data, torch.device("cpu"))
    number = count()
    return lambda: optimizer.step(step_gradients(network, batches, next(number), 0.0)[1], 1.0), len(stack.runs)


def by_hand(model: Model, width: int) -> Step:
    """A training step of one network on resident data."""
    module = model.module(width)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.001, fused=True)

    def step() -> None:
        x, y = model.batch()
        loss = F.cross_entropy(module(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def seconds_of(step: Step, least: float) -> float:
    """Mean seconds of a step, of as many as take `least` seconds; begins with the other processes."""
    together.wait()
    begun, steps = time.perf_counter(), 0
    while (taken := time.perf_counter() - begun) < least:
        step()
        steps += 1
    return taken / steps


def largest_operations(step: Step) -> str:
    """The operations that take most of a step's processor time, with their shares in percent."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as measured:
        for _ in range(PROFILED_STEPS):
            step()
    events = sorted(measured.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    calls = sum(event.count for event in events) / PROFILED_STEPS
    named = ", ".join(
        f"{event.key.removeprefix('aten::')} {100 * event.self_cpu_time_total / total:.0f}"
        for event in events[:OPERATIONS]
    )
    return f"{named} ({calls:,.0f} operations)"


@dataclass(frozen=True)
class Measured:
    """seconds: of a step of the stack and of the loop, by round. profiles: of both."""

    runs: int
    seconds: list[tuple[float, float]]
    profiles: tuple[str, str]


def measured(name: str, width: int, rounds: int, least: float) -> Measured:
    """What one process measures of a model."""
    model = models()[name]
    ours, runs = by_actbench(model, width)
    theirs = by_hand(model, width)
    seconds_of(ours, least), seconds_of(theirs, least)
    seconds = [(seconds_of(ours, least), seconds_of(theirs, least)) for _ in range(rounds)]
    together.wait()
    return Measured(runs, seconds, (largest_operations(ours), largest_operations(theirs)))


def begin(barrier: Barrier) -> None:
    """In each process, before it measures. barrier: of all."""
    global together
    together = barrier
    torch.set_num_threads(1)
    set_precision("fp32")


def rows(name: str, width: int, found: list[Measured]) -> tuple[str, str]:
    """The lines of the two tables: speeds, and operations."""
    samples, runs = models()[name].samples, found[0].runs
    taken = [pair for own in found for pair in own.seconds]
    low, ratio, high = statistics.quantiles([runs * b / a for a, b in taken], n=4, method="inclusive")
    ours, theirs = (
        len(found) * samples * each / statistics.median(pair[way] for pair in taken)
        for way, each in enumerate((runs, 1))
    )
    target = TARGETS.get(width, 1.0)
    speed = (
        f"| {name} | {width} | {runs} | {ours:,.0f} | {theirs:,.0f} | {ratio:.2f} ({low:.2f} to {high:.2f}) | "
        f"{target} | {'yes' if ratio >= target else '**no**'} |"
    )
    return speed, f"| {name} | {width} | {' | '.join(found[0].profiles)} |"


def main() -> None:
    known = models()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn, at least")
    parser.add_argument("--only", nargs="+", choices=list(known), default=list(known))
    parser.add_argument("--widths", nargs="+", type=int, default=list(WIDTHS))
    parser.add_argument("--out", type=Path, default=ROOT / "results/benchmarks", help="folder of sequences.md")
    arguments = parser.parse_args()
    lines = [
        f"{machine(('torch',))}; revision {revision()}; {CORES} processes of one thread; load before: "
        f"{os.getloadavg()[0]:.1f}. Samples are images of all processes, for the decoder characters.", "",
        "| model | width | runs in a stack | actbench, samples/s | by hand | ratio (quartiles) | target | met |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]  # fmt: skip
    print(*lines, sep="\n", flush=True)
    operations = ["", "| model | width | most of a stack's step, % | most of a step by hand, % |", "|---|---:|---|---|"]
    context = get_context("spawn")
    with ProcessPoolExecutor(CORES, context, begin, (context.Barrier(CORES),)) as pool:
        for name in arguments.only:
            for width in arguments.widths:
                tasks = [
                    pool.submit(measured, name, width, arguments.rounds, arguments.seconds) for _ in range(CORES)
                ]  # which wait for one another, so that each process has one
                speed, most = rows(name, width, [task.result() for task in tasks])
                lines.append(speed)
                operations.append(most)
                print(speed, most, sep="\n", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "sequences.md").write_text("\n".join([*lines, *operations, ""]))


if __name__ == "__main__":
    main()
