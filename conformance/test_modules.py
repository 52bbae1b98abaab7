"""Area ``modules``: registration, traversal, conversion, hooks, containers, initialisation, utilities of torch.nn."""

from __future__ import annotations

import torch

from conformance.engine.cases import cases
from conformance.inputs import (
    containers,
    gradient_sets,
    initials,
    module_backwards,
    module_casts,
    module_hooks,
    nested_hooks,
    refused_registrations,
    registration_parts,
    registrations,
)
from conformance.inputs.containers import ContainerProgram, NamedChain, OneLine
from conformance.inputs.gradient_sets import GradientSet, LazyLayer, ReplacedCall, SkippedInit
from conformance.inputs.initials import Gain, Initial
from conformance.inputs.module_backwards import HookedBackward
from conformance.inputs.module_casts import BuiltLayer, ModuleCast
from conformance.inputs.module_hooks import HookedModule
from conformance.inputs.nested_hooks import NestedHooks, WrittenUnderHooks
from conformance.inputs.refused_registrations import Refusal, Unready
from conformance.inputs.registration_parts import BufferObject, WatchedRegistration
from conformance.inputs.registrations import Registration
from conformance.oracles import container_model, expect, initial_laws, module_conversion, module_lists, module_utilities
from conformance.oracles.module_backward_model import fires_by_the_rules, gradients_left, gradients_seen
from conformance.oracles.module_hook_model import always_called, runs_as_expected
from conformance.oracles.module_lists import same_members, same_things

# --- registration -----------------------------------------------------------------------------------------------


@cases(registrations.registrations_looked_at("print(dict(m[0].named_parameters()))"))
def test_parameters_are_registered(case: Registration) -> None:
    """A Parameter assigned as an attribute, or given to register_parameter, is listed by named_parameters under its name, and no longer once deleted."""  # noqa: E501
    module_lists.own_parts(case, "parameters")


@cases(
    registrations.registrations_looked_at(
        "print(list(m[0].named_parameters()), list(m[0].named_buffers()), vars(m[0]))"
    )
)
def test_plain_tensors_are_not_registered(case: Registration) -> None:
    """A tensor that is no Parameter, assigned to a name that is not a buffer's, is neither a parameter nor a buffer, but stays an attribute."""  # noqa: E501
    module_lists.plain_is_not_listed(case)


@cases(registrations.registrations_looked_at("print(dict(m[0].named_children()))"))
def test_submodules_are_registered(case: Registration) -> None:
    """A module assigned as an attribute, or given to add_module, is listed by named_children under its name, and no longer once deleted or None."""  # noqa: E501
    module_lists.own_parts(case, "modules")


@cases(registrations.registrations_looked_at("print(dict(m[0].named_buffers()))"))
def test_buffers_are_registered(case: Registration) -> None:
    """A tensor given to register_buffer is listed by named_buffers under its name, persistent or not, as is what is assigned to the name later."""  # noqa: E501
    module_lists.own_parts(case, "buffers")


@cases(registrations.registrations_looked_at("print(m[0].state_dict().keys())"))
def test_persistent_buffers_are_in_the_state(case: Registration) -> None:
    """The keys of state_dict are the paths of all parameters and of those buffers that were not registered with persistent=False."""  # noqa: E501
    expect.equal(sorted(case.model().persistent()), sorted(case.build().root.state_dict()), "keys of state_dict()")


@cases(registrations.registrations_looked_at("print(vars(m[0]))"))
def test_registered_things_are_attributes(case: Registration) -> None:
    """What is registered as parameter, buffer or submodule is the very object that the attribute of that name gives."""
    module_lists.holds_attributes(case)


@cases(refused_registrations.assigned_to_parameters)
def test_names_of_parameters_take_parameters_only(case: Refusal) -> None:
    """A name that is registered as parameter, with None too, takes a Parameter or None; anything else raises TypeError and changes nothing."""  # noqa: E501
    module_lists.refuses(case)


@cases(refused_registrations.assigned_to_others)
def test_names_of_buffers_take_tensors_only(case: Refusal) -> None:
    """A name that is registered as buffer or submodule takes its own kind or None; a number or a string raises TypeError and changes nothing."""  # noqa: E501
    module_lists.refuses(case)


@cases(refused_registrations.before_init)
def test_assignment_before_init_raises(case: Refusal) -> None:
    """A parameter, submodule or buffer assigned or registered before super().__init__() raises AttributeError."""
    expect.raises(case.error(), lambda: Unready(case.line), f"{case.line} before super().__init__()")


@cases(refused_registrations.bad_names)
def test_registration_refuses_bad_names(case: Refusal) -> None:
    """register_parameter, register_buffer and add_module raise KeyError for a name that is empty, has a dot or is an attribute of something else."""  # noqa: E501
    module_lists.refuses(case)


@cases(refused_registrations.other_kinds)
def test_registration_refuses_other_kinds(case: Refusal) -> None:
    """register_parameter, register_buffer and add_module raise TypeError for a thing of another kind or a name that is no string."""  # noqa: E501
    module_lists.refuses(case)


@cases(refused_registrations.with_history)
def test_computed_tensors_are_no_parameters(case: Refusal) -> None:
    """A Parameter is a leaf; a tensor with a history given to register_parameter raises."""
    module_lists.refuses(case)


@cases(registration_parts.buffer_objects)
def test_buffer_class_registers(case: BufferObject) -> None:
    """An nn.Buffer assigned as an attribute is listed as a buffer, in the state unless persistent=False, and is no parameter."""  # noqa: E501
    module = case.build()
    expect.equal(case.names, [name for name, _ in module.named_buffers()], "names of named_buffers()")
    expect.equal([], list(module.parameters()), "parameters()")
    kept = [name for name in case.names if name not in case.transient]
    expect.equal(kept, list(module.state_dict()), "keys of state_dict()")


@cases(registration_parts.watched_registrations)
def test_buffer_registration_hooks_may_replace(case: WatchedRegistration) -> None:
    """A global registration hook sees each buffer, parameter or submodule that is registered, with module and name, and what it returns takes its place."""  # noqa: E501
    made = case.run()
    expect.equal(case.expected_calls(), made.calls, "calls of the hook: module and name")
    for name in case.names:
        expected = made.replacements[name] if name in case.replaced else made.given[name]
        expect.same_object(expected, getattr(made.module, name), f"m.{name}")


# --- listing ----------------------------------------------------------------------------------------------------


@cases(registrations.registrations_looked_at("print(list(m[0].named_parameters()), list(m[0].parameters()))"))
def test_named_parameters_recurse(case: Registration) -> None:
    """named_parameters gives the parameters of the module and of all submodules by their paths, and parameters gives the same."""  # noqa: E501
    module_lists.lists_parts(case, "parameters")


@cases(registrations.registrations_looked_at("print(list(m[0].named_buffers()), list(m[0].buffers()))"))
def test_named_buffers_recurse(case: Registration) -> None:
    """named_buffers gives the buffers of the module and of all submodules by their paths, and buffers gives the same."""  # noqa: E501
    module_lists.lists_parts(case, "buffers")


@cases(registrations.registrations_looked_at("print(list(m[0].named_parameters()), list(m[0].named_buffers()))"))
def test_shared_parts_are_listed_once(case: Registration) -> None:
    """A parameter or buffer that is registered in several places is given once."""
    made, model = case.build(), case.model()
    for kind, name in module_lists.PART_LISTS.items():
        found = made.named(getattr(made.root, name)(remove_duplicate=True))
        same_things(
            {thing for _, thing in model.parts(kind)}, [thing for _, thing in found], f"things that {name} gives"
        )


@cases(
    registrations.registrations_looked_at(
        "print(*(list(f(remove_duplicate=False)) for f in (m[0].named_parameters, m[0].named_buffers)))"
    )
)
def test_shared_parts_are_listed_in_each_place_if_asked(case: Registration) -> None:
    """With remove_duplicate=False named_parameters and named_buffers give a shared one once for each path."""
    made, model = case.build(), case.model()
    for kind, name in module_lists.PART_LISTS.items():
        found = made.named(getattr(made.root, name)(remove_duplicate=False))
        same_members(model.parts(kind, once=False), found, f"{name}(remove_duplicate=False)")


@cases(
    registrations.registrations_looked_at(
        "print(*(list(f(recurse=False)) for f in (m[0].named_parameters, m[0].named_buffers)))"
    )
)
def test_without_recursion_own_parts_only(case: Registration) -> None:
    """With recurse=False named_parameters, parameters, named_buffers and buffers give direct members only."""
    for kind in module_lists.PART_LISTS:
        module_lists.lists_parts(case, kind, recurse=False)


@cases(
    registrations.registrations_looked_at(
        "print(*(list(f(prefix='x.y')) for f in (m[0].named_parameters, m[0].named_buffers, m[0].named_modules)))"
    )
)
def test_prefix_is_prepended(case: Registration) -> None:
    """prefix is prepended to each name that named_parameters, named_buffers and named_modules give."""
    made, model = case.build(), case.model()
    for kind, name in module_lists.PART_LISTS.items():
        found = made.named(getattr(made.root, name)(prefix="x.y"))
        same_members(model.parts(kind, prefix="x.y"), found, f"{name}(prefix='x.y')")
        found = made.named(getattr(made.root, name)("z", False))
        same_members(model.parts(kind, prefix="z", recurse=False), found, f"{name}('z', False)")
    same_members(model.paths(prefix="x"), made.named(made.root.named_modules(prefix="x")), "named_modules(prefix='x')")


@cases(registrations.registrations_looked_at("print(list(m[0].named_modules()))"))
def test_named_modules_give_each_once(case: Registration) -> None:
    """named_modules gives the module itself under the empty name and every submodule once, and modules the same."""
    made, expected = case.build(), case.model().paths()
    same_members(expected, made.named(made.root.named_modules()), "named_modules()")
    same_things([thing for _, thing in expected], [made.name_of(x) for x in made.root.modules()], "modules()")


@cases(registrations.registrations_looked_at("print(list(m[0].named_modules(remove_duplicate=False)))"))
def test_named_modules_give_duplicates_if_asked(case: Registration) -> None:
    """With remove_duplicate=False named_modules gives a shared module once for each path."""
    made = case.build()
    found = made.named(made.root.named_modules(remove_duplicate=False))
    same_members(case.model().paths(once=False), found, "named_modules(remove_duplicate=False)")


@cases(registrations.registrations_looked_at("print(list(m[0].named_modules(memo={m[2]})))"))
def test_named_modules_leave_out_the_memo(case: Registration) -> None:
    """named_modules leaves out, with all below, the modules in the set memo, and adds those that it gives."""
    made, model = case.build(), case.model()
    memo = {made.m[2]}
    found = made.named(made.root.named_modules(memo))
    without = model.below_without(2)
    same_things(without, [thing for _, thing in found], "modules given without m[2] and what is below it only")
    same_things({"m2", *without}, map(made.name_of, memo), "modules in the memo")


@cases(registrations.registrations_looked_at("print([list(one.named_children()) for one in m])"))
def test_children_are_immediate(case: Registration) -> None:
    """named_children and children give the immediate children only, each once, and not the module itself."""
    made, model = case.build(), case.model()
    for at, module in enumerate(made.m):
        same_members(model.children(at), made.named(module.named_children()), f"m[{at}].named_children()")
        expected = [thing for _, thing in model.children(at)]
        same_things(expected, [made.name_of(child) for child in module.children()], f"m[{at}].children()")


@cases(
    registrations.registrations_looked_at(
        "print([name for name, _ in m[0].named_parameters()], [name for name, _ in m[0].named_modules()])"
    )
)
def test_lists_are_in_the_order_of_registration(case: Registration) -> None:
    """Parameters, buffers, children and modules are given in the order of their registration, a parent before what is below it."""  # noqa: E501
    module_lists.in_order(case)


# --- paths ------------------------------------------------------------------------------------------------------


@cases(
    registrations.registrations_looked_at(
        "print([m[0].get_submodule(path) is one for path, one in m[0].named_modules()])"
    )
)
def test_get_submodule_follows_the_path(case: Registration) -> None:
    """get_submodule gives the module at a dotted path, and the module itself for the empty one."""
    module_lists.paths_lead_to(case, "submodule")


@cases(
    registrations.registrations_looked_at(
        "print([m[0].get_parameter(path) is one for path, one in m[0].named_parameters()])"
    )
)
def test_get_parameter_follows_the_path(case: Registration) -> None:
    """get_parameter gives the parameter at a dotted path."""
    module_lists.paths_lead_to(case, "parameter")


@cases(
    registrations.registrations_looked_at("print([m[0].get_buffer(path) is one for path, one in m[0].named_buffers()])")
)
def test_get_buffer_follows_the_path(case: Registration) -> None:
    """get_buffer gives the buffer at a dotted path."""
    module_lists.paths_lead_to(case, "buffer")


@cases(registrations.registrations_looked_at("m[0].get_parameter('nowhere')"))
def test_wrong_paths_raise(case: Registration) -> None:
    """get_submodule, get_parameter and get_buffer raise AttributeError for a path that leads nowhere or to another kind of thing."""  # noqa: E501
    module_lists.wrong_paths_raise(case)


@cases(
    registrations.registrations_looked_at(
        "for path, _ in list(m[0].named_modules())[1:]:\n    m[0].set_submodule(path, torch.nn.ReLU())\n    print(m[0])"
    )
)
def test_set_submodule_replaces(case: Registration) -> None:
    """set_submodule puts a module in the place of the submodule at a path, and nothing else changes."""
    expect.some(case.model().paths(once=False)[1:], "submodule")
    module_lists.submodule_is_set(case, False, {})


@cases(registrations.registrations_looked_at("m[0].set_submodule('fresh', torch.nn.ReLU())\nprint(m[0])"))
def test_set_submodule_creates(case: Registration) -> None:
    """set_submodule registers a module under a new name if the parent exists, and raises AttributeError with strict=True."""  # noqa: E501
    module_lists.submodule_is_set(case, True, {})
    module_lists.submodule_is_set(case, False, {"strict": True})
    made = case.build()
    before = module_lists.state_of_modules(made)
    expect.raises(
        AttributeError, lambda: made.root.set_submodule("fresh", torch.nn.Module(), strict=True), "a new name, strict"
    )
    expect.equal(before, module_lists.state_of_modules(made), "modules after the refusal")


@cases(registrations.registrations_looked_at("m[0].set_submodule('nowhere.a', torch.nn.ReLU())"))
def test_set_submodule_refuses(case: Registration) -> None:
    """set_submodule raises ValueError for an empty path, AttributeError where the parent does not exist or is no module, and changes nothing."""  # noqa: E501
    made, model = case.build(), case.model()
    before = module_lists.state_of_modules(made)
    expect.raises(ValueError, lambda: made.root.set_submodule("", torch.nn.Module()), "set_submodule('')")
    others = [path for path, _ in model.parts("parameters") + model.parts("buffers")]
    for path in ("nowhere.a", "nowhere.a.b", *(f"{other}.a" for other in others)):
        module_lists.set_refused(made, path)
    expect.equal(before, module_lists.state_of_modules(made), "modules after the refusals")


# --- traversal --------------------------------------------------------------------------------------------------


@cases(registrations.registrations_looked_at("print(m[0].apply(print))"))
def test_apply_visits_children_first(case: Registration) -> None:
    """apply calls the function on every submodule, children before their parent, then on the module itself, and returns the module."""  # noqa: E501
    made = case.build()
    visited: list[torch.nn.Module] = []
    found = made.root.apply(visited.append)
    expect.same_object(made.root, found, "what apply returns")
    expect.equal(case.model().applied(), [made.name_of(module) for module in visited], "modules visited, in order")


@cases(registrations.registrations_looked_at("print([one.training for one in m[0].train(False).modules()])"))
def test_train_sets_the_mode_below(case: Registration) -> None:
    """train(mode) sets training of the module and of all submodules, of no other module, and returns the module."""
    module_lists.trained(case, True, "default")
    module_lists.trained(case, True, "mode")
    module_lists.trained(case, False, "mode")


@cases(registrations.registrations_looked_at("print([one.training for one in m[0].eval().modules()])"))
def test_eval_is_train_false(case: Registration) -> None:
    """eval sets training of the module and of all submodules to False, and returns the module."""
    module_lists.trained(case, False, "eval")


@cases(refused_registrations.wrong_modes)
def test_train_refuses_what_is_no_mode(case: Refusal) -> None:
    """train raises ValueError for a mode that is no bool."""
    module_lists.refuses(case)


@cases(
    registrations.registrations_looked_at("print([x.requires_grad for x in m[0].requires_grad_(False).parameters()])")
)
def test_requires_grad_reaches_every_parameter(case: Registration) -> None:
    """requires_grad_ sets the flag of every parameter of the module and its submodules, of no buffer and no other parameter, and returns the module."""  # noqa: E501
    module_lists.flags_set(case, True)
    module_lists.flags_set(case, False)


@cases(
    registrations.registrations_looked_at(
        "for x in m[0].parameters():\n    x.grad = torch.ones_like(x)\n"
        "m[0].zero_grad()\nprint([x.grad for x in m[0].parameters()])"
    )
)
def test_zero_grad_resets_every_gradient(case: Registration) -> None:
    """zero_grad sets the .grad of every parameter to None, or with set_to_none=False to zeros in the same tensor."""
    module_lists.gradients_reset(case)


# --- hooks of the forward call ----------------------------------------------------------------------------------


@cases(module_hooks.plain_pre_hooks)
def test_forward_pre_hooks_may_replace_arguments(case: HookedModule) -> None:
    """A forward pre-hook gets module and positional arguments before each forward, and a value or tuple that it returns takes their place, a single value as a tuple of one."""  # noqa: E501
    runs_as_expected(case)


@cases(module_hooks.plain_post_hooks)
def test_forward_hooks_may_replace_the_output(case: HookedModule) -> None:
    """A forward hook gets module, positional arguments and output after each forward, and what it returns, unless None, takes the output's place."""  # noqa: E501
    runs_as_expected(case)


@cases(module_hooks.ordered_hooks)
def test_forward_hooks_run_in_order(case: HookedModule) -> None:
    """Forward pre-hooks and forward hooks run in the order of their registration, each with what the one before has made of arguments or output."""  # noqa: E501
    runs_as_expected(case)


@cases(module_hooks.prepended_hooks)
def test_prepended_hooks_run_first(case: HookedModule) -> None:
    """A hook registered with prepend=True runs before all that the module has then."""
    runs_as_expected(case)


@cases(module_hooks.global_hooks)
def test_global_hooks_run_before_those_of_the_module(case: HookedModule) -> None:
    """Global forward pre-hooks and forward hooks run for every module, in order, before the module's own, and may replace what those may."""  # noqa: E501
    runs_as_expected(case)


@cases(module_hooks.plain_post_hooks)
def test_hooks_get_positional_arguments_only(case: HookedModule) -> None:
    """Hooks without with_kwargs get positional arguments only, and keyword arguments go to forward as they are."""
    runs_as_expected(case)


@cases(module_hooks.kwargs_hooks)
def test_hooks_with_kwargs_get_them(case: HookedModule) -> None:
    """Hooks with with_kwargs=True get the keyword arguments too, and a pre-hook may return new arguments and keyword arguments."""  # noqa: E501
    runs_as_expected(case)


@cases(module_hooks.raising_hooks)
def test_always_called_hooks_run_after_errors(case: HookedModule) -> None:
    """A forward hook with always_call=True runs once in each call, also where a pre-hook, forward or another hook raises, and the exception reaches the caller."""  # noqa: E501
    always_called(case)


@cases(module_hooks.removed_hooks)
def test_removed_hooks_run_no_more(case: HookedModule) -> None:
    """A hook of which handle.remove() was called runs no more, and all others go on as before."""
    runs_as_expected(case)


@cases(nested_hooks.nested)
def test_hooks_of_submodules_run_within(case: NestedHooks) -> None:
    """Each module's own hooks run around its own forward, those of a submodule between the pre-hooks and the hooks of its parent."""  # noqa: E501
    expect.equal(case.expected(), case.run(), "hooks and forwards, in order")


# --- hooks of the backward pass ---------------------------------------------------------------------------------


@cases(module_backwards.looked_at_backwards)
def test_full_backward_hooks_get_the_gradients(case: HookedBackward) -> None:
    """A full backward hook gets the gradients with respect to the positional inputs and to the outputs, and None for what is no tensor."""  # noqa: E501
    gradients_seen(case)


@cases(module_backwards.firing_backwards)
def test_full_backward_hooks_fire_by_the_rules(case: HookedBackward) -> None:
    """A full backward hook fires once in each backward if an input requires grad, also if an output only does, and not at all if no output does."""  # noqa: E501
    fires_by_the_rules(case)


@cases(module_backwards.replaced_backwards)
def test_full_backward_hooks_may_replace_the_gradients(case: HookedBackward) -> None:
    """The gradients that a full backward hook returns take the place of those of the inputs, for the next hook and in all that follows."""  # noqa: E501
    gradients_left(case)


@cases(module_backwards.replaced_outputs_backwards)
def test_full_backward_pre_hooks_may_replace_the_gradients(case: HookedBackward) -> None:
    """A full backward pre-hook gets the gradients of the outputs first, and what it returns takes their place in all that follows, that of parameters too."""  # noqa: E501
    gradients_left(case)


@cases(module_backwards.ordered_backwards)
def test_full_backward_hooks_run_in_order(case: HookedBackward) -> None:
    """Full backward pre-hooks and hooks run in the order of their registration, those with prepend=True before the others, global ones before all."""  # noqa: E501
    gradients_left(case)


@cases(module_backwards.removed_backwards)
def test_removed_backward_hooks_run_no_more(case: HookedBackward) -> None:
    """A full backward hook that was removed before the forward runs no more, and the gradients are those without it."""
    gradients_left(case)


@cases(nested_hooks.written)
def test_in_place_writes_under_backward_hooks_raise(case: WrittenUnderHooks) -> None:
    """Where a module has full backward hooks, an in-place change of an input in forward, or of an output by the caller, raises."""  # noqa: E501
    expect.raises(RuntimeError, case.run, f"{case.write} of {case.what} under a {case.hook}")


# --- containers -------------------------------------------------------------------------------------------------


@cases(containers.module_lists)
def test_module_list_is_a_list(case: ContainerProgram) -> None:
    """A ModuleList after indexing, slices, assignment, append, extend, insert, pop, del, +, += holds and gives what a Python list does."""  # noqa: E501
    container_model.same_as_plain(case)


@cases(containers.module_lists)
def test_module_list_members_are_registered(case: ContainerProgram) -> None:
    """After any change the members of a ModuleList are its children, named by their places."""
    container_model.members_registered(case)


@cases(containers.far_inserts)
def test_module_list_insert_takes_any_index(case: ContainerProgram) -> None:
    """ModuleList.insert takes negative indices and those beyond the end as list.insert does."""
    container_model.same_as_plain(case)


@cases(containers.no_modules)
def test_module_list_takes_modules_only(case: OneLine) -> None:
    """A ModuleList raises TypeError for what is no module, in append, extend, insert, assignment and constructor."""
    container_model.refuses_line(case)


@cases(containers.sequentials)
def test_sequential_is_a_list(case: ContainerProgram) -> None:
    """A Sequential after indexing, slices, assignment, append, insert, pop, del holds and gives what a Python list does, its children named by their places."""  # noqa: E501
    container_model.same_as_plain(case)
    container_model.members_registered(case)


@cases(containers.sequentials)
def test_sequential_chains_its_modules(case: ContainerProgram) -> None:
    """A Sequential gives its input to its first module, each result to the next, and returns the last, also after changes; an empty one returns its input."""  # noqa: E501
    container_model.chains(case)


@cases(containers.named_chains)
def test_sequential_takes_names_from_an_ordered_dict(case: NamedChain) -> None:
    """A Sequential made of an OrderedDict has its keys as names, in their order, and chains in that order."""
    container_model.chains_by_name(case)


@cases(containers.module_dicts)
def test_module_dict_is_a_dict(case: ContainerProgram) -> None:
    """A ModuleDict after assignment, del, pop, clear, update, in, keys, values, items holds and gives what a Python dict does, in the order of insertion."""  # noqa: E501
    container_model.same_as_plain(case)


@cases(containers.module_dicts)
def test_module_dict_members_are_registered(case: ContainerProgram) -> None:
    """After any change the members of a ModuleDict are its children, named by their keys."""
    container_model.members_registered(case)


@cases(containers.ordered_module_dicts)
def test_module_dict_update_keeps_order(case: ContainerProgram) -> None:
    """ModuleDict made of or updated with an OrderedDict, a dict, a ModuleDict or pairs takes new keys in their order, and old ones stay in their place."""  # noqa: E501
    container_model.same_as_plain(case)


@cases(containers.parameter_lists)
def test_parameter_list_is_a_list(case: ContainerProgram) -> None:
    """A ParameterList after indexing, slices, assignment, append, extend, += holds and gives what a Python list does."""  # noqa: E501
    container_model.same_as_plain(case)


@cases(containers.mixed_parameter_lists)
def test_parameter_list_converts_tensors(case: ContainerProgram) -> None:
    """The constructor, assignment, append and extend of a ParameterList make a tensor a Parameter over the same memory; Parameters and other objects stay the objects that they are."""  # noqa: E501
    container_model.tensors_converted(case)


@cases(containers.mixed_parameter_lists)
def test_parameter_list_registers_parameters(case: ContainerProgram) -> None:
    """The Parameters of a ParameterList, and no other object, are listed by named_parameters under their places."""
    container_model.parameters_listed(case)


@cases(containers.other_list_items)
def test_parameter_list_items_may_become_others(case: ContainerProgram) -> None:
    """A Parameter in a ParameterList may be replaced by an object of any kind, as in a Python list."""
    container_model.same_as_plain(case)


@cases(containers.parameter_dicts)
def test_parameter_dict_is_a_dict(case: ContainerProgram) -> None:
    """A ParameterDict after assignment, del, pop, popitem, setdefault, get, update, clear, copy, |, |= holds and gives what a Python dict does, in the order of insertion."""  # noqa: E501
    container_model.same_as_plain(case)


@cases(containers.mixed_parameter_dicts)
def test_parameter_dict_converts_tensors(case: ContainerProgram) -> None:
    """The constructor, assignment and update of a ParameterDict make a tensor a Parameter over the same memory; Parameters and other objects stay what they are, and Parameters alone are listed."""  # noqa: E501
    container_model.tensors_converted(case)
    container_model.parameters_listed(case)


@cases(containers.plain_parameter_dicts)
def test_parameter_dict_update_with_a_plain_dict(case: ContainerProgram) -> None:
    """A ParameterDict updated with or made of a plain dict has its items, in some order."""
    container_model.same_in_any_order(case)


@cases(containers.other_dict_items)
def test_parameter_dict_items_may_become_others(case: ContainerProgram) -> None:
    """A Parameter in a ParameterDict may be replaced by an object of any kind, as in a Python dict."""
    container_model.same_as_plain(case)


@cases(containers.inserted_no_modules)
def test_module_list_insert_takes_modules_only(case: OneLine) -> None:
    """ModuleList.insert, and the assignment of a Parameter, raise TypeError for what is no module, as append does."""
    container_model.refuses_line(case)


@cases(containers.missing_keys)
def test_parameter_dict_raises_key_errors(case: ContainerProgram) -> None:
    """Indexing and pop of a ParameterDict raise KeyError for a key that is not there, whatever attributes modules have."""  # noqa: E501
    container_model.same_as_plain(case)


@cases(containers.changed_slices)
def test_sequential_slices_can_be_changed(case: ContainerProgram) -> None:
    """A slice of a Sequential may be appended to, extended, inserted into and shortened like any other Sequential."""
    container_model.same_as_plain(case)


# --- conversion -------------------------------------------------------------------------------------------------


@cases(module_casts.casts_by_to)
def test_to_casts_floats_only(case: ModuleCast) -> None:
    """to(dtype), to(tensor) and their forms cast floating-point and complex parameters and buffers of the module and all below, leave integers and bools, keep every value that fits, and return the module."""  # noqa: E501
    module_conversion.converted(case)


@cases(module_casts.casts_by_name)
def test_named_casts_cast_floating_point_only(case: ModuleCast) -> None:
    """half, float, double and bfloat16 cast floating-point parameters and buffers of the module and all below, leave all others, and return the module."""  # noqa: E501
    module_conversion.converted(case)


@cases(module_casts.casts_by_type)
def test_type_casts_everything(case: ModuleCast) -> None:
    """type casts all parameters and buffers, integers and bools too, and returns the module."""
    module_conversion.converted(case)


@cases(module_casts.integral_casts)
def test_to_refuses_integral_types(case: ModuleCast) -> None:
    """to raises TypeError for a dtype that is neither floating point nor complex, and changes nothing."""
    module_conversion.refuses_cast(case)


@cases(module_casts.casts_by_to_and_name)
def test_tied_parameters_stay_tied(case: ModuleCast) -> None:
    """A parameter that is registered in several places is one object in all of them after a conversion, the one that it was."""  # noqa: E501
    module_conversion.stays_tied(case)


@cases(module_casts.casts_by_to_and_name)
def test_gradients_are_converted(case: ModuleCast) -> None:
    """The .grad of a parameter is converted with it, and keeps its values."""
    module_conversion.converts_gradients(case)


@cases(module_casts.emptied_modules)
def test_to_empty_keeps_shapes(case: ModuleCast) -> None:
    """to_empty gives every parameter and buffer of the module and all below the device asked for, and leaves shape, dtype and requires_grad; with recurse=False those of submodules stay."""  # noqa: E501
    module_conversion.emptied(case)


@cases(module_casts.channels_last)
def test_channels_last_is_for_four_dimensions(case: ModuleCast) -> None:
    """to(memory_format=torch.channels_last) changes the strides of four-dimensional parameters and buffers only, and no value."""  # noqa: E501
    module_conversion.only_four_dimensions_change(case)


@cases(module_casts.built_layers)
def test_constructors_take_dtype_and_device(case: BuiltLayer) -> None:
    """A module constructed with dtype and device has its parameters and floating-point buffers in them."""
    module_conversion.has_dtype_and_device(case)


# --- initialisation ---------------------------------------------------------------------------------------------


@cases(initials.every_initial)
def test_init_works_in_place(case: Initial) -> None:
    """Each function of torch.nn.init fills the tensor given, whatever its strides, outside of autograd, and returns that tensor."""  # noqa: E501
    initial_laws.filled(case)


@cases(initials.exact_initials)
def test_init_fills_exactly(case: Initial) -> None:
    """constant_, ones_, zeros_, eye_ and dirac_ fill the tensor with the numbers that they name."""
    initial_laws.fills_exactly(case)


@cases(initials.drawn_initials)
def test_init_draws_from_the_law(case: Initial) -> None:
    """uniform_, normal_, trunc_normal_, xavier_* and kaiming_* draw from the distribution documented, with the bounds and deviation computed from fan in, fan out and gain."""  # noqa: E501
    initial_laws.draws_from_its_law(case)


@cases(initials.truncated_initials)
def test_trunc_normal_stays_within(case: Initial) -> None:
    """trunc_normal_ never leaves [a, b], and no mass gathers at bounds that are many deviations away."""
    initial_laws.stays_within(case)


@cases(initials.orthogonal_initials)
def test_orthogonal_is_orthogonal(case: Initial) -> None:
    """orthogonal_ makes the rows or columns of the flattened tensor, whichever are fewer, orthogonal with norm gain."""
    initial_laws.is_orthogonal(case)


@cases(initials.sparse_initials)
def test_sparse_zeroes_its_share(case: Initial) -> None:
    """sparse_ sets the fraction asked for, rounded up, of each column to zero, and no other element."""
    initial_laws.has_its_zeros(case)


@cases(initials.gains)
def test_gains_are_those_of_the_table(case: Gain) -> None:
    """calculate_gain gives the numbers of its table."""
    initial_laws.has_table_gain(case)


@cases(initials.strided_orthogonals)
def test_orthogonal_takes_strided_tensors(case: Initial) -> None:
    """orthogonal_ fills a tensor of more than two dimensions that is not contiguous as it does any other."""
    initial_laws.is_orthogonal(case)


# --- utilities --------------------------------------------------------------------------------------------------


@cases(gradient_sets.clipped_norms)
def test_clip_grad_norm_gives_the_total_norm(case: GradientSet) -> None:
    """clip_grad_norm_ returns the norm of all gradients taken as one vector, parameters without a gradient left out, for every norm_type."""  # noqa: E501
    module_utilities.gives_total_norm(case)


@cases(gradient_sets.clipped_norms)
def test_clip_grad_norm_scales_in_place(case: GradientSet) -> None:
    """clip_grad_norm_ scales every gradient, in its own tensor, by max_norm / (norm + 1e-6) where that is less than 1, and leaves them else."""  # noqa: E501
    module_utilities.scales_gradients(case)


@cases(gradient_sets.nonfinite_norms)
def test_clip_grad_norm_raises_on_nonfinite_norms(case: GradientSet) -> None:
    """With error_if_nonfinite=True clip_grad_norm_ raises where the norm is NaN or infinite, and leaves the gradients."""  # noqa: E501
    module_utilities.raises_on_nonfinite(case)


@cases(gradient_sets.clipped_values)
def test_clip_grad_value_clamps(case: GradientSet) -> None:
    """clip_grad_value_ clamps every element of every gradient to [-clip_value, clip_value], in its own tensor."""
    module_utilities.clamps_gradients(case)


@cases(gradient_sets.either_implementation)
def test_clipping_by_either_implementation_is_the_same(case: GradientSet) -> None:
    """clip_grad_norm_ and clip_grad_value_ leave the same gradients with foreach=True and with foreach=False."""
    (module_utilities.clamps_gradients if case.act == "value" else module_utilities.scales_gradients)(case)


@cases(gradient_sets.vectors)
def test_parameters_become_one_vector(case: GradientSet) -> None:
    """parameters_to_vector gives the elements of all parameters, one parameter after the other, each row by row."""
    module_utilities.becomes_a_vector(case)


@cases(gradient_sets.filled_vectors)
def test_a_vector_becomes_parameters(case: GradientSet) -> None:
    """vector_to_parameters writes the slices of a vector into the parameters, which stay the objects, shapes and leaves that they are, and do not change with the vector later."""  # noqa: E501
    module_utilities.becomes_parameters(case)


@cases(gradient_sets.skipped_inits)
def test_skip_init_draws_nothing(case: SkippedInit) -> None:
    """skip_init makes the module that the constructor makes, with the same names, shapes and types, and draws no random number."""  # noqa: E501
    module_utilities.draws_nothing(case)


@cases(gradient_sets.replaced_calls)
def test_functional_call_uses_what_is_given(case: ReplacedCall) -> None:
    """functional_call gives what the module gives with the parameters and buffers named replaced, in submodules too, and leaves the module with those that it had, after an exception too."""  # noqa: E501
    module_utilities.uses_what_is_given(case)


@cases(gradient_sets.lazy_layers)
def test_lazy_modules_become_regular(case: LazyLayer) -> None:
    """A lazy module has uninitialized parameters until its first forward, which gives them the shapes of the input, and makes it the regular module of the same kind."""  # noqa: E501
    module_utilities.becomes_regular(case)


@cases(gradient_sets.empty_gradients)
def test_clip_grad_norm_takes_empty_gradients(case: GradientSet) -> None:
    """A gradient without elements adds nothing to the norm that clip_grad_norm_ returns, whatever norm_type."""
    module_utilities.gives_total_norm(case)


@cases(gradient_sets.no_gradients)
def test_clip_grad_value_takes_parameters_without_gradients(case: GradientSet) -> None:
    """clip_grad_value_ does nothing where no parameter has a gradient, as clip_grad_norm_ does."""
    module_utilities.clamps_gradients(case)


@cases(gradient_sets.strided_vectors)
def test_strided_parameters_become_one_vector(case: GradientSet) -> None:
    """parameters_to_vector takes parameters that are not contiguous as it does others."""
    module_utilities.becomes_a_vector(case)
