"""A document as blocks of text, tables and figures, before it is written in any language.

Text in blocks knows **bold**, `code` and [links](https://...); everything else in it is literal.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

FIGURES = "figures"  # folder of a report's figures, beside it


@dataclass(frozen=True)
class Heading:
    """A heading of a level."""

    level: int  # 1: the title
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: str
    role: str = ""


@dataclass(frozen=True)
class Items:
    """A list of texts with bullets."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A frame of texts; its first column is aligned left, columns of numbers right."""

    frame: pd.DataFrame
    caption: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A picture. name: path in the document's folder, without suffix. width: share of the width of the text."""

    name: str
    caption: str
    width: float = 1.0
    narrow: bool = False


Block = Heading | Paragraph | Items | Table | Figure

_INLINE = re.compile(r"\*\*(.+?)\*\*|`(.+?)`|\[([^\[\]]+)\]\((\S+?)\)")


@dataclass(frozen=True)
class Marks:
    """How one language writes plain text, bold, code and links."""

    plain: Callable[[str], str]
    bold: Callable[[str], str]
    code: Callable[[str], str]
    link: Callable[[str, str], str]

    def inline(self, text: str) -> str:
        """The text with its marks in this language."""
        parts, end = [], 0
        for match in _INLINE.finditer(text):
            bold, code, label, url = match.groups()
            parts.append(self.plain(text[end : match.start()]))
            if bold is not None:
                parts.append(self.bold(self.inline(bold)))
            elif code is not None:
                parts.append(self.code(code))
            else:
                parts.append(self.link(self.plain(label), url))
            end = match.end()
        return "".join([*parts, self.plain(text[end:])])


def numeric(frame: pd.DataFrame) -> list[bool]:
    """Whether all cells of a column begin like numbers, for each column; never for the first."""
    digits = re.compile(r"^$|^[+\-−]?\.?\d|^(never|none)\b|^n/a$")
    return [
        index > 0 and all(digits.match(str(cell)) for cell in frame.iloc[:, index]) for index in range(frame.shape[1])
    ]


def title(blocks: Sequence[Block]) -> str:
    """The text of the first heading; empty without one."""
    return next((block.text for block in blocks if isinstance(block, Heading)), "")


def width(frame: pd.DataFrame, break_titles: bool = True) -> int:
    """Characters of the widest row with the space between columns. break_titles: a title may wrap between words."""
    longest = [
        max(
            [
                *(len(str(cell)) for cell in frame.iloc[:, index]),
                *map(len, str(name).split() if break_titles else [str(name)]),
            ]
        )
        for index, name in enumerate(frame.columns)
    ]
    return sum(longest) + 2 * len(longest)
