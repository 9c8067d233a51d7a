"""The file of timings: what was written is read, and what is damaged or cannot be written does no harm."""

import json
from pathlib import Path

import pytest

from actbench.execution import calibration
from actbench.execution.calibration import Calibration, calibration_file, read_calibration, write_calibration
from actbench.training.timing import StackTimes

TIMES = StackTimes(0.1, 0.2, 0.3, 0.4, 0.5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_timings_are_kept_for_each_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_calibration() == Calibration()
    write_calibration(Calibration({"a": TIMES}, {"rest sweep": 1.5}))
    write_calibration(Calibration({"b": TIMES}))
    assert read_calibration() == Calibration({"a": TIMES, "b": TIMES}, {"rest sweep": 1.5})
    monkeypatch.setattr(calibration, "processor", lambda: "another")
    assert read_calibration() == Calibration()
    write_calibration(Calibration({"c": TIMES}))
    monkeypatch.undo()


def test_a_machine_keeps_the_newest_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_MOST_SHAPES", 2)
    for name in "abc":
        write_calibration(Calibration({name: TIMES}))
    assert set(read_calibration().shapes) == {"b", "c"}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"format": 99}', '{"format": 1}', '{"format": 1, "machines": 5}', "[" * 10**5]
)
def test_a_damaged_or_foreign_file_is_replaced(content: str) -> None:
    calibration_file().parent.mkdir()
    calibration_file().write_text(content)
    assert read_calibration() == Calibration()
    write_calibration(Calibration({"a": TIMES}))
    assert read_calibration().shapes == {"a": TIMES}


@pytest.mark.parametrize("value", [None, "1", -1.0, True, float("nan"), float("inf")])
def test_a_damaged_entry_is_left_out(value: object) -> None:
    write_calibration(Calibration({"a": TIMES, "b": TIMES}, {"x": 1.5, "y": 1.5}))
    content = json.loads(calibration_file().read_text())
    (machine,) = content["machines"].values()
    machine["shapes"]["a"]["step"] = value
    machine["corrections"]["x"] = value
    calibration_file().write_text(json.dumps(content))
    assert read_calibration() == Calibration({"b": TIMES}, {"y": 1.5})


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "actbench").write_text("a file where the folder would be")
    write_calibration(Calibration({"a": TIMES}))
    assert read_calibration() == Calibration()


def test_a_correction_goes_halfway_and_stays_within_bounds() -> None:
    known = Calibration()
    assert known.correction("steps x") == 1.0
    known.correct("steps x", measured=4.0, estimated=1.0)
    assert known.correction("steps x") == 2.0
    known.correct("steps x", measured=2.0, estimated=2.0)
    assert known.correction("steps x") == 2.0
    known.correct("steps x", measured=1e9, estimated=1.0)
    assert known.correction("steps x") == 5.0
    known.correct("steps x", measured=0.0, estimated=1.0)  # a command without a measured time teaches nothing
    assert known.correction("steps x") == 5.0

    known.correct("training compare", measured=1e9, estimated=1.0)  # of all of a command the limits are closer
    assert known.correction("training compare") == 2.0
