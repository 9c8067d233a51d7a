"""A user's own activation as the process of a command knows it: its facts, found by a child process.

The code itself is imported and called in child processes only: it may hang, exit, crash or fill the memory.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from actbench.activations.source import source_digest
from actbench.activations.table import INF, Activation, Learned
from actbench.errors import UsageError

INSPECTION_SECONDS = 120.0  # for a child process to import torch and the user's module, and to call the function

_CELL = re.compile("cell_[0-9a-f]{8}")  # as api.cells names modules
_CHILD = "from actbench.activations.custom import write_facts; import sys; write_facts(*sys.argv[1:])"


def shown_name(label: str) -> str:
    """The name of a function of a notebook's cell without the module that it was written to; else the label itself."""
    module, _, name = label.partition(":")
    return name if _CELL.fullmatch(module) else label


@dataclass(frozen=True)
class OwnActivation:
    """A user's `module:function` or `module:NNModuleClass`, checked.

    elementwise: whether each unit depends on its own pre-activation only. learned: names and shapes of the parameters
    that are learned. digest: of the source code, as `source_digest` returns it.
    """

    path: str
    elementwise: bool
    learned: tuple[tuple[str, tuple[int, ...]], ...]
    digest: str

    @property
    def record(self) -> Activation:
        """The row that the activation table would have for it."""
        return Activation(
            self.path, "the user's own", self.path, "", False, False, False, INF, function=self.path,
            kind="elementwise" if self.elementwise else "layer",
            learned={name: Learned(_constant(shape), None) for name, shape in self.learned},
        )  # fmt: skip


def _constant(shape: tuple[int, ...]) -> Callable[[int], tuple[int, ...]]:
    return lambda units: shape


def inspect_own(path: str, key: str = "activation.function") -> OwnActivation:
    """The facts of a user's activation, from a child process that imports and calls it. key: which names it.

    Raises UsageError where it cannot be imported, does not behave like an activation, or ends or hangs the process.
    """
    return _inspected(path, key, source_digest(path), str(Path.cwd()))


@cache
def _inspected(path: str, key: str, digest: str, folder: str) -> OwnActivation:
    with tempfile.TemporaryDirectory(prefix="actbench-") as scratch:
        answer = Path(scratch, "facts.json")
        command = [sys.executable, "-c", _CHILD, path, key, str(answer)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            child = subprocess.run(
                command, cwd=folder, env=environment, timeout=INSPECTION_SECONDS, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            problem = f"importing or calling it took more than {INSPECTION_SECONDS:.0f} s"
            raise UsageError(f"{key}={path}: {problem}") from error
        if not answer.exists():
            raise UsageError(f"{key}={path}: importing or calling it ended the process ({_ended(child.returncode)})")
        facts = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in facts:
        raise UsageError(facts["error"])
    learned = tuple((str(name), tuple(shape)) for name, shape in facts["learned"])
    return OwnActivation(path, bool(facts["elementwise"]), learned, digest)


def _ended(code: int) -> str:
    """How a process ended: `exit code 3`, or the name of the signal."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
