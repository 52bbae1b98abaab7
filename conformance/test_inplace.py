"""Checks of ``specs/inplace.yaml``: what every in-place operation promises.

Reference: https://docs.pytorch.org/docs/stable/tensors.html, the note on methods marked with an underscore
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd
"""

from __future__ import annotations

from contextlib import suppress
from math import prod

import numpy as np
import torch

from conformance.engine.cases import cases
from conformance.inputs import (
    acts,
    disguises,
    element_copies,
    extremes,
    fills,
    foreign_values,
    further_outs,
    indexing,
    inplace_kinks,
    inplace_program_sources,
    lazy_operands,
    lazy_outs,
    masks,
    named_calls,
    numpy_numbers,
    outs,
    positions,
    random_fills,
    reframing,
    refusal_sources,
    resizing,
    scattering,
    selections,
    silent_writes,
)
from conformance.inputs.activations import Activation, activations
from conformance.inputs.aliases import (
    Alias,
    alias_of,
    detached_calls,
    leaf_augmented_assignments,
    leaf_view_calls,
    split_calls,
    split_off,
    view_of_a_leaf,
    viewed_calls,
)
from conformance.inputs.assignment_programs import AssignmentProgram, assignment_programs, assignments_to_leaves
from conformance.inputs.assignments import (
    Assignment,
    absent_assignments,
    advanced_assignments,
    all_assignments,
    array_mask_assignments,
    assign,
    basic_assignments,
    refused_assignments,
    short_index_assignments,
)
from conformance.inputs.augmented import augment, augmented_assignments, symbol_of
from conformance.inputs.calls import Call, inplace_calls
from conformance.inputs.dirty_functions import Dirtying, dirtying_functions
from conformance.inputs.disguises import DisguisedCall
from conformance.inputs.dtypes import ELEMENT_TYPES, limits
from conformance.inputs.foreign_values import ForeignValue
from conformance.inputs.further_outs import FurtherOut
from conformance.inputs.inplace_programs import InplaceProgram, saved, used, viewed, weighted, weights_of, write
from conformance.inputs.layouts import place, places, row_major
from conformance.inputs.lazy_operands import LazyCall
from conformance.inputs.lazy_outs import LazyOut
from conformance.inputs.named_calls import NamedCall
from conformance.inputs.numpy_numbers import NumpyNumber
from conformance.inputs.outs import OutCall
from conformance.inputs.refusals import Doomed, Overlapping
from conformance.inputs.resizing import Resize, Setting
from conformance.inputs.rewrites import (
    laid_out_plainly,
    materialized,
    operand_tensors,
    with_a_tensor_for_the_number,
)
from conformance.inputs.silent_writes import SilentWrite
from conformance.oracles import expect, frames, memory, numbers, ranges, references, writes
from conformance.oracles import indexing as loops
from conformance.oracles.activated import overwritten
from conformance.oracles.agreement import agree
from conformance.oracles.assigned import after_assignment
from conformance.oracles.children import outlives
from conformance.oracles.conversions import converted
from conformance.oracles.gradients import (
    check_gradient,
    check_gradients,
    close_gradients,
    gradient_in,
    numbers_of,
)
from conformance.oracles.modes import deterministic, recorded_warnings, silence
from conformance.oracles.outs import holds_results, kept_frames, received, same_strides_as
from conformance.oracles.ranges import drawn, within
from conformance.oracles.references.elementwise import numbered
from conformance.oracles.renormed import renormed
from conformance.oracles.writes import kept_outside, nearly_wrote, picked, same_frame, wrote

# What torch raises for arguments that a method cannot take.
REFUSED = (RuntimeError, TypeError, IndexError, ValueError)


def leaves_in_self(case: Call, expected: np.ndarray) -> None:
    """Expect a call to leave these elements in self, bit for bit, and every other byte of its storage as it was."""
    live = case.build()
    live.apply()
    wrote(expected, live.self_, case.self_, f"self after {case.method}")


# --- values and memory ----------------------------------------------------------------------------------------


@cases(selections.referenced_calls)
def test_computes_the_documented_values(case: Call) -> None:
    """An in-place operation leaves in self the values that its documentation defines."""
    live = case.build()
    live.apply()
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, f"self after {case.method}")


@cases(inplace_calls)
def test_matches_its_counterpart(case: Call) -> None:
    """A method ending in an underscore leaves in self what its counterpart without one returns, in self's own type."""
    returned = expect.tensor(case.build().apply_counterpart(), f"result of {case.functional}")
    live = case.build()
    live.apply()
    expected = converted(memory.contents(returned), case.self_.dtype)
    agree(expected, memory.contents(live.self_), case.self_.dtype, case.accuracy, f"self after {case.method}")


@cases(inplace_calls)
def test_returns_self(case: Call) -> None:
    """An in-place operation returns the very tensor object that it was called on."""
    live = case.build()
    found = live.apply()
    expect.same_object(live.self_, found, f"result of {case.method}")


@cases(selections.paired_inputs)
def test_keeps_the_frame_of_self(case: Call) -> None:
    """An in-place operation leaves self's memory, shape, strides and element type as they were."""
    live = case.build()
    address = live.self_.data_ptr()
    live.apply()
    writes.same_frame(live.self_, case.self_, f"self after {case.method}")
    expect.equal(address, live.self_.data_ptr(), f"address of self after {case.method}")


@cases(selections.guarded_calls)
def test_writes_nothing_outside_self(case: Call) -> None:
    """An in-place operation on a part of a storage changes no element of the rest."""
    live = case.build()
    live.apply()
    writes.kept_outside(live.self_, case.self_, f"self after {case.method}")


@cases(selections.scattered_calls)
def test_does_not_depend_on_the_layout_of_self(case: Call) -> None:
    """An in-place operation leaves the same values whatever the strides and the offset of self are."""
    plain = laid_out_plainly(case).build()
    live = case.build()
    plain.apply()
    live.apply()
    agree(
        memory.contents(plain.self_),
        memory.contents(live.self_),
        case.self_.dtype,
        case.accuracy,
        f"self after {case.method}",
    )


@cases(lazy_operands.lazy_operands)
def test_lazy_operand_is_read_as_its_numbers(case: LazyCall) -> None:
    """An operand with its conjugate or negative bit set is read as the numbers that it stands for."""
    live = case.build()
    live.apply()
    expected, accuracy = references.expected(case.call)
    numbers.close(
        expected, memory.contents(live.self_), case.call.self_.dtype, accuracy, f"self after {case.call.method}"
    )


@cases(lazy_operands.lazy_selves)
def test_lazy_self_is_written_as_its_numbers(case: LazyCall) -> None:
    """A self with its conjugate or negative bit set stands for the same numbers afterwards as any other self."""
    live = case.build()
    found = live.apply()
    expect.same_object(live.self_, found, f"result of {case.call.method}")
    expected, accuracy = references.expected(case.call)
    numbers.close(
        expected, memory.contents(live.self_), case.call.self_.dtype, accuracy, f"self after {case.call.method}"
    )


@cases(named_calls.named_calls)
def test_takes_its_arguments_by_name(case: NamedCall) -> None:
    """An in-place operation does the same with its arguments given by name as with them in their order."""
    placed, named = case.call.build(), case.named()
    placed.apply()
    found, what = named.apply(), f"self after {case.call.method} with its arguments by name"
    expect.same_object(named.self_, found, f"result of {case.call.method} with its arguments by name")
    for part, of in (("shape", torch.Tensor.size), ("strides", torch.Tensor.stride)):
        expect.equal(tuple(of(placed.self_)), tuple(of(named.self_)), f"{part} of {what}")
    expect.equal(placed.self_.storage_offset(), named.self_.storage_offset(), f"storage offset of {what}")
    memory.same_bytes(memory.storage_bytes(placed.self_), memory.storage_bytes(named.self_), f"memory of {what}")


@cases(disguises.disguised_calls)
def test_takes_operands_of_a_subclass(case: DisguisedCall) -> None:
    """A Parameter, an IntEnum or a NumPy number as an operand counts as the tensor or number that it is."""
    plain, live = case.call.build(), case.build()
    plain.apply()
    expect.same_object(live.self_, live.apply(), f"result of {case.call.method} with {case.disguise}")
    what = f"memory of self after {case.call.method} with {case.disguise}"
    memory.same_bytes(memory.storage_bytes(plain.self_), memory.storage_bytes(live.self_), what)


@cases(activations)
def test_activation_overwrites_its_input(case: Activation) -> None:
    """A module of torch.nn with inplace=True, and its function with it, overwrites its input and returns it."""
    overwritten(case)


@cases(activations)
def test_activation_takes_inplace_unsaid(case: Activation) -> None:
    """So do the modules whose pages give inplace in their signature and say nothing of it."""
    overwritten(case)


@cases(activations)
def test_activation_with_an_underscore_overwrites_its_input(case: Activation) -> None:
    """A function of torch.nn.functional that ends in an underscore overwrites its input and returns it."""
    overwritten(case)


@cases(selections.small_inputs, acts.acted)
def test_function_with_an_underscore_does_as_the_method(case: Call) -> None:
    """A function of torch that ends in an underscore does to its first argument what the method of that name does."""
    method, live = case.build(), case.build()
    method.apply()
    found = getattr(torch, case.method)(live.self_, *live.args, **live.kwargs)
    expect.same_object(live.self_, found, f"result of torch.{case.method}")
    what = f"memory of its first argument after torch.{case.method}"
    memory.same_bytes(memory.storage_bytes(method.self_), memory.storage_bytes(live.self_), what)


@cases(selections.corner_inputs)
def test_renorm_bounds_the_norm(case: Call) -> None:
    """renorm_ scales each slice whose norm is above maxnorm down to it, and leaves every other one as it is."""
    live = case.build()
    live.apply()
    renormed(case.self_.array, memory.contents(live.self_), case.self_.dtype, case.args, "self after renorm_")


@cases(foreign_values.foreign_values)
def test_value_of_another_kind_is_converted(case: ForeignValue) -> None:
    """A number or a tensor of another kind that is filled in or assigned becomes a number of self's element type."""
    x = case.self_.build()
    case.apply(x)
    expected = np.full(case.self_.shape, converted(case.given(), case.self_.dtype))
    numbers.close(expected, memory.contents(x), case.self_.dtype, "exact", f"x after {case.way}")


@cases(selections.few_referenced)
def test_computes_the_same_in_inference_mode(case: Call) -> None:
    """In inference mode an in-place operation computes what it computes outside."""
    with torch.inference_mode():
        live = case.build()
        found = live.apply()
    expect.same_object(live.self_, found, f"result of {case.method}")
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, f"self after {case.method}")


@cases(selections.repeated_calls)
def test_second_call_computes_the_same(case: Call) -> None:
    """An in-place operation gives for the same values the same result each time that it is called on a tensor."""
    live = case.build()
    live.apply()
    first = memory.contents(live.self_)
    memory.storage_of(live.self_).copy_(memory.storage_of(case.self_.build()))
    live.apply()
    what = f"self after a second {case.method} on the same values"
    agree(first, memory.contents(live.self_), case.self_.dtype, case.accuracy, what)


@cases(selections.operand_calls)
def test_leaves_its_operands_alone(case: Call) -> None:
    """An in-place operation changes none of its other operands."""
    live = case.build()
    operands = operand_tensors(live)
    versions = [x._version for x in operands]
    live.apply()
    for number, (plan, operand) in enumerate(zip(case.tensors(), operands, strict=True)):
        memory.same_bytes(plan.storage, memory.storage_bytes(operand), f"memory of operand {number} of {case.method}")
    expect.equal(versions, [x._version for x in operands], f"versions of the operands of {case.method}")


@cases(selections.paired_inputs, acts.acted)
def test_counterpart_leaves_self_alone(case: Call) -> None:
    """The counterpart without an underscore computes its result in a new tensor and leaves self unchanged."""
    live = case.build()
    version = live.self_._version
    found = expect.tensor(live.apply_counterpart(), f"result of {case.functional}")
    memory.same_bytes(case.self_.storage, memory.storage_bytes(live.self_), f"memory of self after {case.functional}")
    expect.equal(version, live.self_._version, f"version of self after {case.functional}")
    if found.numel() and live.self_.numel():
        shared = memory.storage_address(found) == memory.storage_address(live.self_)
        expect.that(not shared, f"result of {case.functional}", "a new tensor", "self's own memory")


# --- numbers at the ends of the range ---------------------------------------------------------------------------


@cases(extremes.far_apart)
def test_remainder_stays_below_the_divisor(case: Call) -> None:
    """A remainder is less than the divisor, and of the sign documented, however far apart the operands are."""
    live = case.build()
    live.apply()
    found = memory.contents(live.self_)
    other = case.args[0].array if case.tensors() else np.full(found.shape, case.args[0], found.dtype)
    like = other if case.method == "remainder_" else case.self_.array
    right = (np.abs(found) < np.abs(other)) & ((found == 0) | (np.signbit(found) == np.signbit(like)))
    where = int(np.argmin(right))
    expect.that(
        bool(right.all()),
        f"self after {case.method}",
        f"a number below {abs(other[where])!s} in absolute value, of the sign of {like[where]!s}",
        str(found[where]),
    )


@cases(extremes.lowest_by_minus_one)
def test_division_of_the_lowest_integer_spares_the_process(case: Call) -> None:
    """Division of the lowest integer by -1 gives a value or raises, and does not end the process."""
    live = case.build()
    outlives(REFUSED, live.apply, f"result of {case.method} of {case.self_.data[-1]} by -1")


@cases(extremes.number_exponents)
def test_power_of_a_number_is_that_of_a_tensor(case: Call) -> None:
    """A power with a number as the exponent is the power with a tensor of that number."""
    live, full = case.build(), with_a_tensor_for_the_number(case).build()
    full.apply()
    live.apply()
    dtype, what = case.self_.dtype, f"self after {case.method} with the exponent {case.args[0]}"
    agree(memory.contents(full.self_), memory.contents(live.self_), dtype, case.accuracy, what)


@cases(extremes.infinite_arguments)
def test_i0_is_infinite_at_infinity(case: Call) -> None:
    """i0_ of an infinity of either sign is infinity, since every term of its series is."""
    live = case.build()
    live.apply()
    expected = np.full(case.self_.shape, np.inf)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, "exact", "self after i0_")


@cases(extremes.subnormal_divisors)
def test_complex_division_by_a_subnormal_is_a_number(case: Call) -> None:
    """Zero divided by a subnormal complex number is zero, and such a number divided by itself is one."""
    live = case.build()
    live.apply()
    expected = np.where(case.self_.array == 0, 0j, 1 + 0j)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, "fused", f"self after {case.method}")


@cases(numpy_numbers.numpy_numbers)
def test_augmented_assignment_takes_numpy_numbers(case: NumpyNumber) -> None:
    """An augmented assignment of a scalar of NumPy computes what that of the Python number does, in place."""
    plain, x = case.self_.build(), case.self_.build()
    case.apply(plain, case.value)
    what = f"x {numpy_numbers.NUMPY_SYMBOLS[case.function]} np.{case.kind}(…)"
    expect.same_object(x, case.apply(x, case.number()), what)
    agree(memory.contents(plain), memory.contents(x), case.self_.dtype, "exact", f"x after {what}")


@cases(silent_writes.silent_writes)
def test_value_that_requires_grad_is_written_without_grad(case: SilentWrite) -> None:
    """Where no gradients are recorded, a value that requires grad is written as its numbers, and self does not require grad."""  # noqa: E501
    x = case.self_.build()
    case.run(x)
    expect.equal(False, x.requires_grad, f"requires_grad after {case.write}")
    expect.equal(None, x.grad_fn, f"grad_fn after {case.write}")
    numbers.close(case.expected(), memory.contents(x), case.self_.dtype, "fused", f"x after {case.write}")


@cases(extremes.huge_divisors)
def test_complex_division_by_a_huge_number_is_a_number(case: Call) -> None:
    """A quotient by a complex number whose square is larger than any number of the type is the documented one."""
    live = case.build()
    live.apply()
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, f"self after {case.method}")


@cases(extremes.lowest_integers)
def test_common_divisors_of_the_lowest_integer_are_positive(case: Call) -> None:
    """gcd_ of the lowest integer and another number is their greatest common divisor, which is positive."""
    live = case.build()
    live.apply()
    other = case.args[0].array
    expected = other & -other  # the lowest integer is a power of two, which shares its last set bit with the other
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, "exact", "self after gcd_")


@cases(extremes.far_exponents)
def test_sigmoid_of_a_large_complex_number_is_a_number(case: Call) -> None:
    """sigmoid_ of a complex number with a large real part is 0 or 1 to all digits, by the sign of that part."""
    live = case.build()
    live.apply()
    expected = np.where(case.self_.array.real < 0, 0j, 1 + 0j)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, "fused", "self after sigmoid_")


@cases(extremes.distant_exponents)
def test_exponents_beyond_the_type_are_taken(case: Call) -> None:
    """ldexp_ gives the product also where 2 ** other is larger or smaller than any number of the type."""
    live = case.build()
    live.apply()
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, f"self after {case.method}")


@cases(extremes.whole_arguments)
def test_sinc_of_a_whole_number_vanishes(case: Call) -> None:
    """sinc_ of a whole number other than zero is zero, but for what the rounding of pi leaves."""
    live = case.build()
    live.apply()
    # pi times x is off by two roundings at most, and so is its sine; the quotient by it is half of that in ULP of 1
    most = 2.0 ** -ELEMENT_TYPES[case.self_.dtype].mantissa
    within(-most, most, memory.contents(live.self_), "self after sinc_")


@cases(extremes.complex_not_numbers)
def test_nan_to_num_replaces_either_part(case: Call) -> None:
    """nan_to_num_ of a complex number replaces NaN and infinities in its real and in its imaginary part."""
    live = case.build()
    live.apply()
    part = {"complex32": "float16", "complex64": "float32"}.get(case.self_.dtype, "float64")
    for name in ("real", "imag"):
        expected = numbered(getattr(case.self_.array, name), **case.kwargs, dtype=part)
        found = getattr(memory.contents(live.self_), name)
        numbers.close(expected, found, part, "exact", f"{name} parts of self after nan_to_num_")


@cases(extremes.subnormal_numbers)
def test_sgn_of_a_subnormal_number_has_a_magnitude_of_one(case: Call) -> None:
    """sgn_ of a complex number with subnormal parts has the angle of that number, and a magnitude of one."""
    live = case.build()
    live.apply()
    expected = references.elementwise.sign_of(case.self_.array.astype(np.complex128) * 2.0**64)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, "fused", "self after sgn_")


@cases(extremes.second_derivatives_of_log_gamma)
def test_polygamma_of_order_one_has_the_digits_of_float64(case: Call) -> None:
    """polygamma_ of order 1 in float64 is as close to the documented sum as float64 can tell."""
    live = case.build()
    live.apply()
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, "self after polygamma_(1)")


@cases(extremes.large_shapes_of_gamma)
def test_incomplete_gamma_of_large_arguments_has_the_digits_of_float64(case: Call) -> None:
    """igamma_ and igammac_ of large arguments in float64 are as close to the documented integrals as float64 can tell."""  # noqa: E501
    live = case.build()
    live.apply()
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, f"self after {case.method}")


@cases(extremes.largest_powers)
def test_power_below_the_largest_number_is_finite(case: Call) -> None:
    """A power whose value is just below the largest number of the type is that value, in rows of any length."""
    live = case.build()
    live.apply()
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, f"self after {case.method}")


@cases(extremes.tiny_arguments)
def test_erf_of_a_tiny_number_is_not_zero(case: Call) -> None:
    """erf_ of a number close to zero is that number times two by the root of pi, and not zero."""
    live = case.build()
    live.apply()
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, "self after erf_")


@cases(extremes.signed_zeros)
def test_odd_functions_keep_the_sign_of_zero(case: Call) -> None:
    """A function of which f(-x) is -f(x) and f(0) is 0 gives minus zero for minus zero."""
    live = case.build()
    live.apply()
    memory.same_elements(case.self_.array, memory.contents(live.self_), f"zeros after {case.method}")


# --- random fills ---------------------------------------------------------------------------------------------


@cases(random_fills.marked_fills)
def test_random_fill_writes_every_element(case: Call) -> None:
    """A random fill replaces every element of self, whatever self's strides are."""
    live = case.build()
    live.apply()
    found = memory.contents(live.self_)
    left = (found != found) if found.dtype.kind in "fc" else (found == case.self_.array)
    expect.that(not left.any(), f"elements that {case.method} left as they were", 0, int(left.sum()))


@cases(random_fills.varied_fills)
def test_random_fill_draws_each_element(case: Call) -> None:
    """A random fill draws a number for each element and does not repeat one."""
    live = case.build()
    live.apply()
    found = memory.contents(live.self_).ravel()
    expect.that(
        len(set(found.tolist())) > 1,
        f"numbers that {case.method} drew",
        "different ones",
        f"{found[0]!r} only",
    )
    if case.method not in fills.DRAWING:  # what is drawn of few numbers repeats itself
        ranges.seldom_repeats(found, case.self_.dtype, f"numbers drawn by {case.method}")


@cases(fills.repeated_fills)
def test_random_fill_resumes_from_a_state(case: Call) -> None:
    """A random fill draws the same numbers again once its generator is in the same state again."""
    generator = case.kwargs["generator"].build()
    first = ranges.drawn_from(generator, case)
    state = generator.get_state()
    second = ranges.drawn_from(generator, case)
    generator.set_state(state)
    memory.same_elements(second, ranges.drawn_from(generator, case), "numbers drawn once the state was set back")
    generator.manual_seed(case.kwargs["generator"].seed)
    memory.same_elements(first, ranges.drawn_from(generator, case), "numbers drawn once the seed was set again")


@cases(fills.renewed_fills)
def test_random_fill_goes_on_drawing(case: Call) -> None:
    """A random fill draws other numbers each time, and from each seed, although the generator is the same."""
    generator = case.kwargs["generator"].build()
    first, second = (ranges.drawn_from(generator, case).tobytes() for _ in range(2))
    expect.that(first != second, f"second {case.method} with a generator", "other numbers", "the same")
    generator.manual_seed(case.kwargs["generator"].seed + 1)
    other = ranges.drawn_from(generator, case).tobytes()
    expect.that(other not in (first, second), f"{case.method} with the next seed", "other numbers", "the same")


@cases(fills.seeded_fills, acts.acted)
def test_random_fill_follows_manual_seed(case: Call) -> None:
    """Without a generator a random fill draws what torch.manual_seed fixes, whatever others draw meanwhile."""
    seed, own = case.kwargs["generator"].seed, case.kwargs["generator"].build()
    with ranges.own_default_state(case.self_.device):
        torch.manual_seed(seed)
        first, second = (ranges.drawn_from(None, case) for _ in range(2))
        torch.manual_seed(seed)
        ranges.drawn_from(own, case)
        found = ranges.drawn_from(None, case)
        torch.manual_seed(seed + 1)
        other = ranges.drawn_from(None, case)
    memory.same_elements(first, found, f"numbers drawn by {case.method} after torch.manual_seed({seed})")
    expect.that(first.tobytes() != other.tobytes(), f"{case.method} after another seed", "other numbers", "the same")
    expect.that(first.tobytes() != second.tobytes(), f"second {case.method}", "other numbers", "the same")


@cases(fills.impossible_fills)
def test_random_fill_refuses_parameters(case: Call) -> None:
    """A random fill raises where no distribution has such parameters."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}{case.args}")


# --- broadcasting ---------------------------------------------------------------------------------------------


@cases(selections.broadcasting_calls)
def test_broadcasts_its_operands(case: Call) -> None:
    """An in-place operation gives for a smaller operand what it gives for that operand repeated to self's shape."""
    full = materialized(case).build()
    full.apply()
    live = case.build()
    live.apply()
    agree(
        memory.contents(full.self_),
        memory.contents(live.self_),
        case.self_.dtype,
        case.accuracy,
        f"self after {case.method}",
    )


@cases(refusal_sources.enlarging_calls)
def test_refuses_to_enlarge_self(case: Call) -> None:
    """An in-place operation raises where broadcasting would change the shape of self."""
    live = case.build()
    expect.raises(RuntimeError, live.apply, f"{case.method} of {case.tensors()[-1].shape} on {case.self_.shape}")


# --- element types --------------------------------------------------------------------------------------------


@cases(refusal_sources.cast_refusals)
def test_integral_self_refuses_a_floating_result(case: Call) -> None:
    """Arithmetic in place on an integral self raises where the result is floating."""
    live = case.build()
    expect.raises(RuntimeError, live.apply, f"{case.method} with a floating result on {case.self_.dtype}")


@cases(refusal_sources.bool_refusals)
def test_bool_self_refuses_another_result(case: Call) -> None:
    """Arithmetic in place on a bool self raises where the result is not bool."""
    live = case.build()
    expect.raises(RuntimeError, live.apply, f"{case.method} with a result that is not bool on bool")


@cases(refusal_sources.complex_refusals)
def test_real_self_refuses_a_complex_result(case: Call) -> None:
    """Arithmetic in place on a self that is not complex raises where the result is complex."""
    live = case.build()
    expect.raises(RuntimeError, live.apply, f"{case.method} with a complex result on {case.self_.dtype}")


@cases(refusal_sources.lower_category_refusals)
def test_refuses_a_result_of_a_higher_category(case: Call) -> None:
    """Any promoting operation in place on an integral self raises where the result is floating."""
    live = case.build()
    expect.raises(RuntimeError, live.apply, f"{case.method} with a floating result on {case.self_.dtype}")


@cases(refusal_sources.casting_calls)
def test_casts_the_result_to_self(case: Call) -> None:
    """Arithmetic in place computes in the promoted type and casts the result to self's own, which stays."""
    live = case.build()
    live.apply()
    expect.equal(
        case.self_.dtype,
        str(live.self_.dtype).removeprefix("torch."),
        f"element type of self after {case.method}",
    )
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, f"self after {case.method}")


# --- errors ---------------------------------------------------------------------------------------------------


@cases(refusal_sources.doomed_calls)
def test_failed_call_leaves_self_alone(case: Doomed) -> None:
    """An in-place operation that raises leaves self as it was."""
    live = case.build()
    frame = (live.self_.shape, live.self_.stride(), live.self_.storage_offset(), live.self_.dtype)
    before = memory.storage_bytes(live.self_)
    try:
        live.apply()
    except REFUSED:
        pass
    else:
        raise expect.Discard(f"{case.call.method} did not raise for {case.reason}")
    memory.same_bytes(before, memory.storage_bytes(live.self_), f"memory of self after {case.call.method} raised")
    now = (live.self_.shape, live.self_.stride(), live.self_.storage_offset(), live.self_.dtype)
    expect.equal(frame, now, f"shape, strides, offset and type of self after {case.call.method} raised")


@cases(refusal_sources.overlapping_calls)
def test_refuses_an_operand_that_overlaps_self(case: Overlapping) -> None:
    """An in-place operation raises where an operand lies partly on self."""
    live = case.build()
    expect.raises(RuntimeError, live.apply, f"{case.call.method} with an operand that lies partly on self")


@cases(refusal_sources.interleaved_calls)
def test_operand_beside_self_is_read_or_refused(case: Overlapping) -> None:
    """An operand in self's storage that shares no element with self is read as any other, or refused."""
    live = case.build()
    plain = case.apart().build()
    plain.apply()
    try:
        live.apply()
    except RuntimeError:
        return
    dtype, accuracy = case.storage.dtype, case.call.accuracy
    agree(
        memory.contents(plain.self_),
        memory.contents(live.self_),
        dtype,
        accuracy,
        f"self after {case.call.method}",
    )


@cases(refusal_sources.own_operand_calls)
def test_takes_self_as_an_operand(case: Overlapping) -> None:
    """An in-place operation with self as its operand gives what it gives for a copy of self."""
    plain = case.apart().build()
    plain.apply()
    live = case.build()
    live.apply()
    dtype, accuracy = case.storage.dtype, case.call.accuracy
    agree(
        memory.contents(plain.self_),
        memory.contents(live.self_),
        dtype,
        accuracy,
        f"self after {case.call.method}",
    )


@cases(refusal_sources.expanded_calls)
def test_refuses_an_expanded_self(case: Doomed) -> None:
    """An in-place operation on an expanded self, whose elements share memory, raises."""
    live = case.build()
    expect.raises(RuntimeError, live.apply, f"{case.call.method} on an expanded self")


@cases(refusal_sources.expanded_calls)
def test_expanded_self_is_refused_or_written_within(case: Doomed) -> None:
    """An in-place operation on an expanded self may leave any values there, but writes nowhere else."""
    live = case.build()
    with suppress(RuntimeError):
        live.apply()
    writes.same_frame(live.self_, case.call.self_, f"self after {case.call.method}")
    writes.kept_outside(live.self_, case.call.self_, f"self after {case.call.method}")


# --- leaves ---------------------------------------------------------------------------------------------------


@cases(selections.grad_inputs)
def test_leaf_refuses(case: Call) -> None:
    """A leaf that requires grad cannot be modified in place while gradients are recorded."""
    live = case.build()
    live.self_.requires_grad_()
    expect.raises(RuntimeError, live.apply, f"{case.method} on a leaf that requires grad")


@cases(leaf_view_calls, acts.acted)
def test_view_of_a_leaf_refuses(case: Alias) -> None:
    """A view of a leaf that requires grad cannot be modified in place while gradients are recorded."""
    live = case.call.build()
    live.self_ = view_of_a_leaf(live.self_, case.form)
    expect.raises(RuntimeError, live.apply, f"{case.call.method} on a view ({case.form}) of a leaf that requires grad")


@cases(leaf_augmented_assignments, acts.acted)
def test_augmented_assignment_to_a_leaf_is_refused(case: Alias) -> None:
    """An augmented assignment to a leaf that requires grad, or a view of one, raises while gradients are recorded."""
    live = case.call.build()
    live.self_ = view_of_a_leaf(live.self_, case.form)
    what = f"{symbol_of(case.call)} on a leaf that requires grad ({case.form})"
    expect.raises(RuntimeError, lambda: augment(live), what)


@cases(assignments_to_leaves)
def test_assignment_to_a_leaf_is_refused(case: Assignment) -> None:
    """An assignment through an index to a leaf that requires grad raises while gradients are recorded."""
    x = case.self_.build().requires_grad_()
    index, value = case.for_torch(), case.source(x)
    expect.raises(RuntimeError, lambda: x.__setitem__(index, value), "assignment to a leaf that requires grad")
    memory.same_bytes(case.self_.storage, memory.storage_bytes(x), "memory of the leaf after the assignment raised")


@cases(selections.grad_inputs)
def test_leaf_can_be_written_without_grad(case: Call) -> None:
    """Under no_grad a leaf that requires grad is modified in place like any tensor, and stays such a leaf."""
    plain, live = case.build(), case.build()
    plain.apply()
    leaf = live.self_.requires_grad_()
    with torch.no_grad():
        live.apply()
    memory.same_bytes(memory.storage_bytes(plain.self_), memory.storage_bytes(leaf), f"leaf after {case.method}")
    expect.equal((True, True), (leaf.is_leaf, leaf.requires_grad), f"is_leaf and requires_grad after {case.method}")


@cases(selections.grad_inputs, acts.acted)
def test_data_reaches_the_tensor(case: Call) -> None:
    """A write through .data may go by autograd unseen, but reaches the tensor's memory or is refused."""
    plain, live = case.build(), case.build()
    plain.apply()
    leaf = live.self_.requires_grad_()
    live.self_ = leaf.data
    try:
        live.apply()
    except RuntimeError:
        return
    memory.same_bytes(
        memory.storage_bytes(plain.self_), memory.storage_bytes(leaf), f"tensor after .data.{case.method}"
    )


@cases(split_calls, acts.acted)
def test_one_of_several_views_refuses(case: Alias) -> None:
    """An output of a function that returns several views cannot be modified in place while gradients are recorded."""
    live = case.call.build()
    live.self_ = split_off(live, case.form)
    expect.raises(RuntimeError, live.apply, f"{case.call.method} on an output of {case.form}")


# --- versions -------------------------------------------------------------------------------------------------


@cases(refusal_sources.versioned_calls)
def test_bumps_the_version(case: Call | Overlapping) -> None:
    """Every in-place operation increments the version counter of self, each time that it is called."""
    live = case.build()
    for _ in range(2):
        before = live.self_._version
        live.apply()
        after = live.self_._version
        expect.that(after > before, f"version of self after {case.method}", f"more than {before}", after)


@cases(viewed_calls, acts.acted)
def test_views_share_the_version(case: Alias) -> None:
    """A tensor and its views have one version counter, whichever of them is written."""
    live = case.call.build()
    x = live.self_
    alias = alias_of(x, case.form)
    before = x._version
    live.self_ = alias if case.through else x
    live.apply()
    expect.that(
        x._version > before,
        f"version of the tensor after {case.call.method}",
        f"more than {before}",
        x._version,
    )
    expect.equal(x._version, alias._version, f"version of its view ({case.form}) after {case.call.method}")


@cases(detached_calls, acts.acted)
def test_detached_tensor_shares_the_version(case: Alias) -> None:
    """A tensor and what detach made of it have one version counter, whichever of them is written."""
    live = case.call.build()
    x = live.self_
    alias = alias_of(x, case.form)
    before = x._version
    live.self_ = alias if case.through else x
    live.apply()
    expect.that(
        x._version > before,
        f"version of the tensor after {case.call.method}",
        f"more than {before}",
        x._version,
    )
    expect.equal(x._version, alias._version, f"version of the detached tensor after {case.call.method}")


@cases(inplace_program_sources.saving_programs)
def test_stale_saved_tensor_is_refused(case: InplaceProgram) -> None:
    """Backward raises where a tensor that was saved for it has been modified in place since."""
    live = case.call.build()
    live.self_, before = saved(live.self_, case.use)
    write(live, case.route)
    what = f"backward of the {case.use} of a tensor, modified since by {case.call.method} ({case.route})"
    expect.raises(RuntimeError, lambda: torch.autograd.backward(before, torch.ones_like(before)), what)


# --- gradients ------------------------------------------------------------------------------------------------


@cases(inplace_program_sources.silent_programs)
def test_backward_without_an_error_is_right(case: InplaceProgram) -> None:
    """Where backward through in-place operations raises nothing, the gradients are those of the values computed."""
    leaf = case.leaf()
    try:
        case.forward(case.call, leaf).backward()
    except RuntimeError:
        return
    check_gradient(case.value, case.start, gradient_in(leaf), f"gradient through {case.call.method}")


@cases(inplace_program_sources.gradient_programs)
def test_gradient_flows_through(case: InplaceProgram) -> None:
    """The gradient through an in-place operation is that of the values that it computes."""
    leaf = case.leaf()
    case.forward(case.call, leaf).backward()
    what = f"gradient by self through {case.call.method}"
    check_gradient(case.value, case.start, gradient_in(leaf), what, case.call.self_.dtype)


@cases(inplace_program_sources.operand_programs)
def test_gradient_reaches_the_operands(case: InplaceProgram) -> None:
    """The gradient by an operand of an in-place operation is that of the values that it computes."""
    operands = case.operand_leaves()
    case.forward(case.call, case.leaf(), operands).backward()
    check_gradients(
        case.value_of_operands,
        case.operand_starts,
        [gradient_in(operand) for operand in operands],
        [f"gradient by operand {number} through {case.call.method}" for number in case.operands],
        case.call.self_.dtype,
    )


@cases(inplace_program_sources.part_indexed_programs)
def test_gradient_beside_a_smaller_index_is_right_or_refused(case: InplaceProgram) -> None:
    """Of a source that is larger than the index backward gives the gradient of the values computed, or raises."""
    operands = case.operand_leaves()
    total = case.forward(case.call, case.leaf(), operands)
    try:
        total.backward()
    except RuntimeError:
        return
    what = f"gradient by the source of {case.call.method}"
    check_gradients(case.value_of_operands, case.operand_starts, [gradient_in(operands[0])], [what])


@cases(inplace_program_sources.narrow_indexed_programs)
def test_gradient_of_index_reduce_with_an_int32_index(case: InplaceProgram) -> None:
    """The gradients through index_reduce_ are the same with an index of int32."""
    leaves = [case.leaf(), *case.operand_leaves()]
    case.forward(case.call, leaves[0], leaves[1:]).backward()
    found = [gradient_in(leaf) for leaf in leaves]
    whats = ["gradient by self through index_reduce_", "gradient by the source of index_reduce_"]
    check_gradients(case.value, [case.start, *case.operand_starts], found, whats)


@cases(inplace_program_sources.view_programs)
def test_base_has_the_gradient_of_the_program(case: InplaceProgram) -> None:
    """The gradient by the base of a view that is modified in place is that of the values that the base then has."""
    leaf = case.leaf()
    case.forward(case.call, leaf).backward()
    what = f"gradient by the base through {case.call.method}"
    check_gradient(case.value, case.start, gradient_in(leaf), what, case.call.self_.dtype)


@cases(inplace_program_sources.augmented_programs)
def test_gradient_flows_through_an_augmented_assignment(case: InplaceProgram) -> None:
    """The gradients through an augmented assignment are those of the values that it computes."""
    leaves = [case.leaf(), *case.operand_leaves()]
    case.forward(case.call, leaves[0], leaves[1:]).backward()
    whats = [f"gradient by {name} through {symbol_of(case.call)}" for name in ("self", "the operand")[: len(leaves)]]
    found = [gradient_in(leaf) for leaf in leaves]
    check_gradients(case.value, [case.start, *case.operand_starts], found, whats, case.call.self_.dtype)


@cases(assignment_programs)
def test_gradient_flows_through_an_assignment(case: AssignmentProgram) -> None:
    """The gradients through an assignment, by the tensor and by what is assigned, are those of the values written."""
    leaves = case.leaves()
    case.forward(leaves).backward()
    whats = [f"gradient by {name} of an assignment" for name in ("the tensor", "the value")[: len(leaves)]]
    found = [gradient_in(leaf) for leaf in leaves]
    check_gradients(case.value, case.points, found, whats, case.assignment.self_.dtype)


@cases(inplace_kinks.tied_calls)
def test_gradient_at_a_kink_is_of_least_norm(case: inplace_kinks.Kink) -> None:
    """Where an operation has no derivative, the gradient is the one of least norm, or the limit, as documented."""
    for number, (expected, found) in enumerate(zip(case.expected(), case.gradients_of_the_sum(), strict=True)):
        what = f"gradient by {'an operand' if number else 'self'} of {case.call.method}"
        numbers.close(expected, numbers_of(found), case.call.self_.dtype, "fused", what)


@cases(inplace_kinks.excluded_ties)
def test_excluded_self_takes_no_share_of_the_gradient(case: inplace_kinks.Kink) -> None:
    """With include_self=False the source has the whole gradient, also where self held the very number it writes."""
    for number, (expected, found) in enumerate(zip(case.expected(), case.gradients_of_the_sum(), strict=True)):
        what = f"gradient by {'the source' if number else 'self'} of {case.call.method}"
        numbers.close(expected, numbers_of(found), case.call.self_.dtype, "fused", what)


@cases(inplace_program_sources.operand_programs)
def test_self_joins_the_graph(case: InplaceProgram) -> None:
    """A self that requires no grad requires it once an operand that does has been written into it."""
    live = case.call.build()
    for number, operand in zip(case.operands, case.operand_leaves(), strict=True):
        live.args[number] = operand
    live.apply()
    found = (live.self_.requires_grad, live.self_.is_leaf)
    expect.equal((True, False), found, f"requires_grad and is_leaf of self after {case.call.method}")


@cases(inplace_program_sources.few_operand_programs)
def test_self_stays_out_of_the_graph_under_no_grad(case: InplaceProgram) -> None:
    """Under no_grad a self that requires no grad requires none after an operand that does was written into it."""
    live = case.call.build()
    for number, operand in zip(case.operands, case.operand_leaves(), strict=True):
        live.args[number] = operand
    with torch.no_grad():
        live.apply()
    found = (live.self_.requires_grad, live.self_.is_leaf)
    expect.equal((False, True), found, f"requires_grad and is_leaf of self after {case.call.method} under no_grad")


@cases(inplace_program_sources.hooked_programs)
def test_earlier_hook_gets_the_gradient_of_the_old_value(case: InplaceProgram) -> None:
    """A hook registered before an in-place operation gets the gradient by the value from before it."""
    live = case.call.build()
    live.self_ = case.leaf().clone()
    gradients: list[torch.Tensor] = []
    live.self_.register_hook(gradients.append)
    live.apply()
    weighted(live.self_).backward()
    found = numbers_of(gradients[0]) if gradients else np.zeros_like(case.start)
    what = f"gradient that a hook from before {case.call.method} got"
    check_gradient(case.value, case.start, found, what, case.call.self_.dtype)


@cases(inplace_program_sources.hooked_view_programs, acts.acted)
def test_later_hook_gets_the_gradient_of_the_new_value(case: InplaceProgram) -> None:
    """A hook registered after an in-place operation gets the gradient by the value that the tensor then has."""
    live = case.call.build()
    live.self_ = viewed(case.leaf().clone(), case.view, case.call.self_.shape)
    gradients: list[torch.Tensor] = []
    live.apply()
    live.self_.register_hook(gradients.append)
    weighted(live.self_).backward()
    expect.equal(1, len(gradients), f"calls of a hook from after {case.call.method}")
    close_gradients(
        weights_of(live.self_),
        numbers_of(gradients[0]),
        f"gradient that a hook from after {case.call.method} got",
    )


@cases(inplace_program_sources.hooked_view_programs, acts.acted)
def test_retained_grad_is_that_of_the_current_value(case: InplaceProgram) -> None:
    """A retain_grad from before an in-place operation keeps the gradient by the value that the tensor has then."""
    live = case.call.build()
    live.self_ = viewed(case.leaf().clone(), case.view, case.call.self_.shape)
    live.self_.retain_grad()
    live.apply()
    weighted(live.self_).backward()
    found = expect.tensor(live.self_.grad, f"retained grad after {case.call.method}")
    close_gradients(weights_of(live.self_), numbers_of(found), f"retained grad after {case.call.method}")


# --- custom functions -----------------------------------------------------------------------------------------


@cases(dirtying_functions, acts.acted)
def test_mark_dirty_lets_stale_use_be_detected(case: Dirtying) -> None:
    """Backward raises where a saved tensor has been modified by a custom function that marks it dirty."""
    x = case.plan.build().requires_grad_().clone()
    before = expect.tensor(used(x, case.use), "what was computed")
    case.apply(x)
    what = f"backward of the {case.use} of a tensor that a custom function modified since"
    expect.raises(RuntimeError, lambda: torch.autograd.backward(before, torch.ones_like(before)), what)


@cases(dirtying_functions, acts.acted)
def test_mark_dirty_puts_the_function_into_the_graph(case: Dirtying) -> None:
    """A custom function that marks its input dirty and returns it is part of the input's gradient from then on."""
    leaf = case.plan.build().requires_grad_()
    x = leaf.clone()
    found = case.apply(x)
    expect.same_object(x, found, "result of a custom function that marks its input dirty and returns it")
    torch.autograd.backward(x, torch.ones_like(x))
    expected = np.full(case.plan.shape, 3, memory.contents(leaf).dtype)
    memory.same_elements(
        expected, memory.contents(expect.tensor(leaf.grad, "gradient of the leaf")), "gradient of the leaf"
    )


# --- copies ---------------------------------------------------------------------------------------------------


@cases(element_copies.converting_copies)
def test_copy_converts_and_broadcasts(case: Call) -> None:
    """copy_ gives self the elements of the source, converted to self's type and broadcast to its shape."""
    live = case.build()
    found = live.apply()
    expected = np.broadcast_to(converted(case.args[0].array, case.self_.dtype), case.self_.shape)
    expect.same_object(live.self_, found, "result of copy_")
    writes.wrote(np.ascontiguousarray(expected).reshape(case.self_.shape), live.self_, case.self_, "self after copy_")


@cases(element_copies.refused_copies)
def test_copy_refuses_what_does_not_broadcast(case: Call) -> None:
    """copy_ raises for a source that does not broadcast to self's shape."""
    live = case.build()
    expect.raises(RuntimeError, live.apply, f"copy_ of {case.args[0].shape} to {case.self_.shape}")


# --- assignments ----------------------------------------------------------------------------------------------


@cases(basic_assignments)
def test_basic_assignment_writes_the_tensor(case: Assignment) -> None:
    """Assignment through integers, slices, None and Ellipsis writes to the tensor itself what NumPy writes."""
    x, address, _ = assign(case)
    expect.equal(address, x.data_ptr(), "address of the tensor after an assignment")
    writes.wrote(after_assignment(case), x, case.self_, "tensor after an assignment")


@cases(advanced_assignments)
def test_advanced_assignment_writes_the_tensor(case: Assignment) -> None:
    """Assignment through index tensors, lists and masks writes to the tensor itself what NumPy writes."""
    x, address, _ = assign(case)
    expect.equal(address, x.data_ptr(), "address of the tensor after an assignment")
    writes.wrote(after_assignment(case), x, case.self_, "tensor after an assignment")


@cases(array_mask_assignments)
def test_assignment_takes_masks_that_are_arrays(case: Assignment) -> None:
    """Assignment through a mask that is an array writes what it writes through a tensor."""
    x, _, _ = assign(case)
    writes.wrote(after_assignment(case), x, case.self_, "tensor after an assignment")


@cases(short_index_assignments)
def test_assignment_takes_index_tensors_of_int32(case: Assignment) -> None:
    """Assignment through an index tensor of int32 writes what it writes through one of int64."""
    x, _, _ = assign(case)
    writes.wrote(after_assignment(case), x, case.self_, "tensor after an assignment")


@cases(all_assignments)
def test_assignment_bumps_the_version(case: Assignment) -> None:
    """Assignment through an index increments the version counter."""
    x, _, version = assign(case)
    expect.that(x._version > version, "version after an assignment", f"more than {version}", x._version)


@cases(refused_assignments)
def test_assignment_refuses_what_does_not_broadcast(case: Assignment) -> None:
    """Assignment raises for a value that does not broadcast to what the index selects, and writes nothing."""
    x = case.self_.build()
    index, value = case.for_torch(), case.source(x)
    expect.raises(
        (RuntimeError, IndexError, ValueError),
        lambda: x.__setitem__(index, value),
        "assignment of a value too large",
    )
    memory.same_bytes(case.self_.storage, memory.storage_bytes(x), "memory of the tensor after the assignment raised")


@cases(absent_assignments)
def test_assignment_refuses_an_index_that_is_not_there(case: Assignment) -> None:
    """Assignment raises for an index that the tensor does not have, or of a negative step."""
    x = case.self_.build()
    index, value = case.for_torch(), case.source(x)
    expect.raises((IndexError, ValueError), lambda: x.__setitem__(index, value), "assignment through such an index")


# --- augmented assignments ------------------------------------------------------------------------------------


@cases(augmented_assignments, acts.acted)
def test_augmented_assignment_keeps_the_tensor(case: Call) -> None:
    """An augmented assignment leaves the name bound to the very tensor that it was bound to, in the same memory."""
    live = case.build()
    address = live.self_.data_ptr()
    found = augment(live)
    expect.same_object(live.self_, found, f"what the name is bound to after {symbol_of(case)}")
    expect.equal(address, found.data_ptr(), f"address of the tensor after {symbol_of(case)}")


@cases(augmented_assignments, acts.acted)
def test_augmented_assignment_computes_the_operator(case: Call) -> None:
    """An augmented assignment leaves in the tensor the values of the operator that it is written with."""
    live = case.build()
    augment(live)
    expected, accuracy = references.expected(case)
    numbers.close(expected, memory.contents(live.self_), case.self_.dtype, accuracy, f"tensor after {symbol_of(case)}")
    writes.kept_outside(live.self_, case.self_, f"tensor after {symbol_of(case)}")


# --- writes through indices, masks and storages; sizes and strides; out= ----------------------------------------


@cases(indexing.index_add_cases)
def test_index_add_accumulates(case: Call) -> None:
    """index_add_ adds alpha times each row of the source to the row of self that the index names, every time."""
    live = case.build()
    live.apply()
    wrote(
        loops.index_added(case.self_, *case.args, **case.kwargs),
        live.self_,
        case.self_,
        "self after index_add_",
    )


@cases(indexing.index_add_misfits)
def test_index_add_rejects_sizes(case: Call) -> None:
    """index_add_ raises where the source has another length than the index, or otherwise another shape than self."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(indexing.index_copy_cases)
def test_index_copy_copies_rows(case: Call) -> None:
    """index_copy_ copies each row of the source to the row of self that the index names."""
    leaves_in_self(case, loops.index_copied(case.self_, *case.args))


@cases(indexing.repeated_index_copy_cases)
def test_index_copy_picks_one_of_the_duplicates(case: Call) -> None:
    """index_copy_ with an index named twice leaves one of the elements that were copied to the same place."""
    live = case.build()
    live.apply()
    picked(loops.index_copy_candidates(case.self_, *case.args), live.self_, case.self_, "self after index_copy_")


@cases(indexing.index_copy_misfits)
def test_index_copy_rejects_sizes(case: Call) -> None:
    """index_copy_ raises where the source has another length than the index, or otherwise another shape than self."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(indexing.index_fill_cases)
def test_index_fill_fills_rows(case: Call) -> None:
    """index_fill_ fills the rows of self that the index names, and no others, with the value."""
    leaves_in_self(case, loops.index_filled(case.self_, *case.args))


@cases(indexing.multiplying_cases)
def test_index_reduce_multiplies(case: Call) -> None:
    """index_reduce_ with "prod" multiplies the rows for one index, and what self held unless include_self=False."""
    expected = loops.index_reduced(case.self_, *case.args, **case.kwargs)
    leaves_in_self(case, expected)


@cases(indexing.half_multiplying_cases)
def test_index_reduce_multiplies_in_half_precision(case: Call) -> None:
    """index_reduce_ with "prod" does so in half precision and bfloat16 too."""
    expected = loops.index_reduced(case.self_, *case.args, **case.kwargs)
    leaves_in_self(case, expected)


@cases(indexing.averaging_cases)
def test_index_reduce_averages(case: Call) -> None:
    """index_reduce_ with "mean" averages the rows for one index, and what self held unless include_self=False."""
    live = case.build()
    live.apply()
    expected = loops.index_reduced(case.self_, *case.args, **case.kwargs)
    nearly_wrote(expected, live.self_, case.self_, "self after index_reduce_", case.accuracy)


@cases(indexing.many_averaging_cases)
def test_index_reduce_averages_many_rows(case: Call) -> None:
    """index_reduce_ with "mean" divides by the number of rows, however many, in half precision and bfloat16 too."""
    live = case.build()
    live.apply()
    expected = loops.index_reduced(case.self_, *case.args, **case.kwargs)
    nearly_wrote(expected, live.self_, case.self_, "self after index_reduce_", case.accuracy)


@cases(indexing.extreme_cases)
def test_index_reduce_keeps_extremes(case: Call) -> None:
    """index_reduce_ with "amax" or "amin" keeps the extreme of the rows for one index, and of self if included."""
    expected = loops.index_reduced(case.self_, *case.args, **case.kwargs)
    leaves_in_self(case, expected)


@cases(indexing.index_reduce_misfits)
def test_index_reduce_rejects_sizes(case: Call) -> None:
    """index_reduce_ raises where the source has another length than the index, or otherwise another shape than self."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(indexing.integer_index_reduce_cases)
def test_index_reduce_of_other_types(case: Call) -> None:
    """index_reduce_ of a tensor that is not floating, if accepted at all, reduces as for floating ones."""
    live = case.build()
    try:
        live.apply()
    except REFUSED:
        return
    expected = loops.index_reduced(case.self_, *case.args, **case.kwargs)
    nearly_wrote(expected, live.self_, case.self_, "self after index_reduce_", case.accuracy)


@cases(scattering.scatter_cases)
def test_scatter_writes_the_source(case: Call) -> None:
    """scatter_ writes each element of the source to the place in self that the index gives along the dimension."""
    leaves_in_self(case, loops.scattered(case.self_, *case.args))


@cases(scattering.scatter_number_cases)
def test_scatter_writes_a_number(case: Call) -> None:
    """scatter_ of a number writes it to every place that the index gives, and to no other."""
    leaves_in_self(case, loops.scattered(case.self_, *case.args))


@cases(scattering.repeated_scatter_cases)
def test_scatter_picks_one_of_the_duplicates(case: Call) -> None:
    """scatter_ with a place named several times leaves there one of the source's values for it."""
    live = case.build()
    live.apply()
    picked(loops.scatter_candidates(case.self_, *case.args), live.self_, case.self_, "self after scatter_")


@cases(scattering.reducing_scatter_cases)
def test_scatter_reduces(case: Call) -> None:
    """scatter_ with reduce="add" or "multiply" adds to self, or multiplies it by, every value that falls on a place."""
    (dim, index, source), reduce = case.args, {"add": "sum", "multiply": "prod"}[case.kwargs["reduce"]]
    expected = loops.scatter_reduced(case.self_, dim, index, source, reduce)
    leaves_in_self(case, expected)


@cases(scattering.scatter_add_cases)
def test_scatter_add_adds_every_value(case: Call) -> None:
    """scatter_add_ adds every value of the source to the place in self that the index gives, however often."""
    dim, index, source = case.args
    leaves_in_self(case, loops.scatter_reduced(case.self_, dim, index, source, "sum"))


@cases(scattering.scatter_reduce_cases)
def test_scatter_reduce_reduces(case: Call) -> None:
    """scatter_reduce_ reduces the values that fall on a place, with or without what self held there."""
    live = case.build()
    live.apply()
    expected = loops.scatter_reduced(case.self_, *case.args, **case.kwargs)
    nearly_wrote(expected, live.self_, case.self_, "self after scatter_reduce_", case.accuracy)


@cases(scattering.empty_index_cases)
def test_scatter_with_an_empty_index(case: Call) -> None:
    """scatter_ and scatter_add_ with an empty index return self unchanged."""
    live = case.build()
    found = live.apply()
    expect.same_object(live.self_, found, f"result of {case.method}")
    wrote(case.self_.array, live.self_, case.self_, f"self after {case.method}")


@cases(scattering.scatter_misfit_cases)
def test_scatter_rejects_sizes(case: Call) -> None:
    """A scatter raises where the index is larger than the source, or than self in another dimension than the given."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(scattering.out_of_range_scatter_cases)
def test_scatter_rejects_indices(case: Call) -> None:
    """A scatter raises where an index is below 0 or not below the size of self in the dimension."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(positions.index_put_cases)
def test_index_put_writes(case: Call) -> None:
    """index_put_ writes each value to the place in self that the indices name."""
    leaves_in_self(case, loops.index_put_at(case.self_, *case.args))


@cases(positions.index_put_cases, acts.acted)
def test_index_put_is_assignment(case: Call) -> None:
    """index_put_(indices, values) does what the assignment self[indices] = values does."""
    live, other = case.build(), case.build()
    live.apply()
    other.self_[tuple(other.args[0])] = other.args[1]
    memory.same_bytes(memory.storage_bytes(other.self_), memory.storage_bytes(live.self_), "memory after index_put_")


@cases(positions.accumulating_index_put_cases)
def test_index_put_accumulates_every_duplicate(case: Call) -> None:
    """index_put_ with accumulate=True adds every value to the place that its indices name, however often."""
    expected = loops.index_put_at(case.self_, *case.args, **case.kwargs)
    leaves_in_self(case, expected)


@cases(positions.repeated_index_put_cases)
def test_index_put_leaves_the_rest_alone(case: Call) -> None:
    """index_put_ with a place named twice writes to no place that is not named."""
    live = case.build()
    live.apply()
    named = {target for target, _ in loops.index_put_steps(case.self_, *case.args)}
    found = memory.contents(live.self_)
    expected = case.self_.array.copy()
    for target in named:  # what stands there is undefined
        expected[target] = found[target]
    wrote(expected, live.self_, case.self_, "self after index_put_")


@cases(positions.index_put_from_the_end_cases)
def test_index_put_counts_from_the_end(case: Call) -> None:
    """index_put_ counts a negative index from the end of its dimension, as an assignment does."""
    leaves_in_self(case, loops.index_put_at(case.self_, *case.args))


@cases(positions.index_put_mask_cases)
def test_index_put_takes_masks(case: Call) -> None:
    """index_put_ with a bool mask writes to the places where it is True, in row-major order, as an assignment does."""
    leaves_in_self(case, loops.index_put_at(case.self_, *case.args))


@cases(positions.foreign_index_put_cases)
def test_index_put_rejects_another_type(case: Call) -> None:
    """index_put_ raises where the values are of another type than self."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(positions.put_cases)
def test_put_writes(case: Call) -> None:
    """put_ writes each element of the source to the place that the index gives in self read as one dimension."""
    leaves_in_self(case, loops.put_at(case.self_, *case.args))


@cases(positions.accumulating_put_cases)
def test_put_accumulates(case: Call) -> None:
    """put_ with accumulate=True adds every element of the source to the place that the index gives."""
    leaves_in_self(case, loops.put_at(case.self_, *case.args))


@cases(positions.uneven_put_cases)
def test_put_rejects_sizes(case: Call) -> None:
    """put_ raises where index and source differ in their number of elements."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(masks.masked_fill_cases)
def test_masked_fill_fills(case: Call) -> None:
    """masked_fill_ writes the value to the places of self where the broadcast mask is True, and to no other."""
    leaves_in_self(case, loops.masked_filled(case.self_, *case.args))


@cases(masks.masked_scatter_cases)
def test_masked_scatter_consumes_in_order(case: Call) -> None:
    """masked_scatter_ writes the source's elements, from the first on, to the places where the mask is True."""
    leaves_in_self(case, loops.masked_scattered(case.self_, *case.args))


@cases(masks.short_masked_scatter_cases)
def test_masked_scatter_rejects_a_short_source(case: Call) -> None:
    """masked_scatter_ raises where the source has fewer elements than the mask has places that are True."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(masks.unfitting_mask_cases)
def test_masks_must_broadcast(case: Call) -> None:
    """masked_fill_ and masked_scatter_ raise where the mask cannot be broadcast to the shape of self."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(positions.fill_diagonal_cases)
def test_fill_diagonal_fills(case: Call) -> None:
    """fill_diagonal_ writes the value where all indices are equal, and nowhere else."""
    expected = loops.diagonal_filled(case.self_, *case.args, **case.kwargs)
    leaves_in_self(case, expected)


@cases(positions.wrapped_diagonal_cases)
def test_fill_diagonal_wraps(case: Call) -> None:
    """fill_diagonal_ with wrap=True begins another diagonal below the first in a tall matrix, one row apart."""
    expected = loops.diagonal_filled(case.self_, *case.args, **case.kwargs)
    leaves_in_self(case, expected)


@cases(positions.strided_diagonal_cases)
def test_fill_diagonal_wraps_whatever_the_strides(case: Call) -> None:
    """fill_diagonal_ with wrap=True does the same for a matrix that is not contiguous."""
    expected = loops.diagonal_filled(case.self_, *case.args, **case.kwargs)
    leaves_in_self(case, expected)


@cases(positions.undiagonal_cases)
def test_fill_diagonal_rejects_shapes(case: Call) -> None:
    """fill_diagonal_ raises for fewer than two dimensions, and for more than two of unequal lengths."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(resizing.resize_cases)
def test_resize_takes_the_size(case: Resize) -> None:
    """resize_ to another size gives self that size and the strides of a contiguous tensor, whatever they were."""
    x = case.self_.build()
    case.apply(x)
    frames.same_frame_as((case.goal, row_major(case.goal), case.self_.offset), x, "self after resize_")


@cases(resizing.resize_cases)
def test_resize_keeps_the_elements(case: Resize) -> None:
    """resize_ keeps the elements of the storage, in their order, as far as there were any."""
    x = case.self_.build()
    case.apply(x)
    kept = case.self_.storage
    memory.same_bytes(kept, memory.storage_bytes(x)[: len(kept)], "beginning of the storage after resize_")


@cases(resizing.shrinking_cases)
def test_resize_never_shrinks_the_storage(case: Resize) -> None:
    """resize_ to no more elements leaves the storage what it is, where it is and as large as it is."""
    x = case.self_.build()
    address = memory.storage_address(x)
    case.apply(x)
    frames.same_storage(address, case.self_.storage, x, "self after resize_")


@cases(resizing.growing_cases)
def test_resize_grows_the_storage(case: Resize) -> None:
    """resize_ to more elements than the storage can hold makes it large enough for all of them."""
    x = case.self_.build()
    case.apply(x)
    needed = (case.self_.offset + prod(case.goal)) * ELEMENT_TYPES[case.self_.dtype].itemsize
    found = memory.storage_of(x).nbytes()
    expect.that(found >= needed, "size of the storage after resize_", f"at least {needed} bytes", f"{found} bytes")


@cases(resizing.own_size_cases)
def test_resize_to_its_own_size_changes_nothing(case: Resize) -> None:
    """resize_ and resize_as_ to the size that self has leave it unchanged, its strides included."""
    x = case.self_.build()
    address, frame = memory.storage_address(x), frames.frame_of(x)
    case.apply(x)
    expect.equal(frame, frames.frame_of(x), "size, strides and storage offset after resize_")
    frames.same_storage(address, case.self_.storage, x, "self after resize_")


@cases(resizing.own_size_format_cases)
def test_resize_to_its_own_size_ignores_the_memory_format(case: Resize) -> None:
    """resize_ and resize_as_ to the size that self has leave it unchanged whatever memory format is asked for."""
    x = case.self_.build()
    address, frame = memory.storage_address(x), frames.frame_of(x)
    case.apply(x)
    expect.equal(frame, frames.frame_of(x), "size, strides and storage offset after resize_")
    frames.same_storage(address, case.self_.storage, x, "self after resize_")


@cases(resizing.resize_format_cases)
def test_resize_takes_the_memory_format(case: Resize) -> None:
    """resize_ and resize_as_ to another size lay self out in the memory format asked for."""
    x = case.self_.build()
    case.apply(x)
    layout = "contiguous" if case.memory_format == "contiguous_format" else "channels_last"
    frames.same_frame_as((case.goal, place(case.goal, layout).stride, case.self_.offset), x, "self after resize_")


@cases(resizing.resize_as_cases)
def test_resize_as_takes_the_size(case: Resize) -> None:
    """resize_as_(tensor) does to self what resize_(tensor.size()) does."""
    x = case.self_.build()
    case.apply(x)
    strides = case.self_.strides if case.goal == case.self_.shape else row_major(case.goal)
    frames.same_frame_as((case.goal, strides, case.self_.offset), x, "self after resize_as_")
    kept = case.self_.storage
    memory.same_bytes(kept, memory.storage_bytes(x)[: len(kept)], "beginning of the storage after resize_as_")


@cases(resizing.filled_growth_cases)
def test_resize_fills_new_memory(case: Resize) -> None:
    """In deterministic mode that fills new memory, elements that resize_ adds are NaN or the type's maximum."""
    x = case.self_.build()
    with deterministic():
        case.apply(x)
    held = len(case.self_.storage) // ELEMENT_TYPES[case.self_.dtype].itemsize
    found = memory.contents(x).ravel()[max(held - case.self_.offset, 0) :]
    kind = ELEMENT_TYPES[case.self_.dtype].kind
    fresh = np.isnan(found) if kind in ("floating", "complex") else found == limits(case.self_.dtype)[1]
    expect.that(bool(fresh.all()), "elements added by resize_", "NaN, or the type's maximum", str(found.tolist()[:8]))


@cases(resizing.negative_cases)
def test_resize_rejects_negative_sizes(case: Resize) -> None:
    """resize_ to a size below zero raises, and leaves the storage as it is."""
    x = case.self_.build()
    storage = memory.storage_of(x)
    expect.raises(REFUSED, lambda: case.apply(x), "result of resize_")
    expect.equal(len(case.self_.storage), storage.nbytes(), "bytes of the storage after resize_ raised")


@cases(resizing.set_cases)
def test_set_shares_storage_size_and_strides(case: Setting) -> None:
    """set_(tensor) gives self the storage, size, strides and storage offset of the tensor."""
    x, source = case.self_.build(), case.source.build()
    case.apply(x, source)
    expect.equal(memory.storage_address(source), memory.storage_address(x), "address of the storage after set_")
    expect.equal(frames.frame_of(source), frames.frame_of(x), "size, strides and storage offset after set_")
    memory.same_elements(case.source.array, memory.contents(x), "self after set_")


@cases(resizing.set_cases)
def test_set_reflects_changes(case: Setting) -> None:
    """After set_(tensor), elements written through one tensor are seen through the other."""
    x, source = case.self_.build(), case.source.build()
    case.apply(x, source)
    source.fill_(3)
    memory.same_elements(np.full(case.source.shape, 3, case.source.array.dtype), memory.contents(x), "self")
    x.fill_(0)
    memory.same_elements(np.zeros(case.source.shape, case.source.array.dtype), memory.contents(source), "the source")


@cases(resizing.set_cases)
def test_set_leaves_the_source_alone(case: Setting) -> None:
    """set_(tensor) changes neither the tensor nor one byte of its storage."""
    x, source = case.self_.build(), case.source.build()
    address, frame = memory.storage_address(source), frames.frame_of(source)
    case.apply(x, source)
    expect.equal(frame, frames.frame_of(source), "size, strides and storage offset of the source")
    frames.same_storage(address, case.source.storage, source, "the source")


@cases(resizing.set_storage_cases)
def test_set_takes_a_storage(case: Setting) -> None:
    """set_(storage, offset, size, stride) puts self on that storage in that frame, contiguous by default."""
    x, source = case.self_.build(), case.source.build()
    case.apply(x, source)
    offset, size, *stride = case.frame or ()
    frames.same_frame_as((size, stride[0] if stride else row_major(size), offset), x, "self after set_")
    frames.same_storage(memory.storage_address(source), case.source.storage, x, "self after set_")


@cases(resizing.set_storage_of_its_own_size_cases)
def test_set_strides_default_to_contiguous(case: Setting) -> None:
    """set_(storage, offset, size) without strides makes self contiguous even where it has that size already."""
    x, source = case.self_.build(), case.source.build()
    case.apply(x, source)
    offset, size = case.frame or ()
    frames.same_frame_as((size, row_major(size), offset), x, "self after set_")


@cases(resizing.whole_storage_cases)
def test_set_takes_the_whole_storage(case: Setting) -> None:
    """set_(storage) makes self a vector of every element of the storage."""
    x, source = case.self_.build(), case.source.build()
    case.apply(x, source)
    held = len(case.source.storage) // ELEMENT_TYPES[case.source.dtype].itemsize
    frames.same_frame_as(((held,), (1,), 0), x, "self after set_")
    frames.same_storage(memory.storage_address(source), case.source.storage, x, "self after set_")


@cases(resizing.unset_cases)
def test_set_without_a_source_empties_self(case: Call) -> None:
    """set_ without a source leaves self without elements, on a storage without bytes."""
    live = case.build()
    live.apply()
    expect.equal((0,), tuple(live.self_.shape), "size of self after set_")
    expect.equal(0, live.self_.storage_offset(), "storage offset of self after set_")
    expect.equal(0, memory.storage_of(live.self_).nbytes(), "bytes of the storage after set_")


@cases(resizing.unlike_sources)
def test_set_rejects_a_source_of_another_type(case: Call) -> None:
    """set_ raises for a source of another element type than self's, and leaves self as it is."""
    live = case.build()
    address, frame = memory.storage_address(live.self_), frames.frame_of(live.self_)
    expect.raises(REFUSED, live.apply, "result of set_")
    expect.equal(frame, frames.frame_of(live.self_), "size, strides and storage offset after set_ raised")
    frames.same_storage(address, case.self_.storage, live.self_, "self after set_ raised")


@cases(reframing.transposing_cases)
def test_transposing_in_place_exchanges_dimensions(case: Call) -> None:
    """t_, transpose_, swapaxes_ and swapdims_ exchange size and stride of two dimensions, on the same storage."""
    live = case.build()
    address = memory.storage_address(live.self_)
    live.apply()
    dims = case.args or ((0, 1) if len(case.self_.shape) == 2 else (0, 0))
    frames.same_frame_as(frames.exchanged(case.self_, *dims), live.self_, f"self after {case.method}")
    frames.same_storage(address, case.self_.storage, live.self_, f"self after {case.method}")


@cases(reframing.squeeze_cases)
def test_squeeze_in_place_drops_dimensions(case: Call) -> None:
    """squeeze_ drops the dimensions of size 1, or the given one if it is of size 1, on the same storage."""
    live = case.build()
    address = memory.storage_address(live.self_)
    live.apply()
    frames.same_frame_as(frames.squeezed(case.self_, *case.args), live.self_, "self after squeeze_")
    frames.same_storage(address, case.self_.storage, live.self_, "self after squeeze_")


@cases(reframing.squeeze_several_cases)
def test_squeeze_in_place_drops_several_dimensions(case: Call) -> None:
    """squeeze_ of a tuple of dimensions drops those among them that are of size 1."""
    live = case.build()
    live.apply()
    frames.same_frame_as(frames.squeezed(case.self_, *case.args), live.self_, "self after squeeze_")
    memory.same_bytes(case.self_.storage, memory.storage_bytes(live.self_), "storage of self after squeeze_")


@cases(reframing.unfitting_squeeze_cases)
def test_squeeze_in_place_rejects_dimensions(case: Call) -> None:
    """squeeze_ raises for a dimension that self does not have, and leaves self as it is."""
    live = case.build()
    frame = frames.frame_of(live.self_)
    expect.raises(REFUSED, live.apply, f"result of {case.method}")
    expect.equal(frame, frames.frame_of(live.self_), "size, strides and storage offset after squeeze_ raised")


@cases(reframing.unsqueeze_cases)
def test_unsqueeze_in_place_adds_a_dimension(case: Call) -> None:
    """unsqueeze_ puts a dimension of size 1 at the given place, counted from either end, on the same storage."""
    live = case.build()
    address = memory.storage_address(live.self_)
    live.apply()
    frames.same_frame_as(frames.unsqueezed(case.self_, *case.args), live.self_, "self after unsqueeze_")
    frames.same_storage(address, case.self_.storage, live.self_, "self after unsqueeze_")


@cases(reframing.unfitting_unsqueeze_cases)
def test_unsqueeze_in_place_rejects_dimensions(case: Call) -> None:
    """unsqueeze_ raises for a place below -dim() - 1 or above dim()."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(reframing.unfitting_transposing_cases)
def test_transposing_in_place_rejects_dimensions(case: Call) -> None:
    """t_ raises for more than two dimensions, and the others for a dimension that self does not have."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(reframing.as_strided_cases)
def test_as_strided_in_place_takes_the_frame(case: Call) -> None:
    """as_strided_ gives self the size, strides and storage offset named, and keeps the offset it had by default."""
    live = case.build()
    address = memory.storage_address(live.self_)
    live.apply()
    size, stride, *offset = case.args
    frames.same_frame_as(
        (size, stride, offset[0] if offset else case.self_.offset), live.self_, "self after as_strided_"
    )
    frames.same_storage(address, case.self_.storage, live.self_, "self after as_strided_")


@cases(reframing.outreaching_cases)
def test_as_strided_in_place_stays_in_the_storage(case: Call) -> None:
    """as_strided_ raises where the frame would reach beyond the storage."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(reframing.reframing_cases)
def test_reframing_in_place_leaves_aliases_alone(case: Call) -> None:
    """A method that changes size and strides in place does so for self and for no other tensor on the storage."""
    live = case.build()
    alias = live.self_.detach()
    frame = frames.frame_of(alias)
    live.apply()
    expect.equal(frame, frames.frame_of(alias), f"size, strides and storage offset of an alias after {case.method}")
    memory.same_elements(case.self_.array, memory.contents(alias), f"alias after {case.method}")


@cases(outs.fitting_cases)
def test_out_of_the_right_shape_keeps_its_strides(case: OutCall) -> None:
    """An out of the result's shape receives the result and keeps its strides, whatever they are."""
    given = case.build()
    case.apply(given)
    kept_frames(case, given)
    holds_results(case, given)


@cases(outs.folded_matmul_cases)
def test_out_of_a_folded_matmul_keeps_its_strides(case: OutCall) -> None:
    """matmul of a vector and a matrix, or of a batch and a matrix, writes to an out of the result's shape and
    keeps its strides."""
    given = case.build()
    with silence():
        case.apply(given)
    kept_frames(case, given)
    holds_results(case, given)


@cases(outs.batched_triangle_cases)
def test_out_of_batched_triangles_keeps_its_strides(case: OutCall) -> None:
    """tril and triu of several batch dimensions write to an out of the result's shape, whatever its strides
    are, and to nothing beside it."""
    given = case.build()
    case.apply(given)
    kept_frames(case, given)
    holds_results(case, given)


@cases(outs.numbered_choice_cases)
def test_out_of_a_choice_of_numbers_receives_it(case: OutCall) -> None:
    """where with a number in place of a tensor writes to its out."""
    given = case.build()
    case.apply(given)
    kept_frames(case, given)
    holds_results(case, given)


@cases(outs.returning_cases)
def test_out_is_returned(case: OutCall) -> None:
    """A function returns the tensor that it was given as out, or those tensors."""
    given = case.build()
    found = case.apply(given)
    for number, (mine, theirs) in enumerate(zip(given, (found,) if len(given) == 1 else tuple(found), strict=True)):
        expect.same_object(mine, theirs, f"result {number} of {case.function}")


@cases(outs.returning_cases)
def test_out_bumps_the_version(case: OutCall) -> None:
    """Every call increments the version counter of the tensors that it was given as out."""
    given = case.build()
    for _ in range(2):
        before = [mine._version for mine in given]
        case.apply(given)
        for number, (mine, version) in enumerate(zip(given, before, strict=True)):
            what = f"version of out {number} after {case.function}"
            expect.that(mine._version > version, what, f"more than {version}", mine._version)


@cases(outs.own_operand_cases)
def test_out_may_be_an_operand(case: OutCall) -> None:
    """A function that works element by element, whose out is its first operand, leaves there the result."""
    operand, found = case.over_operand()
    expect.same_object(operand, found, f"result of {case.function} over its first operand")
    holds_results(case, [operand])


@cases(outs.shared_places_cases)
def test_out_whose_elements_share_memory_is_refused(case: OutCall) -> None:
    """A function that works element by element refuses an out whose elements share memory."""
    expect.raises(RuntimeError, lambda: case.apply(case.build()), f"{case.function} to an expanded out")


@cases(lazy_outs.lazy_outs)
def test_out_with_a_lazy_bit_receives_the_result(case: LazyOut) -> None:
    """An out with its conjugate or negative bit set stands for the result afterwards, and is returned."""
    out = case.build()
    found = case.apply(out)
    expect.same_object(out, found, f"result of {case.function}")
    numbers.close(case.expected(), memory.contents(out), case.out.dtype, "fused", f"out of {case.function}")


@cases(further_outs.further_calls)
def test_further_out_receives_the_result(case: FurtherOut) -> None:
    """An out of the right shape, or without elements, receives what the function returns without one."""
    results = case.results()
    plans = case.plans(results)
    given = [plan.build() for plan in plans]
    case.apply(given)
    received(case.function, plans, results, given)


@cases(further_outs.every_further_call)
def test_further_outs_are_returned(case: FurtherOut) -> None:
    """Every other function returns the tensors that it was given as out."""
    given = [plan.build() for plan in case.plans(case.results())]
    for number, (mine, theirs) in enumerate(zip(given, case.apply(given), strict=True)):
        expect.same_object(mine, theirs, f"result {number} of {case.function}")


@cases(further_outs.every_further_call)
def test_further_outs_bump_the_version(case: FurtherOut) -> None:
    """Every other function increments the version counter of the tensors that it was given as out."""
    given = [plan.build() for plan in case.plans(case.results())]
    before = [mine._version for mine in given]
    case.apply(given)
    for number, (mine, version) in enumerate(zip(given, before, strict=True)):
        what = f"version of out {number} of {case.function}"
        expect.that(mine._version > version, what, f"more than {version}", mine._version)


@cases(further_outs.plain_further_calls)
def test_further_out_that_requires_grad_is_refused(case: FurtherOut) -> None:
    """An out that requires grad is refused, whatever the result."""
    given = [plan.build() for plan in case.plans(case.results())]
    for mine in given:
        mine.requires_grad_(mine.is_floating_point() or mine.is_complex())
    expect.raises(RuntimeError, lambda: case.apply(given), f"{case.function} to an out that requires grad")


@cases(outs.resized_cases)
def test_out_without_elements_is_resized(case: OutCall) -> None:
    """An out without elements is resized to the shape of the result and receives it, and so again in a second call."""
    given = case.build()
    case.apply(given)
    holds_results(case, given)
    case.apply(given)
    holds_results(case, given)


@cases(outs.empty_cases)
def test_out_without_elements_takes_the_strides(case: OutCall) -> None:
    """An out without elements takes the strides that the result has without out."""
    given = case.build()
    case.apply(given)
    same_strides_as(case, case.without_out(), given)


@cases(outs.unfit_cases)
def test_out_of_another_shape_is_refused_or_resized(case: OutCall) -> None:
    """With an out of another shape than the result's, the call raises, or resizes the out and fills it."""
    given = case.build()
    with silence():
        try:
            case.apply(given)
        except REFUSED:
            return
    holds_results(case, given)


@cases(outs.unfit_cases)
def test_out_is_not_resized_silently(case: OutCall) -> None:
    """With an out of another shape than the result's, the call raises, or warns that it resizes."""
    given = case.build()
    with recorded_warnings() as warned:
        try:
            case.apply(given)
        except REFUSED:
            return
    expect.that(
        bool(warned),
        f"torch.{case.function} with an out of another shape",
        "an error or a warning",
        "neither",
    )


@cases(outs.resized_view_cases)
def test_out_resized_writes_only_what_it_views(case: OutCall) -> None:
    """A resized out writes to no element of its storage but those that it views afterwards."""
    given = case.build()
    with silence():
        try:
            case.apply(given)
        except REFUSED:
            return
    base = case.base_of(given)
    viewed = places(tuple(given[0].shape), tuple(given[0].stride()), given[0].storage_offset())
    expected = np.frombuffer(case.outs[0].storage, np.uint8).reshape(200, -1).copy()
    found = np.frombuffer(memory.storage_bytes(base), np.uint8).reshape(200, -1)
    expected[viewed] = found[viewed]
    memory.same_bytes(expected.tobytes(), found.tobytes(), f"storage around the out of {case.function}")


@cases(outs.every_resized_view)
def test_out_resized_stays_in_its_view(case: OutCall) -> None:
    """Resizing an out that is a view does not write to the elements of its base that it does not view."""
    given = case.build()
    with silence():
        try:
            case.apply(given)
        except REFUSED:
            return
    base = memory.storage_bytes(case.base_of(given))
    expect.equal(len(case.outs[0].storage), len(base), "size of the base's storage in bytes")
    kept_outside(case.base_of(given), case.outs[0], f"out of {case.function}")


@cases(outs.marked_cases)
def test_out_that_requires_grad_is_refused(case: OutCall) -> None:
    """An out that requires grad is refused."""
    given = case.build()
    expect.raises(REFUSED, lambda: case.apply(given), f"result of torch.{case.function}")


@cases(outs.marked_cases)
def test_out_that_requires_grad_is_refused_for_other_results(case: OutCall) -> None:
    """An out that requires grad is refused also where the result is not differentiable."""
    given = case.build()
    expect.raises(REFUSED, lambda: case.apply(given), f"result of torch.{case.function}")


@cases(outs.higher_kind_cases)
def test_out_may_be_of_a_higher_kind(case: OutCall) -> None:
    """A function that promotes types writes to an out of another type that is of the result's kind or a higher one."""
    given = case.build()
    case.apply(given)
    kept_frames(case, given)
    holds_results(case, given)


@cases(outs.lower_kind_cases)
def test_out_of_a_lower_kind_is_refused(case: OutCall) -> None:
    """A function that promotes types refuses an out of a lower kind, in the order bool, integer, float, complex."""
    given = case.build()
    expect.raises(REFUSED, lambda: case.apply(given), f"result of torch.{case.function}")


@cases(outs.foreign_type_cases)
def test_out_must_be_of_the_same_type(case: OutCall) -> None:
    """A function that does not promote types refuses an out of another type than the result's."""
    given = case.build()
    expect.raises(REFUSED, lambda: case.apply(given), f"result of torch.{case.function}")


@cases(outs.elsewhere_cases)
def test_out_must_be_on_the_same_device(case: OutCall) -> None:
    """A function that does not promote types refuses an out on another device."""
    given = case.build()
    expect.raises(REFUSED, lambda: case.apply(given), f"result of torch.{case.function}")


@cases(outs.mixed_cases)
def test_several_outs_are_treated_independently(case: OutCall) -> None:
    """Of several outs each is resized if it has no elements, and keeps its strides if it is of the right shape."""
    given = case.build()
    case.apply(given)
    holds_results(case, given)
    for number, (plan, out) in enumerate(zip(case.outs, given, strict=True)):
        if plan.shape == case.results[number].shape:
            same_frame(out, plan, f"out {number} of {case.function}")
            kept_outside(out, plan, f"out {number} of {case.function}")


@cases(fills.bounded_random_cases)
def test_random_stays_within_its_bounds(case: Call) -> None:
    """random_ draws whole numbers from its lower bound (0 by default) up to, and without, its upper bound."""
    low, high = case.args if len(case.args) == 2 else (0, *case.args, *[v for k, v in case.kwargs.items() if k == "to"])
    found = drawn(case)
    expect.that(bool((found == np.floor(found)).all()), "numbers drawn by random_", "whole numbers", found)
    within(low, high - 1, found, "numbers drawn by random_")
    if found.size >= 65:
        ranges.both_halves(low, high - 1, found, "numbers drawn by random_")
        if high - low <= 3:
            expect.equal(set(range(low, high)), set(found.astype(int).ravel().tolist()), f"set of {found.size} numbers")
    if found.size >= 16 * (high - low):
        expect.equal((low, high - 1), (found.min(), found.max()), f"ends of {found.size} numbers drawn by random_")
    ranges.follows(ranges.discrete_law(low, high), found, case.self_.dtype, "numbers drawn by random_")


@cases(fills.uneven_random_cases)
def test_random_does_not_favour_small_numbers(case: Call) -> None:
    """random_ between bounds a few thousand millions apart draws each number as often as any other."""
    low, high = case.args if len(case.args) == 2 else (0, *case.args)
    found = drawn(case)
    within(low, high - 1, found, "numbers drawn by random_")
    ranges.follows(ranges.discrete_law(low, high), found, case.self_.dtype, "numbers drawn by random_")


@cases(fills.unbounded_random_cases)
def test_random_without_bounds_fills_the_mantissa(case: Call) -> None:
    """random_ of a floating tensor without bounds draws whole numbers from 0 to 2 to the power of the mantissa."""
    bits = ELEMENT_TYPES[case.self_.dtype].mantissa + 1
    found = drawn(case)
    expect.that(bool((found == np.floor(found)).all()), "numbers drawn by random_", "whole numbers", found)
    within(0, 2**bits, found, "numbers drawn by random_")
    if found.size >= 65:
        ranges.both_halves(0, 2**bits, found, "numbers drawn by random_")
        ranges.every_bit_varies(bits, found % 2**bits, "numbers drawn by random_")
    ranges.follows(ranges.discrete_law(0, 2**bits + 1), found, case.self_.dtype, "numbers drawn by random_")


@cases(fills.spanning_random_cases)
def test_random_without_bounds_spans_the_type(case: Call) -> None:
    """random_ of a whole type without an upper bound draws from its lower bound, 0 by default, to the type's last number."""  # noqa: E501
    low = case.args[0] if case.args else 0
    high = 1 if case.self_.dtype == "bool" else int(limits(case.self_.dtype)[1])
    found = ranges.drawn_elements(case)
    within(low, high, found, "numbers drawn by random_")
    if found.size >= 65:
        ranges.both_halves(low, high, found, "numbers drawn by random_")
        if not case.args:
            ranges.every_bit_varies(high.bit_length(), found, "numbers drawn by random_")
    if found.size >= 16 * (high - low + 1):
        expect.equal((low, high), (found.min(), found.max()), f"ends of {found.size} numbers drawn by random_")
    ranges.follows(ranges.discrete_law(low, high + 1), found, case.self_.dtype, "numbers drawn by random_")


@cases(fills.uniform_cases)
def test_uniform_stays_within_its_bounds(case: Call) -> None:
    """uniform_ draws numbers evenly between its bounds, 0 and 1 by default, and from both halves of the interval."""
    low, high = ranges.asked(case, **{"from": 0.0, "to": 1.0})
    found = drawn(case)
    within(low, high, found, "numbers drawn by uniform_")
    if found.size >= 65 and low < high:
        ranges.both_halves(low, high, found, "numbers drawn by uniform_")
        ranges.continuous(ranges.uniform_law(low, high), found, case.self_.dtype, "numbers drawn by uniform_")


@cases(fills.normal_cases)
def test_normal_draws_around_the_mean(case: Call) -> None:
    """normal_ draws numbers whose mean and deviation are those asked for, as far as so many draws can tell."""
    mean, deviation = ranges.asked(case, mean=0.0, std=1.0)
    found = drawn(case)
    reach = (7 if found.size < ranges.MANY else 8.5) * deviation
    within(mean - reach, mean + reach, found, "numbers drawn by normal_")
    if found.size >= 65:
        slack = (5.5 if found.size < ranges.MANY else 7) * deviation / found.size**0.5
        within(mean - slack, mean + slack, found.mean(), f"mean of {found.size} numbers")
        within(deviation / 2, deviation * 2, found.std(), f"standard deviation of {found.size} numbers")
    if found.size >= ranges.MANY:
        within(deviation - slack, deviation + slack, found.std(), f"standard deviation of {found.size} numbers")
        ranges.continuous(ranges.normal_law(mean, deviation), found, case.self_.dtype, "numbers drawn by normal_")


@cases(fills.complex_normal_cases)
def test_complex_normal_splits_its_variance(case: Call) -> None:
    """normal_ around 0 of a complex tensor draws both parts for themselves, each with half of the variance."""
    _, deviation = ranges.asked(case, mean=0.0, std=1.0)
    found = ranges.drawn_elements(case)
    part, law = f"float{found.itemsize * 4}", ranges.normal_law(0.0, deviation / 2**0.5)
    ranges.continuous(law, found.real, part, "real parts drawn by normal_")
    ranges.continuous(law, found.imag, part, "imaginary parts drawn by normal_")
    ranges.has_share(0.5, (found.real > 0) == (found.imag > 0), "answers to whether both parts have one sign")


@cases(fills.exponential_cases)
def test_exponential_is_never_zero(case: Call) -> None:
    """exponential_ draws numbers above 0, and no infinity."""
    found = drawn(case)
    right = bool(((found > 0) & np.isfinite(found)).all())
    expect.that(right, "numbers drawn by exponential_", "finite numbers above 0", found)


@cases(fills.exponential_draws)
def test_exponential_follows_its_density(case: Call) -> None:
    """exponential_ draws from the exponential distribution of the rate asked for, 1 by default."""
    (rate,) = ranges.asked(case, lambd=1.0)
    law = ranges.exponential_law(rate)
    ranges.continuous(law, drawn(case), case.self_.dtype, "numbers drawn by exponential_")


@cases(fills.geometric_cases)
def test_geometric_counts_from_one(case: Call) -> None:
    """geometric_ draws whole numbers from 1 on."""
    found = drawn(case)
    expect.that(bool((found >= 1).all() and (found == np.floor(found)).all()), "numbers drawn", "1, 2, 3, …", found)
    if found.size >= 65:
        expect.that(1 in found and found.max() > 1, f"{found.size} numbers drawn by geometric_", "1 and others", found)


@cases(fills.geometric_draws)
def test_geometric_follows_its_probabilities(case: Call) -> None:
    """geometric_ draws k with the probability that the first success of trials with probability p is the k-th."""
    (chance,) = ranges.asked(case, p=None)
    ranges.follows(ranges.geometric_law(chance), drawn(case), case.self_.dtype, "numbers drawn by geometric_")


@cases(fills.cauchy_cases)
def test_cauchy_follows_its_density(case: Call) -> None:
    """cauchy_ draws from the Cauchy distribution of the median and scale asked for, 0 and 1 by default."""
    median, scale = ranges.asked(case, median=0.0, sigma=1.0)
    found = drawn(case)
    expect.that(not np.isnan(found).any(), "numbers drawn by cauchy_", "no NaN", found)
    ranges.continuous(ranges.cauchy_law(median, scale), found, case.self_.dtype, "numbers drawn by cauchy_")


@cases(fills.log_normal_cases)
def test_log_normal_is_positive(case: Call) -> None:
    """log_normal_ draws numbers above 0, whose logarithms scatter around the mean as asked for."""
    mean, deviation = ranges.asked(case, mean=1.0, std=2.0)
    found = drawn(case)
    expect.that(bool((found > 0).all()), "numbers drawn by log_normal_", "numbers above 0", found)
    reach = (7 if found.size < ranges.MANY else 8.5) * deviation
    within(mean - reach, mean + reach, np.log(found), "logarithms of numbers drawn by log_normal_")
    law = ranges.log_normal_law(mean, deviation)
    ranges.continuous(law, found, case.self_.dtype, "numbers drawn by log_normal_")


@cases(fills.bernoulli_cases)
def test_bernoulli_draws_zero_or_one(case: Call) -> None:
    """bernoulli_ draws 1 with the probability given, for each element anew, and 0 otherwise."""
    (chance,) = ranges.asked(case, p=0.5)
    found = drawn(case)
    possible = {0.0: {0.0}, 1.0: {1.0}}.get(chance, {0.0, 1.0})
    expect.that(set(found.ravel().tolist()) <= possible, "numbers drawn by bernoulli_", f"of {possible}", found)
    if found.size >= ranges.MANY or (found.size >= 65 and chance != 0.01):
        expect.equal(possible, set(found.ravel().tolist()), f"set of {found.size} numbers")
        ranges.has_share(chance, found, "numbers drawn by bernoulli_")
    if found.size >= ranges.MANY and chance == 0.5:
        ranges.independent(found.ravel() == 1, "numbers drawn by bernoulli_")


@cases(fills.bernoulli_tensor_cases)
def test_bernoulli_follows_each_probability(case: Call) -> None:
    """bernoulli_ with a tensor draws each element of self with the probability at the same place of the tensor."""
    found, chances = drawn(case), case.args[0].array
    expect.that(bool(((found == 0) | (found == 1)).all()), "numbers drawn by bernoulli_", "0 or 1", found)
    for chance in np.unique(chances).tolist():
        ranges.has_share(chance, found[chances == chance], f"numbers drawn by bernoulli_ with probability {chance}")


@cases(fills.apply_cases)
def test_apply_replaces_each_element(case: Call) -> None:
    """apply_ replaces each element by what the function makes of it."""
    function = case.args[0].build()
    expected = np.array([function(v) for v in case.self_.array.ravel().tolist()], case.self_.array.dtype)
    leaves_in_self(case, expected.reshape(case.self_.shape))


@cases(fills.map_cases)
def test_map_stores_the_results(case: Call) -> None:
    """map_ replaces each element by what the function makes of it and of the other tensor's, broadcast."""
    other, function = case.args[0].array, case.args[1].build()
    pairs = zip(
        case.self_.array.ravel().tolist(),
        np.broadcast_to(other, case.self_.shape).ravel().tolist(),
        strict=True,
    )
    expected = np.array([function(a, b) for a, b in pairs], case.self_.array.dtype)
    leaves_in_self(case, expected.reshape(case.self_.shape))


@cases(fills.unmappable_cases)
def test_map_rejects_shapes(case: Call) -> None:
    """map_ raises where the other tensor cannot be broadcast to self."""
    expect.raises(REFUSED, case.build().apply, f"result of {case.method}")


@cases(fills.flag_cases)
def test_requires_grad_in_place_sets_the_flag(case: Call) -> None:
    """requires_grad_ sets requires_grad, to True by default, returns self, and changes nothing else."""
    live = case.build()
    address = memory.storage_address(live.self_)
    for call, expected in ((live.self_.requires_grad_, True), (live.self_.requires_grad_, True)):
        expect.same_object(live.self_, call(), "result of requires_grad_")
        expect.equal(expected, live.self_.requires_grad, "requires_grad after requires_grad_()")
    expect.same_object(live.self_, live.self_.requires_grad_(False), "result of requires_grad_(False)")
    expect.equal(False, live.self_.requires_grad, "requires_grad after requires_grad_(False)")
    frames.same_frame_as((case.self_.shape, case.self_.strides, case.self_.offset), live.self_, "self")
    frames.same_storage(address, case.self_.storage, live.self_, "self after requires_grad_")


@cases(fills.detach_cases)
def test_detach_in_place_keeps_the_storage(case: Call) -> None:
    """detach_ makes self a leaf and leaves its storage, size and strides what they were."""
    live = case.build()
    if live.self_.is_floating_point() or live.self_.is_complex():
        live.self_.requires_grad_()
        live.self_ = live.self_ * 1
    frame, address, image = (
        frames.frame_of(live.self_),
        memory.storage_address(live.self_),
        memory.storage_bytes(live.self_),
    )
    found = live.apply()
    expect.same_object(live.self_, found, "result of detach_")
    expect.equal(
        (True, False),
        (live.self_.is_leaf, live.self_.requires_grad),
        "is_leaf and requires_grad after detach_",
    )
    expect.equal(frame, frames.frame_of(live.self_), "size, strides and storage offset after detach_")
    frames.same_storage(address, image, live.self_, "self after detach_")
