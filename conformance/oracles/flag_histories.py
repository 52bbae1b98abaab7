"""Flag histories: what torch says of a few tensors after each thing done to them, against the flag model.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad
"""

from __future__ import annotations

from typing import Any

import torch

from conformance.inputs.histories import History, compiled_line
from conformance.oracles import expect
from conformance.oracles.flag_model import Flags
from conformance.oracles.modes import silence


def follows_the_model(case: History) -> None:
    """Expect every tensor's flags to be the model's after each action of a history."""
    modes: list[Any] = []
    names: dict[str, Any] = {"torch": torch, "modes": modes}
    names["t"] = tensors = eval(case.start, names)
    done: list[str] = []
    with silence():  # .grad of a non-leaf warns
        try:
            for line, model in case.steps():
                exec(compiled_line(line), names)
                done.append(line)
                for number, (wanted, tensor) in enumerate(zip(model.tensors, tensors, strict=True)):
                    expect.equal(wanted.flags, flags_of(tensor), f"flags of t[{number}] after {'; '.join(done)}")
        finally:
            while modes:
                modes.pop().__exit__(None, None, None)


def flags_of(tensor: torch.Tensor) -> Flags:
    """What torch says of a tensor."""
    return Flags(
        tensor.is_leaf, tensor.requires_grad, tensor.grad_fn is not None, tensor.grad is not None, tensor.retains_grad
    )
