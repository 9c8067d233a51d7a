"""A document in Typst, and as PDF compiled from that."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from actbench.report.formats.blocks import Block, Figure, Heading, Items, Marks, Paragraph, Table, numeric, title, width


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TYPST = Marks(
    plain=lambda text: re.sub(r"([\\*_`$#@<>\[\]~/\-+='\"])", r"\\\1", text),
    bold=lambda inner: f"#strong[{inner}];",
    code=lambda text: f"#raw({_string(text)});",
    link=lambda label, url: f"#link({_string(url)})[{label}];",
)
_TYPST_HEAD = """#set document(title: {title}, date: none)
#set page(paper: "a4", margin: (x: 2cm, y: 2.2cm), numbering: "1")
#set text(font: "Libertinus Serif", size: 10pt, lang: "en")
#set par(justify: true)
#show raw: set text(size: 9pt)
#show figure.where(kind: table): set figure.caption(position: top)
#show figure: set block(breakable: true)
#show figure.caption: set block(sticky: true)
#show table.cell.where(y: 0): strong
#show table: set par(justify: false)
#set table(stroke: none, inset: (x: 4pt, y: 2.5pt))
#set heading(numbering: none)
"""


_FULL = 95  # characters of 8 points that fit on a line


def typst(blocks: Sequence[Block]) -> str:
    """Source in Typst; figures are SVG files in its folder."""
    parts = [_TYPST_HEAD.format(title=_string(title(blocks)))]
    for block in blocks:
        match block:
            case Heading(level, text):
                parts.append(f"#heading(level: {level})[{_TYPST.inline(text)}]")
            case Paragraph(text):
                parts.append(_TYPST.inline(text))
            case Items(texts):
                parts.append("#list(" + "".join(f"[{_TYPST.inline(text)}], " for text in texts) + ")")
            case Table(frame, caption):
                parts.append(_typst_table(frame, caption))
            case Figure(name, caption, share):
                image = f"image({_string(name + '.svg')}, width: {100 * share:.0f}%)"
                parts.append(f"#figure({image}, caption: [{_TYPST.inline(caption)}])")
    return "\n\n".join(parts) + "\n"


def _typst_table(frame: pd.DataFrame, caption: str) -> str:
    """A wide table has a smaller font, and texts in a very wide one wrap."""
    are_numbers = numeric(frame)
    aligns = ", ".join("right" if is_number else "left" for is_number in are_numbers)
    size = min(8.0, max(6.0, 8 * _FULL / width(frame)))
    head = ", ".join(f"[{_TYPST.inline(str(title))}]" for title in frame.columns)
    rows = "\n".join(
        "  " + ", ".join(_cell(str(cell), is_number) for cell, is_number in zip(row, are_numbers, strict=True)) + ","
        for row in frame.itertuples(index=False)
    )
    table = (
        f"table(columns: {frame.shape[1]}, align: ({aligns},), table.hline(stroke: .8pt),\n"
        f"  table.header({head}), table.hline(stroke: .5pt),\n{rows}\n  table.hline(stroke: .8pt))"
    )
    above = f", caption: [{_TYPST.inline(caption)}]" if caption else ""
    return f"#[#set text(size: {size:.1f}pt)\n#figure(kind: table, supplement: [Table]{above},\n{table})]"


def _cell(text: str, is_number: bool) -> str:
    """A number and its interval do not wrap."""
    return f"[{_TYPST.inline(text).replace(' ', '~') if is_number else _TYPST.inline(text)}]"


def pdf(blocks: Sequence[Block], folder: Path) -> bytes:
    """The bytes of a PDF, the same for the same blocks. Figures are SVG files in `folder`."""
    import typst as compiler  # takes 0.1 s

    source = folder / ".report.typ"
    source.write_text(typst(blocks), encoding="utf-8")
    try:
        return bytes(compiler.compile(str(source), timestamp=datetime.fromtimestamp(0, UTC), ignore_system_fonts=True))
    finally:
        source.unlink()
