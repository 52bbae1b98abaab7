"""Breaks for orders of the axes, spellings and states of autograd that few inputs have."""

from __future__ import annotations

import mmap
from typing import Any

import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import altered, then
from conformance.selftest.falsifying import falsifies


def permuted(x: Any) -> bool:
    """Whether the last dimension of three is not the one with the smallest steps, and the first has the largest."""
    steps = x.stride() if isinstance(x, torch.Tensor) else getattr(x, "strides", ())
    return len(steps) == 3 and steps[0] > steps[2] > steps[1]


@falsifies("numpy_bridge.from-numpy-shares")
def an_array_in_another_order_of_its_axes_is_copied():
    """from_numpy copies an array whose last two axes are exchanged."""
    return altered(torch, "from_numpy", then(lambda t, x: t.clone() if permuted(x) and x.size > 4 else t))


@falsifies("numpy_bridge.from-numpy-shares")
def an_array_of_five_axes_is_copied():
    """from_numpy copies an array of five axes."""
    return altered(torch, "from_numpy", then(lambda t, x: t.clone() if t.dim() == 5 else t))


@falsifies("numpy_bridge.numpy-shares")
def numpy_copies_another_order_of_the_axes():
    """numpy() copies a tensor whose last two dimensions are exchanged."""
    return altered(torch.Tensor, "numpy", then(lambda a, x, **k: a.copy() if permuted(x) and x.numel() > 4 else a))


@falsifies("numpy_bridge.numpy-shares")
def numpy_gives_a_read_only_array():
    """The array of an int8 matrix cannot be written."""

    def locked(array: Any, x: Any, **k: Any) -> Any:
        array.flags.writeable = x.dtype is not torch.int8 or x.dim() != 2
        return array

    return altered(torch.Tensor, "numpy", then(locked))


@falsifies("numpy_bridge.numpy-refuses")
def numpy_forces_where_it_is_told_not_to():
    """numpy(force=False) detaches."""
    return altered(
        torch.Tensor, "numpy",
        lambda original, x, **k: original(x, **({"force": True} if k.get("force") is False else k)),
    )  # fmt: skip


@falsifies("numpy_bridge.numpy-may-take-what-requires-grad-under-no-grad")
def numpy_copies_what_requires_grad_under_no_grad():
    """Under no_grad the array of a non-leaf is a copy."""

    def copied(array: Any, x: Any, **k: Any) -> Any:
        return array.copy() if x.requires_grad and not x.is_leaf and not torch.is_grad_enabled() else array

    return altered(torch.Tensor, "numpy", then(copied))


@falsifies("numpy_bridge.tensor-copies")
def tensor_loses_data_that_is_named():
    """torch.tensor(data=x) of a bool tensor is all False."""
    return altered(
        torch, "tensor",
        then(lambda t, *a, **k: t.zero_() if "data" in k and t.dtype is torch.bool else t),
    )  # fmt: skip


@falsifies("numpy_bridge.as-tensor-returns-same-object")
def as_tensor_copies_data_that_is_named():
    """as_tensor(data=x) is a copy."""
    return altered(torch, "as_tensor", then(lambda t, *a, **k: t.clone() if "data" in k else t))


@falsifies("numpy_bridge.asarray-shares")
def asarray_copies_an_object_that_is_named():
    """asarray(obj=x) is a copy."""
    return altered(torch, "asarray", then(lambda t, *a, **k: t.clone() if "obj" in k else t))


@falsifies("numpy_bridge.tensor-holds-data")
def a_long_list_loses_its_last_number():
    """torch.tensor of a list of more than 100 numbers has 0 at its end."""

    def cut(tensor: Any, data: Any, **k: Any) -> Any:
        if isinstance(data, list) and len(data) > 100:
            tensor[-1] = tensor[-1] * 0 if tensor.dtype is not torch.bool else not tensor[-1]
        return tensor

    return altered(torch, "tensor", then(cut))


@falsifies("numpy_bridge.clone-copies")
def clone_under_no_grad_is_an_alias():
    """Under no_grad the clone of a tensor that requires grad shares its memory."""

    def alias(original: Any, x: Any, **k: Any) -> Any:
        return x.detach() if x.requires_grad and not torch.is_grad_enabled() else original(x, **k)

    return altered(torch.Tensor, "clone", alias)


@falsifies("numpy_bridge.clone-of-gaps-is-contiguous")
def a_clone_of_repeated_columns_is_transposed():
    """The clone of a matrix whose rows repeat one number is laid out column by column."""

    def turned(original: Any, x: Any, **k: Any) -> Any:
        wide = x.dim() == 2 and x.stride(1) == 0 and x.shape[0] > 1
        return original(x.t(), memory_format=torch.contiguous_format).t() if wide else original(x, **k)

    return altered(torch.Tensor, "clone", turned)


@falsifies("numpy_bridge.share-memory-moves")
def share_memory_of_a_leaf_gives_another_tensor():
    """share_memory_ of a tensor that requires grad returns a detached one."""
    return altered(torch.Tensor, "share_memory_", then(lambda t, x: t.detach() if x.requires_grad else t))


@falsifies("numpy_bridge.frombuffer-shares")
def a_mapped_buffer_is_copied():
    """frombuffer copies an mmap."""
    return altered(torch, "frombuffer", then(lambda t, x, **k: t.clone() if isinstance(x, mmap.mmap) else t))


@falsifies("numpy_bridge.to-converts")
def to_flushes_subnormal_halves():
    """to(torch.float16) of float32 has 0 for what is subnormal there."""

    def flushed(original: Any, x: Any, *a: Any, **k: Any) -> Any:
        found = original(x, *a, **k)
        if x.dtype is torch.float32 and isinstance(found, torch.Tensor) and found.dtype is torch.float16:
            found = torch.where(found.abs() < 2.0**-14, found * 0, found)
        return found

    return altered(torch.Tensor, "to", flushed)


@falsifies("numpy_bridge.shorthands-convert")
def long_of_a_double_has_the_digits_of_a_float():
    """long() of float64 goes by way of float32."""
    return altered(
        torch.Tensor, "long",
        lambda original, x, *a, **k: original(x.to(torch.float32) if x.dtype is torch.float64 else x, *a, **k),
    )  # fmt: skip
