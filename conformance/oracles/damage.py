"""Damage: what may come of a file that is not as it was written.

Which exception is raised is said nowhere: any that Python programs catch will do, but none that ends the process.
"""

from __future__ import annotations

import io
from typing import Any

import torch

from conformance.oracles import expect


def load_or_error(contents: bytes, **options: Any) -> Any:
    """What torch.load makes of these bytes, or the exception."""
    try:
        return torch.load(io.BytesIO(contents), weights_only=True, **options)
    except Exception as error:  # every exception is an answer here
        return error


def each_raises(case: Any) -> None:
    """Expect an exception at every position of the case."""
    _, contents = case.build()
    for position, damaged in case.damaged(contents):
        found = load_or_error(damaged)
        if not isinstance(found, Exception):
            place = f"a file of {len(contents)} bytes that ends at byte {position}"
            raise expect.Mismatch(place, "an exception", f"{type(found).__name__} {found!r}"[:200])


def each_is_loaded_or_told(case: Any) -> None:
    """Load the file at every position; what is loaded is looked at, so that memory that is not there shows."""
    _, contents = case.build()
    for _, damaged in case.damaged(contents):
        found = load_or_error(damaged)
        if isinstance(found, torch.Tensor):
            repr(found)
