"""Trained weights as safetensors files, and as a torch module that computes the same numbers as the run."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
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
from actbench.data.batches import Batches, Split, split
from actbench.data.datasets import PreparedData, load_data, prepare_data
from actbench.determinism import autocast, float32_products, whole_vectors
from actbench.errors import UsageError, one_line
from actbench.experiment.runs import Run, architecture
from actbench.experiment.schema import RunSettings
from actbench.experiment.validation import groups_of
from actbench.signals import replaced_file
from actbench.training.loop import Evaluation
from actbench.training.network import Network
from actbench.training.resume import SUFFIX

State = dict[str, Tensor]


def weights_folder(run: Run) -> Path:
    """The folder of a run's weights until they are stored, in the current folder."""
    return Path("results") / ".weights" / run.id


def run_state(network: Network, batches: Batches, index: int) -> State:
    """Parameters, running statistics and input normalisation of one run of a stack, each without the run axis."""
    state: State = {}
    for name, tensor in network.parameters.items():
        owners = network.owners[name]
        if index in owners:
            state[_without_segment(name)] = tensor.detach()[owners.index(index)]
    state |= {name: buffer[index] for name, buffer in network.buffers.items()}
    scale, shift = batches.normalization(index)
    state |= {"input.scale": scale, "input.shift": shift}
    return {name: tensor.cpu().contiguous().clone() for name, tensor in state.items()}


def _without_segment(name: str) -> str:
    """activation0.2.slope, of the stack's third segment, is activation0.slope of a run; a user's may be longer."""
    layer, *rest = name.split(".")
    return ".".join((layer, *rest[1:])) if layer.startswith("activation") else name


class CheckpointWriter:
    """Writes the weights of a stack's runs during training, as store.save_weights says.

    `last.safetensors`; `best.safetensors`, of the highest accuracy on those validation examples on which every
    evaluation is, the first of equals; for `all` these two and `step-N.safetensors` of every evaluation.
    """

    def __init__(self, runs: Sequence[Run], save_weights: str, best: list[float]) -> None:
        """best: highest accuracy of each run so far, -inf at the start of a training; it is kept up to date."""
        self._runs, self._mode, self._best = runs, save_weights, best
        for run, accuracy in zip(runs, best, strict=True):
            if accuracy == -math.inf:  # left by a training that was interrupted
                shutil.rmtree(weights_folder(run), ignore_errors=True)

    def __call__(self, step: int, evaluation: Evaluation, network: Network, batches: Batches) -> None:
        """At an evaluation."""
        loss, accuracy, comparable = evaluation
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
                    save_checkpoint(weights_folder(run) / f"{name}{SUFFIX}", state, run, step, float(accuracy[index]))


def lacks_weights(runs: Sequence[Run], save_weights: str, best: Sequence[float]) -> bool:
    """Whether the best weights of a training that is to go on are gone. best: as CheckpointWriter has them."""
    return save_weights in ("best", "all") and any(
        math.isfinite(accuracy) and not (weights_folder(run) / f"best{SUFFIX}").is_file()
        for run, accuracy in zip(runs, best, strict=True)
    )


def save_checkpoint(path: Path, tensors: State, run: Run, step: int, accuracy: float) -> None:
    """Writes tensors and, as JSON in the file's head, all that is needed to compute with them; replaces the file."""
    data = {key: value for key, value in asdict(run.data).items() if key != "folder"}
    config = run.settings.model_dump()
    digest = "" if run.own is None else run.own.digest
    head = {"run_id": run.id, "step": step, "val_accuracy": accuracy, "digest": digest, "config": config, "data": data}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(path) as scratch:
        save_file(tensors, scratch, {"actbench": json.dumps(head)})


class Model(nn.Module):
    """A trained network of actbench as a torch module. Its parameters may be trained further.

    It changes no global setting of torch; a backward pass on a GPU follows the caller's flags for tf32. run_id, step,
    val_accuracy: of the run that it comes from, at the evaluation that saved these weights. config, data: of that run.
    """

    def __init__(self, head: Mapping[str, Any], tensors: State) -> None:
        super().__init__()
        self.run_id, self.step, self.val_accuracy = str(head["run_id"]), int(head["step"]), float(head["val_accuracy"])
        # Older files hold groups of the command too, and neither dropout nor max_pixels.
        training = {"dropout": 0.0} | head["config"]["training"]
        dataset = {"max_pixels": None} | head["config"]["dataset"]
        self.config = groups_of(RunSettings, head["config"] | {"training": training, "dataset": dataset})
        self.data = PreparedData(folder="", **head["data"])
        activation = self.config.activation
        if activation.function is not None and source_digest(activation.function) != head["digest"]:
            raise UsageError(  # before anything of it is imported
                f"{activation.function} is not the code that run {self.run_id} was trained with; bring that back, or "
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
            if name in self._architecture.buffers or path == ["input"]:
                inner.register_buffer(last, tensor)
            else:
                inner.register_parameter(last, nn.Parameter(tensor))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width), uint8, or float from 0 to 1.

        Raises ValueError for images of another shape.
        """
        shape = (self.data.channels, self.data.height, self.data.width)
        if images.dim() != 4 or images.shape[1:] != shape:
            raise ValueError(
                f"images are {tuple(images.shape)}; this model takes (batch, {', '.join(map(str, shape))})"
            )
        pixels = images.float() if images.dtype == torch.uint8 else images.float() * 255
        x = pixels.permute(0, 2, 3, 1).contiguous() * self.get_buffer("input.scale") + self.get_buffer("input.shift")
        parameters = {name: tensor.unsqueeze(0) for name, tensor in self.named_parameters()}
        buffers = {name: self.get_buffer(name).unsqueeze(0) for name in self._architecture.buffers}
        precision = self.config.training.precision
        with float32_products(precision), autocast(precision, x.device):
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
        learned = {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}
        uniform = partial(torch.rand, device=z.device) if self.training else None
        units = self._applied.forward(whole_vectors(z), learned, uniform)[:, : z.shape[1]]
        return F.dropout(units, self.config.training.dropout, self.training)

    def examples(self, part: str = "test", root: str | None = None) -> tuple[Tensor, Tensor]:
        """The run's test, validation or train examples: images uint8 (n, channels, height, width), labels (n,).

        root: the folder of the data set, as dataset.root; None: the run's. Raises UsageError where the data set is not
        there or differs from the run's.
        """
        dataset = self.config.dataset
        prepared = prepare_data(dataset.name, root or dataset.root, False, dataset.image_size, dataset.max_pixels)
        if prepared.fingerprint != self.data.fingerprint:
            raise UsageError(
                f"dataset={dataset.name}: these images are not those of run {self.run_id}; name their root"
            )
        if part not in Split._fields:
            raise UsageError(f"examples({part!r}): there are test, validation and train")
        data = load_data(prepared)
        if part == "test" and self.data.own_test:
            return data.test_images.permute(0, 3, 1, 2), data.test_labels
        validation = self.data.validation_size(dataset.validation)
        own = split(self.config.seed, len(data.train_images), validation, data.drawn_test)
        index = getattr(own, part)
        return data.train_images[index].permute(0, 3, 1, 2), data.train_labels[index]


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
