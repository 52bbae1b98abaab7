"""Parametrized model: what a parametrized tensor, its originals and their gradients have to be, in NumPy.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from conformance.inputs.parametrized_modules import PARAMETRIZING_RULES, Counting, Parametrized
from conformance.oracles import expect, memory


def through(case: Parametrized, x: np.ndarray) -> np.ndarray:
    """The numbers of the weight, by those of its original, or by the sum of its two originals."""
    for name in case.chain:
        x = eval(PARAMETRIZING_RULES[name][0], {"x": x}) if name != "Split" else x
    return np.asarray(x)


def back(case: Parametrized, x: np.ndarray) -> np.ndarray:
    """The numbers of the original that give these numbers of the weight."""
    for name in reversed(case.chain):
        x = eval(PARAMETRIZING_RULES[name][1] or "x", {"x": x}) if name != "Split" else x
    return np.asarray(x)


def first_original(case: Parametrized) -> np.ndarray:
    """The numbers of the original after registration: the right inverse of the first parametrization."""
    inverse = None if case.chain[0] == "Split" else PARAMETRIZING_RULES[case.chain[0]][1]
    return np.asarray(eval(inverse or "x", {"x": case.values()}))


def slope(case: Parametrized) -> float:
    """How much the weight grows with its original."""
    return float(np.prod([PARAMETRIZING_RULES[name][2] for name in case.chain if name != "Split"]))


def has_numbers(case: Parametrized, expected: np.ndarray, found: Any, what: str) -> None:
    """Expect a tensor of the case's type, device and shape with these numbers."""
    found = expect.tensor(found, what)
    kind = (getattr(torch, case.dtype), case.shape, case.device)
    expect.equal(kind, (found.dtype, tuple(found.shape), str(found.device)), f"type, shape and device of {what}")
    wanted = np.asarray(expected, "float64").reshape(case.shape)
    memory.same_elements(wanted, memory.contents(found.detach()).astype("float64"), what)


def has_originals(case: Parametrized, module: Any, expected: np.ndarray) -> None:
    """Expect the originals, which are listed in the place of the weight, to have these numbers."""
    shares = (0.75, 0.25) if case.chain[0] == "Split" else (1.0,)
    for name, share, original in zip(case.original_names(), shares, case.originals(module), strict=True):
        has_numbers(case, expected * share, original, name)
        expect.equal(not case.buffer and not case.frozen, original.requires_grad, f"requires_grad of {name}")
        expect.equal(not case.buffer, isinstance(original, torch.nn.Parameter), f"whether {name} is a Parameter")
    parameters = ["bias", *([] if case.buffer else case.original_names())]
    expect.equal(sorted(parameters), sorted(name for name, _ in module.named_parameters()), "names of parameters")
    buffers = case.original_names() if case.buffer else []
    expect.equal(buffers, [name for name, _ in module.named_buffers()], "names of buffers")
    expect.equal({"bias", *case.original_names()}, set(module.state_dict()), "keys of state_dict()")


def calls_of(module: Any) -> list[int]:
    """How often each parametrization was called."""
    return [part.calls for part in module.parametrizations.weight]


def cached_once(case: Parametrized) -> None:
    """Expect one call of each parametrization within the block, the same tensor, and new ones after it."""
    module, other = case.build(), case.build()
    for turn, fails in enumerate((False, True, False)):
        wanted = through(case, first_original(case) * 2**turn)
        before, others = calls_of(module), calls_of(other)
        try:
            with torch.nn.utils.parametrize.cached():
                first = module.weight
                has_numbers(case, wanted, first, "weight in the block")
                expect.same_object(first, module.weight, "the weight, asked for twice in the block")
                expect.equal(False, other.weight is first, "whether another module has the same tensor")
                with torch.nn.utils.parametrize.cached():
                    expect.same_object(first, module.weight, "the weight in a block within the block")
                expect.same_object(first, module.weight, "the weight after the inner block")
                if fails:
                    raise ArithmeticError
        except ArithmeticError:
            expect.equal(True, fails, "whether the block was to raise")
        expect.equal([n + 1 for n in before], calls_of(module), "calls of each parametrization")
        expect.equal([n + 1 for n in others], calls_of(other), "calls of those of another module")
        with torch.no_grad():
            for original in case.originals(module):
                original.mul_(2)
        wanted = through(case, first_original(case) * 2 ** (turn + 1))
        has_numbers(case, wanted, module.weight, "weight afterwards")


def cached_apart(case: Parametrized) -> None:
    """Expect a module and its copy to have the weights of their own originals, asked for in either order."""
    original = first_original(case)
    for copy_first in (False, True):
        module = case.build()
        twin = copy.deepcopy(module)
        with torch.no_grad():
            for part in case.originals(twin):
                part.mul_(2)
        wanted = {"the module": (module, original), "the copy": (twin, original * 2)}
        with torch.nn.utils.parametrize.cached():
            for name in sorted(wanted, reverse=not copy_first):
                asked, numbers = wanted[name]
                has_numbers(case, through(case, numbers), asked.weight, f"weight of {name} in the block")


def removed(case: Parametrized, leave: bool) -> None:
    """Expect a plain module whose weight has the numbers of the parametrized one, or of the original."""
    module, kind = case.build(), type(case.plain())
    found = torch.nn.utils.parametrize.remove_parametrizations(module, "weight", leave_parametrized=leave)
    expect.same_object(module, found, "what remove_parametrizations returns")
    expect.same_object(kind, type(module), "class of the module")
    expect.equal(False, hasattr(module, "parametrizations"), "whether there are parametrizations left")
    original = first_original(case)
    has_numbers(case, through(case, original) if leave else original, module.weight, "weight")
    expect.equal(not case.buffer, isinstance(module.weight, torch.nn.Parameter), "whether the weight is a Parameter")
    expect.equal(not case.buffer and not case.frozen, module.weight.requires_grad, "requires_grad of the weight")
    expect.equal({"weight", "bias"}, set(module.state_dict()), "keys of state_dict()")
    assigned = torch.nn.Parameter(torch.ones(2)) if not case.buffer else torch.ones(2)
    module.weight = assigned
    expect.same_object(assigned, module.weight, "what was assigned to the weight afterwards")


def copied(case: Parametrized) -> None:
    """Expect a deep copy to be parametrized alike, over originals of its own."""
    module = case.build()
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for original in case.originals(twin):
            original.mul_(2)
    original = first_original(case)
    has_numbers(case, through(case, original * 2), twin.weight, "weight of the copy")
    has_numbers(case, through(case, original), module.weight, "weight of the module")
    expect.equal(True, torch.nn.utils.parametrize.is_parametrized(twin, "weight"), "whether the copy is parametrized")


def refuses_change(case: Parametrized, rule: str) -> None:
    """Expect ValueError for a parametrization that changes type or shape, and the module as it was."""
    module = case.build()
    before, kind = {name: memory.contents(x.detach()) for name, x in module.state_dict().items()}, type(module)
    wrong = Counting()
    wrong.rule = rule
    register = torch.nn.utils.parametrize.register_parametrization
    expect.raises(ValueError, lambda: register(module, "weight", wrong), f"registration of {rule}")
    expect.same_object(kind, type(module), "class of the module afterwards")
    expect.equal(list(before), list(module.state_dict()), "keys of state_dict() afterwards")
    for name, values in before.items():
        memory.same_elements(values, memory.contents(module.state_dict()[name]), f"{name} afterwards")
    has_numbers(case, through(case, first_original(case)), module.weight, "weight afterwards")
