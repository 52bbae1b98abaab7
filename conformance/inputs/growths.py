"""Growths: a call on few elements, on more and on many, to be timed.

The calls are those of the catalogue ``costs`` that take no memory, and steps of the optimizers of ``optimizers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.priced import (
    LAID_OUT_KINDS,
    PRICED_LAYOUTS,
    PRICED_SETUPS,
    PRICED_TYPES,
    kept,
    may_be_laid,
    may_be_typed,
)
from conformance.inputs.registrations import compiled_action

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

TIMED_SIZES = (1 << 6, 1 << 12, 1 << 18, 1 << 24)
FEWER_TIMED_SIZES = (1 << 10, 1 << 18, 1 << 24)
# element types and layouts, of which a row's are taken that it can be asked in
TIMED_FORMS = (("float64", ("transposed", "required")), ("int64", ("stepped", "offset")))
COPIED_SIZES = (1 << 10, 1 << 13, 1 << 16, 1 << 19)
STEPPED_SIZES = (32, 64, 128, 896)
GROUPED_NAMES = ("SGD", "Adam-single")


@dataclass(frozen=True)
class Growth:
    """``act`` after ``lines``, in which ``n`` is each of some sizes."""

    lines: tuple[str, ...]
    act: str
    sizes: tuple[int, ...]
    device: str = "cpu"
    form: str = ""  # of what element type and layout, where they are others

    def call(self, n: int) -> Callable[[], Any]:
        """The call on what the lines make of ``n``; it holds what it gives until the next one."""
        space: dict[str, Any] = {"n": n}
        exec(compiled_action("\n".join(("import copy", "import numpy as np", "import torch", *self.lines))), space)
        paid = compiled_action(kept(self.act))
        return lambda: exec(paid, space)

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"shapes": [f"({n},)" for n in self.sizes]}

    def reductions(self) -> Iterator[Growth]:
        """None: fewer could not be told from the few."""
        return iter(())

    def code(self) -> str:
        """In plain torch; prints the seconds of a call on each."""
        made = "\n".join(f"    {line}" for line in self.lines)
        needed = "import copy\n" if "copy." in made + self.act else ""
        return (
            f"{needed}import time\nfor n in {self.sizes}:\n{made}\n    start = time.perf_counter()\n"
            f"    {kept(self.act)}\n    print(n, time.perf_counter() - start)"
        )


def _growth(cell: Cell, sizes: tuple[int, ...], dtype: str = "float32") -> Growth:
    """The call of a row of ``costs`` at some sizes."""
    row = cell.subject
    texts, _ = PRICED_SETUPS[row.setup]
    made = (line.format(n="n", dtype=dtype, device=cell.target.device) for line in texts)
    return Growth(tuple(line.replace("'n'", "n") for line in made), row.act, sizes, cell.target.device)


def growths(cell: Cell) -> Inputs:
    """The call of a row of ``costs`` that takes no memory, on 64 elements up to sixteen millions, in some layouts."""
    return Inputs([_growth(cell, tuple(getattr(cell.subject, "sizes", TIMED_SIZES))), *_laid_out(cell)])


def _laid_out(cell: Cell) -> Iterator[Growth]:
    """The call on other element types, each in the layouts that go with it."""
    row = cell.subject
    asked, types = LAID_OUT_KINDS.get(row.kind, ()), getattr(row, "types", PRICED_TYPES.get(row.kind, ()))
    _, names = PRICED_SETUPS[row.setup]
    for wanted, layouts in TIMED_FORMS:
        dtype = wanted if wanted in types and may_be_typed(row, wanted) else "float32"
        used = [layout for layout in layouts if layout in asked and may_be_laid(row, layout)]
        if used:
            plain = _growth(cell, FEWER_TIMED_SIZES, dtype)
            lines = (f"{name} = {PRICED_LAYOUTS[layout].format(x=name)}" for layout in used for name in names)
            yield replace(plain, lines=(*plain.lines, *lines), form=f" of {dtype}, {' and '.join(used)}")


def copies_grow(cell: Cell) -> Inputs:
    """The call of a row of ``costs`` that copies."""
    return Inputs([_growth(cell, COPIED_SIZES)])


def steps_of_optimizers(cell: Cell) -> Inputs:
    """Steps over parameters of an element each, in one group, and of some optimizers each in a group of its own."""
    row = cell.subject
    options = "".join(f", {key}={value!r}" for key, value in row.options.items())
    lines = (
        f"ps = [torch.nn.Parameter(torch.ones(1, device={cell.target.device!r})) for _ in range(n)]",
        "for p in ps: p.grad = torch.ones_like(p)",
        f"o = torch.{row.makes}(ps{options})",
    )
    found = [Growth(lines, "o.step()", STEPPED_SIZES, cell.target.device)]
    if row.name in GROUPED_NAMES:
        grouped = (*lines[:2], f"o = torch.{row.makes}([{{'params': [p]}} for p in ps]{options})")
        found.append(replace(found[0], lines=grouped))
    return Inputs(found)
