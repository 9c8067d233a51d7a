"""The verdicts on all claims as one table, results/reference/claims/README.md, from the folders beside it.

.venv/bin/python scripts/claims_table.py
"""

import json
from pathlib import Path

import pandas as pd

from actbench import experiments
from actbench.documents.markdown import markdown_table
from actbench.verdicts import table

FOLDER = Path(__file__).parent.parent / "results" / "reference" / "claims"
HEAD = """# What the field says of activations, tested

Every claim is a hypothesis in a file of [experiments/](../../../experiments); a line is its verdict in one setting.
A − B is the mean of the paired differences, over seeds (of costs: over rounds), with its 95 % bootstrap interval; p is
that of the exact sign-flip test, corrected by Holm for all lines of the experiment that expect a difference, or that
expect none. **supported** and **refuted**: interval and p agree; where equality is expected: the interval lies within
the margin; **practically equal**: it does, where a difference is expected; **not shown**: none of these. A run that
never reaches its target counts with its whole length, one that diverged with accuracy 0. These are small networks and
short budgets; `NAME` asks on digits, `NAME_full` on MNIST or CIFAR-10 (as JPEG, an image folder; its costs were
measured beside other work, and vary more).

Two experiments may ask the same of one pair with other budgets, and need not agree: an activation comes with the
learning rate that it chose (each report has them), and the luck of that choice is in no interval; on digits, where
rates are chosen on few seeds, it is of the order of half a point. Costs are means over rounds, in the reports' tables
medians.

Made by `scripts/claims.sh` and `scripts/claims.sh full`. Steps and accuracies come out the same on the same type of
machine, times do not.
"""
LARGER = " At the larger scale"


def main() -> None:
    parts, counts = [], pd.Series(dtype=int)
    for path in sorted(FOLDER.glob("*/verdicts.csv")):
        name, found = path.parent.name, pd.read_csv(path)
        experiment = experiments.load(name)
        environment = json.loads((path.parent / "environment.json").read_text())
        counts = counts.add(found["verdict"].value_counts(), fill_value=0)
        parts += [
            f"## [{experiment.question}]({name}/report.md)" + LARGER * name.endswith(experiments.FULL),
            f"Source of the claims: {experiment.source}. Experiment `{name}`, revision {environment['revision']}.",
            markdown_table(table(found)),
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
