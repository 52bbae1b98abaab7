"""Rewrites: a call changed into another one that has to leave the same values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from conformance.inputs.calls import Call, LiveCall
from conformance.inputs.tensors import Strided, strided


def laid_out_plainly(call: Call) -> Call:
    """The same call on a self that fills a memory of its own in row-major order."""
    return call.with_self(replace(call.self_, stride=None, offset=0, size=None, layout="contiguous"))


def materialized(call: Call) -> Call:
    """The same call with every smaller operand written out to self's shape, by NumPy."""
    shape = call.self_.shape
    args = tuple(_full(x, shape) for x in call.args)
    return replace(call, args=args, kwargs={key: _full(x, shape) for key, x in call.kwargs.items()})


def with_a_tensor_for_the_number(call: Call) -> Call:
    """The same call with a tensor of self's element type and shape in the place of its first argument, a number."""
    plan = call.self_
    number = complex(call.args[0]) if "complex" in plan.dtype else float(call.args[0])
    full = strided(plan.dtype, plan.shape, "contiguous", (number,), plan.device)
    return replace(call, args=(full, *call.args[1:]))


def operand_tensors(live: LiveCall) -> list[torch.Tensor]:
    """The tensors of a call other than self, in the order of ``Call.tensors``."""
    found = []
    for value in (*live.args, *live.kwargs.values()):
        found += [x for x in (value if isinstance(value, tuple) else (value,)) if isinstance(x, torch.Tensor)]
    return found


def _full(value: Any, shape: tuple[int, ...]) -> Any:
    if not isinstance(value, Strided) or value.shape == shape:
        return value
    data = tuple(np.broadcast_to(value.array, shape).ravel().tolist())
    return strided(value.dtype, shape, "contiguous", data or value.data, value.device)
