"""One contract for every row of the table: adding a row adds its tests."""

import math
from statistics import NormalDist

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import activation

from actbench.activations.bound import BoundActivation, constant_parameters, diagonal_derivative, initial_parameters
from actbench.activations.gain import gain
from actbench.activations.load import load_activation
from actbench.activations.table import TABLE
from actbench.experiment.compose import activation_defaults

ROWS = list(TABLE)
UNITS = 6

DENSITY, CDF = NormalDist().pdf, NormalDist().cdf

# Closed forms or published figures, E[f(z)^2]^(-1/2) for z ~ N(0, 1).
GAINS = {
    "identity": 1.0,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "prelu": math.sqrt(2 / (1 + 0.25**2)),
    "gelu": 1.533530,
    "silu": 1.676532,
    "elu": 1.245198,
    "mish": 1.486848,
    "tanh": 1.592537,
    "sigmoid": 1.846229,
    "selu": 1.0,
    "squared_relu": math.sqrt(2 / 3),  # E z^4 = 3, half of it
    "leaky_squared_relu": (1.5 * (1 + 0.5**4)) ** -0.5,
    "star_relu": (1.5 * 0.8944**2 - 0.8944 * 0.4472 + 0.4472**2) ** -0.5,  # about 1, as it is meant to be
    "snake": (1 + 4 * (3 - 4 * math.exp(-0.5) + math.exp(-2)) / 8) ** -0.5,  # sin^4 t = (3 - 4 cos 2t + cos 4t) / 8
    "hardshrink": (2 * (0.5 * DENSITY(0.5) + 1 - CDF(0.5))) ** -0.5,
    "softshrink": (2 * ((1 + 0.5**2) * (1 - CDF(0.5)) - 0.5 * DENSITY(0.5))) ** -0.5,
    "threshold": (DENSITY(1) + 1 - CDF(1)) ** -0.5,
    "hard_sigmoid": (0.25 + (CDF(3) - CDF(-3) - 6 * DENSITY(3)) / 36 + (1 - CDF(3)) / 2) ** -0.5,
    "maxout": 1.0,  # max of two: E m^2 = 1
    "reglu": math.sqrt(2),  # E z1^2 E relu(z2)^2
    "geglu": 1.533530,
    "swiglu": 1.676532,
    "dynamic_relu": math.sqrt(2),
}


def applied(name: str) -> BoundActivation:
    settings = {key: v for key, v in activation_defaults(name).items() if key in TABLE[name].settings}
    return load_activation(name, None, **settings)


def arguments(row: BoundActivation, runs: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Initial learned parameters of `runs` runs, each its own draws."""
    initial = [initial_parameters(row, UNITS, seed, 0) for seed in range(runs)]
    return {key: torch.stack([values[key].to(dtype) for values in initial]) for key in initial[0]}


def draws(row: BoundActivation, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, UNITS * row.pieces, generator=generator, dtype=torch.float64) * 2


@pytest.mark.parametrize("name", ROWS)
def test_shape_dtype_and_finite_values(name: str) -> None:
    row = applied(name)
    for dtype in (torch.float32, torch.float64):
        for shape in ((3, 5), (3, 5, 4), (3, 5, 2, 2)):
            z = draws(row, *shape).to(dtype)
            h = row.forward(z, arguments(row, 3, dtype))
            assert h.shape == (*shape, UNITS)
            assert h.dtype == dtype
            assert h.isfinite().all()
            extreme = row.forward(z.sign() * 1e4, arguments(row, 3, dtype))
            assert extreme.isfinite().all()


@pytest.mark.parametrize("name", ROWS)
def test_stacked_equals_single(name: str) -> None:
    row = applied(name)
    z, p = draws(row, 4, 64), arguments(row, 4)  # 64 examples fill whole SIMD vectors, as network.py sees to
    stacked = row.forward(z, p)
    for run in range(4):
        single = {key: value[run : run + 1] for key, value in p.items()}
        assert torch.equal(row.forward(z[run : run + 1], single)[0], stacked[run])


@pytest.mark.parametrize("name", [name for name in ROWS if TABLE[name].learned])
def test_gradients_of_learned_parameters_are_those_of_a_single_run(name: str) -> None:
    row = applied(name)
    z, p = draws(row, 4, 64).float(), arguments(row, 4, torch.float32)

    def gradients(start: int, stop: int) -> tuple[Tensor, ...]:
        leaves = [value[start:stop].clone().requires_grad_() for value in p.values()]
        h = row.forward(z[start:stop], dict(zip(p, leaves, strict=True)))
        return torch.autograd.grad((h * z[start:stop, :, :UNITS].cos()).sum(), leaves)

    stacked = gradients(0, 4)
    for run in range(4):
        single = gradients(run, run + 1)
        assert all(torch.equal(one[0], all_[run]) for one, all_ in zip(single, stacked, strict=True))


@pytest.mark.parametrize("name", ROWS)
def test_autograd_equals_finite_differences(name: str) -> None:
    row = applied(name)
    z, p = draws(row, 2, 9), arguments(row, 2)
    for kink in (0, 0.5, 1, 3, 6):  # and jumps
        z = torch.where((z.abs() - kink).abs() < 0.05, 0.7, z)
    weight = torch.randn(2, 9, UNITS, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def total(z: Tensor) -> Tensor:
        return (row.forward(z, p) * weight).sum()

    leaf = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(leaf), leaf)
    step = 1e-6
    for index in torch.randperm(z.numel(), generator=torch.Generator().manual_seed(3))[:20].tolist():
        delta = torch.zeros_like(z).flatten()
        delta[index] = step
        delta = delta.view_as(z)
        numeric = (total(z + delta) - total(z - delta)) / (2 * step)
        assert numeric.item() == pytest.approx(gradient.flatten()[index].item(), abs=1e-6)


@pytest.mark.parametrize("name", [name for name in ROWS if TABLE[name].pieces == 1])
def test_unit_derivative_is_the_diagonal_of_the_jacobian(name: str) -> None:
    row = applied(name)
    z, p = draws(row, 2, 8), arguments(row, 2)
    if name == "dynamic_relu":  # its lines are held fixed: at the start they do not depend on z at all
        assert torch.equal(row.derivative(z, p), (z > 0).double())
        return
    assert torch.allclose(row.derivative(z, p), diagonal_derivative(row.forward)(z, p), atol=1e-12)


def test_dynamic_relu_derivative_is_the_slope_of_the_winning_line() -> None:
    row = applied("dynamic_relu")
    p = arguments(row, 1)
    p["excite_bias"] = torch.linspace(-1, 1, 4 * UNITS, dtype=torch.float64).unsqueeze(
        0
    )  # lines apart, independent of z
    z = draws(row, 1, 50)
    assert torch.allclose(row.derivative(z, p), diagonal_derivative(row.forward)(z, p), atol=1e-9)


@pytest.mark.parametrize("name", [name for name in ROWS if TABLE[name].kind == "elementwise"])
def test_largest_slope_is_the_one_in_the_table(name: str) -> None:
    row = applied(name)
    finite = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    z = torch.cat([finite, torch.tensor([-1e7, 1e7], dtype=torch.float64)]).view(1, -1, 1)  # a slope may be a limit
    p = constant_parameters(row, 1, torch.float64)
    largest = row.derivative(z, p).abs().max().item()
    if math.isinf(row.record.max_slope):
        assert largest > 10
    else:
        assert largest == pytest.approx(row.record.max_slope, abs=2e-6)


@pytest.mark.parametrize(("name", "expected"), GAINS.items())
def test_gain_equals_the_closed_form(name: str, expected: float) -> None:
    jumps = name in ("hardshrink", "threshold")  # the rule's error is O(h) there, h = 2e-4
    assert gain(applied(name), UNITS) == pytest.approx(expected, abs=1e-4 if jumps else 1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_gain_agrees_with_monte_carlo(name: str) -> None:
    row = applied(name)
    z = torch.randn(1, 200_000, UNITS * row.pieces, generator=torch.Generator().manual_seed(4))
    p = constant_parameters(row, UNITS, torch.float32)
    squares = row.forward(z, p).double().square().mean(-1).flatten()
    moment, error = squares.mean().item(), squares.std().item() / math.sqrt(len(squares))
    expected = gain(row, UNITS) ** -2
    assert abs(moment - expected) < 5 * error + 2e-3 * expected * (row.record.kind == "layer")


def first_unit(pieces: Tensor) -> Tensor:
    """Pre-activations (1, n, pieces * UNITS) with those of unit 0 given, (n, pieces), and 0 for the other units."""
    z = torch.zeros(1, *pieces.shape, UNITS, dtype=torch.float64)
    z[0, ..., 0] = pieces
    return z.flatten(2)


def learned_elsewhere(row: BoundActivation) -> dict[str, Tensor]:
    """Learned parameters of one run away from their initial values, where elu_learned is not elu."""
    return {key: values + 0.3 for key, values in arguments(row, 1).items()}


@pytest.mark.parametrize("name", ROWS)
def test_range_column(name: str) -> None:
    row = applied(name)
    learned = learned_elsewhere(row)
    far = torch.logspace(1, 7, 61, dtype=torch.float64)
    sweep = torch.cat([-far, torch.linspace(-10, 10, 2001 if row.pieces == 1 else 201, dtype=torch.float64), far])
    h = row.forward(first_unit(torch.cartesian_prod(*[sweep] * row.pieces).view(-1, row.pieces)), learned)[..., 0]
    values = {"inf": math.inf, **row.settings}
    values |= {key[0]: parameter[0, 0].item() for key, parameter in learned.items() if name != "dynamic_relu"}
    text = row.record.range
    for end, reached, extreme in zip(text[1:-1].split(", "), (text[0], text[-1]), (h.min(), h.max()), strict=True):
        expected = eval(end, values)
        if math.isinf(expected):
            assert reached in "()"
            assert extreme * math.copysign(1, expected) > 1000
        else:
            decimals = len(end.partition("/")[0].partition(".")[2])
            assert extreme.item() == pytest.approx(expected, abs=0.5 * 10**-decimals if decimals else 1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_smooth_column(name: str) -> None:
    """On a grid of step 1e-4 a continuous f' changes by less than 1e-3, and the smallest jump of the table is 1/6."""
    row = applied(name)
    learned, changes = learned_elsewhere(row), []
    for piece in range(row.pieces):
        pieces = torch.ones(160_001, row.pieces, dtype=torch.float64)
        pieces[:, piece] = torch.linspace(-8, 8, len(pieces), dtype=torch.float64)
        slope = row.derivative(first_unit(pieces), learned)[0, :, piece * UNITS]
        changes.append(slope.diff().abs().max().item())
    assert (max(changes) < 1e-3) == row.record.smooth
    assert row.record.smooth or max(changes) > 0.15


@pytest.mark.parametrize("name", ROWS)
def test_monotone_column(name: str) -> None:
    row = applied(name)
    learned = arguments(row, 1)
    if name == "dynamic_relu":
        learned["excite_bias"] -= 3  # the second line then falls
    rises = []
    for piece in range(row.pieces):
        for other in (-1.0, 1.0):
            pieces = torch.full((20_001, row.pieces), other, dtype=torch.float64)
            pieces[:, piece] = torch.linspace(-10, 10, len(pieces), dtype=torch.float64)
            rises.append(row.forward(first_unit(pieces), learned)[0, :, 0].diff())
    assert bool((torch.cat(rises) >= -1e-12).all()) == row.record.monotone


@pytest.mark.parametrize("name", ROWS)
def test_zero_centred_column(name: str) -> None:
    """E[h] by quadrature; of several pieces or units, the mean over draws with every combination of signs."""
    row = applied(name)
    if row.record.kind == "elementwise":
        grid = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
        density = torch.exp(-grid.square() / 2) / math.sqrt(2 * math.pi) * 1e-4
        h = row.forward(grid.view(1, -1, 1), constant_parameters(row, 1, torch.float64)).flatten()
        assert (abs((h * density).sum().item()) < 1e-9) == row.record.zero_centred
        return
    z = draws(row, 1, 200).unflatten(-1, (row.pieces, UNITS))
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * row.pieces).view(-1, row.pieces, 1)
    means = [row.forward((sign * z).flatten(2), arguments(row, 1)).mean().item() for sign in signs]
    assert (abs(sum(means)) < 1e-9) == row.record.zero_centred


# Classes of torch.nn that are no rows: attention, and those that torch uses as outputs.
NOT_ELEMENTWISE = {"MultiheadAttention", "LogSoftmax", "Softmax2d", "Softmin"}
TORCH = {
    "CELU": "celu", "ELU": "elu", "GELU": "gelu", "GLU": "glu", "Hardshrink": "hardshrink",
    "Hardsigmoid": "hard_sigmoid", "Hardswish": "hard_swish", "Hardtanh": "hard_tanh", "LeakyReLU": "leaky_relu",
    "LogSigmoid": "log_sigmoid", "Mish": "mish", "PReLU": "prelu", "ReLU": "relu", "ReLU6": "relu6", "RReLU": "rrelu",
    "SELU": "selu", "SiLU": "silu", "Sigmoid": "sigmoid", "Softmax": "softmax", "Softplus": "softplus",
    "Softshrink": "softshrink", "Softsign": "softsign", "Tanh": "tanh", "Tanhshrink": "tanhshrink",
    "Threshold": "threshold",
}  # fmt: skip


def test_every_activation_of_torch_is_in_the_table() -> None:
    assert set(activation.__all__) == set(TORCH) | NOT_ELEMENTWISE
    assert set(TORCH.values()) <= set(ROWS)


@pytest.mark.parametrize(("torch_name", "name"), TORCH.items())
def test_rows_are_the_functions_of_torch_with_its_defaults(torch_name: str, name: str) -> None:
    row = applied(name)
    z = draws(row, 1, 64)
    given = {"Threshold": (1.0, 0.0), "Softmax": (-1,)}.get(torch_name, ())
    module = getattr(nn, torch_name)(*given).double().eval()
    assert torch.allclose(row.forward(z, arguments(row, 1)), module(z), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
def test_docstring_of_the_function_gives_formula_range_and_source(name: str) -> None:
    row = TABLE[name]
    text = " ".join((applied(name).function.__doc__ or "").split())
    assert text.startswith(f"{row.formula}, in {row.range}. {row.source}.")


def test_functions_that_jump_take_0_at_the_jump() -> None:
    z = torch.tensor([-1.5, -1.0, -0.5, 0.5, 1.0, 1.5]).view(1, 1, 6)
    assert applied("hardshrink").forward(z, {}).flatten().tolist() == [-1.5, -1.0, 0.0, 0.0, 1.0, 1.5]
    assert applied("threshold").forward(z, {}).flatten().tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, 1.5]
    assert applied("threshold").derivative(z, {}).flatten().tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def test_formulas_of_language_models_and_vision_are_those_of_their_sources() -> None:
    z = torch.linspace(-3, 3, 64, dtype=torch.float64).view(1, 64, 1)
    relu = z.clamp(min=0)
    expected = {
        "leaky_squared_relu": torch.where(z > 0, z**2, z**2 / 4),
        "penalized_tanh": torch.where(z > 0, z.tanh(), z.tanh() / 4),
        "snake": z - torch.cos(z) + 1,  # z - cos(2 a z) / (2 a) + 1 / (2 a), Ziyin et al. 2020, a = 1/2
        "star_relu": 0.8944 * relu**2 - 0.4472,
    }
    for name, h in expected.items():
        row = applied(name)
        assert torch.allclose(row.forward(z, constant_parameters(row, 1, torch.float64)), h, rtol=1e-12, atol=1e-12)


def test_rrelu_draws_in_training_and_takes_the_mean_after() -> None:
    row = applied("rrelu")
    z = torch.full((1, 1, 10_000), -1.0)
    slopes = -row.forward(z, {}, lambda shape: torch.rand(shape, generator=torch.Generator().manual_seed(0)))
    assert slopes.min() >= 1 / 8
    assert slopes.max() <= 1 / 3
    assert slopes.mean().item() == pytest.approx(11 / 48, abs=2e-3)
    assert torch.allclose(row.forward(z, {}), torch.tensor(-11 / 48))


def test_every_row_has_formula_source_and_defaults_for_its_settings() -> None:
    for name, row in TABLE.items():
        assert row.formula, name
        assert row.source, name
        assert set(activation_defaults(name)) == set(TABLE[name].settings)
