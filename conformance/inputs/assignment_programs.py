"""Assignment programs: small differentiable computations around one assignment through an index.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.assignments import ADVANCED, BASIC, VALUE_FORMS, Assignment, assignments, selection_shape
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.index_parts import part_on_device
from conformance.inputs.inplace_programs import fine_type, weighted
from conformance.inputs.steady import Steady, steady_numbers
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True, eq=False)
class AssignmentProgram:
    """A copy of a leaf, to which ``assignment`` is made; with ``adds`` it is ``x[index] += value``."""

    assignment: Assignment
    adds: bool = False

    @property
    def points(self) -> list[np.ndarray]:
        """The values by which gradients are asked for: of the leaf, and of a value that is a tensor."""
        plans = [x for x in (self.assignment.self_, self.assignment.value) if isinstance(x, Strided)]
        return [np.array(plan.array).astype(fine_type(plan.dtype)) for plan in plans]

    def leaves(self) -> list[torch.Tensor]:
        """New leaves that require grad: of self, and of a value that is a tensor."""
        plans = [x for x in (self.assignment.self_, self.assignment.value) if isinstance(x, Strided)]
        return [plan.build().requires_grad_() for plan in plans]

    def forward(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """The program's one number."""
        x, index = tensors[0].clone(), self.assignment.for_torch()
        value = tensors[1] if len(tensors) > 1 else self.assignment.value
        if self.adds:
            x[index] += value
        else:
            x[index] = value
        return weighted(x)

    def value(self, *points: np.ndarray) -> float:
        """The program's number for these values, without autograd."""
        device = self.assignment.self_.device
        with torch.no_grad():
            return float(self.forward([torch.tensor(x, device=device) for x in points]))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.assignment.facets()

    def reductions(self) -> Iterator[AssignmentProgram]:
        """Simpler assignments."""
        for assignment in self.assignment.reductions():
            yield replace(self, assignment=assignment)

    def code(self) -> str:
        """The assignment in plain torch."""
        code = self.assignment.code()
        return code.replace("] = value", "] += value") if self.adds else code


def assignment_programs(cell: Cell) -> Inputs:
    """Each index with several forms of the value, in float64, float32 and complex128."""
    device, found = cell.target.device, []
    for advanced, entries in ((False, BASIC), (True, ADVANCED)):
        for entry, (shape, index) in enumerate(entries):
            wanted = selection_shape(shape, entry, advanced)
            for turn in range(3):
                form = VALUE_FORMS[(entry + 3 * turn) % len(VALUE_FORMS)]
                dtype = ("float64", "complex128" if entry % 2 else "float32", "float64")[turn]
                plans = Steady(device, entry + turn, steady_numbers(0))
                own = plans.tensor(dtype, shape, ("contiguous", "transposed")[(entry + turn) % 2], "", "")
                parts = tuple(part_on_device(part, device) for part in index)
                given = {"zero-d": (), "broadcast": (*(1 for _ in wanted[:-1]), *wanted[-1:])}.get(form, wanted)
                layout = form if form in ("stepped", "expanded") else "contiguous"
                of = "float32" if form == "other-dtype" and not advanced else dtype
                value = plans.number(dtype, "", "") if form == "scalar" else plans.tensor(of, given, layout, "", "", 1)
                found.append(AssignmentProgram(Assignment(own, parts, value), turn == 2 and form != "other-dtype"))
    return Inputs(found)


def assignments_to_leaves(cell: Cell) -> Inputs:
    """Assignments to a self that can require grad."""
    every = assignments(cell.target.device, False) + assignments(cell.target.device, True)
    return Inputs([x for x in every if ELEMENT_TYPES[x.self_.dtype].kind in ("floating", "complex")][::2])
