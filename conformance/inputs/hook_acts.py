"""Hook acts: what is done with hooks in rare surroundings, in plain torch.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#backward-hooks-execution
"""

from __future__ import annotations

from typing import Any

from conformance.inputs.listings import Instead

TARGETS = {
    "leaf": "x.requires_grad_()", "result": "x.requires_grad_() * 2", "view": "x.requires_grad_().view_as(x)",
    "detached": "(x.requires_grad_() * 2).detach()", "frozen": "x.requires_grad_().requires_grad_(False)",
}  # fmt: skip
NODE = "node = lambda t: t.grad_fn or t.view_as(t).grad_fn.next_functions[0][0]\n"


def target(case: Any) -> str:
    """The tensor that hooks are registered on, or not."""
    if case.way == "without recording":
        return "with torch.no_grad():\n    tensor = x.requires_grad_() * 2\n"
    return f"tensor = {TARGETS.get(case.way, 'x')}\n"


def on_target(act: str) -> Any:
    """An act with that tensor."""
    return OnTarget(act)


class OnTarget:
    """Writes an act behind the tensor that it is done with."""

    def __init__(self, act: str) -> None:
        self.act = act

    def __call__(self, case: Any) -> str:
        """The lines."""
        return target(case) + self.act


def wrong_result(case: Any) -> str:
    """A hook on a tensor that returns what it may not."""
    found = {
        "shape": "torch.cat([g.reshape(-1), g.reshape(-1), g.new_ones(2)])",
        "element type": "g.to(torch.float32 if g.dtype is torch.float64 else torch.float64)", "string": "'a string'",
    }.get(case.way, "2.5")  # fmt: skip
    return f"y = x.requires_grad_() * 2\ny.register_hook(lambda g: {found})\ny.backward(torch.ones_like(y))  # raises"


def wrong_node_result(case: Any) -> str:
    """The same of a node."""
    kind, _, what = case.way.partition(" ")
    of_two = "(*g, *g)" if what == "too many" else "g[0]" if what == "no tuple" else "(g[0], g[0])"
    register = {
        "pre": f"register_prehook(lambda g: {'g[0]' if what == 'no tuple' else '(g[0], g[0])'})",
        "post": f"register_hook(lambda g, outer: {of_two})",
    }[kind]
    return f"{NODE}y = x.requires_grad_().clone()\nnode(y).{register}\ny.backward(torch.ones_like(y))  # raises"


def written_view(case: Any) -> str:
    """Hooks on a base and a view, from before and from after one of them is written."""
    way = case.way
    lines = ["base = x.requires_grad_().clone()", "view = base[1:]"]
    lines += [] if "unhooked" in way else ["view.register_hook(lambda g: print('old view', g))"]
    lines += ["base.register_hook(lambda g: print('old base', g))"]
    lines += ["used = view * 3"] if "used" in way else []
    lines += [f"{'base' if 'base' in way else 'view'}.mul_(2)"]
    lines += ["view.grad_fn"] if "refreshed" in way else []
    lines += [f"{name}.register_hook(lambda g: print('new {name}', g))" for name in ("view", "base")]
    names = ["base", "view", *(["used"] if "used" in way else [])]
    seeds = ", ".join(f"torch.full_like({n}, {w})" for n, w in zip(names, (1, 10, 2), strict=False))
    return "\n".join([*lines, f"torch.autograd.backward([{', '.join(names)}], [{seeds}])"])


def split(case: Any) -> str:
    """The outputs of a function that gives several."""
    call = {"split": "split(1)", "chunk": "chunk(x.shape[0])"}.get(case.way, "unbind()")
    return f"parts = x.requires_grad_().{call}\n"


def unused_part(case: Any) -> str:
    """A hook on an output that is not used."""
    return (
        split(case)
        + "parts[-1].register_hook(lambda g: print('called', g))\nparts[0].backward(torch.ones_like(parts[0]))"
    )


def gradients_of_parts(case: Any) -> str:
    """A pre-hook of a node with several outputs."""
    hook = "parts[0].grad_fn.register_prehook(print)"
    return f"{split(case)}{hook}\nparts[0].backward(torch.ones_like(parts[0]) * 3)"


def changing(case: Any) -> str:
    """A hook after the accumulation that changes its tensor or the gradient."""
    body = {
        "step": "x.add_(x.grad, alpha=-2)", "drop": "x.grad = None", "zero": "x.grad.zero_()",
        "replace": "x.grad = x.grad * 4", "step and drop": "x.add_(x.grad, alpha=-2)\n    x.grad = None",
    }.get(case.way, "pass")  # fmt: skip
    return (
        f"def hook(x):\n    {body}\nx.requires_grad_().register_post_accumulate_grad_hook(hook)\n"
        "for _ in range(2):\n    (x * 3).backward(torch.ones_like(x))\n    print(x, x.grad)"
    )


def differentiated(case: Any) -> str:
    """A hook in a first derivative that is differentiated once more."""
    factor = "2" if "twice" in case.way else "g"
    made = "leaf = x = x.requires_grad_()" if "leaf" in case.way else "leaf = x.requires_grad_()\nx = leaf.clone()"
    return (
        f"{made}\nx.register_hook(lambda g: g * {factor})\n"
        "(first,) = torch.autograd.grad((x * x * x).sum(), leaf, create_graph=True)\n"
        "print(torch.autograd.grad(first.sum(), leaf))"
    )


NESTED = """\
import threading
a, b = x.requires_grad_(), x.detach().clone().requires_grad_()
first, second, calls = a * b, a * b, []
told = lambda gradients: print([each is not None for each in gradients])
torch.autograd.graph.register_multi_grad_hook([a, b, first], told)
def inner():
    second.backward(torch.full_like(second, 5), retain_graph=True, inputs=(a,))
def between(g):
    if not calls:
        calls.append(1)
        {run}
first.register_hook(between)
first.clone().backward(torch.ones_like(first), retain_graph=True)"""


def nested(case: Any) -> str:
    """Backward within backward, with a multi-grad hook."""
    threaded = "thread = threading.Thread(target=inner)\n        thread.start()\n        thread.join()"
    return NESTED.replace("{run}", threaded if case.way == "thread" else "inner()")


THREADED = """\
import threading
leaf, results, barrier = x.requires_grad_(), [None, None], threading.Barrier(2)
shared = leaf * 2
graphs = [shared, {other}]
for graph in set(graphs):
    graph.register_hook(lambda g: print('hook', g))
def work(turn):
    barrier.wait(60)
    results[turn] = torch.autograd.grad(graphs[turn], leaf, torch.full_like(leaf, 3 + turn), retain_graph=True)[0]
threads = [threading.Thread(target=work, args=(turn,)) for turn in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(results)"""


def threaded(case: Any) -> str:
    """Backward calls in two threads."""
    return THREADED.replace("{other}", "shared" if case.way == "one graph" else "leaf * 2")


def ended(case: Any) -> str:
    """Hooks that are removed by the end of a block, or by an exception in it."""
    lines = case.code().splitlines()
    for number, line in enumerate(lines):
        if line.endswith(".remove()"):
            name = line.removesuffix(".remove()")
            lines[number] = (
                f"try:\n    with {name}:\n        raise KeyboardInterrupt\nexcept KeyboardInterrupt:\n    pass"
            )
    return "\n".join(lines)


HOOK_ACTS: dict[str, Any] = {
    "hook-is-removed-by-the-end-of-a-block": Instead(ended),
    "tensor-hook-refuses-a-tensor-without-grad": on_target("tensor.register_hook(print)  # raises"),
    "post-accumulate-hook-refuses-a-result": on_target("tensor.register_post_accumulate_grad_hook(print)  # raises"),
    "post-accumulate-hook-refuses-a-tensor-without-grad": on_target(
        "tensor.register_post_accumulate_grad_hook(print)  # raises"
    ),
    "multi-grad-hook-refuses-another-mode": on_target(
        "torch.autograd.graph.register_multi_grad_hook([tensor], print, mode='first')  # raises"
    ),
    "function-registered-twice-is-called-twice": on_target(
        "hook = lambda g: print('called', g)\nhandles = [tensor.register_hook(hook) for _ in range(2)]\n"
        "for _ in range(3):\n    (tensor * 3).backward(torch.ones_like(tensor), retain_graph=True)\n"
        "    print('next')\n    [handle.remove() for handle in handles[:1]]\n    del handles[:1]"
    ),
    "multi-grad-hook-refuses-or-ignores-a-tensor-without-grad": on_target(
        "torch.autograd.graph.register_multi_grad_hook([tensor.detach(), tensor], print)\n"
        "(tensor * 3).backward(torch.ones_like(tensor))"
    ),
    "tensor-hook-must-return-such-a-gradient": wrong_result,
    "node-hook-must-return-such-gradients": wrong_node_result,
    "hook-on-a-base-keeps-to-its-value-through-views": written_view,
    "hook-on-a-view-keeps-to-the-value-before-its-write": written_view,
    "hook-on-a-view-stays-with-what-used-it": written_view,
    "hook-on-a-view-of-a-written-base-is-called": written_view,
    "tensor-hook-is-not-called-without-a-gradient": unused_part,
    "node-hooks-get-one-gradient-per-output": gradients_of_parts,
    "post-accumulate-hook-may-change-its-tensor": changing,
    "tensor-hook-result-is-differentiated": differentiated,
    "multi-grad-hook-keeps-backward-calls-apart": nested,
    "tensor-hook-runs-for-each-thread": threaded,
}
