"""What a cell has to say, in a line."""

from __future__ import annotations

from reports.model import Cell

LONGEST = 240


def headline(cell: Cell) -> str:
    """The reason, or what was expected and found, or the first line of the message that says more than the id."""
    if cell.reason:
        text = cell.reason
    elif cell.expected and cell.found:
        what = f"{cell.compared}: " if cell.compared else ""
        text = f"{what}expected {' '.join(cell.expected.split())}, found {' '.join(cell.found.split())}"
    else:
        text = cell.message or ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = next((line for line in lines if cell.id not in line), "")
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"
