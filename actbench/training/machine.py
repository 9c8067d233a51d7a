"""The machine that trains a run: the columns `processor` and `torch` of runs.csv."""

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

MACHINE = ("processor", "torch")


@cache
def processor() -> str:
    """The model of this machine's processor."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


@cache
def torch_version() -> str:
    """torch's version, without the seconds that its import takes."""
    return version("torch")


def machine() -> dict[str, str]:
    """The columns MACHINE of a run that trains in this process."""
    return dict(zip(MACHINE, (processor(), torch_version()), strict=True))
