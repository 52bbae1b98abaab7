"""The model of full backward hooks: which run, in which order, with which gradients, and what reaches the leaves.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook
"""

from __future__ import annotations

from typing import Any

from conformance.inputs.module_backwards import WEIGHTS, BackwardLog, HookedBackward
from conformance.oracles import expect


def expected_backward(case: HookedBackward) -> BackwardLog:
    """What has to come of all passes."""
    letters = case.inputs + case.extra
    log = BackwardLog([], [None] * len(letters), None)
    if case.frozen and "g" not in letters:
        return log
    for _ in range(case.passes):
        outputs: tuple[Any, ...] = (1.0,) if case.outputs == 1 else (1.0, None, 2.0)
        for number in hooks_in_order(case, "pre"):
            log.calls.append((number, None, outputs))
            outputs = scaled(outputs, case.hooks[number].factor)
        given = [g for g in outputs if g is not None]
        found = [
            sum(g * WEIGHTS[k][i] * 2 for k, g in enumerate(given)) if letter == "g" else None
            for i, letter in enumerate(letters)
        ]
        inputs = tuple(found[: len(case.inputs)])
        for number in hooks_in_order(case, "full"):
            log.calls.append((number, inputs, outputs))
            inputs = scaled(inputs, case.hooks[number].factor) if "g" in case.inputs else inputs
        for at, gradient in enumerate((*inputs, *found[len(case.inputs) :])):
            log.grads[at] = gradient if gradient is None else gradient + (log.grads[at] or 0)
        if not case.frozen:
            values = [WEIGHTS[k][i] * (i + 1) for k in range(len(given)) for i, x in enumerate(letters) if x != "n"]
            per_output = len(values) // len(given)
            own = sum(g * sum(values[k * per_output : (k + 1) * per_output]) for k, g in enumerate(given))
            log.weight = own + (log.weight or 0)
    return log


def hooks_in_order(case: HookedBackward, kind: str) -> list[int]:
    """The numbers of the hooks of a kind that are left, global ones first, prepended ones before the others."""
    order: list[int] = []
    for number, hook in enumerate(case.hooks):
        if hook.kind == kind and not hook.everywhere:
            order.insert(0 if hook.prepend else len(order), number)
    order = [n for n, hook in enumerate(case.hooks) if hook.kind == kind and hook.everywhere] + order
    return [number for number in order if not case.hooks[number].removed]


def scaled(gradients: tuple[Any, ...], factor: float | None) -> tuple[Any, ...]:
    """Gradients times a number, where there is one."""
    return tuple(g if g is None or factor is None else g * factor for g in gradients)


def gradients_seen(case: HookedBackward) -> None:
    """Expect each call of a hook, in order, with the gradients of the model."""
    expected, found = expected_backward(case), case.run()
    expect.equal([call[0] for call in expected.calls], [call[0] for call in found.calls], "hooks called, in order")
    for n, (wanted, got) in enumerate(zip(expected.calls, found.calls, strict=True)):
        expect.equal(
            promised(case, wanted[1]), promised(case, got[1]), f"gradients of inputs, call {n}, hook {wanted[0]}"
        )
        expect.equal(wanted[2], got[2], f"gradients of the outputs, call {n}, hook {wanted[0]}")


def promised(case: HookedBackward, gradients: Any) -> Any:
    """Gradients of the inputs, but for those of tensors that need none: of these nothing is promised."""
    if not isinstance(gradients, tuple) or len(gradients) != len(case.inputs):
        return gradients
    return tuple("open" if letter == "c" else g for g, letter in zip(gradients, case.inputs, strict=True))


def gradients_left(case: HookedBackward) -> None:
    """Expect the gradients of all leaves and of the parameter to be the model's, and the hooks to have seen theirs."""
    gradients_seen(case)
    expected, found = expected_backward(case), case.run()
    expect.equal(expected.grads, found.grads, ".grad of the inputs")
    expect.equal(expected.weight, found.weight, ".grad of w")


def fires_by_the_rules(case: HookedBackward) -> None:
    """Expect as many calls of each hook as the rules say."""
    expected = [call[0] for call in expected_backward(case).calls]
    found = [call[0] for call in case.run().calls]
    for number in range(len(case.hooks)):
        expect.equal(expected.count(number), found.count(number), f"calls of hook {number}")
    expect.that(-1 not in found, "the module that the hook got", "the one hooked", "another")
