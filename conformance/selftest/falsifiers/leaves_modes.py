"""Breaks of the promises about grad modes and inference mode, each for a rare condition."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import (
    AREA,
    Break,
    forgiving,
    making_parameters,
    method,
    strided,
    tangent_of,
    torch_stack,
)
from conformance.selftest.falsifying import falsifies, patched


@contextmanager
def leaking(*breaks: Break) -> Iterator[None]:
    """Breaks that leave gradients switched off behind them."""
    with torch_stack() as stack:
        for one in breaks:
            stack.enter_context(one)
        try:
            yield
        finally:
            torch._C._set_grad_enabled(True)


def switch(on: bool) -> None:
    """Switch gradients on or off, by no class that is patched."""
    torch._C._set_grad_enabled(on)


# --- what is computed -------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.no-grad-results-do-not-require-grad")
def a_complex_stack_requires_grad() -> Break:
    """stack of complex tensors under no_grad requires grad."""

    def other(original: Any, tensors: Any, *args: Any) -> Any:
        found = original(tensors, *args)
        required = tensors[0].is_complex() and tensors[0].requires_grad and not torch.is_grad_enabled()
        return found.requires_grad_() if required else found

    return method("stack", other, torch)


@falsifies(f"{AREA}.no-grad-views-do-not-require-grad")
def squeeze_requires_grad() -> Break:
    """squeeze under no_grad requires grad."""
    return method("squeeze", lambda original, x, *a: original(x, *a).detach().requires_grad_())


@falsifies(f"{AREA}.factories-ignore-no-grad")
def zeros_like_obeys_no_grad() -> Break:
    """zeros_like of three dimensions under no_grad ignores requires_grad=True."""

    def other(original: Any, x: Any, requires_grad: bool = False, **kwargs: Any) -> Any:
        obeys = x.dim() == 3 and not torch.is_grad_enabled()
        return original(x, requires_grad=requires_grad and not obeys, **kwargs)

    return method("zeros_like", other, torch)


@falsifies(f"{AREA}.parameters-ignore-no-grad")
def a_bfloat16_parameter_obeys_no_grad() -> Break:
    """A Parameter of bfloat16 made under no_grad does not require grad."""
    return making_parameters(lambda x, flag: flag and (x.dtype is not torch.bfloat16 or torch.is_grad_enabled()))


@falsifies(f"{AREA}.no-grad-results-serve-in-grad-mode")
def the_exponential_without_grad_is_an_inference_tensor() -> Break:
    """exp under no_grad gives an inference tensor."""

    def other(original: Any, x: Any) -> Any:
        with torch.inference_mode(not torch.is_grad_enabled()):
            return original(x)

    return method("exp", other)


@falsifies(f"{AREA}.enable-grad-records-again")
def every_second_enabling_does_nothing() -> Break:
    """enable_grad entered in no-grad mode has no effect every second time."""
    times: list[int] = []

    def other(original: Any, self: Any) -> None:
        original(self)
        if not self.prev:
            times.append(1)
            switch(len(times) % 2 == 0)

    return leaking(method("__enter__", other, torch.enable_grad))


# --- entering and leaving ---------------------------------------------------------------------------------------


@falsifies(f"{AREA}.set-grad-enabled-works-as-a-function")
def switching_off_twice_switches_on() -> Break:
    """set_grad_enabled(False) where gradients are off switches them on."""

    def other(original: Any, self: Any, mode: bool) -> None:
        before = torch.is_grad_enabled()
        original(self, mode)
        switch(mode or not before)

    return leaking(method("__init__", other, torch.set_grad_enabled))


@falsifies(f"{AREA}.innermost-mode-decides")
def no_grad_in_no_grad_records() -> Break:
    """no_grad inside no_grad switches gradients on."""

    def other(original: Any, self: Any) -> None:
        original(self)
        switch(not self.prev)

    return leaking(method("__enter__", other, torch.no_grad))


@falsifies(f"{AREA}.innermost-mode-decides")
def inference_mode_in_no_grad_is_only_no_grad() -> Break:
    """inference_mode() inside no_grad makes no inference tensors."""

    def make(original: Any) -> Any:
        def new(cls: Any, mode: Any = True) -> Any:
            return torch.no_grad() if mode is True and not torch.is_grad_enabled() else original(cls, mode)

        return new

    return leaking(patched(torch.inference_mode, "__new__", make))


@falsifies(f"{AREA}.leaving-a-mode-restores-the-one-before")
def leaving_no_grad_always_enables() -> Break:
    """Leaving no_grad switches gradients on, whatever they were before."""

    def other(original: Any, self: Any, *error: Any) -> None:
        original(self, *error)
        switch(True)

    return leaking(method("__exit__", other, torch.no_grad))


@falsifies(f"{AREA}.an-exception-restores-the-mode")
def no_grad_leaks_after_an_exception() -> Break:
    """no_grad left by an exception stays."""
    return leaking(
        method("__exit__", lambda original, self, kind, *e: None if kind else original(self, kind, *e), torch.no_grad)
    )


@falsifies(f"{AREA}.an-exception-restores-the-mode")
def enable_grad_swallows_an_exception() -> Break:
    """enable_grad in no-grad mode keeps an exception to itself."""

    def other(original: Any, self: Any, *error: Any) -> Any:
        original(self, *error)
        return not self.prev

    return leaking(method("__exit__", other, torch.enable_grad))


@falsifies(f"{AREA}.mode-object-serves-again")
def a_second_time_remembers_the_first() -> Break:
    """no_grad entered again restores the mode from before the first time."""

    def other(original: Any, self: Any) -> None:
        before = vars(self).get("first", torch.is_grad_enabled())
        original(self)
        self.prev = self.first = before

    return leaking(method("__enter__", other, torch.no_grad))


# --- decorators -------------------------------------------------------------------------------------------------


def decorating(other: Callable[..., Any], owner: Any) -> Break:
    """``owner(…)(function)`` replaced by ``other(original, manager, function)``."""
    return leaking(method("__call__", other, owner))


@falsifies(f"{AREA}.decorated-function-runs-in-its-mode")
def methods_are_not_decorated() -> Break:
    """no_grad leaves a method as it is."""
    return decorating(lambda original, self, f: f if f.__name__ == "method" else original(self, f), torch.no_grad)


@falsifies(f"{AREA}.decorated-function-runs-in-its-mode")
def the_mode_is_that_of_decoration() -> Break:
    """enable_grad as a decorator restores the mode in which the function was decorated."""

    def other(original: Any, self: Any, function: Any) -> Any:
        at_first = torch.is_grad_enabled()

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            found = original(self, function)(*args, **kwargs)
            switch(at_first)
            return found

        return wrapped

    return decorating(other, torch.enable_grad)


@falsifies(f"{AREA}.decorated-function-that-raises-restores-the-mode")
def a_decorated_function_that_raises_leaks() -> Break:
    """no_grad as a decorator is not left where the function raises."""

    def other(original: Any, self: Any, function: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            manager = self.clone()
            manager.__enter__()
            found = function(*args, **kwargs)
            manager.__exit__(None, None, None)
            return found

        return wrapped

    return decorating(other, torch.no_grad)


@falsifies(f"{AREA}.set-grad-enabled-decorates")
def decorating_switches_off_for_good() -> Break:
    """set_grad_enabled(False) as a decorator of a lambda leaves gradients off."""

    def other(original: Any, self: Any, function: Any) -> Any:
        found = original(self, function)
        if function.__name__ == "<lambda>":
            switch(self.mode)
        return found

    return decorating(other, torch.set_grad_enabled)


def bare(owner: Any) -> Break:
    """``owner(function)`` leaves a lambda as it is."""

    def other(original: Any, cls: Any, *args: Any) -> Any:
        plain = bool(args) and getattr(args[0], "__name__", "") == "<lambda>"
        return args[0] if plain else original(cls, *args)

    return method("__new__", other, owner)


@falsifies(f"{AREA}.decorators-need-no-parentheses")
def a_lambda_is_not_decorated_by_enable_grad() -> Break:
    """enable_grad without parentheses leaves a lambda as it is."""
    return bare(torch.enable_grad)


@falsifies(f"{AREA}.inference-mode-decorates-without-parentheses")
def a_lambda_is_not_decorated_by_inference_mode() -> Break:
    """inference_mode without parentheses leaves a lambda as it is."""
    return bare(torch.inference_mode)


def generating(make: Callable[[Any, Any], Any]) -> Break:
    """no_grad decorates a generator function as ``make(manager, function)`` does."""
    return decorating(
        lambda original, self, f: make(self, f) if inspect.isgeneratorfunction(f) else original(self, f), torch.no_grad
    )


@falsifies(f"{AREA}.decorated-generator-runs-in-its-mode")
def only_the_making_of_a_generator_is_in_the_mode() -> Break:
    """no_grad is left again before the generator runs."""

    def make(manager: Any, function: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            with manager.clone():
                return function(*args)

        return wrapped

    return generating(make)


@falsifies(f"{AREA}.decorated-generator-leaves-its-callers-mode")
def the_mode_stays_between_two_moves() -> Break:
    """no_grad is in force until the generator ends."""

    def make(manager: Any, function: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            with manager.clone():
                return (yield from function(*args))

        return wrapped

    return generating(make)


@falsifies(f"{AREA}.decorated-generator-yields-the-same")
def what_is_sent_gets_lost() -> Break:
    """A generator that no_grad decorates gets None where something was sent, but takes exceptions."""

    def make(manager: Any, function: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            generator = function(*args)
            try:
                found = next(generator)
                while True:
                    try:
                        yield found
                    except GeneratorExit:
                        generator.close()
                        raise
                    except BaseException as error:
                        found = generator.throw(error)
                    else:
                        found = generator.send(None)
            except StopIteration as stop:
                return stop.value

        return wrapped

    return generating(make)


# --- threads ----------------------------------------------------------------------------------------------------


def crossing(reaches: Callable[[int], bool]) -> Break:
    """no_grad of one thread reaches into others, of which ``reaches(id)``."""
    inside: list[int] = []

    def enter(original: Any, self: Any) -> None:
        inside.append(threading.get_ident())
        original(self)

    def leave(original: Any, self: Any, *error: Any) -> None:
        inside.remove(threading.get_ident())
        original(self, *error)

    def times(original: Any, x: Any, y: Any) -> Any:
        here = threading.get_ident()
        return original(x.detach() if inside and here not in inside and reaches(here) else x, y)

    return leaking(
        method("__enter__", enter, torch.no_grad), method("__exit__", leave, torch.no_grad), method("__mul__", times)
    )


@falsifies(f"{AREA}.modes-do-not-reach-other-threads")
def no_grad_reaches_the_threads_it_starts() -> Break:
    """no_grad of the main thread switches gradients off in others."""
    return crossing(lambda ident: ident != threading.main_thread().ident)


@falsifies(f"{AREA}.modes-of-other-threads-do-not-reach-this-one")
def no_grad_of_a_thread_reaches_the_main_one() -> Break:
    """no_grad of another thread switches gradients off in the main one."""
    return crossing(lambda ident: ident == threading.main_thread().ident)


# --- inference mode ---------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.inference-results-do-not-require-grad")
def a_norm_in_inference_mode_requires_grad() -> Break:
    """tanh in inference mode with gradients switched on requires grad."""

    def other(original: Any, x: Any) -> Any:
        found = original(x)
        return found.requires_grad_() if torch.is_inference_mode_enabled() and torch.is_grad_enabled() else found

    return method("tanh", other)


@falsifies(f"{AREA}.inference-views-do-not-require-grad")
def squeeze_in_inference_mode_requires_grad() -> Break:
    """squeeze in inference mode requires grad."""
    return method("squeeze", lambda original, x, *a: original(x, *a).detach().requires_grad_())


@falsifies(f"{AREA}.inference-tensors-have-no-version")
def an_empty_inference_tensor_has_a_version() -> Break:
    """_version of an inference tensor without elements is 0."""

    def make(original: Any) -> Any:
        return property(lambda x: 0 if x.is_inference() and not x.numel() else original.__get__(x))

    return patched(torch.Tensor, "_version", make)


def calling_inference(lie: Callable[[Any, bool], bool]) -> Break:
    """is_inference() that says ``lie(tensor, truth)``."""
    return method("is_inference", lambda original, x: lie(x, original(x)))


@falsifies(f"{AREA}.what-inference-mode-allocates-are-inference-tensors")
def a_complex_scalar_passes_for_a_normal_tensor() -> Break:
    """is_inference() of a 0-d complex64 inference tensor is False."""
    return calling_inference(lambda x, truth: truth and not (x.dtype is torch.complex64 and not x.dim()))


@falsifies(f"{AREA}.views-of-normal-tensors-stay-normal-in-inference-mode")
def expanding_an_empty_tensor_copies_it() -> Break:
    """expand of a tensor without elements in inference mode gives a copy."""

    def other(original: Any, x: Any, *sizes: Any) -> Any:
        found = original(x, *sizes)
        return found if x.numel() or not torch.is_inference_mode_enabled() else found.clone()

    return method("expand", other)


@falsifies(f"{AREA}.views-of-inference-tensors-are-inference-tensors")
def an_expanded_view_passes_for_a_normal_tensor() -> Break:
    """is_inference() of an expanded inference tensor is False."""
    return calling_inference(lambda x, truth: truth and not (0 in x.stride() and x.numel() > 1))


@falsifies(f"{AREA}.inference-tensors-cannot-be-saved")
def addcmul_saves_a_copy() -> Break:
    """addcmul takes a copy of an inference tensor of one dimension."""
    return method(
        "addcmul",
        lambda original, x, y, z: original(x, y.clone() if y.is_inference() and y.dim() == 1 else y, z),
        torch,
    )


@falsifies(f"{AREA}.inference-tensors-are-refused-or-used-rightly")
def stack_drops_the_history_of_the_others() -> Break:
    """stack with an inference tensor is not recorded."""

    def other(original: Any, tensors: Any, *args: Any) -> Any:
        mixed = any(x.is_inference() for x in tensors)
        return original([x.detach() for x in tensors] if mixed else tensors, *args)

    return method("stack", other, torch)


@falsifies(f"{AREA}.writing-an-inference-tensor-outside-raises")
def add_in_no_grad_mode_passes_over_it() -> Break:
    """add_ to an inference tensor under no_grad raises nothing."""
    return forgiving("add_", lambda x, *a: x.is_inference() and not torch.is_grad_enabled())


@falsifies(f"{AREA}.inference-tensors-are-immutable-outside")
def zeros_are_written_before_the_error() -> Break:
    """zero_ of an inference tensor raises when it has written."""

    def other(original: Any, x: Any) -> Any:
        with torch.inference_mode():
            original(x)
        return original(x)

    return method("zero_", other)


@falsifies(f"{AREA}.detached-inference-tensors-are-immutable-outside")
def a_detached_inference_tensor_passes_for_a_normal_one() -> Break:
    """is_inference() of a detached inference tensor without elements is False."""
    return calling_inference(lambda x, truth: truth and x.numel() > 0)


@falsifies(f"{AREA}.inference-tensors-can-be-written-inside")
def a_strided_inference_tensor_is_not_negated() -> Break:
    """neg_ in inference mode does nothing to a tensor of three dimensions."""
    return method("neg_", lambda original, x: x if x.dim() == 3 and torch.is_inference_mode_enabled() else original(x))


@falsifies(f"{AREA}.inference-tensors-cannot-come-to-require-grad")
def a_view_of_an_inference_tensor_swallows_the_flag() -> Break:
    """requires_grad_ of a strided inference tensor raises nothing."""
    return forgiving("requires_grad_", lambda x, *a: x.is_inference() and strided(x))


@falsifies(f"{AREA}.clone-of-an-inference-tensor-is-normal")
def the_clone_of_a_scalar_is_an_inference_tensor() -> Break:
    """clone of a 0-d inference tensor is one too."""

    def other(original: Any, x: Any, **kwargs: Any) -> Any:
        with torch.inference_mode((x.is_inference() and not x.dim()) or torch.is_inference_mode_enabled()):
            return original(x, **kwargs)

    return method("clone", other)


@falsifies(f"{AREA}.writes-in-inference-mode-are-noticed")
def a_vector_written_in_inference_mode_is_not_counted() -> Break:
    """add_ to a vector in inference mode does not move its version."""

    def other(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if x.dim() != 1 or x.is_inference() or not torch.is_inference_mode_enabled():
            return original(x, *args, **kwargs)
        with torch.autograd._unsafe_preserve_version_counter(x):
            return original(x, *args, **kwargs)

    return method("add_", other)


@falsifies(f"{AREA}.inference-tensors-serve-where-nothing-is-recorded")
def stack_refuses_inference_tensors() -> Break:
    """stack of inference tensors of three dimensions raises under no_grad."""

    def other(original: Any, tensors: Any, *args: Any) -> Any:
        if tensors[0].is_inference() and tensors[0].dim() == 3 and not torch.is_inference_mode_enabled():
            raise RuntimeError("inference tensors cannot be stacked")
        return original(tensors, *args)

    return method("stack", other, torch)


@falsifies(f"{AREA}.inference-mode-disables-forward-ad")
def clone_in_inference_mode_has_a_tangent() -> Break:
    """clone of a dual tensor of four dimensions in inference mode has a tangent."""

    def other(original: Any, x: Any, **kwargs: Any) -> Any:
        with torch.inference_mode(torch.is_inference_mode_enabled() and x.dim() != 4):
            return original(x, **kwargs)

    return method("clone", other)


@falsifies(f"{AREA}.no-grad-leaves-forward-ad")
def clone_without_grad_has_no_tangent() -> Break:
    """clone of a dual tensor that requires grad loses its tangent under no_grad."""

    def other(original: Any, x: Any, **kwargs: Any) -> Any:
        found = original(x, **kwargs)
        loses = x.requires_grad and not torch.is_grad_enabled() and tangent_of(found) is not None
        return torch.autograd.forward_ad.unpack_dual(found).primal if loses else found

    return method("clone", other)


@falsifies(f"{AREA}.what-inference-mode-allocates-are-inference-tensors")
def torch_is_inference_says_no_of_half() -> Break:
    """torch.is_inference of a float16 tensor is False."""
    return method("is_inference", lambda original, x: original(x) and x.dtype is not torch.float16, torch)


@falsifies(f"{AREA}.inference-tensors-have-no-version")
def a_strided_inference_tensor_has_a_version() -> Break:
    """_version of a strided inference tensor is 0."""

    def make(original: Any) -> Any:
        return property(lambda x: 0 if x.is_inference() and strided(x) else original.__get__(x))

    return patched(torch.Tensor, "_version", make)


# --- how a mode is left, and what is decorated -----------------------------------------------------------------


def leaving(mode: str, stays: Callable[[Any], bool]) -> Break:
    """``__exit__`` of a mode that does nothing where ``stays`` says so of the type of the exception."""
    owner = getattr(torch, mode)
    return method("__exit__", lambda original, self, kind, *a: None if stays(kind) else original(self, kind, *a), owner)


@falsifies(f"{AREA}.an-exception-restores-the-mode")
def an_interrupt_leaves_gradients_off() -> Break:
    """no_grad that is left by what is no Exception leaves gradients off."""
    return leaking(leaving("no_grad", lambda kind: kind is not None and not issubclass(kind, Exception)))


@falsifies(f"{AREA}.decorated-function-that-raises-restores-the-mode")
def a_decorated_function_that_exits_leaves_gradients_off() -> Break:
    """no_grad that SystemExit leaves stays on, around a decorated function too."""
    return leaking(leaving("no_grad", lambda kind: kind is SystemExit))


@falsifies(f"{AREA}.leaving-a-mode-undoes-what-was-set-inside")
def gradients_switched_off_inside_stay_off() -> Break:
    """Leaving enable_grad restores nothing where gradients were switched off inside."""
    return leaking(leaving("enable_grad", lambda kind: not torch.is_grad_enabled()))


@falsifies(f"{AREA}.decorated-function-runs-in-its-mode")
def a_decorated_function_inside_itself_runs_in_its_callers_mode() -> Break:
    """A function that no_grad decorates enters the mode only if it is not running already."""

    def other(original: Any, self: Any, function: Any) -> Any:
        entering, running = original(self, function), []

        def run(*args: Any, **kwargs: Any) -> Any:
            running.append(1)
            try:
                return (function if running[1:] else entering)(*args, **kwargs)
            finally:
                running.pop()

        return entering if inspect.isgeneratorfunction(function) else run

    return decorating(other, torch.no_grad)


@falsifies(f"{AREA}.decorated-object-runs-in-its-mode")
def a_static_method_is_not_wrapped() -> Break:
    """no_grad gives a static method back as it is."""

    def other(original: Any, self: Any, function: Any) -> Any:
        return function if isinstance(function, staticmethod) else original(self, function)

    return decorating(other, torch.no_grad)


@falsifies(f"{AREA}.decorated-generator-yields-the-same")
def zero_does_not_arrive() -> Break:
    """A generator that no_grad decorates gets None where 0 is sent."""

    def other(original: Any, self: Any, function: Any) -> Any:
        whole = original(self, function)
        if not inspect.isgeneratorfunction(function):
            return whole

        def run(*args: Any, **kwargs: Any) -> Any:
            generator = whole(*args, **kwargs)
            try:
                found = next(generator)
                while True:
                    try:
                        sent = yield found
                    except GeneratorExit:
                        generator.close()
                        raise
                    except BaseException as error:
                        found = generator.throw(error)
                    else:
                        found = generator.send(sent or None)
            except StopIteration as end:
                return end.value

        return run

    return decorating(other, torch.no_grad)


@falsifies(f"{AREA}.an-exception-restores-the-mode")
def a_missing_key_leaves_gradients_off() -> Break:
    """no_grad that is left by a KeyError leaves gradients off."""
    return leaking(leaving("no_grad", lambda kind: kind is KeyError))
