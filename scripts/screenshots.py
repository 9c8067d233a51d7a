"""Pictures of the MLflow dashboard for README: the arranged view, a sweep that still trains, a comparison's page.

    .venv/bin/python scripts/screenshots.py

Needs Chromium. About two minutes; writes results/reference/dashboard/*.webp.
"""

import io
import os
import re
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
WIDTH, HEIGHT = 1500, 1000  # pixels
GRID = ["architecture=mlp_small", "activation=relu,gelu,silu,tanh,swiglu"]
CLOSE_ASSISTANT = """[...document.querySelectorAll('button')].filter(
    e => /close/i.test(e.ariaLabel || '') || /assistant.*close/i.test(e.dataset.componentId || ''))
    .forEach(e => e.click())"""


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

        start("compare", *GRID, "protocol.seeds=6").wait()
        live = start("sweep", *GRID, "seed=range(0,5)", "training.steps=20000", "training.evaluate_every=200",
                     "training.measure_every=1000")  # fmt: skip
        time.sleep(25)
        server = start("ui", stdout=subprocess.PIPE)
        assert server.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(server.stdout.readline())
        links = [line.strip() for line in lines if "viewStateShareKey" in line]
        chosen, sweep = (
            next(link for link in links if re.search(rf"experiments/{number}/", link)) for number in (1, 2)
        )
        try:
            with browse(WIDTH, HEIGHT) as page:
                for name, link, texts in (
                    ("view", chosen, ("test_accuracy", "Group: relu")),
                    ("live", sweep, ("Convergence", "Group: relu")),
                ):
                    page.open(link)
                    page.wait_for(*texts)
                    page.value(CLOSE_ASSISTANT)
                    taken(page, name)
                page.open(re.sub(r"#.*", "#/experiments/1/runs?workflowType=machine_learning", chosen))
                page.wait_for("compare ")
                page.value("[...document.querySelectorAll('a')].find(e => /^compare /.test(e.innerText)).click()")
                page.wait_for("Description")
                page.value(CLOSE_ASSISTANT)
                page.value("[...document.querySelectorAll('*')].findLast(e => e.innerText == 'Show more')?.click()")
                page.value("[...document.querySelectorAll('*')].findLast(e => e.innerText == 'Description')"
                           ".scrollIntoView()")  # fmt: skip
                taken(page, "parent")
        finally:
            for process in (live, server):
                process.send_signal(signal.SIGINT)
                process.wait()


if __name__ == "__main__":
    main()
