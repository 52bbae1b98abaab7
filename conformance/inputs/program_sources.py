"""Sources of programs: which programs each behaviour of random programs is checked with.

The corners come from fixed seeds and cost a twentieth of a sample: every operation on every layout, behind views and
beside broadcast operands, and then programs of several steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from conformance.engine.cases import Inputs
from conformance.inputs.program_assembly import UNRECORDED, WRITING, random_programs, small_programs, writing_programs
from conformance.inputs.programs import Program, Step, programs
from conformance.inputs.tensors import strided
from conformance.oracles.dual_rules import dual_add, dual_copy, dual_filled, dual_linear, dual_sin
from conformance.oracles.dual_shapes import dual_part, dual_permute, dual_reshape

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def _chosen(found: tuple[Program, ...], wanted: Callable[[Program], bool]) -> list[Program]:
    return [program for program in found if wanted(program)]


def every_program(cell: Cell) -> Inputs:
    """Every operation in every setting, and programs of several steps."""
    device = cell.target.device
    return Inputs([*small_programs(device), *random_programs(400, 0, device)], programs(device))


def some_programs(cell: Cell) -> Inputs:
    """Every operation in some setting, and programs of several steps."""
    device = cell.target.device
    return Inputs([*small_programs(device)[::17], *random_programs(400, 0, device)[:250]], programs(device))


def written_programs(cell: Cell) -> Inputs:
    """Programs that write in place, also to what a derivative needs."""
    device = cell.target.device
    corners = _chosen(
        (*writing_programs(device, True), *random_programs(300, 1, device, WRITING, True)),
        lambda p: bool(p.ledger.written),
    )
    return Inputs(corners, programs(device, WRITING, True))


def harmless_programs(cell: Cell) -> Inputs:
    """Programs that write in place, and never to what a derivative may need."""
    device = cell.target.device
    harmless = _chosen((*writing_programs(device), *random_programs(300, 2, device, WRITING)), _harmless)
    return Inputs(harmless, programs(device, WRITING).filter(_harmless))


def unrecorded_programs(cell: Cell) -> Inputs:
    """Programs some step of which is detached or runs under no_grad."""
    device = cell.target.device
    return Inputs(_chosen(random_programs(200, 3, device, UNRECORDED), _unrecorded), programs(device, UNRECORDED))


def unused_programs(cell: Cell) -> Inputs:
    """Programs with a leaf at least that leads to no root."""
    device = cell.target.device
    return Inputs(_chosen(random_programs(400, 0, device), _wasteful), programs(device))


def retaining_programs(cell: Cell) -> Inputs:
    """Programs with a value whose gradient can be retained."""
    device = cell.target.device
    corners = [*small_programs(device)[::19], *random_programs(400, 0, device)[:200]]
    return Inputs([program for program in corners if program.retainable()], programs(device))


def joining_programs(cell: Cell) -> Inputs:
    """A constant and a view of it; the constant joins the graph by a write, and then the view is written."""
    leaf = strided("float64", (2, 3), "contiguous", (0.37, -0.83, 1.61, 0.59, -1.27, 2.31), cell.target.device)
    whole = slice(None)
    views = (
        Step("x.t()", (1,), dual_permute, ((1, 0),), "view"),
        Step("x[0]", (1,), dual_part, ((0,),), "view"),
        Step("x.narrow(1, 1, 2)", (1,), dual_part, ((whole, slice(1, 3)),), "view"),
        Step("x.view(3, 2)", (1,), dual_reshape, ((3, 2),), "view"),
    )
    writes = (
        Step("x.sin_()", (2,), dual_sin, kind="write", keeps="x"),
        Step("x.mul_(0.5)", (2,), dual_linear, (0.5,), "write"),
        Step("x.zero_()", (2,), dual_filled, (0.0,), "write"),
    )
    constant = Step("x.clone()", (0,), dual_copy, silent=True)
    join = Step("x.add_(y)", (1, 0), dual_add, kind="write")
    return Inputs([Program((leaf,), (constant, view, join, write), (1,)) for view in views for write in writes])


def exact_programs(cell: Cell) -> Inputs:
    """Programs in float64, for second derivatives; without constants, which differences would move."""
    device = cell.target.device
    corners = (*small_programs(device, 7, True), *random_programs(160, 4, device, exact=True))
    return Inputs(_chosen(corners, _recorded), programs(device, exact=True).filter(_recorded))


def _harmless(program: Program) -> bool:
    return bool(program.ledger.written) and not program.ledger.stale


def _unrecorded(program: Program) -> bool:
    return any(step.silent or step.kind == "detached" for step in program.steps)


def _recorded(program: Program) -> bool:
    return not _unrecorded(program)


def _wasteful(program: Program) -> bool:
    reached = frozenset().union(*(program.ledger.leaves_of(root) for root in program.roots))
    return len(reached) < len(program.leaves)
