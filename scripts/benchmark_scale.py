"""How time and memory grow with the number of runs: from 100 to 100,000, of a recorded training, so nothing trains.

usage: benchmark_scale.py [--sizes N ...] [--parts PART ...] [--stores sqlite postgresql] [--rounds N] [--folder FOLDER]

plan      the grid is composed and its runs are made, with their ids
protocol  all rounds of a comparison's protocol are replayed, each from the outcomes so far
pack      the runs are packed into stacks
files     runs.csv, curves and the other tables are written
report    the report is written in all formats, of 10,000 test examples a run
table     what a sweep prints and draws at its end
and in MLflow, of at most 10,000 runs:
write     every run is written as it ends; the command is then gone, as after kill -9
killed    all runs are found finished, without a command's files
end       the runs that scores are taken from are tagged, and the files copied
resume    all runs are found finished, with a command's files

Each measurement is a process of its own. Its peak memory includes what it works on: runs, and for files and write their
results. Processor time is user and system, without that of a PostgreSQL server; on a busy machine it is the more
trustworthy of the two. PostgreSQL is a server of this script, in a temporary folder, where Debian's packages are
installed. Writes scale.csv and scale.md; what is not measured now is kept from before.
"""

import argparse
import contextlib
import csv
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scale_runs import ROOT, SIZES, record
from throughput_table import machine, revision

HERE = Path(__file__).resolve().parent
OUT = ROOT / "results/benchmarks"
IN_MEMORY = ("plan", "protocol", "pack", "files", "report", "table")
IN_STORE = ("write", "killed", "end", "resume")
STORES = ("sqlite", "postgresql")
LARGEST_STORE = 10_000  # runs
CHEAP = 1000  # runs up to which a measurement is repeated
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # where Debian installs it
PACKAGES = ("mlflow", "sqlalchemy", "hydra-core", "pandas")
TARGETS = {  # part, runs -> seconds and MB at most
    ("plan", 100_000): (10.0, 1000), ("report", 10_000): (60.0, 2000), ("killed", 10_000): (10.0, None),
    ("resume", 10_000): (10.0, None), ("write", 10_000): (0.02 * 10_000, None),
}  # fmt: skip

Key = tuple[str, str, int]  # part, store, runs
Values = tuple[float, float, float]  # seconds, processor seconds, MB


def measured(part: str, size: int, folder: Path, uri: str = "") -> Values:
    command = [sys.executable, str(HERE / "scale_parts.py"), part, str(size), str(folder), uri]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{part} at {size} runs ended with {done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    return found["wall"], found["cpu"], found["mb"]


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URI of a PostgreSQL server that runs in `folder`, as another user where this one is root."""
    programs, data = POSTGRES[-1].parent, folder / "postgresql"
    data.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses root
        shutil.chown(data, "postgres")
        folder.chmod(0o711)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def call(*words: str | Path) -> None:
        subprocess.run([*as_user, *words], cwd=data, stdout=subprocess.DEVNULL, check=True)

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data}"
    control = (programs / "pg_ctl", "-D", data, "-w", "-l", data / "log", "-o", options)
    call(programs / "initdb", "-D", data, "-A", "trust", "-U", "actbench")
    call(*control, "start")
    try:
        yield f"postgresql://actbench@127.0.0.1:{port}/postgres"
    finally:
        call(*control, "-m", "immediate", "stop")


@contextlib.contextmanager
def store(name: str) -> Iterator[str]:
    """The URI of an empty store in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="actbench-scale-") as made:
        if name == "sqlite":
            yield f"sqlite:///{made}/mlflow.db"
        else:
            with postgresql(Path(made)) as uri:
                yield uri


def measure(size: int, parts: list[str], stores: list[str], folder: Path) -> Iterator[tuple[Key, Values]]:
    """One round of one size."""
    for part in [part for part in IN_MEMORY if part in parts]:
        yield (part, "", size), measured(part, size, folder)
    if size > LARGEST_STORE or not set(parts) & set(IN_STORE):
        return
    for name in stores:
        with store(name) as uri:
            for part in IN_STORE:  # each needs what those before it have stored
                yield (part, name, size), measured(part, size, folder, uri)
    shutil.rmtree(folder / "mlruns", ignore_errors=True)  # the copies of files


def read(path: Path) -> dict[Key, Values]:
    if not path.exists():
        return {}
    with path.open() as file:
        return {
            (row["part"], row["store"], int(row["runs"])): (
                float(row["seconds"]), float(row["processor_seconds"]), float(row["mb"])
            )
            for row in csv.DictReader(file)
        }  # fmt: skip


def write(lines: dict[Key, Values], command: str) -> None:
    """scale.csv and scale.md, sorted by part, store and size."""
    parts = [*IN_MEMORY, *IN_STORE]
    ordered = dict(sorted(lines.items(), key=lambda line: (parts.index(line[0][0]), line[0][1] != "sqlite", line[0])))
    with (OUT / "scale.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["part", "store", "runs", "seconds", "processor_seconds", "mb"])
        writer.writerows([*key, *(f"{value:.4g}" for value in values)] for key, values in ordered.items())
    text = [
        f"{machine(PACKAGES)}; revision {revision()}.",
        f"`{command}`. A recorded training, multiplied; nothing trains. Parts: the head of scripts/benchmark_scale.py.",
        "Times are medians of rounds up to 1,000 runs, single above. Processor time is user and system, without that",
        "of a PostgreSQL server, and is the more trustworthy of the two where other programs run; memory is the peak",
        "of the process with what it works on.",
        "",
        "| part | store | runs | seconds | processor seconds | ms a run | MB | target | met |",
        "|---|---|---:|---:|---:|---:|---:|---|---|",
    ]  # fmt: skip
    text += [_line(key, values) for key, values in ordered.items()]
    (OUT / "scale.md").write_text("\n".join(text) + "\n")


def _line(key: Key, values: Values) -> str:
    part, name, size = key
    wall, processor, mb = values
    seconds, most_mb = TARGETS.get((part, size), (None, None))
    goals = [f"{seconds:g} s"] if seconds is not None else []
    goals += [f"{most_mb:,} MB"] if most_mb is not None else []
    met = "" if seconds is None else "yes" if wall <= seconds and mb <= (most_mb or mb) else "**no**"
    return (
        f"| {part} | {name} | {size:,} | {wall:.3g} | {processor:.3g} | {1000 * wall / size:.3g} | {mb:,.0f} | "
        f"{', '.join(goals)} | {met} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--parts", nargs="+", choices=[*IN_MEMORY, *IN_STORE], default=[*IN_MEMORY, *IN_STORE])
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    parser.add_argument("--rounds", type=int, default=3, help=f"of sizes up to {CHEAP}")
    parser.add_argument(
        "--folder", type=Path, help="keeps the recorded training and the files; default: a temporary one"
    )
    arguments = parser.parse_args()
    stores = arguments.stores
    if "postgresql" in stores and not POSTGRES:
        print("no PostgreSQL server on this machine (apt-get install postgresql): skipped")
        stores = [name for name in stores if name != "postgresql"]
    with tempfile.TemporaryDirectory(prefix="actbench-scale-") as made:
        folder = (arguments.folder or Path(made)).resolve()
        record(folder)
        lines = read(OUT / "scale.csv")
        for size in arguments.sizes:
            found: dict[Key, list[Values]] = {}
            for _ in range(arguments.rounds if size <= CHEAP else 1):
                for key, values in measure(size, arguments.parts, stores, folder):
                    found.setdefault(key, []).append(values)
                    print(*key, *(f"{value:.4g}" for value in values), flush=True)
                    lines[key] = tuple(map(statistics.median, zip(*found[key], strict=True)))
            write(lines, " ".join(["scripts/benchmark_scale.py", *sys.argv[1:]]))
    print((OUT / "scale.md").read_text())


if __name__ == "__main__":
    main()
