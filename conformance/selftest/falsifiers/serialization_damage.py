"""Breaks of what a damaged file comes to, of what the environment decides, and of copies, each for a rare condition."""

from __future__ import annotations

import copy
import io
import os
import pickle
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch

from conformance.selftest.falsifiers.serialization import copied, over, when
from conformance.selftest.falsifiers.serialization_files import read
from conformance.selftest.falsifying import falsifies, patched

AREA = "serialization"
Break = AbstractContextManager[Any]


def forgiven(condition: Any, value: Any = None) -> Break:
    """torch.load returns a value where it would raise and the condition holds of the bytes."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        try:
            return original(file, *args, **kw)
        except Exception as error:
            contents = file.getvalue() if isinstance(file, io.BytesIO) else b""
            if condition(contents, error):
                return torch.zeros(2, 3) if value is None else value
            raise

    return read(change)


@falsifies(f"{AREA}.truncated-file-raises")
def a_lost_end_of_the_old_format_is_filled() -> Break:
    """A file of the old format without its last byte is loaded with a zero there."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        try:
            return original(file, *args, **kw)
        except RuntimeError as error:
            if "unexpected EOF, expected 1 more" in str(error):
                return original(io.BytesIO(file.getvalue() + b"\0"), *args, **kw)
            raise

    return read(change)


@falsifies(f"{AREA}.truncated-file-raises")
def an_archive_without_its_comment_is_taken() -> Break:
    """An archive without its last two bytes is completed."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        contents = file.getvalue()
        lost = contents[:2] == b"PK" and contents[-20:-16] == b"PK\x05\x06"
        return original(io.BytesIO(contents + b"\0\0") if lost else file, *args, **kw)

    return read(change)


@falsifies(f"{AREA}.damage-does-not-end-the-process")
def a_key_that_is_not_there_ends_the_process() -> Break:
    """A key error while loading ends the process."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        try:
            return original(file, *args, **kw)
        except UnicodeDecodeError:
            os.kill(os.getpid(), signal.SIGKILL)

    return read(change)


@falsifies(f"{AREA}.changed-element-changes-nothing-else")
def a_changed_byte_moves_the_others() -> Break:
    """Where the last element of a long tensor was changed, the first one is lost."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        if found.numel() > 32 and found[-1] != found[-4]:
            found[0] = 0
        return found

    return read(change)


@falsifies(f"{AREA}.elements-beyond-the-storage-are-refused")
def a_scalar_beyond_its_storage_is_zero() -> Break:
    """A 0-d tensor whose offset lies beyond the storage is loaded."""
    return forgiven(lambda contents, error: b"\x8a\x09\x06\0\0\0\0\0\0\0\0(t(t" in contents)


@falsifies(f"{AREA}.storage-of-another-size-is-refused")
def what_is_too_long_is_cut() -> Break:
    """A storage of whole numbers that is longer than the object says is cut."""
    return forgiven(lambda contents, error: "480 bytes" in str(error))


@falsifies(f"{AREA}.missing-file-of-an-archive-raises")
def a_missing_storage_is_zeros() -> Break:
    """A storage that the archive does not have is taken for zeros."""
    return forgiven(lambda contents, error: "data/0" in str(error) and "0/0" not in str(error))


@falsifies(f"{AREA}.other-files-are-refused")
def an_empty_file_is_nothing() -> Break:
    """An empty file is loaded as an empty dictionary."""
    return forgiven(lambda contents, error: contents == b"", {})


@falsifies(f"{AREA}.class-that-is-not-there-raises")
def a_missing_layer_is_none() -> Break:
    """A missing class of a module that is there is loaded as None where it is not called."""
    return forgiven(lambda contents, error: isinstance(error, AttributeError) and b")R." not in contents, {})


@falsifies(f"{AREA}.file-that-is-not-there-raises")
def a_missing_file_is_made() -> Break:
    """A path that does not exist is made before it is read."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        if isinstance(file, str) and not os.path.exists(file):
            Path(file).touch()
            raise FileNotFoundError(file)
        return original(file, *args, **kw)

    return read(change)


@falsifies(f"{AREA}.unseekable-file-is-refused")
def a_stream_is_read_to_its_end() -> Break:
    """A stream that cannot seek and is no archive is read as a whole first."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        if not file.seekable() and file.getvalue()[:2] != b"PK":
            return original(io.BytesIO(file.getvalue()), *args, **kw)
        return original(file, *args, **kw)

    return read(change)


@falsifies(f"{AREA}.file-of-the-caller-stays-open")
def loading_an_empty_tensor_closes_its_file() -> Break:
    """The file of a tensor without elements is closed once it was loaded."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        if not found.numel():
            file.close()
        return found

    return read(change)


@falsifies(f"{AREA}.byte-strings-are-decoded")
def encoding_bytes_is_latin1() -> Break:
    """encoding="bytes" decodes what is no ASCII."""

    def change(original: Any, file: Any, *args: Any, **kw: Any) -> Any:
        found = original(file, *args, **kw)
        return found.decode("latin1") if type(found) is bytes and not found.isascii() else found

    return read(change)


@contextmanager
def started_with(code: str) -> Iterator[None]:
    """Every process that is started runs this code at first."""
    kept = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(code)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, kept)))
        try:
            yield
        finally:
            if kept is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = kept


@falsifies(f"{AREA}.environment-decides-where-nothing-is-said")
def the_silent_call_is_not_heard() -> Break:
    """The variable that makes torch.load trust a file is taken away before torch looks at it."""
    return started_with("import os\nos.environ.pop('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', None)\n")


@falsifies(f"{AREA}.environment-overrides-every-call")
def a_call_that_says_no_is_not_overridden() -> Break:
    """The variable that forbids trust only speaks where the call is silent."""
    return started_with(
        "import torch, os\noriginal = torch.load\n"
        "def load(*args, **kw):\n"
        "    if kw.get('weights_only') is False:\n"
        "        os.environ.pop('TORCH_FORCE_WEIGHTS_ONLY_LOAD', None)\n"
        "    return original(*args, **kw)\n"
        "torch.load = load\n"
    )


# --- pickle and copies ------------------------------------------------------------------------------------------


def copying(owner: Any, name: str, change: Any) -> Break:
    """copy.copy, copy.deepcopy or pickle.loads change every tensor of what they return."""

    def make(original: Any) -> Any:
        return lambda thing, *args: change(thing, original(thing, *args))

    return patched(owner, name, make)


@falsifies(f"{AREA}.pickled-tensor-comes-back")
def a_pickled_half_loses_its_strides() -> Break:
    """A transposed bfloat16 tensor is contiguous once it was pickled."""
    change = when(
        lambda x: x.dtype is torch.bfloat16 and not x.is_contiguous(),
        lambda x: x.detach().clone(memory_format=torch.contiguous_format).requires_grad_(x.requires_grad),
    )
    return copying(pickle, "loads", lambda _, found: over(found, change))


@falsifies(f"{AREA}.deepcopy-is-equal-and-apart")
def a_deep_copy_of_a_bool_is_shallow() -> Break:
    """A tensor of bools is no copy."""
    return copying(
        copy,
        "deepcopy",
        lambda x, found: x.view_as(x) if isinstance(x, torch.Tensor) and x.dtype is torch.bool else found,
    )


@falsifies(f"{AREA}.deepcopy-keeps-sharing")
def a_deep_copy_of_a_dictionary_parts_views() -> Break:
    """Views in a dictionary are copied apart."""
    change = when(lambda x: x.storage_offset() > 0, lambda x: x.clone())
    return copying(copy, "deepcopy", lambda thing, found: over(copied(found), change) if type(thing) is dict else found)


@falsifies(f"{AREA}.deepcopy-copies-or-drops-the-gradient")
def a_deep_copy_has_the_same_gradient() -> Break:
    """The gradient of a 0-d tensor is not copied but shared."""

    def change(x: Any, found: Any) -> Any:
        if isinstance(x, torch.Tensor) and not x.dim() and found.grad is not None:
            found.grad = x.grad
        return found

    return copying(copy, "deepcopy", change)


@falsifies(f"{AREA}.deepcopy-of-a-non-leaf-is-refused")
def a_view_of_a_leaf_is_copied() -> Break:
    """A view of a leaf is copied without its history."""

    def make(original: Any) -> Any:
        def deepcopy(x: Any, *args: Any) -> Any:
            return original(x.detach() if isinstance(x, torch.Tensor) and x._is_view() else x, *args)

        return deepcopy

    return patched(copy, "deepcopy", make)


@falsifies(f"{AREA}.copy-shares-memory")
def a_copied_scalar_is_apart() -> Break:
    """A 0-d tensor is copied with its memory."""
    return copying(
        copy,
        "copy",
        lambda x, found: (
            found.clone().detach().requires_grad_(x.requires_grad)
            if isinstance(x, torch.Tensor) and not x.dim()
            else found
        ),
    )


@falsifies(f"{AREA}.every-type-is-pickled-and-copied")
def uint16_is_pickled_as_int16() -> Break:
    """uint16 is refused by name."""

    def make(original: Any) -> Any:
        def refuse(x: Any, *args: Any) -> Any:
            if isinstance(x, torch.Tensor):
                raise TypeError("this type is not copied")
            return original(x, *args)

        return refuse

    return patched(copy, "copy", make)


@falsifies(f"{AREA}.deepcopy-of-a-module-is-equal-and-apart")
def a_copied_buffer_is_persistent() -> Break:
    """A deep copy forgets which buffers are not saved."""

    def change(module: Any, found: Any) -> Any:
        for part in found.modules() if isinstance(found, torch.nn.Module) else ():
            part._non_persistent_buffers_set.clear()
        return found

    return copying(copy, "deepcopy", change)
