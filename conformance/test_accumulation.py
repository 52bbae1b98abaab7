"""Checks of the area ``accumulation``: what backward computes, and what it leaves in the leaves.

Each check is named after a behaviour of ``specs/accumulation.yaml``; its inputs come from ``conformance/inputs``, its
oracle from ``conformance/oracles``.
"""

from __future__ import annotations

from conformance.engine.cases import cases
from conformance.inputs import derivation_sources, program_sources
from conformance.inputs.derivations import Derivation
from conformance.inputs.programs import Program
from conformance.oracles import expect
from conformance.oracles.derivatives import first_gradients_laid_out, right_gradients, right_second_gradients
from conformance.oracles.duals import evaluated, slopes_of
from conformance.oracles.gradients import close_gradients, numbers_of
from conformance.oracles.memory import contents
from conformance.oracles.program_gradients import (
    SECOND,
    backward_accepted,
    backward_or_refused,
    close_to_duals,
    close_values,
    leaf_names,
    second_gradients,
    second_slopes,
)

# --- random programs ------------------------------------------------------------------------------------------


@cases(program_sources.some_programs)
def test_recording_leaves_the_values_alone(case: Program) -> None:
    """Operations that autograd records compute the values that they compute without it."""
    live = case.run()
    for expected, found, name in zip(evaluated(case), live.values, case.names(), strict=True):
        close_values(case, expected.value, contents(found.detach()), f"value {name}")


@cases(program_sources.every_program)
def test_gradients_of_programs_are_the_derivatives(case: Program) -> None:
    """Where a program is differentiable, backward leaves in every leaf the derivative by it."""
    live = case.run()
    backward_or_refused(live)
    close_to_duals(case, slopes_of(case), [leaf.grad for leaf in live.leaves], leaf_names(case))


@cases(program_sources.some_programs)
def test_gradients_have_the_type_of_their_leaves(case: Program) -> None:
    """The gradient of a leaf has the leaf's element type, shape and device, whatever types the program goes through."""
    live = case.run()
    backward_or_refused(live)
    for leaf, name in zip(live.leaves, leaf_names(case), strict=True):
        if leaf.grad is not None:
            expected = (leaf.dtype, tuple(leaf.shape), leaf.device)
            expect.equal(expected, (leaf.grad.dtype, tuple(leaf.grad.shape), leaf.grad.device), name)


@cases(program_sources.some_programs)
def test_backward_and_grad_agree(case: Program) -> None:
    """What backward leaves in ``.grad`` is what ``autograd.grad`` returns, which leaves ``.grad`` alone."""
    live, other = case.run(), case.run()
    backward_or_refused(live)
    returned = other.gradients()
    for leaf, untouched, gradient, name in zip(live.leaves, other.leaves, returned, leaf_names(case), strict=True):
        expect.that(untouched.grad is None, f"{name} after autograd.grad", "None", untouched.grad)
        expect.equal(leaf.grad is None, gradient is None, f"{name} is None, of backward and of autograd.grad")
        if leaf.grad is not None:
            close_values(case, numbers_of(leaf.grad), numbers_of(expect.tensor(gradient, name)), name)


@cases(program_sources.some_programs)
def test_runs_of_a_program_add_up(case: Program) -> None:
    """Each further run of a program adds its gradients to those that the leaves hold."""
    leaves = case.new_leaves()
    for times in (1, 2, 3):
        backward_or_refused(case.run(leaves))
        expected = [times * slope for slope in slopes_of(case)]
        names = [f"{name} after run {times}" for name in leaf_names(case)]
        close_to_duals(case, expected, [leaf.grad for leaf in leaves], names)


@cases(program_sources.unused_programs)
def test_unused_leaves_get_no_gradient(case: Program) -> None:
    """A leaf that no root depends on keeps ``.grad`` None, and one whose derivative is not zero gets a gradient."""
    live = case.run()
    backward_or_refused(live)
    reached = frozenset().union(*(case.ledger.leaves_of(root) for root in case.roots))
    slopes = slopes_of(case)
    for number, (leaf, name) in enumerate(zip(live.leaves, leaf_names(case), strict=True)):
        if number not in reached:
            expect.that(leaf.grad is None, f"{name}, which is not used", "None", leaf.grad)
        elif slopes[number].any():
            expect.tensor(leaf.grad, name)


@cases(program_sources.unrecorded_programs)
def test_unrecorded_parts_are_constants(case: Program) -> None:
    """What is detached or computed under no_grad counts as a constant: no gradient flows through it."""
    live = case.run()
    for number, step in enumerate(case.steps, len(case.leaves)):
        # a constant that is written afterwards may join the graph by that
        if (step.silent or step.kind == "detached") and case.ledger.memory[number] not in case.ledger.written:
            expect.equal(False, live.values[number].requires_grad, f"requires_grad of {case.names()[number]}")
    backward_or_refused(live)
    close_to_duals(case, slopes_of(case), [leaf.grad for leaf in live.leaves], leaf_names(case))


@cases(program_sources.written_programs)
def test_programs_that_write_are_right_or_refused(case: Program) -> None:
    """Where backward of a program that writes in place raises nothing, its gradients are the derivatives."""
    live = case.run()
    backward_or_refused(live)
    close_to_duals(case, slopes_of(case), [leaf.grad for leaf in live.leaves], leaf_names(case))


@cases(program_sources.harmless_programs)
def test_harmless_writes_are_accepted(case: Program) -> None:
    """Backward of a program that writes only to what no derivative needs is not refused."""
    backward_accepted(case.run())


@cases(program_sources.joining_programs)
def test_view_of_a_constant_that_joined_the_graph_can_be_written(case: Program) -> None:
    """A view of a constant that a write has made part of the graph can be written in place as any other view."""
    live = case.run()
    live.backward()
    close_to_duals(case, slopes_of(case), [leaf.grad for leaf in live.leaves], leaf_names(case))


@cases(program_sources.retaining_programs)
def test_retained_gradients_are_the_derivatives(case: Program) -> None:
    """A value inside a program that retains its gradient holds the derivative by it after backward."""
    retained = case.retainable()
    live = case.run(retained=retained)
    backward_or_refused(live)
    expected = slopes_of(case, retained=retained)
    names = [*leaf_names(case), *(f"retained gradient of {case.names()[i]}" for i in retained)]
    close_to_duals(case, expected, [*(x.grad for x in live.leaves), *(live.values[i].grad for i in retained)], names)


@cases(program_sources.exact_programs)
def test_second_derivatives_of_programs_are_right(case: Program) -> None:
    """The gradients that create_graph=True gives can be differentiated once more, and that gives second derivatives."""
    found = second_gradients(case.run())
    for expected, gradient, name in zip(second_slopes(case), found, leaf_names(case), strict=True):
        numbers = 0 * expected if gradient is None else numbers_of(gradient)
        close_gradients(expected, numbers, f"second {name}", SECOND, "differences of dual numbers", whole=True)


# --- derivatives of single operators ----------------------------------------------------------------------------


@cases(derivation_sources.real_methods)
def test_methods_have_the_gradients_of_their_values(case: Derivation) -> None:
    """Where a method of a tensor is differentiable, its gradient by each operand is the derivative."""
    right_gradients(case, case.gradients(case.tensors()))


@cases(derivation_sources.complex_methods)
def test_complex_methods_have_the_gradients_of_their_values(case: Derivation) -> None:
    """The gradient of a method by a complex operand is the derivative by the real part plus 1j times the other."""
    right_gradients(case, case.gradients(case.tensors()))


@cases(derivation_sources.twice_methods)
def test_methods_have_second_derivatives(case: Derivation) -> None:
    """The gradients of a method that create_graph=True gives have the right gradients themselves."""
    right_second_gradients(case)


@cases(derivation_sources.laid_out_methods)
def test_gradients_of_methods_have_the_layout_of_their_leaves(case: Derivation) -> None:
    """The first gradient through a method has the strides of a dense leaf, and is row-major for any other leaf."""
    first_gradients_laid_out(case)


@cases(derivation_sources.real_functions)
def test_functions_have_the_gradients_of_their_values(case: Derivation) -> None:
    """Where a function is differentiable, its gradient by each operand is the derivative."""
    right_gradients(case, case.gradients(case.tensors()))


@cases(derivation_sources.complex_functions)
def test_complex_functions_have_the_gradients_of_their_values(case: Derivation) -> None:
    """The gradient of a function by a complex operand is the derivative by the real part plus 1j times the other."""
    right_gradients(case, case.gradients(case.tensors()))


@cases(derivation_sources.twice_functions)
def test_functions_have_second_derivatives(case: Derivation) -> None:
    """The gradients of a function that create_graph=True gives have the right gradients themselves."""
    right_second_gradients(case)


@cases(derivation_sources.laid_out_functions)
def test_gradients_of_functions_have_the_layout_of_their_leaves(case: Derivation) -> None:
    """The first gradient through a function has the strides of a dense leaf, and is row-major for any other leaf."""
    first_gradients_laid_out(case)
