"""Assignments: index expressions, and what is assigned through them.

An ``Assignment`` knows what NumPy makes of the same assignment, which is what the documentation promises.
Reference: https://docs.pytorch.org/docs/stable/tensor_view.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.tensors import Strided, corner, strided
from conformance.inputs.values import pool

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from conformance.engine.cells import Cell


@dataclass(frozen=True, eq=False)
class Assignment:
    """``x[index] = value``: integers, slices, None, Ellipsis, lists, and plans of index tensors and masks."""

    self_: Strided
    index: tuple[Any, ...]
    value: Any

    def for_torch(self) -> tuple[Any, ...]:
        """The index with its tensors built."""
        return tuple(part.build() if isinstance(part, Strided) else part for part in self.index)

    def for_numpy(self) -> tuple[Any, ...]:
        """The index with its tensors as arrays."""
        return tuple(part.array if isinstance(part, Strided) else part for part in self.index)

    def source(self) -> Any:
        """The assigned value: a number, or the tensor built from its plan."""
        return self.value.build() if isinstance(self.value, Strided) else self.value

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.self_.facets()

    def reductions(self) -> Iterator[Assignment]:
        """Simpler assignments of the same index."""
        if self.self_.layout != "contiguous":
            plain = replace(self.self_, stride=None, offset=0, size=None, layout="contiguous")
            yield replace(self, self_=plain)
        if isinstance(self.value, Strided):
            if self.value.layout != "contiguous":
                plain = replace(self.value, stride=None, offset=0, size=None, layout="contiguous")
                yield replace(self, value=plain)
            selected = np.shape(np.empty(self.self_.shape)[self.for_numpy()])
            if not is_refused(self.value.shape, selected):  # a number is never refused
                yield replace(self, value=self.value.data[0])

    def code(self) -> str:
        """The assignment in plain torch."""
        lines = [f"x = {self.self_.code()}"]
        parts = []
        for number, part in enumerate(self.index):
            if isinstance(part, Strided):
                lines.append(f"index{number} = {part.code()}")
                parts.append(f"index{number}")
            else:
                parts.append(repr(part))
        if isinstance(self.value, Strided):
            lines.append(f"value = {self.value.code()}")
        value = "value" if isinstance(self.value, Strided) else repr(self.value)
        return "\n".join([*lines, f"x[({', '.join(parts)}{',' if len(parts) == 1 else ''})] = {value}"])


def long_index(*indices: int) -> Strided:
    """Plan of an index tensor."""
    return Strided("int64", (len(indices),), indices)


def mask(shape: tuple[int, ...], *flags: bool) -> Strided:
    """Plan of a mask of ``shape``."""
    return Strided("bool", shape, flags)


EVERY = slice(None)
BASIC: tuple[tuple[tuple[int, ...], tuple[Any, ...]], ...] = (
    ((), (Ellipsis,)),
    ((), ()),
    ((0,), (EVERY,)),
    ((1,), (0,)),
    ((17,), (-1,)),
    ((17,), (slice(1, None, 2),)),
    ((17,), (slice(5, 5),)),
    ((33,), (slice(-3, None),)),
    ((0, 3), (EVERY, 1)),
    ((2, 0, 3), (1,)),
    ((2, 3), (1, 2)),
    ((2, 3), (EVERY, -1)),
    ((2, 3), (None, 1)),
    ((1, 3, 1), (0, slice(0, 2))),
    ((2, 3, 4), (Ellipsis, slice(None, None, 3))),
    ((2, 3, 4), (1, Ellipsis, 2)),
    ((2, 3, 2, 2), (EVERY, 1)),
)
ADVANCED: tuple[tuple[tuple[int, ...], tuple[Any, ...]], ...] = (
    ((), (mask((), True),)),
    ((), (mask((), False),)),
    ((0,), (mask((0,), True),)),
    ((1,), (long_index(0),)),
    ((17,), (long_index(16, 0, 5),)),
    ((17,), ([3, -1],)),
    ((17,), (mask((17,), True, False, False, True),)),
    ((33,), (mask((33,), False),)),
    ((0, 3), (EVERY, long_index(2, 0))),
    ((2, 0, 3), (mask((2,), False, True),)),
    ((2, 3), (long_index(1, 0), long_index(2, 2))),
    ((2, 3), (mask((2, 3), True, False, True, True, False),)),
    ((2, 3), (mask((2,), False, True),)),
    ((2, 3), (EVERY, [2, 0])),
    ((1, 3, 1), (0, long_index(2, 1))),
    ((2, 3, 4), (long_index(1, 0), EVERY, long_index(0, 3))),
    ((2, 3, 4), (mask((2, 3), True, True, False),)),
    ((2, 3, 4), (slice(1, None), long_index(0, 2))),
    ((2, 3, 2, 2), (EVERY, long_index(2, 0))),
)
VALUE_FORMS = ("scalar", "zero-d", "same", "broadcast", "other-dtype", "stepped", "expanded")


@cache
def selection_shape(shape: tuple[int, ...], entry: int, advanced: bool) -> tuple[int, ...]:
    """Shape of what the index of one entry of ``BASIC`` or ``ADVANCED`` selects, by NumPy."""
    index = (ADVANCED if advanced else BASIC)[entry][1]
    plain = tuple(part.array if isinstance(part, Strided) else part for part in index)
    return np.shape(np.empty(shape)[plain])


def is_refused(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether NumPy refuses to broadcast ``shape`` into ``wanted``."""
    try:
        return np.broadcast_shapes(shape, wanted) != wanted
    except ValueError:
        return True


def number_of(dtype: str) -> Any:
    """A number that is plain in every element type of the kind of ``dtype``."""
    return {"bool": True, "unsigned": 7, "signed": -3, "floating": 2.5, "complex": 1.5 - 2j}[ELEMENT_TYPES[dtype].kind]


def assign(case: Assignment) -> tuple[torch.Tensor, int, int]:
    """Make the assignment of ``case``: the tensor, and its data address and version from before."""
    x = case.self_.build()
    address, version = x.data_ptr(), x._version
    x[case.for_torch()] = case.source()
    return x, address, version


@cache
def assignments(device: str, advanced: bool, refused: bool = False) -> tuple[Assignment, ...]:
    """Corner assignments: every pair of element type, layout, index and form of the value.

    With ``refused``, the value is of a shape that does not broadcast to what the index selects.
    """
    dtypes = family("bool", "integral", "floating", "complex")
    rows = covering(dtypes, DISJOINT, range(len(ADVANCED if advanced else BASIC)), VALUE_FORMS)
    made = (
        _assignment(dtype, layout, entry, form, advanced, device, turn, refused)
        for turn, (dtype, layout, entry, form) in enumerate(rows)
    )
    return tuple(case for case in made if case is not None)


def basic_assignments(cell: Cell) -> Inputs:
    """Assignments through integers, slices, None and Ellipsis."""
    return Inputs(assignments(cell.target.device, False), assignment_strategy(cell.target.device, False))


def advanced_assignments(cell: Cell) -> Inputs:
    """Assignments through index tensors, lists and masks."""
    return Inputs(assignments(cell.target.device, True), assignment_strategy(cell.target.device, True))


def all_assignments(cell: Cell) -> Inputs:
    """Every basic and advanced assignment."""
    device = cell.target.device
    return Inputs(assignments(device, False) + assignments(device, True))


def refused_assignments(cell: Cell) -> Inputs:
    """Assignments of values whose shape does not broadcast to what the index selects."""
    device = cell.target.device
    return Inputs(assignments(device, False, refused=True) + assignments(device, True, refused=True))


def assignment_strategy(device: str, advanced: bool) -> SearchStrategy[Assignment]:
    """Assignments with any values of the element type."""
    from hypothesis import strategies as st

    plain = [case for case in assignments(device, advanced) if isinstance(case.value, Strided)]

    def with_data(case: Assignment, data: bytes) -> Assignment:
        numbers = pool(case.value.dtype)
        if case.value.dtype != case.self_.dtype:
            numbers = pool(case.value.dtype, "small-nonnegative")
        drawn = tuple(numbers[byte % len(numbers)] for byte in data)
        return replace(case, value=strided(case.value.dtype, case.value.shape, "offset", drawn, device))

    return st.builds(with_data, st.sampled_from(plain), st.binary(min_size=6, max_size=6))


def _assignment(
    dtype: str, layout: str, entry: int, form: str, advanced: bool, device: str, turn: int, refused: bool
) -> Assignment | None:
    shape, index = (ADVANCED if advanced else BASIC)[entry]
    self_ = corner(dtype, shape, layout, "special" if turn % 3 == 0 else "ordinary", "any", device, turn)
    index = tuple(replace(part, device=device) if isinstance(part, Strided) else part for part in index)
    wanted = selection_shape(shape, entry, advanced)
    if refused:
        return _refused_assignment(self_, index, wanted, device)
    if form == "scalar":
        return Assignment(self_, index, number_of(dtype))
    kind = "special" if turn % 2 and (advanced or form != "other-dtype") else "ordinary"
    source, domain = dtype, "any"
    if form == "other-dtype" and not advanced:  # another type than self's is refused beside index tensors
        source = family("bool", "integral", "floating")[turn % 10]
        domain = "small-nonnegative"
    given = {"zero-d": (), "broadcast": (*(1 for _ in wanted[:-1]), *wanted[-1:])}.get(form, wanted)
    place = form if form in ("stepped", "expanded") else "contiguous"
    return Assignment(self_, index, corner(source, given, place, kind, domain, device, turn + 3))


def _refused_assignment(
    self_: Strided, index: tuple[Any, ...], wanted: tuple[int, ...], device: str
) -> Assignment | None:
    given = (*wanted[:-1], wanted[-1] + 2) if wanted else (2,)
    if not is_refused(given, wanted):
        return None
    return Assignment(self_, index, corner(self_.dtype, given, "contiguous", "ordinary", "any", device))
