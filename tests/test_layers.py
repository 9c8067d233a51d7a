"""The way of the data is one-directional: nothing to the right is imported by anything to its left."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "actbench"

LEVELS = [
    {"errors", "interruption", "simd", "precision"},
    {
        "activations",
        "image_folder",
        "torchvision_sources",
        "schedules",
        "optimizers",
        "functions",
        "losses",
        "metrics",
        "dashboard",
        "sqlite",
        "statistics",
        "survival",
        "documents",
        "recommendation",
    },
    {"datasets", "callables"},
    {"architectures"},
    {"initialization"},
    {"config"},
    {"mapping", "experiments", "devices"},
    {"plan", "compose"},
    {"batches", "network"},
    {"observation", "weights"},
    {"training"},
    {"records"},
    {"execution", "mirror", "tables", "inspection", "cost"},
    {"store", "figures", "progress", "comparison", "verdicts", "report_tables"},
    {"curve_figures", "comparison_figures", "methods"},
    {"training_section"},
    {"report", "compare", "activation_listing", "cost_report"},
    {"command", "ui", "loading"},
    {"commands"},
    {"hydra_app", "cost_command"},
    {"cli"},
]


def imports(path: Path) -> set[str]:
    """Modules of this package that a file names in any import, lazy ones included; and foreign top-level names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "actbench":
                found |= {f"actbench.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def module(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_a_level_and_imports_only_lower_ones() -> None:
    level = {name: index for index, names in enumerate(LEVELS) for name in names}
    for path in PACKAGE.rglob("*.py"):
        if module(path) in ("__init__", "__main__"):
            continue
        assert module(path) in level, f"{path.name} stands on no level"
        for name in imports(path):
            if name.startswith("actbench.") and name != "actbench.__version__":
                other = name.split(".")[1]
                if other != module(path):
                    assert level[other] < level[module(path)], f"{path.name} imports {other}"


def test_only_the_store_imports_mlflow_and_training_knows_no_figure() -> None:
    for path in PACKAGE.rglob("*.py"):
        foreign = {name.split(".")[0] for name in imports(path)}
        assert "mlflow" not in foreign or module(path) == "store"
        assert "matplotlib" not in foreign or path.name in ("figures.py", "curve_figures.py", "comparison_figures.py")
        assert not foreign & {"hydra", "omegaconf"} or path.name in ("compose.py", "experiments.py", "hydra_app.py")


def test_report_never_trains() -> None:
    seen: set[str] = set()
    todo = ["report"]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [n.split(".")[1] for n in imports(PACKAGE / f"{name}.py") if n.startswith("actbench.")
                     and (PACKAGE / f"{n.split('.')[1]}.py").is_file()]  # fmt: skip
    assert not seen & {"training", "execution", "network", "batches"}


def test_defaults_live_in_yaml_alone() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert "cfg.get(" not in path.read_text()
