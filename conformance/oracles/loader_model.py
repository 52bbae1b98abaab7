"""The loader model: which samples a DataLoader has to yield, in which batches and order, and by which worker.

It is a loader in pure Python, without a tensor and without a process. A sample is known by its key: its place in a
map-style dataset, or in the stream of an iterable-style one.
Reference: https://docs.pytorch.org/docs/stable/data.html#loading-batched-and-non-batched-data
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance.inputs.loaders import BATCH_SAMPLER, SAMPLER, SHUFFLED, Loading


@dataclass(frozen=True)
class Yielded:
    """One thing that a loader yields: the keys of the samples in it, and the worker that loads it (0 without any).

    ``keys`` is the key itself where samples do not come in batches.
    """

    keys: Any
    worker: int = 0


def batches_of(keys: Sequence[Any], batch_size: int | None, drop_last: bool) -> list[Any]:
    """Keys in batches, the last one smaller or dropped; without a batch size each key for itself."""
    if batch_size is None:
        return list(keys)
    batches = [list(keys[start : start + batch_size]) for start in range(0, len(keys), batch_size)]
    if drop_last and batches and len(batches[-1]) < batch_size:
        batches.pop()
    return batches


def key_order(loading: Loading, shuffled: Sequence[int] | None = None) -> list[Any]:
    """The keys in the order in which a map-style dataset is asked for them; ``shuffled`` is the one drawn."""
    if loading.order == SHUFFLED:
        assert shuffled is not None, "the order that was drawn"
        return list(shuffled)
    return list(loading.keys) if loading.order == SAMPLER else list(range(loading.size))


def map_epoch(loading: Loading, shuffled: Sequence[int] | None = None) -> list[Yielded]:
    """What an epoch over a map-style dataset yields: batches in the order of the sampler, dealt out to the workers."""
    if loading.order == BATCH_SAMPLER:
        batches = [list(batch) for batch in loading.keys]
    else:
        batches = batches_of(key_order(loading, shuffled), loading.batch_size, loading.drop_last)
    return [Yielded(batch, number % max(loading.workers, 1)) for number, batch in enumerate(batches)]


def stream_of(loading: Loading, worker: int) -> list[int]:
    """The keys that the replica of an iterable-style dataset in one worker yields."""
    keys = list(range(loading.size))
    return keys[worker :: loading.workers] if loading.sharded and loading.workers else keys


def stream_epoch(loading: Loading) -> list[Yielded]:
    """What an epoch over an iterable-style dataset yields: each worker batches its own replica, and they take turns.

    A worker whose replica has come to its end is passed over. ``drop_last`` drops the incomplete batch of each.
    """
    streams = [
        batches_of(stream_of(loading, worker), loading.batch_size, loading.drop_last)
        for worker in range(max(loading.workers, 1))
    ]
    rounds = range(max(len(stream) for stream in streams))
    return [
        Yielded(stream[turn], worker)
        for turn in rounds
        for worker, stream in enumerate(streams)
        if turn < len(stream)
    ]  # fmt: skip


def epoch(loading: Loading, shuffled: Sequence[int] | None = None) -> list[Yielded]:
    """What an epoch yields, in order."""
    return stream_epoch(loading) if loading.style == "iterable" else map_epoch(loading, shuffled)


def loader_length(loading: Loading) -> int:
    """``len`` of the loader: that of its sampler, or an estimate by the dataset's that knows nothing of workers."""
    if loading.order == BATCH_SAMPLER:
        return len(loading.keys)
    samples = len(loading.keys) if loading.order == SAMPLER else loading.size
    if loading.batch_size is None:
        return samples
    whole, rest = divmod(samples, loading.batch_size)
    return whole if loading.drop_last or not rest else whole + 1


# --- what a sample and a batch look like --------------------------------------------------------------------------


def plain_sample(form: str, key: int) -> Any:
    """A sample as ``plain`` shows it."""
    if form == "number":
        return 3 * key + 1
    if form == "tensor":
        return ("tensor", "float32", [float(key), -float(key)])
    if form == "pair":
        return [("tensor", "float32", [key / 2]), 100 + key]
    if form == "mapping":
        return {"x": ("tensor", "float32", [[float(key)]]), "name": f"s{key}"}
    if form == "array":
        return ("array", "int16", [key, 7])
    return f"s{key}"


def plain_batch(loading: Loading, keys: Any) -> Any:
    """What comes out for these keys (one key where there are no batches), as ``plain`` shows it."""
    samples = [plain_sample(loading.form, key) for key in (keys if loading.batched else [keys])]
    if loading.collate != "default":
        return ["collated", samples if loading.batched else samples[0]]
    return stacked(samples) if loading.batched else converted(samples[0])


def converted(sample: Any) -> Any:
    """A sample with its arrays turned into tensors."""
    if isinstance(sample, dict):
        return {name: converted(value) for name, value in sample.items()}
    if isinstance(sample, list):
        return [converted(value) for value in sample]
    return ("tensor", *sample[1:]) if isinstance(sample, tuple) else sample


def stacked(samples: list[Any]) -> Any:
    """Samples of one structure as one: tensors under a new dimension, numbers in a tensor, texts in a list."""
    first = samples[0]
    if isinstance(first, dict):
        return {name: stacked([sample[name] for sample in samples]) for name in first}
    if isinstance(first, list):
        return [stacked([sample[place] for sample in samples]) for place in range(len(first))]
    if isinstance(first, tuple):
        return ("tensor", first[1], [values for _, _, values in samples])
    return list(samples) if isinstance(first, str) else ("tensor", "int64", list(samples))


def plain(found: Any) -> Any:
    """A batch as plain Python: tensors and arrays as their name, type and values; tuples as lists.

    A tuple of texts stays one: no page says that texts come in anything but a list.
    """
    if hasattr(found, "data_ptr"):
        return ("tensor", str(found.dtype).removeprefix("torch."), found.tolist())
    if hasattr(found, "__array__"):
        return ("array", str(found.dtype), found.tolist())
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, tuple) and found and all(isinstance(value, str) for value in found):
        return found
    return [plain(value) for value in found] if isinstance(found, list | tuple) else found
