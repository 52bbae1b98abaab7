"""Program acts: what is done with programs, with checkpointed functions and with checks of gradients, in plain torch.

Reference: https://docs.pytorch.org/docs/stable/autograd.html
"""

from __future__ import annotations

from typing import Any

GRAD = "print(torch.autograd.grad([{roots}], [{leaves}], [{weights}], allow_unused=True, retain_graph=True))\n"
BACK = "torch.autograd.backward([{roots}], [{weights}], retain_graph=True)\n"
HELD = "print([t.grad for t in ({leaves},)])"
NOTED = """
steps = []
def noted(x):
    steps.append('begin')
    found = x.sin()
    steps.append('middle')
    found = found.sin()
    steps.append('end')
    return found * 1
"""
EARLY = (
    NOTED
    + """\
stop = torch.utils.checkpoint.set_checkpoint_early_stop
with stop({outer}), stop(False):
    found = checkpoint(noted, x, use_reentrant=False)
for _ in range(2):
    found.backward(torch.ones_like(found))
    print(steps)
    found = checkpoint(noted, x, use_reentrant=False)"""
)
MODELESS = """
import warnings
warnings.simplefilter('always')
for call in (lambda: checkpoint(lambda x: x.sin(), x), lambda: checkpoint_sequential([torch.sin, torch.cos], 2, x)):
    try:
        print(call())
    except (ValueError, TypeError, RuntimeError) as error:
        print(error)"""
AGAIN = """
given = tuple(torch.ones_like(x).requires_grad_() for x in ({names}))
for options in ({}, {'gen_non_contig_grad_outputs': True}, {'grad_outputs': given}, {'raise_exception': False},
                {'grad_outputs': given, 'raise_exception': False}):
    try:
        print(torch.autograd.gradgradcheck({function}, ({names}), **options{options}))
    except RuntimeError as error:
        print(error)"""


def early(case: Any) -> str:
    """A run to the end where early stopping is disabled, and one after that."""
    return EARLY.replace("{outer}", str(case.way == "nested contexts"))


def checked_again(case: Any) -> str:
    """The check of second derivatives, in each way to ask for it."""
    names = ", ".join("xyz"[: len(case.inputs())])
    function = "Function.apply" if len(names) == 4 else "lambda x, y, z: (*Function.apply(x, z), x * y)"
    options = "".join(f", {name}={value}" for name, value in case.options().items())
    text = AGAIN.replace("{names}", names).replace("{function}", function)
    return text.replace("{options}", options)


PACKED = """
import copy
def run():
    torch.manual_seed({seed})
    x.grad = None
    found = step(x)
    found = found[0] if isinstance(found, tuple) else found
    found.sum().backward()
    return found, x.grad
print(run())
with torch.autograd.graph.saved_tensors_hooks(lambda t: copy.deepcopy(t.detach()), lambda t: t):
    print(run())"""


def packed(case: Any) -> str:
    """A random step under hooks that copy what is saved."""
    return PACKED.replace("{seed}", str(case.seed))


PROGRAM_ACTS: dict[str, Any] = {
    "backward-and-grad-agree": GRAD + BACK + HELD,
    "grad-of-a-program-leaves-grad-alone": GRAD + HELD + "\n" + BACK + HELD + "\n" + GRAD + HELD,
    "retained-gradients-are-the-derivatives": "{kept}\n" + BACK + "print([t.grad for t in [{held}]])",
    "early-stop-can-be-disabled": early,
    "checkpoint-without-a-mode-is-noticed": MODELESS,
    "checkpoint-without-a-mode-raises": MODELESS,
    "packing-leaves-random-steps-equal": packed,
    "gradgradcheck-passes-right-gradients": checked_again,
    "gradgradcheck-finds-a-wrong-second-derivative": checked_again,
}
