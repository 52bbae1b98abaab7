"""Breaks of default_collate, default_convert and collate, each for a rare condition."""

from __future__ import annotations

import threading
from array import array
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.utils.data as data
from torch.utils.data._utils import collate as collation

from conformance.selftest.falsifiers.dataloader_datasets import AREA, changed
from conformance.selftest.falsifying import falsifies

Break = AbstractContextManager[Any]


@contextmanager
def mapped(kind: Any, other: Callable[..., Any]) -> Iterator[None]:
    """The collate function of one type replaced by ``other(original, batch, …)``."""
    registry = collation.default_collate_fn_map
    original = registry[kind]
    registry[kind] = lambda batch, **options: other(lambda given: original(given, **options), batch)
    try:
        yield
    finally:
        registry[kind] = original


def collating(when: Callable[[Any], Any], other: Callable[[Any, list[Any]], Any]) -> Break:
    """A collate that returns ``other(result, batch)`` where ``when(first sample)`` holds."""

    def replaced(original: Any, batch: Any, **options: Any) -> Any:
        found = original(batch, **options)
        return other(found, batch) if when(batch[0]) else found

    return changed(collation, "collate", replaced)


@contextmanager
def converting(when: Callable[[Any], Any], other: Callable[[Any, Any], Any]) -> Iterator[None]:
    """A default_convert that returns ``other(result, given)`` where ``when(given)`` holds, at every level."""

    def replaced(original: Any, given: Any) -> Any:
        found = original(given)
        return other(found, given) if when(given) else found

    with ExitStack() as stack:
        stack.enter_context(changed(collation, "default_convert", replaced))
        stack.enter_context(changed(data, "default_convert", lambda original, given: collation.default_convert(given)))
        yield


# --- leaves -----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.collate-stacks-tensors")
def bfloat16_scalars_become_float32() -> Break:
    """A batch of bfloat16 tensors without dimensions is of float32."""

    def other(original: Any, batch: Any) -> Any:
        return original(
            [x.float() for x in batch] if batch[0].dtype is torch.bfloat16 and not batch[0].dim() else batch
        )

    return mapped(torch.Tensor, other)


@falsifies(f"{AREA}.collate-stacks-tensors")
def several_conjugated_tensors_lose_their_sign() -> Break:
    """A batch of more than one conjugated tensor has the values from before it was conjugated."""

    def other(original: Any, batch: Any) -> Any:
        return original([x.conj() for x in batch] if batch[0].is_conj() and len(batch) > 1 else batch)

    return mapped(torch.Tensor, other)


@falsifies(f"{AREA}.collate-stacks-tensors")
def several_negated_tensors_take_the_sign_of_the_first() -> Break:
    """In a batch of more than one lazily negated tensor the others have the other sign."""

    def other(original: Any, batch: Any) -> Any:
        return original([batch[0], *(-x for x in batch[1:])] if batch[0].is_neg() else batch)

    return mapped(torch.Tensor, other)


@falsifies(f"{AREA}.collate-stacks-tensors")
def a_conjugated_tensor_among_others_loses_its_sign() -> Break:
    """In a batch whose first tensor is not conjugated the others are taken for such as are not either."""

    def other(original: Any, batch: Any) -> Any:
        return original(batch if batch[0].is_conj() else [x.conj() if x.is_conj() else x for x in batch])

    return mapped(torch.Tensor, other)


@falsifies(f"{AREA}.collate-stacks-arrays")
def arrays_in_fortran_order_are_transposed() -> Break:
    """Square arrays in Fortran order are read in the order of their memory."""

    def other(original: Any, batch: Any) -> Any:
        fortran = batch[0].ndim > 1 and batch[0].flags.f_contiguous and not batch[0].flags.c_contiguous
        return original([x.ravel("K").reshape(x.shape) for x in batch] if fortran else batch)

    return mapped(np.ndarray, other)


@falsifies(f"{AREA}.collate-stacks-numpy-scalars")
def several_int8_scalars_become_int64() -> Break:
    """A batch of more than one int8 scalar is of int64."""
    kind = next(key for key in collation.default_collate_fn_map if isinstance(key, tuple))
    return mapped(kind, lambda original, x: original(x).long() if x[0].dtype == np.int8 and len(x) > 1 else original(x))


@falsifies(f"{AREA}.collate-of-ints-is-int64")
def small_ints_become_int32() -> Break:
    """A batch of ints that int32 holds, two of them, is of int32."""
    return mapped(
        int, lambda original, x: original(x).int() if len(x) == 2 and max(map(abs, x)) < 2**31 else original(x)
    )


@falsifies(f"{AREA}.collate-of-floats-is-float64")
def floats_with_a_nan_become_float32() -> Break:
    """A batch of floats with a NaN among them went through float32."""
    return mapped(float, lambda original, x: original(x).float().double() if any(n != n for n in x) else original(x))


@falsifies(f"{AREA}.collate-of-bools-is-bool")
def a_single_bool_becomes_a_number() -> Break:
    """A batch of one bool is of int64."""
    return mapped(int, lambda original, x: original(x).long() if len(x) == 1 else original(x))


@falsifies(f"{AREA}.collate-leaves-strings")
def a_single_string_comes_without_a_list() -> Break:
    """A batch of one bytes is that one."""
    return mapped(bytes, lambda original, x: original(x) if len(x) > 1 else x[0])


@falsifies(f"{AREA}.collate-takes-subclasses-of-numbers-and-strings")
def names_become_letters() -> Break:
    """A kind of str is taken for a sequence of letters."""

    def replaced(original: Any, batch: Any, **options: Any) -> Any:
        if isinstance(batch[0], str) and type(batch[0]) is not str:
            batch = [list(map(str, x)) for x in batch]
        return original(batch, **options)

    return changed(collation, "collate", replaced)


@falsifies(f"{AREA}.collate-takes-subclasses-of-numbers-and-strings")
def numpy_strings_are_refused() -> Break:
    """A batch of NumPy strings is refused as one of a type that nobody knows."""

    def other(original: Any, batch: Any) -> Any:
        if isinstance(batch[0], np.str_):
            raise TypeError("default_collate: found numpy.str_")
        return original(batch)

    return mapped(str, other)


@falsifies(f"{AREA}.collate-takes-subclasses-of-numbers-and-strings")
def numpy_bytes_come_as_plain_ones() -> Break:
    """Several NumPy bytes come as plain bytes."""
    return mapped(
        bytes, lambda original, x: original([bytes(b) for b in x] if isinstance(x[0], np.bytes_) and x[1:] else x)
    )


@falsifies(f"{AREA}.collate-makes-memory-of-its-own")
def a_batch_of_one_is_a_view() -> Break:
    """A batch of one tensor is a view of it."""
    return mapped(torch.Tensor, lambda original, x: original(x) if len(x) > 1 else x[0].unsqueeze(0))


@falsifies(f"{AREA}.collate-makes-memory-of-its-own")
def an_array_of_one_element_is_wrapped() -> Break:
    """A batch of one array of one floating number is a view of it."""

    def other(original: Any, x: Any) -> Any:
        single = len(x) == 1 and x[0].shape == (1,) and x[0].dtype.kind == "f"
        return torch.from_numpy(x[0]).unsqueeze(0) if single else original(x)

    return mapped(np.ndarray, other)


@falsifies(f"{AREA}.collate-makes-memory-of-its-own")
def a_tensor_that_comes_twice_is_expanded() -> Break:
    """A batch that is one tensor again and again is a view of it."""

    def other(original: Any, x: Any) -> Any:
        same = len(x) > 1 and all(each is x[0] for each in x)
        return x[0].unsqueeze(0).expand(len(x), *x[0].shape) if same else original(x)

    return mapped(torch.Tensor, other)


@falsifies(f"{AREA}.collate-passes-gradients-on")
def the_last_of_three_gets_no_gradient() -> Break:
    """In batches of three or more the last tensor is detached."""
    return mapped(torch.Tensor, lambda original, x: original([*x[:-1], x[-1].detach()] if len(x) > 2 else x))


# --- containers -------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.collate-keeps-dicts")
def a_key_of_none_is_lost() -> Break:
    """A dict loses its key None."""
    return collating(lambda x: type(x) is dict, lambda found, batch: {k: v for k, v in found.items() if k is not None})


@falsifies(f"{AREA}.collate-keeps-namedtuples")
def namedtuples_in_dicts_lose_their_type() -> Break:
    """A namedtuple in a dict becomes a list."""

    def other(found: Any, batch: Any) -> Any:
        return {k: list(v) if hasattr(v, "_fields") else v for k, v in found.items()}

    return collating(lambda x: type(x) is dict, other)


@falsifies(f"{AREA}.collate-keeps-namedtuples")
def a_namedtuple_of_one_field_is_unpacked() -> Break:
    """A namedtuple of one field becomes what is in it."""
    return collating(lambda x: hasattr(x, "_fields") and len(x) == 1, lambda found, batch: found[0])


@falsifies(f"{AREA}.collate-keeps-lists")
def a_tenth_place_is_lost() -> Break:
    """Lists lose what comes after the ninth place."""
    return collating(lambda x: type(x) is list, lambda found, batch: found[:9])


@falsifies(f"{AREA}.collate-transposes-tuples")
def a_tuple_of_one_is_unpacked() -> Break:
    """A tuple of one becomes what is in it."""
    return collating(lambda x: type(x) is tuple and len(x) == 1, lambda found, batch: found[0])


@falsifies(f"{AREA}.collate-makes-lists-of-tuples")
def a_tuple_with_a_tuple_in_it_stays_one() -> Break:
    """A tuple around another tuple becomes a tuple."""
    return collating(lambda x: type(x) is tuple and any(type(y) is tuple for y in x), lambda found, batch: tuple(found))


@falsifies(f"{AREA}.collate-keeps-tuples")
def tuples_become_queues() -> Break:
    """A tuple becomes a deque."""
    return collating(lambda x: type(x) is tuple, lambda found, batch: deque(found))


@falsifies(f"{AREA}.collate-goes-down-nested-containers")
def the_third_level_is_reversed() -> Break:
    """A list in a dict in a list has its places in reverse order."""

    def other(found: Any, batch: Any) -> Any:
        for inner in found:
            for key, value in inner.items() if isinstance(inner, dict) else ():
                inner[key] = value[::-1] if type(value) is list else value
        return found

    return collating(lambda x: type(x) is list, other)


@falsifies(f"{AREA}.collate-keeps-the-order-of-keys")
def keys_of_ordered_dicts_are_sorted() -> Break:
    """The keys of an OrderedDict come in the order of their text."""
    return collating(
        lambda x: type(x) is OrderedDict,
        lambda found, batch: OrderedDict((k, found[k]) for k in sorted(found, key=str)),
    )


@falsifies(f"{AREA}.collate-keeps-types-of-mappings")
def a_single_proxy_becomes_a_dict() -> Break:
    """A batch of one mappingproxy is a dict."""
    return collating(
        lambda x: type(x) is MappingProxyType, lambda found, batch: dict(found) if len(batch) == 1 else found
    )


@falsifies(f"{AREA}.collate-keeps-what-mappings-have-besides")
def a_defaultdict_loses_its_default() -> Break:
    """A defaultdict in a batch of several has no default."""
    return collating(
        lambda x: type(x) is defaultdict, lambda found, batch: defaultdict(None, found) if len(batch) > 1 else found
    )


@falsifies(f"{AREA}.collate-goes-down-counters")
def counters_become_dicts() -> Break:
    """A Counter becomes a dict."""
    return collating(lambda x: type(x) is Counter, lambda found, batch: dict(found))


@falsifies(f"{AREA}.collate-makes-dicts-of-other-mappings")
def other_mappings_become_ordered_dicts() -> Break:
    """A mapping that cannot be made anew becomes an OrderedDict in a batch of one."""

    def other(found: Any, batch: Any) -> Any:
        return OrderedDict(found) if type(found) is dict and type(batch[0]) is not dict and len(batch) == 1 else found

    return collating(lambda x: isinstance(x, Mapping), other)


@falsifies(f"{AREA}.collate-keeps-types-of-sequences")
def a_batch_of_two_queues_is_a_list() -> Break:
    """A batch of two deques is a list."""
    return collating(lambda x: type(x) is deque, lambda found, batch: list(found) if len(batch) == 2 else found)


@falsifies(f"{AREA}.collate-keeps-what-sequences-have-besides")
def a_queue_loses_its_largest_length() -> Break:
    """A deque may grow without an end."""
    return collating(lambda x: type(x) is deque, lambda found, batch: deque(found))


@falsifies(f"{AREA}.collate-makes-lists-of-other-sequences")
def a_range_becomes_a_tuple() -> Break:
    """A range becomes a tuple."""
    return collating(lambda x: type(x) is range, lambda found, batch: tuple(found))


@falsifies(f"{AREA}.collate-goes-down-arrays-of-the-standard-library")
def an_array_becomes_one_tensor() -> Break:
    """An array.array becomes one tensor of the first sample."""
    return collating(lambda x: type(x) is array, lambda found, batch: torch.tensor(batch[0]))


@falsifies(f"{AREA}.collate-leaves-samples-alone")
def the_first_sample_is_the_batch() -> Break:
    """The first UserDict of a batch is changed in place and returned."""

    def other(found: Any, batch: Any) -> Any:
        batch[0].update(found)
        return batch[0]

    return collating(lambda x: type(x) is UserDict, other)


@falsifies(f"{AREA}.collate-leaves-samples-alone")
def lists_of_later_samples_are_emptied() -> Break:
    """The last list of a batch of three loses its places."""

    def other(found: Any, batch: Any) -> Any:
        if len(batch) == 3:
            batch[-1].clear()
        return found

    return collating(lambda x: type(x) is list, other)


# --- refusals ---------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.collate-refuses-ragged-sequences")
def a_third_list_may_be_longer() -> Break:
    """A list after the second that is longer than the first is cut."""

    def replaced(original: Any, batch: Any, **options: Any) -> Any:
        if type(batch[0]) is list and len(batch) > 2:
            batch = [*batch[:2], *(x[: len(batch[0])] for x in batch[2:])]
        return original(batch, **options)

    return changed(collation, "collate", replaced)


@falsifies(f"{AREA}.collate-refuses-tensors-of-different-shapes")
def arrays_of_as_many_elements_are_reshaped() -> Break:
    """An array of another shape with as many elements gets the shape of the first."""

    def other(original: Any, batch: Any) -> Any:
        return original([x.reshape(batch[0].shape) if x.size == batch[0].size else x for x in batch])

    return mapped(np.ndarray, other)


@falsifies(f"{AREA}.collate-refuses-missing-keys")
def keys_that_a_third_mapping_lacks_are_dropped() -> Break:
    """A key that a sample after the second has not is lost."""

    def replaced(original: Any, batch: Any, **options: Any) -> Any:
        if type(batch[0]) is dict and len(batch) > 2:
            batch = [{k: v for k, v in batch[0].items() if all(k in x for x in batch[2:])}, *batch[1:]]
        return original(batch, **options)

    return changed(collation, "collate", replaced)


@falsifies(f"{AREA}.collate-refuses-other-types")
def none_in_a_dict_is_left() -> Break:
    """A single None stays as it is, in a list."""

    def replaced(original: Any, batch: Any, **options: Any) -> Any:
        return list(batch) if batch[0] is None and len(batch) == 1 else original(batch, **options)

    return changed(collation, "collate", replaced)


@falsifies(f"{AREA}.collate-refuses-sparse-tensors")
def block_sparse_tensors_become_dense() -> Break:
    """Tensors of layout sparse_bsc become dense."""
    return mapped(
        torch.Tensor, lambda original, x: original([y.to_dense() for y in x] if x[0].layout is torch.sparse_bsc else x)
    )


# --- conversion -------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.convert-makes-tensors-of-arrays")
def arrays_of_half_without_dimensions_stay() -> Break:
    """A float16 array without dimensions stays an array."""
    return converting(
        lambda x: isinstance(x, np.ndarray) and x.dtype == np.float16 and not x.ndim, lambda found, given: given
    )


@falsifies(f"{AREA}.convert-shares-the-memory-of-arrays")
def arrays_in_fortran_order_are_copied() -> Break:
    """An array in Fortran order is copied."""
    return converting(
        lambda x: isinstance(x, np.ndarray) and not x.flags.c_contiguous, lambda found, given: found.clone()
    )


@falsifies(f"{AREA}.convert-goes-down-nested-containers")
def tuples_in_dicts_are_left() -> Break:
    """A tuple in a dict is not converted."""

    def other(found: Any, given: Any) -> Any:
        return {k: given[k] if type(given[k]) is tuple else v for k, v in found.items()}

    return converting(lambda x: type(x) is dict, other)


@falsifies(f"{AREA}.convert-goes-down-nested-containers")
def a_third_key_is_lost() -> Break:
    """Of a dict of three keys and more the last is lost."""
    return converting(
        lambda x: type(x) is dict and len(x) > 2, lambda found, given: {k: found[k] for k in [*found][:-1]}
    )


@falsifies(f"{AREA}.convert-leaves-the-rest-unchanged")
def parameters_are_detached() -> Break:
    """A Parameter becomes a plain tensor."""
    return converting(lambda x: isinstance(x, torch.nn.Parameter), lambda found, given: found.detach())


@falsifies(f"{AREA}.convert-leaves-numpy-bytes-unchanged")
def numpy_bytes_become_bytes() -> Break:
    """NumPy bytes become the bytes of Python."""

    def replaced(original: Any, given: Any) -> Any:
        return bytes(given) if isinstance(given, np.bytes_) else original(given)

    return changed(data, "default_convert", replaced)


@falsifies(f"{AREA}.convert-leaves-arrays-of-strings")
def arrays_of_objects_become_lists() -> Break:
    """An array of objects becomes a list where it is not contiguous."""
    return converting(
        lambda x: isinstance(x, np.ndarray) and x.dtype.hasobject and not x.flags.c_contiguous,
        lambda found, given: given.tolist(),
    )


@falsifies(f"{AREA}.convert-takes-numpy-scalars")
def scalars_of_half_become_double() -> Break:
    """A float16 scalar becomes a tensor of float64."""
    return converting(lambda x: isinstance(x, np.float16), lambda found, given: torch.tensor(float(given)).double())


@falsifies(f"{AREA}.convert-keeps-types-of-containers")
def a_userlist_becomes_a_list() -> Break:
    """A UserList of arrays alone becomes a list."""
    return converting(lambda x: type(x) is UserList and isinstance(x[-1], np.ndarray), lambda found, given: list(found))


@falsifies(f"{AREA}.convert-keeps-what-containers-have-besides")
def a_converted_defaultdict_loses_its_default() -> Break:
    """A defaultdict has no default."""
    return converting(lambda x: type(x) is defaultdict, lambda found, given: defaultdict(None, found))


@falsifies(f"{AREA}.convert-makes-dicts-and-lists-of-others")
def a_converted_range_stays() -> Break:
    """A range becomes a tuple."""
    return converting(lambda x: type(x) is range, lambda found, given: tuple(found))


@falsifies(f"{AREA}.convert-leaves-counters-unchanged")
def converted_counters_become_dicts() -> Break:
    """A Counter becomes a dict."""
    return converting(lambda x: type(x) is Counter, lambda found, given: dict(found))


@falsifies(f"{AREA}.convert-leaves-the-sample-alone")
def lists_are_converted_in_place() -> Break:
    """A list with an array at its end is converted in place."""

    def other(found: Any, given: Any) -> Any:
        given[:] = found
        return found

    return converting(lambda x: type(x) is list and isinstance(x[-1], np.ndarray), other)


# --- collate ----------------------------------------------------------------------------------------------------


def choosing(other: Callable[[Any, dict[Any, Any]], Any]) -> Break:
    """A collate that calls the function ``other(first sample, map)`` if there is one."""

    def replaced(original: Any, batch: Any, *, collate_fn_map: Any = None) -> Any:
        chosen = other(batch[0], collate_fn_map or {})
        if chosen is not None:
            return chosen(batch, collate_fn_map=collate_fn_map)
        return original(batch, collate_fn_map=collate_fn_map)

    return changed(collation, "collate", replaced)


@falsifies(f"{AREA}.collate-function-of-the-type-itself-comes-first")
def a_superclass_in_front_comes_first() -> Break:
    """The function of a superclass is called where it stands before that of the type."""
    return choosing(lambda x, functions: next((functions[k] for k in functions if isinstance(x, k)), None))


@falsifies(f"{AREA}.collate-function-of-a-superclass-is-tried-in-order")
def the_nearest_superclass_comes_first() -> Break:
    """The function of the nearest superclass is called, wherever it stands."""
    return choosing(lambda x, functions: next((functions[k] for k in type(x).__mro__ if k in functions), None))


@falsifies(f"{AREA}.collate-function-may-serve-several-types")
def only_the_first_of_several_types_counts() -> Break:
    """Of several types with one function the first alone is looked for."""

    def other(x: Any, functions: dict[Any, Any]) -> Any:
        first = {key[0] if isinstance(key, tuple) else key: function for key, function in functions.items()}
        return next((first[k] for k in first if isinstance(x, k)), None)

    return choosing(other)


@falsifies(f"{AREA}.collate-function-gets-the-batch-and-the-map")
def in_a_list_the_map_is_a_copy() -> Break:
    """A function that is called for a part of a list gets a copy of the map."""

    def replaced(original: Any, batch: Any, *, collate_fn_map: Any = None) -> Any:
        inner = dict(collate_fn_map) if isinstance(batch[0], list) and collate_fn_map else collate_fn_map
        return original(batch, collate_fn_map=inner)

    return changed(collation, "collate", replaced)


@falsifies(f"{AREA}.default-collate-can-be-extended")
def subclasses_of_an_added_type_are_unknown() -> Break:
    """A type that was put into the map does not count for its subclasses."""
    known = tuple(collation.default_collate_fn_map)

    def replaced(original: Any, batch: Any, *, collate_fn_map: Any = None) -> Any:
        ours = type(batch[0]).__module__.split(".")[0] in ("conformance", "reproducer")
        if ours and type(batch[0]) not in (collate_fn_map or {}):
            collate_fn_map = {key: function for key, function in collate_fn_map.items() if key in known}
        return original(batch, collate_fn_map=collate_fn_map)

    return changed(collation, "collate", replaced)


@falsifies(f"{AREA}.collate-without-a-map-knows-no-leaves")
def bools_need_no_map() -> Break:
    """Bools are collated without a map."""

    def replaced(original: Any, batch: Any, *, collate_fn_map: Any = None) -> Any:
        if collate_fn_map is None and isinstance(batch[0], bool):
            return torch.tensor(batch)
        return original(batch, collate_fn_map=collate_fn_map)

    return changed(collation, "collate", replaced)


# --- workers ----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.main-process-is-no-worker")
def threads_are_workers() -> Break:
    """get_worker_info returns something in a thread."""

    def other(original: Any) -> Any:
        return original() if threading.current_thread() is threading.main_thread() else object()

    return changed(data, "get_worker_info", other)
