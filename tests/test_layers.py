"""Each room of the package imports only itself and the rooms before it in the list ROOMS."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "actbench"

ROOMS = (
    "errors",
    "determinism",
    "signals",
    "activations",
    "data",
    "models",
    "metrics",
    "experiment",  # settings, grid, ids, protocol: pure
    "training",  # runs in stacks, records, results
    "execution",  # where stacks run
    "store",  # files and MLflow
    "analysis",  # frames in, frames out
    "report",  # sentences, tables, figures
    "commands",  # where all of them meet
    "api",  # the commands as functions
    "cli",
)
# From training the later rooms take the formats of results, and nothing that trains.
NEVER_TRAIN = ("analysis", "report")
FORMATS = "actbench.training.results"
FOREIGN = {  # packages that one room alone imports
    "mlflow": ("store",),
    "sqlalchemy": ("store",),
    "matplotlib": ("report", "api"),  # api for the type alone
    "jinja2": ("report",),
    "hydra": ("experiment", "cli"),
    "omegaconf": ("experiment", "cli"),
    "argparse": ("cli",),
}
PATHS = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in ROOMS)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The modules that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = PACKAGE.parent / Path(*node.module.split("."))
            names |= {
                f"{node.module}.{alias.name}" if (module / f"{alias.name}.py").is_file() else node.module
                for alias in node.names
            }
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_room_imports_only_those_above_it(path: Path) -> None:
    above = ROOMS[: ROOMS.index(room(path)) + 1]
    for name in imports(path):
        if name.startswith("actbench."):
            assert name.split(".")[1] in above, f"{room(path)} imports {name}"


def test_modules_import_each_other_in_no_cycle() -> None:
    graph = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): imports(path) for path in PATHS}
    assert set(graph) <= set(TopologicalSorter(graph).static_order())  # raises CycleError


def test_analysis_and_report_neither_train_nor_open_a_store() -> None:
    for path in PATHS:
        if room(path) in NEVER_TRAIN:
            forbidden = {
                name for name in imports(path) if name.split(".")[1:2] in (["training"], ["execution"], ["store"])
            }
            assert forbidden <= {FORMATS}, f"{path.relative_to(PACKAGE)} imports {forbidden}"


def test_packages_are_imported_by_the_rooms_that_need_them() -> None:
    for path in PATHS:
        for name in {name.split(".")[0] for name in imports(path)} & set(FOREIGN):
            assert room(path) in FOREIGN[name], f"{path.relative_to(PACKAGE)} imports {name}"


def test_the_init_of_each_room_holds_a_docstring_and_nothing_else() -> None:
    for name in ROOMS:
        if (PACKAGE / name).is_dir():
            (docstring,) = ast.parse((PACKAGE / name / "__init__.py").read_text()).body
            assert isinstance(docstring, ast.Expr)
            assert isinstance(docstring.value, ast.Constant)
            assert "Start with" in str(docstring.value.value)
