"""Documents in Markdown, HTML, LaTeX and Typst by the templates of Jinja2 in templates/, and as PDF."""

import html
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from actbench.report.formats.blocks import UNMARKED, Block, Heading, Marks, Table, columns

# Only where they would be marks: `leaky_relu`, `5 < 6` and `[1, 2]` stay as they are.
_MARKDOWN = re.compile(r"[\\`*~$]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|&(?=#?\w+;)|\](?=[(\[:])|^(?:#|>|[-+=](?=\s))")
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "'": r"\textquotesingle{}",
    '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "†": r"\textdagger{}", "−": "$-$", "′": "$'$", "<": "$<$",
    ">": "$>$", "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "×": r"$\times$", "✗": r"$\times$",
    "✓": r"\checkmark{}", "→": r"$\to$", "α": r"$\alpha$", "β": r"$\beta$", "Δ": r"$\Delta$", "η": r"$\eta$",
    "λ": r"$\lambda$", "μ": r"$\mu$", "σ": r"$\sigma$", "[": "{[}", "*": "{*}",  # these two would be arguments of \\
} | {character: f"\\{character}" for character in "&%$#_{}"})  # fmt: skip


def _latex(text: str) -> str:
    return re.sub("-(?=-)", "-{}", text.translate(_LATEX)).replace(r" \%", r"~\%")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_MARKS = {
    "md": Marks(
        plain=lambda text: _MARKDOWN.sub(r"\\\g<0>", text), bold=lambda inner: f"**{inner}**",
        code=lambda text: f"`{text}`", link=lambda label, url: f"[{label}]({url})",
    ),
    "html": Marks(
        plain=lambda text: html.escape(text).replace(" %", "&nbsp;%"), bold=lambda inner: f"<strong>{inner}</strong>",
        code=lambda text: f"<code>{html.escape(text)}</code>",
        link=lambda label, url: f'<a href="{html.escape(url)}">{label}</a>',
        coloured=lambda inner, colour: f'<strong style="color: {colour}">{inner}</strong>',
    ),
    "tex": Marks(
        plain=_latex, bold=lambda inner: rf"\textbf{{{inner}}}",
        code=lambda text: r"\texttt{" + re.sub(r"([/=,.:])", r"\1\\allowbreak{}", _latex(text)) + "}",
        link=lambda label, url: r"\href{" + re.sub(r"([%#\\{}])", r"\\\1", url) + f"}}{{{label}}}",
        coloured=lambda inner, colour: rf"\textcolor[HTML]{{{colour.lstrip('#').upper()}}}{{\textbf{{{inner}}}}}",
    ),
    "typ": Marks(  # in a string nothing is a mark
        plain=lambda text: "#" + _quoted(text.replace(" %", "\u00a0%")) + ";" if text else "",
        bold=lambda inner: f"#strong[{inner}];", code=lambda text: f"#raw({_quoted(text)});",
        link=lambda label, url: f"#link({_quoted(url)})[{label}];",
        coloured=lambda inner, colour: f"#text(fill: rgb({_quoted(colour)}))[#strong[{inner}]];",
    ),
}  # fmt: skip


def _document(language: str, blocks: Sequence[Block], **functions: Callable[[str], str]) -> str:
    """The document by the language's template; a table without columns is left out. functions: that it calls."""
    kept = [block for block in blocks if not (isinstance(block, Table) and block.frame.columns.empty)]
    headings = {index: block for index, block in enumerate(kept, 1) if isinstance(block, Heading)}
    inline, coloured = _MARKS[language].inline, _MARKS[language].coloured

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
    source.write_text(_document("typ", blocks, quoted=_quoted), encoding="utf-8")
    try:
        return bytes(typst.compile(str(source), timestamp=datetime.fromtimestamp(0, UTC), ignore_system_fonts=True))
    finally:
        source.unlink()
