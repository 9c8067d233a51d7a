"""`actbench export` packs what a results folder holds, and the command."""

import contextlib
import zipfile
from pathlib import Path

import pytest

from actbench.cli.main import main
from tests.support import TINY


def test_the_archive_holds_the_folder_and_the_command(command_line: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *TINY, "activation=relu,gelu"]) == 0
    assert main(["export", "sweep"]) == 0
    with zipfile.ZipFile("sweep.zip") as archive:
        names = set(archive.namelist())
        for path in Path("results/sweep").rglob("*"):
            if path.is_file():
                assert archive.read(f"sweep/{path.relative_to('results/sweep')}") == path.read_bytes()
        assert archive.read("sweep/COMMAND.txt").decode().startswith("actbench test\nactbench ")
    assert {"sweep/runs.csv", "sweep/request.json", "sweep/environment.json", "sweep/figures/accuracy.pdf"} <= names
    first = Path("sweep.zip").read_bytes()
    assert main(["export", "sweep", "--out", "again.zip"]) == 0
    assert Path("again.zip").read_bytes() == first
    capsys.readouterr()
    for wrong in (["nosuch"], ["sweep", "--out", "a.tar"], ["sweep", "--out", "nosuch/a.zip"], []):
        with pytest.raises(SystemExit) if not wrong else contextlib.nullcontext():
            assert main(["export", *wrong]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
