"""The fingerprint of a machine: timings compare within one. It tells no name of a host, of a user or of a folder."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from conformance.engine.targets import Target, processor


def fingerprint(targets: tuple[Target, ...]) -> dict[str, Any]:
    """What of this machine and of this Python changes how long calls take, and a digest of it.

    The release of torch is no part of it: two releases on one machine are what one wants to compare.
    """
    accelerators = sorted({target.model for target in targets if target.type != "cpu"})
    found: dict[str, Any] = {
        "processor": processor() or "unknown", "cores": cores(), "memory_gib": memory(), "system": platform.system(),
        "machine": platform.machine() or "unknown", "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "accelerator": ", ".join(accelerators) or None,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    return {"id": digest[:12], **found}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Memory in GiB, rounded: what a machine of one kind has differs by megabytes from boot to boot."""
    info = Path("/proc/meminfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemTotal:"):
                return round(int(line.split()[1]) / 2**20)
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return 0
