"""Overrides are composed to a grid in Hydra's grammar."""

import itertools
from pathlib import Path

import pytest

from actbench.experiment.compose import compose_grid
from tests.support import Configs


def test_grid_is_the_product_in_the_order_of_the_overrides(configs: Configs) -> None:
    points = configs("architecture=mlp,cnn", "activation=relu,maxout", "seed=range(0,2)", "optimizer.lr=0.1,0.2")
    labels = [(p.architecture.name, p.activation.name, p.seed, p.optimizer.lr) for p in points]
    assert len(set(labels)) == 16
    assert labels[:3] == [("mlp", "relu", 0, 0.1), ("mlp", "relu", 0, 0.2), ("mlp", "relu", 1, 0.1)]
    assert {p.activation.pieces for p in points if p.activation.name == "maxout"} == {2}
    assert {p.activation.pieces for p in points if p.activation.name == "relu"} == {None}


@pytest.mark.slow
def test_products_of_groups_equal_single_compositions(configs: Configs) -> None:
    """The shortcut that composes each choice once must not be seen."""
    lines = (
        "dataset=digits,mnist",
        "architecture=mlp,transformer",
        "activation=relu,elu,torch:tanh",
        "optimizer=adam,sgd",
    )
    points = iter(configs(*lines, "training.epochs=3"))
    for dataset in ("digits", "mnist"):
        for architecture in ("mlp", "transformer"):
            for activation in ("relu", "elu", "torch:tanh"):
                for optimizer in ("adam", "sgd"):
                    (single,) = configs(
                        f"dataset={dataset}", f"architecture={architecture}", f"activation={activation}",
                        f"optimizer={optimizer}", "training.epochs=3",
                    )  # fmt: skip
                    assert next(points) == single


@pytest.mark.slow
def test_points_of_swept_scalars_equal_single_compositions(configs: Configs) -> None:
    """The shortcut that validates each group once must not be seen."""
    swept = ("activation=elu,leaky_relu", "optimizer.lr=0.1,0.2", "optimizer.eps=1e-8,1e-7", "training.steps=3,5")
    points = iter(configs(*swept, "seed=range(0,2)"))
    for values in itertools.product(*(line.partition("=")[2].split(",") for line in swept), ("0", "1")):
        keys = [line.partition("=")[0] for line in (*swept, "seed=")]
        (single,) = configs(*(f"{key}={value}" for key, value in zip(keys, values, strict=True)))
        point = next(points)
        assert point == single
        assert point.in_id() == single.in_id()


def test_points_share_the_groups_that_are_equal(configs: Configs) -> None:
    """A plan of 100,000 runs holds each distinct group once."""
    points = configs("activation=relu,gelu", "optimizer.lr=0.1,0.2", "seed=range(0,50)")
    assert len({id(point.optimizer) for point in points}) == 4  # a choice of activation has its own composed groups
    assert len({id(point.training) for point in points}) == 2


def test_later_override_of_a_key_wins(configs: Configs) -> None:
    points = configs("activation=relu,gelu,tanh", "activation=silu", "seed=1,2", "seed=5")
    assert [(p.activation.name, p.seed) for p in points] == [("silu", 5)]


def test_glob_chooses_among_the_activations(configs: Configs) -> None:
    names = {p.activation.name for p in configs("activation=glob(*glu)")}
    assert names == {"glu", "reglu", "geglu", "swiglu"}


def test_dataset_target_carries_to_training(configs: Configs) -> None:
    assert [p.training.target for p in configs("dataset=mnist", "dataset.target=0.8,0.9")] == [0.8, 0.9]


def test_config_dir_adds_choices_to_a_group(tmp_path: Path) -> None:
    (tmp_path / "architecture").mkdir()
    (tmp_path / "architecture" / "thin.yaml").write_text("name: mlp\ndepth: 9\nwidth: 8\nnorm: none\n")
    (config,) = compose_grid(["architecture=thin"], str(tmp_path)).runs
    assert config.architecture.depth == 9


def test_keys_of_the_protocol_are_no_part_of_a_run(configs: Configs) -> None:
    lines = ("protocol.seeds=12", "protocol.racing=false", "protocol.equal_time=true", "protocol.margin=0.005")
    assert configs(*lines) == configs()
    protocol = compose_grid(lines).command.protocol
    assert (protocol.seeds, protocol.racing, protocol.equal_time, protocol.margin) == (12, False, True, 0.005)
    default = compose_grid([]).command.protocol
    assert (default.seeds, default.racing, default.equal_time, default.margin) == (9, True, False, 0.01)
