"""Programs about which device is meant, and which devices work together.

References: https://docs.pytorch.org/docs/stable/notes/cuda.html and
https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch-device
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.device_programs import RAISED, Row, device_programs, told_by

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

MAKERS = (
    "torch.empty((2, 3), dtype=dtype, device=D)", "torch.zeros(0, dtype=dtype, device=D)",
    "torch.tensor([1, 2], dtype=dtype, device=D)", "torch.full((), 3, dtype=dtype, device=D)",
    "torch.arange(3, dtype=dtype, device=D)", "torch.eye(2, dtype=dtype, device=D)",
    "torch.ones(2, dtype=dtype).to(D)", "torch.ones(2, dtype=dtype).new_zeros(3, device=D)",
    "torch.zeros_like(torch.ones(2, dtype=dtype), device=D)", "torch.as_tensor([1, 2], dtype=dtype, device=D)",
    "torch.empty_strided((2, 2), (1, 2), dtype=dtype, device=D)", "torch.ones(2, device=D).to(dtype)",
    "torch.rand(3, device=D)", "torch.linspace(0, 1, 3, device=D)", "torch.nn.Linear(2, 2, device=D).weight",
)  # fmt: skip
FACTORIES: tuple[Row, ...] = tuple(
    (lines.replace("MAKE", maker.replace("D)", "here.type)")),
     (("x.device.index", "THERE.index"), ("str(x.device)", "THERE")))
    for number, maker in enumerate(MAKERS)
    for lines in (("with m.device(there):\n    x = MAKE", "m.set_device(there)\nx = MAKE")[number % 2 :][:1])
)  # fmt: skip
INSIDE = "before = m.current_device()\n"
RESTORED = (("m.current_device() == before", True),)
CONTEXTS: tuple[Row, ...] = (
    (f"{INSIDE}with m.device(there):\n    inside = m.current_device()", (("inside", "THERE.index"), *RESTORED)),
    (f"{INSIDE}with m.device(there.index):\n    inside = m.current_device()", (("inside", "THERE.index"), *RESTORED)),
    (f"{INSIDE}with m.device(there), m.device(here):\n    inner = m.current_device()",
     (("inner", "HERE.index"), *RESTORED)),
    (f"{INSIDE}try:\n    with m.device(there):\n        raise KeyError\nexcept KeyError:\n    pass", RESTORED),
    (f"{INSIDE}with m.device(there):\n    m.set_device(here)\n    m.set_device(there)", RESTORED),
    (f"{INSIDE}with m.device(-1):\n    inside = m.current_device()", (("inside == before", True), *RESTORED)),
    (f"{INSIDE}with m.device(None):\n    inside = m.current_device()", (("inside == before", True), *RESTORED)),
    (f"{INSIDE}m.set_device(-1)", RESTORED),
)  # fmt: skip
NO_INDEX: tuple[Row, ...] = (
    ("d = torch.device(here.type)\nm.set_device(there)\nx = torch.zeros(2, dtype=dtype, device=d)",
     (("x.device.index", "THERE.index"), ("d.index is None", True))),
    ("d = torch.device(here.type)\nwith m.device(there):\n    x = torch.ones(2, dtype=dtype).to(d)",
     (("x.device.index", "THERE.index"), ("x.cpu().tolist() == [1, 1]", True))),
    ("x = torch.zeros(2, dtype=dtype, device=f'{here.type}')\ny = torch.zeros(2, device=here.type)",
     (("x.device.index == m.current_device()", True), ("y.device == x.device", True))),
)  # fmt: skip
OPERATIONS = (
    ("x + x", [2, 4]), ("x * 2", [2, 4]), ("torch.cat([x, x])", [1, 2, 1, 2]), ("x.sum()", 3), ("x.clone()", [1, 2]),
    ("torch.zeros_like(x)", [0, 0]), ("x[1:]", [2]), ("x.new_full((1,), 7)", [7]), ("x.add_(1)", [2, 3]),
    ("torch.stack([x, x]).t()", [[1, 1], [2, 2]]), ("x.flip(0)", [2, 1]), ("x.unsqueeze(0).expand(2, 2)", [[1, 2]] * 2),
    ("torch.where(x == 1, x, x + x)", [1, 4]), ("x.repeat(2)", [1, 2, 1, 2]), ("x.to(torch.complex64)", [1, 2]),
)  # fmt: skip
WHERE: tuple[Row, ...] = tuple(
    (f"x = torch.tensor([1, 2], dtype=dtype, device=here)\nwith m.device(there):\n    y = {text}",
     (("str(y.device)", "HERE"), (f"y.tolist() == {value}", True)))
    for text, value in OPERATIONS
)  # fmt: skip
EXPLICIT: tuple[Row, ...] = tuple(
    ("with m.device(there):\n    x = " + maker.replace("D)", "here)"), (("str(x.device)", "HERE"),)) for maker in MAKERS
)
DEFAULTED: tuple[Row, ...] = (
    *[("with torch.device(here):\n    x = " + maker.replace(", device=D", ""), (("str(x.device)", "HERE"),))
      for maker in MAKERS if ", device=D" in maker and "ones(2" not in maker],
    ("with torch.device(here):\n    x = torch.zeros(2, dtype=dtype, device='cpu')\ny = torch.zeros(2)",
     (("str(x.device)", "cpu"), ("str(y.device)", "cpu"))),
    ("with torch.device('cpu'):\n    with here:\n        x = torch.ones(2, dtype=dtype)\n    y = torch.ones(2)",
     (("str(x.device)", "HERE"), ("str(y.device)", "cpu"))),
    ("try:\n    with here:\n        raise KeyError\nexcept KeyError:\n    pass\nx = torch.ones(2, dtype=dtype)",
     (("str(x.device)", "cpu"),)),
)  # fmt: skip
LIKE = (
    "x.new_zeros(3)", "x.new_ones((2, 2))", "x.new_empty(())", "x.new_full((2,), 1)", "x.new_tensor([1, 0])",
    "torch.zeros_like(x)", "torch.ones_like(x)", "torch.empty_like(x)", "torch.full_like(x, 1)",
    "x.new_empty_strided((2, 2), (1, 2))",
)  # fmt: skip
LIKES: tuple[Row, ...] = tuple(
    (f"x = torch.ones((2, 3), dtype=dtype, device=here)\ny = {text}",
     (("str(y.device)", "HERE"), ("y.dtype == dtype", True)))
    for text in LIKE
)  # fmt: skip

MIXED = (
    "x + c", "c * x", "x.add_(c)", "torch.mul(x, c)", "torch.cat([x, c])", "torch.stack([c, x])", "x.dot(c)",
    "torch.maximum(x, c)", "torch.where(x > 0, x, c)", "torch.nn.functional.mse_loss(x, c)", "x.masked_fill_(c > 0, 1)",
    "torch.addmv(x, torch.ones(3, 3, device=here), c)", "torch.add(x, x, out=c)", "c.sub_(x)", "x == c",
    "torch.nn.functional.linear(x, c.expand(3, 3))", "x.lerp(c, 0.5)", "torch.nn.Linear(3, 2).to(c.device)(x)",
)  # fmt: skip
WITH_CPU: tuple[Row, ...] = tuple(
    ("x = torch.ones(3, device=here)\nc = torch.ones(3)", ((text, RAISED),)) for text in MIXED
)
WITH_OTHER: tuple[Row, ...] = tuple(
    ("x = torch.ones(3, device=here)\nc = torch.ones(3, device=there)", ((text, RAISED),)) for text in MIXED
)
COPIES: tuple[Row, ...] = tuple(
    (f"x = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=dtype, device={source})\n{lines}",
     (("str(y.device)", place), ("y.tolist() == [[1, 2, 3], [4, 5, 6]]", True),
      ("x.tolist() == [[1, 2, 3], [4, 5, 6]]", True)))
    for source, lines, place in (
        ("here", "y = x.cpu()", "cpu"),
        ("here", "y = x.to('cpu')", "cpu"),
        ("'cpu'", "y = x.to(here)", "HERE"),
        ("here", "y = x.to(there)", "THERE"),
        ("there", "y = x.to(device=here, dtype=dtype)", "HERE"),
        ("here", "y = torch.zeros((2, 3), dtype=dtype).copy_(x)", "cpu"),
        ("'cpu'", "y = torch.zeros((2, 3), dtype=dtype, device=here).copy_(x)", "HERE"),
        ("here", "y = torch.zeros((3, 2), dtype=dtype, device=there).t().copy_(x)", "THERE"),
        ("'cpu'", "y = torch.zeros((2, 3), device=here, dtype=dtype)\ny[:] = x", "HERE"),
        ("here", "y = torch.zeros((2, 6), dtype=dtype)[:, ::2]\ny.copy_(x)", "cpu"),
        ("'cpu'", "y = x.type_as(torch.zeros(1, dtype=dtype, device=here))", "HERE"),
        ("'cpu'", "y = torch.zeros((2, 3), device=here)\ny.copy_(x)", "HERE"),
    )
)  # fmt: skip
SCALAR_CALLS = (
    ("x + c", [3, 4]), ("c - x", [1, 0]), ("x * c", [2, 4]), ("torch.maximum(x, c)", [2, 2]), ("x < c", [1, 0]),
    ("torch.add(c, x)", [3, 4]), ("x.mul_(c)", [2, 4]), ("x == c", [0, 1]), ("torch.sub(x, c, alpha=1)", [-1, 0]),
)  # fmt: skip
SCALARS: tuple[Row, ...] = (
    *[("x = torch.tensor([1, 2], dtype=dtype, device=here)\nc = torch.tensor(2, dtype=dtype)\ny = " + text,
       (("str(y.device)", "HERE"), (f"y.tolist() == {value}", True))) for text, value in SCALAR_CALLS],
    ("x = torch.ones((), dtype=dtype, device=here) + torch.ones((), dtype=dtype)",
     (("str(x.device)", "HERE"), ("x.item() == 2", True))),
    ("x = torch.ones((), dtype=dtype) + torch.ones((), dtype=dtype, device=here)",
     (("str(x.device)", "HERE"), ("x.item() == 2", True))),
)  # fmt: skip
DEVICE_SCALARS: tuple[Row, ...] = tuple(
    ("c = torch.tensor([1.0, 2.0])\nx = torch.tensor(2.0, device=here)", ((text, RAISED),))
    for text in ("x + c", "c + x", "torch.mul(c, x)", "c.add_(x)", "torch.maximum(x, c)", "c < x", "c - x")
)

# Types in which a difference can lie below zero, and that have an order.
SIGNED_REALS = ("float32", "float16", "int64", "bfloat16", "float64")
factories = told_by(FACTORIES, SIGNED_REALS)
device_contexts = told_by(CONTEXTS)
devices_without_index = told_by(NO_INDEX)
operations_elsewhere = told_by(WHERE)
explicit_devices = told_by(EXPLICIT, SIGNED_REALS)
default_devices = told_by(DEFAULTED, SIGNED_REALS)
made_alike = told_by(LIKES)
device_copies = told_by(COPIES)
cpu_scalars = told_by(SCALARS, SIGNED_REALS)
device_scalars = told_by(DEVICE_SCALARS)
mixed_with_the_cpu = told_by(WITH_CPU)
mixed_devices = told_by(WITH_OTHER)


def _accelerator_of_the_build() -> torch.device | None:
    """The accelerator that torch was built for, whether this machine has one or not; in 2.6 only where it has one."""
    try:
        return torch.accelerator.current_accelerator()
    except RuntimeError:  # documented for 2.6, since 2.7 it is None
        return None


def numbered_devices(cell: Cell) -> Inputs:
    """A number for a device: the accelerator's, or nothing's where there is none."""
    built = _accelerator_of_the_build()
    if built is None:
        return device_programs((("", (("torch.device(0)", RAISED),)), ("", (("torch.device(1)", RAISED),))), cell)
    kind = built.type
    rows: tuple[Row, ...] = tuple(("", ((f"str(torch.device({n}))", f"{kind}:{n}"),)) for n in (0, 1))
    if not torch.accelerator.is_available():
        return device_programs(rows, cell)
    return device_programs((*rows, ("", (("str(torch.ones(2).to(0).device)", f"{kind}:0"),))), cell)
