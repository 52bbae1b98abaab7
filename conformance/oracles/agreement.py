"""Agreement: two results of one computation, made in different places of the memory or in different ways."""

from __future__ import annotations

import numpy as np

from conformance.oracles import numbers


def agree(expected: np.ndarray, found: np.ndarray, dtype: str, accuracy: str, what: str) -> None:
    """Expect two carrier arrays of ``dtype`` to agree, as far as the operation's class of accuracy lets them differ.

    Neither is the true value: two results that are each within the tolerance of it may lie twice as far apart.
    """
    if expected.shape == found.shape and expected.dtype == found.dtype and expected.tobytes() == found.tobytes():
        return
    numbers.close(expected, found, dtype, accuracy, what, both_rounded=True)
