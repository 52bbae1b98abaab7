"""Checks of ``specs/leaves.yaml``: leaves, retained gradients, grad modes, inference tensors and hooks.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import numpy as np
import torch

from conformance.engine.cases import cases
from conformance.inputs import (
    acts,
    chains,
    decorated_modes,
    dual_tensors,
    grad_modes,
    hook_case_sources,
    hook_sources,
    inference_tensors,
    leaves,
    retained_writes,
)
from conformance.inputs.bridges import Applied
from conformance.inputs.chains import Chain
from conformance.inputs.decorated_modes import Decorated, Driven, narrator
from conformance.inputs.dual_tensors import DualCall, dual_level
from conformance.inputs.frozen_modules import (
    Frozen,
    frozen_modules,
    generator_kept,
    modes_of_modules,
    modules_to_switch,
)
from conformance.inputs.grad_modes import ModeNest, Under, gradients_kept, mode_of, planned_leaf, under
from conformance.inputs.histories import History, action_histories
from conformance.inputs.hook_cases import (
    AccumulationChange,
    DifferentiatedHook,
    HookRefusal,
    HookTarget,
    NestedCall,
    SplitHook,
    ThreadedHook,
    WrittenView,
    WrongResult,
)
from conformance.inputs.hooks import HookedGraph, node_of
from conformance.inputs.inference_tensors import Inferred
from conformance.inputs.leaves import Joint
from conformance.inputs.retained_writes import RetainedWrite
from conformance.inputs.shared_leaves import SharedLeaves, shared_leaves
from conformance.inputs.thread_modes import ModeThreads, mode_threads, run_in_a_thread
from conformance.oracles import expect, hook_model, memory, numbers
from conformance.oracles.autograd_flags import (
    LEAF_STATE,
    PLAIN_STATE,
    RECORDED_STATE,
    chain_has_gradients,
    counts_up,
    has_gradient,
    has_no_gradient,
    in_state,
)
from conformance.oracles.children import outlives
from conformance.oracles.decorated_calls import calls_restore
from conformance.oracles.flag_histories import follows_the_model
from conformance.oracles.history import graph_state
from conformance.oracles.hook_model import expected_run, found_run
from conformance.oracles.mode_model import ModeState, Sight, look_with, mode_entered, mode_within, shows_mode

# --- leaves -----------------------------------------------------------------------------------------------------


@cases(leaves.unrecorded_calls, acts.acted)
def test_tensor_without_grad_is_a_leaf(case: Applied) -> None:
    """A tensor that does not require grad is a leaf and has no grad_fn, also as the result of an operation."""
    x = case.build()
    in_state(PLAIN_STATE, x, "x")
    in_state(PLAIN_STATE, case.on(x), case.expression)


@cases(leaves.requiring_factories)
def test_created_tensor_is_a_leaf(case: Applied) -> None:
    """A tensor that is created with requires_grad=True requires grad, is a leaf and has no grad_fn."""
    found = in_state(LEAF_STATE, case.on(case.build()), case.expression)
    has_no_gradient(found, case.expression)


@cases(leaves.recorded_calls)
def test_recorded_result_is_no_leaf(case: Applied) -> None:
    """The result of an operation on a tensor that requires grad requires grad, is no leaf and has a grad_fn."""
    x = case.build()
    before = graph_state(x)
    in_state(RECORDED_STATE, case.on(x), case.expression)
    expect.equal(before, graph_state(x), f"graph of x after {case.expression}")


@cases(leaves.recorded_calls, acts.acted)
def test_grad_fn_is_a_node(case: Applied) -> None:
    """The grad_fn of a recorded result is a node of the graph, and that of a leaf is None."""
    x = case.build()
    found = case.on(x).grad_fn
    expect.that(isinstance(found, torch.autograd.graph.Node), "grad_fn", "an autograd.graph.Node", type(found).__name__)
    expect.equal(x.is_leaf, x.grad_fn is None, "whether grad_fn of x is None")


@cases(leaves.casts_of_requiring)
def test_cast_of_a_requiring_tensor_is_no_leaf(case: Applied) -> None:
    """A tensor that was cast or copied to a device from one that requires grad is no leaf."""
    in_state(RECORDED_STATE, case.on(case.build()), case.expression)


@cases(leaves.casts_of_plain)
def test_cast_of_a_plain_tensor_is_a_leaf(case: Applied) -> None:
    """A tensor that was cast or copied to a device from one that requires no grad is a leaf, and stays one when it is told to require grad."""  # noqa: E501
    found = in_state(PLAIN_STATE, case.on(case.build()), case.expression)
    in_state(LEAF_STATE, found.requires_grad_(), f"{case.expression}.requires_grad_()")


@cases(leaves.counting_calls, acts.acted)
def test_counts_do_not_require_grad(case: Applied) -> None:
    """A result of bool or integral type does not require grad, whatever went in."""
    in_state(PLAIN_STATE, case.on(case.build()), case.expression)


@cases(leaves.joints)
def test_recorded_only_if_an_input_requires_grad(case: Joint) -> None:
    """An operation is recorded if at least one of its inputs requires grad, and not otherwise."""
    operands = case.build()
    expected = RECORDED_STATE if case.requiring else PLAIN_STATE
    found = in_state(expected, case.on(operands), f"{case.expression} where {case.requiring or 'none'} require grad")
    if case.requiring:
        found.backward(torch.ones_like(found))
    for name, operand in operands.items():
        expect.equal(name in case.requiring, operand.grad is not None, f"whether {name} has a gradient")


@cases(leaves.silent_factories)
def test_requires_grad_defaults_to_false(case: Applied) -> None:
    """A tensor that is created without a word about gradients, or with requires_grad=False, does not require grad."""
    in_state(PLAIN_STATE, case.on(case.build()), case.expression)


# --- the flag ---------------------------------------------------------------------------------------------------


@cases(leaves.parameters)
def test_parameter_requires_grad(case: Applied) -> None:
    """A Parameter requires grad by default and is a leaf, whatever tensor it is made of."""
    x = case.build()
    before = graph_state(x)
    found = in_state(LEAF_STATE, case.on(x), case.expression)
    expect.that(isinstance(found, torch.nn.Parameter), case.expression, "a Parameter", type(found).__name__)
    expect.equal(before, graph_state(x), "graph of the tensor that the parameter is made of")


@cases(leaves.frozen_parameters)
def test_parameter_can_be_told_not_to_require_grad(case: Applied) -> None:
    """A Parameter made with requires_grad=False does not require grad."""
    found = in_state(PLAIN_STATE, case.on(case.build()), case.expression)
    expect.that(isinstance(found, torch.nn.Parameter), case.expression, "a Parameter", type(found).__name__)


@cases(leaves.setters)
def test_requires_grad_can_be_set(case: Applied) -> None:
    """requires_grad_ and an assignment to requires_grad change the flag of the tensor itself; the method returns it."""
    x = case.build()
    elements = memory.contents(x)
    found = case.on(x)
    if "requires_grad_(" in case.expression:
        expect.same_object(x, found, case.expression)
    in_state(LEAF_STATE, x, f"x after {case.expression}")
    memory.same_elements(elements, memory.contents(x), f"x after {case.expression}")


@cases(leaves.setters, acts.acted)
def test_requires_grad_begins_recording(case: Applied) -> None:
    """Once a tensor has been made to require grad, autograd records what is computed from it."""
    x = case.build()
    case.on(x)
    for times in (1, 2):
        in_state(RECORDED_STATE, x * 2, "x * 2").backward(torch.ones_like(x))
        has_gradient(np.full(case.plan.shape, 2 * times, memory.contents(x).dtype), x, f"x after {times} backward")


@cases(leaves.clearers)
def test_requires_grad_false_ends_recording(case: Applied) -> None:
    """Once a leaf has been told not to require grad, autograd records nothing that is computed from it."""
    x = case.build()
    in_state(RECORDED_STATE, x * 2, "x * 2 before")
    case.on(x)
    in_state(PLAIN_STATE, x, f"x after {case.expression}")
    in_state(PLAIN_STATE, x * 2, f"x * 2 after {case.expression}")
    in_state(LEAF_STATE, x.requires_grad_(), "x after requires_grad_() again")


@cases(leaves.setters_of_counts)
def test_counts_cannot_require_grad(case: Applied) -> None:
    """A tensor of integers or bools cannot be made to require grad."""
    x = case.build()
    expect.raises(RuntimeError, lambda: case.on(x), f"{case.expression} of {case.plan.dtype}")
    in_state(PLAIN_STATE, x, f"x after {case.expression}")


@cases(leaves.counting_factories)
def test_counts_cannot_be_created_to_require_grad(case: Applied) -> None:
    """A tensor of integers or bools cannot be created with requires_grad=True."""
    expect.raises(RuntimeError, lambda: case.on(case.build()), case.expression)


@cases(leaves.clearers_of_counts)
def test_counts_may_be_told_not_to_require_grad(case: Applied) -> None:
    """A tensor of integers or bools accepts requires_grad=False."""
    x = case.build()
    case.on(x)
    in_state(PLAIN_STATE, x, f"x after {case.expression}")


@cases(leaves.setters_of_grown)
def test_non_leaf_always_requires_grad(case: Applied) -> None:
    """A tensor with a grad_fn requires grad, and keeps its grad_fn, whatever its flag is told to be."""
    x = case.build()
    node = x.grad_fn
    with suppress(RuntimeError):
        case.on(x)
    in_state(RECORDED_STATE, x, f"x after {case.expression}")
    expect.same_object(node, x.grad_fn, f"grad_fn of x after {case.expression}")


@cases(leaves.clearers_of_grown)
def test_flag_of_a_non_leaf_cannot_be_cleared(case: Applied) -> None:
    """Telling a tensor with a grad_fn not to require grad raises."""
    x = case.build()
    expect.raises(RuntimeError, lambda: case.on(x), f"{case.expression} of a non-leaf")


# --- gradients --------------------------------------------------------------------------------------------------


@cases(chains.plain_chains)
def test_grad_is_none_at_first(case: Chain) -> None:
    """grad is None until backward computes a gradient for the tensor, and a tensor from then on."""
    values = case.build()
    for number, value in enumerate(values):
        has_no_gradient(value, f"value {number} before backward")
    case.backward(values)
    expect.tensor(values[0].grad, ".grad of the leaf after backward")


@cases(chains.plain_chains)
def test_only_leaves_get_gradients(case: Chain) -> None:
    """backward leaves the right gradient in the leaf, and none in what was computed on the way."""
    values = case.build()
    case.backward(values)
    chain_has_gradients(case, values, ())


@cases(shared_leaves)
def test_leaves_in_one_storage_have_gradients_of_their_own(case: SharedLeaves) -> None:
    """Of two leaves in one storage each gets the gradient computed for it, and not the other's."""
    x, y = case.build()
    for tensor, factor, uses in ((x, 2, case.uses[0]), (y, -3, case.uses[1])):
        for _ in range(uses):
            (tensor * factor).backward(torch.ones_like(tensor))
    for name, tensor, gradient in (("x", x, 2 * case.uses[0]), ("y", y, -3 * case.uses[1])):
        if gradient:
            has_gradient(np.full(tuple(tensor.shape), gradient, memory.contents(tensor).dtype), tensor, name)
        else:
            has_no_gradient(tensor, name)


@cases(frozen_modules)
def test_frozen_parameters_get_no_gradient(case: Frozen) -> None:
    """Parameters that were told not to require grad keep their .grad as it is, and the others get the right one."""
    with generator_kept(case.device):
        whole, module = case.build(), case.build()
        frozen = {id(p): p.grad for p in case.freeze(module)}
        expect.equal([p for p in module.parameters() if id(p) in frozen and p.requires_grad], [], "frozen that require")
        for built in (whole, module):
            torch.manual_seed(3)
            result = built(case.input())
            if result.requires_grad:
                result.backward(torch.ones_like(result))
    for number, (free, parameter) in enumerate(zip(whole.parameters(), module.parameters(), strict=True)):
        what = f"parameter {number} of {case.module}"
        if id(parameter) in frozen:
            expect.same_object(frozen[id(parameter)], parameter.grad, f".grad of frozen {what}")
            if parameter.grad is not None:
                has_gradient(np.ones(tuple(parameter.shape)), parameter, f"frozen {what}")
        else:
            expected = memory.contents(expect.tensor(free.grad, f".grad of {what} where none is frozen"))
            found = memory.contents(expect.tensor(parameter.grad, f".grad of {what}"))
            numbers.close(expected, found, "float64", "accumulated", f".grad of {what}", both_rounded=True)


@cases(modules_to_switch, acts.acted)
def test_module_requires_grad_sets_every_parameter(case: Frozen) -> None:
    """Module.requires_grad_ sets the flag of all of the module's parameters, and returns the module."""
    with generator_kept(case.device):
        module = case.build()
    case.freeze(module)
    for flag in (True, False):
        expect.same_object(module, module.requires_grad_(flag), f"module.requires_grad_({flag})")
        flags = {parameter.requires_grad for parameter in module.parameters()}
        expect.equal({flag}, flags, f"requires_grad of the parameters after module.requires_grad_({flag})")
    expect.equal([], [b for b in module.buffers() if b.requires_grad], "buffers that require grad")


@cases(modes_of_modules)
def test_evaluation_mode_records_the_same(case: Frozen) -> None:
    """Evaluation mode changes neither what is recorded nor any flag, with gradients on or off."""
    with generator_kept(case.device):
        module = case.build()
        case.freeze(module)
        flags = [p.requires_grad for p in module.parameters()]
        for modes in ((), (grad_modes.NO_GRAD,), (grad_modes.INFERENCE,), (grad_modes.NO_GRAD, grad_modes.ENABLE_GRAD)):
            found = [under(modes, partial(case.forward, module, mode)) for mode in (True, False)]
            what = f"results in evaluation mode under {modes or 'no mode'}"
            expect.equal([graph_state(found[0]), found[0].is_inference()],
                         [graph_state(found[1]), found[1].is_inference()], f"graph of {what}")  # fmt: skip
            expected = any(flags) and mode_within(modes).records
            expect.equal(expected, found[1].requires_grad, f"requires_grad of {what}")
    expect.equal(flags, [p.requires_grad for p in module.parameters()], "flags of the parameters")
    expect.equal(True, torch.is_grad_enabled(), "is_grad_enabled() after eval()")


# --- retain_grad ------------------------------------------------------------------------------------------------


@cases(chains.keeping_chains)
def test_retain_grad_keeps_the_gradient(case: Chain) -> None:
    """backward leaves the gradient in a non-leaf of which retain_grad was called, and in no other."""
    values = case.build()
    case.backward(values)
    chain_has_gradients(case, values, case.kept)


@cases(chains.keeping_chains, acts.acted)
def test_retained_grad_equals_autograd_grad(case: Chain) -> None:
    """The gradient that a non-leaf retains is the one that autograd.grad computes by it."""
    values = case.build()
    wanted = [values[number] for number in case.kept if 0 < number]
    case.backward(values)
    again = case.build()
    computed = (
        torch.autograd.grad(again[-1], [again[n] for n in case.kept if 0 < n], case.seed(again).build())
        if wanted
        else ()
    )
    for number, value, gradient in zip([n for n in case.kept if 0 < n], wanted, computed, strict=True):
        has_gradient(memory.contents(gradient.resolve_conj()), value, f"value {number}")


@cases(chains.repeated_chains)
def test_retained_grad_accumulates(case: Chain) -> None:
    """Each further backward adds to the gradient that a non-leaf retains."""
    values = case.build()
    case.backward(values)
    chain_has_gradients(case, values, case.kept)


@cases(chains.chains_kept_twice)
def test_retain_grad_twice_counts_once(case: Chain) -> None:
    """retain_grad called again changes nothing."""
    values = case.build()
    expect.equal(True, values[1].retains_grad, "retains_grad")
    case.backward(values)
    chain_has_gradients(case, values, case.kept)


@cases(chains.chains_kept_at_the_leaf)
def test_retain_grad_of_a_leaf_does_nothing(case: Chain) -> None:
    """retain_grad of a leaf returns None and changes nothing: retains_grad stays False, the gradient is the same."""
    values = case.build()
    expect.equal(None, values[0].retain_grad(), "leaf.retain_grad()")
    expect.equal(False, values[0].retains_grad, "retains_grad of the leaf")
    in_state(LEAF_STATE, values[0], "the leaf")
    case.backward(values)
    chain_has_gradients(case, values, ())
    expect.equal(False, values[0].retains_grad, "retains_grad of the leaf after backward")


@cases(chains.keeping_chains, acts.acted)
def test_retains_grad_tells(case: Chain) -> None:
    """retains_grad is True for a non-leaf that was told to retain its gradient, before and after backward, and for no other tensor."""  # noqa: E501
    values = case.build()
    expected = [0 < number and number in case.kept for number in range(len(values))]
    expect.equal(expected, [value.retains_grad for value in values], "retains_grad of the leaf and of each value")
    case.backward(values)
    expect.equal(expected, [value.retains_grad for value in values], "retains_grad of each after backward")


@cases(leaves.copies_that_require)
def test_retains_grad_is_false_once_detached(case: Applied) -> None:
    """retains_grad is False for a tensor that detach_ has made a leaf."""
    y = case.on(case.build())
    y.retain_grad()
    expect.equal((True, False), (y.detach_().is_leaf, y.retains_grad), "is_leaf and retains_grad after detach_")


@cases(leaves.plain_tensors, acts.acted)
def test_retain_grad_needs_a_gradient(case: Applied) -> None:
    """retain_grad of a tensor that does not require grad raises."""
    x = case.build()
    expect.raises(RuntimeError, x.retain_grad, "retain_grad() of a tensor that does not require grad")
    expect.equal(False, x.retains_grad, "retains_grad")


def retains_its_gradient(case: RetainedWrite) -> None:
    """Expect the tensor from which backward started to have its gradient, if it was told to retain it."""
    base, view = case.run()
    for name, tensor in (("base", base), ("view", view)):
        if name in case.kept and name == case.root:
            has_gradient(case.gradient(name), tensor, f"the {name}")


@cases(retained_writes.writes_through_views)
def test_retained_grad_is_by_the_value_after_writes_through_views(case: RetainedWrite) -> None:
    """A tensor written through a view, its base or itself retains the gradient by the value that it then has."""
    retains_its_gradient(case)


@cases(retained_writes.written_before_it_retains)
def test_retain_grad_after_a_write_keeps_the_gradient(case: RetainedWrite) -> None:
    """retain_grad of a tensor that was written, itself, through a view or its base, has backward leave its gradient."""
    retains_its_gradient(case)


@cases(retained_writes.reframings)
def test_retained_grad_has_the_shape_of_the_tensor(case: RetainedWrite) -> None:
    """A tensor whose shape changes in place after retain_grad retains the gradient by its value in the new shape."""
    base, _ = case.run()
    has_gradient(case.gradient("base"), base, "the tensor")


# --- detach -----------------------------------------------------------------------------------------------------


@cases(leaves.detached)
def test_detach_cuts_the_graph(case: Applied) -> None:
    """A detached tensor requires no grad, is a leaf, and passes no gradient on; its source stays what it was."""
    x = case.build()
    if x.is_leaf and x.requires_grad:
        x.grad = torch.ones_like(x)
    before = graph_state(x)
    found = in_state(PLAIN_STATE, case.on(x), "x.detach()")
    has_no_gradient(found, "x.detach()")
    expect.equal(before, graph_state(x), "graph of x after detach")
    if x.requires_grad:
        y = x * 2 + found * 3
        (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
        expected = np.full(case.plan.shape, 2, memory.contents(x).dtype)
        memory.same_elements(expected, memory.contents(gradient), "gradient of x * 2 + x.detach() * 3 by x")
    in_state(LEAF_STATE, found.requires_grad_(), "x.detach().requires_grad_()")
    expect.equal(before, graph_state(x), "graph of x after x.detach().requires_grad_()")


@cases(leaves.copies_that_require)
def test_detach_in_place_makes_a_leaf(case: Applied) -> None:
    """detach_ makes the tensor itself a leaf without grad; what was computed from it before keeps its history."""
    y = case.on(case.build())
    node, earlier = y.grad_fn, y * 2
    expect.same_object(y, y.detach_(), "y.detach_()")
    in_state(PLAIN_STATE, y, "y after detach_")
    in_state(PLAIN_STATE, y * 2, "y * 2 after detach_")
    in_state(RECORDED_STATE, earlier, "y * 2 from before detach_")
    expect.that(earlier.grad_fn.next_functions[0][0] is node, "node before that of y * 2", "that of y", "another")
    in_state(LEAF_STATE, y.requires_grad_(), "y.detach_().requires_grad_()")
    another = case.on(case.build())
    with torch.no_grad():
        in_state(PLAIN_STATE, another.detach_(), "y after detach_ under no_grad")


@cases(leaves.views_to_detach)
def test_views_cannot_be_detached_in_place(case: Applied) -> None:
    """detach_ of a view raises."""
    view = case.on(case.build())
    expect.raises(RuntimeError, view.detach_, f"detach_ of {case.expression}")


@cases(leaves.views_to_detach)
def test_refused_detach_leaves_the_view_as_it_is(case: Applied) -> None:
    """A view of which detach_ raised keeps its flags and its place in the graph."""
    view = case.on(case.build())
    before = graph_state(view)
    with suppress(RuntimeError):
        view.detach_()
    expect.equal(before, graph_state(view), f"graph of {case.expression} after detach_")


@cases(dual_tensors.duals)
def test_detach_drops_tangents(case: DualCall) -> None:
    """A detached tensor has no tangent of forward mode, and its source keeps its own."""
    with dual_level():
        y = case.on()
        found = case.tangent(y.detach())
        expect.that(found is None, "tangent of y.detach()", "None", "a tensor")
        kept = expect.tensor(case.tangent(y), "tangent of y after y.detach()")
        numbers.close(case.expected(), memory.contents(kept), case.plan.dtype, "value", "tangent of y after y.detach()")


@cases(dual_tensors.duals)
def test_detach_in_place_drops_tangents(case: DualCall) -> None:
    """detach_ takes a tensor's tangent of forward mode away."""
    with dual_level():
        y = case.on()
        found = case.tangent(y.detach_())
        expect.that(found is None, "tangent of y after detach_", "None", "a tensor")


# --- edges and versions -----------------------------------------------------------------------------------------


@cases(chains.plain_chains, acts.acted)
def test_gradient_edge_gives_the_gradient(case: Chain) -> None:
    """autograd.grad by the gradient edge of a tensor is autograd.grad by the tensor, a leaf or not."""
    values = case.build()
    edges = [torch.autograd.graph.get_gradient_edge(value) for value in values]
    found = torch.autograd.grad(values[-1], edges, case.seed(values).build())
    for number, (expected, gradient) in enumerate(zip(case.gradients, found, strict=True)):
        what = f"gradient by the edge of value {number}"
        numbers.close(expected, memory.contents(gradient.resolve_conj()), case.plan.dtype, "value", what)


@cases(leaves.all_states, acts.acted)
def test_increment_version_counts(case: Applied) -> None:
    """increment_version moves the version that a tensor shows, and that of what shares its memory, each time."""
    x = case.build()
    alias, elements = x.detach(), memory.contents(x)
    for _ in range(2):
        before = x._version
        torch.autograd.graph.increment_version(x)
        counts_up(before, x, "x after increment_version")
        expect.equal(x._version, alias._version, "version of x.detach()")
    memory.same_elements(elements, memory.contents(x), "x after increment_version")


@cases(leaves.all_states, acts.acted)
def test_increment_version_takes_several(case: Applied) -> None:
    """increment_version takes a list of tensors, and moves the version of each."""
    tensors = [case.build() for _ in range(4)]
    before = [x._version for x in tensors]
    torch.autograd.graph.increment_version(tensors[:3])
    for number in (0, 1, 2):
        counts_up(before[number], tensors[number], f"tensor {number} of the list")
    expect.equal(before[3], tensors[3]._version, "version of a tensor that is not in the list")


@cases(leaves.sampled_tensor, acts.acted)
def test_increment_version_lets_foreign_writes_be_noticed(case: Applied) -> None:
    """Backward raises where increment_version has been called since of a tensor that was saved for it."""
    x = case.build()
    y = torch.ones_like(x, requires_grad=True)
    first, second = x * y, x.clone() * y
    torch.autograd.graph.increment_version(x)
    expect.raises(RuntimeError, lambda: first.backward(torch.ones_like(y)), "backward of x * y")
    second.backward(torch.ones_like(y))


@cases(inference_tensors.kept_tensors, acts.acted)
def test_increment_version_passes_over_inference_tensors(case: Inferred) -> None:
    """increment_version of an inference tensor does nothing."""
    x = case.build()
    elements = memory.contents(x)
    torch.autograd.graph.increment_version(x)
    expect.equal(True, x.is_inference(), "is_inference()")
    memory.same_elements(elements, memory.contents(x), "x after increment_version")


# --- grad modes -------------------------------------------------------------------------------------------------


@cases(grad_modes.results_without_grad, acts.acted)
def test_no_grad_results_do_not_require_grad(case: Under) -> None:
    """In no-grad mode the result of an operation does not require grad, though its inputs do, and is not recorded."""
    x = case.build()
    before = graph_state(x)
    in_state(PLAIN_STATE, case.on(x), f"{case.call.expression} under {case.modes}")
    expect.equal(before, graph_state(x), "graph of x")


@cases(grad_modes.views_without_grad, acts.acted)
def test_no_grad_views_do_not_require_grad(case: Under) -> None:
    """In no-grad mode a view does not require grad, though the tensor that it views does."""
    in_state(PLAIN_STATE, case.on(case.build()), f"{case.call.expression} under {case.modes}")


@cases(grad_modes.factories_without_grad)
def test_factories_ignore_no_grad(case: Under) -> None:
    """A tensor created with requires_grad=True in no-grad mode requires grad, and is recorded from afterwards."""
    found = in_state(LEAF_STATE, case.on(case.build()), f"{case.call.expression} under {case.modes}")
    in_state(RECORDED_STATE, found * 2, "twice that, afterwards").backward(torch.ones_like(found))
    has_gradient(np.full(tuple(found.shape), 2, memory.contents(found).dtype), found, case.call.expression)


@cases(grad_modes.parameters_without_grad)
def test_parameters_ignore_no_grad(case: Under) -> None:
    """A Parameter made in no-grad mode requires grad."""
    in_state(LEAF_STATE, case.on(case.build()), f"{case.call.expression} under {case.modes}")


@cases(grad_modes.results_without_grad)
def test_no_grad_results_serve_in_grad_mode(case: Under) -> None:
    """What was computed in no-grad mode can be used in recorded computations afterwards, as a constant or a leaf."""
    made = case.on(case.build())
    y = torch.ones_like(made, requires_grad=True)
    in_state(RECORDED_STATE, made * y, "made * y").backward(torch.ones_like(y))
    has_gradient(memory.contents(made.conj().resolve_conj()), y, "y after made * y")
    has_no_gradient(made, "made")
    (made.requires_grad_() * 2).backward(torch.ones_like(y))
    has_gradient(np.full(tuple(made.shape), 2, memory.contents(made).dtype), made, "made, once it requires grad")


@cases(grad_modes.results_with_grad)
def test_enable_grad_records_again(case: Under) -> None:
    """Where gradients were switched on again inside no-grad mode, operations are recorded."""
    x = case.build()
    found = in_state(RECORDED_STATE, case.on(x), f"{case.call.expression} under {case.modes}")
    (gradient,) = torch.autograd.grad(found, x, torch.ones_like(found))
    expect.equal(tuple(x.shape), tuple(gradient.shape), "shape of the gradient")


@cases(grad_modes.flag_sequences, acts.acted)
def test_set_grad_enabled_works_as_a_function(case: ModeNest) -> None:
    """set_grad_enabled called as a function sets the mode by its argument, until it is set again."""
    x = planned_leaf()
    with torch.no_grad():
        for number, mode in enumerate(case.modes):
            mode_of(mode)
            expected = mode_entered(mode, ModeState())
            shows_mode(expected, look_with(x), f"after {', '.join(case.modes[: number + 1])}")
            expect.equal(expected.gradients, (x + x).requires_grad, "requires_grad of a second result")


@cases(grad_modes.modes_with_a_switch, acts.acted)
def test_leaving_a_mode_undoes_what_was_set_inside(case: ModeNest) -> None:
    """Leaving a mode puts back the one before also where set_grad_enabled was called inside."""
    x = planned_leaf()
    around, mode, *switches = case.modes
    with gradients_kept(), mode_of(around):
        with mode_of(mode):
            for switch in switches:
                mode_of(switch)
        shows_mode(mode_within((around,)), look_with(x), f"after {mode} with {', '.join(switches)} inside, in {around}")


@cases(grad_modes.nests)
def test_innermost_mode_decides(case: ModeNest) -> None:
    """Inside nested modes the innermost decides whether operations are recorded and make inference tensors."""
    x = planned_leaf()
    for side, depth, seen in case.run(lambda: look_with(x)):
        if side == "in":
            shows_mode(mode_within(case.modes[:depth]), seen, f"inside {case.modes[:depth] or 'no mode'}")


@cases(grad_modes.nests)
def test_leaving_a_mode_restores_the_one_before(case: ModeNest) -> None:
    """Leaving a mode puts back the one in which it was entered."""
    x = planned_leaf()
    for side, depth, seen in case.run(lambda: look_with(x)):
        if side == "out":
            shows_mode(mode_within(case.modes[:depth]), seen, f"after {case.modes[depth]} in {case.modes[:depth]}")


@cases(grad_modes.raising_nests)
def test_an_exception_restores_the_mode(case: ModeNest) -> None:
    """Leaving a mode by an exception puts back the one in which it was entered, and lets the exception through."""
    x = planned_leaf()
    log = case.run(lambda: look_with(x))
    expect.equal(
        [], [case.modes[depth] for side, depth, _ in log if side == "swallowed"], "modes that no exception left"
    )
    for side, depth, seen in log:
        if side == "out":
            shows_mode(mode_within(case.modes[:depth]), seen, f"after {case.modes[depth]} was left by an exception")
        if side == "end":
            shows_mode(ModeState(), seen, "after all")


@cases(grad_modes.reused_modes, acts.acted)
def test_mode_object_serves_again(case: ModeNest) -> None:
    """One context manager object can be entered again after it was left, in another mode than before."""
    x = planned_leaf()
    manager = mode_of(case.modes[0])
    for mode in case.modes[1:]:
        with mode_of(mode):
            outside = mode_within((mode,))
            with manager:
                shows_mode(mode_entered(case.modes[0], outside), look_with(x), f"inside {case.modes[0]} in {mode}")
            shows_mode(outside, look_with(x), f"after {case.modes[0]} in {mode}")


@cases(decorated_modes.decorating_managers)
def test_decorated_function_runs_in_its_mode(case: Decorated) -> None:
    """A decorated callable runs in the mode, whichever its caller is in, and returns to the caller's."""
    x = planned_leaf()
    calls_restore(case, lambda: look_with(x))


@cases(decorated_modes.raising_functions)
def test_decorated_function_that_raises_restores_the_mode(case: Decorated) -> None:
    """A decorated function that raises lets the exception through and leaves its caller in the caller's mode."""
    x = planned_leaf()
    calls_restore(case, lambda: look_with(x))


@cases(decorated_modes.decorated_objects)
def test_decorated_object_runs_in_its_mode(case: Decorated) -> None:
    """A static method, a partial function or an instance that is decorated runs in the mode, and returns to the caller's."""  # noqa: E501
    x = planned_leaf()
    calls_restore(case, lambda: look_with(x))


@cases(decorated_modes.decorating_setters)
def test_set_grad_enabled_decorates(case: Decorated) -> None:
    """set_grad_enabled is a decorator too: the function runs in the mode, and decorating changes no mode."""
    x = planned_leaf()
    calls_restore(case, lambda: look_with(x))


@cases(decorated_modes.decorated_bare)
def test_decorators_need_no_parentheses(case: Decorated) -> None:
    """no_grad and enable_grad decorate a function without parentheses as with them."""
    x = planned_leaf()
    calls_restore(case, lambda: look_with(x))


@cases(decorated_modes.inference_mode_bare)
def test_inference_mode_decorates_without_parentheses(case: Decorated) -> None:
    """inference_mode given a function decorates it with inference mode enabled."""
    x = planned_leaf()
    calls_restore(case, lambda: look_with(x))


@cases(decorated_modes.driven_generators)
def test_decorated_generator_runs_in_its_mode(case: Driven) -> None:
    """The body of a decorated generator runs in the mode each time that it is resumed, thrown into or closed."""
    x = planned_leaf()
    sights: list[Sight] = []
    generator = mode_of(case.mode)(narrator)(sights, lambda: look_with(x))
    outcomes = case.drive(generator, lambda: len(sights))
    generator.close()
    for number, sight in enumerate(sights):
        modes = next(
            (modes for (_, modes), (_, so_far) in zip(case.moves, outcomes, strict=True) if number < so_far), ()
        )
        shows_mode(
            mode_entered(case.mode, mode_within(modes)), sight, f"inside the generator, resumed in {modes or 'no mode'}"
        )


@cases(decorated_modes.driven_generators)
def test_decorated_generator_leaves_its_callers_mode(case: Driven) -> None:
    """Between two moves of a decorated generator its caller is in the caller's own mode."""
    x = planned_leaf()
    generator = mode_of(case.mode)(narrator)([], lambda: None)
    for (move, modes), (_, sight) in zip(case.moves, case.drive(generator, lambda: look_with(x)), strict=True):
        shows_mode(mode_within(modes), sight, f"after {move} in {modes or 'no mode'}")
    shows_mode(ModeState(), look_with(x), "after all")


@cases(decorated_modes.driven_generators)
def test_decorated_generator_yields_the_same(case: Driven) -> None:
    """A decorated generator yields, takes, returns and raises what the same generator does undecorated."""
    looks: list[list[object]] = [[], []]
    plain = case.drive(narrator(looks[0], lambda: "look"), lambda: None)
    found = case.drive(mode_of(case.mode)(narrator)(looks[1], lambda: "look"), lambda: None)
    expect.equal(plain, found, f"outcomes of {[move for move, _ in case.moves]}")
    expect.equal(looks[0], looks[1], "how often the body ran")


@cases(mode_threads)
def test_modes_do_not_reach_other_threads(case: ModeThreads) -> None:
    """A thread that is started in a mode begins in the default one, and one that ran before keeps its own."""
    x = planned_leaf()
    for number, (expected, found) in enumerate(case.seen_elsewhere(lambda: look_with(x))):
        shows_mode(mode_within(expected), found, f"in thread {number}, while another is in {case.here}")


@cases(mode_threads)
def test_modes_of_other_threads_do_not_reach_this_one(case: ModeThreads) -> None:
    """A mode that another thread is in changes nothing in this one, nor does its leaving it."""
    x = planned_leaf()
    for expected, found in case.seen_here(lambda: look_with(x)):
        shows_mode(mode_within(expected), found, f"here, while another thread is in {case.there}")
    shows_mode(ModeState(), look_with(x), "after all")
    shows_mode(ModeState(), run_in_a_thread(lambda: look_with(x)), "in a new thread after all")


# --- inference mode ---------------------------------------------------------------------------------------------


@cases(grad_modes.results_in_inference, acts.acted)
def test_inference_results_do_not_require_grad(case: Under) -> None:
    """In inference mode the result of an operation does not require grad, whatever else is switched on."""
    x = case.build()
    before = graph_state(x)
    in_state(PLAIN_STATE, case.on(x), f"{case.call.expression} under {case.modes}")
    expect.equal(before, graph_state(x), "graph of x")


@cases(grad_modes.views_in_inference, acts.acted)
def test_inference_views_do_not_require_grad(case: Under) -> None:
    """In inference mode a view does not require grad, though the tensor that it views does."""
    in_state(PLAIN_STATE, case.on(case.build()), f"{case.call.expression} under {case.modes}")


@cases(inference_tensors.kept_tensors, acts.acted)
def test_inference_tensors_have_no_version(case: Inferred) -> None:
    """Reading the version of an inference tensor raises."""
    x = case.build()
    expect.raises(RuntimeError, lambda: x._version, f"_version of {case.origin} from inference mode")


@cases(grad_modes.results_in_inference, acts.acted)
def test_what_inference_mode_allocates_are_inference_tensors(case: Under) -> None:
    """A tensor that is no view is an inference tensor if it was allocated in inference mode, and not otherwise."""
    x = case.build()
    found = expect.tensor(case.on(x), case.call.expression)
    expect.equal(True, found.is_inference(), f"is_inference() of {case.call.expression} under {case.modes}")
    expect.equal(True, torch.is_inference(found), f"torch.is_inference({case.call.expression}) under {case.modes}")
    expect.equal(False, x.is_inference(), "is_inference() of x")
    expect.equal(False, torch.ones_like(found).is_inference(), "is_inference() of a tensor made of it outside")


@cases(grad_modes.views_in_inference, acts.acted)
def test_views_of_normal_tensors_stay_normal_in_inference_mode(case: Under) -> None:
    """A view of a normal tensor is a normal tensor, also where it is taken in inference mode."""
    x = case.build()
    found = case.on(x)
    within = under(case.modes, found.is_inference)
    expect.equal((False, False), (found.is_inference(), within), f"is_inference() of {case.call.expression}")
    expect.equal(x._version, found._version, f"version of {case.call.expression}")


@cases(inference_tensors.kept_tensors, acts.acted)
def test_views_of_inference_tensors_are_inference_tensors(case: Inferred) -> None:
    """A view of an inference tensor is an inference tensor, wherever it is taken."""
    x = case.build()
    found = case.on(x)
    within = under(case.modes, found.is_inference)
    expect.equal((True, True), (found.is_inference(), within), f"is_inference() of {case.expression}")


@cases(inference_tensors.saved_outside)
def test_inference_tensors_cannot_be_saved(case: Inferred) -> None:
    """A recorded operation raises where it would have to save an inference tensor for its gradient."""
    x, y = case.build(), case.other()
    expect.raises(RuntimeError, lambda: case.on(x, y), f"{case.expression} of an inference tensor x")


@cases(inference_tensors.used_outside, acts.acted)
def test_inference_tensors_are_refused_or_used_rightly(case: Inferred) -> None:
    """A recorded operation that need not save an inference tensor raises, or passes on the right gradient."""
    x, y = case.build(), case.other()
    try:
        found = case.on(x, y)
    except RuntimeError:
        return
    in_state(RECORDED_STATE, found, case.expression).backward(torch.ones_like(found))
    has_gradient(np.ones(tuple(y.shape), memory.contents(y).dtype), y, f"y after {case.expression}")
    has_no_gradient(x, "x")


@cases(inference_tensors.written_outside)
def test_writing_an_inference_tensor_outside_raises(case: Inferred) -> None:
    """Writing to an inference tensor outside inference mode raises."""
    x = case.build()
    expect.raises(RuntimeError, lambda: case.on(x), f"{case.expression} of an inference tensor")


@cases(inference_tensors.written_outside, acts.acted)
def test_inference_tensors_are_immutable_outside(case: Inferred) -> None:
    """Writing to an inference tensor outside inference mode changes none of its elements."""
    x = case.build()
    elements = memory.contents(x)
    with suppress(RuntimeError):
        case.on(x)
    memory.same_elements(elements, memory.contents(x), f"x after {case.expression} was refused")


@cases(inference_tensors.written_through_detach, acts.acted)
def test_detached_inference_tensors_are_immutable_outside(case: Inferred) -> None:
    """What detach makes of an inference tensor has no version, and writing to it outside inference mode raises."""
    x = case.build()
    alias = x.detach()
    expect.equal(True, alias.is_inference(), "is_inference() of x.detach()")
    expect.raises(RuntimeError, lambda: alias._version, "_version of x.detach()")
    expect.raises(RuntimeError, lambda: case.on(x), f"{case.expression} of an inference tensor")


@cases(inference_tensors.written_inside, acts.acted)
def test_inference_tensors_can_be_written_inside(case: Inferred) -> None:
    """In inference mode an inference tensor is written like any other, and stays one."""
    x, plain = case.build(), case.plan.build()
    plain = case.on_plain(plain)
    case.on(x)
    memory.same_elements(memory.contents(plain), memory.contents(x), f"x after {case.expression} in inference mode")
    expect.equal(True, x.is_inference(), "is_inference() of x")


@cases(inference_tensors.asked_to_require)
def test_inference_tensors_cannot_come_to_require_grad(case: Inferred) -> None:
    """Making an inference tensor require grad outside inference mode raises."""
    x = case.build()
    expect.raises(RuntimeError, lambda: case.on(x), f"{case.expression} of an inference tensor")
    expect.equal(False, x.requires_grad, "requires_grad of x")


@cases(inference_tensors.cloned_outside, acts.acted)
def test_clone_of_an_inference_tensor_is_normal(case: Inferred) -> None:
    """A clone of an inference tensor made outside is a normal tensor: written, saved and required to have gradients."""
    x = case.build()
    found, y = case.on(x), case.other()
    expect.equal(False, found.is_inference(), f"is_inference() of {case.expression}")
    memory.same_elements(memory.contents(x), memory.contents(found), case.expression)
    in_state(RECORDED_STATE, found * y, f"{case.expression} * y").backward(torch.ones_like(y))
    has_gradient(memory.contents(x).conj(), y, "y")
    before = found._version
    counts_up(before, found.add_(1), f"{case.expression} after add_")
    in_state(LEAF_STATE, found.requires_grad_(), f"{case.expression}.requires_grad_()")


@cases(grad_modes.writes_in_inference)
def test_writes_in_inference_mode_are_noticed(case: Under) -> None:
    """A normal tensor counts a write in inference mode, so that backward raises where it had been saved before."""
    x = case.build()
    y = torch.ones_like(x, requires_grad=True)
    product = x * y
    before = x._version
    case.on(x)
    counts_up(before, x, f"x after {case.call.expression} in inference mode")
    expect.raises(RuntimeError, lambda: product.backward(torch.ones_like(y)), "backward of x * y from before")


@cases(inference_tensors.computed_without_grad, acts.acted)
def test_inference_tensors_serve_where_nothing_is_recorded(case: Inferred) -> None:
    """Inference tensors can be used in any computation that is not recorded."""
    x, y = case.build(), case.other()
    expected = Inferred(case.plan, "x", case.expression).on(x.clone(), y.detach())
    found = in_state(PLAIN_STATE, case.on(x, y), f"{case.expression} under {case.modes}")
    memory.same_elements(memory.contents(expected), memory.contents(found), case.expression)


@cases(dual_tensors.duals_in_inference)
def test_inference_mode_disables_forward_ad(case: DualCall) -> None:
    """In inference mode operations on dual tensors compute no tangents."""
    with dual_level():
        found = case.tangent(case.on())
        expect.that(found is None, f"tangent of {case.expression} under {case.modes}", "None", "a tensor")


@cases(dual_tensors.duals_without_grad)
def test_no_grad_leaves_forward_ad(case: DualCall) -> None:
    """Grad modes other than inference mode leave forward-mode gradients as they are."""
    with dual_level():
        what = f"tangent of {case.expression} under {case.modes}"
        found = expect.tensor(case.tangent(case.on()), what)
        numbers.close(case.expected(), memory.contents(found), case.plan.dtype, "value", what)


# --- histories --------------------------------------------------------------------------------------------------


@cases(action_histories)
def test_flags_follow_the_history(case: History) -> None:
    """After each thing done to tensors, in any order, their autograd flags are those that are documented."""
    follows_the_model(case)


# --- hooks on tensors -----------------------------------------------------------------------------------------


@cases(hook_sources.tensor_hooks)
def test_tensor_hook_gets_the_gradient(case: HookedGraph) -> None:
    """A hook on a tensor is called with the gradient by that tensor when it is computed."""
    hook_model.same_seen(case, expected_run(case), found_run(case.run()), "tensor")


@cases(hook_sources.tensor_hooks)
def test_tensor_hook_gets_a_gradient_like_its_tensor(case: HookedGraph) -> None:
    """The gradient that a hook on a tensor gets has the tensor's shape, element type and device."""
    live = case.run()
    for event in live.events:
        if event.kind == "tensor":
            found, own = expect.tensor(event.argument, "what the hook got"), live.tensors[event.at]
            frame = tuple(own.shape), own.dtype, own.device
            expect.equal(frame, (tuple(found.shape), found.dtype, found.device), "shape, type and device")


@cases(hook_sources.repeated_tensor_hooks)
def test_tensor_hook_runs_in_each_backward_call(case: HookedGraph) -> None:
    """A hook on a tensor is called in every backward call through the graph that computes its gradient."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.rebuilt_tensor_hooks)
def test_leaf_hook_runs_for_each_graph(case: HookedGraph) -> None:
    """A hook on a leaf is called for every graph that the leaf is used in, those from after its registration too."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.several_uses)
def test_tensor_hook_runs_once_with_the_whole_gradient(case: HookedGraph) -> None:
    """A hook on a tensor that is used several times is called once, with the sum over all uses."""
    hook_model.same_seen(case, expected_run(case), found_run(case.run()), "tensor")


@cases(hook_sources.replacing_tensor_hooks)
def test_tensor_hook_result_replaces_the_gradient(case: HookedGraph) -> None:
    """What a hook on a tensor returns is used in place of the gradient from there on."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.silent_tensor_hooks)
def test_tensor_hook_without_result_changes_nothing(case: HookedGraph) -> None:
    """A hook on a tensor that returns None leaves the gradient as it is."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_calls(expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.retained_with_hooks)
def test_tensor_hook_result_is_retained(case: HookedGraph) -> None:
    """A tensor that retains its gradient has in .grad what the hooks on it returned, whenever it was told to retain."""
    hook_model.same_gradients(case, expected_run(case), found_run(case.run()))


@cases(hook_sources.asked_for_alone)
def test_tensor_hook_result_is_what_grad_returns(case: HookedGraph) -> None:
    """autograd.grad by a tensor calls the hooks on it, and returns what they made of the gradient."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.asked_for_together)
def test_tensor_hook_result_is_what_grad_returns_beside_others(case: HookedGraph) -> None:
    """autograd.grad returns what the hooks on a tensor made of its gradient also beside those of what it is made of."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.asked_for_with_inputs)
def test_tensor_hook_result_is_accumulated_into_inputs(case: HookedGraph) -> None:
    """backward with inputs calls the hooks on an input, and accumulates what they made of the gradient."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.beside_the_way)
def test_tensor_hook_of_an_uncomputed_gradient_does_not_run(case: HookedGraph) -> None:
    """A hook on a tensor is not called where no gradient by that tensor is computed."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_calls(expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_case_sources.split_hooks, acts.acted)
def test_tensor_hook_is_not_called_without_a_gradient(case: SplitHook) -> None:
    """A hook on an output of a function that gives several is not called where only the others are used."""
    parts = case.parts()
    found: list[object] = []
    parts[-1].register_hook(found.append)
    parts[0].backward(torch.ones_like(parts[0]))
    expect.equal([], found, "arguments of the calls of the hook on an output that nothing was computed from")


@cases(hook_sources.several_tensor_hooks)
def test_tensor_hooks_run_in_registration_order(case: HookedGraph) -> None:
    """Hooks on one tensor are called in the order of their registration, each with what the one before it made."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_order(case, expected, found, "tensor")
    hook_model.same_seen(case, expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_case_sources.tracked_tensors, acts.acted)
def test_function_registered_twice_is_called_twice(case: HookTarget) -> None:
    """A function that is registered as a hook twice is called twice, and once after one of the two is removed."""
    tensor, found = case.tensor(), list[torch.Tensor]()
    hook = found.append
    handles = [tensor.register_hook(hook) for _ in range(2)]
    for calls in (2, 1, 0):
        (tensor * 3).backward(torch.ones_like(tensor), retain_graph=True)
        expect.equal(calls, len(found), f"calls of a function that is registered {calls} times")
        found.clear()
        for handle in handles[:1]:
            handle.remove()
        del handles[:1]


@cases(hook_case_sources.untracked_tensors, acts.acted)
def test_tensor_hook_refuses_a_tensor_without_grad(case: HookRefusal) -> None:
    """A hook cannot be registered on a tensor that requires no grad."""
    tensor = case.tensor()
    expect.raises(RuntimeError, lambda: tensor.register_hook(print), "register_hook of a tensor that requires no grad")


@cases(hook_case_sources.wrong_results, acts.acted)
def test_tensor_hook_must_return_such_a_gradient(case: WrongResult) -> None:
    """Backward raises where a hook on a tensor returns another shape, another element type, or no tensor."""
    result = case.leaf().mul(2)
    case.arrange(result)
    what = f"backward with a hook that returns another {case.way}"
    expect.raises((RuntimeError, TypeError), lambda: result.backward(torch.ones_like(result)), what)


@cases(hook_case_sources.differentiated_hooks, acts.acted)
def test_tensor_hook_result_is_differentiated(case: DifferentiatedHook) -> None:
    """With create_graph, what a hook on a tensor computes from the gradient is part of the second derivative."""
    leaf = case.leaf()
    x = leaf if "leaf" in case.way else leaf.clone()
    x.register_hook(case.hook)
    (first,) = torch.autograd.grad((x * x * x).sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), leaf)
    found = memory.contents(second)
    numbers.close(case.second(), found, case.plan.dtype, "value", "second derivative of the cube")


# --- removal --------------------------------------------------------------------------------------------------


@cases(hook_sources.removed_tensor_hooks)
def test_removed_tensor_hook_is_not_called(case: HookedGraph) -> None:
    """A hook on a tensor that is removed by its handle is not called any more, and the others are."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.removed_node_hooks)
def test_removed_node_hook_is_not_called(case: HookedGraph) -> None:
    """A hook or pre-hook of a node that is removed by its handle is not called any more, and the others are."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "pre", "post")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.removed_accumulation_hooks)
def test_removed_post_accumulate_hook_is_not_called(case: HookedGraph) -> None:
    """A post-accumulate hook that is removed by its handle is not called any more, and the others are."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "accumulated")
    hook_model.same_gradients(case, expected, found)


@cases(hook_case_sources.removed_gatherings)
def test_removed_multi_grad_hook_is_not_called(case: HookedGraph) -> None:
    """A multi-grad hook that is removed by its handle is not called any more, and hooks on its tensors are."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "gathered", "tensor")


@cases(hook_sources.removed_inside)
def test_hook_can_be_removed_inside_a_hook(case: HookedGraph) -> None:
    """A hook that is removed while a hook runs is not called in later backward calls, and the others always are."""
    expected, found = expected_run(case), found_run(case.run())
    certain = hook_model.without_doubtful(case, expected), hook_model.without_doubtful(case, found)
    hook_model.same_seen(case, *certain)
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.added_hooks)
def test_hook_from_between_backward_calls_is_called(case: HookedGraph) -> None:
    """A hook that is registered between two backward calls through a graph is called from then on, after the others."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_order(case, expected, found)
    hook_model.same_seen(case, expected, found)
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.removed_twice)
def test_hook_can_be_removed_twice(case: HookedGraph) -> None:
    """To remove a hook a second time does nothing, and spares the other hooks."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")


@cases(hook_sources.removed_by_a_block, acts.acted)
def test_hook_is_removed_by_the_end_of_a_block(case: HookedGraph) -> None:
    """The handle of a hook is a context manager, which removes the hook at its end, by an exception too."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")


# --- changes in place -----------------------------------------------------------------------------------------


@cases(hook_sources.written_graphs)
def test_tensor_hook_keeps_to_the_value_of_its_registration(case: HookedGraph) -> None:
    """A hook gets the gradient by the value that its tensor had when it was registered, however often it is written."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "tensor")
    hook_model.consumers_first(case, found)
    hook_model.same_gradients(case, expected, found)


@cases(hook_case_sources.views_written_through, acts.acted)
def test_hook_on_a_base_keeps_to_its_value_through_views(case: WrittenView) -> None:
    """Hooks on a base get the gradient by its value from before and from after a write through a view of it."""
    live = case.build()
    live.listen()
    live.backward()
    hook_model.same_lists(case.plan.dtype, live.expected(), live.log, "old base", "new base", "new view")


@cases(hook_case_sources.views_written_through, acts.acted)
def test_hook_on_a_view_keeps_to_the_value_before_its_write(case: WrittenView) -> None:
    """A hook on a view from before the view is written gets the gradient by the value from before."""
    live = case.build()
    live.backward()
    hook_model.same_lists(case.plan.dtype, live.expected(), live.log, "old view")


@cases(hook_case_sources.bases_written, acts.acted)
def test_hook_on_a_view_stays_with_what_used_it(case: WrittenView) -> None:
    """A hook on a view from before its base is written gets the gradient of what used the view before, or none."""
    live = case.build()
    live.listen()
    live.backward()
    if "used" not in case.way:
        expect.equal(0, len(live.log["old view"]), "calls of a hook on a view whose old value nothing has used")
    expected = live.expected()
    names = ("old base", "new base", "new view", *(["old view"] if "used" in case.way else []))
    hook_model.same_lists(case.plan.dtype, expected, live.log, *names)


@cases(hook_case_sources.unread_views, acts.acted)
def test_hook_on_a_view_of_a_written_base_is_called(case: WrittenView) -> None:
    """A hook that is registered on a view after its base was written gets the gradient by the new value."""
    outlives((), case.build().listen, "register_hook of a view whose base was written")
    live = case.build()
    live.listen()
    live.backward()
    hook_model.same_lists(case.plan.dtype, live.expected(), live.log, "new view")


# --- hooks after the accumulation -----------------------------------------------------------------------------


@cases(hook_sources.accumulation_hooks)
def test_post_accumulate_hook_gets_its_tensor(case: HookedGraph) -> None:
    """A post-accumulate hook is called with the very tensor that it was registered on."""
    live = case.run()
    for event in live.events:
        expect.same_object(live.tensors[event.at], event.argument, "argument of the hook")


@cases(hook_sources.accumulation_hooks)
def test_post_accumulate_hook_finds_the_updated_grad(case: HookedGraph) -> None:
    """A post-accumulate hook finds the whole gradient accumulated in the .grad of its tensor, and may change it."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "accumulated")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.accumulation_hooks)
def test_post_accumulate_hooks_run_once_in_order(case: HookedGraph) -> None:
    """Post-accumulate hooks are called once in each backward call, in the order of their registration."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_order(case, expected, found, "accumulated")


@cases(hook_sources.unaccumulated)
def test_post_accumulate_hook_does_not_run_without_accumulation(case: HookedGraph) -> None:
    """A post-accumulate hook is not called where nothing is accumulated: by autograd.grad, or for other inputs."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_calls(expected, found, "accumulated")
    hook_model.same_gradients(case, expected, found)


@cases(hook_case_sources.results_and_views, acts.acted)
def test_post_accumulate_hook_refuses_a_result(case: HookRefusal) -> None:
    """A post-accumulate hook cannot be registered on a tensor that is no leaf."""
    tensor = case.tensor()
    what = "register_post_accumulate_grad_hook of a tensor that is no leaf"
    expect.raises(RuntimeError, lambda: tensor.register_post_accumulate_grad_hook(print), what)


@cases(hook_case_sources.untracked_tensors, acts.acted)
def test_post_accumulate_hook_refuses_a_tensor_without_grad(case: HookRefusal) -> None:
    """A post-accumulate hook cannot be registered on a tensor that requires no grad."""
    tensor = case.tensor()
    what = "register_post_accumulate_grad_hook of a tensor that requires no grad"
    expect.raises(RuntimeError, lambda: tensor.register_post_accumulate_grad_hook(print), what)


@cases(hook_case_sources.accumulation_changes, acts.acted)
def test_post_accumulate_hook_may_change_its_tensor(case: AccumulationChange) -> None:
    """A post-accumulate hook may modify its tensor in place, and modify, replace or drop the .grad of it."""
    leaf = case.leaf()
    leaf.register_post_accumulate_grad_hook(case.hook)
    for calls in (1, 2):
        (leaf * 3).backward(torch.ones_like(leaf))
        value, gradient = case.expected(calls)
        numbers.close(value, memory.contents(leaf), case.plan.dtype, "value", f"the leaf after call {calls}")
        hook_model.same_number(case.plan.dtype, gradient, leaf.grad, f".grad of the leaf after call {calls}")


@cases(hook_case_sources.recording_hooks)
def test_post_accumulate_hook_records_only_with_create_graph(case: HookedGraph) -> None:
    """A post-accumulate hook runs with gradients recorded where create_graph is True, and not recorded otherwise."""
    for event in case.run().events:
        expect.equal(case.create_graph, event.recording, f"is_grad_enabled with create_graph={case.create_graph}")


# --- hooks of nodes -------------------------------------------------------------------------------------------


@cases(hook_sources.post_hooks)
def test_node_hook_gets_both_gradients(case: HookedGraph) -> None:
    """A hook of a node gets the gradients by its inputs and those by its outputs, in each backward call."""
    hook_model.same_seen(case, expected_run(case), found_run(case.run()), "post")


@cases(hook_sources.replacing_post_hooks)
def test_node_hook_result_replaces_the_gradients_of_inputs(case: HookedGraph) -> None:
    """What a hook of a node returns is used in place of the gradients by its inputs."""
    hook_model.same_gradients(case, expected_run(case), found_run(case.run()))


@cases(hook_sources.pre_hooks)
def test_node_pre_hook_gets_the_gradients_of_outputs(case: HookedGraph) -> None:
    """A pre-hook of a node gets the gradients by its outputs, in each backward call."""
    hook_model.same_seen(case, expected_run(case), found_run(case.run()), "pre")


@cases(hook_sources.replacing_pre_hooks)
def test_node_pre_hook_result_replaces_the_gradients_of_outputs(case: HookedGraph) -> None:
    """What a pre-hook of a node returns is used in place of the gradients by its outputs."""
    hook_model.same_gradients(case, expected_run(case), found_run(case.run()))


@cases(hook_sources.silent_node_hooks)
def test_node_hooks_without_result_change_nothing(case: HookedGraph) -> None:
    """Hooks and pre-hooks of nodes that return None leave the gradients as they are."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "pre", "post")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.several_node_hooks)
def test_node_hooks_run_in_registration_order(case: HookedGraph) -> None:
    """Hooks of one kind of a node are called in the order of their registration, each with what the last one made."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_order(case, expected, found, "pre", "post")
    hook_model.same_seen(case, expected, found, "pre", "post")
    hook_model.same_gradients(case, expected, found)


@cases(hook_sources.unexecuted_nodes)
def test_node_hook_runs_only_with_its_node(case: HookedGraph) -> None:
    """autograd.grad calls the hooks of the nodes that it executes: not of an input's, but where another needs it."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_calls(expected, found, "pre", "post")
    hook_model.same_gradients(case, expected, found)


@cases(hook_case_sources.split_hooks, acts.acted)
def test_node_hooks_get_one_gradient_per_output(case: SplitHook) -> None:
    """Hooks of a node with several outputs get a gradient for each, and None for those that are not used."""
    parts = case.parts()
    node, found = node_of(parts[0]), list[object]()
    node.register_prehook(found.append)
    parts[0].backward(torch.ones_like(parts[0]) * 3)
    gradients = found[0] if found else None
    expect.that(isinstance(gradients, tuple), "argument of the pre-hook", "a tuple", type(gradients).__name__)
    assert isinstance(gradients, tuple)
    expect.equal(len(parts), len(gradients), "number of the gradients that the pre-hook got")
    expected = np.full(tuple(parts[0].shape), 3, memory.contents(parts[0]).dtype)
    memory.same_elements(expected, memory.contents(expect.tensor(gradients[0], "the first")), "the first gradient")
    expect.equal((None,) * (len(parts) - 1), gradients[1:], "gradients by the outputs that are not used")


@cases(hook_case_sources.wrong_node_results, acts.acted)
def test_node_hook_must_return_such_gradients(case: WrongResult) -> None:
    """Backward raises where a hook or pre-hook of a node returns no tuple, or one of another length."""
    result = case.leaf().clone()
    case.arrange(result)
    what = f"backward with a hook of a node: {case.way}"
    expect.raises((RuntimeError, TypeError), lambda: result.backward(torch.ones_like(result)), what)


@cases(leaves.clones, acts.acted)
def test_clone_node_has_the_documented_name(case: Applied) -> None:
    """The node of a clone is named CloneBackward0."""
    expect.equal("CloneBackward0", case.on(case.build()).grad_fn.name(), f"name() of the node of {case.expression}")


@cases(hook_case_sources.named_graphs)
def test_node_leads_on_to_the_nodes_of_its_inputs(case: HookedGraph) -> None:
    """next_functions of a node has the nodes of the tensors that it was computed from, in their order."""
    live = case.build()
    for at in range(case.count):
        numbers_ = case.arguments(at)
        numbers_ *= 2 if numbers_ and case.steps[at - len(case.leaves)][0] == "squared" else 1
        found = [edge for edge, _ in live.nodes[at].next_functions if edge is not None]
        nodes = [live.nodes[n] for n in numbers_]
        expect.equal(len(nodes), len(found), f"nodes that the node of t{at} leads on to")
        for n, (wanted, got) in enumerate(zip(nodes, found, strict=True)):
            expect.same_object(wanted, got, f"node {n} that the node of t{at} leads on to")


@cases(hook_case_sources.named_graphs)
def test_node_metadata_is_kept(case: HookedGraph) -> None:
    """metadata of a node is a dict of that node alone, which keeps what is put into it."""
    live = case.build()
    nodes = [node_of(tensor) for at, tensor in enumerate(live.tensors) if case.arguments(at)]
    for at, node in enumerate(nodes):
        node.metadata.setdefault("place", id(node))
        expect.equal(id(node), nodes[at].metadata.get("place"), f"what was put into the metadata of node {at}")


# --- multi-grad hooks -----------------------------------------------------------------------------------------


@cases(hook_case_sources.gatherings)
def test_multi_grad_hook_runs_once_with_all_gradients(case: HookedGraph) -> None:
    """A multi-grad hook is called once in each backward call, after the last of its gradients, with all in order."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "gathered")
    hook_model.after_all(case, found)


@cases(hook_case_sources.gatherings_of_outputs)
def test_multi_grad_hook_waits_beside_an_output(case: HookedGraph) -> None:
    """A multi-grad hook waits for all its gradients also where backward starts from one of its tensors."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_seen(case, expected, found, "gathered")
    hook_model.after_all(case, found)


@cases(hook_case_sources.partial_gatherings)
def test_multi_grad_hook_passes_none_for_the_uncomputed(case: HookedGraph) -> None:
    """A multi-grad hook does not wait for gradients that nobody needs, and gets None for them."""
    hook_model.same_seen(case, expected_run(case), found_run(case.run()), "gathered")


@cases(hook_case_sources.gatherings_by_grad)
def test_multi_grad_hook_runs_in_autograd_grad(case: HookedGraph) -> None:
    """A multi-grad hook is called by autograd.grad for a leaf among its tensors as it is by backward."""
    hook_model.same_seen(case, expected_run(case), found_run(case.run()), "gathered")


@cases(hook_case_sources.gatherings_of_first)
def test_multi_grad_hook_of_any_gets_the_first_gradient(case: HookedGraph) -> None:
    """A multi-grad hook of the mode any is called once in each backward call, with the first gradient computed."""
    hook_model.first_seen(case, expected_run(case), found_run(case.run()))


@cases(hook_case_sources.nested_calls, acts.acted)
def test_multi_grad_hook_keeps_backward_calls_apart(case: NestedCall) -> None:
    """A multi-grad hook waits for all gradients of its backward call also where another goes on in the meantime."""
    found: list[list[bool]] = []
    case.run(lambda gradients: found.append([x is not None for x in gradients]))
    expect.equal([[True, False, False], [True, True, True]], found, "which gradients the hook got, in each call")


@cases(hook_case_sources.results_and_views, acts.acted)
def test_multi_grad_hook_refuses_another_mode(case: HookRefusal) -> None:
    """register_multi_grad_hook raises for a mode that is neither all nor any."""
    tensor = case.tensor()
    what = "register_multi_grad_hook with mode='first'"
    register = torch.autograd.graph.register_multi_grad_hook
    expect.raises(ValueError, lambda: register([tensor], print, mode="first"), what)


@cases(hook_case_sources.tracked_tensors, acts.acted)
def test_multi_grad_hook_refuses_or_ignores_a_tensor_without_grad(case: HookTarget) -> None:
    """register_multi_grad_hook may refuse a tensor that requires no grad, or pass None for it and await the rest."""
    tensor, found = case.tensor(), list[list[bool]]()
    members = [tensor.detach(), tensor]
    try:
        torch.autograd.graph.register_multi_grad_hook(members, lambda xs: found.append([x is not None for x in xs]))
    except (RuntimeError, AssertionError, ValueError):
        return
    (tensor * 3).backward(torch.ones_like(tensor))
    expect.equal([[False, True]], found, "which gradients the hook got")


# --- the whole ------------------------------------------------------------------------------------------------


@cases(hook_sources.random_graphs)
def test_hooks_run_in_the_documented_order(case: HookedGraph) -> None:
    """At each tensor come hooks on it, pre-hooks of its node, the node, post-accumulate hooks and hooks of the node."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_order(case, expected, found)
    hook_model.consumers_first(case, found)
    hook_model.same_seen(case, expected, found, *hook_model.HOOK_NAMES)
    hook_model.same_gradients(case, expected, found)


@cases(hook_case_sources.retained_before_the_node)
def test_retained_grad_is_updated_between_tensor_hooks_and_node(case: HookedGraph) -> None:
    """The .grad of a tensor that retains it is updated after the hooks on it, and before its node is executed."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_grad_then(case, expected, found, "tensor", "node", "post")


@cases(hook_case_sources.retained_and_pre_hooks)
def test_retained_grad_is_updated_after_node_pre_hooks(case: HookedGraph) -> None:
    """The .grad of a tensor that retains it is updated after the pre-hooks of its node."""
    expected, found = expected_run(case), found_run(case.run())
    hook_model.same_grad_then(case, expected, found, "pre")


@cases(hook_case_sources.raising_tensor_hooks)
def test_exception_in_a_tensor_hook_reaches_the_caller(case: HookedGraph) -> None:
    """An exception that a hook on a tensor raises reaches the caller of backward, and spares the graph."""
    hook_model.raises_and_recovers(case)


@cases(hook_case_sources.raising_node_hooks)
def test_exception_in_a_node_hook_reaches_the_caller(case: HookedGraph) -> None:
    """An exception that a hook of a node raises reaches the caller of backward, and spares the graph."""
    hook_model.raises_and_recovers(case)


@cases(hook_case_sources.raising_accumulation_hooks)
def test_exception_in_a_post_accumulate_hook_reaches_the_caller(case: HookedGraph) -> None:
    """An exception that a post-accumulate hook raises reaches the caller of backward, and spares the graph."""
    hook_model.raises_and_recovers(case)


@cases(hook_case_sources.threaded_hooks, acts.acted)
def test_tensor_hook_runs_for_each_thread(case: ThreadedHook) -> None:
    """Backward calls in two threads call a hook once each, with the gradient of that call."""
    seen, results, errors = case.run()
    expect.equal([], errors, "exceptions in the threads")
    arrays = sorted((memory.contents(x) for x in seen), key=np.sum)
    expect.equal(2, len(arrays), "calls of the hooks")
    for turn in range(2):
        expected = np.full(case.plan.shape, 3 + turn)
        found = memory.contents(expect.tensor(results[turn], f"result in thread {turn}"))
        numbers.close(expected * 2, found, case.plan.dtype, "value", f"result in thread {turn}")
        numbers.close(expected, arrays[turn], case.plan.dtype, "value", f"gradient that the hook got by thread {turn}")
