"""Resizing and re-framing: calls of ``resize_``, ``resize_as_``, ``set_`` and of the methods that change strides.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.resize_.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.calls import Call
from conformance.inputs.covering import coverings
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.layouts import DISJOINT, REPEATING
from conformance.inputs.positions import Shape
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.values import values
from conformance.oracles.memory import storage_of

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

EVERY_DTYPE = family("bool", "integral", "barebones", "floating", "complex", "half-complex")
STARTS: tuple[Shape, ...] = (
    (), (0,), (1,), (0, 3), (3,), (1, 3, 1), (2, 3), (2, 3, 4), (2, 3, 2, 2), (17,), (4, 17)
)  # fmt: skip
FORMS_OF_SIZES = ("sizes", "tuple", "Size")
GOALS: tuple[Shape, ...] = (
    (),
    (0,),
    (1,),
    (2,),
    (0, 3),
    (3, 2),
    (6,),
    (2, 2),
    (1, 3, 1),
    (4, 3, 2),
    (65,),
    (2, 0, 3),
    (33, 2),
    (211,),
)
IMAGES: tuple[Shape, ...] = ((2, 3, 2, 2), (1, 3, 4, 5), (2, 1, 3, 3), (1, 2, 1, 1))


def plainer(plan: Strided) -> Iterator[Strided]:
    """Plainer plans of the same shape, which the other arguments may depend on."""
    if plan.layout != "contiguous":
        yield replace(plan, stride=None, offset=0, size=None, layout="contiguous")
    if len(plan.data) > 1:
        yield replace(plan, data=plan.data[:1])


@dataclass(frozen=True, eq=False)
class Resize:
    """``x.resize_(goal)``, ``x.resize_(*goal)`` or ``x.resize_as_(template of the goal's shape)``."""

    self_: Strided
    goal: Shape
    form: str = "sizes"  # sizes, tuple, Size, template
    memory_format: str | None = None

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """The call."""
        kwargs = {"memory_format": getattr(torch, self.memory_format)} if self.memory_format else {}
        if self.form == "template":
            return x.resize_as_(self.template(), **kwargs)
        goal = torch.Size(self.goal) if self.form == "Size" else self.goal
        return x.resize_(*goal, **kwargs) if self.form == "sizes" and goal else x.resize_(goal, **kwargs)

    def template(self) -> torch.Tensor:
        """A tensor of the goal's shape, and not contiguous where that has two dimensions."""
        turned = torch.empty(self.goal[::-1], dtype=torch.bool, device=self.self_.device)
        return turned.permute(tuple(reversed(range(len(self.goal)))))

    def facets(self) -> dict[str, str]:
        """What evidence counts."""
        return self.self_.facets()

    def code(self) -> str:
        """The call in plain torch."""
        more = f", memory_format=torch.{self.memory_format}" if self.memory_format else ""
        call = (
            f"x.resize_as_(torch.empty({self.goal[::-1]}).permute({tuple(reversed(range(len(self.goal))))}){more})"
            if self.form == "template"
            else f"x.resize_({f'torch.Size({self.goal})' if self.form == 'Size' else self.goal}{more})"
        )
        return f"import torch\nx = {self.self_.code()}\n{call}"

    def reductions(self) -> Iterator[Resize]:
        """The same from a plainer self of the same shape."""
        for plan in plainer(self.self_):
            yield Resize(plan, self.goal, self.form, self.memory_format)


def resize_cases(cell: Cell) -> Inputs:
    """Every start and goal of different shapes."""
    return Inputs([case for case in _resizes(cell) if case.goal != case.self_.shape])


def shrinking_cases(cell: Cell) -> Inputs:
    """To no more elements than there are."""
    return Inputs([case for case in _resizes(cell) if prod(case.goal) <= prod(case.self_.shape)])


def growing_cases(cell: Cell) -> Inputs:
    """To more elements than the storage has, behind the offset."""
    return Inputs([case for case in _resizes(cell) if case.self_.offset + prod(case.goal) > held_elements(case.self_)])


def own_size_cases(cell: Cell) -> Inputs:
    """To the shape that it has, in every form."""
    return Inputs(
        [
            Resize(strided(dtype, shape, layout, values(dtype), cell.target.device), shape, form)
            for shape, layout, dtype, form in coverings(
                3, (*STARTS, *IMAGES[1:]), DISJOINT + REPEATING, EVERY_DTYPE, ("sizes", "tuple", "template")
            )
        ]
    )


def own_size_format_cases(cell: Cell) -> Inputs:
    """To the shape that it has, with a memory format that is named."""
    return Inputs(
        [
            Resize(strided(dtype, shape, layout, values(dtype), cell.target.device), shape, form, memory_format)
            for shape, layout, dtype, form, memory_format in coverings(
                3,
                IMAGES,
                DISJOINT,
                EVERY_DTYPE,
                ("tuple", "template"),
                ("contiguous_format", "channels_last"),
            )
        ]
    )


def resize_format_cases(cell: Cell) -> Inputs:
    """To an image of another size, in a memory format that is named."""
    volumes = [
        Resize(strided(dtype, start, "offset", values(dtype), cell.target.device), goal, form, "channels_last_3d")
        for form in ("tuple", "template")
        for start, goal, dtype in (((17,), (2, 3, 1, 2, 2), "float32"), ((2, 3, 2, 2), (1, 2, 3, 2, 4), "int16"))
    ]
    return Inputs(
        [
            *volumes,
            *(
                Resize(strided(dtype, start, layout, values(dtype), cell.target.device), goal, form, memory_format)
                for start, goal, layout, dtype, form, memory_format in coverings(
                    3,
                    STARTS,
                    IMAGES,
                    DISJOINT,
                    EVERY_DTYPE,
                    ("tuple", "template"),
                    ("channels_last", "contiguous_format"),
                )
                if start != goal
            ),
        ]
    )


def resize_as_cases(cell: Cell) -> Inputs:
    """``resize_as_`` for every start and goal."""
    return Inputs([Resize(case.self_, case.goal, "template") for case in _resizes(cell)])


def filled_growth_cases(cell: Cell) -> Inputs:
    """Growth of types whose fill is documented: floating, complex and integral ones."""
    known = family("floating", "complex", "integral")
    return Inputs([case for case in growing_cases(cell).corners if case.self_.dtype in known])


def negative_cases(cell: Cell) -> Inputs:
    """To sizes below zero: alone, behind and before another, and two of which the product is above zero."""
    return Inputs(
        [
            Resize(strided(dtype, start, "offset", values(dtype), cell.target.device), goal, form)
            for goal in ((-1,), (2, -1), (-3, 2), (-2, -3))
            for start, dtype in (((3,), "float32"), ((2, 3), "int8"), ((), "bool"))
            for form in ("sizes", "tuple")
        ]
    )


def _resizes(cell: Cell) -> list[Resize]:
    return [
        Resize(strided(dtype, start, layout, values(dtype), cell.target.device), goal, form)
        for start, goal, layout, dtype, form in coverings(3, STARTS, GOALS, DISJOINT, EVERY_DTYPE, FORMS_OF_SIZES)
    ]


def held_elements(plan: Strided) -> int:
    """Number of elements that the planned storage holds."""
    return len(plan.storage) // ELEMENT_TYPES[plan.dtype].itemsize


@dataclass(frozen=True, eq=False)
class Setting:
    """``x.set_(source)``, or ``x.set_(source's storage, offset, size, stride)`` as far as these are given."""

    self_: Strided
    source: Strided
    frame: tuple[Any, ...] | None = None
    named: bool = False

    def apply(self, x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """The call."""
        if self.frame is None:
            return x.set_(source=source) if self.named else x.set_(source)
        return x.set_(storage_of(source), *self.frame)

    def facets(self) -> dict[str, str]:
        """What evidence counts."""
        return self.source.facets()

    def code(self) -> str:
        """The call in plain torch."""
        given = (
            f"{'source=' if self.named else ''}source"
            if self.frame is None
            else ", ".join(map(repr, ["STORAGE", *self.frame])).replace("'STORAGE'", "source.untyped_storage()")
        )
        return f"import torch\nx = {self.self_.code()}\nsource = {self.source.code()}\nx.set_({given})"

    def reductions(self) -> Iterator[Setting]:
        """The same with a plainer self of the same shape."""
        for plan in plainer(self.self_):
            yield replace(self, self_=plan)


def set_cases(cell: Cell) -> Inputs:
    """``set_`` to a tensor, of every layout to every layout, of another size and of the same."""
    device, everywhere = cell.target.device, DISJOINT + REPEATING
    chosen = coverings(1, STARTS, STARTS, DISJOINT, everywhere, EVERY_DTYPE)
    same = [
        (shape, shape, *rest)
        for shape, *rest in coverings(1, STARTS[4:], list(product(DISJOINT, everywhere)), EVERY_DTYPE)
    ]
    chosen += [(start, shape, *pair, dtype) for start, shape, pair, dtype in same]
    return Inputs(
        [
            Setting(
                strided(dtype, start, layout, values(dtype), device),
                strided(dtype, shape, other, values(dtype)[::-1], device),
                named=turn % 5 == 2,
            )
            for turn, (start, shape, layout, other, dtype) in enumerate(chosen)
        ]
    )


def unset_cases(cell: Cell) -> Inputs:
    """``set_`` without a source, of tensors that have elements and of such as have none."""
    device = cell.target.device
    return Inputs(
        [
            Call("set_", strided(dtype, shape, layout, values(dtype), device))
            for shape, layout, dtype in coverings(1, STARTS, DISJOINT + REPEATING, EVERY_DTYPE)
        ]
    )


def unlike_sources(cell: Cell) -> Inputs:
    """``set_`` to tensors of another element type, of the same number of bytes and of another."""
    pairs = (
        ("float32", "int32"),
        ("float32", "float64"),
        ("int64", "int8"),
        ("bool", "uint8"),
        ("complex64", "float64"),
    )
    return Inputs(
        [
            Call(
                "set_",
                strided(mine, (2, 3), "offset", (1,), cell.target.device),
                (strided(theirs, shape, "contiguous", (1,), cell.target.device),),
            )
            for mine, theirs in pairs
            for shape in ((2, 3), (4,), ())
        ]
    )


# Offset, size and stride into a storage of 24 elements; less is given than may be.
FRAMES: tuple[tuple[Any, ...], ...] = (
    (0, (24,)), (3, (4, 5)), (0, (2, 3), (3, 1)), (1, (2, 3), (1, 2)), (5, (3,), (4,)), (23, ()), (2, (0, 3)),
    (4, (2, 2), (0, 1)),
    (0, (2, 3, 4)), (1, (2, 0, 3), (9, 3, 1)), (7, (17,), (1,)), (0, (4, 3), (1, 4)),
)  # fmt: skip


def set_storage_cases(cell: Cell) -> Inputs:
    """``set_`` to a storage, of a self that has another size wherever the strides are left out."""
    found = []
    for frame, start, layout, dtype in coverings(3, FRAMES, STARTS, DISJOINT, EVERY_DTYPE):
        if len(frame) == 3 or frame[1] != start:
            found.append(_on_storage(cell, start, layout, dtype, frame))
    return Inputs(found)


def set_storage_of_its_own_size_cases(cell: Cell) -> Inputs:
    """``set_`` to a storage, with the size that self has and no strides."""
    starts = tuple(start for start in STARTS if prod(start) <= 24)
    return Inputs(
        [
            _on_storage(cell, start, layout, dtype, (24 - prod(start), start))
            for start, layout, dtype in coverings(3, starts, DISJOINT, EVERY_DTYPE)
        ]
    )


def _on_storage(cell: Cell, start: Shape, layout: str, dtype: str, frame: tuple[Any, ...]) -> Setting:
    data, device = values(dtype), cell.target.device
    return Setting(
        strided(dtype, start, layout, data, device),
        strided(dtype, (24,), data=data[::-1], device=device),
        frame,
    )


def whole_storage_cases(cell: Cell) -> Inputs:
    """``set_`` to a storage with nothing else given."""
    device = cell.target.device
    return Inputs(
        [
            Setting(
                strided(dtype, start, layout, values(dtype), device),
                strided(dtype, shape, other, values(dtype)[::-1], device), (),
            )
            for start, shape, layout, other, dtype in coverings(
                3, STARTS, STARTS[:9], DISJOINT, ("contiguous", "offset", "stepped"), EVERY_DTYPE)
        ]
    )  # fmt: skip
