"""Trained weights as safetensors files, and as a torch module that computes the same numbers as the run."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from actbench.activations.custom import own_facts
from actbench.activations.load import load_activation
from actbench.activations.source import source_digest
from actbench.data.batches import Split
from actbench.data.datasets import PreparedData, TextData, load_data
from actbench.data.float_batches import AnyBatches, split_of
from actbench.data.text_batches import text_windows
from actbench.determinism import autocast, float32_products, whole_vectors
from actbench.errors import UsageError, one_line
from actbench.experiment.kinds import prepare
from actbench.experiment.runs import Run, architecture
from actbench.experiment.schema import RunSettings
from actbench.experiment.validation import groups_of
from actbench.signals import replaced_file
from actbench.training.loop import Evaluation
from actbench.training.network import Network
from actbench.training.resume import SUFFIX

State = dict[str, Tensor]

# Keys of conf/dataset that files of weights from before them lack.
_LATER = ("max_pixels", "target_loss", "context", "length", "label", "kind", "group", "split", "missing")


def weights_folder(run: Run) -> Path:
    """The folder of a run's weights until they are stored, in the current folder."""
    return Path("results") / ".weights" / run.id


def run_state(network: Network, batches: AnyBatches, index: int) -> State:
    """Parameters, running statistics and input normalisation of one run of a stack, each without the run axis."""
    state: State = {}
    for name, tensor in network.parameters.items():
        owners = network.owners[name]
        if index in owners:
            state[_without_segment(name)] = tensor.detach()[owners.index(index)]
    state |= {name: buffer[index] for name, buffer in network.buffers.items()}
    state |= batches.constants(index)
    return {name: tensor.cpu().contiguous().clone() for name, tensor in state.items()}


def _without_segment(name: str) -> str:
    """activation0.2.slope, of the stack's third segment, is activation0.slope of a run; a user's may be longer."""
    layer, *rest = name.split(".")
    return ".".join((layer, *rest[1:])) if layer.startswith("activation") else name


class CheckpointWriter:
    """Writes the weights of a stack's runs during training, as store.save_weights says.

    `last.safetensors`; `best.safetensors`, of the highest score on those validation examples on which every
    evaluation is, the first of equals; for `all` these two and `step-N.safetensors` of every evaluation.
    """

    def __init__(self, runs: Sequence[Run], save_weights: str, best: list[float]) -> None:
        """best: highest score of each run so far, -inf at the start of a training; it is kept up to date."""
        self._runs, self._mode, self._best = runs, save_weights, best
        for run, accuracy in zip(runs, best, strict=True):
            if accuracy == -math.inf:  # left by a training that was interrupted
                shutil.rmtree(weights_folder(run), ignore_errors=True)

    def __call__(self, step: int, evaluation: Evaluation, network: Network, batches: AnyBatches) -> None:
        """At an evaluation."""
        loss, score, comparable = evaluation
        for index, run in enumerate(self._runs):
            names, mode = [], self._mode
            if mode == "none" or not math.isfinite(loss[index]):
                continue
            if mode in ("best", "all") and float(comparable[index]) > self._best[index]:
                self._best[index] = float(comparable[index])
                names.append("best")
            if mode in ("last", "all") and step == run.steps:
                names.append("last")
            if mode == "all":
                names.append(f"step-{step}")
            if names:
                state = run_state(network, batches, index)
                for name in names:
                    save_checkpoint(weights_folder(run) / f"{name}{SUFFIX}", state, run, step, float(score[index]))


def lacks_weights(runs: Sequence[Run], save_weights: str, best: Sequence[float]) -> bool:
    """Whether the best weights of a training that is to go on are gone. best: as CheckpointWriter has them."""
    return save_weights in ("best", "all") and any(
        math.isfinite(accuracy) and not (weights_folder(run) / f"best{SUFFIX}").is_file()
        for run, accuracy in zip(runs, best, strict=True)
    )


def save_checkpoint(path: Path, tensors: State, run: Run, step: int, score: float) -> None:
    """Writes tensors and, as JSON in the file's head, all that is needed to compute with them; replaces the file."""
    data = {key: value for key, value in asdict(run.data).items() if key != "folder"}
    config = run.settings.model_dump()
    digest, gate_digest = ("" if own is None else own.digest for own in (run.own, run.own_gate))
    head = {"run_id": run.id, "step": step, "val_score": score, "digest": digest, "gate_digest": gate_digest,
            "config": config, "data": data}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(path) as scratch:
        save_file(tensors, scratch, {"actbench": json.dumps(head)})


class Model(nn.Module):
    """A trained network of actbench as a torch module. Its parameters may be trained further.

    It changes no global setting of torch; a backward pass on a GPU follows the caller's flags for tf32. run_id, step,
    val_score: of the run that it comes from, at the evaluation that saved these weights. config, data: of that run.
    """

    def __init__(self, head: Mapping[str, Any], tensors: State) -> None:
        super().__init__()
        self.run_id, self.step = str(head["run_id"]), int(head["step"])
        self.val_score = float(head.get("val_score", head.get("val_accuracy")))  # older files have the accuracy
        # Older files hold groups of the command too, and lack keys that came later.
        training = {"dropout": 0.0, "target_loss": None} | head["config"]["training"]
        dataset = dict.fromkeys(_LATER) | head["config"]["dataset"]
        self.config = groups_of(RunSettings, head["config"] | {"training": training, "dataset": dataset})
        self.data = PreparedData(folder="", **head["data"])
        activation = self.config.activation
        gate = getattr(self.config.architecture, "gate", "")
        for function, key in ((activation.function or "", "digest"), (gate, "gate_digest")):
            if ":" in function and source_digest(function) != head[key]:
                raise UsageError(  # before anything of it is imported
                    f"{function} is not the code that run {self.run_id} was trained with; bring that back, or "
                    "train anew"
                )
        self._applied = load_activation(activation.name, activation.function, **activation.settings)
        own = None if activation.function is None else own_facts(self._applied)
        self._architecture = architecture(self.config, self.data, own)
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            inner: nn.Module = self
            for part in path:
                if part not in inner._modules:
                    inner.add_module(part, nn.Module())
                inner = inner.get_submodule(part)
            if name in self._architecture.buffers or path in (["input"], ["target"]):
                inner.register_buffer(last, tensor)
            else:
                inner.register_parameter(last, nn.Parameter(tensor))

    @property
    def val_accuracy(self) -> float:
        """`val_score`, of data whose metric is the accuracy."""
        return self.val_score

    def forward(self, examples: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width), uint8, or float from 0 to 1.

        Of a table: rows (batch, columns), NaN for a missing value; of sequences (batch, time, features); of text logits
        (batch, context, classes) of characters, int64 (batch, context). A regression answers (batch, 1), in the units
        of the table. Raises ValueError for examples of another shape.
        """
        x = self._inputs(examples)
        parameters = {name: tensor.unsqueeze(0) for name, tensor in self.named_parameters()}
        buffers = {name: self.get_buffer(name).unsqueeze(0) for name in self._architecture.buffers}
        drawn: dict[tuple[str, int], Tensor] = {}
        precision = self.config.training.precision
        with float32_products(precision), autocast(precision, x.device):
            logits = self._architecture.forward(
                parameters,
                buffers,
                x.unsqueeze(0),
                lambda layer, z: self._activate(parameters, drawn, layer, z),
                self.training,
            )
        outputs = logits.float()[0]
        if "target.scale" in dict(self.named_buffers()):
            outputs = (outputs - self.get_buffer("target.shift")) / self.get_buffer("target.scale")
        return outputs

    def _inputs(self, examples: Tensor) -> Tensor:
        """What the network sees of the examples. Raises ValueError."""
        data = self.data
        shape = {
            "images": (data.channels, data.height, data.width), "table": (data.width,),
            "sequences": (data.height, data.width), "text": (data.height,),
        }[data.kind]  # fmt: skip
        if examples.shape[1:] != shape:
            what = "images" if data.kind == "images" else "examples"
            sizes = ", ".join(map(str, shape))
            raise ValueError(f"{what} are {tuple(examples.shape)}; this model takes (batch, {sizes})")
        if data.kind == "text":
            return examples.long()
        if data.kind == "sequences":
            return examples.float().unsqueeze(-1)
        scale, shift = self.get_buffer("input.scale"), self.get_buffer("input.shift")
        if data.kind == "table":
            rows = torch.where(examples.isnan(), self.get_buffer("input.fill"), examples.double())
            return (rows * scale + shift).float()[:, None, :, None]
        pixels = examples.float() if examples.dtype == torch.uint8 else examples.float() * 255
        return pixels.permute(0, 2, 3, 1).contiguous() * scale + shift

    def _activate(
        self, parameters: Mapping[str, Tensor], drawn: dict[tuple[str, int], Tensor], layer: int, z: Tensor
    ) -> Tensor:
        """Units of a hidden layer. drawn: noise and dropout's factors, the same at every time step."""
        prefix = f"activation{layer}."
        learned = {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}

        def uniform(shape: torch.Size) -> Tensor:
            return drawn.setdefault(("noise", layer), torch.rand(shape, device=z.device))

        units = self._applied.forward(whole_vectors(z), learned, uniform if self.training else None)[:, : z.shape[1]]
        if not self.training or not self.config.training.dropout:
            return units
        factors = F.dropout(torch.ones_like(units), self.config.training.dropout)
        return units * drawn.setdefault(("dropout", layer), factors)

    def examples(self, part: str = "test", root: str | None = None) -> tuple[Tensor, Tensor]:
        """The run's test, validation or train examples: images uint8 (n, channels, height, width), labels (n,).

        Of a table, sequences and text as `forward` takes them, with their targets; of text the windows stand in the
        order of the text and do not overlap. root: the folder of the data set, as dataset.root; None: the run's. Raises
        UsageError where the data set is not there or differs from the run's.
        """
        dataset = self.config.dataset
        prepared = prepare(dataset, root, False)
        if prepared.fingerprint != self.data.fingerprint:
            raise UsageError(
                f"dataset={dataset.name}: these images are not those of run {self.run_id}; name their root"
            )
        if part not in Split._fields:
            raise UsageError(f"examples({part!r}): there are test, validation and train")
        data = load_data(prepared)
        if isinstance(data, TextData):
            return text_windows(getattr(data, part), self.data.height)
        if part == "test" and self.data.own_test:
            return self._as_given(data.test_images), data.test_labels
        index = getattr(split_of(data, self.data, self.config.seed, dataset.validation), part)
        return self._as_given(data.train_images[index]), data.train_labels[index]

    def _as_given(self, examples: Tensor) -> Tensor:
        """Examples (n, height, width, channels) as `forward` takes them."""
        if self.data.kind == "images":
            return examples.permute(0, 3, 1, 2)
        return examples[:, 0, :, 0] if self.data.kind == "table" else examples[..., 0]


def read_checkpoint(path: Path) -> Model:
    """The model of a file of weights, in evaluation mode. Raises UsageError for any other file."""
    try:
        with safe_open(path, "pt") as file:
            head = json.loads(file.metadata()["actbench"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Model(head, tensors).eval()
    except UsageError:
        raise
    except Exception as error:  # a damaged head has keys, types and shapes of any kind
        raise UsageError(f"{path} holds no weights of actbench: {one_line(error)}") from error
