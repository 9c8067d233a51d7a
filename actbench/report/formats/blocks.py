"""A document as blocks of text, tables and figures, before it is written in any language.

Text in blocks knows **bold**, `code` and [links](https://...), http and https alone; everything else in it is literal,
and all of it where `literal` was called.
"""

import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from actbench.errors import printable

FIGURES = "figures"  # folder of a report's figures, beside it


@dataclass(frozen=True)
class Heading:
    """A heading of a level."""

    level: int  # 1: the title
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text. role: `lead` is larger and stands out, `note` is small and grey."""

    text: str
    role: str = ""


@dataclass(frozen=True)
class Items:
    """A list of texts with bullets."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A frame of texts. colours: hex colour, such as `#b35900`, by the whole text of the cells that have it."""

    frame: pd.DataFrame
    caption: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A picture. name: path in the document's folder, without suffix. width: share of the width of the text.

    narrow: NAME_narrow lies beside it and takes its place on a narrow screen.
    """

    name: str
    caption: str
    width: float = 1.0
    narrow: bool = False


Block = Heading | Paragraph | Items | Table | Figure

_NUMBER = re.compile(r"^$|^[<>≤≥≈]?[+\-−]?\.?\d|^(never|none)\b|^n/a$")
_LINE = 100  # characters of a row up to which no text wraps
_WRAPPED = 24  # characters of a text that wraps, unless a word is longer
_WIDEST = 60  # characters of the longest word for which a column grows
_GAP = 2  # characters between columns
_LINK = r"https?://[^\s\\()<>{}\"'`^|]+|(?:\.\./)*[\w-][\w./-]*"  # or a path beside the document
_INLINE = re.compile(rf"\*\*(.+?)\*\*|`(.+?)`|\[([^\[\]]+)\]\(({_LINK})\)")
_MARKING = "*`["  # without these characters there is no mark
_NO_MARKS = str.maketrans(_MARKING, "\ufdd0\ufdd1\ufdd2")  # Unicode keeps them for use inside a program
_AGAIN = str.maketrans("\ufdd0\ufdd1\ufdd2", _MARKING)


def literal(text: str) -> str:
    """A text from outside, a user's for example, in which nothing is a mark."""
    return printable(text).translate(_NO_MARKS)


@dataclass(frozen=True)
class Marks:
    """How one language writes plain text, bold, code, links and, with a hex colour, coloured text."""

    plain: Callable[[str], str] = str
    bold: Callable[[str], str] = str
    code: Callable[[str], str] = str
    link: Callable[[str, str], str] = lambda label, url: label
    coloured: Callable[[str, str], str] = lambda inner, colour: inner

    def inline(self, text: str) -> str:
        """The text with its marks in this language."""
        parts = _INLINE.split(text)
        written = self.plain(parts[0].translate(_AGAIN))
        for bold, code, label, url, plain in zip(*(parts[start::5] for start in range(1, 6)), strict=True):
            link = self.link(self.plain(label.translate(_AGAIN)), url) if label else ""
            written += self.bold(self.inline(bold)) if bold else self.code(code.translate(_AGAIN)) if code else link
            written += self.plain(plain.translate(_AGAIN))
        return written


UNMARKED = Marks().inline  # the text without its marks
TERMINAL = Marks(code=lambda text: f"`{text}`").inline  # the text as it is printed


@dataclass(frozen=True)
class Column:
    """The layout of a column. width: characters that it needs, with the space to the next one."""

    head: tuple[str, ...]  # lines of its title
    number: bool  # aligned right, and no cell wraps
    wraps: bool
    width: int


def columns(frame: pd.DataFrame) -> list[Column]:
    """The layout of each column: texts wrap where a row is longer than a line, numbers with their intervals never."""
    table = [[UNMARKED(str(cell)) for cell in column] for _, column in frame.items()]
    longest = [max(map(len, cells), default=0) for cells in table]
    layout = []
    for index, (title, cells, width) in enumerate(zip(map(str, frame.columns), table, longest, strict=True)):
        number = index > 0 and all(map(_NUMBER.match, cells))
        wraps = not number and width > _WRAPPED and sum(longest) + _GAP * len(longest) > _LINE
        if wraps:
            width = min(_WIDEST, max(_WRAPPED, *map(len, " ".join(cells).split())))
        head = [title]
        if UNMARKED(title) == title:  # marks do not go on in the next line
            most = max(width, len(title) // 3, 8)
            title = title.replace(" %", "\u00a0%")
            head = textwrap.wrap(title, most, break_long_words=False, break_on_hyphens=False)
        layout.append(Column(tuple(head), number, wraps, max(width, *map(len, map(UNMARKED, head)), 0) + _GAP))
    return layout
