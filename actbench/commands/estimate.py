"""How long a command will take, from what is known of this machine; and what a finished command teaches about it."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field

from actbench.commands.progress import weight_of
from actbench.execution.calibration import Calibration, read_calibration, write_calibration
from actbench.experiment.runs import Run
from actbench.training.machine import processor
from actbench.training.results import Result
from actbench.training.stacks import Stack, work_of
from actbench.training.timing import StackTimes, shape_of

# Seconds around the training (AMD EPYC, two cores): imports and a new store; and files, figures, costs and report, of a
# command and of each activation of each task. What a finished command took corrects all but the imports.
_IMPORTS = 4.0
_REST = {"train": (2.0, 0.0), "sweep": (4.0, 0.0), "compare": (4.0, 0.4)}
_USUAL = 8  # runs of a stack
_LOW, _HIGH = 0.85, 1.2  # of an estimate: the spread of repeated commands on a shared machine
_LEAST = 5.0  # seconds of training from which a command corrects the calibration
_BUSY = 1.25  # load average over this process and its workers from which others slow them: nothing is learned then


class Estimator:
    """Seconds of stacks on this machine, and of the command that trains them. device: `cpu` or `cuda`."""

    def __init__(self, command: str, device: str, workers: int, calibration: Calibration) -> None:
        self.command, self.device, self.workers, self.calibration = command, device, workers, calibration
        self._shapes: dict[object, str] = {}
        self._scaled: dict[str, StackTimes] = {}  # of shapes that were not timed

    def shape(self, run: Run) -> str:
        """As `shape_of`, once for runs that share their settings."""
        settings = run.settings
        key = (settings.architecture, settings.activation, settings.optimizer.name, settings.training, run.data)
        if key not in self._shapes:
            self._shapes[key] = shape_of(run, self.device)
        return self._shapes[key]

    def times(self, run: Run) -> StackTimes | None:
        """The times of a run's shape; None where they are not known."""
        shape = self.shape(run)
        return self.calibration.shapes.get(shape) or self._scaled.get(shape)

    def fill(self, stacks: Sequence[Stack]) -> None:
        """Gives shapes that were not timed the times of one of the same architecture and data set, by their work."""
        runs = {self.shape(stack.runs[0]): stack.runs[0] for stack in stacks}
        timed = {place_of(run): (run, self.calibration.shapes[shape]) for shape, run in runs.items()
                 if shape in self.calibration.shapes}  # fmt: skip
        for shape, run in runs.items():
            if shape not in self.calibration.shapes and place_of(run) in timed:
                other, times = timed[place_of(run)]
                factor = work_of(run) / (run.steps + 1) / work_of(other) * (other.steps + 1)
                self._scaled[shape] = StackTimes(*(factor * seconds for seconds in astuple(times)))

    def knows(self, stacks: Sequence[Stack]) -> bool:
        """Whether the times of all these stacks are known."""
        return all(self.times(stack.runs[0]) is not None for stack in stacks)

    def steps(self, stack: Stack) -> float:
        """Seconds of a stack's training steps on one core or GPU."""
        seconds = self._known(stack.runs[0]).training(stack.runs[0], len(stack.runs))
        return seconds * self.calibration.correction(_steps_key(self.shape(stack.runs[0])))

    def stack(self, stack: Stack) -> float:
        """Seconds of a stack on one core or GPU."""
        times = self._known(stack.runs[0])
        seeds = len({run.settings.seed for run in stack.runs})
        return self.steps(stack) + times.around(stack.runs[0], len(stack.runs), seeds)

    def run(self, run: Run) -> float:
        """Seconds of a run on one core or GPU, in a stack of a usual size."""
        times, size = self._known(run), _USUAL
        steps = times.training(run, size) * self.calibration.correction(_steps_key(self.shape(run)))
        return (steps + times.around(run, size, size)) / size

    def _known(self, run: Run) -> StackTimes:
        times = self.times(run)
        assert times is not None
        return times

    def training(self, stacks: Sequence[Stack]) -> float:
        """Seconds in which the workers train these stacks."""
        seconds = [self.stack(stack) for stack in stacks]
        bound = max(sum(seconds) / self.workers, max(seconds, default=0.0))
        return bound * self.calibration.correction(self._training_key)

    def rest(self, points: int) -> float:
        """Seconds of a command around its training, without its imports. points: activations of all tasks."""
        whole, each = _REST[self.command]
        return (whole + points * each) * self.calibration.correction(self._rest_key)

    @property
    def _training_key(self) -> str:
        return f"training {self.command} {self.device} {self.workers}"

    @property
    def _rest_key(self) -> str:
        return f"rest {self.command}"

    def whole(self, stacks: Sequence[Stack], points: int) -> float:
        """Seconds of a command from its start to its end."""
        return _IMPORTS + self.training(stacks) + self.rest(points)

    def learn(self, stacks: Sequence[Stack], results: Mapping[str, Result], training: float, rest: float,
              points: int) -> None:  # fmt: skip
        """Corrects the calibration by a finished command that trained these stacks.

        results: by run id. training: its seconds. rest: those around it, without imports.
        """
        measured: dict[str, float] = {}
        estimated: dict[str, float] = {}
        for stack in stacks:
            shape, size = self.shape(stack.runs[0]), len(stack.runs)
            for run in stack.runs:
                seconds = results[run.id].row["seconds"] if run.id in results else None
                if seconds is not None:  # a run that diverged or failed has none
                    measured[shape] = measured.get(shape, 0.0) + float(seconds)
                    estimated[shape] = estimated.get(shape, 0.0) + self.steps(stack) / size
        for shape in measured:
            self.calibration.correct(_steps_key(shape), measured[shape], estimated[shape])
        self.calibration.correct(self._training_key, training, self.training(stacks))
        self.calibration.correct(self._rest_key, rest, self.rest(points))


def _steps_key(shape: str) -> str:
    return f"steps {shape}"


def place_of(run: Run) -> tuple[str, str]:
    """The data set and the architecture of a run."""
    return run.settings.dataset.name, run.settings.architecture.name


def estimator_of(command: str, device: str, workers: int) -> Estimator:
    """An estimator with what is known of this machine."""
    return Estimator(command, device, workers, read_calibration())


def time_text(low: float, high: float) -> str:
    """A range of seconds, widened by what an estimate misses: `about 40 to 60 s`, `about 1.5 to 3 minutes`."""
    (least, unit), (most, other) = _rounded(_LOW * low, math.floor), _rounded(_HIGH * high, math.ceil)
    if (least, unit) == (most, other):
        return f"about {most:g} {other}"
    return f"about {least:g} to {most:g} {other}" if unit == other else f"about {least:g} {unit} to {most:g} {other}"


def _rounded(seconds: float, whole: Callable[[float], int]) -> tuple[float, str]:
    """Seconds to one digit, or one and a half, and their unit."""
    length, unit = (1, "s") if seconds < 90 else (60, "minutes") if seconds < 90 * 60 else (3600, "hours")
    value = seconds / length
    place = 10 ** math.floor(math.log10(max(value, 1.0)))
    grain = max(place / 2 if value < 5 * place else place, 1.0 if unit == "s" else 0.5)
    return max(grain, whole(value / grain) * grain), unit


def machine_text(device: str, workers: int) -> str:
    """`2 cores (AMD EPYC)`."""
    if device == "cuda":
        return f"{workers} GPU{'s' if workers > 1 else ''}"
    return f"{workers} core{'s' if workers > 1 else ''} ({processor() or 'unknown processor'})"


@dataclass
class Forecast:
    """Announces how long a command takes, where its times are known, and corrects them once it has ended.

    points: activations of all tasks. remaining: the fewest and the most runs that are to train when it begins to; None:
    those of the first stacks. stacks: of the command so far. seconds: in which they trained.
    """

    estimator: Estimator
    points: int
    remaining: Callable[[], tuple[int, int]] | None = None
    stacks: list[Stack] = field(default_factory=list)
    seconds: float = 0.0
    _is_announced: bool = False

    def announce(self) -> None:
        """Prints the time from the first stacks, once."""
        if not self._is_announced and (line := self.line()) is not None:
            print(line, flush=True)
        self._is_announced = True

    def line(self) -> str | None:
        """The time in words; None where it is not known."""
        self.estimator.fill(self.stacks)
        if not self.stacks or not self.estimator.knows(self.stacks):
            return None
        due = sum(len(stack.runs) for stack in self.stacks)
        training, rest = self.estimator.training(self.stacks), self.estimator.rest(self.points)
        low, high = (training * runs / due + rest for runs in (self.remaining() if self.remaining else (due, due)))
        return f"{time_text(low, high)} on {machine_text(self.estimator.device, self.estimator.workers)}"

    @property
    def weigh(self) -> Callable[[Run], float]:
        """For the progress bar: the time of a run, or an estimate in proportion where it is not known."""
        return self.estimator.run if self.estimator.knows(self.stacks) else weight_of

    def learn(self, results: Mapping[str, Result], seconds: float) -> None:
        """Corrects what is known of this machine. results: by run id. seconds: of the command, without imports."""
        busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > _BUSY * (self.estimator.workers + 1)
        if self.seconds < _LEAST or busy or not self.estimator.knows(self.stacks):
            return
        self.estimator.learn(self.stacks, results, self.seconds, seconds - self.seconds, self.points)
        write_calibration(self.estimator.calibration)
