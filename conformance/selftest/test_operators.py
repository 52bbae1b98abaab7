"""The catalogue of in-place methods, the calls made of it, and the references that judge them."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from conformance.engine.catalogue import Operator, operators, rows
from conformance.engine.versions import out_of_range
from conformance.inputs import calls as calls_module
from conformance.inputs import operands
from conformance.inputs.call_strategies import inplace_samples
from conformance.inputs.calls import REFERENCES, Call, inplace_corners
from conformance.inputs.corners import corners_of, factors
from conformance.inputs.covering import covering_numbers
from conformance.inputs.dtypes import FAMILIES, family, torch_dtype
from conformance.inputs.layouts import DISJOINT
from conformance.inputs.makers import TAILS
from conformance.inputs.tensors import corner
from conformance.inputs.values import DOMAINS, pool, values
from conformance.oracles import memory, references
from conformance.oracles.numbers import TOLERANCES
from conformance.oracles.promotion import promoted, result_type
from conformance.oracles.references import elementwise, indexed, matrix, special, whole

ROWS = [row for row in rows().values() if out_of_range(torch.__version__, row.since, row.until) is None]
JUDGED = ("elementwise", "scan", "matrix", "triangle", "indexed", "fill", "copy", "python")


def by_name(row: Operator) -> str:
    return row.name


def one_dimensional(numbers: list[float], dtype: Any = np.longdouble) -> np.ndarray:
    return np.array(numbers, dtype=dtype)


# --- the catalogue against torch ------------------------------------------------------------------------------


def test_every_inplace_method_is_in_the_catalogue() -> None:
    """Each public in-place method of this build has a row, or is excluded with a reason."""
    methods = {m for m in dir(torch.Tensor) if m.endswith("_") and not m.endswith("__") and m[0] != "_"}
    known = set(rows()) | {method.name for method in operators().excluded}

    assert methods - known == set()


def test_every_row_is_a_method_of_the_versions_that_it_names() -> None:
    """A row whose versions include this build's names a method that this build has."""
    missing = [row.name for row in ROWS if not hasattr(torch.Tensor, row.name)]

    assert missing == []


def test_no_method_is_both_in_and_out() -> None:
    """No method has a row and is excluded as well."""
    assert set(rows()) & {method.name for method in operators().excluded} == set()


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_row_names_what_exists(row: Operator) -> None:
    """Families, domains, accuracy classes, references and counterparts that a row names are there."""
    classes = [row.accuracy] if isinstance(row.accuracy, str) else list(row.accuracy.values())
    classes += [variant.accuracy for variant in row.variants if variant.accuracy]
    domains = [row.domain, *(x.domain for x in row.arguments), *(v.domain for v in row.variants if v.domain)]
    named = {d for domain in domains for d in ([domain] if isinstance(domain, str) else domain.values())}
    dtypes = {name for part in (row.dtypes, *(v.dtypes or () for v in row.variants)) for name in part}

    assert set(classes) <= set(TOLERANCES)
    assert named <= set(DOMAINS)
    assert all(name in FAMILIES or hasattr(torch, name) for name in dtypes)
    assert row.functional is None or hasattr(torch.Tensor, row.functional) or hasattr(torch, row.functional)
    assert not row.out or (row.functional is not None and hasattr(torch, row.functional))
    assert row.broadcasts or all(x.shape != "broadcast" for x in row.arguments)


@pytest.mark.parametrize("row", [row for row in ROWS if row.kind in JUDGED], ids=by_name)
def test_a_row_has_a_reference_that_its_calls_can_print(row: Operator) -> None:
    """What computes by a formula is judged by a reference, and that is in scope where a call prints itself."""
    names = {row.reference, *(variant.reference for variant in row.variants if variant.reference)}

    assert None not in names
    for name in names:
        found = references.named(str(name))
        assert str(name).startswith("np.") or found in REFERENCES


@pytest.mark.parametrize("row", [row for row in ROWS if row.alias_of], ids=by_name)
def test_an_alias_is_called_as_what_it_is_an_alias_of(row: Operator) -> None:
    """An alias has the operands, types, domains and reference of the row that it names."""
    original = rows()[str(row.alias_of)]
    kept = ("kind", "arguments", "dtypes", "domain", "promotion", "reference", "accuracy", "variants", "out")

    assert {key: getattr(original, key) for key in kept} == {key: getattr(row, key) for key in kept}


# --- the calls ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_corners_are_there_and_the_same_each_time(row: Operator) -> None:
    """A row has corners, of every element type that it names, and making them again gives the same."""
    first = inplace_corners(row)
    corners_of.cache_clear()
    corner.cache_clear()
    second = inplace_corners(row)

    assert 30 <= len(first) <= 220
    assert {call.self_.dtype for call in first} == set(family(*row.dtypes))
    assert [repr(call) for call in first] == [repr(call) for call in second]


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_every_pair_of_factors_is_covered(row: Operator) -> None:
    """Each choice of a factor meets each choice of every other factor in some corner."""
    sizes = [len(factor) for factor in factors(row)]
    combos = covering_numbers(*sizes)

    for a, b in combinations(range(len(sizes)), 2):
        met = {(combo[a], combo[b]) for combo in combos}
        assert len(met) == sizes[a] * sizes[b]


@pytest.mark.parametrize("row", [row for row in ROWS if row.kind == "elementwise"], ids=by_name)
def test_every_type_is_seen_in_every_layout_and_length(row: Operator) -> None:
    """Each element type occurs in each real layout with several elements, in each length with a tail, and empty."""
    wanted = {(d, x) for d in family(*row.dtypes) for x in (*DISJOINT, *TAILS, "0-d", "empty")}
    met: set[tuple[str, Any]] = set()
    for call in inplace_corners(row):
        plan = call.self_
        met.add((plan.dtype, plan.shape))
        met.add((plan.dtype, "0-d" if plan.shape == () else "empty" if not plan.array.size else ""))
        if plan.array.size > 1:
            met.add((plan.dtype, plan.layout))

    assert wanted <= met


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_every_variant_occurs(row: Operator) -> None:
    """Each documented way to write the arguments is taken by some corner."""
    wanted = {(repr(sorted(v.keywords.items())), v.args) for v in row.variants if row.kind not in ("norm", "python")}
    found = [(call.kwargs, call.args) for call in inplace_corners(row)]

    for keywords, args in wanted:
        assert any(
            keywords == repr(sorted((k, v) for k, v in kwargs.items() if k != "generator"))
            and (not args or given[-len(args) :] == args)
            for kwargs, given in found
        )


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_call_is_what_it_prints(row: Operator) -> None:
    """The printed form of a call is executable Python that makes the same call, down to the bytes."""
    scope = dict(vars(calls_module))
    for call in inplace_corners(row)[::5]:
        again = eval(repr(call), scope)
        assert isinstance(again, Call)
        assert repr(call) == repr(again)
        assert memory.storage_bytes(call.build().self_) == memory.storage_bytes(again.build().self_)


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_reductions_are_simpler_calls_of_the_same_operator(row: Operator) -> None:
    """A reduction builds, keeps the method and the element type, and never has more elements or distinct values."""
    for call in inplace_corners(row)[::17]:
        for simpler in list(call.reductions())[:40]:
            simpler.build()

            assert (simpler.method, simpler.self_.dtype) == (call.method, call.self_.dtype)
            assert simpler.self_.array.size <= call.self_.array.size
            assert len(repr(simpler)) <= 2 * len(repr(call)) + 1000


def test_a_failing_corner_can_be_reduced_to_one_element() -> None:
    """Greedy reduction of a call that fails on NaN ends with one NaN in a contiguous self."""
    calls = [c for c in inplace_corners(rows()["add_"]) if c.self_.array.dtype.kind == "f" and c.self_.array.ndim > 1]
    call = next(c for c in calls if np.isnan(c.self_.array).any() and c.self_.layout != "contiguous")
    while True:
        simpler = next((c for c in call.reductions() if np.isnan(c.self_.array).any()), None)
        if simpler is None:
            break
        call = simpler

    assert call.self_.array.size == 1
    assert call.self_.layout == "contiguous"


@pytest.mark.parametrize("name", ["add_", "index_add_", "masked_fill_", "addmm_", "clamp_", "normal_"])
def test_samples_are_drawn_from_few_bytes(name: str) -> None:
    """A sample is a call that builds, and its strategy is not empty."""
    from hypothesis import HealthCheck, Phase, given, seed, settings

    built = []

    @settings(
        max_examples=30, database=None, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
    )  # fmt: skip
    @seed(1)
    @given(inplace_samples(rows()[name]))
    def draw(call: Call) -> None:
        built.append(call.build())

    draw()

    assert len(built) >= 20


def test_large_calls_occur_where_values_are_computed() -> None:
    """Element-by-element rows are also called above the size from which work is split among threads."""
    for row in ROWS:
        if row.kind in ("elementwise", "copy", "random") and row.inputs is None:
            assert max(call.self_.array.size for call in inplace_corners(row)) > 32768


@pytest.mark.parametrize("domain", sorted(DOMAINS))
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "bfloat16", "float64"])
def test_values_stay_in_their_domain(dtype: str, domain: str) -> None:
    """Every listed value that a domain gives lies in the domain, and there is one of each kind."""
    if domain == "small-complex" or (domain == "not-whole" and "int" in dtype):
        pytest.skip("a domain of other types")
    for kind in ("ordinary", "special", "zeros"):
        assert values(dtype, kind, domain)
        assert all(DOMAINS[domain](x) for x in values(dtype, kind, domain))
    assert set(map(repr, values(dtype, "ordinary", domain))) <= set(map(repr, pool(dtype, domain)))


# --- promotion ------------------------------------------------------------------------------------------------

NAMES = family("bool", "integral", "floating", "complex")


@pytest.mark.parametrize("first", NAMES)
def test_promotion_of_two_types(first: str) -> None:
    """The written-out table agrees with torch.promote_types for every pair."""
    for second in NAMES:
        expected = torch.promote_types(torch_dtype(first), torch_dtype(second))

        assert expected == torch_dtype(promoted(first, second)), (first, second)


@pytest.mark.parametrize("first", NAMES)
def test_promotion_with_0_d_tensors_and_numbers(first: str) -> None:
    """The priorities of dimensions, 0-d tensors and numbers agree with torch.result_type."""
    self_ = corner(first, (2, 3), "contiguous")
    others: list[Any] = [corner(second, shape, "contiguous") for second in NAMES for shape in ((), (3,))]
    for other in [*others, True, 2, 2.5, 1j]:
        live = other.build() if hasattr(other, "build") else other
        expected = torch.result_type(self_.build(), live)

        assert expected == torch_dtype(result_type([self_, other])), (first, other)


# --- references: constants from the literature ----------------------------------------------------------------

SQRT_PI = math.sqrt(math.pi)
KNOWN: list[tuple[Callable[..., Any], tuple[Any, ...], float]] = [
    (special.error_function, (0.5,), 0.5204998778130465),
    (special.error_function, (-3.0,), -0.9999779095030014),
    (special.error_function_complement, (3.0,), 2.209049699858544e-05),
    (special.error_function_complement, (0.5,), 0.4795001221869535),
    (special.error_function_complement, (-1.0,), 1.8427007929497149),
    (special.error_function_inverse, (0.5,), 0.4769362762044699),
    (special.error_function_inverse, (-0.9,), -1.1630871536766743),
    (special.psi, (1.0,), -0.5772156649015329),
    (special.psi, (0.5,), -1.9635100260214235),
    (special.psi, (-0.5,), 0.03648997397857652),
    (special.log_gamma, (0.5,), math.log(SQRT_PI)),
    (special.log_gamma, (10.0,), math.log(362880.0)),
    (special.log_gamma, (-1.5,), math.log(4 * SQRT_PI / 3)),
    (special.log_gamma, (1.0,), 0.0),
    (special.log_gamma, (1.25,), -0.09827183642181316),
    # by the factorials that the gamma function of a half-integer is made of
    (special.log_gamma, (10.5,), math.log(math.factorial(20) * SQRT_PI / 4**10 / math.factorial(10))),
    (special.bessel_i0, (1.0,), 1.2660658777520084),
    (special.bessel_i0, (-2.0,), 2.2795853023360673),
    (special.psi_derivative, (1.0, 1), math.pi**2 / 6),
    (special.psi_derivative, (1.0, 2), -2.4041138063191886),
    (special.psi_derivative, (0.5, 1), math.pi**2 / 2),
    (special.psi_derivative, (1.0, 3), math.pi**4 / 15),
    (special.multivariate_log_gamma, (2.0, 2), math.log(math.pi) / 2 + math.log(SQRT_PI / 2)),
    (special.log_odds, (0.75,), math.log(3.0)),
    (special.log_odds, (0.0, 0.25), -math.log(3.0)),
    (elementwise.logistic, (0.0,), 0.5),
    (elementwise.cardinal_sine, (0.5,), 2 / math.pi),
    (elementwise.cardinal_sine, (0.0,), 1.0),
    (elementwise.in_radians, (180.0,), math.pi),
    (elementwise.in_degrees, (math.pi,), 180.0),
    (elementwise.nearest, (2.5,), 2.0),
    (elementwise.nearest, (-0.5,), -0.0),
    (elementwise.fraction, (-1.75,), -0.75),
]


@pytest.mark.parametrize(("function", "args", "expected"), KNOWN, ids=lambda x: getattr(x, "__name__", str(x)))
def test_a_reference_knows_the_constants(function: Callable[..., Any], args: tuple[Any, ...], expected: float) -> None:
    """A reference of one operand gives the published value."""
    found = function(one_dimensional([args[0]]), *args[1:])

    assert float(found[0]) == pytest.approx(expected, rel=1e-15, abs=1e-300)
    assert math.copysign(1, float(found[0])) == math.copysign(1, expected)


@pytest.mark.parametrize(
    ("a", "x", "lower"),
    [(1.0, 1.0, 1 - math.exp(-1)), (0.5, 0.25, 0.5204998778130465), (2.0, 3.0, 1 - 4 * math.exp(-3.0))],
)
def test_incomplete_gamma_functions(a: float, x: float, lower: float) -> None:
    """The two are 1 - exp(-x) for a = 1, erf(sqrt(x)) for a = 1/2, and add up to 1."""
    order, at = one_dimensional([a]), one_dimensional([x])

    assert float(special.gamma_lower(order, at)[0]) == pytest.approx(lower, rel=1e-15)
    assert float(special.gamma_upper(order, at)[0]) == pytest.approx(1 - lower, rel=1e-14)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_limits_of_special_functions() -> None:
    """Poles, infinities and NaN come out as the documentation and the limits say."""
    inf, nan = math.inf, math.nan

    assert special.error_function(one_dimensional([inf, -inf])).tolist() == [1.0, -1.0]
    assert special.error_function_inverse(one_dimensional([1.0, -1.0])).tolist() == [inf, -inf]
    assert np.isnan(special.error_function_inverse(one_dimensional([1.5, nan]))).all()
    assert special.psi(one_dimensional([0.0, -0.0])).tolist() == [-inf, inf]
    assert np.isnan(special.psi(one_dimensional([-1.0, -2.0]))).all()
    assert special.log_gamma(one_dimensional([0.0, -3.0, inf])).tolist() == [inf, inf, inf]


INTEGERS = np.array([-7, -1, 0, 7], np.int8)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (elementwise.quotient(INTEGERS, np.int8(2), rounding_mode="trunc"), [-3, 0, 0, 3]),
        (elementwise.quotient(INTEGERS, np.int8(2), rounding_mode="floor"), [-4, -1, 0, 3]),
        (elementwise.modulus(INTEGERS, np.int8(3)), [2, 2, 0, 1]),
        (elementwise.modulus(INTEGERS, np.int8(-3)), [-1, -1, 0, -2]),
        (elementwise.plus(np.array([127, -128], np.int8), np.int8(1)), [-128, -127]),
        (elementwise.plus(np.array([True, True, False]), np.array([True, False, False])), [True, True, False]),
        (elementwise.sign_of(np.array([-3, 0, 5])), [-1, 0, 1]),
        (elementwise.sign_of(np.array([-2j, 0j, 4 + 0j])), [-1j, 0, 1]),
        (elementwise.clamped(np.array([-1.0, 5.0]), 3.0, 2.0), [2.0, 2.0]),
        (elementwise.step_at_zero(np.array([-1.0, 0.0, 2.0]), 0.5), [0.0, 0.5, 1.0]),
        (elementwise.x_log_y(np.array([0.0, 2.0]), np.array([2.0, 1.0])), [0.0, 0.0]),
        (elementwise.scaled_by_power_of_two(np.array([0.75]), np.array([3.0])), [6.0]),
        (elementwise.between(np.array([1.0]), np.array([3.0]), 0.25), [1.5]),
        (elementwise.numbered(np.array([math.nan, math.inf, -math.inf]), dtype="float16"), [0.0, 65504.0, -65504.0]),
        (elementwise.next_after(np.array([0.0, 1.0, 1.0, -1.0]), np.array([1.0, 2.0, 0.0, 0.0]), dtype="bfloat16"),
         [2.0**-133, 1 + 2.0**-7, 1 - 2.0**-8, -1 + 2.0**-8]),
        (elementwise.next_after(np.array([1.0]), np.array([2.0]), dtype="float16"), [1 + 2.0**-10]),
        (whole.filled_diagonal(np.zeros((5, 2)), 1.0, True).tolist(), [[1, 0], [0, 1], [0, 0], [1, 0], [0, 1]]),
        (whole.filled_diagonal(np.zeros((4, 2)), 1.0).tolist(), [[1, 0], [0, 1], [0, 0], [0, 0]]),
        (whole.lower_triangle(np.ones((2, 3)), 1).tolist(), [[1, 1, 0], [1, 1, 1]]),
        (whole.upper_triangle(np.ones((3, 2)), -1).tolist(), [[1, 1], [1, 1], [0, 1]]),
        (whole.running_product(np.array([2, 3, 4]), 0), [2, 6, 24]),
        (matrix.plus_matrix_product(np.array([[math.nan]]), np.array([[2.0]]), np.array([[3.0]]), beta=0), [[6.0]]),
        (indexed.rows_added(np.zeros(3), 0, np.array([1, 1]), np.array([2.0, 3.0]), alpha=2), [0, 10, 0]),
        (indexed.rows_reduced(np.array([4.0, 5.0]), 0, np.array([0, 0]), np.array([1.0, 2.0]), "mean", include_self=False),  # noqa: E501
         [1.5, 5.0]),
        (indexed.rows_reduced(np.array([4.0, 5.0]), 0, np.array([0, 0]), np.array([1.0, 3.0]), "prod"), [12.0, 5.0]),
        (indexed.written_at_indices(np.zeros((2, 2)), 0, np.array([[1, 0]]), np.array([[5.0, 6.0]])).tolist(),
         [[0, 6], [5, 0]]),
        (indexed.reduced_at_indices(np.array([1.0, 9.0]), 0, np.array([1, 1]), np.array([3.0, 4.0]), "amax"), [1, 9]),
        (indexed.scattered_where(np.zeros(3), np.array([True, False, True]), np.array([1.0, 2.0, 3.0])), [1, 0, 2]),
        (indexed.put_at_places(np.zeros((2, 2)), np.array([-1, 1]), np.array([7.0, 8.0])).tolist(), [[0, 8], [0, 7]]),
        (indexed.put_at_indices(np.zeros(2), (np.array([0, 0]),), np.array([1.0, 2.0]), True), [3, 0]),
    ],
)  # fmt: skip
def test_a_reference_does_the_documented_steps(found: Any, expected: list[Any]) -> None:
    """References of arithmetic and of writes at indices give what was computed by hand."""
    assert np.asarray(found).tolist() == expected


# --- what expected() has in common ----------------------------------------------------------------------------


def expected_of(method: str, self_: Any, *args: Any, **options: Any) -> np.ndarray:
    kept = {key: options.pop(key) for key in ("promotion", "accuracy") if key in options}
    reference = references.named(rows()[method].reference or "")
    return references.expected(Call(method, self_, args, options, reference, **kept))[0]


def test_integers_are_computed_in_the_promoted_type_and_cast_back() -> None:
    """uint8 plus int32 is computed in int32, and the sum wraps when it is stored."""
    self_, other = corner("uint8", (2,), "contiguous"), corner("int32", (2,), "contiguous")
    found = expected_of("add_", self_, other, promotion="arithmetic", alpha=300)
    exact = (self_.array.astype(np.int64) + 300 * other.array.astype(np.int64)) % 256

    assert exact.tolist() == found.tolist()
    assert found.dtype == np.uint8


def test_comparisons_are_stored_as_numbers() -> None:
    """The truth value of a comparison becomes 0 or 1 in self's element type."""
    self_, other = corner("float32", (3,), "contiguous"), corner("float32", (3,), "contiguous", turn=1)

    assert expected_of("gt_", self_, other, promotion="comparison").tolist() == [1.0, 0.0, 0.0]


def test_a_0_d_operand_of_the_same_category_does_not_widen() -> None:
    """float32 times a 0-d float64 is computed in float32, times a 1-d one in float64."""
    self_ = corner("float32", (2,), "contiguous")

    assert (
        references.computed_in(Call("mul_", self_, (corner("float64", (), "contiguous"),), promotion="arithmetic"))
        == "float32"
    )
    assert (
        references.computed_in(Call("mul_", self_, (corner("float64", (1,), "contiguous"),), promotion="arithmetic"))
        == "float64"
    )


def test_every_relation_of_types_can_be_cast_back() -> None:
    """No related operand lifts the result above self's category, which would be an error and no value."""
    for relation, table in operands.DTYPE_RELATIONS.items():
        for own, other in table.items():
            common = torch.promote_types(torch_dtype(own), torch_dtype(other))
            assert torch.can_cast(common, torch_dtype(own)), (relation, own, other)
