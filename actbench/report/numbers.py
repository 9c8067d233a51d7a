"""Numbers as text."""

import math

import pandas as pd

NEVER = "never"


def short(value: float) -> str:
    """Three significant digits, no exponent for large numbers, and 0 for a rounding error."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{0.0 if abs(value) < 1e-12 else value:.3g}"


def accuracy(mean: float, deviation: float, n: int) -> str:
    """Per cent, mean ± standard deviation (without it for a single run)."""
    if n == 0:
        return "none"
    return f"{100 * mean:.2f}" if n == 1 else f"{100 * mean:.2f} ± {100 * deviation:.2f}"


def p_value(p: float) -> str:
    """Three decimals; empty for NaN."""
    return "" if pd.isna(p) else "<0.001" if p < 0.0005 else f"{p:.3f}"


def in_points(share: float) -> str:
    """A difference in accuracy as points: `1 point`, `0.5 points`."""
    return f"{100 * share:g} point" + ("" if 100 * share == 1 else "s")


def about(number: float) -> str:
    """A number to two significant digits, rounded up; `more than 1,000` beyond, as it is only an estimate."""
    if number > 1000:
        return "more than 1,000"
    unit = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return f"about {math.ceil(number / unit) * unit}"


def count(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def between(value: float, low: float, high: float) -> str:
    """A value with its interval, without it where that is NaN; infinite: NEVER."""
    middle, *ends = [NEVER if math.isinf(number) else short(number) for number in (value, low, high)]
    return middle if math.isnan(low) else f"{middle} [{', '.join(ends)}]"


def interval(mean: float, low: float, high: float, signed: bool = False) -> str:
    """A share with its interval (without it where that is NaN) in per cent, or in points where signed."""
    sign = "+" if signed else ""
    ends = "" if math.isnan(low) else f" [{100 * low:{sign}.2f}, {100 * high:{sign}.2f}]"
    return f"{100 * mean:{sign}.2f}{ends}"


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
