"""CSV files: no text is a formula, and what is read is what was written."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actbench.store.files import read_runs, write_runs
from actbench.store.tables import _quoted, _unquoted, read_table, write_table
from actbench.training.results import COLUMNS
from tests.support import ROOT

# Words of which formulas and numbers consist, so that a random text often is nearly one.
TEXTS = st.lists(
    st.sampled_from(["=", "+", "-", "@", "'", "\t", "\r", "\n", "1", ".5", "e3", "E", "A1", '"', ",", " ", "é"])
).map("".join)
COMMITTED = [
    path
    for path in sorted((ROOT / "results" / "reference").rglob("*.csv"))
    if "runs" in path.name or "scores" in path.name
]


@given(TEXTS | st.text())
def test_reading_undoes_exactly_what_writing_does(text: str) -> None:
    assert _unquoted(_quoted(text)) == text


@given(TEXTS)
def test_no_text_but_a_number_begins_as_a_formula(text: str) -> None:
    if _quoted(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        assert float(text) == float(text.strip())


@given(st.lists(TEXTS.filter(lambda text: text.strip()), min_size=1, max_size=5))
def test_a_file_gives_back_its_texts(texts: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        write_table(path, pd.DataFrame({"text": texts, "number": -0.1}))
        read = read_table(path, dtype={"text": "str"}, keep_default_na=False)
        assert read["text"].tolist() == texts
        assert read["number"].tolist() == [-0.1] * len(texts)
        with path.open(newline="") as file:
            assert [row["number"] for row in csv.DictReader(file)] == ["-0.1"] * len(texts)


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@SUM(A1)", "\t=1", "\r=1", "-1+1", "'=1", "=-1", "-"])
def test_a_formula_is_quoted_by_an_apostrophe(text: str) -> None:
    assert _quoted(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "+0.5", "-1.5e-07", "'-1", "a=1", "mine:__x__", "", "'", "-.5"])
def test_numbers_and_other_texts_are_as_they_were(text: str) -> None:
    assert _quoted(text) == text


def test_runs_with_names_that_are_formulas_are_read_as_they_were(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", "-relu", "@x", "'=x", "relu"]
    runs = pd.DataFrame(
        {"run_id": list("abcde"), "activation": names, "gradient_ratio": -0.25, "variant": [{"-a": "=b"}] * 5}
    )
    write_runs(tmp_path / "runs.csv", runs.reindex(columns=list(COLUMNS)))
    read = read_runs(tmp_path / "runs.csv")
    assert read["activation"].tolist() == names
    assert read["variant"].tolist() == [{"-a": "=b"}] * 5
    assert read["gradient_ratio"].tolist() == [-0.25] * 5
    assert "\n'=cmd" in (tmp_path / "runs.csv").read_text() or ",'=cmd" in (tmp_path / "runs.csv").read_text()


@pytest.mark.parametrize("columns", [["run_id", "step_ns"], []])
def test_a_frame_without_rows_is_a_file_of_its_titles(columns: list[str], tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", pd.DataFrame(columns=columns))
    assert (tmp_path / "a.csv").read_text() == ",".join(columns) + "\n"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: str(path.relative_to(ROOT / "results")))
def test_committed_tables_are_written_again_to_the_byte(path: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "again.csv", read_table(path, dtype="str", keep_default_na=False))
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()
