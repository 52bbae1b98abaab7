"""Random fills, and the methods that call back into Python: what they may write, and from what.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.random_.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call, Function, Seeded
from conformance.inputs.covering import coverings
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.indexing import EVERY_TYPE
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.summands import summands
from conformance.inputs.tensors import strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

FILLED = ((), (1,), (0, 3), (2, 3), (2, 3, 4), (17,), (33,), (65,), (5, 13), (4, 129))
FLOATING = family("floating")
NUMERIC = family("integral", "floating")


def random_calls(cell: Cell, method: str, choices: tuple[tuple[Any, ...], ...], dtypes: tuple[str, ...]) -> Inputs:
    """A method with each choice of arguments, into every shape and layout, each with a generator of its own."""
    device = cell.target.device
    return Inputs(
        [
            Call(method, strided(dtype, shape, layout, (True,) if dtype == "bool" else (99,), device), choice,
                 {"generator": Seeded(number, device)})
            for number, (shape, choice, dtype, layout) in enumerate(coverings(2, FILLED, choices, dtypes, DISJOINT))
        ]
    )  # fmt: skip


def bounded_random_cases(cell: Cell) -> Inputs:
    """``random_`` between two bounds, or below one."""
    signed = random_calls(
        cell, "random_", ((-3, 2), (-100, -98)), family("int8", "int16", "int32", "int64", "floating")
    )
    every = random_calls(cell, "random_", ((5, 7), (3,), (1,), (0, 100), (12, 13)), NUMERIC)
    return Inputs([*signed.corners, *every.corners])


def unbounded_random_cases(cell: Cell) -> Inputs:
    """``random_`` of floating types without bounds."""
    return random_calls(cell, "random_", ((),), FLOATING)


def uniform_cases(cell: Cell) -> Inputs:
    """``uniform_`` over several intervals."""
    return random_calls(
        cell, "uniform_", ((), (0.0, 1.0), (-1.0, 1.0), (2.5, 2.75), (-8.0, -4.0), (3.0, 3.0)), FLOATING
    )


def exponential_cases(cell: Cell) -> Inputs:
    """``exponential_`` with several rates."""
    return random_calls(cell, "exponential_", ((), (1.0,), (0.25,), (8.0,)), FLOATING)


def geometric_cases(cell: Cell) -> Inputs:
    """``geometric_`` with several probabilities, of integers too."""
    return random_calls(cell, "geometric_", ((0.5,), (0.9,), (0.3,)), NUMERIC)


def log_normal_cases(cell: Cell) -> Inputs:
    """``log_normal_`` with moderate parameters."""
    return random_calls(cell, "log_normal_", ((), (0.0, 0.5), (1.0, 0.25), (-1.0, 1.0)), FLOATING)


def normal_cases(cell: Cell) -> Inputs:
    """``normal_`` with several means and standard deviations."""
    return random_calls(cell, "normal_", ((), (0.0, 1.0), (-64.0, 1.0), (100.0, 0.5)), FLOATING)


def bernoulli_cases(cell: Cell) -> Inputs:
    """``bernoulli_`` with one probability."""
    return random_calls(
        cell,
        "bernoulli_",
        ((), (0.5,), (0.0,), (1.0,), (0.25,)),
        EVERY_TYPE[: len(family("bool", "integral", "floating"))],
    )


def bernoulli_tensor_cases(cell: Cell) -> Inputs:
    """``bernoulli_`` with a probability of 0 or 1 for each element."""
    device = cell.target.device
    found = []
    layouts = (*DISJOINT, "expanded")
    for number, (shape, dtype, layout, own, other) in enumerate(
        coverings(
            2,
            FILLED,
            family("bool", "integral", "floating"),
            DISJOINT,
            family("float32", "float64", "float16"),
            layouts,
        )
    ):
        chances = strided(own, shape, other, (0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0), device)
        self_ = strided(dtype, shape, layout, (True,) if dtype == "bool" else (99,), device)
        found.append(Call("bernoulli_", self_, (chances,), {"generator": Seeded(number, device)}))
    return Inputs(found)


def apply_cases(cell: Cell) -> Inputs:
    """``apply_`` of plain functions."""
    functions = ("lambda v: v + v", "lambda v: 3", "lambda v: v if v == v and v > 0 else 0")
    return Inputs(
        [
            Call(
                "apply_",
                strided(dtype, shape, layout, summands(dtype), cell.target.device),
                (Function(source),),
            )
            for shape, source, dtype, layout in coverings(2, FILLED[:-1], functions, NUMERIC, DISJOINT)
        ]
    )


# Shape of self, shape of the other tensor.
MAPPED = (
    ((), ()), ((1,), (1,)), ((3,), (3,)), ((3,), (1,)), ((0, 3), (3,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3),
    (2, 1)),
    ((2, 3), ()), ((2, 3, 4), (3, 1)), ((2, 3, 4), (2, 3, 4)), ((17,), (17,)), ((33,), (33,)), ((65,), (1,)),
)  # fmt: skip


def map_cases(cell: Cell) -> Inputs:
    """``map_`` of plain functions, with another tensor that may be broadcast."""
    functions = ("lambda a, b: a + b", "lambda a, b: b", "lambda a, b: a if a > b else b + b")
    layouts = ("contiguous", "transposed", "stepped", "offset", "expanded")
    return Inputs(
        [
            Call(
                "map_", strided(dtype, shapes[0], layout, summands(dtype), cell.target.device),
                (strided(dtype, shapes[1], other, summands(dtype, turn=2), cell.target.device), Function(source)),
            )
            for shapes, source, dtype, layout, other in coverings(2, MAPPED, functions, NUMERIC, DISJOINT, layouts)
        ]
    )  # fmt: skip


def unmappable_cases(cell: Cell) -> Inputs:
    """``map_`` with another tensor that cannot be broadcast to self."""
    pairs = (((3,), (2,)), ((2, 3), (3, 2)), ((3,), (2, 3)), ((1,), (3,)), ((2, 3), (2,)))
    return Inputs(
        [
            Call(
                "map_",
                strided("float32", mine, data=(1.0,)),
                (strided("float32", theirs, data=(2.0,)), Function("lambda a, b: a")),
            )
            for mine, theirs in pairs
        ]
    )


def plain_cases(cell: Cell, *methods: str) -> Inputs:
    """Methods without arguments on every type, shape and layout."""
    return Inputs(
        [
            Call(method, strided(dtype, shape, layout, summands(dtype), cell.target.device))
            for shape, dtype, layout, method in coverings(
                2, FILLED[:-1], family("bool", "integral", "floating", "complex"), DISJOINT, methods
            )
        ]
    )


def flag_cases(cell: Cell) -> Inputs:
    """``requires_grad_`` of floating and complex tensors."""
    found = list(plain_cases(cell, "requires_grad_").corners)
    return Inputs([case for case in found if ELEMENT_TYPES[case.self_.dtype].kind in ("floating", "complex")])


def detach_cases(cell: Cell) -> Inputs:
    """``detach_`` of tensors that are no views."""
    found = list(plain_cases(cell, "detach_").corners)
    return Inputs([case for case in found if case.self_.layout == "contiguous"])
