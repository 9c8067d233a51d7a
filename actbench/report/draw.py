"""Saves the figures of a report, each for two columns and for one."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from actbench.report.figures.style import save_figure
from actbench.report.formats.blocks import FIGURES, Figure

WIDE = ("svg", "pdf", "png")  # formats of a figure of two columns
READ = "svg"  # by Markdown, HTML and PDF; LaTeX and other documents of one's own take the others
NARROW = ("svg", "pdf")  # of its variant for one column, NAME_narrow

Make = Callable[[bool], Drawing]  # narrow -> the figure
Draw = Callable[[Make, str, str], Figure]  # figure, name, caption


def drawer(folder: Path, save_elsewhere: Callable[[Drawing, Path], None] | None = save_figure) -> Draw:
    """A function that saves a figure in `folder`/figures, after the figures of an earlier report are removed.

    save_elsewhere: saves all but SVG; None: they are not drawn.
    """
    figures = folder / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    for path in figures.glob("*.*"):
        if path.suffix.lstrip(".") in WIDE:
            path.unlink()

    def draw(make: Make, name: str, caption: str) -> Figure:
        for narrow, formats in ((False, WIDE), (True, NARROW)):
            drawing = make(narrow)
            for suffix in formats:
                save = save_figure if suffix == READ else save_elsewhere
                if save is not None:
                    save(drawing, figures / f"{name}{'_narrow' * narrow}.{suffix}")
        return Figure(f"{FIGURES}/{name}", caption, narrow=True)

    return draw
