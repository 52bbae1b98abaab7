"""Breaks of to, its shorthands and clone."""

from __future__ import annotations

from typing import Any

import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import altered, then
from conformance.selftest.falsifying import falsifies


def _stepped(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.numel() > 1 and not x.is_contiguous()


@falsifies("numpy_bridge.to-returns-self")
def to_other_copies_expanded_tensors():
    """to(other) copies an expanded float64 tensor."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, self, *r, **k: t.clone() if r and r[0] is self and 0 in self.stride() else t),
    )  # fmt: skip


@falsifies("numpy_bridge.to-returns-self")
def to_resolves_conjugation():
    """to with its own dtype of a conjugated tensor gives a resolved one."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, self, *r, **k: t.resolve_conj() if r and isinstance(r[0], torch.dtype) else t),
    )  # fmt: skip


@falsifies("numpy_bridge.to-copy-true")
def to_forgets_to_copy_where_a_device_is_given():
    """to(device, dtype, copy=True) does not copy."""
    return altered(
        torch.Tensor, "to",
        lambda original, self, *r, **k: self if len(r) == 2 and k.get("copy") else original(self, *r, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.to-converts")
def to_cuts_float64_before_float16():
    """to from float64 to float16 goes by way of bfloat16."""

    def alter(original: Any, self: Any, *r: Any, **k: Any) -> Any:
        found = original(self, *r, **k)
        if self.dtype is torch.float64 and found.dtype is torch.float16:
            return original(original(self, torch.bfloat16), *r, **k)
        return found

    return altered(torch.Tensor, "to", alter)


@falsifies("numpy_bridge.to-truncates")
def to_rounds_down_in_long_vectors():
    """to an int32 of a float32 vector longer than 60 rounds down."""
    return altered(
        torch.Tensor, "to",
        lambda original, self, *r, **k: original(self.floor(), *r, **k)
        if self.numel() > 60 and self.dtype is torch.float32 and r == (torch.int32,) else original(self, *r, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.to-keeps-history")
def to_detaches_complex():
    """to from float16 to complex64 loses the history."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, self, *r, **k: t.detach().requires_grad_()
             if self.dtype is torch.float16 and t.dtype is torch.complex64 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.to-integer-drops-grad")
def to_integer_drops_the_grad_of_its_input():
    """to with an integer type drops its requirement of a gradient."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, self, *r, **k: (self.is_leaf and self.requires_grad_(False), t)[1]),
    )  # fmt: skip


@falsifies("numpy_bridge.to-preserves-format")
def to_makes_transposed_bools_contiguous():
    """to(bool) makes a transposed tensor contiguous."""
    return altered(torch.Tensor, "to", then(lambda t, self, *r, **k: t.contiguous() if t.dtype is torch.bool else t))


@falsifies("numpy_bridge.shorthands-return-self")
def short_copies_stepped_tensors():
    """short() of an int16 tensor that is not contiguous copies it."""
    return altered(torch.Tensor, "short", then(lambda t, self, *r: t.clone() if _stepped(self) else t))


@falsifies("numpy_bridge.shorthands-return-self")
def cpu_copies_bfloat16():
    """cpu() of a bfloat16 tensor on the CPU gives another handle of it."""
    return altered(torch.Tensor, "cpu", then(lambda t, self, *r: t.view_as(t) if t.dtype is torch.bfloat16 else t))


@falsifies("numpy_bridge.shorthands-convert")
def char_saturates():
    """char() of uint8 saturates."""
    return altered(
        torch.Tensor, "char",
        lambda original, self, *r: original(self.clamp(max=100) if self.dtype is torch.uint8 else self, *r),
    )  # fmt: skip


@falsifies("numpy_bridge.clone-copies")
def clone_shares_expanded_uint8():
    """clone of an expanded uint8 tensor is a view of it."""
    return altered(
        torch.Tensor, "clone",
        lambda original, self, **k: self.view_as(self)
        if self.dtype is torch.uint8 and 0 in self.stride() else original(self, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.clone-copies")
def clone_forgets_conjugation():
    """torch.clone of a conjugated matrix copies what lies in memory."""
    return altered(
        torch, "clone",
        lambda original, x, **k: original(x.conj() if x.is_conj() and x.ndim == 2 else x, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.clone-is-differentiable")
def clone_detaches_empty_tensors():
    """clone of a tensor without elements loses the history."""
    return altered(
        torch.Tensor, "clone",
        then(lambda t, self, **k: t if self.numel() else t.detach().requires_grad_()),
    )  # fmt: skip


@falsifies("numpy_bridge.clone-preserves-format")
def clone_makes_channels_last_contiguous():
    """clone of a channels-last tensor of int8 is contiguous."""
    return altered(
        torch.Tensor, "clone",
        then(lambda t, self, **k: t.contiguous() if self.ndim == 4 and self.dtype is torch.int8 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.clone-of-gaps-is-contiguous")
def clone_keeps_permuted_axes():
    """clone of a tensor with gaps keeps the order of its axes."""
    return altered(
        torch.Tensor, "clone",
        then(lambda t, self, **k: t.t().contiguous().t() if self.ndim == 2 and not self.is_contiguous() else t),
    )  # fmt: skip


@falsifies("numpy_bridge.clone-contiguous-format")
def clone_ignores_contiguous_format():
    """clone(memory_format=torch.contiguous_format) of a transposed cube keeps its strides."""
    return altered(
        torch.Tensor, "clone",
        lambda original, self, **k: original(self) if self.ndim == 3 and _stepped(self) else original(self, **k),
    )  # fmt: skip
