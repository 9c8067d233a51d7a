"""The settings of a run as frozen pydantic models, one field per key of conf/. Defaults live in conf/ alone."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from actbench.activations.table import TABLE
from actbench.errors import UsageError
from actbench.experiment.architecture_settings import ArchitectureSettings
from actbench.experiment.dataset_settings import DatasetSettings
from actbench.experiment.marks import OUTSIDE_ID, Absent, deciding_keys, present_keys
from actbench.experiment.validation import Settings, require

Auto = Literal["auto"]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
LARGEST_SEED = 2**31 - 1
Count = Annotated[int, Field(gt=0, le=10**6)]


class ActivationSettings(Settings):
    """conf/activation: a row of the table or a user's function, with the settings that it takes."""

    name: str
    function: str | None
    slope: float | None
    alpha: Positive | None
    pieces: Annotated[int | None, Field(ge=2, le=64)]

    @model_validator(mode="before")
    @classmethod
    def _function_replaces_the_row(cls, keys: Any) -> Any:
        return {**keys, "name": "custom"} if isinstance(keys, Mapping) and keys.get("function") else keys

    @model_validator(mode="after")
    def _only_settings_that_it_takes(self) -> Self:
        if self.function is None:
            if self.name == "custom":
                raise UsageError("activation=custom: say which function: activation.function=module:function")
            require(self.name in TABLE, "activation", self.name, "a row of the table")
        taken = TABLE[self.name].settings if self.function is None else ()
        for key in ("slope", "alpha", "pieces"):
            value, wanted = getattr(self, key), "a number" if key in taken else f"null: {self.label} does not take it"
            require((value is not None) == (key in taken), f"activation.{key}", value, wanted)
        return self

    @property
    def label(self) -> str:
        """The name in tables: of the row, or the user's module:function."""
        return self.function or self.name

    @property
    def settings(self) -> dict[str, float | int]:
        """The settings that this activation takes, by key."""
        return self.model_dump(include={"slope", "alpha", "pieces"}, exclude_none=True)


class InitializationSettings(Settings):
    """conf/initialization."""

    name: Literal["matched", "he", "glorot", "torch", "orthogonal"]


class SGDSettings(Settings):
    """conf/optimizer/sgd.yaml and nesterov.yaml."""

    name: Literal["sgd"]
    lr: Positive
    momentum: Share
    nesterov: bool
    weight_decay: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        allowed = self.momentum > 0 or not self.nesterov
        require(allowed, "optimizer.nesterov", self.nesterov, "false where momentum is 0")
        return self


class AdamSettings(Settings):
    """conf/optimizer/adam.yaml and adamw.yaml."""

    name: Literal["adam", "adamw"]
    lr: Positive
    beta1: Share
    beta2: Share
    eps: Positive
    weight_decay: Annotated[float, Field(ge=0)]

    @model_validator(mode="before")
    @classmethod
    def _betas_are_both(cls, keys: Any) -> Any:
        """`optimizer.betas=[0.9,0.99]` is short for beta1 and beta2."""
        if not isinstance(keys, Mapping) or "betas" not in keys:
            return keys
        rest = {key: value for key, value in keys.items() if key != "betas"}
        betas = keys["betas"]
        if betas is None:
            return rest
        pair = isinstance(betas, list | tuple) and len(betas) == 2
        require(pair, "optimizer.betas", betas, "two numbers, [0.9,0.999], or null")
        return {**rest, "beta1": betas[0], "beta2": betas[1]}


class RMSpropSettings(Settings):
    """conf/optimizer/rmsprop.yaml."""

    name: Literal["rmsprop"]
    lr: Positive
    alpha: Share
    eps: Positive
    momentum: Share
    weight_decay: Annotated[float, Field(ge=0)]


class AdagradSettings(Settings):
    """conf/optimizer/adagrad.yaml."""

    name: Literal["adagrad"]
    lr: Positive
    lr_decay: Annotated[float, Field(ge=0)]
    eps: Positive
    weight_decay: Annotated[float, Field(ge=0)]


OptimizerSettings = Annotated[
    SGDSettings | AdamSettings | RMSpropSettings | AdagradSettings, Field(discriminator="name")
]


# Warmup where training.warmup is null: a share of the steps, by schedule.
_WARMUP = {"constant": 0.0, "cosine": 0.05, "linear": 0.05}


class TrainingSettings(Settings):
    """conf/training: length, batches, schedule, evaluation and measurement of a run."""

    epochs: Annotated[int, Field(ge=0, le=10**6), OUTSIDE_ID]  # the id has the steps that follow from them
    steps: Annotated[int | None, Field(ge=0, le=10**9)]
    batch_size: Count
    schedule: Literal["constant", "cosine", "linear"]
    warmup: Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1, or null")]
    dropout: Annotated[Share, Absent(0.0)]
    label_smoothing: Share
    clip_norm: Positive | None
    target: Annotated[float | None, Field(gt=0, le=1)]
    target_loss: Positive | None
    evaluate_every: Annotated[int | None, Field(gt=0)]
    measure_every: Annotated[int | None, Field(ge=0, description="a number of steps, 0 for never,")]
    probe_size: Count
    augment: bool
    precision: Literal["fp32", "tf32", "bf16"]
    stack_size: Annotated[Annotated[int, Field(gt=0)] | Auto, OUTSIDE_ID]

    @model_validator(mode="before")
    @classmethod
    def _warmup_follows_the_schedule(cls, keys: Any) -> Any:
        if not isinstance(keys, Mapping) or keys.get("warmup", 0) is not None:
            return keys
        return {**keys, "warmup": _WARMUP.get(str(keys.get("schedule")), 0.0)}


class RunSettings(Settings):
    """Everything that decides a run, beside the content of its data and of a user's own function."""

    dataset: DatasetSettings
    architecture: ArchitectureSettings
    activation: ActivationSettings
    initialization: InitializationSettings
    optimizer: OptimizerSettings
    training: TrainingSettings
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)]

    def at(self, rate: float, seed: int) -> "RunSettings":
        """These settings at another learning rate and seed."""
        return self.model_copy(update={"optimizer": self.optimizer.model_copy(update={"lr": rate}), "seed": seed})

    def deciding(self) -> dict[str, Any]:
        """All keys that can decide the run's numbers, as nested dicts."""
        return {name: deciding_keys(own) if isinstance(own, Settings) else own for name, own in self}

    def in_id(self) -> dict[str, Any]:
        """The keys that are part of the run id, as nested dicts: without those whose value means absence.

        So a key that is added later does not move the ids of existing runs.
        """
        return {name: present_keys(own) if isinstance(own, Settings) else own for name, own in self}
