"""Settings that decide how a command executes its runs, and do not enter their ids."""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from actbench.activations.table import TABLE
from actbench.experiment.schema import Auto, Positive, Share
from actbench.experiment.validation import Settings, require

_RATES = "a list of numbers above 0, [0.01,0.1],"


class ProtocolSettings(Settings):
    """conf/protocol: what `compare` trains and how it judges."""

    baseline: str
    learning_rates: Annotated[tuple[Positive, ...] | None, Field(min_length=1, description=_RATES), Strict(False)]
    seeds: Annotated[int, Field(gt=0)]
    margin: Share
    racing: bool
    equal_time: bool

    @model_validator(mode="after")
    def _known_baseline(self) -> Self:
        known = self.baseline in TABLE or ":" in self.baseline
        require(known, "protocol.baseline", self.baseline, "an activation of the table or a module:function")
        rates = self.learning_rates or ()
        require(len(set(rates)) == len(rates), "protocol.learning_rates", list(rates), "a list without equal rates")
        return self


class ExecutionSettings(Settings):
    """conf/execution: where runs train."""

    device: Literal["auto", "cpu", "cuda"]
    workers: Annotated[int, Field(gt=0)] | Auto
    timeout: Positive
    checkpoint_minutes: Annotated[float, Field(ge=0)]


class StoreSettings(Settings):
    """conf/store: where results go, and which weights are kept."""

    uri: Annotated[str, Field(min_length=1, description="an MLflow tracking URI")]
    save_weights: Literal["none", "best", "last", "all"]
    system_metrics: bool


class CommandSettings(Settings):
    """How a command executes its runs; the same for all of them."""

    protocol: ProtocolSettings
    execution: ExecutionSettings
    store: StoreSettings
