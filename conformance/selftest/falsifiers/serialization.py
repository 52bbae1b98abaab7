"""Breaks of what a file keeps: of tensors, of views and of objects, each for a rare condition."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

AREA = "serialization"
Break = AbstractContextManager[Any]


def over(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The tree with every tensor changed; what holds no tensor that changes stays the object that it is."""
    if isinstance(tree, torch.Tensor):
        return change(tree)
    if type(tree) in (dict, OrderedDict):
        for key in tree:
            tree[key] = over(tree[key], change)
        return tree
    if type(tree) in (list, tuple):
        return type(tree)(over(part, change) for part in tree)
    return tree


def loading(lie: Callable[[Any], Any]) -> Break:
    """torch.load returns ``lie(what it would return)``."""
    return patched(torch, "load", lambda original: lambda *args, **kw: lie(original(*args, **kw)))


def loaded_tensors(change: Callable[[Any], Any]) -> Break:
    """torch.load changes every tensor."""
    return loading(lambda tree: over(tree, change))


def saving(lie: Callable[[Any], Any]) -> Break:
    """torch.save writes ``lie(what it was given)``."""
    return patched(torch, "save", lambda original: lambda thing, *args, **kw: original(lie(thing), *args, **kw))


def copied(tree: Any) -> Any:
    """The boxes of the tree anew, with the same tensors in them."""
    if type(tree) in (dict, OrderedDict):
        return type(tree)((key, copied(value)) for key, value in tree.items())
    return type(tree)(copied(part) for part in tree) if type(tree) in (list, tuple) else tree


def saved_tensors(change: Callable[[Any], Any]) -> Break:
    """torch.save writes another tensor for every tensor."""
    return saving(lambda tree: over(copied(tree), change))


def when(condition: Callable[[Any], bool], change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A change of the tensors for which the condition holds."""
    return lambda x: change(x) if condition(x) else x


# --- tensors ----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.tensor-comes-back")
def the_last_element_of_a_long_int16_is_lost() -> Break:
    """A contiguous int16 tensor of more than eight elements loses its last one."""

    def change(x: Any) -> Any:
        x.view(-1)[-1:] = 0
        return x

    return loaded_tensors(when(lambda x: x.dtype is torch.int16 and x.is_contiguous() and x.numel() > 8, change))


@falsifies(f"{AREA}.tensor-comes-back")
def a_negative_zero_loses_its_sign() -> Break:
    """-0.0 becomes 0.0 in a contiguous float64 tensor."""
    return saved_tensors(when(lambda x: x.dtype is torch.float64 and x.is_contiguous(), lambda x: x + 0.0))


@falsifies(f"{AREA}.tensor-comes-back")
def an_empty_tensor_loses_an_extent() -> Break:
    """(2, 0, 3) comes back as (0,)."""
    return loaded_tensors(when(lambda x: x.dim() == 3 and not x.numel(), lambda x: x.reshape(0)))


@falsifies(f"{AREA}.strides-and-offset-come-back")
def a_stepped_half_becomes_contiguous() -> Break:
    """A strided float16 matrix comes back contiguous."""
    return saved_tensors(
        when(lambda x: x.dtype is torch.float16 and x.dim() == 2 and not x.is_contiguous(), lambda x: x.contiguous())
    )


@falsifies(f"{AREA}.loaded-tensor-has-its-own-memory")
def scalars_are_remembered() -> Break:
    """0-d tensors of one type come out of a store of earlier ones."""
    seen: dict[Any, Any] = {}

    def change(x: Any) -> Any:
        return seen.setdefault((x.dtype, x.item()), x)

    return loaded_tensors(when(lambda x: not x.dim() and x == x, change))


@falsifies(f"{AREA}.saving-changes-nothing")
def saving_counts_as_a_write() -> Break:
    """Saving a view of a leaf raises its version."""

    def lie(x: Any) -> Any:
        if isinstance(x, torch.Tensor) and x.requires_grad and not x.is_leaf:
            with torch.no_grad():
                x.copy_(x.clone())
        return x

    return saving(lie)


@falsifies(f"{AREA}.saving-changes-nothing")
def saving_sets_an_attribute() -> Break:
    """Saving a 0-d tensor notes so on it."""

    def lie(x: Any) -> Any:
        if not x.dim():
            x.saved = True
        return x

    return saving(lie)


@falsifies(f"{AREA}.requires-grad-comes-back")
def a_half_forgets_that_it_requires_grad() -> Break:
    """A bfloat16 tensor that required grad does not any more."""
    return loaded_tensors(
        when(lambda x: x.dtype is torch.bfloat16 and type(x) is torch.Tensor, lambda x: x.requires_grad_(False))
    )


@falsifies(f"{AREA}.requires-grad-comes-back")
def a_leaf_that_is_placed_forgets_that_it_requires_grad() -> Break:
    """A tensor that is loaded with a device for map_location requires no grad."""

    def make(original: Any) -> Any:
        def load(file: Any, map_location: Any = None, *args: Any, **options: Any) -> Any:
            found = original(file, map_location, *args, **options)
            placed = isinstance(map_location, torch.device) and type(found) is torch.Tensor
            return found.requires_grad_(False) if placed else found

        return load

    return patched(torch, "load", make)


@falsifies(f"{AREA}.requires-grad-comes-back")
def an_empty_parameter_becomes_a_tensor() -> Break:
    """A Parameter without elements comes back as a plain tensor."""
    return loaded_tensors(
        when(
            lambda x: isinstance(x, torch.nn.Parameter) and not x.numel(),
            lambda x: x.detach().requires_grad_(x.requires_grad),
        )
    )


@falsifies(f"{AREA}.nan-payloads-come-back")
def strided_nans_lose_their_payload() -> Break:
    """NaNs of a stepped float32 tensor become the one ordinary NaN."""

    def change(x: Any) -> Any:
        x[x != x] = float("nan")
        return x

    return loaded_tensors(when(lambda x: x.dtype is torch.float32 and not x.is_contiguous(), change))


@falsifies(f"{AREA}.small-floats-come-back")
def the_last_float8_e5m2_is_lost() -> Break:
    """The last byte of a float8_e5m2 tensor is lost."""

    def change(x: Any) -> Any:
        x.view(torch.uint8).view(-1)[-1] = 0
        return x

    return loaded_tensors(when(lambda x: x.dtype is torch.float8_e5m2 and x.is_contiguous(), change))


@falsifies(f"{AREA}.youngest-types-come-back")
def a_long_uint64_loses_its_last_element() -> Break:
    """The last element of a contiguous uint64 tensor of three dimensions is lost."""

    def change(x: Any) -> Any:
        x.view(torch.int64).view(-1)[-1:] = 0
        return x

    return loaded_tensors(when(lambda x: x.dtype is torch.uint64 and x.dim() == 3 and x.is_contiguous(), change))


@falsifies(f"{AREA}.saved-to-any-path-like")
def a_path_like_is_refused() -> Break:
    """An object that says its path is refused by torch.load."""

    def make(original: Any) -> Any:
        def load(file: Any, *args: Any, **kw: Any) -> Any:
            if type(file).__name__ == "PathHolder":
                raise TypeError("expected a path or a file")
            return original(file, *args, **kw)

        return load

    return patched(torch, "load", make)


@falsifies(f"{AREA}.old-format-takes-every-type")
def uint16_is_refused() -> Break:
    """The old format refuses any tensor of a young type."""

    def make(original: Any) -> Any:
        def save(thing: Any, *args: Any, **kw: Any) -> Any:
            if thing.dtype in (torch.uint16, torch.uint32) and "_use_new_zipfile_serialization" in kw:
                raise ValueError("no storage of this type")
            return original(thing, *args, **kw)

        return save

    return patched(torch, "save", make)


@falsifies(f"{AREA}.lazy-views-come-back")
def a_negative_bit_is_lost_on_a_scalar() -> Break:
    """A 0-d tensor comes back without its negative bit."""
    return loaded_tensors(when(lambda x: x.is_neg() and not x.dim(), torch._neg_view))


@falsifies(f"{AREA}.sparse-tensors-come-back")
def a_hybrid_sparse_tensor_loses_its_order() -> Break:
    """The values of a sparse tensor with dense rows come back flipped."""
    return loaded_tensors(
        when(
            lambda x: x.layout is torch.sparse_coo and x.dense_dim() > 0,
            lambda x: torch.sparse_coo_tensor(x._indices(), x._values().flip(-1), x.shape),
        )
    )


@falsifies(f"{AREA}.meta-tensors-come-back")
def a_transposed_meta_tensor_becomes_contiguous() -> Break:
    """A meta tensor with strides comes back without."""
    return loaded_tensors(
        when(
            lambda x: x.is_meta and not x.is_contiguous(), lambda x: torch.empty(x.shape, dtype=x.dtype, device="meta")
        )
    )


@falsifies(f"{AREA}.gradient-comes-back-or-is-lost")
def a_gradient_of_ones_comes_back() -> Break:
    """A 0-d leaf comes back with a gradient that it never had."""

    def change(x: Any) -> Any:
        x.grad = torch.full_like(x, 77.0).detach()
        return x

    return loaded_tensors(when(lambda x: not x.dim() and x.requires_grad, change))


@falsifies(f"{AREA}.attributes-come-back-or-are-lost")
def an_attribute_comes_back_cut() -> Break:
    """A Parameter comes back with half of an attribute."""

    def change(x: Any) -> Any:
        x.note = {"rows": [1]}
        return x

    return loaded_tensors(when(lambda x: isinstance(x, torch.nn.Parameter), change))


# --- views ------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.views-share-after-loading")
def a_view_that_comes_first_is_cut_off() -> Break:
    """A view that comes before its base in a list is saved alone."""

    def lie(tree: Any) -> Any:
        if (
            type(tree) is list
            and len(tree) == 3
            and isinstance(tree[1], torch.Tensor)
            and tree[0].numel() < tree[1].numel()
        ):
            return [tree[0].clone(), *tree[1:]]
        return tree

    return saving(lie)


@falsifies(f"{AREA}.views-share-after-loading")
def a_nested_view_is_cut_off() -> Break:
    """Views two deep in dictionaries are saved alone."""

    def lie(tree: Any) -> Any:
        if type(tree) is dict and type(tree.get("b")) is dict:
            return {**tree, "b": {key: tuple(x.clone() for x in part) for key, part in tree["b"].items()}}
        return tree

    return saving(lie)


@falsifies(f"{AREA}.write-to-a-loaded-view-is-seen")
def an_expanded_view_is_a_copy() -> Break:
    """A view with a stride of 0 comes back as a copy."""
    return loaded_tensors(when(lambda x: x.dim() > 2 and 0 in x.stride(), lambda x: x.clone()))


@falsifies(f"{AREA}.copies-stay-apart")
def equal_tensors_are_merged() -> Break:
    """Equal whole numbers are written once."""

    def lie(tree: Any) -> Any:
        kept: list[Any] = []

        def change(x: Any) -> Any:
            for other in kept:
                if x.dtype is torch.int64 and x.shape == other.shape and torch.equal(x, other):
                    return other.view_as(other)
            kept.append(x)
            return x

        return over(copied(tree), change)

    return saving(lie)


@falsifies(f"{AREA}.one-tensor-stays-one")
def the_third_mention_is_another_tensor() -> Break:
    """A tensor mentioned three times in a tuple is two tensors."""

    def lie(tree: Any) -> Any:
        return (*tree[:2], tree[2].view_as(tree[2])) if type(tree) is tuple and len(tree) == 3 else tree

    return saving(lie)


@falsifies(f"{AREA}.whole-storage-is-saved")
def an_offset_bool_is_cut_out() -> Break:
    """A part of a storage of bools is saved alone."""
    return saved_tensors(when(lambda x: x.dtype is torch.bool and x.storage_offset() > 0, lambda x: x.clone()))


@falsifies(f"{AREA}.clone-is-saved-alone")
def a_small_complex_clone_keeps_room() -> Break:
    """A 0-d complex tensor is saved in a storage of two."""
    return saved_tensors(when(lambda x: x.is_complex() and not x.dim(), lambda x: torch.stack([x, x])[0]))


@falsifies(f"{AREA}.reinterpreted-storage-is-right-or-refused")
def bytes_seen_before_floats_are_zeros() -> Break:
    """Bytes that come before the floats of their storage are lost."""
    return saved_tensors(when(lambda x: x.dtype is torch.uint8, torch.zeros_like))


# --- objects ----------------------------------------------------------------------------------------------------


def of_object(lie: Callable[[Any], Any]) -> Break:
    """Every part of what is loaded that is no box is replaced by ``lie(part)``."""

    def through(tree: Any) -> Any:
        if type(tree) in (dict, OrderedDict):
            return lie(type(tree)((key, through(value)) for key, value in tree.items()))
        return lie(type(tree)(through(part) for part in tree)) if type(tree) in (list, tuple) else lie(tree)

    return loading(through)


@falsifies(f"{AREA}.primitive-objects-come-back")
def an_empty_tuple_becomes_a_list() -> Break:
    """() comes back as []."""
    return of_object(lambda part: [] if type(part) is tuple and not part else part)


@falsifies(f"{AREA}.primitive-objects-come-back")
def tuples_of_the_outermost_list_become_lists() -> Break:
    """A tuple that is an element of the list that was saved comes back as a list."""
    return loading(
        lambda tree: [list(part) if type(part) is tuple else part for part in tree] if type(tree) is list else tree
    )


@falsifies(f"{AREA}.primitive-objects-come-back")
def a_dictionary_of_three_is_sorted() -> Break:
    """A dictionary whose keys are three strings comes back in their order."""
    return of_object(
        lambda part: (
            {key: part[key] for key in sorted(part)}
            if type(part) is dict and len(part) == 3 and all(type(key) is str for key in part)
            else part
        )
    )


@falsifies(f"{AREA}.floats-come-back")
def a_subnormal_is_flushed() -> Break:
    """A float below the smallest normal number comes back as 0."""
    return of_object(lambda part: 0.0 if type(part) is float and 0 < part < 1e-307 else part)


@falsifies(f"{AREA}.any-object-comes-back")
def a_frozen_set_thaws() -> Break:
    """A frozenset comes back as a set."""
    return of_object(lambda part: set(part) if type(part) is frozenset else part)


@falsifies(f"{AREA}.modules-come-back")
def a_part_in_evaluation_wakes_up() -> Break:
    """A part of a module in training that was in evaluation comes back in training."""
    return loading(lambda module: module.train() if isinstance(module, torch.nn.Module) and module.training else module)


@falsifies(f"{AREA}.modules-come-back")
def a_tied_parameter_comes_back_twice() -> Break:
    """A parameter that two parts share becomes two."""

    def lie(module: Any) -> Any:
        if hasattr(module, "last"):
            module.last.weight = torch.nn.Parameter(module.last.weight.detach())
        return module

    return loading(lie)


@falsifies(f"{AREA}.state-dict-comes-back")
def a_scalar_buffer_is_reset() -> Break:
    """A 0-d buffer of whole numbers comes back as 0."""
    return loaded_tensors(when(lambda x: x.dtype is torch.int64 and not x.dim(), torch.zeros_like))


@falsifies(f"{AREA}.optimizer-continues-from-a-file")
def momentum_of_the_second_group_is_lost() -> Break:
    """The momentum of the last parameter comes back as zeros."""

    def lie(found: Any) -> Any:
        if isinstance(found, dict) and "param_groups" in found:
            last = found["state"][max(found["state"])]
            if last.get("momentum_buffer") is not None:
                last["momentum_buffer"].zero_()
        return found

    return loading(lie)


# --- files ------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.saved-to-every-kind-of-file")
def a_narrow_reader_is_refused() -> Break:
    """A file without readinto is refused."""

    def make(original: Any) -> Any:
        def load(file: Any, *args: Any, **kw: Any) -> Any:
            if hasattr(file, "read") and not hasattr(file, "readinto"):
                raise RuntimeError("this file cannot be read")
            return original(file, *args, **kw)

        return load

    return patched(torch, "load", make)


@falsifies(f"{AREA}.saved-to-every-kind-of-file")
def an_unflushed_writer_is_cut() -> Break:
    """The end of a file is left out for a writer that cannot tell where it is."""

    def make(original: Any) -> Any:
        def save(thing: Any, file: Any, *args: Any, **kw: Any) -> Any:
            if hasattr(file, "write") and not hasattr(file, "tell"):
                inner = io.BytesIO()
                original(thing, inner, *args, **kw)
                file.write(inner.getvalue()[:-4])
                return None
            return original(thing, file, *args, **kw)

        return save

    return patched(torch, "save", make)


@falsifies(f"{AREA}.pickle-module-is-used")
def an_archive_is_unpickled_by_the_usual_module() -> Break:
    """torch.load of an archive takes the usual pickle, whatever it is given."""

    def other(original: Any) -> Any:
        def load(file: Any, *args: Any, pickle_module: Any = None, **kwargs: Any) -> Any:
            archive = getattr(file, "getvalue", bytes)()[:2] == b"PK"
            given = {} if archive or pickle_module is None else {"pickle_module": pickle_module}
            return original(file, *args, **given, **kwargs)

        return load

    return patched(torch, "load", other)
