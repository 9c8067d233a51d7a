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
    lines = [f"{choice.parent}={choice.stem}"]
    if choice.stem == "custom":
        lines = ["activation=torch.nn.functional:mish"]
    if choice.stem == "table":
        lines.append("dataset.label=price")
    (config,) = configs(*lines)
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
        ("dataset.validation=null", "dataset.validation=null: must be given: digits needs it"),
        ("dataset.normalize=column", "dataset.normalize=column: must be channel or pixel or none for digits"),
        ("dataset.context=64", "dataset.context=64: must be null: digits takes none"),
        ("dataset.length=50", "dataset.length=50: must be null: digits takes none"),
        ("dataset.label=x", "dataset.label=x: must be null: digits takes none"),
        ("dataset.kind=regression", "dataset.kind=regression: must be null: digits takes none"),
        ("dataset.kind=ranking", "dataset.kind=ranking: must be one of classification, regression or null"),
        ("dataset.split=nanogpt", "dataset.split=nanogpt: must be null: digits takes none"),
        ("dataset.missing=median", "dataset.missing=median: must be null: digits takes none"),
        ("training.target_loss=0", "training.target_loss=0: must be a finite number above 0 or null"),
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
        ("protocol.seeds=1,2", "protocol.seeds: must be the same for all runs of a command"),
    ],
)
def test_wrong_values_are_refused_by_name(line: str, message: str, configs: Configs) -> None:
    with pytest.raises(UsageError) as caught:
        configs(line)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["dataset=text", "dataset.split=part"], "dataset.split=part: must be nanogpt or null"),
        (["dataset=text", "dataset.context=null"], "dataset.context=null: must be given: text needs it"),
        (["dataset=text", "dataset.context=1"], "dataset.context=1: must be a whole number from 2 to 4096 or null"),
        (["dataset=text", "dataset.validation=0.1"], "dataset.validation=0.1: must be null: text takes none"),
        (["dataset=text", "dataset.image_size=8"], "dataset.image_size=8: must be null: text takes none"),
        (["dataset=shakespeare", "dataset.normalize=channel"], "must be none for shakespeare"),
        (["dataset=table", "dataset.label=''"], "dataset.label=: must be a column of the table or null"),
        (["dataset=table", "dataset.label=x", "dataset.missing=null"], "dataset.missing=null: must be given"),
        (["dataset=table", "dataset.label=x", "dataset.missing=mean"], "must be one of median, error or null"),
        (["dataset=table", "dataset.label=x", "dataset.normalize=pixel"], "must be column or none for table"),
        (["dataset=wine", "dataset.label=x"], "dataset.label=x: must be null: wine takes none"),
        (["dataset=wine", "dataset.split=x"], "dataset.split=x: must be null: wine takes none"),
        (["dataset=adding", "dataset.length=3"], "dataset.length=3: must be a whole number from 4 to 1000 or null"),
        (["dataset=adding", "dataset.context=64"], "dataset.context=64: must be null: adding takes none"),
    ],
)
def test_keys_that_a_data_set_does_not_take_are_refused_by_name(
    lines: list[str], message: str, configs: Configs
) -> None:
    with pytest.raises(UsageError) as caught:
        configs(*lines)
    assert message in str(caught.value)


def test_betas_are_beta1_and_beta2_with_the_same_ids(configs: Configs) -> None:
    default, both, swept = (
        configs("optimizer=adamw"),
        configs("optimizer=adamw", "optimizer.beta1=0.8", "optimizer.beta2=0.99"),
        configs("optimizer=adamw", "optimizer.betas=[0.9,0.999],[0.8,0.99]"),
    )
    assert [point.in_id() for point in swept] == [default[0].in_id(), both[0].in_id()]
    assert "betas" not in default[0].in_id()["optimizer"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("optimizer.betas=[0.9]", "optimizer.betas=[0.9]: must be two numbers, [0.9,0.999], or null"),
        ("optimizer.betas=0.9", "optimizer.betas=0.9: must be two numbers"),
        ("optimizer.betas=[0.9,1.5]", "optimizer.beta2=1.5: must be a finite number from 0, below 1"),
        ("optimizer.betas=[a,0.9]", "optimizer.beta1=a: must be a finite number"),
    ],
)
def test_wrong_betas_are_refused_by_name(line: str, message: str, configs: Configs) -> None:
    with pytest.raises(UsageError) as caught:
        configs("optimizer=adamw", line)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["architecture.heads=3"], "architecture.heads=3: must be a divisor of the width, 128"),
        (["architecture.norm=batch"], "architecture.norm=batch: must be one of none, layer, rms"),
        (["architecture.position=rope", "architecture.width=132", "architecture.heads=12"], "must be such that rope"),
        (["architecture.position=sine"], "architecture.position=sine: must be one of learned, rope"),
    ],
)
def test_wrong_keys_of_a_decoder_are_refused_by_name(lines: list[str], message: str, configs: Configs) -> None:
    with pytest.raises(UsageError) as caught:
        configs("dataset=shakespeare", "architecture=decoder", *lines)
    assert message in str(caught.value)


def test_transformer_heads_must_divide_its_width(configs: Configs) -> None:
    with pytest.raises(UsageError, match="a divisor of the width, 64"):
        configs("architecture=transformer", "architecture.heads=5")
