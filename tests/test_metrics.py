"""Metrics against closed forms and arrays one can check by hand."""

import math

import numpy as np
import pytest
import torch

from actbench.metrics.convergence import area_under_curve, first_reached
from actbench.metrics.gradients import gradient_norm, gradient_ratio
from actbench.metrics.units import LayerObservation, layer_metrics, network_metrics


def observed(slope: torch.Tensor, h: torch.Tensor, pieces: int = 1) -> LayerObservation:
    layer = LayerObservation(pieces)
    layer.add(slope, h)
    return layer


def test_shares_of_a_layer_by_hand() -> None:
    """Units: one alive, one dead but active, one dead and silent, one dormant."""
    h = torch.tensor([[[1.0, 1.0, 0.0, 0.02], [1.0, 1.0, 0.0, 0.02]]])
    slope = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [1.0, 9e-4, 0.0, 1.0]]])
    metrics = {name: value.item() for name, value in layer_metrics(observed(slope, h)).items()}
    # mean E|h| is 0.505, so the last unit's score is 0.0396: above 0.025, and not dormant
    assert metrics == {"dead_fraction": 0.5, "silent_fraction": 0.25, "dormant_fraction": 0.25, "zero_share": 0.25}
    h[..., 3] = 0.01
    assert layer_metrics(observed(slope, h))["dormant_fraction"].item() == 0.5


def test_chunks_add_up_to_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    slope, h = torch.rand(2, 10, 3, 4, generator=generator) / 500, torch.randn(2, 10, 3, 4, generator=generator).relu()
    chunked = LayerObservation(1)
    for start in range(0, 10, 4):
        chunked.add(slope[:, start : start + 4], h[:, start : start + 4])
    whole = layer_metrics(observed(slope, h))
    for name, values in layer_metrics(chunked).items():
        assert torch.allclose(values, whole[name])


def test_a_unit_of_several_pieces_lives_while_one_piece_does() -> None:
    slope = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])  # pieces of units (a, b): a1 b1 a2 b2
    assert layer_metrics(observed(slope, torch.ones(1, 1, 2), 2))["dead_fraction"].item() == 0.5


def test_a_network_that_is_not_finite_is_invalid_and_its_neighbour_is_not() -> None:
    h = torch.ones(2, 3, 4)
    h[0, 1, 2] = math.nan
    metrics = network_metrics([observed(torch.ones(2, 3, 4), h)])
    for values in metrics.values():
        assert values[0].isnan()
        assert values[1].isfinite()


def test_layers_count_by_their_units_and_dead_layers_are_counted() -> None:
    dead, alive = (
        observed(torch.zeros(1, 2, 6), torch.zeros(1, 2, 6)),
        observed(torch.ones(1, 2, 2), torch.ones(1, 2, 2)),
    )
    metrics = network_metrics([dead, alive])
    assert metrics["dead_fraction"].item() == 0.75
    assert metrics["dead_layers"].item() == 1
    assert metrics["zero_share"].item() == 0.75


def test_gradient_norm_is_per_run_over_all_parameters() -> None:
    weights, slopes = torch.tensor([[3.0, 0.0], [1e20, 0.0]]), torch.tensor([[4.0]])
    norms = gradient_norm([weights, slopes], [torch.tensor([0, 1]), torch.tensor([0])], 2)
    assert norms.tolist() == pytest.approx([5.0, 1e20])


def test_gradient_ratio_is_the_log10_of_first_over_last() -> None:
    assert gradient_ratio(torch.tensor([1e-4, 1.0]), torch.tensor([1.0, 1.0])).tolist() == pytest.approx([-4, 0])


def test_first_evaluation_at_target_and_never() -> None:
    accuracy = np.array([0.1, 0.5, 0.4, 0.5])
    assert first_reached(accuracy, 0.5) == 1
    assert first_reached(accuracy, 0.6) is None


def test_area_under_curve_weighs_uneven_steps() -> None:
    assert area_under_curve([0, 10, 40], np.array([0.0, 1.0, 1.0])) == pytest.approx((5 + 30) / 40)
    assert area_under_curve([0], np.array([0.25])) == 0.25
