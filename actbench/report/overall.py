"""The first sentences of a report: what to take and what to avoid over all tasks."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from actbench.analysis.pairs import Comparison
from actbench.report.numbers import capitalized
from actbench.report.sentences import (
    MOST_NAMED,
    OTHERS,
    all_diverged,
    avoids_others,
    beating,
    doubt_of,
    hardly_matters,
    in_places,
    is_judged,
    joined,
    short_names,
    to_avoid,
)
from actbench.report.suite import is_suite, suite_answer


def overall_answer(comparisons: Sequence[Comparison]) -> str:
    """What to take and what to avoid over all tasks, in a few short sentences of plain text."""
    judged = [comparison for comparison in comparisons if is_judged(comparison)]
    if not judged:
        return _no_answer(comparisons)
    if is_suite(comparisons):
        return suite_answer(judged, len(comparisons))
    names = short_names([comparison.task for comparison in comparisons])
    tasks = {names[comparison.task]: comparison for comparison in judged}
    parts = _choices(tasks)
    if avoided := _by_task(tasks, lambda own: [OTHERS] if avoids_others(own) else to_avoid(own)):
        parts.append(f"Avoid {avoided}.")
    baseline = judged[0].baseline
    if not any(comparison.differences for comparison in judged):
        return " ".join([*parts, f"The baseline {baseline} is not among them."])
    better = _by_task(tasks, beating)
    parts.append(f"Shown to beat {baseline}: {better}." if better else f"Nothing is shown to beat {baseline}.")
    return " ".join(parts)


def _no_answer(comparisons: Sequence[Comparison]) -> str:
    """Why no task has an answer."""
    if not comparisons:
        return "No task has been compared."
    if all(all_diverged(comparison) for comparison in comparisons):
        return "All runs diverged; nothing can be recommended."
    if all(comparison.is_untrained for comparison in comparisons):
        return "The networks were not trained (0 steps); nothing is recommended."
    if all(comparison.is_unlearned for comparison in comparisons):
        return "No network learned its task; nothing is recommended."
    if all(len(comparison.ranking) == 1 for comparison in comparisons):
        return "Only one activation was trained; there is nothing to compare it with."
    return "Too few seeds for an answer."


def _choices(tasks: Mapping[str, Comparison]) -> list[str]:
    """What to take, in a sentence for each group of tasks with one choice."""
    alike = [name for name, comparison in tasks.items() if hardly_matters(comparison)]
    sentences = []
    if alike:
        everywhere = len(alike) == len(tasks)
        baseline = tasks[alike[0]].baseline
        place = "The choice" if everywhere else f"{capitalized(in_places(alike, len(tasks)))} the choice"
        avoided = dict.fromkeys(name for task in alike for name in to_avoid(tasks[task]))
        aside = f", {joined(list(avoided), 'and')} aside" if avoided else ""
        sentences.append(f"{place} hardly matters{aside}: {baseline} will do.")
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name, comparison in tasks.items():
        if name not in alike and comparison.recommendation is not None:
            take, best = comparison.recommendation.take, comparison.recommendation.best
            what = "the highest mean, though" if len(take) == 1 else f"{best}, the best of them, is"
            doubt = f" ({what} not shown to beat {comparison.baseline})"
            names, doubted = joined(take, "or"), bool(doubt_of(comparison))
            key = ("Try", names, doubt) if doubted else ("Take", names, "")
            groups.setdefault(key, []).append(name)
    if len(groups) > MOST_NAMED:
        return [*sentences, "What to take differs from task to task; see the table."]
    return sentences + [
        f"{verb} {names}{in_places(where, len(tasks))}{doubt}." for (verb, names, doubt), where in groups.items()
    ]


def _by_task(tasks: Mapping[str, Comparison], names_of: Callable[[Comparison], Iterable[str]]) -> str:
    """`a and b in the MLP; c in the CNN`, from the names of each task; empty without names."""
    places: dict[str, list[str]] = {}
    for task, comparison in tasks.items():
        for name in names_of(comparison):
            places.setdefault(name, []).append(task)
    by_places: dict[tuple[str, ...], list[str]] = {}
    for name, where in places.items():
        by_places.setdefault(tuple(where), []).append(name)
    return "; ".join(joined(names, "and") + in_places(where, len(tasks)) for where, names in by_places.items())
