"""Loading a pickle runs what it says: none from a user, a store or a network is ever loaded."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PICKLES = ("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle")
PIPES = ("multiprocessing", "torch.multiprocessing")  # whose messages are pickles
LOADERS = ("torch.load", "torch.hub.load", "torch.jit.load", "read_pickle", "load_model", "unsafe_load", "full_load",
           "unsafe_load_all", "full_load_all", "Unpickler")  # fmt: skip
EXEMPT = {  # folder or file -> what may be used there
    # Pipes between a command and the worker processes that it has started itself, and files that its own jobs write
    # into its job folder, which has the mode 0700.
    "actbench/execution/": {*PICKLES, *PIPES},
    "actbench/report/saver.py": {*PIPES},
    "scripts/benchmark_sequences.py": {*PIPES},
    # Batches of CIFAR, of known MD5 sums, by an unpickler that knows arrays alone and imports nothing.
    "actbench/data/torchvision.py": {"pickle", "Unpickler"},
}
SOURCES = sorted(path for folder in ("actbench", "scripts") for path in (ROOT / folder).rglob("*.py"))


def dotted(node: ast.AST) -> str:
    """`np.load` for the expression np.load; empty for what is no chain of names."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def loaded(source: str) -> Iterator[str]:
    """The ways in which a source can load a pickle: imports, and calls or names of functions that do."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith((*PICKLES, *PIPES)))
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            yield from (name for name in full if name in (*PICKLES, *PIPES) or name.endswith(LOADERS))
        elif isinstance(node, ast.Attribute):
            yield from (name for name in LOADERS if f".{dotted(node)}".endswith(f".{name}"))
        elif isinstance(node, ast.Call):
            arguments = {word.arg: word.value for word in node.keywords}
            match dotted(node.func):
                case "np.load" | "numpy.load":
                    allowed = arguments.get("allow_pickle")
                    if not (isinstance(allowed, ast.Constant) and allowed.value is False):
                        yield "numpy.load without allow_pickle=False"
                case "yaml.load" | "yaml.load_all":
                    if "Safe" not in dotted(arguments.get("Loader", node.args[-1])):
                        yield "yaml.load without a safe loader"
                case "__import__" | "importlib.import_module":
                    name = node.args[0]
                    if isinstance(name, ast.Constant) and str(name.value) in (*PICKLES, *PIPES):
                        yield str(name.value)


def test_no_pickle_is_loaded_but_in_the_exempt_places() -> None:
    for path in SOURCES:
        place = str(path.relative_to(ROOT))
        allowed = {name for prefix, names in EXEMPT.items() if place.startswith(prefix) for name in names}
        found = set(loaded(path.read_text())) - allowed
        assert not found, f"{place} can load a pickle: {found}"


def test_every_exempt_place_needs_its_exemption() -> None:
    for place, names in EXEMPT.items():
        paths = [path for path in SOURCES if str(path.relative_to(ROOT)).startswith(place)]
        assert any(set(loaded(path.read_text())) & names for path in paths), place


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from joblib import load", "import pandas as pd\npd.read_pickle(path)", "import shelve",
        "import torch\ntorch.load(path)", "from torch import load", "np.load(path)", "yaml.load(text, yaml.Loader)",
        "np.load(path, allow_pickle=True)", "mlflow.pytorch.load_model(uri)", "yaml.load(text, Loader=yaml.FullLoader)",
        "import importlib\nimportlib.import_module('marshal')", "from pandas import read_pickle", "yaml.load(text)",
    ],
)  # fmt: skip
def test_the_ways_of_loading_a_pickle_are_found(source: str) -> None:
    assert set(loaded(source))


def test_an_array_of_objects_in_the_cache_is_damaged(tmp_path: Path) -> None:
    import numpy as np

    from actbench.data.datasets import PARTS, PreparedData, load_data
    from actbench.errors import UsageError

    for part in PARTS["images"]:
        np.save(tmp_path / f"{part}.npy", np.array([{}], dtype=object))
    with pytest.raises(UsageError, match="is damaged .*is no array"):
        load_data(PreparedData("digits", str(tmp_path), "", 8, 8, 1, 10, 1, 0))
