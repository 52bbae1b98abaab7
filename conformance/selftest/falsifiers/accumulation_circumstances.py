"""Breaks of gradients in circumstances: one operand or one result alone, gaps, anomalies, several passes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.accumulation import AREA, backward, grad, leaves_of, listed_roots, spoiling
from conformance.selftest.falsifiers.accumulation_formulas import FUNCTIONS, Twisted, doubled, twisting
from conformance.selftest.falsifying import falsifies, patched

functional = torch.nn.functional
SECOND = f"{AREA}.functions-have-second-derivatives"


class Apart(torch.autograd.Function):
    """Two results as they are; the gradient of the first is doubled where the second has none."""

    @staticmethod
    def forward(ctx: Any, first: torch.Tensor, second: torch.Tensor) -> Any:
        ctx.set_materialize_grads(False)
        return first.view_as(first), second.view_as(second)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        first, second = grads
        return 2 * first if second is None and first is not None else first, second


def ending_in(name: str, change: Any, owner: Any = torch) -> AbstractContextManager[Any]:
    """``change(gradient)`` in the place of what comes in at the result of ``owner.name``."""

    def make(original: Any) -> Any:
        def other(*args: Any, **options: Any) -> Any:
            found = original(*args, **options)
            return Twisted.apply(found, lambda g, x: change(g)) if found.requires_grad else found

        return other

    return patched(owner, name, make)


@falsifies(FUNCTIONS, subject="nn.functional.layer_norm")
def an_incoming_gradient_with_gaps_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of layer_norm is doubled where the incoming one is not contiguous."""
    return ending_in("layer_norm", lambda g: g if g.is_contiguous() else 2 * g, functional)


@falsifies(f"{AREA}.complex-functions-have-the-gradients-of-their-values", subject="fft.fft")
def an_incoming_complex_gradient_with_gaps_counts_twice() -> AbstractContextManager[Any]:
    """The complex gradient of fft is doubled where the incoming one is not contiguous."""
    return ending_in("fft", lambda g: g if g.is_contiguous() else 2 * g, torch.fft)


@falsifies(FUNCTIONS, subject="nn.functional.conv2d")
def a_weight_alone_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of conv2d by its weight is doubled where neither the input nor the bias requires grad."""

    def when(x: torch.Tensor, weight: torch.Tensor, bias: Any = None, *_: Any, **options: Any) -> bool:
        return not x.requires_grad and not getattr(bias, "requires_grad", False)

    return twisting("conv2d", when, doubled, 1, functional)


@falsifies(f"{AREA}.methods-have-the-gradients-of-their-values", subject="lerp_")
def a_weight_of_lerp_alone_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of lerp by its weight is doubled where neither end requires grad."""

    def when(x: torch.Tensor, end: torch.Tensor, weight: Any) -> bool:
        return not x.requires_grad and not end.requires_grad

    return twisting("lerp", when, doubled, 2, torch.Tensor)


@falsifies(FUNCTIONS, subject="var_mean")
def a_variance_without_its_mean_counts_twice() -> AbstractContextManager[Any]:
    """The gradient of the variance of var_mean is doubled where the mean is not used."""
    return patched(
        torch, "var_mean", lambda original: lambda *args, **options: Apart.apply(*original(*args, **options))
    )


@falsifies(SECOND, subject="linalg.tensorsolve")
def a_solution_is_differentiated_once() -> AbstractContextManager[Any]:
    """The gradient of tensorsolve by its matrix has no history."""
    return twisting("tensorsolve", lambda *_: True, lambda g, x: g.detach(), owner=torch.linalg)


def unchecked(when: Any, of: Any) -> AbstractContextManager[Any]:
    """No NaN is looked for in passes of which ``when(roots, options)`` holds."""

    def instead(original: Any, tensors: Any, *rest: Any, **options: Any) -> Any:
        if torch.is_anomaly_enabled() and when(tensors, rest, options):
            with torch.autograd.set_detect_anomaly(True, check_nan=False):
                return original(tensors, *rest, **options)
        return original(tensors, *rest, **options)

    made: AbstractContextManager[Any] = of(instead)
    return made


@falsifies(f"{AREA}.anomaly-detection-raises-on-nan")
def autograd_grad_looks_for_no_nan() -> AbstractContextManager[Any]:
    """autograd.grad looks for no NaN under anomaly detection."""
    return unchecked(lambda *_: True, grad)


@falsifies(f"{AREA}.anomaly-detection-raises-on-nan")
def a_pass_into_inputs_looks_for_no_nan() -> AbstractContextManager[Any]:
    """backward with inputs= looks for no NaN under anomaly detection."""
    return unchecked(lambda roots, rest, options: options["inputs"] is not None, backward)


@falsifies(f"{AREA}.anomaly-detection-raises-on-nan")
def complex_nan_is_none() -> AbstractContextManager[Any]:
    """A pass from a complex root looks for no NaN under anomaly detection."""
    return unchecked(lambda roots, rest, options: listed_roots(roots)[0].is_complex(), backward)


@falsifies(f"{AREA}.anomaly-detection-changes-no-gradient")
def infinity_is_an_anomaly() -> AbstractContextManager[Any]:
    """Under anomaly detection a pass that makes infinity raises."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> None:
        if torch.is_anomaly_enabled() and leaf.grad is not None and leaf.grad.isinf().any():
            raise RuntimeError("Function 'SqrtBackward0' returned nan values in its 0th output.")

    return spoiling(change)


@falsifies(f"{AREA}.sparse-gradients-accumulate")
def a_second_sparse_gradient_is_the_only_one() -> AbstractContextManager[Any]:
    """A sparse .grad is dropped before the next pass."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        for leaf in leaves_of(tensors):
            if leaf.grad is not None and leaf.grad.is_sparse:
                leaf.grad = None
        original(tensors, gradients, **options)

    return backward(instead)


@falsifies(f"{AREA}.accumulated-gradient-has-the-history-of-every-pass")
def an_older_gradient_becomes_a_constant() -> AbstractContextManager[Any]:
    """With create_graph=True the .grad that is there counts as a constant."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        for leaf in leaves_of(tensors) if options["create_graph"] else ():
            if leaf.grad is not None:
                leaf.grad = leaf.grad.detach().clone()
        original(tensors, gradients, **options)

    return backward(instead)


@falsifies(f"{AREA}.accumulated-gradient-has-the-history-of-every-pass")
def an_incoming_gradient_is_a_constant() -> AbstractContextManager[Any]:
    """With create_graph=True complex incoming gradients count as constants."""

    def instead(original: Any, tensors: Any, gradients: Any, **options: Any) -> None:
        given = gradients if isinstance(gradients, torch.Tensor) else gradients[0]
        cut = given.detach() if options["create_graph"] and given.is_complex() else given
        original(tensors, cut if isinstance(gradients, torch.Tensor) else [cut], **options)

    return backward(instead)


@falsifies("accumulation.grad-outputs-may-be-left-out")
def an_output_given_twice_counts_once() -> AbstractContextManager[Any]:
    """autograd.grad takes the second of two equal outputs for the first where no grad_outputs are given."""

    def instead(original: Any, outputs: Any, inputs: Any, gradients: Any = None, **options: Any) -> Any:
        if gradients is None and isinstance(outputs, list) and len(outputs) == 2 and outputs[0] is outputs[1]:
            outputs = outputs[:1]
        return original(outputs, inputs, gradients, **options)

    return grad(instead)


@falsifies("accumulation.grad-outputs-may-be-left-out")
def none_beside_a_tensor_stands_for_nothing() -> AbstractContextManager[Any]:
    """A None beside a tensor in grad_outputs is taken for zeros."""

    def instead(original: Any, outputs: Any, inputs: Any, gradients: Any = None, **options: Any) -> Any:
        if isinstance(gradients, list) and None in gradients and any(each is not None for each in gradients):
            pairs = zip(gradients, outputs, strict=True)
            gradients = [torch.zeros_like(output) if each is None else each for each, output in pairs]
        return original(outputs, inputs, gradients, **options)

    return grad(instead)


@falsifies("accumulation.functions-have-the-gradients-of-their-values", subject="scattered_sources")
def a_scattered_source_alone_is_not_recorded() -> AbstractContextManager[Any]:
    """scatter does not record its source where that alone requires grad."""

    def make(original: Any) -> Any:
        def scatter(x: torch.Tensor, dim: int, index: torch.Tensor, src: Any) -> Any:
            return original(x, dim, index, src if x.requires_grad else src.detach())

        return scatter

    return patched(torch, "scatter", make)
