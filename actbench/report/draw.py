"""Saves the figures of a report, each for two columns and for one."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from actbench.report.figures.style import NARROW, WIDTH, save_figure
from actbench.report.formats.blocks import FIGURES, Figure

OF_WIDE = ("svg", "pdf", "png")  # formats of a figure of two columns
READ = "svg"  # by Markdown, HTML and PDF; LaTeX and other documents of one's own take the others
OF_NARROW = ("svg", "pdf")  # of its variant for one column, NAME_narrow

Make = Callable[[float], Drawing]  # width in inches -> the figure
Draw = Callable[[Make, str, str], Figure]  # figure, name, caption


def drawer(folder: Path, save_elsewhere: Callable[[Drawing, Path], None] | None = save_figure) -> Draw:
    """A function that saves a figure in `folder`/figures, after the figures of an earlier report are removed.

    save_elsewhere: saves all but SVG; None: they are not drawn.
    """
    figures = folder / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    for path in figures.glob("*.*"):
        if path.suffix.lstrip(".") in OF_WIDE:
            path.unlink()

    def draw(make: Make, name: str, caption: str) -> Figure:
        for ending, width, formats in (("", WIDTH, OF_WIDE), ("_narrow", NARROW, OF_NARROW)):
            drawing = make(width)
            for suffix in formats:
                save = save_figure if suffix == READ else save_elsewhere
                if save is not None:
                    save(drawing, figures / f"{name}{ending}.{suffix}")
        return Figure(f"{FIGURES}/{name}", caption, narrow=True)

    return draw


def collector(makers: dict[str, Make]) -> Draw:
    """A function that draws nothing, and notes by name what draws each figure."""

    def note(make: Make, name: str, caption: str) -> Figure:
        makers[name] = make
        return Figure(f"{FIGURES}/{name}", caption, narrow=True)

    return note


def drawn(folder: Path) -> Draw:
    """A function that draws a figure as SVG where `folder`/figures has none, and leaves those that it has."""

    def draw(make: Make, name: str, caption: str) -> Figure:
        for ending, width in (("", WIDTH), ("_narrow", NARROW)):
            path = folder / FIGURES / f"{name}{ending}.{READ}"
            if not path.is_file():
                path.parent.mkdir(exist_ok=True)
                save_figure(make(width), path)
        return Figure(f"{FIGURES}/{name}", caption, narrow=True)

    return draw
