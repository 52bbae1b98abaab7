"""Lazy views and DLPack: conjugated and negated tensors, parts of complex ones, and what is handed to other libraries.

References: https://docs.pytorch.org/docs/stable/generated/torch.conj.html and
https://docs.pytorch.org/docs/stable/dlpack.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import PART_TYPES, Applied, Seen
from conformance.inputs.crossings import (
    ABOVE_GRAIN,
    ALL,
    ARRAY_FORMS,
    COMPLEX,
    DIFFERENTIABLE,
    FEW,
    HISTORY,
    LEAF,
    REPEATED,
    TENSOR_FORMS,
    TWINS,
    VALUES,
    Form,
    applied,
    crossed_once,
    listed,
    make_applied_array,
    make_seen,
    make_tensor,
    merged,
    tensors,
)  # fmt: skip
from conformance.inputs.dtypes import family
from conformance.inputs.ndarrays import array
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.values import values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def unconjugated(cell: Cell) -> Inputs:
    """Tensors whose conjugate bit is not set: never set, or set and flipped back; with a history too."""
    steps = (("conj()", "conj()"), ("conj()", "imag"), LEAF, HISTORY)
    return merged(tensors(cell), crossed_once(make_seen, cell.target.device, steps, COMPLEX, TENSOR_FORMS, VALUES))


def conjugated(cell: Cell) -> Inputs:
    """Tensors whose conjugate bit is set."""
    return crossed_once(
        make_seen,
        cell.target.device,
        (("conj()",), ("conj()", "conj()", "conj()")),
        COMPLEX,
        TENSOR_FORMS,
        VALUES,
    )


def unnegated(cell: Cell) -> Inputs:
    """Tensors whose negative bit is not set."""
    steps = (("conj()",), ("imag",), ("conj()", "real"), ("conj()", "conj()", "imag"), LEAF, HISTORY)
    return merged(tensors(cell), crossed_once(make_seen, cell.target.device, steps, COMPLEX, TENSOR_FORMS, VALUES))


def unlazy_complexes(cell: Cell) -> Inputs:
    """Complex tensors as they are."""
    return crossed_once(make_tensor, cell.target.device, COMPLEX, (*TENSOR_FORMS, *REPEATED, ABOVE_GRAIN), VALUES)


def parts(cell: Cell, *expressions: str) -> Inputs:
    """The parts of complex tensors, as they are and seen conjugated."""
    return crossed_once(_part_of, cell.target.device, expressions, COMPLEX, ((), ("conj()",)), TENSOR_FORMS, VALUES)


def _part_of(device: str, expression: str, dtype: str, steps: Any, form: Form, data: str | bytes) -> Applied:
    return Applied(make_seen(device, steps, dtype, form, data), expression, PART_TYPES[dtype])


# ---- view_as_complex ----


def complex_parts(cell: Cell) -> Inputs:
    """Real tensors that can be seen as complex ones: pairs side by side, everything else at even distances."""
    cases = []
    for dtype in ("float32", "float64"):
        data = values(dtype, "ordinary")
        for shape, stride, offset, size in (
            ((2,), None, 0, None), ((3, 2), None, 0, None), ((0, 2), None, 0, None), ((2, 0, 2), None, 0, None),
            ((2, 3, 2), None, 0, None), ((3, 2), (4, 1), 2, 14), ((2, 3, 2), (2, 4, 1), 0, 12), ((3, 2), (0, 1), 2, 6),
            ((17, 2), (6, 1), 4, 120), ((1, 3, 2), (2, 8, 1), 0, 24), ((65, 2), None, 0, None), ((2,), (1,), 6, 9),
            ((2, 3, 4, 2), None, 0, None), ((4100, 2), None, 0, None),
        ):  # fmt: skip
            picked = data if stride is None or 0 not in stride else data[:2]
            cases.append(
                Strided(
                    dtype,
                    shape,
                    picked,
                    stride,
                    offset,
                    size,
                    cell.target.device,
                    "offset" if offset else "contiguous",
                )
            )
    return listed(*(Applied(plan, "torch.view_as_complex(x)", exact=True) for plan in cases))


def no_complex_parts(cell: Cell) -> Inputs:
    """Real tensors that cannot: no pair, pairs apart, odd distances, other element types."""
    device = cell.target.device
    cases = [
        Strided(dtype, shape, (1.0, 2.0), stride, offset, size, device)
        for dtype in ("float32", "float64")
        for shape, stride, offset, size in (
            ((), None, 0, None), ((3,), None, 0, None), ((2, 3), None, 0, None), ((2, 1), None, 0, None),
            ((2, 0), None, 0, None), ((2, 2), (1, 2), 0, 4), ((2, 2), (4, 2), 0, 8), ((2, 2), (3, 1), 0, 8),
            ((2, 2, 2), (5, 2, 1), 0, 12), ((2, 2, 2), (4, 3, 1), 0, 12), ((3, 2), (1, 1), 0, 4),
        )
    ]  # fmt: skip
    cases += [strided(dtype, (3, 2), device=device) for dtype in ALL if dtype not in ("float16", "float32", "float64")]
    return listed(*(Applied(plan, "torch.view_as_complex(x)", exact=True) for plan in cases))


# ---- DLPack ----

TO_DLPACK = "torch.utils.dlpack.to_dlpack(x)"


def capsules(cell: Cell) -> Inputs:
    """from_dlpack of capsules, made each for one use."""
    return applied(
        cell,
        f"torch.from_dlpack({TO_DLPACK})",
        "torch.from_dlpack(x.__dlpack__())",
        f"torch.utils.dlpack.from_dlpack({TO_DLPACK})",
    )


def dlpack_arrays(cell: Cell) -> Inputs:
    """Producers of DLPack that are no tensors: arrays, and objects with nothing but the protocol."""
    bare = "types.SimpleNamespace(__dlpack__=x.__dlpack__, __dlpack_device__=x.__dlpack_device__)"
    calls = ("torch.from_dlpack(x)", f"torch.from_dlpack({bare})")
    return crossed_once(make_applied_array, "cpu", calls, TWINS, ARRAY_FORMS, VALUES)


def dlpack_strides(cell: Cell) -> Inputs:
    """Tensors with unusual strides along extents of 0 and 1, and all the others."""
    calls = ("torch.from_dlpack(x)", f"torch.from_dlpack({TO_DLPACK})")
    odd = [
        Applied(Strided(dtype, shape, (1,), stride, offset, 700, cell.target.device, "offset"), call)
        for dtype in ALL
        for call in calls
        for shape, stride, offset in (
            ((1, 3, 1), (77, 2, 55), 1),
            ((1, 1), (5, 9), 0),
            ((1,), (40,), 3),
            ((2, 1, 2), (3, 0, 1), 2),
        )
    ]
    return Inputs(
        [
            *applied(cell, *calls, forms=tuple(f for f in TENSOR_FORMS + REPEATED if 0 not in f[0])).corners,
            *odd,
        ]
    )


def dlpack_copied_arrays(cell: Cell) -> Inputs:
    """from_dlpack(copy=True) of arrays."""
    return crossed_once(make_applied_array, "cpu", ("torch.from_dlpack(x, copy=True)",), TWINS, ARRAY_FORMS, VALUES)


def dlpack_uncopied(cell: Cell) -> Inputs:
    """from_dlpack with no need of a copy."""
    return applied(
        cell, "torch.from_dlpack(x, copy=False)", "torch.from_dlpack(x, copy=None)",
        "torch.from_dlpack(x, device=x.device)", "torch.from_dlpack(x, device=str(x.device))",
        "torch.from_dlpack(x, device=x.device, copy=False)",
    )  # fmt: skip


def dlpack_moves(cell: Cell) -> Inputs:
    """from_dlpack onto another device: from the CPU to the target, and back."""
    device = cell.target.device
    index = device if ":" in device else f"{device}:0"
    here = f"torch.from_dlpack(x, device={index!r}"
    cases = []
    for dtype in TWINS:
        for form in FEW:
            cases += [
                Applied(array(dtype, form[0], data=values(dtype)), f"{here}{more})", index)
                for more in ("", ", copy=True", ", copy=False")
            ]
            back = ("torch.from_dlpack(x, device='cpu')", "torch.from_dlpack(x, device='cpu', copy=False)")
            cases += [Applied(make_tensor(device, dtype, form), call, "cpu") for call in back]
    return listed(*cases)


def dlpack_lazy(cell: Cell) -> Inputs:
    """Conjugated and negated tensors, exported as objects and as capsules."""
    cases = []
    for dtype, form in ((d, f) for d in family("complex") for f in FEW):
        negated = make_seen(cell.target.device, ("conj()", "imag"), dtype, form)
        conjugated_ = make_seen(cell.target.device, ("conj()",), dtype, form)
        cases += [
            Applied(plan, call)
            for plan in (negated, conjugated_)
            for call in ("torch.from_dlpack(x)", f"torch.from_dlpack({TO_DLPACK})")
        ]
    return listed(*cases)


def dlpack_backward(cell: Cell) -> Inputs:
    """Arrays that step backwards."""
    plans = (array("float64", (4,), "reversed", (1, 2, 3, 4)), array("int16", (2, 3), "flipped", (1, 2, 3)))
    return listed(
        *(
            Applied(plan, call)
            for plan in plans
            for call in ("torch.from_dlpack(x)", "torch.from_dlpack(x.__dlpack__())")
        )
    )


def dlpack_unexportable(cell: Cell) -> Inputs:
    """Tensors that DLPack has no words for."""
    calls = ("x.__dlpack__()", "torch.from_dlpack(x)")
    device = cell.target.device
    plans: list[Any] = [
        make_seen(device, steps, d, form) for d in DIFFERENTIABLE for form in FEW for steps in (LEAF, HISTORY)
    ]
    plans += [make_seen(device, ("conj()",), dtype, form) for dtype in COMPLEX for form in FEW]
    plans += [
        Seen(strided(dtype, (2, 3), device=device), (step,))
        for dtype in ("float32", "float64")
        for step in ("to_sparse()", "to_sparse_csr()")
    ]
    return listed(*(Applied(plan, call) for plan in plans for call in calls))


def dlpack_versions(cell: Cell) -> Inputs:
    """__dlpack__ with and without a newer version allowed, and the capsule's name by the DLPack specification."""
    calls = {
        "x.__dlpack__()": "dltensor", "x.__dlpack__(max_version=None)": "dltensor",
        "x.__dlpack__(max_version=(0, 8))": "dltensor",
        "x.__dlpack__(max_version=(1, 0))": "dltensor_versioned",
        "x.__dlpack__(max_version=(2, 0))": "dltensor_versioned",
    }  # fmt: skip
    return listed(
        *(
            Applied(make_tensor(cell.target.device, dtype, form), call, name)
            for dtype in ALL
            for form in FEW
            for call, name in calls.items()
        )
    )


def dlpack_streams_cpu(cell: Cell) -> Inputs:
    """__dlpack__ with the streams that mean none."""
    return applied(
        cell,
        "torch.from_dlpack(x.__dlpack__(stream=None))",
        "torch.from_dlpack(x.__dlpack__(stream=-1))",
        forms=FEW,
    )


def dlpack_streams(cell: Cell) -> Inputs:
    """Tensors that the current stream is at work on."""
    return listed(
        *(
            Applied(
                strided(dtype, (1 << 12,), "contiguous", (1, 2, 3), cell.target.device),
                "x.__dlpack__(stream)",
            )
            for dtype in ("float32", "int64")
        )
    )
