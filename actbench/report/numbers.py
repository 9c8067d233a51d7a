"""Numbers as text."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from actbench.experiment.scores import Metric
from actbench.report.formats.blocks import literal

NEVER = "never"


def short(value: float) -> str:
    """Three significant digits, no exponent for large numbers, and 0 for a rounding error."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{0.0 if abs(value) < 1e-12 else value:.3g}"


def with_unit(name: str, value: float) -> str:
    """A value of a metric of runs.csv or of a cost: `41.2 steps`, `11.6 ms`, `13 %`; of others the number alone."""
    inner = name.removeprefix("abs(").removesuffix(")")
    if inner.endswith("_ns"):
        unit, size = next(own for own in _TIMES if abs(value) >= own[1] or own[1] == 1)
        return f"{short(value / size)} {unit}"
    if inner == "test_accuracy" or inner.endswith(_SHARES) or name.startswith("any("):
        return f"{short(100 * value)} %"
    return f"{short(value)} {_UNITS[inner]}" if inner in _UNITS else short(value)


_TIMES = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1))  # in ns
_SHARES = ("_fraction", "_share", "reached_target")
_UNITS = {"steps_to_target": "steps", "seconds_to_target": "s"}


def with_deviation(metric: Metric, mean: float, deviation: float, n: int) -> str:
    """A mean score ± standard deviation (without it for a single run), without its unit."""
    if n == 0:
        return "none"
    return metric.cell(mean) if n == 1 else f"{metric.cell(mean)} ± {metric.scale * deviation:.{metric.digits[1]}f}"


def p_value(p: float) -> str:
    """Three decimals; empty for NaN."""
    return "" if pd.isna(p) else "<0.001" if p < 0.0005 else f"{p:.3f}"


def about(number: float) -> str:
    """A number to two significant digits, rounded up; `more than 1,000` beyond, as it is only an estimate."""
    if number > 1000:
        return "more than 1,000"
    unit = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return f"about {math.ceil(number / unit) * unit}"


def count(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def machine_and_time(environment: Mapping[str, Any]) -> str:
    """`2 min 13 s in 2 commands on Some CPU, 2 cores`, as far as it is known. environment: as in environment.json."""
    seconds, commands, taken = (environment.get(key, 0) for key in ("seconds", "commands", "taken"))
    took = duration(seconds) + (f" in {commands} commands" if commands > 1 else "") if seconds else ""
    took += f" ({count(taken, 'more run')} of another plan)" if took and taken else ""
    known = "processor" in environment and "cores" in environment
    machine = f"on {literal(str(environment['processor']))}, {count(environment['cores'], 'core')}" if known else ""
    return " ".join(part for part in (took, machine) if part)


def between(value: float, low: float, high: float) -> str:
    """A value with its interval, without it where that is NaN; infinite: NEVER."""
    middle, *ends = [NEVER if math.isinf(number) else short(number) for number in (value, low, high)]
    return middle if math.isnan(low) else f"{middle} [{', '.join(ends)}]"


def score_interval(metric: Metric, mean: float, low: float, high: float) -> str:
    """A mean score with its interval (without it where that is NaN), without its unit; the lower number first."""
    ends = (high, low) if metric.factor < 0 else (low, high)
    return metric.cell(mean) + ("" if math.isnan(low) else f" [{', '.join(map(metric.cell, ends))}]")


def difference_interval(scale: float, digits: int, mean: float, low: float, high: float, sign: str = "+") -> str:
    """`scale` times a difference with its interval, without it where that is NaN; with `sign`."""
    values = [f"{round(scale * value, digits) + 0.0:{sign}.{digits}f}" for value in (mean, low, high)]  # no -0.00
    return values[0] + ("" if math.isnan(low) else f" [{values[1]}, {values[2]}]")


def percent(mean: float, low: float, high: float) -> str:
    """A share with its interval in per cent, without it where that is NaN."""
    return difference_interval(100, 2, mean, low, high, sign="")


def capitalized(text: str) -> str:
    """The text with a capital first letter, without spaces around it."""
    return text.strip()[:1].upper() + text.strip()[1:]


def number(value: float, form: str) -> str:
    """Formatted by a format specification; empty for NaN."""
    return "" if pd.isna(value) else f"{value:{form}}"


def rate(value: float) -> str:
    """A learning rate to three significant digits: `0.0333`."""
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """`45 s`, `2 min 13 s`, `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
