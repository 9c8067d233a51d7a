"""A/A comparison: how often does a comparison find a winner where there is none? One activation under several names.

usage: null.py RUNS_CSV [--draws N]. Prints Markdown.

RUNS_CSV: of `actbench sweep` with one activation and many seeds. Each draw deals disjoint real seeds to the names, as
if each were an activation of its own, and compares all with the first, as the report does. scripts/null.sh makes both.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from actbench.analysis.statistics import holm, paired_difference

MARGIN = 0.0  # nothing is practically equal: the hardest case


def winners(scores: np.ndarray, seeds: int, names: int, draws: int) -> tuple[int, int]:
    """Draws in which any name is called higher or lower: by the verdict, and by intervals alone."""
    generator, found, by_interval = np.random.default_rng(0), 0, 0
    for _ in range(draws):
        dealt = generator.permutation(scores)[: seeds * names].reshape(names, seeds)
        differences = [paired_difference(own, dealt[0]) for own in dealt[1:]]
        adjusted = holm([difference.p for difference in differences])
        verdicts = [d.verdict(MARGIN, p) for d, p in zip(differences, adjusted, strict=True)]
        found += any(verdict in ("higher", "lower") for verdict in verdicts)
        by_interval += any(d.low > 0 or d.high < 0 for d in differences)
    return found, by_interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--draws", type=int, default=200)
    arguments = parser.parse_args()
    runs = pd.read_csv(arguments.runs)
    scores = runs["test_accuracy"].dropna().to_numpy()
    print(f"{len(scores)} runs of {', '.join(runs['activation'].unique())}, {arguments.draws} draws.\n")
    print("| names | seeds each | draws with a winner | by intervals alone |\n|---:|---:|---:|---:|")
    for names, seeds in ((2, 6), (2, 10), (12, 10)):
        found, by_interval = winners(scores, seeds, names, arguments.draws)
        shares = [f"{100 * count / arguments.draws:.1f} %" for count in (found, by_interval)]
        print(f"| {names} | {seeds} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
