"""The loader model says what the documentation's own examples say."""

from __future__ import annotations

import pytest

from conformance.inputs.loader_sessions import SESSION_ORDERS, Session, _sessions
from conformance.inputs.loaders import BATCH_SAMPLER, SAMPLER, SHUFFLED, Loading
from conformance.oracles.loader_model import Yielded, batches_of, epoch, loader_length


def keys_of(loading: Loading) -> list[object]:
    return [item.keys for item in epoch(loading)]


def test_batches_are_those_of_the_batch_sampler_examples() -> None:
    """The two examples of BatchSampler."""
    assert batches_of(range(10), 3, False) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert batches_of(range(10), 3, True) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_streams_are_those_of_the_iterable_dataset_examples() -> None:
    """The example of IterableDataset: 3 to 6, in two workers that do not share, and in two and twelve that do."""
    naive = Loading("iterable", size=4, batch_size=None, workers=2)
    shared = Loading("iterable", size=4, batch_size=None, workers=12, sharded=True)

    assert keys_of(naive) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert keys_of(shared) == [0, 1, 2, 3]


def test_each_worker_drops_the_last_batch_of_its_own() -> None:
    """Seven samples in two workers that share: 0 2 4 6 and 1 3 5, in batches of two."""
    kept = Loading("iterable", size=7, batch_size=2, workers=2, sharded=True)
    dropped = Loading("iterable", size=7, batch_size=2, drop_last=True, workers=2, sharded=True)

    assert epoch(kept) == [Yielded([0, 2], 0), Yielded([1, 3], 1), Yielded([4, 6], 0), Yielded([5], 1)]
    assert epoch(dropped) == [Yielded([0, 2], 0), Yielded([1, 3], 1), Yielded([4, 6], 0)]


def test_batches_of_a_map_are_dealt_out_to_the_workers() -> None:
    """Five batches, three workers, in the order of the sampler."""
    found = epoch(Loading(size=9, batch_size=2, workers=3))

    assert found == [Yielded([0, 1], 0), Yielded([2, 3], 1), Yielded([4, 5], 2), Yielded([6, 7], 0), Yielded([8], 1)]


@pytest.mark.parametrize(
    ("loading", "length"),
    [
        (Loading(size=10, batch_size=3), 4),
        (Loading(size=10, batch_size=3, drop_last=True), 3),
        (Loading(size=10, batch_size=None), 10),
        (Loading(size=10, batch_size=3, order=SAMPLER, keys=(1, 2)), 1),
        (Loading(size=10, order=BATCH_SAMPLER, keys=((1,), (2, 3))), 2),
        (Loading("iterable", size=10, batch_size=4, workers=5), 3),
        (Loading(size=0, batch_size=3), 0),
    ],
)
def test_length(loading: Loading, length: int) -> None:
    """len(loader) of each way to batch."""
    assert loader_length(loading) == length


def test_a_shuffled_epoch_needs_the_order_that_was_drawn() -> None:
    """The model draws nothing itself."""
    loading = Loading(size=3, batch_size=2, order=SHUFFLED)

    assert [item.keys for item in epoch(loading, [2, 0, 1])] == [[2, 0], [1]]
    with pytest.raises(AssertionError):
        epoch(loading)


def test_sessions_print_themselves() -> None:
    """The repr of a session is the session, and its lines are Python."""
    for session in _sessions(60, SESSION_ORDERS):
        assert eval(repr(session), {"Session": Session}) == session
        compile(session.code(), "session", "exec")
