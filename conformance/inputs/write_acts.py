"""Write acts: what is done with calls that write to a tensor which others share, in plain torch.

Reference: https://docs.pytorch.org/docs/stable/tensor_view.html
"""

from __future__ import annotations

import re
from typing import Any

from conformance.inputs.augmented import SYMBOLS
from conformance.inputs.inplace_listings import view_of_base
from conformance.inputs.inplace_programs import base_shape
from conformance.inputs.listings import Instead

VERSIONS = "alias = {view}\nbefore = x._version\n{written}\nprint(before, x._version, alias._version)"


def of_a_leaf(case: Any) -> str:
    """The lines that make x a view of a leaf, or a leaf."""
    if case.form == "leaf":
        return "x = x.requires_grad_()\n"
    if case.form == "alias":
        return "x = x.requires_grad_().view_as(x)\n"
    shape = case.call.self_.shape
    return (
        f"base = torch.ones({base_shape(shape, case.form)}, dtype=x.dtype, device=x.device).requires_grad_()\n"
        f"x = {view_of_base(case.form, shape)}\n"
    )


def refused(case: Any) -> str:
    """A call on a view of a leaf."""
    return of_a_leaf(case) + "{act}  # raises"


def augmented(case: Any) -> str:
    """An augmented assignment to a view of a leaf."""
    given = case.call.code().rpartition("\n")[2].partition("(")[2].removesuffix(")")
    return f"{of_a_leaf(case)}x {{symbol}} {given}  # raises"


def of_several(case: Any) -> str:
    """A call on one of several views."""
    if case.form == "unbind" or not case.call.self_.shape:
        made = "torch.stack([x, x]).requires_grad_().clone().unbind(0)[1]"
    else:
        call = "split(max(x.shape[0], 1))" if case.form == "split" else "chunk(2)"
        made = f"torch.cat([x, x]).requires_grad_().clone().{call}[-1]"
    return f"x = {made}\n{{act}}  # raises"


def called(case: Any) -> str:
    """What is given to the method, as text."""
    text: str = case.code().rpartition("\n")[2].partition("(")[2].removesuffix(")")
    return text


def of_data(case: Any) -> str:
    """The same call through .data of a leaf."""
    act = case.code().rpartition("\n")[2]
    return f"leaf = x.detach().clone().requires_grad_()\nplain, x = x, leaf.data\n{act}\nprint(leaf, plain)"


def by_function(case: Any) -> str:
    """The same call of the function of that name."""
    given = f", {called(case)}" if called(case) else ""
    return f"y = x.clone()\nprint(torch.{case.method}(y{given}) is y, y, x)"


def counterpart(case: Any) -> str:
    """The same call without an underscore."""
    act = case.code().rpartition("\n")[2]
    found = act.replace(case.method, case.method.rstrip("_"), 1)
    return f"before = x._version\nfound = {found}\nprint(x._version == before, x, found)"


def assigned(case: Any) -> str:
    """The same write by an augmented assignment."""
    text = f"y = before = x.clone()\ny {SYMBOLS[case.method][1]} {called(case)}\nprint(y is before, y, x)"
    return text


def by_assignment(case: Any) -> str:
    """index_put_ as an assignment."""
    indices, _, value = called(case).rpartition(", ")
    return f"y = torch.empty_like(x)\ny[{indices}] = {value}\nprint(x, y)"


def watched(case: Any) -> str:
    """A gradient that is retained from before the write, and a hook from after it."""
    *lines, _, _ = case.code().splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("x = target"))
    lines = [*lines[: place + 1], "x.retain_grad()", *lines[place + 1 :], "x.register_hook(print)"]
    return "\n".join([*lines, "weigh(x).backward()", "print(x.grad)"])


def by_the_seed(case: Any) -> str:
    """The fill without a generator, after one seed twice and after another."""
    *lines, call = case.code().splitlines()
    fill = re.sub(r"(, )?generator=torch\.Generator\(.*?\)\.manual_seed\(\d+\)", "", call)
    seed = case.kwargs["generator"].seed
    return "\n".join(
        [*lines, f"for seed in ({seed}, {seed}, {seed + 1}):\n    torch.manual_seed(seed)\n    {fill}\n    print(x)"]
    )


WRITE_ACTS: dict[str, Any] = {
    "random-fill-follows-manual-seed": Instead(by_the_seed),
    "later-hook-gets-the-gradient-of-the-new-value": watched,
    "retained-grad-is-that-of-the-current-value": watched,
    "data-reaches-the-tensor": of_data,
    "function-with-an-underscore-does-as-the-method": by_function,
    "counterpart-leaves-self-alone": counterpart,
    "augmented-assignment-keeps-the-tensor": assigned,
    "augmented-assignment-computes-the-operator": assigned,
    "index-put-is-assignment": by_assignment,
    "view-of-a-leaf-refuses": refused,
    "augmented-assignment-to-a-leaf-is-refused": augmented,
    "one-of-several-views-refuses": of_several,
    "views-share-the-version": VERSIONS,
    "detached-tensor-shares-the-version": VERSIONS,
    "mark-dirty-lets-stale-use-be-detected": "{function}\nbefore = {use}\n{call}\n"
    "before.backward(torch.ones_like(before))  # raises",
    "mark-dirty-puts-the-function-into-the-graph": "{function}\nfound = {call}\nprint(found is a)\n"
    "a.backward(torch.ones_like(a))\nprint(leaf.grad)",
}
