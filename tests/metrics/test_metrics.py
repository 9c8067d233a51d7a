"""Metrics against closed forms and arrays one can check by hand."""

import math

import numpy as np
import pytest
import torch

from actbench.metrics.convergence import area_under_curve, first_reached
from actbench.metrics.gradients import gradient_norms, gradient_ratio
from actbench.metrics.histograms import counts, edges
from actbench.metrics.names import layer_key, split_layer_key
from actbench.metrics.units import LayerObservation, layer_metrics, network_metrics


def observed(slope: torch.Tensor, h: torch.Tensor, pieces: int = 1) -> LayerObservation:
    layer = LayerObservation(pieces)
    layer.add(slope, h)
    return layer


def together(layers: list[LayerObservation]) -> dict[str, torch.Tensor]:
    each = [layer_metrics(layer) for layer in layers]
    return network_metrics(each, [layer.units for layer in layers], [layer.outputs for layer in layers])


def test_shares_of_a_layer_by_hand() -> None:
    """Units: one alive, one dead but active, one dead and silent, one dormant."""
    h = torch.tensor([[[1.0, 1.0, 0.0, 0.02], [1.0, 1.0, 0.0, 0.02]]])
    slope = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [1.0, 9e-4, 0.0, 1.0]]])
    metrics = {name: value.item() for name, value in layer_metrics(observed(slope, h)).items()}
    mean, std = metrics.pop("unit_mean"), metrics.pop("unit_std")
    assert (mean, std) == pytest.approx((0.505, h.double().std(correction=0).item()))
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


def test_a_piece_that_never_wins_is_dead_and_its_unit_is_not() -> None:
    slope = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    assert layer_metrics(observed(slope, torch.ones(1, 1, 2), 2))["dead_piece_fraction"].item() == 0.75
    assert "dead_piece_fraction" not in layer_metrics(observed(slope, torch.ones(1, 1, 4)))


def test_mean_and_deviation_of_all_layers_are_those_of_all_outputs() -> None:
    generator = torch.Generator().manual_seed(0)
    wide, narrow = torch.randn(2, 10, 7, 5, generator=generator) + 3, torch.randn(2, 10, 4, generator=generator)
    metrics = together([observed(torch.ones_like(h), h) for h in (wide, narrow)])
    everything = torch.cat([wide.flatten(1), narrow.flatten(1)], 1).double()
    assert torch.allclose(metrics["unit_mean"], everything.mean(1))
    assert torch.allclose(metrics["unit_std"], everything.std(1, correction=0))


def test_a_small_deviation_around_a_large_mean_is_not_lost_in_rounding() -> None:
    h = 100 + 0.01 * torch.randn(1, 500, 7, generator=torch.Generator().manual_seed(0))
    layer = LayerObservation(1)
    layer.add(torch.ones_like(h), h)
    assert layer_metrics(layer)["unit_std"].item() == pytest.approx(h.double().std(correction=0).item(), rel=1e-6)


def test_a_network_that_is_not_finite_is_invalid_and_its_neighbour_is_not() -> None:
    h = torch.ones(2, 3, 4)
    h[0, 1, 2] = math.nan
    metrics = together([observed(torch.ones(2, 3, 4), h)])
    for values in metrics.values():
        assert values[0].isnan()
        assert values[1].isfinite()


def test_layers_count_by_their_units_and_dead_layers_are_counted() -> None:
    dead, alive = (
        observed(torch.zeros(1, 2, 6), torch.zeros(1, 2, 6)),
        observed(torch.ones(1, 2, 2), torch.ones(1, 2, 2)),
    )
    metrics = together([dead, alive])
    assert metrics["dead_fraction"].item() == 0.75
    assert metrics["dead_layers"].item() == 1
    assert metrics["zero_share"].item() == 0.75


def test_gradient_norm_is_per_run_over_all_parameters_and_over_those_of_a_layer() -> None:
    weights, slopes, rest = torch.tensor([[3.0, 0.0], [1e20, 0.0]]), torch.tensor([[4.0]]), torch.tensor([[12.0], [0]])
    both = torch.tensor([0, 1])
    whole, layers = gradient_norms([weights, slopes, rest], [both, torch.tensor([0]), both], [1, 1, None], 2)
    assert whole.tolist() == pytest.approx([13.0, 1e20])
    assert {layer: norms.tolist() for layer, norms in layers.items()} == {1: pytest.approx([5.0, 1e20])}


def test_gradient_ratio_is_the_log10_of_first_squared_over_last_squared() -> None:
    rms = [torch.tensor([1e-2, 1.0]), torch.tensor([7.0, 7.0]), torch.tensor([1.0, 1.0])]
    assert gradient_ratio(rms).tolist() == pytest.approx([-4, 0])


def test_outputs_are_counted_in_bins_of_a_quarter_with_open_ends() -> None:
    h = torch.tensor(
        [[-9.0, -4.125, -0.2, 0.0, 0.0, 0.125, 4.1, 4.125], [math.nan, math.inf, 1e30, 0.1, 0.1, 0.1, 0.1, 0.1]]
    )
    found = counts(h)
    ends = edges()
    assert found.shape == (2, len(ends) - 1)
    by_low = [{low: n for low, n in zip(ends, run.tolist(), strict=False) if n} for run in found]
    assert by_low[0] == {-math.inf: 1, -4.125: 1, -0.375: 1, -0.125: 2, 0.125: 1, 3.875: 1, 4.125: 1}
    assert by_low[1] == {-0.125: 5, 4.125: 2}  # NaN is no output to count


def test_the_name_of_a_layers_metric_can_be_taken_apart() -> None:
    assert split_layer_key(layer_key(3, "dead_fraction")) == (3, "dead_fraction")
    assert split_layer_key(layer_key(123, "unit_mean")) == (123, "unit_mean")
    assert split_layer_key("dead_fraction") is None


def test_first_evaluation_at_target_and_never() -> None:
    accuracy = np.array([0.1, 0.5, 0.4, 0.5])
    assert first_reached(accuracy, 0.5) == 1
    assert first_reached(accuracy, 0.6) is None


def test_area_under_curve_weighs_uneven_steps() -> None:
    assert area_under_curve([0, 10, 40], np.array([0.0, 1.0, 1.0])) == pytest.approx((5 + 30) / 40)
    assert area_under_curve([0], np.array([0.25])) == 0.25
