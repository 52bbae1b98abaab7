"""Assigned: what NumPy makes of an assignment through an index.

Reference: https://docs.pytorch.org/docs/stable/tensor_view.html, the note on indexing
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.oracles.conversions import converted


def after_assignment(case: Any) -> np.ndarray:
    """The values of the tensor of an ``Assignment`` afterwards, as NumPy has them."""
    found: np.ndarray = case.self_.array.copy()
    found[case.for_numpy()] = converted(case.given(), case.self_.dtype)
    return found
