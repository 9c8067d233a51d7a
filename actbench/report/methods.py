"""The methods section of a report, written from what was done."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from actbench.analysis.differences import CLIPPED
from actbench.analysis.labels import at_edge, ended_runs
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import CONFIDENCE, EXACT_PAIRS, LEVEL, RESAMPLES
from actbench.experiment.choices import RACING_ERRORS
from actbench.experiment.protocol import FEWEST_SEEDS
from actbench.experiment.request import Request
from actbench.experiment.scores import ACCURACY
from actbench.metrics.names import DEAD_SLOPE
from actbench.report.formats.blocks import Block, Heading, Items, Paragraph, literal
from actbench.report.metrics import lost_score, margins, metrics_of, score_name, validation_name
from actbench.report.numbers import count, rate
from actbench.report.sentences import ESTIMATED, ESTIMATED_BEFORE, coverage


def methods_section(runs: pd.DataFrame, comparisons: Sequence[Comparison], request: Request) -> Iterator[Block]:
    """The blocks of the section. runs: labelled rows of runs.csv, marked by a protocol."""
    made = runs[runs["status"] != "missing"]
    if made.empty:
        return
    chosen = made[made["chosen"].eq(True)]
    yield Heading(2, "Methods")
    diverged = int((made["status"] == "diverged").sum())
    yield Paragraph(
        f"{_protocol(made, comparisons)}Equal seeds mean equal split, order of the data and initial draws. "
        f"{count(diverged, 'run')} of all diverged; in a comparison a diverged run has {lost_score(comparisons)} and "
        f"never reaches the target. {_rates(made)}{_budget(chosen, request)}{_sizes(chosen)}"
    )
    yield Paragraph(_statistics(comparisons, request) + _costs(comparisons))


def limits_section(
    runs: pd.DataFrame, comparisons: Sequence[Comparison], environment: Mapping[str, Any]
) -> Iterator[Block]:
    """What the answer does not cover. runs: as for `methods_section`. environment: as in environment.json, or empty."""
    made = runs[runs["status"] != "missing"]
    if made.empty:
        return
    covered: dict[str, list[str]] = {}
    for comparison in comparisons:
        covered.setdefault(coverage(comparison), []).append(comparison.task)
    texts = [
        f"Intervals cover {text}" + (f" ({'; '.join(tasks)})." if len(covered) > 1 else ".")
        for text, tasks in covered.items()
    ]
    texts += [_length(made), _fixed(made)]
    edges = _edges(made[at_edge(made) & made["chosen"].eq(True)])
    if edges:
        texts.append(f"Chosen at an end of the grid, so a better rate may lie outside: {'; '.join(edges)}.")
    machine = (
        f" of this machine ({literal(str(environment['processor']))})"
        if "processor" in environment
        else " of one machine"
    )
    scores = "accuracies" if metrics_of(comparisons) == [ACCURACY] else "scores"
    texts.append(
        f"Seconds, ns per output and shares of a step are{machine} and not of others; steps and {scores} come out "
        "the same on machines of one type."
    )
    texts += _machines(comparisons)
    yield Heading(2, "Limits")
    yield Items(tuple(text for text in texts if text))


def _machines(comparisons: Iterable[Comparison]) -> Iterator[str]:
    """What differs between the machines of a comparison's runs. Runs of an older version do not say on which."""
    names = {"processor": "processors", "device": "devices", "torch": "versions of torch"}
    tasks: dict[str, list[str]] = {}
    for comparison in comparisons:
        ended = ended_runs(comparison.planned)
        values = {key: sorted(set(ended[key].dropna()) - {""}) for key in names}
        differing = [f"{names[key]} ({', '.join(map(str, own))})" for key, own in values.items() if len(own) > 1]
        if differing:
            tasks.setdefault(" and ".join(differing), []).append(comparison.task)
    for text, own in tasks.items():
        yield f"Runs of one comparison trained on different {text}, whose numbers may differ: {'; '.join(own)}."


def _length(made: pd.DataFrame) -> str:
    steps = sorted({int(number) for number in made["steps"].dropna()})
    return f"Runs have {_listed(steps)} steps; longer training may change the order." if any(steps) else ""


def _fixed(made: pd.DataFrame) -> str:
    """What was the same in all runs."""
    names = {"optimizer": "optimizer", "initialization": "initialisation"}
    fixed = [f"{name} {made[key].iloc[0]}" for key, name in names.items() if made[key].nunique() == 1]
    fixed.append("the sizes of the networks and their regularisation, beyond the tasks named")
    return f"Not varied: {', '.join(fixed)}."


def _listed(numbers: Sequence[int]) -> str:
    return " or ".join(f"{number:,}" for number in numbers)


def _rates(made: pd.DataFrame) -> str:
    """The rates that were tried, by task where they differ."""
    by_rates: dict[str, list[str]] = {}
    for task, group in made.groupby("task", sort=False):
        by_rates.setdefault(", ".join(rate(value) for value in sorted(group["lr"].unique())), []).append(str(task))
    if len(by_rates) == 1:
        return f"Rates: {next(iter(by_rates))}. "
    return "Rates: " + "; ".join(f"{rates} ({'; '.join(tasks)})" for rates, tasks in by_rates.items()) + ". "


def _protocol(made: pd.DataFrame, comparisons: Sequence[Comparison]) -> str:
    """How rates were tried and chosen."""
    if "confirm" in set(made["phase"]):
        return ESTIMATED_BEFORE + " "
    raced, seeds = int(made["raced_out"].eq(True).sum()), made.loc[made["chosen"].eq(True), "seed"].nunique()
    racing = (
        f"After each stage a rate whose {validation_name(comparisons)} was more than "
        f"{RACING_ERRORS:g} standard errors of the paired differences below the activation's best got no further seeds "
        f"({count(raced, 'run')} of such rates). "
    )
    return (
        f"Every activation trained at every rate of one grid on the same {count(seeds, 'seed')}, in stages "
        f"({count(len(made), 'run')}). The grid grew once per task, after the first stage, beyond an end that any "
        f"activation had chosen. {racing if raced else 'Every rate had all seeds. '}"
        f"{ESTIMATED.format(score_name(comparisons))} Of equal rates that "
        "with the lower loss. "
    )


def _statistics(comparisons: Sequence[Comparison], request: Request) -> str:
    baselines = ", ".join(dict.fromkeys(comparison.baseline for comparison in comparisons))
    return (
        f"Differences to {baselines} are paired by seed. Intervals: {100 * CONFIDENCE:g} %, percentiles of "
        f"{RESAMPLES:,} resamples of the seeds, with the rate chosen anew in each; one a line, not corrected for their "
        "number; where the data set has a test set of its own, widened by the variance between test examples"
        f"{_blocks(comparisons)}. p: sign "
        f"flips of the studentised differences (all up to {EXACT_PAIRS} seeds, else {RESAMPLES:,} random ones), "
        f"in which one beyond {CLIPPED:g} margins counts as {CLIPPED:g}, adjusted for the activations of a task by the "
        "maximum statistic, step-down. p equal: two one-sided t tests "
        f"against the margin of {margins(comparisons, request)}. Verdicts, in this order: equal (p equal at most "
        f"{LEVEL}); better, worse (p at most {LEVEL}, and shown by the same test to exceed the margin); slightly "
        f"better, slightly worse (p at most {LEVEL}); inconclusive. Below {FEWEST_SEEDS} seeds none is given. Seeds to "
        "decide: about how many show the present difference, or equality, with a power of 0.8. Take: shown by a "
        "one-sided t test to be less than the margin below the best. Avoid: worse than the best. Neither speed nor "
        "cost changes these sets. The choice hardly matters: all activations, or two thirds of them and at least "
        "three, are to be taken, the baseline among them. "
        "Fastest to the target: not shown to need more steps than the first, each activation at its fastest rate. "
        f"Rates within the margin: the range around the best rate in which mean {validation_name(comparisons)} is less "
        "than the margin below it. Steps: Kaplan-Meier median, and mean in which a run that never arrives counts with "
        "its whole length. Dead: units whose slope stays "
        f"below {DEAD_SLOPE:g} on the probe set. Zeros: share of outputs of hidden units that are exactly 0. Gradient "
        "ratio: log10 of the mean squared gradient at the first layer's pre-activations over the last hidden layer's. "
    )


def _blocks(comparisons: Sequence[Comparison]) -> str:
    if all(metric.name != "bits_per_character" for metric in metrics_of(comparisons)):
        return ""
    return " (of text between blocks of consecutive windows, as neighbouring windows are alike)"


def _costs(comparisons: Iterable[Comparison]) -> str:
    if not any(comparison.costs for comparison in comparisons):
        return ""
    return (
        "ns per output, and per cent of a training step: of the activations of all layers, forward and backward, at "
        "the sizes that they have in a step; medians of rounds in which all of a task take turns on one thread, with "
        "the lowest and the highest round. Measured before training, in as many processes at once as train, or taken "
        "from the user's earlier measurement of equal steps on this processor and version of torch. Small layers cost "
        "mostly their calls."
    )


def _budget(chosen: pd.DataFrame, request: Request) -> str:
    if not request.targets and not request.target_losses:  # of a version that did not store it
        return ""
    steps, sizes, targets, losses = (
        ", ".join(map(str, values))
        for values in (
            chosen["steps"].dropna().unique(), request.batch_sizes, request.targets, request.target_losses
        )
    )  # fmt: skip
    found = [f"validation {name} {values}" for name, values in (("accuracy", targets), ("loss", losses)) if values]
    return f"Budget: {steps} steps of {sizes} examples. Target: {'; '.join(found)}. "


def _sizes(chosen: pd.DataFrame) -> str:
    spread = chosen.groupby("task")["parameters"].agg(["min", "max"]).dropna()
    if spread.empty:
        return ""
    widest = (spread["max"] / spread["min"] - 1).max()
    return f"Parameter counts of the activations of a task differ by at most {100 * widest:.1f} %."


def _edges(chosen: pd.DataFrame) -> list[str]:
    """`task (rate): series, ...` for each rate. chosen: runs of series that chose a rate at an end of the grid."""
    by_rate: dict[str, list[str]] = {}
    for (task, series, _), group in chosen.groupby(["task", "series", "lr"], sort=False):
        by_rate.setdefault(f"{task} ({rate(group['lr'].iloc[0])})", []).append(str(series))
    return [f"{where}: {', '.join(names)}" for where, names in by_rate.items()]
