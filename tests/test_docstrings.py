"""Every public function, class and method of the package says what it does."""

import ast
from pathlib import Path

import pytest

from tests.support import ROOT

PATHS = sorted((ROOT / "actbench").rglob("*.py"))


def undocumented(tree: ast.Module) -> list[str]:
    """Public definitions at the top of a module and in its classes that have no docstring."""
    definitions: list[ast.FunctionDef | ast.ClassDef] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            definitions.append(node)
            members = node.body if isinstance(node, ast.ClassDef) else []
            definitions += [m for m in members if isinstance(m, ast.FunctionDef) and not m.name.startswith("_")]
    return [node.name for node in definitions if ast.get_docstring(node) is None]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_definitions_and_modules_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) is not None or path.name == "__main__.py"
    assert undocumented(tree) == []


def test_a_missing_docstring_is_found() -> None:
    assert undocumented(ast.parse("class A:\n    '''A.'''\n    def b(self): ...\n    def _c(self): ...")) == ["b"]
