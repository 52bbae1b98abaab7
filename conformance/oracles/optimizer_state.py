"""Optimizer state: what an optimizer remembers of each parameter and group, compared part by part."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.oracles import memory
from conformance.oracles.expect import Mismatch, equal, same_object


def shown_parts(value: Any) -> Any:
    """A value as it is now: tensors as their elements, what holds others part by part."""
    if isinstance(value, torch.Tensor):
        return memory.contents(value.detach())
    if isinstance(value, dict):
        return {key: shown_parts(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [shown_parts(part) for part in value]
    return value


def same_parts(expected: Any, found: Any, what: str) -> None:
    """Expect two values shown to be the same, part by part, tensors bit for bit."""
    if isinstance(expected, np.ndarray) and isinstance(found, np.ndarray):
        memory.same_elements(expected, found, what)
    elif isinstance(expected, dict) and isinstance(found, dict):
        if set(expected) != set(found):
            raise Mismatch(f"keys of {what}", sorted(map(str, expected)), sorted(map(str, found)))
        for key, part in expected.items():
            same_parts(part, found[key], f"{key} of {what}")
    elif isinstance(expected, list) and isinstance(found, list):
        equal(len(expected), len(found), f"number of parts of {what}")
        for number, part in enumerate(expected):
            same_parts(part, found[number], f"part {number} of {what}")
    else:
        equal(expected, found, what)


def remembered(optimizer: Any) -> list[Any]:
    """What an optimizer remembers of each parameter, in the order of its groups."""
    return [
        shown_parts(dict(optimizer.state.get(parameter, {})))
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]


def group_options(optimizer: Any) -> list[Any]:
    """The options of each group."""
    return [
        {name: shown_parts(value) for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]


def same_numbers(expected: Any, found: Any, what: str) -> None:
    """Expect two trainings to have come to the same parameters."""
    pairs = zip(expected.parameters, found.parameters, strict=True)
    for number, (one, other) in enumerate(pairs):
        memory.same_elements(memory.contents(one), memory.contents(other), f"parameter {number} of {what}")


def same_trainings(expected: Any, found: Any, what: str) -> None:
    """Expect two trainings to have come to the same parameters, state and options."""
    same_numbers(expected, found, what)
    same_parts(remembered(expected.optimizer), remembered(found.optimizer), f"the state of {what}")
    same_parts(group_options(expected.optimizer), group_options(found.optimizer), f"the options of {what}")


def same_parameters(before: list[torch.Tensor], optimizer: Any, what: str) -> None:
    """Expect an optimizer to have these very parameters, in this order."""
    after = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    equal(len(before), len(after), f"number of parameters of {what}")
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        same_object(one, other, f"parameter {number} of {what}")


def tensors_within(value: Any) -> list[torch.Tensor]:
    """Every tensor in a value."""
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors_within(part)]
