"""Switches: what is switched in a process or thread, and holds for every cell that comes after.

A cell of a torch that leaves one of them otherwise would make the cells after it fail, with reproducers that show
nothing. So what a cell leaves is put back and told of that cell. Most switches have no public reading: each is taken
where the torch under test has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

DEEPEST = 1000  # what is left on a stack is taken off it, but no endless stack is


class Switch(NamedTuple):
    """One switch: what it is called, how it is read and how it is set."""

    name: str
    read: Callable[[], Any]
    put: Callable[[Any], Any]


def snapshot() -> tuple[Any, ...]:
    """The state of every switch."""
    return tuple([read() for read in READINGS])


def put_back(before: tuple[Any, ...]) -> list[str]:
    """Set every switch as it was; a line for each that was otherwise."""
    found = snapshot()
    if found == before:
        return []
    left = []
    for switch, was, now in zip(SWITCHES, before, found, strict=True):
        if was == now:
            continue
        try:
            if switch.read() != was:  # setting another one may have done it
                switch.put(was)
            done = switch.read() == was
        except Exception:
            done = False
        left.append(f"{switch.name}: {_said(now)}, before {_said(was)}{'' if done else ' (could not be put back)'}")
    return left


def _said(state: Any) -> str:
    text = ", ".join(map(str, state)) if isinstance(state, tuple) else str(state)
    return re.sub(r" at 0x[0-9a-f]+", "", text)  # two runs tell the same


def _find(path: str) -> Any:
    found: Any = torch
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _switch(name: str, read: str, put: Any) -> list[Switch]:
    """A switch with a reading of its own and a setter, where both are there."""
    reading, setting = _find(read), _find(put) if isinstance(put, str) else put
    return [Switch(name, reading, setting)] if callable(reading) and callable(setting) else []


def _autocast(device: str) -> list[Switch]:
    try:
        torch.is_autocast_enabled(device)
    except TypeError:  # before 2.4
        names = {"cpu": ("is_autocast_cpu_enabled", "set_autocast_cpu_enabled")}
        return _switch(f"autocast on {device}", *names.get(device, ("is_autocast_enabled", "set_autocast_enabled")))
    except RuntimeError:
        return []
    return [
        Switch(
            f"autocast on {device}",
            lambda: torch.is_autocast_enabled(device),
            lambda mode: torch.set_autocast_enabled(device, mode),
        )
    ]


# Guards that switch inference mode off hold as long as they live.
_GUARDS: list[Any] = []


def _leave_inference(mode: bool) -> None:
    guard = torch.inference_mode(mode)
    guard.__enter__()
    _GUARDS.append(guard)


def _emptier(length: str, pop: str) -> Callable[[int], None]:
    """Takes off a stack what is on it beyond its former length."""

    def empty(before: int) -> None:
        for _ in range(DEEPEST):
            if _find(length)() <= before:
                return
            _find(pop)()

    return empty


def _top_hooks() -> Any:
    try:
        return torch._C._autograd._top_saved_tensors_default_hooks(True)
    except TypeError:  # takes no argument on some releases
        return torch._C._autograd._top_saved_tensors_default_hooks()


def _pop_hooks(before: Any) -> None:
    for _ in range(DEEPEST):
        if _top_hooks() in (before, None):
            return
        torch._C._autograd._pop_saved_tensors_default_hooks()


def _disabled_hooks() -> list[Switch]:
    read = _find("_C._autograd._saved_tensors_hooks_get_disabled_error_message")

    def put(message: str | None) -> None:
        if message is None:
            torch._C._autograd._saved_tensors_hooks_enable()
        else:
            torch._C._autograd._saved_tensors_hooks_disable(message)

    return [Switch("saved-tensor hooks disabled with the message", read, put)] if callable(read) else []


def _default_device() -> Any:
    return getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None)


def _set_deterministic(state: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(state[0], warn_only=state[1])


SWITCHES: tuple[Switch, ...] = (
    *_switch("inference mode", "is_inference_mode_enabled", _leave_inference),
    *([Switch("default device", _default_device, lambda mode: torch.set_default_device(mode and mode.device))]
      if hasattr(torch, "set_default_device") else []),
    *_switch("number of dispatch modes", "_C._len_torch_dispatch_stack",
             _emptier("_C._len_torch_dispatch_stack", "utils._python_dispatch._pop_mode")),
    *_switch("number of function modes", "_C._len_torch_function_stack",
             _emptier("_C._len_torch_function_stack", "_C._pop_torch_function_stack")),
    *_switch("overrides of functions", "_C._get_torch_function_state", "_C._set_torch_function_state"),
    *([Switch("default hooks of saved tensors", _top_hooks, _pop_hooks)]
      if callable(_find("_C._autograd._top_saved_tensors_default_hooks")) else []),
    *_disabled_hooks(),
    *_switch("grad mode", "_C._is_grad_enabled" if callable(_find("_C._is_grad_enabled")) else "is_grad_enabled",
             "_C._set_grad_enabled"),
    *_switch("forward grad mode", "_C._is_fwd_grad_enabled", "_C._set_fwd_grad_enabled"),
    *_switch("multithreading of backward", "_C._is_multithreading_enabled", "_C._set_multithreading_enabled"),
    *_switch("layout of gradients", "_C._is_grad_layout_enforcement_enabled",
             "_C._set_grad_layout_enforcement_enabled"),
    *_switch("view replay", "_C._is_view_replay_enabled", "_C._set_view_replay_enabled"),
    Switch("anomaly detection, check of NaN",
           lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
           lambda state: torch.set_anomaly_enabled(*state)),
    *_autocast("cpu"),
    *_autocast("cuda"),
    *_switch("cache of autocast", "is_autocast_cache_enabled", "set_autocast_cache_enabled"),
    *_switch("default element type", "get_default_dtype", "set_default_dtype"),
    Switch("deterministic algorithms, warnings only",
           lambda: (torch.are_deterministic_algorithms_enabled(),
                    torch.is_deterministic_algorithms_warn_only_enabled()), _set_deterministic),
    *_switch("precision of matrix products", "_C._get_float32_matmul_precision", "set_float32_matmul_precision"),
    *_switch("number of threads", "get_num_threads", "set_num_threads"),
)  # fmt: skip
READINGS = tuple(switch.read for switch in SWITCHES)
