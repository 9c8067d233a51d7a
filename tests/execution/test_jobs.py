"""The files that a command and the jobs of a cluster exchange lose no run, whatever happens to the jobs."""

import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from actbench.data.datasets import PreparedData
from actbench.errors import Submitted, UsageError
from actbench.execution import engine, jobs
from actbench.execution.job_folder import Call, JobFolder, keys_of
from actbench.execution.job_worker import Order, code, work
from actbench.execution.jobs import JobPool
from actbench.execution.worker import NOTHING
from actbench.experiment.command import ExecutionSettings, SlurmSettings
from actbench.experiment.runs import Run, make_run
from actbench.training.results import Result, failed_result, identity
from actbench.training.stacks import Stack
from tests.support import TINY, Configs


class Threads:
    """An engine whose jobs are threads that train nothing. Jobs die with a run of `deadly`, if they begin at all."""

    name, logs = "threads", "nowhere"

    def __init__(self, deadly: Collection[str] = (), begin: bool = True, refuse: str = "") -> None:
        self.deadly, self.begin, self.refuse = deadly, begin, refuse
        self.taken: list[tuple[str, ...]] = []
        self.cancelled: set[str] = set()
        self._threads: dict[str, threading.Thread] = {}

    def submit(self, order: Order, names: Sequence[str]) -> list[str]:
        for name in names:
            self._threads[name] = threading.Thread(target=self._work, args=(order, name), daemon=True)
            self._threads[name].start()
        return list(names)

    def _work(self, order: Order, job: str) -> None:
        folder = JobFolder(Path(order.folder))
        with folder.until_removed():
            self._carry_out(folder, job)

    def _carry_out(self, folder: JobFolder, job: str) -> None:
        if self.refuse:
            folder.publish("refused", job, self.refuse)
        if self.refuse or not self.begin:
            return
        with folder.counting(job, "n1") as worker:
            while claimed := folder.claim(worker):
                name, task = claimed
                self.taken.append(keys_of(task))
                if set(keys_of(task)) & set(self.deadly):
                    return
                if isinstance(task, Call):
                    folder.publish("results", task.key, task.function(*task.arguments))
                else:
                    for run in task.runs:
                        folder.publish("results", run.id, finished(run))
                folder.release(name, worker)

    def alive(self, ids: Collection[str]) -> dict[str, bool]:
        return {id: True for id in ids if id in self._threads and self._threads[id].is_alive()}

    def cancel(self, ids: Collection[str]) -> None:
        self.cancelled |= set(ids)

    def close(self) -> None:
        pass


def finished(run: Run) -> Result:
    return Result(run, identity(run, "finished"))


@pytest.fixture
def runs(configs: Configs, digits: PreparedData, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Eight runs; and a clock that the tests need not wait for."""
    monkeypatch.setattr(jobs, "POLL", 0.01)
    monkeypatch.setattr(engine, "ASK", 0.01)
    return [make_run(settings, digits, "sweep") for settings in configs("seed=range(0,8)", *TINY)]


def pool(folder: Path, threads: Threads, retries: int = 2, wait: bool = True) -> JobPool:
    slurm = SlurmSettings(partition=None, account=None, minutes=30, memory=None, gpus=0, additional=None)
    settings = ExecutionSettings(
        device="auto", workers=2, timeout=60.0, checkpoint_minutes=10.0, retries=retries, wait=wait, slurm=slurm,
        ray=None,
    )  # fmt: skip
    return JobPool(threads, folder / "jobs", "cpu", NOTHING, settings, 30)


def trained(pool: JobPool, stacks: Sequence[Stack]) -> dict[str, Result]:
    return {result.run.id: result for results in pool.run(stacks) for result in results}


def halves(runs: Sequence[Run]) -> list[Stack]:
    return [Stack(tuple(runs[:4])), Stack(tuple(runs[4:]))]


def test_every_run_comes_back_once_and_the_folder_is_removed(runs: list[Run], tmp_path: Path) -> None:
    threads = Threads()
    with pool(tmp_path, threads) as own:
        assert set(trained(own, halves(runs))) == {run.id for run in runs}
    assert sorted(key for keys in threads.taken for key in keys) == sorted(run.id for run in runs)
    assert not (tmp_path / "jobs").exists()


def test_stacks_that_are_added_while_others_train_are_trained(runs: list[Run], tmp_path: Path) -> None:
    first, second = halves(runs)
    ended: list[str] = []
    with pool(tmp_path, Threads()) as own:
        for results in own.run([first]):
            ended += [result.run.id for result in results]
            if len(ended) == len(first.runs):
                own.add([second])
    assert sorted(ended) == sorted(run.id for run in runs)


def test_a_lost_stack_is_tried_as_it_was_then_run_by_run_and_only_the_deadly_run_fails(
    runs: list[Run], tmp_path: Path
) -> None:
    threads = Threads(deadly={runs[1].id})
    with pool(tmp_path, threads) as own:
        results = trained(own, halves(runs))
    ids = tuple(run.id for run in runs)
    assert threads.taken.count(ids[:4]) == 2
    assert threads.taken.count(ids[1:2]) == 1
    assert [id for id, result in results.items() if result.error] == [runs[1].id]
    assert results[runs[1].id].error == "its job was lost 3 times, at last on n1; see nowhere"


def test_without_retries_a_lost_stack_fails_at_once(runs: list[Run], tmp_path: Path) -> None:
    with pool(tmp_path, Threads(deadly={runs[1].id}), retries=0) as own:
        results = trained(own, halves(runs))
    assert [id for id, result in results.items() if result.error] == [run.id for run in runs[:4]]


def test_jobs_that_end_before_they_begin_end_the_command_in_one_line(runs: list[Run], tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="jobs of threads ended before they began; see nowhere"),
        pool(tmp_path, Threads(begin=False)) as own,
    ):
        trained(own, halves(runs))


def test_nodes_that_refuse_are_named(runs: list[Run], tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="no node takes the runs: node n1: other data"),
        pool(tmp_path, Threads(refuse="node n1: other data")) as own,
    ):
        trained(own, halves(runs))


def test_results_of_an_earlier_command_are_taken_up_but_for_failed_and_damaged_ones(
    runs: list[Run], tmp_path: Path
) -> None:
    folder = JobFolder(tmp_path / "jobs")
    folder.make()
    folder.publish("results", runs[0].id, finished(runs[0]))
    folder.publish("results", runs[1].id, failed_result(runs[1], "it failed", "cpu"))
    (tmp_path / "jobs" / "results" / runs[2].id).write_bytes(b"\x80\x04cut")
    threads = Threads()
    with pool(tmp_path, threads) as own:
        results = trained(own, halves(runs))
    assert {result.row["status"] for result in results.values()} == {"finished"}
    assert sorted(key for keys in threads.taken for key in keys) == sorted(run.id for run in runs[1:])


def test_tasks_of_an_earlier_command_are_not_submitted_twice(runs: list[Run], tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "jobs")
    folder.make()
    folder.publish("todo", "1", Stack(tuple(runs[:4])))
    folder.publish("todo", "2", Stack(tuple(runs[4:])))
    assert folder.claim("gone.1") is not None  # by a worker that does not live any more
    threads = Threads()
    with pool(tmp_path, threads) as own:
        assert set(trained(own, [Stack((run,)) for run in runs])) == {run.id for run in runs}
    assert sorted(map(len, threads.taken)) == [4, 4]


def test_a_stack_of_which_an_earlier_job_has_written_a_part_is_not_submitted_again(
    runs: list[Run], tmp_path: Path
) -> None:
    folder = JobFolder(tmp_path / "jobs")
    folder.make()
    folder.publish("todo", "1", Stack(tuple(runs)))
    folder.publish("results", runs[0].id, finished(runs[0]))
    threads = Threads()
    with pool(tmp_path, threads) as own:
        assert set(trained(own, halves(runs))) == {run.id for run in runs}
    assert list(map(len, threads.taken)) == [8]


def test_a_command_that_does_not_wait_leaves_its_tasks_and_jobs(runs: list[Run], tmp_path: Path) -> None:
    first = Threads(begin=False)
    with pytest.raises(Submitted, match="8 runs are left to threads"), pool(tmp_path, first, wait=False) as own:
        trained(own, halves(runs))
    assert not first.cancelled
    assert len(JobFolder(tmp_path / "jobs").names("todo")) == 2


def test_an_interruption_cancels_the_jobs_and_withdraws_the_tasks(runs: list[Run], tmp_path: Path) -> None:
    threads = Threads(begin=False)
    own = pool(tmp_path, threads)
    own.__enter__()
    own.run(halves(runs))
    own.__exit__(KeyboardInterrupt, None, None)
    assert len(threads.cancelled) == 2
    assert not JobFolder(tmp_path / "jobs").names("todo")


def test_a_function_is_called_in_a_job(tmp_path: Path, runs: list[Run]) -> None:
    with pool(tmp_path, Threads()) as own:
        assert own.call(len, runs) == 8


def test_only_one_of_many_workers_takes_a_task(runs: list[Run], tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "jobs")
    folder.make()
    for number in range(50):
        folder.publish("todo", f"{number:02d}", Stack((runs[0],)))
    taken: list[str] = []

    def claim(worker: str) -> None:
        while claimed := folder.claim(worker):
            taken.append(claimed[0])

    workers = [threading.Thread(target=claim, args=(f"w.{number}",)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(taken) == [f"{number:02d}" for number in range(50)]


def test_a_job_that_begins_when_its_command_has_ended_is_no_error(tmp_path: Path) -> None:
    order = Order(str(tmp_path / "removed"), str(tmp_path), 1, "cpu", NOTHING, 0, code())
    work(order, "late")
    assert not (tmp_path / "removed").exists()
    folder = JobFolder(tmp_path / "there")
    folder.make()
    with pytest.raises(FileNotFoundError), folder.until_removed():
        (tmp_path / "another").read_text()


def test_a_folder_that_others_can_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs").chmod(0o777)
    with pytest.raises(UsageError, match="other users can change it"):
        JobFolder(tmp_path / "jobs").make()


def test_a_worker_whose_counter_stands_still_is_lost_sooner_if_its_job_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = JobFolder(tmp_path / "jobs")
    folder.make()
    folder.write_jobs({"dead": "1", "stuck": "2"})
    for worker in ("dead.a", "stuck.a"):
        (folder.path / "workers" / worker).write_text("7")
    threads = Threads()
    monkeypatch.setattr(threads, "alive", lambda ids: {id: True for id in ids if id == "2"})
    own = engine.Jobs(threads, folder, order(folder), fruitless=1)
    own.look()
    now = time.monotonic()
    for seconds, held in ((0, [True, True]), (engine.QUIET + 1, [False, True]), (engine.SILENT + 1, [False, False])):
        monkeypatch.setattr(time, "monotonic", lambda seconds=seconds: now + seconds)
        assert [own.holds("dead.a"), own.holds("stuck.a")] == held
    own.look()
    assert threads.cancelled == {"2"}  # its place is free for another job


def order(folder: JobFolder, **changed: object) -> Order:
    values = {"folder": str(folder.path), "current": str(folder.path.parent), "minutes": 30.0, "device": "cpu",
              "saving": NOTHING, "timeout": 60.0, "code": code()}  # fmt: skip
    return Order(**(values | changed))  # type: ignore[arg-type]


def test_a_node_with_another_version_takes_nothing(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = JobFolder(tmp_path / "jobs")
    folder.make()
    folder.publish("todo", "1", Stack(tuple(runs)))
    work(order(folder, code=(1, "0.0.1")), "job")
    assert "the command 0.0.1 (engine 1)" in str(folder.read("refused", "job"))
    assert folder.names("todo") == {"1"}
