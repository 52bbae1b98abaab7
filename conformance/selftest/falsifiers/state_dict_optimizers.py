"""Breaks of the state of optimizers and of what loading it does, each for a rare condition."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from conformance.selftest.falsifiers.state_dict import AREA, Break
from conformance.selftest.falsifying import falsifies, patched

Optimizer = torch.optim.Optimizer


def stated(change: Callable[[Any, Any], Any]) -> Break:
    """What state_dict of an optimizer returns, as ``change(optimizer, state)`` gives it."""
    return patched(Optimizer, "state_dict", lambda original: lambda self: change(self, {**original(self)}))


def taken(change: Callable[[Any, Any], Any]) -> Break:
    """load_state_dict of an optimizer of ``change(optimizer, state)`` in place of the dictionary."""
    return patched(
        Optimizer, "load_state_dict", lambda original: lambda self, state: original(self, change(self, state))
    )


def after(change: Callable[[Any, Any], Any]) -> Break:
    """load_state_dict of an optimizer, after which ``change(optimizer, state)`` is done."""

    def make(original: Any) -> Any:
        def load_state_dict(self: Any, state: Any) -> None:
            original(self, state)
            change(self, state)

        return load_state_dict

    return patched(Optimizer, "load_state_dict", make)


@falsifies(f"{AREA}.optimizer-state-has-two-entries", subject="Adam")
def ids_begin_anew_in_the_third_group() -> Break:
    """The ids of a third group are those of the first."""

    def change(optimizer: Any, state: Any) -> Any:
        groups = state["param_groups"]
        if len(groups) > 2:
            groups[2]["params"] = groups[0]["params"][: len(groups[2]["params"])]
        return state

    return stated(change)


@falsifies(f"{AREA}.optimizer-state-holds-no-parameter", subject="SGD")
def the_last_parameter_is_saved_beside() -> Break:
    """The state of the last of several groups holds an alias of its parameter."""

    def change(optimizer: Any, state: Any) -> Any:
        groups = optimizer.param_groups
        if len(groups) > 1:
            state["param_groups"][-1]["held"] = groups[-1]["params"][-1].detach()
        return state

    return stated(change)


@falsifies(f"{AREA}.optimizer-state-is-that-of-each-parameter", subject="SGD-momentum")
def momentum_of_the_second_group_is_lost() -> Break:
    """The momentum buffers of the second group are not saved."""

    def change(optimizer: Any, state: Any) -> Any:
        groups = state["param_groups"]
        gone = groups[1]["params"] if len(groups) > 1 else []
        return {**state, "state": {key: x for key, x in state["state"].items() if key not in gone}}

    return stated(change)


@falsifies(f"{AREA}.optimizer-state-has-the-options", subject="Adam-amsgrad")
def amsgrad_of_the_last_group_is_not_saved() -> Break:
    """The last of several groups is saved without amsgrad."""

    def change(optimizer: Any, state: Any) -> Any:
        if len(state["param_groups"]) > 1:
            del state["param_groups"][-1]["amsgrad"]
        return state

    return stated(change)


@falsifies(f"{AREA}.optimizer-continues-as-if-never-stopped", subject="Adam")
@falsifies(f"{AREA}.optimizer-continues-as-if-never-stopped", subject="RAdam-foreach")
def the_step_of_a_scalar_begins_anew() -> Break:
    """The count of steps of a 0-d parameter is loaded as zero."""

    def change(optimizer: Any, state: Any) -> None:
        for parameter, held in optimizer.state.items():
            if not parameter.dim():
                held["step"] = held["step"] * 0 + 1

    return after(change)


@falsifies(f"{AREA}.optimizer-of-float32-continues", subject="NAdam-foreach")
def the_product_of_momenta_begins_anew() -> Break:
    """The product of momenta of the second group is loaded as one."""

    def change(optimizer: Any, state: Any) -> None:
        for group in optimizer.param_groups[1:2]:
            for parameter in group["params"]:
                held = optimizer.state.get(parameter, {})
                if "mu_product" in held:
                    held["mu_product"] = torch.ones_like(held["mu_product"])

    return after(change)


@falsifies(f"{AREA}.loaded-optimizer-has-the-state", subject="Rprop")
def the_step_size_of_the_second_group_is_rounded() -> Break:
    """The step sizes of the second group are loaded by way of half."""

    def change(optimizer: Any, state: Any) -> None:
        for group in optimizer.param_groups[1:2]:
            for parameter in group["params"]:
                held = optimizer.state.get(parameter, {})
                if "step_size" in held:
                    held["step_size"] = held["step_size"].half().to(parameter.dtype)

    return after(change)


@falsifies(f"{AREA}.optimizer-ids-are-only-ids", subject="Adagrad")
def ids_are_taken_for_places() -> Break:
    """Where ids fall, they are sorted before they are matched."""

    def change(optimizer: Any, state: Any) -> Any:
        groups = [{**group, "params": sorted(group["params"])} for group in state["param_groups"]]
        return {**state, "param_groups": groups}

    return taken(change)


@falsifies(f"{AREA}.other-groups-are-refused", subject="Adamax")
def a_longer_last_group_is_cut() -> Break:
    """Parameters too many in the last of several groups are passed over."""

    def change(optimizer: Any, state: Any) -> Any:
        groups = [dict(group) for group in state["param_groups"]]
        if len(groups) == len(optimizer.param_groups) > 1:
            groups[-1]["params"] = groups[-1]["params"][: len(optimizer.param_groups[-1]["params"])]
        return {**state, "param_groups": groups}

    return taken(change)


@falsifies(f"{AREA}.loaded-optimizer-shares-no-state", subject="Adam")
def state_is_taken_by_reference() -> Break:
    """Loaded state is the very state of the dictionary."""

    def change(optimizer: Any, state: Any) -> None:
        places = [p for group in optimizer.param_groups for p in group["params"]]
        ids = [n for group in state["param_groups"] for n in group["params"]]
        for number, parameter in zip(ids, places, strict=True):
            if number in state["state"]:
                optimizer.state[parameter] = state["state"][number]

    return after(change)


@falsifies(f"{AREA}.optimizer-load-leaves-the-dictionary", subject="NAdam")
def the_dictionary_gets_a_new_rate() -> Break:
    """The last group of the dictionary takes over the learning rate of the optimizer."""

    def change(optimizer: Any, state: Any) -> Any:
        found = copy.deepcopy(state)
        if len(state["param_groups"]) > 1:
            state["param_groups"][-1]["lr"] = optimizer.param_groups[-1]["lr"]
        return found

    return taken(change)


@falsifies(f"{AREA}.optimizer-load-keeps-the-parameters", subject="SGD")
def the_gradient_of_the_last_group_is_dropped() -> Break:
    """Parameters of the last of several groups lose their gradients by a load."""

    def change(optimizer: Any, state: Any) -> None:
        for group in optimizer.param_groups[1:][-1:]:
            for parameter in group["params"]:
                parameter.grad = None

    return after(change)


@falsifies(f"{AREA}.optimizer-load-takes-the-options", subject="AdamW")
def the_rate_of_the_last_group_is_kept() -> Break:
    """The last of several groups keeps the learning rate that it was made with."""

    def change(optimizer: Any, state: Any) -> Any:
        found = copy.deepcopy(state)
        if len(found["param_groups"]) > 1:
            found["param_groups"][-1]["lr"] = optimizer.param_groups[-1]["lr"]
        return found

    return taken(change)


@falsifies(f"{AREA}.optimizer-load-takes-the-options", subject="SGD-momentum")
def an_entry_that_the_optimizer_does_not_know_is_dropped() -> Break:
    """What is no option of the optimizer's own is not loaded into its groups."""

    def change(optimizer: Any, state: Any) -> None:
        known = {*optimizer.defaults, "params", "param_names", "initial_lr"}
        for group in optimizer.param_groups:
            for name in set(group) - known:
                del group[name]

    return after(change)


@falsifies(f"{AREA}.group-is-added-behind-the-others", subject="Adam")
def a_group_without_a_rate_takes_that_of_the_first() -> Break:
    """A group that is added without a learning rate has that of the first group, whatever the default is."""

    def make(original: Any) -> Any:
        def add_param_group(self: Any, group: Any) -> None:
            known = getattr(self, "param_groups", None)
            original(self, {"lr": known[0]["lr"], **group} if known else group)

        return add_param_group

    return patched(Optimizer, "add_param_group", make)


@falsifies(f"{AREA}.group-is-added-behind-the-others", subject="RMSprop-centered")
def a_fourth_group_forgets_the_state_of_the_first() -> Break:
    """A group that is added behind three drops the state of the first parameter."""

    def make(original: Any) -> Any:
        def add_param_group(self: Any, group: Any) -> None:
            original(self, group)
            if len(self.param_groups) > 3:
                self.state.pop(self.param_groups[0]["params"][0], None)

        return add_param_group

    return patched(Optimizer, "add_param_group", make)


# --- names and hooks --------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.parameter-names-are-saved")
def names_of_the_second_group_are_not_saved() -> Break:
    """The names of the second group are not saved."""

    def change(optimizer: Any, state: Any) -> Any:
        for group in state["param_groups"][1:2]:
            group.pop("param_names", None)
        return state

    return stated(change)


@falsifies(f"{AREA}.parameter-names-do-not-affect-loading")
def parameters_are_matched_by_their_names() -> Break:
    """Where the names of a group descend, its state is matched in their order."""

    def change(optimizer: Any, state: Any) -> Any:
        groups = []
        for group in state["param_groups"]:
            names = group.get("param_names", [])
            order = [n for _, n in sorted(zip(names, group["params"], strict=True))] if names else group["params"]
            groups.append({**group, "params": order})
        return {**state, "param_groups": groups}

    return taken(change)


@falsifies(f"{AREA}.loaded-parameter-names-override")
def names_are_not_loaded_into_what_has_none() -> Break:
    """Names of a state are dropped by an optimizer without names of its own."""

    def make(original: Any) -> Any:
        def load_state_dict(self: Any, state: Any) -> None:
            had = ["param_names" in group for group in self.param_groups]
            original(self, state)
            for group, names in zip(self.param_groups, had, strict=True):
                if not names:
                    group.pop("param_names", None)

        return load_state_dict

    return patched(Optimizer, "load_state_dict", make)


def without_prepend(name: str) -> Break:
    """A registration of hooks that takes no notice of prepend."""
    return patched(Optimizer, name, lambda original: lambda self, hook, prepend=False: original(self, hook))


@falsifies(f"{AREA}.optimizer-state-hooks-run-around")
def a_post_hook_is_never_prepended() -> Break:
    """prepend is not heeded by state_dict post-hooks."""
    return without_prepend("register_state_dict_post_hook")


@falsifies(f"{AREA}.optimizer-load-hooks-run-around")
def a_load_pre_hook_is_never_prepended() -> Break:
    """prepend is not heeded by load_state_dict pre-hooks."""
    return without_prepend("register_load_state_dict_pre_hook")


@falsifies(f"{AREA}.optimizer-state-hook-replaces-the-state")
def what_a_second_hook_returns_is_merged() -> Break:
    """What a second state_dict post-hook returns is copied."""

    def make(original: Any) -> Any:
        def register(self: Any, hook: Any, prepend: bool = False) -> Any:
            second = len(self._optimizer_state_dict_post_hooks) == 1

            def called(optimizer: Any, state: Any) -> Any:
                found = hook(optimizer, state)
                return {**found} if second and found is not None else found

            return original(self, called, prepend)

        return register

    return patched(Optimizer, "register_state_dict_post_hook", make)


@falsifies(f"{AREA}.optimizer-load-pre-hook-changes-what-is-loaded")
def what_a_pre_hook_returns_is_lost() -> Break:
    """What a load_state_dict pre-hook returns is lost where there are several groups."""

    def make(original: Any) -> Any:
        def register(self: Any, hook: Any, prepend: bool = False) -> Any:
            def called(optimizer: Any, state: Any) -> Any:
                found = hook(optimizer, state)
                return None if len(state["param_groups"]) > 1 else found

            return original(self, called, prepend)

        return register

    return patched(Optimizer, "register_load_state_dict_pre_hook", make)
