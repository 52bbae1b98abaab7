"""Breaks of resizing, of set_, of in-place views, of random fills and of methods that call Python."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.inplace_indexed import (
    AREA,
    after,
    instead,
    lenient,
    spoil,
    spoil_beside,
    strided,
)
from conformance.selftest.falsifying import falsifies


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The whole storage as a vector."""
    return tensor.detach().as_strided((tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0)


@falsifies(f"{AREA}.resize-takes-the-size")
def strides_stay_column_major() -> AbstractContextManager[Any]:
    """resize_ of a transposed matrix to a matrix keeps the order of its dimensions."""

    def other(original: Any, self: Any, *size: Any, **kwargs: Any) -> Any:
        columns = self.dim() == 2 and self.stride(0) == 1 and self.shape[0] > 1
        found = original(self, *size, **kwargs)
        return found.as_strided_(found.shape, (1, found.shape[0])) if columns and found.dim() == 2 else found

    return instead("resize_", other)


@falsifies(f"{AREA}.resize-keeps-the-elements")
def growth_drops_the_last_element() -> AbstractContextManager[Any]:
    """resize_ that grows the storage of a float64 tensor forgets the last element it held."""

    def other(original: Any, self: Any, *size: Any, **kwargs: Any) -> Any:
        held = self.untyped_storage().nbytes() // 8
        found = original(self, *size, **kwargs)
        if self.dtype is torch.float64 and held > 1 and self.untyped_storage().nbytes() // 8 > held:
            whole(self)[held - 1] = 5
        return found

    return instead("resize_", other)


@falsifies(f"{AREA}.resize-never-shrinks-the-storage")
def an_empty_tensor_gives_up_its_storage() -> AbstractContextManager[Any]:
    """resize_ to no elements replaces the storage of a tensor with an offset."""

    def other(original: Any, self: Any, *size: Any, **kwargs: Any) -> Any:
        found = original(self, *size, **kwargs)
        return found.set_(torch.empty_like(found)) if not found.numel() and found.storage_offset() == 3 else found

    return instead("resize_", other)


@falsifies(f"{AREA}.resize-grows-the-storage")
def the_offset_is_forgotten() -> AbstractContextManager[Any]:
    """resize_ with a storage offset takes too small a storage."""

    def other(original: Any, self: Any, *size: Any, **kwargs: Any) -> Any:
        found = original(self, *size, **kwargs)
        if found.storage_offset() == 3 and found.numel() > 20:
            self.untyped_storage().resize_(found.numel() * found.element_size())
        return found

    return instead("resize_", other)


@falsifies(f"{AREA}.resize-to-its-own-size-changes-nothing")
def its_own_size_makes_it_contiguous() -> AbstractContextManager[Any]:
    """resize_ of a strided complex64 tensor to its own size makes it contiguous."""

    def other(original: Any, self: Any, *size: Any, **kwargs: Any) -> Any:
        if self.dtype is torch.complex64 and strided(self) and not kwargs:
            kwargs = {"memory_format": torch.contiguous_format}
        return original(self, *size, **kwargs)

    return instead("resize_", other)


@falsifies(f"{AREA}.resize-takes-the-memory-format")
def resize_as_ignores_channels_last() -> AbstractContextManager[Any]:
    """resize_as_ ignores the memory format where self had three dimensions."""

    def other(original: Any, self: Any, template: Any, **kwargs: Any) -> Any:
        return original(self, template, **({} if self.dim() == 3 else kwargs))

    return instead("resize_as_", other)


@falsifies(f"{AREA}.resize-as-takes-the-size")
def a_zero_dimensional_template_gives_one_dimension() -> AbstractContextManager[Any]:
    """resize_as_ of a 0-d tensor gives a vector of one element."""
    return instead("resize_as_", lambda original, x, y, **k: original(x, y, **k) if y.dim() else x.resize_(1))


@falsifies(f"{AREA}.resize-fills-new-memory")
def integers_are_left_as_they_come() -> AbstractContextManager[Any]:
    """In deterministic mode resize_ leaves the last new element of an int16 tensor as it comes."""
    return after("resize_", lambda x, *size, **k: x.dtype is torch.int16 and x.is_contiguous(), spoil)


@falsifies(f"{AREA}.set-shares-storage-size-and-strides")
def the_offset_of_the_source_is_lost() -> AbstractContextManager[Any]:
    """set_ to a strided tensor with an offset begins at the start of the storage."""

    def other(original: Any, self: Any, source: Any = None, *frame: Any) -> Any:
        found = original(self, source, *frame)
        if isinstance(source, torch.Tensor) and not source.is_contiguous() and source.storage_offset():
            return found.as_strided_(source.shape, source.stride(), 0)
        return found

    return instead("set_", other)


@falsifies(f"{AREA}.set-shares-storage-size-and-strides")
def a_transposed_self_keeps_its_strides() -> AbstractContextManager[Any]:
    """set_ to a tensor of self's own size keeps the strides of a transposed self."""

    def other(original: Any, self: Any, source: Any = None, *frame: Any) -> Any:
        size, stride = self.shape, self.stride()
        found = original(self, source, *frame)
        same = isinstance(source, torch.Tensor) and source.shape == size and source.is_contiguous() and len(size) == 2
        return found.as_strided_(size, stride) if same and stride == (1, size[0]) and found.numel() else found

    return instead("set_", other)


@falsifies(f"{AREA}.set-reflects-changes")
def an_empty_self_gets_a_copy() -> AbstractContextManager[Any]:
    """set_ gives a self without elements a copy of a contiguous tensor."""

    def other(original: Any, self: Any, source: Any = None, *frame: Any) -> Any:
        if isinstance(source, torch.Tensor) and not self.numel() and source.is_contiguous():
            source = source.clone()
        return original(self, source, *frame)

    return instead("set_", other)


@falsifies(f"{AREA}.set-leaves-the-source-alone")
def the_source_is_made_contiguous() -> AbstractContextManager[Any]:
    """set_ changes an element beside a strided source."""

    def other(original: Any, self: Any, source: Any = None, *frame: Any) -> Any:
        found = original(self, source, *frame)
        if isinstance(source, torch.Tensor) and strided(source) and source.storage_offset() == 1:
            spoil_beside(source)
        return found

    return instead("set_", other)


@falsifies(f"{AREA}.set-takes-a-storage")
def the_stride_is_ignored_beside_an_offset() -> AbstractContextManager[Any]:
    """set_ to a storage ignores a stride of 4 of a vector."""

    def other(original: Any, self: Any, source: Any = None, *frame: Any) -> Any:
        return original(self, source, *frame[:2], (1,)) if frame[2:] == ((4,),) else original(self, source, *frame)

    return instead("set_", other)


@falsifies(f"{AREA}.set-takes-the-whole-storage")
def the_offset_of_self_is_kept() -> AbstractContextManager[Any]:
    """set_ to a storage leaves out as many elements as self had been offset by."""

    def other(original: Any, self: Any, source: Any = None, *frame: Any) -> Any:
        before = self.storage_offset()
        found = original(self, source, *frame)
        return (
            found.as_strided_((found.numel() - before,), (1,), before)
            if not frame and before == 1 and found.numel() > 1
            else found
        )

    return instead("set_", other)


@falsifies(f"{AREA}.transposing-in-place-exchanges-dimensions")
def a_negative_second_dimension_counts_from_the_start() -> AbstractContextManager[Any]:
    """swapdims_ of three dimensions takes a negative second dimension for one less."""

    def other(original: Any, self: Any, first: int, second: int) -> Any:
        return original(self, first, (second + 2) % 3 if second < 0 and self.dim() == 3 else second)

    return instead("swapdims_", other)


@falsifies(f"{AREA}.transposing-in-place-exchanges-dimensions")
def t_of_an_expanded_matrix_does_nothing() -> AbstractContextManager[Any]:
    """t_ leaves a matrix with a stride of 0 as it is."""
    return instead("t_", lambda original, x: x if 0 in x.stride() else original(x))


@falsifies(f"{AREA}.squeeze-in-place-drops-dimensions")
def squeeze_drops_all_for_minus_one() -> AbstractContextManager[Any]:
    """squeeze_(-1) of (1, 3, 1) drops both dimensions of size 1."""
    return instead(
        "squeeze_",
        lambda original, x, *dims: original(x) if dims == (-1,) and x.shape == (1, 3, 1) else original(x, *dims),
    )


@falsifies(f"{AREA}.squeeze-in-place-drops-several-dimensions")
def only_the_first_of_several_is_dropped() -> AbstractContextManager[Any]:
    """squeeze_ of a tuple that begins with a negative dimension drops that one only."""

    def other(original: Any, self: Any, *dims: Any) -> Any:
        if dims and isinstance(dims[0], tuple) and dims[0] and dims[0][0] < 0:
            return original(self, dims[0][0])
        return original(self, *dims)

    return instead("squeeze_", other)


@falsifies(f"{AREA}.unsqueeze-in-place-adds-a-dimension")
def minus_one_stands_before_the_last() -> AbstractContextManager[Any]:
    """unsqueeze_(-1) of a strided tensor puts the dimension before the last."""
    return instead("unsqueeze_", lambda original, x, dim: original(x, -2 if dim == -1 and strided(x) else dim))


@falsifies(f"{AREA}.unsqueeze-in-place-rejects-dimensions")
def one_too_far_is_the_end() -> AbstractContextManager[Any]:
    """unsqueeze_ of an empty matrix accepts one dimension too many."""
    return lenient("unsqueeze_", lambda x, dim: dim > 0 and x.shape == (0, 3))


@falsifies(f"{AREA}.as-strided-in-place-takes-the-frame")
def the_default_offset_is_zero() -> AbstractContextManager[Any]:
    """as_strided_ without an offset begins at 0 for two dimensions."""

    def other(original: Any, self: Any, size: Any, stride: Any, offset: Any = None) -> Any:
        return original(
            self, size, stride, 0 if offset is None and len(size) == 2 and self.storage_offset() else offset
        )

    return instead("as_strided_", other)


@falsifies(f"{AREA}.as-strided-in-place-stays-in-the-storage")
def one_element_beyond_is_let_through() -> AbstractContextManager[Any]:
    """as_strided_ accepts a 0-d frame just behind the storage."""
    return lenient("as_strided_", lambda x, size, stride, offset=0: not size)


@falsifies(f"{AREA}.reframing-in-place-leaves-aliases-alone")
def the_alias_is_transposed_as_well() -> AbstractContextManager[Any]:
    """transpose_ of a complex128 tensor moves its elements too, which an alias sees."""

    def other(original: Any, self: Any, first: int, second: int) -> Any:
        found = original(self, first, second)
        if self.numel() > 1 and self.dtype in (torch.complex128, torch.int16):
            spoil(found)
        return found

    return instead("transpose_", other)


@falsifies(f"{AREA}.random-stays-within-its-bounds")
def the_upper_bound_is_drawn() -> AbstractContextManager[Any]:
    """random_ with negative bounds leaves the upper bound as the last element of a strided self."""

    def other(original: Any, self: Any, *bounds: Any, **kwargs: Any) -> Any:
        found = original(self, *bounds, **kwargs)
        if len(bounds) == 2 and bounds[0] < 0 and strided(self):
            self[(-1,) * self.dim()] = bounds[1]
        return found

    return instead("random_", other)


@falsifies(f"{AREA}.random-without-bounds-fills-the-mantissa")
def bfloat16_is_drawn_like_half() -> AbstractContextManager[Any]:
    """random_ of bfloat16 draws up to 2 to the power of 11."""
    return instead(
        "random_",
        lambda original, x, *b, **k: (
            original(x, *(b or (2048,)), **k) if x.dtype is torch.bfloat16 else original(x, *b, **k)
        ),
    )


@falsifies(f"{AREA}.uniform-stays-within-its-bounds")
def the_lower_bound_is_added_twice() -> AbstractContextManager[Any]:
    """uniform_ into a strided half-precision self adds its lower bound once more."""
    return after(
        "uniform_",
        lambda x, *b, **k: x.dtype is torch.float16 and strided(x) and bool(b) and b[0] != 0,
        lambda x: x.add_(1),
    )


@falsifies(f"{AREA}.normal-draws-around-the-mean")
def a_strided_self_gets_the_standard_normal() -> AbstractContextManager[Any]:
    """normal_ into a strided float64 self ignores mean and deviation."""

    def other(original: Any, self: Any, *law: Any, **kwargs: Any) -> Any:
        return original(self, *(() if strided(self) and self.dtype is torch.float64 else law), **kwargs)

    return instead("normal_", other)


@falsifies(f"{AREA}.exponential-is-never-zero")
def the_last_of_a_vector_tail_is_zero() -> AbstractContextManager[Any]:
    """exponential_ leaves 0 at the end of 17 elements."""
    return after("exponential_", lambda x, *a, **k: x.shape == (17,), lambda x: x[-1:].zero_())


@falsifies(f"{AREA}.geometric-counts-from-one")
def integers_count_from_zero() -> AbstractContextManager[Any]:
    """geometric_ into a strided int64 self counts from 0."""
    return after("geometric_", lambda x, *a, **k: x.dtype is torch.int64 and strided(x), lambda x: x.sub_(1))


@falsifies(f"{AREA}.log-normal-is-positive")
def a_strided_self_is_not_exponentiated() -> AbstractContextManager[Any]:
    """log_normal_ into a strided bfloat16 self leaves the logarithms."""
    return after("log_normal_", lambda x, *a, **k: x.dtype is torch.bfloat16 and strided(x), lambda x: x.log_())


@falsifies(f"{AREA}.bernoulli-draws-zero-or-one")
def a_certain_event_fails_once() -> AbstractContextManager[Any]:
    """bernoulli_ with a probability of 1 leaves a 0 at the end of 65 elements."""
    return after("bernoulli_", lambda x, p=0.5, **k: p == 1 and x.shape == (65,), spoil)


@falsifies(f"{AREA}.bernoulli-follows-each-probability")
def probabilities_are_read_in_storage_order() -> AbstractContextManager[Any]:
    """bernoulli_ reads a transposed matrix of probabilities in the order of its storage."""

    def other(original: Any, self: Any, p: Any = 0.5, **kwargs: Any) -> Any:
        if isinstance(p, torch.Tensor) and p.dim() == 2 and p.stride(0) == 1 and p.numel() > 2:
            p = p.t().reshape(p.shape)
        return original(self, p, **kwargs)

    return instead("bernoulli_", other)


@falsifies(f"{AREA}.apply-replaces-each-element")
def the_last_of_33_is_left_out() -> AbstractContextManager[Any]:
    """apply_ leaves the last of 33 int64 elements wrong."""
    return after("apply_", lambda x, f: x.shape == (33,) and x.dtype is torch.int64, spoil)


@falsifies(f"{AREA}.map-stores-the-results")
def a_broadcast_operand_is_swapped() -> AbstractContextManager[Any]:
    """map_ calls the function with its operands exchanged where the other tensor is 0-d."""
    return instead("map_", lambda original, x, y, f: original(x, y, (lambda a, b: f(b, a)) if not y.dim() else f))


@falsifies(f"{AREA}.map-rejects-shapes")
def a_larger_other_is_cut() -> AbstractContextManager[Any]:
    """map_ accepts another tensor with more dimensions."""
    return lenient("map_", lambda x, y, f: y.dim() > x.dim())


@falsifies(f"{AREA}.requires-grad-in-place-sets-the-flag")
def a_complex_flag_stays_set() -> AbstractContextManager[Any]:
    """requires_grad_(False) does nothing to a strided complex tensor."""
    return instead(
        "requires_grad_",
        lambda original, x, flag=True: x if not flag and x.is_complex() and strided(x) else original(x, flag),
    )


@falsifies(f"{AREA}.detach-in-place-keeps-the-storage")
def detaching_copies() -> AbstractContextManager[Any]:
    """detach_ of a matrix moves it to another storage."""

    def other(original: Any, self: Any) -> Any:
        found = original(self)
        return found.set_(found.clone()) if found.dim() == 2 and found.numel() else found

    return instead("detach_", other)


@falsifies(f"{AREA}.resize-never-shrinks-the-storage")
def a_smaller_size_clears_what_it_leaves() -> AbstractContextManager[Any]:
    """resize_ to fewer elements clears the ones left behind."""

    def other(original: Any, self: Any, *size: Any, **kwargs: Any) -> Any:
        before = self.numel()
        found = original(self, *size, **kwargs)
        if 0 < found.numel() < before and found.dtype is torch.float32:
            whole(found)[found.storage_offset() + found.numel() :].fill_(0)
        return found

    return instead("resize_", other)
