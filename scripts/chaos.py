"""Disturbs a small sweep in every way that is known to us, repeats the same command, and counts what was lost.

usage: python scripts/chaos.py [--faults NAME,...] [--tries N] [--work FOLDER] [--seed N] [--out FOLDER]

A try: the sweep starts in an empty folder, a fault happens at a random moment, and the same command is repeated until
it exits with 0. Then every run must be in runs.csv and in the store exactly once, with the numbers of an undisturbed
sweep. A command that exits with 0 must have kept its word at that moment. Tries are noted in FOLDER/tries.jsonl as they
end, so an interrupted script goes on where it was; the table is written to OUT/chaos.md.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from faults import FAULTS, LIMIT, OWN, OWN_FAULTS, ROOT, SWEEP, Fault, Try, slurm_faults

from actbench.store.client import connect
from actbench.store.mlflow_settings import configure_mlflow
from actbench.store.provenance import environment, revision
from actbench.store.sqlite import checkpoint_log, is_absent
from actbench.training.results import WALL_CLOCK

MOST_COMMANDS = 4  # of a try, the first included


@dataclass(frozen=True)
class Count:
    """What one try found. left: runs that are still RUNNING, files of journals, checkpoints and scratch files."""

    lost: int
    doubled: int
    different: int
    left: int
    tracebacks: int


def rows_of(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of runs.csv by run id, without times."""
    path = folder / "results" / "sweep" / "runs.csv"
    if not path.exists():
        return {}
    frame = pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=list(WALL_CLOCK))
    rows: dict[str, list[dict[str, str]]] = {}
    for row in frame.to_dict("records"):
        rows.setdefault(str(row["run_id"]), []).append({str(key): str(value) for key, value in row.items()})
    return rows


def stored(folder: Path) -> tuple[Counter[str], dict[str, float], int]:
    """Finished runs in the store by id, their test accuracy, and the number of runs that are still RUNNING.

    All empty where there is no database, or an empty file, which an open connection to a deleted one leaves.
    """
    database = folder / "mlflow.db"
    if is_absent(database):
        return Counter(), {}, 0
    with contextlib.closing(sqlite3.connect(database)) as connection:
        finished = connection.execute(
            "select tags.value, latest_metrics.value from runs join tags on tags.run_uuid = runs.run_uuid left join "
            "latest_metrics on latest_metrics.run_uuid = runs.run_uuid and latest_metrics.key = 'test_accuracy' where "
            "tags.key = 'run_id_hash' and runs.status = 'FINISHED' and runs.lifecycle_stage = 'active'"
        ).fetchall()
        running = "select count(*) from runs where status = 'RUNNING' and lifecycle_stage = 'active'"
        (count,) = connection.execute(running).fetchone()
    return Counter(id for id, _ in finished), dict(finished), int(count)


def check(folder: Path, reference: dict[str, list[dict[str, str]]]) -> tuple[int, int, int, int]:
    """(lost, doubled, different, still running) beside an undisturbed sweep; a run may be all of these."""
    rows, (ids, accuracy, running) = rows_of(folder), stored(folder)
    lost = sum(id not in rows or rows[id][0]["status"] != "finished" or not ids[id] for id in reference)
    doubled = sum(len(rows.get(id, ())) > 1 or ids[id] > 1 for id in reference)
    different = sum(
        rows[id][0] != reference[id][0] or float(rows[id][0]["test_accuracy"]) != accuracy.get(id)
        for id in reference
        if id in rows and ids[id] and rows[id][0]["status"] == "finished"
    )
    return lost, doubled, different + len(set(rows) - set(reference)), running


def attempt(one: Try, fault: Fault, reference: dict[str, list[dict[str, str]]]) -> Count:
    """Carries out a try."""
    false = 0  # runs that a command with exit code 0 did not have
    for number in range(MOST_COMMANDS):
        command = one.start()
        try:
            if number == 0:
                fault(one, command)
            code = command.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(command.pid, signal.SIGKILL)
            raise
        if code == 0:
            lost, doubled, different, running = check(one.folder, reference)
            if not lost:
                break
            false += lost
    else:
        raise RuntimeError(f"the command failed {MOST_COMMANDS} times; see {one.folder / 'output.txt'}")
    left = [
        path for name in (".journal", ".checkpoints", ".jobs") for path in (one.folder / "results" / name).rglob("*")
    ]
    left += [
        path for path in (one.folder / "results" / "sweep").glob(".*") if path.suffix in (".csv", ".parquet", ".json")
    ]
    output = (one.folder / "output.txt").read_text(errors="replace")
    return Count(
        lost + false, doubled, different, running + len([p for p in left if p.is_file()]), output.count("Traceback")
    )


@contextlib.contextmanager
def try_folder(name: str, work: Path) -> Iterator[Path]:
    """A folder for a try, removed when it is done; for `disk full` a file system of 24 MB of its own."""
    folder = Path(tempfile.mkdtemp(prefix="try-", dir=work))
    small = name == "disk full"
    if small:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        if small:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


class Chaos:
    """The tries in a work folder, with the undisturbed sweeps that they are compared with."""

    def __init__(self, work: Path, seed: int) -> None:
        self._work, self._seed = work.resolve(), seed
        self._work.mkdir(parents=True, exist_ok=True)
        self._blank = self._work / "blank.db"
        if not self._blank.exists():
            connect(f"sqlite:///{self._blank}")
            checkpoint_log(f"sqlite:///{self._blank}")
        self._references: dict[str, tuple[dict[str, list[dict[str, str]]], float]] = {}

    @property
    def notes(self) -> Path:
        """A line of JSON for each try."""
        return self._work / "tries.jsonl"

    def _prepare(self, name: str, folder: Path, number: int, seconds: float, extra: dict[str, str]) -> Try:
        shutil.copy(self._blank, folder / "mlflow.db")
        one = Try(folder, random.Random(f"{self._seed} {name} {number}"), seconds, self._blank, environment=extra)
        if name in OWN_FAULTS:
            (folder / "own.py").write_text(OWN.format(fault=OWN_FAULTS[name]))
            one.words = ("activation=relu,own:f", "execution.timeout=15")
        if name.startswith("Slurm"):
            one.words = (*one.words, "execution=slurm", "execution.workers=2", "execution.slurm.memory=null")
        return one

    def reference(self, name: str) -> tuple[dict[str, list[dict[str, str]]], float]:
        """The rows of the undisturbed sweep, and its seconds."""
        kind = name if name in OWN_FAULTS else ""
        if kind not in self._references:
            with try_folder("", self._work) as folder:
                one = self._prepare(kind, folder, -1, 0.0, {})
                (folder / "once").touch()
                begun = time.monotonic()
                if one.start().wait(LIMIT):
                    raise RuntimeError((folder / "output.txt").read_text())
                self._references[kind] = rows_of(folder), time.monotonic() - begun
        return self._references[kind]

    def run(self, name: str, fault: Fault, number: int, extra: dict[str, str]) -> Count:
        """One try; its count is noted."""
        reference, seconds = self.reference(name)
        with try_folder(name, self._work) as folder:
            try:
                count = attempt(self._prepare(name, folder, number, seconds, extra), fault, reference)
            except Exception:
                shutil.copytree(folder, self._work / f"failed-{name.replace(' ', '-')}-{number}", dirs_exist_ok=True)
                raise
            if any(asdict(count).values()):
                shutil.copytree(folder, self._work / f"bad-{name.replace(' ', '-')}-{number}", dirs_exist_ok=True)
        with self.notes.open("a") as file:
            line = {"fault": name, "number": number, "revision": revision(), **asdict(count)}
            print(json.dumps(line), file=file, flush=True)
        return count

    def tries(self) -> list[dict[str, Any]]:
        """What is noted of each try."""
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []

    def table(self) -> pd.DataFrame:
        """A row for each fault: tries and what they counted together."""
        columns = ["fault", "number", "lost", "doubled", "different", "left", "tracebacks"]
        frame = pd.DataFrame(self.tries(), columns=columns)
        groups = frame.drop_duplicates(["fault", "number"]).groupby("fault", sort=False)
        return groups.sum(numeric_only=True).drop(columns="number").assign(tries=groups.size()).reset_index()


def page(chaos: Chaos, seed: int) -> str:
    """The Markdown page."""
    table, revisions = chaos.table(), dict.fromkeys(str(row["revision"]) for row in chaos.tries())
    about = environment("")
    versions: Any = about["versions"]
    lines = [
        "# What faults cost a sweep", "",
        f"`python scripts/chaos.py --seed {seed}`: `actbench {' '.join(SWEEP)}` (12 runs) is disturbed at a random "
        "moment and repeated until it exits with 0. Lost, doubled, different: runs that are then not in runs.csv and "
        "in the store exactly once with the numbers of an undisturbed sweep, or that a command with exit code 0 did "
        "not have. Left: runs still RUNNING, and files of journals, checkpoints and jobs. "
        f"{about['processor']}, {about['cores']} cores, torch {versions['torch']}, mlflow {versions['mlflow']}, "
        f"revision {', '.join(revisions)}, {str(about['date'])[:10]}.", "",
        "| fault | tries | lost | doubled | different | left | tracebacks |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in table.to_dict("records"):
        lines.append(
            f"| {row['fault']} | {row['tries']} | {row['lost']} | {row['doubled']} | {row['different']} | "
            f"{row['left']} | {row['tracebacks']} |"
        )
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the tries that are not noted yet, and writes the table. Returns 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", help="names, comma-separated; all by default, of Slurm where it is installed")
    parser.add_argument("--tries", type=int, help="of each fault; by default 100 kills, and a few of the others")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "actbench-chaos"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reliability")
    asked = parser.parse_args(arguments)
    configure_mlflow()
    sys.path.insert(0, str(ROOT))
    from tests.execution.slurm_cluster import slurm_cluster, unavailable

    chaos = Chaos(asked.work, asked.seed)
    done = {(row["fault"], row["number"]) for row in chaos.tries()}
    chosen = asked.faults.split(",") if asked.faults else None
    with contextlib.ExitStack() as stack:
        faults, extra = dict(FAULTS), {}
        if unavailable() is None and (chosen is None or any(name.startswith("Slurm") for name in chosen)):
            cluster = stack.enter_context(slurm_cluster(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
            faults |= slurm_faults(cluster)
            extra = {"SLURM_CONF": cluster.environment["SLURM_CONF"]}
        for name in chosen or faults:
            fault, tries = faults[name]
            for number in range(asked.tries or tries):
                if (name, number) not in done:
                    print(name, number, chaos.run(name, fault, number, extra), flush=True)
    table = chaos.table()
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "chaos.md").write_text(page(chaos, asked.seed))
    print(table.to_string(index=False))
    return int(table.drop(columns=["fault", "tries"]).to_numpy().any())


if __name__ == "__main__":
    sys.exit(main())
