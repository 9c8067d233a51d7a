"""The answer of a suite: many tasks over several data sets, which a reader wants counted instead of listed."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from actbench.analysis.aggregates import FEWEST_TASKS
from actbench.analysis.pairs import Comparison
from actbench.report.numbers import count
from actbench.report.sentences import MOST_NAMED, beating, hardly_matters, joined, short_names, to_avoid

_MOST_PLACES = 2  # tasks that are named; more are counted


def is_suite(comparisons: Sequence[Comparison]) -> bool:
    """Whether the tasks are enough for an answer over tasks, and of more than one data set."""
    datasets = {str(comparison.runs["dataset"].iloc[0]) for comparison in comparisons}
    return len(comparisons) >= FEWEST_TASKS and len(datasets) > 1


def suite_answer(judged: Sequence[Comparison], planned: int) -> str:
    """In how many tasks the choice hardly matters, what to take in most of them, and where to avoid what.

    judged: tasks with verdicts. planned: how many tasks there are.
    """
    tasks = _named(judged)
    number, baseline = len(tasks), next(iter(tasks.values())).baseline
    alike = [name for name, comparison in tasks.items() if hardly_matters(comparison)]
    if len(alike) == number:
        parts = [f"The choice hardly matters in any of the {number} tasks: {baseline} will do."]
    elif alike:
        parts = [f"The choice hardly matters in {len(alike)} of {number} tasks: {baseline} will do there."]
    else:
        parts = [f"The choice matters in all {number} tasks."]
    if len(alike) < number:
        parts.append(_mostly(tasks))
    if avoided := _counted(tasks, to_avoid):
        parts.append(f"Avoid {avoided}.")
    if not any(comparison.differences for comparison in tasks.values()):
        parts.append(f"The baseline {baseline} is not among them.")
    else:
        better = _counted(tasks, beating)
        parts.append(f"Shown to beat {baseline}: {better}." if better else f"Nothing is shown to beat {baseline}.")
    if planned > number:
        parts.append(f"{count(planned - number, 'task')} of {planned} had too few runs for a verdict.")
    return " ".join(parts)


def _named(comparisons: Sequence[Comparison]) -> dict[str, Comparison]:
    """The tasks by name: that of the data set alone where no other task is on it."""
    names = short_names([comparison.task for comparison in comparisons])
    datasets = [str(comparison.runs["dataset"].iloc[0]) for comparison in comparisons]
    return {
        dataset if datasets.count(dataset) == 1 else names[comparison.task]: comparison
        for dataset, comparison in zip(datasets, comparisons, strict=True)
    }


def _places(
    tasks: Mapping[str, Comparison], names_of: Callable[[Comparison], Iterable[str]]
) -> list[tuple[str, list[str]]]:
    """Each name with the tasks that it is of, those of most tasks first."""
    places: dict[str, list[str]] = {}
    for task, comparison in tasks.items():
        for name in names_of(comparison):
            places.setdefault(name, []).append(task)
    return sorted(places.items(), key=lambda item: -len(item[1]))


def _mostly(tasks: Mapping[str, Comparison]) -> str:
    """What is to be taken in more than half of the tasks, with the number of these."""
    number = len(tasks)
    taken = _places(tasks, lambda own: own.recommendation.take if own.recommendation else ())
    by_count: dict[int, list[str]] = {}
    for name, where in taken:
        if 2 * len(where) > number:
            by_count.setdefault(len(where), []).append(name)
    if not by_count:
        return "Nothing is to be taken in more than half of them; see the table."
    (most, first), *others = by_count.items()
    texts = [f"{joined(first, 'and')} (in {most} of {number} tasks)"]
    texts += [f"{joined(names, 'and')} (in {times})" for times, names in others]
    return f"Most often to be taken: {', '.join(texts)}."


def _counted(tasks: Mapping[str, Comparison], names_of: Callable[[Comparison], Iterable[str]]) -> str:
    """`a and b in 5 of 9 tasks; c on diabetes`; empty without names. More than four groups are counted."""
    groups: dict[str, list[str]] = {}
    for name, where in _places(tasks, names_of):
        groups.setdefault(_place(where, len(tasks)), []).append(name)
    texts = [joined(names, "and") + place for place, names in groups.items()]
    if len(texts) > MOST_NAMED:
        rest = sum(len(names) for names in [*groups.values()][MOST_NAMED - 1 :])
        texts = [*texts[: MOST_NAMED - 1], f"{rest} more in fewer tasks"]
    return "; ".join(texts)


def _place(where: Sequence[str], tasks: int) -> str:
    if len(where) == tasks:
        return " everywhere"
    return f" on {' and '.join(where)}" if len(where) <= _MOST_PLACES else f" in {len(where)} of {tasks} tasks"
