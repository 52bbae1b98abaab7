"""Memory of the made-up accelerator: a caching allocator, and storages of torch that lie in it."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

GUARDED = os.environ.get("CONFORMANCE_FAKE_GUARDED") == "1"
PAGE, TOTAL = 4096, 1 << 26  # bytes of a page, and of one device
ALIGNED = 512  # blocks are as long as a multiple of it

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("index", ctypes.c_int32)]


class _Type(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device", _Device), ("ndim", ctypes.c_int32), ("dtype", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    ]  # fmt: skip


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Block:
    """A stretch of memory of a device, and the streams that its last tensor was used by."""

    def __init__(self, length: int, index: int, stream: Any) -> None:
        self.length, self.index, self.stream = length, index, stream
        self.address = _libc.mmap(None, -(-length // PAGE) * PAGE, 0 if GUARDED else 3, 0x22, -1, 0)
        self.users: set[Any] = set()
        self.held: list[tuple[Any, int]] = []  # streams, and how far they must come before it serves again


class Pool:
    """The blocks of one device, and what is counted of them."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.live: dict[int, Block] = {}
        self.free: list[Block] = []
        self.peak, self.limit, self.taken = 0, TOTAL, 0

    def allocated(self) -> int:
        """Bytes of the blocks in which there are tensors."""
        return sum(block.length for block in list(self.live.values()))

    def reserved(self) -> int:
        """Bytes of all blocks."""
        return self.allocated() + sum(block.length for block in list(self.free))

    def take(self, size: int, stream: Any) -> Block:
        """A block for ``size`` bytes, a used one where there is; raises OutOfMemoryError."""
        length = max(-(-size // ALIGNED) * ALIGNED, ALIGNED)
        for block in self.free:
            ready = all(user.done >= place for user, place in block.held)
            if block.length == length and block.stream is stream and ready:
                self.free.remove(block)
                break
        else:
            if self.reserved() + length > self.limit:
                self.trim()
            if self.reserved() + length > self.limit:
                raise torch.OutOfMemoryError(f"fake:{self.index} out of memory: tried to allocate {length} bytes")
            block = Block(length, self.index, stream)
        block.users, block.held = set(), []
        self.live[block.address] = block
        self.peak = max(self.peak, self.allocated())
        self.taken += block.length
        return block

    def give_back(self, address: int) -> None:
        """The tensor in the block is gone."""
        block = self.live.pop(address)
        block.held = [(user, user.issued) for user in block.users]
        self.free.append(block)

    def trim(self) -> None:
        """Let go of the blocks without a tensor."""
        for block in [b for b in self.free if all(user.done >= place for user, place in b.held)]:
            self.free.remove(block)
            _libc.munmap(block.address, -(-block.length // PAGE) * PAGE)


POOLS = (Pool(0), Pool(1))
_MANAGED: dict[int, tuple[Any, ...]] = {}


@_Deleter
def _gone(pointer: int) -> None:
    _, _, pool, address = _MANAGED.pop(pointer)
    pool.give_back(address)


def raw(size: int, index: int, stream: Any) -> torch.Tensor:
    """A 1-D tensor of ``size`` bytes on a device."""
    block = POOLS[index].take(size, stream)
    shape = (ctypes.c_int64 * 1)(size)
    private_use = 12  # kDLExtDev, which torch takes for PrivateUse1
    managed = _Managed(
        _Tensor(block.address, _Device(private_use, index), 1, _Type(1, 8, 1), shape, None, 0), None, _gone
    )
    pointer = ctypes.addressof(managed)
    _MANAGED[pointer] = managed, shape, POOLS[index], block.address
    return torch._C._from_dlpack(_capsule(pointer, b"dltensor", None))


def address_of(tensor: torch.Tensor) -> int:
    """Where the storage of a tensor begins."""
    return tensor.untyped_storage().data_ptr()


def block_of(tensor: torch.Tensor) -> Block | None:
    """The block that a tensor lies in."""
    return POOLS[tensor.device.index].live.get(address_of(tensor))


_OPEN: dict[int, int] = {}
_LOCK = threading.RLock()


@contextmanager
def opened(*addresses: int) -> Iterator[None]:
    """Inside, the memory at these addresses can be read and written: what a kernel does there."""
    if not GUARDED:
        yield
        return
    for address in addresses:
        _guard(address, 1)
    try:
        yield
    finally:
        for address in addresses:
            _guard(address, -1)


def _guard(address: int, step: int) -> None:
    with _LOCK:
        before = _OPEN.get(address, 0)
        _OPEN[address] = before + step
        if bool(before) is not bool(before + step):
            page = address - address % PAGE  # what came by DLPack begins within a block
            blocks = (pool.live.get(start) for pool in POOLS for start in (address, page))
            length = next((block.length for block in blocks if block), 0)
            if length:
                _libc.mprotect(page, -(-length // PAGE) * PAGE, 3 if before + step else 0)
        if not _OPEN[address]:
            del _OPEN[address]
