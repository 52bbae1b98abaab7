"""Breaks of backward: of what it adds up, of the gradient that it is given, and of the graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
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
