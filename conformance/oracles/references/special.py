"""References of special functions: series, continued fractions and recurrences in the precision of their operand.

Only methods whose terms all have one sign, or whose cancellation is bounded, so that a result in long double is
good to the last place of float64. Formulas: https://dlmf.nist.gov (chapters 5, 7, 8, 10, 25).
Reference: https://docs.pytorch.org/docs/stable/special.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from conformance.oracles.references.elementwise import PI

BERNOULLI = (  # B2, B4, … as fractions
    (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798), (-174611, 330),
)  # fmt: skip
EULER = np.longdouble("0.57721566490153286060651209008240243")
SHIFT = 24  # asymptotic series are used from here on, where ten terms suffice


def error_function(x: np.ndarray) -> Any:
    """erf."""
    return np.copysign(_each(_erf, np.abs(x)), x)


def error_function_complement(x: np.ndarray) -> Any:
    """erfc."""
    return _each(_erfc, x)


def error_function_inverse(x: np.ndarray) -> Any:
    """erfinv: from a first guess, by Halley's method; infinite at -1 and 1, NaN beyond."""
    return np.copysign(_each(_erfinv, np.abs(x)), x)


def psi(x: np.ndarray) -> Any:
    """digamma: infinite at 0 with the other sign, NaN at the other poles."""
    return np.where(x == 0, -np.copysign(np.inf, x), _each(_psi, x))


def log_gamma(x: np.ndarray) -> Any:
    """lgamma: the logarithm of the modulus of the gamma function; infinite at the poles."""
    return _each(_log_gamma, x)


def bessel_i0(x: np.ndarray) -> Any:
    """i0, for operands up to about 10."""
    return _each(_i0, np.abs(x))


def psi_derivative(x: np.ndarray, n: int) -> Any:
    """polygamma for operands above -4: by the Hurwitz zeta function."""
    order = int(n)
    if order == 0:
        return psi(x)
    return (-1) ** (order + 1) * math.factorial(order) * _each(_zeta, x, order + 1)


def multivariate_log_gamma(x: np.ndarray, p: int) -> Any:
    """mvlgamma."""
    count = int(p)
    total = np.zeros_like(x) + count * (count - 1) * np.log(PI).astype(x.dtype) / 4
    for i in range(count):
        total = total + log_gamma(x - i / 2)
    return total


def log_odds(x: np.ndarray, eps: float | None = None) -> Any:
    """logit: of x clamped to [eps, 1 - eps], if eps is given."""
    if eps is not None:
        x = np.clip(x, eps, 1 - eps)
    return np.log(x / (1 - x))


def gamma_lower(x: np.ndarray, other: np.ndarray) -> Any:
    """igamma: the regularized lower incomplete gamma function of order self at other."""
    return _each_pair(_gamma_p, x, other)


def gamma_upper(x: np.ndarray, other: np.ndarray) -> Any:
    """igammac: one less igamma."""
    return _each_pair(_gamma_q, x, other)


# What was computed already, since cases repeat a few numbers and a series takes long: function -> operands -> value.
_KNOWN: dict[Any, dict[tuple[float, ...], Any]] = {}


def _each(function: Callable[..., Any], x: np.ndarray, *rest: Any) -> Any:
    """``function`` of each element in long double, computed once for each number that occurs; NaN stays NaN."""
    values, places = np.unique(x.ravel().astype(np.float64), return_inverse=True)
    return _looked_up(function, [(value,) for value in values.tolist()], *rest)[places].reshape(x.shape).astype(x.dtype)


def _each_pair(function: Callable[..., Any], x: np.ndarray, other: np.ndarray) -> Any:
    """The same for pairs of elements."""
    first, second = np.broadcast_arrays(x, other)
    pairs = list(
        zip(first.ravel().astype(np.float64).tolist(), second.ravel().astype(np.float64).tolist(), strict=True)
    )
    return _looked_up(function, pairs).reshape(first.shape).astype(x.dtype)


def _looked_up(function: Callable[..., Any], keys: Sequence[tuple[float, ...]], *rest: Any) -> np.ndarray:
    known = _KNOWN.setdefault((function.__name__, *rest), {})
    missing = [key for key in dict.fromkeys(keys) if key not in known and not any(map(math.isnan, key))]
    if missing:
        columns = np.array(missing, dtype=np.longdouble).T
        known.update(zip(missing, function(*columns, *rest), strict=True))
    return np.array([known.get(key, np.nan) for key in keys], dtype=np.longdouble)


def _erf(x: np.ndarray) -> Any:
    return np.where(x < 2, _erf_series(x), 1 - _erfc_fraction(x))


def _erf_series(x: np.ndarray) -> Any:
    x = np.where(x < 2, x, 0)
    term = x + 0
    total = x + 0
    for n in range(1, 60):
        term = term * 2 * x * x / (2 * n + 1)
        total = total + term
    return total * 2 / np.sqrt(PI) * np.exp(-x * x)


def _erfc_fraction(x: np.ndarray) -> Any:
    x = np.where(x < 2, 2, x)
    rest = np.zeros_like(x)
    for k in range(160, 0, -1):
        rest = (np.asarray(k, x.dtype) / 2) / (x + rest)
    return np.exp(-x * x) / np.sqrt(PI) / (x + rest)


def _erfc(x: np.ndarray) -> Any:
    size = np.abs(x)
    upper = np.where(size < 2, 1 - _erf_series(size), _erfc_fraction(size))
    return np.where(x < 0, 2 - upper, upper)


def _erfinv(y: np.ndarray) -> Any:
    inside = np.where(y < 1, y, 0)
    first = 2 / (PI * np.longdouble(0.147)) + np.log1p(-inside * inside) / 2
    guess = np.sqrt(np.sqrt(first * first - np.log1p(-inside * inside) / np.longdouble(0.147)) - first)
    for _ in range(6):
        miss = np.where(guess < 0.5, _erf_series(guess) - inside, (1 - inside) - _erfc(guess))
        step = miss * np.sqrt(PI) / 2 * np.exp(guess * guess)
        guess = guess - step / (1 + guess * step)
    return np.where(y < 1, guess, np.where(y == 1, np.inf, np.nan))


def _psi(x: np.ndarray) -> Any:
    mirrored = np.where(x < 0, 1 - x, x)
    total, v = np.zeros_like(mirrored), mirrored
    for _ in range(SHIFT):
        total, v = total - 1 / v, v + 1
    total = total + np.log(v) - 1 / (2 * v)
    for k, (over, under) in enumerate(BERNOULLI, 1):
        total = total - np.longdouble(over) / under / (2 * k) / v ** (2 * k)
    part = np.where(x > -0.5, x, x - np.floor(x)) * PI  # x - floor(x) would round a tiny x away
    reflected = total - PI / np.tan(part)
    pole = (x == np.floor(x)) & (x <= 0)
    return np.where(x == np.inf, np.inf, np.where(pole | np.isinf(x), np.nan, np.where(x < 0, reflected, total)))


def _log_gamma(x: np.ndarray) -> Any:
    positive = _log_gamma_positive(np.where(x < 0, 1 - x, x))
    sine = np.sin(np.where(x > -0.5, x, x - np.floor(x)) * PI)
    reflected = np.log(PI / np.abs(sine)) - positive
    pole = (x == np.floor(x)) & (x <= 0)
    return np.where(pole | np.isinf(x), np.inf, np.where(x < 0, reflected, positive))


def _log_gamma_positive(x: np.ndarray) -> Any:
    small = x < SHIFT
    v, product = np.where(small, x, SHIFT), np.ones_like(x)
    for _ in range(SHIFT):
        product, v = product * v, v + 1
    v = np.where(small, v, x)
    total = (v - 0.5) * np.log(v) - v + np.log(2 * PI) / 2
    for k, (over, under) in enumerate(BERNOULLI, 1):
        total = total + np.longdouble(over) / under / (2 * k * (2 * k - 1)) / v ** (2 * k - 1)
    total = np.where(small, total - np.log(product), total)
    # around the roots 1 and 2 the difference above loses all digits, and a power series does not
    for root in (1, 2):
        z = np.where(np.abs(x - root) < 0.25, x - root, 0)
        near = -EULER * z
        for n in range(2, 60):
            near = near + _riemann_zeta(n) * (-z) ** n / n
        near = near + (np.log1p(z) if root == 2 else 0)
        total = np.where(np.abs(x - root) < 0.25, near, total)
    return total


def _zeta(x: np.ndarray, s: int) -> Any:
    """The Hurwitz zeta function for x above -4 and whole s, by Euler and Maclaurin's formula."""
    total, v = np.zeros_like(x), x
    for _ in range(SHIFT):
        total, v = total + v**-s, v + 1
    total = total + v ** (1 - s) / (s - 1) + v**-s / 2
    rising = np.longdouble(s) / 2
    for k, (over, under) in enumerate(BERNOULLI, 1):
        total = total + np.longdouble(over) / under * rising * v ** (1 - s - 2 * k)
        rising = rising * (s + 2 * k - 1) * (s + 2 * k) / ((2 * k + 1) * (2 * k + 2))
    return total


@cache
def _riemann_zeta(s: int) -> Any:
    return _zeta(np.ones(1, np.longdouble), s)[0]


def _i0(x: np.ndarray) -> Any:
    quarter = x**2 / 4
    term = total = np.ones_like(quarter)
    for k in range(1, 60):
        term = term * quarter / (k * k)
        total = total + term
    return total


def _gamma_p(a: np.ndarray, z: np.ndarray) -> Any:
    return np.where(z < a + 1, _gamma_series(a, z), np.where(np.isinf(z), 1, 1 - _gamma_fraction(a, z)))


def _gamma_q(a: np.ndarray, z: np.ndarray) -> Any:
    return np.where(z < a + 1, 1 - _gamma_series(a, z), np.where(np.isinf(z), 0, _gamma_fraction(a, z)))


def _gamma_series(a: np.ndarray, z: np.ndarray) -> Any:
    term = total = 1 / a
    for n in range(1, 80):
        term = term * z / (a + n)
        total = total + term
    return total * np.exp(a * np.log(z) - z - _log_gamma(a))


def _gamma_fraction(a: np.ndarray, z: np.ndarray) -> Any:
    z = np.where(z < a + 1, a + 1, z)
    rest = np.zeros_like(z)
    for n in range(160, 0, -1):
        rest = n * (a - n) / (z + 2 * n + 1 - a + rest)
    return np.exp(a * np.log(z) - z - _log_gamma(a)) / (z + 1 - a + rest)
