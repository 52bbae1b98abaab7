"""Checks of ``specs/accumulation.yaml``: what backward, and what takes part in it, promises.

Reference: https://docs.pytorch.org/docs/stable/autograd.html
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#hooks-for-saved-tensors
Reference: https://docs.pytorch.org/docs/stable/notes/extending.html#extending-torch-autograd
Reference: https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

from contextlib import ExitStack, suppress

import torch

from conformance.engine.cases import cases
from conformance.inputs import saved_tensors
from conformance.inputs.saved_tensors import (
    CHANGES,
    PACKINGS,
    ChangingHook,
    Escape,
    Nest,
    Packer,
    SavedUse,
    entered,
    in_a_thread,
)
from conformance.oracles import expect, memory
from conformance.oracles.saved import derivatives, handles_in, same_derivatives, saved_in

# --- saved tensors --------------------------------------------------------------------------------------------


@cases(saved_tensors.input_uses)
def test_saved_input_is_shown_by_the_node(case: SavedUse) -> None:
    """The attribute of a node that holds a saved input shows that very tensor object."""
    _, x = case.start()
    y = case.act(x)
    expect.same_object(x, y.grad_fn._saved_self, "the saved input")


@cases(saved_tensors.result_uses)
def test_saved_result_is_shown_by_the_node(case: SavedUse) -> None:
    """The attribute of a node that holds its saved result shows another tensor object with the same memory."""
    _, x = case.start()
    y = case.act(x)
    saved = y.grad_fn._saved_result
    expect.that(saved is not y, "the saved result", "another object than the result", "the result itself")
    expect.equal(memory.storage_address(y), memory.storage_address(saved), "storage of the saved result")
    expect.equal((y.shape, y.stride(), y.dtype), (saved.shape, saved.stride(), saved.dtype), "the saved result")
    expect.same_object(y.grad_fn, saved.grad_fn, "grad_fn of the saved result")


@cases(saved_tensors.builtin_uses)
def test_saved_tensors_are_gone_after_backward(case: SavedUse) -> None:
    """Reading the saved tensors of a node raises once backward has freed them."""
    _, x = case.start()
    y = case.act(x)
    names = list(handles_in(y.grad_fn))
    torch.autograd.backward(y, case.upstream(y))
    for name in names:
        expect.raises(RuntimeError, lambda name=name: getattr(y.grad_fn, f"_saved_{name}"), f"reading _saved_{name}")


# --- hooks for saved tensors ----------------------------------------------------------------------------------


@cases(saved_tensors.logged_uses)
def test_pack_hook_runs_once_for_each_saved_tensor(case: SavedUse) -> None:
    """The pack hook is called exactly once for each tensor that is saved within its context."""
    packer = Packer(case.way)
    leaf, x = case.start()
    with packer.context():
        y = case.act(x)
    case.act(x)
    count = len(saved_in(y.grad_fn))
    expect.equal(count, len(packer.packed), "calls of the pack hook in forward")
    derivatives(case, leaf, y)
    expect.equal(count, len(packer.packed), "calls of the pack hook after backward passes")


@cases(saved_tensors.logged_uses)
def test_pack_hook_gets_what_is_saved(case: SavedUse) -> None:
    """The pack hook is given tensors with the values that the operation saves."""
    packer = Packer(case.way)
    expected = saved_in(case.act(case.start()[1]).grad_fn)
    with packer.context():
        case.act(case.start()[1])
    expect.equal(len(expected), len(packer.values), "calls of the pack hook")
    found = sorted((memory.contents(value) for value in packer.values), key=bytes)
    for one, other in zip(sorted(map(memory.contents, expected), key=bytes), found, strict=True):
        memory.same_elements(one, other, "what the pack hook was given")


@cases(saved_tensors.packed_uses)
def test_pack_hook_records_no_gradients(case: SavedUse) -> None:
    """Gradient tracking is disabled while a pack hook runs."""
    packer = Packer(case.way)
    _, x = case.start()
    with packer.context():
        case.act(x)
    expect.equal([False] * len(packer.recording), packer.recording, "is_grad_enabled() in the pack hook")
    expect.equal(True, torch.is_grad_enabled(), "is_grad_enabled() afterwards")


@cases(saved_tensors.packed_uses)
def test_unpack_hook_gets_what_was_packed(case: SavedUse) -> None:
    """The unpack hook is given the very object that the pack hook returned."""
    packer = Packer(case.way)
    leaf, x = case.start()
    with packer.context():
        y = case.act(x)
    derivatives(case, leaf, y)
    for found in packer.unpacked:
        known = any(found is packed for packed in packer.packed)
        expect.that(known, "what the unpack hook was given", "an object that the pack hook returned", repr(type(found)))
    expect.that(bool(packer.unpacked), "calls of the unpack hook", "at least one", "none")


@cases(saved_tensors.logged_uses)
def test_unpack_hook_runs_in_each_pass(case: SavedUse) -> None:
    """Each backward pass calls the unpack hook for each tensor that it needs, and none is packed again."""
    packer = Packer(case.way)
    leaf, x = case.start()
    with packer.context():
        y = case.act(x)
    upstream, calls = case.upstream(y), [0] * len(packer.packed)
    for turn in ("first", "second", "last"):
        torch.autograd.backward(y, upstream, retain_graph=turn != "last")
        before, calls = calls, packer.calls_for_each()
        more = [now > then for now, then in zip(calls, before, strict=True)]
        expect.equal([True] * len(before), more, f"saved tensors unpacked by the {turn} pass")


@cases(saved_tensors.packed_uses)
def test_hooks_of_forward_unpack_in_backward(case: SavedUse) -> None:
    """A backward pass under another pair of hooks unpacks with the pair under which the tensors were packed."""
    packer, other = Packer(case.way), Packer()
    _, x = case.start()
    with packer.context():
        y = case.act(x)
    with other.context():
        torch.autograd.backward(y, case.upstream(y))
    expect.equal([], other.unpacked, "calls of the unpack hook that was set in backward")
    expect.that(bool(packer.unpacked), "calls of the unpack hook that was set in forward", "at least one", "none")


@cases(saved_tensors.packed_uses)
def test_packing_leaves_the_gradients_equal(case: SavedUse) -> None:
    """However saved tensors are packed, gradients are equal as long as the same content is unpacked."""
    packer = Packer(case.way)
    leaf, x = case.start()
    with packer.context():
        y = case.act(x)
    same_derivatives(case, derivatives(case, leaf, y), f"through {case.way}")


@cases(saved_tensors.input_uses)
def test_unpacked_history_is_overwritten(case: SavedUse) -> None:
    """A saved tensor has the history of the tensor that was saved, whatever history the unpack hook returned."""
    for way in ("detached", "history"):
        _, x = case.start()
        with Packer(way).context():
            y = case.act(x)
        saved = y.grad_fn._saved_self
        expect.equal((True, x.is_leaf), (saved.requires_grad, saved.is_leaf), "requires_grad and is_leaf when unpacked")
        expect.same_object(x.grad_fn, saved.grad_fn, "grad_fn when unpacked")


@cases(saved_tensors.builtin_uses)
def test_unpacked_object_must_be_a_tensor(case: SavedUse) -> None:
    """Backward raises where an unpack hook returns something other than a tensor."""
    _, x = case.start()
    with torch.autograd.graph.saved_tensors_hooks(PACKINGS[case.way][0], type):
        y = case.act(x)
    upstream = case.upstream(y)
    expect.raises(
        (TypeError, RuntimeError), lambda: torch.autograd.backward(y, upstream), "backward with a type unpacked"
    )


@cases(saved_tensors.changing_uses)
def test_modified_pack_input_raises(case: SavedUse) -> None:
    """An operation raises where the pack hook modifies its input in place."""
    _, x = case.start()
    with torch.autograd.graph.saved_tensors_hooks(ChangingHook(case.way).pack, PACKINGS["detached"][1]):
        expect.raises(RuntimeError, lambda: case.act(x), f"an operation whose pack hook writes by {case.way}")


@cases(saved_tensors.nested_hooks)
def test_only_the_innermost_hooks_apply(case: Nest) -> None:
    """Of nested pairs of hooks only the innermost is applied, and the outer ones again once it has ended."""
    packers = [Packer() for _ in range(case.depth)]
    count = len(saved_in(case.act(case.x()).grad_fn))
    with ExitStack() as stack:
        contexts = [stack.enter_context(ExitStack()) for _ in packers]
        for context, packer in zip(contexts, packers, strict=True):
            context.enter_context(packer.context())
        for level in reversed(range(case.depth)):
            case.act(case.x())
            calls = [len(packer.packed) for packer in packers]
            expect.equal([0] * level + [count] * (case.depth - level), calls, f"calls of each pack hook at {level}")
            case.leave(contexts[level])
        case.act(case.x())
    expect.equal([count] * case.depth, [len(packer.packed) for packer in packers], "calls of each pack hook at the end")


@cases(saved_tensors.nested_hooks)
def test_saved_tensor_hooks_are_thread_local(case: Nest) -> None:
    """A pair of hooks applies to the thread that set it, and to no other."""
    here, there = Packer(), Packer()
    x = case.x()
    with ExitStack() as stack:
        for _ in range(case.depth):
            stack.enter_context(here.context())
        in_a_thread(lambda: case.act(x))
        expect.equal(0, len(here.packed), "calls of a pack hook for another thread")
        in_a_thread(lambda: there.context().__enter__())
        case.act(x)
    expect.equal(0, len(there.packed), "calls of a pack hook that a thread left behind")
    expect.that(bool(here.packed), "calls of the pack hook in its own thread", "at least one", "none")


@cases(saved_tensors.builtin_uses)
def test_packing_without_a_copy_shares_the_memory(case: SavedUse) -> None:
    """Where the pack hook detaches, the saved tensor is another object with the memory of the original."""
    _, x = case.start()
    with Packer().context():
        y = case.act(x)
    for saved in saved_in(y.grad_fn):
        source = x if case.operation in ("square", "power", "sine") else y
        expect.that(saved is not source, "the saved tensor", "another object than the original", "the original")
        expect.equal(memory.storage_address(source), memory.storage_address(saved), "storage of the saved tensor")


# --- hooks on one saved tensor --------------------------------------------------------------------------------


@cases(saved_tensors.builtin_uses)
def test_registered_pack_hook_runs_at_once(case: SavedUse) -> None:
    """The pack hook that is registered on one saved tensor is called at once, and once, with its values."""
    leaf, x = case.start()
    y = case.act(x)
    for name, handle in handles_in(y.grad_fn).items():
        packer = Packer(case.way)
        expected = memory.contents(getattr(y.grad_fn, f"_saved_{name}"))
        handle.register_hooks(packer.pack, packer.unpack)
        expect.equal(1, len(packer.packed), "calls of the pack hook when it is registered")
        memory.same_elements(expected, memory.contents(packer.values[0]), "what the pack hook was given")
        torch.autograd.grad(y, leaf, case.upstream(y), retain_graph=True)
        expect.equal(1, len(packer.packed), "calls of the pack hook after backward")


@cases(saved_tensors.builtin_uses)
def test_registered_unpack_hook_runs_at_each_access(case: SavedUse) -> None:
    """The unpack hook of one saved tensor is called each time that it is read by name or by a backward pass."""
    _, x = case.start()
    y = case.act(x)
    packers = {}
    for name, handle in handles_in(y.grad_fn).items():
        packers[name] = Packer(case.way)
        handle.register_hooks(packers[name].pack, packers[name].unpack)
        expect.equal(0, len(packers[name].unpacked), "calls of the unpack hook when it is registered")
    for name, packer in packers.items():
        for turn in (1, 2):
            getattr(y.grad_fn, f"_saved_{name}")
            expect.equal([turn], packer.calls_for_each(), f"calls of the unpack hook after {turn} readings")
    torch.autograd.backward(y, case.upstream(y))
    for name, packer in packers.items():
        more = len(packer.unpacked) > 2
        expect.that(more, f"calls of the unpack hook of {name} in backward", "at least one", "none")


@cases(saved_tensors.builtin_uses)
def test_registered_hooks_leave_the_gradients_equal(case: SavedUse) -> None:
    """Hooks registered on the saved tensors of a node leave gradients equal."""
    leaf, x = case.start()
    y = case.act(x)
    for handle in handles_in(y.grad_fn).values():
        packer = Packer(case.way)
        handle.register_hooks(packer.pack, packer.unpack)
    same_derivatives(case, derivatives(case, leaf, y), f"through {case.way}")


@cases(saved_tensors.builtin_uses)
def test_registering_after_release_raises(case: SavedUse) -> None:
    """Registering hooks on a saved tensor raises once backward has freed it."""
    _, x = case.start()
    y = case.act(x)
    handles = handles_in(y.grad_fn)
    torch.autograd.backward(y, case.upstream(y))
    for name, handle in handles.items():
        expect.raises(
            RuntimeError, lambda handle=handle: handle.register_hooks(*PACKINGS[case.way]), f"hooks on freed {name}"
        )


@cases(saved_tensors.builtin_uses)
def test_registering_twice_raises(case: SavedUse) -> None:
    """Registering a second pair of hooks on a saved tensor raises."""
    _, x = case.start()
    y = case.act(x)
    for name, handle in handles_in(y.grad_fn).items():
        handle.register_hooks(*PACKINGS[case.way])
        expect.raises(
            RuntimeError, lambda handle=handle: handle.register_hooks(*PACKINGS["detached"]), f"second hooks on {name}"
        )


# --- saving on the CPU ----------------------------------------------------------------------------------------


@cases(saved_tensors.pinned_uses)
def test_save_on_cpu_leaves_the_gradients_equal(case: SavedUse) -> None:
    """Gradients are equal where saved tensors are kept on the CPU, in pinned memory or not."""
    leaf, x = case.start()
    with torch.autograd.graph.save_on_cpu(pin_memory=case.way == "pinned"):
        y = case.act(x)
    same_derivatives(case, derivatives(case, leaf, y), f"saved on the CPU, {case.way}")


@cases(saved_tensors.pageable_uses)
def test_save_on_cpu_copies_nothing_that_is_there(case: SavedUse) -> None:
    """Where the graph is on the CPU already, save_on_cpu keeps saved tensors in the memory that they have."""
    _, x = case.start()
    with torch.autograd.graph.save_on_cpu():
        y = case.act(x)
    homes = {memory.storage_address(x), memory.storage_address(y)}
    for saved in saved_in(y.grad_fn):
        address = memory.storage_address(saved)
        expect.that(address in homes, "storage of a saved tensor", "that of the input or of the result", f"{address:#x}")


@cases(saved_tensors.pinned_uses)
def test_save_on_cpu_gives_the_device_back(case: SavedUse) -> None:
    """A saved tensor that save_on_cpu moved away is on its own device again, with its values, when it is read."""
    expected = saved_in(case.act(case.start()[1]).grad_fn)
    with torch.autograd.graph.save_on_cpu(pin_memory=case.way == "pinned"):
        y = case.act(case.start()[1])
    for one, other in zip(expected, saved_in(y.grad_fn), strict=True):
        expect.equal((one.device, one.dtype), (other.device, other.dtype), "device and type of a saved tensor")
        memory.same_elements(memory.contents(one), memory.contents(other), "a saved tensor")


# --- switching hooks off --------------------------------------------------------------------------------------


@cases(saved_tensors.nested_hooks)
def test_disabled_hooks_raise_with_the_message(case: Nest) -> None:
    """Setting default hooks raises a RuntimeError with the given message while they are disabled."""
    disable = torch.autograd.graph.disable_saved_tensors_hooks
    for make in (Packer().context, torch.autograd.graph.save_on_cpu):
        with ExitStack() as stack:
            for level in range(case.depth):
                stack.enter_context(disable(f"disabled at {level}"))
            error = expect.raises(RuntimeError, lambda make=make: entered(make()), "default hooks while they are disabled")
            case.act(case.x())
        said = f"disabled at {case.depth - 1}" in str(error)
        expect.that(said, "the message", f"disabled at {case.depth - 1}", str(error).split("\n")[0])


@cases(saved_tensors.nested_hooks)
def test_disabling_hooks_ends_with_its_context(case: Nest) -> None:
    """Default hooks can be set again after the context that disabled them, or raise with the outer one's message."""
    packer = Packer()
    with ExitStack() as stack:
        contexts = [stack.enter_context(ExitStack()) for _ in range(case.depth)]
        for level, context in enumerate(contexts):
            context.enter_context(torch.autograd.graph.disable_saved_tensors_hooks(f"disabled at {level}"))
        for level in reversed(range(case.depth)):
            error = expect.raises(RuntimeError, lambda: entered(packer.context()), "default hooks while they are disabled")
            said = str(error).split("\n")[0]
            expect.that(f"disabled at {level}" in said, "the message", f"disabled at {level}", said)
            case.leave(contexts[level])
    with packer.context():
        case.act(case.x())
    expect.that(bool(packer.packed), "calls of the pack hook after all contexts", "at least one", "none")


# --- mutation of saved tensors --------------------------------------------------------------------------------


@cases(saved_tensors.mutating_uses)
def test_mutated_saved_tensors_keep_their_gradients(case: SavedUse) -> None:
    """Where mutation is allowed, gradients are those of the values that were saved, whatever was written since."""
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        leaf, x = case.start()
        y = case.act(x)
        used = y * 1
        CHANGES[case.way](x)
        CHANGES[case.way](y)
        found = derivatives(case, leaf, used)
    same_derivatives(case, found, f"after a change by {case.way}")


@cases(saved_tensors.mutating_uses)
def test_allowed_mutation_reaches_the_tensor(case: SavedUse) -> None:
    """Where mutation is allowed, a saved tensor that is modified has its new values."""
    plain = case.start()[1].detach()
    CHANGES[case.way](plain)
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        _, x = case.start()
        case.act(x)
        CHANGES[case.way](x)
    memory.same_elements(memory.contents(plain), memory.contents(x), f"x after a change by {case.way}")


@cases(saved_tensors.mutating_uses)
def test_allowing_mutation_ends_with_its_context(case: SavedUse) -> None:
    """A graph recorded after the context that allowed mutation is checked for mutation as ever."""
    with suppress(Escape), torch.autograd.graph.allow_mutation_on_saved_tensors():
        _, x = case.start()
        case.act(x)
        raise Escape
    _, x = case.start()
    y = case.act(x)
    used = y * 1
    CHANGES[case.way](x)
    CHANGES[case.way](y)
    upstream = case.upstream(used)
    expect.raises(
        RuntimeError, lambda: torch.autograd.backward(used, upstream), f"backward after a change by {case.way}"
    )
