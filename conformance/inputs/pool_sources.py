"""Pool sources: which pools each behaviour of workers is shown. A pool costs some 50 ms, so there are few."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.failing_pools import Failing
from conformance.inputs.loaders import BATCH_SAMPLER, SAMPLER, SHUFFLED, Loading
from conformance.inputs.pool_programs import Bulks, Overtaken
from conformance.inputs.pools import Pool

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from conformance.engine.cells import Cell

# More workers than batches, an incomplete last batch, no batches, one worker, both kinds of datasets.
DEAR = 5  # a pool of processes costs what hundreds of other samples do: one of so many is drawn
FEW_POOLS = (
    Pool(),
    Pool(workers=3, size=4, batch_size=1, style="sharded", seed=1),
    Pool(workers=3, size=2, batch_size=2, seed=2),
    Pool(workers=1, size=3, batch_size=None, style="stream", seed=3),
)
REUSED_POOLS = (
    Pool(persistent=True, epochs=3),
    Pool(persistent=True, epochs=3, workers=3, size=7, batch_size=1, taken=2, shuffle=True),
    Pool(persistent=True, epochs=2, style="sharded", size=5, prefetch=1, taken=1),
    Pool(persistent=True, epochs=3, style="stream", workers=1, batch_size=None, size=3),
    Pool(persistent=True, epochs=3, style="sharded", size=3),
)
SEEDED_POOLS = (
    Pool(seed=5), Pool(workers=3, size=7, batch_size=1, own_seed=6, epochs=2), Pool(style="stream", size=3, seed=7),
    Pool(workers=1, size=3, own_seed=8, batch_size=None),
)  # fmt: skip
STREAMS = (
    Pool(style="stream"), Pool(style="stream", size=4, workers=3, batch_size=1),
    Pool(style="stream", size=3, batch_size=None), Pool(style="stream", size=0),
)  # fmt: skip
# Copies that end one after the other, more workers than samples, a copy that ends with an incomplete batch.
SHARDED_STREAMS = (
    Pool(style="sharded", size=7, workers=3, batch_size=1, prefetch=1),
    Pool(style="sharded", size=2, workers=4, batch_size=1, prefetch=3),
    Pool(style="sharded", size=8, workers=3), Pool(style="sharded", batch_size=None, prefetch=1),
)  # fmt: skip
INIT_SHARDED_STREAMS = (
    Pool(style="stream", size=4, batch_size=1, init="shard"), Pool(style="stream", size=7, workers=3, init="shard"),
    Pool(style="stream", size=1, workers=3, batch_size=None, init="shard"),
)  # fmt: skip


def few_pools(cell: Cell) -> Inputs:
    """A pool of each kind."""
    return Inputs(FEW_POOLS)


def told_pools(cell: Cell) -> Inputs:
    """The same, pools whose workers are kept for a second epoch, and one of many workers."""
    kept = (Pool(workers=3, size=7, persistent=True, epochs=2), Pool(style="sharded", persistent=True, epochs=2))
    return Inputs([*FEW_POOLS, *kept, Pool(workers=6, size=6, batch_size=1)])


def bare_pools(cell: Cell) -> Inputs:
    """The same, without an init function."""
    return Inputs([replace(pool, init="") for pool in FEW_POOLS])


def bulks(cell: Cell) -> Inputs:
    """Batches that are loaded at once, an incomplete one too."""
    return Inputs([Bulks()])


def map_pools(cell: Cell) -> Inputs:
    """Pools over map-style datasets, of one and of several epochs."""
    return Inputs(
        [Pool(epochs=2), Pool(workers=3, size=2), Pool(workers=1, batch_size=None, persistent=True, epochs=2)]
    )


def repeated_pools(cell: Cell) -> Inputs:
    """Pools of several epochs, whose workers are new each time."""
    return Inputs(
        [
            Pool(epochs=2, own_seed=4),
            Pool(epochs=3, workers=3, size=5, batch_size=1, taken=1),
            Pool(epochs=2, style="stream"),
        ]
    )


def reused_pools(cell: Cell) -> Inputs:
    """Pools of several epochs with persistent workers, some of which are broken off."""
    from hypothesis import strategies as st

    drawn = st.builds(
        Pool, workers=st.integers(1, 3), size=st.integers(1, 9), batch_size=st.sampled_from((None, 1, 2, 3)),
        style=st.sampled_from(("map", "stream", "sharded")), persistent=st.just(True), epochs=st.just(3),
        prefetch=st.sampled_from((None, 1, 3)), taken=st.integers(0, 4), drop_last=st.just(False),
    )  # fmt: skip
    return Inputs(REUSED_POOLS, drawn, DEAR)


def few_reused_pools(cell: Cell) -> Inputs:
    """Pools of several epochs with persistent workers."""
    return Inputs(REUSED_POOLS)


def seeded_pools(cell: Cell) -> Inputs:
    """Pools whose main process or generator is seeded."""
    return Inputs(SEEDED_POOLS)


def drawing_pools(cell: Cell) -> Inputs:
    """The same, and one whose workers are kept: what they draw in later epochs goes on where they were."""
    return Inputs([*SEEDED_POOLS, Pool(seed=9, size=6, persistent=True, epochs=2)])


def main_seeded_pools(cell: Cell) -> Inputs:
    """Pools without a generator, each of which is run three times."""
    return Inputs([Pool(seed=5), SEEDED_POOLS[2], Pool(workers=1, size=3, batch_size=None)])


def own_seeded_pools(cell: Cell) -> Inputs:
    """Pools with a generator, each of which is run three times."""
    streams = Pool(style="stream", size=3, seed=7, own_seed=9)
    return Inputs([Pool(workers=3, size=7, batch_size=1, own_seed=6), streams, replace(SEEDED_POOLS[3], seed=1)])


def reproduced_pools(cell: Cell) -> Inputs:
    """Pools that are run twice, persistent and shuffled ones too."""
    return Inputs(
        [
            Pool(seed=1, epochs=2, shuffle=True),
            Pool(own_seed=2, workers=3, size=7, epochs=2, persistent=True, shuffle=True, init="recipe"),
            Pool(seed=3, style="sharded", batch_size=1, init="recipe"),
        ]
    )


def initialised_pools(*actions: str) -> Any:
    """A source of pools whose init function does these things."""
    found = [replace(pool, init=action) for pool in FEW_POOLS for action in actions if pool.workers > 1]
    return found


def recipe_pools(cell: Cell) -> Inputs:
    """Pools whose init function is the recipe of the notes."""
    return Inputs(initialised_pools("recipe"))


def reseeded_pools(cell: Cell) -> Inputs:
    """Pools whose init function sets a seed of its own, and others."""
    return Inputs(initialised_pools("seed", "note"))


def stream_pools(cell: Cell) -> Inputs:
    """Pools over iterable-style datasets that know nothing of workers."""
    return Inputs(STREAMS, drawn_streams("stream"), DEAR)


def sharded_pools(cell: Cell) -> Inputs:
    """Pools over iterable-style datasets that shard themselves."""
    return Inputs(SHARDED_STREAMS, drawn_streams("sharded"), DEAR)


def init_sharded_pools(cell: Cell) -> Inputs:
    """Pools over iterable-style datasets whose init function shards them."""
    return Inputs(INIT_SHARDED_STREAMS)


def dropping_pools(cell: Cell) -> Inputs:
    """Pools over iterable-style datasets with drop_last, whose copies have incomplete last batches or none."""
    corners = [
        Pool(style="sharded", size=7, workers=2, batch_size=2, drop_last=True),
        Pool(style="sharded", size=8, workers=3, batch_size=3, drop_last=True),
        Pool(style="stream", size=5, workers=2, batch_size=2, drop_last=True),
        Pool(style="sharded", size=3, workers=2, batch_size=3, drop_last=True),
        Pool(style="sharded", size=7, workers=2, batch_size=2, drop_last=True, persistent=True, epochs=2),
    ]
    drawn = drawn_streams("sharded", "stream").map(lambda pool: replace(pool, drop_last=pool.batch_size is not None))
    return Inputs(corners, drawn, DEAR)


def turning_pools(cell: Cell) -> Inputs:
    """Pools over iterable-style datasets of any kind, equally long copies or not; all are met elsewhere too."""
    return Inputs([*STREAMS, *SHARDED_STREAMS, *INIT_SHARDED_STREAMS])


def drawn_streams(*styles: str) -> SearchStrategy[Pool]:
    """Pools over iterable-style datasets of these styles."""
    from hypothesis import strategies as st

    return st.builds(
        Pool, workers=st.integers(1, 3), size=st.integers(0, 9), batch_size=st.sampled_from((None, 1, 2, 3)),
        style=st.sampled_from(styles), prefetch=st.sampled_from((None, 1, 3)),
    )  # fmt: skip


# --- configurations that the model knows ----------------------------------------------------------------------------


LOADINGS = (
    Loading(workers=2, size=9, batch_size=5),
    Loading(workers=3, size=7, batch_size=2, drop_last=True, form="mapping"),
    Loading(workers=2, size=3, batch_size=2, drop_last=True),
    Loading(workers=3, size=2, batch_size=4, form="pair"),
    Loading(workers=2, size=4, batch_size=None, form="array"),
    Loading(workers=2, size=5, order=SAMPLER, keys=(4, 0, 0, 3, 2), batch_size=3, form="tensor"),
    Loading(workers=2, size=5, order=BATCH_SAMPLER, keys=((4, 0), (), (1,), (3, 2, 1)), collate="list"),
    Loading(workers=1, size=0, batch_size=2),
    Loading(workers=4, size=9, batch_size=1, form="text", collate="list"),
    Loading(workers=2, size=300, batch_size=1, collate="list"),  # more batches than a byte counts
    Loading(workers=1, size=300, batch_size=300, collate="list"),
)


def worker_loadings(cell: Cell) -> Inputs:
    """Configurations over map-style datasets with workers."""
    from hypothesis import strategies as st

    from conformance.inputs.loaders import FORMS

    keys = st.lists(st.integers(0, 4), max_size=6).map(tuple)
    batches = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple), max_size=4).map(tuple)
    common = {"workers": st.integers(1, 3), "form": st.sampled_from(FORMS)}
    drawn = st.one_of(
        st.builds(
            Loading, size=st.integers(0, 9), batch_size=st.sampled_from((1, 2, 3, 4)), drop_last=st.booleans(), **common
        ),
        st.builds(
            Loading, order=st.just(SAMPLER), keys=keys, batch_size=st.sampled_from((None, 1, 2)),
            collate=st.sampled_from(("default", "list")), **common,
        ),
        st.builds(Loading, order=st.just(BATCH_SAMPLER), keys=batches, **common),
    )  # fmt: skip
    return Inputs(LOADINGS, drawn, DEAR)


def shuffled_loadings(cell: Cell) -> Inputs:
    """Shuffled configurations; with a generator, and without."""
    from hypothesis import strategies as st

    corners = [
        Loading(workers=2, size=9, batch_size=2, order=SHUFFLED, seed=4),
        Loading(workers=3, size=9, batch_size=1, order=SHUFFLED),
        Loading(workers=1, size=8, batch_size=None, order=SHUFFLED, seed=5),
    ]
    drawn = st.builds(
        Loading, workers=st.integers(1, 2), size=st.integers(2, 20), batch_size=st.sampled_from((1, 3)),
        order=st.just(SHUFFLED), seed=st.sampled_from((None, 1, 2)),
    )  # fmt: skip
    return Inputs(corners, drawn, DEAR)


# --- orders and lengths ---------------------------------------------------------------------------------------------


def overtaken_samples(cell: Cell) -> Inputs:
    """The first sample held back, or one in the middle, until one of another worker is loaded."""
    return Inputs([Overtaken(0, 3), Overtaken(4, 8, workers=3, size=9), Overtaken(0, 1, prefetch=1)])


def unordered_pools(cell: Cell) -> Inputs:
    """Samples held back, iterable-style datasets whose copies end one by one, and epochs of persistent workers."""
    # what is loaded first of all: a worker that has room gets what comes later, and it may be the one that is held
    held = [Overtaken(0, 3), Overtaken(4, 5, workers=3, size=9), Overtaken(0, 1, prefetch=1)]
    pools = [
        Pool(style="sharded", workers=3, size=5, batch_size=1, in_order=False),
        Pool(style="stream", size=3, prefetch=1, in_order=False),
        Pool(batch_size=None, in_order=False),
        Pool(size=9, batch_size=1, persistent=True, epochs=3, taken=2, in_order=False),
        Pool(style="sharded", size=5, batch_size=1, persistent=True, epochs=3, taken=3, in_order=False),
    ]
    failing = Failing("ValueError", 5, "later", Pool(3, 7, 1, in_order=False))
    return Inputs([*held, *pools, failing])


def spent_pools(cell: Cell) -> Inputs:
    """Pools of each kind whose epoch is drawn to its end."""
    return Inputs(
        [Pool(), Pool(style="sharded", workers=3, size=4, batch_size=1), Pool(persistent=True, style="stream")]
    )


def first_samples_held(cell: Cell) -> Inputs:
    """The first sample held back until another has come."""
    kept = Overtaken(0, -1, kept=True)
    return Inputs([Overtaken(0, -1), Overtaken(0, -1, workers=3, size=4, prefetch=1), kept])


def turn_pools(cell: Cell) -> Inputs:
    """Pools of which two iterators are drawn from in turns."""
    return Inputs([Pool(size=3, batch_size=1), Pool(style="sharded", size=5), Pool(style="stream", workers=1, size=3)])


def sized_streams(cell: Cell) -> Inputs:
    """Configurations over iterable-style datasets with a length, of which only the length is asked."""
    from hypothesis import strategies as st

    drawn = st.builds(
        Loading, style=st.just("iterable"), size=st.integers(0, 30), batch_size=st.sampled_from((None, 1, 2, 3, 7)),
        drop_last=st.just(False), workers=st.integers(1, 5), sharded=st.booleans(),
    )  # fmt: skip
    dropping = st.builds(
        Loading, style=st.just("iterable"), size=st.integers(0, 30), batch_size=st.integers(1, 8),
        drop_last=st.just(True), workers=st.integers(1, 5), sharded=st.booleans(),
    )  # fmt: skip
    corners = [
        Loading(style="iterable", size=7, batch_size=2, workers=3),
        Loading(style="iterable", size=7, batch_size=2, workers=3, drop_last=True),
        Loading(style="iterable", size=7, batch_size=None, workers=2, sharded=True),
        Loading(style="iterable", size=0, batch_size=4, workers=2),
    ]
    return Inputs(corners, st.one_of(drawn, dropping))


def longer_pools(cell: Cell) -> Inputs:
    """Pools over iterable-style datasets that yield more than their length, less, or as much."""
    return Inputs(
        [
            Pool(style="stream", size=3, batch_size=1, sized=True),
            Pool(style="sharded", size=4, batch_size=1, sized=True),
            Pool(style="sharded", size=4, batch_size=3, sized=True),
            Pool(style="stream", size=2, batch_size=2, workers=3, sized=True),  # one batch more than samples
            Pool(style="stream", size=5, batch_size=None, sized=True),
            Pool(style="stream", size=3, batch_size=1, sized=True, persistent=True, epochs=2),
        ]
    )


# --- prefetching ------------------------------------------------------------------------------------------------------


def prefetching_pools(cell: Cell) -> Inputs:
    """Pools with a prefetch factor of which some batches are taken, and more are there than can be loaded ahead."""
    return Inputs(
        [
            Pool(2, 24, 2, prefetch=1, taken=0),
            Pool(3, 20, None, prefetch=3, taken=2),
            Pool(2, 20, 1, "stream", prefetch=3, taken=1),
            Pool(1, 5, None, prefetch=5, taken=1),
            Pool(2, 20, 1, prefetch=3, taken=1, persistent=True, epochs=2),
        ]
    )


def default_prefetching_pools(cell: Cell) -> Inputs:
    """The same without a prefetch factor."""
    return Inputs([Pool(2, 24, 2, taken=0), Pool(1, 9, 1, taken=3), Pool(3, 20, 1, "stream", taken=0)])


def timely_pools(cell: Cell) -> Inputs:
    """Pools whose batches come well within the timeout."""
    return Inputs([Pool(), Pool(3, 7, 1, "sharded", persistent=True, epochs=2)])
