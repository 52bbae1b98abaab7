"""A state machine over one loader: its iterators go through epochs of their own, whatever is done between the draws.

The area draws whole sessions as values (``conformance/inputs/loader_sessions.py``), so that a failure is a script that
runs without Hypothesis. Here Hypothesis chooses each step in the state that was reached, and each batch is compared
when it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, rule
from torch.utils.data import dataloader, sampler

from conformance.inputs.loader_sessions import SESSION_ORDERS, EpochSampler
from conformance.inputs.loaders import SAMPLER, SHUFFLED, MapSamples, SizedStream, listed_samples
from conformance.oracles.loader_model import batches_of
from conformance.selftest.falsifying import patched


class Epoch:
    """An iterator under way: what it has yielded, and the batches that it has to yield, where they are known."""

    def __init__(self, iterator: Iterator[Any], order: list[int] | None, state: bytes) -> None:
        self.iterator, self.order, self.state = iterator, order, state
        self.found: list[list[int]] = []
        self.ended = False

    @property
    def keys(self) -> list[int]:
        """The keys of all batches so far."""
        return [key for batch in self.found for key in batch]


class LoaderMachine(RuleBasedStateMachine):
    """Epochs are begun, drawn from, left and begun again; generators are put back, and the sampler told the epoch."""

    epochs = Bundle("epochs")
    states = Bundle("states")

    def __init__(self) -> None:
        super().__init__()
        self.before = torch.get_rng_state()
        self.orders: dict[bytes, list[int]] = {}

    def teardown(self) -> None:
        """Put the global generator back."""
        torch.set_rng_state(self.before)

    @initialize(
        order=st.sampled_from(SESSION_ORDERS), size=st.integers(1, 9), batch_size=st.sampled_from((None, 1, 2, 3)),
        drop_last=st.booleans(), seed=st.integers(0, 9),
    )  # fmt: skip
    def make(self, order: str, size: int, batch_size: int | None, drop_last: bool, seed: int) -> None:
        """A loader over the numbers of ``size`` keys."""
        torch.default_generator.manual_seed(seed)
        self.order, self.size, self.batch_size = order, size, batch_size
        self.drop_last = drop_last and batch_size is not None
        self.sampler = EpochSampler(range(size))
        own = order.startswith(SHUFFLED) and order != SHUFFLED
        self.generator = torch.Generator().manual_seed(seed) if own else torch.default_generator
        options: dict[str, Any] = {"shuffle": True} if order.startswith(SHUFFLED) else {}
        options |= {"sampler": self.sampler} if order == SAMPLER else {}
        options |= {"generator": self.generator} if own else {}
        dataset = (SizedStream if order == "iterable" else MapSamples)("number", size)
        self.loader = torch.utils.data.DataLoader(
            dataset, batch_size=batch_size, drop_last=self.drop_last, collate_fn=listed_samples, **options
        )

    @rule(target=epochs, drawn=st.integers(1, 3))
    def start(self, drawn: int) -> Epoch:
        """Begin an epoch; what it yields is settled when its first batch is drawn, which it is at once."""
        turn = self.sampler.epoch % self.size if self.order == SAMPLER else 0
        order = None if self.order.startswith(SHUFFLED) else [*range(turn, self.size), *range(turn)]
        state = bytes(self.generator.get_state().numpy())
        begun = Epoch(iter(self.loader), order, state)
        self.take(begun, drawn)
        return begun

    @rule(epoch=epochs, count=st.integers(1, 3))
    def draw(self, epoch: Epoch, count: int) -> None:
        """Draw some batches."""
        self.take(epoch, count)

    @rule(epoch=epochs)
    def finish(self, epoch: Epoch) -> None:
        """Draw to the end, which stays the end."""
        self.take(epoch, 1000)
        assert next(epoch.iterator, "the end") == "the end"

    @rule(epoch=consumes(epochs))
    def drop(self, epoch: Epoch) -> None:
        """Leave an epoch."""
        del epoch.iterator

    @rule(target=states)
    def save(self) -> Any:
        """Save the state of the generator."""
        return self.generator.get_state()

    @rule(state=states)
    def restore(self, state: Any) -> None:
        """Put the generator back."""
        self.generator.set_state(state)

    @rule(target=epochs, drawn=st.integers(1, 9))
    def begin_the_same_epoch_twice(self, drawn: int) -> Any:
        """An epoch, and another from the same state of the generator."""
        state = self.generator.get_state()
        first = self.start(drawn)
        self.generator.set_state(state)
        return multiple(first, self.start(drawn))

    @rule(epoch=st.integers(0, 9))
    def set_epoch(self, epoch: int) -> None:
        """Tell the sampler the epoch, which holds for the iterators begun from now on."""
        self.sampler.set_epoch(epoch)

    @rule()
    def length(self) -> None:
        """The loader is as long as an epoch has batches."""
        assert len(batches_of(range(self.size), self.batch_size, self.drop_last)) == len(self.loader)

    @rule()
    def glance(self) -> None:
        """Make an iterator, and draw nothing."""
        iter(self.loader)

    def take(self, epoch: Epoch, count: int) -> None:
        """Draw up to so many batches, and compare them with those that the model says."""
        for _, samples in islice(epoch.iterator, count):
            numbers = samples if self.batch_size is not None else [samples]
            epoch.found.append([(number - 1) // 3 for number in numbers])
            count -= 1
        epoch.ended = epoch.ended or count > 0
        order = epoch.order if epoch.order is not None else self.learned(epoch)
        wanted = batches_of(order, self.batch_size, self.drop_last)
        wanted = [[key] for key in wanted] if self.batch_size is None else wanted

        assert (wanted if epoch.ended else wanted[: len(epoch.found)]) == epoch.found

    def learned(self, epoch: Epoch) -> list[int]:
        """The order of a shuffled epoch, as far as it is known: one state of the generator gives one permutation."""
        keys = epoch.keys
        known = self.orders.get(epoch.state, [])
        both = min(len(known), len(keys))

        assert known[:both] == keys[:both]
        assert len({*keys}) == len(keys)
        assert {*keys} <= {*range(self.size)}

        self.orders[epoch.state] = max(known, keys, key=len)
        return keys + sorted({*range(self.size)} - {*keys})


def run_machine(*phases: Phase) -> None:
    """The machine over as many loaders as find a break that one loader in ten shows."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        LoaderMachine,
        settings=settings(
            max_examples=80, stateful_step_count=16, derandomize=True, database=None, deadline=None,
            phases=phases or list(Phase),
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_the_loader_follows_the_model_at_each_step() -> None:
    """Every batch of every iterator is the one that the model says, and the state of a generator gives one order."""
    run_machine()


def iterators_that_share_the_sampler() -> AbstractContextManager[Any]:
    """An iterator begun beside another takes over its place in the sampler."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            original(self, loader)
            if loader._dataset_kind == 0:
                self._sampler_iter = loader.__dict__.setdefault("_conformance_shared", self._sampler_iter)

        return initialise

    return patched(dataloader._BaseDataLoaderIter, "__init__", broken)


def an_order_of_its_own_at_each_time() -> AbstractContextManager[Any]:
    """A shuffled epoch of more than four samples begins elsewhere every second time."""
    times = [0]

    def broken(original: Any) -> Any:
        def keys(self: Any) -> Iterator[int]:
            found = list(original(self))
            times[0] += 1
            yield from found[1:] + found[:1] if times[0] % 2 and len(found) > 4 else found

        return keys

    return patched(sampler.RandomSampler, "__iter__", broken)


def a_set_epoch_without_effect() -> AbstractContextManager[Any]:
    """A loader goes on with the order that its sampler had in the first epoch."""

    def broken(original: Any) -> Any:
        def initialise(self: Any, loader: Any) -> None:
            original(self, loader)
            if isinstance(loader.sampler, EpochSampler):
                self._sampler_iter = iter(loader.__dict__.setdefault("_conformance_keys", [*self._sampler_iter]))

        return initialise

    return patched(dataloader._BaseDataLoaderIter, "__init__", broken)


@pytest.mark.parametrize(
    "broken", [iterators_that_share_the_sampler, an_order_of_its_own_at_each_time, a_set_epoch_without_effect]
)
def test_the_machine_sees_a_broken_loader(broken: Any) -> None:
    """The machine fails on a loader that goes wrong only beside another iterator, or in a later epoch."""
    with broken(), pytest.raises(AssertionError):
        run_machine(Phase.generate)
