"""The fuzz test repeats its cases, and sees what it looks for."""

import random
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from fuzz import _left, _wrong_end
from fuzz_cases import KINDS, Samples

SAMPLES = Samples(b"SQLite format 3\0" + bytes(4096), (2).to_bytes(8, "little") + b"{}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_decided_by_the_seed_its_kind_and_its_number(kind: str) -> None:
    def cases() -> list[object]:
        return [KINDS[kind](random.Random(f"7 {kind} {number}"), SAMPLES) for number in range(20)]

    assert cases() == cases()
    assert len({repr(case) for case in cases()}) > 10


def test_tracebacks_second_lines_other_exit_codes_and_hangs_are_seen() -> None:
    line = "actbench: error: seed=x: must be a whole number\n"
    assert _wrong_end(2, line) == []
    assert _wrong_end(0, "") == []
    assert _wrong_end(2, f"actbench: /a/results/.journal/1/entries.damaged: 1 damaged line\n{line}") == []
    assert _wrong_end(2, line + line) == ["more than one line"]
    assert _wrong_end(2, "") == ["no word on what is wrong"]
    assert _wrong_end(1, "Traceback (most recent call last):\n  ...\n") == ["a traceback"]
    assert _wrong_end(-11, "") == ["exit code -11"]
    assert _wrong_end(None, "") == ["it hangs"]


def test_files_that_a_refused_command_leaves_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    for name in ("work", "tmp"):
        (folder / name).mkdir(parents=True)
    assert _left(folder, set(), 2) == []
    (folder / "work" / "sprung").touch()
    (folder / "tmp" / "scratch").touch()
    (tmp_path / "elsewhere").touch()
    found = "; ".join(_left(folder, set(), 2))
    assert all(name in found for name in ("sprung", "scratch", "elsewhere"))
    assert "sprung" not in "; ".join(_left(folder, set(), 0))
