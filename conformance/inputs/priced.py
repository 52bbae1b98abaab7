"""Priced: a call at a size, whose memory is to be accounted for.

The calls are rows of the catalogue ``costs``; the setups make their operands on the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from textwrap import indent
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.registrations import compiled_action
from conformance.oracles.allocations import Account, accounts

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Memory that nothing is read of or written to is empty, so that 2^24 elements of it cost no time.
PRICED_EMPTY = "torch.empty({n} // 8, 8, dtype=torch.{dtype}, device={device!r})"
PRICED_ONES = "torch.ones({n} // 8, 8, dtype=torch.{dtype}, device={device!r})"
PRICED_LIKE = "{o} = torch.empty_like({x}) if isinstance({x}, torch.Tensor) else tuple(map(torch.empty_like, {x}))"
PRICED_MODULE = (
    "layers = [torch.nn.BatchNorm1d({n} // 8, device='meta') for _ in range(2)]",
    "layers.append(torch.nn.Linear({n} // 8, 8, device='meta'))",
    "m = torch.nn.Sequential(*layers).to_empty(device={device!r})",
    "s = m.state_dict()",
)
PRICED_FOLDER = ("import tempfile", "d = tempfile.TemporaryDirectory()")
# by name: how the operands are made, and which of them a layout is given
PRICED_SETUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "matrix": ((f"x = {PRICED_EMPTY}",), ("x",)),
    "vector": (("x = torch.empty({n}, dtype=torch.{dtype}, device={device!r})",), ()),
    "cube": (("x = torch.empty({n} // 16, 4, 4, dtype=torch.{dtype}, device={device!r})",), ("x",)),
    "images": (("x = torch.empty({n} // 64, 4, 4, 4, dtype=torch.{dtype}, device={device!r})",), ("x",)),
    "row": ((f"x = {PRICED_EMPTY}", "y = x[:1]"), ("x", "y")),
    "complex matrix": (("z = torch.empty({n} // 8, 8, dtype=torch.complex64, device={device!r})",), ("z",)),
    "pair": ((f"x = {PRICED_EMPTY}", "y = torch.empty_like(x)"), ("x", "y")),
    "array": (("a = np.empty({n}, dtype=np.{dtype}).reshape({n} // 8, 8)",), ("a",)),
    "tensor": ((f"x = {PRICED_EMPTY}",), ("x",)),
    "buffer": (("b = bytearray({n} * 4)",), ()),
    "map": (("import mmap", "b = mmap.mmap(-1, {n} * 4)"), ()),
    "module": (PRICED_MODULE, ()),
    # the first optimizer of a process imports what optimizers need
    "module and optimizer": ((*PRICED_MODULE, "torch.optim.SGD(m.parameters(), lr=0.1)"), ()),
    "trained": (
        (
            "m = torch.nn.Linear({n} // 8, 8, device={device!r})",
            "o = torch.optim.Adam(m.parameters())",
            "for p in m.parameters(): p.grad = torch.ones_like(p)",
            "o.step()",
            "s = o.state_dict()",
        ),
        (),
    ),
    "archive": ((*PRICED_FOLDER, "torch.save({{'x': torch.zeros(n)}}, d.name + '/x')"), ()),
    "file": ((*PRICED_FOLDER, "torch.zeros(n).numpy().tofile(d.name + '/y')"), ()),
    "loaded": ((*PRICED_MODULE, "x = s['2.weight']"), ()),
    "graded": (
        (
            "x = torch.nn.Parameter(torch.ones({n} // 8, 8, dtype=torch.{dtype}, device={device!r}))",
            "x.grad = torch.ones_like(x)",
            "g = torch.optim.SGD([x], lr=0.1)",
            "m = torch.nn.Module()",
            "m.w = x",
        ),
        (),
    ),
    "leaf": ((f"x = {PRICED_EMPTY}.requires_grad_()",), ()),
    # what is computed with
    "filled": ((f"x = {PRICED_ONES}",), ("x",)),
    "filled array": (("a = np.ones({n}, dtype=np.{dtype})",), ()),
    "operands": ((f"x = {PRICED_ONES}", "y = x * 3", "k = x == 3"), ("x", "y", "k")),
    "whole operands": (
        ("x = torch.full(({n} // 8, 8), 6, dtype=torch.int32, device={device!r})", "y = x // 3"),
        ("x", "y"),
    ),
    "indexed": (
        (
            f"x = {PRICED_ONES}",
            "y = x * 3",
            "k = x == 3",
            "i = torch.arange(len(x), device=x.device)",
            "j = torch.zeros(x.shape, dtype=torch.int64, device=x.device)",
        ),
        (),
    ),
    "products": (
        (
            f"x = {PRICED_ONES}",
            "y = x * 3",
            "v, w = y[:, 0].clone(), y[0].clone()",
            "c = torch.ones(8, 8, dtype=x.dtype, device=x.device)",
        ),
        (),
    ),
    "batches": (
        (
            "x = torch.ones({n} // 64, 8, 8, dtype=torch.{dtype}, device={device!r})",
            "y = x * 3",
            "e = torch.ones(8, 8, dtype=x.dtype, device=x.device)",
        ),
        (),
    ),
    "function": (
        (f"x = {PRICED_ONES}", "u, a, b = x * 0.25, x * 2.5, x * 1.5", "x, y = x * -0.75, x * 2"),
        ("x", "y", "u", "a", "b"),
    ),
    "whole function": (
        ("i = torch.full(({n} // 8, 8), 6, dtype=torch.int32, device={device!r})", "k = i // 3"),
        ("i", "k"),
    ),
}  # fmt: skip
SIZES_OF_NOTHING = tuple(1 << power for power in (6, 9, 12, 15, 18, 21, 24))
SIZES_COMPUTED = (1 << 6, 1 << 10, 1 << 14, (1 << 18) + 64)  # the last one is more than a mebibyte
MANY_COMPUTED = 1 << 15
MOST_COMPUTED = 1 << 24  # of a byte each, and by samples
MAIN_LAYOUTS = ("out-offset", "out-transposed", "required")  # not asked of further rows
FURTHER_TYPES = ("bfloat16", "int64")
WHOLE_TYPES = ("int64", "int32", "int16", "int8", "uint8")
FLOAT_TYPES = ("float64", "float16", "bfloat16", "complex64")
PRICED_TYPES = {
    "view": (*FLOAT_TYPES, "complex128", *WHOLE_TYPES, "bool"),
    "expanded": (*FLOAT_TYPES, *WHOLE_TYPES, "bool"),
    "unchanged": (*FLOAT_TYPES, "int64", "bool"),
    "detached": (*FLOAT_TYPES, "int64", "bool"),
    "shared": ("float64", "float16", "complex64", *WHOLE_TYPES),
    "in-place": ("float64", "bfloat16"),
    "out": ("float64",),
    "copy": ("float64", "bfloat16", "int64", "bool"),
}
# What is done to each operand, or, for an out, to the out alone.
PRICED_LAYOUTS = {
    "contiguous": "{x}",
    "transposed": "{x}.T if {x}.ndim < 3 else {x}.transpose(0, 1)",
    "stepped": "{x}[:, ::2]",
    "offset": "{x}[1:]",
    "required": "{x}.requires_grad_()",
    "out-stepped": "torch.stack((f, f), -1)[..., 0]",
    "out-offset": "torch.stack((f, f))[1]",
    "out-transposed": "f.t().contiguous().t() if f.ndim == 2 else f",
}
LAYOUTS_OF_VIEWS = ("transposed", "stepped", "offset", "required")
LAID_OUT_KINDS = {
    "view": LAYOUTS_OF_VIEWS, "expanded": LAYOUTS_OF_VIEWS, "unchanged": LAYOUTS_OF_VIEWS, "detached": LAYOUTS_OF_VIEWS,
    "shared": ("transposed", "stepped", "offset"), "in-place": ("transposed", "stepped", "offset"),
    "out": ("stepped", "out-stepped", "out-offset", "out-transposed"),
}  # fmt: skip
PRICED_SIZES = {"in-place": SIZES_COMPUTED, "out": SIZES_COMPUTED, "copy": SIZES_COMPUTED}
WRITTEN_NAMES = ("o", "x", "i", "z")
LARGE_COMPUTED = ("in-place", "out")
FURTHER_LARGE = 1 << 20
FEWER_SAMPLES = 50  # since each takes as long as some dozens of corners
SAMPLED_KINDS = ("shared", "copy")  # of the others, what is allocated hangs on no size


@dataclass(frozen=True)
class Priced:
    """``act`` on what a setup makes of ``dtype``, in some forms: numbers of elements (multiples of 64) and layouts."""

    setup: str
    act: str
    forms: tuple[tuple[int, str], ...]
    dtype: str = "float32"
    device: str = "cpu"

    def lines(self, layout: str) -> tuple[str, ...]:
        """What is done beforehand, with ``n`` elements."""
        texts, names = PRICED_SETUPS[self.setup]
        made = [line.format(n="n", dtype=self.dtype, device=self.device) for line in texts]
        form = PRICED_LAYOUTS[layout]
        if layout != "contiguous" and "{x}" in form:
            made += [f"{name} = {form.format(x=name)}" for name in names]
        if ", out=o)" in self.act:
            made += [f"f = {self.act.replace(', out=o)', ')')}", PRICED_LIKE.format(o="o", x="f")]
            if "{x}" not in form:
                made.append(f"o = ({form}) if isinstance(f, torch.Tensor) else o")
        return tuple(made)

    def bills(self) -> list[Bill]:
        """What the call is charged for in each form."""
        found = accounts_of([(n, self.lines(layout), self.act) for n, layout in self.forms], self.device)
        return [Bill(*form, *each) for form, each in zip(self.forms, found, strict=True)]

    def again(self, bill: Bill) -> Account:
        """The account of the call in the form of a bill, once more."""
        return replace(self, forms=((bill.n, bill.layout),)).bills()[0].account

    def nbytes(self, n: int, layout: str) -> int:
        """Bytes of ``n`` elements; half of them where every other column is left out."""
        size: int = torch.empty((), dtype=getattr(torch, self.dtype)).element_size()
        return n * size // (2 if layout == "stepped" else 1)

    def facets(self) -> dict[str, Any]:
        """What evidence counts."""
        sizes, layouts = zip(*self.forms, strict=True)
        return {"dtypes": self.dtype, "layouts": layouts, "shapes": [f"({n},)" for n in sizes]}

    def reductions(self) -> Iterator[Priced]:
        """One form, the simplest layout and type."""
        if len(self.forms) > 1:
            yield from (replace(self, forms=(form,)) for form in self.forms)
        elif self.forms[0][1] != "contiguous":
            yield replace(self, forms=((self.forms[0][0], "contiguous"),))
        if self.dtype != "float32":
            yield replace(self, dtype="float32")

    def code(self) -> str:
        """In plain torch; the profiler shows what is allocated."""
        n, layout = self.forms[-1]
        return priced_code((f"n = {n}", *self.lines(layout)), (self.act,))


@dataclass(frozen=True)
class Bill:
    """What a call in one form is charged for, and the bytes of its out, or of self."""

    n: int
    layout: str
    written: int
    account: Account


def accounts_of(pieces: list[tuple[int, tuple[str, ...], str]], device: str) -> list[tuple[int, Account]]:
    """For each piece, ``n``, lines and an act that is paid for, the bytes that are written to and the account."""
    written: list[int] = []
    found = accounts((_piece(*piece, written) for piece in pieces), device)
    return list(zip(written, found, strict=True))


def account_of(lines: tuple[str, ...], act: str, device: str) -> Account:
    """The account of some lines, after others that are not charged for."""
    return accounts_of([(0, lines, act)], device)[0][1]


def _piece(
    n: int, lines: tuple[str, ...], act: str, written: list[int]
) -> tuple[Callable[[], None], Callable[[], None]]:  # fmt: skip
    """A preparation, which notes the bytes that are to be written, and an act; the value of an expression is held."""
    space: dict[str, Any] = {"n": n}
    needed = ("import copy", "import io", "import numpy as np", "import torch")
    before, paid = compiled_action("\n".join((*needed, *lines))), compiled_action(kept(act))

    def prepare() -> None:
        exec(before, space)
        found = next((space[name] for name in WRITTEN_NAMES if name in space), ())
        written.append(sum(x.numel() * x.element_size() for x in tensors_of(found)))

    return prepare, lambda: exec(paid, space)


def tensors_of(value: Any) -> list[torch.Tensor]:
    """A tensor, or those of a tuple."""
    values = value if isinstance(value, tuple) else (value,)
    return [x for x in values if isinstance(x, torch.Tensor)]


def kept(act: str) -> str:
    """Statements as they are, and an expression with a name for its value."""
    try:
        compile(act, "act", "eval")
    except SyntaxError:
        return act
    return f"result = {act}"


def priced_code(lines: tuple[str, ...], acts: tuple[str, ...]) -> str:
    """A program that prints the bytes that each of some pieces has torch hand out, or, negative, give back."""
    text = "\n".join((*lines, *acts))
    needed = [f"import {name}" for name in ("copy", "io") if f"{name}." in text]
    return "\n".join((*needed, *(_measured(lines, act) for act in acts)))


def _measured(lines: tuple[str, ...], act: str) -> str:
    """The act between two operations on nothing, which the profile shows."""
    inside = "\n".join((*lines, "torch.zeros(0).swapdims_(0, 0)", kept(act), "torch.zeros(0).swapdims_(0, 0)"))
    return f"""with torch.autograd.profiler.profile(profile_memory=True) as profile:
{indent(inside, "    ")}
names = [(event.name(), event.nbytes()) for event in profile.kineto_results.events()]
begin, end = (i for i, (name, _) in enumerate(names) if name == "aten::swapdims_")
print([nbytes for name, nbytes in names[begin:end] if name == "[memory]" and nbytes])"""


def priced(cell: Cell) -> Inputs:
    """The row's call at every size and in every layout that its kind is asked in, and on many of other types."""
    row, kind = cell.subject, cell.subject.kind
    sizes = tuple(getattr(row, "sizes", PRICED_SIZES.get(kind, SIZES_OF_NOTHING)))
    many = MANY_COMPUTED if kind in PRICED_SIZES else sizes[-2]
    layouts = LAID_OUT_KINDS.get(kind, ())
    forms = [(n, "contiguous") for n in sizes]
    forms[:0] = [(many, layout) for layout in layouts if may_be_laid(row, layout)]
    plain = Priced(row.setup, row.act, tuple(forms), device=cell.target.device)
    types = getattr(row, "types", PRICED_TYPES.get(kind, ()))
    others = [replace(plain, forms=((many, "contiguous"),), dtype=dtype) for dtype in types if may_be_typed(row, dtype)]
    if getattr(row, "most", False):
        others.append(replace(plain, forms=((MOST_COMPUTED, "contiguous"),), dtype="uint8"))

    from hypothesis import strategies as st

    if kind in LARGE_COMPUTED and not getattr(row, "dear", False):
        most = FURTHER_LARGE if getattr(row, "further", False) else MOST_COMPUTED
        large = replace(plain, forms=((most, "contiguous"),))
        return Inputs([plain, *others], st.just(large), share=FEWER_SAMPLES)
    if kind not in SAMPLED_KINDS or getattr(row, "further", False):
        return Inputs([plain, *others])

    def resized(draw: tuple[Priced, int]) -> Priced:
        return replace(draw[0], forms=((64 * draw[1], draw[0].forms[0][1]),))

    return Inputs([plain, *others], st.tuples(st.sampled_from([plain, *others]), st.integers(1, 256)).map(resized))


def may_be_laid(row: Any, layout: str) -> bool:
    """Whether a row's operands can be laid out so, and are to be."""
    _, names = PRICED_SETUPS[row.setup]
    asked = layout not in getattr(row, "without", ()) and not getattr(row, "plain", False)
    return bool(names) and asked and (layout not in MAIN_LAYOUTS or not getattr(row, "further", False))


def may_be_typed(row: Any, dtype: str) -> bool:
    """Whether a row's operands can be of an element type; of the further rows of a kind two are asked."""
    lines, _ = PRICED_SETUPS[row.setup]
    typed = "{dtype}" in "".join(lines) and dtype not in getattr(row, "without", ())
    return typed and not getattr(row, "plain", False) and (dtype in FURTHER_TYPES or not getattr(row, "further", False))
