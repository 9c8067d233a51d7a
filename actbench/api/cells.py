"""A function or class of a notebook's cell as a module that worker processes and later commands import."""

import ast
import builtins
import hashlib
import inspect
import linecache
import symtable
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from actbench.errors import UsageError
from actbench.signals import replaced_file

_CELL = "__main__"  # of a notebook or a script; worker processes have another
# Where functions that name no module of their own, such as those of torch in C, are looked for.
_KNOWN = ("torch", "torch.nn.functional", "torch.nn", "torch.special", "math")


def activation_path(function: Any, key: str = "activation") -> str:
    """`module:name` of a function or class, for `activation=`.

    One that is defined in a notebook or a script is written, with the imports and functions that it uses, to
    cell_DIGEST.py in the current folder. Raises UsageError for a lambda, a nested function, an object that is neither
    function nor class, and one that uses other values of its notebook.
    """
    name = str(getattr(function, "__name__", ""))
    if name == "<lambda>":
        raise UsageError(f"{key}: a lambda has no name to import it by; write it as a def")
    if not (inspect.isclass(function) or inspect.isroutine(function)):
        raise UsageError(
            f"{key}={function!r}: is neither a function nor a class; pass the class, or a def that calls it"
        )
    if getattr(function, "__closure__", None):
        values = ", ".join(inspect.unwrap(function).__code__.co_freevars)
        raise UsageError(f"{key}: {name} captures {values}; write the value in the function itself")
    place = _place(function)
    if place is not None:
        return place
    if "<locals>" in function.__qualname__:
        raise UsageError(f"{key}: {name} is defined inside a function; define it at the top of a cell")
    if function.__module__ != _CELL:
        raise UsageError(f"{key}: {name} cannot be imported from {function.__module__}; define it at its top")
    text = _module(function, key)
    digest = _digest(text)
    module = f"cell_{digest}"
    path = Path(f"{module}.py")
    if not path.is_file() or _digest(path.read_text(encoding="utf-8")) != digest:
        with replaced_file(path) as scratch:
            scratch.write_text(text, encoding="utf-8")
    return f"{module}:{name}"


def _digest(source: str) -> str:
    """First 8 hex digits of the SHA-256 of code without comments and docstrings; empty where it is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            is_documented = ast.get_docstring(node) is not None and len(node.body) > 1
            node.body = node.body[is_documented:]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:8]


def _place(value: Any) -> str | None:
    """`module:name` by which a value is imported; None for one of a notebook."""
    name = getattr(value, "__name__", "")
    for module in (getattr(value, "__module__", None), *_KNOWN):
        if module and module != _CELL and getattr(sys.modules.get(module), name, None) is value:
            return f"{module}:{name}"
    return None


def _module(function: Any, key: str) -> str:
    """The source of a module with the function, and what it uses, in front of it."""
    imports: dict[str, str] = {}  # by the name that is bound
    definitions: dict[str, str] = {}
    _collect(function, key, imports, definitions, set())
    lines = ['"""Written by actbench from a notebook or a script: runs in the store name this file."""', ""]
    text = "\n".join([*lines, *sorted(imports.values()), "", ""]) if imports else "\n".join(lines)
    return text + "\n\n" + "\n\n\n".join(definitions.values()) + "\n"


def _collect(function: Any, key: str, imports: dict[str, str], definitions: dict[str, str], begun: set[str]) -> None:
    """Adds a definition after those that it uses. begun: names of those that are being added."""
    source, namespace = _source(function, key)
    begun.add(function.__name__)
    for name in _globals(source):
        if name in imports or name in definitions or name in begun or name not in namespace:
            continue  # a builtin, or a name that is not there: the check of the activation will say so
        value = namespace[name]
        if isinstance(value, ModuleType):
            imports[name] = f"import {value.__name__} as {name}" if value.__name__ != name else f"import {name}"
        elif (place := _place(value)) is not None:
            module, _, original = place.partition(":")
            imports[name] = f"from {module} import {original}" + (f" as {name}" if name != original else "")
        elif (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == _CELL:
            if value.__name__ != name or getattr(value, "__closure__", None):
                raise UsageError(f"{key}: {function.__name__} uses {name}, which is no def of its own; write it as one")
            _collect(value, key, imports, definitions, begun)
        else:
            raise UsageError(
                f"{key}: {function.__name__} uses {name}, a value outside of it; write the value in the function itself"
            )
    definitions[function.__name__] = source


def _source(function: Any, key: str) -> tuple[str, dict[str, Any]]:
    """The source of a definition, and the namespace in which its names are looked up. Raises UsageError."""
    for code, namespace in _codes(function):
        text = "".join(linecache.getlines(code.co_filename))
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.FunctionDef | ast.ClassDef)
                and node.name == function.__name__
                and _begin(node) <= code.co_firstlineno <= (node.end_lineno or 0)
            ):
                lines = text.splitlines()[_begin(node) - 1 : node.end_lineno]
                return textwrap.dedent("\n".join(lines)), namespace
    raise UsageError(f"{key}: the source of {function.__name__} is not known; write it to a file of its own")


def _begin(node: ast.FunctionDef | ast.ClassDef) -> int:
    """The first line of a definition, with its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _codes(function: Any) -> Iterator[tuple[CodeType, dict[str, Any]]]:
    """The code of a function, or of the methods of a class, each with its global names."""
    own = vars(function).values() if inspect.isclass(function) else [function]
    for value in own:
        plain = inspect.unwrap(value) if callable(value) else value
        if inspect.isfunction(plain):
            yield plain.__code__, plain.__globals__


def _globals(source: str) -> list[str]:
    """The global names that a definition uses, builtins aside, in alphabetical order."""
    names: set[str] = set()
    tables = [symtable.symtable(source, "cell", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        names |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
        }
    return sorted(name for name in names if not hasattr(builtins, name))
