"""Growths: a call on few elements and on many, to be timed.

The calls are those of the catalogue ``costs`` that take no memory, and steps of the optimizers of ``optimizers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.priced import PRICED_SETUPS, kept
from conformance.inputs.registrations import compiled_action

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

FEW, MANY = 64, 1 << 21
FEW_PARAMETERS, MANY_PARAMETERS = 32, 256


@dataclass(frozen=True)
class Growth:
    """``act`` after ``lines``, in which ``n`` is ``few`` or ``many``."""

    lines: tuple[str, ...]
    act: str
    few: int
    many: int
    device: str = "cpu"

    def call(self, n: int) -> Callable[[], Any]:
        """The call on what the lines make of ``n``; it holds what it gives until the next one."""
        space: dict[str, Any] = {"n": n}
        exec(compiled_action("\n".join(("import copy", "import numpy as np", "import torch", *self.lines))), space)
        paid = compiled_action(kept(self.act))
        return lambda: exec(paid, space)

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"shapes": f"({self.many},)"}

    def reductions(self) -> Iterator[Growth]:
        """None: fewer could not be told from the few."""
        return iter(())

    def code(self) -> str:
        """In plain torch; prints the seconds of a call on each."""
        made = "\n".join(f"    {line}" for line in self.lines)
        return (
            f"import time\nfor n in ({self.few}, {self.many}):\n{made}\n    start = time.thread_time()\n"
            f"    {kept(self.act)}\n    print(n, time.thread_time() - start)"
        )


def growths(cell: Cell) -> Inputs:
    """The call of a row of ``costs`` on 64 elements and on two millions."""
    row = cell.subject
    texts = (line.format(n="n", dtype="float32", device=cell.target.device) for line in PRICED_SETUPS[row.setup])
    lines = tuple(line.replace("'n'", "n") for line in texts)
    return Inputs([Growth(lines, row.act, FEW, MANY, cell.target.device)])


def steps_of_optimizers(cell: Cell) -> Inputs:
    """Steps over 32 parameters of an element each and over 256."""
    row = cell.subject
    options = "".join(f", {key}={value!r}" for key, value in row.options.items())
    lines = (
        f"ps = [torch.nn.Parameter(torch.ones(1, device={cell.target.device!r})) for _ in range(n)]",
        "for p in ps: p.grad = torch.ones_like(p)",
        f"o = torch.{row.makes}(ps{options})",
    )
    return Inputs([Growth(lines, "o.step()", FEW_PARAMETERS, MANY_PARAMETERS, cell.target.device)])
