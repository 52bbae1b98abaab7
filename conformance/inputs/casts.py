"""Conversions and clones: the inputs of to, its shorthands and clone, and the pairs of element types to convert.

References: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to.html and
https://docs.pytorch.org/docs/stable/generated/torch.clone.html
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.cases import Inputs
from conformance.engine.documentation import MISSING, resolve
from conformance.inputs.bridges import PART_TYPES, Applied
from conformance.inputs.covering import covering
from conformance.inputs.crossings import (
    ABOVE_GRAIN,
    ALL,
    ARRAY_FORMS,
    COMPLEX,
    DIFFERENTIABLE,
    FEW,
    FLOATS,
    HISTORY,
    LAZY,
    LEAF,
    ORDERS,
    PARAMETER,
    REPEATED,
    TENSOR_FORMS,
    VALUES,
    Form,
    applied,
    applied_seen,
    crossed_once,
    listed,
    make_applied_seen,
    make_seen,
    make_tensor,
    merged,
    states_of,
)  # fmt: skip
from conformance.inputs.dtypes import ELEMENT_TYPES, family, limits, representable
from conformance.inputs.ndarrays import LISTED, array
from conformance.inputs.tensors import corner, strided
from conformance.inputs.values import values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def convertible(source: str, target: str) -> tuple[str, str] | None:
    """Kind and domain of values whose conversion is defined, or None where no page defines any."""
    from_, to = ELEMENT_TYPES[source].kind, ELEMENT_TYPES[target].kind
    if from_ == "complex" and to != "complex":
        return None
    if to in ("unsigned", "signed") and from_ == "floating":
        return "ordinary", "small-nonnegative" if to == "unsigned" else "small"
    exact = to in (from_, "bool") or {to, from_} == {"signed", "unsigned"}
    return "special" if exact else "ordinary", "any"


def convertible_data(source: str, target: str) -> tuple[Any, ...]:
    """Values of ``source`` with a defined conversion, those with more digits than ``target`` has included."""
    kind, domain = convertible(source, target) or ("", "")
    data = values(source, kind, domain) + values(source, "ordinary", domain)
    more: tuple[Any, ...] = ()
    if ELEMENT_TYPES[source].kind == "floating":
        more = tuple(representable(np.array(_FRACTIONS), source).tolist())
    if ELEMENT_TYPES[source].kind in ("signed", "unsigned") and ELEMENT_TYPES[target].kind in ("floating", "complex"):
        more = tuple(x for x in _WHOLE if _is_held(source, x) and _is_held(target, x))
    if ELEMENT_TYPES[source].kind == "floating" and ELEMENT_TYPES[target].kind in ("signed", "unsigned"):
        more = tuple(float(x) for x in (16777217, *_WHOLE[:-1]) if _is_held(source, x) and _is_held(target, x))
    mixed = [x for pair in zip_longest(more, data) for x in pair if x is not None]  # so that few elements meet both
    return tuple({repr(x): x for x in mixed}.values())


# Of many digits; two are subnormal in float16, and one in float32.
_FRACTIONS = (-0.0, 0.1, 1 / 3, 2.7182818284590452, 7.7, 3 * 2.0**-17, -5 * 2.0**-22, 1e-45)
# How a whole number is rounded is left to the machine, so that these count only where the target holds them exactly.
_WHOLE = (
    127, 255, 2048, -2040, 40960, 65280, 2**24 - 1, -(2**24) + 1, 3 * 2**28, -(2**30), 2**31 - 128, 2**53 - 1,
    -(2**53) + 1, 2**62,
)  # fmt: skip


def _is_held(dtype: str, value: int) -> bool:
    low, high = limits(PART_TYPES.get(dtype, dtype))
    return bool(low <= value <= high) and bool(representable(np.array(value), dtype).real.item() == value)


def conversions(cell: Cell, *expressions: str, forms: tuple[Form, ...] = TENSOR_FORMS) -> Inputs:
    """Every element type to every other one; ``{0}`` stands for the target in an expression.

    Each pair meets one form with many elements and one form of any kind.
    """
    cases = []
    wide = [form for form in forms if prod(form[0]) > 16]
    pairs = [(a, b) for a in ALL for b in ALL if a != b and convertible(a, b)]
    for turn, (source, target) in enumerate(pairs):
        data = convertible_data(source, target)
        for step, form in enumerate((wide[turn % len(wide)], forms[turn % len(forms)])):
            plan = strided(source, *form, data, cell.target.device)
            expression = expressions[(turn + step) % len(expressions)]
            cases.append(Applied(plan, expression.format(f"torch.{target}"), target))
    return listed(*cases)


def truncations(cell: Cell) -> Inputs:
    """Floats with a fraction, up to the last one whose integral part the target holds."""
    fractions = (
        0.5,
        -0.5,
        0.99,
        -0.99,
        1.5,
        -1.5,
        2.5,
        -2.5,
        2.999,
        -2.999,
        126.5,
        -127.5,
        100.25,
        7.75,
        -3.0,
        0.0,
    )
    edges: dict[str, tuple[float, ...]] = {
        "int8": (127.5, -128.5), "int16": (2047.5, -2047.5, 32767.5, -32768.5),
        "int32": (4095.5, -4095.5, 2.0**30, 2.0**31 - 0.5, -(2.0**31) - 0.5),
        "int64": (8191.5, -8191.5, 2.0**32 + 0.5, -(2.0**40) - 0.5, 2.0**52 - 0.5, 2.0**62, -(2.0**63)),
        "uint8": (255.5,), "uint16": (511.5, 65535.5), "uint32": (1023.75, 2.0**31, 2.0**32 - 0.5),
        "uint64": (2047.5, 2.0**40 + 0.5, 2.0**62),
    }  # fmt: skip
    cases = []
    for source in FLOATS:
        for target in family("integral", "barebones"):
            signed = ELEMENT_TYPES[target].kind == "signed"
            wanted = [x for x in (*edges[target], *fractions) if signed or x > -1]
            exact = tuple(x for x in wanted if _held(source, x))
            for shape, layout in (
                ((len(exact),), "contiguous"),
                ((65,), "contiguous"),
                ((2, 9), "transposed"),
                ((), "offset"),
            ):
                plan = strided(source, shape, layout, exact, cell.target.device)
                cases.append(Applied(plan, f"x.to(torch.{target})", target))
    return listed(*cases)


def _held(dtype: str, value: float) -> bool:
    return float(representable(np.array(value), dtype)) == value


GRADIENT_PAIRS = tuple(
    (a, b) for a in DIFFERENTIABLE for b in DIFFERENTIABLE if a != b and not (a in COMPLEX and b not in COMPLEX)
)


def histories(cell: Cell, *expressions: str) -> Inputs:
    """Leaves and tensors with a history, and every other differentiable type to convert them to."""
    rows = covering(GRADIENT_PAIRS, FEW, (LEAF, HISTORY), expressions)
    return listed(
        *(
            Applied(make_seen(cell.target.device, steps, source, form), call.format(f"torch.{target}"), target)
            for (source, target), form, steps, call in rows
        )
    )


def array_conversions_to(cell: Cell, expression: str) -> Inputs:
    """Arrays of every listed type, and every other type to convert them to; forms as in ``conversions``."""
    cases = []
    wide = [form for form in ARRAY_FORMS if 4 < prod(form[0]) < 100]
    for turn, (source, target) in enumerate((a, b) for a in LISTED for b in ALL if a != b and convertible(a, b)):
        data = convertible_data(source, target)
        for form in (wide[turn % len(wide)], ARRAY_FORMS[turn % len(ARRAY_FORMS)]):
            cases.append(Applied(array(source, *form, data), expression.format(f"torch.{target}"), target))
    return listed(*cases)


# ---- to, clone and their relatives ----


def to_same(cell: Cell) -> Inputs:
    """Tensor.to with nothing to change, in every spelling, in every state of autograd and lazily seen."""
    calls = (
        "x.to(x.dtype)", "x.to(x.device)", "x.to(x)", "x.to(x.device, x.dtype)", "x.to(dtype=x.dtype, copy=False)",
        "x.to(device=x.device)", "x.to(x.dtype, non_blocking=True)", "x.to(str(x.device))",
        "x.to(torch.empty(0, dtype=x.dtype, device=x.device))", "x.to(dtype=x.dtype, device=x.device)",
    )  # fmt: skip
    states = applied_seen(cell, (LEAF, HISTORY, PARAMETER), *calls)
    return merged(applied(cell, *calls), states, applied_seen(cell, LAZY, *calls, dtypes=COMPLEX))


def to_copied(cell: Cell) -> Inputs:
    """Tensor.to(copy=True) with nothing to change."""
    calls = (
        "x.to(x.dtype, copy=True)", "x.to(x, copy=True)", "x.to(x.device, copy=True)",
        "x.to(x.device, x.dtype, copy=True)", "x.to(x.dtype, False, True)", "x.to(x, False, True)",
    )  # fmt: skip
    return merged(applied(cell, *calls), *states_of(cell, *calls))


def to_conversions(cell: Cell) -> Inputs:
    """Tensor.to with every other element type; of lazily seen tensors too, and above the grain of parallel loops."""
    calls = (
        "x.to({0})", "x.to(x.device, {0})", "x.to(dtype={0})", "x.to({0}, copy=True)",
        "x.to(torch.empty(0, dtype={0}, device=x.device))", "x.to({0}, non_blocking=True)",
        "x.to(x.device, {0}, False, True)", "x.to({0}, False, True)", "x.to(dtype={0}, device=x.device)",
    )  # fmt: skip
    device = cell.target.device
    cases = list(conversions(cell, *calls, forms=TENSOR_FORMS + REPEATED).corners)
    for source, target in (
        ("float32", "float64"),
        ("int16", "float32"),
        ("float32", "bfloat16"),
        ("uint8", "int64"),
    ):
        plan = corner(source, (32769,), "stepped", "ordinary", "small", device)
        cases.append(Applied(plan, f"x.to(torch.{target})", target))
    for steps, source, form in covering((*LAZY, LEAF, HISTORY), ("complex32", "complex64"), TENSOR_FORMS):
        cases.append(Applied(make_seen(device, steps, source, form, "special"), "x.to(torch.complex128)", "complex128"))
    return listed(*cases)


def to_formats(cell: Cell) -> Inputs:
    """Tensor.to with another element type, of every element type in every form."""
    calls = ("x.to(torch.complex128)", "x.to(x.device, torch.complex64)", "x.to(dtype=torch.complex64)")
    others = tuple(dtype for dtype in ALL if dtype not in ("complex64", "complex128"))
    ordered = applied(cell, calls[0], dtypes=others, forms=ORDERS)
    return merged(applied(cell, *calls, dtypes=others), applied(cell, "x.to(x.dtype, copy=True)"), ordered)


def to_integral(cell: Cell) -> Inputs:
    """Tensor.to with an integer type or bool, of tensors that require grad."""
    calls = tuple(f"x.to(torch.{name})" for name in family("bool", "integral"))
    return crossed_once(make_applied_seen, cell.target.device, calls, (LEAF, HISTORY), FLOATS, FEW, ("zeros",))


SHORTHANDS = {
    "float32": "float", "float64": "double", "float16": "half", "bfloat16": "bfloat16", "int64": "long", "int32": "int",
    "int16": "short", "int8": "char", "uint8": "byte", "bool": "bool", "complex64": "cfloat", "complex128": "cdouble",
}  # fmt: skip


def legacy_name(dtype: str, device: str) -> str:
    """``torch.HalfTensor`` of float16, as ``Tensor.type`` names it."""
    parts = {"complex32": "ComplexHalf", "complex64": "ComplexFloat", "complex128": "ComplexDouble"}
    name = parts.get(dtype) or SHORTHANDS.get(dtype, dtype).capitalize()
    name = {"Bfloat16": "BFloat16", "Uint16": "UInt16", "Uint32": "UInt32", "Uint64": "UInt64"}.get(name, name)
    return f"torch.{'' if device == 'cpu' else device.split(':')[0] + '.'}{name}Tensor"


def named_types(cell: Cell) -> Inputs:
    """Tensor.type without an argument."""
    device = cell.target.device
    return listed(
        *(
            Applied(make_tensor(device, dtype, form), "x.type()", legacy_name(dtype, device))
            for dtype in ALL
            for form in FEW
        )
    )


def shorthands_same(cell: Cell) -> Inputs:
    """Shorthands with nothing to change."""
    device = cell.target.device
    plans: list[Any] = [
        make_tensor(device, dtype, form) for dtype in ALL for form in (*TENSOR_FORMS, *REPEATED, ABOVE_GRAIN)
    ]
    plans += [make_seen(device, steps, dtype, form) for steps in LAZY for dtype in COMPLEX for form in FEW]
    plans += [
        make_seen(device, steps, dtype, form) for steps in (LEAF, HISTORY) for dtype in DIFFERENTIABLE for form in FEW
    ]
    cases = []
    for plan in plans:
        calls = ["x.type(x.dtype)", "x.type_as(x)", "x.type(x.type())"]
        calls += [f"x.{SHORTHANDS[plan.dtype]}()"] if plan.dtype in SHORTHANDS else []
        calls += ["x.cpu()"] if device == "cpu" else []
        cases += [Applied(plan, call) for call in calls]
    return listed(*cases)


def shorthands(cell: Cell) -> Inputs:
    """Shorthands with a conversion to make."""
    cases = []
    for case in conversions(
        cell,
        "x.type({0})",
        "x.type_as(torch.empty(0, dtype={0}, device=x.device))",
        "x.type({0}, non_blocking=True)",
    ).corners:
        cases.append(case)
        if case.dtype in SHORTHANDS:
            cases.append(Applied(case.plan, f"x.{SHORTHANDS[case.dtype]}()", case.dtype))
        if len(cases) % 5 == 0:  # a type given as text, or as the class that tensors of old had
            name = legacy_name(case.dtype, cell.target.device)
            classed = case.dtype in SHORTHANDS and "complex" not in case.dtype and resolve(name) is not MISSING
            wrapped = name if classed and len(cases) % 2 else repr(name)
            cases.append(Applied(case.plan, f"x.type({wrapped})", case.dtype))
    return listed(*cases)


def cloned(cell: Cell) -> Inputs:
    """clone of tensors, lazily seen ones too, and of one above the grain of parallel loops."""
    calls = ("x.clone()", "torch.clone(x)", "x.clone(memory_format=torch.contiguous_format)")
    lazy = crossed_once(make_applied_seen, cell.target.device, calls, LAZY, COMPLEX, TENSOR_FORMS, VALUES)
    unrecorded = applied_seen(cell, (LEAF, HISTORY), "torch.no_grad()(type(x).clone)(x)")
    found = merged(applied(cell, *calls), lazy, unrecorded)
    large = Applied(corner("float32", (32769,), "stepped", "special", "any", cell.target.device), "x.clone()")
    return Inputs([*found.corners, large], found.samples)


FORMAT = "x.contiguous(memory_format=torch.contiguous_format)"


def compact(cell: Cell) -> Inputs:
    """contiguous of tensors that are contiguous, or lie in the format that is asked for."""
    forms = tuple(form for form in TENSOR_FORMS if form[1] in ("contiguous", "offset"))
    calls = ("x.contiguous()", FORMAT)
    images = ((2, 3, 2, 2), "channels_last")
    return merged(
        crossed_once(make_applied_seen, cell.target.device, calls, ((),), ALL, forms, ("ordinary",)),
        applied_seen(cell, (LEAF, HISTORY, PARAMETER), *calls, forms=forms[:3]),
        applied_seen(cell, ((),), "x.contiguous(memory_format=torch.channels_last)", dtypes=ALL, forms=(images,)),
    )


def scattered(cell: Cell) -> Inputs:
    """contiguous of tensors that are not, of lazily seen ones too."""
    forms: tuple[Form, ...] = (
        ((2, 3), "transposed"), ((17,), "stepped"), ((2, 3, 4), "sliced"), ((2, 3), "expanded"),
        ((2, 3, 4), "permuted"), ((2, 3, 2, 2), "channels_last"),
    )  # fmt: skip
    calls = ("x.contiguous()", FORMAT)
    return merged(
        crossed_once(make_applied_seen, cell.target.device, calls, ((),), ALL, forms, VALUES),
        applied_seen(cell, LAZY, *calls, dtypes=COMPLEX, forms=forms),
    )


def reinterpreted(cell: Cell) -> Inputs:
    """view of tensors as another element type: of the same size in any layout, of another one in rows."""
    alike: tuple[Form, ...] = (((2, 3), "transposed"), ((), "offset"), ((17,), "stepped"), ((0, 3), "contiguous"))
    cases = []
    for turn, (source, target) in enumerate((a, b) for a in ALL for b in ALL if a != b != "bool"):
        same = ELEMENT_TYPES[source].itemsize == ELEMENT_TYPES[target].itemsize
        if same or turn % 2:
            form = alike[turn % len(alike)] if same else ((3, 16), "contiguous")
            plan = make_tensor(cell.target.device, source, form, "special")
            if not same and turn % 4 == 1:  # rows with gaps between them, from the middle of a storage on
                plan = replace(plan, stride=(32, 1), offset=16, size=96, layout="sliced")
            cases.append(Applied(plan, f"x.view(torch.{target})", target, exact=True))
    return listed(*cases)


def unfit_for_reinterpretation(cell: Cell) -> Inputs:
    """view as an element type of another size, of tensors that miss one of the conditions that it has."""
    scattered = [((), "offset", "int16"), ((2, 4), "transposed", "int16"), ((4,), "stepped", "int16")]
    apart = [((4,), "offset", "int32"), ((2, 3), "contiguous", "int32"), ((2, 2), "contiguous", "float64")]
    plans = [(make_tensor(cell.target.device, "int32", (shape, layout)), to) for shape, layout, to in scattered]
    for source in ("int16", "float16", "bfloat16"):
        plans += [(make_tensor(cell.target.device, source, (shape, layout)), to) for shape, layout, to in apart]
        odd = make_tensor(cell.target.device, source, ((2, 2), "contiguous"))
        plans.append((replace(odd, stride=(3, 1), size=6, layout="sliced"), "float32"))
        plans.append((make_tensor(cell.target.device, source, ((), "contiguous")), "float32"))
    return listed(*(Applied(plan, f"x.view(torch.{to})", to, exact=True) for plan, to in plans))


def ordered(cell: Cell, *calls: str) -> Inputs:
    """The calls on tensors of every form, and of every order of the axes."""
    return merged(applied(cell, *calls), applied(cell, *calls, forms=ORDERS))


def cloned_graphs(cell: Cell) -> Inputs:
    """clone of leaves and of tensors with a history."""
    return applied_seen(
        cell,
        (LEAF, HISTORY, PARAMETER),
        "x.clone()",
        "torch.clone(x)",
        "x.clone(memory_format=torch.contiguous_format)",
        forms=TENSOR_FORMS,
    )


def gapped(cell: Cell) -> Inputs:
    """clone of tensors with gaps or repeated places, their axes in order and out of it."""
    forms: tuple[Form, ...] = (
        ((2, 3), "stepped"), ((33,), "stepped"), ((2, 3, 4), "sliced"), ((2, 3), "expanded"), ((2, 3), "overlapping"),
        ((3, 2), "widened"),
    )  # fmt: skip
    plain = applied(cell, "x.clone()", forms=forms)
    permuted = [
        Applied(
            strided(dtype, (3, 4), "transposed", tuple(values(dtype)), cell.target.device),
            "x[:, ::2].clone()",
        )
        for dtype in ALL
    ]
    return Inputs([*plain.corners, *permuted])
