"""Saved acts: what is done with saved tensors and with the hooks that pack them, in plain torch.

Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#hooks-for-saved-tensors
"""

from __future__ import annotations

from typing import Any

from conformance.inputs.listings import within

# The pair of hooks of each packing, as ``pack`` and ``unpack``.
PACKING_CODE = {
    "plain": "",
    "detached": "pack = unpack = torch.Tensor.detach",
    "copy": "pack, unpack = lambda t: t.detach().clone(memory_format=torch.contiguous_format), torch.Tensor.detach",
    "deep copy": "import copy\npack, unpack = lambda t: copy.deepcopy(t.detach()), torch.Tensor.detach",
    "numpy": "def pack(t):\n    plain = t.detach().resolve_conj().resolve_neg().cpu()\n"
    "    plain = plain.float() if t.dtype is torch.bfloat16 else plain\n"
    "    return plain.numpy().copy(), t.dtype, t.device\n"
    "unpack = lambda packed: torch.from_numpy(packed[0]).to(packed[2], packed[1])",
    "bytes": "import io\ndef pack(t):\n    file = io.BytesIO()\n    torch.save(t.detach(), file)\n"
    "    return file.getvalue()\nunpack = lambda packed: torch.load(io.BytesIO(packed))",
    "file": "import tempfile\ndef pack(t):\n    file = tempfile.TemporaryFile()\n    torch.save(t.detach(), file)\n"
    "    return file\ndef unpack(packed):\n    packed.seek(0)\n    return torch.load(packed)",
    "numbers": "pack = lambda t: (t.detach().tolist(), t.shape, t.dtype, t.device)\n"
    "unpack = lambda packed: torch.tensor(packed[0], dtype=packed[2], device=packed[3]).reshape(packed[1])",
    "history": "pack = torch.Tensor.detach\ndef unpack(packed):\n    with torch.enable_grad():\n"
    "        return packed.clone().requires_grad_().view_as(packed)",
}
# The pair with a note of each call: what was given, and what came out.
NOTING = """\
{packing}
given, packed, unpacked, recording = [], [], [], []
def noting_pack(t):
    given.append(t.detach().clone())
    recording.append(torch.is_grad_enabled())
    packed.append(pack(t))
    return packed[-1]
def noting_unpack(each):
    unpacked.append(each)
    return unpack(each)
hooks = torch.autograd.graph.saved_tensors_hooks(noting_pack, noting_unpack)
with hooks:
    y = {operation}
"""
UNDER_HOOKS = "{packing}\nwith torch.autograd.graph.saved_tensors_hooks(pack, unpack):\n    y = {operation}\n"
DERIVATIVES = """\
print(torch.autograd.grad(y, leaf, torch.ones_like(y), retain_graph=True))
(gradient,) = torch.autograd.grad(y, leaf, torch.ones_like(y), create_graph=True)
print(gradient, torch.autograd.grad(gradient, leaf, torch.ones_like(gradient)))"""
NAMES = "names = [name for name in dir(y.grad_fn) if name.startswith('_raw_saved_')]\n"
NAMES += "names = [name for name in names if getattr(y.grad_fn, name.replace('_raw', '')) is not None]\n"
HELD = NAMES + "held = [getattr(y.grad_fn, name.replace('_raw', '')) for name in names]\n"
HELD += "held += [each for each in getattr(y.grad_fn, 'saved_tensors', ()) if each is not None]\n"
READ = "for name in names:\n    print(getattr(y.grad_fn, name.replace('_raw', '')))"
CHANGE_CODE = {
    "method": "{0}.mul_(2)", "copy": "{0}.copy_(torch.full_like({0}, 5))", "item": "{0}[...] = 0",
    "view": "{0}.view_as({0}).add_(1)", "alias": "{0}.detach().sub_(3)",
    "out": "torch.add({0}.detach(), 1, out={0}.detach())", "twice": "{0}.add_(1).neg_()", "sine": "{0}.sin_()",
    "last row": "{0}[-1].mul_(2)", "item of the end": "{0}[-1] = 5", "second rows": "{0}[1::2].add_(1)",
}  # fmt: skip


def change_of(case: Any, *names: str) -> str:
    """Lines that modify each of these tensors in the way of the case."""
    return "\n".join(CHANGE_CODE[case.way].format(name) for name in names)


def changing_pack(case: Any) -> str:
    """An operation whose pack hook modifies what it is given."""
    text = change_of(case, "t")
    if case.way == "out":
        text = "with torch.no_grad():\n    torch.add(t, 1, out=t)"
    lines = "\n".join(f"    {line}" for line in text.splitlines())
    hooks = "with torch.autograd.graph.saved_tensors_hooks(pack, torch.Tensor.detach):\n    y = {operation}  # raises"
    return f"def pack(t):\n{lines}\n    return t.detach()\n{hooks}"


def mutation_kept(case: Any) -> str:
    """Gradients after a mutation that is allowed."""
    lines = ["y = {operation}", "used = y * 1", *change_of(case, "x", "y").splitlines()]
    return within([ALLOWING], *lines, "print(torch.autograd.grad(used, leaf, torch.ones_like(used)))")


def mutation_seen(case: Any) -> str:
    """A tensor after a mutation that is allowed."""
    return within([ALLOWING], "y = {operation}", *change_of(case, "x").splitlines()) + "\nprint(x)"


def mutation_afterwards(case: Any) -> str:
    """A mutation after the context that allowed it."""
    inside = within(["contextlib.suppress(KeyError)", ALLOWING], "y = {operation}", "raise KeyError")
    after = f"y = {{operation}}\nused = y * 1\n{change_of(case, 'x', 'y')}\nused.backward(torch.ones_like(used))"
    return f"import contextlib\n{inside}\n{after}  # raises"


def switched(case: Any) -> str:
    """Blocks in which multithreading is switched, one within another, and a call of the switch."""
    show = "print(torch._C._is_multithreading_enabled())"
    switch = "torch.autograd.grad_mode.set_multithreading_enabled"
    lines = [show, "{raising}"]
    for level in reversed(range(case.depth)):
        lines = [within(["contextlib.suppress({escape})", f"{switch}({level % 2 == 1})"], *lines), show]
    return "\n".join([*lines, f"{switch}(False)", show, f"{switch}(True)"])


def disabled(case: Any) -> str:
    """Default hooks that are set while they are disabled, and after that."""
    setting = "try:\n    with torch.autograd.graph.saved_tensors_hooks(torch.Tensor.detach, torch.Tensor.detach):\n"
    setting += "        y = {operation}\n        print('set')\nexcept RuntimeError as error:\n    print(error)"
    lines = [*setting.splitlines(), *setting.replace("saved_tensors_hooks(torch.Tensor.detach, torch.Tensor.detach)",
                                                     "save_on_cpu()").splitlines(), "{raising}"]  # fmt: skip
    for level in reversed(range(case.depth)):
        disable = f"torch.autograd.graph.disable_saved_tensors_hooks('disabled at {level}')"
        lines = [within(["contextlib.suppress({escape})", disable], *lines), *setting.splitlines()]
    return "\n".join(lines)


IN_THREADS = """\
import threading
def in_a_thread(act):
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
def hooks(name):
    return torch.autograd.graph.saved_tensors_hooks(lambda t: print(name) or t, lambda t: t)
with contextlib.ExitStack() as stack:
    for _ in range({depth}):
        stack.enter_context(hooks('here'))
    in_a_thread(lambda: {operation})
    in_a_thread(lambda: hooks('there').__enter__())
    print('in the thread of the hooks')
    y = {operation}"""


def in_threads(case: Any) -> str:
    """Hooks here, and hooks in another thread."""
    return IN_THREADS.replace("{depth}", str(case.depth))


def served_again(case: Any) -> str:
    """One pair of hooks, entered several times."""
    block = within(["contextlib.suppress({escape})", "hooks"], "y = {operation}", "{raising}")
    pair = "hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: print('pack') or t, lambda t: t)"
    loop = "\n".join(f"    {line}" for line in [*block.splitlines(), "y = {operation}", "print('next')"])
    return f"{pair}\nfor _ in range({case.depth + 1}):\n{loop}"


ALLOWING = "torch.autograd.graph.allow_mutation_on_saved_tensors()"
REGISTER = "for name in names:\n    getattr(y.grad_fn, name).register_hooks({hooks})\n"
ON_CPU = "torch.autograd.graph.save_on_cpu(pin_memory={way!r} == 'pinned')"

SAVED_ACTS: dict[str, Any] = {
    "saved-input-is-shown-by-the-node": "y = {operation}\nprint(y.grad_fn._saved_self is x)",
    "saved-result-is-shown-by-the-node": "y = {operation}\nsaved = y.grad_fn._saved_result\n"
    "print(saved is y, saved.data_ptr() == y.data_ptr(), saved.shape, saved.stride(), saved.grad_fn is y.grad_fn)",
    "saved-tensors-are-gone-after-backward": f"y = {{operation}}\n{NAMES}y.backward(torch.ones_like(y))\n"
    f"{READ}  # raises",
    "pack-hook-runs-once-for-each-saved-tensor": f"{NOTING}print(len(packed))\n{DERIVATIVES}\nprint(len(packed))",
    "pack-hook-gets-what-is-saved": f"{NOTING}print(given)",
    "pack-hook-records-no-gradients": f"{NOTING}print(recording, torch.is_grad_enabled())",
    "unpack-hook-gets-what-was-packed": f"{NOTING}{DERIVATIVES}\n"
    "print([any(each is one for one in packed) for each in unpacked])",
    "unpack-hook-runs-in-each-pass": f"{NOTING}for turn in range(3):\n"
    "    y.backward(torch.ones_like(y), retain_graph=turn < 2)\n    print(len(packed), len(unpacked))",
    "hooks-of-forward-unpack-in-backward": f"{NOTING}other = torch.autograd.graph.saved_tensors_hooks(print, print)\n"
    "with other:\n    y.backward(torch.ones_like(y))\nprint(len(unpacked))",
    "packing-leaves-the-gradients-equal": f"{UNDER_HOOKS}{DERIVATIVES}",
    "unpacked-history-is-overwritten": "def unpack(packed):\n    with torch.enable_grad():\n"
    "        return packed.clone().requires_grad_().view_as(packed)\n"
    "for pair in ((torch.Tensor.detach, torch.Tensor.detach), (torch.Tensor.detach, unpack)):\n"
    "    with torch.autograd.graph.saved_tensors_hooks(*pair):\n        y = {operation}\n"
    "    saved = y.grad_fn._saved_self\n    print(saved.requires_grad, saved.is_leaf, saved.grad_fn is x.grad_fn)",
    "unpacked-object-must-be-a-tensor": "{packing}\nwith torch.autograd.graph.saved_tensors_hooks(pack, type):\n"
    "    y = {operation}\ny.backward(torch.ones_like(y))  # raises",
    "modified-pack-input-raises": changing_pack,
    "packing-without-a-copy-shares-the-memory": "with torch.autograd.graph.saved_tensors_hooks("
    f"torch.Tensor.detach, lambda t: t):\n    y = {{operation}}\n{NAMES}for name in names:\n"
    "    saved = getattr(y.grad_fn, name.replace('_raw', ''))\n"
    "    print([(saved is each, saved.data_ptr() == each.data_ptr()) for each in (x, y)])",
    "registered-pack-hook-runs-at-once": f"{NOTING}y = {{operation}}\npacked.clear()\n{NAMES}"
    + REGISTER.replace("{hooks}", "noting_pack, noting_unpack")
    + "print(len(names), len(packed), given)\ny.backward(torch.ones_like(y))\nprint(len(packed))",
    "registered-unpack-hook-runs-at-each-access": f"{NOTING}y = {{operation}}\n{NAMES}"
    + REGISTER.replace("{hooks}", "noting_pack, noting_unpack")
    + "for name in names:\n    print(getattr(y.grad_fn, name.replace('_raw', '')), len(unpacked))\n"
    "y.backward(torch.ones_like(y))\nprint(len(unpacked))",
    "registered-hooks-leave-the-gradients-equal": f"{{packing}}\ny = {{operation}}\n{NAMES}"
    + REGISTER.replace("{hooks}", "pack, unpack")
    + DERIVATIVES,
    "registering-after-release-raises": f"{{packing}}\ny = {{operation}}\n{NAMES}"
    "held = [getattr(y.grad_fn, name) for name in names]\ny.backward(torch.ones_like(y))\n"
    "for each in held:\n    each.register_hooks(pack, unpack)  # raises",
    "registering-twice-raises": f"{{packing}}\ny = {{operation}}\n{NAMES}"
    + (REGISTER + REGISTER).replace("{hooks}", "pack, unpack").rstrip("\n")
    + "  # raises",
    "save-on-cpu-leaves-the-gradients-equal": f"with {ON_CPU}:\n    y = {{operation}}\n{DERIVATIVES}",
    "save-on-cpu-copies-nothing-that-is-there": "with torch.autograd.graph.save_on_cpu():\n"
    f"    y = {{operation}}\n{HELD}for saved in held:\n"
    "    print([saved.untyped_storage().data_ptr() == each.untyped_storage().data_ptr() for each in (x, y)])",
    "save-on-cpu-gives-the-device-back": f"with {ON_CPU}:\n    y = {{operation}}\n{HELD}for saved in held:\n"
    "    print(saved.device, saved.dtype, saved)",
    "multithreading-mode-ends-with-its-context": switched,
    "disabled-hooks-raise-with-the-message": disabled,
    "disabling-hooks-ends-with-its-context": disabled,
    "saved-tensor-hooks-are-thread-local": in_threads,
    "saved-tensor-hooks-object-serves-again": served_again,
    "mutated-saved-tensors-keep-their-gradients": mutation_kept,
    "tensors-mutated-in-part-keep-their-gradients": mutation_kept,
    "allowed-mutation-reaches-the-tensor": mutation_seen,
    "allowing-mutation-ends-with-its-context": mutation_afterwards,
}  # fmt: skip
