"""The keys of conf/ with their defaults, meanings and allowed values: from its files and the schema."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from actbench.activations.table import TABLE
from actbench.errors import UsageError, nearest_names
from actbench.experiment.command import CommandSettings
from actbench.experiment.overrides import GROUPS
from actbench.experiment.questions import shipped
from actbench.experiment.schema import RunSettings
from actbench.experiment.validation import as_yaml, wanted_at

_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):[^#]*(?:# (?P<comment>.*))?")
_MISSING = "???"  # of OmegaConf: each choice gives the value


@dataclass(frozen=True)
class Option:
    """A dotted key, its default as YAML writes it, what it may be, and what it means; where null stands for what."""

    key: str
    default: str
    allowed: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """Keys that these choices of a group have; choices: empty for those of all."""

    choices: tuple[str, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Group:
    """A group of conf/: its default choice, all choices with what they are, and its keys."""

    name: str
    default: str
    choices: Mapping[str, str]
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class _File:
    """A file of conf/: the comment at its top, and of each dotted key its value and its comment."""

    summary: str
    values: Mapping[str, Any]
    comments: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The name of the settings that it fills in, the same for `mlp` and `mlp_small`; empty where there is one."""
        return str(self.values.get("name", ""))


def option_groups() -> tuple[Group, ...]:
    """All groups, in the order of conf/config.yaml."""
    return tuple(map(option_group, GROUPS))


@cache
def option_group(name: str) -> Group:
    """A group by name. Raises UsageError for an unknown one."""
    if name not in GROUPS:
        raise UsageError(f"no group {name}{nearest_names(name, GROUPS)}")
    config = _read(shipped("conf") / "config.yaml")
    default = next(line[name] for line in config.values["defaults"] if name in line)
    files = {path.stem: _read(path) for path in sorted((shipped("conf") / name).glob("*.yaml"))}
    choices = {choice: file.summary for choice, file in files.items()}
    if name == "activation":
        choices = {choice: choices.get(choice) or TABLE[choice].formula for choice in (*TABLE, *choices)}
        files = {choice: files[choice] for choice in choices if choice in files}
    files = dict(sorted(files.items(), key=lambda item: item[0] != default))
    shared = [key.removeprefix(f"{name}.") for key in config.values if key.startswith(f"{name}.")]
    shared = [key for key in shared if key != "name"]
    sections = [Section((), tuple(_shared_option(name, key, config, files) for key in shared))] if shared else []
    kinds: dict[str, dict[str, _File]] = {}
    for choice, file in files.items():
        kinds.setdefault(file.kind or choice, {})[choice] = file
    for own in kinds.values():
        keys = dict.fromkeys(key for file in own.values() for key in file.values)
        rest = [key for key in keys if key not in (*shared, "name", "defaults")]
        if rest:
            sections.append(Section(tuple(own), tuple(_option(name, key, own) for key in rest)))
    return Group(name, default, {default: choices[default], **choices}, tuple(sections))


def find_options(word: str) -> tuple[Group, tuple[Section, ...]]:
    """The group of GROUP or GROUP.KEY with those sections that have the key, and it alone. Raises UsageError."""
    name, _, key = word.partition(".")
    if name not in GROUPS:
        known = [option.key for group in option_groups() for own in group.sections for option in own.options]
        raise UsageError(f"no group or key {word}{nearest_names(word, [*GROUPS, *known])}")
    group = option_group(name)
    if not key:
        return group, group.sections
    found = tuple(
        Section(own.choices, options)
        for own in group.sections
        if (options := tuple(o for o in own.options if o.key == word or o.key.startswith(f"{word}.")))
    )
    if not found:
        raise UsageError(f"no key {word}{nearest_names(word, [o.key for own in group.sections for o in own.options])}")
    return group, found


def choices_with(key: str) -> list[str]:
    """The choices of a group that have a dotted key, where not all have it; empty for an unknown key."""
    name = key.partition(".")[0]
    sections = option_group(name).sections if name in GROUPS else ()
    return [choice for own in sections if any(o.key == key for o in own.options) for choice in own.choices]


def _shared_option(group: str, key: str, config: _File, files: Mapping[str, _File]) -> Option:
    """A key that conf/config.yaml gives to all choices, with the values of the choices that differ from it."""
    path = f"{group}.{key}"
    value = config.values[path]
    own = {choice: file.values[key] for choice, file in files.items() if file.values.get(key, value) != value}
    kind = next((file.kind for file in files.values() if file.kind), "")
    usual = [] if value == _MISSING else [_text(value)]
    return Option(
        path, "; ".join([*usual, *_by_choice(own)]), _allowed(group, kind, key), config.comments.get(path, "")
    )


def _option(group: str, key: str, files: Mapping[str, _File]) -> Option:
    """A key of choices that are of one kind; what it means is said in the file of the first that says so."""
    values = {choice: file.values[key] for choice, file in files.items() if key in file.values}
    first = next(iter(values.values()))
    others = {choice: value for choice, value in values.items() if value != first}
    kind = next(iter(files.values())).kind
    meaning = next((file.comments[key] for file in files.values() if file.comments.get(key)), "")
    return Option(f"{group}.{key}", "; ".join([_text(first), *_by_choice(others)]), _allowed(group, kind, key), meaning)


def _by_choice(values: Mapping[str, Any]) -> list[str]:
    """`a, b: 1` of the choices with one value."""
    choices: dict[str, list[str]] = {}
    for choice, value in values.items():
        choices.setdefault(_text(value), []).append(choice)
    return [f"{', '.join(names)}: {text}" for text, names in choices.items()]


def _allowed(group: str, kind: str, key: str) -> str:
    """What the schema allows; kind: the name of the settings."""
    model = RunSettings if group in RunSettings.model_fields else CommandSettings
    return wanted_at(model, (group, *key.split(".")), kind)


def _text(value: Any) -> str:
    """A value as the command line takes it."""
    text = str(as_yaml(value))
    return re.sub(r"^\$\{(.*)\}$", r"that of \1", text)


def _read(path: Path) -> _File:
    content: Any = OmegaConf.to_container(OmegaConf.load(path))
    summary, comments = _comments(path.read_text(encoding="utf-8").splitlines())
    return _File(summary, _flat(content), comments)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def _comments(lines: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The comment at the top of a file, and those of its dotted keys, in their line or above it."""
    comments: dict[str, str] = {}
    above: list[str] = []
    summary = ""
    parents: list[str] = []
    for line in lines:
        if line.startswith("# "):
            above.append(line.removeprefix("# "))
        elif found := _KEY.match(line):
            parents = [*parents[: len(found["indent"]) // 2], found["key"]]
            if not comments and not summary and found["key"] in ("name", "defaults"):
                summary, above = " ".join(above), []
            comments[".".join(parents)] = found["comment"] or " ".join(above)
            above = []
        elif not line and not comments:
            summary, above = " ".join(above), []
    return summary, comments
