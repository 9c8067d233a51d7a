"""How fast are whole sweeps on this machine, beside the loops one would write oneself? One command, interleaved rounds.

usage: benchmark_throughput.py [--rounds N] [--root MNIST_FOLDER] [--out FOLDER] [--only PART ...]

A  the loop of the tutorials: DataLoader, torchvision transforms over PIL images; one process a run
B  PyTorch Lightning, TensorDataset, its MLflow logger; one process a run
C  a bare loop on resident tensors, fused Adam; one process a core (for the CNN also in the default memory layout: C0)
D  actbench sweep, process start to runs finished in MLflow; with the MLP it also measures units and gradients eleven
   times a run (the others do not: what measuring costs has a row of its own)

All take equal steps of the same runs, evaluate 6,000 validation examples at equal intervals (D before the first step
too) and 10,000 test examples at the end, with as many processes as cores, one thread each. A and B train a sample of
the runs, as their time is proportional to the number of runs; each time is given for the whole sweep. Needs the extra
`benchmark` (make benchmark). Writes throughput.md and throughput.csv.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from throughput_table import Line, revision, write

HERE = Path(__file__).resolve().parent
ACTBENCH = Path(sys.executable).with_name("actbench")
CORES = len(os.sched_getaffinity(0))
ACTIVATIONS = (
    "relu", "leaky_relu", "prelu", "relu6", "elu", "celu", "selu", "gelu", "silu", "mish", "hard_swish", "tanh",
    "sigmoid", "softplus", "softsign",
)  # fmt: skip


MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_TOP_PAD_": "200000000",
}  # fmt: skip
ON_CPU = ["execution.device=cpu", f"execution.workers={CORES}"]


@dataclass(frozen=True)
class Sweep:
    """15 activations x learning rates x seeds of one architecture. targets: of ratios of times, at least."""

    architecture: str
    batch_size: int
    steps: int
    rates: tuple[float, ...]
    seeds: int
    ways: str
    targets: tuple[tuple[str, float], ...]
    evaluate_every: int
    measured: bool = False

    @property
    def runs(self) -> list[dict[str, object]]:
        return [
            {"architecture": self.architecture, "activation": activation, "lr": rate, "seed": seed}
            for activation in ACTIVATIONS for rate in self.rates for seed in range(self.seeds)
        ]  # fmt: skip

    def job(self, runs: list[dict[str, object]], root: Path, uri: str, channels_last: bool) -> dict[str, object]:
        return {
            "runs": runs, "steps": self.steps, "batch_size": self.batch_size, "evaluate_every": self.evaluate_every,
            "root": str(root), "channels_last": channels_last, "uri": uri,
        }  # fmt: skip

    def overrides(self, root: Path) -> list[str]:
        return [
            "dataset=mnist", f"dataset.root={root}", f"architecture={self.architecture}",
            f"activation={','.join(ACTIVATIONS)}", f"seed=range(0,{self.seeds})",
            f"optimizer.lr={','.join(map(str, self.rates))}", f"training.steps={self.steps}",
            f"training.batch_size={self.batch_size}", f"training.evaluate_every={self.evaluate_every}",
            *([] if self.measured else ["training.measure_every=0"]), *ON_CPU,
        ]  # fmt: skip


SWEEPS = {
    "mlp": Sweep("mlp", 64, 1688, (0.001, 0.003), 2, "ABCD", (("A", 8.0), ("B", 8.0), ("C", 2.0)), 844, True),
    "mlp512": Sweep("mlp", 512, 1060, (0.001, 0.003), 1, "CD", (("C", 1.3),), 530),
    "transformer": Sweep("transformer", 64, 844, (0.001,), 1, "CD", (("C", 1.15),), 844),
    "cnn": Sweep("cnn", 64, 422, (0.001,), 1, "C0D", (("C", 1.0), ("0", 1.4)), 422),
}
FLOPS_A_SAMPLE = 3 * 2 * (784 * 256 + 256 * 256 + 256 * 10) - 2 * 784 * 256  # MLP; no gradient of the input


def timed(commands: list[list[str]], folder: Path, environment: dict[str, str] | None = None) -> float:
    """Seconds until all commands, at once, have ended well."""
    begun, variables = time.perf_counter(), {**os.environ, **(environment or {})}
    processes = [
        subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in commands
    ]
    for command, process in zip(commands, processes, strict=True):
        output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{' '.join(command)[:300]}\n{output[-3000:]}")
    return time.perf_counter() - begun


def peer(way: str, job: dict[str, object]) -> list[str]:
    return [sys.executable, str(HERE / "peers.py"), way, json.dumps(job)]


def one_process_a_run(way: str, sweep: Sweep, root: Path, folder: Path) -> float:
    """A or B: a sample of two runs a core, as many at once as cores."""
    uri = f"sqlite:///{folder}/lightning.db"
    if way == "lightning":  # off the clock: two processes that make one new database break it
        code = f"import mlflow; mlflow.set_tracking_uri({uri!r}); mlflow.set_experiment('lightning')"
        timed([[sys.executable, "-c", code]], folder)
    size = min(2 * CORES, len(sweep.runs))
    sample = [sweep.runs[index * len(sweep.runs) // size] for index in range(size)]
    seconds = sum(
        timed([peer(way, sweep.job([run], root, uri, False)) for run in sample[start : start + CORES]], folder)
        for start in range(0, len(sample), CORES)
    )
    return seconds * len(sweep.runs) / len(sample)


def one_process_a_core(sweep: Sweep, root: Path, folder: Path, channels_last: bool) -> float:
    """C: all runs, shared out over the cores; with the malloc settings that actbench gives its workers."""
    shares = [sweep.runs[core::CORES] for core in range(CORES)]
    return timed([peer("bare", sweep.job(share, root, "", channels_last)) for share in shares], folder, MALLOC)


def actbench(sweep: Sweep, root: Path, folder: Path) -> tuple[float, float]:
    """D: seconds, and samples a second of all cores in the step loop alone."""
    seconds = timed([[str(ACTBENCH), "sweep", *sweep.overrides(root)]], folder)
    with (folder / "results/sweep/runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    finished = [row for row in rows if row["status"] == "finished"]
    if not len(rows) == len(sweep.runs) == len(finished):
        raise SystemExit(f"{len(finished)} of {len(sweep.runs)} runs finished")
    loop = sum(sweep.steps * sweep.batch_size / float(row["samples_per_second"]) for row in finished) / len(finished)
    return seconds, CORES * sweep.steps * sweep.batch_size / loop


def train_only(overrides: list[str], folder: Path) -> dict[str, float]:
    command = [sys.executable, str(HERE / "train_only.py"), *overrides, *ON_CPU]
    out = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    if found["unfinished"]:
        raise SystemExit(f"{' '.join(command)}: {found['unfinished']} runs did not finish")
    return found


def peak() -> float:
    """GFLOP/s of all cores at once."""
    commands = [[sys.executable, str(HERE / "peers.py"), "gemm"]] * CORES
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    return sum(float(process.communicate()[0]) for process in processes)


Row = tuple[str, str, float, float | None]  # part, what, value, target


def sweep_round(name: str, root: Path) -> Iterator[Row]:
    sweep, seconds, rate, gemm = SWEEPS[name], {}, 0.0, 0.0
    for way in sweep.ways:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            if way in "AB":
                kind = "dataloader" if way == "A" else "lightning"
                seconds[way] = one_process_a_run(kind, sweep, root, folder)
            elif way == "D":
                before = peak() if name == "mlp" else 0.0
                seconds[way], rate = actbench(sweep, root, folder)
                gemm = (before + peak()) / 2 if name == "mlp" else 0.0
            else:
                seconds[way] = one_process_a_core(sweep, root, folder, way == "C" and sweep.architecture == "cnn")
        yield name, f"seconds of {way}", seconds[way], None
    for way, target in sweep.targets:
        yield name, f"D over {way}", seconds[way] / seconds["D"], target
    yield name, "D: samples/s in the step loop, all cores", rate, None
    if gemm:
        yield name, "measured GEMM peak of all cores, GFLOP/s", gemm, None
        yield name, "D: useful GEMM rate over peak, %", 100 * rate * FLOPS_A_SAMPLE / gemm / 1e9, 50.0


def overhead_round(root: Path) -> Iterator[Row]:
    """MNIST, MLP, 5 epochs: measuring units and gradients as by default against not at all, and MLflow against none."""
    overrides = [
        "dataset=mnist", f"dataset.root={root}", f"activation={','.join(ACTIVATIONS)}", "training.epochs=5"
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        on = train_only(overrides, folder)
        off = train_only([*overrides, "training.measure_every=0"], folder)
        whole = timed([[str(ACTBENCH), "sweep", *overrides, *ON_CPU]], folder)
    slower = 100 * (on["seconds"] / off["seconds"] - 1)
    yield "overhead", "measured over not measured, % slower", slower, -5.0
    yield "overhead", "with MLflow over without, % slower", 100 * (whole / on["seconds"] - 1), -10.0
    yield "overhead", "peak memory of a worker on MNIST, GB", on["worker_gb"], -1.5


def many_runs_round(root: Path) -> Iterator[Row]:
    """2,000 narrow, deep networks, initialised and measured."""
    overrides = ["architecture=mlp", "architecture.width=3", "architecture.depth=10", "training.steps=0",
                 "seed=range(0,2000)"]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        yield "2,000 runs", "steps=0: seconds to the last record", train_only(overrides, Path(folder))["seconds"], -15.0
        whole = timed([[str(ACTBENCH), "sweep", *overrides, *ON_CPU]], Path(folder))
        yield "2,000 runs", "steps=0: seconds with MLflow", whole, -120.0


def quickstart_round(root: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        seconds = timed([[str(ACTBENCH), "compare", *ON_CPU]], Path(folder))
        with (Path(folder) / "results/quickstart/runs.csv").open() as file:
            runs = sum(1 for _ in csv.DictReader(file))
    yield "make compare", "digits: runs", runs, 400
    yield "make compare", "digits: seconds", seconds, -120.0


PARTS: dict[str, Callable[[Path], Iterator[Row]]] = {
    **{name: (lambda root, name=name: sweep_round(name, root)) for name in SWEEPS},  # type: ignore[misc]
    "overhead": overhead_round, "many": many_runs_round, "quickstart": quickstart_round,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--root", type=Path, default=Path("data"), help="torchvision's MNIST; fetched where missing")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results/benchmarks")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="renew these parts alone")
    arguments = parser.parse_args()
    root, lines, own = arguments.root.resolve(), [], revision()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.rounds):
        for part in arguments.only:
            for name, what, value, target in PARTS[part](root):
                lines.append(Line(name, what, number + 1, value, target, own))
                print(f"round {number + 1}: {name}: {what}: {value:.4g}", flush=True)
        write(arguments.out, lines)
    print((arguments.out / "throughput.md").read_text())


if __name__ == "__main__":
    main()
