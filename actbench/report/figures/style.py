"""Colours, line styles, panels and files of figures."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from actbench.activations.table import TABLE
from actbench.errors import UsageError
from actbench.signals import replaced_file

# Okabe & Ito 2008, colour-blind safe; black last. The yellow, unreadable on white, is left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")
OFTEN = ("gelu", "leaky_relu", "tanh", "maxout", "silu", "elu", "relu", "swiglu", "sigmoid", "prelu", "selu", "mish")

WIDTH = 6.8  # inches: of a page's text
TEXT = {"fontsize": 8}


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


def save_figure(figure: Figure, path: Path) -> None:
    """Written whole, in the format of the suffix, without dates: the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    formats = tuple(sorted(figure.canvas.get_supported_filetypes()))
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in formats:
        raise UsageError(f"{path}: cannot draw {path.suffix or 'a file without suffix'}; take .png, .svg or .pdf")
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix, {})
    import matplotlib as mpl

    try:
        with replaced_file(path) as scratch, mpl.rc_context({"svg.hashsalt": "actbench"}):
            figure.savefig(scratch, dpi=200, metadata=metadata)
        figure.set_layout_engine(None)  # what is laid out once stays, and the next format draws it once
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def plain(axis: Any) -> None:
    axis.tick_params(labelsize=7, which="both")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
