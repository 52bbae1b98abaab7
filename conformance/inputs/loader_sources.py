"""Sources of loader configurations: corners that cover the pairs of sizes, batches and orders, and samples."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.covering import coverings
from conformance.inputs.loaders import BATCH_SAMPLER, FORMS, SAMPLER, SEQUENTIAL, SHUFFLED, Loading

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.engine.cells import Cell

LOADED_SIZES = (0, 1, 2, 3, 5, 6, 7, 12)
LOADED_BATCHES = (1, 2, 3, 4, 7)
COLLATES = ("default", "listed")
MANY = 300  # samples, batches of one, or a batch: more than a byte counts
# Keys that a sampler yields: none, one, all, some twice, backwards; and batches of them, empty ones too.
SAMPLED_KEYS: tuple[tuple[int, ...], ...] = ((), (4,), (0, 1, 2, 3, 4), (2, 2, 0, 4, 2, 1), (4, 3, 2, 1, 0), (1, 3, 0))
SAMPLED_BATCHES: tuple[tuple[tuple[int, ...], ...], ...] = (
    (), ((0,),), ((0, 1), (2, 3), (4,)), ((4,), (0, 1, 2, 3)), ((1, 1), (1, 0, 1)), ((3, 0, 2), (4, 1, 3)),
    ((0,), (1, 2), (3, 4, 0), (1, 2, 3, 4)),
)  # fmt: skip


def _batched(style: str, size: int, batch_size: int, drop_last: bool, form: str, collate: str) -> Loading:
    return Loading(style, form, size, batch_size, drop_last, collate=collate)


def _single(style: str, size: int, form: str, collate: str) -> Loading:
    return Loading(style, form, size, None, collate=collate)


@cache
def _corners(make: Callable[..., Loading], passes: int, *factors: tuple[Any, ...]) -> tuple[Loading, ...]:
    return tuple(dict.fromkeys(make(*row) for row in coverings(passes, *factors)))


def _drawn(make: Callable[..., Loading], *factors: tuple[Any, ...]) -> Any:
    """Samples: sizes and batch sizes from a wider range, the rest from the factors."""
    from hypothesis import strategies as st

    return st.tuples(*(factor if hasattr(factor, "map") else st.sampled_from(factor) for factor in factors)).map(
        lambda choices: make(*choices)
    )


def _inputs(make: Callable[..., Loading], listed: tuple[Any, ...], drawn: tuple[Any, ...]) -> Inputs:
    return Inputs(_corners(make, 2, *listed), _drawn(make, *drawn))


def batched_maps(cell: Cell) -> Inputs:
    """Map-style datasets in batches, in order."""
    return _batched_of("map")


def batched_streams(cell: Cell) -> Inputs:
    """Iterable-style datasets in batches."""
    return _batched_of("iterable")


def _batched_of(style: str) -> Inputs:
    from hypothesis import strategies as st

    rest = ((False, True), FORMS, COLLATES)
    found = _inputs(
        _batched,
        ((style,), LOADED_SIZES, LOADED_BATCHES, *rest),
        ((style,), st.integers(0, 40), st.integers(1, 12), *rest),
    )
    return Inputs([*found.corners, *(Loading(style, "number", MANY, size) for size in (1, MANY))], found.samples)


def unsaid_batches(cell: Cell) -> Inputs:
    """Datasets of both styles, and nothing said about batches."""
    return Inputs([Loading(style, form, size) for style in ("map", "iterable") for form in FORMS for size in (0, 1, 5)])


def ordered(cell: Cell) -> Inputs:
    """Map-style datasets in the order of their keys, in batches and without."""
    from hypothesis import strategies as st

    rest = ((None, *LOADED_BATCHES), ("number", "mapping"), COLLATES)
    return _inputs(_ordered, (LOADED_SIZES, *rest), (st.integers(0, 40), *rest))


def _ordered(size: int, batch_size: int | None, form: str, collate: str) -> Loading:
    return Loading("map", form, size, batch_size, collate=collate)


def batched_any(cell: Cell) -> Inputs:
    """Datasets of both styles in batches."""
    from hypothesis import strategies as st

    styles, rest = ("map", "iterable"), ((False, True), FORMS, COLLATES)
    return _inputs(
        _batched,
        (styles, LOADED_SIZES, LOADED_BATCHES, *rest),
        (styles, st.integers(0, 40), st.integers(1, 12), *rest),
    )


def single_maps(cell: Cell) -> Inputs:
    """Map-style datasets without batches."""
    return _singles_of(("map",), COLLATES)


def single_streams(cell: Cell) -> Inputs:
    """Iterable-style datasets without batches."""
    return _singles_of(("iterable",), COLLATES)


def single_any(cell: Cell) -> Inputs:
    """Datasets of both styles without batches."""
    return _singles_of(("map", "iterable"), ("listed",))


def converted_singles(cell: Cell) -> Inputs:
    """Datasets of both styles without batches and without a collate_fn."""
    return _singles_of(("map", "iterable"), ("default",))


def _singles_of(styles: tuple[str, ...], collates: tuple[str, ...]) -> Inputs:
    from hypothesis import strategies as st

    found = _inputs(_single, (styles, LOADED_SIZES, FORMS, collates), (styles, st.integers(0, 20), FORMS, collates))
    return Inputs([*found.corners, *(_single(style, MANY, "number", collates[0]) for style in styles)], found.samples)


def any_loadings(cell: Cell) -> Inputs:
    """Every way to put keys in order and in batches, and both styles."""
    return Inputs(
        [case for source in (batched_any, single_maps, single_streams, sampled, batch_sampled)
         for case in source(cell).corners],
        batched_any(cell).samples,
    )  # fmt: skip


def unsized_loadings(cell: Cell) -> Inputs:
    """Iterable-style datasets without a length, and keys for a sampler without one."""
    return Inputs(
        [Loading("iterable", "number", 5, size, sized=False) for size in (None, 1, 2, 7)]
        + [Loading("map", "number", 5, size, order=SAMPLER, keys=keys)
           for size in (None, 1, 2, 7) for keys in SAMPLED_KEYS]
        + [Loading("map", "number", 5, order=BATCH_SAMPLER, keys=keys) for keys in SAMPLED_BATCHES]
    )  # fmt: skip


def any_streams(cell: Cell) -> Inputs:
    """Iterable-style datasets of numbers, in batches and without."""
    return Inputs(_styled("iterable"))


def any_streams_and_maps(cell: Cell) -> Inputs:
    """Datasets of numbers of both styles, in batches and without."""
    return Inputs([*_styled("iterable"), *_styled("map")])


def _styled(style: str) -> list[Loading]:
    return [
        Loading(style, "number", size, batch_size, drop_last, collate=collate)
        for size in (0, 1, 5, 6)
        for batch_size, drop_last in ((None, False), (1, False), (2, False), (3, True), (7, False))
        for collate in COLLATES
    ]


def sequential_and_shuffled(cell: Cell) -> Inputs:
    """Map-style datasets of numbers, in order and shuffled."""
    rows = coverings(1, (1, 2, 5, 6), (None, 1, 2, 3, 7), (False, True), (SEQUENTIAL, SHUFFLED), (None, 4))
    return Inputs([_ordered_anyhow(*row) for row in rows])


def _ordered_anyhow(size: int, batch_size: int | None, drop_last: bool, order: str, seed: int | None) -> Loading:
    return Loading("map", "number", size, batch_size, drop_last and batch_size is not None, order, seed=seed)


def empty_shuffled(cell: Cell) -> Inputs:
    """Nothing to shuffle."""
    return Inputs([Loading(size=0, batch_size=size, order=SHUFFLED) for size in (None, 1, 3)])


def ordered_or_sampled(cell: Cell) -> Inputs:
    """Map-style datasets in order, and with a sampler."""
    return Inputs([case for source in (batched_maps, single_maps, sampled) for case in source(cell).corners])


def positional(cell: Cell) -> Inputs:
    """Configurations that each give other values to the arguments that may be positional."""
    return Inputs(
        [
            Loading("map", form, 5, 2, drop_last, collate=collate)
            for form in FORMS for drop_last in (False, True) for collate in COLLATES
        ]
        + [Loading(size=5, batch_size=size, order=SAMPLER, keys=keys) for size in (None, 2) for keys in SAMPLED_KEYS]
        + [Loading(size=5, order=BATCH_SAMPLER, keys=keys) for keys in SAMPLED_BATCHES]
        + [Loading(size=9, batch_size=size, order=SHUFFLED) for size in (None, 1, 4)]
        + [Loading("iterable", "number", 5, size) for size in (None, 2)]
    )  # fmt: skip


def sized_maps(cell: Cell) -> Inputs:
    """Map-style datasets, with samplers and without."""
    return Inputs(
        [case for source in (batched_maps, single_maps, sampled, batch_sampled, shuffled)
         for case in source(cell).corners],
        sampled(cell).samples,
    )  # fmt: skip


def sized_streams(cell: Cell) -> Inputs:
    """Iterable-style datasets with a length, also for workers, which are not started."""
    from hypothesis import strategies as st

    rest = ((None, *LOADED_BATCHES), (False, True), (0, 0, 1, 2))
    return _inputs(_sized_stream, ((*LOADED_SIZES, 1001, 2**31 + 1), *rest), (st.integers(0, 99), *rest))


def _sized_stream(size: int, batch_size: int | None, drop_last: bool, workers: int) -> Loading:
    return Loading("iterable", "number", size, batch_size, drop_last and batch_size is not None, workers=workers)


def bulk_batches(cell: Cell) -> Inputs:
    """Map-style datasets in batches: by their number, by a sampler, by a batch sampler, shuffled."""
    found = [case for source in (batched_maps, sampled, batch_sampled) for case in source(cell).corners]
    return Inputs([case for case in found if case.batched][::2], batched_maps(cell).samples)


# --- samplers -----------------------------------------------------------------------------------------------------


def _sampled(keys: tuple[int, ...], batch_size: int | None, drop_last: bool, form: str, collate: str) -> Loading:
    return Loading("map", form, 5, batch_size, drop_last and batch_size is not None, SAMPLER, keys, collate)


def _batch_sampled(keys: tuple[Any, ...], form: str, collate: str) -> Loading:
    return Loading("map", form, 5, order=BATCH_SAMPLER, keys=keys, collate=collate)


def sampled(cell: Cell) -> Inputs:
    """Map-style datasets with a sampler."""
    from hypothesis import strategies as st

    rest = ((None, *LOADED_BATCHES), (False, True), FORMS, COLLATES)
    keys = st.lists(st.integers(0, 4), max_size=12).map(tuple)
    return _inputs(_sampled, (SAMPLED_KEYS, *rest), (keys, *rest))


def batch_sampled(cell: Cell) -> Inputs:
    """Map-style datasets with a batch sampler."""
    from hypothesis import strategies as st

    keys = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple), max_size=5).map(tuple)
    found = _inputs(_batch_sampled, (SAMPLED_BATCHES, FORMS, COLLATES), (keys, FORMS, COLLATES))
    empty = Loading("map", "pair", 5, order=BATCH_SAMPLER, keys=((), (1,), (), (2, 0)), collate="listed")
    none = Loading("map", "pair", 5, order=BATCH_SAMPLER, keys=(), collate="listed")
    return Inputs([*found.corners, empty, none], found.samples)


def sampled_in_any_way(cell: Cell) -> Inputs:
    """Map-style datasets with a sampler or a batch sampler."""
    return Inputs([*sampled(cell).corners, *batch_sampled(cell).corners], sampled(cell).samples)


# --- shuffling ----------------------------------------------------------------------------------------------------


def _shuffled(size: int, batch_size: int | None, drop_last: bool, seed: int | None, collate: str) -> Loading:
    return Loading("map", "number", size, batch_size, drop_last and batch_size is not None, SHUFFLED,
                   collate=collate, seed=seed)  # fmt: skip


def shuffled(cell: Cell) -> Inputs:
    """Map-style datasets that are shuffled, by a generator of their own and by the global one."""
    from hypothesis import strategies as st

    rest = ((None, *LOADED_BATCHES), (False, True), (None, 0, 5), COLLATES)
    return _inputs(_shuffled, ((1, 2, 3, 5, 6, 7, 12, 33), *rest), (st.integers(1, 40), *rest))


def reshuffled(cell: Cell) -> Inputs:
    """The same, with enough samples that two epochs in the same order are out of the question, and all kept."""
    rows = coverings(1, (30, 31, 64), (None, 1, 4, 30), (False,), (None, 0, 5, 2**40), COLLATES)
    return Inputs([_shuffled(*row) for row in rows])


def shuffled_by_generator(cell: Cell) -> Inputs:
    """The same, by a generator of their own."""
    rows = coverings(1, (30, 33), (None, 1, 4), (False, True), (0, 5, 2**40), COLLATES)
    return Inputs([_shuffled(*row) for row in rows])


def shuffled_by_torch(cell: Cell) -> Inputs:
    """The same, by the global generator."""
    rows = coverings(1, (30, 33), (None, 1, 4), (False, True), (None,), COLLATES)
    return Inputs([_shuffled(*row) for row in rows])


def small_shuffled(cell: Cell) -> Inputs:
    """A few samples, so that each comes at each place soon, and some more."""
    return Inputs([_shuffled(size, size // 2, False, seed, "default") for size in (2, 4, 5, 40) for seed in (None, 0)])


def sampled_and_generated(cell: Cell) -> Inputs:
    """Samplers and batch samplers beside a generator."""
    found = [case for source in (sampled, batch_sampled) for case in source(cell).corners]
    return Inputs([replace(case, seed=number % 3) for number, case in enumerate(found[::3])])


def with_generator(cell: Cell) -> Inputs:
    """Loaders of every kind that have a generator of their own."""
    return Inputs(_of_kinds(7))


def without_generator(cell: Cell) -> Inputs:
    """Loaders of every kind that have none."""
    return Inputs(_of_kinds(None))


def _of_kinds(seed: int | None) -> list[Loading]:
    return [
        Loading(style, "number", 12, size, order=order, keys=keys if order == SAMPLER else (), seed=seed)
        for size in (None, 1, 5)
        for keys in ((3, 1, 2, 0, 11),)
        for style, order in (("map", SEQUENTIAL), ("map", SHUFFLED), ("map", SAMPLER), ("iterable", SEQUENTIAL))
    ] + [Loading(size=12, order=BATCH_SAMPLER, keys=((3, 1), (0,)), seed=seed)]
