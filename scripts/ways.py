"""Trains a sweep in one of the ways of sweeps.py and returns the seconds that the whole sweep takes."""

import csv
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from commands import CORES, HERE, ROOT, Times, Unmeasured, actbench_times, timed
from sweeps import OURS, Sweep

from actbench.execution.server import MALLOC

TEMPLATE_RUNS = 4


@dataclass(frozen=True)
class Places:
    """What the ways need. data: torchvision's folder of MNIST. template: a clone of lightning-hydra-template, or None.

    lightning: a Python with Lightning and the template's packages, for B and L. before: another checkout of actbench.
    """

    data: Path
    template: Path | None = None
    lightning: str = sys.executable
    before: Path | None = None


def seconds_by_way(sweep: Sweep, ways: list[str], places: Places) -> tuple[dict[str, float], Times]:
    """Seconds of each way, in this order, and the times of actbench."""
    seconds: dict[str, float] = {}
    times: Times | None = None
    for way in ways:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            if way == OURS:
                times = actbench(sweep, places, folder)
                seconds[way] = times.seconds
            elif way == "L":
                seconds[way] = template(sweep, places, folder)
            elif way in ("A", "B"):
                seconds[way] = one_process_a_run(way, sweep, places, folder)
            else:
                seconds[way] = one_process_a_core(way, sweep, places, folder)
    if times is None:
        raise ValueError(f"{OURS} is not among {ways}")
    return seconds, times


def actbench(sweep: Sweep, places: Places, folder: Path) -> Times:
    """The sweep by this checkout. Raises Unmeasured where a run does not finish."""
    times = actbench_times(["sweep", *sweep.overrides(places.data)], folder, ROOT)
    with (folder / "results/sweep/runs.csv").open() as file:
        statuses = [row["status"] for row in csv.DictReader(file)]
    # A run that diverges has ended as it should, if earlier: of the high rates on digits.
    ended = sum(status in ("finished", "diverged") for status in statuses)
    if not len(statuses) == len(sweep.runs) == ended:
        raise Unmeasured(f"{ended} of {len(sweep.runs)} runs ended well")
    return times


def one_process_a_core(way: str, sweep: Sweep, places: Places, folder: Path) -> float:
    """C or C_eval: all runs, shared out over the cores, with the malloc settings that actbench gives its workers."""
    shares = [sweep.runs[core::CORES] for core in range(CORES)]
    loops = [_peer(sys.executable, "C", sweep.job(way, share, places.data)) for share in shares]
    return timed(loops, folder, MALLOC)


def one_process_a_run(way: str, sweep: Sweep, places: Places, folder: Path) -> float:
    """A or B: a run for each core, all at once, scaled to the sweep."""
    uri, python = f"sqlite:///{folder}/lightning.db", places.lightning if way == "B" else sys.executable
    if way == "B":  # off the clock: two processes that make one new database break it
        code = f"import mlflow; mlflow.set_tracking_uri({uri!r}); mlflow.set_experiment('lightning')"
        timed([[python, "-c", code]], folder)
    sample = [sweep.runs[core * len(sweep.runs) // CORES] for core in range(CORES)]
    seconds = timed([_peer(python, way, sweep.job(way, [run], places.data, uri)) for run in sample], folder)
    return seconds * len(sweep.runs) / len(sample)


def template(sweep: Sweep, places: Places, folder: Path) -> float:
    """L: four runs of one epoch, as many at once as cores, scaled to the sweep."""
    commands = list(_template_commands(sweep, places, folder))
    shares = [commands[start : start + CORES] for start in range(0, len(commands), CORES)]
    # Its checkpoint holds a class of its own, which torch.load refuses by default since 2.6.
    variables = {"PYTHONPATH": "", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    seconds = sum(timed(share, folder, variables) for share in shares)
    return seconds * len(sweep.runs) / len(commands)


def _template_commands(sweep: Sweep, places: Places, folder: Path) -> Iterator[list[str]]:
    for number in range(TEMPLATE_RUNS):
        run = sweep.runs[number * len(sweep.runs) // TEMPLATE_RUNS]
        yield [
            places.lightning, f"{places.template}/src/train.py", "trainer.max_epochs=1",
            *(f"model.net.lin{layer}_size=256" for layer in (1, 2, 3)), f"data.batch_size={sweep.batch_size}",
            f"model.optimizer.lr={run['lr']}", f"data.data_dir={places.data}",
            f"paths.log_dir={folder / str(number)}",
        ]  # fmt: skip


def _peer(python: str, loop: str, job: dict[str, object]) -> list[str]:
    return [python, str(HERE / "peers.py"), loop, json.dumps(job)]
