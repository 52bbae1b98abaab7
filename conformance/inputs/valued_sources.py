"""Valued sources: the cases of a call as a catalogue writes it, over element types, layouts and numbers.

Reference: https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.cases import Inputs
from conformance.engine.versions import release
from conformance.inputs.covering import covering
from conformance.inputs.tensors import strided
from conformance.inputs.valued_calls import ValuedCall, worded_plan

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

FLOATING = ("float64", "float32", "bfloat16", "float16")
VALUED_LAYOUTS = ("contiguous", "transposed", "stepped", "offset", "sliced", "channels_last", "expanded")


def valued_call(call: dict[str, Any], makes: str, dtype: str, layout: str, turn: int, device: str) -> ValuedCall:
    """The case of a call as a catalogue writes it; layouts and numbers of further inputs follow by turns."""
    start = VALUED_LAYOUTS.index(layout)
    plans = []
    for number, words in enumerate(call["x"]):
        kind = VALUED_LAYOUTS[(start + number * (1 + turn % 3)) % len(VALUED_LAYOUTS)]
        kind = "contiguous" if number in call.get("plain", ()) else kind
        fixed = call.get("numbers", {}).get(str(number))
        if fixed is None:
            plans.append(worded_plan(words, dtype, kind, turn + 5 * number, device))
        else:
            whole = all(type(x) is int for x in fixed)
            kind = "offset" if kind == "expanded" else kind
            name = "bool" if all(type(x) is bool for x in fixed) else "int64" if whole else dtype
            shape = tuple(int(word) for word in words.split() if word.isdigit())
            plans.append(strided(name, shape, kind, tuple(map(as_number, fixed)), device))
    built = tuple(
        (name, worded_plan(words, dtype, call.get("built in", "contiguous"), turn + 3, device))
        for name, words in call.get("built", {}).items()
    )
    return ValuedCall(
        makes,
        tuple(plans),
        tuple((name, as_tuple(value)) for name, value in call.get("with", {}).items()),
        built,
        tuple(call.get("named", ())),
        tuple((name, as_tuple(value)) for name, value in call.get("calling", {}).items()),
        bool(call.get("training", False)),
        state_type=dtype,
        recorded=bool(call.get("recorded", True)),
    )


def as_number(value: Any) -> Any:
    """A number of a catalogue; YAML has no word for infinities that JSON has too."""
    return float(value) if isinstance(value, str) else value


def as_tuple(value: Any) -> Any:
    """Lists of a catalogue as the tuples that the documentation writes."""
    if isinstance(value, float) and isinf(value):
        return Endless(value)
    return tuple(map(as_tuple, value)) if isinstance(value, list | tuple) else value


class Endless(float):
    """An infinity that is shown as it is written: it has no literal."""

    def __repr__(self) -> str:
        return f"float('{float(self)}')"


def speaks_here(call: dict[str, Any]) -> bool:
    """Whether this build's release has what a call needs."""
    return "since" not in call or release(torch.__version__) >= release(call["since"])


def layer_calls(cell: Cell, mark: str = "") -> Inputs:
    """The calls of a row, or those that are about something, over types and layouts; samples draw other numbers."""
    from hypothesis import strategies as st

    row, device = cell.subject, cell.target.device
    every = [*row.calls, *swept_calls(row)]
    chosen = [call for call in every if speaks_here(call) and (call.get("about", "") == mark if mark else plain(call))]
    corners = []
    for number, call in enumerate(chosen):
        for step, dtype in enumerate(call.get("dtypes", getattr(row, "dtypes", FLOATING))):
            if step >= 2 and len(chosen) > 3 and (number + step) % 2:
                continue  # each of the short types with every other call
            layout = VALUED_LAYOUTS[(2 * number + 3 * step) % len(VALUED_LAYOUTS)]
            corners.append(valued_call(call, row.name, dtype, layout, 3 * number + step, device))

    def made(choice: tuple[int, int, str, int]) -> ValuedCall:
        call = chosen[choice[0] % len(chosen)]
        dtypes = call.get("dtypes", getattr(row, "dtypes", FLOATING))
        return valued_call(call, row.name, dtypes[choice[1] % len(dtypes)], choice[2], choice[3], device)

    draws = st.tuples(
        st.integers(0, len(chosen)), st.integers(0, 3), st.sampled_from(VALUED_LAYOUTS), st.integers(0, 5000)
    )
    return Inputs(corners, draws.map(made))


def swept_calls(row: Any) -> list[dict[str, Any]]:
    """Calls in which every pair of values of two arguments occurs, as the ``sweep`` of a row lists them."""
    found: list[dict[str, Any]] = []
    for sweep in getattr(row, "sweeps", ()):
        factors, never = {"x": sweep["x"], **sweep["with"]}, sweep.get("never", "False")
        for number, choices in enumerate(covering(*factors.values())):
            options = dict(zip(factors, choices, strict=True))
            if eval(never, {"least": least, "most": most}, options):
                continue
            words = options.pop("x")
            dtypes = sweep.get("dtypes", ["float64" if number % 2 else "float32"])
            kept = {key: value for key, value in sweep.items() if key not in ("x", "with", "never")}
            found.append(
                {**kept, "x": words if isinstance(words, list) else [words], "with": options, "dtypes": dtypes}
            )
    return found


def most(value: Any) -> Any:
    """The largest of an argument's numbers, which may be one."""
    return max(value) if isinstance(value, list) else value


def least(value: Any) -> Any:
    """The smallest of them."""
    return min(value) if isinstance(value, list) else value


def plain(call: dict[str, Any]) -> bool:
    """Whether a call is about nothing but the formula."""
    return "about" not in call
