"""A job's worker trains as the command does, on data of equal fingerprint only."""

from dataclasses import replace
from pathlib import Path

import pytest

from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.execution import job_worker
from actbench.execution.job_folder import JobFolder
from actbench.execution.job_worker import Order, code, work
from actbench.execution.worker import NOTHING
from actbench.experiment.runs import make_run
from actbench.training.stacks import Stack
from tests.support import TINY, Configs


def test_a_node_prepares_data_whose_cache_it_does_not_see(configs: Configs, digits: PreparedData) -> None:
    (settings,) = configs(*TINY)
    elsewhere = replace(digits, folder="/nowhere")
    assert job_worker._own_data(settings.dataset, elsewhere) == digits


def test_a_node_with_other_data_takes_nothing_and_is_named(
    configs: Configs, digits: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (settings,) = configs(*TINY)
    other = replace(digits, folder="/nowhere", fingerprint="of other images")
    with pytest.raises(UsageError, match=f"fingerprint {digits.fingerprint}, not of other images"):
        job_worker._own_data(settings.dataset, other)
    folder = JobFolder(tmp_path / "jobs")
    folder.make()
    folder.publish("todo", "1", Stack((make_run(settings, other, "sweep"),)))
    work(Order(str(folder.path), str(tmp_path), 30, "cpu", NOTHING, 60.0, code()), "job")
    assert "dataset=digits is not the command's" in str(folder.read("refused", "job"))
    assert folder.names("todo") == {"1"}
    assert not folder.claims()


@pytest.mark.slow
def test_a_worker_stops_when_its_next_task_might_not_end_in_time(
    configs: Configs, digits: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [make_run(settings, digits, "sweep") for settings in configs("seed=0,1", *TINY)]
    folder = JobFolder(tmp_path / "jobs")
    folder.make()
    for run in runs:
        folder.publish("todo", run.id, Stack((run,)))
    work(Order(str(folder.path), str(tmp_path), 1e-6, "cpu", NOTHING, 60.0, code()), "job")
    (id,) = folder.names("results")
    assert folder.read("results", id).row["status"] == "finished"
    assert len(folder.names("todo")) == 1
