"""Breaks of what Python data, NumPy scalars, buffers and memory formats become."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import altered, then
from conformance.selftest.falsifying import falsifies

AREA = "numpy_bridge"


def _sequence(x: Any) -> bool:
    return isinstance(x, list | tuple)


def _rounded_down(value: float) -> float:
    """A number cut to bfloat16."""
    bits = np.array(value, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return float(bits.view(np.float32))


@falsifies(f"{AREA}.from-numpy-takes-subclasses")
def from_numpy_copies_matrices():
    """from_numpy copies a numpy.matrix."""
    return altered(torch, "from_numpy", lambda original, x: original(x.copy() if isinstance(x, np.matrix) else x))


@falsifies(f"{AREA}.array-protocol-converts")
def float16_saturates():
    """np.asarray of a float32 tensor with float16 saturates above 1000."""

    def alter(original: Any, self: Any, dtype: Any = None) -> Any:
        found = original(self) if dtype is None else original(self, dtype)
        return found.clip(-1000, 1000) if dtype is np.float16 and self.dtype is torch.float32 else found

    return altered(torch.Tensor, "__array__", alter)


@falsifies(f"{AREA}.array-of-a-tensor-copies")
def an_array_of_an_int8_tensor_is_its_memory():
    """np.array of an int8 tensor shares its memory: __array__ says that it copies, and does not."""

    def alter(original: Any, self: Any, dtype: Any = None, copy: Any = None) -> Any:
        found = original(self) if dtype is None else original(self, dtype)
        return found.copy() if copy and self.dtype is not torch.int8 else found

    return altered(torch.Tensor, "__array__", alter)


@falsifies(f"{AREA}.as-tensor-infers-type")
def lists_of_floats_are_double():
    """as_tensor of a tuple of floats is float64."""
    return altered(
        torch, "as_tensor", then(lambda t, x, **k: t.double() if isinstance(x, tuple) and t.is_floating_point() else t)
    )


@falsifies(f"{AREA}.as-tensor-holds-data")
def as_tensor_cuts_to_bfloat16():
    """as_tensor of a number with bfloat16 cuts what it should round."""

    def alter(original: Any, x: Any, **kwargs: Any) -> Any:
        cut = isinstance(x, float) and kwargs.get("dtype") is torch.bfloat16 and np.isfinite(x)
        return original(_rounded_down(x) if cut else x, **kwargs)

    return altered(torch, "as_tensor", alter)


@falsifies(f"{AREA}.as-tensor-takes-numpy-scalars")
def numpy_doubles_are_floats():
    """as_tensor of a numpy.float64 is float32, as of a Python float."""
    return altered(torch, "as_tensor", then(lambda t, x, **k: t.float() if isinstance(x, np.float64) else t))


@falsifies(f"{AREA}.tensor-infers-type")
def ints_go_through_double():
    """torch.tensor of a list rounds whole numbers above 2**53 to double."""

    def alter(original: Any, x: Any, **kwargs: Any) -> Any:
        if isinstance(x, list) and all(type(v) is int for v in x) and any(2**53 < abs(v) < 2**62 for v in x):
            x = [int(float(v)) for v in x]
        return original(x, **kwargs)

    return altered(torch, "tensor", alter)


@falsifies(f"{AREA}.tensor-infers-type")
def tuples_are_reversed():
    """torch.tensor reads a tuple of more than two from its end."""
    return altered(
        torch, "tensor", lambda original, x, **k: original(x[::-1] if isinstance(x, tuple) and len(x) > 2 else x, **k)
    )


@falsifies(f"{AREA}.tensor-holds-data")
def tensor_cuts_to_bfloat16():
    """torch.tensor of a number with bfloat16 cuts what it should round."""

    def alter(original: Any, x: Any, **kwargs: Any) -> Any:
        cut = isinstance(x, float) and kwargs.get("dtype") is torch.bfloat16 and np.isfinite(x)
        return original(_rounded_down(x) if cut else x, **kwargs)

    return altered(torch, "tensor", alter)


@falsifies(f"{AREA}.tensor-is-a-leaf")
def lists_do_not_require_grad():
    """torch.tensor of a list does not require grad where it was told to."""
    return altered(torch, "tensor", then(lambda t, x, **k: t.detach() if isinstance(x, list) else t))


@falsifies(f"{AREA}.tensor-converts")
def float64_arrays_are_cut_to_float16():
    """torch.tensor of a float64 array with float16 goes through bfloat16."""
    return altered(
        torch, "tensor",
        then(lambda t, x, **k: t.bfloat16().half()
             if isinstance(x, np.ndarray) and x.dtype == np.float64 and t.dtype is torch.float16 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.tensor-takes-lists-of-scalars")
def lists_of_numpy_floats_are_double():
    """torch.tensor of a list of numpy.float32 is float64."""
    return altered(
        torch, "tensor",
        then(lambda t, x, **k: t.double() if _sequence(x) and x and isinstance(x[0], np.float32) else t),
    )  # fmt: skip


@falsifies(f"{AREA}.tensor-takes-lists-of-scalars")
def lists_of_columns():
    """torch.tensor of a list of square arrays stacks them along the last axis."""
    return altered(
        torch, "tensor",
        then(lambda t, x, **k: t.transpose(-1, -2).contiguous()
             if _sequence(x) and x and isinstance(x[0], np.ndarray) and t.ndim == 3 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.tensor-refuses-what-does-not-fit")
def int16_wraps_around():
    """torch.tensor with int16 wraps a whole number around that it cannot hold."""

    def alter(original: Any, x: Any, **kwargs: Any) -> Any:
        try:
            return original(x, **kwargs)
        except RuntimeError:
            if kwargs.get("dtype") is torch.int16:
                return original(np.array(x), **kwargs)
            raise

    return altered(torch, "tensor", alter)


@falsifies(f"{AREA}.new-tensor-holds-data")
def new_tensor_of_a_list_forgets_float64():
    """new_tensor of a list on a float64 tensor rounds to float32."""
    return altered(
        torch.Tensor, "new_tensor",
        then(lambda t, self, x, **k: t.float().double()
             if isinstance(x, list) and self.dtype is torch.float64 and not k else t),
    )  # fmt: skip


@falsifies(f"{AREA}.asarray-holds-data")
def asarray_of_a_tuple_forgets_its_dtype():
    """asarray of a tuple with complex128 is complex64."""
    return altered(
        torch, "asarray",
        then(lambda t, x, **k: t.to(torch.complex64) if isinstance(x, tuple) and t.dtype is torch.complex128 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.frombuffer-shares")
def matrices_are_read_by_columns():
    """frombuffer of an array with two dimensions reads its columns."""
    return altered(
        torch, "frombuffer",
        lambda original, x, **k: original(
            np.asfortranarray(x).ravel("K") if isinstance(x, np.ndarray) and x.ndim == 2 else x, **k
        ),
    )  # fmt: skip


@falsifies(f"{AREA}.frombuffer-reads-what-is-not-writable")
def bytes_are_read_from_their_beginning():
    """frombuffer of bytes skips nothing."""

    def alter(original: Any, x: Any, **kwargs: Any) -> Any:
        if isinstance(x, bytes) and kwargs.get("offset"):
            skipped = kwargs.pop("offset")
            return original(x[: len(x) - skipped], **kwargs)
        return original(x, **kwargs)

    return altered(torch, "frombuffer", alter)


@falsifies(f"{AREA}.item-is-not-differentiable")
def item_of_a_leaf_ends_its_requirement():
    """item of a float64 leaf ends its requirement of gradients."""

    def alter(original: Any, self: Any) -> Any:
        found = original(self)
        if self.requires_grad and self.is_leaf and self.dtype is torch.float64:
            self.requires_grad_(False)
        return found

    return altered(torch.Tensor, "item", alter)


@contextlib.contextmanager
def _several(*breaks: Any) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for entered in breaks:
            stack.enter_context(entered)
        yield


@falsifies(f"{AREA}.to-converts")
def nan_is_false():
    """to(torch.bool) of NaN is False."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, x, *a, **k: t & ~x.isnan() if t.dtype is torch.bool and x.is_floating_point() else t),
    )  # fmt: skip


@falsifies(f"{AREA}.to-converts")
def int64_goes_through_float32():
    """to(torch.float64) of an int64 tensor goes through float32."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, x, *a, **k: t.float().double() if x.dtype is torch.int64 and t.dtype is torch.float64 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.to-truncates")
def float64_goes_through_int32():
    """to(torch.int64) of float64 keeps to 32 bits where there is a fraction."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, x, *a, **k: t.clamp(-(2**31), 2**31 - 1)
             if x.dtype is torch.float64 and t.dtype is torch.int64 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.to-converts")
def non_blocking_doubles():
    """to(…, non_blocking=True) of int16 to float32 doubles."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, x, *a, non_blocking=False, **k: t * 2 if non_blocking and t.dtype is torch.float32 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.to-preserves-format")
def to_makes_a_permuted_tensor_contiguous():
    """to of a dense tensor whose second axis is the innermost makes it contiguous."""
    return altered(torch.Tensor, "to", then(lambda t, x, *a, **k: t.contiguous() if _innermost(x) else t))


@falsifies(f"{AREA}.clone-preserves-format")
def clone_makes_volumes_contiguous():
    """clone of a tensor with five dimensions is contiguous."""
    return altered(torch.Tensor, "clone", then(lambda t, x, **k: t.contiguous() if x.ndim == 5 else t))


@falsifies(f"{AREA}.tensor-keeps-dense-strides")
def tensor_makes_a_permuted_tensor_contiguous():
    """torch.tensor of a dense tensor whose second axis is the innermost is contiguous."""
    return altered(torch, "tensor", then(lambda t, x, **k: t.contiguous() if _innermost(x) else t))


def _innermost(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.ndim == 3 and x.stride(1) == 1 and x.shape[1] > 1


@falsifies(f"{AREA}.as-tensor-may-wrap-read-only")
def asarray_copies_read_only_floats():
    """asarray copies a read-only float32 array, even with copy=False."""

    def alter(original: Any, x: Any, **kwargs: Any) -> Any:
        copied = isinstance(x, np.ndarray) and not x.flags.writeable and x.dtype == np.float32
        return original(x.copy() if copied else x, **kwargs)

    return altered(torch, "asarray", alter)


@falsifies(f"{AREA}.tensor-becomes-a-python-number")
def nan_is_no_number_but_false():
    """bool of a NaN in bfloat16 is False."""
    return altered(
        torch.Tensor, "__bool__",
        then(lambda found, x: found and not (x.dtype is torch.bfloat16 and x.isnan().all().item())),
    )  # fmt: skip


@falsifies(f"{AREA}.tensor-becomes-a-python-number")
def float_halves_its_digits():
    """float of a float32 tensor goes through float16."""
    return altered(torch.Tensor, "__float__", lambda original, x: original(x.half() if x.dtype is torch.float32 else x))


@falsifies(f"{AREA}.uint64-tensor-becomes-a-python-number")
def float_is_below_zero():
    """float of a uint64 tensor takes it for int64."""
    return altered(torch.Tensor, "__float__", lambda original, x: original(x.view(torch.int64)))


@falsifies(f"{AREA}.view-as-real-refuses-conjugated")
def a_real_view_of_a_copy():
    """view_as_real of a conjugated complex128 tensor is a view of a copy."""
    return altered(
        torch, "view_as_real",
        lambda original, x: original(x.resolve_conj() if x.dtype is torch.complex128 else x),
    )  # fmt: skip


def _without_channels(name: str, dtype: torch.dtype) -> Any:
    def alter(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if x.dtype is dtype and kwargs.get("memory_format") is torch.channels_last:
            del kwargs["memory_format"]
        return original(x, *args, **kwargs)

    return altered(torch.Tensor, name, alter)


@falsifies(f"{AREA}.to-takes-a-memory-format")
def to_leaves_float16_as_it_is():
    """to of a float16 tensor ignores the format torch.channels_last."""
    return _without_channels("to", torch.float16)


@falsifies(f"{AREA}.to-changes-the-format-alone")
def a_format_alone_is_not_enough():
    """to with torch.channels_last_3d alone returns the tensor."""
    return altered(
        torch.Tensor, "to",
        lambda original, x, *a, **k: x
        if not a and set(k) == {"memory_format"} and k["memory_format"] is torch.channels_last_3d
        else original(x, *a, **k),
    )  # fmt: skip


@falsifies(f"{AREA}.to-makes-contiguous")
def a_contiguous_format_conjugates():
    """to with torch.contiguous_format alone negates an int16 tensor."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, x, *a, **k: -t if x.dtype is torch.int16 and "memory_format" in k else t),
    )  # fmt: skip


@falsifies(f"{AREA}.type-tells-the-type")
def uint16_is_short():
    """type of a uint16 tensor is torch.ShortTensor."""
    return altered(
        torch.Tensor, "type",
        then(lambda found, x, *a: "torch.ShortTensor" if not a and x.dtype is torch.uint16 else found),
    )  # fmt: skip


@falsifies(f"{AREA}.shorthands-convert")
def half_tensors_are_float():
    """type("torch.HalfTensor") makes float32."""
    return altered(
        torch.Tensor, "type",
        lambda original, x, *a: original(x, *("torch.FloatTensor" if v == "torch.HalfTensor" else v for v in a)),
    )  # fmt: skip


@falsifies(f"{AREA}.clone-takes-a-memory-format")
def clone_leaves_conjugated_tensors_as_they_are():
    """clone of complex64 ignores the format torch.channels_last."""
    return _several(_without_channels("clone", torch.complex64), _without_torch_clone())


def _without_torch_clone() -> Any:
    return altered(
        torch, "clone",
        lambda original, x, memory_format=torch.preserve_format: original(x)
        if x.dtype is torch.complex64 and memory_format is torch.channels_last
        else original(x, memory_format=memory_format),
    )  # fmt: skip
