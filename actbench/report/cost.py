"""The cost of activations, as a table and a page of text."""

import itertools

import pandas as pd

from actbench.report.formats.blocks import Paragraph, Table, literal
from actbench.report.formats.documents import markdown
from actbench.training.results import COPY

FIGURE = "cost.svg"


def cost_table(costs: pd.DataFrame, spread: bool) -> pd.DataFrame:
    """The costs as text: the plain copy first, then activations by their cost at the largest size, cheapest first.

    costs: rows of cost.csv, one per activation, size and direction. spread: adds the quartiles.
    """
    largest = costs[costs["size"] == costs["size"].iloc[-1]]
    total = largest.groupby("activation", sort=False)["median_ns"].sum()
    lines = []
    for activation in sorted(total.index, key=lambda name: (name != COPY, total[name])):
        rows = costs[costs["activation"] == activation].set_index(["size", "direction"])
        line = {"activation": str(activation)}
        for size, direction in itertools.product(costs["size"].unique(), costs["direction"].unique()):
            title = f"{direction}, {size}, ns"
            line[title] = ""
            if (size, direction) in rows.index:
                row = rows.loc[(size, direction)]
                quartiles = f" [{row['low_ns']:.2f}, {row['high_ns']:.2f}]" if spread else ""
                line[title] = f"{row['median_ns']:.2f}{quartiles}"
        first = rows.iloc[0]
        line["kept, bytes"] = "" if activation == COPY else f"{first['kept_bytes']:.1f}"
        line["peak, bytes"] = "" if activation == COPY else f"{first['peak_bytes']:.1f}"
        line["% of a step"] = "" if activation == COPY else f"{100 * first['step_share']:.1f}"
        lines.append(line)
    return pd.DataFrame(lines)


def cost_page(costs: pd.DataFrame, rounds: int, step: str, command: str, environment: str) -> str:
    """The page as Markdown.

    costs: rows of cost.csv, medians of `rounds`. step: the training step that the shares refer to. command: the command
    line. environment: name of the file that describes the machine.
    """
    sizes = costs.groupby("size", sort=False)["outputs"].first()
    text = [
        "# What each activation costs",
        "",
        f"Nanoseconds an output, forward and backward, on one thread: median of {rounds} interleaved rounds, with "
        f"quartiles; {', '.join(f'{size}: {outputs:,} outputs' for size, outputs in sizes.items())}. A copy, which "
        "reads and writes each value once, is the floor. A unit of several pieces (Maxout, gated) is one output. Bytes "
        "kept an output: its own 4 and what backward needs; peak: all that is allocated at once going forward and "
        "backward, the input included. In cache the calls themselves, which take the same time at any size, weigh "
        f"more. Share of a training step: of {step}, one run alone.",
        "",
        markdown([Table(cost_table(costs, spread=True))]),
        f"![Nanoseconds an output]({FIGURE})",
        "",
        markdown([Paragraph(f"Made by `{literal(command)}`; the machine is in `{environment}`.")]).strip(),
        "",
    ]
    return "\n".join(text)
