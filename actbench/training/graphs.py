"""CUDA graphs: a device function is captured after a few calls and replayed from then on, without Python's time.

A device function takes no arguments and returns nothing. It reads and writes tensors that keep their addresses, and
neither waits for the device nor depends on a number of the host that changes from call to call.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch

from actbench.errors import one_line

WARM_UP = 3  # calls before the capture, in which libraries allocate their workspaces and choose their algorithms

Function = Callable[[], None]


class Capture(Protocol):
    """How device functions are captured. The functions of one such object share its memory and run one at a time."""

    def warm_up(self, function: Function) -> None:
        """Calls a function that will be captured."""

    def capture(self, function: Function) -> Function:
        """Captures a function without running it; returns what replays it. Raises RuntimeError where it cannot."""


class CudaCapture:
    """Captures CUDA graphs, which share one pool of memory: none needs what another has left there."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Function) -> None:
        """Calls a function on the stream on which it will be captured."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            function()
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def capture(self, function: Function) -> Function:
        """Captures a function. Other threads, which may be using CUDA, do not disturb it."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
            function()
        return partial(graph.replay)


class Graphed:
    """A device function that is replayed from a graph where that is possible, else called."""

    def __init__(self, function: Function, capture: Capture | None) -> None:
        self._function, self._capture = function, capture
        self._calls, self._replay = 0, None if capture else function

    def __call__(self) -> None:
        """Runs the function. Prints a line and calls it from then on where it cannot be captured."""
        if self._replay is not None:
            self._replay()
            return
        assert self._capture is not None
        self._calls += 1
        if self._calls <= WARM_UP:
            self._capture.warm_up(self._function)
            return
        try:
            self._replay = self._capture.capture(self._function)
        except RuntimeError as error:
            for cause in (error, error.__context__):  # the end of a capture that has failed may fail as well
                if isinstance(cause, torch.OutOfMemoryError):
                    raise cause from None  # a stack that is too large is halved
            print(
                f"no CUDA graph, each operation is launched by itself: {one_line(error)}", file=sys.stderr, flush=True
            )
            self._replay = self._function
        self._replay()


def capture_on(device: torch.device) -> Capture | None:
    """How device functions are captured on a device; None: not at all."""
    return CudaCapture(device) if device.type == "cuda" else None
