"""Stored copies: tensors and modules that are pickled, copied or deep-copied, and processes with other environments."""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import covering
from conformance.inputs.stored_archives import archive_of
from conformance.inputs.stored_files import PLAIN
from conformance.inputs.stored_objects import STORED_MODULES, StoredObject, stored_sources
from conformance.inputs.stored_tensors import STORED_FORMS, STORED_TYPES, YOUNG_TYPES, make_stored, stored_flags

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

COPY_WAYS = ("pickle 2", "pickle 3", "pickle 4", "pickle 5")


@dataclass(frozen=True, eq=False)
class Copied:
    """A tensor or module, and the way in which it is copied."""

    case: Any
    way: str

    def copied(self, thing: Any) -> Any:
        """The copy."""
        if self.way == "deepcopy":
            return copy.deepcopy(thing)
        if self.way == "copy":
            return copy.copy(thing)
        return pickle.loads(pickle.dumps(thing, int(self.way.split()[1])))

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.case.facets(), "ways": self.way}

    def code(self) -> str:
        """The copy in plain torch."""
        case = self.case
        plan = [f"x = {case.plan.code()}"] if hasattr(case, "plan") else stored_sources(case.expression)
        act = f"copy.{self.way}(x)" if "copy" in self.way else f"pickle.loads(pickle.dumps(x, {self.way[-1]}))"
        return "\n".join(["import copy", "import pickle", *plan, f"x = {case.expression}", f"found = {act}"])

    def reductions(self) -> Iterator[Copied]:
        """Simpler things."""
        for case in self.case.reductions():
            yield Copied(case, self.way)


def _copied_tensors(device: str, ways: tuple[str, ...], types: tuple[str, ...] = STORED_TYPES) -> Inputs:
    expressions = (
        "x",
        "x.requires_grad_() if x.is_floating_point() or x.is_complex() else x",
        "torch.nn.Parameter(x, x.is_floating_point() or x.is_complex())",
    )
    rows = covering(ways, types, STORED_FORMS, expressions)
    return Inputs([Copied(make_stored(device, text, dtype, form, PLAIN), way) for way, dtype, form, text in rows])


def pickled_tensors(cell: Cell) -> Inputs:
    """Every element type in every form, by every protocol."""
    return _copied_tensors(cell.target.device, COPY_WAYS)


def deep_tensors(cell: Cell) -> Inputs:
    """The same, deep-copied."""
    return _copied_tensors(cell.target.device, ("deepcopy",), STORED_TYPES + YOUNG_TYPES)


def shallow_tensors(cell: Cell) -> Inputs:
    """The same, copied."""
    return _copied_tensors(cell.target.device, ("copy",))


def young_tensors(cell: Cell) -> Inputs:
    """Types that no class of storages was made for, pickled and copied."""
    return _copied_tensors(cell.target.device, ("copy", "pickle 2", "pickle 4"), YOUNG_TYPES)


def histories_of(cell: Cell) -> Inputs:
    """Tensors with a history."""
    return Inputs([case for case in stored_flags(cell).corners if not case.build().is_leaf])


def copied_modules(cell: Cell) -> Inputs:
    """Every module by deepcopy and by two protocols."""
    rows = covering(STORED_MODULES, ("deepcopy", "pickle 2", "pickle 5"))
    return Inputs([Copied(StoredObject(text, PLAIN, cell.target.device), way) for text, way in rows])


@dataclass(frozen=True)
class OldString:
    """A string as Python 2 pickled it, the encoding that torch.load is told, and what comes of it."""

    memory: bytes
    encoding: str | None
    expected: Any

    def archive(self) -> bytes:
        """The file."""
        pickled = b"\x80\x02U" + bytes([len(self.memory)]) + self.memory + b"."
        return archive_of({"data.pkl": pickled, "version": b"3\n"})

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"calls": str(self.encoding)}

    def code(self) -> str:
        """The bytes of the file."""
        option = f", encoding={self.encoding!r}" if self.encoding else ""
        return (
            f"import io\nimport torch\nfound = torch.load(io.BytesIO({self.archive()!r}), weights_only=False{option})"
        )


def old_strings(cell: Cell) -> Inputs:
    """ASCII and beyond, in each encoding."""
    rows = []
    for text in ("plain", "", "é", "naïve 日本"):
        memory = text.encode()
        rows += [
            OldString(memory, None, text),
            OldString(memory, "utf-8", text),
            OldString(memory, "bytes", memory),
            OldString(memory, "latin1", memory.decode("latin1")),
        ]
    return Inputs(rows)


class ClosedSeek(io.BytesIO):
    """A stream such as a socket's: it cannot go back."""

    def __init__(self, memory: bytes) -> None:
        super().__init__(memory)
        self.offered = (self.seekable, self.seek, self.tell)  # a reproducer leaves out methods that nothing names

    def seekable(self) -> bool:
        """It cannot."""
        return False

    def seek(self, *place: int) -> int:
        """Never."""
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        """Nor does it know where it is."""
        raise io.UnsupportedOperation("tell")


ASK_TORCH = """
import base64, io, json, sys, torch
file = base64.b64decode(sys.argv[1])
found = {}
for name, options in (("nothing", {}), ("True", {"weights_only": True}), ("False", {"weights_only": False})):
    try:
        torch.load(io.BytesIO(file), **options)
        found[name] = "loaded"
    except Exception as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Environment:
    """A variable of the environment, and a process that loads an untrusted class with it."""

    variable: str
    value: str = "1"

    def ask(self) -> dict[str, str]:
        """What comes of torch.load without a word, with weights_only=True and with weights_only=False."""
        buffer = io.BytesIO()
        torch.save({"a": range(3)}, buffer)
        told = base64.b64encode(buffer.getvalue()).decode()
        environment = {**os.environ, self.variable: self.value}
        answer = subprocess.run(
            [sys.executable, "-c", ASK_TORCH, told],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        )
        found: dict[str, str] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"variables": self.variable}

    def code(self) -> str:
        """What is run in a process that has the variable."""
        lines = ["import io", "import os", f"os.environ[{self.variable!r}] = {self.value!r}", "import torch"]
        lines += ["file = io.BytesIO()", "torch.save({'a': range(3)}, file)", "file.seek(0)", "torch.load(file)"]
        return "\n".join(lines)


def trusting_environments(cell: Cell) -> Inputs:
    """The variable that speaks where the call is silent."""
    return Inputs([Environment("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")])


def forcing_environments(cell: Cell) -> Inputs:
    """The variable that overrides the call."""
    return Inputs([Environment("TORCH_FORCE_WEIGHTS_ONLY_LOAD")])
