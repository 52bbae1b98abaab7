"""Programs for a device: lines of plain torch, and what is true when they have run.

In them ``here`` is the device under test, ``there`` the last device of its type (``here`` itself, where it is the only
one), ``m`` the module of their type, such as ``torch.xpu``, and ``dtype`` an element type.
Reference: https://docs.pytorch.org/docs/stable/notes/cuda.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# Element types of the tensors in programs; small whole numbers are exact in all of them.
PROGRAM_DTYPES = ("float32", "float16", "int64", "bfloat16", "complex64", "uint8", "float64")
RAISED = "raises RuntimeError"  # or ValueError, as releases differ


@dataclass(frozen=True)
class DeviceProgram:
    """Lines, and expressions with their values afterwards: ``RAISED`` where they raise."""

    lines: str
    answers: tuple[tuple[str, Any], ...]
    device: str
    last: str
    dtype: str = ""

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"dtypes": self.dtype} if self.dtype else {}

    @property
    def head(self) -> str:
        """The lines that make the names of the program."""
        names = {
            "m": f"torch.{self.device.partition(':')[0]}",
            "here": f"torch.device({self.device!r})",
            "there": f"torch.device({self.last!r})",
            **({"dtype": f"torch.{self.dtype}"} if self.dtype else {}),
        }
        text = "\n".join([self.lines, *(expression for expression, _ in self.answers)])
        made = [f"{name} = {value}" for name, value in names.items() if re.search(rf"\b{name}\b(?!=)", text)]
        whose = [] if any(self.device in line for line in made) else [f"# for {self.device}"]
        return "\n".join(["import torch", *whose, *made, ""])

    def code(self) -> str:
        """The whole program, which prints what the expressions are."""
        shown = []
        for expression, value in self.answers:
            if value == RAISED:
                shown += ["try:", f"    {expression}", "    print('no exception')",
                          "except (RuntimeError, ValueError) as error:  # expected", "    print(error)"]  # fmt: skip
            else:
                shown.append(f"print({expression})  # expected: {value!r}")
        return "\n".join([self.head + self.lines, *shown])

    def run(self) -> dict[str, Any]:
        """The names after the lines have run."""
        names: dict[str, Any] = {}
        exec(self.head + self.lines, names)
        return names

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """What programs select is as it was afterwards, and their work is done."""
        module: Any = getattr(torch, self.device.partition(":")[0], None)
        selected = module.current_device() if hasattr(module, "set_device") else None
        stream = module.current_stream() if hasattr(module, "set_stream") else None
        precision = torch.get_float32_matmul_precision()
        try:
            yield
        finally:
            if selected is not None:
                module.set_device(selected)
            if stream is not None:
                module.set_stream(stream)
            if torch.get_float32_matmul_precision() != precision:
                torch.set_float32_matmul_precision(precision)


Row = tuple[str, tuple[tuple[str, Any], ...]]  # lines and answers


def device_programs(rows: tuple[Row, ...], cell: Cell, dtypes: tuple[str, ...] = PROGRAM_DTYPES) -> Inputs:
    """A program for each row; those that speak of an element type take turns, and each meets two."""
    device = cell.target.device
    last = last_device(device)
    found = []
    for number, (lines, answers) in enumerate(rows):
        made = tuple((expression, placed(value, device, last)) for expression, value in answers)
        typed = re.search(r"\bdtype\b(?!=)", lines) is not None
        names = {dtypes[number % len(dtypes)], dtypes[(number + 1) % len(dtypes)]} if typed else {""}
        found += [DeviceProgram(lines, made, device, last, name) for name in sorted(names)]
    return Inputs(found)


def placed(value: Any, device: str, last: str) -> Any:
    """What an expression is on this machine: ``HERE`` and ``THERE`` are the devices' names and numbers."""
    places = {"HERE": device, "THERE": last, "HERE.index": number_of(device), "THERE.index": number_of(last)}
    return places.get(value, value) if isinstance(value, str) else value


def number_of(device: str) -> int:
    """The number of a device, which is 0 where it has none."""
    return int(device.partition(":")[2] or 0)


def last_device(device: str) -> str:
    """The device with the highest number among those of its type, or the first where ``device`` is the last."""
    kind, _, number = device.partition(":")
    module: Any = getattr(torch, kind, None)
    count = module.device_count() if number and hasattr(module, "device_count") else 1
    if not number or count < 2:
        return device
    return f"{kind}:{count - 1}" if int(number) < count - 1 else f"{kind}:0"


def told_by(rows: tuple[Row, ...], dtypes: tuple[str, ...] = PROGRAM_DTYPES) -> Any:
    """The source of a behaviour whose cases are these programs."""
    return partial(device_programs, rows, dtypes=dtypes)
