"""Cross version: files that one torch writes, and another one reads.

``python conformance/cross_version.py WRITER READER`` takes two Python interpreters with a torch each, lets the first
write files and the second read them, and then the other way round. That a newer torch reads what an older one wrote
is promised; what an older one makes of a newer file is printed and is no failure. It needs nothing of this project,
so that any environment with torch will do.
Reference: https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

TYPES = (
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "complex128",
)
SHAPES = ((), (0,), (1,), (2, 3), (2, 0, 3), (2, 3, 4))
FORMATS = ("archive", "old")


def pattern(count: int) -> list[int]:
    """Whole numbers that every type can hold, as many as are asked for."""
    return [(7 * k + 3) % 100 for k in range(count)]


def tensor_of(torch: Any, dtype: str, shape: tuple[int, ...], layout: str) -> Any:
    """A tensor of the pattern; ``stepped`` and ``transposed`` ones lie in a larger storage or otherwise."""
    count = 1
    for extent in shape:
        count *= extent
    values = torch.tensor(pattern(2 * count + 1)).to(getattr(torch, dtype))
    if layout == "stepped":
        return values[1::2].reshape(-1)[:count].reshape(shape) if len(shape) != 1 else values[1 : 2 * count + 1 : 2]
    if layout == "transposed":
        return values[:count].reshape(tuple(reversed(shape))).permute(tuple(reversed(range(len(shape)))))
    return values[:count].reshape(shape).clone()


def objects(torch: Any) -> dict[str, Any]:
    """Everything that is written, by the name of its file."""
    found: dict[str, Any] = {}
    for dtype in TYPES:
        for shape in SHAPES:
            for layout in ("plain", "stepped", "transposed"):
                extents = "x".join(map(str, shape)) or "scalar"
                found[f"{dtype}-{extents}-{layout}"] = tensor_of(torch, dtype, shape, layout)
    base = tensor_of(torch, "float32", (3, 4), "plain")
    found["views"] = [base[1:], base, base.t(), {"deep": (base.reshape(-1)[::2],)}]
    found["nan"] = torch.tensor([0x7FC00001, -0x3FFFFF, -0x80000000, 0x7F800000], dtype=torch.int32).view(torch.float32)
    found["parameter"] = torch.nn.Parameter(base.clone())
    found["conjugate"] = torch.tensor([1 + 2j, 3 - 4j]).conj()
    found["containers"] = {"a": [1, (2, None, True)], "b": OrderedDict([("z", "é"), ("y", base)]), 3: torch.float16}
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) + number)
    found["state-dict"] = module.state_dict()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5, momentum=0.5)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    found["optimizer"] = {"state": optimizer.state_dict()["state"]}
    return found


def told(torch: Any, thing: Any, storages: list[Any]) -> Any:
    """An object in words that two processes can compare: bits, shapes, and which storage each tensor lies in."""
    if isinstance(thing, torch.Tensor):
        data = thing.detach()
        address = data.storage().data_ptr() if data.numel() else None
        if address is not None and address not in storages:
            storages.append(address)
        width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.int64}[data.element_size()]
        flat = (torch.view_as_real(data.resolve_conj()) if data.is_complex() else data).contiguous().reshape(-1)
        bits = flat.to(torch.uint8) if data.dtype is torch.bool else flat
        if flat.is_complex() or data.is_floating_point() or data.is_complex():
            width = {2: torch.int16, 4: torch.int32, 8: torch.int64}[flat.element_size()]
            bits = flat.view(width)
        return [
            "tensor",
            type(thing).__name__,
            str(thing.dtype),
            list(thing.shape),
            list(thing.stride()),
            thing.storage_offset(),
            thing.requires_grad,
            None if address is None else storages.index(address),
            bits.tolist(),
        ]
    if isinstance(thing, dict):
        return [type(thing).__name__, [[repr(key), told(torch, value, storages)] for key, value in thing.items()]]
    if isinstance(thing, (list, tuple)):
        return [type(thing).__name__, [told(torch, part, storages) for part in thing]]
    return repr(thing)


def write(folder: str) -> dict[str, Any]:
    """Write every object in both formats; returns what each is, and which could not be written."""
    import torch

    trust = {"weights_only": False}
    found: dict[str, Any] = {"torch": torch.__version__, "said": {}, "refused": {}}
    for name, thing in objects(torch).items():
        for form in FORMATS:
            try:
                torch.save(thing, Path(folder, f"{name}.{form}"), _use_new_zipfile_serialization=form == "archive")
                found["said"][f"{name}.{form}"] = said = told(torch, thing, [])
                if told(torch, torch.load(Path(folder, f"{name}.{form}"), **trust), []) != said:
                    found["refused"][f"{name}.{form}"] = "a file that this torch itself reads otherwise"
            except Exception as error:  # told to whoever asked
                found["refused"][f"{name}.{form}"] = f"{type(error).__name__}: {error}"
    return found


def read(folder: str) -> dict[str, Any]:
    """Read every file; returns what came of each, with the pickler that trusts and the one that does not."""
    import torch

    found: dict[str, Any] = {"torch": torch.__version__, "said": {}}
    for path in sorted(Path(folder).iterdir()):
        for careful in (True, False):
            try:
                thing = torch.load(path, weights_only=careful)
                found["said"][f"{path.name} weights_only={careful}"] = told(torch, thing, [])
            except Exception as error:  # told to whoever asked
                found["said"][f"{path.name} weights_only={careful}"] = f"{type(error).__name__}: {error}"
    return found


def ask(python: str, *arguments: str) -> dict[str, Any]:
    """What this script says under another interpreter."""
    command = [python, "-W", "ignore", __file__, *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{python}: expected a torch that writes and reads; found: {answer.stderr.strip()[-600:]}")
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def compare(writer: str, reader: str) -> list[str]:
    """A line for every file that the reader does not read as it was written."""
    with tempfile.TemporaryDirectory() as folder:
        written, got = ask(writer, "--write", folder), ask(reader, "--read", folder)
    way = f"written by {written['torch']}, read by {got['torch']}"
    for name, why in written["refused"].items():
        print(f"{way}: not compared: {name}: {why}")
    lines = []
    for name, said in got["said"].items():
        file = name.split(" ")[0]
        expected = written["said"][file]
        if said != expected and file not in written["refused"]:
            lines.append(f"{way}: {name}: expected: {json.dumps(expected)[:120]}; found: {json.dumps(said)[:160]}")
    print(f"{way}: {len(got['said'])} readings, {len(lines)} otherwise than written")
    if release(got["torch"]) < release(written["torch"]):
        print("".join(f"no page promises this direction: {line}\n" for line in lines), end="")
        return []
    return lines


def release(version: str) -> tuple[int, ...]:
    """(2, 13, 0) of ``2.13.0+cpu``."""
    return tuple(int(part) for part in version.split("+")[0].split(".")[:3] if part.isdigit())


def main(arguments: list[str]) -> int:
    """Exit status 0 where every file is read as it was written, in both directions, and 1 otherwise."""
    if len(arguments) == 2 and arguments[0] in ("--write", "--read"):
        print(json.dumps((write if arguments[0] == "--write" else read)(arguments[1])))
        return 0
    if len(arguments) != 2:
        print(f"usage: cross_version.py WRITER READER: expected two interpreters, found {len(arguments)} arguments")
        return 2
    lines = [line for pair in (arguments, arguments[::-1]) for line in compare(*pair)]
    print("\n".join(lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
