"""Custom functions: what ``torch.autograd.Function`` is made of here, in both styles, and cases that apply it.

A class with ``compute``, ``setup`` and ``gradient`` says once what a function does; ``function_of`` writes it in the
style of a forward that takes ctx, or of a forward beside a setup_context.
Reference: https://docs.pytorch.org/docs/stable/notes/extending.html#extending-torch-autograd
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch


@cache
def function_of(parts: Any, style: str = "ctx", **attributes: Any) -> Any:
    """The custom function of ``parts``, in the style ``ctx`` or ``setup``; ``attributes`` are the class's own."""

    def combined(ctx: Any, *inputs: Any) -> Any:
        output = parts.compute(*inputs)
        parts.setup(ctx, inputs, output)
        return output

    methods = {"forward": combined, "backward": parts.gradient}
    if style == "setup":
        methods |= {"forward": parts.compute, "setup_context": parts.setup}
    if hasattr(parts, "tangent"):
        methods["jvp"] = parts.tangent
    if hasattr(parts, "batched"):
        methods["vmap"] = parts.batched
    members = {name: staticmethod(method) for name, method in methods.items()} | attributes
    return type(parts.__name__, (torch.autograd.Function,), members)


def function_styles() -> tuple[str, ...]:
    """The styles that the build has: setup_context came with 2.0."""
    return ("ctx", "setup") if hasattr(torch.autograd.Function, "setup_context") else ("ctx",)
