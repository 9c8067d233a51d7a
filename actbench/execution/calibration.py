"""What this machine's user keeps of earlier timings: times by shape of a stack, and corrections by finished commands.

One JSON file in the user's cache. It is replaced as a whole; one that is damaged or of another format counts as empty,
and commands work where it cannot be written.
"""

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from actbench.data.datasets import cache_home
from actbench.signals import write_json
from actbench.training.machine import processor, torch_version
from actbench.training.timing import StackTimes

_FORMAT = 1  # raise it when the content changes its meaning
_MOST_SHAPES = 1000  # of a machine; the oldest are dropped
# A correction beyond is a disturbed measurement: of the steps of a shape, and of all else, which these are part of.
_LIMITS = {True: (0.2, 5.0), False: (0.5, 2.0)}


@dataclass
class Calibration:
    """Of one processor, version of torch and number of threads (always one).

    shapes: times by `shape_of`. corrections: measured over estimated seconds, by what was timed; 1 where unknown: of
    the steps of a shape, `steps SHAPE`; of all training of a command, `training COMMAND WORKERS`; of the rest of it,
    `rest COMMAND`.
    """

    shapes: dict[str, StackTimes] = field(default_factory=dict)
    corrections: dict[str, float] = field(default_factory=dict)

    def correction(self, key: str) -> float:
        """Measured over estimated seconds."""
        return self.corrections.get(key, 1.0)

    def correct(self, key: str, measured: float, estimated: float) -> None:
        """Moves a correction halfway, in logarithms. estimated: seconds, with the correction that there was."""
        if measured > 0 and estimated > 0:
            corrected = self.correction(key) * math.sqrt(measured / estimated)
            least, most = limits(key)
            self.corrections[key] = round(min(max(corrected, least), most), 4)


def limits(key: str) -> tuple[float, float]:
    """The smallest and the largest correction of a key."""
    return _LIMITS[key.startswith("steps ")]


def calibration_file() -> Path:
    """The file in the user's cache."""
    return cache_home() / "timings.json"


def machine_key() -> str:
    """What times depend on, beside the shape of a stack."""
    return f"{processor()}, torch {torch_version()}, 1 thread"


def read_calibration() -> Calibration:
    """What is known of this machine; what is damaged is left out."""
    content = _read().get(machine_key())
    content = content if isinstance(content, dict) else {}
    shapes = {key: times for key, value in _items(content, "shapes") if (times := _times(value)) is not None}
    corrections = _items(content, "corrections")
    return Calibration(
        shapes,
        {key: value for key, value in corrections if _is_time(value) and limits(key)[0] <= value <= limits(key)[1]},
    )


def write_calibration(calibration: Calibration) -> None:
    """Adds to the file what is known of this machine, and keeps what it holds of others. Errors are ignored."""
    machines, before = _read(), read_calibration()
    shapes = {**before.shapes, **calibration.shapes}
    latest = dict(list(shapes.items())[-_MOST_SHAPES:])
    machines[machine_key()] = {
        "shapes": {key: asdict(times) for key, times in latest.items()},
        "corrections": before.corrections | calibration.corrections,
    }
    with contextlib.suppress(OSError):
        calibration_file().parent.mkdir(parents=True, exist_ok=True)
        write_json(calibration_file(), {"format": _FORMAT, "machines": machines})


def _read() -> dict[str, Any]:
    """The content of the file by machine; empty where there is none."""
    try:
        content = json.loads(calibration_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        return {}
    machines = content.get("machines")
    return machines if isinstance(machines, dict) else {}


def _items(content: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    values = content.get(key)
    return list(values.items()) if isinstance(values, dict) else []


def _times(value: Any) -> StackTimes | None:
    names = [each.name for each in fields(StackTimes)]
    if not isinstance(value, dict) or set(value) != set(names) or not all(map(_is_time, value.values())):
        return None
    return StackTimes(**value)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
