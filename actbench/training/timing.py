"""How long stacks of one shape take here: a few steps, an evaluation and a measurement of units, timed."""

import json
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count

import torch

from actbench.data.datasets import Data, ImageData, load_data
from actbench.data.float_batches import AnyBatches
from actbench.determinism import set_precision
from actbench.experiment.evaluation import chunk_of, evaluation_plan, measurement_interval, probe_of
from actbench.experiment.runs import Run, architecture_of, examples_after
from actbench.training.cost import clock
from actbench.training.evaluator import Evaluator, evaluate
from actbench.training.loop import set_up
from actbench.training.network import Network
from actbench.training.optimizers import StackOptimizer
from actbench.training.probe import observe
from actbench.training.stacks import Stack
from actbench.training.step import step_gradients

_IMAGES = 2048  # of the stack that is timed: drawing splits of all images would take most of the time
_SECONDS = 0.02  # for which steps are repeated
_MOST_STEPS = 8
_LONG = 0.1  # seconds of a step of a single run from which a stack's is not timed: it takes that of its runs
_VERY_LONG = 1.0  # seconds of a call from which it is not repeated


@dataclass(frozen=True)
class StackTimes:
    """Seconds that stacks of one shape take on one core or GPU.

    step: of a training step, whatever the number of runs; step_run: what each run adds. evaluation, measurement: of a
    run and example of an evaluation, and of the probe set. set_up: of each seed of a stack.
    """

    step: float
    step_run: float
    evaluation: float
    measurement: float
    set_up: float

    def training(self, run: Run, size: int) -> float:
        """Seconds of the training steps of a stack of `size` runs like this one."""
        return run.steps * (self.step + size * self.step_run)

    def around(self, run: Run, size: int, seeds: int) -> float:
        """Seconds of all else: evaluations, measurements and set-up. seeds: different ones in the stack."""
        probe = probe_of(run.data, run.settings.training.probe_size, _validation(run))
        examples = evaluated_examples(run) * self.evaluation + measurements(run) * probe * self.measurement
        return size * examples + seeds * self.set_up


def _validation(run: Run) -> int:
    return run.data.validation_size(run.settings.dataset.validation)


def evaluated_examples(run: Run) -> int:
    """Examples of all evaluations of a run, those of the test set included."""
    settings, validation = run.settings.training, _validation(run)
    plan = evaluation_plan(settings.evaluate_every, run.steps, examples_after(run, run.steps), validation)
    return (len(plan.steps) - 1) * plan.part + validation + run.data.test


def measurements(run: Run) -> int:
    """How often units and gradients of a run are measured."""
    every = measurement_interval(run.settings.training.measure_every, run.steps)
    return len({*range(0, run.steps + 1, every), run.steps}) if every else 0


def shape_of(run: Run, device: str) -> str:
    """A digest of what the time of a step depends on, beside the activation and the number of runs."""
    network, settings = architecture_of(run), run.settings
    training = settings.training
    shape = [
        device, settings.architecture.name, network.units, network.positions,
        [list(parameter.shape) for parameter in network.parameters.values()],
        [run.data.height, run.data.width, run.data.channels, run.data.kind], training.batch_size,
        settings.optimizer.name, training.precision, training.dropout > 0, training.augment,
        training.clip_norm is not None, getattr(settings.architecture, "gate", ""),
    ]  # fmt: skip
    return sha256(json.dumps(shape).encode()).hexdigest()[:16]


def time_stack(stack: Stack, device: str) -> StackTimes:
    """Times the first run of a stack alone, and the stack. Uses one thread and sets this process's precision."""
    torch.set_num_threads(1)
    first, place = stack.runs[0], torch.device(device)
    set_precision(first.settings.training.precision)
    data, size = load_data(first.data), 1
    set_up(Stack((first,)), data, place)  # a process reads all images of a data set once
    begun = clock(place)
    network, batches, optimizer = set_up(Stack((first,)), data, place)
    set_up_seconds = clock(place) - begun
    alone = together = _step_seconds(network, batches, optimizer)
    if len(stack.runs) > 1 and alone < _LONG:
        runs, data = _part(stack.runs, data)
        size = len(runs)
        network, batches, optimizer = set_up(Stack(runs), data, place)
        together = _step_seconds(network, batches, optimizer)
    step_run = min((together - alone) / (size - 1), together / size) if size > 1 else alone
    step_run = max(step_run, 0.1 * together / size)  # two times that were disturbed do not make runs free
    examples = min(chunk_of(first.data), batches.validation_size)
    evaluation = _typical(lambda: evaluate(Evaluator(network), batches.validation, examples), place)
    probe = min(2 * chunk_of(first.data), batches.validation_size)
    measurement = _typical(lambda: deque(observe(network, batches, probe), maxlen=0), place)
    base = max(0.0, together - size * step_run)
    return StackTimes(base, step_run, evaluation / size / examples, measurement / size / probe, set_up_seconds)


def _step_seconds(network: Network, batches: AnyBatches, optimizer: StackOptimizer) -> float:
    smoothing, steps = network.runs[0].settings.training.label_smoothing, count()
    return _typical(
        lambda: optimizer.step(step_gradients(network, batches, next(steps), smoothing)[1], 1.0), network.device
    )


def _typical(call: Callable[[], object], device: torch.device) -> float:
    """Median seconds of some calls after a first, which prepares kernels; of a very long one that first call alone."""
    begun = clock(device)
    call()
    if (seconds := clock(device) - begun) > _VERY_LONG:
        return seconds
    found: list[float] = []
    while (sum(found) < _LONG and len(found) < 2) or (sum(found) < _SECONDS and len(found) < _MOST_STEPS):
        begun = clock(device)
        call()
        found.append(clock(device) - begun)
    return statistics.median(found)


def _part(runs: Sequence[Run], data: Data) -> tuple[tuple[Run, ...], Data]:
    """The runs on the first images of their data; other data are as they are, as they are small."""
    if not isinstance(data, ImageData) or runs[0].data.kind != "images":
        return tuple(runs), data
    most = max(_IMAGES, 4 * runs[0].settings.training.batch_size)
    images = ImageData(data.train_images[:most], data.train_labels[:most], data.test_images, data.test_labels)
    prepared = replace(runs[0].data, train=len(images.train_labels) - images.drawn_test)
    return tuple(replace(run, data=prepared) for run in runs), images
