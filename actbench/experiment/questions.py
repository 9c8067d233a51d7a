"""Experiments: a question in a YAML file, with the overrides that answer it and the hypotheses that it tests.

Those with `full`, overrides for the scale of a paper, are two: NAME, and NAME_full.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from actbench.errors import UsageError, nearest_names

Selector = Mapping[str, str | float]

DIRECTIONS = ("higher", "lower", "equal")
PHASES = ("confirm", "tune")
FULL = "_full"


@dataclass(frozen=True)
class Hypothesis:
    """The metric of runs `a` is higher than, lower than, or equal to `factor` times that of the runs `b`.

    metric: a column of runs.csv, or one of a cost; `abs(NAME)`: its size. a, b, where: which runs, by column or dotted
    key (a mere name is an activation); b may be a number. where: of both. margin: up to which difference the two are
    practically equal, in the unit of the metric. phase: confirm, or tune for every rate that was tried.
    """

    claim: str
    metric: str
    a: Selector
    b: Selector | float
    direction: str
    margin: float = 0.0
    factor: float = 1.0
    where: Selector = field(default_factory=dict)
    phase: str = "confirm"


@dataclass(frozen=True)
class Experiment:
    """A question with the overrides that answer it; the command line's overrides come after them."""

    name: str
    question: str
    source: str | None
    overrides: tuple[str, ...]
    hypotheses: tuple[Hypothesis, ...] = ()


def shipped(folder: str) -> Path:
    """conf/ or experiments/: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return package / folder if (package / folder).is_dir() else package.parent / folder


def experiment_names() -> list[str]:
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml") if path.is_file()})


def _folders() -> list[Path]:
    """The user's own experiments/ first."""
    return [folder for folder in (Path.cwd() / "experiments", shipped("experiments")) if folder.is_dir()]


def load_experiment(name: str) -> Experiment:
    """The experiment `name`, or the YAML file of that path. Raises UsageError."""
    path, full = Path(name), False
    if path.suffix not in (".yaml", ".yml"):
        full = name not in experiment_names() and name.endswith(FULL)
        name = name.removesuffix(FULL) if full else name
        found = [folder / f"{name}.yaml" for folder in _folders() if name in experiment_names()]
        found = [file for file in found if file.is_file()]
        if not found:
            raise UsageError(f"no experiment {name[:80]!r}{nearest_names(name[:80], experiment_names())}")
        path = found[0]
    if not path.is_file():
        raise UsageError(f"experiment file {path} is missing")
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except Exception as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    keys = {"question", "source", "overrides"}
    if not isinstance(content, dict) or set(content) - {"hypotheses", "full"} != keys:
        raise UsageError(
            f"{path}: an experiment has the keys question, source, overrides, and may have full and hypotheses"
        )
    for key, kinds in (("question", str), ("source", str | None)):
        if not isinstance(content[key], kinds):
            raise UsageError(f"{path}: {key} must be a text{'' if kinds is str else ' or null'}")
    for key in ("overrides", "full"):
        lines = content.get(key, [])
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise UsageError(f"{path}: {key} must be a list of texts, as on the command line")
    if full and not content.get("full"):
        raise UsageError(f"{path} has no overrides under full; without {FULL} it can be run")
    entries = content.get("hypotheses", [])
    if not isinstance(entries, list):
        raise UsageError(f"{path}: hypotheses must be a list")
    hypotheses = tuple(_hypothesis(entry, f"{path}: hypothesis {number}") for number, entry in enumerate(entries, 1))
    own = (*content["overrides"], *content["full"]) if full else tuple(content["overrides"])
    return Experiment(path.stem + FULL * full, content["question"], content["source"], own, hypotheses)


def hypotheses_to_json(hypotheses: Sequence[Hypothesis]) -> str:
    return json.dumps([asdict(hypothesis) for hypothesis in hypotheses], indent=2, ensure_ascii=False) + "\n"


def hypotheses_from_json(text: str) -> tuple[Hypothesis, ...]:
    return tuple(Hypothesis(**entry) for entry in json.loads(text))


def _hypothesis(entry: Any, place: str) -> Hypothesis:
    known = [own.name for own in fields(Hypothesis)]
    if not isinstance(entry, dict) or not {"claim", "metric", "a", "b", "direction"} <= set(entry) <= set(known):
        raise UsageError(f"{place} has the keys claim, metric, a, b, direction, and may have {', '.join(known[5:])}")
    for key in ("claim", "metric"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise UsageError(f"{place}: {key} must be a text")
    for key, allowed in (("direction", DIRECTIONS), ("phase", PHASES)):
        if key in entry and entry[key] not in allowed:
            raise UsageError(f"{place}: {key}={entry[key]!r}; take one of {', '.join(allowed)}")
    for key in ("margin", "factor"):
        if key in entry and (not _number(entry[key]) or entry[key] < 0):
            raise UsageError(f"{place}: {key}={entry[key]!r} must be a number from 0")
    if entry["direction"] == "equal" and not entry.get("margin"):
        raise UsageError(f"{place}: equal up to what? give a margin, in the unit of {entry['metric']}")
    read = {key: _selector(entry[key], f"{place}: {key}") for key in ("a", "where") if key in entry}
    b = float(entry["b"]) if _number(entry["b"]) else _selector(entry["b"], f"{place}: b")
    return Hypothesis(**{**entry, **read, "b": b})


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _selector(value: Any, place: str) -> Selector:
    if isinstance(value, str) and value:
        return {"activation": value}
    if isinstance(value, dict) and all(isinstance(key, str) and isinstance(v, str | int | float) for key, v in value.items()):  # fmt: skip  # noqa: E501
        return {key: float(v) if _number(v) else str(v) for key, v in value.items()}
    raise UsageError(f"{place} must name an activation, or runs by key: value")
