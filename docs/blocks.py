"""Runs the code blocks of the documentation: Python as it stands, actbench's commands with --dry-run where they train.

usage: blocks.py [PAGE ...]. All pages by default. Each page has a folder of its own with results of a small comparison
and sweep, a table and a text. A block after `<!-- not run: REASON -->` is left out. Prints what is run; exit code 1
where a block fails.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
PAGES = [*sorted(HERE.glob("*.md")), *sorted(HERE.glob("re*/*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n+)?^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
TRAINS = ("compare", "sweep", "train")
# Others serve, fetch or need a cluster.
RUN = (*TRAINS, "report", "figure", "export", "activations", "options", "list", "cost")
SMALL = "architecture=mlp_small activation=relu,gelu training.steps=20"
PREPARED = (
    f"compare {SMALL} protocol.learning_rates=[0.01] protocol.seeds=6", f"sweep {SMALL} seed=0,1",
)  # fmt: skip


def main() -> int:
    pages = [Path(name).resolve() for name in sys.argv[1:]] or PAGES
    with tempfile.TemporaryDirectory(prefix="actbench-docs-") as scratch:
        base = Path(scratch, "base")
        base.mkdir()
        write_data(base)
        for words in PREPARED:
            run([*actbench(), *shlex.split(words)], base)
        good = [run_page(page, base, Path(scratch, page.stem)) for page in pages]
        return int(not all(good))


def run_page(page: Path, base: Path, folder: Path) -> bool:
    """Whether all blocks of a page run, one after the other in one folder."""
    blocks = list(BLOCK.finditer(page.read_text(encoding="utf-8")))
    if blocks:
        shutil.copytree(base, folder)
    good = True
    for block in blocks:
        if block["reason"]:
            print(f"{page.name}: not run: {block['reason']}")
            continue
        for name, command in commands(block["language"], block["code"], folder):
            problem = run(command, folder)
            print(f"{page.name}: {'failed' if problem else 'runs'}: {name}", flush=True)
            good = good and not problem
            if problem:
                print(problem)
    return good


def commands(language: str, code: str, folder: Path) -> list[tuple[str, list[str]]]:
    """What a block runs, each with its name. A file is written where the first line is a comment with its name."""
    if language in ("python", "yaml") and (named := re.match(r"# ([\w/]+\.(py|yaml))", code)):
        (folder / named[1]).parent.mkdir(exist_ok=True)
        (folder / named[1]).write_text(code, encoding="utf-8")
    if language == "python":
        path = folder / "block.py"
        path.write_text(code, encoding="utf-8")
        return [(code.strip().splitlines()[-1], [sys.executable, str(path)])]
    if language:
        return []
    lines = [shlex.split(line, comments=True) for line in code.replace("\\\n", " ").splitlines()]
    found = []
    for words in lines:
        if words[:1] == ["actbench"] and len(words) > 1 and words[1] in RUN:
            dry = ["--dry-run"] if words[1] in TRAINS and "--dry-run" not in words else []
            found.append((shlex.join(words), [*actbench(), *words[1:], *dry]))
    return found


def write_data(folder: Path) -> None:
    """houses.csv, notes.txt and the images of DIR, as the pages name them."""
    rows = [f"{40 + 7 * (i % 13)},{'north' if i % 3 else 'south'},{100 + 9 * (i % 13) + i % 5}" for i in range(200)]
    (folder / "houses.csv").write_text("\n".join(["area,side,price", *rows, ""]))
    for number in range(40):
        path = folder / "DIR" / ("train" if number < 30 else "test") / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), (6 * number, 90 * (number % 2), 40)).save(path)
    (folder / "notes.txt").write_text("Activation functions are compared fairly, in pairs, on the same seeds.\n" * 300)


def actbench() -> list[str]:
    return [sys.executable, "-m", "actbench"]


def run(command: list[str], folder: Path) -> str:
    """What a command prints where it fails; empty where it does not."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=os.environ | {"MPLBACKEND": "agg", "COLUMNS": "100"}
    )
    return "" if done.returncode == 0 else done.stdout[-2000:] + done.stderr[-2000:]


if __name__ == "__main__":
    raise SystemExit(main())
