"""Arrays and what becomes of them: the inputs of from_numpy, Tensor.numpy and NumPy's own protocols.

References: https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html and
https://docs.pytorch.org/docs/stable/generated/torch.Tensor.numpy.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs import ndarrays
from conformance.inputs.bridges import Applied, Buffer, Data, Scalar, Seen
from conformance.inputs.casts import convertible, convertible_data
from conformance.inputs.covering import covering
from conformance.inputs.crossings import (
    ALL,
    ARRAY_FORMS,
    DIFFERENTIABLE,
    FEW,
    HISTORY,
    LAZY,
    LEAF,
    REPEATED,
    TENSOR_FORMS,
    TWINS,
    VALUES,
    Form,
    applied,
    applied_arrays,
    crossed_once,
    listed,
    make_applied_array,
    make_array,
    make_seen,
    make_tensor,
    merged,
    twins,
)  # fmt: skip
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.ndarrays import LISTED
from conformance.inputs.tensors import strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# ---- from_numpy ----

SPELLINGS = (
    "?", "b", "B", "h", "i", "l", "q", "e", "f", "d", "F", "D", "intc", "intp", "short", "longlong", "int8", "uint8",
    "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128", "bool",
)  # fmt: skip
STRANGERS = (
    "object",
    "datetime64[s]",
    "timedelta64[ns]",
    "longdouble",
    "clongdouble",
    "S3",
    "U1",
    "U3",
    "V2",
    "V4",
    "i4,",
    "i4,f4",
)


def spelled_arrays(cell: Cell) -> Inputs:
    """Arrays of the listed element types under every name that NumPy has for them."""
    return listed(*(ndarrays.array(name, shape, data=(1,)) for name in SPELLINGS for shape in ((2, 3), (0,), ())))


def stranger_arrays(cell: Cell) -> Inputs:
    """Arrays of types that torch has no counterpart of."""
    # a long double may be a double, and NumPy before 2 reads a record of one field as that field
    names = [name for name in STRANGERS if name != "longdouble" or np.dtype(name).itemsize != 8]
    names = [name for name in names if name != "i4," or np.dtype(name).fields]
    return listed(*(ndarrays.array(name, shape) for name in names for shape in ((2, 3), (0,), ())))


def unsigned_arrays(cell: Cell) -> Inputs:
    """Arrays of the unsigned types that the page does not list, under all their names."""
    names = ("uint16", "uint32", "uint64", "H", "I", "L", "Q")
    return crossed_once(make_array, "cpu", names[:3], ARRAY_FORMS, VALUES).__class__(
        [ndarrays.array(name, *form, (1, 2, 3)) for name in names for form in ARRAY_FORMS]
    )


SEALED_FORMS: tuple[Form, ...] = (
    ((2, 3), "readonly"), ((), "readonly"), ((0,), "readonly"), ((17,), "readonly"), ((2, 3), "readonly broadcast"),
    ((2, 3), "readonly fortran"), ((17,), "readonly stepped"), ((3, 1), "readonly offset"),
)  # fmt: skip


def readonly_arrays(cell: Cell) -> Inputs:
    """Arrays that must not be written."""
    return listed(*(ndarrays.array(name, *form, (1, 0, 1)) for name in LISTED for form in SEALED_FORMS))


def readonly_shares(cell: Cell) -> Inputs:
    """as_tensor and asarray of arrays that must not be written; those without a dimension have their own behaviour."""
    calls = ("torch.as_tensor(x)", "torch.asarray(x)", "torch.asarray(x, copy=False)")
    plans = [ndarrays.array(name, *form, (1, 0, 1)) for name in LISTED for form in SEALED_FORMS if form[0]]
    return listed(*(Applied(plan, call) for plan in plans for call in calls))


def backward_arrays(cell: Cell) -> Inputs:
    """Arrays that step backwards along one axis."""
    forms = [(s, layout) for s in ((2, 3), (1,), (5,), (1, 3, 1), (3, 2, 2)) for layout in ("reversed", "flipped")]
    return crossed_once(make_array, "cpu", LISTED, (*forms, ((2, 3, 2), "turned")), VALUES)


def packed_arrays(cell: Cell) -> Inputs:
    """Fields of records whose length is no multiple of the field's."""
    wide = tuple(name for name in LISTED if ELEMENT_TYPES[name].itemsize > 1)
    return crossed_once(make_array, "cpu", wide, (((2, 3), "packed"), ((17,), "packed"), ((2,), "packed")), VALUES)


def swapped_arrays(cell: Cell) -> Inputs:
    """Arrays in the byte order that is not the machine's."""
    wide = tuple(name for name in LISTED if ELEMENT_TYPES[name].itemsize > 1)
    forms = tuple((shape, "swapped") for shape in ((2, 3), (17,), (), (0,)))
    return crossed_once(make_array, "cpu", wide, forms, VALUES)


def unaligned_arrays(cell: Cell) -> Inputs:
    """Arrays whose elements lie at odd addresses."""
    wide = tuple(name for name in LISTED if ELEMENT_TYPES[name].itemsize > 1)
    return listed(*(ndarrays.array(name, shape, "unaligned", (1, 2)) for name in wide for shape in ((2, 3), (5,), ())))


def no_arrays(cell: Cell) -> Inputs:
    """What looks like an array and is none."""
    return listed(
        Data([1, 2]), Data(3), Data(2.5), Scalar("float32", 1.5), Scalar("int64", 3), Buffer("bytearray", b"1234"),
        strided("float32", (2, 3)),
    )  # fmt: skip


# ---- Tensor.numpy ----


def unconvertible(cell: Cell) -> Inputs:
    """Tensors that the page excludes from a plain ``numpy()``."""
    device = cell.target.device
    cases: list[Any] = [
        make_seen(device, steps, dtype, form)
        for dtype in DIFFERENTIABLE
        for form in FEW
        for steps in (LEAF, HISTORY)
        if dtype in TWINS
    ]
    cases += [make_seen(device, ("conj()",), dtype, form) for dtype in family("complex") for form in FEW]
    cases += [make_tensor(device, dtype, form) for dtype in ALL if dtype not in TWINS for form in FEW]
    plain = [make_tensor(device, dtype, ((2, 3), "contiguous")) for dtype in ("float32", "float64")]
    steps = ("to_sparse()", "to_sparse_csr()", "to_sparse_csc()", "to('meta')", "Parameter")
    cases += [Seen(plan, (step,)) for plan in plain for step in steps]
    cases += [Seen(make_tensor(device, "float32", ((0,), "contiguous")), ("to('meta')",))]
    if torch.backends.mkldnn.is_available() and device == "cpu":
        cases += [Seen(plain[0], ("to_mkldnn()",))]
    if hasattr(torch, "float8_e4m3fn"):
        cases += [Seen(plain[0], ("to(torch.float8_e4m3fn)",))]
    if device != "cpu":
        cases += [make_tensor(device, dtype, form) for dtype in TWINS for form in FEW]
    return listed(*cases)


def requiring(cell: Cell) -> Inputs:
    """Leaves that require grad, and tensors with a history, of types that NumPy has too."""
    types = tuple(dtype for dtype in DIFFERENTIABLE if dtype in TWINS)
    return crossed_once(make_seen, cell.target.device, (LEAF, HISTORY), types, FEW, ("ordinary",))


def negated(cell: Cell) -> Inputs:
    """Tensors with the negative bit set: imaginary parts of conjugated tensors."""
    return crossed_once(make_seen, cell.target.device, (("conj()", "imag"),), family("complex"), TENSOR_FORMS, VALUES)


def forced(cell: Cell) -> Inputs:
    """Tensors of every kind that ``numpy(force=True)`` is for."""
    device = cell.target.device
    return merged(
        _plain_or_recorded(device),
        crossed_once(make_seen, device, LAZY, family("complex"), TENSOR_FORMS, VALUES),
    )


def _plain_or_recorded(device: str) -> Inputs:
    """Tensors of every type that NumPy has too; leaves that require grad and results with a history among them."""
    recorded = tuple(d for d in DIFFERENTIABLE if d in TWINS)
    return merged(
        crossed_once(make_seen, device, ((),), TWINS, TENSOR_FORMS + REPEATED, VALUES),
        crossed_once(make_seen, device, (LEAF, HISTORY), recorded, TENSOR_FORMS, VALUES),
    )


def forced_plain(cell: Cell) -> Inputs:
    """Tensors that ``numpy(force=True)`` has nothing to copy of."""
    device = cell.target.device
    return merged(
        _plain_or_recorded(device),
        crossed_once(make_seen, device, (("real",), ("imag",), ("conj()", "conj()")), family("complex"), FEW, VALUES),
    )


def forced_copies(cell: Cell) -> Inputs:
    """Tensors that ``numpy(force=True)`` must materialize, or bring over from another device."""
    lazy = crossed_once(
        make_seen,
        cell.target.device,
        (("conj()",), ("conj()", "imag")),
        family("complex"),
        TENSOR_FORMS,
        VALUES,
    )
    return lazy if cell.target.device == "cpu" else merged(lazy, twins(cell))


def subclassed(cell: Cell) -> Inputs:
    """Arrays seen as masked arrays, record arrays, matrices, maps of files and a class of the user's own."""
    calls = (
        "torch.from_numpy(x.view(type('Own', (np.ndarray,), {})))", "torch.from_numpy(x.view(np.ma.MaskedArray))",
    )  # fmt: skip
    more = ("torch.from_numpy(x.view(np.recarray))", "torch.from_numpy(x.view(np.memmap))")
    flat: tuple[Form, ...] = (((2, 3), "fortran"), ((2, 3), "stepped"), ((0, 3), "offset"), ((3, 1), "contiguous"))
    return merged(
        applied_arrays(cell, *calls),
        applied_arrays(cell, "torch.from_numpy(np.ma.array(x, mask=True, copy=False))", forms=flat),
        applied_arrays(cell, *more, forms=(((), "offset"), ((2, 3), "fortran"), ((17,), "stepped"))),
        applied_arrays(cell, "torch.from_numpy(x.view(np.matrix))", forms=flat),  # a matrix has two dimensions
    )


OWNING = (
    "torch.from_numpy(x)", "torch.as_tensor(x)", "torch.asarray(x)", "torch.from_dlpack(x)",
    "torch.from_numpy(x).view(x.shape)", "torch.from_numpy(x).numpy()", "np.asarray(torch.from_numpy(x))",
    "torch.from_dlpack(torch.from_numpy(x))", "torch.from_numpy(x).detach()",
)  # fmt: skip


def owners(cell: Cell) -> Inputs:
    """Everything that shares an array's memory, over arrays of every listed type."""
    forms = (((2, 3), "contiguous"), ((17,), "stepped"), ((1,), "offset"), ((2, 3), "fortran"))
    found = crossed_once(make_applied_array, "cpu", OWNING, LISTED, forms, ("ordinary",))
    vectors = [make_applied_array("cpu", call, dtype, forms[1]) for call in OWNING[3::4] for dtype in LISTED]
    return Inputs([*found.corners, *vectors], found.samples)


# ---- NumPy's protocols ----


def array_conversions(cell: Cell) -> Inputs:
    """np.asarray of tensors with another NumPy type, in every form."""
    types_ = (
        "float64", "complex128", "bool_", "float32", "int64", "float16", "int8", "uint8", "int16", "uint64",
        "complex64",
    )  # fmt: skip
    pairs = [(a, b) for a in TWINS for b in types_ if a != b.rstrip("_") and _converts(a, b.rstrip("_"))]
    calls = ("np.asarray(x, dtype=np.{0})", "x.__array__(np.{0})", "np.asarray(x, dtype=np.dtype(np.{0}).name)")
    cases = []
    for (source, target), form, call in covering(pairs, (*FEW, TENSOR_FORMS[0], TENSOR_FORMS[-1]), calls):
        data = convertible_data(source, target.rstrip("_")) if convertible(source, target.rstrip("_")) else (1, 0, 1j)
        cases.append(Applied(strided(source, form[0], form[1], data), call.format(target), target.rstrip("_")))
    return listed(*cases)


def _converts(source: str, target: str) -> bool:
    """Whether the conversion is defined; of a complex number, whether it is zero."""
    return convertible(source, target) is not None or target == "bool"


def array_copies(cell: Cell) -> Inputs:
    """np.array of tensors, which copies."""
    return applied(cell, "np.array(x)", "np.array(x, copy=True)", dtypes=TWINS, forms=FEW)


def unconvertible_by_protocol(cell: Cell) -> Inputs:
    """The same tensors that ``numpy()`` refuses, given to NumPy."""
    calls = ("np.asarray(x)", "np.asarray(x, dtype=np.float64)", "x.__array__(np.dtype('float32'))")
    return listed(*(Applied(plan, calls[turn % 3]) for turn, plan in enumerate(unconvertible(cell).corners)))


def ufuncs(cell: Cell) -> Inputs:
    """NumPy functions of one tensor whose result torch has a type for."""
    calls = ("np.negative(x)", "np.square(x)", "np.abs(x)", "np.add(x, x)", "np.isnan(x)", "np.less(x, 2)")
    dtypes = family("floating", "integral")
    return crossed_once(
        _ufunc, "cpu", calls, tuple(d for d in dtypes if d in TWINS), TENSOR_FORMS, ("ordinary", "zeros")
    )


def _ufunc(device: str, call: str, dtype: str, form: Any, kind: str) -> Applied:
    return Applied(make_tensor(device, dtype, form, kind), call)


def np_from_dlpack(cell: Cell) -> Inputs:
    """np.from_dlpack of tensors of every type that NumPy has too."""
    return applied(cell, "np.from_dlpack(x)", dtypes=TWINS)
