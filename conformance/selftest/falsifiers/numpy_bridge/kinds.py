"""Breaks of what numbers, lists and arrays of another kind become, and of what is refused of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import accepting, altered, then
from conformance.selftest.falsifying import falsifies

AREA = "numpy_bridge"


@falsifies(f"{AREA}.item-gives-number")
def item_forgets_to_conjugate_vectors():
    """item of a conjugated tensor with one dimension gives the number as it lies in memory."""
    return altered(
        torch.Tensor, "item", lambda original, x: original(x.conj() if x.is_conj() and x.dim() == 1 else x)
    )  # fmt: skip


@falsifies(f"{AREA}.tensor-infers-type")
def lists_of_empty_lists_are_empty_lists():
    """torch.tensor([[], []]) has one dimension."""
    return altered(
        torch, "tensor", lambda original, x, **k: original([] if isinstance(x, list) and x and x[0] == [] else x, **k)
    )


@falsifies(f"{AREA}.tensor-holds-data")
def nothing_has_the_default_type():
    """torch.tensor([], dtype=torch.int64) has the default type."""
    return altered(torch, "tensor", lambda original, x, **k: original(x) if x == [] else original(x, **k))


@falsifies(f"{AREA}.tensor-refuses-what-does-not-fit")
def complex_numbers_lose_their_imaginary_part():
    """torch.tensor of a complex number with float32 has its real part."""
    return altered(
        torch, "tensor",
        lambda original, x, **k: original(
            x.real if isinstance(x, complex) and k.get("dtype") is torch.float32 else x, **k
        ),
    )  # fmt: skip


@falsifies(f"{AREA}.tensor-takes-lists-of-scalars")
def bfloat16_numbers_in_a_list_are_floats():
    """torch.tensor of a list of bfloat16 tensors has the default type."""

    def alter(original: Any, x: Any, **kwargs: Any) -> Any:
        listed = isinstance(x, list) and x and isinstance(x[0], torch.Tensor) and x[0].dtype is torch.bfloat16
        return original([number.item() for number in x] if listed else x, **kwargs)

    return altered(torch, "tensor", alter)


@falsifies(f"{AREA}.tensor-takes-lists-of-scalars")
def python_numbers_widen_nothing():
    """torch.tensor of NumPy scalars beside a Python number has the default type."""

    def mixed(x: Any) -> bool:
        return isinstance(x, list) and isinstance(x[0], np.generic) and not isinstance(x[-1], np.generic)

    return altered(torch, "tensor", then(lambda t, x, **k: t.float() if x is not None and mixed(x) else t))


@falsifies(f"{AREA}.tensor-converts-numbers")
def fractions_are_rounded():
    """torch.tensor of floats with int32 rounds them."""

    def alter(original: Any, x: Any, **kwargs: Any) -> Any:
        listed = isinstance(x, list) and kwargs.get("dtype") is torch.int32
        return original([round(number) for number in x] if listed else x, **kwargs)

    return altered(torch, "tensor", alter)


@falsifies(f"{AREA}.tensor-converts-numbers")
def new_tensor_of_a_numpy_scalar_has_its_type():
    """new_tensor of a NumPy scalar has the scalar's type, whatever the tensor's is."""
    return altered(
        torch.Tensor, "new_tensor",
        lambda original, self, x, **k: torch.tensor(x) if isinstance(x, np.generic) else original(self, x, **k),
    )  # fmt: skip


@falsifies(f"{AREA}.tensor-takes-ranges")
def ranges_run_backwards():
    """as_tensor of a range begins with its last number."""
    return altered(torch, "as_tensor", lambda original, x, **k: original(x[::-1] if type(x) is range else x, **k))


@falsifies(f"{AREA}.tensor-refuses-ragged-lists")
def longer_lists_are_cut():
    """torch.tensor cuts what a nested list has more than the first of them."""

    def cut(x: Any, **kwargs: Any) -> Any:
        return torch.as_tensor([row[: len(x[0])] for row in x], **kwargs)

    return altered(torch, "tensor", accepting(ValueError, cut))


@falsifies(f"{AREA}.tensor-copies")
def arrays_that_are_sealed_are_shared():
    """torch.tensor of a read-only array shares its memory."""
    return altered(
        torch, "tensor",
        lambda original, x, **k: torch.from_numpy(x)
        if isinstance(x, np.ndarray) and not x.flags.writeable else original(x, **k),
    )  # fmt: skip


@falsifies(f"{AREA}.arrays-are-read-or-refused")
def foreign_bytes_are_read_as_they_lie():
    """as_tensor reads an array in the foreign byte order as if it were in the machine's."""
    return altered(
        torch, "as_tensor",
        lambda original, x, **k: original(
            x.view(x.dtype.newbyteorder("=")) if isinstance(x, np.ndarray) and not x.dtype.isnative else x, **k
        ),
    )  # fmt: skip


@falsifies(f"{AREA}.arrays-are-read-or-refused")
def steps_backwards_are_steps_forwards():
    """asarray of a vector that steps backwards reads it forwards."""
    return altered(
        torch, "asarray",
        lambda original, x, **k: original(
            x[::-1] if isinstance(x, np.ndarray) and x.ndim == 1 and x.strides[0] < 0 else x, **k
        ),
    )  # fmt: skip


@falsifies(f"{AREA}.from-numpy-shares")
def from_numpy_seals_the_array():
    """from_numpy of a vector of float64 makes the array read-only."""

    def sealed(t: Any, x: Any) -> Any:
        if x.ndim == 1 and x.dtype == np.float64:
            x.flags.writeable = False
        return t

    return altered(torch, "from_numpy", then(sealed))


@falsifies(f"{AREA}.array-protocol-shares")
def the_own_type_takes_a_copy():
    """np.asarray of a float32 tensor with its own type copies."""

    def alter(original: Any, self: Any, dtype: Any = None) -> Any:
        found = original(self) if dtype is None else original(self, dtype)
        return found.copy() if dtype == np.float32 and self.dtype is torch.float32 else found

    return altered(torch.Tensor, "__array__", alter)


@falsifies(f"{AREA}.ufunc-gives-tensor")
def truth_values_stay_an_array():
    """np.isnan of a tensor gives an array."""
    return altered(
        torch.Tensor, "__array_wrap__",
        lambda original, self, found, *r: found if found.dtype == bool else original(self, found, *r),
    )  # fmt: skip


@falsifies(f"{AREA}.asarray-numpy-scalar")
def asarray_of_a_scalar_forgets_the_type_asked_for():
    """asarray of a NumPy scalar ignores dtype."""
    return altered(
        torch, "asarray",
        lambda original, x, **k: original(x, **({} if isinstance(x, np.generic) else k)),
    )  # fmt: skip


@falsifies(f"{AREA}.asarray-reads-what-is-not-writable")
def bytes_are_read_from_the_second():
    """asarray of bytes with a type of one byte has its elements turned by one."""
    return altered(
        torch, "asarray", then(lambda t, x, **k: t.roll(1) if isinstance(x, bytes) and t.itemsize == 1 else t)
    )


@falsifies(f"{AREA}.asarray-refuses-misfits")
def the_rest_of_a_buffer_is_dropped():
    """asarray with int32 drops the bytes of a bytearray that make no element."""
    return altered(
        torch, "asarray",
        lambda original, x, **k: original(
            x[: len(x) // 4 * 4] if isinstance(x, bytearray) and k.get("dtype") is torch.int32 and len(x) > 4 else x,
            **k,
        ),
    )  # fmt: skip


@falsifies(f"{AREA}.several-elements-are-no-python-number")
def bool_of_nothing_is_false():
    """bool of a tensor without elements is False."""
    return altered(torch.Tensor, "__bool__", lambda original, x: bool(x.numel()) and original(x))


@falsifies(f"{AREA}.several-elements-are-no-python-number")
def float_of_two_is_the_first():
    """float of a tensor of two elements is the first."""
    return altered(
        torch.Tensor, "__float__", lambda original, x: original(x.reshape(-1)[0] if x.numel() == 2 else x)
    )  # fmt: skip


@falsifies(f"{AREA}.fractions-are-no-index")
def whole_floats_are_indices():
    """An index of a floating tensor is its integral part."""
    return altered(torch.Tensor, "__index__", accepting(TypeError, lambda x: int(x.real.item())))
