"""The library functions leave the settings of the calling process as they were."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

_SETTINGS = """
import json, logging, os, sys
import torch

def settings():
    names = {*logging.root.manager.loggerDict}
    return {
        "environment": {key: os.environ[key] for key in os.environ if key != "MKL_CBWR"},  # see actbench/__init__.py
        "path": list(sys.path),
        "levels": {name: logging.getLogger(name).level for name in names},
        "threads": torch.get_num_threads(),
        "matmul": torch.backends.cuda.matmul.fp32_precision,
        "convolution": torch.backends.cudnn.conv.fp32_precision,
        "subnormal": float(torch.full((1,), 2.0**-126) / 2),
    }
"""
_MLFLOW = """
import mlflow, mlflow.store.db.utils
levels = {name: logging.getLogger(name).getEffectiveLevel() for name in ("mlflow", "mlflow.store.db", "alembic")}
print(json.dumps(levels))
"""
_CALLS = """
logging.getLogger("own").setLevel(17)
before = settings()
import actbench
actbench.inspect(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()), torch.rand(8, 4))
model = actbench.load(sys.argv[1])
assert "own_activation" in sys.modules
model(torch.zeros(2, 1, 8, 8)).sum().backward()
after = settings()
after["levels"] = {name: level for name, level in after["levels"].items() if name in before["levels"]}
print(json.dumps([before, after]))
"""


def python(*words: str) -> Any:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("[", "{"))]


@pytest.mark.slow
@pytest.mark.usefixtures("own_folder")
def test_load_and_inspect_change_no_setting_of_the_calling_process() -> None:
    Path("own_activation.py").write_text("def bent(z):\n    return z.clamp(min=0) + 0.1 * z\n")
    words = ["activation=own_activation:bent", "architecture=mlp_small", "training.steps=5", "execution.workers=1"]
    python("-m", "actbench", "train", *words, "store.save_weights=last")
    (run_id,) = (line.split(",")[0] for line in Path("results/train/runs.csv").read_text().splitlines()[1:])
    ((before, after), levels) = python("-c", _SETTINGS + _CALLS + _MLFLOW, run_id)
    assert after == before
    assert [levels] == python("-c", _SETTINGS + _MLFLOW)  # as MLflow itself sets them
