"""throughput.csv and throughput.md: every value of the throughput benchmark, with its round and revision."""

import csv
import os
import platform
import statistics
import subprocess
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

NAMES = ["mlp", "mlp512", "transformer", "cnn", "overhead", "2,000 runs", "make compare"]  # parts, in their order


@dataclass(frozen=True)
class Line:
    """One value of throughput.csv. target: at least, or where negative at most its size."""

    part: str
    what: str
    round: int
    value: float
    target: float | None
    revision: str


def revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()


def write(folder: Path, lines: list[Line]) -> None:
    """throughput.csv and throughput.md; parts that were not measured now stay."""
    path, renewed = folder / "throughput.csv", {line.part for line in lines}
    kept = [line for line in read(path) if line.part not in renewed] if path.exists() else []
    every = sorted([*kept, *lines], key=lambda line: NAMES.index(line.part))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Line)])
        writer.writerows([*astuple(replace(line, value=float(f"{line.value:.6g}")))] for line in every)
    parts = {part: sorted({line.revision for line in every if line.part == part}) for part in NAMES}
    rounds = {part: max((line.round for line in every if line.part == part), default=0) for part in NAMES}
    told = "; ".join(f"{part} {rounds[part]} at {', '.join(parts[part])}" for part in NAMES if rounds[part])
    text = f"{machine()}\nInterleaved rounds, at the revision: {told}. Medians.\n\n{table(every)}\n"
    (folder / "throughput.md").write_text(text)


def read(path: Path) -> list[Line]:
    with path.open() as file:
        return [
            Line(
                row["part"], row["what"], int(row["round"]), float(row["value"]),
                float(row["target"]) if row["target"] else None, row["revision"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def table(lines: list[Line]) -> str:
    """A line a quantity: its median over rounds, and every round."""
    text = ["| part | what | median | all rounds | target | met |", "|---|---|---:|---|---:|---|"]
    for part, what in dict.fromkeys((line.part, line.what) for line in lines):
        own = [line for line in lines if (line.part, line.what) == (part, what)]
        middle, target = statistics.median(line.value for line in own), own[0].target
        goal = "" if target is None else f"at {'most' if target < 0 else 'least'} {abs(target):g}"
        met = "" if target is None else "yes" if (middle <= -target if target < 0 else middle >= target) else "**no**"
        each = ", ".join(f"{line.value:.4g}" for line in own)
        text.append(f"| {part} | {what} | {middle:.4g} | {each} | {goal} | {met} |")
    return "\n".join(text)


def machine(packages: tuple[str, ...] = ("torch", "mlflow", "lightning")) -> str:
    """The processor, its cores, the versions of these packages and the date."""
    from importlib.metadata import version

    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores; {versions}; " \
        f"{datetime.now(UTC):%Y-%m-%d}"  # fmt: skip
