"""A short form of scripts/chaos.py: what it finds after some of its faults, and that it would find a loss."""

import sqlite3
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from actbench.training.results import WALL_CLOCK
from tests.support import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from chaos import Chaos, check, rows_of
from faults import FAULTS


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Chaos:
    return Chaos(tmp_path_factory.mktemp("chaos"), seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kill -9 parent", "kill -9 worker", "store deleted", "two equal commands"])
def test_a_disturbed_sweep_loses_doubles_and_changes_no_run(name: str, chaos: Chaos) -> None:
    count = chaos.run(name, FAULTS[name][0], 0, {})
    assert not any(asdict(count).values())
    assert chaos.table().set_index("fault").loc[name, "tries"] == 1


def test_a_lost_a_doubled_and_a_different_run_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "sweep"
    folder.mkdir(parents=True)
    frame = pd.DataFrame({"run_id": ["a", "b", "c"], "status": "finished", "test_accuracy": 0.5})
    frame.assign(**dict.fromkeys(WALL_CLOCK, 1.0)).to_csv(folder / "runs.csv", index=False)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("create table runs (run_uuid, status, lifecycle_stage)")
        connection.execute("create table tags (run_uuid, key, value)")
        connection.execute("create table latest_metrics (run_uuid, key, value)")
        for id in "abc":
            connection.execute("insert into runs values (?, 'FINISHED', 'active')", [id])
            connection.execute("insert into tags values (?, 'run_id_hash', ?)", [id, id])
            connection.execute("insert into latest_metrics values (?, 'test_accuracy', 0.5)", [id])
        connection.commit()
        reference = rows_of(tmp_path)
        assert check(tmp_path, reference) == (0, 0, 0, 0)
        connection.execute("update runs set lifecycle_stage = 'deleted' where run_uuid = 'a'")
        connection.execute("insert into runs values ('again', 'FINISHED', 'active'), ('still', 'RUNNING', 'active')")
        connection.execute("insert into tags values ('again', 'run_id_hash', 'b')")
        connection.execute("insert into latest_metrics values ('again', 'test_accuracy', 0.5)")
        connection.execute("update latest_metrics set value = 0.4 where run_uuid = 'c'")
        connection.commit()
    assert check(tmp_path, reference) == (1, 1, 1, 1)
