"""`actbench table`: LaTeX, Markdown and CSV of what a comparison or a sweep found."""

import io
from pathlib import Path

import pandas as pd
import pytest

from actbench.report.formats.tabular import tabular
from tests.support import TINY, actbench


def test_latex_has_rules_sides_and_no_command_of_its_cells() -> None:
    frame = pd.DataFrame({"activation": ["leaky_relu", "a & b"], "accuracy % [95 %]": ["97.1 [96.0, 98.0]", "12"]})
    assert tabular(frame) == "\n".join([
        r"\begin{tabular}{lr}", r"\toprule", r"activation & accuracy~\% {[}95~\%] \\", r"\midrule",
        r"leaky\_relu & 97.1 {[}96.0, 98.0] \\", r"a \& b & 12 \\", r"\bottomrule", r"\end{tabular}", "",
    ])  # fmt: skip


def test_a_sweep_has_a_table_in_each_format(command_line: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", *TINY, "activation=relu,gelu,tanh", "execution.workers=1") == 0
    capsys.readouterr()
    assert actbench("table", "sweep", "--activations", "relu,tanh", "--format", "csv") == 0
    frame = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert frame["activation"].tolist() == ["relu", "tanh"]
    runs = pd.read_csv("results/sweep/runs.csv").set_index("activation")
    assert frame["test acc. %"].tolist() == pytest.approx(
        [100 * runs["test_accuracy"][n] for n in ("relu", "tanh")], abs=0.01
    )
    assert actbench("table", "sweep", "--out", "table.tex") == 0
    assert Path("table.tex").read_text().count(r"\\") == 4
    capsys.readouterr()
    for wrong in (["sweep", "--activations", "x"], ["sweep", "--format", "doc"], ["swep"], ["sweep", "--out", "no/a"]):
        assert actbench("table", *wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1
