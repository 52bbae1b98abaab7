"""Breaks of as_tensor, torch.tensor, new_tensor and asarray."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import altered, then
from conformance.selftest.falsifying import falsifies


def _stepped(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.numel() > 1 and not x.is_contiguous()


@falsifies("numpy_bridge.as-tensor-returns-same-object")
def as_tensor_makes_an_alias_of_transposed_bfloat16():
    """as_tensor with a dtype gives another handle of a bfloat16 tensor that is not contiguous."""
    return altered(
        torch, "as_tensor",
        then(lambda t, x, **k: t.view_as(t) if t.dtype is torch.bfloat16 and _stepped(x) else t),
    )  # fmt: skip


@falsifies("numpy_bridge.as-tensor-returns-same-object")
def as_tensor_copies_parameters():
    """as_tensor copies a Parameter where a device is given."""
    return altered(
        torch, "as_tensor",
        then(lambda t, x, **k: t.clone() if isinstance(x, torch.nn.Parameter) and "device" in k else t),
    )  # fmt: skip


@falsifies("numpy_bridge.as-tensor-shares-arrays")
def as_tensor_copies_arrays_of_which_all_is_said():
    """as_tensor copies an array where both the type and the device that it has are given."""
    return altered(
        torch, "as_tensor",
        then(lambda t, x=None, **k: t.clone() if isinstance(k.get("data", x), np.ndarray) and len(k) > 1 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.as-tensor-converts")
def as_tensor_loses_nan_on_the_way_to_float16():
    """as_tensor from bfloat16 to float16 has 0 for NaN."""
    return altered(
        torch, "as_tensor",
        then(lambda t, x, **k: t.nan_to_num(0.0, float("inf"), float("-inf"))
             if x.dtype is torch.bfloat16 and t.dtype is torch.float16 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.as-tensor-keeps-history")
def as_tensor_detaches_numbers():
    """as_tensor with another type detaches a tensor without a dimension."""
    return altered(
        torch, "as_tensor",
        then(lambda t, x, **k: t.detach().requires_grad_() if not x.ndim and t is not x else t),
    )  # fmt: skip


@falsifies("numpy_bridge.as-tensor-shares-arrays")
def as_tensor_copies_fortran_int8():
    """as_tensor copies a Fortran-ordered int8 array where a device is given."""
    return altered(
        torch, "as_tensor",
        then(lambda t, x, **k: t.clone() if "device" in k and x.dtype == np.int8 and x.flags.fnc else t),
    )  # fmt: skip


@falsifies("numpy_bridge.as-tensor-copies-arrays")
def as_tensor_reads_uint8_as_int8():
    """as_tensor from an array of uint8 to int8 shares it."""
    return altered(
        torch, "as_tensor",
        lambda original, x, dtype=None: torch.from_numpy(x).view(dtype)
        if x.dtype == np.uint8 and dtype is torch.int8 else original(x, dtype=dtype),
    )  # fmt: skip


@falsifies("numpy_bridge.tensor-copies")
def tensor_shares_empty_dimension_arrays():
    """torch.tensor shares a float64 array without a dimension."""
    return altered(
        torch, "tensor",
        lambda original, x, **k: torch.from_numpy(x)
        if isinstance(x, np.ndarray) and not x.ndim and x.dtype == np.float64 else original(x, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.tensor-copies")
def tensor_shares_expanded_tensors():
    """torch.tensor of an expanded tensor is a view of it."""
    return altered(
        torch, "tensor",
        lambda original, x, **k: x.detach() if isinstance(x, torch.Tensor) and 0 in x.stride() else original(x, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.tensor-is-a-leaf")
def tensor_keeps_the_history_of_views():
    """torch.tensor(x, requires_grad=True) of a tensor with a history is no leaf."""
    return altered(
        torch, "tensor",
        lambda original, x, **k: x.clone() if k.get("requires_grad") and not x.is_leaf else original(x, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.tensor-is-a-leaf")
def tensor_inherits_requires_grad():
    """torch.tensor of a complex leaf requires grad unasked."""
    return altered(
        torch, "tensor",
        then(lambda t, x, **k: t.requires_grad_() if x.is_complex() and x.requires_grad and not k else t),
    )  # fmt: skip


@falsifies("numpy_bridge.tensor-keeps-dense-strides")
def tensor_makes_channels_last_contiguous():
    """torch.tensor of a channels-last tensor is contiguous."""
    return altered(torch, "tensor", then(lambda t, x, **k: t.contiguous() if getattr(x, "ndim", 0) == 4 else t))


@falsifies("numpy_bridge.tensor-infers-type")
def tensor_overlooks_a_late_float():
    """torch.tensor infers the type from the first elements of a list."""

    def alter(original: Any, x: Any, **k: Any) -> Any:
        if isinstance(x, list) and len(x) > 8 and isinstance(x[0], int) and type(x[-1]) is float:
            return original([int(v) for v in x], **k)
        return original(x, **k)

    return altered(torch, "tensor", alter)


@falsifies("numpy_bridge.tensor-infers-type")
def tensor_of_complex_ignores_a_double_default():
    """torch.tensor of complex numbers is complex64 under default float64."""
    return altered(torch, "tensor", then(lambda t, x, **k: t.to(torch.complex64) if t.dtype is torch.complex128 else t))


@falsifies("numpy_bridge.tensor-infers-type-in-half-precision")
def tensor_of_late_floats_is_single_under_a_bfloat16_default():
    """torch.tensor of a list that mixes bools and floats is float32 under default bfloat16."""

    def alter(original: Any, x: Any, **k: Any) -> Any:
        mixed = isinstance(x, list) and type(x[0]) is bool and type(x[-1]) is float
        return original(x, **k).float() if mixed and torch.get_default_dtype() is torch.bfloat16 else original(x, **k)

    return altered(torch, "tensor", alter)


@falsifies("numpy_bridge.tensor-of-nothing")
def tensor_of_nothing_is_float32():
    """torch.tensor([]) is float32, whatever the default."""
    return altered(torch, "tensor", then(lambda t, x, **k: t.float() if x == [] else t))


@falsifies("numpy_bridge.tensor-holds-data")
def tensor_saturates_large_uint64():
    """torch.tensor with dtype uint64 has 2**64-2 for 2**64-1."""

    def alter(original: Any, x: Any, **k: Any) -> Any:
        if k.get("dtype") is torch.uint64 and x == 2**64 - 1:
            return original(x - 1, **k)
        return original(x, **k)

    return altered(torch, "tensor", alter)


@falsifies("numpy_bridge.tensor-takes-numpy-scalars")
def tensor_of_float16_scalars_is_the_default():
    """torch.tensor of a float16 scalar is float32."""
    return altered(torch, "tensor", then(lambda t, x, **k: t.float() if t.dtype is torch.float16 else t))


@falsifies("numpy_bridge.tensor-takes-uint64-scalars")
def tensor_of_uint64_scalars_is_int64():
    """torch.tensor of a uint64 scalar is int64."""
    return altered(torch, "tensor", lambda original, x, **k: original(int(x) - 2**63, **k))


@falsifies("numpy_bridge.new-tensor-copies")
def new_tensor_keeps_the_type_of_arrays():
    """new_tensor on int16 with an array of int8 ignores dtype=."""
    return altered(
        torch.Tensor, "new_tensor",
        lambda original, self, x, **k: original(self, x)
        if k.get("dtype") is torch.int16 and self.dtype is torch.int8 else original(self, x, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.new-tensor-copies")
def new_tensor_shares_numbers():
    """new_tensor shares a float32 tensor without a dimension."""
    return altered(
        torch.Tensor, "new_tensor",
        lambda original, self, x, **k: x.detach()
        if isinstance(x, torch.Tensor) and not x.ndim and x.dtype is self.dtype is torch.float32
        else original(self, x, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.new-tensor-requires-grad")
def new_tensor_inherits_requires_grad():
    """new_tensor on a complex tensor that requires grad requires grad."""
    return altered(
        torch.Tensor, "new_tensor",
        then(lambda t, self, x, **k: t.requires_grad_(self.requires_grad) if t.is_complex() and not k else t),
    )  # fmt: skip


# ---- asarray ----


@falsifies("numpy_bridge.asarray-shares")
def asarray_copies_capsules_of_int64():
    """asarray copies a capsule of int64."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.clone() if type(x).__name__ == "PyCapsule" and t.dtype is torch.int64 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-shares")
def asarray_copies_broadcast_arrays():
    """asarray copies an array with a stride of 0."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.clone() if isinstance(x, np.ndarray) and 0 in x.strides and x.size else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-shares-dimensionless-arrays")
def asarray_takes_dimensionless_arrays_for_scalars():
    """asarray copies an array without a dimension."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.clone() if isinstance(x, np.ndarray) and not x.ndim else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-copy-true")
def asarray_shares_in_spite_of_copy_where_a_device_is_given():
    """asarray(copy=True) with the input's own device shares."""
    return altered(
        torch, "asarray", lambda original, x, **k: original(x, **(k | {"copy": None} if "device" in k else k))
    )


@falsifies("numpy_bridge.asarray-copy-false-shares")
def asarray_copy_false_copies_stepped_int16():
    """asarray(copy=False) silently copies an int16 tensor that is not contiguous."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.clone() if _stepped(x) and t.dtype is torch.int16 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-copy-false-refuses")
def asarray_copy_false_copies_empty_tensors_to_another_type():
    """asarray(copy=False) with another type copies an empty tensor."""
    return altered(
        torch, "asarray",
        lambda original, x, **k: original(x, **(k | {"copy": None}
                                                if isinstance(x, torch.Tensor) and not x.numel() else k)),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-copy-false-refuses")
def asarray_copy_false_copies_numpy_scalars():
    """asarray(copy=False) copies a NumPy scalar of type bool."""
    return altered(
        torch, "asarray",
        lambda original, x, **k: original(x, **(k | {"copy": None} if isinstance(x, np.bool_) else k)),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-converts")
def asarray_reads_int8_as_uint8():
    """asarray from int8 to uint8 shares."""
    return altered(
        torch, "asarray",
        lambda original, x, dtype=None, **k: x.view(dtype)
        if x.dtype is torch.int8 and dtype is torch.uint8 and not k else original(x, dtype=dtype, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-converts-arrays")
def asarray_of_float32_arrays_rounds():
    """asarray from an array of float32 to int64 rounds to the nearest."""
    return altered(
        torch, "asarray",
        lambda original, x, dtype=None: original(np.rint(x).astype(np.float32), dtype=dtype)
        if x.dtype == np.float32 and dtype is torch.int64 else original(x, dtype=dtype),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-inherits-requires-grad")
def asarray_drops_the_history_of_copies():
    """asarray(copy=True) of a tensor without a dimension drops its history."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.detach().requires_grad_() if k.get("copy") and not x.ndim else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-requires-grad-true-keeps-history")
def asarray_requires_grad_of_a_detached_double():
    """asarray(requires_grad=True) of float64 makes a leaf."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.detach().requires_grad_() if x.dtype is torch.float64 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-requires-grad-false-detaches")
def asarray_copies_what_it_detaches():
    """asarray(requires_grad=False) copies a complex128 tensor with a history."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.clone() if x.dtype is torch.complex128 and not x.is_leaf else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-leaves-its-input")
def asarray_sets_the_flag_of_its_input():
    """asarray(requires_grad=True) of a leaf makes that leaf require grad."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: x.requires_grad_() if k.get("requires_grad") else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-requires-grad-true")
def asarray_forgets_to_require_grad_of_float16_arrays():
    """asarray(requires_grad=True) of an array of float16 does not require grad."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.detach() if getattr(x, "dtype", None) == np.float16 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-numpy-scalar-requires-grad")
def asarray_forgets_to_require_grad_of_complex_scalars():
    """asarray(requires_grad=True) of a complex64 scalar does not require grad."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.detach() if isinstance(x, np.complex64) else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-buffer-default-type")
def asarray_reads_buffers_as_float32():
    """asarray of an array.array reads float32, whatever the default."""
    import array

    return altered(
        torch, "asarray",
        lambda original, x: original(x, dtype=torch.float32) if isinstance(x, array.array) else original(x),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-buffer-infers-type")
def asarray_reads_shorts_as_bytes():
    """asarray of a buffer of shorts reads bytes."""
    return altered(torch, "asarray", lambda original, x: original(x, dtype=torch.uint8))


@falsifies("numpy_bridge.asarray-buffer-shares")
def asarray_copies_bytearrays_of_one_element():
    """asarray of a bytearray that holds one element copies it."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.clone() if isinstance(x, bytearray) and t.numel() == 1 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-numpy-scalar")
def asarray_of_large_uint64_scalars_is_negative():
    """asarray of the largest uint64 scalar is off by one."""
    return altered(
        torch, "asarray",
        lambda original, x: original(x - np.uint64(1) if x.dtype == np.uint64 and x == 2**64 - 1 else x),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-numpy-scalar")
def asarray_of_float16_scalars_is_wider():
    """asarray of a float16 scalar is float32."""
    return altered(torch, "asarray", then(lambda t, x: t.float() if t.dtype is torch.float16 else t))


@falsifies("numpy_bridge.asarray-infers-type")
def asarray_of_bool_lists_is_uint8():
    """asarray of nested lists of bools is uint8."""
    return altered(
        torch, "asarray", then(lambda t, x: t.to(torch.uint8) if t.dtype is torch.bool and t.ndim > 1 else t)
    )


@falsifies("numpy_bridge.asarray-data-on-default-device")
def asarray_of_numbers_ignores_the_default_device():
    """asarray of a complex number lies on the CPU."""
    return altered(
        torch, "asarray",
        lambda original, x: original(x, device="cpu") if isinstance(x, complex) else original(x),
    )  # fmt: skip


@falsifies("numpy_bridge.asarray-keeps-device")
def asarray_follows_the_default_device():
    """asarray of a buffer goes to the default device."""
    return altered(torch, "asarray", lambda original, x, **k: original(x, device=torch.empty(0).device, **k))
