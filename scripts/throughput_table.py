"""throughput.csv and throughput.md: every value of the throughput benchmark, with its round, revision and processor."""

import csv
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from sweeps import WAYS

NOT_MEASURED = {"template": "lightning-hydra-template is on no package index; its clone is given by --template"}


@dataclass(frozen=True)
class Line:
    """One value of throughput.csv. target: at least, or where negative at most its size. processor: with its cores."""

    part: str
    what: str
    round: int
    value: float
    target: float | None
    revision: str
    processor: str


def revision() -> str:
    """The checkout's, as git describes it."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()


def processor() -> str:
    """The processor's name and the cores that this process may use."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores"


def machine(packages: tuple[str, ...] = ("torch", "mlflow")) -> str:
    """The processor, its cores, the versions of these packages and the date."""
    from importlib.metadata import version

    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{processor()}; {versions}; {datetime.now(UTC):%Y-%m-%d}"


def write(folder: Path, lines: Sequence[Line], parts: Sequence[str]) -> None:
    """throughput.csv and throughput.md. Of the parts in `parts` those that were not measured now stay; others go."""
    path, renewed = folder / "throughput.csv", {line.part for line in lines}
    old = read(path) if path.exists() else []
    kept = [line for line in old if line.part in parts and line.part not in renewed]
    every = sorted([*kept, *lines], key=lambda line: parts.index(line.part))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Line)])
        writer.writerows([*astuple(replace(line, value=float(f"{line.value:.6g}")))] for line in every)
    sections = [f"Written on {machine()}, part by part.\n\n{WAYS.format(cores=len(os.sched_getaffinity(0)))}"]
    for part in parts:
        own = [line for line in every if line.part == part]
        reason = NOT_MEASURED.get(part, f"--only '{part}' measures it")
        sections.append(f"## {part}\n\n{table(own) if own else f'Not measured: {reason}.'}")
    (folder / "throughput.md").write_text("\n\n".join(sections) + "\n")


def read(path: Path) -> list[Line]:
    """The lines of a throughput.csv; those of an older one without processors are not read."""
    with path.open() as file:
        return [
            Line(
                row["part"], row["what"], int(row["round"]), float(row["value"]),
                float(row["target"]) if row["target"] else None, row["revision"], row["processor"],
            )
            for row in csv.DictReader(file) if "processor" in row
        ]  # fmt: skip


def table(lines: Sequence[Line]) -> str:
    """A row a quantity of one part: median, smallest and largest over the rounds."""
    places = sorted({f"{line.processor}, revision {line.revision}" for line in lines})
    text = [
        f"{'; '.join(places)}.", "", "| what | rounds | median | smallest | largest | target | met |",
        "|---|---:|---:|---:|---:|---|---|",
    ]  # fmt: skip
    for what in dict.fromkeys(line.what for line in lines):
        own = [line for line in lines if line.what == what]
        values, target = [line.value for line in own], own[0].target
        middle = statistics.median(values)
        goal = "" if target is None else f"at {'most' if target < 0 else 'least'} {abs(target):g}"
        met = "" if target is None else "yes" if (middle <= -target if target < 0 else middle >= target) else "**no**"
        cells = f"{len(own)} | {middle:.3g} | {min(values):.3g} | {max(values):.3g}"
        text.append(f"| {what} | {cells} | {goal} | {met} |")
    return "\n".join(text)
