"""Runs commands on wrong words and damaged files, and checks that each ends in order.

.venv/bin/python scripts/fuzz.py [--seconds N] [--seed S]        # ten minutes by default
.venv/bin/python scripts/fuzz.py --seed S --case KIND/NUMBER     # one case again, as a failure prints it

Each case has an empty folder, a limit of time and one of memory. Most run in a fork of this process, which has
imported everything, and three in a hundred as `python -m actbench`. A case fails where it prints a traceback or a
second line on stderr, ends with another exit code than 0, 1, 2 or 130, hangs, or leaves processes or files. Results:
results/reliability/fuzz.md. For POSIX systems.
"""

import argparse
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from fuzz_cases import KINDS, LOAD, TINY, Samples
from fuzz_process import import_everything, run_fork, run_process, write_files

ROOT = Path(__file__).resolve().parents[1]
REAL_SHARE = 0.03  # of the cases run as a process of their own, which takes seconds to import
_NOTE = re.compile("actbench: /.*/results/.journal/")  # what became of a journal is told before anything else
EXIT_CODES = (0, 1, 2, 130)
STAYS = (".mlflow.db.lock", "mlflow.db", "mlflow.db-shm", "mlflow.db-wal", "mlruns", "results")


def main() -> None:
    """Draws and runs cases until the time is over; exits with 1 if some failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--case", metavar="KIND/NUMBER")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="actbench-fuzz-") as scratch:
        fuzz = _Fuzz(seed, Path(scratch))
        if options.case:
            kind, _, number = options.case.partition("/")
            print(fuzz.failure(kind, int(number)) or "in order")
            return
        cases, failures = fuzz.run(options.seconds)
    _write_table(cases, failures, f"--seed {seed} --seconds {options.seconds:.0f}")
    sys.exit(bool(failures.total()))


def _write_table(cases: Counter[str], failures: Counter[str], words: str) -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "hydra-core", "mlflow", "pillow"))
    rows = [f"| {kind} | {cases[kind]:,} | {failures[kind]} |" for kind in KINDS]
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    revision = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    versions = f"Python {platform.python_version()}, {packages}, revision {revision}, {datetime.now(UTC):%Y-%m-%d}"
    head = f"Cases of `scripts/fuzz.py {words}`; {versions}."
    table = "\n".join([head, "", "| kind | cases | failures |", "|---|---:|---:|", *rows, ""])
    print(f"\n{table}")
    path = ROOT / "results" / "reliability" / "fuzz.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(table, encoding="utf-8")


class _Fuzz:
    """Draws and runs cases. A case is decided by the seed, its kind and its number."""

    def __init__(self, seed: int, scratch: Path) -> None:
        self._seed, self._scratch = seed, scratch
        caches = ("XDG_CACHE_HOME", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")
        os.environ |= dict.fromkeys(caches, str(scratch / "cache")) | {"MKL_CBWR": "AUTO", "PYTHONPATH": str(ROOT)}
        sys.path.insert(0, str(ROOT))
        self._samples = self._make_samples()
        import_everything()

    def _make_samples(self) -> Samples:
        """Trains a run whose store and weights are damaged later, where the cases run: a store holds absolute paths."""
        folder = self._scratch / "case" / "work"
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "actbench", "train", *TINY, "store.save_weights=last"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (weights,) = folder.rglob("*.safetensors")
        samples = Samples((folder / "mlflow.db").read_bytes(), weights.read_bytes())
        shutil.rmtree(folder.parent)
        return samples

    def run(self, seconds: float) -> tuple[Counter[str], Counter[str]]:
        """The numbers of cases and of failures by kind."""
        cases, failures = Counter[str](), Counter[str]()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            kind = min(KINDS, key=lambda name: cases[name])
            problem = self.failure(kind, cases[kind])
            if problem is not None:
                failures[kind] += 1
                print(
                    f"FAILED: scripts/fuzz.py --seed {self._seed} --case '{kind}/{cases[kind]}'\n{problem}", flush=True
                )
            cases[kind] += 1
            if cases.total() % 200 == 0:
                print(", ".join(f"{name} {count}" for name, count in cases.items()), flush=True)
        return cases, failures

    def failure(self, kind: str, number: int) -> str | None:
        """Runs one case; returns what was wrong with how it ended, None where it ended in order."""
        draw = random.Random(f"{self._seed} {kind} {number}")
        case = KINDS[kind](draw, self._samples)
        folder = self._scratch / "case"
        work = folder / "work"
        write_files(work, case)
        (folder / "tmp").mkdir()
        before = _paths(work)
        real = draw.random() < REAL_SHARE and case.words[:1] != (LOAD,)
        code, printed = run_process(folder, case.words) if real else run_fork(folder, case.words)
        problems = [*_wrong_end(code, printed), *_left(folder, before, code)]
        shutil.rmtree(folder)
        if not problems:
            return None
        return f"  actbench {' '.join(map(ascii, case.words))[:500]}\n  {'; '.join(problems)}\n{_indented(printed)}"


def _wrong_end(code: int | None, printed: str) -> list[str]:
    """What is wrong with an exit code and with stderr."""
    problems = [] if code in EXIT_CODES else ["it hangs" if code is None else f"exit code {code}"]
    if "Traceback" in printed:
        problems.append("a traceback")
    elif len([line for line in printed.splitlines() if not _NOTE.match(line)]) > 1:
        problems.append("more than one line")
    if code == 2 and not printed.strip():
        problems.append("no word on what is wrong")
    return problems


def _left(folder: Path, before: set[bytes], code: int | None) -> list[str]:
    """Processes and files that a command has left; one that was refused may leave less than one that has trained."""
    work, tmp = folder / "work", folder / "tmp"
    here = os.fsencode(folder)
    alive = [
        process for process in psutil.process_iter(["cwd"]) if os.fsencode(process.info["cwd"] or "").startswith(here)
    ]
    problems = [f"the process {process.pid} is alive" for process in alive]
    for process in alive:
        process.kill()
    new = {path for path in _paths(work) - before if not path.startswith(tuple(os.fsencode(name) for name in STAYS))}
    if code != 0 and new:
        problems.append(f"it leaves {sorted(new)[:3]}")
    if rest := _paths(tmp):
        problems.append(f"it leaves {sorted(rest)[:3]} in the folder of temporary files")
    others = {path.name for path in folder.parent.iterdir()} - {"cache", "case"}
    return [*problems, *(f"it leaves {name} outside" for name in others)]


def _paths(folder: Path) -> set[bytes]:
    """All files and folders below a folder, as paths relative to it."""
    top = os.fsencode(folder)
    found = ((place, name) for place, folders, files in os.walk(top) for name in (*folders, *files))
    return {os.path.relpath(os.path.join(place, name), top) for place, name in found}


def _indented(text: str) -> str:
    shown = text if len(text) < 1500 else f"{text[:700]}\n...\n{text[-700:]}"
    return "".join(f"    {line}\n" for line in shown.splitlines())


if __name__ == "__main__":
    main()
