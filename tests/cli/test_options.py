"""`actbench options` and `actbench list` as a user sees them; and the examples of the help texts."""

import shlex

import pytest

from actbench.cli.main import main
from actbench.cli.parser import _EXAMPLES, make_parser
from actbench.experiment.compose import compose_experiment
from actbench.experiment.overrides import GROUPS
from actbench.experiment.questions import experiment_names, load_experiment


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert not err
    assert max(map(len, out.splitlines())) <= 100
    return out


def test_options_lists_groups_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "options").splitlines()
    assert [line.split()[0] for line in lines if line[:1].islower()][1:] == [*GROUPS, "seed", "name"]


def test_options_of_a_group_and_of_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert "passes through" in printed(capsys, "options", "training")
    out = printed(capsys, "options", "optimizer.lr", "architecture")
    assert "optimizer=sgd,nesterov" in out or "optimizer=nesterov,sgd" in out
    assert "for 8x8 images" in out
    assert "[0.9,0.99]" in printed(capsys, "options", "optimizer.betas")  # brackets are no markup


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    experiments = printed(capsys, "list", "experiments")
    assert all(f"{name} " in experiments for name in experiment_names())
    assert "Shakespeare" in printed(capsys, "list", "datasets")
    assert "GeLU" not in printed(capsys, "list", "architectures")
    assert "swiglu" in printed(capsys, "list", "activations")


@pytest.mark.parametrize(
    "words", [("options", "lr"), ("options", "optimizer.rate"), ("list", "dataset"), ("list",), ("options", "--all")]
)
def test_wrong_words_are_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(words)
    except SystemExit as ended:  # argparse
        code = int(str(ended.code))
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)


EXAMPLES = [line.strip().split("   ")[0] for text in _EXAMPLES.values() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_of_the_help_is_a_command(line: str) -> None:
    program, command, *words = shlex.split(line)
    assert program == "actbench"
    if "-m" in words:  # for Hydra's own application
        return
    parsed = make_parser().parse_args([command, *words])
    assert parsed.command == command
    if command in ("compare", "sweep", "train"):
        names = [word for word in parsed.words if "=" not in word]
        overrides = [word for word in parsed.words if "=" in word]
        compose_experiment(load_experiment(names[0]) if names else None, overrides)


@pytest.mark.parametrize("command", _EXAMPLES)
def test_each_command_has_examples_of_its_own(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert f"  actbench {command}" in out
    assert not [
        line for line in out.splitlines() if line.startswith("  actbench") and line.split()[1] not in (command, "-sc")
    ]
