"""Cases: how a check says which inputs it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from conformance.engine.cells import Cell

CheckT = TypeVar("CheckT", bound=Callable[..., Any])


@dataclass(frozen=True)
class Inputs:
    """The inputs of one cell: corners that always run, in this order, and a strategy for the sampled rest.

    A case is any object whose ``repr`` is executable Python. It may also have ``code()`` (plain torch, for
    people, a whole program), ``facets()`` (what evidence counts: ``dtypes``, ``layouts``, ``shapes``, …) and
    ``reductions()`` (simpler cases to try when it fails).

    ``share``: where a sample costs as much as many corners, one of so many that the profile asks for is drawn, and none
    where it asks for fewer.
    """

    corners: Iterable[Any]
    samples: SearchStrategy[Any] | None = None
    share: int = 1


def cases(
    source: Callable[[Cell], Inputs], program: Callable[[Any, str], str] | None = None
) -> Callable[[CheckT], CheckT]:
    """Give a check its inputs: ``source`` is called once a cell, with that cell.

    ``program`` writes a case out in the place of its ``code()``, where several checks do different things with cases of
    one class: it is called with the case and the behaviour's id.
    """

    def mark(check: CheckT) -> CheckT:
        check.__conformance_inputs__ = source  # type: ignore[attr-defined]
        check.__conformance_program__ = program  # type: ignore[attr-defined]
        return check

    return mark
