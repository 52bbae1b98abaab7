"""Refusals: calls that the documentation has refused, and operands that share memory with self.

Reference: https://docs.pytorch.org/docs/stable/notes/broadcasting.html#in-place-semantics
Reference: https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from conformance.inputs.calls import Call, LiveCall
from conformance.inputs.layouts import places
from conformance.inputs.tensors import Strided

Window = tuple[tuple[int, ...], tuple[int, ...], int]


@dataclass(frozen=True, eq=False)
class Doomed:
    """A call that is refused, for ``reason``; self is plain, a leaf that requires grad, or an expanded view."""

    call: Call
    reason: str
    state: str = "plain"

    def build(self) -> LiveCall:
        """Fresh tensors, ready to be called."""
        live = self.call.build()
        if self.state == "leaf":
            live.self_.requires_grad_()
        return live

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.call.facets(), "reasons": self.reason}

    def reductions(self) -> Iterator[Doomed]:
        """The same with a plainer self, as long as it stays expanded where it has to be."""
        for call in self.call.reductions():
            if self.state != "expanded" or call.self_.layout == "expanded":
                yield replace(self, call=call)

    def code(self) -> str:
        """The call in plain torch."""
        lines = self.call.code().splitlines()
        state = ["x.requires_grad_()"] if self.state == "leaf" else []
        return "\n".join([*lines[:-1], *state, f"{lines[-1]}  # refused: {self.reason}"])


@dataclass(frozen=True, eq=False)
class Overlapping:
    """A call whose self and whose argument number ``argument`` are two windows on one storage.

    A window is a shape, strides and an offset; ``storage`` is the plan of the 1-d tensor below.
    """

    call: Call
    argument: int
    storage: Strided
    target: Window
    operand: Window

    def build(self) -> LiveCall:
        """Fresh tensors, ready to be called."""
        live = self.call.build()
        base = self.storage.build()
        live.self_ = base.as_strided(*self.target)
        same = self.operand == self.target
        live.args[self.argument] = live.self_ if same else base.as_strided(*self.operand)
        return live

    @property
    def method(self) -> str:
        """The method that is called."""
        return self.call.method

    def apart(self) -> Call:
        """The same call on the same numbers, each tensor in memory of its own, as NumPy reads them."""
        args = list(self.call.args)
        args[self.argument] = self._read(self.operand)
        return replace(self.call, self_=self._read(self.target), args=tuple(args))

    def _read(self, window: Window) -> Strided:
        dtype, array = self.storage.dtype, self.storage.array
        data = tuple(array[places(*window)].tolist())
        return Strided(dtype, window[0], data, device=self.storage.device)

    def facets(self) -> dict[str, Any]:
        """What evidence counts of this case."""
        return {**self.call.facets(), "shapes": str(self.target[0]), "layouts": str(self.target[1])}

    def reductions(self) -> Iterator[Overlapping]:
        """The same with fewer different values."""
        for value in self.storage.data[:3]:
            if len(self.storage.data) > 1:
                yield replace(self, storage=replace(self.storage, data=(value,)))

    def code(self) -> str:
        """The call in plain torch."""
        name = ("other", "another", "third", "fourth")[self.argument]
        lines = self.call.code().splitlines()
        kept = [line for line in lines[:-1] if not line.startswith(("x =", f"{name} ="))]
        windows = [
            f"base = {self.storage.code()}",
            f"x = base.as_strided({', '.join(map(str, self.target))})",
        ]
        return "\n".join([*kept, *windows, f"{name} = base.as_strided({', '.join(map(str, self.operand))})", lines[-1]])
