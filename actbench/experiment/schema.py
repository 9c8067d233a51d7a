"""The configuration: frozen dataclasses, one hop from YAML to a used number. Defaults live in conf/ alone."""

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from actbench.activations.table import TABLE
from actbench.errors import UsageError

Norm = Literal["none", "batch", "layer"]
Auto = Literal["auto"]


def _require(condition: bool, key: str, value: object, wanted: str) -> None:
    if not condition:
        raise UsageError(f"{key}={value}: must be {wanted}")


def _require_at_most(group: str, config: Any, **limits: int) -> None:
    """Bounds far above sense: a slip of the finger is told at once, not by running out of memory."""
    for key, limit in limits.items():
        value = getattr(config, key)
        _require(not isinstance(value, int) or value <= limit, f"{group}.{key}", value, f"at most {limit}")


def _require_positive(group: str, config: Any, *keys: str) -> None:
    for key in keys:
        value = getattr(config, key)
        _require(value is None or value == "auto" or value > 0, f"{group}.{key}", value, "above 0")


@dataclass(frozen=True)
class DatasetConfig:
    name: Literal["digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "image_folder"]
    root: str | None
    download: bool
    image_size: int | None
    normalize: Literal["channel", "pixel", "none"]
    validation: float
    target: float

    def __post_init__(self) -> None:
        _require(self.root != "", "dataset.root", "", "a folder")
        _require(0 < self.validation < 1, "dataset.validation", self.validation, "a share between 0 and 1")
        _require(
            self.image_size is None or 8 <= self.image_size <= 1024, "dataset.image_size", self.image_size,
            "from 8 to 1024 pixels",
        )  # fmt: skip


@dataclass(frozen=True)
class MLPConfig:
    name: Literal["mlp"]
    depth: int
    width: int
    norm: Norm
    match_parameters: bool

    def __post_init__(self) -> None:
        _require_positive("architecture", self, "depth", "width")
        _require_at_most("architecture", self, depth=1000, width=65536)


@dataclass(frozen=True)
class CNNConfig:
    name: Literal["cnn"]
    depth: int
    width: int
    kernel: int
    stages: int
    norm: Norm
    match_parameters: bool

    def __post_init__(self) -> None:
        _require_positive("architecture", self, "depth", "width", "kernel", "stages")
        _require_at_most("architecture", self, depth=1000, width=65536, kernel=31)
        _require(self.kernel % 2 == 1, "architecture.kernel", self.kernel, "odd")


@dataclass(frozen=True)
class TransformerConfig:
    name: Literal["transformer"]
    depth: int
    width: int
    heads: int
    ffn: int
    patch: int | None
    norm: Norm
    match_parameters: bool

    def __post_init__(self) -> None:
        _require_positive("architecture", self, "depth", "width", "heads", "ffn", "patch")
        _require_at_most("architecture", self, depth=1000, width=65536, ffn=64, patch=1024)
        _require(
            self.width % self.heads == 0, "architecture.heads", self.heads, f"a divisor of the width, {self.width}"
        )


ArchitectureConfig = MLPConfig | CNNConfig | TransformerConfig
ARCHITECTURES = {"mlp": MLPConfig, "cnn": CNNConfig, "transformer": TransformerConfig}


@dataclass(frozen=True)
class ActivationConfig:
    name: str
    function: str | None
    slope: float | None
    alpha: float | None
    pieces: int | None

    def __post_init__(self) -> None:
        if self.name == "custom" and self.function is None:
            raise UsageError("activation=custom: say which function: activation.function=module:function")
        _require(self.function is not None or self.name in TABLE, "activation", self.name, "a row of the table")
        taken = TABLE[self.name].settings if self.function is None else ()
        for key in ("slope", "alpha", "pieces"):
            value = getattr(self, key)
            if key in taken:
                _require(value is not None, f"activation.{key}", value, "a number")
            else:
                _require(value is None, f"activation.{key}", value, f"left out: {self.label} does not take it")
        _require(self.pieces is None or 2 <= self.pieces <= 64, "activation.pieces", self.pieces, "from 2 to 64")
        _require(self.alpha is None or self.alpha > 0, "activation.alpha", self.alpha, "above 0")
        _require(self.slope is None or math.isfinite(self.slope), "activation.slope", self.slope, "finite")

    @property
    def label(self) -> str:
        """What tables call it: the row's name, or the user's module:function."""
        return self.function or self.name

    @property
    def settings(self) -> dict[str, float | int]:
        return {key: value for key in ("slope", "alpha", "pieces") if (value := getattr(self, key)) is not None}


@dataclass(frozen=True)
class InitializationConfig:
    name: Literal["matched", "he", "glorot", "torch", "orthogonal"]


def _check_optimizer(config: Any, *shares: str) -> None:
    _require_positive("optimizer", config, "lr")
    _require(math.isfinite(config.lr), "optimizer.lr", config.lr, "finite")
    _require(config.weight_decay >= 0, "optimizer.weight_decay", config.weight_decay, "0 or more")
    for key in shares:
        _require(
            0 <= getattr(config, key) < 1, f"optimizer.{key}", getattr(config, key), "from 0 up to, not including, 1"
        )


@dataclass(frozen=True)
class SGDConfig:
    name: Literal["sgd"]
    lr: float
    momentum: float
    nesterov: bool
    weight_decay: float

    def __post_init__(self) -> None:
        _check_optimizer(self, "momentum")
        _require(
            self.momentum > 0 or not self.nesterov, "optimizer.nesterov", self.nesterov, "false where momentum is 0"
        )


@dataclass(frozen=True)
class AdamConfig:
    name: Literal["adam", "adamw"]
    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float

    def __post_init__(self) -> None:
        _check_optimizer(self, "beta1", "beta2")
        _require_positive("optimizer", self, "eps")


@dataclass(frozen=True)
class RMSpropConfig:
    name: Literal["rmsprop"]
    lr: float
    alpha: float
    eps: float
    momentum: float
    weight_decay: float

    def __post_init__(self) -> None:
        _check_optimizer(self, "alpha", "momentum")
        _require_positive("optimizer", self, "eps")


@dataclass(frozen=True)
class AdagradConfig:
    name: Literal["adagrad"]
    lr: float
    lr_decay: float
    eps: float
    weight_decay: float

    def __post_init__(self) -> None:
        _check_optimizer(self)
        _require(self.lr_decay >= 0, "optimizer.lr_decay", self.lr_decay, "0 or more")
        _require_positive("optimizer", self, "eps")


OptimizerConfig = SGDConfig | AdamConfig | RMSpropConfig | AdagradConfig
OPTIMIZERS = {
    "sgd": SGDConfig, "adam": AdamConfig, "adamw": AdamConfig, "rmsprop": RMSpropConfig, "adagrad": AdagradConfig,
}  # fmt: skip


@dataclass(frozen=True)
class TrainingConfig:
    epochs: int
    steps: int | None
    batch_size: int
    schedule: Literal["constant", "cosine", "linear"]
    warmup: float
    label_smoothing: float
    clip_norm: float | None
    target: float
    evaluate_every: int | None
    measure_every: int | None
    probe_size: int
    augment: bool
    precision: Literal["fp32", "tf32", "bf16"]
    stack_size: int | Auto

    def __post_init__(self) -> None:
        _require_positive("training", self, "batch_size", "clip_norm", "evaluate_every", "probe_size", "stack_size")
        _require(self.measure_every is None or self.measure_every >= 0, "training.measure_every", self.measure_every,
                 "a number of steps, 0 for never, or null")  # fmt: skip
        _require_at_most("training", self, epochs=10**6, steps=10**9, batch_size=10**6, probe_size=10**6)
        _require(self.epochs >= 0, "training.epochs", self.epochs, "0 or more")
        _require(self.steps is None or self.steps >= 0, "training.steps", self.steps, "0 or more")
        _require(0 <= self.warmup <= 1, "training.warmup", self.warmup, "a share from 0 to 1")
        _require(0 <= self.label_smoothing < 1, "training.label_smoothing", self.label_smoothing, "from 0 to below 1")
        _require(0 < self.target <= 1, "training.target", self.target, "an accuracy above 0, at most 1")


@dataclass(frozen=True)
class ProtocolConfig:
    baseline: str
    learning_rates: tuple[float, ...] | None
    tuning_seeds: int
    seeds: int
    margin: float

    def __post_init__(self) -> None:
        _require_positive("protocol", self, "tuning_seeds", "seeds")
        rates = self.learning_rates
        _require(
            rates is None or (len(rates) > 0 and all(rate > 0 for rate in rates)), "protocol.learning_rates", rates,
            "numbers above 0",
        )  # fmt: skip
        _require(
            self.baseline in TABLE or ":" in self.baseline, "protocol.baseline", self.baseline,
            "an activation of the table or a module:function",
        )  # fmt: skip
        _require(0 <= self.margin < 1, "protocol.margin", self.margin, "from 0 to below 1")


@dataclass(frozen=True)
class ExecutionConfig:
    device: Literal["auto", "cpu", "cuda"]
    workers: int | Auto

    def __post_init__(self) -> None:
        _require_positive("execution", self, "workers")


@dataclass(frozen=True)
class StoreConfig:
    uri: str
    save_weights: Literal["none", "best", "last", "all"]
    system_metrics: bool

    def __post_init__(self) -> None:
        _require(self.uri != "", "store.uri", self.uri, "an MLflow tracking URI")


@dataclass(frozen=True)
class Config:
    """One run, and how its command is carried out (protocol, execution, store: these decide no number)."""

    dataset: DatasetConfig
    architecture: ArchitectureConfig
    activation: ActivationConfig
    initialization: InitializationConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    protocol: ProtocolConfig
    execution: ExecutionConfig
    store: StoreConfig
    seed: int

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**31, "seed", self.seed, "from 0 to 2147483647")


def from_mapping(mapping: Mapping[str, Any]) -> Config:
    """The composed configuration as dataclasses. Raises UsageError on unknown or missing keys and wrong values."""
    config: Config = _build(Config, mapping, "")
    return config


def _build(cls: type, mapping: Any, path: str) -> Any:
    """A dataclass from a mapping; path is the dotted key so far."""
    if not isinstance(mapping, Mapping):
        raise UsageError(f"{path}={mapping}: must be a group of keys")
    hints = _hints(cls)
    unknown = [key for key in mapping if key not in hints]
    if unknown:
        raise UsageError(f"unknown key {_join(path, unknown[0])}; known here: {', '.join(hints)}")
    missing = [key for key in hints if key not in mapping]
    if missing:
        raise UsageError(f"missing key {_join(path, missing[0])}")
    return cls(**{key: _value(hint, mapping[key], _join(path, key)) for key, hint in hints.items()})


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _value(hint: Any, value: Any, path: str) -> Any:
    if path in ("architecture", "optimizer"):
        choices: Mapping[str, type] = ARCHITECTURES if path == "architecture" else OPTIMIZERS
        name = str(value.get("name") if isinstance(value, Mapping) else value)
        if name not in choices:
            raise UsageError(f"{path}.name={name}: must be one of {', '.join(choices)}")
        return _build(choices[name], value, path)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, path)  # type: ignore[arg-type]
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for option in options:
        matched, converted = _match(option, value)
        if matched:
            return converted
    raise UsageError(f"{path}={value}: must be {' or '.join(_wanted(option) for option in options)}")


def _match(hint: Any, value: Any) -> tuple[bool, Any]:
    if get_origin(hint) is Literal:
        return value in get_args(hint), value
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        if not isinstance(value, list | tuple) or not all(_match(item, element)[0] for element in value):
            return False, None
        return True, tuple(_match(item, element)[1] for element in value)
    if hint is float:
        valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return valid, float(value) if valid else None
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return isinstance(value, hint), value


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint))) if len(get_args(hint)) > 1 else str(get_args(hint)[0])
    if get_origin(hint) is tuple:
        return "a list of numbers, [0.01,0.1]"
    names = {float: "a finite number", int: "a whole number", str: "text", bool: "true or false", type(None): "null"}
    return names[hint]
