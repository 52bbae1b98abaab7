"""Leaf acts: what is done with leaves, results, inference tensors and functionals, in plain torch.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

from typing import Any

from conformance.inputs.listings import Instead, within

FLAGS = "print(found.is_leaf, found.requires_grad, found.grad_fn)"
INFERRED = "print(found.is_inference(), x.is_inference())"
TWICE = "for _ in range(2):\n    (x * 2).backward(torch.ones_like(x))\n    print(x.grad)"
SAVED_BY_A_PRODUCT = """\
y = torch.ones_like(x).requires_grad_()
first, second = x * y, x.clone() * y
torch.autograd.graph.increment_version(x)
second.backward(torch.ones_like(y))
first.backward(torch.ones_like(y))  # raises"""
SAFE = """\
safe = torch.zeros_like(x)
safe[div != 0] = x[div != 0] / div[div != 0]
x.grad = None
safe.sum().backward()
print(x.grad)"""
MODULE = """\
for flag in (True, False):
    print(module.requires_grad_(flag) is module, [p.requires_grad for p in module.parameters()])
print([b.requires_grad for b in module.buffers()])"""
SECOND = "\nfor each in found if isinstance(found, tuple) else (found,):\n    print(each.requires_grad, each.is_leaf)"


def of_module(case: Any) -> str:
    """A module, told to require grad and not to."""
    made: str = case.code().partition("\nresult = ")[0]
    return f"{made}\n{MODULE}"


def chained(act: str) -> Any:
    """An act on the values of a chain."""
    return OnChain(act)


class OnChain:
    """Writes an act behind a chain, of whose length it depends."""

    def __init__(self, act: str) -> None:
        self.act = act

    def __call__(self, case: Any) -> str:
        """The lines."""
        values = [f"v{number}" for number in range(len(case.steps) + 1)]
        kept = [values[number] for number in dict.fromkeys(case.kept) if number]
        seed = f"torch.tensor({(1, -2, 0.5, 4, -0.25)}, dtype={values[-1]}.dtype).repeat({values[-1]}.numel())"
        seed += f"[:{values[-1]}.numel()].view_as({values[-1]})"
        words = {"values": ", ".join(values), "kept": ", ".join(kept), "last": values[-1], "seed": seed}
        text = self.act
        for word, meaning in words.items():
            text = text.replace(f"{{{word}}}", meaning)
        return text


def functional(case: Any) -> str:
    """The functional that the way names, with its options."""
    name, _, how = case.way.partition(", ")
    options = {
        "plain": "", "recorded": ", create_graph=True", "vectorized": ", vectorize=True",
        "forward": ", vectorize=True, strategy='forward-mode'",
    }  # fmt: skip
    inputs = "(x, y)" if case.count > 1 else "x"
    product = name in ("vjp", "jvp", "hvp", "vhp")
    given = options.get(how, "") if name in ("jacobian", "hessian") or product else options[name]
    name = name if product or name in ("jacobian", "hessian") else "{kind}"
    vector = ""
    if product:
        outputs = "function(*inputs)" if name == "vjp" else "inputs if len(inputs) > 1 else inputs[0]"
        vector = f"inputs = ({inputs.strip('()')},)\nlike = {outputs}\n"
        vector += "ones = lambda t: tuple(map(ones, t)) if isinstance(t, tuple) else torch.ones_like(t.detach())\n"
        inputs += ", ones(like)"
    made = "".join(f"{n} = {n}.requires_grad_()\n" for n in ("x", "y")[: case.count] if case.tracked)
    return f"{made}{vector}found = torch.autograd.functional.{name}(function, {inputs}{given})\nprint(found)"


def jacobian(case: Any) -> str:
    """The Jacobian."""
    return functional(case).replace("{kind}", "jacobian")


def hessian(case: Any) -> str:
    """The Hessian."""
    return functional(case).replace("{kind}", "hessian").replace("strategy", "outer_jacobian_strategy")


def nested(case: Any) -> str:
    """The Jacobian or the Hessian of several inputs or results."""
    return hessian(case) if case.way.startswith("hessian") else jacobian(case)


def without_vector(case: Any) -> str:
    """A product whose vector is left out."""
    made = "".join(f"{n} = {n}.requires_grad_()\n" for n in ("x", "y")[: case.count] if case.tracked)
    return f"{made}print(torch.autograd.functional.{case.way}(function, x))"


def recorded(case: Any) -> str:
    """A functional that is recorded, differentiated once more."""
    plain, again = functional(case), functional(case).replace("print(found)", "")
    again = again.replace("found = ", "leaf = x.requires_grad_()\nfound = ").replace("function, x", "function, leaf")
    head, _, tail = again.rpartition(")")
    last = "found" if case.way in ("jacobian", "hessian") else "found[-1]"
    return (
        f"{plain}{SECOND}\n{head}, create_graph=True){tail}\nprint(torch.autograd.grad({last}.sum(), leaf), leaf.grad)"
    )


def strict(case: Any) -> str:
    """A functional that is strict."""
    head, _, tail = functional(case).replace("{kind}", case.way).rpartition(")\nprint")
    return f"{head}, strict=True)  # raises, with create_graph=True as well\nprint{tail}"


def set_by_function(case: Any) -> str:
    """Modes that are set by calls of a function."""
    calls = "\n".join(f"{mode}\nprint(look(), (x + x).requires_grad)" for mode in case.modes)
    return within(["torch.no_grad()"], *calls.splitlines())


def set_inside(case: Any) -> str:
    """Modes that are set within another by calls of a function."""
    around, mode, *switches = case.modes
    return within([around], within([mode], *switches), "print('after:', look())")


def entered_again(case: Any) -> str:
    """A context manager that is entered in several modes."""
    again = [
        within([mode], within(["manager"], "print('inside:', look())"), "print('after:', look())")
        for mode in case.modes[1:]
    ]
    return "\n".join([f"manager = {case.modes[0]}", *again])


LEAF_ACTS: dict[str, Any] = {
    "set-grad-enabled-works-as-a-function": set_by_function,
    "leaving-a-mode-undoes-what-was-set-inside": set_inside,
    "mode-object-serves-again": entered_again,
    "tensor-without-grad-is-a-leaf": f"print(x.is_leaf, x.requires_grad, x.grad_fn)\n{FLAGS}",
    "counts-do-not-require-grad": FLAGS,
    "grad-fn-is-a-node": "print(found.grad_fn, isinstance(found.grad_fn, torch.autograd.graph.Node), x.grad_fn)",
    "requires-grad-begins-recording": TWICE,
    "clone-node-has-the-documented-name": "print(found.grad_fn.name())",
    "retain-grad-needs-a-gradient": "x.retain_grad()  # raises",
    "increment-version-counts": "alias = x.detach()\nfor _ in range(2):\n"
    "    torch.autograd.graph.increment_version(x)\n    print(x._version, alias._version)",
    "increment-version-takes-several": "tensors = [x.clone() for _ in range(4)]\n"
    "torch.autograd.graph.increment_version(tensors[:3])\nprint([t._version for t in tensors])",
    "increment-version-lets-foreign-writes-be-noticed": SAVED_BY_A_PRODUCT,
    "increment-version-passes-over-inference-tensors": "torch.autograd.graph.increment_version(x)\n"
    "print(x.is_inference(), x)",
    "inference-tensors-have-no-version": "x._version  # raises",
    "views-of-inference-tensors-are-inference-tensors": INFERRED,
    "inference-tensors-are-refused-or-used-rightly": "found.backward(torch.ones_like(found))\nprint(y.grad, x.grad)",
    "inference-tensors-are-immutable-outside": "print(x)",
    "detached-inference-tensors-are-immutable-outside": "print(x.detach().is_inference())\n"
    "x.detach()._version  # raises",
    "inference-tensors-can-be-written-inside": "print(x, x.is_inference())",
    "clone-of-an-inference-tensor-is-normal": "print(found.is_inference(), found)\n"
    "y = torch.ones_like(found).requires_grad_()\n"
    "(found * y).backward(torch.ones_like(y))\nprint(y.grad, found.add_(1)._version, found.requires_grad_().is_leaf)",
    "inference-tensors-serve-where-nothing-is-recorded": "print(found, found.requires_grad)",
    "no-grad-views-do-not-require-grad": FLAGS,
    "no-grad-results-do-not-require-grad": FLAGS,
    "inference-views-do-not-require-grad": FLAGS,
    "inference-results-do-not-require-grad": FLAGS,
    "what-inference-mode-allocates-are-inference-tensors": INFERRED
    + "\nprint(torch.is_inference(found), torch.ones_like(found).is_inference())",
    "views-of-normal-tensors-stay-normal-in-inference-mode": INFERRED + "\nprint(x._version, found._version)",
    "retained-grad-equals-autograd-grad": chained(
        "print([t.grad for t in ({values},)])\nprint(torch.autograd.grad({last}, [{values}], {seed}))"
    ),
    "gradient-edge-gives-the-gradient": chained(
        "edges = [torch.autograd.graph.get_gradient_edge(value) for value in ({values},)]\n"
        "print(torch.autograd.grad({last}, edges, {seed}))"
    ),
    "retains-grad-tells": chained("print([t.retains_grad for t in ({values},)])"),
    "masking-before-a-division-by-zero-is-safe": SAFE,
    "module-requires-grad-sets-every-parameter": Instead(of_module),
    "jacobian-holds-every-derivative": jacobian,
    "jacobian-of-an-empty-result-is-empty": jacobian,
    "nested-derivatives-are-tuples": nested,
    "hessian-holds-every-second-derivative": hessian,
    "vjp-and-jvp-are-products-with-the-jacobian": functional,
    "hvp-and-vhp-are-products-with-the-hessian": functional,
    "vector-of-one-element-may-be-left-out": without_vector,
    "functional-of-an-independent-input-is-zero": functional,
    "strict-functional-refuses-an-independent-input": strict,
    "functional-is-recorded-as-create-graph-says": recorded,
}
