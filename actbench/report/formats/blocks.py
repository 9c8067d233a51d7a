"""A document as blocks of text, tables and figures, before it is written in any language.

Text in blocks knows **bold**, `code` and [links](https://...); everything else in it is literal.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

FIGURES = "figures"  # folder of a report's figures, beside it


@dataclass(frozen=True)
class Heading:
    level: int  # 1: the title
    text: str


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Items:
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """frame: of texts; the first column is set to the left, numbers to the right."""

    frame: pd.DataFrame
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """name: of a file in the document's folder, without its suffix. width: share of the text's width."""

    name: str
    caption: str
    width: float = 1.0


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
    """Columns whose cells all begin like numbers, the first column aside."""
    digits = re.compile(r"^$|^[+\-−]?\.?\d|^(never|none)\b|^n/a$")
    return [
        index > 0 and all(digits.match(str(cell)) for cell in frame.iloc[:, index]) for index in range(frame.shape[1])
    ]


def title(blocks: Sequence[Block]) -> str:
    return next((block.text for block in blocks if isinstance(block, Heading)), "")


def width(frame: pd.DataFrame, whole: bool = False) -> int:
    """Characters of the widest row with the space between columns. whole: titles do not break between words."""
    longest = [
        max(
            [*(len(str(cell)) for cell in frame.iloc[:, index]), *map(len, [str(name)] if whole else str(name).split())]
        )
        for index, name in enumerate(frame.columns)
    ]
    return sum(longest) + 2 * len(longest)
