"""The table of activations, printed and plotted."""

from pathlib import Path

import pytest

from actbench.activations.table import TABLE
from tests.support import actbench

pytestmark = pytest.mark.usefixtures("command_line")


@pytest.mark.slow
def test_activations_are_listed_and_plotted(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("activations") == 0
    table = capsys.readouterr().out
    assert set(TABLE) <= set(table.split())  # whole, not folded
    assert max(map(len, table.splitlines())) <= 100
    assert actbench("activations", "gelu", "leaky_relu") == 0
    details = capsys.readouterr().out
    assert "arXiv:1606.08415" in details
    assert "activation.slope" in details
    for suffix in ("png", "svg", "pdf"):
        assert actbench("activations", "gelu", "swiglu", "selu", "--plot", f"curves.{suffix}") == 0
    assert actbench("activations", "tests.own_activations:squareplus", "relu", "--plot", "own.png") == 0
    assert Path("own.png").is_file()
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
    first = Path("curves.svg").read_bytes()
    assert actbench("activations", "gelu", "swiglu", "selu", "--plot", "curves.svg") == 0
    assert Path("curves.svg").read_bytes() == first
