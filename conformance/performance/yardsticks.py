"""Yardsticks: three calls by which machines differ, timed in each run, so that runs of two machines can be compared."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from conformance.performance.snippets import Snippet


def nothing() -> None:
    """The empty call: what Python takes to call, and torch has no part in."""


def yardsticks(device: str) -> Iterator[tuple[str, Snippet]]:
    """Name and call of each yardstick."""
    x = torch.ones(2**22, device=device)
    yield "copy", Snippet("y.copy_(x)", {"x": x, "y": torch.zeros_like(x)}, tuple(x.shape), x.numel())
    a = torch.ones(512, 512, device=device)
    act = "torch.mm(a, b, out=c)"
    yield "matrix product", Snippet(act, {"a": a, "b": a.clone(), "c": a.clone()}, (512, 512), a.numel())
    yield "empty call", Snippet("f()", {"f": nothing}, (), 0)
