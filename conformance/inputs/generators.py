"""Generators: the random numbers of the CPU and of the device under test, whatever its type.

Reference: https://docs.pytorch.org/docs/stable/random.html
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def generators_put_back(device: str) -> Iterator[None]:
    """What is drawn inside leaves the generators of CPU and device as they were."""
    kind = torch.device(device).type
    if kind in ("cpu", "meta"):
        with torch.random.fork_rng(devices=[]):
            yield
        return
    # early releases know one type of accelerator, and no name for it here
    takes_type = "device_type" in inspect.signature(torch.random.fork_rng).parameters
    with torch.random.fork_rng(devices=[device], **({"device_type": kind} if takes_type else {})):
        yield


def generator_state_of(device: str) -> torch.Tensor:
    """The state of the device's generator."""
    kind = torch.device(device).type
    return torch.get_rng_state() if kind == "cpu" else getattr(torch, kind).get_rng_state(device)
