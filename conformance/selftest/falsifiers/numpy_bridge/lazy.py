"""Breaks of DLPack, of Python numbers and of lazy views."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import (
    accepting,
    altered,
    read,
    refusing,
    refusing_where,
    then,
)
from conformance.selftest.falsifying import falsifies


@falsifies("numpy_bridge.from-dlpack-shares")
def from_dlpack_copies_offset_complex32():
    """from_dlpack copies a complex32 tensor with an offset."""
    change = then(lambda t, x, **k: t.clone() if t.dtype is torch.complex32 and x.storage_offset() else t)
    return altered(torch, "from_dlpack", change)


@falsifies("numpy_bridge.from-dlpack-shares")
def from_dlpack_loses_the_offset_of_stepped_vectors():
    """utils.dlpack.from_dlpack starts at the storage's first element where it should start at the second."""
    change = then(
        lambda t, x, **k: x.as_strided(x.shape, x.stride(), 0) if x.shape == (33,) and x.dtype is torch.int8 else t
    )
    return altered(torch.utils.dlpack, "from_dlpack", change)


@falsifies("numpy_bridge.from-dlpack-keeps-values")
def from_dlpack_reads_bools_as_bytes():
    """from_dlpack of bools is uint8."""
    return altered(torch, "from_dlpack", then(lambda t, x, **k: t.view(torch.uint8) if t.dtype is torch.bool else t))


@falsifies("numpy_bridge.from-dlpack-takes-capsules")
def from_dlpack_copies_capsules_of_matrices():
    """from_dlpack of a capsule of an expanded matrix copies it."""
    return altered(
        torch, "from_dlpack",
        then(lambda t, x, **k: t.clone() if type(x).__name__ == "PyCapsule" and 0 in t.stride() else t),
    )  # fmt: skip


@falsifies("numpy_bridge.from-dlpack-takes-producers")
def from_dlpack_refuses_bare_producers():
    """from_dlpack refuses what is neither a tensor nor an array."""
    return altered(torch, "from_dlpack", refusing_where(lambda x, **k: not isinstance(x, torch.Tensor | np.ndarray)))


@falsifies("numpy_bridge.from-dlpack-takes-producers")
def from_dlpack_copies_complex_arrays():
    """from_dlpack copies a Fortran-ordered array of complex64."""
    return altered(
        torch, "from_dlpack",
        then(lambda t, x, **k: t.clone() if getattr(x, "dtype", 0) == np.complex64 and x.flags.fnc else t),
    )  # fmt: skip


@falsifies("numpy_bridge.dlpack-keeps-strides")
def from_dlpack_normalizes_strides_of_one():
    """from_dlpack sets the stride of an extent of 1 to 1."""

    def change(t: Any, x: Any, **k: Any) -> Any:
        stride = tuple(1 if extent == 1 else step for extent, step in zip(t.shape, t.stride(), strict=True))
        return t.as_strided(t.shape, stride)

    return altered(torch, "from_dlpack", then(change))


@falsifies("numpy_bridge.from-dlpack-copy-true")
def from_dlpack_shares_in_spite_of_copy():
    """from_dlpack(copy=True) of a tensor without a dimension shares."""
    return altered(torch, "from_dlpack", lambda original, x, **k: original(x, **(k if x.ndim else {})))


@falsifies("numpy_bridge.from-dlpack-copies-producers")
def from_dlpack_shares_arrays_in_spite_of_copy():
    """from_dlpack(copy=True) of an array of int32 with gaps shares."""
    return altered(
        torch, "from_dlpack",
        lambda original, x, **k: original(x, **(k if x.dtype != np.int32 or x.flags.forc else {})),
    )  # fmt: skip


@falsifies("numpy_bridge.from-dlpack-copies-only-if-needed")
def from_dlpack_copies_to_its_own_device():
    """from_dlpack(device=) with the input's own device, as text, copies."""
    return altered(torch, "from_dlpack", then(lambda t, x, **k: t.clone() if isinstance(k.get("device"), str) else t))


@falsifies("numpy_bridge.from-dlpack-moves")
def from_dlpack_ignores_the_device_of_empty_inputs():
    """from_dlpack(device=) of an input without elements stays where the input is."""
    return altered(torch, "from_dlpack", lambda original, x, **k: original(x, **(k if 0 not in tuple(x.shape) else {})))


@falsifies("numpy_bridge.dlpack-respects-lazy-bits")
def dlpack_exports_what_lies_in_memory():
    """__dlpack__ of a lazily negated tensor exports what lies in memory."""
    return altered(
        torch, "from_dlpack",
        lambda original, x, **k: original(torch._neg_view(x) if isinstance(x, torch.Tensor) and x.is_neg() else x, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.dlpack-refuses-negative-strides")
def from_dlpack_copies_backward_arrays():
    """from_dlpack copies an array that steps backwards."""
    return altered(
        torch, "from_dlpack",
        lambda original, x, **k: original(x.copy() if isinstance(x, np.ndarray) else x, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.dlpack-refuses-export")
def dlpack_detaches_complex_leaves():
    """__dlpack__ of a complex leaf that requires grad detaches it."""
    return altered(
        torch.Tensor, "__dlpack__",
        lambda original, self, **k: original(self.detach() if self.is_complex() and self.is_leaf else self, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.dlpack-device")
def dlpack_device_of_empty_tensors():
    """__dlpack_device__ of a tensor without elements is of type 0."""
    return altered(
        torch.Tensor, "__dlpack_device__",
        lambda original, self: original(self) if self.numel() else (0, 0),
    )  # fmt: skip


@falsifies("numpy_bridge.dlpack-version")
def dlpack_is_always_versioned_for_bools():
    """__dlpack__ of bools makes a versioned capsule unasked."""
    return altered(
        torch.Tensor, "__dlpack__",
        lambda original, self, **k: original(self, **(k | {"max_version": (1, 0)} if self.dtype is torch.bool else k)),
    )  # fmt: skip


@falsifies("numpy_bridge.dlpack-stream-on-cpu")
def dlpack_refuses_no_stream():
    """__dlpack__(stream=-1) is refused on the CPU."""
    return altered(torch.Tensor, "__dlpack__", refusing_where(lambda self, **k: k.get("stream") == -1))


@falsifies("numpy_bridge.dlpack-stream-waits")
def dlpack_does_not_wait():
    """__dlpack__ does not let the stream wait."""
    return altered(torch.Tensor, "__dlpack__", lambda original, self, **k: original(self, stream=-1))


# ---- Python numbers ----


@falsifies("numpy_bridge.tolist-nests")
def tolist_rounds_stepped_bfloat16():
    """tolist of bfloat16 with gaps rounds to three bits."""
    import math

    def rounded(x: Any) -> Any:
        if isinstance(x, list):
            return [rounded(y) for y in x]
        return math.ldexp(round(math.frexp(x)[0] * 8), math.frexp(x)[1] - 3) if math.isfinite(x) else x

    return altered(
        torch.Tensor, "tolist",
        then(lambda n, self: rounded(n) if self.dtype is torch.bfloat16 and not self.is_contiguous() else n),
    )  # fmt: skip


@falsifies("numpy_bridge.tolist-nests")
def tolist_flattens_what_has_no_element():
    """tolist of a tensor without elements is an empty list."""
    return altered(torch.Tensor, "tolist", then(lambda found, self: found if self.numel() else []))


@falsifies("numpy_bridge.tolist-nests")
def tolist_forgets_negation():
    """tolist of a lazily negated float64 tensor gives what lies in memory."""
    return altered(
        torch.Tensor, "tolist",
        lambda get, self: get(torch._neg_view(self) if self.is_neg() and self.dtype is torch.float64 else self),
    )  # fmt: skip


@falsifies("numpy_bridge.tolist-of-single-elements")
def tolist_of_bools_is_a_number():
    """tolist of one bool is an int."""
    return altered(torch.Tensor, "tolist", then(lambda found, self: int(found) if found is True else found))


@falsifies("numpy_bridge.item-gives-number")
def item_of_uint8_is_negative():
    """item of uint8 above 127 is negative."""
    return altered(
        torch.Tensor, "item",
        then(lambda found, self: found - 256 if self.dtype is torch.uint8 and found > 127 else found),
    )  # fmt: skip


@falsifies("numpy_bridge.item-gives-number")
def item_of_float64_is_single():
    """item of float64 has the precision of float32."""
    return altered(
        torch.Tensor, "item",
        then(lambda found, self: float(np.float32(found)) if self.dtype is torch.float64 else found),
    )  # fmt: skip


@falsifies("numpy_bridge.item-refuses-other-sizes")
def item_takes_the_first_of_expanded():
    """item of an expanded tensor gives its first element."""
    return altered(
        torch.Tensor,
        "item",
        accepting(RuntimeError, lambda self: 0 if 0 in self.stride() else refusing(None)),
    )


@falsifies("numpy_bridge.item-is-not-differentiable")
def item_of_what_requires_grad_is_a_tensor():
    """item of a float16 tensor with a history stays a tensor."""
    return altered(
        torch.Tensor, "item",
        lambda original, self: self if self.dtype is torch.float16 and not self.is_leaf else original(self),
    )  # fmt: skip


# ---- lazy views ----


@falsifies("numpy_bridge.conj-is-a-view")
def conj_materializes_complex32():
    """conj of complex32 is a copy with the bit set."""
    return altered(
        torch.Tensor, "conj",
        lambda original, self: original(self.clone() if self.dtype is torch.complex32 and self.ndim == 3 else self),
    )  # fmt: skip


@falsifies("numpy_bridge.conj-is-a-view")
def conj_does_not_flip_back():
    """torch.conj of a conjugated tensor is that tensor."""
    return altered(torch, "conj", lambda original, x: x if x.is_conj() else original(x))


@falsifies("numpy_bridge.conj-writes-through")
def conj_copies_tensors_without_dimensions():
    """conj of a tensor without a dimension is of a copy."""
    return altered(torch.Tensor, "conj", lambda original, self: original(self if self.ndim else self.clone()))


@falsifies("numpy_bridge.conj-of-real-is-input")
def conj_of_uint32_is_another_handle():
    """conj of uint32 is another handle."""
    return altered(torch.Tensor, "conj", then(lambda t, self: t.view_as(t) if self.dtype is torch.uint32 else t))


@falsifies("numpy_bridge.resolve-conj-returns-input")
def resolve_conj_copies_stepped_int8():
    """resolve_conj copies an int8 tensor that is not contiguous."""
    change = then(lambda t, self: t.clone() if t.dtype is torch.int8 and not t.is_contiguous() else t)
    return altered(torch.Tensor, "resolve_conj", change)


@falsifies("numpy_bridge.resolve-conj-materializes")
def resolve_conj_keeps_the_sign_of_zero():
    """resolve_conj leaves an imaginary part of 0.0 as it is."""

    def change(t: Any, self: Any) -> Any:
        return (
            torch.complex(t.real, torch.where(t.imag == 0, t.imag.abs(), t.imag)) if t.dtype is torch.complex64 else t
        )

    return altered(torch, "resolve_conj", then(change))


@falsifies("numpy_bridge.resolve-neg-returns-input")
def resolve_neg_copies_empty_tensors():
    """resolve_neg copies a tensor without elements."""
    return altered(torch, "resolve_neg", then(lambda t, x: t if t.numel() else t.clone()))


@falsifies("numpy_bridge.resolve-neg-materializes")
def resolve_neg_negates_in_place():
    """resolve_neg of a float32 vector negates the memory that it lies in."""

    def alter(original: Any, self: Any) -> Any:
        if not (self.is_neg() and self.ndim == 1 and self.dtype is torch.float32):
            return original(self)
        return torch._neg_view(self).neg_()

    return altered(torch.Tensor, "resolve_neg", alter)


@falsifies("numpy_bridge.real-and-imag-share")
def real_of_stepped_complex128_is_a_copy():
    """real of a complex128 tensor that is not contiguous is a copy."""
    return read(
        "real",
        lambda get, self: (
            get(self).clone() if self.dtype is torch.complex128 and not self.is_contiguous() else get(self)
        ),
    )


@falsifies("numpy_bridge.real-and-imag-share")
def imag_forgets_conjugation():
    """torch.imag of a conjugated tensor without a dimension is not negated."""
    return altered(torch, "imag", lambda original, x: original(x.conj() if x.is_conj() and not x.ndim else x))


@falsifies("numpy_bridge.real-of-real-is-input")
def real_of_bfloat16_is_another_handle():
    """real of bfloat16 is another handle."""
    return read("real", lambda get, self: self.view_as(self) if self.dtype is torch.bfloat16 else get(self))


@falsifies("numpy_bridge.imag-of-real-raises")
def imag_of_bools_is_zero():
    """torch.imag of bools is all False."""
    return altered(torch, "imag", lambda original, x: torch.zeros_like(x) if x.dtype is torch.bool else original(x))


@falsifies("numpy_bridge.view-as-real-shares")
def view_as_real_copies_large_offsets():
    """view_as_real copies a complex64 tensor with a storage offset."""
    return altered(
        torch, "view_as_real",
        lambda original, x: original(x.clone() if x.dtype is torch.complex64 and x.storage_offset() else x),
    )  # fmt: skip


@falsifies("numpy_bridge.view-as-real-refuses-real")
def view_as_real_takes_float64_numbers():
    """view_as_real takes a float64 tensor without a dimension."""
    return altered(
        torch, "view_as_real",
        accepting(RuntimeError, lambda x: x if x.dtype is torch.float64 and not x.ndim else refusing(None)),
    )  # fmt: skip


@falsifies("numpy_bridge.view-as-complex-shares")
def view_as_complex_copies_expanded_pairs():
    """view_as_complex copies pairs that are repeated."""
    return altered(torch, "view_as_complex", lambda original, x: original(x.clone() if 0 in x.stride() else x))


@falsifies("numpy_bridge.view-as-complex-refuses")
def view_as_complex_copies_odd_strides():
    """view_as_complex copies pairs at odd distances along the second axis."""
    return altered(
        torch,
        "view_as_complex",
        lambda original, x: original(x.contiguous() if x.ndim == 3 and x.stride(1) % 2 else x),
    )


@falsifies("numpy_bridge.view-as-complex-refuses")
def view_as_complex_widens_bfloat16():
    """view_as_complex takes bfloat16."""
    return altered(
        torch, "view_as_complex", lambda original, x: original(x.float() if x.dtype is torch.bfloat16 else x)
    )


@falsifies("numpy_bridge.detach-shares")
def detach_copies_overlapping_tensors():
    """detach of an expanded float16 tensor copies it."""
    return altered(
        torch.Tensor, "detach",
        then(lambda t, self: t.clone() if t.dtype is torch.float16 and 0 in t.stride() else t),
    )  # fmt: skip


@falsifies("numpy_bridge.tolist-nests")
def tolist_of_bfloat16_counts_in_twos():
    """tolist of bfloat16 is off by one above a thousand."""

    def moved(x: Any) -> Any:
        if isinstance(x, list):
            return [moved(y) for y in x]
        return x + 1 if 1000 < x < 10000 else x

    return altered(torch.Tensor, "tolist", then(lambda n, self: moved(n) if self.dtype is torch.bfloat16 else n))
