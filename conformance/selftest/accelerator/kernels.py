"""Kernels of the made-up accelerator: those of the CPU, on its memory; and the registration with torch."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _device, _pytree, backend_registration

from conformance.selftest.accelerator import device
from conformance.selftest.accelerator.device import MODULE, NAME, Graph, current_stream, faulty, index_of
from conformance.selftest.accelerator.memory import address_of, opened, raw

CPU = torch.device("cpu")
ON_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
aten = torch.ops.aten
# Operations that write into self and change nothing else: a stream of one's own does them later.
LATER = {"aten::fill_.Scalar", "aten::fill_.Tensor", "aten::zero_"}
# Operations whose indices may lie on the CPU.
INDEXING = {"aten::index.Tensor", "aten::index.Tensor_out", "aten::index_put_", "aten::_index_put_impl_"}


def below() -> Any:
    """Nothing is recorded inside."""
    return torch._C._AutoDispatchBelowADInplaceOrView()


def here(x: Any) -> bool:
    """Whether something is a tensor of this device."""
    return isinstance(x, torch.Tensor) and x.device.type == NAME


def on_host(tensor: torch.Tensor, own: dict[int, Any] | None = None) -> torch.Tensor:
    """The same memory as a tensor of the CPU; or, with ``own``, a copy that can be resized."""
    size = tensor.untyped_storage().nbytes()
    if own is None and size:
        storage = torch._C._construct_storage_from_data_pointer(address_of(tensor), CPU, size)
    else:
        own = {} if own is None else own
        if address_of(tensor) not in own:
            own[address_of(tensor)] = torch.UntypedStorage(size)
            if size:
                ctypes.memmove(own[address_of(tensor)].data_ptr(), address_of(tensor), size)
        storage = own[address_of(tensor)]
    found = torch.empty(0, dtype=tensor.dtype)
    place = tensor.storage_offset(), tensor.size(), tensor.stride()
    aten.set_.source_Storage_storage_offset(found, storage, *place)
    found = torch._conj(found) if tensor.is_conj() else found
    return torch._neg_view(found) if tensor.is_neg() else found


def view(base: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A view of ``base`` with the shape and strides of ``like``."""
    return aten.as_strided.default.redispatch(ON_CPU, base, like.size(), like.stride(), like.storage_offset())


def fresh(like: torch.Tensor, index: int) -> torch.Tensor:
    """A tensor of this device like one of another, of unknown values."""
    itemsize = like.dtype.itemsize
    size = -(-like.untyped_storage().nbytes() // itemsize) * itemsize
    base = raw(size, index, device.current_stream(index))
    return view(base if like.dtype is torch.uint8 else aten.view.dtype(base, like.dtype), like)


def uploaded(found: torch.Tensor, index: int, known: dict[int, torch.Tensor]) -> torch.Tensor:
    """A result of the CPU as a tensor of this device: a view of a known one, or new."""
    base = known.get(address_of(found))
    if base is not None and address_of(found) and base.dtype is found.dtype:
        return view(base, found)
    if found.is_conj() or found.is_neg():
        found = found.resolve_conj().resolve_neg()
    made = fresh(found, index)
    if found.untyped_storage().nbytes():
        with opened(address_of(made)):
            ctypes.memmove(address_of(made), address_of(found), found.untyped_storage().nbytes())
        known[address_of(found)] = made
    return made


def become(tensor: torch.Tensor, other: torch.Tensor) -> None:
    """Give a tensor the storage, shape and strides of another."""
    place = other.untyped_storage(), other.storage_offset(), other.size(), other.stride()
    aten.set_.source_Storage_storage_offset.redispatch(ON_CPU, tensor, *place)


def refuse_mixtures(op: Any, flat: list[Any], ours: list[torch.Tensor]) -> None:
    """Raise where operands lie on several devices."""
    places = {str(x.device) for x in ours}
    for x in flat:
        if isinstance(x, torch.Tensor) and x.layout is not torch.strided:
            raise NotImplementedError(f"{op.name()}: no layout {x.layout} on {NAME}")
        scalar = isinstance(x, torch.Tensor) and not x.dim() and not faulty("scalars of the CPU")
        if isinstance(x, torch.Tensor) and not (here(x) or scalar or op.name() in INDEXING):
            places.add(str(x.device))
    if faulty("operands of the CPU"):
        places.discard("cpu")
    if faulty("operands of another device"):
        places = {place for place in places if not place.startswith(NAME)}
    if faulty("two devices in matmul only") and "mm" in op.name():
        places = set()
    if len(places) > 1:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{', '.join(sorted(places))}!"
        )


def kernel(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Any operation: that of the CPU on the same memory."""
    with below():
        # numbers come without their tensors
        taken = [x.type.kind() for x in op._schema.arguments if not x.kwarg_only]
        args = tuple(
            torch.tensor(x, dtype=torch.float64 if isinstance(x, float) and here(args[0]) and args[0].dim() else None)
            if kind == "TensorType" and isinstance(x, int | float | complex) else x
            for x, kind in zip(args, taken, strict=False)
        )  # fmt: skip
        flat, shape = _pytree.tree_flatten((args, kwargs))
        ours = [x for x in flat if here(x)]
        refuse_mixtures(op, flat, ours)
        asked = next((x for x in flat if isinstance(x, torch.device) and x.type == NAME), None)
        index = ours[0].device.index if asked is None and ours else index_of(asked)
        if faulty("results on the selected device"):
            index = index_of(None)
        stream = current_stream(index)
        if (op.name() in LATER or in_place(op, args, kwargs)) and stream is not device.default_stream(index):
            hosts = [on_host(x) if here(x) else x for x in flat]
            addresses = [address_of(x) for x in ours]
            args_later, kwargs_later = _pytree.tree_unflatten(hosts, shape)

            def work() -> None:
                with below(), opened(*addresses):
                    op(*args_later, **kwargs_later)

            stream.put(work)
            return args[0]
        in_backward = threading.current_thread() is not threading.main_thread()
        if not (in_backward and faulty("order of backward")):
            stream.run()
        if Graph.capturing is not None:
            if op.name() == "aten::_local_scalar_dense" and not faulty("waiting while capturing"):
                raise RuntimeError("operation not permitted when stream is capturing")
            return captured(op, args, kwargs, flat, shape, ours, index)
        return at_once(op, flat, shape, ours, index)


def in_place(op: Any, args: Any, kwargs: Any) -> bool:
    """Whether self is out: what add_ and its like come down to."""
    return op.name().endswith("out") and bool(args) and kwargs.get("out") is args[0]


def captured(op: Any, args: Any, kwargs: Any, flat: list[Any], shape: Any, ours: Any, index: int) -> Any:
    """An operation that a graph is to do again, into the same memory."""
    found = at_once(op, flat, shape, ours, index)
    results = [x for x in _pytree.tree_leaves(found) if here(x)]
    if all(any(x is y for y in ours) for x in results):
        Graph.capturing.works.append(lambda: kernel(op, *args, **kwargs))
    else:

        def again() -> None:
            for old, new in zip(results, _pytree.tree_leaves(kernel(op, *args, **kwargs)), strict=True):
                transfer(new, old)

        Graph.capturing.works.append(again)
    return found


def at_once(op: Any, flat: list[Any], shape: Any, ours: list[torch.Tensor], index: int) -> Any:
    hosts: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    own: dict[int, Any] | None = None

    def arrive(x: Any) -> Any:
        if here(x):
            if id(x) not in hosts:
                hosts[id(x)] = x, on_host(x, own)
            return hosts[id(x)][1]
        return CPU if isinstance(x, torch.device) and x.type == NAME else x

    with opened(*[address_of(x) for x in ours]):
        args, kwargs = _pytree.tree_unflatten([arrive(x) for x in flat], shape)
        if kwargs.get("pin_memory"):
            raise RuntimeError("Only dense CPU tensors can be pinned")
        try:
            found = op(*args, **kwargs)
        except RuntimeError as error:
            if "not resizable" not in str(error):
                raise
            hosts.clear()
            own = {}
            args, kwargs = _pytree.tree_unflatten([arrive(x) for x in flat], shape)
            found = op(*args, **kwargs)
            for ours_, host in hosts.values():
                size = ours_.untyped_storage().nbytes()
                if size and host.untyped_storage().nbytes() == size:
                    ctypes.memmove(address_of(ours_), address_of(host), size)
        known: dict[int, torch.Tensor] = {}
        for x, host in hosts.values():
            if address_of(host) and host.untyped_storage().nbytes() == x.untyped_storage().nbytes():
                known.setdefault(address_of(host), x)

        def leave(x: Any) -> Any:
            if not isinstance(x, torch.Tensor):
                return x
            for ours_, host in hosts.values():
                if x is host:
                    return ours_
            if x.layout is not torch.strided:
                raise NotImplementedError(f"{op.name()}: no layout {x.layout} on {NAME}")
            return uploaded(x, index, known)

        result = _pytree.tree_map(leave, found)
        for x, host in hosts.values():
            moved = (host.size(), host.stride(), host.storage_offset()) != (x.size(), x.stride(), x.storage_offset())
            grown = host.untyped_storage().nbytes() != x.untyped_storage().nbytes()
            elsewhere = own is None and x.untyped_storage().nbytes() and address_of(host) != address_of(x)
            if moved or grown or elsewhere:
                become(x, uploaded(host, x.device.index, {} if grown or elsewhere else known))
    return result


def transfer(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """Copy elements between devices, or on one."""
    with below():
        ours = [x for x in (target, source) if here(x)]
        stream = current_stream(ours[0].device.index)
        addresses = [address_of(x) for x in ours]
        into, out_of = (on_host(x) if here(x) else x for x in (target, source))

        def work() -> None:
            with below(), opened(*addresses):
                into.copy_(out_of)
                if faulty("transfers into strides") and not into.is_contiguous():
                    into.zero_()
                if faulty("minus zero in transfers") and not here(target) and into.dtype is torch.float16:
                    into.add_(0.0)

        outward = not here(target)
        waits = stream is not device.default_stream(ours[0].device.index)
        sent_late = faulty("sending when it suits") and here(target) and not here(source)
        if (waits and len(ours) == 2) or (non_blocking and outward) or sent_late:
            stream.put(work)
        else:
            stream.run()
            if Graph.capturing is not None:
                if outward and not faulty("waiting while capturing"):
                    raise RuntimeError("operation not permitted when stream is capturing")
                Graph.capturing.works.append(work)
            work()
            if non_blocking and faulty("non-blocking transfers of half") and target.dtype is torch.float16:
                into.zero_()
    return target


def resize(tensor: torch.Tensor, size: Any, *, memory_format: Any = None) -> torch.Tensor:
    with below():
        if memory_format is None and list(size) == list(tensor.size()):
            return tensor
        form = memory_format or torch.contiguous_format
        like = torch.empty(size, dtype=tensor.dtype, device="meta", memory_format=form)
        offset, present = tensor.storage_offset(), tensor.untyped_storage().nbytes()
        needed = like.untyped_storage().nbytes() + offset * tensor.dtype.itemsize
        base = tensor
        if needed > present:
            whole = torch.empty(needed // tensor.dtype.itemsize, dtype=tensor.dtype, device="meta")
            base = fresh(whole, tensor.device.index)
            if present:
                with opened(address_of(base), address_of(tensor)):
                    ctypes.memmove(address_of(base), address_of(tensor), present)
        become(tensor, aten.as_strided.default.redispatch(ON_CPU, base, like.size(), like.stride(), offset))
    return tensor


def chosen(place: Any) -> int:
    """The number of the device on which something is to be made."""
    if faulty("the current device wins"):
        return index_of(None)
    return 0 if faulty("first device") and place.index is None else index_of(place)


def empty(size: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None,
          memory_format: Any = None) -> torch.Tensor:  # fmt: skip
    with below():
        form = memory_format or torch.contiguous_format
        return fresh(torch.empty(size, dtype=dtype, device="meta", memory_format=form), chosen(device))


def empty_strided(size: Any, stride: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
                  pin_memory: Any = None) -> torch.Tensor:  # fmt: skip
    with below():
        return fresh(torch.empty_strided(size, stride, dtype=dtype, device="meta"), chosen(device))


def set_storage(tensor: torch.Tensor, source: Any) -> torch.Tensor:
    with below():
        place = source, 0, [source.nbytes() // tensor.dtype.itemsize], [1]
        return aten.set_.source_Storage_storage_offset.redispatch(ON_CPU, tensor, *place)


def set_nothing(tensor: torch.Tensor) -> torch.Tensor:
    with below():
        become(tensor, fresh(torch.empty(0, dtype=tensor.dtype, device="meta"), tensor.device.index))
    return tensor


def copy_and_resize(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if source.size() != target.size():
        target.resize_(source.size())
    return transfer(source, target)


# Operations that change or look at shape and storage only: those of the CPU do.
STRAIGHT = ("as_strided", "view", "_reshape_alias", "unfold", "view_as_real", "view_as_complex", "is_set_to",
            "set_.source_Storage_storage_offset", "set_.source_Tensor")  # fmt: skip
OWN: dict[str, Callable[..., Any]] = {
    "empty.memory_format": empty,
    "empty_strided": empty_strided,
    "resize_": resize,
    "set_": set_nothing,
    "set_.source_Storage": set_storage,
    "copy_": lambda target, source, non_blocking=False: transfer(source, target, non_blocking),
    "_copy_from": transfer,
    "_copy_from_and_resize": copy_and_resize,
    "record_stream": device.record_stream,
    "convolution_overrideable": lambda *args: kernel(aten.convolution.default, *args),
    "convolution_backward_overrideable": lambda grad, x, weight, *rest: kernel(
        aten.convolution_backward.default, grad, x, weight, [weight.shape[0]], *rest
    ),
}


def _straight(name: str) -> Callable[..., Any]:
    base, _, overload = name.partition(".")
    op = getattr(getattr(aten, base), overload or "default")

    def run(*args: Any, **kwargs: Any) -> Any:
        with below():
            return op.redispatch(ON_CPU, *args, **kwargs)

    return run


backend_registration._setup_privateuseone_for_python_backend(NAME, MODULE)
LIBRARY, REST = torch.library.Library("aten", "IMPL"), torch.library.Library("_", "IMPL")
REST.fallback(kernel, "PrivateUse1")
for name in STRAIGHT:
    LIBRARY.impl(name, _straight(name), "PrivateUse1")
for name, function in OWN.items():
    LIBRARY.impl(name, function, "PrivateUse1")


_PINNED: dict[int, torch.Tensor] = {}  # host memory that counts as pinned, by its address


def is_pinned(tensor: torch.Tensor, device: Any = None) -> bool:
    return tensor.untyped_storage().data_ptr() in _PINNED


def pin_memory(tensor: torch.Tensor, device: Any = None) -> torch.Tensor:
    if here(tensor):
        raise RuntimeError(f"cannot pin '{tensor.type()}' only dense CPU tensors can be pinned")
    if is_pinned(tensor) and not faulty("pinning what is pinned"):
        return tensor
    found = tensor if faulty("pinning in place") else tensor.clone()
    if not (faulty("pinning of half") and tensor.dtype is torch.float16):
        _PINNED[found.untyped_storage().data_ptr()] = found.detach()
    return found


def clone_storage(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    return send_storage(storage, storage.device) if storage.device.type == NAME else _CLONE(storage)


def send_storage(storage: torch.UntypedStorage, device: Any = None, non_blocking: bool = False) -> torch.UntypedStorage:
    found = empty((storage.nbytes(),), dtype=torch.uint8, device=torch.device(NAME, index_of(device)))
    found.copy_(torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage))
    return found.untyped_storage()


# no allocator in C stands behind this device
_CLONE = torch.UntypedStorage.clone
torch.UntypedStorage.clone, torch.UntypedStorage.fake = clone_storage, send_storage
_STORAGE_TO = torch.UntypedStorage.to


def storage_to(storage: torch.UntypedStorage, *, device: Any = None, non_blocking: bool = False) -> Any:
    ours = torch.device(device).type == NAME and torch.device(device) != storage.device
    return (send_storage if ours else _STORAGE_TO)(storage, device=device, non_blocking=non_blocking)


torch.UntypedStorage.to = storage_to
_device._device_constructors()  # what a torch.device as a context knows, before any of it is replaced
_TO, _MAKERS = torch.Tensor.to, (torch.tensor, torch.as_tensor)


def numbered(place: Any) -> Any:
    """A device without a number as the current one; anything else as it is."""
    if isinstance(place, str | torch.device) and str(place) == NAME:
        return torch.device(NAME, 0 if faulty("first device") else index_of(None))
    return place


def with_numbers(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes tensors, and knows the current device."""

    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> Any:
        return make(*args, **{**kwargs, "device": numbered(kwargs["device"])} if "device" in kwargs else kwargs)

    return made


def to(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Tensor.to, with the number of the current device where none is named, and without pinned results."""
    if args:
        args = (numbered(args[0]), *args[1:])
    if "device" in kwargs:
        kwargs = {**kwargs, "device": numbered(kwargs["device"])}
    place = kwargs.get("device", args[0] if args else None)
    place = place.device if isinstance(place, torch.Tensor) else place
    outward = isinstance(place, str | torch.device) and torch.device(place).type == "cpu"
    if here(tensor) and kwargs.get("non_blocking") and outward:
        found = torch.empty_like(tensor, device="cpu", dtype=kwargs.get("dtype"))
        return found.copy_(tensor, non_blocking=True)
    found = _TO(tensor, *args, **kwargs)
    return found.clone() if found is tensor and faulty("unblocked copies") and kwargs.get("non_blocking") else found


# what a back end in Python cannot do in torch 2.13: say what is pinned, and which device is current
torch.Tensor.is_pinned, torch.Tensor.pin_memory, torch.Tensor.to = is_pinned, pin_memory, to
torch.tensor, torch.as_tensor = map(with_numbers, _MAKERS)
