"""The verdicts on all claims as one table, results/reference/claims/README.md, from the folders beside it.

.venv/bin/python scripts/claims_table.py
"""

import json
from pathlib import Path

import pandas as pd

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.experiment.compose import compose_grid
from actbench.experiment.questions import FULL, load_experiment
from actbench.report.formats.blocks import Table
from actbench.report.formats.documents import markdown
from actbench.report.tables import hypotheses_table
from actbench.store.files import COSTS, RUNS, read_costs, read_runs

FOLDER = Path(__file__).parent.parent / "results" / "reference" / "claims"
HEAD = """# What the field says of activations, tested

Every claim is a hypothesis in a file of [experiments/](../../../experiments); a line is its verdict on one task. A − B
is the mean of the paired differences over seeds (of costs: the difference of the medians over rounds) with its 95 %
interval, in which the learning rate is chosen anew in each resample. p is corrected by Holm over all lines of the
experiment that expect a difference, or that expect none. **supported**, **refuted**: shown at 0.05; where equality is
expected: shown to lie within the margin, or to exceed it. **equal**: shown to lie within the margin where a difference
is expected. **inconclusive**: none of these. In brackets behind n are censored pairs, of which a run never reached its
target; in the means it counts with its whole length, and earlier or later is said only where it holds whenever that
run would have arrived. One that diverged has accuracy 0. These are small networks and short budgets; `NAME` asks on
digits, `NAME_full` on MNIST or CIFAR-10 (as JPEG, an image folder).

A score is taken at the learning rate that is best, by validation, on the other seeds; a claim of speed is tested at the
rate that is fastest. † marks a rate at an end of the grid: a better one may lie outside. That Maxout's and LeakyReLU's
units do not die holds by the definition of a dead unit (a slope below 0.001 throughout).

Made by `scripts/claims.sh` and `scripts/claims.sh full`. Steps and accuracies come out the same on the same type of
machine, times do not.
"""
LARGER = " At the larger scale"


def main() -> None:
    parts, counts = [], pd.Series(dtype=int)
    for path in sorted(FOLDER.glob("*/verdicts.csv")):
        name, folder = path.parent.name, path.parent
        experiment = load_experiment(name)
        runs, costs = read_runs(folder / RUNS), read_costs(folder / COSTS)
        found = judge_hypotheses(
            experiment.hypotheses, runs, costs, compose_grid(experiment.overrides).command.protocol.margin
        )
        environment = json.loads((folder / "environment.json").read_text())
        counts = counts.add(found["verdict"].value_counts(), fill_value=0)
        parts += [
            f"## [{experiment.question}]({name}/report.md)" + LARGER * name.endswith(FULL),
            f"Source of the claims: {experiment.source}. Experiment `{name}`, revision {environment['revision']}.",
            markdown([Table(hypotheses_table(found))]).strip(),
        ]
    each = ", ".join(f"{int(number)} {verdict}" for verdict, number in counts.sort_values(ascending=False).items())
    more = (
        "One more, that a Maxout unit fits any convex function of one variable: [maxout_convex.md](maxout_convex.md)."
    )
    text = "\n\n".join([HEAD.strip(), f"In all {int(counts.sum())} verdicts: {each}.", more, *parts]) + "\n"
    (FOLDER / "README.md").write_text(text)
    print(FOLDER / "README.md")


if __name__ == "__main__":
    main()
