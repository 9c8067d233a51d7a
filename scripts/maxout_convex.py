"""One Maxout unit against a hidden layer of ReLUs of no fewer parameters, fitted to functions of one variable.

    .venv/bin/python scripts/maxout_convex.py

A Maxout unit of k pieces is the maximum of k lines: convex, and with k large enough any convex function (Goodfellow et
al. 2013, section 3). Prints a table, and writes it to results/reference/claims/maxout_convex.md.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from actbench.activations import functions, joint
from actbench.report.formats.blocks import Table
from actbench.report.formats.documents import markdown

TARGET = Path(__file__).parent.parent / "results" / "reference" / "claims" / "maxout_convex.md"
SEEDS, STEPS, POINTS = 20, 4000, 512
PIECES = (2, 4, 8)
FUNCTIONS: dict[str, tuple[bool, Callable[[Tensor], Tensor]]] = {
    "abs(x)": (True, torch.abs),
    "x^2": (True, torch.square),
    "exp(x)": (True, torch.exp),
    "max(0, x - 1, -2x)": (True, lambda x: torch.stack([0 * x, x - 1, -2 * x]).amax(0)),
    "sin(2x)": (False, lambda x: torch.sin(2 * x)),
}

Fit = Callable[[Tensor], Tensor]  # (points,) -> (seeds, points)


def maxout(pieces: int, generator: torch.Generator) -> tuple[Fit, list[Tensor]]:
    w, b = (torch.randn(SEEDS, 1, pieces, generator=generator).requires_grad_() for _ in range(2))

    def fit(x: Tensor) -> Tensor:
        return joint.maxout(x.unsqueeze(-1) * w + b, {"pieces": pieces})[..., 0]

    return fit, [w, b]


def relu_layer(units: int, generator: torch.Generator) -> tuple[Fit, list[Tensor]]:
    w, b, v = (torch.randn(SEEDS, 1, units, generator=generator).requires_grad_() for _ in range(3))
    c = torch.zeros(SEEDS, 1).requires_grad_()

    def fit(x: Tensor) -> Tensor:
        return (functions.relu(x.unsqueeze(-1) * w + b, {}) * v).sum(-1) + c

    return fit, [w, b, v, c]


def errors(made: tuple[Fit, list[Tensor]], target: Callable[[Tensor], Tensor]) -> Tensor:
    """Root mean square error on [-2, 2] of each seed, (seeds,), after training by Adam."""
    fit, parameters = made
    x = torch.linspace(-2, 2, POINTS)
    y = target(x)
    optimizer = torch.optim.Adam(parameters, lr=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (fit(x) - y).square().mean(1).sum().backward()
        optimizer.step()
        schedule.step()
    return (fit(x) - y).square().mean(1).sqrt().detach()


def spread(found: Tensor) -> str:
    return f"{found.median():.3f} [{found.min():.3f}, {found.max():.3f}]"


def main() -> None:
    torch.set_num_threads(1)
    lines = []
    for name, (convex, target) in FUNCTIONS.items():
        for pieces in PIECES:
            units = math.ceil((2 * pieces - 1) / 3)  # 3 units + 1 parameters, no fewer than 2 pieces
            of_maxout = errors(maxout(pieces, torch.Generator().manual_seed(0)), target)
            of_relu = errors(relu_layer(units, torch.Generator().manual_seed(0)), target)
            lines.append({
                "function": name, "convex": "yes" if convex else "no",
                "Maxout": f"{pieces} pieces, {2 * pieces} parameters", "its RMS error": spread(of_maxout),
                "ReLU": f"{units} units, {3 * units + 1} parameters", "RMS error of ReLU": spread(of_relu),
            })  # fmt: skip
    table = markdown([Table(pd.DataFrame(lines))]).strip()
    text = (
        "# Does one Maxout unit fit any convex function of one variable?\n\n"
        f"{SEEDS} seeds, {STEPS} full-batch steps of Adam on {POINTS} points of [-2, 2]; the ReLU layer has a linear "
        "output and no fewer parameters. Errors: median of the seeds [best, worst].\n\n"
        f"{table}\n\nMade by `python scripts/maxout_convex.py`.\n"
    )
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
