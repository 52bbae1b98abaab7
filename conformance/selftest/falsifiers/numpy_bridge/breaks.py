"""How the breaks of this area are made: a function of torch with something done to its call or its result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifying import patched

# torch keeps a list of its factory functions from the first use of a default device on: it must not hold a break
with torch.device("meta"):
    torch.empty(0)


def altered(owner: Any, name: str, alter: Callable[..., Any]) -> AbstractContextManager[Any]:
    """``owner.name`` replaced by ``alter(original, *args, **kwargs)``."""

    def make(original: Any) -> Any:
        def altered_(*args: Any, **kwargs: Any) -> Any:
            return alter(original, *args, **kwargs)

        return altered_

    return patched(owner, name, make)


def read(name: str, alter: Callable[..., Any]) -> AbstractContextManager[Any]:
    """Attribute ``name`` of tensors replaced by ``alter(original, tensor)``."""
    return patched(torch.Tensor, name, lambda original: property(lambda self: alter(original.__get__, self)))


def accepting(error: type[BaseException], otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """An alteration that answers ``otherwise(*args, **kwargs)`` where the original refuses."""

    def alter(original: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except error:
            return otherwise(*args, **kwargs)

    return alter


def refusing(original: Any, *args: Any, **kwargs: Any) -> Any:
    """An alteration that refuses whatever it is given."""
    raise RuntimeError("refused")


def refusing_where(when: Callable[..., bool]) -> Callable[..., Any]:
    """An alteration that refuses where ``when(*args, **kwargs)``."""

    def alter(original: Any, *args: Any, **kwargs: Any) -> Any:
        if when(*args, **kwargs):
            raise RuntimeError("refused")
        return original(*args, **kwargs)

    return alter


def then(change: Callable[..., Any]) -> Callable[..., Any]:
    """An alteration that answers ``change(result, *args, **kwargs)``."""

    def alter(original: Any, *args: Any, **kwargs: Any) -> Any:
        return change(original(*args, **kwargs), *args, **kwargs)

    return alter
