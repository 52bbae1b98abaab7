"""Mode model: which mode each grad mode makes of the one before, written out, and what a tensor shows of it.

Two switches: gradients, which no_grad, enable_grad and set_grad_enabled set, and inference, which inference_mode
sets. What inference_mode(False) does to gradients that are off is nowhere said: then that switch is None.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#grad-modes
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from conformance.oracles import expect


class ModeState(NamedTuple):
    """The two switches."""

    gradients: bool | None = True
    inference: bool = False

    @property
    def records(self) -> bool | None:
        """Whether an operation on a tensor that requires grad is recorded."""
        return False if self.inference else self.gradients


class Sight(NamedTuple):
    """What a tensor shows of the mode: of ``x * 2``, and what torch says when it is asked."""

    recorded: bool
    inference_result: bool
    grad_enabled: bool
    inference_enabled: bool


def look_with(x: torch.Tensor) -> Sight:
    """What the mode of this moment makes of ``x * 2``, for a leaf ``x`` that requires grad."""
    y = x * 2
    return Sight(y.requires_grad, y.is_inference(), torch.is_grad_enabled(), torch.is_inference_mode_enabled())


def mode_entered(mode: str, state: ModeState) -> ModeState:
    """The state within a mode, by the mode's spelling."""
    name, _, argument = mode.removeprefix("torch.").rstrip(")").partition("(")
    if name == "inference_mode":
        on = argument != "False"
        return ModeState(state.gradients if on or state.gradients else None, on)
    gradients = name == "enable_grad" or (name == "set_grad_enabled" and argument == "True")
    return ModeState(gradients, state.inference)


def mode_within(modes: tuple[str, ...], state: ModeState = ModeState()) -> ModeState:  # noqa: B008
    """The state within several modes, the last one innermost."""
    for mode in modes:
        state = mode_entered(mode, state)
    return state


def shows_mode(expected: ModeState, found: Sight, what: str) -> None:
    """Expect what a tensor shows to be that of a state, as far as the documentation says it."""
    expect.equal(expected.inference, found.inference_enabled, f"is_inference_mode_enabled() {what}")
    expect.equal(expected.inference, found.inference_result, f"is_inference() of x * 2 {what}")
    if expected.records is not None:
        expect.equal(expected.records, found.recorded, f"requires_grad of x * 2 {what}")
    if expected.gradients is not None and not expected.inference:
        expect.equal(expected.gradients, found.grad_enabled, f"is_grad_enabled() {what}")
