"""Training listings: stopped trainings and schedules, as whole programs of plain torch.

Reference: https://docs.pytorch.org/docs/stable/optim.html
"""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING, Any

from conformance.inputs.tensors import corner

if TYPE_CHECKING:
    from conformance.inputs.schedules import Schedule
    from conformance.inputs.trainings import Training

# How a state gets from one object to the next.
CARRYING = {
    "dictionary": ["def carried(state):", "    return state"],
    "copy": ["from copy import deepcopy as carried"],
    "pickle": ["import pickle", "def carried(state):", "    return pickle.loads(pickle.dumps(state))"],
    "file": [
        "import io", "def carried(state):", "    file = io.BytesIO()", "    torch.save(state, file)",
        "    file.seek(0)", "    return torch.load(file)",
    ],
}  # fmt: skip


def stopped_training(case: Training) -> str:
    """Steps, a state that is loaded by another optimizer, and more steps of both."""
    shapes = [shape for group in case.groups for shape in group]
    plans = [
        corner(case.dtype, shape, "contiguous", "ordinary", "any", case.device, n) for n, shape in enumerate(shapes)
    ]
    lines = [*CARRYING[case.way], "p = ["]
    lines += [f"    torch.nn.Parameter({plan.code()})," for plan in plans]
    lines += ["]", *_optimizer(case)]
    if "closure" in case.traits:
        lines += [
            "def run(o, p, steps):", "    def loss():", "        o.zero_grad()",
            "        found = sum(((x - 0.25) ** 2).sum() * (1 + n) for n, x in enumerate(p))",
            "        found.backward()", "        return found", "    for _ in steps:", "        o.step(loss)",
        ]  # fmt: skip
    else:
        lines.append("gradients = [")
        for turn in range(case.before + case.after):
            row = [case.planned_gradient(turn, place, shape) for place, shape in enumerate(shapes)]
            sparse = ".to_sparse()" if "sparse" in case.traits else ""
            words = ["None" if plan is None else plan.code() + sparse for plan in row]
            lines.append(f"    [{', '.join(words)}],")
        lines += [
            "]", "def run(o, p, steps):", "    for step in steps:",
            "        for x, gradient in zip(p, gradients[step]):", "            x.grad = gradient", "        o.step()",
        ]  # fmt: skip
    return "\n".join([
        *lines, "o = optimizer(p)", f"run(o, p, range({case.before}))",
        "p2 = [torch.nn.Parameter(x.detach().clone()) for x in p]", "o2 = optimizer(p2)",
        "o2.load_state_dict(carried(o.state_dict()))", "print(o.state_dict(), o2.state_dict())",
        f"run(o, p, range({case.before}, {case.before + case.after}))",
        f"run(o2, p2, range({case.before}, {case.before + case.after}))",
        "print([torch.equal(x, y) for x, y in zip(p, p2)])",
    ])  # fmt: skip


def _optimizer(case: Training) -> list[str]:
    """The function that makes an optimizer over a list of parameters, as a training makes its own."""
    options: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in case.options}
    tensor = "torch.tensor({!r})" if "tensor_lr" in case.traits else "{!r}"
    words = [f"{name}={tensor.format(v) if name == 'lr' else repr(v)}" for name, v in options.items()]
    groups, start = [], 0
    for number, group in enumerate(case.groups):
        rate = f", 'lr': {tensor.format(options['lr'] / (1 + number))}" if number else ""
        groups.append(f"{{'params': p[{start}:{start + len(group)}]{rate}}}")
        start += len(group)
    given = "p" if len(groups) == 1 else f"[{', '.join(groups)}]"
    return ["def optimizer(p):", f"    return torch.{case.makes}({', '.join([given, *words])})"]


def stopped_schedule(case: Schedule) -> str:
    """Steps, states that are loaded by another optimizer and scheduler, and more steps of both."""
    from conformance.inputs.schedules import METRICS, PART_OPTIONS

    home = "torch.optim.swa_utils" if case.makes == "SWALR" else "torch.optim.lr_scheduler"
    momentum = ", momentum=0.9" if case.momentum else ""
    lines = [*CARRYING[case.way]]
    if case.multiplier == "object":
        lines += [
            "class Falling:", "    def __init__(self, rate):", "        self.rate = rate",
            "    def __call__(self, epoch):",
            "        return self.rate**epoch if self.rate < 0.9 else 1.0 / (1 + epoch)",
        ]  # fmt: skip
    elif case.multiplier:
        lines += ["def falling(epoch):", "    return 1.0 / (1 + epoch)"]
    body = [
        "group = lambda n: {'params': [torch.nn.Parameter(torch.ones(2))], 'lr': rate * (1 + n)}",
        f"groups = [group(n) for n in range({case.groups})]",
        f"o = torch.optim.SGD(groups, lr=0.1{momentum})",
    ]
    parts = [
        f"torch.optim.lr_scheduler.{part}(o, {', '.join(f'{k}={v!r}' for k, v in PART_OPTIONS[part].items())})"
        for part in case.parts
    ]
    body += [f"parts = [{', '.join(parts)}]"] if parts else []
    words = [f"{name}={list(v) if isinstance(v, tuple) else v!r}" for name, v in case.options]
    if case.multiplier:
        one = "Falling(0.5)" if case.multiplier == "object" else "falling"
        words.append(f"lr_lambda=[{', '.join([one] * case.groups)}]" if case.groups > 1 else f"lr_lambda={one}")
    chained = case.makes == "ChainedScheduler"
    words = ["parts"] if chained else ["o", *words, *["schedulers=parts"] * bool(parts)]
    body.append(f"return o, {home}.{case.makes}({', '.join(words)})")
    metrics = f"METRICS = {METRICS}"
    step = "s.step(METRICS[turn % len(METRICS)])" if case.metric else "s.step()"
    return "\n".join([
        *lines, *[metrics] * case.metric, "def start(rate):", indent("\n".join(body), "    "),
        "def run(o, s, turns):", "    for turn in turns:", "        o.step()", f"        {step}",
        "        print(turn, [group['lr'] for group in o.param_groups])",
        "o, s = start(0.1)", f"run(o, s, range({case.before}))", "o2, s2 = start(0.75)",
        "s2.load_state_dict(carried(s.state_dict()))", "o2.load_state_dict(carried(o.state_dict()))",
        f"run(o, s, range({case.before}, {case.before + case.after}))",
        f"run(o2, s2, range({case.before}, {case.before + case.after}))",
    ])  # fmt: skip
