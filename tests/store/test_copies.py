"""Files of a command read from a SQLite store without MLflow are those that MLflow gives."""

from pathlib import Path

import pytest

from actbench.errors import UsageError
from actbench.store.copies import Copy, newest_copy
from actbench.store.names import JOURNALS
from actbench.store.reader import Store

URI = "sqlite:///mlflow.db"


@pytest.fixture
def stored(own_folder: Path) -> Path:
    """Two ended comparisons, of which the newer is asked for, an interrupted one and a sweep."""
    store = Store(URI, "trial")
    for kind, text, status in (
        ("compare", "old", "FINISHED"), ("compare", "new", "FAILED"), ("compare", "cut", "KILLED"),
        ("sweep", "other", "FINISHED"),
    ):  # fmt: skip
        folder = own_folder / text
        folder.mkdir()
        (folder / "runs.csv").write_text(f"run_id\n{text}\n")
        (folder / "environment.json").write_text("{}")
        (folder / "report.md").write_text("no copy of this is read")
        store.start(kind, {"question": text}).end(status, "note", folder)
    return own_folder


def test_the_newest_ended_command_is_read_as_mlflow_reads_it(stored: Path) -> None:
    copy = newest_copy(URI, "trial", "compare")
    assert copy is not None
    restored, written = stored / "restored", stored / "written"
    for folder in (restored, written):
        folder.mkdir()
    assert copy.tags == Store(URI, "trial").restore("compare", restored)
    copy.restore(written)
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (restored, written)]
    assert contents[0] == contents[1] == {"runs.csv": b"run_id\nnew\n", "environment.json": b"{}"}


def test_what_is_out_of_the_ordinary_is_left_to_mlflow(stored: Path) -> None:
    assert isinstance(newest_copy(URI, "trial", "compare"), Copy)
    assert newest_copy(URI, "trial", "train") is None
    assert newest_copy(URI, "none", "compare") is None
    assert newest_copy("http://127.0.0.1:1", "trial", "compare") is None
    with pytest.raises(UsageError, match=r"there is no none\.db"):
        newest_copy("sqlite:///none.db", "trial", "compare")
    journal = JOURNALS / "command"
    journal.mkdir(parents=True)
    (journal / "entries.jsonl").touch()
    assert newest_copy(URI, "trial", "compare") is None  # until the journal is written
    (journal / "entries.jsonl").unlink()
    journal.rmdir()
    (kept,) = [path for path in Path("mlruns").rglob("runs.csv") if path.read_text() == "run_id\nnew\n"]
    kept.write_text("run_id\nfalse\n")
    assert newest_copy(URI, "trial", "compare") is None
    kept.unlink()
    older = newest_copy(URI, "trial", "compare")
    assert older is not None
    assert older.tags["question"] == "old"
