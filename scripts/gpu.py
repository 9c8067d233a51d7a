"""Runs every part of the GPU's measurement in a process of its own and writes the table; scripts/gpu.sh starts it.

usage: gpu.py [--device cuda] [--root MNIST_FOLDER] [--tiny] [--out FILE] [--missing]. A part that fails is a line of
the table and does not stop the others. Exit code 1 where one failed, 2 where packages or the device are missing.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Modules that training and its core tests need, and the packages that bring them.
PACKAGES = {
    "torch": "torch", "numpy": "numpy", "pydantic": "pydantic", "hydra": "hydra-core", "safetensors": "safetensors",
    "pytest": "pytest",
}  # fmt: skip
PARTS = {  # seconds that each may take; ten minutes together
    "tests": 120, "waiting": 60, "sweep": 150, "stacks": 60, "graphs": 50, "cnn": 60, "bits": 90,
}  # fmt: skip
OUT = ROOT / "results" / "benchmarks" / "gpu.md"


def missing_packages() -> list[str]:
    """The packages that this Python lacks."""
    return [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]


def core_tests(device: str, limit: float) -> list[list[str]]:
    """Runs the tests that are marked `device` on the device."""
    options = ["-o", "addopts=", "-q", "--color=no", "-rf", "-m", "device", "-p", "no:cacheprovider", "-W", "default"]
    command = [sys.executable, "-m", "pytest", *options, str(ROOT / "tests" / "training" / "test_device.py")]
    environment = os.environ | {"ACTBENCH_TEST_DEVICE": device, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit)
    print(done.stdout, file=sys.stderr)
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    if done.returncode:
        raise RuntimeError(f"{len(failed)} failed, the first: {failed[0]}" if failed else lines[-1])
    return [["core tests", "1", lines[-1].split(" in ")[0], "", "all passed"]]


def measured(part: str, arguments: Sequence[str], limit: float) -> list[list[str]]:
    """The lines of a part's table, measured in a process of its own. Raises RuntimeError with its last line."""
    command = [sys.executable, str(ROOT / "scripts" / "gpu_parts.py"), part, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit)
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    lines: list[list[str]] = json.loads(done.stdout.strip().splitlines()[-1])
    return lines


def run_part(part: str, options: argparse.Namespace) -> list[list[str]]:
    """The lines of a part, or one line that says why it failed."""
    arguments = ["--device", options.device, *(["--tiny"] if options.tiny else [])]
    arguments += ["--root", options.root] if options.root else []
    try:
        if part == "tests":
            return core_tests(options.device, PARTS[part])
        return measured(part, arguments, PARTS[part])
    except subprocess.TimeoutExpired:
        return [[part, "", "failed", f"it took longer than {PARTS[part]} s", ""]]
    except (RuntimeError, OSError, ValueError) as error:
        return [[part, "", "failed", str(error).replace("|", "/").splitlines()[0][:300], ""]]


def machine(device: str) -> str:
    """The device, versions and processor of this machine."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    driver = ""
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            driver = ", driver " + subprocess.run(query, capture_output=True, text=True).stdout.split("\n")[0].strip()
        except OSError:
            driver = ", driver unknown"
    return f"{name}{driver}, torch {torch.__version__}, CUDA {torch.version.cuda}, Python {sys.version.split()[0]}"


def table(lines: Sequence[Sequence[str]], machine: str, seconds: float) -> str:
    """The page with all lines."""
    head = (
        f"# On a GPU: `scripts/gpu.sh`\n\n{machine}. All of it took {seconds:.0f} s. Medians of n interleaved rounds.\n"
    )
    rows = ["| what | n | median | range or reason | target |", "|---|---:|---:|---|---|"]
    return "\n".join([head, *rows, *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--root", help="the folder that holds MNIST; without it random images of its shape")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to check that every part runs")
    parser.add_argument("--out", type=Path, help="the page; by default results/benchmarks/gpu.md, of a full CUDA run")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of: " + ", ".join(PARTS))
    parser.add_argument("--missing", action="store_true", help="print the packages that are missing, and end")
    options = parser.parse_args()
    missing = missing_packages()
    if options.missing:
        print(" ".join(missing))
        return 0
    if missing:
        print(
            f"missing packages: {' '.join(missing)}; give a folder of wheels: WHEELS=DIR scripts/gpu.sh",
            file=sys.stderr,
        )
        return 2
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "this machine has no CUDA device that torch can use; --device cpu --tiny tries the script", file=sys.stderr
        )
        return 2
    out = options.out or (OUT if options.device == "cuda" and not options.tiny else None)
    begun, lines, page = time.perf_counter(), list[list[str]](), ""
    for part in options.parts.split(","):
        lines += run_part(part, options)
        print(f"{part}: {' | '.join(lines[-1])}", file=sys.stderr, flush=True)
        page = table(lines, machine(options.device), time.perf_counter() - begun)
        if out is not None:
            out.write_text(page)  # after each part, so that an interruption leaves the others
    print(page)
    return 1 if any(line[2] == "failed" for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
