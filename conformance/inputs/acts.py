"""Acts: what each check does with cases of a class that several checks share, in plain torch, for people to run.

An act follows the lines that make the case. Words in braces stand for the case's own: ``{way}``, ``{form}``, ….
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.inputs.bridge_acts import BRIDGE_ACTS
from conformance.inputs.function_acts import FUNCTION_ACTS
from conformance.inputs.hook_acts import HOOK_ACTS
from conformance.inputs.leaf_acts import LEAF_ACTS
from conformance.inputs.listings import Instead
from conformance.inputs.pass_acts import PASS_ACTS
from conformance.inputs.program_acts import PROGRAM_ACTS
from conformance.inputs.saved_acts import SAVED_ACTS
from conformance.inputs.write_acts import WRITE_ACTS

ACTS: dict[str, str | Instead | Callable[[Any], str]] = {
    **SAVED_ACTS,
    **FUNCTION_ACTS,
    **PASS_ACTS,
    **HOOK_ACTS,
    **LEAF_ACTS,
    **WRITE_ACTS,
    **PROGRAM_ACTS,
    **BRIDGE_ACTS,
}


def acted(case: Any, behaviour: str) -> str:
    """The case, and what the check of this behaviour does with it."""
    act = ACTS[behaviour]
    if isinstance(act, Instead):
        return act.program(case)
    made: str = case.made() if hasattr(case, "made") else case.code()
    if "\n" not in made and not made.startswith(("x = ", "import ")):
        made = f"x = {made}"  # a plan, which is written as an expression
    text = act if isinstance(act, str) else act(case)
    for word, meaning in (case.words() if hasattr(case, "words") else {}).items():
        text = text.replace(f"{{{word}}}", meaning)
    return f"{made}\n{text}"
