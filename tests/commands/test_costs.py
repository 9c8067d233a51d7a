"""The costs of a comparison: one activation that fails, or a damaged file, does not cost those of the others."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import actbench.report.report
from actbench.commands import step_costs
from actbench.execution.local import Pool
from tests.support import TINY
from tests.support import actbench as command

WORDS = ["compare", "quickstart", "activation=relu,tanh", "protocol.learning_rates=[0.01]", "protocol.seeds=2",
         "execution.workers=1", *TINY]  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("command_line")
def test_costs_are_kept_where_one_activation_fails_and_measured_again_where_their_file_is_damaged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failing = ["tanh"]

    def costs(pool: Pool, function: object, arguments: Any) -> list[list[tuple[str, int, float, float, float]]]:
        ((runs, *_),) = arguments
        if any(run.settings.activation.label in failing for run in runs):
            raise RuntimeError("ValueError: late")
        return [[(run.id, 0, 1.0, 100.0, 0.1) for run in runs]]

    monkeypatch.setattr(Pool, "calls", costs)
    monkeypatch.setattr(step_costs, "cache_home", lambda: tmp_path / "cache")
    monkeypatch.setattr(actbench.report.report, "FORMATS", ("md",))
    path = Path("results/quickstart/costs.csv")
    assert command(*WORDS) == 0
    assert "costs of tanh in mlp could not be measured: ValueError: late\n" in capsys.readouterr().out
    assert len(pd.read_csv(path)) == 1
    failing.clear()
    path.write_text(path.read_text()[:-3])
    (stored,) = Path("mlruns").rglob("artifacts/costs.csv")
    stored.write_text("run_id\n")
    assert command(*WORDS) == 0
    assert len(pd.read_csv(path)) == 2
    assert "costs of" not in capsys.readouterr().out
