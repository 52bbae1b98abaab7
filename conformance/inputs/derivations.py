"""Derivations: one differentiable call at a point in general position, and what its derivative has to be there.

The call is a line of Python over the operands x, y, z, …; the floating and complex ones are leaves. What comes out is
added up with weights to one real number (of a complex element the real and the imaginary part both count), so that
differences of that number say what every gradient has to be. The gradient by a complex operand is, by convention, the
derivative by the real part plus 1j times that by the imaginary part.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#autograd-for-complex-numbers
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.layer_uses import layer_seed
from conformance.inputs.tensors import Strided, strided
from conformance.inputs.weights import weights_for

OPERAND_NAMES = "xyzuvw"
BACKWARD = """\
result = {text}
parts = [t for t in (result if isinstance(result, (tuple, list)) else (result,)) if t.requires_grad]
torch.autograd.backward(parts, [torch.linspace(1, 2, t.numel()).to(t).reshape(t.shape){gaps} for t in parts])
print([(each, each.stride()) for each in ({leaves},) if each is not None])"""


@dataclass(frozen=True, eq=False)
class Derivation:
    """``text``, an expression of x, y, z, u, v and w, on ``operands`` in this order.

    ``alone`` is the one operand that requires grad, ``part`` the one differentiable result that is used, where not all
    are; with ``gaps`` incoming gradients are not contiguous.
    """

    text: str
    operands: tuple[Strided, ...]
    alone: int | None = None
    part: int | None = None
    gaps: bool = False

    def leaf_numbers(self) -> list[int]:
        """Which operands are leaves: all of floating and complex type, or one of them alone."""
        kinds = [ELEMENT_TYPES[plan.dtype].kind for plan in self.operands]
        return [i for i, kind in enumerate(kinds) if kind in ("floating", "complex") and self.alone in (None, i)]

    def tensors(self, record: bool = True, starts: dict[int, np.ndarray] | None = None) -> list[torch.Tensor]:
        """Fresh operands; ``starts`` are other values for some, ``record`` makes leaves of those that can be."""
        given = starts or {}
        found = [
            torch.tensor(given[i], device=plan.device) if i in given else plan.build()
            for i, plan in enumerate(self.operands)
        ]
        for i in self.leaf_numbers() if record else ():
            found[i].requires_grad_()
        return found

    def outputs(self, operands: list[torch.Tensor]) -> list[torch.Tensor]:
        """The differentiable results of the call that are used."""
        found = derivation_function(self.text)(*operands)
        several = found if isinstance(found, tuple | list) else (found,)
        results = [x for x in several if x.is_floating_point() or x.is_complex()]
        return results if self.part is None else results[self.part : self.part + 1]

    def loss(self, starts: dict[int, np.ndarray]) -> float:
        """The weighted sum of all results without autograd, for these values of the leaves."""
        with torch.no_grad():
            results = self.outputs(self.tensors(False, starts))
        total = 0.0
        for result in results:
            weights = torch.tensor(loss_weights(result), device=result.device)
            total += float((result * weights.conj()).sum().real)
        return total

    def gradients(self, operands: list[torch.Tensor], **options: Any) -> list[torch.Tensor | None]:
        """``torch.autograd.grad`` of the weighted sum by every leaf."""
        return self.gradients_of([x for x in self.outputs(operands) if x.requires_grad], operands, **options)

    def gradients_of(
        self, results: list[torch.Tensor], operands: list[torch.Tensor], **options: Any
    ) -> list[torch.Tensor | None]:
        """The same of results that are there; None by every leaf where no result requires grad."""
        if not results:
            return [None for _ in self.leaf_numbers()]
        weights = [torch.tensor(loss_weights(x), dtype=x.dtype, device=x.device) for x in results]
        if self.gaps:
            weights = [torch.stack((x, x), -1)[..., 0] for x in weights]
        leaves = [operands[i] for i in self.leaf_numbers()]
        return list(torch.autograd.grad(results, leaves, weights, allow_unused=True, **options))

    def starts(self) -> dict[int, np.ndarray]:
        """Values of the leaves by number, in double precision."""
        return {i: in_double_precision(self.operands[i].array) for i in self.leaf_numbers()}

    def laid_out(self, layout: str, number: int) -> Derivation:
        """The same with one operand in another layout."""
        plan = self.operands[number]
        other = strided(plan.dtype, plan.shape, layout, plan.data, plan.device)
        return replace(self, operands=(*self.operands[:number], other, *self.operands[number + 1 :]))

    def facets(self) -> dict[str, Any]:
        """What evidence counts: types, layouts and shapes of the leaves."""
        plans = [self.operands[i] for i in self.leaf_numbers()]
        return {
            "dtypes": {plan.dtype for plan in plans},
            "layouts": {plan.layout for plan in plans},
            "shapes": {str(plan.shape) for plan in plans},
        }

    def code(self) -> str:
        """The call as plain torch."""
        lines = ["import torch"]
        if "assigned(" in self.text:
            lines += ["def assigned(into, index, value):", "    into[index] = value", "    return into"]
        if "seeded_alike(" in self.text:
            lines += ["def seeded_alike(x, draw):", "    torch.manual_seed(1)", "    return draw()"]
        for i, (name, plan) in enumerate(zip(OPERAND_NAMES, self.operands, strict=False)):
            lines.append(f"{name} = {plan.code()}{'.requires_grad_()' if i in self.leaf_numbers() else ''}")
        leaves = ", ".join(f"{OPERAND_NAMES[i]}.grad" for i in self.leaf_numbers())
        text = self.text if self.part is None else f"({self.text})[{self.part}]"
        gaps = ".unsqueeze(-1).repeat_interleave(2, -1)[..., 0]" if self.gaps else ""
        return "\n".join([*lines, BACKWARD.format(text=text, leaves=leaves, gaps=gaps)])

    def reductions(self) -> Iterator[Derivation]:
        """The same with plainer layouts, or of all operands and results."""
        if self.gaps:
            yield replace(self, gaps=False)
        if self.alone is not None:
            yield replace(self, alone=None)
        if self.part is not None:
            yield replace(self, part=None)
        for i, plan in enumerate(self.operands):
            if plan.layout != "contiguous":
                yield self.laid_out("contiguous", i)


@cache
def derivation_function(text: str) -> Callable[..., Any]:
    """The function of the operands that a text is; torch is looked up when it is called."""
    known = {"torch": torch, "assigned": assigned, "seeded_alike": seeded_alike}
    made: Callable[..., Any] = eval(f"lambda x=None, y=None, z=None, u=None, v=None, w=None: {text}", known)
    return made


def assigned(into: torch.Tensor, index: Any, value: Any) -> torch.Tensor:
    """``into``, after an assignment to some of its elements."""
    into[index] = value
    return into


def seeded_alike(x: torch.Tensor, draw: Callable[[], Any]) -> Any:
    """What ``draw`` returns with the same random numbers each time; the generators stay as they were."""
    with layer_seed(1, str(x.device)):
        return draw()


def in_double_precision(array: np.ndarray) -> np.ndarray:
    """A copy in float64, or in complex128."""
    return np.array(array, np.complex128 if array.dtype.kind == "c" else np.float64)


def loss_weights(result: torch.Tensor) -> np.ndarray:
    """The weight of each element of a result; complex, for a complex one."""
    weights = weights_for(tuple(result.shape))
    return weights * (1 - 0.5j) if result.is_complex() else weights
