"""Backward sources: with which passes each behaviour of ``backward`` and ``autograd.grad`` is checked.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.autograd.backward.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engine.cases import Inputs
from conformance.inputs.backwards import backward_passes

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


def repeated_passes(cell: Cell) -> Inputs:
    """Two to four passes, each over a graph of its own."""
    return backward_passes(
        cell,
        forms=("2", "3", "4"),
        shown="for _ in range({form}):\n    y = {use} - other\n    {run}",
    )


def plain_passes(cell: Cell) -> Inputs:
    """One pass."""
    return backward_passes(cell)


def several_uses(cell: Cell) -> Inputs:
    """Leaves that are used two, three or four times."""
    return backward_passes(
        cell,
        forms=("2", "3", "4"),
        shown="uses = [x * 2, x.view_as(x), (x * 2).unsqueeze(0)[0] * 3, -x][:{form}]\ny = sum(uses, {use})\n{run}",
    )


def several_roots(cell: Cell) -> Inputs:
    """Passes from two or three roots at once: apart, one computed from the other, or twice the same."""
    return backward_passes(
        cell,
        forms=("apart", "nested", "twice", "mixed", "three", "twice, two gradients"),
        shown="y = {use} - other\none = torch.zeros((), requires_grad=True) * 1.0\n"
        "roots = {'apart': [other * 2, y], 'nested': [y, y * 3], 'mixed': [one, y], 'three': [other * 2, y, x * 3]}"
        ".get('{form}', [y, y])\n"
        "seeds = [None if root is one else v for root in roots]\n"
        "torch.autograd.backward(roots, [v, 3 * v] if 'two' in '{form}' else seeds)",
    )


def retained_passes(cell: Cell) -> Inputs:
    """Two or three passes over one graph."""
    return backward_passes(
        cell,
        forms=("2", "3"),
        shown="y = ({use}) * other\nfor left in reversed(range({form})):\n    {open}, retain_graph=left > 0)",
    )


def single_element_passes(cell: Cell) -> Inputs:
    """Passes from a root of one real element."""
    real = ("float64", "float32", "float16", "bfloat16")
    return backward_passes(
        cell,
        shapes=((), (1,), (1, 1), (1, 1, 1)),
        dtypes=real,
        shown="y = {use} - other\ny.backward()",
    )


def many_element_passes(cell: Cell) -> Inputs:
    """Passes from a root of more than one element."""
    return backward_passes(
        cell,
        shapes=((2,), (2, 3), (1, 3, 1), (2, 3, 4)),
        shown="y = {use} - other\ny.backward()",
    )


def complex_passes(cell: Cell) -> Inputs:
    """Passes from a root of one complex element."""
    return backward_passes(
        cell,
        shapes=((), (1,), (1, 1)),
        dtypes=("complex64", "complex128"),
        shown="y = {use} - other\ny.backward()",
    )


def misfitting_passes(cell: Cell) -> Inputs:
    """Incoming gradients that have another shape than the root, most of them one that would broadcast to it."""
    return backward_passes(
        cell,
        forms=("longer", "narrow", "wide", "transposed", "flat"),
        shapes=((2, 3), (1, 3, 1), (2, 3, 4), (1,)),
        shown="y = {use} - other\n*most, last = x.shape\n"
        "shapes = {'longer': (*most, last + 1), 'narrow': (*most, 2 if last == 1 else 1), 'wide': (1, *x.shape),\n"
        "          'transposed': (*x.shape, 1), 'flat': ()}\n"
        "v = torch.ones(shapes['{form}'], dtype=x.dtype)\n"
        "for act in (lambda: {run}, lambda: torch.autograd.grad(y, [x, other], v)):\n"
        "    try:\n        print(act())\n    except RuntimeError as error:\n        print(error)",
    )


def shared_storages(cell: Cell) -> Inputs:
    """Two leaves in one storage: over the same elements, over disjoint ones, over some of the same."""
    shapes = ((2, 3), (4,), (2, 3, 4), (1,), ())
    return backward_passes(
        cell,
        forms=("same", "disjoint", "overlapping", "transposed"),
        shapes=shapes,
        shown="whole = x.detach()\nn = len(whole) if whole.dim() else 0\n"
        "a, b = {'same': lambda: (whole, whole.detach()), 'transposed': lambda: (whole, whole.transpose(0, -1)),\n"
        "        'disjoint': lambda: (whole[: n // 2], whole[n // 2 :]),\n"
        "        'overlapping': lambda: (whole, whole[n // 3 :])}['{form}' if n else 'same']()\n"
        "a.requires_grad_(), b.requires_grad_()\n"
        "for _ in range(2):\n"
        "    torch.autograd.backward([a * 2, b * -3], [torch.ones_like(a), torch.ones_like(b)])",
    )


def refused_passes(cell: Cell) -> Inputs:
    """Passes that cannot be gone: without a gradient, with one of another shape, over a graph that was freed."""
    return backward_passes(
        cell,
        forms=("no gradient", "longer", "freed"),
        shapes=((2,), (2, 3), (1, 3, 1), (2, 3, 4)),
        shown="y = ({use}) * other\n{open}, retain_graph={form!r} != 'freed')\n*most, last = x.shape\n"
        "wrong = {'no gradient': None, 'longer': torch.ones((*most, last + 1), dtype=x.dtype), 'freed': v}\n"
        "y.backward(wrong['{form}'])  # raises",
    )


def unused_passes(cell: Cell) -> Inputs:
    """Passes beside a leaf that takes no part in them: alone, among others, used only where no root depends on it."""
    return backward_passes(
        cell,
        forms=("alone", "first", "last", "elsewhere", "scalar"),
        shown="y = {use} - other\nunused = torch.ones((3, 2), dtype=x.dtype, requires_grad=True)\n"
        "one = torch.ones((), dtype=x.dtype, requires_grad=True)\n"
        "inputs = {'alone': [unused], 'first': [unused, x, other], 'last': [x, other, unused],\n"
        "          'elsewhere': [x, unused, other], 'scalar': [x, one, other]}['{form}']\ntorch.cos(unused)\n"
        "print(torch.autograd.grad(y, inputs, v, allow_unused=True))",
    )


def chosen_inputs(cell: Cell) -> Inputs:
    """Passes for one of the leaves only, said as a tensor, a list, a tuple; with .grad of the others set or not."""
    return backward_passes(
        cell,
        forms=("tensor", "list", "tuple of three", "tensor, set", "list of three, set", "tuple, set"),
        shown="more = [torch.ones_like(x).requires_grad_() for _ in range(2 * ('three' in '{form}'))]\n"
        "inputs = {'tens': x, 'list': [x, *more], 'tupl': (x, *more)}['{form}'[:4]]\n"
        "y = {use} - other + sum(3 * each for each in more)\n{open}, inputs=inputs)",
    )


def inner_inputs(cell: Cell) -> Inputs:
    """Passes for a tensor between leaf and root."""
    return backward_passes(
        cell,
        forms=("result", "view", "both", "with a leaf"),
        uses=("times", "minus", "chain", "clone"),
        shown="inner = {use}\nview = inner.view_as(inner)\ny = view * 3 - other\n"
        "inputs = {'result': [inner], 'view': [view], 'both': [inner, view],\n"
        "          'with a leaf': [inner, other]}['{form}']\n"
        "for _ in range(2):\n    {open}, inputs=inputs, retain_graph=True)\n    print([each.grad for each in inputs])",
    )


def graph_options(cell: Cell) -> Inputs:
    """Each choice of create_graph and retain_graph."""
    forms = ("False, None", "False, False", "False, True", "True, None", "True, False", "True, True")
    return backward_passes(
        cell,
        forms=forms,
        uses=("times",),
        shapes=((2, 3), (), (0,), (1,), (2, 3, 4)),
        shown="y = ({use}) * other\ncreate, retain = {form}\n{open}, create_graph=create, retain_graph=retain)\n{run}",
    )


def recorded_passes(cell: Cell) -> Inputs:
    """Two passes with create_graph, from roots that saved both leaves, of incoming gradients that require grad."""
    return backward_passes(
        cell,
        uses=("times", "minus", "view"),
        shapes=((2, 3), (), (1,), (2, 3, 4)),
        shown="v = [v.clone().requires_grad_() for _ in range(2)]\nfor each in v:\n"
        "    torch.autograd.backward(({use}) * other, each, create_graph=True)\n"
        "print(torch.autograd.grad(x.grad, [other, *v], torch.ones_like(x)))",
    )


def viewed_leaves(cell: Cell) -> Inputs:
    """Two leaves that a sum meets through a view of each, or of one of them."""
    return backward_passes(
        cell,
        forms=("both", "one", "both, doubled"),
        uses=("view", "transposed", "parts"),
        shown="for _ in range(2):\n    y = x.view_as(x) + other.unsqueeze(0).squeeze(0)\n    {run}",
    )


def mistyped_passes(cell: Cell) -> Inputs:
    """Passes whose incoming gradient comes in another element type."""
    return backward_passes(
        cell,
        shapes=((2, 3), (1,), (2, 3, 4), ()),
        shown="y = {use} - other\nother_types = {torch.float64: torch.float32, torch.complex128: torch.complex64,\n"
        "               torch.complex64: torch.complex128}\n"
        "v = v.to(other_types.get(v.dtype, torch.float64))\n{run}",
    )


def batched_passes(cell: Cell) -> Inputs:
    """Passes for a batch of incoming gradients."""
    return backward_passes(
        cell,
        forms=("1", "2, two outputs", "3", "2, with a history"),
        shapes=((2, 3), (), (1,), (1, 3, 1), (2, 3, 4)),
        shown="y = ({use}) * other\n"
        "roots = [y, x * 3] if 'two' in '{form}' else [y]\n"
        "batches = [torch.stack([v] * int({form!r}[0]))] * len(roots)\n"
        "print(torch.autograd.grad(roots, [x, other], batches, is_grads_batched=True))",
    )


def complex_roots_of_real_leaves(cell: Cell) -> Inputs:
    """Real leaves that a complex number multiplies."""
    return backward_passes(
        cell,
        dtypes=("float64", "float32"),
        shown="y = x.view_as(x) * (2 - 3j)\nfor left in (1, 0):\n    y.backward(v + 0j, retain_graph=left > 0)",
    )


def roots_without_grad(cell: Cell) -> Inputs:
    """Passes from a root beside which there is one that requires no grad: of one element, or like the leaf."""
    return backward_passes(
        cell,
        forms=("scalar", "like"),
        shown="y = {use} - other\nplain = torch.zeros(() if {form!r} == 'scalar' else x.shape, dtype=x.dtype)\n"
        "torch.autograd.backward([plain, y], [None, v])",
    )


def leaves_as_roots(cell: Cell) -> Inputs:
    """Two or three passes from the leaf itself."""
    shown = "y = x\nfor _ in range({form}):\n    {run}"
    return backward_passes(cell, forms=("2", "3"), uses=("self",), shown=shown)
