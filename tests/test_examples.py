"""The examples in the docstrings of the public functions run as they stand there."""

import doctest

import pytest

from actbench.metrics import inspect
from actbench.store import load
from tests.support import TINY, actbench


def test_example_of_inspect_runs() -> None:
    assert doctest.testmod(inspect, raise_on_error=True) == (0, 4)


@pytest.mark.usefixtures("command_line")
def test_example_of_load_runs() -> None:
    assert actbench("train", *TINY, "store.save_weights=last") == 0
    assert doctest.testmod(load, raise_on_error=True) == (0, 6)
