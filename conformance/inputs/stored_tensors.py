"""Stored tensors: tensors that are saved and loaded, pickled or copied.

Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html#saving-and-loading-tensors
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import Varied, crossed, enumerated
from conformance.inputs.crossings import VALUES, Form, make_tensor
from conformance.inputs.dtypes import family
from conformance.inputs.leaves import DIFFERENTIABLE_TYPES, LEAF_FORMS
from conformance.inputs.stored_files import MAPPED, PLAIN, READERS, ROUTES, WRITERS, Route
from conformance.inputs.tensors import Strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

STORED_TYPES = family("floating", "complex", "integral", "bool")
# Types without a class of storages of their own, which is what the old format names.
YOUNG_TYPES = family("barebones", "half-complex")
STORED_FORMS: tuple[Form, ...] = (*LEAF_FORMS, ((2, 0, 3), "stepped"), ((33,), "offset"), ((3, 3), "overlapping"))


@dataclass(frozen=True, eq=False)
class Stored:
    """A planned tensor ``x``, what is made of it to be kept, and the route that it takes."""

    plan: Strided
    expression: str = "x"
    route: Route = PLAIN
    look: str = "print(found)"  # what the listing does in the end

    def build(self) -> Any:
        """What is to be saved."""
        return eval(self.expression, {"torch": torch, "x": self.plan.build()})

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "calls": self.expression, "routes": self.route.words()}

    def reductions(self) -> Iterator[Stored]:
        """A plainer route, and simpler tensors."""
        if self.route != PLAIN:
            yield replace(self, route=PLAIN)
        if self.expression == "x":
            for plan in self.plan.reductions():
                yield replace(self, plan=plan)

    def code(self) -> str:
        """The round trip in plain torch."""
        made = [f"x = {self.plan.code()}"] + ([f"x = {self.expression}"] if self.expression != "x" else [])
        return "\n".join([*made, *self.route.lines(), self.look])


def make_stored(
    device: str, expression: str, dtype: str, form: Form, route: Route, data: str | bytes = "ordinary"
) -> Stored:
    """A tensor of one form, kept by one route."""
    return Stored(make_tensor(device, dtype, form, data), expression, route)


ZIPPED = tuple(route for route in ROUTES if not route.legacy)
ROUTE_DRAWS = Varied(ROUTES, lambda: _sampled(ROUTES))


def _sampled(choices: tuple[Any, ...]) -> Any:
    from hypothesis import strategies as st

    return st.sampled_from(choices)


def stored_tensors(cell: Cell) -> Inputs:
    """Every element type in every form, by every route."""
    return crossed(make_stored, cell.target.device, ("x",), STORED_TYPES, STORED_FORMS, ROUTE_DRAWS, VALUES, passes=1)


def stored_youngest(cell: Cell) -> Inputs:
    """The types without a class of storages of their own, in an archive, mapped or not."""
    return enumerated(make_stored, cell.target.device, ("x",), YOUNG_TYPES, STORED_FORMS, ZIPPED)


def stored_flags(cell: Cell) -> Inputs:
    """Tensors that require grad and that do not, leaves and parameters."""
    return _flagged(cell.target.device, DIFFERENTIABLE_TYPES, STORED_FORMS, ROUTE_DRAWS)


def mapped_flags(cell: Cell) -> Inputs:
    """The same in mapped files, which take longer."""
    return _flagged(cell.target.device, DIFFERENTIABLE_TYPES[::2], STORED_FORMS[::3], (MAPPED,))


def _flagged(device: str, types: tuple[str, ...], forms: tuple[Form, ...], routes: Any) -> Inputs:
    expressions = (
        "x.requires_grad_()",
        "x",
        "torch.nn.Parameter(x)",
        "torch.nn.Parameter(x, requires_grad=False)",
        "x.requires_grad_() * 2",
        "x.requires_grad_()[None]",
    )
    return crossed(make_stored, device, expressions, types, forms, routes, passes=1)


# Bit patterns that arithmetic would not keep: quiet and signalling NaNs with payloads, either sign, and zeros.
_PATTERNS = {
    "int16": ((0x7E01, -0x01FF, 0x7C01, -0x8000, 0, 0x7DFF, -1, 1), ("float16", "bfloat16")),
    "int32": ((0x7FC00001, -0x3FFFFF, 0x7F800001, -0x80000000, 0, 0x7FBFFFFF, -1, 1), ("float32",)),
    "int64": (
        (0x7FF8000000000001, -0x7FFFFFFFFFFFF, 0x7FF0000000000001, -(2**63), 0, 0x7FF4123456789ABC, -1, 1),
        ("float64", "complex64"),
    ),
    "uint8": ((0x7F, 0xFF, 0x80, 0, 0x7C, 0xFD, 1, 0x55), ("int8",)),
}


def _patterned(device: str, types: tuple[str, ...]) -> Inputs:
    rows: list[Stored] = []
    for carrier, (patterns, own) in _PATTERNS.items():
        for dtype in types if types else own:
            if types and carrier != "uint8":
                continue
            for shape, layout in (((8,), "contiguous"), ((2, 4), "transposed"), ((8,), "stepped"), ((2, 4), "offset")):
                plan = make_tensor(device, carrier, (shape, layout))
                route = (ZIPPED if types else ROUTES)[len(rows) % len(ZIPPED if types else ROUTES)]
                rows.append(Stored(replace(plan, data=patterns), f"x.view(torch.{dtype})", route))
    return Inputs(rows)


def stored_patterns(cell: Cell) -> Inputs:
    """NaNs of every payload and negative zeros, as bytes."""
    return _patterned(cell.target.device, ())


def stored_small_floats(cell: Cell) -> Inputs:
    """The floating types of eight bits that the build has."""
    names = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
    return _patterned(cell.target.device, tuple(name for name in names if hasattr(torch, name)))


def stored_lazy(cell: Cell) -> Inputs:
    """Tensors with a conjugate or a negative bit, and both."""
    expressions = (
        "x.conj()",
        "x.conj().imag",
        "torch._neg_view(x)",
        "torch._neg_view(x.conj())",
        "x.conj()[..., None]",
    )
    return crossed(
        make_stored, cell.target.device, expressions, ("complex64", "complex128"), STORED_FORMS, ROUTE_DRAWS, passes=1
    )


def stored_parts(cell: Cell) -> Inputs:
    """Tensors that are a part of a larger storage."""
    forms = (((3,), "offset"), ((2, 3), "stepped"), ((2, 3), "sliced"), ((2, 3), "expanded"), ((), "offset"))
    types = ("float32", "int64", "bool", "complex64", "bfloat16", "uint8")
    return enumerated(make_stored, cell.target.device, ("x",), types, forms, ROUTES)


def stored_layouts(cell: Cell) -> Inputs:
    """Tensors without strides, and tensors without a memory."""
    expressions = ("x.to_sparse()", "x.to_sparse_csr()", "x.to_sparse().coalesce()", "x.to_sparse(1)")
    return enumerated(
        make_stored,
        cell.target.device,
        expressions,
        ("float32", "float64", "int64"),
        (((2, 3), "contiguous"), ((3, 2), "transposed"), ((1, 4), "contiguous")),
        ROUTES[:5],
    )


def stored_meta(cell: Cell) -> Inputs:
    """Tensors on the meta device."""
    return enumerated(
        make_stored, "cpu", ("x.to('meta')",), STORED_TYPES, STORED_FORMS[:6], (ROUTES[0], ROUTES[2], ROUTES[3])
    )


def stored_held(cell: Cell) -> Inputs:
    """Every kind of file on either side, in both formats."""
    forms: tuple[Form, ...] = (((2, 3), "transposed"), ((), "contiguous"), ((0,), "contiguous"), ((33,), "stepped"))
    routes = tuple(
        Route(writer, reader, legacy=bool((k + number) % 2))
        for k, writer in enumerate(WRITERS)
        for number, reader in enumerate(READERS)
        if "PathLike" not in (writer, reader)
    )
    return enumerated(make_stored, cell.target.device, ("x",), ("float32", "complex64", "int8"), forms, routes)


def stored_mapped(cell: Cell) -> Inputs:
    """Tensors on the CPU whose file is mapped."""
    return crossed(make_stored, "cpu", ("x",), STORED_TYPES, STORED_FORMS, (MAPPED,), VALUES, passes=1)


def stored_requiring(cell: Cell) -> Inputs:
    """Leaves with a gradient."""
    return enumerated(
        make_stored,
        cell.target.device,
        ("x.requires_grad_()", "torch.nn.Parameter(x)"),
        ("float32", "complex64"),
        (((2, 3), "transposed"), ((), "contiguous"), ((3,), "offset")),
        (ROUTES[0], ROUTES[1], ROUTES[2]),
    )


def stored_few(cell: Cell) -> Inputs:
    """A few tensors, where the file is what matters."""
    forms = (((2, 3), "transposed"), ((), "contiguous"), ((0,), "contiguous"), ((33,), "stepped"), ((3,), "offset"))
    types = ("float32", "complex128", "int8", "bool", "bfloat16", "int64")
    return crossed(make_stored, cell.target.device, ("x",), types, forms, (PLAIN,), VALUES, passes=1)


def stored_young_types(cell: Cell) -> Inputs:
    """Types that no class of storages was made for, in the old format."""
    names = (*YOUNG_TYPES, *(name for name in ("float8_e4m3fn", "float8_e5m2") if hasattr(torch, name)))
    return Inputs(
        [
            Stored(
                make_tensor(cell.target.device, "uint8", form),
                f"x.to(torch.{name})",
                Route(legacy=True, weights_only=safe),
            )
            for name in names
            for form in STORED_FORMS[:3]
            for safe in (True, False)
        ]
    )


def stored_mapped_few(cell: Cell) -> Inputs:
    """A few tensors with elements, none of them 1, whose file is mapped."""
    forms = (((2, 3), "contiguous"), ((), "contiguous"), ((33,), "contiguous"))
    rows = enumerated(make_stored, "cpu", ("x",), ("float32", "int64", "complex64", "uint8"), forms, (MAPPED,)).corners
    return Inputs([replace(case, plan=replace(case.plan, data=(7, 3, 5))) for case in rows])


def stored_plain(cell: Cell) -> Inputs:
    """A few tensors with elements, none of them 0."""
    return Inputs(
        [
            replace(case, route=PLAIN, plan=replace(case.plan, data=(7, 3, 5)))
            for case in stored_mapped_few(cell).corners
        ]
    )


def stored_path_likes(cell: Cell) -> Inputs:
    """Objects that say their path and are nothing else, on either side."""
    routes = tuple(
        Route(writer, reader, legacy=legacy)
        for writer, reader in (("PathLike", "str"), ("str", "PathLike"), ("PathLike", "PathLike"))
        for legacy in (False, True)
    )
    forms: tuple[Form, ...] = (((2, 3), "transposed"), ((), "contiguous"), ((0,), "contiguous"))
    return enumerated(make_stored, cell.target.device, ("x",), ("float32", "int8"), forms, routes)


def stored_attributed(cell: Cell) -> Inputs:
    """The same, where every class is loaded: an attribute may be of any."""
    routes = (Route(weights_only=False), Route(legacy=True, weights_only=False))
    cases = stored_requiring(cell).corners
    return Inputs([replace(case, route=routes[number % 2]) for number, case in enumerate(cases)])
