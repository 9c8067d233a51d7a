"""Where results come from: versions, machine, command and code revision; environment.json."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
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


def write_environment(path: Path, command: str, seconds: float | None = None) -> None:
    """Writes environment.json: the command and its seconds, the machine, versions and the code revision."""
    timed = {} if seconds is None else {"seconds": round(seconds, 1)}
    write_json(path / ENVIRONMENT, {**environment(command), **timed})


def read_environment(folder: Path) -> dict[str, Any]:
    """The content of the folder's environment.json; empty where there is none, or one that is damaged."""
    try:
        content = json.loads((folder / ENVIRONMENT).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


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
    """The command of this process, as the user typed it."""
    return printable(" ".join(["actbench", *sys.argv[1:]]))
