"""Listings: the minimal input that a failure shows is Python, whole, and names nothing that it does not make."""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from conformance.engine.cells import cells_of
from conformance.engine.reproducer import plain_code
from conformance.engine.specs import area_names, load_area
from conformance.engine.targets import choose
from conformance.selftest.showing import meets_the_break

GIVEN = {"torch", "np", *dir(builtins)}


def unmade(text: str) -> set[str]:
    """The names that a program uses and neither makes nor imports; raises SyntaxError where it is none."""
    tree = ast.parse(text)
    made = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            made.add(node.name)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made |= {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    return {node.id for node in names} - made - GIVEN


def kinds(area: str) -> Iterator[tuple[str, Any, Any]]:
    """For each behaviour: the first, the middle and the last corner of each class of cases."""
    module, loaded = importlib.import_module(f"conformance.test_{area}"), load_area(area)
    for behaviour in loaded.area.behaviours:
        cell = next(iter(cells_of(loaded, behaviour, choose(["cpu"]))))
        if cell.out_of_scope():
            continue
        found: dict[type, list[Any]] = {}
        check = getattr(module, behaviour.check)
        for case in check.__conformance_inputs__(cell).corners:
            found.setdefault(type(case), []).append(case)
        for each in found.values():
            yield from (
                (behaviour.id, check, case)
                for case in {id(c): c for c in (each[0], each[len(each) // 2], each[-1])}.values()
            )


@pytest.mark.parametrize("area", area_names())
def test_a_minimal_input_is_a_whole_program(area: str) -> None:
    """Of each behaviour: it can be compiled, it needs no name but torch and np, and it is no plan of this project."""
    faults = []
    for behaviour, check, case in kinds(area):
        text = plain_code(case, check)
        try:
            names = unmade(text)
        except SyntaxError as error:
            faults.append(f"{behaviour}: {type(case).__name__}: {error}\n{text}")
            continue
        if names or not (check.__conformance_program__ or hasattr(case, "code")):
            faults.append(f"{behaviour}: {type(case).__name__}: without {sorted(names)}\n{text}")
    assert not faults, f"{len(faults)} in {area}; the first:\n" + "\n\n".join(faults[:5])


def test_what_is_not_made_is_seen() -> None:
    """The test above can fail."""
    assert {"function"} == unmade("x = torch.ones(2)\ny = function(x)")
    assert set() == unmade("import math\nf = lambda a, *b: [a for c in b if (d := c)]\nprint(math.pi, f)")
    with pytest.raises(SyntaxError):
        unmade("y = … + 1")


def broken(x: object) -> object:
    """What stands for a break here."""
    return x


def test_an_outline_takes_no_part() -> None:
    """A program that makes its tensors and leaves the act to a comment meets no break; one that acts meets it."""
    here, made = __file__, "import torch\nx = torch.ones(2)\n"

    assert not meets_the_break(f"{made}# broken(x), told and not done", here)
    assert meets_the_break(f"{made}from {__name__} import broken\nbroken(x)\nraise KeyError", here)
    assert meets_the_break(
        f"{made}from {__name__} import broken\nimport threading\n"
        "t = threading.Thread(target=broken, args=(x,))\nt.start()\nt.join()",
        here,
    )
    assert torch.is_grad_enabled()
    meets_the_break("torch.set_grad_enabled(False)", here)
    assert torch.is_grad_enabled()
