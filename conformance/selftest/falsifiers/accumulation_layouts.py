"""Breaks of the layout of .grad, of zero_grad and of assignments to .grad."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch

from conformance.selftest.falsifiers.accumulation import AREA, backward, leaves_of
from conformance.selftest.falsifying import falsifies, patched

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
