"""Targets: the devices of this machine that a build of torch can use.

Reference: https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch-device
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Target:
    """A device under test: its name (``cpu``, ``cuda:0``), its type, its model and its driver."""

    name: str
    device: str
    type: str
    model: str
    driver: str | None = None

    def record(self) -> dict[str, Any]:
        """This target as the run record has it."""
        return {"name": self.name, "type": self.type, "device": self.model, "driver": self.driver}


@lru_cache(maxsize=1)
def available() -> tuple[Target, ...]:
    """Every device that this torch can use here, the CPU first."""
    found = [Target("cpu", "cpu", "cpu", processor())]
    if torch.cuda.is_available():
        driver = f"hip {torch.version.hip}" if torch.version.hip else f"cuda {torch.version.cuda}"
        for index in range(torch.cuda.device_count()):
            found.append(Target(f"cuda:{index}", f"cuda:{index}", "cuda", torch.cuda.get_device_name(index), driver))
    mps = getattr(torch.backends, "mps", None)
    if mps is not None and mps.is_available():
        found.append(Target("mps", "mps", "mps", "Metal Performance Shaders"))
    for kind in ("xpu", _private_backend()):
        module = getattr(torch, kind, None) if kind else None
        if module is not None and _works(module):
            found += [Target(f"{kind}:{i}", f"{kind}:{i}", kind, kind) for i in range(module.device_count())]
    return tuple(found)


def choose(names: list[str]) -> tuple[Target, ...]:
    """The targets named, in order, each once; raises ValueError saying which there are."""
    targets = {target.name: target for target in available()}
    chosen: dict[str, Target] = {}
    for name in names or list(targets):
        target = targets.get(name) or targets.get(f"{name}:0")
        if target is None:
            raise ValueError(f"expected one of {', '.join(targets)} (what this torch can use here); found {name!r}")
        chosen[target.name] = target
    return tuple(chosen.values())


def processor() -> str:
    """Model name of the CPU, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _private_backend() -> str:
    name = getattr(torch._C, "_get_privateuse1_backend_name", lambda: "")()
    return "" if name == "privateuseone" else str(name)


def _works(module: Any) -> bool:
    try:
        return bool(module.is_available())
    except (AttributeError, RuntimeError):
        return False
