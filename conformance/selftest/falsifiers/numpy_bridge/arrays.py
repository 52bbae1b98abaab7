"""Breaks of what arrays, buffers and files become."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.selftest.falsifiers.numpy_bridge.breaks import accepting, altered, then
from conformance.selftest.falsifying import falsifies


@falsifies("numpy_bridge.from-numpy-shares")
def from_numpy_copies_stepped_int16():
    """from_numpy copies an int16 array with gaps."""
    return altered(
        torch, "from_numpy",
        then(lambda t, x: t.clone() if x.dtype == np.int16 and x.size and not x.flags.forc else t),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-shares")
def from_numpy_copies_without_dimensions():
    """from_numpy copies an array without a dimension."""
    return altered(torch, "from_numpy", then(lambda t, x: t.clone() if not x.ndim else t))


@falsifies("numpy_bridge.from-numpy-shares")
def from_numpy_copies_large_arrays():
    """from_numpy copies an array of more than 30,000 elements."""
    return altered(torch, "from_numpy", then(lambda t, x: t.clone() if x.size > 30_000 else t))


@falsifies("numpy_bridge.from-numpy-shares")
def from_numpy_copies_the_second_time():
    """from_numpy of an array that it has seen copies it."""
    seen: list[int] = []

    def change(t: Any, x: Any) -> Any:
        again = id(x) in seen
        seen[:] = [id(x)]
        return t.clone() if again else t

    return altered(torch, "from_numpy", then(change))


@falsifies("numpy_bridge.from-numpy-shares")
def from_numpy_forgets_fortran_order():
    """from_numpy takes a Fortran-ordered matrix for a C-ordered one."""
    return altered(
        torch, "from_numpy",
        then(lambda t, x: t.as_strided(t.shape, (t.shape[1], 1)) if x.ndim == 2 and x.flags.fnc else t),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-keeps-values")
def from_numpy_loses_the_sign_of_zero():
    """from_numpy of float16 has 0.0 for -0.0."""
    return altered(
        torch,
        "from_numpy",
        then(lambda t, x: torch.where(t == 0, t.abs(), t) if x.dtype == np.float16 else t),
    )


@falsifies("numpy_bridge.from-numpy-keeps-values")
def from_numpy_flattens_empty_arrays():
    """from_numpy of an empty array has one dimension."""
    return altered(torch, "from_numpy", then(lambda t, x: t.reshape(-1) if not x.size else t))


@falsifies("numpy_bridge.from-numpy-maps-types")
def from_numpy_takes_longlong_for_float():
    """from_numpy takes NumPy's longlong for a float of the same size."""
    return altered(
        torch, "from_numpy", then(lambda t, x: t.view(torch.float64) if x.dtype.char == "q" and x.ndim else t)
    )


@falsifies("numpy_bridge.from-numpy-refuses-other-types")
def from_numpy_takes_datetimes():
    """from_numpy takes dates for integers."""
    return altered(torch, "from_numpy", lambda original, x: original(x.view(np.int64) if x.dtype.kind == "M" else x))


@falsifies("numpy_bridge.from-numpy-refuses-other-types")
def from_numpy_narrows_empty_longdouble():
    """from_numpy takes an empty array of long doubles for float64."""
    return altered(
        torch, "from_numpy",
        lambda original, x: original(x.astype(np.float64) if x.dtype.char == "g" and not x.size else x),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-may-take-wide-unsigned")
def from_numpy_takes_uint32_for_int32():
    """from_numpy takes uint32 for int32."""
    return altered(torch, "from_numpy", then(lambda t, x: t.view(torch.int32) if x.dtype == np.uint32 else t))


@falsifies("numpy_bridge.from-numpy-may-take-wide-unsigned")
def from_numpy_copies_fortran_uint64():
    """from_numpy copies a Fortran-ordered matrix of uint64."""
    return altered(torch, "from_numpy", then(lambda t, x: t.clone() if x.dtype == np.uint64 and x.flags.fnc else t))


@falsifies("numpy_bridge.from-numpy-is-not-resizable")
def from_numpy_owns_small_bools():
    """from_numpy of bools gives a tensor that can grow."""
    return altered(torch, "from_numpy", then(lambda t, x: t.clone() if x.dtype == np.bool_ else t))


@falsifies("numpy_bridge.from-numpy-may-wrap-read-only")
def from_numpy_unlocks_and_writes():
    """from_numpy of a read-only array writes a zero to its first element."""

    def alter(original: Any, x: Any) -> Any:
        found = original(x)
        if not x.flags.writeable and x.size:
            found.view(-1)[0] = 0
        return found

    return altered(torch, "from_numpy", alter)


@falsifies("numpy_bridge.from-numpy-may-take-unaligned")
def from_numpy_rounds_odd_addresses_down():
    """from_numpy of an unaligned array shares memory elsewhere."""
    return altered(torch, "from_numpy", then(lambda t, x: t if x.flags.aligned else torch.empty_like(t)))


@falsifies("numpy_bridge.from-numpy-refuses-negative-strides")
def from_numpy_copies_one_backward_element():
    """from_numpy copies an array of one element with a negative stride."""
    return altered(
        torch,
        "from_numpy",
        lambda original, x: original(x.copy() if x.shape == (1,) and x.strides[0] < 0 else x),
    )


@falsifies("numpy_bridge.from-numpy-refuses-fractional-strides")
def from_numpy_copies_packed_complex():
    """from_numpy copies a packed field of complex128."""
    return altered(
        torch, "from_numpy",
        lambda original, x: original(x.copy() if x.dtype == np.complex128 and x.strides[-1] % 16 else x),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-refuses-foreign-byte-order")
def from_numpy_swaps_the_bytes_of_numbers():
    """from_numpy converts the byte order of an array without a dimension."""
    return altered(
        torch, "from_numpy",
        lambda original, x: original(x if x.dtype.isnative or x.ndim else x.astype(x.dtype.newbyteorder("="))),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-takes-arrays-only")
def from_numpy_takes_numpy_scalars():
    """from_numpy takes a NumPy scalar for an array."""
    return altered(torch, "from_numpy", lambda original, x: original(np.array(x) if isinstance(x, np.generic) else x))


@falsifies("numpy_bridge.from-numpy-takes-subclasses")
def from_numpy_copies_fortran_subclasses():
    """from_numpy copies a Fortran-ordered masked array."""
    return altered(
        torch, "from_numpy",
        then(lambda t, x: t.clone() if isinstance(x, np.ma.MaskedArray) and x.flags.fnc else t),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-takes-subclasses")
def from_numpy_fills_what_is_masked():
    """from_numpy of a masked array that has a mask makes a copy with the masked elements filled in."""
    return altered(
        torch, "from_numpy",
        lambda original, x: original(x.filled(0) if isinstance(x, np.ma.MaskedArray) else x),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-may-wrap-read-only")
def from_numpy_copies_read_only_broadcast_arrays():
    """from_numpy copies a read-only array of zero strides."""
    return altered(
        torch, "from_numpy",
        lambda original, x: original(x if x.flags.writeable or 0 not in x.strides else x.copy()),
    )  # fmt: skip


@falsifies("numpy_bridge.sharing-keeps-memory-alive")
def numpy_borrows_without_owning():
    """numpy() of a uint8 tensor makes an array that owns no reference to the tensor."""
    import ctypes

    def alter(original: Any, self: Any, **options: Any) -> Any:
        found = original(self, **options)
        if self.dtype is not torch.uint8 or not found.flags.c_contiguous:
            return found
        memory = (ctypes.c_uint8 * found.nbytes).from_address(self.data_ptr())
        return np.frombuffer(memory, found.dtype).reshape(found.shape)

    return altered(torch.Tensor, "numpy", alter)


@falsifies("numpy_bridge.numpy-shares")
def numpy_copies_float16_with_an_offset():
    """numpy() copies a float16 tensor with a storage offset."""
    return altered(
        torch.Tensor, "numpy",
        then(lambda a, self, **k: a.copy() if self.dtype is torch.float16 and self.storage_offset() else a),
    )  # fmt: skip


@falsifies("numpy_bridge.numpy-shares")
def numpy_copies_expanded_tensors():
    """numpy() copies a tensor with a stride of 0."""
    return altered(torch.Tensor, "numpy", then(lambda a, self, **k: a.copy(order="K") if 0 in self.stride() else a))


@falsifies("numpy_bridge.numpy-keeps-values")
def numpy_saturates_uint64():
    """numpy() of uint64 has the largest int64 for whatever is larger."""
    return altered(
        torch.Tensor, "numpy",
        then(lambda a, self, **k: np.minimum(a, np.uint64(2**63 - 1)) if a.dtype == np.uint64 else a),
    )  # fmt: skip


@falsifies("numpy_bridge.numpy-refuses")
def numpy_detaches_empty_tensors():
    """numpy() of an empty tensor that requires grad detaches it."""
    return altered(
        torch.Tensor,
        "numpy",
        lambda original, self, **k: original(self if self.numel() else self.detach(), **k),
    )


@falsifies("numpy_bridge.numpy-refuses")
def numpy_widens_bfloat16_numbers():
    """numpy() of a bfloat16 tensor without a dimension gives float32."""
    return altered(
        torch.Tensor, "numpy",
        lambda original, self, **k: original(
            self.detach().float() if self.dtype is torch.bfloat16 and not self.ndim else self, **k
        ),
    )  # fmt: skip


@falsifies("numpy_bridge.numpy-respects-negation")
def numpy_forgets_the_negative_bit():
    """numpy() of a lazily negated tensor gives what lies in memory."""

    def plain(self: Any, **options: Any) -> Any:
        return torch._neg_view(self).numpy() if self.is_neg() and self.ndim == 1 else self.resolve_neg().numpy()

    return altered(torch.Tensor, "numpy", accepting(RuntimeError, plain))


@falsifies("numpy_bridge.numpy-force-keeps-values")
def numpy_force_forgets_the_conjugation_of_complex128():
    """numpy(force=True) of a conjugated complex128 tensor gives what lies in memory."""
    return altered(
        torch.Tensor, "numpy",
        lambda original, self, *, force=False: original(
            self.conj() if force and self.is_conj() and self.dtype is torch.complex128 else self, force=force
        ),
    )  # fmt: skip


@falsifies("numpy_bridge.numpy-force-shares-plain")
def numpy_force_copies_what_requires_grad():
    """numpy(force=True) copies a tensor that requires grad."""
    return altered(
        torch.Tensor, "numpy",
        then(lambda a, self, *, force=False: a.copy() if force and self.requires_grad else a),
    )  # fmt: skip


@falsifies("numpy_bridge.numpy-force-copies-lazy")
def numpy_force_conjugates_in_place():
    """numpy(force=True) of a conjugated vector conjugates the tensor's own memory."""

    def alter(original: Any, self: Any, *, force: bool = False) -> Any:
        if not (force and self.is_conj() and self.ndim == 1):
            return original(self, force=force)
        memory = original(self.conj())
        memory[...] = memory.conj()
        return memory

    return altered(torch.Tensor, "numpy", alter)


@falsifies("numpy_bridge.array-protocol-shares")
def array_protocol_copies_bools():
    """__array__ of bools copies."""
    return altered(
        torch.Tensor, "__array__", then(lambda a, self, *r, **k: a.copy() if self.dtype is torch.bool else a)
    )


@falsifies("numpy_bridge.array-protocol-converts")
def array_protocol_ignores_the_type_of_int8():
    """__array__ of int8 ignores the type asked for where it is float64."""
    return altered(
        torch.Tensor, "__array__",
        lambda original, self, dtype=None: original(self, dtype)
        if self.dtype is not torch.int8 or dtype != np.float64 else original(self).view(np.uint8).astype(dtype),
    )  # fmt: skip


@falsifies("numpy_bridge.array-protocol-refuses")
def array_protocol_detaches_views():
    """__array__ of a tensor with a history detaches it."""
    return altered(
        torch.Tensor, "__array__",
        lambda original, self, *r: original(self if self.is_leaf else self.detach(), *r),
    )  # fmt: skip


@falsifies("numpy_bridge.ufunc-gives-tensor")
def ufuncs_give_arrays_without_dimensions():
    """A NumPy function of a tensor without a dimension gives an array."""
    return altered(
        torch.Tensor, "__array_wrap__",
        lambda original, self, array, *r: array if not np.ndim(array) else original(self, array),
    )  # fmt: skip


@falsifies("numpy_bridge.np-from-dlpack-shares")
def dlpack_copies_uint16():
    """__dlpack__ exports a copy of uint16."""
    return altered(
        torch.Tensor, "__dlpack__",
        lambda original, self, **k: original(self.clone() if self.dtype is torch.uint16 else self, **k),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-refuses-negative-strides")
def from_numpy_copies_what_turns_in_the_middle():
    """from_numpy copies an array of three dimensions whose second one runs backwards."""
    return altered(
        torch, "from_numpy", lambda original, x: original(x.copy() if x.ndim == 3 and x.strides[1] < 0 else x)
    )


@falsifies("numpy_bridge.from-numpy-refuses-foreign-byte-order")
def from_numpy_takes_an_empty_array_of_foreign_order():
    """from_numpy takes an array without elements in the other byte order."""
    return altered(
        torch, "from_numpy",
        lambda original, x: original(x if x.size or x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))),
    )  # fmt: skip


@falsifies("numpy_bridge.from-numpy-refuses-other-types")
def from_numpy_takes_records_of_one_field():
    """from_numpy takes an array of records for one of its only field."""
    return altered(
        torch, "from_numpy", lambda original, x: original(x["f0"] if x.dtype.names == ("f0",) else x)
    )  # fmt: skip


@falsifies("numpy_bridge.numpy-refuses")
def numpy_takes_columns_that_are_compressed():
    """numpy of a tensor of layout CSC gives a dense array."""
    return altered(
        torch.Tensor, "numpy",
        lambda original, x, **k: original(x.to_dense() if x.layout is torch.sparse_csc else x, **k),
    )  # fmt: skip
