"""Epochs: what a DataLoader yields, against the loader model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from conformance.inputs.loaders import Loading, torch_seeded
from conformance.oracles.expect import Mismatch, equal
from conformance.oracles.loader_model import epoch, plain, plain_batch


def drained(batches: Iterable[Any]) -> list[Any]:
    """All that a loader yields, with the global generator put back."""
    with torch_seeded():
        return list(batches)


def same_epoch(
    loading: Loading, found: Iterable[Any], what: str = "epoch", shuffled: Sequence[int] | None = None
) -> None:
    """Expect the batches of the model, in order; they are looked at when all of them have been yielded."""
    wanted = [plain_batch(loading, item.keys) for item in epoch(loading, shuffled)]
    same_batches(wanted, [plain(batch) for batch in drained(found)], what)


def same_batches(expected: list[Any], found: list[Any], what: str) -> None:
    """Expect the same batches, as ``plain`` shows them: same values, and same types of them."""
    for number, (wanted, got) in enumerate(zip(expected, found, strict=False)):
        if repr(wanted) != repr(got):
            raise Mismatch(f"batch {number} of {what}", wanted, got)
    equal(len(expected), len(found), f"number of batches in {what}")


def drawn_keys(found: Iterable[Any]) -> list[int]:
    """The keys of samples of the form "number" in batches, one after the other."""
    return [(number - 1) // 3 for batch in found for number in numbers_in(plain(batch))]


def numbers_in(shown: Any) -> list[int]:
    """The integers in what ``plain`` shows."""
    if isinstance(shown, list | tuple):
        return [number for part in shown for number in numbers_in(part)]
    return [shown] if isinstance(shown, int) else []


def epochs_drawn(loading: Loading, count: int, seed: int = 1) -> list[list[int]]:
    """The keys of so many epochs of a new loader, as they came; the global generator starts with ``seed``."""
    with torch_seeded():
        torch.manual_seed(seed)
        loader = loading.build()
        return [drawn_keys(list(loader)) for _ in range(count)]


def is_shuffle(loading: Loading, keys: list[int], what: str) -> None:
    """Expect keys in which each of the dataset's occurs once, less those of an incomplete batch that is dropped."""
    kept = loading.size
    if loading.drop_last and loading.batch_size is not None:
        kept -= loading.size % loading.batch_size
    equal(kept, len(keys), f"number of samples in {what}")
    twice = sorted({key for key in keys if keys.count(key) > 1})
    equal([], twice, f"samples that come twice in {what}")
    strangers = sorted({key for key in keys if key not in range(loading.size)})
    equal([], strangers, f"samples in {what} that the dataset has not")


def same_objects(expected: Sequence[Any], found: Sequence[Any], what: str) -> None:
    """Expect the very same objects, in order."""
    equal(len(expected), len(found), f"number of {what}")
    for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
        if wanted is not got:
            raise Mismatch(f"{what}, number {number}", "the very object", f"another {type(got).__name__}")


def same_parts(given: Any, found: Any, what: str) -> None:
    """Expect what the dataset gave: arrays as tensors, containers with the same parts, all else the very object."""
    if isinstance(given, np.ndarray):
        equal(("tensor", str(given.dtype), given.tolist()), plain(found), what)
    elif isinstance(given, dict):
        equal(sorted(given), sorted(found), f"keys of {what}")
        for name in given:
            same_parts(given[name], found[name], f"{what}[{name!r}]")
    elif isinstance(given, tuple):
        equal(len(given), len(found), f"length of {what}")
        for place, (part, other) in enumerate(zip(given, found, strict=True)):
            same_parts(part, other, f"{what}[{place}]")
    elif given is not found:
        raise Mismatch(what, f"the very object {given!r}", f"{found!r} ({type(found).__name__})")


def same_generator(before: Any, after: Any, what: str) -> None:
    """Expect the state of a generator not to have moved."""
    if not torch.equal(before, after):
        raise Mismatch(what, "the state from before", "another state")
