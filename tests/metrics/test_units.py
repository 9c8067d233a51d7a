"""Dead, silent and dormant units, means and deviations of a layer, by hand."""

import math

import pytest
import torch

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
    assert metrics.pop("abs_unit_mean") == pytest.approx(0.505)
    shares = {"dead_fraction": 0.5, "silent_fraction": 0.25, "dormant_fraction": 0.25, "zero_share": 0.25}
    assert metrics == {**shares, "near_zero_share": 0.25}
    h[..., 3] = 0.01
    assert layer_metrics(observed(slope, h))["dormant_fraction"].item() == 0.5


def test_outputs_near_zero_are_counted_at_any_scale_and_zero_centred_units_do_not_cancel() -> None:
    """Of the first example the mean |h| is 1, of the second 1e-6: thresholds 1e-3 and 1e-9."""
    h = torch.tensor([[[2.0, -1.999, 1e-3 / 2, 0.0005], [-2e-6, 1.9e-6, 1e-7, 0.0]]])
    for scale in (1.0, 1e-20):
        metrics = layer_metrics(observed(torch.ones_like(h), h * scale))
        assert metrics["near_zero_share"].item() == 3 / 8
        assert metrics["zero_share"].item() == 1 / 8
    centred = torch.tensor([[[1.0, -3.0], [3.0, -1.0]]])
    metrics = layer_metrics(observed(torch.ones_like(centred), centred))
    assert (metrics["unit_mean"].item(), metrics["abs_unit_mean"].item()) == (0.0, 2.0)


def test_chunks_add_up_to_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    slope, h = torch.rand(2, 10, 3, 4, generator=generator) / 500, torch.randn(2, 10, 3, 4, generator=generator).relu()
    chunked = LayerObservation(1)
    for start in range(0, 10, 4):
        chunked.add(slope[:, start : start + 4], h[:, start : start + 4])
    whole = layer_metrics(observed(slope, h))
    for name, values in layer_metrics(chunked).items():
        assert torch.allclose(values, whole[name])


def test_a_unit_of_several_pieces_is_alive_while_one_piece_is() -> None:
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
