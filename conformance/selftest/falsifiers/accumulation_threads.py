"""Breaks of backward and of autograd.grad in other threads than the first."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.accumulation import AREA, grad, optioned, spoiling
from conformance.selftest.falsifying import falsifies


def in_the_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@falsifies(f"{AREA}.backward-runs-in-threads")
def a_thread_doubles_half_precision() -> AbstractContextManager[Any]:
    """Gradients in float16 are doubled outside of the main thread."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> None:
        if not in_the_main_thread() and leaf.dtype is torch.float16:
            leaf.grad.mul_(2)

    return spoiling(change)


@falsifies(f"{AREA}.threads-accumulate-into-one-leaf")
def the_third_thread_overwrites() -> AbstractContextManager[Any]:
    """A pass outside of the main thread overwrites the .grad of a transposed leaf."""

    def change(leaf: torch.Tensor, held: torch.Tensor | None) -> None:
        if held is not None and not in_the_main_thread() and not leaf.is_contiguous():
            leaf.grad.sub_(held)

    return spoiling(change)


@falsifies(f"{AREA}.grad-in-threads-is-deterministic")
def a_thread_conjugates() -> AbstractContextManager[Any]:
    """autograd.grad outside of the main thread conjugates in complex64."""

    def instead(original: Any, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = original(outputs, inputs, *rest, **options)
        return found if in_the_main_thread() or outputs.dtype is not torch.complex64 else tuple(g.conj() for g in found)

    return grad(instead)


@falsifies(f"{AREA}.freed-shared-graph-is-refused-in-another-thread")
def a_thread_frees_no_graph() -> AbstractContextManager[Any]:
    """The graph of a root of four dimensions is not freed outside of the main thread."""
    return optioned(lambda root, o: {} if in_the_main_thread() or root.dim() != 4 else {"retain_graph": True})


@falsifies(f"{AREA}.retained-shared-graph-serves-threads")
def a_thread_frees_what_is_to_be_retained() -> AbstractContextManager[Any]:
    """retain_graph=True is forgotten for a complex128 root outside of the main thread."""

    def change(root: torch.Tensor, options: dict[str, Any]) -> dict[str, Any]:
        forgets = not in_the_main_thread() and root.dtype is torch.complex128
        return {"retain_graph": False} if forgets else {}

    return optioned(change)


@falsifies(f"{AREA}.inputs-count-in-every-thread")
def a_thread_ignores_inputs() -> AbstractContextManager[Any]:
    """inputs= of three leaves is ignored outside of the main thread."""

    def change(root: torch.Tensor, options: dict[str, Any]) -> dict[str, Any]:
        inputs = options.get("inputs")
        ignored = not in_the_main_thread() and isinstance(inputs, list | tuple) and len(inputs) == 3
        return {"inputs": None} if ignored else {}

    return optioned(change)


@falsifies(f"{AREA}.unused-inputs-count-in-every-thread")
def a_thread_allows_unused_inputs() -> AbstractContextManager[Any]:
    """allow_unused is always on outside of the main thread."""

    def instead(original: Any, *rest: Any, **options: Any) -> Any:
        return original(*rest, **(options if in_the_main_thread() else {**options, "allow_unused": True}))

    return grad(instead)


@falsifies(f"{AREA}.graph-options-count-in-every-thread")
def a_thread_creates_no_graph() -> AbstractContextManager[Any]:
    """autograd.grad forgets create_graph outside of the main thread."""

    def instead(original: Any, *rest: Any, **options: Any) -> Any:
        return original(*rest, **(options if in_the_main_thread() else {**options, "create_graph": False}))

    return grad(instead)


@falsifies(f"{AREA}.graph-options-count-in-every-thread")
def a_thread_always_retains() -> AbstractContextManager[Any]:
    """A graph with a history of its gradients is retained outside of the main thread, whatever retain_graph says."""

    def change(root: torch.Tensor, options: dict[str, Any]) -> dict[str, Any]:
        return {"retain_graph": True} if not in_the_main_thread() and options.get("create_graph") else {}

    return optioned(change)
