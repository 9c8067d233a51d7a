"""The first page of a report: the answer, the differences to the baseline and one table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.experiment.request import Request
from actbench.report.draw import Draw
from actbench.report.figures.differences import differences_figure
from actbench.report.formats.blocks import Block, Heading, Items, Paragraph, Table, literal
from actbench.report.headline import claim_lines, full_answer, overrides_line
from actbench.report.metrics import margins, only_metric, target
from actbench.report.numbers import capitalized, machine_and_time, rate
from actbench.report.sentences import answers, is_judged, short_names, with_score
from actbench.report.suite import is_suite

DIFFERENCES = "differences"  # name of the main figure
_SETS = (
    "Compared with the highest mean of each task, not with the baseline: take what is shown to be less than {0} below "
    "it, avoid what is shown to be more than {0} below it; the rest is undecided."
)
_SETS_OF_TEXT = (
    "Compared with the best mean of each task, not with the baseline: take what is shown to be worse by less than {0}, "
    "avoid what is shown to be worse by more; the rest is undecided."
)
_DEAD = 0.01  # share of units from which on an activation is named
_MOST_TASKS = 3  # as columns of the table; more are its rows
_MOST_UNDECIDED = 6  # names in a cell


def front_page(
    comparisons: Sequence[Comparison], judged: pd.DataFrame, request: Request, environment: Mapping[str, Any],
    draw: Draw,
) -> Iterator[Block]:  # fmt: skip
    """The blocks of the first page. judged: by judge_hypotheses. environment: as in environment.json, or empty."""
    yield Heading(1, literal(request.question))
    if asked := overrides_line(request.overrides):
        yield Paragraph(asked, "note")
    yield Paragraph(full_answer(comparisons, judged), "lead")
    if len(judged):
        yield Items(tuple(claim_lines(judged)))
    if comparisons and not is_suite(comparisons):  # else a section of its own
        yield Items(tuple(answers(comparisons)))
    yield Paragraph(conditions(comparisons, request, environment), "note")
    shown = [comparison for comparison in comparisons if comparison.differences]
    if shown:
        yield draw(lambda width: differences_figure(shown, width), DIFFERENCES, _caption(shown, request))
    with_verdicts = [comparison for comparison in comparisons if is_judged(comparison)]
    if with_verdicts:
        bits = any(comparison.metric.name == "bits_per_character" for comparison in with_verdicts)
        sets = _SETS_OF_TEXT if bits else _SETS
        yield Table(front_table(with_verdicts, request), sets.format(_margin(comparisons, request)))


def _caption(shown: Sequence[Comparison], request: Request) -> str:
    """Of the figure of differences."""
    baseline, metric = shown[0].baseline, only_metric(shown)
    if metric is None:
        what = f"Test score minus that of {baseline}, in the unit of each task and positive where it is better"
    elif metric.name == "bits_per_character":
        what = f"Test bits per character fewer than those of {baseline}"
    else:
        what = f"{capitalized(metric.title)} minus that of {baseline}"
    size = "" if metric is None else f" of {margins(shown, request)}"
    return (
        f"{what}, with 95 % intervals; the band is the margin{size}. Filled: shown to be equal, better or worse; "
        "hollow: smaller differences and what is inconclusive."
    )


def _margin(comparisons: Sequence[Comparison], request: Request) -> str:
    """The margin in the sentence about sets."""
    return "the margin" if only_metric(comparisons) is None else margins(comparisons, request)


def conditions(comparisons: Sequence[Comparison], request: Request, environment: Mapping[str, Any]) -> str:
    """The conditions of the answer in one line: seeds, test examples, margin, rates, date, version and machine."""
    seeds, sizes = ({size(c) for c in comparisons} - {0} for size in (lambda c: len(c.scores), lambda c: c.n_test))
    rates = {float(lr) for comparison in comparisons for lr in comparison.planned["lr"].unique()}
    drawn = all(not comparison.covers_examples and not comparison.own_test for comparison in comparisons)
    text = all(comparison.metric.name == "bits_per_character" for comparison in comparisons)
    parts = [
        f"{_range(seeds)} seeds" if seeds else "",
        f"{_range(sizes)} test {'windows' if text else 'examples'}{' drawn by each seed' * drawn}" if sizes else "",
        f"margin{'s' * (only_metric(comparisons) is None)} {margins(comparisons, request)}",
        f"learning rate tuned per activation ({rate(min(rates))} to {rate(max(rates))})" if len(rates) > 1 else "",
        literal(str(environment.get("date", "")))[:10],
        f"actbench {literal(request.versions['actbench'])}" if "actbench" in request.versions else "",
        machine_and_time(environment),
    ]
    return " · ".join(part for part in parts if part) + "."


def _range(numbers: Iterable[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def front_table(comparisons: Sequence[Comparison], request: Request) -> pd.DataFrame:
    """What to take, to avoid, what is undecided, the fastest, dead units and cost; a column, or a row, per task."""
    names = short_names([comparison.task for comparison in comparisons])
    ordered = order(comparisons)
    columns = {
        names[comparison.task]: {
            "**take**": ", ".join(_recommended(comparison, "take")),
            "**avoid**": ", ".join(with_score(comparison, name) for name in _recommended(comparison, "avoid")),
            "undecided": _undecided(comparison, ordered),
            f"fastest to {target(request)}": _fastest(comparison),
            "dead units": _dead(comparison),
            "cost, share of a step": _cost(comparison),
        }
        for comparison in comparisons
    }
    frame = pd.DataFrame(columns)
    frame = frame[(frame != "").any(axis=1)]
    if len(comparisons) > _MOST_TASKS:
        return frame.T.rename_axis(" ").reset_index()
    return frame.rename_axis(" ").reset_index()


def _recommended(comparison: Comparison, group: str) -> Sequence[str]:
    found = comparison.recommendation
    return getattr(found, group) if found else ()


def _in_order(names: Iterable[str], ordered: Sequence[str]) -> list[str]:
    return sorted(names, key=ordered.index)


def _undecided(comparison: Comparison, ordered: Sequence[str]) -> str:
    names = _in_order(_recommended(comparison, "undecided"), ordered)
    return f"the other {len(names)}" if len(names) > _MOST_UNDECIDED else ", ".join(names)


def _fastest(comparison: Comparison) -> str:
    """Those not shown to be slower than the first, with the range of their mean steps, and the baseline's."""
    if not comparison.has_target:
        return ""
    fastest = _recommended(comparison, "fastest")
    late = [name for name in comparison.ranking if name not in comparison.arrives]
    never = f"under half of the runs arrive: {', '.join(late)}" if late else ""
    if not fastest:
        return never
    steps, baseline = comparison.fastest_steps.mean().round(), comparison.baseline
    beside = f"; {baseline} {steps[baseline]:.0f}" if baseline in steps and fastest != (baseline,) else ""
    first, most = steps[fastest[0]], max(steps[name] for name in fastest)
    if len(fastest) == 1:
        text = f"{fastest[0]} ({first:.0f} steps{beside})"
    else:
        names = "no difference shown" if set(fastest) == set(comparison.ranking) else ", ".join(fastest)
        text = f"{names} ({first:.0f} to {most:.0f} steps{beside})"
    return "; ".join(part for part in (text, never) if part)


def _dead(comparison: Comparison) -> str:
    finished = comparison.ended[comparison.ended["status"] == "finished"]
    shares = finished.groupby("series")["dead_fraction"].mean().sort_values(ascending=False, kind="stable")
    if shares.isna().all():
        return ""
    named = [f"{name} {100 * share:.0f} %" for name, share in shares.items() if share >= _DEAD]
    more = [f"{len(named) - 4} more"] if len(named) > 4 else []
    return ", ".join([*named[:4], *more]) or f"none above {100 * _DEAD:g} %"


def _cost(comparison: Comparison) -> str:
    """The cheapest and the dearest activation, and the baseline."""
    shares = pd.Series({series: rounds["step_share"].median() for series, rounds in comparison.costs.items()})
    shares = shares[shares.index.isin(comparison.ranking)].sort_values(kind="stable")
    if len(shares) < 2:
        return ""
    ends = [str(shares.index[0]), str(shares.index[-1])]
    texts = {name: f"{name} {100 * share:.0f} %" for name, share in shares.items()}
    baseline = comparison.baseline
    beside = f"; {texts[baseline]}" if baseline in texts and baseline not in ends else ""
    return f"{texts[ends[0]]} to {texts[ends[1]]}{beside}"
