"""What the shell offers after TAB, and, where the shells are here, that it does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actbench.cli.completion import completions
from tests.support import actbench

SHELLS = {  # a shell without a user's files -> its words, and how it prints completions of a line
    "fish": ["fish", "--no-config", "-c", "actbench -sc install=fish | source; complete -C '{line}'"],
    "bash": ["bash", "--norc", "-c", (
        'eval "$(actbench -sc install=bash)"; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; '
        "read -ra COMP_WORDS <<< \"$COMP_LINE\"; COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); hydra_bash_completion; "
        'printf "%s\\n" "${{COMPREPLY[@]}}"'
    )],
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected", "by_hydra"),
    [
        ("actbench com", ["compare"], False),
        ("actbench compare lang", ["language"], True),
        ("actbench compare language lang", [], True),
        ("actbench compare --dr", ["--dry-run"], False),
        ("actbench sweep activation=", [], True),
        ("actbench list arch", ["architectures"], False),
        ("actbench options opt", ["optimizer"], False),
        ("actbench activations swig", ["swiglu"], False),
        ("actbench data c", ["check"], False),
        ("actbench nosuch x", [], False),
        ("actbench figure m", ["mine"], False),
        ("actbench", [], False),
    ],
)
def test_the_last_word_of_a_line(line: str, expected: list[str], by_hydra: bool, own_folder: Path) -> None:
    Path("results/mine").mkdir(parents=True)
    Path("results/mine/runs.csv").touch()
    assert completions(line) == (expected, by_hydra)


def test_a_script_for_zsh_begins_with_what_makes_it_understand_that_for_bash(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert actbench("-sc", "install=zsh") == 0
    out = capsys.readouterr().out
    assert out.index("bashcompinit") < out.index("complete -o nospace")


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("actbench com", "compare"),
        ("actbench compare quick", "quickstart"),
        ("actbench sweep optimizer.l", "optimizer.lr="),
        ("actbench sweep activation=gegl", "activation=geglu"),
    ],
)
def test_a_shell_completes_a_line(shell: str, line: str, expected: str, own_folder: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    words = [word.format(line=line) for word in SHELLS[shell]]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=120)
    assert done.stdout.split() == [expected], done.stderr
