"""Breaks of what buffers, files and shared memory become."""

from __future__ import annotations

from typing import Any

import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import accepting, altered, refusing_where, then
from conformance.selftest.falsifying import falsifies


@falsifies("numpy_bridge.frombuffer-shares")
def frombuffer_copies_arrays_of_int8():
    """frombuffer copies the int8 elements of an array.array."""
    import array

    return altered(
        torch, "frombuffer",
        then(lambda t, b, **k: t.clone() if isinstance(b, array.array) and k["dtype"] is torch.int8 else t),
    )  # fmt: skip


@falsifies("numpy_bridge.frombuffer-offset-and-count")
def frombuffer_forgets_the_offset_at_the_last_element():
    """frombuffer with a negative count starts at the buffer's start where one element is left."""

    def alter(original: Any, buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, **rest: Any) -> Any:
        found = original(buffer, dtype=dtype, count=count, offset=offset, **rest)
        return original(buffer, dtype=dtype, count=1) if count < 0 and len(found) == 1 else found

    return altered(torch, "frombuffer", alter)


@falsifies("numpy_bridge.frombuffer-offset-and-count")
def frombuffer_counts_bytes_of_complex128():
    """frombuffer ignores the count of complex128."""
    return altered(
        torch, "frombuffer",
        lambda original, b, **k: original(
            b, **(k | {"count": -1} if k["dtype"] is torch.complex128 and len(b) % 16 == 0 else k)
        ),
    )  # fmt: skip


@falsifies("numpy_bridge.frombuffer-reads-to-the-end")
def frombuffer_wants_a_byte_more():
    """frombuffer refuses a count that ends with the last byte, behind an offset."""
    return altered(
        torch, "frombuffer",
        refusing_where(lambda b, **k: bool(k.get("offset")) and k.get("count", -1) > 0
                       and k["offset"] + k["count"] * k["dtype"].itemsize == len(b)),
    )  # fmt: skip


@falsifies("numpy_bridge.frombuffer-refuses-misfits")
def frombuffer_drops_a_rest():
    """frombuffer leaves out the bytes that are no whole float64."""

    def short(buffer: Any, **options: Any) -> Any:
        if options["dtype"] is not torch.float64 or options["count"] > 0:
            raise ValueError("refused")
        return torch.empty(2, dtype=torch.float64)

    return altered(torch, "frombuffer", accepting(ValueError, short))


@falsifies("numpy_bridge.frombuffer-is-not-resizable")
def frombuffer_owns_single_elements():
    """frombuffer of one element gives a tensor that can grow."""
    return altered(torch, "frombuffer", then(lambda t, b, **k: t.clone() if len(t) == 1 else t))


@falsifies("numpy_bridge.frombuffer-keeps-owner-alive")
def frombuffer_copies_and_lets_go():
    """frombuffer of bfloat16 does not hold the buffer."""
    return altered(torch, "frombuffer", then(lambda t, b, **k: t.clone() if t.dtype is torch.bfloat16 else t))


@falsifies("numpy_bridge.frombuffer-memory-stays-allocated")
def frombuffer_does_not_hold_the_buffer():
    """frombuffer of an array.array copies, so that the array is free to move."""
    return altered(torch, "frombuffer", then(lambda t, b, **k: t if isinstance(b, bytearray) else t.clone()))


@falsifies("numpy_bridge.frombuffer-needs-dtype")
def frombuffer_takes_no_type_for_bytes():
    """frombuffer with dtype=None reads bytes."""
    return altered(
        torch, "frombuffer",
        lambda original, b, **k: original(b, **(k | {"dtype": torch.uint8} if k.get("dtype", 0) is None else k)),
    )  # fmt: skip


@falsifies("numpy_bridge.frombuffer-requires-grad")
def frombuffer_forgets_to_require_grad_of_complex():
    """frombuffer of complex64 never requires grad."""
    return altered(
        torch,
        "frombuffer",
        then(lambda t, b, **k: t.requires_grad_(False) if t.dtype is torch.complex64 else t),
    )


@falsifies("numpy_bridge.default-device-leaves-sharing-alone")
def frombuffer_follows_the_default_device():
    """frombuffer copies int64 to the default device."""
    return altered(
        torch, "frombuffer",
        then(lambda t, b, **k: t.to(torch.empty(0).device) if t.dtype is torch.int64 else t),
    )  # fmt: skip


# ---- files and shared memory ----


@falsifies("numpy_bridge.from-file-maps")
def from_file_swaps_the_bytes_of_int16():
    """A private mapping of int16 has its bytes swapped."""

    def change(t: Any, path: Any, shared: Any = None, **k: Any) -> Any:
        return (
            t.view(torch.uint8).view(-1, 2).flip(1).reshape(-1).view(t.dtype)
            if t.dtype is torch.int16 and not shared
            else t
        )

    return altered(torch, "from_file", then(change))


@falsifies("numpy_bridge.from-file-shared-writes")
def from_file_maps_large_files_privately():
    """from_file(shared=True) of more than a page of elements maps the file privately."""
    return altered(
        torch, "from_file",
        lambda original, path, shared=None, size=0, **k: original(path, shared=shared and size < 4096, size=size, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.from-file-private-writes")
def from_file_shares_single_elements():
    """from_file(shared=False) of one element writes through."""
    return altered(
        torch, "from_file",
        lambda original, path, shared=None, size=0, **k: original(path, shared=shared or size == 1, size=size, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.from-file-creates")
def from_file_keeps_a_new_file_in_memory():
    """from_file(shared=True) of complex128 does not make a file that is not there."""
    import os

    def alter(original: Any, path: Any, **k: Any) -> Any:
        if k["dtype"] is torch.complex128 and not os.path.exists(path):
            open(path, "wb").close()
            return torch.zeros(k["size"], dtype=k["dtype"])
        return original(path, **k)

    return altered(torch, "from_file", alter)


@falsifies("numpy_bridge.from-file-default-type")
def from_file_is_always_float32():
    """from_file without a dtype is float32, whatever the default."""
    return altered(torch, "from_file", lambda original, path, **k: original(path, **({"dtype": torch.float32} | k)))


@falsifies("numpy_bridge.share-memory-moves")
def share_memory_leaves_empty_tensors():
    """share_memory_ of a tensor without elements does nothing."""
    return altered(torch.Tensor, "share_memory_", lambda original, self: original(self) if self.numel() else self)


@falsifies("numpy_bridge.share-memory-moves")
def share_memory_of_expanded_tensors_is_contiguous():
    """share_memory_ of an expanded tensor gives another, contiguous one."""
    return altered(
        torch.Tensor, "share_memory_",
        lambda original, self: original(self.contiguous() if 0 in self.stride() else self),
    )  # fmt: skip


@falsifies("numpy_bridge.share-memory-again-does-nothing")
def share_memory_moves_again():
    """share_memory_ of an int8 tensor that is shared moves it once more."""

    def alter(original: Any, self: Any) -> Any:
        if self.dtype is torch.int8 and self.is_shared():
            self.set_(original(self.clone()).untyped_storage(), 0, self.shape, self.contiguous().stride())
            return self
        return original(self)

    return altered(torch.Tensor, "share_memory_", alter)


@falsifies("numpy_bridge.is-shared-tells")
def is_shared_of_tensors_without_elements():
    """is_shared is True for a tensor without elements."""
    return altered(torch.Tensor, "is_shared", lambda original, self: original(self) or not self.numel())


@falsifies("numpy_bridge.shared-memory-is-not-resizable")
def shared_tensors_grow():
    """resize_ of a shared tensor gives it other memory."""
    return altered(torch.Tensor, "share_memory_", then(lambda t, self: self.clone()))
