"""The model of module hooks: which hooks a call runs, in which order and with what, and what comes of it.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_forward_hook
"""

from __future__ import annotations

from typing import Any

from conformance.inputs.module_hooks import HookCall, HookedModule, HookLog
from conformance.oracles import expect


def expected_log(case: HookedModule) -> HookLog:
    """What has to come of all calls, where nothing raises."""
    log = HookLog([], [])
    for turn, (args, kwargs) in enumerate(case.calls):
        log.calls.append([])
        log.results.append(_call(case, turn, tuple(args), dict(kwargs), log.calls[-1]))
    return log


def active_hooks(case: HookedModule, turn: int, kind: str) -> list[int]:
    """The numbers of the hooks of a kind in the order in which they run: global ones first, prepended ones before."""
    order: list[int] = []
    for number, hook in enumerate(case.hooks):
        if hook.kind == kind and not hook.everywhere:
            order.insert(0 if hook.prepend else len(order), number)
    order = [n for n, hook in enumerate(case.hooks) if hook.kind == kind and hook.everywhere] + order
    return [n for n in order if case.hooks[n].removed is None or turn < (case.hooks[n].removed or 0)]


def _call(case: HookedModule, turn: int, args: tuple[Any, ...], kwargs: dict[str, Any], said: list[HookCall]) -> Any:
    for number in active_hooks(case, turn, "pre"):
        hook, step = case.hooks[number], number + 1
        said.append(HookCall(number, args, tuple(sorted(kwargs.items())) if hook.with_kwargs else None))
        if hook.does == "single":
            args = (args[0] + step,)
        elif hook.does == "list":
            args = ([args[0] + step],)
        elif hook.does in ("tuple", "kwargs"):
            before, args = args, tuple(x + step for x in args)
            if hook.does == "kwargs":
                kwargs = {k: x + step for k, x in kwargs.items()} if kwargs else {"factor": before[0] * 0 + step}
    given = {"y": 0, "factor": 2, **dict(zip(("x", "y"), args, strict=False)), **kwargs}
    x = given["x"][0] if isinstance(given["x"], list) else given["x"]
    output = x * given["factor"] + given["y"]
    for number in active_hooks(case, turn, "post"):
        hook = case.hooks[number]
        shown = tuple(sorted(kwargs.items())) if hook.with_kwargs else None
        said.append(HookCall(number, args, shown, output))
        more = output * 10 + number + 1 if hook.does in ("output", "pair") else output
        output = (more, output) if hook.does == "pair" else more
    return output


def runs_as_expected(case: HookedModule) -> None:
    """Expect the hooks to be called in order with what the model says, and the results to be the model's."""
    expected, found = expected_log(case), case.run()
    for turn, (wanted, got) in enumerate(zip(expected.calls, found.calls, strict=True)):
        order = [call.number for call in wanted]
        expect.equal(order, [call.number for call in got], f"hooks called in call {turn}, in order")
        for one, other in zip(wanted, got, strict=True):
            what = f"hook {one.number} in call {turn}"
            expect.equal(one.args, other.args, f"arguments seen by {what}")
            expect.equal(one.kwargs, other.kwargs, f"keyword arguments seen by {what}")
            expect.equal(one.output, other.output, f"output seen by {what}")
    expect.equal(expected.results, found.results, "results of the calls")


def always_called(case: HookedModule) -> None:
    """Expect every always-called hook once in each call, and the first exception to reach the caller."""
    found = case.run()
    for turn in range(len(case.calls)):
        called = [call.number for call in found.calls[turn]]
        for number, hook in enumerate(case.hooks):
            if hook.always:
                expect.equal(1, called.count(number), f"calls of hook {number}, always called, in call {turn}")
                expect.equal(-1 in called, False, "whether a hook got another module or more arguments")
        expect.equal(_first_trouble(case, turn), _trouble(found.results[turn]), f"exception out of call {turn}")


def _trouble(result: Any) -> str:
    return result if isinstance(result, str) else ""


def _first_trouble(case: HookedModule, turn: int) -> str:
    for kind in ("pre", "post"):
        for number in active_hooks(case, turn, kind):
            if case.hooks[number].does == "raise":
                return f"hook {number}"
        if kind == "pre" and case.faulty:
            return "forward"
    return ""
