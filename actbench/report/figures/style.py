"""Colours, sizes, panels and files of figures. A colour is the verdict of an activation against the baseline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from actbench.errors import UsageError
from actbench.signals import replaced_file

# Green, slate and orange differ for colour-blind readers, and in lightness from the light grey.
_GREEN, _SLATE, _GREY, _ORANGE = "#1B7F3B", "#56606B", "#A9AFB6", "#B85C00"
BASELINE = "#000000"
VERDICTS = {
    "better": _GREEN, "slightly better": _GREEN, "equal": _SLATE, "inconclusive": _GREY, "slightly worse": _ORANGE,
    "worse": _ORANGE, "no verdict": _GREY,
}  # fmt: skip
SHOWN_SMALL = ("slightly better", "slightly worse", "inconclusive", "no verdict")  # drawn hollow
BAND = "#EDF0F3"  # of the margin
BEHIND = "#C9CDD2"  # what is drawn behind for orientation

WIDTH, NARROW = 6.8, 3.4  # inches: two columns of a page, and one column or a phone
TEXT = {"fontsize": 8}
SMALL = {"fontsize": 7}


def marker(verdict: str) -> dict[str, Any]:
    """Keywords of a point: filled in the colour of a verdict, or hollow where it shows a small difference or none."""
    colour = VERDICTS[verdict]
    return {"marker": "o", "color": colour, "markerfacecolor": "white" if verdict in SHOWN_SMALL else colour}


def panels(count: int, height: float, narrow: bool = False, columns: int = 3, **keywords: Any) -> tuple[Figure, Any]:
    """A figure of `count` axes of `height` inches, at most `columns` a row, and the axes; narrow: stacked.

    keywords: of Figure.subplots, such as sharex and sharey.
    """
    columns = 1 if narrow else min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(NARROW if narrow else WIDTH, 0.5 + height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **keywords).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def legend(figure: Figure, artists: Mapping[str, Any]) -> None:
    """Adds a legend above the figure, in as many columns as fit. artists: by label."""
    room = 13.5 * float(figure.get_size_inches()[0])  # characters
    columns = max(1, min(6, len(artists), int(room / (max(map(len, artists), default=0) + 6))))
    figure.legend(list(artists.values()), list(artists), loc="outside upper center", ncols=columns, frameon=False,
                  fontsize=7)  # fmt: skip


def plain(axis: Any) -> None:
    """Small tick labels, and no spines at the top and on the right."""
    axis.tick_params(labelsize=7, which="both")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def save_figure(figure: Figure, path: Path) -> None:
    """Writes or replaces `path` in the format of its suffix, without dates: the same figure gives the same bytes.

    Fonts in PDF are TrueType, as journals ask. Raises UsageError for a format that matplotlib does not write, or where
    the file cannot be written.
    """
    FigureCanvasAgg(figure)
    formats = tuple(sorted(figure.canvas.get_supported_filetypes()))
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in formats:
        raise UsageError(f"{path}: cannot draw {path.suffix or 'a file without suffix'}; take .png, .svg or .pdf")
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix, {})
    import matplotlib as mpl

    try:
        with mpl.rc_context({"svg.hashsalt": "actbench", "pdf.fonttype": 42}), replaced_file(path) as scratch:
            figure.savefig(scratch, format=suffix, dpi=200, metadata=metadata)
        figure.set_layout_engine(None)  # the layout is final: the next format does not compute it again
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
