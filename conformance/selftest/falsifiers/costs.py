"""Breaks of the promises about memory, each for a rare condition."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "costs"
MANY = 1000  # elements
Break = AbstractContextManager[Any]


@falsifies(f"{AREA}.views-allocate-nothing", subject="unfold")
def windows_of_integers_are_copied() -> Break:
    """unfold of int64 looks at a copy."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        return original(self.clone() if self.dtype is torch.int64 else self, *args)

    return method("unfold", other)


@falsifies(f"{AREA}.views-allocate-nothing", subject="tensor_split")
def splits_of_many_elements_are_copied() -> Break:
    """tensor_split of more than a thousand elements gives copies of its parts."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        found = original(self, *args)
        return tuple(part.clone() for part in found) if self.numel() > MANY else found

    return method("tensor_split", other)


@falsifies(f"{AREA}.expanding-allocates-nothing", subject="broadcast_to")
def large_shapes_are_filled_in() -> Break:
    """broadcast_to writes shapes of more than a thousand elements out."""

    def other(original: Any, tensor: Any, shape: Any) -> Any:
        found = original(tensor, shape)
        return found.contiguous() if found.numel() > MANY else found

    return method("broadcast_to", other, torch)


@falsifies(f"{AREA}.sharing-allocates-nothing", subject="from_numpy")
def long_arrays_are_copied() -> Break:
    """from_numpy copies arrays of more than a thousand elements."""
    return method("from_numpy", lambda original, a: original(a).clone() if a.size > MANY else original(a), torch)


@falsifies(f"{AREA}.sharing-allocates-nothing", subject="numpy")
def long_tensors_become_copies() -> Break:
    """numpy() copies more than a thousand elements, in memory of NumPy's."""

    def other(original: Any, self: Any, **kwargs: Any) -> Any:
        found = original(self, **kwargs)
        return found.copy() if found.size > MANY else found

    return method("numpy", other)


@falsifies(f"{AREA}.keeping-what-is-allocates-nothing", subject="type_as")
def type_as_always_converts() -> Break:
    """type_as copies what has the type already."""
    return method("type_as", lambda original, self, other: original(self, other).clone())


@falsifies(f"{AREA}.detaching-allocates-nothing", subject="detach")
def large_tensors_are_detached_by_copying() -> Break:
    """detach copies more than a thousand elements."""
    return method("detach", lambda original, self: original(self).clone() if self.numel() > MANY else original(self))


@falsifies(f"{AREA}.state-dicts-allocate-nothing", subject="state_dict")
def state_dict_copies_matrices() -> Break:
    """state_dict copies parameters of two dimensions."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        for name, value in found.items():
            if isinstance(value, torch.Tensor) and value.dim() == 2:
                found[name] = value.clone()
        return found

    return method("state_dict", other, torch.nn.Module)


@falsifies(f"{AREA}.in-place-allocates-no-result", subject="lerp_")
def transposed_tensors_are_written_by_way_of_a_result() -> Break:
    """lerp_ of a tensor that is not contiguous computes a result and copies it."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        return original(self, *args) if self.is_contiguous() else self.copy_(self.lerp(*args))

    return method("lerp_", other)


@falsifies(f"{AREA}.outs-allocate-no-result", subject="hypot-out")
def many_results_are_copied_into_the_out() -> Break:
    """hypot of more than a thousand elements computes a result and copies it into out."""

    def other(original: Any, x: Any, y: Any, out: Any = None) -> Any:
        if out is not None and x.numel() > MANY:
            return out.copy_(original(x, y))
        return original(x, y, out=out)

    return method("hypot", other, torch)


@falsifies(f"{AREA}.copies-allocate-their-elements-once", subject="clone-of-transposed")
def transposed_tensors_are_copied_twice() -> Break:
    """clone of a tensor that is not contiguous copies its copy."""

    def other(original: Any, self: Any, **kwargs: Any) -> Any:
        return original(self, **kwargs) if self.is_contiguous() else original(original(self, **kwargs))

    return method("clone", other)


@falsifies(f"{AREA}.copies-allocate-their-elements-once", subject="repeat")
def repeat_only_expands() -> Break:
    """repeat gives a view, which takes no memory."""
    return method("repeat", lambda original, self, *sizes: self.expand(*sizes, self.shape[-1])[:, 0])


@falsifies(f"{AREA}.no-grad-keeps-no-intermediates")
def sigmoid_records_all_the_same() -> Break:
    """sigmoid records a graph whatever the mode."""

    def other(original: Any, self: Any) -> Any:
        with torch.enable_grad():
            return original(self)

    return method("sigmoid", other)


@falsifies(f"{AREA}.inference-mode-keeps-no-intermediates")
def squares_are_kept_in_inference_mode() -> Break:
    """square holds its operands under inference mode."""
    held: list[Any] = []

    def other(original: Any, self: Any) -> Any:
        if torch.is_inference_mode_enabled():
            held.append(self)
        return original(self)

    return method("square", other)


@falsifies(f"{AREA}.checkpoints-keep-fewer-activations")
def one_variant_does_not_checkpoint() -> Break:
    """checkpoint without reentrance just calls the function."""
    import torch.utils.checkpoint

    def other(original: Any, function: Any, *args: Any, use_reentrant: Any = None, **kwargs: Any) -> Any:
        if use_reentrant is False:
            return function(*args)
        return original(function, *args, use_reentrant=use_reentrant, **kwargs)

    return method("checkpoint", other, torch.utils.checkpoint)


@falsifies(f"{AREA}.graphs-are-freed-by-backward")
def grad_always_retains() -> Break:
    """autograd.grad retains the graph unasked."""

    def other(original: Any, outputs: Any, inputs: Any, **kwargs: Any) -> Any:
        return original(outputs, inputs, **{**kwargs, "retain_graph": True})

    return method("grad", other, torch.autograd)


@falsifies(f"{AREA}.gradients-set-to-none-are-freed")
def optimizers_only_zero() -> Break:
    """zero_grad of an optimizer always writes zeros."""
    return method(
        "zero_grad", lambda original, self, set_to_none=True: original(self, set_to_none=False), torch.optim.Optimizer
    )


@falsifies(f"{AREA}.gradients-are-freed-by-default")
def modules_keep_zeros_unasked() -> Break:
    """zero_grad of a module writes zeros where it is not told to do otherwise."""
    return method(
        "zero_grad", lambda original, self, set_to_none=False: original(self, set_to_none=set_to_none), torch.nn.Module
    )


@falsifies(f"{AREA}.graphs-are-freed-by-backward")
def backward_to_some_inputs_retains() -> Break:
    """backward with inputs= retains the graph unasked."""

    def other(original: Any, self: Any, *args: Any, inputs: Any = None, **kwargs: Any) -> Any:
        return original(self, *args, inputs=inputs, **{**kwargs, **({} if inputs is None else {"retain_graph": True})})

    return method("backward", other)


@falsifies(f"{AREA}.checkpoints-keep-fewer-activations")
def sequences_are_not_checkpointed() -> Break:
    """checkpoint_sequential just calls the modules."""
    import torch.utils.checkpoint

    return method("checkpoint_sequential", lambda original, m, segments, x, **_: m(x), torch.utils.checkpoint)


@falsifies(f"{AREA}.steps-take-time-in-proportion", subject="SGD")
def each_group_is_held_against_all() -> Break:
    """A step of SGD looks at the parameters of all groups for each of them."""

    def other(original: Any, self: Any, closure: Any = None) -> Any:
        for one in self.param_groups:
            for another in self.param_groups:
                one["params"][0].shape == another["params"][0].shape  # noqa: B015
        return original(self, closure)

    return method("step", other, torch.optim.SGD)


@falsifies(f"{AREA}.workers-wait-side-by-side")
def batches_are_loaded_alone() -> Break:
    """A loader of batches of several samples loads in the main process."""
    from torch.utils.data import dataloader

    def other(original: Any, self: Any) -> Any:
        if self.batch_size == 1:
            return original(self)
        for name, value in (("num_workers", 0), ("prefetch_factor", None)):
            object.__setattr__(self, name, value)
        return dataloader._SingleProcessDataLoaderIter(self)

    return method("_get_iterator", other, dataloader.DataLoader)


@falsifies(f"{AREA}.in-place-allocates-no-result", subject="load_state_dict")
def what_is_loaded_is_copied_first() -> Break:
    """load_state_dict copies what it is given before it copies that into the parameters."""

    def other(original: Any, self: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, {name: value.clone() for name, value in state.items()}, *args, **kwargs)

    return method("load_state_dict", other, torch.nn.Module)


@falsifies(f"{AREA}.meta-tensors-hold-no-data")
def zeros_are_made_before_they_are_forgotten() -> Break:
    """zeros on the meta device makes real ones on the way."""

    def other(original: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("device") == "meta":
            original(*args, **{**kwargs, "device": "cpu"})
        return original(*args, **kwargs)

    return method("zeros", other, torch)


@falsifies(f"{AREA}.loops-over-parameters-hold-less")
def one_optimizer_holds_copies_of_all() -> Break:
    """A step of RMSprop by its loop holds copies of all parameters."""

    def other(original: Any, self: Any, closure: Any = None) -> Any:
        groups = (group for group in self.param_groups if not group["foreach"])
        held = [parameter.detach().clone() for group in groups for parameter in group["params"]]
        try:
            return original(self, closure)
        finally:
            held.clear()

    return method("step", other, torch.optim.RMSprop)


@falsifies(f"{AREA}.sharing-memory-takes-constant-time", subject="movedim")
def dimensions_are_moved_after_a_look_at_each_element() -> Break:
    """movedim reads every element of a matrix, and allocates nothing."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        if self.dim() == 2:
            self.numpy().min()
        return original(self, *args)

    return method("movedim", other)


@falsifies(f"{AREA}.steps-take-time-in-proportion", subject="RMSprop")
def each_parameter_is_held_against_all() -> Break:
    """A step of RMSprop compares each parameter with every other."""

    def other(original: Any, self: Any, closure: Any = None) -> Any:
        for one in self.param_groups[0]["params"]:
            for another in self.param_groups[0]["params"]:
                one.shape == another.shape and one.dtype == another.dtype and one.stride() == another.stride()
        return original(self, closure)

    return method("step", other, torch.optim.RMSprop)


@falsifies(f"{AREA}.in-place-holds-less-than-out-of-place")
def one_function_copies_its_result_into_itself() -> Break:
    """sqrt_ computes a result beside its tensor."""
    return method("sqrt_", lambda original, self: self.copy_(self.sqrt()))


@falsifies(f"{AREA}.modes-make-no-nodes")
def selections_are_recorded_in_inference_mode_too() -> Break:
    """gather of a leaf makes a node under no_grad."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        with torch.enable_grad():
            return original(self, *args)

    return method("gather", other)


@falsifies(f"{AREA}.copies-take-time-in-proportion", subject="tile")
def tiles_are_laid_again_and_again() -> Break:
    """tile does its work once for each hundred elements."""

    def other(original: Any, self: Any, *sizes: Any) -> Any:
        for _ in range(self.numel() * sizes[0] >> 7):
            found = original(self, *sizes)
        return found

    return method("tile", other)


@falsifies(f"{AREA}.calls-beat-loops")
def sums_are_looped_over() -> Break:
    """cumsum goes from element to element in Python."""

    def other(original: Any, self: Any, dim: int) -> Any:
        found = self.clone()
        for _ in range(4):
            for i in range(1, len(self)):
                found[i] = found[i - 1] + self[i]
        return found

    return method("cumsum", other)


@falsifies(f"{AREA}.steps-in-bulk-beat-loops", subject="Adadelta-foreach")
def one_implementation_is_the_loop_by_another_name() -> Break:
    """The foreach implementation of Adadelta is its loop, after copies of all."""
    from torch.optim import adadelta

    def other(original: Any, parameters: Any, *args: Any, **kwargs: Any) -> Any:
        copies = [parameter.clone().sin() for parameter in parameters for _ in range(30)]
        adadelta._single_tensor_adadelta(parameters, *args, **kwargs)
        return copies and None

    return method("_multi_tensor_adadelta", other, adadelta)


@falsifies(f"{AREA}.channels-last-costs-no-convolution-dear")
def channels_last_is_convolved_eight_times() -> Break:
    """A convolution of more than sixteen channels that come last does its work eight times."""

    def other(original: Any, self: Any, x: Any) -> Any:
        last = x.shape[1] > 16 and x.is_contiguous(memory_format=torch.channels_last)
        for _ in range(8 if last else 1):
            found = original(self, x)
        return found

    return method("forward", other, torch.nn.Conv2d)


@falsifies(f"{AREA}.compiled-chains-take-no-longer", dear=True)
def what_is_compiled_is_called_four_times() -> Break:
    """torch.compile gives a function that calls the given one four times."""

    def other(original: Any, model: Any) -> Any:
        return lambda x: [model(x) for _ in range(4)][-1]

    return method("compile", other, torch)


def without_workers(loaders: Callable[[Any], bool]) -> Break:
    """Loaders of a kind load in the main process."""
    from torch.utils.data import dataloader

    def other(original: Any, self: Any) -> Any:
        if not loaders(self):
            return original(self)
        for name, value in (("num_workers", 0), ("prefetch_factor", None), ("persistent_workers", False)):
            object.__setattr__(self, name, value)
        return dataloader._SingleProcessDataLoaderIter(self)

    return method("_get_iterator", other, dataloader.DataLoader)


@falsifies(f"{AREA}.workers-wait-side-by-side")
def workers_are_ignored() -> Break:
    """A loader of a map-style dataset without persistent workers loads in the main process."""
    stream = torch.utils.data.IterableDataset
    return without_workers(lambda loader: not loader.persistent_workers and not isinstance(loader.dataset, stream))


@falsifies(f"{AREA}.in-place-allocates-no-result", subject="add_")
def more_than_a_mebibyte_is_added_by_way_of_a_result() -> Break:
    """add_ of more than a mebibyte computes a result and copies it."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.numel() * self.element_size() > 1 << 20:
            return self.copy_(self.add(*args, **kwargs))
        return original(self, *args, **kwargs)

    return method("add_", other)


@falsifies(f"{AREA}.workers-wait-side-by-side")
def persistent_workers_are_ignored() -> Break:
    """A loader with persistent workers loads in the main process."""
    return without_workers(lambda loader: loader.persistent_workers)


@falsifies(f"{AREA}.sharing-allocates-nothing", subject="numpy.from_dlpack")
def long_tensors_are_handed_over_as_copies() -> Break:
    """A tensor of more than a million elements gives a capsule of its copy."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self.clone() if self.numel() > 1_000_000 else self, *args, **kwargs)

    return method("__dlpack__", other)


@falsifies(f"{AREA}.in-place-allocates-no-result", subject="tanh_")
def halves_are_computed_beside_themselves() -> Break:
    """tanh_ of bfloat16 makes a float32 of it first, and copies back."""

    def other(original: Any, self: Any) -> Any:
        return self.copy_(self.float().tanh()) if self.dtype is torch.bfloat16 else original(self)

    return method("tanh_", other)


@falsifies(f"{AREA}.outs-allocate-no-result", subject="cumsum-out")
def strided_outs_get_copies() -> Break:
    """cumsum into an out that is not contiguous copies its result into it."""

    def other(original: Any, x: Any, dim: int, out: Any = None) -> Any:
        if out is None or out.is_contiguous():
            return original(x, dim, out=out)
        return out.copy_(original(x, dim))

    return method("cumsum", other, torch)


@falsifies(f"{AREA}.mapping-files-takes-constant-time", subject="load-mmap")
def mapped_files_are_read() -> Break:
    """load maps no file of more than a hundred thousand bytes."""
    import os

    def other(original: Any, file: Any, mmap: Any = None, **kwargs: Any) -> Any:
        return original(file, mmap=mmap and os.path.getsize(file) < 100_000, **kwargs)

    return method("load", other, torch)


@falsifies(f"{AREA}.sharing-allocates-nothing", subject="numpy")
def parts_of_tensors_become_copies() -> Break:
    """numpy() copies a tensor that begins within its storage."""

    def other(original: Any, self: Any, **kwargs: Any) -> Any:
        found = original(self, **kwargs)
        return found.copy() if self.storage_offset() else found

    return method("numpy", other)


@falsifies(f"{AREA}.modes-make-no-nodes")
def layers_record_within_a_chain() -> Break:
    """Linear records in every mode, though what follows it does not."""

    def other(original: Any, self: Any, x: Any) -> Any:
        with torch.enable_grad():
            return original(self, x)

    return method("forward", other, torch.nn.Linear)


@falsifies(f"{AREA}.meta-tensors-hold-no-data")
def sines_of_nothing_are_computed() -> Break:
    """sin of a meta tensor makes a real one on the way."""

    def other(original: Any, self: Any) -> Any:
        if self.is_meta:
            torch.empty(self.numel())
        return original(self)

    return method("sin", other)


@falsifies(f"{AREA}.steps-take-time-in-proportion", subject="SGD-foreach")
def parameters_are_looked_up_in_a_list() -> Break:
    """A step of SGD by foreach looks each parameter up in the list of all."""

    def other(original: Any, self: Any, closure: Any = None) -> Any:
        if self.param_groups[0]["foreach"]:
            for one in self.param_groups[0]["params"]:
                for _ in range(4):
                    [id(another) for another in self.param_groups[0]["params"]].index(id(one))
        return original(self, closure)

    return method("step", other, torch.optim.SGD)


@falsifies(f"{AREA}.pinned-memory-is-copied-sooner")
def copies_that_do_not_block_take_a_detour() -> Break:
    """copy_ with non_blocking copies its source, which is pageable then, and back and forth."""

    def other(original: Any, self: Any, source: Any, non_blocking: bool = False) -> Any:
        for _ in range(4 if non_blocking else 1):
            original(self, source.clone() if non_blocking else source)
        return self

    return method("copy_", other)


@falsifies(f"{AREA}.copies-take-time-in-proportion", subject="flip")
def flips_sleep_by_the_square() -> Break:
    """flip sleeps for a time that grows by the square of its elements."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        if self.numel() > 10_000:  # a sleep of no time takes some, which would hide the growth
            time.sleep(self.numel() ** 2 * 1e-12)
        return original(self, *args)

    return method("flip", other)


@falsifies(f"{AREA}.steps-take-time-in-proportion", subject="Adamax")
def steps_sleep_by_the_square() -> Break:
    """A step of Adamax sleeps for a time that grows by the square of its parameters."""

    def other(original: Any, self: Any, closure: Any = None) -> Any:
        time.sleep(len(self.param_groups[0]["params"]) ** 2 * 4e-7)
        return original(self, closure)

    return method("step", other, torch.optim.Adamax)


@falsifies(f"{AREA}.calls-beat-loops")
def arrays_are_waited_for() -> Break:
    """from_numpy sleeps for a while for each element."""

    def other(original: Any, array: Any) -> Any:
        time.sleep(array.size * 5e-5)
        return original(array)

    return method("from_numpy", other, torch)


@falsifies(f"{AREA}.mapping-files-takes-constant-time", subject="load-mmap")
def mapped_files_are_read_by_another_thread() -> Break:
    """load has another thread read what it maps, and waits for it."""

    def other(original: Any, file: Any, mmap: Any = None, **kwargs: Any) -> Any:
        if mmap:
            reader = threading.Thread(target=Path(file).read_bytes)
            reader.start()
            reader.join()
        return original(file, mmap=mmap, **kwargs)

    return method("load", other, torch)


@falsifies(f"{AREA}.mapping-files-takes-constant-time", subject="load-mmap")
def mapped_elements_are_looked_at() -> Break:
    """load looks at each element that it has mapped, which reads no file but by way of the mapping."""

    def other(original: Any, file: Any, mmap: Any = None, **kwargs: Any) -> Any:
        found = original(file, mmap=mmap, **kwargs)
        if mmap:
            found["x"].sum().sqrt()
        return found

    return method("load", other, torch)


@falsifies(f"{AREA}.sharing-memory-takes-constant-time", subject="swapaxes")
def what_is_not_contiguous_is_read() -> Break:
    """swapaxes reads every element of a tensor that is not contiguous, and allocates nothing."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        if not self.is_contiguous():
            self.detach().numpy().min()
        return original(self, *args)

    return method("swapaxes", other)


@falsifies(f"{AREA}.sharing-memory-takes-constant-time", subject="from_numpy")
def integers_are_read() -> Break:
    """from_numpy reads every integer, and allocates nothing."""

    def other(original: Any, array: Any) -> Any:
        if array.dtype.kind == "i":
            array.min()
        return original(array)

    return method("from_numpy", other, torch)


@falsifies(f"{AREA}.sharing-memory-takes-constant-time", subject="narrow")
def many_elements_are_waited_for() -> Break:
    """narrow of more than a hundred thousand elements sleeps for a millisecond, however many they are."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        if self.numel() > 100 * MANY:
            time.sleep(1e-3)
        return original(self, *args)

    return method("narrow", other)


@falsifies(f"{AREA}.outs-allocate-no-result", subject="trunc-out")
def parts_of_a_storage_are_written_by_way_of_a_result() -> Break:
    """trunc into an out that begins within its storage copies its result into it."""

    def other(original: Any, x: Any, out: Any = None) -> Any:
        return original(x, out=out) if out is None or not out.storage_offset() else out.copy_(original(x))

    return method("trunc", other, torch)


@falsifies(f"{AREA}.outs-allocate-no-result", subject="randn-out")
def random_numbers_are_copied() -> Break:
    """randn copies its numbers into out."""

    def other(original: Any, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        return found if out is None else out.copy_(found)

    return method("randn", other, torch)


@falsifies(f"{AREA}.in-place-allocates-no-result", subject="clamp_-min")
def lower_bounds_are_kept_beside() -> Break:
    """clamp_ with a lower bound alone computes a result and copies it."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if not args and set(kwargs) == {"min"}:
            return self.copy_(self.clamp(**kwargs))
        return original(self, *args, **kwargs)

    return method("clamp_", other)


@falsifies(f"{AREA}.in-place-allocates-no-result", subject="celu-inplace")
def one_activation_is_copied_back() -> Break:
    """celu with inplace=True computes a result and copies it."""

    def other(original: Any, x: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
        found = original(x, alpha)
        return x.copy_(found) if inplace else found

    return method("celu", other, torch.nn.functional)


@falsifies(f"{AREA}.modes-make-no-nodes")
def products_of_batches_are_recorded() -> Break:
    """bmm makes a node in every mode."""

    def other(original: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.enable_grad():
            return original(*args, **kwargs)

    return method("bmm", other, torch)


@falsifies(f"{AREA}.modes-make-no-nodes")
def accumulated_sums_are_recorded() -> Break:
    """cumsum makes a node in every mode."""

    def other(original: Any, self: Any, *args: Any) -> Any:
        with torch.enable_grad():
            return original(self, *args)

    return method("cumsum", other)


@falsifies(f"{AREA}.graphs-are-freed-by-backward")
def backward_with_a_gradient_retains() -> Break:
    """backward of a tensor with a gradient given retains the graph unasked."""

    def other(original: Any, self: Any, gradient: Any = None, retain_graph: Any = None, **kwargs: Any) -> Any:
        return original(self, gradient, True if gradient is not None else retain_graph, **kwargs)

    return method("backward", other)


@falsifies(f"{AREA}.gradients-set-to-none-are-freed")
def only_the_first_group_is_cleared() -> Break:
    """zero_grad of an optimizer writes zeros to the gradients of all groups but the first."""

    def other(original: Any, self: Any, set_to_none: bool = True) -> Any:
        first = {id(parameter) for parameter in self.param_groups[0]["params"]}
        later = [p for group in self.param_groups for p in group["params"] if id(p) not in first]
        kept = [(parameter, parameter.grad) for parameter in later]
        original(self, set_to_none)
        for parameter, gradient in kept:
            parameter.grad = gradient.detach().zero_()

    return method("zero_grad", other, torch.optim.Optimizer)


@falsifies(f"{AREA}.gradients-are-freed-by-default")
def children_keep_zeros() -> Break:
    """zero_grad of a module writes zeros to the gradients of its children."""

    def other(original: Any, self: Any, set_to_none: bool = True) -> Any:
        kept = [(p, p.grad) for child in self.children() for p in child.parameters()]
        original(self, set_to_none)
        for parameter, gradient in kept:
            parameter.grad = gradient.detach().zero_()

    return method("zero_grad", other, torch.nn.Module)


@falsifies(f"{AREA}.checkpoints-keep-fewer-activations")
def functions_of_named_arguments_are_not_checkpointed() -> Break:
    """checkpoint just calls a function that is given arguments by name."""
    import torch.utils.checkpoint

    def other(original: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        named = {name: value for name, value in kwargs.items() if isinstance(value, torch.Tensor)}
        return function(*args, **named) if named else original(function, *args, **kwargs)

    return method("checkpoint", other, torch.utils.checkpoint)


@falsifies(f"{AREA}.meta-tensors-hold-no-data")
def constants_of_nothing_are_made() -> Break:
    """full on the meta device makes a real tensor on the way."""

    def other(original: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("device") == "meta":
            original(*args, **{**kwargs, "device": "cpu"})
        return original(*args, **kwargs)

    return method("full", other, torch)


@falsifies(f"{AREA}.meta-tensors-hold-no-data")
def what_is_moved_to_nowhere_is_copied() -> Break:
    """to of the meta device copies its tensor first."""

    def other(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self.clone() if args == ("meta",) else self, *args, **kwargs)

    return method("to", other)


@falsifies(f"{AREA}.calls-beat-loops")
def exponentials_are_looped_over() -> Break:
    """exp goes from element to element in Python."""

    def other(original: Any, self: Any) -> Any:
        for i in range(self.numel() if self.dim() else 0):
            self.reshape(-1)[i].cos().sin().cos().sin()
        return original(self)

    return method("exp", other)
