"""Checks of ``specs/leaves.yaml``: what tensors, nodes and hooks of the autograd graph promise.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

import numpy as np
import torch

from conformance.engine.cases import cases
from conformance.inputs import hook_case_sources, hook_sources
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
from conformance.inputs.hooks import HookedGraph, HookError, node_of
from conformance.oracles import expect, hook_model, memory, numbers
from conformance.oracles.children import outlives
from conformance.oracles.hook_model import expected_run, found_run

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


@cases(hook_case_sources.split_hooks)
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


@cases(hook_case_sources.tracked_tensors)
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


@cases(hook_case_sources.untracked_tensors)
def test_tensor_hook_refuses_a_tensor_without_grad(case: HookRefusal) -> None:
    """A hook cannot be registered on a tensor that requires no grad."""
    tensor = case.tensor()
    expect.raises(RuntimeError, lambda: tensor.register_hook(print), "register_hook of a tensor that requires no grad")


@cases(hook_case_sources.wrong_results)
def test_tensor_hook_must_return_such_a_gradient(case: WrongResult) -> None:
    """Backward raises where a hook on a tensor returns another shape, another element type, or no tensor."""
    result = case.leaf().mul(2)
    case.arrange(result)
    what = f"backward with a hook that returns another {case.way}"
    expect.raises((RuntimeError, TypeError), lambda: result.backward(torch.ones_like(result)), what)


@cases(hook_case_sources.differentiated_hooks)
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


@cases(hook_sources.removed_by_a_block)
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


@cases(hook_case_sources.views_written_through)
def test_hook_on_a_base_keeps_to_its_value_through_views(case: WrittenView) -> None:
    """Hooks on a base get the gradient by its value from before and from after a write through a view of it."""
    live = case.build()
    live.listen()
    live.backward()
    hook_model.same_lists(case.plan.dtype, live.expected(), live.log, "old base", "new base", "new view")


@cases(hook_case_sources.views_written_through)
def test_hook_on_a_view_keeps_to_the_value_before_its_write(case: WrittenView) -> None:
    """A hook on a view from before the view is written gets the gradient by the value from before."""
    live = case.build()
    live.backward()
    hook_model.same_lists(case.plan.dtype, live.expected(), live.log, "old view")


@cases(hook_case_sources.bases_written)
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


@cases(hook_case_sources.unread_views)
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


@cases(hook_case_sources.results_and_views)
def test_post_accumulate_hook_refuses_a_result(case: HookRefusal) -> None:
    """A post-accumulate hook cannot be registered on a tensor that is no leaf."""
    tensor = case.tensor()
    what = "register_post_accumulate_grad_hook of a tensor that is no leaf"
    expect.raises(RuntimeError, lambda: tensor.register_post_accumulate_grad_hook(print), what)


@cases(hook_case_sources.untracked_tensors)
def test_post_accumulate_hook_refuses_a_tensor_without_grad(case: HookRefusal) -> None:
    """A post-accumulate hook cannot be registered on a tensor that requires no grad."""
    tensor = case.tensor()
    what = "register_post_accumulate_grad_hook of a tensor that requires no grad"
    expect.raises(RuntimeError, lambda: tensor.register_post_accumulate_grad_hook(print), what)


@cases(hook_case_sources.accumulation_changes)
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


@cases(hook_case_sources.split_hooks)
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


@cases(hook_case_sources.wrong_node_results)
def test_node_hook_must_return_such_gradients(case: WrongResult) -> None:
    """Backward raises where a hook or pre-hook of a node returns no tuple, or one of another length."""
    result = case.leaf().clone()
    case.arrange(result)
    what = f"backward with a hook of a node: {case.way}"
    expect.raises((RuntimeError, TypeError), lambda: result.backward(torch.ones_like(result)), what)


@cases(hook_case_sources.named_graphs)
def test_clone_node_has_the_documented_name(case: HookedGraph) -> None:
    """The node of a clone is named CloneBackward0."""
    for tensor in case.build().tensors:
        found = tensor.clone().grad_fn
        expect.equal("CloneBackward0", found.name(), "name of the node of a clone")


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


@cases(hook_case_sources.nested_calls)
def test_multi_grad_hook_keeps_backward_calls_apart(case: NestedCall) -> None:
    """A multi-grad hook waits for all gradients of its backward call also where another goes on in the meantime."""
    found: list[list[bool]] = []
    case.run(lambda gradients: found.append([x is not None for x in gradients]))
    expect.equal([[True, False, False], [True, True, True]], found, "which gradients the hook got, in each call")


@cases(hook_case_sources.results_and_views)
def test_multi_grad_hook_refuses_another_mode(case: HookRefusal) -> None:
    """register_multi_grad_hook raises for a mode that is neither all nor any."""
    tensor = case.tensor()
    what = "register_multi_grad_hook with mode='first'"
    register = torch.autograd.graph.register_multi_grad_hook
    expect.raises(ValueError, lambda: register([tensor], print, mode="first"), what)


@cases(hook_case_sources.tracked_tensors)
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
    hook_model.raises_and_recovers(case, HookError)


@cases(hook_case_sources.raising_node_hooks)
def test_exception_in_a_node_hook_reaches_the_caller(case: HookedGraph) -> None:
    """An exception that a hook of a node raises reaches the caller of backward, and spares the graph."""
    hook_model.raises_and_recovers(case, HookError)


@cases(hook_case_sources.raising_accumulation_hooks)
def test_exception_in_a_post_accumulate_hook_reaches_the_caller(case: HookedGraph) -> None:
    """An exception that a post-accumulate hook raises reaches the caller of backward, and spares the graph."""
    hook_model.raises_and_recovers(case, HookError)


@cases(hook_case_sources.threaded_hooks)
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
