"""Breaks of options that few calls give: second outputs and inputs, three groups, checkpoints within checkpoints."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.utils.checkpoint as module

from conformance.selftest.falsifiers.accumulation import AREA, backward, leaves_of, optioned
from conformance.selftest.falsifiers.accumulation_checkpoint import faulty_checkpoint
from conformance.selftest.falsifiers.accumulation_functions import came_out, of
from conformance.selftest.falsifiers.accumulation_gradcheck import faulty_check
from conformance.selftest.falsifiers.accumulation_inputs import grad
from conformance.selftest.falsifiers.accumulation_layouts import zeroing
from conformance.selftest.falsifying import falsifies, patched

# --- autograd.grad and inputs= --------------------------------------------------------------------------------


@falsifies(f"{AREA}.grad-returns-a-gradient-for-each-input")
def an_input_given_twice_gets_zeros_the_second_time() -> AbstractContextManager[Any]:
    """autograd.grad returns zeros for an input that it has met before."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        met = [any(x is y for y in inputs[:number]) for number, x in enumerate(inputs)]
        return tuple(torch.zeros_like(g) if again else g for g, again in zip(found, met, strict=True))

    return grad(instead)


@falsifies(f"{AREA}.grad-retains-the-graph-as-create-graph-says")
def create_graph_retains_it_in_any_case() -> AbstractContextManager[Any]:
    """autograd.grad with create_graph=True retains the graph whatever retain_graph says."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        if options.get("create_graph"):
            options["retain_graph"] = True
        return original(outputs, inputs, *rest, **options)

    return grad(instead)


@falsifies(f"{AREA}.batched-grads-equal-a-loop")
def the_batch_of_a_second_output_is_reversed() -> AbstractContextManager[Any]:
    """With is_grads_batched=True the batch of a second output is taken in reverse."""

    def instead(original: Any, outputs: Any, inputs: Any, incoming: Any = None, *rest: Any, **options: Any) -> Any:
        if options.get("is_grads_batched") and isinstance(outputs, list) and len(outputs) > 1:
            incoming = [incoming[0], *(batch.flip(0) for batch in incoming[1:])]
        return original(outputs, inputs, incoming, *rest, **options)

    return grad(instead)


@falsifies(f"{AREA}.batched-grads-equal-a-loop")
def batched_gradients_have_no_history() -> AbstractContextManager[Any]:
    """With is_grads_batched=True gradients have no history, whatever create_graph says."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        return tuple(g.detach() for g in found) if options.get("is_grads_batched") else found

    return grad(instead)


@falsifies(f"{AREA}.materialize-grads-gives-zeros")
def an_unused_scalar_gets_one() -> AbstractContextManager[Any]:
    """materialize_grads=True gives one for an input without dimensions."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        if not options.get("materialize_grads"):
            return found
        return tuple(g + 1 if not g.dim() and not g.any() else g for g in found)

    return grad(instead)


@falsifies(f"{AREA}.inputs-are-the-only-ones-to-accumulate")
def a_third_input_is_forgotten() -> AbstractContextManager[Any]:
    """backward takes two inputs at most."""

    def change(root: torch.Tensor, options: dict[str, Any]) -> dict[str, Any]:
        inputs = options["inputs"]
        return {"inputs": list(inputs)[:2]} if isinstance(inputs, list | tuple) and len(inputs) > 2 else {}

    return optioned(change)


@falsifies(f"{AREA}.backward-that-raises-leaves-grad-alone")
def a_refused_pass_doubles_a_float32_gradient() -> AbstractContextManager[Any]:
    """A pass over a freed graph doubles the float32 gradients that are there, and raises."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        leaves = leaves_of(tensors)
        try:
            original(tensors, gradients, **options)
        except RuntimeError as error:
            for leaf in leaves:
                if leaf.grad is not None and leaf.dtype is torch.float32 and "second time" in str(error):
                    leaf.grad.mul_(2)
            raise

    return backward(instead)


# --- zero_grad ------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.zero-grad-drops-the-gradients")
def a_third_group_is_forgotten() -> AbstractContextManager[Any]:
    """zero_grad of an optimizer passes over the groups from the third on."""

    def instead(original: Any, self: Any, *args: Any, **options: Any) -> Any:
        kept = [(p, p.grad) for group in self.param_groups[2:] for p in group["params"]]
        original(self, *args, **options)
        for parameter, gradient in kept:
            parameter.grad = gradient

    return zeroing(torch.optim.Optimizer, instead)


@falsifies(f"{AREA}.zero-grad-drops-the-gradients")
def a_frozen_parameter_keeps_its_gradient() -> AbstractContextManager[Any]:
    """zero_grad of a module passes over parameters that require no grad."""

    def instead(original: Any, self: Any, *args: Any, **options: Any) -> Any:
        kept = [(p, p.grad) for p in self.parameters() if not p.requires_grad]
        original(self, *args, **options)
        for parameter, gradient in kept:
            parameter.grad = gradient

    return zeroing(torch.nn.Module, instead)


@falsifies(f"{AREA}.zero-grad-leaves-zeros")
def a_gradient_with_a_history_is_dropped() -> AbstractContextManager[Any]:
    """zero_grad(set_to_none=False) of an optimizer drops gradients that have a history."""

    def instead(original: Any, self: Any, *args: Any, **options: Any) -> Any:
        for parameter in (p for group in self.param_groups for p in group["params"]):
            if parameter.grad is not None and parameter.grad.grad_fn is not None:
                parameter.grad = None
        return original(self, *args, **options)

    return zeroing(torch.optim.Optimizer, instead)


# --- custom functions and checks of gradients -----------------------------------------------------------------


@falsifies(f"{AREA}.custom-function-names-its-node")
def a_half_output_comes_out_as_a_view() -> AbstractContextManager[Any]:
    """The only output, in float16, comes out as an alias, whose node has another name."""
    return came_out(
        of("Spread", lambda spy, x, *a: spy.outputs == 1 and x.dtype is torch.float16), lambda f, *a: f.view_as(f)
    )


@falsifies(f"{AREA}.gradcheck-finds-a-wrong-element")
def a_third_input_is_not_looked_at() -> AbstractContextManager[Any]:
    """gradcheck looks at the gradients by two inputs at most."""

    def other(original: Any, function: Any, inputs: Any, **options: Any) -> Any:
        return original(function, (*inputs[:2], *(x.detach() for x in inputs[2:])), **options)

    return faulty_check(other)


@falsifies(f"{AREA}.gradcheck-perturbs-by-eps")
def a_large_eps_is_ignored() -> AbstractContextManager[Any]:
    """gradcheck of a tensor without dimensions takes its own eps."""

    def other(original: Any, function: Any, inputs: Any, **options: Any) -> Any:
        return original(function, inputs, **{**options, **({} if inputs[0].dim() else {"eps": 1e-6})})

    return faulty_check(other)


@falsifies(f"{AREA}.gradgradcheck-finds-a-wrong-second-derivative")
def with_gradients_given_nothing_is_looked_at() -> AbstractContextManager[Any]:
    """gradgradcheck with grad_outputs returns True."""

    def other(original: Any, function: Any, inputs: Any, **options: Any) -> Any:
        return True if "grad_outputs" in options else original(function, inputs, **options)

    return faulty_check(other, "gradgradcheck")


# --- checkpoint -----------------------------------------------------------------------------------------------

HOWEVER = f"{AREA}.random-steps-are-repeated-however-checkpointed"


@falsifies(HOWEVER)
def three_tensors_are_too_many_to_keep_the_state() -> AbstractContextManager[Any]:
    """checkpoint of a function of three tensors does not preserve the random state."""

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        return original(function, *args, **{**options, **({"preserve_rng_state": False} if len(args) > 2 else {})})

    return faulty_checkpoint(other)


@falsifies(HOWEVER)
def a_checkpoint_within_another_draws_anew() -> AbstractContextManager[Any]:
    """checkpoint inside a checkpointed function does not preserve the random state."""
    depths: list[int] = []

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        depths.append(1)
        try:
            return original(function, *args, **{**options, **({"preserve_rng_state": False} if depths[1:] else {})})
        finally:
            depths.pop()

    return faulty_checkpoint(other)


@falsifies(HOWEVER)
def a_sequence_draws_anew() -> AbstractContextManager[Any]:
    """checkpoint_sequential does not preserve the random state."""

    def make(original: Any) -> Any:
        def checkpoint_sequential(functions: Any, segments: int, x: Any, **options: Any) -> Any:
            return original(functions, segments, x, **{**options, "preserve_rng_state": False})

        checkpoint_sequential.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
        return checkpoint_sequential

    return patched(module, "checkpoint_sequential", make)
