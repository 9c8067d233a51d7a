"""Copies between the host and the device.

Buffers on the device keep their addresses, so that a CUDA graph finds new values where the last ones were.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def fill(buffer: Tensor, values: Sequence[Tensor]) -> None:
    """Copies values on the CPU, one for each entry of the buffer's leading axis, into the buffer.

    On CUDA by way of pinned memory, so that the host does not wait; torch keeps that until the copy has been made.
    """
    if buffer.device.type != "cuda" or not torch.cuda.is_available():
        for entry, value in zip(buffer, values, strict=True):
            entry.copy_(value)
        return
    host = torch.empty(buffer.shape, dtype=buffer.dtype, pin_memory=True)
    for entry, value in zip(host, values, strict=True):
        entry.copy_(value)
    buffer.copy_(host, non_blocking=True)


def on_host(values: Tensor) -> Tensor:
    """Values on the CPU; from CUDA in one copy to pinned memory, for which alone the host waits."""
    if values.device.type != "cuda":
        return values
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    torch.cuda.current_stream(values.device).synchronize()
    return host
