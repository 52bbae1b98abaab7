"""Modes: global switches of torch, set for the length of a ``with`` and put back whatever happens."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic() -> Iterator[None]:
    """Deterministic algorithms, with new memory filled (by the switch that loads no compiler)."""
    before = torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory
    try:
        torch.set_deterministic_debug_mode("error")
        torch.utils.deterministic.fill_uninitialized_memory = True
        yield
    finally:
        torch.set_deterministic_debug_mode(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = before[1]


@contextmanager
def recorded_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Every warning that is issued, the ones that torch gives only once included."""
    before = torch.is_warn_always_enabled()
    try:
        torch.set_warn_always(True)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            yield found
    finally:
        torch.set_warn_always(before)


@contextmanager
def silence() -> Iterator[None]:
    """No warning is shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
