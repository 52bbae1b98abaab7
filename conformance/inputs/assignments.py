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
from conformance.inputs.bridges import Seen
from conformance.inputs.covering import covering
from conformance.inputs.dtypes import ELEMENT_TYPES, family
from conformance.inputs.index_parts import built_part, part_as_array, part_on_device, slice_bounds
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.ndarrays import Array
from conformance.inputs.tensors import Strided, corner, strided
from conformance.inputs.values import pool

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from conformance.engine.cells import Cell


@dataclass(frozen=True, eq=False)
class OwnPart:
    """A value that is another part of the tensor assigned to: ``x[0] = x[1]``."""

    index: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Assignment:
    """``x[index] = value``: integers, slices, None, Ellipsis, bools, lists, ranges, and plans of tensors and arrays.

    A value is a number, a plan of a tensor, a view of one that has a bit set, or another part of ``x``.
    """

    self_: Strided
    index: tuple[Any, ...]
    value: Any

    def for_torch(self) -> Any:
        """The index with its tensors built; one that is alone stands without a tuple, as people write it.

        A sequence of more than numbers keeps the tuple: without one it has long been an index for each dimension.
        """
        parts = tuple(built_part(part) for part in self.index)
        return parts[0] if stands_alone(self.index) else parts

    def for_numpy(self) -> tuple[Any, ...]:
        """The index with its tensors as arrays."""
        return tuple(part_as_array(part) for part in self.index)

    def source(self, x: torch.Tensor) -> Any:
        """The assigned value: a number, a tensor built from its plan, or a part of ``x``."""
        if isinstance(self.value, OwnPart):
            return x[self.value.index]
        return self.value.build() if isinstance(self.value, Strided | Seen) else self.value

    def given(self) -> np.ndarray:
        """The assigned value as NumPy has it."""
        if isinstance(self.value, OwnPart):
            return np.asarray(self.self_.array[self.value.index])
        return self.value.array if isinstance(self.value, Strided | Seen) else np.array(self.value)

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
            name = f"index{number}"
            if isinstance(part, Strided | Array):
                lines += [f"{name} = {part.code()}"] if isinstance(part, Strided) else part.statements(name)
            bounds = slice_bounds(part) if isinstance(part, slice) else ()
            written = ", ".join(x.code() if isinstance(x, Strided) else repr(x) for x in bounds)
            plain = f"slice({written})" if bounds else repr(part)
            parts.append(name if isinstance(part, Strided | Array) else plain)
        value = repr(self.value.index if isinstance(self.value, OwnPart) else self.value)
        if isinstance(self.value, Strided | Seen):
            plan = self.value
            lines += [f"value = {plan.code()}"] if isinstance(plan, Strided) else plan.statements("value")
            value = "value"
        index = parts[0] if stands_alone(self.index) else f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        return "\n".join([*lines, f"x[{index}] = {f'x[{value}]' if isinstance(self.value, OwnPart) else value}"])


def stands_alone(index: tuple[Any, ...]) -> bool:
    """Whether people write an index without a tuple, and it says the same."""
    if len(index) != 1 or isinstance(index[0], range):
        return False
    return not isinstance(index[0], list) or (index[0] != [] and not isinstance(index[0][0], list))


def long_index(*indices: int) -> Strided:
    """Plan of an index tensor."""
    return Strided("int64", (len(indices),), indices)


def mask(shape: tuple[int, ...], *flags: bool) -> Strided:
    """Plan of a mask of ``shape``."""
    return Strided("bool", shape, flags)


EVERY = slice(None)
ONE, TWO = Strided("int64", (), (1,)), Strided("int32", (), (2,))
BASIC: tuple[tuple[tuple[int, ...], tuple[Any, ...]], ...] = (
    ((), (Ellipsis,)),
    ((), ()),
    ((2, 3), ()),
    ((0,), (EVERY,)),
    ((1,), (0,)),
    ((17,), (-1,)),
    ((17,), (slice(ONE, None),)),
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
    ((17,), (slice(None, -1),)),
    ((17,), (slice(9, 100),)),
    ((17,), (slice(-100, 3),)),
    ((33,), (slice(None, None, 7),)),
    ((2, 3), (slice(1, -100), 0)),
    ((2, 3), (np.int64(1), slice(-2, None))),
    ((17,), (np.int64(-1),)),
    ((2, 3), (slice(0, 1), slice(1, 3))),
    ((4, 5), (slice(None, None, 2), slice(1, None, 2))),
    ((2, 3, 4), (EVERY, -1, EVERY)),
    ((2, 3), (0, None)),
    ((2, 3), (Ellipsis, None)),
    ((2, 3), (None, EVERY, None, 1)),
    ((3, 4), (slice(None, TWO), slice(ONE, None, TWO))),
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
    ((2, 3), (True,)),
    ((2, 3), (False, 1)),
    ((33,), (long_index(-1, 3, -33),)),
    ((33,), (Strided("int64", (2, 2), (32, 0, 5, -2)),)),
    ((33,), (strided("int64", (3,), "stepped", (7, 30, 1)),)),
    ((33,), (Strided("int64", (), (8,)),)),
    ((17,), (range(2, 12, 4),)),
    ((17,), (Array("int64", (2,), (11, 4)),)),
    ((2, 3), ([],)),
    ((2, 3), ([[0, 1], [1, 0]], [[0, 2], [1, 1]])),
    ((2, 3), ([True, False],)),
    ((2, 3), (EVERY, mask((3,), True, False, True))),
    ((2, 3), (None, long_index(1))),
    ((2, 3, 4), (Ellipsis, long_index(3, 1))),
    ((2, 3, 4), (EVERY, Strided("int64", (2, 1), (2, 0)), long_index(0, 3, 2))),
    ((2, 3, 4), (long_index(1), EVERY, mask((4,), False, True, False, True))),
    ((2, 3), (mask((2,), False, True), slice(1, None))),
    ((2, 3), (mask((2,), True, False), 0)),
    ((2, 3), (long_index(1, 0), -1)),
    ((2, 3), (long_index(1, 0), slice(1, None))),
    ((2, 3), (mask((2,), True, True), mask((3,), True, False, True))),
    ((2, 3), (None, mask((2,), False, True))),
    ((2, 3, 4), (Ellipsis, mask((4,), False, True, True, False))),
    ((2, 3), (1, mask((3,), True, False, True))),
    ((2, 3), (mask((), True),)),
    ((3, 4), (Strided("int64", (2, 2), (0, 2, 1, 0)), Strided("int64", (2, 2), (3, 0, -1, 1)))),
)
# Index tensors of int32.
SHORT_INDICES: tuple[tuple[tuple[int, ...], tuple[Any, ...]], ...] = (
    ((17,), (Strided("int32", (3,), (16, 0, -5)),)),
    ((3, 4), (Strided("int32", (2,), (2, 0)), slice(1, None))),
    ((3, 4), (Strided("int32", (2, 2), (0, 2, 1, 0)), Strided("int32", (2, 2), (3, 0, -1, 1)))),
    ((2, 3, 4), (EVERY, Strided("int32", (2,), (2, 0)))),
)
# Masks that are arrays; of the first one releases have made an index for each dimension.
ARRAY_MASKS: tuple[tuple[tuple[int, ...], tuple[Any, ...]], ...] = (
    ((2, 3), (Array("bool", (2, 3), (False, True, True, False, True, False)),)),
    ((3, 3), (Array("bool", (3, 3), (False, True, True, False, True, False, True, False, False)),)),
    ((2, 3, 4), (Array("bool", (2, 3), (False, True, True, False, True, False)),)),
    ((2, 3, 4), (slice(1, None), Array("bool", (3,), (True, False, True)))),
    ((17,), (Array("bool", (17,), (False, True, False)),)),
)
# Indices that the tensor does not have; a step below 0 is one that torch does not take.
ABSENT: tuple[tuple[tuple[int, ...], tuple[Any, ...]], ...] = (
    ((17,), (17,)),
    ((17,), (-18,)),
    ((2, 3), (EVERY, 3)),
    ((0, 3), (0,)),
    ((2, 3), (1, 2, 0)),
    ((17,), (slice(None, None, -1),)),
    ((17,), (long_index(3, 17),)),
    ((17,), (long_index(-18, 3),)),
    ((2, 3), ([0, 2],)),
    ((2, 3), (EVERY, long_index(0, 3))),
    ((2, 3), (mask((3,), True, False),)),
    ((2, 3), (mask((2, 2), False),)),
)
# Element types of what is assigned lazily, and of the tensor that it is a view of.
LAZY_TYPES = (
    ("complex64", "complex64"), ("complex128", "complex128"), ("float32", "complex64"), ("float64", "complex128"),
)  # fmt: skip
LONG = (32771,)
VALUE_FORMS = ("scalar", "zero-d", "same", "broadcast", "other-dtype", "stepped", "expanded")


@cache
def selection_shape(shape: tuple[int, ...], entry: int, advanced: bool) -> tuple[int, ...]:
    """Shape of what the index of one entry of ``BASIC`` or ``ADVANCED`` selects, by NumPy."""
    index = (ADVANCED if advanced else BASIC)[entry][1]
    return np.shape(np.empty(shape)[tuple(map(part_as_array, index))])


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
    x[case.for_torch()] = case.source(x)
    return x, address, version


@cache
def assignments(device: str, advanced: bool, refused: bool = False) -> tuple[Assignment, ...]:
    """Corner assignments: every pair of element type, layout, index and form of the value.

    With ``refused``, the value is of a shape that does not broadcast to what the index selects.
    """
    dtypes = family("bool", "integral", "floating", "complex", *(() if advanced or refused else ("barebones",)))
    rows = covering(dtypes, DISJOINT, range(len(ADVANCED if advanced else BASIC)), VALUE_FORMS)
    made = (
        _assignment(dtype, layout, entry, form, advanced, device, turn, refused)
        for turn, (dtype, layout, entry, form) in enumerate(rows)
    )
    return tuple(case for case in made if case is not None)


def basic_assignments(cell: Cell) -> Inputs:
    """Assignments through integers, slices, None and Ellipsis, also of parts of the same tensor and of lazy views."""
    device = cell.target.device
    large = large_assignments(device, ((slice(3, None),), (Ellipsis, slice(None, None, 2))))
    # what NumPy cuts off towards zero
    cut = [
        Assignment(corner(dtype, (3,), "contiguous", "ordinary", "any", device), index, number)
        for dtype, number in (("int64", -2.75), ("int8", -1.5), ("int32", 2.75))
        for index in ((1,), (EVERY,))
    ]
    corners = (*assignments(device, False), *own_assignments(device), *lazy_assignments(device, (1,)), *cut, *large)
    return Inputs(corners, assignment_strategy(device, False))


def advanced_assignments(cell: Cell) -> Inputs:
    """Assignments through index tensors, lists and masks, also of lazy views."""
    device = cell.target.device
    lazy = lazy_assignments(device, (EVERY, long_index(2, 0)))
    # beside a slice an integer and an index tensor select in another order than NumPy's: of a number none matters
    between = [
        Assignment(corner(dtype, (2, 3, 4), layout, "ordinary", "any", device), index, number_of(dtype))
        for dtype, layout in zip(("float32", "int16", "bool", "complex64"), DISJOINT, strict=False)
        for index in ((1, EVERY, long_index(3, 1)), (long_index(1), EVERY, 2))
    ]
    some = mask(LONG, True, False, False)
    large = large_assignments(device, ((some,), (long_index(*range(5, 200, 3)),), (long_index(*range(1100, 0, -1)),)))
    return Inputs((*assignments(device, True), *lazy, *between, *large), assignment_strategy(device, True))


def large_assignments(device: str, indices: tuple[tuple[Any, ...], ...]) -> list[Assignment]:
    """Assignments to a vector above the grain size of threads, of numbers and of as many elements."""
    found = []
    for turn, dtype in enumerate(("float32", "int64", "bool", "complex64", "bfloat16", "uint8")):
        index = tuple(part_on_device(part, device) for part in indices[turn % len(indices)])
        own = corner(dtype, LONG, ("contiguous", "stepped")[turn % 2], "ordinary", "any", device)
        selected = np.shape(np.empty(LONG)[Assignment(own, index, 0).for_numpy()])
        value = corner(dtype, selected, "contiguous", "ordinary", "any", device, 3)
        found += [Assignment(own, index, value), Assignment(own, index, number_of(dtype))]
    return found


def own_assignments(device: str) -> list[Assignment]:
    """Assignments of one part of a tensor to another part, with which it shares no element."""
    forms: tuple[tuple[tuple[int, ...], tuple[Any, ...], tuple[Any, ...]], ...] = (
        ((2, 3), (0,), (1,)),
        ((17,), (slice(0, 5),), (slice(5, 10),)),
        ((17,), (slice(0, None, 2),), (3,)),
        ((2, 3, 4), (EVERY, 2), (EVERY, 0)),
        ((2, 3, 2, 2), (Ellipsis, 1), (Ellipsis, 0)),
    )
    dtypes = family("float32", "int64", "bool", "complex64", "bfloat16", "uint8")
    return [
        Assignment(corner(dtype, shape, DISJOINT[(turn + step) % 6], "ordinary", "any", device), index, OwnPart(other))
        for turn, (shape, index, other) in enumerate(forms)
        for step, dtype in enumerate(dtypes)
    ]


def lazy_assignments(device: str, index: tuple[Any, ...]) -> list[Assignment]:
    """Assignments of views with the conjugate or the negative bit set, to a tensor of shape (2, 3)."""
    found = []
    for turn, (dtype, whole) in enumerate(LAZY_TYPES):
        steps = ("conj()",) if dtype == whole else ("conj()", "imag")
        for layout in ("contiguous", "transposed"):
            own = corner(dtype, (2, 3), DISJOINT[turn], "ordinary", "any", device)
            wanted = np.shape(np.empty((2, 3))[tuple(getattr(part, "array", part) for part in index)])
            found.append(Assignment(own, index, Seen(corner(whole, wanted, layout, "ordinary", "any", device), steps)))
    return found


def all_assignments(cell: Cell) -> Inputs:
    """Every basic and advanced assignment."""
    device = cell.target.device
    return Inputs(assignments(device, False) + assignments(device, True))


def refused_assignments(cell: Cell) -> Inputs:
    """Assignments of values whose shape does not broadcast to what the index selects."""
    device = cell.target.device
    return Inputs(assignments(device, False, refused=True) + assignments(device, True, refused=True))


def short_index_assignments(cell: Cell) -> Inputs:
    """Assignments of numbers and of tensors through index tensors of int32, alone, beside a slice and a tensor."""
    device, found = cell.target.device, []
    for turn, (shape, index) in enumerate(SHORT_INDICES):
        parts = tuple(part_on_device(part, device) for part in index)
        selected = np.shape(np.empty(shape)[tuple(map(part_as_array, index))])
        for step, dtype in enumerate(family("float32", "int64", "bool", "complex64", "bfloat16", "uint8")):
            own = corner(dtype, shape, DISJOINT[(turn + step) % 6], "ordinary", "any", device)
            value = corner(dtype, selected, "contiguous", "ordinary", "any", device, 3)
            found.append(Assignment(own, parts, number_of(dtype) if step == 5 else value))
    return Inputs(found)


def array_mask_assignments(cell: Cell) -> Inputs:
    """Assignments of numbers and of tensors through masks that are NumPy arrays."""
    device, found = cell.target.device, []
    for turn, (shape, index) in enumerate(ARRAY_MASKS):
        for step, dtype in enumerate(family("float32", "int64", "bool", "complex64", "bfloat16", "uint8")):
            own = corner(dtype, shape, DISJOINT[(turn + step) % 6], "ordinary", "any", device)
            value = corner(dtype, (), "contiguous", "special", "any", device) if step % 2 else number_of(dtype)
            found.append(Assignment(own, index, value))
    return Inputs(found)


def absent_assignments(cell: Cell) -> Inputs:
    """Assignments through indices that the tensor does not have, of numbers and of tensors."""
    device, found = cell.target.device, []
    for turn, (shape, index) in enumerate(ABSENT):
        parts = tuple(part_on_device(part, device) for part in index)
        for step, dtype in enumerate(("float32", "int64", "bool", "complex64")):
            own = corner(dtype, shape, DISJOINT[(turn + step) % 6], "ordinary", "any", device)
            value = corner(dtype, (), "contiguous", "ordinary", "any", device) if step % 2 else number_of(dtype)
            found.append(Assignment(own, parts, value))
    return Inputs(found)


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
    index = tuple(part_on_device(part, device) for part in index)
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
    # further dimensions of 1 may stand before those that are selected, but NumPy has none beside a mask
    ones = wanted[1 if advanced else turn % 2 :]
    given = {"zero-d": (), "broadcast": (*(1 for _ in ones), *wanted[-1:])}.get(form, wanted)
    place = form if form in ("stepped", "expanded") else "contiguous"
    return Assignment(self_, index, corner(source, given, place, kind, domain, device, turn + 3))


def _refused_assignment(
    self_: Strided, index: tuple[Any, ...], wanted: tuple[int, ...], device: str
) -> Assignment | None:
    given = (*wanted[:-1], wanted[-1] + 2) if wanted else (2,)
    if not is_refused(given, wanted):
        return None
    return Assignment(self_, index, corner(self_.dtype, given, "contiguous", "ordinary", "any", device))
