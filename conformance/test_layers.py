"""Area ``layers``: every class of torch.nn by itself, its state, its calls, its modes, and trees of them."""

from __future__ import annotations

import copy

import torch

from conformance.engine.cases import cases
from conformance.inputs import layer_sources, layer_trees
from conformance.inputs.layer_uses import LayerUse
from conformance.inputs.looks import looked_at
from conformance.inputs.module_trees import Tree
from conformance.oracles import expect, layer_calls, layer_gradients, layer_state, layer_statistics, layer_tree_state
from conformance.oracles.layer_calls import counterpart_result, flat_results
from conformance.oracles.layer_state import results_of

# --- state --------------------------------------------------------------------------------------------------------


@cases(layer_sources.stated_modules)
def test_state_as_documented(case: LayerUse) -> None:
    """A module has the parameters and buffers that its documentation names, of the shapes given there, and no others."""  # noqa: E501
    layer_state.state_as_documented(case, case.new())


@cases(layer_sources.first_values)
def test_first_values_as_documented(case: LayerUse) -> None:
    """The parameters and buffers of a new module hold the values, or lie within the bounds, that its documentation gives."""  # noqa: E501
    layer_state.first_as_documented(case, case.new())


@cases(layer_sources.typed_modules)
def test_built_of_the_type_asked_for(case: LayerUse) -> None:
    """A constructor's arguments device and dtype are those of every parameter and of every floating buffer."""
    module = case.new(f"device={case.device!r}, dtype=torch.{case.dtype}")
    layer_state.all_of_type(module, case.dtype, case.device)


@cases(layer_sources.built_modules)
def test_state_dict_round_trip(case: LayerUse) -> None:
    """A module that loads the state_dict of another of the same arguments has the same state, bit for bit and in memory of its own, and gives the same result."""  # noqa: E501
    first, second = case.build(), case.build(turn=1)
    found = second.load_state_dict(first.state_dict())
    expect.equal(([], []), (list(found.missing_keys), list(found.unexpected_keys)), "missing and unexpected keys")
    layer_state.same_modules(first, second, "the module that loads")
    layer_state.same_calls(case, first, second, "the module that loads")


@cases(layer_sources.built_modules)
def test_saved_state_round_trip(case: LayerUse) -> None:
    """The state_dict of a module that torch.load reads from what torch.save wrote, with weights_only, gives another module the same state and result."""  # noqa: E501
    first, second = case.build(), case.build(turn=1)
    second.load_state_dict(layer_state.reloaded(first.state_dict()))
    layer_state.same_modules(first, second, "the module that loads")
    layer_state.same_calls(case, first, second, "the module that loads")


@cases(layer_sources.built_modules)
def test_saved_module_round_trip(case: LayerUse) -> None:
    """A module that torch.load reads from what torch.save wrote of it has its class, mode, arguments and state, bit for bit, gives the same result, and uses what its state becomes."""  # noqa: E501
    module = case.build()
    found = layer_state.reloaded(module)
    layer_state.same_modules(module, found, "the loaded module")
    expect.equal(repr(module), repr(found), "repr() of the loaded module")
    layer_state.same_calls(case, module, found, "the loaded module")
    layer_state.uses_its_parameters(case, found, "the loaded module")


@cases(layer_sources.built_modules)
def test_deep_copies_are_independent(case: LayerUse) -> None:
    """copy.deepcopy of a module has its class, mode and state, bit for bit and in memory of its own, gives the same result, and uses what its own state becomes."""  # noqa: E501
    module = case.build()
    found = copy.deepcopy(module)
    layer_state.same_modules(module, found, "the copy")
    expect.equal(repr(module), repr(found), "repr() of the copy")
    layer_state.same_calls(case, module, found, "the copy")
    layer_state.uses_its_parameters(case, found, "the copy")


@cases(layer_sources.layer_calls)
def test_follows_to(case: LayerUse) -> None:
    """to(dtype) returns the module itself with its floating parameters and buffers rounded to that type, the others as they were, and its result is of that type."""  # noqa: E501
    module = case.filled(case.new().to(case.device).train(case.training))
    before = {name: tensor.detach().clone() for name, tensor in layer_state.module_tensors(module).items()}
    expect.same_object(module, module.to(getattr(torch, case.dtype)), "what to() returns")
    layer_state.follows_type(f"to(torch.{case.dtype})", case.dtype, module, before, complexes=True)
    layer_state.result_types(case, results_of(case, module))


@cases(
    looked_at(
        "for word in ('half', 'double', 'bfloat16', 'float'):\n    print(getattr(m, word)() is m, m.state_dict())",
        layer_sources.built_modules,
    )
)
def test_follows_named_casts(case: LayerUse) -> None:
    """half, bfloat16, double and float return the module itself with its floating parameters and buffers rounded to that type, and the others as they were."""  # noqa: E501
    module = case.new().to(case.device)
    for word, dtype in (("half", "float16"), ("double", "float64"), ("bfloat16", "bfloat16"), ("float", "float32")):
        case.filled(module)  # with bits that the type of now has, and a narrower one has not
        before = {name: tensor.detach().clone() for name, tensor in layer_state.module_tensors(module).items()}
        expect.same_object(module, getattr(module, word)(), f"what {word}() returns")
        layer_state.follows_type(f"{word}()", dtype, module, before, complexes=False)


@cases(layer_sources.built_modules)
def test_follows_to_a_device(case: LayerUse) -> None:
    """to(device) moves every parameter and buffer to the device and keeps its type, shape and requires_grad."""
    for device in dict.fromkeys((case.device, "meta")):
        module = case.new(f"dtype=torch.{case.dtype}" if "dtype" in dict(case.bound) else "")
        before = layer_state.frames_of(module)
        expect.same_object(module, module.to(device), "what to() returns")
        layer_state.moved(before, module, device)


# --- results ------------------------------------------------------------------------------------------------------


@cases(layer_sources.shaped_calls)
def test_result_has_the_documented_shape(case: LayerUse) -> None:
    """The result of a call has the shape that the documentation gives for the shapes of the operands and the arguments, batched or not, empty batches included."""  # noqa: E501
    found = [tuple(tensor.shape) for tensor in results_of(case, case.build())]
    expect.equal(layer_calls.documented_shapes(case), found, "shapes of the result")


@cases(layer_sources.functional_calls)
def test_equals_its_functional_form(case: LayerUse) -> None:
    """A module gives what its counterpart in torch.nn.functional gives for the same operands, parameters and arguments, in training and in evaluation."""  # noqa: E501
    module, other = case.build(), case.build()
    with case.seeded():
        expected = flat_results(counterpart_result(case, other, case.operands()))
    layer_state.close_results(expected, results_of(case, module), "the module's result")
    layer_state.same_parameters(other, module, "after the call")


@cases(layer_sources.functional_gradients)
def test_gradients_equal_those_of_the_functional_form(case: LayerUse) -> None:
    """The gradients of the first operand and the parameters of a module are those of its counterpart in torch.nn.functional."""  # noqa: E501
    layer_gradients.same_gradients(case, case.build())


@cases(layer_sources.strided_calls)
def test_layout_of_an_operand_does_not_matter(case: LayerUse) -> None:
    """The result of a call depends on the values of its operands, and not on their strides or their place in a storage."""  # noqa: E501
    expected = results_of(case.contiguous(), case.build())
    layer_state.alike_results(expected, results_of(case, case.build()), f"result for {case.layout} operands", case)


@cases(layer_sources.sparing_calls)
def test_calls_leave_operands_alone(case: LayerUse) -> None:
    """A call changes no operand and no parameter, unless it is told to work in place or documented to renormalise."""
    module, operands = case.build(), case.operands()
    before = layer_state.bytes_of(operands), layer_state.bytes_of(list(module.parameters()))
    with case.seeded():
        module(*operands)
    after = layer_state.bytes_of(operands), layer_state.bytes_of(list(module.parameters()))
    expect.that(before[0] == after[0], "operands after the call", "the bytes from before it", "others")
    expect.that(before[1] == after[1], "parameters after the call", "the bytes from before it", "others")


@cases(layer_sources.in_place_calls)
def test_in_place_writes_the_operand(case: LayerUse) -> None:
    """A module constructed with inplace=True writes its result into the operand, and the result is what it is out of place."""  # noqa: E501
    (x,) = case.operands()
    with case.seeded():
        found = case.build()(x)
    expect.equal((x.data_ptr(), tuple(x.shape)), (found.data_ptr(), tuple(found.shape)), "address and shape")
    layer_state.same_results([x], [found], "result, and the operand")
    layer_state.same_results(results_of(case, case.out_of_place()), [x], "operand, and the result out of place")


@cases(layer_sources.differentiable_calls)
def test_gradients_reach_parameters_and_operands(case: LayerUse) -> None:
    """After backward from the results of a call, every parameter and the first operand have a gradient of their shape and type, finite and not zero everywhere."""  # noqa: E501
    layer_gradients.reach(case, case.build())


# --- training and evaluation --------------------------------------------------------------------------------------


@cases(layer_sources.steady_modules)
def test_evaluation_is_deterministic(case: LayerUse) -> None:
    """In evaluation a module gives the same result for the same operands, draws no random number and leaves its parameters and buffers as they are."""  # noqa: E501
    module = case.build().eval()
    before = layer_state.bytes_of(list(layer_state.module_tensors(module).values()))
    expected = results_of(case, module, seed=1)
    layer_state.same_results(expected, results_of(case, module, seed=2), "second result")
    layer_state.draws_nothing(case, module)
    after = layer_state.bytes_of(list(layer_state.module_tensors(module).values()))
    expect.that(before == after, "parameters and buffers after calls in evaluation", "as before", "changed")


@cases(layer_sources.random_calls)
def test_training_draws_from_the_generator(case: LayerUse) -> None:
    """In training a random module repeats its result from the same seed on, and gives another one for one of several other seeds."""  # noqa: E501
    module = case.build()
    expected = results_of(case, module, seed=1)
    layer_state.same_results(expected, results_of(case, module, seed=1), "result from the same seed on")
    others = (results_of(case, module, seed=seed) for seed in (2, 3, 5, 8, 13, 21))
    expect.that(
        any(layer_state.differ(expected, other) for other in others), "results from six other seeds on",
        "one that differs", "six times the same",
    )  # fmt: skip


@cases(layer_sources.switching_calls)
def test_modes_differ_where_documented(case: LayerUse) -> None:
    """A module that is documented to behave otherwise in evaluation gives another result there than in training."""
    training, evaluation = (results_of(case, case.build().train(mode)) for mode in (True, False))
    differs = layer_state.differ(training, evaluation)
    expect.that(differs, "result in evaluation", "another than in training", "the same")


@cases(layer_sources.unswitching_calls)
def test_modes_agree_elsewhere(case: LayerUse) -> None:
    """A module that is not documented to behave otherwise in evaluation gives the same result there as in training."""
    training, evaluation = (results_of(case, case.build().train(mode)) for mode in (True, False))
    layer_state.alike_results(training, evaluation, "result in evaluation")


@cases(layer_sources.statistics_calls)
def test_running_statistics_move_in_training_only(case: LayerUse) -> None:
    """A batch norm counts and averages in training, running_var with the unbiased variance, cumulatively where momentum is None, and in evaluation leaves its buffers as they are."""  # noqa: E501
    layer_statistics.moves_in_training(case, case.build())


@cases(layer_sources.statistics_calls)
def test_normalisation_takes_the_biased_variance(case: LayerUse) -> None:
    """A batch norm normalises a batch in training with its mean and biased variance, and in evaluation with the running ones."""  # noqa: E501
    layer_statistics.normalises(case, case.build())


# --- what else there is -------------------------------------------------------------------------------------------


@cases(layer_sources.shown_arguments)
def test_repr_shows_the_arguments(case: LayerUse) -> None:
    """extra_repr shows each argument that was given and is not the default, by name or place."""
    layer_state.shows_arguments(case, case.new())


@cases(layer_sources.lazy_modules)
def test_lazy_modules_become_regular(case: LayerUse) -> None:
    """A lazy module becomes the regular class at its first call, with what it infers from the operand, and from then on is a module of that class built with that."""  # noqa: E501
    module = case.new()
    expect.that(module.has_uninitialized_params(), "parameters before the first call", "uninitialised ones", "none")
    results_of(case, module)
    regular = case.regular()
    expect.same_object(type(regular), type(module), "class after the first call")
    expect.equal(repr(regular), repr(module), "repr() after the first call")
    layer_state.same_frames_of(regular, module, "the lazy module after its first call")
    regular.load_state_dict(module.state_dict())
    layer_state.same_calls(case, regular, module, "the lazy module")


@cases(layer_trees.layer_trees)
def test_trees_of_layers_load_their_state(case: Tree) -> None:
    """A tree of layers that loads the state_dict of another tree of the same layers has its state, bit for bit, under the paths of its names."""  # noqa: E501
    first, second = case.build(), case.turned().build()
    second.load_state_dict(first.state_dict())
    layer_tree_state.holds(case, second, first, "the tree that loads")


@cases(layer_trees.layer_trees)
def test_trees_of_layers_are_saved_and_loaded(case: Tree) -> None:
    """A tree of layers that torch.load reads from what torch.save wrote of it has its classes and its state, bit for bit, and what is shared in it is shared."""  # noqa: E501
    module = case.build()
    layer_tree_state.holds(case, layer_state.reloaded(module), module, "the loaded tree")


@cases(layer_trees.layer_trees)
def test_trees_of_layers_are_copied(case: Tree) -> None:
    """copy.deepcopy of a tree of layers has its classes and its state, bit for bit and in memory of its own, and what is shared in it is shared."""  # noqa: E501
    module = case.build()
    layer_tree_state.holds(case, copy.deepcopy(module), module, "the copied tree")
