"""The score of a task, by the metric of its data: what it is called, how its values are written, and its worst value.

A score is higher where a network is better: accuracy; R², cut at 0 below; minus bits per character, cut below at that
of a uniform guess.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from actbench.errors import UsageError


@dataclass(frozen=True)
class Metric:
    """How the scores of one metric are named and written.

    A value is written as `factor` times the score, a difference as `scale` times that of two scores, so that a positive
    difference is always of the better side. title: of a mean of test scores, in a sentence. noun: of any value. unit:
    of a difference, in a table or at an axis. best: the highest score. low: the worst one, where it does not depend on
    the number of classes. curve: the metric of curves.parquet that holds the validation score. column: the name in
    answer.json. digits: behind the decimal point, of a sentence, a table and a figure.
    """

    name: str
    title: str
    noun: str
    factor: float
    scale: float
    unit: str
    best: float
    curve: str
    column: str
    digits: tuple[int, int, int]

    def value(self, score: float) -> str:
        """A mean in a sentence: `97.3 %`, `R² 0.453`, `2.713 bits`."""
        return self._with_unit(self.number(score))

    def finer(self, score: float) -> str:
        """As `value`, with the digits of a table: `97.28 %`."""
        return self._with_unit(self.cell(score))

    def _with_unit(self, number: str) -> str:
        return {"accuracy": f"{number} %", "r2": f"R² {number}"}.get(self.name, f"{number} bits")

    def number(self, score: float) -> str:
        """A value without its unit, in a sentence: `97.3`, `0.453`, `2.713`."""
        return self._signless(score, self.digits[0])

    def cell(self, score: float) -> str:
        """A value without its unit, in a table: `97.28`, `0.453`, `2.713`."""
        return self._signless(score, self.digits[1])

    def mark(self, score: float) -> str:
        """A value without its unit, in a figure where there is little room: `97`, `0.45`, `2.71`."""
        return self._signless(score, self.digits[2])

    def _signless(self, score: float, digits: int) -> str:
        text = f"{self.factor * score:.{digits}f}"
        return text.removeprefix("-") if self.name != "accuracy" and not float(text) else text

    def difference(self, size: float) -> str:
        """The size of a difference of scores in a sentence: `1 point`, `0.02`, `0.03 bits`."""
        if self.name == "accuracy":
            return f"{100 * size:g} point" + ("" if 100 * size == 1 else "s")
        return f"{size:g}" + (f" {self.unit}" if self.unit else "")

    def margin(self, size: float) -> str:
        """A margin on its own: `1 point`, `0.02 of R²`, `0.02 bits`."""
        return self.difference(size) + (" of R²" if self.name == "r2" else "")

    def gain(self, difference: float) -> str:
        """The advantage of the better of two in brackets: `+1.2`, `+0.031`, `0.031 bits fewer`."""
        if self.name == "bits_per_character":
            return f"{difference:.{self.digits[0]}f} bits fewer"
        return f"{self.scale * difference:+.{self.digits[0]}f}"

    def minus(self, other: str) -> str:
        """The title of a column of differences to `other`: `minus relu, points`, `bits fewer than relu`."""
        if self.name == "bits_per_character":
            return f"bits fewer than {other}"
        return f"minus {other}" + (f", {self.unit}" if self.unit else "")

    def between(self, a: str, b: str) -> str:
        """The title of a column of scores of `a` minus those of `b`, as written: `A − B, points`, `B − A, bits`."""
        ends = (b, a) if self.factor < 0 else (a, b)
        return " − ".join(ends) + (f", {self.unit}" if self.unit else "")

    def difference_axis(self, baseline: str) -> str:
        """The label of an axis of differences: `test accuracy minus relu, points`."""
        if self.name == "bits_per_character":
            return f"bits per character fewer than {baseline}"
        return f"{self.title} minus {baseline}" + (f", {self.unit}" if self.unit else "")

    @property
    def axis(self) -> str:
        """The label of an axis of validation scores: `validation accuracy, %`."""
        return f"validation {self.noun}" + (", %" if self.name == "accuracy" else "")

    @property
    def test_axis(self) -> str:
        """The label of an axis of test scores: `test accuracy, %`."""
        return self.title + (", %" if self.name == "accuracy" else "")

    @property
    def short(self) -> str:
        """A title where there is little room: `acc. %`, `R²`, `bits`."""
        return {"accuracy": "acc. %", "r2": "R²"}.get(self.name, "bits")

    @property
    def heading(self) -> str:
        """The title of a column of means: `accuracy %`, `R²`, `bits per character`."""
        return "accuracy %" if self.name == "accuracy" else self.noun


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "test accuracy", "accuracy", 100.0, 100.0, "points", 1.0, "val_accuracy", "test_accuracy",
               (1, 2, 0)),
        Metric("r2", "test R²", "R²", 1.0, 1.0, "", 1.0, "val_score", "r2", (3, 3, 2)),
        Metric("bits_per_character", "test bits per character", "bits per character", -1.0, 1.0, "bits", 0.0,
               "val_score", "bits_per_character", (3, 3, 2)),
    )
}  # fmt: skip
ACCURACY = METRICS["accuracy"]


def worst(metric: str, classes: int) -> float:
    """The worst score of a metric, which a run that diverged counts as. classes: of text its different characters.

    Raises UsageError for an unknown metric.
    """
    if metric not in METRICS:
        raise UsageError(f"no metric {metric!r}; there are: {', '.join(METRICS)}")
    return -math.log2(classes) if metric == "bits_per_character" else 0.0
