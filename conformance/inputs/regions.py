"""Regions: functions to be checkpointed.

Reference: https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.utils.checkpoint


def region_of_sines(x: torch.Tensor) -> torch.Tensor:
    """Two sines, each of which saves its input."""
    return x.sin().sin() * 1


def region_of_two_results(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two results that share an intermediate."""
    inner = x.sigmoid()
    return inner * inner, inner * x


def region_with_a_write(x: torch.Tensor) -> torch.Tensor:
    """An intermediate is modified in place."""
    inner = x * 2
    inner.mul_(x.sin())
    return inner.cos()


def region_of_views(x: torch.Tensor) -> torch.Tensor:
    """Views, a sum and a product over broadcast dimensions."""
    turned = x.transpose(0, -1)
    return (turned * turned).sum() * turned.reshape(-1)


def region_in_a_region(x: torch.Tensor) -> torch.Tensor:
    """A checkpoint within, in the mode that needs no reentrant autograd."""
    inner: torch.Tensor = torch.utils.checkpoint.checkpoint(region_of_sines, x * 2, use_reentrant=False)
    return inner * x.sigmoid()


def region_in_a_reentrant_region(x: torch.Tensor) -> torch.Tensor:
    """A reentrant checkpoint within."""
    inner: torch.Tensor = torch.utils.checkpoint.checkpoint(region_of_sines, x * 2, use_reentrant=True)
    return inner * x.sigmoid()


def inner_gradient(x: torch.Tensor) -> torch.Tensor:
    """The gradient of an inner function, found within, and multiplied by x."""
    inner = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(inner.sin(), inner, torch.ones_like(inner))
    return (x * gradient).sin()


def two_branches(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two results that have nothing in common but x."""
    return x.sin(), x.cos()


def detached_result(x: torch.Tensor) -> torch.Tensor:
    """A result without a history."""
    return x.detach().sin()


def result_without_grad(x: torch.Tensor) -> torch.Tensor:
    """A result that was computed under no_grad."""
    with torch.no_grad():
        return x.sin()


def partly_detached(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A result with a history, in which a detached tensor takes part, and one without."""
    inner = x.sin().detach()
    return inner * x.sin(), inner


def sines_and_exponential(x: torch.Tensor) -> torch.Tensor:
    """A sine, an exponential and a sine."""
    return x.sin().exp().sin() * 1


def nested_product(*args: Any, **kwargs: Any) -> torch.Tensor:
    """The product of the sines of all tensors in the arguments, however deep they lie."""
    found = None
    for tensor in tensors_within([args, kwargs]):
        found = tensor.sin() if found is None else found * tensor.sin()
    assert found is not None
    return found


def tensors_within(thing: Any) -> list[torch.Tensor]:
    """Every tensor in lists, tuples, dicts and objects."""
    if isinstance(thing, torch.Tensor):
        return [thing]
    if isinstance(thing, Holder):
        return tensors_within(thing.content)
    parts = thing.values() if isinstance(thing, dict) else thing
    return [tensor for part in parts for tensor in tensors_within(part)]


class Holder:
    """An object of the user's own that holds tensors."""

    def __init__(self, content: Any) -> None:
        self.content = content


REGIONS: dict[str, Callable[[torch.Tensor], Any]] = {
    "sines": region_of_sines,
    "two results": region_of_two_results,
    "a write": region_with_a_write,
    "views": region_of_views,
    "a region": region_in_a_region,
    "a reentrant region": region_in_a_reentrant_region,
}
