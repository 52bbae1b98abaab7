"""Contests: two ways of doing one thing, of which pages or tutorials say that the one takes less time, or no more.

Reference: https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html,
https://docs.pytorch.org/docs/stable/optim.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.priced import kept
from conformance.inputs.registrations import compiled_action

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

CONTEST_NEEDS = ("import numpy as np", "import torch")
# a call on all elements, and the loop that does the same
LOOPED = (
    ("z = x + y", "z = torch.empty_like(x)\nfor i in range(len(x)): z[i] = x[i] + y[i]"),
    ("z = x.sum()", "z = torch.zeros(())\nfor i in range(len(x)): z += x[i]"),
    ("z = torch.where(x > 2, x, y)", "z = x.clone()\nfor i in range(len(x)):\n    if not x[i] > 2: z[i] = y[i]"),
    ("z = x[p]", "z = torch.empty_like(x)\nfor i, j in enumerate(p.tolist()): z[i] = x[j]"),
    ("z = m @ x", "z = torch.empty(len(m))\nfor i in range(len(m)): z[i] = (m[i] * x).sum()"),
    ("z = x.cumsum(0)", "z = x.clone()\nfor i in range(1, len(x)): z[i] = z[i - 1] + x[i]"),
    ("z = torch.from_numpy(a)", "z = torch.empty(len(a))\nfor i in range(len(a)): z[i] = float(a[i])"),
    ("z = x * y", "z = torch.empty_like(x)\nfor i in range(len(x)): z[i] = x[i] * y[i]"),
    ("z = x.exp()", "z = torch.empty_like(x)\nfor i in range(len(x)): z[i] = x[i].exp()"),
    ("z = x.max()", "z = x[0]\nfor i in range(1, len(x)): z = torch.maximum(z, x[i])"),
    ("z = x.gather(0, p)", "z = torch.empty_like(x)\nfor i, j in enumerate(p.tolist()): z[i] = x[j]"),
    ("z = x.tolist()", "z = [float(x[i]) for i in range(len(x))]"),
)
CONVOLVED = (
    "c = torch.nn.Conv2d({channels}, {channels}, 3, padding=1).to({device!r}).requires_grad_(False)",
    "x = torch.ones(2, {channels}, 24, 24, device={device!r})",
    "l = torch.nn.Conv2d({channels}, {channels}, 3, padding=1).to({device!r}, memory_format=torch.channels_last)",
    "l.requires_grad_(False)",
    "y = x.contiguous(memory_format=torch.channels_last)",
)

CHAIN = "def f(x):\n    for _ in range(6): x = (x * 1.01 + 0.5).relu() - x * 0.3\n    return x"


@dataclass(frozen=True)
class Contest:
    """``one`` and ``other``, both after ``lines``; ``most`` is what the one may take of the other's time."""

    lines: tuple[str, ...]
    one: str
    other: str
    most: float
    device: str = "cpu"

    def acts(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """Both ways, ready to be done again and again."""
        space: dict[str, Any] = {}
        exec(compiled_action("\n".join((*CONTEST_NEEDS, *self.lines))), space)
        one, other = compiled_action(kept(self.one)), compiled_action(kept(self.other))
        return lambda: exec(one, space), lambda: exec(other, space)

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        return {"ways": self.one}

    def reductions(self) -> Iterator[Contest]:
        """None: less to do is less to tell apart."""
        return iter(())

    def code(self) -> str:
        """In plain torch; prints the seconds of both."""
        timed = "start = time.perf_counter()\n{}\nprint({!r}, time.perf_counter() - start)"
        acts = "\n".join(timed.format(kept(act), act) for act in (self.one, self.other))
        return "\n".join(("import time", *self.lines, f"for _ in range(5):\n{indent(acts, '    ')}"))


def loops_and_calls(cell: Cell) -> Inputs:
    """Calls on three hundred elements, and Python loops over them."""
    device = cell.target.device
    lines = (
        "a = np.arange(300, dtype=np.float32)",
        f"x = torch.arange(300.0, device={device!r})",
        f"y, p, m = x.flip(0), torch.arange(299, -1, -1, device={device!r}), x.expand(30, 300).contiguous()",
    )
    return Inputs([Contest(lines, call, loop, 0.5, device) for call, loop in LOOPED])


def optimizers_in_bulk(cell: Cell) -> Inputs:
    """A step over forty small parameters by the foreach implementation, and by the fused one, and by the loop."""
    row, device = cell.subject, cell.target.device
    options = {name: value for name, value in row.options.items() if name not in ("foreach", "fused")}
    way = "fused" if row.options.get("fused") else "foreach"
    lines = (
        f"ps = [torch.nn.Parameter(torch.ones(1, device={device!r})) for _ in range(40)]",
        "for p in ps: p.grad = torch.ones_like(p)",
        f"o = torch.{row.makes}(ps, **{ {**options, way: True}!r})",
        f"f = torch.{row.makes}(ps, **{ {**options, 'foreach': False}!r})",
    )
    return Inputs([Contest(lines, "o.step()", "f.step()", 0.9, device)])


def convolutions_by_layout(cell: Cell) -> Inputs:
    """A convolution with channels last, and with contiguous operands."""
    device = cell.target.device
    found = []
    for channels in (16, 32):
        lines = tuple(line.format(channels=channels, device=device) for line in CONVOLVED)
        found.append(Contest(lines, "l(y)", "c(x)", 2.0, device))
    return Inputs(found)


def compiled_chains(cell: Cell) -> Inputs:
    """A chain of functions of each element by itself, compiled and called once, and as it is."""
    device = cell.target.device
    lines = (
        CHAIN,
        f"x = torch.arange(1 << 16, device={device!r}) / 1000",
        "g = torch.compile(f)",
        "assert torch.allclose(g(x), f(x))",
    )
    return Inputs([Contest(lines, "g(x)", "f(x)", 1.0, device)])


def copies_to_device(cell: Cell) -> Inputs:
    """Copies of sixteen mebibytes from pinned memory, and from pageable memory."""
    device = cell.target.device
    lines = ("h = torch.ones(1 << 22)", "p = h.pin_memory()", f"d = torch.empty(1 << 22, device={device!r})")
    return Inputs([Contest(lines, "d.copy_(p, non_blocking=True)", "d.copy_(h)", 1.0, device)])
