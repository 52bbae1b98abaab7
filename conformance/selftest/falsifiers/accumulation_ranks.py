"""Breaks of derivatives among equals, beside what is not selected, and at infinity."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.accumulation import AREA
from conformance.selftest.falsifiers.accumulation_kinks import misleading
from conformance.selftest.falsifying import falsifies, patched


def equals_of_a_vector(
    name: str, change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], owner: Any = torch
) -> AbstractContextManager[Any]:
    """``owner.name`` with a spoilt gradient ``change(gradient, x)`` of a vector in which some elements are equal."""

    def make(original: Any) -> Any:
        def other(x: torch.Tensor, *rest: Any, **options: Any) -> Any:
            if x.dim() == 1 and x.requires_grad and len(set(x.tolist())) < x.numel():
                held, x = x.detach(), x.view_as(x)
                x.register_hook(lambda gradient: change(gradient, held))
            return original(x, *rest, **options)

        return other

    return patched(owner, name, make)


def all_to_each(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """To each element what all that are equal to it have together."""
    return (x[:, None] == x).to(gradient.dtype) @ gradient


@falsifies(f"{AREA}.equal-elements-together-get-the-gradient-of-their-values", subject="median")
def each_tied_median_gets_all() -> AbstractContextManager[Any]:
    """median of a vector hands the whole gradient to each of the elements that equal it."""
    return equals_of_a_vector("median", all_to_each)


@falsifies(f"{AREA}.equal-elements-together-get-the-gradient-of-their-values", subject="topk-of-two")
def topk_feeds_every_equal() -> AbstractContextManager[Any]:
    """topk of a vector hands to each of some equal elements the gradient of all of them."""
    return equals_of_a_vector("topk", all_to_each)


@falsifies(f"{AREA}.ranked-value-feeds-the-element-that-it-names", subject="sort-stable")
def sort_feeds_equals_in_another_order() -> AbstractContextManager[Any]:
    """sort of a vector hands the gradients of equal neighbours to each other."""

    def change(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        order = list(range(x.numel()))
        for first in range(x.numel() - 1):
            if x[first] == x[first + 1]:
                order[first], order[first + 1] = first + 1, first
                break
        return gradient[order]

    return equals_of_a_vector("sort", change)


@falsifies(f"{AREA}.selection-beside-nan-has-its-gradient", subject="where")
def where_multiplies_the_operand_by_zero() -> AbstractContextManager[Any]:
    """where has the gradient NaN at an operand of NaN that was not selected."""

    def make(original: Any) -> Any:
        def where(condition: torch.Tensor, x: torch.Tensor, *rest: Any) -> torch.Tensor:
            if x.requires_grad:
                held, x = x.detach(), x.view_as(x)
                x.register_hook(lambda gradient: torch.where(held.isnan(), held, gradient))
            found: torch.Tensor = original(condition, x, *rest)
            return found

        return where

    return patched(torch, "where", make)


@falsifies(f"{AREA}.other-points-take-a-limit", subject="logsumexp-of-minus-infinity")
def logsumexp_passes_on_to_minus_infinity() -> AbstractContextManager[Any]:
    """logsumexp along rows of two hands the gradient to an element of minus infinity too."""
    return misleading("logsumexp", lambda x: x.dim() > 1, lambda g, x, v: torch.where(x.isneginf(), v.expand_as(x), g))


@falsifies(f"{AREA}.other-points-take-a-limit", subject="softmax-of-minus-infinity")
def softmax_divides_by_its_zero() -> AbstractContextManager[Any]:
    """softmax of a vector has the gradient NaN where its value is zero."""
    change = lambda g, x, v: torch.where(x.isneginf(), g / 0, g)  # noqa: E731
    return misleading("softmax", lambda x: x.dim() == 1, change, torch.nn.functional)


@falsifies(f"{AREA}.tied-tensors-share-the-gradient", subject="scatter_reduce-amax")
def scattered_equals_get_the_gradient_twice() -> AbstractContextManager[Any]:
    """scatter_reduce to the largest hands the gradient twice to a source that has equal elements."""

    def make(original: Any) -> Any:
        def scatter_reduce(
            x: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor, reduce: str, **options: Any
        ) -> torch.Tensor:
            if reduce == "amax" and source.requires_grad and len(set(source.tolist())) < source.numel():
                source = source.view_as(source)
                source.register_hook(lambda gradient: gradient * 2)
            found: torch.Tensor = original(x, dim, index, source, reduce, **options)
            return found

        return scatter_reduce

    return patched(torch.Tensor, "scatter_reduce", make)
