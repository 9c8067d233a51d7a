"""Checks YAML files of a user before anything is built from them."""

from pathlib import Path
from typing import Any

import yaml

from actbench.errors import UsageError

# Far above any experiment or group of settings; PyYAML reads about 200 KB/s.
LARGEST_FILE = 2**17  # bytes
MOST_VALUES = 10_000  # after each alias was replaced by what it stands for
DEEPEST = 50  # lists and mappings inside each other


def check_yaml(path: Path) -> None:
    """Raises UsageError where a file is not YAML, is too large, or is nested too deeply.

    The file is read as a stream of events, so that no alias is expanded: nine lines of aliases can stand for billions
    of values. Recursive aliases are refused.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise UsageError(f"{path}: has more than {LARGEST_FILE // 1024} KB, which is too large for settings")
    try:
        text = path.read_text(encoding="utf-8")
        problem = _problem(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (yaml.YAMLError, ValueError) as error:
        raise invalid_yaml(path, error) from error
    if problem is not None:
        raise UsageError(f"{path}: {problem}")


def _problem(text: str) -> str | None:
    """What is wrong with the size of a document; None where it is small enough."""
    sizes: dict[str, int] = {}  # values that each complete anchor stands for
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the values before it
    values = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                return f"the alias *{event.anchor} is undefined or part of what it stands for; write the values out"
            values += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, values))
            values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            _close(open_nodes, sizes, values)
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if values > MOST_VALUES:
            return f"stands for more than {MOST_VALUES:,} values; shorten it, or use fewer aliases"
        if len(open_nodes) > DEEPEST:
            return f"lists and mappings are nested more than {DEEPEST} deep; write it flatter"
    return None


def _close(open_nodes: list[tuple[str | None, int]], sizes: dict[str, int], values: int) -> None:
    anchor, before = open_nodes.pop()
    if anchor is not None:
        sizes[anchor] = values - before


def invalid_yaml(path: Path, error: Exception) -> UsageError:
    """What PyYAML or OmegaConf says of a file, as one line that names the line of the file."""
    mark: Any = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    place = f", line {mark.line + 1}" if mark is not None else ""
    return UsageError(f"{path} is not valid YAML: {' '.join(str(problem).split())}{place}")
