"""Breaks of the streams that backward runs on and is called on: seen red where there is an accelerator."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.inputs import backward_streams
from conformance.selftest.falsifiers.accumulation import AREA
from conformance.selftest.falsifying import falsifies, patched


@falsifies(f"{AREA}.backward-is-on-the-stream-of-forward")
def backward_is_on_a_stream_of_its_own() -> AbstractContextManager[Any]:
    """Backward operations run on a new stream, which waits for the one that it should be."""

    def make(original: Any) -> Any:
        def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
            own, ahead = ctx.streams.Stream(), ctx.streams.current_stream()
            own.wait_stream(ahead)
            with ctx.streams.stream(own):
                found = original(ctx, *gradients)
            ahead.wait_stream(own)
            return found

        return staticmethod(backward)

    return patched(backward_streams.StreamNoted, "backward", make)


@falsifies(f"{AREA}.gradients-are-there-for-the-stream-of-backward")
def nobody_waits_for_what_backward_does_elsewhere() -> AbstractContextManager[Any]:
    """What backward leaves is computed on a stream that nobody waits for."""

    def make(original: Any) -> Any:
        def backward(tensors: Any, gradients: Any = None, **options: Any) -> None:
            streams = backward_streams.streams_of(str(tensors.device))
            own = streams.Stream()
            own.wait_stream(streams.current_stream())
            with streams.stream(own):
                original(tensors, backward_streams.laboured(gradients), **options)

        return backward

    return patched(torch.autograd, "backward", make)


@falsifies(f"{AREA}.initial-gradients-come-from-the-stream-of-backward")
def an_initial_gradient_is_read_before_it_is_there() -> AbstractContextManager[Any]:
    """The initial gradient is read on a stream that does not wait for the one that it is made on."""

    def make(original: Any) -> Any:
        def backward(tensors: Any, gradients: Any = None, **options: Any) -> None:
            streams = backward_streams.streams_of(str(tensors.device))
            with streams.stream(streams.Stream()):
                original(tensors, gradients, **options)

        return backward

    return patched(torch.autograd, "backward", make)
