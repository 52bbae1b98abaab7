"""Results of functions that take ``out=``, written with NumPy: what each computes from arrays and numbers.

``RESULTS`` maps a function's name below ``torch`` to one array, or to a tuple of arrays for several outs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def indexed_along(values: Any, order: Any) -> Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]:
    """A function that gives values along a dimension, and where they stood."""
    return lambda a, d: (values(a, d), order(a, d))


def running(worse: Any) -> Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]:
    """The best value so far along a dimension and the place where it last stood."""

    def scan(a: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
        lines, places = np.moveaxis(a, d, 0).copy(), np.zeros(np.moveaxis(a, d, 0).shape, np.int64)
        for i in range(1, len(lines)):
            kept = worse(lines[i], lines[i - 1])
            places[i] = np.where(kept, places[i - 1], i)
            lines[i] = np.where(kept, lines[i - 1], lines[i])
        return np.moveaxis(lines, 0, d), np.moveaxis(places, 0, d)

    return scan


def kth(k: int) -> Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]:
    """The k-th smallest along a dimension (from 0), and its place; the values must be distinct."""
    return lambda a, d: (np.sort(a, d).take([k], d).squeeze(d), np.argsort(a, d, kind="stable").take([k], d).squeeze(d))


def log_sum_exp(a: np.ndarray, d: int) -> np.ndarray:
    """The logarithm of the sum of the exponentials along a dimension."""
    found: np.ndarray = np.log(np.exp(a.astype(np.float64)).sum(d))
    return found


def largest_two(a: np.ndarray, k: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest along a dimension in descending order, and their places."""
    order = np.argsort(-a, d, kind="stable").take(range(k), d)
    return np.take_along_axis(a, order, d), order


RESULTS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "maximum": np.maximum,
    "minimum": np.minimum, "fmax": np.fmax, "atan2": np.arctan2, "hypot": np.hypot, "copysign": np.copysign,
    "pow": np.power, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "logical_and": np.logical_and, "logical_xor": np.logical_xor,
    "bitwise_and": np.bitwise_and, "bitwise_xor": np.bitwise_xor, "gcd": np.gcd, "remainder": np.remainder,
    "abs": np.abs, "neg": np.negative, "exp": np.exp, "sin": np.sin, "tanh": np.tanh, "sqrt": np.sqrt, "log": np.log,
    "ceil": np.ceil, "trunc": np.trunc, "square": np.square, "reciprocal": np.reciprocal, "sign": np.sign,
    "signbit": np.signbit, "logical_not": np.logical_not, "nan_to_num": np.nan_to_num, "clamp": np.clip,
    "lerp": lambda a, b, w: a + w * (b - a), "addcmul": lambda a, b, c: a + b * c, "where": np.where,
    "sum": np.sum, "mean": np.mean, "prod": np.prod, "amax": np.max, "amin": np.min, "argmax": np.argmax,
    "all": np.all, "any": np.any, "var": lambda a, d: np.var(a, d, ddof=1), "cumsum": np.cumsum, "cumprod": np.cumprod,
    "logsumexp": log_sum_exp, "mm": np.matmul, "matmul": np.matmul, "bmm": np.matmul, "mv": np.matmul,
    "addmm": lambda c, a, b: c + a @ b, "baddbmm": lambda c, a, b: c + a @ b, "outer": np.outer, "kron": np.kron,
    "linalg.inv": np.linalg.inv, "linalg.solve": np.linalg.solve, "tril": np.tril, "triu": np.triu, "diag": np.diag,
    "cat": np.concatenate, "stack": np.stack, "hstack": np.hstack, "vstack": np.vstack,
    "index_select": lambda a, d, i: a.take(i, d), "gather": lambda a, d, i: np.take_along_axis(a, i, d),
    "take": np.take, "masked_select": lambda a, m: a[m], "nonzero": np.argwhere, "searchsorted": np.searchsorted,
    "arange": np.arange, "linspace": np.linspace, "full": np.full, "eye": np.eye,
    "sort": indexed_along(np.sort, lambda a, d: np.argsort(a, d, kind="stable")),
    "topk": largest_two, "kthvalue": lambda a, k, d: kth(k - 1)(a, d),
    "max": indexed_along(np.max, np.argmax), "min": indexed_along(np.min, np.argmin),
    "median": lambda a, d: kth((a.shape[d] - 1) // 2)(a, d),
    "cummax": running(np.less), "cummin": running(np.greater), "frexp": np.frexp,
    "aminmax": lambda a, dim: (np.min(a, dim), np.max(a, dim)), "linalg.slogdet": np.linalg.slogdet,
    "linalg.inv_ex": lambda a: (np.linalg.inv(a), np.array(0)),
}  # fmt: skip
