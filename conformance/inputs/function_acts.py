"""Function acts: what is done with custom functions, in plain torch.

Reference: https://docs.pytorch.org/docs/stable/notes/extending.html#extending-torch-autograd
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import partial
from textwrap import dedent
from typing import Any

from conformance.inputs import function_kinds, function_transforms
from conformance.inputs.listings import indented, spread_function, within
from conformance.inputs.saved_acts import CHANGE_CODE

# --- a function that notes what it is given --------------------------------------------------------------------

LEVEL = "torch.autograd.forward_ad.dual_level()"
OUTPUTS = "outputs = out if isinstance(out, tuple) else (out,)"


def spread(case: Any, act: str = "back", **options: Any) -> str:
    """The custom function with these options, its call and what ``act`` says."""
    others = [k for k in range(case.outputs) if k not in case.chosen()]
    if options.pop("others", "") == "marked":
        options["marked"] = others
    elif case.way and case.way not in ("fewer", "more", "constant", "no_grad", "unused", "refused"):
        options["kinds"] = [case.way if k == others[0] else "same" for k in range(case.outputs)]
    if case.way in ("fewer", "more"):
        options["answer"] = case.way
    count = len(case.states)
    text = spread_function(case.style, count, case.outputs, forward_mode=act == "forward", **options)
    inputs = ", ".join(f"x{i}" for i in range(count))
    if case.way == "constant":
        inputs = ", ".join(f"x{i}.detach()" for i in range(count))
    call = f"out = Function.apply('a name', {inputs})"
    call = f"with torch.no_grad():\n    {call}" if case.way == "no_grad" else call
    seeds = {k: case.upstream(k).code() for k in range(max(case.outputs, count))}
    chosen = ", ".join(f"outputs[{k}]" for k in case.chosen())
    given = ", ".join(seeds[k] for k in case.chosen())
    if act == "forward":
        make = "torch.autograd.forward_ad.make_dual"
        duals = [
            f"d{i} = x{i}.detach()" if state == "constant" else f"d{i} = {make}(x{i}.detach(), {seeds[i]})"
            for i, state in enumerate(case.states)
        ]
        called = f"out = Function.apply('a name', {', '.join(f'd{i}' for i in range(count))})"
        shown = "print([torch.autograd.forward_ad.unpack_dual(each).tangent for each in outputs])"
        return f"{text}\n{within([LEVEL], *duals, called, OUTPUTS, shown)}"
    lines = [text, call, OUTPUTS]
    if case.way == "refused":
        rest = " + ".join(f"Refusing.apply(outputs[{k}])" for k in others)
        lines += [REFUSING, f"outputs = [each + {rest} for each in outputs]"]
    shown = "print([(getattr(each, 'requires_grad', each), getattr(each, 'grad_fn', None)) for each in outputs])"
    back = f"torch.autograd.backward([{chosen}], [{given}]"
    leaves = ", ".join(f"leaf{i}.grad" for i, state in enumerate(case.states) if state != "same")
    lines += {
        "back": [shown, f"{back})", f"print({leaves})"],
        "three": [f"for create in (False, True, False):\n    {back}, retain_graph=True, create_graph=create)"],
        "look": [shown],
        "node": [shown, "print([(each.grad_fn.name(), each.grad_fn.next_functions) for each in outputs])"],
    }[act]
    return "\n".join(lines)


REFUSING = """\
class Refusing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        return None
"""
CONTAINING = """\
class Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, container, x):
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        return None, gradient

hidden = [{leaves}]
hidden = [leaf.detach().requires_grad_() for leaf in hidden]
for container in (hidden, tuple(hidden), dict(enumerate(hidden)), [[hidden]]):
    print(Function.apply(container, x0.detach()).requires_grad)
    both = Function.apply(container, hidden[0] * 1)
    both.backward(torch.ones_like(both))
    print([leaf.grad for leaf in hidden])"""


def containing(case: Any) -> str:
    """Tensors in containers."""
    return CONTAINING.replace("{leaves}", ", ".join(f"leaf{i}" for i, s in enumerate(case.states) if s != "same"))


# --- kinds of functions ----------------------------------------------------------------------------------------

METHODS = {"gradient": "backward", "tangent": "jvp", "batched": "vmap"}


class Undressed(ast.NodeTransformer):
    """Takes annotations and docstrings away."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Of a function."""
        node.returns = None
        node.body = (node.body[1:] or [ast.Pass()]) if ast.get_docstring(node) is not None else node.body
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Of a class."""
        node.body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Of an argument."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Of an assignment."""
        assert node.value is not None
        return ast.Assign([node.target], self.visit(node.value), lineno=node.lineno)


def bare(definition: Any, name: str) -> str:
    """The source of a function or a class under another name, without annotations, docstrings and comments."""
    node: Any = ast.parse(dedent(inspect.getsource(definition))).body[0]
    node.name = name
    return ast.unparse(Undressed().visit(node))


def written(parts: Any, style: str, name: str = "Function", **attributes: Any) -> str:
    """What ``function_of`` makes of these parts, as a class."""
    members = {"compute": "forward", "setup": "setup_context"} if style == "setup" else {}
    names = [each for each in ("compute", "setup", *METHODS) if hasattr(parts, each)]
    methods = [bare(getattr(parts, each), {**METHODS, **members}.get(each, each)) for each in names]
    if style != "setup":
        forward = f"output = {name}.compute(*inputs)\n{name}.setup(ctx, inputs, output)\nreturn output"
        methods.append(f"@staticmethod\ndef forward(ctx, *inputs):\n{indented(forward)}")
    lines = [f"class {name}(torch.autograd.Function):", *(f"    {key} = {value}" for key, value in attributes.items())]
    for method in methods:
        text = method if method.startswith("@staticmethod") else f"@staticmethod\n{method}"
        lines.append(indented(text) + "\n")
    text = "\n".join(lines)
    needed = []
    if "function_of(TripledSquare)" in text:
        needed.append(written(function_kinds.TripledSquare, "ctx", "TripledSquare"))
        text = text.replace("function_of(TripledSquare)", "TripledSquare")
    text = text.replace("function_of(MappedSum, 'setup')", name)
    for used in (function_kinds.Cube, function_kinds.CubeWithSlope):
        if f"once_differentiable({used.__name__}.gradient)" in text:
            needed.append(written(used, "ctx", used.__name__).replace("def backward", "def gradient"))
    if "weakref." in text:
        needed.append("import weakref")
    return "\n".join([*needed, text])


def applied(
    parts: Any, act: str, style: str = "", keeper: bool = False, before: str = "", **attributes: Any
) -> Callable[[Any], str]:
    """A program: a custom function of these parts, or of what they are called for the case, and an act."""
    return partial(_applied, parts, act, style, keeper, before, attributes)


def _applied(parts: Any, act: str, style: str, keeper: bool, before: str, attributes: dict[str, Any], case: Any) -> str:
    chosen = parts[case.way] if isinstance(parts, dict) else parts
    lines = [written(chosen, style or case.style, **attributes)]
    if keeper:
        lines += [bare(function_kinds.Keeper, "Keeper") + "\n", f"keeper = Keeper({case.way!r})"]
    return "\n".join([*lines, *([before] if before else []), act])


def changed(case: Any) -> str:
    """What was saved, modified in each way, before backward needs it."""
    target = "found" if case.way == "output" else "x"
    lines = [_applied(function_kinds.Saving, "", "", True, "", {}, case).rstrip("\n")]
    for change in CHANGE_CODE.values():
        if "detach" in change:
            continue
        lines += [
            "x = leaf * 1", "found = Function.apply(keeper, x)", "used = found * 1", change.format(target),
            "try:", "    used.backward(torch.ones_like(used))", "except RuntimeError as error:", "    print(error)",
        ]  # fmt: skip
    return "\n".join([*lines, "print(keeper.seen)"])


def optional(case: Any) -> str:
    """Arguments that are left out or given by keyword."""
    given = {"both": "", "one": ", 4", "none": ", 4, None"}.get(case.way, "")
    return _applied(
        function_kinds.OptionalArguments, f"found = Function.apply(x{given})\n{BACK}", "", False, "", {}, case
    )


def by_keyword(case: Any) -> str:
    """The same by keyword."""
    given = {"factor": "factor=4", "both": "factor=4, term=None", "reversed": "term=None, factor=4", "term": "term=y"}
    act = f"y = torch.ones_like(x).detach().requires_grad_()\nfound = Function.apply(x, {given[case.way]})\n{BACK}"
    return _applied(function_kinds.OptionalArguments, act, "", False, "", {}, case)


BACK = "print(found)\nfound.backward(torch.ones_like(found))\nprint(leaf.grad)"
KEPT = "found = Function.apply(keeper, x)\n"
LOOKED = "print(found is x, found.data_ptr() == x.data_ptr(), found.stride(), found.requires_grad)\n"
FIRST_OF_CUBE = "found = Function.apply(x)\nfound = found[0] if isinstance(found, tuple) else found\n"
FORMULA = """\
class Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def vjp(ctx, gradient):
        return gradient * 3
{more}
found = Function.apply(x)
found.backward(torch.ones_like(found))
print(leaf.grad)"""
BESIDE = "\n    @staticmethod\n    def backward(ctx, gradient):\n        return gradient * 3\n"
CLEARED = """\
for flag in (True, False):
    Function.clear_saved_tensors_on_access = flag
    keeper = Keeper({way!r})
    found = Function.apply(keeper, x)
    found.backward(torch.ones_like(found))
    print(flag, keeper.seen[1])"""
TRANSFORMS = {
    "grad": "torch.func.grad(total)(x)", "vjp": "torch.func.vjp(function, x)[1](torch.full_like(x, 2))[0]",
    "jacrev": "torch.func.jacrev(function)(x.reshape(-1)).diagonal()",
    "jvp": "torch.func.jvp(function, (x,), (torch.full_like(x, 2),))[1]",
    "jacfwd": "torch.func.jacfwd(function)(x.reshape(-1)).diagonal()",
    "hessian": "torch.func.hessian(total)(x.reshape(-1)).diagonal()", "vmap": "torch.func.vmap(function)(x)",
    "vmap of grad": "torch.func.vmap(torch.func.grad(total))(x)",
    "grad of vmap": "torch.func.grad(lambda v: torch.func.vmap(function)(v).sum())(x)",
}  # fmt: skip


def transformed(style: str, case: Any) -> str:
    """A transform of torch.func of the cube."""
    act = (
        f"x, function = x.detach(), Function.apply\ntotal = lambda v: function(v).sum()\nprint({TRANSFORMS[case.way]})"
    )
    return _applied(function_kinds.Cube, act, style, False, "", {"generate_vmap_rule": True}, case)


def mapped(case: Any) -> str:
    """vmap of a function with a vmap method."""
    dim = -1 if case.way == "-1" else 0
    act = (
        f"other = leaf.detach().select({dim}, 0).clone()\n"
        f"mapped = torch.vmap(lambda x, y: Function.apply(keeper, x, y), "
        f"({dim}, None), {dim}, randomness='same')\nfound = mapped(leaf, other)\nprint(keeper.seen)\n{BACK}"
    )
    return _applied(function_transforms.MappedSum, act, "setup", True, "", {}, case)


def generated(case: Any) -> str:
    """vmap by a rule that is made."""
    dim = -1 if case.way == "-1" else 0
    act = f"found = torch.vmap(Function.apply, in_dims={dim}, out_dims={dim})(leaf)\n{BACK}"
    return _applied(function_kinds.Cube, act, "setup", False, "", {"generate_vmap_rule": True}, case)


WITHOUT_RULE = """\
class TwoRules(Function):
    generate_vmap_rule = True

    @staticmethod
    def vmap(info, in_dims, x):
        return Function.apply(x), in_dims[0]

for function in (Function, TwoRules):
    try:
        print(torch.vmap(function.apply)(x.detach()))
    except RuntimeError as error:
        print(error)"""
ONCE = FIRST_OF_CUBE + (
    "for tracked in (True, False):\n    upstream = torch.ones_like(found).requires_grad_(tracked)\n"
    "    (gradient,) = torch.autograd.grad(found, leaf, upstream, create_graph=True)\n"
    "    try:\n        print(torch.autograd.grad((gradient * leaf.detach()).sum(), leaf))\n"
    "    except RuntimeError as error:\n        print(error)"
)
FLAGS = (
    "for flag in (False, True):\n    found = Function.apply(x)\n"
    "    found = found[0] if isinstance(found, tuple) else found\n"
    "    upstream = torch.full_like(found, 2).requires_grad_(flag)\n"
    "    print(torch.autograd.grad(found, leaf, upstream, create_graph=flag))"
)
ORDERS = FIRST_OF_CUBE + (
    "for order in (1, 2, 3):\n"
    "    (found,) = torch.autograd.grad(found, leaf, torch.ones_like(found), create_graph=True)\n    print(found)"
)
DUAL = within(
    [LEVEL], "d = torch.autograd.forward_ad.make_dual(x.detach(), torch.ones_like(x))", "Function.apply(d)  # raises"
)
BOXED = """\
first, second = Function.apply(keeper, x)
torch.autograd.backward([first, second], [torch.ones_like(first), torch.full_like(second, 2)])
print(keeper.seen, leaf.grad)"""
KINDS = function_kinds

FUNCTION_ACTS: dict[str, Any] = {
    "custom-gradient-is-what-backward-returns": spread,
    "backward-gets-a-gradient-for-each-output": spread,
    "backward-gets-none-for-other-objects": spread,
    "miscounted-gradients-raise": spread,
    "further-nones-are-ignored": partial(spread, answer="nones"),
    "unwanted-gradients-are-ignored": spread,
    "no-gradient-leaves-none": partial(spread, answer="empty"),
    "misshapen-gradient-raises": partial(spread, answer="shape"),
    "gradient-of-an-object-raises": partial(spread, answer="object"),
    "backward-records-with-create-graph": partial(spread, act="three"),
    "forward-takes-any-object": partial(spread, act="look"),
    "forward-records-nothing": partial(spread, act="look"),
    "custom-function-is-one-node": partial(spread, act="node"),
    "custom-function-names-its-node": partial(spread, act="node"),
    "containers-are-not-traversed": containing,
    "no-graph-without-a-tracked-input": partial(spread, act="look"),
    "setup-context-gets-inputs-and-output": partial(spread, act="look"),
    "float-outputs-require-grad": partial(spread, act="look"),
    "integral-outputs-require-no-grad": spread,
    "marked-outputs-require-no-grad": partial(spread, others="marked", act="look"),
    "marked-outputs-get-zeros": partial(spread, others="marked"),
    "undefined-gradients-come-as-zeros": spread,
    "undefined-gradients-come-as-none": partial(spread, materialize=False),
    "needs-input-grad-mirrors-the-inputs": spread,
    "forward-mode-uses-jvp": partial(spread, act="forward"),
    "jvp-sees-what-was-saved-for-forward": partial(spread, act="forward"),
    "missing-tangents-come-as-zeros": lambda case: "\n".join(
        spread(case, "forward", materialize=materialize) for materialize in (True, False)
    ),
    "optional-arguments-may-be-left-out": optional,
    "optional-arguments-may-be-given-by-keyword": by_keyword,
    "returned-input-is-an-output": applied(KINDS.Passing, KEPT + LOOKED + BACK, keeper=True),
    "returned-view-keeps-the-memory": applied(KINDS.Passing, KEPT + LOOKED + BACK, keeper=True),
    "returned-view-refuses-writes": applied(
        KINDS.Passing,
        KEPT + "for write in (lambda: found.mul_(2), lambda: found[...].zero_()):\n    try:\n        print(write())\n"
        "    except RuntimeError as error:\n        print(error)",
        keeper=True,
    ),
    "dirty-leaf-raises": applied(
        KINDS.Dirtied, "keeper.way = 'returned'\nFunction.apply(keeper, leaf)  # raises", keeper=True
    ),
    "dirty-input-must-be-returned": applied(
        KINDS.Dirtied, "keeper.way = 'copied'\nFunction.apply(keeper, x)  # raises", keeper=True
    ),
    "saved-tensors-come-back-in-order": applied(
        KINDS.Saving, KEPT + "found.backward(torch.ones_like(found))\nprint(x, found, keeper.seen[0])", keeper=True
    ),
    "stale-saved-tensor-raises": changed,
    "saved-tensors-are-freed-by-backward": applied(
        KINDS.Saving,
        KEPT + "for retained in (True, False):\n    found.backward(torch.ones_like(found), retain_graph=retained)\n"
        "    print(retained, keeper.memory[0]() is not None)",
        keeper=True,
    ),
    "cleared-saved-tensors-raise": applied(
        KINDS.SavingTwice, KEPT + "found.backward(torch.ones_like(found))  # raises", keeper=True,
        clear_saved_tensors_on_access=True,
    ),
    "cleared-saved-tensors-are-freed-in-backward": lambda case: _applied(
        KINDS.Saving, CLEARED.replace("{way!r}", repr(case.way)), "", True, "", {}, case
    ),
    "boxed-gradients-come-as-a-list": applied(KINDS.Boxed, BOXED, keeper=True, boxed_grads_call=True),
    "vjp-stands-for-backward": FORMULA.replace("{more}", ""),
    "vjp-beside-backward-raises": FORMULA.replace("{more}", BESIDE),
    "once-differentiable-keeps-the-gradient": applied(KINDS.CUBES, FLAGS),
    "once-differentiable-refuses-a-second-time": applied(KINDS.CUBES, ONCE),
    "custom-function-is-differentiated-again": applied(KINDS.CUBES, ORDERS),
    "intermediate-on-ctx-is-constant": applied(
        KINDS.CUBES,
        FIRST_OF_CUBE + "(gradient,) = torch.autograd.grad(found, leaf, torch.ones_like(found), create_graph=True)\n"
        "print(gradient, gradient.requires_grad)",
    ),
    "missing-jvp-raises": applied(KINDS.CubeWithSlope, DUAL),
    "generated-vmap-rule-maps-the-function": generated,
    "vmap-method-is-given-the-batch": mapped,
    "vmap-needs-a-rule": applied(KINDS.Cube, WITHOUT_RULE, style="setup"),
    "transforms-follow-a-custom-function": partial(transformed, "setup"),
    "transforms-refuse-a-combined-forward": partial(transformed, "ctx"),
}  # fmt: skip
