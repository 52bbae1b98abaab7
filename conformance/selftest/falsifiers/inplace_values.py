"""Breaks of the values that methods compute: each for numbers, masks or results that few inputs hold."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import after, instead
from conformance.selftest.falsifiers.inplace_outs import with_out
from conformance.selftest.falsifying import falsifies

AREA = "inplace"
VALUES = f"{AREA}.computes-the-documented-values"


@falsifies(VALUES, subject="eq_")
def nan_equals_itself() -> AbstractContextManager[Any]:
    """eq_ finds a NaN equal to another one."""

    def other(original: Any, self: torch.Tensor, operand: Any) -> Any:
        if not isinstance(operand, torch.Tensor) or self.shape != operand.shape or self.requires_grad:
            return original(self, operand)
        both = self.isnan() & operand.isnan()
        return original(self, operand).masked_fill_(both, 1)

    return instead("eq_", other)


@falsifies(VALUES, subject="remainder_")
def a_negative_number_leaves_the_sign_of_the_dividend() -> AbstractContextManager[Any]:
    """remainder_ of int64 by a negative number has the sign of the dividend."""
    return instead(
        "remainder_",
        lambda original, x, by: (
            x.fmod_(by) if x.dtype is torch.int64 and isinstance(by, int) and by < 0 else original(x, by)
        ),
    )


@falsifies(VALUES, subject="cumsum_")
def the_last_dimension_of_three_is_mistaken() -> AbstractContextManager[Any]:
    """cumsum_ along dimension -1 of three sums along the middle one."""
    return instead("cumsum_", lambda original, x, dim, **k: original(x, 1 if dim == -1 and x.dim() == 3 else dim, **k))


@falsifies(VALUES, subject="exp_")
def subnormal_results_are_flushed() -> AbstractContextManager[Any]:
    """exp_ of float16 makes zero of a subnormal result."""
    return after(
        "exp_",
        lambda x: x.dtype is torch.float16 and not x.requires_grad,
        lambda x: x.masked_fill_(x.abs() < torch.finfo(x.dtype).smallest_normal, 0),
    )


@falsifies(VALUES, subject="sqrt_")
@falsifies(f"{AREA}.matches-its-counterpart", subject="sqrt_")
def the_root_of_minus_zero_is_zero() -> AbstractContextManager[Any]:
    """sqrt_ loses the sign of a zero."""
    return after(
        "sqrt_", lambda x: x.is_floating_point() and not x.requires_grad, lambda x: x.masked_fill_(x == 0, 0.0)
    )


@falsifies(f"{AREA}.matches-its-counterpart", subject="sin_")
def the_sine_of_minus_zero_is_zero() -> AbstractContextManager[Any]:
    """sin_ of float32 loses the sign of a zero, which sin keeps."""
    return after(
        "sin_", lambda x: x.dtype is torch.float32 and not x.requires_grad, lambda x: x.masked_fill_(x == 0, 0.0)
    )


@falsifies(f"{AREA}.index-put-accumulates-every-duplicate")
def a_mask_does_not_accumulate() -> AbstractContextManager[Any]:
    """index_put_ with a mask and accumulate=True puts the values without adding."""

    def other(original: Any, self: torch.Tensor, indices: Any, values: Any, accumulate: bool = False) -> Any:
        masked = any(index is not None and index.dtype is torch.bool for index in indices)
        return original(self, indices, values, accumulate and not masked)

    return instead("index_put_", other)


@falsifies(f"{AREA}.out-is-returned", subject="maximum")
def an_out_of_no_dimension_is_returned_anew() -> AbstractContextManager[Any]:
    """maximum returns another tensor over an out that has no dimension."""

    def other(original: Any, out: torch.Tensor, *args: Any) -> Any:
        found = original(*args, out=out)
        return found.detach() if out.dim() == 0 else found

    return with_out("maximum", other)


@falsifies(f"{AREA}.out-bumps-the-version", subject="exp")
def a_second_write_to_a_strided_out_goes_unseen() -> AbstractContextManager[Any]:
    """exp leaves the version of an out with gaps what it was, from its second write on."""

    def other(original: Any, out: torch.Tensor, *args: Any) -> Any:
        before = out._version
        found = original(*args, out=out)
        if before and not out.is_contiguous():
            torch._C._autograd._unsafe_set_version_counter((out,), (before,))
        return found

    return with_out("exp", other)


@falsifies(f"{AREA}.out-of-the-right-shape-keeps-its-strides", subject="sub")
def a_factor_beside_an_out_is_forgotten() -> AbstractContextManager[Any]:
    """sub with an out takes alpha for 1."""
    return with_out("sub", lambda original, out, *args, **kwargs: original(*args, out=out))


@falsifies(f"{AREA}.out-of-the-right-shape-keeps-its-strides", subject="eq")
def nothing_is_equal() -> AbstractContextManager[Any]:
    """eq writes False everywhere to an out."""
    return with_out("eq", lambda original, out, *args: original(*args, out=out).zero_())


@falsifies(f"{AREA}.out-may-be-of-a-higher-kind", subject="sqrt")
def the_imaginary_part_is_left_as_it_was() -> AbstractContextManager[Any]:
    """sqrt writes to the real part of a complex out only."""

    def other(original: Any, out: torch.Tensor, *args: Any) -> Any:
        if not out.is_complex():
            return original(*args, out=out)
        out.real.copy_(original(*args))
        return out

    return with_out("sqrt", other)


@falsifies(f"{AREA}.computes-the-documented-values", subject="lt_")
def integers_are_compared_as_doubles() -> AbstractContextManager[Any]:
    """lt_ compares int64 with a Python number in double precision."""

    def other(original: Any, self: torch.Tensor, operand: Any) -> Any:
        if self.dtype is torch.int64 and isinstance(operand, int):
            return self.copy_(self.double() < float(operand))
        return original(self, operand)

    return instead("lt_", other)


@falsifies(f"{AREA}.computes-the-documented-values", subject="abs_")
def the_largest_number_is_too_large() -> AbstractContextManager[Any]:
    """abs_ makes an infinity of the largest float32."""
    return after(
        "abs_",
        lambda x: x.dtype is torch.float32 and not x.requires_grad,
        lambda x: x.masked_fill_(x == torch.finfo(x.dtype).max, float("inf")),
    )


@falsifies(f"{AREA}.bumps-the-version", subject="mul_")
def a_square_goes_unseen() -> AbstractContextManager[Any]:
    """mul_ by self leaves the version what it was."""

    def other(original: Any, self: torch.Tensor, operand: Any) -> Any:
        before = self._version
        found = original(self, operand)
        if operand is self:
            torch._C._autograd._unsafe_set_version_counter((self,), (before,))
        return found

    return instead("mul_", other)


@falsifies(f"{AREA}.takes-self-as-an-operand", subject="eq_")
def everything_equals_itself() -> AbstractContextManager[Any]:
    """eq_ with self as its operand is True, for NaN too."""
    return instead("eq_", lambda original, x, other: x.fill_(1) if other is x else original(x, other))


@falsifies(f"{AREA}.lazy-operand-is-read-as-its-numbers", subject="mul_")
def a_conjugated_operand_is_read_from_memory() -> AbstractContextManager[Any]:
    """mul_ by a lazily conjugated complex128 multiplies by what lies in memory."""

    def other(original: Any, self: torch.Tensor, operand: Any) -> Any:
        lazy = isinstance(operand, torch.Tensor) and operand.is_conj() and operand.dtype is torch.complex128
        return original(self, operand.conj() if lazy else operand)

    return instead("mul_", other)


@falsifies(f"{AREA}.lazy-operand-is-read-as-its-numbers", subject="add_")
def a_negated_operand_is_read_from_memory() -> AbstractContextManager[Any]:
    """add_ of a lazily negated operand adds what lies in memory."""

    def other(original: Any, self: torch.Tensor, operand: Any, **kwargs: Any) -> Any:
        lazy = isinstance(operand, torch.Tensor) and operand.is_neg()
        return original(self, operand.resolve_neg().neg() if lazy else operand, **kwargs)

    return instead("add_", other)


@falsifies(f"{AREA}.lazy-self-is-written-as-its-numbers", subject="neg_")
def a_conjugated_self_is_negated_twice() -> AbstractContextManager[Any]:
    """neg_ of a lazily conjugated self works on the conjugate's copy."""

    def other(original: Any, self: torch.Tensor) -> Any:
        return self.copy_(-self.conj().clone()) if self.is_conj() else original(self)

    return instead("neg_", other)


@falsifies(VALUES, subject="eq_")
def a_fraction_is_cut_beside_whole_numbers() -> AbstractContextManager[Any]:
    """eq_ of integers and a fraction compares with the fraction's whole part."""

    def other(original: Any, self: torch.Tensor, operand: Any) -> Any:
        whole = not (self.is_floating_point() or self.is_complex() or self.dtype is torch.bool)
        return original(self, int(operand) if whole and isinstance(operand, float) else operand)

    return instead("eq_", other)


@falsifies(VALUES, subject="mul_")
def a_large_matrix_is_read_transposed() -> AbstractContextManager[Any]:
    """mul_ errs in the last element of a large matrix that is not contiguous."""
    return after(
        "mul_",
        lambda x, *args: x.dim() == 2 and x.numel() > 32768 and not x.is_contiguous(),
        lambda x: x.detach()[-1, -1].add_(1),
    )


@falsifies(f"{AREA}.copy-converts-and-broadcasts")
def a_double_is_cut_to_bfloat16() -> AbstractContextManager[Any]:
    """copy_ of float64 to bfloat16 cuts off the digits that it should round."""

    def other(original: Any, self: torch.Tensor, source: torch.Tensor, **kwargs: Any) -> Any:
        if self.dtype is torch.bfloat16 and source.dtype is torch.float64:
            bits = source.float().contiguous().view(torch.int32) & -65536
            source = torch.where(source.float().isfinite(), bits.view(torch.float32), source.float())
        return original(self, source, **kwargs)

    return instead("copy_", other)


@falsifies(f"{AREA}.resize-as-takes-the-size")
def the_template_gives_its_strides() -> AbstractContextManager[Any]:
    """resize_as_ takes the strides of a transposed template."""

    def other(original: Any, self: torch.Tensor, template: torch.Tensor, **kwargs: Any) -> Any:
        found = original(self, template, **kwargs)
        return found.as_strided_(template.shape, template.stride()) if template.dim() == 2 else found

    return instead("resize_as_", other)


@falsifies(f"{AREA}.renorm-bounds-the-norm", subject="renorm_")
def the_sum_of_sizes_may_be_larger() -> AbstractContextManager[Any]:
    """renorm_ by the first norm lets a slice be a hundredth too long."""
    return instead("renorm_", lambda original, x, p, dim, bound: original(x, p, dim, bound * (1.01 if p == 1 else 1)))


@falsifies(f"{AREA}.value-of-another-kind-is-converted")
def a_fraction_is_rounded_into_an_int32() -> AbstractContextManager[Any]:
    """fill_ of int32 with a fraction rounds it."""
    return instead(
        "fill_",
        lambda original, x, value: original(
            x, round(value) if x.dtype is torch.int32 and isinstance(value, float) else value
        ),
    )


@falsifies(f"{AREA}.computes-the-same-in-inference-mode", subject="mul_")
def nothing_is_multiplied_in_inference_mode() -> AbstractContextManager[Any]:
    """mul_ of float16 in inference mode does nothing."""

    def other(original: Any, self: torch.Tensor, operand: Any) -> Any:
        idle = torch.is_inference_mode_enabled() and self.dtype is torch.float16
        return self if idle else original(self, operand)

    return instead("mul_", other)
