"""The source files of a user's own activation, found and digested without importing them."""

import ast
import contextlib
import hashlib
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

# Module and its file -> the files that were digested, and the digest: every run of a grid asks, and reading takes 2 ms.
_known: dict[tuple[str, Path], tuple[dict[Path, tuple[int, int] | None], str]] = {}


def source_digest(path: str) -> str:
    """SHA-256, 12 hex digits, of the module of `module:name` and of all that it imports from its own folder.

    Empty for installed packages, and for modules that are not there or have no file.
    """
    name = path.partition(":")[0]
    file = _file_of(name)
    if file is None or "site-packages" in file.parts:
        return ""
    stamps, digest = _known.get((name, file), ({}, ""))
    if not stamps or stamps != _stamps(stamps):
        reached = _imported_from(name, file)
        stamps = _stamps(reached)
        digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sorted(reached))).hexdigest()[:12]
        _known[name, file] = stamps, digest
    return digest


def _stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int] | None]:
    """Time of the last change in ns, and bytes, of each file; None for one that is gone."""
    found: dict[Path, tuple[int, int] | None] = dict.fromkeys(files)
    for file in found:
        with contextlib.suppress(OSError):
            status = file.stat()
            found[file] = status.st_mtime_ns, status.st_size
    return found


def _imported_from(name: str, file: Path) -> set[Path]:
    """The module's file and the files in its folder that it imports, directly or through others."""
    reached: set[Path] = set()
    pending = [(name, file)]
    while pending:
        module, current = pending.pop()
        if current in reached:
            continue
        reached.add(current)
        for imported in _imports(module, current):
            source = _file_of(imported)
            if source is not None and source.is_relative_to(file.parent):
                pending.append((imported, source))
    return reached


def _imports(module: str, file: Path) -> Iterator[str]:
    """Names of modules that a file may import; a name that it imports from a module may be a module as well."""
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # importing it will say what is wrong
        return
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield from _with_packages(base)
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names if alias.name != "*")


def _with_packages(name: str) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` of a.b.c, as importing it runs all of them."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _file_of(module: str) -> Path | None:
    """The file of a module, resolved; None where there is none. Imports nothing, not even its packages."""
    folders, spec = sys.path, None
    for name in _with_packages(module):
        spec = _spec(name, folders)
        if spec is None:
            return None
        folders = list(spec.submodule_search_locations or ())
    return Path(spec.origin).resolve() if spec is not None and spec.has_location and spec.origin else None


def _spec(module: str, folders: list[str]) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(module, folders)
    except (ImportError, ValueError):
        return None
