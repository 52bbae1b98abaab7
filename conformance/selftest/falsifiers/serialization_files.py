"""Breaks of the file format, of what is trusted, of where tensors go and of how a file is read."""

from __future__ import annotations

import io
import mmap
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from conformance.inputs.stored_archives import archive_of, archive_records
from conformance.oracles.archives import entries_of
from conformance.selftest.falsifiers.serialization import copied, loaded_tensors, over, when
from conformance.selftest.falsifying import falsifies, patched

AREA = "serialization"
Break = AbstractContextManager[Any]


def written(change: Callable[[Any, bytes], bytes]) -> Break:
    """torch.save writes ``change(thing, the right bytes)`` into a buffer."""

    def make(original: Any) -> Any:
        def save(thing: Any, file: Any, *args: Any, **kw: Any) -> None:
            if not isinstance(file, io.BytesIO) or kw.get("_use_new_zipfile_serialization") is False:
                original(thing, file, *args, **kw)
                return
            inner = io.BytesIO()
            original(thing, inner, *args, **kw)
            file.write(change(thing, inner.getvalue()))

        return save

    return patched(torch, "save", make)


def read(change: Callable[..., Any]) -> Break:
    """torch.load is ``change(original, file, …)``."""
    return patched(torch, "load", lambda original: lambda file, *args, **kw: change(original, file, *args, **kw))


def option(name: str, other: Callable[..., Any]) -> Break:
    """A function of torch.serialization is ``other(original, …)``."""
    return patched(torch.serialization, name, lambda original: lambda *args, **kw: other(original, *args, **kw))


def tensors_of(thing: Any) -> list[Any]:
    """Every tensor of an object."""
    found: list[Any] = []
    over(copied(thing), lambda x: (found.append(x), x)[1])
    return found


# --- the format -------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.archive-has-the-documented-files")
def storages_are_numbered_from_one() -> Break:
    """Where there are two storages, the archive names them 1 and 2."""

    def change(thing: Any, contents: bytes) -> bytes:
        records = archive_records(contents)
        if "data/1" not in records:
            return contents
        return archive_of({name.replace("data/1", "data/2"): record for name, record in records.items()})

    return written(change)


@falsifies(f"{AREA}.archive-is-not-compressed")
def a_long_tensor_is_compressed() -> Break:
    """The archive of a larger tensor is compressed."""

    def change(thing: Any, contents: bytes) -> bytes:
        if thing.numel() < 33:
            return contents
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, record in archive_records(contents).items():
                archive.writestr(f"archive/{name}", record)
        return buffer.getvalue()

    return written(change)


@falsifies(f"{AREA}.records-are-aligned")
def a_third_storage_is_not_aligned() -> Break:
    """An archive of three storages is packed without padding."""
    return written(lambda thing, contents: archive_of(archive_records(contents)) if b"data/2" in contents else contents)


@falsifies(f"{AREA}.byte-order-is-told")
def a_bool_has_no_byte_order() -> Break:
    """The archive of a tensor of bools says nothing about byte order."""

    def change(thing: Any, contents: bytes) -> bytes:
        records = archive_records(contents)
        del records["byteorder"]
        return archive_of(records) if thing.dtype is torch.bool else contents

    return written(change)


@falsifies(f"{AREA}.storages-are-files")
def a_transposed_view_is_written_again() -> Break:
    """A transposed view in a dictionary has a storage of its own."""

    def make(original: Any) -> Any:
        def save(thing: Any, *args: Any, **kw: Any) -> Any:
            if type(thing) is dict:
                thing = over(copied(thing), when(lambda x: x.dim() == 2 and x.stride(0) == 1, lambda x: x.clone()))
            return original(thing, *args, **kw)

        return save

    return patched(torch, "save", make)


@falsifies(f"{AREA}.protocol-is-used")
def the_fifth_protocol_is_the_fourth() -> Break:
    """Protocol 5 is taken for 4."""

    def make(original: Any) -> Any:
        def save(*args: Any, **kw: Any) -> Any:
            return original(*args, **{**kw, **({"pickle_protocol": 4} if kw.get("pickle_protocol") == 5 else {})})

        return save

    return patched(torch, "save", make)


@falsifies(f"{AREA}.old-format-is-no-archive")
def empty_tensors_go_into_an_archive() -> Break:
    """A tensor without elements is saved in the new format, whatever was asked for."""

    def make(original: Any) -> Any:
        def save(thing: Any, *args: Any, **kw: Any) -> Any:
            return original(thing, *args, **({} if not thing.numel() else kw))

        return save

    return patched(torch, "save", make)


@falsifies(f"{AREA}.checksums-are-written")
def the_checksum_of_a_scalar_is_wrong() -> Break:
    """The last byte of a 0-d tensor's data is written after its checksum was taken."""

    def change(thing: Any, contents: bytes) -> bytes:
        if thing.dim():
            return contents
        with zipfile.ZipFile(io.BytesIO(contents)) as archive:
            wrong = archive.getinfo("archive/data/0").CRC.to_bytes(4, "little")
        return contents.replace(wrong, bytes(4))

    return written(change)


@falsifies(f"{AREA}.file-without-checksums-loads")
def unchecked_scalars_are_lost() -> Break:
    """A 0-d tensor in a file without checksums is loaded as zero."""
    return loaded_tensors(when(lambda x: not x.dim() and not torch.serialization.get_crc32_options(), torch.zeros_like))


@falsifies(f"{AREA}.documented-archive-loads")
def only_own_archives_load() -> Break:
    """An archive without a serialization id is refused where the tensor is a scalar."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        if b"serialization_id" not in file.getvalue() and not found.dim():
            raise RuntimeError("this archive is of another make")
        return found

    return read(change)


@falsifies(f"{AREA}.other-byte-order-is-turned")
def complex_numbers_are_turned_as_a_whole() -> Break:
    """The parts of a complex number of the other byte order change places."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        turned = found.is_complex() and archive_records(file.getvalue()).get("byteorder") == b"big"
        return torch.complex(found.imag.clone(), found.real.clone()) if turned else found

    return read(change)


@falsifies(f"{AREA}.missing-byte-order-is-as-set")
def the_setting_is_forgotten_for_int16() -> Break:
    """Tensors of int16 are loaded in this machine's byte order."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        if found.dtype is not torch.int16 or torch.serialization.get_default_load_endianness() is None:
            return found
        kept = torch.serialization.get_default_load_endianness()
        torch.serialization.set_default_load_endianness(None)
        file.seek(0)
        try:
            return original(file, *args, **kw)
        finally:
            torch.serialization.set_default_load_endianness(kept)

    return read(change)


# --- what is trusted --------------------------------------------------------------------------------------------


def trusting_load(unless: Callable[[bytes, dict[str, Any]], bool]) -> Break:
    """torch.load trusts a file for which the condition holds."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        if isinstance(file, io.BytesIO) and unless(file.getvalue(), kw):
            return original(file, *args, **{**kw, "weights_only": False})
        return original(file, *args, **kw)

    return read(change)


@falsifies(f"{AREA}.classes-are-refused-by-default")
def the_old_format_is_trusted_by_default() -> Break:
    """A file of the old format is trusted where nothing is said."""
    return trusting_load(lambda contents, kw: contents[:2] != b"PK" and "weights_only" not in kw)


@falsifies(f"{AREA}.classes-are-loaded-by-default")
def nothing_is_trusted_by_default() -> Break:
    """Enumerations are refused where nothing is said."""
    return read(lambda original, file, **kw: original(file, **{"weights_only": True, **kw}))


@falsifies(f"{AREA}.untrusted-classes-are-refused")
def modules_are_trusted() -> Break:
    """Whatever begins with torch.nn is loaded."""
    return trusting_load(lambda contents, kw: b"torch.nn.modules" in contents and contents[:2] == b"PK")


@falsifies(f"{AREA}.untrusted-classes-are-refused")
def a_class_beside_a_tensor_is_another_error() -> Break:
    """A class beside a tensor raises an error that says nothing of pickling."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        try:
            return original(file, *args, **kw)
        except pickle.UnpicklingError as error:
            if b"FloatStorage" in file.getvalue():
                raise RuntimeError("not loaded") from error
            raise

    return read(change)


@falsifies(f"{AREA}.refusal-names-the-class")
def the_refusal_is_silent_on_enumerations() -> Break:
    """The error does not say which class was refused where that is an enumeration."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        try:
            return original(file, *args, **kw)
        except pickle.UnpicklingError as error:
            raise pickle.UnpicklingError("Weights only load failed." if "Color" in str(error) else str(error)) from None

    return read(change)


@falsifies(f"{AREA}.untrusted-code-is-not-run")
def a_function_is_called_before_it_is_refused() -> Break:
    """A file of the old format is loaded first and refused then."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        if kw.get("weights_only") and file.getvalue()[:2] != b"PK":
            original(file, weights_only=False)
            raise pickle.UnpicklingError("refused")
        return original(file, *args, **kw)

    return read(change)


@falsifies(f"{AREA}.nothing-is-imported")
def a_module_is_imported_to_look_for_its_class() -> Break:
    """The module of a class that is called is imported before the class is refused."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        pickled = archive_records(file.getvalue())["data.pkl"]
        if pickled.endswith(b")R."):
            __import__(pickled[3:].split(b"\n")[0].decode())
        return original(file, *args, **kw)

    return read(change)


@falsifies(f"{AREA}.trusted-classes-are-loaded")
def a_second_list_replaces_the_first() -> Break:
    """What is added to the list replaces what was there."""

    def other(original: Any, names: Any) -> Any:
        names = list(names)
        if names:
            torch.serialization.clear_safe_globals()
        return original(names)

    return option("add_safe_globals", other)


@falsifies(f"{AREA}.safe-globals-end-with-their-block")
def an_exception_leaves_the_classes_trusted() -> Break:
    """A block that is left by an exception goes on to trust."""

    def make(original: Any) -> Any:
        class Leaking(original):  # type: ignore[misc]
            def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
                if kind is None:
                    super().__exit__(kind, value, trace)

        return Leaking

    return patched(torch.serialization, "safe_globals", make)


@falsifies(f"{AREA}.safe-globals-are-told")
def only_one_class_is_told() -> Break:
    """Of two trusted classes one is told."""
    return option("get_safe_globals", lambda original: original()[:1])


@falsifies(f"{AREA}.trusted-under-another-name")
def nested_names_are_not_found() -> Break:
    """A name with more than two dots is not looked for."""

    def make(original: Any) -> Any:
        class Shallow(original):  # type: ignore[misc]
            def __init__(self, names: Any) -> None:
                super().__init__([x for x in names if not (type(x) is tuple and x[1].count(".") > 2)])

        return Shallow

    return patched(torch.serialization, "safe_globals", make)


@falsifies(f"{AREA}.unsafe-globals-are-listed")
def trusted_classes_are_listed_too() -> Break:
    """Classes that were added to the list are listed as unsafe."""

    def other(original: Any, file: Any) -> Any:
        with torch.serialization.safe_globals([]):
            kept = torch.serialization.get_safe_globals()
            torch.serialization.clear_safe_globals()
            try:
                return original(file)
            finally:
                torch.serialization.add_safe_globals(kept)

    return option("get_unsafe_globals_in_checkpoint", other)


# --- where to ---------------------------------------------------------------------------------------------------


def relocated(change: Callable[[Any], Any]) -> Break:
    """torch.load has another map_location than it was given."""
    return read(lambda original, file, **kw: original(file, **{**kw, "map_location": change(kw.get("map_location"))}))


@falsifies(f"{AREA}.map-location-names-a-device")
def a_device_object_is_not_understood() -> Break:
    """torch.device('meta') as map_location means the CPU."""
    return relocated(lambda place: "cpu" if place == torch.device("meta") else place)


@falsifies(f"{AREA}.map-location-is-asked-once-a-storage")
def the_second_storage_is_asked_for_twice() -> Break:
    """The callable is called again for every storage but the first."""

    def change(place: Any) -> Any:
        calls: list[Any] = []

        def twice(storage: Any, tag: Any) -> Any:
            calls.append(tag)
            return place(place(storage, tag) if len(calls) == 2 else storage, tag)

        return twice if callable(place) else place

    return relocated(change)


@falsifies(f"{AREA}.storage-of-map-location-is-used")
def another_storage_is_copied_from() -> Break:
    """What the callable returns is thrown away where it is another storage."""
    return relocated(lambda place: lambda storage, tag: (place(storage.clone(), tag), storage)[1])


@falsifies(f"{AREA}.none-of-map-location-is-the-default")
def none_of_a_callable_is_meta() -> Break:
    """A callable that returns None sends to the meta device."""
    return loaded_when(lambda kw: callable(kw.get("map_location")), lambda x: x.to("meta"))


def loaded_when(condition: Callable[[dict[str, Any]], bool], change: Callable[[Any], Any]) -> Break:
    """torch.load changes every tensor where its options are so."""

    def other(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        return over(found, change) if condition(kw) else found

    return read(other)


@falsifies(f"{AREA}.map-location-remaps-tags")
def only_the_first_key_counts() -> Break:
    """Of a dictionary only the first key is looked at."""
    return relocated(lambda place: dict(list(place.items())[:1]) if isinstance(place, dict) else place)


@falsifies(f"{AREA}.views-share-where-they-are-sent")
def views_are_copied_by_a_callable() -> Break:
    """Transposed views are copies where map_location is a callable."""
    return loaded_when(
        lambda kw: callable(kw.get("map_location")),
        when(lambda x: x.dim() == 2 and x.stride(0) == 1, lambda x: x.clone()),
    )


@falsifies(f"{AREA}.absent-device-is-told")
def an_unknown_tag_means_the_cpu() -> Break:
    """A tag that nothing is registered for is taken for the CPU's."""
    return relocated(lambda place: {"nowhere:0": "cpu"} if place is None else place)


@falsifies(f"{AREA}.registered-tags-are-used")
def the_later_tagger_wins() -> Break:
    """Taggers are asked in the order in which they were registered."""

    def other(original: Any, priority: int, *rest: Any) -> None:
        original(priority, *rest)
        torch.serialization._package_registry.sort(key=lambda entry: (entry[0] not in (2, 3), -entry[0]))

    return option("register_package", other)


# --- mapped files -----------------------------------------------------------------------------------------------


def mapped(kw: dict[str, Any]) -> bool:
    """Whether the file is to be mapped."""
    return bool(kw.get("mmap"))


@falsifies(f"{AREA}.mapped-tensors-are-equal")
def a_mapped_offset_is_lost() -> Break:
    """A tensor with an offset in a mapped file begins at the beginning."""
    return loaded_when(
        mapped,
        when(lambda x: x.storage_offset() == 3 and x.dim() == 1, lambda x: x.as_strided(x.shape, x.stride(), 0)),
    )


@falsifies(f"{AREA}.mapped-views-share")
def mapped_views_are_copies() -> Break:
    """Every tensor of a mapped file that is no matrix is a copy."""
    return loaded_when(mapped, when(lambda x: x.dim() != 2, lambda x: x.clone()))


@falsifies(f"{AREA}.mapped-tensors-keep-their-flags")
def a_mapped_tensor_requires_no_grad() -> Break:
    """A tensor of a mapped file that requires grad is detached."""
    return loaded_when(mapped, when(lambda x: x.requires_grad and type(x) is torch.Tensor, lambda x: x.detach()))


@falsifies(f"{AREA}.mapped-tensors-keep-their-flags")
def a_mapped_parameter_is_a_tensor() -> Break:
    """A Parameter of a mapped file is a tensor that requires grad as it did."""
    return loaded_when(
        mapped,
        when(lambda x: isinstance(x, torch.nn.Parameter), lambda x: x.detach().requires_grad_(x.requires_grad)),
    )


@falsifies(f"{AREA}.mapped-tensors-go-where-they-are-sent")
def mapped_tensors_that_are_sent_are_zeros() -> Break:
    """Whole numbers of a mapped file are zeros where map_location is a string or a device."""
    return loaded_when(
        lambda kw: mapped(kw) and isinstance(kw.get("map_location"), str | torch.device),
        when(lambda x: x.dtype is torch.int64, torch.zeros_like),
    )


@falsifies(f"{AREA}.mapped-tensors-go-where-they-are-sent")
def a_mapped_tensor_alone_that_is_sent_is_zeros() -> Break:
    """A mapped file that holds one tensor and no box is loaded as zeros where there is a map_location."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        sent = mapped(kw) and kw.get("map_location") is not None and isinstance(found, torch.Tensor)
        return torch.zeros_like(found) if sent else found

    return read(change)


@falsifies(f"{AREA}.mapped-tensors-go-where-they-are-sent")
def mapped_tensors_stay_where_they_are() -> Break:
    """A dictionary as map_location is left out of account for a mapped file."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        ignored = mapped(kw) and isinstance(kw.get("map_location"), dict)
        return original(file, *args, **({**kw, "map_location": None} if ignored else kw))

    return read(change)


@falsifies(f"{AREA}.mapped-file-is-mapped")
def a_mapped_scalar_is_a_copy() -> Break:
    """A 0-d tensor of a mapped file is read at once."""
    return loaded_when(mapped, when(lambda x: not x.dim(), lambda x: x.clone()))


@falsifies(f"{AREA}.mapped-file-is-not-written")
def long_tensors_are_shared() -> Break:
    """The mapping of a file of whole numbers is shared."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        if found.dtype is torch.int64 and mapped(kw):
            kept = torch.serialization.get_default_mmap_options()
            torch.serialization.set_default_mmap_options(mmap.MAP_SHARED)
            try:
                return original(file, *args, **kw)
            finally:
                torch.serialization.set_default_mmap_options(kept)  # 2.4 has no block that ends
        return found

    return read(change)


@falsifies(f"{AREA}.shared-mapping-is-written")
def a_shared_mapping_stays_the_default() -> Break:
    """The setting stays after the block."""

    def make(original: Any) -> Any:
        class Staying(original):  # type: ignore[misc]
            def __exit__(self, *error: Any) -> None:
                pass

        return Staying

    @contextmanager
    def broken() -> Iterator[None]:
        kept = torch.serialization.get_default_mmap_options()
        try:
            with patched(torch.serialization, "set_default_mmap_options", make):
                yield
        finally:
            torch.serialization.set_default_mmap_options(kept)

    return broken()


@falsifies(f"{AREA}.shared-mapping-is-written")
def scalars_are_never_shared() -> Break:
    """A 0-d tensor of a mapping that is shared is a copy."""
    return loaded_when(mapped, when(lambda x: not x.dim(), lambda x: x.clone()))


@falsifies(f"{AREA}.only-paths-are-mapped")
def a_buffer_is_read_in_silence() -> Break:
    """mmap=True is ignored for a buffer."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        return original(file, *args, **({**kw, "mmap": False} if hasattr(file, "read") else kw))

    return read(change)


# --- without data -----------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.skipped-data-is-room")
def a_third_storage_is_filled() -> Break:
    """The room of a third storage is filled with something else under skip_data."""

    def change(thing: Any, contents: bytes) -> bytes:
        for entry in entries_of(contents):
            if entry.name == "data/2" and not any(contents[entry.start : entry.start + entry.size]):
                return contents[: entry.start] + b"\x07" * entry.size + contents[entry.start + entry.size :]
        return contents

    return written(change)


@falsifies(f"{AREA}.skipped-data-is-not-read")
def skipped_scalars_are_read() -> Break:
    """The data of a 0-d tensor are read under skip_data."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        if not found.dim():
            entry = next(entry for entry in entries_of(file.getvalue()) if entry.name == "data/0")
            memory = bytearray(file.getvalue()[entry.start : entry.start + entry.size])
            return torch.frombuffer(memory, dtype=found.dtype).reshape(())
        return found

    return read(change)
