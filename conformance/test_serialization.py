"""Checks of ``specs/serialization.yaml``: files, pickles and copies.

Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import copy
import io
import mmap
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conformance.engine.cases import cases
from conformance.inputs import (
    stored_archives,
    stored_copies,
    stored_objects,
    stored_places,
    stored_tensors,
    stored_trees,
)
from conformance.inputs.looks import looked_at
from conformance.inputs.stored_archives import Damage, HandMade, NamedGlobal, NoCheckpoint
from conformance.inputs.stored_copies import ClosedSeek, Copied, Environment, OldString
from conformance.inputs.stored_files import OwnPickle, stored_path, write_stored
from conformance.inputs.stored_objects import StoredObject, StoredPair, optimizer_of, optimizer_steps
from conformance.inputs.stored_places import (
    TRIPPED,
    Placed,
    Trusting,
    Untrusted,
    forgotten,
    own_safe_globals,
    tag_of,
    tag_registered,
)
from conformance.inputs.stored_tensors import Stored
from conformance.inputs.stored_trees import StoredViews
from conformance.oracles import expect, memory
from conformance.oracles.archives import documented_order, entries_of, mapped_from, storages_in
from conformance.oracles.children import outlives
from conformance.oracles.damage import each_is_loaded_or_told, each_raises, load_or_error
from conformance.oracles.stored import (
    flags_come_back,
    hand_made_bits,
    hand_made_values,
    not_refused,
    own_memory,
    reversed_words,
    same_copy,
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

# What listings do before they look into the archive of ``things``.
SAVED_AGAIN = "import io, zipfile\nfile = io.BytesIO()\ntorch.save(things, file)\n"


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
    """A loaded tensor shares no memory with the one that was saved, nor with what is loaded again."""
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
    flags_come_back(case)


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


@cases(stored_tensors.stored_youngest)
def test_youngest_types_come_back(case: Stored) -> None:
    """Tensors of the unsigned types of more than eight bits and of complex32 come back from an archive."""
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


@cases(stored_tensors.stored_attributed)
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
    memory.same_bytes(
        memory.storage_bytes(x), memory.storage_bytes(case.route.carry(x)), "storage of the loaded tensor"
    )


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


@cases(stored_objects.other_objects)
def test_pickle_module_is_used(case: StoredObject) -> None:
    """torch.save and torch.load pickle by the pickle_module that they are given, and what is loaded is equal."""
    own, thing = OwnPickle(), case.build()
    buffer = io.BytesIO()
    torch.save(thing, buffer, pickle_module=own.module(), **case.route.save_options())
    expect.that("Pickler" in own.made, "what torch.save made", "a Pickler of the module", repr(own.made))
    buffer.seek(0)
    found = torch.load(buffer, pickle_module=own.module(), weights_only=False)
    expect.that("Unpickler" in own.made, "what torch.load made", "an Unpickler of the module", repr(own.made))
    same_tree(thing, found)


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


@cases(stored_tensors.stored_path_likes)
def test_saved_to_any_path_like(case: Stored) -> None:
    """An object is saved to and loaded from whatever implements os.PathLike."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")


# --- the format -------------------------------------------------------------------------------------------------


@cases(looked_at(SAVED_AGAIN + "print(zipfile.ZipFile(file).namelist())", stored_trees.stored_copies))
def test_archive_has_the_documented_files(case: StoredViews) -> None:
    """The archive holds data.pkl, byteorder, a file in data/ for each storage, and version, in this order."""
    tensors = case.tensors()
    documented_order(write_stored(case.boxed(tensors), "BytesIO", ""), len(storages_in(tensors)))


@cases(looked_at("import zipfile\nprint(zipfile.ZipFile(file).infolist())", stored_tensors.stored_few))
def test_archive_is_not_compressed(case: Stored) -> None:
    """torch.save writes a ZIP archive whose files are not compressed."""
    written = write_stored(case.build(), "BytesIO", "")
    expect.equal(True, zipfile.is_zipfile(io.BytesIO(written)), "whether the file is a ZIP archive")
    expect.equal([], [entry.name for entry in entries_of(written) if not entry.plain], "compressed files")


@cases(
    looked_at(
        SAVED_AGAIN + "print([(info.filename, info.header_offset) for info in zipfile.ZipFile(file).infolist()])",
        stored_trees.stored_copies,
    )
)
def test_records_are_aligned(case: StoredViews) -> None:
    """Every file of the archive begins at a multiple of 64 bytes."""
    found = entries_of(write_stored(case.boxed(case.tensors()), "BytesIO", ""))
    expect.equal([], [(entry.name, entry.start) for entry in found if entry.start % 64], "files that begin elsewhere")


@cases(looked_at("import zipfile\nprint(zipfile.ZipFile(file).read('archive/byteorder'))", stored_tensors.stored_few))
def test_byte_order_is_told(case: Stored) -> None:
    """The file byteorder of an archive is the word for this machine's byte order."""
    records = stored_archives.archive_records(write_stored(case.build(), "BytesIO", ""))
    expect.equal(sys.byteorder.encode(), records.get("byteorder"), "contents of byteorder")


@cases(
    looked_at(
        SAVED_AGAIN + "print([(info.filename, info.file_size) for info in zipfile.ZipFile(file).infolist()])",
        stored_trees.stored_views,
    )
)
def test_storages_are_files(case: StoredViews) -> None:
    """Each storage is one file of the archive with its very bytes, however many tensors lie in it."""
    tensors = case.tensors()
    records = stored_archives.archive_records(write_stored(case.boxed(tensors), "BytesIO", ""))
    found = [record for name, record in records.items() if name.startswith("data/")]
    expected = storages_in(tensors)
    expect.equal(len(expected), len(found), "number of storages in the archive")
    for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
        memory.same_bytes(wanted, got, f"file {number} of data/")


@cases(stored_objects.protocols)
def test_protocol_is_used(case: StoredObject) -> None:
    """The object is pickled with the protocol that torch.save is given, and with the second one by default."""
    records = stored_archives.archive_records(write_stored(case.build(), "BytesIO", "", **case.route.save_options()))
    expect.equal(bytes([0x80, case.route.protocol]), records["data.pkl"][:2], "first bytes of data.pkl")
    same_tree(case.build(), case.route.carry(case.build()))


@cases(stored_tensors.stored_few)
def test_old_format_is_no_archive(case: Stored) -> None:
    """What is saved with _use_new_zipfile_serialization=False is no ZIP archive, and torch.load loads it."""
    x = case.build()
    written = write_stored(x, "BytesIO", "", _use_new_zipfile_serialization=False)
    expect.equal(False, zipfile.is_zipfile(io.BytesIO(written)), "whether the file is a ZIP archive")
    same_stored(x, torch.load(io.BytesIO(written), weights_only=True), "the loaded tensor")


@cases(looked_at("import zipfile\nprint(zipfile.ZipFile(file).testzip())", stored_tensors.stored_few))
def test_checksums_are_written(case: Stored) -> None:
    """The archive has the right checksum of each of its files."""
    expect.equal(True, torch.serialization.get_crc32_options(), "what get_crc32_options says by default")
    with zipfile.ZipFile(io.BytesIO(write_stored(case.build(), "BytesIO", ""))) as archive:
        expect.equal(None, archive.testzip(), "first file with a wrong checksum")


@cases(
    looked_at(
        "torch.serialization.set_crc32_options(False)\nfile = io.BytesIO()\ntorch.save(x, file)\nfile.seek(0)\n"
        "print(torch.load(file))\ntorch.serialization.set_crc32_options(True)",
        stored_tensors.stored_few,
    )
)
def test_file_without_checksums_loads(case: Stored) -> None:
    """A file that is saved with set_crc32_options(False) is loaded like any other."""
    x = case.build()
    kept = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        expect.equal(False, torch.serialization.get_crc32_options(), "what get_crc32_options says")
        found = case.route.carry(x)
    finally:
        torch.serialization.set_crc32_options(kept)
    same_stored(x, found, "the loaded tensor")


@cases(stored_archives.hand_made)
def test_documented_archive_loads(case: HandMade) -> None:
    """An archive of the documented files that torch.save did not write is loaded."""
    hand_made_values(case, case.load(weights_only=True), case.values())


@cases(stored_archives.of_other_order)
def test_other_byte_order_is_turned(case: HandMade) -> None:
    """Where the archive names the other byte order, each number is turned round as it is loaded."""
    hand_made_values(case, case.load(weights_only=True), case.values())


@cases(stored_archives.of_no_order)
def test_missing_byte_order_is_as_set(case: HandMade) -> None:
    """Where the archive names no byte order, that of set_default_load_endianness is taken."""
    kept = torch.serialization.get_default_load_endianness()
    values = case.values()
    turned = np.frombuffer(b"".join(reversed_words(values)), values.dtype)
    hand_made_bits(case, case.load(weights_only=True), turned)
    try:
        orders = torch.serialization.LoadEndianness
        torch.serialization.set_default_load_endianness(orders.BIG if sys.byteorder == "little" else orders.LITTLE)
        hand_made_values(case, case.load(weights_only=True), values)
    finally:
        torch.serialization.set_default_load_endianness(kept)


# --- what is trusted --------------------------------------------------------------------------------------------


@cases(stored_places.untrusted)
def test_classes_are_refused_by_default(case: Untrusted) -> None:
    """torch.load refuses classes and functions that are not trusted, also without a word about weights_only."""
    expect.raises(pickle.UnpicklingError, lambda: torch.load(io.BytesIO(case.written())), "torch.load of the file")


@cases(stored_places.untrusted)
def test_classes_are_loaded_by_default(case: Untrusted) -> None:
    """torch.load without a word about weights_only loads whatever was pickled."""
    found = torch.load(io.BytesIO(case.written()))
    expected = torch.load(io.BytesIO(case.written()), weights_only=False)
    expect.equal(type(expected), type(found), "type of the loaded object")


@cases(stored_places.untrusted)
def test_untrusted_classes_are_refused(case: Untrusted) -> None:
    """With weights_only=True a class or function that is not trusted raises UnpicklingError, however deep it lies."""
    written = case.written()
    action = lambda: torch.load(io.BytesIO(written), weights_only=True)  # noqa: E731
    expect.raises(pickle.UnpicklingError, action, "torch.load of the file")


@cases(stored_places.trusting)
def test_refusal_names_the_class(case: Trusting) -> None:
    """The error of weights_only=True names the class or function that is not trusted."""
    written = case.written()
    action = lambda: torch.load(io.BytesIO(written), weights_only=True)  # noqa: E731
    said = str(expect.raises(pickle.UnpicklingError, action, "torch.load of the file"))
    expect.that(
        any(name in said for name in case.told()), "the error", f"one of {case.told()} in it", repr(said[-300:])
    )


@cases(stored_places.tripwires)
def test_untrusted_code_is_not_run(case: Untrusted) -> None:
    """With weights_only=True nothing is called that is not trusted; with False it is."""
    written = case.written()
    TRIPPED.clear()
    action = lambda: torch.load(io.BytesIO(written), weights_only=True)  # noqa: E731
    expect.raises(pickle.UnpicklingError, action, "torch.load of the file")
    expect.equal([], TRIPPED, "calls with weights_only=True")
    torch.load(io.BytesIO(written), weights_only=False)
    expect.that(bool(TRIPPED), "calls with weights_only=False", "some", "none")


@cases(stored_archives.unimported_globals)
def test_nothing_is_imported(case: NamedGlobal) -> None:
    """With weights_only=True no module is imported by what a file says."""
    action = lambda: torch.load(io.BytesIO(case.memory()), weights_only=True)  # noqa: E731
    with forgotten(case.module):
        expect.raises(pickle.UnpicklingError, action, "torch.load of the file")
        expect.equal(False, case.module in sys.modules, f"whether {case.module} was imported")


@cases(stored_places.trusting)
def test_trusted_classes_are_loaded(case: Trusting) -> None:
    """Classes that were added by add_safe_globals are loaded with weights_only=True, until clear_safe_globals."""
    with own_safe_globals():
        torch.serialization.add_safe_globals(case.trusted()[:1])
        torch.serialization.add_safe_globals(case.trusted()[1:])
        same_tree(case.build(), not_refused(lambda: case.route.carry(case.build()), "torch.load"))
        torch.serialization.clear_safe_globals()
        expect.raises(pickle.UnpicklingError, lambda: case.route.carry(case.build()), "torch.load once none is trusted")


@cases(stored_places.trusting)
def test_safe_globals_end_with_their_block(case: Trusting) -> None:
    """Classes are trusted within the block of safe_globals, and after it, also after an exception, as before."""
    with own_safe_globals():
        try:
            with torch.serialization.safe_globals(case.trusted()[:1]), torch.serialization.safe_globals(case.trusted()):
                same_tree(case.build(), not_refused(lambda: case.route.carry(case.build()), "torch.load"))
                raise KeyError("leaves the block")
        except KeyError:
            pass
        expect.equal([], torch.serialization.get_safe_globals(), "trusted classes after the block")
        expect.raises(pickle.UnpicklingError, lambda: case.route.carry(case.build()), "torch.load after the block")


@cases(stored_places.trusting)
def test_safe_globals_are_told(case: Trusting) -> None:
    """get_safe_globals returns the classes that were added, and nothing after clear_safe_globals."""
    with own_safe_globals():
        torch.serialization.add_safe_globals(case.trusted())
        found = torch.serialization.get_safe_globals()
        expect.equal(sorted(case.told()), sorted(f"{x.__module__}.{x.__qualname__}" for x in found), "trusted classes")
        torch.serialization.clear_safe_globals()
        expect.equal([], list(torch.serialization.get_safe_globals()), "trusted classes once they were cleared")


@cases(stored_archives.renamed_globals)
def test_trusted_under_another_name(case: NamedGlobal) -> None:
    """A pair of a class and a name makes the class what is loaded for that name."""
    with own_safe_globals(), torch.serialization.safe_globals([(StoredPair, f"{case.module}.{case.name}")]):
        found = not_refused(lambda: torch.load(io.BytesIO(case.memory()), weights_only=True), "torch.load of the file")
        expect.same_object(StoredPair, found, "what is loaded")


@cases(stored_places.trusting)
def test_unsafe_globals_are_listed(case: Trusting) -> None:
    """get_unsafe_globals_in_checkpoint lists the full name of each class of a file that is not trusted, no other."""
    listed = torch.serialization.get_unsafe_globals_in_checkpoint
    written = write_stored(case.build(), "BytesIO", "")
    with own_safe_globals():
        expect.equal(sorted(case.told()), sorted(listed(io.BytesIO(written))), "what is not trusted")
        with torch.serialization.safe_globals(case.trusted()[:1]):
            expect.equal(sorted(case.told()[1:]), sorted(listed(io.BytesIO(written))), "what is not trusted then")


# --- where to ---------------------------------------------------------------------------------------------------


@cases(stored_places.everywhere)
def test_map_location_names_a_device(case: Placed) -> None:
    """Where map_location is a string or a torch.device, every tensor is loaded to that device, with its values."""
    tensors = case.things.tensors()
    place = torch.device(case.location([]))
    found = tensors_in(case.things.route.carry(case.things.boxed(tensors), map_location=case.location([])))
    for number, (expected, got) in enumerate(zip(tensors, found, strict=True)):
        same_stored(expected.detach().to(place), got, f"loaded tensor {number}")


@cases(stored_places.asked)
def test_map_location_is_asked_once_a_storage(case: Placed) -> None:
    """A callable map_location is called once for each storage, with the storage on the CPU and its device's tag."""
    log: list[Any] = []
    tensors = case.things.tensors()
    case.things.route.carry(case.things.boxed(tensors), map_location=case.location(log))
    expect.equal(
        [tag_of(str(tensors[0].device))] * len(storages_in(tensors)), [tag for _, tag in log], "tags asked for"
    )
    expect.equal(["cpu"] * len(log), [storage.device.type for storage, _ in log], "devices of the storages")


@cases(stored_places.answered)
def test_storage_of_map_location_is_used(case: Placed) -> None:
    """The storage that a callable map_location returns is the storage of what is loaded."""
    tensors = case.things.tensors()
    found = tensors_in(case.things.route.carry(case.things.boxed(tensors), map_location=case.location([])))
    for number, (saved, got) in enumerate(zip(tensors, found, strict=True)):
        # of the old format the bytes are read after the storages were placed
        expected = saved if case.things.route.legacy else torch.zeros_like(saved, device="cpu")
        same_stored(expected, got, f"loaded tensor {number}")
    same_sharing(tensors, found, "loaded tensor")


@cases(stored_places.unanswered)
def test_none_of_map_location_is_the_default(case: Placed) -> None:
    """Tensors go to the device that they were saved from where there is no map_location, or where it returns None."""
    tensors = case.things.tensors()
    found = tensors_in(case.things.route.carry(case.things.boxed(tensors), map_location=case.location([])))
    for number, (expected, got) in enumerate(zip(tensors, found, strict=True)):
        same_stored(expected, got, f"loaded tensor {number}")


@cases(stored_places.remapped)
def test_map_location_remaps_tags(case: Placed) -> None:
    """A dictionary as map_location sends storages of a tag that is a key to the value, and leaves all others."""
    tensors = case.things.tensors()
    tag = tag_of(str(tensors[0].device))
    place = torch.device(case.location([]).get(tag, tensors[0].device))
    found = tensors_in(case.things.route.carry(case.things.boxed(tensors), map_location=case.location([])))
    for number, (expected, got) in enumerate(zip(tensors, found, strict=True)):
        same_stored(expected.detach().to(place), got, f"loaded tensor {number}")


@cases(stored_places.asked)
def test_views_share_where_they_are_sent(case: Placed) -> None:
    """Tensors that lay in one storage lie in one storage also where map_location sent them elsewhere."""
    tensors = case.things.tensors()
    found = tensors_in(case.things.route.carry(case.things.boxed(tensors), map_location=case.location([])))
    same_sharing(tensors, found, "loaded tensor")


@cases(stored_archives.of_absent_devices)
def test_absent_device_is_told(case: HandMade) -> None:
    """Tensors of a device that is not there raise, and are loaded where map_location sends them."""
    expect.raises(Exception, lambda: case.load(weights_only=True), f"torch.load of a tensor of {case.location}")
    hand_made_values(case, case.load(weights_only=True, map_location="cpu"), case.values())
    hand_made_values(case, case.load(weights_only=True, map_location={case.location: "cpu"}), case.values())


@cases(stored_tensors.stored_plain)
def test_registered_tags_are_used(case: Stored) -> None:
    """Of the taggers and deserializers that are registered, that of the lowest number is used."""
    x = case.build()
    log: list[Any] = []
    with tag_registered(3, "third", log), tag_registered(2, "second", log), tag_registered(99, "last", log):
        found = case.route.carry(x)
    same_stored(x, found, "the loaded tensor")
    expect.equal([(2, "second")], log, "deserializers that answered, with the tag")


# --- mapped files -----------------------------------------------------------------------------------------------


@cases(stored_tensors.stored_mapped)
def test_mapped_tensors_are_equal(case: Stored) -> None:
    """A tensor of a mapped file has the element type, the shape and the bits that were saved."""
    x = case.build()
    same_stored(x, case.route.carry(x), "the loaded tensor")


@cases(stored_trees.mapped_views)
def test_mapped_views_share(case: StoredViews) -> None:
    """Tensors of a mapped file lie in one storage, in the same places, where they did so when they were saved."""
    tensors = case.tensors()
    found = tensors_in(case.route.carry(case.boxed(tensors)))
    same_sharing(tensors, found, "loaded tensor")
    for number, (expected, got) in enumerate(zip(tensors, found, strict=True)):
        same_stored(expected, got, f"loaded tensor {number}")


@cases(stored_tensors.mapped_flags)
def test_mapped_tensors_keep_their_flags(case: Stored) -> None:
    """A tensor of a mapped file requires grad as the saved one did, is a leaf, and is a Parameter where that was one."""  # noqa: E501
    flags_come_back(case)


@cases(stored_places.mapped_places)
def test_mapped_tensors_go_where_they_are_sent(case: Placed) -> None:
    """With mmap=True every tensor is loaded to where map_location sends it, with its values if that has a memory."""
    tensors = case.things.tensors()
    sent = case.location([])
    if isinstance(sent, dict):
        sent = sent.get(tag_of(str(tensors[0].device)), tensors[0].device)
    place = torch.device("cpu" if callable(sent) else sent)
    found = tensors_in(case.things.route.carry(case.things.boxed(tensors), map_location=case.location([])))
    for number, (expected, got) in enumerate(zip(tensors, found, strict=True)):
        same_stored(expected.detach().to(place), got, f"loaded tensor {number}")


@cases(
    looked_at(
        "print([line for line in open('/proc/self/maps') if 'things.pt' in line], hex(found.data_ptr()))",
        stored_tensors.stored_mapped_few,
    )
)
def test_mapped_file_is_mapped(case: Stored) -> None:
    """With mmap=True the memory of a tensor is a mapping of the file, and no copy."""
    with stored_path() as path:
        torch.save(case.build(), path)
        found = torch.load(path, mmap=True, weights_only=True)
        spans = mapped_from(path)
        expect.that(
            any(first <= found.data_ptr() < last for first, last in spans),
            "address of the loaded tensor",
            f"within {[(hex(a), hex(b)) for a, b in spans]}, where the file is mapped",
            hex(found.data_ptr()),
        )


@cases(looked_at("found.fill_(1)\nprint(torch.load('things.pt'))", stored_tensors.stored_mapped_few))
def test_mapped_file_is_not_written(case: Stored) -> None:
    """A write to a tensor of a mapped file does not reach the file by default."""
    expect.equal(mmap.MAP_PRIVATE, torch.serialization.get_default_mmap_options(), "what get_default_mmap_options says")
    with stored_path() as path:
        torch.save(case.build(), path)
        before = Path(path).read_bytes()
        torch.load(path, mmap=True, weights_only=True).fill_(1)
        memory.same_bytes(before, Path(path).read_bytes(), "the file after a write to the tensor")


@cases(
    looked_at(
        "import mmap\nwith torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):\n"
        "    found = torch.load('things.pt', mmap=True)\nfound.fill_(1)\nprint(torch.load('things.pt'))",
        stored_tensors.stored_mapped_few,
    )
)
def test_shared_mapping_is_written(case: Stored) -> None:
    """With MAP_SHARED set for a block, a write to a tensor of a mapped file reaches the file."""
    kept = torch.serialization.get_default_mmap_options()
    with stored_path() as path:
        torch.save(case.build(), path)
        try:
            with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
                expect.equal(
                    mmap.MAP_SHARED, torch.serialization.get_default_mmap_options(), "the setting in the block"
                )
                found = torch.load(path, mmap=True, weights_only=True)
            expect.equal(kept, torch.serialization.get_default_mmap_options(), "the setting after the block")
        finally:
            torch.serialization.set_default_mmap_options(kept)
        found.fill_(1)
        same_stored(found, torch.load(path, weights_only=True), "the tensor loaded again")


@cases(
    looked_at(
        "import io\ntorch.load(io.BytesIO(open('things.pt', 'rb').read()), mmap=True)", stored_tensors.stored_mapped_few
    )
)
def test_only_paths_are_mapped(case: Stored) -> None:
    """mmap=True raises for a file-like object and for a file of the old format."""
    x = case.build()
    written = io.BytesIO(write_stored(x, "BytesIO", ""))
    expect.raises((ValueError, RuntimeError), lambda: torch.load(written, mmap=True, weights_only=True), "a buffer")
    with stored_path() as path:
        torch.save(x, path, _use_new_zipfile_serialization=False)
        expect.raises(RuntimeError, lambda: torch.load(path, mmap=True, weights_only=True), "a file of the old format")


# --- without data -----------------------------------------------------------------------------------------------


@cases(
    looked_at(
        SAVED_AGAIN + "hollow = io.BytesIO()\nwith torch.serialization.skip_data():\n    torch.save(things, hollow)\n"
        "print(file.getvalue(), hollow.getvalue())",
        stored_trees.stored_copies,
    )
)
def test_skipped_data_is_room(case: StoredViews) -> None:
    """A file saved under skip_data has the room of every storage, and is whole once the bytes are put there."""
    tensors = case.tensors()
    with torch.serialization.skip_data():
        hollow = bytearray(write_stored(case.boxed(tensors), "BytesIO", ""))
    whole = write_stored(case.boxed(tensors), "BytesIO", "")
    expected, found = ([(e.name, e.start, e.size) for e in entries_of(bytes(file))] for file in (whole, hollow))
    expect.equal(expected, found, "files of the archive, where each begins, and its size")
    for name, start, size in expected:
        if name.startswith("data/"):
            memory.same_bytes(bytes(size), bytes(hollow[start : start + size]), f"the room of {name}")
            hollow[start : start + size] = whole[start : start + size]
    found_tensors = tensors_in(torch.load(io.BytesIO(bytes(hollow)), weights_only=True))
    for number, (wanted, got) in enumerate(zip(tensors, found_tensors, strict=True)):
        same_stored(wanted, got, f"loaded tensor {number}")


@cases(
    looked_at(
        "file.seek(0)\nwith torch.serialization.skip_data():\n    print(torch.load(file))", stored_tensors.stored_plain
    )
)
def test_skipped_data_is_not_read(case: Stored) -> None:
    """Under skip_data tensors are loaded with their type, shape and strides, and the file's data are not read."""
    x = case.build()
    written = bytearray(write_stored(x, "BytesIO", ""))
    entry = next(entry for entry in entries_of(bytes(written)) if entry.name == "data/0")
    if not entry.size:
        raise expect.Discard("there are no data to read")
    data = bytes(written[entry.start : entry.start + entry.size])
    # Other bytes than those of x, which may be found again in memory that was given back. Where nothing was read, what
    # is found is whatever that memory held: maybe the bytes of one file, and not those of four.
    read = []
    for turn in (0x5A, 0xA5, 0x3C, 0xC3):
        turned = bytes(byte ^ turn for byte in data)
        written[entry.start : entry.start + entry.size] = turned
        with torch.serialization.skip_data():
            found = torch.load(io.BytesIO(bytes(written)), weights_only=True)
        expect.equal((x.dtype, x.shape, x.stride()), (found.dtype, found.shape, found.stride()), "the loaded tensor")
        read.append(turned == stored_bits(found))
    expect.that(not all(read), "bytes of the loaded tensor", "other ones than the file's", "those of each file")


# --- damage -----------------------------------------------------------------------------------------------------


@cases(stored_archives.truncations)
def test_truncated_file_raises(case: Damage) -> None:
    """A file that ends early raises, at whatever position it ends, in either format."""
    each_raises(case)


@cases(stored_archives.flips)
def test_damage_does_not_end_the_process(case: Damage) -> None:
    """A file with a changed byte raises or loads something, and the process lives on."""
    outlives(Exception, lambda: each_is_loaded_or_told(case), "torch.load of the damaged file")


@cases(stored_tensors.stored_plain)
def test_changed_element_changes_nothing_else(case: Stored) -> None:
    """A changed byte among the elements raises, or changes that element and no other, and neither type nor shape."""
    x = case.build()
    written = write_stored(x, "BytesIO", "")
    entry = next(entry for entry in entries_of(written) if entry.name == "data/0")
    for number in {0, entry.size // 2, entry.size - 1}:
        at = entry.start + number
        found = load_or_error(written[:at] + bytes([written[at] ^ 0x21]) + written[at + 1 :])
        if not isinstance(found, Exception):
            bits = stored_bits(x)
            expect.equal((x.dtype, x.shape), (found.dtype, found.shape), "type and shape of the loaded tensor")
            changed = bits[:number] + bytes([bits[number] ^ 0x21]) + bits[number + 1 :]
            memory.same_bytes(changed, stored_bits(found), "elements of the loaded tensor")


@cases(stored_archives.beyond_their_storage)
def test_elements_beyond_the_storage_are_refused(case: HandMade) -> None:
    """A file whose tensor claims elements that its storage does not have raises."""
    expect.raises(Exception, lambda: case.load(weights_only=True), "torch.load of the file")


@cases(stored_archives.of_another_size)
def test_storage_of_another_size_is_refused(case: HandMade) -> None:
    """An archive in which a storage is shorter or longer than the object says raises."""
    expect.raises(Exception, lambda: case.load(weights_only=True), "torch.load of the file")


@cases(stored_archives.without_a_file)
def test_missing_file_of_an_archive_raises(case: HandMade) -> None:
    """An archive in which data.pkl, version or a storage is missing raises."""
    expect.raises(Exception, lambda: case.load(weights_only=True), "torch.load of the file")
    expect.raises(Exception, lambda: case.load(weights_only=False), "torch.load of the file with weights_only=False")


@cases(stored_archives.no_checkpoints)
def test_other_files_are_refused(case: NoCheckpoint) -> None:
    """A file that torch.save never wrote raises."""
    found = load_or_error(case.memory())
    expect.that(isinstance(found, Exception), "torch.load of the file", "an exception", repr(found))


@cases(stored_archives.missing_globals)
def test_class_that_is_not_there_raises(case: NamedGlobal) -> None:
    """A class that cannot be found raises, an error of the import, or UnpicklingError where weights_only is True."""
    trusting = lambda: torch.load(io.BytesIO(case.memory()), weights_only=False)  # noqa: E731
    expect.raises((AttributeError, ImportError, pickle.UnpicklingError), trusting, "torch.load with weights_only=False")
    careful = lambda: torch.load(io.BytesIO(case.memory()), weights_only=True)  # noqa: E731
    expect.raises(pickle.UnpicklingError, careful, "torch.load with weights_only=True")


@cases(looked_at("torch.load('no such file.pt')", stored_tensors.stored_plain))
def test_file_that_is_not_there_raises(case: Stored) -> None:
    """Loading from a path that does not exist, and saving into a folder that does not, raises and leaves no file."""
    with stored_path() as path:
        expect.raises(FileNotFoundError, lambda: torch.load(path, weights_only=True), "torch.load of no file")
        expect.equal(False, Path(path).exists(), "whether there is a file then")
        beyond = Path(path, "folder", "things.pt")
        expect.raises((OSError, RuntimeError), lambda: torch.save(case.build(), beyond), "torch.save into no folder")


@cases(stored_tensors.stored_plain)
def test_unseekable_file_is_refused(case: Stored) -> None:
    """A file-like object that cannot seek is refused."""
    for legacy in ({}, {"_use_new_zipfile_serialization": False}):
        written = write_stored(case.build(), "BytesIO", "", **legacy)
        action = lambda written=written: torch.load(ClosedSeek(written), weights_only=True)  # noqa: E731
        expect.raises((io.UnsupportedOperation, AttributeError), action, "torch.load of a stream")


@cases(looked_at("print(file.closed)", stored_tensors.stored_few))
def test_file_of_the_caller_stays_open(case: Stored) -> None:
    """A file-like object is not closed by saving or loading."""
    buffer = io.BytesIO()
    torch.save(case.build(), buffer)
    expect.equal(False, buffer.closed, "whether the file is closed after torch.save")
    buffer.seek(0)
    torch.load(buffer, weights_only=True)
    expect.equal(False, buffer.closed, "whether the file is closed after torch.load")


@cases(stored_copies.old_strings)
def test_byte_strings_are_decoded(case: OldString) -> None:
    """Byte strings of Python 2 are decoded as utf-8, or as encoding says, or are kept where that is bytes."""
    options = {} if case.encoding is None else {"encoding": case.encoding}
    found = torch.load(io.BytesIO(case.archive()), weights_only=False, **options)
    expect.equal(case.expected, found, f"the string with encoding={case.encoding!r}")


@cases(stored_copies.trusting_environments)
def test_environment_decides_where_nothing_is_said(case: Environment) -> None:
    """TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 makes torch.load trust a file where weights_only is not given, only there."""
    expected = {"nothing": "loaded", "True": "UnpicklingError", "False": "loaded"}
    expect.equal(expected, case.ask(), f"torch.load of a range, by weights_only, with {case.variable}=1")


@cases(stored_copies.forcing_environments)
def test_environment_overrides_every_call(case: Environment) -> None:
    """TORCH_FORCE_WEIGHTS_ONLY_LOAD=1 makes every torch.load refuse what is not trusted."""
    expected = {"nothing": "UnpicklingError", "True": "UnpicklingError", "False": "UnpicklingError"}
    expect.equal(expected, case.ask(), f"torch.load of a range, by weights_only, with {case.variable}=1")


# --- pickle and copies ------------------------------------------------------------------------------------------


@cases(stored_copies.pickled_tensors)
def test_pickled_tensor_comes_back(case: Copied) -> None:
    """A tensor that is pickled by any protocol comes back with its type, shape, bits and flag, in its own memory."""
    same_placement(*same_copy(case), "the copy")


@cases(stored_copies.deep_tensors)
def test_deepcopy_is_equal_and_apart(case: Copied) -> None:
    """copy.deepcopy of a tensor has its type, shape, bits and flag, and memory of its own."""
    same_copy(case)


@cases(
    looked_at(
        "from copy import deepcopy\nprint([y.untyped_storage().data_ptr() for y in deepcopy(v)])",
        stored_trees.stored_views,
    )
)
def test_deepcopy_keeps_sharing(case: StoredViews) -> None:
    """copy.deepcopy of a container keeps which of its tensors lie in one storage and which do not."""
    tensors = case.tensors()
    found = tensors_in(copy.deepcopy(case.boxed(tensors)))
    same_sharing(tensors, found, "copied tensor")
    for number, (expected, got) in enumerate(zip(tensors, found, strict=True)):
        same_stored(expected, got, f"copied tensor {number}")
        own_memory(expected, got, f"copied tensor {number} and the first one")


@cases(stored_tensors.stored_requiring)
def test_deepcopy_copies_or_drops_the_gradient(case: Stored) -> None:
    """copy.deepcopy of a leaf has no gradient, or an equal one with memory of its own."""
    x = case.build()
    x.grad = x.detach() * 3
    found = copy.deepcopy(x)
    if found.grad is not None:
        same_stored(x.grad, found.grad, "the gradient of the copy")
        own_memory(x.grad, found.grad, "the gradient of the copy and the first one")


@cases(stored_copies.histories_of)
def test_deepcopy_of_a_non_leaf_is_refused(case: Stored) -> None:
    """copy.deepcopy of a tensor with a grad_fn raises."""
    x = case.build()
    expect.raises(RuntimeError, lambda: copy.deepcopy(x), "copy.deepcopy of a tensor with a history")


@cases(stored_copies.shallow_tensors)
def test_copy_shares_memory(case: Copied) -> None:
    """copy.copy of a tensor is another tensor object in the same memory."""
    x = case.case.build()
    found = same_stored(x, case.copied(x), "the copy")
    expect.that(found is not x, "the copy", "another object", "the same one")
    expect.equal((type(x), x.requires_grad), (type(found), found.requires_grad), "type and flag of the copy")
    same_sharing([x, x], [x, found], "tensor")
    same_placement(x, found, "the copy")


@cases(stored_copies.young_tensors)
def test_every_type_is_pickled_and_copied(case: Copied) -> None:
    """A tensor of the youngest element types is pickled and copied like any other."""
    x = case.case.build()
    same_stored(x, case.copied(x), "the copy")


@cases(stored_copies.copied_modules)
def test_deepcopy_of_a_module_is_equal_and_apart(case: Copied) -> None:
    """copy.deepcopy and pickle make an equal module, tied where it was, that shares no memory with the first one."""
    module = case.case.module()
    found = case.copied(module)
    same_module(module, found, "the copy")
    for expected, got in zip(module.parameters(), found.parameters(), strict=True):
        own_memory(expected, got, "a parameter of the copy and the first one")
