"""How long whole sweeps take on this machine, beside hand-written loops and beside another checkout of actbench.

usage: benchmark_throughput.py [--root MNIST_FOLDER] [--template CLONE [--template-python PYTHON]] [--before CHECKOUT]
                               [--rounds N] [--only PART ...] [--roofline] [--out FOLDER]

A round trains every sweep of sweeps.py in every way, then runs `actbench compare` and a sweep of 2,000 narrow networks;
with --before these two in both checkouts. The order within a round rotates. A, B and L are many times slower than
actbench and take part in the first FEW_ROUNDS rounds only. --roofline adds what bounds a training step (roofline.py).
Writes throughput.md and throughput.csv; parts that are not measured keep their rows. Needs the extra `benchmark` (make
benchmark).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import roofline
from commands import ROOT, Unmeasured, actbench_times, check_checkout
from sweeps import OURS, SWEEPS
from throughput_table import Line, processor, revision, write
from ways import Places, seconds_by_way

from actbench.data.datasets import prepare_data
from actbench.errors import UsageError

FEW_ROUNDS = 3  # enough for ratios far from 1
COMMANDS = {
    "make compare": ["compare"],
    "2,000 runs": [
        "sweep", "architecture=mlp", "architecture.width=3", "architecture.depth=10", "training.steps=0",
        "seed=range(0,2000)",
    ],
}  # fmt: skip
# At most: issue targets of the comparison on digits, on two cores.
LIMITS = {"stacks from first to last, over the sum of these": 1.15, "all else, seconds": 12.0}
PARTS = (*SWEEPS, *COMMANDS)

Row = tuple[str, float, float | None]  # what, value, target as in Line
Item = TypeVar("Item")


def sweep_rows(part: str, number: int, places: Places) -> Iterator[Row]:
    """A round of one sweep; number: of the round, from 0."""
    sweep = SWEEPS[part]
    ways = [way for way in (*sweep.targets, OURS) if _takes_part(way, number, places)]
    if ways == [OURS]:
        return
    seconds, times = seconds_by_way(sweep, rotated(ways, number), places)
    for way in ways:
        yield f"{way}: seconds", seconds[way], None
    for what, value in list(times.rows.items())[1:]:
        yield f"{OURS}: {what}", value, None
    for way in ways[:-1]:
        yield f"{OURS} over {way}", seconds[way] / seconds[OURS], sweep.targets[way]


def _takes_part(way: str, number: int, places: Places) -> bool:
    if way == "L" and places.template is None:
        return False
    return number < FEW_ROUNDS or way not in ("A", "B", "L")


def command_rows(part: str, number: int, places: Places) -> Iterator[Row]:
    """A round of one command, in the other checkout too where there is one."""
    checkouts = {"": ROOT} if places.before is None else {"before: ": places.before, "": ROOT}
    seconds = {}
    for name, checkout in rotated(list(checkouts.items()), number):
        with tempfile.TemporaryDirectory() as folder:
            times = actbench_times(COMMANDS[part], Path(folder), checkout)
        seconds[name] = times.seconds
        for what, value in times.rows.items():
            limit = LIMITS.get(what) if part == "make compare" and not name else None
            yield f"{name}{what}", value, None if limit is None else -limit
    if places.before is not None:
        yield "before over now", seconds["before: "] / seconds[""], None


def rotated(items: list[Item], number: int) -> list[Item]:
    """The items in another order in each of as many rounds."""
    first = number % len(items)
    return items[first:] + items[:first]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--root", type=Path, default=Path("data"), help="torchvision's MNIST; fetched where missing")
    parser.add_argument("--template", type=Path, help="clone of lightning-hydra-template; without it L is left out")
    parser.add_argument("--template-python", default=sys.executable, help="for B and L, with their packages")
    parser.add_argument("--before", type=Path, help="another checkout of actbench")
    parser.add_argument("--out", type=Path, default=ROOT / "results/benchmarks")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts alone")
    parser.add_argument("--roofline", action="store_true", help="also what bounds a step; alone with --rounds 0")
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    template, before = (None if path is None else path.resolve() for path in (arguments.template, arguments.before))
    places = Places(arguments.root.resolve(), template, arguments.template_python, before)
    for checkout in (ROOT, before):
        if checkout is not None:
            check_checkout(checkout)
    prepare_data("mnist", str(places.data), True, None)
    if template is None and "template" in arguments.only:
        print("L is left out: --template names no clone of lightning-hydra-template")
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines: list[Line] = []
    for number in range(arguments.rounds):
        for part in arguments.only:
            rows = sweep_rows if part in SWEEPS else command_rows
            for what, value, target in rows(part, number, places):
                lines.append(Line(part, what, number + 1, value, target, revision(), processor()))
                print(f"round {number + 1}: {part}: {what}: {value:.4g}", flush=True)
        write(arguments.out, lines, PARTS)
    if arguments.rounds:
        print((arguments.out / "throughput.md").read_text())
    if arguments.roofline:
        print(roofline.write(arguments.out, places.data))


if __name__ == "__main__":
    try:
        main()
    except (Unmeasured, UsageError) as error:
        raise SystemExit(str(error)) from error
