"""The protocol of a comparison: how the grid of learning rates grows."""

import pytest

from actbench.experiment.protocol import grown_rates
from tests.support import Configs


def test_a_grid_grows_for_all_activations_of_a_task_at_each_end_that_one_of_them_chose(configs: Configs) -> None:
    points = configs("architecture=mlp,cnn", "activation=relu,tanh,gelu", "protocol.learning_rates=[0.01,0.1,0.03]")
    names = [(point.architecture.name, point.activation.name) for point in points]
    chosen = {("mlp", "relu"): 0.1, ("mlp", "tanh"): 0.03, ("cnn", "gelu"): 0.01, ("cnn", "tanh"): 0.1}
    grown = dict(zip(names, grown_rates(points, [chosen.get(name, 0.03) for name in names]), strict=True))
    for name in ("relu", "tanh", "gelu"):
        assert grown["mlp", name] == pytest.approx((0.333333,))  # 0.1 * 0.1 / 0.03
        assert grown["cnn", name] == pytest.approx((0.00333333, 0.333333))


def test_a_grid_without_a_chosen_end_or_with_one_rate_does_not_grow(configs: Configs) -> None:
    points = configs("activation=relu,tanh", "protocol.learning_rates=[0.01,0.1,1]")
    assert grown_rates(points, [0.1, 0.1]) == [(), ()]
    points = configs("activation=relu,tanh", "protocol.learning_rates=[0.01]")
    assert grown_rates(points, [0.01, 0.01]) == [(), ()]
