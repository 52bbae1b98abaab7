"""Breaks of the promises about accelerators: those of one that is made up, and of torch, each for a rare condition."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from conformance.selftest.falsifying import falsifies, patched

Break = AbstractContextManager[Any]
AREA = "cuda"


@contextmanager
def fault(name: str) -> Iterator[None]:
    """A break of the accelerator that is made up, where that is there."""
    device = sys.modules["conformance.selftest.accelerator.device"]
    device.FAULTS.add(name)
    try:
        yield
    finally:
        device.FAULTS.discard(name)
        device.synchronize()


@falsifies(f"{AREA}.factories-use-the-current-device")
def first_device_always() -> Break:
    """A device without a number is the first one."""
    return fault("first device")


@falsifies(f"{AREA}.device-contexts-select-and-restore")
def exceptions_keep_the_device() -> Break:
    """A context that an exception leaves does not restore the device."""
    return fault("restoring after an exception")


@falsifies(f"{AREA}.device-without-number-is-the-current-one")
def numberless_is_the_first() -> Break:
    """A device without a number is the first one."""
    return fault("first device")


@falsifies(f"{AREA}.operations-run-where-their-operands-are")
def results_move_to_the_selected() -> Break:
    """Results are put on the selected device."""
    return fault("results on the selected device")


@falsifies(f"{AREA}.a-named-device-wins")
def the_current_device_wins() -> Break:
    """What names a device is made on the current one."""
    return fault("the current device wins")


@falsifies(f"{AREA}.operands-of-the-cpu-are-refused")
def operands_of_the_cpu_are_taken() -> Break:
    """Tensors of the CPU are taken for operands."""
    return fault("operands of the CPU")


@falsifies(f"{AREA}.operands-of-several-devices-are-refused")
def two_devices_are_one() -> Break:
    """Tensors of another device are taken for operands."""
    return fault("operands of another device")


@falsifies(f"{AREA}.operands-of-several-devices-are-refused")
def matrices_of_two_devices() -> Break:
    """Matrix products take operands of two devices."""
    return fault("two devices in matmul only")


@falsifies(f"{AREA}.copies-cross-devices")
def strided_copies_get_lost() -> Break:
    """A copy into a tensor that is not contiguous writes zeros."""
    return fault("transfers into strides")


@falsifies(f"{AREA}.scalars-of-the-cpu-are-operands")
def scalars_are_refused() -> Break:
    """Tensors of the CPU without dimensions are refused."""
    return fault("scalars of the CPU")


@falsifies(f"{AREA}.scalars-of-the-device-are-no-operands-of-the-cpu")
def scalars_of_the_device_are_taken() -> Break:
    """+ takes a tensor without dimensions to where the other operand is."""

    def other(original: Any) -> Any:
        return lambda a, b: (
            original(a.cpu(), b) if isinstance(b, torch.Tensor) and b.dim() > a.dim() else original(a, b)
        )

    return patched(torch.Tensor, "__add__", other)


@falsifies(f"{AREA}.to-where-it-is-returns-self")
def unblocked_copies() -> Break:
    """to with non_blocking copies what is there already."""
    return fault("unblocked copies")


@falsifies(f"{AREA}.transfers-are-exact")
def minus_zero_is_lost() -> Break:
    """A float16 that is fetched loses the sign of its zero."""
    return fault("minus zero in transfers")


@falsifies(f"{AREA}.sent-without-blocking-is-there-in-order")
def half_arrives_late() -> Break:
    """float16 that is sent without blocking is not there."""
    return fault("non-blocking transfers of half")


@falsifies(f"{AREA}.fetched-without-blocking-is-there-after-synchronizing")
def nobody_waits_for_the_default() -> Break:
    """synchronize does not wait for the default stream."""
    return fault("the default stream")


@falsifies(f"{AREA}.pin-memory-copies-once")
def half_is_not_pinned() -> Break:
    """float16 is copied, and not pinned."""
    return fault("pinning of half")


@falsifies(f"{AREA}.pin-memory-copies-once")
def pinned_again() -> Break:
    """What is pinned is copied again."""
    return fault("pinning what is pinned")


@falsifies(f"{AREA}.asynchronous-work-is-unseen")
def sent_when_it_suits() -> Break:
    """What is sent is read later, when the source may be another."""
    return fault("sending when it suits")


@falsifies(f"{AREA}.a-stream-works-in-order")
def last_work_first() -> Break:
    """A stream does first what came last."""
    return fault("last work first")


@falsifies(f"{AREA}.wait-stream-orders-streams")
def wait_stream_waits_for_nothing() -> Break:
    """wait_stream waits for nothing."""
    return fault("wait_stream at once")


@falsifies(f"{AREA}.events-order-streams")
def waiting_for_events_is_none() -> Break:
    """Streams wait for no event."""
    return fault("wait of an event")


@falsifies(f"{AREA}.synchronize-waits-for-every-stream")
def own_streams_are_forgotten() -> Break:
    """synchronize waits for the default streams only."""
    return fault("streams of one's own")


@falsifies(f"{AREA}.a-stream-is-synchronized")
def streams_do_not_synchronize() -> Break:
    """synchronize of a stream waits for nothing."""
    return fault("synchronize of a stream")


@falsifies(f"{AREA}.an-event-is-synchronized")
def events_do_not_synchronize() -> Break:
    """synchronize of an event waits for nothing."""
    return fault("synchronize of an event")


@falsifies(f"{AREA}.stream-contexts-select-and-restore")
def exceptions_keep_the_stream() -> Break:
    """A context that an exception leaves does not restore the stream."""
    return fault("stream after an exception")


@falsifies(f"{AREA}.streams-belong-to-devices")
def streams_of_the_first_device() -> Break:
    """Every stream is one of the first device."""
    return fault("streams of the first device")


@falsifies(f"{AREA}.events-measure-time")
def time_runs_backwards() -> Break:
    """Time between events is below zero."""
    return fault("time runs backwards")


@falsifies(f"{AREA}.time-is-asked-for")
def time_unasked() -> Break:
    """Events that do not measure time tell one."""
    return fault("timing unasked")


@falsifies(f"{AREA}.recorded-streams-keep-memory")
def recorded_streams_are_forgotten() -> Break:
    """record_stream records nothing."""
    return fault("record_stream")


@falsifies(f"{AREA}.backward-runs-in-the-streams-of-forward")
def backward_waits_for_nothing() -> Break:
    """Backward does not wait for the work of its stream."""
    return fault("order of backward")


@falsifies(f"{AREA}.allocated-memory-follows-tensors")
def allocated_is_the_peak() -> Break:
    """What is freed is counted as allocated."""
    return fault("allocated is the peak")


@falsifies(f"{AREA}.reserved-memory-is-kept-and-released")
def only_what_is_used_is_reserved() -> Break:
    """What is freed is not reserved."""
    return fault("reserved is allocated")


@falsifies(f"{AREA}.reserved-memory-is-kept-and-released")
def the_cache_stays() -> Break:
    """empty_cache releases nothing."""
    return fault("empty_cache")


@falsifies(f"{AREA}.peaks-are-kept-and-reset")
def peaks_begin_at_nothing() -> Break:
    """A peak that is reset is 0."""
    return fault("peak of nothing")


@falsifies(f"{AREA}.memory-is-counted-by-device")
def the_first_device_counts() -> Break:
    """Allocated memory is always that of the first device."""
    return fault("statistics of the first device")


@falsifies(f"{AREA}.memory-fraction-is-a-limit")
def no_limit() -> Break:
    """The fraction of memory is no limit."""
    return fault("fraction")


@falsifies(f"{AREA}.graphs-replay-with-new-values")
def graphs_begin_late() -> Break:
    """A replay leaves the first operation out."""
    return fault("first of a graph")


@falsifies(f"{AREA}.torch-device-is-a-context")
def eye_is_made_on_meta() -> Break:
    """eye is made on meta, whatever the default device."""
    return patched(
        torch, "eye", lambda original: lambda *args, **kwargs: original(*args, **{"device": "meta", **kwargs})
    )


@falsifies(f"{AREA}.new-tensors-keep-device-and-type")
def bfloat16_is_widened_by_new_full() -> Break:
    """new_full of bfloat16 is of float32."""

    def widened(original: Any) -> Any:
        def new_full(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            return found.float() if found.dtype is torch.bfloat16 else found

        return new_full

    return patched(torch.Tensor, "new_full", widened)


class _Places(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _DEVICE)


_DEVICE = torch.device


@falsifies(f"{AREA}.numbers-mean-the-accelerator")
def numbers_mean_the_cpu() -> Break:
    """torch.device of a number above 0 is the CPU."""

    class Places(metaclass=_Places):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return _DEVICE("cpu") if isinstance(args[0], int) and args[0] else _DEVICE(*args, **kwargs)

    return patched(torch, "device", lambda original: Places)


def _rounded(original: Any) -> Any:
    """Products of what is rounded to bfloat16 first."""

    def product(a: Any, b: Any) -> Any:
        return original(a.bfloat16().float(), b) if a.dtype is torch.float32 and len(a) == 64 else original(a, b)

    return product


@falsifies(f"{AREA}.highest-precision-is-that-of-float32")
def batches_are_rounded() -> Break:
    """bmm rounds its first operand to bfloat16."""

    def rounded(original: Any) -> Any:
        return lambda a, b: original(a.bfloat16().float(), b)

    return patched(torch, "bmm", rounded)


@falsifies(f"{AREA}.products-are-exact-by-default")
def large_products_are_rounded() -> Break:
    """The operator @ rounds large operands to bfloat16."""
    return patched(torch.Tensor, "__matmul__", _rounded)


@falsifies(f"{AREA}.precision-leaves-element-types")
def medium_products_are_bfloat16() -> Break:
    """Products under the precision medium are of bfloat16."""

    def narrowed(original: Any) -> Any:
        def product(a: Any, b: Any) -> Any:
            found = original(a, b)
            return found.bfloat16() if torch.get_float32_matmul_precision() == "medium" else found

        return product

    return patched(torch.Tensor, "__matmul__", narrowed)


@falsifies(f"{AREA}.tf32-switches")
def high_precision_is_not_heard_of() -> Break:
    """set_float32_matmul_precision does nothing for high."""

    def other(original: Any) -> Any:
        return lambda word: original("highest" if word == "high" else word)

    return patched(torch, "set_float32_matmul_precision", other)


@falsifies(f"{AREA}.reduced-precision-switches")
def the_switch_of_bfloat16_sticks() -> Break:
    """The switch of reductions in bfloat16 stays on."""

    def other(original: Any) -> Any:
        def switch(self: Any, name: str, value: Any) -> None:
            if name != "allow_bf16_reduced_precision_reduction":
                original(self, name, value)

        return switch

    return patched(type(torch.backends.cuda.matmul), "__setattr__", other)
