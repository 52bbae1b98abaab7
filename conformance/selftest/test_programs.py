"""Random programs: sound whatever they are made from, right by finite differences, and small once they fail."""

from __future__ import annotations

import re
from contextlib import suppress
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from conformance.engine.binding import check_of
from conformance.engine.cells import Cell, cells_of
from conformance.engine.minimal import minimize
from conformance.engine.mismatch import Discard
from conformance.engine.runner import Plan, run_cell
from conformance.engine.sampling import sample
from conformance.engine.specs import load_area
from conformance.engine.targets import choose
from conformance.inputs import programs as program_module
from conformance.inputs.program_assembly import (
    EVERY,
    OPERATIONS,
    assembled,
    random_programs,
    small_programs,
    writing_programs,
)
from conformance.inputs.program_ledger import ledger_of
from conformance.inputs.program_reductions import reduced
from conformance.inputs.programs import Program, Step, programs
from conformance.oracles.dual_rules import dual_copy, dual_linear, dual_mul, dual_sin
from conformance.oracles.dual_shapes import dual_part
from conformance.oracles.duals import slopes_of, weighted_value
from conformance.oracles.gradients import numbers_of, numeric_gradient
from conformance.selftest.falsifiers import accumulation_programs
from conformance.selftest.falsifying import FALSIFIERS

LARGEST_MEDIAN = 3  # operations in the minimal program, over the falsifiers
SAMPLES, LONG = 300, 1500  # programs in which a falsifier is looked for
ONE = [falsifier for falsifier in FALSIFIERS if falsifier.behaviour == accumulation_programs.PROGRAMS]


def quick(strategy: Any, count: int = 150) -> Any:
    """Hypothesis settings of a test on programs."""
    return lambda test: settings(
        max_examples=count, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )(given(strategy)(test))


class Moved:
    """The weighted sum of a program, as a function of one leaf."""

    def __init__(self, program: Program, leaf: int) -> None:
        self.program, self.leaf = program, leaf

    def __call__(self, values: np.ndarray) -> float:
        starts = self.program.starts()
        starts[self.leaf] = values
        return weighted_value(self.program, starts)


@pytest.mark.parametrize("number", range(0, 2160, 9))
def test_dual_numbers_agree_with_differences(number: int) -> None:
    """The slope of every small program is what central differences of its values in NumPy say."""
    same_as_differences(small_programs()[number % len(small_programs())])


@quick(programs(), 100)
def test_dual_numbers_of_random_programs_agree_with_differences(program: Program) -> None:
    """The slope of a random program is what central differences of its values in NumPy say."""
    same_as_differences(program)


def same_as_differences(program: Program) -> None:
    if any(step.silent or step.kind == "detached" for step in program.steps):
        return  # a difference moves what is meant to be constant
    for leaf, slope in enumerate(slopes_of(program)):
        numeric = numeric_gradient(Moved(program, leaf), program.starts()[leaf])
        scale = max(1.0, float(np.abs(slope).max(initial=0.0)))

        assert np.abs(numeric - slope).max(initial=0.0) <= 1e-5 * scale


def test_every_operation_occurs() -> None:
    """No row of the table is always replaced by a plainer one."""
    texts = {step.text.split("(")[0] + str(step.silent) for program in small_programs() for step in program.steps}

    assert {row.text.split("(")[0] + str(row.silent) for row in (OPERATIONS[i] for i in EVERY)} - texts <= {
        "x[..., {0}::2]False"
    }


@pytest.mark.parametrize("program", random_programs(40, 9) + writing_programs()[::40], ids=lambda p: f"{len(p.steps)}")
def test_a_program_prints_itself(program: Program) -> None:
    """Its repr evaluates to the same program, and its code runs in plain torch and prints the gradients."""
    again = eval(repr(program), vars(program_module))
    live = program.run()
    names: dict[str, Any] = {"print": lambda *gradients: None}
    exec(program.code(), names)

    assert repr(again) == repr(program)
    assert all(np.array_equal(a, b) for a, b in zip(slopes_of(again), slopes_of(program), strict=True))
    for name, value in zip(program.names(), live.values, strict=True):
        torch.testing.assert_close(names[name], value)
    for name, slope, leaf in zip(program.names(), slopes_of(program), live.leaves, strict=False):
        found = np.zeros(leaf.shape) if names[name].grad is None else numbers_of(names[name].grad)
        np.testing.assert_allclose(found, slope, rtol=0.01, atol=0.02 * max(1.0, np.abs(slope).max(initial=0)))


@quick(programs(risky=True))
def test_any_numbers_make_a_sound_program(program: Program) -> None:
    """Whatever is drawn, torch runs it, and its root depends on a leaf."""
    live = program.run()

    assert all(root.requires_grad for root in live.roots())


@pytest.mark.parametrize(("version", "occurs"), [("1.13.1+cu117", False), ("2.1.0a0", True), ("2.13.0", True)])
def test_an_operation_is_left_out_before_its_release(
    version: str, occurs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a release computes wrongly is left out of its programs, so that the others are judged."""
    monkeypatch.setattr(torch, "__version__", version)
    seed = next(i for i in EVERY if OPERATIONS[i].since == "2.1")
    program = assembled([(0, 0, 0, 0)], [(seed, 0, 0, 0)])

    assert occurs == ("masked_select" in repr(program))
    assert len(program.steps) == 1


def test_programs_are_the_same_every_time() -> None:
    """Two lists from one seed are equal."""
    first = random_programs(20, 5)
    random_programs.cache_clear()

    assert list(map(repr, first)) == list(map(repr, random_programs(20, 5)))


@pytest.mark.parametrize("program", random_programs(30, 11))
def test_reductions_are_sound_and_lead_down(program: Program) -> None:
    """Every simpler program runs; none has more steps than the first."""
    for simpler in reduced(program):
        simpler.run()

        assert len(simpler.steps) <= len(program.steps)


def test_the_ledger_knows_what_was_overwritten() -> None:
    """A write to an operand that a derivative needs is noted, through a view too; one to a sum's operand is not."""
    copy = Step("x.clone()", (0,), dual_copy)
    view = Step("x[0]", (1,), dual_part, ((0,),), "view")
    write = Step("x.mul_(2.0)", (2,), dual_linear, (2.0,), "write")
    square = Step("torch.mul(x, y)", (1, 1), dual_mul, keeps="xy")
    double = Step("torch.add(x, x)", (1,), dual_linear, (2.0,))

    assert ledger_of(1, (copy, view, square, write)).stale
    assert not ledger_of(1, (copy, view, double, write)).stale
    assert not ledger_of(1, (copy, view, write, square)).stale


def test_the_ledger_knows_what_may_be_written() -> None:
    """Leaves and their views, detached values and repeated ones are not written; copies and their views are."""
    steps = (
        Step("x[0]", (0,), dual_part, ((0,),), "view"),
        Step("torch.sin(x)", (0,), dual_sin, keeps="x"),
        Step("x[0]", (2,), dual_part, ((0,),), "view"),
        Step("x.detach()", (2,), dual_copy, kind="detached"),
        Step("x.expand(2, 3)", (2,), dual_copy, kind="repeating"),
    )
    ledger = ledger_of(1, steps)

    assert [False, False, True, True, False, False] == [ledger.may_be_written(i) for i in range(6)]


# --- how small a failing program becomes


def cell_of_programs() -> Cell:
    """The cell of the behaviour whose falsifiers each break one operator."""
    area, _, name = accumulation_programs.PROGRAMS.partition(".")
    loaded = load_area(area)
    behaviour = next(each for each in loaded.area.behaviours if each.id == name)
    return next(iter(cells_of(loaded, behaviour, choose(["cpu"]))))


CHECK = check_of(cell_of_programs())


def fails(program: Program) -> BaseException | None:
    """How the check fails on a program; None where it does not."""
    try:
        CHECK(program)
    except Discard:
        return None
    except Exception as error:
        return error
    return None


def raising(program: Program) -> None:
    """The check without discarded cases."""
    with suppress(Discard):
        CHECK(program)


def minimal_of_a_cell() -> Program:
    """The minimal program that the cell reports."""
    outcome = run_cell(cell_of_programs(), CHECK, Plan(samples=0))

    assert outcome.failure is not None
    found: Program = outcome.failure.case
    return found


def minimal_of_a_long_program() -> Program | None:
    """The first failing program of four operations or more, made simpler as the engine does it."""
    long = (program for program in random_programs(LONG, 77) if len(program.steps) > 3)
    failing = next((program for program in long if fails(program) is not None), None)
    return None if failing is None else minimize(failing, fails)[0]


def minimal_of_samples(operation: str) -> Program | None:
    """A failing program among samples with this operation in them, as Hypothesis shrinks it."""
    among = tuple(i for i in EVERY if stem(OPERATIONS[i].text) == operation)
    found = sample(programs(among=among), raising, SAMPLES, 0)
    return None if found is None else found[0]


def stem(text: str) -> str:
    """What an operation's text begins with."""
    return re.split(r"[(\[]", text)[0]


def test_failing_programs_shrink_to_the_operation_at_fault() -> None:
    """In the median over the falsifiers the minimal program has at most three operations, whichever way it is found."""
    found: dict[str, list[int]] = {"corners": [], "long programs": [], "samples": []}
    for falsifier in ONE:
        with falsifier.in_place():
            corner = minimal_of_a_cell()
            found["corners"].append(len(corner.steps))
            others = (minimal_of_a_long_program(), minimal_of_samples(stem(corner.steps[-1].text)))
        for name, program in zip(("long programs", "samples"), others, strict=True):
            found[name] += [len(program.steps)] if program is not None else []
    print()
    for name, counts in found.items():
        print(
            f"{name}: {len(counts)} of {len(ONE)} falsifiers met; median {median(counts)} operations; {sorted(counts)}"
        )

    for counts in found.values():
        assert LARGEST_MEDIAN >= median(counts)
        assert 2 * len(counts) > len(ONE)
