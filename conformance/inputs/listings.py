"""Listings: cases that are no single call, written out as programs of plain torch, for people to run.

A check does not run these texts: they are what a failure shows as its minimal input.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from textwrap import dedent, indent
from typing import Any


class Instead:
    """An act that is a program of its own, in the place of what the case writes."""

    def __init__(self, program: Callable[[Any], str]) -> None:
        self.program = program


CHECKPOINT = "from torch.utils.checkpoint import checkpoint, checkpoint_sequential"


def indented(text: str) -> str:
    """The text one level further in."""
    return indent(text, "    ")


def within(contexts: Sequence[str], *lines: str) -> str:
    """Lines in all of these contexts, the last one innermost."""
    text = "\n".join(lines)
    for context in reversed(contexts):
        text = f"with {context}:\n{indent(text, '    ')}"
    return text


def spelled(function: Callable[..., Any], name: str) -> str:
    """The source of a function of one tensor, under another name, without annotations and docstring."""
    lines = dedent(inspect.getsource(function)).splitlines()
    body = [line for line in lines[1:] if not line.strip().startswith('"""')]
    return "\n".join([f"def {name}(x):", *body])


def repeated(numbers: Sequence[Any], over: str) -> str:
    """The numbers, as often as a tensor has elements, in its shape and type."""
    made = f"torch.tensor({list(numbers)!r}, dtype={over}.dtype, device={over}.device)"
    return f"{made}.repeat({over}.numel())[: {over}.numel()].reshape({over}.shape)"


def kept_product(style: str = "ctx") -> str:
    """A custom function that saves x, None, its result and x again."""
    return """\
class Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        found = x * x
        ctx.save_for_backward(x, None, found, x)
        return found

    @staticmethod
    def backward(ctx, upstream):
        first, _, _, second = ctx.saved_tensors
        return upstream * (first + second).conj()
"""


ANSWERS = {
    "right": "None, *found", "nones": "None, *found, None, None", "fewer": "None, *found[:-1]",
    "more": "None, *found, found[0]", "object": "found[0], *found", "empty": "None, *[None for _ in found]",
    "shape": "None, *[g.new_zeros((*g.shape, 5)) for g in found]",
}  # fmt: skip


def spread_function(
    style: str, inputs: int, outputs: int, kinds: Sequence[str] = (), marked: Sequence[int] = (),
    materialize: bool = True, answer: str = "right", forward_mode: bool = False,
) -> str:  # fmt: skip
    """A custom function to multiples of the sum of its tensors, which its gradients do not follow from, with prints."""
    made = {"text": "'no tensor'", "none": "None"}
    forms = [f"total * {k + 1}" for k in range(outputs)]
    for k, kind in enumerate(kinds):
        forms[k] = forms[k] if kind == "same" else made.get(kind, f"(total != 0).to(torch.{kind})")
    numbers = [k for k in range(outputs) if not kinds or kinds[k] == "same"]
    setup = ["ctx.save_for_backward(*tensors)", "ctx.save_for_forward(*tensors)"]
    setup += [] if materialize else ["ctx.set_materialize_grads(False)"]
    setup += [f"ctx.mark_non_differentiable({', '.join(f'output[{k}]' for k in marked)})"] if marked else []
    forward = [
        "print('forward:', name, torch.is_grad_enabled(), [(x * 2).requires_grad for x in tensors])",
        "total = sum(tensors)", f"output = {', '.join(forms)}",
    ]  # fmt: skip
    heads = ["def forward(ctx, name, *tensors):"]
    bodies = [[*forward, *setup, "return output"]]
    if style != "ctx":
        heads = ["def forward(name, *tensors):", "def setup_context(ctx, inputs, output):"]
        told = ["name, *tensors = inputs", "print('setup_context:', inputs, output)"]
        bodies = [[*forward, "return output"], [*told, *setup]]
    heads.append("def backward(ctx, *gradients):")
    bodies.append([
        "print('backward:', gradients, ctx.needs_input_grad, torch.is_grad_enabled())",
        f"given = [(k, g) for k, g in enumerate(gradients) if g is not None and k in {numbers}]",
        f"found = [sum((1 + i + 3 * k) * g for k, g in given) for i in range({inputs})]", f"return {ANSWERS[answer]}",
    ])  # fmt: skip
    if forward_mode:
        heads.append("def jvp(ctx, _, *tangents):")
        given = "[(i, t) for i, t in enumerate(tangents) if t is not None]"
        found = f"tuple(sum((1 + i + 3 * k) * t for i, t in {given}) for k in range({outputs}))"
        bodies.append(["print('jvp:', tangents, ctx.saved_tensors)", f"found = {found}",
                       f"return found{'' if outputs > 1 else '[0]'}"])  # fmt: skip
    methods = [
        "\n".join(["    @staticmethod", f"    {head}", *(f"        {line}" for line in body)])
        for head, body in zip(heads, bodies, strict=True)
    ]
    return "\n\n".join(["class Function(torch.autograd.Function):\n" + methods[0], *methods[1:]]) + "\n"


_FLAWS = {
    "conjugate": "by_x = first * 2 * x * y + second",
    "first by x": "by_x = one_wrong(by_x, 0)",
    "last by x": "by_x = one_wrong(by_x, -1)",
    "last by y": "by_y = one_wrong(by_y, -1)",
    "last by a third": "by_y = one_wrong(by_y, -1)",
    "sign by y": "by_y = one_wrong(by_y, 0, -1)",
    "last by the second output": "by_y = first * (x * x).conj() + one_wrong(second, -1) * (2 * y).conj()",
    "second derivative": "by_y = first * (x.detach() * x).conj() + second * (2 * y).conj()",
}
_FLAWS_OF_TANGENTS = {"last tangent": "second = one_wrong(second, -1)", "first tangent": "first = one_wrong(first, 0)"}


def judged_function(flaw: str, forward_mode: bool) -> str:
    """x squared times y and x plus y squared, as a custom function with this flaw."""
    tangent = f"""
    @staticmethod
    def jvp(ctx, dx, dy):
        x, y = ctx.saved_tensors
        first, second = 2 * x * y * dx + x * x * dy, dx + 2 * y * dy
        {_FLAWS_OF_TANGENTS.get(flaw, "")}
        return first, second
"""
    wrong = """\
def one_wrong(gradient, where, factor=1.1):
    factors = torch.ones(gradient.numel(), dtype=gradient.dtype, device=gradient.device)
    factors[where] = factor
    return gradient * factors.reshape(gradient.shape)


"""
    said = f"        {_FLAWS[flaw]}\n" if flaw in _FLAWS else ""
    return f"""\
{wrong if flaw != "none" else ""}class Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        ctx.save_for_forward(x, y)
        return x * x * y, x + y * y

    @staticmethod
    def backward(ctx, first, second):
        x, y = ctx.saved_tensors
        by_x = first * (2 * x * y).conj() + second
        by_y = first * (x * x).conj() + second * (2 * y).conj()
{said}        return by_x, by_y
{tangent if forward_mode else ""}"""


TROUBLED = {
    "root": "(x * 0).sqrt()", "logarithm": "torch.log(x * 0) * 0", "quotient": "x / (x * 0)",
    "masked root": "torch.where(x > 100, (x * 0).sqrt(), torch.zeros_like(x))", "power": "(x * 0) ** 0.5",
    "sound": "x * x * 0.5", "raise": "Failing.apply(x)", "infinite": "(x - x.detach()).sqrt()",
}  # fmt: skip
FAILING = """\
class Failing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError("Some error in backward")
"""


def anomaly(plan: str, trouble: str, switch: str, nesting: Sequence[str], entry: str = "backward") -> str:
    """A computation under anomaly detection; or what is switched on, in a nest of ways to switch."""
    if nesting:
        told = "print(torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())"
        contexts = []
        for mode in nesting:
            given = f"check_nan={mode == 'on'}"
            plain = switch == "detect_anomaly" and mode != "off"
            way = "detect_anomaly(" if plain else f"set_detect_anomaly({mode != 'off'}, "
            contexts.append(f"torch.autograd.{way}{given})")
        last = ["raise KeyError"] if trouble == "root" else []
        return "\n".join(["import contextlib", within(["contextlib.suppress(KeyError)", *contexts], told, *last), told])
    back = {
        "inputs": "y.backward(torch.ones_like(y), inputs=[x])",
        "grad": "torch.autograd.grad(y, x, torch.ones_like(y))",
    }
    computed = [f"y = {TROUBLED.get(trouble, trouble)}", back.get(entry, "y.backward(torch.ones_like(y))")]
    made = [*([FAILING] if trouble == "raise" else []), f"x = {plan}.requires_grad_()"]
    if switch == "function":
        return "\n".join([*made, "torch.autograd.set_detect_anomaly(True)", *computed])
    given = "" if switch == "detect_anomaly" else "True"
    return "\n".join([*made, within([f"torch.autograd.{switch}({given})"], *computed)])


def selected(name: str, used: Any) -> str:
    """What ``Selection`` makes of the used elements of x."""
    mask = f"torch.tensor({used.tolist()})"
    return {
        "where": f"torch.where({mask}, x, torch.zeros_like(x))", "masked_fill": f"x.masked_fill(~{mask}, 0.0)",
        "masked_select": f"x.masked_select({mask})", "mask": f"x[{mask}]", "integers": "x[torch.tensor([1])]",
        "narrow": "x.narrow(0, 1, 1)", "tril": "x.tril()", "take": "x.take(torch.tensor([1]))",
        "gather": "x.gather(-1, torch.ones((*x.shape[:-1], 1), dtype=torch.int64))",
        "max-of-rows": "x.max(-1)[0]", "topk": "x.topk(1)[0]",
        "vector_norm-of-inf": "torch.linalg.vector_norm(x, float('inf'))",
    }.get(name, f"torch.{name.removesuffix('-of-all')}(x)")  # fmt: skip


def checkpointed(case: Any, regions: dict[str, Callable[..., Any]]) -> str:
    """A checkpointed region of x, and backward from what comes out."""
    made = {"leaf": "leaf", "product": "leaf * 1", "view": "leaf[...]"}[case.state]
    mode = f"use_reentrant={case.mode == 'reentrant'}"
    dropping = "drop = lambda x: torch.nn.functional.dropout(x, 0.5) * 1"
    region = "function = lambda x: x.sin().sin() * 1"
    other = "y = x * 2"
    holder = "class Holder:\n    def __init__(self, content):\n        self.content = content\n"
    call = f"found = checkpoint(function, x, {mode})"
    lists = {
        "list": "function([x, y])", "tuple": "function((x, y))", "dict": "function({'x': x, 'y': y})",
        "object": "function(Holder([x, y]))", "deep": "function([{'x': (x, [Holder(y)])}])",
        "keyword": "function(x, y=y)", "nested keyword": "function(both={'x': [x], 'y': (y,)})",
        "closure": "function()",
    }  # fmt: skip
    if case.way in regions:
        lines = _region(regions[case.way])
    elif case.way in lists:
        given = lists[case.way].removeprefix("function(").removesuffix(")")
        lines = [holder, other, "function = lambda *args, **kwargs: x.sin() * y.sin()"]
        call = f"found = checkpoint(function, {given + ', ' if given else ''}{mode})"
    elif case.way == "sequence":
        lines, call = [dropping], f"found = checkpoint_sequential([drop, torch.sin, drop, torch.sin], 2, x, {mode})"
    elif case.way.isdigit():
        steps = "[torch.sin, torch.sigmoid, torch.cos, torch.square, torch.sin]"
        lines, call = [], f"found = checkpoint_sequential({steps}, {case.way}, x, {mode})"
    elif case.way == "nested":
        inner = f"checkpoint(drop, torch.nn.functional.dropout(x, 0.25).sin(), {mode})"
        lines = [dropping, f"function = lambda x: {inner}"]
    elif case.way in ("three tensors", "one by keyword"):
        lines = ["function = lambda x, y, z: torch.nn.functional.dropout(x * y, 0.5) * z"]
        twos = "torch.full_like(x, 2.0)"
        first = f"x, {twos}" if case.state == "leaf" else f"{twos}, x"
        third = "z=" if case.way == "one by keyword" else ""
        call = f"found = checkpoint(function, {first}, {third}torch.full_like(x, -0.5), {mode})"
    elif case.way in ("dtype", "shape"):
        second = "x.to(torch.float32 if x.dtype is torch.float64 else torch.float64).exp().to(x.dtype) * 1"
        second = second if case.way == "dtype" else "x.expand(2, *x.shape).exp()[0]"
        lines = [
            "runs = []",
            f"function = lambda x: x.sin() * 1 if not runs.append(1) and len(runs) == 1 else {second}",
        ]
    else:
        lines = [region]
    back = [
        "for y in found if isinstance(found, tuple) else (found,):",
        "    if y.requires_grad:",
        "        y.backward(torch.ones_like(y), retain_graph=True)",
    ]
    return "\n".join([CHECKPOINT, f"leaf = {case.plan.code()}.requires_grad_()", f"x = {made}", *lines, call, *back])


def _region(function: Callable[..., Any]) -> list[str]:
    if "torch.utils.checkpoint.checkpoint(region_of_sines" not in inspect.getsource(function):
        return [spelled(function, "function")]
    reentrant = "use_reentrant=True" in inspect.getsource(function)
    inner = f"checkpoint(lambda x: x.sin().sin() * 1, x * 2, use_reentrant={reentrant})"
    return [f"function = lambda x: {inner} * x.sigmoid()"]


def frozen(case: Any) -> str:
    """A module with some of its parameters frozen, and a pass through it."""
    rule = f"[p for n, p in enumerate(module.parameters()) if {case.picked} >> n & 1]"
    freeze = {
        "attribute": "    parameter.requires_grad = False",
        "requires_grad_": "    parameter.requires_grad_(False)",
    }
    if case.way == "submodule":
        leaves = "[m for m in module.modules() if not list(m.children()) and list(m.parameters())]"
        chosen = f"for n, m in enumerate({leaves}) if {case.picked} >> n & 1"
        rule = f"[p {chosen} for p in m.requires_grad_(False).parameters()]"
    given = "torch.ones_like(parameter)" if case.preset == "ones" else "None"
    return "\n".join([
        f"module = {case.module}.to({case.device!r}, torch.float64).train({case.training})", f"frozen = {rule}",
        "for parameter in frozen:", freeze.get(case.way, "    assert not parameter.requires_grad"),
        f"    parameter.grad = {given}",
        f"result = module(torch.linspace(-1, 1, {_count(case.shape)}, dtype=torch.float64).reshape({case.shape}))",
        "if result.requires_grad:", "    result.backward(torch.ones_like(result))",
        "print([(p.requires_grad, p.grad) for p in module.parameters()])",
    ])  # fmt: skip


def _count(shape: Sequence[int]) -> int:
    found = 1
    for extent in shape:
        found *= extent
    return found


LOOK = "look = lambda: (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), (x * 2).requires_grad)"
OUTSIDE = "x = torch.ones(2, requires_grad=True)"


def threads_in_modes(here: Sequence[str], there: Sequence[str]) -> str:
    """What threads see while others are in modes."""
    return "\n".join([
        "import threading", OUTSIDE, LOOK, "inside, done = threading.Event(), threading.Event()", "def other():",
        indent(within(there, "print('the other thread:', look())", "inside.set()", "done.wait()"), "    "),
        "    print('the other thread, after its modes:', look())", "thread = threading.Thread(target=other)",
        "thread.start()", "inside.wait()",
        within(here, "print('here:', look())", "new = threading.Thread(target=lambda: print('a new thread:', look()))",
               "new.start()", "new.join()"),
        "print('here, after its modes:', look())", "done.set()", "thread.join()",
    ])  # fmt: skip


def nested_pairs(depth: int, operation: str, leaving: str) -> str:
    """Pairs of saved-tensor hooks one within another, left normally or by an exception."""
    pairs = [
        f"torch.autograd.graph.saved_tensors_hooks(lambda t: print('pack {n}') or t, lambda t: t)" for n in range(depth)
    ]
    ended = [] if leaving == "normally" else ["raise KeyError"]
    return f"{within(['contextlib.suppress(KeyError)', *pairs], f'y = {operation}', *ended)}\ny = {operation}"


_BODIES = {
    "function": "function = decorate(body)",
    "lambda": "function = decorate(lambda: body())",
    "method": "class Owner:\n    call = decorate(lambda self: body())\nfunction = Owner().call",
    "class method": "class Owner:\n    call = classmethod(decorate(lambda cls: body()))\nfunction = Owner().call",
    "static method": "class Owner:\n    call = staticmethod(decorate(body))\nfunction = Owner().call",
    "decorated static method": "class Owner:\n    call = decorate(staticmethod(body))\nfunction = Owner.call",
    "partial": "import functools\nfunction = decorate(functools.partial(body))",
    "instance": "class Answering:\n    def __call__(self):\n        return body()\nfunction = decorate(Answering())",
    "twice": "function = decorate(decorate(body))",
    "recursive": "def recursive(depth=3):\n    if not depth:\n        return body()\n"
    "    with torch.set_grad_enabled(not torch.is_grad_enabled()):\n        return function(depth - 1)\n"
    "function = decorate(recursive)",
}


def decorated(case: Any) -> str:
    """A decorated callable, and calls of it."""
    ending = (
        []
        if case.ending == "return"
        else [f"    raise {case.ending if case.ending != 'Bailing' else 'ArithmeticError'}"]
    )
    calls = []
    for modes in case.called_in:
        calls.append(within([*modes, "contextlib.suppress(BaseException)"], "function()"))
        calls.append(within(modes, "print('after the call:', look())"))
    # each use of set_grad_enabled(…) is a new one
    making = f"decorate = lambda f: {case.mode}(f)"
    made = within(case.made_in, *_BODIES[case.kind].splitlines())
    return "\n".join(["import contextlib", OUTSIDE, LOOK, "def body():", "    print('inside:', look())", *ending,
                      making, made, *calls])  # fmt: skip


def driven(mode: str, moves: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A decorated generator, moved in modes."""
    actions = {
        "next": "next(generator)", "send": "generator.send('sent')", "send 0": "generator.send(0)",
        "throw": "generator.throw(KeyError('caught inside'))", "close": "generator.close()",
        "raise": "generator.throw(ArithmeticError('not caught'))",
    }  # fmt: skip
    lines = [
        "import contextlib", OUTSIDE, LOOK, f"@{mode}", "def numbers():", "    got = 'started'",
        "    for number in range(3):", "        print('inside:', look())", "        try:",
        "            got = yield number, got", "        except KeyError as error:", "            got = str(error)",
        "    return 'the end'", "generator = numbers()",
    ]  # fmt: skip
    for move, modes in moves:
        lines.append(within([*modes, "contextlib.suppress(StopIteration, ArithmeticError, KeyError, TypeError)"],
                            f"print({actions[move]})"))  # fmt: skip
        lines.append(within(modes, "print('outside:', look())"))
    return "\n".join(lines)


FIVE_TIMES = """\
class FiveTimes(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 5

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 5
"""
NODE = "node = lambda t: t.grad_fn or t.view_as(t).grad_fn.next_functions[0][0]"
_REGISTRATIONS = {
    "tensor": "t{0}.register_hook(lambda g: {1})", "pre": "node(t{0}).register_prehook(lambda g: {1})",
    "post": "node(t{0}).register_hook(lambda g, outer: {1})",
    "accumulated": "t{0}.register_post_accumulate_grad_hook(lambda g: {1})",
}  # fmt: skip


_RAISING = {"error": "1 / 0", "iteration": "next(iter([]))", "interrupt": "exec('raise KeyboardInterrupt')"}


def hooked(graph: Any, steps: Sequence[str], seeds: Sequence[str]) -> str:
    """A graph with hooks, and its backward calls."""
    lines = [FIVE_TIMES] if any("FiveTimes" in step for step in steps) else []
    lines += [NODE] if any(hook.kind in ("pre", "post") for hook in graph.hooks) else []
    leaf = "torch.nn.Parameter({})" if graph.leaf_kind == "parameter" else "{}.requires_grad_()"
    lines += [f"t{n} = {leaf.format(plan.code())}" for n, plan in enumerate(graph.leaves)]
    roots, wanted = [f"t{n}" for n in graph.roots], ", ".join(f"t{n}" for n in graph.wanted)
    options = f"retain_graph=True, create_graph={graph.create_graph}"
    call = {
        "sum": f"{roots[0]}.sum().backward({options})",
        "roots": f"torch.autograd.backward([{', '.join(roots)}], [{', '.join(seeds)}], {options})",
        "grad": f"print(torch.autograd.grad({roots[0]}, [{wanted}], {seeds[0]}, {options}, allow_unused=True))",
        "inputs": f"{roots[0]}.backward({seeds[0]}, inputs=[{wanted}], {options})",
    }.get(graph.entry, f"{roots[0]}.backward({seeds[0]}, {options})")
    hooks = sorted(enumerate(graph.hooks), key=lambda pair: pair[1].late)
    for turn in range(graph.passes):
        if turn == 0 or graph.rebuilt:
            lines += [*steps, *(f"t{n}.retain_grad()" for n in graph.retained if n >= len(graph.leaves))]
        for n, hook in hooks:
            if hook.added == turn:
                registered = f"hook{n} = {_registration(n, hook)}"
                lines.append(within(["torch.no_grad()"] if hook.unrecorded else [], registered))
        lines += [f"hook{n}.remove()" for n, hook in hooks if hook.removed == turn and hook.added <= turn]
        if graph.gathered and turn == 0:
            tensors = ", ".join(f"t{n}" for n in graph.gathered)
            mode = f", mode={graph.mode!r}" if graph.mode != "all" else ""
            register = "torch.autograd.graph.register_multi_grad_hook"
            lines.append(f"gathering = {register}([{tensors}], lambda found: print('together', found){mode})")
        if graph.ungathered == turn and graph.gathered:
            lines.append("gathering.remove()")
        lines.append(call)
    return "\n".join([*lines, f"print([t.grad for t in ({', '.join(f't{n}' for n in range(len(graph.leaves)))},)])"])


def _registration(number: int, hook: Any) -> str:
    parts = [f"print('hook {number}', g)"]
    if hook.removes is not None:
        parts.append(f"hook{hook.removes}.remove()")
    result = "None"
    if hook.raises:
        parts.append(_RAISING[hook.raises])
    elif hook.factor is not None and hook.kind == "accumulated":
        parts.append(f"g.grad.mul_({hook.factor})")
    elif hook.factor is not None:
        many = f"tuple(None if each is None else each * {hook.factor} for each in g)"
        result = f"g * {hook.factor}" if hook.kind == "tensor" else many
    done = f"({', '.join([*parts, result])})[-1]"
    return _REGISTRATIONS[hook.kind].format(hook.at, done)


def contended_leaf(plan: str, ahead: float) -> str:
    """Two threads that use a new leaf under anomaly detection, one while the other is asked for a traceback."""
    return f"""\
import importlib, threading, torch

x, asked, calls = {plan}.requires_grad_(), threading.Event(), []

def lingering(original):
    def format_stack(*args, **options):
        calls.append("a node, then the leaf")
        if len(calls) == 2:
            asked.set()
            threading.Event().wait({ahead})
        return original(*args, **options)
    return format_stack

for name in ("traceback", "torch.fx.traceback"):
    module = importlib.import_module(name)
    module.format_stack = lingering(module.format_stack)
torch.autograd.set_detect_anomaly(True)
first = threading.Thread(target=lambda: x[0])
first.start()
while first.is_alive() and not asked.wait({ahead}):
    pass
x[1]
first.join()
print("both are done")"""


def streamed_pass(plan: str, device: str, forward: str, call: str, use: str) -> str:
    """A pass back whose operations, call and use are on streams of their own, each of which waits for the other."""
    return f"""\
import torch

streams = torch.{device.partition(":")[0]}
main, side = streams.current_stream(), streams.Stream()
x = {plan}.requires_grad_()
side.wait_stream(main)
with streams.stream({forward}):
    y = x * 3
{call}.wait_stream({forward})
with streams.stream({call}):
    y.backward(torch.full_like(y, 2))
{use}.wait_stream({call})
with streams.stream({use}):
    print(x.grad + 0)"""
