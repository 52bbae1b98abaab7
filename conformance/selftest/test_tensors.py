"""Tensor plans: what a listing makes is what the plan builds."""

from __future__ import annotations

import pytest
import torch

from conformance.inputs.dtypes import ELEMENT_TYPES
from conformance.inputs.layouts import DISJOINT, REPEATING
from conformance.inputs.tensors import corner

SHAPES = ((), (2, 0, 3), (7,), (2, 3), (70,), (181, 183), (3, 5, 7), (2, 3, 5, 7))


@pytest.mark.parametrize("layout", [*DISJOINT, *REPEATING])
@pytest.mark.parametrize("dtype", [name for name in ELEMENT_TYPES if hasattr(torch, name)])
def test_a_listing_makes_the_tensor_that_is_built(dtype: str, layout: str):
    """The expression of a plan has the bits, the strides, the offset and the version of the tensor, also of a large one."""  # noqa: E501
    for shape in SHAPES:
        plan = corner(dtype, shape, layout)

        built, listed = plan.build(), eval(plan.code(), {"torch": torch})

        frames = [(x.dtype, x.shape, x.stride(), x.storage_offset(), x._version) for x in (built, listed)]
        assert frames[0] == frames[1], (shape, plan.code()[:200])
        bits = [
            bytes(x.contiguous().view(-1).view(torch.uint8).tolist()) if x.numel() else b"" for x in (built, listed)
        ]
        assert bits[0] == bits[1], (shape, plan.code()[:200])
