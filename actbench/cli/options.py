"""`actbench options` and `actbench list`: what can be chosen and set."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from actbench.cli.activations import show_activations
from actbench.commands.terminal import fitted_table
from actbench.errors import UsageError, nearest_names
from actbench.experiment.options import Group, Section, find_options, option_group, option_groups
from actbench.experiment.questions import experiment_names, load_experiment

_WIDTH = 100  # characters, of a file or a pipe; a narrower terminal has no room for a table of keys
_INDENT = (0, 0, 0, 4)


ALONE = {  # keys without a group: default and meaning
    "seed": ("0", "a whole number: split, data order and initial draws"),
    "name": ("null", "of the folder in results/ and the experiment in MLflow; null: the experiment's, sweep or train"),
}


def show_options(words: Sequence[str]) -> int:
    """Prints all groups, or the keys of the groups GROUP, or keys GROUP.KEY. Returns the exit code."""
    names = [word.partition("=")[0] for word in words if word.partition("=")[0] not in ALONE]
    found = [find_options(name) for name in names]
    if not words:
        _print_groups(option_groups())
    if alone := [word.partition("=")[0] for word in words if word.partition("=")[0] in ALONE]:
        _print_table(("key", "default", "meaning"), [(key, *ALONE[key]) for key in alone])
    for (group, sections), word in zip(found, names, strict=True):
        _print_keys(group, sections, alone="." in word)
    return 0


def show_list(kind: str | None) -> int:
    """Prints the experiments, data sets, architectures or activations, a line each. Returns the exit code."""
    if kind is None:
        raise UsageError(f"say what: actbench list {', '.join(LISTS)}")
    if kind not in LISTS:
        raise UsageError(f"no list {kind}{nearest_names(kind, list(LISTS))}")
    return LISTS[kind]()


def _experiments() -> int:
    _print_rows({name: _question(name) for name in experiment_names()})
    _note("`actbench compare NAME` (or sweep, where it says so) answers one; a file in ./experiments/ is one of yours.")
    return 0


def _results() -> int:
    from actbench.commands.report import written_names  # pandas takes half a second
    from actbench.store.provenance import read_environment

    names = written_names()
    _print_rows({name: str(read_environment(Path("results") / name).get("command", "")) for name in names})
    _note("`actbench figure NAME`, `export NAME` and `report NAME` read one." if names else "no results here yet")
    return 0


def _question(name: str) -> str:
    """The question of an experiment, or what is wrong with its file."""
    try:
        found = load_experiment(name)
        return found.question + " (`actbench sweep`)" * (found.command == "sweep")
    except UsageError as error:
        return f"cannot be read: {error}"


def _choices(group: str) -> int:
    found = option_group(group)
    _print_rows({name: f"{text} (default)" if name == found.default else text for name, text in found.choices.items()})
    _note(f"`{group}=NAME` chooses one; `actbench options {group}` prints the keys.")
    return 0


LISTS: Mapping[str, Callable[[], int]] = {
    "experiments": _experiments,
    "datasets": lambda: _choices("dataset"),
    "architectures": lambda: _choices("architecture"),
    "activations": lambda: show_activations([], None),
    "results": _results,
}


def _print_groups(groups: Iterable[Group]) -> None:
    rows = []
    for group in groups:
        names = list(group.choices)
        text = ", ".join(names) if len(names) <= 20 else f"{len(names)}: `actbench list {group.name}s` prints them"
        rows.append((group.name, group.default, text))
    rows += [(key, *meaning) for key, meaning in ALONE.items()]
    _print_table(("group", "default", "choices"), rows)
    _note("`actbench options GROUP` or `GROUP.KEY` prints keys with default and meaning; set them by GROUP.KEY=VALUE.")


def _print_keys(group: Group, sections: Iterable[Section], alone: bool) -> None:
    """alone: without what belongs to the group as a whole."""
    console = _console()
    if not alone and len(group.choices) <= 20:
        _print_rows({f"{group.name}={name}": text for name, text in group.choices.items()})
    for section in sections:
        if section.choices and len(group.choices) > 1:
            console.print(f"\n{group.name}={','.join(section.choices)}", style="bold", highlight=False)
        elif not alone:
            console.print()
        if console.width < _WIDTH:
            for option in section.options:
                console.print(f"{option.key}={option.default}", style="bold")
                console.print(
                    Padding(f"{option.allowed}: {option.meaning}" if option.meaning else option.allowed, _INDENT)
                )
            continue
        rows = [(option.key, option.default, option.allowed, option.meaning) for option in section.options]
        _print_table(("key", "default", "allowed", "meaning"), rows)


def _print_rows(rows: Mapping[str, str]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, text)
    _console().print(table)


def _print_table(titles: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    console = _console()
    console.print(fitted_table(titles, rows, console.width))


def _console() -> Console:
    console = Console(markup=False, highlight=False)
    return console if console.is_terminal else Console(width=_WIDTH, markup=False, highlight=False)


def _note(text: str) -> None:
    _console().print(f"\n{text}")
