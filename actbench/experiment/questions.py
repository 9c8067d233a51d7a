"""Experiments: a question in a YAML file, with the overrides that answer it and the hypotheses that it tests.

An experiment with `full`, overrides for the scale of a paper, has two names: NAME, and NAME_full.
"""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from omegaconf import OmegaConf
from pydantic import AfterValidator, Field, PlainValidator, Strict, model_validator

from actbench.errors import UsageError, nearest_names, printable
from actbench.experiment.validation import Settings, validated
from actbench.experiment.yaml_files import check_yaml, invalid_yaml

FULL = "_full"
_LONGEST_NAME = 200  # bytes: file systems take 255, of which the suffixes of files and of FULL need some


def _selector(value: Any) -> dict[str, float | str]:
    """Converts a value to a selector by column or dotted key; a bare name selects an activation's runs."""
    if isinstance(value, str) and value:
        return {"activation": printable(value)}
    if isinstance(value, dict) and all(isinstance(part, str | float | int) for part in (*value, *value.values())):
        return {
            printable(str(key)): float(part) if _is_number(part) else printable(str(part))
            for key, part in value.items()
        }
    raise ValueError("must name an activation, or runs by key: value")


def _number_or_selector(value: Any) -> float | dict[str, float | str]:
    return float(value) if _is_number(value) else _selector(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return printable(text)


Text = Annotated[str, AfterValidator(_not_blank)]
Selector = Annotated[dict[str, float | str], PlainValidator(_selector)]
Lines = Annotated[tuple[str, ...], Strict(False), Field(description="a list of texts, as on the command line")]


class Hypothesis(Settings):
    """The metric of runs `a` is higher than, lower than, or equal to `factor` times that of the runs `b`.

    metric: a column of runs.csv, or one of a cost; `score`: the task's test score, of accuracy, R² or minus bits per
    character; `abs(NAME)`: its absolute value; `any(NAME)`: whether it is above 0, a share of runs. a, b, where: which
    runs, by column or dotted key (a bare name is an activation); b may be a number. where: of both. margin: up to which
    difference the two are equal, in the unit of the metric; that of the score and of the test accuracy is the
    protocol's. rates: at which learning rate it is asked: the one chosen by validation score, the fastest to the target
    among those that were not raced out, or every one that was tried. source: the publication of this claim, the
    experiment's where its file gives none. kind: definition: true by how the metric is defined; cost: of nanoseconds.
    testable: whether this design can test what the source
    says; None: not said. reason: why it can do so in part or not at all.
    """

    claim: Text
    metric: Text
    a: Selector
    b: Annotated[float | dict[str, float | str], PlainValidator(_number_or_selector)]
    direction: Literal["higher", "lower", "equal"]
    margin: Annotated[float, Field(ge=0)] = 0.0
    factor: Annotated[float, Field(ge=0)] = 1.0
    where: Selector = Field(default_factory=dict)
    rates: Literal["chosen", "fastest", "every"] = "chosen"
    source: Text | None = None
    kind: Literal["claim", "definition", "cost"] = "claim"
    testable: Literal["yes", "in part", "no"] | None = None
    reason: Annotated[str, AfterValidator(printable)] = ""

    @model_validator(mode="before")
    @classmethod
    def _no_phase(cls, keys: Any) -> Any:
        if isinstance(keys, dict) and "phase" in keys:
            instead = (
                "rates: every, with protocol.racing=false" if keys["phase"] == "tune" else "rates: chosen, or nothing"
            )
            raise UsageError(f"phase: {keys['phase']}: there are no phases any more; write {instead}")
        return keys

    @model_validator(mode="after")
    def _says_why_not(self) -> Self:
        if self.testable in ("in part", "no") and not self.reason.strip():
            raise UsageError(f"testable: {self.testable}: say why in reason")
        return self


class Experiment(Settings):
    """A question with the overrides that answer it; the command line's overrides come after them.

    source: publication that makes the claim in question. command: that answers it. tasks: of a suite, overrides that
    follow the common ones, each of which spans a grid of its own; together they are the experiment's. full: overrides
    for the scale of a paper.
    """

    name: str
    question: Text
    source: Text | None
    overrides: Lines
    command: Literal["compare", "sweep"] = "compare"
    tasks: Annotated[tuple[Lines, ...], Strict(False)] = ()
    full: Lines = ()
    hypotheses: tuple[Hypothesis, ...] = ()


def shipped(folder: str) -> Path:
    """conf/ or experiments/: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return package / folder if (package / folder).is_dir() else package.parent / folder


def experiment_names() -> list[str]:
    """Names of all experiments of the current folder and of the package."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml") if path.is_file()})


def _folders() -> list[Path]:
    """The folders of experiments, the user's own first."""
    return [folder for folder in (Path.cwd() / "experiments", shipped("experiments")) if folder.is_dir()]


def load_experiment(name: str) -> Experiment:
    """The experiment of a name, or of the YAML file at a path. Raises UsageError."""
    path, full = _file(name)
    check_folder_name(
        path.stem, f"experiment file {str(path)[:80]!r}: its name is that of the folder in results/ too; rename it"
    )
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that no file can have
        raise UsageError(f"experiment file {path} is missing")
    content = _content(path)
    keys = set(content) if isinstance(content, dict) else set()
    missing = [key for key in ("question", "source", "overrides") if key not in keys]
    if missing or "name" in keys:
        which = f"missing: {', '.join(missing)}" if missing else "its name is that of the file"
        raise UsageError(
            f"{path}: an experiment has the keys question, source (may be null) and overrides, and may have "
            f"command, tasks, full and hypotheses; {which}"
        )
    entries = content.pop("hypotheses", [])
    if not isinstance(entries, list):
        raise UsageError(f"{path}: hypotheses must be a list")
    hypotheses = tuple(
        validated(Hypothesis, entry, f"{path}: hypothesis {number}: ") for number, entry in enumerate(entries, 1)
    )
    experiment = validated(Experiment, {**content, "name": path.stem, "hypotheses": hypotheses}, f"{path}: ")
    sourced = tuple(own.model_copy(update={"source": own.source or experiment.source}) for own in hypotheses)
    experiment = experiment.model_copy(update={"hypotheses": sourced})
    if not full:
        return experiment
    if not experiment.full:
        raise UsageError(f"{path} has no overrides under full; without {FULL} it can be run")
    overrides = (*experiment.overrides, *experiment.full)
    return experiment.model_copy(update={"name": path.stem + FULL, "overrides": overrides})


def _content(path: Path) -> Any:
    """What is in an experiment's file. Raises UsageError where it is not plain YAML."""
    check_yaml(path)
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except Exception as error:
        raise invalid_yaml(path, error) from error
    if found := _interpolation(content):
        raise UsageError(f"{path}: {found}: an experiment holds no interpolations; write the value itself")
    return content


def _interpolation(value: Any) -> str | None:
    """The first text with an interpolation, which could carry the environment into a report."""
    if isinstance(value, str):
        return value if "${" in value else None
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return next((found for part in parts if (found := _interpolation(part))), None)


def check_folder_name(name: str, problem: str) -> None:
    """Raises UsageError where results/NAME would not be a folder of its own: `..`, a hidden or a very long name."""
    hidden = not name or name.startswith(".") or "/" in name
    if hidden or printable(name) != name or len(os.fsencode(name)) > _LONGEST_NAME:
        raise UsageError(
            f"{problem}: without a slash, without a dot or a space at its ends, without control characters, at most "
            f"{_LONGEST_NAME} bytes"
        )


def _file(name: str) -> tuple[Path, bool]:
    """The file of an experiment's name or path, and whether it is asked for at full scale."""
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name), False
    known = experiment_names()
    full = name not in known and name.endswith(FULL)
    stem = name.removesuffix(FULL) if full else name
    if stem not in known:
        raise UsageError(f"no experiment {stem[:80]!r}{nearest_names(stem[:80], known)}")
    return next(file for folder in _folders() if (file := folder / f"{stem}.yaml").is_file()), full


def hypotheses_to_json(hypotheses: Sequence[Hypothesis]) -> str:
    """Returns the content of hypotheses.json."""
    return json.dumps([hypothesis.model_dump() for hypothesis in hypotheses], indent=2, ensure_ascii=False) + "\n"


def hypotheses_from_json(text: str) -> tuple[Hypothesis, ...]:
    """The inverse of `hypotheses_to_json`; also reads the phases of an older version."""
    entries = json.loads(text)
    for entry in entries:
        if "phase" in entry:
            entry["rates"] = {"tune": "every"}.get(entry.pop("phase"), "chosen")
    return tuple(Hypothesis.model_validate(entry) for entry in entries)
