"""Hook cases: registrations that are refused, hooks that return what they may not, and hooks in rare surroundings.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#backward-hooks-execution
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from conformance.inputs.hooks import node_of
from conformance.inputs.tensors import Strided


@dataclass(frozen=True, eq=False)
class HookCase:
    """A leaf as planned, and the word that says what is done with it."""

    plan: Strided
    way: str

    def leaf(self) -> torch.Tensor:
        """A new leaf that requires grad."""
        return self.plan.build().requires_grad_()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.plan.facets(), "ways": self.way}

    def reductions(self) -> Iterator[HookCase]:
        """The same with plainer values."""
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)

    def code(self) -> str:
        """The leaf in plain torch."""
        return f"x = {self.plan.code()}"


class HookTarget(HookCase):
    """A tensor that requires grad, and a hook may be registered on."""

    def tensor(self) -> torch.Tensor:
        """The tensor."""
        leaf = self.leaf()
        return leaf if self.way == "leaf" else leaf.mul(2) if self.way == "result" else leaf.view_as(leaf)


class HookRefusal(HookCase):
    """A tensor on which no hook can be registered."""

    def tensor(self) -> torch.Tensor:
        """The tensor."""
        if self.way == "result":
            return self.leaf().mul(2)
        if self.way == "view":
            return self.leaf().view_as(self.plan.build())
        if self.way == "detached":
            return self.leaf().mul(2).detach()
        if self.way == "without recording":
            with torch.no_grad():
                return self.leaf().mul(2)
        if self.way == "frozen":
            return self.leaf().requires_grad_(False)
        return self.plan.build()


class WrongResult(HookCase):
    """A hook of a tensor, or of a node, that returns what it may not."""

    def arrange(self, result: torch.Tensor) -> None:
        """Register the hook at the result."""
        if self.way.startswith("pre"):
            node_of(result).register_prehook(self._of_many)
        elif self.way.startswith("post"):
            node_of(result).register_hook(self._of_both)
        else:
            result.register_hook(self._of_one)

    def _of_one(self, gradient: torch.Tensor) -> Any:
        if self.way == "shape":
            return torch.cat([gradient.reshape(-1), gradient.reshape(-1), gradient.new_ones(2)])
        if self.way == "element type":
            return gradient.to(torch.float32 if gradient.dtype is torch.float64 else torch.float64)
        return "a string" if self.way == "string" else 2.5

    def _of_many(self, gradients: Any) -> Any:
        return gradients[0] if self.way.endswith("no tuple") else (gradients[0], gradients[0])

    def _of_both(self, gradients: Any, outer: Any) -> Any:
        return self._of_many(gradients) if not self.way.endswith("too many") else (*gradients, *gradients)


class WrittenView(HookCase):
    """Hooks on a base and on a view of it, from before and from after one of them is written (by ``way``).

    ``base``: the base is written, ``refreshed`` after that and the view's grad_fn is read; ``view``: the view is.
    ``used``: something was computed from the view before. ``unhooked``: the view has no hook from before.
    """

    def build(self) -> LiveView:
        """The tensors, with the hooks that are from before the change, and changed."""
        return LiveView(self)


class LiveView:
    """A written view in torch: ``log`` has the gradients that each hook got."""

    def __init__(self, case: WrittenView) -> None:
        self.case = case
        self.leaf = case.leaf()
        self.base = self.leaf.clone()
        self.view = self.base[1:]
        self.log: dict[str, list[Any]] = {"old view": [], "old base": [], "new view": [], "new base": []}
        if "unhooked" not in case.way:
            self.view.register_hook(self.log["old view"].append)
        self.base.register_hook(self.log["old base"].append)
        self.used = self.view * 3 if "used" in case.way else None
        (self.base if "base" in case.way else self.view).mul_(2)
        if "refreshed" in case.way:
            self.view.grad_fn  # noqa: B018

    def listen(self) -> None:
        """Register the hooks that are from after the change."""
        self.view.register_hook(self.log["new view"].append)
        self.base.register_hook(self.log["new base"].append)

    def backward(self) -> None:
        """Backward from all at once: from the base with ones, from the view with tens, from what used it with twos."""
        parts = [(self.base, 1), (self.view, 10), (self.used, 2)]
        tensors = [(x, torch.full_like(x, weight)) for x, weight in parts if x is not None]
        torch.autograd.backward([x for x, _ in tensors], [weights for _, weights in tensors])

    def expected(self) -> dict[str, np.ndarray]:
        """The gradient by each: as the page has it, of the old value what was computed from it."""
        shape = self.case.plan.shape
        new_base = np.ones(shape)
        new_base[1:] += 10
        used = np.zeros((shape[0] - 1, *shape[1:]))
        used += 6 if "used" in self.case.way else 0
        old_base = new_base.copy()
        old_base[0 if "base" in self.case.way else 1 :] *= 2
        written = used if "base" in self.case.way else used + 2 * new_base[1:]
        old_base[1:] += used
        return {"old view": written, "old base": old_base, "new view": np.full_like(used, 10), "new base": new_base}


class SplitHook(HookCase):
    """Hooks at the outputs of a function that gives several, of which only the first is used."""

    def parts(self) -> tuple[torch.Tensor, ...]:
        """The outputs."""
        leaf = self.leaf()
        found = (
            leaf.split(1)
            if self.way == "split"
            else leaf.chunk(leaf.shape[0])
            if self.way == "chunk"
            else leaf.unbind()
        )
        return tuple(found)


class AccumulationChange(HookCase):
    """A hook after the accumulation that changes its tensor or the .grad of it."""

    def hook(self, leaf: torch.Tensor) -> None:
        """What the hook does."""
        assert leaf.grad is not None
        if self.way == "step":
            leaf.add_(leaf.grad, alpha=-2)
        elif self.way == "drop":
            leaf.grad = None
        elif self.way == "zero":
            leaf.grad.zero_()
        elif self.way == "replace":
            leaf.grad = leaf.grad * 4
        elif self.way == "step and drop":
            leaf.add_(leaf.grad, alpha=-2)
            leaf.grad = None

    def expected(self, calls: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Value and .grad of the leaf after so many backward calls of three times the leaf, each with ones."""
        value, gradient = self.plan.array, np.zeros_like(self.plan.array)
        kept: np.ndarray | None = None
        for _ in range(calls):
            gradient = gradient + 3
            value = value - 2 * gradient if "step" in self.way else value
            gradient = (
                gradient * 4 if self.way == "replace" else gradient * 0 if self.way in ("zero", "drop") else gradient
            )
            gradient = gradient * 0 if "drop" in self.way else gradient
            kept = None if "drop" in self.way else gradient
        return value, kept


class DifferentiatedHook(HookCase):
    """A hook whose result depends on the gradient, in a first derivative that is differentiated once more."""

    def hook(self, gradient: torch.Tensor) -> torch.Tensor:
        """Twice the gradient, or its square."""
        return gradient * 2 if "twice" in self.way else gradient * gradient

    def second(self) -> np.ndarray:
        """The derivative of the sum of the first derivative of the cube: the hook is called for both."""
        x = self.plan.array
        found: np.ndarray = 24 * x if "twice" in self.way else (36 * x**3) ** 2
        return found


class ThreadedHook(HookCase):
    """Backward calls in two threads through graphs that share a leaf, or through one and the same graph."""

    def run(self) -> tuple[list[Any], list[Any], list[str]]:
        """Gradients that the hook got, the results in the threads, and what they raised."""
        leaf = self.leaf()
        seen: list[Any] = []
        results: list[Any] = [None, None]
        errors: list[str] = []
        shared = leaf * 2
        graphs = [shared, shared] if self.way == "one graph" else [shared, leaf * 2]
        for graph in graphs[: 1 if self.way == "one graph" else 2]:
            graph.register_hook(seen.append)
        barrier = threading.Barrier(2)

        def work(turn: int) -> None:
            try:
                barrier.wait(60)
                seed = torch.full_like(leaf, 3 + turn)
                results[turn] = torch.autograd.grad(graphs[turn], leaf, seed, retain_graph=True)[0]
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=work, args=(turn,)) for turn in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return seen, results, errors


class NestedCall(HookCase):
    """A multi-grad hook whose tensors another backward call goes through while the first is under way."""

    def run(self, listener: Callable[[Any], None]) -> None:
        """Backward of a product, in whose hook backward of another goes to one of the two factors only."""
        a, b = self.leaf(), self.leaf()
        first, second = a * b, a * b
        torch.autograd.graph.register_multi_grad_hook([a, b, first], listener)
        calls: list[str] = []

        def inner() -> None:
            second.backward(torch.full_like(second, 5), retain_graph=True, inputs=(a,))

        def between(gradient: torch.Tensor) -> None:
            if not calls:
                calls.append("once")
                if self.way == "thread":
                    thread = threading.Thread(target=inner)
                    thread.start()
                    thread.join()
                else:
                    inner()

        first.register_hook(between)
        first.clone().backward(torch.ones_like(first), retain_graph=True)
