"""Many small panels of one figure, drawn in a single axes: an axes each would take most of the time of a report."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from actbench.analysis.statistics import Array
from actbench.experiment.scores import ACCURACY, Metric
from actbench.report.figures.panels import ink, wrapped
from actbench.report.figures.style import BEHIND, SMALL, TEXT

Box = tuple[float, float, float, float]  # left, top, width, height of a panel, in inches from the upper left corner

_TICK = 0.12  # inches between two numbers
_GRID = "#E6E9EC"


@dataclass(frozen=True)
class Band:
    """A line of scores over steps with a band. line: (points, 2), steps and means; low, high: (points,)."""

    line: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Cell:
    """What one small panel shows. behind: a line of orientation, (points, 2)."""

    band: Band
    behind: Array | None
    colour: str


@dataclass
class Sheet:
    """A figure of width x height inches to which panels and texts are added."""

    width: float
    height: float
    _grid: list[Array] = field(default_factory=list)
    _lines: list[tuple[Array, str, float]] = field(default_factory=list)
    _bands: list[tuple[Array, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._figure = Figure(figsize=(self.width, self.height))
        self._axis: Any = self._figure.add_axes((0, 0, 1, 1), xlim=(0, self.width), ylim=(self.height, 0))
        self._axis.set_axis_off()

    def draw(
        self, cell: Cell, box: Box, limits: tuple[float, float], length: float, values: bool, steps: bool,
        metric: Metric = ACCURACY,
    ) -> None:  # fmt: skip
        """Adds a panel. limits: of scores; length: of the axis of steps. values, steps: with numbers at these axes."""
        x, y, width, height = box
        low, high = limits
        scale, start = np.array([width / max(length, 1), -height / (high - low)]), np.array([x, y + height])

        def placed(points: Array) -> Array:
            return np.asarray(start + (points - [0, low]) * scale)

        ticks = _ticks(low, high, height)
        grid = [placed(np.array([[0, tick], [length, tick]])) for tick in ticks]
        self._grid += grid
        if values:
            for tick, line in zip(ticks, grid, strict=True):
                self._text(x - 0.04, line[0, 1], f"{metric.factor * tick:g}", "right", "center")
        if steps:
            for share, text, side in ((0.0, "0", "left"), (0.5, "step", "center"), (1.0, f"{length:.0f}", "right")):
                self._text(x + share * width, y + height + 0.03, text, side, "top")
        if cell.behind is not None:
            self._lines += [(line, BEHIND, 2.2) for line in above(placed(cell.behind), y + height)]
        known = cell.band.line[:, 0]
        steps_between = np.union1d(known, np.linspace(known[0], known[-1], 200))  # cut at the edges
        lower, upper = (
            np.clip(np.interp(steps_between, known, values), low, high) for values in (cell.band.low, cell.band.high)
        )
        ends = np.concatenate([steps_between, steps_between[::-1]])
        outline = placed(np.column_stack([ends, np.concatenate([lower, upper[::-1]])]))
        self._bands.append((outline, cell.colour))
        line = placed(cell.band.line)
        self._lines += [(part, cell.colour, 1.0) for part in above(line, y + height)]
        if line[-1, 1] > y + height:
            self._arrow(x + width, y + height, metric.mark(cell.band.line[-1, 1]), cell.colour)

    def _arrow(self, x: float, y: float, text: str, colour: str) -> None:
        self._axis.plot(x - 0.05, y - 0.03, "v", color=colour, markersize=4.5, markeredgewidth=0)
        self._text(x - 0.11, y - 0.01, text, "right", "bottom", colour)

    def _text(self, x: float, y: float, text: str, across: str, down: str, colour: str = "black") -> None:
        self._axis.text(x, y, text, ha=across, va=down, color=ink(colour), **SMALL)

    def title(self, x: float, y: float, text: str, width: float) -> None:
        """A centred title whose last line stands on y, wrapped to the width."""
        self._axis.text(x, y, wrapped(text, width), ha="center", va="bottom", linespacing=1.0, **TEXT)

    def label(self, x: float, y: float, text: str) -> None:
        """The label of a row, right of which panels begin."""
        self._text(x, y, text, "right", "center")

    def name(self, x: float, y: float, text: str) -> None:
        """The name of a panel above its left corner."""
        self._text(x, y, text, "left", "bottom")

    def axis_name(self, values: str) -> None:
        """What the vertical axis of all panels is, at the left edge of the figure."""
        self._axis.text(0.04, self.height / 2, values, ha="left", va="center", rotation=90, **TEXT)

    def finish(self) -> Figure:
        """The figure with all that was added."""
        if self._bands:
            shapes, colours = zip(*self._bands, strict=True)
            self._axis.add_collection(PolyCollection(shapes, facecolors=colours, alpha=0.18, linewidths=0, zorder=1))
            self._axis.add_collection(LineCollection(self._grid, colors=_GRID, linewidths=0.6, zorder=0))
            lines, colours, widths = zip(*self._lines, strict=True)
            self._axis.add_collection(LineCollection(lines, colors=colours, linewidths=widths, zorder=2))
        return self._figure


def above(line: Array, edge: float) -> Iterable[Array]:
    """The parts of a line (points, 2), whose second axis points down, that are above `edge`."""
    inside = line[:, 1] <= edge
    crossed = np.flatnonzero(inside[1:] != inside[:-1])
    share = (edge - line[crossed, 1]) / (line[crossed + 1, 1] - line[crossed, 1])
    points = line[crossed] + share[:, None] * (line[crossed + 1] - line[crossed])
    line = np.insert(line, crossed + 1, points, axis=0)
    inside = np.insert(inside, crossed + 1, True)
    for part in np.split(np.arange(len(line)), np.flatnonzero(inside[1:] != inside[:-1]) + 1):
        if inside[part[0]]:
            yield line[part]


def _ticks(low: float, high: float, height: float) -> list[float]:
    """A few round values of an axis of `height` inches, whose numbers do not overlap."""
    for most in (3, 2, 1):
        values = MaxNLocator(nbins=most, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = [float(tick) for tick in values if low <= tick <= high]
        if len(ticks) < 2 or (ticks[1] - ticks[0]) * height / (high - low) >= _TICK:
            return ticks
    return ticks[:1]
