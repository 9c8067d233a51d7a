"""A document in LaTeX."""

import math
import re
from collections.abc import Sequence

import pandas as pd

from actbench.report.formats.blocks import Block, Figure, Heading, Items, Marks, Paragraph, Table, numeric, width

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "′": "$'$", "≤": r"$\leq$",
    "≥": r"$\geq$", "<": r"$<$", ">": r"$>$", "×": r"$\times$",
}  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


_LATEX = Marks(
    plain=_latex,
    bold=lambda inner: rf"\textbf{{{inner}}}",
    code=lambda text: r"\texttt{" + re.sub(r"([/=,.:])", r"\1\\allowbreak{}", _latex(text)) + "}",
    link=lambda label, url: r"\href{" + url.replace("%", r"\%").replace("#", r"\#") + f"}}{{{label}}}",
)
_LATEX_HEAD = r"""\documentclass[10pt,a4paper]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{textcomp}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,longtable,graphicx,array,float}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[hidelinks]{hyperref}
\setlength{\parindent}{0pt}
\setlength{\parskip}{6pt}
\begin{document}
"""


_SIZES = ((90, r"\footnotesize"), (110, r"\scriptsize"), (math.inf, r"\tiny"))  # by characters of a row


_WRAPPED = 24  # characters from which the text of a column wraps
_PER_CM = 11  # characters of the smallest font size in a centimetre


def latex(blocks: Sequence[Block]) -> str:
    """Source that pdflatex compiles, with tables by booktabs; figures are PDF files in its folder."""
    commands = {1: "section*", 2: "subsection*", 3: "subsubsection*"}
    parts = []
    for block in blocks:
        match block:
            case Heading(level, text):
                parts.append(rf"\{commands[min(level, 3)]}{{{_LATEX.inline(text)}}}")
            case Paragraph(text):
                parts.append(_LATEX.inline(text))
            case Items(texts):
                items = "\n".join(rf"\item {_LATEX.inline(text)}" for text in texts)
                parts.append("\\begin{itemize}\n" + items + "\n\\end{itemize}")
            case Table(frame, caption):
                parts.append(_latex_table(frame, caption))
            case Figure(name, caption, share):
                parts.append(
                    "\\begin{figure}[H]\n\\centering\n"
                    rf"\includegraphics[width={share:.2f}\linewidth,height=.9\textheight,keepaspectratio]{{{name}.pdf}}"
                    f"\n\\caption{{{_LATEX.inline(caption)}}}\n\\end{{figure}}"
                )
    return _LATEX_HEAD + "\n\n".join(parts) + "\n\\end{document}\n"


def _text_column(cells: "pd.Series[str]") -> str:
    if max(map(len, cells), default=0) <= _WRAPPED:
        return "l"
    longest = max(len(word) for cell in cells for word in cell.split())
    return rf">{{\raggedright\arraybackslash}}p{{{max(_WRAPPED, longest) / _PER_CM:.1f}cm}}"


def _latex_table(frame: pd.DataFrame, caption: str) -> str:
    columns = "".join(
        "r" if right else _text_column(frame[key]) for key, right in zip(frame, numeric(frame), strict=True)
    )
    head = " & ".join(_LATEX.inline(str(title)) for title in frame.columns) + r" \\"
    rows = "\n".join(
        " & ".join(_LATEX.inline(str(cell)) for cell in row) + r" \\" for row in frame.itertuples(index=False)
    )
    title = rf"\caption{{{_LATEX.inline(caption)}}}\\" + "\n" if caption else ""
    size = (
        next(size for most, size in _SIZES if width(frame, break_titles=False) <= most) + r"\setlength{\tabcolsep}{3pt}"
    )
    return (
        f"{{{size}\n\\begin{{longtable}}{{{columns}}}\n{title}\\toprule\n{head}\n\\midrule\n\\endhead\n{rows}\n"
        "\\bottomrule\n\\end{longtable}}"
    )
