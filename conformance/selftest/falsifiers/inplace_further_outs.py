"""Breaks of ``out=`` in the functions that are held against their own calls without it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import AREA, spoil, strided
from conformance.selftest.falsifiers.inplace_outs import with_out
from conformance.selftest.falsifying import falsifies


@falsifies(f"{AREA}.further-out-receives-the-result", subject="special.erfcx")
def the_last_element_of_a_strided_float() -> AbstractContextManager[Any]:
    """erfcx errs in the last element of a strided float32 out."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        found = original(*args, out=out)
        return spoil(found) if found.dtype is torch.float32 and strided(found) else found

    return with_out("erfcx", other, torch.special)


@falsifies(f"{AREA}.further-out-receives-the-result", subject="linalg.svd")
def the_third_out_stays_empty() -> AbstractContextManager[Any]:
    """The third out of svd stays empty where it has no elements."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        if out[2].numel():
            return original(*args, out=out)
        original(*args, out=(*out[:2], torch.empty_like(out[2])))
        return out

    return with_out("svd", other, torch.linalg)


@falsifies(f"{AREA}.further-outs-are-returned")
def an_alias_of_a_complex_out() -> AbstractContextManager[Any]:
    """ihfftn returns another tensor that shares the memory of its out."""
    return with_out("ihfftn", lambda original, out, *args: original(*args, out=out).detach(), torch.fft)


@falsifies(f"{AREA}.further-outs-bump-the-version")
def the_second_of_two_outs_keeps_its_version() -> AbstractContextManager[Any]:
    """eigh writes to its second out behind the back of the version counter."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        original(*args, out=(out[0], out[1].data))
        return out

    return with_out("eigh", other, torch.linalg)


@falsifies(f"{AREA}.further-out-that-requires-grad-is-refused", subject="logaddexp2")
def written_without_grad() -> AbstractContextManager[Any]:
    """logaddexp2 writes to an out that requires grad."""

    def other(original: Any, out: Any, *args: Any) -> Any:
        with torch.no_grad():
            return original(*args, out=out)

    return with_out("logaddexp2", other)
