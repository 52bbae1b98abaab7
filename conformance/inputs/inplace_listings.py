"""In-place programs, written out as programs of plain torch, for people to run."""

from __future__ import annotations

from math import prod
from typing import Any

from conformance.inputs.listings import within
from conformance.inputs.tensors import Strided

OPERANDS = ("other", "another", "third", "fourth")
EARLIER = {
    "product": "target * target", "sine": "target.sin()", "exponential": "target.exp()",
    "root": "(target * target + 1).sqrt()", "power": "target.pow(3)", "sum": "target.sum(0, keepdim=True)",
    "result": "target.clone()", "factor": "torch.ones(target.shape, requires_grad=True) * target",
}  # fmt: skip
WAYS = {
    "alias": "target.view_as(target)", "reshaped": "target.unsqueeze(0)[0]", "detached": "target.detach()",
    "data": "target.data",
}  # fmt: skip
# in place of the exact weights of the check, which are as good as any
WEIGH = """\
def weigh(x):
    x = torch.view_as_real(x) if x.is_complex() else x
    return (x * torch.linspace(1, 2, x.numel(), dtype=x.dtype, device=x.device).reshape(x.shape)).sum()
"""


def view_of_base(view: str, shape: tuple[int, ...]) -> str:
    """The expression of a view of ``base`` that has this shape."""
    strides = tuple(2 * step for step in Strided("bool", shape, ()).strides)
    reverse = tuple(reversed(range(len(shape))))
    return {
        "offset": f"base[2 : {2 + prod(shape)}].view({shape})", "strided": f"base.as_strided({shape}, {strides}, 1)",
        "selected": "base.select(-1, 1)",
        "transposed": f"base.permute({reverse})" if len(shape) > 1 else f"base.view({shape})",
        "narrowed": f"base.narrow(0, 1, {shape[0]})" if shape else "base[2]",
        "stepped": "base[1::2]" if shape else "base[1]", "unsqueezed": "base.unsqueeze(0).squeeze(0)",
        "chained": f"base[1:][1].view({shape})",
    }.get(view, "base")  # fmt: skip


def inplace_program(case: Any, symbol: str) -> str:
    """A leaf, a copy of it, the call on the copy or a view of it, and the gradients; ``symbol`` such as ``+=``."""
    call = case.call
    _, leaf, *operands, act = call.code().splitlines()
    if case.view != "none":
        plan = call.self_
        leaf = f"x = torch.tensor({case.start.tolist()}, dtype=torch.{plan.dtype}, device={plan.device!r})"
        leaf += f".reshape({case.start.shape})"
    names = [OPERANDS[sum(isinstance(x, Strided) for x in call.args[:n])] for n in case.operands]
    alone = case.alone or case.use == "factor"
    wanted = [*([] if alone else ["leaf"]), *names]
    lines = ["import torch", WEIGH, leaf, f"leaf = x{'' if alone else '.requires_grad_()'}", *operands]
    lines += [f"{name}.requires_grad_()" for name in names]
    lines += [
        f"base = leaf.{'tanh' if case.use == 'result' else 'clone'}()",
        f"target = {view_of_base(case.view, call.self_.shape)}",
    ]
    lines += [f"earlier = {EARLIER[case.use]}"] if case.use in EARLIER else []
    lines.append(f"x = {WAYS.get(case.route, 'target')}")
    if case.route == "operator":
        given = act.partition("(")[2].removesuffix(")")
        lines.append(f"x {symbol} {given}")
    else:
        lines.append(within(["torch.no_grad()"] if case.route == "without-grad" else [], act))
    total = [*(["weigh(base)"] if case.use != "factor" else []), *(["weigh(target)"] if case.view != "none" else [])]
    total += ["weigh(earlier)"] if case.use in EARLIER else []
    return "\n".join([*lines, f"({' + '.join(total)}).backward()", f"print({', '.join(f'{n}.grad' for n in wanted)})"])
