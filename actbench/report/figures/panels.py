"""Panels at fixed places, which are much faster to draw than a layout that is computed from the texts."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from actbench.analysis.differences import NO_VERDICT
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import Array
from actbench.report.figures.style import BAND, BASELINE, SMALL, TEXT, VERDICTS, WIDTH, is_narrow, plain

POINTS = 4.3  # the mean width of a character of 7 points, in points
_TITLE = 4.8  # of 8 points
_LINE = 0.125  # inches, the height of another line of a title
_ENTRIES = {False: 8, True: 3}  # of a legend in one row, by whether the figure is narrow
_CLEAR = 1.5  # times half the size of a name: closer to another line, it could be that line's name


def fixed_panels(
    titles: Sequence[str], height: float, columns: int, width: float = WIDTH, left: float = 0.5, bottom: float = 0.5,
    top: float = 0.3, right: float = 0.1, gap: tuple[float, float] = (0.35, 0.6), **keywords: Any,
) -> tuple[Figure, list[Any]]:  # fmt: skip
    """A figure of a panel of `height` per title, `columns` in a row, and their axes. All sizes are in inches.

    left, bottom, top, right: margins around all panels. gap: between two panels, horizontally and vertically; it and
    `top` are for titles of one line, and grow where a title is wrapped. keywords: of Figure.subplots.
    """
    rows = -(-len(titles) // columns)
    panel = (width - left - right - (columns - 1) * gap[0]) / columns
    texts = [wrapped(title, panel + gap[0]) for title in titles]
    extra = _LINE * max(text.count("\n") for text in texts)
    top, between = top + extra, gap[1] + extra
    total = top + rows * height + (rows - 1) * between + bottom
    figure = Figure(figsize=(width, total))
    axes = figure.subplots(rows, columns, squeeze=False, **keywords).ravel()
    figure.subplots_adjust(
        left / width, bottom / total, 1 - right / width, 1 - top / total, gap[0] / panel, between / height
    )
    for axis in axes[len(titles) :]:
        axis.set_axis_off()
    for axis, text in zip(axes, texts, strict=False):
        plain(axis)
        axis.set_title(text, pad=4, linespacing=1.0, **TEXT)
    return figure, list(axes[: len(titles)])


def wrapped(text: str, width: float) -> str:
    """A title of 8 points, in several lines where it is wider than `width` inches."""
    return textwrap.fill(text, max(10, int(72 * width / _TITLE)))


def inches(axis: Any) -> tuple[float, float]:
    """Width and height of a panel."""
    box, (width, height) = axis.get_position(), axis.figure.get_size_inches()
    return float(box.width * width), float(box.height * height)


def crowded(axis: Any, places: Array, labels: Sequence[str]) -> int:
    """Of how many tick labels one is drawn, so that they do not overlap. places: (ticks,), ascending, in data units."""
    if len(places) < 2:
        return 1
    scale = 72 * inches(axis)[0] / float(np.diff(axis.get_xlim())[0])
    return math.ceil((POINTS * max(map(len, labels)) + 2) / (scale * float(np.diff(places).min())))


def legend_height(entries: Sequence[Line2D], width: float) -> float:
    """The height of `bottom_legend` in inches."""
    return 0.05 + 0.16 * math.ceil(len(entries) / _ENTRIES[is_narrow(width)])


def bottom_legend(figure: Figure, entries: Sequence[Line2D], width: float) -> None:
    """A legend at the lower edge."""
    figure.legend(handles=list(entries), loc="lower center", ncols=_ENTRIES[is_narrow(width)], frameon=False,
                  borderaxespad=0.1, handlelength=1.2, columnspacing=1.0, handletextpad=0.4, **SMALL)  # fmt: skip


def verdict_entries(comparisons: Sequence[Comparison]) -> list[Line2D]:
    """Entries of a legend: the colours of the verdicts that occur; `(slightly) worse` are two in one colour."""
    found = {difference.verdict for comparison in comparisons for difference in comparison.differences.values()}
    shades: dict[str, list[str]] = {}
    for verdict in sorted(found, key=list(VERDICTS).index):
        shades.setdefault(VERDICTS[verdict], []).append(verdict)
    texts = {shade: " or ".join(words) for shade, words in shades.items()}
    for word in ("better", "worse"):
        if {word, f"slightly {word}"} <= found:
            texts[VERDICTS[word]] = f"(slightly) {word}"
    return [Line2D([], [], color=shade, linewidth=1.4, label=text) for shade, text in texts.items()]


def colour(comparison: Comparison, series: str) -> str:
    """The colour of a series' verdict against the baseline in one task; the baseline's own is black."""
    if series == comparison.baseline:
        return BASELINE
    difference = comparison.differences.get(series)
    return VERDICTS[difference.verdict if difference else NO_VERDICT]


def ink(shade: str) -> str:
    """The colour of a text about something that is drawn in `shade`: light grey is too light for letters."""
    return VERDICTS["equal"] if shade == VERDICTS[NO_VERDICT] else shade


def highlighted(comparison: Comparison) -> list[str]:
    """The series that a panel names: the baseline, the highest mean, and the lowest of those that are worse.

    Where none is worse, the lowest that is slightly worse.
    """
    found = [comparison.baseline, *comparison.ranking[:1]]
    for verdict in ("worse", "slightly worse"):
        names = [name for name, difference in comparison.differences.items() if difference.verdict == verdict]
        if names:
            found.append(max(names, key=comparison.ranking.index))
            break
    return list(dict.fromkeys(found))


def write_names(axis: Any, lines: Mapping[str, Array], colours: Mapping[str, str]) -> None:
    """Writes the names of some lines above or below them, each where it is farthest from all other lines.

    lines: (points, 2) in data units, of all lines of the panel, whose limits are set. colours: of those to name, the
    first in any case, and others where they are not mistaken for the name of another line.
    """
    size = 72 * np.array(inches(axis))
    start, end = np.array([axis.get_xlim(), axis.get_ylim()]).T
    dense = {name: _between((points - start) / (end - start) * size) for name, points in lines.items()}
    taken = np.concatenate(list(dense.values()))
    for number, (name, shade) in enumerate(colours.items()):
        half = np.array([0.5 * POINTS * len(name) + 2, 5.0])
        places = np.concatenate([dense[name] + [0, 8], dense[name] - [0, 8]])
        inside = (places[:, 0] >= half[0]) & (places[:, 0] <= size[0] - half[0] + 4)
        inside &= (places[:, 1] >= 18) & (places[:, 1] <= size[1] + 4)  # arrows stand at the lower edge
        distances = (np.abs(places[:, None] - taken[None]) / half).max(2).min(1)
        free = np.where(inside, np.minimum(distances, _CLEAR), 0.0)
        if free.max() < (_CLEAR if number else 1e-9):
            continue
        best = places[int(np.argmax(free))]
        x, y = best / size * (end - start) + start
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5} if free.max() < 1 else None
        axis.text(x, y, name, color=ink(shade), ha="center", va="center", zorder=5, bbox=behind, **SMALL)
        box = np.linspace(-half[0], half[0], 9)
        taken = np.concatenate([taken, best + np.column_stack([box, np.zeros(9)])])


def _between(points: Array) -> Array:
    """Points about 4 units apart on the segments between points (points, 2)."""
    parts = [points[-1:]]
    for one, other in pairwise(points):
        count = min(200, int(np.hypot(*(other - one)) / 4) + 1)
        parts.append(one + np.linspace(0, 1, count, endpoint=False)[:, None] * (other - one))
    return np.concatenate(parts)


def label_width(names: Sequence[str]) -> float:
    """Inches left of panels whose rows have these labels."""
    return 0.15 + POINTS / 72 * max(map(len, names), default=0)


def shortened(name: str, width: float) -> str:
    """A label that `width` inches left of a panel have room for: without its beginning, where it is too long."""
    most = int(72 / POINTS * (width - 0.15) + 1e-6)  # `label_width` of a name is enough for it
    return name if len(name) <= most else f"…{name[1 - most :]}"


def rows(axis: Any, names: Sequence[str], labels: bool) -> None:
    """A row per name, the first on top, on light lines. labels: with the names beside them.

    Texts and one collection of lines, as ticks take several times as long to draw.
    """
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    across = axis.get_yaxis_transform()
    axis.hlines(range(len(names)), 0, 1, transform=across, color=BAND, linewidth=0.8, zorder=0)
    for place, name in enumerate(names if labels else []):
        axis.text(-0.05 / inches(axis)[0], place, name, transform=across, ha="right", va="center", **SMALL)
