"""Makers: how one choice of a row's factors becomes a call, for operators that work element by element or on
whole tensors. ``index_makers`` has those that take indices or masks.

A maker is two functions: the factors that follow self's element type, and the call. Operands keep to the
documented shapes, element types and domains; a level that a row cannot have falls back to one that it can.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from conformance.inputs.calls import Call, Seeded
from conformance.inputs.dtypes import family
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.operands import (
    by_family,
    domain_of,
    dtypes_of,
    family_of,
    narrowed,
    related_dtype,
    related_shape,
)
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.catalogue import Argument, Operator, Variant

Factors = tuple[tuple[Any, ...], ...]

EMPTY = ((0,), (0, 3), (2, 0, 3))
ONES = ((1,), (1, 3, 1))
TAILS: tuple[tuple[int, ...], ...] = ((17,), (33,), (65,))
SHAPES = ((), *EMPTY, *ONES, (2, 3), (2, 3, 4), *TAILS, (2, 3, 2, 2))
MORE_SHAPES = ((4,), (3, 1), (5, 2), (3, 2, 1, 2), (1, 1), (7, 9))
MATRICES = ((2, 3), (3, 2), (0, 3), (2, 0, 3), (1, 1), (2, 3, 4), (17, 5), (2, 3, 2, 2), (1, 3, 1), (33, 65))
LARGE = (32769,)  # one more than the grain size above which work is split among threads
LARGE_MATRIX = (129, 257)
LARGE_SIZES = (129, 3, 257)
VALUE_KINDS = ("ordinary", "special", "zeros", "zero-operand", "special-operand")
OPERAND_LAYOUTS = (*DISJOINT, "expanded")
DIMENSIONS = ("first", "last", "middle", "from-the-end", "minus-one")


def shapes_of(row: Operator, wide: bool) -> tuple[Any, ...]:
    """The shapes that self may have; a tuple of shapes is one level that takes turns, where there are many types."""
    if wide:
        return (*SHAPES, *MORE_SHAPES)
    if len(dtypes_of(row)) > 6:
        return ((), EMPTY, ONES, (2, 3), (2, 3, 4), TAILS, (2, 3, 2, 2))
    return SHAPES


def one_of(level: Any, turn: int) -> tuple[int, ...]:
    """The shape of a level: itself, or one of its shapes in turn."""
    shape: tuple[int, ...] = level[turn % len(level)] if level and isinstance(level[0], tuple) else level
    return shape


def variant_of(row: Operator, dtype: str, number: int) -> Variant:
    """The variant of that number among those documented for self's element type."""
    fitting = [v for v in row.variants if v.dtypes is None or dtype in family(*v.dtypes)]
    return fitting[number % len(fitting)]


def call_of(
    row: Operator, variant: Variant, self_: Strided, args: Sequence[Any], kwargs: dict[str, Any], kind: str
) -> Call:
    """The call, with the oracle that row and variant name."""
    from conformance.oracles.references import named

    reference = variant.reference or row.reference
    return Call(
        row.name, self_, tuple(args), kwargs, named(reference) if reference else None, row.promotion,
        variant.accuracy or by_family(row.accuracy, self_.dtype), kind,
        row.kind in ("elementwise", "copy") or row.name in ("fill_", "zero_", "apply_", "map_", "map2_"),
    )  # fmt: skip


def self_plan(
    row: Operator, variant: Variant, dtype: str, shape: tuple[int, ...], layout: str, kind: str, plans: Any
) -> Strided:
    """Self, with values in the row's domain, or the variant's where that is narrower."""
    if variant.layouts and layout not in variant.layouts:
        layout = variant.layouts[plans.turn % len(variant.layouts)]
    plan: Strided = plans.tensor(dtype, shape, layout, _self_kind(kind), narrowed(row.domain, variant, dtype))
    return plan


def _self_kind(kind: str) -> str:
    return {"zero-operand": "ordinary", "special-operand": "ordinary", "special-self": "special"}.get(kind, kind)


def _operand_kind(kind: str) -> str:
    return {
        "zeros": "ordinary", "zero-operand": "zeros", "special-operand": "special", "special-self": "ordinary",
    }.get(kind, kind)  # fmt: skip


# --- element by element ---------------------------------------------------------------------------------------


def elementwise_factors(row: Operator, wide: bool) -> Factors:
    """Layout, shape, values, and how the operands lie, broadcast and promote, and the variants."""
    arguments = row.arguments
    kinds = VALUE_KINDS if arguments else VALUE_KINDS[:3]
    shapes = ("same", "lower-rank", "one", "0-d") if any(a.shape == "broadcast" for a in arguments) else ("same",)
    numbers = ("number",) if any(a.number for a in arguments) else ()
    promotes = any(a.dtype in ("promotes", "any") for a in arguments)
    return (
        shapes_of(row, wide),
        DISJOINT,
        kinds,
        OPERAND_LAYOUTS if arguments else ("contiguous",),
        (*shapes, *numbers),
        ("same", "lower", "wider", "narrower") if promotes else ("same",),
        tuple(range(len(row.variants))),
    )


def elementwise_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """Self and its operands, each operand a tensor or a number."""
    dtype, level, layout, kind, operand_layout, relation, promotion, number = choice
    shape = one_of(level, plans.turn)
    variant = variant_of(row, dtype, number)
    args = [
        _argument(row, argument, dtype, shape, (operand_layout, relation, promotion, kind), variant, place, plans)
        for place, argument in enumerate(row.arguments[: variant.operands], 1)
    ]
    self_ = self_plan(row, variant, dtype, shape, layout, kind, plans)
    return call_of(row, variant, self_, (*args, *variant.args), variant.keywords, kind)


def _argument(
    row: Operator, argument: Argument, dtype: str, shape: tuple[int, ...], choice: tuple[str, str, str, str],
    variant: Variant, place: int, plans: Any,
) -> Any:  # fmt: skip
    layout, relation, promotion, kind = choice
    if place > 1:  # further operands differ from the first one in layout and shape
        layout = OPERAND_LAYOUTS[(OPERAND_LAYOUTS.index(layout) + place) % len(OPERAND_LAYOUTS)]
        relation = {"same": "one", "lower-rank": "same", "one": "0-d", "0-d": "same"}.get(relation, relation)
    relation = relation if argument.shape == "broadcast" or relation == "number" else "same"
    if argument.dtype == "any":
        return _any_source(dtype, related_shape(shape, relation, plans.turn), layout, promotion, kind, place, plans)
    of = related_dtype(argument, dtype, promotion)
    domain = narrowed(argument.domain, variant, dtype if family_of(dtype) == "complex" else of)
    kind = _operand_kind(kind)
    if not argument.tensor or (relation == "number" and argument.number):
        return plans.number(_number_dtype(of, dtype), kind, domain)
    relation = "0-d" if relation == "number" else relation
    extents = related_shape(shape, relation, plans.turn)
    if shape and not extents and of != dtype and of != "bool":
        # a 0-d operand of self's category takes no part in promotion: its values have to fit into self's type
        domain = _FITTING.get(domain, domain)
    return plans.tensor(of, extents, layout, kind, domain, place)


_FITTING = {
    **dict.fromkeys(("any", "finite", "long", "moderate", "not-nan", "not-lowest", "rounding"), "coarse"),
    "nonzero": "coarse-nonzero", "rounding-divisor": "coarse-nonzero",
}  # fmt: skip


def _number_dtype(of: str, dtype: str) -> str:
    # a number is converted to the type of the computation, in which it has to be exact
    return of if family_of(of) != family_of(dtype) else dtype


def _any_source(
    dtype: str, shape: tuple[int, ...], layout: str, promotion: str, kind: str, place: int, plans: Any
) -> Strided:
    """A source that is converted to self's type, with values that the conversion is defined for."""
    every = family("bool", "integral", "floating", "complex")
    of = {"same": dtype, "lower": "bool", "wider": "float64"}.get(promotion) or every[plans.turn % len(every)]
    same_family = family_of(of) == family_of(dtype) or family_of(dtype) in ("complex", "bool")
    exact = of == dtype or (same_family and family_of(of) != "complex") or family_of(of) in ("bool", "integral")
    domain = "any" if exact else ("finite" if family_of(dtype) == "floating" else "small-nonnegative")
    if family_of(of) == "complex" and of != dtype:
        domain = "small-complex" if family_of(dtype) != "complex" else "finite"
    found: Strided = plans.tensor(of, shape, layout, _operand_kind(kind), domain, place)
    return found


def large(row: Operator, choices: Factors) -> Iterator[tuple[Any, ...]]:
    """Choices with a shape above the parallel grain: contiguous and stepped, ordinary and special values."""
    if not row.contents or row.kind == "python" or row.name == "fill_diagonal_":
        return
    names = choices[0]
    if row.kind not in ("elementwise", "copy", "random", "fill"):
        # sums of many floats round, products leave the range: numbers that stay exact come first
        exact = _preferred(names, "int64" if row.kind == "scan" else "float32")
        vector = row.kind == "indexed" and row.inputs != "rows"
        for turn, (dtype, layout, kind) in enumerate(
            ((exact, "contiguous", "ordinary"), (exact, "stepped", "special"))
        ):
            shape = LARGE_SIZES if row.kind == "matrix" else LARGE if vector and turn else LARGE_MATRIX
            yield (dtype, shape, layout, kind, *(factor[turn % len(factor)] for factor in choices[4:]))
        return
    forms = [(_preferred(names, "float32"), "contiguous", "special"), (names[-1], "stepped", "ordinary")]
    if row.kind in ("copy", "fill"):  # of nothing but memory
        forms += [(name, "contiguous", "ordinary") for name in ("int64", "uint8", "bool") if name in names]
    for dtype, layout, kind in forms:
        if row.kind in ("elementwise", "copy"):
            last = choices[7][-1]
            yield (dtype, LARGE, layout, kind, "stepped", "same", "same", last)
        else:
            yield (dtype, LARGE, layout, kind, choices[4][0])


def singles(row: Operator, choices: Factors) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Turns and choices with one element, or none of the dimensions, that is NaN, an infinity or a zero with a sign."""
    shapes = [shape for level in choices[1] for shape in (one_of(level, 0), one_of(level, 1))]
    shapes = [shape for shape in dict.fromkeys(shapes) if shape in ((), (1,), (1, 1))]
    if not row.contents or row.kind in ("matrix", "python", "random") or not shapes:
        return
    kind = "special-self" if "special-operand" in choices[3] else "special"
    for n, dtype in enumerate(d for d in choices[0] if family_of(d) == "floating"):
        for turn in (0, 1, 2, 4):  # of the list of special values
            further = (factor[(turn + n) % len(factor)] for factor in choices[4:])
            yield turn, (dtype, shapes[(turn + n) % len(shapes)], "offset", kind, *further)


def _preferred(names: tuple[str, ...], name: str) -> str:
    return name if name in names else names[0]


copy_factors, copy_call = elementwise_factors, elementwise_call


# --- fills and random fills -----------------------------------------------------------------------------------


def unary_factors(row: Operator, wide: bool) -> Factors:
    """Shape, layout, values and variants."""
    shapes = (*MATRICES, *MORE_SHAPES[-3:]) if row.kind == "triangle" else shapes_of(row, wide)
    return shapes, row.layouts or DISJOINT, VALUE_KINDS[:3], tuple(range(len(row.variants)))


def unary_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """Self, and the arguments of a variant."""
    dtype, level, layout, kind, number = choice
    variant = variant_of(row, dtype, number)
    self_ = self_plan(row, variant, dtype, one_of(level, plans.turn), layout, kind, plans)
    return call_of(row, variant, self_, variant.args, variant.keywords, kind)


triangle_factors, triangle_call = unary_factors, unary_call


def fill_factors(row: Operator, wide: bool) -> Factors:
    """Shape, layout, values, and whether the value is a number or a 0-d tensor."""
    square = ((2, 2), (3, 3), (1, 1), (4, 2), (2, 3), (7, 2), (3, 3, 3), (2, 2, 2, 2), (0, 0), (9, 3))
    return (
        (square if row.name == "fill_diagonal_" else shapes_of(row, wide)),
        DISJOINT,
        VALUE_KINDS,
        tuple(range(len(row.variants))),
    )


def fill_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """Self and one value: a number, or a 0-d tensor where the row's argument allows one."""
    dtype, level, layout, kind, number = choice
    variant = variant_of(row, dtype, number)
    args: list[Any] = []
    for argument in row.arguments:
        if argument.tensor and plans.turn % 2:
            args.append(plans.tensor(dtype, (), "offset", _operand_kind(kind), "any", 1))
        else:
            args.append(plans.number(dtype, _operand_kind(kind), "any"))
    self_ = self_plan(row, variant, dtype, one_of(level, plans.turn), layout, kind, plans)
    return call_of(row, variant, self_, (*args, *variant.args), variant.keywords, kind)


random_factors = unary_factors


def random_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """Self, the distribution's parameters, and a generator of its own."""
    dtype, level, layout, kind, number = choice
    variant = variant_of(row, dtype, number)
    shape = one_of(level, plans.turn)
    self_ = self_plan(row, variant, dtype, shape, layout, kind, plans)
    args = list(variant.args)
    if not args and row.arguments and number:
        args = [plans.tensor("float32", shape, "stepped", "ordinary", domain_of(row.arguments[0].domain, "float32"), 1)]
    seeded = {**variant.keywords, "generator": Seeded(plans.turn, plans.device)}
    return call_of(row, variant, self_, args, seeded, kind)


# --- along a dimension ----------------------------------------------------------------------------------------


def scan_factors(row: Operator, wide: bool) -> Factors:
    """Shape, layout, values, dimension and variants."""
    return _along(row, shapes_of(row, wide))


def _along(row: Operator, shapes: tuple[Any, ...]) -> Factors:
    return shapes, DISJOINT, VALUE_KINDS[:3], DIMENSIONS, tuple(range(len(row.variants)))


def scan_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """Self and a dimension."""
    dtype, level, layout, kind, where, number = choice
    shape = one_of(level, plans.turn)
    variant = variant_of(row, dtype, number)
    self_ = self_plan(row, variant, dtype, shape, layout, kind, plans)
    return call_of(row, variant, self_, (dimension(len(shape), where), *variant.args), variant.keywords, kind)


def dimension(rank: int, where: str) -> int:
    """A dimension number; 0 and -1 exist for a 0-d tensor too."""
    return {
        "first": 0,
        "last": max(rank - 1, 0),
        "middle": rank // 2 if rank > 1 else 0,
        "from-the-end": -max(rank - 1, 1),
        "minus-one": -1,
    }[where]


def norm_factors(row: Operator, wide: bool) -> Factors:
    """Shape (two dimensions at least), layout, values, dimension and variants."""
    return _along(row, MATRICES)


def norm_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """renorm_(p, dim, maxnorm)."""
    dtype, shape, layout, kind, where, number = choice
    variant = variant_of(row, dtype, number)
    p, maxnorm = variant.args
    p = 2 if p == float("inf") and 0 in shape else p  # an empty slice has no largest element
    self_ = self_plan(row, variant, dtype, shape, layout, kind, plans)
    return call_of(row, variant, self_, (p, dimension(len(shape), where), maxnorm), {}, kind)


# --- matrix products ------------------------------------------------------------------------------------------

SIZES = ((2, 3, 4), (1, 1, 1), (0, 3, 2), (2, 0, 3), (2, 3, 0), (5, 17, 3), (3, 2, 33), (4, 4, 4), (65, 3, 2))
PRODUCTS = {
    "addmm": ("mn", "mk", "kn"), "addmv": ("m", "mk", "k"), "addr": ("mn", "m", "n"), "addbmm": ("mn", "bmk", "bkn"),
    "baddbmm": ("bmn", "bmk", "bkn"),
}  # fmt: skip


def matrix_factors(row: Operator, wide: bool) -> Factors:
    """Sizes, layouts of the three, values and variants."""
    return SIZES, DISJOINT, VALUE_KINDS, OPERAND_LAYOUTS, OPERAND_LAYOUTS, tuple(range(len(row.variants)))


def matrix_call(row: Operator, choice: Sequence[Any], plans: Any) -> Call:
    """Self and the two factors of the product, all of one element type."""
    dtype, (m, k, n), layout, kind, first, second, number = choice
    variant = variant_of(row, dtype, number)
    extents = {"m": m, "k": k, "n": n, "b": (2, 1, 3, 0)[plans.turn % 4]}
    target, *sources = (tuple(extents[letter] for letter in letters) for letters in PRODUCTS[row.name[:-1]])
    args = [
        plans.tensor(dtype, shape, lies, _operand_kind(kind), domain_of(argument.domain, dtype), place)
        for place, (shape, lies, argument) in enumerate(zip(sources, (first, second), row.arguments, strict=True), 1)
    ]
    # with beta=0 the documentation has NaN and infinities of self ignored
    domain = "any" if variant.keywords.get("beta") == 0 else domain_of(row.domain, dtype)
    self_ = plans.tensor(dtype, target, layout, _self_kind(kind), domain)
    return call_of(row, variant, self_, args, variant.keywords, kind)
