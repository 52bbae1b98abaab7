"""Bundling: the source of a check and of everything in this project that it reaches, as one flat script.

A reproducer must run where this project is not installed. Names are followed through the syntax trees of the
modules: functions, classes and constants are copied with their comments, imports of torch, NumPy and the
standard library are kept, and methods that nothing reached calls are left out.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

PACKAGE = "conformance"
ALLOWED = {"torch", "numpy"}
RESERVED = {"main", "run_main", "guarded", "case", "STATEMENT", "LINK", "TARGET", "TIME_LIMIT"}


class BundleError(Exception):
    """A check that cannot be made into a script: it reaches a package that the script may not need."""


@cache
def _source(module: str) -> _Source:
    return _Source(importlib.import_module(module))


class _Source:
    """One module: its lines, and the statement that defines each of its top-level names."""

    def __init__(self, module: ModuleType) -> None:
        self.name = module.__name__
        with open(module.__file__ or "", encoding="utf-8") as file:
            text = file.read()
        self.lines = text.splitlines()
        self.names = {name for name in vars(module) if not name.startswith("__")}
        self.definitions: dict[str, ast.stmt] = {}
        for statement in ast.parse(text).body:
            for name in _defined(statement):
                self.definitions.setdefault(name, statement)

    def text(self, node: ast.stmt, without: list[ast.stmt] = [], decorated: bool = True) -> str:  # noqa: B006
        """Source of a top-level statement, with the comments above it, less some of its members."""
        first = _first_line(node) if decorated else node.lineno
        while decorated and first > 1 and self.lines[first - 2].startswith("#"):
            first -= 1
        dropped = {i for member in without for i in range(_first_line(member), (member.end_lineno or 0) + 1)}
        kept = [
            line for i, line in enumerate(self.lines, 1) if first <= i <= (node.end_lineno or 0) and i not in dropped
        ]
        return "\n".join(line for i, line in enumerate(kept) if line or (i and kept[i - 1]))


class Bundle:
    """Collects definitions; ``script`` is the text of all that the roots reach."""

    def __init__(self) -> None:
        self.imports: dict[str, str] = {}
        self.order: list[tuple[str, str]] = []
        self.reached: set[tuple[str, str]] = set()
        self.owners: dict[str, str] = {}
        self.spaces: dict[str, set[str]] = {}  # module of this project, by the name it was imported as -> names used
        self.modules: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.attributes: set[str] = set()
        self.roots: set[tuple[str, str]] = set()

    def add_function(self, function: Any) -> None:
        """Add a check; its own decorators are left out."""
        key = (function.__module__, function.__name__)
        self.roots.add(key)
        self._reach(*key)

    def add_names(self, expression: str, *modules: str) -> None:
        """Add what an expression needs, each name from the first of ``modules`` that has it."""
        for name in _free_names(ast.parse(expression, mode="eval")):
            self._reach(next((m for m in modules if name in _source(m).definitions), modules[0]), name)

    def script(self) -> tuple[str, str]:
        """The import lines and the definitions, in an order in which they can be executed."""
        while True:
            before = (len(self.order), len(self.attributes))
            for module, name in list(self.order):
                self._follow_class(module, name)
            if before == (len(self.order), len(self.attributes)):
                break
        pieces = []
        for key in self._sorted(self.order):
            pieces.append(self._piece(*key))
            pieces += [f"{alias} = {name}" for alias, name in self.aliases.items() if name == key[1]]
            # at once, since a constant or a base class may need it while the script is read
            pieces += [
                f"{space}.{key[1]} = {key[1]}" for space, names in sorted(self.spaces.items()) if key[1] in names
            ]
        imports = sorted(set(self.imports.values()), key=lambda line: (line.startswith("from"), line))
        if self.spaces:
            imports.append("from types import SimpleNamespace")
            pieces = [*(f"{space} = SimpleNamespace()" for space in sorted(self.spaces)), *pieces]
        return "\n".join(sorted(set(imports), key=lambda s: (s.startswith("from"), s))), "\n\n\n".join(pieces)

    def _reach(self, module: str, name: str) -> None:
        source = _source(module)
        node = source.definitions.get(name)
        if node is None:
            if name in source.names:
                raise BundleError(f"name {name!r}: expected a plain definition at the top level of {module}")
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node, name)
            return
        if (module, name) in self.reached:
            return
        self.reached.add((module, name))
        self._claim(name, module)
        self.order.append((module, name))
        if not isinstance(node, ast.ClassDef):
            self._follow(module, node, skip_decorators=(module, name) in self.roots)
        else:
            self._follow_class(module, name)

    def _import(self, node: ast.Import | ast.ImportFrom, name: str) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.split(".")[0]
            if bound != name:
                continue
            suffix = f" as {alias.asname}" if alias.asname else ""
            origin = node.module if isinstance(node, ast.ImportFrom) else alias.name
            assert origin is not None
            top = origin.split(".")[0]
            if top == "__future__":
                return
            if top == PACKAGE:
                self._project_import(node, origin, alias, bound)
            elif top in ALLOWED or _standard(top):
                line = (
                    f"from {origin} import {alias.name}{suffix}"
                    if isinstance(node, ast.ImportFrom)
                    else f"import {alias.name}{suffix}"
                )
                # "import a.b" and "import a" give one meaning to "a"
                whole = isinstance(node, ast.Import) and alias.asname is None
                self._claim(bound, f"import {top}" if whole else line)
                self.imports[line] = line
            else:
                raise BundleError(
                    f"import of {origin}: expected the standard library, numpy or torch in code that a check reaches"
                )

    def _project_import(self, node: ast.stmt, origin: str, alias: ast.alias, bound: str) -> None:
        if not isinstance(node, ast.ImportFrom):
            raise BundleError(f"import {alias.name}: expected 'from … import …' of this project's modules")
        child = f"{origin}.{alias.name}"
        if alias.name not in _source(origin).definitions:
            self._claim(bound, f"module {child}")
            self.spaces.setdefault(bound, set())
            self.modules[bound] = child
            return
        self._reach(origin, alias.name)
        if alias.asname and alias.asname != alias.name:
            self._claim(alias.asname, f"{origin}.{alias.name}")
            self.aliases[alias.asname] = alias.name

    def _claim(self, name: str, owner: str) -> None:
        """A name of the script has one meaning; raises BundleError where it would get a second."""
        first = "the script itself" if name in RESERVED else self.owners.setdefault(name, owner)
        if first != owner:
            raise BundleError(f"name {name!r}: expected one meaning; found two, in {first} and in {owner}")

    def _follow(self, module: str, node: ast.AST, skip_decorators: bool = False) -> None:
        """Reach all that one statement names."""
        for imported in _imports_within(node, skip_decorators):
            raise BundleError(f"import of {imported} in a function of {module}: expected at its top level")
        for name in _free_names(node, skip_decorators):
            self._reach(module, name)
        for value, attribute in _attributes(node, skip_decorators):
            self.attributes.add(attribute)
            space = self._space(value)
            # a local variable may have the name of a module: then the module has no such member
            if isinstance(value, ast.Name) and space is not None and attribute in _source(space).definitions:
                self.spaces[value.id].add(attribute)
                self._reach(space, attribute)

    def _space(self, value: ast.expr) -> str | None:
        """The module of this project that a name stands for, or None."""
        return self.modules.get(value.id) if isinstance(value, ast.Name) else None

    def _follow_class(self, module: str, name: str) -> None:
        node = _source(module).definitions[name]
        if not isinstance(node, ast.ClassDef):
            return
        for part in [*node.bases, *node.decorator_list, *(m for m in node.body if not _is_method(m) or self._kept(m))]:
            self._follow(module, part)

    def _kept(self, member: ast.stmt) -> bool:
        assert isinstance(member, ast.FunctionDef)
        if member.name.startswith("__") and member.name != "__repr__":
            return True
        return member.name in self.attributes

    def _sorted(self, order: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Constants and base classes before what needs them at import; otherwise as reached, callees first."""
        done: dict[tuple[str, str], None] = {}
        names = {name: (module, name) for module, name in order}
        active: set[tuple[str, str]] = set()

        def visit(key: tuple[str, str]) -> None:
            if key in done or key in active:
                return
            active.add(key)
            node = _source(key[0]).definitions[key[1]]
            members = [name for value, name in _attributes(node, key in self.roots) if self._space(value) is not None]
            for needed in [*_free_names(node, key in self.roots), *members]:
                needed = self.aliases.get(needed, needed)
                if needed in names:
                    visit(names[needed])
            done[key] = None

        for key in order:
            visit(key)
        return list(done)

    def _piece(self, module: str, name: str) -> str:
        source = _source(module)
        node = source.definitions[name]
        if isinstance(node, ast.ClassDef):
            dropped = [member for member in node.body if _is_method(member) and not self._kept(member)]
            return source.text(node, dropped) + ("\n    pass" if len(dropped) == len(node.body) else "")
        return source.text(node, decorated=(module, name) not in self.roots)


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in statement.names)


def _walk(node: ast.AST, skip_decorators: bool = False) -> Iterator[ast.AST]:
    """Every node but annotations, which the script never evaluates."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns") or (field == "decorator_list" and skip_decorators):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child)


# Many scripts of one run reach the same definitions, so each statement is read once.
@cache
def _free_names(node: ast.AST, skip_decorators: bool = False) -> list[str]:
    return list(dict.fromkeys(n.id for n in _walk(node, skip_decorators) if isinstance(n, ast.Name)))


@cache
def _attributes(node: ast.AST, skip_decorators: bool = False) -> list[tuple[ast.expr, str]]:
    return [(n.value, n.attr) for n in _walk(node, skip_decorators) if isinstance(n, ast.Attribute)]


@cache
def _imports_within(node: ast.AST, skip_decorators: bool = False) -> list[str]:
    """The modules of this project that a statement imports from within a function."""
    found = (n.module or "" for n in _walk(node, skip_decorators) if isinstance(n, ast.ImportFrom))
    return [module for module in found if module.split(".")[0] == PACKAGE]


def _is_method(member: ast.stmt) -> bool:
    return isinstance(member, ast.FunctionDef)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _standard(top: str) -> bool:
    return top in sys.stdlib_module_names
