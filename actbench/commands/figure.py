"""`actbench figure`: one figure of a report or a sweep, in the width, format and style of a paper."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from actbench.analysis.labels import shown_names
from actbench.commands.report import (
    check_activations,
    chosen_activations,
    figure_makers,
    read_comparison,
    read_request,
    written_folder,
)
from actbench.errors import UsageError, nearest_names, one_line
from actbench.store.files import RUNS, holds_comparison, read_runs, read_series

if TYPE_CHECKING:
    from actbench.report.draw import Make

FORMATS = ("pdf", "svg", "png")
WIDTHS: Mapping[str, float] = {  # inches of a column, or of the text where a page has one; two: of both columns
    "acl": 3.03, "acl_two": 6.3, "icml": 3.25, "icml_two": 6.75, "ieee": 3.5, "ieee_two": 7.16, "iclr": 5.5,
    "neurips": 5.5, "jmlr": 6.0, "nature": 3.5, "nature_two": 7.2,
}  # fmt: skip
_UNITS = {"in": 1.0, "mm": 1 / 25.4, "cm": 1 / 2.54, "pt": 1 / 72.27}
_LEAST, _MOST = 2.5, 20.0  # inches


@dataclass(frozen=True)
class Look:
    """How a figure is drawn. width: inches. style: a style file of matplotlib. activations: shown; empty: all."""

    width: float = 6.8
    format: str = "pdf"
    style: str | None = None
    activations: Sequence[str] = ()


def look_of(width: str, format: str, style: str | None, activations: str | None) -> Look:
    """Checks what the command line says. Raises UsageError."""
    if format not in FORMATS:
        raise UsageError(f"--format {format}: not known; there are: {', '.join(FORMATS)}")
    return Look(inches_of(width), format, style, names_of(activations))


def names_of(activations: str | None) -> list[str]:
    """The names in `relu,gelu`. Raises UsageError."""
    names = [name.strip() for name in activations.split(",")] if activations is not None else []
    if "" in names:
        raise UsageError(f"--activations {activations!r}: write names with commas, relu,gelu")
    return names


def inches_of(width: str) -> float:
    """`3.3in`, `84mm`, `8.4cm`, `240pt` or the name of a venue in inches. Raises UsageError."""
    if width in WIDTHS:
        return WIDTHS[width]
    unit = next((unit for unit in _UNITS if width.endswith(unit)), "")
    with contextlib.suppress(ValueError):
        if unit and _LEAST <= (found := float(width.removesuffix(unit)) * _UNITS[unit]) <= _MOST:
            return found
    raise UsageError(
        f"--width {width}: write a length from {_LEAST:g}in to {_MOST:g}in, as 3.3in, 84mm or 240pt, or one of "
        f"{', '.join(WIDTHS)}"
    )


def figure(experiment: str, name: str | None, look: Look, out: str | None) -> int:
    """Draws a figure of results/<experiment>/ into a file; without a name it prints the names. Returns the exit code.

    out: the file, experiment-name.format in the current folder by default. Raises UsageError.
    """
    folder = written_folder(experiment)
    makers = _makers(folder, look.activations)
    if name is None:
        print("\n".join(makers))
        return 0
    if name not in makers:
        fewer = f" of {', '.join(look.activations)} alone" if look.activations else ""
        raise UsageError(f"no figure {name}{fewer}{nearest_names(name, list(makers))}")
    path = Path(out) if out is not None else Path(f"{experiment}-{name}.{look.format}")
    from actbench.report.figures.style import save_figure, styled

    with styled(look.style):
        try:
            save_figure(makers[name](look.width), path)
        except (ArithmeticError, RuntimeError, ValueError) as error:  # what a style makes of matplotlib
            if look.style is None or isinstance(error, UsageError):
                raise
            raise UsageError(f"--style {look.style}: {one_line(error)}") from error
    print(path)
    return 0


def _makers(folder: Path, activations: Sequence[str]) -> "dict[str, Make]":
    """What draws each figure, by name."""
    if not holds_comparison(folder):
        from actbench.report.sweep import sweep_figures

        runs = read_runs(folder / RUNS)
        names = runs["activation"].map(shown_names(runs["activation"]))
        check_activations(activations, [*names, *runs["activation"]])
        shown = runs[names.isin(activations) | runs["activation"].isin(activations)] if activations else runs
        return sweep_figures(shown.reset_index(drop=True), read_series(folder)["curves"])
    return figure_makers(chosen_activations(read_comparison(folder, read_request(folder)), activations))
