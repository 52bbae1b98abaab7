"""Conversions: the number that an element becomes in another element type, by NumPy.

Reference: https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
"""

from __future__ import annotations

import numpy as np

from conformance.inputs.dtypes import ELEMENT_TYPES, representable


def converted(values: np.ndarray, target: str) -> np.ndarray:
    """``values`` as element type ``target``, in its carrier.

    A complex number loses its imaginary part, a fraction is cut towards zero, an integer wraps around, and
    whatever is not zero, NaN included, is True. A number that an integral type cannot hold after the cut has no
    defined conversion: inputs stay clear of it.
    """
    element = ELEMENT_TYPES[target]
    values = np.asarray(values)
    with np.errstate(all="ignore"):
        if values.dtype.kind == "c" and element.kind not in ("complex", "bool"):
            values = values.real
        if element.kind in ("bool", "unsigned", "signed"):
            return values.astype(element.carrier)
        return representable(values, target)
