"""Checks of ``specs/accumulation.yaml``: what backward passes put into ``.grad``, and what they return.

Reference: https://docs.pytorch.org/docs/stable/autograd.html
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from conformance.engine.cases import cases
from conformance.inputs import anomalies, backward_sources, backward_threads, backwards, formulas, kinks, resetting
from conformance.inputs.anomalies import Anomaly
from conformance.inputs.backward_threads import in_another_thread, in_threads_at_once
from conformance.inputs.backwards import (
    USES_OF_LEAF,
    Pass,
    leaves_in_one_storage,
    roots_of,
    sum_of_views,
    use_of_leaf,
    used_often,
)
from conformance.inputs.dtypes import ELEMENT_TYPES, representable, torch_dtype
from conformance.inputs.formulas import Formula
from conformance.inputs.kinks import Division, Kink, Selection, Tie
from conformance.inputs.resetting import parameters_of, preset_grad, preset_plan, resetter, wrong_grad
from conformance.oracles import expect, layout, memory
from conformance.oracles.accumulated import (
    grad_state,
    hold_gradients,
    holds_gradient,
    kept_grad,
    lie_apart,
    same_gradient,
)
from conformance.oracles.closed_forms import complex_gradient, derivatives_at, near_closed_form, real_gradients
from conformance.oracles.frames import frame_of
from conformance.oracles.modes import recorded_warnings, silence
from conformance.oracles.subgradients import only_where_used, shared_evenly, takes_one_of

# --- accumulation ---------------------------------------------------------------------------------------------


@cases(backward_sources.repeated_passes)
def test_backward_adds_into_grad(case: Pass) -> None:
    """Each backward pass adds its gradient to what .grad of a leaf already holds."""
    leaves = case.leaves()
    for count in range(1, int(case.form) + 1):
        case.run(case.root(leaves))
        expected = (case.summed(USES_OF_LEAF[case.use] * count), case.summed(-count))
        hold_gradients(expected, leaves)


@cases(backward_sources.plain_passes)
def test_first_backward_sets_grad(case: Pass) -> None:
    """.grad of a leaf is None until a backward pass computes it, and is then that pass's gradient."""
    leaves = case.leaves()
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad before backward")
    case.run(case.root(leaves))
    hold_gradients(case.expected, leaves)


@cases(backward_sources.several_uses)
def test_uses_of_a_leaf_are_summed(case: Pass) -> None:
    """A leaf that is used several times gets the sum of the gradients of its uses."""
    leaf = case.leaves()[0]
    root, factor = used_often(case, leaf)
    case.run(root)
    holds_gradient(case.summed(factor), leaf)


@cases(backward_sources.leaves_as_roots)
def test_leaf_may_be_the_root(case: Pass) -> None:
    """backward from a leaf adds the incoming gradient itself to the leaf's .grad."""
    leaf = case.leaves()[0]
    for count in range(1, int(case.form) + 1):
        case.run(leaf)
        holds_gradient(case.summed(count), leaf)


@cases(backward_sources.several_roots)
def test_roots_are_summed(case: Pass) -> None:
    """backward from several roots gives each leaf the sum of the gradients from all of them."""
    leaves = case.leaves()
    roots, incoming, factors = roots_of(case, leaves)
    torch.autograd.backward(roots, incoming)
    hold_gradients([case.summed(factor) for factor in factors], leaves)


@cases(backward_sources.shared_storages)
def test_leaves_in_one_storage_accumulate_apart(case: Pass) -> None:
    """Leaves that share memory get their own gradients, each in memory of its own."""
    first, second = leaves_in_one_storage(case)
    incoming = [backwards.reshaped(case.gradient, tuple(leaf.shape)) for leaf in (first, second)]
    for count in (1, 2):
        torch.autograd.backward([first * 2, second * -3], [plan.build() for plan in incoming])
        holds_gradient(representable(incoming[0].array * 2 * count, case.plan.dtype), first, "first leaf")
        holds_gradient(representable(incoming[1].array * -3 * count, case.plan.dtype), second, "second leaf")
    lie_apart({"first.grad": first.grad, "second.grad": second.grad, "the leaves": first})


@cases(backward_sources.viewed_leaves)
def test_leaves_met_through_views_accumulate_apart(case: Pass) -> None:
    """Leaves that an operation meets through views get the sum of their passes, whatever the others get."""
    leaves = case.leaves()
    for count in (1, 2):
        root, factor = sum_of_views(case, leaves)
        case.run(root)
        hold_gradients([case.summed(factor * count)] * 2, leaves)


@cases(backward_sources.repeated_passes)
def test_grads_of_leaves_are_apart(case: Pass) -> None:
    """The gradients of two leaves share no memory with each other or with a leaf."""
    leaves = case.leaves()
    for _ in range(int(case.form)):
        case.run(case.root(leaves))
    lie_apart({"x.grad": leaves[0].grad, "other.grad": leaves[1].grad, "x": leaves[0], "other": leaves[1]})


@cases(backward_sources.repeated_passes)
def test_incoming_gradient_is_left_alone(case: Pass) -> None:
    """Backward passes keep the gradients that they are given as they were, and outside of .grad."""
    leaves = case.leaves()
    handed = {f"incoming gradient {count}": case.run(case.root(leaves)) for count in range(int(case.form))}
    for name, tensor in handed.items():
        memory.same_bytes(case.gradient.storage, memory.storage_bytes(tensor), f"storage of {name}")
    lie_apart({"x.grad": leaves[0].grad, "other.grad": leaves[1].grad, **handed})


# --- the incoming gradient ------------------------------------------------------------------------------------


@cases(backward_sources.single_element_passes)
def test_single_element_root_needs_no_gradient(case: Pass) -> None:
    """From a real root of one element backward goes without a gradient, as from one."""
    leaves = case.leaves()
    root = case.root(leaves)
    root.backward() if case.entry == "method" else torch.autograd.backward(root)
    ones = np.ones(case.plan.shape)
    hold_gradients([representable(ones * k, case.plan.dtype) for k in (USES_OF_LEAF[case.use], -1)], leaves)


@cases(backward_sources.many_element_passes)
def test_root_of_many_elements_needs_a_gradient(case: Pass) -> None:
    """From a root of more than one element backward raises where it is given no gradient, and sets no .grad."""
    leaves = case.leaves()
    root = case.root(leaves)
    action = root.backward if case.entry == "method" else partial(torch.autograd.backward, root)
    expect.raises(RuntimeError, action, f"backward without a gradient from shape {case.plan.shape}")
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after backward that raised")


@cases(backward_sources.misfitting_passes)
def test_gradient_of_another_shape_is_refused(case: Pass) -> None:
    """backward raises for a gradient of another shape than the root's, even for one that would broadcast."""
    leaves = case.leaves()
    root, incoming = case.root(leaves), backwards.misfitting_incoming(case)
    action = partial(root.backward if case.entry == "method" else partial(torch.autograd.backward, root), incoming)
    expect.raises(RuntimeError, action, f"backward of shape {case.plan.shape} from {tuple(incoming.shape)}")
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after backward that raised")


@cases(backward_sources.mistyped_passes)
def test_complex_and_real_gradients_do_not_mix(case: Pass) -> None:
    """backward raises for a complex gradient of a real root, and for a real gradient of a complex one."""
    leaves = case.leaves()
    kind = "floating" if ELEMENT_TYPES[case.plan.dtype].kind == "complex" else "complex"
    wrong = {"complex": "complex64", "floating": "float32"}[kind]
    incoming = torch.ones(case.plan.shape, dtype=torch_dtype(wrong), device=case.plan.device)
    expect.raises(RuntimeError, partial(case.root(leaves).backward, incoming), f"gradient in {wrong}")


@cases(backward_sources.mistyped_passes)
def test_gradient_of_another_precision_is_converted_or_refused(case: Pass) -> None:
    """A gradient of another precision than the root's is refused, or taken in the root's precision."""
    leaves = case.leaves()
    other = {"float64": "float32", "complex128": "complex64", "complex64": "complex128"}.get(case.plan.dtype, "float64")
    try:
        case.root(leaves).backward(replace(case.gradient, dtype=other).build())
    except RuntimeError:
        return
    hold_gradients(case.expected, leaves)


@cases(backward_sources.complex_passes)
def test_complex_root_needs_a_gradient(case: Pass) -> None:
    """From a complex root backward raises where it is given no gradient, also from one of a single element."""
    root = case.root(case.leaves())
    action = root.backward if case.entry == "method" else partial(torch.autograd.backward, root)
    expect.raises(RuntimeError, action, "backward without a gradient from a complex number")


@cases(backward_sources.plain_passes)
def test_root_without_grad_is_refused(case: Pass) -> None:
    """backward from a tensor that does not require grad raises."""
    root = case.root(case.leaves()).detach()
    expect.raises(RuntimeError, partial(case.run, root), "backward from a tensor that requires no grad")


@cases(backward_sources.roots_without_grad)
def test_root_without_grad_may_have_none(case: Pass) -> None:
    """Among several roots one that does not require grad may be given None for a gradient, and takes no part."""
    leaves = case.leaves()
    beside = leaves[0].detach() if case.form == "like" else torch.ones((), device=case.plan.device)
    roots, incoming = [case.root(leaves), beside], [case.gradient.build(), None]
    if case.entry == "method":
        found = torch.autograd.grad(roots, leaves, incoming)
        for leaf, expected, gradient in zip(leaves, case.expected, found, strict=True):
            same_gradient(expected, gradient, leaf, "gradient beside a root that requires no grad")
    else:
        torch.autograd.backward(roots, incoming)
        hold_gradients(case.expected, leaves)


@cases(backward_sources.plain_passes)
def test_gradient_edge_serves_as_a_root(case: Pass) -> None:
    """backward and autograd.grad go back from the gradient edge of a tensor as from the tensor."""
    leaves = case.leaves()
    edge = torch.autograd.graph.get_gradient_edge(case.root(leaves))
    found = torch.autograd.grad(edge, leaves, case.gradient.build(), retain_graph=True)
    for leaf, expected, gradient in zip(leaves, case.expected, found, strict=True):
        same_gradient(expected, gradient, leaf, "gradient from an edge")
    torch.autograd.backward(edge, case.gradient.build())
    hold_gradients(case.expected, leaves)


@cases(backward_sources.plain_passes)
def test_each_root_needs_its_gradient(case: Pass) -> None:
    """torch.autograd.backward raises where there are fewer gradients than roots."""
    leaves = case.leaves()
    root = case.root(leaves)
    action = partial(torch.autograd.backward, [root, root * 2], [case.gradient.build()])
    expect.raises(RuntimeError, action, "two roots with one gradient")
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after backward that raised")


@cases(backward_sources.plain_passes)
def test_surplus_gradients_are_refused(case: Pass) -> None:
    """torch.autograd.backward raises where there are more gradients than roots."""
    incoming = case.gradient.build()
    action = partial(torch.autograd.backward, [case.root(case.leaves())], [incoming, incoming])
    expect.raises((RuntimeError, ValueError), action, "one root with two gradients")


# --- the graph ------------------------------------------------------------------------------------------------


@cases(backward_sources.plain_passes)
def test_graph_is_freed(case: Pass) -> None:
    """A second pass over a graph that saved tensors and was not retained raises, and adds to no .grad."""
    leaves = case.leaves()
    root = backwards.saving_root(case, leaves)
    case.run(root)
    before = [grad_state(leaf) for leaf in leaves]
    expect.raises(RuntimeError, partial(case.run, root), "second pass over a graph that was freed")
    for number, (state, leaf) in enumerate(zip(before, leaves, strict=True)):
        kept_grad(state, leaf, f".grad of leaf {number}")


@cases(backward_sources.retained_passes)
def test_retained_graph_serves_again(case: Pass) -> None:
    """With retain_graph=True a graph can be gone through again, and each pass adds the same gradient."""
    leaves = case.leaves()
    root = backwards.saving_root(case, leaves)
    for count in range(1, int(case.form) + 1):
        case.run(root, retain_graph=count < int(case.form))
        hold_gradients(backwards.saved_gradients(case, count), leaves)
    expect.raises(RuntimeError, partial(case.run, root), "a pass after the one that freed the graph")


@cases(backward_sources.graph_options)
def test_graph_is_retained_as_create_graph_says(case: Pass) -> None:
    """Where retain_graph is not given, the graph is retained if create_graph is true, and freed otherwise."""
    leaves = case.leaves()
    root = backwards.saving_root(case, leaves)
    create, retain = backwards.options_of(case)
    case.run(root, create_graph=create, **({} if retain is None else {"retain_graph": retain}))
    if create if retain is None else retain:
        case.run(root)
        hold_gradients(backwards.saved_gradients(case, 2), leaves)
    else:
        expect.raises(RuntimeError, partial(case.run, root), f"second pass after {case.form}")


@cases(backward_sources.graph_options)
def test_gradients_have_a_history_as_create_graph_says(case: Pass) -> None:
    """Gradients require grad where create_graph is true, and have no history where it is not."""
    leaves = case.leaves()
    create, retain = backwards.options_of(case)
    case.run(backwards.saving_root(case, leaves), create_graph=create, retain_graph=retain)
    returned = torch.autograd.grad(
        backwards.saving_root(case, leaves), leaves, case.gradient.build(), create_graph=create, retain_graph=retain
    )
    for name, found in (("x.grad", leaves[0].grad), ("grad by x", returned[0]), ("grad by other", returned[1])):
        gradient = expect.tensor(found, name)
        expect.equal((create, create), (gradient.requires_grad, gradient.grad_fn is not None), f"history of {name}")


# --- inputs= --------------------------------------------------------------------------------------------------


@cases(backward_sources.chosen_inputs)
def test_inputs_are_the_only_ones_to_accumulate(case: Pass) -> None:
    """backward with inputs= accumulates into these, and leaves .grad of every other leaf as it is."""
    leaves = case.leaves()
    if case.form.endswith("set"):
        for leaf in leaves:
            leaf.grad = preset_grad(case, "transposed")
    before = grad_state(leaves[1])
    already = memory.contents(preset_grad(case, "transposed")) if case.form.endswith("set") else 0
    case.run(case.root(leaves), inputs=backwards.chosen_leaf(case, leaves[0]))
    holds_gradient(representable(case.expected[0] + already, case.plan.dtype), leaves[0])
    kept_grad(before, leaves[1], ".grad of a leaf that is not among the inputs")


@cases(backward_sources.inner_inputs)
def test_inputs_may_be_no_leaves(case: Pass) -> None:
    """backward with inputs= accumulates into .grad of a tensor that is no leaf, and not into the leaves behind it."""
    leaves = case.leaves()
    root, targets, factors = backwards.inner_targets(case, leaves)
    with silence():
        case.run(root, inputs=targets)
        hold_gradients([case.summed(factor) for factor in factors], targets)
    expect.equal(None, leaves[0].grad, ".grad of the leaf behind the inputs")


@cases(backward_sources.plain_passes)
def test_empty_inputs_are_refused(case: Pass) -> None:
    """backward and autograd.grad raise where inputs= is empty."""
    leaves = case.leaves()
    root = case.root(leaves)
    empties: tuple[Any, ...] = ([], ())
    for empty in empties:
        expect.raises(RuntimeError, partial(case.run, root, inputs=empty), f"backward with inputs={empty}")
        action = partial(torch.autograd.grad, root, empty, case.gradient.build())
        expect.raises((RuntimeError, ValueError), action, f"autograd.grad by {empty}")
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after backward that raised")


@cases(backward_sources.plain_passes)
def test_inputs_may_be_a_dict(case: Pass) -> None:
    """backward accumulates into the values of a dict that is given as inputs=, and into nothing else."""
    leaves = case.leaves()
    case.run(case.root(leaves), inputs={"weight": leaves[0]})
    holds_gradient(case.expected[0], leaves[0])
    expect.equal(None, leaves[1].grad, ".grad of a leaf that is not in the dict")
    case.run(case.root(leaves), inputs={"b": leaves[1], "a": leaves[0]})
    hold_gradients((case.summed(2 * USES_OF_LEAF[case.use]), case.expected[1]), leaves)


# --- autograd.grad --------------------------------------------------------------------------------------------


@cases(backward_sources.chosen_inputs)
def test_grad_leaves_grad_alone(case: Pass) -> None:
    """autograd.grad changes .grad of no leaf, whether one is there or not."""
    leaves = case.leaves()
    if case.form.endswith("set"):
        for leaf in leaves:
            leaf.grad = preset_grad(case, "transposed")
    before = [grad_state(leaf) for leaf in leaves]
    torch.autograd.grad(case.root(leaves), backwards.chosen_leaf(case, leaves[0]), case.gradient.build())
    for number, (state, leaf) in enumerate(zip(before, leaves, strict=True)):
        kept_grad(state, leaf, f".grad of leaf {number} after autograd.grad")


@cases(backward_sources.inner_inputs)
def test_grad_returns_a_gradient_for_each_input(case: Pass) -> None:
    """autograd.grad returns the gradients by its inputs, leaves or not, in their order."""
    leaves = case.leaves()
    root, inner, factors = backwards.inner_targets(case, leaves)
    inputs, factors = [leaves[0], *inner], [3 * USES_OF_LEAF[case.use], *factors]
    if case.entry == "sequence":
        inputs, factors = inputs[::-1], factors[::-1]
    found = torch.autograd.grad(root, inputs, case.gradient.build())
    expect.equal(len(inputs), len(found), "number of gradients")
    for number, (tensor, factor, gradient) in enumerate(zip(inputs, factors, found, strict=True)):
        same_gradient(case.summed(factor), gradient, tensor, f"gradient by input {number}")


@cases(backward_sources.several_roots)
def test_grad_sums_over_its_outputs(case: Pass) -> None:
    """autograd.grad of several outputs returns the sums of their gradients."""
    leaves = case.leaves()
    roots, incoming, factors = roots_of(case, leaves)
    found = torch.autograd.grad(roots, leaves, incoming)
    for number, (leaf, factor, gradient) in enumerate(zip(leaves, factors, found, strict=True)):
        same_gradient(case.summed(factor), gradient, leaf, f"gradient by leaf {number}")


@cases(backward_sources.plain_passes)
def test_grad_by_itself_is_the_incoming_gradient(case: Pass) -> None:
    """autograd.grad of a tensor by itself is its grad_outputs."""
    root = case.root(case.leaves())
    for tensor in (root, case.leaves()[0]):
        (found,) = torch.autograd.grad(tensor, tensor, case.gradient.build())
        same_gradient(case.summed(1), found, tensor, "gradient of a tensor by itself")


@cases(backward_sources.single_element_passes)
def test_grad_outputs_may_be_left_out(case: Pass) -> None:
    """For outputs of one element autograd.grad takes None, or no grad_outputs at all, as ones."""
    leaf = case.leaves()[0]
    root = use_of_leaf(leaf, case.use)
    ones = representable(np.ones(case.plan.shape) * USES_OF_LEAF[case.use], case.plan.dtype)
    for options in ({}, {"grad_outputs": None}, {"grad_outputs": [None]}):
        (found,) = torch.autograd.grad([root], [leaf], retain_graph=True, **options)
        same_gradient(ones, found, leaf, f"gradient with {options}")


@cases(backward_sources.unused_passes)
def test_unused_inputs_are_refused(case: Pass) -> None:
    """autograd.grad raises for an input that its outputs do not depend on."""
    leaves = case.leaves()
    inputs, _ = backwards.with_unused(case, *leaves)
    for options in ({}, {"allow_unused": False}):
        action = partial(torch.autograd.grad, case.root(leaves), inputs, case.gradient.build(), **options)
        expect.raises(RuntimeError, action, f"autograd.grad by an unused input with {options}")


@cases(backward_sources.unused_passes)
def test_allow_unused_gives_none(case: Pass) -> None:
    """With allow_unused=True autograd.grad returns None for an unused input, and the gradients by the others."""
    leaves = case.leaves()
    inputs, place = backwards.with_unused(case, *leaves)
    found = torch.autograd.grad(case.root(leaves), inputs, case.gradient.build(), allow_unused=True)
    expect.equal(None, found[place], "gradient by the unused input")
    used = [gradient for number, gradient in enumerate(found) if number != place]
    for leaf, expected, gradient in zip(leaves, case.expected, used, strict=False):
        same_gradient(expected, gradient, leaf, "gradient by a used input")


@cases(backward_sources.unused_passes)
def test_materialize_grads_gives_zeros(case: Pass) -> None:
    """With materialize_grads=True autograd.grad returns zeros for an unused input, also without allow_unused."""
    leaves = case.leaves()
    inputs, place = backwards.with_unused(case, *leaves)
    options = {"allow_unused": True} if case.entry == "method" else {}
    found = torch.autograd.grad(case.root(leaves), inputs, case.gradient.build(), materialize_grads=True, **options)
    same_gradient(np.zeros((3, 2)), found[place], inputs[place], "gradient by the unused input")
    used = [gradient for number, gradient in enumerate(found) if number != place]
    for leaf, expected, gradient in zip(leaves, case.expected, used, strict=False):
        same_gradient(expected, gradient, leaf, "gradient by a used input")


@cases(backward_sources.unused_passes)
def test_materialize_grads_needs_allow_unused(case: Pass) -> None:
    """autograd.grad raises for materialize_grads=True beside allow_unused=False."""
    leaves = case.leaves()
    inputs, _ = backwards.with_unused(case, *leaves)
    action = partial(
        torch.autograd.grad, case.root(leaves), inputs, case.gradient.build(),
        allow_unused=False, materialize_grads=True,
    )  # fmt: skip
    expect.raises((ValueError, RuntimeError), action, "materialize_grads=True with allow_unused=False")


@cases(backward_sources.batched_passes)
def test_batched_grads_equal_a_loop(case: Pass) -> None:
    """With is_grads_batched=True autograd.grad returns the gradients for each vector of the batch, stacked."""
    leaves = case.leaves()
    batch = backwards.batch_of(case)
    root = backwards.saving_root(case, leaves)
    found = torch.autograd.grad(root, leaves, batch.build(), is_grads_batched=True)
    for leaf, other, gradient in zip(leaves, leaves[::-1], found, strict=True):
        expected = batch.array * memory.contents(other).conj() * USES_OF_LEAF[case.use]
        stacked = leaf.detach().expand(batch.shape)
        same_gradient(
            representable(expected, case.plan.dtype), gradient, stacked, f"gradients by a batch of {batch.shape[0]}"
        )


@cases(backward_sources.plain_passes)
def test_only_inputs_is_ignored(case: Pass) -> None:
    """autograd.grad ignores only_inputs: it accumulates into no leaf, whatever its value."""
    leaves = case.leaves()
    with silence():
        (found,) = torch.autograd.grad(case.root(leaves), leaves[0], case.gradient.build(), only_inputs=False)
    same_gradient(case.expected[0], found, leaves[0], "gradient with only_inputs=False")
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after autograd.grad")


@cases(backward_sources.plain_passes)
def test_grad_by_a_dict_is_a_dict(case: Pass) -> None:
    """autograd.grad by a dict of tensors returns a dict of their gradients with the same keys, in the same order."""
    leaves = case.leaves()
    names = ("weight", "bias") if case.entry == "method" else ("z", "a")
    found = torch.autograd.grad(case.root(leaves), dict(zip(names, leaves, strict=True)), case.gradient.build())
    expect.equal(list(names), list(found), "keys of the result")
    for name, leaf, expected in zip(names, leaves, case.expected, strict=True):
        same_gradient(expected, found[name], leaf, f"gradient under {name!r}")


@cases(backward_sources.plain_passes)
def test_inputs_without_grad_are_refused(case: Pass) -> None:
    """autograd.grad raises for an input that does not require grad, also with allow_unused=True."""
    leaves = case.leaves()
    inputs = [leaves[0], leaves[1].detach()]
    for options in ({}, {"allow_unused": True}):
        action = partial(torch.autograd.grad, case.root(leaves), inputs, case.gradient.build(), **options)
        expect.raises(RuntimeError, action, f"autograd.grad by a tensor that requires no grad, with {options}")


# --- the layout of .grad --------------------------------------------------------------------------------------


@cases(resetting.dense_leaves)
def test_first_grad_has_the_strides_of_a_dense_leaf(case: Pass) -> None:
    """The first .grad of a leaf whose memory is dense and does not overlap has the leaf's strides."""
    leaf, other = case.leaves()
    case.run(case.root((leaf, other)))
    layout.same_steps(case.plan.strides, expect.tensor(leaf.grad, "x.grad"), "x.grad")
    layout.row_major_steps(expect.tensor(other.grad, "other.grad"), "other.grad")


@cases(resetting.scattered_leaves)
def test_first_grad_of_another_leaf_is_row_major(case: Pass) -> None:
    """The first .grad of a leaf whose memory has gaps or overlaps is contiguous in row-major order."""
    leaves = case.leaves()
    case.run(case.root(leaves))
    layout.row_major_steps(expect.tensor(leaves[0].grad, "x.grad"), "x.grad")
    hold_gradients(case.expected, leaves)


@cases(resetting.preset_passes)
def test_accumulation_keeps_the_grad_object(case: Pass) -> None:
    """Without create_graph, backward adds into the .grad that is there: the same object, memory and strides."""
    leaf, other = case.leaves()
    leaf.grad = given = preset_grad(case, case.form)
    old, frame, outside = memory.contents(given), frame_of(given), memory.guards(given, preset_plan(case, case.form))
    for count in (1, 2):
        case.run(case.root((leaf, other)))
        expect.same_object(given, leaf.grad, "x.grad")
        expect.equal(frame, frame_of(given), "shape, strides and offset of x.grad")
        holds_gradient(representable(old + case.summed(count * USES_OF_LEAF[case.use]), case.plan.dtype), leaf)
    memory.same_bytes(outside, memory.guards(given, preset_plan(case, case.form)), "memory around x.grad")


@cases(resetting.preset_passes)
def test_create_graph_replaces_the_grad(case: Pass) -> None:
    """With create_graph=True, backward replaces .grad by a new tensor, the sum, and leaves the old one as it was."""
    leaf, other = case.leaves()
    leaf.grad = given = preset_grad(case, case.form)
    old, image = memory.contents(given), memory.storage_bytes(given)
    with silence():
        case.run(case.root((leaf, other)), create_graph=True)
    expect.that(leaf.grad is not given, "x.grad after create_graph=True", "a new tensor", "the same object")
    memory.same_bytes(image, memory.storage_bytes(given), "storage of the old x.grad")
    holds_gradient(representable(old + case.expected[0], case.plan.dtype), leaf)
    lie_apart({"old x.grad": given, "new x.grad": leaf.grad})


@cases(resetting.preset_passes)
def test_create_graph_tries_to_keep_the_strides(case: Pass) -> None:
    """With create_graph=True, the new .grad has the strides of a dense old one."""
    leaf, other = case.leaves()
    leaf.grad = preset_grad(case, case.form)
    plan = preset_plan(case, case.form)
    with silence():
        case.run(case.root((leaf, other)), create_graph=True)
    if layout.is_dense(plan.shape, plan.strides):
        layout.same_steps(plan.strides, expect.tensor(leaf.grad, "x.grad"), "x.grad")


@cases(resetting.dense_leaves)
def test_layout_policy_is_of_its_context(case: Pass) -> None:
    """enforce_grad_layout_policy(False) changes no gradient, and the layout contract holds again after it."""
    leaves = case.leaves()
    with torch.autograd.grad_mode.enforce_grad_layout_policy(False):
        case.run(case.root(leaves))
    hold_gradients(case.expected, leaves)
    again = case.leaves()
    case.run(case.root(again))
    layout.same_steps(case.plan.strides, expect.tensor(again[0].grad, "x.grad"), "x.grad after the context")


# --- resetting and assigning ----------------------------------------------------------------------------------


@cases(resetting.gradients_to_reset)
def test_zero_grad_drops_the_gradients(case: Pass) -> None:
    """zero_grad(set_to_none=True) sets .grad of each parameter to None."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    resetter(case.form, leaves)(set_to_none=True)
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after zero_grad(set_to_none=True)")


@cases(resetting.gradients_to_reset)
def test_dropped_gradients_stay_none(case: Pass) -> None:
    """After zero_grad(set_to_none=True) .grad stays None for a parameter that the next pass does not reach."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    resetter(case.form, leaves)(set_to_none=True)
    case.run(use_of_leaf(leaves[0], case.use))
    holds_gradient(case.expected[0], leaves[0])
    expect.equal(None, leaves[1].grad, ".grad of a parameter that got no gradient")


@cases(resetting.gradients_to_reset)
def test_zero_grad_zeroes_in_place(case: Pass) -> None:
    """zero_grad(set_to_none=False) fills each .grad with zeros, whatever it held, and keeps the tensor."""
    leaves = parameters_of(case)
    for leaf, value in zip(leaves, (float("nan"), float("-inf")), strict=True):
        leaf.grad = preset_grad(case, "transposed")
        leaf.grad.fill_(value)
    given = [leaf.grad for leaf in leaves]
    places = [(grad.data_ptr(), frame_of(grad)) for grad in given]
    resetter(case.form, leaves)(set_to_none=False)
    for leaf, grad, place in zip(leaves, given, places, strict=True):
        expect.same_object(grad, leaf.grad, ".grad after zero_grad(set_to_none=False)")
        expect.equal(place, (grad.data_ptr(), frame_of(grad)), "address and frame of .grad")
        holds_gradient(np.zeros(case.plan.shape), leaf)


@cases(resetting.gradients_to_reset)
def test_zero_grad_drops_by_default(case: Pass) -> None:
    """zero_grad() sets .grad of each parameter to None."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    resetter(case.form, leaves)()
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after zero_grad()")


@cases(resetting.gradients_to_reset)
def test_zero_grad_zeroes_by_default(case: Pass) -> None:
    """zero_grad() fills each .grad with zeros."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    resetter(case.form, leaves)()
    hold_gradients([np.zeros(case.plan.shape)] * 2, leaves)


@cases(resetting.gradients_to_reset)
def test_zero_grad_resets_its_own_parameters_only(case: Pass) -> None:
    """zero_grad of an optimizer or a module leaves .grad of every other parameter as it is."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    before = grad_state(leaves[1])
    resetter(case.form, leaves[:1])(set_to_none=case.entry == "method")
    kept_grad(before, leaves[1], ".grad of a parameter of something else")


@cases(resetting.preset_passes)
def test_assigned_grad_is_the_grad(case: Pass) -> None:
    """A tensor assigned to .grad is what .grad then is, and None takes it away for the next pass to begin anew."""
    leaf, other = case.leaves()
    given = preset_grad(case, case.form)
    leaf.grad = given
    expect.same_object(given, leaf.grad, "x.grad after an assignment")
    leaf.grad = None
    case.run(case.root((leaf, other)))
    holds_gradient(case.expected[0], leaf)


@cases(resetting.wrong_assignments)
def test_assigned_grad_must_match(case: Pass) -> None:
    """Assigning to .grad what is no tensor of the leaf's shape, type and device raises, and changes no .grad."""
    leaf, other = case.leaves()
    case.run(case.root((leaf, other)))
    before, wrong = grad_state(leaf), wrong_grad(case)
    expect.raises((RuntimeError, TypeError), partial(setattr, leaf, "grad", wrong), f"x.grad = {case.form}")
    kept_grad(before, leaf, "x.grad after an assignment that raised")


# --- higher derivatives, and complex ones ---------------------------------------------------------------------


@cases(formulas.twice_differentiable)
def test_created_graph_gives_higher_derivatives(case: Formula) -> None:
    """With create_graph=True gradients can be differentiated again, and again, to the right second and third ones."""
    leaf = case.leaf()
    root = case.call(leaf)
    factor: np.ndarray = np.ones(())
    with silence():
        for order, derivative in enumerate(derivatives_at(case.name, case.plan.array)):
            incoming = case.incoming(root, order)
            # the first derivative is conjugated; each later one is of the conjugate, so that what comes in is
            factor = factor * (np.conj(incoming.array) if order else incoming.array)
            root = case.gradient(root, leaf, incoming, create_graph=order < 2)
            near_closed_form(factor * np.conj(derivative), root, leaf, f"derivative {order + 1} of {case.name}")


@cases(formulas.complex_formulas)
def test_complex_gradient_is_by_the_conjugate(case: Formula) -> None:
    """The gradient by a complex tensor is the derivative by its conjugate, as for steepest descent."""
    leaf = case.leaf()
    root = case.call(leaf)
    incoming = case.incoming(root)
    found = case.gradient(root, leaf, incoming, create_graph=False)
    near_closed_form(
        complex_gradient(case.name, case.plan.array, incoming.array), found, leaf, f"gradient of {case.name}"
    )


@cases(formulas.real_functions)
def test_real_function_through_complex_numbers(case: Formula) -> None:
    """A real function computed by complex operations has the real gradient that real operations would give it."""
    x, y = case.leaf(), replace(case.plan, data=case.plan.data[::-1]).build().requires_grad_()
    root = formulas.through_complex(case.function, x, y)
    incoming = case.incoming(root)
    expected = real_gradients(case.function, case.plan.array, memory.contents(y))
    for leaf, derivative in zip((x, y), expected, strict=True):
        root = formulas.through_complex(case.function, x, y)
        found = case.gradient(root, leaf, incoming, create_graph=False)
        near_closed_form(incoming.array * derivative, found, leaf, f"gradient of {case.function}")
        x.grad = y.grad = None


@cases(backward_sources.complex_roots_of_real_leaves)
def test_real_leaf_of_a_complex_root_gets_a_real_gradient(case: Pass) -> None:
    """A real leaf that complex numbers were computed from gets the real part of what comes back."""
    leaf = case.plan.build().requires_grad_()
    factor = complex(2, -3)
    root, incoming = backwards.complex_root(case, leaf, factor)
    for count in (1, 2):
        torch.autograd.backward(root, incoming.build(), retain_graph=count == 1)
        holds_gradient((incoming.array * factor.conjugate()).real * count, leaf)


# --- points without a derivative ------------------------------------------------------------------------------


def takes_a_permitted_gradient(case: Kink) -> None:
    """Go back from a function, and compare the gradient by each operand with what is permitted there."""
    leaves = case.leaves()
    root = case.call(*leaves)
    incoming = torch.from_numpy(case.incoming(tuple(root.shape))).to(root.device, root.dtype)
    found = torch.autograd.grad(root, leaves, incoming)
    for number, leaf in enumerate(leaves):
        what = f"gradient of {case.function} by operand {number}"
        takes_one_of(case.permits(number), case.arbitrary(number), leaf, found[number], what)


@cases(kinks.kink_corners)
def test_convex_kink_takes_the_shortest_subgradient(case: Kink) -> None:
    """Where a function is convex and has no derivative, its gradient is the sub-gradient of minimum norm."""
    takes_a_permitted_gradient(case)


@cases(kinks.kink_corners)
def test_concave_kink_takes_the_shortest_supergradient(case: Kink) -> None:
    """Where a function is concave and has no derivative, its gradient is the super-gradient of minimum norm."""
    takes_a_permitted_gradient(case)


@cases(kinks.kink_corners)
def test_tied_tensors_share_the_gradient(case: Kink) -> None:
    """A convex or concave function of two tensors takes the gradient that is shortest in both of them together."""
    takes_a_permitted_gradient(case)


@cases(kinks.kink_corners)
def test_other_points_take_a_limit(case: Kink) -> None:
    """Where a function is defined and neither convex nor concave, its gradient is a limit of those nearby."""
    takes_a_permitted_gradient(case)


@cases(kinks.kink_corners)
def test_differentiable_point_takes_the_derivative(case: Kink) -> None:
    """Where a function has a derivative, that is its gradient, at zeros and ties too."""
    takes_a_permitted_gradient(case)


@cases(kinks.kink_corners)
def test_undefined_point_spoils_no_other(case: Kink) -> None:
    """Where a function is not defined its gradient is arbitrary or an error; at every other element it is right."""
    try:
        takes_a_permitted_gradient(case)
    except RuntimeError:
        return


@cases(kinks.ties)
def test_equal_extremes_share_the_gradient(case: Tie) -> None:
    """amax, amin and the max and min of all elements hand equal parts of the gradient to equal extremes."""
    leaf = case.leaf()
    result = case.call(leaf)
    named = [(True, result)] if isinstance(result, torch.Tensor) else [(False, result[0]), (True, result[1])]
    for largest, root in named:
        incoming = np.resize(np.array([2.0, -4.0, 1.0]), tuple(root.shape))
        given = torch.from_numpy(incoming).to(root.device, root.dtype)
        (found,) = torch.autograd.grad(root, leaf, given, retain_graph=True)
        highest = largest and not case.function.endswith("min")
        expected = shared_evenly(case.plan.array.astype(np.float64), case.dim, highest, incoming)
        takes_one_of([expected], np.zeros(case.plan.shape, bool), leaf, found, f"gradient of {case.function}")


@cases(kinks.ties)
def test_extreme_along_a_dimension_feeds_one_element(case: Tie) -> None:
    """max and min along a dimension hand the gradient to the one element whose index they return."""
    leaf = case.leaf()
    values, indices = case.call(leaf)
    incoming = np.resize(np.array([2.0, -4.0, 1.0]), tuple(values.shape))
    (found,) = torch.autograd.grad(values, leaf, torch.from_numpy(incoming).to(values.device, values.dtype))
    dim = case.dim or 0
    at = np.asarray(memory.contents(indices)).reshape(np.expand_dims(case.plan.array.max(dim), dim).shape)
    expected = np.zeros(case.plan.shape)
    np.put_along_axis(expected, at, incoming.reshape(at.shape), dim)
    takes_one_of([expected], np.zeros(case.plan.shape, bool), leaf, found, f"gradient of {case.function}")


@cases(kinks.random_corners)
def test_random_function_has_no_gradient(case: Kink) -> None:
    """Backward through a function that draws random numbers raises."""
    leaves = case.leaves()

    def go_back() -> None:
        root = case.call(*leaves)
        torch.autograd.backward(root, torch.ones_like(root))

    expect.raises(RuntimeError, go_back, f"backward through {case.function}")


@cases(kinks.active_corners)
def test_nan_gradient_is_passed_on(case: Kink) -> None:
    """An incoming gradient of NaN reaches an operand that decided the result."""
    leaves = case.leaves()
    root = case.call(*leaves)
    found = torch.autograd.grad(root, leaves, torch.full_like(root, float("nan")))[0]
    only_where_used(np.ones(case.plans[0].shape, bool), memory.contents(found), f"gradient of {case.function}")


@cases(kinks.inactive_corners)
def test_nan_gradient_stays_out_of_what_is_inactive(case: Kink) -> None:
    """An incoming gradient of NaN leaves zero at an element that did not decide the result."""
    leaves = case.leaves()
    root = case.call(*leaves)
    found = torch.autograd.grad(root, leaves, torch.full_like(root, float("nan")))[0]
    decided = np.resize(np.array([False, True]), case.plans[0].shape)
    only_where_used(decided, memory.contents(found), f"gradient of {case.function}")


@cases(kinks.selections_of)
def test_nan_gradient_reaches_what_is_selected_only(case: Selection) -> None:
    """An incoming gradient of NaN reaches the elements that an operation selects, and leaves zero at the others."""
    leaf = case.leaf()
    root = case.call(leaf)
    (found,) = torch.autograd.grad(root, leaf, torch.full_like(root, float("nan")))
    only_where_used(case.used, memory.contents(found), f"gradient of {case.name}")


@cases(kinks.divisions)
def test_masking_after_a_division_by_zero_leaves_nan(case: Division) -> None:
    """Masking a quotient by zero away does not make its gradient zero: it is NaN."""
    x, divisor, mask = case.operands()
    case.masked_after(x, divisor, mask).sum().backward()
    nowhere = np.zeros(case.safe_gradient.shape, bool)
    takes_one_of([case.trapped_gradient], nowhere, x, x.grad, "x.grad")


@cases(kinks.divisions)
def test_masking_before_a_division_by_zero_is_safe(case: Division) -> None:
    """Dividing only where the divisor is not zero gives zero gradients elsewhere."""
    x, divisor, mask = case.operands()
    safe = torch.zeros_like(x)
    safe[mask] = x[mask] / divisor[mask]
    safe.sum().backward()
    holds_gradient(case.safe_gradient, x, accuracy="fused")


# --- anomaly detection ----------------------------------------------------------------------------------------


@cases(anomalies.troubled)
def test_anomaly_detection_raises_on_nan(case: Anomaly) -> None:
    """Under anomaly detection a backward that makes NaN raises, where it goes through without."""
    with silence():
        leaf = case.pass_back()
        expect.that(bool(leaf.grad is not None and leaf.grad.isnan().any()), "x.grad without it", "NaN", leaf.grad)
        with anomalies.anomaly_detection(case.switch):
            expect.raises(RuntimeError, case.pass_back, f"backward of {case.trouble} under anomaly detection")


@cases(anomalies.troubled)
def test_anomaly_detection_may_let_nan_pass(case: Anomaly) -> None:
    """With check_nan=False anomaly detection raises for no NaN, and the gradients are what they are without it."""
    with silence():
        plain = case.pass_back()
        with anomalies.anomaly_detection(case.switch, check_nan=False):
            leaf = case.pass_back()
    memory.same_elements(memory.contents(plain.grad), memory.contents(leaf.grad), "x.grad under check_nan=False")


@cases(anomalies.tracebacks)
def test_anomaly_detection_shows_the_forward_call(case: Anomaly) -> None:
    """Under anomaly detection a failing backward prints the traceback of the forward call that it belongs to."""
    with recorded_warnings() as warned, anomalies.anomaly_detection(case.switch):
        expect.raises(RuntimeError, case.pass_back, f"backward of {case.trouble} under anomaly detection")
    said = [str(warning.message) for warning in warned]
    name = anomalies.troubled_forward_of_this_case.__name__
    expect.that(any(name in text for text in said), "warnings of the failing backward", f"one naming {name}", said)


@cases(anomalies.sound_passes)
def test_anomaly_detection_changes_no_gradient(case: Anomaly) -> None:
    """A pass without NaN raises nothing under anomaly detection, and gives the gradients that it gives without."""
    with silence():
        plain = case.pass_back()
        with anomalies.anomaly_detection(case.switch):
            leaf = case.pass_back()
    memory.same_elements(memory.contents(plain.grad), memory.contents(leaf.grad), "x.grad under anomaly detection")


@cases(anomalies.nestings)
def test_anomaly_detection_ends_with_its_context(case: Anomaly) -> None:
    """Each context of anomaly detection holds until its end, however left, and then the one around it holds again."""
    expected = anomalies.walk_nesting(case)
    for place, (wanted, found) in enumerate(expected):
        expect.equal(wanted, found, f"detection and its check for NaN at step {place} of {case.nesting}")


@cases(anomalies.nestings)
def test_set_detect_anomaly_is_a_function_too(case: Anomaly) -> None:
    """set_detect_anomaly called as a function holds from there on, until it is called again."""
    try:
        for mode in case.nesting:
            with silence():
                torch.autograd.set_detect_anomaly(mode != "off", check_nan=mode == "on")
            expect.equal((mode != "off", mode == "on"), anomalies.anomaly_state(), f"detection after {mode!r}")
    finally:
        torch.autograd.set_detect_anomaly(False)


# --- threads --------------------------------------------------------------------------------------------------


@cases(backward_threads.threaded_passes)
def test_backward_runs_in_threads(case: Pass) -> None:
    """backward called in several threads at once gives each its leaves' gradients."""
    leaves = [case.leaves() for _ in range(int(case.form))]
    in_threads_at_once([partial(backward_threads.train_leaves, case, pair) for pair in leaves])
    for pair in leaves:
        hold_gradients(case.expected, pair)


@cases(backward_threads.threaded_passes)
def test_threads_accumulate_into_one_leaf(case: Pass) -> None:
    """Passes in one thread after another, over graphs of their own, add up in the leaves that they share."""
    leaves = case.leaves()
    for count in range(1, int(case.form) + 1):
        in_another_thread(partial(backward_threads.train_leaves, case, leaves))
        hold_gradients((case.summed(USES_OF_LEAF[case.use] * count), case.summed(-count)), leaves)


@cases(backward_threads.threaded_passes)
def test_grad_in_threads_is_deterministic(case: Pass) -> None:
    """autograd.grad in several threads at once returns each its gradients by leaves that all share."""
    leaves = case.leaves()
    found = in_threads_at_once(
        [partial(backward_threads.differentiate_leaves, case, leaves) for _ in range(int(case.form))]
    )
    for gradients in found:
        for leaf, expected, gradient in zip(leaves, case.expected, gradients, strict=True):
            same_gradient(expected, gradient, leaf, "gradient in a thread")
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after autograd.grad")


@cases(backward_threads.threaded_passes)
def test_freed_shared_graph_is_refused_in_another_thread(case: Pass) -> None:
    """A pass through a part of a graph that a pass in another thread has freed raises."""
    leaves = case.leaves()
    shared = backwards.saving_root(case, leaves)
    in_another_thread(partial(case.run, shared * 2))
    action = partial(in_another_thread, partial(case.run, shared * 3))
    expect.raises(RuntimeError, action, "pass in another thread through the shared part of the graph")


@cases(backward_threads.threaded_passes)
def test_retained_shared_graph_serves_threads(case: Pass) -> None:
    """A part of a graph that threads share serves each of them where the passes before retain it."""
    leaves = case.leaves()
    shared = backwards.saving_root(case, leaves)
    for count in range(1, int(case.form) + 1):
        in_another_thread(partial(case.run, shared.clone(), retain_graph=True))
        hold_gradients(backwards.saved_gradients(case, count), leaves)
