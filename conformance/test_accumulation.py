"""Checks of ``specs/accumulation.yaml``: what backward passes put into ``.grad``, and what they return.

Reference: https://docs.pytorch.org/docs/stable/autograd.html
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.utils.checkpoint

from conformance.engine.cases import cases
from conformance.inputs import (
    acts,
    anomalies,
    backward_sources,
    backward_streams,
    backward_threads,
    backwards,
    checkpoints,
    contended_leaves,
    derivation_sources,
    formulas,
    function_kinds,
    function_transforms,
    functionals,
    functions,
    gradchecks,
    kinks,
    lookups,
    program_sources,
    ranks,
    resetting,
    saved_tensors,
    stochastic,
    unselected,
)
from conformance.inputs.anomalies import Anomaly
from conformance.inputs.backward_streams import StreamedPass, StreamedWalk
from conformance.inputs.backward_threads import ThreadNoter, in_another_thread, in_threads_at_once
from conformance.inputs.backwards import (
    USES_OF_LEAF,
    Pass,
    leaves_in_one_storage,
    roots_of,
    sum_of_views,
    use_of_leaf,
    used_often,
)
from conformance.inputs.checkpoints import (
    Casting,
    CheckpointUse,
    Differing,
    Drawing,
    Holding,
    Noted,
    Scaled,
    WatchedContexts,
    arguments_of,
    five_steps,
    generator_state,
    plain_sequence,
    seeded,
    sequence,
)
from conformance.inputs.contended_leaves import ContendedLeaf
from conformance.inputs.derivations import Derivation
from conformance.inputs.dtypes import ELEMENT_TYPES, representable, torch_dtype
from conformance.inputs.formulas import Formula
from conformance.inputs.function_kinds import (
    CUBES,
    Boxed,
    CubeWithSlope,
    Dirtied,
    FunctionKind,
    Keeper,
    OptionalArguments,
    Passing,
    Saving,
    SavingTwice,
    value_of_cube,
    vjp_function,
)
from conformance.inputs.function_transforms import (
    MappedSum,
    cube,
    cube_with_two_rules,
    cube_without_a_rule,
    expected_of_transform,
    transform,
)
from conformance.inputs.functionals import HESSIANS, JACOBIANS, Functional
from conformance.inputs.functions import Containing, FunctionUse, Spy, function_of, refused_elsewhere, with_tangents
from conformance.inputs.gradchecks import Checked, Demanding, Noting, Restless, Unbatched
from conformance.inputs.kinks import CumulativeTie, Division, Kink, Selection, Tie
from conformance.inputs.lookups import Lookup
from conformance.inputs.packings import PACKINGS, Packer
from conformance.inputs.programs import Program
from conformance.inputs.ranks import Ranking
from conformance.inputs.regions import (
    REGIONS,
    detached_result,
    inner_gradient,
    nested_product,
    partly_detached,
    region_of_sines,
    result_without_grad,
    sines_and_exponential,
    two_branches,
)
from conformance.inputs.resetting import (
    grown_grad,
    leaves_of_a_kind,
    parameters_of,
    preset_grad,
    preset_plan,
    resetter,
    wrong_grad,
)
from conformance.inputs.saved_tensors import (
    CHANGES,
    PART_CHANGES,
    ChangingHook,
    Escape,
    Nest,
    SavedUse,
    entered,
    in_a_thread,
)
from conformance.inputs.stochastic import StochasticUse
from conformance.oracles import expect, layout, memory
from conformance.oracles.accumulated import (
    grad_state,
    hold_gradients,
    holds_gradient,
    kept_grad,
    lie_apart,
    same_gradient,
)
from conformance.oracles.children import comes_to_an_end
from conformance.oracles.closed_forms import complex_gradient, derivatives_at, near_closed_form, real_gradients
from conformance.oracles.derivatives import first_gradients_laid_out, right_gradients, right_second_gradients
from conformance.oracles.duals import evaluated, slopes_of
from conformance.oracles.frames import frame_of
from conformance.oracles.functionals import (
    as_nested,
    called,
    derivative_part,
    kinds_of_nest,
    or_alone,
    same_nest,
    several,
    times_hessian,
    times_jacobian,
    vector_for,
)
from conformance.oracles.functions import (
    expected_tangent,
    given_gradients,
    in_the_graph,
    leaves_gathered,
    nearly,
    tangents_of,
)
from conformance.oracles.gradients import close_gradients, numbers_of
from conformance.oracles.memory import contents
from conformance.oracles.modes import recorded_warnings, silence
from conformance.oracles.program_gradients import (
    SECOND,
    backward_accepted,
    backward_or_refused,
    close_to_duals,
    close_values,
    leaf_names,
    second_gradients,
    second_slopes,
)
from conformance.oracles.recomputed import gradients_in, laid_out_as, operations_in, same_results
from conformance.oracles.saved import derivatives, handles_in, same_derivatives, saved_for, saved_in
from conformance.oracles.subgradients import equals_get_together, only_where_used, shared_evenly, takes_one_of
from conformance.oracles.told_passes import (
    accumulates_into_inputs_alone,
    gives_none_for_unused_inputs,
    recorded_as_told,
    refuses_unused_inputs,
    retained_as_told,
)

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


@cases(backward_sources.repeated_passes, acts.acted)
def test_grads_of_leaves_are_apart(case: Pass) -> None:
    """The gradients of two leaves share no memory with each other or with a leaf."""
    leaves = case.leaves()
    for _ in range(int(case.form)):
        case.run(case.root(leaves))
    lie_apart({"x.grad": leaves[0].grad, "other.grad": leaves[1].grad, "x": leaves[0], "other": leaves[1]})


@cases(backward_sources.repeated_passes, acts.acted)
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
    """From a root of more than one element backward raises where it is given no gradient."""
    root = case.root(case.leaves())
    action = root.backward if case.entry == "method" else partial(torch.autograd.backward, root)
    expect.raises(RuntimeError, action, f"backward without a gradient from shape {case.plan.shape}")


@cases(backward_sources.misfitting_passes)
def test_gradient_of_another_shape_is_refused(case: Pass) -> None:
    """backward and autograd.grad raise for a gradient of another shape than the root's, even if it would broadcast."""
    leaves = case.leaves()
    root, incoming = case.root(leaves), backwards.misfitting_incoming(case)
    action = partial(root.backward if case.entry == "method" else partial(torch.autograd.backward, root), incoming)
    expect.raises(RuntimeError, action, f"backward of shape {case.plan.shape} from {tuple(incoming.shape)}")
    action = partial(torch.autograd.grad, root, leaves, incoming)
    expect.raises(RuntimeError, action, f"autograd.grad of shape {case.plan.shape} from {tuple(incoming.shape)}")


@cases(backward_sources.refused_passes)
def test_backward_that_raises_leaves_grad_alone(case: Pass) -> None:
    """A backward that raises, for want of a gradient that fits or of the graph, leaves .grad of each leaf as it is."""
    leaves = case.leaves()
    root = backwards.saving_root(case, leaves)
    case.run(root, retain_graph=case.form != "freed")
    before = [grad_state(leaf) for leaf in leaves]
    incoming = {"no gradient": None, "freed": case.gradient.build()}.get(case.form, False)
    with suppress(RuntimeError):
        root.backward(backwards.misfitting_incoming(case) if incoming is False else incoming)
    for number, (state, leaf) in enumerate(zip(before, leaves, strict=True)):
        kept_grad(state, leaf, f".grad of leaf {number}")


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


@cases(backward_sources.plain_passes, acts.acted)
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


@cases(backward_sources.plain_passes, acts.acted)
def test_gradient_edge_serves_as_a_root(case: Pass) -> None:
    """backward and autograd.grad go back from the gradient edge of a tensor as from the tensor."""
    leaves = case.leaves()
    edge = torch.autograd.graph.get_gradient_edge(case.root(leaves))
    found = torch.autograd.grad(edge, leaves, case.gradient.build(), retain_graph=True)
    for leaf, expected, gradient in zip(leaves, case.expected, found, strict=True):
        same_gradient(expected, gradient, leaf, "gradient from an edge")
    torch.autograd.backward(edge, case.gradient.build())
    hold_gradients(case.expected, leaves)


@cases(backward_sources.plain_passes, acts.acted)
def test_each_root_needs_its_gradient(case: Pass) -> None:
    """torch.autograd.backward raises where there are fewer gradients than roots."""
    leaves = case.leaves()
    root = case.root(leaves)
    action = partial(torch.autograd.backward, [root, root * 2], [case.gradient.build()])
    expect.raises(RuntimeError, action, "two roots with one gradient")
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after backward that raised")


@cases(backward_sources.plain_passes, acts.acted)
def test_surplus_gradients_are_refused(case: Pass) -> None:
    """torch.autograd.backward raises where there are more gradients than roots."""
    incoming = case.gradient.build()
    action = partial(torch.autograd.backward, [case.root(case.leaves())], [incoming, incoming])
    expect.raises((RuntimeError, ValueError), action, "one root with two gradients")


# --- the graph ------------------------------------------------------------------------------------------------


@cases(backward_sources.plain_passes, acts.acted)
def test_graph_is_freed(case: Pass) -> None:
    """A second pass over a graph that saved tensors and was not retained raises."""
    root = backwards.saving_root(case, case.leaves())
    case.run(root)
    expect.raises(RuntimeError, partial(case.run, root), "second pass over a graph that was freed")


@cases(backward_sources.retained_passes)
def test_retained_graph_serves_again(case: Pass) -> None:
    """With retain_graph=True a graph can be gone through again, and each pass adds the same gradient."""
    leaves = case.leaves()
    root = backwards.saving_root(case, leaves)
    for count in range(1, int(case.form) + 1):
        case.run(root, retain_graph=count < int(case.form))
        hold_gradients(backwards.saved_gradients(case, count), leaves)
    expect.raises(RuntimeError, partial(case.run, root), "a pass after the one that freed the graph")


@cases(backward_sources.graph_options, acts.acted)
def test_graph_is_retained_as_create_graph_says(case: Pass) -> None:
    """Where retain_graph is not given, the graph is retained if create_graph is true, and freed otherwise."""
    retained_as_told(case)


@cases(backward_sources.graph_options, acts.acted)
def test_grad_retains_the_graph_as_create_graph_says(case: Pass) -> None:
    """autograd.grad retains the graph as retain_graph says, and where that is not given, as create_graph says."""
    leaves = case.leaves()
    create, retain = backwards.options_of(case)
    given = {} if retain is None else {"retain_graph": retain}
    go = partial(torch.autograd.grad, backwards.saving_root(case, leaves), leaves, case.gradient.build())
    go(create_graph=create, **given)
    if create if retain is None else retain:
        for leaf, expected, found in zip(leaves, backwards.saved_gradients(case, 1), go(), strict=True):
            same_gradient(expected, found, leaf, "gradient of a second pass")
    else:
        expect.raises(RuntimeError, go, f"second pass after {case.form}")


@cases(backward_sources.graph_options, acts.acted)
def test_gradients_have_a_history_as_create_graph_says(case: Pass) -> None:
    """Gradients require grad where create_graph is true, and have no history where it is not."""
    recorded_as_told(case)


@cases(backward_sources.recorded_passes)
def test_accumulated_gradient_has_the_history_of_every_pass(case: Pass) -> None:
    """With create_graph=True .grad has the history of all passes that it sums, and of their incoming gradients."""
    leaf, other = case.leaves()
    incoming = [case.gradient.build().requires_grad_() for _ in range(2)]
    with silence():
        for each in incoming:
            torch.autograd.backward(backwards.saving_root(case, (leaf, other)), each, create_graph=True)
        found = torch.autograd.grad(expect.tensor(leaf.grad, "x.grad"), [other, *incoming], torch.ones_like(leaf))
    of_other = 2 * USES_OF_LEAF[case.use] * case.gradient.array
    of_incoming = USES_OF_LEAF[case.use] * memory.contents(other.detach())
    for tensor, values, gradient in zip((other, *incoming), (of_other, of_incoming, of_incoming), found, strict=True):
        what = "gradient of x.grad by " + ("the other leaf" if tensor is other else "an incoming gradient")
        same_gradient(representable(values, case.plan.dtype), gradient, tensor.detach(), what)


# --- inputs= --------------------------------------------------------------------------------------------------


@cases(backward_sources.chosen_inputs)
def test_inputs_are_the_only_ones_to_accumulate(case: Pass) -> None:
    """backward with inputs= accumulates into these, and leaves .grad of every other leaf as it is."""
    accumulates_into_inputs_alone(case)


@cases(backward_sources.inner_inputs)
def test_inputs_may_be_no_leaves(case: Pass) -> None:
    """backward with inputs= accumulates into .grad of a tensor that is no leaf, and not into the leaves behind it."""
    leaves = case.leaves()
    root, targets, factors = backwards.inner_targets(case, leaves)
    with silence():
        for passes in (1, 2):
            case.run(root, inputs=targets, retain_graph=True)
            hold_gradients([case.summed(factor * passes) for factor in factors], targets)
    expect.equal(None, leaves[0].grad, ".grad of the leaf behind the inputs")


@cases(backward_sources.plain_passes, acts.acted)
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


@cases(backward_sources.plain_passes, acts.acted)
def test_inputs_may_be_a_dict(case: Pass) -> None:
    """backward accumulates into the values of a dict that is given as inputs=, and into nothing else."""
    leaves = case.leaves()
    case.run(case.root(leaves), inputs={"weight": leaves[0]})
    holds_gradient(case.expected[0], leaves[0])
    expect.equal(None, leaves[1].grad, ".grad of a leaf that is not in the dict")
    case.run(case.root(leaves), inputs={"b": leaves[1], "a": leaves[0]})
    hold_gradients((case.summed(2 * USES_OF_LEAF[case.use]), case.expected[1]), leaves)


# --- autograd.grad --------------------------------------------------------------------------------------------


@cases(backward_sources.chosen_inputs, acts.acted)
def test_grad_leaves_grad_alone(case: Pass) -> None:
    """autograd.grad changes .grad of no leaf, whether one is there or not."""
    leaves = case.leaves()
    if case.form.endswith("set"):
        for leaf in leaves:
            leaf.grad = preset_grad(case, "transposed")
    before = [grad_state(leaf) for leaf in leaves]
    inputs, further = backwards.chosen_leaves(case, leaves[0])
    torch.autograd.grad(sum((leaf * 3 for leaf in further), case.root(leaves)), inputs, case.gradient.build())
    expect.equal([None] * len(further), [leaf.grad for leaf in further], ".grad of further inputs")
    for number, (state, leaf) in enumerate(zip(before, leaves, strict=True)):
        kept_grad(state, leaf, f".grad of leaf {number} after autograd.grad")


@cases(backward_sources.inner_inputs, acts.acted)
def test_grad_returns_a_gradient_for_each_input(case: Pass) -> None:
    """autograd.grad returns the gradients by its inputs, leaves or not, in their order, one given twice included."""
    leaves = case.leaves()
    root, inner, factors = backwards.inner_targets(case, leaves)
    inputs, factors = [leaves[0], *inner, inner[0]], [3 * USES_OF_LEAF[case.use], *factors, factors[0]]
    if case.entry == "sequence":
        inputs, factors = inputs[::-1], factors[::-1]
    found = torch.autograd.grad(root, inputs, case.gradient.build())
    expect.equal(len(inputs), len(found), "number of gradients")
    for number, (tensor, factor, gradient) in enumerate(zip(inputs, factors, found, strict=True)):
        same_gradient(case.summed(factor), gradient, tensor, f"gradient by input {number}")


@cases(backward_sources.several_roots, acts.acted)
def test_grad_sums_over_its_outputs(case: Pass) -> None:
    """autograd.grad of several outputs returns the sums of their gradients."""
    leaves = case.leaves()
    roots, incoming, factors = roots_of(case, leaves)
    found = torch.autograd.grad(roots, leaves, incoming)
    for number, (leaf, factor, gradient) in enumerate(zip(leaves, factors, found, strict=True)):
        same_gradient(case.summed(factor), gradient, leaf, f"gradient by leaf {number}")


@cases(backward_sources.plain_passes, acts.acted)
def test_grad_by_itself_is_the_incoming_gradient(case: Pass) -> None:
    """autograd.grad of a tensor by itself is its grad_outputs."""
    root = case.root(case.leaves())
    for tensor in (root, case.leaves()[0]):
        (found,) = torch.autograd.grad(tensor, tensor, case.gradient.build())
        same_gradient(case.summed(1), found, tensor, "gradient of a tensor by itself")


@cases(backward_sources.single_element_passes, acts.acted)
def test_grad_outputs_may_be_left_out(case: Pass) -> None:
    """For outputs of one element autograd.grad takes None, or no grad_outputs at all, as ones."""
    leaf = case.leaves()[0]
    root = use_of_leaf(leaf, case.use)
    ones, threes = np.ones(case.plan.shape) * USES_OF_LEAF[case.use], torch.full_like(root, 3)
    asked: list[tuple[int, dict[str, Any], int]] = [(1, {"grad_outputs": given}, 1) for given in (None, [None])]
    asked += [(1, {}, 1), (2, {}, 2), (2, {"grad_outputs": [None, threes]}, 4)]
    for times, options, total in asked:
        (found,) = torch.autograd.grad([root] * times, [leaf], retain_graph=True, **options)
        expected = representable(ones * total, case.plan.dtype)
        same_gradient(expected, found, leaf, f"gradient of {times} times the output with {options}")


@cases(backward_sources.unused_passes, acts.acted)
def test_unused_inputs_are_refused(case: Pass) -> None:
    """autograd.grad raises for an input that its outputs do not depend on."""
    refuses_unused_inputs(case)


@cases(backward_sources.unused_passes, acts.acted)
def test_allow_unused_gives_none(case: Pass) -> None:
    """With allow_unused=True autograd.grad returns None for an unused input, and the gradients by the others."""
    gives_none_for_unused_inputs(case)


@cases(backward_sources.unused_passes, acts.acted)
def test_materialize_grads_gives_zeros(case: Pass) -> None:
    """With materialize_grads=True autograd.grad returns zeros for an unused input, also without allow_unused."""
    leaves = case.leaves()
    inputs, place = backwards.with_unused(case, *leaves)
    options = {"allow_unused": True} if case.entry == "method" else {}
    found = torch.autograd.grad(case.root(leaves), inputs, case.gradient.build(), materialize_grads=True, **options)
    same_gradient(np.zeros(tuple(inputs[place].shape)), found[place], inputs[place], "gradient by the unused input")
    used = [gradient for number, gradient in enumerate(found) if number != place]
    for leaf, expected, gradient in zip(leaves, case.expected, used, strict=False):
        same_gradient(expected, gradient, leaf, "gradient by a used input")


@cases(backward_sources.unused_passes, acts.acted)
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
    roots, batches = backwards.batches_of(case, leaves)
    create = "history" in case.form
    incoming = [batch.build() for batch in batches]
    found = torch.autograd.grad(roots, leaves, incoming, is_grads_batched=True, create_graph=create)
    for number, (leaf, other, gradient) in enumerate(zip(leaves, leaves[::-1], found, strict=True)):
        expected = batches[0].array * memory.contents(other.detach()).conj() * USES_OF_LEAF[case.use]
        if len(roots) > 1 and number == 0:
            expected = expected + 3 * batches[1].array
        what = f"gradients by leaf {number} of a batch of {case.form}"
        expect.equal(create, gradient.requires_grad, f"requires_grad of {what}")
        stacked = leaf.detach().expand(batches[0].shape)
        same_gradient(representable(expected, case.plan.dtype), gradient.detach(), stacked, what)


@cases(backward_sources.plain_passes, acts.acted)
def test_only_inputs_is_ignored(case: Pass) -> None:
    """autograd.grad ignores only_inputs: it accumulates into no leaf, whatever its value."""
    leaves = case.leaves()
    with silence():
        (found,) = torch.autograd.grad(case.root(leaves), leaves[0], case.gradient.build(), only_inputs=False)
    same_gradient(case.expected[0], found, leaves[0], "gradient with only_inputs=False")
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after autograd.grad")


@cases(backward_sources.plain_passes, acts.acted)
def test_grad_by_a_dict_is_a_dict(case: Pass) -> None:
    """autograd.grad by a dict of tensors returns a dict with the same keys, each with the gradient by its tensor."""
    leaves = case.leaves()
    names = ("weight", "bias") if case.entry == "method" else ("z", "a")
    found = torch.autograd.grad(case.root(leaves), dict(zip(names, leaves, strict=True)), case.gradient.build())
    expect.equal(sorted(names), sorted(found), "keys of the result")
    for name, leaf, expected in zip(names, leaves, case.expected, strict=True):
        same_gradient(expected, found[name], leaf, f"gradient under {name!r}")


@cases(backward_sources.plain_passes, acts.acted)
def test_inputs_without_grad_are_refused(case: Pass) -> None:
    """autograd.grad raises for an input that does not require grad, also with allow_unused=True."""
    leaves = case.leaves()
    inputs = [leaves[0], leaves[1].detach()]
    for options in ({}, {"allow_unused": True}):
        action = partial(torch.autograd.grad, case.root(leaves), inputs, case.gradient.build(), **options)
        expect.raises(RuntimeError, action, f"autograd.grad by a tensor that requires no grad, with {options}")


# --- torch.autograd.functional --------------------------------------------------------------------------------


@cases(functionals.mappings, acts.acted)
def test_jacobian_holds_every_derivative(case: Functional) -> None:
    """jacobian returns the derivative of every result by every input, in the documented shape and type."""
    found = torch.autograd.functional.jacobian(case.function, case.inputs(), **JACOBIANS[case.way])
    same_nest(as_nested(case, case.jacobians), found, case.plans[0].dtype, f"jacobian ({case.way})")


@cases(functionals.empty_mappings, acts.acted)
def test_jacobian_of_an_empty_result_is_empty(case: Functional) -> None:
    """jacobian of a function whose result has no element is empty, of the documented shape."""
    found = torch.autograd.functional.jacobian(case.function, case.inputs(), **JACOBIANS[case.way])
    same_nest(case.jacobians[0][0], found, case.plans[0].dtype, f"jacobian ({case.way})")


@cases(functionals.pairs_of_inputs, acts.acted)
def test_nested_derivatives_are_tuples(case: Functional) -> None:
    """jacobian and hessian of several inputs or results return tuples, or tuples of tuples."""
    name, _, forward = case.way.partition(", ")
    if name == "hessian":
        options = HESSIANS["forward" if forward else "plain"]
        found = torch.autograd.functional.hessian(case.function, case.inputs(), **options)
    else:
        found = torch.autograd.functional.jacobian(case.function, case.inputs(), **JACOBIANS[name])
    expect.equal({"tuple"}, kinds_of_nest(found) or {"tuple"}, f"levels of what {case.way} returns")


@cases(functionals.scalar_functions, acts.acted)
def test_hessian_holds_every_second_derivative(case: Functional) -> None:
    """hessian returns the second derivative by every pair of inputs, in the documented shape and type."""
    found = torch.autograd.functional.hessian(case.function, case.inputs(), **HESSIANS[case.way])
    expected = case.hessians if case.count > 1 else case.hessians[0][0]
    same_nest(expected, found, case.plans[0].dtype, f"hessian ({case.way})")


@cases(functionals.products_of_mappings, acts.acted)
def test_vjp_and_jvp_are_products_with_the_jacobian(case: Functional) -> None:
    """vjp and jvp return the value of the function, and the product of the vector and the Jacobian."""
    name, _, recorded = case.way.partition(", ")
    given, vector = vector_for(case, name)
    action = getattr(torch.autograd.functional, name)
    value, found = action(case.function, case.inputs(), given, create_graph=bool(recorded))
    dtype, product = case.plans[0].dtype, times_jacobian(case, name, vector)
    same_nest(or_alone(case.outputs(case.arrays), several(case)), value, dtype, f"value beside {name}")
    same_nest(or_alone(product, case.count > 1 if name == "vjp" else several(case)), found, dtype, name)


@cases(functionals.products_of_scalars, acts.acted)
def test_hvp_and_vhp_are_products_with_the_hessian(case: Functional) -> None:
    """hvp and vhp return the value of the function, and the product of the Hessian and the vector."""
    name, _, recorded = case.way.partition(", ")
    given, vector = vector_for(case, name)
    action = getattr(torch.autograd.functional, name)
    value, found = action(case.function, case.inputs(), given, create_graph=bool(recorded))
    dtype = case.plans[0].dtype
    same_nest(case.outputs(case.arrays)[0], value, dtype, f"value beside {name}")
    same_nest(or_alone(times_hessian(case, vector), case.count > 1), found, dtype, name)


@cases(functionals.numbers_of_one, acts.acted)
def test_vector_of_one_element_may_be_left_out(case: Functional) -> None:
    """vjp, jvp, hvp and vhp take one as the vector where that has a single element and is left out."""
    found = getattr(torch.autograd.functional, case.way)(case.function, case.inputs())[1]
    matrix = case.jacobians[0][0] if case.way in ("vjp", "jvp") else case.hessians[0][0]
    shape = () if case.way == "jvp" else case.plans[0].shape
    same_nest(matrix.reshape(shape), found, case.plans[0].dtype, f"{case.way} without a vector")


@cases(functionals.aside_inputs, acts.acted)
def test_functional_of_an_independent_input_is_zero(case: Functional) -> None:
    """Where a result is independent of an input, its derivatives by it are zeros of the documented shape."""
    found = derivative_part(case.way, called(case, case.way))
    dtype, ones = case.plans[0].dtype, [np.ones(plan.shape) for plan in case.plans]
    if case.way == "hessian":
        same_nest(case.hessians, found, dtype, "hessian")
    elif case.way == "jacobian":
        same_nest(case.jacobians[0], found, dtype, "jacobian")
    elif case.way == "jvp":
        same_nest(np.asarray(times_jacobian(case, "jvp", ones)[0]), found, dtype, "jvp")
    else:
        expected = case.jacobians[0] if case.way == "vjp" else times_hessian(case, ones)
        same_nest(list(expected), found, dtype, case.way)


@cases(functionals.aside_inputs, acts.acted)
def test_strict_functional_refuses_an_independent_input(case: Functional) -> None:
    """With strict=True a functional raises where all results are independent of one of the inputs."""
    for options in ({}, {"create_graph": True}):
        action = partial(called, case, case.way, strict=True, **options)
        expect.raises(RuntimeError, action, f"{case.way} with strict=True, {options}")


@cases(functionals.recorded_cubes, acts.acted)
def test_functional_is_recorded_as_create_graph_says(case: Functional) -> None:
    """What a functional returns can be differentiated with create_graph=True, and has no history without."""
    plain = expect.tensor(derivative_part(case.way, called(case, case.way)), case.way)
    expect.equal((False, True), (plain.requires_grad, plain.is_leaf), f"requires_grad and is_leaf of {case.way}")
    leaf = case.inputs().requires_grad_()
    found = getattr(torch.autograd.functional, case.way)
    vector = {} if case.way in ("jacobian", "hessian", "vjp") else {"v": torch.ones_like(leaf)}
    whole = found(case.function, leaf, create_graph=True, **vector)
    returned = derivative_part(case.way, whole)
    if returned is not whole:
        expect.equal(True, whole[0].requires_grad, f"requires_grad of the value beside {case.way}")
    expect.equal(None, leaf.grad, f".grad after {case.way}")
    (second,) = torch.autograd.grad(returned.sum(), leaf)
    slope = 6 * case.arrays[0] if case.way in ("jacobian", "vjp", "jvp") else np.full(case.plans[0].shape, 6.0)
    same_nest(slope, second, case.plans[0].dtype, f"derivative of {case.way}")


# --- the layout of .grad --------------------------------------------------------------------------------------


@cases(resetting.dense_leaves, acts.acted)
def test_first_grad_has_the_strides_of_a_dense_leaf(case: Pass) -> None:
    """The first .grad of a leaf whose memory is dense and does not overlap has the leaf's strides."""
    leaf, other = case.leaves()
    case.run(case.root((leaf, other)))
    layout.same_steps(case.plan.strides, expect.tensor(leaf.grad, "x.grad"), "x.grad")
    layout.row_major_steps(expect.tensor(other.grad, "other.grad"), "other.grad")


@cases(resetting.scattered_leaves, acts.acted)
def test_first_grad_of_another_leaf_is_row_major(case: Pass) -> None:
    """The first .grad of a leaf whose memory has gaps or overlaps is contiguous in row-major order."""
    leaves = case.leaves()
    case.run(case.root(leaves))
    layout.row_major_steps(expect.tensor(leaves[0].grad, "x.grad"), "x.grad")
    hold_gradients(case.expected, leaves)


@cases(resetting.preset_passes, acts.acted)
def test_accumulation_keeps_the_grad_object(case: Pass) -> None:
    """Without create_graph, backward adds into the .grad that is there: the same object, memory and strides."""
    leaf, other = leaves_of_a_kind(case)
    leaf.grad = given = preset_grad(case, case.form)
    old, frame, outside = memory.contents(given), frame_of(given), memory.guards(given, preset_plan(case, case.form))
    for count in (1, 2):
        case.run(case.root((leaf, other)))
        expect.same_object(given, leaf.grad, "x.grad")
        expect.equal(frame, frame_of(given), "shape, strides and offset of x.grad")
        holds_gradient(representable(old + case.summed(count * USES_OF_LEAF[case.use]), case.plan.dtype), leaf)
    memory.same_bytes(outside, memory.guards(given, preset_plan(case, case.form)), "memory around x.grad")


@cases(resetting.preset_passes, acts.acted)
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


@cases(resetting.preset_passes, acts.acted)
def test_create_graph_tries_to_keep_the_strides(case: Pass) -> None:
    """With create_graph=True, the new .grad has the strides of a dense old one."""
    leaf, other = case.leaves()
    leaf.grad = preset_grad(case, case.form)
    plan = preset_plan(case, case.form)
    with silence():
        case.run(case.root((leaf, other)), create_graph=True)
    if layout.is_dense(plan.shape, plan.strides):
        layout.same_steps(plan.strides, expect.tensor(leaf.grad, "x.grad"), "x.grad")


@cases(resetting.dense_leaves, acts.acted)
def test_layout_policy_is_of_its_context(case: Pass) -> None:
    """enforce_grad_layout_policy(False) changes no gradient, and the layout contract holds again after it."""
    leaves = case.leaves()
    with torch.autograd.grad_mode.enforce_grad_layout_policy(False):
        case.run(case.root(leaves))
    hold_gradients(case.expected, leaves)
    again = case.leaves()
    case.run(case.root(again))
    layout.same_steps(case.plan.strides, expect.tensor(again[0].grad, "x.grad"), "x.grad after the context")


@cases(resetting.dense_leaves, acts.acted)
def test_decorating_changes_no_layout_policy(case: Pass) -> None:
    """Decorating a function with enforce_grad_layout_policy leaves the layout contract as it is outside of it."""
    policy = torch.autograd.grad_mode.enforce_grad_layout_policy
    try:
        decorated = policy(False)(case.run)
        for when in ("the decoration", "the decorated function"):
            leaves = case.leaves()
            case.run(case.root(leaves))
            layout.same_steps(case.plan.strides, expect.tensor(leaves[0].grad, "x.grad"), f"x.grad after {when}")
            decorated(case.root(case.leaves()))
    finally:
        policy(True)


# --- resetting and assigning ----------------------------------------------------------------------------------


@cases(resetting.gradients_to_reset, acts.acted)
def test_zero_grad_drops_the_gradients(case: Pass) -> None:
    """zero_grad(set_to_none=True) sets .grad of each parameter to None."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    resetter(case.form, leaves)(set_to_none=True)
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after zero_grad(set_to_none=True)")


@cases(resetting.gradients_to_reset, acts.acted)
def test_dropped_gradients_stay_none(case: Pass) -> None:
    """After zero_grad(set_to_none=True) .grad stays None for a parameter that the next pass does not reach."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    resetter(case.form, leaves)(set_to_none=True)
    case.run(use_of_leaf(leaves[0], case.use))
    holds_gradient(case.expected[0], leaves[0])
    expect.equal(None, leaves[1].grad, ".grad of a parameter that got no gradient")


@cases(resetting.gradients_to_reset, acts.acted)
def test_zero_grad_leaves_zeros(case: Pass) -> None:
    """zero_grad(set_to_none=False) leaves zeros in each .grad, whatever it held and wherever it came from."""
    leaves = parameters_of(case)
    for leaf, value in zip(leaves, (float("nan"), float("-inf")), strict=True):
        leaf.grad = grown_grad(case) if case.entry == "method" else preset_grad(case, "transposed").fill_(value)
    resetter(case.form, leaves)(set_to_none=False)
    for leaf in leaves:
        holds_gradient(np.zeros(case.plan.shape), leaf)


@cases(resetting.gradients_to_reset, acts.acted)
def test_zero_grad_zeroes_in_place(case: Pass) -> None:
    """zero_grad(set_to_none=False) fills each .grad that is there with zeros: the same tensor, memory and strides."""
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


@cases(resetting.gradients_to_reset, acts.acted)
def test_zero_grad_drops_by_default(case: Pass) -> None:
    """zero_grad() sets .grad of each parameter to None."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    resetter(case.form, leaves)()
    expect.equal((None, None), (leaves[0].grad, leaves[1].grad), ".grad after zero_grad()")


@cases(resetting.gradients_to_reset, acts.acted)
def test_zero_grad_zeroes_by_default(case: Pass) -> None:
    """zero_grad() fills each .grad with zeros."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    resetter(case.form, leaves)()
    hold_gradients([np.zeros(case.plan.shape)] * 2, leaves)


@cases(resetting.gradients_to_reset, acts.acted)
def test_zero_grad_resets_its_own_parameters_only(case: Pass) -> None:
    """zero_grad of an optimizer or a module leaves .grad of every other parameter as it is."""
    leaves = parameters_of(case)
    case.run(case.root(leaves))
    before = grad_state(leaves[1])
    resetter(case.form, leaves[:1])(set_to_none=case.entry == "method")
    kept_grad(before, leaves[1], ".grad of a parameter of something else")


@cases(resetting.preset_passes, acts.acted)
def test_assigned_grad_is_the_grad(case: Pass) -> None:
    """A tensor assigned to .grad is what .grad then is, and None takes it away for the next pass to begin anew."""
    leaf, other = case.leaves()
    given = preset_grad(case, case.form)
    leaf.grad = given
    expect.same_object(given, leaf.grad, "x.grad after an assignment")
    leaf.grad = None
    case.run(case.root((leaf, other)))
    holds_gradient(case.expected[0], leaf)


@cases(resetting.wrong_assignments, acts.acted)
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
    """Where a function is not defined at one element, its gradient at every other one is right, or it raises."""
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


@cases(kinks.cumulative_ties)
def test_cumulative_extreme_feeds_the_elements_that_it_names(case: CumulativeTie) -> None:
    """cummax and cummin hand the gradient to the elements whose indices they return."""
    leaf = case.leaf()
    values, indices = case.call(leaf)
    incoming = np.resize(np.array([2.0, -4.0, 1.0]), tuple(values.shape))
    (found,) = torch.autograd.grad(values, leaf, torch.from_numpy(incoming).to(values.device, values.dtype))
    dim = case.dim or 0
    at, expected = memory.contents(indices), np.zeros(case.plan.shape)
    for place in np.ndindex(*case.plan.shape):
        target = list(place)
        target[dim] = int(at[place])
        expected[tuple(target)] += incoming[place]
    same_gradient(expected, found, leaf, f"gradient of {case.function}")


@cases(ranks.rankings)
def test_equal_elements_together_get_the_gradient_of_their_values(case: Ranking) -> None:
    """What takes elements by their order hands to equal elements, taken together, the gradient of their values."""
    leaf = case.leaf()
    values, _ = case.taken(leaf)
    incoming, found = case.pulled_back(values, leaf)
    equals_get_together(leaf, values, incoming, case.along, found, f"gradient of {case.call}")


@cases(ranks.rankings)
def test_ranked_value_feeds_the_element_that_it_names(case: Ranking) -> None:
    """sort, topk, kthvalue and median along a dimension hand the gradient to the elements whose indices they return."""
    leaf = case.leaf()
    values, indices = case.taken(leaf)
    incoming, found = case.pulled_back(values, leaf)
    at, expected = np.asarray(memory.contents(expect.tensor(indices, "indices"))), np.zeros(case.plan.shape)
    if at.ndim < expected.ndim:
        at, incoming = np.expand_dims(at, case.dim), np.expand_dims(incoming, case.dim)
    np.put_along_axis(expected, at, incoming, case.dim)
    same_gradient(expected, found, leaf, f"gradient of {case.call}")


@cases(lookups.scaled_lookups)
def test_embedding_scales_gradients_by_frequency(case: Lookup) -> None:
    """With scale_grad_by_freq an embedding divides the gradient of a row by how often its index occurs."""
    same_gradient(case.expected, case.gradient(), case.plan.build(), "gradient of the weight")


@cases(lookups.scaled_bags)
def test_embedding_bag_scales_gradients_by_frequency(case: Lookup) -> None:
    """With scale_grad_by_freq a bag divides the gradient of a row by how often its index occurs."""
    same_gradient(case.expected, case.gradient(), case.plan.build(), "gradient of the weight")


@cases(lookups.padded_lookups)
def test_embedding_padding_gathers_no_gradient(case: Lookup) -> None:
    """The row at padding_idx gathers no gradient, however often it is looked up, and the others theirs."""
    found = expect.tensor(case.gradient(), "gradient of the weight").to_dense()
    same_gradient(case.expected, found, case.plan.build(), "gradient of the weight")


@cases(lookups.sparse_lookups)
def test_embedding_gradient_may_be_sparse(case: Lookup) -> None:
    """With sparse=True the gradient of an embedding's weight is a sparse tensor, with the numbers of a dense one."""
    found = expect.tensor(case.gradient(), "gradient of the weight")
    expect.equal(True, found.is_sparse, "is_sparse of the gradient of the weight")
    same_gradient(case.expected, found.to_dense(), case.plan.build(), "gradient of the weight")


@cases(lookups.repeated_lookups)
def test_sparse_gradients_accumulate(case: Lookup) -> None:
    """A sparse gradient is added to the .grad that is there, sparse or dense, and a dense one to a sparse .grad."""
    found = expect.tensor(case.gradient(), "gradient of the weight").to_dense()
    same_gradient(case.expected, found, case.plan.build(), "gradient of the weight after two passes")


@cases(lookups.bounded_lookups)
def test_embedding_within_max_norm_has_the_gradient_of_a_lookup(case: Lookup) -> None:
    """With a max_norm that no row exceeds the gradient of an embedding is the one without it."""
    found = expect.tensor(case.gradient(), "gradient of the weight").to_dense()
    same_gradient(case.expected, found, case.plan.build(), "gradient of the weight")


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


@cases(unselected.selections_beside_nan)
def test_selection_beside_nan_has_its_gradient(case: Selection) -> None:
    """The gradient of a selection is one at the elements selected and zero at others, which are NaN or infinite."""
    leaf = case.leaf()
    root = case.call(leaf)
    (found,) = torch.autograd.grad(root, leaf, torch.ones_like(root))
    same_gradient(case.used.astype(np.float64), found, leaf, f"gradient of {case.name}")


@cases(kinks.divisions)
def test_masking_after_a_division_by_zero_leaves_nan(case: Division) -> None:
    """Masking a quotient by zero away does not make its gradient zero: it is NaN."""
    x, divisor, mask = case.operands()
    case.masked_after(x, divisor, mask).sum().backward()
    nowhere = np.zeros(case.safe_gradient.shape, bool)
    takes_one_of([case.trapped_gradient], nowhere, x, x.grad, "x.grad")


@cases(kinks.divisions, acts.acted)
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


@cases(contended_leaves.contended_leaves)
def test_anomaly_detection_lets_threads_use_one_leaf(case: ContendedLeaf) -> None:
    """Under anomaly detection threads that are the first to use one leaf do not wait for each other for ever."""
    comes_to_an_end(case.use, "two threads that use a new leaf under anomaly detection")


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


@cases(backward_threads.threaded_passes, acts.acted)
def test_backward_runs_in_threads(case: Pass) -> None:
    """backward called in several threads at once gives each its leaves' gradients."""
    leaves = [case.leaves() for _ in range(int(case.form))]
    in_threads_at_once([partial(backward_threads.train_leaves, case, pair) for pair in leaves])
    for pair in leaves:
        hold_gradients(case.expected, pair)


@cases(backward_threads.threaded_passes, acts.acted)
def test_threads_accumulate_into_one_leaf(case: Pass) -> None:
    """Passes in one thread after another, over graphs of their own, add up in the leaves that they share."""
    leaves = case.leaves()
    for count in range(1, int(case.form) + 1):
        in_another_thread(partial(backward_threads.train_leaves, case, leaves))
        hold_gradients((case.summed(USES_OF_LEAF[case.use] * count), case.summed(-count)), leaves)


@cases(backward_threads.threaded_passes, acts.acted)
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


@cases(backward_threads.threaded_passes, acts.acted)
def test_freed_shared_graph_is_refused_in_another_thread(case: Pass) -> None:
    """A pass through a part of a graph that a pass in another thread has freed raises."""
    leaves = case.leaves()
    shared = backwards.saving_root(case, leaves)
    in_another_thread(partial(case.run, shared * 2))
    action = partial(in_another_thread, partial(case.run, shared * 3))
    expect.raises(RuntimeError, action, "pass in another thread through the shared part of the graph")


@cases(backward_threads.threaded_passes, acts.acted)
def test_retained_shared_graph_serves_threads(case: Pass) -> None:
    """A part of a graph that threads share serves each of them where the passes before retain it."""
    leaves = case.leaves()
    shared = backwards.saving_root(case, leaves)
    for count in range(1, int(case.form) + 1):
        in_another_thread(partial(case.run, shared.clone(), retain_graph=True))
        hold_gradients(backwards.saved_gradients(case, count), leaves)


@cases(backward_sources.chosen_inputs, acts.acted)
def test_inputs_count_in_every_thread(case: Pass) -> None:
    """In another thread too, backward with inputs= accumulates into these, and into no other leaf."""
    in_another_thread(partial(accumulates_into_inputs_alone, case))


@cases(backward_sources.unused_passes, acts.acted)
def test_unused_inputs_count_in_every_thread(case: Pass) -> None:
    """In another thread too, autograd.grad raises for an unused input, and gives None with allow_unused=True."""
    in_another_thread(partial(refuses_unused_inputs, case))
    in_another_thread(partial(gives_none_for_unused_inputs, case))


@cases(backward_sources.graph_options, acts.acted)
def test_graph_options_count_in_every_thread(case: Pass) -> None:
    """In another thread too, retain_graph and create_graph say whether the graph stays and gradients have a history."""
    in_another_thread(partial(retained_as_told, case))
    in_another_thread(partial(recorded_as_told, case))


@cases(backward_sources.plain_passes, acts.acted)
def test_backward_without_multithreading_stays_in_its_thread(case: Pass) -> None:
    """With multithreaded backward switched off, backward runs on the calling thread and gives the same gradients."""
    leaves, noter = case.leaves(), ThreadNoter()
    root = case.root(leaves)
    root.register_hook(noter)
    with torch.autograd.grad_mode.set_multithreading_enabled(False):
        case.run(root)
    hold_gradients(case.expected, leaves)
    expect.equal([threading.get_ident()], noter.threads, "threads in which the hook ran")


@cases(saved_tensors.nested_switches, acts.acted)
def test_multithreading_mode_ends_with_its_context(case: Nest) -> None:
    """set_multithreading_enabled holds to the end of its block, however left, or as a function until called again."""
    switch, enabled = torch.autograd.grad_mode.set_multithreading_enabled, torch._C._is_multithreading_enabled
    before = enabled()
    try:
        with ExitStack() as stack:
            contexts = [stack.enter_context(ExitStack()) for _ in range(case.depth)]
            for level, context in enumerate(contexts):
                context.enter_context(switch(level % 2 == 1))
                expect.equal(level % 2 == 1, enabled(), f"multithreading in block {level}")
            for level in reversed(range(case.depth)):
                case.leave(contexts[level])
                expect.equal(level % 2 == 0 if level else before, enabled(), f"multithreading after block {level}")
        switch(False)
        expect.equal(
            (False, True), (enabled(), in_a_thread(enabled)), "multithreading in this thread, and in a new one"
        )
    finally:
        switch(before)


# --- streams of an accelerator --------------------------------------------------------------------------------


@cases(backward_streams.streamed_passes)
def test_backward_is_on_the_stream_of_forward(case: StreamedPass) -> None:
    """A backward operation runs on the stream that its forward operation ran on, whichever backward is called on."""
    walk = StreamedWalk(case)
    with walk.called() as root:
        torch.autograd.backward(root, torch.full_like(root, 2))
    walk.used(expect.tensor(walk.leaf.grad, "x.grad"))
    expect.equal(["forward", "backward"], [way for way, _ in walk.notes], "operations")
    same = walk.notes[0][1] == walk.notes[1][1]
    expect.equal(True, same, f"whether backward ran on the {case.forward} stream, as forward did")


@cases(backward_streams.streamed_passes)
def test_gradients_are_there_for_the_stream_of_backward(case: StreamedPass) -> None:
    """Gradients can be used on the stream that backward was called on, and on one that waits for that."""
    walk = StreamedWalk(case)
    with walk.called() as root:
        torch.autograd.backward(root, torch.full_like(root, 2))
    used = walk.used(expect.tensor(walk.leaf.grad, "x.grad"))
    memory.same_elements(representable(case.gradient, case.plan.dtype), contents(used), "x.grad, as it is used")


@cases(backward_streams.streamed_passes)
def test_initial_gradients_come_from_the_stream_of_backward(case: StreamedPass) -> None:
    """backward and autograd.grad use an initial gradient whole that was made on the stream that they are called on."""
    walk = StreamedWalk(case)
    with walk.called() as root:
        incoming = backward_streams.laboured(torch.full_like(root.detach(), 2))
        (found,) = torch.autograd.grad(root, walk.leaf, incoming, retain_graph=True)
        torch.autograd.backward(root, incoming)
    for each, name in ((found, "autograd.grad"), (walk.leaf.grad, "backward")):
        used = walk.used(expect.tensor(each, name))
        memory.same_elements(representable(case.gradient, case.plan.dtype), contents(used), f"gradient by {name}")


# --- saved tensors --------------------------------------------------------------------------------------------


@cases(saved_tensors.input_uses, acts.acted)
def test_saved_input_is_shown_by_the_node(case: SavedUse) -> None:
    """The attribute of a node that holds a saved input shows that very tensor object."""
    _, x = case.start()
    y = case.act(x)
    expect.same_object(x, y.grad_fn._saved_self, "the saved input")


@cases(saved_tensors.result_uses, acts.acted)
def test_saved_result_is_shown_by_the_node(case: SavedUse) -> None:
    """The attribute of a node that holds its saved result shows another tensor object with the same memory."""
    _, x = case.start()
    y = case.act(x)
    saved = y.grad_fn._saved_result
    expect.that(saved is not y, "the saved result", "another object than the result", "the result itself")
    expect.equal(memory.storage_address(y), memory.storage_address(saved), "storage of the saved result")
    expect.equal((y.shape, y.stride(), y.dtype), (saved.shape, saved.stride(), saved.dtype), "the saved result")
    expect.same_object(y.grad_fn, saved.grad_fn, "grad_fn of the saved result")


@cases(saved_tensors.builtin_uses, acts.acted)
def test_saved_tensors_are_gone_after_backward(case: SavedUse) -> None:
    """Reading the saved tensors of a node raises once backward has freed them."""
    _, x = case.start()
    y = case.act(x)
    names = list(handles_in(y.grad_fn))
    torch.autograd.backward(y, case.upstream(y))
    for name in names:
        expect.raises(RuntimeError, partial(getattr, y.grad_fn, f"_saved_{name}"), f"reading _saved_{name}")


# --- hooks for saved tensors ----------------------------------------------------------------------------------


@cases(saved_tensors.logged_uses, acts.acted)
def test_pack_hook_runs_once_for_each_saved_tensor(case: SavedUse) -> None:
    """The pack hook is called exactly once for each tensor that is saved within its context."""
    packer = Packer(case.way)
    leaf, x = case.start()
    with packer.context():
        y = case.act(x)
    case.act(x)
    count = len(saved_in(y.grad_fn))
    expect.equal(count, len(packer.packed), "calls of the pack hook in forward")
    derivatives(case, leaf, y)
    expect.equal(count, len(packer.packed), "calls of the pack hook after backward passes")


@cases(saved_tensors.logged_uses, acts.acted)
def test_pack_hook_gets_what_is_saved(case: SavedUse) -> None:
    """The pack hook is given tensors with the values that the operation saves."""
    packer = Packer(case.way)
    expected = saved_for(case.act(case.start()[1]))
    _, x = case.start()
    with packer.context():
        case.act(x)
    expect.equal(len(expected), len(packer.values), "calls of the pack hook")
    found = sorted((memory.contents(value) for value in packer.values), key=bytes)
    for one, other in zip(sorted(map(memory.contents, expected), key=bytes), found, strict=True):
        memory.same_elements(one, other, "what the pack hook was given")


@cases(saved_tensors.packed_uses, acts.acted)
def test_pack_hook_records_no_gradients(case: SavedUse) -> None:
    """Gradient tracking is disabled while a pack hook runs."""
    packer = Packer(case.way)
    _, x = case.start()
    with packer.context():
        case.act(x)
    expect.equal([False] * len(packer.recording), packer.recording, "is_grad_enabled() in the pack hook")
    expect.equal(True, torch.is_grad_enabled(), "is_grad_enabled() afterwards")


@cases(saved_tensors.packed_uses, acts.acted)
def test_unpack_hook_gets_what_was_packed(case: SavedUse) -> None:
    """The unpack hook is given the very object that the pack hook returned."""
    packer = Packer(case.way)
    leaf, x = case.start()
    with packer.context():
        y = case.act(x)
    derivatives(case, leaf, y)
    for found in packer.unpacked:
        known = any(found is packed for packed in packer.packed)
        expect.that(known, "what the unpack hook was given", "an object that the pack hook returned", repr(type(found)))
    expect.that(bool(packer.unpacked), "calls of the unpack hook", "at least one", "none")


@cases(saved_tensors.logged_uses, acts.acted)
def test_unpack_hook_runs_in_each_pass(case: SavedUse) -> None:
    """Each backward pass calls the unpack hook for each tensor that it needs, and none is packed again."""
    packer = Packer(case.way)
    _, x = case.start()
    with packer.context():
        y = case.act(x)
    upstream, calls = case.upstream(y), [0] * len(packer.packed)
    for turn in ("first", "second", "last"):
        torch.autograd.backward(y, upstream, retain_graph=turn != "last")
        before, calls = calls, packer.calls_for_each()
        more = [now > then for now, then in zip(calls, before, strict=True)]
        expect.equal([True] * len(before), more, f"saved tensors unpacked by the {turn} pass")


@cases(saved_tensors.packed_uses, acts.acted)
def test_hooks_of_forward_unpack_in_backward(case: SavedUse) -> None:
    """A backward pass under another pair of hooks unpacks with the pair under which the tensors were packed."""
    packer, other = Packer(case.way), Packer()
    _, x = case.start()
    with packer.context():
        y = case.act(x)
    with other.context():
        torch.autograd.backward(y, case.upstream(y))
    expect.equal([], other.unpacked, "calls of the unpack hook that was set in backward")
    expect.that(bool(packer.unpacked), "calls of the unpack hook that was set in forward", "at least one", "none")


@cases(saved_tensors.packed_uses, acts.acted)
def test_packing_leaves_the_gradients_equal(case: SavedUse) -> None:
    """However saved tensors are packed, gradients are equal as long as the same content is unpacked."""
    packer = Packer(case.way)
    leaf, x = case.start()
    with packer.context():
        y = case.act(x)
    same_derivatives(case, derivatives(case, leaf, y), f"through {case.way}")


@cases(saved_tensors.input_uses, acts.acted)
def test_unpacked_history_is_overwritten(case: SavedUse) -> None:
    """A saved tensor has the history of the tensor that was saved, whatever history the unpack hook returned."""
    for way in ("detached", "history"):
        _, x = case.start()
        with Packer(way).context():
            y = case.act(x)
        saved = y.grad_fn._saved_self
        expect.equal((True, x.is_leaf), (saved.requires_grad, saved.is_leaf), "requires_grad and is_leaf when unpacked")
        expect.same_object(x.grad_fn, saved.grad_fn, "grad_fn when unpacked")


@cases(saved_tensors.builtin_uses, acts.acted)
def test_unpacked_object_must_be_a_tensor(case: SavedUse) -> None:
    """Backward raises where an unpack hook returns something other than a tensor."""
    _, x = case.start()
    with torch.autograd.graph.saved_tensors_hooks(PACKINGS[case.way][0], type):
        y = case.act(x)
    upstream = case.upstream(y)
    expect.raises(
        (TypeError, RuntimeError), lambda: torch.autograd.backward(y, upstream), "backward with a type unpacked"
    )


@cases(saved_tensors.changing_uses, acts.acted)
def test_modified_pack_input_raises(case: SavedUse) -> None:
    """An operation raises where the pack hook modifies its input in place."""
    _, x = case.start()
    with torch.autograd.graph.saved_tensors_hooks(ChangingHook(case.way).pack, PACKINGS["detached"][1]):
        expect.raises(RuntimeError, lambda: case.act(x), f"an operation whose pack hook writes by {case.way}")


@cases(saved_tensors.nested_hooks)
def test_only_the_innermost_hooks_apply(case: Nest) -> None:
    """Of nested pairs of hooks only the innermost is applied, and the outer ones again once it has ended."""
    packers = [Packer() for _ in range(case.depth)]
    count = len(saved_for(case.act(case.x())))
    with ExitStack() as stack:
        contexts = [stack.enter_context(ExitStack()) for _ in packers]
        for context, packer in zip(contexts, packers, strict=True):
            context.enter_context(packer.context())
        for level in reversed(range(case.depth)):
            case.act(case.x())
            calls = [len(packer.packed) for packer in packers]
            expect.equal([0] * level + [count] * (case.depth - level), calls, f"calls of each pack hook at {level}")
            case.leave(contexts[level])
        case.act(case.x())
    expect.equal([count] * case.depth, [len(packer.packed) for packer in packers], "calls of each pack hook at the end")


@cases(saved_tensors.nested_hooks, acts.acted)
def test_saved_tensor_hooks_are_thread_local(case: Nest) -> None:
    """A pair of hooks applies to the thread that set it, and to no other."""
    here, there = Packer(), Packer()
    x = case.x()
    with ExitStack() as stack:
        for _ in range(case.depth):
            stack.enter_context(here.context())
        in_a_thread(lambda: case.act(x))
        expect.equal(0, len(here.packed), "calls of a pack hook for another thread")
        in_a_thread(lambda: there.context().__enter__())
        case.act(x)
    expect.equal(0, len(there.packed), "calls of a pack hook that a thread left behind")
    expect.that(bool(here.packed), "calls of the pack hook in its own thread", "at least one", "none")


@cases(saved_tensors.nested_hooks, acts.acted)
def test_saved_tensor_hooks_object_serves_again(case: Nest) -> None:
    """One context manager object of a pair of hooks can be entered again after it was left."""
    packer = Packer()
    context, count = packer.context(), len(saved_for(case.act(case.x())))
    for turn in range(1, case.depth + 2):
        with ExitStack() as stack:
            inner = stack.enter_context(ExitStack())
            inner.enter_context(context)
            case.act(case.x())
            case.leave(inner)
            case.act(case.x())
        expect.equal(turn * count, len(packer.packed), f"calls of the pack hook after block {turn}")


@cases(saved_tensors.builtin_uses, acts.acted)
def test_packing_without_a_copy_shares_the_memory(case: SavedUse) -> None:
    """Where the pack hook detaches, the saved tensor is another object with the memory of the original."""
    _, x = case.start()
    with Packer().context():
        y = case.act(x)
    for saved in saved_in(y.grad_fn):
        source = x if case.operation in ("square", "power", "sine") else y
        expect.that(saved is not source, "the saved tensor", "another object than the original", "the original")
        expect.equal(memory.storage_address(source), memory.storage_address(saved), "storage of the saved tensor")


@cases(stochastic.packed_stochastic_uses, acts.acted)
def test_packing_leaves_random_steps_equal(case: StochasticUse) -> None:
    """Packing by copies leaves the results and the gradients of a random step equal."""
    with seeded(case.seed, case.plan.device):
        step = case.make()
    expected, gradients = case.run(step, step)
    with Packer("deep copy").context():
        results, found = case.run(step, step)
    same_results(expected, results, "result")
    same_results(gradients, found, "gradient")


# --- hooks on one saved tensor --------------------------------------------------------------------------------


@cases(saved_tensors.builtin_uses, acts.acted)
def test_registered_pack_hook_runs_at_once(case: SavedUse) -> None:
    """The pack hook that is registered on one saved tensor is called at once, and once, with its values."""
    leaf, x = case.start()
    y = case.act(x)
    for name, handle in handles_in(y.grad_fn).items():
        packer = Packer(case.way)
        expected = memory.contents(getattr(y.grad_fn, f"_saved_{name}"))
        handle.register_hooks(packer.pack, packer.unpack)
        expect.equal(1, len(packer.packed), "calls of the pack hook when it is registered")
        memory.same_elements(expected, memory.contents(packer.values[0]), "what the pack hook was given")
        torch.autograd.grad(y, leaf, case.upstream(y), retain_graph=True)
        expect.equal(1, len(packer.packed), "calls of the pack hook after backward")


@cases(saved_tensors.builtin_uses, acts.acted)
def test_registered_unpack_hook_runs_at_each_access(case: SavedUse) -> None:
    """The unpack hook of one saved tensor is called each time that it is read by name or by a backward pass."""
    _, x = case.start()
    y = case.act(x)
    packers = {}
    for name, handle in handles_in(y.grad_fn).items():
        packers[name] = Packer(case.way)
        handle.register_hooks(packers[name].pack, packers[name].unpack)
        expect.equal(0, len(packers[name].unpacked), "calls of the unpack hook when it is registered")
    for name, packer in packers.items():
        for turn in (1, 2):
            getattr(y.grad_fn, f"_saved_{name}")
            expect.equal([turn], packer.calls_for_each(), f"calls of the unpack hook after {turn} readings")
    torch.autograd.backward(y, case.upstream(y))
    for name, packer in packers.items():
        more = len(packer.unpacked) > 2
        expect.that(more, f"calls of the unpack hook of {name} in backward", "at least one", "none")


@cases(saved_tensors.builtin_uses, acts.acted)
def test_registered_hooks_leave_the_gradients_equal(case: SavedUse) -> None:
    """Hooks registered on the saved tensors of a node leave gradients equal."""
    leaf, x = case.start()
    y = case.act(x)
    for handle in handles_in(y.grad_fn).values():
        packer = Packer(case.way)
        handle.register_hooks(packer.pack, packer.unpack)
    same_derivatives(case, derivatives(case, leaf, y), f"through {case.way}")


@cases(saved_tensors.builtin_uses, acts.acted)
def test_registering_after_release_raises(case: SavedUse) -> None:
    """Registering hooks on a saved tensor raises once backward has freed it."""
    _, x = case.start()
    y = case.act(x)
    handles = handles_in(y.grad_fn)
    torch.autograd.backward(y, case.upstream(y))
    for name, handle in handles.items():
        expect.raises(RuntimeError, partial(handle.register_hooks, *PACKINGS[case.way]), f"hooks on freed {name}")


@cases(saved_tensors.builtin_uses, acts.acted)
def test_registering_twice_raises(case: SavedUse) -> None:
    """Registering a second pair of hooks on a saved tensor raises."""
    _, x = case.start()
    y = case.act(x)
    for name, handle in handles_in(y.grad_fn).items():
        handle.register_hooks(*PACKINGS[case.way])
        expect.raises(RuntimeError, partial(handle.register_hooks, *PACKINGS["detached"]), f"second hooks on {name}")


# --- saving on the CPU ----------------------------------------------------------------------------------------


@cases(saved_tensors.pinned_uses, acts.acted)
def test_save_on_cpu_leaves_the_gradients_equal(case: SavedUse) -> None:
    """Gradients are equal where saved tensors are kept on the CPU, in pinned memory or not."""
    leaf, x = case.start()
    with torch.autograd.graph.save_on_cpu(pin_memory=case.way == "pinned"):
        y = case.act(x)
    same_derivatives(case, derivatives(case, leaf, y), f"saved on the CPU, {case.way}")


@cases(saved_tensors.pageable_uses, acts.acted)
def test_save_on_cpu_copies_nothing_that_is_there(case: SavedUse) -> None:
    """Where the graph is on the CPU already, save_on_cpu keeps saved tensors in the memory that they have."""
    _, x = case.start()
    with torch.autograd.graph.save_on_cpu():
        y = case.act(x)
    homes = {memory.storage_address(x), memory.storage_address(y)}
    for saved in saved_in(y.grad_fn):
        address = memory.storage_address(saved)
        expect.that(
            address in homes, "storage of a saved tensor", "that of the input or of the result", f"{address:#x}"
        )


@cases(saved_tensors.pinned_uses, acts.acted)
def test_save_on_cpu_gives_the_device_back(case: SavedUse) -> None:
    """A saved tensor that save_on_cpu moved away is on its own device again, with its values, when it is read."""
    expected = saved_for(case.act(case.start()[1]))
    with torch.autograd.graph.save_on_cpu(pin_memory=case.way == "pinned"):
        y = case.act(case.start()[1])
    for one, other in zip(expected, saved_for(y), strict=True):
        expect.equal((one.device, one.dtype), (other.device, other.dtype), "device and type of a saved tensor")
        memory.same_elements(memory.contents(one), memory.contents(other), "a saved tensor")


# --- switching hooks off --------------------------------------------------------------------------------------


@cases(saved_tensors.nested_hooks, acts.acted)
def test_disabled_hooks_raise_with_the_message(case: Nest) -> None:
    """Setting default hooks raises a RuntimeError with the given message while they are disabled."""
    disable = torch.autograd.graph.disable_saved_tensors_hooks
    for make in (Packer().context, torch.autograd.graph.save_on_cpu):
        with ExitStack() as stack:
            for level in range(case.depth):
                stack.enter_context(disable(f"disabled at {level}"))
            error = expect.raises(RuntimeError, partial(entered, make()), "default hooks while they are disabled")
            case.act(case.x())
        said = f"disabled at {case.depth - 1}" in str(error)
        expect.that(said, "the message", f"disabled at {case.depth - 1}", str(error).split("\n")[0])


@cases(saved_tensors.nested_hooks, acts.acted)
def test_disabling_hooks_ends_with_its_context(case: Nest) -> None:
    """Default hooks can be set again after the context that disabled them, or raise with the outer one's message."""
    packer = Packer()
    with ExitStack() as stack:
        contexts = [stack.enter_context(ExitStack()) for _ in range(case.depth)]
        for level, context in enumerate(contexts):
            context.enter_context(torch.autograd.graph.disable_saved_tensors_hooks(f"disabled at {level}"))
        for level in reversed(range(case.depth)):
            error = expect.raises(
                RuntimeError, lambda: entered(packer.context()), "default hooks while they are disabled"
            )
            said = str(error).split("\n")[0]
            expect.that(f"disabled at {level}" in said, "the message", f"disabled at {level}", said)
            case.leave(contexts[level])
    with packer.context():
        case.act(case.x())
    expect.that(bool(packer.packed), "calls of the pack hook after all contexts", "at least one", "none")


# --- mutation of saved tensors --------------------------------------------------------------------------------


@cases(saved_tensors.mutating_uses, acts.acted)
def test_mutated_saved_tensors_keep_their_gradients(case: SavedUse) -> None:
    """Where mutation is allowed, gradients are those of the values that were saved, whatever was written since."""
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        leaf, x = case.start()
        y = case.act(x)
        used = y * 1
        CHANGES[case.way](x)
        CHANGES[case.way](y)
        found = derivatives(case, leaf, used)
    same_derivatives(case, found, f"after a change by {case.way}")


@cases(saved_tensors.part_mutating_uses, acts.acted)
def test_tensors_mutated_in_part_keep_their_gradients(case: SavedUse) -> None:
    """Where mutation is allowed, gradients are those of the values that were saved, also after a write to a part of them that begins behind the first element."""  # noqa: E501
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        leaf, x = case.start()
        y = case.act(x)
        used = y * 1
        PART_CHANGES[case.way](x)
        PART_CHANGES[case.way](y)
        found = derivatives(case, leaf, used)
    same_derivatives(case, found, f"after a change of its {case.way}")


@cases(saved_tensors.mutating_uses, acts.acted)
def test_allowed_mutation_reaches_the_tensor(case: SavedUse) -> None:
    """Where mutation is allowed, a saved tensor that is modified has its new values."""
    plain = case.start()[1].detach()
    CHANGES[case.way](plain)
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        _, x = case.start()
        case.act(x)
        CHANGES[case.way](x)
    memory.same_elements(memory.contents(plain), memory.contents(x), f"x after a change by {case.way}")


@cases(saved_tensors.mutating_uses, acts.acted)
def test_allowing_mutation_ends_with_its_context(case: SavedUse) -> None:
    """A graph recorded after the context that allowed mutation is checked for mutation as ever."""
    with suppress(Escape), torch.autograd.graph.allow_mutation_on_saved_tensors():
        _, x = case.start()
        case.act(x)
        raise Escape
    _, x = case.start()
    y = case.act(x)
    used = y * 1
    CHANGES[case.way](x)
    CHANGES[case.way](y)
    upstream = case.upstream(used)
    expect.raises(
        RuntimeError, lambda: torch.autograd.backward(used, upstream), f"backward after a change by {case.way}"
    )


# --- custom functions: gradients ------------------------------------------------------------------------------


@cases(functions.applied_functions, acts.acted)
def test_custom_gradient_is_what_backward_returns(case: FunctionUse) -> None:
    """The gradient by an input of a custom function is the one that its backward returns for that input."""
    leaves, inputs = case.start()
    case.go_back(case.apply(Spy(case.outputs), *inputs))
    leaves_gathered(case, leaves)


@cases(functions.applied_functions, acts.acted)
def test_backward_gets_a_gradient_for_each_output(case: FunctionUse) -> None:
    """The backward of a custom function is called once with the gradient by each of its outputs."""
    spy = Spy(case.outputs)
    case.go_back(case.apply(spy, *case.start()[1]))
    given_gradients(case, spy, "zeros")


@cases(functions.objects_of_functions, acts.acted)
def test_backward_gets_none_for_other_objects(case: FunctionUse) -> None:
    """Backward is given None for an output of forward that is no tensor, and the output comes out as it is."""
    other = next(k for k in range(case.outputs) if k not in case.chosen())
    spy = Spy(case.outputs, kinds=tuple(case.way if k == other else "same" for k in range(case.outputs)))
    found = case.apply(spy, *case.start()[1])
    case.go_back(found)
    expect.equal({"text": "no tensor", "none": None}[case.way], found[other], f"output {other}")
    expect.equal(None, spy.gradients[0][other], f"gradient of output {other} that backward is given")


@cases(functions.miscounting_functions, acts.acted)
def test_miscounted_gradients_raise(case: FunctionUse) -> None:
    """Backward raises where a custom function returns fewer gradients than it has inputs, or a further one."""
    found = case.apply(Spy(case.outputs, answer=case.way), *case.start()[1])
    expect.raises(RuntimeError, lambda: case.go_back(found), f"backward that returns {case.way} gradients")


@cases(functions.applied_functions, acts.acted)
def test_further_nones_are_ignored(case: FunctionUse) -> None:
    """A backward may return more gradients than there are inputs where those are None."""
    leaves, inputs = case.start()
    case.go_back(case.apply(Spy(case.outputs, answer="nones"), *inputs))
    leaves_gathered(case, leaves)


@cases(functions.mixed_functions, acts.acted)
def test_unwanted_gradients_are_ignored(case: FunctionUse) -> None:
    """A gradient that backward returns for an input that requires none goes nowhere and is no error."""
    leaves, inputs = case.start()
    case.go_back(case.apply(Spy(case.outputs), *inputs))
    leaves_gathered(case, leaves)


@cases(functions.applied_functions, acts.acted)
def test_no_gradient_leaves_none(case: FunctionUse) -> None:
    """An input for which backward returns None gathers no gradient."""
    leaves, inputs = case.start()
    case.go_back(case.apply(Spy(case.outputs, answer="empty"), *inputs))
    expect.equal([None] * len(leaves), [leaf.grad for leaf in leaves], "gradients of the leaves")


@cases(functions.misshaping_functions, acts.acted)
def test_misshapen_gradient_raises(case: FunctionUse) -> None:
    """Backward raises where a custom function returns a gradient that cannot have its input's shape."""
    found = case.apply(Spy(case.outputs, answer="shape"), *case.start()[1])
    expect.raises(RuntimeError, lambda: case.go_back(found), "backward that returns a gradient of another shape")


@cases(functions.applied_functions, acts.acted)
def test_gradient_of_an_object_raises(case: FunctionUse) -> None:
    """Backward raises where a custom function returns a gradient for an input that is no tensor."""
    found = case.apply(Spy(case.outputs, answer="object"), *case.start()[1])
    expect.raises(RuntimeError, lambda: case.go_back(found), "backward that returns a gradient of an object")


@cases(functions.tracked_functions, acts.acted)
def test_backward_records_with_create_graph(case: FunctionUse) -> None:
    """Gradients are recorded within the backward of a custom function where create_graph is set, and only there."""
    spy = Spy(case.outputs)
    found = case.apply(spy, *case.start()[1])
    for flag in (False, True, False):
        case.go_back(found, retain_graph=True, create_graph=flag)
    expect.equal([False, True, False], spy.recording, "is_grad_enabled() in backward")


# --- custom functions: forward --------------------------------------------------------------------------------


@cases(functions.applied_functions, acts.acted)
def test_forward_takes_any_object(case: FunctionUse) -> None:
    """An argument of any Python type reaches the forward of a custom function as the object that it is."""
    spy = Spy(case.outputs)
    _, inputs = case.start()
    case.apply(spy, *inputs)
    expect.equal(1, len(spy.setups), "calls of forward")
    expect.equal(1 + len(inputs), len(spy.setups[0][0]), "arguments of forward")
    expect.same_object(spy, spy.setups[0][0][0], "the argument that is no tensor")


@cases(functions.applied_functions, acts.acted)
def test_forward_records_nothing(case: FunctionUse) -> None:
    """Nothing is recorded within the forward of a custom function, whether or not its inputs require grad."""
    spy = Spy(case.outputs)
    _, inputs = case.start()
    case.apply(spy, *inputs)
    expected = (False, [False] * len(inputs))
    expect.equal(expected, spy.forwards[0], "is_grad_enabled(), and whether products require grad, in forward")
    expect.equal(True, torch.is_grad_enabled(), "is_grad_enabled() afterwards")


@cases(functions.tracked_functions, acts.acted)
def test_custom_function_is_one_node(case: FunctionUse) -> None:
    """The results of a custom function have one node, which leads to those of the inputs."""
    _, inputs = case.start()
    found = case.apply(Spy(case.outputs), *inputs)
    outputs = found if isinstance(found, tuple) else (found,)
    for output in outputs:
        expect.same_object(outputs[0].grad_fn, output.grad_fn, "node of a further output")
    for x, (node, _) in zip(inputs, outputs[0].grad_fn.next_functions, strict=False):
        if x.grad_fn is None:
            expect.same_object(x, node.variable, "leaf that the node leads to")
        else:
            expect.same_object(x.grad_fn, node, "node that the node leads to")


@cases(functions.tracked_functions, acts.acted)
def test_custom_function_names_its_node(case: FunctionUse) -> None:
    """The node of a custom function is named after the class."""
    _, inputs = case.start()
    found = case.apply(Spy(case.outputs), *inputs)
    for output in found if isinstance(found, tuple) else (found,):
        expect.equal("SpreadBackward", output.grad_fn.name(), "name of the node")


@cases(functions.mixed_functions, acts.acted)
def test_containers_are_not_traversed(case: FunctionUse) -> None:
    """Tensors within lists, tuples, dicts and objects that a custom function is given are not tracked."""
    leaves, inputs = case.start()
    hidden = [leaf.detach().requires_grad_() for leaf in leaves]
    for container in (hidden, tuple(hidden), dict(enumerate(hidden)), [[hidden]]):
        keeper = Keeper()
        output = function_of(Containing, case.style).apply(keeper, container, inputs[0].detach())
        in_the_graph(output, False, "a result of containers alone")
        both = function_of(Containing, case.style).apply(keeper, container, hidden[0] * 1)
        torch.autograd.backward(both, case.upstream(0).build())
        memory.same_elements(
            case.upstream(0).array, memory.contents(expect.tensor(hidden[0].grad, "direct")), "gradient of x"
        )
        expect.equal([None] * (len(hidden) - 1), [x.grad for x in hidden[1:]], "gradients of tensors in a container")
        hidden[0].grad = None


@cases(function_kinds.optional_functions, acts.acted)
def test_optional_arguments_may_be_left_out(case: FunctionKind) -> None:
    """Arguments of forward with default values may be left out."""
    leaf, x = case.start()
    found = function_of(OptionalArguments, case.style).apply(x, *{"both": (), "one": (4,), "none": (4, None)}[case.way])
    factor = 2 if case.way == "both" else 4
    nearly(case.plan.array * factor, found, "the result")
    torch.autograd.backward(found, torch.ones_like(found))
    nearly(np.full_like(case.plan.array, factor), expect.tensor(leaf.grad, "gradient"), "gradient of the leaf")


@cases(function_kinds.keyword_functions, acts.acted)
def test_optional_arguments_may_be_given_by_keyword(case: FunctionKind) -> None:
    """Arguments of forward with default values may be given by keyword."""
    leaf, x = case.start()
    term = case.plan.build().requires_grad_()
    given: dict[str, dict[str, Any]] = {
        "factor": {"factor": 4},
        "both": {"factor": 4, "term": None},
        "reversed": {"term": None, "factor": 4},
        "term": {"term": term},
    }
    factor = 2 if case.way == "term" else 4
    found = function_of(OptionalArguments, case.style).apply(x, **given[case.way])
    nearly(case.plan.array * (factor + (case.way == "term")), found, "the result")
    torch.autograd.backward(found, torch.ones_like(found))
    nearly(np.full_like(case.plan.array, factor), expect.tensor(leaf.grad, "gradient"), "gradient of the leaf")
    if case.way == "term":
        nearly(np.ones_like(case.plan.array), expect.tensor(term.grad, "gradient"), "gradient of the keyword")


@cases(functions.constant_functions, acts.acted)
def test_no_graph_without_a_tracked_input(case: FunctionUse) -> None:
    """Under no_grad, and where no input requires grad, a custom function gives tensors that require none."""
    _, inputs = case.start()
    with torch.set_grad_enabled(case.way == "constant"):
        given = [x.detach() for x in inputs] if case.way == "constant" else inputs
        found = case.apply(Spy(case.outputs), *given)
    for k, output in enumerate(found if isinstance(found, tuple) else (found,)):
        in_the_graph(output, False, f"output {k}")


@cases(functions.setup_functions, acts.acted)
def test_setup_context_gets_inputs_and_output(case: FunctionUse) -> None:
    """The setup_context of a custom function is given a tuple of all inputs, and what forward returned."""
    spy = Spy(case.outputs)
    _, inputs = case.start()
    case.apply(spy, *inputs)
    expect.equal(1, len(spy.setups), "calls of setup_context")
    given, output = spy.setups[0]
    expect.equal((tuple, 1 + len(inputs)), (type(given), len(given)), "inputs that setup_context is given")
    for x, found in zip(inputs, given[1:], strict=True):
        memory.same_elements(memory.contents(x), memory.contents(found), "an input that setup_context is given")
    expect.equal(tuple if case.outputs > 1 else torch.Tensor, type(output), "type of the output that it is given")
    expect.equal(case.outputs, len(output) if case.outputs > 1 else 1, "outputs that it is given")


# --- custom functions: outputs --------------------------------------------------------------------------------


@cases(functions.applied_functions, acts.acted)
def test_float_outputs_require_grad(case: FunctionUse) -> None:
    """Outputs of a custom function of floating or complex type require grad unless they are marked."""
    found = case.apply(Spy(case.outputs), *case.start()[1])
    for k, output in enumerate(found if isinstance(found, tuple) else (found,)):
        in_the_graph(output, True, f"output {k}")


@cases(functions.kinds_of_functions, acts.acted)
def test_integral_outputs_require_no_grad(case: FunctionUse) -> None:
    """Outputs of a custom function of integral or bool type never require grad."""
    other = next(k for k in range(case.outputs) if k not in case.chosen())
    kinds = tuple(case.way if k == other else "same" for k in range(case.outputs))
    leaves, inputs = case.start()
    found = case.apply(Spy(case.outputs, kinds=kinds), *inputs)
    for k, output in enumerate(found):
        expect.equal(k != other, output.requires_grad, f"requires_grad of output {k}, {kinds[k]}")
    case.go_back(found)
    leaves_gathered(case, leaves)


@cases(functions.marked_functions, acts.acted)
def test_marked_outputs_require_no_grad(case: FunctionUse) -> None:
    """Outputs that are marked as not differentiable require no grad, and the others do."""
    marked = tuple(k for k in range(case.outputs) if k not in case.chosen())
    found = case.apply(Spy(case.outputs, marked=marked), *case.start()[1])
    for k, output in enumerate(found):
        in_the_graph(output, k not in marked, f"output {k}")


@cases(functions.marked_functions, acts.acted)
def test_marked_outputs_get_zeros(case: FunctionUse) -> None:
    """Backward is given a zero tensor of its output's shape for an output that is marked as not differentiable."""
    marked = tuple(k for k in range(case.outputs) if k not in case.chosen())
    spy = Spy(case.outputs, marked=marked)
    case.go_back(case.apply(spy, *case.start()[1]))
    given_gradients(case, spy, "zeros")


@cases(functions.partly_used_functions, acts.acted)
def test_undefined_gradients_come_as_zeros(case: FunctionUse) -> None:
    """Backward is given zeros for an output that no gradient came back to."""
    spy = Spy(case.outputs)
    case.go_back(refused_elsewhere(case, case.apply(spy, *case.start()[1])))
    given_gradients(case, spy, "zeros")


@cases(functions.partly_used_functions, acts.acted)
def test_undefined_gradients_come_as_none(case: FunctionUse) -> None:
    """With set_materialize_grads(False) backward is given None for an output that no gradient came back to."""
    spy = Spy(case.outputs, materialize=False)
    case.go_back(refused_elsewhere(case, case.apply(spy, *case.start()[1])))
    given_gradients(case, spy, "none")


@cases(function_kinds.returning_functions, acts.acted)
def test_returned_input_is_an_output(case: FunctionKind) -> None:
    """An input that forward returns as it is comes out as another tensor of the same memory, with its own gradient."""
    leaf, x = case.start()
    node = x.grad_fn
    found = function_of(Passing, case.style).apply(Keeper(case.way), x)
    expect.that(found is not x, "the output", "another object than the input", "the input itself")
    expect.same_object(node, x.grad_fn, "node of the input afterwards")
    expect.equal(memory.storage_address(x), memory.storage_address(found), "storage of the output")
    in_the_graph(found, True, "the output")
    torch.autograd.backward(found, torch.ones_like(found))
    nearly(np.full_like(case.plan.array, 5), expect.tensor(leaf.grad, "gradient"), "gradient of the leaf")


@cases(function_kinds.passing_functions, acts.acted)
def test_returned_view_keeps_the_memory(case: FunctionKind) -> None:
    """A view of an input that forward returns shares its memory, and has the gradient that backward returns."""
    leaf, x = case.start()
    found = function_of(Passing, case.style).apply(Keeper(case.way), x)
    expected = Passing.compute(Keeper(case.way), x.detach())
    expect.equal((expected.shape, expected.stride()), (found.shape, found.stride()), "shape and strides of the output")
    expect.equal(expected.data_ptr(), found.data_ptr(), "address of the output")
    in_the_graph(found, True, "the output")
    torch.autograd.backward(found, torch.ones_like(found))
    nearly(np.full_like(case.plan.array, 5), expect.tensor(leaf.grad, "gradient"), "gradient of the leaf")


@cases(function_kinds.passing_functions, acts.acted)
def test_returned_view_refuses_writes(case: FunctionKind) -> None:
    """A view that a custom function returned cannot be modified in place while gradients are recorded."""
    _, x = case.start()
    found = function_of(Passing, case.style).apply(Keeper(case.way), x)
    expect.raises(RuntimeError, lambda: found.mul_(2), "mul_ of a view that a custom function returned")
    expect.raises(RuntimeError, lambda: found[...].zero_(), "zero_ of a view of it")


@cases(function_kinds.returning_functions, acts.acted)
def test_dirty_leaf_raises(case: FunctionKind) -> None:
    """A custom function that marks a leaf that requires grad as dirty raises."""
    leaf = case.plan.build().requires_grad_()
    x = leaf[...] if case.state == "view" else leaf
    function = function_of(Dirtied, case.style)
    expect.raises(RuntimeError, lambda: function.apply(Keeper("returned"), x), "a custom function that dirties a leaf")


@cases(function_kinds.stale_functions, acts.acted)
def test_dirty_input_must_be_returned(case: FunctionKind) -> None:
    """A custom function that marks an input as dirty and does not return it raises."""
    _, x = case.start()
    function = function_of(Dirtied, case.style)
    expect.raises(RuntimeError, lambda: function.apply(Keeper("copied"), x), "a custom function that hides its input")


# --- custom functions: context --------------------------------------------------------------------------------


@cases(functions.applied_functions, acts.acted)
def test_needs_input_grad_mirrors_the_inputs(case: FunctionUse) -> None:
    """ctx.needs_input_grad holds a bool for each input, which says whether it requires grad."""
    spy = Spy(case.outputs)
    case.go_back(case.apply(spy, *case.start()[1]))
    expected = (False, *[state != "constant" for state in case.states])
    expect.equal(expected, spy.needs[0], "ctx.needs_input_grad in backward")


@cases(function_kinds.saving_functions, acts.acted)
def test_saved_tensors_come_back_in_order(case: FunctionKind) -> None:
    """ctx.saved_tensors holds what save_for_backward was given, in order, with None for None."""
    keeper = Keeper(case.way)
    _, x = case.start()
    found = function_of(Saving, case.style).apply(keeper, x)
    before, after = memory.contents(x), memory.contents(found)
    kept: dict[str, list[Any]] = {"output": [after], "both": [after, None, before]}
    expected = kept.get(case.way, [before])
    torch.autograd.backward(found, torch.ones_like(found))
    expect.equal(len(expected), len(keeper.seen[0]), "number of ctx.saved_tensors")
    for k, (one, other) in enumerate(zip(expected, keeper.seen[0], strict=True)):
        if one is None:
            expect.equal(None, other, f"ctx.saved_tensors[{k}]")
        else:
            memory.same_elements(one, memory.contents(other), f"ctx.saved_tensors[{k}]")


@cases(function_kinds.stale_functions, acts.acted)
def test_stale_saved_tensor_raises(case: FunctionKind) -> None:
    """Reading ctx.saved_tensors raises where one of them has been modified in place since."""
    for change in CHANGES.values():
        _, x = case.start()
        keeper = Keeper(case.way)
        found = function_of(Saving, case.style).apply(keeper, x)
        used = found * 1
        change(found if case.way == "output" else x)
        again = partial(torch.autograd.backward, used, torch.ones_like(used))
        expect.raises(RuntimeError, again, f"backward after {change.__name__} of what was saved")
        expect.equal([], keeper.seen, "what ctx.saved_tensors gave")


@cases(function_kinds.array_functions, acts.acted)
def test_saved_tensors_are_freed_by_backward(case: FunctionKind) -> None:
    """A tensor that only save_for_backward held is freed once backward is done."""
    keeper = Keeper(case.way)
    _, x = case.start()
    found = function_of(Saving, case.style).apply(keeper, x)
    upstream = torch.ones_like(found)
    torch.autograd.backward(found, upstream, retain_graph=True)
    expect.that(keeper.memory[0]() is not None, "what was saved, after retain_graph", "still held", "freed")
    torch.autograd.backward(found, upstream)
    expect.that(keeper.memory[0]() is None, "what was saved, after backward", "freed", "still held")


@cases(function_kinds.saving_functions, acts.acted)
def test_cleared_saved_tensors_raise(case: FunctionKind) -> None:
    """With clear_saved_tensors_on_access a second access to ctx.saved_tensors raises."""
    for parts, flag in ((Saving, True), (SavingTwice, False)):
        leaf, x = case.start()
        found = function_of(parts, case.style, clear_saved_tensors_on_access=flag).apply(Keeper(case.way), x)
        torch.autograd.backward(found, torch.ones_like(found))
        nearly(np.full_like(case.plan.array, 2), expect.tensor(leaf.grad, "gradient"), "gradient of the leaf")
    found = function_of(SavingTwice, case.style, clear_saved_tensors_on_access=True).apply(Keeper(case.way), x)
    upstream = torch.ones_like(found)
    expect.raises(RuntimeError, lambda: torch.autograd.backward(found, upstream), "second access to ctx.saved_tensors")


@cases(function_kinds.array_functions, acts.acted)
def test_cleared_saved_tensors_are_freed_in_backward(case: FunctionKind) -> None:
    """With clear_saved_tensors_on_access a saved tensor is freed as soon as backward drops it."""
    for flag in (True, False):
        keeper = Keeper(case.way)
        _, x = case.start()
        found = function_of(Saving, case.style, clear_saved_tensors_on_access=flag).apply(keeper, x)
        torch.autograd.backward(found, torch.ones_like(found))
        says = f"whether memory is held in backward, with clear_saved_tensors_on_access={flag}"
        expect.equal([not flag], keeper.seen[1], says)


@cases(function_kinds.plain_kinds, acts.acted)
def test_boxed_gradients_come_as_a_list(case: FunctionKind) -> None:
    """With boxed_grads_call backward is given its gradients as one list, and returns as ever."""
    keeper = Keeper()
    leaf, x = case.start()
    first, second = function_of(Boxed, case.style, boxed_grads_call=True).apply(keeper, x)
    torch.autograd.backward([first, second], [torch.ones_like(first), torch.full_like(second, 2)])
    expect.equal(list, type(keeper.seen[0][0]) if keeper.seen[0][0] is not list else list, "type of the gradients")
    expect.equal(2, len(keeper.seen[0][1]), "number of gradients")
    for k, gradient in enumerate(keeper.seen[0][1]):
        nearly(np.full_like(case.plan.array, k + 1), gradient, f"gradient of output {k}")
    nearly(np.full_like(case.plan.array, 19), expect.tensor(leaf.grad, "gradient"), "gradient of the leaf")


@cases(function_kinds.combined_kinds, acts.acted)
def test_vjp_stands_for_backward(case: FunctionKind) -> None:
    """A custom function may define vjp in place of backward."""
    leaf, x = case.start()
    found = vjp_function("vjp").apply(x)
    torch.autograd.backward(found, torch.ones_like(found))
    nearly(np.full_like(case.plan.array, 3), expect.tensor(leaf.grad, "gradient"), "gradient of the leaf")


@cases(function_kinds.combined_kinds, acts.acted)
def test_vjp_beside_backward_raises(case: FunctionKind) -> None:
    """Backward raises through a custom function that defines both vjp and backward."""
    _, x = case.start()
    found = vjp_function("both").apply(x)
    upstream = torch.ones_like(found)
    expect.raises(RuntimeError, lambda: torch.autograd.backward(found, upstream), "backward of a function with both")


# --- custom functions: higher orders --------------------------------------------------------------------------


@cases(function_kinds.once_cubes, acts.acted)
def test_once_differentiable_keeps_the_gradient(case: FunctionKind) -> None:
    """once_differentiable leaves the first gradient as it is, with create_graph and without."""
    for flag in (False, True):
        leaf, x = case.start()
        found = value_of_cube(case, x)
        upstream = torch.full_like(found, 2).requires_grad_(flag)
        (gradient,) = torch.autograd.grad(found, leaf, upstream, create_graph=flag)
        nearly(np.conj(6 * case.plan.array**2), gradient, f"gradient with create_graph={flag}")


@cases(function_kinds.once_cubes, acts.acted)
def test_once_differentiable_refuses_a_second_time(case: FunctionKind) -> None:
    """Double backward through a backward that is once_differentiable raises."""
    for tracked in (True, False):
        leaf, x = case.start()
        found = value_of_cube(case, x)
        upstream = torch.ones_like(found).requires_grad_(tracked)
        (gradient,) = torch.autograd.grad(found, leaf, upstream, create_graph=True)
        total = (gradient * leaf.detach()).sum()
        expect.raises(RuntimeError, partial(torch.autograd.grad, total, leaf), "double backward")


@cases(function_kinds.cubes, acts.acted)
def test_custom_function_is_differentiated_again(case: FunctionKind) -> None:
    """Derivatives of higher order are right where backward is made of differentiable operations."""
    leaf, x = case.start()
    value = value_of_cube(case, x)
    array = case.plan.array
    expected = (3 * array**2, 6 * array, np.full_like(array, 6))
    for order, derivative in enumerate(expected, 1):
        (value,) = torch.autograd.grad(value, leaf, torch.ones_like(value), create_graph=True)
        nearly(np.conj(derivative), value, f"gradient of order {order}")


@cases(function_kinds.constant_cubes, acts.acted)
def test_intermediate_on_ctx_is_constant(case: FunctionKind) -> None:
    """An intermediate that forward leaves on ctx without saving it is a constant to double backward."""
    leaf, x = case.start()
    found = function_of(CUBES[case.way], case.style).apply(x)
    (gradient,) = torch.autograd.grad(found, leaf, torch.ones_like(found), create_graph=True)
    nearly(np.conj(3 * case.plan.array**2), gradient, "gradient")
    expect.equal(False, gradient.requires_grad, "requires_grad of the gradient")


# --- custom functions: forward mode, vmap and torch.func ------------------------------------------------------


@cases(function_transforms.dual_functions, acts.acted)
def test_forward_mode_uses_jvp(case: FunctionUse) -> None:
    """The tangent of a result of a custom function is the one that its jvp returns, called within apply."""
    spy = Spy(case.outputs)
    with torch.autograd.forward_ad.dual_level():
        found = case.apply(spy, *with_tangents(case))
        expect.equal(1, len(spy.tangents), "calls of jvp within apply")
        for k, output in enumerate(found if isinstance(found, tuple) else (found,)):
            tangent = expect.tensor(torch.autograd.forward_ad.unpack_dual(output).tangent, f"tangent of output {k}")
            memory.same_elements(expected_tangent(case, k), memory.contents(tangent), f"tangent of output {k}")


@cases(function_transforms.dual_functions, acts.acted)
def test_jvp_sees_what_was_saved_for_forward(case: FunctionUse) -> None:
    """In jvp ctx.saved_tensors holds what save_for_forward was given."""
    spy = Spy(case.outputs)
    with torch.autograd.forward_ad.dual_level():
        inputs = with_tangents(case)
        case.apply(spy, *inputs)
        expect.equal(len(inputs), len(spy.saved[0]), "number of ctx.saved_tensors in jvp")
        for k, (x, found) in enumerate(zip(inputs, spy.saved[0], strict=True)):
            memory.same_elements(memory.contents(x), memory.contents(found), f"ctx.saved_tensors[{k}] in jvp")


@cases(function_transforms.partly_dual_functions, acts.acted)
def test_missing_tangents_come_as_zeros(case: FunctionUse) -> None:
    """Of a tensor input that has no tangent jvp is given zeros, and None with set_materialize_grads(False)."""
    for materialize in (True, False):
        spy = Spy(case.outputs, materialize=materialize)
        with torch.autograd.forward_ad.dual_level():
            case.apply(spy, *with_tangents(case))
        for i, (state, found) in enumerate(zip(case.states, spy.tangents[0], strict=True)):
            if state == "constant" and not materialize:
                expect.equal(None, found, f"tangent {i} that jvp is given")
            else:
                array = tangents_of(case, i).array
                expected = np.zeros_like(array) if state == "constant" else array
                tangent = expect.tensor(found, f"tangent {i} that jvp is given")
                memory.same_elements(expected, memory.contents(tangent), f"tangent {i} that jvp is given")


@cases(function_kinds.plain_kinds, acts.acted)
def test_missing_jvp_raises(case: FunctionKind) -> None:
    """Forward mode through a custom function without a jvp raises."""
    function = function_of(CubeWithSlope, case.style)
    with torch.autograd.forward_ad.dual_level():
        x = torch.autograd.forward_ad.make_dual(case.plan.build(), case.plan.build())
        expect.raises((NotImplementedError, RuntimeError), lambda: function.apply(x), "forward mode without a jvp")


@cases(function_transforms.mapped_functions, acts.acted)
def test_generated_vmap_rule_maps_the_function(case: FunctionKind) -> None:
    """With generate_vmap_rule vmap of a custom function computes it for each slice."""
    dim = -1 if case.way == "-1" else 0
    leaf = case.plan.build().requires_grad_()
    found = torch.vmap(cube(), in_dims=dim, out_dims=dim)(leaf)
    nearly(case.plan.array**3, found, "vmap of a custom function")
    torch.autograd.backward(found, torch.ones_like(found))
    nearly(np.conj(3 * case.plan.array**2), expect.tensor(leaf.grad, "gradient"), "gradient through vmap")


@cases(function_transforms.mapped_functions, acts.acted)
def test_vmap_method_is_given_the_batch(case: FunctionKind) -> None:
    """vmap calls the vmap method of a custom function with the batch's size, the dimensions and the whole tensors."""
    dim, shape = (-1 if case.way == "-1" else 0), case.plan.shape
    keeper = Keeper(case.way)
    leaf, other = case.plan.build().requires_grad_(), case.plan.build().select(dim, 0).clone()
    function = function_of(MappedSum, "setup")
    mapped = torch.vmap(lambda x, y: function.apply(keeper, x, y), (dim, None), dim, randomness="same")
    found = mapped(leaf, other)
    expected = (shape[dim], "same", (None, dim % len(shape), None), shape, tuple(other.shape))
    expect.equal([expected], keeper.seen, "size, randomness, dimensions and shapes that the vmap method is given")
    array = case.plan.array
    nearly(array + np.take(array, [0], axis=dim), found, "vmap of a custom function")
    torch.autograd.backward(found, torch.ones_like(found))
    nearly(np.full_like(array, 2), expect.tensor(leaf.grad, "gradient"), "gradient through vmap")


@cases(function_transforms.mapped_functions, acts.acted)
def test_vmap_needs_a_rule(case: FunctionKind) -> None:
    """vmap raises for a custom function without a rule, and for one with two."""
    x = case.plan.build()
    for function in (cube_without_a_rule(), cube_with_two_rules()):
        expect.raises(RuntimeError, partial(torch.vmap(function), x), "vmap of a custom function")


@cases(function_transforms.transformed_functions, acts.acted)
def test_transforms_follow_a_custom_function(case: FunctionKind) -> None:
    """The transforms of torch.func give the derivatives of a custom function that has a setup_context."""
    x, array = case.plan.build(), case.plan.array
    nearly(expected_of_transform(case.way, array), transform(case.way, cube(), x), f"{case.way} of a custom function")


@cases(function_transforms.combined_transforms, acts.acted)
def test_transforms_refuse_a_combined_forward(case: FunctionKind) -> None:
    """The transforms of torch.func raise for a custom function whose forward takes ctx."""
    x = case.plan.build()
    expect.raises(RuntimeError, lambda: transform(case.way, cube("ctx"), x), f"{case.way} of a combined forward")


# --- gradcheck ------------------------------------------------------------------------------------------------


@cases(gradchecks.right_functions)
def test_gradcheck_passes_right_gradients(case: Checked) -> None:
    """gradcheck returns True for a function whose gradients are right."""
    found = torch.autograd.gradcheck(case.function(), case.inputs(), **case.options())
    expect.equal(True, found, "gradcheck of right gradients")


@cases(gradchecks.wrong_functions)
def test_gradcheck_finds_a_wrong_element(case: Checked) -> None:
    """gradcheck raises for a function of whose gradients one element is wrong."""
    check = partial(torch.autograd.gradcheck, case.function(), case.inputs(), **case.options())
    expect.raises(RuntimeError, check, f"gradcheck of a gradient that is wrong in: {case.flaw}")


@cases(gradchecks.wrong_functions)
def test_gradcheck_returns_false_without_raising(case: Checked) -> None:
    """With raise_exception=False gradcheck returns False for a function whose gradients are wrong."""
    found = torch.autograd.gradcheck(case.function(), case.inputs(), raise_exception=False, **case.options())
    expect.equal(False, found, f"gradcheck of a gradient that is wrong in: {case.flaw}")


@cases(gradchecks.wrong_tangents)
def test_gradcheck_looks_at_forward_mode_when_asked(case: Checked) -> None:
    """gradcheck finds a wrong tangent with check_forward_ad, and does not look at it without."""
    inputs = case.inputs()
    expect.equal(True, torch.autograd.gradcheck(case.function(), inputs), "gradcheck without check_forward_ad")
    check = partial(torch.autograd.gradcheck, case.function(), inputs, check_forward_ad=True)
    expect.raises(RuntimeError, check, "gradcheck of a wrong tangent")


@cases(gradchecks.wrong_functions)
def test_gradcheck_can_leave_backward_out(case: Checked) -> None:
    """With check_backward_ad=False gradcheck does not look at gradients of backward mode."""
    options = {"check_backward_ad": False, "check_forward_ad": True, "check_undefined_grad": False}
    found = torch.autograd.gradcheck(case.function(), case.inputs(), **options)
    expect.equal(True, found, "gradcheck of tangents alone")


@cases(gradchecks.imprecise_functions)
def test_gradcheck_warns_of_less_precision(case: Checked) -> None:
    """gradcheck warns of inputs of less than double precision."""
    with recorded_warnings() as warned, suppress(RuntimeError):
        torch.autograd.gradcheck(case.function(), case.inputs(), **case.options())
    said = any("double precision" in str(warning.message) for warning in warned)
    expect.that(said, f"gradcheck of {case.plan.dtype}", "a warning of the precision", f"{len(warned)} other warnings")


@cases(gradchecks.overlapping_functions)
def test_gradcheck_of_overlapping_inputs_passes_or_raises(case: Checked) -> None:
    """gradcheck of an input that shares memory with itself returns True or raises."""
    with suppress(RuntimeError, ValueError):
        found = torch.autograd.gradcheck(case.function(), case.inputs(), **case.options())
        expect.equal(True, found, "gradcheck of an expanded input")


@cases(gradchecks.right_functions)
def test_gradcheck_tolerates_what_nondet_tol_says(case: Checked) -> None:
    """gradcheck raises where backward gives other gradients each time, unless nondet_tol allows as much."""
    inputs = case.inputs()
    check = partial(torch.autograd.gradcheck, Restless(case.style), inputs[:1], check_undefined_grad=False)
    expect.raises(RuntimeError, check, "gradcheck of a gradient that changes")
    expect.equal(True, check(nondet_tol=1e-4), "gradcheck of a gradient that changes, with nondet_tol")


@cases(gradchecks.right_functions)
def test_gradcheck_checks_undefined_gradients(case: Checked) -> None:
    """gradcheck raises where backward takes undefined gradients for others than zeros, unless told not to look."""
    check = partial(torch.autograd.gradcheck, Demanding(case.style), case.inputs()[:1])
    expect.raises(RuntimeError, check, "gradcheck of a backward that guesses its gradient")
    expect.equal(True, check(check_undefined_grad=False), "gradcheck without check_undefined_grad")


@cases(gradchecks.right_functions)
def test_gradcheck_checks_batched_gradients(case: Checked) -> None:
    """gradcheck raises with check_batched_grad where backward cannot be batched, and else does not look at it."""
    check = partial(torch.autograd.gradcheck, Unbatched(case.style), case.inputs()[:1])
    expect.equal(True, check(), "gradcheck without check_batched_grad")
    expect.raises(RuntimeError, partial(check, check_batched_grad=True), "gradcheck with check_batched_grad")


@cases(gradchecks.wrong_functions)
def test_gradcheck_follows_its_tolerances(case: Checked) -> None:
    """gradcheck takes a difference for right that atol or rtol allows."""
    for options in ({"atol": 100.0}, {"rtol": 100.0}):
        found = torch.autograd.gradcheck(case.function(), case.inputs(), **options)
        expect.equal(True, found, f"gradcheck with {options}")


@cases(gradchecks.perturbed_functions)
def test_gradcheck_perturbs_by_eps(case: Checked) -> None:
    """gradcheck takes eps for the perturbation of its finite differences."""
    x = case.inputs()[0]
    for eps in (0.25, 2.0**-10):
        noting = Noting(x)
        expect.equal(True, torch.autograd.gradcheck(noting, (x,), eps=eps), f"gradcheck with eps={eps}")
        expect.equal(eps, max(noting.distances), f"largest distance from the input with eps={eps}")


@cases(gradchecks.wrong_by_the_second)
def test_gradcheck_leaves_untracked_inputs_out(case: Checked) -> None:
    """gradcheck does not look at gradients by inputs that require none."""
    first, second = case.inputs()
    found = torch.autograd.gradcheck(case.function(), (first, second.detach()), **case.options())
    expect.equal(True, found, "gradcheck of a gradient that is wrong by an input that requires none")


@cases(gradchecks.right_functions)
def test_gradcheck_needs_a_tracked_input(case: Checked) -> None:
    """gradcheck raises where no input requires grad."""
    inputs = tuple(x.detach() for x in case.inputs())
    check = partial(torch.autograd.gradcheck, case.function(), inputs, **case.options())
    expect.raises((ValueError, RuntimeError), check, "gradcheck without an input that requires grad")


@cases(gradchecks.twice_right_functions, acts.acted)
def test_gradgradcheck_passes_right_gradients(case: Checked) -> None:
    """gradgradcheck returns True for a function whose second derivatives are right."""
    inputs = case.inputs()
    given = tuple(torch.ones_like(x).requires_grad_() for x in inputs)
    for options in ({}, {"gen_non_contig_grad_outputs": True}, {"grad_outputs": given}):
        found = torch.autograd.gradgradcheck(case.function(), inputs, **options, **case.options())
        expect.equal(True, found, f"gradgradcheck with {list(options)}")


@cases(gradchecks.twice_wrong_functions, acts.acted)
def test_gradgradcheck_finds_a_wrong_second_derivative(case: Checked) -> None:
    """gradgradcheck raises, or returns False, where gradients are right and their derivatives wrong."""
    inputs = case.inputs()
    given = tuple(torch.ones_like(x).requires_grad_() for x in inputs)
    expect.equal(True, torch.autograd.gradcheck(case.function(), inputs), "gradcheck of the same")
    check = partial(torch.autograd.gradgradcheck, case.function(), inputs, **case.options())
    expect.raises(RuntimeError, check, "gradgradcheck of a wrong second derivative")
    expect.equal(False, check(raise_exception=False), "gradgradcheck with raise_exception=False")
    found = check(grad_outputs=given, raise_exception=False)
    expect.equal(False, found, "gradgradcheck with grad_outputs and raise_exception=False")


# --- checkpoint: what comes out -------------------------------------------------------------------------------


@cases(checkpoints.regions)
def test_checkpoint_leaves_results_and_gradients_equal(case: CheckpointUse) -> None:
    """A checkpointed function gives the results and the gradients that it gives without checkpoint."""
    leaf, x = case.start()
    other, y = case.start()
    expected, found = REGIONS[case.way](x), case.checkpoint(REGIONS[case.way], y)
    same_results(expected, found, "result")
    case.go_back(expected)
    case.go_back(found)
    same_results(gradients_in([leaf]), gradients_in([other]), "gradient")


@cases(stochastic.stochastic_uses)
def test_checkpoint_repeats_random_steps(case: StochasticUse) -> None:
    """A checkpointed random step gives the results and the gradients that it gives without checkpoint."""
    with seeded(case.seed, case.plan.device):
        step = case.make()
    expected, gradients = case.run(step, step)
    results, found = case.run(partial(case.checkpoint, step), step)
    if case.mode == "reentrant":
        # the forward runs under no_grad, where a kernel may be another one and round otherwise
        with torch.no_grad():
            expected, _ = case.run(step, step)
    same_results(expected, results, "result")
    same_results(gradients, found, "gradient")


@cases(checkpoints.random_checkpoints)
def test_random_steps_are_repeated_however_checkpointed(case: CheckpointUse) -> None:
    """Checkpointed random steps give the same gradients in a sequence, within one another and of several tensors."""
    gradients, states = [], []
    for checkpointed in (False, True):
        leaf, x = case.start()
        with seeded(3, case.plan.device):
            found = case.draw(x, checkpointed)
            torch.rand(5, device=case.plan.device)  # as whatever comes before backward draws
            case.go_back(found)
            states.append(generator_state(case.plan.device))
        gradients.append(gradients_in([leaf]))
    same_results(gradients[0], gradients[1], "gradient")
    same_results(states[0], states[1], "state of the generator after backward")


@cases(checkpoints.real_checkpoints)
def test_checkpoint_puts_the_generator_back(case: CheckpointUse) -> None:
    """The random numbers that come after the backward of a checkpointed function are those without checkpoint."""
    states = []
    for checkpointed in (False, True):
        _, x = case.start()
        with seeded(3, case.plan.device):
            found = case.checkpoint(Drawing(), x) if checkpointed else Drawing()(x)
            between = generator_state(case.plan.device)
            case.go_back(found)
            states.append((between, generator_state(case.plan.device)))
    for when, expected, state in zip(("forward", "backward"), *states, strict=True):
        same_results(expected, state, f"state of the generator after {when}")


@cases(checkpoints.real_checkpoints)
def test_unpreserved_state_draws_again(case: CheckpointUse) -> None:
    """With preserve_rng_state=False the second run draws on from where the generator is."""
    leaf, x = case.start()
    with seeded(3, case.plan.device):
        first, mask = Drawing()(x.detach()), Drawing()(torch.ones_like(x))
        expected = generator_state(case.plan.device)
    with seeded(3, case.plan.device):
        found = case.checkpoint(Drawing(), x, preserve_rng_state=False)
        torch.autograd.backward(found, torch.ones_like(found))
        state = generator_state(case.plan.device)
    same_results(first, found, "result")
    same_results(mask, expect.tensor(leaf.grad, "gradient"), "gradient")
    same_results(expected, state, "state of the generator")


@cases(checkpoints.autocast_uses)
def test_checkpoint_keeps_autocast(case: CheckpointUse) -> None:
    """The second run has the autocast state of the first, whatever state backward has."""
    kind = case.plan.device.split(":")[0]
    leaf, x = case.start()
    function = Casting(torch.ones(x.shape[-1], 2, device=case.plan.device))
    way, _, name = case.way.partition(" in ")
    with torch.autocast(kind, dtype=torch_dtype(name), enabled=way == "forward"):
        expected = torch.mm(x, function.factor).dtype  # not every release casts to every type
        found = case.checkpoint(function, x)
    with torch.autocast(kind, dtype=torch_dtype(name), enabled=way == "backward"):
        torch.autograd.backward(found, torch.ones_like(found))
    expect.equal([expected, expected], function.types, "types of the product in both runs")
    expect.equal(leaf.dtype, expect.tensor(leaf.grad, "gradient").dtype, "type of the gradient")


# --- checkpoint: when the function runs -----------------------------------------------------------------------


@cases(checkpoints.regions)
def test_checkpoint_runs_again_in_backward(case: CheckpointUse) -> None:
    """A checkpointed function runs once in forward and once again in backward, and once under no_grad."""
    function = Noted(REGIONS[case.way])
    _, x = case.start()
    with torch.no_grad():
        case.checkpoint(function, x)
    expect.equal(1, len(function.recording), "runs under no_grad")
    found = case.checkpoint(function, x)
    expect.equal(2, len(function.recording), "runs after forward")
    case.go_back(found)
    expect.equal(3, len(function.recording), "runs after backward")


@cases(checkpoints.checkpoints_in_both_modes)
def test_checkpoint_frees_what_is_saved_within(case: CheckpointUse) -> None:
    """A tensor that is saved within a checkpointed function is freed before backward."""
    plain, function = Holding(), Holding()
    _, x = case.start()
    kept = plain(x), case.checkpoint(function, x)
    expect.that(plain.memory[0]() is not None, "what was saved without checkpoint", "still held", "freed")
    expect.that(function.memory[0]() is None, "what was saved with checkpoint", "freed", "still held")
    case.go_back(kept)


@cases(checkpoints.reentrant_regions)
def test_reentrant_forward_runs_without_grad(case: CheckpointUse) -> None:
    """The reentrant mode runs the function without recording in forward, and records in backward."""
    function = Noted(REGIONS[case.way])
    _, x = case.start()
    case.go_back(case.checkpoint(function, x))
    expect.equal([False, True], function.recording, "is_grad_enabled() in both runs")


@cases(checkpoints.non_reentrant_checkpoints)
def test_non_reentrant_forward_records(case: CheckpointUse) -> None:
    """The non-reentrant mode records in forward, so that backward can be called within the function."""
    function = Noted(inner_gradient)
    leaf, x = case.start()
    found = case.checkpoint(function, x)
    same_results(inner_gradient(x), found, "result")
    case.go_back(found)
    other, y = case.start()
    case.go_back(inner_gradient(y))
    same_results(gradients_in([other]), gradients_in([leaf]), "gradient")
    expect.equal([True] * len(function.recording), function.recording, "is_grad_enabled() in each run")


@cases(checkpoints.non_reentrant_checkpoints)
def test_non_reentrant_stops_early(case: CheckpointUse) -> None:
    """The non-reentrant mode ends its second run as soon as everything that is needed was computed."""
    function = Noted()
    _, x = case.start()
    case.go_back(case.checkpoint(function, x))
    expect.equal(["begin", "middle", "end", "begin", "middle"], function.steps, "steps of both runs")


@cases(checkpoints.disabled_early_stops, acts.acted)
def test_early_stop_can_be_disabled(case: CheckpointUse) -> None:
    """Within set_checkpoint_early_stop(False) a function runs again to its end, also in a backward that comes later."""
    function = Noted()
    _, x = case.start()
    stop = torch.utils.checkpoint.set_checkpoint_early_stop
    with stop(case.way == "nested contexts"), stop(False):
        found = case.checkpoint(function, x)
    case.go_back(found)
    expect.equal(["begin", "middle", "end"] * 2, function.steps, "steps of both runs")
    again = Noted()
    case.go_back(case.checkpoint(again, case.start()[1]))
    expect.equal(["begin", "middle", "end", "begin", "middle"], again.steps, "steps of both runs after the context")


@cases(checkpoints.non_reentrant_checkpoints)
def test_early_stop_argument_is_overridden(case: CheckpointUse) -> None:
    """With early_stop=False a checkpointed function runs again to its end unless the context manager says otherwise."""
    function, overridden = Noted(), Noted()
    _, x = case.start()
    case.go_back(case.checkpoint(function, x, early_stop=False))
    expect.equal(["begin", "middle", "end"] * 2, function.steps, "steps of both runs")
    with torch.utils.checkpoint.set_checkpoint_early_stop(True):
        found = case.checkpoint(overridden, case.start()[1], early_stop=False)
    case.go_back(found)
    expect.equal(["begin", "middle", "end", "begin", "middle"], overridden.steps, "steps of both runs when overridden")


@cases(checkpoints.reentrant_checkpoints)
def test_reentrant_runs_to_the_end(case: CheckpointUse) -> None:
    """The reentrant mode runs the function in its entirety in backward."""
    function = Noted()
    _, x = case.start()
    case.go_back(case.checkpoint(function, x))
    expect.equal(["begin", "middle", "end"] * 2, function.steps, "steps of both runs")


@cases(checkpoints.branching_checkpoints)
def test_group_runs_again_once(case: CheckpointUse) -> None:
    """Several backward calls within one GraphExecGroup run a checkpointed function again at most once."""
    function = Noted(two_branches)
    leaf, x = case.start()
    found = case.checkpoint(function, x)
    with torch.utils.checkpoint.GraphExecGroup():
        for y in found:
            case.go_back(y)
    expect.equal(2, len(function.recording), "runs of the function")
    other, y = case.start()
    for branch in two_branches(y):
        case.go_back(branch)
    same_results(gradients_in([other]), gradients_in([leaf]), "gradient")


# --- checkpoint: ways to go back ------------------------------------------------------------------------------


@cases(checkpoints.regions_without_reentry)
def test_non_reentrant_supports_every_backward(case: CheckpointUse) -> None:
    """The non-reentrant mode supports autograd.grad, inputs=, retain_graph and double backward."""
    kept = []
    for call in (REGIONS[case.way], partial(case.checkpoint, REGIONS[case.way])):
        leaf, x = case.start()
        found = call(x)
        first = found[0] if isinstance(found, tuple) else found
        upstream = case.upstream(first)
        gradients = [*torch.autograd.grad(first, leaf, upstream, retain_graph=True)]
        torch.autograd.backward(first, upstream, inputs=[leaf], retain_graph=True)
        gradients += gradients_in([leaf])
        gradients += torch.autograd.grad(first, leaf, upstream, create_graph=True)
        gradients += torch.autograd.grad(gradients[-1], leaf, torch.ones_like(leaf))
        kept.append(gradients)
    same_results(kept[0], kept[1], "gradient")


@cases(checkpoints.reentrant_regions)
def test_reentrant_refuses_grad_and_inputs(case: CheckpointUse) -> None:
    """In the reentrant mode autograd.grad and backward with inputs= raise."""
    leaf, x = case.start()
    found = case.checkpoint(REGIONS[case.way], x)
    first = found[0] if isinstance(found, tuple) else found
    upstream = case.upstream(first)
    expect.raises(RuntimeError, lambda: torch.autograd.grad(first, leaf, upstream), "autograd.grad")
    again = partial(torch.autograd.backward, first, upstream, inputs=[leaf])
    expect.raises(RuntimeError, again, "backward with inputs=")


# --- checkpoint: what is tracked ------------------------------------------------------------------------------


@cases(checkpoints.nested_arguments)
def test_non_reentrant_tracks_nested_tensors(case: CheckpointUse) -> None:
    """The non-reentrant mode gives their gradients to tensors in nested structures and in keyword arguments."""
    kept = []
    for call in (nested_product, partial(case.checkpoint, nested_product)):
        (leaf, x), (other, y) = case.start(), case.start()
        args, kwargs = arguments_of(case.way, x, y * 2)
        found = call(*args, **kwargs)
        case.go_back(found)
        kept.append([found, *gradients_in([leaf, other])])
    same_results(kept[0], kept[1], "result or gradient")


@cases(checkpoints.reentrant_checkpoints)
def test_reentrant_needs_a_tracked_argument(case: CheckpointUse) -> None:
    """In the reentrant mode the result has no gradient unless a direct argument requires one."""
    leaf, x = case.start()
    in_the_graph(case.checkpoint(Scaled(x), leaf.detach()), False, "the result of a closure")
    for way in ("list", "dict", "object"):
        args, _ = arguments_of(way if way != "dict" else "dict", x, x)
        in_the_graph(case.checkpoint(nested_product, *args), False, f"the result of a {way}")
    in_the_graph(case.checkpoint(Scaled(x), x), True, "the result of a direct argument")


@cases(checkpoints.non_reentrant_checkpoints)
def test_non_reentrant_needs_no_tracked_argument(case: CheckpointUse) -> None:
    """The non-reentrant mode gives gradients to tensors that are no direct arguments of the function."""
    kept = []
    for checkpointed in (False, True):
        leaf, x = case.start()
        function, constant = Scaled(x), leaf.detach()
        found = case.checkpoint(function, constant) if checkpointed else function(constant)
        case.go_back(found)
        kept.append([found, *gradients_in([leaf])])
    same_results(kept[0], kept[1], "result or gradient")


@cases(checkpoints.reentrant_checkpoints)
def test_reentrant_detached_result_raises(case: CheckpointUse) -> None:
    """In the reentrant mode backward raises where the function detaches all of its results."""
    for function in (detached_result, result_without_grad):
        found = case.checkpoint(function, case.start()[1])
        expect.raises(RuntimeError, partial(case.go_back, found), f"backward of a {function.__name__}")


@cases(checkpoints.non_reentrant_checkpoints)
def test_non_reentrant_takes_detached_tensors(case: CheckpointUse) -> None:
    """The non-reentrant mode gives the right gradients where the function detaches tensors."""
    kept = []
    for call in (partly_detached, partial(case.checkpoint, partly_detached)):
        leaf, x = case.start()
        first, second = call(x)
        case.go_back(first)
        kept.append([first, second, *gradients_in([leaf])])
        expect.equal((True, False), (first.requires_grad, second.requires_grad), "requires_grad of both results")
    same_results(kept[0], kept[1], "result or gradient")


# --- checkpoint: arguments ------------------------------------------------------------------------------------


@cases(checkpoints.non_reentrant_checkpoints, acts.acted)
def test_checkpoint_without_a_mode_is_noticed(case: CheckpointUse) -> None:
    """A call without use_reentrant warns or raises."""
    _, x = case.start()
    for call in (partial(torch.utils.checkpoint.checkpoint, region_of_sines, x), partial(plain_sequence, x)):
        with recorded_warnings() as warned:
            raised = None
            try:
                call()
            except (ValueError, TypeError, RuntimeError) as error:
                raised = error
        said = " ".join(str(warning.message) for warning in warned) + str(raised)
        expect.that("use_reentrant" in said, "a call without use_reentrant", "a warning or an error", "neither")


@cases(checkpoints.non_reentrant_checkpoints, acts.acted)
def test_checkpoint_without_a_mode_raises(case: CheckpointUse) -> None:
    """A call without use_reentrant raises."""
    _, x = case.start()
    kinds = (ValueError, TypeError, RuntimeError)
    expect.raises(kinds, partial(torch.utils.checkpoint.checkpoint, region_of_sines, x), "checkpoint without a mode")


@cases(checkpoints.differing_functions)
def test_differing_second_run_raises(case: CheckpointUse) -> None:
    """Backward raises where a tensor that the second run saves has another shape or type than in the first."""
    _, x = case.start()
    for options in ({}, {"determinism_check": "default"}):
        found = case.checkpoint(Differing(case.way), x, **options)
        expect.raises(RuntimeError, partial(case.go_back, found), f"backward with another {case.way}")


@cases(checkpoints.differing_types)
def test_determinism_check_can_be_disabled(case: CheckpointUse) -> None:
    """With determinism_check="none", and in the reentrant mode, a second run of another type raises nothing."""
    leaf, x = case.start()
    found = case.checkpoint(
        Differing("dtype"), x, **({} if case.mode == "reentrant" else {"determinism_check": "none"})
    )
    case.go_back(found)
    expect.equal(leaf.dtype, expect.tensor(leaf.grad, "gradient").dtype, "type of the gradient")


@cases(checkpoints.non_reentrant_checkpoints)
def test_determinism_check_takes_two_values(case: CheckpointUse) -> None:
    """A determinism_check other than the documented ones raises."""
    _, x = case.start()
    for value in ("strict", "Default", "", "NONE"):
        again = partial(case.checkpoint, region_of_sines, x, determinism_check=value)
        expect.raises(ValueError, again, f"determinism_check={value!r}")


@cases(checkpoints.non_reentrant_checkpoints)
def test_context_fn_surrounds_both_runs(case: CheckpointUse) -> None:
    """The first run is within the first context manager that context_fn returns, and the second within the second."""
    function = WatchedContexts()
    _, x = case.start()
    found = case.checkpoint(function, x, context_fn=function.contexts)
    expect.equal(["enter first", "run", "leave first"], function.log, "what happened in forward")
    case.go_back(found)
    expect.equal(["enter second", "run", "leave second"], function.log[3:], "what happened in backward")


@cases(checkpoints.reentrant_checkpoints)
def test_reentrant_refuses_the_options_of_the_other(case: CheckpointUse) -> None:
    """The reentrant mode raises for context_fn, for debug and for keyword arguments of the function."""
    _, x = case.start()
    for options in ({"context_fn": WatchedContexts().contexts}, {"debug": True}, {"y": x}):
        again = partial(case.checkpoint, nested_product, x, **options)
        expect.raises(ValueError, again, f"{next(iter(options))} in the reentrant mode")


@cases(checkpoints.explained_functions)
def test_debug_names_the_operators_of_both_runs(case: CheckpointUse) -> None:
    """With debug, or within set_checkpoint_debug_enabled, the error names the operators of both runs."""
    _, x = case.start()
    enabled = torch.utils.checkpoint.set_checkpoint_debug_enabled
    for flag, debug in ((None, True), (True, False), (False, True)):
        with enabled(flag):
            found = case.checkpoint(Differing(case.way), x, debug=debug)
        said = str(expect.raises(RuntimeError, partial(case.go_back, found), "backward with another second run"))
        named = ["aten.sin" in said, "aten.exp" in said]
        says = f"whether sin and exp are named with debug={debug} within set_checkpoint_debug_enabled({flag})"
        expect.equal([flag is not False] * 2, named, says)


@cases(checkpoints.non_reentrant_checkpoints)
def test_selected_operators_are_kept(case: CheckpointUse) -> None:
    """Operators that are selected to be saved do not run again in backward, and the gradients are equal."""
    kept = []
    leaf, x = case.start()
    case.go_back(sines_and_exponential(x))
    expected = gradients_in([leaf])
    make = torch.utils.checkpoint.create_selective_checkpoint_contexts
    for selected in ([torch.ops.aten.sin.default], [torch.ops.aten.exp.default], []):
        other, y = case.start()
        found = case.checkpoint(sines_and_exponential, y, context_fn=partial(make, selected))
        kept = operations_in(partial(case.go_back, found))
        for operator in (torch.ops.aten.sin.default, torch.ops.aten.exp.default):
            expect.equal(operator not in selected, str(operator) in kept, f"whether {operator} runs again")
        same_results(expected, gradients_in([other]), "gradient")


# --- checkpoint of a sequence ---------------------------------------------------------------------------------


@cases(checkpoints.sequences)
def test_sequence_leaves_results_and_gradients_equal(case: CheckpointUse) -> None:
    """checkpoint_sequential gives the results and the gradients of the modules one after another."""
    functions, segments = five_steps(), int(case.way)
    (leaf, x), (other, y) = case.start(), case.start()
    for k, function in enumerate(functions):
        begun, within = divmod(k, len(functions) // segments)
        if case.mode == "reentrant" and within == 0 and begun < segments - 1:
            x.register_hook(laid_out_as(x))
        x = function(x)
    found = sequence(functions, segments, y, case.mode)
    same_results(x, found, "result")
    case.go_back(x)
    case.go_back(found)
    same_results(gradients_in([leaf]), gradients_in([other]), "gradient")


@cases(checkpoints.sequences)
def test_last_segment_of_a_sequence_runs_once(case: CheckpointUse) -> None:
    """checkpoint_sequential runs every segment again in backward but the last."""
    functions, segments = five_steps(), int(case.way)
    _, x = case.start()
    case.go_back(sequence(functions, segments, x, case.mode))
    again = len(functions) // segments * (segments - 1)
    runs = [len(function.recording) for function in functions]
    expect.equal([2] * again + [1] * (len(functions) - again), runs, "runs of each function")


# --- random programs ------------------------------------------------------------------------------------------


@cases(program_sources.some_programs)
def test_recording_leaves_the_values_alone(case: Program) -> None:
    """Operations that autograd records compute the values that they compute without it."""
    live = case.run()
    for expected, found, name in zip(evaluated(case), live.values, case.names(), strict=True):
        close_values(case, expected.value, contents(found.detach()), f"value {name}")


@cases(program_sources.every_program)
def test_gradients_of_programs_are_the_derivatives(case: Program) -> None:
    """Where a program is differentiable, backward leaves in every leaf the derivative by it."""
    live = case.run()
    backward_or_refused(live)
    close_to_duals(case, slopes_of(case), [leaf.grad for leaf in live.leaves], leaf_names(case))


@cases(program_sources.some_programs)
def test_gradients_have_the_type_of_their_leaves(case: Program) -> None:
    """The gradient of a leaf has the leaf's element type, shape and device, whatever types the program goes through."""
    live = case.run()
    backward_or_refused(live)
    for leaf, name in zip(live.leaves, leaf_names(case), strict=True):
        if leaf.grad is not None:
            expected = (leaf.dtype, tuple(leaf.shape), leaf.device)
            expect.equal(expected, (leaf.grad.dtype, tuple(leaf.grad.shape), leaf.grad.device), name)


@cases(program_sources.some_programs, acts.acted)
def test_backward_and_grad_agree(case: Program) -> None:
    """What backward leaves in ``.grad`` is what ``autograd.grad`` returns."""
    live, other = case.run(), case.run()
    backward_or_refused(live)
    for leaf, gradient, name in zip(live.leaves, other.gradients(), leaf_names(case), strict=True):
        expect.equal(leaf.grad is None, gradient is None, f"{name} is None, of backward and of autograd.grad")
        if leaf.grad is not None:
            close_values(case, numbers_of(leaf.grad), numbers_of(expect.tensor(gradient, name)), name)


@cases(program_sources.some_programs, acts.acted)
def test_grad_of_a_program_leaves_grad_alone(case: Program) -> None:
    """autograd.grad of a program leaves ``.grad`` of its leaves as it was: None, or what backward has put there."""
    passed, fresh = case.run(), case.new_leaves()
    backward_or_refused(passed)
    for leaves in (fresh, passed.leaves):
        before = [grad_state(leaf) for leaf in leaves]
        case.run(leaves).gradients()
        for state, leaf, name in zip(before, leaves, leaf_names(case), strict=True):
            kept_grad(state, leaf, f"{name} after autograd.grad")


@cases(program_sources.some_programs)
def test_runs_of_a_program_add_up(case: Program) -> None:
    """Each further run of a program adds its gradients to those that the leaves hold."""
    leaves = case.new_leaves()
    for times in (1, 2, 3):
        backward_or_refused(case.run(leaves))
        expected = [times * slope for slope in slopes_of(case)]
        names = [f"{name} after run {times}" for name in leaf_names(case)]
        close_to_duals(case, expected, [leaf.grad for leaf in leaves], names)


@cases(program_sources.unused_programs)
def test_unused_leaves_get_no_gradient(case: Program) -> None:
    """A leaf that no root depends on keeps ``.grad`` None, and one whose derivative is not zero gets a gradient."""
    live = case.run()
    backward_or_refused(live)
    reached = frozenset().union(*(case.ledger.leaves_of(root) for root in case.roots))
    slopes = slopes_of(case)
    for number, (leaf, name) in enumerate(zip(live.leaves, leaf_names(case), strict=True)):
        if number not in reached:
            expect.that(leaf.grad is None, f"{name}, which is not used", "None", leaf.grad)
        elif slopes[number].any():
            expect.tensor(leaf.grad, name)


@cases(program_sources.unrecorded_programs)
def test_unrecorded_parts_are_constants(case: Program) -> None:
    """What is detached or computed under no_grad counts as a constant: no gradient flows through it."""
    live = case.run()
    for number, step in enumerate(case.steps, len(case.leaves)):
        # a constant that is written afterwards may join the graph by that
        if (step.silent or step.kind == "detached") and case.ledger.memory[number] not in case.ledger.written:
            expect.equal(False, live.values[number].requires_grad, f"requires_grad of {case.names()[number]}")
    backward_or_refused(live)
    close_to_duals(case, slopes_of(case), [leaf.grad for leaf in live.leaves], leaf_names(case))


@cases(program_sources.written_programs)
def test_programs_that_write_are_right_or_refused(case: Program) -> None:
    """Where backward of a program that writes in place raises nothing, its gradients are the derivatives."""
    live = case.run()
    backward_or_refused(live)
    close_to_duals(case, slopes_of(case), [leaf.grad for leaf in live.leaves], leaf_names(case))


@cases(program_sources.harmless_programs)
def test_harmless_writes_are_accepted(case: Program) -> None:
    """Backward of a program that writes only to what no derivative needs is not refused."""
    backward_accepted(case.run())


@cases(program_sources.joining_programs)
def test_view_of_a_constant_that_joined_the_graph_can_be_written(case: Program) -> None:
    """A view of a constant that a write has made part of the graph can be written in place as any other view."""
    live = case.run()
    live.backward()
    close_to_duals(case, slopes_of(case), [leaf.grad for leaf in live.leaves], leaf_names(case))


@cases(program_sources.retaining_programs, acts.acted)
def test_retained_gradients_are_the_derivatives(case: Program) -> None:
    """A value inside a program that retains its gradient holds the derivative by it after backward."""
    retained = case.retainable()
    live = case.run(retained=retained)
    backward_or_refused(live)
    expected = slopes_of(case, retained=retained)
    names = [*leaf_names(case), *(f"retained gradient of {case.names()[i]}" for i in retained)]
    close_to_duals(case, expected, [*(x.grad for x in live.leaves), *(live.values[i].grad for i in retained)], names)


@cases(program_sources.exact_programs)
def test_second_derivatives_of_programs_are_right(case: Program) -> None:
    """The gradients that create_graph=True gives can be differentiated once more, and that gives second derivatives."""
    found = second_gradients(case.run())
    for expected, gradient, name in zip(second_slopes(case), found, leaf_names(case), strict=True):
        numbers = 0 * expected if gradient is None else numbers_of(gradient)
        close_gradients(expected, numbers, f"second {name}", SECOND, "differences of dual numbers", whole=True)


# --- derivatives of single operators ----------------------------------------------------------------------------


@cases(derivation_sources.real_methods)
def test_methods_have_the_gradients_of_their_values(case: Derivation) -> None:
    """Where a method of a tensor is differentiable, its gradient by each operand is the derivative."""
    right_gradients(case)


@cases(derivation_sources.complex_methods)
def test_complex_methods_have_the_gradients_of_their_values(case: Derivation) -> None:
    """The gradient of a method by a complex operand is the derivative by the real part plus 1j times the other."""
    right_gradients(case)


@cases(derivation_sources.twice_methods)
def test_methods_have_second_derivatives(case: Derivation) -> None:
    """The gradients of a method that create_graph=True gives have the right gradients themselves."""
    right_second_gradients(case)


@cases(derivation_sources.laid_out_methods)
def test_gradients_of_methods_have_the_layout_of_their_leaves(case: Derivation) -> None:
    """The first gradient through a method has the strides of a dense leaf, and is row-major for any other leaf."""
    first_gradients_laid_out(case)


@cases(derivation_sources.real_functions)
def test_functions_have_the_gradients_of_their_values(case: Derivation) -> None:
    """Where a function is differentiable, its gradient by each operand is the derivative."""
    right_gradients(case)


@cases(derivation_sources.complex_functions)
def test_complex_functions_have_the_gradients_of_their_values(case: Derivation) -> None:
    """The gradient of a function by a complex operand is the derivative by the real part plus 1j times the other."""
    right_gradients(case)


@cases(derivation_sources.twice_functions)
def test_functions_have_second_derivatives(case: Derivation) -> None:
    """The gradients of a function that create_graph=True gives have the right gradients themselves."""
    right_second_gradients(case)


@cases(derivation_sources.laid_out_functions)
def test_gradients_of_functions_have_the_layout_of_their_leaves(case: Derivation) -> None:
    """The first gradient through a function has the strides of a dense leaf, and is row-major for any other leaf."""
    first_gradients_laid_out(case)


@cases(derivation_sources.hard_samples)
def test_hard_sample_is_differentiated_as_the_soft_one(case: Derivation) -> None:
    """With hard=True gumbel_softmax has the gradient that it has without."""
    right_gradients(case, derivation_sources.softened(case))
