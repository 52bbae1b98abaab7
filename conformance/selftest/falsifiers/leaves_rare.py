"""Breaks of hooks, flags and modes that show in rare surroundings only."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from conformance.selftest.falsifying import falsifies, patched


@falsifies("leaves.tensor-hook-result-replaces-the-gradient")
def a_hook_from_under_no_grad_is_ignored() -> AbstractContextManager[Any]:
    """The result of a hook that was registered where gradients are not recorded counts for nothing."""

    def broken(original: Any) -> Any:
        def register_hook(self: Any, hook: Any) -> Any:
            if torch.is_grad_enabled():
                return original(self, hook)
            return original(self, lambda gradient: (hook(gradient), None)[1])

        return register_hook

    return patched(torch.Tensor, "register_hook", broken)


@falsifies("leaves.exception-in-a-tensor-hook-reaches-the-caller")
def an_end_of_iteration_is_lost() -> AbstractContextManager[Any]:
    """A StopIteration out of a hook counts as a hook that returns None."""

    def broken(original: Any) -> Any:
        def register_hook(self: Any, hook: Any) -> Any:
            def quiet(gradient: Any) -> Any:
                try:
                    return hook(gradient)
                except StopIteration:
                    return None

            return original(self, quiet)

        return register_hook

    return patched(torch.Tensor, "register_hook", broken)


@falsifies("leaves.exception-in-a-post-accumulate-hook-reaches-the-caller")
def an_interruption_is_lost() -> AbstractContextManager[Any]:
    """What is no Exception does not come out of a post-accumulate hook."""

    def broken(original: Any) -> Any:
        def register(self: Any, hook: Any) -> Any:
            def quiet(tensor: Any) -> None:
                try:
                    hook(tensor)
                except Exception:
                    raise
                except BaseException:
                    return

            return original(self, quiet)

        return register

    return patched(torch.Tensor, "register_post_accumulate_grad_hook", broken)


@falsifies("leaves.hook-is-removed-by-the-end-of-a-block")
def a_hook_outlives_an_interruption() -> AbstractContextManager[Any]:
    """A hook stays where the block of its handle is left by what is no Exception."""

    def broken(original: Any) -> Any:
        def leave(self: Any, error: Any, *args: Any) -> Any:
            if error is None or issubclass(error, Exception):
                return original(self, error, *args)
            return None

        return leave

    return patched(torch.utils.hooks.RemovableHandle, "__exit__", broken)


@falsifies("leaves.multi-grad-hook-runs-once-with-all-gradients")
def a_tensor_given_twice_counts_once() -> AbstractContextManager[Any]:
    """A multi-grad hook gets one gradient of a tensor that was given twice."""

    def broken(original: Any) -> Any:
        def register(tensors: Any, hook: Any, **options: Any) -> Any:
            return original(list({id(x): x for x in tensors}.values()), hook, **options)

        return register

    return patched(torch.autograd.graph, "register_multi_grad_hook", broken)


@falsifies("leaves.module-requires-grad-sets-every-parameter")
def a_parameter_without_dimensions_is_left_out() -> AbstractContextManager[Any]:
    """Module.requires_grad_ leaves parameters without dimensions as they are."""

    def broken(original: Any) -> Any:
        def requires_grad_(self: Any, flag: bool = True) -> Any:
            for parameter in self.parameters():
                if parameter.dim():
                    parameter.requires_grad_(flag)
            return self

        return requires_grad_

    return patched(torch.nn.Module, "requires_grad_", broken)


@falsifies("leaves.modes-of-other-threads-do-not-reach-this-one")
def a_mode_within_another_stays_in_threads() -> AbstractContextManager[Any]:
    """enable_grad within another mode is not left in other threads than the first."""

    def broken(original: Any) -> Any:
        def leave(self: Any, *error: Any) -> Any:
            return original(self, *error) if threading.current_thread() is threading.main_thread() else None

        return leave

    return patched(torch.enable_grad, "__exit__", broken)


@falsifies("leaves.views-of-normal-tensors-stay-normal-in-inference-mode")
def normal_views_of_three_dimensions_look_inferred() -> AbstractContextManager[Any]:
    """In inference mode a view of three dimensions says that it is an inference tensor."""

    def broken(original: Any) -> Any:
        def is_inference(self: Any) -> bool:
            inside = torch.is_inference_mode_enabled() and self._is_view() and self.dim() == 3
            return inside or bool(original(self))

        return is_inference

    return patched(torch.Tensor, "is_inference", broken)


@falsifies("leaves.hook-can-be-removed-inside-a-hook")
def the_only_hook_of_another_tensor_stays() -> AbstractContextManager[Any]:
    """A hook that is the only one of its tensor is not removed by a hook on another tensor."""

    def broken(original: Any) -> Any:
        def remove(self: Any) -> None:
            if torch._C._current_graph_task_id() == -1 or len(self.hooks_dict_ref() or ()) != 1:
                original(self)

        return remove

    return patched(RemovableHandle, "remove", broken)


@falsifies("leaves.requires-grad-defaults-to-false")
def ones_like_takes_over_the_flag() -> AbstractContextManager[Any]:
    """ones_like of a tensor without dimensions that requires grad requires grad by default."""

    def broken(original: Any) -> Any:
        def ones_like(x: Any, **options: Any) -> Any:
            return original(x, **{"requires_grad": x.requires_grad and not x.dim(), **options})

        return ones_like

    return patched(torch, "ones_like", broken)


@falsifies("leaves.recorded-result-is-no-leaf")
def a_contiguous_copy_is_a_leaf() -> AbstractContextManager[Any]:
    """contiguous of a strided tensor of three dimensions gives a leaf that requires grad."""

    def broken(original: Any) -> Any:
        def contiguous(self: Any, *args: Any, **options: Any) -> Any:
            found = original(self, *args, **options)
            return (
                found.detach().requires_grad_()
                if found is not self and self.dim() == 3 and self.requires_grad
                else found
            )

        return contiguous

    return patched(torch.Tensor, "contiguous", broken)


@falsifies("leaves.retain-grad-after-a-write-keeps-the-gradient")
def a_tensor_written_often_retains_nothing() -> AbstractContextManager[Any]:
    """retain_grad of a tensor that was written four times does nothing."""
    return patched(
        torch.Tensor, "retain_grad", lambda original: lambda self: None if self._version > 3 else original(self)
    )


@falsifies("leaves.created-tensor-is-a-leaf")
def an_identity_ignores_the_flag() -> AbstractContextManager[Any]:
    """eye ignores requires_grad=True."""
    return patched(
        torch, "eye", lambda original: lambda *args, **options: original(*args, **{**options, "requires_grad": False})
    )


@falsifies("leaves.created-tensor-is-a-leaf")
def random_numbers_like_others_require_none() -> AbstractContextManager[Any]:
    """randn_like ignores requires_grad=True for complex numbers."""

    def broken(original: Any) -> Any:
        def randn_like(x: torch.Tensor, **options: Any) -> Any:
            return original(x, **{**options, "requires_grad": options.get("requires_grad") and not x.is_complex()})

        return randn_like

    return patched(torch, "randn_like", broken)


@falsifies("leaves.created-tensor-is-a-leaf")
def a_window_ignores_the_flag() -> AbstractContextManager[Any]:
    """hann_window ignores requires_grad=True."""
    return patched(
        torch,
        "hann_window",
        lambda original: lambda *args, **options: original(*args, **{**options, "requires_grad": False}),
    )


@falsifies("leaves.an-exception-restores-the-mode")
def a_value_error_leaves_no_grad_on() -> AbstractContextManager[Any]:
    """no_grad that a ValueError leaves stays on."""

    def broken(original: Any) -> Any:
        def leave(self: Any, kind: Any, value: Any, traceback: Any) -> None:
            if kind is not ValueError:
                original(self, kind, value, traceback)

        return leave

    return patched(torch.no_grad, "__exit__", broken)
