"""Seconds of one sweep here, on one and two nodes of Slurm and of Ray, which it starts here: needs two idle cores.

Run as `python -m scripts.cluster_times`, as root, in the root of the repository.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.execution.slurm_cluster import slurm_cluster, unavailable

ROOT = Path(__file__).parents[1]
SWEEP = ["sweep", "architecture=mlp", "activation=relu,gelu,tanh,elu", "seed=range(0,8)", "training.steps=2000",
         "training.stack_size=4", "training.measure_every=0"]  # fmt: skip


def seconds(words: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds of the sweep in an empty folder, from process start to exit."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "actbench", *SWEEP, *words]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun


def ray_nodes(number: int) -> Any:
    """A cluster of a head without processors and nodes of one."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(number):
        cluster.add_node(num_cpus=1)
    return cluster


def main() -> None:
    """Prints a line per way."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as stack:
        slurm = None
        if (reason := unavailable()) is None:
            slurm = stack.enter_context(slurm_cluster(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        else:
            print(f"no Slurm: {reason}")
        for nodes in (1, 2):
            workers = f"execution.workers={nodes}"
            print(f"local, {nodes}: {seconds([workers], environment):.0f} s", flush=True)
            if slurm is not None:
                words = ["execution=slurm", "execution.slurm.memory=null", workers]
                print(f"Slurm, {nodes}: {seconds(words, environment | slurm.environment):.0f} s", flush=True)
            cluster = ray_nodes(nodes)
            words = ["execution=ray", f"execution.ray.address={cluster.address}", workers]
            print(f"Ray, {nodes}: {seconds(words, environment):.0f} s", flush=True)
            cluster.shutdown()


if __name__ == "__main__":
    main()
