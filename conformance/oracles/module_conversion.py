"""Module conversion: what a conversion leaves in a module, part by part, against what was there before.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.to
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from conformance.inputs.dtypes import dtype_name, torch_dtype
from conformance.inputs.module_casts import BuiltLayer, ModuleCast
from conformance.inputs.registrations import MODULE_COUNT, RegisteredModules
from conformance.oracles import expect, memory, numbers


def parts_at(made: RegisteredModules) -> dict[str, Any]:
    """Every parameter and buffer of every module, by its place."""
    return {
        f"m[{at}].{name}": thing
        for at in range(MODULE_COUNT)
        for things in (made.m[at]._parameters, made.m[at]._buffers)
        for name, thing in things.items()
    }


def reached_places(case: ModuleCast, places: Any, recurse: bool = True) -> set[str]:
    """The places that are in the root or below it."""
    below = {f"m[{name[1:]}]." for name in case.history.model().below()} if recurse else {"m[0]."}
    return {place for place in places if place[: place.index(".") + 1] in below}


def converted(case: ModuleCast) -> None:
    """Expect the dtype and the values that the call has to leave, everywhere, and the module itself as the result."""
    made = case.build()
    before = {k: None if x is None else (x.dtype, memory.contents(x.detach())) for k, x in parts_at(made).items()}
    expect.same_object(made.root, case.on(made), f"what {case.call} returns")
    reached = reached_places(case, before)
    for place, found in parts_at(made).items():
        was = before[place]
        if was is None or found is None:
            expect.that(was is found, place, "None" if was is None else "a tensor", repr(found))
            continue
        expected = torch_dtype(case.dtype) if place in reached and case.casts(was[0]) else was[0]
        shared = expected != found.dtype and place not in reached  # a Parameter that the root has too is one object
        if not shared:
            expect.equal(expected, found.dtype, f"dtype of {place} after {case.call}")
        contents = memory.contents(found.detach())
        numbers.close(was[1], contents, dtype_name(found.dtype), "value", f"{place} after {case.call}")
        expect.equal(torch.device(case.history.device), found.device, f"device of {place}")


def stays_tied(case: ModuleCast) -> None:
    """Expect each place to have the Parameter that it had, registered as it was, with its flag."""
    made = case.build()
    for number, parameter in enumerate(made.p):
        parameter.requires_grad_(number % 3 != 1)
    before = {place: x for place, x in parts_at(made).items() if isinstance(x, torch.nn.Parameter)}
    expect.some(before, "parameter")
    flags = {place: x.requires_grad for place, x in before.items()}
    case.on(made)
    found = parts_at(made)
    for place, parameter in before.items():
        expect.same_object(parameter, found[place], f"{place} after {case.call}")
        expect.equal(flags[place], parameter.requires_grad, f"{place}.requires_grad after {case.call}")
        expect.that(parameter.is_leaf, f"{place} after {case.call}", "a leaf", "none")


def converts_gradients(case: ModuleCast) -> None:
    """Expect the .grad of each parameter reached to have the parameter's dtype, and its own values."""
    made = case.build()
    for number, parameter in enumerate(made.p):
        parameter.grad = torch.full_like(parameter, number + 2) if number != 1 else None
    case.on(made)
    for number, parameter in enumerate(made.p):
        what = f"p[{number}].grad after {case.call}"
        if number == 1:
            expect.that(parameter.grad is None, what, "None", "a tensor")
            continue
        found = expect.tensor(parameter.grad, what)
        expect.equal(parameter.dtype, found.dtype, f"dtype of {what}")
        elements = memory.contents(found.detach())
        expect.that(bool((elements == number + 2).all()), what, f"{number + 2} everywhere", elements)


def refuses_cast(case: ModuleCast) -> None:
    """Expect TypeError, and every part as it was."""
    made = case.build()
    before = {place: (x, x.dtype) for place, x in parts_at(made).items() if x is not None}
    expect.raises(TypeError, lambda: case.on(made), case.call)
    for place, (thing, dtype) in before.items():
        expect.same_object(thing, parts_at(made)[place], f"{place} after the refusal")
        expect.equal(dtype, thing.dtype, f"dtype of {place} after the refusal")


def emptied(case: ModuleCast) -> None:
    """Expect the device asked for, and shape, dtype and requires_grad as they were."""
    made = case.build()
    for number, parameter in enumerate(made.p):
        parameter.requires_grad_(number % 2 == 0)
    before = {k: (x.dtype, tuple(x.shape), x.requires_grad) for k, x in parts_at(made).items() if x is not None}
    expect.same_object(made.root, case.on(made), f"what {case.call} returns")
    reached = reached_places(case, before, "recurse=False" not in case.call)
    asked = torch.device("meta" if "'meta'" in case.call else case.history.device)
    for place, was in before.items():
        found = parts_at(made)[place]
        state = (found.dtype, tuple(found.shape), found.requires_grad)
        expect.equal(was, state, f"dtype, shape and requires_grad of {place} after {case.call}")
        if place in reached:
            expect.equal(asked, found.device, f"device of {place} after {case.call}")


def has_dtype_and_device(case: BuiltLayer) -> None:
    """Expect every parameter and floating-point buffer in the dtype, and all on the device."""
    module = case.build()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point():
            expect.equal(torch_dtype(case.dtype), tensor.dtype, f"dtype of {name}")
        expect.equal(torch.device(case.device), tensor.device, f"device of {name}")


def only_four_dimensions_change(case: ModuleCast) -> None:
    """Expect channels-last strides of four-dimensional parts only, and all values as they were."""
    made = case.build()
    shapes = ((2, 3, 4, 5), (2, 3, 4), (3,), (2, 3, 2), (1, 3, 2, 2), ())
    for parts in (made.p, made.t):
        for number, tensor in enumerate(parts):
            count = torch.Size(shapes[number]).numel()
            tensor.data = torch.arange(count).reshape(shapes[number]).to(tensor.dtype)
    before = {k: (x.stride(), memory.contents(x.detach())) for k, x in parts_at(made).items() if x is not None}
    expect.same_object(made.root, case.on(made), f"what {case.call} returns")
    for place in reached_places(case, before):
        found, (strides, elements) = parts_at(made)[place], before[place]
        memory.same_elements(elements, memory.contents(found.detach()), f"{place} after {case.call}")
        if found.dim() == 4:
            last = found.is_contiguous(memory_format=torch.channels_last)
            expect.that(last, f"strides of {place}", "channels last", tuple(found.stride()))
        else:
            expect.equal(tuple(strides), tuple(found.stride()), f"strides of {place}")


@contextmanager
def swapping() -> Iterator[None]:
    """Conversions and loads swap tensors, for the time being; what is set is what is told."""
    future: Any = torch.__future__
    kept = future.get_swap_module_params_on_conversion()
    future.set_swap_module_params_on_conversion(True)
    try:
        expect.equal(
            True, future.get_swap_module_params_on_conversion(), "what get_swap_module_params_on_conversion says"
        )
        yield
    finally:
        future.set_swap_module_params_on_conversion(kept)
