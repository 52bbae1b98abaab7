"""Checks of ``specs/serialization.yaml``: files, pickles and copies.

Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import torch

from conformance.engine.cases import cases
from conformance.inputs import stored_objects, stored_tensors, stored_trees
from conformance.inputs.stored_objects import StoredObject, optimizer_of, optimizer_steps
from conformance.inputs.stored_tensors import Stored
from conformance.inputs.stored_trees import StoredViews
from conformance.oracles import expect, memory
from conformance.oracles.stored import (
    own_memory,
    same_module,
    same_placement,
    same_sharing,
    same_stored,
    same_tree,
    stored_bits,
    stored_marks,
    tensors_in,
    writes_are_seen,
)

# --- tensors ----------------------------------------------------------------------------------------------------


@cases(stored_tensors.stored_tensors)
def test_tensor_comes_back(case: Stored) -> None:
    """A tensor that is saved and loaded has the element type, the shape, the device and the very bits that it had."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")


@cases(stored_tensors.stored_tensors)
def test_strides_and_offset_come_back(case: Stored) -> None:
    """A tensor that is saved and loaded has the strides and the storage offset that it had."""
    x = case.build()
    same_placement(x, case.route.carry(x), "the loaded tensor")


@cases(stored_tensors.stored_few)
def test_loaded_tensor_has_its_own_memory(case: Stored) -> None:
    """A loaded tensor shares no memory with the one that was saved, nor with what is loaded again from the same file."""
    x = case.build()
    first, second = case.route.carry(x), case.route.carry(x)
    own_memory(x, first, "the loaded tensor and the saved one")
    own_memory(first, second, "two loaded tensors")


@cases(stored_tensors.stored_flags)
def test_saving_changes_nothing(case: Stored) -> None:
    """Saving leaves the tensor as it is, with its memory, its version, its flag and its gradient."""
    x = case.build()
    before = stored_marks(x)
    case.route.carry(x)
    expect.equal(before, stored_marks(x), "the tensor that was saved")


@cases(stored_tensors.stored_flags)
def test_requires_grad_comes_back(case: Stored) -> None:
    """A loaded tensor requires grad as the saved one did, is a leaf, and is a Parameter where that was one."""
    x = case.build()
    found = case.route.carry(x)
    expect.equal(type(x), type(found), "type of the loaded tensor")
    expect.equal(x.requires_grad, found.requires_grad, "requires_grad of the loaded tensor")
    expect.equal((True, None), (found.is_leaf, found.grad_fn), "whether the loaded tensor is a leaf, and its grad_fn")


@cases(stored_tensors.stored_patterns)
def test_nan_payloads_come_back(case: Stored) -> None:
    """Every bit pattern comes back, be it that of a signalling NaN, of a NaN with a payload or of -0.0."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")


@cases(stored_tensors.stored_small_floats)
def test_small_floats_come_back(case: Stored) -> None:
    """Tensors of the floating types of eight bits come back bit for bit."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")


@cases(stored_tensors.stored_young_types)
def test_old_format_takes_every_type(case: Stored) -> None:
    """The old format takes tensors of the youngest element types too, and they come back from it."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")


@cases(stored_tensors.stored_lazy)
def test_lazy_views_come_back(case: Stored) -> None:
    """A tensor with a conjugate or a negative bit comes back with the values that it showed."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")


@cases(stored_tensors.stored_layouts)
def test_sparse_tensors_come_back(case: Stored) -> None:
    """A sparse tensor comes back with its layout, its shape, its indices and its values."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")


@cases(stored_tensors.stored_meta)
def test_meta_tensors_come_back(case: Stored) -> None:
    """A tensor on the meta device comes back on it, with its element type, its shape and its strides."""
    x = case.build()
    found = same_stored(x, case.route.carry(x), "the loaded tensor")
    expect.equal(x.stride(), found.stride(), "strides of the loaded tensor")


@cases(stored_tensors.stored_requiring)
def test_gradient_comes_back_or_is_lost(case: Stored) -> None:
    """The gradient of a tensor that was saved is lost, or comes back as it was."""
    x = case.build()
    x.grad = x.detach() * 3
    found = case.route.carry(x)
    if found.grad is not None:
        same_stored(x.grad, found.grad, "the gradient of the loaded tensor")


@cases(stored_tensors.stored_requiring)
def test_attributes_come_back_or_are_lost(case: Stored) -> None:
    """An attribute that was set on a tensor is lost, or comes back as it was."""
    x = case.build()
    x.note = {"rows": [1, 2]}
    found = getattr(case.route.carry(x), "note", {"rows": [1, 2]})
    expect.equal({"rows": [1, 2]}, found, "the attribute of the loaded tensor")


# --- views ------------------------------------------------------------------------------------------------------


@cases(stored_trees.stored_views)
def test_views_share_after_loading(case: StoredViews) -> None:
    """Tensors that lay in one storage lie in one storage after loading, in the same places."""
    tensors = case.tensors()
    found = tensors_in(case.route.carry(case.boxed(tensors)))
    same_sharing(tensors, found, "loaded tensor")
    for number, (expected, got) in enumerate(zip(tensors, found, strict=True)):
        same_stored(expected, got, f"loaded tensor {number}")


@cases(stored_trees.stored_views)
def test_write_to_a_loaded_view_is_seen(case: StoredViews) -> None:
    """What is written to a loaded tensor is seen in every other one that is a view of the same elements."""
    tensors = case.tensors()
    writes_are_seen(tensors, tensors_in(case.route.carry(case.boxed(tensors))))


@cases(stored_trees.stored_copies)
def test_copies_stay_apart(case: StoredViews) -> None:
    """Tensors with storages of their own have storages of their own after loading, also where values are equal."""
    tensors = case.tensors()
    found = tensors_in(case.route.carry(case.boxed(tensors)))
    same_sharing(tensors, found, "loaded tensor")


@cases(stored_trees.stored_twice)
def test_one_tensor_stays_one(case: StoredViews) -> None:
    """A tensor that is saved in several places of one object is one tensor object after loading."""
    tensors = case.tensors()
    found = tensors_in(case.route.carry(case.boxed(tensors)))
    numbers = [[id(x) for x in group] for group in (tensors, found)]
    first, second = ([group.index(x) for x in group] for group in numbers)
    expect.equal(first, second, "number of the first place of each loaded tensor")


@cases(stored_tensors.stored_parts)
def test_whole_storage_is_saved(case: Stored) -> None:
    """A tensor that is a part of a larger storage comes back in a storage of that size, with all of its bytes."""
    x = case.build()
    memory.same_bytes(memory.storage_bytes(x), memory.storage_bytes(case.route.carry(x)), "storage of the loaded tensor")


@cases(stored_tensors.stored_parts)
def test_clone_is_saved_alone(case: Stored) -> None:
    """A clone of a part of a larger storage comes back in a storage that holds its values and nothing else."""
    x = case.build().clone(memory_format=torch.contiguous_format)
    memory.same_bytes(stored_bits(x), memory.storage_bytes(case.route.carry(x)), "storage of the loaded clone")


@cases(stored_trees.stored_reinterpreted)
def test_reinterpreted_storage_is_right_or_refused(case: StoredViews) -> None:
    """One storage that is saved as two element types comes back shared and with the right values, or is refused."""
    tensors = case.tensors()
    try:
        found = tensors_in(case.route.carry(case.boxed(tensors)))
    except RuntimeError:
        return
    same_sharing(tensors, found, "loaded tensor")
    for number, (expected, got) in enumerate(zip(tensors, found, strict=True)):
        same_stored(expected, got, f"loaded tensor {number}")


# --- objects ----------------------------------------------------------------------------------------------------


@cases(stored_objects.trusted_objects)
def test_primitive_objects_come_back(case: StoredObject) -> None:
    """Numbers, strings, None, lists, tuples and dictionaries, nested and with tensors in them, come back the same."""
    thing = case.build()
    same_tree(thing, case.route.carry(thing))


@cases(stored_objects.trusted_floats)
def test_floats_come_back(case: StoredObject) -> None:
    """Floating-point numbers come back with every bit, their NaN, infinities and -0.0 too."""
    thing = case.build()
    same_tree(thing, case.route.carry(thing))


@cases(stored_objects.other_objects)
def test_any_object_comes_back(case: StoredObject) -> None:
    """Whatever can be pickled comes back where weights_only is False."""
    thing = case.build()
    same_tree(thing, case.route.carry(thing))


@cases(stored_objects.stored_modules)
def test_modules_come_back(case: StoredObject) -> None:
    """A module comes back with its class, its mode, its attributes, and all parameters and buffers."""
    module = case.module()
    same_module(module, case.route.carry(module))


@cases(stored_objects.stored_states)
def test_state_dict_comes_back(case: StoredObject) -> None:
    """A state dict that is saved, loaded and loaded into a new module makes that module equal to the first one."""
    first, second = case.module(), case.module()
    with torch.no_grad():
        for tensor in second.state_dict().values():
            tensor.zero_()
    found = case.route.carry(first.state_dict())
    same_tree(dict(first.state_dict()), dict(found), "the loaded state dict")
    expect.equal("<All keys matched successfully>", str(second.load_state_dict(found)), "what load_state_dict returns")
    same_tree(dict(first.state_dict()), dict(second.state_dict()), "the state dict of the second module")


@cases(stored_objects.stored_optimizers)
def test_optimizer_continues_from_a_file(case: StoredObject) -> None:
    """An optimizer that takes its state from a file goes on as if it had never stopped."""
    first, parameters = optimizer_of(case)
    optimizer_steps(first, parameters, 2)
    second, others = optimizer_of(case)
    for parameter, other in zip(parameters, others, strict=True):
        other.data.copy_(parameter.data)
    second.load_state_dict(case.route.carry(first.state_dict()))
    optimizer_steps(first, parameters, 2)
    optimizer_steps(second, others, 2)
    same_tree([x.detach() for x in parameters], [x.detach() for x in others], "the parameters after two more steps")
    same_tree(first.state_dict(), second.state_dict(), "the state after two more steps")


# --- files ------------------------------------------------------------------------------------------------------


@cases(stored_tensors.stored_held)
def test_saved_to_every_kind_of_file(case: Stored) -> None:
    """An object is saved to a path and to a file-like object, and loaded from a path and from one."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")
