"""Breaks of the promises about what modules register, list and reach, each for a rare condition."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "modules"
Module = torch.nn.Module
Break = AbstractContextManager[Any]


def listing(name: str, other: Callable[..., Any]) -> Break:
    """A method of modules that gives ``other(module, list of the original, …)``."""
    return method(name, lambda original, self, *a, **k: iter(other(self, list(original(self, *a, **k)))), Module)


def depth(path: str) -> int:
    """How deep a path leads."""
    return path.count(".")


# --- registration -----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.parameters-are-registered")
def a_parameter_that_replaces_a_buffer_is_not_registered() -> Break:
    """A Parameter assigned to the name of a buffer becomes a plain attribute."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        if isinstance(value, torch.nn.Parameter) and name in self.__dict__.get("_buffers", {}):
            del self._buffers[name]
            self.__dict__[name] = value
        else:
            original(self, name, value)

    return method("__setattr__", other, Module)


@falsifies(f"{AREA}.plain-tensors-are-not-registered")
def the_second_tensor_is_registered() -> Break:
    """A tensor assigned to an attribute of a module that has a submodule becomes a buffer."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        if type(value) is torch.Tensor and self.__dict__.get("_modules") and name not in self._buffers:
            self.__dict__.pop(name, None)
            self._buffers[name] = value
        else:
            original(self, name, value)

    return method("__setattr__", other, Module)


@falsifies(f"{AREA}.submodules-are-registered")
def a_shared_module_is_registered_by_its_last_name() -> Break:
    """A module that a parent has already is not listed for a child of another."""
    return listing("named_children", lambda self, found: [pair for pair in found if pair[0] != "b" or len(found) < 2])


@falsifies(f"{AREA}.buffers-are-registered")
def a_transient_buffer_given_anew_is_lost() -> Break:
    """A tensor assigned to a non-persistent buffer becomes a plain attribute."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        if name in self.__dict__.get("_non_persistent_buffers_set", ()) and isinstance(value, torch.Tensor):
            del self._buffers[name]
            self.__dict__[name] = value
        else:
            original(self, name, value)

    return method("__setattr__", other, Module)


@falsifies(f"{AREA}.persistent-buffers-are-in-the-state")
def a_buffer_made_persistent_later_is_not_saved() -> Break:
    """A buffer that is registered again as persistent stays out of the state."""

    def other(original: Any, self: Any, name: str, tensor: Any, persistent: bool = True) -> None:
        before = name in self._non_persistent_buffers_set
        original(self, name, tensor, persistent)
        if before:
            self._non_persistent_buffers_set.add(name)

    return method("register_buffer", other, Module)


@falsifies(f"{AREA}.registered-things-are-attributes")
def a_second_parameter_of_one_tensor_is_a_copy() -> Break:
    """A parameter registered under the name weight is a copy of the one given."""

    def other(original: Any, self: Any, name: str, parameter: Any) -> None:
        copied = parameter is not None and name == "weight"
        original(self, name, torch.nn.Parameter(parameter.detach().clone()) if copied else parameter)

    return method("register_parameter", other, Module)


def lenient(when: Callable[[Any, str, Any], bool]) -> Break:
    """Assignment that takes what ``when`` says as a plain attribute."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        try:
            original(self, name, value)
        except TypeError:
            if not when(self, name, value):
                raise
            self.__dict__[name] = value

    return method("__setattr__", other, Module)


@falsifies(f"{AREA}.names-of-parameters-take-parameters-only")
def a_name_registered_as_none_takes_a_number() -> Break:
    """A parameter that is None may be replaced by a number."""
    return lenient(lambda self, name, value: isinstance(value, float) and self._parameters.get(name, 0) is None)


@falsifies(f"{AREA}.names-of-buffers-take-tensors-only")
def a_buffer_that_is_none_takes_a_tuple() -> Break:
    """A buffer that is None may be replaced by a tuple."""
    return lenient(lambda self, name, value: isinstance(value, tuple) and self._buffers.get(name, 0) is None)


@falsifies(f"{AREA}.assignment-before-init-raises")
def modules_may_be_assigned_before() -> Break:
    """A submodule assigned before the constructor has run is a plain attribute."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        if isinstance(value, Module) and "_modules" not in self.__dict__:
            self.__dict__[name] = value
        else:
            original(self, name, value)

    return method("__setattr__", other, Module)


def forgiving_registrar(name: str, when: Callable[..., bool]) -> Break:
    """A registrar that does nothing where it should raise."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            original(self, *args, **kwargs)
        except (KeyError, TypeError, ValueError):
            if not when(self, *args):
                raise

    return method(name, other, Module)


@falsifies(f"{AREA}.registration-refuses-bad-names")
def a_buffer_may_have_the_name_of_a_method() -> Break:
    """register_buffer takes the name of a method in silence."""
    return forgiving_registrar("register_buffer", lambda self, name, *_: hasattr(Module, str(name)))


@falsifies(f"{AREA}.registration-refuses-other-kinds")
def a_class_may_be_added_as_a_module() -> Break:
    """add_module takes a class in silence."""
    return forgiving_registrar("add_module", lambda self, name, module: isinstance(module, type))


@falsifies(f"{AREA}.computed-tensors-are-no-parameters")
def a_parameter_may_have_a_history() -> Break:
    """register_parameter takes the result of an operation."""
    return forgiving_registrar("register_parameter", lambda self, name, parameter: parameter.grad_fn is not None)


@falsifies(f"{AREA}.buffer-class-registers")
def an_empty_buffer_object_is_persistent() -> Break:
    """A Buffer without elements is persistent whatever it was told."""

    def other(original: Any, self: Any, name: str, value: Any) -> None:
        original(self, name, value)
        if isinstance(value, torch.Tensor) and not value.numel():
            self._non_persistent_buffers_set.discard(name)

    return method("__setattr__", other, Module)


@falsifies(f"{AREA}.buffer-registration-hooks-may-replace")
def a_replaced_assigned_parameter_is_ignored() -> Break:
    """What a registration hook returns is ignored for the name c."""

    def other(original: Any, self: Any, name: str, *args: Any, **kwargs: Any) -> None:
        original(self, name, *args, **kwargs)
        if name == "c":
            self._parameters[name] = args[0]

    return method("register_parameter", other, Module)


# --- listing ----------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.named-parameters-recurse")
def parameters_three_levels_deep_are_left_out() -> Break:
    """named_parameters leaves out what is more than two levels deep."""
    return listing("named_parameters", lambda self, found: [pair for pair in found if depth(pair[0]) < 3])


@falsifies(f"{AREA}.named-buffers-recurse")
def transient_buffers_below_are_left_out() -> Break:
    """named_buffers leaves out the non-persistent buffers of submodules."""

    def other(self: Any, found: Any) -> Any:
        hidden = {id(m._buffers[name]) for m in self.modules() for name in m._non_persistent_buffers_set}
        return [pair for pair in found if not depth(pair[0]) or id(pair[1]) not in hidden]

    return listing("named_buffers", other)


@falsifies(f"{AREA}.shared-parts-are-listed-once")
def a_buffer_twice_in_one_module_is_given_twice() -> Break:
    """A buffer that one module has under two names is given twice."""

    def other(self: Any, found: Any) -> Any:
        have = {id(tensor) for _, tensor in found}
        return found + [p for p in list(self._buffers.items())[1:] if id(p[1]) in have and p[0] not in dict(found)]

    return listing("named_buffers", other)


@falsifies(f"{AREA}.shared-parts-are-listed-in-each-place-if-asked")
def shared_modules_are_still_gone_through_once() -> Break:
    """With remove_duplicate=False a parameter shared by way of a shared module is given once."""

    def other(original: Any, self: Any, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Any:
        seen: set[Any] = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, value in module._parameters.items():
                if value is not None and not (remove_duplicate and value in seen):
                    seen.add(value)
                    yield (f"{path}.{name}" if path else name), value

    return method("named_parameters", other, Module)


@falsifies(f"{AREA}.without-recursion-own-parts-only")
def children_count_as_own_where_there_are_none() -> Break:
    """named_buffers(recurse=False) of a module without own buffers gives those of its children."""

    def other(original: Any, self: Any, prefix: str = "", recurse: bool = True, **kwargs: Any) -> Any:
        return original(self, prefix, recurse or not self._buffers, **kwargs)

    return method("named_buffers", other, Module)


@falsifies(f"{AREA}.prefix-is-prepended")
def the_prefix_is_lost_below_the_first_level() -> Break:
    """The prefix is not prepended to paths of three parts."""

    def other(original: Any, self: Any, prefix: str = "", *args: Any, **kwargs: Any) -> Any:
        for name, value in original(self, prefix, *args, **kwargs):
            yield (name.removeprefix(f"{prefix}.") if prefix and depth(name) - depth(prefix) > 2 else name), value

    return method("named_parameters", other, Module)


@falsifies(f"{AREA}.named-modules-give-each-once")
def the_second_child_of_two_is_found_twice() -> Break:
    """A module reached by two parents is given again."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        found = list(original(self, *args, **kwargs))
        if kwargs.get("remove_duplicate", True) and "b" in dict(found) and "b.b" not in dict(found):
            again = dict(found)["b"]._modules.get("b")
            found += [("b.b", again)] if again is not None else []
        return iter(found)

    return method("named_modules", other, Module)


@falsifies(f"{AREA}.named-modules-give-duplicates-if-asked")
def duplicates_below_a_duplicate_are_left_out() -> Break:
    """With remove_duplicate=False what is below a shared module is given once."""

    def other(original: Any, self: Any, memo: Any = None, prefix: str = "", remove_duplicate: bool = True) -> Any:
        found = list(original(self, memo, prefix, remove_duplicate))
        if remove_duplicate:
            return iter(found)
        return iter([p for n, p in enumerate(found) if depth(p[0]) < 1 or all(p[1] is not q[1] for q in found[:n])])

    return method("named_modules", other, Module)


@falsifies(f"{AREA}.named-modules-leave-out-the-memo")
def the_memo_is_copied() -> Break:
    """named_modules leaves the set given as memo as it was."""
    return method(
        "named_modules",
        lambda original, self, memo=None, *a, **k: original(self, set(memo) if memo else memo, *a, **k),
        Module,
    )


@falsifies(f"{AREA}.children-are-immediate")
def a_child_under_two_names_is_given_twice() -> Break:
    """children gives a child that has two names twice."""
    return method("children", lambda original, self: (m for m in self._modules.values() if m is not None), Module)


@falsifies(f"{AREA}.lists-are-in-the-order-of-registration")
def four_parameters_are_sorted() -> Break:
    """named_parameters sorts three names and more."""
    return listing(
        "named_parameters", lambda self, found: sorted(found, key=lambda p: p[0]) if len(found) > 2 else found
    )


# --- paths ------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.get-submodule-follows-the-path")
def a_path_of_three_parts_ends_early() -> Break:
    """get_submodule of a path of three parts gives the parent."""
    return method(
        "get_submodule",
        lambda original, self, path: original(self, path.rpartition(".")[0] if depth(path) == 2 else path),
        Module,
    )


@falsifies(f"{AREA}.get-parameter-follows-the-path")
def a_parameter_of_a_shared_module_is_copied() -> Break:
    """get_parameter of a path of three parts gives a copy."""

    def other(original: Any, self: Any, path: str) -> Any:
        found = original(self, path)
        return torch.nn.Parameter(found.detach()) if depth(path) > 1 else found

    return method("get_parameter", other, Module)


@falsifies(f"{AREA}.get-buffer-follows-the-path")
def a_transient_buffer_has_no_path() -> Break:
    """get_buffer does not find the buffers of submodules that are not persistent."""

    def other(original: Any, self: Any, path: str) -> Any:
        found, (parent, _, name) = original(self, path), path.rpartition(".")
        if parent and name in self.get_submodule(parent)._non_persistent_buffers_set:
            raise AttributeError(path)
        return found

    return method("get_buffer", other, Module)


@falsifies(f"{AREA}.wrong-paths-raise")
def a_tensor_attribute_passes_for_a_buffer() -> Break:
    """get_buffer gives a plain tensor of a submodule."""

    def other(original: Any, self: Any, path: str) -> Any:
        try:
            return original(self, path)
        except AttributeError:
            parent, _, name = path.rpartition(".")
            found = vars(self.get_submodule(parent)).get(name) if parent else None
            if found is None:
                raise
            return found

    return method("get_buffer", other, Module)


def setting_submodules(when: Callable[[Any, str, Any], Any]) -> Break:
    """set_submodule that first asks ``when``, and does nothing where that says so."""

    def other(original: Any, self: Any, path: str, module: Any, *args: Any, **kwargs: Any) -> None:
        if not when(self, path, module):
            original(self, path, module, *args, **kwargs)

    return method("set_submodule", other, Module)


@falsifies(f"{AREA}.set-submodule-replaces")
def a_replaced_child_moves_to_the_end() -> Break:
    """set_submodule two levels down removes the child first, so that the new one comes last."""
    return setting_submodules(
        lambda self, path, module: (
            self.get_submodule(path.rpartition(".")[0])._modules.pop(path.rpartition(".")[2], 0) and None
        )
    )


@falsifies(f"{AREA}.set-submodule-creates")
def a_new_module_three_levels_down_is_not_registered() -> Break:
    """set_submodule of a new name at the end of a path of three parts does nothing."""
    return setting_submodules(lambda self, path, module: depth(path) > 1 and path.endswith("fresh"))


@falsifies(f"{AREA}.set-submodule-refuses")
def a_module_below_a_parameter_is_dropped() -> Break:
    """set_submodule below a parameter does nothing."""
    return setting_submodules(lambda self, path, module: path.rpartition(".")[0] in dict(self.named_parameters()))


# --- traversal --------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.apply-visits-children-first")
def apply_visits_a_module_once_only() -> Break:
    """apply visits the root before its children where it has two."""

    def other(original: Any, self: Any, function: Any) -> Any:
        if len(self._modules) > 1:
            function(self)
            for child in self.children():
                child.apply(function)
            return self
        return original(self, function)

    return method("apply", other, Module)


def modes(other: Callable[..., Any], name: str = "train") -> Break:
    """A method that sets the mode, replaced."""
    return method(name, other, Module)


@falsifies(f"{AREA}.train-sets-the-mode-below")
def train_stops_where_the_mode_is_right() -> Break:
    """train(False) does not go below a module that has been put into evaluation mode already."""

    def other(original: Any, self: Any, mode: bool = True) -> Any:
        if not mode and len(self._modules) == 1:
            self.training = mode
            return self
        return original(self, mode)

    return modes(other)


@falsifies(f"{AREA}.eval-is-train-false")
def eval_forgets_what_is_three_levels_down() -> Break:
    """eval leaves modules three levels down in training mode."""

    def other(original: Any, self: Any) -> Any:
        for path, module in self.named_modules():
            module.training = depth(path) > 1
        return self

    return modes(other, "eval")


@falsifies(f"{AREA}.train-refuses-what-is-no-mode")
def train_takes_a_zero() -> Break:
    """train takes 0 for False."""
    return modes(lambda original, self, mode=True: original(self, False if mode == 0 else mode))


@falsifies(f"{AREA}.requires-grad-reaches-every-parameter")
def a_parameter_of_a_shared_module_keeps_its_flag() -> Break:
    """requires_grad_(False) leaves out parameters more than one level down."""

    def other(original: Any, self: Any, requires_grad: bool = True) -> Any:
        for path, parameter in self.named_parameters():
            if requires_grad or depth(path) < 2:
                parameter.requires_grad_(requires_grad)
        return self

    return method("requires_grad_", other, Module)


@falsifies(f"{AREA}.zero-grad-resets-every-gradient")
def a_number_keeps_its_gradient() -> Break:
    """zero_grad leaves the gradient of a parameter without dimensions as it is."""

    def other(original: Any, self: Any, set_to_none: bool = True) -> None:
        kept = [(parameter, parameter.grad) for parameter in self.parameters() if not parameter.dim()]
        for parameter, _ in kept:
            parameter.grad = None
        original(self, set_to_none)
        for parameter, gradient in kept:
            parameter.grad = gradient

    return method("zero_grad", other, Module)


@falsifies(f"{AREA}.zero-grad-resets-every-gradient")
def zeros_are_new_tensors_in_submodules() -> Break:
    """zero_grad(set_to_none=False) puts new zeros into the parameters of submodules."""

    def other(original: Any, self: Any, set_to_none: bool = True) -> None:
        original(self, set_to_none)
        if not set_to_none:
            for path, parameter in self.named_parameters():
                if depth(path) and parameter.grad is not None:
                    parameter.grad = parameter.grad.clone()

    return method("zero_grad", other, Module)
