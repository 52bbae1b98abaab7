"""Reductions: simpler programs to try where one fails, the boldest first.

A value may become a root in place of the last one, a leaf in place of the step that makes it, or give way to its own
operand; what then leads nowhere is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.inputs.program_ledger import Ledger
from conformance.inputs.programs import LEAF_NAMES, Program, Step
from conformance.inputs.tensors import Strided, strided
from conformance.oracles.duals import Dual, evaluated

# Layouts that a leaf may have in the place of a value.
LAID_OUT = ("contiguous", "transposed", "stepped", "expanded")


def reduced(program: Program) -> Iterator[Program]:
    """Every simpler program that is sound."""
    for candidate in candidates(program):
        if candidate is not None and sound(candidate):
            yield candidate


def candidates(program: Program) -> Iterator[Program | None]:
    """Simpler programs, some of which may not make sense."""
    leaves = len(program.leaves)
    duals = evaluated(program)
    steps = range(leaves, leaves + len(program.steps))
    for root in [i for i in steps if program.ledger.leaves_of(i) and program.roots != (i,)]:
        yield rebuilt(replace(program, roots=(root,)), {})
    yield rebuilt(program, {})
    for i in reversed(steps):
        if i not in program.roots or len(program.roots) > 1:
            for leaf in as_leaves(duals[i], program.exact):
                yield rebuilt(program, {i: leaf})
    for i in steps:
        for operand in program.steps[i - leaves].operands:
            if duals[operand].value.shape == duals[i].value.shape:
                yield rebuilt(program, {i: operand})
    for i in steps:
        step = program.steps[i - leaves]
        for place, operand in enumerate(step.operands[1:], 1):
            if operand != step.operands[0] and duals[operand].value.shape == duals[step.operands[0]].value.shape:
                operands = (*step.operands[:place], step.operands[0], *step.operands[place + 1 :])
                changed = list(program.steps)
                changed[i - leaves] = replace(step, operands=operands)
                yield rebuilt(replace(program, steps=tuple(changed)), {})
    for i, leaf in enumerate(program.leaves):
        plain = replace(leaf, stride=None, offset=0, size=None, layout="contiguous")
        for plainer in [plain] * (leaf.layout != "contiguous") + [replace(leaf, dtype="float64")] * (
            leaf.dtype != "float64"
        ):
            yield replace(program, leaves=(*program.leaves[:i], plainer, *program.leaves[i + 1 :]))


def as_leaves(dual: Dual, exact: bool) -> Iterator[Strided]:
    """Leaves with the values of a step, as far as no two of them are equal: then there are no new ties."""
    data = tuple(np.round(dual.value, 4).ravel().tolist())
    if len(set(data)) < len(data):
        return
    for dtype in ("float64",) if exact else ("float64", "float32"):
        for layout in LAID_OUT if dual.value.ndim else LAID_OUT[:1]:
            yield strided(dtype, dual.value.shape, layout, data or (0.5,))


def rebuilt(program: Program, instead: dict[int, Strided | int]) -> Program | None:
    """The program with leaves or other values in the place of some values, less all that leads to no root."""
    kept = needed(program, instead)
    leaves: list[Strided] = []
    places: dict[int, int] = {}
    for i, leaf in enumerate(program.leaves):
        if i in kept:
            places[i] = len(leaves)
            leaves.append(leaf)
    for i, new in instead.items():
        if isinstance(new, Strided):
            places[i] = len(leaves)
            leaves.append(new)
    if not 0 < len(leaves) <= len(LEAF_NAMES):
        return None
    steps: list[Step] = []
    for i, step in enumerate(program.steps, len(program.leaves)):
        other = instead.get(i)
        if isinstance(other, int) and other in places:
            places[i] = places[other]
        elif i in kept and other is None:
            places[i] = len(leaves) + len(steps)
            if any(operand not in places for operand in step.operands):
                return None
            steps.append(replace(step, operands=tuple(places[operand] for operand in step.operands)))
    if any(root not in places for root in program.roots):
        return None
    return Program(tuple(leaves), tuple(steps), tuple(places[root] for root in program.roots))


def needed(program: Program, instead: dict[int, Strided | int]) -> set[int]:
    """Numbers of the values on which the roots depend, through operands or through memory that is written."""
    memory = program.ledger.memory
    kept: set[int] = set()
    found = set(program.roots)
    while found != kept:
        kept = set(found)
        shared = {memory[i] for i in kept if i not in instead}
        for i, step in enumerate(program.steps, len(program.leaves)):
            if step.kind == "write" and memory[i] in shared and i not in instead:
                found.add(i)
            if i in found:
                other = instead.get(i)
                found |= set(step.operands) if other is None else {other} if isinstance(other, int) else set()
    return found


def sound(program: Program) -> bool:
    """Whether every write is allowed and every number finite."""
    ledger = Ledger(len(program.leaves))
    for step in program.steps:
        if step.kind == "write" and not ledger.may_be_written(step.operands[0]):
            return False
        ledger.add(step)
    if not all(ledger.leaves_of(root) for root in program.roots):
        return False
    with np.errstate(all="ignore"):
        values = evaluated(program)
    return all(np.isfinite(x.value).all() and np.isfinite(x.slope).all() for x in values)
