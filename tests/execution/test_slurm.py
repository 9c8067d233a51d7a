"""Sweeps on a real Slurm of two nodes lose nothing to what happens to nodes, jobs and the command."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from tests.execution.slurm_cluster import NODES, SlurmCluster, slurm_cluster, unavailable
from tests.support import COMMAND, ENVIRONMENT, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))]

SWEEP = ["sweep", "architecture=mlp_small", "activation=relu,gelu,tanh,elu", "seed=range(0,4)", "training.steps=1000",
         "training.stack_size=2"]  # fmt: skip
ON_SLURM = ["execution=slurm", "execution.workers=2", "execution.slurm.memory=null"]
JOBS = Path("results", ".jobs", "sweep", "slurm-cpu-none")
COMPARE = ["compare", "quickstart", "architecture=mlp_small", "activation=relu,tanh", "training.steps=30",
           "protocol.learning_rates=[0.001,0.01]", "protocol.seeds=6"]  # fmt: skip


def numbers(folder: Path, name: str = "sweep") -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is bit-identical between equal commands: rows without times, and curves."""
    runs = pd.read_csv(folder / "results" / name / "runs.csv")
    curves = pd.read_parquet(folder / "results" / name / "curves.parquet")
    return runs.drop(columns=["seconds_to_target", "samples_per_second", "seconds"]), curves[curves.metric != "seconds"]


def assert_compares_like_one_machine(folder: Path, words: Sequence[str], environment: Mapping[str, str]) -> None:
    """A comparison in the current folder is equal to one by workers of this machine in `folder`."""
    subprocess.run([*COMMAND, *COMPARE, "execution.workers=2"], cwd=folder, env=ENVIRONMENT, check=True)
    done = subprocess.run([*COMMAND, *COMPARE, *words], env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    for one, other in zip(numbers(Path.cwd(), "quickstart"), numbers(folder, "quickstart"), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert pd.read_csv("results/quickstart/runs.csv")["lr"].nunique() > 2  # the grid grew: rounds were due
    assert set(pd.read_csv("results/quickstart/costs.csv")["run_id"])  # measured on a node
    one, other = (json.loads((place / "results/quickstart/answer.json").read_text()) for place in (Path(), folder))
    for key in ("take", "avoid", "undecided"):
        assert sorted(one["tasks"][0][key]) == sorted(other["tasks"][0][key])


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same sweep in processes of this machine."""
    folder = tmp_path_factory.mktemp("local")
    subprocess.run([*COMMAND, *SWEEP, "execution.workers=2"], cwd=folder, env=ENVIRONMENT, check=True)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(slurm_cluster(tmp_path_factory.mktemp("slurm")))
        except (AssertionError, OSError, subprocess.SubprocessError, TimeoutError) as error:
            pytest.skip(f"Slurm does not start on this machine: {error}")
        yield running


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(own_folder: Path, cluster: SlurmCluster) -> Iterator[Start]:
    """Starts the sweep on Slurm in a folder of its own; what is left of it ends with the test."""
    started = []

    def start(*words: str) -> subprocess.Popen[str]:
        environment = ENVIRONMENT | cluster.environment | {"PYTHONPATH": ENVIRONMENT["PYTHONPATH"]}
        command = [*COMMAND, *SWEEP, *ON_SLURM, *words]
        started.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        with process:  # closes its pipe
            process.kill()
    for job in cluster.jobs():
        cluster.cancel(job)
    until(lambda: not cluster.jobs(), 60, 0.5)


def claims() -> Sequence[Path]:
    return list((JOBS / "taken").glob("*"))


def wait_for_claims(number: int) -> None:
    """Waits until so many workers train."""
    until(lambda: len(claims()) == number, 120)


def assert_ends_like(process: subprocess.Popen[str], local: Path) -> str:
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    for one, other in zip(numbers(Path.cwd()), numbers(local), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert not JOBS.exists() or claims() == []
    return output


def test_a_sweep_on_slurm_equals_the_local_one_bit_for_bit(start: Start, local: Path) -> None:
    assert_ends_like(start(), local)
    assert not JOBS.exists()


def test_a_comparison_on_slurm_trains_by_the_same_protocol(
    own_folder: Path, cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert_compares_like_one_machine(tmp_path_factory.mktemp("one"), ON_SLURM, ENVIRONMENT | cluster.environment)


def test_a_node_that_is_set_down_costs_no_run(start: Start, cluster: SlurmCluster, local: Path) -> None:
    process = start()
    wait_for_claims(2)
    cluster.set_down(NODES[0])
    try:
        assert_ends_like(process, local)  # the job gives its stack back as Slurm ends it, or loses it
    finally:
        cluster.resume(NODES[0])


def test_a_node_that_vanishes_costs_no_run(start: Start, cluster: SlurmCluster, local: Path) -> None:
    process = start()
    wait_for_claims(2)
    cluster.vanish(NODES[1])
    try:
        assert "2 runs lost their job" in assert_ends_like(process, local)
    finally:
        cluster.start_node(NODES[1])
        cluster.resume(NODES[1])


def test_a_cancelled_and_a_requeued_job_cost_no_run(start: Start, cluster: SlurmCluster, local: Path) -> None:
    process = start()
    wait_for_claims(2)
    first, second = sorted(cluster.jobs("running"))
    cluster.cancel(first)
    cluster.requeue(second)
    assert_ends_like(process, local)  # their stacks go on from checkpoints


def test_the_next_command_takes_over_the_jobs_of_a_killed_one(start: Start, cluster: SlurmCluster, local: Path) -> None:
    process = start()
    wait_for_claims(2)
    jobs = set(cluster.jobs("running"))
    process.kill()
    process.communicate()
    written = until(lambda: list((JOBS / "results").glob("*")), 120)
    assert set(cluster.jobs("running")) == jobs
    assert written
    output = assert_ends_like(start(), local)
    stored = re.search(r"16 runs, (\d+) found finished", output)
    assert stored is not None
    assert int(stored[1]) <= 12  # what the killed command had stored: most came from the jobs' files
    assert "lost" not in output


def test_ctrl_c_cancels_the_jobs_and_the_next_command_trains_the_rest(
    start: Start, cluster: SlurmCluster, local: Path
) -> None:
    process = start()
    wait_for_claims(2)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert claims() == []
    until(lambda: not cluster.jobs("running,pending"), 30, 0.5)
    assert_ends_like(start(), local)


def test_a_command_that_does_not_wait_returns_and_the_same_one_collects(
    start: Start, cluster: SlurmCluster, local: Path
) -> None:
    process = start("execution.wait=false")
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert "16 runs are left to slurm" in output
    until(lambda: not cluster.jobs("running,pending"), 240, 1)
    assert len(list((JOBS / "results").glob("*"))) == 16
    assert_ends_like(start("execution.wait=false"), local)
