"""The networks of the hand-written loops: plain torch modules of the shapes that actbench's architectures have."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Callable[[], nn.Module]

ACTIVATIONS: dict[str, Activation] = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "prelu": nn.PReLU, "relu6": nn.ReLU6, "elu": nn.ELU, "celu": nn.CELU,
    "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish, "hard_swish": nn.Hardswish, "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid, "softplus": nn.Softplus, "softsign": nn.Softsign,
}  # fmt: skip


def mlp(activation: Activation, inputs: int = 784, width: int = 256) -> nn.Module:
    """Two hidden layers."""
    hidden = [nn.Linear(inputs, width), activation(), nn.Linear(width, width), activation()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, 10))


def cnn(activation: Activation) -> nn.Module:
    """Three convolutions of 28x28 images, each followed by a 2x2 max pool."""
    layers: list[nn.Module] = []
    for fan_in, channels in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(fan_in, channels, 3, padding=1), activation(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 3 * 3, 10))


class Block(nn.Module):
    """A pre-norm block of attention, causal or not, and feed-forward."""

    def __init__(self, activation: Activation, width: int = 64, heads: int = 4, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), activation(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, tokens, width)."""
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = (
            F.scaled_dot_product_attention(q, k, v, is_causal=self.causal).transpose(1, 2).reshape(batch, tokens, width)
        )
        x = x + self.out(attended)
        return x + self.ffn(self.norm2(x))


class Transformer(nn.Module):
    """Two blocks over the 7x7 patches of 28x28 images, with mean pooling."""

    def __init__(self, activation: Activation, width: int = 64, patch: int = 7) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(patch * patch, width)
        self.position = nn.Parameter(torch.randn((28 // patch) ** 2, width))
        self.blocks = nn.Sequential(Block(activation), Block(activation))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, 1, 28, 28)."""
        x = F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)
        return self.head(self.norm(self.blocks(self.embed(x) + self.position)).mean(1))


MODELS: dict[str, Callable[[Activation], nn.Module]] = {
    "mlp": mlp, "mlp_small": partial(mlp, inputs=64, width=64), "cnn": cnn, "transformer": Transformer,
}  # fmt: skip
