"""Flag model: the autograd flags that each action of a history leaves, written out without torch.

A tensor is a few Python values; a graph is which tensors' gradients a value passes on to.
Reference: https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(eq=False)
class GraphNode:
    """What computed a value, or a leaf that collects gradients; and where gradients go on to."""

    onward: tuple[GraphNode, ...] = ()


class Flags(NamedTuple):
    """What a tensor says of itself."""

    is_leaf: bool
    requires_grad: bool
    has_grad_fn: bool
    has_grad: bool
    retains_grad: bool


@dataclass(eq=False)
class ModelTensor:
    """One tensor: its node in the graph, if it requires grad."""

    node: GraphNode | None = None
    leaf: bool = True
    retains: bool = False
    grad: bool = False
    alone: bool = True  # shares its memory with no other
    used: bool = False  # a graph leads to it

    @property
    def flags(self) -> Flags:
        """The flags that torch is to show."""
        return Flags(self.leaf, self.node is not None, not self.leaf, self.grad, self.retains)


@dataclass
class FlagModel:
    """All tensors of a history, and the modes that are open."""

    tensors: list[ModelTensor] = field(default_factory=lambda: [ModelTensor(), ModelTensor(GraphNode())])
    modes: list[bool] = field(default_factory=list)

    @property
    def recording(self) -> bool:
        """Whether gradients are on."""
        return self.modes[-1] if self.modes else True

    def meant(self, name: str, first: int, second: int) -> bool:
        """Whether the documentation gives the action a meaning here."""
        x, y = self.tensors[first], self.tensors[second]
        if name == "view":
            # a view taken without gradients of a tensor that requires them is a behaviour of its own
            return self.recording or x.node is None
        if name == "write":
            return x.alone and (not self.recording or not (x.leaf and x.node is not None)) and x is not y
        if name == "detach_":
            return x.alone and not x.retains and not (x.leaf and x.used)
        if name == "retain" or name == "backward":
            return x.node is not None
        if name == "require":
            return x.alone and x.leaf
        if name == "release":
            return x.alone and x.leaf and not x.used
        return name != "close" or bool(self.modes)

    def act(self, name: str, first: int, second: int) -> None:
        """Change the model as the action changes the tensors."""
        x, y = self.tensors[first], self.tensors[second]
        if name in ("scale", "clone", "view"):
            self._result((x,))
        elif name == "add":
            self._result((x, y))
        elif name in ("leaf", "constant", "detach"):
            self.tensors.append(ModelTensor(GraphNode() if name == "leaf" else None))
        elif name == "write":
            self._written(x, y)
        elif name == "detach_":
            x.node, x.leaf = None, True
        elif name == "retain":
            x.retains = x.retains or not x.leaf
        elif name == "require":
            x.node = x.node or GraphNode()
        elif name == "release":
            x.node = None
        elif name == "clear":
            x.grad = False
        elif name == "backward":
            self._backward(x)
        elif name == "close":
            self.modes.pop()
        else:
            self.modes.append(name == "enable_grad")
        if name in ("view", "detach"):
            x.alone = self.tensors[-1].alone = False

    def _result(self, operands: tuple[ModelTensor, ...]) -> None:
        nodes = tuple(operand.node for operand in operands if operand.node is not None)
        recorded = self.recording and bool(nodes)
        for operand in operands if recorded else ():
            operand.used = operand.used or operand.node is not None
        self.tensors.append(ModelTensor(GraphNode(nodes) if recorded else None, not recorded))

    def _written(self, x: ModelTensor, y: ModelTensor) -> None:
        nodes = tuple(tensor.node for tensor in (x, y) if tensor.node is not None)
        if self.recording and nodes:
            y.used = y.used or y.node is not None
            x.node, x.leaf = GraphNode(nodes), False

    def _backward(self, root: ModelTensor) -> None:
        assert root.node is not None
        reached = set(_reached(root.node))
        for tensor in self.tensors:
            if tensor.node in reached and (tensor.leaf or tensor.retains):
                tensor.grad = True


def _reached(node: GraphNode) -> Iterator[GraphNode]:
    yield node
    for other in node.onward:
        yield from _reached(other)
