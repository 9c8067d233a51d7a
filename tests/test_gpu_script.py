"""The measurement of a GPU runs from end to end, here on the CPU in small sizes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import gpu

GPU_PAGE = ROOT / "results" / "benchmarks" / "gpu.md"


@pytest.mark.slow
def test_every_part_runs_on_the_cpu_and_no_page_is_written(tmp_path: Path) -> None:
    before = GPU_PAGE.read_bytes() if GPU_PAGE.exists() else None
    environment = os.environ | {"PYTHON": sys.executable}
    command = [str(ROOT / "scripts" / "gpu.sh"), "--device", "cpu", "--tiny", "--root", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout
    for what in ("core tests", "host waits", "alone and in a stack", "graph over eager", "one by one", "4 runs", "CNN"):
        assert what in done.stdout
    assert "random images of MNIST's shape (UsageError:" in done.stdout  # the folder holds no MNIST
    assert (GPU_PAGE.read_bytes() if GPU_PAGE.exists() else None) == before


def test_a_part_that_fails_is_a_line_with_its_reason_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def measured(part: str, arguments: object, limit: float) -> list[list[str]]:
        if part == "bits":
            raise RuntimeError("CUDA error: an illegal | memory access\nmore")
        return [[part, "5", "1", "0 to 2", ""]]

    monkeypatch.setattr(gpu, "measured", measured)
    page = tmp_path / "gpu.md"
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--parts", "bits,graphs", "--out", str(page)])
    assert gpu.main() == 1
    lines = page.read_text().splitlines()
    assert "| bits |  | failed | CUDA error: an illegal / memory access |  |" in lines
    assert "| graphs | 5 | 1 | 0 to 2 |  |" in lines


def test_missing_packages_are_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "PACKAGES", {"torch": "torch", "no_such_module": "no-such-package"})
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu"])
    assert gpu.main() == 2
    assert capsys.readouterr().err == (
        "missing packages: no-such-package; give a folder of wheels: WHEELS=DIR scripts/gpu.sh\n"
    )
