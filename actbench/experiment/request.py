"""What a command was asked to do: fields in memory, tags of the parent run in MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

DEFAULT_EXPERIMENT = "quickstart"  # of compare
_VERSION = "version."


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits words into names and overrides, which contain = or begin with ~."""
    names = [word for word in words if "=" not in word and not word.startswith("~")]
    return names, [word for word in words if word not in names]


@dataclass(frozen=True)
class Caller:
    """Who calls a command. line: the command line that does the same. apart: runs train in worker processes alone.

    A notebook's process may have called torch before, with other settings than those that runs need.
    """

    line: str
    apart: bool = False


@dataclass(frozen=True)
class Request:
    """One command: the question, its overrides, the settings that a report states, and the code that ran.

    command: the command line. overrides: of the command line, without those of the experiment's file. margin: a
    difference in accuracy; margins: those of other metrics, by their names in experiment.scores. targets (validation
    accuracies), target_losses, batch_sizes: each value once, in the order of the grid; empty where an older version did
    not keep them. versions: of packages. test_sizes: test examples of a run, by data set. worst: the worst score, by
    data set, where it is not 0. own_tests: data sets whose test examples are the same for all runs. plan: its
    digest, empty in an older version.
    """

    experiment: str
    question: str
    command: str
    overrides: str
    baseline: str
    margin: float
    targets: tuple[float, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    revision: str = "None"
    versions: Mapping[str, str] = field(default_factory=dict)
    test_sizes: Mapping[str, int] = field(default_factory=dict)
    target_losses: tuple[float, ...] = ()
    margins: Mapping[str, float] = field(default_factory=dict)
    worst: Mapping[str, float] = field(default_factory=dict)
    own_tests: tuple[str, ...] = ()
    plan: str = ""

    def margin_of(self, metric: str) -> float:
        """The margin of the scores of a metric."""
        return self.margins.get(metric, self.margin)

    def to_tags(self) -> dict[str, str]:
        """The tags of a parent run in MLflow."""
        return {
            "experiment": self.experiment, "question": self.question, "command": self.command,
            "overrides": self.overrides, "baseline": self.baseline, "margin": str(self.margin),
            "target": _join(self.targets), "batch_size": _join(self.batch_sizes),
            "revision": self.revision,
            "test_sizes": _join_named(self.test_sizes), "target_loss": _join(self.target_losses),
            "margins": _join_named(self.margins), "worst": _join_named(self.worst), "own_tests": _join(self.own_tests),
            "plan": self.plan,
            **{f"{_VERSION}{package}": number for package, number in self.versions.items()},
        }  # fmt: skip

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "Request":
        """The inverse of `to_tags`; other tags are ignored."""
        return cls(
            tags["experiment"], tags["question"], tags["command"], tags.get("overrides", ""), tags["baseline"],
            float(tags["margin"]), tuple(map(float, _split(tags, "target"))),
            tuple(map(int, _split(tags, "batch_size"))), tags["revision"],
            {key.removeprefix(_VERSION): number for key, number in tags.items() if key.startswith(_VERSION)},
            {name: int(size) for name, size in _split_named(tags, "test_sizes")},
            tuple(map(float, _split(tags, "target_loss"))),
            {name: float(value) for name, value in _split_named(tags, "margins")},
            {name: float(value) for name, value in _split_named(tags, "worst")},
            tuple(_split(tags, "own_tests")), tags.get("plan", ""),
        )  # fmt: skip


def _join(values: tuple[float, ...] | tuple[int, ...] | tuple[str, ...]) -> str:
    return ", ".join(map(str, values))


def _split(tags: Mapping[str, str], key: str) -> list[str]:
    return [part for part in tags.get(key, "").split(", ") if part]


def _join_named(values: Mapping[str, float]) -> str:
    return _join(tuple(f"{name}={value}" for name, value in values.items()))


def _split_named(tags: Mapping[str, str], key: str) -> Iterator[tuple[str, str]]:
    """Names and values; data sets have no equals sign in their names."""
    for part in _split(tags, key):
        name, _, value = part.partition("=")
        yield name, value
