#!/usr/bin/env bash
# Runs the notebooks of examples/ in temporary folders and keeps their outputs, without what was printed while they trained.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$root/.venv/bin/python" - "$root"/examples/*.ipynb <<'PYTHON'
import os
import pathlib
import sys

import nbformat
from nbclient import NotebookClient

def printed(outputs):
    """Without what goes to stderr; what else was printed in one piece."""
    kept = []
    for output in outputs:
        if output.get("name") == "stdout" and kept and kept[-1].get("name") == "stdout":
            kept[-1].text += output.text
        elif output.get("name") != "stderr":
            kept.append(output)
    return kept


for path in sys.argv[1:]:
    folder = pathlib.Path(path).stem
    os.makedirs(folder)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = printed(cell.outputs)
            cell.metadata = {}
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    nbformat.write(notebook, path)
    print(path)
PYTHON
