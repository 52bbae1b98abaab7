"""Calls: one in-place method call as a plan, with its inputs down to the bytes and with its oracle.

A ``Call`` prints itself as executable Python, builds fresh tensors each time, and carries the written-out
reference of its operation (a function of ``conformance.oracles.references`` or of NumPy), so that a check or a
reproducer needs no catalogue. Which calls there are says ``conformance.inputs.corners``.
Reference: https://docs.pytorch.org/docs/stable/tensors.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.inputs.layouts import DISJOINT, REPEATING
from conformance.inputs.tensors import Strided, strided
from conformance.oracles.references.elementwise import (
    between,
    cardinal_sine,
    clamped,
    clamped_above,
    clamped_below,
    floor_quotient,
    fraction,
    in_degrees,
    in_radians,
    inverse,
    inverse_root,
    log_of_one_more,
    logistic,
    minus,
    modulus,
    nearest,
    next_after,
    numbered,
    plus,
    plus_product,
    plus_quotient,
    power,
    quotient,
    rectified,
    scaled_by_power_of_two,
    sign_of,
    step_at_zero,
    times,
    whole_above,
    whole_below,
    whole_towards_zero,
    x_log_y,
)  # fmt: skip
from conformance.oracles.references.indexed import (
    added_at_indices,
    filled_where,
    put_at_indices,
    put_at_places,
    reduced_at_indices,
    rows_added,
    rows_copied,
    rows_filled,
    rows_reduced,
    scattered_where,
    written_at_indices,
)  # fmt: skip
from conformance.oracles.references.matrix import (
    plus_matrix_product,
    plus_outer_product,
    plus_summed_products,
)  # fmt: skip
from conformance.oracles.references.special import (
    bessel_i0,
    error_function,
    error_function_complement,
    error_function_inverse,
    gamma_lower,
    gamma_upper,
    log_gamma,
    log_odds,
    multivariate_log_gamma,
    psi,
    psi_derivative,
)  # fmt: skip
from conformance.oracles.references.whole import (
    filled,
    filled_diagonal,
    function_applied,
    lower_triangle,
    restrided,
    running_product,
    running_sum,
    source_copied,
    two_axes_swapped,
    upper_triangle,
    without_ones,
    zeros_of,
)  # fmt: skip

if TYPE_CHECKING:
    from conformance.engine.cases import Inputs
    from conformance.engine.catalogue import Operator


# What ``repr`` names: it is executable where these functions are in scope, here as in a reproducer.
REFERENCES = (
    added_at_indices, bessel_i0, between, cardinal_sine, clamped, clamped_above, clamped_below,
    error_function, error_function_complement, error_function_inverse, filled, filled_diagonal,
    filled_where, floor_quotient, fraction, function_applied, gamma_lower, gamma_upper, in_degrees,
    in_radians, inverse, inverse_root, log_gamma, log_odds, log_of_one_more, logistic, lower_triangle,
    minus, modulus, multivariate_log_gamma, nearest, next_after, numbered, plus, plus_matrix_product,
    plus_outer_product, plus_product, plus_quotient, plus_summed_products, power, psi, psi_derivative,
    put_at_indices, put_at_places, quotient, rectified, reduced_at_indices, restrided, rows_added,
    rows_copied, rows_filled, rows_reduced, running_product, running_sum, scaled_by_power_of_two,
    scattered_where, sign_of, source_copied, step_at_zero, times, two_axes_swapped, upper_triangle,
    whole_above, whole_below, whole_towards_zero, without_ones, written_at_indices, x_log_y, zeros_of,
)  # fmt: skip


@dataclass(frozen=True)
class Seeded:
    """A random generator of its own, so that no call draws from the global one; none on meta, which has none."""

    seed: int
    device: str = "cpu"

    def build(self) -> torch.Generator | None:
        """A new ``torch.Generator`` with this seed."""
        if self.device == "meta":
            return None
        generator = torch.Generator(device=self.device)
        generator.manual_seed(self.seed)
        return generator

    def code(self) -> str:
        """One expression of plain torch that makes the same generator."""
        if self.device == "meta":
            return "None"
        return f"torch.Generator(device={self.device!r}).manual_seed({self.seed})"


@dataclass(frozen=True)
class Function:
    """A Python function for ``apply_`` and its like, as the source of a lambda expression."""

    source: str

    def build(self) -> Callable[..., Any]:
        """The function."""
        made: Callable[..., Any] = eval(self.source)  # the source is a literal of this project
        return made

    def code(self) -> str:
        """The lambda expression."""
        return self.source


@dataclass(frozen=True, eq=False)
class Call:
    """``self_.method(*args, **kwargs)``, where ``Strided`` plans (also in tuples) stand for tensors.

    ``reference`` computes the documented values; ``promotion`` says in which element type, ``accuracy`` how
    close torch has to come (a class of ``numbers.TOLERANCES``). ``kind`` names the values, for evidence.
    """

    method: str
    self_: Strided
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    reference: Callable[..., Any] | None = None
    promotion: str = "same"
    accuracy: str = "exact"
    kind: str = "ordinary"
    by_element: bool = False  # whether a part of self and of every operand is a call of the same kind

    def __repr__(self) -> str:
        parts = [repr(self.method), repr(self.self_)]
        parts += [f"args={_written(self.args)}"] if self.args else []
        parts += [f"kwargs={_written(self.kwargs)}"] if self.kwargs else []
        parts += [f"reference={_reference_name(self.reference)}"] if self.reference is not None else []
        parts += [f"promotion={self.promotion!r}"] if self.promotion != "same" else []
        parts += [f"accuracy={self.accuracy!r}"] if self.accuracy != "exact" else []
        return f"Call({', '.join(parts)})"

    def build(self) -> LiveCall:
        """Fresh tensors, ready to be called."""
        return self.build_around(self.self_.build())

    def build_around(self, self_: torch.Tensor) -> LiveCall:
        """Fresh operands beside a tensor that is there already."""
        return LiveCall(self_, [_built(x) for x in self.args], {k: _built(v) for k, v in self.kwargs.items()}, self)

    def with_self(self, plan: Strided) -> Call:
        """The same call on another ``self``."""
        return replace(self, self_=plan)

    @property
    def functional(self) -> str:
        """Name of the out-of-place variant."""
        return self.method[:-1]

    def tensors(self) -> list[Strided]:
        """Plans of all tensor operands other than self, in order."""
        found: list[Strided] = []
        for value in (*self.args, *self.kwargs.values()):
            found += [x for x in (value if isinstance(value, tuple) else (value,)) if isinstance(x, Strided)]
        return found

    def code(self) -> str:
        """Plain torch: one line for each operand, and the call."""
        names = iter(("other", "another", "third", "fourth"))
        lines = ["import torch", f"x = {self.self_.code()}"]
        shown = []
        for value in self.args:
            if isinstance(value, Strided):
                name = next(names)
                lines.append(f"{name} = {value.code()}")
                shown.append(name)
            else:
                shown.append(_code(value))
        shown += [f"{key}={_code(value)}" for key, value in self.kwargs.items()]
        return "\n".join([*lines, f"x.{self.method}({', '.join(shown)})"])

    def facets(self) -> dict[str, Any]:
        """What evidence counts: self's type, layout and shape, and the kind of its values."""
        return {**self.self_.facets(), "values": self.kind}

    def reductions(self) -> Iterator[Call]:
        """Simpler calls whose operands stay in the operation's domain: fewer elements, plainer layouts and values.

        ``values`` are reduced to ones that the call already has, so that none leaves the domain; shapes only where
        the operation works element by element, since elsewhere those of the operands depend on each other.
        """
        if self.by_element:
            yield from _smaller(self)
        for plan in _plainer(self.self_) if self.method != "as_strided_" else ():
            yield self.with_self(plan)
        for index, value in enumerate(self.args):
            if isinstance(value, Strided):
                for plan in _plainer(value):
                    yield replace(self, args=(*self.args[:index], plan, *self.args[index + 1 :]))
        for key in self.kwargs:
            if key in (
                "alpha",
                "beta",
                "value",
                "decimals",
                "include_self",
                "accumulate",
                "wrap",
                "diagonal",
            ):
                yield replace(self, kwargs={k: v for k, v in self.kwargs.items() if k != key})


class LiveCall:
    """The tensors of a call; each method calls torch by name, at the time of the call."""

    __slots__ = ("args", "kwargs", "plan", "self_")

    def __init__(self, self_: torch.Tensor, args: list[Any], kwargs: dict[str, Any], plan: Call) -> None:
        self.self_ = self_
        self.args = args
        self.kwargs = kwargs
        self.plan = plan

    def apply(self) -> Any:
        """The in-place call."""
        return getattr(self.self_, self.plan.method)(*self.args, **self.kwargs)

    def apply_counterpart(self) -> Any:
        """The out-of-place variant on the same inputs: the method without its underscore, else torch's function."""
        name = self.plan.functional
        if hasattr(self.self_, name):
            return getattr(self.self_, name)(*self.args, **self.kwargs)
        return getattr(torch, name)(self.self_, *self.args, **self.kwargs)

    def apply_out(self, out: torch.Tensor) -> Any:
        """torch's function on the same inputs, with ``out=``."""
        inputs = (self.self_, *self.args) if self.plan.method != "polygamma_" else (*self.args, self.self_)
        return getattr(torch, self.plan.functional)(*inputs, **self.kwargs, out=out)


def inplace_calls(cell: Any) -> Inputs:
    """Corners and samples of the cell's operator on the cell's device."""
    from conformance.engine.cases import Inputs
    from conformance.inputs.call_strategies import inplace_samples
    from conformance.inputs.corners import corners_of

    row, device = cell.subject, cell.target.device
    return Inputs(corners=corners_of(row, device), samples=inplace_samples(row, device))


def inplace_corners(row: Operator, device: str = "cpu") -> tuple[Call, ...]:
    """Every corner of an operator; made once a process."""
    from conformance.inputs.corners import corners_of

    return corners_of(row, device)


def _built(value: Any) -> Any:
    kind = type(value)
    if kind is Strided or kind is Seeded or kind is Function:
        return value.build()
    return tuple([_built(x) for x in value]) if kind is tuple else value


def _smaller(call: Call) -> Iterator[Call]:
    """The call on the first and on the last elements along one dimension."""
    rank = len(call.self_.shape)
    for axis, extent in enumerate(call.self_.shape):
        for kept in sorted({1, extent // 2, extent - 1}):
            for part in (slice(0, kept), slice(extent - kept, extent)) if 0 < kept < extent else ():
                args = tuple(_cut(x, axis - rank, extent, part) if isinstance(x, Strided) else x for x in call.args)
                yield replace(call, self_=_cut(call.self_, axis - rank, extent, part), args=args)


def _cut(plan: Strided, axis: int, extent: int, part: slice) -> Strided:
    """A part of an operand along an axis counted from the end; the operand itself where it is broadcast there."""
    if -axis > len(plan.shape) or plan.shape[axis] != extent:
        return plan
    index = [slice(None)] * len(plan.shape)
    index[axis] = part
    values = plan.array[tuple(index)].ravel()
    period = values[: len(plan.data)]  # kept where it still repeats, so that a long tensor stays short in print
    data = period if np.resize(period, values.shape).tobytes() == values.tobytes() else values
    shape = tuple(part.stop - part.start if i == axis % len(plan.shape) else n for i, n in enumerate(plan.shape))
    layout = plan.layout if plan.layout in DISJOINT else "contiguous"
    return strided(plan.dtype, shape, layout, tuple(data.tolist()), plan.device)


def _plainer(plan: Strided) -> Iterator[Strided]:
    if plan.layout != "contiguous":
        yield replace(plan, stride=None, offset=0, size=None, layout="contiguous")
    if plan.layout not in REPEATING and "int64" not in plan.dtype:
        distinct = list({repr(x): x for x in plan.data}.values())
        if len(distinct) > 1:
            for value in distinct:
                yield replace(plan, data=(value,))
        elif len(plan.data) > 1:
            yield replace(plan, data=(distinct[0],))


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_written(x) for x in value) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_written(x)}" for key, x in value.items()) + "}"
    if isinstance(value, complex):
        return f"complex({_written(value.real)}, {_written(value.imag)})"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f"float('{value}')"
    return repr(value)


def _code(value: Any) -> str:
    if isinstance(value, Strided | Seeded | Function):
        return value.code()
    if isinstance(value, tuple):
        return "(" + ", ".join(_code(x) for x in value) + ("," if len(value) == 1 else "") + ")"
    return _written(value)


def _reference_name(reference: Callable[..., Any]) -> str:
    if isinstance(reference, np.ufunc) or reference.__module__.startswith("numpy"):
        return f"np.{reference.__name__}"
    return reference.__name__
