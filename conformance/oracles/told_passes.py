"""Told passes: what the options of ``backward`` and of ``autograd.grad`` make of a pass.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad.html
"""

from __future__ import annotations

from functools import partial

import torch

from conformance.inputs import backwards
from conformance.inputs.backwards import Pass
from conformance.inputs.dtypes import representable
from conformance.inputs.resetting import preset_grad
from conformance.oracles import expect, memory
from conformance.oracles.accumulated import grad_state, hold_gradients, holds_gradient, kept_grad, same_gradient


def retained_as_told(case: Pass) -> None:
    """Expect a second pass to add to .grad where ``retain_graph`` or ``create_graph`` allows it, and else to raise."""
    leaves = case.leaves()
    roots = backwards.saving_roots(case, leaves)
    create, retain = backwards.options_of(case)
    case.run_all(roots, create_graph=create, **({} if retain is None else {"retain_graph": retain}))
    if create if retain is None else retain:
        case.run_all(roots)
        hold_gradients(backwards.saved_gradients(case, 2 * len(roots)), leaves)
    else:
        for root in roots:
            expect.raises(RuntimeError, partial(case.run, root), f"second pass after {case.form}")


def recorded_as_told(case: Pass) -> None:
    """Expect gradients to have a history as ``create_graph`` says."""
    leaves = case.leaves()
    create, retain = backwards.options_of(case)
    roots = [backwards.saving_root(case, leaves) for _ in range(2)]
    with torch.set_grad_enabled(case.entry != "sequence"):
        case.run(roots[0], create_graph=create, retain_graph=retain)
        returned = torch.autograd.grad(
            roots[1], leaves, case.gradient.build(), create_graph=create, retain_graph=retain
        )
    for name, found in (("x.grad", leaves[0].grad), ("grad by x", returned[0]), ("grad by other", returned[1])):
        gradient = expect.tensor(found, name)
        expect.equal((create, create), (gradient.requires_grad, gradient.grad_fn is not None), f"history of {name}")


def accumulates_into_inputs_alone(case: Pass) -> None:
    """Expect a pass with ``inputs=`` to fill these, and to leave the other leaf as it is."""
    leaves = case.leaves()
    if case.form.endswith("set"):
        for leaf in leaves:
            leaf.grad = preset_grad(case, "transposed")
    before = grad_state(leaves[1])
    already = memory.contents(preset_grad(case, "transposed")) if case.form.endswith("set") else 0
    inputs, further = backwards.chosen_leaves(case, leaves[0])
    case.run(sum((leaf * 3 for leaf in further), case.root(leaves)), inputs=inputs)
    holds_gradient(representable(case.expected[0] + already, case.plan.dtype), leaves[0])
    hold_gradients([case.summed(3)] * len(further), further)
    kept_grad(before, leaves[1], ".grad of a leaf that is not among the inputs")


def refuses_unused_inputs(case: Pass) -> None:
    """Expect ``autograd.grad`` by an unused input to raise."""
    leaves = case.leaves()
    inputs, _ = backwards.with_unused(case, *leaves)
    for options in ({}, {"allow_unused": False}):
        action = partial(torch.autograd.grad, case.root(leaves), inputs, case.gradient.build(), **options)
        expect.raises(RuntimeError, action, f"autograd.grad by an unused input with {options}")


def gives_none_for_unused_inputs(case: Pass) -> None:
    """Expect None for an unused input with ``allow_unused``, and the gradients by the others."""
    leaves = case.leaves()
    inputs, place = backwards.with_unused(case, *leaves)
    found = torch.autograd.grad(case.root(leaves), inputs, case.gradient.build(), allow_unused=True)
    expect.equal(None, found[place], "gradient by the unused input")
    used = [gradient for number, gradient in enumerate(found) if number != place]
    for leaf, expected, gradient in zip(leaves, case.expected, used, strict=False):
        same_gradient(expected, gradient, leaf, "gradient by a used input")
