"""Decorated calls: in which mode a decorated function runs, and in which its caller is afterwards.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.inputs.decorated_modes import Decorated, decorated
from conformance.inputs.grad_modes import LEAVING, gradients_kept, under
from conformance.oracles import expect
from conformance.oracles.mode_model import mode_entered, mode_within, shows_mode


def calls_restore(case: Decorated, look: Callable[[], Any]) -> None:
    """Expect the decorator's mode inside, the caller's outside, and arguments, result and exception to pass."""
    inside: list[Any] = []

    def body(*args: Any, **kwargs: Any) -> Any:
        inside.append(look())
        if case.ending != "return":
            raise LEAVING[case.ending](args, kwargs)
        return args, kwargs

    def make() -> Any:
        found = decorated(case.mode, case.kind, body)
        shows_mode(mode_within(case.made_in), look(), f"after decorating in {case.made_in or 'no mode'}")
        return found

    def call(number: int, modes: tuple[str, ...]) -> None:
        expected: Any = ((number,), {"name": number})
        try:
            found = callee(number, name=number)
        except tuple(LEAVING.values()) as error:
            found = error.args
        expect.equal(expected, found, f"what call {number} hands back")
        shows_mode(mode_within(modes), look(), f"after a call in {modes or 'no mode'}")

    with gradients_kept():
        callee = under(case.made_in, make)
    for number, modes in enumerate(case.called_in):
        inside.clear()
        with gradients_kept():
            under(modes, lambda number=number, modes=modes: call(number, modes))  # type: ignore[misc]
        expect.equal(1, len(inside), f"how often call {number} ran the body")
        what = f"inside the {case.kind} that {case.mode} decorates, called in {modes or 'no mode'}"
        shows_mode(mode_entered(case.mode, mode_within(modes)), inside[0], what)
