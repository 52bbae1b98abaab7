"""Cells, cases and checks for the engine's own tests: no torch operation, every verdict on demand."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from conformance.engine.cases import Inputs
from conformance.engine.cells import Cell
from conformance.engine.mismatch import Discard, Mismatch
from conformance.engine.runner import Outcome, Plan, run_cell
from conformance.engine.specs import Behaviour
from conformance.engine.targets import Target

CPU = Target("cpu", "cpu", "cpu", "an example")
QUOTES = "say \"hi\", 'hi', \\n, {braces}, {0}, \"\"\"three\"\"\", '''three''', \x00\x1b[31m, \u202e, \ud800"


@dataclass(frozen=True)
class Number:
    """A number of a made-up element type."""

    value: int
    dtype: str = "int64"
    note: str = ""

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"dtypes": self.dtype, "shapes": "()"}

    def reductions(self) -> Iterator[Number]:
        """Smaller numbers, without a note."""
        if self.note:
            yield Number(self.value, self.dtype)
        for smaller in sorted({0, self.value // 2, self.value - 1}):
            if 0 <= smaller < self.value:
                yield Number(smaller, self.dtype)

    def code(self) -> str:
        """In plain torch."""
        return f"x = torch.tensor({self.value})\nx.neg_()"

    def build(self) -> torch.Tensor:
        """As a tensor."""
        return torch.tensor(self.value)


@dataclass(frozen=True)
class Plain:
    """A case with nothing but a repr."""

    value: int


def behaviour(**changes: Any) -> Behaviour:
    """A behaviour; ``changes`` replace its keys."""
    keys = {"id": "stays-small", "statement": "A number stays small.", "level": "must"}
    return Behaviour(**{**keys, "docs": {"object": "torch.Tensor.add_", "says": "In-place version"}, **changes})


def cell(subject: Any = None, target: Target = CPU, area: str = "demo", **changes: Any) -> Cell:
    """A cell of such a behaviour."""
    return Cell(area, behaviour(**changes), subject, target)


def run(
    check: Callable[[Any], Any],
    corners: Any = (),
    samples: Any = None,
    *,
    of: Cell | None = None,
    count: int = 20,
    seed: int = 0,
    interrupts: tuple[type[BaseException], ...] = (),
    refused: frozenset[str] = frozenset(),
    profile: str | None = None,
    share: int = 1,
) -> Outcome:
    """The outcome of ``check`` over these cases."""

    def wrapped(case: Any) -> None:
        check(case)

    wrapped.__conformance_inputs__ = lambda cell: Inputs(corners, samples, share)  # type: ignore[attr-defined]
    return run_cell(of or cell(), wrapped, Plan(count, seed, interrupts=interrupts, refused=refused, profile=profile))


def numbers(limit: int = 1000, dtype: str = "int64") -> Any:
    """Sampled numbers."""
    from hypothesis import strategies as st

    return st.integers(0, limit).map(lambda value: Number(value, dtype))


LIMIT_OF_SMALL = 7


def stays_small(case: Number) -> None:
    """A number stays small."""
    if case.value >= LIMIT_OF_SMALL:
        raise Mismatch(f"number {case.value}", f"below {LIMIT_OF_SMALL}", case.value)


def holds(case: Any) -> None:
    """Nothing can be wrong."""


def refuses(case: Any) -> None:
    """The target says that it cannot."""
    raise RuntimeError("\"demo_cpu\" not implemented for 'Half'\nmore text")


def refuses_halves(case: Number) -> None:
    """The target cannot do odd numbers of one element type."""
    if case.dtype == "float16" and case.value % 2:
        raise NotImplementedError("no odd halves")


def discards(case: Any) -> None:
    """Every case is out of scope."""
    raise Discard("not this one")


def breaks(case: Any) -> None:
    """A fault of the suite itself."""
    undefined_name  # type: ignore[name-defined]  # noqa: B018, F821


def warns(case: Any) -> None:
    """torch warns a lot."""
    import warnings

    warnings.warn("a deprecation", DeprecationWarning, stacklevel=1)


def uses_a_tensor(case: Number) -> None:
    """A check as areas have them: builds its case and looks at torch's answer."""
    found = case.build().neg()
    if found.item() != -case.value or math.isnan(found.item()):
        raise Mismatch("neg", -case.value, found.item())


def says_hostile_things(case: Number) -> None:
    """A failure full of quotes."""
    raise Mismatch(f"a note {case.note!r}", QUOTES, QUOTES)


def crashes(case: Number) -> None:
    """Ends the process."""
    import os

    os.abort()


def dies_of_signbit(case: Number) -> None:
    """Calls one function of torch, which somebody may have patched."""
    torch.signbit(torch.zeros(1))


def hangs(case: Number) -> None:
    """Never comes back."""
    time.sleep(1000)
