"""The built wheel carries its configs and runs outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT


def run(*words: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_runs_in_an_empty_environment(tmp_path: Path) -> None:
    """Dependencies come from this environment by a path file; actbench itself comes from the wheel alone."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist"), cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("conf", "experiments"):
        shipped = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.yaml")}
        assert {f"actbench/{name}" for name in shipped} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "results", "scripts"))]

    environment = tmp_path / "env"
    run(sys.executable, "-m", "venv", "--without-pip", str(environment), cwd=tmp_path)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--python", str(python), str(wheel),
        cwd=tmp_path)  # fmt: skip
    purelib = run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    (Path(purelib) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = run(str(python), "-c", "import actbench; print(actbench.__file__)", cwd=elsewhere, env=clean).strip()
    assert Path(place).is_relative_to(environment)
    words = ["sweep", "quickstart", "architecture=mlp_small", "activation=relu,gelu", "training.steps=2",
             "execution.workers=1"]  # fmt: skip
    shown = run(str(environment / "bin" / "actbench"), *words, cwd=elsewhere, env=clean)
    assert "2 runs in results/quickstart" in shown
    assert (elsewhere / "results" / "quickstart" / "runs.csv").is_file()
