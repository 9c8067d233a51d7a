"""The choices inside a training step, each against its alternative, on one core; interleaved, medians.

usage: benchmark_step.py [--root MNIST_FOLDER] [--out FOLDER]. Prints and writes step.md: ways to do one thing
(step_ways.py), changes of a step or a measurement (step_changes.py), stack sizes, precisions. NOTES.md draws on it.
"""

import argparse
import os
import sys
from pathlib import Path

import torch
from step_changes import CHANGES
from step_ways import WAYS
from steps import medians, ratios, steps_of

from actbench.execution.server import MALLOC


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


def changes(mnist: list[str]) -> list[str]:
    lines = ["| change | time over the present way's in the same round: median (quartiles) |", "|---|---|"]
    for name, change in CHANGES.items():
        found = ratios(change(mnist))
        cells = [f"{way} {middle:.2f} ({low:.2f} to {high:.2f})" for way, (middle, low, high) in found.items()]
        lines.append(f"| {name} | {'; '.join(cells)} |")
        print(lines[-1], flush=True)
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
    for part in WAYS:
        ways = "; ".join(f"{name} {value:.3f}" for name, value in medians(part()).items())
        lines.append(f"| {part.__name__.replace('_', ' ')} | {ways} |")
    text = "\n".join([*lines, "", *changes(mnist), "", *stack_sizes(mnist), "", *precisions(mnist), ""])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "step.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
