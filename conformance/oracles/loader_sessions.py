"""Sessions against the loader model: each iterator goes through an epoch of its own, whatever else is done.

The model knows the order of an epoch from the sampler, or, where it is drawn at random, learns it: a state of the
generator gives one order, the same one each time that it is restored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.inputs.loader_sessions import Session, SessionLog
from conformance.inputs.loaders import SAMPLER, SHUFFLED, torch_seeded
from conformance.oracles.expect import Mismatch, equal
from conformance.oracles.loader_epochs import numbers_in
from conformance.oracles.loader_model import batches_of, plain


def follows_the_loader_model(case: Session) -> None:
    """Expect each iterator of a session to yield what the model says, and no more."""
    with torch_seeded():
        log = case.build().run()
    model = SessionModel(case)
    for number, batches in enumerate(log.batches):
        model.iterator(number, log, [keys_in(batch) for batch in batches])
    whole = len(batches_of(range(case.size), case.batch_size, case.drop_last))
    for length in log.lengths:
        equal(whole, length, "len(loader)")


def repeats_itself(case: Session) -> None:
    """Expect a session to come out the same once more, from the same seed."""
    logs = []
    for seed in (11, 11):
        with torch_seeded(seed):
            logs.append(case.build().run())
    for number, (first, again) in enumerate(zip(logs[0].batches, logs[1].batches, strict=True)):
        same_keys([keys_in(x) for x in first], [keys_in(x) for x in again], f"iterator {number}, the second time")


def keys_in(batch: Any) -> list[int]:
    """The keys of the numbers in a batch."""
    return [(number - 1) // 3 for number in numbers_in(plain(batch))]


def same_keys(expected: list[Any], found: list[Any], what: str) -> None:
    """Expect the same keys, batch by batch."""
    for place, (wanted, got) in enumerate(zip(expected, found, strict=False)):
        if wanted != got:
            raise Mismatch(f"batch {place} of {what}", f"the samples {wanted}", f"the samples {got}")
    equal(len(expected), len(found), f"number of batches of {what}")


class SessionModel:
    """The orders of epochs, as far as they are known."""

    def __init__(self, case: Session) -> None:
        self.case = case
        self.orders: dict[bytes, list[int]] = {}

    def iterator(self, number: int, log: SessionLog, found: list[list[int]]) -> None:
        """Look at all that one iterator yielded."""
        what = f"iterator {number}"
        if self.case.order.startswith(SHUFFLED):
            keys = [key for batch in found for key in batch]
            self.permutes(keys, what)
            self.same_as_before(log.states[number], keys, what)
            order: Sequence[int] = keys + sorted(set(range(self.case.size)) - set(keys))
        else:
            turn = log.epochs[number] % self.case.size if self.case.order == SAMPLER else 0
            order = [*range(turn, self.case.size), *range(turn)]
        wanted = batches_of(list(order), self.case.batch_size, self.case.drop_last)
        if self.case.batch_size is None:
            wanted = [[key] for key in wanted]
        same_keys(wanted if log.ended[number] else wanted[: len(found)], found, what)

    def permutes(self, keys: list[int], what: str) -> None:
        """Expect keys of the dataset, none twice."""
        if len({*keys}) < len(keys) or not {*keys} <= {*range(self.case.size)}:
            raise Mismatch(f"samples of {what}", f"samples out of {self.case.size}, none twice", keys)

    def same_as_before(self, state: bytes, keys: list[int], what: str) -> None:
        """Expect the order that this state of the generator gave before, as far as both go."""
        known = self.orders.get(state, [])
        both = min(len(known), len(keys))
        if known[:both] != keys[:both]:
            raise Mismatch(f"order of {what}, begun in a state of the generator from before", known, keys)
        self.orders[state] = max(known, keys, key=len)
