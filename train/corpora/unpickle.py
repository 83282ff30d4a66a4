"""A safe reader of untrusted pickles: it executes nothing that they name.

A pickle is a program: `pickle.load` runs whatever it names. This reader returns plain containers,
numbers, text and numpy arrays of them, rebuilt by the functions below under the names that pickles
of numpy 1 and 2 and of Python 2 and 3 use for them. Any other name is refused before anything is
imported. The memory that a pickle may take is bounded by the size of its file.
"""

import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.train.corpora import pickle_scan

#: Larger files are refused (bytes): the largest of the public ones, MOSEI's, has less than half.
MOST_BYTES = 8 << 30
#: Types of array elements: numbers, text of a fixed length, and references.
_KINDS = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9][0-9]{0,4}|O[48]?")


def load(path: Path) -> object:
    """The contents of a pickle: dict, list, tuple, set, str, bytes, numbers, None, and numpy arrays
    of numbers, text or these. Ordered and default dictionaries come as plain ones.

    Raises:
        InputError: the file is missing, too large, damaged, no pickle, or names anything else.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InputError(f"{path}: {size} bytes are more than any known feature file has")
        with path.open("rb") as file:
            pickle_scan.check(file, size)
            file.seek(0)
            return _Unpickler(file, size).load()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except InputError:
        raise
    # A hostile or broken stream raises nearly anything inside `pickle` and numpy.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: not a pickle of plain containers and arrays: {reason}"
        ) from error


class _Name:
    """The object behind a name in a pickle. It can only be called: a pickle may also try to set
    attributes of what it names."""

    __slots__ = ("_make",)
    _make: Callable[..., object]

    def __init__(self, make: Callable[..., object]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: object) -> object:
        return self._make(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f"it sets the attribute {name}")

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it sets attributes")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BufferedReader, size: int) -> None:
        super().__init__(file, encoding="latin1")
        # Arrays whose bytes are written as text are counted twice; small files need a margin.
        self._left = 4 * size + 1024
        containers = {name: self._container(kind) for name, kind in _CONTAINERS.items()}
        makers: dict[tuple[str, str], Callable[..., object]] = {
            ("numpy", "dtype"): _Kind,
            ("numpy", "ndarray"): _never,
            ("_codecs", "encode"): self._encode,
            ("collections", "OrderedDict"): containers["dict"],
            ("collections", "defaultdict"): self._default,
        }
        for module in ("builtins", "__builtin__"):
            makers |= {(module, name): make for name, make in containers.items()}
            makers[module, "bytes"] = _no_bytes
        for core in ("numpy.core", "numpy._core"):
            makers[f"{core}.multiarray", "_reconstruct"] = self._array
            makers[f"{core}.multiarray", "scalar"] = self._scalar
            makers[f"{core}.numeric", "_frombuffer"] = self._buffer
        self._known = {name: _Name(make) for name, make in makers.items()}
        self._array_marker = self._known["numpy", "ndarray"]

    def find_class(self, module: str, name: str) -> Any:
        maker = self._known.get((module, name))
        if maker is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is never loaded")
        return maker

    def spend(self, count: int) -> None:
        """Counts memory beyond the file's own size; raises where there is too much of it."""
        self._left -= count
        if self._left < 0:
            raise pickle.UnpicklingError("it makes far more than its file holds")

    def _container(self, kind: Callable[..., Any]) -> Callable[..., object]:
        def make(*arguments: Any) -> object:
            self.spend(sum(len(argument) for argument in arguments))
            container: object = kind(*arguments)
            return container

        return make

    def _default(self, factory: object = None) -> object:
        return {}

    def _encode(self, text: object, codec: object = "latin1") -> bytes:
        if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"it encodes with {codec!r}")
        self.spend(len(text))
        return text.encode("latin1")

    def _array(self, kind: object, shape: object, code: object) -> "_Array":
        if kind is not self._array_marker or shape != (0,) or code not in ("b", b"b"):
            raise pickle.UnpicklingError("an array begins in an unknown way")
        array = _Array((0,), np.int8)
        array.spend = self.spend
        return array

    def _scalar(self, kind: object, raw: object) -> object:
        if isinstance(kind, _Kind) and kind.code.startswith("O"):
            raise pickle.UnpicklingError("a number is no number")
        return self._buffer(raw, kind, (1,)).item()

    def _buffer(
        self, raw: object, kind: object, shape: object, order: object = "C"
    ) -> NDArray[Any]:
        dtype, form, data = _checked(shape, kind, raw)
        if not isinstance(data, bytes) or order not in ("C", "F"):
            raise pickle.UnpicklingError("an array is given in an unknown way")
        self.spend(len(data))
        return np.frombuffer(data, dtype).reshape(form, order="F" if order == "F" else "C")


#: The containers that a pickle may call by name.
_CONTAINERS: dict[str, Callable[..., Any]] = {
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "set": set,
    "frozenset": frozenset,
}


def _no_bytes() -> bytes:
    """Empty bytes, as older protocols write them. A length is refused: it could fill the memory."""
    return b""


def _never(*_: object) -> object:
    raise pickle.UnpicklingError("an array begins in an unknown way")


class _Kind:
    """The type of an array's elements; in place of `numpy.dtype`, whose state can be forged."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _KINDS.fullmatch(code):
            raise pickle.UnpicklingError(f"it holds arrays of {str(code)[:40]!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("an array's type is described in an unknown way")
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("it holds arrays of records")
        self.order = str(state[1])


class _Array(np.ndarray[Any, Any]):
    """An array whose contents come in a second step, and are checked before numpy gets them."""

    spend: Callable[[int], None]

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("an array is given in an unknown way")
        _, shape, kind, columns, raw = state
        dtype, form, data = _checked(shape, kind, raw)
        self.spend(len(data))
        # Only once: an array that is in use must not change.
        del self.spend
        # numpy wants a plain bool, whatever its type stubs say.
        filled: Any = (1, form, dtype, bool(columns == 1), data)
        super().__setstate__(filled)


def _checked(
    shape: object, kind: object, raw: object
) -> tuple[np.dtype[Any], tuple[int, ...], bytes | list[object]]:
    """The type, shape and contents of an array, after checking that they agree."""
    if not isinstance(kind, _Kind) or not isinstance(shape, tuple) or len(shape) > 8:
        raise pickle.UnpicklingError("an array is given in an unknown way")
    if not all(type(length) is int and 0 <= length < 1 << 40 for length in shape):
        raise pickle.UnpicklingError("an array has an impossible shape")
    dtype, data = np.dtype(kind.order + kind.code), raw
    if isinstance(data, str):
        # How Python 2 wrote bytes.
        data = data.encode("latin1")
    elif isinstance(data, bytearray):
        data = bytes(data)
    of_references = dtype.hasobject
    if not isinstance(data, list if of_references else bytes):
        raise pickle.UnpicklingError("an array is given in an unknown way")
    assert isinstance(data, list | bytes)
    if len(data) != math.prod(shape) * (1 if of_references else dtype.itemsize):
        raise pickle.UnpicklingError("an array's shape and contents do not agree")
    return dtype, shape, data
