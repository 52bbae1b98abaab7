"""Corners and samples of the NumPy bridge: which arrays, tensors, buffers and numbers each behaviour meets.

A *form* is a shape in a layout. Corners cross element types with forms in full and deal values and expressions
out to them, so that every pair occurs; samples choose freely, values included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs import ndarrays
from conformance.inputs.bridges import Applied, Seen
from conformance.inputs.covering import Varied, crossed
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.ndarrays import LISTED, Array
from conformance.inputs.tensors import Strided, corner, strided
from conformance.inputs.values import pool, values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

Form = tuple[tuple[int, ...], str]

TENSOR_FORMS: tuple[Form, ...] = (
    ((2, 3), "transposed"), ((), "contiguous"), ((), "offset"), ((0,), "contiguous"), ((1,), "stepped"),
    ((0, 3), "offset"), ((2, 0, 3), "transposed"), ((1, 3, 1), "contiguous"), ((1, 3, 1), "sliced"),
    ((2, 3), "stepped"), ((2, 3), "offset"), ((2, 3, 4), "contiguous"), ((2, 3, 4), "transposed"),
    ((2, 3, 4), "sliced"), ((2, 3, 2, 2), "channels_last"), ((17,), "contiguous"), ((33,), "stepped"),
    ((65,), "offset"), ((1030,), "contiguous"), ((2, 3, 4), "permuted"), ((2, 1, 3, 2, 2), "transposed"),
    ((2, 0), "contiguous"), ((1, 17), "contiguous"),
)  # fmt: skip
# Dense orders of the axes that are neither row-major nor its reverse.
ORDERS: tuple[Form, ...] = (
    ((2, 3, 4), "permuted"),
    ((2, 3, 2, 2, 4), "channels_last"),
    ((3, 2, 4, 5), "channels_last"),
)
ABOVE_GRAIN: Form = ((32769,), "contiguous")
REPEATED: tuple[Form, ...] = (((2, 3), "expanded"), ((2, 3), "overlapping"), ((3, 2), "widened"))
ARRAY_FORMS: tuple[Form, ...] = (
    ((2, 3), "fortran"), ((), "contiguous"), ((), "offset"), ((0,), "contiguous"), ((1,), "stepped"),
    ((0, 3), "offset"), ((2, 0, 3), "fortran"), ((1, 3, 1), "contiguous"), ((1, 3, 1), "sliced"),
    ((2, 3), "stepped"), ((2, 3), "offset"), ((2, 3, 4), "contiguous"), ((2, 3, 4), "fortran"),
    ((2, 3, 4), "sliced"), ((2, 3, 2, 2), "fortran"), ((2, 3), "field"),
    ((17,), "field"), ((17,), "contiguous"), ((33,), "stepped"),
    ((65,), "offset"), ((1030,), "contiguous"), ((2, 3), "broadcast"), ((2, 3, 4), "permuted"), ((1, 17), "contiguous"),
    ((2, 1, 3, 2, 2), "fortran"),
)  # fmt: skip
FEW: tuple[Form, ...] = (
    ((2, 3), "transposed"),
    ((), "offset"),
    ((0, 3), "contiguous"),
    ((17,), "stepped"),
    ((1, 3, 1), "sliced"),
)

ALL = family("bool", "integral", "barebones", "floating", "complex", "half-complex")
TWINS = tuple(name for name in ALL if ELEMENT_TYPES[name].has_numpy_twin)
REAL = tuple(name for name in ALL if ELEMENT_TYPES[name].kind != "complex")
COMPLEX = family("complex", "half-complex")
FLOATS = family("floating")
DIFFERENTIABLE = family("floating", "complex")
LAZY = (("conj()",), ("conj()", "imag"), ("imag",), ("real",), ("conj()", "conj()"))
LEAF = ("requires_grad_()",)
PARAMETER = ("Parameter",)
HISTORY = ("requires_grad_()", "view_as(x)")


def _bytes() -> Any:
    from hypothesis import strategies as st

    return st.binary(min_size=12, max_size=12)


VALUES = Varied(("special", "ordinary"), _bytes)


def crossed_once(make: Any, device: str, *factors: Any) -> Inputs:
    """One covering array over the factors: every element type meets every form, and each other pair occurs."""
    return crossed(make, device, *factors, passes=1)


def crossed_each(make: Any, device: str, expressions: tuple[str, ...], *factors: Any) -> Inputs:
    """A covering array for each expression (three at most), turned: so each of them meets nearly every other pair."""
    return crossed(make, device, expressions, *factors, passes=min(len(expressions), 3))


def make_tensor(device: str, dtype: str, form: Form, data: str | bytes = "ordinary") -> Strided:
    """A tensor plan of one form; ``data`` is a kind of values, or bytes that pick each of them."""
    shape, layout = form
    if isinstance(data, str):
        return corner(dtype, shape, layout, data, "any", device)
    choices = pool(dtype)
    return strided(dtype, shape, layout, tuple(choices[byte % len(choices)] for byte in data), device)


def make_array(device: str, dtype: str, form: Form, data: str | bytes = "ordinary") -> Array:
    """The same of an array plan."""
    choices = values(dtype, data) if isinstance(data, str) else pool(dtype)
    picked = choices if isinstance(data, str) else tuple(choices[byte % len(choices)] for byte in data)
    return ndarrays.array(dtype, *form, picked)


def make_seen(device: str, steps: tuple[str, ...], dtype: str, form: Form, data: str | bytes = "ordinary") -> Any:
    """A tensor plan seen through ``steps``."""
    plan = make_tensor(device, dtype, form, data)
    return Seen(plan, steps) if steps else plan


def make_applied(device: str, expression: str, *rest: Any) -> Applied:
    """An expression on a tensor plan."""
    return Applied(make_tensor(device, *rest), expression)


def make_applied_array(device: str, expression: str, *rest: Any) -> Applied:
    """An expression on an array plan."""
    return Applied(make_array(device, *rest), expression)


def make_applied_seen(device: str, expression: str, *rest: Any) -> Applied:
    """An expression on a tensor seen through steps."""
    return Applied(make_seen(device, *rest), expression)


def arrays(cell: Cell) -> Inputs:
    """Arrays of every listed element type, in every form, and two above the grain of parallel loops."""
    return _and_large(crossed_once(make_array, "cpu", LISTED, ARRAY_FORMS, VALUES), make_array, "cpu")


def tensors(cell: Cell) -> Inputs:
    """Tensors of every element type, in every form, repeated places included, and two above the grain."""
    found = crossed_once(make_tensor, cell.target.device, ALL, TENSOR_FORMS + REPEATED, VALUES)
    return _and_large(found, make_tensor, cell.target.device)


def twins(cell: Cell) -> Inputs:
    """Tensors of every element type that NumPy has too."""
    found = crossed_once(make_tensor, cell.target.device, TWINS, TENSOR_FORMS + REPEATED, VALUES)
    return _and_large(found, make_tensor, cell.target.device)


def complexes(cell: Cell) -> Inputs:
    """Complex tensors, as they are, seen conjugated and with a history."""
    steps = ((), ("conj()",), HISTORY)
    forms = (*TENSOR_FORMS, *REPEATED, ABOVE_GRAIN)
    return crossed_once(make_seen, cell.target.device, steps, COMPLEX, forms, VALUES)


def reals(cell: Cell) -> Inputs:
    """Tensors of every element type that is not complex."""
    return crossed_once(make_tensor, cell.target.device, REAL, FEW, VALUES)


def seen_tensors(cell: Cell) -> Inputs:
    """Tensors as they are, tensors seen lazily, and tensors that require gradients."""
    return merged(
        tensors(cell),
        crossed_once(make_seen, cell.target.device, LAZY, COMPLEX, TENSOR_FORMS, VALUES),
        crossed_once(make_seen, cell.target.device, (LEAF, HISTORY), DIFFERENTIABLE, FEW, VALUES),
    )


def applied(
    cell: Cell,
    *expressions: str,
    dtypes: tuple[str, ...] = ALL,
    forms: tuple[Form, ...] = TENSOR_FORMS + REPEATED,
) -> Inputs:
    """Each of the expressions on tensors of all those element types and forms."""
    found = crossed_each(make_applied, cell.target.device, expressions, dtypes, forms, VALUES)
    return _and_large(found, make_applied, cell.target.device, expressions[0])


def applied_arrays(
    cell: Cell, *expressions: str, dtypes: tuple[str, ...] = LISTED, forms: tuple[Form, ...] = ARRAY_FORMS
) -> Inputs:
    """Each of the expressions on arrays of all those element types and forms."""
    found = crossed_each(make_applied_array, "cpu", expressions, dtypes, forms, VALUES)
    return _and_large(found, make_applied_array, "cpu", expressions[0]) if len(forms) > 5 else found


def applied_seen(
    cell: Cell,
    steps: tuple[tuple[str, ...], ...],
    *expressions: str,
    dtypes: tuple[str, ...] = DIFFERENTIABLE,
    forms: tuple[Form, ...] = FEW,
) -> Inputs:
    """Each of the expressions on tensors seen through each of the steps."""
    return crossed_once(make_applied_seen, cell.target.device, expressions, steps, dtypes, forms, VALUES)


def _and_large(found: Inputs, make: Any, device: str, *expression: str) -> Inputs:
    """The inputs, and behind them what is large enough for a parallel loop."""
    large = [make(device, *expression, dtype, ABOVE_GRAIN, "special") for dtype in ("float32", "int8")]
    return Inputs([*found.corners, *large], found.samples)


def merged(*parts: Inputs) -> Inputs:
    """All corners of the parts; samples of whichever part."""
    from hypothesis import strategies as st

    return Inputs(
        [case for part in parts for case in part.corners],
        st.one_of(*(part.samples for part in parts if part.samples is not None)),
    )


def listed(*cases: Any) -> Inputs:
    """Corners only."""
    return Inputs(list(cases))


def states_of(cell: Cell, *calls: str) -> list[Inputs]:
    """The calls on lazily seen tensors, and on leaves and tensors with a history."""
    lazy_ = applied_seen(cell, LAZY, *calls, dtypes=COMPLEX)
    return [lazy_, applied_seen(cell, (LEAF, HISTORY), *calls)]
