"""How scores of each metric are written, and the worst of each."""

import math

import pytest

from actbench.errors import UsageError
from actbench.experiment.scores import ACCURACY, METRICS, worst

R2, BITS = METRICS["r2"], METRICS["bits_per_character"]


def test_the_worst_score_is_that_of_a_network_that_knows_nothing() -> None:
    assert worst("accuracy", 10) == worst("r2", 1) == 0.0
    assert worst("bits_per_character", 64) == -6.0  # a uniform guess among 64 characters
    assert worst("bits_per_character", 65) == -math.log2(65)
    with pytest.raises(UsageError, match="no metric 'loss'; there are: accuracy, r2, bits_per_character"):
        worst("loss", 10)


def test_values_have_the_unit_and_the_digits_of_their_metric() -> None:
    assert [ACCURACY.value(0.97284), ACCURACY.finer(0.97284), ACCURACY.mark(0.97284)] == ["97.3 %", "97.28 %", "97"]
    assert [R2.value(0.45321), R2.cell(0.45321), R2.mark(0.45321)] == ["R² 0.453", "0.453", "0.45"]
    assert [BITS.value(-2.7134), BITS.cell(-2.7134), BITS.mark(-2.7134)] == ["2.713 bits", "2.713", "2.71"]
    assert BITS.cell(0.0) == "0.000"  # and not -0.000


def test_differences_are_of_the_better_side_and_margins_name_their_unit() -> None:
    assert [ACCURACY.difference(0.01), ACCURACY.difference(0.005)] == ["1 point", "0.5 points"]
    assert [R2.difference(0.02), BITS.difference(0.03)] == ["0.02", "0.03 bits"]
    assert [metric.margin(0.02) for metric in (ACCURACY, R2, BITS)] == ["2 points", "0.02 of R²", "0.02 bits"]
    assert [ACCURACY.gain(0.0123), R2.gain(0.031), BITS.gain(0.031)] == ["+1.2", "+0.031", "0.031 bits fewer"]
    assert [metric.minus("relu") for metric in (ACCURACY, R2, BITS)] == [
        "minus relu, points", "minus relu", "bits fewer than relu",
    ]  # fmt: skip
    assert [metric.between("A", "B") for metric in (ACCURACY, R2, BITS)] == ["A − B, points", "A − B", "B − A, bits"]


def test_axes_name_what_they_show() -> None:
    assert [ACCURACY.axis, R2.axis, BITS.axis] == [
        "validation accuracy, %", "validation R²", "validation bits per character",
    ]  # fmt: skip
    assert [metric.difference_axis("relu") for metric in (ACCURACY, R2, BITS)] == [
        "test accuracy minus relu, points", "test R² minus relu", "bits per character fewer than relu",
    ]  # fmt: skip
