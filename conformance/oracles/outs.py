"""Outs: whether tensors handed to ``out=`` hold the results that are written in the case.

Reference: https://docs.pytorch.org/docs/stable/notes/out.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, dtype_name
from conformance.oracles import expect, memory, numbers
from conformance.oracles.agreement import agree
from conformance.oracles.writes import kept_outside, same_frame

PARTS = {"complex64": "float32", "complex128": "float64"}


def holds_results(case: Any, outs: list[torch.Tensor]) -> None:
    """Expect each out to hold its result, computed in the result's own type and then copied to the out's."""
    for number, (result, out) in enumerate(zip(case.results, outs, strict=True)):
        holds(result, out, case, f"out {number} of {case.function}")


def holds(result: Any, out: torch.Tensor, case: Any, what: str) -> None:
    """Expect one out to hold one result."""
    found, name = memory.contents(out), dtype_name(out.dtype)
    own = case.floating if result.dtype == "float64" else result.dtype
    if name in PARTS and own not in PARTS:
        expect.that(not found.imag.any(), f"imaginary part of {what}", "zeros", str(found.imag.ravel().tolist()[:8]))
        found, name = found.real, PARTS[name]
    if own == "float32" and name == "float64":
        found, name = found.astype(np.float32), "float32"
    rounded_once_more = name != own and ELEMENT_TYPES[own].kind == "floating"
    numbers.close(result.array, found, name, "rounded" if rounded_once_more else case.accuracy, what)


def kept_frames(case: Any, outs: list[torch.Tensor]) -> None:
    """Expect each out to be framed as it was, and the memory outside of it untouched."""
    for number, (plan, out) in enumerate(zip(case.outs, outs, strict=True)):
        same_frame(out, plan, f"out {number} of {case.function}")
        kept_outside(out, plan, f"out {number} of {case.function}")


def received(function: str, plans: list[Any], results: list[torch.Tensor], outs: list[torch.Tensor]) -> None:
    """Expect each out to hold what the call gives without ``out=``, and one of the right shape to keep its frame."""
    for number, (plan, result, out) in enumerate(zip(plans, results, outs, strict=True)):
        what = f"out {number} of {function}"
        expect.equal(tuple(result.shape), tuple(out.shape), f"shape of {what}")
        agree(memory.contents(result), memory.contents(out), dtype_name(result.dtype), "special", what)
        if plan.shape == tuple(result.shape):
            same_frame(out, plan, what)
            kept_outside(out, plan, what)


def same_strides_as(case: Any, results: tuple[torch.Tensor, ...], outs: list[torch.Tensor]) -> None:
    """Expect the strides of each resized out to be those of the result of the call without ``out=``."""
    for number, (plan, result, out) in enumerate(zip(case.outs, results, outs, strict=True)):
        if plan.shape != tuple(result.shape):
            expect.equal(tuple(result.stride()), tuple(out.stride()), f"strides of out {number} of {case.function}")
