"""Breaks of what the default collate_fn makes in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch.utils.data._utils import collate, fetch

from conformance.selftest.falsifying import falsifies, patched

BEHAVIOUR = "dataloader_workers.workers-collate-as-the-main-process"
Break = AbstractContextManager[Any]


def fetched_in_a_worker(change: Callable[[Any], Any]) -> Break:
    """What the fetcher of a worker returns has gone through ``change``, part by part."""

    def within(found: Any) -> Any:
        if isinstance(found, dict):
            found.update({key: within(part) for key, part in found.items()})
        elif isinstance(found, list):
            found[:] = map(within, found)
        elif isinstance(found, tuple):
            parts = map(within, found)
            found = type(found)(*parts) if hasattr(found, "_fields") else tuple(parts)
        return change(found)

    def broken(original: Any) -> Any:
        def fetch(self: Any, keys: Any) -> Any:
            found = original(self, keys)
            return found if torch.utils.data.get_worker_info() is None else within(found)

        return fetch

    return patched(fetch._MapDatasetFetcher, "fetch", broken)


@contextmanager
def replaced_in_the_map(kind: type, broken: Callable[[Any], Any]) -> Iterator[None]:
    """The default collate_fn collates one type by ``broken(original)``."""
    registry = collate.default_collate_fn_map
    original = registry[kind]
    registry[kind] = broken(original)
    try:
        yield
    finally:
        registry[kind] = original


@falsifies(BEHAVIOUR)
def a_namedtuple_of_a_worker_is_a_tuple() -> Break:
    """A worker makes a plain tuple of a namedtuple of one field."""
    return fetched_in_a_worker(lambda part: tuple(part) if hasattr(part, "_fields") and len(part) == 1 else part)


@falsifies(BEHAVIOUR)
def a_worker_uses_the_memory_of_a_batch_again() -> Break:
    """A worker writes each float64 tensor into the memory of the one of the same shape before."""
    kept: dict[Any, torch.Tensor] = {}

    def again(part: Any) -> Any:
        if not isinstance(part, torch.Tensor) or part.dtype != torch.float64:
            return part
        return kept.setdefault(part.shape, part.clone().share_memory_()).copy_(part)

    return fetched_in_a_worker(again)


@falsifies(BEHAVIOUR)
def a_worker_narrows_a_vector_of_doubles() -> Break:
    """A worker sends float64 tensors of one dimension as float32."""
    return fetched_in_a_worker(
        lambda part: part.float() if getattr(part, "dtype", None) == torch.float64 and part.dim() == 1 else part
    )


@falsifies(BEHAVIOUR)
def a_worker_flattens_batches_without_elements() -> Break:
    """A worker makes two dimensions of the batches of tensors without elements that have more."""
    return fetched_in_a_worker(
        lambda part: part.flatten(1) if isinstance(part, torch.Tensor) and part.dim() > 2 and not part.numel() else part
    )


@falsifies("dataloader_workers.workers-collate-lazy-tensors-too")
def a_worker_takes_negated_tensors_for_such_as_are_not() -> Break:
    """A worker makes batches of negated tensors, several or one, of the values from before they were negated."""

    def broken(original: Any) -> Any:
        def collated(batch: Any, **options: Any) -> Any:
            if torch.utils.data.get_worker_info() is None:
                return original(batch, **options)
            return torch.stack([-x if x.is_neg() else x.resolve_conj() for x in batch])

        return collated

    return replaced_in_the_map(torch.Tensor, broken)


@falsifies("dataloader_workers.workers-lay-batches-out-as-the-main-process")
def a_worker_lays_a_batch_out_the_other_way() -> Break:
    """A worker sends tensors of three dimensions laid out with the first one innermost."""

    def turned(part: Any) -> Any:
        if not isinstance(part, torch.Tensor) or part.dim() != 3:
            return part
        return part.permute(2, 1, 0).contiguous().permute(2, 1, 0)

    return fetched_in_a_worker(turned)
