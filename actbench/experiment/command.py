"""Settings that decide how a command executes its runs, and do not enter their ids."""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from actbench.activations.table import TABLE
from actbench.experiment.questions import check_folder_name
from actbench.experiment.schema import Auto, Positive, Share
from actbench.experiment.validation import Settings, require

_RATES = "a list of numbers above 0, [0.01,0.1],"


class ProtocolSettings(Settings):
    """conf/protocol: what `compare` trains and how it judges."""

    baseline: str
    learning_rates: Annotated[tuple[Positive, ...] | None, Field(min_length=1, description=_RATES), Strict(False)]
    seeds: Annotated[int, Field(gt=0)]
    margin: Share
    margin_r2: Share
    margin_bits: Annotated[float, Field(ge=0)]
    racing: bool
    equal_time: bool

    def margin_of(self, metric: str) -> float:
        """The margin of the scores of a metric, as experiment.scores has them."""
        return {"r2": self.margin_r2, "bits_per_character": self.margin_bits}.get(metric, self.margin)

    @model_validator(mode="after")
    def _known_baseline(self) -> Self:
        known = self.baseline in TABLE or ":" in self.baseline
        require(known, "protocol.baseline", self.baseline, "an activation of the table or a module:function")
        rates = self.learning_rates or ()
        require(len(set(rates)) == len(rates), "protocol.learning_rates", list(rates), "a list without equal rates")
        return self


class SlurmSettings(Settings):
    """conf/execution/slurm.yaml: what a job of Slurm asks for. memory: GB; additional: further options of sbatch."""

    partition: str | None
    account: str | None
    minutes: Annotated[int, Field(gt=0)]
    memory: Annotated[Positive | None, Strict(False)]
    gpus: Annotated[int, Field(ge=0)]
    additional: Annotated[
        dict[str, str | int | float | bool] | None, Field(description="options of sbatch, {qos:low,exclude:n1},")
    ]


class RaySettings(Settings):
    """conf/execution/ray.yaml: the cluster, and what a task of Ray asks for."""

    address: Annotated[str | None, Field(min_length=1, description="auto, or HOST:PORT of a cluster")]
    minutes: Annotated[int, Field(gt=0)]
    gpus: Annotated[float, Field(ge=0), Strict(False)]


class ExecutionSettings(Settings):
    """conf/execution: where runs train. retries, wait: of jobs on a cluster."""

    device: Literal["auto", "cpu", "cuda"]
    workers: Annotated[int, Field(gt=0)] | Auto
    timeout: Positive
    checkpoint_minutes: Annotated[float, Field(ge=0)]
    retries: Annotated[int, Field(ge=0)]
    wait: bool
    slurm: SlurmSettings | None
    ray: RaySettings | None

    @model_validator(mode="after")
    def _jobs_have_a_number(self) -> Self:
        counted = self.workers != "auto" or (self.slurm is None and self.ray is None)
        require(counted, "execution.workers", self.workers, "a whole number above 0, the jobs at once")
        waits = self.wait or self.slurm is not None
        require(waits, "execution.wait", self.wait, "true, as only jobs of Slurm outlive the command")
        require(self.slurm is None or self.ray is None, "execution.slurm", "a group", "null with execution=ray")
        return self


class StoreSettings(Settings):
    """conf/store: where results go, and which weights are kept."""

    uri: Annotated[str, Field(min_length=1, description="an MLflow tracking URI")]
    save_weights: Literal["none", "best", "last", "all"]
    system_metrics: bool


class CommandSettings(Settings):
    """How a command executes its runs; the same for all of them. name: of its results, in place of the default."""

    name: Annotated[str | None, Field(description="text, in quotes where it is a number,")]
    protocol: ProtocolSettings
    execution: ExecutionSettings
    store: StoreSettings

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str | None) -> str | None:
        if name is not None:
            check_folder_name(name, f"name={name[:80]}: must be the name of a folder")
        return name
