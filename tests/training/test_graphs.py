"""A captured step is the eager one: proved on the CPU by a capture that repeats operations as a CUDA graph does."""

import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import Run, make_run
from actbench.training import loop
from actbench.training.graphs import WARM_UP, Capture, Graphed
from actbench.training.loop import set_up
from actbench.training.progress import Progress
from actbench.training.results import Result
from actbench.training.stacks import Stack
from actbench.training.step import TrainingStep
from tests.support import Configs, numbers, results
from tests.training.recorded import FailingCapture, RecordedCapture

CPU = torch.device("cpu")
LONG = (  # five epochs of 18 steps: the smaller last mini-batch is captured in the fourth
    "training.batch_size=64", "training.steps=95", "training.evaluate_every=23", "training.measure_every=41",
)  # fmt: skip
STACKS = [
    ("architecture=mlp_small", "activation=relu,prelu,rrelu", "seed=0,1"),
    (
        "architecture=mlp_small",
        "optimizer.lr=0.001,0.03",
        "training.dropout=0.2",
        "training.schedule=cosine",
        "architecture.norm=batch",
    ),
    ("architecture=mlp_small", "optimizer=nesterov", "training.clip_norm=1.0", "training.schedule=linear"),
    ("architecture=mlp_small", "optimizer=sgd", "optimizer.lr=1e6,0.1", "training.warmup=0.3"),
    ("architecture=mlp_small", "optimizer=adamw", "optimizer.weight_decay=0.1", "training.schedule=cosine"),
    ("architecture=mlp_small", "optimizer=rmsprop", "optimizer.momentum=0.9", "training.schedule=cosine"),
    ("architecture=mlp_small", "optimizer=adagrad", "optimizer.lr_decay=0.01", "training.schedule=linear"),
    ("architecture=cnn_small", "architecture.width=4", "training.augment=true", "seed=0,1"),
    ("architecture=transformer_small", "activation=swiglu", "seed=0,1", "architecture.width=8"),
    ("architecture=gru_small", "activation=tanh,prelu,rrelu", "seed=0,1", "training.dropout=0.2"),
    ("architecture=lstm_small", "architecture.depth=2", "architecture.width=8", "training.clip_norm=1.0"),
]


def trained(
    runs: list[Run], data: ImageData, capture: Capture | None, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Result]:
    with monkeypatch.context() as patch:
        patch.setattr(loop, "capture_on", lambda device: capture)
        return results(runs, data)


@pytest.mark.parametrize("overrides", STACKS, ids=lambda overrides: " ".join(overrides[:2]))
def test_a_captured_training_has_the_bits_of_the_eager_one(
    overrides: tuple[str, ...], configs: Configs, digits: PreparedData, digits_data: ImageData,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    runs = [make_run(point, digits, "sweep") for point in configs(*overrides, *LONG)]
    capture = RecordedCapture()
    captured = trained(runs, digits_data, capture, monkeypatch)
    assert capture.captured == 4  # steps of both batch sizes, both sizes of evaluation chunks
    assert "no CUDA graph" not in capsys.readouterr().err
    eager = trained(runs, digits_data, FailingCapture(), monkeypatch)
    assert "no CUDA graph" in capsys.readouterr().err
    plain = trained(runs, digits_data, None, monkeypatch)
    for run in runs:
        assert numbers(captured[run.id]) == numbers(eager[run.id])
        assert captured[run.id].histograms == eager[run.id].histograms
        if run.settings.optimizer.name not in ("rmsprop", "adagrad"):  # these have other code where they are captured
            assert numbers(captured[run.id]) == numbers(plain[run.id])


def addresses(tensors: list[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def count_tensors() -> int:
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("overrides", STACKS, ids=lambda overrides: " ".join(overrides[:2]))
def test_no_tensor_of_a_training_moves_and_a_step_leaves_none_behind(
    overrides: tuple[str, ...], configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    runs = tuple(make_run(point, digits, "sweep") for point in configs(*overrides, *LONG))
    network, batches, optimizer = set_up(Stack(runs), digits_data, CPU, True)
    progress = Progress(len(runs), CPU, lambda step: None)
    step = TrainingStep(network, batches, optimizer, progress, runs[0].settings.training, 95)

    def tensors() -> list[Tensor]:
        state = [optimizer.state(), network.parameters, network.buffers, progress.tensors()]
        kept = [tensor for named in state for name, tensor in named.items() if "first" not in name]
        return [*kept, *network.draws.buffers(), *batches.buffers()]

    for number in range(19):  # beyond the smaller last mini-batch
        step(number)
    before = addresses(tensors())
    values = [tensor.detach().clone() for tensor in network.parameters.values()]
    for number in range(19, 34):
        step(number)
    for number in (34, 35):  # of both batch sizes
        step.prepare(number)
        alive = count_tensors()
        step.compute()
        assert count_tensors() == alive
    assert addresses(tensors()) == before
    assert not all(map(torch.equal, values, network.parameters.values()))


def test_a_function_is_captured_after_its_warm_up_and_out_of_memory_is_raised() -> None:
    calls: list[str] = []

    class Spy(RecordedCapture):
        def capture(self, function: Callable[[], None]) -> Callable[[], None]:
            calls.append("capture")
            return lambda: calls.append("replay")

    graphed = Graphed(lambda: calls.append("call"), Spy())
    for _ in range(WARM_UP + 2):
        graphed()
    assert calls == ["call"] * WARM_UP + ["capture", "replay", "replay"]

    class Full(RecordedCapture):
        def capture(self, function: Callable[[], None]) -> Callable[[], None]:
            try:
                raise torch.OutOfMemoryError("out of memory")
            finally:
                raise RuntimeError("operation failed due to a previous error during capture")

    graphed = Graphed(lambda: None, Full())
    for _ in range(WARM_UP):
        graphed()
    with pytest.raises(torch.OutOfMemoryError):
        graphed()
