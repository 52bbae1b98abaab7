"""Answers: what a program for a device leaves, held against what its table says.

Reference: https://docs.pytorch.org/docs/stable/notes/cuda.html
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from conformance.inputs.device_memory import Transfer
from conformance.inputs.device_programs import RAISED, DeviceProgram
from conformance.oracles import expect


def program_answers(case: DeviceProgram) -> None:
    """Expect each expression to have its value after the program."""
    with case.surroundings():
        names = case.run()
        for expression, value in case.answers:
            if value == RAISED:
                expect.raises((RuntimeError, ValueError), partial(program_value, expression, names), expression)
            else:
                expect.equal(value, program_value(expression, names), expression)


def program_value(expression: str, names: dict[str, Any]) -> Any:
    """What an expression, or a call, is."""
    return eval(expression, names)


def strides_are_kept(case: Transfer, source: torch.Tensor, found: torch.Tensor) -> None:
    """Expect the strides of the source where its elements lie dense, as torch.preserve_format has it."""
    if case.plan.layout in ("contiguous", "transposed", "offset", "channels_last"):
        expect.equal(tuple(source.stride()), tuple(found.stride()), "strides there")
