"""Leaves: tensors in every state of autograd, and the calls that make one state out of another.

Calls are expressions over ``x`` that any shape and any differentiable element type can have; a few kernels that
older releases lack in half precision are left out there.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import Applied, Seen
from conformance.inputs.covering import covering
from conformance.inputs.crossings import Form, crossed_each, crossed_once, make_tensor
from conformance.inputs.dtypes import family
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

DIFFERENTIABLE_TYPES = family("floating", "complex")
COUNTING_TYPES = family("bool", "integral", "barebones")
HALVES = ("float16", "bfloat16")

LEAF_FORMS: tuple[Form, ...] = (
    ((2, 3), "transposed"), ((), "contiguous"), ((0,), "contiguous"), ((1,), "stepped"), ((0, 3), "offset"),
    ((1, 3, 1), "sliced"), ((2, 3), "stepped"), ((2, 3, 4), "contiguous"), ((2, 3), "expanded"),
    ((2, 3, 2, 2), "channels_last"), ((), "offset"),
)  # fmt: skip

# Ways to a tensor that requires grad; a view of a leaf and a copy are no leaves.
LEAF_STATES = (("requires_grad_()",), ("Parameter",), ("view_as(x)", "requires_grad_()"))
GROWN_STATES = (
    ("requires_grad_()", "clone()"),
    ("requires_grad_()", "view_as(x)"),
    ("Parameter", "view_as(x)", "clone()"),
    ("requires_grad_()", "clone()", "view_as(x)"),
)
PLAIN_STATES = ((), ("detach()",), ("clone()",), ("view_as(x)",), ("requires_grad_()", "detach()"))

SIMPLE_RESULTS = (
    "x * 2", "x + 1", "-x", "x.clone()", "x * x", "torch.cat([x.reshape(-1), x.reshape(-1)])", "x.repeat(2, *x.shape)",
    "torch.stack([x, x])", "x.clone().mul_(2)", "x.unsqueeze(0) * 3", "x.clone().zero_()",
    "torch.zeros_like(x).copy_(x)", "x.sum()", "torch.where(x == x, x, x)",
)  # fmt: skip
RICH_RESULTS = (
    "x.exp()", "x.sin()", "x.cumsum(0)", "x.prod()", "torch.dot(x.reshape(-1), x.reshape(-1))",
    "x.reshape(-1, 1) @ x.reshape(1, -1)", "torch.einsum('i,i->i', x.reshape(-1), x.reshape(-1))",
    "torch.linalg.vector_norm(x)", "torch.outer(x.reshape(-1), x.reshape(-1))", "x.reshape(-1).flip(0)",
    "torch.nn.functional.linear(x.reshape(1, -1), x.reshape(1, -1))", "x.reshape(-1).cumprod(0)", "x.tanh()",
)  # fmt: skip
RESULT_CALLS = SIMPLE_RESULTS + RICH_RESULTS
VIEWS_OF_X = (
    "x.view_as(x)", "x.unsqueeze(-1)", "x.permute(tuple(reversed(range(x.dim()))))", "x.expand(2, *x.shape)",
    "x.as_strided(x.shape, x.stride(), x.storage_offset())", "x[None]", "x[...]", "x.unsqueeze(0)[0]",
    "x.expand(2, *x.shape).unbind(0)[1]", "x.unsqueeze(0).split(1)[0]", "x.squeeze()",
    "x.expand(2, *x.shape).chunk(2)[1]",
    "x.unsqueeze(0).select(0, 0)", "x.unsqueeze(0).narrow(0, 0, 1)", "x.unsqueeze(0).transpose(0, -1)",
    "x.unsqueeze(0).unsqueeze(0).diagonal(0, 0, 1)", "x.unsqueeze(0).swapaxes(0, -1)", "x.unsqueeze(0).movedim(0, -1)",
)  # fmt: skip
# Results that are bool or integral whatever goes in.
COUNTS = (
    "x == x", "x != 0", "x.isnan()", "x.isfinite()", "x.bool()", "x.reshape(-1).nonzero()", "x.eq(1)", "x.isinf()",
    "torch.ones_like(x, dtype=torch.bool)", "x.logical_not()", "torch.isclose(x, x)", "x.ne(x)",
)  # fmt: skip
CASTS = (
    "x.to(torch.float64)", "x.to(torch.float32)", "x.to(torch.bfloat16)", "x.to(torch.complex128)", "x.double()",
    "x.float()", "x.half()", "x.type(torch.float64)", "x.to(torch.zeros(1, dtype=torch.complex64))",
    "x.to(x.dtype, copy=True)", "x.type_as(torch.zeros(1, dtype=torch.complex128))", "x.bfloat16()",
)  # fmt: skip
SETTING = ("x.requires_grad_()", "x.requires_grad_(True)", "x.__setattr__('requires_grad', True)")
CLEARING = ("x.requires_grad_(False)", "x.__setattr__('requires_grad', False)", "x.requires_grad_(requires_grad=False)")
# Functions that create a tensor and take requires_grad; FLAG stands for that argument, or for nothing.
FACTORIES = (
    "torch.ones(2, 3, {})", "torch.zeros((), {})", "torch.empty(0, 3, {})", "torch.full((2,), 1.5, {})",
    "torch.tensor([1.0, 2.0], {})", "torch.tensor([], {})", "torch.empty_strided((2, 3), (1, 2), {})",
    "torch.ones_like(x, {})", "torch.zeros_like(x, {})", "torch.empty_like(x, {})", "torch.full_like(x, 2, {})",
    "x.new_ones((1, 3, 1), {})", "x.new_zeros(3, {})", "x.new_empty((2, 2), {})", "x.new_full((), 1, {})",
    "x.new_tensor([[1.0], [2.0]], {})", "torch.tensor(1.0, {})", "torch.rand(2, 3, {})", "torch.randn((), {})",
    "torch.rand_like(x, {})", "torch.randn_like(x, {})", "torch.scalar_tensor(1.5, {})",
    "torch.asarray([1.0, 2.0], {})", "x.new_empty_strided((2,), (3,), {})",
)  # fmt: skip
_AFTER_X = r"x\.new_|_like"  # those that take after x
REAL_FACTORIES = (
    "torch.arange(3, {})", "torch.linspace(0, 1, 5, {})", "torch.logspace(0, 1, 3, {})", "torch.eye(2, 3, {})",
    "torch.hann_window(3, {})",
)  # fmt: skip
COUNTING_FACTORIES = (
    "torch.ones(2, 3, {})", "torch.zeros((), {})", "torch.empty(0, 3, {})", "torch.full((2,), 1, {})",
    "torch.tensor([1, 0], {})", "torch.ones_like(x, {})", "torch.zeros_like(x, {})", "torch.empty_like(x, {})",
    "x.new_ones(2, {})", "x.new_zeros(3, {})", "x.new_full((), 1, {})", "x.new_tensor([1], {})",
)  # fmt: skip

# Expressions over two or three operands; every operand named takes part in the derivative.
JOINTS = (
    "x + y", "x * y", "y - x", "torch.stack([x, y, z])", "x.clone().copy_(y) + x * z", "torch.addcmul(x, y, z)",
    "torch.cat([x.reshape(-1), y.reshape(-1), z.reshape(-1)])", "torch.where(torch.ones_like(x, dtype=bool), x, y)",
    "x.clone().mul_(y)", "torch.einsum('...,...->...', x, y)", "torch.outer(x.reshape(-1), y.reshape(-1))",
    "x.reshape(-1, 1) @ y.reshape(1, -1)", "torch.dot(x.reshape(-1), y.reshape(-1))", "x.clone().add_(y).mul_(z)",
    "torch.addcdiv(x, y, z)", "x.masked_fill(x == x, y.sum())", "torch.dstack([x, y])", "z.add(x, alpha=2).sub(y)",
    "torch.nn.functional.linear(x.reshape(1, -1), y.reshape(1, -1))",
    "torch.addmm(x.reshape(-1, 1), y.reshape(-1, 1), z.sum()[None, None])",
)  # fmt: skip
HALF_JOINTS = JOINTS[:5]


@dataclass(frozen=True, eq=False)
class Joint:
    """Operands ``x``, ``y`` and ``z``, those of them that require grad, and an expression over them."""

    plans: tuple[Strided, ...]
    requires: tuple[bool, ...]
    expression: str

    def build(self) -> dict[str, torch.Tensor]:
        """The operands by name, over fresh memory."""
        pairs = zip("xyz", self.plans, self.requires, strict=True)
        return {name: plan.build().requires_grad_(flag) for name, plan, flag in pairs}

    def on(self, operands: dict[str, torch.Tensor]) -> Any:
        """Evaluate the expression."""
        return eval(self.expression, {"torch": torch, **operands})

    @property
    def named(self) -> tuple[str, ...]:
        """The operands that the expression names."""
        return tuple(name for name in "xyz" if re.search(rf"\b{name}\b", self.expression))

    @property
    def requiring(self) -> tuple[str, ...]:
        """The operands named that require grad."""
        return tuple(name for name, flag in zip("xyz", self.requires, strict=True) if flag and name in self.named)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plans[0].facets(), "calls": self.expression, "states": ",".join(self.requiring) or "none"}

    def reductions(self) -> Iterator[Joint]:
        """The same of one operand's elements only, and of plainer operands."""
        for x in self.plans[0].reductions():
            yield replace(
                self, plans=(x, *(corner(p.dtype, x.shape, "contiguous", device=p.device) for p in self.plans[1:]))
            )

    def code(self) -> str:
        """The operands and the call, in plain torch."""
        lines = [
            f"{name} = {plan.code()}" + (".requires_grad_()" if flag else "")
            for name, plan, flag in zip("xyz", self.plans, self.requires, strict=True)
            if name in self.named
        ]
        return "\n".join([*lines, f"found = {self.expression}"])


# --- makers -----------------------------------------------------------------------------------------------------


@cache
def planned(device: str, dtype: str, form: Form, turn: int = 0) -> Strided:
    """A tensor plan of ordinary values."""
    return corner(dtype, *form, "ordinary", "any", device, turn)


def make_state(device: str, steps: tuple[str, ...], dtype: str, form: Form) -> Any:
    """A tensor in a state of autograd."""
    plan = planned(device, dtype, form)
    return Seen(plan, steps) if steps else plan


def make_applied_state(device: str, expression: str, steps: tuple[str, ...], dtype: str, form: Form) -> Applied:
    """A call of a tensor in a state of autograd; in half precision one of the calls that every release has."""
    if dtype in HALVES and expression in RICH_RESULTS:
        expression = SIMPLE_RESULTS[RICH_RESULTS.index(expression) % 5]
    return Applied(make_state(device, steps, dtype, form), expression)


def make_joint(device: str, expression: str, requires: tuple[bool, ...], dtype: str, form: Form) -> Joint:
    """A call of three operands, the second and third laid out plainly."""
    if dtype in HALVES and expression not in HALF_JOINTS:
        expression = HALF_JOINTS[JOINTS.index(expression) % len(HALF_JOINTS)]
    rest = [planned(device, dtype, (form[0], "contiguous"), turn) for turn in (1, 2)]
    return Joint((planned(device, dtype, form), *rest), requires, expression)


def in_states(cell: Cell, states: tuple[tuple[str, ...], ...], types: tuple[str, ...] = DIFFERENTIABLE_TYPES) -> Inputs:
    """Tensors of every form and element type in one of the states."""
    return crossed_once(make_state, cell.target.device, states, types, LEAF_FORMS)


def calls_in_states(
    cell: Cell,
    expressions: tuple[str, ...],
    states: tuple[tuple[str, ...], ...],
    types: tuple[str, ...] = DIFFERENTIABLE_TYPES,
) -> Inputs:
    """Each of the calls on tensors of every form and element type in one of the states."""
    return crossed_once(make_applied_state, cell.target.device, expressions, states, types, LEAF_FORMS)


# --- sources ----------------------------------------------------------------------------------------------------


def leaves_that_require(cell: Cell) -> Inputs:
    """Leaves that require grad."""
    return in_states(cell, LEAF_STATES)


def grown_tensors(cell: Cell) -> Inputs:
    """Results of recorded operations."""
    return in_states(cell, GROWN_STATES)


def plain_tensors(cell: Cell) -> Inputs:
    """Tensors that do not require grad, of every differentiable type."""
    return in_states(cell, PLAIN_STATES)


def all_states(cell: Cell) -> Inputs:
    """Leaves, results and plain tensors."""
    return in_states(cell, LEAF_STATES + GROWN_STATES + PLAIN_STATES)


def counting_tensors(cell: Cell) -> Inputs:
    """Tensors of integers and bools."""
    return in_states(cell, PLAIN_STATES[:4], COUNTING_TYPES)


def recorded_calls(cell: Cell) -> Inputs:
    """Operations and views of tensors that require grad."""
    calls = (*RESULT_CALLS, *VIEWS_OF_X, "x.unsqueeze(-1).expand(*x.shape, 2).contiguous()")
    return calls_in_states(cell, calls, LEAF_STATES + GROWN_STATES)


def unrecorded_calls(cell: Cell) -> Inputs:
    """Operations and views of tensors that do not require grad."""
    return calls_in_states(cell, RESULT_CALLS + VIEWS_OF_X, PLAIN_STATES)


def counting_calls(cell: Cell) -> Inputs:
    """Calls of tensors that require grad whose results are bool or integral."""
    return calls_in_states(cell, COUNTS, LEAF_STATES + GROWN_STATES)


def clones(cell: Cell) -> Inputs:
    """clone of tensors that require grad."""
    return calls_in_states(cell, ("x.clone()", "torch.clone(x)"), LEAF_STATES + GROWN_STATES)


def _casts(cell: Cell, states: tuple[tuple[str, ...], ...]) -> Inputs:
    types = ("float16", "complex64", "bfloat16", "float32", "float64", "complex128")
    moves = (f"x.to({cell.target.device!r}, copy=True)",)
    kept = {"x.to(x.dtype, copy=True)", *moves}
    found = crossed_once(make_applied_state, "cpu", CASTS + moves, states, types, LEAF_FORMS)
    # a cast to the type that a tensor has returns the tensor; one of complex numbers to real ones warns
    return Inputs([case for case in found.corners if case.expression in kept or _casts_anew(case)])


def _casts_anew(case: Applied) -> bool:
    name = case.plan.dtype
    spelled = {"float64": ("float64", "double"), "float32": ("float32", ".float("), "float16": ("half",)}
    spelled |= {"bfloat16": ("bfloat16",), "complex64": ("complex64",), "complex128": ("complex128",)}
    real = "complex" not in case.expression
    return not any(word in case.expression for word in spelled[name]) and not (real and "complex" in name)


def casts_of_requiring(cell: Cell) -> Inputs:
    """Casts and moves to another type or device of tensors that require grad."""
    return _casts(cell, LEAF_STATES + GROWN_STATES)


def casts_of_plain(cell: Cell) -> Inputs:
    """Casts and moves of tensors that do not."""
    return _casts(cell, PLAIN_STATES)


def joints(cell: Cell) -> Inputs:
    """Every subset of three operands requires grad, in every expression."""
    flags = tuple((bool(n & 1), bool(n & 2), bool(n & 4)) for n in range(8))
    return crossed_once(make_joint, cell.target.device, JOINTS, flags, DIFFERENTIABLE_TYPES, LEAF_FORMS)


def factory_calls(cell: Cell, flag: str) -> Inputs:
    """Factories with that ``requires_grad`` argument, or without one."""
    spelled = ", ".join(["dtype=x.dtype", *([flag] if flag else [])])
    return _factories(cell, FACTORIES, REAL_FACTORIES, DIFFERENTIABLE_TYPES, spelled)


def requiring_factories(cell: Cell) -> Inputs:
    """Factories that are told to make a tensor that requires grad."""
    return factory_calls(cell, "requires_grad=True")


def silent_factories(cell: Cell) -> Inputs:
    """Factories that are told nothing, or no; half of those that take after a tensor, after one that requires grad."""
    parts = [factory_calls(cell, flag) for flag in ("", "requires_grad=False")]
    found = [(n % 4 in (1, 2), case) for part in parts for n, case in enumerate(part.corners)]
    return Inputs(
        [
            replace(case, plan=Seen(case.plan, LEAF_STATES[0]))
            if tracked and re.search(_AFTER_X, case.expression)
            else case
            for tracked, case in found
        ]
    )


def counting_factories(cell: Cell) -> Inputs:
    """Factories that are told to make a tensor of integers or bools that requires grad."""
    return _factories(cell, COUNTING_FACTORIES, (), COUNTING_TYPES, "dtype=x.dtype, requires_grad=True")


def _factories(cell: Cell, each: tuple[str, ...], real: tuple[str, ...], types: tuple[str, ...], words: str) -> Inputs:
    device = cell.target.device
    # new_… and …_like take the device of x
    words_at = {call: words + ("" if re.search(_AFTER_X, call) else ", device=x.device") for call in each + real}
    found = [
        Applied(planned(device, dtype, form), call.format(words_at[call]))
        for call, dtype, form in covering(each, types, LEAF_FORMS)
    ]
    reals = [t for t in types if "complex" not in t]
    found += [
        Applied(planned(device, dtype, form), call.format(words_at[call]))
        for call, dtype, form in (covering(real, reals, LEAF_FORMS[:3]) if real else ())
    ]
    return Inputs(found)


def setters(cell: Cell) -> Inputs:
    """Both ways to set the flag, to both values, on plain tensors and leaves of every form and element type."""
    return calls_in_states(cell, SETTING, PLAIN_STATES + LEAF_STATES)


def clearers(cell: Cell) -> Inputs:
    """Both ways to clear the flag, on leaves."""
    return calls_in_states(cell, CLEARING, LEAF_STATES)


def clearers_of_grown(cell: Cell) -> Inputs:
    """Both ways to clear the flag, on results of recorded operations."""
    return calls_in_states(cell, CLEARING, GROWN_STATES)


def setters_of_grown(cell: Cell) -> Inputs:
    """Every way to set or clear the flag, on results of recorded operations."""
    return calls_in_states(cell, SETTING + CLEARING, GROWN_STATES)


def setters_of_counts(cell: Cell) -> Inputs:
    """Every way to make a tensor of integers or bools require grad."""
    calls = (*SETTING, "torch.nn.Parameter(x)", "torch.nn.Parameter(x, requires_grad=True)")
    return calls_in_states(cell, calls, PLAIN_STATES[:4], COUNTING_TYPES)


def clearers_of_counts(cell: Cell) -> Inputs:
    """Every way to say that a tensor of integers or bools does not require grad."""
    return calls_in_states(cell, (*CLEARING, "torch.nn.Parameter(x, requires_grad=False)"), ((),), COUNTING_TYPES)


def parameters(cell: Cell) -> Inputs:
    """Parameters of tensors in every state."""
    calls = ("torch.nn.Parameter(x)", "torch.nn.Parameter(x, True)", "torch.nn.parameter.Parameter(data=x)")
    return calls_in_states(cell, calls, PLAIN_STATES + LEAF_STATES + GROWN_STATES)


def frozen_parameters(cell: Cell) -> Inputs:
    """Parameters that are told not to require grad, of tensors in every state."""
    calls = ("torch.nn.Parameter(x, requires_grad=False)", "torch.nn.Parameter(x, False)")
    return calls_in_states(cell, calls, PLAIN_STATES + LEAF_STATES + GROWN_STATES)


def detached(cell: Cell) -> Inputs:
    """detach of tensors in every state."""
    states = (*LEAF_STATES, *GROWN_STATES, *PLAIN_STATES, ("requires_grad_()", "conj()"))
    return crossed_each(
        make_applied_state, cell.target.device, ("x.detach()",), states, DIFFERENTIABLE_TYPES, LEAF_FORMS
    )


@dataclass(frozen=True, eq=False)
class DetachedInPlace(Applied):
    """A call whose result is then detached in place."""

    def code(self) -> str:
        """The call and what follows, in plain torch."""
        return f"{super().code()}\nfound.detach_()\nprint(found.is_leaf, found.requires_grad, found.grad_fn)"


def detached_in_place(calls: Inputs) -> Inputs:
    """The same calls, their results to be detached in place."""
    return Inputs([DetachedInPlace(case.plan, case.expression, case.dtype, case.exact) for case in calls.corners])


def views_to_detach(cell: Cell) -> Inputs:
    """Views of tensors in every state."""
    return detached_in_place(calls_in_states(cell, VIEWS_OF_X, LEAF_STATES[:2] + GROWN_STATES + PLAIN_STATES[:3]))


def copies_that_require(cell: Cell) -> Inputs:
    """Results of recorded operations that are no views."""
    return detached_in_place(calls_in_states(cell, RESULT_CALLS, LEAF_STATES + GROWN_STATES))


def sampled_tensor(cell: Cell) -> Inputs:
    """Plain tensors of real and complex numbers of every form."""
    return crossed_once(make_tensor, cell.target.device, DIFFERENTIABLE_TYPES, LEAF_FORMS)
