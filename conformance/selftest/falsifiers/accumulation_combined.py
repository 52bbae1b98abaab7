"""Breaks of options that are given together: several roots, a second pass, a keyword, a kind of leaf."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.utils.checkpoint as checkpointing

from conformance.selftest.falsifying import falsifies, patched

AREA = "accumulation"


@falsifies(f"{AREA}.inputs-may-be-no-leaves")
def the_second_pass_overwrites_an_inner_gradient() -> AbstractContextManager[Any]:
    """The .grad of an input that is no leaf is what the last pass gave, not the sum."""

    def broken(original: Any) -> Any:
        def backward(tensors: Any, *args: Any, **options: Any) -> Any:
            given = options.get("inputs")
            inner = [x for x in given if not x.is_leaf and x.grad is not None] if isinstance(given, list) else []
            before = [(x, x.grad.detach().clone()) for x in inner]
            original(tensors, *args, **options)
            for x, had in before:
                x.grad = x.grad - had

        return backward

    return patched(torch.autograd, "backward", broken)


@falsifies(f"{AREA}.graph-is-retained-as-create-graph-says")
def the_graphs_of_several_roots_are_retained() -> AbstractContextManager[Any]:
    """With create_graph=True and retain_graph=False the graphs of several roots are retained."""

    def broken(original: Any) -> Any:
        def backward(tensors: Any, *args: Any, **options: Any) -> Any:
            several = isinstance(tensors, list | tuple) and len(tensors) > 1
            if several and options.get("create_graph") and options.get("retain_graph") is False:
                options["retain_graph"] = True
            return original(tensors, *args, **options)

        return backward

    return patched(torch.autograd, "backward", broken)


@falsifies(f"{AREA}.gradient-of-another-shape-is-refused")
def grad_reshapes_a_single_element() -> AbstractContextManager[Any]:
    """autograd.grad reshapes a gradient of one element to the shape of its output."""

    def broken(original: Any) -> Any:
        def grad(outputs: Any, inputs: Any, grad_outputs: Any = None, *args: Any, **options: Any) -> Any:
            both = isinstance(outputs, torch.Tensor) and isinstance(grad_outputs, torch.Tensor)
            if both and outputs.numel() == grad_outputs.numel() == 1:
                grad_outputs = grad_outputs.reshape(outputs.shape)
            return original(outputs, inputs, grad_outputs, *args, **options)

        return grad

    return patched(torch.autograd, "grad", broken)


@falsifies(f"{AREA}.random-steps-are-repeated-however-checkpointed")
def a_tensor_by_keyword_loses_the_state() -> AbstractContextManager[Any]:
    """The non-reentrant mode does not preserve the random state where a tensor is given by keyword."""

    def broken(original: Any) -> Any:
        def checkpoint(function: Any, *args: Any, **options: Any) -> Any:
            named = any(isinstance(value, torch.Tensor) for value in options.values())
            return original(function, *args, **options, **({"preserve_rng_state": False} if named else {}))

        return checkpoint

    return patched(checkpointing, "checkpoint", broken)


@falsifies(f"{AREA}.pack-hook-runs-once-for-each-saved-tensor")
@falsifies(f"{AREA}.pack-hook-gets-what-is-saved")
def parameters_are_not_packed() -> AbstractContextManager[Any]:
    """A saved Parameter is kept as it is, and no hook sees it."""

    def broken(original: Any) -> Any:
        def taking(self: Any, pack: Any, unpack: Any) -> None:
            kept: list[Any] = []

            def packing(x: Any) -> Any:
                kept.extend([x] if isinstance(x, torch.nn.Parameter) else [])
                return x if isinstance(x, torch.nn.Parameter) else pack(x)

            original(self, packing, lambda x: x if any(x is each for each in kept) else unpack(x))

        return taking

    return patched(torch.autograd.graph.saved_tensors_hooks, "__init__", broken)


@falsifies(f"{AREA}.strict-functional-refuses-an-independent-input")
def a_recorded_jacobian_is_not_strict() -> AbstractContextManager[Any]:
    """jacobian takes no notice of strict where create_graph is set."""

    def broken(original: Any) -> Any:
        def jacobian(*args: Any, **options: Any) -> Any:
            return original(*args, **{**options, **({"strict": False} if options.get("create_graph") else {})})

        return jacobian

    return patched(torch.autograd.functional, "jacobian", broken)
