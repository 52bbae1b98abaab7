"""Sources of samples to collate: leaves of every type, and the containers that they are put into."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.cases import Inputs
from conformance.inputs.bridges import Data, Scalar, Seen
from conformance.inputs.collate_trees import Box, DataBatch, DataSample
from conformance.inputs.covering import covering
from conformance.inputs.dtypes import family
from conformance.inputs.ndarrays import LISTED, array
from conformance.inputs.tensors import Strided, corner
from conformance.inputs.values import pool, values

if TYPE_CHECKING:
    from conformance.engine.cells import Cell

COLLATED_TYPES = family("bool", "integral", "floating", "complex")
LEAF_SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (3,), (2, 3), (0,), (2, 0, 3), (1, 3, 1), (2, 3, 4))
PLAIN_VALUES: dict[str, tuple[Any, ...]] = {
    "int": (0, 7, -1, 2**40, -(2**63), 2**63 - 1, 3),
    "float": (0.5, -0.0, float("nan"), 1 / 3, float("-inf"), 1e300, 5e-324),
    "bool": (True, False, False, True, True, False, True),
    "str": ("a", "", "bc", "é", "0", "a", "long " * 9),
    "bytes": (b"a", b"", b"bc", b"\x00", b"0", b"a", b"long " * 9),
}

# A leaf of a template: (form, type, shape, layout), of which a sample's number makes a plan.
Leaf = tuple[str, str, tuple[int, ...], str]
INT: Leaf = ("plain", "int", (), "")
FLOAT: Leaf = ("plain", "float", (), "")
BOOL: Leaf = ("plain", "bool", (), "")
STR: Leaf = ("plain", "str", (), "")
BYTES: Leaf = ("plain", "bytes", (), "")
TENSOR: Leaf = ("tensor", "float32", (2, 3), "contiguous")
HALF: Leaf = ("tensor", "bfloat16", (3,), "stepped")
VECTOR: Leaf = ("array", "float64", (3,), "contiguous")
BYTES_ARRAY: Leaf = ("array", "uint8", (2, 2), "fortran")
SCALAR: Leaf = ("scalar", "float32", (), "")
LEAVES = (INT, TENSOR, STR, VECTOR, FLOAT, BOOL, SCALAR, BYTES, HALF, BYTES_ARRAY)
# Tensors whose values no memory was written for: conjugated ones, negated ones, and conjugated ones among others.
LAZY_LEAVES = {"conjugated": ("conj()",), "negated": ("conj()", "imag"), "mixed": ("conj()",)}
# Those that default_convert leaves alone, and arrays.
CONVERTED = (VECTOR, INT, BYTES_ARRAY, STR, TENSOR, FLOAT, BYTES, BOOL)


def leaf_plan(leaf: Leaf, turn: int) -> Any:
    """The plan of a leaf in one sample."""
    form, kind, shape, layout = leaf
    if form == "plain":
        return Data(PLAIN_VALUES[kind][turn % 7])
    if form == "scalar":
        return Scalar(kind, pool(kind)[turn % len(pool(kind))])
    if form == "array":
        data = values(kind, ("ordinary", "special")[turn % 2])
        return array(kind, shape, layout, data[turn % len(data) :] + data[: turn % len(data)])
    plan = corner(kind, shape, layout, ("ordinary", "special")[turn % 2], turn=turn)
    return plan if form == "tensor" or (form == "mixed" and not turn % 3) else Seen(plan, LAZY_LEAVES[form])


def planted(template: Any, turn: int) -> Any:
    """The tree of one sample; leaves differ from sample to sample and from place to place."""
    if not isinstance(template, Box):
        return leaf_plan(template, turn)
    if template.kind == "range":
        return Box("range", tuple(Data(turn + n) for n in range(len(template.parts))))
    return Box(template.kind, tuple(planted(x, turn + 3 * n) for n, x in enumerate(template.parts)), template.keys)


def planted_batch(template: Any, count: int, turn: int = 0) -> DataBatch:
    """``count`` samples of one structure."""
    return DataBatch(tuple(planted(template, turn + number) for number in range(count)))


def box(kind: str, *parts: Any) -> Box:
    """A template of a sequence."""
    return Box(kind, parts)


def mapping(kind: str, **parts: Any) -> Box:
    """A template of a mapping."""
    return Box(kind, tuple(parts.values()), tuple(parts))


BATCH_COUNTS = (3, 1, 2, 7)


def _batches(templates: list[Any]) -> Inputs:
    from hypothesis import strategies as st

    corners = [
        planted_batch(template, BATCH_COUNTS[(n + k) % 4], n) for n, template in enumerate(templates) for k in (0, 1)
    ]
    return Inputs(corners, st.builds(planted_batch, st.sampled_from(templates), st.integers(1, 9), st.integers(0, 30)))


# --- leaves -----------------------------------------------------------------------------------------------------


def tensor_batches(cell: Cell) -> Inputs:
    """Tensors of every type, shape and layout, and lazy views of complex ones."""
    layouts = ("contiguous", "transposed", "stepped", "offset", "expanded", "sliced", "channels_last")
    plain = [("tensor", *row) for row in covering(COLLATED_TYPES, LEAF_SHAPES, layouts)]
    lazy = covering(tuple(LAZY_LEAVES), family("complex"), LEAF_SHAPES, layouts)
    found = _batches([*plain, *lazy])
    many = planted_batch(("tensor", "int64", (2,), "contiguous"), 300)  # more than a byte counts
    return _on_device(cell, Inputs([*found.corners, many], found.samples))


def _on_device(cell: Cell, inputs: Inputs) -> Inputs:
    """The same batches of tensors on the target."""
    device = cell.target.device

    def moved(batch: DataBatch) -> DataBatch:
        return DataBatch(tuple(placed(plan) for plan in batch.samples))

    def placed(plan: Strided | Seen) -> Strided | Seen:
        if isinstance(plan, Seen):
            return replace(plan, base=replace(plan.base, device=device))
        return replace(plan, device=device)

    samples = None if inputs.samples is None else inputs.samples.map(moved)
    return Inputs([moved(batch) for batch in inputs.corners], samples)


def array_batches(cell: Cell) -> Inputs:
    """NumPy arrays of every type that from_numpy documents, in every layout that it takes."""
    layouts = ("contiguous", "fortran", "stepped", "offset", "sliced", "field", "broadcast")
    return _batches([("array", *row) for row in covering(LISTED, LEAF_SHAPES, layouts)])


def scalar_batches(cell: Cell) -> Inputs:
    """NumPy scalars of every type that torch has and takes."""
    corners = [
        DataBatch(tuple(Scalar(kind, pool(kind)[(start + n) % len(pool(kind))]) for n in range(count)))
        for kind in LISTED
        for start, count in ((0, 1), (1, 3), (0, len(pool(kind))))
    ]
    return Inputs(corners)


def plain_batches(cell: Cell, *kinds: str) -> Inputs:
    """Numbers or strings of one kind, alone and in containers."""
    from hypothesis import strategies as st

    leaves: list[Any] = [("plain", kind, (), "") for kind in kinds]
    templates = [*leaves, *(mapping("dict", a=x, b=x) for x in leaves), *(box("list", x, x) for x in leaves)]
    templates += [box("pair", x, mapping("dict", k=x)) for x in leaves]
    corners = [
        planted_batch(template, count, turn) for template in templates for turn, count in enumerate((1, 2, 3, 7, 40))
    ]
    return Inputs(corners, st.builds(planted_batch, st.sampled_from(templates), st.integers(1, 9), st.integers(0, 30)))


def int_batches(cell: Cell) -> Inputs:
    """Python ints."""
    return plain_batches(cell, "int")


def float_batches(cell: Cell) -> Inputs:
    """Python floats."""
    return plain_batches(cell, "float")


def bool_batches(cell: Cell) -> Inputs:
    """Python bools."""
    return plain_batches(cell, "bool")


def string_batches(cell: Cell) -> Inputs:
    """Strings and bytes."""
    return plain_batches(cell, "str", "bytes")


# --- containers -------------------------------------------------------------------------------------------------


def _in_containers(kinds: tuple[str, ...], leaves: tuple[Leaf, ...] = LEAVES) -> list[Any]:
    """Each kind around every leaf, beside others, and inside and around other containers."""
    found: list[Any] = []
    for kind in kinds:
        for n, leaf in enumerate(leaves):
            following, third = leaves[(n + 1) % len(leaves)], leaves[(n + 3) % len(leaves)]
            one = _filled(kind, leaf, following)
            outer = ("dict", "list", "pair")[n % 3]
            found += [one, _filled(outer, one, third), _filled(kind, _filled(outer, leaf, third), one)]
    return found


def _filled(kind: str, first: Any, second: Any) -> Box:
    """A container with two parts, or as many as its kind has."""
    if kind in ("dict", "ordered", "user", "proxy", "default", "noted", "counter", "fixed"):
        return mapping(kind, image=first, label=second)
    return box(kind, first) if kind == "single" else box(kind, first, second)


def mapping_batches(cell: Cell) -> Inputs:
    """Dicts, with text and other keys, empty ones and ones of one key."""
    odd = Box("dict", (INT, TENSOR, STR), (1, ("a", 2), None))
    return _batches([*_in_containers(("dict",)), odd, Box("dict", ()), mapping("dict", only=VECTOR)])


def namedtuple_batches(cell: Cell) -> Inputs:
    """Namedtuples of two fields and of one."""
    return _batches(_in_containers(("pair", "single")))


def list_batches(cell: Cell) -> Inputs:
    """Lists, long, short and empty."""
    return _batches([*_in_containers(("list",)), box("list"), box("list", STR), box("list", *LEAVES)])


def tuple_batches(cell: Cell) -> Inputs:
    """Tuples, long, short and empty."""
    return _batches([*_in_containers(("tuple",)), box("tuple"), box("tuple", INT), box("tuple", *LEAVES)])


def typed_mapping_batches(cell: Cell) -> Inputs:
    """Mappings of other types, that can be made from a dict."""
    return _batches(_in_containers(("ordered", "user", "proxy")))


def noted_mapping_batches(cell: Cell) -> Inputs:
    """Mappings that have more to them than their items."""
    return _batches(_in_containers(("default", "noted")))


def fixed_mapping_batches(cell: Cell) -> Inputs:
    """Mappings that can neither be made from a dict nor changed."""
    return _batches(_in_containers(("fixed",)))


def counter_batches(cell: Cell) -> Inputs:
    """Counters, of which update adds."""
    templates = [
        mapping("counter", a=INT, b=INT),
        mapping("dict", c=mapping("counter", a=INT)),
        mapping("counter", a=BOOL),
    ]
    return Inputs(
        [planted_batch(template, count, turn) for template in templates for turn, count in ((0, 1), (1, 2), (6, 3))]
    )


def typed_sequence_batches(cell: Cell) -> Inputs:
    """Sequences of other types, that can be made from a list."""
    return _batches(_in_containers(("userlist", "deque", "frozenrow")))


def noted_sequence_batches(cell: Cell) -> Inputs:
    """Sequences that have more to them than their items."""
    return _batches(_in_containers(("notedlist", "deque")))


def fixed_sequence_batches(cell: Cell) -> Inputs:
    """Sequences that can neither be made from a list nor changed."""
    return _batches([*_in_containers(("fixedrow",)), box("range", INT, INT, INT), mapping("dict", r=box("range", INT))])


def standard_array_batches(cell: Cell) -> Inputs:
    """Arrays of the standard library, of one, two and three numbers, by themselves and in a dict."""
    arrays = [box("array", *[FLOAT] * count) for count in (1, 2, 3)]
    return _batches([*arrays, mapping("dict", a=arrays[1])])


def key_batches(cell: Cell) -> Inputs:
    """Mappings with many keys in no order of the alphabet."""
    templates = [
        Box(kind, (INT,) * 7, ("z", "a", "m", 3, 1, "b", None)) for kind in ("dict", "ordered", "user", "proxy")
    ]
    return Inputs([planted_batch(template, count) for template in templates for count in (1, 2, 5)])


PUBLIC_KINDS = ("dict", "list", "pair", "tuple", "single")


def drawn_templates(leaves: tuple[Leaf, ...], kinds: tuple[str, ...]) -> Any:
    """A strategy of trees up to three containers deep."""
    from hypothesis import strategies as st

    def around(inner: Any) -> Any:
        return st.builds(_filled, st.sampled_from(kinds), inner, inner)

    leaf = st.sampled_from(leaves)
    return st.one_of(around(leaf), around(st.one_of(leaf, around(leaf))), around(around(st.one_of(leaf, around(leaf)))))


def nested_batches(cell: Cell) -> Inputs:
    """Three containers deep, each kind in each kind in each kind, and each kind around two rounds of all."""
    from hypothesis import strategies as st

    rows = covering(PUBLIC_KINDS, PUBLIC_KINDS, PUBLIC_KINDS, LEAVES, LEAVES, BATCH_COUNTS)
    corners = []
    for turn, (outer, middle, inner, first, second, count) in enumerate(rows):
        deepest = _filled(inner, first, second)
        corners.append(planted_batch(_filled(outer, _filled(middle, second, deepest), first), count, turn))
        corners.append(planted_batch(_filled(outer, second, _filled(middle, deepest, deepest)), count, turn + 1))
    for turn, kind in enumerate(PUBLIC_KINDS):
        deep: Any = box("list", VECTOR, INT)
        for outer in (*PUBLIC_KINDS * 2, kind):
            deep = _filled(outer, deep, STR)
        corners.append(planted_batch(deep, 2, turn))
    drawn = st.builds(planted_batch, drawn_templates(LEAVES, PUBLIC_KINDS), st.integers(1, 5), st.integers(0, 20))
    return Inputs(corners, drawn)


def mixed_batches(cell: Cell) -> Inputs:
    """Containers of every kind that can be changed, in one another."""
    kinds = ("dict", "list", "ordered", "user", "noted", "notedlist", "deque", "userlist", "default", "pair")
    return _batches(_in_containers(kinds, (TENSOR, INT, VECTOR, STR)))


def memory_batches(cell: Cell) -> Inputs:
    """Samples of tensors and arrays that have elements, one of them alone too."""
    leaves: list[Leaf] = [
        TENSOR,
        HALF,
        VECTOR,
        BYTES_ARRAY,
        ("tensor", "int64", (), "offset"),
        ("array", "int64", (), "contiguous"),
        ("array", "float32", (1,), "contiguous"),
        ("tensor", "float64", (1, 1), "contiguous"),
    ]
    templates = [
        x
        for leaf in leaves
        for x in (leaf, mapping("dict", a=leaf), box("list", leaf, TENSOR), box("pair", leaf, VECTOR))
    ]
    return Inputs([planted_batch(template, count) for template in templates for count in (1, 2)])


def gradient_batches(cell: Cell) -> Inputs:
    """Tensors of floating type, in every layout that may require grad."""
    types = family("floating")
    rows = covering(types, ((), (1,), (3,), (2, 3), (0,)), ("contiguous", "transposed", "stepped", "offset"))
    corners = [planted_batch(("tensor", *row), BATCH_COUNTS[n % 4]) for n, row in enumerate(rows)]
    return _on_device(cell, Inputs(corners))


# --- conversion -------------------------------------------------------------------------------------------------


def _conversions(templates: list[Any]) -> Inputs:
    from hypothesis import strategies as st

    corners = [DataSample(planted(template, turn)) for turn, template in enumerate(templates)]
    drawn = st.builds(planted, st.sampled_from(templates), st.integers(0, 30))
    return Inputs(corners, drawn.map(DataSample))


def converted_arrays(cell: Cell) -> Inputs:
    """Arrays of every type, shape and layout, alone and in containers."""
    layouts = ("contiguous", "fortran", "stepped", "offset", "sliced", "field", "broadcast")
    plain = [("array", *row) for row in covering(LISTED, LEAF_SHAPES, layouts)]
    return _conversions([*plain, *(_filled(PUBLIC_KINDS[n % 5], leaf, INT) for n, leaf in enumerate(plain[::3]))])


def solid_arrays(cell: Cell) -> Inputs:
    """Arrays that have elements and may be written, alone and in containers."""
    shapes = tuple(shape for shape in LEAF_SHAPES if 0 not in shape)
    plain = [("array", *row) for row in covering(LISTED, shapes, ("contiguous", "fortran", "stepped", "offset"))]
    return _conversions([*plain, *(_filled(PUBLIC_KINDS[n % 5], leaf, INT) for n, leaf in enumerate(plain[::5]))])


def converted_structures(cell: Cell) -> Inputs:
    """Containers three deep around arrays and other data."""
    rows = covering(PUBLIC_KINDS, PUBLIC_KINDS, PUBLIC_KINDS, CONVERTED, CONVERTED)
    templates = []
    for outer, middle, inner, first, second in rows:
        templates.append(_filled(outer, _filled(middle, second, _filled(inner, first, second)), first))
    many = (mapping("dict", a=VECTOR, b=STR, c=INT, d=VECTOR), box("list", *CONVERTED), box("tuple", *CONVERTED))
    found = _conversions([*templates, box("list"), box("tuple"), Box("dict", ()), *many])
    return Inputs(found.corners, drawn_templates(CONVERTED, PUBLIC_KINDS).map(_sample))


def _sample(template: Any) -> DataSample:
    return DataSample(planted(template, 1))


def converted_scalars(cell: Cell) -> Inputs:
    """NumPy scalars, alone and in containers."""
    plain: list[Leaf] = [("scalar", kind, (), "") for kind in LISTED]
    return _conversions([*plain, *(_filled(PUBLIC_KINDS[n % 5], leaf, VECTOR) for n, leaf in enumerate(plain))])


def converted_types(cell: Cell) -> Inputs:
    """Mappings and sequences of other types, that can be made from a dict or a list."""
    return _conversions(_in_containers(("ordered", "user", "proxy", "userlist", "deque", "frozenrow"), CONVERTED))


def converted_extras(cell: Cell) -> Inputs:
    """Mappings and sequences that have more to them than their items."""
    return _conversions(_in_containers(("default", "noted", "notedlist", "deque"), CONVERTED))


def converted_fixed(cell: Cell) -> Inputs:
    """Mappings and sequences that cannot be made anew."""
    return _conversions([*_in_containers(("fixed", "fixedrow"), CONVERTED), box("range", INT, INT, INT)])


def converted_mixed(cell: Cell) -> Inputs:
    """Containers of every kind that can be changed, in one another."""
    kinds = ("dict", "list", "ordered", "user", "noted", "notedlist", "deque", "userlist", "default", "pair")
    return _conversions(_in_containers(kinds, (VECTOR, INT, BYTES_ARRAY, STR)))


def converted_counters(cell: Cell) -> Inputs:
    """Counters, of which update adds."""
    templates = [
        mapping("counter", a=INT, b=INT),
        mapping("dict", c=mapping("counter", a=INT)),
        box("list", mapping("counter", k=INT)),
    ]
    return Inputs([DataSample(planted(template, turn)) for template in templates for turn in (1, 2, 6)])
