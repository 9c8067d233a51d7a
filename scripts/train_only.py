"""A sweep without MLflow: what `actbench sweep` does up to the last record, and nothing after it.

usage: train_only.py [overrides]. Prints, as JSON: seconds from process start to the last record, runs, runs that did
not finish, and the peak memory of a worker in GB.
"""

import json
import resource
import sys
import time

STARTED = time.perf_counter()  # before the first heavy import


def main() -> None:
    from actbench.data.datasets import prepare_data
    from actbench.execution.devices import choose_device, memory_per_worker, worker_count
    from actbench.execution.local import Pool
    from actbench.experiment.compose import compose_grid
    from actbench.experiment.runs import make_run
    from actbench.training.stacks import pack_stacks

    grid = compose_grid(sys.argv[1:])
    first = grid.runs[0].dataset
    data = prepare_data(first.name, first.root, False, first.image_size)
    runs = [make_run(point, data, "sweep") for point in grid.runs]
    device = choose_device(grid.command.execution)
    workers = min(worker_count(grid.command.execution, device), len(runs))
    ended = []
    with Pool(device, workers) as pool:
        for results in pool.run(pack_stacks(runs, device, workers, memory_per_worker(device, workers))):
            ended += results
        seconds = time.perf_counter() - STARTED
    who = resource.RUSAGE_CHILDREN if workers > 1 else resource.RUSAGE_SELF
    print(json.dumps({
        "seconds": seconds, "runs": len(ended), "unfinished": sum(r.row["status"] != "finished" for r in ended),
        "worker_gb": 1024 * resource.getrusage(who).ru_maxrss / 1e9,  # of the largest; in KiB on Linux
    }))  # fmt: skip


if __name__ == "__main__":
    main()
