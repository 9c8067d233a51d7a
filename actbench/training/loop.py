"""The training loop: trains a stack of runs and yields records."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from actbench.data.datasets import Data
from actbench.data.float_batches import AnyBatches, make_batches
from actbench.determinism import set_precision
from actbench.experiment.evaluation import evaluation_plan, measurement_interval, probe_of
from actbench.experiment.runs import Run, examples_after
from actbench.training.evaluator import Evaluator, Scores, evaluate
from actbench.training.graphs import capture_on
from actbench.training.losses import mean_score
from actbench.training.network import Network
from actbench.training.optimizers import StackOptimizer
from actbench.training.probe import norms, observe, record, records
from actbench.training.progress import Progress
from actbench.training.results import MOST_EXAMPLES, MOST_WINDOWS, TEST_CORRECT, TEST_SCORES, Record
from actbench.training.resume import StackCheckpoint, StackState
from actbench.training.stacks import Stack
from actbench.training.step import TrainingStep


class Evaluation(NamedTuple):
    """Mean validation loss and score at one evaluation, float64 (runs,).

    comparable: the score on those examples on which every evaluation of the run is.
    """

    loss: Tensor
    score: Tensor
    comparable: Tensor


Evaluated = Callable[[int, Evaluation, Network, AnyBatches], None]


def train(
    stack: Stack, data: Data, device: torch.device, evaluated: Evaluated = lambda *_: None,
    heartbeat: Callable[[int], None] = lambda step: None, checkpoint: StackCheckpoint | None = None,
) -> Iterator[Record]:  # fmt: skip
    """Trains every run of the stack and yields records in order of steps.

    evaluated: called at each evaluation with the step, the evaluation, network and batches.
    heartbeat: called with the step about every HEARTBEAT seconds. The training clock is stopped during both.
    checkpoint: from which the training goes on, and to which it is saved. Raises KeyboardInterrupt where it asks for a
    stop.

    Beside the curves it yields `seconds` (of training alone, the stack's time over its runs) at each evaluation and,
    at the end, `parameters`, `failed_step` (first step with a loss that is not finite; NaN if none), `test_loss`,
    `test_accuracy` (not of regression), `score` (where that is not the accuracy) and, where all runs have the same test
    set, TEST_CORRECT, or TEST_SCORES of text.
    """
    run, steps = stack.runs[0], stack.runs[0].steps
    settings = run.settings.training
    set_precision(settings.precision)
    capture = capture_on(device)
    network, batches, optimizer = set_up(stack, data, device, None if capture is None else True)
    seen = examples_after(run, steps)
    plan = evaluation_plan(settings.evaluate_every, steps, seen, batches.validation_size)
    evaluations, measure_every = frozenset(plan.steps), measurement_interval(settings.measure_every, steps)
    progress = Progress(len(stack.runs), device, heartbeat)
    training = TrainingStep(network, batches, optimizer, progress, settings, steps, capture)
    evaluator = Evaluator(network, capture)
    with progress.paused():
        first = _restored(checkpoint, network, optimizer, progress)
    for step in range(first, steps + 1):
        progress.beat(step)
        if checkpoint is not None and checkpoint.is_due(step in evaluations):
            with progress.paused():
                checkpoint.save(_state(step, network, optimizer, progress))
        if step in evaluations:
            with progress.paused():
                size = batches.validation_size if step == steps else plan.part
                yield from _evaluation(step, evaluator, batches, size, plan.part, progress, evaluated)
        measured = measure_every > 0 and (step % measure_every == 0 or step == steps)
        if measured:
            with progress.paused():
                size = probe_of(run.data, settings.probe_size, batches.validation_size)
                yield from observe(network, batches, size, step, histograms=step in (0, steps))
            gradients = training.measured(step)
            with progress.paused():
                yield from norms(network, gradients, step)
        elif step < steps:
            training(step)
    yield Record(steps, "parameters", np.array(network.counts(), dtype=np.float64))
    yield record(steps, "failed_step", progress.failed_step)
    if batches.test_size:
        yield from _test(run, evaluator, batches, progress.beat)


def _state(step: int, network: Network, optimizer: StackOptimizer, progress: Progress) -> StackState:
    """All that the steps from `step` on depend on."""
    parts = {"parameter": network.parameters, "buffer": network.buffers, "optimizer": optimizer.state(),
             "progress": progress.tensors()}  # fmt: skip
    tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
    return StackState(step, tensors, {"seconds": progress.seconds, "losses": progress.losses})


def _restored(
    checkpoint: StackCheckpoint | None, network: Network, optimizer: StackOptimizer, progress: Progress
) -> int:
    """Sets network, optimizer and progress to a saved state, if there is one; returns the step to go on with."""
    state = None if checkpoint is None else checkpoint.state
    if state is None:
        return 0
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.tensors.items():
        part, name = key.split("/", 1)
        parts.setdefault(part, {})[name] = tensor
    own = {"parameter": network.parameters, "buffer": network.buffers, "progress": progress.tensors()}
    for part, named in own.items():
        for name, tensor in named.items():
            tensor.detach().copy_(parts[part][name])
    optimizer.restore(parts.get("optimizer", {}))
    progress.seconds, progress.losses = float(state.numbers["seconds"]), int(state.numbers["losses"])
    return state.step


def set_up(
    stack: Stack, data: Data, device: torch.device, capturable: bool | None = None
) -> tuple[Network, AnyBatches, StackOptimizer]:
    """The initialised network of a stack, its mini-batches and its optimizer. capturable: as StackOptimizer has it."""
    run = stack.runs[0]
    settings = run.settings
    network = Network(stack, device)
    batches = make_batches(
        data, run.data, network.seeds, settings.dataset.validation, settings.training.batch_size,
        settings.dataset.normalize, settings.training.augment, device,
    )  # fmt: skip
    rates = [run.settings.optimizer.lr for run in stack.runs]
    optimizer = StackOptimizer(
        settings.optimizer, network.parameters, network.owners, network.weights, rates, capturable
    )
    return network, batches, optimizer


def _evaluation(
    step: int, evaluator: Evaluator, batches: AnyBatches, size: int, part: int, progress: Progress, evaluated: Evaluated
) -> Iterator[Record]:
    """An evaluation on the first `size` validation examples; every evaluation of the run has the first `part`."""
    yield from progress.records(step)
    found = evaluate(evaluator, batches.validation, size, progress.beat)
    network = evaluator.network
    score = _score(network, found, batches, size)
    progress.prepare(step)
    progress.note_failures(found.loss)
    metrics = _metrics(network, found, score, "val_accuracy", "val_score")
    yield from records(step, [("val_loss", None, found.loss), *metrics])
    comparable = score
    if part:
        first = Scores(found.losses[:, :part].double().mean(1), found.losses[:, :part], found.hits[:, :part])
        comparable = _score(network, first, batches, part)
    evaluated(step, Evaluation(found.loss, score, comparable), network, batches)


def _score(network: Network, found: Scores, batches: AnyBatches, size: int, part: str = "validation") -> Tensor:
    """The score of each run on the first `size` examples of a part, float64 (runs,)."""
    variance = batches.target_variance(part, size) if network.metric == "r2" else None
    return mean_score(network.metric, found.loss, found.hits, variance, network.runs[0].data.classes)


def _metrics(
    network: Network, found: Scores, score: Tensor, accuracy_name: str, score_name: str
) -> list[tuple[str, None, Tensor]]:
    """The accuracy, where the task has one, and the score, where that is another."""
    named: list[tuple[str, None, Tensor]] = []
    if network.metric != "r2":
        named.append((accuracy_name, None, found.hits.double().mean(1)))
    if network.metric != "accuracy":
        named.append((score_name, None, score))
    return named


def _test(run: Run, evaluator: Evaluator, batches: AnyBatches, beat: Callable[[], None]) -> Iterator[Record]:
    found = evaluate(evaluator, batches.test, batches.test_size, beat)
    network = evaluator.network
    score = _score(network, found, batches, batches.test_size, "test")
    metrics = _metrics(network, found, score, "test_accuracy", "score")
    yield from records(run.steps, [("test_loss", None, found.loss), *metrics])
    if run.data.own_test and network.metric == "accuracy":
        packed = np.packbits(found.hits[:, :MOST_EXAMPLES].cpu().numpy(), axis=1)
        yield Record(run.steps, TEST_CORRECT, packed)
    if run.data.own_test and network.metric == "bits_per_character":
        windows = (-found.losses[:, :MOST_WINDOWS] / math.log(2)).float().cpu().numpy()
        yield Record(run.steps, TEST_SCORES, windows)
