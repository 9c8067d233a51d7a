"""The settings of architectures, one model each, one field per key of conf/architecture."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from actbench.activations.table import GATES
from actbench.experiment.marks import Absent
from actbench.experiment.validation import Settings, require

Norm = Literal["none", "batch", "layer"]
# Bounds far above any sensible value reject a typing error before memory is allocated.
Depth = Annotated[int, Field(gt=0, le=1000)]
Width = Annotated[int, Field(gt=0, le=65536)]


def _require_divisor(heads: int, width: int) -> None:
    require(width % heads == 0, "architecture.heads", heads, f"a divisor of the width, {width}")


class MLPSettings(Settings):
    """conf/architecture/mlp*.yaml."""

    name: Literal["mlp"]
    depth: Depth
    width: Width
    norm: Norm
    match_parameters: bool


class CNNSettings(Settings):
    """conf/architecture/cnn*.yaml."""

    name: Literal["cnn"]
    depth: Depth
    width: Width
    kernel: Annotated[int, Field(gt=0, le=31)]
    stages: Annotated[int, Field(gt=0)]
    norm: Norm
    match_parameters: bool

    @model_validator(mode="after")
    def _odd_kernel(self) -> Self:
        require(self.kernel % 2 == 1, "architecture.kernel", self.kernel, "odd")
        return self


class TransformerSettings(Settings):
    """conf/architecture/transformer*.yaml."""

    name: Literal["transformer"]
    depth: Depth
    width: Width
    heads: Annotated[int, Field(gt=0)]
    ffn: Annotated[int, Field(gt=0, le=64)]
    patch: Annotated[int | None, Field(gt=0, le=1024)]
    norm: Norm
    match_parameters: bool

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        _require_divisor(self.heads, self.width)
        return self


class DecoderSettings(Settings):
    """conf/architecture/decoder*.yaml."""

    name: Literal["decoder"]
    depth: Depth
    width: Width
    heads: Annotated[int, Field(gt=0)]
    ffn: Annotated[int, Field(gt=0, le=64)]
    norm: Literal["none", "layer", "rms"]
    position: Literal["learned", "rope"]
    bias: bool
    tie: bool
    match_parameters: bool

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        _require_divisor(self.heads, self.width)
        pairs = self.position != "rope" or self.width // self.heads % 2 == 0
        require(pairs, "architecture.heads", self.heads, "such that rope has an even number of features a head")
        return self


class RecurrentSettings(Settings):
    """What the recurrent architectures share. They have no normalisation layers."""

    depth: Depth
    width: Width
    norm: Literal["none"]
    match_parameters: bool


class RNNSettings(RecurrentSettings):
    """conf/architecture/rnn*.yaml."""

    name: Literal["rnn"]
    identity: Annotated[bool, Absent(False)]


class GatedSettings(RecurrentSettings):
    """What recurrent architectures with gates share."""

    gate: str

    @model_validator(mode="after")
    def _known_gate(self) -> Self:
        wanted = f"one of {', '.join(GATES)}, or module:function"
        require(self.gate in GATES or ":" in self.gate, "architecture.gate", self.gate, wanted)
        return self


class GRUSettings(GatedSettings):
    """conf/architecture/gru*.yaml."""

    name: Literal["gru"]


class LSTMSettings(GatedSettings):
    """conf/architecture/lstm*.yaml."""

    name: Literal["lstm"]
    forget_bias: Annotated[float, Field(ge=-100, le=100), Absent(0.0)]


ArchitectureSettings = Annotated[
    MLPSettings | CNNSettings | TransformerSettings | DecoderSettings | RNNSettings | GRUSettings | LSTMSettings,
    Field(discriminator="name"),
]
