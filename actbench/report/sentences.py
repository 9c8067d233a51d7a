"""The sentences of a report's first page: what to take and what to avoid on each task."""

import re
from collections.abc import Sequence

from actbench.analysis.pairs import Comparison
from actbench.experiment.protocol import FEWEST_SEEDS
from actbench.report.numbers import count

ESTIMATED = (
    "Estimated is the {0} of an activation whose learning rate is tuned on this grid: each seed's score is "
    "taken at the rate that is best, by validation, on the other seeds."
)
ESTIMATED_BEFORE = (
    "These runs follow an older protocol, which chose each activation's learning rate on other seeds and then held it "
    "fixed: the luck of that choice is in no interval."
)
ARCHITECTURES = {"mlp": "MLP", "cnn": "CNN", "transformer": "Transformer", "decoder": "decoder", "rnn": "RNN",
                 "gru": "GRU", "lstm": "LSTM"}  # fmt: skip
OTHERS = "the others"
MOST_NAMED = 4  # names in a sentence, and tasks; more are counted


def listed(seeds: Sequence[int]) -> str:
    """Lists the first twelve seeds and counts the others."""
    return ", ".join(map(str, seeds[:12])) + (f" and {len(seeds) - 12} more" if len(seeds) > 12 else "")


def short_names(tasks: Sequence[str]) -> dict[str, str]:
    """Names of tasks without the terms that all of them have: `digits, mlp` is `MLP` among tasks on digits.

    `architecture.depth=2` is `depth=2`.
    """
    terms = {task: task.split(", ") for task in tasks}
    common = set.intersection(*map(set, terms.values())) if len(terms) > 1 else set()
    return {
        task: ", ".join(
            ARCHITECTURES.get(term, re.sub(r"^\w+\.(?=\w+=)", "", term)) for term in own if term not in common
        )
        for task, own in terms.items()
    }


def is_judged(comparison: Comparison) -> bool:
    """Whether the task has what a verdict needs: two trained activations, enough seeds, a run that did not diverge."""
    enough = comparison.recommendation is not None and len(comparison.scores) >= FEWEST_SEEDS
    return enough and not all_diverged(comparison)


def all_diverged(comparison: Comparison) -> bool:
    """Whether no run from which scores are taken finished."""
    return len(comparison.ended) > 0 and bool(comparison.ended["status"].eq("diverged").all())


def hardly_matters(comparison: Comparison) -> bool:
    """Whether all activations, or two thirds of them and at least three, are to be taken, the baseline among them."""
    found, number = comparison.recommendation, len(comparison.ranking)
    if found is None or comparison.baseline not in found.take:
        return False
    return len(found.take) == number or 3 * len(found.take) >= max(2 * number, 9)


def avoids_others(comparison: Comparison) -> bool:
    """Whether more than three are to be avoided, and these are all but the few that are named as what to take."""
    found = comparison.recommendation
    if found is None or hardly_matters(comparison) or len(found.take) > MOST_NAMED:
        return False
    return 3 < len(found.avoid) == len(comparison.ranking) - len(found.take)


def task_sentence(comparison: Comparison) -> str:
    """What to take and what to avoid on one task, as plain text."""
    scores, found = comparison.scores, comparison.recommendation
    if scores.empty:
        return "No seed that all activations have; nothing can be compared."
    if all_diverged(comparison):
        return "All runs diverged at every rate that was tried; nothing can be recommended."
    if comparison.is_untrained:
        return "The networks were not trained (0 steps); nothing is recommended."
    best = comparison.ranking[0]
    if comparison.is_unlearned:
        score = comparison.metric.value(scores[best].mean())
        return f"No network learned this task: {best}, the best, is no better than a guess ({score})."
    top = f"{best}, {comparison.metric.value(scores[best].mean())}"
    if found is None:
        return f"Only {top}; nothing to compare it with."
    if len(scores) < FEWEST_SEEDS:
        return f"{count(len(scores), 'seed')}: too few for a verdict. Highest mean: {top}."
    number, margin = len(comparison.ranking), comparison.metric.difference(comparison.margin)
    if len(found.take) == number:
        parts = [f"The choice hardly matters: all {number} are within {margin} of the best ({top})."]
    elif hardly_matters(comparison):
        parts = [
            f"The choice hardly matters: {len(found.take)} of {number}, {comparison.baseline} among them, are within "
            f"{margin} of the best ({top})."
        ]
    else:
        within = f"within {margin} of the best: {top}" if len(found.take) > 1 else top.removeprefix(f"{best}, ")
        doubt = doubt_of(comparison)
        parts = [f"{'Try' if doubt else 'Take'} {joined(found.take, 'or')} ({within}){doubt}."]
    if found.avoid:
        avoided = [with_score(comparison, name) for name in found.avoid]
        parts.append(f"Avoid {OTHERS if avoids_others(comparison) else joined(avoided, 'and')}.")
    if found.undecided:
        rest = len(found.take) + len(found.undecided) + len(found.avoid) == number and len(found.undecided) > MOST_NAMED
        text = f"not shown to be within {margin} of it"
        names, others = ", ".join(found.undecided), len(found.undecided)
        parts.append(f"The other {others} are {text}." if rest else f"{text.capitalize()}: {names}.")
    return " ".join([*parts, *_advantages(comparison), *_failed(comparison)])


def with_score(comparison: Comparison, name: str) -> str:
    """An activation with its mean test score: `relu (97.3 %)`."""
    return f"{name} ({comparison.metric.value(comparison.scores[name].mean())})"


def doubt_of(comparison: Comparison) -> str:
    """Says where the highest mean is not shown to beat a baseline that is not to be taken with it."""
    found, baseline = comparison.recommendation, comparison.baseline
    if (
        found is None
        or baseline in (*found.take, *found.avoid)
        or baseline not in comparison.scores
        or found.best in beating(comparison)
    ):
        return ""
    what = "the highest mean, but" if len(found.take) == 1 else f"but {found.best} is"
    return f", {what} not shown to beat {with_score(comparison, baseline)}"


def answer(comparison: Comparison, name: str) -> str:
    """The sentence on one task as a line of Markdown. name: of the task, as `short_names` gives it."""
    return f"**{name}**: {task_sentence(comparison)}"


def answers(comparisons: Sequence[Comparison]) -> list[str]:
    """A line of Markdown on each task."""
    names = short_names([comparison.task for comparison in comparisons])
    return [answer(comparison, names[comparison.task]) for comparison in comparisons]


def in_places(names: Sequence[str], tasks: int) -> str:
    """` in the MLP and the CNN`; empty where these are all tasks. tasks: how many there are."""
    if len(names) == tasks:
        return "" if tasks == 1 else " everywhere"
    if len(names) > MOST_NAMED:
        return f" in {len(names)} of {tasks} tasks"
    if set(names) <= set(ARCHITECTURES.values()):
        return f" in {joined([f'the {name}' for name in names], 'and')}"
    return f" for {' and for '.join(names)}"


def joined(names: Sequence[str], word: str) -> str:
    """`a, b or c`; the first few of many, with the number of the others."""
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[: MOST_NAMED - 1])} {word} {len(names) - MOST_NAMED + 1} more"
    return f" {word} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def to_avoid(comparison: Comparison) -> Sequence[str]:
    """What is to be avoided on a task."""
    return comparison.recommendation.avoid if comparison.recommendation else ()


def beating(comparison: Comparison) -> list[str]:
    """What is shown to beat the baseline on a task."""
    found = comparison.differences.items()
    return [name for name, difference in found if difference.verdict in ("better", "slightly better")]


def _advantages(comparison: Comparison) -> list[str]:
    """What is shown to beat the baseline, with its advantage."""
    if comparison.baseline not in comparison.scores:
        return [f"The baseline {comparison.baseline} is not among them."]
    gain = comparison.metric.gain
    found = [f"{name} ({gain(comparison.differences[name].mean)})" for name in beating(comparison)]
    return [f"Shown to beat {comparison.baseline}: {', '.join(found)}."] if found else []


def _failed(comparison: Comparison) -> list[str]:
    return [f"No run of {', '.join(comparison.failed)} succeeded."] if comparison.failed else []


def coverage(comparison: Comparison) -> str:
    """What the intervals of a task cover."""
    size = comparison.n_test
    if comparison.covers_examples:
        tested = f" of {size}" if size else ""
        return f"seeds, tuning on this grid and new test examples, estimated from the test set{tested}"
    if comparison.own_test:
        return f"seeds and tuning on this grid; not other test examples than these{f' {size}' if size else ''}"
    parts = f" (test parts of {size})" if size else ""
    return f"seeds, splits and tuning on this grid; not examples beyond this data set{parts}"
