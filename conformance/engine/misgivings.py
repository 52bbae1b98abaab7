"""Misgivings: entries of the user's expectations files that fit no cell, or more cells than anybody would list.

They are judged against every cell that there is, whatever part of them is asked for, and on whatever torch: what an
entry says of another release is not misspelt on this one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches

from conformance.engine.expectations import Expectations, Listed
from conformance.engine.yamlfile import entry_lines, shown

NEAREST = 3
# Types of devices that a list may speak of and that are not here, which makes no pattern misspelt.
DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla", "npu", "privateuseone")


def misgivings(expectations: Expectations, cells: list[str], elsewhere: frozenset[str] = frozenset()) -> list[str]:
    """One line for each such entry: file and line, and the ids that are nearest to a pattern that fits none.

    ``elsewhere`` are areas whose cells are not among ``cells``: nothing is said of their patterns.
    """
    found = []
    lines: dict[object, list[int]] = {}
    for file, key, number, entry in expectations.own:
        words = _unfit(entry, cells, elsewhere) or (_too_wide(entry, cells) if key == "deviations" else None)
        if words is not None:
            if (file, key) not in lines:
                lines[file, key] = entry_lines(file, key)
            found.append(f"{shown(file)}:{lines[file, key][number]}: cells: {words}")
    return found


def _unfit(entry: Listed, cells: list[str], elsewhere: frozenset[str]) -> str | None:
    """What is wrong with a pattern that fits no cell of any device."""
    text = entry.cells
    if any(re.fullmatch(_expression(text.partition(".")[0]), area) for area in elsewhere):
        return None
    if any(entry.pattern.fullmatch(cell) for cell in _everywhere(text, cells)):
        return None
    near = _nearest(text, cells)
    return f"expected a pattern that fits a cell; found {text!r}, which fits none{f'; nearest: {near}' if near else ''}"


def _too_wide(entry: Listed, cells: list[str]) -> str | None:
    """Which areas a pattern accepts whole."""
    there, taken = (
        Counter(_area(cell) for cell in cells),
        Counter(_area(c) for c in cells if entry.pattern.fullmatch(c)),
    )
    whole = [f"all {count:,} cells of {area}" for area, count in taken.items() if there[area] == count]
    if not whole:
        return None
    return (
        f"expected a pattern of some cells of an area; found {entry.cells!r}, which accepts {', '.join(sorted(whole))}"
    )


def _everywhere(pattern: str, cells: list[str]) -> Iterator[str]:
    """The cells, then their namesakes on devices that are not here: those of the pattern's last word first."""
    yield from cells
    last = re.search(r"(?:-|\[)(\w+)(:\d+)?\]$", pattern)
    named = f"{last[1]}{last[2] or ''}" if last and last[1] in DEVICES else None
    stems = sorted({cell[: max(cell.rfind("-"), cell.rfind("[")) + 1] for cell in cells})
    for device in dict.fromkeys([*([named] if named else []), *(f"{kind}:0" for kind in DEVICES), *DEVICES]):
        yield from (f"{stem}{device}]" for stem in stems)


def _nearest(pattern: str, cells: list[str]) -> str:
    """The ids that are most like a pattern: of the areas, then of their behaviours, then of their subjects."""
    area, _, rest = pattern.partition(".")
    behaviour, bracket, parameters = rest.partition("[")
    areas = sorted({_area(cell) for cell in cells})
    taken = [each for each in areas if re.fullmatch(_expression(area), each)] or get_close_matches(area, areas, 1)
    inside = [cell for cell in cells if _area(cell) in taken]
    names = sorted({_behaviour(cell) for cell in inside})
    fitting = [each for each in names if re.fullmatch(_expression(behaviour), each)]
    fitting = (
        fitting or get_close_matches(behaviour, names, NEAREST) or get_close_matches(behaviour, names, NEAREST, 0.4)
    )
    found = [cell for name in fitting for cell in inside if _behaviour(cell) == name]
    if bracket and len(found) > NEAREST:
        ends = [cell.partition("[")[2] for cell in found]
        near = get_close_matches(parameters, sorted(set(ends)), NEAREST, 0.5)
        found = [cell for end in near for cell in found if cell.partition("[")[2] == end][:NEAREST] or found
    return ", ".join(found[:NEAREST])


def _expression(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob)


def _area(cell: str) -> str:
    return cell.partition(".")[0]


def _behaviour(cell: str) -> str:
    return cell.partition(".")[2].partition("[")[0]
