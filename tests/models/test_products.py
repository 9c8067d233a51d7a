"""Ways to compute a stack's linear maps and convolutions on a GPU: one function, the way chosen by measured times."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from actbench.models import products
from actbench.models.products import MARGIN, Way, choose, convolution_ways, fastest_way, linear_ways

LINEAR = ((300, 3), (300, 5, 4), (300, 4, 3))  # bias, x, weight
CONVOLUTION = ((3, 6), (3, 2, 7, 5, 4), (3, 6, 4, 3, 3))


def draws(shapes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize(
    ("ways", "shapes"), [(linear_ways(300), LINEAR), (convolution_ways(1), CONVOLUTION)], ids=["linear", "convolution"]
)
def test_all_ways_are_the_same_function_with_the_same_gradients(
    ways: dict[str, Way], shapes: tuple[tuple[int, ...], ...]
) -> None:
    assert len(ways) > 1
    tensors = draws(shapes)
    found = []
    for way in ways.values():
        out = way(*tensors)
        found.append((out, *torch.autograd.grad(out.square().sum(), tensors)))
    for others in found[1:]:
        for ours, theirs in zip(others, found[0], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("times", "name"),
    [
        ({"all": 14.0, "256 runs": 9.0, "32 runs": 2.0, "4 runs": 1.0}, "4 runs"),
        ({"all": 1.0, "256 runs": 9.0, "32 runs": 2.0, "4 runs": 14.0}, "all"),
        ({"all": 1.0, "256 runs": 1.01 / MARGIN, "32 runs": 2.0, "4 runs": 2.0}, "all"),  # a gain within the margin
        ({"all": 1.0, "256 runs": 0.99 / MARGIN, "32 runs": 2.0, "4 runs": 2.0}, "256 runs"),
    ],
)
def test_the_fastest_way_is_taken_where_it_is_faster_by_the_margin(times: dict[str, float], name: str) -> None:
    waiting = iter(times.values())

    def clock(call: Callable[[], object]) -> float:
        call()
        return next(waiting)

    assert choose(linear_ways(300), draws(LINEAR), (True, False, True), clock) == name


def test_a_shape_is_measured_once_and_another_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def measured(ways: Any, tensors: list[Tensor], needed: Any, clock: Any) -> str:
        asked.append(tensors[0].shape)
        return "4 runs"

    class OnCuda(Tensor):
        device = torch.device("cuda")

    monkeypatch.setattr(products, "choose", measured)
    monkeypatch.setattr(products, "_chosen", {})
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    ways = linear_ways(300)
    tensors = [tensor.detach().as_subclass(OnCuda) for tensor in draws(LINEAR)]
    assert [fastest_way("linear", ways, tensors) is ways["4 runs"] for _ in range(2)] == [True, True]
    assert len(asked) == 1
    fastest_way("linear", ways, [tensors[0][:5], *tensors[1:]])
    assert len(asked) == 2
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert fastest_way("linear", ways, [tensors[0][:6], *tensors[1:]]) is ways["all"]  # a capture measures nothing
    assert len(asked) == 2
