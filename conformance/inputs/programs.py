"""Programs: small differentiable computations over a few leaves, as plans that run in torch and in NumPy.

A program is a list of steps. Each step applies one operation to values that are there already (leaves, and what
earlier steps made) and gives the next value; it may take a view, write in place, or run without autograd. What a
step does in torch is a line of Python, which is run as it is printed; what it does to numbers and their derivatives
is said by its rule (``conformance.oracles.dual_rules``), so that no oracle needs autograd.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch

from conformance.inputs.program_ledger import Ledger, ledger_of
from conformance.inputs.tensors import Strided
from conformance.inputs.weights import weights_for
from conformance.oracles.dual_rules import (
    dual_acos,
    dual_add,
    dual_asin,
    dual_asinh,
    dual_atan,
    dual_atan2,
    dual_atanh,
    dual_clamp,
    dual_copy,
    dual_cos,
    dual_cosh,
    dual_detached,
    dual_div,
    dual_elu,
    dual_erf,
    dual_exp,
    dual_exponential,
    dual_filled,
    dual_fraction,
    dual_gelu,
    dual_hypot,
    dual_lerp,
    dual_linear,
    dual_log,
    dual_logaddexp,
    dual_logit,
    dual_maximum,
    dual_minimum,
    dual_mul,
    dual_plus_product,
    dual_plus_quotient,
    dual_pow,
    dual_power,
    dual_second,
    dual_sigmoid,
    dual_silu,
    dual_sin,
    dual_sinh,
    dual_sloped,
    dual_softplus,
    dual_stepped,
    dual_tan,
    dual_tanh,
    dual_where,
    dual_xlogy,
)  # fmt: skip
from conformance.oracles.dual_shapes import (
    dual_cat,
    dual_chosen,
    dual_cumprod,
    dual_cumsum,
    dual_diagonal,
    dual_einsum,
    dual_embedded,
    dual_expand,
    dual_gather,
    dual_log_softmax,
    dual_logsumexp,
    dual_masked,
    dual_norm,
    dual_pad,
    dual_part,
    dual_permute,
    dual_placed,
    dual_plus_einsum,
    dual_prod,
    dual_ranked,
    dual_reshape,
    dual_scattered,
    dual_softmax,
    dual_stack,
    dual_sum,
    dual_taken,
    dual_unfold,
    dual_var,
)  # fmt: skip
from conformance.oracles.duals import Dual, evaluated

LEAF_NAMES = "abcdefghijklm"
# What ``repr`` names: it is executable where these functions are in scope, here as in a reproducer.
RULES = (
    dual_acos, dual_add, dual_asin, dual_asinh, dual_atan, dual_atan2, dual_atanh, dual_cat, dual_chosen,
    dual_clamp, dual_copy, dual_cos, dual_cosh, dual_cumprod, dual_cumsum, dual_detached, dual_diagonal,
    dual_div, dual_einsum, dual_elu, dual_embedded, dual_erf, dual_exp, dual_expand, dual_exponential,
    dual_filled, dual_fraction, dual_gather, dual_gelu, dual_hypot, dual_lerp, dual_linear, dual_log,
    dual_log_softmax, dual_logaddexp, dual_logit, dual_logsumexp, dual_masked, dual_maximum, dual_minimum,
    dual_mul, dual_norm, dual_pad, dual_part, dual_permute, dual_placed, dual_plus_einsum, dual_plus_product,
    dual_plus_quotient, dual_pow, dual_power, dual_prod, dual_ranked, dual_reshape, dual_scattered, dual_second,
    dual_sigmoid, dual_silu, dual_sin, dual_sinh, dual_sloped, dual_softmax, dual_softplus, dual_stack,
    dual_stepped, dual_sum, dual_taken, dual_tan, dual_tanh, dual_unfold, dual_var, dual_where, dual_xlogy,
)  # fmt: skip

COMPARING = (dual_maximum, dual_minimum, dual_ranked)  # of equal numbers only one counts, or each by half


@dataclass(frozen=True, eq=False)
class Step:
    """``text``, an expression of ``x``, ``y`` and ``z``, on the values numbered in ``operands``.

    ``kind``: ``fresh`` (memory of its own), ``view``, ``repeating`` (a view that is not to be written), ``maybe`` (a
    view or a copy, as torch likes), ``write`` (to the first operand, which it returns) or ``detached``. ``keeps``
    names what its derivative needs: the operands by their letters, the result by ``r``. ``silent``: under no_grad.
    """

    text: str
    operands: tuple[int, ...]
    rule: Callable[..., Dual]
    numbers: tuple[Any, ...] = ()
    kind: str = "fresh"
    keeps: str = ""
    silent: bool = False

    def __repr__(self) -> str:
        parts = [repr(self.text), repr(self.operands), self.rule.__name__]
        parts += [repr(self.numbers)] if self.numbers else []
        parts += [f"kind={self.kind!r}"] if self.kind != "fresh" else []
        parts += [f"keeps={self.keeps!r}"] if self.keeps else []
        parts += ["silent=True"] if self.silent else []
        return f"Step({', '.join(parts)})"

    @property
    def operation(self) -> str:
        """Name of the operation: ``sin``, ``mul_``, ``nn.functional.relu``."""
        return re.split(r"[(\[]", self.text.removeprefix("torch.").removeprefix("x."))[0]

    def run(self, operands: list[torch.Tensor]) -> torch.Tensor:
        """The step in torch."""
        with torch.no_grad() if self.silent else nullcontext():
            found: torch.Tensor = program_function(self.text)(*operands)
        return found

    def line(self, names: list[str]) -> str:
        """The step's expression with the names of its operands."""
        letters = dict(zip("xyz", names, strict=False))
        return re.sub(r"\b[xyz]\b(?!=)", lambda letter: letters[letter[0]], self.text)


@dataclass(frozen=True, eq=False)
class Program:
    """Steps over leaves; ``roots`` number the values from which backward starts, each with weights of its own."""

    leaves: tuple[Strided, ...]
    steps: tuple[Step, ...]
    roots: tuple[int, ...]

    def __repr__(self) -> str:
        leaves = "".join(f"        {leaf!r},\n" for leaf in self.leaves)
        steps = "".join(f"        {step!r},\n" for step in self.steps)
        return f"Program(\n    (\n{leaves}    ),\n    (\n{steps}    ),\n    {self.roots!r},\n)"

    @cached_property
    def ledger(self) -> Ledger:
        """What the documentation says of each value's memory and history."""
        return ledger_of(len(self.leaves), self.steps)

    def starts(self) -> list[np.ndarray]:
        """Values of the leaves in float64."""
        return [np.array(leaf.array, np.float64) for leaf in self.leaves]

    @property
    def exact(self) -> bool:
        """Whether everything is computed in float64."""
        narrow = any(leaf.dtype != "float64" for leaf in self.leaves)
        return not narrow and not any("float32" in step.text for step in self.steps)

    def retainable(self) -> tuple[int, ...]:
        """Up to four values, not leaves, whose gradient can be retained and whose memory no step writes.

        None where numbers are equal that a step compares: one and the same by the leaves, they are ties as seen from
        between.
        """
        ledger, values = self.ledger, evaluated(self)
        for step in self.steps:
            compared = np.concatenate([values[i].value.ravel() for i in step.operands])
            if step.rule in COMPARING and len(np.unique(compared)) < len(compared):
                return ()
        able = [
            i
            for i in range(len(self.leaves), len(ledger.memory))
            if ledger.leaves_of(i) and ledger.memory[i] not in ledger.written
        ]
        return tuple(able[-4:])

    def new_leaves(self) -> list[torch.Tensor]:
        """Fresh leaves that require grad."""
        return [leaf.build().requires_grad_() for leaf in self.leaves]

    def run(self, leaves: list[torch.Tensor] | None = None, retained: tuple[int, ...] = ()) -> LiveProgram:
        """The program in torch, on fresh leaves or on these; values numbered in ``retained`` retain their gradient."""
        leaves = self.new_leaves() if leaves is None else leaves
        values = list(leaves)
        for number, step in enumerate(self.steps, len(leaves)):
            values.append(step.run([values[i] for i in step.operands]))
            if number in retained:
                values[-1].retain_grad()
        return LiveProgram(leaves, values, self)

    def facets(self) -> dict[str, Any]:
        """What evidence counts: types, layouts and shapes of the leaves, operations, and how many."""
        return {
            "dtypes": {leaf.dtype for leaf in self.leaves},
            "layouts": {leaf.layout for leaf in self.leaves},
            "shapes": {str(leaf.shape) for leaf in self.leaves},
            "operations": {step.operation for step in self.steps},
            "kinds": {"silent" if step.silent else step.kind for step in self.steps},
            "steps": str(len(self.steps)),
        }

    def names(self) -> list[str]:
        """Names of the values in ``code``."""
        return [*LEAF_NAMES[: len(self.leaves)], *(f"v{n}" for n in range(1, len(self.steps) + 1))]

    def made(self) -> str:
        """The leaves and what is computed from them, as plain torch."""
        names = self.names()
        lines = ["import torch"]
        lines += [f"{name} = {leaf.code()}.requires_grad_()" for name, leaf in zip(names, self.leaves, strict=False)]
        for name, step in zip(names[len(self.leaves) :], self.steps, strict=True):
            line = f"{name} = {step.line([names[i] for i in step.operands])}"
            lines += ["with torch.no_grad():", f"    {line}"] if step.silent else [line]
        return "\n".join(lines)

    def words(self) -> dict[str, str]:
        """What the words of an act stand for; the weights of the roots are rounded."""
        names = self.names()
        shapes = [evaluated(self)[root].value.shape for root in self.roots]
        weights = ", ".join(
            f"torch.tensor({weights_for(shape).round(4).tolist()}, dtype={names[root]}.dtype).reshape({shape})"
            for root, shape in zip(self.roots, shapes, strict=True)
        )
        roots, leaves = ", ".join(names[root] for root in self.roots), ", ".join(names[: len(self.leaves)])
        kept = "".join(f"\n{names[k]}.retain_grad()" for k in self.retainable())
        held = ", ".join(names[k] for k in self.retainable())
        return {"roots": roots, "weights": weights, "leaves": leaves, "kept": kept, "held": held}

    def code(self) -> str:
        """The program as plain torch, and backward."""
        words = self.words()
        back = f"torch.autograd.backward([{words['roots']}], [{words['weights']}])"
        return f"{self.made()}\n{back}\nprint([t.grad for t in ({words['leaves']},)])"

    def reductions(self) -> Iterator[Program]:
        """Simpler programs: fewer roots, fewer steps, plainer leaves."""
        from conformance.inputs.program_reductions import reduced

        return reduced(self)


class LiveProgram:
    """The tensors of a program that has run."""

    __slots__ = ("leaves", "plan", "values")

    def __init__(self, leaves: list[torch.Tensor], values: list[torch.Tensor], plan: Program) -> None:
        self.leaves, self.values, self.plan = leaves, values, plan

    def roots(self) -> list[torch.Tensor]:
        """The tensors from which backward starts."""
        return [self.values[root] for root in self.plan.roots]

    def weights(self) -> list[torch.Tensor]:
        """The gradient with which it starts from each."""
        return [
            torch.tensor(weights_for(tuple(root.shape)), dtype=root.dtype, device=root.device) for root in self.roots()
        ]

    def backward(self, **options: Any) -> None:
        """Backward from all roots into the leaves' ``.grad``."""
        torch.autograd.backward(self.roots(), self.weights(), **options)

    def gradients(self, **options: Any) -> tuple[torch.Tensor | None, ...]:
        """``torch.autograd.grad`` of all roots by all leaves; None for a leaf that was not used."""
        found: tuple[torch.Tensor | None, ...] = torch.autograd.grad(
            self.roots(), self.leaves, self.weights(), allow_unused=True, **options
        )
        return found


@cache
def program_function(text: str) -> Callable[..., torch.Tensor]:
    """The function of x, y and z that a step's text is; torch is looked up when it is called."""
    made: Callable[..., torch.Tensor] = eval(f"lambda x, y=None, z=None: {text}", {"torch": torch})
    return made


def programs(device: str = "cpu", among: tuple[int, ...] = (), risky: bool = False, exact: bool = False) -> Any:
    """Random programs of 1 to 8 steps over 1 to 4 leaves, one step of ``among`` (numbers of operations) at least.

    Each step is drawn as a few small numbers that say what it does to what is there already, so that any of them can
    be left out: a failing program shrinks to the steps that it needs. ``risky`` and ``exact`` as in ``assembled``.
    """
    from hypothesis import strategies as st

    from conformance.inputs.program_assembly import FURTHER, LEAF_SEED, STEP_SEED, assembled, with_one_of

    leaves = st.lists(st.tuples(*(st.integers(0, n - 1) for n in LEAF_SEED)), min_size=1, max_size=4)
    steps = st.lists(st.tuples(*(st.integers(0, n - 1) for n in STEP_SEED)), min_size=1, max_size=8)
    if among:
        steps = st.builds(lambda seeds, n: with_one_of(seeds, among, n), steps, st.integers(0, 8 * len(among) - 1))
    root = st.integers(0, FURTHER - 1)
    return st.builds(lambda *seeds: assembled(seeds[0], seeds[1], device, risky, exact, seeds[2]), leaves, steps, root)
