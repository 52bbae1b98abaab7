"""Breaks of saved tensors: of their hooks, of saving on the CPU, and of allowed mutation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch.autograd import graph

from conformance.selftest.falsifying import falsifies, patched

AREA = "accumulation"


class Faulty:
    """An object some of whose attributes are other ones."""

    def __init__(self, whole: Any, **others: Any) -> None:
        self._whole, self._others = whole, others

    def __getattr__(self, name: str) -> Any:
        return self._others[name]() if name in self._others else getattr(self._whole, name)

    def __dir__(self) -> list[str]:
        return dir(self._whole)


def faulty_node(condition: Callable[[Any], bool], change: Callable[[Any, Any], Any]) -> AbstractContextManager[Any]:
    """grad_fn of tensors on ``condition`` is what ``change(tensor, node)`` makes of the node."""

    def broken(original: Any) -> Any:
        def grad_fn(self: Any) -> Any:
            node = original.__get__(self)
            return change(self, node) if node is not None and condition(self) else node

        return property(grad_fn)

    return patched(torch.Tensor, "grad_fn", broken)


def faulty_hooks(change: Callable[[Any, Any], tuple[Any, Any]]) -> AbstractContextManager[Any]:
    """saved_tensors_hooks takes the pair that ``change`` makes of the pair that it is given."""
    return patched(graph, "saved_tensors_hooks", lambda original: lambda pack, unpack: original(*change(pack, unpack)))


def faulty_handles(condition: Callable[[Any], bool], register: Callable[..., Any]) -> AbstractContextManager[Any]:
    """register_hooks of the saved tensors of results on ``condition`` is ``register(handle, tensor, pack, unpack)``."""

    def change(tensor: Any, node: Any) -> Any:
        def handle(name: str) -> Any:
            whole = getattr(node, name)
            return Faulty(whole, register_hooks=lambda: lambda *pair: register(whole, tensor, *pair))

        names = [name for name in dir(node) if name.startswith("_raw_saved_")]
        return Faulty(node, **{name: (lambda name=name: handle(name)) for name in names})

    return faulty_node(condition, change)


def scattered(tensor: torch.Tensor) -> bool:
    """Whether the tensor has several elements that do not lie side by side."""
    return tensor.numel() > 1 and not tensor.is_contiguous()


@falsifies(f"{AREA}.saved-input-is-shown-by-the-node")
def a_scalar_in_half_precision_is_shown_by_an_alias() -> AbstractContextManager[Any]:
    """_saved_self of a 0-d float16 result is an alias of the input."""
    return faulty_node(
        lambda y: y.dtype is torch.float16 and not y.dim(),
        lambda y, node: Faulty(node, _saved_self=lambda: node._saved_self.view(())),
    )


@falsifies(f"{AREA}.saved-result-is-shown-by-the-node")
def a_strided_result_is_copied() -> AbstractContextManager[Any]:
    """_saved_result of a complex result that is not contiguous is a copy."""
    return faulty_node(
        lambda y: y.is_complex() and scattered(y),
        lambda y, node: Faulty(node, _saved_result=lambda: node._saved_result.clone()),
    )


@falsifies(f"{AREA}.saved-tensors-are-gone-after-backward")
def a_freed_empty_tensor_is_still_shown() -> AbstractContextManager[Any]:
    """Reading the freed saved tensor of an empty matrix gives zeros."""

    def change(y: Any, node: Any) -> Any:
        def read(name: str) -> Any:
            try:
                return getattr(node, name)
            except RuntimeError:
                return torch.zeros_like(y)

        names = [name for name in dir(node) if name.startswith("_saved_")]
        return Faulty(node, **{name: (lambda name=name: read(name)) for name in names})

    return faulty_node(lambda y: y.shape == (0, 3), change)


@falsifies(f"{AREA}.pack-hook-runs-once-for-each-saved-tensor")
def a_one_element_tensor_is_packed_twice() -> AbstractContextManager[Any]:
    """The pack hook is called twice for a bfloat16 tensor of one element."""

    def change(pack: Any, unpack: Any) -> Any:
        twice = lambda t: (pack(t), pack(t))[1] if t.dtype is torch.bfloat16 and t.shape == (1,) else pack(t)  # noqa: E731
        return twice, unpack

    return faulty_hooks(change)


@falsifies(f"{AREA}.pack-hook-gets-what-is-saved")
def a_strided_complex_tensor_comes_conjugated() -> AbstractContextManager[Any]:
    """The pack hook is given the conjugate of a complex tensor that is not contiguous."""
    return faulty_hooks(
        lambda pack, unpack: (lambda t: pack(t.conj() if t.is_complex() and scattered(t) else t), unpack)
    )


@falsifies(f"{AREA}.pack-hook-records-no-gradients")
def a_view_is_packed_with_gradients_on() -> AbstractContextManager[Any]:
    """The pack hook of a view runs with gradients recorded."""

    def change(pack: Any, unpack: Any) -> Any:
        def recorded(tensor: Any) -> Any:
            with torch.set_grad_enabled(tensor._is_view()):
                return pack(tensor)

        return recorded, unpack

    return faulty_hooks(change)


@falsifies(f"{AREA}.unpack-hook-gets-what-was-packed")
def a_packed_tuple_is_rebuilt() -> AbstractContextManager[Any]:
    """The unpack hook is given an equal tuple where the pack hook returned one."""
    return faulty_hooks(lambda pack, unpack: (pack, lambda p: unpack((*p,) if isinstance(p, tuple) else p)))


@falsifies(f"{AREA}.unpack-hook-runs-in-each-pass")
def an_unpacked_bfloat16_tensor_is_kept() -> AbstractContextManager[Any]:
    """The second pass takes the bfloat16 tensor that the first one unpacked."""

    def change(pack: Any, unpack: Any) -> Any:
        kept: dict[int, tuple[Any, Any]] = {}

        def once(packed: Any) -> Any:
            if id(packed) not in kept:
                kept[id(packed)] = packed, unpack(packed)
            found = kept[id(packed)][1]
            return found if found.dtype is torch.bfloat16 else unpack(packed)

        return pack, once

    return faulty_hooks(change)


@falsifies(f"{AREA}.hooks-of-forward-unpack-in-backward")
def a_detached_tensor_is_unpacked_by_the_pair_of_the_moment() -> AbstractContextManager[Any]:
    """A float16 tensor that was packed as a tensor is unpacked by the pair that is set in backward."""
    active: list[Any] = []

    def broken(original: Any) -> Any:
        class Hooks:
            def __init__(self, pack: Any, unpack: Any) -> None:
                self.whole = original(pack, self.choose)
                self.unpack = unpack

            def choose(self, packed: Any) -> Any:
                half = isinstance(packed, torch.Tensor) and packed.dtype is torch.float16
                return (active[-1].unpack if half and active else self.unpack)(packed)

            def __enter__(self) -> None:
                active.append(self)
                self.whole.__enter__()

            def __exit__(self, *error: Any) -> None:
                active.pop()
                self.whole.__exit__(*error)

        return Hooks

    return patched(graph, "saved_tensors_hooks", broken)


@falsifies(f"{AREA}.packing-leaves-the-gradients-equal")
def a_vector_with_a_tail_comes_back_rolled() -> AbstractContextManager[Any]:
    """17 elements that were unpacked are taken in another order."""
    return faulty_hooks(
        lambda pack, unpack: (pack, lambda p: (lambda t: t.roll(1) if t.shape == (17,) else t)(unpack(p)))
    )


@falsifies(f"{AREA}.unpacked-history-is-overwritten")
def a_transposed_leaf_comes_back_without_a_history() -> AbstractContextManager[Any]:
    """The saved tensor of a transposed leaf has no history."""
    return faulty_node(
        lambda y: y.dim() == 3 and y.shape[0] > y.shape[-1] and isinstance(getattr(y, "_base", None), type(None)),
        lambda y, node: Faulty(
            node, **({"_saved_self": lambda: node._saved_self.detach()} if hasattr(node, "_saved_self") else {})
        ),
    )


@falsifies(f"{AREA}.unpacked-object-must-be-a-tensor")
def anything_stands_for_one_for_a_scalar() -> AbstractContextManager[Any]:
    """What is no tensor is taken for the 0-d tensor that was packed."""

    def change(pack: Any, unpack: Any) -> Any:
        scalars: dict[int, Any] = {}

        def packed(tensor: Any) -> Any:
            found = pack(tensor)
            scalars[id(found)] = tensor.detach() if not tensor.dim() else None
            return found

        def lenient(packed: Any) -> Any:
            found = unpack(packed)
            return found if isinstance(found, torch.Tensor) else scalars.get(id(packed), found)

        return packed, lenient

    return faulty_hooks(change)


@falsifies(f"{AREA}.modified-pack-input-raises")
def a_change_of_nothing_is_overlooked() -> AbstractContextManager[Any]:
    """A pack hook may modify an empty tensor in place."""
    return faulty_hooks(lambda pack, unpack: (lambda t: pack(t.clone() if t.shape == (0, 3) else t), unpack))


@falsifies(f"{AREA}.only-the-innermost-hooks-apply")
def the_second_of_three_pairs_is_called_as_well() -> AbstractContextManager[Any]:
    """Where three pairs are nested, the pack hook of the second is called too."""
    active: list[Any] = []

    def broken(original: Any) -> Any:
        class Hooks(original):
            def __init__(self, pack: Any, unpack: Any) -> None:
                self.pack = pack
                super().__init__(self.both, unpack)

            def both(self, tensor: Any) -> Any:
                if len(active) > 2:
                    active[-2].pack(tensor)
                return self.pack(tensor)

            def __enter__(self) -> None:
                active.append(self)
                super().__enter__()

            def __exit__(self, *error: Any) -> None:
                active.pop()
                super().__exit__(*error)

        return Hooks

    return patched(graph, "saved_tensors_hooks", broken)


@falsifies(f"{AREA}.saved-tensor-hooks-are-thread-local")
def a_thread_inherits_nested_hooks() -> AbstractContextManager[Any]:
    """A thread that is started within two pairs of hooks has the inner one."""
    active: list[Any] = []

    def broken(original: Any) -> Any:
        class Hooks(original):
            def __init__(self, pack: Any, unpack: Any) -> None:
                self.pair = pack, unpack
                super().__init__(pack, unpack)

            def __enter__(self) -> None:
                active.append(self.pair)
                super().__enter__()

            def __exit__(self, *error: Any) -> None:
                active.pop()
                super().__exit__(*error)

        return Hooks

    kept = graph.saved_tensors_hooks

    def inheriting(original: Any) -> Any:
        def run(self: Any) -> None:
            with kept(*active[-1]) if len(active) > 1 else ExitStack():
                original(self)

        return run

    stack = ExitStack()
    stack.enter_context(patched(graph, "saved_tensors_hooks", broken))
    stack.enter_context(patched(threading.Thread, "run", inheriting))
    return stack


@falsifies(f"{AREA}.packing-without-a-copy-shares-the-memory")
def a_strided_tensor_comes_back_as_a_copy() -> AbstractContextManager[Any]:
    """A complex128 tensor that is not contiguous is copied when it is unpacked."""

    def change(pack: Any, unpack: Any) -> Any:
        return pack, lambda p: (lambda t: t.clone() if t.dtype is torch.complex128 and scattered(t) else t)(unpack(p))

    return faulty_hooks(change)


@falsifies(f"{AREA}.registered-pack-hook-runs-at-once")
def a_scalar_is_packed_once_more() -> AbstractContextManager[Any]:
    """Registering hooks on the saved tensor of a 0-d bfloat16 result calls the pack hook twice."""

    def register(handle: Any, y: Any, pack: Any, unpack: Any) -> None:
        handle.register_hooks(lambda t: (pack(t), pack(t))[1], unpack)

    return faulty_handles(lambda y: y.dtype is torch.bfloat16 and not y.dim(), register)


@falsifies(f"{AREA}.registered-unpack-hook-runs-at-each-access")
def the_second_reading_is_remembered() -> AbstractContextManager[Any]:
    """The saved tensor of a result with three dimensions is unpacked once only."""

    def register(handle: Any, y: Any, pack: Any, unpack: Any) -> None:
        kept: list[Any] = []

        def once(packed: Any) -> Any:
            kept[:] = kept or [unpack(packed)]
            return kept[0]

        handle.register_hooks(pack, once)

    return faulty_handles(lambda y: y.dim() == 3, register)


@falsifies(f"{AREA}.registered-hooks-leave-the-gradients-equal")
def a_strided_tensor_comes_back_rolled() -> AbstractContextManager[Any]:
    """What the hooks of a strided result unpack is taken in another order."""
    return faulty_handles(
        scattered, lambda handle, y, pack, unpack: handle.register_hooks(pack, lambda p: unpack(p).flip(0))
    )


def lenient_register(handle: Any, y: Any, pack: Any, unpack: Any) -> None:
    """Registers hooks, or does nothing."""
    try:
        handle.register_hooks(pack, unpack)
    except RuntimeError:
        return


@falsifies(f"{AREA}.registering-after-release-raises")
def hooks_on_a_freed_complex_scalar_are_ignored() -> AbstractContextManager[Any]:
    """Registering hooks on the freed saved tensor of a 0-d complex result does nothing."""
    return faulty_handles(lambda y: y.is_complex() and not y.dim(), lenient_register)


@falsifies(f"{AREA}.registering-twice-raises")
def second_hooks_in_half_precision_are_ignored() -> AbstractContextManager[Any]:
    """Registering a second pair of hooks for a float16 result does nothing."""
    return faulty_handles(lambda y: y.dtype is torch.float16, lenient_register)


def faulty_save_on_cpu(change: Callable[[Any, bool], Any]) -> AbstractContextManager[Any]:
    """save_on_cpu unpacks what ``change(tensor, pin_memory)`` makes of a saved tensor."""
    hooks = graph.saved_tensors_hooks

    def broken(original: Any) -> Any:
        def save_on_cpu(pin_memory: bool = False) -> Any:
            return hooks(
                lambda t: (t.device, t.detach().cpu()), lambda packed: change(packed[1], pin_memory).to(packed[0])
            )

        return save_on_cpu

    return patched(graph, "save_on_cpu", broken)


@falsifies(f"{AREA}.save-on-cpu-leaves-the-gradients-equal")
def a_pinned_strided_tensor_is_scrambled() -> AbstractContextManager[Any]:
    """save_on_cpu in pinned memory flips a strided tensor."""
    return faulty_save_on_cpu(lambda t, pinned: t.flip(0) if pinned and scattered(t) else t)


@falsifies(f"{AREA}.save-on-cpu-copies-nothing-that-is-there")
def a_short_vector_is_copied() -> AbstractContextManager[Any]:
    """save_on_cpu copies a bfloat16 tensor of one element."""
    return faulty_save_on_cpu(lambda t, pinned: t.clone() if t.dtype is torch.bfloat16 and t.shape == (1,) else t)


@falsifies(f"{AREA}.save-on-cpu-gives-the-device-back")
def a_pinned_scalar_comes_back_wider() -> AbstractContextManager[Any]:
    """save_on_cpu in pinned memory gives a 0-d float16 tensor back as float32."""
    return faulty_save_on_cpu(lambda t, pinned: t.float() if pinned and t.dtype is torch.float16 and not t.dim() else t)


@falsifies(f"{AREA}.disabled-hooks-raise-with-the-message")
def the_third_message_is_lost() -> AbstractContextManager[Any]:
    """Of three nested contexts that disable hooks the last leaves the message of the second."""
    messages: list[str] = []

    def broken(original: Any) -> Any:
        @contextmanager
        def disable(message: str) -> Any:
            messages.append(message)
            try:
                with original(messages[1] if len(messages) == 3 else message):
                    yield
            finally:
                messages.pop()

        return disable

    return patched(graph, "disable_saved_tensors_hooks", broken)


@falsifies(f"{AREA}.disabling-hooks-ends-with-its-context")
def an_exception_enables_hooks_for_all() -> AbstractContextManager[Any]:
    """An exception that leaves an inner context enables hooks within the outer one too."""

    def broken(original: Any) -> Any:
        @contextmanager
        def disable(message: str) -> Any:
            with original(message):
                try:
                    yield
                    return
                except BaseException as error:
                    escaped = error
            torch._C._autograd._saved_tensors_hooks_enable()
            raise escaped

        return disable

    return patched(graph, "disable_saved_tensors_hooks", broken)


def mutation_by_copies(spares: Callable[[Any], bool]) -> Any:
    """Hooks that copy every tensor when it is saved, but those that ``spares`` says."""
    return graph.saved_tensors_hooks(lambda t: t.detach() if spares(t) else t.detach().clone(), lambda t: t)


@falsifies(f"{AREA}.mutated-saved-tensors-keep-their-gradients")
def a_block_is_not_cloned() -> AbstractContextManager[Any]:
    """allow_mutation_on_saved_tensors does not clone a tensor with three dimensions."""
    return patched(
        graph, "allow_mutation_on_saved_tensors", lambda original: lambda: mutation_by_copies(lambda t: t.dim() == 3)
    )


@falsifies(f"{AREA}.tensors-mutated-in-part-keep-their-gradients")
def a_vector_is_not_cloned() -> AbstractContextManager[Any]:
    """allow_mutation_on_saved_tensors clones every tensor when it is saved, but no vector."""
    return patched(
        graph, "allow_mutation_on_saved_tensors", lambda original: lambda: mutation_by_copies(lambda t: t.dim() == 1)
    )


@falsifies(f"{AREA}.allowed-mutation-reaches-the-tensor")
def a_tracked_bfloat16_tensor_is_not_negated() -> AbstractContextManager[Any]:
    """neg_ of a bfloat16 tensor that requires grad does nothing."""

    def broken(original: Any) -> Any:
        return lambda self: self if self.requires_grad and self.dtype is torch.bfloat16 else original(self)

    return patched(torch.Tensor, "neg_", broken)


def ended(hooks: Any) -> None:
    """Leave hooks that are still there: the engine puts back what a cell leaves, and may have been first."""
    with suppress(RuntimeError):
        hooks.__exit__(None, None, None)


@falsifies(f"{AREA}.allowing-mutation-ends-with-its-context")
@contextmanager
def an_exception_leaves_mutation_allowed() -> Any:
    """Mutation stays allowed where an exception leaves the context."""
    with ExitStack() as left:

        def broken(original: Any) -> Any:
            @contextmanager
            def allow() -> Any:
                hooks = mutation_by_copies(lambda t: False)
                hooks.__enter__()
                try:
                    yield
                except BaseException:
                    left.push(lambda *error: ended(hooks))
                    raise
                hooks.__exit__(None, None, None)

            return allow

        with patched(graph, "allow_mutation_on_saved_tensors", broken):
            yield
