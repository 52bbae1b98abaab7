"""Layer state: the parameters and buffers of two modules, their results, and what the documentation says of them."""

from __future__ import annotations

import ast
import io
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES, dtype_name, representable
from conformance.inputs.generators import generator_state_of
from conformance.inputs.layer_uses import LayerUse, fill_state, layer_seed
from conformance.oracles import memory, numbers
from conformance.oracles.expect import Mismatch, equal, that
from conformance.oracles.layer_calls import flat_results, shape_names


def module_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter and buffer by its path."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def same_modules(expected: torch.nn.Module, found: torch.nn.Module, what: str, memory_shared: bool = False) -> None:
    """Expect two modules of one class and mode, with the same parameters and buffers, bit for bit, each in its own."""
    classes = [[(path, type(m), m.training) for path, m in module.named_modules()] for module in (expected, found)]
    equal(classes[0], classes[1], f"classes and modes of {what}")
    first, second = module_tensors(expected), module_tensors(found)
    equal(list(first), list(second), f"names of {what}")
    for name, tensor in first.items():
        _same_tensor(tensor, second[name], f"{name} of {what}", memory_shared)


def _same_tensor(expected: torch.Tensor, found: torch.Tensor, what: str, memory_shared: bool) -> None:
    frames = [(type(x), x.dtype, x.device, x.shape, x.requires_grad) for x in (expected, found)]
    equal(frames[0], frames[1], f"class, type, device, shape and flag of {what}")
    memory.same_elements(memory.contents(expected.detach()), memory.contents(found.detach()), f"elements of {what}")
    if expected.numel() and not memory_shared:
        stretches = [(memory.storage_address(x), memory.storage_of(x).nbytes()) for x in (expected, found)]
        memory.shares(False, stretches[0], stretches[1], f"memory of {what} and of the other")


def results_of(case: LayerUse, module: torch.nn.Module, seed: int = 7) -> list[torch.Tensor]:
    """Every tensor of the result of a call on new operands, from one seed on."""
    with layer_seed(seed, case.device):
        return [tensor.detach() for tensor in flat_results(module(*case.operands()))]


def same_calls(case: LayerUse, expected: torch.nn.Module, found: torch.nn.Module, what: str) -> None:
    """Expect two modules to give the same for the operands of a case, if it has any, in evaluation."""
    if not case.shapes:
        return
    results = [results_of(case, module.eval()) for module in (expected, found)]
    same_results(results[0], results[1], f"result of {what}")


def uses_its_parameters(case: LayerUse, found: torch.nn.Module, what: str) -> None:
    """Expect a copy that is given other numbers to give what a new module of these gives, in evaluation."""
    if case.shapes and any(True for _ in found.parameters()):
        fill_state(found, 1)
        expected = results_of(case, case.build(turn=1).eval())
        same_results(expected, results_of(case, found.eval()), f"result of {what} after a change of its state")


def same_results(expected: list[torch.Tensor], found: list[torch.Tensor], what: str) -> None:
    """Expect the same tensors, bit for bit."""
    equal(len(expected), len(found), f"tensors in the {what}")
    for number, (first, second) in enumerate(zip(expected, found, strict=True)):
        equal(first.dtype, second.dtype, f"element type of {what}, tensor {number}")
        memory.same_elements(memory.contents(first), memory.contents(second), f"{what}, tensor {number}")


def close_results(expected: list[torch.Tensor], found: list[torch.Tensor], what: str) -> None:
    """Expect the same tensors, within what a step or two done otherwise may change."""
    equal(len(expected), len(found), f"tensors in the {what}")
    for number, (first, second) in enumerate(zip(expected, found, strict=True)):
        equal(first.dtype, second.dtype, f"element type of {what}, tensor {number}")
        numbers.close(
            memory.contents(first.detach()), memory.contents(second.detach()), dtype_name(first.dtype), "fused",
            f"{what}, tensor {number}", both_rounded=True,
        )  # fmt: skip


def moved_by_rounding(case: LayerUse) -> list[float]:
    """How far each result moves, in float64, where half of all that goes in loses a unit in the last place."""
    plain = case.contiguous()
    module, unit = plain.build().double(), torch.finfo(getattr(torch, case.dtype)).eps
    draw = np.random.default_rng(0)

    def moved(x: torch.Tensor) -> torch.Tensor:
        if not x.is_floating_point():
            return x
        lost = torch.from_numpy(draw.choice([0.0, unit], tuple(x.shape))).to(x.device)
        # towards zero, since some operands may not exceed 1
        return (x * (1 - lost)).clone(memory_format=torch.contiguous_format)

    operands = [
        x.to(torch.float64 if x.is_floating_point() else x.dtype, memory_format=torch.contiguous_format)
        for x in plain.operands()
    ]
    with torch.no_grad():
        with plain.seeded():
            before = flat_results(module(*operands))
        for parameter in module.parameters():
            parameter.copy_(moved(parameter))
        with plain.seeded():
            after = flat_results(module(*map(moved, operands)))
    return [
        float((a - b).abs().max()) if a.is_floating_point() and a.numel() else 0.0
        for a, b in zip(before, after, strict=True)
    ]


def alike_results(
    expected: list[torch.Tensor], found: list[torch.Tensor], what: str, case: LayerUse | None = None
) -> None:
    """Expect the same tensors, within what another algorithm may change of sums that cancel.

    A term is rounded at its own size, and a result is rarely larger than its largest term: what rounding leaves open
    is counted in ULP of the largest element. Where the layer of ``case`` makes more of what is rounded on the way, as
    attention and norms do, that is allowed too, up to four times as much as without.
    """
    equal(len(expected), len(found), f"tensors in the {what}")
    for number, (first, second) in enumerate(zip(expected, found, strict=True)):
        equal((first.dtype, first.shape), (second.dtype, second.shape), f"type and shape of {what}, tensor {number}")
        arrays = [memory.contents(tensor.detach()) for tensor in (first, second)]
        if not (first.is_floating_point() or first.is_complex()) or not np.isfinite(arrays[0]).all():
            memory.same_elements(arrays[0], arrays[1], f"{what}, tensor {number}")
        elif arrays[0].size:
            largest = np.abs(arrays[0]).max()
            allowed = 2 * numbers.TOLERANCES["elementary"] * numbers.spacing(largest, dtype_name(first.dtype))
            wrong = ~(np.abs(arrays[0] - arrays[1]) <= allowed)
            if wrong.any() and case is not None:
                allowed += min(2 * numbers.TOLERANCES["elementary"] * moved_by_rounding(case)[number], 3 * allowed)
                wrong = ~(np.abs(arrays[0] - arrays[1]) <= allowed)
            if wrong.any():
                place = tuple(int(k) for k in np.argwhere(wrong)[0])
                raise Mismatch(
                    f"{what}, tensor {number}", f"{arrays[0][place].item()!r} (within {float(allowed):.3g})",
                    repr(arrays[1][place].item()), f"index {place}",
                )  # fmt: skip


def differ(expected: list[torch.Tensor], found: list[torch.Tensor]) -> bool:
    """Whether two results differ anywhere."""
    return any(
        memory.contents(first).tobytes() != memory.contents(second).tobytes()
        for first, second in zip(expected, found, strict=True)
    )


def reloaded(thing: Any) -> Any:
    """What torch.load makes of what torch.save made of a thing."""
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, weights_only=not isinstance(thing, torch.nn.Module))


def same_parameters(expected: torch.nn.Module, found: torch.nn.Module, what: str) -> None:
    """Expect the parameters of two modules to hold the same numbers, bit for bit."""
    pairs = zip(expected.named_parameters(), found.parameters(), strict=True)
    for (name, first), second in pairs:
        memory.same_elements(memory.contents(first.detach()), memory.contents(second.detach()), f"{name} {what}")


def bytes_of(tensors: list[torch.Tensor]) -> list[bytes]:
    """Every byte of the storages of some tensors."""
    return [memory.storage_bytes(tensor.detach()) for tensor in tensors]


def draws_nothing(case: LayerUse, module: torch.nn.Module) -> None:
    """Expect a call to leave the generators as they are."""
    before = _generators(case.device)
    module(*case.operands())
    that(before == _generators(case.device), "generators after a call in evaluation", "as before", "advanced")


def _generators(device: str) -> list[bytes]:
    return bytes_of([generator_state_of(kind) for kind in dict.fromkeys(["cpu", device])])


def all_of_type(module: torch.nn.Module, dtype: str, device: str) -> None:
    """Expect every parameter and floating buffer of this type, and all on this device."""
    for name, tensor in module_tensors(module).items():
        equal(torch.device(device).type, tensor.device.type, f"device of {name}")
        if tensor.is_floating_point() or tensor.is_complex() or isinstance(tensor, torch.nn.Parameter):
            equal(getattr(torch, dtype), tensor.dtype, f"element type of {name}")


def frames_of(module: torch.nn.Module) -> dict[str, tuple[Any, ...]]:
    """What each parameter and buffer is, but for its numbers and its device."""
    return {
        name: (isinstance(x, torch.nn.Parameter), x.dtype, tuple(x.shape), x.stride(), x.requires_grad)
        for name, x in module_tensors(module).items()
    }


def moved(before: dict[str, tuple[Any, ...]], module: torch.nn.Module, device: str) -> None:
    """Expect parameters and buffers as they were, on this device."""
    equal(before, frames_of(module), f"types, shapes, strides and flags after to({device!r})")
    for name, tensor in module_tensors(module).items():
        equal(torch.device(device).type, tensor.device.type, f"device of {name}")


def same_frames_of(expected: torch.nn.Module, found: torch.nn.Module, what: str) -> None:
    """Expect parameters and buffers of the same names, types, shapes and flags."""
    equal(frames_of(expected), frames_of(found), f"parameters and buffers of {what}")


def result_types(case: LayerUse, found: list[torch.Tensor]) -> None:
    """Expect results of the type of the case, but for indices."""
    for number, tensor in enumerate(found):
        if tensor.is_floating_point() or tensor.is_complex():
            equal(getattr(torch, case.dtype), tensor.dtype, f"element type of the result, tensor {number}")
        equal(torch.device(case.device).type, tensor.device.type, f"device of the result, tensor {number}")


def follows_type(
    call: str, asked: str, module: torch.nn.Module, before: dict[str, torch.Tensor], *, complexes: bool
) -> None:
    """Expect every floating (and complex) parameter and buffer rounded to the type asked for, the others as before."""
    after = module_tensors(module)
    equal(list(before), list(after), f"names after {call}")
    for name, tensor in before.items():
        cast = tensor.is_floating_point() or (complexes and tensor.is_complex())
        dtype = asked if cast else dtype_name(tensor.dtype)
        equal(getattr(torch, dtype), after[name].dtype, f"element type of {name} after {call}")
        expected = representable(memory.contents(tensor.detach()).astype(ELEMENT_TYPES[dtype].carrier), dtype)
        memory.same_elements(expected, memory.contents(after[name].detach()), f"elements of {name} after {call}")


def state_as_documented(case: LayerUse, module: torch.nn.Module) -> None:
    """Expect the parameters and buffers of the documentation, of its shapes, and no others."""
    expected = {k: tuple(v) for k, v in eval(case.expected, shape_names(case)).items() if v is not None}
    found = {name: tuple(tensor.shape) for name, tensor in module_tensors(module).items()}
    equal(sorted(expected), sorted(found), f"names of the state of {case.name}({case.arguments})")
    for name, shape in expected.items():
        equal(shape, found[name], f"shape of {name}")
    equal(list(found), [x for x in module_tensors(module) if x in module.state_dict()], "what state_dict has of it")


def first_as_documented(case: LayerUse, module: torch.nn.Module) -> None:
    """Expect each value of a new module's state to be what the documentation says of it."""
    said = ast.literal_eval(case.expected)
    names = shape_names(case)
    for name, tensor in module_tensors(module).items():
        text = said.get(name, said.get("each"))
        array = memory.contents(tensor.detach())
        # a bound is reached by what rounding to the element type makes of it
        shrunk = array * (1 - 2.0**-20) if "<=" in str(text) else array
        for value, exact in zip(shrunk.ravel().tolist() if text else (), array.ravel().tolist(), strict=False):
            that(eval(text, {**names, "v": value}), f"first values of {name}", f"v with {text}", exact)
        if "<=" in str(text) and array.size > 1:
            that(bool(np.ptp(array)), f"first values of {name}", "numbers drawn anew", "the same number everywhere")


def call_arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments that a repr shows, by position and by name; Mismatch where it does not read as such."""
    try:
        call = ast.parse(f"shown({text})", mode="eval").body
        assert isinstance(call, ast.Call)
        return [_word(x) for x in call.args], {str(x.arg): _word(x.value) for x in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise Mismatch("extra_repr()", "arguments as they are written", text) from error


def _word(node: ast.expr) -> Any:
    """A literal, or the text that stands there without quotes."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def shows_arguments(case: LayerUse, module: torch.nn.Module) -> None:
    """Expect each argument that was given, under its name or by its place; a number may stand for a tuple of it."""
    places, names = call_arguments(module.extra_repr())
    for name, value in ast.literal_eval(case.expected).items():
        value = tuple(value) if isinstance(value, list) else value
        place = [key for key, _ in case.bound].index(name)
        shown = [names[name]] if name in names else places[place : place + 1]
        that(
            any(_means(value, x) for x in shown), f"argument {name} in extra_repr()", f"{name}={value!r}",
            module.extra_repr(),
        )  # fmt: skip


def _means(given: Any, shown: Any) -> bool:
    if isinstance(shown, tuple) and not isinstance(given, tuple):
        return bool(shown) and all(_means(given, x) for x in shown)
    if type(given) is type(shown):
        return bool(given == shown)
    return isinstance(given, int | float) and isinstance(shown, int | float) and float(given) == float(shown)
