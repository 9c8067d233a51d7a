"""A capture for the CPU that does what a CUDA graph does: it repeats the same operations on the same tensors."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Recorder(TorchDispatchMode):
    """Records every operation with its arguments and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, output))
        return output


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _is_view(args: Any, output: Any) -> bool:
    storages = {tensor.untyped_storage().data_ptr() for tensor in _tensors(args)}
    outputs = _tensors(output)
    return bool(outputs) and all(tensor.untyped_storage().data_ptr() in storages for tensor in outputs)


class RecordedCapture:
    """Numbers of Python are frozen as in a CUDA graph, so a step that needs a new one computes something else.

    captured: functions so far.
    """

    def __init__(self) -> None:
        self.captured = 0

    def warm_up(self, function: Callable[[], None]) -> None:
        function()

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1
        with _Recorder() as recorder:
            function()  # a CUDA graph is not run when it is captured, so the first replay does nothing here
        replays = 0

        @torch.no_grad()
        def replay() -> None:
            nonlocal replays
            replays += 1
            for function, args, kwargs, output in recorder.calls if replays > 1 else ():
                if not function._schema.is_mutable and _is_view((args, kwargs), output):
                    continue
                again = function(*args, **kwargs)
                if not function._schema.is_mutable:
                    for old, new in zip(_tensors(output), _tensors(again), strict=True):
                        old.copy_(new)

        return replay


class FailingCapture:
    """A capture on a device that cannot capture."""

    def warm_up(self, function: Callable[[], None]) -> None:
        function()

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")
