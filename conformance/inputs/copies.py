"""Copies: the inputs of as_tensor, torch.tensor, new_tensor and asarray.

References: https://docs.pytorch.org/docs/stable/generated/torch.asarray.html and
https://docs.pytorch.org/docs/stable/generated/torch.tensor.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import Applied, Buffer, Data, Scalar
from conformance.inputs.casts import array_conversions_to, conversions, convertible
from conformance.inputs.covering import enumerated
from conformance.inputs.crossings import (
    ALL,
    ARRAY_FORMS,
    COMPLEX,
    DIFFERENTIABLE,
    FEW,
    HISTORY,
    LAZY,
    LEAF,
    PARAMETER,
    TENSOR_FORMS,
    Form,
    applied,
    applied_arrays,
    applied_seen,
    crossed_once,
    listed,
    make_applied_array,
    make_array,
    make_seen,
    make_tensor,
    merged,
    states_of,
)  # fmt: skip
from conformance.inputs.ndarrays import LISTED, array

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# ---- as_tensor ----


def as_tensor_same(cell: Cell) -> Inputs:
    """as_tensor with nothing to change, in every spelling; leaves and tensors with a history too."""
    calls = (
        "torch.as_tensor(x)", "torch.as_tensor(x, dtype=x.dtype)", "torch.as_tensor(x, device=x.device)",
        "torch.as_tensor(data=x, dtype=x.dtype, device=x.device)",
    )  # fmt: skip
    states = applied_seen(cell, (LEAF, HISTORY, PARAMETER), *calls)
    return merged(applied(cell, *calls), states, applied_seen(cell, LAZY, *calls, dtypes=COMPLEX))


def as_tensor_arrays(cell: Cell) -> Inputs:
    """as_tensor of arrays with nothing to change."""
    return applied_arrays(
        cell, "torch.as_tensor(x)", "torch.as_tensor(x, device='cpu')",
        "torch.as_tensor(x, dtype=torch.from_numpy(x).dtype)",
        "torch.as_tensor(data=x, dtype=torch.from_numpy(x).dtype, device='cpu')",
    )  # fmt: skip


# ---- torch.tensor and new_tensor ----


def copied(cell: Cell) -> Inputs:
    """torch.tensor of tensors, arrays, lazily seen tensors and tensors that require grad."""
    call, named = "torch.tensor(x)", "torch.tensor(data=x)"
    by_name = (applied(cell, named, forms=FEW), applied_arrays(cell, named, forms=FEW_ARRAYS))
    sealed = listed(*(Applied(array(d, s, "readonly", (1, 0, 1)), call) for d in LISTED for s in ((2, 3), (), (17,))))
    return merged(sealed, applied(cell, call), applied_arrays(cell, call), *states_of(cell, call), *by_name)


def copied_graphs(cell: Cell) -> Inputs:
    """torch.tensor of tensors of every state of autograd, of arrays and of Python data."""
    calls = ("torch.tensor(x)", "torch.tensor(x, requires_grad=True)", "torch.tensor(x, requires_grad=False)")
    floats = tuple(name for name in LISTED if name in DIFFERENTIABLE)
    data = [Applied(Data(x), call) for x in (1.5, 2j, [1.0, -2.5], ((1.0,), (2.5,)), []) for call in calls]
    arrays_ = applied_arrays(cell, *calls, dtypes=floats, forms=FEW_ARRAYS)
    return merged(applied_seen(cell, (LEAF, HISTORY, ()), *calls), arrays_, listed(*data))


FEW_ARRAYS: tuple[Form, ...] = (((2, 3), "fortran"), ((), "offset"), ((0, 3), "contiguous"), ((17,), "stepped"))


def retyped(cell: Cell) -> Inputs:
    """torch.tensor of tensors and arrays with another element type."""
    call = "torch.tensor(x, dtype={0})"
    tensors_, arrays_ = (list(make(cell, call).corners) for make in (conversions, array_conversions_to))
    return listed(*tensors_[::4], *tensors_[3::4], *arrays_[::2])


def new_tensors(cell: Cell) -> Inputs:
    """new_tensor on tensors of every element type, with data of that type and of others."""
    cases = []
    for turn, (dtype, form) in enumerate((d, f) for d in ALL for f in FEW):
        empty = f"torch.empty(0, dtype=torch.{dtype}, device={cell.target.device!r})"
        source = "bool" if turn % 2 else dtype
        cases.append(Applied(make_tensor(cell.target.device, source, form), f"{empty}.new_tensor(x)", dtype))
        if dtype in LISTED:
            cases.append(
                Applied(
                    make_array("cpu", dtype, form if form[1] != "transposed" else (form[0], "fortran")),
                    f"{empty}.new_tensor(x)",
                    dtype,
                )
            )
        cases.append(
            Applied(
                make_tensor(cell.target.device, "uint8", form),
                f"{empty}.new_tensor(x, dtype=torch.int16)",
                "int16",
            )
        )
    return listed(*cases)


def new_tensor_flags(cell: Cell) -> Inputs:
    """new_tensor with and without requires_grad, of tensors with and without a history."""
    calls = ("x.new_tensor(x)", "x.new_tensor(x, requires_grad=True)", "x.new_tensor([1.0, 2.0])")
    return applied_seen(cell, (LEAF, HISTORY, ()), *calls)


def unreadable_arrays(cell: Cell) -> Inputs:
    """Arrays that no tensor lies like: of foreign byte order, with steps backwards, or of a part of an element."""
    calls = ("torch.tensor(x)", "torch.as_tensor(x)", "torch.asarray(x)", "torch.asarray(x, copy=True)")
    forms = (
        ((2, 3), "swapped"), ((17,), "swapped"), ((), "swapped"), ((5,), "reversed"), ((2, 3), "flipped"),
        ((2, 3, 2), "turned"), ((5,), "packed"),
    )  # fmt: skip
    return enumerated(make_applied_array, "cpu", calls, LISTED, forms, ("special",))


# ---- asarray ----

# asarray has dimensionless arrays apart: releases take them for NumPy scalars
WITH_AXES = tuple(form for form in ARRAY_FORMS if form[0])

CAPSULE = "torch.utils.dlpack.to_dlpack(x)"


def asarray_shared(cell: Cell) -> Inputs:
    """asarray of what it can share, with nothing to change."""
    calls = (
        "torch.asarray(x)", "torch.asarray(x, dtype=x.dtype)", "torch.asarray(x, device=x.device)",
        "torch.asarray(obj=x, copy=None)", f"torch.asarray({CAPSULE})", f"torch.asarray({CAPSULE}, dtype=x.dtype)",
    )  # fmt: skip
    return merged(
        applied(cell, *calls),
        *states_of(cell, *calls[:4]),
        applied_arrays(cell, "torch.asarray(x)", "torch.asarray(x, device='cpu')", forms=WITH_AXES),
    )


def asarray_copied(cell: Cell) -> Inputs:
    """asarray(copy=True) of what it could share."""
    calls = (
        "torch.asarray(x, copy=True)", "torch.asarray(x, dtype=x.dtype, copy=True)",
        "torch.asarray(x, device=x.device, copy=True)", f"torch.asarray({CAPSULE}, copy=True)",
    )  # fmt: skip
    arrays_ = applied_arrays(cell, "torch.asarray(x, copy=True)")
    return merged(applied(cell, *calls), *states_of(cell, *calls[:3]), arrays_)


def asarray_uncopied(cell: Cell) -> Inputs:
    """asarray(copy=False) of what it can share."""
    calls = (
        "torch.asarray(x, copy=False)", "torch.asarray(x, dtype=x.dtype, copy=False)",
        "torch.asarray(x, device=x.device, copy=False)", f"torch.asarray({CAPSULE}, copy=False)",
    )  # fmt: skip
    return merged(applied(cell, *calls), applied_arrays(cell, "torch.asarray(x, copy=False)", forms=WITH_AXES))


def asarray_dimensionless(cell: Cell) -> Inputs:
    """asarray of arrays without a dimension."""
    forms: tuple[Form, ...] = (((), "contiguous"), ((), "offset"))
    return applied_arrays(cell, "torch.asarray(x)", "torch.asarray(x, copy=False)", forms=forms)


def asarray_flagging(cell: Cell) -> Inputs:
    """asarray of tensors that is asked for another requires_grad than theirs."""
    plain = applied_seen(cell, ((),), "torch.asarray(x, requires_grad=True)")
    return merged(plain, applied_seen(cell, (LEAF, HISTORY), "torch.asarray(x, requires_grad=False)"))


def asarray_uncopyable(cell: Cell) -> Inputs:
    """asarray(copy=False) of what it cannot share."""
    cases: list[Any] = []
    device = cell.target.device
    for turn, (source, target) in enumerate((a, b) for a in ALL for b in ALL if a != b and convertible(a, b)):
        form = FEW[turn % len(FEW)]
        cases.append(Applied(make_tensor(device, source, form), f"torch.asarray(x, dtype=torch.{target}, copy=False)"))
        if source in LISTED and turn % 3 == 0:
            cases.append(Applied(array(source, form[0]), f"torch.asarray(x, dtype=torch.{target}, copy=False)"))
    cases += [
        Applied(make_tensor(device, dtype, form), "torch.asarray(x, device='meta', copy=False)")
        for dtype in ALL
        for form in FEW
    ]
    cases += [
        Applied(Data(value), "torch.asarray(x, copy=False)") for value in (3, 2.5, True, 1j, [1, 2], [[1.5], [2.5]])
    ]
    cases += [Applied(Scalar(dtype, 1), "torch.asarray(x, copy=False)") for dtype in LISTED]
    cases += [Applied(Buffer("bytearray", bytes(8)), "torch.asarray(x, dtype=torch.int16, device='meta', copy=False)")]
    return listed(*cases)


def asarray_inheriting(cell: Cell) -> Inputs:
    """asarray of tensors that require grad, with nothing said about it, with and without a copy."""
    calls = ("torch.asarray(x)", "torch.asarray(x, copy=True)", "torch.asarray(x, requires_grad=None)")
    return crossed_once(_history, cell.target.device, calls, DIFFERENTIABLE, FEW)


def asarray_keeping(cell: Cell) -> Inputs:
    """asarray(requires_grad=True) of tensors that require grad, with and without a copy."""
    calls = (
        "torch.asarray(x, requires_grad=True)", "torch.asarray(x, copy=True, requires_grad=True)",
        "torch.asarray(x, copy=False, requires_grad=True)",
    )  # fmt: skip
    return crossed_once(_history, cell.target.device, calls, DIFFERENTIABLE, FEW)


def _history(device: str, call: str, dtype: str, form: Form) -> Applied:
    return Applied(make_seen(device, HISTORY, dtype, form), call)


def asarray_detaching(cell: Cell) -> Inputs:
    """asarray(requires_grad=False) of leaves and of tensors with a history."""
    calls = ("torch.asarray(x, requires_grad=False)", "torch.asarray(x, requires_grad=False, copy=False)")
    return applied_seen(cell, (LEAF, HISTORY), *calls, forms=TENSOR_FORMS)


def asarray_requiring(cell: Cell) -> Inputs:
    """asarray(requires_grad=True) of arrays, Python numbers and lists."""
    call = "torch.asarray(x, requires_grad=True)"
    names = tuple(name for name in LISTED if name in DIFFERENTIABLE)
    cases = [Applied(make_array("cpu", name, form), call) for name in names for form in ARRAY_FORMS]
    cases += [Applied(Data(value), call) for value in (1.5, [1.0, 2.0], 1j)]
    return listed(*cases)


def asarray_requiring_scalars(cell: Cell) -> Inputs:
    """asarray(requires_grad=True) of NumPy scalars."""
    names = (name for name in LISTED if name in DIFFERENTIABLE)
    return listed(*(Applied(Scalar(name, 1.5), "torch.asarray(x, requires_grad=True)") for name in names))


def default_device_data(cell: Cell) -> Inputs:
    """Numbers and lists for asarray under another default device."""
    return listed(
        *(Applied(Data(value), "torch.asarray(x)") for value in (3, 2.5, True, 1j, [1, 2], [[1.5], [2.0]], []))
    )


def default_device_sources(cell: Cell) -> Inputs:
    """Whatever has a device of its own, for asarray under another default device."""
    calls = ("torch.asarray(x)", f"torch.asarray({CAPSULE})")
    cases: list[Any] = [
        Applied(make_tensor(cell.target.device, dtype, form), call) for dtype in ALL for form in FEW for call in calls
    ]
    cases += [Applied(make_array("cpu", dtype, form), "torch.asarray(x)") for dtype in LISTED for form in ARRAY_FORMS]
    return listed(*cases, Applied(Buffer("bytearray", bytes(8)), "torch.asarray(x, dtype=torch.int16)"))


def default_device_sharers(cell: Cell) -> Inputs:
    """from_numpy and frombuffer, for another default device."""
    cases = [
        Applied(make_array("cpu", dtype, form), "torch.from_numpy(x)")
        for dtype in LISTED
        for form in (((2, 3), "contiguous"), ((), "contiguous"), ((17,), "contiguous"))
    ]
    cases += [
        Applied(Buffer(kind, bytes(16)), f"torch.frombuffer(x, dtype=torch.{dtype})")
        for dtype in ALL
        for kind in ("bytearray", "array", "ctypes")
    ]
    return listed(*cases)
