"""Arrays and plain values as bytes, in a fixed format: a message cannot name code to be run.

A message is JSON text, then the bytes of its arrays. None, booleans, numbers, strings and lists
stand in the JSON as they are; everything else is an object of one key:

    {"tuple": [...]}  {"dict": [[key, value], ...]}  {"path": "..."}
    {"array": [dtype, shape, where its bytes begin]}     {"scalar": an array of no dimensions}
    {"kind": [name, argument, ...]}                      an object of a class in `Kinds`
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Arrays begin at multiples of so many bytes.
_ALIGN = 64
_HEAD = 16


class WireError(ValueError):
    """Bytes are no message, or a message cannot hold a value."""


class Kinds:
    """The classes whose objects a message may hold.

    An object is sent as its constructor's arguments, which must be attributes of the same names.

    Args:
        classes: the classes, each of a different name.
    """

    def __init__(self, classes: Sequence[type] = ()) -> None:
        self._named = {kind.__name__: (kind, _arguments(kind)) for kind in classes}
        if len(self._named) < len(classes):
            raise ValueError("two classes of one name")

    def parts(self, value: Any) -> list[Any] | None:
        """Return an object's class name and arguments; None if its class is not in the table."""
        kind, names = self._named.get(type(value).__name__, (None, ()))
        if kind is not type(value):
            return None
        return [type(value).__name__, *(getattr(value, name) for name in names)]

    def make(self, name: Any, arguments: Sequence[Any]) -> Any:
        """Return the object that has these arguments.

        Args:
            name: name of the class, which is not trusted.
            arguments: arguments of its constructor, in order.

        Raises:
            WireError: there is no such class, or it has another number of arguments.
        """
        if not isinstance(name, str) or name not in self._named:
            raise WireError(f"{str(name)[:80]!r} is not in the table")
        kind, names = self._named[name]
        if len(arguments) != len(names):
            raise WireError(f"{name} of {len(arguments)} arguments, expected {len(names)}")
        return kind(**dict(zip(names, arguments, strict=True)))


PLAIN = Kinds()


def _arguments(kind: type) -> tuple[str, ...]:
    return tuple(inspect.signature(kind).parameters)


def pack(value: Any, kinds: Kinds = PLAIN) -> list[bytes | memoryview]:
    """Return the message that holds a value, in pieces.

    Args:
        value: the value.
        kinds: classes whose objects may be in it.

    Raises:
        WireError: the value holds an object that cannot be sent.
    """
    writer = _Writer(kinds)
    text = json.dumps(writer.encoded(value)).encode()
    start = _aligned(_HEAD + len(text))
    head = len(text).to_bytes(8, "big") + start.to_bytes(8, "big")
    return [head, text, bytes(start - _HEAD - len(text)), *writer.pieces]


def unpack(message: bytearray, kinds: Kinds = PLAIN) -> Any:
    """Return the value that a message holds; its arrays share the message's memory.

    Args:
        message: the message, which is not trusted.
        kinds: classes whose objects may be in it.

    Raises:
        WireError: the bytes are no message, or name a class that is not in `kinds`.
    """
    if len(message) < _HEAD:
        raise WireError("a message without its head")
    size = int.from_bytes(message[:8], "big")
    start = int.from_bytes(message[8:_HEAD], "big")
    if not _HEAD + size <= start <= len(message):
        raise WireError(f"{size} bytes of JSON and arrays from {start} on in {len(message)}")
    try:
        tree = json.loads(message[_HEAD : _HEAD + size])
        return _Reader(kinds, memoryview(message)[start:]).decoded(tree)
    except WireError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WireError(f"no message: {error}") from error


class _Writer:
    def __init__(self, kinds: Kinds) -> None:
        self._kinds, self._length = kinds, 0
        self.pieces: list[bytes | memoryview] = []

    def encoded(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.encoded(part) for part in value]
        if type(value) is tuple:
            return {"tuple": [self.encoded(part) for part in value]}
        if isinstance(value, Mapping):
            pairs = [[self.encoded(key), self.encoded(part)] for key, part in value.items()]
            return {"dict": pairs}
        if isinstance(value, PurePath):
            return {"path": str(value)}
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value))}
        if type(value) is np.ndarray:
            return {"array": self._array(value)}
        parts = self._kinds.parts(value)
        if parts is None:
            raise WireError(f"a {type(value).__name__} cannot be sent")
        return {"kind": [self.encoded(part) for part in parts]}

    def _array(self, array: NDArray[Any]) -> list[Any]:
        if array.dtype.hasobject:
            raise WireError("an array of objects cannot be sent")
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        start, pad = self._length, -flat.size % _ALIGN
        self.pieces += [flat.data, bytes(pad)]
        self._length += flat.size + pad
        layout = array.dtype.descr if array.dtype.names else array.dtype.str
        return [layout, list(array.shape), start]


class _Reader:
    def __init__(self, kinds: Kinds, arrays: memoryview) -> None:
        self._kinds, self._arrays = kinds, arrays

    def decoded(self, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return [self.decoded(part) for part in tree] if isinstance(tree, list) else tree
        ((tag, content),) = tree.items()
        match tag:
            case "tuple":
                return tuple(self.decoded(part) for part in content)
            case "dict":
                return {self.decoded(key): self.decoded(part) for key, part in content}
            case "path":
                return Path(content)
            case "scalar":
                return self._array(*content)[()]
            case "array":
                return self._array(*content)
            case "kind":
                name, *arguments = content
                return self._kinds.make(name, [self.decoded(part) for part in arguments])
        raise WireError(f"{tag[:80]!r} is no kind of value")

    def _array(self, layout: Any, shape: Any, start: Any) -> NDArray[Any]:
        dtype = _dtype(layout)
        if not all(type(n) is int and n >= 0 for n in [*shape, start]):
            raise WireError(f"an array of {shape} at {start}")
        stop = start + math.prod(shape) * dtype.itemsize
        if stop > len(self._arrays):
            raise WireError(f"an array up to byte {stop} of {len(self._arrays)}")
        return np.frombuffer(self._arrays[start:stop], np.uint8).view(dtype).reshape(shape)


def _dtype(layout: Any) -> np.dtype[Any]:
    """Return the dtype of an array of numbers, or of records of numbers."""
    fields = [(str(name), str(kind)) for name, kind in layout] if type(layout) is list else None
    dtype: np.dtype[Any] = np.dtype(str(layout) if fields is None else fields)
    if dtype.hasobject or not dtype.itemsize:
        raise WireError(f"arrays of {layout}")
    return dtype


def _aligned(size: int) -> int:
    return size + -size % _ALIGN
