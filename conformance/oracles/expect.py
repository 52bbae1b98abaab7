"""Expectations: comparisons that say what was expected, what was found and where they part.

Each raises ``Mismatch``, the one exception by which a check says that a behaviour does not hold. ``what`` names
the thing compared, as the message is to say it.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

import torch

from conformance.engine.mismatch import Discard, Mismatch

__all__ = ["Discard", "Mismatch", "equal", "raises", "same_object", "some", "tensor", "that"]


def that(condition: bool, what: str, expected: object, found: object) -> None:
    """Expect ``condition``; ``expected`` and ``found`` say it in words."""
    if not condition:
        raise Mismatch(what, expected, found)


def equal(expected: Any, found: Any, what: str) -> None:
    """Expect two Python values of one type that compare equal."""
    if type(expected) is not type(found) or expected != found:
        raise Mismatch(what, f"{expected!r} ({type(expected).__name__})", f"{found!r} ({type(found).__name__})")


def same_object(expected: Any, found: Any, what: str) -> None:
    """Expect ``found`` to be the object ``expected``, and not an equal one."""
    if found is not expected:
        raise Mismatch(what, "the same object", f"another {type(found).__name__}")


def tensor(found: Any, what: str) -> torch.Tensor:
    """Expect a tensor, and return it."""
    if not isinstance(found, torch.Tensor):
        raise Mismatch(what, "a tensor", f"{found!r} ({type(found).__name__})")
    return found


def some(things: Sized, what: str) -> None:
    """Let a case count only where it has something to be looked at: what a plan says, and nothing that torch gives."""
    if not things:
        raise Discard(f"no {what}")


def raises(
    kinds: type[BaseException] | tuple[type[BaseException], ...], action: Callable[[], Any], what: str
) -> BaseException:
    """Expect ``action`` to raise one of ``kinds``; returns the exception."""
    names = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
    try:
        found = action()
    except kinds as error:
        return error
    except Exception as error:
        raise Mismatch(
            what, f"{names} is raised", f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        ) from error
    raise Mismatch(what, f"{names} is raised", f"no exception; the call returned {_short(found)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
