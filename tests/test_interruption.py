"""Signals wait for a write to end."""

import os
import signal

import pytest

from actbench.interruption import deferred


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_waits_for_the_end_of_the_block(number: int) -> None:
    before = signal.getsignal(number)
    done = []

    def write() -> None:
        with deferred():
            os.kill(os.getpid(), number)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert done == ["whole"]
    assert signal.getsignal(number) is before


def test_nothing_is_raised_where_no_signal_came() -> None:
    before = signal.getsignal(signal.SIGINT)
    with deferred():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), deferred():
        raise ZeroDivisionError
