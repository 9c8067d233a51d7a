"""The parts of the GPU's measurement; scripts/gpu.py runs each in a process of its own.

usage: gpu_parts.py PART --device cuda [--root MNIST_FOLDER] [--tiny]. Prints the part's lines of the table as JSON:
what, n, median, range, target.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actbench.data.datasets import ImageData, PreparedData, load_data, prepare_data
from actbench.determinism import set_precision
from actbench.errors import UsageError, one_line
from actbench.execution.devices import memory_per_worker
from actbench.experiment.compose import compose_grid
from actbench.experiment.runs import Run, make_run
from actbench.training import loop
from actbench.training.graphs import WARM_UP, capture_on
from actbench.training.loop import set_up, train
from actbench.training.progress import Progress
from actbench.training.results import Record, results_of_stack
from actbench.training.stacks import Stack, pack_stacks
from actbench.training.step import TrainingStep

ACTIVATIONS = "relu,leaky_relu,elu,selu,gelu,silu,mish,tanh,sigmoid,softplus,softsign,hard_swish"
RATES = "0.0001,0.0003,0.001,0.003,0.01"
SWEEP_SECONDS, STACK_RATIO, CNN_RATIO = 30, 50, 5  # targets on an H200
ROUNDS = 5
Line = list[str]


@dataclass(frozen=True)
class Setting:
    """Where and on what the parts measure. source: what the images are, in words."""

    device: torch.device
    tiny: bool
    prepared: PreparedData
    data: ImageData
    source: str

    def runs(self, *overrides: str) -> list[Run]:
        """The runs of a grid, with batches of 128."""
        points = compose_grid(["training.batch_size=128", *overrides]).runs
        return [make_run(point, self.prepared, "sweep") for point in points]


def random_images(size: int, channels: int, count: int) -> tuple[PreparedData, ImageData]:
    """Random images of ten random classes."""
    generator, tests = torch.Generator().manual_seed(0), count // 6
    images = torch.randint(0, 256, (count + tests, size, size, channels), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (count + tests,), generator=generator)
    data = ImageData(images[:count], labels[:count], images[count:], labels[count:])
    return PreparedData("random", "", "random", size, size, channels, 10, count, tests), data


def settings_of(device: str, root: str | None, tiny: bool) -> Setting:
    """MNIST, or random images of its shape where there is none."""
    place = torch.device(device)
    reason = ""
    if root is not None:
        try:
            prepared = prepare_data("mnist", root, False, None)
            data = load_data(prepared)
            assert isinstance(data, ImageData)
            return Setting(place, tiny, prepared, data, "MNIST")
        except (UsageError, ImportError) as error:
            reason = f" ({one_line(error)})"
    prepared, data = random_images(8, 1, 500) if tiny else random_images(28, 1, 60_000)
    return Setting(place, tiny, prepared, data, f"random images of MNIST's shape{reason}")


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def step_of(setting: Setting, runs: Sequence[Run], captured: bool, steps: int = 10_000) -> TrainingStep:
    """The training step of a stack."""
    set_precision(runs[0].settings.training.precision)
    capture = capture_on(setting.device) if captured else None
    network, batches, optimizer = set_up(Stack(tuple(runs)), setting.data, setting.device)
    progress = Progress(len(runs), setting.device, lambda step: None)
    return TrainingStep(network, batches, optimizer, progress, runs[0].settings.training, steps, capture)


def milliseconds(setting: Setting, ways: Sequence[TrainingStep], steps: int) -> list[list[float]]:
    """Milliseconds a step of each way, in ROUNDS interleaved rounds of `steps` steps."""
    taken: list[list[float]] = [[] for _ in ways]
    for number in range(ROUNDS + 1):
        for way, values in zip(ways, taken, strict=True):
            wait(setting.device)
            begun = time.perf_counter()
            for step in range(steps):
                way(number * steps + step)
            wait(setting.device)
            if number:  # the first round warms up and captures
                values.append(1e3 * (time.perf_counter() - begun) / steps)
    return taken


def line(what: str, values: Sequence[float], target: str = "", unit: str = "") -> Line:
    """A line of the table for measured values."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return [what, str(len(values)), f"{middle:.4g}{unit}", f"{low:.4g} to {high:.4g}", target]


def ratios(above: Sequence[float], below: Sequence[float], factor: float = 1.0) -> list[float]:
    """factor * above / below of each round."""
    return [factor * one / other for one, other in zip(above, below, strict=True)]


def waiting(setting: Setting) -> list[Line]:
    """Steps in which the host may not wait for the device: torch raises where it does."""
    lines = []
    for architecture in ("mlp_small" if setting.tiny else "mlp", "cnn_small", "transformer_small"):
        for optimizer in ("adam", "sgd", "nesterov", "rmsprop", "adagrad"):
            activations = "rrelu" if setting.tiny else "relu,rrelu,prelu"
            more = ("training.clip_norm=1.0", "training.dropout=0.1", f"activation={activations}", "seed=0,1")
            runs = setting.runs(f"architecture={architecture}", f"optimizer={optimizer}", *more)
            step = step_of(setting, runs, captured=True)
            for number in range(WARM_UP + 2):
                step(number)
            wait(setting.device)
            if setting.device.type == "cuda":
                torch.cuda.set_sync_debug_mode("error")
            try:
                for number in range(WARM_UP + 2, WARM_UP + 12):
                    step(number)
            finally:
                if setting.device.type == "cuda":
                    torch.cuda.set_sync_debug_mode("default")
        lines.append([f"{architecture}: steps with 5 optimizers in which the host waits", "50", "0", "", "0"])
    return lines


def final_values(records: Sequence[Record], runs: int) -> Tensor:
    """All that a training yields but its times, (values, runs)."""
    rows = [torch.from_numpy(r.values) for r in records if r.metric not in ("seconds", "test_correct")]
    return torch.cat([row.reshape(runs, -1).T for row in rows])


def difference(what: str, ours: Tensor, theirs: Tensor) -> Line:
    """How many values differ, and by how much at most, relative to the larger."""
    differ = ~((ours == theirs) | (ours.isnan() & theirs.isnan()))
    size = torch.maximum(ours.abs(), theirs.abs()).clamp(min=1e-12)
    largest = ((ours - theirs).abs() / size)[differ].nan_to_num(torch.inf)
    worst = f"largest relative difference {largest.max():.2g}" if differ.any() else "to the bit"
    return [f"{what}: values that differ", "1", f"{int(differ.sum())} of {differ.numel()}", worst, "published"]


def bits(setting: Setting) -> list[Line]:
    """A run alone against the same in stacks, twice the same, and with graphs against without."""
    lines = []
    size = ("activation=relu,tanh", "training.steps=8") if setting.tiny else (
        "activation=relu,gelu,tanh", "seed=0,1", "optimizer.lr=0.001,0.003", "training.steps=100"
    )  # fmt: skip
    for architecture in ("mlp", "cnn_small", "transformer_small"):
        runs = setting.runs(f"architecture={architecture}", *size)

        def trained(chosen: Sequence[Run]) -> Tensor:
            return final_values(list(train(Stack(tuple(chosen)), setting.data, setting.device)), len(chosen))

        stacked, again, alone = trained(runs), trained(runs), trained(runs[:1])
        pair = trained([runs[0], runs[-1]])
        setattr(loop, "capture_on", lambda device: None)  # noqa: B010
        eager = trained(runs)
        setattr(loop, "capture_on", capture_on)  # noqa: B010
        lines += [
            difference(f"{architecture}, the same stack twice", stacked, again),
            difference(f"{architecture}, a run alone and in a stack of {len(runs)}", alone[:, 0], stacked[:, 0]),
            difference(f"{architecture}, a run alone and in a stack of 2", alone[:, 0], pair[:, 0]),
            difference(f"{architecture}, graphs and eager steps", stacked, eager),
        ]
    return lines


def graphs(setting: Setting) -> list[Line]:
    """Steps of an MLP from graphs and without them."""
    lines = []
    for seeds in (1, 2) if setting.tiny else (1, 16, 256):
        runs = setting.runs("architecture=mlp", "activation=relu", f"seed=range(0,{seeds})")
        eager, captured = milliseconds(
            setting, [step_of(setting, runs, False), step_of(setting, runs, True)], 8 if setting.tiny else 100
        )
        lines.append(line(f"MLP, stack of {seeds}: ms a step, eager", eager))
        lines.append(line(f"MLP, stack of {seeds}: ms a step, graph", captured))
        lines.append(line(f"MLP, stack of {seeds}: graph over eager", ratios(eager, captured), unit="x"))
    return lines


def stacks(setting: Setting) -> list[Line]:
    """Steps of a stack of MLPs against single runs one by one."""
    grid = ("activation=relu,gelu", "seed=0,1") if setting.tiny else (
        f"activation={ACTIVATIONS}", "seed=range(0,10)", f"optimizer.lr={RATES}"
    )  # fmt: skip
    runs = setting.runs("architecture=mlp", *grid)
    (stack,) = pack_stacks(runs, "cuda", 1, 10**12)
    ways = [step_of(setting, runs[:1], False), step_of(setting, runs[:1], True), step_of(setting, stack.runs, True)]
    eager, alone, stacked = milliseconds(setting, ways, 8 if setting.tiny else 60)
    count = len(runs)
    return [
        line(f"MLP: ms a step of a stack of {count}", stacked),
        line(f"MLP: a stack of {count} over one by one, from graphs", ratios(alone, stacked, count), unit="x"),
        line(f"MLP: a stack of {count} over one by one, eager", ratios(eager, stacked, count), f"{STACK_RATIO}x", "x"),
    ]


def sweep(setting: Setting) -> list[Line]:
    """The sweep of 600 runs, from runs to results, evaluated and measured; nothing is stored."""
    grid = ("activation=relu,gelu", "seed=0,1", "training.epochs=1") if setting.tiny else (
        f"activation={ACTIVATIONS}", "seed=range(0,10)", f"optimizer.lr={RATES}", "training.epochs=10"
    )  # fmt: skip
    runs = setting.runs("architecture=mlp", *grid)
    device = setting.device.type
    begun = time.perf_counter()
    results = []
    for stack in pack_stacks(runs, device, 1, memory_per_worker(device, 1)):
        records = list(train(stack, setting.data, setting.device))
        results += results_of_stack(stack.runs, records, device)
    seconds = time.perf_counter() - begun
    training = sum(float(str(result.row["seconds"])) for result in results)
    finished = sum(result.row["status"] == "finished" for result in results)
    return [
        [f"MLP, {len(runs)} runs, {runs[0].steps} steps, {setting.source}", "1", f"{seconds:.1f} s",
         f"{finished} finished; {training:.1f} s of training steps", f"{SWEEP_SECONDS} s"],
    ]  # fmt: skip


def cnn(setting: Setting) -> list[Line]:
    """Steps of a stack of CNNs against single runs one by one."""
    size = 2 if setting.tiny else 32
    kind = "architecture=cnn_small" if setting.tiny else "architecture=cnn"
    runs = setting.runs(kind, "activation=relu", f"seed=range(0,{size})")
    ways = [step_of(setting, runs[:1], True), step_of(setting, runs, True)]
    alone, stacked = milliseconds(setting, ways, 4 if setting.tiny else 20)
    examples = [128 * size / value * 1e3 for value in stacked]
    return [
        line(f"CNN: examples a second of a stack of {size}", examples),
        line(f"CNN: a stack of {size} over one by one", ratios(alone, stacked, size), f"{CNN_RATIO}x", "x"),
    ]


PARTS: dict[str, Callable[[Setting], list[Line]]] = {
    "waiting": waiting, "bits": bits, "graphs": graphs, "stacks": stacks, "sweep": sweep, "cnn": cnn,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--root")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    lines = PARTS[options.part](settings_of(options.device, options.root, options.tiny))
    print(json.dumps(lines))


if __name__ == "__main__":
    main()
