"""Breaks of rare spellings of conversions, buffers, files and views, and of tensors that are parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import accepting, altered, then
from conformance.selftest.falsifying import falsifies

AREA = "numpy_bridge"


@falsifies(f"{AREA}.to-returns-self")
def two_keywords_make_another_handle():
    """to of a matrix with its dtype and device, both by name, gives a view."""

    def alter(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        return self.view_as(self) if found is self and len(kwargs) == 2 and not args and self.dim() == 2 else found

    return altered(torch.Tensor, "to", alter)


@falsifies(f"{AREA}.to-copy-true")
def copy_by_position_is_not_read():
    """to of a tensor with copy as the third argument gives the tensor."""
    return altered(torch.Tensor, "to", lambda original, self, *args, **k: original(self, *args[:2], **k))


@falsifies(f"{AREA}.to-converts")
def the_smallest_numbers_are_false():
    """to(torch.bool) of a subnormal float32 is False."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, x, *a, **k: t & ((x.abs() > 1e-38) | x.isnan())
             if t.dtype is torch.bool and x.dtype is torch.float32 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.to-converts")
def zero_loses_its_sign():
    """to(torch.complex64) of -0.0 is 0."""
    return altered(
        torch.Tensor, "to",
        then(lambda t, x, *a, **k: t + 0.0 if t.dtype is torch.complex64 and x.dtype is torch.float32 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.shorthands-convert")
def type_without_waiting_is_not_read():
    """type(…, non_blocking=True) gives the tensor as it is."""
    return altered(
        torch.Tensor, "type", lambda original, self, *a, **k: self if k.get("non_blocking") else original(self, *a, **k)
    )


@falsifies(f"{AREA}.clone-is-differentiable")
def clone_detaches_parameters():
    """clone of a parameter has no history."""
    return altered(
        torch.Tensor, "clone",
        lambda original, self, **k: original(self.detach() if isinstance(self, torch.nn.Parameter) else self, **k),
    )  # fmt: skip


@falsifies(f"{AREA}.contiguous-returns-self")
def contiguous_copies_int8():
    """contiguous of a contiguous int8 tensor copies."""
    return altered(
        torch.Tensor, "contiguous",
        then(lambda t, self, **k: self.clone() if t is self and self.dtype is torch.int8 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.contiguous-lays-in-order")
def contiguous_leaves_images():
    """contiguous returns a tensor of four dimensions whose channels are innermost."""
    return altered(
        torch.Tensor, "contiguous",
        lambda original, self, **k: self
        if self.dim() == 4 and self.stride(1) == 1 and not k else original(self, **k),
    )  # fmt: skip


@falsifies(f"{AREA}.view-as-another-type-shares")
def half_seen_as_integers_is_a_copy():
    """view of float16 as int16 copies."""
    return altered(
        torch.Tensor, "view",
        then(lambda t, self, *a: t.clone() if self.dtype is torch.float16 and t.dtype is torch.int16 else t),
    )  # fmt: skip


@falsifies(f"{AREA}.view-as-another-type-shares")
def a_part_of_a_storage_seen_as_smaller_elements_is_a_copy():
    """view as a type of fewer bytes copies what begins in the middle of its storage."""
    return altered(
        torch.Tensor, "view",
        then(lambda t, self, *a: t.clone() if t.itemsize < self.itemsize and self.storage_offset() else t),
    )  # fmt: skip


@falsifies(f"{AREA}.view-as-another-type-refuses")
def what_begins_between_elements_is_copied():
    """view as a type of more bytes copies what begins at no multiple of them."""

    def alter(original: Any, self: Any, *args: Any) -> Any:
        try:
            return original(self, *args)
        except RuntimeError:
            if self.storage_offset() and self.is_contiguous() and self.dim():
                return original(self.clone(), *args)
            raise

    return altered(torch.Tensor, "view", alter)


@falsifies(f"{AREA}.view-as-another-type-refuses")
def rows_an_odd_number_of_elements_apart_are_copied():
    """view as a type of more bytes copies rows whose distance is no multiple of them."""

    def alter(original: Any, self: Any, *args: Any) -> Any:
        try:
            return original(self, *args)
        except RuntimeError:
            if self.dim() == 2 and self.stride(0) % 2:
                return original(self.clone(memory_format=torch.contiguous_format), *args)
            raise

    return altered(torch.Tensor, "view", alter)


@falsifies(f"{AREA}.frombuffer-offset-and-count")
def odd_offsets_are_copied():
    """frombuffer of int32 from an offset that is no multiple of 4 copies."""
    return altered(
        torch, "frombuffer",
        lambda original, x, **k: original(
            bytearray(bytes(x)) if k.get("dtype") is torch.int32 and k.get("offset", 0) % 4 else x, **k
        ),
    )  # fmt: skip


@falsifies(f"{AREA}.frombuffer-refuses-misfits")
def no_elements_are_asked_for():
    """frombuffer with count=0 gives an empty tensor."""
    return altered(
        torch, "frombuffer",
        lambda original, x, **k: torch.empty(0, dtype=k["dtype"]) if k.get("count") == 0 else original(x, **k),
    )  # fmt: skip


@falsifies(f"{AREA}.frombuffer-of-counts-cannot-require-grad")
def counts_forget_that_they_are_to_require_grad():
    """frombuffer of bools with requires_grad=True gives a tensor that does not."""
    return altered(
        torch, "frombuffer",
        lambda original, x, **k: original(x, **(k | ({"requires_grad": False} if k["dtype"] is torch.bool else {}))),
    )  # fmt: skip


@falsifies(f"{AREA}.dlpack-version")
def only_the_first_version_is_known():
    """__dlpack__(max_version=(2, 0)) makes a capsule of DLPack 0.8."""

    def alter(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if (kwargs.get("max_version") or (0,))[0] > 1:
            kwargs["max_version"] = None
        return original(self, *args, **kwargs)

    return altered(torch.Tensor, "__dlpack__", alter)


@falsifies(f"{AREA}.sharing-keeps-memory-alive")
def from_dlpack_borrows_vectors_of_int8():
    """from_dlpack of a vector of int8 keeps nothing of the array alive."""
    import ctypes

    def borrowed(t: Any, x: Any, **kwargs: Any) -> Any:
        if not (isinstance(x, np.ndarray) and x.dtype == np.int8 and x.ndim == 1 and x.size > 1):
            return t
        memory = (ctypes.c_char * ((x.size - 1) * abs(x.strides[0]) + 1)).from_address(x.ctypes.data)
        return torch.as_strided(torch.frombuffer(memory, dtype=torch.int8), t.shape, t.stride())

    return altered(torch, "from_dlpack", then(borrowed))


@falsifies(f"{AREA}.from-file-maps")
def a_part_of_a_file_is_zero():
    """from_file of fewer elements than the file has gives zeros."""
    import os

    def alter(original: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(path, *args, **kwargs)
        return found * 0 if os.path.getsize(path) > found.numel() * found.element_size() else found

    return altered(torch, "from_file", alter)


@falsifies(f"{AREA}.from-file-refuses-short-files")
def short_files_are_full_of_zeros():
    """from_file(shared=False) of a file that is too short gives zeros."""
    return altered(
        torch, "from_file",
        accepting(RuntimeError, lambda path, *a, **k: torch.zeros(k["size"], dtype=k["dtype"])),
    )  # fmt: skip


@falsifies(f"{AREA}.share-memory-moves")
def parameters_stay_where_they_are():
    """share_memory_ of a parameter moves nothing."""
    return altered(
        torch.Tensor, "share_memory_",
        lambda original, self: self if isinstance(self, torch.nn.Parameter) else original(self),
    )  # fmt: skip


@falsifies(f"{AREA}.frombuffer-offset-and-count")
def the_offset_into_words_counts_words():
    """frombuffer of a buffer of two-byte elements skips as many elements as it should skip bytes."""

    def alter(original: Any, x: Any, **k: Any) -> Any:
        view = memoryview(x)
        further = k.get("offset", 0) * view.itemsize
        return original(x, **(k | {"offset": further} if view.itemsize == 2 and further < view.nbytes else k))

    return altered(torch, "frombuffer", alter)


@falsifies(f"{AREA}.item-gives-number")
def a_long_integer_with_a_dimension_goes_through_a_double():
    """item of int64 with a dimension gives the nearest number that float64 holds."""
    return altered(
        torch.Tensor, "item",
        then(lambda n, self: int(float(n)) if self.dtype is torch.int64 and self.dim() and abs(n) < 2**62 else n),
    )  # fmt: skip
