"""Saved tensors: operations that save tensors for backward, and the ways to pack what they save.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#hooks-for-saved-tensors
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import crossed
from conformance.inputs.functions import function_of
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.packings import PACKINGS
from conformance.inputs.saved_acts import PACKING_CODE
from conformance.inputs.tensors import Strided, corner

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

# --- operations that save -------------------------------------------------------------------------------------


def saving_square(x: torch.Tensor) -> torch.Tensor:
    """Saves its input twice, as its first and as its second operand."""
    return x * x


def saving_power(x: torch.Tensor) -> torch.Tensor:
    """Saves its input."""
    return x.pow(3)


def saving_sine(x: torch.Tensor) -> torch.Tensor:
    """Saves its input."""
    return x.sin()


def saving_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """Saves its result."""
    return x.sigmoid()


def saving_reciprocal(x: torch.Tensor) -> torch.Tensor:
    """Saves its result."""
    return x.reciprocal()


class KeptProduct:
    """A custom function that saves its input, nothing, its result and its input again."""

    @staticmethod
    def compute(x: torch.Tensor) -> torch.Tensor:
        """x squared."""
        return x * x

    @staticmethod
    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save four things, one of them None."""
        ctx.save_for_backward(inputs[0], None, output, inputs[0])

    @staticmethod
    def gradient(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        """Twice x."""
        first, _, _, second = ctx.saved_tensors
        return upstream * (first + second).conj()


def saving_function(x: torch.Tensor) -> torch.Tensor:
    """Saves what a custom function gives to save_for_backward."""
    found: torch.Tensor = function_of(KeptProduct, "ctx").apply(x)
    return found


SAVING_OPERATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "square": saving_square,
    "power": saving_power,
    "sine": saving_sine,
    "sigmoid": saving_sigmoid,
    "reciprocal": saving_reciprocal,
    "function": saving_function,
}
SAVING_CODE = {
    "square": "x * x",
    "power": "x.pow(3)",
    "sine": "x.sin()",
    "sigmoid": "x.sigmoid()",
    "reciprocal": "x.reciprocal()",
    "function": "Function.apply(x)",
}

# --- cases ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SavedUse:
    """``operation`` of x, which is a leaf made as ``plan``, or made of that leaf; ``way`` says what is done."""

    plan: Strided
    operation: str = "square"
    state: str = "leaf"
    way: str = "detached"

    def start(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The leaf, and x."""
        leaf = self.plan.build().requires_grad_()
        leaf = torch.nn.Parameter(leaf) if self.state == "parameter" else leaf
        x = leaf * 1 if "product" in self.state else leaf
        return leaf, x.transpose(0, -1) if "view" in self.state else x

    def act(self, x: torch.Tensor) -> torch.Tensor:
        """The result of the operation."""
        return SAVING_OPERATIONS[self.operation](x)

    def upstream(self, y: torch.Tensor) -> torch.Tensor:
        """The gradient of the result: numbers of the plan's type, no two neighbours equal."""
        data = corner(self.plan.dtype, tuple(y.shape), "contiguous", "ordinary", "any", self.plan.device, 3)
        return data.build()

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return self.plan.facets()

    def reductions(self) -> Iterator[SavedUse]:
        """The same with plainer values, of a leaf, and by detach."""
        for plan in self.plan.reductions():
            yield replace(self, plan=plan)
        if self.state != "leaf":
            yield replace(self, state="leaf")

    def made(self) -> str:
        """The leaf and x in plain torch."""
        made = "leaf * 1" if "product" in self.state else "leaf"
        seen = f"({made}).transpose(0, -1)" if "view" in self.state else made
        lines = [listings.kept_product()] if self.operation == "function" else []
        lines.append(f"leaf = {self.plan.code()}.requires_grad_()")
        lines += ["leaf = torch.nn.Parameter(leaf)"] if self.state == "parameter" else []
        return "\n".join([*lines, f"x = {seen}"])

    def words(self) -> dict[str, str]:
        """What the words of an act stand for."""
        packing = PACKING_CODE.get(self.way, "pack = unpack = torch.Tensor.detach")
        return {"packing": packing, "operation": SAVING_CODE[self.operation], "way!r": repr(self.way)}


SAVED_DTYPES = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")
SAVED_SHAPES = ((2, 3), (), (0,), (1,), (0, 3), (1, 3, 1), (2, 3, 5), (17,), (1, 2, 3, 3))
SAVED_STATES = ("leaf", "product", "view")


def saved_use(
    device: str, dtype: str, shape: tuple[int, ...], layout: str, operation: str, state: str, way: str
) -> SavedUse:
    """One case of one choice of each factor."""
    if dtype.startswith("complex"):
        operation = {"sine": "power", "sigmoid": "reciprocal"}.get(operation, operation)
    # powers of two, of which sums, products and reciprocals are exact whatever the order and the kernel
    return SavedUse(corner(dtype, shape, layout, "ordinary", "binary-nonzero", device), operation, state, way)


def saved_uses(cell: Cell, ways: tuple[str, ...], states: tuple[str, ...] = SAVED_STATES) -> Inputs:
    """Each way on each element type, shape, layout, operation and state."""
    return crossed(
        saved_use, cell.target.device, SAVED_DTYPES, SAVED_SHAPES, DISJOINT, tuple(SAVING_OPERATIONS), states, ways,
        passes=1,
    )  # fmt: skip


def packed_uses(cell: Cell) -> Inputs:
    """Every way to pack."""
    return saved_uses(cell, tuple(PACKINGS))


def logged_uses(cell: Cell) -> Inputs:
    """Ways to pack into objects that are told apart by identity."""
    return saved_uses(cell, ("detached", "copy", "numpy", "numbers"), (*SAVED_STATES, "parameter"))


def builtin_uses(cell: Cell) -> Inputs:
    """The same of torch's own operations, whose saved tensors have names."""
    ways = ("detached", "copy", "numpy", "numbers")
    operations = tuple(name for name in SAVING_OPERATIONS if name != "function")
    return crossed(
        saved_use, cell.target.device, SAVED_DTYPES, SAVED_SHAPES, DISJOINT, operations, SAVED_STATES, ways, passes=1
    )


def input_uses(cell: Cell) -> Inputs:
    """Operations that save their input by name, under hooks of their own or under none."""
    return crossed(
        saved_use, cell.target.device, SAVED_DTYPES, SAVED_SHAPES, DISJOINT, ("square", "power", "sine"), SAVED_STATES,
        ("plain",), passes=1,
    )  # fmt: skip


def result_uses(cell: Cell) -> Inputs:
    """Operations that save their result by name."""
    return crossed(
        saved_use, cell.target.device, SAVED_DTYPES, SAVED_SHAPES, DISJOINT, ("sigmoid", "reciprocal"), SAVED_STATES,
        ("plain",), passes=1,
    )  # fmt: skip


def pinned_uses(cell: Cell) -> Inputs:
    """Saved on the CPU, in pinned memory and in memory that is not."""
    return saved_uses(cell, ("pageable", "pinned"))


def pageable_uses(cell: Cell) -> Inputs:
    """Saved on the CPU, in memory that is not pinned."""
    return saved_uses(cell, ("pageable",))


# --- modifications --------------------------------------------------------------------------------------------


def changed_by_method(x: torch.Tensor) -> None:
    """Doubles each element."""
    x.mul_(2)


def changed_by_copy(x: torch.Tensor) -> None:
    """Copies other numbers into it."""
    x.copy_(torch.full_like(x, 5))


def changed_by_item(x: torch.Tensor) -> None:
    """Assigns to all of it."""
    x[...] = 0


def changed_through_a_view(x: torch.Tensor) -> None:
    """Writes to a view of it."""
    x.view_as(x).add_(1)


def changed_through_its_alias(x: torch.Tensor) -> None:
    """Writes to what detach made of it."""
    x.detach().sub_(3)


def changed_as_out(x: torch.Tensor) -> None:
    """Is where another operation puts its result."""
    with torch.no_grad():
        torch.add(x, 1, out=x)


def changed_twice(x: torch.Tensor) -> None:
    """Is written to two times."""
    x.add_(1)
    x.neg_()


def changed_by_another_operation(x: torch.Tensor) -> None:
    """Replaces each element by a function of it."""
    x.sin_()


CHANGES: dict[str, Callable[[torch.Tensor], None]] = {
    "method": changed_by_method,
    "copy": changed_by_copy,
    "item": changed_by_item,
    "view": changed_through_a_view,
    "alias": changed_through_its_alias,
    "out": changed_as_out,
    "twice": changed_twice,
    "sine": changed_by_another_operation,
}


def changed_in_its_last_row(x: torch.Tensor) -> None:
    """Writes to the view of its last row."""
    x[-1].mul_(2)


def changed_by_an_item_of_its_end(x: torch.Tensor) -> None:
    """Assigns to its last row."""
    x[-1] = 5


def changed_in_every_second_row(x: torch.Tensor) -> None:
    """Writes to a view that begins at the second row and steps over others."""
    x[1::2].add_(1)


PART_CHANGES: dict[str, Callable[[torch.Tensor], None]] = {
    "last row": changed_in_its_last_row,
    "item of the end": changed_by_an_item_of_its_end,
    "second rows": changed_in_every_second_row,
}


def part_mutating_uses(cell: Cell) -> Inputs:
    """Saved inputs of two rows and more, modified after they were saved through views that begin behind the first."""
    return crossed(
        saved_use, cell.target.device, SAVED_DTYPES, ((2, 3), (17,), (3, 1, 2), (2, 3, 5)), DISJOINT,
        tuple(SAVING_OPERATIONS), ("product",), tuple(PART_CHANGES), passes=1,
    )  # fmt: skip


def changing_uses(cell: Cell) -> Inputs:
    """Pack hooks that modify their input, in each way."""
    return saved_uses(cell, tuple(CHANGES))


def mutating_uses(cell: Cell) -> Inputs:
    """Saved inputs that no leaf is, modified after they were saved in each way that autograd sees."""
    ways = tuple(name for name in CHANGES if name not in ("out", "alias"))
    return crossed(
        saved_use, cell.target.device, SAVED_DTYPES, SAVED_SHAPES, DISJOINT, tuple(SAVING_OPERATIONS),
        ("product", "view of a product"), ways, passes=1,
    )  # fmt: skip


class ChangingHook:
    """A pack hook that modifies what it is given, by ``way``."""

    def __init__(self, way: str) -> None:
        self.way = way

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        """The hook."""
        CHANGES[self.way](tensor)
        return tensor.detach()


# --- nesting and threads --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Nest:
    """Pairs of hooks, one within another: ``depth`` of them, left normally or by an exception."""

    depth: int
    leaving: str = "normally"
    operation: str = "square"
    device: str = "cpu"

    def reductions(self) -> Iterator[Nest]:
        """Fewer of them."""
        if self.depth > 1:
            yield replace(self, depth=self.depth - 1)

    def act(self, x: torch.Tensor) -> torch.Tensor:
        """The result of the operation."""
        return SAVING_OPERATIONS[self.operation](x)

    def leave(self, context: Any) -> None:
        """Leave a stack of contexts, normally or by an exception."""
        error = ESCAPES[self.leaving]() if self.leaving in ESCAPES else None
        with suppress(Escape, ValueError, Interruption):
            context.__exit__(type(error) if error else None, error, None)

    def x(self) -> torch.Tensor:
        """A leaf."""
        return corner("float64", (2, 3), "contiguous", "ordinary", "any", self.device).build().requires_grad_()

    def made(self) -> str:
        """The leaf in plain torch."""
        made = corner("float64", (2, 3), "contiguous", "ordinary", "any", self.device).code()
        lines = ["import contextlib", *([listings.kept_product()] if self.operation == "function" else [])]
        return "\n".join([*lines, f"x = {made}.requires_grad_()"])

    def words(self) -> dict[str, str]:
        """What the words of an act stand for: the operation, and how a context is left."""
        escape = {"value error": "ValueError", "interruption": "KeyboardInterrupt"}.get(self.leaving, "KeyError")
        raising = f"raise {escape}" if self.leaving in ESCAPES else "pass"
        return {"operation": SAVING_CODE[self.operation], "escape": escape, "raising": raising}

    def code(self) -> str:
        """Nested pairs of hooks in plain torch."""
        return f"{self.made()}\n{listings.nested_pairs(self.depth, SAVING_CODE[self.operation], self.leaving)}"


def nested_hooks(cell: Cell) -> Inputs:
    """Depths of nesting, ways to leave and operations."""
    ways = ("normally", *ESCAPES)
    return crossed(make_nest, cell.target.device, (1, 2, 3, 4), ways, tuple(SAVING_OPERATIONS))


def nested_switches(cell: Cell) -> Inputs:
    """Depths of nesting and ways to leave."""
    return crossed(make_nest, cell.target.device, (1, 2, 3, 4), ("normally", *ESCAPES), ("square",))


def make_nest(device: str, depth: int, leaving: str, operation: str) -> Nest:
    """One nest."""
    return Nest(depth, leaving, operation, device)


class Escape(Exception):
    """What leaves a context early."""


class Interruption(BaseException):
    """The same, and no Exception."""


ESCAPES: dict[str, type[BaseException]] = {"exception": Escape, "value error": ValueError, "interruption": Interruption}


def entered(context: Any) -> str:
    """Enter a context, and leave it where that succeeds."""
    with context:
        return "a context"


def in_a_thread(action: Callable[[], Any]) -> Any:
    """The result of ``action`` in a thread of its own, joined; an exception comes out here."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
