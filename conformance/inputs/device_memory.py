"""Programs about memory: transfers, pinned memory, what the allocator counts, graphs; and about precision.

References: https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management and
https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.device_programs import Row, device_programs, last_device, told_by
from conformance.inputs.dtypes import family
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

SAME: tuple[Row, ...] = tuple(
    (
        f"x = torch.ones((2, 3), dtype=dtype, device=here)\ny = {text}",
        (("y is x", kept), ("y.tolist() == [[1] * 3] * 2", True)),
    )
    for text, kept in (
        ("x.to(here)", True),
        ("x.to(device=here, dtype=dtype)", True),
        ("x.to(str(here))", True),
        ("x.to(here, non_blocking=True)", True),
        ("x.to(x)", True),
        ("x.to(here, copy=True)", False),
        ("x.to(device=here, dtype=dtype, copy=True)", False),
        ("x.cpu().to(here)", False),
    )
)
NON_BLOCKING: tuple[Row, ...] = tuple(
    (f"x = torch.full(({n},), 3, dtype=dtype){pinned}\n{lines}", ((f"y.tolist() == [{value}] * {n}", True),))
    for n in (3, 50_000)
    for pinned in ("", ".pin_memory()")
    for lines, value in (
        ("y = x.to(here, non_blocking=True) * 2", 6),
        ("y = torch.zeros_like(x, device=here)\ny.copy_(x, non_blocking=True)\ny.add_(1)", 4),
        ("y = (x.to(here, non_blocking=True) + x.to(here, non_blocking=True)).cpu()", 6),
    )
)
TO_THE_HOST: tuple[Row, ...] = tuple(
    (
        f"x = torch.full(({n},), 3, dtype=dtype, device=here)\nx.add_(1)\n{lines}\nm.synchronize()",
        ((f"y.tolist() == [4] * {n}", True),),
    )
    for n in (3, 50_000)
    for lines in (
        "y = x.to('cpu', non_blocking=True)",
        f"y = torch.zeros({n}, dtype=dtype)\ny.copy_(x, non_blocking=True)",
        f"y = torch.zeros({n}, dtype=dtype).pin_memory()\ny.copy_(x, non_blocking=True)",
    )
)
PINNED: tuple[Row, ...] = (
    (
        "x = torch.tensor([1, 2], dtype=dtype)\ny = x.pin_memory()",
        (
            ("y.is_pinned(), x.is_pinned()", (True, False)),
            ("y.data_ptr() == x.data_ptr()", False),
            ("y.tolist() == [1, 2]", True),
            ("str(y.device)", "cpu"),
        ),
    ),
    (
        "x = torch.tensor([1, 2], dtype=dtype).pin_memory()\ny = x.pin_memory()",
        (("y.is_pinned()", True), ("y.data_ptr() == x.data_ptr()", True)),
    ),
    (
        "x = torch.ones((2, 3), dtype=dtype).t()\ny = x.pin_memory()\nx.zero_()",
        (("y.is_pinned()", True), ("tuple(y.shape)", (3, 2)), ("y.tolist() == [[1, 1]] * 3", True)),
    ),
)
FRESH = "import gc\nm.set_device(here)\ngc.collect()\nm.synchronize()\nbefore = m.memory_allocated()\n"
ALLOCATED: tuple[Row, ...] = tuple(
    (f"{FRESH}{lines}", answers)
    for lines, answers in (
        (
            "x = torch.ones(300_000, device=here)\nheld = m.memory_allocated() - before\ndel x",
            (("held >= 1_200_000", True), ("m.memory_allocated() == before", True)),
        ),
        (
            (
                "x = [torch.ones(1000, device=here) for _ in range(5)]\n"
                "held = m.memory_allocated() - before\nx = x[:1]\n"
                "some = m.memory_allocated() - before\ndel x"
            ),
            (("held >= 20_000", True), ("4000 <= some < held", True), ("m.memory_allocated() == before", True)),
        ),
        (
            "x = torch.ones(300_000, device=here)\ny = x[:3]\ndel x\nheld = m.memory_allocated() - before\ndel y",
            (("held >= 1_200_000", True), ("m.memory_allocated() == before", True)),
        ),
        (
            (
                "x = torch.ones(1000, device=here)\ny = x.t()\nz = x.detach()\n"
                "held = m.memory_allocated() - before\nx.add_(1)\n"
                "same = m.memory_allocated() - before == held"
            ),
            (("4000 <= held < 8000", True), ("same", True)),
        ),
    )
)
RESERVED: tuple[Row, ...] = tuple(
    (f"{FRESH}{lines}", answers)
    for lines, answers in (
        (
            "x = torch.ones(300_000, device=here)\nheld = m.memory_reserved()\ndel x",
            (("m.memory_reserved() == held", True), ("held >= m.memory_allocated() + 1_200_000", True)),
        ),
        ("x = torch.ones(3000, device=here)", (("m.memory_reserved() >= m.memory_allocated() > 0", True),)),
        (
            (
                "m.empty_cache()\nx = torch.ones(30_000_000 // 4, device=here)\n"
                "kept = torch.full((1000,), 3.0, device=here)\nheld = m.memory_reserved()\n"
                "del x\nm.empty_cache()"
            ),
            (
                ("m.memory_reserved() < held", True),
                ("m.memory_reserved() >= m.memory_allocated() > 0", True),
                ("kept.unique().tolist()", [3.0]),
            ),
        ),
        (
            "x = torch.ones(300_000, device=here)\nheld = m.memory_allocated()\nm.empty_cache()",
            (("m.memory_allocated() == held", True), ("x.unique().tolist()", [1.0])),
        ),
    )
)
PEAKS: tuple[Row, ...] = tuple(
    (f"{FRESH}{lines}", answers)
    for lines, answers in (
        (
            "x = torch.ones(300_000, device=here)\ndel x\npeak = m.max_memory_allocated()\nm.reset_peak_memory_stats()",
            (("peak >= before + 1_200_000", True), ("m.max_memory_allocated() == m.memory_allocated()", True)),
        ),
        (
            (
                "m.reset_peak_memory_stats()\nx = torch.ones(300_000, device=here)\n"
                "y = torch.ones(300_000, device=here)\ndel x, y\n"
                "first = m.max_memory_allocated()\nx = torch.ones(3000, device=here)"
            ),
            (("first >= before + 2_400_000", True), ("m.max_memory_allocated() == first", True)),
        ),
        (
            "x = torch.ones(3000, device=here)\nm.reset_peak_memory_stats()",
            (("m.max_memory_allocated() == m.memory_allocated() >= 12_000", True),),
        ),
    )
)
COUNTED_APART: tuple[Row, ...] = (
    (
        f"{FRESH}other = m.memory_allocated(there)\nx = torch.ones(300_000, device=there)",
        (("m.memory_allocated(here) == before", True), ("m.memory_allocated(there) >= other + 1_200_000", True)),
    ),
    (
        (
            f"{FRESH}with m.device(there):\n    other = m.memory_allocated()\n"
            f"x = torch.ones(3000, device=here)\nwith m.device(there):\n"
            "    same = m.memory_allocated() == other"
        ),
        (("same", True), ("m.memory_allocated() >= before + 12_000", True)),
    ),
)
LIMITED = "m.set_device(here)\nm.empty_cache()\nm.set_per_process_memory_fraction(0.0)\ntry:\n"
FRACTIONS: tuple[Row, ...] = tuple(
    (
        (
            f"{LIMITED}    try:\n        {call}\n        refused = ''\n    except RuntimeError as error:\n"
            "        refused = type(error).__name__\nfinally:\n    m.set_per_process_memory_fraction(1.0)\n"
            "x = torch.full((3,), 2.0, device=here)"
        ),
        (("refused", "OutOfMemoryError"), ("x.tolist()", [2.0] * 3)),
    )
    for call in ("torch.empty(8_000_000, device=here)", "torch.ones(40_000_000, dtype=torch.uint8).to(here)")
)
CAPTURE = ("m.set_device(here)\nx = torch.ones(4, device=here)\ns = m.Stream()\ns.wait_stream(m.current_stream())\n"
           "with m.stream(s):\n    y = x * 2 + 1\nm.current_stream().wait_stream(s)\ng = m.GRAPH()\n")  # fmt: skip
REPLAYS: tuple[Row, ...] = (
    (
        f"{CAPTURE}with m.graph(g):\n    y = x * 2 + 1\nplace = y.data_ptr()\nx.copy_(torch.arange(4.0))\ng.replay()",
        (("y.tolist()", [1.0, 3.0, 5.0, 7.0]), ("y.data_ptr() == place", True)),
    ),
    (
        f"{CAPTURE}with m.graph(g):\n    y = x * 2 + 1\nfor n in range(3):\n    x.fill_(n)\n    g.replay()",
        (("y.tolist()", [5.0] * 4), ("x.tolist()", [2.0] * 4)),
    ),
    (
        (
            f"{CAPTURE}with m.graph(g):\n    y = x * 3\n    z = y.sum()\nx.fill_(5)\ng.replay()\n"
            f"first = z.item()\nx.fill_(1)\ng.replay()"
        ),
        (("first", 60.0), ("z.item()", 12.0)),
    ),
)
# 1 + 2**-20 has more bits than tf32 or two bfloat16s hold, and all products with 0 and 1 are exact
EXACT = "e = torch.eye(64, device=here)\na = 1 + torch.arange(4096.0, device=here).reshape(64, 64) * 2**-20\n"
PRODUCTS: tuple[Row, ...] = tuple(
    (
        f"torch.set_float32_matmul_precision('highest')\n{EXACT}y = {text}",
        (("torch.equal(y.cpu(), a.cpu())", True), ("y.dtype is torch.float32", True)),
    )
    for text in (
        "a @ e",
        "torch.mm(e, a)",
        "torch.addmm(torch.zeros_like(a), a, e)",
        "torch.bmm(a[None], e[None])[0]",
        "torch.nn.functional.linear(a, e)",
        "torch.einsum('ij,jk->ik', e, a)",
    )
)
DEFAULT_PRECISION: tuple[Row, ...] = (
    (
        f"{EXACT}y = a @ e",
        (("torch.get_float32_matmul_precision()", "highest"), ("torch.equal(y.cpu(), a.cpu())", True)),
    ),
)
KEPT_TYPES: tuple[Row, ...] = tuple(
    (
        (
            f"torch.set_float32_matmul_precision({word!r})\n"
            f"y = torch.ones(4, 4, device=here) @ torch.ones(4, 4, device=here)"
        ),
        (
            ("torch.get_float32_matmul_precision()", word),
            ("y.dtype is torch.float32", True),
            ("y.tolist()", [[4.0] * 4] * 4),
        ),
    )
    for word in ("highest", "high", "medium")
)
FLAG = "f = torch.backends.cuda.matmul\n"
TF32_FLAGS: tuple[Row, ...] = (
    ("", (("torch.backends.cuda.matmul.allow_tf32", False),)),
    ("", (("torch.backends.cudnn.allow_tf32", True),)),
    (
        (
            f"{FLAG}torch.set_float32_matmul_precision('high')\non = f.allow_tf32\n"
            f"torch.set_float32_matmul_precision('highest')"
        ),
        (("on", True), ("f.allow_tf32", False)),
    ),
    (
        (
            f"torch.backends.cudnn.allow_tf32 = False\ntry:\n"
            f"    {EXACT.replace(chr(10), chr(10) + '    ')}"
            "y = torch.nn.functional.conv2d(a.reshape(1, 64, 8, 8), e.reshape(64, 64, 1, 1))\n"
            "finally:\n    torch.backends.cudnn.allow_tf32 = True"
        ),
        (("torch.equal(y.reshape(64, 64).cpu(), a.cpu())", True),),
    ),
)
REDUCED: tuple[Row, ...] = tuple(
    (
        (
            f"{FLAG}was = f.{name}\nf.{name} = False\ntry:\n    off = f.{name}\n"
            f"    y = torch.ones(8, 8, dtype=torch.{dtype}, device=here)\n"
            f"    y = y @ y\nfinally:\n    f.{name} = was"
        ),
        (
            ("was", True),
            ("off", False),
            (f"f.{name}", True),
            (f"y.dtype is torch.{dtype}", True),
            ("y.unique().tolist()", [8.0]),
        ),
    )
    for name, dtype in (
        ("allow_bf16_reduced_precision_reduction", "bfloat16"),
        ("allow_fp16_reduced_precision_reduction", "float16"),
    )
)

same_devices = told_by(SAME)
sent_unblocked = told_by(NON_BLOCKING)
fetched_unblocked = told_by(TO_THE_HOST)
pinned_copies = told_by(PINNED)
memory_allocated_for = told_by(ALLOCATED)
memory_reserved_for = told_by(RESERVED)
memory_peaks = told_by(PEAKS)
memory_of_devices = told_by(COUNTED_APART)
memory_fractions = told_by(FRACTIONS)
exact_products = told_by(PRODUCTS)
default_precision = told_by(DEFAULT_PRECISION)
kept_types = told_by(KEPT_TYPES)
tf32_flags = told_by(TF32_FLAGS)
reduced_flags = told_by(REDUCED)


def graph_class(cell: Cell) -> str:
    """The name of the class of graphs: ``CUDAGraph`` of ``torch.cuda``."""
    module = getattr(torch, cell.target.device.partition(":")[0])
    return next((name for name in sorted(vars(module)) if name.endswith("Graph")), "Graph")


def graph_replays(cell: Cell) -> Inputs:
    """Captured work, and other numbers in its input."""
    name = graph_class(cell)
    return device_programs(tuple((lines.replace("GRAPH", name), answers) for lines, answers in REPLAYS), cell)


@dataclass(frozen=True, eq=False)
class Transfer:
    """A tensor of the CPU, and where it is sent to and fetched from."""

    plan: Strided
    device: str
    last: str

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def reductions(self) -> Iterator[Transfer]:
        """Simpler tensors."""
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)

    def code(self) -> str:
        """The way there and back in plain torch."""
        way = f".to({self.device!r})" + (f".to({self.last!r})" if self.last != self.device else "")
        return (
            f"x = {self.plan.code()}\ny = x{way}\nprint(y.stride(), x.stride())\nz = y.cpu()\n"
            "print(torch.equal(x, z))  # bit by bit, NaN and the sign of zero too"
        )


def transfers(cell: Cell) -> Inputs:
    """Every element type, in every layout, of every kind of values."""
    from hypothesis import strategies as st

    device = cell.target.device
    dtypes = [
        name for name in family("bool", "integral", "barebones", "floating", "complex") if name not in cell.target.lacks
    ]
    shapes: tuple[tuple[int, ...], ...] = ((), (0,), (1, 3, 1), (2, 3), (2, 3, 4), (1, 2, 3, 2), (65,))
    layouts = ("contiguous", "transposed", "stepped", "offset", "sliced", "channels_last", "expanded", "overlapping")

    def made(dtype: str, shape: tuple[int, ...], layout: str, kind: str) -> Transfer:
        return Transfer(corner(dtype, shape, layout, kind), device, last_device(device))

    kinds = ("ordinary", "zeros", "special")
    drawn = st.builds(made, *[st.sampled_from(x) for x in (dtypes, shapes, layouts, kinds)])
    return Inputs([made(*row) for row in covering(dtypes, shapes, layouts, kinds)], drawn)
