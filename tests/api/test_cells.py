"""Functions of a notebook's cells, which are run here as IPython runs them: each cell in one namespace, `__main__`."""

import linecache
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from actbench.api.cells import activation_path
from actbench.errors import UsageError

CELLS = '''
import math
import torch
import torch.nn.functional as F
from torch import nn, sqrt as root

ALPHA = 0.5


def half(z):
    return z / 2


def squareplus(z):
    """Not a hinge."""
    return half(z + root(z * z + 4))


class Bent(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.5))

    def forward(self, z):
        return F.relu(z) + self.slope * half(z) * math.pi


def even(z, n=2):
    return z if n == 0 else odd(z, n - 1)


def odd(z, n=1):
    return even(z, n - 1)


def scaled(z):
    return ALPHA * z


def captured(slope):
    def inner(z):
        return slope * z

    return inner


inner = captured(2.0)
nameless = lambda z: z
missing = torch.relu
'''


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The namespace of a notebook after its cell ran, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    name = "<ipython-input-1-abc>"
    monkeypatch.setitem(linecache.cache, name, (len(CELLS), None, CELLS.splitlines(keepends=True), name))
    exec(compile(CELLS, name, "exec"), vars(main))
    return vars(main)


@pytest.mark.parametrize("name", ["squareplus", "Bent", "half", "even"])
def test_a_cells_function_is_a_module_that_another_process_imports(
    name: str, cell: dict[str, Any], tmp_path: Path
) -> None:
    path = activation_path(cell[name])
    module, _, found = path.partition(":")
    assert found == name
    assert module.startswith("cell_")
    assert (tmp_path / f"{module}.py").is_file()
    call = f"{name}()" if name == "Bent" else name
    code = f"import torch; from {module} import {name}; print({call}(torch.tensor(1.5)).item())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    function = cell[name]() if name == "Bent" else cell[name]
    assert float(printed.stdout) == function(torch.tensor(1.5)).item()


def test_the_name_follows_the_content(cell: dict[str, Any]) -> None:
    first = activation_path(cell["squareplus"])
    assert activation_path(cell["squareplus"]) == first
    assert activation_path(cell["half"]).partition(":")[0] != first.partition(":")[0]


def test_comments_and_docstrings_make_no_other_module(
    cell: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = activation_path(cell["squareplus"])
    (before,) = [path.read_bytes() for path in tmp_path.glob("cell_*.py")]
    for old, new, is_same in (
        ('"""Not a hinge."""', '"""Smooth."""  # far from a hinge', True), ("z * z + 4", "z * z + 5", False)
    ):  # fmt: skip
        text = CELLS.replace(old, new)
        assert text != CELLS
        name = f"<ipython-input-{new}>"
        monkeypatch.setitem(linecache.cache, name, (len(text), None, text.splitlines(keepends=True), name))
        exec(compile(text, name, "exec"), cell)
        assert (activation_path(cell["squareplus"]) == first) is is_same
        assert (tmp_path / f"{first.partition(':')[0]}.py").read_bytes() == before


def test_functions_of_modules_are_named_by_these(cell: dict[str, Any]) -> None:
    assert activation_path(torch.nn.Softsign) == "torch.nn.modules.activation:Softsign"
    assert activation_path(cell["missing"]) == "torch:relu"


@pytest.mark.parametrize(
    ("name", "problem"),
    [("scaled", "ALPHA"), ("inner", "captures slope"), ("nameless", "lambda"), ("ALPHA", "neither")],
)
def test_what_a_process_could_not_import_is_refused_by_name(name: str, problem: str, cell: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=problem):
        activation_path(cell[name])


def test_a_nested_function_without_a_cell_is_refused(cell: dict[str, Any]) -> None:
    def inner(z: torch.Tensor) -> torch.Tensor:
        return z

    with pytest.raises(UsageError, match="defined inside a function"):
        activation_path(inner)
    with pytest.raises(UsageError, match="neither a function nor a class"):
        activation_path(torch.nn.ReLU())
