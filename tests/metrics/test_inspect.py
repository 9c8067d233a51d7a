"""inspect() against the trainer's own numbers, a ResNet taken apart by hand, and what it must leave alone."""

from collections.abc import Callable

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models import resnet18

import actbench
from actbench.data.batches import Batches
from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import make_run
from actbench.experiment.schema import RunSettings
from actbench.training.network import Network
from actbench.training.probe import observe
from actbench.training.stacks import Stack

Configs = Callable[..., list[RunSettings]]
CPU = torch.device("cpu")


def values(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    return {(layer, metric): value for layer, _, metric, value in table.itertuples(index=False)}


class Own(nn.Module):
    """A run of the project as a module, its units second, as torch has them."""

    def __init__(self, network: Network, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.network = network
        self.layers = nn.ModuleList(activation() for _ in network.architecture.units)

    def forward(self, x: Tensor) -> Tensor:
        def activate(layer: int, z: Tensor) -> Tensor:
            return self.layers[layer](z[0].movedim(-1, 1)).movedim(1, -1).unsqueeze(0)

        network = self.network
        return network.architecture.forward(network.parameters, network.buffers, x.unsqueeze(0), activate, False)[0]


@pytest.mark.parametrize("architecture", ["mlp_small", "cnn_small", "transformer_small"])
@pytest.mark.parametrize(("activation", "module"), [("gelu", nn.GELU), ("relu", nn.ReLU), ("rrelu", nn.RReLU)])
def test_inspect_agrees_with_the_trainers_numbers(
    architecture: str, activation: str, module: Callable[[], nn.Module], configs: Configs, digits: PreparedData,
    digits_data: ImageData,
) -> None:  # fmt: skip
    (point,) = configs(f"architecture={architecture}", f"activation={activation}")
    network = Network(Stack((make_run(point, digits, "sweep"),)), CPU)
    batches = Batches(digits_data, [0], 288, 64, "channel", False, CPU)
    theirs = {(r.layer, r.metric): r.values.item() for r in observe(network, batches, 100)}
    images, labels = batches.validation(0, 100)
    model = Own(network, module)
    if architecture == "transformer_small":  # its positions are no image's
        model.layers = nn.ModuleList(Tokens(layer) for layer in model.layers)
    ours = values(actbench.inspect(model, images[0], labels[0]))
    inner = ".inner" if architecture == "transformer_small" else ""
    for (layer, metric), value in theirs.items():
        name = "all" if layer is None else f"layers.{layer}{inner}"
        assert ours.pop((name, metric)) == pytest.approx(value, rel=1e-5, abs=1e-9), (name, metric)
    assert not ours


class Tokens(nn.Module):
    """(batch, units, tokens) in and out; inside, units last."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor) -> Tensor:
        return self.inner(z.movedim(1, -1)).movedim(-1, 1)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_a_resnet_with_inplace_relus_called_twice_is_measured_correctly(images: Tensor) -> None:
    torch.manual_seed(0)
    model = resnet18(num_classes=5)
    labels = torch.arange(6) % 5
    table = actbench.inspect(model, images, labels)
    layers = [layer for layer in dict.fromkeys(table["layer"]) if layer != "all"]
    assert len(layers) == 17
    assert layers[:3] == ["relu", "layer1.0.relu", "layer1.0.relu#2"]
    found = values(table)

    model.eval()
    stem = model.bn1(model.conv1(images))
    block, h = model.layer1[0], model.maxpool(F.relu(stem))
    inner = block.bn1(block.conv1(h))
    outer = block.bn2(block.conv2(F.relu(inner))) + h
    rest = model.layer4(model.layer3(model.layer2(model.layer1[1](F.relu(outer)))))
    loss = F.cross_entropy(model.fc(rest.mean((2, 3))), labels, reduction="sum")
    gradients = torch.autograd.grad(loss, [stem, inner, outer])
    for layer, z, gradient in zip(layers, (stem, inner, outer), gradients, strict=False):
        units = z.detach().movedim(1, -1).flatten(0, -2)
        assert found[layer, "zero_share"] == pytest.approx((units <= 0).double().mean().item(), abs=1e-6)
        assert found[layer, "dead_fraction"] == pytest.approx((units <= 0).all(0).double().mean().item(), abs=1e-9)
        assert found[layer, "unit_mean"] == pytest.approx(units.relu().double().mean().item(), rel=1e-4)
        assert found[layer, "gradient_rms"] == pytest.approx(gradient.square().mean().sqrt().item(), rel=1e-3)


def test_the_model_is_left_as_it_was(images: Tensor) -> None:
    torch.manual_seed(0)
    model = resnet18(num_classes=5)
    model.train()
    model.bn1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    actbench.inspect(model, images, torch.zeros(6, dtype=torch.int64))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert not model.bn1.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


def test_functional_activations_are_found_by_the_name_of_their_layer() -> None:
    torch.manual_seed(0)
    model, x, y = Functional(), torch.randn(20, 4), torch.zeros(20, dtype=torch.int64)
    same = nn.Sequential(model.first, nn.Tanh(), model.second)
    table = actbench.inspect(model, x, y, functions={"first": torch.tanh})
    assert table["value"].tolist() == actbench.inspect(same, x, y)["value"].tolist()
    assert set(table["activation"]) == {"tanh"}
    with pytest.raises(ValueError, match="no activation module"):
        actbench.inspect(model, x)
    with pytest.raises(ValueError, match="no layer 'third'; there are: first, second"):
        actbench.inspect(model, x, functions={"third": torch.tanh})


def test_gates_and_softmax_by_hand() -> None:
    """A gate shut throughout is one dead piece of two; softmax has its own slope, s (1 - s)."""
    value, gate = torch.ones(1, 2), torch.tensor([[-100.0, 0.0]])
    found = values(actbench.inspect(nn.Sequential(nn.GLU()), torch.cat([value, gate], 1)))
    # the value's slope is the gate: 0 and 1/2; the gate's is value * g (1 - g): 0 and 1/4
    assert found["0", "dead_fraction"] == 0.5
    assert found["0", "dead_piece_fraction"] == 0.5
    z = torch.tensor([[20.0, 0.0, 0.0], [20.0, 19.0, 0.0]])
    found = values(actbench.inspect(nn.Sequential(nn.Softmax(-1)), z, activations=(nn.Softmax,)))
    assert found["0", "dead_fraction"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "module",
    [nn.Hardshrink(), nn.Hardsigmoid(), nn.LogSigmoid(), nn.Softshrink(), nn.Tanhshrink(), nn.Threshold(0.5, 0.0)],
)
def test_the_less_common_activations_of_torch_are_found(module: nn.Module) -> None:
    """Unit 0 sees 0 alone, where shrinks and threshold are flat; the others see 4, where only hardsigmoid is."""
    z = torch.tensor([[0.0, 4.0, 4.0], [0.0, 4.0, 4.0]])
    table = actbench.inspect(nn.Sequential(module), z)
    assert table["layer"].unique().tolist() == ["all", "0"]
    assert set(table["activation"]) == {type(module).__name__}
    expected = {"Hardsigmoid": 2 / 3, "LogSigmoid": 0.0}.get(type(module).__name__, 1 / 3)
    assert values(table)["0", "dead_fraction"] == pytest.approx(expected)
    assert values(table)["0", "unit_mean"] == pytest.approx(module(z).mean().item(), rel=1e-6)


def dead(model: nn.Module, inputs: Tensor, layer: str = "all") -> float:
    return values(actbench.inspect(model, inputs))[layer, "dead_fraction"]


def test_units_of_a_convolution_over_time_are_its_channels() -> None:
    model = nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5), nn.Tanh())
    with torch.no_grad():
        dict(model.named_parameters())["1.bias"][:4] = -1e4
    assert dead(model, torch.randn(4, 3, 20), "2") == 0.5
    assert dead(model, torch.randn(4, 3, 20)) == pytest.approx(4 / 13)  # 8 units and 5


def test_units_of_channels_last_images_are_the_linear_layers() -> None:
    """As in ConvNeXt and Swin."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.linear, self.relu = nn.Conv2d(3, 6, 3), nn.Linear(6, 10), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.linear(self.convolution(x).permute(0, 2, 3, 1)))

    model = Block()
    model.linear.bias.data[:3] = -1e4
    assert dead(model, torch.randn(4, 3, 9, 9)) == 0.3


def test_inspect_works_in_inference_mode_with_checkpoints_names_and_several_inputs() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.relu, self.tanh = nn.Linear(5, 8), nn.Linear(8, 3), nn.ReLU(), nn.Tanh()

        def forward(self, x: Tensor, shift: Tensor) -> Tensor:
            h = checkpoint(lambda z: self.relu(input=self.first(z)), x, use_reentrant=False)
            return self.second(self.tanh(h + shift))

    model, x, labels = Model(), torch.randn(6, 5), torch.arange(6) % 3
    expected = actbench.inspect(model, (x, torch.ones(6, 8)), labels)
    assert expected["layer"].unique().tolist() == ["all", "relu", "tanh"]
    pd.testing.assert_frame_equal(actbench.inspect(model, {"x": x, "shift": torch.ones(6, 8)}, labels), expected)
    with torch.inference_mode():
        pd.testing.assert_frame_equal(actbench.inspect(model, (x + 0, torch.ones(6, 8)), labels), expected)


@pytest.mark.parametrize(
    ("targets", "loss", "message"),
    [
        (torch.rand(6, 1), None, "targets are class indices"),
        (torch.rand(6, 1), F.mse_loss, "one value for each"),
        (torch.zeros(5, dtype=torch.long), lambda outputs, targets: outputs[:, 0], "5 examples has shape"),
    ],
)
def test_targets_of_another_kind_are_refused(
    targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor] | None, message: str
) -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
    with pytest.raises(ValueError, match=message):
        actbench.inspect(model, torch.randn(6, 5), targets, loss=loss)
    with pytest.raises(ValueError, match="inputs need an example"):
        actbench.inspect(model, torch.randn(0, 5))
    found = actbench.inspect(
        model, torch.randn(6, 5), torch.rand(6, 1), loss=lambda outputs, y: F.mse_loss(outputs, y, reduction="none")
    )
    assert (found.loc[found["metric"] == "gradient_rms", "value"] > 0).all()


def test_units_are_found_with_side_branches_half_precision_and_keywords() -> None:
    class Squeeze(nn.Module):
        """Channels weighted by a linear side branch, as many as pixels in a row; half of them are dead after it."""

        def __init__(self) -> None:
            super().__init__()
            self.body, self.side, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 8), nn.ReLU()
            assert self.body.bias is not None
            nn.init.constant_(self.body.bias, 0.0)
            with torch.no_grad():
                self.body.bias[:4] = -1e6

        def forward(self, x: Tensor) -> Tensor:
            z = self.body(x)
            return self.relu(input=z * self.side(z.mean((2, 3))).abs()[:, :, None, None]).mean((2, 3))

    found = values(actbench.inspect(Squeeze(), torch.randn(64, 3, 8, 8)))
    assert found["relu", "dead_fraction"] == 0.5

    class Leaky(nn.Module):
        def forward(self, z: Tensor, *, k: float) -> Tensor:
            return F.leaky_relu(z, k)

    class Keywords(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.act = nn.Linear(5, 4), Leaky()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.layer(x), k=0.5)

    for dtype in (torch.float16, torch.bfloat16):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        images = torch.randn(256, 3, 32, 32)
        whole = values(actbench.inspect(model, images))
        half = values(actbench.inspect(model.to(dtype), images.to(dtype)))
        for key in (("1", "dead_fraction"), ("1", "zero_share"), ("1", "unit_mean")):
            assert half[key] == pytest.approx(whole[key], abs=0.005)
    own, x = Keywords(), torch.randn(30, 5)
    found = values(actbench.inspect(own, x, activations=(Leaky,)))
    assert found["act", "unit_mean"] == pytest.approx(F.leaky_relu(own.layer(x), 0.5).mean().item(), abs=1e-6)


def test_units_of_a_convolution_whose_channels_were_moved_last() -> None:
    class Moved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.relu = nn.Conv2d(3, 5, 3), nn.ReLU()
            with torch.no_grad():
                assert self.body.bias is not None
                self.body.bias[:2] = -1e6

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.body(x).permute(0, 2, 3, 1)).mean((1, 2))

    assert values(actbench.inspect(Moved(), torch.randn(64, 3, 8, 8)))["relu", "dead_fraction"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": torch.relu}, "model must be a torch.nn.Module"),
        ({"targets": [0, 1]}, "targets must be a tensor"),
        ({"activations": nn.Softmax}, "activations must be a tuple"),
        ({"functions": {"0": "relu"}}, "functions must be a dict"),
    ],
)
def test_arguments_of_another_kind_are_refused(given: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"model": nn.Sequential(nn.Linear(3, 2), nn.ReLU()), "inputs": torch.randn(2, 3)}
    with pytest.raises(ValueError, match=message):
        actbench.inspect(**(arguments | given))  # type: ignore[arg-type]


def test_inspect_leaves_the_random_state_unchanged() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x) + torch.rand_like(x)

    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    actbench.inspect(nn.Sequential(nn.ReLU(), Noisy()), torch.zeros(4, 3))
    assert torch.equal(torch.rand(3), expected)
