"""What `actbench options` knows of conf/: complete, and true."""

import re

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from actbench.activations.table import TABLE
from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.options import choices_with, find_options, option_group, option_groups
from actbench.experiment.overrides import GROUPS
from actbench.experiment.questions import shipped

OPTIONS = [(group.name, own.choices, option) for group in option_groups() for own in group.sections
           for option in own.options]  # fmt: skip


@pytest.mark.parametrize(("group", "choices", "option"), OPTIONS, ids=[option.key for _, _, option in OPTIONS])
def test_every_key_has_a_meaning_and_what_it_may_be(group: str, choices: tuple[str, ...], option) -> None:  # type: ignore[no-untyped-def]
    assert option.meaning
    assert option.allowed or option.key == "optimizer.betas"  # short for two keys


def test_every_key_of_every_file_is_an_option() -> None:
    known = {option.key for _, _, option in OPTIONS}
    for path in shipped("conf").glob("*/*.yaml"):
        for key, value in yaml.safe_load(path.read_text()).items():
            if key not in ("name", "defaults") and not isinstance(value, dict):
                assert f"{path.parent.name}.{key}" in known
    assert {"execution.slurm.partition", "execution.ray.address", "training.evaluate_every"} <= known


def test_every_choice_says_what_it_is() -> None:
    for group in option_groups():
        for choice, text in group.choices.items():
            assert text or len(group.choices) == 1, f"conf/{group.name}/{choice}.yaml begins with no comment"
    assert set(option_group("activation").choices) > set(TABLE)


@pytest.mark.parametrize("group", ["architecture", "optimizer", "training", "protocol"])
def test_the_defaults_are_those_that_are_composed(group: str) -> None:
    found = option_group(group)
    for choice in found.choices:
        composed = compose_grid([f"{group}={choice}"])
        settings = getattr(composed.runs[0] if hasattr(composed.runs[0], group) else composed.command, group)
        for own in found.sections:
            for option in own.options:
                key = option.key.removeprefix(f"{group}.")
                value = getattr(settings, key, None)
                if (own.choices and choice not in own.choices) or value is None or "that of" in option.default:
                    continue
                default = OverridesParser.create().parse_override(f"x={_of_choice(option.default, choice)}").value()
                assert default is None or default == (list(value) if isinstance(value, tuple) else value), option.key


def _of_choice(default: str, choice: str) -> str:
    """The default of a choice in `2; a, b: 3`."""
    usual, *others = default.split("; ")
    for own in others:
        names, _, value = own.rpartition(": ")
        if choice in names.split(", "):
            return value
    return usual


def test_a_group_and_a_key_are_found() -> None:
    group, sections = find_options("optimizer.lr")
    assert group.default == "adam"
    assert sections[0].choices == ("adam",)
    assert {option.key for own in sections for option in own.options} == {"optimizer.lr"}
    assert find_options("training")[1] == option_group("training").sections
    nested = find_options("execution.slurm")[1]
    assert "execution.slurm.memory" in {option.key for own in nested for option in own.options}


@pytest.mark.parametrize(
    ("word", "near"),
    [("lr", "optimizer.lr"), ("epochs", "training.epochs"), ("optimizer.rate", "optimizer"),
     ("activations", "activation"), ("batchsize", "training.batch_size"), ("protocol.seed", "protocol.seeds")],
)  # fmt: skip
def test_an_unknown_word_names_what_is_near(word: str, near: str) -> None:
    with pytest.raises(UsageError, match=re.escape(near)):
        find_options(word)


@pytest.mark.parametrize(
    ("override", "near"),
    [("lr=0.1", "optimizer.lr"), ("epochs=3", "training.epochs"), ("batch_size=8", "training.batch_size"),
     ("learning_rates=[0.1]", "protocol.learning_rates"), ("width=8", "architecture.width")],
)  # fmt: skip
def test_an_unknown_key_on_the_command_line_names_that_of_another_group(override: str, near: str) -> None:
    with pytest.raises(UsageError, match=re.escape(near)):
        compose_grid([override])


def test_a_key_of_another_choice_names_the_choices_that_have_it() -> None:
    with pytest.raises(UsageError, match=r"architecture\.heads: only decoder, .*transformer"):
        compose_grid(["architecture=mlp", "architecture.heads=2"])
    assert choices_with("training.epochs") == ["default"]
    assert choices_with("nosuch.key") == choices_with("training.nosuch") == []


def test_all_groups_are_there() -> None:
    assert tuple(group.name for group in option_groups()) == GROUPS
