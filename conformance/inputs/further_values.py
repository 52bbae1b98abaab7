"""Further values: single calls on numbers and keywords that the factors of an operator leave out.

Branches of special functions beyond small arguments, keywords of other signs and kinds, matrices without a column.
Each line of the table is one call for each element type; the reference is the row's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.inputs.calls import Call
from conformance.inputs.dtypes import family
from conformance.inputs.makers import call_of
from conformance.inputs.operands import dtypes_of
from conformance.inputs.tensors import strided

if TYPE_CHECKING:
    from conformance.engine.catalogue import Operator

FAMILY = {"signed": ("int8", "int16", "int32", "int64")}
INF, NAN = float("inf"), float("nan")
EDGES = (127, -128, 100, -1)


class Further(NamedTuple):
    """One call: the families of its element types, self's numbers, and its arguments.

    A tuple among the arguments stands for a tensor like self with these numbers, and a ``Tensor`` for any other.
    """

    families: tuple[str, ...]
    data: tuple[Any, ...]
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}  # noqa: RUF012  # read only
    accuracy: str | None = None
    shape: tuple[int, ...] | None = None
    beyond: bool = False  # whether these are element types that the row leaves out
    layout: str = "contiguous"  # of self


class Tensor(NamedTuple):
    """An operand of its own shape, and of self's element type unless it has one."""

    shape: tuple[int, ...]
    data: tuple[Any, ...] = (1,)
    dtype: str | None = None


# exact in every floating type, and of several binary digits
WIDE = (1.5, 2.0, 3.25, 7.5, 12.0)
# between the poles of the gamma function
BELOW_ZERO = (-0.5, -1.5, -2.25, -3.75)
# on both sides of where the roots, logarithms and arc functions of complex numbers jump
CUT = (2 + 0j, complex(2.0, -0.0), -3 + 0j, complex(-3.0, -0.0))
TABLE: dict[str, tuple[Further, ...]] = {
    "i0_": (Further(("float32", "float64", "bfloat16"), (8.5, 10.0, -9.0, 20.0)),),
    "digamma_": (Further(("floating",), (10.5, 30.0, 100.0, 12.0)),),
    "erfc_": (Further(("float32", "float64"), (4.0, 5.5, 8.0, -5.5)),),
    "igamma_": (
        Further(("float32", "float64"), (0.5, 1.0, 3.0), ((0.0, 0.0, 0.0),)),
        Further(("float32",), (30.0, 25.0, 22.0), ((30.0, 40.0, 15.0),)),
    ),
    "igammac_": (
        Further(("float32", "float64"), (0.5, 1.0, 3.0), ((INF, INF, INF),)),
        Further(("float32",), (30.0, 25.0, 22.0), ((30.0, 40.0, 15.0),)),
    ),
    "polygamma_": (
        Further(("float32", "float64"), WIDE, (4,)),
        Further(("float64",), WIDE, (5,)),
        Further(("float32",), BELOW_ZERO, (1,)),
        Further(("float32", "float64"), BELOW_ZERO, (3,)),
    ),
    "mvlgamma_": (Further(("float32", "float64"), WIDE, (3,)), Further(("float64",), (2.0, 5.5, 9.25), (4,))),
    "ldexp_": (Further(("float32", "float64"), (1.5, -0.75, 2.0), (Tensor((3,), (20, -30, 9), "int64"),)),),
    "logit_": (Further(("floating",), (0.0, 1.0, 0.5, 0.25, 0.0), (2**-8,)),),
    "round_": (
        Further(("floating",), (-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5)),
        Further(("floating",), (INF, -INF, 0.5, -1.25), (), {"decimals": 5}, "rounded"),
        Further(("float32", "float64"), (1011 / 8192, -2.71875, 0.5, -77 / 1024), (), {"decimals": 5}, "fused"),
        Further(("float64",), (1011 / 8192, -2.71875, 123.456787109375), (), {"decimals": 4}, "fused"),
    ),
    "clamp_": (
        Further(("floating",), (1.0, -2.5, INF, -INF), (None, INF)),
        Further(("floating", "signed"), (1, -2, 3, 7), (None, (2, -3, 3, 1))),
    ),
    "pow_": (
        Further(("floating",), (4.0, 0.25, 2.0, 9.0), (-0.5,)),
        Further(("floating",), (4.0, -0.5, 2.0), (-2,)),
        Further(("floating",), (3.0, -7.0, 0.3125, 11.0), (-1,)),
    ),
    "nan_to_num_": (Further(("integral",), (1, 2, 3, 5), (), {"nan": 7.0}),),
    "add_": (
        Further(("int8",), EDGES, (EDGES,), {"alpha": 3}),
        Further(("signed", "floating", "complex"), (1, 2, 3, 5), ((7, 1, 2, 4),), {"alpha": -1}, "fused"),
        Further(("integral", "floating"), (1, 2, 3, 5), ((7, 1, 2, 4),), {"alpha": 3}, "fused"),
        Further(("floating",), (1, 2, 3, 5), ((NAN, 1.0, INF, 4.0),), {"alpha": 0}, "fused"),
        Further(("complex",), (1 + 2j, 2, 3j), ((1j, 1, 2 - 1j),), {"alpha": 1j}, "fused"),
        Further(("bool",), (True, False, False), ((False, True, False),), {"alpha": True}),
    ),
    "addcmul_": (
        Further(("complex",), (1 + 2j, 2, 3j), ((1j, 1, 2 - 1j), (2, 1j, 1 + 1j)), {"value": 1j}),
        Further(("int8", "uint8"), (100, 3, 7), ((50, 9, 2), (5, 9, 2)), {"value": 2}),
        Further(("floating",), (1.0,), (Tensor((3,), (0.5, 2.0, 4.0)), Tensor((3,), (2.0, 1.5, 0.25))), {}, None,
                (2, 2, 3)),
    ),
    "addmm_": (Further(("floating", "signed"), (1,), (Tensor((2, 0)), Tensor((0, 3))), {"beta": 0}, None, (2, 3)),),
    "addmv_": (
        Further(("floating", "signed"), (1,), (Tensor((3, 0)), Tensor((0,))), {"beta": 0}, None, (3,)),
        Further(("int8", "uint8"), (100, 7, 3), (Tensor((3, 2), (90, 17, 3)), Tensor((2,), (5, 9))), {"alpha": 3}, None,
                (3,)),
    ),
    "ge_": (Further(("bool",), (True, False), (2,)),),
    "eq_": (Further(("bool",), (True, False), (2,)),),
    "ne_": (
        Further(("bool",), (True, False), (2,)),
        Further(("bool",), (True, False), (Tensor((2,), (2, 0), "uint8"),)),
    ),
    "sub_": (Further(("int8",), EDGES, (EDGES,), {"alpha": 3}),),
    "index_fill_": (
        Further(("float32", "int64"), (1, 2, 3), (-1, Tensor((1,), (1,), "int64"), 5), {}, None, (4, 3, 2)),
    ),
    "index_copy_": (
        Further(("float32", "int64"), (1, 2, 3), (-1, Tensor((1,), (1,), "int64"), Tensor((4, 3, 1), (5, 7))), {}, None,
                (4, 3, 2)),
    ),
    "sqrt_": (
        Further(("complex128",), (1e200 + 1e200j, -3e180 + 1j)),
        Further(("complex64",), (1e30 + 1e30j, -4e20j)),
        Further(("complex64", "complex128"), CUT),
    ),
    "log_": (Further(("complex64", "complex128"), CUT),),
    "asin_": (Further(("complex64", "complex128"), CUT),),
    "acos_": (Further(("complex64", "complex128"), CUT),),
    "atanh_": (Further(("complex64", "complex128"), CUT),),
    "sgn_": (Further(("complex64",), (3e30 + 4e30j, -2.5e20j)), Further(("complex128",), (3e150 + 4e150j,))),
    "sigmoid_": (Further(("complex128",), (-6 + 0.5j, -12 - 1j, 9 + 2j)),),
    "copy_": (Further(("float32", "int64", "bool"), (1,), (Tensor((70, 70), (0.5, 1.0, 2.0), "float64"),), {}, None,
                      (70, 70)),
              Further(("float32", "int64", "complex64"), (1,), (Tensor((2, 3, 2, 2), (1, 2, 3, 5, 7)),), {}, None,
                      (2, 3, 2, 2), False, "channels_last")),
    "fill_diagonal_": (
        Further(("float32", "int64"), (1,), (5,), {}, None, (12, 12)),
        Further(("int32", "uint8"), (1,), (3.5,), {}, None, (3, 3)),
    ),
    "exp_": (
        Further(("complex64", "complex128"), (20 + 1j, -20 - 2j, 12 + 3j)),
        Further(("complex64", "complex128"), (complex(-INF, 1.0), complex(-INF, -2.0), -1 + 1j)),
    ),
    "mul_": (Further(("complex",), (complex(NAN, 0.0), 1 + 2j, complex(0.0, NAN), -3j), (0.0,)),),
    "addr_": (
        Further(("bool",), (True, False), (Tensor((2,), (True, False)), Tensor((3,), (False, True, True))), {}, None,
                (2, 3), True),
    ),
    "scatter_": (
        Further(("int8", "uint8"), (100, 7, 3), (0, Tensor((4,), (0, 1, 1, 2), "int64"), Tensor((4,), (50, 100, 9, 2))),
                {"reduce": "multiply"}),
    ),
    "tanh_": (Further(("complex64", "complex128"), (20 + 1j, -20 - 2j, 12 + 3j)),),
}  # fmt: skip


def further_values(row: Operator, device: str) -> Iterator[Call]:
    """The calls that the table lists for an operator, or for the one that it is an alias of."""
    able = dtypes_of(row)
    for further in TABLE.get(row.alias_of or row.name, ()):
        for dtype in family(*(x for name in further.families for x in FAMILY.get(name, (name,)))):
            if further.beyond or dtype in able:
                yield _call(row, further, dtype, device)


def _call(row: Operator, further: Further, dtype: str, device: str) -> Call:
    shape = further.shape or (len(further.data),)
    args = [_operand(value, dtype, shape, device) for value in further.args]
    self_ = strided(dtype, shape, further.layout, further.data, device)
    call = call_of(row, row.variants[0], self_, args, further.keywords, "further")
    return replace(call, accuracy=further.accuracy) if further.accuracy else call


def _operand(value: Any, dtype: str, shape: tuple[int, ...], device: str) -> Any:
    if isinstance(value, Tensor):
        return strided(value.dtype or dtype, value.shape, "contiguous", value.data, device)
    return strided(dtype, shape, "contiguous", value, device) if isinstance(value, tuple) else value
