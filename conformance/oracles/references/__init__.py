"""References: what in-place operations are documented to compute, written out in NumPy and plain Python.

``expected`` does what all have in common: it widens the operands, computes in the promoted type, and converts
the result to self's element type as the documentation says. A reference itself gets arrays and numbers as the
call has them, self first; one that depends on the element type has a keyword-only parameter
``dtype``, one that depends on where self lies has ``plan``.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from math import lcm, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.inputs.dtypes import ELEMENT_TYPES, representable
from conformance.oracles.conversions import converted
from conformance.oracles.promotion import category, result_type

if TYPE_CHECKING:
    from conformance.inputs.calls import Call

MODULES = ("elementwise", "special", "whole", "matrix", "indexed")

# Classes of accuracy in which the result is computed once and rounded once.
ONCE = ("exact", "value", "alike")


def named(name: str) -> Any:
    """The reference that a catalogue row names: ``np.exp``, or a function of one of ``MODULES``."""
    if name.startswith("np."):
        return getattr(np, name[3:])
    for module in MODULES:
        found = getattr(importlib.import_module(f"{__name__}.{module}"), name, None)
        if found is not None:
            return found
    raise LookupError(f"reference {name!r}: expected np.<name> or a function of {__name__}.<{'|'.join(MODULES)}>")


def expected(call: Call, row: object = None) -> tuple[np.ndarray, str]:
    """The values of self after ``call``, before their last rounding, and the class of accuracy.

    Floats come in higher precision (or, where a class is exact, rounded to the promoted type), integers and bools
    as they have to be found. The call carries its reference, so ``row`` is not looked at.
    """
    short = _period(call)
    if short is not None:
        return np.resize(expected(short)[0], call.self_.shape), call.accuracy
    own = call.self_.dtype
    common = computed_in(call)
    once = call.accuracy in ONCE
    operands = [_given(x, own, common, call.promotion, once) for x in call.args]
    options = dict(call.kwargs)
    options.pop("generator", None)
    assert call.reference is not None
    wanted = getattr(call.reference, "__kwdefaults__", None) or ()
    options |= {key: value for key, value in (("dtype", common), ("plan", call.self_)) if key in wanted}
    with np.errstate(all="ignore"):
        found = call.reference(widened(call.self_.array, own, common, once), *operands, **options)
    return finished(np.asarray(found), common, own, once), call.accuracy


def _period(call: Call) -> Call | None:
    """The call on the elements of a long self and of its operands up to where all of them begin anew.

    None where an element of the result depends on more than the elements at its place, or nothing repeats.
    """
    shape, count = call.self_.shape, prod(call.self_.shape)
    if count < _LONG or not call.by_element or len(call.tensors()) != sum(hasattr(x, "data") for x in call.args):
        return None
    plans = [call.self_, *call.tensors()]
    period = lcm(*(len(plan.data) for plan in plans))
    if period * 2 > count or any(plan.shape != shape for plan in plans):
        return None
    self_, *args = (
        replace(x, shape=(period,), stride=None, offset=0, size=None) if hasattr(x, "data") else x
        for x in (call.self_, *call.args)
    )
    return replace(call, self_=self_, args=tuple(args))


_LONG = 1000  # elements of which computing the reference costs more than looking for a period


def computed_in(call: Call) -> str:
    """The element type in which the operation is computed."""
    own = call.self_.dtype
    if call.promotion in ("same", "none"):
        return own
    plans = [x for x in call.args if hasattr(x, "shape") or isinstance(x, (bool, int, float, complex))]
    found = result_type([call.self_, *plans])
    return "float32" if call.promotion == "to-float" and category(found) < 2 else found


def widened(values: np.ndarray, dtype: str, common: str, once: bool) -> np.ndarray:
    """Values of type ``dtype``, converted to ``common``, in an array of higher precision where that exists."""
    kind = ELEMENT_TYPES[common].kind
    if dtype != common:
        values = converted(values, common)
    if kind in ("floating", "complex"):
        narrow = common not in ("float64", "complex128") or once
        wide = {"floating": (np.longdouble, np.float64), "complex": (np.clongdouble, np.complex128)}[kind][narrow]
        return values.astype(wide)
    return values


def finished(values: np.ndarray, common: str, own: str, once: bool) -> np.ndarray:
    """The result in self's element type: integers and bools exactly, floats still unrounded."""
    kind = ELEMENT_TYPES[own].kind
    if kind not in ("floating", "complex"):
        return converted(values, own)
    if values.dtype.kind in "biu":
        return representable(values, common)
    if common != own and once:
        return representable(values, common)
    return values


def _given(value: Any, own: str, common: str, promotion: str, once: bool) -> Any:
    if isinstance(value, tuple):
        return tuple(_given(x, own, common, promotion, once) for x in value)
    if hasattr(value, "array"):
        if promotion in ("same", "none") and value.dtype != own:
            return value.array  # an index, a mask, a source to convert
        return widened(value.array, value.dtype, common, once)
    if isinstance(value, (bool, int, float, complex)) and promotion not in ("same", "none"):
        return widened(
            np.array(value, dtype=ELEMENT_TYPES[_number_type(value)].carrier),
            _number_type(value),
            common,
            once,
        )
    return value.build() if hasattr(value, "source") else value


def _number_type(value: Any) -> str:
    return {bool: "bool", int: "int64", float: "float64", complex: "complex128"}[type(value)]
