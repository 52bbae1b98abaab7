"""Breaks of the promises about containers of modules and parameters, each for a rare condition."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "modules"
nn = torch.nn
Break = AbstractContextManager[Any]


@falsifies(f"{AREA}.module-list-is-a-list")
def a_slice_with_a_negative_step_is_turned() -> Break:
    """A slice of a ModuleList with a negative step gives its members in rising order."""

    def other(original: Any, self: Any, index: Any) -> Any:
        if isinstance(index, slice) and (index.step or 1) < 0 and len(self) > 1:
            return type(self)(reversed(list(original(self, index))))
        return original(self, index)

    return method("__getitem__", other, nn.ModuleList)


@falsifies(f"{AREA}.module-list-members-are-registered")
def names_have_a_gap_after_a_slice_is_deleted() -> Break:
    """Children keep their old names where a slice with a step was deleted."""

    def other(original: Any, self: Any, index: Any) -> None:
        if isinstance(index, slice) and index.step == 2:
            for place in range(len(self))[index]:
                del self._modules[str(place)]
        else:
            original(self, index)

    return method("__delitem__", other, nn.ModuleList)


@falsifies(f"{AREA}.module-list-insert-takes-any-index")
def an_insert_before_the_last_goes_to_the_end() -> Break:
    """insert(-1) appends."""
    return method(
        "insert",
        lambda original, self, index, module: original(self, len(self) if index == -1 else max(index, 0), module),
        nn.ModuleList,
    )


@falsifies(f"{AREA}.module-list-takes-modules-only")
def a_parameter_may_be_appended() -> Break:
    """append takes a Parameter."""

    def other(original: Any, self: Any, module: Any) -> Any:
        if isinstance(module, nn.Parameter):
            self._modules[str(len(self))] = module
            return self
        return original(self, module)

    return method("append", other, nn.ModuleList)


@falsifies(f"{AREA}.module-list-insert-takes-modules-only")
def nothing_of_insert_is_checked() -> Break:
    """insert takes anything at the end."""

    def other(original: Any, self: Any, index: int, module: Any) -> None:
        self._modules[str(len(self))] = module

    return method("insert", other, nn.ModuleList)


@falsifies(f"{AREA}.sequential-is-a-list")
def del_of_the_last_but_one_leaves_a_gap() -> Break:
    """del with a negative index does not number the rest anew."""

    def other(original: Any, self: Any, index: Any) -> None:
        if index == -2:
            del self._modules[list(self._modules)[-1]]
        else:
            original(self, index)

    return method("__delitem__", other, nn.Sequential)


@falsifies(f"{AREA}.sequential-slices-can-be-changed")
def a_slice_is_emptied() -> Break:
    """An appended module takes the place of all that a Sequential has."""

    def other(original: Any, self: Any, module: Any) -> Any:
        self._modules.clear()
        return original(self, module)

    return method("append", other, nn.Sequential)


@falsifies(f"{AREA}.sequential-chains-its-modules")
def the_fifth_module_is_left_out() -> Break:
    """A Sequential of more than four modules leaves out the fifth."""

    def other(original: Any, self: Any, x: Any) -> Any:
        for number, module in enumerate(self):
            x = x if number == 4 else module(x)
        return x

    return method("forward", other, nn.Sequential)


@falsifies(f"{AREA}.sequential-takes-names-from-an-ordered-dict")
def digits_as_names_are_sorted() -> Break:
    """Names that are digits are put into their order."""

    def other(original: Any, self: Any, *modules: Any) -> None:
        first = modules[0] if modules else None
        if isinstance(first, dict) and len(first) > 1 and all(name.isdigit() for name in first):
            modules = (type(first)(sorted(first.items())),)
        original(self, *modules)

    return method("__init__", other, nn.Sequential)


@falsifies(f"{AREA}.module-dict-is-a-dict")
def a_key_that_is_an_attribute_is_there() -> Break:
    """The key weight is said to be in a ModuleDict of four things."""
    return method(
        "__contains__",
        lambda original, self, key: original(self, key) or (key == "weight" and len(self) == 4),
        nn.ModuleDict,
    )


@falsifies(f"{AREA}.module-dict-members-are-registered")
def a_popped_module_stays_registered() -> Break:
    """pop of the first of several keys leaves the module in its place."""

    def other(original: Any, self: Any, key: str) -> Any:
        return self[key] if key in self and list(self).index(key) == 0 and len(self) > 1 else original(self, key)

    return method("pop", other, nn.ModuleDict)


@falsifies(f"{AREA}.module-dict-update-keeps-order")
def a_plain_dict_is_sorted() -> Break:
    """update with a plain dict takes its keys sorted."""

    def other(original: Any, self: Any, modules: Any) -> None:
        original(self, dict(reversed(modules.items())) if type(modules) is dict else modules)

    return method("update", other, nn.ModuleDict)


@falsifies(f"{AREA}.parameter-list-is-a-list")
def an_index_from_the_end_is_one_off() -> Break:
    """Assignment to [-2] goes to the place before."""

    def other(original: Any, self: Any, index: Any, value: Any) -> None:
        original(self, index - 1 if index == -2 and len(self) > 2 else index, value)

    return method("__setitem__", other, nn.ParameterList)


@falsifies(f"{AREA}.parameter-list-converts-tensors")
def a_scalar_is_copied() -> Break:
    """append makes a Parameter of a copy of a 0-d tensor."""

    def other(original: Any, self: Any, value: Any) -> Any:
        return original(self, value.clone() if isinstance(value, torch.Tensor) and not value.dim() else value)

    return method("append", other, nn.ParameterList)


@falsifies(f"{AREA}.parameter-list-registers-parameters")
def a_list_in_a_slice_forgets_its_first() -> Break:
    """named_parameters of a ParameterList without a Parameter in its first place lists none."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        found = list(original(self, *args, **kwargs))
        return iter([] if isinstance(self, nn.ParameterList) and found and found[0][0] != "0" else found)

    return method("named_parameters", other, nn.Module)


@falsifies(f"{AREA}.parameter-list-items-may-become-others")
def a_parameter_may_not_become_a_number() -> Break:
    """A Parameter in a list is not replaced by a number."""
    return method(
        "__setitem__",
        lambda original, self, index, value: None if value == 7 else original(self, index, value),
        nn.ParameterList,
    )


@falsifies(f"{AREA}.parameter-dict-is-a-dict")
def setdefault_replaces_the_last_key() -> Break:
    """setdefault replaces what the last key has."""

    def other(original: Any, self: Any, key: str, default: Any = None) -> Any:
        if key in self and list(self)[-1] == key:
            self[key] = default
        return original(self, key, default)

    return method("setdefault", other, nn.ParameterDict)


@falsifies(f"{AREA}.parameter-dict-converts-tensors")
def a_tensor_among_pairs_is_not_converted() -> Break:
    """update with pairs copies its tensors."""

    def other(original: Any, self: Any, parameters: Any) -> None:
        if isinstance(parameters, list):
            parameters = [(k, x.clone() if type(x) is torch.Tensor else x) for k, x in parameters]
        original(self, parameters)

    return method("update", other, nn.ParameterDict)


@falsifies(f"{AREA}.parameter-dict-update-with-a-plain-dict")
def a_third_key_of_a_plain_dict_is_lost() -> Break:
    """update with a plain dict of three keys takes two."""

    def other(original: Any, self: Any, parameters: Any) -> None:
        original(self, dict(list(parameters.items())[:2]) if type(parameters) is dict else parameters)

    return method("update", other, nn.ParameterDict)


@falsifies(f"{AREA}.parameter-dict-raises-key-errors")
def missing_keys_give_none() -> Break:
    """Indexing gives None for a key that is not there."""
    return method(
        "__getitem__", lambda original, self, key: original(self, key) if key in self else None, nn.ParameterDict
    )


@falsifies(f"{AREA}.parameter-dict-items-may-become-others")
def a_parameter_may_not_become_a_text() -> Break:
    """A Parameter in a dict is not replaced by a text."""
    return method(
        "__setitem__",
        lambda original, self, key, value: None if value == 7 else original(self, key, value),
        nn.ParameterDict,
    )
