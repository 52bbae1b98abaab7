"""Layer sources: which uses of a class of torch.nn the checks of the area layers are fed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.engine.module_catalogue import Construction, ModuleRow
from conformance.engine.versions import out_of_range
from conformance.inputs.layer_uses import LayerUse

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

OTHER_LAYOUTS = ("transposed", "stepped", "offset", "channels_last")
CallTest = Callable[[Construction, str], bool]


def here(row: ModuleRow) -> bool:
    """Whether this release has a class."""
    return out_of_range(torch.__version__, row.since, row.until) is None


def arrived(row: ModuleRow, name: str) -> bool:
    """Whether this release has an argument."""
    return out_of_range(torch.__version__, row.later.get(name), None) is None


def types_of(row: ModuleRow) -> list[str]:
    """The element types that this release takes."""
    return [x for x in row.dtypes if out_of_range(torch.__version__, row.types_since.get(x), None) is None]


def constructions(row: ModuleRow) -> list[Construction]:
    """The constructions of a row that this release has."""
    return [x for x in row.arguments if out_of_range(torch.__version__, x.since, x.until) is None]


def shapes_of(text: str) -> tuple[tuple[int, ...], ...]:
    """The shapes of the operands that one text of the catalogue describes."""
    return tuple(() if part == "-" else tuple(map(int, part.split("x"))) for part in text.split())


def layer_use(row: ModuleRow, made: Construction, shapes: str, **more: Any) -> LayerUse:
    """One use of one construction; ``more`` are its other fields."""
    bound = {**row.bound(made.call), **row.names}
    kinds = tuple(_counted(kind, bound) for kind in row.operands)
    return LayerUse(row.name, made.call, shapes_of(shapes), kinds, bound=tuple(bound.items()), **more)


def _counted(kind: str, bound: dict[str, Any]) -> str:
    word, colon, number = kind.partition(":")
    return f"{word}:{bound.get(number, number)}" if colon else kind


def calls_of(row: ModuleRow, full: bool = True) -> list[tuple[Construction, str]]:
    """Constructions with their inputs: each pair, or each construction and each input at least once."""
    found: dict[tuple[str, str], tuple[Construction, str]] = {}
    every = constructions(row)
    for n, made in enumerate(every):
        inputs = row.inputs if made.inputs is None else made.inputs
        for k, shapes in enumerate(inputs):
            if full or k == n % len(inputs) or (made.inputs is None and n == k % len(every)):
                found[made.call, shapes] = made, shapes
    return list(found.values())


def _uses(cell: Cell, calls: list[tuple[Construction, str]], expected: str = "", **more: Any) -> list[LayerUse]:
    """One use of each call, with types and modes by turns; what is given in ``more`` stands."""
    row = cell.subject
    width, types = max(len(row.inputs), 1), types_of(row)
    fixed: dict[str, Any] = {"expected": expected, "device": cell.target.device, **more}
    found = []
    for n, (made, shapes) in enumerate(calls):
        # neither goes with one construction or one input alone
        place, column = divmod(n, width)
        dtype = types[(place + place // 2 + column) % len(types)]
        turned: dict[str, Any] = {"dtype": dtype, "training": (place + column) % 2 == 0, **fixed}
        found.append(layer_use(row, made, shapes, **turned))
    return found


def built_modules(cell: Cell) -> Inputs:
    """Each construction, and a call of it where there is one; types by turns."""
    row = cell.subject
    if row.called:
        return Inputs(_uses(cell, calls_of(row, full=False)))
    return Inputs(_uses(cell, [(made, "") for made in constructions(row)]))


def typed_modules(cell: Cell) -> Inputs:
    """Each construction, of another element type than the default; on no device too, where nothing random is drawn.

    The first random number that is drawn on the device meta costs seconds, in which torch imports what it needs.
    """
    row = cell.subject
    found = _uses(cell, [(made, "") for made in constructions(row)], dtype="float64")
    drawn = row.initial.get("weight", "") != "v == 1"
    return Inputs([*found, *(() if drawn else [replace(use, device="meta") for use in found])])


def steady_modules(cell: Cell) -> Inputs:
    """The same without those whose documentation says that a call changes their parameters."""
    return Inputs(_uses(cell, [x for x in calls_of(cell.subject, full=False) if "max_norm" not in x[0].call]))


def layer_calls(cell: Cell) -> Inputs:
    """Each construction and each input; types, layouts and modes by turns."""
    return Inputs(_uses(cell, calls_of(cell.subject, full=False)))


def shaped_calls(cell: Cell) -> Inputs:
    """Each construction with each of its inputs, and the formula of the shape."""
    return Inputs(_uses(cell, calls_of(cell.subject), str(cell.subject.output)))


def functional_calls(cell: Cell) -> Inputs:
    """Each construction with each of its inputs, and the functional counterpart; samples mix them freely."""
    from hypothesis import strategies as st

    row, expected = cell.subject, str(cell.subject.functional)
    calls = calls_of(row)

    def drawn(call: tuple[Construction, str], dtype: str, training: bool) -> LayerUse:
        more: dict[str, Any] = {"dtype": dtype, "training": training, "expected": expected}
        return layer_use(row, *call, device=cell.target.device, **more)

    samples = st.builds(drawn, st.sampled_from(calls), st.sampled_from(types_of(row)), st.booleans())
    found = _uses(cell, calls, expected)
    switching = [replace(use, training=not use.training) for use in found] if any(row.switches) else []
    return Inputs([*found, *switching], samples)


def _filled(made: Construction, shapes: str) -> bool:
    """Whether every operand has several elements."""
    return all(prod(shape) > 1 for shape in shapes_of(shapes))


def _chosen(cell: Cell, *tests: CallTest, **more: Any) -> Inputs:
    """The calls that pass every test, all of them where those of the short list would be none."""
    row = cell.subject
    for full in (False, True):
        calls = [call for call in calls_of(row, full) if all(test(*call) for test in tests)]
        if calls and {made.call for made, _ in calls} >= {
            made.call for made, shapes in calls_of(row) if all(test(made, shapes) for test in tests)
        }:
            break
    return Inputs(_uses(cell, calls, **more))


def differentiable_calls(cell: Cell) -> Inputs:
    """Calls on all the operands that there may be, with several elements each, in training."""
    most = max(len(shapes_of(shapes)) for _, shapes in calls_of(cell.subject))
    return _chosen(cell, _filled, lambda made, shapes: len(shapes_of(shapes)) == most, training=True)


def functional_gradients(cell: Cell) -> Inputs:
    """Each construction, on operands with several elements, and the functional counterpart."""
    return _chosen(cell, _filled, expected=str(cell.subject.functional))


def random_calls(cell: Cell) -> Inputs:
    """Calls of the constructions that draw random numbers, on so many elements that two draws agree by no chance."""
    row = cell.subject
    return _chosen(cell, _filled, lambda made, _: row.is_stochastic(made), training=True)


def switching_calls(cell: Cell) -> Inputs:
    """Calls of the constructions for which training and evaluation differ."""
    row = cell.subject
    return _chosen(cell, _filled, lambda made, _: row.has_modes(made))


def unswitching_calls(cell: Cell) -> Inputs:
    """Calls of the constructions for which training and evaluation are the same."""
    row = cell.subject
    return _chosen(cell, lambda made, _: not row.has_modes(made))


def in_place_calls(cell: Cell) -> Inputs:
    """Calls of the constructions that are told to work in place."""
    row = cell.subject
    return Inputs(_uses(cell, [call for call in calls_of(row) if row.bound(call[0].call)["inplace"]]))


def sparing_calls(cell: Cell) -> Inputs:
    """Calls of the constructions that are told neither to work in place nor to renormalise."""
    row = cell.subject
    return _chosen(
        cell, lambda made, _: row.bound(made.call).get("inplace") is not True and "max_norm" not in made.call
    )


def strided_calls(cell: Cell) -> Inputs:
    """Calls in evaluation on operands that are not contiguous, each construction in two layouts at least."""
    row = cell.subject
    calls = [call for call in calls_of(row) if _filled(*call)]
    found = _uses(cell, calls, training=False)
    # each layout, and of few calls each with two or with all of them
    turns = [0, 1, 2, 3] if len(found) < 3 else [0, 2] if len(found) < 8 else [0]
    return Inputs([replace(use, layout=OTHER_LAYOUTS[(n + k) % 4]) for k in turns for n, use in enumerate(found)])


def statistics_calls(cell: Cell) -> Inputs:
    """Each construction on each of its inputs, in float64, in training."""
    return Inputs(_uses(cell, calls_of(cell.subject), dtype="float64", training=True))


def stated_modules(cell: Cell) -> Inputs:
    """Each construction, with the documented shapes of its parameters and buffers."""
    return _said(cell, cell.subject.state)


def first_values(cell: Cell) -> Inputs:
    """Each construction, with what is said of the values that its parameters have first."""
    return _said(cell, cell.subject.initial)


def _said(cell: Cell, said: Any) -> Inputs:
    row = cell.subject
    text = said if isinstance(said, str) else "{" + ", ".join(f"{k!r}: {v}" for k, v in said.items()) + "}"
    if said is row.initial:
        text = repr(said)
    inputs = row.inputs or ("",)
    return Inputs(
        [layer_use(row, made, (made.inputs or inputs)[0], expected=text, device=cell.target.device)
         for made in constructions(row)]
    )  # fmt: skip


def shown_arguments(cell: Cell) -> Inputs:
    """Each construction, with the arguments that it writes and that its class shows."""
    row = cell.subject
    found = []
    for made in constructions(row):
        given = row.given(made.call).items()
        shown = {name: value for name, value in given if value != row.defaults[name] and name not in row.hidden}
        if shown.get("padding_idx", 0) < 0:
            del shown["padding_idx"]  # counted from the end, and shown from the beginning
        if "each" not in row.hidden and shown:
            found.append(layer_use(row, made, "", expected=repr(shown), device=cell.target.device))
    return Inputs(found)


def lazy_modules(cell: Cell) -> Inputs:
    """Each construction of a lazy class on each of its inputs, with the construction of what it becomes."""
    row = cell.subject
    found = []
    for made, shapes in calls_of(row):
        ((name, inferred),) = row.inferred.items()
        size = eval(inferred, {"x": shapes_of(shapes)[0]})
        # some defaults of the lazy class are other than those of the regular one
        given = {k: v for k, v in row.bound(made.call).items() if k not in ("device", "dtype") and arrived(row, k)}
        call = ", ".join([f"{name}={size}", *(f"{k}={v!r}" for k, v in given.items())])
        found.append(layer_use(row, made, shapes, expected=f"{row.becomes}({call})", device=cell.target.device))
    return Inputs(found)
