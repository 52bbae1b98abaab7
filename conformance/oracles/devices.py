"""Devices: another default device, for the time being.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.set_default_device.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def other_default_device() -> Iterator[torch.device]:
    """The default device is ``meta``, which every build has and no input of a check lies on."""
    with torch.device("meta") as device:
        yield device
