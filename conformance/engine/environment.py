"""The environment of a run: which torch, on what, with what."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import hypothesis
import numpy
import pytest
import torch

import conformance
from conformance.engine.targets import Target, processor


def environment(targets: tuple[Target, ...]) -> dict[str, Any]:
    """What the run record says of the build and the machine."""
    return {
        "torch": {
            "version": torch.__version__,
            "git": torch.version.git_version,
            "debug": torch.version.debug,
            "cuda": torch.version.cuda,
            "hip": getattr(torch.version, "hip", None),
            "config": torch.__config__.show(),
        },
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "hypothesis": hypothesis.__version__,
        "pytest": pytest.__version__,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "targets": [target.record() for target in targets],
    }


def suite() -> dict[str, Any]:
    """Which suite this is: its name, version and commit."""
    return {"name": "torch-conformance", "version": conformance.__version__, "commit": _commit()}


def _commit() -> str | None:
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
