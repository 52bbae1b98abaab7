"""Layer shapes: the formulas of the sections "Shape" and "Variables" of torch.nn, in whole numbers of Python.

The catalogue of modules names them in its expressions; operands stand for their shapes there, arguments for their
values. Reference: https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from math import floor, prod
from typing import Any

LayerShape = tuple[int, ...]


def each(value: Any, n: int) -> tuple[Any, ...]:
    """One value for each of n dimensions, where one number stands for all."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * n


def convolved(x: LayerShape, n: int, channels: int, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """Result of a convolution: what the windows that fit leave, on as many channels as are asked for."""
    if padding == "same":
        return (*x[: -n - 1], channels, *x[-n:])
    padding = 0 if padding == "valid" else padding
    rows = zip(x[-n:], each(kernel, n), each(stride, n), each(padding, n), each(dilation, n), strict=True)
    return (*x[: -n - 1], channels, *((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in rows))


def unconvolved(
    x: LayerShape, n: int, channels: int, kernel: Any, stride: Any, padding: Any, more: Any, dilation: Any
) -> Any:
    """Result of a transposed convolution."""
    rows = zip(*(each(v, n) for v in (x[-n:], kernel, stride, padding, more, dilation)), strict=True)
    return (
        *x[: -n - 1], channels, *((size - 1) * s - 2 * p + d * (k - 1) + m + 1 for size, k, s, p, m, d in rows),
    )  # fmt: skip


def windowed(
    x: LayerShape, n: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, indices: bool = False
) -> Any:
    """Result of a pooling; with ``ceil`` a window may end beyond the padding, but none may begin there."""
    found = []
    stride = kernel if stride is None else stride
    for size, k, s, p, d in zip(*(each(v, n) for v in (x[-n:], kernel, stride, padding, dilation)), strict=True):
        room = size + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if ceil else room // s) + 1
        found.append(count - (ceil and (count - 1) * s >= size + p))
    return _with_indices((*x[:-n], *found), indices)


def unpooled(x: LayerShape, n: int, kernel: Any, stride: Any, padding: Any) -> Any:
    """Result of undoing a pooling."""
    stride = kernel if stride is None else stride
    rows = zip(*(each(v, n) for v in (x[-n:], kernel, stride, padding)), strict=True)
    return (*x[:-n], *((size - 1) * s - 2 * p + k for size, k, s, p in rows))


def adapted(x: LayerShape, n: int, size: Any, indices: bool = False) -> Any:
    """Result of an adaptive pooling; None leaves a dimension as it is."""
    sizes = (own if wanted is None else wanted for own, wanted in zip(x[-n:], each(size, n), strict=True))
    return _with_indices((*x[:-n], *sizes), indices)


def fractioned(x: LayerShape, n: int, size: Any, ratio: Any, indices: bool) -> Any:
    """Result of a fractional pooling."""
    sizes = each(size, n) if size is not None else (int(s * r) for s, r in zip(x[-n:], each(ratio, n), strict=True))
    return _with_indices((*x[:-n], *sizes), indices)


def _with_indices(shape: LayerShape, indices: bool) -> Any:
    return [shape, shape] if indices else shape


def padding_widths(padding: Any, n: int) -> tuple[int, ...]:
    """Widths as the function pad takes them: before and after, of the last dimension first."""
    return each(padding, 2 * n)


def widened(x: LayerShape, n: int, padding: Any) -> Any:
    """Result of a padding."""
    widths = padding_widths(padding, n)
    return (*x[:-n], *(x[-k - 1] + widths[2 * k] + widths[2 * k + 1] for k in reversed(range(n))))


def resized(x: LayerShape, size: Any, factor: Any) -> Any:
    """Result of an upsampling."""
    n = len(x) - 2
    if size is not None:
        return (*x[:2], *each(size, n))
    return (*x[:2], *(floor(own * f) for own, f in zip(x[2:], each(factor, n), strict=True)))


def block_count(size: LayerShape, kernel: Any, dilation: Any, padding: Any, stride: Any) -> int:
    """How many blocks slide over two dimensions."""
    rows = zip(*(each(v, 2) for v in (size, kernel, dilation, padding, stride)), strict=True)
    return prod((own + 2 * p - d * (k - 1) - 1) // s + 1 for own, k, d, p, s in rows)


def unfolded(x: LayerShape, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """Blocks as columns."""
    return (*x[:-3], x[-3] * prod(each(kernel, 2)), block_count(x[-2:], kernel, dilation, padding, stride))


def folded(x: LayerShape, size: Any, kernel: Any) -> Any:
    """Columns put back as blocks."""
    return (*x[:-2], x[-2] // prod(each(kernel, 2)), *each(size, 2))


def flattened(x: LayerShape, start: int, end: int) -> Any:
    """Dimensions from ``start`` to ``end``, both included, as one."""
    first, last = start % len(x), end % len(x)
    return (*x[:first], prod(x[first : last + 1]), *x[last + 1 :])


def unflattened(x: LayerShape, dim: int, sizes: Any) -> Any:
    """One dimension as several."""
    dim %= len(x)
    return (*x[:dim], *sizes, *x[dim + 1 :])


def halved(x: LayerShape, dim: int) -> Any:
    """Half of one dimension."""
    dim %= len(x)
    return (*x[:dim], x[dim] // 2, *x[dim + 1 :])


def without_dimension(x: LayerShape, dim: int) -> Any:
    """All dimensions but one."""
    dim %= len(x)
    return (*x[:dim], *x[dim + 1 :])


def reduced_loss(reduction: str, x: LayerShape) -> Any:
    """A loss of this shape, or what is made of it."""
    return x if reduction == "none" else ()


def recurrent(
    x: LayerShape, hidden: int, layers: int, batch_first: bool, both: bool, projected: int, cell: bool = False
) -> Any:
    """Results of a recurrent layer: of the last layer at each time, and of each layer at the last time."""
    batch = () if len(x) == 2 else (x[0 if batch_first else 1],)
    ways, wide = 1 + both, projected or hidden
    found = [(*x[:-1], ways * wide), (ways * layers, *batch, wide)]
    return [*found, (ways * layers, *batch, hidden)] if cell else found


def attended(x: LayerShape, y: LayerShape, batch_first: bool, kv: bool, zero: bool) -> Any:
    """Result of an attention, and its weights averaged over the heads."""
    if len(x) == 2:
        return [x, (x[0], y[0] + kv + zero)]
    time = 1 if batch_first else 0
    return [x, (x[1 - time], x[time], y[time] + kv + zero)]


def recurrent_state(gates: int, size: int, hidden: int, layers: int, bias: bool, both: bool, projected: int) -> Any:
    """Weights and biases of a recurrent layer."""
    found: dict[str, LayerShape] = {}
    wide = projected or hidden
    for layer in range(layers):
        for way in ("", "_reverse")[: 1 + both]:
            width = size if layer == 0 else (1 + both) * wide
            found[f"weight_ih_l{layer}{way}"] = (gates * hidden, width)
            found[f"weight_hh_l{layer}{way}"] = (gates * hidden, wide)
            if bias:
                found |= {f"bias_{kind}_l{layer}{way}": (gates * hidden,) for kind in ("ih", "hh")}
            if projected:
                found[f"weight_hr_l{layer}{way}"] = (projected, hidden)
    return found


def cell_state(gates: int, size: int, hidden: int, bias: bool) -> Any:
    """Weights and biases of a recurrent cell."""
    found: dict[str, Any] = {"weight_ih": (gates * hidden, size), "weight_hh": (gates * hidden, hidden)}
    return found | {f"bias_{kind}": (gates * hidden,) if bias else None for kind in ("ih", "hh")}


def fan_bound(groups: int, channels: int, kernel: Any, n: int) -> float:
    """Bound of the first weights of a convolution: the root of groups / (channels times the kernel's size)."""
    return float((groups / (channels * prod(each(kernel, n)))) ** 0.5)


SHAPE_FORMULAS: dict[str, Any] = {
    "each": each, "convolved": convolved, "unconvolved": unconvolved, "windowed": windowed, "unpooled": unpooled,
    "adapted": adapted, "fractioned": fractioned, "widened": widened, "padding_widths": padding_widths,
    "resized": resized, "unfolded": unfolded, "folded": folded, "flattened": flattened, "unflattened": unflattened,
    "halved": halved, "without_dimension": without_dimension, "reduced_loss": reduced_loss, "recurrent": recurrent,
    "attended": attended, "recurrent_state": recurrent_state, "cell_state": cell_state, "fan_bound": fan_bound,
}  # fmt: skip


def stated_shapes(state: Any, names: dict[str, Any]) -> dict[str, Any]:
    """Shapes of parameters and buffers by name, None for what is not there: one expression, or one for each."""
    if isinstance(state, str):
        found: dict[str, Any] = eval(state, {**SHAPE_FORMULAS, **names})
        return found
    return {name: eval(text, {**SHAPE_FORMULAS, **names}) for name, text in state.items()}
