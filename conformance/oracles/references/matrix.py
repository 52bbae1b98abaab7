"""References of matrix products that are added to self.

With beta = 0 the documentation has self ignored, NaN and infinities included.
Reference: https://docs.pytorch.org/docs/stable/generated/torch.addmm.html
"""

from __future__ import annotations

from typing import Any

import numpy as np


def plus_matrix_product(x: np.ndarray, first: np.ndarray, second: np.ndarray, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """addmm, addmv, baddbmm: beta * x + alpha * (first @ second)."""
    return _combined(x, np.matmul(first, second), beta, alpha)


def plus_summed_products(
    x: np.ndarray, batch1: np.ndarray, batch2: np.ndarray, *, beta: Any = 1, alpha: Any = 1
) -> Any:
    """addbmm: beta * x + alpha * (sum of the products of the matrices of two batches)."""
    return _combined(x, np.add.reduce(np.matmul(batch1, batch2), axis=0, dtype=x.dtype), beta, alpha)


def plus_outer_product(x: np.ndarray, vec1: np.ndarray, vec2: np.ndarray, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """addr: beta * x + alpha * (outer product)."""
    return _combined(x, vec1[:, None] * vec2[None, :], beta, alpha)


def _combined(x: np.ndarray, product: np.ndarray, beta: Any, alpha: Any) -> Any:
    scaled = product * np.asarray(alpha).astype(x.dtype)
    return scaled if beta == 0 else x * np.asarray(beta).astype(x.dtype) + scaled
