"""What an experiment says is text in every format: nothing of it is a command, a mark, a tag or a link."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from markdown_it import MarkdownIt
from mlflow import MlflowClient

from actbench.errors import printable
from actbench.report.formats.blocks import TERMINAL, UNMARKED, Block, Heading, Items, Paragraph, Table, literal
from actbench.report.formats.documents import html_page, latex, markdown, pdf
from actbench.report.formats.languages import MARKS
from tests.cli.browser import CHROMIUM, browse
from tests.support import actbench

MARKUP = (
    "<script>window.hacked=1</script> <img src=x onerror=window.hacked=1> [x](javascript:alert(1)) ![y](http://z) "
    r"\input{/etc/passwd} \write18{id} ^^5cinput #import \"x\": y #eval(\"1\") $x$ **b** __b__ *_[]| `code` ~~s~~ ]: x "
    "-- <!-- --> &lt; &#60; {% x %} {{ x }} << x >> #] ; \\ */ // ftp://a.b ```"
)
CONTROLS = "\0 \x1b[2J \x07 \u202e reversed \u2066 \ud800 \ufeff \u2028 line\nbreak\ttab"
HOSTILE = f"{MARKUP} {CONTROLS} {'w' * 5000}"
PLAIN = printable(f"{MARKUP} {CONTROLS} {'w' * 99}…")  # as a document shows it
OPENINGS = ("# a #", "1. a", "- a", "+ a", "> a", "---", "===", "    a", "[ ] a", "* a", "| a", "~~~", "12) a", "<a> b")


def blocks(text: str) -> list[Block]:
    """The text in every place of a document."""
    return [
        Heading(1, text), Heading(2, text), Paragraph(text, "lead"), Paragraph(f"so: {text}", "note"),
        Paragraph(f"**bold {text}** and `{text}`"), Items((text, f"“{text}”: **a**")),
        Table(pd.DataFrame([[text, "1", text], ["x", text, "2"]], columns=[text, "minus relu", "a"]), text),
    ]  # fmt: skip


class Page(HTMLParser):
    """The tags, the addresses except links to http and https, and the text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {key for key, _ in attributes}
        found = [str(value) for key, value in attributes if key in ("src", "srcset", "href")]
        self.addresses += [url for url in found if tag != "a" or not url.startswith(("http://", "https://"))]

    def handle_data(self, data: str) -> None:
        self.text += data.replace("\u00a0", " ")


HTML_TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "strong", "code", "figure",
             "figcaption", "div", "table", "thead", "tbody", "tr", "th", "td", "nav", "a", "picture", "source", "img",
             "em", "s"}  # fmt: skip
HTML_ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "id", "class", "style", "aria-label", "href",
                   "src", "srcset", "media", "alt"}  # fmt: skip


def check_page(page: Page) -> None:
    assert page.tags <= HTML_TAGS
    assert page.attributes <= HTML_ATTRIBUTES
    allowed = ("#section-", "data:image/svg+xml;base64,", "figures/")
    assert [address for address in page.addresses if not address.startswith(allowed)] == []


def rendered(source: str) -> Page:
    return Page(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(source))


def check_latex(source: str) -> None:
    """Raises where a source has a control sequence that neither the template nor an escape has."""
    known = set(
        re.findall(_CONTROL, latex(blocks("a")) + "".join(MARKS["tex"].plain(chr(n)) for n in range(32, 0x3000)))
    )
    known |= {r"\textcolor", r"\allowbreak", r"\texttt", r"\textbf", r"\includegraphics", r"\linewidth", r"\textheight",
              r"\caption", r"\begin", r"\end", r"\raggedright", r"\arraybackslash", r"\href"}  # fmt: skip
    assert set(re.findall(_CONTROL, source)) <= known
    assert source.count(r"\href") == source.count(r"\href{http")
    bare = re.sub(_CONTROL, "", source.partition(r"\begin{document}")[2])
    assert bare.count("{") == bare.count("}")
    assert "^" not in bare
    assert "%" not in bare.replace("% no heading alone at the end of a page", "")
    assert set(re.findall(r"\$([^$]*)\$", bare)) <= {"<", ">", "-", "'", ""}
    assert not re.search("[\x00-\x09\x0b-\x1f]", source)


_CONTROL = r"\\(?:[A-Za-z]+|.|\n)"


def check_typst(source: str) -> None:
    """Raises where a word of the text stands outside a string of Typst."""
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', source.partition("#let picture")[2])
    for word in ("script", "import", "eval", "input", "javascript", "wwww", "$", "`"):
        assert word not in outside


@pytest.mark.parametrize("mark", [literal, str])
def test_hostile_text_is_text_in_every_format(mark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = blocks(mark(HOSTILE.replace("\ud800", "\x00")))  # pandas keeps no half of a pair
    page, source = Page(html_page(document, tmp_path)), markdown(document)
    check_page(page)
    check_page(rendered(source))
    check_latex(latex(document))
    monkeypatch.setattr(Path, "unlink", lambda path, **words: None)
    assert pdf(document, tmp_path).startswith(b"%PDF-")
    check_typst((tmp_path / ".report.typ").read_text())
    if mark is literal:  # it is shown to the letter
        assert page.text.count(PLAIN) == rendered(source).text.count(PLAIN) + 1 == 14  # HTML has the title twice


@pytest.mark.parametrize("text", OPENINGS)
def test_what_opens_a_block_of_markdown_is_text(text: str) -> None:
    shown = rendered(markdown([Paragraph(literal(text)), Items((literal(text),))]))
    assert shown.tags == {"p", "ul", "li"}
    assert shown.text.split("\n")[0] == text.strip()


def test_text_with_its_marks_taken_away_or_printed_is_whole() -> None:
    text = "a `b` **c** [d](https://e.org)"
    assert UNMARKED(literal(text)) == TERMINAL(literal(text)) == text
    assert TERMINAL(f"**{literal('**x**')}** `y`") == "**x** `y`"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//x.org", "ftp://x",
                                 "https://x.org/}\\input{y}", 'https://x.org/"onclick="x'])  # fmt: skip
def test_only_http_is_a_link(url: str, tmp_path: Path) -> None:
    document = [Paragraph(f"[label]({url})")]
    assert "a" not in Page(html_page(document, tmp_path)).tags
    assert "a" not in rendered(markdown(document)).tags
    assert r"\href" not in latex(document)


def test_a_link_is_escaped_in_latex() -> None:
    written = latex([Paragraph("[a](https://e.org/a$b%20~c#d&e_f)")])
    assert r"\href{https://e.org/a\%24b\%20~c\#d&e_f}{a}" in written


def test_characters_that_pdflatex_does_not_know_are_named() -> None:
    assert "U+4E2D and é" in latex([Paragraph("中 and e\u0301")])


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, blank_database: Path) -> tuple[Path, Path]:
    """The results folder and the store of a comparison whose experiment is hostile in every text."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copy(blank_database, folder)
    claim = {"claim": HOSTILE, "metric": "test_accuracy", "a": "mine:__x__", "b": "mine:y", "direction": "higher",
             "source": HOSTILE, "testable": "no", "reason": HOSTILE}  # fmt: skip
    content = {
        "question": HOSTILE, "source": HOSTILE, "hypotheses": [claim],
        "overrides": ["architecture=mlp_small", "activation.function=mine:__x__,mine:y", "training.steps=4",
                      "protocol.baseline=mine:y", "protocol.learning_rates=[0.01]", "protocol.seeds=6"],
    }  # fmt: skip
    (folder / "experiments").mkdir()
    (folder / "experiments" / "hostile.yaml").write_text(yaml.safe_dump(content))
    (folder / "mine.py").write_text("import torch\n__x__ = torch.tanh\ny = torch.relu\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        patch.setattr("sys.argv", ["actbench", "compare", "hostile", f"x={HOSTILE}"])
        assert actbench("compare", "hostile", "execution.workers=1") == 0
    return folder / "results" / "hostile", folder / "mlflow.db"


@pytest.mark.slow
def test_the_report_of_a_hostile_experiment_is_harmless(compared: tuple[Path, Path]) -> None:
    folder, _ = compared
    text = (folder / "report.html").read_text()
    page = Page(text)
    check_page(page)
    check_page(rendered((folder / "report.md").read_text()))
    check_latex((folder / "report.tex").read_text())
    assert page.text.count(PLAIN) >= 4  # title, heading, claim, command
    assert "mine:__x__" in rendered((folder / "report.md").read_text()).text
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.slow
def test_mlflow_shows_a_hostile_question_as_text(compared: tuple[Path, Path]) -> None:
    client = MlflowClient(f"sqlite:///{compared[1]}")
    (run,) = client.search_runs(["1"], "tags.kind = 'compare'")
    note = rendered(run.data.tags["mlflow.note.content"])
    assert note.tags <= {"p", "strong", "ul", "li", "img", "code"}
    assert [address.partition("?")[0] for address in note.addresses] == ["get-artifact"]
    for value in run.data.tags.values():
        assert value == printable(value) or value == run.data.tags["mlflow.note.content"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_a_browser_executes_nothing_of_a_hostile_report(compared: tuple[Path, Path]) -> None:
    with browse() as page:
        page.open((compared[0] / "report.html").as_uri())
        page.wait_for("Hypotheses")
        assert page.value("typeof window.hacked") == "undefined"
        assert page.value("document.scripts.length") == 0
