"""Gradient norms and ratios by hand."""

import pytest
import torch

from actbench.metrics.gradients import gradient_norms, gradient_ratio, squares_at_once, sum_of_squares


def test_gradient_norm_is_per_run_over_all_parameters_and_over_those_of_a_layer() -> None:
    weights, slopes, rest = torch.tensor([[3.0, 0.0], [1e20, 0.0]]), torch.tensor([[4.0]]), torch.tensor([[12.0], [0]])
    both = torch.tensor([0, 1])
    whole, layers = gradient_norms([weights, slopes, rest], [both, torch.tensor([0]), both], [1, 1, None], 2)
    assert whole.tolist() == pytest.approx([13.0, 1e20])
    assert {layer: norms.tolist() for layer, norms in layers.items()} == {1: pytest.approx([5.0, 1e20])}


def test_gradient_ratio_is_the_log10_of_first_squared_over_last_squared() -> None:
    rms = [torch.tensor([1e-2, 1.0]), torch.tensor([7.0, 7.0]), torch.tensor([1.0, 1.0])]
    assert gradient_ratio(rms).tolist() == pytest.approx([-4, 0])


def test_squares_of_all_runs_at_once_are_those_run_by_run() -> None:
    values = (
        torch.randn(3, 300, 500, generator=torch.Generator().manual_seed(0))
        * torch.tensor([1, 1e20, 1e-20])[:, None, None]
    )
    torch.testing.assert_close(squares_at_once(values), sum_of_squares(values), rtol=1e-12, atol=0)
    assert squares_at_once(torch.tensor([2.0, 3.0])).tolist() == pytest.approx([4, 9])
