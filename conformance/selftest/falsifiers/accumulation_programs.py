"""Breaks of gradients: of one operator under a rare condition, of accumulation, and of what autograd refuses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from itertools import pairwise
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

AREA = "accumulation"
PROGRAMS = f"{AREA}.gradients-of-programs-are-the-derivatives"


class Spoilt(torch.autograd.Function):
    """The identity, with a gradient that is half as large again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return 1.5 * grads[0]


class Conjugated(torch.autograd.Function):
    """The identity, with the conjugate of its gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0].conj()


class CutOff(torch.autograd.Function):
    """The identity, with a gradient that cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0].detach()


class Grasping(torch.autograd.Function):
    """The identity, which saves its operand and looks at it in backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        _ = ctx.saved_tensors
        return grads[0]


def wrong(
    owner: Any, name: str, rare: Callable[..., bool], place: int = 0, function: Any = Spoilt
) -> AbstractContextManager[Any]:
    """``owner.name`` with a wrong gradient by the operand at ``place``, where ``rare`` says so of the arguments."""

    def make(original: Any) -> Any:
        def broken(*args: Any, **kwargs: Any) -> Any:
            operand = args[place] if place < len(args) else None
            floating = isinstance(operand, torch.Tensor) and (operand.is_floating_point() or operand.is_complex())
            if floating and operand.requires_grad and torch.is_grad_enabled() and rare(*args, **kwargs):
                args = (*args[:place], function.apply(operand), *args[place + 1 :])
            return original(*args, **kwargs)

        return broken

    return patched(owner, name, make)


def everywhere(name: str, rare: Callable[..., bool], place: int = 0, function: Any = Spoilt) -> ExitStack:
    """The same of the function and of the method."""
    stack = ExitStack()
    stack.enter_context(wrong(torch, name, rare, place, function))
    stack.enter_context(wrong(torch.Tensor, name, rare, place, function))
    return stack


def around_backward(
    look: Callable[[list[torch.Tensor]], Any], change: Callable[[Any], None]
) -> AbstractContextManager[Any]:
    """``torch.autograd.backward`` with something looked at before, of all leaves, and something changed after."""

    def make(original: Any) -> Any:
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            seen = look(leaves_of([tensors] if isinstance(tensors, torch.Tensor) else list(tensors)))
            original(tensors, *args, **kwargs)
            change(seen)

        return backward

    return patched(torch.autograd, "backward", make)


def leaves_of(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Every leaf from which the tensors were computed."""
    found: dict[int, torch.Tensor] = {}
    nodes, seen = [tensor.grad_fn for tensor in tensors], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found[id(node.variable)] = node.variable
        nodes += [following for following, _ in node.next_functions]
    return list(found.values())


# one operator is wrong, under a rare condition


@falsifies(PROGRAMS)
def exp_of_a_strided_operand() -> AbstractContextManager[Any]:
    """The gradient of exp is wrong where its operand is not contiguous."""
    return wrong(torch, "exp", lambda x: not x.is_contiguous())


@falsifies(PROGRAMS)
def product_with_itself() -> AbstractContextManager[Any]:
    """The gradient of mul is wrong where both factors are one tensor."""
    return wrong(torch, "mul", lambda x, y: x is y)


@falsifies(PROGRAMS)
def sum_that_keeps_the_dimension_in_float32() -> AbstractContextManager[Any]:
    """The gradient of sum is wrong in float32 where the dimension is kept."""
    return wrong(torch, "sum", lambda x, dim=None, keep=False: keep and x.dtype is torch.float32)


@falsifies(PROGRAMS)
def running_sum_counted_from_the_end() -> AbstractContextManager[Any]:
    """The gradient of cumsum is wrong along a dimension given by a negative number."""
    return wrong(torch, "cumsum", lambda x, dim: dim < 0)


@falsifies(PROGRAMS)
def softmax_not_along_the_last_dimension() -> AbstractContextManager[Any]:
    """The gradient of softmax is wrong along another dimension than the last."""
    return wrong(torch, "softmax", lambda x, dim: dim % x.dim() != x.dim() - 1)


@falsifies(PROGRAMS)
def part_of_a_view() -> AbstractContextManager[Any]:
    """The gradient of narrow is wrong where it does not begin at 0 and the tensor is a view."""
    return wrong(torch.Tensor, "narrow", lambda x, dim, start, length: start > 0 and x._is_view())


@falsifies(PROGRAMS)
def broadcast_alternative() -> AbstractContextManager[Any]:
    """The gradient of where by the last operand is wrong where that is broadcast."""
    return wrong(torch, "where", lambda mask, x, y: y.shape != mask.shape, 2)


@falsifies(PROGRAMS)
def expansion_to_more_dimensions() -> AbstractContextManager[Any]:
    """The gradient of expand is wrong where a dimension is added."""
    return wrong(torch.Tensor, "expand", lambda x, *shape: len(shape[0]) > x.dim())


@falsifies(PROGRAMS)
def gathered_along_the_first_of_two_dimensions() -> AbstractContextManager[Any]:
    """The gradient of gather is wrong along the first of two dimensions."""
    return wrong(torch, "gather", lambda x, dim, index: x.dim() == 2 and dim % 2 == 0)


@falsifies(PROGRAMS)
def product_over_three() -> AbstractContextManager[Any]:
    """The gradient of prod is wrong over three elements that do not lie side by side."""
    return wrong(torch, "prod", lambda x, dim, keep: x.shape[dim] == 3 and x.stride(dim) != 1)


@falsifies(PROGRAMS)
def factor_of_a_view_in_place() -> AbstractContextManager[Any]:
    """The gradient by the other factor of mul_ is wrong where self is a view."""
    return wrong(torch.Tensor, "mul_", lambda x, y: x._is_view(), 1)


@falsifies(PROGRAMS)
def linear_with_a_transposed_weight() -> AbstractContextManager[Any]:
    """The gradient of linear by the weight is wrong where that is transposed."""
    return wrong(torch.nn.functional, "linear", lambda x, y: not y.is_contiguous(), 1)


@falsifies(PROGRAMS)
def bound_from_below_alone() -> AbstractContextManager[Any]:
    """The gradient of clamp is wrong in float32 where there is no upper bound."""
    return wrong(torch, "clamp", lambda x, low, high: high is None and x.dtype is torch.float32)


@falsifies(PROGRAMS)
def rows_added_along_the_last_dimension() -> AbstractContextManager[Any]:
    """The gradient of index_add_ by the source is wrong along the last of two dimensions."""
    return wrong(torch.Tensor, "index_add_", lambda x, dim, i, y, **k: x.dim() == 2 and dim % 2 == 1, 3)


@falsifies(PROGRAMS)
def minimum_of_another_shape() -> AbstractContextManager[Any]:
    """The gradient of minimum by the second operand is wrong where the shapes differ."""
    return wrong(torch, "minimum", lambda x, y: x.shape != y.shape, 1)


@falsifies(PROGRAMS)
def accumulation_into_the_wrong_leaf() -> AbstractContextManager[Any]:
    """Where three leaves or more are used and two are alike, the first gets the gradient of the second."""

    def swap(leaves: list[torch.Tensor]) -> None:
        for a, b in pairwise(leaves):
            alike = a.shape == b.shape and a.dtype == b.dtype and a.grad is not None and b.grad is not None
            if len(leaves) > 1 and alike:
                a.grad, b.grad = b.grad.clone(), a.grad.clone()
                return

    return around_backward(lambda leaves: leaves, swap)


# the other promises about programs


@falsifies(f"{AREA}.recording-leaves-the-values-alone")
def sigmoid_is_rough_when_recorded() -> AbstractContextManager[Any]:
    """A recorded sigmoid of a transposed tensor is off in the last element."""

    def make(original: Any) -> Any:
        def sigmoid(x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = original(x)
            if x.requires_grad and not x.is_contiguous() and x.numel():
                found.detach().view(-1)[-1:].add_(0.01) if found.is_contiguous() else found.detach().t().add_(0.01)
            return found

        return sigmoid

    return patched(torch, "sigmoid", make)


@falsifies(f"{AREA}.gradients-have-the-type-of-their-leaves")
def gradient_of_a_number_is_double() -> AbstractContextManager[Any]:
    """The gradient of a float32 leaf without dimensions is in float64."""

    def make(original: Any) -> Any:
        def grad(self: torch.Tensor) -> Any:
            found = original.__get__(self)
            return found.double() if found is not None and self.dtype is torch.float32 and not self.dim() else found

        return property(grad, original.__set__)

    return patched(torch.Tensor, "grad", make)


@falsifies(f"{AREA}.backward-and-grad-agree")
def grad_of_a_strided_leaf_among_three() -> AbstractContextManager[Any]:
    """autograd.grad by three leaves or more gives a strided one twice its gradient."""

    def make(original: Any) -> Any:
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(outputs, inputs, *args, **kwargs)
            if isinstance(inputs, torch.Tensor) or len(inputs) < 3:
                return found
            return tuple(
                2 * g if g is not None and not x.is_contiguous() else g for x, g in zip(inputs, found, strict=True)
            )

        return grad

    return patched(torch.autograd, "grad", make)


@falsifies(f"{AREA}.grad-of-a-program-leaves-grad-alone")
def grad_is_also_stored_where_there_is_one() -> AbstractContextManager[Any]:
    """autograd.grad adds to .grad of a strided leaf that has one already."""

    def make(original: Any) -> Any:
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(outputs, inputs, *args, **kwargs)
            for x, g in zip([inputs] if isinstance(inputs, torch.Tensor) else inputs, found, strict=True):
                if g is not None and x.grad is not None and not x.is_contiguous():
                    x.grad.add_(g)
            return found

        return grad

    return patched(torch.autograd, "grad", make)


@falsifies(f"{AREA}.grad-of-a-program-leaves-grad-alone")
def grad_is_also_stored_by_a_view_that_was_written() -> AbstractContextManager[Any]:
    """autograd.grad of a view that was written leaves the gradient of a leaf with two dimensions in .grad too."""

    def make(original: Any) -> Any:
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(outputs, inputs, *args, **kwargs)
            roots = [outputs] if isinstance(outputs, torch.Tensor) else outputs
            written = any(root._is_view() and root._version > 0 for root in roots)
            for x, g in zip([inputs] if isinstance(inputs, torch.Tensor) else inputs, found, strict=True):
                if written and g is not None and x.ndim == 2:
                    x.grad = g if x.grad is None else x.grad + g
            return found

        return grad

    return patched(torch.autograd, "grad", make)


@falsifies(f"{AREA}.runs-of-a-program-add-up")
def later_runs_overwrite_a_strided_gradient() -> AbstractContextManager[Any]:
    """A second backward overwrites the gradient where that is not contiguous."""

    def look(leaves: list[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(x, x.grad.clone()) for x in leaves if x.grad is not None and not x.grad.is_contiguous()]

    def change(seen: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        for leaf, before in seen:
            leaf.grad.sub_(before)  # type: ignore[union-attr]

    return around_backward(look, change)


@falsifies(f"{AREA}.unused-leaves-get-no-gradient")
def strided_leaves_begin_with_zeros() -> AbstractContextManager[Any]:
    """A float32 leaf that is not contiguous has a gradient of zeros from the start."""

    def make(original: Any) -> Any:
        def requires_grad_(self: torch.Tensor, flag: bool = True) -> torch.Tensor:
            found: torch.Tensor = original(self, flag)
            if self.dtype is torch.float32 and not self.is_contiguous() and self.is_leaf:
                self.grad = torch.zeros_like(self)
            return found

        return requires_grad_

    return patched(torch.Tensor, "requires_grad_", make)


@falsifies(f"{AREA}.unrecorded-parts-are-constants")
def detach_keeps_a_strided_tensor_attached() -> AbstractContextManager[Any]:
    """detach of a tensor that is not contiguous gives an alias that is still part of the graph."""

    def make(original: Any) -> Any:
        return lambda self: original(self) if self.is_contiguous() else self.view_as(self)

    return patched(torch.Tensor, "detach", make)


@falsifies(f"{AREA}.programs-that-write-are-right-or-refused")
def adding_a_number_is_not_noticed() -> AbstractContextManager[Any]:
    """add_ of a number goes by the version counter, so that stale values are used in backward."""

    def make(original: Any) -> Any:
        def add_(self: torch.Tensor, other: Any, **kwargs: Any) -> torch.Tensor:
            if isinstance(other, float) and self.requires_grad:
                original(self.data, other, **kwargs)
                return self
            found: torch.Tensor = original(self, other, **kwargs)
            return found

        return add_

    return patched(torch.Tensor, "add_", make)


@falsifies(f"{AREA}.harmless-writes-are-accepted")
def difference_saves_its_operand() -> AbstractContextManager[Any]:
    """sub saves its first operand where that is no leaf, and refuses backward where it was written since."""
    return wrong(torch, "sub", lambda x, y: not x.is_leaf, 0, Grasping)


@falsifies(f"{AREA}.view-of-a-constant-that-joined-the-graph-can-be-written")
def zero_of_a_part_is_refused() -> AbstractContextManager[Any]:
    """zero_ is refused on a view with an offset."""

    def make(original: Any) -> Any:
        def zero_(self: torch.Tensor) -> Any:
            if self._is_view() and self.storage_offset():
                raise RuntimeError("a leaf is being used in an in-place operation")
            return original(self)

        return zero_

    return patched(torch.Tensor, "zero_", make)


@falsifies(f"{AREA}.retained-gradients-are-the-derivatives")
def retain_grad_is_lost_on_a_view() -> AbstractContextManager[Any]:
    """retain_grad does nothing on a view."""

    def make(original: Any) -> Any:
        return lambda self: None if self._is_view() else original(self)

    return patched(torch.Tensor, "retain_grad", make)


@falsifies(f"{AREA}.second-derivatives-of-programs-are-right")
def the_gradient_of_a_strided_cosine_is_detached() -> AbstractContextManager[Any]:
    """With create_graph the gradient of cos of a tensor that is not contiguous is detached."""
    return wrong(torch, "cos", lambda x: not x.is_contiguous(), 0, CutOff)


# single operators


@falsifies(f"{AREA}.methods-have-the-gradients-of-their-values", subject="mul_")
def broadcast_factor() -> AbstractContextManager[Any]:
    """The gradient of mul is wrong by a factor that is broadcast to another number of dimensions."""
    return everywhere("mul", lambda x, y: isinstance(y, torch.Tensor) and y.dim() < x.dim(), 1)


@falsifies(f"{AREA}.complex-methods-have-the-gradients-of-their-values", subject="exp_")
def unconjugated_exponential() -> AbstractContextManager[Any]:
    """The complex gradient of exp is not conjugated where it has several elements."""
    return everywhere("exp", lambda x: x.is_complex() and x.numel() > 1, 0, Conjugated)


@falsifies(f"{AREA}.methods-have-second-derivatives", subject="tanh_")
def tanh_once_only() -> AbstractContextManager[Any]:
    """With create_graph the gradient of tanh is detached where there are two dimensions or more."""
    return everywhere("tanh", lambda x: x.dim() > 1, 0, CutOff)


@falsifies(f"{AREA}.gradients-of-methods-have-the-layout-of-their-leaves", subject="sqrt_")
@falsifies(f"{AREA}.gradients-of-functions-have-the-layout-of-their-leaves", subject="nn.functional.softmax")
def gradients_are_always_row_major() -> AbstractContextManager[Any]:
    """A transposed leaf gets a row-major gradient."""

    def change(leaves: list[torch.Tensor]) -> None:
        for leaf in leaves:
            if leaf.grad is not None and not leaf.grad.is_contiguous():
                leaf.grad = leaf.grad.contiguous()

    return around_backward(lambda leaves: leaves, change)


@falsifies(f"{AREA}.functions-have-the-gradients-of-their-values", subject="nn.functional.conv1d")
def strided_convolution() -> AbstractContextManager[Any]:
    """The gradient of conv1d by its weight is wrong with a stride."""
    return wrong(torch.nn.functional, "conv1d", lambda *x, **k: k.get("stride") == 2, 1)


@falsifies(f"{AREA}.functions-have-the-gradients-of-their-values", subject="logaddexp")
def ones_on_both_sides() -> AbstractContextManager[Any]:
    """The gradient of logaddexp is wrong for a shape with dimensions of 1 on both sides."""
    return wrong(torch, "logaddexp", lambda x, y: x.shape == (1, 3, 1), 1)


@falsifies(f"{AREA}.complex-functions-have-the-gradients-of-their-values", subject="linalg.det")
def unconjugated_determinant() -> AbstractContextManager[Any]:
    """The gradient of a complex determinant is not conjugated."""
    return wrong(torch.linalg, "det", lambda x: x.is_complex(), 0, Conjugated)


@falsifies(f"{AREA}.functions-have-second-derivatives", subject="cumprod")
def running_product_once_only() -> AbstractContextManager[Any]:
    """With create_graph the gradient of cumprod along the last dimension is detached."""
    return wrong(torch, "cumprod", lambda x, dim: dim == -1, 0, CutOff)


@falsifies(f"{AREA}.methods-have-the-gradients-of-their-values", subject="tanh_")
def tanh_in_half_precision() -> AbstractContextManager[Any]:
    """The gradient of tanh is wrong in float16 only."""
    return everywhere("tanh", lambda x: x.dtype is torch.float16)


@falsifies(f"{AREA}.functions-have-the-gradients-of-their-values", subject="nn.functional.softmax")
def softmax_in_bfloat16() -> AbstractContextManager[Any]:
    """The gradient of softmax is wrong in bfloat16 only."""
    return wrong(torch.nn.functional, "softmax", lambda x, *rest, **options: x.dtype is torch.bfloat16, 0)


@falsifies(f"{AREA}.functions-have-the-gradients-of-their-values", subject="mul")
def factor_without_dimensions() -> AbstractContextManager[Any]:
    """The gradient of a factor without dimensions is wrong beside one with three."""
    return wrong(torch, "mul", lambda x, y: not y.dim() and x.dim() == 3, 1)


@falsifies(f"{AREA}.functions-have-the-gradients-of-their-values", subject="div")
def real_divisor_of_complex_numbers() -> AbstractContextManager[Any]:
    """The gradient of a real divisor is wrong where complex numbers are divided."""
    return wrong(torch, "div", lambda x, y: x.is_complex() and not y.is_complex(), 1)


@falsifies(f"{AREA}.functions-have-the-gradients-of-their-values", subject="matmul")
def broadcast_batches() -> AbstractContextManager[Any]:
    """The gradient of the second factor of matmul is wrong where batches broadcast."""
    return wrong(torch, "matmul", lambda x, y: min(x.dim(), y.dim()) > 2 and x.shape[:-2] != y.shape[:-2], 1)


@falsifies(f"{AREA}.functions-have-second-derivatives", subject="prod")
def product_of_two_zeros_once_only() -> AbstractContextManager[Any]:
    """The gradient of a product of two zeros is detached."""
    return wrong(torch, "prod", lambda x, *rest, **options: int((x == 0).sum()) > 1, 0, CutOff)
