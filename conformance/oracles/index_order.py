"""Index order: which samples and indices came out, and in which order, by identity and by count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch

from conformance.oracles.expect import Mismatch, equal, that


def same_samples(expected: Any, found: Any, what: str) -> None:
    """Expect the very same objects in the same order."""
    expected, found = list(expected), list(found)
    for place, (wanted, got) in enumerate(zip(expected, found, strict=False)):
        if wanted is not got:
            raise Mismatch(what, repr(wanted), repr(got), f"sample {place} of {len(expected)}")
    equal(len(expected), len(found), f"number of samples in {what}")


def same_record(expected: Any, found: Any, what: str) -> None:
    """Expect a tuple or a dict of the very same samples, and of the same type."""
    equal(type(expected).__name__, type(found).__name__, f"type of {what}")
    if isinstance(expected, dict):
        equal(list(expected), list(found), f"keys of {what}")
        expected, found = expected.values(), found.values()
    same_samples(expected, found, what)


def same_indices(expected: Any, found: Any, what: str) -> None:
    """Expect these indices in this order."""
    expected, found = list(expected), list(found)
    for place, (wanted, got) in enumerate(zip(expected, found, strict=False)):
        if type(wanted) is not type(got) or wanted != got:
            raise Mismatch(what, repr(wanted), repr(got), f"position {place}")
    equal(len(expected), len(found), f"number of indices in {what}")


def same_counts(expected: Any, found: Any, what: str) -> None:
    """Expect the same indices, each as often, in any order."""
    wanted, got = Counter(map(repr, expected)), Counter(map(repr, found))
    for name in sorted({*wanted, *got}):
        if wanted[name] != got[name]:
            raise Mismatch(what, f"{name} {wanted[name]} times", f"{got[name]} times")


def distinct_below(size: int, found: list[Any], what: str) -> None:
    """Expect indices below ``size``, none of them twice."""
    in_range(size, found, what)
    twice = [index for index, count in Counter(found).items() if count > 1]
    that(not twice, what, "no index twice", f"{twice[:3]} more than once")


def in_range(size: int, found: list[Any], what: str) -> None:
    """Expect nothing but indices from 0 to ``size`` - 1."""
    outside = [index for index in found if not 0 <= index < size]
    that(not outside, what, f"indices from 0 to {size - 1}", repr(outside[:3]))


def even_rounds(size: int, found: list[Any], what: str) -> None:
    """Expect whole rounds over all indices, and a last one that is not complete, each index once a round."""
    for start in range(0, len(found), size):
        distinct_below(size, found[start : start + size], f"{what}, round {start // size}")


def about_equal(size: int, found: list[Any], what: str) -> None:
    """Expect each index to come up, by five standard deviations as often as any other."""
    about_as_often((1.0,) * size, found, what)


def about_as_often(weights: tuple[float, ...], found: list[Any], what: str) -> None:
    """Expect each index about as often as its weight says: within five standard deviations, and never for 0."""
    counts, total = Counter(found), len(found)
    for index, weight in enumerate(weights):
        share = weight / sum(weights)
        slack = 5 * sqrt(total * share * (1 - share))
        that(
            abs(counts[index] - total * share) <= slack, f"how often {index} is drawn in {what}",
            f"{total * share:.0f} times, give or take {slack:.0f}", f"{counts[index]} times",
        )  # fmt: skip


def fair_places(size: int, orders: list[list[Any]], what: str) -> None:
    """Expect each index below ``size`` to come about equally often at each place of many orders."""
    for place in range(len(orders[0])):
        about_equal(size, [order[place] for order in orders], f"{what}, place {place}")


def drain_into(found: Any, yielded: list[Any]) -> None:
    """Iterate over ``found`` and note what it yields, without a look at its length."""
    for item in found:
        yielded.append(item)


def differ(first: Any, second: Any, what: str) -> None:
    """Expect two orders that are not the same."""
    that(list(first) != list(second), what, "another order", f"the same: {list(first)[:8]} …")


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """The default generator with this seed; afterwards it is what it was."""
    before = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(before)


@contextmanager
def global_state_kept(what: str) -> Iterator[None]:
    """Expect the state of the default generator to be the same at the end."""
    before = torch.random.get_rng_state().numpy().tobytes()
    yield
    after = torch.random.get_rng_state().numpy().tobytes()
    that(before == after, f"state of the default generator after {what}", "as before", "another state")


def taken(action: Callable[[], Any], what: str) -> Any:
    """What ``action`` returns, which is not to refuse with NotImplementedError."""
    try:
        return action()
    except NotImplementedError as error:
        raise Mismatch(what, "to be taken", f"NotImplementedError: {str(error).partition(chr(10))[0]}") from error
