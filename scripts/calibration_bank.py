"""A bank of runs for scripts/calibration.py: every name at every rate on every seed, without MLflow.

usage: calibration_bank.py ARCHITECTURE FOLDER [--seeds N] [--part I/N]

The runs are those of the experiment `quickstart` on digits: ReLU, ReLU under mirrored names (mirrored.py), and OTHERS.
Chunks of seeds that FOLDER holds already are skipped; parts run side by side.
"""

import argparse
from pathlib import Path

import pandas as pd

from actbench.data.datasets import prepare_data
from actbench.execution.worker import train_stack, use_one_thread
from actbench.experiment.compose import compose_grid
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import make_run
from actbench.training.stacks import pack_stacks

MIRRORED = tuple(f"mirrored:relu_{number}" for number in range(1, 12))  # with relu itself twelve names
OTHERS = ("gelu", "gelu_tanh", "tanh")
RATES = (
    0.003,
    0.01,
    0.03,
    0.09,
)  # quickstart's grid, and one beyond its upper end; none beyond the lower was ever asked for
CHUNK = 12  # seeds of a file

COLUMNS = ["activation", "lr", "seed", "val_accuracy", "val_loss", "test_accuracy"]


def bank(architecture: str, seeds: range) -> pd.DataFrame:
    """The runs of all names at all rates on these seeds."""
    overrides = [line for line in load_experiment("quickstart").overrides if not line.startswith("architecture=")]
    own = [
        f"architecture={architecture}", f"activation={','.join(('relu', *MIRRORED, *OTHERS))}",
        "training.measure_every=0", "training.evaluate_every=1000000",
    ]  # fmt: skip
    grid = compose_grid([*overrides, *own])
    settings = [run.at(rate, seed) for seed in seeds for run in grid.runs for rate in RATES]
    data = prepare_data("digits", None, False, None)
    runs = [make_run(run, data, "compare") for run in settings]
    rows = []
    for stack in pack_stacks(runs, "cpu", 1, 0):
        rows += [result.row for result in train_stack(stack, "cpu")]
    return pd.DataFrame(rows)[COLUMNS].sort_values(COLUMNS[:3], ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=360)
    parser.add_argument("--part", default="0/1")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    use_one_thread()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for start in range(part * CHUNK, arguments.seeds, parts * CHUNK):
        path = arguments.folder / f"{arguments.architecture}-{start:05d}.parquet"
        if not path.exists():
            runs = bank(arguments.architecture, range(start, min(start + CHUNK, arguments.seeds)))
            scratch = path.with_suffix(".part")
            runs.to_parquet(scratch, index=False)
            scratch.rename(path)
            print(path, flush=True)


if __name__ == "__main__":
    main()
