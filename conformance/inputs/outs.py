"""Calls with ``out=``: functions, their arguments, the tensors handed to them, and the results written out.

The results come from NumPy (``conformance.oracles.results``) when the case is made and are part of it.
Reference: https://docs.pytorch.org/docs/stable/notes/out.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, reduce
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.engine.sharing import once_a_subject
from conformance.inputs.covering import covering
from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.layouts import DISJOINT, REPEATING
from conformance.inputs.out_forms import TypeNamed, form_arguments, form_operand, made, written_out
from conformance.inputs.out_operands import LARGE_OPERANDS, PLAIN, Sizing, operands_of, sizes_of, takes_any_shape
from conformance.inputs.positions import Shape
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

KIND_ORDER = {"bool": 0, "unsigned": 1, "signed": 1, "floating": 2, "complex": 3}
GARBAGE = 77  # what an out holds beforehand: no result of any case
UNFIT = ((5,), (1, 1), (2, 2), (1,), (3, 3, 3), (40,))  # shapes of outs that some results do not have


@dataclass(frozen=True, eq=False)
class OutCall:
    """``torch.function(*args, **kwargs, out=outs)`` and what it is to write."""

    function: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: tuple[Strided, ...]
    results: tuple[Strided, ...]
    accuracy: str = "exact"
    floating: str = "float32"  # type of the floating results before they are copied to an out
    marked: int | None = field(default=None)  # the out that requires grad

    def build(self) -> list[torch.Tensor]:
        """New tensors to write to."""
        found = [plan.build() for plan in self.outs]
        if self.marked is not None:
            found[self.marked].requires_grad_()
        return found

    def apply(self, outs: list[torch.Tensor]) -> Any:
        """The call; ``out`` is a tuple where there are several."""
        args = [made(x) for x in self.args]
        kwargs = {key: made(x) for key, x in self.kwargs.items()}
        function = reduce(getattr, self.function.split("."), torch)
        return function(*args, **kwargs, out=tuple(outs) if len(outs) > 1 else outs[0])

    def over_operand(self) -> tuple[torch.Tensor, Any]:
        """The call with its first operand as its out: that operand, and what is returned."""
        args = [made(x) for x in self.args]
        return args[0], reduce(getattr, self.function.split("."), torch)(*args, **self.kwargs, out=args[0])

    def without_out(self) -> tuple[torch.Tensor, ...]:
        """The results of the same call without ``out=``."""
        function = reduce(getattr, self.function.split("."), torch)
        found = function(*[made(x) for x in self.args], **{key: made(x) for key, x in self.kwargs.items()})
        return (found,) if isinstance(found, torch.Tensor) else tuple(found)

    def base_of(self, outs: list[torch.Tensor]) -> torch.Tensor:
        """The tensor that the first out is a view of."""
        base = outs[0]._base
        return outs[0] if base is None else base

    def facets(self) -> dict[str, Any]:
        """What evidence counts: the types, layouts and shapes of the outs."""
        return {
            "dtypes": [plan.dtype for plan in self.outs], "layouts": [plan.layout for plan in self.outs],
            "shapes": [str(plan.shape) for plan in self.outs],
        }  # fmt: skip

    def code(self) -> str:
        """Plain torch."""
        lines = ["import torch"] + [f"out{i} = {plan.code()}" for i, plan in enumerate(self.outs)]
        if self.marked is not None:
            lines.append(f"out{self.marked}.requires_grad_()")
        shown = [written_out(x) for x in self.args] + [f"{key}={written_out(x)}" for key, x in self.kwargs.items()]
        names = [f"out{i}" for i in range(len(self.outs))]
        outs = names[0] if len(names) == 1 else f"({', '.join(names)})"
        return "\n".join([*lines, f"torch.{self.function}({', '.join([*shown, f'out={outs}'])})"])

    def reductions(self) -> Iterator[OutCall]:
        """The same with a plainer out."""
        for i, plan in enumerate(self.outs):
            if plan.layout not in ("contiguous", *REPEATING):
                plain = replace(plan, stride=None, offset=0, size=None, layout="contiguous")
                yield replace(self, outs=(*self.outs[:i], plain, *self.outs[i + 1 :]))


@cache
def template(
    function: str, kind: str, types: tuple[str, ...], accuracy: str, size: Sizing, device: str, keywords: str = "{}"
) -> OutCall:
    """The call of a row with outs as its results are; the variants below replace the outs."""
    args, kwargs = operands_of(kind, size, device)
    types = tuple(size.dtype if name == "float32" else name for name in types)
    return _computed(
        OutCall(function, args, {**kwargs, **json.loads(keywords)}, (), (), accuracy, size.dtype), types, device
    )


def _computed(call: OutCall, types: tuple[str, ...], device: str) -> OutCall:
    """The call with its results, of these types, and with outs as they are."""
    from conformance.oracles.results import RESULTS

    with np.errstate(all="ignore"):
        found = RESULTS[call.function](*_plain(call.args), **{key: _plain(x) for key, x in call.kwargs.items()})
    arrays = found if isinstance(found, tuple) else (found,)
    results = tuple(_plan_of(array, dtype, device) for array, dtype in zip(arrays, types, strict=True))
    call = replace(call, results=results)
    return _with(call, *(_garbage(call, plan, "contiguous") for plan in results))


@once_a_subject
def out_forms(name: str, device: str) -> tuple[OutCall, ...]:
    """The further forms of a row that the release has."""
    from conformance.engine.subjects import rows
    from conformance.engine.versions import out_of_range

    row = rows("out_functions")[name]
    here = [x for x in row.forms if out_of_range(torch.__version__, x.since, x.until) is None]
    found = []
    for form in here:
        types = form.results or row.results
        floating = next((x for x in types if ELEMENT_TYPES[x].kind == "floating"), "float32")
        args, kwargs = form_arguments(form, device)
        call = OutCall(name, args, kwargs, (), (), form.accuracy or row.accuracy, floating)
        found.append(_computed(call, types, device))
    return tuple(found)


def out_template(cell: Cell, size: Sizing = PLAIN, keyed: bool = False) -> OutCall:
    """The call of the cell's row, with operands of some size, and with the row's keywords if they are wanted."""
    row = cell.subject
    keywords = json.dumps(row.keywords if keyed else {})
    return template(row.name, row.operands, tuple(row.results), row.accuracy, size, cell.target.device, keywords)


def out_templates(cell: Cell) -> list[OutCall]:
    """The same with operands of several sizes, types and layouts, as far as they suit the function."""
    row = cell.subject
    found = [out_template(cell, size) for size in sizes_of(row.name, row.operands)]
    if not row.keywords:
        return found
    special = [out_template(cell, Sizing(3, 5, data="special"), keyed=True)] if row.name == "nan_to_num" else []
    return [*found, out_template(cell, keyed=True), *special]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(x) for x in value)
    if not isinstance(value, Strided):
        return value.array if isinstance(value, TypeNamed) else value
    wider = {"floating": np.float64, "complex": np.complex128}.get(ELEMENT_TYPES[value.dtype].kind)
    return value.array if wider is None else value.array.astype(wider)


def _plan_of(array: Any, dtype: str, device: str) -> Strided:
    array = np.asarray(array)
    # results of higher precision stay as they are: numbers.close rounds once
    name = dtype if ELEMENT_TYPES[dtype].kind != "floating" else "float64"
    return Strided(name, array.shape, tuple(array.ravel().tolist()) or (0,), device=device)


def _garbage(call: OutCall, plan: Strided, layout: str, dtype: str = "", shape: Shape | None = None) -> Strided:
    name = dtype or (call.floating if plan.dtype == "float64" else plan.dtype)
    data = {"bool": (True,), "complex": (complex(GARBAGE, GARBAGE),)}.get(ELEMENT_TYPES[name].kind, (GARBAGE,))
    return strided(name, plan.shape if shape is None else shape, layout, data, plan.device)


def _with(call: OutCall, *outs: Strided) -> OutCall:
    return replace(call, outs=outs)


def _variants(call: OutCall, choices: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Every choice for the first out, paired with others for the rest."""
    count = len(call.results)
    if count == 1:
        return iter(product(choices))
    return iter(covering(*[choices] * count))


def fitting_cases(cell: Cell) -> Inputs:
    """Outs of the right shape in every layout, and of many elements in one."""
    found = [
        _with(call, *(_garbage(call, plan, layout) for plan, layout in zip(call.results, layouts, strict=True)))
        for number, call in enumerate(out_templates(cell))
        for layouts in _variants(call, DISJOINT if not number else (DISJOINT[number % 6], DISJOINT[(number + 2) % 6]))
    ]
    if takes_any_shape(cell.subject.name, cell.subject.operands) and "int64" not in cell.subject.results:
        # (where equal values stood is anybody's choice)
        large = out_template(cell, LARGE_OPERANDS)
        found.append(_with(large, *(_garbage(large, plan, "transposed") for plan in large.results)))
    for number, call in enumerate(out_forms(cell.subject.name, cell.target.device)):
        # every layout has its turn, with a long way into the storage
        layout = DISJOINT[(number + len(cell.subject.name)) % len(DISJOINT)]
        found.append(_with(call, *(_far(_garbage(call, plan, layout)) for plan in call.results)))
    return Inputs(found)


def _far(plan: Strided) -> Strided:
    """The same some way further into a storage."""
    size = prod(plan.shape) if plan.size is None else plan.size
    return replace(plan, stride=plan.strides, offset=plan.offset + 7, size=size + 9)


def folded_matmul_cases(cell: Cell) -> Inputs:
    """A vector times a matrix, and a batch times one, for outs with gaps and in another order."""
    found = []
    for names, layout in product((("short", "x"), ("block", "tall")), ("contiguous", "stepped", "transposed")):
        args = tuple(form_operand(name, cell.target.device) for name in names)
        call = _computed(OutCall("matmul", args, {}, (), (), "accumulated"), ("float32",), cell.target.device)
        found.append(_with(call, _far(_garbage(call, call.results[0], layout))))
    return Inputs(found)


def batched_triangle_cases(cell: Cell) -> Inputs:
    """Triangles of several batches, for outs whose dimensions lie in another order, amidst a storage."""
    x = form_operand("boxes", cell.target.device)
    found = []
    for name, layout in product(("tril", "triu"), ("contiguous", "stepped", "transposed", "channels_last")):
        call = _computed(OutCall(name, (x,), {}, (), ()), ("float32",), cell.target.device)
        plan = _garbage(call, call.results[0], layout)
        # the storage is long enough for any mistake in the strides
        found.append(_with(call, replace(plan, stride=plan.strides, offset=80, size=400)))
    return Inputs(found)


def numbered_choice_cases(cell: Cell) -> Inputs:
    """A choice between a tensor and a number, either way round."""
    marks, x = (form_operand(name, cell.target.device) for name in ("b", "x"))
    calls = [OutCall("where", (marks, *rest), {}, (), ()) for rest in ((x, 2.0), (2.0, x))]
    return Inputs([_computed(call, ("float32",), cell.target.device) for call in calls])


def returning_cases(cell: Cell) -> Inputs:
    """Outs of the right shape in a few layouts, of no dimension where results have none, and outs without elements."""
    call, *others = out_templates(cell)
    alone = [other for other in others if not other.results[0].shape]
    forms = [
        [_garbage(call, plan, layout) for plan in call.results] for layout in ("contiguous", "stepped", "transposed")
    ]
    forms.append([_garbage(call, plan, "contiguous", shape=(0,)) for plan in call.results])
    return Inputs([*(_with(call, *outs) for outs in forms), *alone])


def own_operand_cases(cell: Cell) -> Inputs:
    """Calls whose first operand could be their out."""
    calls = out_templates(cell)
    return Inputs([call for call in calls if call.args[0].shape == call.results[0].shape])


def shared_places_cases(cell: Cell) -> Inputs:
    """Outs of the right shape whose elements share memory."""
    calls = [call for call in out_templates(cell) if call.results[0].array.size > 1]
    return Inputs(
        [
            _with(call, _garbage(call, call.results[0], layout))
            for call in calls
            for layout in (("expanded", "widened") if call.results[0].array.ndim > 1 else ("expanded",))
        ]
    )


def empty_cases(cell: Cell) -> Inputs:
    """Outs without elements, of one or two dimensions, in a storage of their own or in a larger one."""
    forms = (
        ((0,), "contiguous"),
        ((0, 3), "contiguous"),
        ((2, 0), "offset"),
        ((0,), "stepped"),
        ((1, 0, 2), "contiguous"),
    )
    return Inputs(
        [
            _with(call, *(_garbage(call, r, f[1], shape=f[0]) for r, f in zip(call.results, chosen, strict=True)))
            for number, call in enumerate(out_templates(cell))
            for chosen in _variants(call, forms if not number else (forms[number % 5], forms[(number + 2) % 5]))
        ]
    )


def resized_cases(cell: Cell) -> Inputs:
    """Outs without elements, also of the further forms of a call."""
    forms = out_forms(cell.subject.name, cell.target.device)
    small = [_with(call, *(_garbage(call, plan, "offset", shape=(0,)) for plan in call.results)) for call in forms]
    return Inputs([*empty_cases(cell).corners, *small])


def unfit_cases(cell: Cell) -> Inputs:
    """One out of another shape than its result, the others as they should be."""
    call = out_template(cell)
    found = []
    for position, plan in enumerate(call.results):
        for shape in (s for s in UNFIT if s != plan.shape):
            outs = list(call.outs)
            outs[position] = _garbage(call, plan, "contiguous", shape=shape)
            found.append(_with(call, *outs))
    return Inputs(found)


def marked_cases(cell: Cell) -> Inputs:
    """One out requires grad."""
    call = out_template(cell)
    marks = [i for i, plan in enumerate(call.outs) if ELEMENT_TYPES[plan.dtype].kind in ("floating", "complex")]
    if not marks:  # a result of another type can only be asked for in a type that can require grad
        return Inputs([replace(_with(call, _garbage(call, call.results[0], "contiguous", "float32")), marked=0)])
    return Inputs(
        [
            replace(_with(call, *(_garbage(call, plan, layout) for plan in call.results)), marked=mark)
            for mark in marks
            for layout in ("contiguous", "offset", "stepped")
        ]
    )


def retyped_cases(cell: Cell, accepted: bool) -> list[OutCall]:
    """Outs of other types of the same or a higher kind, or of a lower one."""
    call = out_template(cell)
    plan = call.results[0]
    own = call.outs[0].dtype
    names = ("bool", "uint8", "int16", "int64", "float16", "float32", "float64", "complex64", "complex128")
    return [
        _with(call, _garbage(call, plan, layout, name))
        for name, layout in product(names, ("contiguous", "stepped", "transposed"))
        if name != own and (order_of(name) >= order_of(own)) is accepted
    ]


def order_of(dtype: str) -> int:
    """Place of a type in the order bool, integer, float, complex."""
    return KIND_ORDER[ELEMENT_TYPES[dtype].kind]


def higher_kind_cases(cell: Cell) -> Inputs:
    """Outs of another type, of the same or a higher kind."""
    return Inputs(retyped_cases(cell, True))


def lower_kind_cases(cell: Cell) -> Inputs:
    """Outs of a lower kind."""
    return Inputs(retyped_cases(cell, False))


def foreign_type_cases(cell: Cell) -> Inputs:
    """One out of another type, the others as they should be."""
    call = out_template(cell)
    found = []
    for position, plan in enumerate(call.results):
        for name in ("bool", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64"):
            if name != call.outs[position].dtype:
                outs = list(call.outs)
                outs[position] = _garbage(call, plan, "contiguous", name)
                found.append(_with(call, *outs))
    return Inputs(found)


def elsewhere_cases(cell: Cell) -> Inputs:
    """One out on another device, the others as they should be: on "meta", and on the CPU for an accelerator."""
    call = out_template(cell)
    found = []
    for position, plan in enumerate(call.outs):
        for device in ("meta",) if cell.target.device == "cpu" else ("meta", "cpu"):
            found.append(_with(call, *call.outs[:position], replace(plan, device=device), *call.outs[position + 1 :]))
    return Inputs(found)


def resized_view_cases(cell: Cell) -> Inputs:
    """One out that is a view of part of a larger storage, and too small for its result."""
    call = out_template(cell)
    plan = call.outs[0]
    data = (True,) if plan.dtype == "bool" else (GARBAGE,)
    frames = (((2,), (1,), 3), ((2, 2), (5, 1), 1), ((0,), (1,), 4), ((1,), (2,), 0))
    return Inputs(
        [
            _with(
                call,
                Strided(plan.dtype, shape, data, stride, offset, 200, plan.device, "sliced"),
                *call.outs[1:],
            )
            for shape, stride, offset in frames
            if shape != plan.shape
        ]
    )


def every_resized_view(cell: Cell) -> Inputs:
    """The same of every function of the catalogue, one case each."""
    from conformance.engine.subjects import rows

    found = []
    for number, row in enumerate(rows("out_functions").values()):
        listed = list(resized_view_cases(replace(cell, subject=row)).corners)
        found.append(listed[number % len(listed)])
    return Inputs(found)


def mixed_cases(cell: Cell) -> Inputs:
    """Several outs, each of its own: empty, fitting, strided."""
    found = []
    plain, *others = out_templates(cell)
    for call in (plain, *others[:1], *(other for other in others if not other.results[0].shape)):
        for chosen in _variants(call, ("empty", *DISJOINT)):
            outs = [
                _garbage(call, plan, "contiguous", shape=(0,)) if form == "empty" else _garbage(call, plan, form)
                for plan, form in zip(call.results, chosen, strict=True)
            ]
            found.append(_with(call, *outs))
    return Inputs(found)
