"""Completion in the shell: commands, options and names here, overrides by Hydra, whose script the shell runs."""

from collections.abc import Callable, Mapping

from actbench.cli.parser import commands_of, make_parser

_OF_OVERRIDES = ("compare", "sweep", "train", "cost")  # commands whose further words Hydra completes
ZSH = """\
autoload -Uz compinit bashcompinit
(( $+functions[compdef] )) || compinit
bashcompinit
"""  # before Hydra's script for bash, which zsh then understands


def completions(line: str) -> tuple[list[str], bool]:
    """Words that may stand in the place of a line's last one, and whether Hydra completes overrides there as well.

    line: what is typed before the cursor, from the program's name on; it ends in a space where a word begins.
    """
    *words, last = line.split(" ")
    words = [word for word in words[1:] if word]
    commands = commands_of(make_parser())
    if not words:
        return [name for name in commands if name.startswith(last)], False
    if (parser := commands.get(words[0])) is None:
        return [], False
    if last.startswith("-"):
        known = [option for action in parser._actions for option in action.option_strings]
        return [option for option in known if option.startswith(last)], False
    names = [] if len(words) > 1 or "=" in last else _NAMES.get(words[0], list)()
    return [name for name in names if name.startswith(last)], words[0] in _OF_OVERRIDES


def _experiments() -> list[str]:
    from actbench.experiment.questions import experiment_names

    return experiment_names()


def _results() -> list[str]:
    from actbench.commands.report import written_names  # pandas takes half a second

    return written_names()


def _lists() -> list[str]:
    from actbench.cli.options import LISTS

    return list(LISTS)


def _groups() -> list[str]:
    from actbench.experiment.overrides import GROUPS

    return list(GROUPS)


def _activations() -> list[str]:
    from actbench.activations.table import TABLE

    return list(TABLE)


_NAMES: Mapping[str, Callable[[], list[str]]] = {  # of what follows a command
    "compare": _experiments, "sweep": _experiments, "report": _results, "figure": _results, "export": _results,
    "table": _results,
    "list": _lists, "options": _groups, "activations": _activations, "data": lambda: ["fetch", "check"],
}  # fmt: skip
