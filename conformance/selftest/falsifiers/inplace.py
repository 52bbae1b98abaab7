"""Breaks of the promises in ``specs/inplace.yaml``, each for a rare condition."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

Break = AbstractContextManager[Any]


def unnoticed(x: torch.Tensor, when: bool) -> Break:
    """Keeps the version counter of ``x`` from moving, if ``when``."""
    return torch.autograd._unsafe_preserve_version_counter(x) if when else nullcontext()


def untracked(when: bool) -> Break:
    """Keeps autograd from recording, if ``when``."""
    return torch.no_grad() if when else nullcontext()


# --- values and memory ----------------------------------------------------------------------------------------


@falsifies("inplace.computes-the-documented-values", subject="mul_")
def the_last_of_seventeen_int16_is_off_by_one() -> Break:
    """mul_ is off by one in the last element of a vector of 17 int16."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            if self.dtype is torch.int16 and self.shape == (17,):
                self[-1] += 1
            return found

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies("inplace.computes-the-documented-values", subject="abs_")
def abs_keeps_a_negative_zero_of_a_float16() -> Break:
    """abs_ leaves -0.0 as it is where self is float16."""

    def broken(original: Any) -> Any:
        def abs_(self: Any) -> Any:
            kept = (self == 0) & torch.signbit(self)
            found = original(self)
            if self.dtype is torch.float16:
                self.masked_fill_(kept, -0.0)
            return found

        return abs_

    return patched(torch.Tensor, "abs_", broken)


@falsifies("inplace.matches-its-counterpart", subject="floor_")
def floor_rounds_a_negative_half_of_a_strided_bfloat16_up() -> Break:
    """floor_ rounds up where self is bfloat16 and starts behind its storage."""

    def broken(original: Any) -> Any:
        def floor_(self: Any) -> Any:
            return self.ceil_() if self.dtype is torch.bfloat16 and self.storage_offset() else original(self)

        return floor_

    return patched(torch.Tensor, "floor_", broken)


@falsifies("inplace.returns-self", subject="mul_")
def a_new_alias_for_a_strided_int16_self() -> Break:
    """mul_ returns another alias of self where self is int16 and not contiguous."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            return found.view_as(found) if self.dtype is torch.int16 and not self.is_contiguous() else found

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies("inplace.returns-self", subject="set_")
def set_returns_an_alias_of_an_empty_self() -> Break:
    """set_ returns another alias of self where nothing is in it."""
    return patched(torch.Tensor, "set_", lambda original: lambda self, *args: (
        original(self, *args) if self.numel() else original(self, *args).view_as(self)
    ))  # fmt: skip


@falsifies("inplace.keeps-the-frame-of-self", subject="cumsum_")
def cumsum_makes_a_strided_float64_self_contiguous() -> Break:
    """cumsum_ gives self new memory and strides where it is float64 and not contiguous."""

    def broken(original: Any) -> Any:
        def cumsum_(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            if self.dtype is torch.float64 and not self.is_contiguous():
                self.set_(self.clone(memory_format=torch.contiguous_format))
            return found

        return cumsum_

    return patched(torch.Tensor, "cumsum_", broken)


@falsifies("inplace.writes-nothing-outside-self", subject="clamp_")
def clamp_writes_the_element_before_an_int8_self() -> Break:
    """clamp_ writes to the place before self where self is int8 and not at the start of its storage."""

    def broken(original: Any) -> Any:
        def clamp_(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            if self.dtype is torch.int8 and self.storage_offset():
                self.as_strided((1,), (1,), self.storage_offset() - 1).zero_()
            return found

        return clamp_

    return patched(torch.Tensor, "clamp_", broken)


@falsifies("inplace.does-not-depend-on-the-layout-of-self", subject="exp_")
def exp_is_less_exact_for_a_stepped_float32() -> Break:
    """exp_ errs by some hundred ULP where self is float32 and its elements are not side by side."""

    def broken(original: Any) -> Any:
        def exp_(self: Any) -> Any:
            found = original(self)
            if self.dtype is torch.float32 and self.dim() and self.stride()[-1] == 2:
                self.mul_(1 + 1e-5)
            return found

        return exp_

    return patched(torch.Tensor, "exp_", broken)


@falsifies("inplace.leaves-its-operands-alone", subject="add_")
def add_clears_a_bool_operand() -> Break:
    """add_ sets a bool operand that is not contiguous to False."""

    def broken(original: Any) -> Any:
        def add_(self: Any, other: Any, **kwargs: Any) -> Any:
            found = original(self, other, **kwargs)
            if isinstance(other, torch.Tensor) and other.dtype is torch.bool and not other.is_contiguous():
                other.zero_()
            return found

        return add_

    return patched(torch.Tensor, "add_", broken)


@falsifies("inplace.counterpart-leaves-self-alone", subject="floor_")
def floor_works_in_place_on_a_transposed_float64() -> Break:
    """floor writes to a self that is float64 and not contiguous."""

    def broken(original: Any) -> Any:
        def floor(self: Any) -> Any:
            found = original(self)
            if self.dtype is torch.float64 and not self.is_contiguous():
                self.copy_(found)
            return found

        return floor

    return patched(torch.Tensor, "floor", broken)


# --- random fills ---------------------------------------------------------------------------------------------


@falsifies("inplace.random-fill-writes-every-element", subject="uniform_")
def uniform_misses_the_last_element_of_a_stepped_self() -> Break:
    """uniform_ leaves the last element of a self that is not contiguous as it was."""

    def broken(original: Any) -> Any:
        def uniform_(self: Any, *args: Any, **kwargs: Any) -> Any:
            last = (-1,) * self.dim()
            kept = self[last].clone() if self.numel() and not self.is_contiguous() else None
            found = original(self, *args, **kwargs)
            if kept is not None:
                self[last] = kept
            return found

        return uniform_

    return patched(torch.Tensor, "uniform_", broken)


@falsifies("inplace.random-fill-draws-each-element", subject="normal_")
def normal_repeats_one_number_in_a_strided_float16() -> Break:
    """normal_ draws a single number for a self that is float16 and not contiguous."""

    def broken(original: Any) -> Any:
        def normal_(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            if self.dtype is torch.float16 and self.numel() and not self.is_contiguous():
                self.fill_(self[(0,) * self.dim()].item())
            return found

        return normal_

    return patched(torch.Tensor, "normal_", broken)


# --- broadcasting ---------------------------------------------------------------------------------------------


@falsifies("inplace.broadcasts-its-operands", subject="mul_")
def mul_uses_an_operand_of_one_row_for_the_first_row_only() -> Break:
    """mul_ multiplies only the first slice of a 3-d self where the operand has extent 1 there."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, other: Any) -> Any:
            if (
                isinstance(other, torch.Tensor)
                and other.dim() == self.dim() == 3
                and other.shape[0] == 1 < self.shape[0]
            ):
                original(self[:1], other)
                return self
            return original(self, other)

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies("inplace.refuses-to-enlarge-self", subject="sub_")
def sub_takes_the_first_number_of_an_operand_for_a_0_d_self() -> Break:
    """sub_ silently takes the first number of an operand of one dimension where self is 0-d."""

    def broken(original: Any) -> Any:
        def sub_(self: Any, other: Any, **kwargs: Any) -> Any:
            if isinstance(other, torch.Tensor) and not self.dim() and other.shape == (1,):
                other = other[0]
            return original(self, other, **kwargs)

        return sub_

    return patched(torch.Tensor, "sub_", broken)


# --- element types --------------------------------------------------------------------------------------------


@falsifies("inplace.integral-self-refuses-a-floating-result", subject="mul_")
def mul_cuts_a_0_d_floating_operand_for_int16() -> Break:
    """mul_ converts a 0-d floating operand to int16 where self is int16."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, other: Any) -> Any:
            if self.dtype is torch.int16 and isinstance(other, torch.Tensor) and not other.dim():
                other = other.to(self.dtype)
            return original(self, other)

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies("inplace.bool-self-refuses-another-result", subject="add_")
def add_takes_uint8_for_bool() -> Break:
    """add_ takes a uint8 operand for bool where self is bool."""

    def broken(original: Any) -> Any:
        def add_(self: Any, other: Any, **kwargs: Any) -> Any:
            if self.dtype is torch.bool and isinstance(other, torch.Tensor) and other.dtype is torch.uint8:
                other = other.bool()
            return original(self, other, **kwargs)

        return add_

    return patched(torch.Tensor, "add_", broken)


@falsifies("inplace.real-self-refuses-a-complex-result", subject="sub_")
def sub_drops_the_imaginary_part_of_a_number() -> Break:
    """sub_ drops the imaginary part of a Python number where self is float16."""

    def broken(original: Any) -> Any:
        def sub_(self: Any, other: Any, **kwargs: Any) -> Any:
            if self.dtype is torch.float16 and isinstance(other, complex):
                other = other.real
            return original(self, other, **kwargs)

        return sub_

    return patched(torch.Tensor, "sub_", broken)


@falsifies("inplace.refuses-a-result-of-a-higher-category", subject="sin_")
def sin_rounds_the_result_for_int8() -> Break:
    """sin_ stores a rounded result where self is int8."""

    def broken(original: Any) -> Any:
        def sin_(self: Any) -> Any:
            return self.copy_(self.sin()) if self.dtype is torch.int8 else original(self)

        return sin_

    return patched(torch.Tensor, "sin_", broken)


@falsifies("inplace.casts-the-result-to-self", subject="add_")
def add_cuts_an_int64_operand_beside_int8() -> Break:
    """add_ cuts an int64 operand to 2 where self is int8."""

    def broken(original: Any) -> Any:
        def add_(self: Any, other: Any, **kwargs: Any) -> Any:
            if self.dtype is torch.int8 and isinstance(other, torch.Tensor) and other.dtype is torch.int64:
                other = other.clamp(max=2)
            return original(self, other, **kwargs)

        return add_

    return patched(torch.Tensor, "add_", broken)


# --- errors ---------------------------------------------------------------------------------------------------


@falsifies("inplace.failed-call-leaves-self-alone", subject="mul_")
def mul_clears_an_int32_self_before_it_raises() -> Break:
    """mul_ has set self to zero when it raises for an int32 self."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, *args: Any) -> Any:
            try:
                return original(self, *args)
            except RuntimeError:
                if self.dtype is torch.int32:
                    self.zero_()
                raise

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies("inplace.failed-call-leaves-self-alone", subject="cumsum_")
def cumsum_changes_a_0_d_self_before_it_finds_no_such_dimension() -> Break:
    """cumsum_ has changed a 0-d self when it raises for a dimension that is not there."""

    def broken(original: Any) -> Any:
        def cumsum_(self: Any, dim: Any, *args: Any) -> Any:
            if not self.dim() and dim > 0 and not self.requires_grad:
                self.copy_(self + 1)
            return original(self, dim, *args)

        return cumsum_

    return patched(torch.Tensor, "cumsum_", broken)


@falsifies("inplace.refuses-an-operand-that-overlaps-self", subject="sub_")
def sub_reads_an_overlapping_int16_operand_from_a_copy() -> Break:
    """sub_ does not refuse an operand that overlaps an int16 self."""

    def broken(original: Any) -> Any:
        def sub_(self: Any, other: Any, **kwargs: Any) -> Any:
            if self.dtype is torch.int16 and isinstance(other, torch.Tensor):
                other = other.clone()
            return original(self, other, **kwargs)

        return sub_

    return patched(torch.Tensor, "sub_", broken)


@falsifies("inplace.operand-beside-self-is-read-or-refused", subject="add_")
def add_reads_self_for_an_operand_between_its_elements() -> Break:
    """add_ reads self in the place of a float64 operand that lies between self's elements."""

    def broken(original: Any) -> Any:
        def add_(self: Any, other: Any, **kwargs: Any) -> Any:
            if (
                isinstance(other, torch.Tensor)
                and other.stride() == self.stride() == (2,)
                and self.dtype is torch.float64
            ):
                other = self if other.data_ptr() == self.data_ptr() + self.element_size() else other
            return original(self, other, **kwargs)

        return add_

    return patched(torch.Tensor, "add_", broken)


@falsifies("inplace.takes-self-as-an-operand", subject="mul_")
def mul_multiplies_twice_by_a_stepped_int32_self() -> Break:
    """mul_ by self itself multiplies twice where self is int32 and not contiguous."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, other: Any) -> Any:
            found = original(self, other)
            return (
                original(self, self) if other is self and self.dtype is torch.int32 and self.stride() == (2,) else found
            )

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies("inplace.refuses-an-expanded-self", subject="neg_")
def neg_writes_to_an_expanded_int8_self() -> Break:
    """neg_ does nothing and raises nothing where self is int8 and expanded."""

    def broken(original: Any) -> Any:
        def neg_(self: Any) -> Any:
            return self if self.dtype is torch.int8 and 0 in self.stride() else original(self)

        return neg_

    return patched(torch.Tensor, "neg_", broken)


@falsifies("inplace.expanded-self-is-refused-or-written-within", subject="fill_")
def fill_writes_behind_an_expanded_self() -> Break:
    """fill_ writes to the element behind a self that is expanded and complex128."""

    def broken(original: Any) -> Any:
        def fill_(self: Any, value: Any) -> Any:
            if self.dtype is torch.complex128 and 0 in self.stride():
                size = self.untyped_storage().nbytes() // self.element_size()
                original(self.as_strided((1,), (1,), size - 1), value)
            return original(self, value)

        return fill_

    return patched(torch.Tensor, "fill_", broken)


# --- leaves ---------------------------------------------------------------------------------------------------


@falsifies("inplace.leaf-refuses", subject="sub_")
def sub_writes_to_a_0_d_leaf() -> Break:
    """sub_ writes to a 0-d leaf that requires grad."""
    return patched(torch.Tensor, "sub_", lambda original: _without_grad(original, lambda x: x.is_leaf and not x.dim()))


@falsifies("inplace.view-of-a-leaf-refuses", subject="mul_")
def mul_writes_to_a_float16_view_of_a_leaf() -> Break:
    """mul_ writes to a view of a leaf that requires grad where it is float16."""
    return patched(torch.Tensor, "mul_", lambda original: _without_grad(original, lambda x: x.dtype is torch.float16))


@falsifies("inplace.leaf-can-be-written-without-grad", subject="add_")
def add_makes_a_written_leaf_forget_that_it_requires_grad() -> Break:
    """add_ under no_grad turns requires_grad off where the leaf is empty."""

    def broken(original: Any) -> Any:
        def add_(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            if not torch.is_grad_enabled() and self.is_leaf and not self.numel():
                self.requires_grad_(False)
            return found

        return add_

    return patched(torch.Tensor, "add_", broken)


@falsifies("inplace.data-reaches-the-tensor", subject="mul_")
def data_is_a_copy_of_a_strided_bfloat16() -> Break:
    """.data is a copy where the tensor is bfloat16 and not contiguous."""

    def broken(original: Any) -> Any:
        def data(self: Any) -> Any:
            found = original.__get__(self)
            return found.clone() if self.dtype is torch.bfloat16 and not self.is_contiguous() else found

        return property(data, lambda self, value: original.__set__(self, value))

    return patched(torch.Tensor, "data", broken)


@falsifies("inplace.one-of-several-views-refuses", subject="exp_")
def exp_writes_to_an_output_of_split() -> Break:
    """exp_ writes to an output of split, unseen by autograd."""
    return patched(torch.Tensor, "exp_", lambda original: _without_grad(
        original, lambda x: type(x.grad_fn).__name__.startswith("Split")
    ))  # fmt: skip


def _without_grad(original: Any, when: Any) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with untracked(self.requires_grad and when(self)):
            return original(self, *args, **kwargs)

    return method


# --- versions -------------------------------------------------------------------------------------------------


@falsifies("inplace.bumps-the-version", subject="mul_")
def mul_does_not_count_on_an_empty_self() -> Break:
    """mul_ does not increment the version counter where self has no elements."""
    return patched(torch.Tensor, "mul_", lambda original: _uncounted(original, lambda x: not x.numel()))


@falsifies("inplace.bumps-the-version", subject="masked_fill_")
def masked_fill_does_not_count_on_a_transposed_int16() -> Break:
    """masked_fill_ does not increment the version counter where self is int16 and not contiguous."""
    return patched(torch.Tensor, "masked_fill_", lambda original: _uncounted(
        original, lambda x: x.dtype is torch.int16 and not x.is_contiguous()
    ))  # fmt: skip


@falsifies("inplace.views-share-the-version", subject="add_")
def add_does_not_count_on_a_contiguous_view() -> Break:
    """add_ does not increment the version counter of a contiguous view of one dimension."""
    return patched(torch.Tensor, "add_", lambda original: _uncounted(
        original, lambda x: x._is_view() and x.dim() == 1 and x.is_contiguous()
    ))  # fmt: skip


@falsifies("inplace.detached-tensor-shares-the-version", subject="add_")
def detach_of_a_strided_tensor_has_a_counter_of_its_own() -> Break:
    """detach gives the result a version counter of its own where the tensor is not contiguous."""
    return patched(torch.Tensor, "detach", lambda original: lambda self: (
        original(self) if self.is_contiguous() else self.data
    ))  # fmt: skip


@falsifies("inplace.stale-saved-tensor-is-refused", subject="sub_")
def sub_does_not_count_without_grad() -> Break:
    """sub_ does not increment the version counter of a float32 self under no_grad."""
    return patched(torch.Tensor, "sub_", lambda original: _uncounted(original, lambda x: not torch.is_grad_enabled()))


def _uncounted(original: Any, when: Any) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with unnoticed(self, when(self)):
            return original(self, *args, **kwargs)

    return method


# --- gradients ------------------------------------------------------------------------------------------------


@falsifies("inplace.backward-without-an-error-is-right", subject="mul_")
def mul_does_not_count_on_a_selected_view() -> Break:
    """mul_ does not increment the version counter of a view whose elements are two places apart."""
    return patched(
        torch.Tensor,
        "mul_",
        lambda original: _uncounted(original, lambda x: x._is_view() and 2 in x.stride()[-1:]),
    )


@falsifies("inplace.gradient-flows-through", subject="tanh_")
def tanh_doubles_the_gradient_of_a_matrix() -> Break:
    """The gradient through tanh_ is doubled for a matrix."""

    def broken(original: Any) -> Any:
        def tanh_(self: Any) -> Any:
            if self.dim() == 2 and self.requires_grad:
                self.register_hook(lambda gradient: 2 * gradient)
            return original(self)

        return tanh_

    return patched(torch.Tensor, "tanh_", broken)


@falsifies("inplace.gradient-reaches-the-operands", subject="addcmul_")
def addcmul_forgets_the_gradient_of_a_broadcast_operand() -> Break:
    """addcmul_ does not record its second operand where that is smaller than self."""

    def broken(original: Any) -> Any:
        def addcmul_(self: Any, first: Any, second: Any, **kwargs: Any) -> Any:
            return original(self, first, second.detach() if second.shape != self.shape else second, **kwargs)

        return addcmul_

    return patched(torch.Tensor, "addcmul_", broken)


@falsifies("inplace.base-has-the-gradient-of-the-program", subject="mul_")
def mul_on_a_narrowed_view_goes_unseen_by_the_base() -> Break:
    """mul_ is not recorded where self is a view that starts behind its base."""
    return patched(torch.Tensor, "mul_", lambda original: _without_grad(
        original, lambda x: x._is_view() and x.is_contiguous() and x.storage_offset() >= 2
    ))  # fmt: skip


@falsifies("inplace.self-joins-the-graph", subject="add_")
def add_does_not_record_a_0_d_operand() -> Break:
    """add_ does not record its operand where that is 0-d."""

    def broken(original: Any) -> Any:
        def add_(self: Any, other: Any, **kwargs: Any) -> Any:
            with untracked(isinstance(other, torch.Tensor) and not other.dim()):
                return original(self, other, **kwargs)

        return add_

    return patched(torch.Tensor, "add_", broken)


@falsifies("inplace.earlier-hook-gets-the-gradient-of-the-old-value", subject="mul_")
def a_hook_on_a_vector_moves_to_the_new_value() -> Break:
    """A hook on a vector is registered anew after each mul_, as releases before 2.0 had it."""

    def broken(original: Any) -> Any:
        def mul_(self: Any, *args: Any) -> Any:
            hooks = dict(self._backward_hooks or {}) if self.dim() == 1 else {}
            if hooks:
                self._backward_hooks.clear()
                self._backward_hooks = None
            found = original(self, *args)
            for hook in hooks.values():
                self.register_hook(hook)
            return found

        return mul_

    return patched(torch.Tensor, "mul_", broken)


@falsifies("inplace.later-hook-gets-the-gradient-of-the-new-value", subject="sin_")
def a_hook_on_a_modified_vector_is_lost() -> Break:
    """A hook is not registered where the tensor has one dimension and was modified before."""

    def broken(original: Any) -> Any:
        def register_hook(self: Any, hook: Any) -> Any:
            return None if self._version and self.dim() == 1 else original(self, hook)

        return register_hook

    return patched(torch.Tensor, "register_hook", broken)


@falsifies("inplace.retained-grad-is-that-of-the-current-value", subject="mul_")
def the_retained_grad_of_a_vector_is_that_of_the_old_value() -> Break:
    """retain_grad keeps the gradient by the value of its own time, where the tensor has one dimension."""

    def broken(original: Any) -> Any:
        def retain_grad(self: Any) -> Any:
            if self.dim() != 1:
                return original(self)
            return self.register_hook(lambda gradient: setattr(self, "grad", gradient))

        return retain_grad

    return patched(torch.Tensor, "retain_grad", broken)


# --- custom functions -----------------------------------------------------------------------------------------


@falsifies("inplace.mark-dirty-lets-stale-use-be-detected")
def mark_dirty_does_not_count_on_an_empty_tensor() -> Break:
    """mark_dirty does nothing where the tensor has no elements."""
    return patched(torch.autograd.function.FunctionCtx, "mark_dirty", lambda original: lambda self, *args: (
        original(self, *args) if args[0].numel() else None
    ))  # fmt: skip


@falsifies("inplace.mark-dirty-puts-the-function-into-the-graph")
def mark_dirty_does_nothing_for_complex_numbers() -> Break:
    """mark_dirty does nothing where the tensor is complex."""
    return patched(torch.autograd.function.FunctionCtx, "mark_dirty", lambda original: lambda self, *args: (
        None if args[0].is_complex() else original(self, *args)
    ))  # fmt: skip


# --- copies ---------------------------------------------------------------------------------------------------


@falsifies("inplace.copy-converts-and-broadcasts")
def copy_rounds_a_bfloat16_source_for_int16() -> Break:
    """copy_ rounds and does not cut where the source is bfloat16 and self is int16."""

    def broken(original: Any) -> Any:
        def copy_(self: Any, source: Any, non_blocking: bool = False) -> Any:
            if self.dtype is torch.int16 and source.dtype is torch.bfloat16:
                source = (source.float() + 0.5).floor()
            return original(self, source, non_blocking)

        return copy_

    return patched(torch.Tensor, "copy_", broken)


@falsifies("inplace.copy-refuses-what-does-not-broadcast")
def copy_takes_the_first_rows_of_a_larger_source() -> Break:
    """copy_ takes the first row of a source that has one dimension more than self."""

    def broken(original: Any) -> Any:
        def copy_(self: Any, source: Any, non_blocking: bool = False) -> Any:
            return original(self, source[0] if source.dim() > self.dim() == 1 else source, non_blocking)

        return copy_

    return patched(torch.Tensor, "copy_", broken)


# --- assignments ----------------------------------------------------------------------------------------------


@falsifies("inplace.basic-assignment-writes-the-tensor")
def a_number_is_not_assigned_to_a_strided_0_d_tensor() -> Break:
    """Assignment of a tensor through Ellipsis is lost where the tensor is 0-d and int32."""

    def broken(original: Any) -> Any:
        def setitem(self: Any, key: Any, value: Any) -> None:
            if not (self.dtype is torch.int32 and not self.dim()):
                original(self, key, value)

        return setitem

    return patched(torch.Tensor, "__setitem__", broken)


@falsifies("inplace.advanced-assignment-writes-the-tensor")
def a_negative_index_in_a_list_counts_from_the_start() -> Break:
    """A negative index in a list is taken for its absolute value where the tensor is not contiguous."""

    def broken(original: Any) -> Any:
        def setitem(self: Any, key: Any, value: Any) -> None:
            if isinstance(key, tuple) and key and isinstance(key[0], list) and not self.is_contiguous():
                key = ([abs(x) for x in key[0]], *key[1:])
            original(self, key, value)

        return setitem

    return patched(torch.Tensor, "__setitem__", broken)


@falsifies("inplace.assignment-bumps-the-version")
def assignment_of_a_number_does_not_count() -> Break:
    """Assignment of a Python number through a mask does not increment the version counter."""

    def broken(original: Any) -> Any:
        def setitem(self: Any, key: Any, value: Any) -> None:
            masked = any(isinstance(part, torch.Tensor) and part.dtype is torch.bool for part in key)
            with unnoticed(self, masked and not isinstance(value, torch.Tensor)):
                original(self, key, value)

        return setitem

    return patched(torch.Tensor, "__setitem__", broken)


@falsifies("inplace.assignment-refuses-what-does-not-broadcast")
def assignment_has_begun_when_it_raises() -> Break:
    """Assignment has set a uint8 tensor to zero when it raises."""

    def broken(original: Any) -> Any:
        def setitem(self: Any, key: Any, value: Any) -> None:
            try:
                original(self, key, value)
            except (RuntimeError, IndexError):
                if self.dtype is torch.uint8:
                    self.zero_()
                raise

        return setitem

    return patched(torch.Tensor, "__setitem__", broken)


# --- augmented assignments ------------------------------------------------------------------------------------


@falsifies("inplace.augmented-assignment-keeps-the-tensor", subject="add_")
def plus_equals_makes_a_new_tensor_for_int8() -> Break:
    """+= makes a new tensor where the tensor is int8 and the operand a number."""

    def broken(original: Any) -> Any:
        def iadd(self: Any, other: Any) -> Any:
            fresh = self.dtype is torch.int8 and not isinstance(other, torch.Tensor)
            return self + other if fresh else original(self, other)

        return iadd

    return patched(torch.Tensor, "__iadd__", broken)


@falsifies("inplace.augmented-assignment-computes-the-operator", subject="remainder_")
def percent_equals_has_the_sign_of_the_dividend_for_int64() -> Break:
    """%= gives a remainder with the sign of the dividend where the tensor is int64 and not contiguous."""

    def broken(original: Any) -> Any:
        def imod(self: Any, other: Any) -> Any:
            strange = self.dtype is torch.int64 and not self.is_contiguous()
            return self.fmod_(other) if strange else original(self, other)

        return imod

    return patched(torch.Tensor, "__imod__", broken)
