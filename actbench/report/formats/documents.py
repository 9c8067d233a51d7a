"""Documents in Markdown, HTML, LaTeX and Typst by the templates of Jinja2 in templates/, and as PDF."""

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from actbench.errors import printable
from actbench.report.formats.blocks import UNMARKED, Block, Figure, Heading, Items, Paragraph, Table, columns
from actbench.report.formats.languages import MARKS, quoted

_LONGEST = 100  # characters of a word: no page has room for more
_LONGER = re.compile(rf"[^\s/=,.:;&?%+-]{{{_LONGEST + 1},}}")  # a line may break at the others


def _line(text: object) -> str:
    """A text without line breaks and control characters; what is too long of a word is left out."""
    return _LONGER.sub(lambda word: f"{word[0][: _LONGEST - 1]}…", printable(str(text)))


def _cleaned(block: Block) -> Block:
    """A block in which nothing but its marks controls a document."""
    match block:
        case Heading() | Paragraph():
            return replace(block, text=_line(block.text))
        case Items():
            return Items(tuple(map(_line, block.texts)))
        case Figure():
            return replace(block, caption=_line(block.caption))
        case Table():
            frame = block.frame.map(_line).set_axis(list(map(_line, block.frame.columns)), axis=1)
            return replace(block, frame=frame, caption=_line(block.caption))


def _document(language: str, blocks: Sequence[Block], **functions: Callable[[str], str]) -> str:
    """The document by the language's template; a table without columns is left out. functions: that it calls."""
    kept = [_cleaned(block) for block in blocks if not (isinstance(block, Table) and block.frame.columns.empty)]
    headings = {index: block for index, block in enumerate(kept, 1) if isinstance(block, Heading)}
    inline, coloured = MARKS[language].inline, MARKS[language].coloured

    def rows(table: Table) -> list[list[str]]:
        return [
            [coloured(inline(cell), table.colours[cell]) if cell in table.colours else inline(cell) for cell in row]
            for row in table.frame.map(str).itertuples(index=False, name=None)
        ]

    templates = Environment(  # with delimiters that none of the languages has: most have braces
        loader=PackageLoader("actbench.report.formats"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, variable_start_string="<<", variable_end_string=">>", block_start_string="<%",
        block_end_string="%>", comment_start_string="<#", comment_end_string="#>",
    )  # fmt: skip
    templates.filters |= {"inline": inline, "unmarked": UNMARKED, **functions}
    text = templates.get_template(f"report.{language}").render(
        blocks=[(type(block).__name__, block) for block in kept], columns=columns, rows=rows,
        title=next((heading.text for heading in headings.values()), ""),
        sections={index: heading.text for index, heading in headings.items() if heading.level == 2},
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n"


def write_documents(folder: Path, blocks: Sequence[Block], formats: Sequence[str]) -> list[Path]:
    """Writes report.* in `folder`, in which the figures are; returns the paths. formats: md, html, pdf, tex."""
    write = {
        "md": lambda: markdown(blocks).encode(), "html": lambda: html_page(blocks, folder).encode(),
        "pdf": lambda: pdf(blocks, folder), "tex": lambda: latex(blocks).encode(),
    }  # fmt: skip
    paths = [folder / f"report.{name}" for name in formats]
    for path, name in zip(paths, formats, strict=True):
        path.write_bytes(write[name]())
    return paths


def markdown(blocks: Sequence[Block]) -> str:
    """Source in GitHub's Markdown; figures are SVG files in its folder."""
    return _document("md", blocks)


def html_page(blocks: Sequence[Block], folder: Path) -> str:
    """One self-contained file: figures are read from `folder`/NAME.svg and embedded."""

    return _document("html", blocks, embedded=lambda name: b64encode((folder / f"{name}.svg").read_bytes()).decode())


def latex(blocks: Sequence[Block]) -> str:
    """Source that pdflatex compiles, with tables by booktabs; figures are PDF files in its folder."""
    return _document("tex", blocks)


def pdf(blocks: Sequence[Block], folder: Path) -> bytes:
    """The bytes of a PDF, by Typst; the same for the same blocks. Figures are SVG files in `folder`."""
    import typst  # takes 0.1 s

    source = folder / ".report.typ"
    source.write_text(_document("typ", blocks, quoted=quoted), encoding="utf-8")
    try:
        return bytes(typst.compile(str(source), timestamp=datetime.fromtimestamp(0, UTC), ignore_system_fonts=True))
    finally:
        source.unlink()
