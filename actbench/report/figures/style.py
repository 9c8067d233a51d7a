"""Colours, sizes, panels and files of figures. A colour is the verdict of an activation against the baseline."""

import contextlib
import difflib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from actbench.errors import UsageError, one_line, printable
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
_NARROW_BELOW = 5.0  # inches: panels below each other instead of side by side
# Of saved files: TrueType fonts, and the hyphen as minus, since a second font for one sign takes as long as a figure.
_SAVED = {"svg.hashsalt": "actbench", "pdf.fonttype": 42, "axes.unicode_minus": False}
_OF_SCREENS = ("backend", "interactive", "text.usetex")  # of a style file; what they need may not be there
TEXT = {"fontsize": 8}
SMALL = {"fontsize": 7}


def is_narrow(width: float) -> bool:
    """Whether a figure of so many inches is laid out for one column of a page."""
    return width < _NARROW_BELOW


def marker(verdict: str) -> dict[str, Any]:
    """Keywords of a point: filled in the colour of a verdict, or hollow where it shows a small difference or none."""
    colour = VERDICTS[verdict]
    return {"marker": "o", "color": colour, "markerfacecolor": "white" if verdict in SHOWN_SMALL else colour}


def plain(axis: Any) -> None:
    """Small tick labels, and no spines at the top and on the right."""
    axis.tick_params(labelsize=7, which="both")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _plain_texts(figure: Figure) -> None:
    """Draws every text of a figure as it is: no mathematics between dollars, no character that XML does not allow."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text("\n".join(map(printable, text.get_text().split("\n"))))


def styled(path: str | None) -> contextlib.AbstractContextManager[None]:
    """A block in which figures are drawn by a style file, or a style of matplotlib. Raises UsageError for another."""
    if path is None:
        return contextlib.nullcontext()
    import matplotlib as mpl
    from matplotlib import style

    if not Path(path).is_file():
        if path not in style.library:
            raise UsageError(
                f"--style {path}: no such file; name a style file, or a style of matplotlib such as ggplot"
            )
        return mpl.rc_context({key: value for key, value in style.library[path].items() if key not in _OF_SCREENS})
    with _silent():
        try:
            settings = mpl.rc_params_from_file(path, fail_on_error=True, use_default_template=False)
        except Exception as error:  # of many kinds
            raise UsageError(f"--style {path}: is no style file of matplotlib ({one_line(error)})") from error
    keys = [line.partition(":")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    for key in keys:
        if key and not key.startswith("#") and key not in mpl.rcParams:  # matplotlib skips it with a line in its log
            near = difflib.get_close_matches(key, list(mpl.rcParams), n=1)
            raise UsageError(f"--style {path}: matplotlib has no {key}{f'; near: {near[0]}' if near else ''}")
    return mpl.rc_context({key: value for key, value in settings.items() if key not in _OF_SCREENS})


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without what matplotlib logs about a file that it then refuses."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def save_figure(figure: Figure, path: Path) -> None:
    """Writes or replaces `path` in the format of its suffix, without dates: the same figure gives the same bytes.

    Fonts in PDF are TrueType, as journals ask. Raises UsageError for a format that matplotlib does not write, or where
    the file cannot be written.
    """
    FigureCanvasAgg(figure)
    _plain_texts(figure)
    formats = tuple(sorted(figure.canvas.get_supported_filetypes()))
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in formats:
        raise UsageError(f"{path}: cannot draw {path.suffix or 'a file without suffix'}; take .png, .svg or .pdf")
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix, {})
    import matplotlib as mpl

    try:
        with mpl.rc_context(_SAVED), replaced_file(path) as scratch:
            figure.savefig(scratch, format=suffix, dpi=200, metadata=metadata)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
