"""Augmented assignments: ``x += y`` and its like, and the method that each stands for.

Reference: https://docs.pytorch.org/docs/stable/tensors.html
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call, LiveCall
from conformance.inputs.corners import corners_of
from conformance.inputs.encounters import lower_numbers, special_numbers
from conformance.inputs.supplements import plain_forms

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# The function of Python's operator module and the symbol that stand for each in-place method.
SYMBOLS = {
    "add_": ("iadd", "+="),
    "sub_": ("isub", "-="),
    "mul_": ("imul", "*="),
    "div_": ("itruediv", "/="),
    "floor_divide_": ("ifloordiv", "//="),
    "remainder_": ("imod", "%="),
    "pow_": ("ipow", "**="),
    "bitwise_and_": ("iand", "&="),
    "bitwise_or_": ("ior", "|="),
    "bitwise_xor_": ("ixor", "^="),
    "bitwise_left_shift_": ("ilshift", "<<="),
    "bitwise_right_shift_": ("irshift", ">>="),
}


def augment(live: LiveCall) -> torch.Tensor:
    """Execute the assignment that stands for the call; what the name is bound to afterwards."""
    function: Any = getattr(operator, SYMBOLS[live.plan.method][0])
    found: torch.Tensor = function(live.self_, *live.args)
    return found


def symbol_of(call: Call) -> str:
    """How the assignment is written: ``+=``."""
    return SYMBOLS[call.method][1]


def augmented_assignments(cell: Cell) -> Inputs:
    """Every call of the method that has one operand and no further argument."""
    row, device = cell.subject, cell.target.device
    known = list(corners_of(row, device))
    calls = (*known, *plain_forms(row, device), *special_numbers(row, known), *lower_numbers(row, known))
    return Inputs([call for call in calls if len(call.args) == 1 and not call.kwargs])
