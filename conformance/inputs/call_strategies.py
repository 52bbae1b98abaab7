"""Strategies of calls: Hypothesis draws one string of bytes a case, which is cheap and shrinks well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.inputs.calls import Call
from conformance.inputs.corners import call_made, factors
from conformance.inputs.operands import Drawn

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from conformance.engine.catalogue import Operator


def inplace_samples(row: Operator, device: str = "cpu") -> SearchStrategy[Call]:
    """Calls of one operator: its factors chosen freely, its values from the pool of each operand's domain."""
    from hypothesis import strategies as st

    choices = factors(row, True)

    def call(drawn: bytes) -> Call:
        choice = [factor[byte % len(factor)] for factor, byte in zip(choices, drawn, strict=False)]
        return call_made(row, choice, Drawn(device, drawn[len(choices) :]))

    count = len(choices) + 41
    return st.binary(min_size=count, max_size=count).map(call)
