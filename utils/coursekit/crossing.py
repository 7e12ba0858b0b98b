"""How tensors cross the bridge: what is sent and received with one call, and what both sides keep in step."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

DTYPES = {
    str(dtype): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Frame:
    """One call under way: what was sent with it, and what was received, by number."""

    def __init__(self) -> None:
        self.sent: dict[int, Any] = {}
        self.received: dict[int, tuple[Any, Any, bool]] = {}
        self.results: list[Tensor] | None = None

    def remember(self, value: Any) -> int:
        """Note a value that is sent; return its number."""
        self.sent[len(self.sent)] = value
        return len(self.sent) - 1

    def receive(self, number: int, value: Any) -> None:
        """Note a value that came under a number, and what it was then."""
        self.received[number] = (value, value.detach().clone(), value.requires_grad)


class GeneratorState:
    """A generator, seen as the tensor of its state, so that a change of it is copied back like any other."""

    is_leaf, requires_grad, dtype = True, False, torch.uint8

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    @property
    def shape(self) -> torch.Size:
        """Of the state."""
        return self.generator.get_state().shape

    def detach(self) -> Tensor:
        """A copy of the state."""
        return self.generator.get_state()

    def copy_(self, state: Tensor) -> None:
        """Set the state."""
        self.generator.set_state(state)


class Mirror:
    """A tensor of which each side has one, and what both had when they were last in step."""

    def __init__(self, t: Tensor, gone: Callable | None = None) -> None:
        self._tensor = (lambda: t) if gone is None else weakref.ref(t, gone)
        self.settle()

    @property
    def tensor(self) -> Tensor | None:
        """The tensor; None once it was let go of."""
        return self._tensor()

    def settle(self) -> None:
        """Note that both sides have what this one has now."""
        t = self.tensor
        self.data, self.version = t.detach().clone(), t._version
        grad = t.grad if t.is_leaf else None
        self.grad = None if grad is None else grad.detach().clone()
        self.requires_grad = t.requires_grad


class Parcel:
    """The tensors of one message."""

    def __init__(self, frame: Frame, answering: bool) -> None:
        self.frame, self.answering = frame, answering
        self.tensors: list[bytes] = []
        self.shapes: list[list] = []
        self.results: list[Tensor] = []

    def add(self, t: Any) -> int:
        """Put a tensor's bytes into the message; return its place there."""
        t = t.detach().cpu()
        self.shapes.append([NAMES[t.dtype], *t.shape])
        self.tensors.append((t.view(torch.int16) if t.dtype is torch.bfloat16 else t).numpy().tobytes())
        return len(self.tensors) - 1


def view_of_argument(t: Tensor, parcel: Parcel) -> list | None:
    """Which argument of the call that is being answered a tensor is a view of, and how.

    What is changed in the one is then changed in the other.
    """
    for number, (received, _, _) in parcel.frame.received.items() if parcel.answering and t.numel() else ():
        if isinstance(received, Tensor) and received.untyped_storage().data_ptr() == t.untyped_storage().data_ptr():
            return [number, list(t.shape), list(t.stride()), t.storage_offset() - received.storage_offset()]
    return None


def view(sent: Tensor, shape: list[int], stride: list[int], offset: int) -> Tensor | None:
    """The same view of what was sent; None where it was laid out in another way, or has no such part."""
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if not sent.is_contiguous() or sent.requires_grad or min(offset, *stride, 0) < 0 or last >= sent.numel():
        return None
    return sent.as_strided(shape, stride, sent.storage_offset() + offset)


def place_of(t: Tensor) -> tuple[int, int]:
    """Where a tensor stands in the graph of autograd."""
    return (id(t), -1) if t.grad_fn is None else (id(t.grad_fn), t.output_nr)


def sources(results: list[Tensor], stops: dict[tuple[int, int], tuple]) -> list[tuple[Tensor, tuple[int, int]]]:
    """The leaves, and the tensors at ``stops``, from which results were computed."""
    found: dict[tuple[int, int], Tensor] = {}
    seen, queue = set(), [(t.grad_fn, t.output_nr) for t in results]
    while queue:
        node, output = queue.pop()
        if node is None or (id(node), output) in seen:
            continue
        seen.add((id(node), output))
        if (id(node), output) in stops:
            found[id(node), output] = stops[id(node), output][2]
        elif hasattr(node, "variable"):
            place = (id(node.variable), -1)
            found[place] = node.variable
        elif (id(node), None) not in seen:
            seen.add((id(node), None))
            queue += node.next_functions
    return [(t, place) for place, t in found.items()]


def same(t: Any, before: Tensor) -> bool:
    """Whether the values are the very same; two NaN are."""
    now = t.detach()
    if now.shape != before.shape or now.dtype != before.dtype:
        return False
    return torch.equal(now, before) or (now.is_floating_point() and torch.equal(_bits(now), _bits(before)))


def _bits(t: Tensor) -> Tensor:
    return t.contiguous().view(torch.uint8) if t.dim() else t.reshape(1).view(torch.uint8)
