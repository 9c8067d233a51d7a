"""A frame of texts as a table to paste into a paper or a page: LaTeX's tabular, Markdown, CSV."""

from collections.abc import Callable, Mapping

import pandas as pd

from actbench.report.formats.blocks import UNMARKED, Table, columns
from actbench.report.formats.documents import markdown
from actbench.report.formats.languages import MARKS


def tabular(frame: pd.DataFrame) -> str:
    """LaTeX with rules of booktabs, without a float: it fits into one column of two where longtable does not."""
    inline = MARKS["tex"].inline
    sides = "".join("r" if column.number else "l" for column in columns(frame))
    rows = [list(map(str, frame.columns)), *([*map(str, row)] for row in frame.itertuples(index=False, name=None))]
    head, *body = [f"{' & '.join(map(inline, row))} \\\\" for row in rows]
    return "\n".join([
        f"\\begin{{tabular}}{{{sides}}}", "\\toprule", head, "\\midrule", *body, "\\bottomrule", "\\end{tabular}", ""
    ])  # fmt: skip


FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = {
    "tex": tabular,
    "md": lambda frame: markdown([Table(frame)]),
    "csv": lambda frame: frame.map(lambda cell: UNMARKED(str(cell))).to_csv(index=False),
}
