"""Breaks of inputs= and of autograd.grad."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.accumulation import AREA, grad, optioned
from conformance.selftest.falsifying import falsifies

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
def a_dict_comes_back_with_other_keys() -> AbstractContextManager[Any]:
    """The gradients of a dict of inputs come back under each other's keys."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        return dict(zip(found, reversed(list(found.values())), strict=True)) if isinstance(found, dict) else found

    return grad(instead)


@falsifies(f"{AREA}.inputs-without-grad-are-refused")
def allow_unused_allows_what_requires_no_grad() -> AbstractContextManager[Any]:
    """With allow_unused=True an input that requires no grad gets None."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        if options.get("allow_unused") and isinstance(inputs, list):
            inputs = [x for x in inputs if x.requires_grad]
        return original(outputs, inputs, *rest, **options)

    return grad(instead)
