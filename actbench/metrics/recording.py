"""The calls of activations while a model runs, recorded by hooks."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Function = Callable[[Tensor], Tensor]

# Softmax is left out, as it is mostly the output. Name it in `activations` if it is a hidden layer.
ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.CELU, nn.ELU, nn.GELU, nn.GLU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU,
    nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.RReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus,
    nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip
# Modules whose outputs have units in dimension 1 (convolutions) or in the last (linear layers).
WITH_UNITS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
)  # fmt: skip


@dataclass
class Call:
    """One call of an activation. z: its input in the graph, before any in-place operation."""

    layer: str
    activation: str
    function: Function
    pieces: int
    z: Tensor
    units: int  # dimension


class _Recorder:
    """Records the calls of activations while a model runs, in order; its methods are, or return, hooks."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._counts: dict[str, int] = {}
        # Of each layer that has units, in order: dimension of the units, their number, dimensions of the output.
        self._units: list[tuple[int, int, int]] = []

    def _add(self, name: str, activation: str, function: Function, pieces: int, z: Tensor) -> Tensor:
        """Records a call; returns a copy of z for the model, because the activation may work in place."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        z = z if z.requires_grad else z.detach().requires_grad_()
        layer = name if count == 1 else f"{name}#{count}"
        self.calls.append(Call(layer, activation, function, pieces, z, self._dimension(z)))
        return z.clone()

    def _dimension(self, z: Tensor) -> int:
        for dimension, number, rank in reversed(self._units):
            for candidate in (dimension, -1):
                if rank == z.dim() and z.shape[candidate] == number:
                    return candidate
        return self._units[-1][0] if self._units else 1 if z.dim() > 3 else -1

    def seen(self, module: Any, arguments: object, output: Tensor) -> None:
        units = (-1, module.out_features) if isinstance(module, nn.Linear) else (1, module.out_channels)
        self._units.append((*units, output.dim()))

    def before(self, name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            pieces = 2 if isinstance(module, nn.GLU) else 1

            def recorded(z: Tensor, function: Function) -> Tensor:
                return self._add(name, type(module).__name__, function, pieces, z)

            if arguments:
                z, *rest = arguments
                return (recorded(z, lambda z: module.forward(z, *rest, **keywords)), *rest), keywords
            first, *_ = keywords  # relu(input=z)
            h = recorded(keywords[first], lambda z: module.forward(**{**keywords, first: z}))
            return (), {**keywords, first: h}

        return hook

    def after(self, name: str, function: Function) -> Callable[[nn.Module, object, Tensor], Tensor]:
        def hook(module: nn.Module, arguments: object, output: Tensor) -> Tensor:
            return self._add(name, getattr(function, "__name__", type(function).__name__), function, 1, output)

        return hook


@contextlib.contextmanager
def recorded_calls(
    model: nn.Module, activations: tuple[type[nn.Module], ...], functions: Mapping[str, Function]
) -> Iterator[list[Call]]:
    """Records the calls of a model's activations during the block, in their order; removes its hooks at the end.

    Raises ValueError where `functions` names a layer that the model does not have.
    """
    modules, recorder = dict(model.named_modules()), _Recorder()
    unknown = [name for name in functions if name not in modules]
    if unknown:
        raise ValueError(
            f"functions: the model has no layer {unknown[0]!r}; there are: {', '.join(filter(None, modules))}"
        )
    kinds: tuple[type[nn.Module], ...] = (*ACTIVATIONS, *activations)
    handles: list[RemovableHandle] = [
        module.register_forward_hook(recorder.seen) for module in modules.values() if isinstance(module, WITH_UNITS)
    ]
    handles += [
        module.register_forward_pre_hook(recorder.before(name or "model"), with_kwargs=True)
        for name, module in modules.items()
        if isinstance(module, kinds)
    ]
    handles += [
        modules[name].register_forward_hook(recorder.after(name, function)) for name, function in functions.items()
    ]
    try:
        yield recorder.calls
    finally:
        for handle in handles:
            handle.remove()
