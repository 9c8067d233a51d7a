"""One document in four languages: what is special in one of them is literal in all."""

from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from actbench.report.formats.blocks import Block, Figure, Heading, Items, Paragraph, Table, numeric
from actbench.report.formats.html import html_page
from actbench.report.formats.latex import latex
from actbench.report.formats.markdown import markdown
from actbench.report.formats.typst import pdf

NASTY = r"a_b #1 50 % $x$ {c} \d ~e ^f <g> & @h [i] *j* = + - / 'k' \"l\" § ± −1 ′"
BLOCKS: list[Block] = [
    Heading(1, "Title with 100 % & <angles>"),
    Paragraph(f"Plain {NASTY}; **bold {'x_y'}**, `code_{{1}}=[2,3]`, [a link](https://example.org/a_b?c=1#d)."),
    Paragraph("Marks before marks: `relu`(x), **bold**[y], `a`.b, **c**.d, [e](https://example.org)(f); **g**;"),
    Items(("first", "**second** _item_", "`relu`(x)")),
    Table(
        pd.DataFrame({"name": ["leaky_relu", "a|b"], "value": ["1.5", "-2 [1, 3]"], "word": ["x & y", "5 %"]}), "Title."
    ),
    Figure("picture", "A caption with 50 % & more.", 0.5),
]  # fmt: skip
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="50"><rect width="100" height="50"/></svg>'


def test_columns_of_numbers_are_set_to_the_right() -> None:
    frame = pd.DataFrame({"a": ["1"], "b": ["+1.2 [1, 2]"], "c": ["never"], "d": ["3 x"], "e": ["x 3"], "f": [""]})
    assert numeric(frame) == [False, True, True, True, False, True]


def test_markdown_keeps_the_text_and_escapes_the_bars_of_cells() -> None:
    text = markdown(BLOCKS)
    assert text.startswith("# Title")
    assert "| a\\|b | -2 [1, 3] | 5 % |" in text
    assert "|---|---:|---|" in text
    assert "![A caption with 50 % & more.](picture.svg)" in text


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.open, self.sources = "", [], []  # type: ignore[var-annotated]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value for key, value in attributes if key in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_one_file_that_closes_its_tags_and_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "picture.svg").write_text(SVG)
    parser = _Text()
    parser.feed(html_page(BLOCKS, tmp_path))
    assert not parser.open
    assert NASTY in parser.text
    assert "code_{1}=[2,3]" in parser.text
    assert "relu(x), bold[y], a.b, c.d, e(f); g;" in parser.text
    assert [source.partition(",")[0] for source in parser.sources if source] == [
        "https://example.org/a_b?c=1#d", "https://example.org", "data:image/svg+xml;base64",
    ]  # fmt: skip


def test_pdf_is_reproducible_to_the_byte(tmp_path: Path) -> None:
    (tmp_path / "picture.svg").write_text(SVG)
    first = pdf(BLOCKS, tmp_path)
    assert first.startswith(b"%PDF-")
    assert pdf(BLOCKS, tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["picture.svg"]  # its source is gone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"), ("50 %", r"50 \%"), (r"\d", r"\textbackslash{}d"), ("±", r"$\pm$"), ("{}", r"\{\}"),
        ("**b_c**", r"\textbf{b\_c}"), ("`x_y`", r"\texttt{x\_y}"), ("[l](https://e.org/#a)", r"\href{https://e.org/\#a}{l}"),
    ],
)  # fmt: skip
def test_latex_escapes(text: str, expected: str) -> None:
    assert expected in latex([Paragraph(text)])


def test_latex_has_booktabs_and_its_figure() -> None:
    text = latex(BLOCKS)
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    assert r"\begin{longtable}{lrl}" in text
    assert r"\includegraphics[width=0.50\linewidth" in text
