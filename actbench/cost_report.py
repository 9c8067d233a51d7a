"""The costs of activations as a table, a figure and files."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from actbench import figures, mirror
from actbench.cost import COPY, DIRECTIONS, ROUNDS, SIZES, Cost
from actbench.documents.markdown import markdown_table

TABLE, REPORT, FIGURE = "cost.csv", "cost.md", "cost.svg"


def frame(costs: Sequence[Cost]) -> pd.DataFrame:
    """A line a size and direction: nanoseconds an output (lower quartile, median, upper quartile); and, of the
    activation, bytes an output that are kept, and at the peak, and share of a training step."""
    lines = [
        (cost.label, size, direction, SIZES[size], *cost.nanoseconds(size, direction), cost.kept, cost.peak, cost.share)
        for cost in costs
        for size in SIZES
        for direction in DIRECTIONS
        if (size, direction) in cost.seconds
    ]
    columns = ["activation", "size", "direction", "outputs", "low_ns", "median_ns", "high_ns", "kept_bytes",
               "peak_bytes", "step_share"]  # fmt: skip
    return pd.DataFrame(lines, columns=columns)


def formatted(costs: Sequence[Cost], spread: bool) -> pd.DataFrame:
    """As text, the cheapest out of cache first, the plain copy on top. spread: with quartiles."""
    last = list(SIZES)[-1]
    total = {
        cost.label: sum(cost.nanoseconds(last, d)[1] for d in DIRECTIONS if (last, d) in cost.seconds) for cost in costs
    }
    lines = []
    for cost in sorted(costs, key=lambda cost: (cost.label != COPY, total[cost.label])):
        line = {"activation": cost.label}
        for size in SIZES:
            for direction in DIRECTIONS:
                there = (size, direction) in cost.seconds
                low, middle, high = cost.nanoseconds(size, direction) if there else (0, 0, 0)
                quartiles = f" [{low:.2f}, {high:.2f}]" if spread else ""
                line[f"{direction}, {size}, ns"] = f"{middle:.2f}{quartiles}" if there else ""
        line["kept, bytes"] = "" if cost.label == COPY else f"{cost.kept:.1f}"
        line["peak, bytes"] = "" if cost.label == COPY else f"{cost.peak:.1f}"
        line["% of a step"] = "" if cost.label == COPY else f"{100 * cost.share:.1f}"
        lines.append(line)
    return pd.DataFrame(lines)


def write(folder: Path, costs: Sequence[Cost], step: str, command: str) -> list[str]:
    """cost.csv, cost.svg, cost.md and environment.json. step: what the share is of. Returns the paths."""
    table = frame(costs)
    table.to_csv(folder / TABLE, index=False, lineterminator="\n")
    figures.save(figures.costs(table), folder / FIGURE)
    text = [
        "# What each activation costs",
        "",
        f"Nanoseconds an output, forward and backward, on one thread: median of {ROUNDS} interleaved rounds, with "
        f"quartiles; {', '.join(f'{size}: {outputs:,} outputs' for size, outputs in SIZES.items())}. A copy, which "
        "reads and writes each value once, is the floor. A unit of several pieces (Maxout, gated) is one output. Bytes "
        "kept an output: its own 4 and what backward needs; peak: all that is allocated at once going forward and "
        "backward, the input included. In cache the calls themselves, which take the same time at any size, weigh "
        f"more. Share of a training step: of {step}, one run alone.",
        "",
        markdown_table(formatted(costs, spread=True)),
        f"![Nanoseconds an output]({FIGURE})",
        "",
        f"Made by `{command}`; the machine is in `{mirror.ENVIRONMENT}`.",
        "",
    ]
    (folder / REPORT).write_text("\n".join(text), encoding="utf-8")
    (folder / mirror.ENVIRONMENT).write_text(json.dumps(mirror.environment(command), indent=2) + "\n")
    return [str(folder / name) for name in (REPORT, TABLE, FIGURE, mirror.ENVIRONMENT)]
