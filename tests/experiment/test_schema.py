"""Every YAML file of a group builds settings; every wrong value is refused by name."""

from pathlib import Path

import pytest

from actbench.errors import UsageError
from tests.support import ROOT, Configs

CHOICES = sorted(
    path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml") if path.name != "config.yaml"
)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_yaml_builds_a_config(choice: Path, configs: Configs) -> None:
    line = f"{choice.parent}={choice.stem}"
    if choice.stem == "custom":
        line = "activation=torch.nn.functional:mish"
    (config,) = configs(line)
    assert config.in_id()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("activation=rellu", "near: relu"),
        ("optimizer.rate=1", "unknown key optimizer.rate; near: optimizer."),
        ("+optimizer.rate=1", "unknown key optimizer.rate"),
        ("nonsense=1", "unknown key nonsense"),
        ("optimizer.lr=-1", "optimizer.lr=-1: must be a finite number above 0"),
        ("optimizer.lr=fast", "optimizer.lr=fast: must be a finite number"),
        ("optimizer.lr=inf", "must be a finite number"),
        ("training.batch_size=0", "training.batch_size=0: must be a whole number above 0"),
        ("training.batch_size=1.5", "must be a whole number"),
        ("training.augment=1", "must be true or false"),
        ("training.stack_size=many", "must be a whole number above 0 or auto"),
        ("training.dropout=1", "training.dropout=1: must be a finite number from 0, below 1"),
        ("training.warmup=2", "training.warmup=2: must be a number from 0 to 1, or null"),
        ("training.schedule=step", "must be one of constant, cosine, linear"),
        ("architecture.norm=group", "must be one of none, batch, layer"),
        ("activation.slope=0.1", "relu does not take it"),
        ("protocol.learning_rates=[0.1,-1]", "must be a list of numbers above 0, [0.01,0.1], or null"),
        ("seed=-1", "seed=-1"),
        ("seed=range(0,", "not Hydra's grammar"),
        ("dataset.validation=1", "dataset.validation=1: must be a finite number above 0, below 1"),
        ("dataset.image_size=4", "dataset.image_size=4: must be a whole number from 8 to 1024 or null"),
        ("architecture.name=foo", "architecture.name=foo: must be one of mlp, cnn, transformer"),
        ("architecture.width=100000", "must be a whole number above 0, at most 65536"),
        ("protocol.learning_rates=[]", "must be a list of numbers above 0"),
        ("protocol.margin=nan", "protocol.margin=nan: must be a finite number from 0, below 1"),
        ("protocol.tuning_seeds=2", "drop it, and give their number as protocol.seeds"),
        ("protocol.seeds=0", "protocol.seeds=0: must be a whole number above 0"),
        ("protocol.racing=often", "protocol.racing=often: must be true or false"),
        ("protocol.equal_time=1", "protocol.equal_time=1: must be true or false"),
        ("protocol.baseline=rellu", "protocol.baseline=rellu"),
        ("training.measure_every=-1", "must be a number of steps, 0 for never, or null"),
        ("+foo=1", "unknown key foo; known here: dataset, architecture"),
        ("++foo.bar=1", "unknown key foo"),
        ("+training.foo=1", "unknown key training.foo; known here: epochs"),
        ("training=null", "training=null: choose one of default"),
        ('activation="re\'lu"', "no such activation; near: relu"),
        ("=1", "there is no key before ="),
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
