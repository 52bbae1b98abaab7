"""Operations: what a step of a program may do, in torch and in NumPy.

A row says how the step is written in torch, by which rule NumPy computes it with its derivative, how its arguments
are chosen, and where it is smooth. The derivative may need (``keeps``) operands x, y, z or the result r.
Reference: https://docs.pytorch.org/docs/stable/torch.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.inputs import program_choices as choice
from conformance.inputs import program_needs as need
from conformance.oracles import dual_rules as rule
from conformance.oracles import dual_shapes as shape
from conformance.oracles.duals import Dual

INDEX = "torch.tensor({1}, device=x.device)"
MASK = "torch.tensor({0}, device=x.device)"


@dataclass(frozen=True)
class Operation:
    """One kind of step; see ``programs.Step``. ``pairs``: how the second operand has to fit the first.

    ``broadcast``; ``into`` (broadcast to x); ``any``. ``alike``: all operands have one element type.
    """

    text: str
    rule: Callable[..., Dual]
    choose: Callable[..., choice.Chosen] = choice.nothing
    operands: int = 1
    kind: str = "fresh"
    keeps: str = ""
    needs: Callable[[list[Dual], tuple[Any, ...]], bool] = need.anywhere
    pairs: str = "broadcast"
    alike: bool = False
    silent: bool = False
    result: str | None = None  # element type of the result, where it is not the promoted one
    shapes: tuple[tuple[int, ...], ...] = ()  # shapes of operands that fit, where few do
    since: str | None = None  # first release that has it right; a listed deviation shows the fault before


def unary(
    name: str, compute: Callable[..., Dual], keeps: str = "x", needs: Any = need.anywhere,
    choose: Any = choice.nothing, arguments: str = "", both: bool = True,
) -> list[Operation]:  # fmt: skip
    """A function of one operand, and its in-place method."""
    fresh = Operation(f"torch.{name}(x{arguments})", compute, choose, 1, "fresh", keeps, needs)
    if not both:
        return [fresh]
    inplace = Operation(f"x.{name}_({arguments.removeprefix(', ')})", compute, choose, 1, "write", keeps, needs)
    return [fresh, inplace]


def binary(
    name: str, compute: Callable[..., Dual], keeps: str = "xy", needs: Any = need.anywhere,
    choose: Any = choice.nothing, arguments: str = "", both: bool = True, alike: bool = False, operands: int = 2,
) -> list[Operation]:  # fmt: skip
    """A function of several operands that are broadcast, and its in-place method."""
    names = "y, z" if operands == 3 else "y"
    fresh = Operation(
        f"torch.{name}(x, {names}{arguments})", compute, choose, operands, "fresh", keeps, needs, "broadcast", alike
    )
    if not both:
        return [fresh]
    text = f"x.{name}_({names}{arguments})"
    return [fresh, Operation(text, compute, choose, operands, "write", keeps, needs, "into", alike)]


def functional(
    name: str, compute: Callable[..., Dual], needs: Any = need.anywhere, choose: Any = choice.nothing,
    arguments: str = "",
) -> list[Operation]:  # fmt: skip
    """A function of torch.nn.functional."""
    return [Operation(f"torch.nn.functional.{name}(x{arguments})", compute, choose, 1, "fresh", "xr", needs)]


def view(text: str, compute: Callable[..., Dual], choose: Any, kind: str = "view") -> list[Operation]:
    """A view."""
    return [Operation(text, compute, choose, kind=kind)]


def reduction(
    text: str, compute: Callable[..., Dual], choose: Any, keeps: str = "", needs: Any = need.anywhere
) -> list[Operation]:
    """A reduction or a scan."""
    return [Operation(text, compute, choose, 1, "fresh", keeps, needs)]


ELEMENTWISE = [
    *unary("sin", rule.dual_sin),
    *unary("neg", rule.dual_linear, "", choose=choice.given(-1.0)),
    *unary("exp", rule.dual_exp, "r", need.between(-6, 2.5)),
    *unary("cos", rule.dual_cos),
    *unary("tan", rule.dual_tan, "r", need.between(-1.1, 1.1)),
    *unary("asin", rule.dual_asin, "x", need.between(-0.95, 0.95)),
    *unary("acos", rule.dual_acos, "x", need.between(-0.95, 0.95)),
    *unary("atan", rule.dual_atan),
    *unary("sinh", rule.dual_sinh, "x", need.between(-3, 3)),
    *unary("cosh", rule.dual_cosh, "x", need.between(-3, 3)),
    *unary("tanh", rule.dual_tanh, "r"),
    *unary("asinh", rule.dual_asinh, both=False),
    *unary("atanh", rule.dual_atanh, "x", need.between(-0.95, 0.95), both=False),
    *unary("exp2", rule.dual_exp, "r", need.between(-6, 3), lambda n, x: ((), (2.0,))),
    *unary("expm1", rule.dual_exp, "r", need.between(-6, 2.5), lambda n, x: ((), (2.718281828459045, -1.0))),
    *unary("log", rule.dual_log, "x", need.between(0.05, 99)),
    *unary("log2", rule.dual_log, "x", need.between(0.05, 99), lambda n, x: ((), (2.0,))),
    *unary("log10", rule.dual_log, "x", need.between(0.05, 99), lambda n, x: ((), (10.0,))),
    *unary("log1p", rule.dual_log, "x", need.between(-0.9, 99), lambda n, x: ((), (2.718281828459045, 1.0))),
    *unary("sqrt", rule.dual_power, "r", need.between(0.05, 99), lambda n, x: ((), (0.5,))),
    *unary("rsqrt", rule.dual_power, "r", need.between(0.1, 99), lambda n, x: ((), (-0.5,))),
    *unary("reciprocal", rule.dual_power, "r", need.between(0.2, 99), lambda n, x: ((), (-1.0,))),
    *unary("square", rule.dual_power, "x", need.anywhere, lambda n, x: ((), (2.0,))),
    *unary("pow", rule.dual_power, "x", need.between(0.1, 9), choice.one_of((3.0,), (-1.5,), (0.5,), (2.0,)), ", {0}"),
    *unary("abs", rule.dual_sloped, "x", need.off_zero, lambda n, x: ((), (-1.0,))),
    *unary("relu", rule.dual_sloped, "r", need.off_zero, lambda n, x: ((), (0.0,))),
    *unary("sigmoid", rule.dual_sigmoid, "r"),
    *unary("logit", rule.dual_logit, "x", need.between(0.05, 0.95)),
    *unary("erf", rule.dual_erf),
    *unary("frac", rule.dual_fraction, "", need.off_whole),
    *unary("floor", rule.dual_stepped, "", need.off_whole),
    *unary("add", rule.dual_linear, "", choose=lambda n, x: ((0.3,), (1.0, 0.3)), arguments=", {0}"),
    *unary("mul", rule.dual_linear, "", choose=choice.one_of((-1.7,), (0.4,)), arguments=", {0}"),
    *unary("div", rule.dual_linear, "", choose=lambda n, x: ((1.6,), (0.625,)), arguments=", {0}"),
    *unary("rsub", rule.dual_linear, "", choose=lambda n, x: ((0.7,), (-1.0, 0.7)), arguments=", {0}", both=False),
    *unary("clamp", rule.dual_clamp, "x", choose=choice.between_values, arguments=", {0}, {1}"),
    *functional("softplus", rule.dual_softplus),
    *functional("logsigmoid", rule.dual_softplus, choose=lambda n, x: ((), (-1.0,))),
    *functional("leaky_relu", rule.dual_sloped, need.off_zero, choice.given(0.2), ", {0}"),
    *functional("elu", rule.dual_elu, need.off_zero),
    *functional("silu", rule.dual_silu),
    *functional("gelu", rule.dual_gelu),
    Operation("1.5 - x", rule.dual_linear, lambda n, x: ((), (-1.0, 1.5))),
    Operation("2.0 ** x", rule.dual_exponential, lambda n, x: ((), (2.0,)), keeps="xr", needs=need.between(-6, 3)),
    Operation("x.zero_()", rule.dual_filled, lambda n, x: ((), (0.0,)), kind="write"),
    Operation("x.fill_({0})", rule.dual_filled, choice.given(0.6), kind="write"),
]
SEVERAL = [
    *binary("mul", rule.dual_mul),
    *binary("add", rule.dual_add, "", choose=choice.one_of((1.0,), (-0.5,)), arguments=", alpha={0}"),
    *binary("sub", rule.dual_add, "", choose=lambda n, *_: ((), (-1.0,))),
    *binary("div", rule.dual_div, "xyr", need.divisible),
    *binary("pow", rule.dual_pow, "xyr", need.powers, alike=True),
    *binary("lerp", rule.dual_lerp, "", choose=choice.given(0.3), arguments=", {0}", alike=True),
    *binary("maximum", rule.dual_maximum, "xy", need.unequal, both=False),
    *binary("minimum", rule.dual_minimum, "xy", need.unequal, both=False),
    *binary("hypot", rule.dual_hypot, "xyr", need.not_both_zero, alike=True),
    *binary("atan2", rule.dual_atan2, "xy", need.off_the_cut, alike=True),
    *binary("logaddexp", rule.dual_logaddexp, "xyr", both=False, alike=True),
    *binary("xlogy", rule.dual_xlogy, "xy", need.logarithmic, alike=True),
    *binary(
        "addcmul",
        rule.dual_plus_product,
        "yz",
        need.anywhere,
        choice.given(0.5),
        ", value={0}",
        alike=True,
        operands=3,
    ),
    *binary(
        "addcdiv",
        rule.dual_plus_quotient,
        "yz",
        need.divisible,
        choice.given(0.5),
        ", value={0}",
        alike=True,
        operands=3,
    ),
    Operation(f"torch.where({MASK}, x, y)", rule.dual_where, choice.mask_like(), 2, alike=True),
    Operation("x.copy_(y)", rule.dual_second, operands=2, kind="write", pairs="into"),
]
REDUCTIONS = [
    *reduction("torch.sum(x)", shape.dual_sum, choice.every_dim),
    *reduction("torch.sum(x, {0}, {1})", shape.dual_sum, choice.some_dims),
    *reduction("torch.mean(x, {0}, {1})", shape.dual_sum, choice.mean_dims),
    *reduction("torch.prod(x, {0}, {1})", shape.dual_prod, choice.kept_dim, "xr"),
    *reduction("torch.amax(x, {0}, {1})", shape.dual_ranked, choice.ranked(lambda n, e: e - 1), "xr", need.distinct),
    *reduction("torch.amin(x, {0}, {1})", shape.dual_ranked, choice.ranked(lambda n, e: 0), "xr", need.distinct),
    *reduction("torch.max(x, {0}, {1})[0]", shape.dual_ranked, choice.ranked(lambda n, e: e - 1), "xr", need.distinct),
    *reduction(
        "torch.kthvalue(x, 1, {0}, {1})[0]", shape.dual_ranked, choice.ranked(lambda n, e: 0), "xr", need.distinct
    ),
    *reduction(
        "torch.sort(x, {0}, {1})[0]",
        shape.dual_ranked,
        lambda n, x: (
            (found := choice.full_dim(n, x))
            and (
                (*found[0], n // 8 % 2 == 1),
                (*found[1], tuple(range(x.value.shape[found[1][0]]))[:: -1 if n // 8 % 2 else 1]),
            )
        ),
        "",
        need.distinct,
    ),
    *reduction(
        "torch.topk(x, 1, {0})[0]",
        shape.dual_ranked,
        lambda n, x: (found := choice.full_dim(n, x)) and (found[0], (*found[1], (x.value.shape[found[1][0]] - 1,))),
        "",
        need.distinct,
    ),
    *reduction("torch.var(x, {0}, keepdim={1})", shape.dual_var, choice.kept_dim, "x", need.spread),
    *reduction("torch.logsumexp(x, {0}, {1})", shape.dual_logsumexp, choice.kept_dim, "xr"),
    *reduction("torch.linalg.vector_norm(x, 2, {0}, {1})", shape.dual_norm, choice.some_dims, "xr", need.long),
    *reduction("torch.softmax(x, {0})", shape.dual_softmax, choice.full_dim, "r"),
    *reduction("torch.log_softmax(x, {0})", shape.dual_log_softmax, choice.full_dim, "r"),
    *reduction("torch.cumsum(x, {0})", shape.dual_cumsum, choice.along_dim),
    *reduction("torch.cumprod(x, {0})", shape.dual_cumprod, choice.full_dim, "xr"),
]
PAIR = ((2, 3), (2, 3))
EXTENTS = {"a": 2, "i": 2, "j": 3, "k": 2}


def product(
    text: str, compute: Callable[..., Dual], equation: str, numbers: tuple[float, ...], operands: int
) -> Operation:
    """A sum of products of the last two operands, whose result has the shape of the first where there are three."""
    inputs, result = equation.split("->")
    terms = [*([result] if operands == 3 else []), *inputs.split(",")]
    return Operation(
        text, compute, choice.product(equation, *numbers), operands, "fresh", "xy" if operands == 2 else "yz",
        pairs="any", alike=True, shapes=tuple(tuple(EXTENTS[letter] for letter in term) for term in terms),
    )  # fmt: skip


PRODUCTS = [
    product(text, compute, equation, numbers, count)
    for text, compute, equation, numbers, count in (
        ("torch.nn.functional.linear(x, y)", shape.dual_einsum, "ij,kj->ik", (), 2),
        ("torch.matmul(x, y)", shape.dual_einsum, "ij,jk->ik", (), 2),
        ("torch.matmul(x, y)", shape.dual_einsum, "ij,j->i", (), 2),
        ("torch.mv(x, y)", shape.dual_einsum, "ij,j->i", (), 2),
        ("torch.mm(x, y)", shape.dual_einsum, "ij,jk->ik", (), 2),
        ("torch.mm(x.t(), y)", shape.dual_einsum, "ji,jk->ik", (), 2),
        ("torch.dot(x, y)", shape.dual_einsum, "i,i->", (), 2),
        ("torch.outer(x, y)", shape.dual_einsum, "i,j->ij", (), 2),
        ("torch.matmul(x, y)", shape.dual_einsum, "i,ij->j", (), 2),
        ("torch.matmul(x, y)", shape.dual_einsum, "aij,jk->aik", (), 2),
        ("torch.bmm(x, y)", shape.dual_einsum, "aij,ajk->aik", (), 2),
        ("torch.einsum('ij,ik->jk', x, y)", shape.dual_einsum, "ij,ik->jk", (), 2),
        ("torch.einsum('aij,aj->ai', x, y)", shape.dual_einsum, "aij,aj->ai", (), 2),
        ("torch.addmm(x, y, z, beta={0}, alpha={1})", shape.dual_plus_einsum, "ij,jk->ik", (0.5, 2.0), 3),
        ("torch.addmv(x, y, z, beta={0}, alpha={1})", shape.dual_plus_einsum, "ij,j->i", (1.0, -1.0), 3),
        ("torch.addr(x, y, z, beta={0}, alpha={1})", shape.dual_plus_einsum, "i,j->ij", (1.0, 0.5), 3),
    )
]
VIEWS = [
    *view("x.transpose({0}, {1})", shape.dual_permute, choice.two_dims),
    *view("x.narrow({0}, {1}, {2})", shape.dual_part, choice.part_of_dim),
    *view("x.select({0}, {1})", shape.dual_part, choice.place_in_dim),
    *view("x[..., {0}::2]", shape.dual_part, choice.every_other),
    *view("x.permute({0})", shape.dual_permute, choice.new_order),
    *view("x.unsqueeze({0})", shape.dual_part, choice.new_dim),
    *view("x.squeeze()", shape.dual_part, choice.without_ones),
    *view("x.view({0})", shape.dual_reshape, choice.split_dim),
    *view("torch.diagonal(x, {0})", shape.dual_diagonal, choice.a_diagonal),
    *view("x.expand({0})", shape.dual_expand, choice.wider, "repeating"),
    *view("x.unfold({0}, {1}, {2})", shape.dual_unfold, choice.windows, "repeating"),
    *view("x.reshape({0})", shape.dual_reshape, choice.other_shape, "maybe"),
    *view("x.unbind(0)[0]", shape.dual_part, lambda n, x: ((), ((0,),)) if x.value.shape[:1] > (0,) else None, "maybe"),
    *view(
        "x.chunk(2, 0)[0]",
        shape.dual_part,
        lambda n, x: ((), ((slice(0, -(-x.value.shape[0] // 2)),),)) if x.value.shape[:1] > (0,) else None,
        "maybe",
    ),
    *view("x.detach()", rule.dual_detached, choice.nothing, "detached"),
]
# operations with an index save their operands, for the shapes alone: a write to these may be refused as any other
COPIES = [
    Operation("x.clone()", rule.dual_copy),
    Operation(f"torch.index_select(x, {{0}}, {INDEX})", shape.dual_taken, choice.numbers_in_dim),
    Operation("torch.flip(x, ({0},))", shape.dual_taken, choice.turned),
    Operation("torch.roll(x, {0}, {1})", shape.dual_taken, choice.rolled),
    Operation("torch.repeat_interleave(x, 2, {0})", shape.dual_taken, choice.repeated),
    Operation(f"torch.gather(x, {{0}}, {INDEX})", shape.dual_gather, choice.index_like, keeps="x"),
    Operation(f"torch.masked_fill(x, {MASK}, {{1}})", shape.dual_masked, choice.mask_like(0.25)),
    # gradients-of-functions-have-the-layout-of-their-leaves[masked_select-*] shows what was wrong before
    Operation(f"torch.masked_select(x, {MASK})", shape.dual_chosen, choice.mask_like(), keeps="x", since="2.1"),
    Operation("torch.tril(x, {0})", shape.dual_masked, choice.triangle(False)),
    Operation("torch.triu(x, {0})", shape.dual_masked, choice.triangle(True)),
    Operation("torch.nn.functional.pad(x, ({0}, {1}), value={2})", shape.dual_pad, choice.padded),
    Operation(
        "torch.diag_embed(x)", shape.dual_embedded, lambda n, x: ((), ()) if x.value.ndim == 1 else None, shapes=((3,),)
    ),
    Operation("torch.cat((x, y), {0})", shape.dual_cat, choice.joined, 2, pairs="any", alike=True, shapes=PAIR),
    Operation("torch.stack((x, y), {0})", shape.dual_stack, choice.stacked, 2, pairs="any", alike=True, shapes=PAIR),
    Operation(
        f"torch.index_add(x, {{0}}, {INDEX}, y)",
        shape.dual_placed,
        choice.rows_to(1.0),
        2,
        keeps="xy",
        pairs="any",
        alike=True,
        shapes=PAIR,
    ),
    Operation(
        f"torch.scatter(x, {{0}}, {INDEX}, y)",
        shape.dual_scattered,
        choice.scattered(None),
        2,
        keeps="xy",
        pairs="any",
        alike=True,
        shapes=PAIR,
    ),
    Operation("x.to(torch.float32)", rule.dual_copy, result="float32"),
    Operation("x.to(torch.float64)", rule.dual_copy, result="float64"),
    Operation("x.clone()", rule.dual_copy, silent=True),
    Operation("torch.sin(x)", rule.dual_sin, silent=True),
    Operation("torch.mul(x, y)", rule.dual_mul, operands=2, silent=True),
]
WRITES = [
    Operation(f"x.masked_fill_({MASK}, {{1}})", shape.dual_masked, choice.mask_like(0.25), kind="write"),
    Operation("x.tril_({0})", shape.dual_masked, choice.triangle(False), kind="write"),
    Operation(
        f"x.index_add_({{0}}, {INDEX}, y, alpha=-0.5)",
        shape.dual_placed,
        choice.rows_to(-0.5),
        2,
        "write",
        keeps="xy",
        pairs="any",
        alike=True,
        shapes=PAIR,
    ),
    Operation(
        f"x.index_copy_({{0}}, {INDEX}, y)",
        shape.dual_placed,
        choice.rows_to(None),
        2,
        "write",
        keeps="xy",
        pairs="any",
        alike=True,
        shapes=PAIR,
    ),
    Operation(
        f"x.scatter_add_({{0}}, {INDEX}, y)",
        shape.dual_scattered,
        choice.scattered(1.0),
        2,
        "write",
        keeps="xy",
        pairs="any",
        alike=True,
        shapes=PAIR,
    ),
    Operation("x.cumsum_({0})", shape.dual_cumsum, choice.along_dim, kind="write"),
]
OPERATIONS = (*ELEMENTWISE, *SEVERAL, *REDUCTIONS, *PRODUCTS, *VIEWS, *COPIES, *WRITES)
