"""Checks of ``specs/state_dict.yaml``: the state of modules, optimizers and schedulers, and what loading it does.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.state_dict
"""

from __future__ import annotations

import copy
import io
import warnings
from collections import OrderedDict
from functools import partial
from typing import Any

import torch

from conformance.engine.cases import cases
from conformance.inputs import schedules, state_edits, stateful_modules, trainings, tree_sources
from conformance.inputs.module_trees import Tree, reach
from conformance.inputs.schedules import Schedule
from conformance.inputs.state_edits import Childless, Edited, NoneFilled, Prefixed
from conformance.inputs.stateful_modules import LazyLoad, Memories
from conformance.inputs.trainings import Training
from conformance.oracles import expect, memory, module_state, optimizer_state

# --- what the state of a module is ------------------------------------------------------------------------------


@cases(tree_sources.trees_looked_at("state"))
def test_state_holds_parameters_and_persistent_buffers(case: Tree) -> None:
    """state_dict holds every parameter and every persistent buffer of a module and of all below it, by its name, and nothing else."""  # noqa: E501
    module_state.state_holds(case, case.build().state_dict(), "state_dict()")


@cases(tree_sources.trees_looked_at("print(m.state_dict().keys())"))
def test_state_keys_are_the_names(case: Tree) -> None:
    """The keys of state_dict are the names of the parameters, and of the buffers that are persistent, of modules that have one name each."""  # noqa: E501
    module = case.build()
    if case.has_ties():
        module = case.untied().build()
    names = {name for name, _ in module.named_parameters()}
    transient = {key for key, (slot, _) in case.places().items() if slot.kind == "transient"}
    names |= {name for name, _ in module.named_buffers()} - transient
    module_state.same_keys(names, module.state_dict(), "state_dict()")


@cases(tree_sources.trees_looked_at("print(m.state_dict().keys())"))
def test_none_is_left_out_of_the_state(case: Tree) -> None:
    """A parameter or buffer that is None has no key in state_dict, also when it was a tensor before."""
    module = case.build()
    empty = {key for key, (slot, _) in case.places().items() if slot.kind in ("no-parameter", "no-buffer")}
    gone = list(case.state())[::2]
    for key in gone:
        owner, _, name = key.rpartition(".")
        setattr(reach(module, owner), name, None)
    found = set(module.state_dict())
    expect.equal(set(), found & {*empty, *gone}, "keys of what is None")
    shared = {first for key in gone for first in (case.state()[key][1],)}
    left = {key for key, (_, first) in case.state().items() if first not in shared}
    expect.equal(set(), left - found, "keys of tensors that are left, and missing")


@cases(tree_sources.trees_looked_at("print(m.state_dict().keys())", tree_sources.transient_trees))
def test_transient_buffers_are_left_out_of_the_state(case: Tree) -> None:
    """A buffer that is registered with persistent=False is a buffer, and has no key in state_dict."""
    module = case.build()
    state, buffers = module.state_dict(), {id(buffer) for buffer in module.buffers()}
    for key, (slot, _) in case.places().items():
        if slot.kind == "transient":
            expect.equal(False, key in state, f"whether {key} is in state_dict()")
            expect.equal(True, id(reach(module, key)) in buffers, f"whether {key} is in buffers()")


@cases(
    tree_sources.trees_looked_at(
        "print({key: x.data_ptr() for key, x in m.state_dict().items()})", tree_sources.tied_trees
    )
)
def test_tied_tensors_are_saved_under_each_name(case: Tree) -> None:
    """A tensor or module with several names is in state_dict under each of them, in one memory."""
    state = case.build().state_dict()
    for key, (_, first) in case.state().items():
        expect.equal(True, key in state and first in state, f"whether {key} and {first} are in state_dict()")
        module_state.tensors_share(True, state[first], state[key], f"{first} and {key}")


@cases(
    tree_sources.trees_looked_at(
        "print({key: x.data_ptr() for key, x in m.state_dict(keep_vars=True).items()}, m.state_dict())",
        tree_sources.holding_trees,
    )
)
def test_state_shares_the_memory_of_the_module(case: Tree) -> None:
    """The tensors of state_dict lie in the memory of the module's own, at one place, so that either is seen to change with the other."""  # noqa: E501
    module = case.build()
    state = module.state_dict()
    for key in case.state():
        module_state.tensors_share(True, reach(module, key), state[key], key)
    with torch.no_grad():
        for number, key in enumerate(case.state()):
            (state[key] if number % 2 else reach(module, key)).fill_(1)
            same = memory.contents(reach(module, key))
            expect.equal(True, bool((same == 1).all()), f"whether {key} of the module was written")
            memory.same_elements(same, memory.contents(state[key]), f"{key} after a write")


@cases(tree_sources.trees_looked_at("m.state_dict().clear()\nprint(m.state_dict())"))
def test_state_is_a_copy_of_the_names(case: Tree) -> None:
    """A change of the keys of a state_dict changes neither the module nor another state_dict of it."""
    module = case.build()
    first, second = module.state_dict(), module.state_dict()
    expect.that(first is not second, "state_dict() called twice", "two dictionaries", "the same object")
    for key in list(first)[::2]:
        first[key] = torch.zeros(5)
    for key in list(first)[1::2]:
        del first[key]
    first["more"] = torch.zeros(1)
    module_state.state_holds(case, second, "the other state_dict()")
    module_state.state_holds(case, module.state_dict(), "a later state_dict()")
    module_state.module_holds(case, module, "the module")


@cases(
    tree_sources.trees_looked_at(
        "print([x.requires_grad for x in m.state_dict().values()])", tree_sources.holding_trees
    )
)
def test_state_is_detached(case: Tree) -> None:
    """The tensors of state_dict require no grad and have no history, and the module's own are as they were."""
    module = case.build()
    before = module_state.tensor_frames(case, module)
    for key, value in module.state_dict().items():
        flags = (value.requires_grad, value.grad_fn is None, value.is_leaf)
        expect.equal((False, True, True), flags, f"requires_grad, no grad_fn and is_leaf of {key}")
    module_state.same_frames(before, module_state.tensor_frames(case, module), "the module")


@cases(tree_sources.trees_looked_at("print(m.state_dict(keep_vars=True))"))
def test_keep_vars_keeps_the_tensors(case: Tree) -> None:
    """With keep_vars=True state_dict holds the very parameters and buffers of the module."""
    module = case.build()
    state = module.state_dict(keep_vars=True)
    module_state.same_keys(set(case.state()), state, "state_dict(keep_vars=True)")
    for key, value in state.items():
        expect.same_object(reach(module, key), value, key)
        expect.equal(case.required(key), value.requires_grad, f"requires_grad of {key}")


@cases(state_edits.prefixed_states)
def test_prefix_begins_every_key(case: Prefixed) -> None:
    """A prefix stands before every key, as it is."""
    state = case.tree.build().state_dict(prefix=case.prefix)
    module_state.state_holds(case.tree, state, f"state_dict(prefix={case.prefix!r})", case.prefix)


@cases(state_edits.prefixed_states)
def test_destination_is_filled_and_returned(case: Prefixed) -> None:
    """A destination is the object that state_dict returns; it has the state of the module beside what it had."""
    kept = torch.ones(3)
    for destination in (OrderedDict(kept=kept), {"kept": kept}):
        found = case.tree.build().state_dict(destination=destination, prefix=case.prefix)
        expect.same_object(destination, found, "the result")
        expect.same_object(kept, found.pop("kept", None), "what the destination had")
        module_state.state_holds(case.tree, found, "the destination", case.prefix)


@cases(tree_sources.trees_looked_at("print(type(m.state_dict()))"))
def test_state_is_an_ordered_dict(case: Tree) -> None:
    """Without a destination state_dict returns a new OrderedDict."""
    module = case.build()
    for name, part in [("", module), *module.named_children()]:
        expect.equal(OrderedDict, type(part.state_dict()), f"type of the state_dict of {name or 'the module'}")


@cases(state_edits.prefixed_states)
def test_state_takes_positional_arguments(case: Prefixed) -> None:
    """state_dict takes destination, prefix and keep_vars by position, in this order."""
    module = case.tree.build()
    destination: dict[str, Any] = OrderedDict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        found = module.state_dict(destination, case.prefix, True)
    expect.same_object(destination, found, "the result")
    module_state.state_holds(case.tree, found, "the destination", case.prefix)
    for key in case.tree.state():
        expect.same_object(reach(module, key), found[case.prefix + key], key)


# --- loading ----------------------------------------------------------------------------------------------------


@cases(tree_sources.trees_looked_at("load"))
def test_load_copies_every_value(case: Tree) -> None:
    """load_state_dict gives every parameter and persistent buffer of a module the elements that the dictionary has for it, and reports no key."""  # noqa: E501
    module, other = case.build(), case.turned()
    found = module.load_state_dict(other.tensors())
    module_state.module_holds(other, module, "the module")
    expect.equal(([], []), (found.missing_keys, found.unexpected_keys), "missing and unexpected keys")


@cases(tree_sources.trees_looked_at("load doubles", tree_sources.holding_trees))
def test_load_keeps_the_tensors_of_the_module(case: Tree) -> None:
    """After load_state_dict a module has its own tensors, of their own type, device, layout and flags, from whatever type they were loaded."""  # noqa: E501
    for other in (case.turned(), case.cast()):
        module = case.build()
        before = module_state.tensor_frames(case, module)
        module.load_state_dict(other.tensors())
        module_state.same_frames(before, module_state.tensor_frames(case, module), "the module")


@cases(tree_sources.trees_looked_at("load doubles", tree_sources.holding_trees))
def test_load_converts_the_element_type(case: Tree) -> None:
    """A value of another element type is converted to that of the module's tensor."""
    module = case.turned().build()
    module.load_state_dict(case.cast().tensors())
    module_state.module_holds(case.narrowed(), module, "the module")


@cases(tree_sources.trees_looked_at("load", tree_sources.holding_trees))
def test_loaded_values_are_not_shared(case: Tree) -> None:
    """A write to the dictionary's tensors after load_state_dict does not reach the module, nor the other way round."""
    module, other = case.build(), case.turned()
    source = other.tensors()
    module.load_state_dict(source)
    for key, value in source.items():
        module_state.tensors_share(False, reach(module, key), value, f"{key} of the module and of the dictionary")
        value.zero_()
    module_state.module_holds(other, module, "the module after the dictionary's tensors were zeroed")


@cases(tree_sources.trees_looked_at("load", tree_sources.transient_trees))
def test_load_leaves_transient_buffers(case: Tree) -> None:
    """load_state_dict leaves buffers that are not persistent, and what is None, as they were."""
    module = case.build()
    before = module_state.tensor_frames(case, module)
    module.load_state_dict(case.turned().tensors())
    module_state.same_frames(before, module_state.tensor_frames(case, module), "the module")
    for key, (slot, _) in case.places().items():
        if slot.kind == "transient" and slot.plan is not None:
            memory.same_elements(slot.plan.array, memory.contents(reach(module, key)), key)


@cases(tree_sources.trees_looked_at("load"))
def test_load_leaves_the_dictionary(case: Tree) -> None:
    """load_state_dict leaves the dictionary as it was, its keys, their order, its tensors and its metadata."""
    source = case.turned().build().state_dict()
    metadata = copy.deepcopy(source._metadata)
    for strict in (True, False):
        source["stranger"] = torch.ones(2)
        before = module_state.shown_state(source)
        if not strict:
            case.build().load_state_dict(source, strict=False)
        else:
            expect.raises(RuntimeError, partial(case.build().load_state_dict, source), "a load of a strange key")
        module_state.same_state(before, module_state.shown_state(source), "the dictionary")
        expect.equal(metadata, source._metadata, "metadata of the dictionary")
    del source["stranger"]
    before = module_state.shown_state(source)
    case.build().load_state_dict(source)
    module_state.same_state(before, module_state.shown_state(source), "the dictionary")
    expect.equal(metadata, source._metadata, "metadata of the dictionary")


@cases(tree_sources.trees_looked_at("gradients", tree_sources.parameter_trees))
def test_load_leaves_gradients(case: Tree) -> None:
    """load_state_dict records nothing, and leaves the gradients that the parameters hold."""
    module = case.build()
    gradients = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 3)
            gradients[name] = parameter.grad
    module.load_state_dict({key: value + 0 for key, value in case.turned().build().state_dict(keep_vars=True).items()})
    for name, parameter in module.named_parameters():
        expect.same_object(gradients.get(name), parameter.grad, f"gradient of {name}")
        expect.equal((None, True), (parameter.grad_fn, parameter.is_leaf), f"grad_fn and is_leaf of {name}")
        if name in gradients:
            expect.equal(True, bool((memory.contents(gradients[name]) == 3).all()), f"whether {name}.grad stayed")


@cases(tree_sources.trees_looked_at("load", tree_sources.holding_trees))
def test_state_loads_into_a_module_like_it(case: Tree) -> None:
    """The state_dict of a module, loaded into another like it, gives that the same elements, bit for bit."""
    first, second = case.build(), case.turned().build()
    second.load_state_dict(first.state_dict())
    module_state.module_holds(case, second, "the module that it is loaded into")
    module_state.module_holds(case, first, "the module that the state is of")


@cases(tree_sources.trees_looked_at("file", tree_sources.holding_trees))
def test_saved_state_loads_into_a_module_like_it(case: Tree) -> None:
    """The state_dict of a module, saved and loaded from a file, gives another module like it the same elements, bit for bit."""  # noqa: E501
    file = io.BytesIO()
    torch.save(case.build().state_dict(), file)
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        state = torch.load(file)
    module = case.turned().build()
    module.load_state_dict(state)
    module_state.module_holds(case, module, "the module that it is loaded into")


@cases(tree_sources.trees_looked_at("load", tree_sources.tied_trees))
def test_tied_tensors_stay_tied(case: Tree) -> None:
    """Names of one tensor are names of one tensor after load_state_dict."""
    module = case.build()
    module.load_state_dict(case.turned().tensors())
    for key, (_, first) in case.state().items():
        expect.same_object(reach(module, first), reach(module, key), f"{first} and {key}")


@cases(tree_sources.trees_looked_at("merge", tree_sources.holding_trees))
def test_merged_states_load(case: Tree) -> None:
    """The states of two modules, asked for with the names of the children as prefixes and merged, are the state of the module that has both."""  # noqa: E501
    whole, first, second = torch.nn.Module(), case.turned(), case.turned(2)
    whole.net, whole.net_ = case.build(), case.build()
    merged = {**second.build().state_dict(prefix="net_."), **first.build().state_dict(prefix="net.")}
    whole.load_state_dict(merged)
    module_state.module_holds(first, reach(whole, "net"), "the first child")
    module_state.module_holds(second, reach(whole, "net_"), "the second child")


@cases(tree_sources.trees_looked_at("one element", tree_sources.holding_trees))
def test_one_element_loads_into_a_scalar(case: Tree) -> None:
    """A tensor of one element in one dimension loads into one of no dimension."""
    module, other = case.build(), case.turned()
    source = {key: value.reshape(1) if not value.dim() else value for key, value in other.tensors().items()}
    try:
        module.load_state_dict(source)
    except RuntimeError:
        for key, (plan, _) in case.state().items():
            expect.equal(plan.shape, tuple(reach(module, key).shape), f"shape of {key}")
    else:
        module_state.module_holds(other, module, "the module")


# --- strictness -------------------------------------------------------------------------------------------------


@cases(state_edits.missing_keys)
def test_missing_keys_are_an_error(case: Edited) -> None:
    """A dictionary that lacks a key of the state is refused with an error that names every missing key."""
    error = expect.raises(RuntimeError, partial(case.tree.build().load_state_dict, case.source()), "the load")
    for key in case.dropped:
        expect.that(f'"{key}"' in str(error), "the error", f"it names {key!r}", str(error))


@cases(state_edits.unexpected_keys)
def test_unexpected_keys_are_an_error(case: Edited) -> None:
    """A dictionary with a key that the state has not, at whatever depth, is refused with an error that names every such key."""  # noqa: E501
    error = expect.raises(RuntimeError, partial(case.tree.build().load_state_dict, case.source()), "the load")
    for key in case.added:
        expect.that(f'"{key}"' in str(error), "the error", f"it names {key!r}", str(error))


@cases(state_edits.keys_below_tensors)
def test_key_below_a_tensor_is_unexpected(case: Edited) -> None:
    """A key that goes on behind the name of a parameter or buffer is refused, and reported with strict=False."""
    module = case.tree.build()
    error = expect.raises(RuntimeError, partial(module.load_state_dict, case.source()), "the load")
    expect.that(f'"{case.added[0]}"' in str(error), "the error", f"it names {case.added[0]!r}", str(error))
    found = module.load_state_dict(case.source(), strict=False)
    expect.equal(list(case.added), found.unexpected_keys, "unexpected_keys")


@cases(state_edits.keys_below_absent_children)
def test_key_below_an_absent_child_is_unexpected(case: Childless) -> None:
    """A key below the name of a child that is registered as None is refused, and reported with strict=False."""
    module = case.build()
    found = module.load_state_dict(case.source(), strict=False)
    expect.equal([case.key], found.unexpected_keys, "unexpected_keys")
    error = expect.raises(RuntimeError, partial(module.load_state_dict, case.source()), "the load")
    expect.that(f'"{case.key}"' in str(error), "the error", f"it names {case.key!r}", str(error))


@cases(state_edits.lenient_loads)
def test_lenient_load_reports_the_keys(case: Edited) -> None:
    """With strict=False load_state_dict returns the missing and the unexpected keys, each of them once and no others."""  # noqa: E501
    found = case.tree.build().load_state_dict(case.source(), strict=False)
    expect.equal(sorted(case.dropped), sorted(found.missing_keys), "missing_keys, sorted")
    expect.equal(sorted(case.added), sorted(found.unexpected_keys), "unexpected_keys, sorted")


@cases(state_edits.lenient_loads)
def test_lenient_load_takes_what_there_is(case: Edited) -> None:
    """With strict=False the keys that match are loaded, and tensors whose keys are missing stay as they were."""
    module, other = case.tree.build(), case.tree.turned()
    before = module_state.tensor_frames(case.tree, module)
    module.load_state_dict(case.source(), strict=False)
    module_state.same_frames(before, module_state.tensor_frames(case.tree, module), "the module")
    state, turned = case.tree.state(), other.state()
    loaded = {turned[key][1] for key in state if key not in case.dropped}
    for key, (plan, first) in state.items():
        wanted = turned[key][0] if first in loaded else plan
        memory.same_elements(wanted.array, memory.contents(reach(module, key)), f"{key} of the module")


@cases(state_edits.reshaped_states)
def test_other_shape_is_an_error(case: Edited) -> None:
    """A tensor of another shape than the module's, even one that could be broadcast, is refused with strict=True and with strict=False, and the error names its key."""  # noqa: E501
    module = case.tree.build()
    before = module_state.tensor_frames(case.tree, module)
    error = expect.raises(RuntimeError, partial(module.load_state_dict, case.source(), strict=case.strict), "the load")
    for key, _ in case.reshaped:
        expect.that(key in str(error), "the error", f"it names {key!r}", str(error))
    module_state.same_frames(before, module_state.tensor_frames(case.tree, module), "the module")


@cases(state_edits.none_filled)
def test_value_for_none_is_an_error(case: NoneFilled) -> None:
    """A key for a name that is registered as None is refused with a RuntimeError."""
    module = case.tree.build()
    expect.raises(RuntimeError, partial(module.load_state_dict, case.source()), f"a value for {case.key}")
    expect.equal(None, reach(module, case.key), case.key)


@cases(state_edits.none_filled)
def test_value_for_none_is_an_error_also_with_strict_false(case: NoneFilled) -> None:
    """A key for a name that is registered as None is refused with a RuntimeError with strict=False too."""
    module = case.tree.build()
    expect.raises(RuntimeError, partial(module.load_state_dict, case.source(), strict=False), f"a value for {case.key}")
    expect.equal(None, reach(module, case.key), case.key)


@cases(tree_sources.trees_looked_at("m.load_state_dict(list(m.state_dict().items()))"))
def test_what_is_no_mapping_is_an_error(case: Tree) -> None:
    """What is no mapping is refused with a TypeError, and the module stays as it was."""
    module, pairs = case.build(), list(case.turned().tensors().items())
    for wrong in (pairs, None, module, {key for key, _ in pairs}):
        expect.raises(TypeError, partial(module.load_state_dict, wrong), f"a load of a {type(wrong).__name__}")
    module_state.module_holds(case, module, "the module")


@cases(
    tree_sources.trees_looked_at(
        "print(m.load_state_dict(dict(reversed(m.state_dict().items()))))", tree_sources.holding_trees
    )
)
def test_load_takes_plain_dictionaries(case: Tree) -> None:
    """A plain dict, in whatever order, is loaded like an OrderedDict."""
    other = case.turned()
    for order in (1, -1):
        module = case.build()
        module.load_state_dict(dict(list(other.tensors().items())[::order]))
        module_state.module_holds(other, module, "the module")


# --- assign -----------------------------------------------------------------------------------------------------


@cases(tree_sources.trees_looked_at("assign"))
def test_assign_takes_the_tensors_of_the_dictionary(case: Tree) -> None:
    """With assign=True a module has the tensors of the dictionary, with their memory, element type, layout and device."""  # noqa: E501
    for other in (case.turned(), case.cast()):
        module, source = case.build(), other.tensors()
        module.load_state_dict(source, assign=True)
        for key, value in source.items():
            found = reach(module, key)
            module_state.tensors_share(True, value, found, key)
            expect.equal((value.dtype, value.device), (found.dtype, found.device), f"type and device of {key}")
        module_state.module_holds(other, module, "the module")
        module_state.same_keys(set(case.state()), module.state_dict(), "state_dict() afterwards")


@cases(tree_sources.trees_looked_at("assign", tree_sources.parameter_trees))
def test_assign_keeps_requires_grad(case: Tree) -> None:
    """With assign=True each parameter requires grad as the module's own did, and is a Parameter."""
    for keep_vars in (False, True):
        module, source = case.build(), case.turned().build()
        source.requires_grad_(False)
        module.load_state_dict(source.state_dict(keep_vars=keep_vars), assign=True)
        for key, (slot, _) in case.places().items():
            found = reach(module, key)
            if slot.kind in ("parameter", "frozen"):
                expect.equal(torch.nn.Parameter, type(found), f"type of {key}")
                expect.equal(slot.kind == "parameter", found.requires_grad, f"requires_grad of {key}")


@cases(tree_sources.trees_looked_at("assign from meta", tree_sources.holding_trees))
def test_assign_fills_a_module_without_memory(case: Tree) -> None:
    """With assign=True a module on the meta device gets memory and values."""
    module = case.turned().build().to("meta")
    source = case.tensors()
    module.load_state_dict(source, assign=True)
    for key, value in source.items():
        expect.equal(value.device, reach(module, key).device, f"device of {key}")
    module_state.module_holds(case, module, "the module")


# --- metadata and extra state -----------------------------------------------------------------------------------


def metadata_seen(module: torch.nn.Module, state: Any) -> dict[str, Any]:
    """What _load_from_state_dict of each module gets as metadata while ``state`` is loaded, by prefix."""
    seen: dict[str, Any] = {}
    parts = list(module.modules())
    for part in parts:
        load = part._load_from_state_dict

        def noting(state: Any, prefix: str, metadata: Any, *more: Any, load: Any = load) -> None:
            seen[prefix] = dict(metadata)
            load(state, prefix, metadata, *more)

        object.__setattr__(part, "_load_from_state_dict", noting)
    module.load_state_dict(state)
    for part in parts:
        object.__delattr__(part, "_load_from_state_dict")
    return seen


@cases(tree_sources.trees_looked_at("metadata"))
def test_load_passes_each_module_its_metadata(case: Tree) -> None:
    """A module's _load_from_state_dict and its pre-hooks get the metadata that state_dict saved for the module, with its version."""  # noqa: E501
    module = case.build()
    seen = metadata_seen(module, case.turned().build().state_dict())
    expect.equal(sorted(case.prefixes()), sorted(seen), "prefixes of the modules that are loaded, sorted")
    for prefix, metadata in seen.items():
        version = reach(module, prefix[:-1])._version
        expect.equal(version, metadata.get("version"), f"version in the metadata of {prefix!r}")


@cases(tree_sources.trees_looked_at("metadata"))
def test_metadata_of_a_plain_dictionary_is_empty(case: Tree) -> None:
    """Of a dictionary without metadata, what a module's _load_from_state_dict gets as metadata is empty."""
    seen = metadata_seen(case.build(), case.turned().tensors())
    expect.equal({prefix: {} for prefix in sorted(case.prefixes())}, dict(sorted(seen.items())), "metadata by prefix")


@cases(stateful_modules.remembering_modules)
def test_extra_state_is_saved(case: Memories) -> None:
    """What get_extra_state returns is in state_dict, for every module that has it."""
    module = case.build()
    tensors = {name for name, _ in module.named_parameters()}
    extra = [value for key, value in module.state_dict().items() if key not in tensors]
    wanted = [m.memory for m in case.remembering(module)]
    expect.equal(len(wanted), len(extra), "number of keys that are no parameters")
    for one, other in zip(wanted, extra, strict=True):
        expect.same_object(one, other, "extra state")


@cases(stateful_modules.remembering_modules)
def test_extra_state_is_loaded(case: Memories) -> None:
    """set_extra_state gets what get_extra_state returned, once for every module that has it."""
    source, module = case.build(), case.build(blank=True)
    module.load_state_dict(source.state_dict())
    for one, other in zip(case.remembering(source), case.remembering(module), strict=True):
        expect.equal(1, len(other.told), "number of calls of set_extra_state")
        expect.same_object(one.memory, other.memory, "extra state")


@cases(stateful_modules.remembering_modules)
def test_missing_extra_state_is_an_error(case: Memories) -> None:
    """Extra state that is missing, or that no module expects, is refused as any other key is, and reported with strict=False."""  # noqa: E501
    module, full = case.build(blank=True), case.build().state_dict()
    extra = [key for key in full if key not in dict(module.named_parameters())]
    for key in extra:
        state = {name: value for name, value in full.items() if name != key}
        error = expect.raises(RuntimeError, partial(module.load_state_dict, state), f"a load without {key}")
        expect.that(key in str(error), "the error", f"it names {key!r}", str(error))
        found = module.load_state_dict(state, strict=False)
        expect.equal(([key], []), (found.missing_keys, found.unexpected_keys), "missing and unexpected keys")
    plain = torch.nn.ModuleDict({"a": torch.nn.Module()})
    for key in extra[:1]:
        state = {f"a.{key.rpartition('.')[2]}": "more"}
        expect.raises(RuntimeError, partial(plain.load_state_dict, state), f"a load with {list(state)}")
        expect.equal(list(state), plain.load_state_dict(state, strict=False).unexpected_keys, "unexpected_keys")


# --- hooks ------------------------------------------------------------------------------------------------------


@cases(tree_sources.trees_looked_at("state hooks"))
def test_state_pre_hook_runs_before(case: Tree) -> None:
    """A state_dict pre-hook is called with its module, prefix and keep_vars before anything of the module is saved, on each module that has one."""  # noqa: E501
    module = case.build()
    for keep_vars in (False, True):
        seen: list[tuple[str, Any, bool]] = []

        def hook(part: Any, prefix: str, keep: bool, seen: Any = seen) -> None:
            seen.append((prefix, part, keep))
            part.register_buffer("noted", torch.ones(1))

        handles = [part.register_state_dict_pre_hook(hook) for part in module.modules()]
        state = module.state_dict(prefix="p.", keep_vars=keep_vars)
        wanted = sorted(f"p.{prefix}" for prefix in case.prefixes())
        expect.equal(wanted, sorted(prefix for prefix, _, _ in seen), "prefixes that hooks are called with, sorted")
        for prefix, part, keep in seen:
            expect.same_object(reach(module, prefix[2:-1]), part, f"module of the hook at {prefix!r}")
            expect.equal(keep_vars, keep, f"keep_vars of the hook at {prefix!r}")
            expect.equal(True, f"{prefix}noted" in state, f"whether what the hook at {prefix!r} did is in the state")
        for handle in handles:
            handle.remove()
        for part in module.modules():
            del part._buffers["noted"]


@cases(tree_sources.trees_looked_at("state hooks"))
def test_state_post_hook_changes_the_state(case: Tree) -> None:
    """A state_dict post-hook is called with its module, the dictionary with what was saved, its prefix and metadata, and what it changes in it stays."""  # noqa: E501
    module = case.build()
    seen: list[tuple[str, Any]] = []
    wanted = case.state()

    def hook(part: Any, state: Any, prefix: str, metadata: Any) -> None:
        seen.append((prefix, part))
        below = {key for key in wanted if key.startswith(prefix)}
        expect.equal(set(), below - set(state), f"keys below {prefix!r} that are not there")
        expect.equal(part._version, metadata["version"], f"version in the metadata of {prefix!r}")
        state[f"{prefix}noted"] = len(seen)

    for part in module.modules():
        part.register_state_dict_post_hook(hook)
    state = module.state_dict()
    expect.equal(sorted(case.prefixes()), sorted(p for p, _ in seen), "prefixes that hooks are called with, sorted")
    for number, (prefix, part) in enumerate(seen, 1):
        expect.same_object(reach(module, prefix[:-1]), part, f"module of the hook at {prefix!r}")
        expect.equal(number, state.pop(f"{prefix}noted", None), f"what the hook at {prefix!r} put into the state")
    module_state.state_holds(case, state, "what is left")


@cases(tree_sources.trees_looked_at("load hooks"))
def test_load_pre_hook_runs_before(case: Tree) -> None:
    """A load_state_dict pre-hook is called with its module and prefix before anything of the module is loaded, on each module that has one."""  # noqa: E501
    for strict in (True, False):
        module = case.build()
        seen: list[tuple[str, Any]] = []

        def hook(
            part: Any, state: Any, prefix: str, metadata: Any, strictly: Any, missing: Any, more: Any, errors: Any,
            seen: Any = seen, whole: Any = module,
        ) -> None:  # fmt: skip
            expect.equal(([], []), (list(missing), list(errors)), "missing keys and errors before")
            if case.has_ties():
                seen.append((prefix, part))
                return
            for key, (plan, _) in case.state().items():
                if key.startswith(prefix):
                    memory.same_elements(plan.array, memory.contents(reach(whole, key)), f"{key} before")
                    expect.equal(True, key in state, f"whether {key} is in the dictionary of the hook")
            seen.append((prefix, part))

        for part in module.modules():
            part.register_load_state_dict_pre_hook(hook)
        module.load_state_dict(case.turned().tensors(), strict=strict)
        expect.equal(sorted(case.prefixes()), sorted(p for p, _ in seen), "prefixes of the calls, sorted")
        for prefix, part in seen:
            expect.same_object(reach(module, prefix[:-1]), part, f"module of the hook at {prefix!r}")


@cases(tree_sources.trees_looked_at("renaming hook"))
def test_load_pre_hook_renames_keys(case: Tree) -> None:
    """Keys that a load_state_dict pre-hook renames are loaded under their new names, and the caller's dictionary keeps the old ones."""  # noqa: E501
    module, other = case.build(), case.turned()
    source = {f"old.{key}": value for key, value in other.tensors().items()}
    before = module_state.shown_state(source)

    def hook(part: Any, state: Any, *more: Any) -> None:
        for key in list(state):
            state[key.removeprefix("old.")] = state.pop(key)

    module.register_load_state_dict_pre_hook(hook)
    found = module.load_state_dict(source)
    expect.equal(([], []), (found.missing_keys, found.unexpected_keys), "missing and unexpected keys")
    module_state.module_holds(other, module, "the module")
    module_state.same_state(before, module_state.shown_state(source), "the caller's dictionary")


@cases(state_edits.lenient_loads)
def test_load_post_hook_runs_after(case: Edited) -> None:
    """A load_state_dict post-hook is called with its module and the incompatible keys after the module and all below it are loaded."""  # noqa: E501
    module, tree, turned = case.tree.build(), case.tree, case.tree.turned().state()
    absent = {tree.state()[key][1] for key in case.dropped}
    prefixes = {id(reach(module, prefix[:-1])): prefix for prefix in reversed(tree.prefixes())}
    seen: list[Any] = []

    def hook(part: Any, keys: Any) -> None:
        prefix = prefixes[id(part)]
        below = {key for key in case.dropped if key.startswith(prefix)}
        seen.append(part)
        expect.equal(set(), below - set(keys.missing_keys), f"missing keys below {prefix!r} that the hook is not told")
        for key, (plan, first) in turned.items():
            if key.startswith(prefix) and first not in absent:
                memory.same_elements(plan.array, memory.contents(reach(module, key)), f"{key} at the hook")

    for part in module.modules():
        part.register_load_state_dict_post_hook(hook)
    found = module.load_state_dict(case.source(), strict=False)
    expect.equal(len(tree.prefixes()), len(seen), "number of calls of hooks")
    expect.same_object(module, seen[-1], "module of the last call")
    expect.equal(sorted(case.dropped), sorted(found.missing_keys), "missing_keys, sorted")


@cases(state_edits.lenient_loads)
def test_load_post_hook_may_clear_the_keys(case: Edited) -> None:
    """Where a load_state_dict post-hook clears missing and unexpected keys, strict=True raises no error."""
    module = case.tree.build()

    def hook(part: Any, keys: Any) -> None:
        expect.equal(sorted(case.added), sorted(keys.unexpected_keys), "unexpected_keys, sorted")
        keys.missing_keys.clear()
        keys.unexpected_keys.clear()

    module.register_load_state_dict_post_hook(hook)
    for strict in (True, False):
        found = module.load_state_dict(case.source(), strict=strict)
        expect.equal(([], []), (found.missing_keys, found.unexpected_keys), "missing and unexpected keys")


@cases(tree_sources.trees_looked_at("adding hook"))
def test_load_post_hook_may_add_keys(case: Tree) -> None:
    """A key that a load_state_dict post-hook adds to either list is an error with strict=True, and is reported with strict=False."""  # noqa: E501
    for number, name in enumerate(("missing_keys", "unexpected_keys")):
        module = case.build()

        def hook(part: Any, keys: Any, number: int = number) -> None:
            keys[number].append("made.up")

        list(module.modules())[-1].register_load_state_dict_post_hook(hook)
        error = expect.raises(RuntimeError, partial(module.load_state_dict, case.tensors()), f"a key more in {name}")
        expect.that("made.up" in str(error), "the error", "it names 'made.up'", str(error))
        found = module.load_state_dict(case.tensors(), strict=False)
        expect.equal({"made.up"}, set(getattr(found, name)), name)


@cases(tree_sources.trees_looked_at("removed hook"))
def test_removed_load_post_hook_is_not_called(case: Tree) -> None:
    """After remove() of the handle a load_state_dict post-hook is called no more, and the others still are."""
    module = case.build()
    calls: list[str] = []
    part = list(module.modules())[-1]
    hooks = [part.register_load_state_dict_post_hook(lambda m, k, name=name: calls.append(name)) for name in "abc"]
    hooks[1].remove()
    module.load_state_dict(case.tensors())
    names = len([p for p in case.prefixes() if reach(module, p[:-1]) is part])
    expect.equal(["a", "c"] * names, calls, "hooks that are called")


# --- lazy modules -----------------------------------------------------------------------------------------------


@cases(stateful_modules.lazy_loads)
def test_lazy_state_shows_uninitialized_parameters(case: LazyLoad) -> None:
    """The state_dict of a lazy module before its first forward has its parameters, uninitialized."""
    state, source = case.build().state_dict(), case.source()
    module_state.same_keys(set(source), state, "state_dict()")
    for key in source:
        if key.endswith(("weight", "bias")):
            expect.equal(torch.nn.UninitializedParameter, type(state[key]), f"type of {key}")


@cases(stateful_modules.lazy_loads)
def test_lazy_module_loads_initialized_state(case: LazyLoad) -> None:
    """A lazy module that loads initialized state has it, in regular parameters."""
    module, source = case.build(), case.source()
    module.load_state_dict(source)
    for key, value in source.items():
        memory.same_elements(memory.contents(value), memory.contents(reach(module, key)), key)
        module_state.tensors_share(False, value, reach(module, key), f"{key} of the module and of the dictionary")
    for key, parameter in module.named_parameters():
        expect.equal(torch.nn.Parameter, type(parameter), f"type of {key}")


@cases(stateful_modules.lazy_runs)
def test_loaded_lazy_state_survives_the_dry_run(case: LazyLoad) -> None:
    """The first forward of a lazy module that has loaded initialized state leaves it."""
    survives_the_dry_run(case)


@cases(stateful_modules.lazy_instance_norms)
def test_loaded_lazy_instance_norm_survives_the_dry_run(case: LazyLoad) -> None:
    """The first forward of a lazy instance norm that has loaded initialized state leaves it."""
    survives_the_dry_run(case)


def survives_the_dry_run(case: LazyLoad) -> None:
    """Expect a module that has loaded initialized state to have it after a forward, in the same parameters."""
    module, source = case.build(), case.source()
    module.load_state_dict(source)
    parameters = dict(module.named_parameters())
    module(case.input())
    module_state.same_keys(set(source), module.state_dict(), "state_dict() after the forward")
    for key, value in source.items():
        memory.same_elements(memory.contents(value), memory.contents(reach(module, key)), f"{key} after the forward")
    for key, parameter in module.named_parameters():
        expect.same_object(parameters[key], parameter, key)


# --- the state of an optimizer ----------------------------------------------------------------------------------


@cases(trainings.stopped_trainings)
def test_optimizer_state_has_two_entries(case: Training) -> None:
    """The state_dict of an optimizer has the entries state and param_groups, with a list of ids for the parameters of each group, each id once."""  # noqa: E501
    state = case.start().run(0, case.before).optimizer.state_dict()
    expect.equal({"state", "param_groups"}, set(state), "entries")
    expect.equal([len(group) for group in case.groups], [len(g["params"]) for g in state["param_groups"]], "sizes")
    ids = [number for group in state["param_groups"] for number in group["params"]]
    expect.equal({int}, {type(number) for number in ids}, "types of the ids")
    expect.equal(case.count, len(set(ids)), "number of ids")
    expect.equal(set(), set(state["state"]) - set(ids), "keys of the state that are no ids")


@cases(trainings.stopped_trainings)
def test_optimizer_state_holds_no_parameter(case: Training) -> None:
    """No parameter is in the state_dict of an optimizer."""
    live = case.start().run(0, case.before)
    held = optimizer_state.tensors_within(live.optimizer.state_dict())
    expect.equal(False, any(isinstance(x, torch.nn.Parameter) for x in held), "whether a Parameter is held")
    for number, parameter in enumerate(live.parameters):
        for tensor in held:
            module_state.tensors_share(False, parameter, tensor, f"parameter {number} and a tensor of the state")


@cases(trainings.stopped_trainings)
def test_optimizer_state_is_that_of_each_parameter(case: Training) -> None:
    """The state that an optimizer has for a parameter is in its state_dict under the id that the parameter's group has in its place."""  # noqa: E501
    optimizer = case.start().run(0, case.before).optimizer
    state = optimizer.state_dict()
    ids = [number for group in state["param_groups"] for number in group["params"]]
    for number, wanted in zip(ids, optimizer_state.remembered(optimizer), strict=True):
        found = optimizer_state.shown_parts(state["state"].get(number, {}))
        optimizer_state.same_parts(wanted, found, f"the state under {number}")
    busy = [p for group in optimizer.param_groups for p in group["params"] if optimizer.state.get(p)]
    expect.equal(len(busy), len([x for x in state["state"].values() if x]), "number of parameters with a state")


@cases(trainings.stopped_trainings)
def test_optimizer_state_has_the_options(case: Training) -> None:
    """Each group of an optimizer's state_dict has all options of the group, with their values."""
    optimizer = case.start().run(0, case.before).optimizer
    found = [
        {name: optimizer_state.shown_parts(value) for name, value in group.items() if name != "params"}
        for group in optimizer.state_dict()["param_groups"]
    ]
    optimizer_state.same_parts(optimizer_state.group_options(optimizer), found, "the options")
    for number, group in enumerate(found):
        missing = {name for name, _ in case.options} - set(group)
        expect.equal(set(), missing, f"options of group {number} that the optimizer was given, and missing")


def goes_on(case: Training) -> None:
    """Expect a training that has loaded its state to go on as one that was never stopped."""
    resumed, whole = case.start().run(0, case.before).continued(), case.start().run(0, case.before)
    for turn in range(case.before, case.before + case.after):
        optimizer_state.same_numbers(
            whole.run(turn, turn + 1), resumed.run(turn, turn + 1), f"the training after step {turn}"
        )


@cases(trainings.trainings)
def test_optimizer_continues_as_if_never_stopped(case: Training) -> None:
    """An optimizer that loads the state of another, over parameters of the same numbers, goes on bit for bit as that would have."""  # noqa: E501
    goes_on(case)


@cases(trainings.single_trainings)
def test_optimizer_of_float32_continues(case: Training) -> None:
    """NAdam and ASGD over parameters of float32 that load the state of another go on bit for bit as that would have."""
    goes_on(case)


@cases(trainings.trainings)
def test_loaded_optimizer_has_the_state(case: Training) -> None:
    """An optimizer that has loaded the state of another has its state, in the same element types, and its options."""
    stopped = case.start().run(0, case.before)
    optimizer_state.same_trainings(stopped, stopped.continued(), "the training at the stop")
    busy = stopped.resumed()
    for parameter in busy.parameters:
        busy.optimizer.state[parameter]["of_before"] = torch.ones(1)
    busy.optimizer.load_state_dict(stopped.state())
    optimizer_state.same_trainings(stopped, busy, "the training of an optimizer that had a state before")


@cases(trainings.stopped_trainings)
def test_optimizer_ids_are_only_ids(case: Training) -> None:
    """The ids of a loaded state_dict may be any, and are matched with the optimizer's parameters by their places in the groups."""  # noqa: E501
    stopped = case.start().run(0, case.before)
    state, plain = stopped.state(), stopped.continued()
    for shift, factor in ((7, 1), (50, -1)):
        renamed = {
            "state": {shift + factor * number: part for number, part in copy.deepcopy(state["state"]).items()},
            "param_groups": [
                {**group, "params": [shift + factor * number for number in group["params"]]}
                for group in copy.deepcopy(state["param_groups"])
            ],
        }
        resumed = stopped.resumed()
        resumed.optimizer.load_state_dict(renamed)
        optimizer_state.same_trainings(plain, resumed, f"the training with ids {shift} {factor:+d} * n")


@cases(trainings.stopped_trainings)
def test_other_groups_are_refused(case: Training) -> None:
    """A state_dict with another number of groups, or of parameters in a group, is refused with a ValueError."""
    live = case.start().run(0, case.before)
    before = optimizer_state.remembered(live.optimizer)
    for number in range(len(case.groups)):
        for change in ("none", "a group more", "one less", "one more"):
            state = copy.deepcopy(live.optimizer.state_dict())
            ids = state["param_groups"][number]["params"]
            if change == "none":
                del state["param_groups"][number]
            elif change == "a group more":
                state["param_groups"].append({**state["param_groups"][number], "params": [99]})
            else:
                state["param_groups"][number]["params"] = ids[:-1] if change == "one less" else [*ids, 99]
            expect.raises(
                ValueError, partial(live.optimizer.load_state_dict, state), f"a load with {change} in group {number}"
            )
    optimizer_state.same_parts(before, optimizer_state.remembered(live.optimizer), "the state after refusals")


@cases(trainings.stopped_trainings)
def test_loaded_optimizer_shares_no_state(case: Training) -> None:
    """After an optimizer has loaded the state of another, a step of either leaves the state of the other and the dictionary as they were."""  # noqa: E501
    first = case.start().run(0, case.before)
    second, state = first.resumed(), first.state()
    second.optimizer.load_state_dict(state)
    shown = optimizer_state.remembered(second.optimizer)
    first.run(case.before, case.before + 1)
    optimizer_state.same_parts(shown, optimizer_state.remembered(second.optimizer), "the state of the second")
    shown, kept = optimizer_state.remembered(first.optimizer), optimizer_state.shown_parts(state)
    second.run(case.before, case.before + 2)
    optimizer_state.same_parts(shown, optimizer_state.remembered(first.optimizer), "the state of the first")
    optimizer_state.same_parts(kept, optimizer_state.shown_parts(state), "the dictionary")


@cases(trainings.stopped_trainings)
def test_optimizer_load_leaves_the_dictionary(case: Training) -> None:
    """load_state_dict of an optimizer leaves the dictionary as it was."""
    stopped = case.start().run(0, case.before)
    state = stopped.state()
    parts, shown = optimizer_state.tensors_within(state), optimizer_state.shown_parts(state)
    stopped.resumed(other=True).optimizer.load_state_dict(state)
    optimizer_state.same_parts(shown, optimizer_state.shown_parts(state), "the dictionary")
    for one, other in zip(parts, optimizer_state.tensors_within(state), strict=True):
        expect.same_object(one, other, "a tensor of the dictionary")


@cases(trainings.stopped_trainings)
def test_optimizer_load_keeps_the_parameters(case: Training) -> None:
    """load_state_dict of an optimizer leaves it the very parameters that it has, with their numbers and gradients."""
    stopped, other = case.start().run(0, case.before), case.start().run(0, 1)
    parameters = [p for group in other.optimizer.param_groups for p in group["params"]]
    before = [(p.grad, memory.contents(p)) for p in parameters]
    other.optimizer.load_state_dict(stopped.state())
    optimizer_state.same_parameters(parameters, other.optimizer, "the optimizer")
    for number, (parameter, (grad, numbers)) in enumerate(zip(parameters, before, strict=True)):
        expect.same_object(grad, parameter.grad, f"gradient of parameter {number}")
        memory.same_elements(numbers, memory.contents(parameter), f"parameter {number}")


@cases(trainings.stopped_trainings)
def test_optimizer_load_takes_the_options(case: Training) -> None:
    """An optimizer has the options of the state that it has loaded, whatever it was made with."""
    stopped = case.start().run(0, case.before)
    stopped.optimizer.param_groups[-1]["layer"] = "head"  # what a program keeps in a group is one of its options
    resumed = stopped.resumed(other=True)
    resumed.optimizer.load_state_dict(stopped.state())
    wanted = optimizer_state.group_options(stopped.optimizer)
    optimizer_state.same_parts(wanted, optimizer_state.group_options(resumed.optimizer), "the options")


@cases(trainings.stopped_trainings)
def test_group_is_added_behind_the_others(case: Training) -> None:
    """add_param_group adds a group behind the others, with the defaults for what it does not say; the state of the others stays, and the state_dict has the group too."""  # noqa: E501
    live = case.start().run(0, case.before)
    optimizer = live.optimizer
    before, options = optimizer_state.remembered(optimizer), optimizer_state.group_options(optimizer)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.param_groups[0]["lr"] = options[0]["lr"] = 0.625
    more = [torch.nn.Parameter(torch.ones_like(p.detach())) for p in live.parameters[-1:] * 2]
    optimizer.add_param_group({"params": more[:1], "lr": 0.75})
    optimizer.add_param_group({"params": more[1:]})
    optimizer_state.same_parameters([*held, *more], optimizer, "the optimizer")
    optimizer_state.same_parts([*before, {}, {}], optimizer_state.remembered(optimizer), "the state")
    defaults = {name: optimizer_state.shown_parts(v) for name, v in optimizer.defaults.items()}
    found = optimizer_state.group_options(optimizer)
    optimizer_state.same_parts(options, found[:-2], "the options of the groups of before")
    for wanted, group in zip(({**defaults, "lr": 0.75}, defaults), found[-2:], strict=True):
        optimizer_state.same_parts(wanted, {name: group[name] for name in defaults}, "the options of a new group")
    expect.equal(len(case.groups) + 2, len(optimizer.state_dict()["param_groups"]), "number of groups of the state")


# --- names and hooks of an optimizer ----------------------------------------------------------------------------


@cases(trainings.named_trainings)
def test_parameter_names_are_saved(case: Training) -> None:
    """The names that an optimizer is given with its parameters are in each group of its state_dict, and only then."""
    plain = case.start()
    named = case.over(plain.parameters, named="net.w").run(0, case.before)
    place = 0
    for number, group in enumerate(named.optimizer.state_dict()["param_groups"]):
        wanted = [f"net.w{place + n}" for n in range(len(case.groups[number]))]
        place += len(wanted)
        expect.equal(wanted, group.get("param_names"), f"param_names of group {number}")
    for number, group in enumerate(plain.optimizer.state_dict()["param_groups"]):
        expect.equal(False, "param_names" in group, f"whether group {number} has names that nobody gave")


@cases(trainings.named_trainings)
def test_parameter_names_do_not_affect_loading(case: Training) -> None:
    """Parameters are matched by their places, whatever names they have in the optimizer and in the state."""
    first = case.start().run(0, case.before)
    plain = first.continued()
    named = case.over(first.parameters, named="w")
    named.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    state = copy.deepcopy(named.optimizer.state_dict())
    for group in state["param_groups"]:
        group["param_names"] = [f"w{n}" for n in range(90, 90 - len(group["params"]), -1)]
    other = first.resumed()
    other.optimizer.load_state_dict(state)
    for found in (named, other):
        for group in found.optimizer.param_groups:
            group.pop("param_names", None)
        optimizer_state.same_trainings(plain, found, "the training")


@cases(trainings.named_trainings)
def test_loaded_parameter_names_override(case: Training) -> None:
    """Names in a loaded state take the place of the optimizer's, and where there are none the optimizer's stay."""
    first = case.start().run(0, case.before)
    state = copy.deepcopy(first.optimizer.state_dict())
    named = case.over(first.resumed().parameters, named="own")
    own = [list(group["param_names"]) for group in named.optimizer.param_groups]
    named.optimizer.load_state_dict(state)
    expect.equal(own, [g.get("param_names") for g in named.optimizer.param_groups], "names without names in the state")
    theirs = [[f"their{n}" for n in range(len(group))] for group in case.groups]
    for group, names in zip(state["param_groups"], theirs, strict=True):
        group["param_names"] = names
    for live in (named, first.resumed()):
        live.optimizer.load_state_dict(copy.deepcopy(state))
        expect.equal(theirs, [g.get("param_names") for g in live.optimizer.param_groups], "names of the state")


@cases(trainings.named_trainings)
def test_optimizer_state_hooks_run_around(case: Training) -> None:
    """state_dict hooks of an optimizer get it before and the dictionary after, in order of registration or before all with prepend, until removed."""  # noqa: E501
    optimizer = case.start().run(0, case.before).optimizer
    wanted = optimizer_state.shown_parts(optimizer.state_dict())
    log: list[str] = []

    def before(name: str, given: Any) -> None:
        expect.same_object(optimizer, given, f"what pre-hook {name} is given")
        log.append(name)

    def after(name: str, given: Any, state: Any) -> None:
        expect.same_object(optimizer, given, f"what post-hook {name} is given")
        log.append(name)
        state.setdefault("noted", []).append(name)

    first = optimizer.register_state_dict_pre_hook(partial(before, "b"))
    optimizer.register_state_dict_pre_hook(partial(before, "c"))
    optimizer.register_state_dict_pre_hook(partial(before, "a"), prepend=True)
    last = optimizer.register_state_dict_post_hook(partial(after, "y"))
    optimizer.register_state_dict_post_hook(partial(after, "z"))
    optimizer.register_state_dict_post_hook(partial(after, "x"), prepend=True)
    state = optimizer.state_dict()
    expect.equal(["a", "b", "c", "x", "y", "z"], log, "hooks in the order of their calls")
    expect.equal(["x", "y", "z"], state.pop("noted"), "what the hooks wrote into the state")
    optimizer_state.same_parts(wanted, optimizer_state.shown_parts(state), "the state")
    first.remove()
    last.remove()
    log.clear()
    optimizer.state_dict()
    expect.equal(["a", "c", "x", "z"], log, "hooks after two were removed")


@cases(trainings.named_trainings)
def test_optimizer_state_hook_replaces_the_state(case: Training) -> None:
    """What a state_dict post-hook of an optimizer returns is passed to the next one, and returned."""
    optimizer = case.start().optimizer
    seen: list[Any] = []
    replaced: dict[str, Any] = {"other": 1}

    def note(given: Any, state: Any) -> None:
        seen.append(state)

    optimizer.register_state_dict_post_hook(note)
    optimizer.register_state_dict_post_hook(lambda given, state: replaced)
    optimizer.register_state_dict_post_hook(note)
    expect.same_object(replaced, optimizer.state_dict(), "the state")
    expect.equal(False, seen[0] is replaced, "whether the first hook got what the second returned")
    expect.same_object(replaced, seen[1], "what the third hook got")


@cases(trainings.named_trainings)
def test_optimizer_load_pre_hook_changes_what_is_loaded(case: Training) -> None:
    """A load_state_dict pre-hook of an optimizer gets it and a shallow copy of the dictionary before the load; what it returns, or makes of that, is loaded."""  # noqa: E501
    stopped = case.start().run(0, case.before)
    state = copy.deepcopy(stopped.optimizer.state_dict())
    kept = optimizer_state.shown_parts(state)
    for way in ("returned", "in place"):
        live = stopped.resumed(other=True)
        rates = [group["lr"] for group in live.optimizer.param_groups]

        def change(given: Any, found: Any, way: str = way, live: Any = live, rates: Any = rates) -> Any:
            expect.same_object(live.optimizer, given, "what the hook is given")
            expect.equal(rates, [group["lr"] for group in given.param_groups], "learning rates before the load")
            expect.equal(True, found is not state and found.keys() == state.keys(), "whether it is a shallow copy")
            groups = [{**group, "lr": 0.625} for group in found["param_groups"]]
            if way == "returned":
                return {**found, "param_groups": groups}
            found["param_groups"] = groups
            return None

        live.optimizer.register_load_state_dict_pre_hook(change)
        live.optimizer.load_state_dict(state)
        wanted = [0.625] * len(case.groups)
        expect.equal(wanted, [group["lr"] for group in live.optimizer.param_groups], f"learning rates, {way}")
        optimizer_state.same_parts(kept, optimizer_state.shown_parts(state), "the caller's dictionary")


@cases(trainings.named_trainings)
def test_optimizer_load_hooks_run_around(case: Training) -> None:
    """load_state_dict hooks of an optimizer are called before and after the load, in order of registration or before all with prepend, until removed."""  # noqa: E501
    stopped = case.start().run(0, case.before)
    live = stopped.resumed(other=True)
    rates = [group["lr"] for group in stopped.optimizer.param_groups]
    log: list[str] = []

    def before(name: str, given: Any, state: Any) -> None:
        log.append(name)

    def after(name: str, given: Any) -> None:
        expect.same_object(live.optimizer, given, f"what post-hook {name} is given")
        expect.equal(rates, [group["lr"] for group in given.param_groups], "learning rates after the load")
        log.append(name)

    first = live.optimizer.register_load_state_dict_pre_hook(partial(before, "b"))
    live.optimizer.register_load_state_dict_pre_hook(partial(before, "a"), prepend=True)
    last = live.optimizer.register_load_state_dict_post_hook(partial(after, "y"))
    live.optimizer.register_load_state_dict_post_hook(partial(after, "z"))
    live.optimizer.register_load_state_dict_post_hook(partial(after, "x"), prepend=True)
    live.optimizer.load_state_dict(stopped.state())
    expect.equal(["a", "b", "x", "y", "z"], log, "hooks in the order of their calls")
    first.remove()
    last.remove()
    log.clear()
    live.optimizer.load_state_dict(stopped.state())
    expect.equal(["a", "x", "z"], log, "hooks after two were removed")


# --- the state of a scheduler -----------------------------------------------------------------------------------


@cases(schedules.schedules)
def test_scheduler_state_excludes_the_optimizer(case: Schedule) -> None:
    """The optimizer is not in the state_dict of a scheduler, nor in that of one that it is made of."""
    live = case.start()
    live.run(0, case.before)
    held = parts_within(live.scheduler.state_dict())
    expect.equal(0, len([x for x in held if isinstance(x, torch.optim.Optimizer)]), "number of optimizers in the state")
    for parameter in [p for group in live.optimizer.param_groups for p in group["params"]]:
        expect.equal(False, any(x is parameter for x in held), "whether a parameter is in the state")


def parts_within(value: Any) -> list[Any]:
    """Everything that a value holds, itself included."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [value, *(x for part in parts for x in parts_within(part))]


@cases(schedules.schedules)
def test_scheduler_continues_as_if_never_stopped(case: Schedule) -> None:
    """A scheduler that loads the state of another, beside an optimizer that loads that of the other's, goes on as that would have."""  # noqa: E501
    whole, stopped = case.start(), case.start()
    wanted = whole.run(0, case.before + case.after)[case.before :]
    stopped.run(0, case.before)
    resumed = stopped.resumed()
    expect.equal(stopped.rates(), resumed.rates(), "learning rates and momenta at the stop")
    before, after = (simple_parts(live.scheduler.state_dict()) for live in (stopped, resumed))
    expect.equal(before, after, "numbers and texts of the state at the stop")
    expect.equal(wanted, resumed.run(case.before, case.before + case.after), "learning rates and momenta after it")
    if not case.metric:
        expect.equal(whole.scheduler.get_last_lr(), resumed.scheduler.get_last_lr(), "get_last_lr()")
    expect.equal(whole.epoch, resumed.epoch, "last_epoch")


@cases(schedules.schedules)
def test_scheduler_load_leaves_the_dictionary(case: Schedule) -> None:
    """load_state_dict of a scheduler leaves the dictionary as it was, with all its keys."""
    live, other = case.start(), case.start(other=True)
    live.run(0, case.before)
    state = live.scheduler.state_dict()
    before = copy.deepcopy(state)
    other.scheduler.load_state_dict(state)
    expect.equal(set(before), set(state), "keys of the dictionary")
    simple = {key: value for key, value in before.items() if isinstance(value, int | float | str | None)}
    expect.equal(simple, {key: state[key] for key in simple}, "numbers of the dictionary")
    again = case.start(other=True)
    again.scheduler.load_state_dict(state)
    expect.equal(live.epoch, again.epoch, "last_epoch after a second load")


@cases(schedules.schedules)
def test_scheduler_state_has_every_variable(case: Schedule) -> None:
    """The state_dict of a scheduler has an entry for every variable of the scheduler that is not the optimizer."""
    live = case.start()
    live.run(0, case.before)
    state = live.scheduler.state_dict()
    wanted = {name for name, value in vars(live.scheduler).items() if simple_value(value)}
    expect.equal(set(), wanted - set(state), "variables that are not in the state")
    for name in wanted:
        expect.equal(getattr(live.scheduler, name), state[name], f"{name} in the state")


def simple_parts(value: Any) -> Any:
    """A value without what is no number, text or None."""
    if isinstance(value, dict):
        return {key: simple_parts(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [simple_parts(part) for part in value]
    return value if simple_value(value) else None


def simple_value(value: Any) -> bool:
    """Whether a value is a number, a text or None, or a list of such."""
    parts = value if isinstance(value, list) else [value]
    return all(isinstance(x, int | float | str) or x is None for x in parts)


@cases(schedules.schedules)
def test_callable_objects_are_saved_and_functions_are_not(case: Schedule) -> None:
    """The state_dict of a scheduler with functions of the epoch has the variables of each that is a callable object, and of a function nothing."""  # noqa: E501
    live = case.start()
    held = parts_within(live.scheduler.state_dict())
    expect.equal(0, len([x for x in held if x is schedules.falling]), "number of functions in the state")
    expect.equal(case.multiplier == "object", {"rate": 0.5} in held, "whether the variables of the objects are saved")
    other = case.start(other=True)
    other.scheduler.load_state_dict(copy.deepcopy(live.scheduler.state_dict()))
    for function in other.scheduler.lr_lambdas:
        wanted = 0.5 if case.multiplier == "object" else None
        expect.equal(wanted, getattr(function, "rate", None), "rate of a function after the load")


@cases(schedules.schedules)
def test_wrapped_schedulers_are_saved(case: Schedule) -> None:
    """The state_dict of a scheduler made of others has the states of all of them."""
    live = case.start()
    live.run(0, case.before)
    held = parts_within(live.scheduler.state_dict())
    for part in live.scheduler._schedulers:
        wanted = {key: value for key, value in part.state_dict().items() if simple_value(value)}
        found = [x for x in held if isinstance(x, dict) and wanted.items() <= x.items()]
        expect.that(bool(found), "the state", f"it holds {wanted}", f"{len(held)} parts without")
