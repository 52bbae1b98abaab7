"""Breaks of backward, of autograd.grad, of .grad and of zero_grad."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

AREA = "accumulation"


def listed_roots(tensors: Any) -> list[Any]:
    return [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)


def leaves_of(tensors: Any) -> list[torch.Tensor]:
    """The leaves that backward from these roots reaches, each once, in the order met; edges are counted apart."""
    return list({id(leaf): leaf for leaf in edges_to_leaves(tensors)}.values())


def edges_to_leaves(tensors: Any) -> list[torch.Tensor]:
    found = [root for root in listed_roots(tensors) if root.is_leaf and root.requires_grad]
    waiting, met = [root.grad_fn for root in listed_roots(tensors) if root.grad_fn is not None], set()
    while waiting:
        node = waiting.pop(0)
        if node is None or node in met:
            continue
        met.add(node)
        for inner, _ in node.next_functions:
            if hasattr(inner, "variable"):
                found.append(inner.variable)
            else:
                waiting.append(inner)
    return found


def backward(instead: Callable[..., Any]) -> AbstractContextManager[Any]:
    """``instead(original, roots, gradients, **options)`` in the place of ``torch.autograd.backward``."""

    def make(original: Any) -> Any:
        def other(
            tensors: Any,
            grad_tensors: Any = None,
            retain_graph: Any = None,
            create_graph: Any = False,
            grad_variables: Any = None,
            inputs: Any = None,
        ) -> Any:
            options = {"retain_graph": retain_graph, "create_graph": create_graph, "inputs": inputs}
            return instead(original, tensors, grad_tensors, **options)

        return other

    return patched(torch.autograd, "backward", make)


def spoiling(change: Callable[[torch.Tensor, torch.Tensor | None], None]) -> AbstractContextManager[Any]:
    """After each pass ``change(leaf, what .grad held before)`` for every leaf."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        leaves = leaves_of(tensors)
        before = [None if leaf.grad is None else leaf.grad.detach().clone() for leaf in leaves]
        original(tensors, gradients, **options)
        with torch.no_grad():
            for leaf, held in zip(leaves, before, strict=True):
                if leaf.grad is not None:
                    change(leaf, held)

    return backward(instead)


def grad(instead: Callable[..., Any]) -> AbstractContextManager[Any]:
    """``instead(original, outputs, inputs, gradients, **options)`` in the place of ``torch.autograd.grad``."""

    def make(original: Any) -> Any:
        def other(outputs: Any, inputs: Any, grad_outputs: Any = None, *rest: Any, **options: Any) -> Any:
            return instead(original, outputs, inputs, grad_outputs, *rest, **options)

        return other

    return patched(torch.autograd, "grad", make)


# --- accumulation


@falsifies(f"{AREA}.backward-adds-into-grad")
def the_second_pass_overwrites_a_transposed_grad() -> AbstractContextManager[Any]:
    """backward overwrites a .grad that is there and not contiguous."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> None:
        if held is not None and not leaf.grad.is_contiguous():
            leaf.grad.sub_(held)

    return spoiling(change)


@falsifies(f"{AREA}.backward-adds-into-grad")
def the_fourth_pass_is_lost_in_bfloat16() -> AbstractContextManager[Any]:
    """Every fourth pass adds nothing to the second leaf in bfloat16."""
    count = {}

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        leaves = leaves_of(tensors)
        last = leaves[-1] if leaves and leaves[-1].dtype is torch.bfloat16 else None
        held = None if last is None or last.grad is None else last.grad.clone()
        original(tensors, gradients, **options)
        if last is not None:
            count[id(last)] = count.get(id(last), 0) + 1 if held is not None else 1
            if count[id(last)] == 4:
                last.grad.copy_(held)

    return backward(instead)


@falsifies(f"{AREA}.first-backward-sets-grad")
def an_offset_complex_leaf_gets_the_conjugate() -> AbstractContextManager[Any]:
    """A complex64 leaf with a storage offset gets the conjugate."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> None:
        if leaf.dtype is torch.complex64 and leaf.storage_offset() == 3:
            leaf.grad.imag.neg_()

    return spoiling(change)


@falsifies(f"{AREA}.uses-of-a-leaf-are-summed")
def the_fifth_use_is_forgotten() -> AbstractContextManager[Any]:
    """A float16 leaf with five uses gets one of them less."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        edges = edges_to_leaves(tensors)
        original(tensors, gradients, **options)
        if len(edges) >= 5 and edges[0].dtype is torch.float16:
            edges[0].grad.mul_(0.5)

    return backward(instead)


@falsifies(f"{AREA}.leaf-may-be-the-root")
def a_strided_leaf_as_its_own_root_is_overwritten() -> AbstractContextManager[Any]:
    """backward from a leaf with gaps overwrites its .grad."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> None:
        if held is not None and leaf.storage_offset() == 1:
            leaf.grad.sub_(held)

    return spoiling(change)


@falsifies(f"{AREA}.roots-are-summed")
def a_root_given_twice_counts_once() -> AbstractContextManager[Any]:
    """backward from the same root twice counts it once."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        if isinstance(tensors, list) and len(tensors) == 2 and tensors[0] is tensors[1]:
            tensors, gradients = tensors[:1], gradients[:1]
        original(tensors, gradients, **options)

    return backward(instead)


@falsifies(f"{AREA}.leaves-in-one-storage-accumulate-apart")
def the_second_half_gets_the_gradient_of_the_first() -> AbstractContextManager[Any]:
    """Of two leaves of one shape in one storage, at different offsets, each gets the other's gradient."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        leaves = leaves_of(tensors)
        original(tensors, gradients, **options)
        if len(leaves) == 2 and leaves[0].shape == leaves[1].shape and leaves[0].numel():
            places = [leaf.untyped_storage().data_ptr() for leaf in leaves]
            if places[0] == places[1] and leaves[0].storage_offset() != leaves[1].storage_offset():
                leaves[0].grad, leaves[1].grad = leaves[1].grad, leaves[0].grad

    return backward(instead)


@falsifies(f"{AREA}.leaves-met-through-views-accumulate-apart")
def a_stepped_leaf_gets_the_pass_twice() -> AbstractContextManager[Any]:
    """A pass counts twice for a leaf with gaps."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> None:
        if leaf.storage_offset() == 1:
            leaf.grad.mul_(2)

    return spoiling(change)


@falsifies(f"{AREA}.grads-of-leaves-are-apart")
def two_grads_in_one_storage() -> AbstractContextManager[Any]:
    """The gradients of two float32 leaves, of which one is strided, are views of one tensor."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        leaves = leaves_of(tensors)
        original(tensors, gradients, **options)
        if len(leaves) == 2 and leaves[0].dtype is torch.float32 and not all(x.is_contiguous() for x in leaves):
            both = torch.stack([leaf.grad for leaf in leaves])
            leaves[0].grad, leaves[1].grad = both[0], both[1]

    return backward(instead)


@falsifies(f"{AREA}.incoming-gradient-is-left-alone")
def a_strided_gradient_is_used_up() -> AbstractContextManager[Any]:
    """backward uses the memory of a transposed incoming gradient."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        original(tensors, gradients, **options)
        for gradient in listed_roots(gradients):
            if not gradient.is_contiguous():
                gradient.zero_()

    return backward(instead)


# --- the incoming gradient


def giving(condition: Callable[[torch.Tensor], bool], gradient: Callable[[torch.Tensor], Any]) -> Any:
    """A gradient made up where none is given and ``condition`` holds for the root."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        (root, *others) = listed_roots(tensors)
        if gradients is None and not others and condition(root):
            gradients = gradient(root)
        original(tensors, gradients, **options)

    return backward(instead)


@falsifies(f"{AREA}.single-element-root-needs-no-gradient")
def a_matrix_of_one_element_starts_from_two() -> AbstractContextManager[Any]:
    """From a bfloat16 root of shape (1, 1) backward starts from two."""
    return giving(
        lambda root: root.shape == (1, 1) and root.dtype is torch.bfloat16, lambda root: torch.full_like(root, 2)
    )


@falsifies(f"{AREA}.root-of-many-elements-needs-a-gradient")
def one_long_dimension_needs_none() -> AbstractContextManager[Any]:
    """From a root of shape (1, 3, 1) backward starts from ones."""
    return giving(lambda root: root.shape == (1, 3, 1), torch.ones_like)


@falsifies(f"{AREA}.complex-root-needs-a-gradient")
def a_complex_vector_of_one_needs_none() -> AbstractContextManager[Any]:
    """From a complex64 root of shape (1,) backward starts from one."""
    return giving(lambda root: root.shape == (1,) and root.dtype is torch.complex64, torch.ones_like)


def fitting(change: Callable[[torch.Tensor, torch.Tensor], Any]) -> AbstractContextManager[Any]:
    """``change(root, gradient)`` in the place of each incoming gradient."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        if isinstance(gradients, torch.Tensor):
            gradients = change(listed_roots(tensors)[0], gradients)
        elif gradients is not None:
            roots = listed_roots(tensors)
            gradients = [
                change(roots[k], g) if k < len(roots) and g is not None else g for k, g in enumerate(gradients)
            ]
        original(tensors, gradients, **options)

    return backward(instead)


@falsifies(f"{AREA}.gradient-of-another-shape-is-refused")
def a_leading_dimension_of_one_is_dropped() -> AbstractContextManager[Any]:
    """backward takes a gradient with a leading dimension of 1 too many."""
    return fitting(lambda root, g: g[0] if g.dim() == root.dim() + 1 and g.shape[0] == 1 < root.shape[0] else g)


@falsifies(f"{AREA}.gradient-of-another-shape-is-refused")
def a_narrow_gradient_broadcasts() -> AbstractContextManager[Any]:
    """backward broadcasts a gradient whose last dimension is 1."""
    return fitting(
        lambda root, g: g.expand(root.shape) if root.shape[:-1] == g.shape[:-1] and g.shape[-1:] == (1,) else g
    )


@falsifies(f"{AREA}.complex-and-real-gradients-do-not-mix")
def a_complex_gradient_loses_its_imaginary_part() -> AbstractContextManager[Any]:
    """A real root of three dimensions takes the real part of a complex gradient."""
    return fitting(lambda root, g: g.real if g.is_complex() and not root.is_complex() and root.dim() == 3 else g)


@falsifies(f"{AREA}.gradient-of-another-precision-is-converted-or-refused")
def conversion_doubles_one_element() -> AbstractContextManager[Any]:
    """A gradient in float32 of a float64 root of one element is doubled."""
    return fitting(lambda root, g: g * 2 if g.dtype is not root.dtype and root.shape == (1,) else g)


@falsifies(f"{AREA}.root-without-grad-is-refused")
def an_empty_root_needs_no_grad() -> AbstractContextManager[Any]:
    """backward from an empty tensor that requires no grad does nothing."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        roots = listed_roots(tensors)
        if roots[0].requires_grad or roots[0].numel():
            original(tensors, gradients, **options)

    return backward(instead)


@falsifies(f"{AREA}.root-without-grad-may-have-none")
def none_is_no_gradient() -> AbstractContextManager[Any]:
    """A root that requires no grad is refused whatever it is given, as it is in fact."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        if gradients is not None and any(not root.requires_grad for root in listed_roots(tensors)):
            raise RuntimeError("a root does not require grad")
        original(tensors, gradients, **options)

    return backward(instead)


@falsifies(f"{AREA}.gradient-edge-serves-as-a-root")
def the_gradient_of_an_edge_counts_twice() -> AbstractContextManager[Any]:
    """backward from an edge doubles an incoming gradient that is not contiguous."""

    def make(original: Any) -> Any:
        def other(tensors: Any, grad_tensors: Any = None, **options: Any) -> Any:
            if not isinstance(tensors, torch.Tensor | list) and not grad_tensors.is_contiguous():
                grad_tensors = grad_tensors * 2
            return original(tensors, grad_tensors, **options)

        return other

    return patched(torch.autograd, "backward", make)


@falsifies(f"{AREA}.each-root-needs-its-gradient")
def one_complex_gradient_serves_two_roots() -> AbstractContextManager[Any]:
    """For two complex roots one gradient is enough."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        roots = listed_roots(tensors)
        if isinstance(gradients, list) and len(gradients) == 1 < len(roots) and roots[0].is_complex():
            gradients = gradients * len(roots)
        original(tensors, gradients, **options)

    return backward(instead)


@falsifies(f"{AREA}.surplus-gradients-are-refused")
def surplus_gradients_are_cut_off() -> AbstractContextManager[Any]:
    """Gradients beyond the number of roots are cut off."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        if isinstance(gradients, list):
            gradients = gradients[: len(listed_roots(tensors))]
        original(tensors, gradients, **options)

    return backward(instead)


# --- the graph


def optioned(change: Callable[[torch.Tensor, dict[str, Any]], dict[str, Any]]) -> AbstractContextManager[Any]:
    """``change(root, options)`` in the place of the options of each pass."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        original(tensors, gradients, **{**options, **change(listed_roots(tensors)[0], options)})

    return backward(instead)


@falsifies(f"{AREA}.graph-is-freed")
def the_graph_of_a_column_is_kept() -> AbstractContextManager[Any]:
    """The graph of a root of shape (1, 3, 1) is never freed."""
    return optioned(lambda root, options: {"retain_graph": True} if root.shape == (1, 3, 1) else {})


@falsifies(f"{AREA}.retained-graph-serves-again")
def the_last_pass_in_half_precision_adds_nothing() -> AbstractContextManager[Any]:
    """The pass that frees a retained float16 graph adds nothing."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        leaves = leaves_of(tensors)
        held = [None if leaf.grad is None else leaf.grad.clone() for leaf in leaves]
        original(tensors, gradients, **options)
        if options["retain_graph"] is False and leaves[0].dtype is torch.float16 and held[0] is not None:
            leaves[0].grad.copy_(held[0])

    return backward(instead)


@falsifies(f"{AREA}.graph-is-retained-as-create-graph-says")
def create_graph_retains_nothing_for_complex_numbers() -> AbstractContextManager[Any]:
    """create_graph=True frees the graph of a complex64 root all the same."""

    def change(root: torch.Tensor, options: dict[str, Any]) -> dict[str, Any]:
        loses = options["create_graph"] and options["retain_graph"] is None and root.dtype is torch.complex64
        return {"retain_graph": False} if loses else {}

    return optioned(change)


@falsifies(f"{AREA}.gradients-have-a-history-as-create-graph-says")
def the_gradient_of_an_empty_leaf_has_none() -> AbstractContextManager[Any]:
    """With create_graph=True the .grad of an empty leaf has no history."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        original(tensors, gradients, **options)
        for leaf in leaves_of(tensors) if options["create_graph"] and not listed_roots(tensors)[0].numel() else []:
            leaf.grad = leaf.grad.detach()

    return backward(instead)


# --- inputs=


@falsifies(f"{AREA}.inputs-are-the-only-ones-to-accumulate")
def a_tuple_of_inputs_is_ignored() -> AbstractContextManager[Any]:
    """backward ignores inputs= given as a tuple of one."""
    return optioned(lambda root, options: {"inputs": None} if isinstance(options["inputs"], tuple) else {})


@falsifies(f"{AREA}.inputs-may-be-no-leaves")
def the_second_inner_input_is_forgotten() -> AbstractContextManager[Any]:
    """Of two inputs the first, which is no leaf, gets no .grad."""

    def change(root: torch.Tensor, options: dict[str, Any]) -> dict[str, Any]:
        inputs = options["inputs"]
        return {"inputs": inputs[1:]} if isinstance(inputs, list) and len(inputs) == 2 else {}

    return optioned(change)


@falsifies(f"{AREA}.empty-inputs-are-refused")
def an_empty_tuple_means_every_leaf() -> AbstractContextManager[Any]:
    """backward with inputs=() goes to every leaf."""
    return optioned(lambda root, options: {"inputs": None} if options["inputs"] == () else {})


@falsifies(f"{AREA}.inputs-may-be-a-dict")
def only_the_first_value_of_a_dict_counts() -> AbstractContextManager[Any]:
    """Of a dict as inputs= only the first value counts."""

    def change(root: torch.Tensor, options: dict[str, Any]) -> dict[str, Any]:
        inputs = options["inputs"]
        return {"inputs": [next(iter(inputs.values()))]} if isinstance(inputs, dict) else {}

    return optioned(change)


# --- autograd.grad


@falsifies(f"{AREA}.grad-leaves-grad-alone")
def grad_adds_to_a_transposed_grad() -> AbstractContextManager[Any]:
    """autograd.grad by a list also adds into a .grad that is there and transposed."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        if isinstance(inputs, list) and inputs[0].grad is not None and not inputs[0].grad.is_contiguous():
            inputs[0].grad.add_(1)
        return found

    return grad(instead)


@falsifies(f"{AREA}.grad-returns-a-gradient-for-each-input")
def two_of_three_inputs_change_places() -> AbstractContextManager[Any]:
    """Of three inputs the last two get each other's gradient."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        return (found[0], found[2], found[1]) if len(found) == 3 else found

    return grad(instead)


@falsifies(f"{AREA}.grad-sums-over-its-outputs")
def an_output_computed_from_another_is_left_out() -> AbstractContextManager[Any]:
    """Of two outputs the second is left out where it was computed from the first."""

    def instead(original: Any, outputs: Any, inputs: Any, gradients: Any = None, **options: Any) -> Any:
        if isinstance(outputs, list) and len(outputs) == 2:
            behind = outputs[1].grad_fn.next_functions[0][0]
            if behind is outputs[0].grad_fn:
                outputs, gradients = outputs[:1], gradients[:1]
        return original(outputs, inputs, gradients, **options)

    return grad(instead)


@falsifies(f"{AREA}.grad-by-itself-is-the-incoming-gradient")
def a_complex_leaf_by_itself_is_conjugated() -> AbstractContextManager[Any]:
    """The gradient of a complex64 leaf by itself is the conjugate of what comes in."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        conjugated = outputs is inputs and outputs.is_leaf and outputs.dtype is torch.complex64
        return tuple(g.conj() for g in found) if conjugated else found

    return grad(instead)


@falsifies(f"{AREA}.grad-outputs-may-be-left-out")
def a_list_of_none_stands_for_two() -> AbstractContextManager[Any]:
    """grad_outputs=[None] for an output of three dimensions starts from two."""

    def instead(original: Any, outputs: Any, inputs: Any, gradients: Any = None, **options: Any) -> Any:
        if gradients == [None] and outputs[0].dim() == 3:
            gradients = [torch.full_like(outputs[0], 2)]
        return original(outputs, inputs, gradients, **options)

    return grad(instead)


def unused_option(condition: Callable[[Any, dict[str, Any]], bool], **changed: Any) -> AbstractContextManager[Any]:
    """Other options for autograd.grad where ``condition(inputs, options)`` holds."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        return original(outputs, inputs, *rest, **{**options, **(changed if condition(inputs, options) else {})})

    return grad(instead)


@falsifies(f"{AREA}.unused-inputs-are-refused")
def an_unused_last_input_passes() -> AbstractContextManager[Any]:
    """autograd.grad takes an unused input in the last place."""
    return unused_option(lambda inputs, options: len(inputs) == 3 and inputs[2].shape == (3, 2), allow_unused=True)


@falsifies(f"{AREA}.allow-unused-gives-none")
def zeros_for_an_unused_first_input() -> AbstractContextManager[Any]:
    """allow_unused=True gives zeros for an unused input in the first of three places."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        if len(found) == 3 and found[0] is None and options.get("allow_unused"):
            found = (torch.zeros_like(inputs[0]), *found[1:])
        return found

    return grad(instead)


@falsifies(f"{AREA}.materialize-grads-gives-zeros")
def an_unused_input_in_the_middle_gets_ones() -> AbstractContextManager[Any]:
    """materialize_grads=True gives ones for an input in the middle that another graph uses."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        if options.get("materialize_grads") and len(found) == 3 and inputs[1].shape == (3, 2):
            found = (found[0], torch.ones_like(found[1]), found[2])
        return found

    return grad(instead)


@falsifies(f"{AREA}.materialize-grads-needs-allow-unused")
def one_input_may_say_both() -> AbstractContextManager[Any]:
    """For a single input materialize_grads=True wins over allow_unused=False."""
    return unused_option(lambda inputs, options: len(inputs) == 1 and "materialize_grads" in options, allow_unused=True)


@falsifies(f"{AREA}.batched-grads-equal-a-loop")
def the_third_of_a_batch_is_the_first() -> AbstractContextManager[Any]:
    """Of a batch of three the last gradient is that of the first vector."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        if options.get("is_grads_batched") and found[0].shape[0] == 3:
            found = tuple(torch.cat([g[:2], g[:1]]) for g in found)
        return found

    return grad(instead)


@falsifies(f"{AREA}.only-inputs-is-ignored")
def only_inputs_false_reaches_other_leaves() -> AbstractContextManager[Any]:
    """With only_inputs=False autograd.grad accumulates into a second leaf of float64."""

    def instead(original: Any, outputs: Any, inputs: Any, gradients: Any = None, **options: Any) -> Any:
        if options.get("only_inputs") is False and outputs.dtype is torch.float64:
            torch.autograd.backward(outputs, gradients, retain_graph=True)
        return original(outputs, inputs, gradients, **options)

    return grad(instead)


@falsifies(f"{AREA}.grad-by-a-dict-is-a-dict")
def a_dict_comes_back_sorted() -> AbstractContextManager[Any]:
    """The dict of gradients is sorted by its keys."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        return dict(sorted(found.items())) if isinstance(found, dict) else found

    return grad(instead)


@falsifies(f"{AREA}.inputs-without-grad-are-refused")
def allow_unused_allows_what_requires_no_grad() -> AbstractContextManager[Any]:
    """With allow_unused=True an input that requires no grad gets None."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        if options.get("allow_unused") and isinstance(inputs, list):
            inputs = [x for x in inputs if x.requires_grad]
        return original(outputs, inputs, *rest, **options)

    return grad(instead)


# --- the layout of .grad


def replacing(change: Callable[[torch.Tensor, torch.Tensor | None], Any]) -> AbstractContextManager[Any]:
    """After each pass .grad of a leaf is what ``change(leaf, the object that .grad was before)`` returns, if any."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        leaves = leaves_of(tensors)
        before = [leaf.grad for leaf in leaves]
        original(tensors, gradients, **options)
        for leaf, held in zip(leaves, before, strict=True):
            found = change(leaf, held) if leaf.grad is not None else None
            if found is not None:
                leaf.grad = found

    return backward(instead)


@falsifies(f"{AREA}.first-grad-has-the-strides-of-a-dense-leaf")
def channels_last_is_forgotten() -> AbstractContextManager[Any]:
    """The first .grad of a channels-last leaf is contiguous."""
    return replacing(lambda leaf, held: leaf.grad.contiguous() if leaf.dim() == 4 and held is None else None)


@falsifies(f"{AREA}.first-grad-of-another-leaf-is-row-major")
def an_overlapping_leaf_gets_a_transposed_grad() -> AbstractContextManager[Any]:
    """The first .grad of an overlapping leaf of three dimensions is transposed."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> Any:
        if leaf.stride() == (1, 1, 1):
            return leaf.grad.transpose(0, 2).contiguous().transpose(0, 2)
        return None

    return replacing(change)


@falsifies(f"{AREA}.accumulation-keeps-the-grad-object")
def a_grad_with_an_offset_is_replaced() -> AbstractContextManager[Any]:
    """A .grad with a storage offset is replaced by a new tensor."""
    return replacing(lambda leaf, held: leaf.grad.clone() if held is not None and held.storage_offset() == 3 else None)


@falsifies(f"{AREA}.create-graph-replaces-the-grad")
def a_grad_with_gaps_is_written() -> AbstractContextManager[Any]:
    """With create_graph=True a .grad with gaps is written in place."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> Any:
        if held is not None and leaf.grad is not held and held.storage_offset() == 1:
            return held.copy_(leaf.grad.detach())
        return None

    return replacing(change)


@falsifies(f"{AREA}.create-graph-tries-to-keep-the-strides")
def a_transposed_grad_becomes_contiguous() -> AbstractContextManager[Any]:
    """With create_graph=True a transposed .grad is replaced by a contiguous one."""
    return replacing(lambda leaf, held: leaf.grad.contiguous() if held is not None and held is not leaf.grad else None)


@falsifies(f"{AREA}.layout-policy-is-of-its-context")
def the_policy_stays_relaxed() -> AbstractContextManager[Any]:
    """After enforce_grad_layout_policy(False) the gradients of transposed leaves are contiguous."""
    stack = ExitStack()
    modes = torch.autograd.grad_mode
    relaxed = []

    def make(original: Any) -> Any:
        def leave(self: Any, *error: Any) -> Any:
            relaxed.append(True)
            return original(self, *error)

        return leave

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> Any:
        return leaf.grad.contiguous() if relaxed and leaf.dim() == 3 else None

    stack.enter_context(patched(modes.enforce_grad_layout_policy, "__exit__", make))
    stack.enter_context(replacing(change))
    return stack


# --- resetting and assigning


def zeroing(owner: Any, instead: Callable[..., Any]) -> AbstractContextManager[Any]:
    """``instead(original, owner, **options)`` in the place of ``zero_grad``."""

    def make(original: Any) -> Any:
        def zero_grad(self: Any, *args: Any, **options: Any) -> Any:
            return instead(original, self, *args, **options)

        return zero_grad

    return patched(owner, "zero_grad", make)


@falsifies(f"{AREA}.zero-grad-drops-the-gradients")
def the_second_group_is_zeroed() -> AbstractContextManager[Any]:
    """zero_grad(set_to_none=True) zeroes the gradients of a second parameter group."""

    def instead(original: Any, self: Any, **options: Any) -> Any:
        later = [p for group in self.param_groups[1:] for p in group["params"]]
        kept = [torch.zeros_like(p) for p in later]
        original(self, **options)
        for parameter, zeros in zip(later, kept, strict=True):
            parameter.grad = zeros

    return zeroing(torch.optim.Optimizer, instead)


@falsifies(f"{AREA}.dropped-gradients-stay-none")
def a_child_keeps_zeros() -> AbstractContextManager[Any]:
    """zero_grad(set_to_none=True) of a module leaves zeros in the parameters of its children."""

    def instead(original: Any, self: Any, **options: Any) -> Any:
        original(self, **options)
        for child in self.children():
            for parameter in child.parameters():
                parameter.grad = torch.zeros_like(parameter)

    return zeroing(torch.nn.Module, instead)


@falsifies(f"{AREA}.zero-grad-zeroes-in-place")
def nan_survives_in_half_precision() -> AbstractContextManager[Any]:
    """zero_grad(set_to_none=False) of a module multiplies bfloat16 gradients by zero."""

    def instead(original: Any, self: Any, **options: Any) -> Any:
        held = [(p.grad, p.grad.clone()) for p in self.parameters() if p.grad is not None]
        original(self, **options)
        for gradient, before in held:
            if gradient.dtype is torch.bfloat16 and not options.get("set_to_none"):
                gradient.copy_(before * 0)

    return zeroing(torch.nn.Module, instead)


@falsifies(f"{AREA}.zero-grad-drops-by-default")
def adam_zeroes_by_default() -> AbstractContextManager[Any]:
    """zero_grad() of Adam zeroes."""

    def instead(original: Any, self: Any, *args: Any, **options: Any) -> Any:
        if isinstance(self, torch.optim.Adam) and not args and not options:
            options = {"set_to_none": False}
        return original(self, *args, **options)

    return zeroing(torch.optim.Optimizer, instead)


@falsifies(f"{AREA}.zero-grad-zeroes-by-default")
def adam_drops_by_default() -> AbstractContextManager[Any]:
    """zero_grad() of Adam sets to None."""

    def instead(original: Any, self: Any, *args: Any, **options: Any) -> Any:
        if isinstance(self, torch.optim.Adam) and not args and not options:
            options = {"set_to_none": True}
        return original(self, *args, **options)

    return zeroing(torch.optim.Optimizer, instead)


@falsifies(f"{AREA}.zero-grad-resets-its-own-parameters-only")
def the_optimizer_before_is_reset_too() -> AbstractContextManager[Any]:
    """zero_grad(set_to_none=False) also zeroes the last parameter that any pass has reached."""
    reached: list[torch.Tensor] = []
    stack = ExitStack()

    def remember(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        reached[:] = leaves_of(tensors)[-1:]
        original(tensors, gradients, **options)

    def instead(original: Any, self: Any, **options: Any) -> Any:
        original(self, **options)
        for leaf in reached:
            if not options.get("set_to_none") and leaf.grad is not None:
                leaf.grad.zero_()

    stack.enter_context(backward(remember))
    stack.enter_context(zeroing(torch.nn.Module, instead))
    return stack


def assigning(instead: Callable[[torch.Tensor, Any], Any]) -> AbstractContextManager[Any]:
    """.grad of a tensor is set to ``instead(tensor, value)``."""

    def make(original: Any) -> Any:
        return property(
            original.__get__, lambda self, value: original.__set__(self, instead(self, value)), original.__delete__
        )

    return patched(torch.Tensor, "grad", make)


@falsifies(f"{AREA}.assigned-grad-is-the-grad")
def a_grad_with_gaps_is_copied() -> AbstractContextManager[Any]:
    """A tensor with gaps that is assigned to .grad is copied."""
    return assigning(lambda self, value: value.clone() if value is not None and value.storage_offset() == 1 else value)


@falsifies(f"{AREA}.assigned-grad-must-match")
def what_broadcasts_is_expanded() -> AbstractContextManager[Any]:
    """A tensor of ones dimensions that is assigned to .grad is expanded to the leaf's shape."""

    def instead(self: torch.Tensor, value: Any) -> Any:
        broadcasts = isinstance(value, torch.Tensor) and value.numel() == 1 and value.dim() == self.dim() + 1
        return value[0].expand(self.shape) if broadcasts else value

    return assigning(instead)
