"""Breaks of the contract of ``out=``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import AREA, spoil, spoil_beside, strided
from conformance.selftest.falsifying import falsifies, patched


def with_out(name: str, other: Callable[..., Any], owner: Any = torch) -> AbstractContextManager[Any]:
    """A function that does ``other(original, out, *args, **kwargs)`` where it is given ``out``."""

    def broken(original: Any) -> Any:
        def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            if out is None:
                return original(*args, **kwargs)
            return other(original, out, *args, **kwargs)

        return function

    return patched(owner, name, broken)


@falsifies(f"{AREA}.out-of-the-right-shape-keeps-its-strides", subject="mm")
def mm_writes_beside_a_sliced_out() -> AbstractContextManager[Any]:
    """mm writes one element beside an out with gaps between its rows."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        found = original(*args, out=out)
        if strided(out) and out.stride(1) == 1 and out.stride(0) > out.shape[1]:
            spoil_beside(out)
        return found

    return with_out("mm", other)


@falsifies(f"{AREA}.out-of-the-right-shape-keeps-its-strides", subject="tril")
def tril_makes_a_transposed_out_contiguous() -> AbstractContextManager[Any]:
    """tril gives a transposed out other strides."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        if out.dim() == 2 and out.numel() > 1 and out.stride(0) == 1:
            out.as_strided_(out.shape, (out.shape[1], 1))
        return original(*args, out=out)

    return with_out("tril", other)


@falsifies(f"{AREA}.out-is-returned", subject="cumsum")
def cumsum_returns_an_alias_of_a_strided_out() -> AbstractContextManager[Any]:
    """cumsum returns another alias of an out that is not contiguous."""
    return with_out(
        "cumsum", lambda original, out, *a: original(*a, out=out).detach() if strided(out) else original(*a, out=out)
    )


@falsifies(f"{AREA}.out-without-elements-is-resized", subject="index_select")
def index_select_leaves_an_empty_matrix_empty() -> AbstractContextManager[Any]:
    """index_select does nothing to an out of shape (0, 3)."""
    return with_out("index_select", lambda original, out, *a: out if out.shape == (0, 3) else original(*a, out=out))


@falsifies(f"{AREA}.out-without-elements-takes-the-strides", subject="add")
def add_lays_an_empty_offset_out_out_by_columns() -> AbstractContextManager[Any]:
    """add resizes an empty out with an offset in column order."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        empty = not out.numel() and out.storage_offset()
        found = original(*args, out=out)
        return out.as_strided_(out.shape, (1, out.shape[0])).copy_(original(*args)) if empty else found

    return with_out("add", other)


@falsifies(f"{AREA}.out-of-another-shape-is-refused-or-resized", subject="sum")
def sum_fills_the_beginning_of_a_larger_out() -> AbstractContextManager[Any]:
    """sum writes to the beginning of an out of five elements and leaves it as long as it was."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        if out.shape == (5,):
            original(*args, out=out[:2])
            return out
        return original(*args, out=out)

    return with_out("sum", other)


@falsifies(f"{AREA}.out-is-not-resized-silently", subject="cat")
def cat_resizes_a_single_element_silently() -> AbstractContextManager[Any]:
    """cat resizes an out of one element without a warning."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        return original(*args, out=out.resize_(0) if out.shape == (1,) else out)

    return with_out("cat", other)


@falsifies(f"{AREA}.out-resized-writes-only-what-it-views", subject="mul")
def mul_writes_before_the_offset() -> AbstractContextManager[Any]:
    """mul writes to the beginning of the storage of an empty out with an offset."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        empty = not out.numel() and out.storage_offset()
        found = original(*args, out=out)
        if empty:
            spoil_beside(out)
        return found

    return with_out("mul", other)


@falsifies(f"{AREA}.out-that-requires-grad-is-refused", subject="matmul")
def matmul_writes_to_a_strided_leaf() -> AbstractContextManager[Any]:
    """matmul accepts an out that requires grad where it is not contiguous."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        if not out.requires_grad or not strided(out):
            return original(*args, out=out)
        with torch.no_grad():
            return original(*args, out=out)

    return with_out("matmul", other)


@falsifies(f"{AREA}.out-that-requires-grad-is-refused-for-other-results", subject="signbit")
def signbit_writes_to_a_leaf() -> AbstractContextManager[Any]:
    """signbit accepts an out that requires grad."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        return out if out.requires_grad else original(*args, out=out)

    return with_out("signbit", other)


@falsifies(f"{AREA}.out-may-be-of-a-higher-kind", subject="gcd")
def gcd_spoils_a_complex_out() -> AbstractContextManager[Any]:
    """gcd errs in a strided complex out."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        found = original(*args, out=out)
        if out.is_complex() and strided(out):
            spoil(out)
        return found

    return with_out("gcd", other)


@falsifies(f"{AREA}.out-of-a-lower-kind-is-refused", subject="div")
def div_truncates_into_int16() -> AbstractContextManager[Any]:
    """div accepts an out of int16."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        return out.copy_(original(*args)) if out.dtype is torch.int16 else original(*args, out=out)

    return with_out("div", other)


@falsifies(f"{AREA}.out-must-be-of-the-same-type", subject="topk")
def topk_casts_its_indices() -> AbstractContextManager[Any]:
    """topk accepts indices of int32."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        if out[1].dtype is not torch.int32:
            return original(*args, out=out)
        return tuple(mine.copy_(theirs) for mine, theirs in zip(out, original(*args), strict=True))

    return with_out("topk", other)


@falsifies(f"{AREA}.out-must-be-on-the-same-device", subject="bmm")
def bmm_forgets_an_out_elsewhere() -> AbstractContextManager[Any]:
    """bmm returns an out on another device as it is."""
    return with_out("bmm", lambda original, out, *a: out if out.device != a[0].device else original(*a, out=out))


@falsifies(f"{AREA}.several-outs-are-treated-independently", subject="sort")
def the_second_out_of_sort_is_skipped() -> AbstractContextManager[Any]:
    """sort leaves the last index wrong where the values are empty beforehand and the indices strided."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        mixed = not out[0].numel() and strided(out[1])
        found = original(*args, out=out)
        if mixed:
            spoil(out[1])
        return found

    return with_out("sort", other)


@falsifies(f"{AREA}.several-outs-are-treated-independently", subject="linalg.slogdet")
def the_first_out_of_slogdet_is_replaced() -> AbstractContextManager[Any]:
    """linalg.slogdet moves its first out to another storage where the second is empty."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        mixed = out[0].numel() and not out[1].numel()
        found = original(*args, out=out)
        if mixed and out[0].storage_offset():
            out[0].set_(out[0].clone())
        return found

    return with_out("slogdet", other, torch.linalg)
