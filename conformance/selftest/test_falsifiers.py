"""No check that cannot fail: every behaviour has a falsifier, and every falsifier turns its cell red."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import sys
import types
from typing import Any

import pytest

from conformance.engine.binding import check_of
from conformance.engine.cells import Cell, cells_of
from conformance.engine.expectations import SHIPPED, Expectations
from conformance.engine.mismatch import Mismatch
from conformance.engine.reproducer import plain_code, script
from conformance.engine.runner import Outcome, Plan, run_cell
from conformance.engine.specs import area_names, load_area
from conformance.engine.switches import put_back, snapshot
from conformance.engine.targets import choose
from conformance.engine.words import Verdict
from conformance.selftest import falsifiers
from conformance.selftest.falsifying import FALSIFIERS, Falsifier
from conformance.selftest.showing import meets_the_break

for module in pkgutil.walk_packages(falsifiers.__path__, falsifiers.__name__ + "."):
    importlib.import_module(module.name)


def cell_of(falsifier: Falsifier) -> Cell:
    area, _, name = falsifier.behaviour.partition(".")
    loaded = load_area(area)
    behaviour = next(b for b in loaded.area.behaviours if b.id == name)
    cells = list(cells_of(loaded, behaviour, choose(["cpu"])))
    if falsifier.subject is None and behaviour.subjects is None:
        return cells[0]
    return next(cell for cell in cells if cell.subject_name == falsifier.subject)


def run(cell: Cell) -> Outcome:
    return run_cell(cell, check_of(cell), Plan(samples=5, seed=0))


@pytest.mark.parametrize("falsifier", FALSIFIERS, ids=lambda f: f.name)
def test_a_falsifier_turns_its_cell_red(falsifier: Falsifier) -> None:
    """Under its falsifier a cell fails with an expectation of its behaviour, and passes again without."""
    cell = cell_of(falsifier)
    if cell.out_of_scope():
        pytest.skip(str(cell.out_of_scope()))

    before = snapshot()
    with falsifier.in_place():
        broken = run(cell)
        assert broken.verdict is Verdict.FAIL, broken
        assert isinstance(broken.failure.error, EXPECTED), broken
        reproducer = script(cell, check_of(cell), broken.failure.case, broken.failure.expected, broken.failure.found)
        assert status(reproducer) == 1, reproducer
        shown = plain_code(broken.failure.case, check_of(cell))
        takes_part = cell.area not in ACTING or deadly(cell) or meets_the_break(shown)
    put_back(before)  # a script that ran under the break may have left torch switched
    if falsifier.dear:
        return
    whole = run(cell)

    if Expectations([SHIPPED]).of(cell) is None:  # a listed deviation is red without a break too
        assert whole.verdict is Verdict.PASS, whole
        assert status(reproducer) == 0, reproducer
        assert takes_part, f"expected: a minimal input that calls what is broken; found: an outline\n{shown}"


# Areas whose minimal inputs are programs that do what the check does. A listed deviation may fail by another act.
ACTING = ("leaves", "accumulation", "inplace", "numpy_bridge")


def deadly(cell: Cell) -> bool:
    """Whether what breaks the behaviour ends or stops the process: such a program is shown, and run by no test."""
    return any(words in cell.behaviour.statement for words in ("end the process", "wait for each other for ever"))


# What a check may end with under a break: its own expectation, or an exception out of torch that it did not expect.
EXPECTED = (Mismatch, RuntimeError, TypeError, ValueError, BufferError)


def status(reproducer: str) -> int:
    """Exit status of a reproducer, run in this process so that the break in place reaches it."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        module = types.ModuleType("reproducer")
        sys.modules["reproducer"] = module
        try:
            exec(compile(reproducer, "reproducer.py", "exec"), vars(module))
            return int(module.main())
        finally:
            del sys.modules["reproducer"]


def behaviours() -> list[Any]:
    return [f"{name}.{b.id}" for name in area_names() for b in load_area(name).area.behaviours]


@pytest.mark.parametrize("behaviour", behaviours())
def test_every_behaviour_has_a_falsifier(behaviour: str) -> None:
    """A behaviour that nothing is known to break is not checked by anything."""
    assert behaviour in {falsifier.behaviour for falsifier in FALSIFIERS}
