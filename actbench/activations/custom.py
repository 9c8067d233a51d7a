"""A user's own activation, `module:function` or `module:NNModuleClass`, imported and checked.

This is for processes that may be lost: workers, and those that call `actbench.load`. A command itself uses `own.py`.
"""

import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from actbench.activations.bound import BoundActivation, autograd_derivative, diagonal_derivative
from actbench.activations.functions import P
from actbench.activations.own import OwnActivation
from actbench.activations.source import source_digest
from actbench.errors import UsageError, one_line


def load_custom(path: str, key: str = "activation.function") -> BoundActivation:
    """The activation of a user's `module:function` or `module:NNModuleClass`. key: which names it, for messages.

    Raises UsageError where it cannot be imported, has buffers, or does not behave like an activation.
    """
    place = f"{key}={path}"
    target = _import(place, path)
    is_module = inspect.isclass(target) and issubclass(target, nn.Module)
    try:
        call = target() if is_module else target
        parameters = dict(call.named_parameters()) if is_module else {}
        initial = {key: value.detach().clone() for key, value in parameters.items() if value.requires_grad}
        fixed = {key: value for key, value in parameters.items() if not value.requires_grad}
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise UsageError(f"{place}: {target.__name__}() fails: {one_line(error)}") from error
    if is_module and next(call.buffers(), None) is not None:
        raise UsageError(f"{place}: modules with buffers are not supported; runs would share them")
    elementwise = _check(place, call)
    digest = source_digest(path)
    at_once = elementwise and not initial  # one call for all runs; otherwise one per run, so that runs cannot mix

    def apply(z: Tensor, p: P) -> Tensor:
        if not is_module:
            return call(z) if at_once else torch.stack([call(run) for run in z])
        constant = {key: value.to(z.dtype) for key, value in fixed.items()}
        if at_once:
            return torch.func.functional_call(call, constant, (z,))
        learned = [{key: p[key][run] for key in initial} for run in range(len(z))]
        return torch.stack(
            [torch.func.functional_call(call, constant | learned[run], (z[run],)) for run in range(len(z))]
        )

    shapes = tuple((key, tuple(value.shape)) for key, value in initial.items())
    record = OwnActivation(path, elementwise, shapes, digest).record
    derivative = autograd_derivative(apply) if elementwise else diagonal_derivative(apply)
    return BoundActivation(record, {}, apply, derivative, initial, digest)


def own_facts(bound: BoundActivation) -> OwnActivation:
    """The facts of a user's activation that this process has imported."""
    shapes = tuple((key, tuple(value.shape)) for key, value in bound.initial.items())
    return OwnActivation(bound.record.name, bound.record.kind == "elementwise", shapes, bound.digest)


def write_facts(path: str, key: str, answer: str) -> None:
    """Writes the facts that `inspect_own` asks a child process for, or the error, as JSON into the file `answer`."""
    facts: dict[str, object]
    try:
        own = own_facts(load_custom(path, key))
        facts = {"elementwise": own.elementwise, "learned": own.learned}
    except UsageError as error:
        facts = {"error": str(error)}
    Path(answer).write_text(json.dumps(facts), encoding="utf-8")


def _import(place: str, path: str) -> Any:
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise UsageError(f"{place}: write it as module:function or module:NNModuleClass")
    try:
        target = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        raise UsageError(
            f"{place}: no module named {missing!r} (the current folder and installed packages were searched)"
        ) from error
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise UsageError(f"{place}: importing {module_name} fails: {one_line(error)}") from error
    for part in name.split("."):
        if not hasattr(target, part):
            raise UsageError(f"{place}: {module_name} has no {name!r}")
        target = getattr(target, part)
    if not callable(target):
        raise UsageError(f"{place}: {name} is not callable")
    return target


def _check(place: str, call: Callable[[Tensor], Any]) -> bool:
    """Whether the function is elementwise. Raises UsageError where it does not behave like an activation."""
    z = torch.linspace(-3, 3, 42)[torch.arange(42) * 5 % 42].view(2, 3, 7)  # in mixed order
    sample = z.flatten()[::4].view(-1, 1, 1)
    try:
        with torch.no_grad():
            h, again, zero = call(z.clone()), call(z.clone()), call(torch.zeros(2, 3, 7))
            h_of_sample = call(sample)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise UsageError(f"{place}: fails on a tensor of shape (2, 3, 7): {one_line(error)}") from error
    if not isinstance(h, Tensor):
        raise UsageError(f"{place}: returns {type(h).__name__}, not a tensor")
    if h.shape != z.shape:
        raise UsageError(
            f"{place}: returns shape {tuple(h.shape)} for input {tuple(z.shape)}; an activation keeps the shape"
        )
    if h.dtype != z.dtype:
        raise UsageError(f"{place}: returns {h.dtype} for {z.dtype} input; keep the dtype")
    if not (torch.isfinite(zero).all() and torch.isfinite(h).all()):
        where = "at 0" if not torch.isfinite(zero).all() else "for an input in [-3, 3]"
        raise UsageError(f"{place}: returns NaN or infinity {where}")
    if not torch.equal(h, again):
        raise UsageError(f"{place}: two calls on one input differ; a run could not be repeated")
    if not h.any():
        raise UsageError(f"{place}: is 0 everywhere in [-3, 3]")
    _check_gradient(place, call)
    return h_of_sample.shape == sample.shape and torch.allclose(h_of_sample.flatten(), h.flatten()[::4], atol=1e-6)


@torch.enable_grad()
def _check_gradient(place: str, call: Callable[[Tensor], Tensor]) -> None:
    z = torch.linspace(-3, 3, 42).view(2, 3, 7).requires_grad_()
    try:
        h = call(z)
        gradient = torch.autograd.grad(h.sum(), z, allow_unused=True)[0] if h.requires_grad else None
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise UsageError(f"{place}: its gradient fails: {one_line(error)}") from error
    if not h.requires_grad:
        raise UsageError(f"{place}: autograd cannot see through it; use torch operations only")
    if gradient is None or not torch.isfinite(gradient).all():
        raise UsageError(f"{place}: its gradient is missing or not finite in [-3, 3]")
