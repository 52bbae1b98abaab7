"""Module hooks: a module that computes little, hooks that do one thing each, and calls of it.

The module gives ``x * factor + y``; its hooks log what they see and may change arguments, keyword arguments or output.
Reference: https://docs.pytorch.org/docs/stable/notes/modules.html#module-hooks
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.engine.versions import out_of_range
from conformance.inputs.module_listings import hooked_module

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


class HookTrouble(Exception):
    """What a hook, or the module, raises on purpose."""


def affine(self: Any, x: Any, y: Any = 0, *, factor: Any = 2) -> Any:
    """x * factor + y, where x may be given in a list of one."""
    if self.faulty:
        raise HookTrouble("forward")
    x = x[0] if isinstance(x, list) else x
    return x * factor + y


class Affine(torch.nn.Module):  # type: ignore[misc]
    """x * factor + y; raises where it is ``faulty``. (An assigned forward is kept in reproducers.)"""

    forward = affine

    def __init__(self, faulty: bool = False) -> None:
        super().__init__()
        self.faulty = faulty


@dataclass(frozen=True)
class ModuleHook:
    """One hook. ``does``: look (return None), single, list, tuple, kwargs (with changed ones), output, pair, raise.

    ``removed`` is the number of the call before which it is removed; before each later one its handle is told so again.
    """

    kind: str  # pre, post
    does: str = "look"
    everywhere: bool = False  # registered for all modules
    prepend: bool = False
    with_kwargs: bool = False
    always: bool = False
    removed: int | None = None

    def options(self) -> dict[str, Any]:
        """The keyword arguments of its registration that are not the default."""
        asked = {"prepend": self.prepend, "with_kwargs": self.with_kwargs, "always_call": self.always}
        return {name: True for name, value in asked.items() if value}

    def registrar(self) -> str:
        """The name of the method or function that registers it."""
        kind = {"pre": "forward_pre", "post": "forward"}[self.kind]
        return f"torch.nn.modules.module.register_module_{kind}_hook" if self.everywhere else f"m.register_{kind}_hook"


@dataclass(frozen=True)
class HookCall:
    """One call of a hook: its number, the positional arguments, keyword arguments and output that it saw."""

    number: int
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...] | None = None
    output: Any = None


@dataclass
class HookLog:
    """What came of the calls of a hooked module: for each the hooks' calls, and the result or exception."""

    calls: list[list[HookCall]]
    results: list[Any]


@dataclass(frozen=True)
class HookedModule:
    """A module with hooks, called ``len(calls)`` times; each call is its arguments and its keyword arguments."""

    hooks: tuple[ModuleHook, ...]
    calls: tuple[tuple[tuple[float, ...], tuple[tuple[str, float], ...]], ...] = (((3.0,), ()),)
    faulty: bool = False
    device: str = "cpu"

    def run(self) -> HookLog:
        """Register the hooks, call the module, and take all hooks away."""
        module, log = Affine(self.faulty), HookLog([], [])
        handles: list[Any] = []
        try:
            for number, hook in enumerate(self.hooks):
                register = getattr(
                    torch.nn.modules.module if hook.everywhere else module, hook.registrar().rpartition(".")[2]
                )
                handles.append(register(ActingHook(number, hook, module, log), **hook.options()))
            for turn, (args, kwargs) in enumerate(self.calls):
                for hook, handle in zip(self.hooks, handles, strict=True):
                    if hook.removed is not None and hook.removed <= turn:
                        handle.remove()
                log.calls.append([])
                try:
                    found = module(*map(self.tensor, args), **{name: self.tensor(x) for name, x in kwargs})
                    log.results.append(plain_number(found))
                except HookTrouble as error:
                    log.results.append(str(error))
        finally:
            for handle in handles:
                handle.remove()
        return log

    def tensor(self, number: float) -> torch.Tensor:
        """A number as a tensor."""
        return torch.tensor([number], dtype=torch.float64, device=self.device)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"hooks": [f"{hook.kind} {hook.does}" for hook in self.hooks], "calls": str(len(self.calls))}

    def reductions(self) -> Iterator[HookedModule]:
        """Fewer hooks, fewer calls."""
        for number in range(len(self.hooks)):
            yield replace(self, hooks=self.hooks[:number] + self.hooks[number + 1 :])
        if len(self.calls) > 1:
            yield replace(self, calls=self.calls[1:])

    def code(self) -> str:
        """The same in plain torch."""
        return hooked_module(self)


class ActingHook:
    """A hook that logs what it sees and does what it is told."""

    def __init__(self, number: int, hook: ModuleHook, module: torch.nn.Module, log: HookLog) -> None:
        self.number, self.hook, self.module, self.log = number, hook, module, log

    def __call__(self, module: torch.nn.Module, args: Any, *rest: Any) -> Any:
        """What torch calls: (module, args[, kwargs][, output])."""
        hook, rest_left = self.hook, list(rest)
        kwargs = rest_left.pop(0) if hook.with_kwargs else None
        output: Any = rest_left.pop(0) if hook.kind == "post" else None
        seen = tuple(map(plain_number, args)) if isinstance(args, tuple) else ("no tuple", str(args))
        said = None if kwargs is None else tuple(sorted((name, plain_number(x)) for name, x in kwargs.items()))
        number = self.number if module is self.module and not rest_left else -1
        self.log.calls[-1].append(HookCall(number, seen, said, plain_number(output)))
        step = self.number + 1
        if hook.does == "raise":
            raise HookTrouble(f"hook {self.number}")
        if hook.does == "single":
            return args[0] + step
        if hook.does == "list":
            return [args[0] + step]
        if hook.does == "tuple":
            return tuple(x + step for x in args)
        if hook.does == "kwargs":
            changed = {name: x + step for name, x in kwargs.items()} if kwargs else {"factor": args[0] * 0 + step}
            return tuple(x + step for x in args), changed
        if hook.does == "pair":
            return output * 10 + step, output
        return output * 10 + step if hook.does == "output" else None


def plain_number(value: Any) -> Any:
    """A tensor of one element as a number, in a list or a tuple too."""
    if type(value) in (list, tuple):
        return type(value)(map(plain_number, value))
    return value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value


# --- sources ----------------------------------------------------------------------------------------------------

TAKES_ALWAYS = out_of_range(torch.__version__, "2.1", None) is None  # whether always_call is an argument
ONE_CALL: tuple[Any, ...] = (((3.0,), ()),)
SEVERAL_CALLS: tuple[Any, ...] = (
    ((3.0,), ()), ((2.0, 5.0), ()), ((4.0,), (("factor", 3.0),)), ((1.0,), (("factor", 2.0), ("y", 7.0))),
    ((2.0, 6.0), (("factor", 5.0),)),
)  # fmt: skip


def hooked(hooks: Any, cell: Cell, calls: Any = SEVERAL_CALLS) -> Inputs:
    """A case for each list of hooks."""
    return Inputs([HookedModule(tuple(one), calls, device=cell.target.device) for one in hooks])


def plain_pre_hooks(cell: Cell) -> Inputs:
    """One to three pre-hooks that look, return a value, which may be a list, or a tuple."""
    kinds = [ModuleHook("pre", does) for does in ("look", "single", "tuple")]
    plain = [hooks for count in (1, 2, 3) for hooks in product(kinds, repeat=count)]
    return hooked([*plain, *((*hooks, ModuleHook("pre", "list"), kinds[0]) for hooks in plain[:3])], cell)


def plain_post_hooks(cell: Cell) -> Inputs:
    """One to three forward hooks, one pre-hook among them, of which the last may return a tuple."""
    kinds = [ModuleHook("post", "look"), ModuleHook("post", "output"), ModuleHook("pre", "single")]
    plain = [hooks for count in (1, 2, 3) for hooks in product(kinds, repeat=count)]
    return hooked([*plain, *((*hooks, ModuleHook("post", "pair"), kinds[0]) for hooks in plain[:3])], cell)


def ordered_hooks(cell: Cell) -> Inputs:
    """Up to four hooks of both kinds, all changing what they see."""
    kinds = [ModuleHook("pre", "tuple"), ModuleHook("post", "output"), ModuleHook("post", "look")]
    return hooked(product(kinds, repeat=4), cell, SEVERAL_CALLS[1:2])


def prepended_hooks(cell: Cell) -> Inputs:
    """Up to four hooks of which some are prepended."""
    found: list[list[ModuleHook]] = []
    for flags in product((False, True), repeat=4):
        for kinds in (("pre",) * 4, ("post",) * 4, ("pre", "post", "post", "pre")):
            does = {"pre": ("tuple", "kwargs"), "post": ("output", "output")}
            told = [(n + len(found)) % 3 == 0 for n in range(4)]  # which of them get keyword arguments
            always = [TAKES_ALWAYS and kind == "post" and n % 2 == 1 for n, kind in enumerate(kinds)]
            rows = zip(kinds, flags, told, always, strict=True)
            found.append([ModuleHook(kind, does[kind][more], prepend=x, with_kwargs=more, always=y)
                          for kind, x, more, y in rows])  # fmt: skip
    return hooked(found, cell, SEVERAL_CALLS[1:2])


def global_hooks(cell: Cell) -> Inputs:
    """Global hooks before and after the module's own."""
    found = []
    for flags in product((False, True), repeat=4):
        for kinds in (("pre",) * 4, ("post",) * 4, ("post", "pre", "pre", "post")):
            for turned in (0, 1):
                does = {"pre": ("tuple", "single")[turned], "post": "output"}
                pairs = zip(kinds, flags, strict=True)
                found.append([ModuleHook(kind, does[kind], everywhere=flag) for kind, flag in pairs])
    return hooked(found, cell, (SEVERAL_CALLS[0], SEVERAL_CALLS[4]))


def kwargs_hooks(cell: Cell) -> Inputs:
    """Up to three hooks, some of which take keyword arguments and change them."""
    kinds = [
        ModuleHook("pre", "look", with_kwargs=True), ModuleHook("pre", "kwargs", with_kwargs=True),
        ModuleHook("pre", "single"), ModuleHook("post", "output", with_kwargs=True), ModuleHook("post", "look"),
    ]  # fmt: skip
    return hooked([hooks for count in (1, 2, 3) for hooks in product(kinds, repeat=count)], cell)


def raising_hooks(cell: Cell) -> Inputs:
    """Hooks that are always called, beside others of which one may raise; or forward itself raises."""
    kinds = [
        ModuleHook("post", "look", always=True), ModuleHook("post", "look"), ModuleHook("post", "raise"),
        ModuleHook("pre", "raise"), ModuleHook("post", "look", always=True, prepend=True),
        ModuleHook("post", "look", always=True, everywhere=True),
        ModuleHook("post", "look", always=True, with_kwargs=True),
    ]  # fmt: skip
    lists = [hooks for count in (1, 2, 3) for hooks in product(kinds, repeat=count) if any(h.always for h in hooks)]
    calls = (SEVERAL_CALLS[2], SEVERAL_CALLS[0])
    return Inputs(
        [HookedModule(tuple(one), calls, faulty, cell.target.device) for one in lists[::2] for faulty in (False, True)]
    )


def removed_hooks(cell: Cell) -> Inputs:
    """Three hooks, of which some are removed before the first, second or third call."""
    found = []
    for kinds in (("pre",) * 3, ("post",) * 3, ("pre", "post", "post")):
        for removed in product((None, 0, 1, 2), repeat=3):
            for everywhere in (None, 0, 2):
                does = {"pre": "tuple", "post": "output"}
                found.append([
                    ModuleHook(kind, does[kind], everywhere=n == everywhere, removed=at)
                    for n, (kind, at) in enumerate(zip(kinds, removed, strict=True))
                ])  # fmt: skip
    return hooked(found, cell, (SEVERAL_CALLS[1],) * 3)
