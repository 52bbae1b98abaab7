"""Binding: behaviours and checks find each other by name, and neither may be without the other."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from conformance.engine.cells import Cell
from conformance.engine.specs import LoadedArea
from conformance.engine.yamlfile import SpecError, shown


def checks_of(module: ModuleType) -> dict[str, Callable[[Any], Any]]:
    """The checks that a module defines itself: its functions named ``test_…``, in the order of the file."""
    return {
        name: value
        for name, value in vars(module).items()
        if name.startswith("test_") and inspect.isfunction(value) and value.__module__ == module.__name__
    }


def bind(loaded: LoadedArea, module: ModuleType) -> dict[str, Callable[[Any], Any]]:
    """Check of each behaviour id; raises SpecError with a line for each that has no partner."""
    checks = checks_of(module)
    wanted = {behaviour.check: behaviour.id for behaviour in loaded.area.behaviours}
    file = shown(Path(module.__file__ or module.__name__))
    faults = []
    for name, behaviour in wanted.items():
        if name not in checks:
            faults.append(
                f"{loaded.where(behaviour)}: behaviour {behaviour!r}: expected: a check {name} in {file}; found: none"
            )
    for name, check in checks.items():
        place = f"{file}:{check.__code__.co_firstlineno}"
        if name not in wanted:
            id_ = name.removeprefix("test_").replace("_", "-")
            faults.append(f"{place}: check {name}: expected: a behaviour {id_!r} in {shown(loaded.path)}; found: none")
        elif not hasattr(check, "__conformance_inputs__"):
            faults.append(f"{place}: check {name}: expected: inputs given by @cases(…); found: none")
    if faults:
        raise SpecError("\n".join(faults))
    return {behaviour: checks[name] for name, behaviour in wanted.items()}


def check_of(cell: Cell, file: Path | None = None) -> Callable[[Any], Any]:
    """The check of one cell, from ``conformance/test_<area>.py`` or from another file of checks."""
    if file is None or file.parent == Path(__file__).parents[1]:
        module = importlib.import_module(f"conformance.test_{cell.area}")
    else:
        found = importlib.util.spec_from_file_location(file.stem, file)
        assert found is not None
        assert found.loader is not None
        module = sys.modules.setdefault(file.stem, importlib.util.module_from_spec(found))
        found.loader.exec_module(module)
    check: Callable[[Any], Any] = getattr(module, cell.behaviour.check)
    return check
