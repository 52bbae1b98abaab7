"""Python numbers and nested lists, NumPy scalars, and tensors of one element.

References: https://docs.pytorch.org/docs/stable/generated/torch.tensor.html and
https://docs.pytorch.org/docs/stable/generated/torch.Tensor.item.html
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import Applied, Data, Scalar, Seen
from conformance.inputs.casts import convertible, convertible_data
from conformance.inputs.crossings import (
    ALL,
    COMPLEX,
    DIFFERENTIABLE,
    FLOATS,
    HISTORY,
    LAZY,
    LEAF,
    REAL,
    TWINS,
    Form,
    crossed_once,
    listed,
    make_seen,
    make_tensor,
)
from conformance.inputs.dtypes import ELEMENT_TYPES, family, limits
from conformance.inputs.ndarrays import array
from conformance.inputs.tensors import strided
from conformance.inputs.values import pool

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# ---- Python numbers ----


def single_elements(cell: Cell, expression: str) -> Inputs:
    """Every value of every element type, alone in a tensor of some form with one element; also seen lazily."""
    forms: tuple[Form, ...] = (
        ((), "contiguous"), ((), "offset"), ((1,), "stepped"), ((1, 1, 1), "offset"), ((1, 1), "sliced"),
    )  # fmt: skip
    plans: list[Any] = []
    for dtype in ALL:
        for turn, value in enumerate(pool(dtype)):
            shape, layout = forms[turn % len(forms)]
            plan = strided(dtype, shape, layout, (value,), cell.target.device)
            plans += [plan, Seen(plan, LAZY[turn % len(LAZY)])] if dtype in COMPLEX else [plan]
        plans += [strided(dtype, *form, data=(1,), device=cell.target.device) for form in forms]
        if dtype == "int64":  # and what no double holds
            plans += [strided(dtype, *form, data=(2**53 + 1,), device=cell.target.device) for form in forms]
        if dtype in COMPLEX:  # in every form through every view
            plain = [strided(dtype, *form, data=(2 - 3j,), device=cell.target.device) for form in forms]
            plans += [Seen(plan, steps) for plan in plain for steps in LAZY]
    return listed(*(Applied(plan, expression, exact=True) for plan in plans))


def scalar_conversions(cell: Cell) -> Inputs:
    """float, int, bool, complex and an index of tensors of one element, as far as Python has them of the number."""
    cases = []
    for turn, dtype in enumerate(ALL):
        for step, value in enumerate(x for x in pool(dtype) if dtype != "uint64" or x < 2**63):
            calls = ["bool(x)", "complex(x)"]
            if not isinstance(value, complex):
                calls += ["float(x)", *(["int(x)"] if value == value and abs(value) != _INF else [])]
                calls += ["x.__index__()"] if isinstance(value, int) and not isinstance(value, bool) else []
            shape, layout = (((), "offset"), ((1,), "stepped"), ((1, 1), "sliced"))[(turn + step) % 3]
            plan = strided(dtype, shape, layout, (value,), cell.target.device)
            cases += [Applied(plan, call, exact=True) for call in calls]
    return listed(*cases)


def wide_scalar_conversions(cell: Cell) -> Inputs:
    """The same of whole numbers that only uint64 holds."""
    values_, calls = (2**63, 2**63 + 5, 2**64 - 1), ("float(x)", "int(x)", "bool(x)", "x.__index__()")
    plans = [strided("uint64", (), "contiguous", (value,), cell.target.device) for value in values_]
    return listed(*(Applied(plan, call, exact=True) for call in calls for plan in plans))


def other_than_single(cell: Cell) -> Inputs:
    """item of tensors with no element, or with more than one."""
    forms: tuple[Form, ...] = (
        ((0,), "contiguous"), ((2,), "stepped"), ((0, 3), "offset"), ((1, 2, 1), "contiguous"), ((2, 3), "expanded"),
    )  # fmt: skip
    plans = [make_tensor(cell.target.device, dtype, form) for dtype in ALL for form in forms]
    return listed(*(Applied(plan, "x.item()", exact=True) for plan in plans))


def gradient_single_elements(cell: Cell) -> Inputs:
    """Tensors with one element that require gradients."""
    forms: tuple[Form, ...] = (((), "contiguous"), ((1,), "offset"), ((1, 1), "sliced"))
    return crossed_once(make_seen, cell.target.device, (LEAF, HISTORY), DIFFERENTIABLE, forms, ("ordinary", "special"))


BUT_UINT64 = tuple(name for name in TWINS if name != "uint64")  # releases refuse that one type

# ---- torch.tensor and Python data ----

_NAN, _INF = float("nan"), float("inf")
NESTED: tuple[Any, ...] = (
    True, False, 0, -1, 2**63 - 1, -(2**63), 0.5, _NAN, _INF, -0.0, 1e300, 1j, complex(_NAN, -0.0), 2.0 + 0j,
    [True, False], [1, 2, 3], [1.5], [1.5, -0.0], [1j, 2], [True, 2], [True, 2.5], [1, 2.5], [2.5, 1], [1, 2.5, 1j],
    [True, 1j],
    [[1, 2], [3, 4]], [[True], [False]], [[1, 2.5], [True, 3]], [[[1], [2]], [[3], [4.5]]], [[1j, 2.5, 3, True]],
    [1, 1, 1, 1, 1, 1, 1, 1, 1.5], [False] * 16 + [True], [[0.0] * 3] * 2, [2**62, -(2**62)], [[1], [2], [2.0]],
    2**53 + 1, [2**53 + 1, 3], [3, -(2**53) - 1], [[2**54 + 2, 1], [2**62 + 1, -(2**62) - 1]], [0.1, 1 / 3], 1e-45,
    (1, 2, 3), (True, 2.5), ([1, 2], [3, 4]), [(1, 2.5), (True, 3)], ((1j, 2), (3, 4), (5, 6)), ((True,), (False,)),
    [[], []], ((),),
)  # fmt: skip


def _trees() -> Any:
    from hypothesis import strategies as st

    leaves = st.sampled_from([True, False, 0, 1, -7, 2**40, 0.5, -0.0, _NAN, _INF, 1j, 2 - 3j])
    shapes = st.sampled_from([(), (1,), (3,), (2, 2), (1, 2, 2), (5,)])

    def shaped(shape: tuple[int, ...], leaf: list[Any]) -> Any:
        if not shape:
            return leaf.pop(0)
        return [shaped(shape[1:], leaf) for _ in range(shape[0])]

    return st.tuples(shapes, st.lists(leaves, min_size=5, max_size=5)).map(
        lambda drawn: Data(shaped(drawn[0], [*drawn[1], *drawn[1]]))
    )


def nested_data(cell: Cell) -> Inputs:
    """Numbers, and nested lists of one kind or of several."""
    return Inputs([Data(value) for value in NESTED], _trees())


def inferred(cell: Cell) -> Inputs:
    """Nested data under the default dtypes that every release supports."""
    cases = [Applied(Data(value), "torch.tensor(x)", name) for name in ("float32", "float64") for value in NESTED]
    strategy = _trees().map(lambda data: Applied(data, "torch.tensor(x)", "float64"))
    return Inputs(cases, strategy)


def inferred_in_half(cell: Cell) -> Inputs:
    """Nested data under the default dtypes that only later releases support; bfloat16 has no complex partner."""
    return listed(
        *(Applied(Data(value), "torch.tensor(x)", "float16") for value in NESTED),
        *(Applied(Data(x), "torch.tensor(x)", "bfloat16") for x in NESTED if "j" not in repr(x)),
    )


def empties(cell: Cell) -> Inputs:
    """No data at all, under each default dtype."""
    defaults = ("float32", "float64", "float16")
    nothing: tuple[Any, ...] = ([], ())
    return listed(*(Applied(Data(x), "torch.tensor(x)", default) for default in defaults for x in nothing))


# What has a shape and no number.
HOLLOW: tuple[Any, ...] = ([], [[], []], (), [[[]], [[]]])


# Numbers that no binary type holds, halves of the last place of float16 and bfloat16, and ones that round to the
# largest and smallest numbers of a type; none of them depends on whether it is rounded by way of another type.
_INEXACT = (0.1, 1 / 3, -2.7182818284590452, 7.7, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, -1 - 3 * 2.0**-11, 1e-3)
_NEARLY = {"float16": (65519.0, 1e-7, 3e-8), "float32": (3.4028235e38, 1e-45, 16777217.0), "float64": (5e-324, 1e308)}


def typed_data(cell: Cell, call: str = "torch.tensor(x, dtype=torch.{0}, device={1!r})") -> Inputs:
    """Nested lists and tuples of numbers of every element type, with that type asked for, rounded ones included."""
    cases = []
    for turn, dtype in enumerate(ALL):
        choices = [*pool(dtype), *_rounded(dtype)]
        many = (choices * 300)[:300]
        for value in (choices, [choices], tuple(([x],) for x in choices), *choices, many, [many] * 2, HOLLOW[turn % 4]):
            cases.append(Applied(Data(value), call.format(dtype, cell.target.device), dtype))
    return listed(*cases)


def _rounded(dtype: str) -> tuple[Any, ...]:
    kind = ELEMENT_TYPES[dtype].kind
    if kind == "floating":
        return _INEXACT + _NEARLY.get(dtype, ())
    if kind == "complex":
        return tuple(complex(x, y) for x, y in pairwise(_INEXACT))
    return (2**53 + 1, 2**62 + 1) if dtype in ("int64", "uint64") else ()


def fewer_typed_data(cell: Cell, *calls: str) -> Inputs:
    """The same numbers in one list, in nested tuples and one by one, each call in its turn."""
    cases = []
    for turn, dtype in enumerate(ALL):
        choices = [*pool(dtype), *_rounded(dtype)]
        for step, value in enumerate(
            (choices, tuple(([x],) for x in choices), HOLLOW[turn % 4], *choices[turn % 3 :: 3])
        ):
            call = calls[(turn + step) % len(calls)]
            cases.append(Applied(Data(value), call.format(dtype, cell.target.device), dtype))
    return listed(*cases)


def unheld_data(cell: Cell) -> Inputs:
    """Numbers that the type asked for cannot hold, alone and in lists; below 0 only for signed types."""
    cases = []
    for dtype in family("integral", "barebones"):
        low, high = (int(x) for x in limits(dtype))
        for value in (high + 1, 2 * high + 3, *((low - 1,) if low else ())):
            for data in (value, [1, value], [[value], [1]]):
                cases.append(Applied(Data(data), f"torch.tensor(x, dtype=torch.{dtype})", exact=True))
    for dtype in (name for name in REAL if name != "bool"):
        for data in (1j, [1, 2 + 1j], [[1.5], [1j]]):
            cases.append(Applied(Data(data), f"torch.tensor(x, dtype=torch.{dtype})", exact=True))
    return listed(*cases)


def number_ranges(cell: Cell) -> Inputs:
    """Ranges of whole numbers, upwards and downwards."""
    calls = ("torch.tensor(x)", "torch.as_tensor(x)", "torch.asarray(x)", "torch.tensor(x, dtype=torch.float64)")
    ranges = (range(3), range(1), range(5, -4, -3), range(2**40, 2**40 + 33))
    return listed(*(Applied(Data(x), call, "float64" if "=" in call else "int64") for call in calls for x in ranges))


def ragged_lists(cell: Cell) -> Inputs:
    """Nested lists and tuples that are not all of one length, or not all of them nested."""
    data = (
        [[1, 2], [3]], [[1], [2, 3]], [[1.5, 2.5], []], ((1, 2, 3), (4, 5)), [[[1], [2]], [[3]]],
        [[[1], [2]], [[3], []]], [1, [2]], [[1], 2], [[True], [False], [True, True]],
    )  # fmt: skip
    calls = ("torch.tensor(x)", "torch.as_tensor(x)", "torch.asarray(x)", "torch.tensor(x, dtype=torch.float64)")
    return listed(*(Applied(Data(x), call, exact=True) for call in calls for x in data))


# Numbers for the kinds of element types that are not their own.
_OTHERS: dict[str, tuple[Any, ...]] = {
    "bool": (0.5, -0.0, _NAN, 2, -1, 0, 1j, 0j, 1e-45),
    "signed": (1.9, -1.5, 0.99, -0.0, 126.7, True, -3.0),
    "unsigned": (1.9, 0.99, 126.7, 0.0, True),
    "floating": (True, False, 3, -7, 2048),
    "complex": (True, False, 3, -7, 1.5, 2048),
}


def numbers_of_other_kinds(cell: Cell) -> Inputs:
    """Python numbers and NumPy scalars with an element type asked for that is of another kind than they are."""
    calls = (
        "torch.tensor(x, dtype=torch.{0}, device={1!r})", "torch.as_tensor(x, dtype=torch.{0})",
        "torch.asarray(x, dtype=torch.{0})", "torch.empty(0, dtype=torch.{0}).new_tensor(x)",
    )  # fmt: skip
    cases = []
    for turn, dtype in enumerate(ALL):
        # releases take no fractions for uint64
        numbers = (
            (True,)
            if dtype == "uint64"
            else (*_OTHERS[ELEMENT_TYPES[dtype].kind], *((2**53 + 3, -(2**60) - 129) if dtype == "float64" else ()))
        )
        data: list[Any] = [(list(numbers), call) for call in calls]
        data += [(number, calls[(turn + step) % 4]) for step, number in enumerate(numbers)]
        data += [(2**53 + 3, call) for call in calls if dtype == "float64"]
        cases += [Applied(Data(x), call.format(dtype, cell.target.device), dtype) for x, call in data]
        # releases read no truth value out of a NumPy scalar, and integers only out of float64 and integers
        refused = {"bool": TWINS, "signed": FLOATS[:-1], "unsigned": FLOATS[:-1]}.get(ELEMENT_TYPES[dtype].kind, ())
        sources = [x for x in TWINS[turn % 2 :: 2] if x not in ("bool", *refused) and convertible(x, dtype)]
        for step, source in enumerate(sources if dtype != "uint64" else ()):
            scalar = Scalar(source, 1.75 if source in FLOATS else (3, 1, 100)[step % 3])
            call = (calls[0], calls[3], calls[1])[(turn + step) % 3]  # asarray has scalars of its own
            cases.append(Applied(scalar, call.format(dtype, cell.target.device), dtype))
    return listed(*cases)


def retyped_scalars(cell: Cell) -> Inputs:
    """NumPy scalars for asarray, as they are and with another element type."""
    cases = list(numpy_scalars(cell, "torch.asarray(x)").corners)
    for turn, (source, target) in enumerate((a, b) for a in TWINS for b in ALL if a != b and convertible(a, b)):
        data = convertible_data(source, target)
        scalar = Scalar(source, data[turn % len(data)])
        cases.append(Applied(scalar, f"torch.asarray(x, dtype=torch.{target})", target))
    return listed(*cases)


def no_numbers(cell: Cell) -> Inputs:
    """Python's conversions to a number of tensors with no element, or with more than one."""
    calls = ("float(x)", "int(x)", "bool(x)", "complex(x)", "x.__index__()")
    forms: tuple[Form, ...] = (((0,), "contiguous"), ((2,), "stepped"), ((0, 3), "offset"), ((1, 2, 1), "contiguous"))
    return listed(
        *(
            Applied(make_tensor(cell.target.device, dtype, form), call, exact=True)
            for dtype in ALL
            for form in forms
            for call in calls
        )
    )


def no_indices(cell: Cell) -> Inputs:
    """One number that is not whole by its type."""
    forms: tuple[Form, ...] = (((), "offset"), ((1,), "stepped"))
    plans = [strided(d, *form, data=(2,), device=cell.target.device) for d in (*FLOATS, *COMPLEX) for form in forms]
    return listed(*(Applied(plan, "x.__index__()", exact=True) for plan in plans))


def python_data(cell: Cell) -> Inputs:
    """Numbers and nested lists for ``asarray``."""
    return Inputs([Applied(Data(value), "torch.asarray(x)") for value in NESTED])


def inferred_by_as_tensor(cell: Cell) -> Inputs:
    """Nested data for ``as_tensor`` under the default dtypes."""
    return listed(
        *(Applied(Data(x), "torch.as_tensor(x)", default) for default in ("float32", "float64") for x in NESTED)
    )


def listed_scalars(cell: Cell) -> Inputs:
    """Lists and tuples of NumPy scalars, of arrays, and of tensors without a dimension, all of one element type."""
    calls = ("torch.tensor(list(x))", "torch.as_tensor(list(x))", "torch.tensor(tuple(x))", "torch.as_tensor(tuple(x))")
    cases = []
    for turn, dtype in enumerate(BUT_UINT64):
        data = pool(dtype)
        plans: list[Any] = [array(dtype, shape, "contiguous", data) for shape in ((len(data),), (2, 3), (3, 2, 2))]
        plans.append(strided(dtype, (len(data),), "stepped", data, cell.target.device))
        plans.append(array(dtype, (3, 2), "fortran", data[-6:]))
        for step, plan in enumerate(plans):
            cases += [Applied(plan, call, dtype, exact=True) for call in (calls[0], calls[1 + (turn + step) % 3])]
        cases += [Applied(plans[step], "torch.tensor([list(y) for y in x])", dtype, exact=True) for step in (1, 2)]
    for dtype in (name for name in ALL if name not in TWINS):  # of these there are tensors only
        plan = strided(dtype, (len(pool(dtype)),), "stepped", pool(dtype), cell.target.device)
        cases += [Applied(plan, call, dtype, exact=True) for call in calls]
    for dtype in ("bool", "int64", "float64", "complex128"):  # beside Python numbers of their kind
        plan_ = array(dtype, (3,), "contiguous", pool(dtype)[-3:])
        for expression in ("torch.tensor([*x[:-1], x[-1].item()])", "torch.as_tensor([x[0].item(), *x[1:]])"):
            cases.append(Applied(plan_, expression, dtype, exact=True))
    return listed(*cases)


def numpy_scalars(cell: Cell, expression: str, types: tuple[str, ...] = TWINS) -> Inputs:
    """NumPy scalars of every type that torch has too, with every value that matters."""
    return listed(*(Applied(Scalar(name, value), expression, name) for name in types for value in pool(name)))
