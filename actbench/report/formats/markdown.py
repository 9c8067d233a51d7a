"""A document in GitHub's Markdown."""

from collections.abc import Sequence

import pandas as pd

from actbench.report.formats.blocks import Block, Figure, Heading, Items, Paragraph, Table, numeric


def markdown(blocks: Sequence[Block]) -> str:
    """Source in Markdown; figures are SVG files in its folder."""
    parts = []
    for block in blocks:
        match block:
            case Heading(level, text):
                parts.append(f"{'#' * level} {text}")
            case Paragraph(text):
                parts.append(text)
            case Items(texts):
                parts.append("\n".join(f"- {text}" for text in texts))
            case Table(frame, caption):
                parts.append((f"{caption}\n\n" if caption else "") + markdown_table(frame))
            case Figure(name, caption, _):
                parts.append(f"![{caption}]({name}.svg)")
    return "\n\n".join(parts) + "\n"


def markdown_table(frame: pd.DataFrame) -> str:
    """A frame of texts as a table, columns of numbers aligned right."""
    lines = [
        "| " + " | ".join(map(str, frame.columns)) + " |",
        "|" + "".join("---:|" if right else "---|" for right in numeric(frame)),
    ]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in frame.itertuples(index=False)
    ]
    return "\n".join(lines)
