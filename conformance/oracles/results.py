"""Results of functions that take ``out=``, written with NumPy: what each computes from arrays and numbers.

``RESULTS`` maps a function's name below ``torch`` to one array, or to a tuple of arrays for several outs; it takes
the keywords that the catalogue has, by their names in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Dimensions = int | tuple[int, ...] | None


def kept(array: Any, dim: Dimensions, keepdim: bool) -> np.ndarray:
    """A reduced array, with the dimensions that went away where they are to be kept."""
    found: np.ndarray = np.expand_dims(array, dim) if keepdim and dim is not None else np.asarray(array)
    return found


def reduction(function: Any, **options: Any) -> Callable[..., np.ndarray]:
    """A function that takes a dimension away, or several, or all of them."""

    def reduce(a: np.ndarray, dim: Dimensions = None, keepdim: bool = False, dtype: Any = None) -> np.ndarray:
        return kept(function(a if dtype is None else a.astype(dtype), dim, **options), dim, keepdim)

    return reduce


def indexed_along(values: Any, order: Any) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """A function that gives values along a dimension, and where they stood."""

    def found(a: np.ndarray, d: int, keepdim: bool = False) -> tuple[np.ndarray, np.ndarray]:
        return kept(values(a, d), d, keepdim), kept(order(a, d), d, keepdim)

    return found


def extreme(values: Any, order: Any, of_two: Any) -> Callable[..., Any]:
    """The best along a dimension with its place; or, of two arrays, the better at each place."""
    along = indexed_along(values, order)

    def found(a: np.ndarray, d: Any, keepdim: bool = False) -> Any:
        return of_two(a, d) if isinstance(d, np.ndarray) else along(a, d, keepdim)

    return found


def sorted_along(
    a: np.ndarray, dim: int = -1, descending: bool = False, stable: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The values along a dimension in order, and where they stood; those that are equal in their order, always."""
    order = np.argsort(-a if descending else a, dim, kind="stable")
    return np.take_along_axis(a, order, dim), order


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


def log_sum_exp(a: np.ndarray, d: Dimensions) -> np.ndarray:
    """The logarithm of the sum of the exponentials along dimensions."""
    found: np.ndarray = np.log(np.exp(a.astype(np.float64)).sum(d))
    return found


def first_few(a: np.ndarray, k: int, d: int = -1, largest: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The k largest along a dimension in descending order (or the smallest, ascending), and their places."""
    order = np.argsort(-a if largest else a, d, kind="stable").take(range(k), d)
    return np.take_along_axis(a, order, d), order


def rounded_quotient(a: np.ndarray, b: np.ndarray, rounding_mode: str = "none") -> np.ndarray:
    """The quotient, or the whole number below it or towards zero."""
    rounding = {"floor": np.floor, "trunc": np.trunc}.get(rounding_mode, np.positive)
    found: np.ndarray = rounding(np.divide(a, b))
    return found


def scaled_product(c: np.ndarray, a: np.ndarray, b: np.ndarray, beta: float = 1, alpha: float = 1) -> np.ndarray:
    """A matrix plus the product of two; times 0 it is ignored, whatever it holds."""
    found: np.ndarray = (beta * c if beta else 0) + alpha * (a @ b)
    return found


def clamped(a: np.ndarray, min: Any = None, max: Any = None) -> np.ndarray:
    """What is not below one bound and not above the other; NaN stays."""
    found = a if min is None else np.maximum(a, min)
    return found if max is None else np.minimum(found, max)


def spread(a: np.ndarray, d: Dimensions, keepdim: bool = False, unbiased: bool = True, correction: Any = None) -> Any:
    """The variance along dimensions."""
    return kept(np.var(a, d, ddof=int(unbiased) if correction is None else correction), d, keepdim)


def running_fold(function: Any) -> Callable[..., np.ndarray]:
    """Sums or products so far, in a type of one's choice."""

    def fold(a: np.ndarray, d: int, dtype: Any = None) -> np.ndarray:
        found: np.ndarray = function(a if dtype is None else a.astype(dtype), d)
        return found

    return fold


def joined(arrays: tuple[np.ndarray, ...], dim: int = 0) -> np.ndarray:
    """Arrays one after the other; a vector without elements goes with any."""
    found: np.ndarray = np.concatenate([x for x in arrays if x.shape != (0,)], dim)
    return found


def chosen(a: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """The elements that are marked, row by row, of the two broadcast to each other."""
    whole, marked = np.broadcast_arrays(a, marks)
    found: np.ndarray = whole[marked]
    return found


def solved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What times ``a`` is ``b``: a vector, or columns."""
    found: np.ndarray = np.linalg.solve(a, b[:, None])[:, 0] if b.ndim == 1 else np.linalg.solve(a, b)
    return found


def both_ends(a: np.ndarray, dim: int | None = None, keepdim: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest, along a dimension or of all."""
    return kept(np.min(a, dim), dim, keepdim), kept(np.max(a, dim), dim, keepdim)


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
    "reciprocal": lambda a: np.divide(1.0, a),
    "sign": np.sign,
    "signbit": np.signbit,
    "logical_not": np.logical_not,
    "nan_to_num": np.nan_to_num,
    "clamp": clamped,
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
    "var": spread,
    "cumsum": running_fold(np.cumsum),
    "cumprod": running_fold(np.cumprod),
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
    "linalg.solve": solved,
    "tril": lambda a, diagonal=0: np.tril(a, diagonal),
    "triu": lambda a, diagonal=0: np.triu(a, diagonal),
    "diag": lambda a, diagonal=0: np.diag(a, diagonal),
    "cat": joined,
    "stack": lambda arrays, dim=0: np.stack(arrays, dim),
    "hstack": np.hstack,
    "vstack": np.vstack,
    "index_select": lambda a, d, i: a.take(i, d),
    "gather": lambda a, d, i: np.take_along_axis(a, i, d),
    "take": np.take,
    "masked_select": chosen,
    "nonzero": np.argwhere,
    "searchsorted": lambda a, v, right=False, out_int32=False: np.searchsorted(a, v, "right" if right else "left"),
    "arange": np.arange,
    "linspace": np.linspace,
    "full": np.full,
    "eye": np.eye,
    "sort": sorted_along,
    "topk": first_few,
    "kthvalue": lambda a, k, d, keepdim=False: kth(k - 1)(a, d, keepdim),
    "max": extreme(np.max, np.argmax, np.maximum),
    "min": extreme(np.min, np.argmin, np.minimum),
    "median": lambda a, d, keepdim=False: kth((a.shape[d] - 1) // 2)(a, d, keepdim),
    "cummax": running(np.less),
    "cummin": running(np.greater),
    "frexp": np.frexp,
    "aminmax": both_ends,
    "linalg.slogdet": np.linalg.slogdet,
    "linalg.inv_ex": lambda a: (np.linalg.inv(a), np.zeros(a.shape[:-2])),
}
