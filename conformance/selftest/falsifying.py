"""Falsifying: registering deliberate breaks of torch, and putting them in place and away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from conformance.engine import documentation

BreakT = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Falsifier:
    """A break of torch under which one behaviour's check must fail, for the subject named.

    ``dear``: without the break the cell takes so long that only the profiles that ask it see it pass.
    """

    behaviour: str  # "inplace.returns-self"
    subject: str | None
    apply: BreakT
    dear: bool = False

    @property
    def name(self) -> str:
        """``inplace.returns-self[mul_]-a_new_alias_for_a_strided_int16_self``."""
        subject = f"[{self.subject}]" if self.subject else ""
        return f"{self.behaviour}{subject}-{self.apply.__name__}"

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Torch broken, and whole again: nothing that was read of the one is taken for the other."""
        documentation.forget()
        try:
            with self.apply():
                yield
        finally:
            documentation.forget()


FALSIFIERS: list[Falsifier] = []


def falsifies(behaviour: str, subject: str | None = None, dear: bool = False) -> Callable[[BreakT], BreakT]:
    """Register a function that returns a context manager which breaks exactly this promise."""

    def register(apply: BreakT) -> BreakT:
        FALSIFIERS.append(Falsifier(behaviour, subject, apply, dear))
        return apply

    return register


@contextmanager
def patched(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Put ``make(original)`` in the place of ``owner.name``, and take it away again.

    An attribute that ``owner`` only inherits is removed afterwards, so that nothing is left behind.
    """
    original = getattr(owner, name)
    kept = vars(owner).get(name, _ABSENT)
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        if kept is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, kept)


_ABSENT = object()
