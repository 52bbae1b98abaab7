"""Module state: what a module holds, read from its attributes, against the tree that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from conformance.inputs.module_trees import Tree, reach
from conformance.oracles import memory
from conformance.oracles.expect import Mismatch, equal, same_object, that


def module_holds(tree: Tree, module: torch.nn.Module, what: str) -> None:
    """Expect the state of ``module`` to be that of ``tree``, element by element."""
    for key, (plan, _) in tree.state().items():
        memory.same_elements(plan.array, memory.contents(reach(module, key)), f"{key} of {what}")


def state_holds(tree: Tree, state: Mapping[str, Any], what: str, prefix: str = "") -> None:
    """Expect a dictionary to have the names of ``tree``, no others, and its elements."""
    wanted = {prefix + key: plan for key, (plan, _) in tree.state().items()}
    same_keys(set(wanted), state, what)
    for key, plan in wanted.items():
        that(isinstance(state[key], torch.Tensor), f"{key} of {what}", "a tensor", type(state[key]).__name__)
        equal(getattr(torch, plan.dtype), state[key].dtype, f"element type of {key} of {what}")
        memory.same_elements(plan.array, memory.contents(state[key]), f"{key} of {what}")


def same_keys(expected: set[str], found: Mapping[str, Any], what: str) -> None:
    """Expect these keys, in whatever order."""
    if expected != set(found):
        missing, more = sorted(expected - set(found)), sorted(set(found) - expected)
        raise Mismatch(f"keys of {what}", f"{len(expected)} keys", f"without {missing} and with {more} beside")


def tensor_frames(tree: Tree, module: torch.nn.Module) -> dict[str, tuple[Any, ...]]:
    """What stays of each tensor of a module, None and unsaved buffers included, whatever its elements are."""
    return {key: (reach(module, key), *_frame(reach(module, key))) for key in tree.places()}


def same_frames(before: dict[str, tuple[Any, ...]], after: dict[str, tuple[Any, ...]], what: str) -> None:
    """Expect the very tensors of before, in their memory, of their type, shape and flags."""
    for key, (tensor, *frame) in before.items():
        same_object(tensor, after[key][0], f"{key} of {what}")
        equal(frame, list(after[key][1:]), f"kind, memory, type, device, shape, strides and flags of {key} of {what}")


def _frame(found: Any) -> tuple[Any, ...]:
    if found is None:
        return ()
    return (
        type(found).__name__, found.data_ptr(), found.dtype, str(found.device), tuple(found.shape), found.stride(),
        found.requires_grad, found.is_leaf,
    )  # fmt: skip


def shown_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary as it is now: each tensor itself and its bytes, whatever else it holds as text."""
    return {
        key: (value, memory.storage_bytes(value)) if isinstance(value, torch.Tensor) else repr(value)
        for key, value in state.items()
    }


def same_state(before: dict[str, Any], after: dict[str, Any], what: str) -> None:
    """Expect a dictionary to have stayed as it was shown: its keys and their order, its objects and their bytes."""
    equal(list(before), list(after), f"keys of {what}")
    for key, value in before.items():
        if isinstance(value, tuple):
            same_object(value[0], after[key][0], f"{key} of {what}")
            memory.same_bytes(value[1], after[key][1], f"{key} of {what}")
        else:
            equal(value, after[key], f"{key} of {what}")


def tensors_share(expected: bool, first: torch.Tensor, second: torch.Tensor, what: str) -> None:
    """Expect two tensors to lie in one memory at one place and of one frame, or in memories of their own."""
    if expected:
        equal(first.data_ptr(), second.data_ptr(), f"address of {what}")
        equal(tuple(first.stride()), tuple(second.stride()), f"strides of {what}")
    elif first.numel() and second.numel():
        memory.shares(False, _stretch(first), _stretch(second), what)


def _stretch(tensor: torch.Tensor) -> tuple[int, int]:
    return memory.storage_address(tensor), memory.storage_of(tensor).nbytes()
