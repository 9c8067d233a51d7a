"""Trained weights as files (safetensors), and as a torch module that computes what the run has computed."""

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from actbench.data.batches import Batches, split
from actbench.data.datasets import PreparedData, load_data, prepare_data
from actbench.determinism import autocast, restored_precision, set_precision, whole_vectors
from actbench.errors import UsageError
from actbench.experiment.runs import Run, architecture_of, bound_activation
from actbench.experiment.schema import from_mapping
from actbench.training.network import Network

SUFFIX = ".safetensors"

State = dict[str, Tensor]


def weights_folder(run: Run) -> Path:
    """Where a run's weights lie until they are stored, in the current folder."""
    return Path("results") / ".weights" / run.id


def run_state(network: Network, batches: Batches, index: int) -> State:
    """Parameters, running statistics and input normalisation of one run of a stack, each without the run axis."""
    found: State = {}
    for name, tensor in network.parameters.items():
        owners = network.owners[name]
        if index in owners:
            found[_plain(name)] = tensor.detach()[owners.index(index)]
    found |= {name: buffer[index] for name, buffer in network.buffers.items()}
    scale, shift = batches.normalization(index)
    found |= {"input.scale": scale, "input.shift": shift}
    return {name: tensor.cpu().contiguous().clone() for name, tensor in found.items()}


def _plain(name: str) -> str:
    """activation0.2.slope, of the stack's third segment, is activation0.slope of a run; a user's may be longer."""
    layer, *rest = name.split(".")
    return ".".join((layer, *rest[1:])) if layer.startswith("activation") else name


class CheckpointWriter:
    """Writes weights of the runs of a stack while it trains, as their store.save_weights asks for: `last.safetensors`,
    `best.safetensors` (of the highest validation accuracy, the first of equals) and, of all, `step-N.safetensors`."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._best = [-math.inf] * len(runs)
        for run in runs:  # of a training that was cut short
            shutil.rmtree(weights_folder(run), ignore_errors=True)

    def __call__(self, step: int, loss: Tensor, accuracy: Tensor, network: Network, batches: Batches) -> None:
        """At an evaluation: loss and accuracy (runs,), on the validation set."""
        for index, run in enumerate(self._runs):
            names, mode = [], run.config.store.save_weights
            if mode == "none" or not math.isfinite(loss[index]):
                continue
            if mode in ("best", "all") and float(accuracy[index]) > self._best[index]:
                self._best[index] = float(accuracy[index])
                names.append("best")
            if mode in ("last", "all") and step == run.steps:
                names.append("last")
            if mode == "all":
                names.append(f"step-{step}")
            if names:
                found = run_state(network, batches, index)
                for name in names:
                    save_checkpoint(weights_folder(run) / f"{name}{SUFFIX}", found, run, step, float(accuracy[index]))


def save_checkpoint(path: Path, tensors: State, run: Run, step: int, accuracy: float) -> None:
    """One file, whole or not at all: tensors, and what is needed to compute with them."""
    data = {key: value for key, value in asdict(run.data).items() if key != "folder"}
    config = asdict(run.config) | {"store": None, "execution": None, "protocol": None}
    digest = bound_activation(run.config).digest  # of the code of a user's own activation
    head = {"run_id": run.id, "step": step, "val_accuracy": accuracy, "digest": digest, "config": config, "data": data}
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}")
    save_file(tensors, scratch, {"actbench": json.dumps(head)})
    scratch.replace(path)


class Model(nn.Module):
    """A trained network of actbench as a torch module. Its parameters may be trained further.

    run_id, step, val_accuracy: of the run that it comes from, when these weights were kept. config: of that run.
    """

    def __init__(self, head: Mapping[str, Any], tensors: State) -> None:
        super().__init__()
        self.run_id, self.step, self.val_accuracy = str(head["run_id"]), int(head["step"]), float(head["val_accuracy"])
        self.config = from_mapping(head["config"] | _UNUSED)
        self.data = PreparedData(folder="", **head["data"])
        self._applied = bound_activation(self.config)
        if self._applied.digest != head["digest"]:
            raise UsageError(
                f"{self.config.activation.function} is not the code that run {self.run_id} was trained with; bring "
                "that back, or train anew"
            )
        self._architecture = architecture_of(self.config, self.data)
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            inner: nn.Module = self
            for part in path:
                if part not in inner._modules:
                    inner.add_module(part, nn.Module())
                inner = inner.get_submodule(part)
            if name in self._architecture.buffers or path == ["input"]:
                inner.register_buffer(last, tensor)
            else:
                inner.register_parameter(last, nn.Parameter(tensor))

    def forward(self, images: Tensor) -> Tensor:
        """images: (batch, channels, height, width), uint8, or float from 0 to 1. Returns logits (batch, classes)."""
        wanted = (self.data.channels, self.data.height, self.data.width)
        if images.dim() != 4 or images.shape[1:] != wanted:
            raise ValueError(
                f"images are {tuple(images.shape)}; this model takes (batch, {', '.join(map(str, wanted))})"
            )
        pixels = images.float() if images.dtype == torch.uint8 else images.float() * 255
        x = pixels.permute(0, 2, 3, 1).contiguous() * self.get_buffer("input.scale") + self.get_buffer("input.shift")
        parameters = {name: tensor.unsqueeze(0) for name, tensor in self.named_parameters()}
        buffers = {name: self.get_buffer(name).unsqueeze(0) for name in self._architecture.buffers}
        with restored_precision(), autocast(self.config.training.precision, x.device):
            set_precision(self.config.training.precision)
            logits = self._architecture.forward(
                parameters,
                buffers,
                x.unsqueeze(0),
                lambda layer, z: self._activate(parameters, layer, z),
                self.training,
            )
        return logits.to(x.dtype)[0]

    def _activate(self, parameters: Mapping[str, Tensor], layer: int, z: Tensor) -> Tensor:
        prefix = f"activation{layer}."
        learned = {name.removeprefix(prefix): own for name, own in parameters.items() if name.startswith(prefix)}
        draw = self._draw(z.device) if self.training and self._applied.record.random else None
        whole = whole_vectors(z)
        return self._applied.function(whole, {**self._applied.settings, **learned, "uniform": draw})[:, : z.shape[1]]

    def _draw(self, device: torch.device) -> Callable[[torch.Size], Tensor]:
        return lambda shape: torch.rand(shape, device=device)

    def examples(self, part: str = "test", root: str | None = None) -> tuple[Tensor, Tensor]:
        """The run's own test, validation or train examples: images uint8 (n, channels, height, width), labels (n,).

        root: where the data set is, as dataset.root; None: where the run found it. Raises UsageError where it is not
        there or differs from the run's.
        """
        own = self.config.dataset
        prepared = prepare_data(own.name, root or own.root, False, own.image_size)
        if prepared.fingerprint != self.data.fingerprint:
            raise UsageError(f"dataset={own.name}: these images are not those of run {self.run_id}; name their root")
        data = load_data(prepared)
        if part == "test":
            return data.test_images.permute(0, 3, 1, 2), data.test_labels
        if part not in ("train", "validation"):
            raise UsageError(f"examples({part!r}): there are test, validation and train")
        train, validation = split(self.config.seed, self.data.train, self.data.validation_size(own.validation))
        index = {"train": train, "validation": validation}[part]
        return data.train_images[index].permute(0, 3, 1, 2), data.train_labels[index]


_UNUSED = {  # no part of what a network computes
    "protocol": {"baseline": "relu", "learning_rates": None, "tuning_seeds": 1, "seeds": 1, "margin": 0.0},
    "execution": {"device": "cpu", "workers": 1},
    "store": {"uri": "sqlite:///mlflow.db", "save_weights": "none", "system_metrics": False},
}


def read_checkpoint(path: Path) -> Model:
    """The model of a file of weights, in evaluation mode. Raises UsageError where it is none."""
    try:
        with safe_open(path, "pt") as file:
            head = json.loads(file.metadata()["actbench"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} holds no weights of actbench: {error}") from error
    return Model(head, tensors).eval()
