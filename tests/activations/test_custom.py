"""A user's own module:function behaves like a row of the table, or is refused by name."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from actbench.activations.gain import gain
from actbench.activations.load import load_activation
from actbench.activations.table import TABLE
from actbench.data.datasets import ImageData, PreparedData
from actbench.errors import UsageError
from actbench.experiment.runs import make_run
from actbench.experiment.schema import RunSettings
from tests.support import RAGGED, numbers, results

OWN = "tests.own_activations"
Configs = Callable[..., list[RunSettings]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other_shape", "returns shape (2, 3, 1) for input (2, 3, 7)"),
        ("nan_at_zero", "returns NaN or infinity at 0"),
        ("noise", "two calls on one input differ"),
        ("numpy_inside", "autograd cannot see through it"),
        ("no_tensor", "returns float, not a tensor"),
        ("fails", "RuntimeError: as it must"),
        ("NOT_CALLABLE", "is not callable"),
        ("missing", "has no 'missing'"),
    ],
)
def test_bad_functions_are_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_activation("custom", f"{OWN}:{name}")
    assert message in str(caught.value)
    assert f"{OWN}:{name}" in str(caught.value)


@pytest.mark.parametrize("path", ["no.such:thing", "nothing", ":f", "torch:", "torch.nn:BatchNorm1d"])
def test_bad_paths_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="activation.function="):
        load_activation("custom", path)


def test_own_function_equals_the_row_of_the_same_name(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    """torch's own GELU under a user's name trains to the same bits as the table's."""
    points = configs("activation=gelu,torch.nn.functional:gelu", "architecture=mlp_small", *RAGGED)
    runs = [make_run(point, digits, "sweep") for point in points]
    ours, theirs = results(runs, digits_data).values()
    apart = ("run_id", "activation")
    same = [{k: v for k, v in numbers(r)[0].items() if k not in apart} for r in (ours, theirs)]  # type: ignore[attr-defined]
    assert same[0] == same[1]
    assert (ours.curves, ours.layers) == (theirs.curves, theirs.layers)


@pytest.mark.parametrize("name", ["squareplus", "centred_relu", "ScaledTanh"])
def test_own_activation_is_bit_identical_in_any_stack(
    name: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    points = configs(f"activation=relu,{OWN}:{name}", "seed=0,1", "architecture=mlp_small", *RAGGED)
    runs = [make_run(point, digits, "sweep") for point in points]
    together = results(runs, digits_data)
    alone = results([runs[-1]], digits_data)[runs[-1].id]
    assert alone.row["activation"] == f"{OWN}:{name}"
    assert numbers(alone) == numbers(together[runs[-1].id])


def test_parameters_of_an_own_module_are_learned_per_run(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    (point,) = configs(f"activation={OWN}:ScaledTanh", "architecture=mlp_small", *RAGGED)
    (relu,) = configs("architecture=mlp_small", *RAGGED)
    own, plain = (results([make_run(p, digits, "sweep")], digits_data).popitem()[1] for p in (point, relu))
    assert own.row["parameters"] == int(str(plain.row["parameters"])) + 2  # one a hidden layer


def test_gain_of_an_own_function_is_computed() -> None:
    assert gain(load_activation("custom", "torch.nn.functional:gelu"), 8) == pytest.approx(1.533530, abs=1e-5)
    assert gain(load_activation("custom", "torch.nn:Tanh"), 8) == pytest.approx(1.592537, abs=1e-5)
    assert gain(load_activation("custom", f"{OWN}:ScaledTanh"), 8) == pytest.approx(1.592537 / 1.5, abs=1e-5)


def test_functions_that_couple_units_are_recognised_and_get_the_diagonal_derivative() -> None:
    own = load_activation("custom", f"{OWN}:centred_relu")
    assert own.record.kind == "layer"
    z = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(own.derivative(z, {}), 0.75 * (z > 0))  # 1 - 1/4 of its own
    assert load_activation("custom", f"{OWN}:squareplus").record.kind == "elementwise"
    assert load_activation("custom", "torch.nn.functional:relu").record.kind == "elementwise"


@pytest.mark.slow
def test_source_of_an_own_function_is_part_of_the_run_id(
    configs: Configs, digits: PreparedData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own body, a constant beside it, and a function of its own that it imports."""
    monkeypatch.syspath_prepend(str(tmp_path))
    helper, mine = (
        "import torch\ndef h(z): return torch.tanh(z)\n",
        "from aid import h\nK = 1.0\ndef f(z): return K * h(z)\n",
    )

    def identity(helper: str, mine: str) -> str:
        (tmp_path / "aid.py").write_text(helper)
        (tmp_path / "mine.py").write_text(mine)
        importlib.invalidate_caches()
        for name in ("aid", "mine"):
            sys.modules.pop(name, None)
        load_activation.cache_clear()
        (point,) = configs("activation=mine:f")
        return make_run(point, digits, "sweep").id

    first = identity(helper, mine)
    assert identity(helper, mine) == first
    assert identity(helper, mine.replace("1.0", "3.00")) != first
    assert identity(helper, mine.replace("K * h", "-K * h")) != first
    assert identity(helper.replace("tanh", "sin"), mine) != first
    load_activation.cache_clear()


def test_table_names_never_clash_with_paths() -> None:
    assert all(":" not in name for name in TABLE)
