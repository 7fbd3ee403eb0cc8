"""The models of a project: classes of modules, and functions that build one, that can be called without arguments.

A file is imported for that only where nothing runs on import but definitions: a training script would train.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NOT_OURS = ("build", "dist", "docs", "node_modules", "site-packages", "test", "tests", "venv")
_NO_MODELS = ("conftest.py", "noxfile.py", "setup.py")
_LIBRARIES = ("torch", "torchvision", "timm", "transformers", "lightning", "pytorch_lightning")


@dataclass
class Found:
    """The models of a project, as ``module:name``, and what was not looked at, with the reason."""

    subjects: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    needing_arguments: list[str] = field(default_factory=list)
    files: int = 0


def find_models(folder: Path) -> Found:
    """All models that the files below a folder define, in the order of the files' names; what they import is run."""
    found = Found()
    for path in sorted(_files(folder)):
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        if not _imports_torch(tree):
            continue
        found.files += 1
        shown = path.relative_to(folder)
        line = _line_that_runs(tree)
        if line:
            found.passed_over.append(
                f"{shown}: line {line} runs when it is imported; put that under if __name__ == '__main__':"
            )
            continue
        root, name = module_of(path, folder)
        try:
            module = _imported(root, name)
        except (Exception, SystemExit) as error:
            found.passed_over.append(f"{shown}: cannot be imported: {type(error).__name__}: {error}")
            continue
        _look(module, tree, found)
    return found


def module_of(path: Path, folder: Path) -> tuple[Path, str]:
    """The folder that has to be on the import path, and the module's dotted name below it."""
    root = path.parent
    while (root / "__init__.py").exists():
        root = root.parent
    if root == path.parent and root.name != "src" and root.is_relative_to(folder):
        root = folder  # a folder of scripts is a package without __init__.py
    parts = path.relative_to(root).with_suffix("").parts
    return root, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _files(folder: Path) -> Iterator[Path]:
    """Python files that may hold models: no tests, no hidden folders, no virtual environments."""
    for where, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "_"))
            and name not in _NOT_OURS
            and not (Path(where) / name / "pyvenv.cfg").exists()
        ]
        for name in files:
            if name.endswith(".py") and not name.startswith("test_") and name not in _NO_MODELS:
                yield Path(where) / name


def _imports_torch(tree: ast.Module) -> bool:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return any(name.partition(".")[0] in _LIBRARIES for name in names)


def _line_that_runs(tree: ast.Module) -> int:
    """The line of the first statement that is more than a definition; 0 where there is none."""
    for node in tree.body:
        if isinstance(node, ast.For | ast.While | ast.With):
            return node.lineno
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            return node.lineno
    return 0


def _imported(root: Path, name: str) -> Any:
    """The module; what it prints is not what was asked for, and our arguments are not its own."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    arguments, sys.argv = sys.argv, [name]
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    finally:
        sys.argv = arguments


def _look(module: Any, tree: ast.Module, found: Found) -> None:
    """Note the models that a module itself defines, and the functions that build one."""
    from pytest_archcheck.recording.guesses import is_model

    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        thing = getattr(module, node.name, None)
        if isinstance(node, ast.FunctionDef):
            called = [_resolved(module, name) for name in _returned(node, functions)]
            results = [_annotated(thing), *called, *map(_annotated, called)]
        else:
            results = [thing]
        if not any(map(is_model, results)):
            continue
        name = f"{module.__name__}:{node.name}"
        (found.needing_arguments if _needs_arguments(thing) else found.subjects).append(name)


def _annotated(function: Any) -> Any:
    """What a function says that it returns."""
    try:
        return inspect.get_annotations(function, eval_str=True).get("return")
    except Exception:  # a name that is there for type checkers only
        return None


def _resolved(module: Any, name: str) -> Any:
    """What a name like ``nn.Sequential`` is in a module; ``None`` where it is no such name."""
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _returned(function: ast.FunctionDef, functions: dict[str, ast.FunctionDef]) -> set[str]:
    """The names of what a function calls for its result, directly or by way of another function of the file."""
    assigned = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names: set[str] = set()
    for node in ast.walk(function):
        if not isinstance(node, ast.Return):
            continue
        value = assigned.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
        for called in _calls(value):
            name = ast.unparse(called.func)
            others = {other: node for other, node in functions.items() if other not in (name, function.name)}
            names |= _returned(functions[name], others) if name in functions else {name}
    return names


def _calls(value: ast.expr | None) -> list[ast.Call]:
    """The calls that a value may be: one, or either side of a condition."""
    if isinstance(value, ast.IfExp):
        return [*_calls(value.body), *_calls(value.orelse)]
    return [value] if isinstance(value, ast.Call) else []


def _needs_arguments(thing: Any) -> bool:
    try:
        inspect.signature(thing).bind()
    except TypeError:
        return True
    except ValueError:
        pass
    return False
