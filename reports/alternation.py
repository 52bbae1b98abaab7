"""Two builds timed in turn on one machine: the file that ``python -m conformance ab`` writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from reports.model import Count, Fingerprint, Finite, Part, Skipped, Text
from reports.opening import AB
from reports.reading import parsed

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Side(Part):
    """A build, and what it ran with."""

    torch: Text
    git: str | None = None
    python: Text
    numpy: str | None = None


class Row(Part):
    """A subject timed with both builds, a pair of times after the other."""

    subject: Text
    kind: Text
    dtype: Text
    size: Text
    elements: Count
    a: Positive
    b: Positive
    ratio: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Of b over a: above 1, b is slower.")]
    interval: Annotated[list[Finite], Field(min_length=2, max_length=2, description="Lower and upper bound.")]
    pairs: Annotated[int, Field(ge=1)]


class Pair(Part):
    """Two builds, and the ratio of each subject."""

    schema_: Literal["ab/1"] = Field(alias="schema")
    complete: bool = Field(default=True, description="Whether all calls were timed.")
    a: Side
    b: Side
    fingerprint: Fingerprint
    target: Text
    rows: list[Row]
    skipped: list[Skipped] = Field(default=[])


@dataclass(frozen=True)
class Alternation:
    """Two builds timed in turn, and the file that it was read from."""

    path: Path
    pair: Pair


def load(path: Path) -> Alternation:
    """Read an A/B file, or raise :class:`UnreadableError` with every fault found."""
    return Alternation(path, parsed(path, Pair, AB))
