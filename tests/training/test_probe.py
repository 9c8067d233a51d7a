"""Units observed in a network, against a second implementation: Jacobians of every row, in every architecture."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from actbench.activations.table import TABLE
from actbench.data.batches import Batches
from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import make_run
from actbench.experiment.schema import RunSettings
from actbench.training.network import Network
from actbench.training.probe import observe
from actbench.training.stacks import Stack

CPU = torch.device("cpu")
EXAMPLES = 5


def own_slopes(function: Callable[[Tensor], Tensor], z: Tensor, pieces: int) -> Tensor:
    """abs of each unit's derivative with respect to its own pieces: z (n, pieces * units) -> (n, pieces, units)."""
    z = z.detach().requires_grad_()
    h = function(z)
    rows = [torch.autograd.grad(h[:, unit].sum(), z, retain_graph=True)[0] for unit in range(h.shape[1])]
    own = [row.unflatten(1, (pieces, -1))[:, :, unit] for unit, row in enumerate(rows)]
    return torch.stack(own, 2).abs()


@pytest.mark.parametrize("architecture", ["mlp_small", "cnn_small", "transformer_small"])
@pytest.mark.parametrize("name", list(TABLE))
def test_units_are_those_of_the_jacobian_at_every_position_and_at_present_parameters(
    name: str,
    architecture: str,
    configs: Callable[..., list[RunSettings]],
    digits: PreparedData,
    digits_data: ImageData,
) -> None:
    (point,) = configs(f"activation={name}", f"architecture={architecture}")
    network = Network(Stack((make_run(point, digits, "sweep"),)), CPU)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for key, values in network.parameters.items():
            if key.endswith("bias"):  # far apart, so that many units and pieces are dead
                values += 6 * torch.randn(values.shape, generator=generator)
            elif key.startswith("activation"):  # as if learned, for each unit another way
                values += 0.3 * torch.randn(values.shape, generator=generator)
    batches = Batches(digits_data, [0], 288, 64, "channel", False, CPU)
    measured = {(r.layer, r.metric): r.values.item() for r in observe(network, batches, EXAMPLES)}
    activate, pieces = network.activate, network.segments[0].applied.pieces
    slopes: list[Tensor] = []
    outputs: list[Tensor] = []

    def tapped(layer: int, z: Tensor) -> Tensor:
        h = activate(layer, z)
        flat, shape = z[0].flatten(0, -2), z.shape[1:-1]
        slopes.append(own_slopes(lambda own: activate(layer, own.view(1, *shape, -1))[0].flatten(0, -2), flat, pieces))
        outputs.append(h.detach()[0].flatten(0, -2))
        return h

    network.forward(batches.validation(0, EXAMPLES)[0], activate=tapped)
    for layer, (slope, h) in enumerate(zip(slopes, outputs, strict=True)):
        largest = slope.amax(0)
        found = {metric: value for (own_layer, metric), value in measured.items() if own_layer == layer}
        if name != "dynamic_relu":  # whose own derivative holds its lines fixed: tests/activations/test_table.py
            assert found["dead_fraction"] == pytest.approx(share(largest.amax(0) < 1e-3), abs=1e-12)
            if pieces > 1:
                assert found["dead_piece_fraction"] == pytest.approx(share(largest < 1e-3), abs=1e-12)
        assert found["silent_fraction"] == pytest.approx(share((h == 0).all(0)), abs=1e-12)
        assert found["zero_share"] == pytest.approx(share(h == 0), abs=1e-12)
        near = share(h.abs() <= 1e-3 * h.abs().mean(-1, keepdim=True))
        assert found["near_zero_share"] == pytest.approx(near, abs=1 / h.numel())
        assert found["abs_unit_mean"] == pytest.approx(h.mean(0).abs().mean().item(), rel=1e-4, abs=1e-6)
        score = h.abs().mean(0)
        assert found["dormant_fraction"] == pytest.approx(share(score <= 0.025 * score.mean()), abs=1e-12)
        assert found["unit_mean"] == pytest.approx(h.mean().item(), rel=1e-4, abs=1e-6)
        assert found["unit_std"] == pytest.approx(h.std(correction=0).item(), rel=1e-4)


def share(units: Tensor) -> float:
    return units.double().mean().item()
