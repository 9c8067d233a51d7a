"""One measurement of scripts/benchmark_scale.py, in a process of its own: prints its times and its peak memory.

usage: scale_parts.py PART SIZE FOLDER [URI]
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scale_runs import SIZES, Recording, chosen_marks, digits, planned, request

Action = Callable[[], object]  # what is measured, once everything that it needs is in memory


def plan(size: int, folder: Path, uri: str) -> Action:
    """Composes the grid and makes its runs with their ids."""
    data = digits()
    return lambda: planned(size) and data


def protocol(size: int, folder: Path, uri: str) -> Action:
    """All rounds of a comparison's protocol, each from the outcomes so far."""
    from actbench.experiment.protocol import Outcome, PlannedRun, plan_task

    grid, rates = SIZES[size], sorted((0.001, 0.003, 0.01, 0.03, 0.1)[: SIZES[size].rates])

    def rounds() -> None:
        outcomes: dict[PlannedRun, Outcome | None] = {}
        for task in range(grid.architectures * grid.initializations):
            points = range(task * grid.activations, (task + 1) * grid.activations)
            while due := plan_task(points, rates, range(grid.seeds), outcomes, False, 144).due:
                outcomes |= {run: Outcome(hash(run) % 1000 / 1000, 1.0) for run in due}

    return rounds


def pack(size: int, folder: Path, uri: str) -> Action:
    """Packs the runs into stacks for two workers."""
    from actbench.training.stacks import pack_stacks

    runs = planned(size)
    return lambda: pack_stacks(runs, "cpu", 2, 0)


def files(size: int, folder: Path, uri: str) -> Action:
    """Writes runs.csv, the curves and the other tables of a results folder."""
    from actbench.store.files import costs_frame, write_comparison, write_results
    from actbench.store.provenance import Spent

    runs, recording = planned(size), Recording(folder)
    results, marks = [recording.result(run) for run in runs], chosen_marks(runs)
    target = folder / f"results-{size}"
    target.mkdir(exist_ok=True)
    write_comparison(target, costs_frame([]), [])
    return lambda: write_results(target, results, "actbench compare scale", Spent(1.0), marks)


def report(size: int, folder: Path, uri: str) -> Action:
    """The report in all formats, from the files, as `actbench report` writes it."""
    from actbench.commands.report import write_reports

    return lambda: write_reports(folder / f"results-{size}", request(size))


def table(size: int, folder: Path, uri: str) -> Action:
    """What a sweep prints and draws at its end, from the files."""
    from actbench.commands.terminal import print_runs
    from actbench.report.sweep import write_sweep
    from actbench.store.files import RUNS, read_runs, read_series

    target = folder / f"results-{size}"

    def shown() -> None:
        runs = read_runs(target / RUNS)
        write_sweep(folder / f"sweep-{size}", runs, read_series(target)["curves"], request(size), {})
        print_runs(runs)

    return shown


def write(size: int, folder: Path, uri: str) -> Action:
    """Writes every run into the store as it ends. The command is then gone as after kill -9."""
    from actbench.store.reader import Store

    recording = Recording(folder)
    results = [recording.result(run) for run in planned(size)]
    parent = Store(uri, "scale").start("compare", request(size).to_tags())

    def added() -> None:
        for result in results:
            parent.add(result)

    return added


def resume(size: int, folder: Path, uri: str) -> Action:
    """Finds all runs finished in the store."""
    from actbench.store.reader import Store

    runs, store = planned(size), Store(uri, "scale")

    def found() -> None:
        if len(store.finished(runs)) != size:
            raise SystemExit(f"not all of {size} runs were found in {uri}")

    return found


def end(size: int, folder: Path, uri: str) -> Action:
    """Ends a command: tags the runs that count for the scores, and copies the files."""
    from actbench.store.reader import Store

    runs = planned(size)
    parent = Store(uri, "scale").start("compare", request(size).to_tags())
    chosen = {id for id, mark in chosen_marks(runs).items() if mark.chosen}

    def ended() -> None:
        parent.mark_chosen(chosen)
        parent.end("FINISHED", "", folder / f"results-{size}")

    return ended


def seconds() -> float:
    """Processor time of this process and its children so far, user and system."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


PARTS = {
    "plan": plan, "protocol": protocol, "pack": pack, "files": files, "report": report, "table": table,
    "write": write, "killed": resume, "end": end, "resume": resume,
}  # fmt: skip


def main() -> None:
    os.environ.setdefault("MKL_CBWR", "AUTO")
    name, size, folder, uri = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), (*sys.argv, "")[4]
    os.chdir(folder)
    if uri:
        from actbench.store.mlflow_settings import configure_mlflow

        configure_mlflow()
    action = PARTS[name](size, folder, uri)
    begun, used = time.perf_counter(), seconds()
    action()
    wall, cpu = time.perf_counter() - begun, seconds() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "mb": peak}))


if __name__ == "__main__":
    main()
