"""Backwards: leaves, what is computed from them, and the backward passes that are to fill their gradients.

Every value is a small whole number (or has such parts), so that sums of a few of them are exact in every element
type and in any order, and a gradient is right or wrong without a tolerance.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.autograd.backward.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.cases import Inputs
from conformance.inputs.covering import crossed
from conformance.inputs.dtypes import ELEMENT_TYPES, representable
from conformance.inputs.tensors import Strided, strided

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

TRAINABLE = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")
PASS_SHAPES = ((2, 3), (), (0,), (1,), (0, 3), (1, 3, 1), (2, 3, 4), (2, 3, 2, 2))
PASS_LAYOUTS = ("contiguous", "transposed", "stepped", "offset", "expanded", "channels_last", "sliced")
ENTRIES = ("method", "function", "sequence")
# What is computed from a leaf, by the factor that its gradient has.
USES_OF_LEAF = {"times": 2, "minus": -1, "view": 1, "transposed": 1, "parts": 1, "chain": 6, "clone": 1, "self": 1}
_WHOLE = (1, -2, 3, 4, -5, 2, -1)
_WHOLE_COMPLEX = (1 + 2j, -2 + 1j, 3 - 1j, 4j, -5 + 3j, 2 + 0j, -1 - 4j)


def whole_numbers(dtype: str, shape: tuple[int, ...], layout: str, device: str, turn: int = 0) -> Strided:
    """Plan of small whole numbers; ``turn`` rotates them, so that two plans differ."""
    numbers = _WHOLE_COMPLEX if ELEMENT_TYPES[dtype].kind == "complex" else tuple(float(x) for x in _WHOLE)
    turn %= len(numbers)
    return strided(dtype, shape, layout, numbers[turn:] + numbers[:turn], device)


def use_of_leaf(x: torch.Tensor, use: str) -> torch.Tensor:
    """What ``use`` computes from a leaf: of the leaf's shape, and ``USES_OF_LEAF[use]`` times the leaf."""
    if use == "times":
        return x * 2
    if use == "minus":
        return -x
    if use == "clone":
        return x.clone()
    if use == "chain":
        return (x * 2).unsqueeze(0)[0] * 3
    if use == "transposed" and x.dim() > 1:
        return x.transpose(0, -1).clone().transpose(0, -1)
    if use == "parts" and x.dim():
        return torch.cat([x[:1], x[1:]])
    return x if use == "self" else x.view_as(x)


@dataclass(frozen=True, eq=False)
class Pass:
    """Backward passes from ``use`` of a leaf, less a second leaf, for the incoming ``gradient``."""

    plan: Strided
    gradient: Strided
    entry: str = "method"
    use: str = "times"
    form: str = ""  # what else the behaviour varies
    shown: str = ""  # what is done with x, other and v, where it is not one pass from the usual root

    def leaves(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The leaf, and a second one of the same shape with values of its own."""
        other = whole_numbers(self.plan.dtype, self.plan.shape, "contiguous", self.plan.device, 3)
        return self.plan.build().requires_grad_(), other.build().requires_grad_()

    def root(self, leaves: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """What the pass starts from."""
        return use_of_leaf(leaves[0], self.use) - leaves[1]

    def run(self, root: torch.Tensor, **options: Any) -> torch.Tensor:
        """One pass; returns the incoming gradient that was handed over."""
        incoming = self.gradient.build()
        if self.entry == "method":
            root.backward(incoming, **options)
        elif self.entry == "function":
            torch.autograd.backward(root, incoming, **options)
        else:
            torch.autograd.backward([root], [incoming], **options)
        return incoming

    def run_all(self, roots: list[torch.Tensor], **options: Any) -> None:
        """One pass from all these roots, with the same incoming gradient for each."""
        if len(roots) == 1:
            self.run(roots[0], **options)
        else:
            torch.autograd.backward(roots, [self.gradient.build() for _ in roots], **options)

    @property
    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """The gradient that one pass gives each leaf."""
        return self.summed(USES_OF_LEAF[self.use]), self.summed(-1)

    def summed(self, factor: int) -> np.ndarray:
        """``factor`` times the incoming gradient, exactly."""
        return representable(self.gradient.array * factor, self.plan.dtype)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {
            **self.plan.facets(),
            "entries": self.entry,
            "uses": self.use,
            **({"forms": self.form} if self.form else {}),
        }

    def reductions(self) -> Iterator[Pass]:
        """Plainer passes over the same leaf, then over plainer leaves."""
        if self.entry != "method":
            yield replace(self, entry="method")
        if self.use != "times":
            yield replace(self, use="times")
        if self.plan.layout != "contiguous":
            yield replace(self, plan=straightened(self.plan))
        if self.gradient.layout != "contiguous":
            yield replace(self, gradient=straightened(self.gradient))
        # one element stays one, and several stay several; a layout that the shape cannot have would be another
        count = prod(self.plan.shape)
        for shape in ((), (1,)) if count == 1 else ((2,), (2, 3)) if count else ():
            plan, gradient = reshaped(self.plan, shape), reshaped(self.gradient, shape)
            if len(shape) < len(self.plan.shape) and plan.layout == self.plan.layout:
                yield replace(self, plan=plan, gradient=gradient)

    def made(self) -> str:
        """The leaves and the incoming gradient in plain torch."""
        other = whole_numbers(self.plan.dtype, self.plan.shape, "contiguous", self.plan.device, 3)
        leaves = f"x = {self.plan.code()}.requires_grad_()\nother = {other.code()}.requires_grad_()"
        return f"{leaves}\nv = {self.gradient.code()}"

    def words(self) -> dict[str, str]:
        """What the words of an act, or of ``shown``, stand for: ``open`` is the call without its end."""
        run = _ENTRY_CODE[self.entry]
        found = {"use": _USE_CODE[self.use], "run": run, "form": self.form, "open": run.removesuffix(")")}
        return {**found, "form!r": repr(self.form)}

    def code(self) -> str:
        """The same in plain torch."""
        text = self.shown or "y = {use} - other\n{run}"
        for word, meaning in self.words().items():
            text = text.replace(f"{{{word}}}", meaning)
        return f"{self.made()}\n{text}\nprint(x.grad, other.grad)"


_USE_CODE = {
    "times": "x * 2", "minus": "-x", "view": "x.view_as(x)",
    "transposed": "x.transpose(0, -1).clone().transpose(0, -1)",
    "parts": "torch.cat([x[:1], x[1:]])", "chain": "(x * 2).unsqueeze(0)[0] * 3", "clone": "x.clone()", "self": "x",
}  # fmt: skip


_ENTRY_CODE = {
    "method": "y.backward(v)",
    "function": "torch.autograd.backward(y, v)",
    "sequence": "torch.autograd.backward([y], [v])",
}


def straightened(plan: Strided) -> Strided:
    """The plan in row-major order, without gaps."""
    return strided(plan.dtype, plan.shape, data=plan.data, device=plan.device)


def reshaped(plan: Strided, shape: tuple[int, ...]) -> Strided:
    """The plan in another shape, with the values that fit."""
    return strided(plan.dtype, shape, plan.layout, plan.data, plan.device)


def make_pass(
    device: str, shape: tuple[int, ...], layout: str, dtype: str, entry: str, use: str,
    incoming: str, form: str = "", shown: str = "",
) -> Pass:  # fmt: skip
    """The pass of one choice of each factor."""
    return Pass(
        whole_numbers(dtype, shape, layout, device), whole_numbers(dtype, shape, incoming, device, 2), entry, use,
        form, shown,
    )  # fmt: skip


def backward_passes(
    cell: Cell,
    forms: tuple[str, ...] = ("",),
    shapes: tuple[tuple[int, ...], ...] = PASS_SHAPES,
    layouts: tuple[str, ...] = PASS_LAYOUTS,
    dtypes: tuple[str, ...] = TRAINABLE,
    uses: tuple[str, ...] = tuple(USES_OF_LEAF),
    shown: str = "",
) -> Inputs:
    """Passes in which every pair of shape, layout, element type, entry, use, incoming layout and form occurs."""
    return crossed(
        make_pass, cell.target.device, shapes, layouts, dtypes, ENTRIES, uses,
        ("contiguous", "transposed", "expanded", "stepped", "offset"), forms, (shown,), passes=1,
    )  # fmt: skip


def misfitting_incoming(case: Pass) -> torch.Tensor:
    """An incoming gradient of the element type of the root and of another shape."""
    shape = case.plan.shape
    other = {
        "longer": (*shape[:-1], shape[-1] + 1),
        "narrow": (*shape[:-1], shape[-1] + 1) if shape[-1] == 1 else (*shape[:-1], 1),
        "wide": (1, *shape),
        "transposed": (*shape, 1),
        "flat": (),
    }[case.form]
    return reshaped(case.gradient, other).build()


def used_often(case: Pass, leaf: torch.Tensor) -> tuple[torch.Tensor, int]:
    """A sum over several uses of a leaf, and the factor of its gradient."""
    uses = ["times", "view", "chain", "minus"][: int(case.form)]
    root = use_of_leaf(leaf, case.use)
    for use in uses:
        root = root + use_of_leaf(leaf, use)
    return root, USES_OF_LEAF[case.use] + sum(USES_OF_LEAF[use] for use in uses)


def roots_of(case: Pass, leaves: tuple[torch.Tensor, torch.Tensor]) -> tuple[list[torch.Tensor], Any, tuple[int, int]]:
    """Several roots, an incoming gradient for each (None where none is needed), and the factor of each leaf."""
    own = USES_OF_LEAF[case.use]
    first, incoming = case.root(leaves), case.gradient.build()
    if case.form == "twice":
        return [first, first], [incoming, incoming], (2 * own, -2)
    if case.form == "twice, two gradients":
        tripled = replace(case.gradient, data=tuple(3 * x for x in case.gradient.data)).build()
        return [first, first], [incoming, tripled], (4 * own, -4)
    if case.form == "three":
        roots = [use_of_leaf(leaves[1], "times"), first, leaves[0] * 3]
        return roots, [incoming, incoming, incoming], (own + 3, 1)
    if case.form == "nested":
        return [first, first * 3], [incoming, incoming], (4 * own, -4)
    if case.form == "mixed":
        # a root of one element beside the other needs no incoming gradient, and reaches no leaf's elements here
        unused = torch.zeros((), device=case.plan.device, requires_grad=True)
        return [unused * 1.0, first], [None, incoming], (own, -1)
    return [use_of_leaf(leaves[1], "times"), first], [incoming, incoming], (own, 1)


def leaves_in_one_storage(case: Pass) -> tuple[torch.Tensor, torch.Tensor]:
    """Two leaves that share their memory, in whole, in part, or not although they lie in one storage."""
    whole = case.plan.build()
    if case.form == "same" or not whole.dim():
        return whole.detach().requires_grad_(), whole.detach().requires_grad_()
    if case.form == "transposed":
        return whole.detach().requires_grad_(), whole.detach().transpose(0, -1).requires_grad_()
    length = whole.shape[0]
    second = whole.detach()[length // 2 :] if case.form == "disjoint" else whole.detach()[length // 3 :]
    first = whole.detach()[: length // 2] if case.form == "disjoint" else whole.detach()
    return first.requires_grad_(), second.requires_grad_()


def with_unused(case: Pass, leaf: torch.Tensor, other: torch.Tensor) -> tuple[list[torch.Tensor], int]:
    """Inputs of ``autograd.grad`` among which one is unused, and its place."""
    unused = whole_numbers(case.plan.dtype, (3, 2), "transposed", case.plan.device, 5).build().requires_grad_()
    if case.form == "elsewhere":
        torch.cos(unused)  # in a graph, but in none that a root is in
        return [leaf, unused, other], 1
    if case.form == "alone":
        return [unused], 0
    if case.form == "scalar":
        empty = whole_numbers(case.plan.dtype, (), "contiguous", case.plan.device, 5).build().requires_grad_()
        return [leaf, empty, other], 1
    return ([unused, leaf, other], 0) if case.form == "first" else ([leaf, other, unused], 2)


def sum_of_views(case: Pass, leaves: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, int]:
    """The sum, and the factor of both gradients."""
    second = leaves[1] if case.form == "one" else leaves[1].unsqueeze(0).squeeze(0)
    total = use_of_leaf(leaves[0], "view") + second
    return (total * 2, 2) if case.form == "both, doubled" else (total, 1)


def chosen_leaves(case: Pass, leaf: torch.Tensor) -> tuple[Any, list[torch.Tensor]]:
    """The leaf as ``inputs=``, beside two more where the form says three; and those."""
    count = 2 if "three" in case.form else 0
    more = [
        whole_numbers(case.plan.dtype, case.plan.shape, "contiguous", case.plan.device, 4 + n) for n in range(count)
    ]
    leaves = [plan.build().requires_grad_() for plan in more]
    if case.form.startswith("tensor"):
        return leaf, leaves
    return [leaf, *leaves] if case.form.startswith("list") else (leaf, *leaves), leaves


def inner_targets(case: Pass, leaves: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, list[Any], list[int]]:
    """A root, some tensors between the leaves and it (and a leaf), and the factors of their gradients."""
    inner = use_of_leaf(leaves[0], case.use)
    view = inner.view_as(inner)
    root = view * 3 - leaves[1]
    targets = {"result": [inner], "view": [view], "both": [inner, view], "with a leaf": [inner, leaves[1]]}[case.form]
    return root, targets, [-1 if target is leaves[1] else 3 for target in targets]


def saving_root(case: Pass, leaves: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """A root whose graph saved both leaves: the product of what is used of the one, and of the other."""
    return use_of_leaf(leaves[0], case.use) * leaves[1]


def saving_roots(case: Pass, leaves: tuple[torch.Tensor, torch.Tensor]) -> list[torch.Tensor]:
    """Such roots: two of one graph each where the entry takes a sequence, and else one."""
    return [saving_root(case, leaves) for _ in range(1 + (case.entry == "sequence"))]


def saved_gradients(case: Pass, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gradients that ``count`` passes over ``saving_root`` add up to."""
    plans = [case.plan, whole_numbers(case.plan.dtype, case.plan.shape, "contiguous", case.plan.device, 3)]
    factor, incoming = USES_OF_LEAF[case.use] * count, case.gradient.array
    return (
        representable(incoming * plans[1].array.conj() * factor, case.plan.dtype),
        representable(incoming * plans[0].array.conj() * factor, case.plan.dtype),
    )


def options_of(case: Pass) -> tuple[bool, bool | None]:
    """``create_graph`` and ``retain_graph`` of the form."""
    create, retain = case.form.split(", ")
    return create == "True", None if retain == "None" else retain == "True"


def batch_of(case: Pass) -> Strided:
    """Plan of the batch: another incoming gradient in each place of the first dimension."""
    shape = (int(case.form[0]), *case.plan.shape)
    layout = "transposed" if case.gradient.layout == "expanded" else case.gradient.layout
    return strided(case.plan.dtype, shape, layout, case.gradient.data, case.plan.device)


def batches_of(case: Pass, leaves: tuple[torch.Tensor, torch.Tensor]) -> tuple[list[torch.Tensor], list[Strided]]:
    """One root or two, and the batch for each; the second root is three times the first leaf."""
    batch, root = batch_of(case), saving_root(case, leaves)
    if "two outputs" not in case.form:
        return [root], [batch]
    other = whole_numbers(batch.dtype, batch.shape, "contiguous", batch.device, 1)
    return [root, leaves[0] * 3], [batch, other]


def complex_root(case: Pass, leaf: torch.Tensor, factor: complex) -> tuple[torch.Tensor, Strided]:
    """A real leaf times a complex number, and a gradient that comes in there."""
    root = use_of_leaf(leaf, "view") * factor
    dtype = str(root.dtype).removeprefix("torch.")
    return root, whole_numbers(dtype, case.plan.shape, case.gradient.layout, case.plan.device, 2)
