"""The pool model: what the notes of workers have to say, by the loader model and by generators of their own.

Reference: https://docs.pytorch.org/docs/stable/data.html#data-loading-randomness
"""

from __future__ import annotations

import random
from typing import Any

import torch
from numpy.random import RandomState  # loaded here, or every worker would load it

from conformance.inputs.pools import EpochSeen, Pool, PoolSeen
from conformance.oracles.expect import equal, that
from conformance.oracles.loader_model import Yielded, epoch


def listed_keys(keys: Any) -> list[Any]:
    """The keys of what is yielded: a batch, or one key."""
    return keys if isinstance(keys, list) else [keys]


def keys_loaded(case: Pool) -> list[Any]:
    """The keys of all samples that the workers of an epoch load, also for batches that are dropped."""
    loading = case.loading
    if loading.style == "map":
        return [key for yielded in epoch(loading) for key in listed_keys(yielded.keys)]
    return [key for worker in range(case.workers) for key in stream_keys(case, worker)]


def stream_keys(case: Pool, worker: int) -> list[int]:
    """The keys of the copy of an iterable-style dataset in one worker."""
    keys = list(range(case.size))
    return keys[worker :: case.workers] if case.loading.sharded else keys


def keys_yielded(case: Pool, seen: EpochSeen) -> list[Any]:
    """The keys in what an epoch yielded."""
    return [key for batch in seen.batches for key in listed_keys(batch)]


def notes_by(notes: list[dict[str, Any]], fact: str) -> list[list[dict[str, Any]]]:
    """The notes with each value of a fact, in the order in which they were made."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for note in notes:
        found.setdefault(note[fact], []).append(note)
    return list(found.values())


def notes_by_process(notes: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The notes of each process, in the order in which they were made."""
    return notes_by(notes, "process")


def torch_draws(seed: int, count: int) -> list[int]:
    """The first numbers that a generator with this seed draws."""
    generator = torch.Generator().manual_seed(seed)
    return [int(torch.randint(2**31, (), generator=generator)) for _ in range(count)]


def recipe_draws(seed: int, count: int) -> list[tuple[int, int]]:
    """The first numbers of NumPy and random after the recipe of the notes with this PyTorch seed."""
    numpy_generator, generator = RandomState(seed % 2**32), random.Random(seed % 2**32)
    return [(int(numpy_generator.randint(2**31 - 1)), generator.getrandbits(31)) for _ in range(count)]


def run_in_short(seen: PoolSeen) -> list[Any]:
    """What may not differ between two runs: the batches, and the keys and draws of each worker."""
    return [
        (
            each.batches,
            sorted((note["worker"], note["served"], note["key"], note["draws"]) for note in each.notes("item")),
        )
        for each in seen.epochs
    ]


def same_streams(case: Pool, seen: PoolSeen) -> None:
    """Expect the batches of every worker's copy, each worker's in its order, however they are mixed."""
    for each in seen.epochs:
        expected = epoch(case.loading)
        equal(sorted(keys_loaded(case)), sorted(note["key"] for note in each.notes("item")), "samples that are loaded")
        equal(
            sorted(listed_keys(yielded.keys) for yielded in expected), sorted(map(listed_keys, each.batches)), "batches"
        )
        collated = {note["process"]: note["worker"] for note in each.notes("collate")}
        for process, worker in collated.items():
            mine = [yielded.keys for yielded in expected if yielded.worker == worker]
            calls = [note["keys"] for note in each.notes("collate") if note["process"] == process]
            equal(mine, calls, f"batches of worker {worker}")
            order = [batch for batch in each.batches if batch in mine]
            if case.loading.sharded:
                equal(mine, order, f"order in which the batches of worker {worker} come")


def same_epoch(case: Pool, seen: EpochSeen, number: int) -> None:
    """Expect what the model says of an epoch, the last of which is whole; of a shuffled one its samples."""
    expected: list[Yielded] = epoch(case.loading)
    count = case.taken if number < case.epochs - 1 else None
    if case.shuffle:
        keys = [key for batch in seen.batches for key in listed_keys(batch)]
        equal(len(expected[:count]), len(seen.batches), f"number of batches in epoch {number}")
        that(len(keys) == len(set(keys)), f"samples in epoch {number}", "each once", keys)
        if count is None:
            equal(list(range(case.size)), sorted(keys), f"samples in epoch {number}")
    else:
        equal([yielded.keys for yielded in expected[:count]], seen.batches, f"batches of epoch {number}")


def same_ahead(case: Pool, count: int, notes: list[dict[str, Any]]) -> None:
    """Expect so many batches to have been loaded, and no keys to have been drawn for more."""
    loaded = [note for note in notes if note["what"] == "collate"]
    equal(count, len(loaded), f"batches loaded when {case.taken} were taken")
    drawn = [note["keys"] for note in notes if note["what"] == "drawn"]
    wanted = [key for yielded in epoch(case.loading)[:count] for key in listed_keys(yielded.keys)]
    if case.style == "map":
        equal(wanted, drawn, f"keys drawn from the sampler when {case.taken} batches were taken")
    if not case.taken and count == (case.prefetch or 2) * case.workers:
        equal([case.prefetch or 2] * case.workers, sorted(map(len, notes_by_process(loaded))), "batches of each worker")
