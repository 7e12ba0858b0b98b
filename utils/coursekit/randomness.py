"""The state of this process that a test may want to watch: the random generators', and gradient mode."""

from __future__ import annotations

import ctypes
import random
from typing import Any

import numpy as np
import torch

SIZE_OF_MT19937 = 625 * 4  # bytes: 624 words and the position


def global_state() -> dict[str, Any]:
    """The state now: bytes and tuples, which are compared often and quickly."""
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": _numpy_state(),
        "random": random.getstate(),
        "grad": torch.is_grad_enabled(),
    }


_last_numpy: tuple[bytes, tuple] = (b"", ())


def _numpy_state() -> tuple:
    """The state of NumPy's global generator; it is only asked for, which is slow, where its memory has changed."""
    global _last_numpy
    generator = np.random.get_bit_generator()
    memory = b""
    if isinstance(generator, np.random.MT19937):
        memory = ctypes.string_at(generator.ctypes.state_address, SIZE_OF_MT19937)
    if not memory or memory != _last_numpy[0]:
        kind, keys, *rest = np.random.get_state()  # noqa: NPY002 (it is the global one)
        _last_numpy = memory, (kind, keys.tobytes(), *rest)
    return _last_numpy[1]


def to_json(value: Any) -> Any:
    """A part of the state as JSON can hold it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple) and isinstance(value[1], bytes):
        return [value[0], np.frombuffer(value[1], np.uint32).tolist(), *value[2:]]
    return value


def set_global_state(news: dict[str, Any]) -> None:
    """Take over what is different on the other side, as :func:`to_json` made it; raise ValueError if that cannot be."""
    if "torch" in news:
        torch.set_rng_state(torch.frombuffer(bytearray.fromhex(news["torch"]), dtype=torch.uint8))
    if "numpy" in news:
        kind, keys, *rest = news["numpy"]
        if not 0 <= rest[0] <= len(keys):  # NumPy would read beyond its memory
            raise ValueError("a generator has no such position")
        np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002 (it is the global one)
    if "random" in news:
        version, keys, gauss = news["random"]
        random.setstate((version, tuple(keys), gauss))
    if "grad" in news:
        torch.set_grad_enabled(bool(news["grad"]))
