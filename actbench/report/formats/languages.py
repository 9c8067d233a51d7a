"""How text and its marks are written in each language, so that nothing in a text is a command of the language."""

import html
import re
import unicodedata
from urllib.parse import quote

from actbench.report.formats.blocks import Marks

# Only where they would be marks: `leaky_relu`, `5 < 6` and `[1, 2]` stay as they are.
_MARKDOWN = re.compile(
    r"[\\`*~$]|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])|&(?=#?\w+;)|\](?=[(\[:])|(?<!http)(?<!https):(?=//)|(?<=\s)#+$|!$"
    r"|^(?:#|>|[-+=](?=[-=\s]|$)|\[(?=[ xX]\]))"
)
_NUMBERED = re.compile(r"^(\d+)(?=[.)](?:\s|$))")  # it would begin a list
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "'": r"\textquotesingle{}",
    '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "†": r"\textdagger{}", "−": "$-$", "′": "$'$", "<": "$<$",
    ">": "$>$", "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "×": r"$\times$", "✗": r"$\times$",
    "✓": r"\checkmark{}", "→": r"$\to$", "α": r"$\alpha$", "β": r"$\beta$", "Δ": r"$\Delta$", "η": r"$\eta$",
    "λ": r"$\lambda$", "μ": r"$\mu$", "σ": r"$\sigma$", "[": "{[}", "*": "{*}",  # these two would be arguments of \\
} | {character: f"\\{character}" for character in "&%$#_{}"})  # fmt: skip


# pdflatex knows ASCII, letters of the Latin alphabets, some punctuation and what is above; another character ends it.
_UNKNOWN_TO_LATEX = re.compile(
    "[^\n -~\u00a0-\u00ac\u00ae-\u0125\u0128-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u0165\u0168-\u017e"
    f"–—‘’‚“”„‡•…€™{''.join(chr(code) for code in _LATEX if code > 127)}]"
)


_BREAKABLE = re.compile(r"(?<=[,=/:])(?=.)|(?<=[.])(?=\D)")  # places in code at which a line may break
_BREAK = "\u200b"


def _markdown(text: str) -> str:
    return _NUMBERED.sub(r"\1\\", _MARKDOWN.sub(r"\\\g<0>", text))


def _markdown_code(text: str) -> str:
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " * (text.startswith("`") or text.endswith("`"))
    return f"{fence}{space}{text}{space}{fence}"


def _latex(text: str) -> str:
    text = _UNKNOWN_TO_LATEX.sub(lambda one: f"U+{ord(one[0]):04X}", unicodedata.normalize("NFC", text))
    return re.sub("-(?=-)", "-{}", text.translate(_LATEX)).replace(r" \%", r"~\%")


def _latex_url(url: str) -> str:
    return re.sub("[%#]", r"\\\g<0>", quote(url, safe=":/?#=&%@,;+~!_.-"))


def quoted(text: str) -> str:
    """A text as a string of Typst."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


MARKS = {
    "md": Marks(
        plain=_markdown, bold=lambda inner: f"**{inner}**",
        code=_markdown_code, link=lambda label, url: f"[{label}]({url})",
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
        link=lambda label, url: rf"\href{{{_latex_url(url)}}}{{{label}}}",
        coloured=lambda inner, colour: rf"\textcolor[HTML]{{{colour.lstrip('#').upper()}}}{{\textbf{{{inner}}}}}",
    ),
    "typ": Marks(  # in a string nothing is a mark
        plain=lambda text: "#" + quoted(text.replace(" %", "\u00a0%")) + ";" if text else "",
        bold=lambda inner: f"#strong[{inner}];",
        code=lambda text: f"#raw({quoted(_BREAKABLE.sub(_BREAK, text))});",
        link=lambda label, url: f"#link({quoted(url)})[{label}];",
        coloured=lambda inner, colour: f"#text(fill: rgb({quoted(colour)}))[#strong[{inner}]];",
    ),
}  # fmt: skip
