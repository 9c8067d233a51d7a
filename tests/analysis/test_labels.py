"""The statistics of the tables."""

import math

import pandas as pd
import pytest

from actbench.analysis.summary import summarize
from actbench.report.tables import summary_table


def rows(**columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    defaults: dict[str, object] = {
        "dataset": "digits", "architecture": "mlp", "initialization": "matched", "optimizer": "adam",
        "activation": "relu", "lr": 0.1, "variant": {}, "status": "finished", "dead_fraction": 0.0,
        "reached_target": True, "val_accuracy": 0.5, "test_accuracy": 0.5, "steps_to_target": 10,
    }  # fmt: skip
    return pd.DataFrame({key: columns.get(key, [value] * n) for key, value in defaults.items()})


def test_summary_by_hand() -> None:
    frame = rows(
        test_accuracy=[0.5, 0.7, None], val_accuracy=[0.5, 0.7, None], status=["finished", "finished", "diverged"],
        steps_to_target=[10, None, None], reached_target=[True, False, False],
    )  # fmt: skip
    (line,) = summarize(frame).to_dict("records")
    assert (line["n"], line["unfinished"], line["test_accuracy_n"], line["reached"]) == (3, 1, 2, 1)
    assert line["test_accuracy_mean"] == pytest.approx(0.6)
    assert line["test_accuracy_sd"] == pytest.approx(math.sqrt(0.02))
    assert line["steps_to_target"] == math.inf
    assert summary_table(summarize(frame))["to target"].tolist() == ["1 of 3"]
