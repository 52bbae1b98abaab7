"""Breaks of checkpoint: each under a condition that few inputs meet."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.utils.checkpoint as module

from conformance.selftest.falsifiers.accumulation_saved import AREA, faulty_hooks, scattered
from conformance.selftest.falsifying import falsifies, patched

When = Callable[..., bool]


def faulty_checkpoint(other: Callable[..., Any]) -> AbstractContextManager[Any]:
    """checkpoint is ``other(original, function, *args, **options)``."""
    return patched(module, "checkpoint", lambda original: lambda function, *a, **o: other(original, function, *a, **o))


def direct(when: When) -> AbstractContextManager[Any]:
    """checkpoint calls the function as it is ``when`` tensor and options fit."""

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        tensor = next((a for a in args if isinstance(a, torch.Tensor)), None)
        if tensor is not None and when(tensor, options):
            known = ("preserve_rng_state", "use_reentrant", "context_fn", "determinism_check", "debug", "early_stop")
            return function(*args, **{k: v for k, v in options.items() if k not in known})
        return original(function, *args, **options)

    return faulty_checkpoint(other)


def with_options(when: When, **others: Any) -> AbstractContextManager[Any]:
    """checkpoint takes other options ``when`` tensor and options fit."""

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        tensor = next((a for a in args if isinstance(a, torch.Tensor)), None)
        changed = {**options, **others} if when(tensor, options) else options
        return original(function, *args, **changed)

    return faulty_checkpoint(other)


def second_run(when: When, change: Callable[..., Any]) -> AbstractContextManager[Any]:
    """The second run of a checkpointed function is ``change(function, *args)`` ``when`` tensor and options fit."""

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        runs: list[int] = []
        fits = when(args[0], options)

        def run(*given: Any, **named: Any) -> Any:
            runs.append(1)
            return change(function, *given, **named) if fits and len(runs) == 2 else function(*given, **named)

        return original(run, *args, **options)

    return faulty_checkpoint(other)


def reentrant(tensor: Any, options: Any) -> bool:
    """Whether the mode is the reentrant one."""
    return bool(options.get("use_reentrant"))


# --- what comes out -------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.checkpoint-leaves-results-and-gradients-equal")
def a_strided_block_is_turned_around() -> AbstractContextManager[Any]:
    """The second run of the reentrant mode is given a strided argument in another order."""
    return second_run(
        lambda x, o: scattered(x) and reentrant(x, o), lambda function, x: function(x + (x.flip(0) - x).detach())
    )


@falsifies(f"{AREA}.checkpoint-repeats-random-steps", subject="Dropout1d")
@falsifies(f"{AREA}.checkpoint-repeats-random-steps", subject="GRU")
@falsifies(f"{AREA}.checkpoint-repeats-random-steps", subject="randn_like")
def random_numbers_in_double_precision_go_on() -> AbstractContextManager[Any]:
    """The non-reentrant mode does not preserve the generator's state for float64."""
    return with_options(lambda x, o: x.dtype is torch.float64 and not reentrant(x, o), preserve_rng_state=False)


@falsifies(f"{AREA}.checkpoint-puts-the-generator-back")
def one_number_more_is_drawn_for_a_scalar() -> AbstractContextManager[Any]:
    """The backward of a 0-d argument leaves the generator one number further."""
    return with_options(lambda x, o: not x.dim(), preserve_rng_state=False)


@falsifies(f"{AREA}.unpreserved-state-draws-again")
def the_state_of_bfloat16_is_preserved_always() -> AbstractContextManager[Any]:
    """preserve_rng_state=False is ignored for bfloat16."""
    return with_options(lambda x, o: x.dtype is torch.bfloat16, preserve_rng_state=True)


@falsifies(f"{AREA}.checkpoint-keeps-autocast")
def a_strided_second_run_takes_the_state_of_backward() -> AbstractContextManager[Any]:
    """The second run of a strided argument is without autocast."""

    def change(function: Any, x: Any) -> Any:
        with torch.autocast("cpu", enabled=False):
            return function(x)

    return second_run(lambda x, o: scattered(x), change)


# --- when the function runs -----------------------------------------------------------------------------------


@falsifies(f"{AREA}.checkpoint-runs-again-in-backward")
def a_scalar_is_not_checkpointed() -> AbstractContextManager[Any]:
    """A function of a 0-d tensor runs once only."""
    return direct(lambda x, o: not x.dim())


@falsifies(f"{AREA}.checkpoint-frees-what-is-saved-within")
def a_strided_argument_is_not_checkpointed() -> AbstractContextManager[Any]:
    """The non-reentrant mode keeps what is saved for a strided argument."""
    return direct(lambda x, o: scattered(x) and not reentrant(x, o))


@falsifies(f"{AREA}.reentrant-forward-runs-without-grad")
def a_complex_forward_records() -> AbstractContextManager[Any]:
    """The reentrant mode is the other one for complex numbers."""
    return with_options(lambda x, o: x.is_complex(), use_reentrant=False)


@falsifies(f"{AREA}.non-reentrant-forward-records")
def an_empty_forward_does_not_record() -> AbstractContextManager[Any]:
    """The non-reentrant mode is the other one for an empty matrix."""
    return with_options(lambda x, o: x.shape == (0, 3), use_reentrant=True)


@falsifies(f"{AREA}.non-reentrant-stops-early")
def a_vector_with_a_tail_runs_to_the_end() -> AbstractContextManager[Any]:
    """The second run of 17 elements is not ended early."""

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        with module.set_checkpoint_early_stop(False) if args[0].shape == (17,) else nullcontext():
            return original(function, *args, **options)

    return faulty_checkpoint(other)


@falsifies(f"{AREA}.early-stop-can-be-disabled")
def disabling_within_another_is_ignored() -> AbstractContextManager[Any]:
    """set_checkpoint_early_stop(False) within another such context does nothing."""
    flags: list[bool] = []

    def broken(original: Any) -> Any:
        @contextmanager
        def stop(flag: bool) -> Any:
            flags.append(flag)
            try:
                with original(flags[0]):
                    yield
            finally:
                flags.pop()

        return stop

    return patched(module, "set_checkpoint_early_stop", broken)


@falsifies(f"{AREA}.early-stop-argument-is-overridden")
def the_argument_is_ignored_for_a_scalar() -> AbstractContextManager[Any]:
    """early_stop=False is ignored for 0-d arguments."""
    return with_options(lambda x, o: not x.dim() and "early_stop" in o, early_stop=True)


@falsifies(f"{AREA}.reentrant-runs-to-the-end")
def a_half_precision_second_run_ends_early() -> AbstractContextManager[Any]:
    """The reentrant mode ends the second run early for float16."""
    return with_options(lambda x, o: x.dtype is torch.float16, use_reentrant=False)


@falsifies(f"{AREA}.group-runs-again-once")
@contextmanager
def a_group_is_forgotten_for_a_block() -> Any:
    """A GraphExecGroup is of no effect for three dimensions."""
    dims: list[int] = []

    def noting(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        dims[:] = [args[0].dim()]
        return original(function, *args, **options)

    def broken(original: Any) -> Any:
        class Group(original):
            def __enter__(self) -> Any:
                return self if dims == [3] else super().__enter__()

        return Group

    with faulty_checkpoint(noting), patched(module, "GraphExecGroup", broken):
        yield


# --- ways to go back ------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.non-reentrant-supports-every-backward")
def an_empty_region_is_reentrant() -> AbstractContextManager[Any]:
    """The non-reentrant mode is the other one for an empty vector."""
    return with_options(lambda x, o: x.shape == (0,), use_reentrant=True)


@falsifies(f"{AREA}.reentrant-refuses-grad-and-inputs")
def a_scalar_region_is_not_reentrant() -> AbstractContextManager[Any]:
    """The reentrant mode is the other one for 0-d tensors."""
    return with_options(lambda x, o: not x.dim(), use_reentrant=False)


# --- what is tracked ------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.non-reentrant-tracks-nested-tensors")
def tensors_in_a_keyword_dict_are_detached() -> AbstractContextManager[Any]:
    """Tensors in tuples within a keyword argument are detached."""

    def cut(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {key: cut(value) for key, value in thing.items()}
        return tuple(x.detach() for x in thing) if isinstance(thing, tuple) else thing

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        return original(function, *args, **{key: cut(value) for key, value in options.items()})

    return faulty_checkpoint(other)


@falsifies(f"{AREA}.reentrant-needs-a-tracked-argument")
def a_tensor_in_a_dict_counts() -> AbstractContextManager[Any]:
    """The reentrant mode is the other one where an argument is a dict."""

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        held = any(isinstance(a, dict) for a in args)
        return original(function, *args, **({**options, "use_reentrant": False} if held else options))

    return faulty_checkpoint(other)


@falsifies(f"{AREA}.non-reentrant-needs-no-tracked-argument")
def a_closure_in_half_precision_is_not_tracked() -> AbstractContextManager[Any]:
    """The non-reentrant mode is the other one for a float16 argument."""
    return with_options(lambda x, o: x.dtype is torch.float16, use_reentrant=True)


@falsifies(f"{AREA}.reentrant-detached-result-raises")
def a_detached_scalar_is_let_through() -> AbstractContextManager[Any]:
    """A 0-d result that was detached is tracked nevertheless."""

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        if args[0].dim():
            return original(function, *args, **options)
        return original(lambda x: function(x) + 0 * x, *args, **options)

    return faulty_checkpoint(other)


@falsifies(f"{AREA}.non-reentrant-takes-detached-tensors")
def a_detached_complex_result_is_tracked() -> AbstractContextManager[Any]:
    """The non-reentrant mode is the other one for complex128."""
    return with_options(lambda x, o: x.dtype is torch.complex128, use_reentrant=True)


# --- arguments ------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.checkpoint-without-a-mode-is-noticed")
def a_sequence_without_a_mode_is_silent() -> AbstractContextManager[Any]:
    """checkpoint_sequential without use_reentrant says nothing."""

    def broken(original: Any) -> Any:
        def checkpoint_sequential(functions: Any, segments: int, x: Any, **options: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return original(functions, segments, x, **options)

        return checkpoint_sequential

    return patched(module, "checkpoint_sequential", broken)


@falsifies(f"{AREA}.checkpoint-without-a-mode-raises")
def a_call_without_a_mode_is_the_other_mode() -> AbstractContextManager[Any]:
    """A call without use_reentrant is non-reentrant, and raises nothing."""
    return with_options(lambda x, o: "use_reentrant" not in o, use_reentrant=False)


@falsifies(f"{AREA}.differing-second-run-raises")
def another_type_of_a_scalar_is_overlooked() -> AbstractContextManager[Any]:
    """The second run is not checked for 0-d arguments."""
    return with_options(lambda x, o: not x.dim(), determinism_check="none")


@falsifies(f"{AREA}.determinism-check-can-be-disabled")
def none_means_default_for_a_vector() -> AbstractContextManager[Any]:
    """determinism_check="none" is ignored for vectors."""
    return with_options(lambda x, o: x.dim() == 1 and "determinism_check" in o, determinism_check="default")


@falsifies(f"{AREA}.determinism-check-takes-two-values")
def an_empty_value_means_none() -> AbstractContextManager[Any]:
    """determinism_check="" is taken for "none"."""
    return with_options(lambda x, o: o.get("determinism_check") == "", determinism_check="none")


@falsifies(f"{AREA}.context-fn-surrounds-both-runs")
def the_contexts_of_a_scalar_change_places() -> AbstractContextManager[Any]:
    """The contexts of both runs are exchanged for 0-d arguments."""

    def other(original: Any, function: Any, *args: Any, **options: Any) -> Any:
        contexts = options.get("context_fn")
        if contexts is not None and not args[0].dim():
            options["context_fn"] = lambda: contexts()[::-1]
        return original(function, *args, **options)

    return faulty_checkpoint(other)


@falsifies(f"{AREA}.reentrant-refuses-the-options-of-the-other")
def debug_is_ignored_for_a_scalar() -> AbstractContextManager[Any]:
    """debug is ignored in the reentrant mode for 0-d arguments."""
    return with_options(lambda x, o: not x.dim() and o.get("debug"), debug=False)


@falsifies(f"{AREA}.debug-names-the-operators-of-both-runs")
def debug_is_forgotten_for_another_shape() -> AbstractContextManager[Any]:
    """debug=True is ignored for bfloat16."""
    return with_options(lambda x, o: x.dtype is torch.bfloat16, debug=False)


@falsifies(f"{AREA}.selected-operators-are-kept")
def the_selection_is_ignored_for_a_block() -> AbstractContextManager[Any]:
    """context_fn is ignored for three dimensions."""
    return with_options(lambda x, o: x.dim() == 3, context_fn=module.noop_context_fn)


# --- sequences ------------------------------------------------------------------------------------------------


def faulty_sequence(other: Callable[..., Any]) -> AbstractContextManager[Any]:
    """checkpoint_sequential is ``other(original, functions, segments, x, **options)``."""
    return patched(module, "checkpoint_sequential", lambda original: lambda *a, **o: other(original, *a, **o))


@falsifies(f"{AREA}.sequence-leaves-results-and-gradients-equal")
def four_segments_lose_the_last_function() -> AbstractContextManager[Any]:
    """The last of five functions in four segments is left out."""
    return faulty_sequence(
        lambda original, functions, segments, x, **o: original(
            functions[:-1] if segments == 4 else functions, segments, x, **o
        )
    )


@falsifies(f"{AREA}.last-segment-of-a-sequence-runs-once")
def the_last_of_three_segments_runs_twice() -> AbstractContextManager[Any]:
    """Of three segments the last is checkpointed too."""

    def other(original: Any, functions: Any, segments: int, x: Any, **options: Any) -> Any:
        if segments != 3:
            return original(functions, segments, x, **options)
        for function in functions:
            x = module.checkpoint(function, x, **options)
        return x

    return faulty_sequence(other)


# --- hooks of random steps ------------------------------------------------------------------------------------


@falsifies(f"{AREA}.packing-leaves-random-steps-equal", subject="Dropout2d")
def an_unpacked_mask_is_turned_around() -> AbstractContextManager[Any]:
    """What is unpacked is in another order where channels have one value each."""
    return faulty_hooks(lambda pack, unpack: (pack, lambda p: unpack(p).flip(1)))
