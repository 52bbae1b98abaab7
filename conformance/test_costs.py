"""Area ``costs``: the memory that views, in-place operations, copies, grad modes and checkpoints take."""

from __future__ import annotations

from conformance.engine.cases import cases
from conformance.inputs import contests, growths, recordings, savings, waiting_pools
from conformance.inputs.contests import Contest
from conformance.inputs.growths import Growth
from conformance.inputs.priced import Priced, priced
from conformance.inputs.recordings import Recording
from conformance.inputs.savings import Saving
from conformance.inputs.waiting_pools import WaitingPool
from conformance.oracles import charges, contested, growing, nodes, readings, waits

# --- nothing of its own -----------------------------------------------------------------------------------------


@cases(priced)
def test_views_allocate_nothing(case: Priced) -> None:
    """A view operation has no memory allocated for elements, whatever the size, element type, layout or dimension."""
    charges.nothing_is_allocated(case)


@cases(priced)
def test_expanding_allocates_nothing(case: Priced) -> None:
    """Expanding or broadcasting a tensor has no memory allocated for elements, whatever the shape expanded to."""
    charges.nothing_is_allocated(case)


@cases(priced)
def test_sharing_allocates_nothing(case: Priced) -> None:
    """What shares the memory of an array, a buffer or a DLPack object has neither torch nor NumPy allocate memory for elements."""  # noqa: E501
    charges.nothing_is_allocated(case)


@cases(priced)
def test_keeping_what_is_allocates_nothing(case: Priced) -> None:
    """A conversion to what a tensor already is has no memory allocated for elements."""
    charges.nothing_is_allocated(case)


@cases(priced)
def test_detaching_allocates_nothing(case: Priced) -> None:
    """Detaching a tensor, reading or setting its .data, and making it a Parameter have no memory allocated for elements."""  # noqa: E501
    charges.nothing_is_allocated(case)


@cases(priced)
def test_state_dicts_allocate_nothing(case: Priced) -> None:
    """state_dict, the lists of parameters and buffers, and load_state_dict(assign=True) have no memory allocated for elements."""  # noqa: E501
    charges.nothing_is_allocated(case)


@cases(priced)
def test_in_place_allocates_no_result(case: Priced) -> None:
    """An in-place operation, on contiguous and strided tensors of every size, has less memory allocated than a quarter of what it writes."""  # noqa: E501
    charges.no_result_is_allocated(case)


@cases(priced)
def test_outs_allocate_no_result(case: Priced) -> None:
    """A function whose out has the shape and type of its result has less memory allocated than a quarter of what it writes."""  # noqa: E501
    charges.no_result_is_allocated(case)


# --- as much as its elements ------------------------------------------------------------------------------------


@cases(priced)
def test_copies_allocate_their_elements_once(case: Priced) -> None:
    """A copy has the bytes of its elements allocated, and less than half as many again on the way."""
    charges.elements_are_allocated_once(case)


# --- which of two ways takes less -------------------------------------------------------------------------------


@cases(savings.no_grad_saves)
def test_no_grad_keeps_no_intermediates(case: Saving) -> None:
    """Under no_grad a chain of functions holds less memory at its peak than with gradients, by what gradients would need."""  # noqa: E501
    charges.saves(case)


@cases(savings.inference_mode_saves)
def test_inference_mode_keeps_no_intermediates(case: Saving) -> None:
    """Under inference_mode a chain of functions holds less memory at its peak than with gradients, by what gradients would need."""  # noqa: E501
    charges.saves(case)


@cases(savings.checkpoints_save)
def test_checkpoints_keep_fewer_activations(case: Saving) -> None:
    """After a checkpointed forward less memory is held than after the same forward without, in both variants."""
    charges.saves(case)


@cases(savings.freed_graphs_save)
def test_graphs_are_freed_by_backward(case: Saving) -> None:
    """After a backward or grad that does not retain the graph less memory is held than after one that does, by what the functions saved."""  # noqa: E501
    charges.saves(case)


@cases(savings.cleared_gradients_save)
def test_gradients_set_to_none_are_freed(case: Saving) -> None:
    """After zero_grad(set_to_none=True) the memory of the gradients is no longer held."""
    charges.saves(case)


@cases(savings.cleared_by_default_save)
def test_gradients_are_freed_by_default(case: Saving) -> None:
    """After zero_grad() without arguments the memory of the gradients is no longer held."""
    charges.saves(case)


@cases(savings.meta_tensors_save)
def test_meta_tensors_hold_no_data(case: Saving) -> None:
    """Factories, modules and operations on the meta device have no memory allocated for elements."""
    charges.saves(case)


@cases(savings.loops_save)
def test_loops_over_parameters_hold_less(case: Saving) -> None:
    """A step of an optimizer with foreach=False holds less memory at its peak than with foreach=True, for several parameters of one size."""  # noqa: E501
    charges.saves(case)


@cases(savings.in_place_saves)
def test_in_place_holds_less_than_out_of_place(case: Saving) -> None:
    """An in-place call holds less memory at its peak than the call that gives a new tensor, by a whole result."""
    charges.saves(case)


@cases(recordings.recorded_functions)
def test_modes_make_no_nodes(case: Recording) -> None:
    """Under no_grad and inference_mode no function makes a node of a graph, where each makes one with gradients."""
    nodes.none_in_modes(case)


# --- time, by the clock of the thread ---------------------------------------------------------------------------


@cases(growths.growths)
def test_sharing_memory_takes_constant_time(case: Growth) -> None:
    """What shares memory takes the same time for sixteen million elements as for 64, but for some microseconds."""
    growing.time_does_not_grow(case)


@cases(growths.growths)
def test_mapping_files_takes_constant_time(case: Growth) -> None:
    """torch.load(mmap=True) and torch.from_file take about the same time for sixteen million elements as for 64, since they read none."""  # noqa: E501
    readings.no_elements_are_read(case)
    growing.time_does_not_grow(case)


@cases(growths.steps_of_optimizers)
def test_steps_take_time_in_proportion(case: Growth) -> None:
    """A step of an optimizer over many parameters takes time in proportion to their number, and not to its square."""
    growing.time_grows_in_proportion(case)


@cases(growths.copies_grow)
def test_copies_take_time_in_proportion(case: Growth) -> None:
    """A copy takes time in proportion to the number of its elements, and not to its square."""
    growing.time_grows_in_proportion(case)


# --- which of two ways takes less time --------------------------------------------------------------------------


@cases(contests.loops_and_calls)
def test_calls_beat_loops(case: Contest) -> None:
    """A call on all elements takes less than half of the time of a Python loop over three hundred of them."""
    contested.takes_less_time(case)


@cases(contests.optimizers_in_bulk)
def test_steps_in_bulk_beat_loops(case: Contest) -> None:
    """A step by the foreach or fused implementation takes less than nine tenths of the time of the loop, over many small parameters."""  # noqa: E501
    contested.takes_less_time(case)


@cases(contests.convolutions_by_layout)
def test_channels_last_costs_no_convolution_dear(case: Contest) -> None:
    """A convolution with channels last takes at most twice the time of one with contiguous operands."""
    contested.takes_less_time(case)


@cases(contests.compiled_chains)
def test_compiled_chains_take_no_longer(case: Contest) -> None:
    """A chain of pointwise functions that torch.compile has compiled takes no more time than without, from the second call on."""  # noqa: E501
    contested.takes_less_time_compiled(case)


@cases(contests.copies_to_device)
def test_pinned_memory_is_copied_sooner(case: Contest) -> None:
    """A copy from pinned memory with non_blocking takes a device no longer than one from pageable memory."""
    contested.takes_less_time_on_device(case)


@cases(waiting_pools.waiting)
def test_workers_wait_side_by_side(case: WaitingPool) -> None:
    """Workers of a loader wait for their samples at the same time, so that an epoch over a dataset that waits takes less than without."""  # noqa: E501
    waits.side_by_side(case)
