"""The sweeps of the throughput benchmark, and what each way of training them does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actbench.experiment.evaluation import evaluation_plan, examples_seen

ACTIVATIONS = (
    "relu", "leaky_relu", "prelu", "relu6", "elu", "celu", "selu", "gelu", "silu", "mish", "hard_swish", "tanh",
    "sigmoid", "softplus", "softsign",
)  # fmt: skip
OURS, EVALUATING = "actbench", "C_eval"
UNMEASURED = ("training.measure_every=0",)
TRAINING, VALIDATION = {"mnist": 54_000, "digits": 1150}, {"mnist": 6000, "digits": 288}  # examples of a run

# For throughput.md. {cores}: of the machine.
WAYS = """\
All ways train the same number of runs for the same number of steps, with {cores} processes of one thread each, from
the start of the processes to the end of the last one, and evaluate all test examples once, at a run's end. They differ
in:

- A: a DataLoader over PIL images with torchvision's transforms and `torch.optim.Adam`; a process for each run; all
  validation examples once an epoch; nothing is stored.
- B: PyTorch Lightning, a TensorDataset, fused Adam; a process for each run; all validation examples once an epoch;
  losses and accuracies are logged to MLflow.
- L: lightning-hydra-template as it is published, with three layers of 256 units and one epoch; a process for each run;
  5,000 validation examples at the end of the epoch and 128 at its begin, training accuracy at each step, a checkpoint,
  which it tests, no logger. It splits MNIST's 70,000 images anew, 55,000 for training. actbench trains the same network
  with the same batch norm, batch size, Adam, learning rates and steps.
- C: a bare loop, resident tensors, fused Adam, malloc set as in actbench's workers, the CNN in channels_last; a process
  for each core; all validation examples once an epoch; nothing is stored or measured.
- C_eval: C with the evaluations of actbench: as many validation examples, before the same steps.
- actbench: `actbench sweep` with its defaults. It evaluates by its own plan, measures units and gradients eleven times
  a run (no other way does), varies the learning rate by a cosine (the others keep it constant; L's counterpart too),
  writes every run with its curves to a new MLflow database and to files, and draws figures. On digits it measures three
  times a run, as quickstart does. Transformers and CNNs train for less than an epoch here, of which eleven measurements
  would be a large part, and are not measured.

A, B and L train two to four runs, as many at once as there are cores, and their time is multiplied to that of the whole
sweep, as each run is a process of its own. A ratio is the time of a way over actbench's in the same round; the order of
ways rotates from round to round."""


@dataclass(frozen=True)
class Sweep:
    """Activations x learning rates x seeds of one architecture, in the names of actbench's configuration.

    targets: the ways that actbench is compared with, and the least ratio of times that is aimed at.
    """

    architecture: str
    batch_size: int
    steps: int
    rates: tuple[float, ...]
    seeds: int
    targets: Mapping[str, float | None]
    dataset: str = "mnist"
    activations: tuple[str, ...] = ACTIVATIONS
    more: tuple[str, ...] = ()  # overrides

    @property
    def runs(self) -> list[dict[str, object]]:
        """What the runs differ in."""
        return [
            {"activation": activation, "lr": rate, "seed": seed}
            for activation in self.activations for rate in self.rates for seed in range(self.seeds)
        ]  # fmt: skip

    def job(self, way: str, runs: list[dict[str, object]], root: Path, uri: str = "") -> dict[str, object]:
        """The argument of peers.py. uri: of MLflow, for B."""
        return {
            "dataset": self.dataset, "architecture": self.architecture, "runs": runs, "steps": self.steps,
            "batch_size": self.batch_size, "evaluations": self.evaluations(way), "root": str(root), "uri": uri,
        }  # fmt: skip

    def evaluations(self, way: str) -> list[tuple[int, int]]:
        """Steps before which a way evaluates, each with its number of validation examples."""
        training, validation = TRAINING[self.dataset], VALIDATION[self.dataset]
        if way == EVALUATING:
            plan = evaluation_plan(None, self.steps, examples_seen(self.steps, self.batch_size, training), validation)
            return [*((step, plan.part) for step in plan.steps[:-1]), (self.steps, validation)]
        epoch = -(-training // self.batch_size)
        return [(step, validation) for step in sorted({*range(epoch, self.steps, epoch), self.steps})]

    def overrides(self, root: Path) -> list[str]:
        """The sweep as the command line of actbench."""
        return [
            f"dataset={self.dataset}", *([f"dataset.root={root}"] if self.dataset == "mnist" else []),
            f"architecture={self.architecture}", f"activation={','.join(self.activations)}",
            f"seed=range(0,{self.seeds})", f"optimizer.lr={','.join(map(str, self.rates))}",
            f"training.steps={self.steps}", f"training.batch_size={self.batch_size}", *self.more,
        ]  # fmt: skip


# Sizes are such that C_eval takes 20 to 60 s on two cores. An epoch of 54,000 images has 844 batches of 64, 106 of 512.
SWEEPS = {
    "MLP": Sweep("mlp", 64, 1688, (0.001,), 2, {"A": 10.0, "B": None, "C": 1.1, EVALUATING: 1.25}),
    "MLP, batch 512": Sweep("mlp", 512, 318, (0.001,), 1, {EVALUATING: 1.25}),
    "Transformer": Sweep("transformer", 64, 211, (0.001,), 1, {EVALUATING: 1.0}, more=UNMEASURED),
    "CNN": Sweep("cnn", 64, 105, (0.001,), 1, {EVALUATING: 1.0}, more=UNMEASURED),
    "MLP on digits": Sweep(
        "mlp_small", 64, 120, (0.001, 0.003, 0.01, 0.03, 0.1), 14, {EVALUATING: 4.0}, dataset="digits",
        more=("training.measure_every=60",),
    ),
    "template": Sweep(
        "mlp", 128, 430, (0.001, 0.002, 0.003, 0.005, 0.01), 8, {"L": 30.0}, activations=("relu",),
        more=("architecture.depth=3", "architecture.norm=batch", "training.schedule=constant"),
    ),
}  # fmt: skip
