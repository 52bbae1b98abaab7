"""Decorated modes: functions, methods and generators that run in a grad mode of their own.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.inputs import listings
from conformance.inputs.covering import covering
from conformance.inputs.grad_modes import (
    ENABLE_GRAD,
    GRAD_OFF,
    GRAD_ON,
    INFERENCE,
    LEAVING,
    NO_GRAD,
    Bailing,
    mode_of,
    under,
)

if TYPE_CHECKING:
    from conformance.engine.cells import Cell


@dataclass(frozen=True)
class Decorated:
    """A callable of some ``kind``, decorated with a mode in one ambient mode and called in others, one by one.

    ``ending`` is "return", or which exception it raises.
    """

    mode: str
    kind: str
    made_in: tuple[str, ...]
    called_in: tuple[tuple[str, ...], ...]
    ending: str = "return"

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"modes": self.mode, "callables": self.kind, "endings": self.ending}

    def reductions(self) -> Iterator[Decorated]:
        """A plain function, made and called in the default mode."""
        if self.kind != "function":
            yield replace(self, kind="function")
        if self.made_in:
            yield replace(self, made_in=())
        for number in range(len(self.called_in)):
            if len(self.called_in) > 1:
                yield replace(self, called_in=self.called_in[:number] + self.called_in[number + 1 :])
        if self.called_in != ((),):
            yield replace(self, called_in=((),))

    def code(self) -> str:
        """The same in plain torch."""
        return listings.decorated(self)


def decorated(mode: str, kind: str, body: Callable[..., Any]) -> Callable[..., Any]:
    """A callable of that kind, which has been decorated with the mode."""
    decorator: Callable[[Callable[..., Any]], Callable[..., Any]] = mode_of(mode)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return body(*args, **kwargs)

    def recursive(*args: Any, depth: int = 3, **kwargs: Any) -> Any:
        if not depth:
            return body(*args, **kwargs)
        with torch.set_grad_enabled(not torch.is_grad_enabled()):  # which the call inside is to leave again
            return again(*args, depth=depth - 1, **kwargs)

    if kind in ("method", "class method", "static method"):
        made = decorator(body if kind == "static method" else method)
        wrapped = {"class method": classmethod(made), "static method": staticmethod(made)}.get(kind, made)
        found: Callable[..., Any] = type("Owner", (), {"call": wrapped})().call
        return found
    if kind == "decorated static method":
        owner: Any = type("Owner", (), {"call": decorator(staticmethod(body))})
        found = owner.call
        return found
    if kind == "partial":
        return decorator(partial(body))
    if kind == "instance":
        return decorator(Answering(body))
    if kind == "recursive":
        again = decorator(recursive)
        return again
    if kind == "twice":
        return decorator(mode_of(mode)(body))
    return decorator((lambda *args, **kwargs: body(*args, **kwargs)) if kind == "lambda" else body)


class Answering:
    """An object that can be called."""

    def __init__(self, body: Callable[..., Any]) -> None:
        self.body = body

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.body(*args, **kwargs)


CALLABLE_OBJECTS = ("decorated static method", "partial", "instance")
CALLABLES = ("function", "lambda", "method", "static method", "class method", "recursive", "twice")
AMBIENTS = ((), (NO_GRAD,), (GRAD_OFF, ENABLE_GRAD), (INFERENCE,))
DECORATING = (NO_GRAD, ENABLE_GRAD, GRAD_OFF, GRAD_ON, INFERENCE)


@dataclass(frozen=True)
class Driven:
    """A decorated generator function, whose generator is driven by ``moves``: pairs of what is done and in which modes.

    What is done: "next", "send", "send 0", "throw" (an exception that the body catches), "raise" (one that it does not)
    or "close".
    """

    mode: str
    moves: tuple[tuple[str, tuple[str, ...]], ...]

    def drive(self, generator: Any, look: Callable[[], Any]) -> list[tuple[Any, Any]]:
        """Each move's outcome, and what ``look`` sees after it, still in the move's own modes."""
        return [under(modes, lambda move=move: (moved(generator, move), look())) for move, modes in self.moves]  # type: ignore[misc]

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {"modes": self.mode, "moves": [move for move, _ in self.moves]}

    def reductions(self) -> Iterator[Driven]:
        """Fewer moves, in the default mode."""
        for number in range(len(self.moves)):
            if len(self.moves) > 1:
                yield replace(self, moves=self.moves[:number] + self.moves[number + 1 :])
            move, modes = self.moves[number]
            if modes:
                yield replace(self, moves=(*self.moves[:number], (move, ()), *self.moves[number + 1 :]))

    def code(self) -> str:
        """The same in plain torch."""
        return listings.driven(self.mode, self.moves)


def moved(generator: Any, move: str) -> Any:
    """What comes of one move: what was yielded, returned or raised, in words."""
    try:
        if move == "next":
            return "yields", next(generator)
        if move == "send":
            return "yields", generator.send("sent")
        if move == "send 0":
            return "yields", generator.send(0)
        if move == "throw":
            return "yields", generator.throw(Bailing("caught inside"))
        if move == "raise":
            return "yields", generator.throw(ArithmeticError("not caught"))
        return "closes", generator.close()
    except StopIteration as stop:
        return "returns", stop.value
    except (Bailing, ArithmeticError, TypeError) as error:
        return "raises", f"{type(error).__name__}: {error}"


def narrator(seen: list[Any], look: Callable[[], Any]) -> Any:
    """The body of a generator that notes what ``look`` sees whenever it runs."""
    got: Any = "started"
    try:
        for number in range(3):
            seen.append(look())
            try:
                got = yield number, got
            except Bailing as error:
                got = str(error)
        return "the end"
    finally:
        seen.append(look())


GENERATING = (NO_GRAD, ENABLE_GRAD, INFERENCE)
MOVES = ("next", "send", "send 0", "throw", "raise", "close")


# --- sources ---


def decorated_calls(
    cell: Cell, modes: tuple[str, ...] = DECORATING, endings: tuple[str, ...] = ("return",),
    kinds: tuple[str, ...] = CALLABLES,
) -> Inputs:  # fmt: skip
    """Callables of every kind, decorated in one mode and called in two others."""
    from hypothesis import strategies as st

    calls = tuple((first, second) for first in AMBIENTS for second in AMBIENTS if first != second)
    factors = (modes, kinds, AMBIENTS[:3], calls, endings)
    return Inputs([Decorated(*row) for row in covering(*factors)], st.builds(Decorated, *map(st.sampled_from, factors)))


def decorating_managers(cell: Cell) -> Inputs:
    """The three whose page says that they are decorators."""
    return decorated_calls(cell, (NO_GRAD, ENABLE_GRAD, INFERENCE))


def decorating_setters(cell: Cell) -> Inputs:
    """set_grad_enabled, of which only the note says it."""
    return decorated_calls(cell, (GRAD_OFF, GRAD_ON), ("return", "Bailing"))


def raising_functions(cell: Cell) -> Inputs:
    """Decorated callables that raise, what a handler of Exception does not see too."""
    return decorated_calls(cell, (NO_GRAD, ENABLE_GRAD, INFERENCE), tuple(LEAVING))


def decorated_objects(cell: Cell) -> Inputs:
    """Objects that can be called and are no functions."""
    return decorated_calls(cell, (NO_GRAD, ENABLE_GRAD, INFERENCE), ("return", "Bailing"), CALLABLE_OBJECTS)


def decorated_bare(cell: Cell) -> Inputs:
    """Managers used as decorators without parentheses."""
    modes = tuple(mode.removesuffix("()") for mode in (NO_GRAD, ENABLE_GRAD))
    return decorated_calls(cell, modes, ("return", "Bailing"))


def inference_mode_bare(cell: Cell) -> Inputs:
    """inference_mode used as a decorator without parentheses."""
    return decorated_calls(cell, ("torch.inference_mode",), ("return", "Bailing"))


def driven_generators(cell: Cell) -> Inputs:
    """Generators moved in every way, the caller's mode another one at each move."""
    from hypothesis import strategies as st

    rows = covering(GENERATING, MOVES, MOVES, MOVES, AMBIENTS, AMBIENTS, AMBIENTS, AMBIENTS)
    found = [Driven(m, (("next", p), (a, q), (b, r), (c, s))) for m, a, b, c, p, q, r, s in rows]
    found += [Driven(m, (("next", p), ("next", ()), ("next", p), ("next", ()))) for m in GENERATING for p in AMBIENTS]
    found += [Driven(m, (("close", ()), ("next", ()))) for m in GENERATING[:2]]
    moves = st.lists(st.tuples(st.sampled_from(MOVES), st.sampled_from(AMBIENTS)), min_size=1, max_size=6).map(tuple)
    return Inputs(found, st.builds(Driven, st.sampled_from(GENERATING), moves))
