"""Streams: backward passes of which the operations, the call and the use of the gradients are on streams of their own.

What is computed takes its time, so that whoever does not wait for it meets the numbers from before.
Reference: https://docs.pytorch.org/docs/stable/notes/cuda.html#stream-semantics-of-backward-passes
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import enumerated
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

ROUNDS, EXTENT = 64, 1024  # of the product of matrices that takes a while


def streams_of(device: str) -> Any:
    """The module of torch that has the streams of a device."""
    return getattr(torch, torch.device(device).type)


def laboured(x: torch.Tensor) -> torch.Tensor:
    """The tensor itself, after work on the current stream that takes a while where that is an accelerator's."""
    size = EXTENT if x.device.type != "cpu" else 2
    block = torch.full((size, size), 1.0 / size, device=x.device)
    for _ in range(ROUNDS):
        block = block @ block
    return x * block[0, 0].round().to(x.dtype).clamp(1, 1)


class StreamNoted(torch.autograd.Function):  # type: ignore[misc]
    """Three times a tensor; both ways take a while, and note the stream that they are on."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, streams: Any, notes: list[Any]) -> torch.Tensor:
        """The product."""
        ctx.streams, ctx.notes = streams, notes
        notes.append(("forward", streams.current_stream()))
        return 3 * laboured(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Its gradient."""
        ctx.notes.append(("backward", ctx.streams.current_stream()))
        return 3 * laboured(gradients[0]), None, None


@dataclass(frozen=True, eq=False)
class StreamedPass:
    """A pass from three times ``plan``; ``forward``, ``call`` and ``use`` are on the main or the side stream each."""

    plan: Strided
    forward: str = "side"
    call: str = "main"
    use: str = "main"

    @property
    def gradient(self) -> np.ndarray:
        """The gradient of the leaf for an incoming one of twos."""
        return np.full(self.plan.shape, 6.0)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "streams": f"{self.forward}, {self.call}, {self.use}"}

    def reductions(self) -> Iterator[StreamedPass]:
        """The same with what was computed and called on one stream."""
        if self.forward != self.call:
            yield replace(self, forward=self.call)

    def code(self) -> str:
        """The same in plain torch."""
        return listings.streamed_pass(self.plan.code(), self.plan.device, self.forward, self.call, self.use)


class StreamedWalk:
    """The streams and the leaf of a pass, and what its operations noted."""

    def __init__(self, case: StreamedPass) -> None:
        self.case, self.streams = case, streams_of(case.plan.device)
        main, side = self.streams.current_stream(case.plan.device), self.streams.Stream(case.plan.device)
        self.named = {"main": main, "side": side}
        self.leaf = case.plan.build().requires_grad_()
        self.notes: list[Any] = []

    @contextmanager
    def called(self) -> Iterator[torch.Tensor]:
        """The root, computed on its stream, and then the stream to call backward on."""
        forward, call = self.named[self.case.forward], self.named[self.case.call]
        self.named["side"].wait_stream(self.named["main"])
        with self.streams.stream(forward):
            root = StreamNoted.apply(self.leaf, self.streams, self.notes)
        call.wait_stream(forward)
        with self.streams.stream(call):
            yield root

    def used(self, gradient: torch.Tensor) -> torch.Tensor:
        """What an operation on the stream of use reads of a gradient."""
        use = self.named[self.case.use]
        use.wait_stream(self.named[self.case.call])
        with self.streams.stream(use):
            found = gradient + 0
        self.named["main"].wait_stream(self.named["side"])
        return found


def make_streamed_pass(
    device: str, dtype: str, shape: tuple[int, ...], forward: str, call: str, use: str
) -> StreamedPass:
    """The case of one choice of each factor."""
    return StreamedPass(corner(dtype, shape, "contiguous", device=device), forward, call, use)


def streamed_passes(cell: Cell) -> Inputs:
    """Forward, call and use on the main and on the side stream, in every combination."""
    sides = ("main", "side")
    return enumerated(
        make_streamed_pass, cell.target.device, ("float32", "float64"), ((2, 3), (1024,)), sides, sides, sides, passes=2
    )
