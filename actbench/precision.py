"""How numbers are computed: fp32 as IEEE has it, tf32 or bf16. Part of a run's id, as it moves its numbers."""

import contextlib

import torch


def settle(precision: str) -> None:
    """fp32 is fp32 on a GPU too: torch would compute convolutions in tf32 unless told not to.

    On a CPU values below 1e-38 become 0. A dead unit's gradient is 0, and Adam's moments of its weights decay until
    they are that small: an update then takes thirty times as long (results/benchmarks/step.md, subnormals).
    """
    torch.set_flush_denormal(True)  # of this thread, which computes the gradients too; False where it cannot
    kind = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = kind
    torch.backends.cudnn.conv.fp32_precision = kind  # type: ignore[attr-defined]


def casting(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Inside, products take bf16 and give bf16, where the run's precision is that; weights stay float32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
