"""Figures are saved by another process as by this one, and that process ends with this one."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from matplotlib.figure import Figure

from actbench.errors import UsageError
from actbench.report.figures.style import save_figure
from actbench.report.saver import other_process
from tests.support import ENVIRONMENT, until

_WAITS = """
import sys, time
from pathlib import Path
from actbench.report.saver import other_process
if __name__ == "__main__":
    with other_process():
        print("ready", flush=True)
        time.sleep(60)
"""


def figure() -> Figure:
    drawing = Figure(figsize=(2, 2))
    drawing.add_subplot().plot([1, 2], label="a")
    return drawing


def saved(paths: Sequence[Path], error: BaseException | None = None) -> None:
    with other_process() as save:
        for path in paths:
            save(figure(), path)
        if error is not None:
            raise error


def test_files_are_the_same_to_the_byte_and_show_a_figure_as_it_was_at_the_call(tmp_path: Path) -> None:
    save_figure(figure(), tmp_path / "here.pdf")
    with other_process() as save:
        drawing = figure()
        save(drawing, tmp_path / "there.pdf")
        drawing.axes[0].set_title("changed later")
    assert (tmp_path / "there.pdf").read_bytes() == (tmp_path / "here.pdf").read_bytes()


def test_a_file_that_cannot_be_written_is_named_and_the_others_are_saved(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write .*none/a.pdf"):
        saved([tmp_path / "none" / "a.pdf", tmp_path / "b.pdf"])
    assert (tmp_path / "b.pdf").exists()


def test_an_error_in_the_block_ends_the_process(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt):
        saved([tmp_path / "a.pdf"], KeyboardInterrupt())
    new = set(psutil.Process().children()) - before
    assert not [child for child in new if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_process_ends_with_its_parent(number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "waits.py"
    script.write_text(_WAITS)
    parent = subprocess.Popen(
        [sys.executable, script], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == "ready\n"
        children = psutil.Process(parent.pid).children()
        parent.send_signal(number)
        parent.wait()
    assert children
    until(lambda: not any(child.is_running() for child in children))
