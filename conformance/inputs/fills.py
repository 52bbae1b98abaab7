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


# So many draws that a distribution shows, and so many that two equal ones of a continuous distribution do.
MANY = (3, 1399)
VERY_MANY = (2**17,)
LIKE_WEIGHTS = ("contiguous", "transposed", "stepped", "sliced")


def random_calls(cell: Cell, method: str, choices: tuple[Any, ...], dtypes: tuple[str, ...]) -> Inputs:
    """A method with each choice of arguments, into every shape and layout, each with a generator of its own."""
    rows = coverings(2, FILLED, choices, dtypes, DISJOINT)
    return Inputs([_fill(cell, method, seed, *row) for seed, row in enumerate(rows)])


def many_draws(cell: Cell, method: str, choices: tuple[Any, ...], dtypes: tuple[str, ...]) -> list[Call]:
    """The same of large tensors."""
    rows = coverings(1, choices, dtypes, LIKE_WEIGHTS)
    return [_fill(cell, method, seed, MANY, *row) for seed, row in enumerate(rows, 500)]


def continuous_draws(cell: Cell, method: str, choices: tuple[Any, ...]) -> list[Call]:
    """The same of a continuous distribution, and of one tensor above the grain of every parallel loop."""
    large = _fill(cell, method, 499, VERY_MANY, choices[-1], "float64", "contiguous")
    return [*many_draws(cell, method, choices, FLOATING), large]


def _fill(cell: Cell, method: str, seed: int, shape: tuple[int, ...], choice: Any, dtype: str, layout: str) -> Call:
    """A call with a tuple of arguments, or with a dict of keywords."""
    device = cell.target.device
    self_ = strided(dtype, shape, layout, (True,) if dtype == "bool" else (99,), device)
    args, keywords = ((), choice) if isinstance(choice, dict) else (choice, {})
    return Call(method, self_, args, {**keywords, "generator": Seeded(seed, device)})


def _few_and_many(cell: Cell, method: str, few: tuple[Any, ...], many: tuple[Any, ...]) -> Inputs:
    return Inputs([*random_calls(cell, method, few, FLOATING).corners, *continuous_draws(cell, method, many)])


def bounded_random_cases(cell: Cell) -> Inputs:
    """``random_`` between two bounds, or below one; far apart too, where not every random bit is needed or too few."""
    signed = family("int8", "int16", "int32", "int64", "floating")
    few = random_calls(cell, "random_", ((-3, 2), (-100, -98)), signed)
    every = random_calls(cell, "random_", ((5, 7), (3,), (1,), (0, 100), (12, 13)), NUMERIC)
    found = [*few.corners, *every.corners]
    found += many_draws(cell, "random_", ((0, 100), {"to": 7}, (3, 12), (100,)), NUMERIC)
    found += many_draws(cell, "random_", ((-100, 27), (-5, 6)), signed)
    wide: dict[str, tuple[Any, ...]] = {
        "uint8": ((256,),), "int8": ((-128, 128),), "int16": ((-(2**15), 2**15), (2**15,)),
        "int32": ((-(2**31), 2**31), (2**31 - 1,), (2**30,)),
        "int64": ((2**32,), (2**40,), (-(2**62), 2**62), (2**63 - 1,), (2**33, 2**34)),
        "float64": ((2**40,), (-(2**52), 2**52)), "float32": ((2**24,),), "float16": ((2**11,),),
    }  # fmt: skip
    for dtype, bounds in wide.items():
        found += many_draws(cell, "random_", bounds, (dtype,))
    return Inputs(found)


def uneven_random_cases(cell: Cell) -> Inputs:
    """``random_`` of int64 below bounds by which 2**32 does not divide, with a quotient of 1 and a large rest."""
    return Inputs(many_draws(cell, "random_", ((3 * 2**30,), (3_000_000_000,), (-(2**31), 2**30)), ("int64",)))


def unbounded_random_cases(cell: Cell) -> Inputs:
    """``random_`` of floating types without bounds."""
    few = random_calls(cell, "random_", ((),), FLOATING)
    return Inputs([*few.corners, *many_draws(cell, "random_", ((),), FLOATING)])


def spanning_random_cases(cell: Cell) -> Inputs:
    """``random_`` of whole types without an upper bound."""
    whole = family("bool", "integral")
    found = [*random_calls(cell, "random_", ((),), whole).corners, *many_draws(cell, "random_", ((),), whole)]
    for dtype in family("int8", "int16", "int32", "int64"):
        lows = ((5, None), (-100, None), *(((-(2**63), None),) if dtype == "int64" else ()))
        found += many_draws(cell, "random_", lows, (dtype,))
    return Inputs(found)


def uniform_cases(cell: Cell) -> Inputs:
    """``uniform_`` over several intervals."""
    few = ((), (0.0, 1.0), (-1.0, 1.0), (2.5, 2.75), (-8.0, -4.0), (3.0, 3.0))
    many = ((-1.0, 1.0), {"to": 3.0}, (2.5, 4.5), (-30000.0, 30000.0), (0.0, 2.0**-8), (-8.0,), ())
    return _few_and_many(cell, "uniform_", few, many)


def exponential_cases(cell: Cell) -> Inputs:
    """``exponential_`` with several rates."""
    return random_calls(cell, "exponential_", ((), (1.0,), (0.25,), (8.0,)), FLOATING)


def exponential_draws(cell: Cell) -> Inputs:
    """``exponential_`` into large tensors."""
    return Inputs(continuous_draws(cell, "exponential_", ((1.0,), (0.25,), (8.0,), {"lambd": 2.5}, ())))


def geometric_cases(cell: Cell) -> Inputs:
    """``geometric_`` with several probabilities, of integers too."""
    return random_calls(cell, "geometric_", ((0.5,), (0.9,), (0.3,)), NUMERIC)


def geometric_draws(cell: Cell) -> Inputs:
    """``geometric_`` into large tensors."""
    return Inputs(many_draws(cell, "geometric_", ((0.5,), (0.9,), (0.3,), {"p": 0.7}), NUMERIC))


def log_normal_cases(cell: Cell) -> Inputs:
    """``log_normal_`` with moderate parameters."""
    few = ((), (0.0, 0.5), (1.0, 0.25), (-1.0, 1.0), (3.0, 0.0625))
    many = ((0.0, 0.5), (1.0, 0.25), (-1.0, 1.0), {"std": 0.5}, ())
    return _few_and_many(cell, "log_normal_", few, many)


def normal_cases(cell: Cell) -> Inputs:
    """``normal_`` with several means and standard deviations."""
    few = ((), (0.0, 1.0), (-64.0, 1.0), (100.0, 0.5), (3.0, 0.0), {"mean": 100.0})
    many = ((0.0, 0.01), (1.0, 0.5), (0.0, 50.0), {"std": 0.25}, {"mean": 4.0, "std": 2.0}, (-2.0,), ())
    return _few_and_many(cell, "normal_", few, many)


def complex_normal_cases(cell: Cell) -> Inputs:
    """``normal_`` around 0 of complex types."""
    return Inputs(many_draws(cell, "normal_", ((), (0.0, 3.0), {"std": 0.25}), family("complex")))


def cauchy_cases(cell: Cell) -> Inputs:
    """``cauchy_`` with several medians and scales."""
    many = ((0.0, 1.0), (-4.0, 0.5), (8.0, 5.0), {"sigma": 0.25}, ())
    return Inputs(continuous_draws(cell, "cauchy_", many))


def bernoulli_cases(cell: Cell) -> Inputs:
    """``bernoulli_`` with one probability."""
    dtypes = EVERY_TYPE[: len(family("bool", "integral", "floating"))]
    many = ((0.5,), (0.0,), (1.0,), (0.25,), (0.01,), {"p": 0.9}, ())
    few = random_calls(cell, "bernoulli_", ((), (0.5,), (0.0,), (1.0,), (0.25,)), dtypes)
    return Inputs([*few.corners, *many_draws(cell, "bernoulli_", many, dtypes)])


def bernoulli_tensor_cases(cell: Cell) -> Inputs:
    """``bernoulli_`` with a probability for each element: 0 and 1 in few of them, and others too in many."""
    device = cell.target.device
    found = []
    layouts = (*DISJOINT, "expanded")
    factors = (family("bool", "integral", "floating"), DISJOINT, family("float32", "float64", "float16"), layouts)
    rows = [(*row, (0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0)) for row in coverings(2, FILLED, *factors)]
    rows += [((3, 4099), *row, (0.25, 1.0, 0.875, 0.0, 0.5, 0.125, 0.75)) for row in coverings(1, *factors)]
    for number, (shape, dtype, layout, own, other, data) in enumerate(rows):
        chances = strided(own, shape, other, data, device)
        self_ = strided(dtype, shape, layout, (True,) if dtype == "bool" else (99,), device)
        found.append(Call("bernoulli_", self_, (chances,), {"generator": Seeded(number, device)}))
    return Inputs(found)


# Parameters of which no distribution of the kind has any.
IMPOSSIBLE: dict[str, tuple[tuple[Any, ...], ...]] = {
    "bernoulli_": ((1.5,), (-0.25,)), "cauchy_": ((0.0, -1.0), (0.0, 0.0)), "exponential_": ((-1.0,),),
    "geometric_": ((1.5,), (-0.5,), (0.0,)), "log_normal_": ((0.0, -1.0), (0.0, 0.0)), "normal_": ((0.0, -1.0),),
    "random_": ((5, 3), (0,), (4, 4)), "uniform_": ((2.0, 1.0),),
}  # fmt: skip


def impossible_fills(cell: Cell) -> Inputs:
    """The subject with parameters outside of its range."""
    method = cell.subject_name or ""
    rows = coverings(1, ((1,), (17,), (2, 3)), IMPOSSIBLE[method], FLOATING, LIKE_WEIGHTS)
    return Inputs([_fill(cell, method, seed, *row) for seed, row in enumerate(rows)])


# ---- generators ----

# Arguments with which two fills hardly ever draw the same.
DRAWING = {"bernoulli_": (0.5,), "geometric_": (0.25,), "random_": (100,)}


def repeated_fills(cell: Cell) -> Inputs:
    """The subject into single elements, odd numbers of them and vectors with a tail, in every layout."""
    return _drawing(cell, (1,), (3,), (17,), (5, 29))


def renewed_fills(cell: Cell) -> Inputs:
    """The subject into so many elements that two fills are never the same by chance."""
    return _drawing(cell, (5, 29), (145,))


def seeded_fills(cell: Cell) -> Inputs:
    """Some of these, one of each element type at least: to seed every generator takes its time."""
    return Inputs(list(renewed_fills(cell).corners)[::5])


def _drawing(cell: Cell, *shapes: tuple[int, ...]) -> Inputs:
    method = cell.subject_name or ""
    more = {"bernoulli_": ("bool", "integral"), "geometric_": ("integral",), "random_": ("integral",)}
    dtypes = family("floating", *more.get(method, ("complex",) if method == "normal_" else ()))
    rows = coverings(1, shapes, (DRAWING.get(method, ()),), dtypes, DISJOINT)
    return Inputs([_fill(cell, method, seed, *row) for seed, row in enumerate(rows, 900)])


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
