"""`actbench figure`: widths, formats, and which activations are shown; that of a comparison is in tests/api."""

from pathlib import Path

import matplotlib.image
import pytest

from actbench.cli.main import main
from actbench.commands.figure import WIDTHS, inches_of, look_of
from actbench.errors import UsageError
from tests.report.runs import compared
from tests.support import TINY

WHOLE = {"relu": [0.95, 0.96] * 4, "gelu": [0.952, 0.961] * 4, "tanh": [0.6, 0.61] * 4}
LENGTHS = [("3.3in", 3.3), ("84mm", 84 / 25.4), ("8.4cm", 84 / 25.4), ("240pt", 240 / 72.27), ("icml", 3.25)]


@pytest.mark.parametrize(("width", "inches"), LENGTHS)
def test_a_width_is_a_length_or_a_venue(width: str, inches: float) -> None:
    assert inches_of(width) == pytest.approx(inches)


@pytest.mark.parametrize("width", ["", "3.3", "in", "0.5in", "3000mm", "nanin", "-3in", "venue"])
def test_another_width_is_refused(width: str) -> None:
    with pytest.raises(UsageError, match="--width"):
        inches_of(width)


def test_what_is_shown_is_a_part_of_the_whole_comparison() -> None:
    whole = compared(WHOLE)
    shown = whole.only(["tanh"])
    assert set(shown.scores) == {"tanh", whole.baseline}
    assert shown.differences == {"tanh": whole.differences["tanh"]}
    assert shown.seeds == whole.seeds
    assert whole.only(list(whole.ranking)).ranking == whole.ranking


def test_a_sweeps_figure_has_the_width_that_is_asked_for(
    command_line: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *TINY, "activation=relu,gelu,tanh", "seed=0,1"]) == 0
    capsys.readouterr()
    assert main(["figure", "sweep"]) == 0
    assert capsys.readouterr().out.split() == ["accuracy", "curves"]
    words = ["figure", "sweep", "accuracy", "--activations", "relu,tanh", "--format", "png", "--width"]
    for width in ("3.3in", "neurips"):
        assert main([*words, width, "--out", f"{width}.png"]) == 0
        pixels = matplotlib.image.imread(f"{width}.png").shape[1]
        assert abs(pixels - 200 * inches_of(width)) < 1
    assert main(["figure", "sweep", "--format", "svg", "curves"]) == 0
    assert "<svg" in Path("sweep-curves.svg").read_text()
    Path("typo.mplstyle").write_text("# mine\nfont.szie: 8\n")
    capsys.readouterr()
    assert main(["figure", "sweep", "curves", "--style", "typo.mplstyle"]) == 2
    assert "matplotlib has no font.szie; near: font.size" in capsys.readouterr().err
    assert main(["figure", "sweep", "curves", "--style", "ggplot", "--out", "ggplot.pdf"]) == 0
    Path("own.mplstyle").write_text("font.family: serif\n")
    assert main(["figure", "sweep", "curves", "--style", "own.mplstyle"]) == 0
    assert Path("sweep-curves.pdf").read_bytes().startswith(b"%PDF")
    capsys.readouterr()
    for wrong in (
        ["nosuch"], ["sweep", "differences"], ["sweep", "curves", "accuracy"],
        ["sweep", "curves", "--activations", "x"],
        ["sweep", "curves", "--activations", "relu,"], ["sweep", "curves", "--format", "doc"],
        ["sweep", "curves", "--style", "nosuch"], ["sweep", "curves", "--out", "nosuch/a.pdf"],
    ):  # fmt: skip
        assert main(["figure", *wrong]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)


def test_the_look_is_checked() -> None:
    assert look_of("icml", "svg", None, "relu, gelu").activations == ["relu", "gelu"]
    assert min(WIDTHS.values()) > 2.5
