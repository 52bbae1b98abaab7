"""Targets: the devices of this machine that a build of torch can use, and what they say of themselves.

Reference: https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch-device
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from conformance.engine.documentation import MISSING, resolve
from conformance.engine.importing import Unimportable, imported, watched
from conformance.engine.specs import SPECS, Dotted, Model, Word
from conformance.engine.yamlfile import load

SHIPPED = SPECS / "targets.yaml"

# What behaviours may ask of a target, and the names in its module (torch.cuda) without which it cannot be there.
CAPABILITIES: dict[str, tuple[str, ...]] = {
    "current-device": ("current_device", "device", "set_device"),
    "streams": ("Stream", "current_stream", "stream", "synchronize"),
    "events": ("Event", "synchronize"),
    "allocator-statistics": ("empty_cache", "max_memory_allocated", "memory_allocated", "memory_reserved",
                             "reset_peak_memory_stats"),
    "memory-fraction": ("set_per_process_memory_fraction",),
    "graphs": ("graph",),
    "pinned-memory": (),
    "tf32": (),
    "several-devices": (),
    "compiler": (),
}  # fmt: skip
COUNTED = "several-devices"  # is never declared: it is so, or not
COMPILER = "compiler"  # of C++, for what torch.compile writes; of the CPU only, and found, not declared
Capability = Literal[
    "current-device", "streams", "events", "allocator-statistics", "memory-fraction", "graphs", "pinned-memory", "tf32"
]


class Kind(Model):
    """A type of devices."""

    type: Word
    device: Word | None = Field(None, description="The type as torch.device takes it, where it is another.")
    available: Dotted | None = Field(None, description="Says whether there are any (torch.<type>.is_available).")
    count: Dotted | None = Field(None, description="Says how many there are (torch.<type>.device_count).")
    indexed: bool = Field(True, description="Whether devices have numbers; a type without has one device.")
    model: str | None = Field(None, description="Name of the model (what torch.<type>.get_device_name says).")
    driver: Dotted | list[Dotted] = Field(default_factory=list, description="Versions of driver or toolkit; the first.")
    lacks: list[Word] = Field(default_factory=list, description="Element types that no tensor there can have.")
    reason: str | None = Field(None, description="Why it lacks them.")
    capabilities: list[Capability] | None = Field(
        None, description="What it can do beside computing; where it is not said, what its module has names for."
    )


class Kinds(Model):
    """A file of targets."""

    targets: list[Kind]


@dataclass(frozen=True)
class Target:
    """A device under test: its name (``cpu``, ``cuda:0``), its type, its model and its driver."""

    name: str
    device: str
    type: str
    model: str
    driver: str | None = None
    lacks: frozenset[str] = frozenset()
    reason: str | None = None
    needs: tuple[str, ...] = ()  # modules that bring the device along
    capabilities: frozenset[str] = frozenset()

    def record(self) -> dict[str, Any]:
        """This target as the run record has it."""
        return {"name": self.name, "type": self.type, "device": self.model, "driver": self.driver}

    def declared(self, check: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """``check``, which cases with element types that the target declares to lack do not reach."""
        if not self.lacks:
            return check

        def within(case: Any) -> Any:
            facets = case.facets() if hasattr(case, "facets") else {}
            dtypes = facets.get("dtypes", ())
            absent = self.lacks & {dtypes} if isinstance(dtypes, str) else self.lacks & set(dtypes)
            if absent:
                why = f" ({self.reason})" if self.reason else ""
                raise NotImplementedError(f"{self.name} declares that it has no {min(absent)}{why}")
            return check(case)

        return within


# What a device was asked and had no answer to, by dotted path: told where just that device is named.
UNANSWERED: dict[str, str] = {}
META = Target("meta", "meta", "meta", "no device: shapes and element types without values")


@cache
def available(files: tuple[Path, ...] = ()) -> tuple[Target, ...]:
    """Every device that this torch can use here, the CPU first; ``files`` describe further ones; raises SpecError."""
    kinds = {kind.type: kind for file in (SHIPPED, *files) for kind in load(file, Kinds).targets}
    own = _private_backend()
    if own and own not in kinds:
        kinds[own] = Kind(type=own)
    return tuple(target for kind in kinds.values() for target in _targets(kind))


def choose(names: list[str], files: tuple[Path, ...] = (), modules: tuple[str, ...] = ()) -> tuple[Target, ...]:
    """The targets named, in order, each once; raises ValueError saying which there are, SpecError for ``files``.

    ``modules`` are plugged in already: devices that torch does not have by itself need them in every process.
    """
    targets = {target.name: target for target in (available(files) if files else available())}
    targets.setdefault(META.name, META)  # always there, and tested where it is named only
    own = {kind.type for kind in load(SHIPPED, Kinds).targets} if modules else set()
    chosen: dict[str, Target] = {}
    present = [name for name in targets if name != META.name]
    for name in names or present:
        target = targets.get(name) or targets.get(f"{name}:0")
        if target is None:
            raise ValueError(
                f"expected one of {', '.join(present)} (what this torch can use here) or meta; found {name!r}"
                + "".join(f" ({told})" for path, told in UNANSWERED.items() if path.split(".")[1] == name.split(":")[0])
            )
        chosen[target.name] = replace(target, needs=modules) if target.type not in own else target
    return tuple(chosen.values())


def plug_in(module: str) -> None:
    """Import what brings a back end along; raises ValueError where it cannot be."""
    if not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", module, re.ASCII):
        raise ValueError(f"expected the name of a module, such as torch_npu; found {module!r}")
    try:
        with watched():
            imported(module)
    except BaseException as error:  # an extension that does not fit this torch may raise anything
        if isinstance(error, KeyboardInterrupt):
            raise
        words = str(error).strip().partition(chr(10))[0]
        told = words if isinstance(error, Unimportable) else f"{type(error).__name__}: {words}"
        raise ValueError(
            f"expected a module that can be imported, such as torch_npu; found {module!r} ({told})"
        ) from error


def processor() -> str:
    """Model name of the CPU, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def compiler() -> str | None:
    """Path of the C++ compiler that torch.compile would call, or None where there is none."""
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    return shutil.which(os.environ.get("CXX") or usual)


def _targets(kind: Kind) -> Iterator[Target]:
    """The devices of a type, as many as there are."""
    if kind.type == "cpu":
        yield Target("cpu", "cpu", "cpu", processor(), capabilities=frozenset([COMPILER] if compiler() else []))
        return
    if not _asked(kind.available or f"torch.{kind.type}.is_available"):
        return
    count = _asked(kind.count or f"torch.{kind.type}.device_count") if kind.indexed else 1
    versions = [kind.driver] if isinstance(kind.driver, str) else kind.driver
    said = ((path, resolve(path)) for path in versions)
    driver = next((f"{path.rpartition('.')[2]} {value}" for path, value in said if value not in (None, MISSING)), None)
    device = kind.device or kind.type
    if not isinstance(count, int) and count is not None:
        path = kind.count or f"torch.{kind.type}.device_count"
        UNANSWERED[path] = f"{path}: expected a number of devices; found {count!r}"
        return
    for index in range(int(count or 0)):
        end = f":{index}" if kind.indexed else ""
        model = kind.model or _asked(f"torch.{kind.type}.get_device_name", index) or kind.type
        yield Target(
            f"{kind.type}{end}", device if device in ("cpu", "meta") else f"{device}{end}", kind.type,
            str(model), driver, frozenset(kind.lacks), kind.reason, (), _capabilities(kind, int(count or 0)),
        )  # fmt: skip


def _capabilities(kind: Kind, count: int) -> frozenset[str]:
    """What devices of a type can do: what is declared of them, as far as their module has the names for it."""
    declared = set(CAPABILITIES) if kind.capabilities is None else {*kind.capabilities, COUNTED}
    found = {
        name for name, wanted in CAPABILITIES.items()
        if name in declared and all(resolve(f"torch.{kind.type}.{each}") is not MISSING for each in wanted)
    }  # fmt: skip
    if kind.capabilities is None:
        found -= {"tf32", COMPILER}  # what these are is written down for declared types only
    return frozenset(found if count > 1 else found - {COUNTED})


def _asked(path: str, *arguments: Any) -> Any:
    """What the function at a dotted path says; None where there is none, or it has no answer."""
    found = resolve(path)
    try:
        return None if found is MISSING else found(*arguments)
    except Exception as error:  # a driver that is gone may raise anything
        UNANSWERED[path] = f"{path}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return None


def _private_backend() -> str:
    name = getattr(torch._C, "_get_privateuse1_backend_name", lambda: "")()
    return "" if name == "privateuseone" else str(name)
