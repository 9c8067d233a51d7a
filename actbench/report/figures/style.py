"""Colours, line styles, panels and files of figures."""

from collections import Counter
from collections.abc import Mapping
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
_FREQUENT = (
    "gelu",
    "leaky_relu",
    "tanh",
    "maxout",
    "silu",
    "elu",
    "relu",
    "swiglu",
    "sigmoid",
    "prelu",
    "selu",
    "mish",
)

WIDTH = 6.8  # inches, of a page's text
TEXT = {"fontsize": 8}


def style(activation: str) -> dict[str, str]:
    """Colour and line style of an activation, the same in every figure; frequent activations differ in colour."""
    names = [*_FREQUENT, *(name for name in TABLE if name not in _FREQUENT)]
    index = names.index(activation) if activation in names else sum(map(ord, activation)) + len(names)
    return {"color": PALETTE[index % len(PALETTE)], "linestyle": DASHES[index // len(PALETTE) % len(DASHES)]}


def styles(activations: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Colour and line style by series. activations: of each series.

    The second and later series of an activation have its colour, paler, and other dashes.
    """
    looks: dict[str, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for series, activation in activations.items():
        look, number = style(activation), seen[activation]
        seen[activation] += 1
        if number:
            first, paler = DASHES.index(look["linestyle"]), [0.0, 0.3, 0.5][min(number, 2)]
            looks[series] = {
                "color": tuple(part + (1 - part) * paler for part in to_rgb(look["color"])),
                "linestyle": DASHES[(first + number) % len(DASHES)],
            }
        else:
            looks[series] = {**look}
    return looks


def panels(count: int) -> tuple[Figure, Any]:
    """A figure of `count` small axes, at most three in a row, with a common vertical scale, and the axes."""
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(0.6 + 2.2 * columns, 0.9 + 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def legend(figure: Figure, artists: Mapping[str, Any]) -> None:
    """Adds a legend below the figure, in as many columns as fit. artists: by label."""
    room = 13.5 * float(figure.get_size_inches()[0])  # characters
    columns = max(1, min(6, len(artists), int(room / (max(map(len, artists), default=0) + 6))))
    figure.legend(list(artists.values()), list(artists), loc="outside lower center", ncols=columns, frameon=False,
                  fontsize=7)  # fmt: skip


def save_figure(figure: Figure, path: Path) -> None:
    """Writes or replaces `path` in the format of its suffix, without dates: the same figure gives the same bytes.

    Raises UsageError for a format that matplotlib does not write, or where the file cannot be written.
    """
    FigureCanvasAgg(figure)
    formats = tuple(sorted(figure.canvas.get_supported_filetypes()))
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in formats:
        raise UsageError(f"{path}: cannot draw {path.suffix or 'a file without suffix'}; take .png, .svg or .pdf")
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix, {})
    import matplotlib as mpl

    try:
        with mpl.rc_context({"svg.hashsalt": "actbench"}), replaced_file(path) as scratch:
            figure.savefig(scratch, format=suffix, dpi=200, metadata=metadata)
        figure.set_layout_engine(None)  # the layout is final: the next format does not compute it again
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def plain(axis: Any) -> None:
    """Small tick labels, and no spines at the top and on the right."""
    axis.tick_params(labelsize=7, which="both")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
