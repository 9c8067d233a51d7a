"""The measurement of a GPU runs from end to end, here on the CPU in small sizes."""

import os
import subprocess
import sys
import zipfile
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


_STAND_IN = """#!{python}
import os, runpy, sys
if sys.argv[-1] == "--missing":
    print("absent-package")
elif sys.argv[1].endswith("gpu.py"):
    import absent_package
    print("imported", absent_package.__file__)
else:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


def test_missing_packages_are_installed_from_a_folder_of_wheels_and_are_gone_afterwards(tmp_path: Path) -> None:
    wheels, python = tmp_path / "wheels", tmp_path / "python"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "absent_package-1.0-py3-none-any.whl", "w") as wheel:
        info = "absent_package-1.0.dist-info"
        wheel.writestr("absent_package.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: absent-package\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"absent_package.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    python.write_text(_STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"PYTHON": str(python), "WHEELS": str(wheels), "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run([str(ROOT / "scripts" / "gpu.sh")], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"imported {tmp_path / 'tmp'}")
    assert list((tmp_path / "tmp").iterdir()) == []
