"""Results of functions that take ``out=``, written with NumPy: what each computes from arrays and numbers.

``RESULTS`` maps a function's name below ``torch`` to one array, or to a tuple of arrays for several outs; it takes
the keywords that the catalogue has, by their names in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def kept(array: Any, dim: int, keepdim: bool) -> np.ndarray:
    """A reduced array, with the dimension that went away where it is to be kept."""
    found: np.ndarray = np.expand_dims(array, dim) if keepdim else np.asarray(array)
    return found


def reduction(function: Any, **options: Any) -> Callable[..., np.ndarray]:
    """A function that takes a dimension away."""

    def reduce(a: np.ndarray, d: int, keepdim: bool = False) -> np.ndarray:
        return kept(function(a, d, **options), d, keepdim)

    return reduce


def indexed_along(values: Any, order: Any) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """A function that gives values along a dimension, and where they stood."""

    def found(a: np.ndarray, d: int, keepdim: bool = False) -> tuple[np.ndarray, np.ndarray]:
        return kept(values(a, d), d, keepdim), kept(order(a, d), d, keepdim)

    return found


def sorted_along(a: np.ndarray, d: int, descending: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The values along a dimension in order, and where they stood."""
    order = np.argsort(-a if descending else a, d, kind="stable")
    return np.take_along_axis(a, order, d), order


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


def kth(k: int) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """The k-th smallest along a dimension (from 0), and its place; the values must be distinct."""
    return indexed_along(lambda a, d: np.sort(a, d).take(k, d), lambda a, d: np.argsort(a, d, kind="stable").take(k, d))


def log_sum_exp(a: np.ndarray, d: int) -> np.ndarray:
    """The logarithm of the sum of the exponentials along a dimension."""
    found: np.ndarray = np.log(np.exp(a.astype(np.float64)).sum(d))
    return found


def first_few(a: np.ndarray, k: int, d: int, largest: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The k largest along a dimension in descending order (or the smallest, ascending), and their places."""
    order = np.argsort(-a if largest else a, d, kind="stable").take(range(k), d)
    return np.take_along_axis(a, order, d), order


def rounded_quotient(a: np.ndarray, b: np.ndarray, rounding_mode: str = "none") -> np.ndarray:
    """The quotient, or what lies below it."""
    found: np.ndarray = np.floor(np.divide(a, b)) if rounding_mode == "floor" else np.divide(a, b)
    return found


def scaled_product(c: np.ndarray, a: np.ndarray, b: np.ndarray, beta: float = 1, alpha: float = 1) -> np.ndarray:
    """A matrix plus the product of two."""
    found: np.ndarray = beta * c + alpha * (a @ b)
    return found


RESULTS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "mul": np.multiply,
    "div": rounded_quotient,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fmax": np.fmax,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "copysign": np.copysign,
    "pow": np.power,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_xor": np.logical_xor,
    "bitwise_and": np.bitwise_and,
    "bitwise_xor": np.bitwise_xor,
    "gcd": np.gcd,
    "remainder": np.remainder,
    "abs": np.abs,
    "neg": np.negative,
    "exp": np.exp,
    "sin": np.sin,
    "tanh": np.tanh,
    "sqrt": np.sqrt,
    "log": np.log,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "square": np.square,
    "reciprocal": np.reciprocal,
    "sign": np.sign,
    "signbit": np.signbit,
    "logical_not": np.logical_not,
    "nan_to_num": np.nan_to_num,
    "clamp": np.clip,
    "lerp": lambda a, b, w: a + w * (b - a),
    "addcmul": lambda a, b, c, value=1: a + value * b * c,
    "where": np.where,
    "sum": reduction(np.sum),
    "mean": reduction(np.mean),
    "prod": reduction(np.prod),
    "amax": reduction(np.max),
    "amin": reduction(np.min),
    "argmax": reduction(np.argmax),
    "all": reduction(np.all),
    "any": reduction(np.any),
    "var": reduction(np.var, ddof=1),
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "logsumexp": reduction(log_sum_exp),
    "mm": np.matmul,
    "matmul": np.matmul,
    "bmm": np.matmul,
    "mv": np.matmul,
    "addmm": scaled_product,
    "baddbmm": scaled_product,
    "outer": np.outer,
    "kron": np.kron,
    "linalg.inv": np.linalg.inv,
    "linalg.solve": np.linalg.solve,
    "tril": lambda a, diagonal=0: np.tril(a, diagonal),
    "triu": lambda a, diagonal=0: np.triu(a, diagonal),
    "diag": lambda a, diagonal=0: np.diag(a, diagonal),
    "cat": lambda arrays, dim=0: np.concatenate(arrays, dim),
    "stack": lambda arrays, dim=0: np.stack(arrays, dim),
    "hstack": np.hstack,
    "vstack": np.vstack,
    "index_select": lambda a, d, i: a.take(i, d),
    "gather": lambda a, d, i: np.take_along_axis(a, i, d),
    "take": np.take,
    "masked_select": lambda a, m: a[m],
    "nonzero": np.argwhere,
    "searchsorted": lambda a, v, right=False: np.searchsorted(a, v, "right" if right else "left"),
    "arange": np.arange,
    "linspace": np.linspace,
    "full": np.full,
    "eye": np.eye,
    "sort": sorted_along,
    "topk": first_few,
    "kthvalue": lambda a, k, d, keepdim=False: kth(k - 1)(a, d, keepdim),
    "max": indexed_along(np.max, np.argmax),
    "min": indexed_along(np.min, np.argmin),
    "median": lambda a, d, keepdim=False: kth((a.shape[d] - 1) // 2)(a, d, keepdim),
    "cummax": running(np.less),
    "cummin": running(np.greater),
    "frexp": np.frexp,
    "aminmax": lambda a, dim, keepdim=False: indexed_along(np.min, np.max)(a, dim, keepdim),
    "linalg.slogdet": np.linalg.slogdet,
    "linalg.inv_ex": lambda a: (np.linalg.inv(a), np.array(0)),
}
