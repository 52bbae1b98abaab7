"""Showing: whether the program that a failure shows takes part in what failed."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conformance.engine import switches

BREAKS = str(Path(__file__).with_name("falsifiers"))


def meets_the_break(program: str, breaks: str = BREAKS) -> bool:
    """Whether any function of a falsifier is called while the program runs, however that ends."""
    met: list[str] = []

    def called(frame: types.FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(breaks):
            met.append(frame.f_code.co_name)

    module = types.ModuleType("shown")
    vars(module).update(torch=torch, np=np)
    sys.modules["shown"] = module
    before = switches.snapshot()
    threading.setprofile(called)
    sys.setprofile(called)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()),
            contextlib.suppress(Exception, KeyboardInterrupt), warnings.catch_warnings(),
            torch.random.fork_rng(devices=[]),
        ):  # fmt: skip
            exec(compile(program, "shown.py", "exec"), vars(module))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        switches.put_back(before)
        del sys.modules["shown"]
    return bool(met)
