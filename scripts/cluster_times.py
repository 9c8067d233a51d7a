"""Seconds of one sweep here, on one and two nodes of Slurm and of Ray, which it starts here: needs two idle cores.

Run as `python -m scripts.cluster_times [--rounds N]`, as root, in the root of the repository. The ways take turns in
each round. Writes results/reliability/clusters.md.
"""

import argparse
import contextlib
import importlib.metadata
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from actbench.store.provenance import environment as describe
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


def table(times: Mapping[tuple[str, int], Sequence[float]]) -> str:
    """The page. times: of each way and number of nodes, one a round."""
    runs = 4 * 8
    here = describe("")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "submitit", "ray"))
    head = (
        "# What a cluster adds to a sweep\n\n"
        f"`python -m scripts.cluster_times`: seconds of `actbench {' '.join(SWEEP)}` ({runs} runs) in an empty folder, "
        f"from the start of the process to its exit; medians of {len(times['local', 1])} rounds in turn. The nodes of "
        "Slurm and Ray are of one core each, on this machine, and a cluster is running before the command starts. "
        "Added: beside as many workers without a cluster, for jobs that start, a process per job that imports torch, "
        f"and looks at files. {here['processor']}, {here['cores']} cores, {versions}, revision {here['revision']}, "
        f"{here['date']}.\n\n"
        "| where | nodes | seconds | from | to | added |\n|---|---:|---:|---:|---:|---:|\n"
    )
    rows = []
    for (way, nodes), seconds in times.items():
        added = statistics.median(own - alone for own, alone in zip(seconds, times["local", nodes], strict=True))
        last = "" if way == "local" else f"{added:+.1f}"
        middle = statistics.median(seconds)
        rows.append(f"| {way} | {nodes} | {middle:.1f} | {min(seconds):.1f} | {max(seconds):.1f} | {last} |\n")
    return head + "".join(rows)


def main() -> None:
    """Measures, prints a line per measurement, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if (reason := unavailable()) is not None:
        sys.exit(f"no Slurm: {reason}")
    times: dict[tuple[str, int], list[float]] = {}
    with contextlib.ExitStack() as stack:
        slurm = stack.enter_context(slurm_cluster(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        for _, nodes in itertools.product(range(rounds), (1, 2)):
            workers = f"execution.workers={nodes}"
            cluster = ray_nodes(nodes)
            for way, words, own in (
                ("local", [], environment),
                ("Slurm", ["execution=slurm", "execution.slurm.memory=null"], environment | slurm.environment),
                ("Ray", ["execution=ray", f"execution.ray.address={cluster.address}"], environment),
            ):
                times.setdefault((way, nodes), []).append(seconds([*words, workers], own))
                print(f"{way}, {nodes}: {times[way, nodes][-1]:.1f} s", flush=True)
            cluster.shutdown()
    (ROOT / "results" / "reliability" / "clusters.md").write_text(table(times), encoding="utf-8")


if __name__ == "__main__":
    main()
