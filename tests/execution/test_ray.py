"""Sweeps on a real Ray cluster of two nodes equal local ones, also where a node is removed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.execution.test_slurm import assert_compares_like_one_machine, numbers
from tests.support import COMMAND, ENVIRONMENT, until

ray_cluster = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed (pip install '.[ray]')")

pytestmark = pytest.mark.slow

SWEEP = ["sweep", "architecture=mlp_small", "activation=relu,gelu,tanh", "seed=range(0,4)", "training.steps=1000",
         "training.stack_size=2"]  # fmt: skip
JOBS = Path("results", ".jobs", "sweep", "ray-cpu-none")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without processors, and two nodes of one."""
    started = ray_cluster.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        started.add_node(num_cpus=1)
    yield started
    started.shutdown()


def test_a_node_that_is_removed_costs_no_run_and_changes_no_number(
    own_folder: Path, cluster: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    local = tmp_path_factory.mktemp("local")
    subprocess.run([*COMMAND, *SWEEP, "execution.workers=2"], cwd=local, env=ENVIRONMENT, check=True)
    words = ["execution=ray", "execution.workers=2", f"execution.ray.address={cluster.address}"]
    output = own_folder / "output"
    with output.open("w") as stream:
        process = subprocess.Popen([*COMMAND, *SWEEP, *words], env=ENVIRONMENT, stdout=stream, stderr=stream)
    try:
        until(lambda: len(list((JOBS / "taken").glob("*"))) == 2, 120)
        cluster.remove_node(sorted(cluster.worker_nodes, key=str)[0])
        assert process.wait(timeout=300) == 0, output.read_text()
        assert "2 runs lost their job" in output.read_text()
    finally:
        process.kill()
        process.wait()
    for one, other in zip(numbers(own_folder), numbers(local), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_comparison_on_ray_trains_by_the_same_protocol(
    own_folder: Path, cluster: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    words = ["execution=ray", "execution.workers=2", f"execution.ray.address={cluster.address}"]
    assert_compares_like_one_machine(tmp_path_factory.mktemp("one"), words, ENVIRONMENT)


def test_without_an_address_a_cluster_of_this_machine_trains_and_ends(own_folder: Path) -> None:
    words = ["sweep", "architecture=mlp_small", "seed=range(0,2)", "training.steps=5", "execution=ray",
             "execution.workers=1"]  # fmt: skip
    done = subprocess.run([*COMMAND, *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert pd.read_csv("results/sweep/runs.csv")["status"].eq("finished").all()
    assert not JOBS.exists()
