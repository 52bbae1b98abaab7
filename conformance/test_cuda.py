"""Area ``cuda``: devices, transfers, streams, events, allocator, precision and graphs of an accelerator of any type."""

from __future__ import annotations

from conformance.engine.cases import cases
from conformance.inputs import device_choices, device_memory, device_streams
from conformance.inputs.device_memory import Transfer
from conformance.inputs.device_programs import DeviceProgram
from conformance.oracles import memory
from conformance.oracles.program_answers import program_answers, strides_are_kept


@cases(device_choices.factories)
def test_factories_use_the_current_device(case: DeviceProgram) -> None:
    """What is made on a type of device without a number is on the device of that type that is current."""
    program_answers(case)


@cases(device_choices.device_contexts)
def test_device_contexts_select_and_restore(case: DeviceProgram) -> None:
    """A device is current inside its context, and the one from before after it, by an exception too; a negative number and None select nothing."""  # noqa: E501
    program_answers(case)


@cases(device_choices.devices_without_index)
def test_device_without_number_is_the_current_one(case: DeviceProgram) -> None:
    """A torch.device without a number means the device that is current when it is used, also after set_device."""
    program_answers(case)


@cases(device_choices.operations_elsewhere)
def test_operations_run_where_their_operands_are(case: DeviceProgram) -> None:
    """Operations run whatever device is selected, and their results are on the device of their operands."""
    program_answers(case)


@cases(device_choices.explicit_devices)
def test_a_named_device_wins(case: DeviceProgram) -> None:
    """A device that is named with its number is where a tensor is made, whatever device is current."""
    program_answers(case)


@cases(device_choices.default_devices)
def test_torch_device_is_a_context(case: DeviceProgram) -> None:
    """Inside a torch.device as a context factories make tensors there, but for those with a device of their own, and no longer after it."""  # noqa: E501
    program_answers(case)


@cases(device_choices.made_alike)
def test_new_tensors_keep_device_and_type(case: DeviceProgram) -> None:
    """new_* and *_like make tensors of the device and element type of their tensor."""
    program_answers(case)


@cases(device_choices.numbered_devices)
def test_numbers_mean_the_accelerator(case: DeviceProgram) -> None:
    """A number alone is that device of the accelerator of the build, and RuntimeError where it has none."""
    program_answers(case)


@cases(device_choices.mixed_with_the_cpu)
def test_operands_of_the_cpu_are_refused(case: DeviceProgram) -> None:
    """An operation on tensors of the device and of the CPU raises."""
    program_answers(case)


@cases(device_choices.mixed_devices)
def test_operands_of_several_devices_are_refused(case: DeviceProgram) -> None:
    """An operation on tensors of two devices of one type raises."""
    program_answers(case)


@cases(device_choices.device_copies)
def test_copies_cross_devices(case: DeviceProgram) -> None:
    """copy_, to, cpu and assignment copy between devices, with all values, and leave their source as it was."""
    program_answers(case)


@cases(device_choices.cpu_scalars)
def test_scalars_of_the_cpu_are_operands(case: DeviceProgram) -> None:
    """A tensor of the CPU without dimensions is an operand of one of the device, and the result is on the device."""
    program_answers(case)


@cases(device_choices.device_scalars)
def test_scalars_of_the_device_are_no_operands_of_the_cpu(case: DeviceProgram) -> None:
    """A tensor of the device without dimensions is no operand of one of the CPU that has some."""
    program_answers(case)


@cases(device_memory.same_devices)
def test_to_where_it_is_returns_self(case: DeviceProgram) -> None:
    """to with the device where a tensor is returns that tensor, and another one with copy=True."""
    program_answers(case)


@cases(device_memory.transfers)
def test_transfers_are_exact(case: Transfer) -> None:
    """A tensor that was sent to the device and fetched has every bit that it had, in every element type and layout, and the strides where it is dense."""  # noqa: E501
    x = case.plan.build()
    there = x.to(case.device)
    strides_are_kept(case, x, there)
    back = there.to(case.last).cpu()
    memory.same_bytes(memory.contents(x).tobytes(), memory.contents(back).tobytes(), "elements that came back")


@cases(device_memory.sent_unblocked)
def test_sent_without_blocking_is_there_in_order(case: DeviceProgram) -> None:
    """What is sent with non_blocking=True, from pinned memory or other, is there for what is done with it on the device."""  # noqa: E501
    program_answers(case)


@cases(device_memory.fetched_unblocked)
def test_fetched_without_blocking_is_there_after_synchronizing(case: DeviceProgram) -> None:
    """What is fetched with non_blocking=True is there once the device was synchronized."""
    program_answers(case)


@cases(device_memory.pinned_copies)
def test_pin_memory_copies_once(case: DeviceProgram) -> None:
    """pin_memory returns a copy in pinned memory, with the values that were there, or shares the memory that is pinned already."""  # noqa: E501
    program_answers(case)


@cases(device_streams.queued_unseen)
def test_asynchronous_work_is_unseen(case: DeviceProgram) -> None:
    """What is read of a device, at any time, is what it would be if each operation had waited for the one before."""
    program_answers(case)


@cases(device_streams.queues_in_order)
def test_a_stream_works_in_order(case: DeviceProgram) -> None:
    """Work of one stream is done in the order in which it was asked for."""
    program_answers(case)


@cases(device_streams.streams_waited_for)
def test_wait_stream_orders_streams(case: DeviceProgram) -> None:
    """Work that a stream is given after wait_stream finds done what the other had been given."""
    program_answers(case)


@cases(device_streams.events_waited_for)
def test_events_order_streams(case: DeviceProgram) -> None:
    """Work that a stream is given after it was told to wait for an event finds done what was before the event."""
    program_answers(case)


@cases(device_streams.devices_synchronized)
def test_synchronize_waits_for_every_stream(case: DeviceProgram) -> None:
    """After synchronize all work of the device is done, and its streams and events say so."""
    program_answers(case)


@cases(device_streams.streams_synchronized)
def test_a_stream_is_synchronized(case: DeviceProgram) -> None:
    """After synchronize of a stream its work is done, and it and its events say so."""
    program_answers(case)


@cases(device_streams.events_synchronized)
def test_an_event_is_synchronized(case: DeviceProgram) -> None:
    """After synchronize of an event the work before it is done, and it says so."""
    program_answers(case)


@cases(device_streams.streams_selected)
def test_stream_contexts_select_and_restore(case: DeviceProgram) -> None:
    """A stream is current inside its context, and the one from before after it, by an exception too; None selects nothing."""  # noqa: E501
    program_answers(case)


@cases(device_streams.streams_of_devices)
def test_streams_belong_to_devices(case: DeviceProgram) -> None:
    """A stream is of the device that it was made for, or of the current one, which its context selects too."""
    program_answers(case)


@cases(device_streams.events_timed)
def test_events_measure_time(case: DeviceProgram) -> None:
    """The time between two events that measure it is no less than zero, and no less to a later event."""
    program_answers(case)


@cases(device_streams.events_untimed)
def test_time_is_asked_for(case: DeviceProgram) -> None:
    """elapsed_time raises where one of the events was not made to measure time."""
    program_answers(case)


@cases(device_streams.memory_in_use)
def test_recorded_streams_keep_memory(case: DeviceProgram) -> None:
    """Memory of a tensor that another stream was recorded for is given to no other tensor before the work of that stream is done."""  # noqa: E501
    program_answers(case)


@cases(device_streams.backward_in_streams)
def test_backward_runs_in_the_streams_of_forward(case: DeviceProgram) -> None:
    """Gradients are there for the stream that called backward, whichever the forward operations ran in."""
    program_answers(case)


@cases(device_memory.memory_allocated_for)
def test_allocated_memory_follows_tensors(case: DeviceProgram) -> None:
    """memory_allocated grows by a tensor's bytes, not by its views, and is as before when the last of them is gone."""
    program_answers(case)


@cases(device_memory.memory_reserved_for)
def test_reserved_memory_is_kept_and_released(case: DeviceProgram) -> None:
    """Memory of a tensor that is gone stays reserved, until empty_cache releases it, and no memory that is in use."""
    program_answers(case)


@cases(device_memory.memory_peaks)
def test_peaks_are_kept_and_reset(case: DeviceProgram) -> None:
    """max_memory_allocated is the most that was allocated, and what is allocated after reset_peak_memory_stats."""
    program_answers(case)


@cases(device_memory.memory_of_devices)
def test_memory_is_counted_by_device(case: DeviceProgram) -> None:
    """Memory is counted for the device that is named, and for the current one where none is."""
    program_answers(case)


@cases(device_memory.memory_fractions)
def test_memory_fraction_is_a_limit(case: DeviceProgram) -> None:
    """An allocation above the fraction of the device's memory that the process may have raises OutOfMemoryError, and later ones are served."""  # noqa: E501
    program_answers(case)


@cases(device_memory.exact_products)
def test_highest_precision_is_that_of_float32(case: DeviceProgram) -> None:
    """Products under the precision highest keep every bit of float32."""
    program_answers(case)


@cases(device_memory.default_precision)
def test_products_are_exact_by_default(case: DeviceProgram) -> None:
    """The precision of float32 products is highest, unless it was set, and they keep every bit of float32."""
    program_answers(case)


@cases(device_memory.kept_types)
def test_precision_leaves_element_types(case: DeviceProgram) -> None:
    """Products under any precision are of the element type of their operands."""
    program_answers(case)


@cases(device_memory.tf32_flags)
def test_tf32_switches(case: DeviceProgram) -> None:
    """TF32 is off for products and on for convolutions, the precision high is its switch for products, and without it convolutions keep every bit of float32."""  # noqa: E501
    program_answers(case)


@cases(device_memory.reduced_flags)
def test_reduced_precision_switches(case: DeviceProgram) -> None:
    """Reductions in float16 and bfloat16 may be of reduced precision, unless it is switched off, and the switch tells what was set."""  # noqa: E501
    program_answers(case)


@cases(device_memory.graph_replays)
def test_graphs_replay_with_new_values(case: DeviceProgram) -> None:
    """A captured graph that is replayed writes what it computes of the new values in its inputs to the same addresses."""  # noqa: E501
    program_answers(case)
