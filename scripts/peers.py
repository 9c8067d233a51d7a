"""The loops that actbench is measured against: one process trains the runs of its argument, on one thread.

usage: peers.py {A,B,C} JSON, where JSON is what `Sweep.job` in sweeps.py returns. Prints the test accuracy of each run.

A  the loop of tutorials: a DataLoader over PIL images, torch.optim.Adam
B  PyTorch Lightning with a TensorDataset and its MLflow logger, fused Adam
C  a bare loop on resident tensors, fused Adam; nothing is logged

All take the same mini-batches in number and size with Adam at a constant rate, evaluate validation examples when the
job says so, and all test examples at the end.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, repeat
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # as many processes as cores: more threads only disturb each other

import torch
import torch.nn.functional as F
from peer_models import ACTIVATIONS, MODELS
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

Job = dict[str, Any]
Batch = tuple[Tensor, Tensor]

MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's training images
VALIDATION, TEST = {"mnist": 6000, "digits": 288}, {"mnist": 10_000, "digits": 359}  # examples, as actbench splits them
PLAIN_CHUNK, POSITIONS_CHUNK = 1000, 128  # examples of a forward pass in evaluation: what is fastest on a CPU


class Examples(NamedTuple):
    """Normalised float32 images (n, 1, height, width) with labels: for training and validation, and for the test."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def model_of(run: Job, job: Job) -> nn.Module:
    """The run's network, initialised by torch's defaults from its seed."""
    torch.manual_seed(run["seed"])
    return MODELS[job["architecture"]](ACTIVATIONS[run["activation"]])


def adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """torch's fused Adam."""
    return torch.optim.Adam(model.parameters(), lr=lr, fused=True)


def split_of(run: Job, job: Job, examples: int) -> tuple[Tensor, Tensor]:
    """Indices of training and validation examples, drawn by the run's seed."""
    order = torch.randperm(examples, generator=torch.Generator().manual_seed(run["seed"]))
    held = VALIDATION[job["dataset"]]
    return order[held:], order[:held]


@cache
def resident(dataset: str, root: str) -> Examples:
    """All examples as tensors, loaded once a process."""
    if dataset == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        images, labels = torch.from_numpy(digits.images).float().unsqueeze(1), torch.from_numpy(digits.target)
        images, test = (images - images.mean()) / images.std(), TEST[dataset]
        return Examples(images[test:], labels[test:], images[:test], labels[:test])
    from torchvision.datasets import MNIST

    train, own_test = MNIST(root, train=True), MNIST(root, train=False)
    both = [((part.data / 255 - MEAN) / DEVIATION).unsqueeze(1) for part in (train, own_test)]
    return Examples(both[0], train.targets, both[1], own_test.targets)


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Batch]) -> tuple[float, float]:
    """Mean loss and accuracy."""
    loss, correct, size = torch.zeros(()), torch.zeros(()), 0
    for x, y in batches:
        logits = model(x)
        loss += F.cross_entropy(logits, y, reduction="sum")
        correct += (logits.argmax(1) == y).sum()
        size += len(y)
    return float(loss) / size, float(correct) / size


def train_a(run: Job, job: Job) -> float:
    """A on MNIST."""
    from torchvision import transforms
    from torchvision.datasets import MNIST

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (DEVIATION,))])
    data = MNIST(job["root"], train=True, transform=transform)
    train, held = (Subset(data, index.tolist()) for index in split_of(run, job, len(data)))
    training, validation = DataLoader(train, job["batch_size"], shuffle=True), DataLoader(held, PLAIN_CHUNK)
    model, evaluations = model_of(run, job), dict(job["evaluations"])
    optimizer = torch.optim.Adam(model.parameters(), lr=run["lr"])
    for step, (x, y) in zip(range(1, job["steps"] + 1), chain.from_iterable(repeat(training)), strict=False):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in evaluations:
            evaluate(model, validation)
    return evaluate(model, DataLoader(MNIST(job["root"], train=False, transform=transform), PLAIN_CHUNK))[1]


def train_b(run: Job, job: Job) -> float:
    """B on MNIST, validated at the end of each epoch."""
    import logging

    import lightning.pytorch as pl
    from lightning.pytorch.loggers import MLFlowLogger

    for name in ("lightning.pytorch", "lightning.fabric", "mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")

    class Module(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model_of(run, job)

        def training_step(self, batch, index):  # type: ignore[no-untyped-def]
            loss = F.cross_entropy(self.model(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch, index):  # type: ignore[no-untyped-def]
            logits = self.model(batch[0])
            self.log("val_loss", F.cross_entropy(logits, batch[1]))
            self.log("val_accuracy", (logits.argmax(1) == batch[1]).float().mean())

        def test_step(self, batch, index):  # type: ignore[no-untyped-def]
            self.log("test_accuracy", (self.model(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return adam(self.model, run["lr"])

    data = resident(job["dataset"], job["root"])
    split = split_of(run, job, len(data.images))
    train, held = (TensorDataset(data.images[index], data.labels[index]) for index in split)
    logger = MLFlowLogger("lightning", tracking_uri=job["uri"])
    logger.log_hyperparams(run)
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, max_steps=job["steps"], logger=logger, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    module = Module()
    trainer.fit(module, DataLoader(train, job["batch_size"], shuffle=True), DataLoader(held, PLAIN_CHUNK))
    trainer.test(module, DataLoader(TensorDataset(*data[2:]), PLAIN_CHUNK), verbose=False)
    return float(trainer.callback_metrics["test_accuracy"])


def shuffled(train: Tensor, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Indices of mini-batches, epoch after epoch."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from train[torch.randperm(len(train), generator=generator)].split(batch_size)


def bare_step(run: Job, job: Job, data: Examples, train: Tensor) -> tuple[nn.Module, Callable[[], None]]:
    """C's network, the CNN in channels_last, and its training step. train: indices of the training examples."""
    layout = torch.channels_last if job["architecture"] == "cnn" else torch.contiguous_format
    model = model_of(run, job).to(memory_format=layout)
    optimizer, batches = adam(model, run["lr"]), shuffled(train, job["batch_size"], run["seed"])

    def step() -> None:
        index = next(batches)
        loss = F.cross_entropy(model(data.images[index].to(memory_format=layout)), data.labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return model, step


def train_c(run: Job, job: Job) -> float:
    """C."""
    data, evaluations = resident(job["dataset"], job["root"]), dict(job["evaluations"])
    chunk = PLAIN_CHUNK if job["architecture"].startswith("mlp") else POSITIONS_CHUNK
    train, held = split_of(run, job, len(data.images))
    model, take_step = bare_step(run, job, data, train)
    images, labels = data.images[held], data.labels[held]
    for step in range(job["steps"] + 1):
        if step in evaluations:
            size = evaluations[step]
            evaluate(model, zip(images[:size].split(chunk), labels[:size].split(chunk), strict=True))
        if step < job["steps"]:
            take_step()
    return evaluate(model, zip(data.test_images.split(chunk), data.test_labels.split(chunk), strict=True))[1]


def main() -> None:
    torch.set_num_threads(1)
    train, job = {"A": train_a, "B": train_b, "C": train_c}[sys.argv[1]], json.loads(sys.argv[2])
    for run in job["runs"]:
        print(run["activation"], run["seed"], f"{train(run, job):.4f}", flush=True)


if __name__ == "__main__":
    main()
