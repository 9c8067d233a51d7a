"""How often a comparison is wrong: the whole procedure of `actbench compare`, repeated on disjoint seeds of a bank.

usage: calibration.py FOLDER [ARCHITECTURE...]. Prints Markdown. FOLDER: of calibration_bank.py; scripts/calibration.sh
makes both.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from calibration_bank import MIRRORED

from actbench.analysis.differences import Pair, judge
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import LEVEL, share_interval
from actbench.experiment.choices import all_seeds, choose
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import Outcome, PlannedRun, TaskPlan, plan_task
from actbench.experiment.questions import load_experiment

SEEDS = (6, 9, 13)
EFFECTS = (0.005, 0.01, 0.02)  # of the score: 0.5, 1 and 2 points
NAMES = ("relu", *MIRRORED)
DISJOINT = [(NAMES[number], NAMES[number + 1]) for number in range(0, len(NAMES), 2)]
COVERED = (("gelu", "relu"), ("tanh", "relu"), ("tanh", "gelu"))
NEAR = ("gelu", "gelu_tanh")
VALIDATION = 288  # validation examples of digits
DIFFERENT = ("better", "slightly better", "slightly worse", "worse")


class Bank:
    """The runs of one architecture."""

    def __init__(self, folder: Path, architecture: str) -> None:
        files = sorted(folder.glob(f"{architecture}-*.parquet"))
        self.runs = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
        self.names = [str(name) for name in self.runs["activation"].unique()]
        self.seeds = sorted(int(seed) for seed in self.runs["seed"].unique())
        points = self.runs["activation"].map(self.names.index)
        self._places = [
            PlannedRun(int(point), float(rate), int(seed))
            for point, rate, seed in zip(points, self.runs["lr"], self.runs["seed"], strict=True)
        ]
        validation = zip(self.runs["val_accuracy"].fillna(0.0), self.runs["val_loss"].fillna(np.inf), strict=True)
        self.outcomes = dict(zip(self._places, [Outcome(*values) for values in validation], strict=True))
        self._row = {place: number for number, place in enumerate(self._places)}
        protocol = compose_grid(load_experiment("quickstart").overrides).command.protocol
        self.trials: dict[tuple[str, int], Trials] = {}
        self._rates, self.margin = protocol.learning_rates or (), protocol.margin

    def blocks(self, seeds: int) -> Iterator[tuple[int, ...]]:
        """Disjoint sets of that many seeds."""
        for start in range(0, len(self.seeds) - seeds + 1, seeds):
            yield tuple(self.seeds[start : start + seeds])

    def plan(self, names: Sequence[str], seeds: Sequence[int], racing: bool = True) -> TaskPlan:
        """The protocol's plan of these activations on these seeds. Raises RuntimeError where the bank lacks a run."""
        points = [self.names.index(name) for name in names]
        plan = plan_task(points, self._rates, seeds, self.outcomes, racing, VALIDATION)
        if plan.due:
            raise RuntimeError(f"the bank lacks {len(plan.due)} runs, such as {plan.due[0]}")
        return plan

    def comparison(self, names: Sequence[str], seeds: Sequence[int]) -> Comparison:
        """The comparison of these activations with the first of them."""
        plan = self.plan(names, seeds)
        runs = self.runs.iloc[[self._row[planned] for planned in plan.planned]].reset_index(drop=True)
        runs = runs.assign(
            series=runs["activation"], metric="accuracy", score=runs["test_accuracy"], val_score=runs["val_accuracy"],
            run_id=[str(planned) for planned in plan.planned], **_ALIKE,
            raced_out=[planned.rate not in plan.survivors[planned.point] for planned in plan.planned],
            chosen=[plan.chosen[planned.point][planned.seed] == planned.rate for planned in plan.planned],
        )  # fmt: skip
        return Comparison("bank", runs, names[0], self.margin)


_ALIKE: dict[str, Any] = {  # of all runs: speed is not calibrated
    "task": "bank", "status": "finished", "equal_time": False, "steps": 120, "reached_target": True,
    "steps_to_target": 50.0,
}  # fmt: skip


@dataclass
class Trials:
    """What happened in repetitions of one comparison."""

    rejected: list[bool] = field(default_factory=list)  # p of any difference at most 0.05
    different: list[bool] = field(default_factory=list)  # any verdict says so
    equal: list[bool] = field(default_factory=list)  # all verdicts say equal
    taken: list[bool] = field(default_factory=list)  # all activations are recommended
    avoided: list[bool] = field(default_factory=list)  # any activation is to be avoided
    means: list[float] = field(default_factory=list)
    intervals: list[tuple[float, float]] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    def add(self, comparison: Comparison) -> None:
        differences = comparison.differences.values()
        self.rejected.append(any(d.p <= LEVEL for d in differences))
        self.different.append(any(d.verdict in DIFFERENT for d in differences))
        self.equal.append(all(d.verdict == "equal" for d in differences))
        found = comparison.recommendation
        self.taken.append(found is not None and len(found.take) == len(comparison.ranking))
        self.avoided.append(found is not None and bool(found.avoid))
        if len(differences) == 1:
            ((name, difference),) = comparison.differences.items()
            self.means.append(difference.mean)
            self.intervals.append((difference.low, difference.high))
            self.pairs.append(comparison.pair(name, comparison.baseline))

    def covered(self, truth: float) -> list[bool]:
        return [low <= truth <= high for low, high in self.intervals]

    def powers(self, margin: float) -> list[str]:
        """Share of trials that find each effect, added to the scores."""
        texts = []
        for effect in EFFECTS:
            moved = [replace(p, differences=p.differences + effect, resampled=p.resampled + effect) for p in self.pairs]
            verdicts = [judge([pair], margin)[0].verdict for pair in moved]
            texts.append(percent([verdict in ("better", "slightly better") for verdict in verdicts], bounds=False))
        return texts


def percent(found: Sequence[bool], bounds: bool = True) -> str:
    """A share with its exact 95 % interval."""
    low, high = share_interval(sum(found), len(found))
    ends = f" [{100 * low:.1f}, {100 * high:.1f}]" if bounds else ""
    return f"{100 * np.mean(found):.1f} %{ends}"


def trials(bank: Bank, families: Sequence[Sequence[str]], seeds: int) -> Trials:
    """The comparisons of each family, the first of which is the baseline, on every block of seeds."""
    key = (str(families), seeds)
    if key in bank.trials:
        return bank.trials[key]
    found = bank.trials[key] = Trials()
    for block in bank.blocks(seeds):
        for names in families:
            found.add(bank.comparison(names, block))
    return found


def racing(bank: Bank, seeds: int) -> tuple[str, str]:
    """How often racing leads to another final rate, and what it saves."""
    other, saved = [], []
    for block in bank.blocks(seeds):
        raced, full = bank.plan(bank.names, block), bank.plan(bank.names, block, racing=False)
        saved.append(1 - len(raced.planned) / len(full.planned))
        for point, rates in full.survivors.items():
            chosen = [_final(bank, point, own, block) for own in (rates, raced.survivors[point])]
            other.append(chosen[0] != chosen[1])
    return f"{percent(other)} of {len(other):,}", f"{100 * np.mean(saved):.0f} %"


def _final(bank: Bank, point: int, rates: Sequence[float], seeds: Sequence[int]) -> float:
    values = np.array([[bank.outcomes[PlannedRun(point, rate, seed)] for seed in seeds] for rate in rates])
    return rates[int(choose(values[..., 0], values[..., 1], all_seeds(len(seeds)))[0])]


HEAD = f"""# How often a comparison is wrong

The whole procedure of `actbench compare` (stages, racing, growth, the choice on the other seeds, intervals, tests,
verdicts, recommendation), repeated on disjoint seeds of a bank of runs on digits. ReLU is compared with itself under
mirrored names, relu(s z) with a random sign s fixed per unit: the same function to a symmetric network, but another
draw. Brackets: exact 95 % binomial intervals over the repetitions, which share no run. Made by
`scripts/calibration.sh`.

p: of the joint sign flips, at most {LEVEL} for any difference. Called different: better, worse, slightly better or
slightly worse by the verdict, which says *equal* first. Coverage: of the expectation of the estimate, which is 0 for
ReLU against itself and otherwise its mean over the repetitions. Power: an effect is added to the test accuracies of
one name; the shares called better or slightly better, which half a point is not where it is shown to be within the
margin of 1 point. Racing: against the same seeds at every rate.
"""


def self_table(banks: Mapping[str, Bank]) -> Iterator[str]:
    """ReLU against itself, among 2 and among 12 names."""
    titles = ["architecture", "names", "seeds", "repetitions", f"p at most {LEVEL}", "called different",
              "all called equal", "all recommended", "any to avoid"]  # fmt: skip
    yield from ("\n## ReLU against itself\n", header(titles, 1))
    for name, bank in banks.items():
        for families in (DISJOINT, [NAMES]):
            for seeds in SEEDS:
                t = trials(bank, families, seeds)
                shares = [percent(found) for found in (t.rejected, t.different, t.equal, t.taken, t.avoided)]
                yield row([name, len(families[0]), seeds, len(t.rejected), *shares])


def coverage_table(banks: Mapping[str, Bank]) -> Iterator[str]:
    """Coverage and width of the intervals."""
    titles = ["architecture", "difference", "seeds", "repetitions", "mean, points", "coverage", "mean width, points",
              f"p at most {LEVEL}"]  # fmt: skip
    yield from ("\n## Coverage of the 95 % intervals\n", header(titles, 2))
    for name, bank in banks.items():
        for pairs in (DISJOINT, *([pair[::-1]] for pair in (*COVERED, NEAR))):
            for seeds in SEEDS:
                t = trials(bank, pairs, seeds)
                title, truth = "ReLU to itself", 0.0
                if pairs is not DISJOINT:
                    title, truth = " to ".join(pairs[0][::-1]), float(np.mean(t.means))
                width = 100 * np.mean([high - low for low, high in t.intervals])
                covered, rejected = percent(t.covered(truth)), percent(t.rejected)
                yield row([name, title, seeds, len(t.means), f"{100 * truth:+.2f}", covered, f"{width:.2f}", rejected])


def power_table(banks: Mapping[str, Bank]) -> Iterator[str]:
    """Power of the verdicts."""
    titles = ["architecture", "seeds", *(f"{100 * effect:g} points" for effect in EFFECTS)]
    yield from ("\n## Power\n", header(titles, 1))
    for name, bank in banks.items():
        for seeds in SEEDS:
            yield row([name, seeds, *trials(bank, DISJOINT, seeds).powers(bank.margin)])


def racing_table(banks: Mapping[str, Bank]) -> Iterator[str]:
    """What racing saves, and how often it changes the final rate."""
    yield from ("\n## Racing\n", header(["architecture", "seeds", "another final rate", "runs saved"], 1))
    for name, bank in banks.items():
        for seeds in SEEDS:
            yield row([name, seeds, *racing(bank, seeds)])


def header(titles: Sequence[str], texts: int) -> str:
    """The head of a table in Markdown, of which the first columns hold texts."""
    return row(titles) + "\n|" + "---|" * texts + "---:|" * (len(titles) - texts)


def row(cells: Sequence[object]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("architectures", nargs="*", default=["mlp_small", "cnn_small"])
    arguments = parser.parse_args()
    banks = {name: Bank(arguments.folder, name) for name in arguments.architectures}
    print(HEAD)
    for name, bank in banks.items():
        print(f"{name}: {len(bank.runs):,} runs, {len(bank.seeds)} seeds, rates {bank.runs['lr'].unique().tolist()}.")
    for table in (self_table, coverage_table, power_table, racing_table):
        for line in table(banks):
            print(line, flush=True)


if __name__ == "__main__":
    main()
