"""Damaged files of results/<experiment>/ are named in one line that says what to do."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from actbench.commands.report import write_reports
from actbench.errors import UsageError
from actbench.experiment.questions import Hypothesis
from actbench.experiment.request import Request
from actbench.store.files import (
    COSTS,
    EXAMPLES,
    HYPOTHESES,
    RUNS,
    costs_frame,
    read_costs,
    write_comparison,
    write_runs,
)
from actbench.store.provenance import ENVIRONMENT, read_environment
from tests.analysis.frames import chosen_runs

COST_ROWS = costs_frame([("relu0", number, 1.0, 100.0, 0.1) for number in range(3)])
HYPOTHESIS = Hypothesis(claim="it scores", metric="test_accuracy", a={"activation": "relu"}, b=0.5, direction="higher")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "results" / "mine"
    own.mkdir(parents=True)
    write_runs(own / RUNS, chosen_runs({"relu": [0.9] * 6, "tanh": [0.8] * 6}).assign(raced_out=False))
    write_comparison(own, COST_ROWS, [HYPOTHESIS])
    return own


def edited(pattern: str, by: str) -> Callable[[bytes], bytes]:
    return lambda content: re.sub(pattern.encode(), by.encode(), content, count=1)


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("name", "damage", "problem"),
    [
        (COSTS, half, "it ends within a line"),
        (COSTS, edited("run_id,round", "id,number"), "no column run_id, round"),
        (COSTS, edited("100.0", "dear"), "ValueError: "),
        (COSTS, edited("100.0", ""), "values of step_ns are missing"),
        (COSTS, lambda _: b"\xff\xfe\n", ""),
        (RUNS, half, "it ends within a line"),
        (RUNS, lambda _: b"", "it ends within a line"),
        (RUNS, edited(",dataset,", ",data,"), "values of dataset are missing"),
        (RUNS, edited(",test_accuracy,", ",accuracy,"), "values of test_accuracy are missing"),
        (RUNS, edited(",val_score", ",validation"), "values of val_score are missing"),
        (RUNS, edited(",accuracy,0.9", ",f1,0.9"), "no metric f1"),
        (RUNS, edited("digits,mlp,relu,matched,adam,0.1", "digits,mlp,relu,matched,adam,fast"), "ValueError: "),
        (HYPOTHESES, half, "JSONDecodeError: "),
        (HYPOTHESES, lambda _: b"[1]", "TypeError: "),
        (EXAMPLES, lambda _: b"PAR1", "Arrow"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(
    name: str, damage: Callable[[bytes], bytes], problem: str, folder: Path
) -> None:
    path = folder / name
    path.write_bytes(damage(path.read_bytes() if path.exists() else b""))
    request = Request("mine", "Which?", "actbench compare mine", "", "relu", 0.01)
    hint = "run `actbench compare mine` again: it trains nothing anew and writes its files"
    with pytest.raises(UsageError, match=rf"{re.escape(str(path))} is damaged \({problem}") as raised:
        write_reports(folder, request, ["md"])
    assert str(raised.value).endswith(hint)


def test_a_whole_file_of_costs_is_read_as_it_was_written(folder: Path) -> None:
    pd.testing.assert_frame_equal(read_costs(folder / COSTS), COST_ROWS)


@pytest.mark.parametrize("seconds", ["long", None, [1]])
def test_seconds_that_are_no_number_are_left_out(seconds: object, folder: Path) -> None:
    (folder / ENVIRONMENT).write_text(json.dumps({"cores": 2, "seconds": seconds}))
    assert read_environment(folder) == {"cores": 2}
