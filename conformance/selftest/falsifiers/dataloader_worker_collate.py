"""Breaks of what the default collate_fn makes in a worker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils.data._utils import fetch

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


@falsifies("dataloader_workers.workers-lay-batches-out-as-the-main-process")
def a_worker_lays_a_batch_out_the_other_way() -> Break:
    """A worker sends tensors of three dimensions laid out with the first one innermost."""

    def turned(part: Any) -> Any:
        if not isinstance(part, torch.Tensor) or part.dim() != 3:
            return part
        return part.permute(2, 1, 0).contiguous().permute(2, 1, 0)

    return fetched_in_a_worker(turned)
