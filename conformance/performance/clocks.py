"""Clocks: what tells the seconds between two moments on a target.

On the CPU it is the system's. An accelerator works behind the back of the host, so that only events on its own queue
tell when work began and ended: they are those of the module of its type (``torch.cuda.Event``, ``torch.npu.Event``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch

from conformance.engine.targets import Target

Clock = Callable[[], float]


class Untimed(Exception):
    """Something that cannot be timed here; the message says why."""


class EventClock:
    """Seconds by events on the queue of one device.

    An event counts milliseconds in single precision, which after minutes is no more exact than microseconds: so time
    is added up from reading to reading.
    """

    def __init__(self, module: Any, device: str) -> None:
        self.module, self.device = module, device
        self.total = 0.0
        self.last = self._event()

    def __call__(self) -> float:
        """Seconds since this clock was made, once all that was asked of the device is done."""
        event = self._event()
        self.total += self.last.elapsed_time(event) / 1000
        self.last = event
        return self.total

    def _event(self) -> Any:
        with self._on_device():
            event = self.module.Event(enable_timing=True)
            event.record()
            self.module.synchronize()
        return event

    def _on_device(self) -> AbstractContextManager[Any]:
        """The queue of this device, and not of the one that happens to be the current one."""
        guard = getattr(self.module, "device", None) if ":" in self.device else None
        found: AbstractContextManager[Any] = guard(self.device) if callable(guard) else nullcontext()
        return found


def clock_of(target: Target) -> Clock:
    """The clock of a target; raises Untimed where it has none."""
    return time.perf_counter if target.type == "cpu" else _event_clock(target.type, target.device)


@cache
def _event_clock(kind: str, device: str) -> Clock:
    module = getattr(torch, kind, None)
    missing = [name for name in ("Event", "synchronize") if not hasattr(module, name)]
    if missing:
        raise Untimed(f"torch.{kind} has no {missing[0]}, and the clock of the host tells nothing of its work")
    return EventClock(module, device)
