"""Sources of compounds of datasets: which sizes, kinds and indices are put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.dataset_parts import MAP_KINDS, DataParts, DataSelection, DataStack

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Empty parts at the front, in the middle, at the end and side by side; parts of one sample.
PART_SIZES = (
    (3,), (1, 1), (2, 3), (3, 1, 2), (0, 2), (2, 0), (1, 0, 2), (0, 0, 1), (2, 0, 0, 3), (1, 0, 1, 0), (4, 1, 0, 2, 3),
    (0,), (0, 0), (17, 16), (1, 1, 1, 1, 1, 1, 1), (70, 80),
)  # fmt: skip


def _joints(kinds: tuple[str, ...], given: tuple[str, ...]) -> list[Any]:
    return [
        DataParts(tuple((kinds[(first + n) % len(kinds)], size) for n, size in enumerate(sizes)), form, _joint(kinds))
        for sizes, first, form in covering(PART_SIZES, range(len(kinds)), given)
    ]


def _drawn_joints(kinds: tuple[str, ...], given: tuple[str, ...]) -> Any:
    from hypothesis import strategies as st

    parts = st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 5)), min_size=1, max_size=6)
    return st.builds(DataParts, parts.map(tuple), st.sampled_from(given), st.just(_joint(kinds)))


def _joint(kinds: tuple[str, ...]) -> str:
    return "chain" if kinds == ("stream",) else "concatenate"


def concatenations(cell: Cell, given: tuple[str, ...] = ("list", "tuple")) -> Inputs:
    """Map-style parts of every kind and size."""
    return Inputs(_joints(MAP_KINDS, given), _drawn_joints(MAP_KINDS, given))


def iterated_concatenations(cell: Cell) -> Inputs:
    """Parts that come out of an iterator."""
    return concatenations(cell, ("iterator",))


def streams(cell: Cell) -> Inputs:
    """Iterable parts of every size, given in what can be iterated over again and again."""
    forms = ("list", "tuple", "values")
    return Inputs(_joints(("stream",), forms), _drawn_joints(("stream",), forms))


def mixtures(cell: Cell) -> Inputs:
    """Map-style parts with one iterable part at every place."""
    found = [
        DataParts((*[("map", 2)] * place, ("stream", size), *[("list", 1)] * after), exact=True)
        for place in range(3)
        for after in range(3)
        for size in (0, 2)
    ]
    return Inputs(found)


def mixed_chains(cell: Cell) -> Inputs:
    """Iterable parts with one map-style part at every place."""
    found = []
    for before, after in ((0, 0), (0, 1), (1, 0), (2, 0), (1, 2), (2, 1)):
        for kind, size in (("map", 2), ("list", 1), ("map", 0), ("tuple", 3), ("subset", 2)):
            parts = (*[("stream", 2)] * before, (kind, size), *[("stream", 1)] * after)
            found.append(DataParts(parts, joint="chain", exact=True))
    return Inputs(found)


def pairs(cell: Cell) -> Inputs:
    """Two parts that are datasets by class."""
    kinds = ("map", "batched", "subset", "joined")
    rows = covering(kinds, kinds, (0, 1, 3), (2, 0, 1))
    return Inputs([DataParts(((a, m), (b, n)), joint="add") for a, b, m, n in rows])


def stream_pairs(cell: Cell) -> Inputs:
    """Two iterable parts, and three, of which one sum is a part of the other."""
    two = [DataParts((("stream", m), ("stream", n)), joint="add") for m in (0, 1, 3) for n in (2, 0, 1)]
    return Inputs([*two, *(DataParts((*pair.parts, ("stream", 2)), joint="add") for pair in two)])


STACK_NAMES = ("image", "text", "self_", "index", "z", "a")


def _stacks(named: bool, kinds: tuple[str, ...] = MAP_KINDS, sizes: tuple[int, ...] = (1, 3, 0, 4)) -> Inputs:
    from hypothesis import strategies as st

    rows = covering(sizes, (1, 2, 3, 4), range(len(kinds)))
    corners = [
        _stack(size, tuple(kinds[(first + n) % len(kinds)] for n in range(count)), named) for size, count, first in rows
    ]
    drawn = st.lists(st.sampled_from(kinds), min_size=1, max_size=5).map(tuple)
    return Inputs(corners, st.builds(_stack, st.integers(0, 6), drawn, st.just(named)))


def _stack(size: int, kinds: tuple[str, ...], named: bool) -> DataStack:
    return DataStack(size, kinds, STACK_NAMES[: len(kinds)] if named else ())


def positional_stacks(cell: Cell) -> Inputs:
    """Parts given by position."""
    return _stacks(named=False)


def named_stacks(cell: Cell) -> Inputs:
    """Parts given by name."""
    return _stacks(named=True)


def batched_stacks(cell: Cell) -> Inputs:
    """Parts in both forms, of which some load several samples at once."""
    kinds = ("batched", "map", "list")
    first, second = _stacks(False, kinds), _stacks(True, kinds)
    return Inputs([*first.corners, *second.corners], first.samples)


def filled_stacks(cell: Cell) -> Inputs:
    """Parts in both forms that have samples."""
    first, second = (_stacks(named, ("map", "list", "batched"), (1, 3, 4)) for named in (False, True))
    return Inputs([replace(stack, lacking=True) for stack in (*first.corners, *second.corners)])


def uneven_joints(cell: Cell) -> Inputs:
    """Parts of which one, at every place, has another size."""
    found = []
    for count in (2, 3, 4):
        for place in range(count):
            for other in (0, 1, 4):
                sizes = [other if n == place else 3 for n in range(count)]
                parts = tuple((MAP_KINDS[(n + other) % 3], size) for n, size in enumerate(sizes))
                found.append(DataParts(parts, joint="stack", exact=True))
    return Inputs(found)


INDICES: tuple[tuple[int, tuple[int, ...]], ...] = (
    (3, (0, 1, 2)), (5, (4, 0, 3)), (4, ()), (1, (0,)), (3, (1, 1, 1)), (6, (5, 5, 0, 2, 2)), (4, (-1, 0, -4)),
    (9, (8, 6, 4, 2, 0)), (40, tuple(range(39, -1, -3))), (2, (0, 1, 0, 1, 0, 1)),
)  # fmt: skip


def _drawn_selections(kinds: tuple[str, ...], given: tuple[str, ...], lowest: int) -> Any:
    from hypothesis import strategies as st

    def selected(kind: str, form: str, size: int, numbers: list[int]) -> DataSelection:
        return DataSelection(kind, size, tuple(max(lowest * size, n % (2 * size) - size) for n in numbers), form)

    numbers = st.lists(st.integers(0, 15), max_size=8)
    return st.builds(selected, st.sampled_from(kinds), st.sampled_from(given), st.integers(1, 8), numbers)


def selections(cell: Cell) -> Inputs:
    """Indices in any order, repeated, from the end, and of datasets of every kind."""
    rows = covering(INDICES, MAP_KINDS, ("list", "tuple"))
    corners = [DataSelection(kind, size, indices, form) for (size, indices), kind, form in rows]
    corners += [DataSelection(kind, 7, tuple(range(2, 6)), "range") for kind in MAP_KINDS]
    corners += [DataSelection(kind, 3, (), "range") for kind in ("map", "list")]
    return Inputs(corners, _drawn_selections(MAP_KINDS, ("list", "tuple"), -1))


def batched_selections(cell: Cell) -> Inputs:
    """Subsets of datasets that do and do not load several samples at once."""
    rows = covering(INDICES, ("batched", "map", "list", "subset"), ("list", "tuple"))
    corners = [DataSelection(kind, size, indices, form) for (size, indices), kind, form in rows]
    return Inputs(corners, _drawn_selections(("batched", "map"), ("list", "tuple"), -1))


def listable_selections(cell: Cell) -> Inputs:
    """Subsets of datasets that take a list of indices."""
    rows = covering(INDICES, ("map", "batched"), ("list", "tuple"))
    return Inputs([DataSelection(kind, size, indices, form) for (size, indices), kind, form in rows])


def keyed_selections(cell: Cell) -> Inputs:
    """Subsets of a dataset with keys that are no numbers."""
    return Inputs([DataSelection("keys", size, indices) for size, indices in INDICES if min(indices, default=0) >= 0])
