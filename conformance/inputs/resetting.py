"""Resetting: gradients that are set, zeroed and dropped by hand, by optimizers and by modules.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.backwards import PASS_SHAPES, Pass, backward_passes, reshaped, whole_numbers
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

RESETTERS = ("optimizer", "three groups", "Adam", "module", "child", "frozen module", "frozen optimizer")
WRONG_GRADS = ("longer", "broadcasting", "unsqueezed", "another type", "another device", "a number", "an array")


def gradients_to_reset(cell: Cell) -> Inputs:
    """Parameters with gradients, and an optimizer or a module that is to reset them."""
    layouts = ("contiguous", "transposed", "stepped", "channels_last")
    return backward_passes(cell, forms=RESETTERS, layouts=layouts)


def resetter(form: str, parameters: tuple[torch.Tensor, ...]) -> Any:
    """``zero_grad`` of an optimizer of, or a module with, these parameters."""
    if form.startswith("frozen"):
        parameters[-1].requires_grad_(False)  # which keeps its .grad until this is reset
    if form in ("module", "child", "frozen module"):
        outer, inner = torch.nn.Module(), torch.nn.Module()
        outer.add_module("inner", inner)
        for number, parameter in enumerate(parameters):
            (inner if form == "child" and number else outer).register_parameter(f"p{number}", parameter)
        return outer.zero_grad
    if form == "three groups":
        further = torch.nn.Parameter(torch.ones(2))
        groups = [parameters[0], further, *parameters[1:]]
        return torch.optim.SGD([{"params": [p]} for p in groups], lr=1.0).zero_grad
    maker = torch.optim.Adam if form == "Adam" else torch.optim.SGD
    return maker(parameters, lr=1.0).zero_grad


def parameters_of(case: Pass) -> tuple[torch.Tensor, torch.Tensor]:
    """The leaves of a pass as parameters, laid out as they are."""
    first, second = case.leaves()
    return torch.nn.Parameter(first.detach()), torch.nn.Parameter(second.detach())


def leaves_of_a_kind(case: Pass) -> tuple[torch.Tensor, torch.Tensor]:
    """The leaves of a pass: tensors, parameters, or the first with a hook on it, by the entry."""
    leaves = case.leaves() if case.entry != "function" else parameters_of(case)
    if case.entry == "sequence":
        leaves[0].register_hook(silent_hook)
    return leaves


def silent_hook(gradient: torch.Tensor) -> None:
    """A hook that leaves the gradient as it is."""


def grown_grad(case: Pass) -> torch.Tensor:
    """A .grad with a history, as create_graph leaves it."""
    given = preset_grad(case, "transposed").requires_grad_()
    return given * 2


def preset_passes(cell: Cell) -> Inputs:
    """Passes into a .grad that is there already, in each layout."""
    return backward_passes(
        cell,
        forms=("contiguous", "transposed", "stepped", "offset", "sliced"),
        shown="x.grad = torch.ones_like(x) * 2\ny = {use} - other\n{run}",
    )


def preset_plan(case: Pass, layout: str) -> Strided:
    """Plan of a .grad for the leaf of ``case``, in a layout of its own."""
    return whole_numbers(case.plan.dtype, case.plan.shape, layout, case.plan.device, 4)


def preset_grad(case: Pass, layout: str) -> torch.Tensor:
    """The same as a tensor."""
    return preset_plan(case, layout).build()


def dense_leaves(cell: Cell) -> Inputs:
    """Leaves whose elements lie side by side, in each order of the dimensions."""
    shapes = (*PASS_SHAPES, (2, 3, 2, 1, 2))
    return backward_passes(cell, layouts=("transposed", "channels_last", "contiguous", "offset"), shapes=shapes)


def scattered_leaves(cell: Cell) -> Inputs:
    """Leaves with gaps between their elements, or with elements in one place."""
    shapes = ((2, 3), (2, 3, 4), (4,), (2, 3, 2, 2))
    return backward_passes(cell, layouts=("stepped", "sliced", "expanded", "overlapping"), shapes=shapes)


def wrong_assignments(cell: Cell) -> Inputs:
    """Something that cannot be the gradient of a leaf."""
    shapes = ((2, 3), (1, 3, 1), (2, 3, 4), (2,))
    return backward_passes(cell, forms=WRONG_GRADS, shapes=shapes)


def wrong_grad(case: Pass) -> Any:
    """What is assigned."""
    plan, shape = case.gradient, case.plan.shape
    if case.form == "a number":
        return 0.0
    if case.form == "an array":
        return plan.array
    if case.form == "another type":
        other = {"float32": "float64", "complex64": "complex128"}.get(plan.dtype, "float32")
        return torch.zeros(shape, dtype=getattr(torch, other), device=plan.device)
    if case.form == "another device":
        return torch.zeros(shape, dtype=getattr(torch, plan.dtype), device="meta")
    other_shape = {"longer": (*shape[:-1], shape[-1] + 1), "broadcasting": (1,) * (len(shape) + 1)}
    return reshaped(plan, other_shape.get(case.form, (*shape, 1))).build()
