"""Module utilities: what the functions of torch.nn.utils, functional_call and a first lazy forward have to leave.

Reference: https://docs.pytorch.org/docs/stable/nn.html#utilities
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.gradient_sets import GradientSet, LazyLayer, ReplacedCall, SkippedInit, WeighingTrouble
from conformance.oracles import expect, memory, numbers


def total_norm(case: GradientSet) -> float:
    """The norm of all gradients taken, as one vector."""
    arrays = case.arrays()
    whole = np.abs(np.concatenate([np.zeros(0), *(arrays[n].ravel() for n in case.taken())]))
    if not whole.size:
        return 0.0
    return (
        float(whole.max()) if case.norm == "inf" else float((whole ** float(case.norm)).sum() ** (1 / float(case.norm)))
    )


def near(expected: Any, found: Any, dtype: str, what: str) -> None:
    """Expect numbers within the rounding of sums of a few terms."""
    bound = {"float64": 1e-12, "float32": 2e-5}[dtype]
    expected, found = np.asarray(expected, "float64"), np.asarray(found, "float64")
    expect.equal(expected.shape, found.shape, f"shape of {what}")
    far = ~((np.abs(expected - found) <= bound * np.maximum(np.abs(expected), 1e-3)) | (expected == found))
    expect.that(not far.any(), what, expected.tolist(), found.tolist())


def clip(case: GradientSet, parameters: list[Any], **options: Any) -> Any:
    """clip_grad_norm_ as the case has it."""
    return torch.nn.utils.clip_grad_norm_(
        case.passed(parameters), case.limit, norm_type=float(case.norm), **case.options(), **options
    )  # fmt: skip


def gives_total_norm(case: GradientSet) -> None:
    """Expect the norm."""
    found = expect.tensor(clip(case, case.build()), "what clip_grad_norm_ returns")
    near(total_norm(case), memory.contents(found.detach()), case.dtype, "total norm")


def left_gradients(case: GradientSet, parameters: list[Any], before: list[Any], expected: list[np.ndarray]) -> None:
    """Expect every gradient in its own tensor, with the values expected; those not taken as they were."""
    for number, parameter in enumerate(parameters):
        expect.same_object(before[number], parameter.grad, f"p[{number}].grad")
        if parameter.grad is not None:
            wanted = expected[number] if number in case.taken() else case.arrays()[number]
            near(wanted, memory.contents(parameter.grad), case.dtype, f"p[{number}].grad")
        expect.that(not memory.contents(parameter.detach()).any(), f"p[{number}]", "as it was", "other values")


def scales_gradients(case: GradientSet) -> None:
    """Expect every gradient times max_norm / (norm + 1e-6), but never more than it was."""
    parameters = case.build()
    before = [parameter.grad for parameter in parameters]
    clip(case, parameters)
    factor = min(1.0, case.limit / (total_norm(case) + 1e-6))
    left_gradients(case, parameters, before, [array * factor for array in case.arrays()])


def raises_on_nonfinite(case: GradientSet) -> None:
    """Expect RuntimeError, and the gradients as they were; without the flag no exception."""
    parameters = case.build()
    before = [memory.contents(p.grad) for p in parameters if p.grad is not None]
    expect.raises(RuntimeError, lambda: clip(case, parameters, error_if_nonfinite=True), "error_if_nonfinite=True")
    after = [memory.contents(p.grad) for p in parameters if p.grad is not None]
    for number, (was, now) in enumerate(zip(before, after, strict=True)):
        memory.same_elements(was, now, f"gradient {number} after the exception")
    clip(case, parameters)


def clamps_gradients(case: GradientSet) -> None:
    """Expect every element clamped."""
    parameters = case.build()
    before = [parameter.grad for parameter in parameters]
    torch.nn.utils.clip_grad_value_(case.passed(parameters), case.limit, **case.options())
    left_gradients(case, parameters, before, [np.clip(array, -case.limit, case.limit) for array in case.arrays()])


def valued(case: GradientSet) -> list[torch.nn.Parameter]:
    """The parameters with the values of the gradients, and the layouts of these."""
    parameters = case.build()
    for parameter, array in zip(parameters, case.arrays(), strict=True):
        parameter.data = (
            parameter.data.copy_(torch.from_numpy(array)) if parameter.grad is None else parameter.grad.clone()
        )
    return parameters


def becomes_a_vector(case: GradientSet) -> None:
    """Expect all elements in order."""
    found = torch.nn.utils.parameters_to_vector(case.passed(valued(case)))
    expected = np.concatenate([array.ravel() for array in case.arrays()])
    numbers.close(expected, memory.contents(found.detach()), case.dtype, "value", "vector")


def becomes_parameters(case: GradientSet) -> None:
    """Expect each parameter, as the object that it was, to have its slice, whatever becomes of the vector."""
    parameters, expected = valued(case), [array * 2 for array in case.arrays()]
    whole = np.concatenate([array.ravel() for array in expected])
    vector = torch.tensor(whole.tolist(), dtype=getattr(torch, case.dtype), device=case.device)
    torch.nn.utils.vector_to_parameters(vector, case.passed(parameters))
    for number, (parameter, array) in enumerate(zip(parameters, expected, strict=True)):
        what = f"p[{number}]"
        numbers.close(array, memory.contents(parameter.detach()), case.dtype, "value", what)
        expect.that(parameter.is_leaf and parameter.requires_grad, what, "a leaf that requires grad", "another")


def draws_nothing(case: SkippedInit) -> None:
    """Expect names, shapes and types of the module constructed, and the default generator as it was."""
    made = getattr(torch.nn, case.layer)
    with torch.random.fork_rng(devices=[]):
        wanted = {name: (tuple(x.shape), x.dtype, x.device) for name, x in made(*case.args).state_dict().items()}
        state = torch.get_rng_state()
        module = torch.nn.utils.skip_init(made, *case.args)
        expect.that(torch.equal(state, torch.get_rng_state()), "default generator", "as it was", "another state")
    expect.equal(case.layer, type(module).__name__, "class of the module")
    expect.equal(True, module.training, "training of the module")
    found = {name: (tuple(x.shape), x.dtype, x.device) for name, x in module.state_dict().items()}
    expect.equal(wanted, found, "shapes, types and devices")
    expect.equal(
        [True] * len(wanted), [p.requires_grad for p in module.parameters()], "requires_grad of the parameters"
    )


def uses_what_is_given(case: ReplacedCall) -> None:
    """Expect the result with the values given, and afterwards all that the module had."""
    module = case.build()
    had = [*module.named_parameters(), *module.named_buffers()]
    values = {"weight": 2.0, "shift": 10.0, "child.weight": 3.0, "child.shift": 11.0}
    given = {
        name: torch.full((1,), 5.0 + n, device=case.device) for n, name in enumerate(values) if case.picked >> n & 1
    }
    used = {name: given[name].item() if name in given else value for name, value in values.items()}
    names = list(given)
    split = tuple({name: given[name] for name in part} for part in (names[::2], names[1::2]))
    x = torch.ones(1, device=case.device)
    try:
        found = torch.func.functional_call(module, split if case.split else given, (x,))
        result = (used["weight"] + used["shift"]) * used["child.weight"] + used["child.shift"]
        expect.equal((result, False), (found.item(), case.fails), "result, and whether forward raised")
    except WeighingTrouble:
        expect.equal(case.fails, True, "whether forward raised")
    for (name, tensor), (other, after) in zip(had, [*module.named_parameters(), *module.named_buffers()], strict=True):
        expect.equal(name, other, "names after the call")
        expect.same_object(tensor, after, f"{name} after the call")
        expect.equal(values[name], after.item(), f"value of {name} after the call")


def becomes_regular(case: LazyLayer) -> None:
    """Expect uninitialized parameters first, and after one forward the regular class with parameters of its shapes."""
    with torch.random.fork_rng(devices=[]):
        module = eval(f"torch.nn.{case.layer}", {"torch": torch})
        for name, parameter in module.named_parameters():
            lazy = isinstance(parameter, torch.nn.UninitializedParameter)
            expect.that(lazy or "bias" in name, f"{name} before", "uninitialized", type(parameter).__name__)
        module.to(case.device)(torch.ones(case.shape, device=case.device))
        expect.equal(case.regular, type(module).__name__, "class after the first forward")
        found = tuple((name, tuple(parameter.shape)) for name, parameter in module.named_parameters())
        expect.equal(case.shapes, found, "parameters and their shapes")
        for name, parameter in module.named_parameters():
            expect.equal(torch.nn.Parameter, type(parameter), f"class of {name} after the first forward")
        module(torch.ones(case.shape, device=case.device))
