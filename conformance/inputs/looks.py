"""Looks: what the listing of a case does with the thing that it makes.

Many checks are fed the same things and differ in what they do with them. The case has the lines that show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def looked_at(lines: str, source: Callable[[Cell], Inputs]) -> Callable[[Cell], Inputs]:
    """The cases of a source, whose listings end with these lines."""

    def looked(cell: Cell) -> Inputs:
        inputs = source(cell)
        drawn = None if inputs.samples is None else inputs.samples.map(look)
        return Inputs([look(case) for case in inputs.corners], drawn)

    def look(case: Any) -> Any:
        return replace(case, look=lines)

    return looked
