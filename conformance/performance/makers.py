"""Makers: the call of a catalogue's row, with so many elements, of an element type, on a device.

The spec files name them (``performance: [{makes: operator, …}]``); each makes the snippet of one row, or says why it
cannot. Where the shapes are the catalogue's own, the one size is ``small``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isqrt, prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from conformance.engine.versions import out_of_range
from conformance.inputs.calls import Call
from conformance.inputs.corners import corners_of
from conformance.inputs.derivation_sources import functions, in_type
from conformance.inputs.derivations import Derivation, derivation_function
from conformance.inputs.further_outs import leaves_of, operand_named
from conformance.inputs.layer_sources import calls_of, layer_use
from conformance.inputs.loss_sources import loss_calls
from conformance.inputs.operands import dtypes_of
from conformance.inputs.out_forms import made
from conformance.inputs.out_operands import POINTWISE, REDUCING, Sizing, operands_of
from conformance.inputs.priced import PRICED_SETUPS
from conformance.inputs.schedules import Schedule
from conformance.inputs.tensors import Strided, corner
from conformance.inputs.trainings import Training
from conformance.performance.clocks import Untimed
from conformance.performance.snippets import Snippet

Maker = Callable[[Any, int, str, str], Snippet]
SMALL = 64
# Operands of the other functions with out= that have two rows of three numbers, and the functions that take these for a
# matrix or for vectors. All others work by element.
MATRICES = frozenset("abikuxy")
WHOLE = frozenset({
    "cross", "diff", "inner", "linalg.cross", "linalg.norm", "linalg.qr", "linalg.svd", "linalg.svdvals",
    "linalg.vecdot", "linalg.vector_norm", "qr", "svd",
})  # fmt: skip
# Kinds of in-place methods whose calls have one operand for each element of self, so that any size will do.
POINTWISE_KINDS = ("elementwise", "random", "copy")


def operator(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """The in-place method."""
    call = _call(row, n, dtype, device)
    space, shown = _named(call)
    return _snippet(f"x.{call.method}({shown})", space, call.self_, ("x",))


def counterpart(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """The same without its underscore: a method, else a function of torch."""
    call = _call(row, n, dtype, device)
    space, shown = _named(call)
    if hasattr(torch.Tensor, call.functional):
        return _snippet(f"x.{call.functional}({shown})", space, call.self_)
    if not hasattr(torch, call.functional):
        raise Untimed(f"torch has no {call.functional}")
    return _snippet(f"torch.{call.functional}(x{', ' if shown else ''}{shown})", space, call.self_)


def out(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """The function of the same name, with an ``out=`` of the shape and type of its result."""
    call = _call(row, n, dtype, device)
    space, shown = _named(call)
    inputs = f"x{', ' if shown else ''}{shown}"
    if call.method == "polygamma_":
        inputs = f"{shown}, x"
    return _with_out(f"torch.{call.functional}({inputs}", space, call.self_.dtype, call.self_.shape)


def out_function(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """A function with ``out=``, of operands of any size where it takes them."""
    side = isqrt(n)
    grows = out_grows(row)
    if n > SMALL and not grows:
        raise Untimed("its operands have one shape")
    args, kwargs = operands_of(row.operands, Sizing(side, side) if grows else Sizing(2, 3), device)
    plans = leaves_of(args)
    space, shown = _arguments(args, kwargs)
    shape = plans[0].shape if plans else (n,)
    return _with_out(f"torch.{row.name}({shown}", space, plans[0].dtype if plans else "float32", shape)


def further_out(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """One of the other functions with ``out=``, on the operands of its row; wider where it works by element."""
    args = operand_named(row.operands, dtype, device)
    if further_out_grows(row):
        args = tuple(_resized(x, (isqrt(n), isqrt(n))) for x in args)
    elif n > SMALL:
        raise Untimed("its operands have one shape")
    plans = leaves_of(args)
    space, shown = _arguments(args, dict(getattr(row, "keywords", None) or {}))
    return _with_out(f"torch.{row.name}({shown}", space, plans[0].dtype if plans else dtype, _shape_of(plans))


def out_grows(row: Any) -> bool:
    """Whether a function with ``out=`` takes operands of any size."""
    return row.operands in POINTWISE or row.name in REDUCING


def further_out_grows(row: Any) -> bool:
    """Whether one of the other functions with ``out=`` takes operands of any size."""
    return row.name not in WHOLE and all(isinstance(x, str) and x in MATRICES for x in row.operands)


def activation(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """A function of torch.nn.functional that overwrites its input; of a module the module itself."""
    x = corner(dtype, (isqrt(n), isqrt(n)), "contiguous", "ordinary", "any", device)
    space: dict[str, Any] = {"x": x.build()}
    if row.form == "function":
        space["f"] = getattr(torch.nn.functional, row.name)
        return _snippet(f"f({', '.join(['x', *map(repr, row.args)])})", space, x, ("x",))
    space["m"] = getattr(torch.nn, row.name)(*row.args, inplace=True)
    return _snippet("m(x)", space, x, ("x",))


def layer(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """The forward of a class, as its row constructs and calls it first; with more samples where it takes a batch."""
    if not row.called or row.kind == "lazy":
        raise Untimed("it cannot be called as it is constructed")
    construction, shapes = calls_of(row)[0]
    use = layer_use(row, construction, shapes, dtype=_type_of(row.dtypes, dtype), device=device)
    module, operands = use.build(), _more(use.operands(), n)
    space = {"m": module, **dict(zip("xyzuvw", operands, strict=False))}
    shown = ", ".join(list("xyzuvw")[: len(operands)])
    return Snippet(f"m({shown})", space, tuple(operands[0].shape), operands[0].numel(), use.dtype)


def loss(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """The first call of a loss."""
    found = loss_calls(SimpleNamespace(subject=row, target=SimpleNamespace(device=device)))  # type: ignore[arg-type]
    cases: list[Any] = list(found.corners)
    case = next((x for x in cases if x.dtype == dtype), cases[0])
    live = case.build()
    names = [f"x{i}" for i in range(len(live.inputs))]
    few = len(names) - len(case.named)
    shown = names[:few] + [f"{key}={name}" for key, name in zip(case.named, names[few:], strict=True)]
    shown += [f"{key}={key}" for key, _ in case.calling]
    space = {"m": live.module, **dict(zip(names, live.inputs, strict=True)), **dict(case.calling)}
    plan = case.inputs[0]
    return Snippet(f"m({', '.join(shown)})", space, plan.shape, prod(plan.shape), plan.dtype)


def optimizer(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """A step over four parameters with gradients."""
    traits = tuple(name for name in ("closure", "sparse", "tensor_lr") if getattr(row, name, False))
    side = isqrt(n // 4)
    options = tuple((name, value) for name, value in row.options.items())
    live = Training(row.makes, options, (((side, side),) * 4,), dtype=dtype, traits=traits, device=device).start()
    shape = (4, side, side)
    if "closure" in traits:
        return Snippet("o.step(f)", {"o": live.optimizer, "f": live.loss}, shape, n, dtype)
    for place, parameter in enumerate(live.parameters):
        # a learning rate of 0.1 would have them far away after the steps of one round
        gradient = live.case.gradient(0, place, tuple(parameter.shape))
        parameter.grad = None if gradient is None else gradient * 1e-3
    return Snippet("o.step()", {"o": live.optimizer}, shape, n, dtype)


def scheduler(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """A step of a scheduler after one of its optimizer."""
    options = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in row.options.items())
    extra = {name: getattr(row, name) for name in ("metric", "momentum", "multiplier") if hasattr(row, name)}
    # an object of our own cannot be copied with the scheduler that calls it
    live = Schedule(row.makes, options, 1, parts=tuple(getattr(row, "parts", ())), **extra).start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        live.run(0, 2)  # at its first step a scheduler looks whether its optimizer has made one
    argument = "0.5" if live.case.metric else ""
    return Snippet(f"s.step({argument})", {"s": live.scheduler}, (2,), 2, "float32", ("s",))


def derivative(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """The backward of a function alone: its gradients by every leaf, of a graph that is kept."""
    if n > SMALL and not row.elementwise:
        raise Untimed("its operands have one shape")
    case = functions(row, device, "float64")[0]
    typed = tuple(in_type(plan, dtype) for plan in case.operands) if _takes(row, dtype) else case.operands
    if row.elementwise:
        typed = tuple(_resized(plan, (isqrt(n), isqrt(n))) for plan in typed)
    case = Derivation(case.text, typed)
    operands = case.tensors()
    found = derivation_function(case.text)(*operands)
    results = [x for x in (found if isinstance(found, tuple | list) else (found,)) if x.requires_grad]
    leaves = [x for x in operands if x.requires_grad]
    space = {"g": torch.autograd.grad, "r": results, "l": leaves, "w": [torch.ones_like(x) for x in results]}
    plan = typed[0]
    return Snippet("g(r, l, w, retain_graph=True, allow_unused=True)", space, plan.shape, prod(plan.shape), plan.dtype)


def priced(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """A call of the catalogue ``costs``."""
    setup: Any = PRICED_SETUPS[row.setup]
    texts = setup if isinstance(setup[0], str) else setup[0]  # with the names of its operands, or without
    return written([x.format(n=n, dtype=dtype, device=device) for x in texts], row.act, (), n, dtype)


def own(row: Any, n: int, dtype: str, device: str) -> Snippet:
    """A row of the catalogue ``timings``, which is written out."""
    side = isqrt(n)
    lines = [x.format(n=n, side=side, dtype=dtype, device=device) for x in row.setup.strip().splitlines()]
    return written(lines, row.act.strip().format(n=n, side=side), tuple(getattr(row, "fresh", ())), n, dtype)


def written(lines: Any, act: str, fresh: tuple[str, ...], n: int, dtype: str) -> Snippet:
    """A snippet of lines that make its names."""
    before = {"torch": torch, "np": np, "__name__": "timed"}
    space = {**before, "n": n}
    exec("import copy\nimport io\n" + "\n".join(lines), space)
    names = {name: value for name, value in space.items() if name not in before and not name.startswith("__")}
    shape = next((tuple(x.shape) for x in names.values() if isinstance(x, torch.Tensor)), (n,))
    return Snippet(act, {**names, "np": np}, shape, n, dtype, fresh)


MAKERS: Mapping[str, Maker] = {
    maker.__name__: maker
    for maker in (
        operator, counterpart, out, out_function, further_out, activation, layer, loss, optimizer, scheduler,
        derivative, priced, own,
    )
}  # fmt: skip
# Makers of rows of which some take operands of one shape alone, and which do not: such a call has the one size small.
GROWS: Mapping[str, Callable[[Any], bool]] = {"out_function": out_grows, "further_out": further_out_grows}


# --- operators --------------------------------------------------------------------------------------------------


def _call(row: Any, n: int, dtype: str, device: str) -> Call:
    """The simplest call of ordinary numbers, of ``n`` elements."""
    side = isqrt(n)
    typed = _type_of(dtypes_of(row), dtype)
    plain = [
        call
        for call in corners_of(row, device)
        if call.self_.dtype == typed and call.kind == "ordinary" and 0 not in call.self_.shape
    ]  # fmt: skip
    if row.kind not in POINTWISE_KINDS:
        raise Untimed("its call is written out in the catalogue timings")
    if not plain:
        raise Untimed(f"no plain call of ordinary {typed} numbers")
    call = max(plain, key=lambda call: (len(call.self_.data), -len(call.kwargs)))

    def sized(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(sized(x) for x in value)
        return _resized(value, (side, side)) if isinstance(value, Strided) and value.shape else value

    return replace(
        call, self_=_resized(call.self_, (side, side)), args=tuple(sized(x) for x in call.args),
        kwargs={name: sized(x) for name, x in call.kwargs.items()},
    )  # fmt: skip


def _named(call: Call) -> tuple[dict[str, Any], str]:
    """The tensors of a call by name, and its arguments as they are written."""
    live = call.build()
    space: dict[str, Any] = {"x": live.self_}
    return space, _shown(space, live.args, live.kwargs)


def _arguments(args: Any, kwargs: Any) -> tuple[dict[str, Any], str]:
    space: dict[str, Any] = {}
    return space, _shown(space, [made(x) for x in args], {key: made(x) for key, x in kwargs.items()})


def _shown(space: dict[str, Any], args: Any, kwargs: Any) -> str:
    """Arguments as they are written; what is no number gets a name of its own."""

    def word(value: Any) -> str:
        if isinstance(value, bool | int | float | complex | str) or value is None:
            text = repr(value)
            if "inf" not in text and "nan" not in text:
                return text
        name = f"a{len(space)}"
        space[name] = value
        return name

    return ", ".join([*map(word, args), *(f"{key}={word(value)}" for key, value in kwargs.items())])


def _with_out(beginning: str, space: dict[str, Any], dtype: str, shape: tuple[int, ...]) -> Snippet:
    """A call that writes into what it gave without an out."""
    with torch.no_grad():
        result = eval(f"{beginning})", {"torch": torch, **space})
    space["o"] = result if isinstance(result, torch.Tensor) else tuple(result)
    comma = ", " if space.keys() - {"o"} or not beginning.endswith("(") else ""
    return Snippet(f"{beginning}{comma}out=o)", space, shape, prod(shape), dtype)


def _resized(plan: Strided, shape: tuple[int, ...]) -> Strided:
    return replace(plan, shape=shape, stride=None, offset=0, size=None, layout="contiguous")


def _snippet(act: str, space: dict[str, Any], plan: Strided, fresh: tuple[str, ...] = ()) -> Snippet:
    return Snippet(act, space, plan.shape, prod(plan.shape), plan.dtype, fresh)


def _shape_of(plans: list[Strided]) -> tuple[int, ...]:
    return plans[0].shape if plans else ()


def _type_of(those: Any, wanted: str) -> str:
    return wanted if wanted in those else str(next(iter(those)))


def _takes(row: Any, dtype: str) -> bool:
    return dtype == "float32" or dtype in row.types


def _more(operands: list[torch.Tensor], n: int) -> list[torch.Tensor]:
    """The operands with as many samples more as ``n`` elements of the first one need."""
    first = operands[0]
    times = n // max(first.numel(), 1)
    if n <= SMALL or times < 2 or first.dim() < 2:
        return operands
    return [
        x.repeat(times, *[1] * (x.dim() - 1)) if x.dim() and len(x) == len(first) else x for x in operands
    ]  # fmt: skip


def here(row: Any) -> bool:
    """Whether this release has a row."""
    return out_of_range(torch.__version__, getattr(row, "since", None), getattr(row, "until", None)) is None
