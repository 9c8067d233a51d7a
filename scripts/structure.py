"""Measures the structure of a checkout: rooms, imports between them, sizes of files and functions, lines of code.

.venv/bin/python scripts/structure.py [CHECKOUT]

A room is a folder directly under actbench/, or a module that lies there by itself. Lazy imports inside functions count.
Only the standard library is used and nothing of the package is imported, so any commit can be measured.
"""

import ast
import sys
import tokenize
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

FILE_LINES = 250  # recommended lengths
FUNCTION_LINES = 50
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
            tokenize.ENDMARKER}  # fmt: skip
Graph = Mapping[str, set[str]]


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def module_name(path: Path, root: Path) -> str:
    """`actbench.data.batches` for `actbench/data/batches.py`; a package is named by its folder."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def imported_modules(path: Path, modules: set[str]) -> list[str]:
    """The modules of the package that a file imports, one entry per imported module and import statement."""
    imported = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names if alias.name in modules]
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            imported += sorted({member if member in modules else node.module for member in members})
    return imported


def reachable(graph: Graph) -> Graph:
    """The nodes that each node depends on, directly or through others."""
    closure = {node: set(targets) for node, targets in graph.items()}
    for middle in graph:
        for node in graph:
            if middle in closure[node]:
                closure[node] |= closure[middle]
    return closure


def longest_chain(graph: Graph) -> tuple[str, ...]:
    """The longest path. An edge within a cycle is left out, since a path along it would not end."""
    closure = reachable(graph)

    @cache
    def chain(node: str) -> tuple[str, ...]:
        targets = sorted(target for target in graph[node] if node not in closure[target])
        return (node, *max((chain(target) for target in targets), key=len, default=()))

    return max((chain(node) for node in sorted(graph)), key=len, default=())


def code_lines(path: Path) -> int:
    """Lines that hold code; blank lines, comments and docstrings do not count."""
    with tokenize.open(path) as file:
        tokens = [token for token in tokenize.generate_tokens(file.readline) if token.type not in NOT_CODE]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def long_files(paths: Iterable[Path], root: Path) -> list[str]:
    lengths = {path: len(path.read_text().splitlines()) for path in paths}
    return [f"{path.relative_to(root)}: {lines}" for path, lines in lengths.items() if lines > FILE_LINES]


def long_functions(paths: Iterable[Path], root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}:{node.lineno} {node.name}: {lines}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]


def print_rooms(root: Path) -> None:
    """One line per room, then what the imports between modules and rooms add up to."""
    files = {module_name(path, root): path for path in python_files(root / "actbench")}
    imports = {module: imported_modules(path, set(files)) for module, path in files.items()}
    modules = {module: set(targets) - {module} for module, targets in imports.items()}
    rooms: dict[str, set[str]] = {room(module): set() for module in files}
    for module, targets in modules.items():
        rooms[room(module)] |= {room(target) for target in targets} - {room(module)}
    print(f"{'room':24} {'modules':>7} {'code':>6}  imports")
    for name, targets in rooms.items():
        paths = [path for module, path in files.items() if room(module) == name]
        print(f"{name:24} {len(paths):7} {sum(map(code_lines, paths)):6}  {' '.join(sorted(targets))}")
    print(f"\nrooms: {len(rooms)}, with {sum(map(len, rooms.values()))} import edges between them")
    print(f"modules: {len(files)}, with {sum(map(len, modules.values()))} import edges between them")
    print(f"imports of modules of the package: {sum(map(len, imports.values()))}")
    for label, graph in {"rooms": rooms, "modules": modules}.items():
        cyclic = sorted(node for node, targets in reachable(graph).items() if node in targets)
        chain = longest_chain(graph)
        print(f"{label} in import cycles: {len(cyclic)} {' '.join(cyclic)}".rstrip())
        print(f"longest import chain between {label}: {len(chain)}: {' > '.join(chain)}")


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
    print_rooms(root)
    for folder in ("actbench", "tests", "scripts"):
        paths = python_files(root / folder)
        files, functions = long_files(paths, root), long_functions(paths, root)
        print(f"\n{folder}: {len(paths)} files, {sum(map(code_lines, paths))} lines of code")
        print("\n  ".join([f"files over {FILE_LINES} lines: {len(files)}", *files]))
        print("\n  ".join([f"functions over {FUNCTION_LINES} lines: {len(functions)}", *functions]))


if __name__ == "__main__":
    main()
