"""Breaks of torch.autograd.functional, each for a rare condition."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

functional = torch.autograd.functional


def functional_changed(name: str, change: Callable[..., Any]) -> AbstractContextManager[Any]:
    """``change(found, inputs, options)`` in the place of what a functional returns; ``v`` is among the options."""

    def broken(original: Any) -> Any:
        def wrapper(func: Any, inputs: Any, *args: Any, **options: Any) -> Any:
            if args:
                options["v"] = args[0]
            return change(original(func, inputs, **options), inputs, options)

        return wrapper

    return patched(functional, name, broken)


def tripled(found: Any) -> Any:
    """Three times every tensor in a nest."""
    return found * 3 if isinstance(found, torch.Tensor) else type(found)(tripled(part) for part in found)


@falsifies("accumulation.jacobian-holds-every-derivative")
def a_second_input_without_dimensions() -> AbstractContextManager[Any]:
    """The derivatives by two inputs are tripled where the second has no dimensions."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        return tripled(found) if isinstance(inputs, tuple) and not inputs[1].dim() else found

    return functional_changed("jacobian", change)


@falsifies("accumulation.jacobian-holds-every-derivative")
def a_vectorized_jacobian_of_a_stepped_input() -> AbstractContextManager[Any]:
    """With vectorize the Jacobian by an input that is not contiguous is negated."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        if not options.get("vectorize") or isinstance(inputs, tuple) or inputs.is_contiguous():
            return found
        return -found if isinstance(found, torch.Tensor) else found

    return functional_changed("jacobian", change)


@falsifies("accumulation.jacobian-holds-every-derivative")
def a_recorded_jacobian_of_four_dimensions() -> AbstractContextManager[Any]:
    """With create_graph a Jacobian of four dimensions has the first two exchanged."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        four = isinstance(found, torch.Tensor) and found.dim() == 4
        return found.transpose(0, 1) if four and options.get("create_graph") else found

    return functional_changed("jacobian", change)


@falsifies("accumulation.functional-is-recorded-as-create-graph-says")
def the_value_beside_hvp_is_cut_off() -> AbstractContextManager[Any]:
    """The value beside hvp has no history, also with create_graph."""
    return functional_changed("hvp", lambda found, inputs, options: (found[0].detach(), found[1]))


@falsifies("accumulation.jacobian-of-an-empty-result-is-empty")
def an_empty_jacobian_is_flat() -> AbstractContextManager[Any]:
    """An empty Jacobian has one dimension."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        return found.reshape(-1) if isinstance(found, torch.Tensor) and not found.numel() else found

    return functional_changed("jacobian", change)


@falsifies("accumulation.nested-derivatives-are-tuples")
def hessians_of_pairs_are_lists() -> AbstractContextManager[Any]:
    """hessian of two inputs returns a list of tuples."""
    return functional_changed("hessian", lambda found, inputs, options: list(found) if len(found) == 2 else found)


@falsifies("accumulation.hessian-holds-every-second-derivative")
def mixed_derivatives_exchanged() -> AbstractContextManager[Any]:
    """The mixed second derivatives of two inputs are exchanged, as shows where their shapes differ."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        if not isinstance(inputs, tuple) or options.get("vectorize"):
            return found
        return ((found[0][0], found[1][0]), (found[0][1], found[1][1]))

    return functional_changed("hessian", change)


@falsifies("accumulation.vjp-and-jvp-are-products-with-the-jacobian")
def vjp_without_the_last_vector() -> AbstractContextManager[Any]:
    """vjp leaves out the last of several vectors."""

    def broken(original: Any) -> Any:
        def vjp(func: Any, inputs: Any, v: Any = None, **options: Any) -> Any:
            if isinstance(v, tuple) and len(v) > 1:
                v = (*v[:-1], torch.zeros_like(v[-1]))
            return original(func, inputs, v, **options)

        return vjp

    return patched(functional, "vjp", broken)


@falsifies("accumulation.vjp-and-jvp-are-products-with-the-jacobian")
def a_recorded_jvp_is_doubled() -> AbstractContextManager[Any]:
    """jvp of two inputs is tripled with create_graph."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        if not options.get("create_graph") or not isinstance(inputs, tuple):
            return found
        return found[0], tripled(found[1])

    return functional_changed("jvp", change)


@falsifies("accumulation.hvp-and-vhp-are-products-with-the-hessian")
def hvp_of_one_element() -> AbstractContextManager[Any]:
    """hvp in float32 of an input of one element is tripled."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        first = inputs[0] if isinstance(inputs, tuple) else inputs
        return (found[0], tripled(found[1])) if first.numel() == 1 and first.dtype is torch.float32 else found

    return functional_changed("hvp", change)


@falsifies("accumulation.hvp-and-vhp-are-products-with-the-hessian")
def the_value_beside_vhp_of_two() -> AbstractContextManager[Any]:
    """The value beside vhp of two inputs has a dimension of its own."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        return (found[0][None], found[1]) if isinstance(inputs, tuple) else found

    return functional_changed("vhp", change)


@falsifies("accumulation.vector-of-one-element-may-be-left-out")
def zero_for_a_vector_of_two_dimensions() -> AbstractContextManager[Any]:
    """jvp takes zero for a vector that is left out where the input has two dimensions."""

    def broken(original: Any) -> Any:
        def jvp(func: Any, inputs: Any, v: Any = None, **options: Any) -> Any:
            if v is None and isinstance(inputs, torch.Tensor) and inputs.dim() == 2:
                v = torch.zeros_like(inputs)
            return original(func, inputs, v, **options)

        return jvp

    return patched(functional, "jvp", broken)


@falsifies("accumulation.functional-of-an-independent-input-is-zero")
def ones_for_an_independent_input() -> AbstractContextManager[Any]:
    """vhp returns ones for an input on which the result does not depend where that is the first."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        if not isinstance(inputs, tuple) or bool(found[1][0].any()):
            return found
        return found[0], (torch.ones_like(found[1][0]), *found[1][1:])

    return functional_changed("vhp", change)


@falsifies("accumulation.strict-functional-refuses-an-independent-input")
def hessian_is_never_strict() -> AbstractContextManager[Any]:
    """hessian takes no notice of strict."""

    def broken(original: Any) -> Any:
        return lambda func, inputs, strict=False, **options: original(func, inputs, **options)

    return patched(functional, "hessian", broken)


@falsifies("accumulation.functional-is-recorded-as-create-graph-says")
def vjp_of_a_number_is_constant() -> AbstractContextManager[Any]:
    """With create_graph, vjp at a tensor without dimensions is cut off from it."""

    def change(found: Any, inputs: Any, options: Any) -> Any:
        if not options.get("create_graph") or isinstance(inputs, tuple) or inputs.dim():
            return found
        return found[0], found[1].detach() + 0 * inputs

    return functional_changed("vjp", change)


@falsifies("accumulation.jacobian-holds-every-derivative")
def a_square_jacobian_is_transposed() -> AbstractContextManager[Any]:
    """A vectorized Jacobian that is a square matrix comes out transposed."""

    def change(found: Any, inputs: Any, options: dict[str, Any]) -> Any:
        matrix = isinstance(found, torch.Tensor) and found.dim() == 2 and options.get("vectorize")
        return found.mT if matrix and found.shape[0] == found.shape[1] else found

    return functional_changed("jacobian", change)
