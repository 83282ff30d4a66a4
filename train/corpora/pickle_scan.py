"""A look through a pickle before it is read: what it would do, without doing it.

Python's reader believes a file: nine bytes that name the place 2^26 of its memo reserve a
gigabyte. So the operations are read first. A file is refused if it has one that no feature file
needs, or if its objects would take far more memory than the file has bytes.
"""

import pickle
import pickletools
from typing import BinaryIO

#: Operations that no feature file has: instances, names by number, and contents from elsewhere.
_REFUSED = frozenset(
    {"PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"}
    | {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}
)
#: Bytes that the object of an operation takes at least, where that is much more than its place in
#: the file. A called name makes an array or a number of numpy.
_COSTS = {
    **dict.fromkeys(("EMPTY_SET", "FROZENSET", "DICT"), 232),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_DICT", "LIST"), 80),
    **dict.fromkeys(("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), 56),
    "REDUCE": 300,
    "BYTEARRAY8": 56,
}
#: Such bytes for each byte of the file at most, beyond the first million.
_MOST, _FREE = 32, 1 << 20
#: Places in the memo beyond one for each byte of the file so far.
_PLACES = 256
#: Bytes of the length before an argument, by `pickletools`' code for it.
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
#: For each operation: its name, its cost, and the number of bytes of its argument, or a code.
_OPERATIONS = {
    operation.code.encode("latin1"): (
        operation.name,
        _COSTS.get(operation.name, 0),
        operation.arg.n if operation.arg is not None else 0,
    )
    for operation in pickletools.opcodes
}
_MEMO = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
#: A line of text in a pickle: a name, or a number. Strings may be longer.
_LONGEST_NUMBER = 5_000


def check(file: BinaryIO, size: int) -> None:
    """Looks through the pickle at the beginning of an open file.

    Args:
        file: the file.
        size: how many bytes it has.

    Raises:
        pickle.UnpicklingError: the pickle is damaged, has an operation that is not allowed, or
            would take far more memory than its file has bytes.
    """
    cost = 0
    while True:
        code = file.read(1)
        try:
            name, more, length = _OPERATIONS[code]
        except KeyError:
            raise pickle.UnpicklingError("it breaks off or is damaged") from None
        if name == "STOP":
            return
        if name in _REFUSED:
            raise pickle.UnpicklingError(f"it has the operation {name}, which is never run")
        cost += more
        if cost > _MOST * size + _FREE:
            raise pickle.UnpicklingError("it makes far more than its file holds")
        if name in _MEMO:
            raw = file.readline(32) if name == "PUT" else file.read(length)
            place = int(raw) if name == "PUT" else int.from_bytes(raw, "little")
            if not 0 <= place <= file.tell() + _PLACES:
                raise pickle.UnpicklingError(f"it writes to the place {place} of its memo")
        elif length > 0:
            file.read(length)
        elif length == pickletools.UP_TO_NEWLINE:
            _skip_lines(file, name)
        elif length in _LENGTHS:
            count = int.from_bytes(file.read(_LENGTHS[length]), "little")
            if count > size:
                raise pickle.UnpicklingError("it breaks off or is damaged")
            file.seek(count, 1)


def _skip_lines(file: BinaryIO, name: str) -> None:
    """Reads the argument of an operation whose argument is one or two lines."""
    for _ in range(2 if name == "GLOBAL" else 1):
        line = file.readline()
        if name in ("INT", "LONG", "FLOAT", "GET") and len(line) > _LONGEST_NUMBER:
            raise pickle.UnpicklingError(f"it has a number of {len(line)} digits")
