"""Figures. They draw what they are given and compute nothing that a table would not show."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from actbench.activations import TABLE
from actbench.errors import UsageError

# Okabe & Ito 2008, colour-blind safe; black last. The yellow, unreadable on white, is left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")
OFTEN = ("gelu", "leaky_relu", "tanh", "maxout", "silu", "elu", "relu", "swiglu", "sigmoid", "prelu", "selu", "mish")

WIDTH = 6.8  # inches: of a page's text
_STYLE = {"fontsize": 8}


def style(activation: str) -> dict[str, str]:
    """One activation, one colour and line style, everywhere; those that are often drawn together differ in colour."""
    names = [*OFTEN, *(name for name in TABLE if name not in OFTEN)]
    index = names.index(activation) if activation in names else sum(map(ord, activation)) + len(names)
    return {"color": PALETTE[index % len(PALETTE)], "linestyle": DASHES[index // len(PALETTE) % len(DASHES)]}


def styles(series: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Of several series, `name` or `name setting=value ...`: those of one activation have its colour, paler and in
    other dashes from the second on."""
    found: dict[str, dict[str, Any]] = {}
    seen: dict[str, int] = {}
    for one in dict.fromkeys(series):
        name = one.split()[0]
        number = seen[name] = seen.get(name, -1) + 1
        look: dict[str, Any] = {**style(name)}
        if number:
            first, paler = DASHES.index(look["linestyle"]), [0.0, 0.3, 0.5][min(number, 2)]
            look = {
                "color": tuple(part + (1 - part) * paler for part in to_rgb(look["color"])),
                "linestyle": DASHES[(first + number) % len(DASHES)],
            }
        found[one] = look
    return found


def panels(count: int) -> tuple[Figure, Any]:
    """A figure of that many small axes, at most three in a row, with one scale upwards."""
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(0.6 + 2.2 * columns, 0.9 + 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def legend(figure: Figure, named: Mapping[str, Any]) -> None:
    """Below the figure, in as many columns as fit."""
    room = 13.5 * float(figure.get_size_inches()[0])  # characters
    columns = max(1, min(6, len(named), int(room / (max(map(len, named), default=0) + 6))))
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns, frameon=False,
                  fontsize=7)  # fmt: skip


def save(figure: Figure, path: Path) -> None:
    """Written whole, in the format of the suffix, without dates: the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    formats = tuple(sorted(figure.canvas.get_supported_filetypes()))
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in formats:
        raise UsageError(f"{path}: cannot draw {path.suffix or 'a file without suffix'}; take .png, .svg or .pdf")
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix, {})
    scratch = path.with_name(f".{path.stem}.{os.getpid()}.{suffix}")
    import matplotlib as mpl

    try:
        with mpl.rc_context({"svg.hashsalt": "actbench"}):
            figure.savefig(scratch, dpi=200, metadata=metadata)
        figure.set_layout_engine(None)  # what is laid out once stays, and the next format draws it once
        scratch.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def activation_curves(curves: dict[str, tuple[Any, Any, Any]]) -> Figure:
    """f and f' over z. curves: name -> (z, f, f'), each (points,)."""
    figure = Figure(figsize=(6.8, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for name, (z, values, slopes) in curves.items():
        line = style(name.partition("(")[0])
        left.plot(z, values, label=name, **line)
        right.plot(z, slopes, **line)
    for axis, title in ((left, "f(z)"), (right, "f′(z)")):
        axis.set_title(title, **_STYLE)
        axis.set_xlabel("z", **_STYLE)
        axis.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axis.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        plain(axis)
    figure.legend(loc="outside lower center", ncols=-(-len(curves) // -(-len(curves) // 6)), frameon=False, fontsize=8)
    return figure


_FAR = 4.0  # times the middle half's width below it: a point there would press all others together


def accuracy_dots(runs: pd.DataFrame) -> Figure:
    """A point a run and a bar at the mean, a panel a setting, best activation on top; what lies far below most runs is
    an arrowhead at the edge.

    runs: rows of runs.csv, all with a test accuracy, and columns setting and series of tables.labelled.
    """
    panels = list(runs.groupby("setting", sort=False))
    names = max(frame["series"].nunique() for _, frame in panels)
    looks = styles(runs["series"])
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.3 * columns + 0.6, rows * (0.7 + 0.19 * names)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis, (setting, frame) in zip(axes, panels, strict=False):
        means = frame.groupby("series", sort=False)["test_accuracy"].mean().sort_values()
        lower, upper = np.quantile(frame["test_accuracy"], [0.25, 0.75])
        edge = 100 * max(frame["test_accuracy"].min(), lower - _FAR * max(upper - lower, 0.005))
        for place, (name, mean) in enumerate(means.items()):
            values = 100 * frame.loc[frame["series"] == name, "test_accuracy"]
            colour = looks[str(name)]["color"]
            for shown, marker in ((values[values >= edge], "o"), (np.full((values < edge).sum(), edge), "<")):
                axis.plot(
                    shown, np.full(len(shown), place), marker, color=colour, markersize=3, alpha=0.5, markeredgewidth=0
                )
            if 100 * mean >= edge:
                axis.plot(100 * mean, place, "|", color=colour, markersize=10, markeredgewidth=2)
        axis.set_yticks(range(len(means)), list(means.index))
        axis.set_ylim(-0.7, len(means) - 0.3)
        axis.set_title(str(setting), **_STYLE)
        axis.set_xlabel("test accuracy (%)", **_STYLE)
        axis.grid(axis="x", color="0.9", linewidth=0.6)
        plain(axis)
    return figure


def costs(table: pd.DataFrame) -> Figure:
    """Nanoseconds an output, forward filled and backward hollow, quartiles as lines; a panel a size, dearest on top.

    table: columns activation, size, direction, low_ns, median_ns, high_ns; the row `copy` is drawn as a dashed line.
    """
    sizes = list(dict.fromkeys(table["size"]))
    shown = table[table["activation"] != "copy"]
    looks = styles(shown["activation"])
    order = shown[shown["size"] == sizes[-1]].groupby("activation", sort=False)["median_ns"].sum().sort_values()
    figure = Figure(figsize=(6.8, 1.1 + 0.16 * len(order)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(sizes), sharey=True))
    for axis, size in zip(axes, sizes, strict=True):
        for direction, filled in (("forward", True), ("backward", False)):
            own = shown[(shown["size"] == size) & (shown["direction"] == direction)].set_index("activation")
            for place, name in enumerate(order.index):
                low, middle, high = own.loc[name, ["low_ns", "median_ns", "high_ns"]]
                colour = looks[str(name)]["color"]
                axis.plot([low, high], [place, place], color=colour, linewidth=1)
                axis.plot(middle, place, "o", markersize=4, color=colour, markerfacecolor=colour if filled else "white")
        floor = table.loc[(table["activation"] == "copy") & (table["size"] == size), "median_ns"].iloc[0]
        axis.axvline(floor, color="0.4", linewidth=0.8, linestyle="--")
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_title(size, **_STYLE)
        axis.set_xlabel("ns an output (dashed: copy)", **_STYLE)
        axis.grid(axis="x", color="0.9", linewidth=0.6)
        axis.set_yticks(range(len(order)), list(order.index))
        axis.set_ylim(-0.7, len(order) - 0.3)
        plain(axis)
    axes[0].plot([], [], "o", color="0.3", markersize=4, label="forward")
    axes[0].plot([], [], "o", color="0.3", markersize=4, markerfacecolor="white", label="backward")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def plain(axis: Any) -> None:
    axis.tick_params(labelsize=7, which="both")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
