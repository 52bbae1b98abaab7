"""Breaks of the state of schedulers and of what loading it does, each for a rare condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from conformance.selftest.falsifiers.state_dict import AREA, Break
from conformance.selftest.falsifying import falsifies, patched

lr_scheduler = torch.optim.lr_scheduler
Base = torch.optim.lr_scheduler.StepLR.__mro__[1]


def stated(owner: Any, change: Callable[[Any, Any], Any]) -> Break:
    """What state_dict of a scheduler returns, as ``change(scheduler, state)`` gives it."""
    return patched(owner, "state_dict", lambda original: lambda self: change(self, original(self)))


@falsifies(f"{AREA}.scheduler-state-excludes-the-optimizer", subject="SequentialLR")
def the_last_of_several_keeps_the_optimizer() -> Break:
    """The last scheduler of a SequentialLR is saved with its optimizer."""

    def change(scheduler: Any, state: Any) -> Any:
        state["_schedulers"][-1]["optimizer"] = scheduler.optimizer
        return state

    return stated(lr_scheduler.SequentialLR, change)


@falsifies(f"{AREA}.scheduler-state-has-every-variable", subject="MultiStepLR")
def a_count_of_zero_is_not_saved() -> Break:
    """last_epoch is not saved before the first step."""

    def change(scheduler: Any, state: Any) -> Any:
        if state.get("last_epoch") == 0:
            del state["last_epoch"]
        return state

    return stated(Base, change)


@falsifies(f"{AREA}.scheduler-continues-as-if-never-stopped", subject="ReduceLROnPlateau")
def bad_epochs_are_forgotten_in_cooldown() -> Break:
    """ReduceLROnPlateau loads a cooldown as over."""

    def make(original: Any) -> Any:
        def load_state_dict(self: Any, state: Any) -> None:
            original(self, state)
            self.cooldown_counter = 0

        return load_state_dict

    return patched(lr_scheduler.ReduceLROnPlateau, "load_state_dict", make)


@falsifies(f"{AREA}.scheduler-continues-as-if-never-stopped", subject="LambdaLR")
def the_rates_that_it_was_made_with_stay() -> Break:
    """A scheduler of several groups goes on from the learning rates that it was made with."""

    def make(original: Any) -> Any:
        def load_state_dict(self: Any, state: Any) -> None:
            kept = list(self.base_lrs)
            original(self, state)
            if len(kept) > 1:
                self.base_lrs = kept

        return load_state_dict

    return patched(lr_scheduler.LambdaLR, "load_state_dict", make)


@falsifies(f"{AREA}.scheduler-load-leaves-the-dictionary", subject="SequentialLR")
def the_states_of_the_parts_are_taken_out() -> Break:
    """SequentialLR takes the states of its schedulers out of the dictionary."""

    def make(original: Any) -> Any:
        def load_state_dict(self: Any, state: Any) -> None:
            original(self, state)
            del state["_schedulers"]

        return load_state_dict

    return patched(lr_scheduler.SequentialLR, "load_state_dict", make)


@falsifies(f"{AREA}.callable-objects-are-saved-and-functions-are-not", subject="LambdaLR-object")
def the_second_function_is_not_saved() -> Break:
    """Of several functions that are objects only the first is saved, and of one none."""

    def change(scheduler: Any, state: Any) -> Any:
        state["lr_lambdas"][1:] = [None] * (len(state["lr_lambdas"]) - 1)
        if len(state["lr_lambdas"]) == 1:
            state["lr_lambdas"] = [None]
        return state

    return stated(lr_scheduler.LambdaLR, change)


@falsifies(f"{AREA}.wrapped-schedulers-are-saved", subject="ChainedScheduler")
def the_last_part_is_saved_as_the_first() -> Break:
    """The last scheduler of a chain is saved with the state of the first."""

    def change(scheduler: Any, state: Any) -> Any:
        state["_schedulers"][-1] = state["_schedulers"][0]
        return state

    return stated(lr_scheduler.ChainedScheduler, change)
