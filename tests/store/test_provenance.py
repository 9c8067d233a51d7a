"""What environment.json says of the time that results took."""

from pathlib import Path

import pytest

from actbench.store.files import RUNS
from actbench.store.provenance import Spent, read_environment, spent_before, write_environment


@pytest.fixture
def before(tmp_path: Path) -> Spent:
    """A command of 100 s that ended two runs, and was interrupted in a third."""
    write_environment(tmp_path, "actbench compare", Spent(100.0))
    (tmp_path / RUNS).write_text("run_id,status\na,finished\nb,diverged\nc,missing\n")
    return spent_before(tmp_path, RUNS)


def test_a_command_that_goes_on_adds_its_seconds(before: Spent, tmp_path: Path) -> None:
    both = before.plus(60.0, ["a", "b", "c", "d"])
    assert both == Spent(160.0, 2)
    write_environment(tmp_path, "actbench compare", both)
    assert spent_before(tmp_path, RUNS).plus(10.0, ["a", "b"]) == Spent(170.0, 3)


def test_a_command_on_other_runs_counts_alone(before: Spent, tmp_path: Path) -> None:
    assert before.plus(60.0, ["a", "c"]) == Spent(60.0)
    assert spent_before(tmp_path / "none", RUNS).plus(60.0, ["a"]) == Spent(60.0)
    (tmp_path / RUNS).write_bytes(b"\xff\xfe")
    assert spent_before(tmp_path, RUNS).plus(60.0, ["a"]) == Spent(60.0)


def test_seconds_of_an_older_version_are_those_of_one_command(tmp_path: Path) -> None:
    write_environment(tmp_path, "actbench cost")
    assert "seconds" not in read_environment(tmp_path)
    assert spent_before(tmp_path, RUNS).seconds is None
