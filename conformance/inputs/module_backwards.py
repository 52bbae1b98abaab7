"""Module backwards: a linear module of several inputs and outputs with full backward hooks, run backward.

Output ``k`` is the sum of ``c[k][i] * x_i`` over the inputs, times the parameter ``w``: all gradients are plain sums.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.module_hooks import plain_number
from conformance.inputs.module_listings import hooked_backward

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

WEIGHTS = ((2.0, 3.0, 5.0), (7.0, 11.0, 13.0))


def mix(self: Any, *inputs: Any, extra: Any = None) -> Any:
    """One tensor, or a tuple of them; with two outputs a number comes between them."""
    tensors = [*inputs, *([extra] if extra is not None else [])]
    found = [
        sum(WEIGHTS[k][i] * x for i, x in enumerate(tensors) if isinstance(x, torch.Tensor)) * self.w
        for k in range(self.outputs)
    ]
    return found[0] if self.outputs == 1 else (found[0], 17, found[1])


class Mixing(torch.nn.Module):  # type: ignore[misc]
    """Outputs that are weighted sums of the tensors among the inputs, times the parameter."""

    forward = mix

    def __init__(self, outputs: int, frozen: bool, device: str) -> None:
        super().__init__()
        self.outputs = outputs
        weight = torch.tensor([2.0], dtype=torch.float64, device=device)
        self.w = torch.nn.Parameter(weight, requires_grad=not frozen)


@dataclass(frozen=True)
class BackwardHook:
    """One hook: pre or full; ``factor`` is what it multiplies the gradients with that it returns, None for a look."""

    kind: str
    factor: float | None = None
    prepend: bool = False
    everywhere: bool = False
    removed: bool = False

    def registrar(self) -> str:
        """The name of what registers it."""
        name = "full_backward_pre_hook" if self.kind == "pre" else "full_backward_hook"
        return f"register_module_{name}" if self.everywhere else f"register_{name}"


@dataclass
class BackwardLog:
    """What came of it: the calls (number, gradients of inputs, of outputs), and the gradients of inputs and ``w``."""

    calls: list[tuple[int, Any, Any]]
    grads: list[Any]
    weight: Any


@dataclass(frozen=True)
class HookedBackward:
    """Inputs by letter: g requires grad, c does not, n is a number; ``extra`` is one given by keyword."""

    hooks: tuple[BackwardHook, ...]
    inputs: str = "g"
    outputs: int = 1
    frozen: bool = False
    extra: str = ""
    passes: int = 1
    device: str = "cpu"

    def run(self) -> BackwardLog:
        """Register the hooks, run forward and backward, and take all hooks away."""
        module = Mixing(self.outputs, self.frozen, self.device)
        log, handles = BackwardLog([], [], None), []
        try:
            for number, hook in enumerate(self.hooks):
                owner: Any = torch.nn.modules.module if hook.everywhere else module
                options = {"prepend": True} if hook.prepend else {}
                handles.append(getattr(owner, hook.registrar())(ScalingHook(number, hook, module, log), **options))
            for hook, handle in zip(self.hooks, handles, strict=True):
                if hook.removed:
                    handle.remove()
            leaves = [self.leaf(n, letter) for n, letter in enumerate(self.inputs + self.extra)]
            keywords = {"extra": leaves[-1]} if self.extra else {}
            for _ in range(self.passes):
                found = module(*leaves[: len(self.inputs)], **keywords)
                tensors = [x for x in (found if self.outputs > 1 else [found]) if isinstance(x, torch.Tensor)]
                total: Any = sum((number + 1) * x for number, x in enumerate(tensors))
                if total.requires_grad:
                    total.sum().backward()
            log.grads = [plain_number(getattr(leaf, "grad", None)) for leaf in leaves]
            log.weight = plain_number(module.w.grad)
        finally:
            for handle in handles:
                handle.remove()
        return log

    def leaf(self, number: int, letter: str) -> Any:
        """An input."""
        if letter == "n":
            return number + 1
        return torch.tensor([number + 1.0], dtype=torch.float64, device=self.device, requires_grad=letter == "g")

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"inputs": self.inputs, "outputs": str(self.outputs), "hooks": [hook.kind for hook in self.hooks]}

    def reductions(self) -> Iterator[HookedBackward]:
        """Fewer hooks, fewer passes."""
        for number in range(len(self.hooks)):
            yield replace(self, hooks=self.hooks[:number] + self.hooks[number + 1 :])
        if self.passes > 1:
            yield replace(self, passes=1)

    def code(self) -> str:
        """The same in plain torch."""
        return hooked_backward(self)


class ScalingHook:
    """A hook that logs gradients, and may return them multiplied."""

    def __init__(self, number: int, hook: BackwardHook, module: torch.nn.Module, log: BackwardLog) -> None:
        self.number, self.hook, self.module, self.log = number, hook, module, log

    def __call__(self, module: torch.nn.Module, *gradients: Any) -> Any:
        """What torch calls: (module[, grad_input], grad_output)."""
        seen = [tuple(map(plain_number, g)) if isinstance(g, tuple) else ("no tuple", str(g)) for g in gradients]
        number = self.number if module is self.module else -1
        inputs, outputs = (None, seen[0]) if self.hook.kind == "pre" else (seen[0], seen[1])
        self.log.calls.append((number, inputs, outputs))
        if self.hook.factor is None:
            return None
        return tuple(None if g is None else g * self.hook.factor for g in gradients[0])


# --- sources ----------------------------------------------------------------------------------------------------

INPUT_LETTERS = ("g", "gg", "cg", "gc", "ng", "gn", "gng", "gcg")


def backwards(rows: Any, cell: Cell) -> Inputs:
    """Cases from lists of hooks, inputs, outputs, whether the parameter is frozen, the keyword input and passes."""
    return Inputs([replace(HookedBackward(*row), device=cell.target.device) for row in rows])


def looked_at_backwards(cell: Cell) -> Inputs:
    """One hook that looks, over all inputs and outputs."""
    hook = (BackwardHook("full"),)
    rows = product([hook], (*INPUT_LETTERS, "c", "cc"), (1, 2), (False, True), ("", "g"), (1, 2))
    return backwards([row for row in rows if not (row[4] and "n" in row[1]) and len(row[1] + row[4]) < 4], cell)


def firing_backwards(cell: Cell) -> Inputs:
    """One or two hooks, and inputs of which all, some and none require grad; the parameter frozen or not."""
    hooks = (
        (BackwardHook("full"),),
        (BackwardHook("full"), BackwardHook("full")),
        (BackwardHook("full", None, False, True),),
    )
    return backwards(product(hooks, ("g", "c", "cn", "cc", "gc", "nc"), (1, 2), (False, True), ("",), (1, 3)), cell)


def replaced_backwards(cell: Cell) -> Inputs:
    """Up to three hooks of which some replace the gradients."""
    hooks = [BackwardHook("full", factor) for factor in (None, 2.0, -3.0)]
    lists = [one for count in (1, 2, 3) for one in product(hooks, repeat=count)]
    return backwards(product(lists, ("g", "gg", "gcg"), (1, 2), (False,), ("",), (1,)), cell)


def replaced_outputs_backwards(cell: Cell) -> Inputs:
    """Up to three pre-hooks and hooks of which some replace the gradients."""
    hooks = [BackwardHook("pre", 2.0), BackwardHook("pre", -3.0), BackwardHook("full", 5.0), BackwardHook("pre")]
    lists = [one for count in (1, 2, 3) for one in product(hooks, repeat=count) if any(h.kind == "pre" for h in one)]
    return backwards(product(lists[::1], ("g", "gc"), (1, 2), (False,), ("",), (1,)), cell)


def ordered_backwards(cell: Cell) -> Inputs:
    """Four hooks of one kind or of both, some prepended, some global."""
    found = []
    for kinds in (("full",) * 4, ("pre",) * 4, ("pre", "full", "pre", "full")):
        for places in product(("", "prepend", "everywhere"), repeat=4):
            found.append(tuple(
                BackwardHook(kind, n + 2.0, place == "prepend", place == "everywhere")
                for n, (kind, place) in enumerate(zip(kinds, places, strict=True))
            ))  # fmt: skip
    return backwards(product(found, ("g",), (1,), (False,), ("",), (1,)), cell)


def removed_backwards(cell: Cell) -> Inputs:
    """Hooks of which some are removed before the call."""
    lists = [
        tuple(BackwardHook("full", n + 2.0, everywhere=n == everywhere, removed=gone) for n, gone in enumerate(flags))
        for flags in product((False, True), repeat=3)
        for everywhere in (None, 1)
        if any(flags)
    ]
    return backwards(product(lists, ("g", "cg"), (1, 2), (False,), ("",), (1,)), cell)
