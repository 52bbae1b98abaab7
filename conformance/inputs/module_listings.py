"""Module listings: cases of modules, as whole programs of plain torch.

Reference: https://docs.pytorch.org/docs/stable/notes/modules.html
"""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.inputs.gradient_sets import ReplacedCall
    from conformance.inputs.module_backwards import HookedBackward
    from conformance.inputs.module_hooks import HookedModule, ModuleHook
    from conformance.inputs.nested_hooks import NestedHooks, WrittenUnderHooks
    from conformance.inputs.registration_parts import WatchedRegistration

ADDING = """\
class Adding(torch.nn.Module):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x):
        return x * 2 + self.number
"""


def hooked_module(case: HookedModule) -> str:
    """A module with hooks that print what they see, and its calls."""
    body = (
        "raise ArithmeticError('forward')"
        if case.faulty
        else "x = x[0] if isinstance(x, list) else x\n        return x * factor + y"
    )
    lines = ["class Affine(torch.nn.Module):", "    def forward(self, x, y=0, *, factor=2):", f"        {body}"]
    for number, hook in enumerate(case.hooks):
        names = ["module", "args", *["kwargs"] * hook.with_kwargs, *["output"] * (hook.kind == "post")]
        lines.append(f"def hook_{number}({', '.join(names)}):")
        lines += [f"    print('hook {number}:', {', '.join(names[1:])})", f"    {_deed(number, hook)}"]
    lines.append("m = Affine()")
    for number, hook in enumerate(case.hooks):
        options = "".join(f", {name}=True" for name in hook.options())
        lines.append(f"handle_{number} = {hook.registrar()}(hook_{number}{options})")
    raising = case.faulty or any(hook.does == "raise" for hook in case.hooks)
    for turn, (args, kwargs) in enumerate(case.calls):
        over = [n for n, hook in enumerate(case.hooks) if hook.removed is not None and hook.removed <= turn]
        lines += [f"handle_{number}.remove()" for number in over]
        tensor = f"torch.tensor([{{}}], dtype=torch.float64, device={case.device!r})"
        words = [tensor.format(x) for x in args] + [f"{name}={tensor.format(x)}" for name, x in kwargs]
        call = f"print(m({', '.join(words)}))"
        lines += ["try:", f"    {call}", "except ArithmeticError as error:", "    print(error)"] if raising else [call]
    lines += [f"handle_{number}.remove()" for number, hook in enumerate(case.hooks) if hook.everywhere]
    return "\n".join(lines)


def _deed(number: int, hook: ModuleHook) -> str:
    step = number + 1
    if hook.does == "kwargs":
        changed = (
            f"{{name: x + {step} for name, x in kwargs.items()}} if kwargs else {{'factor': args[0] * 0 + {step}}}"
        )
        return f"return tuple(x + {step} for x in args), {changed}".replace("), {", "), ({") + ")"
    return {
        "raise": f"raise ArithmeticError('hook {number}')", "single": f"return args[0] + {step}",
        "list": f"return [args[0] + {step}]", "tuple": f"return tuple(x + {step} for x in args)",
        "output": f"return output * 10 + {step}", "pair": f"return output * 10 + {step}, output",
    }.get(hook.does, "return None")  # fmt: skip


def hooked_backward(case: HookedBackward) -> str:
    """A module with backward hooks that print what they see, and its passes."""
    lines = [
        "class Mixing(torch.nn.Module):", "    def __init__(self):", "        super().__init__()",
        f"        weight = torch.tensor([2.0], dtype=torch.float64, device={case.device!r})",
        f"        self.w = torch.nn.Parameter(weight, requires_grad={not case.frozen})",
        "    def forward(self, *inputs, extra=None):",
        "        tensors = [*inputs, *([extra] if extra is not None else [])]",
        "        sums = [sum(c * x for c, x in zip(row, tensors) if isinstance(x, torch.Tensor)) * self.w",
        f"                for row in ((2.0, 3.0, 5.0), (7.0, 11.0, 13.0))[:{case.outputs}]]",
        "        return sums[0]" if case.outputs == 1 else "        return sums[0], 17, sums[1]", "m = Mixing()",
    ]  # fmt: skip
    for number, hook in enumerate(case.hooks):
        names = ["grad_output"] if hook.kind == "pre" else ["grad_input", "grad_output"]
        many = f"tuple(None if g is None else g * {hook.factor} for g in {names[0]})"
        owner = "torch.nn.modules.module" if hook.everywhere else "m"
        options = ", prepend=True" if hook.prepend else ""
        lines += [
            f"def hook_{number}(module, {', '.join(names)}):", f"    print('hook {number}:', {', '.join(names)})",
            f"    return {'None' if hook.factor is None else many}",
            f"handle_{number} = {owner}.{hook.registrar()}(hook_{number}{options})",
        ]  # fmt: skip
    lines += [f"handle_{number}.remove()" for number, hook in enumerate(case.hooks) if hook.removed]
    leaves = [
        str(n + 1) if letter == "n" else f"torch.tensor([{n + 1.0}], dtype=torch.float64, device={case.device!r}, "
        f"requires_grad={letter == 'g'})"
        for n, letter in enumerate(case.inputs + case.extra)
    ]  # fmt: skip
    lines.append(f"leaves = [{', '.join(leaves)}]")
    extra = ", extra=leaves[-1]" if case.extra else ""
    total = "found" if case.outputs == 1 else "found[0] + 2 * found[2]"
    lines += [
        f"for _ in range({case.passes}):",
        f"    found = m(*leaves[:{len(case.inputs)}]{extra})", f"    total = {total}",
        "    if total.requires_grad:", "        total.sum().backward()",
        "print([getattr(leaf, 'grad', None) for leaf in leaves], m.w.grad)",
    ]  # fmt: skip
    lines += [f"handle_{n}.remove()" for n, hook in enumerate(case.hooks) if hook.everywhere and not hook.removed]
    return "\n".join(lines)


def nested_hooks(case: NestedHooks) -> str:
    """A tree of modules with hooks that print the module's number."""
    made: list[str] = []
    stack: list[int] = []
    count = 0
    for bracket in case.tree:
        if bracket == "(":
            made.append(f"m{count} = Telling({count})")
            made += [f"m{stack[-1]}.add_module('child{count}', m{count})"] if stack else []
            stack.append(count)
            count += 1
        else:
            stack.pop()
    lines = [
        "class Telling(torch.nn.Module):", "    def __init__(self, name):", "        super().__init__()",
        "        self.name = name", "    def forward(self, x):", "        print('forward', self.name)",
        "        for child in self.children():", "            x = child(x)", "        return x + 1", *made,
    ]  # fmt: skip
    handles = []
    if case.everywhere:
        for word, kind in (("before", "forward_pre"), ("after", "forward")):
            hook = f"lambda m, *rest: print('all {word}', m.name)"
            lines.append(f"{word} = torch.nn.modules.module.register_module_{kind}_hook({hook})")
            handles.append(f"{word}.remove()")
    for number in range(count):
        if case.hooked >> number & 1:
            lines.append(f"m{number}.register_forward_pre_hook(lambda m, *rest: print('before', m.name))")
            lines.append(f"m{number}.register_forward_hook(lambda m, *rest: print('after', m.name))")
    return "\n".join([*lines, *["m0(torch.zeros(1))"] * case.calls, *handles])


def written_under_hooks(case: WrittenUnderHooks) -> str:
    """A write to the input or output of a module with a backward hook."""
    write = [f"        x.{case.write}"] if case.what == "input" else []
    after = [f"x.{case.write}"] if case.what == "output" else []
    return "\n".join([
        "class Writing(torch.nn.Module):", "    def forward(self, x):", *write, "        return x * 2",
        "m = Writing()", f"m.register_{case.hook}(lambda *arguments: None)",
        f"x = m(torch.ones(2, device={case.device!r}, requires_grad=True) * 1)", *after, "x.sum().backward()",
    ])  # fmt: skip


def watched_registration(case: WatchedRegistration) -> str:
    """Registrations that a global hook watches."""
    thing = {"module": "torch.nn.Module()", "buffer": "torch.zeros(2)"}.get(
        case.kind, "torch.nn.Parameter(torch.zeros(2))"
    )
    register = f"module.register_{case.kind}(name, thing)"
    act = "setattr(module, name, thing)" if case.assigned and case.kind != "buffer" else register
    body = ["print('registered:', name)", "return others.get(name)"]
    return "\n".join([
        "module = torch.nn.Module()", f"things = {{name: {thing} for name in {case.names}}}",
        f"others = {{name: {thing} for name in {case.replaced}}}", "def hook(module, name, thing):",
        indent("\n".join(body), "    "),
        f"handle = torch.nn.modules.module.register_module_{case.registrar}_registration_hook(hook)",
        "for name, thing in things.items():", f"    {act}", "handle.remove()",
        f"module.register_{case.kind}('late', {thing})",
        "print({name: getattr(module, name) is others.get(name, thing) for name, thing in things.items()})",
    ])  # fmt: skip


def replaced_call(case: ReplacedCall) -> str:
    """A module with a submodule, called with some of its tensors replaced."""
    names = [n for i, n in enumerate(("weight", "shift", "child.weight", "child.shift")) if case.picked >> i & 1]
    full = f"lambda value: torch.full((1,), value, device={case.device!r})"
    given = "({name: new[name] for name in list(new)[:1]}, {name: new[name] for name in list(new)[1:]})"
    return "\n".join([
        f"full = {full}", "class Weighing(torch.nn.Module):", "    def __init__(self, number, *children):",
        "        super().__init__()", "        self.weight = torch.nn.Parameter(full(2.0 + number))",
        "        self.register_buffer('shift', full(10.0 + number))", "        if children:",
        "            self.child = children[0]", "    def forward(self, x):", "        x = x * self.weight + self.shift",
        *["        if hasattr(self, 'child'):", "            raise ArithmeticError"] * case.fails,
        "        return self.child(x) if hasattr(self, 'child') else x", "m = Weighing(0, Weighing(1))",
        f"new = {{name: full(20.0 + n) for n, name in enumerate({names})}}", "try:",
        f"    print(torch.func.functional_call(m, {given if case.split else 'new'}, full(3.0)))",
        "except ArithmeticError:", "    pass", "print(m.state_dict())",
    ])  # fmt: skip
