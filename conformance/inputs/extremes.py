"""Extremes: calls on the numbers at the ends of an operation's range, which its general cells leave out.

Each of these is documented, and each is a fault of some release: a behaviour of its own shows it, and the general
cells stay sharp for everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.dtypes import ELEMENT_TYPES, family, limits
from conformance.inputs.tensors import strided
from conformance.inputs.values import values
from conformance.oracles.references.elementwise import inverse, power, quotient, scaled_by_power_of_two
from conformance.oracles.references.special import error_function, gamma_lower, gamma_upper, psi_derivative

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# One element, and as many as fill a vector register of each element type, with and without a tail.
LENGTHS = (1, 8, 17, 33, 65)
LAYOUTS = ("contiguous", "stepped", "offset")


class Barest(Call):
    """A call of which nothing can be left out: each attempt at a simpler one would cost a process."""

    def reductions(self) -> Iterator[Call]:
        """None."""
        return iter(())


def far_apart(cell: Cell) -> Inputs:
    """Dividends and divisors so far apart that their quotient is larger than any number of the type."""
    found = []
    for dtype in family("floating"):
        low, high = limits(dtype)
        small = 2.0 ** ELEMENT_TYPES[dtype].min_exponent
        for turn, count in enumerate(LENGTHS):
            for divisor in (small, -small, 1.5):
                self_ = strided(dtype, (count,), LAYOUTS[turn % 3], (high, low, 3.0, high / 2), cell.target.device)
                other = strided(dtype, (count,), "contiguous", (divisor,), cell.target.device)
                found.append(Call(cell.subject_name or "", self_, (other if turn % 2 else divisor,)))
    return Inputs(found)


def lowest_by_minus_one(cell: Cell) -> Inputs:
    """The lowest integer of each signed type, divided by -1 as a number and as a tensor."""
    name, found = cell.subject_name or "", []
    modes: tuple[str | None, ...] = ("trunc", "floor") if name in ("div_", "divide_") else (None,)
    for dtype in ("int8", "int16", "int32", "int64"):
        # of the narrow types, which are computed in a wider one, a single element says all
        for turn, count in enumerate((1, 65) if dtype in ("int32", "int64") else (1,)):
            for mode in modes:
                low = int(limits(dtype)[0])
                self_ = strided(dtype, (count,), "contiguous", (3, low), cell.target.device)
                self_ = self_ if count > 1 else strided(dtype, (1,), "contiguous", (low,), cell.target.device)
                other = strided(dtype, (count,), "contiguous", (-1,), cell.target.device)
                keywords = {"rounding_mode": mode} if mode else {}
                found.append(Barest(name, self_, (-1 if turn else other,), keywords))
    return Inputs(found)


def number_exponents(cell: Cell) -> Inputs:
    """Powers of special and ordinary numbers with one number as the exponent."""
    names = ("float64",) if cell.subject_name == "float_power_" else family("floating")
    found = []
    for dtype in names:
        for turn, exponent in enumerate((0.5, 2, 3, -1, -0.5, -2, 0, 1, 2.5)):
            for kind in ("ordinary", "special"):
                data = values(dtype, kind)
                count = (len(data), 33)[turn % 2]
                self_ = strided(dtype, (count,), LAYOUTS[turn % 3], data, cell.target.device)
                found.append(Call(cell.subject_name or "", self_, (exponent,), accuracy="elementary"))
    return Inputs(found)


def infinite_arguments(cell: Cell) -> Inputs:
    """Infinities alone, among ordinary numbers, and in a long vector."""
    inf = float("inf")
    found = []
    for dtype in family("floating"):
        for turn, count in enumerate(LENGTHS):
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], (inf, -inf), cell.target.device)
            found.append(Call("i0_", self_))
    return Inputs(found)


def subnormal_divisors(cell: Cell) -> Inputs:
    """Zero, and each divisor itself, divided by complex numbers with a subnormal part and no larger one."""
    found = []
    for dtype in family("complex"):
        element = ELEMENT_TYPES[dtype]
        least, more = 2.0 ** (element.min_exponent - element.mantissa), 2.0 ** (element.min_exponent - 5)
        divisors = (complex(more, more), complex(more, 0.0), complex(0.0, -more), complex(least, 0.0))
        for turn, divisor in enumerate(divisors):
            for count in (1, 9, 33):
                for dividend in (0j, divisor):
                    self_ = strided(dtype, (count,), LAYOUTS[turn % 3], (dividend,), cell.target.device)
                    other = strided(dtype, (count,), "contiguous", (divisor,), cell.target.device)
                    found.append(Call(cell.subject_name or "", self_, (other,)))
    return Inputs(found)


def subnormal_numbers(cell: Cell) -> Inputs:
    """Complex numbers of subnormal parts, on an axis or with parts as 3 to 4, so that their magnitude is exact."""
    found = []
    for dtype in family("complex"):
        element = ELEMENT_TYPES[dtype]
        least = 2.0 ** (element.min_exponent - element.mantissa)
        for turn, (real, imag) in enumerate(((1, 0), (0, -1), (3, -4), (-4, 3), (768, 1024))):
            for count in LENGTHS:
                data = (complex(real * least, imag * least),)
                self_ = strided(dtype, (count,), LAYOUTS[(turn + count) % 3], data, cell.target.device)
                found.append(Call("sgn_", self_))
    return Inputs(found)


def huge_divisors(cell: Cell) -> Inputs:
    """Divisors whose square is larger than any number of the type, beside dividends as large and small ones."""
    found = []
    for dtype in family("complex"):
        if dtype not in ("complex64", "complex128"):
            continue
        huge = 2.0 ** (24 - ELEMENT_TYPES[dtype].min_exponent // 2)
        divisors = tuple(huge * x for x in (3 + 4j, -2j, 1 + 0.25j, -5 + 0j))
        for turn, count in enumerate(LENGTHS):
            if cell.subject_name == "reciprocal_":
                self_ = strided(dtype, (count,), LAYOUTS[turn % 3], divisors[turn % 4 :], cell.target.device)
                found.append(Call("reciprocal_", self_, (), {}, inverse, "to-float", "fused"))
                continue
            dividends = (complex(huge, 2 * huge), 1 - 2j, complex(0.0, huge))
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], dividends, cell.target.device)
            other = strided(dtype, (count,), "contiguous", divisors[turn % 4 :], cell.target.device)
            for divisor in (other, divisors[0]):
                found.append(Call(cell.subject_name or "", self_, (divisor,), {}, quotient, "to-float", "fused"))
    return Inputs(found)


def lowest_integers(cell: Cell) -> Inputs:
    """The lowest integer of each signed type, beside numbers that share a power of two with it, and odd ones."""
    found = []
    for dtype in ("int8", "int16", "int32", "int64"):
        lowest = -(2 ** (8 * ELEMENT_TYPES[dtype].itemsize - 1))
        for turn, count in enumerate(LENGTHS):
            others = (6, -12, 1, -3, 64, 96)
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], (lowest,), cell.target.device)
            other = strided(dtype, (count,), "contiguous", others[turn % 6 :] + others[: turn % 6], cell.target.device)
            found.append(Call("gcd_", self_, (other,)))
    return Inputs(found)


def far_exponents(cell: Cell) -> Inputs:
    """Complex numbers whose real part is too large for the exponential of the type, of both signs."""
    found = []
    for dtype, far in (("complex64", 128.0), ("complex128", 1024.0)):
        for turn, count in enumerate(LENGTHS):
            values = (complex(-far, 1.0), complex(far, -2.0), complex(-4 * far, 0.5), complex(2 * far, 3.0))
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], values[turn % 4 :], cell.target.device)
            found.append(Call("sigmoid_", self_))
    return Inputs(found)


def distant_exponents(cell: Cell) -> Inputs:
    """Small numbers times powers of two larger than any number of the type, and large ones times ones as small."""
    found = []
    for dtype in family("floating"):
        top, mantissa = -ELEMENT_TYPES[dtype].min_exponent, ELEMENT_TYPES[dtype].mantissa
        pairs = (
            (1.5 * 2.0**-top, 2 * top - 4),
            (-(2.0 ** (-top // 2)), top + 4),
            (1.25 * 2.0 ** (top + 1), -top - mantissa - 2),
        )
        for turn, count in enumerate(LENGTHS):
            number, exponent = pairs[turn % 3]
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], (number, 0.0, -number), cell.target.device)
            for whole in ("int32", "int64"):
                other = strided(whole, (count,), "contiguous", (exponent,), cell.target.device)
                found.append(Call("ldexp_", self_, (other,), {}, scaled_by_power_of_two, "to-float", "fused"))
    return Inputs(found)


def whole_arguments(cell: Cell) -> Inputs:
    """Whole numbers other than zero, of both signs."""
    found = []
    for dtype in family("floating"):
        for turn, count in enumerate(LENGTHS):
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], (1.0, -2.0, 3.0, -7.0, 12.0), cell.target.device)
            found.append(Call("sinc_", self_))
    return Inputs(found)


def complex_not_numbers(cell: Cell) -> Inputs:
    """Complex numbers of which one part or both is NaN or infinite, with and without numbers to put in their place."""
    nan, inf = float("nan"), float("inf")
    data = (complex(nan, 1.0), complex(2.0, inf), complex(-inf, nan), complex(nan, -inf), 3 - 4j)
    keywords: tuple[dict[str, float], ...] = ({}, {"nan": 1.0, "posinf": 2.0, "neginf": -3.0}, {"posinf": 2.5})
    found = []
    for dtype in family("complex"):
        for turn, count in enumerate(LENGTHS):
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], data[turn % 3 :] + data[: turn % 3], cell.target.device)
            found.append(Call("nan_to_num_", self_, (), keywords[turn % 3]))
    return Inputs(found)


def second_derivatives_of_log_gamma(cell: Cell) -> Inputs:
    """polygamma_ of order 1 in float64, on the domain of the general cell."""
    found = []
    for turn, count in enumerate(LENGTHS):
        data = values("float64", "ordinary", "small-positive")
        self_ = strided("float64", (count,), LAYOUTS[turn % 3], data[turn:] + data[:turn], cell.target.device)
        found.append(Call("polygamma_", self_, (1,), {}, psi_derivative, "to-float", "special"))
    return Inputs(found)


def large_shapes_of_gamma(cell: Cell) -> Inputs:
    """Whole numbers above 20, where releases change to an expansion, beside numbers less than a third larger."""
    reference = gamma_lower if cell.subject_name == "igamma_" else gamma_upper
    found = []
    for turn, count in enumerate(LENGTHS):
        shapes, ends = (30.0, 21.0, 24.0, 27.0), (30.0, 25.0, 22.0, 31.0)
        self_, other = (
            strided("float64", (count,), LAYOUTS[turn % 3], data[turn:] + data[:turn], cell.target.device)
            for data in (shapes, ends)
        )
        found.append(Call(cell.subject_name or "", self_, (other,), {}, reference, "to-float", "accumulated"))
    return Inputs(found)


def largest_powers(cell: Cell) -> Inputs:
    """The largest numbers to powers just below 1, as a number and as a tensor."""
    found = []
    for dtype in ("float64",) if cell.subject_name == "float_power_" else ("float32", "float64"):
        high = limits(dtype)[1]
        below = 1 - 2.0 ** (-ELEMENT_TYPES[dtype].mantissa - 1)
        for turn, count in enumerate(LENGTHS):
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], (high, high / 2), cell.target.device)
            other = strided(dtype, (count,), "contiguous", (below,), cell.target.device)
            for exponent in (below, other):
                found.append(Call(cell.subject_name or "", self_, (exponent,), {}, power, "arithmetic", "elementary"))
    return Inputs(found)


def tiny_arguments(cell: Cell) -> Inputs:
    """Numbers so small that the error function is a line there, down to the smallest normal ones."""
    found = []
    for dtype in family("floating"):
        least = max(ELEMENT_TYPES[dtype].min_exponent, -100)  # above what a processor may flush to zero
        data = tuple(sign * 2.0**power for power in (least, least + 2, -13, -10) for sign in (1.0, -1.5))
        for turn, count in enumerate(LENGTHS):
            self_ = strided(dtype, (count,), LAYOUTS[turn % 3], data, cell.target.device)
            found.append(Call("erf_", self_, (), {}, error_function, "to-float", "special"))
    return Inputs(found)


def signed_zeros(cell: Cell) -> Inputs:
    """Zeros of both signs, alone and in vectors."""
    found = []
    for dtype in family("floating"):
        for turn, count in enumerate(LENGTHS):
            for layout in LAYOUTS[: 1 + turn % 3]:
                self_ = strided(dtype, (count,), layout, (-0.0, 0.0, -0.0), cell.target.device)
                found.append(Call(cell.subject_name or "", self_))
    return Inputs(found)
