"""Python numbers and nested lists, NumPy scalars, and tensors of one element.

References: https://docs.pytorch.org/docs/stable/generated/torch.tensor.html and
https://docs.pytorch.org/docs/stable/generated/torch.Tensor.item.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import Applied, Data, Scalar, Seen
from conformance.inputs.crossings import (
    ALL,
    COMPLEX,
    DIFFERENTIABLE,
    HISTORY,
    LAZY,
    LEAF,
    TWINS,
    Form,
    crossed_once,
    listed,
    make_seen,
    make_tensor,
)
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
    return listed(*(Applied(plan, expression, exact=True) for plan in plans))


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


BUT_UINT64 = tuple(name for name in TWINS if name != "uint64")

# ---- torch.tensor and Python data ----

_NAN, _INF = float("nan"), float("inf")
NESTED: tuple[Any, ...] = (
    True, False, 0, -1, 2**63 - 1, -(2**63), 0.5, _NAN, _INF, -0.0, 1e300, 1j, complex(_NAN, -0.0), 2.0 + 0j,
    [True, False], [1, 2, 3], [1.5, -0.0], [1j, 2], [True, 2], [True, 2.5], [1, 2.5], [2.5, 1], [1, 2.5, 1j],
    [True, 1j],
    [[1, 2], [3, 4]], [[True], [False]], [[1, 2.5], [True, 3]], [[[1], [2]], [[3], [4.5]]], [[1j, 2.5, 3, True]],
    [1, 1, 1, 1, 1, 1, 1, 1, 1.5], [False] * 16 + [True], [[0.0] * 3] * 2, [2**62, -(2**62)], [[1], [2], [2.0]],
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
    return listed(*(Applied(Data([]), "torch.tensor(x)", default) for default in ("float32", "float64", "float16")))


def typed_data(cell: Cell) -> Inputs:
    """Nested lists of the values of every element type, with that type asked for."""
    device = cell.target.device
    cases = []
    for dtype in ALL:
        choices = list(pool(dtype))
        for value in (choices, [choices], [[[x]] for x in choices], *choices):
            cases.append(Applied(Data(value), f"torch.tensor(x, dtype=torch.{dtype}, device={device!r})", dtype))
    return listed(*cases)


def python_data(cell: Cell) -> Inputs:
    """Numbers and nested lists for ``asarray``."""
    return Inputs([Applied(Data(value), "torch.asarray(x)") for value in NESTED])


def numpy_scalars(cell: Cell, expression: str, types: tuple[str, ...] = TWINS) -> Inputs:
    """NumPy scalars of every type that torch has too, with every value that matters."""
    return listed(*(Applied(Scalar(name, value), expression, name) for name in types for value in pool(name)))
