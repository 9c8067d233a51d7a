"""The loops that actbench is measured against: one process trains the runs of its argument, on one thread.

usage: peers.py {dataloader,lightning,bare,gemm} JSON, where JSON is {"runs": [{"architecture", "activation", "lr",
"seed"}], "steps", "batch_size", "evaluate_every", "root", "channels_last", "uri"}. Prints test accuracies.
All three take the same steps with the same optimizer, evaluate as many validation examples about as often as actbench,
and 10,000 test examples at the end.
gemm prints the rate of one core at large products, in GFLOP/s: the machine's measured peak.
"""

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # as many processes as cores: more threads only disturb each other

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

ACTIVATIONS = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "prelu": nn.PReLU, "relu6": nn.ReLU6, "elu": nn.ELU, "celu": nn.CELU,
    "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish, "hard_swish": nn.Hardswish, "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid, "softplus": nn.Softplus, "softsign": nn.Softsign,
}  # fmt: skip
TRAINING, VALIDATION, TEST = 54_000, 6_000, 10_000
MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's training images


def mlp(activation: type[nn.Module]) -> nn.Module:
    layers = [nn.Flatten(), nn.Linear(784, 256), activation(), nn.Linear(256, 256), activation(), nn.Linear(256, 10)]
    return nn.Sequential(*layers)


def cnn(activation: type[nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    for fan_in, channels in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(fan_in, channels, 3, padding=1), activation(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 3 * 3, 10))


class Block(nn.Module):
    def __init__(self, activation: type[nn.Module], width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), activation(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.out(attended)
        return x + self.ffn(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, activation: type[nn.Module], width: int = 64, patch: int = 7) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(patch * patch, width)
        self.position = nn.Parameter(torch.randn((28 // patch) ** 2, width))
        self.blocks = nn.Sequential(Block(activation), Block(activation))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)
        return self.head(self.norm(self.blocks(self.embed(x) + self.position)).mean(1))


Job = dict[str, Any]
MODELS = {"mlp": mlp, "cnn": cnn, "transformer": Transformer}


def model_of(run: Job) -> nn.Module:
    torch.manual_seed(run["seed"])
    return MODELS[run["architecture"]](ACTIVATIONS[run["activation"]])


def split_of(run: Job) -> tuple[Tensor, Tensor]:
    order = torch.randperm(TRAINING + VALIDATION, generator=torch.Generator().manual_seed(run["seed"]))
    return order[:TRAINING], order[TRAINING:]


def tensors(root: str, train: bool) -> tuple[Tensor, Tensor]:
    """MNIST as normalised float32 (n, 1, 28, 28) and labels."""
    from torchvision.datasets import MNIST

    data = MNIST(root, train=train, download=True)
    return ((data.data / 255 - MEAN) / DEVIATION).unsqueeze(1), data.targets


def adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=lr, fused=True)


@torch.no_grad()
def accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], size: int = VALIDATION) -> float:
    correct = sum((model(x).argmax(1) == y).sum() for x, y in batches)
    return float(correct) / size


def dataloader(run: Job, job: Job) -> float:
    """(A) The loop of the tutorials: torchvision's MNIST with transforms over PIL images, a DataLoader."""
    from torchvision import transforms
    from torchvision.datasets import MNIST

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (DEVIATION,))])
    data = MNIST(job["root"], train=True, download=True, transform=transform)
    train, held = (Subset(data, index.tolist()) for index in split_of(run))
    training, validation = DataLoader(train, job["batch_size"], shuffle=True), DataLoader(held, 1000)
    model, step = model_of(run), 0
    optimizer = torch.optim.Adam(model.parameters(), lr=run["lr"])
    while step < job["steps"]:
        for x, y in training:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % job["evaluate_every"] == 0 or step == job["steps"]:
                accuracy(model, validation)
            if step == job["steps"]:
                break
    return accuracy(model, DataLoader(MNIST(job["root"], train=False, transform=transform), 1000), TEST)


def lightning(run: Job, job: Job) -> float:
    """(B) PyTorch Lightning over a TensorDataset, with its MLflow logger."""
    import logging

    import lightning.pytorch as pl
    from lightning.pytorch.loggers import MLFlowLogger

    for name in ("lightning.pytorch", "lightning.fabric", "mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")

    class Module(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model_of(run)

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

    images, labels = tensors(job["root"], True)
    train, held = (TensorDataset(images[index], labels[index]) for index in split_of(run))
    logger = MLFlowLogger("lightning", tracking_uri=job["uri"])
    logger.log_hyperparams(run)
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, max_steps=job["steps"], logger=logger, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        val_check_interval=job["evaluate_every"], check_val_every_n_epoch=None,
    )  # fmt: skip
    module = Module()
    trainer.fit(module, DataLoader(train, job["batch_size"], shuffle=True), DataLoader(held, 1000))
    trainer.test(module, DataLoader(TensorDataset(*tensors(job["root"], False)), 1000), verbose=False)
    return float(trainer.callback_metrics["test_accuracy"])


def bare(run: Job, job: Job) -> float:
    """(C) The fastest plain loop: resident tensors, fused Adam; nothing is logged."""
    (images, labels), test = resident(job["root"])
    train, held = split_of(run)
    model = model_of(run)
    if job["channels_last"]:
        model = model.to(memory_format=torch.channels_last)
    optimizer = adam(model, run["lr"])
    generator, step = torch.Generator().manual_seed(run["seed"]), 0
    chunk = 1000 if run["architecture"] == "mlp" else 128  # whichever is faster
    validation = [(images[index], labels[index]) for index in held.split(chunk)]
    while step < job["steps"]:
        for index in train[torch.randperm(TRAINING, generator=generator)].split(job["batch_size"]):
            x = images[index]
            if job["channels_last"]:
                x = x.to(memory_format=torch.channels_last)
            loss = F.cross_entropy(model(x), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % job["evaluate_every"] == 0 or step == job["steps"]:
                accuracy(model, validation)
            if step == job["steps"]:
                break
    return accuracy(model, zip(*(part.split(chunk) for part in test), strict=True), TEST)


@cache
def resident(root: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return tensors(root, True), tensors(root, False)


def gemm() -> float:
    """Best median rate, GFLOP/s, over products of 512 to 2048 rows and columns, for a second each."""
    best = 0.0
    for n in (512, 1024, 2048):
        a, b, out = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
        torch.mm(a, b, out=out)
        seconds, started = [], time.perf_counter()
        while time.perf_counter() < started + 1:
            begun = time.perf_counter()
            torch.mm(a, b, out=out)
            seconds.append(time.perf_counter() - begun)
        best = max(best, 2 * n**3 / statistics.median(seconds) / 1e9)
    return best


def main() -> None:
    torch.set_num_threads(1)
    if sys.argv[1] == "gemm":
        print(gemm())
        return
    way = {"dataloader": dataloader, "lightning": lightning, "bare": bare}[sys.argv[1]]
    job = json.loads(sys.argv[2])
    for run in job["runs"]:
        print(run["activation"], run["seed"], f"{way(run, job):.4f}", flush=True)


if __name__ == "__main__":
    main()
