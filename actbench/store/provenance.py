"""Where results come from: versions, machine, command and code revision; environment.json."""

import csv
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from actbench.errors import printable
from actbench.signals import write_json
from actbench.training.machine import processor

ENVIRONMENT = "environment.json"

_PACKAGES = ("actbench", "torch", "torchvision", "hydra-core", "mlflow", "numpy", "pandas")


def environment(command: str) -> Mapping[str, object]:
    """The content of environment.json."""
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "versions": versions(),
        "revision": revision(),
    }


@dataclass(frozen=True)
class Spent:
    """The time that commands took which trained the runs of a folder.

    seconds: summed over `commands`; None where it is not known. run_ids: of the runs with a result. taken: runs that
    were trained for another plan, whose time is not among the seconds.
    """

    seconds: float | None = None
    commands: int = 1
    run_ids: frozenset[str] = frozenset()
    taken: int = 0

    def plus(self, seconds: float, planned: Collection[str], taken: int = 0) -> "Spent":
        """With a command that trained too; that command alone where it did not plan all the runs of the others.

        planned: run ids. taken: runs that it took from another plan.
        """
        if self.seconds is None or not self.run_ids or not self.run_ids <= set(planned):
            return Spent(seconds, taken=taken)
        return Spent(self.seconds + seconds, self.commands + 1, taken=self.taken + taken)


def spent_before(folder: Path, runs: str) -> Spent:
    """What earlier commands spent, by the folder's environment.json and its file `runs` of runs."""
    found = read_environment(folder)
    try:
        with (folder / runs).open(encoding="utf-8", newline="") as file:
            ended = {row["run_id"] for row in csv.DictReader(file) if row["status"] in ("finished", "diverged")}
    except (OSError, ValueError, KeyError, csv.Error):
        ended = set()
    taken = found.get("taken", 0)
    return Spent(
        found.get("seconds"), int(found.get("commands", 1)), frozenset(ended), taken if isinstance(taken, int) else 0
    )


def write_environment(path: Path, command: str, spent: Spent | None = None) -> None:
    """Writes environment.json: the command, the machine, versions, the code revision and the time of training."""
    timed: dict[str, object] = {}
    if spent is not None and spent.seconds is not None:
        timed = {"seconds": round(spent.seconds, 1), "commands": spent.commands}
        timed |= {"taken": spent.taken} if spent.taken else {}
    write_json(path / ENVIRONMENT, {**environment(command), **timed})


def read_environment(folder: Path) -> dict[str, Any]:
    """The content of the folder's environment.json; empty where there is none, or one that is damaged.

    Without `seconds` and `commands` where these are no numbers.
    """
    try:
        content = json.loads((folder / ENVIRONMENT).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    timed = isinstance(content.get("seconds"), int | float) and isinstance(content.get("commands", 1), int)
    return content if timed else {key: value for key, value in content.items() if key not in ("seconds", "commands")}


def versions() -> dict[str, str]:
    """Versions of the packages that decide or hold results, by name."""
    return {name: version(name) for name in _PACKAGES}


def revision() -> str | None:
    """The git revision of a checkout of actbench, with + where code differs from it; None for an installed wheel."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno", "--", ".", ":!results"], cwd=root, capture_output=True, text=True
        )
    except OSError:
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "") if head.returncode == 0 else None


def command_line() -> str:
    """The command of this process, as a shell takes it."""
    return printable(shlex.join(["actbench", *sys.argv[1:]]))
