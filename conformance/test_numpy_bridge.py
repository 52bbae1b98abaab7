"""The bridge between tensors and NumPy, Python and other libraries: what shares memory, what copies, what is refused.

Documentation: https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html,
https://docs.pytorch.org/docs/stable/generated/torch.asarray.html and
https://docs.pytorch.org/docs/stable/dlpack.html
"""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Any

import numpy as np
import torch

from conformance.engine.cases import cases
from conformance.inputs import acts, casts, copies, crossings, eight_bits, foreign, formats, lazy, memories, scalars
from conformance.inputs.bridges import PART_TYPES, Applied, Data, Excerpt, Seen
from conformance.inputs.dtypes import decode, encode
from conformance.inputs.eight_bits import EightBits
from conformance.inputs.ndarrays import Array
from conformance.inputs.tensors import Strided
from conformance.oracles import buffers, children, expect, files, history, inference, layout, memory, sharing
from conformance.oracles.conversions import converted
from conformance.oracles.devices import other_default_device
from conformance.oracles.modes import silence

# A refusal by any of these is a refusal; the pages do not say which.
REFUSED = (TypeError, ValueError, RuntimeError, BufferError)


# ---- from_numpy ----


@cases(crossings.arrays, acts.acted)
def test_from_numpy_shares(case: Array) -> None:
    """A tensor from from_numpy is the array's own memory: each sees, at the same index, what the other writes."""
    array = case.build()
    found = torch.from_numpy(array)
    sharing.array_and_tensor(array, found, "torch.from_numpy(x)")
    sharing.same_grid(found, torch.from_numpy(array), "a second torch.from_numpy(x)")
    expect.equal(True, array.flags.writeable, "writeable flag of the array after torch.from_numpy(x)")
    owner = case.array.copy()  # the plan's array is a view
    shown = torch.from_numpy(owner)
    if owner.size:
        expect.equal(sharing.address_of(owner), shown.data_ptr(), "address of torch.from_numpy(x.copy())")
    expect.equal(True, owner.flags.writeable, "writeable flag of the copy after torch.from_numpy(x.copy())")


@cases(crossings.arrays, acts.acted)
def test_from_numpy_keeps_values(case: Array) -> None:
    """A tensor from from_numpy shows the values of the array, in the array's shape and element type."""
    found = torch.from_numpy(case.build())
    sharing.shows(case.array, case.dtype, found, "torch.from_numpy(x)")


@cases(foreign.spelled_arrays, acts.acted)
def test_from_numpy_maps_types(case: Array) -> None:
    """from_numpy turns each NumPy type that it documents into its namesake, whichever name NumPy was given."""
    array = case.build()
    found = torch.from_numpy(array)
    sharing.shows(array, array.dtype.name, found, "torch.from_numpy(x)")


@cases(foreign.stranger_arrays, acts.acted)
def test_from_numpy_refuses_other_types(case: Array) -> None:
    """from_numpy raises for an array of a type that torch has no counterpart of."""
    array = case.build()
    expect.raises(REFUSED, lambda: torch.from_numpy(array), "torch.from_numpy(x)")


@cases(foreign.unsigned_arrays, acts.acted)
def test_from_numpy_may_take_wide_unsigned(case: Array) -> None:
    """from_numpy either raises for an unsigned array wider than 8 bits, or shares its memory as any other's."""
    array = case.build()
    try:
        found = torch.from_numpy(array)
    except TypeError:
        return
    sharing.shows(case.array, case.array.dtype.name, found, "torch.from_numpy(x)")
    sharing.array_and_tensor(array, found, "torch.from_numpy(x)")


@cases(crossings.arrays, acts.acted)
def test_from_numpy_is_not_resizable(case: Array) -> None:
    """A tensor from from_numpy raises where it is to grow, and leaves the array alone."""
    array = case.build()
    before = sharing.bytes_of(array)
    found = torch.from_numpy(array)
    expect.raises(RuntimeError, lambda: found.resize_(found.numel() + 70), "torch.from_numpy(x).resize_(larger)")
    memory.same_bytes(before, sharing.bytes_of(array), "the array after resize_ was refused")


@cases(foreign.readonly_arrays, acts.acted)
def test_from_numpy_may_wrap_read_only(case: Array) -> None:
    """from_numpy either raises for a read-only array, or shares its memory and leaves it as it is."""
    array = case.build()
    before = sharing.bytes_of(array)
    try:
        found = torch.from_numpy(array)
    except (ValueError, RuntimeError):
        return
    sharing.shows(case.array, case.dtype, found, "torch.from_numpy(x)")
    if array.size:
        expect.equal(sharing.address_of(array), found.data_ptr(), "address of torch.from_numpy(x)")
    memory.same_bytes(before, sharing.bytes_of(array), "the read-only array afterwards")


@cases(foreign.unaligned_arrays, acts.acted)
def test_from_numpy_may_take_unaligned(case: Array) -> None:
    """from_numpy either raises for an array at odd addresses, or shares its memory."""
    array = case.build()
    try:
        found = torch.from_numpy(array)
    except (ValueError, RuntimeError):
        return
    # no element is read through torch: what a kernel does at an odd address is not defined
    expect.equal((array.shape, array.dtype.name), (tuple(found.shape), str(found.dtype)[6:]), "shape and type")
    if array.size:
        expect.equal(sharing.address_of(array), found.data_ptr(), "address of torch.from_numpy(x)")


@cases(foreign.backward_arrays, acts.acted)
def test_from_numpy_refuses_negative_strides(case: Array) -> None:
    """from_numpy raises ValueError for an array that steps backwards along an axis, even one of extent 1."""
    array = case.build()
    expect.raises(ValueError, lambda: torch.from_numpy(array), "torch.from_numpy(x)")


@cases(foreign.packed_arrays, acts.acted)
def test_from_numpy_refuses_fractional_strides(case: Array) -> None:
    """from_numpy raises ValueError where a stride is no whole number of elements, as in packed records."""
    array = case.build()
    expect.raises(ValueError, lambda: torch.from_numpy(array), "torch.from_numpy(x)")


@cases(foreign.swapped_arrays, acts.acted)
def test_from_numpy_refuses_foreign_byte_order(case: Array) -> None:
    """from_numpy raises ValueError for an array that is not in the machine's byte order."""
    array = case.build()
    expect.raises(ValueError, lambda: torch.from_numpy(array), "torch.from_numpy(x)")


@cases(foreign.no_arrays, acts.acted)
def test_from_numpy_takes_arrays_only(case: Any) -> None:
    """from_numpy raises TypeError for what is no array: lists, numbers, NumPy scalars, buffers, tensors."""
    value = case.build()
    expect.raises(TypeError, lambda: torch.from_numpy(value), "torch.from_numpy(x)")


@cases(foreign.subclassed)
def test_from_numpy_takes_subclasses(case: Applied) -> None:
    """from_numpy of a subclass of ndarray shares its memory as it does of an ndarray."""
    array = case.build()
    found = case.on(array)
    expect.equal(torch.Tensor, type(found), f"type of {case.expression}")
    sharing.array_and_tensor(array, found, case.expression)


@cases(foreign.owners)
def test_sharing_keeps_memory_alive(case: Applied) -> None:
    """Whatever shares an array's memory keeps that memory alive when every other name of it is gone."""
    array = case.build()
    alive = weakref.ref(array.base)
    found = case.on(array)
    del array
    gc.collect(0)
    expect.that(alive() is not None, f"the array's memory while {case.expression} lives", "alive", "released")
    shown = found if isinstance(found, np.ndarray) else memory.contents(found)
    memory.same_elements(case.plan.array, np.asarray(shown), case.expression)


# ---- Tensor.numpy ----


@cases(crossings.twins, acts.acted)
def test_numpy_shares(case: Strided) -> None:
    """The array of Tensor.numpy is the tensor's own storage: each sees, at the same index, what the other writes."""
    tensor = case.build()
    found = tensor.numpy()
    expect.equal(np.ndarray, type(found), "type of x.numpy()")
    expect.equal(True, found.flags.writeable, "writeable flag of x.numpy()")
    sharing.array_and_tensor(found, tensor, "x.numpy()")
    sharing.array_and_tensor(tensor.numpy(), tensor, "a second x.numpy()")


@cases(crossings.twins, acts.acted)
def test_numpy_keeps_values(case: Strided) -> None:
    """The array of Tensor.numpy shows the tensor's values, in its shape and element type."""
    memory.same_elements(case.array, np.asarray(case.build().numpy()), "x.numpy()")


@cases(foreign.unconvertible, acts.acted)
def test_numpy_refuses(case: Any) -> None:
    """numpy() raises where the tensor is not on the CPU, requires grad, is conjugated lazily, or is of a type or layout foreign to NumPy."""  # noqa: E501
    tensor = case.build()
    expect.raises((RuntimeError, TypeError), tensor.numpy, "x.numpy()")
    expect.raises((RuntimeError, TypeError), lambda: tensor.numpy(force=False), "x.numpy(force=False)")


@cases(foreign.requiring, acts.acted)
def test_numpy_may_take_what_requires_grad_under_no_grad(case: Any) -> None:
    """Under no_grad numpy() of a tensor that requires grad either raises, or shares its storage."""
    tensor = case.build()
    with torch.no_grad():
        try:
            found = tensor.numpy()
        except RuntimeError:
            return
        sharing.array_and_tensor(found, tensor, "x.numpy() under no_grad")


@cases(foreign.negated, acts.acted)
def test_numpy_respects_negation(case: Any) -> None:
    """numpy() of a lazily negated tensor raises, or gives the negated values."""
    try:
        found = case.build().numpy()
    except (RuntimeError, TypeError):
        return
    memory.same_elements(case.array, found, "x.numpy()")


@cases(foreign.forced, acts.acted)
def test_numpy_force_keeps_values(case: Any) -> None:
    """numpy(force=True) gives the values of a tensor that requires grad, is conjugated or negated lazily, or lies elsewhere."""  # noqa: E501
    memory.same_elements(case.array, np.asarray(case.build().numpy(force=True)), "x.numpy(force=True)")


@cases(foreign.forced_plain, acts.acted)
def test_numpy_force_shares_plain(case: Any) -> None:
    """numpy(force=True) of a CPU tensor with neither bit set shares its storage, gradients required or not."""
    tensor = case.build()
    found = tensor.numpy(force=True)
    sharing.array_and_tensor(found, tensor.detach(), "x.numpy(force=True)")


@cases(foreign.forced_copies, acts.acted)
def test_numpy_force_copies_lazy(case: Any) -> None:
    """numpy(force=True) of a conjugated or negated tensor, or of one on another device, shares nothing with it."""
    tensor = case.build()
    sharing.apart(tensor, tensor.numpy(force=True), "x.numpy(force=True)")


# ---- NumPy's own protocols ----


@cases(
    lambda cell: crossings.applied(
        cell, "np.asarray(x)", "x.__array__()", "np.asarray(x, dtype=x.numpy().dtype)", dtypes=crossings.TWINS
    )
)
def test_array_protocol_shares(case: Applied) -> None:
    """np.asarray of a CPU tensor shares its memory."""
    tensor = case.build()
    sharing.array_and_tensor(case.on(tensor), tensor, case.expression)


@cases(foreign.array_conversions)
def test_array_protocol_converts(case: Applied) -> None:
    """np.asarray of a tensor with another NumPy type gives the values in that type."""
    found = case.on(case.build())
    expect.equal(case.dtype, found.dtype.name, f"type of {case.expression}")
    memory.same_elements(converted(case.plan.array, case.dtype), np.asarray(found), case.expression)


@cases(foreign.array_copies)
def test_array_of_a_tensor_copies(case: Applied) -> None:
    """np.array of a tensor has memory of its own, with the same values."""
    tensor = case.build()
    with silence():
        found = case.on(tensor)
    expect.equal(case.plan.dtype, found.dtype.name, f"type of {case.expression}")
    memory.same_elements(case.plan.array, np.asarray(found), case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(foreign.unconvertible_by_protocol)
def test_array_protocol_refuses(case: Applied) -> None:
    """np.asarray raises for a tensor that requires grad, is conjugated lazily, or is of a type foreign to NumPy."""
    tensor = case.build()
    expect.raises((RuntimeError, TypeError), lambda: case.on(tensor), case.expression)


@cases(foreign.ufuncs)
def test_ufunc_gives_tensor(case: Applied) -> None:
    """A NumPy function of one tensor gives its result as a tensor with NumPy's values."""
    found = expect.tensor(case.on(case.build()), case.expression)
    wanted, shown = np.asarray(case.on(case.plan.array)), memory.contents(found)
    if wanted.dtype == bool:  # no page says of which type truth values are
        wanted = wanted.astype(shown.dtype)
    memory.same_elements(wanted, shown, case.expression)


@cases(foreign.np_from_dlpack)
def test_np_from_dlpack_shares(case: Applied) -> None:
    """np.from_dlpack of a CPU tensor shares its memory."""
    tensor = case.build()
    sharing.array_and_tensor(case.on(tensor), tensor, case.expression)


# ---- as_tensor ----


@cases(copies.as_tensor_same)
def test_as_tensor_returns_same_object(case: Applied) -> None:
    """as_tensor returns the very tensor that it was given where element type and device match."""
    tensor = case.build()
    before = history.graph_state(tensor)
    expect.same_object(tensor, case.on(tensor), case.expression)
    expect.equal(before, history.graph_state(tensor), "graph of x afterwards")


@cases(lambda cell: casts.conversions(cell, "torch.as_tensor(x, dtype={0})"))
def test_as_tensor_converts(case: Applied) -> None:
    """as_tensor with another element type gives a copy of the tensor in that type."""
    tensor = case.build()
    found = case.on(tensor)
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(lambda cell: casts.histories(cell, "torch.as_tensor(x, dtype={0})"))
def test_as_tensor_keeps_history(case: Applied) -> None:
    """as_tensor with another differentiable type lets gradients flow back, as Tensor.to does."""
    tensor = case.build()
    history.flows_back(tensor, case.on(tensor), case.expression)


@cases(copies.as_tensor_arrays)
def test_as_tensor_shares_arrays(case: Applied) -> None:
    """as_tensor of an array with matching element type and device shares the array's memory."""
    array = case.build()
    sharing.array_and_tensor(array, case.on(array), case.expression)


@cases(lambda cell: casts.array_conversions_to(cell, "torch.as_tensor(x, dtype={0})"))
def test_as_tensor_copies_arrays(case: Applied) -> None:
    """as_tensor of an array with another element type copies the values."""
    array = case.build()
    found = case.on(array)
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    sharing.apart(array, found, case.expression)


@cases(scalars.inferred_by_as_tensor)
def test_as_tensor_infers_type(case: Applied) -> None:
    """as_tensor of numbers, nested lists and tuples infers the element type as torch.tensor does."""
    inference.infers(case)


@cases(
    lambda cell: scalars.fewer_typed_data(
        cell, "torch.as_tensor(x, dtype=torch.{0}, device={1!r})", "torch.as_tensor(x, dtype=torch.{0})"
    )
)
def test_as_tensor_holds_data(case: Applied) -> None:
    """as_tensor of numbers, nested lists and tuples with a dtype holds each number in that type."""
    value = case.build()
    sharing.shows(inference.carried(value, case.dtype), case.dtype, case.on(value), case.expression)


@cases(lambda cell: scalars.numpy_scalars(cell, "torch.as_tensor(x)", scalars.BUT_UINT64))
def test_as_tensor_takes_numpy_scalars(case: Applied) -> None:
    """as_tensor of a NumPy scalar has no dimension, the scalar's type and its value."""
    sharing.shows(case.plan.array, case.dtype, case.on(case.build()), case.expression)


@cases(foreign.readonly_shares)
def test_as_tensor_may_wrap_read_only(case: Applied) -> None:
    """as_tensor and asarray either raise for a read-only array, or share its memory and leave it as it is."""
    array = case.build()
    before = sharing.bytes_of(array)
    try:
        with silence():
            found = case.on(array)
    except (ValueError, RuntimeError):
        return
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    if array.size:
        expect.that(sharing.address_of(array) == found.data_ptr(), case.expression, "the array's address", "another")
    memory.same_bytes(before, sharing.bytes_of(array), "the read-only array afterwards")


@cases(copies.unreadable_arrays)
def test_arrays_are_read_or_refused(case: Applied) -> None:
    """torch.tensor, as_tensor and asarray of an array that no tensor lies like either raise, or give its values."""
    array = case.build()
    try:
        found = case.on(array)
    except (ValueError, TypeError, RuntimeError):
        return
    sharing.shows(case.plan.array, np.dtype(case.plan.dtype).name, found, case.expression)


# ---- torch.tensor and new_tensor ----


@cases(copies.copied)
def test_tensor_copies(case: Applied) -> None:
    """torch.tensor copies tensors and arrays: values, type and shape are the same, the memory is not."""
    source = case.build()
    found = case.on(source)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    sharing.apart(source, found, case.expression)


@cases(copies.copied_graphs)
def test_tensor_is_a_leaf(case: Applied) -> None:
    """torch.tensor has no history, and requires grad where it was told to and only there."""
    found = case.on(case.build())
    wanted = "requires_grad=True" in case.expression
    expect.equal(
        f"requires_grad={wanted}, a leaf, no history",
        history.graph_state(found),
        f"graph of {case.expression}",
    )
    if not isinstance(case.plan, Data):
        sharing.shows(case.plan.array, case.plan.dtype, found.detach(), case.expression)


@cases(copies.retyped)
def test_tensor_converts(case: Applied) -> None:
    """torch.tensor of a tensor or array with another element type has the values in that type, in memory of its own."""
    source = case.build()
    found = case.on(source)
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    sharing.apart(source, found, case.expression)


@cases(lambda cell: casts.ordered(cell, "torch.tensor(x)"))
def test_tensor_keeps_dense_strides(case: Applied) -> None:
    """torch.tensor of a tensor is laid out as its clone is: dense strides stay."""
    layout.preserved(case.plan, case.on(case.build()), case.expression)


@cases(scalars.inferred)
def test_tensor_infers_type(case: Applied) -> None:
    """torch.tensor makes bool of bools, int64 of ints, the default type of floats, its complex partner of complex numbers, and of mixtures the highest."""  # noqa: E501
    inference.infers(case)


@cases(scalars.inferred_in_half)
def test_tensor_infers_type_in_half_precision(case: Applied) -> None:
    """torch.tensor infers types under the default types float16 and bfloat16 as under any other default."""
    inference.infers(case)


@cases(scalars.empties)
def test_tensor_of_nothing(case: Applied) -> None:
    """torch.tensor([]) has shape (0,) and the default type."""
    with inference.default_dtype(case.dtype):
        found = case.on(case.build())
    expect.equal(((0,), f"torch.{case.dtype}"), (tuple(found.shape), str(found.dtype)), "shape and type")


@cases(scalars.typed_data)
def test_tensor_holds_data(case: Applied) -> None:
    """torch.tensor of nested lists with a dtype holds each number in that type, in the shape of the nesting."""
    value = case.build()
    sharing.shows(inference.carried(value, case.dtype), case.dtype, case.on(value), case.expression)


@cases(lambda cell: scalars.numpy_scalars(cell, "torch.tensor(x)", scalars.BUT_UINT64))
def test_tensor_takes_numpy_scalars(case: Applied) -> None:
    """torch.tensor of a NumPy scalar has no dimension, the scalar's type and its value."""
    sharing.shows(case.plan.array, case.dtype, case.on(case.build()), case.expression)


@cases(lambda cell: scalars.numpy_scalars(cell, "torch.tensor(x)", ("uint64",)))
def test_tensor_takes_uint64_scalars(case: Applied) -> None:
    """torch.tensor of a NumPy scalar of type uint64 has no dimension, that type and its value."""
    sharing.shows(case.plan.array, case.dtype, case.on(case.build()), case.expression)


@cases(scalars.listed_scalars)
def test_tensor_takes_lists_of_scalars(case: Applied) -> None:
    """torch.tensor and as_tensor of a list of NumPy scalars, arrays or 0-d tensors of one type have that type."""
    source = case.build()
    with silence():
        found = case.on(source)
    sharing.shows(case.plan.array, case.dtype, found, case.expression)
    sharing.apart(source, found, case.expression)


@cases(scalars.unheld_data)
def test_tensor_refuses_what_does_not_fit(case: Applied) -> None:
    """torch.tensor raises for a whole number that the type asked for cannot hold, and for a complex one that is to be real."""  # noqa: E501
    value = case.build()
    expect.raises((*REFUSED, OverflowError), lambda: case.on(value), case.expression)


@cases(scalars.numbers_of_other_kinds)
def test_tensor_converts_numbers(case: Applied) -> None:
    """torch.tensor, as_tensor, asarray and new_tensor with a type cut fractions off for integers, and hold what is not 0 as True."""  # noqa: E501
    value = case.build()
    wanted = inference.carried(value, case.dtype)
    sharing.shows(wanted, case.dtype, case.on(value), case.expression)


@cases(scalars.number_ranges)
def test_tensor_takes_ranges(case: Applied) -> None:
    """torch.tensor, as_tensor and asarray of a range have its numbers as int64, or as the type asked for."""
    value = case.build()
    sharing.shows(inference.carried(value, case.dtype), case.dtype, case.on(value), case.expression)


@cases(scalars.ragged_lists)
def test_tensor_refuses_ragged_lists(case: Applied) -> None:
    """torch.tensor, as_tensor and asarray raise for nested lists that are not all of one length."""
    value = case.build()
    expect.raises(REFUSED, lambda: case.on(value), case.expression)


@cases(copies.new_tensors)
def test_new_tensor_copies(case: Applied) -> None:
    """new_tensor copies its data into the element type and onto the device of the tensor that it is called on."""
    source = case.build()
    found = case.on(source)
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    sharing.apart(source, found, case.expression)


@cases(
    lambda cell: scalars.fewer_typed_data(
        cell,
        "torch.empty(0, dtype=torch.{0}, device={1!r}).new_tensor(x)",
        "torch.empty(0, dtype=torch.int8, device={1!r}).new_tensor(x, dtype=torch.{0})",
    )
)
def test_new_tensor_holds_data(case: Applied) -> None:
    """new_tensor of numbers, nested lists and tuples holds each in the type of its tensor, or in the one asked for."""
    value = case.build()
    sharing.shows(inference.carried(value, case.dtype), case.dtype, case.on(value), case.expression)


@cases(copies.new_tensor_flags)
def test_new_tensor_requires_grad(case: Applied) -> None:
    """new_tensor gives a leaf without history, which requires grad where it was told to and only there."""
    found = case.on(case.build())
    wanted = "requires_grad=True" in case.expression
    expect.equal(
        f"requires_grad={wanted}, a leaf, no history",
        history.graph_state(found),
        f"graph of {case.expression}",
    )


# ---- asarray ----


@cases(copies.asarray_shared)
def test_asarray_shares(case: Applied) -> None:
    """asarray of a tensor, an array or a capsule shares its memory and keeps its type and device."""
    source = case.build()
    sharing.one_memory(source, case.on(source), case.expression)


@cases(copies.asarray_copied)
def test_asarray_copy_true(case: Applied) -> None:
    """asarray(copy=True) has memory of its own, with the same values."""
    source = case.build()
    found = case.on(source)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    sharing.apart(source, found, case.expression)


@cases(copies.asarray_uncopied)
def test_asarray_copy_false_shares(case: Applied) -> None:
    """asarray(copy=False) shares the memory of what can be shared."""
    source = case.build()
    sharing.one_memory(source, case.on(source), case.expression)


@cases(copies.asarray_dimensionless)
def test_asarray_shares_dimensionless_arrays(case: Applied) -> None:
    """asarray of an array without a dimension shares its memory, as it does of any other array."""
    array = case.build()
    sharing.array_and_tensor(array, case.on(array), case.expression)


@cases(copies.asarray_uncopyable)
def test_asarray_copy_false_refuses(case: Applied) -> None:
    """asarray(copy=False) raises where type, device or kind of the input would take a copy."""
    source = case.build()
    expect.raises(REFUSED, lambda: case.on(source), case.expression)


@cases(lambda cell: casts.conversions(cell, "torch.asarray(x, dtype={0})", "torch.asarray(x, dtype={0}, copy=True)"))
def test_asarray_converts(case: Applied) -> None:
    """asarray of a tensor with another element type gives the values in that type, in memory of its own."""
    tensor = case.build()
    found = case.on(tensor)
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(lambda cell: casts.array_conversions_to(cell, "torch.asarray(x, dtype={0})"))
def test_asarray_converts_arrays(case: Applied) -> None:
    """asarray of an array with another element type gives the values in that type, in memory of its own."""
    array = case.build()
    found = case.on(array)
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    sharing.apart(array, found, case.expression)


@cases(copies.asarray_inheriting)
def test_asarray_inherits_requires_grad(case: Applied) -> None:
    """asarray with no word about requires_grad keeps a tensor's history, and requires grad where it did."""
    tensor = case.build()
    found = case.on(tensor)
    history.flows_back(tensor, found, case.expression)


@cases(copies.asarray_keeping)
def test_asarray_requires_grad_true_keeps_history(case: Applied) -> None:
    """asarray(requires_grad=True) of a tensor with a history has the same history."""
    tensor = case.build()
    history.flows_back(tensor, case.on(tensor), case.expression)


@cases(copies.asarray_detaching)
def test_asarray_requires_grad_false_detaches(case: Applied) -> None:
    """asarray(requires_grad=False) of a tensor shares its memory without its history."""
    tensor = case.build()
    found = case.on(tensor)
    expect.equal("requires_grad=False, a leaf, no history", history.graph_state(found), f"graph of {case.expression}")
    sharing.two_tensors(tensor.detach(), found, case.expression)


@cases(copies.asarray_flagging)
def test_asarray_leaves_its_input(case: Applied) -> None:
    """asarray with a requires_grad says what the result requires, and leaves the tensor that it was given as it is."""
    tensor = case.build()
    before = history.graph_state(tensor)
    case.on(tensor)
    expect.equal(before, history.graph_state(tensor), f"graph of x after {case.expression}")


@cases(copies.asarray_requiring)
def test_asarray_requires_grad_true(case: Applied) -> None:
    """asarray(requires_grad=True) of an array or number requires grad."""
    found = case.on(case.build())
    expect.equal("requires_grad=True, a leaf, no history", history.graph_state(found), f"graph of {case.expression}")


@cases(copies.asarray_requiring_scalars)
def test_asarray_numpy_scalar_requires_grad(case: Applied) -> None:
    """asarray(requires_grad=True) of a NumPy scalar requires grad."""
    found = case.on(case.build())
    expect.equal("requires_grad=True, a leaf, no history", history.graph_state(found), f"graph of {case.expression}")


@cases(memories.default_buffers)
def test_asarray_buffer_default_type(case: Applied) -> None:
    """asarray of a buffer without a dtype reads its bytes as the default floating type."""
    buffer = case.build()
    with inference.default_dtype(case.dtype):
        found = case.on(buffer)
    sharing.shows(
        np.frombuffer(case.plan.memory, case.dtype),
        case.dtype,
        found,
        f"{case.expression} under {case.dtype}",
    )


@cases(memories.formatted_buffers)
def test_asarray_buffer_infers_type(case: Applied) -> None:
    """asarray of a buffer without a dtype reads its elements by the buffer's own format."""
    found = case.on(case.build())
    sharing.shows(buffers.elements(case.plan.memory, case.dtype), case.dtype, found, case.expression)


@cases(lambda cell: memories.buffers(cell, "torch.asarray(x, dtype=torch.{0})"))
def test_asarray_buffer_shares(case: Applied) -> None:
    """asarray of a buffer with a dtype groups the buffer's bytes into elements of that type, and shares them."""
    buffer = case.build()
    found = case.on(buffer)
    sharing.shows(buffers.elements(case.plan.memory, case.dtype), case.dtype, found, case.expression)
    buffers.shares_buffer(buffer, found, case.expression)


@cases(memories.sealed_buffers)
def test_asarray_reads_what_is_not_writable(case: Applied) -> None:
    """asarray of a buffer that must not be written shows its elements, and leaves it as it is."""
    buffer = case.build()
    with silence():
        found = case.on(buffer)
    sharing.shows(buffers.elements(case.plan.memory, case.dtype), case.dtype, found, case.expression)
    memory.same_bytes(case.plan.memory, bytes(buffer), "the buffer afterwards")


@cases(memories.misfits_of_asarray)
def test_asarray_refuses_misfits(case: Applied) -> None:
    """asarray raises for a buffer whose bytes are no whole number of elements of the type asked for."""
    buffer = case.build()
    expect.raises((ValueError, RuntimeError), lambda: case.on(buffer), case.expression)


@cases(scalars.retyped_scalars)
def test_asarray_numpy_scalar(case: Applied) -> None:
    """asarray of a NumPy scalar is a 0-d CPU tensor of the corresponding type, or of the one asked for."""
    found = case.on(case.build())
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    expect.equal("cpu", found.device.type, f"device of {case.expression}")


@cases(scalars.python_data)
def test_asarray_infers_type(case: Applied) -> None:
    """asarray of numbers and nested lists infers the element type as torch.tensor does."""
    value = case.build()
    expected = str(inference.inferred_type(value, "float32"))
    sharing.shows(inference.carried(value, expected), expected, case.on(value), case.expression)


@cases(
    lambda cell: scalars.fewer_typed_data(
        cell, "torch.asarray(x, dtype=torch.{0}, device={1!r})", "torch.asarray(x, dtype=torch.{0}, copy=True)"
    )
)
def test_asarray_holds_data(case: Applied) -> None:
    """asarray of numbers, nested lists and tuples with a dtype holds each number in that type."""
    value = case.build()
    sharing.shows(inference.carried(value, case.dtype), case.dtype, case.on(value), case.expression)


@cases(copies.default_device_data)
def test_asarray_data_on_default_device(case: Applied) -> None:
    """asarray of numbers and lists of numbers lies on the default device."""
    with other_default_device():
        found = case.on(case.build())
        expected = torch.empty(0).device
    expect.equal(expected, found.device, f"device of {case.expression} under default device {expected}")


@cases(copies.default_device_sources)
def test_asarray_keeps_device(case: Applied) -> None:
    """asarray of a tensor, array or buffer stays on its device, whatever the default device is."""
    source = case.build()
    expected = source.device if isinstance(source, torch.Tensor) else torch.device("cpu")
    with other_default_device():
        found = case.on(source)
    expect.equal(expected, found.device, f"device of {case.expression} under another default device")


@cases(copies.default_device_sharers)
def test_default_device_leaves_sharing_alone(case: Applied) -> None:
    """from_numpy and frombuffer give CPU tensors over the shared memory, whatever the default device is."""
    source = case.build()
    with other_default_device():
        found = case.on(source)
    expect.equal("cpu", found.device.type, f"device of {case.expression} under another default device")
    if found.numel():  # what has no elements has no place either
        address = buffers.address_of_buffer(source)
        expect.that(address == found.data_ptr(), f"address of {case.expression}", "that of the buffer", "another")


# ---- frombuffer ----


@cases(memories.buffers)
def test_frombuffer_shares(case: Applied) -> None:
    """frombuffer gives a 1-D tensor of the buffer's bytes: each sees what the other writes."""
    buffer = case.build()
    found = case.on(buffer)
    sharing.shows(buffers.elements(case.plan.memory, case.dtype), case.dtype, found, case.expression)
    buffers.shares_buffer(buffer, found, case.expression)


@cases(memories.cut_buffers)
def test_frombuffer_offset_and_count(case: Excerpt) -> None:
    """frombuffer skips offset bytes, then reads count elements, or all that are left where count is negative."""
    buffer = case.build()
    found = case.on(buffer)
    if found.numel():  # what has no elements has no place either
        moved = found.data_ptr() - buffers.address_of_buffer(buffer)
        expect.equal(case.offset, moved, f"bytes from the buffer's beginning to {case.expression}")
    sharing.shows(
        buffers.elements(case.plan.memory, case.dtype, case.offset, case.count),
        case.dtype,
        found,
        case.expression,
    )


@cases(memories.readonly_buffers)
def test_frombuffer_reads_what_is_not_writable(case: Excerpt) -> None:
    """frombuffer of a buffer that must not be written shows its elements, and leaves it as it is."""
    buffer = case.build()
    with silence():
        found = case.on(buffer)
    elements = buffers.elements(case.plan.memory, case.dtype, case.offset, case.count)
    sharing.shows(elements, case.dtype, found, case.expression)
    memory.same_bytes(case.plan.memory, bytes(buffer), "the buffer afterwards")


@cases(memories.full_buffers)
def test_frombuffer_reads_to_the_end(case: Excerpt) -> None:
    """frombuffer reads count elements where they end with the buffer's last byte."""
    found = case.on(case.build())
    sharing.shows(
        buffers.elements(case.plan.memory, case.dtype, case.offset, case.count),
        case.dtype,
        found,
        case.expression,
    )


@cases(memories.misfit_buffers)
def test_frombuffer_refuses_misfits(case: Applied) -> None:
    """frombuffer raises where the buffer is too short, or where the bytes left are no whole number of elements."""
    buffer = case.build()
    expect.raises((ValueError, RuntimeError), lambda: case.on(buffer), case.expression)


@cases(memories.buffers)
def test_frombuffer_is_not_resizable(case: Applied) -> None:
    """A tensor from frombuffer raises where it is to grow."""
    found = case.on(case.build())
    expect.raises(RuntimeError, lambda: found.resize_(found.numel() + 70), f"{case.expression}.resize_(larger)")


@cases(memories.owned_buffers)
def test_frombuffer_keeps_owner_alive(case: Applied) -> None:
    """A tensor from frombuffer keeps the buffer's owner alive when every other name of it is gone."""
    owner = case.build()
    alive = weakref.ref(owner)
    found = case.on(owner)
    del owner
    gc.collect(0)
    expect.that(alive() is not None, f"the owner while {case.expression} lives", "alive", "released")
    sharing.shows(buffers.elements(case.plan.memory, case.dtype), case.dtype, found, case.expression)


@cases(memories.growing_buffers)
def test_frombuffer_memory_stays_allocated(case: Applied) -> None:
    """A buffer that could grow does not give up its memory while a tensor from frombuffer lies there."""
    buffer = case.build()
    found = case.on(buffer)
    try:
        buffer.extend(bytes(1 << 20))
    except BufferError:
        return
    expect.that(
        found.data_ptr() == buffers.address_of_buffer(buffer),
        f"address of x after x.extend(…), {case.expression}",
        "where the tensor lies",
        "elsewhere",
    )


@cases(memories.untyped_buffers)
def test_frombuffer_needs_dtype(case: Applied) -> None:
    """frombuffer raises TypeError where no dtype is given: it does not infer one."""
    buffer = case.build()
    expect.raises(TypeError, lambda: case.on(buffer), case.expression)


@cases(memories.flagged_buffers)
def test_frombuffer_requires_grad(case: Applied) -> None:
    """frombuffer requires grad where it was told to, and only there."""
    found = case.on(case.build())
    wanted = "requires_grad=True" in case.expression
    expect.equal(
        f"requires_grad={wanted}, a leaf, no history",
        history.graph_state(found),
        f"graph of {case.expression}",
    )


@cases(memories.flagged_counts)
def test_frombuffer_of_counts_cannot_require_grad(case: Applied) -> None:
    """frombuffer of integers or bools raises where it is told to require grad."""
    buffer = case.build()
    expect.raises(RuntimeError, lambda: case.on(buffer), case.expression)


# ---- DLPack ----


@cases(lambda cell: crossings.applied(cell, "torch.from_dlpack(x)", "torch.utils.dlpack.from_dlpack(x)"))
def test_from_dlpack_shares(case: Applied) -> None:
    """from_dlpack of a tensor shares the tensor's memory, as often as it is called."""
    tensor = case.build()
    first = case.on(tensor)
    sharing.two_tensors(tensor, case.on(tensor), f"a second {case.expression}")
    sharing.two_tensors(tensor, first, case.expression)


@cases(lambda cell: crossings.applied(cell, "torch.from_dlpack(x)"))
def test_from_dlpack_keeps_values(case: Applied) -> None:
    """from_dlpack shows the values of its input, in its shape and element type."""
    sharing.shows(case.plan.array, case.plan.dtype, case.on(case.build()), case.expression)


@cases(lazy.capsules)
def test_from_dlpack_takes_capsules(case: Applied) -> None:
    """from_dlpack takes a capsule in the place of its tensor, and shares the tensor's memory."""
    tensor = case.build()
    sharing.two_tensors(tensor, case.on(tensor), case.expression)


@cases(lazy.dlpack_arrays)
def test_from_dlpack_takes_producers(case: Applied) -> None:
    """from_dlpack takes any object with __dlpack__ and __dlpack_device__, such as an array, and shares its memory."""
    array = case.build()
    found = case.on(array)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    sharing.array_and_tensor(array, found, case.expression)


@cases(lazy.dlpack_strides)
def test_dlpack_keeps_strides(case: Applied) -> None:
    """A tensor that went through DLPack has the strides that it had, those of extents of 1 included."""
    tensor = case.build()
    expect.equal(tuple(tensor.stride()), tuple(case.on(tensor).stride()), f"strides of {case.expression}")


@cases(lambda cell: crossings.applied(cell, "torch.from_dlpack(x, copy=True)"))
def test_from_dlpack_copy_true(case: Applied) -> None:
    """from_dlpack(copy=True) has memory of its own, with the same values."""
    tensor = case.build()
    found = case.on(tensor)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(lazy.dlpack_copied_arrays)
def test_from_dlpack_copies_producers(case: Applied) -> None:
    """from_dlpack(copy=True) of an array has memory of its own, with the same values."""
    array = case.build()
    found = case.on(array)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    sharing.apart(array, found, case.expression)


@cases(lazy.dlpack_uncopied)
def test_from_dlpack_copies_only_if_needed(case: Applied) -> None:
    """from_dlpack without copy, or with copy=False, shares the memory of an input on the device asked for."""
    tensor = case.build()
    sharing.two_tensors(tensor, case.on(tensor), case.expression)


@cases(lazy.dlpack_moves)
def test_from_dlpack_moves(case: Applied) -> None:
    """from_dlpack(device=) with another device copies the values there, and raises where copy=False forbids it."""
    source = case.build()
    if "copy=False" in case.expression:
        expect.raises(REFUSED, lambda: case.on(source), case.expression)
        return
    sharing.shows(case.plan.array, case.plan.dtype, case.on(source), case.expression)
    expect.that(
        str(case.on(source).device) == case.dtype,
        f"device of {case.expression}",
        case.dtype,
        case.on(source).device,
    )


@cases(lazy.dlpack_lazy)
def test_dlpack_respects_lazy_bits(case: Applied) -> None:
    """DLPack export of a conjugated or negated tensor raises, or hands over the values that the tensor shows."""
    tensor = case.build()
    try:
        found = case.on(tensor)
    except REFUSED:
        return
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)


@cases(lazy.dlpack_backward)
def test_dlpack_refuses_negative_strides(case: Applied) -> None:
    """from_dlpack of an array that steps backwards raises an exception, and does not end the process."""
    array = case.build()
    if not any(step < 0 and extent > 1 for step, extent in zip(array.strides, array.shape, strict=True)):
        raise expect.Discard("an array of one element along its backward axis takes no step")
    children.raises_in_a_child(REFUSED, lambda: case.on(array), case.expression)


@cases(lazy.dlpack_unexportable)
def test_dlpack_refuses_export(case: Applied) -> None:
    """A tensor that requires grad, is conjugated lazily or is not strided is not exported by __dlpack__."""
    tensor = case.build()
    expect.raises(REFUSED, lambda: case.on(tensor), case.expression)


@cases(lambda cell: crossings.applied(cell, "x.__dlpack_device__()", forms=crossings.FEW))
def test_dlpack_device(case: Applied) -> None:
    """__dlpack_device__ gives DLPack's number of the device's type, and its index."""
    tensor = case.build()
    numbers = {"cpu": 1, "cuda": 10 if torch.version.hip else 2, "mps": 8, "xpu": 14}
    kind, index = case.on(tensor)
    if tensor.device.type not in numbers:
        raise expect.Discard("DLPack has no number of this device's type")
    expect.equal((numbers[tensor.device.type], tensor.device.index or 0), (int(kind), int(index)), case.expression)


@cases(lazy.dlpack_versions)
def test_dlpack_version(case: Applied) -> None:
    """__dlpack__ makes a capsule of DLPack 0.8 unless max_version allows a later one."""
    capsule = case.on(case.build())
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    expect.equal(case.dtype, name(capsule).decode(), f"name of {case.expression}")


@cases(lazy.dlpack_streams_cpu)
def test_dlpack_stream_on_cpu(case: Applied) -> None:
    """__dlpack__ on a device without streams takes stream=-1 as it takes None, and shares the memory."""
    tensor = case.build()
    sharing.two_tensors(tensor, case.on(tensor), case.expression)


@cases(lazy.dlpack_streams)
def test_dlpack_stream_waits(case: Applied) -> None:
    """A stream given to __dlpack__ waits for what the current stream is doing to the tensor."""
    tensor = case.build()
    expected = case.plan.array + 1
    consumer = torch.cuda.Stream(tensor.device)
    torch.cuda.synchronize(tensor.device)
    torch.cuda._sleep(50_000_000)
    tensor.add_(1)
    found = torch.from_dlpack(tensor.__dlpack__(stream=consumer.cuda_stream))
    with torch.cuda.stream(consumer):
        seen = found.clone()
    torch.cuda.synchronize(tensor.device)
    sharing.shows(expected, case.plan.dtype, seen, "a copy made on the stream that was given to x.__dlpack__(stream)")


# ---- Python numbers ----


@cases(crossings.seen_tensors, acts.acted)
def test_tolist_nests(case: Any) -> None:
    """tolist gives the tensor's values as Python numbers in nested lists, and a plain number where it has no dimension."""  # noqa: E501
    expect.equal(repr(case.array.tolist()), repr(case.build().tolist()), "x.tolist()")


@cases(lambda cell: scalars.single_elements(cell, "x.item()"))
def test_item_gives_number(case: Applied) -> None:
    """item gives the one element of a tensor of any number of dimensions as a Python number."""
    expect.equal(repr(case.plan.array.item()), repr(case.on(case.build())), "x.item()")


@cases(lambda cell: scalars.single_elements(cell, "x.tolist()"))
def test_tolist_of_single_elements(case: Applied) -> None:
    """tolist of one element gives that number, in as many lists as the tensor has dimensions."""
    expect.equal(repr(case.plan.array.tolist()), repr(case.on(case.build())), "x.tolist()")


@cases(scalars.scalar_conversions)
def test_tensor_becomes_a_python_number(case: Applied) -> None:
    """float, int, bool, complex and an index of a tensor of one element are those of the number that item gives."""
    tensor, number = case.build(), case.plan.array.item()
    expect.equal(repr(case.on(number)), repr(case.on(tensor)), case.expression)


@cases(scalars.wide_scalar_conversions)
def test_uint64_tensor_becomes_a_python_number(case: Applied) -> None:
    """int, float, bool and an index of a uint64 tensor above the numbers of int64 are those of its number."""
    tensor, number = case.build(), case.plan.array.item()
    expect.equal(repr(case.on(number)), repr(case.on(tensor)), case.expression)


@cases(scalars.no_numbers)
def test_several_elements_are_no_python_number(case: Applied) -> None:
    """float, int, bool, complex and an index raise for a tensor with no element, or with more than one."""
    tensor = case.build()
    expect.raises((RuntimeError, ValueError, TypeError), lambda: case.on(tensor), case.expression)


@cases(scalars.no_indices)
def test_fractions_are_no_index(case: Applied) -> None:
    """An index of a floating or complex tensor raises TypeError, even of one that is whole."""
    tensor = case.build()
    expect.raises(TypeError, lambda: case.on(tensor), case.expression)


@cases(scalars.other_than_single)
def test_item_refuses_other_sizes(case: Applied) -> None:
    """item raises for a tensor with no element, or with more than one."""
    tensor = case.build()
    expect.raises((RuntimeError, ValueError), lambda: case.on(tensor), case.expression)


@cases(scalars.gradient_single_elements, acts.acted)
def test_item_is_not_differentiable(case: Any) -> None:
    """item and tolist of a tensor that requires grad give plain numbers, and leave its history as it is."""
    tensor = case.build()
    before, state = tensor.grad_fn, history.graph_state(tensor)
    expect.equal(repr(case.array.item()), repr(tensor.item()), "x.item()")
    expect.equal(repr(case.array.tolist()), repr(tensor.tolist()), "x.tolist()")
    expect.same_object(before, tensor.grad_fn, "grad_fn afterwards")
    expect.equal(state, history.graph_state(tensor), "graph of x afterwards")


# ---- conj, resolve, real, imag ----


@cases(crossings.complexes, acts.acted)
def test_conj_is_a_view(case: Any) -> None:
    """conj of a complex tensor is a view of it with the conjugate bit flipped."""
    tensor = case.build()
    for found, what in ((tensor.conj(), "x.conj()"), (torch.conj(tensor), "torch.conj(x)")):
        expect.equal(not tensor.is_conj(), found.is_conj(), f"is_conj of {what}")
        sharing.shows(case.array.conj(), case.dtype, found, what)
        sharing.same_grid(tensor, found, what)


@cases(crossings.complexes, acts.acted)
def test_conj_writes_through(case: Any) -> None:
    """What is written to a complex tensor's conj is found conjugated in the tensor, and the other way round."""
    tensor = case.build()
    with torch.no_grad():
        found = tensor.conj()
        for index in sharing.some_indices(case.shape):
            found[index] = 2 - 3j
            written = complex(sharing.element(tensor, index).item())
            expect.equal(2 + 3j, written, f"x{list(index)} after x.conj(){list(index)} = 2-3j")
            tensor[index] = 1 + 4j
            written = complex(sharing.element(found, index).item())
            expect.equal(1 - 4j, written, f"x.conj(){list(index)} after x{list(index)} = 1+4j")


@cases(crossings.reals, acts.acted)
def test_conj_of_real_is_input(case: Strided) -> None:
    """conj of a tensor that is not complex returns that tensor."""
    tensor = case.build()
    expect.same_object(tensor, tensor.conj(), "x.conj()")
    expect.same_object(tensor, torch.conj(tensor), "torch.conj(x)")


@cases(lazy.unconjugated, acts.acted)
def test_resolve_conj_returns_input(case: Any) -> None:
    """resolve_conj returns a tensor whose conjugate bit is not set."""
    tensor = case.build()
    expect.same_object(tensor, tensor.resolve_conj(), "x.resolve_conj()")
    expect.same_object(tensor, torch.resolve_conj(tensor), "torch.resolve_conj(x)")


@cases(lazy.conjugated, acts.acted)
def test_resolve_conj_materializes(case: Any) -> None:
    """resolve_conj of a conjugated tensor is a new tensor with the conjugated values and the bit not set."""
    tensor = case.build()
    for found, what in (
        (tensor.resolve_conj(), "x.resolve_conj()"),
        (torch.resolve_conj(tensor), "torch.resolve_conj(x)"),
    ):
        expect.equal(False, found.is_conj(), f"is_conj of {what}")
        sharing.shows(case.array, case.dtype, found, what)
        sharing.apart(tensor, found, what)


@cases(lazy.unnegated, acts.acted)
def test_resolve_neg_returns_input(case: Any) -> None:
    """resolve_neg returns a tensor whose negative bit is not set."""
    tensor = case.build()
    expect.same_object(tensor, tensor.resolve_neg(), "x.resolve_neg()")
    expect.same_object(tensor, torch.resolve_neg(tensor), "torch.resolve_neg(x)")


@cases(foreign.negated, acts.acted)
def test_resolve_neg_materializes(case: Any) -> None:
    """resolve_neg of a lazily negated tensor is a new tensor with the negated values and the bit not set."""
    tensor = case.build()
    for found, what in (
        (tensor.resolve_neg(), "x.resolve_neg()"),
        (torch.resolve_neg(tensor), "torch.resolve_neg(x)"),
    ):
        expect.equal(False, found.is_neg(), f"is_neg of {what}")
        sharing.shows(case.array, case.dtype, found, what)
        sharing.apart(tensor, found, what)


@cases(lambda cell: lazy.parts(cell, "x.real", "torch.real(x)", "x.imag", "torch.imag(x)"))
def test_real_and_imag_share(case: Applied) -> None:
    """real and imag of a complex tensor are its parts in its own storage: a write to them is seen there."""
    tensor = case.build()
    found = case.on(tensor)
    part = "imag" if "imag" in case.expression else "real"
    sharing.shows(getattr(case.plan.array, part), case.dtype, found, case.expression)
    for index in sharing.some_indices(case.plan.shape):
        other = 0.0 if float(getattr(sharing.element(tensor, index), part)) == 6.0 else 6.0
        found[index] = other
        expect.equal(
            other,
            float(getattr(sharing.element(tensor, index), part)),
            f"x.{part} after a write to {case.expression}",
        )


@cases(crossings.reals, acts.acted)
def test_real_of_real_is_input(case: Strided) -> None:
    """real of a tensor that is not complex returns that tensor."""
    tensor = case.build()
    expect.same_object(tensor, tensor.real, "x.real")


@cases(crossings.reals, acts.acted)
def test_imag_of_real_raises(case: Strided) -> None:
    """imag of a tensor that is not complex raises."""
    tensor = case.build()
    expect.raises(REFUSED, lambda: tensor.imag, "x.imag")
    expect.raises(REFUSED, lambda: torch.imag(tensor), "torch.imag(x)")


@cases(lazy.unlazy_complexes, acts.acted)
def test_view_as_real_shares(case: Strided) -> None:
    """view_as_real is a view of a complex tensor with a last dimension of the real and the imaginary part."""
    tensor = case.build()
    found = torch.view_as_real(tensor)
    sharing.shows(
        np.stack([case.array.real, case.array.imag], axis=-1),
        PART_TYPES[case.dtype],
        found,
        "torch.view_as_real(x)",
    )
    for index in sharing.some_indices(case.shape):
        found[(*index, 0)], found[(*index, 1)] = 5.0, -6.0
        expect.equal(
            5 - 6j,
            complex(sharing.element(tensor, index).item()),
            f"x{list(index)} after writes to its parts",
        )


@cases(crossings.reals, acts.acted)
def test_view_as_real_refuses_real(case: Strided) -> None:
    """view_as_real raises for a tensor that is not complex."""
    tensor = case.build()
    expect.raises(REFUSED, lambda: torch.view_as_real(tensor), "torch.view_as_real(x)")


@cases(lazy.conjugated, acts.acted)
def test_view_as_real_refuses_conjugated(case: Any) -> None:
    """view_as_real raises for a tensor that is conjugated lazily, of which there is no real view."""
    tensor = case.build()
    expect.raises(REFUSED, lambda: torch.view_as_real(tensor), "torch.view_as_real(x)")


@cases(lazy.complex_parts)
def test_view_as_complex_shares(case: Applied) -> None:
    """view_as_complex is a complex view of a real tensor whose last dimension holds the two parts."""
    tensor = case.build()
    found = case.on(tensor)
    wanted = {"float32": "complex64", "float64": "complex128"}[case.plan.dtype]
    parts = case.plan.array
    sharing.shows(parts[..., 0] + 1j * parts[..., 1], wanted, found, case.expression)
    for index in sharing.some_indices(case.plan.shape[:-1]):
        found[index] = 5 - 6j
        written = [float(sharing.element(tensor, (*index, part))) for part in (0, 1)]
        expect.equal([5.0, -6.0], written, f"x{list(index)} after a write to {case.expression}")


@cases(lazy.no_complex_parts)
def test_view_as_complex_refuses(case: Applied) -> None:
    """view_as_complex raises where the last dimension is no pair of stride 1, another stride is odd, or the type is no float."""  # noqa: E501
    tensor = case.build()
    expect.raises(REFUSED, lambda: case.on(tensor), case.expression)


# ---- detach, to, clone ----


@cases(eight_bits.eight_bit_readings)
def test_float8_stands_for_its_numbers(case: EightBits) -> None:
    """Each bit pattern of float8_e4m3fn and float8_e5m2 is read as the number that its sign, exponent and mantissa make."""  # noqa: E501
    memory.same_elements(case.numbers(), np.array(case.evaluate()), case.expression)


@cases(eight_bits.eight_bit_takings)
def test_float8_takes_the_nearest_number(case: EightBits) -> None:
    """A number that is converted to float8_e4m3fn or float8_e5m2, and lies within, becomes the nearest one, the even of two."""  # noqa: E501
    memory.same_elements(case.nearest(), memory.contents(case.evaluate().view(torch.uint8)), case.expression)


@cases(eight_bits.eight_bit_moves)
def test_float8_moves_keep_the_bits(case: EightBits) -> None:
    """Copies, views and re-laid tensors of float8_e4m3fn and float8_e5m2 have the bits of the tensor that they are made of."""  # noqa: E501
    memory.same_elements(case.bits.array, memory.contents(case.evaluate().view(torch.uint8)), case.expression)


@cases(crossings.seen_tensors, acts.acted)
def test_detach_shares(case: Any) -> None:
    """detach gives a tensor of the same storage that never requires grad."""
    tensor = case.build()
    found = tensor.detach()
    expect.equal(False, found.requires_grad, "requires_grad of x.detach()")
    sharing.two_tensors(tensor, found, "x.detach()")


@cases(casts.to_same)
def test_to_returns_self(case: Applied) -> None:
    """to returns the very tensor that it was called on where element type and device match."""
    tensor = case.build()
    expect.same_object(tensor, case.on(tensor), case.expression)


@cases(casts.to_copied)
def test_to_copy_true(case: Applied) -> None:
    """to(copy=True) makes a new tensor even where element type and device match."""
    tensor = case.build()
    found = case.on(tensor)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(casts.to_conversions)
def test_to_converts(case: Applied) -> None:
    """to with another element type gives a copy of the tensor in that type."""
    tensor = case.build()
    found = case.on(tensor)
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(casts.truncations)
def test_to_truncates(case: Applied) -> None:
    """to with an integer type cuts the fraction off floating-point values."""
    found = case.on(case.build())
    sharing.shows(np.trunc(case.plan.array), case.dtype, found, case.expression)


@cases(lambda cell: casts.histories(cell, "x.to({0})", "x.to(x.device, {0})"))
def test_to_keeps_history(case: Applied) -> None:
    """to with another differentiable type lets gradients flow back to the tensor."""
    tensor = case.build()
    history.flows_back(tensor, case.on(tensor), case.expression)


@cases(casts.to_integral)
def test_to_integer_drops_grad(case: Applied) -> None:
    """to with an integer or bool type gives a tensor that does not require grad, and keeps the input's requirement."""
    tensor = case.build()
    found = case.on(tensor)
    expect.equal("requires_grad=False, a leaf, no history", history.graph_state(found), f"graph of {case.expression}")
    expect.equal(True, tensor.requires_grad, "requires_grad of x afterwards")


@cases(casts.to_formats)
def test_to_preserves_format(case: Applied) -> None:
    """to keeps the strides of a dense tensor and makes any other one dense."""
    layout.preserved(case.plan, case.on(case.build()), case.expression)


@cases(formats.formatted_conversions)
def test_to_takes_a_memory_format(case: Applied) -> None:
    """to and its shorthands with a memory format lay the result out in it, with the values that they convert to."""
    found = case.on(case.build())
    layout.in_format(case.dtype, found, case.expression)
    names = {"complex128": "complex128", "complex64": "complex64", "cfloat": "complex64", "copy=True": case.plan.dtype}
    dtype = next(dtype for name, dtype in names.items() if name in case.expression)
    sharing.shows(converted(case.plan.array, dtype), dtype, found, case.expression)


@cases(formats.reordered)
def test_to_changes_the_format_alone(case: Applied) -> None:
    """to with nothing to convert but a memory format with the channels innermost lays the result out in it."""
    found = case.on(case.build())
    layout.in_format(case.dtype, found, case.expression)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)


@cases(formats.unpermuted)
def test_to_makes_contiguous(case: Applied) -> None:
    """to with nothing to convert but the format torch.contiguous_format gives a contiguous tensor."""
    found = case.on(case.build())
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    layout.in_format(case.dtype, found, case.expression)


@cases(casts.named_types)
def test_type_tells_the_type(case: Applied) -> None:
    """type without an argument gives the name of the tensor's type, such as torch.FloatTensor."""
    expect.equal(case.dtype, case.on(case.build()), case.expression)


@cases(casts.shorthands_same)
def test_shorthands_return_self(case: Applied) -> None:
    """cpu, type, type_as and the shorthands float, int, … return a tensor that is already right."""
    tensor = case.build()
    expect.same_object(tensor, case.on(tensor), case.expression)


@cases(casts.shorthands)
def test_shorthands_convert(case: Applied) -> None:
    """The shorthands float, int, …, type and type_as convert as to does."""
    tensor = case.build()
    found = case.on(tensor)
    sharing.shows(converted(case.plan.array, case.dtype), case.dtype, found, case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(casts.cloned)
def test_clone_copies(case: Applied) -> None:
    """clone is a copy: the same values in memory of its own."""
    tensor = case.build()
    found = case.on(tensor)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(casts.cloned_graphs)
def test_clone_is_differentiable(case: Applied) -> None:
    """clone lets gradients flow back to its input."""
    tensor = case.build()
    history.flows_back(tensor, case.on(tensor), case.expression)


@cases(lambda cell: casts.ordered(cell, "x.clone()", "torch.clone(x)", "x.clone(memory_format=torch.preserve_format)"))
def test_clone_preserves_format(case: Applied) -> None:
    """clone keeps the strides of a dense tensor and makes any other one dense."""
    layout.preserved(case.plan, case.on(case.build()), case.expression)


@cases(casts.gapped)
def test_clone_of_gaps_is_contiguous(case: Applied) -> None:
    """clone of a tensor with gaps or repeated places is contiguous."""
    layout.row_major_steps(case.on(case.build()), case.expression)


@cases(lambda cell: crossings.applied(cell, "x.clone(memory_format=torch.contiguous_format)"))
def test_clone_contiguous_format(case: Applied) -> None:
    """clone(memory_format=torch.contiguous_format) is contiguous, with the same values."""
    found = case.on(case.build())
    layout.row_major_steps(found, case.expression)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)


@cases(formats.formatted_clones)
def test_clone_takes_a_memory_format(case: Applied) -> None:
    """clone with a memory format is a copy that is laid out in it."""
    tensor = case.build()
    found = case.on(tensor)
    layout.in_format(case.dtype, found, case.expression)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)
    sharing.apart(tensor, found, case.expression)


@cases(casts.compact)
def test_contiguous_returns_self(case: Applied) -> None:
    """contiguous returns the very tensor that it was called on where it lies in the format asked for."""
    tensor = case.build()
    expect.same_object(tensor, case.on(tensor), case.expression)


@cases(casts.scattered)
def test_contiguous_lays_in_order(case: Applied) -> None:
    """contiguous of a tensor that is not contiguous gives a contiguous one with the same values."""
    found = case.on(case.build())
    layout.row_major_steps(found, case.expression)
    sharing.shows(case.plan.array, case.plan.dtype, found, case.expression)


@cases(casts.reinterpreted)
def test_view_as_another_type_shares(case: Applied) -> None:
    """view as another element type shows the tensor's own bytes, as many elements of a row as they make."""
    tensor = case.build()
    found = case.on(tensor)
    wanted = decode(encode(case.plan.array, case.plan.dtype), case.dtype)
    shape = (*case.plan.shape[:-1], -1) if case.plan.shape and wanted.size else case.plan.shape
    sharing.shows(wanted.reshape(shape), case.dtype, found, case.expression)
    if found.numel():
        expect.that(tensor.data_ptr() == found.data_ptr(), f"address of {case.expression}", "that of x", "another")


@cases(casts.unfit_for_reinterpretation)
def test_view_as_another_type_refuses(case: Applied) -> None:
    """view as a type of another size raises for no dimension, a last stride but 1, and what the sizes do not divide."""
    tensor = case.build()
    expect.raises(RuntimeError, lambda: case.on(tensor), case.expression)


# ---- files and shared memory ----


@cases(memories.file_contents, acts.acted)
def test_from_file_maps(case: Strided) -> None:
    """from_file gives the elements of the file as a 1-D CPU tensor of the type asked for."""
    for shared, more in ((True, b""), (False, b"more")):
        with files.holding(case.storage + more) as path:
            found = torch.from_file(path, shared=shared, size=case.shape[0], dtype=getattr(torch, case.dtype))
            sharing.shows(case.array, case.dtype, found, f"torch.from_file(…, shared={shared})")
            del found


@cases(memories.file_contents, acts.acted)
def test_from_file_shared_writes(case: Strided) -> None:
    """What is written to a tensor from from_file(shared=True) is in the file."""
    with files.holding(case.storage) as path:
        found = torch.from_file(path, shared=True, size=case.shape[0], dtype=getattr(torch, case.dtype))
        for index in sharing.some_indices(case.shape):
            found[index] = sharing.another(case.dtype, sharing.element_bytes(found, index))[0]
        expected = memory.storage_bytes(found)
        memory.same_bytes(expected, files.read(path), "the file after a write to the shared tensor")
        expect.that(expected != case.storage, "the tensor after a write", "other bytes than the file had", "the same")
        del found


@cases(memories.file_contents, acts.acted)
def test_from_file_private_writes(case: Strided) -> None:
    """What is written to a tensor from from_file(shared=False) is not in the file."""
    with files.holding(case.storage) as path:
        found = torch.from_file(path, shared=False, size=case.shape[0], dtype=getattr(torch, case.dtype))
        for index in sharing.some_indices(case.shape):
            found[index] = sharing.another(case.dtype, sharing.element_bytes(found, index))[0]
        del found
        memory.same_bytes(case.storage, files.read(path), "the file after a write to the private tensor")


@cases(memories.short_files, acts.acted)
def test_from_file_refuses_short_files(case: Strided) -> None:
    """from_file(shared=False) raises for a file that is shorter than the elements asked for."""
    options: dict[str, Any] = {"size": case.shape[0] + 1, "dtype": getattr(torch, case.dtype)}
    with files.holding(case.storage) as path:
        expect.raises(RuntimeError, lambda: torch.from_file(path, shared=False, **options), "torch.from_file(…)")


@cases(memories.file_contents, acts.acted)
def test_from_file_creates(case: Strided) -> None:
    """from_file(shared=True) creates a file that is not there, large enough for the elements."""
    with files.holding(None) as path:
        found = torch.from_file(path, shared=True, size=case.shape[0], dtype=getattr(torch, case.dtype))
        for index in sharing.some_indices(case.shape):
            found[index] = sharing.another(case.dtype, sharing.element_bytes(found, index))[0]
        memory.same_bytes(memory.storage_bytes(found), files.read(path), "the file that was made")
        del found


@cases(memories.default_types)
def test_from_file_default_type(case: Applied) -> None:
    """from_file without a dtype gives elements of the default floating type."""
    with inference.default_dtype(case.dtype), files.holding(bytes(64)) as path:
        found = torch.from_file(path, shared=False, size=4)
        expect.equal(f"torch.{case.dtype}", str(found.dtype), f"type of torch.from_file(…) under default {case.dtype}")
        del found


@cases(memories.shareable_leaves, acts.acted)
def test_share_memory_moves(case: Strided | Seen) -> None:
    """share_memory_ puts the storage into shared memory, its tensors' values and strides unchanged, and returns self."""  # noqa: E501
    tensor = case.build()
    alias = tensor.detach()
    found = tensor.share_memory_()
    expect.same_object(tensor, found, "x.share_memory_()")
    for what, shown in (("x", found), ("an alias of x from before", alias)):
        expect.equal(True, shown.is_shared(), f"is_shared() of {what} after share_memory_")
        sharing.shows(case.array, case.dtype, shown, f"{what} after share_memory_")
    layout.same_steps(case.strides, found, "x.share_memory_()")


@cases(memories.shareable, acts.acted)
def test_share_memory_again_does_nothing(case: Strided) -> None:
    """share_memory_ of a tensor that is in shared memory, or on CUDA, leaves the storage where it is."""
    tensor = case.build()
    if case.device == "cpu":
        tensor.share_memory_()
    before = memory.storage_address(tensor)
    expect.same_object(tensor, tensor.share_memory_(), "x.share_memory_()")
    expect.equal(before, memory.storage_address(tensor), "address of the storage after x.share_memory_()")
    sharing.shows(case.array, case.dtype, tensor, "x.share_memory_()")


@cases(memories.unshared, acts.acted)
def test_is_shared_tells(case: Any) -> None:
    """is_shared is False for a tensor in ordinary CPU memory, and True for one on CUDA."""
    tensor = case.build()
    expect.equal(tensor.device.type == "cuda", tensor.is_shared(), "x.is_shared()")


@cases(memories.shared_resizes)
def test_shared_memory_is_not_resizable(case: Applied) -> None:
    """A tensor in shared memory raises where it is to grow, and does not end the process."""
    tensor = case.build()
    children.raises_in_a_child(REFUSED, lambda: case.on(tensor), case.expression)
