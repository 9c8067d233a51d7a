"""The protocol of a comparison: how grids of rates grow, which rate is chosen, what is rejected."""

import pytest

from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import check_grid, choose_rate, grown_rates, learning_rates


def test_grids_grow_at_the_ends_that_any_activation_of_the_task_chose() -> None:
    grid = compose_grid(
        ["architecture=mlp,cnn", "activation=relu,tanh,gelu", "protocol.learning_rates=[0.01,0.1,0.03]"]
    )
    names = [(run.architecture.name, run.activation.name) for run in grid.runs]
    chosen = {("mlp", "relu"): 0.1, ("mlp", "tanh"): 0.03, ("cnn", "gelu"): 0.01, ("cnn", "tanh"): 0.1}
    grown = grown_rates(grid.runs, grid.command.protocol, [chosen.get(name, 0.03) for name in names])
    rates = dict(zip(names, grown, strict=True))
    for name in ("relu", "tanh", "gelu"):
        assert rates["mlp", name] == pytest.approx((0.333333,))  # 0.1 * 0.1 / 0.03
        assert rates["cnn", name] == pytest.approx((0.00333333, 0.333333))


@pytest.mark.parametrize(("rates", "chosen"), [("[0.01,0.1,1]", 0.1), ("[0.01]", 0.01)])
def test_a_grid_of_one_rate_or_with_inner_choices_stays(rates: str, chosen: float) -> None:
    grid = compose_grid(["activation=relu,tanh", f"protocol.learning_rates={rates}"])
    assert grown_rates(grid.runs, grid.command.protocol, [chosen, chosen]) == [(), ()]


def test_rates_are_multiples_of_the_optimizers_own_unless_named() -> None:
    grid = compose_grid(["optimizer.lr=0.002"])
    assert learning_rates(grid.runs[0], grid.command.protocol) == (0.0002, 0.0006, 0.002, 0.006, 0.02)
    grid = compose_grid(["protocol.learning_rates=[0.5,1]"])
    assert learning_rates(grid.runs[0], grid.command.protocol) == (0.5, 1.0)


def test_the_rate_of_the_highest_mean_accuracy_is_chosen_and_among_equals_that_of_the_lowest_loss() -> None:
    def row(lr: float, accuracy: float | None, loss: float | None) -> dict[str, object]:
        return {"lr": lr, "val_accuracy": accuracy, "val_loss": loss}

    assert choose_rate([row(0.1, 0.9, 1), row(0.1, 0.7, 1), row(0.2, 0.85, 1), row(0.2, 0.85, 1)]) == 0.2
    assert choose_rate([row(0.1, 0.9, 0.3), row(0.2, 0.9, 0.2)]) == 0.2
    assert choose_rate([row(0.1, 1.0, 0.1), row(0.1, None, None), row(0.2, 0.6, 9), row(0.2, 0.6, 9)]) == 0.2


@pytest.mark.parametrize("line", ["optimizer.lr=0.1,0.2", "seed=0,1", "protocol.tuning_seeds=1001"])
def test_a_grid_over_what_the_protocol_varies_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match=line.partition("=")[0]):
        check_grid(compose_grid([line]))
