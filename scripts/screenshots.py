"""Pictures of the MLflow dashboard for README: a comparison's view and page, a sweep that still trains.

    .venv/bin/python scripts/screenshots.py

Needs Chromium. About three minutes; writes results/reference/dashboard/*.webp.
"""

import io
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.cli.browser import Page, browse  # noqa: E402

FOLDER = ROOT / "results" / "reference" / "dashboard"
ACTBENCH = [sys.executable, "-m", "actbench"]
WIDTH, HEIGHT = 1400, 1250  # pixels
ACTIVATIONS = "activation=relu,leaky_relu,gelu,silu,tanh,swiglu,maxout,sigmoid"
# Without a mouse MLflow shows the buttons of every chart all the time; with one, those of the chart below it.
CLEAN = """[...document.querySelectorAll('button')].filter(
    e => /close/i.test(e.ariaLabel || '') || /assistant.*close/i.test(e.dataset.componentId || ''))
    .forEach(e => e.click());
    document.head.insertAdjacentHTML('beforeend', '<style>.modebar-container {display: none}</style>')"""
EXPAND = "[...document.querySelectorAll('*')].findLast(e => e.innerText == 'Show more')?.click()"


def taken(page: Page, name: str) -> None:
    time.sleep(4)  # curves are drawn after their frames
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.picture(path := FOLDER / f"{name}.png")
    Image.open(io.BytesIO(path.read_bytes())).convert("RGB").save(path.with_suffix(".webp"), quality=80, method=6)
    path.unlink()
    print(path.with_suffix(".webp"))


def main() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as place:

        def start(*words: str, stdout: int | None = None) -> subprocess.Popen[str]:
            return subprocess.Popen([*ACTBENCH, *words], cwd=place, env=environment, text=True, stdout=stdout)

        start("compare", "architecture=cnn_small", ACTIVATIONS).wait()
        live = start("sweep", "architecture=mlp_small", ACTIVATIONS, "seed=range(0,5)", "training.steps=20000",
                     "training.evaluate_every=200", "training.measure_every=1000")  # fmt: skip
        time.sleep(40)
        server = start("ui", stdout=subprocess.PIPE)
        assert server.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(server.stdout.readline())
        links = {title.strip(): link.strip() for title, link in itertools.pairwise(lines)}
        try:
            with browse(WIDTH, HEIGHT) as page:
                for name, title, text in (
                    ("view", "activations: digits, cnn", "points above baseline"),
                    ("live", "sweep: digits, mlp", "val_accuracy"),
                    ("parent", "the answer", "Description"),
                ):
                    page.open(links[title])
                    page.wait_for(text, seconds=180)
                    page.value(CLEAN)
                    page.value(EXPAND)
                    taken(page, name)
        finally:
            for process in (live, server):
                process.send_signal(signal.SIGINT)
                process.wait()


if __name__ == "__main__":
    main()
