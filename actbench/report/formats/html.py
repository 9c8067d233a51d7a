"""A document as HTML."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from actbench.report.formats.blocks import Block, Figure, Heading, Items, Marks, Paragraph, Table, numeric, title

_HTML = Marks(
    plain=lambda text: html.escape(text, quote=False),
    bold=lambda inner: f"<strong>{inner}</strong>",
    code=lambda text: f"<code>{html.escape(text, quote=False)}</code>",
    link=lambda label, url: f'<a href="{html.escape(url)}">{label}</a>',
)
_CSS = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: 0 auto;
  padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.3rem; margin-top: 2rem; } h3 { font-size: 1.1rem; }
code { font-size: .9em; background: #f3f3f3; padding: .1em .3em; border-radius: 3px; }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; height: auto; display: block; }
figcaption, caption { font-size: .9rem; color: #444; text-align: left; padding: .3rem 0; caption-side: top; }
@media (max-width: 40rem) { figure img { width: 100% !important; } }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
thead th { border-bottom: 2px solid #666; white-space: normal; vertical-align: bottom; }
.n { text-align: right; }
"""


def html_page(blocks: Sequence[Block], folder: Path) -> str:
    """One self-contained file: figures are read from `folder`/NAME.svg and embedded."""
    parts = []
    for block in blocks:
        match block:
            case Heading(level, text):
                parts.append(f"<h{level}>{_HTML.inline(text)}</h{level}>")
            case Paragraph(text):
                parts.append(f"<p>{_HTML.inline(text)}</p>")
            case Items(texts):
                parts.append("<ul>\n" + "\n".join(f"<li>{_HTML.inline(text)}</li>" for text in texts) + "\n</ul>")
            case Table(frame, caption):
                parts.append(_html_table(frame, caption))
            case Figure(name, caption, share):
                data = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode()
                parts.append(
                    f'<figure><img alt="{html.escape(caption)}" style="width: {100 * share:.0f}%" '
                    f'src="data:image/svg+xml;base64,{data}">'
                    f"<figcaption>{_HTML.inline(caption)}</figcaption></figure>"
                )
    head = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title(blocks))}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n"
    )
    return head + "\n".join(parts) + "\n</body>\n</html>\n"


def _html_table(frame: pd.DataFrame, caption: str) -> str:
    classes = [' class="n"' if right else "" for right in numeric(frame)]
    head = "".join(f"<th{c}>{_HTML.inline(str(title))}</th>" for c, title in zip(classes, frame.columns, strict=True))
    rows = "\n".join(
        "<tr>"
        + "".join(f"<td{c}>{_HTML.inline(str(cell))}</td>" for c, cell in zip(classes, row, strict=True))
        + "</tr>"
        for row in frame.itertuples(index=False)
    )
    above = f"<caption>{_HTML.inline(caption)}</caption>" if caption else ""
    return f'<div class="table"><table>{above}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'
