"""Module lists: what modules list and hold, against the module model.

Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from conformance.inputs.refused_registrations import Refusal
from conformance.inputs.registrations import MODULE_COUNT, RegisteredModules, Registration
from conformance.oracles import expect, memory
from conformance.oracles.module_model import NOTHING, Listed, ModuleModel

PART_LISTS = {"parameters": "named_parameters", "buffers": "named_buffers"}


def same_members(expected: Listed, found: Listed, what: str) -> None:
    """Expect the same pairs of a name and a thing, in any order, each as often."""
    expect.equal(sorted(expected), sorted(found), what)


def same_things(expected: Iterable[str], found: Iterable[str], what: str) -> None:
    """Expect the same things, in any order, each as often."""
    expect.equal(sorted(expected), sorted(found), what)


def lists_parts(case: Registration, kind: str, **options: Any) -> RegisteredModules:
    """Expect the parameters (or buffers) of the root by their paths, with and without their names."""
    made, name = case.build(), PART_LISTS[kind]
    expected = case.model().parts(kind, recurse=options.get("recurse", True))
    same_members(expected, made.named(getattr(made.root, name)(**options)), f"{name}({shown_options(options)})")
    found = [made.name_of(thing) for thing in getattr(made.root, kind)(**options)]
    same_things([thing for _, thing in expected], found, f"{kind}({shown_options(options)})")
    return made


def shown_options(options: dict[str, Any]) -> str:
    """Keyword arguments as they are written."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def own_parts(case: Registration, kind: str) -> None:
    """Expect each module, the root and any other, to list its own parameters (or buffers, or children)."""
    made, model = case.build(), case.model()
    for at in range(MODULE_COUNT):
        own = [(name, thing) for name, thing in model.modules[at].things(kind).items() if thing != NOTHING]
        listed = "named_children" if kind == "modules" else PART_LISTS[kind]
        options = {} if kind == "modules" else {"recurse": False}
        found = made.named(getattr(made.m[at], listed)(**options))
        expect.equal({thing for _, thing in own}, {thing for _, thing in found}, f"m[{at}].{listed}")
        expect.that(set(found) <= set(own), f"names of m[{at}].{listed}", own, found)


def holds_attributes(case: Registration) -> None:
    """Expect every registered thing, and every plain attribute, to be what its attribute gives, and no other."""
    made, model = case.build(), case.model()
    for at, module in enumerate(model.modules):
        for kind in ("parameters", "buffers", "modules", "plain"):
            for name, thing in module.things(kind).items():
                expect.equal(thing, made.name_of(getattr(made.m[at], name)), f"m[{at}].{name}, one of the {kind}")
        for name in ("a", "b", "c", "weight"):
            expect.equal(module.kind_of(name) != "", hasattr(made.m[at], name), f"whether m[{at}] has {name}")


def plain_is_not_listed(case: Registration) -> None:
    """Expect no plain attribute in any list, and each still there."""
    made, model = case.build(), case.model()
    expect.some([name for module in model.modules for name in module.plain], "plain attribute")
    for at, module in enumerate(model.modules):
        listed = dict(made.m[at].named_parameters(recurse=False)) | dict(made.m[at].named_buffers(recurse=False))
        for name, thing in module.plain.items():
            expect.that(name not in listed, f"m[{at}].{name}", "no parameter and no buffer", "listed as one")
            expect.equal(thing, made.name_of(getattr(made.m[at], name)), f"m[{at}].{name}")


def in_order(case: Registration) -> None:
    """Expect every list in the order of registration."""
    made, model = case.build(), case.model()
    root = made.root
    for kind, name in PART_LISTS.items():
        expect.equal(model.parts(kind), made.named(getattr(root, name)()), f"order of {name}()")
        things = [thing for _, thing in model.parts(kind)]
        expect.equal(things, [made.name_of(x) for x in getattr(root, kind)()], f"order of {kind}()")
    expect.equal(model.children(), made.named(root.named_children()), "order of named_children()")
    expect.equal(model.paths(), made.named(root.named_modules()), "order of named_modules()")


def things_at_paths(made: RegisteredModules, model: ModuleModel) -> dict[str, str]:
    """Every path from the root, shared things by each, and what is there; "?" where an attribute is no thing."""
    found = {}
    for path, name in model.paths(once=False):
        found[path] = name
        module = model.modules[int(name[1:])]
        for kind in ("parameters", "buffers", "modules", "plain"):
            for attribute, thing in module.things(kind).items():
                if kind == "plain" or thing != NOTHING:  # no page says what is at the path of a None
                    found[f"{path}.{attribute}" if path else attribute] = "?" if kind == "plain" else thing
    return found


def found_at(made: RegisteredModules, path: str, kind: str) -> Any:
    """What get_submodule, get_parameter or get_buffer gives, or the AttributeError that it raises."""
    try:
        return made.name_of(getattr(made.root, f"get_{kind}")(path))
    except AttributeError as error:
        return error


def paths_lead_to(case: Registration, kind: str) -> None:
    """Expect get_submodule, get_parameter or get_buffer to give what is at each path to such a thing."""
    made = case.build()
    kinds = {"submodule": "modules", "parameter": "parameters", "buffer": "buffers"}
    model = case.model()
    listed = model.paths(once=False) if kind == "submodule" else model.parts(kinds[kind], once=False)
    expect.some(listed, kind)
    for path, thing in listed:
        found = found_at(made, path, kind)
        expect.that(found == thing, f"get_{kind}({path!r})", thing, repr(found))


def wrong_paths_raise(case: Registration) -> None:
    """Expect an AttributeError for every path to a thing of another kind, and to nothing."""
    made, model = case.build(), case.model()
    there = things_at_paths(made, model)
    nowhere = {**dict.fromkeys(("q", "a.q", "q.a", "a.", "a..b", "a.b."), "?")}
    nowhere |= {f"{path}.q" if path else "q": "?" for path in there}
    nowhere |= {f"{path}.": "?" for path in there if path}
    for path, thing in {**there, **nowhere}.items():
        for letter, kind in (("m", "submodule"), ("p", "parameter"), ("t", "buffer")):
            if thing[0] != letter and not (kind == "submodule" and path == ""):
                found = found_at(made, path, kind)
                expect.that(
                    isinstance(found, AttributeError), f"get_{kind}({path!r})", "AttributeError is raised", repr(found)
                )


def state_of_modules(made: RegisteredModules) -> list[Any]:
    """All that the modules list, each for itself, to be compared with a later look."""
    return [
        (
            made.named(module.named_children()), made.named(module.named_parameters(recurse=False)),
            made.named(module.named_buffers(recurse=False)), module.training,
        )
        for module in made.m
    ]  # fmt: skip


def submodule_is_set(case: Registration, new: bool, options: dict[str, Any]) -> None:
    """Expect set_submodule to put a module at each path to one in turn (or at a new path below each), and no more."""
    for path, _ in case.model().paths(once=False):
        if new:
            path = f"{path}.fresh" if path else "fresh"
        elif not path:
            continue
        made, fresh = case.build(), torch.nn.Module()
        parent, _, attribute = path.rpartition(".")
        expected = [dict(pairs[0]) for pairs in state_of_modules(made)]
        above = next(int(m[1:]) for place, m in case.model().paths(once=False) if place == parent)
        keys = [*case.model().modules[above].modules, *([attribute] if new else [])]
        made.root.set_submodule(path, fresh, **options)
        found = dict(made.root.named_modules(remove_duplicate=False)).get(path)
        expect.same_object(fresh, found, f"module at {path!r} after set_submodule")
        expect.same_object(fresh, getattr(made.m[above], attribute, None), f"{path} as an attribute")
        listed = [key for key, child in made.m[above].named_children() if child is fresh]
        expect.equal([attribute], listed, "names of the new module in its parent")
        expect.equal(keys, list(made.m[above]._modules), "order of the children of the parent")
        after = [dict(pairs[0]) for pairs in state_of_modules(made)]
        for at in range(MODULE_COUNT):
            if at != above:
                expect.equal(expected[at], after[at], f"children of m[{at}] after set_submodule({path!r})")


def trained(case: Registration, mode: bool, way: str) -> None:
    """Expect train(mode) of each module in turn to set the mode of it and of all below, and of nothing else."""
    made, model = case.build(), case.model()
    for at in range(MODULE_COUNT):
        for module in made.m:
            for one in (module, *module.children()):
                one.training = not mode
        module = made.m[at]
        call = {"eval": "eval()", "default": "train()"}.get(way, f"train({mode})")
        found = module.eval() if way == "eval" else module.train() if way == "default" else module.train(mode)
        expect.same_object(module, found, f"m[{at}].{call}")
        below = model.below(at)
        for number, one in enumerate(made.m):
            expect.equal(
                mode if f"m{number}" in below else not mode, one.training, f"m[{number}].training after {call}"
            )


def flags_set(case: Registration, flag: bool) -> None:
    """Expect requires_grad_ of each module in turn to set the flags of the parameters below, and of nothing else."""
    model = case.model()
    for at in range(MODULE_COUNT):
        made = case.build()
        for parameter in made.p:
            parameter.requires_grad = not flag
        found = made.m[at].requires_grad_() if flag and at % 2 else made.m[at].requires_grad_(flag)
        expect.same_object(made.m[at], found, f"m[{at}].requires_grad_({flag})")
        below = {
            thing for name in model.below(at) for thing in model.modules[int(name[1:])].parameters.values()
        }  # fmt: skip
        for number, parameter in enumerate(made.p):
            expected = flag if f"p{number}" in below else not flag
            expect.equal(expected, parameter.requires_grad, f"p[{number}].requires_grad after m[{at}].requires_grad_")
        for number, tensor in enumerate(made.t):
            expect.equal(False, tensor.requires_grad, f"t[{number}].requires_grad")


def gradients_reset(case: Registration) -> None:
    """Expect zero_grad to reset the gradients of all parameters below the root, in each way, and no other's."""
    listed = {thing for _, thing in case.model().parts("parameters")}
    for none in (True, False):
        made = case.build()
        for parameter in made.p:
            parameter.grad = torch.ones_like(parameter)
        for parameter in made.p[::2]:
            parameter.requires_grad_(False)  # frozen since its gradient was computed
        before = [parameter.grad for parameter in made.p]
        made.root.zero_grad() if none else made.root.zero_grad(set_to_none=False)
        for number, parameter in enumerate(made.p):
            what = f"p[{number}].grad after zero_grad({'' if none else 'set_to_none=False'})"
            if f"p{number}" in listed and none:
                expect.that(parameter.grad is None, what, "None", "a tensor")
                continue
            expect.same_object(before[number], parameter.grad, what)
            expected = np.full(tuple(parameter.shape), 0 if f"p{number}" in listed else 1, "float32")
            memory.same_elements(expected, memory.contents(expect.tensor(parameter.grad, what)), what)


def refuses(case: Refusal) -> None:
    """Expect the line to raise, and the module to have what it had."""
    module = case.build()
    before = [(vars(one)["training"], list(one.__dict__)) for one in module.modules()], listed_names(module)
    expect.raises(case.error(), lambda: case.run(module, case.line), case.line)
    after = [(vars(one)["training"], list(one.__dict__)) for one in module.modules()], listed_names(module)
    expect.equal(before, after, f"what the module has after {case.line}")


def listed_names(module: torch.nn.Module) -> list[Any]:
    """The names and things that a module lists, and those registered as None."""
    return [
        [(name, id(thing)) for name, thing in things.items()]
        for things in (module._parameters, module._buffers, module._modules)
    ]


def set_refused(made: RegisteredModules, path: str) -> None:
    """Expect set_submodule to raise AttributeError for a path."""
    expect.raises(AttributeError, lambda: made.root.set_submodule(path, torch.nn.Module()), f"set_submodule({path!r})")
