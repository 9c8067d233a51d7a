"""Measures where the time of stacks goes, in every process that finds this file on its PYTHONPATH as it starts.

At the end of each stack a line of JSON is added to the file $ACTBENCH_STOPWATCH: when it began and ended, in seconds
of the system's clock, and its seconds in training (with the set-up), evaluation and measuring. It knows the generator
functions of actbench.training.loop by name; the time of one whose name is not there counts as training.
"""

import functools
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Generator
from importlib.abc import MetaPathFinder
from typing import Any

LOOP = "actbench.training.loop"
PHASES = {"_evaluation": "evaluation", "_test": "evaluation", "observe": "measuring", "norms": "measuring"}

_seconds = {"stack": 0.0, "evaluation": 0.0, "measuring": 0.0}


def timed(function: Callable[..., Any], phase: str) -> Callable[..., Any]:
    """The generator function, which adds the time that it computes for to the phase's seconds."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Generator[Any, None, None]:
        values = function(*arguments, **named)
        while True:
            begun = time.perf_counter()
            try:
                value = next(values)
            except StopIteration:
                return
            finally:
                _seconds[phase] += time.perf_counter() - begun
            yield value

    return wrapped


def written(train: Callable[..., Any]) -> Callable[..., Any]:
    """The generator function `train`, which writes a line at the end of each stack."""

    @functools.wraps(train)
    def wrapped(*arguments: Any, **named: Any) -> Generator[Any, None, None]:
        begun, before = time.time(), dict(_seconds)
        yield from train(*arguments, **named)
        took = {phase: _seconds[phase] - before[phase] for phase in _seconds}
        took["training"] = took.pop("stack") - took["evaluation"] - took["measuring"]
        with open(os.environ["ACTBENCH_STOPWATCH"], "a") as file:
            file.write(json.dumps({"begun": begun, "ended": time.time(), **took}) + "\n")

    return wrapped


class Finder(MetaPathFinder):
    """Puts the timed functions into actbench.training.loop when it is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The module's own spec, whose loader also replaces its functions."""
        if name != LOOP:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            for function, phase in PHASES.items():
                if hasattr(module, function):
                    setattr(module, function, timed(getattr(module, function), phase))
            module.train = written(timed(module.train, "stack"))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "ACTBENCH_STOPWATCH" in os.environ:
    sys.meta_path.insert(0, Finder())
