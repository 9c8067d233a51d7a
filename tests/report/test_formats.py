"""One document in four languages: what is special in one of them is literal in all."""

from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from actbench.report.formats.blocks import Block, Figure, Heading, Items, Paragraph, Table, columns
from actbench.report.formats.documents import html_page, latex, markdown, pdf

NASTY = r"a_b _c_ #1 50 % $x$ {c} \d ~e~ ^f <g> 1 < 2 &amp; & @h [i] *j* = + - -- / 'k' \"l\" ` § ± −1 ′ ✓ ✗ ? † Å a|b"
BLOCKS: list[Block] = [
    Heading(1, "Title with 100 % & <angles>"),
    Paragraph(f"**bold {'x_y'}**, `code_{{1}}=[2,3]`, [a link](https://example.org/a_b?c=1#d), plain {NASTY}."),
    Paragraph("Marks before marks: `relu`(x), **bold**[y], `a`.b, **c**.d, [e](https://example.org)(f); **g**;"),
    Items(("first", "**second** _item_", "`relu`(x)", "[1, 2]", "# * third")),
    Table(
        pd.DataFrame(
            {"name": ["leaky_relu", "a|b"], "value": ["1.5", "-2 [1, 3]"], NASTY: ["x & y", NASTY], "last": ["*", "[4"]}
        ),
        "Title.",
    ),
    Figure("picture", "A caption with 50 % & more.", 0.5),
]  # fmt: skip
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="50"><rect width="100" height="50"/></svg>'


def test_columns_of_numbers_are_set_to_the_right() -> None:
    cells = {
        "a": ["1"],
        "b": ["+1.2 [1, 2]"],
        "c": ["never"],
        "d": ["**3** x"],
        "e": ["x 3"],
        "f": [""],
        "g": ["<0.001"],
    }
    assert [column.number for column in columns(pd.DataFrame(cells))] == [False, True, True, True, False, True, True]


def test_texts_wrap_only_in_rows_longer_than_a_line() -> None:
    text = "what a claim says " * 4
    short = pd.DataFrame({"claim": [text], "points [95 %]": ["+1.2 [1, 2]"]})
    assert not any(column.wraps for column in columns(short))
    long = columns(short.assign(source=[text]))
    assert [column.wraps for column in long] == [True, False, True]
    assert sum(column.width for column in long) < 100
    assert long[1].head == ("points", "[95\u00a0%]")


def test_markdown_escapes_only_what_would_be_a_mark() -> None:
    text = markdown(BLOCKS)
    assert text.startswith("# Title")
    assert "| leaky_relu | 1.5 | x & y |" in text
    assert "|---|---:|---|" in text
    assert "![picture](picture.svg)\n\nA caption with 50 % & more.\n" in text


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.open, self.sources = "", [], []  # type: ignore[var-annotated]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value for key, value in attributes if key in ("src", "srcset", "href")]
        if tag not in ("meta", "img", "br", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _text_of(source: str) -> str:
    parser = _Text()
    parser.feed(source)
    assert not parser.open
    return parser.text.replace("\u00a0", " ")


def test_html_and_markdown_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "picture.svg").write_text(SVG)
    for text in (
        _text_of(html_page(BLOCKS, tmp_path)),
        _text_of(
            MarkdownIt("commonmark", {"xhtmlOut": False}).enable(["table", "strikethrough"]).render(markdown(BLOCKS))
        ),
    ):
        assert text.count(NASTY) == 3
        assert "code_{1}=[2,3]" in text
        assert "relu(x), bold[y], a.b, c.d, e(f); g;" in text
        assert "# * third" in text


def test_html_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "picture.svg").write_text(SVG)
    (tmp_path / "picture_narrow.svg").write_text(SVG.replace("100", "50"))
    parser = _Text()
    parser.feed(html_page([*BLOCKS, Figure("picture", "", narrow=True)], tmp_path))
    assert [source.partition(",")[0] for source in parser.sources if source] == [
        "https://example.org/a_b?c=1#d", "https://example.org", *["data:image/svg+xml;base64"] * 3,
    ]  # fmt: skip
    assert parser.sources[-2] != parser.sources[-1] == parser.sources[-3]


def test_html_lists_its_contents_from_three_sections_on(tmp_path: Path) -> None:
    sections: list[Block] = [Heading(1, "title"), Heading(2, "same"), Heading(3, "below"), Heading(2, "same")]
    assert "<nav" not in html_page(sections, tmp_path)
    parser = _Text()
    parser.feed(html_page([*sections, Heading(2, "third")], tmp_path))
    assert parser.sources == ["#section-2", "#section-4", "#section-5"]


def test_cells_have_their_colours(tmp_path: Path) -> None:
    blocks = [Table(pd.DataFrame({"name": ["tanh"], "verdict": ["worse"]}), colours={"worse": "#b35900"})]
    assert '<strong style="color: #b35900">worse</strong>' in html_page(blocks, tmp_path)
    assert r"tanh & \textcolor[HTML]{B35900}{\textbf{worse}} \\" in latex(blocks)
    assert "| tanh | worse |" in markdown(blocks)


def test_a_lead_and_a_note_have_looks_of_their_own(tmp_path: Path) -> None:
    blocks = [Paragraph("Take any.", "lead"), Paragraph("9 seeds", "note")]
    assert '<p class="lead">Take any.</p>\n<p class="note">9 seeds</p>' in html_page(blocks, tmp_path)
    assert markdown(blocks) == "**Take any.**\n\n*9 seeds*\n"
    assert r"{\lead Take any.\par}" in latex(blocks)
    assert pdf(blocks, tmp_path) != pdf([Paragraph("Take any."), Paragraph("9 seeds")], tmp_path)


@pytest.mark.parametrize("size", [(0, 0), (0, 2), (1, 1), (80, 1), (3, 14)])
def test_tables_of_any_size_are_written(size: tuple[int, int], tmp_path: Path) -> None:
    rows, width = size
    blocks = [Table(pd.DataFrame([["97.3 [96.5, 98.0]"] * width] * rows, columns=["same"] * width))]
    assert markdown(blocks).count("97.3") == rows * width == html_page(blocks, tmp_path).count("97.3")
    assert latex(blocks).count("97.3") == rows * width
    assert pdf(blocks, tmp_path).startswith(b"%PDF-")


def test_pdf_is_reproducible_to_the_byte(tmp_path: Path) -> None:
    (tmp_path / "picture.svg").write_text(SVG)
    first = pdf(BLOCKS, tmp_path)
    assert first.startswith(b"%PDF-")
    assert pdf(BLOCKS, tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["picture.svg"]  # its source is gone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"), ("50 %", r"50~\%"), (r"\d", r"\textbackslash{}d"), ("±", r"$\pm$"), ("{}", r"\{\}"),
        ("**b_c**", r"\textbf{b\_c}"), ("`x_y`", r"\texttt{x\_y}"), ("[l](https://e.org/#a)", r"\href{https://e.org/\#a}{l}"),
    ],
)  # fmt: skip
def test_latex_escapes(text: str, expected: str) -> None:
    assert expected in latex([Paragraph(text)])


def test_latex_has_booktabs_and_its_figure() -> None:
    text = latex(BLOCKS)
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    assert r"\begin{longtable}{lr>" in text
    assert r"{*} \\" in text  # neither `\\*` nor `\\[`
    assert "& {[}4" in text
    assert r"\includegraphics[width=0.50\linewidth" in text
