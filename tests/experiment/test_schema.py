"""Every YAML builds; every wrong value is refused by name; the grid is Hydra's grammar."""

from pathlib import Path

import pytest

from actbench.analysis.hypotheses import check_hypotheses
from actbench.data.datasets import ImageData, PreparedData
from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import learning_rates, tuning_settings
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import make_run
from actbench.store.files import runs_frame
from actbench.training.results import missing_result
from actbench.training.stacks import Stack, pack_stacks
from tests.support import ROOT, Configs, results

CHOICES = sorted(
    path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml") if path.name != "config.yaml"
)
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_yaml_builds_a_config(choice: Path, configs: Configs) -> None:
    line = f"{choice.parent}={choice.stem}"
    if choice.stem == "custom":
        line = "activation=torch.nn.functional:mish"
    (config,) = configs(line)
    assert config.in_id()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_trains_for_one_step(path: Path, digits: PreparedData, digits_data: ImageData) -> None:
    experiment = load_experiment(str(path))
    assert experiment.question.endswith("?")
    grid = compose_grid([*experiment.overrides, "dataset=digits", "training.stack_size=100"])
    protocol = grid.command.protocol
    planned = [
        make_run(settings, digits, "tune")
        for run in grid.runs
        for settings in tuning_settings(run, protocol, learning_rates(run, protocol))
    ]
    check_hypotheses(experiment.hypotheses, runs_frame([missing_result(run, "cpu") for run in planned]))
    one_step = [run.model_copy(update={"training": run.training.model_copy(update={"steps": 1})}) for run in grid.runs]
    points = list({repr(run.in_id()): run for run in one_step}.values())
    for stack in pack_stacks([make_run(point, digits, "sweep") for point in points], "cpu", 1, 0):
        assert isinstance(stack, Stack)
        assert {result.row["status"] for result in results(stack.runs, digits_data).values()} == {"finished"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("activation=rellu", "near: relu"),
        ("optimizer.rate=1", "unknown key optimizer.rate"),
        ("+optimizer.rate=1", "unknown key optimizer.rate"),
        ("nonsense=1", "unknown key nonsense"),
        ("optimizer.lr=-1", "optimizer.lr=-1: must be above 0"),
        ("optimizer.lr=fast", "optimizer.lr=fast: must be a finite number"),
        ("optimizer.lr=inf", "must be a finite number"),
        ("training.batch_size=0", "training.batch_size=0: must be above 0"),
        ("training.batch_size=1.5", "must be a whole number"),
        ("training.augment=1", "must be true or false"),
        ("training.stack_size=many", "must be a whole number or auto"),
        ("training.schedule=step", "must be one of constant, cosine, linear"),
        ("architecture.norm=group", "must be one of none, batch, layer"),
        ("activation.slope=0.1", "relu does not take it"),
        ("protocol.learning_rates=[0.1,-1]", "protocol.learning_rates=-1: must be above 0"),
        ("seed=-1", "seed=-1"),
        ("seed=range(0,", "not Hydra's grammar"),
        ("dataset.validation=1", "dataset.validation=1: must be below 1"),
        ("dataset.image_size=4", "dataset.image_size=4: must be 8 or more"),
        ("architecture.name=foo", "architecture.name=foo: must be one of mlp, cnn, transformer"),
        ("architecture.width=100000", "must be at most 65536"),
        ("protocol.learning_rates=[]", "must be not empty"),
        ("protocol.seeds=1,2", "protocol must be the same for all runs of a command"),
    ],
)
def test_wrong_values_are_refused_by_name(line: str, message: str, configs: Configs) -> None:
    with pytest.raises(UsageError) as caught:
        configs(line)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_transformer_heads_must_divide_its_width(configs: Configs) -> None:
    with pytest.raises(UsageError, match="a divisor of the width, 64"):
        configs("architecture=transformer", "architecture.heads=5")


def test_grid_is_the_product_in_the_order_of_the_overrides(configs: Configs) -> None:
    points = configs("architecture=mlp,cnn", "activation=relu,maxout", "seed=range(0,2)", "optimizer.lr=0.1,0.2")
    labels = [(p.architecture.name, p.activation.name, p.seed, p.optimizer.lr) for p in points]
    assert len(set(labels)) == 16
    assert labels[:3] == [("mlp", "relu", 0, 0.1), ("mlp", "relu", 0, 0.2), ("mlp", "relu", 1, 0.1)]
    assert {p.activation.pieces for p in points if p.activation.name == "maxout"} == {2}
    assert {p.activation.pieces for p in points if p.activation.name == "relu"} == {None}


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


def test_later_override_of_a_key_wins(configs: Configs) -> None:
    points = configs("activation=relu,gelu,tanh", "activation=silu", "seed=1,2", "seed=5")
    assert [(p.activation.name, p.seed) for p in points] == [("silu", 5)]


def test_glob_chooses_among_the_activations(configs: Configs) -> None:
    names = {p.activation.name for p in configs("activation=glob(*glu)")}
    assert names == {"glu", "reglu", "geglu", "swiglu"}


def test_dataset_target_carries_to_training(configs: Configs) -> None:
    assert [p.training.target for p in configs("dataset=mnist", "dataset.target=0.8,0.9")] == [0.8, 0.9]


def test_own_config_folder(tmp_path: Path) -> None:
    (tmp_path / "architecture").mkdir()
    (tmp_path / "architecture" / "thin.yaml").write_text("name: mlp\ndepth: 9\nwidth: 8\nnorm: none\n")
    (config,) = compose_grid(["architecture=thin"], str(tmp_path)).runs
    assert config.architecture.depth == 9


def test_experiment_with_unknown_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("question: Why?\noverride: []\n")
    with pytest.raises(UsageError, match="the keys question, source, overrides"):
        load_experiment(str(path))
    with pytest.raises(UsageError, match=r"has no overrides under full"):
        load_experiment("quickstart_full")
    assert "dataset=mnist" in load_experiment("gelu_full").overrides
    with pytest.raises(UsageError, match="no experiment 'quickstrt'; near: quickstart"):
        load_experiment("quickstrt")
