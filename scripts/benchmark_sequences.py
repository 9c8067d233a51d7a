"""How fast stacks of sequence models train, beside the same loop by hand with torch's own modules.

usage: benchmark_sequences.py [--rounds N] [--seconds S] [--only MODEL ...] [--widths W ...] [--out FILE]

Both train on one thread of this process: actbench a stack of the size that it chooses by itself, the loop one network
with torch.optim.Adam(fused=True). Data are random images of 28 rows with 28 pixels, in mini-batches of 64. In each
round both take turns; a ratio is that of two neighbouring turns, and the table has medians with quartiles. torch's LSTM
is one call of oneDNN, whose step does not go through memory operation by operation as those of its RNN and GRU do. Both
sides have the settings of malloc that actbench's workers have. Run it on a machine that does nothing else.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from actbench.execution.server import MALLOC

if not MALLOC.keys() <= os.environ.keys():  # read by malloc at the start of a process
    os.execve(sys.executable, [sys.executable, *sys.argv], MALLOC | os.environ)

import torch
import torch.nn.functional as F
from throughput_table import machine, revision
from torch import Tensor, nn

from actbench.data.datasets import ImageData, PreparedData
from actbench.determinism import set_precision
from actbench.experiment.compose import compose_grid
from actbench.experiment.runs import make_run
from actbench.training.loop import set_up
from actbench.training.stacks import pack_stacks
from actbench.training.step import step_gradients

BATCH, ROWS, PIXELS, CLASSES, EXAMPLES = 64, 28, 28, 10, 4096
RUNS = 64  # that are packed into stacks
WIDTHS = (16, 32, 128)
TARGETS = {16: 2.0, 32: 2.0, 128: 1.0}  # ratios, at least

Step = Callable[[], object]


class Recurrent(nn.Module):
    """torch's own recurrent layer over the rows of an image, and a linear map of its last state."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.output = layer, nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        states, _ = self.layer(images)
        return self.output(states[:, -1])


# By architecture: torch's module of a width. Another sequence model is a line here.
MODULES: dict[str, Callable[[int], nn.Module]] = {
    "rnn": lambda width: Recurrent(nn.RNN(PIXELS, width, batch_first=True), width),
    "gru": lambda width: Recurrent(nn.GRU(PIXELS, width, batch_first=True), width),
    "lstm": lambda width: Recurrent(nn.LSTM(PIXELS, width, batch_first=True), width),
}


def random_images() -> ImageData:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (EXAMPLES, ROWS, PIXELS, 1), generator=generator, dtype=torch.uint8)
    return ImageData(images, torch.randint(CLASSES, (EXAMPLES,), generator=generator), images[:64], torch.zeros(64))


def by_actbench(name: str, width: int, images: ImageData) -> tuple[Step, int]:
    """A training step of a stack, and its number of runs, which differ in seed and learning rate."""
    data = PreparedData("random", "", "random", ROWS, PIXELS, 1, CLASSES, EXAMPLES, 64)
    keys = [f"architecture={name}", f"architecture.width={width}", "activation=tanh", f"seed=range(0,{RUNS // 4})"]
    grid = compose_grid([*keys, "optimizer.lr=0.001,0.002,0.004,0.008", f"training.batch_size={BATCH}"])
    runs = [make_run(settings, data, "sweep") for settings in grid.runs]
    stack = pack_stacks(runs, "cpu", 1, 0)[0]
    network, batches, optimizer = set_up(stack, images, torch.device("cpu"))
    number = count()
    return lambda: optimizer.step(step_gradients(network, batches, next(number), 0.0)[1], 1.0), len(stack.runs)


def by_hand(name: str, width: int, images: ImageData) -> Step:
    """A training step of one network on resident images."""
    model, generator = MODULES[name](width), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
    x = (images.train_images.squeeze(-1).float() / 255 - 0.5) / 0.29

    def step() -> None:
        index = torch.randint(EXAMPLES, (BATCH,), generator=generator)
        loss = F.cross_entropy(model(x[index]), images.train_labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def seconds_of(step: Step, least: float) -> float:
    """Mean seconds of a step, of as many as take `least` seconds."""
    begun, steps = time.perf_counter(), 0
    while (taken := time.perf_counter() - begun) < least:
        step()
        steps += 1
    return taken / steps


def row(name: str, width: int, rounds: int, least: float, images: ImageData) -> str:
    ours, runs = by_actbench(name, width, images)
    theirs = by_hand(name, width, images)
    seconds_of(ours, least), seconds_of(theirs, least)
    taken = [(seconds_of(ours, least), seconds_of(theirs, least)) for _ in range(rounds)]
    low, ratio, high = statistics.quantiles([runs * b / a for a, b in taken], n=4, method="inclusive")
    rates = [BATCH * runs / statistics.median(a for a, _ in taken), BATCH / statistics.median(b for _, b in taken)]
    target = TARGETS.get(width, 1.0)
    return (
        f"| {name} | {width} | {runs} | {rates[0]:,.0f} | {rates[1]:,.0f} | {ratio:.2f} ({low:.2f} to {high:.2f}) | "
        f"{target} | {'yes' if ratio >= target else 'no'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn, at least")
    parser.add_argument("--only", nargs="+", choices=list(MODULES), default=list(MODULES))
    parser.add_argument("--widths", nargs="+", type=int, default=list(WIDTHS))
    parser.add_argument("--out", type=Path, help="a file for the table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_precision("fp32")
    images = random_images()
    lines = [
        f"{machine(('torch',))}; revision {revision()}; one thread; load before: {os.getloadavg()[0]:.1f}", "",
        "| model | width | runs in a stack | actbench, samples/s | by hand | ratio (quartiles) | target | met |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]  # fmt: skip
    print(*lines, sep="\n", flush=True)
    for name in arguments.only:
        for width in arguments.widths:
            lines.append(row(name, width, arguments.rounds, arguments.seconds, images))
            print(lines[-1], flush=True)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
