"""Closed forms: derivatives written out in NumPy, and the documented convention of complex gradients.

The gradient by a complex number is the one by its conjugate: the derivative by the real part plus i times that by
the imaginary part. For a function with a complex derivative it is the incoming gradient times the conjugate of that.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#autograd-for-complex-numbers
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from conformance.inputs.dtypes import dtype_name
from conformance.oracles import expect, memory
from conformance.oracles.expect import Mismatch

# Rounding of a formula whose terms may cancel: in units of the type's precision at 1, or at the value if larger.
CLOSED_FORM_ROUNDING = 512
_EPSILON = {"float32": 2.0**-23, "complex64": 2.0**-23, "float64": 2.0**-52, "complex128": 2.0**-52}


def derivatives_at(name: str, x: np.ndarray) -> tuple[Any, Any, Any]:
    """First, second and third derivative of the function of that name."""
    e, s, c = np.exp(x), np.sin(x), np.cos(x)
    if name in ("exp", "expm1"):
        return e, e, e
    if name == "sin":
        return c, -s, -c
    if name == "cos":
        return -s, -c, s
    if name == "tan":
        t = np.tan(x)
        return 1 + t**2, 2 * t * (1 + t**2), (2 + 6 * t**2) * (1 + t**2)
    if name in ("sinh", "cosh"):
        one, two = (np.cosh(x), np.sinh(x)) if name == "sinh" else (np.sinh(x), np.cosh(x))
        return one, two, one
    if name == "tanh":
        t = np.tanh(x)
        return 1 - t**2, -2 * t * (1 - t**2), (6 * t**2 - 2) * (1 - t**2)
    if name == "sigmoid":
        g = 1 / (1 + 1 / e)
        return g * (1 - g), g * (1 - g) * (1 - 2 * g), g * (1 - g) * (1 - 6 * g + 6 * g**2)
    if name in ("log", "log1p", "log2"):
        u = 1 / (x + 1 if name == "log1p" else x)
        k = 1 / np.log(2.0) if name == "log2" else 1.0
        return k * u, -k * u**2, 2 * k * u**3
    if name in ("sqrt", "rsqrt"):
        p = 0.5 if name == "sqrt" else -0.5
        return p * x ** (p - 1), p * (p - 1) * x ** (p - 2), p * (p - 1) * (p - 2) * x ** (p - 3)
    if name == "reciprocal":
        return -1 / x**2, 2 / x**3, -6 / x**4
    if name == "atan":
        u = 1 / (1 + x**2)
        return u, -2 * x * u**2, (6 * x**2 - 2) * u**3
    return (2 * x, 2 + 0 * x, 0 * x) if name == "square" else (3 * x**2, 6 * x, 6 + 0 * x)


def complex_gradient(name: str, z: np.ndarray, incoming: np.ndarray) -> Any:
    """The gradient by ``z`` for an incoming gradient, by the documented convention."""
    if name in ("conj", "conj_physical"):
        return incoming.conj()
    if name == "real":
        return incoming + 0j
    if name == "imag":
        return 1j * incoming
    if name == "abs":
        return incoming * z / abs(z)
    if name == "angle":
        return 1j * incoming * z / abs(z) ** 2
    if name == "squared-modulus":
        return 2 * incoming * z
    if name == "view_as_real":
        return incoming[..., 0] + 1j * incoming[..., 1]
    return incoming * np.conj(derivatives_at(name, z)[0])


def near_closed_form(expected: Any, found: object, like: torch.Tensor, what: str) -> None:
    """Expect a gradient by ``like`` to be what a formula says, as far as rounding goes."""
    gradient = expect.tensor(found, what)
    expect.equal(tuple(like.shape), tuple(gradient.shape), f"shape of {what}")
    expect.equal(str(like.dtype), str(gradient.dtype), f"element type of {what}")
    held = memory.contents(gradient)
    allowed = CLOSED_FORM_ROUNDING * _EPSILON[dtype_name(gradient.dtype)] * np.maximum(1.0, np.abs(expected))
    wrong = ~(np.abs(held - expected) <= allowed)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Mismatch(what, f"{expected[first]:.10g}", f"{held[first]:.10g}", f"index {first}")


def real_gradients(name: str, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    """Derivatives of a function of ``formulas.through_complex``, by real calculus."""
    if name == "cosine":
        return -np.sin(x), np.ones_like(y)
    if name == "modulus":
        return x / np.hypot(x, y), y / np.hypot(x, y)
    if name == "polar":
        return np.sin(y), x * np.cos(y)
    if name == "product":
        return 2 * x, 2 * y
    if name == "square":
        return 2 * x, -2 * y
    return -y / (x**2 + y**2), x / (x**2 + y**2)
