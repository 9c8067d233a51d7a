"""Histograms of a layer's outputs."""

import math

import torch

from actbench.metrics.histograms import counts, counts_at_once, edges


def test_outputs_are_counted_in_bins_of_a_quarter_with_open_ends() -> None:
    h = torch.tensor(
        [[-9.0, -4.125, -0.2, 0.0, 0.0, 0.125, 4.1, 4.125], [math.nan, math.inf, 1e30, 0.1, 0.1, 0.1, 0.1, 0.1]]
    )
    found = counts(h)
    assert torch.equal(counts_at_once(h), found)
    ends = edges()
    assert found.shape == (2, len(ends) - 1)
    by_low = [{low: n for low, n in zip(ends, run.tolist(), strict=False) if n} for run in found]
    assert by_low[0] == {-math.inf: 1, -4.125: 1, -0.375: 1, -0.125: 2, 0.125: 1, 3.875: 1, 4.125: 1}
    assert by_low[1] == {-0.125: 5, 4.125: 2}  # NaN is no output to count
